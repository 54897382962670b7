# SPDX-License-Identifier: MIT
"""Re-homing by asking the client to come back: the default mode."""

import pytest
from peers.client import Person
from peers.roost import changed
from peers.waiting import wait_until
from peers.websocket import Swarm

FAST = {"rate": 1000, "debounce": "50ms"}


def drain(roost, name="a"):
    roost.reload(changed(roost.config, name, state="drain"))


@pytest.mark.quick
def test_client_is_closed_1012_and_comes_back_elsewhere(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    people = [Person(roost, f"p{i}") for i in range(20)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    drain(roost)
    for p, ws, name in zip(people, sockets, names):
        if name == "a":
            assert ws.close_code() == 1012
            assert p.websocket().whoami() == "b"
        else:
            assert ws.is_open() and ws.whoami() == "b"


def test_backend_is_told_too(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(10)]
    drain(roost)
    wait_until(lambda: a.open().sockets == 0, "a has no sockets")
    assert {e.how for e in a.events("ws_close")} == {"close"}
    assert sockets


def test_other_close_code(stage):
    roost, a, b = stage.proxy("a", "b", rehome={**FAST, "close_code": 4012})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(10)]
    on_a = [ws for ws in sockets if ws.whoami() == "a"]
    drain(roost)
    assert {ws.close_code() for ws in on_a} == {4012}


def test_swarm_that_reconnects_ends_on_the_other_backend(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    with Swarm(roost, 60, reconnect=True) as swarm:
        drain(roost)
        wait_until(lambda: b.open().sockets == 60, "all are at b", 20)
        swarm.wait_progress()
        swarm.finish(lossy=True)
        swarm.check_ordered()
        assert {m.closed[0] for m in swarm.closed} == {1012}


def test_killed_backend_in_reconnect_mode(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    people = [Person(roost, f"p{i}") for i in range(10)]
    sockets = [(p, p.websocket()) for p in people]
    on_a = [(p, ws) for p, ws in sockets if ws.whoami() == "a"]
    a.kill()
    for p, ws in on_a:
        assert ws.close_code() == 1012
        assert p.websocket().whoami() == "b"
