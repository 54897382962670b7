# SPDX-License-Identifier: MIT
"""Every key of `timeouts` ends what it is meant to end, and says so where it can."""

import time

import pytest
from peers import frames
from peers.client import Cut, Person, RawClient
from peers.websocket import Refused, WsClient


def proxy(stage, **timeouts):
    return stage.proxy("a", timeouts=timeouts)[0]


def test_first_byte(stage):
    roost = proxy(stage, first_byte="300ms")
    begun = time.monotonic()
    assert Person(roost).get("/hang").status == 504
    assert time.monotonic() - begun > 0.25


def test_first_byte_of_a_handshake(stage):
    roost = proxy(stage, first_byte="300ms")
    with pytest.raises(Refused) as e:
        WsClient(roost.address, "/ws?noanswer")
    assert e.value.response.status == 504


def test_first_byte_does_not_count_the_upload(stage):
    roost = proxy(stage, first_byte="1500ms")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Content-Length": "8"}))
        for _ in range(8):
            time.sleep(0.25)
            c.send(b"x")
        assert c.response().status == 200


def test_header(stage):
    roost = proxy(stage, header="400ms")
    with RawClient(roost.address) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
        assert c.response().status == 408
        assert c.at_end()


def test_header_is_not_extended_by_drops(stage):
    roost = proxy(stage, header="600ms")
    begun = time.monotonic()
    with RawClient(roost.address) as c:
        try:
            for byte in b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 1000:
                c.send(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - begun < 15


def test_connection_that_never_says_anything(stage):
    roost = proxy(stage, header="400ms", keepalive="400ms")
    with RawClient(roost.address) as c:
        c.at_end()  # a 408 may come, an end must


def test_body(stage):
    roost = proxy(stage, body="400ms")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Content-Length": "100"}) + b"some")
        assert c.response().status == 408
        assert c.at_end()


def test_body_counts_only_silence(stage):
    roost = proxy(stage, body="1500ms")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Content-Length": "8"}))
        for _ in range(8):
            time.sleep(0.25)
            c.send(b"x")
        assert c.response().json()["body_length"] == 8


def test_response(stage):
    roost = proxy(stage, response="400ms")
    with RawClient(roost.address) as c, pytest.raises((Cut, ConnectionResetError)):
        c.get("/drip/3/60000")


def test_response_counts_only_silence(stage):
    roost = proxy(stage, response="1500ms")
    assert Person(roost).get("/drip/8/250").body == b"x" * 8


def test_keepalive_of_a_client(stage):
    roost = proxy(stage, keepalive="300ms")
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200
        begun = time.monotonic()
        assert c.at_end(), "it ends without a word"
        assert time.monotonic() - begun > 0.2


def test_keepalive_of_a_backend_connection(stage):
    roost, a = stage.proxy("a", timeouts={"keepalive": "300ms"})
    assert Person(roost).get().status == 200
    a.wait_events("disconnect")


def test_no_timeout_touches_an_open_socket(stage):
    roost = proxy(stage, header="1s", body="1s", first_byte="1s", response="1s",
                  keepalive="1s")
    with WsClient(roost.address) as ws:
        time.sleep(1.4)
        assert ws.whoami() == "a"
        ws.send_frame(frames.TEXT, b"half", fin=False)
        time.sleep(1.2)
        ws.send_frame(frames.CONTINUATION, b"way")
        assert ws.read() == "halfway"
