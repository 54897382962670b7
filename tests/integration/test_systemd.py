# SPDX-License-Identifier: MIT
"""What roost says to systemd, and takes from it: the notify protocol on a socket of
ours, the watchdog, and sockets that listen already."""

import os
import select
import shlex
import signal
import socket
import subprocess
import threading

import pytest
from peers.client import Person, RawClient
from peers.held import Held, workers
from peers.load import Load
from peers.roost import Roost, binary, changed, settings
from peers.waiting import holds_for, scaled, wait_until


def has_systemd():
    linked = subprocess.run(["ldd", binary() or "/bin/true"], capture_output=True,
                            text=True)
    return "libsystemd" in linked.stdout


pytestmark = pytest.mark.skipif(not has_systemd(), reason="built without libsystemd")


class Service(Roost):
    """A roost as systemd starts it: with NOTIFY_SOCKET and, perhaps, sockets from 3 on,
    whose receiver is told by LISTEN_PID. A shell puts its own pid there."""

    def __init__(self, directory, config, sockets=(), environment=(), args=None):
        super().__init__(directory, config, args)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.directory, "notify"))
        self.notify.setblocking(False)
        self.sockets = sockets
        self.environment = {"NOTIFY_SOCKET": self.notify.getsockname(),
                            **dict(environment)}
        self.said = []
        self.lock = threading.Lock()
        threading.Thread(target=self.listen, daemon=True).start()

    @property
    def command(self):
        words = ["exec", "env"]
        words += [f"{k}={shlex.quote(v)}" for k, v in self.environment.items()]
        moves = ""
        if self.sockets:
            words += ["LISTEN_PID=$$", f"LISTEN_FDS={len(self.sockets)}"]
            for i, s in enumerate(self.sockets):
                moves += f" {3 + i}<&{s.fileno()}"
        return ["/bin/bash", "-c", " ".join(words) + ' "$0" "$@"' + moves, binary()]

    def popen_settings(self):
        return {"pass_fds": [s.fileno() for s in self.sockets]}

    def heard(self):
        """Everything that was said so far, one list of lines a datagram."""
        with self.lock:
            try:
                while True:
                    self.said.append(self.notify.recv(4096).decode().splitlines())
            except BlockingIOError:
                return self.said

    def listen(self):
        """As systemd does all the time: who says more than a socket holds would wait."""
        while select.select([self.notify], [], []):
            self.heard()

    def lines(self):
        return [line for message in self.heard() for line in message]

    def count(self, line):
        return self.lines().count(line)

    def wait_said(self, line, n=1):
        wait_until(lambda: self.count(line) >= n, f"{line} is said")


@pytest.fixture
def serve(stage):
    def serve(config=None, *sockets, args=None, **environment):
        config = config or settings(stage.backends("a"))
        roost = Service(stage.directory / f"service{len(stage.roosts)}", config, sockets,
                        environment.items(), args)
        stage.roosts.append(roost)
        return roost.start()

    return serve


# --- what it says


@pytest.mark.quick
def test_ready_reloading_and_stopping(serve):
    roost = serve()
    roost.wait_said("READY=1")
    assert any(line.startswith("STATUS=serving 0 sessions") for line in roost.lines())
    roost.reload(changed(roost.config, "a", weight=2))
    roost.wait_said("READY=1", 2)
    (reloading,) = [m for m in roost.said if "RELOADING=1" in m]
    stamp = [line for line in reloading if line.startswith("MONOTONIC_USEC=")]
    assert stamp and int(stamp[0].partition("=")[2]) > 0
    order = [line for line in roost.lines() if line in ("READY=1", "RELOADING=1")]
    assert order == ["READY=1", "RELOADING=1", "READY=1"]
    roost.signal(signal.SIGTERM)
    roost.wait_said("STOPPING=1")
    assert roost.wait_exit() == 0


def test_ready_again_after_a_reload_that_failed(serve):
    roost = serve()
    roost.reload("upstreams: [", fails=True)
    roost.wait_said("READY=1", 2)


