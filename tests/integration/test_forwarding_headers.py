# SPDX-License-Identifier: MIT
"""What roost adds for the backend, takes away on the way, and never adds for the
client."""

import pytest
from peers.client import Person, RawClient


@pytest.fixture(scope="module")
def roost(shared_stage):
    return shared_stage.proxy("a")[0]


def told(roost, headers=()):
    with RawClient(roost.address) as c:
        pairs = c.get("/x", headers).json()["headers"]
    seen = {}
    for k, v in pairs:
        seen.setdefault(k.lower(), []).append(v)
    return seen


def test_who_asked(roost):
    seen = told(roost, {"Host": "www.example.com:81"})
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert seen["x-forwarded-host"] == ["www.example.com:81"]
    assert seen["host"] == ["www.example.com:81"]
    assert len(seen["x-request-id"]) == 1


def test_what_strangers_claim_is_replaced(roost):
    seen = told(roost, {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https",
                        "X-Forwarded-Host": "evil", "x-forwarded-for": "7.7.7.7"})
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert "evil" not in seen["x-forwarded-host"]


def test_roosts_own_headers_cannot_be_forged(roost):
    seen = told(roost, {"Roost-Session": "x", "Roost-Rehomed-From": "y"})
    assert "roost-session" not in seen and "roost-rehomed-from" not in seen


def test_request_ids_differ(roost):
    ids = {told(roost)["x-request-id"][0] for _ in range(20)}
    assert len(ids) == 20


def test_hop_by_hop_headers_stop_here(roost):
    seen = told(roost, {"Connection": "keep-alive, X-Private", "X-Private": "1",
                        "Keep-Alive": "timeout=5", "Proxy-Connection": "keep-alive",
                        "TE": "gzip", "X-Public": "2"})
    for name in ("x-private", "keep-alive", "proxy-connection"):
        assert name not in seen, name
    assert seen["x-public"] == ["2"]


def test_everything_else_passes_in_order(roost):
    seen = told(roost, [("X-Two", "1"), ("Accept", "a/b"), ("X-Two", "2"),
                        ("X-Empty", ""), ("X-Bytes", "\xe4\xff")])
    assert seen["x-two"] == ["1", "2"]
    assert seen["x-empty"] == [""]
    assert seen["x-bytes"] == ["\xe4\xff"]


def test_the_answer_has_only_what_the_backend_said(roost):
    r = Person(roost, "p").get("/bytes/3")
    names = {k.lower() for k, _ in r.headers} - {"connection", "keep-alive"}
    assert names == {"x-backend", "content-length"}


def test_upgrade_carries_the_session_id(stage):
    import json

    roost, _ = stage.proxy("a")
    with Person(roost, "p").websocket() as ws:
        headers = {k.lower(): v for k, v in json.loads(ws.ask("headers"))}
    assert headers["roost-session"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "roost-rehomed-from" not in headers
