# SPDX-License-Identifier: MIT
"""What a new process knows from the one before it: locks, what was changed of backends
while running, and how these are. And what it does where it is not told."""

import pytest
from peers.admin import Admin, with_admin
from peers.client import Person, RawClient
from peers.dns import A
from peers.roost import binary, entry, settings
from peers.waiting import holds_for, scaled, wait_until
from peers.websocket import Refused
from test_health_checks import FAST
from test_names import dns, places  # noqa: F401
from test_outliers import Moody
from test_upgrade import Upgradable, ended


@pytest.fixture
def start(stage):
    """Returns a roost and who asks it, whatever its process."""
    def start(backends, dns=None, **upstream):
        config = handover(backends, **upstream)
        if dns:
            config["resolver"] = {"servers": [dns.address]}
        roost = Upgradable(stage.directory / f"up{len(stage.roosts)}", config)
        stage.roosts.append(roost)
        roost.start()
        wait_until(lambda: roost.ready(2), "both are told")
        return roost, Admin(roost)

    return start


def handover(backends, **upstream):
    config = settings(backends, **{"balance": "round-robin", **upstream})
    config["upgrade"] = {"grace": "20s"}
    return with_admin(config)


def upgrade(roost, admin):
    """Until whoever asks hears the new one."""
    roost.upgrade()
    wait_until(lambda: admin.get("/v1/status")["pid"] == roost.newest, "it answers")


def homes(people):
    return [p.backend() for p in people]


def people_on_both(roost, n=6):
    people = [Person(roost, f"p{i}") for i in range(n)]
    found = homes(people)
    assert set(found) == {"a", "b"}
    return people, found


def locks(admin, name):
    """Until when, of the WebSocket lock and the HTTP lock."""
    pin = admin.explain(f"header:{name}")
    return pin["websocket_lock_until_at"], pin["http_lock_until_at"]


# --- locks


@pytest.mark.quick
def test_clients_stay_where_they_are(stage, start):
    roost, admin = start(stage.backends("a", "b"), pin={"http": "1m"})
    people, found = people_on_both(roost)
    upgrade(roost, admin)
    assert homes(people) == found
    assert roost.logged("6 pins and 0 changes of backends are known")
    ended(roost)
    assert homes(people) == found


def test_locks_end_when_they_would_have_ended(stage, start):
    roost, admin = start(stage.backends("a", "b"), pin={"http": "1m"})
    home = Person(roost, "ws").backend()
    Person(roost, "http").backend()
    Person(roost, "ws").websocket().reset()
    wait_until(lambda: admin.explain("header:ws")["n_sessions"] == 0, "it is gone")
    before = locks(admin, "ws") + locks(admin, "http")
    upgrade(roost, admin)
    ended(roost)
    after = locks(admin, "ws") + locks(admin, "http")
    assert before[2] is None and after[2] is None
    for was, now in zip(before, after):
        assert was == now or abs(was - now) < scaled(1000)
    with Person(roost, "ws").websocket() as again:
        assert again.whoami() == home


def test_who_has_a_socket_in_the_old_one_keeps_its_backend(stage, start):
    """Even where no lock is left: HTTP by the new process goes where the socket is, and
    so does the socket that follows."""
    roost, admin = start(stage.backends("a", "b"), rehome={"rate": 10},
                         pin={"websocket": "0s", "http": "1ms"})
    people = [Person(roost, f"p{i}") for i in range(8)]
    sockets = [p.websocket() for p in people]
    found = [ws.whoami() for ws in sockets]
    assert set(found) == {"a", "b"}
    upgrade(roost, admin)
    assert homes(people) == found
    for ws, p, home in zip(sockets, people, found):
        assert ws.close_code() == 1012
        with p.websocket() as again:
            assert again.whoami() == home
        ws.send_close(1012)
    ended(roost)


