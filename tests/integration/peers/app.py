#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An app server for the tests: HTTP/1.1 and WebSocket on one port, in a process of its
own so that it can be killed. Run by peers/backend.py as `app.py NAME PORT`.

It speaks the protocols by hand: the tests ask it for things that no library does, such
as dying in the middle of a body. It takes orders as JSON lines on stdin and answers
each with one on stdout; when stdin ends, so does it.

HTTP, by first path segment:
  /bytes/N[?chunked|?close]   N bytes            /slow/MS     answers after MS
  /status/CODE                that status        /hang        never answers
  /die/N                      N of 2N bytes, then resets (?chunked: in chunks)
  /trailers                   chunked with trailers
  /public                     says it is publicly cacheable
  /early                      a 103 before the answer
  /cookie                     sets two cookies of its own
  /stall                      reads no body until told "release"
  /drip/N/MS                  N pieces, MS apart
  /close                      answers with Connection: close
  /echo                       the request's body
  anything else               JSON about the request

WebSocket at any path (also ?refuse=STATUS, ?proto=NAME, ?stall, ?noanswer): text
messages that are orders are obeyed, everything else is echoed:
  whoami   headers   close [CODE [REASON]]   abort   send N   flood COUNT SIZE
  fragments COUNT SIZE   ping TEXT   raw HEX
