# SPDX-License-Identifier: MIT
"""The identity roost gives to a client that has none."""

import re

import pytest
from peers.client import Person
from peers.roost import changed, entry, settings
from peers.waiting import let_pass, scaled
from peers.websocket import Refused, WsClient

VALUE = r"roost=[A-Za-z0-9_.~-]+"


@pytest.fixture
def roost(stage):
    return stage.proxy("a", "b", client_key=["cookie:roost", "address"])[0]


def issued(response):
    return [c for c in response.all("Set-Cookie") if c.startswith("roost=")]


def attributes(cookie):
    value, *rest = [part.strip() for part in cookie.split(";")]
    assert re.fullmatch(VALUE, value), cookie
    return {a.lower() for a in rest}


def test_is_for_the_server_alone(roost):
    (cookie,) = issued(Person(roost).get())
    wanted = {"httponly", "samesite=lax", "path=/"}
    assert attributes(cookie) >= wanted
    assert "secure" not in attributes(cookie)


def test_comes_with_a_101_too(roost):
    with WsClient(roost.address) as ws:
        (cookie,) = issued(ws.response)
    assert attributes(cookie) >= {"httponly", "samesite=lax", "path=/"}


def test_each_client_gets_its_own(roost):
    assert len({issued(Person(roost).get())[0] for _ in range(20)}) == 20


def test_is_not_issued_to_who_brings_it(roost):
    p = Person(roost, jar=True)
    assert issued(p.get())
    assert not issued(p.get())
    with p.websocket() as ws:
        assert not issued(ws.response)


def test_something_else_by_that_name_is_replaced(roost):
    p = Person(roost, jar=True)
    p.jar = {"roost": "made-up"}
    assert issued(p.get())


def test_is_not_on_what_caches_may_share(roost):
    r = Person(roost).get("/public")
    assert r.body == b"same for all"
    assert not issued(r)


def test_is_not_issued_when_the_list_does_not_want_it(stage):
    roost, *_ = stage.proxy("a", client_key=["header:X-Client"])
    assert not issued(Person(roost, "anna").get())
    assert not issued(Person(roost).get())


def test_is_not_issued_when_a_stronger_key_is_there(stage):
    roost, *_ = stage.proxy("a", client_key=["header:X-Client", "cookie:roost"])
    assert not issued(Person(roost, "anna").get())
    assert issued(Person(roost).get())


def test_the_apps_own_cookies_stay(roost):
    cookies = Person(roost).get("/cookie").all("Set-Cookie")
    assert cookies[:2] == ["a=1; Path=/", "b=2"] or cookies[-2:] == ["a=1; Path=/", "b=2"]
    assert len(cookies) == 3


def test_is_not_on_a_refused_handshake_twice(roost):
    with pytest.raises(Refused) as e:
        WsClient(roost.address, "/ws?refuse=401")
    assert len(issued(e.value.response)) <= 1


def test_steers_without_any_pin(stage):
    """What the cookie says is enough, even for another process with the same secret."""
    secret = stage.directory / "secret"
    secret.write_text("the same on every node, and long enough\n")
    backends = stage.backends("a", "b", "c")
    config = settings(backends, client_key=["cookie:roost"], balance="round-robin")
    config["pins"] = {"secret_file": str(secret)}
    first, second = stage.roost(config), stage.roost(config)
    for _ in range(12):
        p = Person(first, jar=True)
        name = p.backend()
        p.address = second.address
        assert p.backend() == name


def test_new_identity_inherits_what_the_address_chose(stage):
    roost, *_ = stage.proxy("a", "b", "c", client_key=["cookie:roost", "address"])
    p = Person(roost, jar=True)
    with p.websocket() as ws:
        assert {p.backend() for _ in range(10)} == {ws.whoami()}


def test_its_hint_runs_out_like_an_http_lock(stage):
    a, b = stage.backends("a", "b")
    config = settings(
        [entry(a), entry(b, state="down")], client_key=["cookie:roost"],
        pin={"http": "1s"}, rehome={"mode": "off"},
    )
    roost = stage.roost(config)
    p = Person(roost, jar=True)
    assert p.backend() == "a"
    others = [Person(roost, jar=True).websocket() for _ in range(3)]
    roost.reload(changed(config, "b", state="up"))
    let_pass(scaled(2.2))  # its clock counts whole seconds
    assert p.backend() == "b"
    assert others
