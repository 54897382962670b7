# SPDX-License-Identifier: MIT
"""/metrics, read with Prometheus' own parser: it agrees with the table and with what was
done, never goes back, and bounds its labels."""

import copy
import json
import os
import shutil
import subprocess

import pytest
from peers import frames
from peers.admin import Admin, with_admin
from peers.client import Cut, Person, RawClient
from peers.metrics import fetch, scrape, table
from peers.roost import changed, entry, settings, without
from peers.waiting import wait_until
from peers.websocket import Swarm

HERE = os.path.dirname(os.path.abspath(__file__))
FAST = {"mode": "transparent", "rate": 1000, "debounce": "50ms", "drain_timeout": "2s"}


def proxy(stage, *names, **upstream):
    backends = stage.backends(*names)
    return stage.roost(with_admin(settings(backends, **upstream))), *backends


def settled(roost):
    """A scrape in which all is counted that clients have been told: each worker has
    ended the turn of its loop in which it told them."""
    assert Admin(roost).get("/v1/sessions?limit=0")["complete"]
    return scrape(roost)


def wait_sum(roost, n, name, **labels):
    """For what clients do not wait for, and for what happens in the end."""
    wait_until(lambda: scrape(roost).sum(name, **labels) == n, f"{name} {labels} is {n}")


def exchanges(roost, n, **labels):
    wait_sum(roost, n, "roost_exchanges_total", **labels)


# --- the text

@pytest.mark.quick
def test_it_is_what_the_table_says(stage):
    roost, a = proxy(stage, "a")
    Person(roost, "p").get()
    with Person(roost, "p").websocket() as ws:
        ws.ask("hello")
        ws.close(1000)
    s = settled(roost)
    rows = table()
    assert set(s.families) == set(rows)
    for name, f in s.families.items():
        kind, labels, help = rows[name]
        assert (f.type, f.documentation) == (kind, help)
        for sample in f.samples:
            assert set(sample.labels) - {"le"} <= labels, sample


def test_head_and_methods(stage):
    roost, a = proxy(stage, "a")
    r = fetch(roost, method="HEAD")
    assert (r.status, r.body) == (200, b"")
    assert int(r.header("Content-Length")) > 1000
    assert fetch(roost, method="DELETE").status == 405


