# SPDX-License-Identifier: MIT
"""The opening handshake, as it passes and as it is refused."""

import pytest
from peers import frames
from peers.client import Person, RawClient
from peers.roost import settings
from peers.websocket import Refused, WsClient, handshake_headers


@pytest.fixture(scope="module")
def proxy(shared_stage):
    return shared_stage.proxy("a")


def refused(*args, **how):
    with pytest.raises(Refused) as e:
        WsClient(*args, **how)
    return e.value.response


def raw(roost, method="GET", drop=(), version="1.1", **change):
    """A handshake with headers left out or changed; (the answer, the client)."""
    headers = dict(handshake_headers(frames.new_key()))
    for name in drop:
        del headers[name]
    for name, value in change.items():
        headers[name.replace("_", "-")] = value
    c = RawClient(roost.address)
    c.send(c.request_bytes(method, "/ws", headers, version=version))
    return c.response(method)


@pytest.mark.quick
def test_subprotocol_is_the_backends_choice(proxy):
    with WsClient(proxy[0].address, "/ws?proto=v2", protocols="v1, v2") as ws:
        assert ws.response.header("Sec-WebSocket-Protocol") == "v2"
        assert ws.whoami() == "a"
    with WsClient(proxy[0].address, "/ws", protocols="v1") as ws:
        assert ws.response.header("Sec-WebSocket-Protocol") is None


def test_subprotocol_nobody_offered_is_refused(proxy):
    assert refused(proxy[0].address, "/ws?proto=v3", protocols="v1").status == 502


def test_extension_the_backend_does_not_take_is_not_agreed(proxy):
    with WsClient(proxy[0].address, extensions="permessage-deflate") as ws:
        assert ws.response.header("Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize("status", [401, 403, 302, 404, 503])
def test_refusal_passes_as_it_is(proxy, status):
    r = refused(proxy[0].address, f"/ws?refuse={status}")
    assert (r.status, r.body, r.header("X-Why")) == (status, b"no\n", "refused")


def test_refused_client_may_go_on_with_http(proxy):
    with RawClient(proxy[0].address) as c:
        headers = handshake_headers(frames.new_key())
        assert c.get("/ws?refuse=401", headers).status == 401
        assert c.get("/x").status == 200


def test_old_version_is_426(proxy):
    r = refused(proxy[0].address, version="8")
    assert r.status == 426
    assert r.header("Sec-WebSocket-Version") == "13"


def test_malformed_handshakes_are_400_and_the_backend_never_hears(proxy):
    roost, a = proxy
    seen = len(a.events("request"))
    assert raw(roost, drop=["Sec-WebSocket-Key"]).status == 400
    assert raw(roost, Sec_WebSocket_Key="short").status == 400
    assert raw(roost, Sec_WebSocket_Key="=" * 24).status == 400
    assert raw(roost, drop=["Sec-WebSocket-Version"]).status in (400, 426)
    assert raw(roost, method="POST").status in (400, 405)
    assert len(a.events("request")) == seen


def test_upgrade_on_http_1_0_is_none(proxy):
    assert raw(proxy[0], version="1.0").status != 101


def test_upgrade_to_something_else_is_plain_http(proxy):
    r = raw(proxy[0], Upgrade="h2c")
    assert r.status == 200 and r.backend == "a"


def test_header_tokens_in_any_case_and_company(proxy):
    r = raw(proxy[0], Connection="keep-alive, UPGRADE", Upgrade="WebSocket")
    assert r.status == 101


def test_headers_and_path_reach_the_backend(proxy):
    import json

    roost, a = proxy
    p = Person(roost, headers=[("Authorization", "Bearer x"), ("Origin", "http://o"),
                               ("Cookie", "sid=1; theme=dark")])
    with p.websocket("/chat/room?id=7&n=%20") as ws:
        seen = {k.lower(): v for k, v in json.loads(ws.ask("headers"))}
    assert seen["authorization"] == "Bearer x"
    assert seen["origin"] == "http://o"
    assert "sid=1; theme=dark" in seen["cookie"]
    assert a.events("handshake")[-1].target == "/chat/room?id=7&n=%20"


def test_first_message_right_behind_the_handshake(proxy):
    with RawClient(proxy[0].address) as c:
        c.send(c.request_bytes("GET", "/ws", handshake_headers(frames.new_key()))
               + frames.encode(frames.TEXT, b"whoami", masked=True))
        assert c.response().status == 101
        assert c.take(3) == frames.encode(frames.TEXT, b"a")


def test_first_message_right_behind_the_answer(stage):
    def hello(sock, head):
        key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            + frames.accept_of(key).encode() + b"\r\n\r\n"
            + frames.encode(frames.TEXT, b"hello") + frames.encode(frames.TEXT, b"you"))
        return sock.recv(100) and False

    roost = stage.roost(settings([stage.scripted(hello)]))
    with WsClient(roost.address) as ws:
        assert (ws.read(), ws.read()) == ("hello", "you")


def test_handshake_on_a_kept_connection(proxy):
    with RawClient(proxy[0].address) as c:
        for i in range(3):
            assert c.get(f"/{i}").status == 200
        c.send(c.request_bytes("GET", "/ws", handshake_headers(frames.new_key())))
        assert c.response().status == 101
        c.send(frames.encode(frames.TEXT, b"whoami", masked=True))
        assert c.take(3) == frames.encode(frames.TEXT, b"a")


def test_handshake_in_pieces(proxy):
    with RawClient(proxy[0].address) as c:
        data = c.request_bytes("GET", "/ws", handshake_headers(frames.new_key()))
        for i in range(0, len(data), 7):
            c.send(data[i : i + 7])
        assert c.response().status == 101


def test_many_at_once(proxy):
    clients = [RawClient(proxy[0].address) for _ in range(100)]
    for c in clients:
        c.send(c.request_bytes("GET", "/ws", handshake_headers(frames.new_key())))
    assert {c.response().status for c in clients} == {101}
    for c in clients:
        c.close()
