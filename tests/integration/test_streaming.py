# SPDX-License-Identifier: MIT
"""Bodies stream: roost's memory stays where it is however much passes through it, and
who does not take what comes makes the other side wait.

The peak of its resident memory (VmHWM) is set back before each transfer and read
behind it. By default 64 MiB are sent. The same by hand with 5 GiB, figures shown:

    cd tests/integration
    ROOST=../../roost ROOST_STREAM_MIB=5120 /usr/bin/python3 -m pytest -s \\
        test_streaming.py -k "upload or download"
"""

import io
import itertools
import os
import re
import select
import signal
import socket
import threading

import pytest
from peers.client import RawClient
from peers.conversation import Conversation
from peers.roost import settings
from peers.waiting import SANITIZED, scaled, wait_until

MIB = 1 << 20
KIB = 1024
ASKED = int(os.environ.get("ROOST_STREAM_MIB", "0"))
SIZE = (ASKED or 64) * MIB
GROWTH = 512 * KIB  # what a transfer may cost, slack of the allocator included
# what the kernel's own buffers on the way may hold before everything stands still
IN_FLIGHT = 40 * MIB
PATTERN = bytes(range(251)) * 4096  # no power of two, so that a slip shows
PIECE = 256 * KIB
TURNS = 20  # of roost's loop without a byte of progress: it stands still


@pytest.fixture(autouse=True)
def time_for_large_ones(time_limit):
    if ASKED:
        signal.setitimer(signal.ITIMER_REAL, 60 + ASKED / 10)


class Memory:
    """How far the peak of roost's memory is above where it began."""

    def __init__(self, roost, what):
        self.pid, self.what = roost.pid, what
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")  # the peak begins anew
        self.before = self.read("VmRSS")

    def read(self, key):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(rf"{key}:\s+(\d+)", f.read()).group(1)) * KIB

    def check(self, most=GROWTH):
        grown = self.read("VmHWM") - self.before
        print(f"\n{self.what}: {SIZE // MIB} MiB, VmRSS before "
              f"{self.before // KIB} KiB, VmHWM above it {grown // KIB} KiB")
        assert SANITIZED or grown <= most, f"grew by {grown // KIB} KiB"


class Checked:
    """Takes a body in pieces and compares it with the pattern."""

    def __init__(self):
        self.n = 0

    def take(self, data):
        data, at = memoryview(data), 0
        while at < len(data):
            offset = self.n % len(PATTERN)
            part = data[at : at + len(PATTERN) - offset]
            assert part == memoryview(PATTERN)[offset : offset + len(part)], self.n
            self.n += len(part)
            at += len(part)


def pieces(size):
    """The body's pieces: all of PATTERN, and what is left."""
    view = memoryview(PATTERN)
    while size:
        piece = view[: min(size, len(view))]
        yield piece
        size -= len(piece)


def framed(size, chunked):
    for piece in pieces(size):
        if chunked:
            yield b"%x\r\n" % len(piece)
        yield piece
        if chunked:
            yield b"\r\n"
    if chunked:
        yield b"0\r\n\r\n"


class Sender(threading.Thread):
    """Writes pieces in a thread of its own and counts what the kernel took."""

    def __init__(self, sock, source):
        super().__init__(daemon=True)
        self.sock, self.source = sock, source
        self.sent, self.failed = 0, None
        sock.settimeout(None)
        self.start()

    def run(self):
        try:
            for data in self.source:
                data = memoryview(data)
                while data:
                    n = self.sock.send(data[:PIECE])
                    self.sent += n
                    data = data[n:]
        except OSError as e:
            self.failed = e


