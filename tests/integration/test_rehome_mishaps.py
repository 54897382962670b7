# SPDX-License-Identifier: MIT
"""Transparent moves among backends that misbehave, and clients that leave in the middle
of one: each state of the move, and what may go wrong in it."""

import threading
import time

import pytest
from peers import frames
from peers.client import Person, RawClient
from peers.roost import changed, settings
from peers.speaker import Speaker
from peers.waiting import holds_for, scaled, wait_until

FAST = {"mode": "transparent", "rate": 1000, "debounce": "20ms", "drain_timeout": "20s"}
DEFLATE = ("permessage-deflate; client_no_context_takeover; "
           "server_no_context_takeover")


def echo(line, n):
    line.greet()
    line.echo("a" if not line.rehomed_from else "b")


class Move:
    """A client on a that is to go to b; both do what the test says."""

    def __init__(self, stage, a=echo, b=echo, **rehome):
        self.a, self.b = Speaker(a, "a"), Speaker(b, "b")
        stage.others += [self.a, self.b]
        config = settings([self.a, self.b], rehome={**FAST, **rehome})
        config["workers"] = 1
        config["admin"] = {"bind": "127.0.0.1:0"}
        self.config = changed(config, "b", state="drain")
        self.roost = stage.roost(self.config)
        self.person = Person(self.roost, "p")

    def drain(self):
        self.roost.reload(changed(changed(self.config, "b", state="up"), "a",
                                  state="drain"))

    def side(self, name):
        """What the admin API says of that side of the only session."""
        with RawClient(self.roost.addresses[-1]) as c:
            (one,) = c.request("GET", "/v1/sessions").json()["sessions"]
            return one[name]

    def sockets(self):
        """Of both backends, as the admin API counts them."""
        with RawClient(self.roost.addresses[-1]) as c:
            (up,) = c.request("GET", "/v1/upstreams").json()["upstreams"]
            return sum(b["sockets"] for b in up["backends"])

    def wait_done(self):
        self.roost.wait_log(": re-homed from a to b")


# --- the new backend


def test_early_words_of_the_new_backend_come_after_the_last_of_the_old(stage):
    def old(line, n):
        line.greet()
        while line.read() is not None:
            line.send("answer")
        line.send("last words")
        line.close(line.closed)

    def new(line, n):
        line.greet(frames.encode(frames.TEXT, b"first words"))
        line.echo()

    move = Move(stage, old, new)
    ws = move.person.websocket()
    assert ws.ask("question") == "answer"
    move.drain()
    assert [ws.read(), ws.read()] == ["last words", "first words"]
    assert ws.whoami() == "b"


@pytest.mark.parametrize("terms", [
    {"Sec_WebSocket_Protocol": "v2"}, {}, {"Sec_WebSocket_Protocol": "v1, v2"},
    {"Sec_WebSocket_Protocol": "v1", "Sec_WebSocket_Extensions": "permessage-deflate"},
    {"Sec_WebSocket_Protocol": "v1", "Upgrade": "h2c"},
])
def test_other_terms_leave_the_session_where_it_is(stage, terms):
    def old(line, n):
        line.greet(Sec_WebSocket_Protocol="v1")
        line.echo("a")

    def new(line, n):
        line.greet(**terms)
        line.read()

    move = Move(stage, old, new)
    ws = move.person.websocket(protocols="v1, v2")
    move.drain()
    move.roost.wait_log(r"not re-homed from a to b \(backend answered the WebSocket")
    assert ws.whoami() == "a"


def test_refused_client_is_not_tried_again(stage):
    def new(line, n):
        line.sock.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    move = Move(stage, b=new)
    ws = move.person.websocket()
    move.drain()
    move.roost.wait_log("not re-homed")
    holds_for(lambda: len(move.b.lines) == 1, "one try", 1.4)
    assert ws.whoami() == "a"


def test_terms_said_in_another_way_are_the_same(stage):
    def old(line, n):
        line.greet(Sec_WebSocket_Extensions=DEFLATE)
        line.echo("a")

    def new(line, n):
        line.greet(Sec_WebSocket_Extensions="permessage-deflate;"
                   "server_max_window_bits=12; server_no_context_takeover")
        line.echo("b")

    move = Move(stage, old, new)
    ws = move.person.websocket(extensions="permessage-deflate, x-other")
    move.drain()
    move.wait_done()
    assert ws.whoami() == "b"
    offered = move.b.lines[0].headers["sec-websocket-extensions"]
    assert offered == DEFLATE, "what the client holds, and nothing else"


