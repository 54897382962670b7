# SPDX-License-Identifier: MIT
"""The admin API: who may ask, what it answers, why a client is where it is, what would
be moved and that it is, and that moves on request lose nothing."""

import json
import os
import stat
import threading
import time

import pytest
from peers.admin import Admin, scene, with_admin
from peers.client import Person, RawClient
from peers.roost import changed, entry, run, settings
from peers.waiting import holds_for, let_pass, scaled, wait_until
from peers.websocket import Closed, Swarm
from peers.yaml_text import to_yaml

TOKEN = "0123456789abcdef-token"


def token_file(directory, text=TOKEN + "\n"):
    path = os.path.join(str(directory), "token")
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


# --- what is there


@pytest.fixture(scope="module")
def quiet(shared_stage):
    roost, admin, *_ = scene(shared_stage, "a", "b")
    return admin


@pytest.mark.quick
def test_the_list_is_complete_and_every_get_of_it_answers(quiet):
    listed = quiet.get("/v1")["endpoints"]
    assert len(listed) >= 8
    for e in listed:
        assert set(e) == {"method", "path", "parameters", "access", "help"}
        path = e["path"].replace("{upstream}", "app").replace("{client}", "header:x")
        path = path.replace("{backend}", "a")
        if e["method"] == "GET" and path != "/metrics":  # which is no JSON
            quiet.get(path)


def test_status(quiet):
    status = quiet.get("/v1/status")
    assert status["state"] == "running" and status["workers"] == 2
    assert status["version"] and status["pid"] > 1 and status["uptime_ms"] >= 0
    assert status["started_at"] > 1_600_000_000_000
    assert "sessions" in status["counters"]


def test_counters_count_requests(stage):
    roost, admin, *_ = scene(stage, "a")
    for _ in range(3):
        Person(roost, "anna").backend()
    assert admin.get("/v1/status")["counters"]["exchanges"] == 3


def test_upstreams_say_what_each_backend_is_good_for(stage):
    a, b, c = stage.backends("a", "b", "c")
    c.kill()
    roost = stage.roost(with_admin(settings(
        [entry(a, weight=3), entry(b, state="drain"), entry(c)])))
    admin = Admin(roost)

    def failing():
        Person(roost).backend()
        row = admin.backend("c")
        return row if row["use"] == "failing" else None

    third = wait_until(failing, "c is left alone")
    (up,) = admin.get("/v1/upstreams")["upstreams"]
    assert up["rehome_mode"] == "reconnect" and up["balance"] == "least-sessions"
    first = admin.backend("a")
    assert (first["use"], first["state"], first["weight"]) == ("usable", "up", 3)
    assert first["why"] is None and first["failing_until_at"] is None
    assert (admin.backend("b")["state"], admin.backend("b")["use"]) == (
        "drain", "draining")
    assert third["failures"] >= 1 and third["failing_until_at"]
    assert third["why"].endswith("(Connection refused)")
    roost.wait_log(r"app/c is left alone for .* \(no connection: Connection refused, ")


def test_sockets_are_counted_where_they_are(stage):
    """A move begins with the pin. Who is to be stopped must be empty of sockets, too."""
    roost, admin, a, b = scene(stage, "a", "b", rehome={
        "mode": "transparent", "debounce": "0ms", "drain_timeout": "2s"})
    people = [Person(roost, f"p{i}") for i in range(2)]
    held = [p.websocket("/ws?stall") for p in people]  # a does not answer the Close
    wait_until(lambda: admin.backend("a")["sockets"] == admin.backend("b")["sockets"]
               == 1, "each has one")
    roost.reload(changed(roost.config, "a", state="drain"))
    row = wait_until(lambda: (r := admin.backend("a"))["sessions"] == 0 and r,
                     "the pin has moved")
    assert row["sockets"] == 1, "its socket has not"
    wait_until(lambda: admin.backend("a")["sockets"] == 0, "it has moved")
    assert admin.backend("b")["sockets"] == 2
    for ws in held:
        ws.reset()
    wait_until(lambda: admin.backend("b")["sockets"] == 0, "they are gone")


def test_sockets_of_moves_that_fail_are_not_counted(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome={
        "mode": "transparent", "debounce": "0ms"})
    held = [Person(roost, f"p{i}").websocket() for i in range(2)]
    b.order("refuse_handshakes", status=503)
    roost.reload(changed(roost.config, "a", state="drain"))
    b.wait_events("handshake", rehomed_from="a")
    wait_until(lambda: admin.backend("b")["sockets"] == 1, "the try is over")
    assert admin.backend("a")["sockets"] == 1
    assert all(ws.whoami() for ws in held)


