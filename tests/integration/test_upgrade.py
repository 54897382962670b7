# SPDX-License-Identifier: MIT
"""USR2: a new process takes over the sockets, and nobody notices; one that cannot start
changes nothing."""

import os
import pwd
import re
import shutil
import signal
import socket
import tempfile

import pytest
from peers.admin import with_admin
from peers.client import Cut, Person, RawClient
from peers.ctl import ctl
from peers.held import Held, workers
from peers.load import Load
from peers.roost import Roost, binary, changed, settings
from peers.waiting import holds_for, wait_until
from peers.websocket import Closed, Swarm


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Upgradable(Roost):
    """A roost with a binary of its own, which a test may replace. Its processes follow
    one another: the first is our child, the others are not."""

    def __init__(self, directory, config, args=None):
        os.makedirs(directory, exist_ok=True)
        self.program = os.path.join(directory, "roost")
        self.pid_file = os.path.join(directory, "pid")
        self.install(binary())
        super().__init__(directory, config, ["-p", self.pid_file, *(args or [])])
        self.successors = []

    def install(self, file):
        """As a package manager does: a new file takes the place of the old one."""
        shutil.copy(file, self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def install_script(self, text):
        with open(self.program + ".new", "w") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    @property
    def command(self):
        return [self.program]

    @property
    def newest(self):
        return self.successors[-1] if self.successors else self.process.pid

    def usr2(self):
        self.mark()
        os.kill(self.newest, signal.SIGUSR2)

    def upgrade(self):
        """Returns the old one's pid."""
        old = self.newest
        self.usr2()
        self.wait_log("taken over from the process before", 20)
        pids = self.wait_log(r"process (\d+) has taken over", 20)
        self.successors.append(int(pids[-1]))
        return old

    def fails_to(self):
        self.usr2()
        self.wait_log("this one goes on", 20)

    def reload(self, config):
        self.write(config)
        self.mark()
        os.kill(self.newest, signal.SIGHUP)
        self.wait_log("reload failed|configuration reloaded")

    def stop(self):
        for pid in self.successors:
            wait_until(lambda: not alive(pid) or os.kill(pid, signal.SIGTERM),
                       f"{pid} has stopped", 20)
        super().stop()


@pytest.fixture
def start(stage):
    def start(config, args=None):
        roost = Upgradable(stage.directory / f"up{len(stage.roosts)}", config, args)
        stage.roosts.append(roost)
        return roost.start()

    return start


def ended(roost):
    wait_until(lambda: not alive(roost.process.pid), "the old process has ended", 20)


# --- it takes over


@pytest.mark.quick
def test_requests_go_to_the_new_process(stage, start):
    roost = start(settings(stage.backends("a")))
    old = roost.upgrade()
    assert Person(roost, "p").backend() == "a"
    assert roost.wait_exit() == 0
    assert roost.newest != old
    with open(roost.pid_file) as f:
        assert int(f.read()) == roost.newest
    assert Person(roost, "p").backend() == "a"
    roost.stop()
    assert not os.path.exists(roost.pid_file)


def test_no_request_fails_under_load(stage, start):
    config = settings(stage.backends("a", "b"))
    config["shutdown"] = {"grace": "1s"}
    roost = start(config)
    with Load(roost.address) as load:
        for _ in range(3):
            roost.upgrade()
            load.wait_progress()
    load.check()
    assert load.reconnects >= 2, "the kept ones were told"
    ended(roost)


def test_sockets_are_sent_away_and_come_back(stage, start):
    config = settings(stage.backends("a", "b"), rehome={"rate": 100, "close_code": 1013})
    roost = start(config)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(30)]
    roost.upgrade()
    for i, ws in enumerate(sockets):
        assert ws.close_code() == 1013
        assert ws.reason == "upgraded"
        ws.send_close(1013)
        with Person(roost, f"p{i}").websocket() as again:
            assert again.whoami() in ("a", "b")
    assert roost.wait_exit() == 0


