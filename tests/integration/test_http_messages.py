# SPDX-License-Identifier: MIT
"""HTTP/1 as it passes through: keep-alive, pipelining, methods, statuses.

Framing at its edges is in hostile/, whole conversations in test_http_clients.py."""

import hashlib

import pytest
from peers.client import Person, RawClient
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


def test_http_1_0_keep_alive(client):
    for _ in range(3):
        r = client.request("GET", "/x", {"Connection": "keep-alive"}, version="1.0")
        assert r.status == 200
        assert r.header("Connection").lower() == "keep-alive"


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


@pytest.mark.parametrize("status", [200, 201, 301, 400, 404, 418, 500, 503, 599])
def test_status_passes(client, status):
    assert client.get(f"/status/{status}").status == status


@pytest.mark.parametrize("method", ["PROPFIND", "QUERY", "PATCH", "DELETE", "OPTIONS",
                                    "MKCOL", "REPORT", "M-SEARCH", "x", "BREW-COFFEE"])
def test_method_passes(client, method):
    r = client.request(method, "/dav", body=b"<x/>")
    assert (r.json()["method"], r.json()["body_length"]) == (method, 4)
    assert client.get("/x").status == 200


@pytest.mark.quick
def test_many_clients_at_once(proxy):
    clients = [RawClient(proxy[0].address) for _ in range(100)]
    for i, c in enumerate(clients):
        c.send(c.request_bytes("GET", f"/slow/{i % 7}"))
    assert {c.response().status for c in clients} == {200}
    for c in clients:
        c.close()


def test_connections_are_given_back(proxy):
    roost, _ = proxy
    Person(roost, "p").get()
    before = roost.descriptors()
    for i in range(50):
        Person(roost, "p").get(f"/{i}")
    wait_until(lambda: roost.descriptors() <= before + 2, "descriptors are back")
