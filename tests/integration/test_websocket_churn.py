# SPDX-License-Identifier: MIT
"""Thousands of WebSockets that come and go in every way there is, and nothing of them
is left: no session, pin, count or descriptor.

CHURN_SECONDS says for how long (20); minutes are for those who have changed how sessions
end. CHURN_SOCKETS: how many at once (5000, fewer under a sanitizer).
"""

import json
import os
import re
import resource
import select
import signal
import subprocess

import pytest
from churn.ends import SILENT, SUDDEN
from peers.client import Person
from peers.roost import changed, settings
from peers.waiting import SANITIZED, holds_for, let_pass, scaled, wait_until

# they need the machine: not several of them at once
pytestmark = pytest.mark.xdist_group("crowd")
HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = float(os.environ.get("CHURN_SECONDS", 20))
SOCKETS = int(os.environ.get("CHURN_SOCKETS", 1000 if SANITIZED else 5000))
NAMES = 400             # identities that the clients share
SETTLED = 15            # seconds; by the settings below it should be seven
GROWTH_KIB = (1 << 30) if SANITIZED else 16 * 1024

SHORT = {
    # what thousands of clients in one Python process can answer on a busy machine
    "heartbeat": {"interval": "1s", "timeout": "4s", "sweep": "2s"},
    "timeouts": {"write": "4s"},
    "pin": {"websocket": "500ms", "http": "500ms"},
}


class Process:
    """A program of churn/: a line in, a line of JSON out."""

    def __init__(self, script, *args):
        self.name = script
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-B", os.path.join(HERE, "churn", script),
             *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def read(self, seconds=10):
        """The next line; it may be longer than a pipe holds."""
        out, line = self.process.stdout, b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([out], [], [], scaled(seconds))
            data = os.read(out.fileno(), 65536) if readable else b""
            assert data, f"{self.name} does not answer"
            line += data
        return json.loads(line)

    def ask(self, seconds=10):
        self.process.stdin.write(b"\n")
        return self.read(seconds)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Server(Process):
    def __init__(self, name):
        super().__init__("server.py", name)
        self.name = name
        self.address = "127.0.0.1:%d" % self.read()["port"]

    def open(self):
        return self.ask()["open"]


@pytest.fixture
def two_servers(stage):
    servers = [Server(name) for name in "ab"]
    stage.others += servers
    return servers


@pytest.fixture
def churn(stage, two_servers):
    """Runs a crowd against a roost and gives what both have seen."""
    def run(sockets, seconds, ends, **upstream):
        roost = stage.roost(settings(two_servers, **{**SHORT, **upstream}))
        return Churn(stage, roost, two_servers, sockets, seconds, ends)

    return run


