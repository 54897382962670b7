# SPDX-License-Identifier: MIT
"""HTTP clients on bare sockets. RawClient sends exactly the bytes it is told and parses
answers strictly: what it reads is what was on the wire. Person is one client as roost
sees it: the same header, query and cookies on every connection it makes.
"""

import json
import socket
import struct

from .waiting import DEADLINE, scaled, wait_until


class Cut(Exception):
    """The connection ended before the answer was complete."""


class Response:
    def __init__(self, status, headers, minor):
        self.status = status
        self.headers = headers
        self.minor = minor
        self.body = b""
        self.trailers = []
        self.interim = []  # 1xx answers that came before

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)

    @property
    def backend(self):
        return self.header("X-Backend")


class RawClient:
    """address: (host, port), or the path of a unix socket."""

    def __init__(self, address, receive_buffer=None):
        unix = isinstance(address, str)
        self.sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(scaled(DEADLINE))
        self.sock.connect(address)
        if not unix:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.authority = "localhost" if unix else "%s:%d" % address

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Goes away without a word, with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        data = self.sock.recv(262144)
        if not data:
            raise Cut(f"end of connection after {bytes(self.buffer[-200:])!r}")
        self.buffer += data

    def take(self, n):
        while len(self.buffer) < n:
            self.fill()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def take_until(self, mark):
        while (at := self.buffer.find(mark)) < 0:
            self.fill()
        return self.take(at + len(mark))

    def at_end(self):
        """Reads until the connection ends; true when nothing more came."""
        try:
            while data := self.sock.recv(65536):
                self.buffer += data
        except ConnectionResetError:
            pass
        return not self.buffer

    def unread(self):
        """Bytes that the other side, on this machine, has not read yet."""
        sides = self.sock.getpeername(), self.sock.getsockname()
        ends = [":%04X" % port for _, port in sides]
        with open("/proc/net/tcp") as f:
            for local, remote, _, queues in (line.split()[1:5] for line in f):
                if local.endswith(ends[0]) and remote.endswith(ends[1]):
                    return int(queues.split(":")[1], 16)
        return -1

    def wait_read(self):
        wait_until(lambda: self.unread() == 0, "all that was sent is read")

    # --- requests

    def request_bytes(self, method, target, headers=(), body=None, version="1.1"):
        lines = [f"{method} {target} HTTP/{version}"]
        headers = list(dict(headers).items() if isinstance(headers, dict) else headers)
        names = {k.lower() for k, _ in headers}
        if "host" not in names:
            headers.insert(0, ("Host", self.authority))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
        lines += [f"{k}: {v}" for k, v in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")

    def request(self, method, target, headers=(), body=None, version="1.1"):
        self.send(self.request_bytes(method, target, headers, body, version))
        return self.response(method)

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    # --- answers

    def head(self):
        lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        headers = []
        for line in lines[1:-2]:
            name, colon, value = line.partition(":")
            assert colon and name and name == name.strip(), f"bad header line {line!r}"
            headers.append((name, value.strip()))
        return Response(int(status), headers, int(version[-1]))

    def response(self, method="GET"):
        interim = []
        while (r := self.head()).status < 200 and r.status != 101:
            interim.append(r)
        r.interim = interim
        self.read_body(r, method)
        return r

    def read_body(self, r, method):
        coding = r.header("Transfer-Encoding")
        length = r.header("Content-Length")
        assert not (coding and length), "both Transfer-Encoding and Content-Length"
        if method == "HEAD" or r.status in (101, 204, 304):
            return
        if coding:
            assert coding.lower() == "chunked", coding
            self.read_chunks(r)
        elif length is not None:
            assert length.isdigit(), length
            r.body = self.take(int(length))
        else:
            self.at_end()
            r.body = bytes(self.buffer)
            self.buffer.clear()

    def read_chunks(self, r):
        pieces = []
        while n := int(self.take_until(b"\r\n").split(b";")[0], 16):
            pieces.append(self.take(n))
            assert self.take(2) == b"\r\n", "a chunk without its end"
        r.body = b"".join(pieces)
        while (line := self.take_until(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            r.trailers.append((name, value.strip()))


class Person:
    """A client with an identity, on a fresh connection each time."""

    def __init__(self, address, name=None, headers=(), query="", jar=False):
        self.address = getattr(address, "address", address)
        self.headers = list(headers)
        if name:
            self.headers.append(("X-Client", name))
        self.query = query
        self.jar = {} if jar else None

    def target(self, path):
        if not self.query:
            return path
        return path + ("&" if "?" in path else "?") + self.query

    def all_headers(self, more=()):
        headers = [*self.headers, *more]
        if self.jar:
            jar = "; ".join(f"{k}={v}" for k, v in self.jar.items())
            headers.append(("Cookie", jar))
        return headers

    def remember(self, response):
        if self.jar is None:
            return
        for cookie in response.all("Set-Cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            self.jar[name] = value

    def request(self, method, path, headers=(), body=None):
        with RawClient(self.address) as c:
            r = c.request(method, self.target(path), self.all_headers(headers), body)
        self.remember(r)
        return r

    def get(self, path="/", headers=()):
        return self.request("GET", path, headers)

    def backend(self, path="/"):
        """Asks over HTTP which backend it gets."""
        r = self.get(path)
        assert r.status == 200, r.status
        return r.backend

    def websocket(self, path="/ws", headers=(), **how):
        from .websocket import WsClient

        ws = WsClient(self.address, self.target(path), self.all_headers(headers), **how)
        self.remember(ws.response)
        return ws
