# SPDX-License-Identifier: MIT
"""Backends that are configured by name."""

import os
import re
import signal
from itertools import count

import pytest
from peers.admin import Admin, with_admin
from peers.client import Person
from peers.dns import A, AAAA, SRV, NameServer
from peers.roost import entry, settings
from peers.waiting import holds_for, wait_until


def test_named_backend_is_found(stage):
    (a,) = stage.backends("a")
    named = entry(a)
    named["address"] = named["address"].replace("127.0.0.1", "localhost")
    roost = stage.roost(settings([named]))
    roost.wait_log(r"backend app/a is at 127\.0\.0\.1")
    assert Person(roost, "p").backend() == "a"


def test_unknown_name_is_said_once_and_harms_nobody(stage):
    (a,) = stage.backends("a")
    lost = {"name": "lost", "address": "no-such-host.invalid:80"}
    roost = stage.roost(settings([lost, entry(a)], balance="round-robin"))
    roost.wait_log("name no-such-host.invalid:80 has no address")
    assert [Person(roost, f"p{i}").backend() for i in range(10)] == ["a"] * 10
    # it is looked up again every 2 s
    holds_for(lambda: roost.log().count("has no address") == 1, "said once", 2.5)


def test_name_that_comes_with_a_reload(stage):
    roost, a = stage.proxy("a")
    (b,) = stage.backends("b")
    named = entry(b)
    named["address"] = named["address"].replace("127.0.0.1", "localhost")
    roost.reload(settings([named]))
    wait_until(lambda: Person(roost, "p").get().status == 200, "b has its address")
    assert Person(roost, "p").backend() == "b"


# --- a name server of our own


@pytest.fixture
def dns():
    server = NameServer()
    yield server
    server.stop()


def resolved_by(dns, config):
    return {**config, "resolver": {"servers": [dns.address]}}


newcomers = count()


def homes(roost, n=12):
    """Where people are led who have not been here before: nothing binds them."""
    return {Person(roost, f"p{next(newcomers)}").backend() for _ in range(n)}


def places(backends):
    """SRV records of app servers, all on 127.0.0.1."""
    return [(SRV, (10, 5, b.port, "host.test")) for b in backends]


def named(backends, dns, **upstream):
    dns.records["host.test"] = [(A, "127.0.0.1")]
    dns.records["_app._tcp.test"] = places(backends)
    row = {"name": "app", "address": "srv:_app._tcp.test"}
    return resolved_by(dns, settings([row], **upstream))


def test_configured_name_server_is_asked(stage, dns):
    (a,) = stage.backends("a")
    dns.records["app.test"] = [(A, "127.0.0.1")]
    roost = stage.roost(resolved_by(
        dns, settings([{"name": "a", "address": f"app.test:{a.port}"}])))
    roost.wait_log(r"backend app/a is at 127\.0\.0\.1")
    assert Person(roost, "p").backend() == "a"


def test_ipv6_where_there_is_no_ipv4(stage, dns):
    dns.records["app.test"] = [(AAAA, "::1")]
    roost = stage.roost(resolved_by(
        dns, settings([{"name": "a", "address": "app.test:9"}])))
    roost.wait_log(r"backend app/a is at \[::1\]:9")


def test_each_address_of_a_name_is_a_backend(stage, dns):
    dns.records["app.test"] = [(A, f"127.0.0.{i}") for i in (1, 2, 3)]
    roost = stage.roost(resolved_by(
        dns, settings([{"name": "a", "address": "app.test:9"}])))
    for name, last in (("a", 1), ("a#2", 2), ("a#3", 3)):
        roost.wait_log(rf"backend app/{name} is at 127\.0\.0\.{last}:9")


def test_service_records_bring_port_and_weight(stage, dns):
    a, b = stage.backends("a", "b")
    config = named([a, b], dns, balance="round-robin")
    dns.records["_app._tcp.test"] = [
        (SRV, (10, 1, a.port, "host.test")), (SRV, (10, 3, b.port, "host.test")),
        (SRV, (20, 9, 9, "host.test"))]
    roost = stage.roost(config)
    roost.wait_log("backend app/app#2 is at")
    wait_until(lambda: homes(roost) == {"a", "b"}, "both work")
    got = [Person(roost, f"q{i}").backend() for i in range(40)]
    assert 25 <= got.count("b") <= 35