def test_a_place_is_kept_for_who_comes_back(stage, start):
    """Others find the backend as full as it is."""
    roost, admin = start(stage.backends("a"), rehome={"rate": 1},
                         limits={"max_sessions": 1, "queue": 0})
    ws = Person(roost, "p").websocket()
    upgrade(roost, admin)
    assert admin.backend("a")["awaited"] == 1
    with pytest.raises(Refused) as refused:
        Person(roost, "other").websocket()
    assert refused.value.response.status == 503
    with Person(roost, "p").websocket() as again:
        assert again.whoami() == "a"
        assert admin.backend("a")["awaited"] == 0
    assert ws.response.status == 101


def test_who_left_the_old_one_for_good_is_not_awaited_for_long(stage, start):
    roost, admin = start(stage.backends("a"), rehome={"rate": 1})
    sockets = [Person(roost, f"p{i}").websocket() for i in range(3)]
    upgrade(roost, admin)
    for ws in sockets:
        ws.reset()
    ended(roost)
    assert admin.backend("a")["awaited"] == 3, "they may come back"
    wait_until(lambda: admin.backend("a")["awaited"] == 0, "no more after ten seconds",
               16)


def test_what_the_old_one_learns_while_it_leaves(stage, start):
    """A slow exchange ends in the old process; its lock is the new one's."""
    a, b = stage.backends("a", "b")
    roost, admin = start([a, b], pin={"http": "1m"})
    with RawClient(roost.address) as c:
        c.send(c.request_bytes("GET", "/slow/900", {"X-Client": "slow"}))
        wait_until(lambda: admin.explain("header:slow")["n_exchanges"] == 1,
                   "it is under way")
        upgrade(roost, admin)
        assert admin.explain("header:slow")["n_exchanges"] == 0
        home = c.response().header("X-Backend")
    ended(roost)
    pid, until = admin.get("/v1/status")["pid"], locks(admin, "slow")[1]
    assert pid == roost.newest
    Person(roost, "fresh").backend()
    assert abs(locks(admin, "fresh")[1] - until) < scaled(3000), "a minute from then on"
    assert Person(roost, "slow").backend() == home


def test_what_came_back_can_be_moved(stage, start):
    roost, admin = start(stage.backends("a", "b"), rehome={"mode": "transparent"})
    person = Person(roost, "p")
    ws = person.websocket()
    home = ws.whoami()
    upgrade(roost, admin)
    assert ws.close_code() == 1012
    with person.websocket() as again:
        ws.send_close(1012)
        assert again.whoami() == home
        admin.set(home, state="drain")
        wait_until(lambda: again.whoami() != home, "it has been moved", 16)


# --- what was changed while running


def test_changes_of_backends_hold(stage, start):
    a, b, c, d = stage.backends("a", "b", "c", "d")
    roost, admin = start([a, b, c])
    admin.set("a", state="drain")
    admin.set("b", weight=7)
    admin.remove("c")
    admin.add(name="d", address=d.address, weight=2)

    def shown():
        (up,) = admin.get("/v1/upstreams")["upstreams"]
        return [(x["name"], x["use"], x["weight"], x["source"], x["configured"])
                for x in up["backends"]], up["removed"]

    before = shown()
    for _ in range(2):
        upgrade(roost, admin)
        assert shown() == before
    assert {Person(roost, f"p{i}").backend() for i in range(20)} == {"b", "d"}
    ended(roost)
    admin.set("a", state="up")
    assert admin.backend("a")["source"] == "file"


def test_a_new_file_has_its_say_as_with_a_reload(stage, start):
    a, b, c = stage.backends("a", "b", "c")
    roost, admin = start([a, b, c])
    admin.set("a", weight=5)
    admin.set("b", state="drain")
    roost.write(handover([entry(a, weight=9), b]))
    upgrade(roost, admin)
    assert admin.backend("a")["weight"] == 9
    assert roost.logged("backend app/a: the file takes the place of what was changed")
    assert admin.backend("b")["use"] == "draining"
    people = [Person(roost, f"p{i}") for i in range(9)]
    assert set(homes(people)) == {"a"}


