# SPDX-License-Identifier: MIT
"""Unix sockets in front of roost and behind it, and the files that go with them."""

import os
import socket
import stat
import tempfile
import threading

import pytest
from peers.backend import ScriptedBackend, answering, closed_port
from peers.client import Person, RawClient
from peers.relay import Relay
from peers.roost import entry, run, settings
from peers.waiting import holds_for, scaled, wait_until
from peers.yaml_text import to_yaml


@pytest.fixture
def place():
    """A directory with a short name: a unix socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="roost") as directory:
        yield directory


@pytest.fixture
def path(place):
    return os.path.join(place, "roost.sock")


def listening(backends, path, *more, **listener):
    config = settings(backends)
    config["listeners"] = [{"bind": f"unix:{path}", **listener}, *more]
    return config


def behind(stage, place, *names, **upstream):
    """A roost in front of app servers on unix sockets."""
    relays = []
    for backend in stage.backends(*names):
        relays.append(Relay(backend, os.path.join(place, backend.name + ".sock")))
        stage.others.append(relays[-1])
    return stage.roost(settings(relays, **upstream)), *relays


def fails_to_start(stage, config):
    """What roost says when it ends with 2."""
    file = stage.directory / "failing.yaml"
    file.write_text(to_yaml(config))
    r = run("-c", str(file))
    assert r.returncode == 2, r.stderr
    return r.stderr


# --- in front


@pytest.mark.quick
def test_requests_and_sockets_come_by_a_unix_socket(stage, path):
    roost = stage.roost(listening(stage.backends("a"), path))
    assert roost.address == path
    with RawClient(roost.address) as c:
        assert c.get("/x").backend == "a"
        assert c.request("POST", "/echo", body=b"y" * 300000).body == b"y" * 300000
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        assert ws.ask(b"z" * 100000) == b"z" * 100000


def test_the_ports_file_tells_the_path(stage, path):
    roost = stage.roost(listening(stage.backends("a"), path, {"bind": "127.0.0.1:0"}))
    with open(roost.ports_file) as f:
        lines = f.read().splitlines()
    assert lines[0] == f"unix:{path}"
    assert lines[1].startswith("127.0.0.1:")
    roost.wait_log(f"listening on unix:{path}$")
    with RawClient(roost.addresses[1]) as c:
        assert c.get("/").status == 200


@pytest.mark.parametrize("mode", [None, "0600", "0660", "0777"])
def test_the_file_has_the_mode_that_was_asked_for(stage, path, mode):
    before = os.umask(0o077)
    try:
        stage.roost(listening(stage.backends("a"), path, **({"mode": mode} if mode else {})))
    finally:
        os.umask(before)
    st = os.stat(path)
    assert stat.S_ISSOCK(st.st_mode)
    assert stat.S_IMODE(st.st_mode) == int(mode or "0666", 8)


def test_all_workers_share_the_socket(stage, path):
    config = listening(stage.backends("a"), path)
    config["workers"] = 4
    roost = stage.roost(config)
    clients = [RawClient(roost.address) for _ in range(100)]
    for i, c in enumerate(clients):
        c.send(c.request_bytes("GET", f"/{i}"))
    for c in clients:
        assert c.response().backend == "a"
        c.close()


@pytest.mark.quick
def test_a_socket_left_behind_is_replaced(stage, path):
    config = listening(stage.backends("a"), path)
    killed = stage.roost(config)
    killed.kill()
    killed.process = None  # its end needs no check
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    roost = stage.roost(config)
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200


@pytest.mark.quick
def test_a_socket_in_use_stops_the_start(stage, path):
    config = listening(stage.backends("a"), path)
    roost = stage.roost(config)
    assert f"cannot listen on unix:{path} (Address already in use)" in \
        fails_to_start(stage, config)
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200


def test_a_listener_whose_queue_is_full_is_in_use(stage, path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(0)
        waiting = crowd(path)
        assert "in use" in fails_to_start(stage, listening([backend_row()], path))
        for w in waiting:
            w.close()


def test_what_is_no_socket_is_left_alone(stage, path):
    with open(path, "w") as f:
        f.write("precious")
    assert path in fails_to_start(stage, listening([backend_row()], path))
    with open(path) as f:
        assert f.read() == "precious"


def test_a_start_that_fails_leaves_no_file(stage, path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = {"bind": "127.0.0.1:%d" % taken.getsockname()[1]}
        fails_to_start(stage, listening([backend_row()], path, bind))
    assert not os.path.lexists(path)


def test_a_missing_directory_stops_the_start(stage, place):
    path = os.path.join(place, "nowhere", "roost.sock")
    assert path in fails_to_start(stage, listening([backend_row()], path))


@pytest.mark.quick
def test_the_file_goes_with_the_process(stage, path):
    roost = stage.roost(listening(stage.backends("a"), path))
    roost.stop()
    assert not os.path.lexists(path)


def test_the_next_roost_may_take_the_path_while_the_last_one_finishes(stage, path):
    a, b = stage.backends("a", "b")
    old = stage.roost(listening([a], path))
    with RawClient(old.address) as last:
        last.send(last.request_bytes("GET", "/slow/1500"))
        a.wait_events("request", target="/slow/1500")
        old.signal(15)
        wait_until(lambda: not os.path.lexists(path), "the file is gone")
        new = stage.roost(listening([b], path))
        assert last.response().backend == "a"
    assert old.wait_exit() == 0
    with RawClient(new.address) as c:
        assert c.get("/").backend == "b"


def test_a_file_of_somebody_else_is_not_removed(stage, path):
    roost = stage.roost(listening(stage.backends("a"), path))
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        roost.stop()
        assert os.path.lexists(path)


def test_a_reload_leaves_the_socket_alone(stage, path):
    roost = stage.roost(listening(stage.backends("a"), path))
    before = os.stat(path).st_ino
    roost.reload(listening(stage.backends("b"), path))
    assert os.stat(path).st_ino == before
    with RawClient(roost.address) as c:
        assert c.get("/").backend == "b"
    roost.stop()
    assert not os.path.lexists(path)


def test_nothing_spins_when_clients_are_gone(stage, path):
    roost = stage.roost(listening(stage.backends("a"), path))
    for _ in range(20):
        RawClient(roost.address).close()
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200

    def cpu():
        with open(f"/proc/{roost.pid}/stat") as f:
            return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))

    start = cpu()
    holds_for(lambda: cpu() - start < 30, "nearly no CPU time is used", 0.6)


# --- behind


def backend_row():
    return {"name": "none", "address": closed_port()}


def crowd(path):
    """Connections that fill the queue of a listener which accepts nothing."""
    waiting = []
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(path)
        except BlockingIOError:
            s.close()
            return waiting
        waiting.append(s)


@pytest.mark.quick
def test_backend_on_a_unix_socket(stage, place):
    roost, a = behind(stage, place, "a")
    with RawClient(roost.address) as c:
        assert c.get("/x").backend == "a"
        assert len(c.get("/bytes/2000000").body) == 2000000
        assert a.accepted == 1
        # the last one: an echo that begins before its request has ended says close
        assert c.request("POST", "/echo", body=b"y" * 300000).body == b"y" * 300000
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        assert ws.ask(b"z" * 300000) == b"z" * 300000
        assert ws.close() == 1000


def test_kept_connection_that_the_backend_closed(stage, place):
    roost, a = behind(stage, place, "a")
    with RawClient(roost.address) as c:
        assert c.get("/close").status == 200
        assert c.get("/x").status == 200
    assert a.accepted == 2


def test_unix_and_tcp_backends_share_the_load(stage, place):
    a, b = stage.backends("a", "b")
    relay = Relay(a, os.path.join(place, "a.sock"))
    stage.others.append(relay)
    roost = stage.roost(settings([relay, b], balance="round-robin"))
    seen = {Person(roost, f"p{i}").backend() for i in range(10)}
    assert seen == {"a", "b"}


@pytest.mark.parametrize("kind", ["missing", "nobody", "file"])
def test_socket_that_nobody_serves_is_tried_and_left(stage, place, kind):
    path = os.path.join(place, "dead.sock")
    if kind == "nobody":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
    elif kind == "file":
        open(path, "w").close()
    dead = {"name": "dead", "address": f"unix:{path}"}
    only = stage.roost(settings([dead], retries=0))
    assert Person(only, "p").get().status == 502
    only.wait_log("backend app/dead is left alone")
    (b,) = stage.backends("b")
    both = stage.roost(settings([dead, entry(b)], balance="round-robin"))
    assert {Person(both, f"p{i}").backend() for i in range(6)} == {"b"}


def test_a_full_queue_is_waited_for(stage, place):
    path = os.path.join(place, "slow.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = crowd(path)
        roost = stage.roost(settings([{"name": "slow", "address": f"unix:{path}"}]))
        with RawClient(roost.address) as c:
            c.send(c.request_bytes("GET", "/"))
            holds_for(lambda: not roost.logged("left alone"), "it is not failed", 0.2)
            answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            threading.Thread(target=serve_all, args=(listener, answer),
                             daemon=True).start()
            assert c.response().body == b"hi"
            for w in waiting:
                w.close()
            listener.shutdown(socket.SHUT_RDWR)


def serve_all(listener, script):
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve_one, args=(sock, script), daemon=True).start()


def serve_one(sock, script):
    with sock:
        while head := ScriptedBackend.read_head(sock):
            script(sock, head)


def test_a_queue_that_stays_full_is_a_timeout(stage, place):
    path = os.path.join(place, "stuck.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = crowd(path)
        ms = int(300 * scaled(1))
        roost = stage.roost(settings([{"name": "stuck", "address": f"unix:{path}"}],
                                     timeouts={"connect": f"{ms}ms"}, retries=0))
        with RawClient(roost.address) as c:
            assert c.get("/").status == 504
        for w in waiting:
            w.close()


def test_client_that_leaves_while_the_queue_is_full(stage, place):
    path = os.path.join(place, "stuck.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = crowd(path)
        roost = stage.roost(settings([{"name": "stuck", "address": f"unix:{path}"}]))
        roost.wait_log(r"\bready \(")  # and the file with its ports is closed
        before = roost.descriptors()
        with RawClient(roost.address) as c:
            c.send(c.request_bytes("GET", "/"))
            wait_until(lambda: roost.descriptors() == before + 2, "it is connecting")
        wait_until(lambda: roost.descriptors() == before, "nothing is left of it")
        for w in waiting:
            w.close()


def test_a_backend_that_comes_late(stage, place):
    path = os.path.join(place, "a.sock")
    roost = stage.roost(settings([{"name": "a", "address": f"unix:{path}"}]))
    assert Person(roost, "p").get("/").status == 502
    stage.others.append(Relay(*stage.backends("a"), path))
    wait_until(lambda: Person(roost, "p").get("/").status == 200, "it serves")
    roost.wait_log("backend app/a accepts connections again")