def test_it_needs_the_token(stage, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef-token\n")
    backends = stage.backends("a")
    roost = stage.roost(with_admin(settings(backends), token_file=str(token)))
    assert fetch(roost).status == 401
    scrape(roost, [("Authorization", "Bearer 0123456789abcdef-token")])


def test_labels_do_not_grow_with_clients(stage):
    roost, a = proxy(stage, "a")

    def some(n):
        for i in range(n):
            p = Person(roost, f"client{n}.{i}", headers=[("User-Agent", f"x{n}.{i}")])
            p.get(f"/path{n}/{i}?q={i}")
            p.request(f"METHOD{i}", "/bytes/10")
            with p.websocket(f"/ws{n}.{i}") as ws:
                ws.close(4000 + i)
    some(3)
    wait_sum(roost, 3, "roost_sessions_ended_total")
    before = set(settled(roost).samples)
    some(20)
    wait_sum(roost, 23, "roost_sessions_ended_total")
    s = settled(roost)
    assert s.sum("roost_exchanges_total") == 9 + 60
    assert set(s.samples) == before


# --- what was done is what is counted

@pytest.mark.quick
def test_exchanges(stage):
    roost, a, b = proxy(stage, "a", "b")
    p = Person(roost, "p")
    home = p.backend()
    for _ in range(7):
        assert p.get("/bytes/1000").status == 200
    for status, n in ((404, 3), (503, 2), (302, 1)):
        for _ in range(n):
            assert p.get(f"/status/{status}").status == status
    assert p.request("POST", "/echo", body=b"x" * 5000).status == 200
    of = {"upstream": "app", "backend": home}
    s = settled(roost)
    name = "roost_exchanges_total"
    assert s.value(name, **of, code="2xx") == 9
    assert [s.value(name, **of, code=c) for c in ("none", "1xx", "3xx", "4xx", "5xx")] \
        == [0, 0, 1, 3, 2]
    assert s.sum(name) == 15
    assert s.sum("roost_exchanges_total", code="2xx") == 9
    assert s.value("roost_exchange_duration_seconds_count", upstream="app") == 15
    assert s.value("roost_exchange_first_byte_seconds_count", upstream="app") == 15
    assert s.value("roost_exchange_queue_seconds_count", upstream="app") == 0
    body = "roost_exchange_body_bytes_total"
    assert s.value(body, **of, **{"from": "client"}) == 5000
    assert s.value(body, **of, **{"from": "backend"}) >= 7 * 1000 + 5000
    assert s.value("roost_backend_connects_total", **of) + \
        s.value("roost_backend_reuses_total", **of) == 15
    assert s.value("roost_exchange_connect_seconds_count", upstream="app") == \
        s.sum("roost_backend_connects_total")
    assert s.sum("roost_backend_idle_connections") >= 1
    assert s.sum("roost_backend_exchanges") == 0
    assert s.value("roost_connections_accepted_total") == 15
    assert s.sum("roost_exchange_failures_total") == 0


def test_phases_take_their_time(stage):
    roost, a = proxy(stage, "a")
    Person(roost, "p").get("/slow/1100")
    Person(roost, "p").get("/drip/6/100")
    s = settled(roost)
    first = s.value("roost_exchange_first_byte_seconds_sum", upstream="app")
    total = s.value("roost_exchange_duration_seconds_sum", upstream="app")
    assert 1.08 < first < total - 0.1
    bucket = "roost_exchange_first_byte_seconds_bucket"
    assert s.value(bucket, upstream="app", le="1") == 1


def test_failures_by_reason(stage):
    a, = stage.backends("a")
    config = with_admin(settings([a, {"name": "gone", "address": "127.0.0.1:1",
                                      "state": "down"}], retries=0))
    config["routes"] = [{"path": "/", "host": "here", "upstream": "app"}]
    roost = stage.roost(config)
    with RawClient(roost.address) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: here\r\nBad Header: x\r\n\r\n")
        assert c.response().status == 400
    assert Person(roost, "p").get("/").status == 404
    here = [("Host", "here")]
    with RawClient(roost.address) as c, pytest.raises(Cut):
        c.get("/die/100", here)
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/hang", here))
        a.wait_events("request", target="/hang")
    failure = "roost_exchange_failures_total"
    wait_sum(roost, 1, failure, upstream="app", reason="client_gone")
    a.kill()
    with RawClient(roost.address) as c:
        assert c.get("/", here).status == 502
    s = settled(roost)
    assert s.value(failure, reason="bad_header") == 1
    assert s.value(failure, reason="no_route") == 1
    assert s.value(failure, upstream="app", reason="backend_lost") == 1
    assert s.value(failure, upstream="app", reason="connect_failed") == 1
    assert s.sum(failure) == 5
    assert s.value("roost_exchanges_total", code="4xx") == 1
    assert s.value("roost_exchanges_total", upstream="app", backend="a", code="none") == 1
    assert s.value("roost_backend_connect_failures_total", upstream="app", backend="a") == 1
    assert s.value("roost_backend_ejections_total", upstream="app", backend="a",
                   reason="failed_connections") == 1
    assert s.value("roost_backend_up", upstream="app", backend="a") == 0
    assert s.value("roost_backend_use", upstream="app", backend="a", use="failing") == 1
    assert s.sum("roost_backend_use", backend="a") == 1
    assert s.value("roost_backend_state", upstream="app", backend="gone", state="down") == 1


@pytest.mark.quick
def test_sessions(stage):
    roost, a = proxy(stage, "a")
    sizes = [0, 1, 64, 65, 5000, 70000]
    codes = [1000, 1000, 1001, 3005, 4242, 4999]
    for code in codes:
        with Person(roost, "p").websocket() as ws:
            for n in sizes:
                ws.ask("x" * n)
            ws.close(code)
    ws = Person(roost, "p").websocket()
    ws.raw.reset()
    n = len(codes) + 1
    wait_sum(roost, n, "roost_sessions_ended_total")
    s = settled(roost)
    of = {"upstream": "app", "backend": "a"}
    assert s.value("roost_sessions_opened_total", **of) == n
    assert s.value("roost_sessions", **of) == 0
    ended = {c: s.value("roost_sessions_ended_total", **of, cause=c)
             for c in ("clean", "going_away", "application", "client_lost")}
    assert ended == {"clean": 2, "going_away": 1, "application": 3, "client_lost": 1}
    for side in ("client", "backend"):
        seen = {c: s.value("roost_session_closes_total", **of, seen_by=side, code=c)
                for c in ("1000", "1001", "3xxx", "4xxx", "1006")}
        assert seen == {"1000": 2, "1001": 1, "3xxx": 1, "4xxx": 2, "1006": 1}
        message = {"upstream": "app", "from": side}
        name = "roost_session_message_bytes_"
        assert s.value(name + "count", **message) == len(sizes) * len(codes)
        assert s.value(name + "sum", **message) == sum(sizes) * len(codes)
        for le, up_to in ((64, 3), (256, 4), (4096, 4), (16384, 5), (262144, 6)):
            assert s.value(name + "bucket", **message, le=str(le)) == up_to * len(codes)
    assert s.value("roost_session_duration_seconds_count", upstream="app") == n
    # the handshakes are exchanges, their sockets' lives are no exchanges' durations
    assert s.value("roost_exchanges_total", **of, code="1xx") == n
    assert s.value("roost_exchange_duration_seconds_count", upstream="app") == 0
    with RawClient(roost.addresses[-1]) as c:
        (up,) = c.get("/v1/upstreams").json()["upstreams"]
    assert up["backends"][0]["ended"] == {
        "causes": {"clean": 2, "going_away": 1, "application": 3, "client_lost": 1},
        "client_codes": {"1000": 2, "1001": 1, "3xxx": 1, "4xxx": 2, "1006": 1},
        "backend_codes": {"1000": 2, "1001": 1, "3xxx": 1, "4xxx": 2, "1006": 1}}


def test_open_ones_are_gauges(stage):
    roost, a = proxy(stage, "a")
    sockets = [Person(roost, "p").websocket() for _ in range(3)]
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/hang"))
        a.wait_events("request", target="/hang")
        s = settled(roost)
        assert s.value("roost_connections") == 1
        assert s.value("roost_backend_exchanges", upstream="app", backend="a") == 1
        assert s.value("roost_sessions", upstream="app", backend="a") == 3
        assert s.value("roost_pins", held_by="use") >= 1
    wait_sum(roost, 0, "roost_connections")
    for ws in sockets:
        ws.close()
    wait_sum(roost, 0, "roost_sessions")


def test_queue_and_quotas(stage):
    backends = stage.backends("a")
    limits = {"max_connections": 1, "queue_timeout": "20s"}
    config = with_admin(settings(backends, limits=limits, client_limits={
        "by": "client", "rate": 1, "burst": 2}))
    roost, a = stage.roost(config), backends[0]
    with RawClient(roost.address) as first, RawClient(roost.address) as second:
        first.send(first.request_bytes("GET", "/stall", {"X-Client": "p"}))
        a.wait_events("request", target="/stall")
        second.send(second.request_bytes("GET", "/", {"X-Client": "q"}))
        wait_sum(roost, 1, "roost_exchanges_waiting", upstream="app")
        a.order("release")
        assert first.response().status == second.response().status == 200
    statuses = []
    while 429 not in statuses:
        settled(roost)  # the place of the one before is free
        statuses.append(Person(roost, "r").get().status)
    assert statuses[:2] == [200, 200]
    s = settled(roost)
    assert s.sum("roost_exchanges_total") == 2 + len(statuses)
    assert s.value("roost_exchanges_waiting", upstream="app") == 0
    assert s.value("roost_exchange_queue_seconds_count", upstream="app") == 1
    assert s.value("roost_quota_refusals_total", upstream="app", limit="client_rate") == 1
    assert s.value("roost_exchanges_total", upstream="app", code="4xx") == 1


def test_heartbeats(stage):
    roost, a = proxy(stage, "a", heartbeat={"interval": "150ms", "timeout": "1s"})
    with Person(roost, "p").websocket() as ws:
        while ws.read_frame().opcode != frames.CLOSE:
            pass  # and never answer a ping
    wait_sum(roost, 1, "roost_heartbeats_missed_total", upstream="app", to="client")
    wait_sum(roost, 1, "roost_sessions_ended_total", cause="heartbeat_timeout")
    s = settled(roost)
    assert s.value("roost_heartbeats_sent_total", upstream="app", to="client") >= 1
    assert s.value("roost_heartbeats_answered_total", upstream="app", to="client") == 0
    assert s.value("roost_heartbeats_answered_total", upstream="app", to="backend") >= 1
    assert s.value("roost_heartbeats_missed_total", upstream="app", to="backend") == 0
    assert s.value("roost_heartbeats_swept_total") == 0


@pytest.mark.quick
def test_moves(stage):
    roost, a, b = proxy(stage, "a", "b", rehome=FAST)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(12)]
    on_a = sum(ws.whoami() == "a" for ws in sockets)
    up = roost.config
    roost.reload(changed(up, "a", state="drain"))
    moved = {"upstream": "app", "why": "leaving"}
    wait_sum(roost, on_a, "roost_rehomes_done_total", **moved)
    s = settled(roost)
    assert s.value("roost_rehomes_started_total", **moved) == on_a
    assert s.value("roost_rehome_pause_seconds_count", upstream="app") == on_a
    assert s.value("roost_sessions", upstream="app", backend="b") == 12
    roost.reload(up)
    b.kill()
    lost = {"upstream": "app", "why": "lost"}
    wait_until(lambda: scrape(roost).sum("roost_rehomes_done_total") >= on_a + 12
               or scrape(roost).sum("roost_sessions", backend="a") == 12, "all are at a")
    wait_until(lambda: {ws.whoami() for ws in sockets} == {"a"}, "all are at a")
    s = settled(roost)
    assert s.value("roost_session_reconnects_total", upstream="app") >= 1
    assert s.value("roost_rehomes_done_total", **lost) == \
        s.value("roost_session_reconnects_total", upstream="app")


