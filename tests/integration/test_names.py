# SPDX-License-Identifier: MIT
"""Backends that are configured by name."""

from peers.client import Person
from peers.roost import entry, settings
from peers.waiting import holds_for, wait_until


def test_named_backend_is_found(stage):
    (a,) = stage.backends("a")
    named = entry(a)
    named["address"] = named["address"].replace("127.0.0.1", "localhost")
    roost = stage.roost(settings([named]))
    roost.wait_log(r"backend app/a is at 127\.0\.0\.1")
    assert Person(roost, "p").backend() == "a"


def test_unknown_name_is_said_once_and_harms_nobody(stage):
    (a,) = stage.backends("a")
    lost = {"name": "lost", "address": "no-such-host.invalid:80"}
    roost = stage.roost(settings([lost, entry(a)], balance="round-robin"))
    roost.wait_log("backend app/lost has no address")
    assert [Person(roost, f"p{i}").backend() for i in range(10)] == ["a"] * 10
    # it is looked up again every 2 s
    holds_for(lambda: roost.log().count("has no address") == 1, "said once", 2.5)


def test_name_that_comes_with_a_reload(stage):
    roost, a = stage.proxy("a")
    (b,) = stage.backends("b")
    named = entry(b)
    named["address"] = named["address"].replace("127.0.0.1", "localhost")
    roost.reload(settings([named]))
    wait_until(lambda: Person(roost, "p").get().status == 200, "b has its address")
    assert Person(roost, "p").backend() == "b"
