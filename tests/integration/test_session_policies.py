# SPDX-License-Identifier: MIT
"""What an operator forbids: big messages, text that is none, strange origins, old
sessions, sides that take nothing, too many sessions of one client."""

import threading
import time

import pytest
from peers import frames
from peers.client import Person
from peers.roost import changed, settings
from peers.waiting import let_pass, scaled, wait_until
from peers.websocket import Refused, WsClient

MIB = 1 << 20


def text(payload, **how):
    return frames.encode(frames.TEXT, payload, masked=True, **how)


def handshake_status(roost, *headers):
    try:
        with WsClient(roost.address, "/ws", headers) as ws:
            return ws.response.status
    except Refused as e:
        return e.response.status


def binary(payload, **how):
    return frames.encode(frames.BINARY, payload, masked=True, **how)


# --- sizes

@pytest.fixture
def limited(stage):
    return stage.proxy("a", limits={"max_frame": 1000, "max_message": 2500})


def test_what_is_within_the_limits_passes(limited):
    roost, a = limited
    with Person(roost, "p").websocket() as ws:
        assert ws.ask(b"x" * 1000) == b"x" * 1000
        ws.send_frame(frames.BINARY, b"a" * 1000, fin=False)
        ws.send_frame(frames.PING, b"p" * 125)
        ws.send_frame(frames.CONTINUATION, b"b" * 1000, fin=False)
        ws.send_frame(frames.CONTINUATION, b"c" * 500)
        ws.raw.sock.settimeout(scaled(5))
        # the backend's echo is one frame of 2500 and itself too big
        assert ws.close_code() == 1011
    (end,) = a.wait_events("ws_close")
    assert (end.code, end.received) == (1009, 2)


@pytest.mark.parametrize("bytes_of", [
    lambda: binary(b"x" * 1001),
    lambda: binary(b"x" * 1001)[:8],  # its header is enough
    lambda: binary(b"x" * 1000, fin=False)
    + frames.encode(frames.CONTINUATION, b"x" * 1000, fin=False, masked=True)
    + frames.encode(frames.CONTINUATION, b"x" * 501, masked=True),
], ids=["frame", "header", "message"])
def test_too_big_from_a_client(limited, bytes_of):
    roost, a = limited
    with Person(roost, "p").websocket() as ws:
        ws.raw.send(bytes_of())
        assert ws.close_code() == 1009
    (end,) = a.wait_events("ws_close")
    assert (end.code, end.received) == (1001, 0)
    roost.wait_log("ended by roost .*code 1009.*cause too_big")


def test_too_big_from_a_backend(limited):
    roost, a = limited
    with Person(roost, "p").websocket() as ws:
        ws.send("send 1001")
        assert ws.close_code() == 1011
    (end,) = a.wait_events("ws_close")
    assert end.code == 1009


# --- text

@pytest.fixture
def checking(stage):
    return stage.proxy("a", utf8="check")


def test_good_text_passes_however_it_is_cut(checking):
    roost, a = checking
    message = "grüße, €, 😀, and ASCII " * 50
    with Person(roost, "p").websocket() as ws:
        assert ws.ask(message) == message
        raw = text(message.encode())
        for i in range(0, len(raw), 7):
            ws.raw.send(raw[i : i + 7])
        assert ws.read() == message
        for i, b in enumerate("€".encode()):
            opcode = frames.CONTINUATION if i else frames.TEXT
            ws.send_frame(opcode, bytes([b]), fin=i == 2)
        assert ws.read() == "€"
        assert ws.ask(b"\xff\xfe") == b"\xff\xfe"


@pytest.mark.parametrize("bad", [b"\xff", b"ok \xc3\x28", b"\xed\xa0\x80", b"cut \xe2\x82"])
def test_bad_text_from_a_client(checking, bad):
    roost, a = checking
    with Person(roost, "p").websocket() as ws:
        assert ws.ask("m") == "m"
        ws.raw.send(text(bad))
        assert ws.close_code() == 1007
    (end,) = a.wait_events("ws_close")
    assert (end.code, end.received) == (1001, 1)
    roost.wait_log("code 1007.*cause bad_data")


def test_bad_text_in_a_later_piece(checking):
    roost, a = checking
    with Person(roost, "p").websocket() as ws:
        raw = text(b"a" * 300 + b"\xff")
        ws.raw.send(raw[:200])
        assert ws.is_open()
        ws.raw.send(raw[200:])
        assert ws.close_code() == 1007
    a.wait_events("ws_close", received=0)


def test_bad_text_from_a_backend(checking):
    roost, a = checking
    with Person(roost, "p").websocket() as ws:
        ws.send("raw " + frames.encode(frames.TEXT, b"\xff").hex())
        assert ws.close_code() == 1011
    assert a.wait_events("ws_close")[0].code == 1007


