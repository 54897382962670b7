# SPDX-License-Identifier: MIT
"""Every way in which a backend dies under its sessions, what becomes of these, and what
is told of it."""

import copy
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from peers import frames
from peers.admin import Admin, scene, with_admin
from peers.backend import Backend, closed_port
from peers.client import Person
from peers.gate import Gate
from peers.roost import changed, entry, settings
from peers.waiting import SANITIZED, holds_for, scaled, wait_until
from peers.websocket import Closed

QUICK = {"rate": 1000, "debounce": "50ms", "backoff": "50ms", "max_backoff": "200ms"}
# tries enough for a busy machine
TRANSPARENT = {**QUICK, "mode": "transparent", "drain_timeout": "1s", "tries": 100}
HEARTBEAT = {"interval": "300ms", "timeout": "2s" if SANITIZED else "1s", "sweep": "5s"}


def gated(stage, how="open", *others, rehome=TRANSPARENT, **upstream):
    """Gates in front of a and of the others, "open" at first, and b as it is; b is down
    until the test lets it up. (roost, admin, gates, b)"""
    a, b = stage.backends("a", "b")
    gates = [Gate(a, how) for how in (how, *others)]
    for i, g in enumerate(gates):
        g.name = f"a{i}" if i else "a"
    stage.others += gates
    rows = [entry(g) for g in gates] + [entry(b, state="down")]
    roost = stage.roost(with_admin(settings(rows, rehome=rehome, **upstream)))
    return roost, Admin(roost), gates, b


def let_up(roost, name="b"):
    roost.reload(changed(roost.config, name, state="up"))


def session(admin):
    (s,) = admin.get("/v1/sessions")["sessions"]
    return s


def states(admin):
    return sorted(s["state"] for s in admin.get("/v1/sessions")["sessions"])


class Reader:
    """Reads as a library does behind its user's back: pings are answered."""

    def __init__(self, ws):
        self.ws = ws
        self.code = 0
        self.ended_at = 0
        self.got = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.got.append(self.ws.read())
        except Closed as e:
            self.code = e.code
        except OSError:
            self.code = 1006
        self.ended_at = time.monotonic()

    def end(self):
        self.thread.join(scaled(10))
        return self.code

    def whoami(self):
        n = len(self.got)
        self.ws.send("whoami")
        wait_until(lambda: len(self.got) > n, "an answer")
        return self.got[-1]


# --- kinds of death

def die_by_reset(gate):
    gate.reset()


def die_by_end(gate):
    gate.finish()


def die_silently(gate):
    gate.freeze()


DEATHS = [die_by_reset, die_by_end, die_silently]


@pytest.mark.parametrize("die", DEATHS)
def test_the_client_keeps_its_socket(stage, die):
    roost, admin, (gate,), b = gated(stage, heartbeat=HEARTBEAT)
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        reader = Reader(ws)
        die(gate)
        ws.send("lost, or not")
        wait_until(lambda: b.open().sockets == 1, "it is at b")
        ws.send("whoami")
        wait_until(lambda: "b" in reader.got, "it answers")
        assert set(reader.got) <= {"b", "lost, or not"}
        s = session(admin)
        assert s["state"] == "connected" and s["backend"] == "b"
        assert s["succeeded"] == 1


@pytest.mark.parametrize("die", DEATHS)
def test_the_client_is_closed_1012_and_its_pin_is_elsewhere(stage, die):
    roost, admin, (gate,), b = gated(stage, rehome=QUICK, heartbeat=HEARTBEAT)
    p = Person(roost, "p")
    with p.websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        die(gate)
        assert ws.close_code() == 1012
        assert admin.explain("header:p")["backend"]["name"] == "b"
        assert admin.backend("b")["awaited"] == 1, "its place is kept"
        assert p.websocket().whoami() == "b"
        assert admin.backend("b")["awaited"] == 0
        assert p.backend() == "b"


