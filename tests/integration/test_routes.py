# SPDX-License-Identifier: MIT
"""What decides about a route beside host and prefix, and where a route leads: exact
paths, methods, headers; answers of roost's own, redirects, rewritten paths.
"""

import pytest
from peers.client import RawClient
from peers.roost import entry, settings
from peers.websocket import Refused, WsClient

NAMES = ("rest", "exact", "slash", "read", "find", "beta", "both")
ROUTES = [
    {"path": "/", "upstream": "rest"},
    {"path": "/one", "match": "exact", "upstream": "exact"},
    {"path": "/two/", "match": "exact", "upstream": "slash"},
    {"path": "/m", "methods": ["GET"], "upstream": "read"},
    {"path": "/m", "methods": ["PROPFIND", "POST"], "upstream": "find"},
    {"path": "/h", "headers": {"X-Beta": "yes"}, "upstream": "beta"},
    {"path": "/h", "headers": {"X-Beta": "yes", "X-Any": "*"}, "upstream": "both"},
    {"path": "/admin", "respond": 403, "text": "no entry"},
    {"path": "/gone", "respond": 410},
    {"path": "/empty", "respond": 204},
    {"path": "/robots.txt", "match": "exact", "respond": 200, "text": "User-agent: *"},
    {"path": "/secure", "redirect": "https://{host}{uri}"},
    {"path": "/moved", "redirect": "/new{path}?from={method}&q={query}",
     "redirect_status": 301},
    {"path": "/api/", "rewrite": "/", "upstream": "rest"},
    {"path": "/old", "rewrite": "/v2", "upstream": "rest"},
    {"path": "/index.php", "match": "exact", "rewrite": "/app/start", "upstream": "rest"},
]


@pytest.fixture(scope="module")
def roost(shared_stage):
    backends = shared_stage.backends(*NAMES)
    config = settings([])
    config["routes"] = ROUTES
    config["upstreams"] = {b.name: {"backends": [entry(b)]} for b in backends}
    return shared_stage.roost(config)


@pytest.fixture
def client(roost):
    with RawClient(roost.address) as c:
        yield c


# --- which route


@pytest.mark.parametrize("target,wanted", [
    ("/one", "exact"), ("/one?x", "exact"), ("/one/", "rest"), ("/one/x", "rest"),
    ("/two/", "slash"), ("/two", "rest"), ("/two/x", "rest"), ("/%6fne", "exact"),
    ("/x/../one", "exact"), ("//one", "exact"), ("/one/.", "rest"),
])
def test_exact_paths(client, target, wanted):
    assert client.get(target).backend == wanted


@pytest.mark.parametrize("method,wanted", [
    ("GET", "read"), ("HEAD", "read"), ("POST", "find"), ("PROPFIND", "find"),
    ("PUT", "rest"), ("post", "rest"), ("get", "rest"),
])
def test_methods(client, method, wanted):
    assert client.request(method, "/m").backend == wanted


@pytest.mark.parametrize("headers,wanted", [
    ([], "rest"),
    ([("x-beta", "yes")], "beta"),
    ([("X-Beta", "Yes")], "rest"),
    ([("X-Beta", "no"), ("X-Beta", "yes")], "beta"),
    ([("X-Beta", "yes"), ("X-Any", "")], "both"),
    ([("X-Any", "1")], "rest"),
])
def test_headers(client, headers, wanted):
    assert client.get("/h", headers).backend == wanted


def test_a_websocket_is_a_get(roost):
    with WsClient(roost.address, "/m") as ws:
        assert ws.ask("whoami") == "read"


@pytest.mark.parametrize("target", [
    "/admin", "/admin/", "/admin/x?y", "/%61dmin", "/x/../admin", "/x/%2e%2E/admin/y",
    "/x/..%2Fadmin", "//admin", "/./admin", "/%2Fadmin", "/admin/x/..",
])
def test_no_spelling_slips_past_a_closed_path(client, target):
    r = client.get(target)
    assert (r.status, r.body) == (403, b"no entry")


