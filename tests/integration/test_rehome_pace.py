# SPDX-License-Identifier: MIT
"""Moves are debounced and spread: no storm on the backends that stay."""

from peers.client import Person
from peers.roost import changed
from peers.waiting import SANITIZED, holds_for, wait_until


def moves(backend):
    return [e for e in backend.events("handshake") if e.rehomed_from]


def many_on_a(stage, n, **rehome):
    """n sockets on a, with b drained at first; (roost, a, b, sockets)."""
    from peers.roost import entry, settings

    a, b = stage.backends("a", "b")
    config = settings([entry(a), entry(b, state="down")],
                      rehome={"mode": "transparent", **rehome})
    roost = stage.roost(config)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(n)]
    return roost, a, b, sockets


def swap(roost):
    """a drains, b comes up."""
    config = changed(roost.config, "b", state="up")
    roost.reload(changed(config, "a", state="drain"))


def test_rate_holds_in_a_drain(stage):
    roost, a, b, sockets = many_on_a(stage, 60, rate=20)
    swap(roost)
    wait_until(lambda: len(moves(b)) == 60, "all have moved", 20)
    times = [e.t for e in moves(b)]
    span = max(times) - min(times)
    assert 2.0 < span < (12 if SANITIZED else 5), span
    for start in times:
        second = [t for t in times if start <= t < start + 1]
        assert len(second) <= 35, "never much more than the rate"
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_rate_holds_when_a_backend_dies(stage):
    roost, a, b, sockets = many_on_a(stage, 60, rate=20)
    roost.reload(changed(roost.config, "b", state="up"))
    a.kill()
    wait_until(lambda: len(moves(b)) == 60, "all have moved", 20)
    times = [e.t for e in moves(b)]
    span = max(times) - min(times)
    assert 1.5 < span < (12 if SANITIZED else 6), span
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_debounce_waits(stage):
    roost, a, b, sockets = many_on_a(stage, 5, debounce="1500ms")
    swap(roost)
    holds_for(lambda: not moves(b), "nobody moves yet", 1.0)
    wait_until(lambda: len(moves(b)) == 5, "all have moved")


def test_change_of_mind_within_the_debounce_moves_nobody(stage):
    roost, a, b, sockets = many_on_a(stage, 10, debounce="1500ms")
    up = changed(roost.config, "b", state="up")
    roost.reload(changed(up, "a", state="drain"))
    roost.reload(up)
    holds_for(lambda: not moves(b), "nobody moves", 2.5)
    assert {ws.whoami() for ws in sockets} == {"a"}
