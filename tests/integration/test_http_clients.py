# SPDX-License-Identifier: MIT
"""HTTP as clients of other people speak it: curl, httpx and h11, which refuses every
answer that is not exactly right. Plus what needs a conversation step by step: events,
bodies both ways, answers that come early, a client that shuts down its side."""

import hashlib
import json
import queue
import shutil
import socket
import subprocess

import pytest
from peers.conversation import Conversation
from peers.roost import settings
from peers.strict import read_response
from peers.waiting import DEADLINE, scaled

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
MIB = 1 << 20
BODY = bytes(range(251)) * (3 * MIB // 251)
PATTERN = bytes(range(256)) * 256


@pytest.fixture(scope="module")
def app(shared_stage):
    return shared_stage.proxy("a")


@pytest.fixture
def url(app):
    return f"http://{app[0].authority}"


def pattern(n):
    return (PATTERN * (n // len(PATTERN) + 1))[:n]


# ---- curl


def curl(*args, fails=0, **how):
    done = subprocess.run(["curl", "-sS", "--max-time", str(scaled(20)), *args],
                          capture_output=True, **how)
    assert done.returncode == fails, (done.returncode, done.stderr)
    return done.stdout


@needs_curl
@pytest.mark.parametrize("args", [
    ["--data-binary", "@-"],
    ["-T", "-"],
    ["-T", "-", "-H", "Expect: 100-continue"],
    ["--data-binary", "@-", "-H", "Expect: 100-continue"],
    ["-0", "--data-binary", "@-"],
], ids=["length", "chunked", "chunked-expect", "length-expect", "1.0"])
def test_curl_upload(url, args):
    told = json.loads(curl(*args, f"{url}/up", input=BODY))
    assert told["body_length"] == len(BODY)
    assert told["body_sha256"] == hashlib.sha256(BODY).hexdigest()


@needs_curl
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
@pytest.mark.parametrize("framing", ["", "?chunked", "?close"])
def test_curl_download(url, version, framing):
    assert curl(version, f"{url}/bytes/{3 * MIB}{framing}") == pattern(3 * MIB)


@needs_curl
@pytest.mark.parametrize("framing", ["", "?chunked"])
def test_curl_sees_that_a_body_is_cut(url, framing):
    for version in ("--http1.0", "--http1.1"):
        done = subprocess.run(["curl", "-sS", version, f"{url}/die/100000{framing}"],
                              capture_output=True)
        assert done.returncode in (18, 56), (done.returncode, done.stderr)


@needs_curl
def test_curl_head_and_answers_without_body(url):
    said = curl("-I", f"{url}/bytes/1000").decode()
    assert said.startswith("HTTP/1.1 200") and "Content-Length: 1000" in said
    for status in (204, 304):
        said = curl("-w", "%{http_code} %{size_download}", f"{url}/status/{status}")
        assert said == b"%d 0" % status


@needs_curl
def test_curl_keeps_its_connection(url):
    said = curl("-o", "/dev/null", "-w", "%{num_connects} ", f"{url}/bytes/10",
                "-o", "/dev/null", f"{url}/bytes/10?chunked",
                "-o", "/dev/null", f"{url}/status/204",
                "-o", "/dev/null", f"{url}/bytes/10?close",
                "-o", "/dev/null", f"{url}/bytes/10")
    assert said.split() == [b"1", b"0", b"0", b"0", b"0"]


@needs_curl
def test_curl_gets_hints_and_trailers(url):
    said = curl("-o", "/dev/null", "-D", "-", f"{url}/early").decode()
    assert said.index("HTTP/1.1 103") < said.index("HTTP/1.1 200")
    said = curl("-D", "-", "-H", "TE: trailers", f"{url}/trailers").decode()
    assert "X-Sum: 532" in said and "hello" in said


# ---- h11


class Strict:
    """A connection of h11, which takes no liberties."""

    def __init__(self, address):
        self.h11 = pytest.importorskip("h11")
        self.machine = self.h11.Connection(self.h11.CLIENT)
        self.sock = socket.create_connection(address, scaled(DEADLINE))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, event):
        data = self.machine.send(event)
        if data:
            self.sock.sendall(data)

    def request(self, method, target, headers=(), body=None, trailers=()):
        self.send(self.h11.Request(method=method, target=target,
                                   headers=[("Host", "h"), *headers]))
        for piece in body or ():
            self.send(self.h11.Data(data=piece))
        self.send(self.h11.EndOfMessage(headers=list(trailers)))

    def event(self):
        while (event := self.machine.next_event()) is self.h11.NEED_DATA:
            self.machine.receive_data(self.sock.recv(65536))
        return event

    def answer(self):
        """Interim answers, the final one, body and trailers."""
        interim, body = [], b""
        while isinstance(event := self.event(), self.h11.InformationalResponse):
            interim.append(event.status_code)
        final = event
        while isinstance(event := self.event(), self.h11.Data):
            body += event.data
        assert isinstance(event, self.h11.EndOfMessage), event
        if self.machine.our_state is self.h11.DONE and not self.closes():
            self.machine.start_next_cycle()
        return interim, final, body, list(event.headers)

    def closes(self):
        return self.machine.their_state is self.h11.MUST_CLOSE


@pytest.fixture
def strict(app):
    with Strict(app[0].address) as c:
        yield c


def test_h11_takes_everything(strict):
    for target, status, n in [
        ("/bytes/100000", 200, 100000), ("/bytes/100000?chunked", 200, 100000),
        ("/bytes/100000?close", 200, 100000), ("/status/204", 204, 0),
        ("/status/304", 304, 0), ("/status/404", 404, 0), ("/close", 200, 3),
        ("/early", 200, None), ("/cookie", 200, 2),
    ]:
        strict.request("GET", target)
        interim, final, body, _ = strict.answer()
        assert final.status_code == status, target
        assert n is None or len(body) == n
        assert interim == ([103] if target == "/early" else [])
    strict.request("HEAD", "/bytes/1000")
    _, final, body, _ = strict.answer()
    assert (b"content-length", b"1000") in list(final.headers) and body == b""


def test_h11_trailers_both_ways(strict):
    strict.request("POST", "/up", [("Transfer-Encoding", "chunked"),
                                   ("Trailer", "X-Sum")],
                   [b"he", b"llo"], [("X-Sum", "532")])
    _, _, body, _ = strict.answer()
    told = json.loads(body)
    assert [t.lower() for t in told["trailers"]] == ["x-sum: 532"]
    assert told["body_length"] == 5
    strict.request("GET", "/trailers", [("TE", "trailers")])
    _, _, body, trailers = strict.answer()
    assert body == b"hello" and (b"x-sum", b"532") in trailers


def test_h11_answers_of_roost_itself(strict):
    strict.sock.sendall(strict.machine.send(strict.h11.Request(
        method="GET", target="/x", headers=[("Host", "h"), ("Expect", "nothing")])))
    strict.send(strict.h11.EndOfMessage())
    _, final, body, _ = strict.answer()
    assert final.status_code == 417 and body and strict.closes()


# ---- httpx


@pytest.fixture
def httpx_client(url):
    httpx = pytest.importorskip("httpx")
    with httpx.Client(base_url=url, trust_env=False, timeout=scaled(DEADLINE)) as c:
        yield c


def test_httpx_session(httpx_client):
    for _ in range(3):
        told = httpx_client.post("/up", content=BODY).json()
        assert told["body_sha256"] == hashlib.sha256(BODY).hexdigest()
        assert httpx_client.get("/bytes/70000?chunked").content == pattern(70000)
        assert httpx_client.head("/bytes/1000").headers["content-length"] == "1000"
        assert httpx_client.get("/status/204").content == b""
        assert httpx_client.request("PROPFIND", "/dav").json()["method"] == "PROPFIND"


def test_httpx_streams_both_ways(httpx_client):
    def some():
        for _ in range(40):
            yield BODY[:50000]

    told = httpx_client.post("/up", content=some()).json()
    assert told["body_length"] == 40 * 50000
    with httpx_client.stream("GET", f"/bytes/{MIB}") as r:
        assert b"".join(r.iter_bytes()) == pattern(MIB)
    assert httpx_client.post("/echo", content=some()).content == BODY[:50000] * 40


def test_httpx_sees_that_a_body_is_cut(httpx_client):
    httpx = pytest.importorskip("httpx")
    for framing in ("", "?chunked"):
        with pytest.raises(httpx.HTTPError):
            httpx_client.get(f"/die/100000{framing}")
    assert httpx_client.get("/x").status_code == 200


# ---- step by step


FRAMINGS = {
    "length": ("Content-Length: 45\r\n", b"%b", b""),
    "chunked": ("Transfer-Encoding: chunked\r\n", b"f\r\n%b\r\n", b"0\r\n\r\n"),
    "close": ("", b"%b", b""),
}


class Events:
    """A backend that sends its next event only when the test says so."""

    def __init__(self, stage, framing):
        self.framing = FRAMINGS[framing]
        self.next = queue.Queue()
        self.peer = stage.scripted(self.script, "events")

    def script(self, sock, head):
        lines, event, end = self.framing
        sock.sendall(("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                      f"{lines}\r\n").encode())
        for i in range(3):
            assert self.next.get(timeout=scaled(20)) == i
            sock.sendall(event % (b"data: event %d\n\n" % i))
        self.next.get(timeout=scaled(20))
        sock.sendall(end)
        return bool(lines)


@pytest.fixture(params=FRAMINGS)
def events(stage, request):
    events = Events(stage, request.param)
    return events, stage.roost(settings([events.peer]))


def each_event(events, read):
    """read() has to return each event before the next one is even sent."""
    for i in range(3):
        events.next.put(i)
        assert read() == f"data: event {i}\n"
        assert read() == "\n"
    events.next.put("end")


@needs_curl
def test_events_reach_curl_at_once(events):
    events, roost = events
    with subprocess.Popen(["curl", "-sSN", "--max-time", str(scaled(30)),
                           f"http://{roost.authority}/events"],
                          stdout=subprocess.PIPE, text=True) as process:
        each_event(events, process.stdout.readline)
        assert process.stdout.readline() == ""
    assert process.returncode == 0


def test_events_reach_httpx_at_once(events):
    httpx = pytest.importorskip("httpx")
    events, roost = events
    with httpx.stream("GET", f"http://{roost.authority}/events", trust_env=False,
                      timeout=scaled(DEADLINE)) as r:
        assert r.headers["content-type"] == "text/event-stream"
        lines = r.iter_lines()
        each_event(events, lambda: next(lines))
        assert list(lines) == []


@pytest.mark.parametrize("piece", [0, 1], ids=["chunks", "bytes"])
def test_bodies_both_ways_step_by_step(app, piece):
    """Each chunk comes back before the next one is sent, even when its own bytes come
    one at a time: nothing on the way waits for more than it needs."""
    with Conversation(app[0].address) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        want = b""
        for i in range(20):
            data = b"piece %d " % i
            want += data
            c.send(b"%x;n=%d\r\n%b\r\n" % (len(data), i, data), piece)
            while (answer := read_response(c.buffer)) is None or answer.body != want:
                assert c.fill(), "the connection ended"
        c.send(b"0\r\nX-A: 1\r\n\r\n", piece)
        assert c.final()[0].body == want


def early(close):
    """A backend that answers an upload when its head is there, then reads the rest."""
    def script(sock, head):
        if not head.startswith(b"POST"):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        if close:
            sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
        return False

    return script


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("framing", ["Content-Length: 100000000",
                                     "Transfer-Encoding: chunked"])
def test_answer_while_the_body_still_comes(stage, close, framing):
    backend = stage.scripted(early(close))
    roost = stage.roost(settings([backend]))
    with Conversation(roost.address) as c:
        c.send(f"POST /up HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode()
               + b"5\r\nhello\r\n" * 1000)
        answer, _ = c.final()
        assert (answer.status, answer.body) == (413, b"no")
        if answer.header("Connection") == "close":
            assert c.is_at_end()
    with Conversation(roost.address) as other:
        assert other.get("/x").status == 200


@needs_curl
def test_curl_gets_an_early_answer(stage):
    backend = stage.scripted(early(close=True))
    roost = stage.roost(settings([backend]))
    for args in (["-H", "Expect:"], ["-H", "Expect: 100-continue"]):
        said = curl("-w", " %{http_code}", *args, "--data-binary", "@-",
                    f"http://{roost.authority}/up", input=b"x" * 500000)
        assert said == b"no 413"


@pytest.mark.parametrize("request_", [
    b"GET /slow/50 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /slow/50 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /slow/50 HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
], ids=["get", "post", "pipelined"])
def test_client_that_shuts_down_its_side_is_served(stage, request_):
    roost, _ = stage.proxy("a", half_close="serve")
    with Conversation(roost.address) as c:
        c.send(request_)
        c.sock.shutdown(socket.SHUT_WR)
        for _ in range(request_.count(b"HTTP/1.1")):
            assert c.final()[0].status == 200
        assert c.is_at_end()


def test_client_that_shuts_down_its_side_is_gone_by_default(stage):
    roost, a = stage.proxy("a")
    with Conversation(roost.address) as c:
        c.send(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n")
        a.wait_events("request")
        c.sock.shutdown(socket.SHUT_WR)
        a.wait_events("aborted")
        assert c.is_at_end()


def test_half_a_request_and_an_end(stage):
    """A body that ends too early is never a request."""
    roost, a = stage.proxy("a", half_close="serve")
    for framing, body in (("Content-Length: 10", b"hello"),
                          ("Transfer-Encoding: chunked", b"5\r\nhello\r\n")):
        with Conversation(roost.address) as c:
            c.send(f"POST /up HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode() + body)
            a.wait_events("request")
            c.sock.shutdown(socket.SHUT_WR)
            answer = c.message()
            assert answer is None or answer.status in (400, 408)
    a.wait_events("aborted", 2)
    assert not a.events("done")
