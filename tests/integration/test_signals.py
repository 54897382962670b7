# SPDX-License-Identifier: MIT
"""TERM and INT stop gracefully, a second one at once; USR1 opens the log anew."""

import os
import signal
import threading
import time

import pytest
from peers.client import Person, RawClient
from peers.roost import settings
from peers.waiting import scaled, wait_until


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_roost_stops_at_once(stage, number):
    roost, *_ = stage.proxy("a")
    Person(roost, "p").get()
    begun = time.monotonic()
    roost.signal(number)
    assert roost.wait_exit() == 0
    assert time.monotonic() - begun < scaled(2)


def test_sockets_are_closed_1012(stage):
    roost, a, b = stage.proxy("a", "b")
    sockets = [Person(roost, f"p{i}").websocket() for i in range(30)]
    roost.signal(signal.SIGTERM)
    codes = []
    for ws in sockets:
        codes.append(ws.close_code())
        ws.send_close(1012)
    assert set(codes) == {1012}
    assert roost.wait_exit(20) == 0
    assert len(a.events("ws_close")) + len(b.events("ws_close")) == 30


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
        c.send(c.request_bytes("GET", "/slow/1500"))
        a.wait_events("request")
        roost.signal(signal.SIGTERM)

        def refused():
            try:
                with RawClient(roost.address):
                    return False
            except OSError:
                return True

        wait_until(refused, "connections are refused", 1.2)
        assert c.response().status == 200
    assert roost.wait_exit() == 0


def test_second_signal_stops_now(stage):
    roost, a = stage.proxy("a")
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/60000"))
        a.wait_events("request")
        roost.signal(signal.SIGTERM)
        time.sleep(0.3)
        assert roost.running()
        begun = time.monotonic()
        roost.signal(signal.SIGTERM)
        assert roost.wait_exit() == 0
        assert time.monotonic() - begun < scaled(2)


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
    wait_until(log.exists, "the log is there again")
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