def test_backend_that_ignores_the_offer_keeps_its_sessions(stage):
    """It took deflate without the parameter that was asked for: no boundary is clean."""
    def old(line, n):
        line.greet(Sec_WebSocket_Extensions="permessage-deflate")
        line.echo("a")

    move = Move(stage, old)
    ws = move.person.websocket(extensions="permessage-deflate")
    assert ws.response.header("Sec-WebSocket-Extensions") == "permessage-deflate"
    move.drain()
    assert ws.close_code() == 1012, "it goes as in mode reconnect"
    assert not move.b.lines


def talk(ws, when="settling"):
    if when == "settling":
        ws.send(f"x {time.monotonic()}")
    return True


def is_held(move):
    """Has the old backend not heard what was said 90 ms ago and more?"""
    return time.monotonic() - float(move.a.lines[0].said[-1][2:]) > 0.09


@pytest.mark.parametrize("when", ["cutting", "settling", "draining"])
def test_new_backend_that_dies_before_the_switch(stage, when):
    die, died = threading.Event(), threading.Event()

    def new(line, n):
        line.greet()
        if n == 0:
            die.wait(scaled(10))
            line.reset()
            died.set()
        else:
            line.echo()

    def old(line, n):
        line.greet()
        while (message := line.read()) is not None:
            if not message.startswith("x"):
                line.send("a" if message == "whoami" else message)
        died.wait(scaled(10))
        line.send("last words")
        line.close(1001)

    move = Move(stage, old, new)
    ws = move.person.websocket()
    assert ws.whoami() == "a"
    if when == "cutting":  # the client's message has not ended
        ws.send_frame(frames.TEXT, b"fir", fin=False)
    elif when == "settling":  # questions without an answer: cut after a second
        wait_until(lambda: talk(ws) and len(move.a.lines[0].said) > 5, "a hears")
    move.drain()
    wait_until(lambda: talk(ws, when) and move.b.lines, "b was asked")
    if when == "settling":
        wait_until(lambda: talk(ws) and is_held(move), "it is cut")
    elif when == "draining":
        wait_until(lambda: move.a.lines[0].closed, "a was told")
    die.set()
    if when == "cutting":
        move.roost.wait_log("not re-homed from a to b")
        ws.send_frame(frames.CONTINUATION, b"st")
        assert ws.read() == "first"
        assert ws.whoami() in "ab"
        return
    if when == "settling":
        move.roost.wait_log("not re-homed from a to b")
        assert move.a.lines[0].closed is None, "it was not told"
    else:
        assert ws.read() == "last words"
    assert ws.ask("end") == "end"
    wait_until(lambda: move.sockets() == 1, "sockets counted where they are")


def test_old_backend_that_goes_on_talking_is_cut_off_between_messages(stage):
    def old(line, n):
        line.greet()
        line.read()
        line.send("answer")
        line.frame()  # the Close
        i = 0
        while True:
            line.sock.sendall(
                frames.encode(frames.TEXT, b"%d " % i + b"x" * 500000, fin=False)
                + frames.encode(frames.CONTINUATION, b" end"))
            i += 1

    move = Move(stage, old, drain_timeout="300ms")
    ws = move.person.websocket()
    assert ws.ask("question") == "answer"
    move.drain()
    assert ws.read().startswith("0 ")
    ws.send("whoami")
    i = 1
    while (message := ws.read()) != "b":
        assert message.startswith(f"{i} ") and message.endswith(" end")
        i += 1
    assert i > 0
    assert ws.ask("next") == "next"


def test_message_that_the_old_backend_never_ends_cannot_be_mended(stage):
    def old(line, n):
        line.greet()
        line.read()
        line.send("answer")
        line.frame()
        line.send("half", fin=False)
        while line.frame():
            pass

    move = Move(stage, old, drain_timeout="200ms")
    ws = move.person.websocket()
    assert ws.ask("question") == "answer"
    move.drain()
    assert ws.close_code() == 1012


