# SPDX-License-Identifier: MIT
"""A thousand busy WebSockets while their backends are replaced, added, taken away and
killed: nobody is closed, and every message arrives once and in order, whole or in
fragments, plain or compressed, with pings between.
"""

import signal

import pytest
from peers import node
from peers.client import RawClient
from peers.roost import changed, entry, settings
from peers.waiting import SANITIZED, let_pass, scaled, wait_until
from rolling.scene import App, Crowd

# they need the machine: not several of them at once
pytestmark = [pytest.mark.xdist_group("crowd"),
              pytest.mark.skipif(bool(node.missing()), reason=str(node.missing()))]
pytest.importorskip("websockets")

LIGHT = 450 if SANITIZED else 950  # and 50 real ones
RATE = 500
# a backend that is starved of CPU may take seconds to answer a Close
REHOME = {"mode": "transparent", "rate": RATE, "debounce": "50ms",
          "drain_timeout": "30s", "min_stay": "1s"}


@pytest.fixture(autouse=True)
def more_time(time_limit):
    """Each step has a deadline of its own."""
    signal.setitimer(signal.ITIMER_REAL, scaled(150))


class Scene:
    """Backends a, b, c, a roost in front of them, a crowd in front of that."""

    def __init__(self, stage, states=None, **upstream):
        self.apps = {n: App(n).start() for n in "abc"}
        stage.others += self.apps.values()
        states = states or {}
        rows = [entry(a.ready(), state=states.get(a.name, "up"))
                for a in self.apps.values()]
        upstream.setdefault("rehome", REHOME)
        upstream.setdefault("pin", {"websocket": "1s"})
        config = settings(rows, **upstream)
        config["admin"] = {"bind": "127.0.0.1:0"}
        self.roost = stage.roost(config)
        self.stage = stage

    def crowd(self, **how):
        crowd = Crowd(self.roost, **{"light": LIGHT, **how})
        self.stage.others.append(crowd)
        return crowd.ready()

    def set(self, name, **keys):
        self.roost.reload(changed(self.roost.config, name, **keys))

    def api(self, target, method="GET", body=b""):
        with RawClient(self.roost.addresses[-1]) as c:
            c.send(c.request_bytes(method, target, [("Content-Length", str(len(body)))])
                   + body)
            r = c.response()
            assert r.status == 200, r.body
            return r.json()

    def counts(self, key="sessions"):
        (up,) = self.api("/v1/upstreams")["upstreams"]
        return {b["name"]: b[key] for b in up["backends"]}

    def counter(self, name):
        return self.api("/v1/status")["counters"][name]

    def wait_empty(self, name):
        """As the manual tells people: then it may be stopped."""
        wait_until(lambda: not any(self.counts(key)[name]
                                   for key in ("sockets", "exchanges")),
                   f"{name} is empty", 20)


def exact(scene, crowd):
    """Nobody closed, and everything once and in order. Returns the totals."""
    told = crowd.finish(scene.apps.values())
    print(told.summary())
    for client in list({c for c, *_ in told.lost})[:3]:
        print(client, [lost for lost in told.lost if lost[0] == client][:10],
              scene.api(f"/v1/sessions?upstream=app&client=header:{client}"))
    assert told.closed == 0, told.codes
    ordered(told)
    assert told.missing == 0
    apps = scene.apps.values()
    assert told.push_errors == 0 and told.pushes_missing(apps) == 0, told.first_error
    assert told.pings == told.pongs
    return told


def ordered(told):
    assert told.refused == 0, told.first_error
    assert (told.doubled, told.reordered, told.damaged) == (0, 0, 0), told.first_error


def roll(scene, moved):
    """One by one: drained, empty, ended, replaced, back in service."""
    for name, app in scene.apps.items():
        scene.set(name, state="drain")
        scene.wait_empty(name)
        check_rate(scene.roost, moved)
        app.replace()
        scene.set(name, state="up")


def logged_at(roost, pattern):
    """Seconds of the day of these lines since the last reload began."""
    day = [(*map(int, clock.split(":")), int(ms)) for clock, ms in
           roost.logged(rf"T(\S+)\.(\d+)Z .*{pattern}")]
    return sorted(h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in day)


