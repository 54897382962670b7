# SPDX-License-Identifier: MIT
"""Runs one case as the client of an endpoint and tells all that a client can see.

The bytes go out in one of three ways:
  apart   step by step; what comes behind a message waits for its answer
  burst   all at once
  bytes   the first of them one at a time, each in a packet of its own
"""

import select
import socket
import time
import zlib
from dataclasses import dataclass, field

from peers import frames
from peers.frames import BINARY, CLOSE, CONTINUATION, PONG, TEXT
from peers.waiting import DEADLINE, scaled
from peers.websocket import handshake_headers

WAYS = ("apart", "burst", "bytes")
SINGLE = 400     # so many bytes go out one by one,
PIECE = 4093     # and what follows in pieces of this, if the case is not too large
MANY = 1 << 18
NO_CLOSE = 1006  # as in RFC 6455, 7.1.5: the connection ended without a Close


@dataclass
class Seen:
    """What the client saw."""

    status: int = 101
    extensions: str = ""
    messages: list = field(default_factory=list)  # (opcode, payload), whole and plain
    pongs: list = field(default_factory=list)
    frames: list = field(default_factory=list)    # all of them before the Close
    close: object = NO_CLOSE                      # code, or None for a Close without one
    reason: bytes = b""
    ended: bool = False                           # the connection, by the other side
    late: list = field(default_factory=list)      # frames behind a Close
    seconds: float = 0

    @property
    def data(self):
        """The frames of the messages, as they came."""
        return [f for f in self.frames if f.opcode in (TEXT, BINARY, CONTINUATION)]


class Deflate:
    """permessage-deflate as agreed (RFC 7692), seen from the client."""

    def __init__(self, agreed):
        self.on = agreed.startswith("permessage-deflate")
        values = {}
        for one in agreed.split(";")[1:]:
            name, _, value = one.strip().partition("=")
            values[name] = value.strip('"')
        self.fresh = "client_no_context_takeover" in values
        self.other_fresh = "server_no_context_takeover" in values
        self.bits = int(values.get("client_max_window_bits") or 15)
        self.packer = self.unpacker = None

    def pack(self, data):
        if self.packer is None or self.fresh:
            # zlib makes 9 of 8, which has more than the eight asked for
            self.packer = zlib.compressobj(wbits=-max(self.bits, 9))
        out = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        return out[:-4]

    def unpack(self, data):
        if self.unpacker is None or self.other_fresh:
            self.unpacker = zlib.decompressobj(wbits=-15)
        return self.unpacker.decompress(data + b"\0\0\xff\xff")


def encoded(s, deflate=None, masked=True):
    """A step as bytes; masked is what is right in this direction."""
    masked = masked != s.wrong_mask
    if not s.deflate or not deflate or not deflate.on:
        return frames.encode(s.opcode, s.payload, s.fin, s.rsv, masked, s.length_size)
    packed = deflate.pack(s.payload)
    size = len(packed) // s.deflate + 1
    pieces = [packed[i : i + size] for i in range(0, len(packed), size)] or [b""]
    return b"".join(
        frames.encode(CONTINUATION if i else s.opcode, piece, i == len(pieces) - 1,
                      0 if i else 4, masked)
        for i, piece in enumerate(pieces)
    )


