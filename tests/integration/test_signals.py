# SPDX-License-Identifier: MIT
"""TERM and INT stop gracefully, a second one at once; USR1 opens the log anew."""

import os
import signal
import threading
import time

import pytest
from peers import frames
from peers.client import Person, RawClient
from peers.roost import settings
from peers.waiting import holds_for, scaled, wait_until
from peers.websocket import handshake_headers


AT_ONCE = 8  # seconds: less than the grace by default, which who waits would wait for


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_roost_stops_at_once(stage, number):
    roost, *_ = stage.proxy("a")
    Person(roost, "p").get()
    begun = time.monotonic()
    roost.signal(number)
    assert roost.wait_exit() == 0
    assert time.monotonic() - begun < AT_ONCE


def with_grace(backends, grace, **upstream):
    return {**settings(backends, **upstream), "shutdown": {"grace": grace}}


def test_sockets_are_closed_1012_over_the_grace(stage):
    a, b = stage.backends("a", "b")
    seconds = scaled(1)
    roost = stage.roost(with_grace([a, b], f"{int(seconds * 2000)}ms"))
    sockets = [Person(roost, f"p{i}").websocket() for i in range(30)]
    begun = time.monotonic()
    roost.signal(signal.SIGTERM)
    waiting, told = dict(enumerate(sockets)), []
    while waiting:
        for i, ws in list(waiting.items()):
            if ws.is_open():
                continue
            assert ws.close_code() == 1012 and ws.reason == "restarting"
            ws.send_close(1012)
            told.append(time.monotonic() - begun)
            del waiting[i]
        time.sleep(0.01)
    assert told[-1] > seconds * 0.4, "spread"
    assert roost.wait_exit(20) == 0
    wait_until(lambda: len(a.events("ws_close")) + len(b.events("ws_close")) == 30,
               "the app servers heard of all")


def test_the_grace_ends(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(with_grace([a], "400ms"))
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/60000"))
        a.wait_events("request")
        begun = time.monotonic()
        roost.signal(signal.SIGTERM)
        assert roost.wait_exit() == 0
        assert time.monotonic() - begun > 0.3


def test_a_socket_that_opens_meanwhile_is_told_too(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(with_grace([a], "4s"))
    with RawClient(roost.address) as slow, RawClient(roost.address) as c:
        slow.send(slow.request_bytes("GET", "/slow/300"))
        a.wait_events("request")
        roost.signal(signal.SIGTERM)
        roost.wait_log("stopping")
        key = frames.new_key()
        c.send(c.request_bytes("GET", "/ws", handshake_headers(key)))
        assert c.response().status == 101
        assert slow.response().status == 200
        decoder = frames.Decoder()
        decoder.feed(bytes(c.buffer))
        while not (f := decoder.next()):
            decoder.feed(c.sock.recv(1000))
        assert f.opcode == frames.CLOSE and frames.parse_close(f.payload)[0] == 1012
    assert roost.wait_exit() == 0


def test_the_last_answer_on_a_connection_says_so(stage):
    (a,) = stage.backends("a")
    roost = stage.roost({**with_grace([a], "8s"), "workers": 1})
    with RawClient(roost.address) as busy, RawClient(roost.address) as fresh, \
            RawClient(roost.address) as idle:
        assert idle.get("/").status == 200
        assert busy.get("/").header("Connection") is None
        busy.send(busy.request_bytes("GET", "/stall"))
        a.wait_events("request", target="/stall")
        roost.signal(signal.SIGTERM)
        assert idle.at_end()  # so the worker knows
        # who has connected before and asks now is served as well
        r = fresh.get("/")
        assert r.status == 200 and r.header("Connection") == "close"
        assert fresh.at_end()
        a.order("release")
        assert busy.response().header("Connection") == "close"
        assert busy.at_end()
    assert roost.wait_exit() == 0


def test_idle_connections_are_closed_at_once(stage):
    roost, *_ = stage.proxy("a")
    kept = [RawClient(roost.address) for _ in range(5)]
    for c in kept:
        assert c.get("/").status == 200
    begun = time.monotonic()
    roost.signal(signal.SIGTERM)
    assert all(c.at_end() for c in kept)
    assert roost.wait_exit() == 0
    assert time.monotonic() - begun < AT_ONCE


def test_exchange_under_way_is_finished(stage):
    roost, a = stage.proxy("a")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/700"))
        a.wait_events("request")
        roost.signal(signal.SIGTERM)
        r = c.response()
        assert r.status == 200
        assert c.at_end()
    assert roost.wait_exit() == 0


def test_nobody_new_is_accepted_while_stopping(stage):
    roost, a = stage.proxy("a")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/stall"))
        a.wait_events("request")
        roost.signal(signal.SIGTERM)

        def refused():
            try:
                with RawClient(roost.address):
                    return False
            except OSError:
                return True

        wait_until(refused, "connections are refused", 5)
        a.order("release")
        assert c.response().status == 200
    assert roost.wait_exit() == 0


def test_second_signal_stops_now(stage):
    roost, a = stage.proxy("a")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/60000"))
        a.wait_events("request")
        roost.signal(signal.SIGTERM)
        roost.wait_log("stopping")
        holds_for(roost.running, "it waits", 0.3)
        begun = time.monotonic()
        roost.signal(signal.SIGTERM)
        assert roost.wait_exit() == 0
        assert time.monotonic() - begun < AT_ONCE


def test_log_is_opened_anew(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    log = stage.directory / "own.log"
    config["log"]["file"] = str(log)
    roost = stage.roost(config)
    Person(roost, "p").websocket().close(4001)
    wait_until(lambda: "4001" in log.read_text(), "it logs there")
    os.rename(log, str(log) + ".1")
    roost.signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and "files reopened" in log.read_text(),
               "the log is there again")
    Person(roost, "p").websocket().close(4002)
    wait_until(lambda: "4002" in log.read_text(), "it logs to the new one")
    assert "4002" not in open(str(log) + ".1").read()


@pytest.mark.quick
def test_storm_of_signals(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        for _ in range(50):
            roost.signal(signal.SIGHUP)
            roost.signal(signal.SIGUSR1)
        assert ws.whoami() == "a"
        roost.wait_log("configuration reloaded")
        assert Person(roost, "p").backend() == "a"


@pytest.mark.quick
def test_stop_under_load(stage):
    roost, a, b = stage.proxy("a", "b")
    stop = threading.Event()

    def load():
        while not stop.is_set():
            try:
                Person(roost, "p").get("/bytes/10000")
            except Exception:
                if not roost.running():
                    return

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    wait_until(lambda: len(a.events("done")) + len(b.events("done")) > 50, "it runs")
    roost.signal(signal.SIGTERM)
    try:
        assert roost.wait_exit() == 0
    finally:
        stop.set()
        for t in threads:
            t.join()
