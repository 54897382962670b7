# SPDX-License-Identifier: MIT
"""A WebSocket client of our own, frame by frame, and a swarm of them.

WsClient is blocking and lets a test send any frame, right or wrong. Swarm is many
clients on one asyncio loop in a thread, each sending numbered messages all the time and
checking that every number comes back once and in order while the test does something to
the backends.
"""

import asyncio
import random
import threading
import time

from . import frames
from .client import Cut, RawClient
from .waiting import DEADLINE, scaled, wait_until


class Refused(Exception):
    """The handshake was answered with something other than 101."""

    def __init__(self, response):
        super().__init__(f"status {response.status}")
        self.response = response


class Closed(Exception):
    """A Close frame came, or with code 1006 the end of the connection without one."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed {code} {reason}")
        self.code, self.reason = code, reason


def handshake_headers(key, protocols=None, extensions=None, version="13"):
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
               ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", version)]
    if protocols:
        headers.append(("Sec-WebSocket-Protocol", protocols))
    if extensions:
        headers.append(("Sec-WebSocket-Extensions", extensions))
    return headers


class WsClient:
    def __init__(self, address, target="/ws", headers=(), protocols=None,
                 extensions=None, version="13", receive_buffer=None, preface=b""):
        address = getattr(address, "address", address)
        self.raw = RawClient(address, receive_buffer)
        self.decoder = frames.Decoder()
        key = frames.new_key()
        more = handshake_headers(key, protocols, extensions, version)
        request = self.raw.request_bytes("GET", target, [*headers, *more])
        self.raw.send(preface + request)
        self.response = self.raw.response()
        if self.response.status != 101:
            self.raw.close()
            raise Refused(self.response)
        assert self.response.header("Sec-WebSocket-Accept") == frames.accept_of(key)
        self.decoder.feed(bytes(self.raw.buffer))
        self.raw.buffer.clear()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.raw.close()

    # --- sending

    def send_frame(self, opcode, payload=b"", fin=True, rsv=0, masked=True, **how):
        self.raw.send(frames.encode(opcode, payload, fin, rsv, masked, **how))

    def send(self, message):
        if isinstance(message, str):
            self.send_frame(frames.TEXT, message.encode())
        else:
            self.send_frame(frames.BINARY, message)

    def send_close(self, code=None, reason=""):
        self.send_frame(frames.CLOSE, frames.close_payload(code, reason))

    # --- receiving

    def read_frame(self):
        while (frame := self.decoder.next()) is None:
            try:
                data = self.raw.sock.recv(262144)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed(1006)
            self.decoder.feed(data)
        assert not frame.masked, "a server must not mask"
        return frame

    def read(self):
        """The next whole message; answers pings; raises Closed."""
        message, opcode = [], None
        while True:
            f = self.read_frame()
            if f.opcode == frames.CLOSE:
                raise Closed(*frames.parse_close(f.payload))
            if f.opcode == frames.PING:
                self.send_frame(frames.PONG, f.payload)
            elif f.opcode != frames.PONG:
                opcode = f.opcode or opcode
                message.append(f.payload)
                if f.fin:
                    whole = b"".join(message)
                    return whole.decode() if opcode == frames.TEXT else whole

    def ask(self, message):
        self.send(message)
        return self.read()

    def whoami(self):
        return self.ask("whoami")

    def close_code(self):
        """Reads on until the session ends; the code of the Close that came, None for
        one without a code, 1006 when there was none."""
        try:
            while True:
                self.read()
        except Closed as e:
            self.reason = e.reason
            return e.code
        except Cut:
            return 1006

    def close(self, code=1000, reason=""):
        """The orderly end, started by us."""
        self.send_close(code, reason)
        got = self.close_code()
        self.raw.close()
        return got

    def is_open(self):
        """True as long as nothing but silence comes."""
        self.raw.sock.settimeout(0.0)
        try:
            data = self.raw.sock.recv(1)
            self.decoder.feed(data)
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.raw.sock.settimeout(scaled(DEADLINE))

    def reset(self):
        self.raw.reset()


class Member:
    """One client of a swarm: its numbers, and what came back."""

    def __init__(self, number):
        self.number = number
        self.sent = 0
        self.got = []
        self.sent_at = {}
        self.pauses = []      # seconds from sending a number to its return
        self.closed = None    # (code, reason) once a Close came
        self.connects = 0
        self.error = None

    @property
    def missing(self):
        return self.sent - len(set(self.got))


class Swarm:
    """n clients. message(number, i) may make messages larger; `fragments` cuts each
    into that many frames. reconnect: on a Close they come back, as real ones do."""

    def __init__(self, address, n, interval=0.1, burst=2, size=0, fragments=1,
                 path="/ws", name="swarm", reconnect=False):
        self.address = getattr(address, "address", address)
        self.members = [Member(i) for i in range(n)]
        self.interval, self.burst, self.size = interval, burst, size
        self.fragments, self.path, self.name = fragments, path, name
        self.reconnect = reconnect
        self.stopping = self.quiet = False
        self.failure = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    # --- for the test

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.failure or all(m.got for m in self.members),
                   f"all {len(self.members)} clients have had an answer", 30)
        assert not self.failure, self.failure
        return self

    def __exit__(self, *unused):
        self.stopping = True
        self.thread.join(scaled(30))

    def finish(self, lossy=False):
        """Stops sending, waits for what is under way and ends it."""
        self.quiet = True
        if not lossy:
            wait_until(lambda: not any(m.missing for m in self.members) or self.closed,
                       "every number came back", 20)
        else:
            self.wait_still()
        self.stopping = True
        self.thread.join(scaled(30))

    def wait_still(self):
        """Waits until nothing has come back for a while."""
        last, since = -1, time.monotonic()
        while time.monotonic() - since < scaled(1.0):
            now = sum(len(m.got) for m in self.members)
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.05)

    def wait_progress(self, more=3, seconds=20):
        """Every member gets that many more answers."""
        before = [len(m.got) for m in self.members]
        wait_until(
            lambda: all(len(m.got) >= b + more for m, b in zip(self.members, before)),
            "everyone goes on", seconds,
        )

    @property
    def closed(self):
        return [m for m in self.members if m.closed]

    def check_exact(self):
        """Every number exactly once, in order, and nobody saw a Close."""
        assert not self.closed, [(m.number, m.closed) for m in self.closed][:5]
        for m in self.members:
            assert m.error is None, (m.number, m.error)
            assert m.got == list(range(m.sent)), (
                f"client {m.number}: sent {m.sent}, "
                f"first wrong at {first_wrong(m.got)}: {m.got[-10:]}"
            )

    def check_ordered(self):
        """Nothing twice, nothing out of order; losses are counted and returned."""
        for m in self.members:
            assert m.error is None, (m.number, m.error)
            assert all(a < b for a, b in zip(m.got, m.got[1:])), m.got
        return sum(m.missing for m in self.members)

    # --- the loop

    def run(self):
        try:
            asyncio.run(self.main())
        except Exception as e:  # shown by the test that waits
            self.failure = e

    async def main(self):
        gate = asyncio.Semaphore(32)
        tasks = [asyncio.create_task(self.live(m, gate)) for m in self.members]
        while not self.stopping and not all(t.done() for t in tasks):
            await asyncio.sleep(0.02)
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def live(self, m, gate):
        try:
            while True:
                async with gate:
                    reader, writer, decoder = await self.connect(m)
                m.connects += 1
                sender = asyncio.create_task(self.send(m, writer))
                try:
                    await self.receive(m, reader, writer, decoder)
                finally:
                    sender.cancel()
                    writer.close()
                if not self.reconnect:
                    return
        except asyncio.CancelledError:
            raise
        except Exception as e:
            m.error = repr(e)
            self.failure = self.failure or e

    async def connect(self, m):
        reader, writer = await asyncio.open_connection(*self.address)
        key = frames.new_key()
        lines = [f"GET {self.path}?n={m.number} HTTP/1.1", "Host: test",
                 f"X-Client: {self.name}-{m.number}"]
        lines += [f"{k}: {v}" for k, v in handshake_headers(key)]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        assert frames.accept_of(key).encode() in head
        return reader, writer, frames.Decoder()

    async def send(self, m, writer):
        rng = random.Random(m.number)
        await asyncio.sleep(rng.uniform(0, self.interval))
        while True:
            for _ in range(self.burst if not self.quiet else 0):
                text = b"%d:%d:" % (m.number, m.sent)
                text += b"x" * max(0, self.size - len(text))
                m.sent_at[m.sent] = time.monotonic()
                m.sent += 1
                await self.send_message(writer, text)
            await asyncio.sleep(self.interval * rng.uniform(0.7, 1.3))

    async def send_message(self, writer, text):
        step = len(text) // self.fragments + 1
        pieces = [text[i : i + step] for i in range(0, len(text), step)]
        for i, piece in enumerate(pieces):
            last = i == len(pieces) - 1
            opcode = frames.CONTINUATION if i else frames.TEXT
            writer.write(frames.encode(opcode, piece, fin=last, masked=True))
            await writer.drain()
            if not last:
                await asyncio.sleep(0)

    async def receive(self, m, reader, writer, decoder):
        message = bytearray()
        while data := await reader.read(65536):
            decoder.feed(data)
            while f := decoder.next():
                if f.opcode == frames.CLOSE:
                    m.closed = frames.parse_close(f.payload)
                    writer.write(frames.encode(frames.CLOSE, f.payload, masked=True))
                    return
                if f.opcode == frames.PING:
                    writer.write(frames.encode(frames.PONG, f.payload, masked=True))
                elif f.opcode != frames.PONG:
                    message += f.payload
                    if f.fin:
                        self.on_message(m, bytes(message))
                        message.clear()
        m.closed = m.closed or (1006, "")

    def on_message(self, m, text):
        number, i, filler = text.split(b":", 2)
        assert int(number) == m.number, f"a message for {number} came to {m.number}"
        assert filler == b"x" * len(filler) and len(text) >= self.size, "damaged"
        m.got.append(int(i))
        m.pauses.append(time.monotonic() - m.sent_at.pop(int(i), time.monotonic()))


def first_wrong(numbers):
    for i, n in enumerate(numbers):
        if i != n:
            return i
    return len(numbers)