@pytest.mark.parametrize("die", DEATHS)
def test_on_failure_close_says_1012_at_once(stage, die):
    roost, admin, (gate,), b = gated(
        stage, rehome={**TRANSPARENT, "on_failure": "close", "rate": 1},
        heartbeat=HEARTBEAT)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(8)]
    assert {ws.whoami() for ws in sockets} == {"a"}
    let_up(roost)
    readers = [Reader(ws) for ws in sockets]
    die(gate)
    assert {r.end() for r in readers} == {1012}
    ends = [r.ended_at for r in readers]
    assert max(ends) - min(ends) < 4, "no pace, which would take 7 s"


def test_process_that_is_stopped_and_wakes_up(stage):
    """Its kernel goes on for it: only pings tell."""
    roost, a, b = stage.proxy("a", "b", rehome=TRANSPARENT, heartbeat=HEARTBEAT)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(6)]
    names = [ws.whoami() for ws in sockets]
    assert set(names) == {"a", "b"}
    readers = [Reader(ws) for ws in sockets]
    a.process.send_signal(signal.SIGSTOP)
    try:
        roost.wait_log(r"re-homed from a to b \(backend lost\)")
        wait_until(lambda: b.open().sockets == 6, "all are at b", 20)
        assert {r.whoami() for r in readers} == {"b"}
    finally:
        a.process.send_signal(signal.SIGCONT)
    wait_until(lambda: a.open().sockets == 0, "a has let go of them")
    byes = a.events("ws_close_frame")
    assert {e.code for e in byes} == {1001}
    assert {r.whoami() for r in readers} == {"b"}


@pytest.fixture
def island(stage):
    """An app server on a network that can be cut: (backend, cut)."""
    number = os.getpid() % 60000
    name, here = f"roost{number}", f"rst{number}"
    net = f"10.{200 + number // 16384}.{number // 64 % 256}.{number % 64 * 4}"
    mine, its = (net.rsplit(".", 1)[0] + f".{int(net.rsplit('.', 1)[1]) + i}"
                 for i in (1, 2))
    steps = [
        f"netns add {name}", f"link add {here} type veth peer name eth0 netns {name}",
        f"addr add {mine}/30 dev {here}", f"link set {here} up",
        f"-n {name} addr add {its}/30 dev eth0", f"-n {name} link set eth0 up",
    ]
    try:
        for step in steps:
            if subprocess.run(["ip", *step.split()], capture_output=True).returncode:
                pytest.skip("no right to make a network")
        b = Backend("a", its, ["ip", "netns", "exec", name]).start()
        stage.others.append(b)
        yield b.ready(), lambda: subprocess.run(
            ["ip", "link", "set", here, "down"], check=True)
        b.stop()
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_network_that_is_cut(stage, island):
    """Not even its kernel answers."""
    a, cut = island
    (b,) = stage.backends("b")
    roost = stage.roost(with_admin(settings(
        [entry(a), entry(b, state="down")], rehome=TRANSPARENT, heartbeat=HEARTBEAT,
        timeouts={"connect": "500ms"})))
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        reader = Reader(ws)  # or the client's own pings would go unanswered
        cut()
        for i in range(3):
            ws.send(f"lost {i}")
        wait_until(lambda: b.open().sockets == 1, "it is at b", 20)
        assert reader.whoami() == "b"
        s = session(Admin(roost))
        assert s["messages_maybe_lost"] == 3


# --- backends that do not take it

def test_accepts_and_hangs(stage):
    roost, admin, (gate, hang), b = gated(
        stage, "open", "hang", timeouts={"first_byte": "300ms"})
    roost.reload(changed(roost.config, "a1", state="down"))
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.reload(changed(roost.config, "a1", state="up"))
        gate.how = "hang"
        gate.reset()
        wait_until(lambda: states(admin) == ["reconnecting"], "it is without a backend")
        ws.send("held")
        wait_until(lambda: hang.accepted > 0, "it was tried")
        let_up(roost)
        assert ws.read() == "held"
        assert ws.whoami() == "b"
        assert session(admin)["failed"] >= 1


