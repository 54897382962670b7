# SPDX-License-Identifier: MIT
"""PROXY headers from balancers in front of roost, believed only where the configuration
says so, and those that roost sends to backends."""

import json
import os
import struct
import tempfile

import pytest
from peers import frames
from peers.client import Cut, Person, RawClient
from peers.relay import Relay, header_v1, header_v2
from peers.roost import changed, settings
from peers.waiting import wait_until
from peers.websocket import WsClient

HERE, AWAY = ["127.0.0.0/8"], ["10.0.0.0/8"]
CLIENT, SITE = ("192.0.2.7", 4711), ("198.51.100.1", 443)
CLIENT6, SITE6 = ("2001:db8::7", 4711), ("2001:db8::1", 443)

HEADERS = {
    "v1": header_v1(CLIENT, SITE),
    "v2": header_v2(CLIENT, SITE),
    "v1 IPv6": header_v1(CLIENT6, SITE6),
    "v2 IPv6": header_v2(CLIENT6, SITE6),
    "v2 with more": header_v2(CLIENT, SITE, b"\4\0\3abc\2\0\7example"),
}
LOCAL = {
    "v1": header_v1(),
    "v1 with more": b"PROXY UNKNOWN 192.0.2.7 198.51.100.1 1 2\r\n",
    "v2": header_v2(),
    "v2 with more": header_v2(tlvs=b"\4\0\3abc"),
    "v2 unspecified": header_v2()[:12] + b"\x21\0\0\0",
    "v2 datagram": header_v2(CLIENT, SITE)[:13] + b"\x12"
                   + header_v2(CLIENT, SITE)[14:],
}
BAD = {
    "v1 without addresses": b"PROXY TCP4\r\n",
    "v1 bad address": b"PROXY TCP4 192.0.2.777 198.51.100.1 1 2\r\n",
    "v1 bad port": b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
    "v1 bare LF": b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
    "v1 endless": b"PROXY UNKNOWN " + b"x" * 200,
    "v2 bad version": header_v2()[:12] + b"\x11\x11\0\0",
    "v2 bad command": header_v2()[:12] + b"\x22\x11\0\0",
    "v2 bad family": header_v2()[:12] + b"\x21\x41\0\0",
    "v2 too short": header_v2()[:12] + b"\x21\x11\0\4abcd",
    "v2 too long": header_v2()[:12] + b"\x21\x11\xff\xff",
    "v2 bad extra": header_v2(CLIENT, SITE, b"\4\0\4abc"),
    "v2 bad checksum": header_v2(CLIENT, SITE, b"\3\0\4abcd"),
}


@pytest.fixture(scope="module")
def roost(shared_stage):
    config = settings(shared_stage.backends("a"))
    config["listeners"] = [
        {"bind": "127.0.0.1:0", **keys} for keys in (
            {},
            {"proxy_protocol": "optional", "trusted": HERE},
            {"proxy_protocol": "required", "trusted": HERE},
            {"proxy_protocol": "optional", "trusted": AWAY},
            {"proxy_protocol": "required", "trusted": AWAY},
        )
    ]
    r = shared_stage.roost(config)
    names = ("off", "optional", "required", "optional_away", "required_away")
    r.listeners = dict(zip(names, r.addresses))
    return r


def ask(roost, listener, preface=b"", headers=()):
    """What the backend says it was told; None where nothing was answered at all."""
    with RawClient(roost.listeners[listener]) as c:
        try:
            c.send(preface + c.request_bytes("GET", "/x", headers))
            r = c.response()
        except (Cut, ConnectionError):
            assert not c.buffer
            return None
        if r.status != 200:
            return r.status
        return told(r.json()["headers"])


def told(pairs):
    return {k.lower(): v for k, v in pairs}


# --- in


@pytest.mark.quick
@pytest.mark.parametrize("listener", ["optional", "required"])
@pytest.mark.parametrize("name", HEADERS)
def test_trusted_peer_tells_the_client(roost, listener, name):
    ip = CLIENT6[0] if "IPv6" in name else CLIENT[0]
    assert ask(roost, listener, HEADERS[name])["x-forwarded-for"] == ip