@pytest.mark.parametrize("method, target, status, allow", [
    ("GET", "/", 404, None),
    ("GET", "/v1/", 404, None),
    ("GET", "/v1/status/x", 404, None),
    ("GET", "/v1/pins/app/", 404, None),
    ("GET", "/v1//status", 404, None),
    ("POST", "/v1/status", 405, "GET, HEAD"),
    ("DELETE", "/v1/sessions", 405, "GET, HEAD"),
    ("PUT", "/v1/pins/app/header:x", 405, "GET, HEAD"),
    ("GET", "/v1/rehome", 405, "POST"),
    ("GET", "/v1/kick", 405, "POST"),
    ("HEAD", "/v1/rehome", 405, "POST"),
    ("OPTIONS", "/v1/rehome", 405, "POST"),
    ("GET", "/v1/sessions?limit=many", 400, None),
    ("GET", "/v1/sessions?limit=1001", 400, None),
    ("GET", "/v1/sessions?limit=-1", 400, None),
    ("GET", "/v1/sessions?colour=red", 400, None),
    ("GET", "/v1/status?client=x", 400, None),
    ("GET", "/v1/sessions?client=nobody", 400, None),
    ("GET", "/v1/sessions?upstream=nope", 404, None),
    ("GET", "/v1/plan?upstream=nope", 404, None),
    ("GET", "/v1/pins/nope/header:x", 404, None),
    ("GET", "/v1/pins/app/cookie:x", 400, None),
    ("GET", "/v1/pins/app/address:here", 400, None),
    ("GET", "/v1/pins/app/header:", 400, None),
    ("GET", "/v1/pins/app/%zz", 400, None),
    ("GET", "/v1/pins/nope", 404, None),
    ("GET", "/v1/pins/app?limit=1001", 400, None),
    ("GET", "/v1/pins/app?backend=nope", 404, None),
    ("GET", "/v1/pins/app/header:a%00b", 400, None),
    ("GET", "/v1/pins/app/" + "a" * 2000, 400, None),
])
def test_what_is_wrong_is_said(quiet, method, target, status, allow):
    r = quiet.ask(method, target)
    assert r.status == status, (r.status, r.body)
    assert r.header("Allow") == allow
    if method != "HEAD":
        assert set(r.json()) == {"error", "message"}


def test_a_head_is_a_get_without_body(quiet):
    with RawClient(quiet.address) as c:
        r = c.request("HEAD", "/v1")
        assert r.status == 200 and int(r.header("Content-Length")) > 100
        assert c.get("/v1").status == 200  # and nothing was left over


@pytest.mark.parametrize("body, status", [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b'"x"', 400),
    (b"{}", 400),
    (b'{"upstream": "app"}', 400),
    (b'{"upstream": 1, "client": "header:x"}', 400),
    (b'{"upstream": "app", "client": "header:x", "backend": "a"}', 400),
    (b'{"upstream": "app", "client": "header:x", "colour": "red"}', 400),
    (b'{"upstream": "app", "upstream": "app", "client": "header:x"}', 400),
    (b'{"upstream": "app", "client": "x"}', 400),
    (b'{"upstream": "app", "client": "header:\xff"}', 400),
    (b'{"upstream": "app", "client": "header:x", "dry_run": 1}', 400),
    (b'{"upstream": "nope", "client": "header:x"}', 404),
    (b'{"upstream": "app", "backend": "nope"}', 404),
    (b'{"upstream": "app", "backend": "a", "to": "nope"}', 404),
    (b'{"upstream": "app", "backend": "a", "to": "a"}', 400),
    (b'{"upstream": "app", "client": "header:unheard-of"}', 404),
    (b"[" * 60000, 400),
    (b" " * 65536, 400),
    (b" " * 65537, 413),
])
def test_bodies_that_are_wrong(quiet, body, status):
    r = quiet.ask("POST", "/v1/rehome", body=body)
    assert r.status == status, (r.status, r.body)


def test_a_huge_body_is_refused_by_its_announcement(quiet):
    """Its bytes would meet the end of the connection, and a reset the answer."""
    with RawClient(quiet.address) as c:
        c.send(c.request_bytes("POST", "/v1/rehome", [("Content-Length", "1000000")]))
        assert c.response().status == 413


