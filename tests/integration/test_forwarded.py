# SPDX-License-Identifier: MIT
"""What trusted proxies in front say about a client is believed and handed on; what
anybody else says is not. Seen through {client}, which a route lets the backend see.
"""

import re

import pytest
from peers.client import RawClient
from peers.roost import entry, settings

PROBE = {"set": {"X-Client-Is": "{client}", "X-Scheme-Is": "{scheme}"}}
STYLES = {"x": "x-forwarded", "standard": "standard", "both": "both", "none": "off"}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture(scope="module")
def roost(shared_stage):
    """Its first listener trusts loopback and 10/8, its second nobody."""
    (a,) = shared_stage.backends("a")
    config = settings([])
    config["listeners"] = [
        {"bind": "127.0.0.1:0", "trusted": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]},
        {"bind": "127.0.0.1:0"},
    ]
    config["routes"] = [{"path": f"/{name}", "upstream": name, "request_headers": PROBE}
                        for name in STYLES]
    config["upstreams"] = {
        name: {"backends": [entry(a)], "forwarded": style,
               "trace_context": "create" if name == "both" else "pass"}
        for name, style in STYLES.items()
    }
    return shared_stage.roost(config)


def told(address, headers=(), style="x"):
    """The headers that the backend got."""
    with RawClient(address) as c:
        pairs = c.get(f"/{style}", headers).json()["headers"]
    seen = {}
    for name, value in pairs:
        seen.setdefault(name.lower(), []).append(value)
    return seen


def test_trust_is_reloaded(stage):
    (a,) = stage.backends("a")
    config = settings([entry(a)])
    config["routes"] = [{"path": "/x", "upstream": "app", "request_headers": PROBE}]
    roost = stage.roost(config)
    claim = ("X-Forwarded-For", "192.0.2.9")
    assert client_of(roost.address, claim) == "127.0.0.1"
    config["listeners"][0]["trusted"] = ["127.0.0.1"]
    roost.reload(config)
    assert client_of(roost.address, claim) == "192.0.2.9"


def client_of(address, *headers):
    return told(address, headers)["x-client-is"][0]


def XFF(value):
    return ("X-Forwarded-For", value)


def FWD(value):
    return ("Forwarded", value)


# --- who the client is


@pytest.mark.parametrize("headers,wanted", [
    ([], "127.0.0.1"),
    ([XFF("192.0.2.1")], "192.0.2.1"),
    ([XFF("6.6.6.6, 192.0.2.1, 10.0.0.1")], "192.0.2.1"),
    ([XFF("6.6.6.6"), XFF("192.0.2.1:4711"), XFF("10.0.0.1")], "192.0.2.1"),
    ([XFF("[2001:db8::1]:80, fd00::1")], "2001:db8::1"),
    ([XFF("10.0.0.2, 10.0.0.1")], "10.0.0.2"),
    ([XFF("6.6.6.6, unknown, 10.0.0.1")], "10.0.0.1"),
    ([XFF("unknown")], "127.0.0.1"),
    ([XFF("localhost, 999.0.0.1")], "127.0.0.1"),
    ([FWD('for="[2001:db8::1]:4711";proto=https')], "2001:db8::1"),
    ([FWD("for=6.6.6.6, for=192.0.2.1;by=10.0.0.1"), FWD("For=10.0.0.1")], "192.0.2.1"),
    ([FWD('for=", for=192.0.2.1, for=10.0.0.1')], "192.0.2.1"),
    ([FWD("for=_hidden")], "127.0.0.1"),
    ([FWD("for=6.6.6.6"), XFF("192.0.2.1")], "192.0.2.1"),
])
def test_a_trusted_peer_is_believed(roost, headers, wanted):
    assert client_of(roost.addresses[0], *headers) == wanted


@pytest.mark.parametrize("header", [XFF("6.6.6.6"), FWD("for=6.6.6.6")])
def test_a_stranger_is_not(roost, header):
    assert client_of(roost.addresses[1], header) == "127.0.0.1"


def test_an_address_key_follows_the_client(stage):
    """Two clients behind one proxy have each their backend; one client has one."""
    backends = stage.backends("a", "b")
    config = settings(backends, client_key=["address"], balance="round-robin")
    config["workers"] = 1  # each has a turn of its own
    config["listeners"] = [{"bind": "127.0.0.1:0", "trusted": ["127.0.0.1"]}]
    roost = stage.roost(config)
    chosen = {}
    for _ in range(6):
        for client in ("192.0.2.1", "192.0.2.2"):
            with RawClient(roost.address) as c:
                chosen.setdefault(client, set()).add(c.get("/", [XFF(client)]).backend)
    assert all(len(names) == 1 for names in chosen.values()), chosen
    assert chosen["192.0.2.1"] != chosen["192.0.2.2"]


