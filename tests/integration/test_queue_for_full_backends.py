# SPDX-License-Identifier: MIT
"""max_connections of a backend, and the queue of those who wait for a place: in order,
bounded, not for ever, and without those who left."""

import threading
import time

import pytest
from peers.admin import Admin, with_admin
from peers.client import Person, RawClient
from peers.metrics import scrape
from peers.roost import settings
from peers.waiting import holds_for, scaled, wait_until
from peers.websocket import Refused


def proxy(stage, *names, **limits):
    """One worker, so that there is one queue."""
    limits = {"max_connections": 1, "queue_timeout": "20s", **limits}
    backends = stage.backends(*names)
    config = with_admin(settings(backends, limits=limits))
    config["workers"] = 1
    return stage.roost(config), *backends


def client_of(roost):
    """A connection that roost knows already, so that only its request is new."""
    c = RawClient(roost.address)
    assert c.get("/warm", {"X-Client": "warm"}).status == 200
    return c


def ask(client, target, name=None):
    headers = {"X-Client": name or target.strip("/")}
    client.send(client.request_bytes("GET", target, headers))
    return client


def targets(backend, *but):
    return [e.target for e in backend.events("request")
            if e.target not in ("/warm", *but)]


def in_line(roost):
    return scrape(roost).value("roost_exchanges_waiting", upstream="app")


def wait_in_line(roost, n=1):
    wait_until(lambda: in_line(roost) == n, f"{n} are in line")


def assert_busy(response, why):
    assert (response.status, response.json()["error"]) == (503, why)
    assert int(response.header("Retry-After")) >= 1


def occupy(roost, backend, target="/stall"):
    """Takes the backend's only place."""
    c = ask(client_of(roost), target, "first")
    backend.wait_events("request", target=target)
    return c


@pytest.mark.quick
def test_they_wait_and_are_served_in_order(stage):
    roost, a = proxy(stage, "a")
    waiting = [client_of(roost) for _ in range(8)]
    first = occupy(roost, a)
    for i, c in enumerate(waiting):
        ask(c, f"/q{i}")
        wait_in_line(roost, i + 1)
    holds_for(lambda: targets(a) == ["/stall"], "only one is at work", 0.3)
    a.order("release")
    assert first.response().status == 200
    assert [c.response().status for c in waiting] == [200] * 8
    assert targets(a) == ["/stall"] + [f"/q{i}" for i in range(8)]
    assert not overlapping(a)


def overlapping(backend):
    """Were two requests there at the same time?"""
    busy = 0
    for e in backend.events("request", "done", "aborted"):
        busy += 1 if e.kind == "request" else -1
        if busy > 1:
            return True
    return False


def test_new_ones_do_not_overtake(stage):
    roost, a = proxy(stage, "a")
    early, late = client_of(roost), client_of(roost)
    first = occupy(roost, a)
    ask(early, "/early")
    wait_in_line(roost)
    a.order("release")
    assert first.response().status == 200
    ask(late, "/late")
    assert early.response().status == late.response().status == 200
    assert targets(a) == ["/stall", "/early", "/late"]


@pytest.mark.quick
def test_a_full_queue_refuses_at_once(stage):
    roost, a = proxy(stage, "a", queue=2)
    waiting = [client_of(roost) for _ in range(2)]
    first = occupy(roost, a)
    for i, c in enumerate(waiting):
        ask(c, f"/q{i}")
    wait_in_line(roost, 2)
    assert_busy(Person(roost, "more").get(), "queue_full")
    assert in_line(roost) == 2
    a.order("release")
    assert [c.response().status for c in (first, *waiting)] == [200] * 3
    assert Person(roost, "later").get().status == 200


def test_without_a_queue_none_waits(stage):
    roost, a = proxy(stage, "a", queue=0)
    first = occupy(roost, a)
    assert_busy(Person(roost, "more").get(), "queue_full")
    a.order("release")
    assert first.response().status == 200
    assert Person(roost, "later").get().status == 200


@pytest.mark.quick
def test_the_wait_is_bounded(stage):
    roost, a = proxy(stage, "a", queue_timeout="400ms")
    first = occupy(roost, a)
    begun = time.monotonic()
    assert_busy(Person(roost, "p").get(), "queue_timeout")
    assert time.monotonic() - begun > 0.35
    assert targets(a) == ["/stall"]
    a.order("release")
    assert first.response().status == 200


def test_a_connection_outlives_its_wait(stage):
    roost, a = proxy(stage, "a", queue_timeout="200ms")
    c = client_of(roost)
    first = occupy(roost, a)
    assert_busy(ask(c, "/p").response(), "queue_timeout")
    a.order("release")
    assert first.response().status == 200
    wait_until(lambda: ask(c, "/p").response().status == 200, "it goes on")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_who_leaves_the_queue_frees_its_place(stage, how):
    roost, a = proxy(stage, "a", queue=1)
    gone = client_of(roost)
    first = occupy(roost, a)
    ask(gone, "/gone")
    wait_in_line(roost)
    assert_busy(Person(roost, "more").get(), "queue_full")
    gone.reset() if how == "reset" else gone.close()
    wait_in_line(roost, 0)
    taken = ask(RawClient(roost.address), "/taken")
    wait_in_line(roost)
    a.order("release")
    assert first.response().status == taken.response().status == 200
    assert "/gone" not in targets(a)


