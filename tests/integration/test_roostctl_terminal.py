# SPDX-License-Identifier: MIT
"""roostctl on a terminal: colours, the progress of a drain, the live view, and that the
terminal is as before afterwards."""

import re
import signal

import pytest
from peers.admin import scene, with_admin
from peers.backend import closed_port
from peers.client import Person
from peers.ctl import Terminal
from peers.roost import settings

OFF = {"mode": "off"}
BAR = "[\u2588\u2591]"


@pytest.fixture(scope="module")
def quiet(shared_stage):
    roost, admin, *_ = scene(shared_stage, "a", "b", rehome=OFF)
    return roost


def test_colours_are_for_terminals(quiet):
    with Terminal(quiet, "backends") as t:
        assert t.end() == 0
        assert "\033[32musable\033[0m" in t.screen.raw
        assert t.screen.lines()[0].startswith("UPSTREAM  BACKEND")
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with Terminal(quiet, "backends", **env) as t:
            assert t.end() == 0 and "\033" not in t.screen.raw
    with Terminal(quiet, "backends", "--color", "never") as t:
        assert t.end() == 0 and "\033" not in t.screen.raw


def test_letters_where_there_is_no_utf8(quiet):
    with Terminal(quiet, "status", LC_ALL="C") as t:
        assert t.end() == 0
        assert "----------------" in t.screen.text()


@pytest.mark.quick
def test_a_drain_shows_its_progress(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(8)]
    mine = [ws for ws in sockets if ws.whoami() == "a"]
    n = len(mine)
    with Terminal(roost, "drain", "app", "a", "--wait") as t:
        t.wait(f"0 exchanges", "it has begun")
        line = t.wait(f"{n} of {n} sessions left", "all are there").lines()[1]
        assert re.match(rf"app/a {BAR}{{30}} {n} of {n} sessions left, 0 exchanges, ",
                        line) and "\u2588" not in line
        for ws in mine[: n // 2]:
            ws.close()
        line = t.wait(f"{n - n // 2} of {n} sessions left", "half has gone").lines()[1]
        assert line.count("\u2588") == 30 * (n // 2) // n
        for ws in mine[n // 2:]:
            ws.close()
        assert t.end() == 0
        lines = t.screen.lines()
        assert re.fullmatch(r"app/a is empty after [0-9.]+m?s", lines[1])
        assert lines[2] == ""
        assert t.is_restored()


def test_the_live_view(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    with Terminal(roost, "status", "--watch", "200ms") as t:
        t.wait("per second: 0.0 requests", "the second picture")
        s = t.screen
        assert s.alternate and not s.cursor_shown and not s.wraps
        lines = s.lines()
        assert re.match(r"roost \S+ running, pid \d+, up \d", lines[0])
        assert lines[1].startswith("0 sessions, 0 exchanges, 0 pins")
        with Person(roost, "p").websocket() as ws:
            name = ws.whoami()
            t.wait("1 sessions, 0 exchanges, 1 pins", "the session is seen")
            t.wait(lambda s: re.search(
                rf"^app       {name} .*usable +1 +1  \u2588{{16}} +0$", s.text(), re.M),
                "and where it is")
        t.wait("0 sessions, 0 exchanges", "it is gone again")
        t.type("q")
        assert t.end() == 0
        assert t.is_restored() and s.text() == ""


def test_the_live_view_shows_re_homing(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome={"mode": "transparent", "rate": 3})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(20)]
    with Terminal(roost, "status", "--watch=100ms") as t:
        t.wait("q quits", "it is there")
        admin.set("a", state="drain")
        t.wait("re-homing", "it goes on")
        line = t.wait(
            lambda s: re.search(r"app/a leaving \S{30} +([1-9]\d?) %, \d+ left", s.text()),
            "some have gone").text()
        n, left = map(int, re.search(r" (\d+) %, (\d+) left", line).groups())
        assert 0 < n <= 100 and left < 20
        t.wait(lambda s: "re-homing" not in s.text(), "all have gone", 30)
        assert "draining" in t.screen.text()
        t.type("\003")
        assert t.end() == 0 and t.is_restored()
    for ws in sockets:
        ws.close()


def test_a_small_window_and_another_size(quiet):
    with Terminal(quiet, "status", "--watch", rows=4, columns=30) as t:
        t.wait("UPSTREAM", "what fits is there")
        lines = t.screen.lines()
        assert len(lines) == 4 and lines[0].startswith("roost ")
        t.resize(30, 120)
        t.wait("q quits", "all of it is there")
        assert "EXCHANGES" in t.screen.text()
        t.process.send_signal(signal.SIGTERM)
        assert t.end() == 0 and t.is_restored()


def test_a_daemon_that_goes_and_comes_back(stage):
    config = with_admin(settings(stage.backends("a")), bind=closed_port())
    roost = stage.roost(config)
    with Terminal(roost, "status", "--watch=100ms") as t:
        t.wait("q quits", "it is there")
        pid = roost.pid
        roost.stop()
        t.wait("nobody answers on", "it is away")
        assert "1 sessions" in t.screen.text() or "0 sessions" in t.screen.text()
        roost.process = None
        roost.ports_file += ".again"
        roost.start()
        t.wait(f"pid {roost.pid}", "it is back")
        assert roost.pid != pid and "nobody answers" not in t.screen.text()
        t.type("q")
        assert t.end() == 0


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0] == "T"


def test_it_can_be_stopped_and_goes_on(quiet):
    with Terminal(quiet, "status", "--watch=100ms") as t:
        t.wait("q quits", "it is there")
        t.process.send_signal(signal.SIGTSTP)
        t.wait(lambda s: not s.alternate and s.cursor_shown, "the terminal is given back")
        t.wait(lambda s: is_stopped(t.process.pid), "it has stopped")
        t.process.send_signal(signal.SIGCONT)
        t.wait(lambda s: s.alternate and "q quits" in s.text(), "it is there again")
        t.type("q")
        assert t.end() == 0 and t.is_restored()
