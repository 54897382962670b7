# SPDX-License-Identifier: MIT
"""HUP: the new configuration counts for what comes, and what is open stays."""

import contextlib
import copy
import os
import socket
import threading

import pytest
from peers.admin import Admin, with_admin
from peers.backend import closed_port
from peers.client import Person, RawClient
from peers.roost import changed, entry, settings, without
from peers.waiting import SANITIZED, wait_until
from peers.websocket import Swarm


@pytest.mark.quick
def test_open_sockets_stay(stage):
    roost, a, b = stage.proxy("a", "b")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(200)]
    names = [ws.whoami() for ws in sockets]
    for weight in (2, 3, 1):
        roost.reload(changed(roost.config, "b", weight=weight))
    assert all(ws.is_open() for ws in sockets)
    assert [ws.whoami() for ws in sockets] == names
    assert len(a.events("handshake")) + len(b.events("handshake")) == 200


@pytest.mark.quick
def test_busy_sockets_lose_nothing(stage):
    roost, a, b = stage.proxy("a", "b")
    with Swarm(roost, 50) as swarm:
        for level in ("notice", "info", "info"):
            config = copy.deepcopy(roost.config)
            config["log"]["level"] = "info"
            config["upstreams"]["app"]["retries"] = 1 if level == "info" else 2
            roost.reload(config)
            swarm.wait_progress()
        swarm.finish()
        swarm.check_exact()


def test_exchange_under_way_finishes(stage):
    roost, a, b = stage.proxy("a", "b")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/700", {"X-Client": "p"}))
        wait_until(lambda: a.events("request") or b.events("request"), "it arrived")
        served = "a" if a.events("request") else "b"
        roost.reload(without(roost.config, served))
        assert c.response().backend == served
        assert c.get("/", {"X-Client": "p"}).backend != served


def test_kept_connections_stay(stage):
    roost, *_ = stage.proxy("a")
    with RawClient(roost.address) as c:
        assert c.get("/").status == 200
        roost.reload(roost.config)
        assert c.get("/").status == 200


def test_new_backend_gets_work(stage):
    roost, *_ = stage.proxy("a")
    (b,) = stage.backends("b")
    config = copy.deepcopy(roost.config)
    config["upstreams"]["app"]["backends"].append(entry(b))
    roost.reload(config)
    held = [Person(roost, f"p{i}").websocket() for i in range(4)]
    got = {ws.whoami() for ws in held}
    assert got == {"b"} or got == {"a", "b"}


def test_new_route_and_upstream(stage):
    roost, a = stage.proxy("a")
    (b,) = stage.backends("b")
    config = copy.deepcopy(roost.config)
    config["routes"].append({"path": "/new", "upstream": "fresh"})
    config["upstreams"]["fresh"] = {"backends": [entry(b)]}
    roost.reload(config)
    assert Person(roost, "p").backend("/new/x") == "b"
    assert Person(roost, "p").backend("/") == "a"


def test_broken_file_changes_nothing_and_says_where(stage):
    roost, a, b = stage.proxy("a", "b")
    good = roost.config
    with Person(roost, "p").websocket() as ws:
        name = ws.whoami()
        broken = changed(good, "b", wieght=3)
        roost.reload(broken, fails=True)
        assert roost.logged(r"roost\.yaml:\d+:\d+: .*wieght")
        assert ws.is_open() and ws.whoami() == name
        assert Person(roost, "p").backend() == name
        roost.reload(good)
        assert ws.whoami() == name


def test_file_that_is_no_yaml_changes_nothing(stage):
    roost, *_ = stage.proxy("a")
    good = roost.config
    roost.reload("upstreams: {app: [\n", fails=True)
    assert roost.logged(r"roost\.yaml:\d+:\d+: ")
    assert Person(roost, "p").backend() == "a"
    roost.reload(good)


def test_what_needs_a_restart_is_said(stage):
    roost, *_ = stage.proxy("a")
    config = copy.deepcopy(roost.config)
    config["workers"] = 1
    roost.reload(config)
    assert roost.wait_log("workers")
    assert Person(roost, "p").backend() == "a"