def without_end(data):
    """The same again and again, until far more is sent than can be under way."""
    return itertools.repeat(data, SIZE // len(data))


class Rest(io.RawIOBase):
    """What a client has still to read, as a file: first what came with the head."""

    def __init__(self, client):
        self.client = client

    def readable(self):
        return True

    def readinto(self, space):
        if not self.client.buffer:
            return self.client.sock.recv_into(space)
        n = min(len(space), len(self.client.buffer))
        space[:n] = self.client.take(n)
        return n


def read_chunked(reader, checked):
    while size := int(reader.readline(), 16):
        while size:
            data = reader.read1(min(size, PIECE))
            assert data
            checked.take(data)
            size -= len(data)
        assert reader.readline() == b"\r\n"
    assert reader.readline() == b"\r\n"


def read_plain(reader, checked, size):
    while checked.n < size and (data := reader.read1(PIECE)):
        checked.take(data)


def stands_still(roost, sender):
    """Waits until nothing moves any more, turn after turn, though there is more to be
    sent; others are served all the while. Returns what was sent by then."""
    last, turns = -1, 0
    with Conversation(roost.address) as other:
        def still():
            nonlocal last, turns
            assert other.get("/turn").status == 200
            if not sender.is_alive():
                return True
            writable = select.select([], [sender.sock], [], 0)[1]
            turns = 0 if writable or sender.sent != last else turns + 1
            last = sender.sent
            return turns >= TURNS

        wait_until(still, "the sender stands still", 25)
    return sender.sent


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


class Peer:
    """A backend whose side of the transfer waits for the test."""

    def __init__(self, stage, size):
        self.size = size
        self.go_on = threading.Event()
        self.senders = []
        self.begun = threading.Event()
        self.checked = Checked()
        self.done = threading.Event()
        self.backend = stage.scripted(self.script, "peer")

    def script(self, sock, head):
        line = head.split(b" HTTP/")[0].decode()
        if line == "GET /turn":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return None
        if line == "GET /hints":
            return self.send(sock, without_end(HINTS * 100), False)
        if line.startswith("GET /download"):
            return self.download(sock, line.rpartition("/")[2])
        return self.upload(sock, b"transfer-encoding: chunked" in head.lower())

    def download(self, sock, framing):
        lines = {"length": f"Content-Length: {self.size}\r\n",
                 "chunked": "Transfer-Encoding: chunked\r\n", "close": ""}[framing]
        sock.sendall(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
        return self.send(sock, framed(self.size, framing == "chunked"),
                         framing != "close")

    def send(self, sock, source, stay):
        sender = Sender(sock, source)
        self.senders.append(sender)
        self.begun.set()
        sender.join()
        return stay

    def upload(self, sock, chunked):
        self.begun.set()
        self.go_on.wait()
        reader = sock.makefile("rb", PIECE)
        if chunked:
            read_chunked(reader, self.checked)
        else:
            read_plain(reader, self.checked, self.size)
        self.done.set()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def start(stage, peer):
    config = settings([peer.backend], timeouts={"body": "600s", "response": "600s",
                                                "first_byte": "600s"})
    config["workers"] = 1
    roost = stage.roost(config)
    with Conversation(roost.address) as c:
        for _ in range(100):  # whatever is made once is there now
            assert c.get("/turn").status == 200
    return roost


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload(stage, framing):
    peer = Peer(stage, SIZE)
    roost = start(stage, peer)
    with RawClient(roost.address) as c:
        memory = Memory(roost, f"upload, {framing}")
        how = (f"Content-Length: {SIZE}" if framing == "length"
               else "Transfer-Encoding: chunked")
        c.send(f"POST /upload HTTP/1.1\r\nHost: h\r\n{how}\r\n\r\n".encode())
        sender = Sender(c.sock, framed(SIZE, framing == "chunked"))
        assert peer.begun.wait(scaled(10))
        assert stands_still(roost, sender) < min(IN_FLIGHT, SIZE)
        peer.go_on.set()
        sender.join()
        assert sender.failed is None
        assert c.response().status == 200
        assert peer.checked.n == SIZE
        memory.check()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_download(stage, framing):
    peer = Peer(stage, SIZE)
    roost = start(stage, peer)
    checked = Checked()
    with RawClient(roost.address, receive_buffer=64 * KIB) as c:
        memory = Memory(roost, f"download, {framing}")
        c.send(f"GET /download/{framing} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert peer.begun.wait(scaled(10))
        assert stands_still(roost, peer.senders[0]) < min(IN_FLIGHT, SIZE)
        assert c.head().status == 200
        c.sock.settimeout(None)
        reader = io.BufferedReader(Rest(c), PIECE)
        if framing == "length":
            read_plain(reader, checked, SIZE)
        else:
            read_chunked(reader, checked)
        assert checked.n == SIZE
        memory.check()


def test_slow_readers_in_numbers(stage):
    """Forty clients that do not read cost no more than what one read brings, each."""
    n = 40
    peer = Peer(stage, SIZE)
    roost = start(stage, peer)
    clients = [RawClient(roost.address, receive_buffer=32 * KIB) for _ in range(n)]
    memory = Memory(roost, f"{n} slow readers")
    for c in clients:
        c.send(b"GET /download/length HTTP/1.1\r\nHost: h\r\n\r\n")
    wait_until(lambda: len(peer.senders) == n, "all are being answered")
    for sender in peer.senders:
        assert stands_still(roost, sender) < min(IN_FLIGHT, SIZE)
    memory.check(GROWTH + n * 96 * KIB)
    for c in clients:
        c.reset()
    for sender in peer.senders:
        sender.join()


def test_interim_answers_do_not_pile_up(stage):
    """A backend that says 103 for ever to a client that does not read: it has to wait,
    or is cut off."""
    peer = Peer(stage, SIZE)
    roost = start(stage, peer)
    with RawClient(roost.address, receive_buffer=64 * KIB) as c:
        memory = Memory(roost, "103 for ever")
        c.send(b"GET /hints HTTP/1.1\r\nHost: h\r\n\r\n")
        assert peer.begun.wait(scaled(10))
        assert stands_still(roost, peer.senders[0]) < IN_FLIGHT
        memory.check()


def test_pipelined_requests_do_not_pile_up(stage):
    """A client that asks and asks and never reads is not read from either."""
    roost = start(stage, Peer(stage, SIZE))
    request = b"GET /turn HTTP/1.1\r\nHost: h\r\n\r\n" * 200
    with RawClient(roost.address, receive_buffer=4 * KIB) as c:
        memory = Memory(roost, "requests and no reading")
        sender = Sender(c.sock, without_end(request))
        assert stands_still(roost, sender) < IN_FLIGHT
        memory.check()
        c.sock.shutdown(socket.SHUT_RDWR)
        sender.join()