@pytest.mark.parametrize("status", [503, 500, 404])
def test_refuses_the_handshake(stage, status):
    roost, admin, (gate, bad), b = gated(stage, "open", status)
    roost.reload(changed(roost.config, "a1", state="down"))
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.reload(changed(roost.config, "a1", state="up"))
        gate.how = status
        gate.reset()
        wait_until(lambda: bad.handshakes > 0, "it was tried")
        let_up(roost)
        ws.send("held")
        assert ws.read() == "held"
        assert ws.whoami() == "b"


def test_who_is_not_wanted_is_closed_1012_to_come_anew(stage):
    roost, admin, (gate, bad), b = gated(stage, "open", 403)
    roost.reload(changed(roost.config, "a1", state="down"))
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.reload(changed(roost.config, "a1", state="up"))
        gate.reset()
        assert ws.close_code() == 1012
        assert bad.handshakes == 1


def test_agrees_and_dies_at_once(stage):
    """Each such 101 is a try that failed: no endless loop at full speed."""
    roost, admin, (gate, bad), b = gated(
        stage, "open", "blink", rehome={**TRANSPARENT, "tries": 6})
    roost.reload(changed(roost.config, "a1", state="down"))
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.reload(changed(roost.config, "a1", state="up"))
        gate.how = "blink"
        gate.reset()
        assert ws.close_code() == 1013
        assert bad.handshakes + gate.handshakes <= 6
        assert roost.wait_log(r"ended by .*cause no_backend")


def test_all_dead_and_one_comes_back(stage):
    roost, admin, (gate,), b = gated(stage)
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        b.kill()
        gate.how = "hang"
        gate.listener.shutdown(socket.SHUT_RDWR)
        gate.reset()
        wait_until(lambda: session(admin)["failed"] >= 3, "3 tries failed")
        s = session(admin)
        assert s["state"] == "reconnecting"
        assert s["states"][-1]["state"] == "reconnecting"
        ws.send("held")
        b.start().ready()
        assert ws.read() == "held"
        assert ws.whoami() == "b"
        s = session(admin)
        assert s["state"] == "connected" and s["down_ms"] > 0


def test_all_dead_for_good(stage):
    roost, admin, a = scene(stage, "a", rehome={**TRANSPARENT, "tries": 3})
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        a.process.send_signal(signal.SIGSTOP)
        ws.send("m1")
        ws.send("m2")
        wait_until(lambda: session(admin)["client_side"]["messages"] == 3, "it has them")
        a.kill()
        assert ws.close_code() == 1013
        (end,) = roost.wait_log(r"ended by .*")
        assert "cause no_backend" in end and "2 messages may be lost" in end
        assert len(roost.logged("not re-homed")) == 1, "one line for all tries"


def test_many_wait_and_come_back_when_the_first_has_found_it_alive(stage):
    """Pauses of half a minute are not waited for to their end."""
    roost, a = stage.proxy(
        "a", rehome={**TRANSPARENT, "backoff": "400ms", "max_backoff": "60s"})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(20)]
    a.kill()
    wait_until(lambda: len(roost.logged("left alone")) >= 3, "some tries", 20)
    a.start().ready()
    Person(roost, "other").websocket().close()
    wait_until(lambda: a.open().sockets == 20, "all are back", 8)
    assert {ws.whoami() for ws in sockets} == {"a"}


def test_client_that_leaves_meanwhile_is_answered(stage):
    roost, a = stage.proxy("a", rehome={**TRANSPARENT, "backoff": "20s",
                                        "max_backoff": "30s"})
    ws = Person(roost, "p").websocket()
    a.kill()
    ws.send("nobody gets this")
    assert ws.close(1000) == 1000
    (end,) = roost.wait_log(r"ended by .*")
    assert end.startswith("ended by client") and "code 1000" in end
    assert "1 messages may be lost" in end


def test_client_that_is_gone_meanwhile(stage):
    roost, admin, a = scene(stage, "a", rehome={**TRANSPARENT, "backoff": "20s",
                                                "max_backoff": "30s"})
    ws = Person(roost, "p").websocket()
    a.kill()
    wait_until(lambda: states(admin) == ["reconnecting"], "it waits for a server")
    ws.reset()
    roost.wait_log("ended by")


