# SPDX-License-Identifier: MIT
"""roost as a process, by its admin API: version, configuration, log, reload; and its
lists: sessions filtered and sorted, pins, re-homing under way."""

import copy
import signal

import pytest
from peers.admin import Admin, scene, with_admin
from peers.client import Person
from peers.roost import changed, settings
from peers.waiting import wait_until


@pytest.fixture(scope="module")
def quiet(shared_stage):
    roost, admin, *_ = scene(shared_stage, "a", "b")
    return admin


def test_version(quiet):
    told = quiet.get("/v1/version")
    assert told["version"] == quiet.get("/v1/status")["version"]
    assert set(told["libraries"]) == {"libevent", "openssl", "jansson"}
    assert {"debug", "sanitizers", "brotli"} <= set(told["features"])


def test_what_is_left_can_be_seen_while_it_stops(stage):
    roost, admin, a = scene(stage, "a")
    config = copy.deepcopy(roost.config)
    config["shutdown"] = {"grace": "20s"}
    roost.reload(config)
    deaf = Person(roost, "p").websocket()  # answers no Close
    assert deaf.whoami() == "a"
    admin.get("/healthz", 200)
    roost.signal(signal.SIGTERM)
    wait_until(lambda: admin.ask("GET", "/healthz").status == 503, "it says so")
    assert admin.get("/v1/status")["state"] == "stopping"
    assert [s["backend"] for s in admin.get("/v1/sessions")["sessions"]] == ["a"]
    admin.ask("GET", "/metrics")
    for path in ("/v1/reload", "/v1/upgrade", "/v1/upstreams/app/backends/a"):
        assert admin.ask("POST", path).status == 503
    roost.signal(signal.SIGTERM)
    assert roost.wait_exit() == 0


# --- configuration


@pytest.mark.quick
def test_the_configuration_as_json_and_yaml(quiet):
    config = quiet.get("/v1/config")["config"]
    assert config["workers"] == 2
    (app,) = config["upstreams"].values()
    assert [b["name"] for b in app["backends"]] == ["a", "b"]
    assert app["rehome"]["threshold"] == "20%" and app["backends"][0]["weight"] == 1
    assert app["backends"][0]["backup"] is False
    r = quiet.ask("GET", "/v1/config?format=yaml")
    assert r.header("Content-Type") == "application/yaml"
    assert b"\nupstreams:\n" in r.body
    quiet.get("/v1/config?format=xml", 400)


def test_secrets_are_not_shown(stage, tmp_path):
    config = with_admin(settings(stage.backends("a"), health={
        "http": "/healthz", "headers": {"Authorization": "s3cret-1"}}))
    config["routes"] = [{
        "path": "/", "upstream": "app", "headers": {"X-Door": "s3cret-2"},
        "request_headers": {"set": {"X-Key": "s3cret-3"}, "add": {"X-B": "s3cret-4"}},
        "response_headers": {"set": {"X-Shown": "plain"}}}]
    roost = stage.roost(config)
    admin = Admin(roost)
    for target in ("/v1/config", "/v1/config?format=yaml"):
        body = admin.ask("GET", target).body
        assert b"s3cret" not in body and b"X-Door" in body and b"plain" in body
    assert admin.get("/v1/config")["config"]["routes"][0]["request_headers"]["set"] == {
        "X-Key": "(hidden)"}


# --- log


def test_the_log_level_is_set_and_stays_until_the_file_changes_it(stage):
    roost, admin, *_ = scene(stage, "a")
    config = copy.deepcopy(roost.config)
    config["log"]["level"] = "info"
    roost.reload(config)

    def level(value, status=200):
        return admin.post("/v1/log", status, method="PUT", level=value)

    assert level("debug")["level"] == "debug"
    roost.reload(changed(config, "a", weight=2))
    assert admin.get("/v1/log")["level"] == "debug"
    assert admin.get("/v1/log")["configured"] == "info"
    assert level(None)["level"] == "info"
    level("error")
    roost.mark()
    config["log"]["level"] = "notice"
    roost.reload(config)
    assert admin.get("/v1/log")["level"] == "notice"
    level("loud", 400)
    level(3, 400)
    admin.post("/v1/log", 400, method="PUT")
    admin.post("/v1/log", 400, method="PUT", level="info", topic="x")
    assert admin.get("/v1/log")["level"] == "notice"


# --- reload


def test_reload_tells_what_the_parser_says(stage):
    roost, admin, *_ = scene(stage, "a", "b")
    assert admin.post("/v1/reload") == {"changed": False, "changes": [], "restart": []}
    good = roost.config
    roost.write(changed(good, "b", weight=3))
    told = admin.post("/v1/reload")
    assert told["changes"] == ["upstreams.app.backends.b.weight: 1 -> 3"]
    bad = changed(good, "b", weight=5000)
    bad["colour"] = "red"
    roost.write(bad)
    told = admin.post("/v1/reload", 422)
    assert told["error"] == "invalid" and len(told["problems"]) == 2
    assert any("colour" in p for p in told["problems"])
    assert all(p.startswith(roost.file + ":") for p in told["problems"])
    assert admin.backend("b")["weight"] == 3
    restart = copy.deepcopy(good)
    restart["workers"] = 3
    roost.write(restart)
    assert admin.post("/v1/reload")["restart"] == ["workers: 2 -> 3"]
    admin.post("/v1/reload", 400, file="/etc/passwd")


