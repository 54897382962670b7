# SPDX-License-Identifier: MIT
"""Silent sides are pinged, dead ones found; the application's own pings travel."""

import signal
import threading

import pytest
from peers import frames
from peers.client import Person
from peers.roost import changed
from peers.waiting import SANITIZED, holds_for, scaled, wait_until
from peers.websocket import Closed, Swarm

FAST = {"interval": "200ms", "timeout": "2s" if SANITIZED else "1s", "sweep": "50ms"}
# whoever wants to be quicker than the first ping may be held up for a moment
LATER = {**FAST, "interval": "1s"}
MISSED = "no timer found it"


@pytest.fixture
def proxy(stage):
    roost, a = stage.proxy("a", heartbeat=FAST)
    yield roost, a
    assert not roost.logged(MISSED)


@pytest.fixture
def patient(stage):
    roost, a = stage.proxy("a", heartbeat=LATER)
    yield roost, a
    assert not roost.logged(MISSED)


def next_ping(ws):
    """The next frame, which must be a ping of roost's."""
    f = ws.read_frame()
    assert f.opcode == frames.PING and f.fin, f
    assert f.payload.startswith(b"roost") and len(f.payload) == 21, f
    return f


def answer_pings(ws, stop):
    """As a library does behind its user's back."""
    def work():
        try:
            while not stop.is_set():
                ws.read()
        except (Closed, OSError):
            pass

    t = threading.Thread(target=work, daemon=True)
    t.start()
    return t