def test_nobody_is_told_while_a_worker_still_listens(stage, start):
    """Whoever is told comes back at once, and would be told again."""
    roost = start(settings(stage.backends("a"), rehome={"rate": 1000}))
    sockets = [Person(roost, f"p{i}").websocket() for i in range(30)]
    with Held(workers(roost.pid)[0]):
        roost.upgrade()
        holds_for(lambda: all(ws.is_open() for ws in sockets), "none is told", 0.3)
    for ws in sockets:
        assert ws.close_code() == 1012
        ws.send_close(1012)
    assert roost.wait_exit() == 0


def test_swarm_and_load_over_several_upgrades(stage, start):
    config = settings(stage.backends("a", "b"), rehome={"rate": 200})
    config["shutdown"] = {"grace": "1s"}
    roost = start(config)
    with Load(roost.address, fresh=1, kept=1) as load, \
            Swarm(roost, 40, reconnect=True) as swarm:
        for n in range(2):
            roost.upgrade()
            wait_until(lambda: all(m.connects >= n + 2 for m in swarm.members),
                       "all have come back", 20)
            swarm.wait_progress()
        swarm.finish(lossy=True)
        assert swarm.check_ordered() >= 0
    load.check()
    assert {m.closed[0] for m in swarm.members} == {1012}
    assert {m.connects for m in swarm.members} == {3}, "each was told once at a time"


def works(ws):
    try:
        return ws.whoami() == "a"
    except Closed:
        return False


def test_open_sockets_work_until_they_are_told(stage, start):
    config = settings(stage.backends("a"), rehome={"rate": 1})
    config["upgrade"] = {"grace": "1m"}
    roost = start(config)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(8)]
    roost.upgrade()
    assert sum(works(ws) for ws in sockets) >= 3
    assert alive(roost.process.pid)
    os.kill(roost.process.pid, signal.SIGTERM)  # no more patience
    assert roost.wait_exit() == 0


def is_sent_off(c):
    """Told to go with a response, or between two."""
    try:
        return c.get("/").header("Connection") == "close"
    except (Cut, OSError):
        return True


def test_exchange_under_way_is_finished_by_the_old_one(stage, start):
    (a,) = stage.backends("a")
    roost = start({**settings([a]), "workers": 1})
    with RawClient(roost.address) as c, RawClient(roost.address) as other:
        assert other.get("/").header("Connection") is None
        c.send(c.request_bytes("GET", "/stall"))
        a.wait_events("request", target="/stall")
        roost.upgrade()
        wait_until(lambda: is_sent_off(other), "its worker knows")
        a.order("release")
        r = c.response()
        assert r.status == 200 and r.header("Connection") == "close"
        assert c.at_end()
    assert roost.wait_exit() == 0


def test_who_waits_in_the_queue_is_served(stage, start):
    """Stopped, the old process accepts nobody; the new one takes over their sockets."""
    roost = start(settings(stage.backends("a")))
    roost.upgrade()
    ended(roost)
    os.kill(roost.newest, signal.SIGSTOP)
    waiting = [RawClient(roost.address) for _ in range(30)]
    for c in waiting:
        c.send(c.request_bytes("GET", "/"))
    os.kill(roost.newest, signal.SIGUSR2)
    os.kill(roost.newest, signal.SIGCONT)
    for c in waiting:
        assert c.response().status == 200
        c.close()
    roost.wait_log(r"process \d+ has taken over(.*\n)*.*process \d+ has taken over", 20)
    roost.successors.append(int(roost.logged(r"process (\d+) has taken over")[-1]))


def test_another_number_of_workers(stage, start):
    config = settings(stage.backends("a"))
    roost = start(config)
    for workers in (1, 4, 3):
        config = {**config, "workers": workers}
        roost.write(config)
        with Load(roost.address, 2, 1) as load:
            roost.upgrade()
            load.wait_progress()
        load.check()
        assert roost.logged(rf"ready \({workers} workers")
        for _ in range(20):
            assert Person(roost, "p").backend() == "a"


