# SPDX-License-Identifier: MIT
"""Every request of hostile/requests: what the client gets, and what a backend that
reads strictly has seen of it. hostile/README says how the cases are written."""

import itertools

import pytest
from hostile.cases import load
from peers.conversation import Conversation
from peers.recorder import Recorder
from peers.roost import settings

CASES = load("requests", ".req")
PIECES = 400  # a long case is sent in about so many
BEFORE = b"GET /before HTTP/1.1\r\nHost: h\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
OURS = ("/before", "/kept", "/sync")
HOWS = ["whole", "by-byte", "behind", "in-front"]


class Field:
    """One roost with one worker, so that it does things in the order they come."""

    def __init__(self, stage):
        self.recorder = Recorder()
        stage.others.append(self.recorder)
        config = settings([self.recorder])
        config["workers"] = 1
        self.roost = stage.roost(config)
        self.numbers = itertools.count()

    def sync(self):
        """Afterwards the recorder has what roost had sent before."""
        target = f"/sync/{next(self.numbers)}"
        with Conversation(self.roost.address) as c:
            answer = c.get(target)
        assert answer and answer.body.decode() == f"GET {target}"

    def seen(self):
        return [s.message for s in self.recorder.requests
                if not s.line.split(" ")[1].startswith(OURS)]


@pytest.fixture(scope="module")
def field(shared_stage):
    return Field(shared_stage)


def method_of(case, number):
    """To which method the answer of that number belongs."""
    if number < len(case.requests):
        return case.requests[number].line.split(" ")[0]
    return "GET"


def read_answers(case, c, most):
    """Final answers until there are enough, or the connection ends."""
    answers = []
    while len(answers) < most:
        answer, _ = c.final(method_of(case, len(answers)))
        if answer is None:
            break
        answers.append(answer)
    return answers


def check_end(c, expected):
    if expected.end == "kept":
        answer = c.get("/kept")
        assert answer is not None, "the connection is closed"
        assert (answer.status, answer.body) == (200, b"GET /kept")
    elif expected.end == "close":
        assert c.is_at_end(), f"more than was expected: {bytes(c.buffer)!r}"
    else:
        assert not c.has_bytes_now(), f"an answer, or an end: {bytes(c.buffer)!r}"


def check_answers(case, answers):
    """Each answer of the backend belongs to the request in its place."""
    for answer, request in zip(answers, case.requests):
        assert answer.complete
        if answer.status == 200 and not request.line.startswith("HEAD"):
            assert answer.body.decode("latin-1") == request.line


def choose(case, answers):
    """The expectation that these answers fit."""
    statuses = [a.status for a in answers]
    closes = bool(answers) and "close" in (answers[-1].header("Connection") or "")
    for e in case.expected:
        if e.statuses == statuses and closes == (e.end == "close"):
            return e
    says = " and Connection: close" if closes else ""
    raise AssertionError(f"{case.expected} expected, got {statuses}{says}")


def lines_of(message):
    return {f"{k.lower()}: {v}" for k, v in message.headers}


def names_of(message):
    return {k.lower() for k, _ in message.headers + message.trailers}


def check_seen(wanted, message):
    assert message.body == wanted.body
    for line in wanted.has:
        name, _, value = line.partition(": ")
        assert f"{name.lower()}: {value}" in lines_of(message), message.headers
    for name in wanted.lacks:
        assert name.lower() not in names_of(message), (name, message.headers)
    if wanted.trailers:
        got = ", ".join(f"{k}: {v}" for k, v in message.trailers)
        assert (got or "none") == wanted.trailers


def check_backend(case, field):
    recorder = field.recorder
    assert not recorder.problems
    lines = [m.line for m in field.seen()]
    due = [r for r in case.requests if r.how == "complete"
           or (r.how == "perhaps" and r.line in lines)]
    assert lines == [r.line for r in due], "complete requests at the backend"
    for wanted, message in zip(due, field.seen()):
        check_seen(wanted, message)
    begun = [r.line for r in case.requests if r.how != "complete"]
    for rest in recorder.unfinished():
        assert any(rest.startswith(b.encode("latin-1")) for b in begun), rest



def send(c, data, how):
    piece = max(1, len(data) // PIECES) if how == "by-byte" else 0
    if how == "behind":
        data = BEFORE + data
    if how == "in-front":
        data += SMUGGLED
    c.send(data, piece)


def ways():
    for name, case in CASES.items():
        for how in HOWS:
            if how != "in-front" or all(e.end == "close" for e in case.expected):
                yield pytest.param(name, how, id=f"{name}-{how}")


@pytest.mark.parametrize("name, how", ways())
def test_request(field, name, how):
    case = CASES[name]
    field.sync()
    field.recorder.forget()
    with Conversation(field.roost.address) as c:
        send(c, case.data, how)
        if how == "behind":
            assert c.final()[0].body == b"GET /before"
        answers = read_answers(case, c, max(len(e.statuses) for e in case.expected))
        expected = choose(case, answers)
        if expected.end == "waiting":
            field.sync()
        check_end(c, expected)
        check_answers(case, answers)
    field.sync()
    check_backend(case, field)


def test_corpus_is_there():
    assert len(CASES) >= 150
