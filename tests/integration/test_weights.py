# SPDX-License-Identifier: MIT
"""Shares by weight, within bounds that a correct policy never leaves."""

import pytest
from peers.client import Person, RawClient
from peers.roost import changed, entry, settings
from peers.waiting import wait_until

WEIGHTS = {"a": 1, "b": 2, "c": 3}


def weighted(stage, balance):
    backends = stage.backends(*WEIGHTS)
    rows = [entry(b, weight=WEIGHTS[b.name]) for b in backends]
    return stage.roost(settings(rows, balance=balance))


def shares(names):
    names = list(names)
    return [names.count(n) for n in WEIGHTS]


def anonymous(roost, n, connections=4):
    for _ in range(connections):
        with RawClient(roost.address) as c:
            for _ in range(n // connections):
                yield c.get("/").backend


def assert_near(got, wanted, slack):
    assert all(abs(g - w) <= slack for g, w in zip(got, wanted)), (got, wanted)


def test_round_robin_requests(stage):
    roost = weighted(stage, "round-robin")
    assert_near(shares(anonymous(roost, 600)), [100, 200, 300], 10)


def test_round_robin_sockets(stage):
    roost = weighted(stage, "round-robin")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(60)]
    assert_near(shares(ws.whoami() for ws in sockets), [10, 20, 30], 4)


@pytest.mark.quick
def test_least_sessions_sockets(stage):
    roost = weighted(stage, "least-sessions")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(60)]
    assert_near(shares(ws.whoami() for ws in sockets), [10, 20, 30], 2)


def test_least_sessions_requests_spread_when_idle(stage):
    roost = weighted(stage, "least-sessions")
    assert_near(shares(anonymous(roost, 600)), [100, 200, 300], 60)


def test_least_sessions_fills_the_gap(stage):
    """Counts are of the sessions that live, not of those once made."""
    roost, a, b = stage.proxy("a", "b")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(20)]
    for ws in sockets:
        if ws.whoami() == "a":
            ws.close()
    wait_until(lambda: len(roost.logged("session ended")) == 10, "ten are gone")
    more = [Person(roost, f"q{i}").websocket() for i in range(10)]
    assert [ws.whoami() for ws in more].count("a") == 10


def test_weight_zero_takes_nothing_new(stage):
    a, b = stage.backends("a", "b")
    roost = stage.roost(settings([entry(a, weight=0), entry(b)], balance="round-robin"))
    assert set(anonymous(roost, 20)) == {"b"}
    assert Person(roost, "p").websocket().whoami() == "b"


def test_weights_change_with_a_reload(stage):
    a, b = stage.backends("a", "b")
    config = settings([entry(a, weight=1), entry(b, weight=1)], balance="round-robin")
    roost = stage.roost(config)
    assert_near([list(anonymous(roost, 100)).count("b")], [50], 4)
    roost.reload(changed(config, "b", weight=9))
    assert_near([list(anonymous(roost, 100)).count("b")], [90], 5)