def test_reload_needs_no_body(quiet):
    assert quiet.ask("POST", "/v1/reload").status == 200


# --- sessions


@pytest.fixture(scope="module")
def crowd(shared_stage):
    """Ten sessions; number i has sent i messages. Nobody is there to answer pings."""
    roost, admin, *_ = scene(shared_stage, "a", "b", rehome={"mode": "off"},
                             heartbeat={"interval": "0"})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(10)]
    for i, ws in enumerate(sockets):
        for _ in range(i):
            ws.whoami()
    yield admin, sockets
    for ws in sockets:
        ws.close()


def rows(admin, query):
    told = admin.get(f"/v1/sessions?{query}")
    assert told["complete"]
    return told["sessions"]


def said(session):
    return session["client_side"]["messages"]


@pytest.mark.quick
def test_sessions_are_sorted(crowd):
    admin, _ = crowd
    assert [said(s) for s in rows(admin, "sort=messages")] == list(range(9, -1, -1))
    assert [said(s) for s in rows(admin, "sort=messages&limit=3")] == [9, 8, 7]
    assert [said(s) for s in rows(admin, "sort=messages&limit=3&offset=4")] == [5, 4, 3]
    ages = [s["opened_at"] for s in rows(admin, "sort=oldest")]
    assert ages == sorted(ages)
    ages = [s["opened_at"] for s in rows(admin, "sort=newest")]
    assert ages == sorted(ages, reverse=True)
    for sort in ("idle", "bytes", "moves", "rtt", "queued"):
        assert len(rows(admin, f"sort={sort}")) == 10


def test_pages_of_any_order_leave_nobody_out(crowd):
    admin, _ = crowd
    for sort in ("newest", "oldest", "moves", "messages"):
        pages = [rows(admin, f"sort={sort}&limit=3&offset={o}") for o in (0, 3, 6, 9)]
        assert len({s["id"] for page in pages for s in page}) == 10


def test_sessions_are_filtered(crowd):
    admin, _ = crowd
    all_of_them = rows(admin, "")
    for key in ("backend", "worker"):
        for value in {s[key] for s in all_of_them}:
            fit = {s["id"] for s in all_of_them if s[key] == value}
            assert {s["id"] for s in rows(admin, f"{key}={value}")} == fit
    assert len(rows(admin, "state=connected")) == 10
    assert rows(admin, "state=reconnecting") == [] == rows(admin, "state=moving")
    assert rows(admin, "min_age=1h") == []
    assert len(rows(admin, "max_age=1h")) == 10
    one = all_of_them[3]["id"]
    assert [s["id"] for s in rows(admin, f"session={one}")] == [one]


@pytest.mark.parametrize("query", [
    "sort=colour", "state=open", "worker=2", "worker=-1", "min_age=x", "max_age=-1s",
    "limit=1&limit=2",
])
def test_filters_that_are_wrong(quiet, query):
    quiet.get(f"/v1/sessions?{query}", 400)


# --- pins, re-homing


def test_pins_are_listed(crowd):
    admin, sockets = crowd
    told = admin.get("/v1/pins/app")
    assert told["complete"] and told["total"] == 10 and len(told["pins"]) == 10
    assert {p["why"] for p in told["pins"]} == {"websocket_lock"}
    assert {p["n_sessions"] for p in told["pins"]} == {1}
    of_a = admin.get("/v1/pins/app?backend=a")["pins"]
    assert {p["backend"] for p in of_a} == {"a"}
    assert len(of_a) == admin.backend("a")["sessions"]
    told = admin.get("/v1/pins/app?limit=4")
    assert len(told["pins"]) == 4 and not told["complete"]
    one = told["pins"][0]
    assert admin.explain("key:" + one["key"])["backend"]["name"] == one["backend"]


def test_rehomes_under_way_are_listed(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome={"mode": "transparent", "rate": 1})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(12)]
    assert {ws.whoami() for ws in sockets} == {"a", "b"}
    assert admin.get("/v1/rehomes")["rehomes"] == []
    n = admin.backend("a")["sessions"]
    admin.set("a", state="drain")
    (one,) = admin.get("/v1/rehomes?upstream=app")["rehomes"]
    assert (one["backend"], one["why"], one["use"]) == ("a", "leaving", "draining")
    assert 0 < one["left"] <= n
    wait_until(lambda: admin.get("/v1/rehomes")["done"] > 0, "the first has moved")
    admin.set("a", state="up")
    assert admin.get("/v1/rehomes")["rehomes"] == []
    admin.post("/v1/rehome", 202, upstream="app", backend="a")
    (one,) = admin.get("/v1/rehomes")["rehomes"]
    assert one["why"] == "asked" and one["moved"] < 3 and one["asked_at"]
    for ws in sockets:
        ws.close()
