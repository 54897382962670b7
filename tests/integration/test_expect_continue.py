# SPDX-License-Identifier: MIT
"""Expect: 100-continue is decided by the backend (RFC 9110, 10.1.1): the expectation is
passed on, its 100 comes back, and a final answer instead of it needs no body."""

import queue

import pytest
from peers.backend import closed_port
from peers.conversation import Conversation
from peers.roost import entry, settings
from peers.waiting import scaled, wait_until

BODY = b"hello"
EXPECT = "Expect: 100-continue\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


def head(framing=f"Content-Length: {len(BODY)}", version="1.1"):
    return (f"POST /x HTTP/{version}\r\nHost: h\r\n{EXPECT}{framing}\r\n"
            "\r\n").encode()


class Backend:
    """Waits behind each head for what the test wants said: bytes, "body" to read one
    and answer with it, "close", or "done" for the next request. What is no POST
    is answered at once."""

    def __init__(self, stage):
        self.heads, self.orders = queue.Queue(), queue.Queue()
        self.ends = 0  # connections that ended within a body
        self.peer = stage.scripted(self.script, "decider")

    def next_order(self):
        try:
            return self.orders.get(timeout=scaled(10))
        except queue.Empty:  # the test is over
            return "close"

    def script(self, sock, text):
        if not text.startswith(b"POST"):
            line = text.split(b" HTTP/")[0]
            return sock.sendall(OK % (len(line), line))
        self.heads.put(text.decode("latin-1").lower())
        while (order := self.next_order()) != "done":
            if order == "close":
                return False
            if order == "body":
                body = b""
                while len(body) < len(BODY):
                    piece = sock.recv(len(BODY) - len(body))
                    if not piece:
                        self.ends += 1
                        return False
                    body += piece
                order = OK % (len(body), body)
            sock.sendall(order)

    def head(self):
        return self.heads.get(timeout=scaled(10))

    def say(self, *orders):
        for order in orders:
            self.orders.put(order)


@pytest.fixture
def backend(stage):
    return Backend(stage)


@pytest.fixture
def roost(stage, backend):
    config = settings([backend.peer])
    config["workers"] = 1
    return stage.roost(config)


@pytest.fixture
def client(roost):
    with Conversation(roost.address) as c:
        yield c


def sync(roost):
    """Afterwards roost has dealt with what had arrived before; it has one worker."""
    with Conversation(roost.address) as c:
        assert c.get("/sync").body == b"GET /sync"


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_the_backend_decides(roost, backend, client):
    client.send(head())
    assert EXPECT.lower() in backend.head()
    sync(roost)
    assert not client.has_bytes_now(), "a 100 that the backend has not said"
    backend.say(CONTINUE)
    assert client.message().status == 100
    backend.say("body", "done")
    client.send(BODY)
    answer, interim = client.final()
    assert (answer.status, answer.body, interim) == (200, BODY, [])
    assert client.get("/next").body == b"GET /next"


def test_chunked(backend, client):
    client.send(head("Transfer-Encoding: chunked"))
    assert EXPECT.lower() in backend.head()
    backend.say(CONTINUE)
    assert client.message().status == 100
    backend.say(OK % (2, b"ok"))
    client.send(b"5\r\nhello\r\n0\r\n\r\n")
    assert client.final()[0].body == b"ok"


def test_body_without_waiting(backend, client):
    """The client may send at once; whether a 100 comes then is nobody's concern."""
    client.send(head() + BODY)
    backend.head()
    backend.say("body", "done")
    assert client.final()[0].body == BODY
    assert client.get("/next").body == b"GET /next"


def test_body_after_waiting_in_vain(roost, backend, client):
    """A backend that never says 100 still gets the body of a client that gave up
    waiting for it."""
    client.send(head())
    backend.head()
    sync(roost)
    backend.say("body", "done")
    client.send(BODY)
    answer, interim = client.final()
    assert (answer.body, interim) == (BODY, [])


@pytest.mark.parametrize("status", [401, 413, 417, 503])
def test_final_answer_instead(roost, backend, client, status):
    """It arrives without a byte of the body, and what comes then is never a request:
    the connection ends, or what is left of the body is dropped."""
    client.send(head("Content-Length: 37"))
    backend.head()
    backend.say(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status, "done")
    answer, interim = client.final()
    assert (answer.status, answer.body, interim) == (status, b"no", [])
    client.send(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n..")
    if answer.header("Connection") == "close":
        assert client.is_at_end()
    else:
        assert client.get("/next").body == b"GET /next"
    sync(roost)
    assert not [h for h in backend.peer.heads if b"/smuggled" in h]


def test_final_answer_instead_and_another_client(roost, backend, client):
    """The backend still waits for a body on that connection: nobody else may get it."""
    client.send(head())
    backend.head()
    backend.say(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "done")
    assert client.final()[0].status == 403
    for i in range(3):
        with Conversation(roost.address) as other:
            assert other.get(f"/{i}").body == b"GET /%d" % i


def test_final_answer_within_the_body(backend, client):
    client.send(head("Content-Length: 1000000"))
    backend.head()
    backend.say(CONTINUE)
    assert client.message().status == 100
    client.send(b"x" * 5000)
    backend.say(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                "close")
    assert client.final()[0].status == 413


def test_interim_before_and_behind(backend, client):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    client.send(head())
    backend.head()
    backend.say(hints, CONTINUE, hints)
    assert [client.message().status for _ in range(3)] == [103, 100, 103]
    backend.say("body", "done")
    client.send(BODY)
    assert client.final()[0].body == BODY


def test_1_0_client_gets_no_100(backend, client):
    client.send(head(version="1.0") + BODY)
    backend.head()
    backend.say(CONTINUE, "body", "done")
    answer, interim = client.final()
    assert (answer.body, interim) == (BODY, [])


def test_backend_goes_away(backend, client):
    client.send(head())
    backend.head()
    backend.say("close")
    answer, interim = client.final()
    assert (answer.status, interim) == (502, [])


def test_client_goes_away(roost, backend):
    with Conversation(roost.address) as c:
        c.send(head())
        backend.head()
    backend.say("body")  # a recv without end, if the connection stayed
    sync(roost)
    wait_until(lambda: backend.ends, "its connection ends")


def test_dead_backend_is_passed_over(stage, backend):
    config = settings([{"name": "nobody", "address": closed_port(), "weight": 9},
                       entry(backend.peer)], balance="round-robin")
    roost = stage.roost(config)
    with Conversation(roost.address) as c:
        c.send(head())
        assert EXPECT.lower() in backend.head()
        backend.say(CONTINUE, "body", "done")
        assert c.message().status == 100
        c.send(BODY)
        assert c.final()[0].body == BODY


@pytest.mark.parametrize("framing", ["Content-Length: 37",
                                     "Transfer-Encoding: chunked"])
def test_refused_by_roost_itself(stage, framing):
    """No backend, no 100: the refusal comes first, and the body is not waited for."""
    config = settings([{"name": "nobody", "address": closed_port()}])
    roost = stage.roost(config)
    with Conversation(roost.address) as c:
        c.send(head(framing))
        answer, interim = c.final()
        assert answer.status in (502, 503) and interim == []
        assert answer.header("Connection") == "close"
        c.send(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n..")
        assert c.is_at_end()


def test_other_expectations_are_refused(client):
    client.send(head().replace(b"100-continue", b"200-ok"))
    assert client.final()[0].status == 417
    assert client.is_at_end()