def test_listeners_of_the_new_file(stage, start, tmp_path):
    config = settings(stage.backends("a"))
    gone, stays, new = (str(tmp_path / n) for n in ("gone", "stays", "new"))

    def with_sockets(*paths):
        return {**config, "listeners": [*config["listeners"], *(
            {"bind": f"unix:{p}"} for p in paths)]}

    roost = start(with_sockets(gone, stays))
    inode = os.stat(stays).st_ino
    roost.write(with_sockets(stays, new))
    roost.upgrade()
    ended(roost)
    for path in (stays, new):
        with RawClient(path) as c:
            assert c.get("/").status == 200
    assert os.stat(stays).st_ino == inode
    with pytest.raises(OSError):
        RawClient(gone)
    assert Person(roost, "p").backend() == "a"
    roost.stop()
    assert not os.path.lexists(stays) and not os.path.lexists(new)


def test_roostctl_waits_for_what_comes_of_it(stage, start):
    config = with_admin(settings(stage.backends("a")))
    roost = start(config)
    said = ctl(roost, "upgrade")
    assert re.fullmatch(r"process (\d+) of \S+ is starting\n"
                        r"process \1 has taken over \(roost \S+\)\n", said)
    ended(roost)
    with open(roost.pid_file) as f:
        roost.successors.append(int(f.read()))
    roost.write({**config, "workers": "many"})
    assert f"process {roost.newest} goes on; the log says why" in \
        ctl(roost, "upgrade", status=1)
    assert "workers" in roost.log()
    assert Person(roost, "p").backend() == "a"


def test_the_admin_api_goes_along(stage, start, tmp_path):
    config = settings(stage.backends("a"))
    path = str(tmp_path / "admin.sock")
    for bind in (f"unix:{path}", "127.0.0.1:0"):
        config["admin"] = {"bind": bind}
        roost = start(config)
        wait_until(lambda: roost.ready(2), "both are told")
        address = roost.addresses[-1]
        roost.upgrade()
        ended(roost)
        with RawClient(address) as c:
            assert c.get("/v1/status", {"Host": "localhost"}).json()["pid"] == \
                roost.newest
        roost.stop()
    assert not os.path.lexists(path)


def test_issued_cookies_stay_good(stage, start):
    backends = stage.backends("a", "b")
    roost = start(settings(backends, client_key=["cookie:roost"], balance="round-robin"))
    people = [Person(roost, jar=True) for _ in range(6)]
    homes = [p.backend() for p in people]
    assert set(homes) == {"a", "b"}
    roost.upgrade()
    ended(roost)
    assert [p.backend() for p in people] == homes


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_user_stays_the_same(stage):
    config = settings(stage.backends("a"))
    with tempfile.TemporaryDirectory() as directory:  # where others may go, too
        os.chmod(directory, 0o777)
        roost = Upgradable(directory, config, ["-u", "nobody"])
        try:
            roost.start().upgrade()
            ended(roost)
            assert Person(roost, "p").backend() == "a"
            assert os.stat(f"/proc/{roost.newest}").st_uid == \
                pwd.getpwnam("nobody").pw_uid
        finally:
            roost.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_logs_that_root_created_are_the_users(stage, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        log, access_log = (os.path.join(directory, name) for name in ("log", "access"))
        with open(access_log, "w"):  # root's, and stays so
            os.chmod(access_log, 0o666)
        config = {**settings(stage.backends("a")), "access_log": {"file": access_log},
                  "log": {"level": "info", "file": log}}

        def has_logged(text):
            with open(log) as f:
                return text in f.read()

        roost = Upgradable(directory, config, ["-u", "nobody"])
        try:
            roost.start()
            assert os.stat(log).st_uid == pwd.getpwnam("nobody").pw_uid
            assert os.stat(access_log).st_uid == 0
            os.kill(roost.newest, signal.SIGUSR1)
            wait_until(lambda: has_logged("log files reopened"), "reopened")
            assert not has_logged("not reopened")
            os.kill(roost.newest, signal.SIGUSR2)
            wait_until(lambda: has_logged("taken over from the"), "taken over", 20)
            ended(roost)
            with open(roost.pid_file) as f:
                roost.successors.append(int(f.read()))
        finally:
            roost.stop()


def test_nothing_spins_while_the_old_one_waits(stage, start):
    config = settings(stage.backends("a"), rehome={"rate": 1})
    roost = start(config)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(5)]
    roost.upgrade()

    def cpu():
        with open(f"/proc/{roost.process.pid}/stat") as f:
            return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))

    begun = cpu()
    with Load(roost.address, 1, 0) as load:
        holds_for(lambda: cpu() - begun < 25, "nearly no CPU time is used", 0.6)
    load.check()
    assert sockets and alive(roost.process.pid)