def test_text_is_not_looked_at_by_default(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        ws.raw.send(text(b"\xff"))
        assert ws.read_frame().payload == b"\xff"


def test_reason_of_a_close_is_always_checked(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        ws.send_frame(frames.CLOSE, b"\x03\xe8\xff")
        assert ws.close_code() == 1007


# --- origins

@pytest.fixture
def choosy(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["routes"][0]["origins"] = ["https://app.example", "https://*.example.com"]
    return stage.roost(config)


@pytest.mark.parametrize("origin, status", [
    (None, 101), ("https://app.example", 101), ("HTTPS://APP.example", 101),
    ("https://a.b.example.com", 101), ("https://example.com", 403),
    ("http://app.example", 403), ("https://app.example:8443", 403), ("null", 403),
    ("https://app.example.evil.org", 403),
])
def test_origins(choosy, origin, status):
    headers = [("Origin", origin)] if origin else []
    assert handshake_status(choosy, *headers) == status


def test_origins_are_for_sessions_only(choosy):
    assert Person(choosy, "p").get("/", [("Origin", "https://evil.org")]).status == 200


# --- ages

def test_old_sessions_are_sent_to_come_back(stage):
    roost, a = stage.proxy("a", limits={"max_session_age": "600ms"})
    with Person(roost, "p").websocket() as ws:
        assert ws.ask("m") == "m"
        assert ws.close_code() == 1012
        ws.send_close(1012)
        assert ws.raw.at_end()
    (age,) = roost.wait_log(r"code 1012, ([0-9.]+) s,.*cause session_age")
    assert float(age) > 0.5
    assert a.wait_events("ws_close")[0].code == 1001


# --- sides that take nothing

def test_client_that_takes_nothing_is_closed_and_nobody_else_notices(stage):
    roost, a = stage.proxy("a", timeouts={"write": "700ms"})
    with Person(roost, "other").websocket() as other:
        lazy = Person(roost, "lazy").websocket(receive_buffer=65536)
        lazy.send("flood 60 %d" % MIB)
        n = 0
        while not roost.logged("cause slow_reader"):
            assert other.ask(f"m{n}") == f"m{n}"
            n += 1
        a.wait_events("ws_close", client="lazy")
        assert other.ask("still") == "still"
        lazy.raw.close()


def test_slow_but_steady_client_stays(stage):
    """For longer than either limit."""
    roost, a = stage.proxy("a", timeouts={"write": "2s"},
                           heartbeat={"interval": "1s", "timeout": "1s"})
    with Person(roost, "slow").websocket(receive_buffer=65536) as ws:
        ws.send("flood 24 %d" % MIB)
        left, end = 24 * (MIB + 10) + 9, time.monotonic() + 3
        while left:
            if time.monotonic() < end:
                let_pass(0.03)
            got = len(ws.raw.sock.recv(min(left, MIB // 2)))
            assert got, "it was closed"
            left -= got
        assert time.monotonic() > end, "it was slow"
    assert not roost.logged("slow_reader|heartbeat_timeout")


def test_backend_that_takes_nothing_counts_as_lost(stage):
    roost, a = stage.proxy("a", timeouts={"write": "700ms"}, rehome={"mode": "off"})
    with Person(roost, "eager").websocket("/ws?stall") as ws:
        def flood():
            try:
                for _ in range(60):
                    ws.send(bytes(MIB))
            except OSError:
                pass

        sender = threading.Thread(target=flood, daemon=True)
        sender.start()
        assert ws.close_code() == 1012
        ws.raw.close()
        sender.join(scaled(10))
    roost.wait_log("ended by backend.*cause slow_reader")
    a.order("release")


# --- one client's sessions

def quota(stage, excess, **more):
    return stage.proxy("a", client_limits={"by": "client", "sessions": 1,
                                           "excess": excess}, **more)


def test_the_oldest_session_makes_room(stage):
    roost, a = quota(stage, "replace-oldest")
    with Person(roost, "p").websocket() as old, \
            Person(roost, "q").websocket() as other:
        done = []

        def come_back():
            ws = Person(roost, "p").websocket()
            done.append(ws)

        t = threading.Thread(target=come_back)
        t.start()
        assert old.close_code() == 1008
        assert old.reason.startswith("replaced")
        old.send_close(1008)
        t.join(scaled(10))
        assert done[0].whoami() == "a"
        assert other.whoami() == "a"
        done[0].close()
    roost.wait_log("cause replaced")


def test_an_old_session_that_is_dead_makes_room_within_a_second(stage):
    roost, a = quota(stage, "replace-oldest")
    with Person(roost, "p").websocket():  # reads nothing, answers nothing
        with Person(roost, "p").websocket() as ws:
            assert ws.whoami() == "a"
            # its backend saw the old one go before the new one came
            kinds = [e.kind for e in a.events("ws_close", "handshake")]
            assert kinds == ["handshake", "ws_close", "handshake"]


def test_a_session_too_many_is_refused(stage):
    roost, a = quota(stage, "refuse")
    with Person(roost, "p").websocket() as ws:
        assert handshake_status(roost, ("X-Client", "p")) == 429
        assert ws.whoami() == "a"
        ws.close()
    wait_until(lambda: handshake_status(roost, ("X-Client", "p")) == 101,
               "there is room again")


# --- reloads

def test_limits_follow_a_reload(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        assert len(ws.ask(b"x" * 2000)) == 2000
        config = changed(roost.config, "a")
        config["upstreams"]["app"]["limits"] = {"max_frame": 1000}
        roost.reload(config)
        wait_until(lambda: roost.logged("configuration reloaded"), "it is taken over")
        ws.send(b"x" * 2000)
        assert ws.close_code() == 1009
