# SPDX-License-Identifier: MIT
"""Every response of hostile/responses: what the client gets of it, and that whoever
comes next, on either connection, gets what is his. hostile/README says how the cases
are written."""

import pytest
from hostile.cases import load, unescape
from peers.conversation import Conversation
from peers.recorder import Recorder
from peers.roost import settings
from peers.waiting import scaled, wait_until

CASES = load("responses", ".res")
PIECES = 400
TARGET = "/hostile"


@pytest.fixture(scope="module")
def field(shared_stage):
    recorder = Recorder()
    shared_stage.others.append(recorder)
    config = settings([recorder], retries=0)
    config["workers"] = 1
    return shared_stage.roost(config), recorder


def ask(c, case):
    method, version = case.get("request", "GET 1.1").split(" ")
    lines = [f"{method} {TARGET} HTTP/{version}", "Host: h"]
    if case.get("asks"):
        lines += unescape(case.get("asks")).decode("latin-1").split("\r\n")
    c.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    return method


def choose(case, c, answer):
    """The expectation that what came fits: complete or cut, and its status."""
    statuses = [answer.status] if answer else []
    for e in case.expected:
        if e.end == "cut":
            fits = answer is None or (statuses == e.statuses and not answer.complete)
        else:
            fits = statuses == e.statuses and answer.complete
        if fits:
            return e
    whole = "" if not answer else " complete" if answer.complete else " cut"
    raise AssertionError(
        f"{case.expected} expected, got {statuses}{whole}, {c.ended or 'open'}")


def lines_of(message):
    return {f"{k.lower()}: {v}" for k, v in message.headers}


def check_answer(case, answer, interim):
    if "body" in case.facts:
        assert answer.body == unescape(case.get("body"))
    if "interim" in case.facts:
        assert " ".join(str(i.status) for i in interim) == case.get("interim")
    if "trailers" in case.facts:
        got = ", ".join(f"{k}: {v}" for k, v in answer.trailers)
        assert (got or "none") == case.get("trailers")
    if "has" in case.facts:
        name, _, value = case.get("has").partition(": ")
        assert f"{name.lower()}: {value}" in lines_of(answer), answer.headers
    if "lacks" in case.facts:
        fields = [f for m in [answer, *interim] for f in m.headers + m.trailers]
        names = {k.lower() for k, _ in fields}
        for name in case.get("lacks").split(", "):
            assert name.lower() not in names, (name, fields)


def check_end(case, c, expected):
    if expected.end == "kept":
        answer = c.get("/kept")
        assert answer is not None, "the connection is closed"
        assert (answer.status, answer.body) == (200, b"GET /kept")
    elif expected.end == "close":
        assert c.is_at_end(), f"more than was expected: {bytes(c.buffer)!r}"
    else:
        assert c.ended, "cut, and yet open"


def check_next_client(roost, number):
    with Conversation(roost.address) as other:
        for i in range(2):
            answer = other.get(f"/other/{number}/{i}")
            assert answer.body.decode() == f"GET /other/{number}/{i}"


def check_reuse(case, recorder, plan):
    later = [s.conn for s in recorder.requests if s.line.split(" ")[1] != TARGET]
    if case.get("reuse") == "no":
        assert plan.conn not in later, "a connection that cannot be trusted is used"
    elif case.get("reuse") == "yes":
        assert plan.conn == later[0], "a good connection was thrown away"


@pytest.mark.parametrize("how", ["whole", "by-byte"])
@pytest.mark.parametrize("name", CASES)
def test_response(field, name, how):
    roost, recorder = field
    case = CASES[name]
    recorder.forget()
    piece = max(1, len(case.data) // PIECES) if how == "by-byte" else 0
    plan = recorder.plan(TARGET, case.data, case.get("then", "open"), piece)
    with Conversation(roost.address) as c:
        answer, interim = c.final(ask(c, case))
        assert plan.served.wait(scaled(10))
        expected = choose(case, c, answer)
        if answer:
            check_answer(case, answer, interim)
        if case.get("later"):
            recorder.send(plan.conn, unescape(case.get("later")))
        check_end(case, c, expected)
        check_next_client(roost, recorder.n_conns)
    check_reuse(case, recorder, plan)
    assert not recorder.problems
    assert [s.line.split(" ")[1] for s in recorder.requests].count(TARGET) <= 1
    if case.get("reuse") == "no":
        wait_until(lambda: not recorder.is_open(plan.conn), "the connection is closed")


def test_corpus_is_there():
    assert len(CASES) >= 60
