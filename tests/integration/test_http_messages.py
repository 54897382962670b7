# SPDX-License-Identifier: MIT
"""HTTP/1 as it passes through: framing, keep-alive, methods, interim answers."""

import hashlib

import pytest
from peers.client import Cut, Person, RawClient
from peers.waiting import wait_until


@pytest.fixture(scope="module")
def proxy(shared_stage):
    return shared_stage.proxy("a")


@pytest.fixture
def client(proxy):
    with RawClient(proxy[0].address) as c:
        yield c


@pytest.mark.quick
def test_keep_alive(client):
    for i in range(50):
        assert client.get(f"/{i}").json()["path"] == f"/{i}"


def test_backend_connection_is_used_again(stage):
    roost, a = stage.proxy("a")
    with RawClient(roost.address) as c:
        assert len({c.get("/").json()["conn"] for _ in range(20)}) == 1


@pytest.mark.quick
def test_pipelined_requests_are_answered_in_order(client):
    n = 30
    client.send(b"".join(client.request_bytes("GET", f"/{i}") for i in range(n)))
    assert [client.response().json()["path"] for i in range(n)] == [
        f"/{i}" for i in range(n)
    ]


def test_pipelined_requests_with_bodies(client):
    requests = []
    for i in range(10):
        requests.append(client.request_bytes("POST", f"/{i}", body=b"x" * i * 1000))
        requests.append(client.request_bytes("GET", "/bytes/5000"))
        requests.append(client.request_bytes(
            "PUT", f"/c{i}", {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n"))
    client.send(b"".join(requests))
    for i in range(10):
        assert client.response().json()["body_length"] == i * 1000
        assert len(client.response().body) == 5000
        assert client.response().json()["body_length"] == 3


def test_pipelined_request_behind_a_slow_one(client):
    client.send(client.request_bytes("GET", "/slow/300")
                + client.request_bytes("GET", "/next"))
    assert client.response().json()["path"] == "/slow/300"
    assert client.response().json()["path"] == "/next"


def test_request_in_pieces(client):
    data = client.request_bytes("POST", "/pieces", body=b"0123456789" * 10)
    for i in range(0, len(data), 3):
        client.send(data[i : i + 3])
    assert client.response().json()["body_length"] == 100


def test_http_1_0_closes(client):
    r = client.request("GET", "/x", version="1.0")
    assert r.status == 200
    assert client.at_end()


def test_http_1_0_keep_alive(client):
    for _ in range(3):
        r = client.request("GET", "/x", {"Connection": "keep-alive"}, version="1.0")
        assert r.status == 200
        assert r.header("Connection").lower() == "keep-alive"


def test_http_1_0_client_gets_no_chunks(client):
    client.send(client.request_bytes("GET", "/bytes/70000?chunked", version="1.0"))
    r = client.response()
    assert r.header("Transfer-Encoding") is None
    assert len(r.body) == 70000


def test_connection_close_is_obeyed(client):
    r = client.get("/x", {"Connection": "close"})
    assert r.status == 200 and r.header("Connection").lower() == "close"
    assert client.at_end()


def test_backend_that_closes_does_not_close_the_client(client):
    assert client.get("/close").body == b"bye"
    assert client.get("/x").status == 200


def test_chunked_upload(client):
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (n, b"u" * n) for n in (1, 16, 40000))
    r = client.request("POST", "/up", {"Transfer-Encoding": "chunked"},
                       body + b"0\r\n\r\n")
    told = r.json()
    assert told["body_length"] == 40017
    assert told["body_sha256"] == hashlib.sha256(b"u" * 40017).hexdigest()


def test_chunked_download(client):
    r = client.get("/bytes/300000?chunked")
    assert len(r.body) == 300000
    assert client.get("/x").status == 200


def test_body_until_close(client):
    r = client.get("/bytes/300000?close")
    assert len(r.body) == 300000


def test_trailers_both_ways(client):
    r = client.request(
        "POST", "/up", {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"},
        b"2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
    )
    assert r.json()["trailers"] == ["X-Sum: 7"]
    r = client.get("/trailers", {"TE": "trailers"})
    assert r.body == b"hello"
    assert dict(r.trailers)["X-Sum"] == "532"


def test_head_has_no_body(client):
    r = client.request("HEAD", "/bytes/1000")
    assert r.status == 200 and r.header("Content-Length") == "1000"
    assert client.get("/x").json()["path"] == "/x"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_body(client, status):
    assert client.get(f"/status/{status}").status == status
    assert client.get("/x").status == 200


@pytest.mark.parametrize("status", [200, 201, 301, 400, 404, 418, 500, 503, 599])
def test_status_passes(client, status):
    assert client.get(f"/status/{status}").status == status


@pytest.mark.parametrize("method", ["PROPFIND", "QUERY", "PATCH", "DELETE", "OPTIONS",
                                    "MKCOL", "REPORT", "M-SEARCH", "x", "BREW-COFFEE"])
def test_method_passes(client, method):
    r = client.request(method, "/dav", body=b"<x/>")
    assert (r.json()["method"], r.json()["body_length"]) == (method, 4)
    assert client.get("/x").status == 200


def test_expect_continue(client):
    client.send(client.request_bytes(
        "POST", "/up", {"Expect": "100-continue", "Content-Length": "5"}))
    assert client.head().status == 100
    client.send(b"hello")
    r = client.response()
    assert r.status == 200 and r.json()["body_length"] == 5


def test_expect_continue_with_the_body_at_once(client):
    r = client.request("POST", "/up", {"Expect": "100-continue"}, b"hello")
    assert r.status == 200 and r.json()["body_length"] == 5
    assert client.get("/x").status == 200


def test_early_hints_pass(client):
    r = client.get("/early")
    assert [i.status for i in r.interim] == [103]
    assert r.interim[0].header("Link") == "</a.css>"


def test_get_with_a_body(client):
    assert client.request("GET", "/x", body=b"abc").json()["body_length"] == 3
    assert client.get("/y").json()["path"] == "/y"


def test_answer_before_the_body_is_read(stage):
    """A backend may refuse an upload without reading it."""
    b = stage.scripted(lambda sock, head: sock.sendall(
        b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    ) and False, "early")
    from peers.roost import settings

    roost = stage.roost(settings([b]))
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Content-Length": "1000000"}))
        r = c.response()
        assert (r.status, r.body) == (413, b"no")


def test_echo_streams_both_ways(client):
    body = bytes(range(256)) * 4000
    assert client.request("POST", "/echo", body=body).body == body


def test_answer_comes_as_the_backend_sends_it(client):
    client.send(client.request_bytes("GET", "/drip/5/100"))
    r = client.head()
    got = []
    while sum(got) < 5:
        got.append(len(client.sock.recv(100)) + len(client.buffer))
        client.buffer.clear()
    assert r.status == 200 and len(got) >= 3


@pytest.mark.quick
def test_many_clients_at_once(proxy):
    clients = [RawClient(proxy[0].address) for _ in range(100)]
    for i, c in enumerate(clients):
        c.send(c.request_bytes("GET", f"/slow/{i % 7}"))
    assert {c.response().status for c in clients} == {200}
    for c in clients:
        c.close()


def test_dying_answer_is_not_a_clean_end(client):
    with pytest.raises((Cut, ConnectionResetError)):
        client.get("/die/100000")


def test_dying_chunked_answer_is_not_a_clean_end(client):
    with pytest.raises((Cut, ConnectionResetError)):
        client.get("/die/100000?chunked")


def test_connections_are_given_back(proxy):
    roost, _ = proxy
    Person(roost, "p").get()
    before = roost.descriptors()
    for i in range(50):
        Person(roost, "p").get(f"/{i}")
    wait_until(lambda: roost.descriptors() <= before + 2, "descriptors are back")
