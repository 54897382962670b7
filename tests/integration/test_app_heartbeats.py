# SPDX-License-Identifier: MIT
"""Heartbeats that applications send as messages are answered by roost, where the route
says so, and only those."""

import json
import time

import pytest
from peers import frames
from peers.client import Person
from peers.roost import settings

PING = json.dumps({"type": "ping"})
BEATS = [
    {"value": "ping", "answer": '{"type":"pong"}'},
    {"value": "heartbeat", "answer": '{"type":"heartbeat_ack","time":"{time_ms}"}'},
    {"field": "op", "value": "both", "answer": '{"op":"seen"}', "forward": True},
]


@pytest.fixture
def proxy(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["routes"] = [
        {"path": "/", "upstream": "app"},
        {"path": "/beats", "upstream": "app", "app_heartbeats": BEATS},
    ]
    return stage.roost(config), a


def received(ws, a):
    """How many messages the backend got of it."""
    ws.close(4000)
    return a.wait_events("ws_close", code=4000)[-1].received


def test_answered_and_not_passed_on(proxy):
    roost, a = proxy
    ws = Person(roost, "p").websocket("/beats")
    for _ in range(5):
        assert json.loads(ws.ask(PING)) == {"type": "pong"}
    assert ws.ask("hello") == "hello"
    assert received(ws, a) == 1


def test_answer_tells_the_time(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket("/beats") as ws:
        begun = time.time() * 1000
        answer = json.loads(ws.ask('{"n": [1, 2], "type": "heartbeat"}'))
        assert answer["type"] == "heartbeat_ack"
        assert begun - 1000 < answer["time"] < time.time() * 1000 + 1000


def test_forwarded_as_well(proxy):
    roost, a = proxy
    ws = Person(roost, "p").websocket("/beats")
    message = '{"op":"both"}'
    ws.send(message)
    assert sorted([ws.read(), ws.read()]) == sorted([message, '{"op":"seen"}'])
    assert received(ws, a) == 1


OTHERS = [
    "pinging", '"ping"', '{"type":"pingpong"}', '{"type":["ping"]}', '{"op":"ping"}',
    '{"a":{"type":"ping"}}', '{"type":"ping"', "[" * 900 + "ping", "{}", "",
    '{"type":"ping","pad":"%s"}' % ("x" * 1100),
]


def test_everything_else_is_passed_on(proxy):
    roost, a = proxy
    ws = Person(roost, "p").websocket("/beats")
    for other in OTHERS:
        assert ws.ask(other) == other
    assert ws.ask(PING.encode()) == PING.encode()  # a binary message
    ws.send_frame(frames.TEXT, PING[:5].encode(), fin=False)
    ws.send_frame(frames.CONTINUATION, PING[5:].encode())
    assert ws.read() == PING
    assert received(ws, a) == len(OTHERS) + 2


def test_other_routes_pass_everything_on(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket("/ws") as ws:
        assert ws.ask(PING) == PING


def test_piece_by_piece_and_many_in_one_write(proxy):
    roost, a = proxy
    ws = Person(roost, "p").websocket("/beats")
    frame = frames.encode(frames.TEXT, PING.encode(), masked=True)
    hello = frames.encode(frames.TEXT, b"hello", masked=True)
    for i in range(len(frame)):
        ws.raw.send(frame[i : i + 1])
    assert json.loads(ws.read()) == {"type": "pong"}
    ws.raw.send((hello + frame) * 20)
    got = [ws.read() for _ in range(40)]
    assert got.count("hello") == 20 and got.count('{"type":"pong"}') == 20
    assert received(ws, a) == 20


def test_no_answer_lands_inside_a_message(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket("/beats") as ws:
        ws.send("fragments 40 1000")
        f = ws.read_frame()
        assert (f.opcode, f.fin) == (frames.TEXT, False)
        ws.send(PING)
        n = 1
        while not (f := ws.read_frame()).fin:
            assert f.opcode == frames.CONTINUATION
            n += 1
        assert (f.opcode, n + 1) == (frames.CONTINUATION, 40)
        assert json.loads(ws.read()) == {"type": "pong"}


def test_session_outlives_the_route_that_named_them(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket("/beats") as ws:
        config = dict(roost.config)
        config["routes"] = [{"path": "/", "upstream": "app"}]
        roost.reload(config)
        assert ws.ask("m") == "m"
        assert json.loads(ws.ask(PING)) == {"type": "pong"}
    with Person(roost, "p").websocket("/beats") as ws:
        assert ws.ask(PING) == PING


def test_moved_sessions_go_on_being_answered(stage):
    a, b = stage.backends("a", "b")
    config = settings([a, b], rehome={"mode": "transparent", "debounce": "50ms"})
    config["routes"][0]["app_heartbeats"] = BEATS
    roost = stage.roost(config)
    from peers.roost import changed
    from peers.waiting import wait_until
    with Person(roost, "p").websocket() as ws:
        old = ws.whoami()
        roost.reload(changed(config, old, state="drain"))

        def moved():
            assert json.loads(ws.ask(PING)) == {"type": "pong"}
            return ws.whoami() != old

        wait_until(moved, "it has moved")
        assert json.loads(ws.ask(PING)) == {"type": "pong"}
