# SPDX-License-Identifier: MIT
"""Answers that roost makes itself: JSON or HTML by Accept, with a request id, or the
configuration's own pages."""

import re

import pytest
from peers.backend import closed_port
from peers.client import Person, RawClient
from peers.roost import settings

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGE = ("<h1>{{status}} {{phrase}}</h1><p>{{message}}</p>"
        "<code>{{request_id}}</code> {{unknown}} {{")


def config_of(pages=(), **upstream):
    """Nobody listens where requests to / go; nothing leads to other hosts."""
    config = settings([{"name": "gone", "address": closed_port()}], **upstream)
    config["routes"] = [{"path": "/app", "upstream": "app"}]
    if pages:
        config["error_pages"] = [
            {"status": status, "file": str(file)} for status, file in pages]
    return config


@pytest.fixture(scope="module")
def plain(shared_stage):
    return shared_stage.roost(config_of())


def accept(roost, value, target="/nowhere", method="GET"):
    headers = {"Accept": value} if value is not None else {}
    with RawClient(roost.address) as c:
        return c.request(method, target, headers)


@pytest.mark.quick
@pytest.mark.parametrize("value", [
    None, "*/*", "application/json", "application/json, text/plain, */*",
    "text/html;q=0.1, application/json", "text/html;q=0", "image/png", "nonsense",
])
def test_json(plain, value):
    r = accept(plain, value)
    assert r.status == 404
    assert r.header("Content-Type") == "application/json"
    told = r.json()
    assert (told["status"], told["error"]) == (404, "no_route")
    assert told["message"]
    assert re.fullmatch("[0-9a-f]{32}", told["request_id"])


@pytest.mark.quick
@pytest.mark.parametrize("value", [
    BROWSER, "text/html", "text/*", "application/json;q=0.5, text/html;q=0.6",
])
def test_html(plain, value):
    r = accept(plain, value)
    assert r.status == 404
    assert r.header("Content-Type") == "text/html; charset=utf-8"
    assert b"404 Not Found" in r.body
    assert re.search(rb"request [0-9a-f]{32}", r.body)


@pytest.mark.parametrize("value", [None, BROWSER])
def test_head_has_the_same_head_and_no_body(plain, value):
    with RawClient(plain.address) as c:
        headers = {"Accept": value} if value else {}
        get = c.request("GET", "/nowhere", headers)
        head = c.request("HEAD", "/nowhere", headers)
        assert c.request("GET", "/nowhere", headers).status == 404
    assert head.status == get.status
    assert head.headers == get.headers
    assert get.body


def test_errors_are_not_stored(plain):
    assert accept(plain, None).header("Cache-Control") == "no-store"


def test_a_connection_outlives_an_error(plain):
    with RawClient(plain.address) as c:
        for _ in range(3):
            assert c.get("/nowhere").status == 404
            assert c.get("/app").status == 502


def test_the_log_knows_the_request_id(plain):
    plain.mark()
    request_id = accept(plain, None).json()["request_id"]
    plain.wait_log(request_id)


def test_a_busy_upstream_says_when_to_come_back(stage):
    config = config_of()
    config["upstreams"]["app"]["backends"][0]["state"] = "down"
    r = Person(stage.roost(config)).get("/app")
    assert (r.status, r.json()["error"]) == (503, "no_backend")
    assert int(r.header("Retry-After")) >= 1


# --- pages of the configuration


def write(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    return file


@pytest.mark.quick
def test_a_page_of_the_configuration(stage, tmp_path):
    roost = stage.roost(config_of([(404, write(tmp_path, "404.html", PAGE)),
                                   (502, write(tmp_path, "502.html", "<b>oh</b>"))]))
    r = accept(roost, BROWSER)
    assert r.status == 404
    assert r.header("Content-Type") == "text/html; charset=utf-8"
    page = re.fullmatch(
        "<h1>404 Not Found</h1><p>([^<>]+)</p>"
        "<code>([0-9a-f]{32})</code> {{unknown}} {{", r.body.decode())
    assert page
    assert page[1] == accept(roost, None).json()["message"]
    assert accept(roost, BROWSER, "/app").body == b"<b>oh</b>"


def test_a_page_is_for_those_who_like_html(stage, tmp_path):
    roost = stage.roost(config_of([(404, write(tmp_path, "404.html", PAGE))]))
    for value in (None, "*/*", "application/json"):
        assert accept(roost, value).json()["error"] == "no_route"


def test_other_statuses_keep_our_page(stage, tmp_path):
    roost = stage.roost(config_of([(503, write(tmp_path, "503.html", "busy"))]))
    assert b"404 Not Found" in accept(roost, BROWSER).body


def test_head_of_a_page(stage, tmp_path):
    roost = stage.roost(config_of([(404, write(tmp_path, "404.html", PAGE))]))
    get = accept(roost, BROWSER)
    head = accept(roost, BROWSER, method="HEAD")
    assert head.header("Content-Length") == get.header("Content-Length")
    assert not head.body


def test_a_large_page(stage, tmp_path):
    text = "".join(f"<p>{i}</p>\n" for i in range(15000))
    roost = stage.roost(config_of([(404, write(tmp_path, "404.html", text))]))
    assert accept(roost, BROWSER).body.decode() == text


def test_an_empty_page(stage, tmp_path):
    roost = stage.roost(config_of([(404, write(tmp_path, "404.html", ""))]))
    r = accept(roost, BROWSER)
    assert (r.status, r.header("Content-Length"), r.body) == (404, "0", b"")


def test_pages_are_read_with_the_configuration(stage, tmp_path):
    file = write(tmp_path, "404.html", "one")
    roost = stage.roost(config_of([(404, file)]))
    file.write_text("two")
    assert accept(roost, BROWSER).body == b"one"
    roost.reload(roost.config)
    assert accept(roost, BROWSER).body == b"two"
    file.unlink()
    assert accept(roost, BROWSER).body == b"two"
    roost.reload(roost.config, fails=True)
    assert accept(roost, BROWSER).body == b"two"


def test_what_the_backend_says_is_its_own(stage, tmp_path):
    (a,) = stage.backends("a")
    config = settings([a])
    config["error_pages"] = [
        {"status": 404, "file": str(write(tmp_path, "404.html", "ours"))}]
    roost = stage.roost(config)
    r = accept(roost, BROWSER, "/status/404")
    assert (r.status, r.backend, r.body) == (404, "a", b"")
