# SPDX-License-Identifier: MIT
"""Headers that a route sets, adds and removes, in requests and in responses."""

import json

import pytest
from peers.client import RawClient
from peers.roost import entry, settings
from peers.websocket import WsClient

REQUEST = {
    "set": {"X-Set": "roost", "X-Where": "{scheme} {host} {path} {query} {method}",
            "X-Who": "{client} {upstream}", "X-Braces": "{{x}}",
            "X-Id": "{request_id}"},
    "add": {"X-Add": "two"},
    "remove": ["X-Gone", "User-Agent"],
}
RESPONSE = {
    "set": {"Server": "roost", "X-Served-By": "{upstream}/{backend}",
            "X-Asked": "{method} {uri}"},
    "add": {"Set-Cookie": "seen=1"},
    "remove": ["X-Powered-By"],
}


@pytest.fixture(scope="module")
def roost(shared_stage):
    (a,) = shared_stage.backends("a")
    config = settings([])
    config["routes"] = [
        {"path": "/", "upstream": "app", "request_headers": REQUEST,
         "response_headers": RESPONSE},
        {"path": "/plain", "upstream": "app"},
        {"path": "/inside", "rewrite": "/", "upstream": "app",
         "request_headers": {"set": {"Host": "{upstream}.internal",
                                     "X-Was": "{uri}"}}},
        {"path": "/said", "respond": 200, "text": "x", "response_headers": {
            "set": {"Cache-Control": "no-store", "X-Asked": "{path}"}}},
        {"path": "/away", "redirect": "https://{host}/", "response_headers": {
            "set": {"Strict-Transport-Security": "max-age=60"}}},
        {"path": "/trusting", "upstream": "app", "request_headers": {
            "set": {"X-Forwarded-Proto": "https"},
            "remove": ["X-Forwarded-For", "X-Request-Id"]}},
    ]
    config["upstreams"] = {"app": {"backends": [entry(a)]}}
    return shared_stage.roost(config)


def seen(response):
    """The headers that the backend was sent: names in small letters, all values."""
    headers = {}
    for name, value in response.json()["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    return headers


def asked(roost, target, headers=(), method="GET"):
    with RawClient(roost.address) as c:
        return c.request(method, target, headers)


# --- requests


def test_set_takes_the_place_of_all_that_came(roost):
    got = seen(asked(roost, "/x", [("X-Set", "1"), ("x-set", "2")]))
    assert got["x-set"] == ["roost"]


def test_add_stands_beside_what_came(roost):
    assert seen(asked(roost, "/x", [("X-Add", "one")]))["x-add"] == ["one", "two"]
    assert seen(asked(roost, "/x"))["x-add"] == ["two"]


def test_removed_ones_do_not_arrive(roost):
    got = seen(asked(roost, "/x", [("x-GONE", "1"), ("X-Gone", "2"),
                                   ("User-Agent", "u"), ("X-Gon", "3")]))
    assert "x-gone" not in got and "user-agent" not in got
    assert got["x-gon"] == ["3"]


def test_names_stand_for_the_request(roost):
    got = seen(asked(roost, "/a/b?c=d", {"Host": "www.example.com:81"}, "PUT"))
    assert got["x-where"] == ["http www.example.com /a/b c=d PUT"]
    assert got["x-who"] == ["127.0.0.1 app"]
    assert got["x-braces"] == ["{x}"]
    assert got["x-id"] == got["x-request-id"]


def test_a_request_cannot_write_lines_of_its_own(roost):
    got = seen(asked(roost, "/x%0d%0aX-Evil:1?q%0aX-Evil:1"))
    assert got["x-where"][0].split(" ")[2:4] == ["/x%0d%0aX-Evil:1", "q%0aX-Evil:1"]
    assert "x-evil" not in got


def test_host_is_set_and_names_say_what_the_client_sent(roost):
    got = seen(asked(roost, "/inside/y?z", {"Host": "outside.example"}))
    assert got["host"] == ["app.internal"]
    assert got["x-was"] == ["/inside/y?z"]
    assert got["x-forwarded-host"] == ["outside.example"]


def test_other_routes_are_left_alone(roost):
    r = asked(roost, "/plain", [("X-Gone", "1"), ("User-Agent", "u")])
    got = seen(r)
    assert got["x-gone"] == ["1"] and got["user-agent"] == ["u"]
    assert "x-add" not in got and "x-set" not in got
    assert r.header("Server") is None


def test_roosts_own_headers_can_be_edited(roost):
    got = seen(asked(roost, "/trusting"))
    assert got["x-forwarded-proto"] == ["https"]
    assert "x-forwarded-for" not in got and "x-request-id" not in got


def test_a_handshake_is_a_request(roost):
    with WsClient(roost.address, "/ws?a", [("X-Set", "1"), ("X-Gone", "1")]) as ws:
        headers = {k.lower(): v for k, v in json.loads(ws.ask("headers"))}
    assert headers["x-set"] == "roost"
    assert headers["x-where"].endswith(" /ws a GET")
    assert "x-gone" not in headers


# --- responses


def test_responses_are_edited(roost):
    r = asked(roost, "/bytes/3?x")
    assert r.all("Server") == ["roost"]
    assert r.all("X-Served-By") == ["app/a"]
    assert r.all("X-Asked") == ["GET /bytes/3?x"]
    assert (r.header("Content-Length"), r.body) == ("3", bytes(range(3)))


def test_added_cookies_stand_beside_the_backends(roost):
    cookies = asked(roost, "/cookie").all("Set-Cookie")
    assert cookies[:2] == ["a=1; Path=/", "b=2"]
    assert cookies.count("seen=1") == 1


def test_backends_headers_are_replaced_and_removed(stage):
    def answer(sock, head):
        sock.sendall(b"HTTP/1.1 200 OK\r\nServer: secret/1\r\nserver: two\r\n"
                     b"X-Powered-By: old\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok")

    backend = stage.scripted(answer)
    config = settings([backend])
    config["routes"] = [{"path": "/", "upstream": "app", "response_headers": RESPONSE}]
    r = asked(stage.roost(config), "/")
    assert r.all("Server") == ["roost"]
    assert r.header("X-Powered-By") is None
    assert (r.header("X-Kept"), r.body) == ("1", b"ok")


def test_chunked_responses_are_edited(roost):
    r = asked(roost, "/bytes/3?chunked")
    assert r.all("Server") == ["roost"]
    assert r.body == bytes(range(3))


def test_answers_of_roosts_own_are_edited(roost):
    r = asked(roost, "/said/here")
    assert r.all("Cache-Control") == ["no-store"]
    assert (r.header("X-Asked"), r.body) == ("/said/here", b"x")
    r = asked(roost, "/away", {"Host": "h.example"})
    assert r.header("Location") == "https://h.example/"
    assert r.header("Strict-Transport-Security") == "max-age=60"
