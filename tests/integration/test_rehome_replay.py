# SPDX-License-Identifier: MIT
"""What a client said first is said again to its new backend, once and in order, and the
answers, which the client has had, are kept from it."""

import json
import threading

import pytest
from peers import frames
from peers.client import Person
from peers.roost import changed, settings
from peers.speaker import Speaker
from peers.waiting import wait_until

FAST = {"mode": "transparent", "rate": 1000, "debounce": "20ms", "drain_timeout": "20s"}
BY_FIELD = {"field": "type", "values": ["login", "subscribe"],
            "answer_field": "type", "answer_values": ["welcome", "subscribed"]}


def greet_and_echo(line, n):
    line.greet()
    line.echo()


class Move:
    """A client on backend a, and a backend b of the test's own that it is to go to."""

    def __init__(self, stage, behave=greet_and_echo, **rehome):
        (self.a,) = stage.backends("a")
        self.b = Speaker(behave, "b")
        stage.others.append(self.b)
        config = settings([self.a, self.b], rehome={**FAST, **rehome})
        self.config = changed(config, "b", state="drain")
        self.roost = stage.roost(self.config)
        self.person = Person(self.roost, "p")

    def websocket(self, *messages, **how):
        """One that has said these, and heard them echoed."""
        ws = self.person.websocket(**how)
        for message in messages:
            assert ws.ask(message) == message
        return ws

    def drain(self):
        self.roost.reload(changed(changed(self.config, "b", state="up"), "a",
                                  state="drain"))

    def wait_done(self, n=1):
        wait_until(lambda: len(self.roost.logged(": re-homed from a to b")) >= n, "moved")


def says(**members):
    return json.dumps(members)


def test_first_messages_are_said_again_and_their_answers_swallowed(stage):
    move = Move(stage, replay=2)
    ws = move.websocket("login anna", "join 5", "later")
    move.drain()
    move.wait_done()
    assert ws.ask("next") == "next"
    assert ws.whoami() == "b"
    assert move.b.lines[0].said == ["login anna", "join 5", "next", "whoami"]
    assert move.roost.logged("re-homed from a to b .* with replay")


def test_held_words_come_after_the_replay(stage):
    released = threading.Event()

    def behave(line, n):
        line.greet()
        line.read()
        released.wait(10)
        line.send("answer to the login")
        line.echo()

    move = Move(stage, behave, replay={"first": 1})
    ws = move.websocket("login anna")
    move.drain()
    wait_until(lambda: move.b.lines and move.b.lines[0].said, "it was said")
    ws.send("held")
    released.set()
    assert ws.read() == "held"
    assert move.b.lines[0].said == ["login anna", "held"]


def test_messages_with_a_member_are_said_again(stage):
    def behave(line, n):
        line.greet()
        while (message := line.read()) is not None:
            kind = json.loads(message).get("type")
            line.send(says(type="news", n=1))  # nobody asked for it
            line.send(says(type={"login": "welcome"}.get(kind, kind + "d")))

    move = Move(stage, behave, replay=BY_FIELD)
    login, chat = says(type="login", user="anna"), says(type="chat", text="hello")
    subscribe = [says(type="subscribe", room=i) for i in range(3)]
    ws = move.websocket(login, chat, *subscribe, chat)
    move.drain()
    move.wait_done()
    ws.send(says(type="ping"))
    # what is no answer reaches the client, and so does everything later
    got = [json.loads(ws.read())["type"] for _ in range(6)]
    assert got == ["news"] * 5 + ["pingd"]
    wait_until(lambda: len(move.b.lines[0].said) == 5, "all were said")
    assert move.b.lines[0].said[:4] == [login, *subscribe]


def test_one_is_said_when_the_one_before_is_answered(stage):
    seen = []

    def behave(line, n):
        line.greet()
        for _ in range(3):
            seen.append(line.read())
            line.sock.settimeout(0.1)
            seen.append("early" if line.frame() else "silence")
            line.sock.settimeout(10)
            line.send("answer")
        line.echo()

    move = Move(stage, behave, replay=3)
    ws = move.websocket("1", "2", "3")
    move.drain()
    move.wait_done()
    assert ws.whoami() == "b"
    assert seen == ["1", "silence", "2", "silence", "3", "silence"]


def test_no_answers_are_waited_for(stage):
    def behave(line, n):
        line.greet()
        line.read(), line.read()
        line.send("unasked")
        line.echo()

    move = Move(stage, behave, replay={"first": 2, "answers": 0})
    ws = move.websocket("1", "2")
    move.drain()
    assert ws.read() == "unasked"
    assert ws.whoami() == "b"


def test_replay_after_the_death_of_the_backend(stage):
    move = Move(stage, replay=1)
    ws = move.websocket("login anna", "later")
    move.roost.reload(changed(move.config, "b", state="up"))
    move.a.kill()
    assert ws.ask("next") == "next"
    assert move.b.lines[0].said == ["login anna", "next"]


