# SPDX-License-Identifier: MIT
"""After a scale-up: once locks have run out, the surplus moves and no more."""

import pytest
from peers.client import Person
from peers.roost import changed, entry, settings
from peers.waiting import holds_for, scaled, wait_until
from peers.websocket import Closed, Swarm


# new to a place for a second only, so that nothing but what a test is about holds a client
STAY = {"debounce": "50ms", "min_stay": "1s"}


def scene(stage, n=40, **upstream):
    a, b = stage.backends("a", "b")
    upstream.setdefault("rehome", {"mode": "transparent", **STAY})
    config = settings([entry(a), entry(b, state="down")], **upstream)
    roost = stage.roost(config)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(n)]
    return roost, a, b, sockets


def scale_up(roost, **keys):
    roost.reload(changed(roost.config, "b", state="up", **keys))


def count(backend):
    return backend.open().sockets


@pytest.mark.quick
def test_surplus_moves_when_locks_have_run_out(stage):
    roost, a, b, sockets = scene(stage, pin={"websocket": "1s"})
    scale_up(roost)
    # fair is 20 each; a may keep 20 % more
    wait_until(lambda: count(b) >= 14, "the surplus is at b", 20)
    holds_for(lambda: 14 <= count(b) <= 21, "and no more than that", 2.5)
    assert all(ws.is_open() for ws in sockets)
    names = [ws.whoami() for ws in sockets]
    assert names.count("b") == count(b)


def test_nothing_moves_while_locks_run(stage):
    roost, a, b, sockets = scene(stage, pin={"websocket": "5m"})
    scale_up(roost)
    holds_for(lambda: count(b) == 0, "nobody moves", 2.0)
    assert {ws.whoami() for ws in sockets} == {"a"}


def test_who_came_lately_stays_though_no_lock_holds_him(stage):
    rehome = {"mode": "transparent", "debounce": "50ms", "min_stay": "1h"}
    roost, a, b, sockets = scene(stage, pin={"websocket": "0s"}, rehome=rehome)
    scale_up(roost)
    holds_for(lambda: count(b) == 0, "nobody moves", 1.5)
    config = changed(roost.config, "b", state="up")
    config["upstreams"]["app"]["rehome"]["min_stay"] = "1s"
    roost.reload(config)
    wait_until(lambda: count(b) >= 14, "the surplus is at b", 20)
    assert all(ws.is_open() for ws in sockets)


def test_within_the_threshold_nothing_moves(stage):
    roost, a, b, sockets = scene(
        stage, pin={"websocket": "300ms"},
        rehome={"mode": "transparent", **STAY, "threshold": "150%"},
    )
    scale_up(roost)  # 40 is less than 20 x 2.5
    holds_for(lambda: count(b) == 0, "nobody moves", 2.5)
    assert sockets


def test_new_weights_move_the_surplus(stage):
    roost, a, b = stage.proxy("a", "b", pin={"websocket": "500ms"},
                              rehome={"mode": "transparent", **STAY})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(40)]
    assert count(a) == count(b) == 20
    roost.reload(changed(roost.config, "b", weight=3))
    wait_until(lambda: count(b) >= 26, "b has more", 20)
    holds_for(lambda: count(b) <= 31, "but not too many", 1.5)
    assert all(ws.is_open() for ws in sockets)


def test_mode_off_moves_no_surplus(stage):
    roost, a, b, sockets = scene(stage, pin={"websocket": "300ms"},
                                 rehome={"mode": "off", **STAY})
    scale_up(roost)
    holds_for(lambda: count(b) == 0, "nobody moves", 2.0)
    assert sockets


def has_a_close(ws):
    """True when a Close 1012 lies there, false when nothing does."""
    ws.raw.sock.settimeout(0.02)
    try:
        ws.read()
    except TimeoutError:
        return False
    except Closed as e:
        assert e.code == 1012
        return True
    raise AssertionError("a message nobody asked for")


def test_reconnect_mode_sends_the_surplus_away(stage):
    roost, a, b, sockets = scene(stage, pin={"websocket": "500ms"},
                                 rehome={"mode": "reconnect", **STAY})
    scale_up(roost)
    closed = set()

    def enough():
        closed.update(i for i, ws in enumerate(sockets)
                      if i not in closed and has_a_close(ws))
        return len(closed) >= 14

    wait_until(enough, "the surplus is sent away", 20)
    assert len(closed) <= 21
    assert {Person(roost, f"p{i}").websocket().whoami() for i in closed} == {"b"}


def test_busy_sockets_lose_nothing_when_rebalanced(stage):
    a, b = stage.backends("a", "b")
    config = settings([entry(a), entry(b, state="down")], pin={"websocket": "500ms"},
                      rehome={"mode": "transparent", **STAY})
    roost = stage.roost(config)
    with Swarm(roost, 60) as swarm:
        scale_up(roost)
        wait_until(lambda: count(b) >= 20, "the surplus is at b", scaled(20))
        swarm.wait_progress(5)
        swarm.finish()
        swarm.check_exact()