def test_moves_by_reconnect(stage):
    roost, a, b = proxy(stage, "a", "b", rehome={**FAST, "mode": "reconnect"})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(6)]
    on_a = [ws for ws in sockets if ws.whoami() == "a"]
    roost.reload(changed(roost.config, "a", state="drain"))
    assert {ws.close_code() for ws in on_a} <= {1012}
    closed = "roost_rehomes_closed_total"
    wait_sum(roost, len(on_a), closed, upstream="app", why="leaving")
    b.kill()
    on_b = [ws for ws in sockets if ws not in on_a]
    assert {ws.close_code() for ws in on_b} <= {1012, 1013}
    assert scrape(roost).sum(closed, upstream="app", why="lost") == 0  # nobody to come to
    for ws in sockets:
        ws.raw.close()


def test_clients_of_a_lost_backend(stage):
    roost, a, b = proxy(stage, "a", "b", rehome={**FAST, "mode": "reconnect"})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(6)]
    on_a = [ws for ws in sockets if ws.whoami() == "a"]
    a.kill()
    assert {ws.close_code() for ws in on_a} <= {1012}
    closed = "roost_rehomes_closed_total"
    wait_sum(roost, len(on_a), closed, upstream="app", why="lost")
    assert scrape(roost).sum(closed, upstream="app") == len(on_a)
    for ws in sockets:
        ws.raw.close()


