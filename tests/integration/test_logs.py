# SPDX-License-Identifier: MIT
"""The log: where it goes, what its lines are about, what is held back in a storm, and
what happens to lines that nobody takes."""

import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from peers import frames
from peers.client import Person, RawClient
from peers.roost import binary, settings
from peers.waiting import scaled, wait_until
from peers.yaml_text import to_yaml

NOBODY_THERE = {"name": "gone", "address": "127.0.0.1:1"}


def failing(**log):
    """Every request fails: nobody is there."""
    config = settings([NOBODY_THERE])
    config["upstreams"]["app"]["retries"] = 0
    config["log"].update(log)
    return config


def ask(roost, n, path="/"):
    with RawClient(roost.address) as c:
        for _ in range(n):
            assert c.get(path).status in (502, 503)


def lines_of(path):
    with open(path, errors="replace") as f:
        return f.read().splitlines()


class Daemon:
    """What stands at the other end of a unix socket: syslog, or the journal."""

    def __init__(self, path):
        self.path = str(path)
        self.got = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)

    def read(self):
        try:
            while True:
                self.got.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            return self.got

    def wait(self, pattern):
        return wait_until(
            lambda: [m for m in (re.search(pattern, x, re.S) for x in self.read()) if m],
            f"datagram {pattern!r}")


# --- where it goes


def test_file(stage, tmp_path):
    path = tmp_path / "roost.log"
    roost = stage.roost(failing(file=str(path), format="json"))
    ask(roost, 1)
    line = wait_until(lambda: [x for x in map(json.loads, lines_of(path))
                               if "request" in x], "the line")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert {k: line[k] for k in ("level", "topic", "client", "upstream", "backend")} == {
        "level": "info", "topic": "http", "client": "127.0.0.1", "upstream": "app",
        "backend": "gone"}
    assert line["message"] == "request failed (no connection to the backend)"
    assert line["request"]
    assert roost.log() == "", "nothing on standard error"
    assert os.stat(path).st_mode & 0o027 == 0, "not for everybody to read"


def test_syslog(stage, tmp_path):
    syslog = Daemon(tmp_path / "log")
    roost = stage.roost(failing(file="syslog", socket=syslog.path, tag="front",
                                facility="local3"))
    ask(roost, 1)
    # info of local3
    (found,) = syslog.wait(r"^<158>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d front\[(\d+)\]: "
                           r"http: request failed \(.*\) request=\w+ client=127\.0\.0\.1 "
                           r"upstream=app backend=gone$")
    assert int(found[1]) == roost.pid
    roost.stop()
    syslog.wait("daemon: stopped$")


def test_journal(stage, tmp_path):
    journal = Daemon(tmp_path / "journal")
    config = failing(file="journald", socket=journal.path, format="json")
    (a,) = stage.backends("a")
    config["upstreams"]["ws"] = {"backends": [{"name": a.name, "address": a.address}]}
    config["routes"].insert(0, {"path": "/ws", "upstream": "ws"})
    roost = stage.roost(config)
    ask(roost, 1)
    (found,) = journal.wait(r"^.*ROOST_REQUEST=.*$")
    fields = dict(x.split("=", 1) for x in found[0].splitlines())
    assert fields.pop("ROOST_REQUEST") in fields.pop("MESSAGE")
    assert fields == {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "roost",
                      "ROOST_TOPIC": "http", "ROOST_CLIENT": "127.0.0.1",
                      "ROOST_UPSTREAM": "app", "ROOST_BACKEND": "gone"}
    with Person(roost, "p").websocket("/ws") as ws:
        ws.close(4000)
    (found,) = journal.wait(r"ROOST_SESSION=(\w+)\n.*ROOST_BACKEND=a\n.*session ended by")
    assert found[1] == a.events("handshake")[0].session


