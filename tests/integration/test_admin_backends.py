# SPDX-License-Identifier: MIT
"""Backends that are changed while roost runs: what follows at once, what a reload leaves
of it, and that who waits for an empty backend is told when it is one."""

import threading
import time

import pytest
from peers.admin import scene
from peers.client import Person, RawClient
from peers.roost import changed, without
from peers.waiting import wait_until

OFF = {"mode": "off"}


def names_served(roost, n=10):
    return {Person(roost, f"p{i}").backend() for i in range(n)}


@pytest.fixture(scope="module")
def quiet(shared_stage):
    roost, admin, *_ = scene(shared_stage, "a", "b", rehome=OFF)
    return admin


@pytest.mark.quick
def test_a_drained_backend_gets_nothing_new_and_comes_back(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF, balance="round-robin")
    told = admin.set("a", state="drain")
    assert (told["state"], told["source"], told["empty"]) == ("drain", "changed", True)
    assert told["configured"]["state"] == "up"
    assert names_served(roost) == {"b"}
    assert admin.backend("a")["use"] == "draining"
    assert admin.set("a", state="up")["source"] == "file"
    assert {Person(roost, f"q{i}").backend() for i in range(10)} == {"a", "b"}


def test_weights_count_at_once(stage):
    roost, admin, *_ = scene(stage, "a", "b", balance="round-robin")
    assert admin.set("b", weight=0)["weight"] == 0
    assert names_served(roost) == {"a"}
    admin.set("b", weight=1000)
    admin.set("a", weight=0)
    assert {Person(roost, f"q{i}").backend() for i in range(10)} == {"b"}


def test_a_drain_re_homes_sessions(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome={"mode": "transparent"})
    with Person(roost, "anna").websocket() as ws:
        was = ws.whoami()
        told = admin.set(was, state="drain", wait="20s")
        assert told["empty"] and told["sessions"] == 0
        assert ws.whoami() != was


def test_an_added_backend_serves(stage):
    roost, admin, a, b = scene(stage, "a", "b", balance="round-robin")
    c = stage.backends("c")[0]
    told = admin.add(name="c", address=c.address, weight=2)
    assert (told["source"], told["configured"], told["weight"]) == ("added", None, 2)
    assert names_served(roost, 12) == {"a", "b", "c"}
    admin.add(409, name="c", address=c.address)
    admin.remove("c")
    admin.set("c", 404, state="up")
    assert {Person(roost, f"q{i}").backend() for i in range(10)} == {"a", "b"}


def test_an_added_backend_is_named_by_its_address(stage):
    roost, admin, *_ = scene(stage, "a")
    b = stage.backends("b")[0]
    assert admin.add(address=b.address)["name"] == b.address


def test_a_removed_backend_is_listed_as_such_and_can_come_back(stage):
    roost, admin, a, b = scene(stage, "a", "b", balance="round-robin")
    told = admin.remove("a")
    assert (told["state"], told["source"]) == ("removed", "removed")
    assert names_served(roost) == {"b"}
    up = admin.get("/v1/upstreams/app")
    assert [x["name"] for x in up["removed"]] == ["a"]
    assert [x["name"] for x in up["backends"]] == ["b"]
    admin.remove("b", 409)
    assert admin.add(name="a", address=a.address)["source"] == "file"
    assert admin.get("/v1/upstreams/app")["removed"] == []
    assert {Person(roost, f"q{i}").backend() for i in range(10)} == {"a", "b"}


def test_a_backend_by_name_is_set_as_a_whole(stage):
    a = stage.backends("a")[0]
    port = a.address.rpartition(":")[2]
    roost, admin, *_ = scene(stage, "z")
    admin.add(name="app", address=f"localhost:{port}")
    wait_until(lambda: admin.backend("app")["use"] == "usable", "it has an address")
    told = admin.set("app", state="drain")
    assert [x["name"] for x in told["addresses"]] == ["app"]
    assert {x["state"] for x in told["addresses"]} == {"drain"}


# --- beside the file


