# SPDX-License-Identifier: MIT
"""Backends that refuse, die, dawdle or talk nonsense."""

import socket
import threading
from itertools import count

import pytest
from peers.backend import answering, closed_port
from peers.client import Cut, Person, RawClient
from peers.roost import entry, settings
from peers.waiting import wait_until
from peers.websocket import Refused, WsClient


def nobody(name="nobody", **keys):
    return {"name": name, "address": closed_port(), **keys}


def test_refused_connection_is_tried_elsewhere(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([nobody(), entry(a)], balance="round-robin"))
    assert [Person(roost, f"p{i}").backend() for i in range(10)] == ["a"] * 10


def test_refused_connection_is_tried_elsewhere_with_a_body(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([nobody(weight=9), entry(a)], balance="round-robin"))
    r = Person(roost, "p").request("POST", "/up", body=b"x" * 100000)
    assert r.status == 200 and r.json()["body_length"] == 100000


def test_refused_connection_is_tried_elsewhere_for_a_websocket(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([nobody(weight=9), entry(a)], balance="round-robin"))
    for i in range(5):
        with Person(roost, f"p{i}").websocket() as ws:
            assert ws.whoami() == "a"


def test_backend_that_refuses_is_left_alone(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([nobody(), entry(a)], balance="round-robin"))
    for i in range(20):
        Person(roost, f"p{i}").backend()
    assert 1 <= len(roost.logged("nobody")) <= 5


@pytest.mark.quick
def test_all_dead_is_502_or_503(stage):
    roost = stage.roost(settings([nobody("x"), nobody("y")]))
    for i in range(5):
        assert Person(roost, f"p{i}").get().status in (502, 503)
    with pytest.raises(Refused) as e:
        WsClient(roost.address)
    assert e.value.response.status in (502, 503)


def test_own_answers_fit_who_asks(stage):
    import json

    roost = stage.roost(settings([nobody()]))
    r = Person(roost).get(headers=[("Accept", "application/json")])
    assert "json" in r.header("Content-Type") and json.loads(r.body)
    r = Person(roost).get(headers=[("Accept", "text/html")])
    assert "html" in r.header("Content-Type") and b"<" in r.body


def test_retries_none_means_none(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([nobody(weight=1000), entry(a)], retries=0,
                                 balance="round-robin"))
    assert Person(roost, "p").get().status in (502, 503)


@pytest.mark.quick
def test_killed_backend_is_replaced(stage):
    roost, a, b = stage.proxy("a", "b", balance="round-robin")
    people = [Person(roost, f"p{i}") for i in range(10)]
    names = [p.backend() for p in people]
    assert "a" in names
    a.kill()
    assert [p.backend() for p in people] == ["b"] * 10


def test_killed_backend_comes_back(stage):
    roost, a, b = stage.proxy("a", "b")
    a.kill()
    for i in range(4):
        assert Person(roost, f"p{i}").backend() == "b"
    a.start().ready()
    newcomers = (Person(roost, f"q{i}") for i in count())
    wait_until(lambda: next(newcomers).backend() == "a", "a gets work again")


def test_stale_connection_is_not_the_clients_problem(stage):
    """A backend may close a kept connection at any time."""
    roost, a = stage.proxy("a")
    with RawClient(roost.address) as c:
        for _ in range(20):
            assert c.get("/").status == 200
            kept = roost.descriptors()
            a.order("cut_idle")
            # a POST that is already on its way could not be sent again
            wait_until(lambda: roost.descriptors() < kept, "roost has noticed")
            assert c.request("POST", "/up", body=b"x").status == 200
            a.order("cut_idle")