# --- reloads, and load

@pytest.mark.quick
def test_counts_go_on_over_reloads(stage):
    a, b, c = stage.backends("a", "b", "c")
    config = with_admin(settings([a, b]))
    roost = stage.roost(config)
    p = Person(roost, "p")
    home = p.backend()
    s = settled(roost)
    assert s.sum("roost_exchanges_total", upstream="app", backend=home) == 1
    loaded = s.value("roost_config_loaded_timestamp_seconds")

    more = copy.deepcopy(config)
    more["upstreams"]["second"] = {"backends": [entry(c)]}
    more["routes"] = [{"path": "/second", "upstream": "second"},
                      {"path": "/", "upstream": "app"}]
    roost.reload(more)
    wait_until(lambda: Person(roost, "q").backend("/second/x") == "c", "it is there")
    assert p.backend() == home
    s = settled(roost)
    assert s.sum("roost_exchanges_total", upstream="app", backend=home) == 2
    assert s.sum("roost_exchanges_total", upstream="second") >= 1

    roost.reload(without(config, home))
    s = scrape(roost)
    assert s.sum("roost_exchanges_total", upstream="second") == 0
    assert not any("second" in dict(labels).values() for _, labels in s.samples)
    assert not any(dict(labels).get("backend") == home for _, labels in s.samples)
    # of the upstream as a whole nothing is forgotten
    assert s.value("roost_exchange_duration_seconds_count", upstream="app") >= 2

    roost.reload(config)
    s = scrape(roost)
    assert s.sum("roost_exchanges_total", upstream="app", backend=home) == 0
    roost.reload("nonsense: [", fails=True)
    s = scrape(roost)
    assert s.value("roost_config_reloads_total", result="good") == 3
    assert s.value("roost_config_reloads_total", result="bad") == 1
    assert s.value("roost_config_loaded_timestamp_seconds") > loaded


