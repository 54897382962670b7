# SPDX-License-Identifier: MIT
"""Active health checks, of backends that fail in every way."""

import base64
import hashlib
import re
import socket
import threading

import pytest
from peers.backend import answering, closed_port
from peers.client import Person
from peers.roost import changed, entry, settings
from peers.waiting import SANITIZED, holds_for, wait_until

# who is well has to answer in time also on a busy machine
FAST = {"interval": "50ms", "timeout": "1500ms" if SANITIZED else "500ms",
        "rise": 2, "fall": 2}


def http(path="/up", **keys):
    return {"http": path, **FAST, **keys}


class Moody:
    """A backend that answers everybody with 200, and its checks as it feels."""

    def __init__(self, stage, name="moody"):
        self.mood = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall fine"
        self.backend = stage.scripted(self.script, name)

    def script(self, sock, head):
        if not head.startswith(b"GET /up"):
            sock.sendall(b"HTTP/1.1 200 OK\r\nX-Backend: moody\r\n"
                         b"Content-Length: 0\r\n\r\n")
            return True
        mood = self.mood
        if callable(mood):
            return mood(sock)
        sock.sendall(mood)
        return False

    def checks(self):
        return [h for h in self.backend.heads if h.startswith(b"GET /up")]


def say_nothing(sock):
    sock.settimeout(30)
    sock.recv(1)
    return False


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return False


def drip(sock):
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
        sock.sendall(bytes([byte]))
        if threading.Event().wait(0.01):
            break
    return False


MOODS = {
    "status 503": b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n",
    "malformed response": b"SSH-2.0-OpenSSH\r\n",
    "closed without an answer": b"",
    "body lacks the text": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
    "timeout, no whole answer": say_nothing,
    "connection reset": reset,
    "timeout, no whole answer (drip)": drip,
}


@pytest.mark.parametrize("why", MOODS)
def test_every_way_to_fail_is_seen_and_so_is_recovery(stage, why):
    (a,) = stage.backends("a")
    moody = Moody(stage)
    config = settings([entry(moody.backend)], health=http(body="all fine"))
    roost = stage.roost(config)
    well = moody.mood
    wait_until(lambda: len(moody.checks()) >= 3, "it is checked")
    assert not roost.logged("unhealthy")
    moody.mood = MOODS[why]
    said = re.escape(why.split(" (")[0])
    roost.wait_log(rf"backend app/moody is unhealthy \({said}\)")
    before = len(moody.checks())
    wait_until(lambda: len(moody.checks()) >= before + 3, "it is checked further")
    assert len(roost.logged("moody is unhealthy")) == 1
    moody.mood = well
    roost.wait_log("backend app/moody is healthy again")


def test_refused_connections_are_seen(stage):
    a, b = stage.backends("a", "b")
    roost = stage.roost(settings([a, b], health=http("/")))
    b.kill()
    roost.wait_log(r"backend app/b is unhealthy \(Connection refused\)")
    assert {Person(roost, f"p{i}").backend() for i in range(10)} == {"a"}
    b.start().ready()
    roost.wait_log("backend app/b is healthy again")
    wait_until(lambda: "b" in {Person(roost, f"q{i}").backend() for i in range(10)},
               "b gets work again")


def test_unhealthy_backend_gets_nothing(stage):
    moody = Moody(stage)
    (a,) = stage.backends("a")
    roost = stage.roost(settings([entry(moody.backend), entry(a)], balance="round-robin",
                                 health=http("/up", status="200,404")))
    moody.mood = MOODS["status 503"]
    roost.wait_log("moody is unhealthy")
    assert {Person(roost, f"p{i}").backend() for i in range(8)} == {"a"}


def test_sockets_leave_an_unhealthy_backend(stage):
    """It goes on serving its sockets, and only its checks fail."""
    roost, a, b = stage.proxy("a", "b", health=http("/"),
                              rehome={"mode": "transparent", "debounce": "50ms"})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(8)]
    assert {ws.whoami() for ws in sockets} == {"a", "b"}
    b.order("refuse")
    roost.wait_log("backend app/b is unhealthy")
    wait_until(lambda: {ws.whoami() for ws in sockets} == {"a"}, "all have moved")
    b.order("listen")
    roost.wait_log("backend app/b is healthy again")
    for ws in sockets:
        ws.close()


def test_start_is_not_delayed_and_fall_counts_from_the_first(stage):
    (a,) = stage.backends("a")
    dead = {"name": "dead", "address": closed_port()}
    config = settings([dead, entry(a)], balance="round-robin",
                      health={"tcp": True, "interval": "60ms", "fall": 3})
    roost = stage.roost(config)
    assert Person(roost, "p").backend() == "a"
    roost.wait_log(r"backend app/dead is unhealthy \(Connection refused\)")
    assert not roost.logged("app/a is unhealthy")


def test_all_unhealthy_is_panic_said_once(stage):
    moody = Moody(stage)
    moody.mood = MOODS["status 503"]
    roost = stage.roost(settings([moody.backend], health=http()))
    roost.wait_log("upstream app: all of its backends are out")
    for i in range(5):
        assert Person(roost, f"p{i}").get().status == 200
    holds_for(lambda: len(roost.logged("are out")) == 1, "said once", 0.5)
    moody.mood = b"HTTP/1.1 204 No\r\n\r\n"
    roost.wait_log("upstream app: 1 of its backends are well again")


