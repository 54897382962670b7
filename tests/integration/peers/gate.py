# SPDX-License-Identifier: MIT
"""A gate in front of an app server that fails in every way in which servers fail: it
refuses handshakes, accepts and says nothing, agrees and dies, resets, ends without a
Close, or falls silent while its kernel goes on acknowledging.
"""

import socket
import struct
import threading

from . import frames
from .backend import ScriptedBackend
from .server import Server


class Gate(Server):
    """`how` new connections fare: "open", "hang", "blink" (101, and gone) or a status
    that each handshake is refused with."""

    def __init__(self, app, how="open"):
        self.name = app.name
        self.app = app
        self.how = how
        self.flowing = threading.Event()
        self.flowing.set()
        self.pairs = []
        self.handshakes = 0
        super().__init__()

    def serve(self, sock):
        try:
            if self.how == "hang":
                self.pairs.append((sock, sock))
            elif self.how == "open":
                self.connect(sock)
            else:
                self.misbehave(sock)
        except OSError:
            sock.close()

    def misbehave(self, sock):
        with sock:
            head = ScriptedBackend.read_head(sock).decode()
            self.handshakes += 1
            if self.how != "blink":
                sock.sendall(f"HTTP/1.1 {self.how} No\r\nContent-Length: 0\r\n\r\n"
                             .encode())
                return
            (key,) = [line.split(": ", 1)[1] for line in head.split("\r\n")
                      if line.lower().startswith("sec-websocket-key:")]
            sock.sendall(("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade"
                          "\r\nSec-WebSocket-Accept: " + frames.accept_of(key) +
                          "\r\n\r\n").encode())

    def connect(self, sock):
        app = socket.create_connection(("127.0.0.1", self.app.port))
        self.pairs.append((sock, app))
        threading.Thread(target=self.pump, args=(app, sock), daemon=True).start()
        self.pump(sock, app)

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self.flowing.wait()
                sink.sendall(data)
            self.flowing.wait()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    # --- how the open ones end

    def freeze(self):
        """From now on nothing is passed on, and nothing said."""
        self.flowing.clear()

    def reset(self):
        for sock, app in self.pairs:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            sock.shutdown(socket.SHUT_RD)  # so that no recv holds it any more
            sock.close()
        self.pairs.clear()

    def finish(self):
        """An end of the stream without a Close."""
        for sock, _ in self.pairs:
            sock.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()

    def say(self, data):
        """To all clients, as if the app had said it."""
        for sock, _ in self.pairs:
            sock.sendall(data)

    def stop(self):
        self.flowing.set()
        super().stop()
        for sock in [s for pair in self.pairs for s in pair]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
