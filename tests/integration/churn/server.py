#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An app server for thousands of sockets: one epoll loop. Run as `server.py NAME`.

Prints its port as JSON; answers each line on stdin with its counts and ends with it.
Text messages that are orders (close, abort, flood, mute) are obeyed, others echoed.
"""

import json
import os
import resource
import select
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from churn.ends import FLOOD  # noqa: E402
from peers import frames  # noqa: E402

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Conn:
    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.out = bytearray()
        self.head = bytearray()
        self.decoder = None     # once it is a WebSocket
        self.mute = self.ends = False

    def on_readable(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        if self.decoder is None:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            head, _, data = bytes(self.head).partition(b"\r\n\r\n")
            self.request(head)
        self.decoder.feed(data)
        while not self.ends and (f := self.decoder.next()):
            self.on_frame(f)
        self.flush()

    def request(self, head):
        self.head.clear()
        self.decoder = frames.Decoder()
        fields = {k.lower(): v.strip() for k, _, v in
                  (line.partition(":") for line in head.decode().split("\r\n")[1:])}
        if "sec-websocket-key" not in fields:
            self.out += (f"HTTP/1.1 200 OK\r\nX-Backend: {self.server.name}\r\n"
                         "Content-Length: 0\r\nConnection: close\r\n\r\n").encode()
            self.ends = True
            return
        self.server.sessions += 1
        accept = frames.accept_of(fields["sec-websocket-key"])
        self.out += ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
                     f"\r\nX-Backend: {self.server.name}\r\n\r\n").encode()

    def on_frame(self, f):
        if f.opcode == frames.CLOSE:
            self.close(f.payload)
        elif f.opcode == frames.PING:
            self.out += frames.encode(frames.PONG, f.payload)
        elif f.opcode == frames.TEXT:
            order = getattr(self, "order_" + f.payload.decode(), None)
            if order:
                order()
            else:
                self.out += frames.encode(frames.TEXT, f.payload)

    def close(self, payload):
        self.out += frames.encode(frames.CLOSE, payload)
        self.ends = True

    def order_close(self):
        self.out += frames.encode(frames.CLOSE, frames.close_payload(4001))

    def order_abort(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        raise EOFError

    def order_flood(self):
        self.out += frames.encode(frames.BINARY, bytes(FLOOD))

    def order_mute(self):
        self.mute = True
        self.server.poll.modify(self.sock, select.EPOLLRDHUP)   # the end it notices

    def flush(self):
        while self.out:
            try:
                n = self.sock.send(self.out[:262144])
            except BlockingIOError:
                break
            del self.out[:n]
        if not self.mute:
            self.server.poll.modify(self.sock, IN | (OUT if self.out else 0))
        if self.ends and not self.out:
            raise EOFError


class Server:
    def __init__(self, name):
        self.name = name
        self.sessions = 0
        self.conns = {}
        self.poll = select.epoll()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.poll.register(self.listener, IN)
        self.poll.register(sys.stdin, IN)
        self.say({"port": self.listener.getsockname()[1]})

    @staticmethod
    def say(what):
        print(json.dumps(what), flush=True)

    def run(self):
        while True:
            for fd, events in self.poll.poll():
                if fd == self.listener.fileno():
                    self.accept()
                elif fd == 0:
                    if not sys.stdin.readline():
                        return
                    self.say({"open": len(self.conns), "sessions": self.sessions})
                elif fd in self.conns:
                    self.serve(fd, events)

    def accept(self):
        for _ in range(64):
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.conns[sock.fileno()] = Conn(self, sock)
            self.poll.register(sock, IN)

    def serve(self, fd, events):
        conn = self.conns[fd]
        try:
            if conn.mute:
                raise EOFError
            if events & ~OUT:
                conn.on_readable()
            if events & OUT:
                conn.flush()
        except (EOFError, OSError):
            del self.conns[fd]
            conn.sock.close()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Server(sys.argv[1]).run()