@pytest.mark.quick
def test_many_reloads_leave_nothing_behind(stage):
    roost, *_ = stage.proxy("a", "b")
    for i in range(5):
        roost.reload(changed(roost.config, "a", weight=1 + i % 2))
    before = roost.descriptors()
    for i in range(30):
        roost.reload(changed(roost.config, "a", weight=1 + i % 2))
        Person(roost, f"p{i}").backend()
    wait_until(lambda: roost.descriptors() <= before + 4, "descriptors are back")


# --- by value


@pytest.mark.quick
def test_nothing_changes_where_nothing_has(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.reload(roost.config)
        assert roost.logged(r"configuration reloaded \(nothing has changed\)$")
        assert len(roost.log()[roost.log_mark:].splitlines()) == 1
        assert ws.whoami() == "a"


def test_changes_are_named(stage):
    roost, a, b = stage.proxy("a", "b")
    roost.reload(changed(roost.config, "b", weight=3))
    assert roost.logged(r"upstreams\.app\.backends\.b\.weight: 1 -> 3$")
    roost.reload(without(roost.config, "b"))
    assert roost.logged(r"upstreams\.app\.backends\.b: removed$")


def test_what_needs_a_restart_is_said_until_it_comes(stage):
    roost, a = stage.proxy("a")
    config = copy.deepcopy(roost.config)
    config["workers"] = 3
    roost.reload(config)
    assert roost.logged("needs a restart: workers: 2 -> 3$")
    assert len(roost.logged("workers: 2 -> 3$")) == 2
    config["log"]["level"] = "debug"
    roost.reload(config)
    assert len(roost.logged("workers: 2 -> 3$")) == 1
    config["workers"] = 2
    roost.reload(config)
    assert roost.logged("workers: 3 -> 2$") and not roost.logged("restart")


def test_order_means_nothing(stage):
    roost, a, b = stage.proxy("a", "b")
    config = copy.deepcopy(roost.config)
    config["upstreams"]["app"]["backends"].reverse()
    roost.reload(config)
    assert roost.logged("nothing has changed")


# --- listeners


def refused(address):
    try:
        RawClient(address).close()
    except OSError:
        return True
    return False


def listening(roost, *binds):
    config = copy.deepcopy(roost.config)
    config["listeners"] = [{"bind": b} if isinstance(b, str) else b for b in binds]
    return config


def free_address():
    host, _, port = closed_port().rpartition(":")
    return host, int(port)


@pytest.mark.quick
def test_a_listener_is_added_and_removed(stage):
    roost, a = stage.proxy("a")
    first, second = roost.address, free_address()
    with Person(first, "p").websocket() as old, RawClient(first) as kept:
        assert kept.get("/").status == 200
        roost.reload(listening(roost, "127.0.0.1:0", "%s:%d" % second))
        assert roost.logged("listening on %s:%d$" % second)
        assert Person(second, "q").backend() == "a"
        assert Person(first, "q").backend() == "a"
        with Person(second, "p").websocket() as new:
            roost.reload(listening(roost, "%s:%d" % second))
            wait_until(lambda: refused(first), "nobody listens there")
            assert roost.logged("no longer listening on %s:%d$" % first)
            assert old.whoami() == "a" and new.whoami() == "a"
            assert kept.get("/").status == 200, "connections on it live on"
            roost.reload(changed(roost.config, "a", weight=2))
            assert kept.get("/").status == 200
            assert Person(second, "q").backend() == "a"


def test_the_ports_file_follows(stage):
    roost, a = stage.proxy("a")
    second = free_address()
    roost.reload(listening(roost, "127.0.0.1:0", "%s:%d" % second))
    wait_until(lambda: roost.ready(2), "both are told")
    assert roost.addresses[1] == second


def test_a_taken_port_fails_the_whole_reload(stage, tmp_path):
    roost, a, b = stage.proxy("a", "b", balance="round-robin")
    good = roost.config
    path = str(tmp_path / "never.sock")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bad = "127.0.0.1:%d" % taken.getsockname()[1]
        config = without(listening(roost, "127.0.0.1:0", f"unix:{path}", bad), "b")
        roost.reload(config, fails=True)
    assert roost.logged(rf"cannot listen on {bad} \(Address already in use\)")
    assert not os.path.lexists(path)
    assert {Person(roost, f"p{i}").backend() for i in range(20)} == {"a", "b"}
    roost.reload(good)
    assert roost.logged("nothing has changed")


def test_from_one_address_to_all_and_back(stage):
    roost, a = stage.proxy("a")
    host, port = free_address()
    for bind in (f"127.0.0.1:{port}", f"*:{port}", f"127.0.0.1:{port}"):
        roost.reload(listening(roost, bind))
        assert Person((host, port), "p").backend() == "a"


def test_another_roost_is_not_joined(stage):
    one, a = stage.proxy("a")
    other = stage.roost(copy.deepcopy(one.config))
    other.reload(listening(other, "%s:%d" % one.address), fails=True)
    assert other.logged("Address already in use")


def test_unix_sockets_come_and_go_and_change_their_mode(stage, tmp_path):
    roost, a = stage.proxy("a")
    path = str(tmp_path / "r.sock")
    first = "127.0.0.1:0"
    roost.reload(listening(roost, first, {"bind": f"unix:{path}", "mode": "0600"}))
    assert os.stat(path).st_mode & 0o777 == 0o600
    inode = os.stat(path).st_ino
    with RawClient(path) as c:
        roost.reload(listening(roost, first, {"bind": f"unix:{path}", "mode": "0660"}))
        assert roost.logged(r'mode: "?0?600"? -> "?0?660"?')
        assert os.stat(path).st_mode & 0o777 == 0o660
        assert os.stat(path).st_ino == inode
        assert c.get("/").status == 200
        roost.reload(listening(roost, first))
        assert not os.path.lexists(path)
        assert c.get("/").status == 200


def test_listeners_that_come_and_go_leave_nothing(stage, tmp_path):
    roost, a = stage.proxy("a")
    path = str(tmp_path / "r.sock")
    first, other = "127.0.0.1:0", free_address()
    alone = roost.config
    roost.reload(listening(roost, first, f"unix:{path}"))
    roost.reload(alone)
    wait_until(lambda: roost.logged("reloaded"), "it is loaded")
    before = roost.descriptors()
    for _ in range(15):
        roost.reload(listening(roost, first, "%s:%d" % other, f"unix:{path}"))
        for address in (roost.address, other, path):
            with RawClient(address) as c:
                assert c.get("/").status == 200
        roost.reload(alone)
    # but for a kept connection of each worker
    wait_until(lambda: roost.descriptors() <= before + 2, "descriptors are back")


# --- storms


def memory_after(roost, n, sockets):
    """RSS after n more reloads that change something, with the sockets in use."""
    for i in range(n):
        roost.reload(changed(roost.config, "a", weight=1 + i % 3))
        ws = sockets[i % len(sockets)]
        assert ws.whoami() in ("a", "b")
    return roost.rss_kib()


def test_whoever_is_told_of_it_may_rely_on_it(stage):
    """By the answer to a reload, every worker serves by it."""
    def replies(text):
        config = with_admin(settings([{"address": closed_port()}]))
        return {**config, "routes": [{"path": "/", "respond": 200, "text": text}]}

    roost = stage.roost(replies("at first"))
    admin = Admin(roost)
    with contextlib.ExitStack() as stack:
        # kept connections, so that both workers have some
        clients = [stack.enter_context(RawClient(roost.address)) for _ in range(8)]
        for i in range(30):
            roost.write(replies(f"reload {i}"))
            assert admin.post("/v1/reload")["changed"]
            assert [c.request("GET", "/").body for c in clients] == [
                b"reload %d" % i] * 8


def test_150_reloads_under_load(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    stop, failed, served = threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            try:
                with RawClient(roost.address) as c:
                    for _ in range(20):
                        assert c.get("/bytes/3000").status == 200
                        served[0] += 1
            except Exception as e:
                failed.append(e)

    threads = [threading.Thread(target=load) for _ in range(2)]
    sockets = [Person(roost, f"p{i}").websocket() for i in range(60)]
    for t in threads:
        t.start()
    try:
        before = memory_after(roost, 50, sockets)
        after = memory_after(roost, 100, sockets)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failed, failed[:3]
    assert served[0] > 150
    assert all(ws.is_open() for ws in sockets)
    assert len(a.events("handshake")) + len(b.events("handshake")) == 60
    # a sanitizer keeps what is freed for a while
    assert after - before < (100000 if SANITIZED else 600), (before, after)
