# SPDX-License-Identifier: MIT
"""The peers themselves, without a proxy between: what they cannot do directly, a test
through roost cannot show either."""

import pytest
from peers import frames
from peers.client import Cut, Person, RawClient
from peers.waiting import wait_until
from peers.websocket import Closed, Refused, Swarm, WsClient
from peers.yaml_text import to_yaml


@pytest.fixture
def app(stage):
    return stage.backends("one")[0]


def at(backend):
    return "127.0.0.1", backend.port


def test_http_tells_what_was_asked(app):
    with RawClient(at(app)) as c:
        r = c.request("PUT", "/a?b=c", {"X-A": "1"}, b"body")
        told = r.json()
        assert told["backend"] == r.backend == "one"
        assert (told["method"], told["path"], told["body_length"]) == ("PUT", "/a?b=c", 4)
        assert c.get("/bytes/100000").body[:3] == b"\0\1\2"
        assert len(c.get("/bytes/100000?chunked").body) == 100000
        assert c.get("/trailers").trailers == [("X-Sum", "532"), ("X-More", "yes")]
        assert c.get("/early").interim[0].status == 103
        assert c.request("HEAD", "/bytes/5").header("Content-Length") == "5"
        assert c.request("POST", "/echo", body=b"abc").body == b"abc"


def test_a_body_that_dies_is_noticed(app):
    with RawClient(at(app)) as c, pytest.raises(Cut):
        c.get("/die/10")


def test_websocket_frames_of_all_lengths(app):
    with WsClient(at(app)) as ws:
        assert ws.whoami() == "one"
        for n in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            assert ws.ask(b"x" * n) == b"x" * n
        ws.send_frame(frames.TEXT, b"a", fin=False)
        ws.send_frame(frames.PING, b"p")
        ws.send_frame(frames.CONTINUATION, b"b")
        assert ws.read_frame().opcode == frames.PONG
        assert ws.read() == "ab"
        ws.send("fragments 3 4")
        assert ws.read() == "f" * 12
        assert ws.close(4321, "bye") == 4321
    (end,) = app.wait_events("ws_close")
    assert (end.how, end.code, end.reason) == ("close", 4321, "bye")


def test_websocket_ends_in_every_way(app):
    for order, code in (("close 3000 x", 3000), ("close", None), ("abort", 1006)):
        with WsClient(at(app)) as ws:
            ws.send(order)
            assert ws.close_code() == code
    with pytest.raises(Refused) as refused:
        WsClient(at(app), "/ws?refuse=401")
    assert refused.value.response.status == 401


def test_killed_app_server_is_noticed_and_comes_back(app):
    ws = Person(at(app), "c").websocket()
    app.kill()
    with pytest.raises(Closed) as e:
        ws.read()
    assert e.value.code == 1006
    app.start().ready()
    assert Person(at(app)).backend() == "one"


def test_swarm_counts_exactly(app):
    with Swarm(at(app), 20, interval=0.02, size=300, fragments=3) as swarm:
        swarm.wait_progress()
        swarm.finish()
        swarm.check_exact()
    assert len(app.events("handshake")) == 20


def test_swarm_notices_a_close(app):
    with Swarm(at(app), 5, interval=0.02) as swarm:
        app.order("close_all", code=1012)
        wait_until(lambda: len(swarm.closed) == 5, "all have noticed")
        swarm.finish()
        assert [m.closed for m in swarm.members] == [(1012, "")] * 5


def test_yaml_has_a_line_for_each_key():
    assert to_yaml({"a": 1, "l": [{"x": "a:b", "y": 0}, "s"]}) == (
        'a: 1\nl:\n  - x: "a:b"\n    y: 0\n  - s\n'
    )
