# SPDX-License-Identifier: MIT
"""Routes that end in roost: an answer of its own, or a redirect."""

import pytest
from peers import frames
from peers.backend import closed_port
from peers.client import RawClient
from peers.roost import settings
from peers.websocket import handshake_headers

BROWSER = "text/html,*/*;q=0.8"
ROUTES = [
    {"path": "/robots.txt", "respond": 200, "text": "User-agent: *"},
    {"path": "/bare", "respond": 200},
    {"path": "/none", "respond": 204},
    {"path": "/gone", "respond": 410, "text": "gone for good"},
    {"path": "/missing", "respond": 404},
    {"path": "/maintenance", "respond": 503, "text": "back at noon"},
    {"path": "/odd", "respond": 599},
    {"path": "/edited", "respond": 200, "text": "x",
     "response_headers": {"set": {"X-Frame-Options": "DENY"}}},
    {"host": "old.example.com", "path": "/",
     "redirect": "https://new.example.com{uri}"},
    {"host": "www.example.com", "path": "/", "redirect": "https://{host}{uri}",
     "redirect_status": 301},
    {"path": "/moved", "redirect": "/here", "redirect_status": 302},
    {"path": "/moved/see", "redirect": "/a?from={path}&b=1", "redirect_status": 303,
     "response_headers": {"set": {"Strict-Transport-Security": "max-age=1"}}},
    {"path": "/moved/again", "redirect": "http://[::1]:8080/x",
     "redirect_status": 307},
    {"path": "/", "upstream": "app"},
]


@pytest.fixture(scope="module")
def roost(shared_stage):
    config = settings([{"name": "gone", "address": closed_port()}])
    config["routes"] = ROUTES
    return shared_stage.roost(config)


@pytest.fixture
def client(roost):
    with RawClient(roost.address) as c:
        yield c


# --- respond


@pytest.mark.quick
@pytest.mark.parametrize("target,status,text", [
    ("/robots.txt", 200, b"User-agent: *"),
    ("/robots.txt?x=1", 200, b"User-agent: *"),
    ("/gone", 410, b"gone for good"),
    ("/maintenance", 503, b"back at noon"),
])
def test_text(client, target, status, text):
    for accept in ("*/*", BROWSER):
        r = client.get(target, {"Accept": accept})
        assert (r.status, r.body) == (status, text)
        assert r.header("Content-Type") == "text/plain; charset=utf-8"


def test_no_content(client):
    r = client.get("/none")
    assert r.status == 204
    assert not [k for k, _ in r.headers if k.lower().startswith("content-")]
    assert not r.header("Transfer-Encoding")
    assert client.get("/robots.txt").status == 200


def test_a_body_of_our_own_where_the_route_has_none(client):
    r = client.get("/missing")
    assert r.status == 404
    assert r.json()["message"] == "Not Found"
    r = client.get("/missing", {"Accept": BROWSER})
    assert r.header("Content-Type") == "text/html; charset=utf-8"
    assert b"404 Not Found" in r.body
    assert client.get("/bare").json()["status"] == 200


def test_a_status_nobody_knows(client):
    assert client.get("/odd").status == 599


@pytest.mark.parametrize("target", ["/robots.txt", "/missing", "/moved", "/none"])
def test_head(client, target):
    get = client.get(target)
    head = client.request("HEAD", target)
    assert (head.status, head.header("Content-Length")) == (
        get.status, get.header("Content-Length"))
    assert head.header("Location") == get.header("Location")
    assert client.get("/robots.txt").status == 200, "nothing came behind the head"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method(client, method):
    assert client.request(method, "/robots.txt").status == 200


@pytest.mark.parametrize("headers,body", [
    ({}, b"x" * 10),
    ({}, b"x" * 300000),
    ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["small", "large", "chunked"])
def test_a_body_that_nobody_wants(roost, headers, body):
    """The answer arrives; the connection goes on behind the body, or ends."""
    with RawClient(roost.address) as c:
        r = c.request("POST", "/gone", headers, body)
        assert (r.status, r.body) == (410, b"gone for good")
        if (r.header("Connection") or "").lower() != "close":
            assert c.get("/robots.txt").body == b"User-agent: *"


def test_a_body_that_never_comes(roost):
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/gone", {"Content-Length": "1000000"}))
        assert c.response().status == 410


def test_expecting_to_continue(roost):
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/gone", {"Content-Length": "5",
                                                 "Expect": "100-continue"}))
        r = c.response()
        assert (r.status, r.interim) == (410, [])


