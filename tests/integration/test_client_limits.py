# SPDX-License-Identifier: MIT
"""What one client may take of an upstream: requests per second, exchanges and sessions
at once, new sessions per minute; and what all of them together may open in a moment."""

import copy
import threading
import time

import pytest
from peers import frames
from peers.client import Person, RawClient
from peers.roost import settings
from peers.waiting import SANITIZED, let_pass, scaled, wait_until
from peers.websocket import Closed, Refused, handshake_headers


def proxy(stage, **client_limits):
    return stage.proxy("a", client_limits={"by": "client", **client_limits})


def error(response):
    return response.json()["error"]


def refused(person, *args, **how):
    """The answer to a handshake that is refused."""
    with pytest.raises(Refused) as e:
        person.websocket(*args, **how)
    return e.value.response


def assert_refused(response, why, status=429, at_most_s=1):
    assert (response.status, error(response)) == (status, why)
    assert 1 <= int(response.header("Retry-After")) <= at_most_s


def begin_handshake(roost, person, target):
    """Asks, and does not wait for the answer."""
    c = RawClient(roost.address)
    headers = person.all_headers(handshake_headers(frames.new_key()))
    c.send(c.request_bytes("GET", target, headers))
    return c


def backend_sockets(backend):
    return wait_until(backend.sockets, "the backend has a socket")


# --- requests per second


def granted(person, tries, rate, burst):
    """Statuses of many requests at once, of which a bucket must have let through its
    burst and what it got back meanwhile."""
    begun = time.monotonic()
    with RawClient(person.address) as c:
        answers = [c.get("/", person.all_headers()) for _ in range(tries)]
    back = (time.monotonic() - begun) * rate
    ok = [r for r in answers if r.status == 200]
    for r in answers:
        if r.status != 200:
            assert_refused(r, "client_rate")
    assert burst <= len(ok) <= burst + back + 1
    assert all(r.status == 200 for r in answers[:burst])
    return len(ok)


@pytest.mark.quick
def test_rate(stage):
    roost, a = proxy(stage, rate=2, burst=5)
    p = Person(roost, "p")
    n = granted(p, 20 if not SANITIZED else 60, 2, 5)
    assert len(a.events("request")) == n, "the others never reached the backend"


def test_rate_comes_back(stage):
    roost, _ = proxy(stage, rate=2)
    p = Person(roost, "p")
    granted(p, 20, 2, 2)
    wait_until(lambda: p.get().status == 200, "the bucket got one back", 2)


def test_whoever_obeys_retry_after_is_let_in(stage):
    roost, _ = proxy(stage, rate=1)
    p = Person(roost, "p")
    last = wait_until(lambda: (r := p.get()).status == 429 and r, "it asks too often")
    let_pass(int(last.header("Retry-After")) + 0.05)
    assert p.get().status == 200


def test_by_client_each_has_a_bucket(stage):
    roost, _ = proxy(stage, rate=1, burst=3)
    for name in ("p", "q", "r"):
        granted(Person(roost, name), 8, 1, 3)


def test_by_address_all_of_it_share_one(stage):
    roost, _ = proxy(stage, by="address", rate=1, burst=3)
    begun = time.monotonic()
    statuses = [Person(roost, f"p{i}").get().status for i in range(20)]
    assert statuses[:3] == [200] * 3
    assert statuses.count(200) <= 4 + (time.monotonic() - begun)


def test_by_address_after_trusted_forwarding(stage):
    (a,) = stage.backends("a")
    config = settings([a], client_limits={"by": "address", "rate": 1})
    config["listeners"][0]["trusted"] = ["127.0.0.1"]
    roost = stage.roost(config)
    for i in range(8):
        p = Person(roost, headers=[("X-Forwarded-For", f"192.0.2.{i}")])
        assert p.get().status == 200
    p = Person(roost, headers=[("X-Forwarded-For", "192.0.2.200")])
    granted(p, 8, 1, 1)


def test_a_refused_request_keeps_its_connection(stage):
    roost, _ = proxy(stage, rate=1)
    with RawClient(roost.address) as c:
        statuses = [c.get("/", {"X-Client": "p"}).status for _ in range(10)]
    assert 429 in statuses