# --- what the backend is told


def test_lists_of_trusted_peers_are_added_to(roost):
    seen = told(roost.addresses[0], [XFF("6.6.6.6"), XFF("192.0.2.1")])
    assert ", ".join(seen["x-forwarded-for"]) == "6.6.6.6, 192.0.2.1, 127.0.0.1"
    seen = told(roost.addresses[0], [FWD('for="[2001:db8::1]"')], "standard")
    (value,) = seen["forwarded"]
    assert re.fullmatch(r'for="\[2001:db8::1\]", ?for=127\.0\.0\.1;.*', value)


def test_lists_of_strangers_are_replaced(roost):
    for style in STYLES:
        seen = told(roost.addresses[1], [
            XFF("6.6.6.6"), FWD("for=6.6.6.6;host=evil"), ("X-Forwarded-Host", "evil"),
            ("X-Forwarded-Proto", "evil")], style)
        for name in ("x-forwarded-for", "forwarded", "x-forwarded-host",
                     "x-forwarded-proto"):
            assert "6.6.6.6" not in str(seen.get(name)), (style, name)
            assert "evil" not in str(seen.get(name)), (style, name)


def test_each_style_says_its_own(roost):
    host = [("Host", "www.example.com:81")]
    x = told(roost.addresses[1], host, "x")
    assert x["x-forwarded-for"] == ["127.0.0.1"] and "forwarded" not in x
    standard = told(roost.addresses[1], host, "standard")
    assert not any(name.startswith("x-forwarded") for name in standard)
    (value,) = standard["forwarded"]
    pairs = dict(p.split("=", 1) for p in value.split(";"))
    assert pairs["for"] == "127.0.0.1" and pairs["proto"] == "http"
    assert pairs["host"] == '"www.example.com:81"'
    both = told(roost.addresses[1], host, "both")
    assert both["x-forwarded-for"] == ["127.0.0.1"] and both["forwarded"] == [value]
    none = told(roost.addresses[1], host, "none")
    assert not any("forwarded" in name for name in none)


def test_off_passes_on_what_a_trusted_peer_said(roost):
    seen = told(roost.addresses[0], [XFF("192.0.2.1")], "none")
    assert seen["x-forwarded-for"] == ["192.0.2.1"]


@pytest.mark.parametrize("headers,wanted", [
    ([], "http"),
    ([("X-Forwarded-Proto", "https")], "https"),
    ([("X-Forwarded-Proto", "https, http")], "http"),
    ([FWD("for=1.2.3.4;proto=https")], "https"),
])
def test_a_trusted_peer_says_how_the_client_came(roost, headers, wanted):
    assert told(roost.addresses[0], headers)["x-scheme-is"] == [wanted]
    assert told(roost.addresses[1], headers)["x-scheme-is"] == ["http"]


def test_the_scheme_reaches_the_backend(roost):
    seen = told(roost.addresses[0], [("X-Forwarded-Proto", "https"),
                                     ("X-Forwarded-Host", "shop.example")])
    assert seen["x-forwarded-proto"] == ["https"]
    assert seen["x-forwarded-host"][0].startswith("shop.example")


# --- ids


def test_request_ids_of_trusted_peers_are_kept(roost):
    given = ("X-Request-Id", "abc-1.2_3:4+5/6=@")
    assert told(roost.addresses[0], [given])["x-request-id"] == [given[1]]
    (fresh,) = told(roost.addresses[1], [given])["x-request-id"]
    assert fresh != given[1]


@pytest.mark.parametrize("bad", ["", "a b", 'a"b', "a,b", "x" * 129, "\xe4"])
def test_bad_request_ids_are_replaced(roost, bad):
    (fresh,) = told(roost.addresses[0], [("X-Request-Id", bad)])["x-request-id"]
    assert fresh != bad and re.fullmatch("[0-9a-f]{32}", fresh)


def test_traces_pass(roost):
    for address in roost.addresses:
        seen = told(address, [("traceparent", TRACE), ("tracestate", "a=1")])
        assert seen["traceparent"] == [TRACE] and seen["tracestate"] == ["a=1"]
        assert "traceparent" not in told(address)


def test_traces_are_made_where_there_is_none(roost):
    made = [told(roost.address, (), "both")["traceparent"] for _ in range(5)]
    for (value,) in made:
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", value), value
    assert len({value for (value,) in made}) == 5
    assert told(roost.address, [("traceparent", TRACE)], "both")["traceparent"] == [TRACE]
