# SPDX-License-Identifier: MIT
"""HUP: the new configuration counts for what comes, and what is open stays."""

import copy

import pytest
from peers.client import Person, RawClient
from peers.roost import changed, entry, without
from peers.waiting import wait_until
from peers.websocket import Swarm


@pytest.mark.quick
def test_open_sockets_stay(stage):
    roost, a, b = stage.proxy("a", "b")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(200)]
    names = [ws.whoami() for ws in sockets]
    for weight in (2, 3, 1):
        roost.reload(changed(roost.config, "b", weight=weight))
    assert all(ws.is_open() for ws in sockets)
    assert [ws.whoami() for ws in sockets] == names
    assert len(a.events("handshake")) + len(b.events("handshake")) == 200


@pytest.mark.quick
def test_busy_sockets_lose_nothing(stage):
    roost, a, b = stage.proxy("a", "b")
    with Swarm(roost, 50) as swarm:
        for level in ("notice", "info", "info"):
            config = copy.deepcopy(roost.config)
            config["log"]["level"] = "info"
            config["upstreams"]["app"]["retries"] = 1 if level == "info" else 2
            roost.reload(config)
            swarm.wait_progress()
        swarm.finish()
        swarm.check_exact()


def test_exchange_under_way_finishes(stage):
    roost, a, b = stage.proxy("a", "b")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/700", {"X-Client": "p"}))
        wait_until(lambda: a.events("request") or b.events("request"), "it arrived")
        served = "a" if a.events("request") else "b"
        roost.reload(without(roost.config, served))
        assert c.response().backend == served
        assert c.get("/", {"X-Client": "p"}).backend != served


def test_kept_connections_stay(stage):
    roost, *_ = stage.proxy("a")
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200
        roost.reload(roost.config)
        assert c.get("/").status == 200


def test_new_backend_gets_work(stage):
    roost, *_ = stage.proxy("a")
    (b,) = stage.backends("b")
    config = copy.deepcopy(roost.config)
    config["upstreams"]["app"]["backends"].append(entry(b))
    roost.reload(config)
    held = [Person(roost, f"p{i}").websocket() for i in range(4)]
    got = {ws.whoami() for ws in held}
    assert got == {"b"} or got == {"a", "b"}


def test_new_route_and_upstream(stage):
    roost, a = stage.proxy("a")
    (b,) = stage.backends("b")
    config = copy.deepcopy(roost.config)
    config["routes"].append({"path": "/new", "upstream": "fresh"})
    config["upstreams"]["fresh"] = {"backends": [entry(b)]}
    roost.reload(config)
    assert Person(roost, "p").backend("/new/x") == "b"
    assert Person(roost, "p").backend("/") == "a"


def test_broken_file_changes_nothing_and_says_where(stage):
    roost, a, b = stage.proxy("a", "b")
    good = roost.config
    with Person(roost, "p").websocket() as ws:
        name = ws.whoami()
        broken = changed(good, "b", wieght=3)
        roost.reload(broken, fails=True)
        assert roost.logged(r"roost\.yaml:\d+:\d+: .*wieght")
        assert ws.is_open() and ws.whoami() == name
        assert Person(roost, "p").backend() == name
        roost.reload(good)
        assert ws.whoami() == name


def test_file_that_is_no_yaml_changes_nothing(stage):
    roost, *_ = stage.proxy("a")
    good = roost.config
    roost.reload("upstreams: {app: [\n", fails=True)
    assert roost.logged(r"roost\.yaml:\d+:\d+: ")
    assert Person(roost, "p").backend() == "a"
    roost.reload(good)


def test_what_needs_a_restart_is_said(stage):
    roost, *_ = stage.proxy("a")
    config = copy.deepcopy(roost.config)
    config["workers"] = 1
    roost.reload(config)
    assert roost.wait_log("workers")
    assert Person(roost, "p").backend() == "a"


@pytest.mark.quick
def test_many_reloads_leave_nothing_behind(stage):
    roost, *_ = stage.proxy("a", "b")
    for i in range(5):
        roost.reload(changed(roost.config, "a", weight=1 + i % 2))
    before = roost.descriptors()
    for i in range(30):
        roost.reload(changed(roost.config, "a", weight=1 + i % 2))
        Person(roost, f"p{i}").backend()
    wait_until(lambda: roost.descriptors() <= before + 4, "descriptors are back")