def test_socket_that_is_not_there_stops_the_start(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(to_yaml(failing(file="syslog", socket="/nonexistent/log")))
    r = subprocess.run([binary(), "-c", file], capture_output=True, text=True,
                       timeout=scaled(10))
    assert r.returncode == 2
    assert "/nonexistent/log" in r.stderr


def test_levels_by_topic(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["log"] = {"level": "warn", "topics": {"session": "debug"}}
    roost = stage.roost(config)
    Person(roost, "p").websocket().close()
    roost.wait_log("debug session: session is closed, was closing")
    roost.wait_log("session ended by")
    assert not roost.logged(" daemon: ")
    config["log"] = {"level": "notice", "topics": {"config": "debug"}}
    roost.reload(config)
    Person(roost, "p").websocket().close()
    a.wait_events("ws_close", 2)
    assert not roost.logged(" session: ")


# --- rotation


@pytest.mark.quick
def test_rotation_under_load_loses_no_line(stage, tmp_path):
    path = tmp_path / "roost.log"
    roost = stage.roost(failing(file=str(path), topics={"http": "debug"}))
    done, n = threading.Event(), [0]

    def load():
        with RawClient(roost.address) as c:
            while not done.is_set():
                c.get("/")
                n[0] += 1

    thread = threading.Thread(target=load)
    thread.start()
    old = []
    for i in range(20):
        before = n[0]
        wait_until(lambda: n[0] > before + 5, "some lines")
        old.append(tmp_path / f"old.{i}")
        os.rename(path, old[-1])
        roost.signal(signal.SIGUSR1)
        wait_until(path.exists, "it is opened anew")
    done.set()
    thread.join(scaled(30))
    roost.stop()
    ids = [re.search(r" request=(\w+) ", x)[1]
           for file in [*old, path] for x in lines_of(file) if "request failed" in x]
    assert len(ids) == len(set(ids)) == n[0]
    # a worker may be quicker with its own line
    assert all(any(" log files reopened" in x for x in lines_of(f)) for f in old[1:])


# --- losses


def test_a_full_disk_costs_lines_and_nothing_else(stage):
    roost = stage.roost(failing(file="/dev/full", topics={"http": "debug"}))
    ask(roost, 100)
    assert len(roost.logged("the log cannot be written, lines are lost "
                            r"\(No space left on device\)")) == 1
    assert roost.running()


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", path],
                       check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("cannot mount a small disk")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_when_there_is_room_again_what_was_lost_is_told(stage, small_disk):
    path = small_disk / "roost.log"
    roost = stage.roost(failing(file=str(path), topics={"http": "debug"}))
    ask(roost, 300)
    roost.wait_log("the log cannot be written")
    os.rename(path, small_disk / "full")
    kept = lines_of(small_disk / "full")
    os.truncate(small_disk / "full", 0)
    roost.signal(signal.SIGUSR1)

    def told():
        files = [small_disk / "full", path] if path.exists() else []
        return re.search(
            r"warn daemon: (\d+) lines of the log were lost \(No space left on device\)",
            "".join(f.read_text() for f in files))

    found = wait_until(told, "what was lost is told")
    failed = sum("request failed" in x and x.endswith("backend=gone") for x in kept)
    # beside the requests, that the backend is left alone may be among the lost
    assert 0 <= failed + int(found[1]) - 300 <= 10
    ask(roost, 1)
    wait_until(lambda: "request failed" in path.read_text(), "and on it goes")


def test_a_standard_error_that_nobody_reads_holds_nobody_up(stage, tmp_path):
    file, ports = tmp_path / "r.yaml", tmp_path / "ports"
    file.write_text(to_yaml(failing(topics={"http": "debug"})))
    p = subprocess.Popen([binary(), "-c", file, "--ports-file", ports],
                         stderr=subprocess.PIPE)
    try:
        wait_until(lambda: ports.exists() and ports.read_text().endswith("\n"), "ready")
        host, _, port = ports.read_text().strip().rpartition(":")
        with RawClient((host, int(port))) as c:
            for _ in range(1500):  # far more than a pipe holds
                assert c.get("/").status in (502, 503)
    finally:
        p.terminate()
        said = p.communicate(timeout=scaled(20))[1].decode()
    assert p.returncode == 0
    assert 10 < said.count("request failed") < 1500
    assert all(x.startswith("20") for x in said.splitlines()), "lines are whole"


def test_a_journal_that_stalls_holds_nobody_up(stage, tmp_path):
    journal = Daemon(tmp_path / "journal")
    roost = stage.roost(failing(file="journald", socket=journal.path,
                                topics={"http": "debug"}))
    ask(roost, 1500)
    roost.wait_log("the log cannot be written")
    n = sum("request failed" in x for x in journal.read())
    assert n < 1500
    (found,) = journal.wait(r"MESSAGE=daemon: (\d+) lines of the log were lost")
    n = sum("request failed" in x for x in journal.read())
    assert n + int(found[1]) >= 1500


# --- storms


@pytest.mark.quick
def test_a_storm_is_held_back_and_counted(stage):
    roost = stage.roost(failing())
    threads = [threading.Thread(target=ask, args=(roost, 200)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(scaled(30))
    roost.stop()
    written = len(roost.logged(": request failed"))
    held = sum(map(int, roost.logged("failed requests: held back (\\d+) like this in")))
    assert 100 <= written <= 400
    assert written + held == 800
    assert f"log_lines_held_back {held}" in roost.log()
    # what changes is told nonetheless
    assert roost.logged("backend app/gone is left alone")


# --- what lines are about


def test_every_line_says_what_it_is_about(stage):
    (a,) = stage.backends("a")
    config = settings([a], limits={"max_message": 1000})
    config["log"] = {"level": "debug", "format": "json"}
    config["routes"] = [{"path": "/app", "upstream": "app"},
                        {"path": "/gone", "upstream": "gone"}]
    config["upstreams"]["gone"] = {"backends": [NOBODY_THERE], "retries": 0}
    roost = stage.roost(config)
    ids = set()
    with RawClient(roost.address) as c:
        c.get("/gone")
        c.get("/nowhere")
        c.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert c.response().status == 400
    for end in (lambda ws: ws.close(4000), lambda ws: ws.raw.close(),
                lambda ws: ws.send_frame(frames.TEXT, b"x" * 2000),
                lambda ws: ws.send_frame(7, b"")):
        with Person(roost, "p").websocket("/app") as ws:
            end(ws)
            wait_until(lambda: not a.sockets(), "it has ended")
    ids = {e.session for e in a.events("handshake")}
    roost.stop()
    lines = [json.loads(x) for x in roost.log().splitlines()]
    of_peers = [x for x in lines if x["topic"] in ("http", "session", "rehome")]
    assert all(x["client"] == "127.0.0.1" for x in of_peers)
    of_sessions = [x for x in of_peers if x["topic"] == "session"]
    assert {x["session"] for x in of_sessions} == ids
    assert all(x["upstream"] == "app" and x["backend"] == "a" for x in of_sessions)
    assert sum("ended by" in x["message"] for x in of_sessions) == 4
    assert sum("bad frame" in x["message"] for x in of_sessions) == 2
    failed = [x for x in of_peers if x["message"].startswith("request failed")]
    assert len(failed) == 2 and len({x["request"] for x in failed}) == 2
    assert not any(i in x["message"] for i in ids for x in of_peers)
    assert [x["backend"] for x in lines if "left alone" in x["message"]] == ["gone"]
