# SPDX-License-Identifier: MIT
"""A backend that writes down what it sees and reads it strictly.

One thread serves all its connections, and it answers only when nothing more is there
to be read: so when a request through roost is answered, everything that roost sent
before, on any connection, has been recorded.

Each request is answered with its own method and target, so that an answer which
reaches the wrong request shows. A test can plan other answers by target.
"""

import queue
import selectors
import socket
import struct
import threading

from .strict import Malformed, read_request
from .waiting import DEADLINE, scaled


class Plan:
    """What to answer: bytes, then "open", "close" or "reset"."""

    def __init__(self, data, then="open", piece=0):
        self.data = data
        self.then = then
        self.piece = piece  # bytes per send; 0: all at once
        self.served = threading.Event()
        self.conn = 0


class Seen:
    """A request, and the connection it came on."""

    def __init__(self, conn, message):
        self.conn = conn
        self.message = message

    @property
    def line(self):
        return self.message.line


class Conn:
    def __init__(self, number, sock):
        self.number, self.sock = number, sock
        self.buffer = bytearray()
        self.invited = False  # has been sent its 100
        self.answers = []


class Recorder:
    def __init__(self, name="recorder"):
        self.name = name
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.selector = selectors.DefaultSelector()
        self.conns = {}
        self.n_conns = 0
        self.orders = queue.Queue()
        self.bell, self.ears = socket.socketpair()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.ears, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.forget()

    # --- for the test

    def forget(self):
        """What was seen so far, with the connections on which a request has begun."""
        def clean():
            for conn in list(self.conns.values()):
                if conn.buffer:
                    self.drop(conn)
            self.requests = []  # complete ones
            self.torn = []  # first bytes of those that never were
            self.problems = []
            self.plans = {}
        self.call(clean)

    def plan(self, target, data, then="open", piece=0):
        self.plans[target] = Plan(data, then, piece)
        return self.plans[target]

    def call(self, function, *args):
        """Runs it in the thread that owns the connections; returns what it returns."""
        box = queue.Queue()
        self.orders.put((function, args, box))
        self.bell.send(b"!")
        return box.get(timeout=scaled(DEADLINE))

    def unfinished(self):
        """First bytes of what has begun and is not complete."""
        return self.torn + self.call(
            lambda: [bytes(c.buffer[:200]) for c in self.conns.values() if c.buffer]
        )

    def send(self, number, data):
        """Says something unasked on a connection, if that is still there."""
        def say():
            conn = self.conns.get(number)
            if conn:
                self.write(conn, data)
        self.call(say)

    def is_open(self, number):
        return number in self.conns

    def stop(self):
        self.call(self.end)
        self.thread.join()

    # --- in the thread

    def end(self):
        self.running = False
        for conn in list(self.conns.values()):
            self.drop(conn)
        self.listener.close()

    def run(self):
        self.running = True
        while self.running:
            ready = self.selector.select()
            orders = []
            while ready and self.running:
                for key, _ in ready:
                    self.serve(key, orders)
                ready = self.selector.select(0)
            for conn in list(self.conns.values()):
                self.answer(conn)
            for function, args, box in orders:
                box.put(function(*args))

    def serve(self, key, orders):
        if key.fileobj is self.listener:
            self.accept()
        elif key.fileobj is self.ears:
            self.ears.recv(1)
            orders.append(self.orders.get())
        else:
            self.read(key.data)

    def accept(self):
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(scaled(DEADLINE))
        self.n_conns += 1
        conn = self.conns[self.n_conns] = Conn(self.n_conns, sock)
        self.selector.register(sock, selectors.EVENT_READ, conn)

    def drop(self, conn):
        if self.conns.pop(conn.number, None) is None:
            return
        if conn.buffer:
            self.torn.append(bytes(conn.buffer[:200]))
        self.selector.unregister(conn.sock)
        conn.sock.close()

    def read(self, conn):
        try:
            data = conn.sock.recv(262144)
        except OSError:
            data = b""
        if not data:
            return self.drop(conn)
        conn.buffer += data
        try:
            self.parse(conn)
        except Malformed as e:
            self.problems.append(f"{e} in {bytes(conn.buffer[:400])!r}")
            conn.buffer.clear()
            self.drop(conn)

    def parse(self, conn):
        while message := read_request(conn.buffer):
            expects = (message.header("Expect") or "").lower() == "100-continue"
            if not message.complete:
                if expects and not conn.invited:
                    conn.invited = True
                    self.write(conn, b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            if expects and not conn.invited:
                conn.answers.append(Plan(b"HTTP/1.1 100 Continue\r\n\r\n"))
            conn.invited = False
            del conn.buffer[: message.used]
            self.requests.append(Seen(conn.number, message))
            conn.answers.append(self.answer_for(message))

    def answer_for(self, message):
        method, target = message.start
        if target in self.plans:
            return self.plans.pop(target)
        text = message.line.encode("latin-1")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
        return Plan(head + (b"" if method == "HEAD" else text))

    def write(self, conn, data, piece=0):
        try:
            for at in range(0, len(data), piece or len(data) or 1):
                conn.sock.sendall(data[at : at + piece] if piece else data)
        except OSError:
            self.drop(conn)

    def answer(self, conn):
        while conn.answers:
            plan = conn.answers.pop(0)
            plan.conn = conn.number
            self.write(conn, plan.data, plan.piece)
            if plan.then == "reset" and self.is_open(conn.number):
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
            if plan.then != "open":
                conn.answers.clear()
                self.drop(conn)
            plan.served.set()