# --- messages that were under way

def test_what_the_dead_one_did_not_take_is_sent_again(stage):
    roost, admin, (gate,), b = gated(stage, heartbeat={"interval": "0"})
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        gate.freeze()
        ws.raw.sock.settimeout(scaled(1))
        sent = 0
        try:
            while True:
                ws.send(f"{sent:06}" + "x" * 20000)
                sent += 1
        except TimeoutError:
            pass
        ws.raw.sock.settimeout(scaled(10))
        gate.reset()
        got = [int(ws.read()[:6])]
        s = session(admin)
        assert s["backend"] == "b"
        while got[-1] < sent - 1:
            text = ws.read()
            assert len(text) == 20006, "none is torn"
            got.append(int(text[:6]))
        assert got == list(range(got[0], sent)), "none is missing, none twice"
        # what was before had been taken, by its kernel at least
        assert s["messages_maybe_lost"] == got[0]


def test_message_that_the_client_had_begun_is_not_torn(stage):
    """Of a fragmented message the dead one had the beginning: the rest is dropped, and
    the next message goes on."""
    roost, admin, (gate,), b = gated(stage)
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        ws.send_frame(frames.TEXT, b"first ", fin=False)
        ws.send_frame(frames.PING, b"there?")
        assert ws.read_frame().payload == b"there?"
        gate.reset()
        wait_until(lambda: b.open().sockets == 1, "it is at b")
        ws.send_frame(frames.CONTINUATION, b"last")
        assert ws.ask("whole") == "whole"
        assert ws.whoami() == "b"
        assert session(admin)["messages_maybe_lost"] == 1


@pytest.mark.parametrize("torn, code", [
    (frames.encode(frames.TEXT, b"begin", fin=False), 1012),
    (frames.encode(frames.TEXT, b"x" * 100)[:50], 1006),
])
def test_message_that_the_dead_one_had_begun_cannot_be_mended(stage, torn, code):
    roost, admin, (gate,), b = gated(stage)
    p = Person(roost, "p")
    with p.websocket() as ws:
        assert ws.whoami() == "a"
        let_up(roost)
        before = session(admin)["backend_side"]["bytes"]
        gate.say(torn)
        wait_until(lambda: session(admin)["backend_side"]["bytes"] == before + len(torn),
                   "it is passed on")
        gate.reset()
        assert ws.close_code() == code
        assert p.websocket().whoami() == "b"


# --- spread

def test_clients_are_sent_away_spread_by_the_rate(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"rate": 20, "debounce": "50ms"})
    people = [Person(roost, f"p{i}") for i in range(60)]
    sockets = [(p, p.websocket()) for p in people]
    mine = [(p, ws) for p, ws in sockets if ws.whoami() == "a"]
    n = len(mine)
    assert n > 20
    start = time.monotonic()
    a.kill()
    times = []
    for p, ws in mine:
        ws.raw.sock.setblocking(False)
    left = dict(mine)
    while left:
        for p, ws in list(left.items()):
            assert time.monotonic() - start < scaled(20)
            try:
                data = ws.raw.sock.recv(100)
            except BlockingIOError:
                continue
            assert data == frames.encode(frames.CLOSE, frames.close_payload(
                1012, "backend lost")), data
            times.append(time.monotonic() - start)
            del left[p]
        time.sleep(0.005)
    # 20 a second, after some at once: none comes before its turn
    for i, t in enumerate(times):
        assert t > (i - 5) / 20 * 0.6, times
    assert {p.websocket().whoami() for p, ws in mine} == {"b"}


def test_who_waits_for_its_turn_is_seen_and_held(stage):
    roost, admin, (gate,), b = gated(stage, rehome={**QUICK, "rate": 1})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(3)]
    assert {ws.whoami() for ws in sockets} == {"a"}
    let_up(roost)
    gate.reset()
    wait_until(lambda: "reconnecting" in states(admin), "one waits")
    assert all(Person(roost, f"p{i}").backend() == "b" for i in range(3))
    for ws in sockets:
        try:
            ws.send("is dropped")
        except OSError:
            pass
    assert {ws.close_code() for ws in sockets} == {1012}
    assert [int(n) for n in roost.wait_log(r"(\d+) messages may be lost")]


