# SPDX-License-Identifier: MIT
"""What roost knows of a session, as the line at its end tells it."""

import re

import pytest
from peers import frames
from peers.client import Person
from peers.roost import changed, settings
from peers.waiting import scaled, wait_until

SIDE = (r"{0} said (?P<{0}_said>\d+) saw (?P<{0}_saw>\d+), "
        r"(?P<{0}_pongs>\d+) of (?P<{0}_pings>\d+) pings answered, "
        r"rtt (?P<{0}_rtt>\d+) us mean (?P<{0}_mean>\d+) us")
END = re.compile(
    r"session ended by .*re-homed (?P<moves>\d+) times, "
    r"cause (?P<cause>\w+), " + SIDE.format("client") + ", " + SIDE.format("backend")
    + r"(, reconnects (?P<tried>\d+) tried (?P<done>\d+) done (?P<failed>\d+) failed, "
      r"available (?P<available>[\d.]+) %)?(, \d+ messages may be lost, \d+ sent again)? session=(?P<id>\w+) ", re.M)
FAST = {"interval": "150ms", "timeout": "5s"}


def end_of(roost):
    return wait_until(lambda: END.search(roost.log()), "the end line")


def test_pings_and_round_trips(stage):
    roost, a = stage.proxy("a", heartbeat=FAST)
    with Person(roost, "p").websocket() as ws:
        for _ in range(3):
            f = ws.read_frame()
            assert f.opcode == frames.PING
            ws.send_frame(frames.PONG, f.payload)
        a.wait_events("ping", 2)
        ws.ask("m")
        ws.close()
    end = end_of(roost)
    assert 3 <= int(end["client_pongs"]) <= int(end["client_pings"])
    assert int(end["backend_pongs"]) >= 2
    for side in ("client", "backend"):
        assert 0 < int(end[side + "_rtt"]) < 5e6 * scaled(1)
        assert 0 < int(end[side + "_mean"]) < 5e6 * scaled(1)
    assert end["tried"] is None


def test_idle_session_has_none(stage):
    roost, a = stage.proxy("a")
    Person(roost, "p").websocket().close(4000)
    end = end_of(roost)
    assert (end["client_pings"], end["backend_pings"]) == ("0", "0")
    assert (end["client_rtt"], end["client_mean"]) == ("0", "0")


def test_planned_move_costs_no_availability(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "transparent",
                                                "debounce": "50ms"})
    with Person(roost, "p").websocket() as ws:
        old = ws.whoami()
        roost.reload(changed(roost.config, old, state="drain"))
        wait_until(lambda: ws.whoami() != old, "it has moved")
        ws.close(4000)
    end = end_of(roost)
    assert (end["moves"], end["tried"], end["done"], end["failed"]) == ("1", "1", "1", "0")
    assert end["available"] == "100.00"


def test_lost_backend_costs_availability(stage):
    a, b = stage.backends("a", "b")
    config = settings([a, b], rehome={"mode": "transparent"})
    config["log"]["level"] = "debug"
    roost = stage.roost(config)
    with Person(roost, "p").websocket() as ws:
        old = {"a": a, "b": b}[ws.whoami()]
        other = b if old is a else a
        other.order("refuse_handshakes", status=503)
        old.order("refuse_handshakes", status=503)
        ws.send("abort")
        roost.wait_log("reconnecting, was connected")
        wait_until(lambda: other.events("handshake") or len(old.events("handshake")) > 1,
                   "a try has failed")
        other.order("refuse_handshakes", status=0)
        old.order("refuse_handshakes", status=0)
        roost.wait_log("connected, was reconnecting", 20)
        assert ws.whoami() in ("a", "b")
        ws.close(4000)
    end = end_of(roost)
    assert int(end["failed"]) >= 1
    assert int(end["done"]) == 1
    assert int(end["tried"]) == int(end["failed"]) + 1
    assert float(end["available"]) < 95
    changes = re.findall(rf"session is (\w+), was (\w+) session={end['id']} ", roost.log())
    assert changes == [("reconnecting", "connected"), ("connected", "reconnecting"),
                       ("closing", "connected"), ("closed", "closing")]


@pytest.mark.parametrize("code", [1000, 4321])
def test_codes_of_both_sides(stage, code):
    roost, a = stage.proxy("a")
    Person(roost, "p").websocket().close(code)
    end = end_of(roost)
    assert [int(end[k]) for k in ("client_said", "client_saw", "backend_said",
                                  "backend_saw")] == [code] * 4