def test_addresses_come_and_drain_without_a_reload(stage, dns):
    a, b, c = stage.backends("a", "b", "c")
    roost = stage.roost(named([a, b], dns, balance="round-robin",
                              rehome={"mode": "transparent", "debounce": "50ms"}))
    roost.wait_log("app#2 is at")
    wait_until(lambda: homes(roost) == {"a", "b"}, "both work")
    sockets = [Person(roost, f"s{i}").websocket() for i in range(6)]
    assert {ws.whoami() for ws in sockets} == {"a", "b"}
    dns.records["_app._tcp.test"] = places([b, c])
    roost.wait_log("app#3 is at")
    roost.wait_log("has left: its name has that address no more")
    wait_until(lambda: {ws.whoami() for ws in sockets} <= {"b", "c"}, "all have moved")
    assert homes(roost) == {"b", "c"}
    for ws in sockets:
        ws.__exit__(None, None, None)


def test_a_row_whose_first_address_has_left_keeps_its_name(stage, dns):
    a, b = stage.backends("a", "b")
    roost = stage.roost(with_admin(named([a, b], dns)))
    admin = Admin(roost)
    roost.wait_log("app#2 is at")
    first = int(re.search(r"app/app is at \S+:(\d+)", roost.log())[1])
    dns.records["_app._tcp.test"] = places([x for x in (a, b) if x.port != first])
    roost.wait_log("app/app has left")
    assert admin.add(409, name="app", address="127.0.0.1:1")["error"] == "conflict"
    assert admin.set("app", weight=2)["weight"] == 2


def test_failing_name_server_takes_nothing_away(stage, dns):
    (a,) = stage.backends("a")
    roost = stage.roost(named([a], dns))
    roost.wait_log("backend app/app is at")
    del dns.records["_app._tcp.test"]
    roost.wait_log("has no address any more, those it had are kept")
    assert Person(roost, "p").backend() == "a"
    n = len(dns.questions)
    wait_until(lambda: len(dns.questions) >= n + 4, "it is asked again")
    assert len(roost.logged("has no address")) == 1
    assert Person(roost, "p").backend() == "a"


def test_silence_about_one_target_takes_nothing_away(stage, dns):
    a, b = stage.backends("a", "b")
    config = named([a, b], dns, balance="round-robin")
    dns.records["_app._tcp.test"] = [(SRV, (10, 5, a.port, "host.test")),
                                     (SRV, (10, 5, b.port, "other.test"))]
    dns.records["other.test"] = [(A, "127.0.0.1")]
    roost = stage.roost(config)
    roost.wait_log("app#2 is at")
    dns.records["other.test"] = None
    n = len(dns.questions)
    wait_until(lambda: dns.questions[n:].count(("_app._tcp.test", SRV)) >= 3,
               "it is asked for again", 30)
    assert homes(roost) == {"a", "b"}


def test_silent_name_server_delays_nobody(stage, dns):
    (a,) = stage.backends("a")
    dns.records["lost.test"] = None
    roost = stage.roost(resolved_by(dns, settings(
        [{"name": "lost", "address": "lost.test:80"}, entry(a)])))
    assert homes(roost) == {"a"}


def test_signals_while_a_name_server_is_silent_are_no_death(stage, dns):
    (a,) = stage.backends("a")
    dns.records["lost.test"] = None
    roost = stage.roost(resolved_by(dns, settings(
        [{"name": "lost", "address": "lost.test:80"}, entry(a)])))
    wait_until(lambda: dns.questions, "the question is asked")
    roost.signal(signal.SIGTERM)
    roost.wait_log("stopped")
    while roost.running():  # TERM after TERM, to the very end
        for _ in range(1000):
            os.kill(roost.pid, signal.SIGTERM)
    assert roost.wait_exit() == 0


def test_reload_keeps_the_addresses(stage, dns):
    a, b = stage.backends("a", "b")
    config = named([a, b], dns, balance="round-robin")
    roost = stage.roost(config)
    roost.wait_log("app#2 is at")
    wait_until(lambda: homes(roost) == {"a", "b"}, "both work")
    dns.records["_app._tcp.test"] = None  # nothing is to be learned any more
    config["upstreams"]["app"]["retries"] = 2
    roost.reload(config)
    assert homes(roost) == {"a", "b"}


def test_time_to_live_is_kept(stage, dns):
    (a,) = stage.backends("a")
    dns.ttl = 3600
    roost = stage.roost(named([a], dns))
    roost.wait_log("backend app/app is at")
    n = len(dns.questions)
    holds_for(lambda: len(dns.questions) == n, "not asked again", 2.5)
