# SPDX-License-Identifier: MIT
"""What RFC 6455 forbids ends the session with 1002 (or 1007), and nothing of the bad
frame reaches the other side."""

import pytest
from peers.client import Person
from peers.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode


def m(*args, **how):
    return encode(*args, masked=True, **how)


HUGE = bytes([0x82, 0xFF]) + (1 << 63).to_bytes(8, "big") + b"mask" + b"x"

FROM_CLIENT = {
    "reserved bit 1": m(TEXT, b"x", rsv=4),
    "reserved bit 2": m(TEXT, b"x", rsv=2),
    "reserved bit 3": m(TEXT, b"x", rsv=1),
    "reserved bit on a ping": m(PING, b"x", rsv=4),
    "opcode 3": m(3, b"x"),
    "opcode 7": m(7, b"x"),
    "opcode 11": m(11, b"x"),
    "opcode 15": m(15, b"x"),
    "unmasked": encode(TEXT, b"x"),
    "unmasked ping": encode(PING, b"x"),
    "fragmented ping": m(PING, b"x", fin=False),
    "fragmented close": m(CLOSE, b"\x03\xe8", fin=False),
    "ping of 126": m(PING, b"x" * 126),
    "pong of 126": m(PONG, b"x" * 126),
    "close of 126": m(CLOSE, b"\x03\xe8" + b"x" * 124),
    "continuation of nothing": m(CONTINUATION, b"x"),
    "text inside a message": m(TEXT, b"x", fin=False) + m(TEXT, b"y"),
    "binary inside a message": m(TEXT, b"x", fin=False) + m(BINARY, b"y"),
    "continuation after the end": m(TEXT, b"x") + m(CONTINUATION, b"y"),
    "16 bits for 5": m(TEXT, b"x" * 5, length_size=3),
    "64 bits for 5": m(TEXT, b"x" * 5, length_size=9),
    "64 bits for 65535": m(TEXT, b"x" * 65535, length_size=9),
    "length of 64 bits": HUGE,
    "close of one byte": m(CLOSE, b"\x03"),
    "close 0": m(CLOSE, b"\x00\x00"),
    "close 999": m(CLOSE, b"\x03\xe7"),
    "close 1004": m(CLOSE, b"\x03\xec"),
    "close 1005": m(CLOSE, b"\x03\xed"),
    "close 1006": m(CLOSE, b"\x03\xee"),
    "close 1015": m(CLOSE, b"\x03\xf7"),
    "close 2999": m(CLOSE, b"\x0b\xb7"),
    "close 5000": m(CLOSE, b"\x13\x88"),
}
FROM_BACKEND = {
    "masked": m(TEXT, b"x"),
    "reserved bit": encode(TEXT, b"x", rsv=4),
    "opcode 3": encode(3, b"x"),
    "fragmented ping": encode(PING, b"x", fin=False),
    "continuation of nothing": encode(CONTINUATION, b"x"),
    "16 bits for 5": encode(TEXT, b"x" * 5, length_size=3),
    "close of one byte": encode(CLOSE, b"\x03"),
    "close 1006": encode(CLOSE, b"\x03\xee"),
}


@pytest.fixture(scope="module")
def proxy(shared_stage):
    return shared_stage.proxy("a")


def name_of(case):
    return "v-" + case.replace(" ", "-")


@pytest.mark.parametrize("case", FROM_CLIENT)
def test_of_a_client(proxy, case):
    roost, a = proxy
    name = name_of(case)
    with Person(roost, name).websocket() as ws:
        assert ws.ask("before") == "before"
        ws.raw.send(FROM_CLIENT[case])
        assert ws.close_code() in (1002, 1007)
    (end,) = a.wait_events("ws_close", client=name)
    assert end.code not in (1000, 1005, 1006, 1015, 999)


@pytest.mark.parametrize("case", FROM_BACKEND)
def test_of_a_backend(proxy, case):
    roost, a = proxy
    name = "b" + name_of(case)
    with Person(roost, name).websocket() as ws:
        ws.send("raw " + FROM_BACKEND[case].hex())
        assert ws.close_code() in (1002, 1011)
    a.wait_events("ws_close", client=name)


def test_good_messages_before_the_bad_frame_arrive(proxy):
    roost, a = proxy
    with Person(roost, "good-then-bad").websocket() as ws:
        ws.raw.send(m(TEXT, b"one") + m(TEXT, b"two") + m(3, b"bad"))
        ws.close_code()
    (end,) = a.wait_events("ws_close", client="good-then-bad")
    assert end.received == 2


def test_nothing_of_the_bad_frame_arrives(proxy):
    roost, a = proxy
    with Person(roost, "bad").websocket() as ws:
        ws.raw.send(m(TEXT, b"secret", rsv=2) + m(TEXT, b"more"))
        assert ws.close_code() == 1002
    (end,) = a.wait_events("ws_close", client="bad")
    assert end.received == 0


def test_others_do_not_notice(proxy):
    roost, _ = proxy
    with Person(roost, "innocent").websocket() as ws:
        for case in ("opcode 3", "unmasked", "length of 64 bits"):
            with Person(roost, "guilty-" + case).websocket() as bad:
                bad.raw.send(FROM_CLIENT[case])
                bad.close_code()
        assert ws.whoami() == "a"
