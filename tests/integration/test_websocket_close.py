# SPDX-License-Identifier: MIT
"""How a session ends: codes pass unchanged both ways, and one side never stays
behind."""

import pytest
from peers import frames
from peers.client import Person, RawClient
from peers.roost import settings
from peers.speaker import Speaker
from peers.waiting import wait_until
from peers.websocket import WsClient, handshake_headers

CODES = [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4000, 4999]


@pytest.fixture
def proxy(stage):
    return stage.proxy("a")


@pytest.fixture(scope="module")
def shared(shared_stage):
    return shared_stage.proxy("a")


@pytest.mark.quick
@pytest.mark.parametrize("code", CODES)
def test_code_of_the_client(shared, code):
    roost, a = shared
    with Person(roost, f"c{code}").websocket() as ws:
        assert ws.close(code, f"because {code}") == code
    (end,) = a.wait_events("ws_close", client=f"c{code}")
    assert (end.how, end.code, end.reason) == ("close", code, f"because {code}")


@pytest.mark.quick
@pytest.mark.parametrize("code", CODES)
def test_code_of_the_backend(shared, code):
    roost, a = shared
    with Person(roost, f"b{code}").websocket() as ws:
        ws.send(f"close {code} because {code}")
        assert ws.close_code() == code
        assert ws.reason == f"because {code}"
        ws.send_close(code)
        assert ws.raw.at_end()
    (end,) = a.wait_events("ws_close", client=f"b{code}")
    assert (end.how, end.code) == ("close", code)


def test_close_without_code(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        assert ws.close(None) is None
    (end,) = a.wait_events("ws_close")
    assert (end.how, end.code) == ("close", None)
    with Person(roost, "q").websocket() as ws:
        ws.send("close")
        assert ws.close_code() is None


def test_longest_reason(proxy):
    roost, a = proxy
    reason = "r" * 123
    with Person(roost, "p").websocket() as ws:
        ws.close(4000, reason)
    (end,) = a.wait_events("ws_close")
    assert end.reason == reason


def test_messages_before_a_close_arrive(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        for i in range(100):
            ws.send(f"m{i}")
        ws.send_close(1000)
        assert [ws.read() for _ in range(100)] == [f"m{i}" for i in range(100)]
        assert ws.close_code() == 1000
    assert a.wait_events("ws_close")[0].received == 100


def test_connection_ends_after_the_close(proxy):
    roost, _ = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send_close(1000)
        assert ws.close_code() == 1000
        assert ws.raw.at_end()


@pytest.mark.parametrize("how", ["eof", "reset"])
def test_lost_client_ends_the_backends_side(proxy, how):
    roost, a = proxy
    ws = Person(roost, "p").websocket()
    assert ws.whoami() == "a"
    ws.reset() if how == "reset" else ws.raw.close()
    a.wait_events("ws_close")
    assert a.open().sockets == 0


def test_lost_backend_ends_the_clients_side(proxy):
    """Where nobody else could take the session."""
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("abort")
        assert ws.close_code() in (1006, 1001, 1011, 1012, 1013, 1014)


def test_client_that_does_not_answer_a_close_is_cut(proxy):
    roost, a = proxy
    with Person(roost, "p").websocket() as ws:
        ws.send("close 1000")
        assert ws.close_code() == 1000
        assert ws.raw.at_end()  # we never sent ours


def test_half_a_frame_and_away(proxy):
    roost, a = proxy
    ws = Person(roost, "p").websocket()
    ws.raw.send(frames.encode(frames.BINARY, b"x" * 1000, masked=True)[:500])
    ws.raw.close()
    a.wait_events("ws_close")


def test_nothing_is_left_of_many(proxy):
    roost, a = proxy
    Person(roost, "warm").websocket().close()
    before = roost.descriptors()
    for i in range(60):
        ws = Person(roost, f"p{i}").websocket()
        (ws.close, ws.reset, ws.raw.close)[i % 3]()
    wait_until(lambda: a.open().sockets == 0, "the backend has none")
    wait_until(lambda: roost.descriptors() <= before + 2, "descriptors are back")


def test_closing_client_of_a_backend_that_hangs(stage):
    """The other end is told even when the backend no longer reads."""
    roost, a = stage.proxy("a")
    with WsClient(roost.address, "/ws?stall") as ws:
        ws.send_close(1000)
        ws.close_code()


def speaking(stage, behave):
    """A roost before a backend that does what `behave` says."""
    a = Speaker(behave, "a")
    stage.others.append(a)
    return stage.roost(settings([a])), a


def test_words_of_an_impatient_client_count_after_a_close_glued_to_the_101(stage):
    """The backend's Close is there with its 101, the answer to it was sent before."""
    def behave(line, n):
        line.greet(frames.encode(frames.CLOSE, frames.close_payload(4002)))
        line.read()

    roost, a = speaking(stage, behave)
    with RawClient(roost.address) as c:
        request = c.request_bytes("GET", "/ws", handshake_headers(frames.new_key()))
        c.send(request + frames.encode(frames.CLOSE, frames.close_payload(4002),
                                       masked=True))
        (line,) = roost.wait_log(r"^.*session ended .*$")
    assert "(closed): code 4002" in line
    wait_until(lambda: a.lines[0].closed == 4002, "the backend has its answer")


def test_backend_that_says_close_and_is_gone_while_its_client_talks(stage):
    """A reset in answer to the client's words could arrive before the Close is read."""
    def behave(line, n):
        line.greet()
        line.read()
        line.close(4003)
        line.sock.close()

    roost, a = speaking(stage, behave)
    with WsClient(roost) as ws:
        ws.send("first")
        wait_until(lambda: a.lines[0].sock.fileno() < 0, "it is gone")
        for i in range(50):  # also into a socket whose end is there to be read
            ws.send(f"{i} " + "." * 2000)
        assert ws.read_frame().payload == frames.close_payload(4003)
        ws.send_close(4003)
        (line,) = roost.wait_log(r"^.*session ended .*$")
    assert "(closed): code 4003" in line
    assert "client said 4003 saw 4003" in line


@pytest.mark.quick
def test_client_that_says_close_while_much_comes(proxy):
    roost, a = proxy
    with WsClient(roost, receive_buffer=32768) as ws:
        ws.send("flood 20 1048576")
        ws.read()
        ws.send_close(4004)
        assert ws.close_code() == 4004
