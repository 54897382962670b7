# SPDX-License-Identifier: MIT
"""When descriptors run out roost stops accepting, says so, keeps what it has, and goes
on as soon as some are free again."""

import os
import re
import resource
import socket
import subprocess

import pytest
from peers.admin import Admin, with_admin
from peers.client import Person, RawClient
from peers.roost import binary, settings
from peers.waiting import holds_for, let_pass, scaled, wait_until
from peers.yaml_text import to_yaml

ROOM = 12       # descriptors that are left when the limit falls
PAUSES = r"accepting pauses"


@pytest.fixture
def proxy(stage):
    backends = stage.backends("a")
    config = settings(backends)
    config["workers"] = 1
    return stage.roost(config), *backends


def limit(roost, n):
    """Lowers what it may open, as a system does that others have filled."""
    hard = resource.prlimit(roost.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(roost.pid, resource.RLIMIT_NOFILE, (n, hard))


def highest(roost):
    return max(int(fd) for fd in os.listdir(f"/proc/{roost.pid}/fd"))


def exhaust(roost, more=8):
    """Idle clients until no descriptor is left, and some more in the backlog."""
    most = highest(roost) + 1 + ROOM
    limit(roost, most)
    idle = []
    for _ in range(most - roost.descriptors() + more):
        idle.append(socket.create_connection(roost.address))
    wait_until(lambda: roost.descriptors() == most, "all are taken")
    return idle


def cpu_seconds(roost):
    with open(f"/proc/{roost.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free(sockets):
    for sock in sockets:
        sock.close()


def test_it_pauses_and_resumes(proxy):
    roost, _ = proxy
    idle = exhaust(roost)
    roost.wait_log(PAUSES)
    late = RawClient(roost.address)     # waits in the backlog
    late.send(late.request_bytes("GET", "/late"))
    free(idle)
    assert late.response().status == 200
    late.close()
    assert Person(roost, "p").get().status == 200
    roost.stop()
    totals = re.search(r"totals: .*", roost.log())[0]
    assert int(re.search(r"accept_pauses (\d+)", totals)[1]) >= 1


def test_sessions_go_on_meanwhile(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        idle = exhaust(roost)
        for i in range(50):
            assert ws.ask(f"m{i}") == f"m{i}"
        assert ws.close(4000) == 4000
        free(idle)


def test_kept_connections_go_on_meanwhile(proxy):
    roost, _ = proxy
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200
        idle = exhaust(roost)
        assert c.get("/").status == 200, "both of its connections are there already"
        free(idle)


def test_it_does_not_spin_or_flood_the_log(proxy):
    roost, _ = proxy
    idle = exhaust(roost, more=100)
    roost.wait_log(PAUSES)
    before = cpu_seconds(roost)
    holds_for(lambda: roost.running(), "it lives", 1.0)
    assert cpu_seconds(roost) - before < scaled(0.3)
    assert len(roost.logged(PAUSES)) < 10
    free(idle)


def test_a_client_for_whom_no_backend_connection_is_left_is_told(proxy):
    """It was accepted with the last descriptor."""
    roost, a = proxy
    a.order("cut_idle")
    with RawClient(roost.address) as c:
        assert c.get("/close").status == 200    # nothing is kept to the backend
        wait_until(lambda: a.open().conns == 0, "no connection is kept")
        idle = exhaust(roost)
        r = c.get("/")
        assert r.status == 503, r.status
        free(idle)
        wait_until(lambda: Person(roost, "q").get().status == 200, "it goes on")


def test_again_and_again_and_nothing_is_lost(proxy):
    roost, _ = proxy
    before = roost.descriptors()
    for _ in range(3):
        idle = exhaust(roost)
        free(idle)
        with Person(roost, "p").websocket() as ws:  # behind all others in the backlog
            assert ws.whoami() == "a"
            ws.close()
        wait_until(lambda: roost.descriptors() <= before, "descriptors are back")
        hard = resource.prlimit(roost.pid, resource.RLIMIT_NOFILE)[1]
        limit(roost, hard)


def test_the_admin_api_pauses_as_well(stage):
    """Who cannot be accepted waits; the thread does not turn in circles for that."""
    backends = stage.backends("a")
    roost = stage.roost(with_admin(settings(backends)))
    admin = Admin(roost)
    limit(roost, 3)     # fewer than it has: none is left
    with RawClient(admin.address) as c:
        c.send(c.request_bytes("GET", "/v1/status"))
        roost.wait_log("admin API: accepting pauses")
        before = cpu_seconds(roost)
        let_pass(1)
        assert cpu_seconds(roost) - before < scaled(0.3)
        limit(roost, 4096)
        assert c.response().status == 200


def start_with(directory, config, n):
    """Starts one that may have n descriptors; returns the process once it is ready or
    has ended, and what it said."""
    os.makedirs(directory)
    file, log = os.path.join(directory, "roost.yaml"), os.path.join(directory, "log")
    with open(file, "w") as f:
        f.write(to_yaml(config))
    # the search for leaks needs descriptors itself
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    with open(log, "wb") as f:
        process = subprocess.Popen(
            [binary(), "-c", file], stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))

    def said():
        with open(log, errors="replace") as f:
            return f.read()

    wait_until(lambda: process.poll() is not None or " ready (" in said(), "a start")
    return process, said


def test_a_start_that_lacks_descriptors_says_so(stage, tmp_path):
    """Wherever they run out: an error that says why and status 2, and nothing else."""
    config = settings([{"name": "a", "address": "127.0.0.1:1"}])
    config["workers"] = 2
    config["access_log"] = {"file": str(tmp_path / "access.log")}
    for n in range(8, 60):
        process, said = start_with(tmp_path / str(n), config, n)
        if process.poll() is None:
            process.terminate()
            assert process.wait(scaled(10)) == 0, said()
            break
        assert process.returncode == 2, said()
        assert re.search(r"(error daemon: |roost: ).*Too many open files", said()) or \
            "memory or descriptors" in said()
    assert n > 12