def test_nothing_is_said_by_one_that_cannot_start(stage):
    roost = Service(stage.directory / "bad", settings(stage.backends("a")))
    roost.config["listeners"] = [{"bind": "192.0.2.1:1"}]
    with pytest.raises(AssertionError, match="roost ended with 2"):
        roost.start()
    assert roost.heard() == []


def test_status_follows_the_sessions(serve):
    roost = serve(WATCHDOG_USEC="200000")
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.wait_said("STATUS=serving 1 sessions and 0 exchanges")


def test_watchdog_is_fed(serve):
    roost = serve(WATCHDOG_USEC="100000")
    roost.wait_said("WATCHDOG=1", 5)


def test_without_a_watchdog_nothing_is_fed(serve):
    roost = serve()
    roost.wait_said("READY=1")
    holds_for(lambda: not roost.count("WATCHDOG=1"), "no WATCHDOG=1", 0.3)


def test_watchdog_is_not_fed_when_a_worker_hangs(serve):
    roost = serve(WATCHDOG_USEC="100000")
    roost.wait_said("WATCHDOG=1", 2)
    with Held(workers(roost.pid)[0]):
        fed = roost.count("WATCHDOG=1")
        holds_for(lambda: roost.count("WATCHDOG=1") <= fed + 2, "no more of it",
                  scaled(0.3))
    roost.wait_said("WATCHDOG=1", roost.count("WATCHDOG=1") + 2)


# --- sockets


def listening(address=("127.0.0.1", 0)):
    return socket.create_server(address)


def at(config, *binds):
    config["listeners"] = [{"bind": b} for b in binds]
    return config


def test_sockets_are_taken_by_their_address(stage, serve, tmp_path):
    path = str(tmp_path / "given.sock")
    with listening() as one, listening() as two, socket.socket(socket.AF_UNIX) as three:
        three.bind(path)
        three.listen()
        binds = ["127.0.0.1:%d" % s.getsockname()[1] for s in (two, one)]
        roost = serve(at(settings(stage.backends("a")), f"unix:{path}", *binds),
                      one, two, three)
        assert roost.address == path
        for address in (path, one.getsockname(), two.getsockname()):
            for _ in range(8):
                with RawClient(address) as c:
                    assert c.get("/").status == 200
        roost.stop()
        assert os.path.lexists(path), "it is systemd's"


def test_who_came_before_the_start_is_served(stage, serve):
    with listening() as s:
        early = RawClient(s.getsockname())
        early.send(early.request_bytes("GET", "/"))
        serve(at(settings(stage.backends("a")), "127.0.0.1:%d" % s.getsockname()[1]), s)
        assert early.response().status == 200
        early.close()


def test_a_socket_nobody_wants_is_told_of(stage, serve):
    with listening() as s:
        roost = serve(settings(stage.backends("a")), s)
        assert roost.wait_log(r"no listener for an inherited socket \(127.0.0.1:%d\)"
                            % s.getsockname()[1])
        assert Person(roost, "p").backend() == "a"


# --- an upgrade as a service


def test_the_main_process_changes(stage, serve):
    with listening() as s:
        roost = serve(at(settings(stage.backends("a")),
                         "127.0.0.1:%d" % s.getsockname()[1]), s,
                      WATCHDOG_USEC="300000")
        roost.wait_said("READY=1")
        with Load(roost.address) as load:
            roost.signal(signal.SIGUSR2)
            roost.wait_log("taken over from the process before")
            load.wait_progress()
        load.check()
        new = int(roost.wait_log(r"process (\d+) has taken over")[0])
        try:
            roost.wait_said("READY=1", 2)
            lines = [x for x in roost.lines() if x[:7] in ("MAINPID", "READY=1")]
            assert lines == ["READY=1", f"MAINPID={new}", "READY=1"]
            assert roost.wait_exit() == 0
            assert "STOPPING=1" not in roost.lines()
            fed = roost.count("WATCHDOG=1")
            roost.wait_said("WATCHDOG=1", fed + 2)
        finally:
            os.kill(new, signal.SIGTERM)
        roost.wait_said("STOPPING=1")
