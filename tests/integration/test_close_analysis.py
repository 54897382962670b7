# SPDX-License-Identifier: MIT
"""Every end of a session is classified, with the code each side said and saw; half-open
connections are settled within seconds; what may not stand on the wire never does."""

import re
import socket
import time

import pytest
from peers import frames
from peers.client import Person
from peers.roost import changed
from peers.waiting import scaled, wait_until

END = re.compile(
    r"ended by (?P<who>\w+) \((?P<why>[^)]*)\): code (?P<code>\d+), .*"
    r"cause (?P<cause>\w+), client said (?P<c_said>\d+) saw (?P<c_saw>\d+), .*"
    r"backend said (?P<b_said>\d+) saw (?P<b_saw>\d+), ")


def end_of(roost, seconds=10):
    return wait_until(lambda: END.search(roost.log()), "the end line", seconds)


def codes(end):
    return tuple(int(end[k]) for k in ("c_said", "c_saw", "b_said", "b_saw"))


@pytest.fixture
def proxy(stage):
    return stage.proxy("a", rehome={"mode": "off"})


CAUSES = {
    1000: "clean", None: "clean", 1001: "going_away", 1002: "protocol",
    1003: "bad_data", 1007: "bad_data", 1008: "policy", 1009: "too_big", 1011: "error",
    1012: "restart", 1013: "restart", 3000: "application", 4999: "application",
}


@pytest.mark.parametrize("code", CAUSES)
def test_client_says_it(proxy, code):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.close(code)
    end = end_of(roost)
    assert (end["who"], end["cause"]) == ("client", CAUSES[code])
    assert codes(end) == (code or 1005,) * 4


@pytest.mark.parametrize("code", [1000, None, 1001, 1011, 4000])
def test_backend_says_it(proxy, code):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send(f"close {code}" if code else "close")
        assert ws.close_code() == code
        ws.send_close(code)
        assert ws.raw.at_end()
    end = end_of(roost)
    assert (end["who"], end["cause"]) == ("backend", CAUSES.get(code, "application"))
    assert codes(end) == (code or 1005,) * 4


@pytest.mark.parametrize("how", ["half", "eof", "reset"])
def test_client_goes_without_a_word(proxy, how):
    roost, a = proxy
    ws = Person(roost, "p").websocket()
    assert ws.whoami() == "a"
    began = time.monotonic()
    if how == "half":
        ws.raw.sock.shutdown(socket.SHUT_WR)
    elif how == "eof":
        ws.raw.close()
    else:
        ws.reset()
    a.wait_events("ws_close", seconds=3)
    end = end_of(roost, 3)
    assert (end["who"], end["cause"], codes(end)) == ("client", "client_lost", (0,) * 4)
    if how == "half":
        assert ws.raw.at_end()
    assert time.monotonic() - began < scaled(3)


def test_client_half_closes_after_its_close(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send_close(4000)
        ws.raw.sock.shutdown(socket.SHUT_WR)
        a.wait_events("ws_close", code=4000, seconds=3)
    assert end_of(roost, 3)["cause"] in ("application", "client_lost")


def test_backend_goes_without_a_word(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("abort")
        assert ws.close_code() == 1012
        ws.send_close(1012)
        assert ws.raw.at_end()
    end = end_of(roost)
    assert (end["who"], end["cause"]) == ("backend", "backend_lost")
    assert codes(end)[:3] == (1012, 1012, 0)


def test_backend_goes_and_the_client_does_not_answer(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("abort")
        assert ws.close_code() == 1012
        assert ws.raw.at_end()  # within seconds
    assert end_of(roost)["cause"] == "backend_lost"


def test_backend_goes_in_mode_reconnect(stage):
    roost, a, b = stage.proxy("a", "b")
    with Person(roost, "p").websocket() as ws:
        ws.send("abort")
        assert ws.close_code() == 1012
        ws.send_close(1012)
    assert end_of(roost)["cause"] == "backend_lost"


def test_backend_that_never_answers_a_close(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket("/ws?stall") as ws:
        ws.send_close(1000)
        assert ws.raw.at_end()
    end = end_of(roost)
    assert (end["who"], end["code"], end["cause"]) == ("client", "1000", "close_timeout")
    assert codes(end) == (1000, 0, 0, 1000)
    a.order("release")


def test_client_breaks_the_protocol(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send_frame(3, b"x")
        assert ws.close_code() == 1002
    end = end_of(roost)
    assert (end["who"], end["cause"]) == ("roost", "protocol")
    assert (end["c_saw"], end["b_saw"]) == ("1002", "1001")


def test_backend_breaks_the_protocol(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("raw " + frames.encode(3, b"x").hex())
        assert ws.close_code() == 1011
        ws.send_close(1011)
    end = end_of(roost)
    assert (end["who"], end["cause"]) == ("roost", "protocol")
    assert (end["c_saw"], end["b_saw"]) == ("1011", "1002")


def test_sent_to_another_backend(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "reconnect",
                                                "debounce": "50ms"})
    with Person(roost, "p").websocket() as ws:
        old = ws.whoami()
        roost.reload(changed(roost.config, old, state="drain"))
        assert ws.close_code() == 1012
        ws.send_close(1012)
    end = end_of(roost)
    assert (end["who"], end["cause"]) == ("roost", "server_switch")


def test_roost_stops(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        assert ws.whoami() == "a"
        roost.signal(15)
        assert ws.close_code() == 1012
        ws.send_close(1012)
    end = end_of(roost, 15)
    assert (end["who"], end["cause"]) == ("roost", "shutdown")


@pytest.mark.parametrize("code", [1005, 1006, 1015, 1004, 999, 5000])
def test_codes_that_are_not_for_the_wire(proxy, code):
    """A backend that sends one breaks the protocol; the client never sees it."""
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send(f"raw {frames.encode(frames.CLOSE, code.to_bytes(2, 'big')).hex()}")
        assert ws.close_code() == 1011
        ws.send_close(1011)
    assert end_of(roost)["cause"] == "protocol"


def test_nothing_follows_a_close(proxy):
    """Whatever the other side still says."""
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.raw.send(frames.encode(frames.TEXT, b"flood 3 100000", masked=True)
                    + frames.encode(frames.CLOSE, b"\x0f\xa0", masked=True)
                    + frames.encode(frames.TEXT, b"after", masked=True))
        got = []
        while (f := ws.read_frame()).opcode != frames.CLOSE:
            got.append(len(f.payload))
        assert got == [100000] * 3 + [len("flooded")]
        assert ws.raw.at_end()
    (end,) = a.wait_events("ws_close")
    assert (end.received, end.code) == (1, 4000)