def test_places_are_kept_for_those_who_are_on_their_way(stage):
    """A full backend's last places go to those who were sent there, not to newcomers."""
    a, b, c = stage.backends("a", "b", "c")
    roost = stage.roost(with_admin(settings(
        [entry(a), entry(b, state="down"), entry(c, state="down")],
        rehome=QUICK, limits={"max_sessions": 4})))
    admin = Admin(roost)
    people = [Person(roost, f"p{i}") for i in range(4)]
    sockets = [p.websocket() for p in people]
    let_up(roost)
    a.kill()
    assert {ws.close_code() for ws in sockets} == {1012}
    roost.reload(changed(roost.config, "c", state="up"))
    row = admin.backend("b")
    assert (row["sessions"], row["awaited"], row["use"]) == (0, 4, "full")
    strangers = [Person(roost, f"q{i}").websocket() for i in range(4)]
    assert {ws.whoami() for ws in strangers} == {"c"}
    back = [p.websocket() for p in people]
    assert {ws.whoami() for ws in back} == {"b"}
    assert (admin.backend("b")["sessions"], admin.backend("b")["awaited"]) == (4, 0)


def test_where_nobody_is_left_the_client_is_to_come_later(stage):
    (a,) = stage.backends("a")
    gate = Gate(a)
    stage.others.append(gate)
    roost = stage.roost(settings(
        [entry(gate), {"name": "dead", "address": closed_port()}], rehome=QUICK,
        outliers={"eject": "60s", "max_eject": "60s"}))
    for i in range(20):
        Person(roost, f"n{i}").backend()
    roost.wait_log("app/dead is left alone")
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        gate.reset()
        assert ws.close_code() == 1013


# --- the kernel's help

def options(roost, peer_port):
    """SO_KEEPALIVE, TCP_USER_TIMEOUT of roost's sockets with a peer at that port."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(roost.pid)
    found = []
    for fd in os.listdir(f"/proc/{roost.pid}/fd"):
        copy = libc.syscall(438, pidfd, int(fd), 0)  # pidfd_getfd
        if copy < 0:
            if ctypes.get_errno() == 1:
                pytest.skip("no right to look into a process")
            continue
        try:
            with socket.socket(fileno=copy) as s:
                if s.family == socket.AF_INET and s.getpeername()[1] == peer_port:
                    found.append((s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                                  s.getsockopt(socket.IPPROTO_TCP, 18)))
        except OSError:
            pass
    os.close(pidfd)
    return found


@pytest.mark.parametrize("interval, keep_alive", [("0s", 1), ("20s", 0)])
def test_the_kernel_watches_both_sides_also_after_a_move(stage, interval, keep_alive):
    """Over silence only where no pings of ours break it."""
    roost, a, b = stage.proxy("a", "b", rehome=TRANSPARENT,
                              heartbeat={"interval": interval})
    with Person(roost, "p").websocket() as ws:
        first, other = (a, b) if ws.whoami() == "a" else (b, a)
        assert options(roost, first.port) == [(keep_alive, 60000)]
        assert options(roost, ws.raw.sock.getsockname()[1]) == [(1, 60000)]
        first.kill()
        wait_until(lambda: other.open().sockets == 1, "it has moved")
        assert ws.whoami() == other.name
        assert options(roost, other.port) == [(keep_alive, 60000)]


def test_the_kernel_watches_when_pings_are_turned_off(stage):
    roost, a = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        assert options(roost, a.port) == [(0, 60000)]
        config = copy.deepcopy(roost.config)
        config["upstreams"]["app"]["heartbeat"] = {"interval": "0s"}
        roost.reload(config)
        wait_until(lambda: options(roost, a.port) == [(1, 60000)], "it is watched")
        assert ws.whoami() == "a"
