# SPDX-License-Identifier: MIT
"""The access log: one line per exchange and per session, in both formats, whatever
clients send; and a file that is rotated, stalled or full."""

import fcntl
import json
import os
import re
import signal
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from peers.backend import closed_port
from peers.client import Person, RawClient
from peers.roost import run, settings
from peers.waiting import let_pass, wait_until

NAMES = """time kind id request_id trace_id client peer method host target protocol
status bytes_in bytes_out upstream backend chosen_by retries reason head_ms queue_ms
connect_ms first_byte_ms total_ms user_agent referer""".split()
SESSION_NAMES = NAMES + "messages_in messages_out close_code ended_by".split()

COMBINED = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] '
    r'"(?P<request>[^"]*)" (?P<status>\d{3}|-) (?P<bytes>\d+) '
    r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)" (?P<fields>.*)'
)


class Log:
    """The file of lines, and a roost that writes them."""

    def __init__(self, stage, form="json", names=("a",), **upstream):
        self.path = stage.directory / "access.log"
        self.backends = stage.backends(*names)
        config = settings(self.backends, **upstream)
        config["access_log"] = {"format": form, "file": str(self.path)}
        self.roost = stage.roost(config)

    def raw(self, n=1):
        """The lines so far, once there are n of them, which are all."""
        def lines():
            data = self.path.read_bytes()
            return data.split(b"\n")[:-1] if data.count(b"\n") >= n else None

        found = wait_until(lines, f"{n} lines of the access log")
        assert len(found) == n
        assert self.path.read_bytes().endswith(b"\n")
        return found

    def json(self, n=1):
        return [json.loads(line) for line in self.raw(n)]

    def text(self, n=1):
        found = []
        for line in self.raw(n):
            m = COMBINED.fullmatch(line.decode("ascii"))
            assert m, line
            fields = dict(f.split("=", 1) for f in m["fields"].split(" "))
            found.append({**m.groupdict(), **fields})
        return found


@pytest.fixture
def log(stage):
    return Log(stage)


# --- what a line says


@pytest.mark.quick
def test_json_line_of_an_exchange(log):
    a = log.backends[0]
    r = Person(log.roost, "p").request(
        "POST", "/x?y=z",
        [("User-Agent", "agent/1"), ("Referer", "http://from/")], b"12345",
    )
    (line,) = log.json()
    assert list(line) == NAMES
    sent = dict(a.events("request")[0].headers)
    expected = {
        "kind": "exchange", "client": "127.0.0.1", "peer": "127.0.0.1",
        "method": "POST", "host": "127.0.0.1", "target": "/x?y=z",
        "protocol": "HTTP/1.1", "status": 200, "bytes_in": 5,
        "bytes_out": len(r.body), "upstream": "app", "backend": "a",
        "chosen_by": "policy", "retries": 0, "reason": "none",
        "user_agent": "agent/1", "referer": "http://from/", "trace_id": None,
        "id": sent["X-Request-Id"], "request_id": sent["X-Request-Id"],
    }
    assert {k: line[k] for k in expected} == expected
    when = datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    age = datetime.now(timezone.utc).replace(tzinfo=None) - when
    assert timedelta(0) <= age + timedelta(milliseconds=5) < timedelta(seconds=30)


def test_text_line_of_an_exchange(stage):
    log = Log(stage, "text")
    r = Person(log.roost, "p").get("/x?y=z", [("User-Agent", "agent/1")])
    (line,) = log.text()
    assert line["client"] == "127.0.0.1"
    assert line["request"] == "GET /x?y=z HTTP/1.1"
    assert (line["status"], line["bytes"]) == ("200", str(len(r.body)))
    assert (line["referer"], line["agent"]) == ("-", "agent/1")
    assert (line["upstream"], line["backend"]) == ("app", "a")
    assert (line["by"], line["retries"], line["reason"]) == ("policy", "0", "none")
    assert re.fullmatch(r"\d+\.\d{3}", line["total_ms"])


