# SPDX-License-Identifier: MIT
"""Policies, costs, slow start and backups with real backends. Shares by weight are in
test_weights.py."""

import time

import pytest
from peers.client import Person, RawClient
from peers.roost import changed, entry, settings, without
from peers.waiting import holds_for, let_pass, wait_until

NO_LOCKS = {"websocket": 0, "http": 0}
NAMES = [f"client{i}" for i in range(60)]


def anonymous(roost, n):
    """Backends of n requests by nobody in particular, one after the other."""
    with RawClient(roost.address) as c:
        return [c.get("/").backend for _ in range(n)]


def homes(roost, names=NAMES):
    """Where these clients are led over HTTP."""
    with RawClient(roost.address) as c:
        return [c.get("/", {"X-Client": n}).backend for n in names]


def lazy(name, seconds):
    """A script for a backend that takes its time."""
    def script(sock, head):
        time.sleep(seconds)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                     b"X-Backend: " + name.encode() + b"\r\n\r\n")

    return script


# --- p2c


@pytest.mark.quick
def test_p2c_avoids_the_slow(stage):
    (quick,) = stage.backends("quick")
    slow = stage.scripted(lazy("slow", 0.4), "slow")
    roost = stage.roost(settings([quick, slow], balance="p2c"))
    got = anonymous(roost, 200)
    # tried once it is, and perhaps again by the other worker
    assert 1 <= got.count("slow") <= 5, got


def test_p2c_notices_a_backend_that_gets_slow(stage):
    delay = {"a": 0.0, "b": 0.0}

    def backend(name):
        def script(sock, head):
            return lazy(name, delay[name])(sock, head)

        return stage.scripted(script, name)

    roost = stage.roost(settings([backend("a"), backend("b")], balance="p2c"))
    wait_until(lambda: set(anonymous(roost, 20)) == {"a", "b"}, "both are in use")
    delay["a"] = 0.2
    wait_until(lambda: anonymous(roost, 10).count("a") == 0, "a is left alone", 20)


def test_p2c_sees_how_long_upgrades_take_and_what_sockets_there_are(stage):
    """The latencies are those of a busy machine; but no difference is so large that all
    sockets go to one for ever."""
    roost, a, b = stage.proxy("a", "b", balance="p2c")
    sockets, homes = [], set()

    def one_more():
        sockets.append(Person(roost, f"p{len(sockets)}").websocket())
        homes.add(sockets[-1].whoami())
        return len(homes) == 2

    wait_until(one_more, "each has some")


def test_p2c_counts_a_response_that_never_came(stage):
    """A backend that takes requests and keeps silent is as slow as can be."""
    (quick,) = stage.backends("quick")
    mute = stage.scripted(lazy("mute", 3600), "mute")
    roost = stage.roost(settings([quick, mute], balance="p2c", retries=0,
                                 timeouts={"first_byte": "1s"}))
    with RawClient(roost.address) as c:
        got = [c.get("/").status for _ in range(60)]
    assert got.count(504) <= 3, got
    assert got.count(200) >= 57, got


# --- hash


@pytest.mark.quick
def test_hash_agrees_on_all_nodes_and_after_a_restart(stage):
    backends = stage.backends("a", "b", "c")
    config = settings(backends, balance="hash")
    roost = stage.roost(config)
    first = homes(roost)
    assert set(first) == {"a", "b", "c"}
    assert homes(stage.roost(settings(backends[::-1], balance="hash"))) == first
    roost.stop()
    assert homes(stage.roost(config)) == first


def test_hash_moves_only_the_clients_of_what_is_gone(stage):
    config = settings(stage.backends("a", "b", "c"), balance="hash", pin=NO_LOCKS)
    roost = stage.roost(config)
    first = homes(roost)
    roost.reload(without(config, "b"))
    second = homes(roost)
    assert "b" not in second
    assert all(x == y for x, y in zip(first, second) if x != "b")
    roost.reload(config)
    assert homes(roost) == first


def test_hash_brings_a_room_together(stage):
    roost, *_ = stage.proxy("a", "b", "c", balance="hash", client_key=["query:room"])
    rooms = {}
    for i in range(60):
        person = Person(roost, query=f"room={i % 12}")
        at = person.websocket().whoami() if i % 2 else person.backend()
        assert rooms.setdefault(i % 12, at) == at
    assert len(set(rooms.values())) == 3


def test_hash_keeps_a_client_with_the_cookie_it_was_given(stage):
    backends = stage.backends("a", "b", "c")
    config = settings(backends, balance="hash", client_key=["cookie:roost", "address"],
                      pin=NO_LOCKS)
    roost, other = stage.roost(config), stage.roost(config)
    for i in range(20):
        person = Person(roost, jar=True)
        if i % 2:
            with person.websocket() as ws:
                first = ws.whoami()
            # an open socket of the address would decide for the next, who has no cookie
            wait_until(lambda: len(roost.logged("session ended")) == (i + 1) // 2,
                       "it has ended")
        else:
            first = person.backend()
        assert "roost" in person.jar
        assert person.backend() == first
        person.address = other.address  # which knows the cookie's id, not its secret
        assert person.backend() == first


