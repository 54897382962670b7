#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The clients: one epoll loop. Run as `crowd.py PORT SOCKETS SECONDS NAMES END,END...`.

Opens SOCKETS and keeps so many for SECONDS, or half of them where opening takes long;
each lives for some seconds, says something now and then,
checks every echo, and ends in one of the ways of ends.py; another takes its place. After
that all end in their ways, and a line of JSON says what was seen. Those who end silently
keep their sockets. On a line on stdin they look what has become of these and tell it; at
the end of stdin the program ends.
"""

import heapq
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from churn.ends import SILENT, STALLS  # noqa: E402
from peers import frames  # noqa: E402
from peers.websocket import handshake_headers  # noqa: E402

LIFE = 12.0     # seconds at most, until the end begins
CALM = 2.5      # seconds between two messages
OPENING = 200   # at once
PATIENCE = 30   # for what has to come
BAD = frames.encode(3, b"x", masked=True)
PING_ME = frames.encode(frames.BINARY, b"x" * 1000, masked=True)

# the states in which the other side may end the connection
AWAITED = {
    "close": ("closed",),
    "half-close": ("ending", "closed"),
    "server-closes": ("closed",),
    "server-resets": ("ending", "closed"),
    "bad-frame": ("closed",),
}


class Broken(Exception):
    """Something was not as it should be."""


class Client:
    def __init__(self, crowd, number):
        self.crowd, self.number = crowd, number
        self.end = crowd.choose_end()
        self.name = f"n{crowd.rng.randrange(crowd.names)}"
        self.state = "connecting"   # greeting, talking, ending, held
        self.said = 0
        self.said_at = 0
        self.waiting = None         # the echo that must come
        self.decoder = None
        self.head = bytearray()
        self.fate = "open"          # of one who is held
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.end == "stall":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.sock.connect_ex(crowd.address)
        self.began = time.monotonic()
        self.dies = self.began + crowd.rng.uniform(0.5, min(LIFE, crowd.seconds))

    # --- what happens

    def on_event(self):
        if self.state == "connecting":
            self.greet()
            return
        data = self.sock.recv(65536)
        if not data:
            self.on_end()
            return
        if self.decoder is None:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            head, _, data = bytes(self.head).partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101"):
                raise Broken(f"handshake answered {head[:30]}")
            self.decoder = frames.Decoder()
            self.state = "talking"
            self.crowd.counts["opened"] += 1
            self.crowd.opening -= 1
            self.say()
        self.decoder.feed(data)
        while f := self.decoder.next():
            self.on_frame(f)

    def greet(self):
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Broken(f"connect: {os.strerror(error)}")
        lines = ["GET /ws HTTP/1.1", "Host: test", "X-Client: " + self.name]
        lines += [f"{k}: {v}" for k, v in handshake_headers(frames.new_key())]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.state = "greeting"
        self.crowd.poll.modify(self.sock, select.EPOLLIN)
        if self.end == "early":
            self.crowd.opening -= 1
            self.reset()

    def on_frame(self, f):
        if f.opcode == frames.PING:
            self.answer(frames.PONG, f.payload)
        elif f.opcode == frames.CLOSE:
            self.on_close(*frames.parse_close(f.payload))
        elif f.payload != self.waiting:
            raise Broken(f"wrong echo {f.payload[:40]}")
        else:
            self.waiting = None

    def on_close(self, code, reason):
        if self.state != "ending":
            raise Broken(f"Close {code} {reason} while {self.state}")
        self.crowd.codes[self.end][code] += 1
        if self.end != "close":
            self.answer(frames.CLOSE, frames.close_payload(code))
        self.state = "closed"

    def on_end(self):
        """The connection ended."""
        if self.state not in AWAITED.get(self.end, ()):
            raise Broken(f"end of connection while {self.state}")
        took = time.monotonic() - self.dies
        self.crowd.slowest[self.end] = max(took, self.crowd.slowest[self.end])
        self.gone()

    # --- what it does

    def send(self, data):
        if self.sock.send(data) != len(data):
            raise Broken("the socket takes no more")

    def frame(self, opcode, payload):
        self.send(frames.encode(opcode, payload, masked=True))

    def answer(self, opcode, payload):
        if self.end != "half-close" or self.state == "talking":
            self.frame(opcode, payload)

    def order(self, word):
        self.frame(frames.TEXT, word)

    def say(self):
        self.said += 1
        self.said_at = time.monotonic()
        self.waiting = b"%d says %d" % (self.number, self.said)
        self.frame(frames.TEXT, self.waiting)

    def on_time(self, now):
        """Returns when to come again, or None."""
        if self.state in ("connecting", "greeting"):
            if now > self.began + PATIENCE:
                raise Broken(f"still {self.state}")
            return now + 1
        if self.state == "talking" and self.waiting and now > self.said_at + PATIENCE:
            raise Broken("an echo did not come")
        if (self.state == "talking" and now >= self.dies and not self.waiting
                and self.crowd.full):
            self.dies = now
            self.state = "ending"
            getattr(self, self.end.replace("-", "_"))()
            return now + PATIENCE
        if self.state == "talking":
            if not self.waiting:
                self.say()
            return min(max(self.dies, now + 0.05), now + self.crowd.rng.uniform(0.5, CALM))
        if self.state in ("ending", "closed"):
            raise Broken(f"not ended within {PATIENCE} s, {self.state}")
        return None

    def gone(self):
        self.state = "gone"
        self.sock.close()
        self.crowd.gone(self)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.gone()

    def hold(self):
        self.state = "held"
        self.crowd.hold(self)

    # --- the ends

    def close(self):
        self.frame(frames.CLOSE, frames.close_payload(1000))

    def vanish(self):
        self.gone()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def half_a_frame(self):
        self.send(PING_ME[:500])
        self.reset()

    def server_closes(self):
        self.order(b"close")

    def server_resets(self):
        self.order(b"abort")

    def bad_frame(self):
        self.send(BAD)

    def stall(self):
        self.order(b"flood")
        self.hold()

    def mute(self):
        self.hold()

    def server_mute(self):
        self.order(b"mute")
        self.hold()


class Crowd:
    def __init__(self, port, sockets, seconds, names, ends):
        self.address = ("127.0.0.1", port)
        self.sockets, self.seconds, self.names, self.ends = sockets, seconds, names, ends
        self.rng = random.Random(sockets * seconds)
        self.poll = select.epoll()
        self.clients, self.held = {}, []
        self.opening = self.made = self.most = self.stalls = 0
        self.full = False   # all are there: from now on they may end
        self.timers = []
        self.counts, self.ended = Counter(), Counter()
        self.codes = {end: Counter() for end in (*ends, "close")}
        self.slowest = Counter()
        self.wrong, self.n_wrong = [], 0

    def run(self):
        stop = time.monotonic() + self.seconds
        while True:
            now = time.monotonic()
            if not self.full and (self.most >= self.sockets or now > stop + PATIENCE):
                self.full = True
                stop = max(stop, now + self.seconds / 2)
            if now < stop or not self.full:
                self.fill()
            elif not self.clients:
                return
            for fd, _ in self.poll.poll(0.01, 512):
                if fd in self.clients:
                    self.do(self.clients[fd], Client.on_event)
            self.tick(time.monotonic(), self.full and now >= stop)
            self.most = max(self.most, len(self.clients) + len(self.held))

    def fill(self):
        """The held ones have a place for as long as they live, like the others."""
        while self.opening < OPENING and len(self.clients) < self.sockets:
            client = Client(self, self.made)
            self.made += 1
            self.opening += 1
            self.clients[client.sock.fileno()] = client
            client.fd = client.sock.fileno()
            self.poll.register(client.sock, select.EPOLLOUT)
            heapq.heappush(self.timers, (client.began + 1, client.number, client))

    def choose_end(self):
        """Those who end silently stay open longest: among others they are one in ten."""
        sudden = [e for e in self.ends if e not in SILENT]
        silent = [e for e in self.ends if e in SILENT]
        if sudden and self.rng.randrange(10):
            silent = []
        end = self.rng.choice(silent or sudden)
        if end == "stall" and self.stalls == STALLS:
            end = "close"
        self.stalls += end == "stall"
        return end

    def tick(self, now, ending):
        while self.timers and self.timers[0][0] <= now:
            _, number, client = heapq.heappop(self.timers)
            if client.state == "gone":
                continue
            if ending:      # not all at once
                client.dies = min(client.dies, now + self.rng.uniform(0, 3))
            again = self.do(client, lambda c: c.on_time(now))
            if again:
                heapq.heappush(self.timers, (again, number, client))

    def do(self, client, what):
        try:
            return what(client)
        except BlockingIOError:
            return None
        except (Broken, OSError) as e:
            self.trouble(client, e)
            return None

    def trouble(self, client, e):
        """An error counts unless the end that is under way explains it: the server's
        reset, or one that meets a pong behind both Close frames."""
        if isinstance(e, OSError) and (client.end == "server-resets"
                                       or client.state == "closed"):
            client.gone()
            return
        self.n_wrong += 1
        if len(self.wrong) < 10:
            self.wrong.append(f"{client.end}, {client.state}: {e!r}")
        if client.state in ("connecting", "greeting"):
            self.opening -= 1
        client.gone()

    def gone(self, client):
        self.ended[client.end] += 1
        self.clients.pop(client.fd, None)

    def hold(self, client):
        self.ended[client.end] += 1
        del self.clients[client.fd]
        self.poll.unregister(client.sock)
        self.held.append(client)

    def report(self):
        return {"made": self.made, "opened": self.counts["opened"], "most": self.most,
                "ended": self.ended, "codes": self.codes, "slowest": self.slowest,
                "held": Counter(c.end for c in self.held), "wrong": self.wrong,
                "n_wrong": self.n_wrong}

    def look_at_held(self):
        """What has become of them, by end: how many are open, how many had which code."""
        found = {end: Counter() for end in SILENT}
        for client in self.held:
            if client.fate == "open":
                client.fate = self.fate(client)
            found[client.end][client.fate] += 1
        return found

    @staticmethod
    def fate(client):
        try:
            while data := client.sock.recv(262144):
                client.decoder.feed(data)
        except BlockingIOError:
            return "open"
        except OSError:
            pass    # what came before the reset has been read
        while f := client.decoder.next():
            if f.opcode == frames.CLOSE:
                return str(frames.parse_close(f.payload)[0])
        return "none"


def main(port, sockets, seconds, names, ends):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(int(port), int(sockets), float(seconds), int(names), ends.split(","))
    crowd.run()
    print(json.dumps(crowd.report()), flush=True)
    while sys.stdin.readline():
        print(json.dumps(crowd.look_at_held()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
