# SPDX-License-Identifier: MIT
"""Large bodies stream: memory stays bounded, and who is slow slows only himself."""

import hashlib
import threading

import pytest
from peers.client import Person, RawClient
from peers.waiting import SANITIZED, holds_for, scaled, wait_until

MIB = 1 << 20
SIZE = (16 if SANITIZED else 64) * MIB
# what roost may grow by for one connection; buffers are far smaller, the rest is slack
GROWTH_KIB = (1 << 30) if SANITIZED else 8 * 1024


class Watch:
    """Largest memory seen while a block runs."""

    def __init__(self, roost):
        self.roost, self.stop = roost, threading.Event()
        self.before = self.most = roost.rss_kib()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.wait(0.01):
            self.most = max(self.most, self.roost.rss_kib())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()

    def check(self):
        grown = self.most - self.before
        assert grown < GROWTH_KIB, f"grew from {self.before} by {grown} KiB"


@pytest.fixture
def proxy(stage):
    roost, a = stage.proxy("a", timeouts={"body": "60s", "response": "60s"})
    Person(roost, "warm").get()
    return roost, a


@pytest.mark.parametrize("coding", ["", "?chunked", "?close"])
def test_download(proxy, coding):
    roost, _ = proxy
    with RawClient(roost.address) as c, Watch(roost) as watch:
        r = c.get(f"/bytes/{SIZE}{coding}")
    pattern = bytes(range(256)) * 256
    assert len(r.body) == SIZE
    assert r.body[: len(pattern)] == pattern
    watch.check()


def test_upload(proxy):
    roost, _ = proxy
    body = bytes(range(251)) * (SIZE // 251)
    with RawClient(roost.address) as c, Watch(roost) as watch:
        told = c.request("POST", "/up", body=body).json()
    assert told["body_length"] == len(body)
    assert told["body_sha256"] == hashlib.sha256(body).hexdigest()
    watch.check()


def test_chunked_upload(proxy):
    roost, _ = proxy
    piece = b"%x\r\n%b\r\n" % (MIB, b"c" * MIB)
    with RawClient(roost.address) as c, Watch(roost) as watch:
        c.send(c.request_bytes("POST", "/up", {"Transfer-Encoding": "chunked"}))
        for _ in range(SIZE // MIB):
            c.send(piece)
        c.send(b"0\r\n\r\n")
        assert c.response().json()["body_length"] == SIZE
    watch.check()


def others_go_on(roost):
    other = Person(roost, "other")
    return all(other.get(f"/{i}").status == 200 for i in range(20))


def test_client_that_does_not_read(proxy):
    roost, a = proxy
    size = 50 * MIB
    with RawClient(roost.address, receive_buffer=65536) as c, Watch(roost) as watch:
        c.send(c.request_bytes("GET", f"/bytes/{size}"))
        a.wait_events("request", target=f"/bytes/{size}")
        assert others_go_on(roost)
        holds_for(lambda: not [e for e in a.events("done") if e.target.endswith(str(size))],
                  "the backend cannot send it all", 0.7)
        assert others_go_on(roost)
        assert len(c.response().body) == size
    watch.check()


def test_backend_that_does_not_read(proxy):
    roost, a = proxy
    body = b"u" * (50 * MIB)
    with RawClient(roost.address) as c, Watch(roost) as watch:
        c.sock.settimeout(scaled(30))
        sender = threading.Thread(target=c.send, args=(
            c.request_bytes("POST", "/stall", body=body),))
        sender.start()
        a.wait_events("request", target="/stall")
        assert others_go_on(roost)
        holds_for(sender.is_alive, "the client cannot send it all", 0.7)
        assert others_go_on(roost)
        a.order("release")
        sender.join(scaled(30))
        assert c.response().json()["body_length"] == len(body)
    watch.check()


def test_slow_readers_in_numbers(proxy):
    """Forty clients that do not read must not cost forty times a body."""
    roost, a = proxy
    clients = [RawClient(roost.address, receive_buffer=32768) for _ in range(40)]
    with Watch(roost) as watch:
        for c in clients:
            c.send(c.request_bytes("GET", f"/bytes/{20 * MIB}"))
        wait_until(lambda: len(a.events("request")) > 40, "all arrived")
        assert others_go_on(roost)
        holds_for(lambda: True, "they stall", 0.5)
        for c in clients:
            c.reset()
        a.wait_events("disconnect", 40)
    grown = watch.most - watch.before
    assert grown < 40 * 1024 or SANITIZED, f"grew by {grown} KiB"