"""

import asyncio
import hashlib
import json
import os
import socket
import struct
import sys
import time
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from peers import frames  # noqa: E402

PATTERN = bytes(range(256)) * 256


class App:
    def __init__(self, name):
        self.name = name
        self.events = []
        self.conns = {}
        self.sockets = {}
        self.n_conns = 0
        self.released = asyncio.Event()
        self.refusal = 0  # status given to every handshake, if not 0
        self.refused_target = None  # 503 for handshakes there
        self.server = None
        self.port = 0

    def record(self, kind, **facts):
        self.events.append({"kind": kind, "t": time.monotonic(), **facts})

    async def listen(self, port, host="127.0.0.1"):
        self.server = await asyncio.start_server(
            self.serve, host, port, backlog=1024, reuse_address=True
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        self.n_conns += 1
        conn = Conn(self, self.n_conns, reader, writer)
        self.conns[conn.id] = conn
        how = "end"
        try:
            await conn.run()
        except (asyncio.IncompleteReadError, EOFError):
            how = "eof"
        except (ConnectionError, OSError):
            how = "reset"
        finally:
            del self.conns[conn.id]
            if conn.busy:
                self.record("aborted", conn=conn.id, target=conn.target)
            self.record("disconnect", conn=conn.id, how=how)
            writer.close()

    # --- orders from the test

    async def obey(self, order):
        what = order["order"]
        if what == "events":
            return self.events[order["since"] :]
        if what == "open":
            return {"conns": len(self.conns), "sockets": len(self.sockets)}
        if what == "release":
            self.released.set()
        elif what == "refuse":  # nobody listens any more; what is open stays
            self.server.close()
            await self.server.wait_closed()
        elif what == "listen":
            await self.listen(self.port)
        elif what == "refuse_handshakes":
            self.refusal = order["status"]
        elif what == "refuse_target":
            self.refused_target = order["target"]
        elif what == "close_all":
            for ws in list(self.sockets.values()):
                ws.send_close(order.get("code"), order.get("reason", ""))
        elif what == "cut_idle":  # as a server does when its keep-alive time is over
            for conn in list(self.conns.values()):
                if not conn.busy and conn.id not in self.sockets:
                    conn.writer.close()
        elif what == "sockets":
            return [ws.facts() for ws in self.sockets.values()]
        return True


class Conn:
    """One accepted connection: requests, and perhaps a WebSocket in the end."""

    def __init__(self, app, number, reader, writer):
        self.app, self.id = app, number
        self.reader, self.writer = reader, writer
        self.busy = False
        self.target = ""
        self.headers = []

    async def run(self):
        while True:
            self.busy = False
            head = await self.reader.readuntil(b"\r\n\r\n")
            self.busy = True
            if not await self.request(head):
                break
        self.busy = False

    def header(self, name, default=""):
        values = [v for k, v in self.headers if k.lower() == name]
        return ", ".join(values) if values else default

    async def request(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [
            [k, v.strip()] for k, _, v in (line.partition(":") for line in lines[1:-2])
        ]
        self.path = urlsplit(self.target).path
        query = urlsplit(self.target).query
        self.query = {k: v[0] for k, v in parse_qs(query, True).items()}
        self.app.record(
            "request", conn=self.id, method=self.method, target=self.target,
            headers=self.headers,
        )
        self.keep = self.header("connection").lower() != "close"
        if self.header("upgrade").lower() == "websocket":
            return await self.upgrade()
        self.trailers = []
        self.expects = self.header("expect").lower() == "100-continue"
        segment, *rest = self.path.strip("/").split("/")
        handler = getattr(self, "on_" + segment.replace("-", "_"), self.on_other)
        await handler(*rest)
        self.app.record("done", conn=self.id, target=self.target)
        return self.keep

    # --- request bodies

    async def body(self):
        """The body's pieces."""
        self.ask_for_body()
        if "chunked" in self.header("transfer-encoding").lower():
            async for piece in self.chunks():
                yield piece
            return
        left = int(self.header("content-length", "0"))
        while left:
            piece = await self.reader.read(min(left, 65536))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece

    def ask_for_body(self):
        if self.expects:
            self.expects = False
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def chunks(self):
        while True:
            line = await self.reader.readuntil(b"\r\n")
            left = int(line.split(b";")[0], 16)
            if left == 0:
                break
            while left:
                piece = await self.reader.read(min(left, 65536))
                if not piece:
                    raise EOFError
                left -= len(piece)
                yield piece
            await self.reader.readexactly(2)
        while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
            self.trailers.append(line.decode("latin-1").strip())

    async def digest(self):
        n, digest = 0, hashlib.sha256()
        async for piece in self.body():
            n += len(piece)
            digest.update(piece)
        return n, digest.hexdigest()

    # --- answers

    def head(self, status=200, **headers):
        lines = [f"HTTP/1.1 {status} Text", f"X-Backend: {self.app.name}"]
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                lines.append(f"{name.replace('_', '-')}: {one}")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def answer(self, body=b"", status=200, **headers):
        self.head(status, Content_Length=len(body), **headers)
        if self.method != "HEAD":
            self.writer.write(body)
        await self.writer.drain()

    async def on_other(self, *rest):
        n, digest = await self.digest()
        await self.answer(self.about(n, digest), Content_Type="application/json")

    def about(self, n, digest):
        return json.dumps({
            "backend": self.app.name, "conn": self.id, "method": self.method,
            "path": self.target, "version": self.version, "headers": self.headers,
            "body_length": n, "body_sha256": digest, "trailers": self.trailers,
        }).encode()

    async def on_bytes(self, n):
        await self.digest()
        n = int(n)
        if "chunked" in self.query:
            self.head(Transfer_Encoding="chunked")
            await self.write_chunks(n)
            self.writer.write(b"0\r\n\r\n")
        elif "close" in self.query:
            self.head(Connection="close")
            self.keep = False
            await self.write_pattern(n)
        else:
            self.head(Content_Length=n)
            if self.method != "HEAD":
                await self.write_pattern(n)
        await self.writer.drain()

    async def write_pattern(self, n):
        while n:
            piece = PATTERN[:n]
            self.writer.write(piece)
            await self.writer.drain()
            n -= len(piece)

    async def write_chunks(self, n):
        while n:
            piece = PATTERN[:n]
            self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self.writer.drain()
            n -= len(piece)

    async def on_slow(self, ms):
        n, digest = await self.digest()
        await self.wait_or_gone(int(ms) / 1000)
        await self.answer(self.about(n, digest))

    async def on_hang(self, *rest):
        await self.digest()
        await self.wait_or_gone(3600)

    async def wait_or_gone(self, seconds):
        """Waits, unless the other side goes away first."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.reader.at_eof() or self.reader.exception():
                raise EOFError
            await asyncio.sleep(0.01)

    async def on_status(self, code):
        await self.digest()
        if int(code) in (204, 304):
            self.head(int(code))
            await self.writer.drain()
        else:
            await self.answer(b"", int(code))

    async def on_die(self, n):
        await self.digest()
        if "chunked" in self.query:
            self.head(Transfer_Encoding="chunked")
            await self.write_chunks(int(n))
        else:
            self.head(Content_Length=2 * int(n))
            await self.write_pattern(int(n))
        await self.writer.drain()
        raise EOFError

    async def on_trailers(self):
        await self.digest()
        self.head(Transfer_Encoding="chunked", Trailer="X-Sum")
        self.writer.write(b"5\r\nhello\r\n0\r\nX-Sum: 532\r\nX-More: yes\r\n\r\n")
        await self.writer.drain()

    async def on_public(self):
        await self.answer(b"same for all", Cache_Control="public, max-age=60")

    async def on_early(self):
        self.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        await self.writer.drain()
        await self.on_other()

    async def on_cookie(self):
        await self.answer(b"ok", Set_Cookie=["a=1; Path=/", "b=2"])

    async def on_stall(self):
        await self.app.released.wait()
        await self.on_other()

    async def on_drip(self, n, ms):
        self.head(Content_Length=int(n))
        for _ in range(int(n)):
            self.writer.write(b"x")
            await self.writer.drain()
            await self.wait_or_gone(int(ms) / 1000)

    async def on_close(self):
        await self.digest()
        self.keep = False
        await self.answer(b"bye", Connection="close")

    async def on_echo(self):
        self.ask_for_body()
        if "chunked" in self.header("transfer-encoding").lower():
            self.head(Transfer_Encoding="chunked")
            async for piece in self.body():
                self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await self.writer.drain()
            self.writer.write(b"0\r\n\r\n")
        else:
            self.head(Content_Length=self.header("content-length", "0"))
            async for piece in self.body():
                self.writer.write(piece)
                await self.writer.drain()
        await self.writer.drain()

    # --- WebSocket

    async def upgrade(self):
        self.app.record(
            "handshake", conn=self.id, target=self.target, headers=self.headers,
            session=self.header("roost-session"),
            rehomed_from=self.header("roost-rehomed-from"),
        )
        if "noanswer" in self.query:
            await self.wait_or_gone(3600)
        refusal = self.app.refusal or int(self.query.get("refuse", 0))
        if self.target == self.app.refused_target:
            refusal = 503
        if refusal:
            await self.answer(b"no\n", refusal, X_Why="refused")
            return True
        fields = {
            "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec_WebSocket_Accept": frames.accept_of(self.header("sec-websocket-key")),
        }
        if "proto" in self.query:
            fields["Sec_WebSocket_Protocol"] = self.query["proto"]
        self.head(101, **fields)
        await self.writer.drain()
        self.busy = False
        await Socket(self).run()
        return False


class Socket:
    """The WebSocket side of a connection."""

    def __init__(self, conn):
        self.conn, self.app = conn, conn.app
        self.reader, self.writer = conn.reader, conn.writer
        self.decoder = frames.Decoder()
        self.session = conn.header("roost-session")
        self.close_sent = self.close_got = None
        self.received = 0

    def facts(self):
        return {"session": self.session, "target": self.conn.target,
                "client": self.conn.header("x-client"), "received": self.received}

    async def run(self):
        self.app.sockets[self.conn.id] = self
        how = "eof"
        try:
            if "stall" in self.conn.query:
                await self.app.released.wait()
            await self.frames()
            how = "close"
        except (ConnectionError, OSError):
            how = "reset"
        except EOFError:
            pass
        finally:
            del self.app.sockets[self.conn.id]
            code, reason = self.close_got or (None, "")
            self.app.record(
                "ws_close", session=self.session, how=how, code=code, reason=reason,
                client=self.conn.header("x-client"), received=self.received,
            )

    async def frames(self):
        message, opcode = b"", None
        while True:
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self.decoder.feed(data)
            while frame := self.decoder.next():
                if not frame.masked:
                    raise EOFError("a client must mask")
                if frame.opcode == frames.CLOSE:
                    return await self.on_close(frame.payload)
                if frame.opcode == frames.PING:
                    self.app.record("ping", text=frame.payload.decode("latin-1"))
                    self.send(frames.PONG, frame.payload)
                elif frame.opcode == frames.PONG:
                    self.app.record("pong", text=frame.payload.decode("latin-1"))
                else:
                    opcode = frame.opcode or opcode
                    message += frame.payload
                    if frame.fin:
                        await self.on_message(opcode, frame.rsv, message)
                        message = b""
                await self.writer.drain()

    def send(self, opcode, payload, **how):
        self.writer.write(frames.encode(opcode, payload, **how))

    def send_close(self, code, reason=""):
        if self.close_sent is None:
            self.close_sent = code or 0
            self.send(frames.CLOSE, frames.close_payload(code, reason))

    async def on_close(self, payload):
        self.close_got = frames.parse_close(payload)
        self.app.record("ws_close_frame", session=self.session, code=self.close_got[0],
                        reason=self.close_got[1])
        self.send_close(self.close_got[0])
        await self.writer.drain()

    async def on_message(self, opcode, rsv, message):
        self.received += 1
        words = message.split(b" ") if opcode == frames.TEXT and not rsv else [b""]
        name = words[0].decode("latin-1")
        order = getattr(self, "order_" + name, None) if name.isalpha() else None
        if order is None:
            self.send(opcode, message, rsv=rsv)
        else:
            await order(*(w.decode() for w in words[1:]))

    def text(self, text):
        self.send(frames.TEXT, text.encode())

    async def order_whoami(self):
        self.text(self.app.name)

    async def order_headers(self):
        self.text(json.dumps(self.conn.headers))

    async def order_close(self, code=None, *reason):
        self.send_close(code and int(code), " ".join(reason))

    async def order_abort(self):
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def order_send(self, n):
        self.send(frames.BINARY, (PATTERN * (int(n) // len(PATTERN) + 1))[: int(n)])

    async def order_flood(self, count, size):
        frame = frames.encode(frames.BINARY, bytes(int(size)))
        for _ in range(int(count)):
            self.writer.write(frame)
            await self.writer.drain()
        self.text("flooded")

    async def order_fragments(self, count, size):
        count = int(count)
        for i in range(count):
            self.send(frames.CONTINUATION if i else frames.TEXT, b"f" * int(size),
                      fin=i == count - 1)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def order_ping(self, text):
        self.send(frames.PING, text.encode())

    async def order_raw(self, code):
        self.writer.write(bytes.fromhex(code))


async def main(name, port, host="127.0.0.1"):
    app = App(name)
    await app.listen(port, host)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    print(json.dumps({"port": app.port}), flush=True)
    while line := await orders.readline():
        print(json.dumps(await app.obey(json.loads(line))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
