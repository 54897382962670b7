# SPDX-License-Identifier: MIT
"""Request bodies that are too large (413) or come too slowly (408)."""

import time

import pytest
from peers.client import Cut, Person, RawClient
from peers.waiting import let_pass, scaled, wait_until

LIMIT = 100000


@pytest.fixture
def proxy(stage):
    return stage.proxy("a", limits={"max_body": LIMIT})


@pytest.fixture(scope="module")
def shared(shared_stage):
    return shared_stage.proxy("a", timeouts={"body": "2s"})


def refused(response):
    assert response.status == 413
    assert response.json()["error"] == "body_too_large"
    return response


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


# --- too large, and the length says so


@pytest.mark.quick
def test_a_length_beyond_the_limit(proxy):
    roost, a = proxy
    refused(Person(roost, "p").request("POST", "/up", body=b"x" * (LIMIT + 1)))
    assert Person(roost, "p").get().status == 200
    assert [e.target for e in a.events("request")] == ["/"], "only the second arrived"


def test_it_is_refused_before_the_body_comes(proxy):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("PUT", "/up", {"Content-Length": str(10 ** 15)}))
        refused(c.response())
    assert not a.events("request")


def test_who_asks_first_is_spared_the_upload(proxy):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("PUT", "/up", {"Content-Length": str(LIMIT + 1),
                                              "Expect": "100-continue"}))
        assert refused(c.response()).interim == []
    assert not a.events("request")


@pytest.mark.quick
@pytest.mark.parametrize("n", [0, 1, LIMIT - 1, LIMIT])
def test_up_to_the_limit_all_is_well(proxy, n):
    roost, _ = proxy
    r = Person(roost, "p").request("POST", "/up", body=b"x" * n)
    assert (r.status, r.json()["body_length"]) == (200, n)


def test_a_large_upload_can_read_its_answer(proxy):
    """No reset destroys the 413 while the client is still sending."""
    roost, _ = proxy
    for _ in range(5):
        with RawClient(roost.address) as c:
            c.send(c.request_bytes("POST", "/up",
                                   {"Content-Length": str(10 * LIMIT)}))
            try:
                c.send(b"x" * (3 * LIMIT))
            except OSError:
                pass
            refused(c.response())


# --- too large, as it turns out