# --- health


def test_ejected_stays_ejected(stage, start):
    moody = Moody(stage, status=503)
    (a,) = stage.backends("a")
    roost, admin = start([entry(moody.backend), entry(a)], retries=0,
                         outliers={"errors": 1, "eject": "30s", "max_eject": "30s"})
    wait_until(lambda: Person(roost).get().status == 503, "it is asked")
    assert admin.backend("moody")["use"] == "ejected"
    asked = moody.asked
    upgrade(roost, admin)
    assert admin.backend("moody")["use"] == "ejected"
    assert [Person(roost, f"p{i}").get().status for i in range(10)] == [200] * 10
    assert moody.asked == asked


def test_unhealthy_stays_unhealthy_until_it_is_well(stage, start):
    a, b = stage.backends("a", "b")
    roost, admin = start([a, b], health={"websocket": "/ws", **FAST})
    a.kill()
    roost.wait_log("backend app/a is unhealthy")
    since = admin.backend("a")["unhealthy_since_at"]
    upgrade(roost, admin)
    ill = admin.backend("a")
    assert ill["use"] == "unhealthy"
    assert abs(ill["unhealthy_since_at"] - since) < 100  # two readings of two clocks
    holds_for(lambda: not roost.logged("a is unhealthy"), "it is not found out anew", 0.5)
    a.start()
    roost.wait_log("backend app/a is healthy again")


@pytest.mark.quick
def test_addresses_that_were_found_are_known(stage, start, dns):
    """Though the name server is silent by then."""
    a, b = stage.backends("a", "b")
    dns.records["host.test"] = [(A, "127.0.0.1")]
    dns.records["_app._tcp.test"] = places([a, b])
    row = {"name": "app", "address": "srv:_app._tcp.test"}
    roost, admin = start([row], pin={"http": "1m"}, dns=dns)
    wait_until(lambda: {Person(roost).get().backend for _ in range(4)} == {"a", "b"},
               "both are found")
    people, found = people_on_both(roost)
    dns.stop()
    upgrade(roost, admin)
    assert homes(people) == found


# --- it is not told


@pytest.mark.parametrize("sed, why", [
    ("s/estate=1/estate=99/", "its format is of another version"),
    ("s/estate=1 //", "it does not offer them"),
    ("s/estate=1/estate=1 later=7/", None),
], ids=["version", "older", "newer"])
def test_another_version_starts_without(stage, start, sed, why):
    roost, admin = start(stage.backends("a", "b"))
    admin.set("b", state="drain")
    # the next binary hears something else of its heritage
    roost.install_script(
        f'ROOST_HERITAGE=$(echo "$ROOST_HERITAGE" | sed "{sed}"); '
        f'export ROOST_HERITAGE; exec {binary()} "$@"\n')
    upgrade(roost, admin)
    if why:
        assert roost.logged(rf"not, or not all, taken over \({why}\)")
        assert admin.backend("b")["use"] == "usable"
    else:
        assert admin.backend("b")["use"] == "draining"


GREEDY = """
import os, re, signal, socket, sys
link = socket.socket(fileno=int(re.search(r"link=(\\d+)", os.environ["ROOST_HERITAGE"])[1]))
link.recv(1000)
link.send(b"estate")
assert link.recv(100000)[0] == 1
sys.exit(5)
"""


def test_one_that_asks_and_fails_harms_nobody(stage, start):
    """And the next one hears everything all the same."""
    roost, admin = start(stage.backends("a", "b"), pin={"http": "1m"})
    people, found = people_on_both(roost)
    roost.install_script(f"exec /usr/bin/python3 -c '{GREEDY}'\n")
    roost.fails_to()
    assert roost.logged("exited with 5")
    roost.install(binary())
    upgrade(roost, admin)
    assert roost.logged("6 pins and 0 changes of backends are known")
    assert homes(people) == found