def test_a_refused_upload_is_well_ended(stage):
    roost, a = proxy(stage, rate=1)
    p = Person(roost, "p")
    statuses = {p.request("POST", "/up", body=b"x" * 200000).status for _ in range(5)}
    assert statuses == {200, 429}


def test_handshakes_count_as_requests(stage):
    roost, _ = proxy(stage, rate=1, burst=2)
    p = Person(roost, "p")
    p.get()
    p.get()
    outcomes = []
    for _ in range(4):
        try:
            p.websocket()
        except Refused as e:
            outcomes.append(error(e.response))
    assert "client_rate" in outcomes


def test_a_reload_changes_the_rate(stage):
    roost, _ = proxy(stage, rate=1, burst=1)
    p = Person(roost, "p")
    granted(p, 5, 1, 1)
    config = copy.deepcopy(roost.config)
    config["upstreams"]["app"]["client_limits"].update(rate=0, burst=0)
    roost.reload(config)
    wait_until(lambda: p.get().status == 200, "the new limits count")
    assert {p.get().status for _ in range(20)} == {200}


# --- exchanges at once


def hang(roost, person, target="/stall"):
    """A request under way."""
    c = RawClient(roost.address)
    c.send(c.request_bytes("GET", target, person.all_headers()))
    return c


@pytest.mark.quick
def test_exchanges_at_once(stage):
    roost, a = proxy(stage, exchanges=2)
    p = Person(roost, "p")
    running = [hang(roost, p), hang(roost, p)]
    a.wait_events("request", 2)
    assert_refused(p.get(), "client_exchanges")
    assert Person(roost, "q").get().status == 200
    a.order("release")
    assert [c.response().status for c in running] == [200, 200]
    assert p.get().status == 200
    assert len(a.events("request")) == 4


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_exchange_whose_client_left_does_not_count(stage, how):
    roost, a = proxy(stage, exchanges=1)
    p = Person(roost, "p")
    c = hang(roost, p, "/hang")
    a.wait_events("request")
    assert p.get().status == 429
    c.reset() if how == "reset" else c.close()
    wait_until(lambda: p.get().status == 200, "its place is free")


def test_exchanges_that_failed_do_not_count(stage):
    roost, a = proxy(stage, exchanges=1)
    p = Person(roost, "p")
    for _ in range(5):
        assert p.get("/status/500").status == 500
        with RawClient(roost.address) as c:
            c.send(c.request_bytes("GET", "/die/10", p.all_headers()))
            c.at_end()
    wait_until(lambda: p.get().status == 200, "nothing is left of them")


def test_a_session_is_no_exchange(stage):
    roost, _ = proxy(stage, exchanges=1)
    p = Person(roost, "p")
    with p.websocket() as one, p.websocket() as two:
        assert p.get().status == 200
        assert one.whoami() == two.whoami() == "a"


# --- sessions at once, refuse


@pytest.mark.quick
def test_one_session_too_many_is_refused(stage):
    roost, a = proxy(stage, sessions=2)
    p = Person(roost, "p")
    with p.websocket() as one, p.websocket():
        assert_refused(refused(p), "client_sessions")
        assert Person(roost, "q").websocket().whoami() == "a"
        assert one.whoami() == "a"
        assert len(a.events("handshake")) == 3
        one.close()
        again = []
        wait_until(lambda: again or opened(p, again), "the free place is taken")
        assert again[0].whoami() == "a"


def opened(person, into):
    """Appends a new socket, or does nothing when it is refused."""
    try:
        into.append(person.websocket())
    except Refused as e:
        assert error(e.response) == "client_sessions"
    return into


@pytest.mark.parametrize("how", ["client_reset", "client_eof", "backend_abort"])
def test_a_lost_session_does_not_count(stage, how):
    roost, _ = proxy(stage, sessions=1)
    p = Person(roost, "p")
    ws = p.websocket()
    if how == "client_reset":
        ws.reset()
    elif how == "client_eof":
        ws.raw.close()
    else:
        ws.send("abort")
        ws.close_code()
        ws.raw.close()
    again = []
    wait_until(lambda: again or opened(p, again), "its place is free")