def test_idle_client_is_pinged_and_its_pong_goes_no_further(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        for _ in range(4):
            f = next_ping(ws)
            assert not a.events("pong")
            ws.send_frame(frames.PONG, f.payload)
        assert ws.ask("m") == "m"
        assert not a.events("pong")


def test_idle_backend_is_pinged_and_its_pong_goes_no_further(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        seen = set()
        while len(a.events("ping")) < 3:
            f = next_ping(ws)  # never a pong
            seen.add(f.payload)
            ws.send_frame(frames.PONG, f.payload)
        texts = {e.text for e in a.events("ping")}
        assert all(t.startswith("roost") for t in texts)
        assert not texts & {p.decode() for p in seen}


def test_pings_of_the_application_travel_end_to_end(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send_frame(frames.PING, b"from the client")
        while (f := ws.read_frame()).opcode != frames.PONG:
            ws.send_frame(frames.PONG, f.payload)
        assert f.payload == b"from the client"
        ws.send("ping from-the-backend")
        while (f := ws.read_frame()).payload != b"from-the-backend":
            ws.send_frame(frames.PONG, f.payload)
        assert f.opcode == frames.PING
        ws.send_frame(frames.PONG, f.payload)
        a.wait_events("pong", text="from-the-backend")
        ws.send_frame(frames.PONG, b"nobody asked")
        a.wait_events("pong", text="nobody asked")
        assert "from the client" in {e.text for e in a.events("ping")}


def test_client_that_does_not_answer_is_stale(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        next_ping(ws)
        f = ws.read_frame()
        assert f.opcode == frames.CLOSE
        assert frames.parse_close(f.payload) == (1001, "stale")
    (end,) = a.wait_events("ws_close", seconds=5)
    assert (end.how, end.code, end.reason) == ("close", 1001, "stale")
    roost.wait_log("ping not answered in time.*cause heartbeat_timeout")


def test_client_that_talks_is_not_pinged(patient):
    roost, a = patient
    with Person(roost, "p").websocket() as ws:
        def talk():
            ws.send("x")
            f = ws.read_frame()
            return f.opcode == frames.TEXT and f.payload == b"x"

        holds_for(talk, "nothing but answers comes", 1.6)
        assert not a.events("ping")


def test_client_that_only_listens_is_pinged_between_frames(proxy):
    """Frames come one piece at a time; whatever is between them is whole."""
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("fragments 150 3000")
        pings, message = 0, b""
        while True:
            f = ws.read_frame()
            if f.opcode == frames.PING:
                pings += 1
                ws.send_frame(frames.PONG, f.payload)
                continue
            message += f.payload
            if f.fin:
                break
        assert message == b"f" * 150 * 3000
        assert pings >= 1


def test_half_a_frame_holds_the_ping_back(patient):
    """On both sides: each has begun a frame and pauses."""
    roost, a = patient
    with Person(roost, "p").websocket() as ws:
        from_backend = frames.encode(frames.BINARY, b"h" * 64)
        ws.send("raw " + from_backend[:20].hex())
        assert ws.raw.take(20) == from_backend[:20]
        rest = b"raw " + from_backend[20:].hex().encode()
        from_client = frames.encode(frames.TEXT, rest, masked=True)
        ws.raw.send(from_client[:20])
        ws.raw.sock.settimeout(1.6)
        with pytest.raises(TimeoutError):
            ws.raw.sock.recv(1)
        assert not a.events("ping")
        ws.raw.sock.settimeout(scaled(10))
        ws.raw.send(from_client[20:])
        assert ws.raw.take(46) == from_backend[20:]


@pytest.mark.parametrize("mode, code", [("off", 1012), ("reconnect", 1012)])
def test_backend_that_hangs_is_found(stage, mode, code):
    roost, a = stage.proxy("a", heartbeat=FAST, rehome={"mode": mode})
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        a.process.send_signal(signal.SIGSTOP)
        try:
            assert ws.close_code() == code
        finally:
            a.process.send_signal(signal.SIGCONT)
        ws.send_close(code)
        assert ws.raw.at_end()
    (end,) = a.wait_events("ws_close")  # when it has woken up
    assert (end.code, end.reason) == (1001, "stale")
    roost.wait_log("ended by backend.*cause heartbeat_timeout")


def test_session_of_a_backend_that_hangs_goes_on_elsewhere(stage):
    roost, a, b = stage.proxy("a", "b", heartbeat=FAST, rehome={"mode": "transparent"})
    with Person(roost, "p").websocket() as ws:
        old = {"a": a, "b": b}[ws.whoami()]
        old.process.send_signal(signal.SIGSTOP)
        try:
            ws.raw.sock.settimeout(0.1)

            def somebody_answers():
                ws.send("whoami")  # lost while the backend hangs
                for _ in range(5):
                    try:
                        f = ws.read_frame()
                    except TimeoutError:
                        continue
                    if f.opcode == frames.TEXT:
                        return f.payload.decode()
                    ws.send_frame(frames.PONG, f.payload)

            assert wait_until(somebody_answers, "it goes on", 15) != old.name
        finally:
            old.process.send_signal(signal.SIGCONT)


def test_heartbeats_begin_with_a_reload(stage):
    roost, a = stage.proxy("a", heartbeat={"interval": "0"})
    with Person(roost, "p").websocket() as ws:
        holds_for(ws.is_open, "nothing comes", 0.5)
        config = changed(roost.config, "a")
        config["upstreams"]["app"]["heartbeat"] = FAST
        roost.reload(config)
        f = next_ping(ws)
        ws.send_frame(frames.PONG, f.payload)
        config["upstreams"]["app"]["heartbeat"] = {"interval": "0"}
        roost.reload(config)
        assert ws.ask("m") == "m"
    assert not roost.logged(MISSED)


def test_many_idle_ones_live_and_the_sweep_finds_nothing(proxy):
    roost, a = proxy
    n = 60
    with Swarm(roost, n) as swarm:
        swarm.quiet = True
        wait_until(lambda: len(a.events("ping")) >= 4 * n, "all have been pinged", 30)
        assert not swarm.closed
        assert a.open().sockets == n
    assert not roost.logged("heartbeat_timeout")


def test_stopped_roost_wakes_up_without_killing_anybody(proxy):
    """Its timers have all run out when it wakes up; what came meanwhile counts."""
    roost, a = proxy
    stop = threading.Event()
    with Person(roost, "p").websocket() as ws:
        assert ws.ask("m") == "m"
        t = answer_pings(ws, stop)
        wait_until(lambda: a.events("ping"), "heartbeats go")
        roost.signal(signal.SIGSTOP)
        try:
            holds_for(lambda: True, "time passes", 1.5 if not SANITIZED else 3)
        finally:
            roost.signal(signal.SIGCONT)
        before = len(a.events("ping"))
        wait_until(lambda: len(a.events("ping")) > before + 2, "heartbeats go on")
        assert not a.events("ws_close")
        stop.set()
        ws.send("last")
        t.join(5)
