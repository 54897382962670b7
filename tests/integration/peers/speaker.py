# SPDX-License-Identifier: MIT
"""WebSocket backends that do what a test has written down, right or wrong."""

import socket
import threading

from . import frames
from .backend import ScriptedBackend
from .waiting import DEADLINE, scaled


def headers_of(head):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}


class Line:
    """One WebSocket as its backend sees it."""

    def __init__(self, sock, head):
        self.sock = sock
        self.headers = headers_of(head)
        self.rehomed_from = self.headers.get("roost-rehomed-from", "")
        self.session = self.headers.get("roost-session", "")
        self.decoder = frames.Decoder()
        self.said = []  # whole messages of the client
        self.closed = None  # code of its Close
        sock.settimeout(scaled(DEADLINE))

    def greet(self, early=b"", **fields):
        """The 101, and what is glued to it."""
        lines = ["HTTP/1.1 101 Switching", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Accept: "
                 + frames.accept_of(self.headers["sec-websocket-key"])]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in fields.items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + early)

    def send(self, payload, opcode=frames.TEXT, **how):
        if isinstance(payload, str):
            payload = payload.encode()
        self.sock.sendall(frames.encode(opcode, payload, **how))

    def close(self, code, reason=""):
        self.send(frames.close_payload(code, reason), frames.CLOSE)

    def frame(self):
        """The next frame, or None at the end."""
        while (f := self.decoder.next()) is None:
            try:
                data = self.sock.recv(65536)
            except OSError:
                return None
            if not data:
                return None
            self.decoder.feed(data)
        return f

    def read(self):
        """The next whole message, or None at the end or at a Close."""
        parts = []
        while f := self.frame():
            if f.opcode == frames.CLOSE:
                self.closed = frames.parse_close(f.payload)[0]
                return None
            if f.opcode < 8:
                parts.append(f.payload)
                if f.fin:
                    self.said.append(b"".join(parts).decode("latin-1"))
                    return self.said[-1]
        return None

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def echo(self, name="b"):
        """Echoes to the end, and answers whoami."""
        while (message := self.read()) is not None:
            self.send(name if message == "whoami" else message)
        if self.closed is not None:
            self.close(self.closed)


class Speaker(ScriptedBackend):
    """behave(line, n) is called for the n-th WebSocket (from 0), before its 101."""

    def __init__(self, behave, name):
        self.lines = []
        self.lock = threading.Lock()
        self.behave = behave
        super().__init__(self.talk, name)

    def talk(self, sock, head):
        line = Line(sock, head)
        with self.lock:
            self.lines.append(line)
            n = len(self.lines) - 1
        self.behave(line, n)
        return False