def test_a_handshake_that_failed_does_not_count(stage):
    roost, a = proxy(stage, sessions=1)
    p = Person(roost, "p")
    for _ in range(3):
        assert refused(p, "/ws?refuse=403").status == 403
    c = begin_handshake(roost, p, "/ws?noanswer")
    a.wait_events("handshake", 4)
    assert refused(p).status == 429, "a handshake under way counts"
    c.reset()
    again = []
    wait_until(lambda: again or opened(p, again), "its place is free")


def test_a_moved_session_counts_once(stage):
    roost, a, b = stage.proxy(
        "a", "b", rehome={"mode": "transparent", "debounce": "50ms"},
        client_limits={"by": "client", "sessions": 1})
    p = Person(roost, "p")
    with p.websocket() as ws:
        old = ws.whoami()
        config = copy.deepcopy(roost.config)
        for backend in config["upstreams"]["app"]["backends"]:
            if backend["name"] == old:
                backend["state"] = "drain"
        roost.reload(config)
        wait_until(lambda: ws.whoami() != old, "it has moved")
        assert refused(p).status == 429
        ws.close()
    again = []
    wait_until(lambda: again or opened(p, again), "its place is free")


def test_a_reload_raises_the_limit(stage):
    roost, _ = proxy(stage, sessions=1)
    p = Person(roost, "p")
    with p.websocket() as one:
        assert refused(p).status == 429
        config = copy.deepcopy(roost.config)
        config["upstreams"]["app"]["client_limits"]["sessions"] = 2
        roost.reload(config)
        again = []
        wait_until(lambda: again or opened(p, again), "the new limit counts")
        assert refused(p).status == 429
        assert one.whoami() == again[0].whoami() == "a"


# --- sessions at once, replace-oldest


def replacing(stage, sessions, **upstream):
    return stage.proxy("a", client_limits={
        "by": "client", "sessions": sessions, "excess": "replace-oldest"}, **upstream)


def order_of(backend, *kinds):
    return [(e.kind, e.session) for e in backend.events(*kinds)]


@pytest.mark.quick
def test_the_oldest_gives_way(stage):
    roost, a = replacing(stage, 1)
    p = Person(roost, "p")
    old = p.websocket()
    closer = Reader(old)
    new = p.websocket()
    assert closer.code() not in (1000, 1001, 1005, 1006), "not to reconnect at once"
    assert new.whoami() == "a"
    first, second = [e.session for e in a.events("handshake")]
    assert order_of(a, "handshake", "ws_close") == [
        ("handshake", first), ("ws_close", first), ("handshake", second)]
    assert roost.wait_log(f"session ended by roost .*replaced by a newer.* session={first} ")
    new.close()


class Reader(threading.Thread):
    """Reads a socket to its end and answers its Close, as a library would."""

    def __init__(self, ws):
        super().__init__(daemon=True)
        self.ws, self.ended = ws, None
        self.start()

    def run(self):
        try:
            while True:
                self.ws.read()
        except Closed as e:
            self.ended = e.code
            try:
                self.ws.send_close(e.code)
            except OSError:
                pass
        except OSError:
            self.ended = 1006

    def code(self):
        self.join(scaled(10))
        return self.ended


def test_the_old_one_may_be_a_zombie(stage):
    """What the limit is for: a client that comes back while its old socket, from a
    network that is gone, says nothing any more."""
    roost, a = replacing(stage, 1)
    p = Person(roost, "p")
    old = p.websocket()
    begun = time.monotonic()
    with p.websocket() as new:
        assert new.whoami() == "a"
        assert time.monotonic() - begun < scaled(4), "a dead client is not waited for"
        assert len(backend_sockets(a)) == 1
    assert old.close_code() != 1000


def test_the_old_backend_connection_is_gone_before_the_new_handshake(stage):
    roost, a = replacing(stage, 1)
    p = Person(roost, "p")
    sockets = []
    for _ in range(10):
        sockets.append(p.websocket())
        Reader(sockets[-1])
    kinds = [e.kind for e in a.events("handshake", "ws_close")]
    assert kinds == ["handshake", "ws_close"] * 9 + ["handshake"]
    assert len(a.sockets()) == 1