def test_what_a_deaf_old_backend_never_took_goes_to_the_new_one(stage):
    released = threading.Event()
    heard = []

    def old(line, n):
        line.greet()
        line.read()
        line.send("answer")
        released.wait(scaled(20))

    def new(line, n):
        line.greet()
        while (message := line.read()) is not None:
            heard.append(int(message.split()[0]))
            line.send(message.split()[0])

    move = Move(stage, old, new, drain_timeout="300ms")
    ws = move.person.websocket()
    assert ws.ask("question") == "answer"
    sent = 0
    while not move.side("backend_side")["queued_bytes"]:
        ws.raw.send(b"".join(  # in one write, and read at once
            frames.encode(frames.TEXT, text.encode(), masked=True)
            for text in (f"{sent} " + "." * 60000, f"{sent + 1} short")))
        sent += 2
        wait_until(lambda: move.side("client_side")["messages"] == sent + 1, "it is read")
    move.drain()
    ws.send(f"{sent} last")
    while ws.read() != str(sent):
        pass
    released.set()
    # of the long one a has seen no end, and will not; the one behind it a never saw
    assert heard == [sent - 2, sent - 1, sent]


# --- the client


@pytest.mark.parametrize("how", ["close", "vanish", "reset"])
@pytest.mark.parametrize("state", ["greeting", "cutting", "settling", "draining"])
def test_client_that_leaves_in_the_middle(stage, state, how):
    over = threading.Event()

    def old(line, n):
        line.greet()
        while (message := line.read()) is not None:
            if message == "slow":
                over.wait(scaled(10))
            line.send(message)
        if state == "draining":
            over.wait(scaled(10))
        if line.closed:
            line.close(line.closed)

    def new(line, n):
        if state == "greeting":
            over.wait(scaled(10))
        line.greet()
        line.echo()

    move = Move(stage, old, new, drain_timeout="1s")
    ws = move.person.websocket()
    assert ws.ask("hello") == "hello"
    if state == "cutting":
        ws.send_frame(frames.TEXT, b"half", fin=False)
    elif state == "settling":
        ws.send("slow")
    move.drain()
    wait_until(lambda: move.b.lines, "b was asked")
    if state == "draining":
        wait_until(lambda: move.a.lines[0].closed, "a was told")
    if how == "close":
        ws.send_close(4242, "bye")
    elif how == "vanish":
        ws.raw.close()
    else:
        ws.reset()
    over.set()
    move.roost.wait_log(r"session ended .*(4242|1006|client connection lost)")
    if how == "close" and state != "cutting":
        assert ws.close_code() == 4242
    assert Person(move.roost, "q").websocket().whoami() in "ab"


def test_message_of_the_client_longer_than_the_drain_timeout(stage):
    """It is not torn: the session stays, and is moved another time."""
    move = Move(stage, drain_timeout="200ms")
    ws = move.person.websocket()
    assert ws.whoami() == "a"
    ws.send_frame(frames.TEXT, b"begin", fin=False)
    move.drain()
    move.roost.wait_log("not re-homed from a to b")
    ws.send_frame(frames.CONTINUATION, b" end")
    assert ws.read() == "begin end"
    move.wait_done()
    assert ws.whoami() == "b"


def test_words_held_during_the_move_are_bounded(stage):
    released = threading.Event()

    def old(line, n):
        line.greet()
        line.read()
        line.send("answer")
        line.frame()
        released.wait(scaled(20))
        line.close(1001)

    def new(line, n):
        line.greet()
        total = 0
        while (message := line.read()) is not None:
            total += len(message)
            if message == "end":
                line.send(str(total))

    move = Move(stage, old, new, drain_timeout="20s")
    ws = move.person.websocket()
    assert ws.ask("question") == "answer"
    move.drain()
    wait_until(lambda: move.a.lines[0].decoder.buffer or move.a.lines[0].said and
               move.b.lines, "b has agreed")

    def pour():
        for _ in range(400):
            ws.send("x" * 65536)
        ws.send("end")

    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    wait_until(lambda: move.side("client_side")["held_bytes"], "words are held")
    holds_for(lambda: move.side("client_side")["held_bytes"] <= 2 * 65536, "held", 0.3)
    assert thread.is_alive(), "it is not read"
    released.set()
    assert ws.read() == str(400 * 65536 + 3)


# --- the end of a session that was moved


def test_moved_session_that_ends_later_is_not_labelled_as_moved(stage):
    move = Move(stage)
    ws = move.person.websocket()
    move.drain()
    move.wait_done()
    assert ws.whoami() == "b"
    assert ws.close(1000, "thanks") == 1000
    (line,) = move.roost.wait_log(r"^.*session ended .*1000.*$")
    assert "cause clean" in line
    b = move.b.lines[0]
    wait_until(lambda: b.closed == 1000, "b heard the client's own code")
    assert b.session == move.a.lines[0].session
    assert b.rehomed_from == "a"
    assert not move.a.lines[0].rehomed_from
