# SPDX-License-Identifier: MIT
"""App servers and a crowd of clients, each a process that is asked over a pipe.

App is one app server; it can be ended in order, killed, and replaced by a successor on
its port. Crowd is all clients together. Totals are their reports added up.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections import Counter

from peers import node
from peers.backend import hold
from peers.waiting import scaled, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
INTERVAL_MS = 200
SIZE = 100
STILL = 20  # looks at a crowd, all showing the same
ADDED = ("clients", "open", "asked", "answered", "under_way", "cut_off", "doubled",
         "reordered", "damaged", "pushes", "push_errors", "pings", "pongs", "moves",
         "closed", "refused")


def load_program():
    """The path of load.c's program, built anew only when that has changed."""
    source = os.path.join(HERE, "load.c")
    with open(source, "rb") as f:
        name = "roost-load-" + hashlib.sha256(f.read()).hexdigest()[:16]
    path = os.path.join(tempfile.gettempdir(), f"{name}-{os.getuid()}")
    if not os.access(path, os.X_OK):
        fresh = f"{path}.{os.getpid()}"
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-Wall",
                        "-Wextra", "-o", fresh, source], check=True)
        os.rename(fresh, path)
    return path


class Peer:
    """A process that answers lines with lines of JSON."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=node.environment(),
        )

    def answer(self):
        line = self.process.stdout.readline()
        assert line, f"{self.process.args[:2]} has ended"
        return json.loads(line)

    def ask(self, order="tell"):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.answer()

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


class App:
    """server.js under a name. Successors keep the port."""

    def __init__(self, name, think_ms=0):
        self.name, self.think_ms = name, think_ms
        self.port = 0
        self.place = None
        self.peer = None
        self.past = []  # what those told that have ended

    def start(self):
        if self.place is None:
            self.place = hold()
            self.port = self.place.getsockname()[1]
        self.peer = Peer(["node", os.path.join(HERE, "server.js"), self.name,
                          str(self.port), str(self.think_ms)])
        return self

    def ready(self):
        self.port = self.peer.answer()["port"]
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def terminate(self):
        """As a deployment does it; what it has seen is kept."""
        self.peer.process.terminate()
        self.past.append(self.peer.answer())
        assert self.peer.process.wait(scaled(10)) == 0
        self.peer.kill()
        return self.past[-1]

    def replace(self):
        """SIGTERM, and a successor on the same port."""
        told = self.terminate()
        self.start().ready()
        return told

    def kill(self):
        self.peer.kill()

    stop = kill

    def open(self):
        return self.peer.ask()["open"]

    def told(self):
        """Of all that ran under this name and were not killed."""
        alive = self.peer.process is not None and self.peer.process.poll() is None
        return self.past + ([self.peer.ask()] if alive else [])


class Crowd:
    """light clients, and as many real ones of each kind as asked for. `come_back`:
    after a close (light ones only)."""

    def __init__(self, roost, light=950, npm=25, python=25, interval_ms=INTERVAL_MS,
                 come_back=False):
        common = [str(roost.address[1])]
        each = [str(interval_ms), str(SIZE)]
        self.peers = [Peer([load_program(), *common, str(light), *each,
                            "return" if come_back else "stay"])]
        if npm:
            self.peers.append(Peer(["node", os.path.join(HERE, "ws-clients.js"),
                                    *common, str(npm), *each]))
        if python:
            self.peers.append(Peer(["/usr/bin/python3", "-B",
                                    os.path.join(HERE, "py_clients.py"), *common,
                                    str(python), *each]))
        self.size = light + npm + python

    def ready(self):
        """All are connected, and each has had an answer."""
        for p in self.peers:
            p.answer()
        wait_until(lambda: self.tell("all").all_heard, "everyone has had an answer", 20)
        return self

    def stop(self):
        for p in self.peers:
            p.kill()

    def tell(self, order="tell"):
        return Totals([p.ask(order) for p in self.peers])

    def goes_on(self, more=2, seconds=20):
        """Waits until there are `more` answers for each client on average."""
        wanted = self.tell().answered + more * self.size
        wait_until(lambda: self.tell().answered >= wanted, "everyone goes on", seconds)

    def finish(self, apps, lossy=False):
        """No more questions and pushes; waits for what is under way and adds it up.
        lossy: some of it will never come."""
        self.tell("quiet")
        for a in apps:
            if a.peer.process is not None:
                a.peer.ask("hush")
        seen = []

        def at_rest():
            now = self.tell()
            seen.append((now.answered, now.pushes, now.pongs))
            if len(seen) <= STILL or seen[-1] != seen[-STILL]:
                return False
            if lossy or now.missing:
                return lossy
            # pings and pushes go with a connection that is closed
            return now.closed or (now.pings == now.pongs and
                                  self.tell("all").pushes_missing(apps) == 0)

        try:
            wait_until(at_rest, "nothing is under way", 20)
        except AssertionError:
            pass  # for the test to judge
        return self.tell("all")


class Totals:
    def __init__(self, reports):
        for key in ADDED:
            setattr(self, key, sum(r.get(key, 0) for r in reports))
        self.reports = reports
        self.first_error = next((r["first_error"] for r in reports
                                 if r["first_error"]), "")
        self.pauses_ms, self.closes, self.on, self.tokens = [], [], {}, {}
        for r in reports:
            self.pauses_ms += r.get("pauses_ms", [])
            self.closes += r.get("closes", [])
            self.on.update(r.get("on", {}))
            self.tokens.update(r.get("tokens", {}))
        self.pauses_ms.sort()
        self.lost = [lost for r in reports for lost in r.get("lost", [])]

    @property
    def missing(self):
        """Questions without an answer so far, but for those of closed sockets."""
        return self.asked - self.answered - self.cut_off

    @property
    def all_heard(self):
        return self.on and all(self.on.values())

    @property
    def codes(self):
        return Counter(code for _, _, code in self.closes)

    def at(self, share):
        """That quantile of the pauses, in ms."""
        p = self.pauses_ms
        return p[min(int(len(p) * share), len(p) - 1)] if p else 0.0

    def pushes_missing(self, apps):
        """Pushes of live or orderly ended apps that no client has had."""
        pushed = {}
        for a in apps:
            for told in a.told():
                pushed.update(told["pushes"])
        return sum(n - self.tokens.get(t, 0) for t, n in pushed.items())

    def summary(self):
        light = self.reports[0]
        return (f"{self.asked} asked, {self.missing} lost, {self.doubled} doubled, "
                f"{self.reordered} reordered, {self.damaged} damaged; {self.pushes} "
                f"pushed, {self.push_errors} wrong; {self.pings - self.pongs} of "
                f"{self.pings} pings lost; {self.closed} closes; {self.moves} moves "
                f"seen, pause p50 {self.at(.5):.1f} p99 {self.at(.99):.1f} max "
                f"{self.at(1):.1f} ms; any answer p50 {light['answer_p50_ms']} p99 "
                f"{light['answer_p99_ms']} ms; {self.first_error}")
