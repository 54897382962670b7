# SPDX-License-Identifier: MIT
"""RFC 6455 and RFC 7692 in some five hundred cases (conformance/cases.py, after
Autobahn's fuzzing client, which is not packaged).

A client must see the same through roost as from the app server alone: messages, frames,
pongs, the Close and the end of the connection. Where roost is to differ stands in
EXCEPTIONS, with the reason. Each case goes out step by step, in one burst, and in
single bytes. The other direction, from the app server to the client, is judged by the
RFC alone, since there is no second one to compare with.
"""

import os
import subprocess
import threading
import time
from collections import namedtuple

import pytest
from conformance import cases
from conformance.observe import NO_CLOSE, WAYS, Client, Deflate, encoded, observe
from peers import frames, node
from peers.backend import ScriptedBackend
from peers.frames import BINARY, CLOSE, PING, TEXT
from peers.roost import entry, settings
from peers.waiting import DEADLINE, scaled, wait_until

pytest.importorskip("websockets")

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conformance/echo.py")
SLOW = max(4.5, scaled(2.0))    # seconds: less than what a Close waits for its answer

# What a difference may be in, for which cases, and why.
Exception_ = namedtuple("Exception_", "fields applies why")

EXCEPTIONS = [
    Exception_(
        {"messages", "pongs", "data"},
        lambda case, way, server: case.fails and way != "apart",
        "roost fails the connection as soon as it sees the bad frame (RFC 6455, 7.1.7); "
        "answers of the app server to what came just before may still be under way"),
    Exception_(
        {"messages", "pongs", "data"},
        lambda case, way, server:
            case.says_close and way != "apart" and server == "websockets",
        "python3-websockets drops, alone too, what it has not answered when a Close comes"),
    Exception_(
        {"messages", "pongs", "data", "close"},
        lambda case, way, server: case.number.startswith(("14.1.", "14.2.")),
        "the app servers accept lengths written longer than needed; RFC 6455, 5.2 forbids "
        "them, and two readers who disagree about frames are one too many"),
]


def allowed(case, way, server):
    return {f for e in EXCEPTIONS if e.applies(case, way, server) for f in e.fields}


def is_start(part, whole):
    return part == whole[: len(part)]


def faults(case, seen, way):
    """What the RFC does not allow in this, whoever did it."""
    found = []
    if seen.status != 101:
        return [f"status {seen.status}"]
    # what is answered before the end, when the end comes at once, is a matter of luck
    cut = way != "apart" and (case.fails or case.says_close)
    same = is_start if cut else (lambda a, b: a == b)
    if not same(seen.messages, case.answers.messages):
        found.append(f"messages {brief(seen.messages)}")
    if not same(seen.pongs, case.answers.pongs):
        found.append(f"pongs {brief(seen.pongs)}")
    if seen.close not in (case.fails or (case.answers.close,)):
        found.append(f"close {seen.close}")
    return found + loose_ends(seen)


def loose_ends(seen):
    found = []
    if not seen.ended:
        found.append("the connection did not end")
    if seen.late:
        found.append(f"frames behind the Close: {brief(seen.late)}")
    if seen.seconds > SLOW:
        found.append(f"it took {seen.seconds:.1f} s")
    return found


def brief(what):
    text = repr(what)
    return text if len(text) < 200 else f"{len(what)}: {text[:200]}..."


def differences(case, direct, through):
    names = ["status", "extensions", "messages", "pongs", "data", "close", "ended"]
    if not case.fails:
        names.append("reason")
    return {n: (brief(getattr(direct, n)), brief(getattr(through, n)))
            for n in names if getattr(direct, n) != getattr(through, n)}