def test_a_reload_keeps_what_the_file_says_nothing_new_about(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    c = stage.backends("c")[0]
    admin.set("a", state="drain")
    admin.add(name="c", address=c.address)
    roost.reload(changed(roost.config, "b", weight=7))
    assert admin.backend("a")["state"] == "drain"
    assert admin.backend("c")["source"] == "added"
    assert admin.backend("b")["weight"] == 7


def test_a_key_that_the_file_changes_is_the_files(stage):
    roost, admin, *_ = scene(stage, "a", "b")
    admin.set("a", state="drain", weight=5)
    roost.reload(changed(roost.config, "a", weight=3))
    is_now = admin.backend("a")
    assert (is_now["state"], is_now["weight"]) == ("drain", 3)
    assert is_now["configured"]["weight"] == 3
    roost.mark()
    roost.reload(changed(roost.config, "a", state="down"))
    is_now = admin.backend("a")
    assert (is_now["state"], is_now["source"]) == ("down", "file")
    assert roost.logged("backend app/a: the file takes the place of what was changed")


def test_a_removed_backend_stays_away_until_its_row_changes(stage):
    roost, admin, *_ = scene(stage, "a", "b")
    admin.remove("a")
    roost.reload(changed(roost.config, "b", weight=2))
    assert [x["name"] for x in admin.get("/v1/upstreams/app")["backends"]] == ["b"]
    roost.reload(changed(roost.config, "a", weight=2))
    assert admin.backend("a")["source"] == "file"


def test_an_added_backend_moves_into_the_file(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    roost.reload(without(roost.config, "b"))
    admin.add(name="b", address=b.address, weight=3)
    with Person(roost, "p").websocket() as ws:
        ws.whoami()
        config = roost.config
        config["upstreams"]["app"]["backends"].append(
            {"name": "b", "address": b.address, "weight": 2})
        roost.reload(config)
        assert (admin.backend("b")["source"], admin.backend("b")["weight"]) == ("file", 2)
        assert ws.is_open()


def test_what_the_file_drops_is_forgotten(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    with_b = roost.config
    admin.set("b", state="drain")
    roost.reload(without(with_b, "b"))
    roost.reload(with_b)
    assert admin.backend("b")["state"] == "up"


# --- waiting


def test_who_waits_is_told_when_the_last_session_is_gone(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    with Person(roost, "p").websocket() as ws:
        name = ws.whoami()
        told = []
        t = threading.Thread(
            target=lambda: told.append(admin.set(name, state="drain", wait="30s")))
        t.start()
        wait_until(lambda: admin.backend(name)["state"] == "drain", "it is draining")
        assert not told and admin.backend(name)["sessions"] == 1
    t.join()
    assert told[0]["empty"] and told[0]["sessions"] == 0


def test_a_wait_ends(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    with Person(roost, "p").websocket() as ws:
        name = ws.whoami()
        begun = time.monotonic()
        told = admin.get(f"/v1/upstreams/app/backends/{name}?wait=300ms")
        assert not told["empty"] and told["sessions"] == 1
        assert time.monotonic() - begun >= 0.29
        told = admin.remove(name, wait="200ms")
        assert (told["empty"], told["state"], told["sessions"]) == (False, "removed", 1)


def test_many_may_wait_and_not_more(stage):
    roost, admin, *_ = scene(stage, "a", rehome=OFF)
    target = "/v1/upstreams/app/backends/a?wait=5m"
    with Person(roost, "p").websocket() as ws:
        ws.whoami()
        waiting = [RawClient(admin.address) for _ in range(64)]
        for c in waiting:
            c.send(c.request_bytes("GET", target))
        def refused():
            with RawClient(admin.address) as c:
                return c.get(target.replace("5m", "10ms")).status == 503
        wait_until(refused, "there are too many")
        for c in waiting[1:]:
            c.close()
        wait_until(lambda: not refused(), "who has gone does not wait")
    assert waiting[0].response().json()["empty"]


# --- what is wrong


@pytest.mark.parametrize("body, status", [
    ({"state": "off"}, 400),
    ({"state": 1}, 400),
    ({"weight": -1}, 400),
    ({"weight": 1001}, 400),
    ({"weight": 2**32 + 1}, 400),
    ({"weight": 2**32 - 1}, 400),
    ({"weight": 2**63 - 1}, 400),
    ({"weight": "1"}, 400),
    ({"weight": 1.5}, 400),
    ({"name": "x"}, 400),
    ({"address": "127.0.0.1:1"}, 400),
    ({"colour": "red"}, 400),
    ({"wait": "soon"}, 400),
    ({"wait": "11m"}, 400),
    ({"wait": 5}, 400),
    ({}, 200),
])
def test_what_cannot_be_set(quiet, body, status):
    quiet.set("a", status, **body)
    assert quiet.backend("a")["source"] == "file"


@pytest.mark.parametrize("body", [
    {}, {"name": "x"}, {"address": "nonsense"}, {"address": "127.0.0.1:1", "name": "a b"},
    {"address": "127.0.0.1:0"}, {"address": "127.0.0.1:1", "weight": 5000},
    {"address": "127.0.0.1:1", "weight": 2**32 + 1},
    {"address": "127.0.0.1:1", "state": "gone"},
])
def test_what_cannot_be_added(quiet, body):
    quiet.add(400, **body)
    assert len(quiet.get("/v1/upstreams/app")["backends"]) == 2


def test_what_is_not_there(quiet):
    quiet.set("c", 404, state="up")
    quiet.set("a", 404, upstream="nope", state="up")
    quiet.add(404, upstream="nope", address="127.0.0.1:1")
    quiet.remove("c", 404)
    quiet.get("/v1/upstreams/nope", 404)
    quiet.get("/v1/upstreams/app/backends/c", 404)
    quiet.get("/v1/upstreams/app/backends/a?wait=x", 400)
    r = quiet.ask("PUT", "/v1/upstreams/app/backends/a")
    assert (r.status, r.header("Allow")) == (405, "GET, HEAD, POST, DELETE")


# --- under load


def test_changes_close_no_socket_and_lose_no_request(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(10)]
    homes = [ws.whoami() for ws in sockets]
    for i in range(30):
        admin.set("ab"[i % 2], weight=i % 5 + 1, state=("up", "drain")[i % 3 == 0])
        admin.add(name=f"c{i}", address="127.0.0.1:1", weight=0)
        assert Person(roost, f"q{i}").get().status == 200
        admin.remove(f"c{i}")
        admin.set("ab"[i % 2], state="up")
    assert [ws.whoami() for ws in sockets] == homes
