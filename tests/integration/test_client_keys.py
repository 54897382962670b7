# SPDX-License-Identifier: MIT
"""Who is the client: header, query, cookie, address, and the order of the list."""

import pytest
from peers.client import Person


def assert_steered(people):
    """Each one's HTTP reaches its socket's backend, and they are not all the same."""
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    assert len(set(names)) > 1
    for _ in range(3):
        assert [p.backend() for p in people] == names


def test_header(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["header:X-User"])
    assert_steered([Person(roost, headers=[("x-user", f"u{i}")]) for i in range(10)])


def test_query(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["query:client"])
    assert_steered([Person(roost, query=f"v=1&client=c{i}&x=y") for i in range(10)])


def test_cookie_of_the_app(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["cookie:sid"])
    people = []
    for i in range(10):
        p = Person(roost, jar=True)
        p.jar = {"other": "x", "sid": f"s{i}"}
        people.append(p)
    assert_steered(people)


@pytest.mark.quick
def test_cookie_of_roost(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["cookie:roost"])
    assert_steered([Person(roost, jar=True) for _ in range(10)])


def test_default_keys_steer_people_with_cookies(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["cookie:roost", "address"])
    people = [Person(roost, jar=True) for _ in range(12)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    for _ in range(3):
        assert [p.backend() for p in people] == names


def test_address(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["address"])
    anyone = Person(roost)
    with anyone.websocket() as ws:
        assert {anyone.backend() for _ in range(10)} == {ws.whoami()}


def test_one_address_does_not_flood_one_backend(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["address"])
    sockets = [Person(roost).websocket() for _ in range(40)]
    names = [ws.whoami() for ws in sockets]
    assert 14 <= names.count("a") <= 26


def test_first_of_the_list_with_a_value_counts(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["header:X-User", "query:client"])
    people = [Person(roost, headers=[("X-User", f"u{i}")]) for i in range(8)]
    names = [p.websocket().whoami() for p in people]
    for i, p in enumerate(people):
        p.query = f"client=c{i % 2}"
        assert p.backend() == names[i]


def test_empty_value_counts_as_absent(stage):
    roost, *_ = stage.proxy("a", "b", client_key=["header:X-User", "query:client"])
    people = [
        Person(roost, headers=[("X-User", "")], query=f"client=c{i}") for i in range(8)
    ]
    assert_steered(people)


def test_same_key_in_two_upstreams_is_two_clients(stage):
    from peers.roost import entry, settings

    a, b, c = stage.backends("a", "b", "c")
    config = settings([a, b])
    config["upstreams"]["other"] = {
        "client_key": ["header:X-Client"], "backends": [entry(c)],
    }
    config["routes"].append({"path": "/other/", "upstream": "other"})
    roost = stage.roost(config)
    anna = Person(roost, "anna")
    with anna.websocket("/other/ws") as ws:
        assert ws.whoami() == "c"
        assert anna.backend("/") in ("a", "b")
        assert anna.backend("/other/x") == "c"
