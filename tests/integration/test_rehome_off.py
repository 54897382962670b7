# SPDX-License-Identifier: MIT
"""No re-homing: open sockets stay where they are, only new ones go elsewhere."""

import pytest
from peers.client import Person
from peers.roost import changed
from peers.waiting import holds_for, wait_until


@pytest.mark.quick
def test_sockets_stay_on_a_drained_backend(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    people = [Person(roost, f"p{i}") for i in range(20)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    roost.reload(changed(roost.config, "a", state="drain"))
    holds_for(lambda: a.open().sockets == 10, "all stay", 1.0)
    assert [ws.whoami() for ws in sockets] == names
    assert [p.backend() for p in people] == names
    assert Person(roost, "new").websocket().whoami() == "b"


def test_second_socket_joins_the_first_on_a_drained_backend(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    people = [Person(roost, f"p{i}") for i in range(6)]
    sockets = [p.websocket() for p in people]
    names = [ws.whoami() for ws in sockets]
    roost.reload(changed(roost.config, "a", state="drain"))
    assert [p.websocket().whoami() for p in people] == names


def test_when_the_socket_is_gone_the_client_goes_elsewhere(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    people = [Person(roost, f"p{i}") for i in range(6)]
    for p in people:
        p.socket = p.websocket()
    roost.reload(changed(roost.config, "a", state="drain"))
    for p in people:
        p.socket.close()
    wait_until(lambda: len(roost.logged("session ended")) == 6, "all have left their pins")
    assert {p.websocket().whoami() for p in people} == {"b"}


def test_killed_backend_ends_its_sessions(stage):
    roost, a, b = stage.proxy("a", "b", rehome={"mode": "off"})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(10)]
    on_a = [ws for ws in sockets if ws.whoami() == "a"]
    a.kill()
    assert all(ws.close_code() in (1001, 1006, 1011, 1012, 1014) for ws in on_a)