# --- it does not


def unharmed(roost):
    assert Person(roost, "p").backend() == "a"
    assert alive(roost.process.pid)
    with open(roost.pid_file) as f:
        assert int(f.read()) == roost.process.pid


FAILURES = {
    "exit": ("exit 3\n", r"exited with 3 before it was ready"),
    "crash": ("kill -SEGV $$\n", r"was killed by signal 11 before it was ready"),
    "hang": ("exec sleep 100\n", r"is not ready in time"),
}


@pytest.mark.parametrize("case", FAILURES, ids=str)
def test_a_binary_that_does_not_start(stage, start, case):
    script, said = FAILURES[case]
    config = settings(stage.backends("a"))
    config["upgrade"] = {"timeout": "300ms" if case == "hang" else "30s"}
    roost = start(config)
    roost.install_script(script)
    with Load(roost.address, 1, 1) as load:
        with Person(roost, "p").websocket() as ws:
            roost.fails_to()
            assert roost.logged(said)
            assert ws.is_open() and ws.whoami() == "a"
        load.wait_progress(10)
    load.check()
    unharmed(roost)
    assert not load.reconnects
    if case == "exit":
        roost.install(binary())
        roost.upgrade()  # the next one may
        ended(roost)
        assert Person(roost, "p").backend() == "a"


def test_a_binary_that_is_gone(stage, start):
    roost = start(settings(stage.backends("a")))
    os.unlink(roost.program)
    roost.usr2()
    roost.wait_log(r"no upgrade \(.*No such file or directory\)")
    unharmed(roost)


def test_a_bad_configuration(stage, start):
    roost = start(settings(stage.backends("a")))
    roost.write("upstreams: {app: [\n")
    roost.fails_to()
    assert roost.logged(r"error daemon: upgrade: .*roost\.yaml:\d+:\d+: ")
    assert roost.logged("exited with 1 before it was ready")
    unharmed(roost)


def test_a_port_that_is_taken(stage, start, tmp_path):
    config = settings(stage.backends("a"))
    path = str(tmp_path / "r.sock")
    config["listeners"].append({"bind": f"unix:{path}"})
    roost = start(config)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = "127.0.0.1:%d" % taken.getsockname()[1]
        roost.write({**config, "listeners": [*config["listeners"], {"bind": bind}]})
        roost.fails_to()
    assert roost.logged("exited with 2 before it was ready")
    with RawClient(path) as c:
        assert c.get("/").status == 200, "its file was left alone"
    unharmed(roost)


def test_reload_waits_for_the_end_of_an_upgrade(stage, start):
    config = settings(stage.backends("a"))
    roost = start(config)
    roost.install_script("exec sleep 100\n")
    roost.usr2()
    roost.wait_log("is starting")
    roost.reload(changed(config, "a", weight=2))
    assert roost.logged("an upgrade is under way")
    roost.usr2()
    roost.wait_log(r"no upgrade \(one is under way already\)")
    child = re.findall(r"process (\d+) of", roost.log())[-1]
    os.kill(roost.process.pid, signal.SIGTERM)
    assert roost.wait_exit() == 0
    wait_until(lambda: not alive(int(child)), "the new process goes, too")