@pytest.mark.quick
def test_chunks_beyond_the_limit(proxy):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Transfer-Encoding": "chunked"})
               + chunk(b"x" * (LIMIT // 2)))
        a.wait_events("request")
        c.send(chunk(b"x" * (LIMIT // 2)) + chunk(b"x"))
        refused(c.response())
    a.wait_events("aborted", target="/up")
    assert not a.events("done")


def test_one_huge_chunk(proxy):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Transfer-Encoding": "chunked"})
               + b"fffffff\r\n" + b"x" * 1000)
        try:
            for _ in range(LIMIT // 1000):
                c.send(b"x" * 1000)
        except OSError:
            pass
        refused(c.response())
    wait_until(lambda: not a.open().conns or a.events("aborted"), "nobody waits")
    assert not a.events("done")


@pytest.mark.quick
@pytest.mark.parametrize("sizes", [[LIMIT], [LIMIT // 2] * 2, [1] * 500, []])
def test_chunks_up_to_the_limit(proxy, sizes):
    roost, _ = proxy
    body = b"".join(chunk(b"x" * n) for n in sizes) + b"0\r\n\r\n"
    r = Person(roost, "p").request("POST", "/up", [("Transfer-Encoding", "chunked")],
                                   body)
    assert (r.status, r.json()["body_length"]) == (200, sum(sizes))


def test_framing_does_not_count(proxy):
    """Extensions and trailers are no body."""
    roost, _ = proxy
    body = b"".join(b"1;x=%b\r\nx\r\n" % (b"y" * 200) for _ in range(LIMIT // 150))
    r = Person(roost, "p").request("POST", "/up", [("Transfer-Encoding", "chunked")],
                                   body + b"0\r\nX-T: 1\r\n\r\n")
    assert (r.status, r.json()["body_length"]) == (200, LIMIT // 150)


@pytest.mark.quick
@pytest.mark.parametrize("cut", range(1, 28))
def test_framing_may_come_in_pieces(shared, cut):
    """Wherever a segment ends: the rest of a size line is waited for, and read."""
    roost, a = shared
    body = b"5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
    seen = len(a.events("request"))
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Transfer-Encoding": "chunked"})
               + body[:cut])
        a.wait_events("request", seen + 1)
        let_pass(0.02)
        c.send(body[cut:])
        assert c.response().json()["body_length"] == 5


def test_each_request_of_a_connection_counts_anew(proxy):
    roost, _ = proxy
    with RawClient(roost.address) as c:
        for _ in range(4):
            assert c.request("POST", "/up", body=b"x" * (LIMIT - 1)).status == 200


def test_after_the_answer_has_begun_the_connection_is_cut(stage):
    """/echo answers while the body still comes: no 413 can be said any more."""
    roost, a = stage.proxy("a", limits={"max_body": LIMIT})
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/echo", {"Transfer-Encoding": "chunked"})
               + chunk(b"x" * 1000))
        assert c.head().status == 200
        try:
            for _ in range(2 * LIMIT // 1000):
                c.send(chunk(b"x" * 1000))
            c.send(b"0\r\n\r\n")
        except OSError:
            pass
        with pytest.raises((Cut, ConnectionError)):
            while True:
                c.fill()
        assert not bytes(c.buffer).endswith(b"0\r\n\r\n")
    a.wait_events("aborted")


def test_sockets_have_no_body(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        assert ws.ask(b"x" * (3 * LIMIT)) == b"x" * (3 * LIMIT)


# --- too slow


def slow(stage, **keys):
    return stage.proxy("a", timeouts={"body": "1s"},
                       limits={"min_rate": 10000, **keys})


def drip(client, piece, pause, seconds):
    """Sends a little now and then, until the other side has enough of it."""
    end = time.monotonic() + seconds
    client.sock.settimeout(pause)
    try:
        while time.monotonic() < end:
            client.send(piece)
            try:
                client.fill()
                return True
            except TimeoutError:
                pass
    except (OSError, Cut):
        return True
    finally:
        client.sock.settimeout(scaled(10))
    return False


@pytest.mark.quick
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_body_that_trickles(stage, coding):
    roost, a = slow(stage)
    headers = ({"Content-Length": "100000"} if coding == "length"
               else {"Transfer-Encoding": "chunked"})
    with RawClient(roost.address) as c:
        begun = time.monotonic()
        c.send(c.request_bytes("POST", "/up", headers))
        piece = b"x" * 10 if coding == "length" else chunk(b"x" * 10)
        assert drip(c, piece, 0.05, scaled(5)), "it is not let go on for ever"
        assert time.monotonic() - begun > 0.9
        r = c.response()
    assert (r.status, r.json()["error"]) == (408, "body_too_slow")
    a.wait_events("aborted", target="/up")


def test_silence_is_another_thing(stage):
    roost, _ = slow(stage)
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Content-Length": "100000"}) + b"x")
        r = c.response()
    assert r.status == 408
    assert r.json()["error"] in ("body_timeout", "body_too_slow")


def test_a_body_that_is_fast_enough(stage):
    roost, _ = slow(stage)
    n = 16
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/up", {"Content-Length": str(n * 5000)}))
        for _ in range(n):
            let_pass(0.1)
            c.send(b"x" * 5000)
        assert c.response().json()["body_length"] == n * 5000


def test_a_small_body_is_never_too_slow(stage):
    roost, _ = slow(stage)
    assert Person(roost, "p").request("POST", "/up", body=b"x").status == 200


def test_a_wait_for_100_continue_is_not_the_clients(stage):
    roost, a = slow(stage)
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("POST", "/stall", {"Content-Length": "5",
                                                  "Expect": "100-continue"}))
        a.wait_events("request")
        let_pass(1.5)
        a.order("release")
        r = c.head()
        assert r.status == 100
        c.send(b"hello")
        assert c.response().json()["body_length"] == 5