def test_what_no_backend_has_heard_is_not_said_twice(stage):
    """The login itself waits for a backend: its answer is the client's."""
    move = Move(stage, replay=2)
    ws = move.websocket("one")
    move.a.kill()

    ws.send("two")
    move.roost.reload(changed(move.config, "b", state="up"))
    assert ws.read() == "two"
    assert ws.whoami() == "b"
    said = move.b.lines[-1].said
    assert said.count("one") == 1 and said.count("two") == 1, said


def test_answer_in_fragments_with_a_ping_between(stage):
    def behave(line, n):
        line.greet()
        line.read()
        line.send('{"type":"wel', fin=False)
        line.send("are you there", frames.PING)
        line.send('come"}', frames.CONTINUATION)
        line.send("unasked")
        line.echo()

    for replay in ({"first": 1}, {**BY_FIELD, "first": 1}):
        move = Move(stage, behave, replay=replay)
        ws = move.websocket("login")
        move.drain()
        f = ws.read_frame()
        assert (f.opcode, f.payload) == (frames.PING, b"are you there")
        assert ws.read() == "unasked"
        assert ws.whoami() == "b"


def test_early_words_are_no_answers(stage):
    def behave(line, n):
        line.greet(frames.encode(frames.TEXT, b"hello from b"))
        line.echo()

    move = Move(stage, behave, replay=1)
    ws = move.websocket("login")
    move.drain()
    assert ws.read() == "hello from b"
    assert ws.whoami() == "b"
    assert move.b.lines[0].said[0] == "login"


def test_without_an_answer_the_client_is_sent_to_log_in_itself(stage):
    def deaf(line, n):
        line.greet()
        while line.read() is not None:
            pass

    move = Move(stage, deaf, replay={"first": 1, "timeout": "200ms"})
    ws = move.websocket("login")
    move.drain()
    assert ws.close_code() == 1012
    assert move.roost.wait_log("replayed messages were not answered")


def test_backend_that_restarts_during_the_replay_is_tried_again(stage):
    def behave(line, n):
        line.greet()
        line.read()
        if n == 0:
            line.send("half", fin=False)
            line.close(1012)
        elif n == 1:
            line.reset()
        else:
            line.send("answer")
            line.echo()

    move = Move(stage, behave, replay=1)
    ws = move.websocket("login")
    move.drain()
    wait_until(lambda: len(move.b.lines) == 3, "three tries", 20)
    ws.send("held")
    assert ws.read() == "held"
    assert move.b.lines[2].said == ["login", "held"]


def test_a_close_of_the_application_is_for_the_client(stage):
    def behave(line, n):
        line.greet()
        line.read()
        line.send("no such user")
        line.close(4001, "log in again")
        line.read()

    move = Move(stage, behave, replay={"first": 1, "answers": 2})
    ws = move.websocket("login")
    move.drain()
    assert ws.close_code() == 4001
    assert ws.reason == "log in again"


def test_too_much_to_keep_is_not_moved_with_the_socket_open(stage):
    move = Move(stage, replay={"first": 2, "max_size": 1024})
    small = move.websocket("a" * 400, "b" * 400)
    large = move.websocket("a" * 500, "b" * 500)
    move.drain()
    assert large.close_code() == 1012
    move.wait_done()
    assert small.whoami() == "b"


def test_fragmented_message_of_the_client_is_said_again(stage):
    move = Move(stage, replay=1)
    ws = move.websocket()
    ws.send_frame(frames.TEXT, b"log", fin=False)
    ws.send_frame(frames.PING, b"between")
    ws.send_frame(frames.CONTINUATION, b"in ", fin=False)
    ws.send_frame(frames.CONTINUATION, b"anna")
    assert ws.read_frame().payload == b"between"
    assert ws.read() == "login anna"
    move.drain()
    move.wait_done()
    assert ws.whoami() == "b"
    assert move.b.lines[0].said == ["login anna", "whoami"]


def test_there_and_back_again_says_it_each_time(stage):
    move = Move(stage, replay=1)
    ws = move.websocket("login")
    move.drain()
    move.wait_done()
    move.roost.reload(changed(move.config, "a", state="up"))
    wait_until(lambda: move.roost.logged("re-homed from b to a"), "moved back")
    assert ws.whoami() == "a"
    received = [s["received"] for s in move.a.sockets()]
    assert received == [2], "the login and the question"


@pytest.mark.parametrize("how", ["close", "vanish"])
def test_client_that_ends_during_the_replay(stage, how):
    def deaf(line, n):
        line.greet()
        while line.read() is not None:
            pass

    move = Move(stage, deaf, replay={"first": 1, "timeout": "300ms"})
    ws = move.websocket("login")
    move.drain()
    wait_until(lambda: move.b.lines and move.b.lines[0].said, "it was said")
    if how == "close":
        ws.send_close(1000)
        assert ws.close_code() == 1012
    else:
        ws.reset()
    move.roost.wait_log(r"session ended .* cause (clean|client_lost|server_switch)")
