# SPDX-License-Identifier: MIT
"""A client that sends any bytes and reads what comes back without leniency."""

import socket

from .strict import is_until_close, read_response
from .waiting import DEADLINE, scaled


class Conversation:
    def __init__(self, address):
        self.sock = socket.create_connection(address, scaled(DEADLINE))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.ended = None  # "end" or "reset"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, data, piece=0):
        """True if all of it was taken; who is refused need not be listened to."""
        try:
            for at in range(0, len(data), piece or len(data) or 1):
                self.sock.sendall(data[at : at + piece] if piece else data)
        except OSError:
            return False
        return True

    def fill(self):
        """False at the end of the connection; `ended` tells how it ended."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.ended = "reset"
            return False
        if not data:
            self.ended = "end"
        self.buffer += data
        return bool(data)

    def message(self, method="GET"):
        """The next response, interim or final; an incomplete one, or None, when the
        connection ends in it."""
        while True:
            message = read_response(self.buffer, method)
            if message and message.complete:
                del self.buffer[: message.used]
                return message
            if not self.fill():
                break
        if message:
            message.complete = (self.ended == "end"
                                and is_until_close(message, method))
            self.buffer.clear()
        return message

    def final(self, method="GET"):
        """The next final response and the interim ones before it."""
        interim = []
        while (message := self.message(method)) and message.status < 200:
            if message.status == 101:
                break
            interim.append(message)
        return message, interim

    def get(self, target):
        """One more request on this connection; its answer."""
        self.send(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        return self.final()[0]

    def is_at_end(self):
        """Waits for the end; true when nothing came before it."""
        while self.fill():
            pass
        return not self.buffer

    def has_bytes_now(self):
        self.sock.setblocking(False)
        try:
            return self.fill() or self.ended is not None
        except BlockingIOError:
            return False
        finally:
            self.sock.settimeout(scaled(DEADLINE))
