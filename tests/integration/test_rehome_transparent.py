# SPDX-License-Identifier: MIT
"""Re-homing that nobody notices: the client's socket stays open while its backend is
replaced, and every message arrives exactly once and in order."""

import pytest
from peers import frames
from peers.admin import scene
from peers.client import Person, RawClient
from peers.roost import changed, without
from peers.waiting import holds_for, let_pass, scaled, wait_until
from peers.websocket import Closed, Swarm, WsClient

# an app server that is starved of CPU may take seconds to answer a Close
FAST = {"mode": "transparent", "rate": 1000, "debounce": "50ms", "drain_timeout": "30s"}


def sockets_of(backend):
    return backend.open().sockets


def drain(roost, name="a"):
    roost.reload(changed(roost.config, name, state="drain"))


def wait_moved(a, seconds=20):
    wait_until(lambda: sockets_of(a) == 0, f"{a.name} has no sockets", seconds)


def test_200_busy_sockets_through_a_drain(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "transparent",
                                                "drain_timeout": "30s"})
    with Swarm(roost, 200) as swarm:
        assert sockets_of(a) > 80
        drain(roost)
        wait_moved(a)
        swarm.wait_progress(5)
        swarm.finish()
        swarm.check_exact()
    assert sockets_of(a) == 0
    pauses = sorted(float(p) for p in roost.logged(r"re-homed .* pause ([\d.]+) ms"))
    print(f"{len(pauses)} moves, pause p50 {pauses[len(pauses) // 2]} ms, "
          f"p99 {pauses[len(pauses) * 99 // 100]} ms")


