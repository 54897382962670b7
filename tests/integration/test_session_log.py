# SPDX-License-Identifier: MIT
"""One line at the end of each session: who ended it, code, duration, messages and
bytes each way."""

import re

import pytest
from peers.client import Person
from peers.roost import changed
from peers.waiting import wait_until

LINE = re.compile(
    r": session ended by (?P<who>\w+) \((?P<why>.*)\): code (?P<code>\d+), "
    r"(?P<seconds>[\d.]+) s, "
    r"in (?P<in_n>\d+) messages (?P<in_bytes>\d+) bytes, "
    r"out (?P<out_n>\d+) messages (?P<out_bytes>\d+) bytes, "
    r"re-homed (?P<moves>\d+) times, .*"
    r" session=(?P<id>\w+) client=(?P<client>\S+) upstream=app backend=(?P<backend>\S+)$"
)


@pytest.fixture
def proxy(stage):
    return stage.proxy("a")


def ends(roost, n=1):
    """The end lines so far, once there are n."""
    def lines():
        found = [m for m in map(LINE.search, roost.log().splitlines()) if m]
        return found if len(found) >= n else None

    found = wait_until(lines, f"{n} end lines")
    assert len(found) == n
    return found


def test_client_ends_it(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        for _ in range(7):
            ws.ask("x" * 100)
        ws.send("send 5000")
        ws.read()
        here = ws.raw.sock.getsockname()[0]
        ws.close(1000)
    (end,) = ends(roost)
    assert (end["who"], end["code"], end["client"]) == ("client", "1000", here)
    assert end["backend"] == "a"
    assert (end["in_n"], end["out_n"]) == ("8", "8")
    assert 709 <= int(end["in_bytes"]) <= 709 + 9 * 14
    assert 5700 <= int(end["out_bytes"]) <= 5700 + 9 * 14
    assert float(end["seconds"]) < 10
    assert end["id"] == a.events("handshake")[0].session


def test_backend_ends_it(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("close 4321 over")
        ws.close_code()
        ws.send_close(4321)
    (end,) = ends(roost)
    assert (end["who"], end["code"]) == ("backend", "4321")


@pytest.mark.parametrize("how", ["eof", "reset"])
def test_client_is_lost(proxy, how):
    roost, _ = proxy
    ws = Person(roost, "p").websocket()
    ws.reset() if how == "reset" else ws.raw.close()
    (end,) = ends(roost)
    assert (end["who"], end["code"]) == ("client", "1006")
    assert "lost" in end["why"]


def test_backend_is_lost(stage):
    roost, _ = stage.proxy("a", rehome={"mode": "off"})
    with Person(roost, "p").websocket() as ws:
        ws.send("abort")
        ws.close_code()
    (end,) = ends(roost)
    assert end["who"] == "backend"
    assert "lost" in end["why"]


def test_protocol_violation(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send_frame(3, b"x")
        ws.close_code()
    (end,) = ends(roost)
    assert end["code"] == "1002"
    assert "protocol" in end["why"] or "opcode" in end["why"]


def test_one_line_each(proxy):
    roost, _ = proxy
    for i in range(20):
        Person(roost, f"p{i}").websocket().close(4000 + i)
    codes = sorted(int(e["code"]) for e in ends(roost, 20))
    assert codes == list(range(4000, 4020))


def test_moves_are_counted_and_the_end_is_an_ordinary_one(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "transparent",
                                                "debounce": "50ms"})
    with Person(roost, "p").websocket() as ws:
        old = ws.whoami()
        roost.reload(changed(roost.config, old, state="drain"))
        wait_until(lambda: ws.whoami() != old, "it has moved")
        ws.close(4000)
    (end,) = ends(roost)
    assert (end["who"], end["code"], end["moves"]) == ("client", "4000", "1")
    assert end["backend"] in ("a", "b") and end["backend"] != old