def test_a_client_that_leaves_its_backend_lets_the_next_one_in(stage):
    roost, a = proxy(stage, "a")
    waiting = client_of(roost)
    first = occupy(roost, a, "/hang")
    ask(waiting, "/next")
    wait_in_line(roost)
    first.reset()
    assert waiting.response().status == 200


def test_uploads_wait_too(stage):
    roost, a = proxy(stage, "a")
    waiting = client_of(roost)
    first = occupy(roost, a)
    body = bytes(range(256)) * 4000
    whole = waiting.request_bytes("POST", "/up", {"X-Client": "up"}, body)
    sender = aside(lambda: waiting.send(whole))
    wait_in_line(roost)
    assert targets(a) == ["/stall"]
    a.order("release")
    told = waiting.response().json()
    sender.join(scaled(10))
    assert told["body_length"] == len(body)
    assert first.response().status == 200


def aside(call):
    t = threading.Thread(target=call, daemon=True)
    t.start()
    return t


def test_a_place_at_any_backend_will_do(stage):
    roost, a, b = proxy(stage, "a", "b")
    one, two = (ask(RawClient(roost.address), "/stall", who) for who in ("1", "2"))
    wait_until(lambda: targets(a) == targets(b) == ["/stall"], "both are full")
    waiting = ask(RawClient(roost.address), "/waiting")
    wait_in_line(roost)
    b.order("release")
    assert waiting.response().backend == "b"
    a.order("release")
    assert {one.response().status, two.response().status} == {200}


def test_two_at_once_where_two_are_allowed(stage):
    roost, a = proxy(stage, "a", max_connections=2)
    running = [ask(RawClient(roost.address), f"/stall?{i}") for i in range(2)]
    wait_until(lambda: len(targets(a)) == 2, "two are at work")
    third = ask(RawClient(roost.address), "/third")
    wait_in_line(roost)
    a.order("release")
    assert [c.response().status for c in (*running, third)] == [200] * 3


# --- sessions take places, too


@pytest.mark.quick
def test_a_session_takes_a_place(stage):
    roost, a = proxy(stage, "a")
    ws = Person(roost, "p").websocket()
    waiting = ask(RawClient(roost.address), "/waiting")
    wait_in_line(roost)
    ws.close()
    assert waiting.response().status == 200


def test_a_handshake_waits(stage):
    roost, a = proxy(stage, "a")
    first = occupy(roost, a)
    got = []
    t = aside(lambda: got.append(Person(roost, "p").websocket()))
    wait_in_line(roost)
    assert not a.events("handshake")
    a.order("release")
    assert first.response().status == 200
    t.join(scaled(10))
    assert got[0].whoami() == "a"


def test_a_refused_handshake_gives_its_place_back(stage):
    roost, a = proxy(stage, "a")
    for _ in range(3):
        with pytest.raises(Refused):
            Person(roost, "p").websocket("/ws?refuse=403")
    assert Person(roost, "p").get().status == 200


def test_a_lost_session_gives_its_place_back(stage):
    roost, a = proxy(stage, "a")
    for _ in range(3):
        ws = Person(roost, "p").websocket()
        ws.reset()
        assert Person(roost, "q").get().status == 200


# --- nothing is left over


def test_many_come_and_go(stage):
    """Whoever they were and however they ended: the places are all there again."""
    roost, a = proxy(stage, "a", max_connections=3, queue=5, queue_timeout="300ms")
    clients = [RawClient(roost.address) for _ in range(60)]
    for i, c in enumerate(clients):
        ask(c, ("/slow/30", "/hang", "/die/10", "/status/500")[i % 4], f"p{i}")
        if i % 3 == 0:
            c.reset()
    for c in clients:
        c.close()
    wait_until(lambda: Person(roost, "q").get().status == 200, "places are free")
    a.wait_events("done")
    wait_until(lambda: in_line(roost) == Admin(roost).backend("a")["exchanges"] == 0,
               "nobody is left")
    running = [ask(RawClient(roost.address), f"/stall?{i}") for i in range(3)]
    wait_until(lambda: sum(t.startswith("/stall") for t in targets(a)) == 3,
               "all three places are there")
    a.order("release")
    assert [c.response().status for c in running] == [200] * 3


def test_connections_to_a_backend_that_refuses_give_their_places_back(stage):
    roost, a = proxy(stage, "a")
    a.kill()
    for _ in range(4):
        assert Person(roost, "p").get().status in (502, 503)
    a.start().ready()
    wait_until(lambda: Person(roost, "p").get().status == 200, "it is back")
