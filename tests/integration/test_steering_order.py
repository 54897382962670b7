# SPDX-License-Identifier: MIT
"""Which backend a client gets, first that applies: its WebSocket lock, its open
session, its HTTP lock, the policy.

Each test binds a client while only "a" is there and then brings up "b", which is empty
and which the policy therefore prefers: whoever still gets "a" is steered.
"""

import pytest
from peers.client import Person, RawClient
from peers.roost import changed, entry, settings
from peers.waiting import let_pass, scaled


class Scene:
    """Backends a and b, b down at first, and three other clients' sockets on a."""

    def __init__(self, stage, websocket="5m", http="15s"):
        self.a, self.b = stage.backends("a", "b")
        config = settings(
            [entry(self.a), entry(self.b, state="down")],
            pin={"websocket": websocket, "http": http}, rehome={"mode": "off"},
        )
        self.roost = stage.roost(config)
        self.others = [self.person(f"other{i}").websocket() for i in range(3)]

    def person(self, name):
        return Person(self.roost, name)

    def bring_up_b(self):
        self.roost.reload(changed(self.roost.config, "b", state="up"))
        assert self.person("newcomer").backend() == "b"

    def take_out_a(self):
        self.roost.reload(changed(self.roost.config, "a", state="down"))


@pytest.mark.quick
def test_http_follows_the_open_socket(stage):
    scene = Scene(stage)
    anna = scene.person("anna")
    with anna.websocket() as ws:
        assert ws.whoami() == "a"
        scene.bring_up_b()
        assert {anna.backend() for _ in range(20)} == {"a"}


def test_http_of_many_clients_follows_their_sockets(stage):
    roost, *_ = stage.proxy("a", "b", "c")
    people = [Person(roost, f"p{i}") for i in range(30)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    assert set(names) == {"a", "b", "c"}
    for _ in range(3):
        assert [p.backend() for p in people] == names


def test_second_socket_goes_where_the_first_is(stage):
    scene = Scene(stage)
    anna = scene.person("anna")
    with anna.websocket():
        scene.bring_up_b()
        with anna.websocket() as second:
            assert second.whoami() == "a"


def test_websocket_lock_holds_after_an_abnormal_end(stage):
    scene = Scene(stage, http="200ms")
    anna = scene.person("anna")
    anna.websocket().reset()
    scene.a.wait_events("ws_close", client="anna")
    scene.bring_up_b()
    let_pass(scaled(0.5))
    assert anna.backend() == "a"
    with anna.websocket() as ws:
        assert ws.whoami() == "a"


def test_clean_end_falls_back_to_an_http_lock(stage):
    scene = Scene(stage)
    anna = scene.person("anna")
    assert anna.websocket().close(1000) == 1000
    scene.a.wait_events("ws_close", client="anna")
    scene.bring_up_b()
    with anna.websocket() as ws:
        assert ws.whoami() == "a"


def test_after_a_clean_end_the_http_lock_runs_out(stage):
    scene = Scene(stage, http="200ms")
    anna = scene.person("anna")
    anna.websocket().close(1000)
    scene.a.wait_events("ws_close", client="anna")
    scene.bring_up_b()
    let_pass(scaled(0.5))
    assert anna.backend() == "b"


def test_websocket_lock_runs_out_after_an_abnormal_end(stage):
    scene = Scene(stage, websocket="1s", http="200ms")
    anna = scene.person("anna")
    anna.websocket().reset()
    scene.a.wait_events("ws_close", client="anna")
    scene.bring_up_b()
    let_pass(1.5)
    assert anna.backend() == "b"


def test_open_session_outlives_every_lock(stage):
    scene = Scene(stage, websocket="300ms", http="200ms")
    anna = scene.person("anna")
    with anna.websocket():
        scene.bring_up_b()
        let_pass(0.8)
        assert anna.backend() == "a"
        let_pass(0.5)
        with anna.websocket() as second:
            assert second.whoami() == "a"


@pytest.mark.quick
def test_http_lock_holds_for_http(stage):
    scene = Scene(stage)
    anna = scene.person("anna")
    assert anna.backend() == "a"
    scene.bring_up_b()
    assert {anna.backend() for _ in range(10)} == {"a"}


def test_http_lock_holds_for_a_websocket(stage):
    scene = Scene(stage)
    anna = scene.person("anna")
    assert anna.backend() == "a"
    scene.bring_up_b()
    with anna.websocket() as ws:
        assert ws.whoami() == "a"


def test_http_lock_runs_out(stage):
    scene = Scene(stage, http="300ms")
    anna = scene.person("anna")
    assert anna.backend() == "a"
    scene.bring_up_b()
    let_pass(scaled(0.6))
    assert anna.backend() == "b"


def test_each_exchange_starts_the_http_lock_anew(stage):
    scene = Scene(stage, http="%dms" % scaled(1500))
    anna = scene.person("anna")
    assert anna.backend() == "a"
    scene.bring_up_b()
    for _ in range(3):
        let_pass(scaled(0.6))
        assert anna.backend() == "a"


def test_exchange_in_flight_holds_the_http_lock(stage):
    scene = Scene(stage, http="200ms")
    anna = scene.person("anna")
    with RawClient(scene.roost.address) as poll:
        poll.send(poll.request_bytes("GET", "/stall", anna.headers))
        scene.a.wait_events("request", target="/stall")
        scene.bring_up_b()
        let_pass(scaled(0.5))
        assert anna.backend() == "a"
        scene.a.order("release")
        assert poll.response().backend == "a"


def test_lock_breaks_when_its_backend_is_taken_out(stage):
    scene = Scene(stage)
    anna = scene.person("anna")
    with anna.websocket() as ws:
        assert ws.whoami() == "a"
        scene.bring_up_b()
        scene.take_out_a()
        assert scene.person("newcomer2").backend() == "b"
    bob = scene.person("bob")
    assert bob.backend() == "b"


def test_client_without_a_key_follows_the_policy(stage):
    roost, *_ = stage.proxy("a", "b", balance="round-robin")
    with RawClient(roost.address) as c:
        got = [c.get("/").backend for _ in range(20)]
    assert got.count("a") == got.count("b") == 10


def test_clients_that_never_return_a_cookie_cost_no_pin_and_spread(stage):
    roost, *_ = stage.proxy("a", "b", balance="round-robin", client_key=["cookie:roost"])
    with RawClient(roost.address) as c:
        got = [c.get("/").backend for _ in range(20)]
    assert got.count("a") == got.count("b") == 10


def test_full_backend_takes_no_more_sessions(stage):
    roost, *_ = stage.proxy("a", "b", limits={"max_sessions": 2})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(4)]
    names = sorted(ws.whoami() for ws in sockets)
    assert names == ["a", "a", "b", "b"]


def test_full_upstream_refuses_a_session(stage):
    from peers.websocket import Refused

    roost, *_ = stage.proxy("a", limits={"max_sessions": 1})
    with Person(roost, "first").websocket():
        with pytest.raises(Refused) as e:
            Person(roost, "second").websocket()
        assert e.value.response.status == 503