class Client:
    """One connection that a case is run on."""

    def __init__(self, address, offer=None, target="/case"):
        self.seen = Seen()
        self.decoder = frames.Decoder()
        self.begun = time.monotonic()
        self.sock = socket.create_connection(address, scaled(DEADLINE))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.said_close = False
        self.first = b""
        self.opcode, self.rsv, self.parts = None, 0, []
        self.greet("%s:%d" % address, target, offer)
        self.sock.setblocking(False)
        self.poller = select.poll()
        self.feed(self.first)

    def greet(self, authority, target, offer):
        key = frames.new_key()
        lines = [f"GET {target} HTTP/1.1", "Host: " + authority]
        lines += [f"{k}: {v}" for k, v in handshake_headers(key, extensions=offer)]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.sock.recv(65536)
            assert data, f"no answer to the handshake: {head}"
            head += data
        head, _, self.first = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.seen.status = int(lines[0].split(" ")[1])
        if self.seen.status != 101:
            return
        fields = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        assert fields["sec-websocket-accept"] == frames.accept_of(key)
        self.seen.extensions = fields.get("sec-websocket-extensions", "")
        self.deflate = Deflate(self.seen.extensions)

    # --- what comes

    def pump(self, out=b"", until=lambda: True):
        """Sends out, taking what comes meanwhile, and goes on until until()."""
        out = memoryview(out)
        deadline = time.monotonic() + scaled(DEADLINE)
        while not self.seen.ended and (out or not until()):
            wanted = select.POLLIN | (select.POLLOUT if out else 0)
            self.poller.register(self.sock, wanted)
            left = deadline - time.monotonic()
            ready = self.poller.poll(max(0, left) * 1000)
            if not ready:
                return
            events = ready[0][1]
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self.receive()
            if events & select.POLLOUT and not self.seen.ended:
                out = self.send_some(out)

    def send_some(self, out):
        try:
            return out[self.sock.send(out):]
        except BlockingIOError:
            return out
        except OSError:     # what the other side said before may still be read
            self.receive()
            return memoryview(b"")

    def receive(self):
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.seen.ended = True
        self.feed(data)

    def feed(self, data):
        self.decoder.feed(data)
        while frame := self.decoder.next():
            self.take(frame)

    def take(self, f):
        seen = self.seen
        assert not f.masked, "a server must not mask"
        if seen.close != NO_CLOSE:
            seen.late.append(f)
        elif f.opcode == CLOSE:
            seen.close, seen.reason = None, b""
            if f.payload:
                seen.close = int.from_bytes(f.payload[:2], "big")
                seen.reason = f.payload[2:]
        else:
            seen.frames.append(f)
            if f.opcode == PONG:
                seen.pongs.append(f.payload)
            elif f.opcode in (TEXT, BINARY, CONTINUATION):
                self.take_data(f)

    def take_data(self, f):
        if f.opcode != CONTINUATION:
            self.opcode, self.rsv, self.parts = f.opcode, f.rsv, []
        self.parts.append(f.payload)
        if f.fin:
            whole = b"".join(self.parts)
            if self.rsv & 4:
                whole = self.deflate.unpack(whole)
            self.seen.messages.append((self.opcode, whole))

    def has(self, answers):
        return self.closed() or (len(self.seen.messages) >= len(answers.messages)
                                 and len(self.seen.pongs) >= len(answers.pongs))

    def has_more_than(self, answers):
        return self.closed() or (len(self.seen.messages) > len(answers.messages)
                                 or len(self.seen.pongs) > len(answers.pongs))

    def closed(self):
        return self.seen.close != NO_CLOSE or self.seen.ended

    # --- what goes

    def send(self, case, way):
        bytes_of = [encoded(s, self.deflate) for s in case.steps]
        if way == "apart":
            n = len(case.good_steps)
            n = next((i for i, s in enumerate(case.steps[:n]) if s.opcode == CLOSE), n)
            for data in bytes_of[:n]:
                self.pump(data)
            self.pump(until=lambda: self.has(case.answers))
            for data in bytes_of[n:]:
                self.pump(data)
        elif way == "burst":
            self.pump(b"".join(bytes_of))
        else:
            self.dribble(b"".join(bytes_of))

    def dribble(self, data):
        try:
            for i in range(min(len(data), SINGLE)):
                self.sock.send(data[i : i + 1])
        except OSError:
            self.receive()
            return
        rest = data[SINGLE:]
        size = PIECE if len(rest) < MANY else len(rest)
        for i in range(0, len(rest), size):
            self.pump(rest[i : i + size])

    def finish(self, case):
        """The orderly end: our Close if the case has none, theirs, the connection's."""
        self.said_close = case.says_close
        if not case.says_close:
            enough = self.has_more_than if case.fails else self.has
            self.pump(until=lambda: enough(case.answers))
            if not self.closed():
                self.close(1000)
        self.finish_close()

    def finish_close(self):
        """Waits for their Close, answers it where ours is missing, waits for the end."""
        self.pump(until=self.closed)
        if self.seen.close != NO_CLOSE and not self.said_close:
            self.close(self.seen.close)
        self.pump(until=lambda: False)

    def close(self, code):
        self.said_close = True
        self.pump(frames.encode(CLOSE, frames.close_payload(code), masked=True))


def observe(address, case, way):
    client = Client(address, case.offer)
    try:
        if client.seen.status == 101:
            client.send(case, way)
            client.finish(case)
    finally:
        client.sock.close()
    client.seen.seconds = time.monotonic() - client.begun
    return client.seen


__all__ = ["Client", "Deflate", "NO_CLOSE", "Seen", "WAYS", "encoded", "observe"]
