# SPDX-License-Identifier: MIT
"""Host and path to an upstream: most specific host, then longest path."""

import pytest
from peers.client import RawClient
from peers.roost import entry, settings

NAMES = ("any", "api", "deep", "exact", "wild", "wilder", "hostapi")
ROUTES = [
    {"path": "/", "upstream": "any"},
    {"path": "/api", "upstream": "api"},
    {"path": "/api/deep/", "upstream": "deep"},
    {"host": "chat.example.com", "path": "/", "upstream": "exact"},
    {"host": "chat.example.com", "path": "/api", "upstream": "hostapi"},
    {"host": "*.example.com", "path": "/", "upstream": "wild"},
    {"host": "*.eu.example.com", "path": "/", "upstream": "wilder"},
]
CASES = [
    ("other.org", "/", "any"),
    ("other.org", "/x?y=/api", "any"),
    ("other.org", "/api", "api"),
    ("other.org", "/api/", "api"),
    ("other.org", "/api/x", "api"),
    ("other.org", "/api?x", "api"),
    ("other.org", "/apix", "any"),
    ("other.org", "/api/deep/er", "deep"),
    ("other.org", "/api/deep", "deep"),
    ("other.org", "/api/deeper", "api"),
    ("chat.example.com", "/", "exact"),
    ("chat.example.com:8080", "/", "exact"),
    ("CHAT.example.COM", "/", "exact"),
    ("chat.example.com", "/api/x", "hostapi"),
    ("chat.example.com", "/api/deep/x", "hostapi"),
    ("www.example.com", "/", "wild"),
    ("www.example.com", "/api", "wild"),
    ("a.b.example.com", "/", "wild"),
    ("x.eu.example.com", "/", "wilder"),
    ("example.com", "/", "any"),
    ("notexample.com", "/", "any"),
]


def routed(stage, names, routes):
    backends = stage.backends(*names)
    config = settings([])
    config["routes"] = routes
    config["upstreams"] = {b.name: {"backends": [entry(b)]} for b in backends}
    return stage.roost(config)


@pytest.fixture(scope="module")
def roost(shared_stage):
    return routed(shared_stage, NAMES, ROUTES)


@pytest.mark.parametrize("host,target,wanted", CASES)
def test_route(roost, host, target, wanted):
    with RawClient(roost.address) as c:
        assert c.get(target, {"Host": host}).backend == wanted


def test_absolute_target_names_the_host(roost):
    with RawClient(roost.address) as c:
        r = c.get("http://chat.example.com/x?y", {"Host": "other.org"})
        assert r.backend == "exact"
        assert r.json()["path"] == "/x?y"


def test_no_route_is_404(stage):
    roost = routed(stage, ["api"], [{"host": "h.test", "path": "/api", "upstream": "api"}])
    with RawClient(roost.address) as c:
        assert c.get("/", {"Host": "h.test"}).status == 404
        assert c.get("/api", {"Host": "other.test"}).status == 404
        assert c.get("/api", {"Host": "h.test"}).status == 200


def test_no_route_is_404_for_a_websocket(stage):
    from peers.websocket import Refused, WsClient

    roost = routed(stage, ["api"], [{"path": "/api", "upstream": "api"}])
    with pytest.raises(Refused) as e:
        WsClient(roost.address, "/ws")
    assert e.value.response.status == 404


def test_every_listener_serves(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["listeners"].append({"bind": "127.0.0.1:0"})
    roost = stage.roost(config)
    assert len(set(roost.addresses)) == 2
    for address in roost.addresses:
        with RawClient(address) as c:
            assert c.get("/").backend == "a"
