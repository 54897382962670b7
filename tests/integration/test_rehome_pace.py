# SPDX-License-Identifier: MIT
"""Moves are debounced and spread: no storm on the backends that stay."""

import time

from peers.client import Person
from peers.roost import changed
from peers.waiting import holds_for, wait_until

RATE = 20


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


def check_pace(b, begun):
    """At no time were there many more than the rate allows since then. A machine that
    stands still for a while only makes them later."""
    wait_until(lambda: len(moves(b)) == 60, "all have moved", 20)
    after = [e.t - begun for e in moves(b)]
    for i, t in enumerate(after):
        assert i <= RATE * 1.5 * t + 8, (i, t)


def test_rate_holds_in_a_drain(stage):
    roost, a, b, sockets = many_on_a(stage, 60, rate=RATE)
    begun = time.monotonic()
    swap(roost)
    check_pace(b, begun)
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_rate_holds_when_a_backend_dies(stage):
    roost, a, b, sockets = many_on_a(stage, 60, rate=RATE)
    roost.reload(changed(roost.config, "b", state="up"))
    begun = time.monotonic()
    a.kill()
    check_pace(b, begun)
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_debounce_waits(stage):
    roost, a, b, sockets = many_on_a(stage, 5, debounce="1500ms")
    begun = time.monotonic()
    swap(roost)
    wait_until(lambda: len(moves(b)) == 5, "all have moved")
    assert min(e.t for e in moves(b)) - begun >= 1.5


def test_change_of_mind_within_the_debounce_moves_nobody(stage):
    roost, a, b, sockets = many_on_a(stage, 10, debounce="3s")
    up = changed(roost.config, "b", state="up")
    roost.reload(changed(up, "a", state="drain"))
    roost.reload(up)
    holds_for(lambda: not moves(b), "nobody moves", 3.8)
    assert {ws.whoami() for ws in sockets} == {"a"}