def test_the_youngest_stay(stage):
    roost, a = replacing(stage, 3)
    p = Person(roost, "p")
    sockets = [p.websocket() for _ in range(3)]
    readers = [Reader(ws) for ws in sockets[:2]]
    sockets += [p.websocket() for _ in range(2)]
    assert all(r.code() is not None for r in readers)
    assert [ws.whoami() for ws in sockets[2:]] == ["a"] * 3
    assert len(a.sockets()) == 3


def test_other_clients_are_left_alone(stage):
    roost, _ = replacing(stage, 1)
    with Person(roost, "q").websocket() as other:
        for _ in range(3):
            Reader(Person(roost, "p").websocket())
        assert other.whoami() == "a"


def test_who_waits_and_leaves_takes_nothing(stage):
    """The one that waits for the place goes away again; the next one still gets it."""
    (a,) = stage.backends("a")
    config = settings([a], client_limits={
        "by": "client", "sessions": 1, "excess": "replace-oldest"})
    roost = stage.roost(config)
    p = Person(roost, "p")
    before = roost.descriptors()
    Reader(p.websocket())
    for _ in range(5):
        begin_handshake(roost, p, "/ws").reset()
    # which of two that are under way comes first is anybody's guess
    wait_until(lambda: not a.sockets() and roost.descriptors() <= before,
               "all of them were seen to go")
    with p.websocket() as ws:
        assert ws.whoami() == "a"
        wait_until(lambda: len(a.sockets()) == 1, "only this one is left")


def test_many_at_once_are_never_more_than_allowed(stage):
    """By what roost says of its sessions: a handshake that was overtaken while it was
    under way may still show up at the backend later."""
    limit = 2
    (a,) = stage.backends("a")
    config = settings([a], client_limits={
        "by": "client", "sessions": limit, "excess": "replace-oldest"})
    config["log"]["level"] = "debug"
    roost = stage.roost(config)

    def come():
        for _ in range(5):
            try:
                Reader(Person(roost, "p").websocket())
            except (Refused, OSError):
                pass  # overtaken while it waited

    threads = [threading.Thread(target=come) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(scaled(30))
    with Person(roost, "p").websocket() as last:
        assert last.whoami() == "a"
        wait_until(lambda: len(a.sockets()) <= limit, "the others are gone")
    open_now, most = 0, 0
    for what in roost.logged(r": session (opened|ended)"):
        open_now += 1 if what == "opened" else -1
        most = max(most, open_now)
    assert most == limit


# --- new sessions per minute


@pytest.mark.quick
def test_upgrades_per_minute(stage):
    roost, a = proxy(stage, upgrades=3)
    p = Person(roost, "p")
    for _ in range(3):
        p.websocket().close()
    assert_refused(refused(p), "client_upgrades", at_most_s=20)
    assert p.get().status == 200, "requests are not upgrades"
    assert Person(roost, "q").websocket().whoami() == "a"
    assert len(a.events("handshake")) == 4


# --- of all clients


@pytest.mark.quick
def test_a_storm_of_upgrades(stage):
    roost, a = stage.proxy("a", limits={"upgrades": 3})
    begun = time.monotonic()
    clients = [begin_handshake(roost, Person(roost, f"p{i}"), "/ws") for i in range(30)]
    answers = [(c, c.response()) for c in clients]
    inside = [c for c, r in answers if r.status == 101]
    assert 3 <= len(inside) <= 4 + 3 * (time.monotonic() - begun)
    assert len(inside) < 30
    for c, r in answers:
        if c not in inside:
            assert_refused(r, "upgrades", status=503)
    assert Person(roost, "q").get().status == 200
    assert len(a.events("handshake")) == len(inside)
    again = []

    def come():
        try:
            again.append(Person(roost, "late").websocket())
        except Refused:
            pass
        return again

    wait_until(come, "a moment later it goes on", 3)
    a.order("close_all", code=4000)
    for c in inside:  # who is in stayed in, and heard nothing else
        assert c.take(4) == frames.encode(frames.CLOSE, frames.close_payload(4000))