def test_a_body_without_end_is_refused(quiet):
    with RawClient(quiet.address) as c:
        c.send(c.request_bytes("POST", "/v1/rehome",
                               [("Transfer-Encoding", "chunked")]))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(200):
                c.send(chunk)
        except OSError:
            pass
        else:
            assert c.response().status == 413
    quiet.get("/healthz")


def test_connections_are_kept(quiet):
    with RawClient(quiet.address) as c:
        for target in ("/v1/sessions", "/v1/status", "/v1/pins/app/header:x") * 3:
            assert c.get(target).status == 200
        c.send(c.request_bytes("GET", "/v1/sessions") * 5)
        for _ in range(5):
            assert c.response().status == 200


def test_who_does_not_wait_for_the_answer(quiet):
    for _ in range(50):
        c = RawClient(quiet.address)
        c.send(c.request_bytes("GET", "/v1/sessions"))
        c.reset()
    quiet.get("/v1/sessions")


# --- who may ask


@pytest.mark.parametrize("header", [
    ("Origin", "http://127.0.0.1"), ("Origin", "null"),
    ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin"),
    ("Host", "rebound.example.com"),
])
def test_no_browser_gets_in(quiet, header):
    assert quiet.ask("GET", "/v1/status", [header]).status == 403
    r = quiet.ask("POST", "/v1/rehome", [header], b"{}")
    assert r.status == 403 and r.json()["error"] == "forbidden"


@pytest.mark.parametrize("host", ["localhost", "localhost:9900", "127.0.0.1", "[::1]:1"])
def test_hosts_that_no_page_can_own(quiet, host):
    assert quiet.ask("GET", "/v1/status", [("Host", host)]).status == 200


