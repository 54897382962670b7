# SPDX-License-Identifier: MIT
"""A backend that should get nothing new: drained, down or removed by a reload."""

import copy

import pytest
from peers.client import Person
from peers.roost import changed, without
from peers.waiting import wait_until
from peers.websocket import Refused


def test_drained_backend_gets_no_new_clients(stage):
    roost, *_ = stage.proxy("a", "b", rehome={"mode": "off"})
    roost.reload(changed(roost.config, "a", state="drain"))
    people = [Person(roost, f"p{i}") for i in range(10)]
    assert {p.backend() for p in people} == {"b"}
    assert {p.websocket().whoami() for p in people} == {"b"}


def test_http_lock_of_a_drained_backend_breaks(stage):
    roost, *_ = stage.proxy("a", "b", rehome={"mode": "off"}, balance="round-robin")
    people = [Person(roost, f"p{i}") for i in range(10)]
    names = [p.backend() for p in people]
    assert "a" in names
    roost.reload(changed(roost.config, "a", state="drain"))
    assert {p.backend() for p in people} == {"b"}


@pytest.mark.quick
def test_without_rehoming_sockets_stay_and_http_follows_them(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    people = [Person(roost, f"p{i}") for i in range(10)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    assert "a" in names
    roost.reload(changed(roost.config, "a", state="drain"))
    for _ in range(3):
        assert [ws.whoami() for ws in sockets] == names
        assert [p.backend() for p in people] == names


def test_drained_backend_comes_back(stage):
    roost, *_ = stage.proxy("a", "b", rehome={"mode": "off"}, balance="round-robin")
    up = roost.config
    roost.reload(changed(up, "a", state="drain"))
    roost.reload(up)
    assert {Person(roost, f"p{i}").backend() for i in range(10)} == {"a", "b"}


def test_nobody_left_to_serve_is_told_once(stage):
    roost, a, b = stage.proxy("a", "b")
    config = changed(changed(roost.config, "a", state="drain"), "b", state="down")
    roost.reload(config)
    roost.wait_log("upstream app: all of its backends are drained or down; what is new gets 503")
    assert Person(roost, "p").get().status == 503
    roost.reload(changed(config, "b", state="up"))
    roost.wait_log("upstream app: 1 of its backends are in service again")


def test_backend_that_is_down_gets_nothing(stage):
    roost, a, _ = stage.proxy("a", "b", rehome={"mode": "off"})
    people = [Person(roost, f"p{i}") for i in range(6)]
    for p in people:
        p.backend()
    roost.reload(changed(roost.config, "a", state="down"))
    seen = len(a.events("request"))
    assert {p.backend() for p in people} == {"b"}
    assert len(a.events("request")) == seen


def test_removed_backend_loses_its_idle_connections(stage):
    roost, a, b = stage.proxy("a", "b", balance="round-robin")
    for i in range(8):
        Person(roost, f"p{i}").backend()
    assert a.open().conns > 0
    roost.reload(without(roost.config, "a"))
    assert {Person(roost, f"p{i}").backend() for i in range(8)} == {"b"}
    wait_until(lambda: a.open().conns == 0, "no connection is left to a", 75)


def test_all_drained_is_503(stage):
    roost, *_ = stage.proxy("a", "b", rehome={"mode": "off"})
    config = changed(changed(roost.config, "a", state="drain"), "b", state="down")
    roost.reload(config)
    assert Person(roost, "p").get().status == 503
    with pytest.raises(Refused) as e:
        Person(roost, "p").websocket()
    assert e.value.response.status == 503


def test_removal_moves_sockets_like_a_drain(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "transparent"})
    people = [Person(roost, f"p{i}") for i in range(10)]
    sockets = [p.websocket() for p in people]
    roost.reload(without(roost.config, "a"))
    wait_until(lambda: a.open().sockets == 0, "a has no sockets")
    assert {ws.whoami() for ws in sockets} == {"b"}
    assert {p.backend() for p in people} == {"b"}


def test_removed_upstream_does_not_hurt_its_sockets(stage):
    from peers.roost import entry

    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    config = copy.deepcopy(roost.config)
    with Person(roost, "p").websocket() as ws:
        name = ws.whoami()
        config["upstreams"] = {"other": {"backends": [entry(b)]}}
        config["routes"] = [{"path": "/", "upstream": "other"}]
        roost.reload(config)
        assert Person(roost, "q").backend() == "b"
        try:
            assert ws.whoami() == name
        except Exception as e:  # being closed for a restart is as good
            assert getattr(e, "code", None) in (1001, 1012), e
