# SPDX-License-Identifier: MIT
"""Flags and exit codes: 0 stopped as asked, 1 bad configuration, 2 could not start,
64 bad usage."""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from peers.client import Person
from peers.roost import Roost, binary, entry, run, settings
from peers.waiting import scaled, wait_until
from peers.yaml_text import to_yaml

GOOD = """\
workers: 2
log: {level: warn, format: text, file: stderr}
pins: {max: 5000}
listeners:
  - bind: "127.0.0.1:0"
routes:
  - {host: chat.example.com, path: /, upstream: chat}
  - {path: /api/, upstream: api}
upstreams:
  chat:
    balance: round-robin
    client_key: [cookie:roost, header:X-User, query:u, address]
    pin: {websocket: 2m, http: 1500ms}
    rehome: {mode: transparent, threshold: 30%, rate: 10, debounce: 1s,
             drain_timeout: 2s, on_failure: close, close_code: 1013}
    timeouts: {connect: 1s, header: 2s, body: 3s, first_byte: 4s, response: 5s,
               keepalive: 6s}
    limits: {max_sessions: 7}
    retries: 2
    backends:
      - {address: "127.0.0.1:3000", weight: 3}
      - {name: b2, address: "app2.internal:3000", weight: 1, state: drain}
  api:
    backends: [{address: "127.0.0.1:3001"}]
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="roost.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


# --- -t and -T


@pytest.mark.quick
def test_good_file_passes_the_test(write):
    r = run("-t", "-c", write(GOOD))
    assert r.returncode == 0, r.stderr
    assert run("--test", "--config", write(GOOD)).returncode == 0


def test_no_file_where_none_was_named_tells_how_to_begin():
    (default,) = re.findall(r"--config FILE +default (\S+)", run("--help").stdout)
    if os.path.exists(default):
        pytest.skip("a roost is installed here")
    r = run("-t")
    assert r.returncode == 1
    assert r.stderr.startswith(f"{default}: cannot be read (No such file")
    assert "roost -L :8080 -U" in r.stderr


def test_missing_file_is_1():
    r = run("-t", "-c", "/nonexistent/roost.yaml")
    assert r.returncode == 1
    assert "/nonexistent/roost.yaml" in r.stderr


MISTAKES = {
    "unknown key": ("retries: 2", "retris: 2", "retries"),
    "unknown key at the top": ("workers: 2", "wrokers: 2", "workers"),
    "bad duration": ("websocket: 2m", "websocket: 2 moons", None),
    "duration without unit": ("http: 1500ms", "http: 1500", None),
    "bad word": ("round-robin", "round-robbin", "round-robin"),
    "bad mode": ("transparent", "transparant", "transparent"),
    "unknown upstream": ("upstream: api}", "upstream: apis}", "api"),
    "bad address": ('"127.0.0.1:3000"', '"127.0.0.1"', None),
    "bad port": ('"127.0.0.1:3000"', '"127.0.0.1:99999"', None),
    "bad weight": ("weight: 3", "weight: -3", None),
    "weight too large": ("weight: 3", "weight: 100000", None),
    "bad state": ("state: drain", "state: draining", "drain"),
    "bad client key": ("query:u", "querry:u", "query"),
    "bad percentage": ("30%", "lots", None),
    "bad close code": ("1013", "1005", None),
    "close code that stops reconnecting": ("1013", "1000", None),
    "bad bind": ('"127.0.0.1:0"', '"nowhere"', None),
    "bad number": ("max_sessions: 7", "max_sessions: seven", None),
    "list for a map": ("limits: {max_sessions: 7}", "limits: [7]", None),
    "key twice": ("retries: 2", "retries: 2\n    retries: 3", None),
    "bad level": ("level: warn", "level: loud", None),
    "no YAML": ("workers: 2", "workers: [2", None),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named_with_its_place(write, name):
    old, new, hint = MISTAKES[name]
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    file = write(text)
    r = run("-t", "-c", file)
    assert r.returncode == 1
    places = re.findall(rf"^{re.escape(file)}:(\d+):(\d+): (.+)$", r.stderr, re.M)
    assert places, r.stderr
    wanted = text[: text.index(new)].count("\n") + 1
    if name != "no YAML":
        assert abs(int(places[0][0]) - wanted) <= 1, (wanted, r.stderr)
    assert hint is None or hint in r.stderr


def test_all_mistakes_at_once(write):
    text = GOOD.replace("retries: 2", "retris: 2").replace("http: 1500ms", "http: x")
    text = text.replace("workers: 2", "workers: many").replace("b2,", "b2, colour: red,")
    r = run("-t", "-c", write(text))
    assert r.returncode == 1
    assert len(re.findall(r"^.*roost\.yaml:\d+:\d+: ", r.stderr, re.M)) >= 4


def test_two_backends_of_one_name(write):
    text = GOOD.replace("name: b2", 'name: "127.0.0.1:3000"')
    assert run("-t", "-c", write(text)).returncode == 1


def test_dump_says_what_is_in_force(write):
    r = run("-T", "-c", write(GOOD))
    assert r.returncode == 0, r.stderr
    for text in ("chat.example.com", "transparent", "round-robin", "least-sessions",
                 "max: 5000", "1013", "drain", "header:X-User", "max_sessions: 7"):
        assert text in r.stdout, text


def test_dump_is_a_configuration_that_dumps_the_same(write):
    first = run("-T", "-c", write(GOOD)).stdout
    again = run("-T", "-c", write(first, "dumped.yaml"))
    assert again.returncode == 0, again.stderr
    assert again.stdout == first


def test_dump_of_flags(write):
    r = run("-T", "-L", "127.0.0.1:8080", "-U", "127.0.0.1:1=5", "-U", "127.0.0.1:2")
    assert r.returncode == 0, r.stderr
    assert "127.0.0.1:8080" in r.stdout and "weight: 5" in r.stdout


def test_wrong_file_does_not_start(write):
    r = run("-c", write(GOOD.replace("retries: 2", "retris: 2")))
    assert r.returncode == 1
    assert "retris" in r.stderr


# --- usage


def test_version():
    r = run("-V")
    assert r.returncode == 0 and re.match(r"roost \d+\.\d+\.\d+", r.stdout)
    assert run("--version").stdout == r.stdout


def test_help_names_every_flag():
    r = run("-h")
    assert r.returncode == 0
    for flag in ("--config", "--test", "--dump", "--listen", "--upstream", "--workers",
                 "--daemon", "--pid-file", "--user", "--log-level", "--log-format",
                 "--version", "--help"):
        assert flag in r.stdout, flag
    assert run("--help").stdout == r.stdout


@pytest.mark.parametrize("args", [
    ["-Q"], ["--no-such-flag"], ["-c"], ["-t", "stray"],
])
def test_bad_usage_is_64(args):
    r = run(*args)
    assert r.returncode == 64
    assert r.stderr.strip()


@pytest.mark.parametrize("args", [
    ["-w", "-1"], ["-w", "many"], ["-l", "loud"], ["--log-format", "xml"],
])
def test_bad_value_of_a_flag_is_a_bad_configuration(args, write):
    r = run("-t", "-c", write(GOOD), *args)
    assert r.returncode == 1
    assert args[0] in r.stderr and args[1] in r.stderr


@pytest.mark.parametrize("args", [
    ["-L", "nowhere"], ["-U", "127.0.0.1"], ["-U", "127.0.0.1:1=x"],
])
def test_bad_addresses_in_flags_are_refused(args):
    more = ["-U", "127.0.0.1:1"] if args[0] == "-L" else ["-L", "127.0.0.1:0"]
    r = run(*args, *more)
    assert r.returncode in (1, 64)
    assert args[0] in r.stderr


# --- starting


def test_taken_port_is_2(write):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        text = GOOD.replace("127.0.0.1:0", f"127.0.0.1:{port}")
        r = run("-c", write(text))
        assert r.returncode == 2
        assert str(port) in r.stderr


def test_foreign_address_is_2(write):
    r = run("-c", write(GOOD.replace("127.0.0.1:0", "192.0.2.1:8080")))
    assert r.returncode == 2
    assert "192.0.2.1" in r.stderr


def test_no_file_at_all(stage):
    a, b = stage.backends("a", "b")
    roost = stage.roost(args=["-L", "127.0.0.1:0", "-U", a.address + "=3",
                              "-U", b.address, "-w", "1"])
    people = [Person(roost, jar=True) for _ in range(8)]
    names = [p.websocket().whoami() for p in people]
    assert set(names) <= {"a", "b"}
    assert {p.backend() for p in people} <= {"a", "b"}


def test_listen_flag_replaces_the_files_listeners(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    config["listeners"] = [{"bind": "192.0.2.1:8080"}]
    roost = stage.roost(config, args=["-L", "127.0.0.1:0"])
    assert Person(roost, "p").backend() == "a"


def test_workers_flag(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([a]), args=["-w", "3"])
    assert Person(roost, "p").backend() == "a"
    threads = len(os.listdir(f"/proc/{roost.pid}/task"))
    assert threads >= 3
    other = stage.roost(settings([a]), args=["-w", "5"])
    wait_until(lambda: len(os.listdir(f"/proc/{other.pid}/task")) == threads + 2,
               "two more threads")


def test_log_level_flag(stage):
    (a,) = stage.backends("a")
    config = settings([a])
    quiet = stage.roost(config, args=["-l", "error"])
    Person(quiet, "p").websocket().close()
    loud = stage.roost(config, args=["--log-level", "debug"])
    Person(loud, "p").websocket().close()
    a.wait_events("ws_close", 2)
    assert len(loud.log()) > 10 * len(quiet.log())


def test_json_log(stage):
    (a,) = stage.backends("a")
    roost = stage.roost(settings([a]), args=["--log-format", "json"])
    with Person(roost, 'quo"te').websocket() as ws:
        ws.close(4000, 'a "reason" with \\ and \u00e9')
    a.wait_events("ws_close")
    roost.wait_log("4000.*\n")
    lines = [json.loads(line) for line in roost.log().splitlines()]
    assert lines and all({"level", "topic"} <= set(x) for x in lines)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_daemon_with_pid_file(stage, tmp_path):
    (a,) = stage.backends("a")
    config = settings([a])
    config["log"]["file"] = str(tmp_path / "daemon.log")
    file, ports, pid_file = (tmp_path / n for n in ("d.yaml", "d.ports", "d.pid"))
    file.write_text(to_yaml(config))
    with open(tmp_path / "said", "wb") as said:
        subprocess.run([binary(), "-d", "-p", pid_file, "-c", file,
                        "--ports-file", ports], stdout=said, stderr=said,
                       timeout=scaled(10), check=True)
    assert ports.read_text().endswith("\n"), "it is ready when the command returns"
    pid = int(pid_file.read_text())
    try:
        host, _, port = ports.read_text().strip().rpartition(":")
        assert Person((host, int(port)), "p").backend() == "a"
        assert os.getsid(pid) != os.getsid(0)
        kept = {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)}
        assert kept == {"/dev/null"}, "it has let go of the terminal"
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not alive(pid), "the daemon has stopped")
    assert not pid_file.exists()


def test_daemon_that_cannot_start_says_so(write):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        r = run("-d", "-c", write(GOOD.replace("127.0.0.1:0", f"127.0.0.1:{port}")))
        assert r.returncode == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_user(stage):
    (a,) = stage.backends("a")
    # where nobody may write, unlike pytest's own directories
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        roost = Roost(directory, settings([a]), ["-u", "nobody"])
        try:
            check_identity(roost.start())
        finally:
            roost.stop()


def check_identity(roost):
    assert Person(roost, "p").backend() == "a"
    with open(f"/proc/{roost.pid}/status") as f:
        ids = re.search(r"Uid:\s+(\d+)\s+(\d+)\s+(\d+)", f.read()).groups()
    assert set(ids) == {str(pwd.getpwnam("nobody").pw_uid)}


def test_unknown_user_does_not_start(write):
    r = run("-c", write(GOOD), "-u", "no-such-user-here")
    assert r.returncode in (2, 64)


def test_starts_quickly(stage):
    (a,) = stage.backends("a")
    begun = time.monotonic()
    stage.roost(settings([entry(a)]))
    assert time.monotonic() - begun < scaled(5)