def test_a_reload_that_changes_nothing_went_well(stage):
    roost, a = proxy(stage, "a")
    admin = Admin(roost)
    loaded = scrape(roost).value("roost_config_loaded_timestamp_seconds")
    admin.post("/v1/reload")
    s = scrape(roost)
    assert s.value("roost_config_reloads_total", result="good") == 1
    assert s.value("roost_config_loaded_timestamp_seconds") > loaded


def test_counts_go_on_over_what_the_administrator_changes(stage):
    roost, a, b = proxy(stage, "a", "b")
    p = Person(roost, "p")
    home = p.backend()
    exchanges(roost, 1, upstream="app", backend=home)
    Admin(roost).set(home, weight=7)
    assert p.backend() == home
    exchanges(roost, 2, upstream="app", backend=home)
    s = settled(roost)
    assert s.value("roost_backend_weight", upstream="app", backend=home) == 7
    assert s.value("roost_exchange_duration_seconds_count", upstream="app") == 2
    Admin(roost).remove(home)
    assert scrape(roost).value("roost_exchange_duration_seconds_count", upstream="app") == 2


def test_nothing_goes_back_under_load(stage):
    roost, a, b = proxy(stage, "a", "b", rehome=FAST)
    config, seen, n = roost.config, {}, 0
    more = copy.deepcopy(config)
    more["upstreams"]["second"] = {"backends": [entry(b)]}
    with Swarm(roost, 40) as swarm:
        for i in range(12):
            if i % 3 == 1:
                roost.reload(more if i % 2 else config)
            if i == 5:
                roost.reload(changed(config, "a", state="drain"))
            for j in range(20):
                Person(roost, f"p{j}").get(f"/bytes/{j}")
            n += 20
            now = {k: v for k, v in scrape(roost).counters().items()
                   if ("upstream", "second") not in k[1]}
            for key, value in seen.items():
                assert now.get(key, 0) >= value, key
            seen = now
        swarm.finish()
        swarm.check_exact()
        sent = sum(m.sent for m in swarm.members)
    wait_sum(roost, n, "roost_exchanges_total", upstream="app", code="2xx")
    wait_sum(roost, sent, "roost_session_message_bytes_count",
             **{"upstream": "app", "from": "client"})
    assert settled(roost).value("roost_session_message_bytes_count", upstream="app",
                                **{"from": "backend"}) == sent


def test_process(stage):
    roost, a = proxy(stage, "a")
    s = scrape(roost)
    assert abs(s.value("process_open_fds") - roost.descriptors()) <= 2
    assert abs(s.value("process_resident_memory_bytes") / 1024 - roost.rss_kib()) < 20000
    before = s.value("process_cpu_seconds_total")
    for _ in range(50):
        Person(roost, "p").get()
    s = scrape(roost)
    assert s.value("process_cpu_seconds_total") > before
    assert s.value("process_start_time_seconds") <= \
        s.value("roost_config_loaded_timestamp_seconds") + 0.001
    assert s.value("roost_workers") == 2
    assert s.sum("roost_build_info") == 1


# --- what is made of it

def test_dashboard_is_sound():
    with open(os.path.join(HERE, "../../contrib/ops/roost-dashboard.json")) as f:
        board = json.load(f)
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids))
    for p in board["panels"]:
        assert p["type"] == "row" or all(t["expr"] for t in p["targets"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
def test_promtool_finds_nothing_to_say(stage):
    roost, a = proxy(stage, "a")
    Person(roost, "p").get()
    done = subprocess.run(["promtool", "check", "metrics"], input=fetch(roost).body,
                          capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
