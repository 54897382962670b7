# SPDX-License-Identifier: MIT
"""socket.io, polling first and then the upgrade, with two app servers that know
nothing of each other: every poll and the WebSocket must reach the same one."""

import pytest
from peers import node
from peers.roost import changed, entry, settings
from peers.waiting import wait_until

pytestmark = pytest.mark.skipif(bool(node.missing()), reason=str(node.missing()))

KEYS = {
    "cookie": ["cookie:roost"],
    "header": ["header:X-Client"],
    "query": ["query:client"],
}


def servers(stage, n=2):
    started = [node.NodeServer("socketio-server.js", f"s{i}") for i in range(n)]
    stage.others += started
    return started


def check(stage, identity, clients=8, **upstream):
    both = servers(stage)
    config = settings([entry(s) for s in both], client_key=KEYS[identity], **upstream)
    roost = stage.roost(config)
    seen = node.run_client("socketio-client.js", f"http://{roost.authority}", clients,
                           identity)
    for one in seen:
        assert "error" not in one, one
        assert one["upgraded"] and one["first"] == one["second"], one
        assert one["echo"] == 50000
    counts = [s.get("/counts") for s in both]
    assert sum(c["connected"] for c in counts) == clients
    assert sum(c["upgraded"] for c in counts) == clients
    assert sum(c["refused"] for c in counts) == 0
    return roost, both, counts


@pytest.mark.parametrize("identity", KEYS)
def test_polling_then_upgrade(stage, identity):
    _, _, counts = check(stage, identity, balance="round-robin")
    assert all(c["connected"] for c in counts), "both servers had some"


def test_polling_then_upgrade_with_the_default_policy(stage):
    check(stage, "cookie")


def test_polling_outlives_a_short_http_lock(stage):
    """A poll in flight holds the lock: pings come every 2 s, the lock lasts less."""
    check(stage, "header", pin={"http": "1800ms"})


def test_clients_of_a_drained_server_come_back(stage):
    """The first half before, the second after one server is drained."""
    roost, both, _ = check(stage, "header", balance="round-robin")
    roost.reload(changed(roost.config, "s0", state="drain"))
    seen = node.run_client("socketio-client.js", f"http://{roost.authority}", 4, "header")
    assert {one["first"] for one in seen} == {"s1"}
    wait_until(lambda: both[1].get("/counts")["connected"] >= 4, "s1 has them")