def once_then_cut():
    """A script that answers the first request of a connection and cuts it at the
    second."""
    used = set()

    def script(sock, head):
        if sock in used:
            return False
        used.add(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    return script


def test_get_on_a_kept_connection_that_dies_is_sent_again(stage):
    cut = stage.scripted(once_then_cut(), "cut")
    (a,) = stage.backends("a")
    config = settings([entry(cut, weight=1), entry(a, weight=1)])
    roost = stage.roost(config)
    for i in range(6):
        with RawClient(roost.address) as c:
            key = {"X-Client": f"p{i}"}
            assert c.get("/first", key).status == 200
            assert c.get("/second", key).status == 200


def test_post_that_may_have_been_acted_on_is_not_sent_again(stage):
    cut = stage.scripted(once_then_cut(), "cut")
    roost = stage.roost(settings([cut]))
    with RawClient(roost.address) as c:
        assert c.get("/first").status == 200
        assert c.request("POST", "/second", body=b"pay").status == 502
    assert sum(h.startswith(b"POST") for h in cut.heads) == 1


def test_backend_dying_before_the_answer_is_502(stage):
    dead = stage.scripted(lambda sock, head: False, "dead")
    roost = stage.roost(settings([dead]))
    r = Person(roost).request("POST", "/up", body=b"pay")
    assert r.status == 502
    assert len(dead.heads) == 1


NONSENSE = {
    "no HTTP": b"hello\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
    "blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n",
    "bad status": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "huge head": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100000 + b"\r\n\r\n",
    "101 to no upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n"
                         b"Connection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_502(stage, name):
    mad = stage.scripted(answering(NONSENSE[name], close=True), "mad")
    roost = stage.roost(settings([mad]))
    with RawClient(roost.address) as c:
        r = c.get("/")
        assert r.status == 502
        assert not r.header("X-A")


def test_bad_chunks_from_a_backend_cut_the_answer(stage):
    mad = stage.scripted(answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n"))
    roost = stage.roost(settings([mad]))
    with RawClient(roost.address) as c, pytest.raises((Cut, ConnectionResetError)):
        c.get("/")


def test_bytes_behind_an_answer_are_not_the_next_answer(stage):
    mad = stage.scripted(answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    roost = stage.roost(settings([mad]))
    with RawClient(roost.address) as c:
        for _ in range(5):
            assert c.get("/").body == b"ok"


def test_wrong_accept_value_is_502(stage):
    mad = stage.scripted(answering(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
        b"\r\n"))
    roost = stage.roost(settings([mad]))
    with pytest.raises(Refused) as e:
        WsClient(roost.address)
    assert e.value.response.status == 502


def test_unreachable_name_does_not_block_others(stage):
    (a,) = stage.backends("a")
    config = settings([{"name": "lost", "address": "no-such-host.invalid:80"}, entry(a)])
    roost = stage.roost(config)
    assert [Person(roost, f"p{i}").backend() for i in range(5)] == ["a"] * 5


def test_backend_by_name(stage):
    (a,) = stage.backends("a")
    config = settings([{"name": "a", "address": f"localhost:{a.port}"}])
    roost = stage.roost(config)
    wait_until(lambda: Person(roost, "p").get().status == 200, "the name is resolved")
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"


@pytest.fixture
def hole():
    """A listener whose queue is full: connecting to it gets no answer at all."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        fillers = []
        for _ in range(4):
            f = socket.socket()
            f.setblocking(False)
            f.connect_ex(s.getsockname())
            fillers.append(f)
        yield "127.0.0.1:%d" % s.getsockname()[1]
        for f in fillers:
            f.close()


def test_connect_timeout_is_504(stage, hole):
    config = settings([{"name": "hole", "address": hole}], timeouts={"connect": "300ms"})
    roost = stage.roost(config)
    assert Person(roost, "p").get().status in (503, 504)


def test_connect_timeout_is_tried_elsewhere(stage, hole):
    (a,) = stage.backends("a")
    config = settings([{"name": "hole", "address": hole, "weight": 9}, entry(a)],
                      timeouts={"connect": "1s"}, balance="round-robin")
    roost = stage.roost(config)
    assert Person(roost, "p").backend() == "a"


@pytest.mark.quick
def test_many_lose_their_backend_at_once(stage):
    roost, a = stage.proxy("a")
    clients = [RawClient(roost.address) for _ in range(60)]
    for c in clients:
        c.send(c.request_bytes("GET", "/hang"))
    a.wait_events("request", 60)
    threading.Thread(target=a.kill).start()
    assert {c.response().status for c in clients} <= {502, 503}