def test_a_token_is_asked_for(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(with_admin(settings([a]), token_file=token_file(stage.directory)))
    nobody = Admin(roost)
    assert nobody.get("/healthz") == {"status": "ok"}
    for headers in ([], [("Authorization", TOKEN)], [("Authorization", "Basic " + TOKEN)],
                    [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
                    [("Authorization", "Bearer " + TOKEN[:-1])],
                    [("Authorization", "Bearer " + TOKEN + "x")],
                    [("Authorization", "Bearer " + TOKEN[:-1] + "X")]):
        r = nobody.ask("GET", "/v1/status", headers)
        assert r.status == 401 and r.header("WWW-Authenticate") == "Bearer", headers
        assert nobody.ask("POST", "/v1/rehome", headers, b"{}").status == 401
    Admin(roost, TOKEN).get("/v1/status")
    r = nobody.ask("GET", "/v1/status", [("Authorization", "bearer  " + TOKEN),
                                         ("Host", "admin.example.com")])
    assert r.status == 200


def test_a_reload_reads_the_token_anew(stage):
    (a,) = stage.backends("a")
    path = token_file(stage.directory)
    roost = stage.roost(with_admin(settings([a]), token_file=path))
    Admin(roost, TOKEN).get("/v1/status")
    token_file(stage.directory, "another-token-16-long")
    roost.reload(roost.config)
    wait_until(lambda: Admin(roost, "another-token-16-long").ask(
        "GET", "/v1/status").status == 200, "the new token is good")
    assert Admin(roost, TOKEN).ask("GET", "/v1/status").status == 401
    token_file(stage.directory, "short")
    roost.reload(roost.config, fails=True)
    assert roost.logged("a token needs at least 16 characters")
    Admin(roost, "another-token-16-long").get("/v1/status")


def check(tmp_path, config):
    path = str(tmp_path / "r.yaml")
    with open(path, "w") as f:
        f.write(to_yaml(config))
    return run("-t", "-c", path)


@pytest.mark.parametrize("bind, good", [
    ("127.0.0.1:9900", True), ("127.9.9.9:9900", True), ("[::1]:9900", True),
    ("unix:/tmp/x.sock", True), ("0.0.0.0:9900", False), ("*:9900", False),
    ("10.0.0.1:9900", False), ("[::]:9900", False), ("[::ffff:10.0.0.1]:9900", False),
])
def test_who_needs_a_token_is_told_by_the_check(tmp_path, bind, good):
    plain = settings([{"name": "a", "address": "127.0.0.1:1"}])
    said = check(tmp_path, with_admin(plain, bind))
    assert said.returncode == (0 if good else 1), said.stderr
    if not good:
        assert "token_file" in said.stderr
    path = token_file(tmp_path)
    # an address of another host is another matter, and told, too
    assert "token" not in check(tmp_path, with_admin(plain, bind, token_file=path)).stderr


@pytest.mark.parametrize("text", ["", "tooshort\n", "two words are not one token",
                                  "x" * 600, "\x01" * 20])
def test_bad_tokens_are_told_by_the_check(tmp_path, text):
    plain = settings([{"name": "a", "address": "127.0.0.1:1"}])
    path = token_file(tmp_path, text)
    said = check(tmp_path, with_admin(plain, token_file=path))
    assert said.returncode == 1 and path in said.stderr


def test_a_missing_token_file_stops_the_start(tmp_path):
    plain = settings([{"name": "a", "address": "127.0.0.1:1"}])
    said = check(tmp_path, with_admin(plain, token_file=str(tmp_path / "none")))
    assert said.returncode == 1 and "No such file" in said.stderr


def test_the_flag(stage, tmp_path):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([a]), ["-A", "127.0.0.1:0"])
    Admin(roost).get("/v1/status")
    said = run("-t", "-A", "*:9900", "-L", "127.0.0.1:0", "-U", a.address)
    assert said.returncode == 1 and said.stderr.startswith("-A: ")


def test_a_unix_socket_is_for_its_owner(stage, tmp_path):
    path = str(tmp_path / "admin.sock")
    (a,) = stage.backends("a")
    roost = stage.roost(with_admin(settings([a]), "unix:" + path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    admin = Admin(roost)
    assert admin.address == path
    admin.get("/v1/status")
    r = admin.ask("GET", "/v1/status", [("Host", "any.example.com")])
    assert r.status == 200
    roost.stop()
    assert not os.path.exists(path)


def test_an_address_that_is_taken_stops_the_start(stage):
    roost, admin, a = scene(stage, "a")
    said = run("-L", "127.0.0.1:0", "-U", a.address, "-A", "%s:%d" % admin.address)
    assert said.returncode == 2 and "cannot listen" in said.stderr


# --- sessions


def test_sessions_can_be_found(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    sockets = {f"p{i}": Person(roost, f"p{i}").websocket() for i in range(20)}
    homes = {name: ws.whoami() for name, ws in sockets.items()}
    everyone = admin.get("/v1/sessions")
    assert everyone["matched"] == 20 and everyone["complete"]
    assert len({s["id"] for s in everyone["sessions"]}) == 20
    opened = [s["opened_at"] for s in everyone["sessions"]]
    assert opened == sorted(opened, reverse=True)
    at_a = admin.get("/v1/sessions?upstream=app&backend=a")
    assert at_a["matched"] == sum(h == "a" for h in homes.values())
    assert {s["backend"] for s in at_a["sessions"]} == {"a"}
    (one,) = admin.get("/v1/sessions?client=header:p7")["sessions"]
    assert one["backend"] == homes["p7"] and one["state"] == "connected"
    assert one["client_side"]["messages"] == 1 and one["moves"] == 0
    assert one["address"].startswith("127.0.0.1:")
    by_key = admin.get(f"/v1/sessions?client=key:{one['key']}")["sessions"]
    assert [s["id"] for s in by_key] == [one["id"]]
    assert admin.get("/v1/sessions?client=header:nobody")["matched"] == 0
    assert admin.get("/v1/sessions?backend=nope")["matched"] == 0


def test_sessions_come_in_pages(stage):
    roost, admin, a = scene(stage, "a")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(25)]
    pages = [admin.get(f"/v1/sessions?limit=10&offset={at}") for at in (0, 10, 20, 30)]
    assert [len(p["sessions"]) for p in pages] == [10, 10, 5, 0]
    assert {p["matched"] for p in pages} == {25}
    ids = [s["id"] for p in pages for s in p["sessions"]]
    assert len(set(ids)) == 25
    assert admin.get("/v1/sessions?limit=0")["sessions"] == []
    del sockets


def test_many_sessions_that_come_and_go_while_they_are_listed(stage):
    roost, admin, a, b = scene(stage, "a", "b", heartbeat={"interval": "0"})
    stop = threading.Event()

    def come_and_go(n):
        while not stop.is_set():
            sockets = [Person(roost, f"g{n}-{i}").websocket() for i in range(40)]
            for ws in sockets:
                ws.reset()

    staying = [Person(roost, f"p{i}").websocket() for i in range(600)]
    threads = [threading.Thread(target=come_and_go, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    try:
        for _ in range(30):
            got = admin.get("/v1/sessions?limit=1000")
            assert got["matched"] >= 600 and got["complete"]
            ids = [s["id"] for s in got["sessions"]]
            assert len(ids) == len(set(ids))
    finally:
        stop.set()
        for t in threads:
            t.join()
    wait_until(lambda: admin.get("/v1/sessions?limit=0")["matched"] == 600,
               "only those that stay are left")
    del staying


# --- explain


def test_why_a_websocket_lock(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    with Person(roost, "anna").websocket() as ws:
        home = ws.whoami()
        e = admin.explain("header:anna")
        assert e["bound"] and e["why"] == "websocket_lock"
        assert e["backend"]["name"] == home and e["n_sessions"] == 1
        assert 290_000 < e["until_at"] - e["since_at"] <= 300_100
        assert e["until_at"] == e["websocket_lock_until_at"]
        assert [s["backend"] for s in e["sessions"]] == [home]
        assert e["now"]["http"] == {"backend": home, "why": "websocket_lock"}
        assert e["now"]["move"] is None
        assert e["explanation"]
    # the client is gone without a Close, which roost has yet to see
    wait_until(lambda: admin.explain("header:anna")["sessions"] == [], "it is gone")
    assert admin.explain("header:anna")["why"] == "websocket_lock"


def test_why_an_open_session(stage):
    roost, admin, a, b = scene(stage, "a", "b", pin={"websocket": "0s", "http": "0s"})
    with Person(roost, "anna").websocket() as ws:
        e = admin.explain("header:anna")
        assert (e["why"], e["backend"]["name"]) == ("session", ws.whoami())
        assert e["until_at"] is None and e["websocket_lock_until_at"] is None
        assert e["now"]["websocket"]["why"] == "session"


def test_why_an_http_lock(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    begun = time.monotonic()
    home = Person(roost, "anna").backend()
    e = admin.explain("header:anna")
    took_ms = (time.monotonic() - begun) * 1000
    assert (e["why"], e["backend"]["name"]) == ("http_lock", home)
    assert 0 < e["until_at"] - e["since_at"] <= 15_100 + took_ms
    assert e["sessions"] == [] and e["n_exchanges"] == 0


def test_why_the_policy(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    with Person(roost, "other").websocket() as ws:
        home = ws.whoami()
        e = admin.explain("header:stranger")
        assert not e["bound"] and e["why"] == "policy" and e["since_at"] is None
        free = "b" if home == "a" else "a"
        assert e["backend"]["name"] == free
        assert e["now"]["websocket"] == {"backend": free, "why": "policy"}
        # asking binds nobody
        assert not admin.explain("header:stranger")["bound"]
        assert admin.get("/v1/status")["pins"] == 1


def test_why_nobody(stage):
    roost, admin, a = scene(stage, "a")
    roost.reload(changed(roost.config, "a", state="down"))
    wait_until(lambda: admin.explain("header:anna")["backend"] is None, "a is out")
    e = admin.explain("header:anna")
    assert e["why"] is None and e["now"]["http"] == {"backend": None, "why": None}


def test_a_drain_shows_what_it_would_be_now(stage):
    roost, admin, a, b = scene(stage, "a", "b",
                               rehome={"mode": "transparent", "debounce": "3s"})
    with Person(roost, "anna").websocket() as ws:
        home = ws.whoami()
        other = "b" if home == "a" else "a"
        roost.reload(changed(roost.config, home, state="drain"))
        e = wait_until(lambda: (x := admin.explain("header:anna"))["now"]["move"] and x,
                       "the move is planned")
        assert e["now"]["move"] == {"to": other, "why": "leaving"}
        assert e["now"]["policy"] == other and e["backend"]["use"] == "draining"
        wait_until(lambda: ws.whoami() == other, "she has moved")
        assert admin.explain("header:anna")["backend"]["name"] == other


def test_clients_are_named_as_their_key_is(stage):
    a, b = stage.backends("a", "b")
    roost = stage.roost(with_admin(settings(
        [a, b], client_key=["query:who", "cookie:sid", "cookie:roost", "address"])))
    admin = Admin(roost)
    first = Person(roost, query="who=a%20nna")
    with first.websocket() as ws:
        e = admin.explain("query:a%20nna")
        assert e["backend"]["name"] == ws.whoami() and e["client"] == "query:a nna"
    with Person(roost, headers=[("Cookie", "sid=s/1")]).websocket() as ws:
        e = admin.explain("cookie:s%2F1")
        assert e["bound"] and e["backend"]["name"] == ws.whoami()
    browser = Person(roost, jar=True)
    browser.backend()
    cookie = browser.jar["roost"]
    with browser.websocket() as ws:
        for name in (cookie, cookie.split(".")[0]):
            e = admin.explain(f"cookie:{name}")
            assert e["why"] == "websocket_lock", e
            assert e["backend"]["name"] == ws.whoami()


def test_an_address_shows_who_is_behind_it(stage):
    a, b = stage.backends("a", "b")
    roost = stage.roost(with_admin(settings(
        [a, b], client_key=["cookie:roost", "address"])))
    admin = Admin(roost)
    with Person(roost).websocket() as ws:
        home = ws.whoami()
        e = admin.explain("address:127.0.0.1")
        assert e["bound"] and e["n_followers"] == 1 and e["n_sessions"] == 0
        assert [s["backend"] for s in e["sessions"]] == [home]
        (one,) = admin.get("/v1/sessions?client=address:127.0.0.1")["sessions"]
        other = "b" if home == "a" else "a"
        moved = admin.post("/v1/rehome", upstream="app", client="address:127.0.0.1")
        assert [(m["key"], m["to"]) for m in moved["moves"]] == [(one["key"], other)]
        with pytest.raises(Closed) as closed:
            ws.read()
        assert closed.value.code == 1012
        assert admin.explain("address:127.0.0.1")["backend"]["name"] == other


# --- moves on request


FAST = {"mode": "transparent", "rate": 1000, "debounce": "50ms", "drain_timeout": "2s"}


def home_of(admin, client):
    return admin.explain(client)["backend"]["name"]


@pytest.mark.quick
def test_a_busy_client_is_moved_and_loses_nothing(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome=FAST)
    with Swarm(roost, 4, interval=0.02) as swarm:
        home = home_of(admin, "header:swarm-1")
        for _ in range(6):
            other = "b" if home == "a" else "a"
            done = admin.post("/v1/rehome", upstream="app", client="header:swarm-1")
            assert [(m["from"], m["to"], m["why"]) for m in done["moves"]] == [
                (home, other, "asked")]
            home = other
            assert home_of(admin, "header:swarm-1") == home
            wait_until(lambda: all(
                s["backend"] == home and not s["moving"]
                for s in admin.get("/v1/sessions?client=header:swarm-1")["sessions"]),
                "its socket has followed")
            swarm.wait_progress(2)
        swarm.finish()
        swarm.check_exact()
    roost.wait_log(r"re-homed from . to . \(asked for\)")


def test_a_client_that_is_being_moved_is_left_alone(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome={**FAST, "drain_timeout": "5s"})
    with Person(roost, "anna").websocket() as ws:
        # inside a message there is no place to cut
        ws.send_frame(1, b"begin", fin=False)
        admin.post("/v1/rehome", upstream="app", client="header:anna")
        wait_until(lambda: admin.get("/v1/sessions")["sessions"][0]["moving"],
                   "the move has begun")
        said = admin.post("/v1/rehome", 409, upstream="app", client="header:anna")
        assert "already" in said["message"]
        ws.send_frame(0, b"end")
        assert ws.read()


def test_several_sockets_of_a_client_move_together(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome=FAST)
    anna = Person(roost, "anna")
    sockets = [anna.websocket() for _ in range(8)]
    (home,) = {ws.whoami() for ws in sockets}
    other = "b" if home == "a" else "a"
    done = admin.post("/v1/rehome", upstream="app", client="header:anna", to=other)
    assert done["clients"] == 1 and done["moves"][0]["sessions"] == 8
    wait_until(lambda: {ws.whoami() for ws in sockets} == {other}, "all have moved")
    assert anna.backend() == other


def test_a_dry_run_moves_nobody(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome=FAST)
    with Person(roost, "anna").websocket() as ws:
        home = ws.whoami()
        said = admin.post("/v1/rehome", upstream="app", client="header:anna",
                          dry_run=True)
        assert said["dry_run"] and len(said["moves"]) == 1
        let_pass(1.2)  # so that she counts among all of the backend
        said = admin.post("/v1/rehome", upstream="app", backend=home, dry_run=True)
        assert said["clients"] == 1
        holds_for(lambda: home_of(admin, "header:anna") == home, "she stays", 0.5)
        assert ws.whoami() == home
        assert admin.plan()["requests"] == []


def test_a_client_without_sockets_is_moved_as_well(stage):
    roost, admin, a, b = scene(stage, "a", "b")
    anna = Person(roost, "anna")
    home = anna.backend()
    other = "b" if home == "a" else "a"
    done = admin.post("/v1/rehome", upstream="app", client="header:anna")
    assert done["moves"][0]["to"] == other and done["moves"][0]["sessions"] == 0
    assert {anna.backend() for _ in range(5)} == {other}


def test_moves_that_cannot_be(stage):
    roost, admin, a, b, c = scene(stage, "a", "b", "c", rehome=FAST)
    roost.reload(changed(roost.config, "c", state="drain"))
    with Person(roost, "anna").websocket() as ws:
        home = ws.whoami()
        said = admin.post("/v1/rehome", 409, upstream="app", client="header:anna", to="c")
        assert "draining" in said["message"]
        admin.post("/v1/rehome", 409, upstream="app", client="header:anna", to=home)
        admin.post("/v1/rehome", 409, upstream="app", backend=home, to="c")
        other = "b" if home == "a" else "a"
        roost.reload(changed(roost.config, other, state="down"))
        wait_until(lambda: admin.backend(other)["use"] == "down", "it is out")
        admin.post("/v1/rehome", 409, upstream="app", client="header:anna")
        admin.post("/v1/rehome", 409, upstream="app", backend=home)
        assert ws.whoami() == home


def test_where_rehoming_is_off_nothing_is_moved(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome={"mode": "off"})
    with Person(roost, "anna").websocket() as ws:
        home = ws.whoami()
        admin.post("/v1/rehome", 409, upstream="app", client="header:anna")
        admin.post("/v1/rehome", 409, upstream="app", backend=home)


def test_all_clients_of_a_backend_move_at_the_rate(stage):
    rehome = {**FAST, "rate": 20, "threshold": "100%"}
    roost, admin, a, b = scene(stage, "a", "b", rehome=rehome)
    with Swarm(roost, 40) as swarm:
        n = admin.backend("a")["sessions"]
        assert 10 <= n <= 30  # two workers may choose in the same moment
        let_pass(1.1)  # nobody came just now
        begun = time.monotonic()
        done = admin.post("/v1/rehome", 202, upstream="app", backend="a")
        assert done["clients"] == n and not done["more"]
        (request,) = admin.plan()["requests"]
        assert request["backend"] == "a" and request["to"] is None
        wait_until(lambda: admin.backend("a")["sessions"] == 0, "a is empty")
        assert time.monotonic() - begun > (n - 5) / 20 * 0.6, "it takes its time"
        swarm.wait_progress(2)
        wait_until(lambda: not admin.plan()["requests"], "it is over")
        roost.wait_log(f"{n} clients of backend app/a re-homed as asked")
        # a is still up: newcomers find it
        with Person(roost, "late").websocket() as ws:
            assert ws.whoami() == "a"
            holds_for(lambda: home_of(admin, "header:late") == "a", "she stays", 1.5)
        swarm.finish()
        swarm.check_exact()


def test_all_clients_of_a_backend_go_where_they_are_sent(stage):
    roost, admin, a, b, c = scene(stage, "a", "b", "c", rehome=FAST)
    on_a, sockets = [], []
    for i in range(12):
        sockets.append(Person(roost, f"p{i}").websocket())
        if sockets[-1].whoami() == "a":
            on_a.append(sockets[-1])
    assert len(on_a) == 4
    admin.post("/v1/rehome", 202, upstream="app", backend="a", to="c")
    wait_until(lambda: {ws.whoami() for ws in on_a} == {"c"}, "all are at c")


# --- the plan


def key_homes(admin):
    return {s["key"]: s["backend"]
            for s in admin.get("/v1/sessions?limit=1000")["sessions"]}


def test_the_plan_of_a_drain_is_what_happens(stage):
    rehome = {**FAST, "debounce": "3s"}
    roost, admin, a, b = scene(stage, "a", "b", rehome=rehome)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(30)]
    before = key_homes(admin)
    assert admin.plan()["moves"] == []
    roost.reload(changed(roost.config, "a", state="drain"))
    let_pass(1.2)  # who was bound just now is not planned for
    plan = admin.plan()
    assert 0 < plan["debounce_ms"] <= 3000 and not plan["more"]
    expected = {m["key"]: m["to"] for m in plan["moves"]}
    assert set(expected) == {k for k, home in before.items() if home == "a"}
    assert {(m["from"], m["to"], m["why"]) for m in plan["moves"]} == {
        ("a", "b", "leaving")}
    (row,) = [r for r in plan["backends"] if r["name"] == "a"]
    assert row["leaving"] and row["fair_share"] is None
    wait_until(lambda: admin.backend("a")["sessions"] == 0, "a is empty")
    wait_until(lambda: key_homes(admin) == {**before, **expected}, "as planned")
    assert admin.plan()["moves"] == []
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_the_plan_of_a_scale_up_is_what_happens(stage):
    a, b = stage.backends("a", "b")
    config = with_admin(settings(
        [entry(a), entry(b, state="down")], rehome={**FAST, "debounce": "3s", "min_stay": "1s"},
        pin={"websocket": "0s"}))
    roost = stage.roost(config)
    admin = Admin(roost)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(20)]
    let_pass(1.1)
    roost.reload(changed(config, "b", state="up"))
    plan = wait_until(lambda: (p := admin.plan())["moves"] and p, "there is a plan")
    n = len(plan["moves"])
    assert 5 <= n <= 10
    assert {(m["from"], m["to"], m["why"], m["sessions"]) for m in plan["moves"]} == {
        ("a", "b", "surplus", 1)}
    assert [r["fair_share"] for r in plan["backends"]] == [10, 10]
    assert len(admin.plan(limit=3)["moves"]) == 3 and admin.plan(limit=3)["more"]
    assert admin.backend("b")["sessions"] == 0  # a plan moves nobody
    wait_until(lambda: admin.backend("b")["sessions"] == n, "as many as planned")
    wait_until(lambda: not admin.plan()["debounce_ms"], "all is still")
    holds_for(lambda: admin.backend("b")["sessions"] == n and not admin.plan()["moves"],
              "nothing more moves", scaled(1.5))
    del sockets


def test_locked_clients_are_not_in_the_plan(stage):
    a, b = stage.backends("a", "b")
    config = with_admin(settings([entry(a), entry(b, state="down")], rehome=FAST))
    roost = stage.roost(config)
    admin = Admin(roost)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(10)]
    let_pass(1.1)
    roost.reload(changed(config, "b", state="up"))
    holds_for(lambda: admin.plan()["moves"] == [], "nobody is to move", 1)
    # but the administrator may
    admin.post("/v1/rehome", upstream="app", client="header:p3")
    wait_until(lambda: sockets[3].whoami() == "b", "p3 has moved")


def test_traffic_does_not_wait_for_the_api(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome=FAST)
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            admin.get("/v1/sessions?limit=1000")
            admin.plan()
            admin.get("/v1/upstreams")

    with Swarm(roost, 100, interval=0.05) as swarm:
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            swarm.wait_progress(10)
        finally:
            stop.set()
            thread.join()
        swarm.finish()
        swarm.check_exact()


# --- kick


def test_a_session_is_kicked(stage):
    roost, admin, *_ = scene(stage, "a")
    with Person(roost, "p").websocket() as ws, Person(roost, "q").websocket() as other:
        (mine,) = admin.get("/v1/sessions?client=header:p")["sessions"]
        told = admin.post("/v1/kick", session=mine["id"])
        assert told == {"closed": 1, "code": 1008, "complete": True,
                        "sessions": [mine["id"]]}
        assert ws.close_code() == 1008
        assert other.whoami()
        admin.post("/v1/kick", 404, session="0" * 16)
    wait_until(lambda: not admin.get("/v1/sessions")["sessions"], "both are gone")
    roost.stop()
    assert "ended by roost (ended by the administrator): code 1008" in roost.log()
    assert "session_ends_kicked 1" in roost.log()


def test_all_sessions_of_a_client_are_kicked(stage):
    roost, admin, *_ = scene(stage, "a", "b")
    sockets = [Person(roost, "p").websocket() for _ in range(6)]
    with Person(roost, "q").websocket() as other:
        told = admin.post("/v1/kick", upstream="app", client="header:p", code=4001)
        assert (told["closed"], len(told["sessions"])) == (6, 6)
        assert [ws.close_code() for ws in sockets] == [4001] * 6
        assert other.whoami()


@pytest.mark.parametrize("body", [
    {}, {"client": "header:p"}, {"upstream": "app"}, {"session": 1},
    {"session": "x", "client": "header:p", "upstream": "app"},
    {"session": "x", "code": 1006}, {"session": "x", "code": -1}, {"session": "x", "y": 1},
    {"session": "x", "code": 2**32 + 1008},
])
def test_what_is_no_order_to_kick(quiet, body):
    quiet.post("/v1/kick", 400, **body)