@pytest.mark.parametrize("target", [
    "/adminx", "/ADMIN", "/admin/..", "/admin/../x", "/%2561dmin", "/x?/admin",
])
def test_other_paths_pass_as_they_were_sent(client, target):
    r = client.get(target)
    assert r.backend == "rest"
    assert r.json()["path"] == target


# --- answers of roost's own


def test_a_text_is_the_answer(client):
    r = client.get("/robots.txt")
    assert (r.status, r.body) == (200, b"User-agent: *")
    assert r.backend is None
    r = client.request("HEAD", "/robots.txt")
    assert (r.status, r.header("Content-Length")) == (200, "13")


def test_answers_leave_the_connection_usable(client):
    for _ in range(3):
        assert client.get("/gone").status == 410
        r = client.get("/empty")
        assert (r.status, r.body) == (204, b"")
        assert client.get("/secure").status == 308
        assert client.get("/").backend == "rest"


def test_a_body_is_no_second_request(roost):
    with RawClient(roost.address) as c:
        body = b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"
        r = c.request("POST", "/admin", body=body)
        assert r.status == 403
        assert c.at_end()


@pytest.mark.parametrize("target,status", [("/admin", 403), ("/secure", 308)])
def test_no_websocket_where_no_upstream_is(roost, target, status):
    with pytest.raises(Refused) as e:
        WsClient(roost.address, target)
    assert e.value.response.status == status


# --- redirects


@pytest.mark.parametrize("host,target,wanted", [
    ("www.example.com", "/secure", "https://www.example.com/secure"),
    ("www.example.com:8080", "/secure/a?b=c", "https://www.example.com/secure/a?b=c"),
    ("[::1]:80", "/secure?", "https://[::1]/secure?"),
    ("h", "/x/../secure/%0d%0aX-Evil:1", "https://h/x/../secure/%0d%0aX-Evil:1"),
])
def test_to_https(client, host, target, wanted):
    r = client.get(target, {"Host": host})
    assert (r.status, r.header("Location")) == (308, wanted)
    assert r.header("X-Evil") is None


def test_names_in_a_redirect(client):
    r = client.request("POST", "/moved/x?a=b&c", body=b"")
    assert (r.status, r.header("Location")) == (301, "/new/moved/x?from=POST&q=a=b&c")


# --- rewritten paths


@pytest.mark.parametrize("target,wanted", [
    ("/api/x", "/x"), ("/api", "/"), ("/api/", "/"), ("/api?q=/api", "/?q=/api"),
    ("/old/x/?y", "/v2/x/?y"), ("/old", "/v2"), ("/older", "/older"),
    ("/index.php?id=1", "/app/start?id=1"), ("/%69ndex.php", "/app/start"),
    ("/old/group%2Fproject/%7e", "/v2/group%2Fproject/%7e"),
    ("/%6Fld/x%20y", "/v2/x%20y"), ("//old/a%3Fb", "/v2/a%3Fb"),
    ("/old/../old/y", "/v2/y"), ("/old/x/%2e%2e/y", "/v2/y"),
    ("/old/x/../../old/../old/y", "/v2/y"), ("/api//evil.example/", "/evil.example/"),
])
def test_rewritten(client, target, wanted):
    r = client.get(target)
    assert r.backend == "rest"
    assert r.json()["path"] == wanted


def test_an_absolute_target_is_rewritten(client):
    r = client.get("http://other.example/old/x?y", {"Host": "h"})
    assert r.json()["path"] == "/v2/x?y"
    assert ["Host", "other.example"] in r.json()["headers"]


def test_the_path_of_a_websocket_is_rewritten(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["routes"] = [{"path": "/live", "rewrite": "/ws", "upstream": "app"}]
    roost = stage.roost(config)
    with WsClient(roost.address, "/live/chat?room=1") as ws:
        assert ws.ask("whoami") == "a"
    a.wait_events("handshake", target="/ws/chat?room=1")
