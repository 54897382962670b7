# SPDX-License-Identifier: MIT
"""Messages pass whole, in order and unchanged, whatever their size and frames."""

import pytest
from peers import frames
from peers.client import Person
from peers.websocket import Swarm, WsClient

SIZES = [0, 1, 125, 126, 127, 1000, 65472, 65535, 65536, 65537, 1 << 20]


@pytest.fixture(scope="module")
def roost(shared_stage):
    return shared_stage.proxy("a")[0]


@pytest.fixture
def ws(roost):
    with WsClient(roost.address) as ws:
        yield ws


@pytest.mark.quick
@pytest.mark.parametrize("size", SIZES)
def test_size(ws, size):
    text, data = "t" * size, bytes(range(256)) * (size // 256 + 1)
    assert ws.ask(text) == text
    assert ws.ask(data[:size]) == data[:size]


def test_fragments_stay_fragments(ws):
    ws.send("fragments 5 10")
    got = [ws.read_frame() for _ in range(5)]
    assert [f.opcode for f in got] == [frames.TEXT] + [frames.CONTINUATION] * 4
    assert [f.fin for f in got] == [False] * 4 + [True]


def test_fragments_with_pings_between(ws):
    for i in range(10):
        ws.send_frame(frames.CONTINUATION if i else frames.BINARY, b"%d" % i * 1000,
                      fin=i == 9)
        ws.send_frame(frames.PING, b"ping %d" % i)
    pongs, answer = [], None
    while answer is None or len(pongs) < 10:
        f = ws.read_frame()
        if f.opcode == frames.PONG:
            pongs.append(f.payload)
        else:
            answer = f.payload
    assert pongs == [b"ping %d" % i for i in range(10)]
    assert answer == b"".join(b"%d" % i * 1000 for i in range(10))


def test_empty_fragments(ws):
    ws.send_frame(frames.TEXT, b"", fin=False)
    ws.send_frame(frames.CONTINUATION, b"", fin=False)
    ws.send_frame(frames.CONTINUATION, b"x", fin=False)
    ws.send_frame(frames.CONTINUATION, b"", fin=True)
    assert ws.read() == "x"


def test_ping_of_a_backend_reaches_the_client_and_its_pong_goes_back(stage):
    roost, a = stage.proxy("a")
    with WsClient(roost.address) as ws:
        ws.send("ping are-you-there")
        f = ws.read_frame()
        assert (f.opcode, f.payload) == (frames.PING, b"are-you-there")
        ws.send_frame(frames.PONG, f.payload)
        a.wait_events("pong", text="are-you-there")
    assert [e.text for e in a.events("pong")] == ["are-you-there"]


def test_ping_of_a_client_is_answered_by_the_backend(stage):
    roost, a = stage.proxy("a")
    with WsClient(roost.address) as ws:
        ws.send_frame(frames.PING, b"x" * 125)
        f = ws.read_frame()
        assert (f.opcode, f.payload) == (frames.PONG, b"x" * 125)
    assert [e.text for e in a.events("ping")] == ["x" * 125]


def test_unsolicited_pong_passes(stage):
    roost, a = stage.proxy("a")
    with WsClient(roost.address) as ws:
        ws.send_frame(frames.PONG, b"just so")
        a.wait_events("pong", text="just so")


def test_frame_in_single_bytes(ws):
    for byte in frames.encode(frames.TEXT, b"slowly " * 30, masked=True):
        ws.raw.send(bytes([byte]))
    assert ws.read() == "slowly " * 30


def test_many_frames_in_one_packet(ws):
    ws.raw.send(b"".join(frames.encode(frames.TEXT, b"%d" % i, masked=True)
                         for i in range(2000)))
    assert [ws.read() for _ in range(2000)] == [str(i) for i in range(2000)]


def test_both_directions_at_once(ws):
    """1 MiB there while 8 MiB come back: neither may wait for the other."""
    ws.send("flood 8 1048576")
    ws.send(b"u" * (1 << 20))
    got = [ws.read() for _ in range(10)]
    assert [len(m) for m in got[:8]] == [1 << 20] * 8
    assert got[8] == "flooded" and got[9] == b"u" * (1 << 20)


def test_numbered_messages_of_many(roost):
    with Swarm(roost, 100, interval=0.05) as swarm:
        swarm.wait_progress(20)
        swarm.finish()
        swarm.check_exact()


def test_large_fragmented_messages_of_some(roost):
    with Swarm(roost, 10, interval=0.05, burst=1, size=200000, fragments=7) as swarm:
        swarm.wait_progress(5)
        swarm.finish()
        swarm.check_exact()


def test_http_of_the_same_client_meanwhile(roost):
    p = Person(roost, "both")
    with p.websocket() as ws:
        for i in range(20):
            assert ws.ask(f"m{i}") == f"m{i}"
            assert p.backend() == "a"