class EchoServer(node.NodeServer):
    """The one on python3-websockets; like those of ../node in all but the command."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-B", ECHO], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"


def start_server(stage, name):
    if name == "ws" and node.missing():
        pytest.skip(node.missing())
    server = node.NodeServer("ws-echo.js", name) if name == "ws" else EchoServer(name)
    stage.others.append(server)
    return server


@pytest.fixture(scope="module")
def servers(shared_stage):
    """The app servers by name, started when first asked for."""
    started = {}

    def get(name):
        if name not in started:
            started[name] = start_server(shared_stage, name)
        return started[name]

    return get


@pytest.fixture(scope="module")
def proxies(shared_stage, servers):
    """Roosts by app server and settings of the upstream."""
    started = {}

    def get(name, **upstream):
        key = name, repr(upstream)
        if key not in started:
            config = settings([entry(servers(name))], **upstream)
            started[key] = shared_stage.roost(config)
        return started[key]

    return get


def of_sections(*sections):
    return [c for c in cases.ALL if c.section in sections]


def marked(case):
    """The thread sanitizer sees those where control frames and data meet."""
    return pytest.param(case, id=str(case),
                        marks=[pytest.mark.quick] if case.section == 5 else [])


# ---- the client speaks ----

@pytest.mark.parametrize("server", ["ws", "websockets"])
@pytest.mark.parametrize("case", map(marked, cases.ALL))
def test_like_the_app_server_alone(servers, proxies, server, case):
    alone = ("127.0.0.1", servers(server).port)
    roost = proxies(server)
    for way in WAYS:
        direct = observe(alone, case, way)
        through = observe(roost.address, case, way)
        found = differences(case, direct, through)
        found = {k: v for k, v in found.items() if k not in allowed(case, way, server)}
        assert not found, f"{way}: alone and through roost"
        assert direct.status != 101 or not faults(case, through, way), way


@pytest.mark.parametrize("case", cases.ALL, ids=str)
def test_with_checked_text(proxies, case):
    """`utf8: check` finds what is bad and takes nothing good for bad, compressed or
    not."""
    roost = proxies("ws", utf8="check")
    for way in ("burst", "bytes"):
        seen = observe(roost.address, case, way)
        assert seen.status != 101 or not faults(case, seen, way), way


@pytest.mark.parametrize("case", cases.EARLY_UTF8, ids=str)
def test_checked_text_fails_at_once(proxies, case):
    """The app server would wait for the end of the message."""
    roost = proxies("ws", utf8="check")
    for way in WAYS:
        assert not faults(case, observe(roost.address, case, way), way), way


@pytest.mark.parametrize("server", ["ws", "websockets"])
@pytest.mark.parametrize("case", of_sections(12, 13), ids=str)
def test_compressed_where_sessions_can_be_moved(proxies, server, case):
    """There the offer is changed, so that no context outlives a message."""
    roost = proxies(server, rehome={"mode": "transparent"})
    for way in WAYS:
        seen = observe(roost.address, case, way)
        assert seen.status != 101 or not faults(case, seen, way), way
        if Deflate(seen.extensions).on:
            assert "server_no_context_takeover" in seen.extensions
            assert "client_no_context_takeover" in seen.extensions


# ---- the app server speaks ----

class Speaker:
    """An app server that says what a case says, and tells what came back."""

    def __init__(self):
        self.heard = {}     # target: the Close that came, or NO_CLOSE
        self.said = {}      # target: (case, way)

    def script(self, sock, head):
        target = head.split(b" ")[1].decode()
        case, way = self.said[target]
        sock.settimeout(scaled(DEADLINE))
        sock.sendall(switching(head))
        whole = b"".join(encoded(s, masked=False) for s in case.steps)
        try:
            for i in range(0, len(whole), 1 if way == "bytes" else len(whole)):
                sock.sendall(whole[i : i + (1 if way == "bytes" else len(whole))])
        except OSError:
            pass    # who is cut off need not have said it all
        self.heard[target] = self.listen(sock, case.says_close)
        return False

    @staticmethod
    def listen(sock, said_close):
        decoder = frames.Decoder()
        try:
            while data := sock.recv(65536):
                decoder.feed(data)
                while f := decoder.next():
                    assert f.masked, "a client must mask"
                    if f.opcode == CLOSE:
                        if not said_close:
                            sock.sendall(frames.encode(CLOSE, f.payload))
                        return frames.parse_close(f.payload)[0]
        except OSError:
            pass
        return NO_CLOSE


def switching(head, extensions=None):
    key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n")
               if line.lower().startswith(b"sec-websocket-key:"))
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
             "Connection: Upgrade",
             "Sec-WebSocket-Accept: " + frames.accept_of(key.decode())]
    if extensions:
        lines.append("Sec-WebSocket-Extensions: " + extensions)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture(scope="module")
def speaker(shared_stage):
    """An app server that says cases, and a function that gives a roost before it."""
    speaker = Speaker()
    backend = ScriptedBackend(speaker.script)
    shared_stage.others.append(backend)
    started = {}

    def get(**upstream):
        if repr(upstream) not in started:
            config = settings([entry(backend)], rehome={"mode": "off"}, **upstream)
            started[repr(upstream)] = shared_stage.roost(config)
        return started[repr(upstream)]

    speaker.roost = get
    return speaker


def hear(speaker, case, way, **upstream):
    """Runs a case from the app server; what the client saw and the code that the app
    server got."""
    roost = speaker.roost(**upstream)
    target = f"/{case.number}/{way}/{len(upstream)}"
    speaker.said[target] = case, way
    client = Client(roost.address, target=target)
    n = len(said_by(case.steps))
    if not case.fails and not case.says_close:
        client.pump(until=lambda: client.closed() or len(client.seen.frames) >= n)
        client.close(1000)
    client.finish_close()
    client.sock.close()
    client.seen.seconds = time.monotonic() - client.begun
    return client.seen, wait_until(lambda: speaker.heard.get(target, ()) != ()
                                   and [speaker.heard[target]], "the app server is done")[0]


def said_by(steps):
    """The frames before a Close, as a client sees them."""
    said = [(s.fin, s.rsv, s.opcode, s.payload) for s in steps]
    opcodes = [s.opcode for s in steps]
    return said[: opcodes.index(CLOSE)] if CLOSE in opcodes else said


def as_said(seen):
    return [(f.fin, f.rsv, f.opcode, f.payload) for f in seen.frames]


def without_the_torn(said):
    """Of a message that never ends it does not matter how much arrives."""
    data = [i for i, s in enumerate(said) if s[2] < CLOSE]
    ends = [i for i in data if said[i][0]]
    torn = [i for i in data if i > (ends[-1] if ends else -1)]
    return [s for i, s in enumerate(said) if i not in torn]


def is_bad_text(case):
    return case.fails == (1007,)


SPOKEN = [c for c in cases.ALL if not c.offer and not c.heavy]


@pytest.mark.parametrize("case", SPOKEN, ids=str)
@pytest.mark.parametrize("way", ["burst", "bytes"])
def test_from_the_app_server(speaker, case, way):
    seen, code = hear(speaker, pass_text(case), way)
    assert not loose_ends(seen)
    if case.fails and not is_bad_text(case):
        assert (without_the_torn(as_said(seen))
                == without_the_torn(said_by(case.good_steps)))
        # who is still talking when the connection ends may not get to hear why
        known = [*case.fails, NO_CLOSE] if way == "bytes" else case.fails
        assert (seen.close, code) in [(1011, c) for c in known]
    else:
        assert as_said(seen) == said_by(case.steps)
        assert seen.close == code == case.answers.close


def pass_text(case):
    """The case as it is where nobody looks at text: bad text is only bytes."""
    if not is_bad_text(case):
        return case
    steps = [s._replace(bad=False) for s in case.steps]
    return cases.Case(case.number, case.title, steps)


@pytest.mark.parametrize("case", [c for c in of_sections(6) if not c.heavy], ids=str)
def test_text_from_the_app_server_is_checked_too(speaker, case):
    for way in ("burst", "bytes"):
        seen, code = hear(speaker, case, way, utf8="check")
        assert not loose_ends(seen)
        if case.fails:
            assert seen.messages == case.answers.messages
            # no Close fits into a frame whose beginning is out already
            told = {1011, NO_CLOSE} if way == "bytes" else {1011}
            heard = {1007, NO_CLOSE} if way == "bytes" else {1007}
            assert seen.close in told and code in heard, (seen.close, code)
        else:
            assert as_said(seen) == said_by(case.steps)
            assert seen.close == code == 1000


# ---- compressed bytes ----

def compressed_talk(masked):
    """Frames of one compressor whose context lives from message to message."""
    deflate = Deflate("permessage-deflate")
    steps = [s for k in range(30) for s in (
        cases.step(TEXT if k % 2 else BINARY, cases.words(200 * k, k), deflate=1 + k % 4),
        cases.step(PING, b"between"))]
    return b"".join(encoded(s, deflate, masked) for s in steps)


@pytest.mark.parametrize("cut", [1, 7, 1 << 20])
def test_compressed_bytes_pass_untouched(stage, cut):
    """Bit by bit what the other side has sent, masks and contexts included."""
    down, up = compressed_talk(masked=False), compressed_talk(masked=True)
    got = bytearray()

    def script(sock, head):
        sock.sendall(switching(head, "permessage-deflate"))
        for i in range(0, len(down), cut):
            sock.sendall(down[i : i + cut])
        while len(got) < len(up):
            got.extend(sock.recv(65536))
        return False

    backend = stage.scripted(script)
    roost = stage.roost(settings([entry(backend)]))
    client = Client(roost.address, "permessage-deflate")
    assert client.seen.extensions == "permessage-deflate"
    came = bytearray(client.first)
    client.sock.settimeout(scaled(DEADLINE))
    for i in range(0, len(up), cut):
        client.sock.sendall(up[i : i + cut])
    while len(came) < len(down):
        came += client.sock.recv(65536)
    wait_until(lambda: len(got) >= len(up), "all has arrived")
    assert bytes(came[: len(down)]) == down and bytes(got) == up
    client.sock.close()


# ---- a Close stands between frames ----

class Taker(threading.Thread):
    """Keeps all that comes from a socket."""

    def __init__(self, sock, first=b""):
        super().__init__(daemon=True)
        self.sock, self.got = sock, bytearray(first)
        sock.settimeout(scaled(DEADLINE))
        self.start()

    def run(self):
        try:
            while data := self.sock.recv(65536):
                self.got += data
        except OSError:
            pass

    def wait(self, n):
        wait_until(lambda: len(self.got) >= n, f"{n} bytes have come")

    def frames(self):
        decoder = frames.Decoder()
        decoder.feed(bytes(self.got))
        return list(iter(decoder.next, None))


@pytest.mark.quick
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("speaker_is", ["client", "app server"])
def test_end_of_a_frame_and_a_bad_one_in_one_read(stage, speaker_is, fin):
    """The beginning of the good one is out already, so its end must follow before
    roost can say Close."""
    met = []

    def script(sock, head):
        sock.sendall(switching(head))
        met.append((sock, Taker(sock)))
        done.wait(scaled(DEADLINE))
        return False

    done = threading.Event()
    backend = stage.scripted(script)
    roost = stage.roost(settings([entry(backend)], rehome={"mode": "off"}))
    masked = speaker_is == "client"
    good = frames.encode(TEXT, b"abcd", fin=fin, masked=masked)
    wrong = frames.encode(3, b"x", masked=masked)
    for cut in range(len(good) - 4, len(good)):
        client = Client(roost.address)
        client.sock.setblocking(True)
        wait_until(lambda: met, "the app server has it")
        sock, taker = met.pop()
        if masked:
            mouth, ear = client.sock, taker
        else:
            mouth, ear = sock, Taker(client.sock, client.first)
        mouth.sendall(good[:cut])
        ear.wait(cut)
        mouth.sendall(good[cut:] + wrong)
        wait_until(lambda: len(ear.frames()) >= 2, f"a frame cut at {cut}, then a Close")
        first, last = ear.frames()
        assert (first.payload, last.opcode) == (b"abcd", CLOSE)
        assert frames.parse_close(last.payload)[0] == (1001 if masked else 1011)
        client.sock.close()
        done.set()
        done = threading.Event()