def test_pipelined(client):
    one = client.request_bytes("GET", "/robots.txt")
    two = client.request_bytes("GET", "/moved")
    client.send(one + two + one)
    assert [client.response().status for _ in range(3)] == [200, 302, 200]


def test_http_1_0(roost):
    with RawClient(roost.address) as c:
        r = c.request("GET", "/robots.txt", version="1.0")
        assert r.body == b"User-agent: *"
        assert c.at_end()


def test_a_handshake_gets_the_answer(client):
    r = client.get("/gone", handshake_headers(frames.new_key()))
    assert (r.status, r.body) == (410, b"gone for good")


def test_headers_of_the_route(client):
    assert client.get("/edited").header("X-Frame-Options") == "DENY"
    r = client.get("/moved/see")
    assert r.header("Strict-Transport-Security") == "max-age=1"


def test_no_cookie_is_set(shared_stage):
    config = settings([{"name": "gone", "address": closed_port()}],
                      client_key=["cookie:roost"])
    config["routes"] = [{"path": "/hello", "respond": 200, "text": "hi"},
                        {"path": "/", "upstream": "app"}]
    with RawClient(shared_stage.roost(config).address) as c:
        assert not c.get("/hello").header("Set-Cookie")


def test_a_reload_changes_the_text(stage):
    config = settings([{"name": "gone", "address": closed_port()}])
    config["routes"] = [{"path": "/", "respond": 200, "text": "one"}]
    roost = stage.roost(config)
    with RawClient(roost.address) as c:
        assert c.get("/").body == b"one"
        config["routes"][0]["text"] = "two"
        roost.reload(config)
        assert c.get("/").body == b"two"


# --- redirect


@pytest.mark.quick
@pytest.mark.parametrize("host,target,status,location", [
    ("old.example.com", "/", 308, "https://new.example.com/"),
    ("old.example.com", "/a/b?c=d&e", 308, "https://new.example.com/a/b?c=d&e"),
    ("www.example.com:8080", "/x", 301, "https://www.example.com/x"),
    ("h", "/moved", 302, "/here"),
    ("h", "/moved?lost=1", 302, "/here"),
    ("h", "/moved/see", 303, "/a?from=/moved/see&b=1"),
    ("h", "/moved/again", 307, "http://[::1]:8080/x"),
    ("old.example.com", "/%0d%0aSet-Cookie:x", 308,
     "https://new.example.com/%0d%0aSet-Cookie:x"),
    ("old.example.com", "/%22%3Cb%3E", 308, "https://new.example.com/%22%3Cb%3E"),
])
def test_redirect(client, host, target, status, location):
    r = client.get(target, {"Host": host})
    assert (r.status, r.all("Location")) == (status, [location])
    assert not r.header("Set-Cookie")
    assert r.json()["location"] == location


def test_redirect_as_html(client):
    r = client.get("/a?b=1&c=2", {"Host": "old.example.com", "Accept": BROWSER})
    assert r.header("Content-Type") == "text/html; charset=utf-8"
    assert b'<a href="https://new.example.com/a?b=1&amp;c=2">' in r.body


def test_redirect_keeps_the_connection(client):
    for _ in range(3):
        assert client.get("/moved").status == 302


def test_redirect_of_an_upload(roost):
    with RawClient(roost.address) as c:
        r = c.request("POST", "/moved", body=b"x" * 300000)
        assert (r.status, r.header("Location")) == (302, "/here")


def test_bytes_that_are_no_uri_are_encoded(roost):
    """Where the door lets such a target in at all, they do not get out unchanged."""
    with RawClient(roost.address) as c:
        c.send(b"GET /\xc3\xa9\"<> HTTP/1.1\r\nHost: old.example.com\r\n\r\n")
        r = c.response()
    if r.status == 308:
        location = r.header("Location")
        assert location.isascii() and not set(location) & set('"<> ')
    else:
        assert r.status == 400
