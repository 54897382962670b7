# SPDX-License-Identifier: MIT
"""Several sockets of one client, on several workers, and its HTTP calls: they are never
in two places, whatever happens to a backend."""

import threading

import pytest
from peers.client import Cut, Person
from peers.gate import Gate
from peers.roost import changed, entry, settings
from peers.waiting import scaled, wait_until
from test_admin_api import Admin, with_admin
from test_backend_death import Reader

FAST = {"rate": 1000, "debounce": "50ms", "backoff": "50ms", "max_backoff": "200ms",
        "drain_timeout": "20s"}
WORKERS = 4
SOCKETS = 3


class Family:
    """A client with some sockets, which goes on polling by HTTP."""

    def __init__(self, roost, name):
        self.person = Person(roost, name)
        self.sockets = [self.person.websocket() for _ in range(SOCKETS)]
        self.readers = [Reader(ws) for ws in self.sockets]
        self.polled = []
        self.wrong = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.poll, daemon=True)
        self.thread.start()

    def poll(self):
        try:
            while not self.stop.wait(0.02):
                self.polled.append(self.turn())
        except Exception as e:
            self.wrong.append(e)

    def turn(self):
        """Who answers; a number if that goes wrong."""
        try:
            r = self.person.get()
        except Cut:
            return 0
        return r.backend if r.status == 200 else r.status

    def end(self):
        self.stop.set()
        self.thread.join(scaled(20))
        assert not self.thread.is_alive()
        assert not self.wrong, self.wrong

    def turns(self):
        """Backends that HTTP was at, without repetitions."""
        return [b for i, b in enumerate(self.polled)
                if i == 0 or b != self.polled[i - 1]]


def scene(stage, n, **rehome):
    a, b = stage.backends("a", "b")
    config = settings([entry(a), entry(b, state="down")], rehome={**FAST, **rehome})
    roost = stage.roost({**with_admin(config), "workers": WORKERS})
    families = [Family(roost, f"p{i}") for i in range(n)]
    assert {r.whoami() for f in families for r in f.readers} == {"a"}
    workers = {s["worker"] for s in Admin(roost).get("/v1/sessions")["sessions"]}
    assert len(workers) > 1, "they are on several workers"
    config = changed(roost.config, "b", state="up")
    roost.reload(config)
    return roost, a, b, families


def drain(roost, a):
    roost.reload(changed(roost.config, "a", state="drain"))


def kill(roost, a):
    a.kill()


@pytest.mark.parametrize("end", [drain, kill])
def test_sockets_and_http_end_in_the_same_place(stage, end):
    roost, a, b, families = scene(stage, 6, mode="transparent")
    end(roost, a)
    wait_until(lambda: b.open().sockets == 6 * SOCKETS, "all are at b", 20)
    for f in families:
        assert {r.whoami() for r in f.readers} == {"b"}
        n = len(f.polled)
        wait_until(lambda: len(f.polled) > n + 1, "a poll")
        f.end()
        # one change, and never back; a kill may cost an exchange that was under way
        assert [t for t in f.turns() if isinstance(t, str)] == ["a", "b"], f.turns()
        assert sum(isinstance(t, int) for t in f.turns()) <= (end is kill)


@pytest.mark.parametrize("end", [drain, kill])
def test_clients_that_reconnect_come_back_to_one_place(stage, end):
    roost, a, b, families = scene(stage, 6)
    end(roost, a)
    for f in families:
        assert {r.end() for r in f.readers} == {1012}
        again = [f.person.websocket() for _ in range(SOCKETS)]
        assert {ws.whoami() for ws in again} == {"b"}
        assert f.person.backend() == "b"
        n = len(f.polled)
        wait_until(lambda: len(f.polled) > n + 1, "a poll")
        f.end()
        assert [t for t in f.turns() if isinstance(t, str)] == ["a", "b"], f.turns()
        assert sum(isinstance(t, int) for t in f.turns()) <= (end is kill)


@pytest.mark.parametrize("mode", ["transparent", "reconnect"])
def test_one_lost_socket_takes_the_others_along(stage, mode):
    """Its backend lives, but the client's pin has moved."""
    a, b = stage.backends("a", "b")
    gate = Gate(a)
    stage.others.append(gate)
    config = settings([entry(gate), entry(b, state="down")],
                      rehome={**FAST, "mode": mode})
    roost = stage.roost({**with_admin(config), "workers": WORKERS})
    p = Person(roost, "p")
    readers = [Reader(p.websocket()) for _ in range(SOCKETS)]
    assert {r.whoami() for r in readers} == {"a"}
    roost.reload(changed(roost.config, "b", state="up"))
    del gate.pairs[1:]
    gate.reset()
    if mode == "transparent":
        wait_until(lambda: b.open().sockets == SOCKETS, "all are at b")
        assert {r.whoami() for r in readers} == {"b"}
    else:
        assert {r.end() for r in readers} == {1012}
        assert {p.websocket().whoami() for _ in range(SOCKETS)} == {"b"}
    assert p.backend() == "b"


def test_one_socket_that_is_not_taken_leads_the_others_on(stage):
    """b takes two of them and refuses the third: all end at c, HTTP with them."""
    a, b, c = stage.backends("a", "b", "c")
    roost = stage.roost({**with_admin(settings(
        [entry(a), entry(b, state="down"), entry(c, state="down")],
        rehome={**FAST, "mode": "transparent", "tries": 100})), "workers": WORKERS})
    p = Person(roost, "p")
    readers = [Reader(p.websocket(path)) for path in ("/ws", "/ws", "/special")]
    assert {r.whoami() for r in readers} == {"a"}
    b.order("refuse_target", target="/special")
    roost.reload(changed(roost.config, "b", state="up"))
    a.kill()
    wait_until(lambda: b.open().sockets == 2, "two are at b")
    roost.reload(changed(roost.config, "c", state="up"))
    wait_until(lambda: c.open().sockets == 3, "all are at c", 20)
    assert {r.whoami() for r in readers} == {"c"}
    assert p.backend() == "c"