class Churn:
    def __init__(self, stage, roost, servers, sockets, seconds, ends):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.roost, self.servers = roost, servers
        for name in range(NAMES):       # threads, pools and tables have their size
            Person(roost, f"n{name}").get()
        self.before = self.still_descriptors()
        self.sockets = min(sockets, hard // 4)
        self.crowd = Process("crowd.py", roost.address[1], self.sockets, seconds, NAMES,
                             ",".join(ends))
        stage.others.append(self.crowd)
        self.seen = self.crowd.read(seconds + 100)

    def still_descriptors(self):
        """How many it holds once kept connections to the app servers have ended."""
        wait_until(lambda: not any(s.open() for s in self.servers), "servers are idle", 30)
        return self.roost.descriptors()

    def check_ends(self):
        assert not self.seen["n_wrong"], self.seen["wrong"]
        assert self.seen["slowest"].get("half-close", 0) < scaled(SETTLED)

    def check_nothing_left(self):
        wait_until(lambda: not any(s.open() for s in self.servers),
                   "no app server has a socket of it", SETTLED)
        wait_until(lambda: self.roost.descriptors() <= self.before,
                   "descriptors are back", SETTLED)

    def check_counts(self):
        """Its own books, told at the end."""
        self.roost.stop()
        text = self.roost.log()
        totals = re.search(r"totals: (.*)", text)[1]
        totals = {k: int(v) for k, v in (x.rsplit(" ", 1) for x in totals.split(", "))}
        assert totals["sessions"] == totals["sessions_ended"]
        # who goes away early may or may not have become a session
        assert self.seen["opened"] <= totals["sessions"] <= self.seen["made"]
        if not totals.keys() & {"log_lines_dropped", "log_lines_held_back"}:
            lines = re.findall(r": session ended by .* session=(\w+) ", text)
            assert len(lines) == len(set(lines)) == totals["sessions"]

    def check_pins(self):
        """A pin that still counts a session holds its client at its backend, even when
        that one drains."""
        let_pass(1.0)       # longer than the locks
        self.roost.reload(changed(self.roost.config, "a", state="drain"))
        at_a = [n for n in range(NAMES) if Person(self.roost, f"n{n}").get().backend == "a"]
        assert not at_a
        self.roost.reload(changed(self.roost.config, "a", state="up"))

    def check_balance(self):
        """The policy prefers the backend with fewer sessions: were some of the past ones
        still counted, new ones would not go to both alike."""
        let_pass(1.0)
        open_now = [Person(self.roost, f"fresh-{i}").websocket() for i in range(40)]
        names = [ws.response.header("X-Backend") for ws in open_now]
        for ws in open_now:
            ws.raw.close()
        assert 18 <= names.count("a") <= 22, names.count("a")


def held_are_settled(churn):
    """All those who ended silently have been found and ended."""
    def none_open():
        fates = churn.crowd.ask(30)
        return fates if not any(f.get("open") for f in fates.values()) else None

    return wait_until(none_open, "silent ends are found", SETTLED)


@pytest.fixture
def more_time():
    """Beyond that of other tests, which conftest.py sets."""
    signal.setitimer(signal.ITIMER_REAL, scaled(SECONDS + 120))


def test_thousands_come_and_go(churn, more_time):
    c = churn(SOCKETS, SECONDS, SUDDEN + SILENT, rehome={"mode": "off"})
    c.check_ends()
    assert c.seen["most"] >= c.sockets
    assert set(c.seen["codes"]["server-closes"]) <= {"4001"}
    assert set(c.seen["codes"]["close"]) == {"1000"}
    assert set(c.seen["codes"]["bad-frame"]) == {"1002"}
    fates = held_are_settled(c)
    assert set(fates["mute"]) == {"1001"}, "the client was told, in case it hears"
    c.check_nothing_left()
    c.check_pins()
    c.check_balance()
    c.check_counts()


def test_thousands_come_and_go_where_sessions_move(churn, more_time):
    """The same, with the handshakes kept and the planner at work."""
    ends = [e for e in SUDDEN if e != "server-resets"]
    c = churn(SOCKETS // 5, SECONDS / 2, ends, rehome={
        "mode": "transparent", "debounce": "50ms", "rate": 1000})
    c.check_ends()
    c.check_nothing_left()
    c.check_pins()
    c.check_balance()
    c.check_counts()


def test_memory_does_not_grow_from_round_to_round(stage, churn, more_time):
    c = churn(500, 1, SUDDEN, rehome={"mode": "off"})
    c.check_nothing_left()
    before = c.roost.rss_kib()
    for _ in range(2):
        again = Churn(stage, c.roost, c.servers, 500, 1, SUDDEN)
        again.check_ends()
        again.check_nothing_left()
    assert c.roost.rss_kib() - before < GROWTH_KIB
    holds_for(lambda: not any(s.open() for s in c.servers), "all is quiet", 0.3)


@pytest.mark.parametrize("end", SILENT)
def test_a_silent_end_is_found(churn, end):
    """Alone, so that a failure says which; see churn/ends.py."""
    c = churn(20, 1, [end], rehome={"mode": "off"})
    c.check_ends()
    fates = held_are_settled(c)
    assert sum(fates[end].values()) >= 16, "they were there"
    c.check_nothing_left()
    c.check_counts()
