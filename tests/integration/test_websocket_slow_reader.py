# SPDX-License-Identifier: MIT
"""A side that does not read stops the other side, not roost and not anybody else."""

import threading

import pytest
from peers import frames
from peers.client import Person
from peers.waiting import SANITIZED, holds_for, scaled, wait_until

MIB = 1 << 20
GROWTH_KIB = (1 << 30) if SANITIZED else 8 * 1024


@pytest.fixture
def proxy(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "warm").websocket() as ws:
        ws.whoami()
    return roost, a


def others_go_on(roost):
    with Person(roost, "other").websocket() as ws:
        return all(ws.ask(f"m{i}") == f"m{i}" for i in range(20))


def test_client_that_does_not_read(proxy):
    roost, a = proxy
    before = roost.rss_kib()
    with Person(roost, "lazy").websocket(receive_buffer=65536) as ws:
        ws.send("flood 50 %d" % MIB)
        wait_until(lambda: a.open().sockets, "it is there")
        assert others_go_on(roost)
        holds_for(lambda: roost.rss_kib() - before < GROWTH_KIB, "memory is bounded", 0.7)
        assert others_go_on(roost)
        assert [len(ws.read()) for _ in range(50)] == [MIB] * 50
        assert ws.read() == "flooded"
    assert roost.rss_kib() - before < GROWTH_KIB


def test_backend_that_does_not_read(proxy):
    roost, a = proxy
    before = roost.rss_kib()
    with Person(roost, "eager").websocket("/ws?stall") as ws:
        ws.raw.sock.settimeout(scaled(30))

        def flood():
            for i in range(50):
                ws.send(b"%02d" % i + bytes(MIB))

        sender = threading.Thread(target=flood)
        sender.start()
        assert others_go_on(roost)
        holds_for(lambda: sender.is_alive() and roost.rss_kib() - before < GROWTH_KIB,
                  "the sender waits, memory is bounded", 0.7)
        assert others_go_on(roost)
        a.order("release")
        got = [ws.read()[:2] for _ in range(50)]
        sender.join(scaled(30))
    assert got == [b"%02d" % i for i in range(50)]


def test_client_that_never_reads_is_not_kept_after_the_backend_is_gone(proxy):
    roost, a = proxy
    ws = Person(roost, "lazy").websocket(receive_buffer=65536)
    ws.send("flood 50 %d" % MIB)
    wait_until(lambda: a.open().sockets, "it is there")
    ws.reset()
    a.wait_events("ws_close", client="lazy")


def test_pings_of_a_client_that_reads_nothing_are_bounded(proxy):
    """Each ping makes a pong: a flood of them must not fill memory."""
    roost, a = proxy
    before = roost.rss_kib()
    with Person(roost, "pinger").websocket(receive_buffer=32768) as ws:
        ws.raw.sock.settimeout(0.5)
        flood = frames.encode(frames.PING, b"x" * 100, masked=True) * 1000
        try:
            for _ in range(200):
                ws.raw.send(flood)
        except OSError:
            pass
        assert roost.rss_kib() - before < GROWTH_KIB
        assert others_go_on(roost)
