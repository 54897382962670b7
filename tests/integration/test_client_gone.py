# SPDX-License-Identifier: MIT
"""A client that vanishes in the middle: its backend connection ends too, soon."""

import pytest
from peers.client import Person, RawClient
from peers.waiting import wait_until


@pytest.fixture
def proxy(stage):
    return stage.proxy("a")


def leave(client, how):
    client.reset() if how == "reset" else client.close()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_while_waiting_for_the_answer(proxy, how):
    roost, a = proxy
    c = RawClient(roost.address)
    c.send(c.request_bytes("GET", "/slow/60000"))
    a.wait_events("request")
    leave(c, how)
    a.wait_events("aborted", target="/slow/60000", seconds=3)
    assert Person(roost, "p").get().status == 200


@pytest.mark.parametrize("how", ["close", "reset"])
def test_in_the_middle_of_its_body(proxy, how):
    roost, a = proxy
    c = RawClient(roost.address)
    c.send(c.request_bytes("POST", "/up", {"Content-Length": "1000"}) + b"0123456789")
    a.wait_events("request")
    leave(c, how)
    a.wait_events("aborted", target="/up", seconds=3)
    assert not a.events("done")


def test_in_the_middle_of_a_chunked_body(proxy):
    roost, a = proxy
    c = RawClient(roost.address)
    c.send(c.request_bytes("POST", "/up", {"Transfer-Encoding": "chunked"})
           + b"5\r\nhello\r\n")
    a.wait_events("request")
    c.close()
    a.wait_events("aborted", target="/up", seconds=3)
    assert not a.events("done")


def test_in_the_middle_of_the_answer(proxy):
    roost, a = proxy
    c = RawClient(roost.address, receive_buffer=65536)
    c.send(c.request_bytes("GET", "/bytes/50000000"))
    c.head()
    c.reset()
    a.wait_events("aborted", target="/bytes/50000000", seconds=3)


def test_in_the_middle_of_its_head(proxy):
    roost, a = proxy
    before = roost.descriptors()
    for how in ("close", "reset") * 5:
        c = RawClient(roost.address)
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ")
        leave(c, how)
    wait_until(lambda: roost.descriptors() <= before, "descriptors are back")
    assert not a.events("request")


def test_with_requests_still_in_the_pipe(proxy):
    roost, a = proxy
    c = RawClient(roost.address)
    c.send(c.request_bytes("GET", "/slow/60000") + c.request_bytes("GET", "/never") * 5)
    a.wait_events("request")
    c.reset()
    a.wait_events("aborted", seconds=3)
    assert not [e for e in a.events("request") if e.target == "/never"]
    assert Person(roost, "p").get().status == 200


def test_during_its_handshake(proxy):
    from peers import frames
    from peers.websocket import handshake_headers

    roost, a = proxy
    c = RawClient(roost.address)
    headers = handshake_headers(frames.new_key())
    c.send(c.request_bytes("GET", "/ws?noanswer", headers))
    a.wait_events("handshake")
    c.close()
    a.wait_events("aborted", seconds=3)
    assert Person(roost, "p").get().status == 200


def test_half_closed_client_still_gets_its_answer_or_an_end(proxy):
    """Closing the sending side is leaving, for most proxies; never a hang."""
    import socket

    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/200"))
        c.sock.shutdown(socket.SHUT_WR)
        c.at_end()