def check_rate(roost, moved):
    """At no time had more sessions moved since the reload than the rate allows. Whoever
    is starved of CPU only makes them later, though many at once then."""
    begun = logged_at(roost, "configuration reloaded")[0]
    times = logged_at(roost, moved)
    assert len(times) > RATE / 5
    for n, t in enumerate(times):
        assert n <= RATE * 1.4 * (t - begun) + RATE / 10, (n, t - begun)


def test_rolling_deploy(stage):
    scene = Scene(stage)
    crowd = scene.crowd()
    roll(scene, r"re-homed from .* \(backend leaving\)")
    crowd.goes_on()
    told = exact(scene, crowd)
    assert told.moves >= crowd.size
    assert scene.counter("session_reconnects") == 0, "all left in good order"


def test_scale_up_and_down(stage):
    """1 -> 3 -> 1: evens out at the configured rate and no further."""
    scene = Scene(stage, {"b": "down", "c": "down"})
    crowd = scene.crowd()
    config = changed(scene.roost.config, "b", state="up")
    scene.roost.reload(changed(config, "c", state="up"))
    fair = crowd.size / 3
    wait_until(lambda: max(scene.counts("sockets").values()) <= fair * 1.2 + 1,
               "evened out", 20)
    check_rate(scene.roost, r"re-homed from .* \(balance\)")

    def stays_still():
        before = scene.counter("rehomes_started")
        let_pass(1.5)  # two more looks of the planner
        return scene.counter("rehomes_started") == before

    wait_until(stays_still, "what is even stays still", 20)
    assert scene.counter("rehomes_started") <= 2 * fair + 1, "no more than had to"
    config = changed(scene.roost.config, "b", state="drain")
    scene.roost.reload(changed(config, "c", state="drain"))
    scene.wait_empty("b")
    scene.wait_empty("c")
    check_rate(scene.roost, r"re-homed from .* \(backend leaving\)")
    crowd.goes_on()
    told = exact(scene, crowd)
    assert set(told.on.values()) == {"a"}


def test_reload_every_second(stage):
    """Weights and states change, or nothing does."""
    scene = Scene(stage, pin={"websocket": "200ms"})
    crowd = scene.crowd()
    calm = scene.roost.config
    lighter = changed(calm, "c", weight=2)
    for config in (lighter, changed(lighter, "a", state="drain"), lighter, lighter,
                   changed(calm, "b", state="drain"), calm, calm):
        scene.roost.reload(config)
        crowd.goes_on(4)  # about a second
    told = exact(scene, crowd)
    assert told.moves >= crowd.size / 2


def test_kill(stage):
    """What was under way at the dead one is lost and counted, and nothing else."""
    scene = Scene(stage)
    crowd = scene.crowd()
    for app in scene.apps.values():
        app.peer.ask("hush")  # what is said unasked cannot be told from an answer
    crowd.goes_on()
    scene.apps["a"].kill()
    wait_until(lambda: scene.counts("sockets")["a"] == 0, "all are elsewhere", 20)
    crowd.goes_on()
    told = crowd.finish(scene.apps.values(), lossy=True)
    print(told.summary())
    assert told.closed == 0, told.codes
    ordered(told)
    assert told.missing <= scene.counter("messages_maybe_lost")
    assert told.pushes_missing([scene.apps[n] for n in "bc"]) == 0


def test_rolling_deploy_of_clients_that_reconnect(stage):
    """Closes come at the configured rate, and each client returns to its pin."""
    scene = Scene(stage, rehome={**REHOME, "mode": "reconnect"})
    crowd = scene.crowd(light=LIGHT + 50, npm=0, python=0, come_back=True)
    roll(scene, "session ended .*: code 1012,")
    wait_until(lambda: crowd.tell().open == crowd.size, "all are back", 20)
    crowd.goes_on()
    told = crowd.finish(scene.apps.values())
    print(told.summary(), told.codes)
    ordered(told)
    assert told.missing == 0
    assert set(told.codes) == {1012}
    assert told.closed >= crowd.size
    for client in [c for c, backend in told.on.items() if backend][::20]:
        pin = scene.api(f"/v1/pins/app/header:{client}")
        assert pin["backend"]["name"] == told.on[client]