@pytest.mark.parametrize("listener", ["optional", "required"])
@pytest.mark.parametrize("name", LOCAL)
def test_header_without_address_leaves_the_peer(roost, listener, name):
    assert ask(roost, listener, LOCAL[name])["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.quick
def test_optional_goes_without(roost):
    assert ask(roost, "optional")["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.quick
def test_required_does_not_go_without(roost):
    roost.mark()
    assert ask(roost, "required") is None
    roost.wait_log("missing or malformed PROXY header")


@pytest.mark.parametrize("listener", ["optional", "required"])
@pytest.mark.parametrize("name", BAD)
def test_malformed_header_ends_the_connection(roost, listener, name):
    assert ask(roost, listener, BAD[name]) is None


@pytest.mark.parametrize("name", HEADERS)
def test_strangers_are_not_believed(roost, name):
    header = HEADERS[name]
    assert ask(roost, "off", header) in (None, 400, 505)
    assert ask(roost, "optional_away", header) in (None, 400, 505)
    assert ask(roost, "required_away", header) is None
    assert ask(roost, "required_away") is None
    assert ask(roost, "optional_away")["x-forwarded-for"] == "127.0.0.1"


def test_the_client_behind_the_header_is_not_trusted_with_its_list(roost):
    """The balancer is trusted; what its client writes into a request is not."""
    forged = {"X-Forwarded-For": "6.6.6.6"}
    seen = ask(roost, "required", HEADERS["v2"], forged)
    assert seen["x-forwarded-for"] == CLIENT[0]


def test_trusted_client_behind_the_header_is_asked_on(roost):
    inner = header_v2(("127.0.0.9", 1), SITE)
    seen = ask(roost, "required", inner, {"X-Forwarded-For": "203.0.113.5"})
    assert seen["x-forwarded-for"].split(", ")[0] == "203.0.113.5"


@pytest.mark.parametrize("name", [*HEADERS, "UNKNOWN"])
def test_header_that_comes_byte_by_byte(roost, name):
    header = HEADERS.get(name, header_v1())
    with RawClient(roost.listeners["required"]) as c:
        for i in range(len(header)):
            c.send(header[i:i + 1])
        assert c.get("/x").status == 200


@pytest.mark.quick
def test_header_counts_for_the_whole_connection(roost):
    with RawClient(roost.listeners["required"]) as c:
        c.send(HEADERS["v2"])
        for _ in range(3):
            assert told(c.get("/x").json()["headers"])["x-forwarded-for"] == CLIENT[0]
        c.send(c.request_bytes("GET", "/1") + c.request_bytes("GET", "/2"))
        for _ in range(2):
            assert told(c.response().json()["headers"])["x-forwarded-for"] == CLIENT[0]


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_second_header_is_no_request(roost, name):
    header = HEADERS[name]
    assert ask(roost, "required", header + header) in (None, 400, 505)
    with RawClient(roost.listeners["required"]) as c:
        c.send(header)
        assert c.get("/x").status == 200
        c.send(header)
        try:
            assert c.response().status in (400, 505)
        except (Cut, ConnectionError):
            assert not c.buffer


def test_blank_line_is_no_header(roost):
    """A CRLF before the request line begins like version 2, and is none."""
    seen = [ask(roost, name, b"\r\n") for name in ("off", "optional")]
    assert type(seen[0]) is type(seen[1])
    assert ask(roost, "required", b"\r\n") is None


def test_client_that_leaves_within_the_header(roost):
    before = roost.descriptors()
    for header in HEADERS.values():
        with RawClient(roost.listeners["required"]) as c:
            c.send(header[:-3])
    wait_until(lambda: roost.descriptors() <= before, "its connection is closed")


@pytest.mark.quick
def test_session_of_a_client_behind_a_balancer(roost):
    for header in (HEADERS["v1"], HEADERS["v2"]):
        with WsClient(roost.listeners["required"], preface=header) as ws:
            assert told(json.loads(ws.ask("headers")))["x-forwarded-for"] == CLIENT[0]
            assert ws.ask("x" * 70000) == "x" * 70000


def test_first_frame_right_behind_the_handshake(roost):
    """Header, handshake and a message in one piece: nothing of it is lost."""
    from peers.websocket import handshake_headers

    with RawClient(roost.listeners["required"]) as c:
        request = c.request_bytes("GET", "/ws", handshake_headers(frames.new_key()))
        c.send(HEADERS["v2"] + request
               + frames.encode(frames.TEXT, b"early", True, 0, True))
        assert c.response().status == 101
        assert c.take(7) == b"\x81\x05early"


def test_client_address_is_the_key(stage):
    """The pin by address belongs to the client, not to the balancer."""
    a, b = stage.backends("a", "b")
    config = settings([a, b], client_key=["address"], balance="round-robin")
    config["listeners"] = [
        {"bind": "127.0.0.1:0", "proxy_protocol": "required", "trusted": HERE}]
    roost = stage.roost(config)
    owners = {}
    for i in range(1, 9):
        header = header_v2((f"192.0.2.{i}", 1000 + i), SITE)
        with WsClient(roost.address, preface=header) as ws:
            owners[i] = ws.whoami()
            for port in (1, 2, 3):
                with RawClient(roost.address) as c:
                    c.send(header_v1((f"192.0.2.{i}", port), SITE))
                    assert c.get("/x").backend == owners[i]
    assert set(owners.values()) == {"a", "b"}


def test_trusted_unix_socket(stage):
    with tempfile.TemporaryDirectory(prefix="roost") as place:
        config = settings(stage.backends("a"))
        config["listeners"] = [
            {"bind": f"unix:{os.path.join(place, 'r.sock')}",
             "proxy_protocol": "required", "trusted": ["unix"]}]
        r = stage.roost(config)
        r.listeners = {"unix": r.address}
        assert ask(r, "unix", HEADERS["v2"])["x-forwarded-for"] == CLIENT[0]
        assert ask(r, "unix", HEADERS["v1 IPv6"])["x-forwarded-for"] == CLIENT6[0]
        assert ask(r, "unix") is None
        r.stop()


# --- out


def in_front_of(stage, version, *names, listener=None, **upstream):
    """A roost that sends headers to relays in front of app servers."""
    relays = [Relay(b, header=True) for b in stage.backends(*names)]
    stage.others += relays
    config = settings(relays, proxy_protocol=f"v{version}", **upstream)
    if listener:
        config["listeners"] = [{"bind": "127.0.0.1:0", **listener}]
    return stage.roost(config), *relays


def check_header(header, version, source, destination):
    assert (header.version, header.source, header.destination) == (
        version, source, destination)


@pytest.mark.quick
@pytest.mark.parametrize("version", [1, 2])
def test_backend_is_told_who_asks(stage, version):
    roost, a = in_front_of(stage, version, "a")
    with RawClient(roost.address) as c:
        assert c.get("/x").backend == "a"
        check_header(a.headers[0], version, c.sock.getsockname(), roost.address)
    assert not a.mistakes


@pytest.mark.parametrize("version", [1, 2])
def test_each_exchange_has_its_own_connection(stage, version):
    roost, a = in_front_of(stage, version, "a")
    clients = [RawClient(roost.address) for _ in range(3)]
    for _ in range(3):
        for c in clients:
            assert c.get("/x").status == 200
    mine = [c.sock.getsockname() for c in clients]
    assert [h.source for h in a.headers] == mine * 3
    for c in clients:
        c.close()
    wait_until(lambda: a.accepted == 9, "nine connections")
    assert not a.mistakes


@pytest.mark.parametrize("version", [1, 2])
def test_bodies_follow_the_header(stage, version):
    roost, a = in_front_of(stage, version, "a")
    body = os.urandom(500000)
    with RawClient(roost.address) as c:
        assert len(c.get("/bytes/500000?chunked").body) == 500000
        # the last one: an echo that begins before its request has ended says close
        assert c.request("POST", "/echo", body=body).body == body
    assert not a.mistakes


@pytest.mark.quick
@pytest.mark.parametrize("version", [1, 2])
def test_session_is_told_of_too(stage, version):
    roost, a = in_front_of(stage, version, "a")
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        check_header(a.headers[0], version, ws.raw.sock.getsockname(), roost.address)
        assert ws.ask("x" * 70000) == "x" * 70000
        assert ws.close() == 1000
    assert not a.mistakes


@pytest.mark.parametrize("header", ["v1", "v2", "v2 IPv6"])
@pytest.mark.parametrize("version", [1, 2])
def test_what_came_in_goes_out(stage, version, header):
    roost, a = in_front_of(stage, version, "a",
                           listener={"proxy_protocol": "required", "trusted": HERE})
    source, destination = (CLIENT6, SITE6) if "IPv6" in header else (CLIENT, SITE)
    with RawClient(roost.address) as c:
        c.send(HEADERS[header])
        assert c.get("/x").status == 200
        assert c.get("/x").status == 200
    assert len(a.headers) == 2
    for h in a.headers:
        check_header(h, version, source, destination)
    with WsClient(roost.address, preface=HEADERS[header]) as ws:
        assert ws.whoami() == "a"
    check_header(a.headers[2], version, source, destination)


@pytest.mark.parametrize("version", [1, 2])
def test_client_of_a_unix_socket_has_no_address(stage, version):
    with tempfile.TemporaryDirectory(prefix="roost") as place:
        roost, a = in_front_of(
            stage, version, "a",
            listener={"bind": f"unix:{os.path.join(place, 'r.sock')}"})
        with RawClient(roost.address) as c:
            assert c.get("/x").status == 200
        check_header(a.headers[0], version, None, None)
        roost.stop()


def test_backend_on_a_unix_socket_is_told(stage):
    with tempfile.TemporaryDirectory(prefix="roost") as place:
        (backend,) = stage.backends("a")
        relay = Relay(backend, os.path.join(place, "a.sock"), header=True)
        stage.others.append(relay)
        roost = stage.roost(settings([relay], proxy_protocol="v2"))
        with RawClient(roost.address) as c:
            assert c.get("/x").backend == "a"
            check_header(relay.headers[0], 2, c.sock.getsockname(), roost.address)
        relay.stop()
        stage.others.remove(relay)


@pytest.mark.quick
def test_moved_session_is_told_of_at_its_new_backend(stage):
    fast = {"mode": "transparent", "rate": 1000, "debounce": "50ms"}
    roost, a, b = in_front_of(stage, 2, "a", "b", rehome=fast)
    with Person(roost, "p").websocket() as ws:
        first = ws.whoami()
        other = {"a": b, "b": a}[first]
        roost.reload(changed(roost.config, first, state="drain"))
        wait_until(lambda: ws.whoami() == other.name, "the session has moved")
        check_header(other.headers[-1], 2, ws.raw.sock.getsockname(), roost.address)
    assert not a.mistakes and not b.mistakes


def test_switched_on_by_a_reload_no_kept_connection_is_used(stage):
    """What was opened without a header would say nothing of the client."""
    (backend,) = stage.backends("a")
    relay = Relay(backend)
    stage.others.append(relay)
    roost = stage.roost(settings([relay]))
    for _ in range(4):
        assert Person(roost, "p").get("/x").status == 200
    kept = relay.accepted
    relay.header = True
    roost.reload(settings([relay], proxy_protocol="v2"))
    with RawClient(roost.address) as c:
        assert c.get("/x").status == 200
        check_header(relay.headers[0], 2, c.sock.getsockname(), roost.address)
    assert relay.accepted == kept + 1


def test_tries_at_another_backend_carry_it_too(stage):
    """A backend that does not answer is left for another, which is told the same."""
    from peers.backend import closed_port

    (backend,) = stage.backends("b")
    relay = Relay(backend, header=True)
    stage.others.append(relay)
    dead = {"name": "dead", "address": closed_port()}
    roost = stage.roost(settings([dead, relay], proxy_protocol="v1",
                                 balance="round-robin", retries=1))
    for _ in range(4):
        with RawClient(roost.address) as c:
            assert c.get("/x").backend == "b"
            check_header(relay.headers[-1], 1, c.sock.getsockname(), roost.address)