def test_times_of_the_phases(log):
    with RawClient(log.roost.address) as c:
        c.get("/slow/300")
        log.raw()
        begun = time.monotonic()
        c.get("/")
        log.raw(2)
        most_ms = (time.monotonic() - begun) * 1000
        c.send(b"GET / HTTP/1.1\r\n")
        c.wait_read()
        let_pass(0.2)
        c.send(b"Host: x\r\n\r\n")
        c.response()
    slow, quick, split = log.json(3)
    assert 300 <= slow["first_byte_ms"] <= slow["total_ms"]
    assert slow["connect_ms"] is not None
    assert slow["connect_ms"] + slow["first_byte_ms"] <= slow["total_ms"] + 1
    assert quick["total_ms"] <= most_ms, "nothing of the one before it"
    assert split["head_ms"] >= 100
    for line in slow, quick, split:
        assert all(line[k] is None or line[k] >= 0 for k in NAMES if k.endswith("_ms"))


def test_bodies_are_counted_without_their_framing(log):
    with RawClient(log.roost.address) as c:
        c.request("POST", "/echo", [("Transfer-Encoding", "chunked")],
                  b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        c.get("/bytes/100000?chunked")
        c.get("/bytes/100000")
        c.request("HEAD", "/bytes/100000")
        c.get("/status/204")
    lines = log.json(5)
    assert [r["bytes_in"] for r in lines] == [7, 0, 0, 0, 0]
    assert [r["bytes_out"] for r in lines] == [7, 100000, 100000, 0, 0]
    assert [r["status"] for r in lines] == [200, 200, 200, 200, 204]


def test_why_the_backend_was_chosen(stage):
    log = Log(stage, names=("a", "b"))
    person = Person(log.roost, "p")
    first = person.backend("/1")
    person.backend("/2")
    with person.websocket() as ws:
        assert ws.whoami() == first
        person.backend("/3")
        ws.close(1000)
    lines = [r for r in log.json(4) if r["kind"] == "exchange"]
    lines.sort(key=lambda r: r["target"])     # they come from several threads
    assert [r["chosen_by"] for r in lines] == ["policy", "http_lock", "websocket_lock"]
    assert {r["backend"] for r in lines} == {first}


def test_identity_of_the_trace_is_kept(log):
    trace = "0af7651916cd43dd8448eb211c80319c"
    Person(log.roost, "p").get(
        "/", [("traceparent", f"00-{trace}-b7ad6b7169203331-01")])
    (line,) = log.json()
    assert line["trace_id"] == trace


def test_one_line_each(log):
    with RawClient(log.roost.address) as c:
        c.send(b"".join(c.request_bytes("GET", f"/n{i}") for i in range(10)))
        for _ in range(10):
            c.response()
    log.json(10)  # of one worker, so they are in order; the next may be another's
    # neither coming and going nor an idle connection is worth a line
    RawClient(log.roost.address).close()
    Person(log.roost, "p").get("/last")
    assert [r["target"] for r in log.json(11)] == [
        *(f"/n{i}" for i in range(10)), "/last"]


def test_lines_of_many_workers_are_whole(stage):
    log = Log(stage)

    def load(name):
        with RawClient(log.roost.address) as c:
            for i in range(150):
                c.get(f"/{name}/{i}")

    threads = [threading.Thread(target=load, args=(f"t{i}",)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lines = log.json(900)
    assert len({r["id"] for r in lines}) == 900
    for i in range(6):
        mine = [r["target"] for r in lines if r["target"].startswith(f"/t{i}/")]
        assert mine == [f"/t{i}/{n}" for n in range(150)]


# --- what went wrong


def test_refused_head(log):
    with RawClient(log.roost.address) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert c.response().status == 400
    (line,) = log.json()
    assert (line["status"], line["reason"]) == (400, "bad_host")
    assert line["method"] is line["target"] is line["protocol"] is None
    assert (line["client"], line["peer"]) == ("127.0.0.1", "127.0.0.1")
    assert line["upstream"] is line["backend"] is None


def test_no_route(stage):
    path = stage.directory / "access.log"
    config = settings(stage.backends("a"))
    config["routes"] = [{"path": "/only", "upstream": "app"}]
    config["access_log"] = {"format": "json", "file": str(path)}
    Person(stage.roost(config), "p").get("/else")
    wait_until(lambda: path.read_text().endswith("\n"), "the line")
    line = json.loads(path.read_text())
    assert (line["status"], line["reason"], line["target"]) == (404, "no_route", "/else")


def test_backend_refuses_connections(stage):
    path = stage.directory / "access.log"
    config = settings([{"name": "shut", "address": closed_port()}], retries=1)
    config["access_log"] = {"format": "json", "file": str(path)}
    Person(stage.roost(config), "p").get("/")
    wait_until(lambda: path.read_text().endswith("\n"), "the line")
    line = json.loads(path.read_text())
    assert (line["status"], line["reason"]) == (502, "connect_failed")
    assert line["first_byte_ms"] is None and line["total_ms"] is not None


def test_retries_are_counted(stage):
    path = stage.directory / "access.log"
    config = settings(
        [{"name": "shut", "address": closed_port()}, *stage.backends("a")], retries=1,
        balance="round-robin")
    config["access_log"] = {"format": "json", "file": str(path)}
    roost = stage.roost(config)
    for i in range(8):
        assert Person(roost, f"p{i}").get("/").status == 200
    wait_until(lambda: path.read_text().count("\n") == 8, "the lines")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {r["backend"] for r in lines} == {"a"}
    assert 1 in {r["retries"] for r in lines}
    assert {r["reason"] for r in lines} == {"none"}


def test_client_goes_away(log):
    (a,) = log.backends
    c = RawClient(log.roost.address)
    c.send(c.request_bytes("GET", "/hang"))
    a.wait_events("request")
    c.close()
    (line,) = log.json()
    assert (line["status"], line["reason"]) == (None, "client_gone")
    assert (line["backend"], line["bytes_out"]) == ("a", 0)


def test_backend_dies_in_the_body(log):
    with RawClient(log.roost.address) as c:
        c.send(c.request_bytes("GET", "/die/1000"))
        assert c.head().status == 200
        c.at_end()
    (line,) = log.json()
    assert (line["status"], line["reason"]) == (200, "backend_lost")
    assert line["bytes_out"] == 1000


# --- hostile clients

HOSTILE = [
    b'" 200 0 "-" "-" upstream=x',
    b"\\",
    b"\\x22",
    b'"}\\n{"time":"1970',
    b"a\tb",
    b"\x80\xff\xc3(",
    "gr\u00fc\u00dfe \u2028 \U0001f414".encode(),
    b"$(reboot) `reboot` <script>",
]


def send_hostile(log):
    with RawClient(log.roost.address) as c:
        for value in HOSTILE:
            c.send(b'GET /"\\ HTTP/1.1\r\nHost: x\r\nUser-Agent: ' + value
                   + b"\r\nReferer: " + value + b"\r\n\r\n")
            assert c.response().status == 200


def test_hostile_values_come_back_from_json(log):
    send_hostile(log)
    lines = log.json(len(HOSTILE))
    for value, line in zip(HOSTILE, lines):
        assert list(line) == NAMES
        assert line["target"] == '/"\\'
        try:
            expected = value.decode()
        except UnicodeDecodeError:
            assert "\ufffd" in line["user_agent"]
            continue
        assert line["user_agent"] == line["referer"] == expected


def test_hostile_values_do_not_spoil_text(stage):
    log = Log(stage, "text")
    send_hostile(log)
    for value, line in zip(HOSTILE, log.text(len(HOSTILE))):
        assert (line["status"], line["upstream"]) == ("200", "app")
        assert line["request"] == r"GET /\x22\x5c HTTP/1.1"
        agent = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()),
                       line["agent"].encode())
        assert agent == value


# --- sessions


def test_session_line(log):
    (a,) = log.backends
    with Person(log.roost, "p").websocket("/ws?room=1") as ws:
        for _ in range(7):
            ws.ask("x" * 100)
        ws.send("send 5000")
        ws.read()
        ws.close(4000)
    (line,) = log.json()
    assert list(line) == SESSION_NAMES
    handshake = a.events("handshake")[0]
    expected = {
        "kind": "session", "status": 101, "method": "GET", "target": "/ws?room=1",
        "id": handshake.session, "request_id": dict(handshake.headers)["X-Request-Id"],
        "upstream": "app", "backend": "a", "chosen_by": "policy", "reason": "none",
        "messages_in": 8, "messages_out": 8, "close_code": 4000, "ended_by": "client",
    }
    assert {k: line[k] for k in expected} == expected
    assert 709 <= line["bytes_in"] <= 709 + 9 * 14
    assert 5700 <= line["bytes_out"] <= 5700 + 9 * 14


def test_session_line_in_text(stage):
    log = Log(stage, "text")
    with Person(log.roost, "p").websocket() as ws:
        ws.send("close 4321 over")
        ws.close_code()
        ws.send_close(4321)
    (line,) = log.text()
    assert line["request"] == "GET /ws HTTP/1.1"
    assert (line["status"], line["close_code"]) == ("101", "4321")
    assert line["ended_by"] == "backend"


def test_lost_client_of_a_session(log):
    ws = Person(log.roost, "p").websocket()
    ws.reset()
    (line,) = log.json()
    assert (line["close_code"], line["ended_by"]) == (1006, "client")
    assert line["reason"] != "none"


def test_refused_handshake_is_an_exchange(log):
    r = Person(log.roost, "p").get(
        "/ws?refuse=403",
        [("Connection", "Upgrade"), ("Upgrade", "websocket"),
         ("Sec-WebSocket-Version", "13"),
         ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
    assert r.status == 403
    (line,) = log.json()
    assert (line["kind"], line["status"]) == ("exchange", 403)


# --- the file


@pytest.mark.quick
def test_file_is_opened_anew(log):
    Person(log.roost, "p").get("/before")
    log.raw()
    old = str(log.path) + ".1"
    os.rename(log.path, old)
    log.roost.signal(signal.SIGUSR1)
    wait_until(log.path.exists, "the file is there again")
    Person(log.roost, "p").get("/after")
    assert [r["target"] for r in log.json()] == ["/after"]
    with open(old) as f:
        assert [json.loads(line)["target"] for line in f] == ["/before"]


def test_nothing_is_lost_when_it_stops(log):
    with RawClient(log.roost.address) as c:
        for i in range(50):
            c.get(f"/{i}")
    log.roost.stop()
    assert [r["target"] for r in log.json(50)] == [f"/{i}" for i in range(50)]


def test_reload_keeps_it(log):
    Person(log.roost, "p").get("/before")
    log.raw()
    log.roost.reload(log.roost.config)
    Person(log.roost, "p").get("/after")
    assert [r["target"] for r in log.json(2)] == ["/before", "/after"]


@pytest.mark.quick
def test_full_disk_costs_lines_and_nothing_else(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["access_log"] = {"format": "json", "file": "/dev/full"}
    roost = stage.roost(config)
    for _ in range(5):
        with RawClient(roost.address) as c:
            for _ in range(20):
                assert c.get("/").status == 200
    roost.wait_log("/dev/full cannot be written")
    roost.stop()
    assert len(roost.logged("cannot be written")) == 1
    dropped = sum(int(n) for n in roost.logged(r"/dev/full: (\d+) lines dropped"))
    assert dropped == 100


def test_stalled_disk_holds_nobody_up(stage):
    (a,) = stage.backends("a")
    path = str(stage.directory / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    config = settings([a])
    config["access_log"] = {"format": "json", "file": path}
    roost = stage.roost(config)
    total = 400
    with RawClient(roost.address) as c:
        for i in range(total):
            # far more than a FIFO holds
            assert c.get(f"/{i}?{'x' * 1000}").status == 200
    assert not roost.logged("dropped")
    fcntl.fcntl(reader, fcntl.F_SETFL, 0)
    with os.fdopen(reader) as f:
        lines = [json.loads(f.readline()) for _ in range(total)]
        assert [int(r["target"].split("?")[0][1:]) for r in lines] == list(range(total))


def test_stalled_disk_does_not_hold_the_end_up(stage):
    (a,) = stage.backends("a")
    path = str(stage.directory / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    config = settings([a])
    config["access_log"] = {"format": "json", "file": path}
    roost = stage.roost(config)
    with RawClient(roost.address) as c:
        for i in range(200):
            c.get(f"/{i}?{'x' * 1000}")
    roost.signal(signal.SIGTERM)
    assert roost.wait_exit(10) == 0
    os.close(reader)


def test_file_that_cannot_be_opened(stage):
    config = stage.directory / "roost.yaml"
    file = stage.directory / "absent" / "access.log"
    config.write_text(
        "listeners: [{bind: '127.0.0.1:0'}]\n"
        "routes: [{path: /, upstream: app}]\n"
        "upstreams: {app: {backends: [{address: '127.0.0.1:1'}]}}\n"
        f"access_log: {{file: '{file}'}}\n"
    )
    done = run("-c", str(config))
    assert done.returncode == 2
    assert str(file) in done.stderr and "No such file" in done.stderr
