# SPDX-License-Identifier: MIT
"""The cases, numbered by the sections of Autobahn's fuzzing client: 1 framing, 2 pings
and pongs, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 large
messages, 10 automatic fragments, 12 compressed messages, 13 offers of compression;
and 5.2 of RFC 6455, lengths and masks, which Autobahn does not try, as section 14.

A case is what one side sends. What an echoing endpoint has to answer follows from it
(Case.answers): messages come back, pings make pongs, nothing counts from the first step
on that is bad. A case without a bad step and without a Close of its own is ended with
1000 by whoever runs it.
"""

from collections import namedtuple

from peers.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

from .text import INVALID, VALID

KIB, MIB = 1 << 10, 1 << 20
DATA = (TEXT, BINARY, CONTINUATION)

# A frame. bad: an endpoint has to fail the connection here. wrong_mask: masked where it
# must not be, or the other way round. deflate: the payload is one compressed message, in
# that many frames of about the same size.
Step = namedtuple("Step", "opcode payload fin rsv length_size wrong_mask bad deflate")

# What comes back: messages as (opcode, payload), payloads of pongs, code of the Close.
Answers = namedtuple("Answers", "messages pongs close")


def step(opcode, payload=b"", fin=True, rsv=0, length_size=None, wrong_mask=False,
         bad=False, deflate=0):
    return Step(opcode, payload, fin, rsv, length_size, wrong_mask, bad, deflate)


def bad(*args, **how):
    return step(*args, bad=True, **how)


def close(code=None, reason=b"", **how):
    payload = b"" if code is None else code.to_bytes(2, "big") + reason
    return step(CLOSE, payload, **how)


def fragments(opcode, pieces, between=()):
    """A message in pieces, with the same steps between each two of them."""
    made = []
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        made.append(step(CONTINUATION if i else opcode, piece, fin=last))
        made += [] if last else between
    return made


def cut(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)] or [b""]


class Case:
    def __init__(self, number, title, steps, fails=(1002,), offer=None, heavy=False):
        self.number, self.title, self.steps = number, title, steps
        self.offer, self.heavy = offer, heavy
        self.first_bad = next((i for i, s in enumerate(steps) if s.bad), None)
        self.fails = fails if self.first_bad is not None else ()
        self.says_close = any(s.opcode == CLOSE for s in self.good_steps)
        self.answers = self.answer()

    def __str__(self):
        return f"{self.number}-{self.title.replace(' ', '_')}"

    @property
    def good_steps(self):
        return self.steps[: self.first_bad]

    @property
    def section(self):
        return int(self.number.split(".")[0])

    def answer(self):
        messages, pongs, code = [], [], 1000
        opcode, parts = None, []
        for s in self.good_steps:
            if s.opcode == CLOSE:
                code = int.from_bytes(s.payload[:2], "big") if s.payload else None
                break
            if s.opcode == PING:
                pongs.append(s.payload)
            elif s.opcode in DATA:
                opcode = s.opcode or opcode
                parts.append(s.payload)
                if s.fin:
                    messages.append((opcode, b"".join(parts)))
                    parts = []
        return Answers(messages, pongs, code)


