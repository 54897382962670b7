# SPDX-License-Identifier: MIT
"""Passive health: backends that traffic meets trouble with."""

import threading

from peers.backend import closed_port
from peers.client import Person
from peers.roost import entry, settings
from peers.waiting import holds_for, wait_until


class Moody:
    """Answers with this status, after this time; kept connections."""

    def __init__(self, stage, name="moody", status=200, seconds=0):
        self.status, self.seconds = status, seconds
        self.backend = stage.scripted(self.script, name)

    def script(self, sock, head):
        if self.status is None:
            return False
        if self.seconds:
            threading.Event().wait(self.seconds)
        sock.sendall(b"HTTP/1.1 %d Mood\r\nX-Backend: moody\r\n"
                     b"Content-Length: 0\r\n\r\n" % self.status)
        return True

    @property
    def asked(self):
        return len(self.backend.heads)


def ask(roost, n, start=0):
    return [Person(roost, f"p{start + i}").get().status for i in range(n)]


def test_off_by_default(stage):
    moody = Moody(stage, status=503)
    (a,) = stage.backends("a")
    roost = stage.roost(settings([entry(moody.backend), entry(a)], retries=0,
                                 balance="round-robin"))
    assert 5 <= ask(roost, 20).count(503) <= 15
    assert not roost.logged("gets nothing new")


def test_bad_answers_in_a_row_eject_and_time_brings_back(stage):
    moody = Moody(stage, status=503)
    (a,) = stage.backends("a")
    roost = stage.roost(settings(
        [entry(moody.backend), entry(a)], retries=0, balance="round-robin",
        outliers={"errors": 3, "eject": "1s", "max_eject": "1s"}))
    people = iter(range(100000))
    bad = 0
    while not roost.logged("gets nothing new"):
        bad += ask(roost, 1, next(people)) == [503]
    assert bad == 3
    roost.wait_log(r"backend app/moody gets nothing new for \d\.\d s \(bad answers\)")
    moody.status = 200
    asked = moody.asked
    wait_until(lambda: ask(roost, 1, next(people)) and moody.asked > asked, "it is back")


def test_own_answers_for_a_backend_count_too(stage):
    moody = Moody(stage, status=None)  # closes without an answer
    (a,) = stage.backends("a")
    roost = stage.roost(settings(
        [entry(moody.backend), entry(a)], retries=0, balance="round-robin",
        outliers={"errors": 3, "eject": "10s"}))
    assert ask(roost, 30).count(502) == 3
    roost.wait_log("moody gets nothing new")


def test_good_answers_in_between_begin_a_new_row(stage):
    moody = Moody(stage)
    spare = {"name": "spare", "address": closed_port(), "weight": 0}
    roost = stage.roost(settings([entry(moody.backend), spare],
                                 outliers={"errors": 3, "max_ejected": "100%"}))
    for i in range(12):
        moody.status = 503 if i % 3 else 200
        Person(roost, f"p{i}").get()
    assert not roost.logged("moody gets nothing new")


def test_last_one_stays(stage):
    moody = Moody(stage, status=500)
    roost = stage.roost(settings([moody.backend], outliers={"errors": 1}))
    assert ask(roost, 5) == [500] * 5
    assert not roost.logged("gets nothing new")


def test_only_half_of_them(stage):
    moodies = [Moody(stage, f"m{i}", status=500) for i in range(4)]
    roost = stage.roost(settings(
        [m.backend for m in moodies], retries=0, balance="round-robin",
        outliers={"errors": 1, "eject": "20s"}))
    ask(roost, 40)
    wait_until(lambda: len(roost.logged("gets nothing new")) >= 2, "two are out")
    ask(roost, 10, 40)
    assert len(roost.logged("gets nothing new")) == 2


def test_slow_answers_eject(stage):
    moody = Moody(stage, seconds=0.7)
    (a,) = stage.backends("a")
    roost = stage.roost(settings(
        [entry(moody.backend), entry(a)], balance="round-robin",
        outliers={"latency": "500ms", "slow": 2, "eject": "20s"}))
    ask(roost, 10)
    roost.wait_log(r"moody gets nothing new for .* \(slow answers\)")
    assert moody.asked == 2


def test_ejected_backend_keeps_its_sockets_and_their_clients(stage):
    """Bad answers are no reason to move a living socket; and its client's calls stay
    with it."""
    roost, a, b = stage.proxy(
        "a", "b", retries=0, rehome={"mode": "reconnect", "debounce": "20ms",
                                     "threshold": "1000%"},
        outliers={"closes": 2, "eject": "20s"})
    people = [Person(roost, f"p{i}") for i in range(8)]
    sockets = [p.websocket() for p in people]
    homes = [ws.whoami() for ws in sockets]
    doomed = [i for i, home in enumerate(homes) if home == "b"]
    for i in doomed[:2]:
        sockets[i].send("close 1011")
        assert sockets[i].close_code() == 1011
        sockets[i].send_close(1011)
    roost.wait_log(r"b gets nothing new for .* \(sessions ended abnormally\)")
    keeper = doomed[2]
    holds_for(lambda: sockets[keeper].whoami() == "b", "it stays", 0.5)
    assert people[keeper].backend() == "b"
    assert {Person(roost, f"q{i}").backend() for i in range(6)} == {"a"}
    for ws in sockets:
        ws.__exit__(None, None, None)


def test_refused_connections_as_many_as_configured(stage):
    (a,) = stage.backends("a")
    nobody = {"name": "nobody", "address": closed_port()}
    roost = stage.roost(settings([nobody, entry(a)], balance="round-robin",
                                 outliers={"connect_errors": 4, "eject": "20s"}))
    assert ask(roost, 30) == [200] * 30
    assert len(roost.logged("nobody")) == 1


def test_all_refusing_is_panic_said_once(stage):
    config = settings([{"name": "x", "address": closed_port()}])
    roost = stage.roost(config)
    assert ask(roost, 1) != [200]
    roost.wait_log("upstream app: all of its backends are out")
    ask(roost, 5)
    holds_for(lambda: len(roost.logged("are out")) == 1, "said once", 1.5)