def test_what_is_sent_is_what_is_configured(stage):
    moody = Moody(stage)
    stage.roost(settings([moody.backend], health=http(
        "/up?deep=1", host="app.example", headers={"X-Probe": "yes"}, status="200")))
    head = wait_until(lambda: moody.checks(), "a check")[0]
    assert head.startswith(b"GET /up?deep=1 HTTP/1.1\r\nHost: app.example\r\n")
    assert b"\r\nX-Probe: yes\r\n" in head


def accept_of(head):
    key = re.search(rb"Sec-WebSocket-Key: (.*)\r", head).group(1)
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest)


def test_websocket_is_opened_and_closed_in_order(stage):
    goodbyes, refuse = [], []

    def script(sock, head):
        if refuse:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return False
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                     + accept_of(head) + b"\r\n\r\n")
        goodbyes.append(sock.recv(100))
        return False

    roost = stage.roost(settings([stage.scripted(script, "ws")],
                                 health={"websocket": "/ws", **FAST}))
    wait_until(lambda: len(goodbyes) >= 3, "three checks")
    assert set(goodbyes) == {b"\x88\x82\0\0\0\0\x03\xe8"}
    refuse.append(True)
    roost.wait_log(r"ws is unhealthy \(status 200 instead of 101\)")


def test_real_backend_is_checked_by_websocket(stage):
    roost, a = stage.proxy("a", health={"websocket": "/ws", **FAST})
    holds_for(lambda: not roost.logged("unhealthy"), "healthy", 0.5)
    a.order("refuse_handshakes", status=503)
    roost.wait_log(r"a is unhealthy \(status 503 instead of 101\)")
    a.order("refuse_handshakes", status=0)
    roost.wait_log("a is healthy again")


def test_hanging_backend_delays_nobody(stage):
    """It accepts and says nothing; the kernel accepts for another that does not."""
    (a,) = stage.backends("a")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as deaf:
        hang = {"name": "hang", "address": "127.0.0.1:%d" % deaf.getsockname()[1]}
        roost = stage.roost(settings([hang, entry(a)], health=http("/")))
        roost.wait_log(r"hang is unhealthy \(timeout, no whole answer\)")
        assert {Person(roost, f"p{i}").backend() for i in range(6)} == {"a"}


def test_unix_socket_is_checked(stage, tmp_path):
    path = str(tmp_path / "app.sock")
    answer = b"HTTP/1.1 %s OK\r\nContent-Length: 0\r\n\r\n"
    server = stage.scripted(answering(answer % b"200", close=True), path=path)
    roost = stage.roost(settings([{"name": "u", "address": server.address}],
                                 health=http("/up")))
    wait_until(lambda: len(server.heads) >= 3, "checks")
    assert b"\r\nHost: localhost\r\n" in server.heads[0]
    assert not roost.logged("unhealthy")
    server.script = answering(answer % b"500", close=True)
    roost.wait_log(r"app/u is unhealthy \(status 500\)")


def test_backend_that_wants_a_proxy_header_gets_one(stage):
    good = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", close=True)
    server = stage.scripted(good)
    roost = stage.roost(settings([{"name": "p", "address": server.address}],
                                 proxy_protocol="v1", health=http("/up")))
    wait_until(lambda: len(server.heads) >= 3, "checks")
    assert server.heads[0].startswith(b"PROXY UNKNOWN\r\nGET /up HTTP/1.1\r\n")
    assert not roost.logged("unhealthy")


def test_reload_keeps_the_verdict_and_drops_it_with_the_section(stage):
    moody = Moody(stage)
    moody.mood = MOODS["status 503"]
    (a,) = stage.backends("a")
    config = settings([entry(moody.backend), entry(a)], health=http("/up", fall=2),
                      balance="round-robin")
    config["upstreams"]["app"]["health"]["status"] = "200-499"  # a has no /up
    roost = stage.roost(config)
    roost.wait_log("moody is unhealthy")
    before = len(moody.checks())
    roost.reload(changed(config, "a", weight=2))
    wait_until(lambda: len(moody.checks()) >= before + 3, "checks go on")
    assert not roost.logged("unhealthy|healthy again")
    del config["upstreams"]["app"]["health"]
    roost.reload(config)
    before = len(moody.checks())
    holds_for(lambda: len(moody.checks()) <= before + 1, "no checks", 0.5)
    people = [Person(roost, f"p{i}").get() for i in range(12)]
    assert "moody" in {r.header("X-Backend") for r in people}


def test_reload_every_moment_does_not_stop_the_checks(stage):
    moody = Moody(stage)
    config = settings([moody.backend], health=http(interval="300ms"))
    roost = stage.roost(config)
    moody.mood = MOODS["status 503"]
    wait_until(lambda: roost.reload(config) or "moody is unhealthy" in roost.log(),
               "it is found out")


def test_backend_set_down_is_not_asked(stage):
    moody = Moody(stage)
    config = changed(settings([moody.backend], health=http()), "moody", state="down")
    stage.roost(config)
    holds_for(lambda: not moody.checks(), "no checks", 0.5)


def test_checks_leave_no_descriptors(stage):
    moody = Moody(stage)
    roost = stage.roost(settings([moody.backend], health=http(interval="10ms")))
    wait_until(lambda: len(moody.checks()) >= 10, "checks")
    before = roost.descriptors()
    for mood in MOODS.values():
        if mood is say_nothing or mood is drip:
            continue
        moody.mood = mood
        n = len(moody.checks())
        wait_until(lambda n=n: len(moody.checks()) >= n + 10, "more checks")
    wait_until(lambda: roost.descriptors() <= before + 1, "none is left")