def test_hash_passes_over_a_backend_that_is_crowded(stage):
    roost, *backends = stage.proxy("a", "b", "c", balance="hash", pin=NO_LOCKS)
    names = [f"client{i}" for i in range(150)]
    crowd = [n for n, home in zip(names, homes(roost, names)) if home == "a"]
    assert len(crowd) > 30
    hanging = []
    for n in crowd:
        hanging.append(RawClient(roost.address))
        hanging[-1].send(hanging[-1].request_bytes("GET", "/hang", {"X-Client": n}))
        wait_until(lambda: sum(loads(backends)) == len(hanging), "it is there")
    # 8 above its fair share, which is more than 1.25 times that
    assert len(crowd) / 3 + 6 <= loads(backends)[0] <= len(crowd) / 3 + 9
    for c in hanging:
        c.reset()


def loads(backends):
    return [sum(e.target == "/hang" for e in b.events("request")) for b in backends]


# --- what loads are made of


def test_an_exchange_may_cost_more_than_sockets(stage):
    roost, a, b = stage.proxy("a", "b", exchange_cost=10)
    busy = RawClient(roost.address)
    busy.send(busy.request_bytes("GET", "/hang", {"X-Client": "busy"}))
    wait_until(lambda: a.events("request") or b.events("request"), "it is there")
    other = "b" if a.events("request") else "a"
    sockets = []
    for i in range(9):
        sockets.append(Person(roost, f"p{i}").websocket())
        # and roost has counted its handshake, another costly exchange, as ended
        assert sockets[-1].whoami() == other
    busy.reset()


def test_sockets_may_count_for_nothing(stage):
    a, b = stage.backends("a", "b")
    config = settings([entry(a), entry(b, state="down")], session_cost=0,
                      rehome={"mode": "off"})
    roost = stage.roost(config)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(20)]
    roost.reload(changed(config, "b", state="up"))
    assert 10 <= anonymous(roost, 60).count("a") <= 50
    assert {ws.whoami() for ws in sockets} == {"a"}


# --- slow start


@pytest.mark.parametrize("balance", ["round-robin", "least-sessions", "hash"])
def test_a_new_backend_starts_slowly(stage, balance):
    a, b = stage.backends("a", "b")
    config = settings([entry(a), entry(b, state="down")], balance=balance,
                      slow_start="4s")
    roost = stage.roost(config)
    let_pass(4.1)  # until a itself has its full weight
    began = time.monotonic()
    roost.reload(changed(config, "b", state="up"))
    got = anonymous(roost, 150).count("b")
    if time.monotonic() - began < 0.6:  # else it has warmed up meanwhile
        assert 1 <= got <= 48
    wait_until(lambda: 28 <= anonymous(roost, 80).count("b") <= 52, "b has its half")


def test_slow_start_is_not_for_clients_that_are_bound(stage):
    roost, *_ = stage.proxy("a", "b", slow_start="1h", rehome={"debounce": "30s"})
    people = [Person(roost, f"p{i}") for i in range(10)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    config = roost.config
    roost.reload(changed(config, "a", state="drain"))
    roost.reload(config)  # before anybody was moved: debounce
    assert [p.backend() for p in people] == names


# --- backups


def backed_up(stage, **upstream):
    a, spare = stage.backends("a", "spare")
    config = settings([entry(a), entry(spare, backup=True)], **upstream)
    return stage.roost(config), a, spare


@pytest.mark.quick
def test_a_backup_steps_in_and_out(stage):
    roost, a, spare = backed_up(stage)
    assert set(anonymous(roost, 20)) == {"a"}
    assert set(homes(roost)) == {"a"}
    a.kill()
    wait_until(lambda: set(homes(roost)) == {"spare"}, "the backup serves")
    a.start().ready()
    wait_until(lambda: set(anonymous(roost, 5)) == {"a"}, "a serves again")
    # an HTTP lock would go on for ever: each request starts it anew
    assert set(homes(roost)) == {"a"}


def test_sockets_are_led_back_from_a_backup(stage):
    roost, a, spare = backed_up(
        stage, pin={"websocket": "500ms"},
        rehome={"mode": "transparent", "debounce": "50ms", "min_stay": "1s"},
    )
    config = roost.config
    sockets = [Person(roost, f"p{i}").websocket() for i in range(11)]
    assert a.open().sockets == 11
    roost.reload(changed(config, "a", state="drain"))
    wait_until(lambda: spare.open().sockets == 11, "all are at the backup", 20)
    roost.reload(config)
    wait_until(lambda: a.open().sockets == 11, "all are back", 20)
    wait_until(lambda: spare.open().sockets == 0, "none is left", 20)
    holds_for(lambda: a.open().sockets == 11, "and stay", 1.5)
    assert {ws.whoami() for ws in sockets} == {"a"}


def test_a_backup_takes_what_others_cannot(stage):
    roost, a, spare = backed_up(stage, limits={"max_sessions": 3})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(5)]
    assert [ws.whoami() for ws in sockets] == ["a"] * 3 + ["spare"] * 2
    assert set(anonymous(roost, 10)) == {"a"}