@pytest.mark.quick
def test_busy_sockets_through_a_drain(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    with Swarm(roost, 20) as swarm:
        drain(roost)
        wait_moved(a)
        swarm.wait_progress()
        swarm.finish()
        swarm.check_exact()


@pytest.mark.quick
def test_there_and_back_again(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    with Swarm(roost, 60) as swarm:
        up = roost.config
        for name, gone in (("a", a), ("b", b), ("a", a), ("b", b)):
            roost.reload(changed(up, name, state="drain"))
            wait_moved(gone)
            swarm.wait_progress(2)
        swarm.finish()
        swarm.check_exact()


@pytest.mark.quick
def test_200_busy_sockets_through_a_kill(stage, record_property):
    roost, admin, a, b = scene(stage, "a", "b", rehome={"mode": "transparent"})
    with Swarm(roost, 200) as swarm:
        a.kill()
        wait_until(lambda: sockets_of(b) == 200, "all are at b", 20)
        swarm.wait_progress(5)
        swarm.finish(lossy=True)
        assert not swarm.closed, [m.closed for m in swarm.closed][:5]
        lost, sent = swarm.check_ordered(), sum(m.sent for m in swarm.members)
    record_property("lost", lost)
    print(f"lost {lost} of {sent}")
    # only what was under way at that moment
    assert lost <= admin.get("/v1/status")["counters"]["messages_maybe_lost"]


def test_idle_sockets_through_a_kill(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(40)]
    a.kill()
    wait_until(lambda: sockets_of(b) == 40, "all are at b")
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_fragmented_messages_through_a_drain(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    with Swarm(roost, 40, interval=0.03, size=2000, fragments=5) as swarm:
        drain(roost)
        wait_moved(a)
        swarm.wait_progress()
        swarm.finish()
        swarm.check_exact()


def test_large_messages_through_a_drain(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    with Swarm(roost, 8, interval=0.1, burst=1, size=1 << 20, fragments=3) as swarm:
        drain(roost)
        wait_moved(a)
        swarm.wait_progress(2)
        swarm.finish()
        swarm.check_exact()


def one_on_a(stage, **rehome):
    """A client whose socket is on a, with b free; (roost, a, b, person, socket)."""
    roost, a, b = stage.proxy("a", "b", rehome={**FAST, **rehome})
    for i in range(50):
        p = Person(roost, f"p{i}")
        ws = p.websocket()
        if ws.whoami() == "a":
            return roost, a, b, p, ws
        ws.close()
    raise AssertionError("nobody came to a")


def test_both_backends_can_tell(stage):
    roost, a, b, p, ws = one_on_a(stage)
    (first,) = a.events("handshake")
    drain(roost)
    (second,) = b.wait_events("handshake", session=first.session)
    assert first.session and not first.rehomed_from
    assert second.rehomed_from == "a"
    (bye,) = a.wait_events("ws_close_frame", session=first.session)
    assert (bye.code, bye.reason) == (1001, "re-homed")
    assert ws.whoami() == "b"


def test_the_new_handshake_repeats_the_old(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    p = Person(roost, "anna", headers=[("Authorization", "Bearer t"), ("Cookie", "s=1")])
    with p.websocket("/room/5?token=x&proto=v2", protocols="v1, v2") as ws:
        name = ws.whoami()
        old, new = (a, b) if name == "a" else (b, a)
        drain(roost, name)
        (second,) = new.wait_events("handshake")
        (first,) = old.events("handshake")
        assert second.target == first.target

        def said(event):
            return {k.lower(): v for k, v in event.headers
                    if k.lower() in ("authorization", "cookie", "host", "x-client",
                                     "sec-websocket-protocol", "x-forwarded-for")}

        assert said(second) == said(first)
        assert ws.whoami() == new.name


def test_http_follows_at_once(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    people = [Person(roost, f"p{i}") for i in range(20)]
    sockets = [p.websocket() for p in people]
    drain(roost)
    wait_moved(a)
    assert {p.backend() for p in people} == {"b"}
    assert {ws.whoami() for ws in sockets} == {"b"}


def test_all_sockets_of_a_client_move_together(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    people = [Person(roost, f"p{i}") for i in range(6)]
    sockets = [[p.websocket() for _ in range(4)] for p in people]
    drain(roost)
    wait_moved(a)
    for mine in sockets:
        assert {ws.whoami() for ws in mine} == {"b"}


def test_a_message_in_fragments_is_not_torn(stage):
    """The cut waits for the end of a message, on both sides."""
    roost, a, b, p, ws = one_on_a(stage)
    ws.send_frame(frames.TEXT, b"first ", fin=False)
    drain(roost)
    b.wait_events("handshake", rehomed_from="a")
    holds_for(lambda: sockets_of(a) == 1, "the old one is kept", 0.5)
    ws.send_frame(frames.CONTINUATION, b"last")
    assert ws.read() == "first last"
    assert ws.whoami() == "b"


def test_what_was_asked_before_the_cut_is_answered_before_it(stage):
    roost, a, b, p, ws = one_on_a(stage)
    ws.send("fragments 60 10")  # takes the old backend 0.6 s to say
    drain(roost)
    b.wait_events("handshake", rehomed_from="a")
    ws.send("whoami")
    assert ws.read() == "f" * 600
    assert ws.read() in ("a", "b")
    wait_moved(a)
    assert ws.whoami() == "b"


def test_old_backend_that_never_closes_is_left_after_the_drain_timeout(stage):
    roost, a, b, p, ws = one_on_a(stage, drain_timeout="300ms")
    stalled = p.websocket("/ws?stall")
    b.order("release")  # a stays deaf
    drain(roost)
    wait_until(lambda: len(roost.logged("re-homed from a to b")) == 2, "both moved")
    assert stalled.whoami() == "b"
    assert ws.whoami() == "b"


def test_pings_go_on_after_the_move(stage):
    roost, a, b, p, ws = one_on_a(stage)
    drain(roost)
    wait_moved(a)
    ws.send_frame(frames.PING, b"still there?")
    assert ws.read_frame().payload == b"still there?"
    ws.send("ping you-too")
    assert ws.read_frame().payload == b"you-too"


def test_moved_session_ends_in_the_ordinary_way(stage):
    roost, a, b, p, ws = one_on_a(stage)
    drain(roost)
    wait_moved(a)
    assert ws.whoami() == "b"
    assert ws.close(4242, "done") == 4242
    (end,) = b.wait_events("ws_close", code=4242)
    assert end.reason == "done"
    lines = roost.wait_log(r"^.*\b4242\b.*$")
    assert "client" in lines[-1]


@pytest.mark.quick
def test_client_leaving_during_the_move(stage):
    roost, a, b = stage.proxy("a", "b", rehome=FAST)
    sockets = [Person(roost, f"p{i}").websocket() for i in range(60)]
    drain(roost)
    for i, ws in enumerate(sockets):
        (ws.reset, ws.raw.close, lambda w=ws: w.send_close(1000))[i % 3]()
    wait_until(lambda: sockets_of(a) + sockets_of(b) == 0, "nobody is left")
    assert Person(roost, "p").backend() == "b"


def test_new_backend_that_refuses_leaves_the_old_one_in_place(stage):
    roost, a, b, p, ws = one_on_a(stage, backoff="10s")
    b.order("refuse_handshakes", status=503)
    drain(roost)
    roost.wait_log("not re-homed from a to b")
    holds_for(lambda: sockets_of(a) == 1, "the old one is kept", 0.5)
    assert ws.whoami() == "a"
    assert p.backend() == "a", "HTTP follows the socket"


def test_refused_move_is_tried_again(stage):
    roost, a, b, p, ws = one_on_a(stage)
    b.order("refuse_handshakes", status=503)
    drain(roost)
    b.wait_events("handshake", rehomed_from="a")
    b.order("refuse_handshakes", status=0)
    wait_moved(a, 15)
    assert ws.whoami() == "b"


def test_refused_session_of_a_dead_backend_is_closed(stage):
    roost, a, b, p, ws = one_on_a(stage)
    b.order("refuse_handshakes", status=401)
    a.kill()
    assert ws.close_code() in (1011, 1012, 1013)


def test_only_backend_dies_and_comes_back(stage):
    """Nobody else could take the session, so it waits for the dead one."""
    roost, a = stage.proxy("a", rehome=FAST)
    with Person(roost, "p").websocket() as ws:
        a.kill()
        ws.send("while it is away")
        a.start().ready()
        assert ws.read() == "while it is away"
        assert ws.whoami() == "a"


def test_on_failure_close(stage):
    roost, a, b, p, ws = one_on_a(stage, on_failure="close")
    a.kill()
    assert ws.close_code() in (1001, 1011, 1012, 1013)
    assert not [e for e in b.events("handshake") if e.rehomed_from]


def test_messages_sent_to_a_dead_backend_reach_the_new_one(stage):
    """What the dead socket had not taken is not lost."""
    roost, a, b, p, ws = one_on_a(stage)
    a.kill()
    for i in range(50):
        ws.send(f"m{i}")
    got = []
    while not got or got[-1] != "m49":
        got.append(ws.read())
    assert got == sorted(got, key=lambda m: int(m[1:]))
    assert ws.whoami() == "b"


def test_backend_that_closes_a_session_itself_is_obeyed(stage):
    """1012 from a backend that is not leaving is an answer to the client, no failure."""
    roost, a, b, p, ws = one_on_a(stage)
    ws.send("close 4000 go away")
    assert ws.close_code() == 4000
    assert not [e for e in b.events("handshake") if e.rehomed_from]


def test_extensions_offered_allow_a_clean_cut(stage):
    roost, a = stage.proxy("a", rehome=FAST)
    with WsClient(roost.address, extensions="permessage-deflate; client_max_window_bits"):
        (e,) = a.wait_events("handshake")
    offer = dict((k.lower(), v) for k, v in e.headers)["sec-websocket-extensions"]
    assert "client_no_context_takeover" in offer
    assert "server_no_context_takeover" in offer
    assert "client_max_window_bits" in offer


def test_slow_reading_client_is_moved_without_loss(stage):
    roost, a, b, p, ws = one_on_a(stage)
    lazy = p.websocket(receive_buffer=32768)
    lazy.send("flood 20 1048576")
    let_pass(0.2)
    drain(roost)
    b.wait_events("handshake", 2, rehomed_from="a")
    assert [len(lazy.read()) for _ in range(20)] == [1 << 20] * 20
    assert lazy.read() == "flooded"
    wait_until(lambda: lazy.whoami() == "b", "it has moved, too")


def test_removed_backends_moves_go_on_under_new_reloads(stage):
    roost, a, b = stage.proxy("a", "b", rehome={**FAST, "rate": 50})
    with Swarm(roost, 80) as swarm:
        gone = without(roost.config, "a")
        roost.reload(gone)
        for weight in (2, 3, 4):
            roost.reload(changed(gone, "b", weight=weight))
        wait_moved(a)
        swarm.wait_progress(2)
        swarm.finish()
        swarm.check_exact()


def test_exchange_under_way_is_not_moved(stage):
    roost, a, b, p, ws = one_on_a(stage)
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/800", p.headers))
        a.wait_events("request", target="/slow/800")
        drain(roost)
        wait_moved(a)
        assert c.response().backend == "a"
    assert p.backend() == "b"


def test_close_of_the_old_backend_never_reaches_the_client(stage):
    roost, a, b, p, ws = one_on_a(stage)
    drain(roost)
    wait_moved(a)
    let_pass(scaled(0.3))
    assert ws.is_open()
    try:
        assert ws.whoami() == "b"
    except Closed as e:
        raise AssertionError(f"closed {e.code}") from None