def filler(n):
    return (b"0123456789abcdef" * (n // 16 + 1))[:n]


# ---- 1: framing ----

LENGTHS = (0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, MIB)


def framing():
    for group, opcode, name in ((1, TEXT, "text"), (2, BINARY, "binary")):
        for i, n in enumerate(LENGTHS, 1):
            yield Case(f"1.{group}.{i}", f"{name} of {n}", [step(opcode, filler(n))],
                       heavy=n >= MIB)
    yield Case("1.2.20", "binary of every byte", [step(BINARY, bytes(range(256)))])
    yield Case("1.2.21", "every length up to 300",
               [step(BINARY, filler(n)) for n in range(301)])


# ---- 2: pings and pongs ----

def pings():
    yield Case("2.1", "empty ping", [step(PING)])
    yield Case("2.2", "ping with text", [step(PING, b"Hello, world!")])
    yield Case("2.3", "ping with bytes", [step(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")])
    yield Case("2.4", "ping of 125", [step(PING, b"\xfe" * 125)])
    yield Case("2.5", "ping of 126", [bad(PING, b"\xfe" * 126)])
    yield Case("2.5.2", "ping of 126 behind a message",
               [step(TEXT, b"before"), bad(PING, b"x" * 126), step(TEXT, b"after")])
    yield Case("2.5.3", "pong of 126", [bad(PONG, b"\xfe" * 126)])
    yield Case("2.5.4", "ping of 65536", [bad(PING, b"\xfe" * 65536)])
    for i, first in enumerate((0, 42, 84)):     # some servers drop who sends 60 at once
        yield Case(f"2.6.{i}", f"pings of each length from {first}",
                   [step(PING, filler(n)) for n in range(first, first + 42)])
    yield Case("2.7", "unasked empty pong", [step(PONG)])
    yield Case("2.8", "unasked pong", [step(PONG, b"unasked")])
    yield Case("2.9", "unasked pong, then ping", [step(PONG, b"unasked"), step(PING, b"q")])
    yield Case("2.10", "ten pings", [step(PING, b"payload-%d" % i) for i in range(10)])


# ---- 3: reserved bits ----

def reserved_bits():
    message = step(TEXT, b"good")
    for rsv in range(1, 8):
        wrong = bad(TEXT, b"reserved", rsv=rsv)
        yield Case(f"3.{rsv}", f"text with bits {rsv:03b}", [wrong])
        yield Case(f"3.{rsv}.1", f"bits {rsv:03b} between messages",
                   [message, wrong, step(PING), message])
    for i, (name, wrong) in enumerate((
            ("binary", bad(BINARY, b"x", rsv=1)), ("ping", bad(PING, b"x", rsv=4)),
            ("pong", bad(PONG, b"x", rsv=2)),
            ("close", bad(CLOSE, b"\x03\xe8", rsv=1)),
            ("empty text", bad(TEXT, rsv=4))), 1):
        yield Case(f"3.8.{i}", f"reserved bit on {name}", [wrong])
    yield Case("3.9", "reserved bit on a continuation",
               [step(TEXT, b"a", fin=False), bad(CONTINUATION, b"b", rsv=4)])


# ---- 4: opcodes ----

def opcodes():
    for group, numbers in ((1, range(3, 8)), (2, range(11, 16))):
        for i, opcode in enumerate(numbers, 1):
            yield Case(f"4.{group}.{i}", f"opcode {opcode}", [bad(opcode)])
            yield Case(f"4.{group}.{i}.1", f"opcode {opcode} with payload",
                       [bad(opcode, b"reserved opcode payload")])
            yield Case(f"4.{group}.{i}.2", f"opcode {opcode} behind a message",
                       [step(TEXT, b"good"), bad(opcode, b"x"), step(PING)])
            yield Case(f"4.{group}.{i}.3", f"opcode {opcode} inside a message",
                       [step(TEXT, b"a", fin=False), bad(opcode, b"x"),
                        step(CONTINUATION, b"b")])


# ---- 5: fragmentation ----

def fragmentation():
    ping, pong = step(PING, b"between"), step(PONG, b"between")
    two = [b"fragment1", b"fragment2"]
    five = [b"fragment%d " % i for i in range(5)]
    yield Case("5.1", "ping in fragments",
               [bad(PING, b"a", fin=False), step(CONTINUATION, b"b")])
    yield Case("5.2", "pong in fragments",
               [bad(PONG, b"a", fin=False), step(CONTINUATION, b"b")])
    yield Case("5.2.1", "close in fragments", [bad(CLOSE, b"\x03\xe8", fin=False)])
    yield Case("5.3", "text in two", fragments(TEXT, two))
    yield Case("5.4", "binary in two", fragments(BINARY, two))
    yield Case("5.5", "text in one byte each", fragments(TEXT, cut(filler(80), 1)))
    yield Case("5.6", "ping inside a message", fragments(TEXT, two, [ping]))
    yield Case("5.7", "pong inside a message", fragments(TEXT, two, [pong]))
    yield Case("5.8", "pings and pongs everywhere",
               fragments(TEXT, five, [ping, pong, ping]))
    yield Case("5.9", "continuation of nothing",
               [bad(CONTINUATION, b"x"), step(TEXT, b"y")])
    yield Case("5.10", "unfinished continuation of nothing",
               [bad(CONTINUATION, b"x", fin=False), step(TEXT, b"y")])
    yield Case("5.11", "continuation behind a whole message",
               [step(TEXT, b"whole"), bad(CONTINUATION, b"x")])
    yield Case("5.12", "continuation behind a fragmented message",
               [*fragments(TEXT, two), bad(CONTINUATION, b"x")])
    yield Case("5.13", "empty continuation of nothing", [bad(CONTINUATION)])
    yield Case("5.14", "continuation of nothing between pings",
               [step(PING, b"1"), bad(CONTINUATION, b"x"), step(PING, b"2")])
    yield Case("5.15", "whole message, then unfinished continuation",
               [*fragments(TEXT, two), bad(CONTINUATION, b"c", fin=False),
                step(TEXT, b"d")])
    for i, (a, b) in enumerate(((TEXT, TEXT), (TEXT, BINARY), (BINARY, TEXT),
                                (BINARY, BINARY))):
        yield Case(f"5.18.{i}", f"opcode {b} inside a message of {a}",
                   [step(a, b"a", fin=False), bad(b, b"b")])
    yield Case("5.18.4", "unfinished text inside a message",
               [step(TEXT, b"a", fin=False), bad(TEXT, b"b", fin=False),
                step(CONTINUATION, b"c")])
    yield Case("5.19", "pings while a message is unfinished",
               [step(TEXT, b"a", fin=False), step(CONTINUATION, b"b", fin=False), ping,
                step(CONTINUATION, b"c", fin=False), step(CONTINUATION, b"d", fin=False),
                ping, step(CONTINUATION, b"e")])
    yield Case("5.21", "empty fragments", fragments(TEXT, [b"", b"", b"x", b"", b""]))
    yield Case("5.22", "nothing but empty fragments", fragments(BINARY, [b""] * 5, [ping]))
    yield Case("5.23", "many messages in fragments",
               [s for i in range(25)
                for s in fragments(TEXT, [b"%d" % i, b"", b"!"], [ping])])
    yield Case("5.24", "fragments of each length field",
               fragments(BINARY, [filler(n) for n in (0, 125, 126, 65535, 65536, 1)],
                         [ping]))


# ---- 6: UTF-8 ----

def utf8():
    for i, (name, text) in enumerate(VALID.items(), 1):
        yield Case(f"6.2.{i}", f"{name}", [step(TEXT, text)])
        yield Case(f"6.2.{i}.1", f"{name} in single bytes",
                   fragments(TEXT, cut(text, 1), [step(PING, b"p")]))
    for i, (name, text) in enumerate(INVALID.items(), 1):
        yield Case(f"6.3.{i}", f"{name}", [bad(TEXT, text)], fails=(1007,))
        yield Case(f"6.3.{i}.1", f"{name} behind a message",
                   [step(TEXT, b"good"), bad(TEXT, text)], fails=(1007,))
        yield Case(f"6.3.{i}.2", f"{name} as binary", [step(BINARY, text)])
        if len(text) < 100:
            yield Case(f"6.3.{i}.3", f"{name} in single bytes",
                       [s._replace(bad=True) for s in fragments(TEXT, cut(text, 1))],
                       fails=(1007,))
    whole = "κόσμε \U0001f600 ö".encode()
    for i in range(len(whole) + 1):
        yield Case(f"6.4.{i}", f"good text cut at byte {i}",
                   fragments(TEXT, [whole[:i], whole[i:]]))
    wrong = "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited"
    for i in range(len(wrong) + 1):
        yield Case(f"6.5.{i}", f"bad text cut at byte {i}",
                   [s._replace(bad=True) for s in fragments(TEXT, [wrong[:i], wrong[i:]])],
                   fails=(1007,))
    yield Case("6.6", "a character cut by the end of a message",
               [bad(TEXT, b"\xce"), step(TEXT, b"\xba")], fails=(1007,))
    yield Case("6.7", "a character cut by a ping",
               fragments(TEXT, [b"\xce", b"\xba"], [step(PING, b"\xff")]))
    yield Case("6.8", "an empty message behind a cut character",
               fragments(TEXT, [b"\xce\xba", b""]) + [step(TEXT)])


# Bad text that is known to be bad before its message has ended.
def early_utf8():
    head = "κόσμε ".encode()
    for i, (name, text) in enumerate(INVALID.items(), 1):
        if not name.startswith("cut") or "then" in name:
            yield Case(f"6.9.{i}", f"{name} in an unfinished message",
                       [bad(TEXT, head, fin=False),
                        bad(CONTINUATION, text + b" x", fin=False)], fails=(1007,))


# ---- 7: closing ----

VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
               3000, 3999, 4000, 4999)
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000,
                 32768, 65535)


def closing():
    whole = step(TEXT, b"Hello World!")
    yield Case("7.1.1", "message, then close", [whole, close(1000)])
    yield Case("7.1.2", "two closes", [close(1000), close(1001)])
    yield Case("7.1.3", "ping behind a close", [close(1000), step(PING, b"late")])
    yield Case("7.1.4", "text behind a close", [close(1000), whole])
    yield Case("7.1.5", "close inside a message",
               [step(TEXT, b"a", fin=False), close(1000), step(CONTINUATION, b"b")])
    yield Case("7.1.6", "256 KiB, close, ping",
               [step(TEXT, filler(256 * KIB)), close(1000), step(PING, b"late")])
    yield Case("7.1.7", "nonsense behind a close", [close(1000), step(3, b"x", rsv=7)])
    yield Case("7.1.8", "ping, then close", [step(PING, b"q"), close(4000, b"bye")])
    yield Case("7.3.1", "close without payload", [close()])
    yield Case("7.3.2", "close of one byte", [bad(CLOSE, b"\x03")])
    yield Case("7.3.3", "close with a code", [close(1000)])
    yield Case("7.3.4", "close with a reason", [close(1000, b"Hello World!")])
    for i, n in enumerate((1, 2, 121, 122, 123), 1):
        yield Case(f"7.3.5.{i}", f"reason of {n}", [close(1000, b"*" * n)])
    yield Case("7.3.6", "reason of 124", [bad(CLOSE, b"\x03\xe8" + b"*" * 124)])
    for i, (name, text) in enumerate(VALID.items(), 1):
        yield Case(f"7.4.{i}", f"reason with {name}", [close(1000, text)])
    for i, (name, text) in enumerate(INVALID.items(), 1):
        if len(text) <= 123:
            yield Case(f"7.5.{i}", f"reason with {name}",
                       [close(1000, text, bad=True)], fails=(1007, 1002))
    for code in VALID_CODES:
        yield Case(f"7.7.{code}", f"close {code}", [close(code, b"why not")])
    for code in INVALID_CODES:
        yield Case(f"7.9.{code}", f"close {code}", [close(code, bad=True)])
        yield Case(f"7.9.{code}.1", f"close {code} with a reason",
                   [close(code, b"why", bad=True)])


# ---- 9 and 10: large messages ----

def large():
    for group, opcode, name in ((1, TEXT, "text"), (2, BINARY, "binary")):
        for i, n in enumerate((64 * KIB, 256 * KIB, 2 * MIB), 1):
            yield Case(f"9.{group}.{i}", f"{name} of {n}", [step(opcode, filler(n))],
                       heavy=True)
    for i, size in enumerate((64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB), 1):
        whole = filler(min(2048 * size, MIB))
        yield Case(f"9.3.{i}", f"{len(whole)} in fragments of {size}",
                   fragments(BINARY, cut(whole, size)), heavy=True)
    for i, size in enumerate((16, 125, 126, 1000), 1):
        yield Case(f"9.7.{i}", f"500 messages of {size}",
                   [step(TEXT, filler(size)) for _ in range(500)], heavy=True)
    yield Case("10.1.1", "65536 in fragments of 1300",
               fragments(TEXT, cut(filler(65536), 1300)))


# ---- 12: compressed messages ----

DEFLATE = "permessage-deflate"


def words(n, seed):
    """Text that repeats itself, differently for each seed."""
    return (b'{"id": %d, "what": "numbers and words"}, ' % seed * (n // 30 + 1))[:n]


def compressed():
    for group, opcode in ((1, TEXT), (2, BINARY)):
        for i, n in enumerate((0, 1, 16, 64, 256, KIB, 8 * KIB, 64 * KIB, 128 * KIB), 1):
            yield Case(f"12.{group}.{i}", f"ten compressed messages of {n}",
                       [step(opcode, words(n, k), deflate=1) for k in range(10)],
                       offer=DEFLATE, heavy=n > 8 * KIB)
    yield Case("12.3.1", "compressed in fragments", offer=DEFLATE, steps=[
        step(TEXT, words(5000, k), deflate=pieces) for k, pieces in enumerate((2, 7, 100))])
    yield Case("12.3.2", "compressed and not, in turns", offer=DEFLATE, steps=[
        step(TEXT, words(500, k), deflate=k % 2) for k in range(10)])
    yield Case("12.3.3", "compressed with pings between", offer=DEFLATE, steps=[
        s for k in range(10)
        for s in (step(BINARY, words(500, k), deflate=3), step(PING, b"p%d" % k))])
    yield Case("12.4.1", "compressed text that is not UTF-8", offer=DEFLATE, fails=(1007,),
               steps=[bad(TEXT, b"\xed\xa0\x80 surrogate", deflate=1)])
    yield Case("12.4.2", "not compressed at all", offer=DEFLATE, fails=(1002, 1007, 1003),
               steps=[bad(TEXT, b"\xff\xff\xff\xff\xff", rsv=4)])
    yield Case("12.5.1", "first bit on a continuation", offer=DEFLATE, steps=[
        step(TEXT, b"a", fin=False), bad(CONTINUATION, b"b", rsv=4)])
    yield Case("12.5.2", "first bit on a ping", offer=DEFLATE, steps=[bad(PING, rsv=4)])
    yield Case("12.5.3", "first bit on a close", offer=DEFLATE,
               steps=[bad(CLOSE, b"\x03\xe8", rsv=4)])
    for rsv in (1, 2, 3, 5, 6, 7):
        yield Case(f"12.5.{rsv + 3}", f"bits {rsv:03b} in spite of compression",
                   offer=DEFLATE, steps=[bad(TEXT, b"x", rsv=rsv)])


# ---- 13: offers of compression ----

OFFERS = (
    DEFLATE,
    DEFLATE + "; client_no_context_takeover",
    DEFLATE + "; server_no_context_takeover",
    DEFLATE + "; client_no_context_takeover; server_no_context_takeover",
    DEFLATE + "; client_max_window_bits",
    DEFLATE + "; client_max_window_bits=9",
    DEFLATE + "; client_max_window_bits=15",
    DEFLATE + "; server_max_window_bits=9",
    DEFLATE + "; server_max_window_bits=15; client_max_window_bits=12",
    DEFLATE + "; server_max_window_bits=9; server_no_context_takeover; "
              "client_max_window_bits; client_no_context_takeover",
    DEFLATE + "; server_max_window_bits=9, " + DEFLATE,
    DEFLATE + '; server_max_window_bits="10"',
    "x-unknown",
    "x-unknown; a=b, " + DEFLATE,
    DEFLATE + "; unknown_parameter, " + DEFLATE + "; client_max_window_bits",
)


def offers():
    for i, offer in enumerate(OFFERS, 1):
        yield Case(f"13.{i}", f"offer {i}", offer=offer, steps=[
            step(TEXT if k % 2 else BINARY, words(40 * 3 ** k, k), deflate=1 + k)
            for k in range(6)])


# ---- 14: lengths and masks (RFC 6455, 5.1 and 5.2) ----

def lengths_and_masks():
    for i, (n, size) in enumerate(((0, 3), (5, 3), (125, 3), (0, 9), (5, 9), (126, 9),
                                   (65535, 9)), 1):
        yield Case(f"14.1.{i}", f"{n} bytes with a length of {size - 1}",
                   [bad(TEXT, filler(n), length_size=size)])
    for i, size in enumerate((3, 9), 1):
        yield Case(f"14.2.{i}", f"ping with a length of {size - 1}",
                   [bad(PING, b"x", length_size=size)])
    for i, (name, frame) in enumerate((
            ("text", bad(TEXT, b"x", wrong_mask=True)),
            ("empty text", bad(TEXT, wrong_mask=True)),
            ("ping", bad(PING, b"x", wrong_mask=True)),
            ("close", bad(CLOSE, b"\x03\xe8", wrong_mask=True))), 1):
        yield Case(f"14.3.{i}", f"{name} masked wrongly", [frame])
        yield Case(f"14.4.{i}", f"{name} masked wrongly behind a message",
                   [step(TEXT, b"good"), frame])
    yield Case("14.5", "continuation masked wrongly",
               [step(TEXT, b"a", fin=False), bad(CONTINUATION, b"b", wrong_mask=True)])


SECTIONS = (framing, pings, reserved_bits, opcodes, fragmentation, utf8, closing, large,
            compressed, offers, lengths_and_masks)
ALL = [case for section in SECTIONS for case in section()]
EARLY_UTF8 = list(early_utf8())

assert len({c.number for c in ALL + EARLY_UTF8}) == len(ALL) + len(EARLY_UTF8)
