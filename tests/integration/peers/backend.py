# SPDX-License-Identifier: MIT
"""Handles on app servers: Backend is a process of peers/app.py, ScriptedBackend a
thread that answers each request with bytes a test has written down.
"""

import json
import os
import select
import socket
import subprocess
from types import SimpleNamespace

from .server import Server
from .waiting import DEADLINE, scaled, wait_until

APP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "app.py")


def hold(host="127.0.0.1"):
    """A port that is ours as long as this socket is open. Nobody who asks the kernel for
    any port gets it, but whoever names it may listen there, end, and listen again; until
    then connections are refused. A port that is merely free may be another test's, which
    runs at the same time, by the next moment."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, 0))
    return s


class Backend:
    """One app server. start() and ready() are apart so that several start at once."""

    def __init__(self, name, host="127.0.0.1", inside=()):
        """inside: the words of a command to run it with."""
        self.name = name
        self.host = host
        self.inside = list(inside)
        self.port = 0
        self.place = None
        self.process = None
        self.seen = []

    def start(self):
        if not self.inside and self.place is None:
            self.place = hold(self.host)
            self.port = self.place.getsockname()[1]
        self.process = subprocess.Popen(
            [*self.inside, "/usr/bin/python3", "-B", APP, self.name, str(self.port),
             self.host],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        self.seen = []
        return self

    def ready(self):
        self.port = self.answer()["port"]
        return self

    def answer(self):
        out = self.process.stdout
        readable, _, _ = select.select([out], [], [], scaled(DEADLINE))
        line = out.readline() if readable else b""
        assert line, f"app server {self.name} does not answer"
        return json.loads(line)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def kill(self):
        """Like a crash: everything it has open is reset or closed by the kernel."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.place:
            self.place.close()

    def order(self, order, **facts):
        self.process.stdin.write(
            (json.dumps({"order": order, **facts}) + "\n").encode()
        )
        self.process.stdin.flush()
        return self.answer()

    # --- what happened there

    def events(self, *kinds):
        """Everything of these kinds since the start, in order."""
        for e in self.order("events", since=len(self.seen)):
            self.seen.append(SimpleNamespace(**e))
        return [e for e in self.seen if e.kind in kinds]

    def wait_events(self, kind, n=1, seconds=DEADLINE, **facts):
        """Waits for at least n events of that kind with these facts."""
        def matching():
            found = [
                e for e in self.events(kind)
                if all(getattr(e, k) == v for k, v in facts.items())
            ]
            return found if len(found) >= n else None

        return wait_until(matching, f"{n} {kind} {facts} at {self.name}", seconds)

    def sockets(self):
        return self.order("sockets")

    def open(self):
        return SimpleNamespace(**self.order("open"))


class ScriptedBackend(Server):
    """Serves each connection by calling script(sock, head) once per request head; the
    script returns False to close."""

    def __init__(self, script, name="scripted", path=None):
        self.name = name
        self.script = script
        self.heads = []
        super().__init__(path)

    def serve(self, sock):
        with sock:
            try:
                while head := self.read_head(sock):
                    self.heads.append(head)
                    if self.script(sock, head) is False:
                        return
            except OSError:
                pass

    @staticmethod
    def read_head(sock):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            if not byte:
                return b""
            head += byte
        return head


def answering(answer, close=False):
    """A script that gives the same bytes to every request."""
    def script(sock, head):
        sock.sendall(answer)
        return not close

    return script


held = []  # to the end of the run


def closed_port():
    """An address where nobody listens, unless the test does."""
    held.append(hold())
    return "127.0.0.1:%d" % held[-1].getsockname()[1]
