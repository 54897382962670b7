# SPDX-License-Identifier: MIT
"""roostctl for scripts: every command against a real roost, exit codes, JSON, complaints,
and where it finds the address and the token."""

import http.server
import json
import os
import re
import subprocess
import threading

import pytest
from peers.admin import scene, with_admin
from peers.backend import closed_port
from peers.client import Person
from peers.ctl import ctl, ctl_binary, environment
from peers.roost import changed, entry, settings
from peers.waiting import wait_until

OFF = {"mode": "off"}
TOKEN = "0123456789abcdef-token"


@pytest.fixture(scope="module")
def quiet(shared_stage):
    roost, admin, *_ = scene(shared_stage, "a", "b", rehome=OFF)
    return roost


def as_json(roost, *args, **how):
    return json.loads(ctl(roost, *args, "--json", **how))


# --- looking


@pytest.mark.quick
def test_every_command_that_only_looks(quiet):
    for args, expected in {
        ("status",): "2 workers",
        ("upstreams",): "least-sessions",
        ("backends",): "usable",
        ("backends", "app"): "usable",
        ("backend", "app", "a"): "app/a: up, weight 1, 0 sessions, 0 exchanges",
        ("sessions",): "SESSION",
        ("pins", "app"): "WEBSOCKET LOCK",
        ("explain", "app", "header:anna"): "nothing binds this client",
        ("plan",): "0 clients",
        ("plan", "app"): "FAIR SHARE",
        ("rehomes",): "since the start",
        ("rehomes", "app"): "LEFT",
        ("config",): "\nupstreams:\n",
        ("log",): "level info",
        ("health",): "ok",
        ("version",): "roostctl ",
        ("api",): "/v1/rehome",
        ("help",): "usage: roostctl",
        ("help", "drain"): "--wait",
        ("drain", "--help"): "--wait",
        ("--version",): "roostctl ",
    }.items():
        assert expected in ctl(quiet, *args), args


@pytest.mark.parametrize("args", [
    ["status"], ["upstreams"], ["backends"], ["backends", "app"], ["backend", "app", "a"],
    ["sessions"], ["pins", "app"], ["explain", "app", "header:x"], ["plan"], ["rehomes"],
    ["config"], ["log"], ["health"], ["version"], ["api"],
])
def test_answers_as_json(quiet, args):
    assert isinstance(as_json(quiet, *args), dict)


def test_a_plan_tells_why_a_surplus_stays(stage):
    a, b = stage.backends("a", "b")
    config = settings([a, entry(b, state="drain")], rehome={"threshold": "300%"})
    roost = stage.roost(with_admin(config))
    held = [Person(roost, f"p{i}").websocket("/ws") for i in range(4)]
    assert len(held) == 4
    assert "surplus" not in ctl(roost, "plan")
    assert "fair share stays" not in ctl(roost, "plan")
    ctl(roost, "up", "app", "b")
    assert "stays: it is within rehome.threshold\n" in ctl(roost, "plan")
    config["upstreams"]["app"]["rehome"]["threshold"] = "10%"
    roost.reload(config)
    told = ctl(roost, "plan")
    assert "fair share stays" not in told
    assert re.search(r"^BACKEND +TOO MANY +HELD BY +CLIENTS +FIRST IN$"
                     r"\na +\d+ +websocket_lock +4 +\dm \d+s$", told, re.M), told


def test_what_is_wrong_with_a_backend_is_told(stage):
    """The state is what somebody has set; at night the question is what it is good for."""
    a, b = stage.backends("a", "b")
    b.kill()
    roost = stage.roost(with_admin(settings(
        [a, b], health={"http": "/", "interval": "50ms", "fall": 1})))
    roost.wait_log("app/b is unhealthy")
    said = r"app/b is unhealthy for \S+: its health checks fail \(Connection refused\)"
    for args in (["backend", "app", "b"], ["up", "app", "b"], ["status"]):
        assert re.search(said, ctl(roost, *args)), args
    assert "is unhealthy" not in ctl(roost, "backend", "app", "a")


def test_metrics(quiet):
    assert ctl(quiet, "metrics").startswith("# HELP ")


def test_tables_are_aligned_and_plain(quiet):
    text = ctl(quiet, "backends")
    assert "\033" not in text
    lines = text.splitlines()
    assert len(lines) == 3 and all(line == line.rstrip() for line in lines)
    at = lines[0].index("USE")
    assert all(line[at:].startswith("usable") for line in lines[1:])
    at = lines[0].index("SESSIONS") + len("SESSIONS")
    assert all(line[at - 2:at] == " 0" for line in lines[1:])
    assert "\033[32musable\033[0m" in ctl(quiet, "backends", "--color", "always")


def test_sessions_and_pins(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    with Person(roost, "p").websocket() as ws, Person(roost, "q").websocket() as other:
        name = ws.whoami()
        other.whoami()
        (mine,) = as_json(roost, "sessions", "--client", "header:p")["sessions"]
        assert mine["backend"] == name
        text = ctl(roost, "sessions", "--sort", "messages", "-b", name)
        assert mine["id"] in text and "connected" in text
        assert "1 of 2; more with --offset" in ctl(roost, "sessions", "-n", "1")
        text = ctl(roost, "session", mine["id"])
        assert f"app/{name}" in text and "1 messages" in text
        assert as_json(roost, "session", mine["id"])["id"] == mine["id"]
        assert "websocket_lock" in ctl(roost, "pins", "app")
        text = ctl(roost, "explain", "app", "header:p")
        assert "WebSocket lock" in text and text.startswith(f"header:p of app: {name}\n")
        assert "1 closed with 4000" in ctl(roost, "kick", mine["id"], "--code", "4000")
        assert ws.close_code() == 4000
        assert "1 closed" in ctl(roost, "kick", "-u", "app", "--client", "header:q")
    assert "no session" in ctl(roost, "session", mine["id"], status=1)


# --- steering


@pytest.mark.quick
def test_a_backend_is_drained_and_taken_back(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    assert "app/a: drain, weight 1 (the file: up, weight 1)" in ctl(
        roost, "drain", "app", "a")
    assert admin.backend("a")["use"] == "draining"
    text = ctl(roost, "backends")
    assert "drain (file: up)" in text and "draining" in text and "changed" in text
    assert "app/a: up, weight 1," in ctl(roost, "up", "app", "a")
    assert "app/a: up, weight 7 (the file" in ctl(roost, "weight", "app", "a", "7")
    assert "app/a: down" in ctl(roost, "down", "app", "a")
    assert admin.backend("a")["weight"] == 7 and admin.backend("a")["use"] == "down"


def test_a_backend_is_added_and_removed(stage):
    roost, admin, a, b = scene(stage, "a", "b", rehome=OFF)
    c = stage.backends("c")[0]
    told = ctl(roost, "add", "app", c.address, "--name", "c", "--weight", "3",
               "--state", "drain", "--backup")
    assert told == "app/c: drain, weight 3 (not in the file), 0 sessions, 0 exchanges\n"
    assert "app/c: removed" in ctl(roost, "remove", "app", "c")
    assert "app/b: removed" in ctl(roost, "remove", "app", "b", "--wait", "20s")
    assert "removed" in ctl(roost, "backends").splitlines()[2]
    assert "last backend" in ctl(roost, "remove", "app", "a", status=1)


def test_a_wait_shows_what_is_left_until_all_is_gone(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome=OFF)
    with Person(roost, "p").websocket() as ws:
        name = ws.whoami()
        complaint = ctl(roost, "drain", "app", name, "--wait", "700ms", status=1)
        assert re.search(rf"app/{name} still holds 1 sessions and 0 exchanges", complaint)
        assert as_json(roost, "backend", "app", name)["sessions"] == 1
        waiting = subprocess.Popen(
            [ctl_binary(), "drain", "app", name, "--wait"], text=True,
            stdout=subprocess.PIPE, env=environment(roost))
        assert waiting.stdout.readline().startswith(f"app/{name}: drain")
        assert re.fullmatch(
            rf"app/{name}: 1 of 1 sessions left, 0 exchanges, [0-9.]+m?s\n",
            waiting.stdout.readline())
    rest, _ = waiting.communicate()
    assert re.search(rf"app/{name} is empty after [0-9.]+m?s\n$", rest)
    assert waiting.returncode == 0
    assert as_json(roost, "drain", "app", name, "--wait")["empty"]


def test_clients_are_re_homed(stage):
    roost, admin, *_ = scene(stage, "a", "b", rehome={"mode": "transparent"})
    with Person(roost, "p").websocket() as ws:
        was = ws.whoami()
        to = "ab".replace(was, "")
        text = ctl(roost, "rehome", "app", "--client", "header:p", "--dry-run")
        assert text.startswith("1 client would be re-homed\n") and to in text
        text = ctl(roost, "rehome", "app", "--client", "header:p", "--to", to)
        assert text.startswith("1 client is re-homed\n")
        wait_until(lambda: ws.whoami() == to, "it has moved")
    text = ctl(roost, "rehome", "app", "-b", "a")
    assert "re-homed" in text


def test_reload_says_what_changes_and_what_is_wrong(stage):
    roost, admin, *_ = scene(stage, "a", "b")
    assert ctl(roost, "reload") == "reloaded, nothing has changed\n"
    good = roost.config
    roost.write(changed(good, "b", weight=4))
    assert ctl(roost, "reload") == (
        "  upstreams.app.backends.b.weight: 1 -> 4\nreloaded\n")
    roost.write({**changed(good, "b", weight=5), "workers": 3})
    assert ctl(roost, "reload") == (
        "  upstreams.app.backends.b.weight: 4 -> 5\n"
        "needs a restart: workers: 2 -> 3\nreloaded\n")
    roost.write(changed(good, "b", weight=5000))
    complaint = ctl(roost, "reload", status=1)
    assert "the one in force stays" in complaint
    assert re.search(r"^roostctl: .*roost.yaml:\d+:\d+: .*weight", complaint, re.M)


def test_the_log_is_made_louder(stage):
    roost, admin, *_ = scene(stage, "a")
    assert "level debug (the file says info)" in ctl(roost, "log", "debug")
    assert ctl(roost, "log", "configured").startswith("level info, text to ")
    assert ctl(roost, "log", "loud", status=1).startswith("roostctl: level: expected debug, ")
    roost.reload({**roost.config, "log": {"level": "info", "topics": {"http": "warn"}}})
    assert ctl(roost, "log").endswith("; http warn\n")
    assert "http" not in ctl(roost, "log", "debug")


def test_the_configuration_can_be_loaded_again(stage, tmp_path):
    roost, admin, *_ = scene(stage, "a")
    file = tmp_path / "again.yaml"
    file.write_text(ctl(roost, "config"))
    done = subprocess.run([os.environ.get("ROOST", ""), "-t", "-c", file],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- complaints and exit codes


@pytest.mark.parametrize("args, status, complaint", [
    ([], 64, "what is to be done?"),
    (["stat"], 64, 'there is no command "stat"; did you mean status?'),
    (["zzz"], 64, 'there is no command "zzz"'),
    (["drain"], 64, "drain: UPSTREAM is missing"),
    (["drain", "app"], 64, "drain: BACKEND is missing"),
    (["drain", "app", "a", "b"], 64, '"b" is one word too many'),
    (["status", "--wait"], 64, "--wait says nothing to status"),
    (["status", "--wat"], 64, "there is no flag --wat"),
    (["drain", "app", "a", "--wait=soon"], 64, "expected a duration"),
    (["kick", "0" * 16, "--code", "x"], 64, "code: expected a number"),
    (["status", "--watch=1ms"], 64, "at least 100ms"),
    (["status", "--color", "red"], 64, "auto, always or never"),
    (["rehome", "app"], 64, "--client or --backend"),
    (["kick"], 64, "a session's id"),
    (["help", "zzz"], 64, "there is no command"),
    (["drain", "nope", "a"], 1, 'there is no upstream "nope"'),
    (["drain", "app", "nope"], 1, 'has no backend "nope"'),
    (["backends", "nope"], 1, 'there is no upstream "nope"'),
    (["weight", "app", "a", "many"], 64, "weight: expected a number"),
    (["weight", "app", "a", "-1"], 64, "there is no flag -1"),
    (["weight", "app", "a", "5000"], 1, "from 0 to 1000"),
    (["add", "app", "nonsense"], 1, "address: expected"),
    (["sessions", "--state", "x"], 1, "state: expected one of"),
    (["explain", "app", "nobody"], 1, "expected header:VALUE"),
    (["rehome", "app", "-b", "a"], 1, "has re-homing off"),
    (["kick", "0" * 16], 1, "no such session"),
    (["drain", "a/b", "c?d"], 1, 'there is no upstream "a/b"'),
    (["-s", "nonsense", "status"], 64, "is no address"),
])
def test_what_is_wrong_is_said(quiet, args, status, complaint):
    said = ctl(quiet, *args, status=status)
    assert complaint in said and said.startswith("roostctl: ")
    assert "drain" not in ctl(quiet, "backends")


def test_a_daemon_that_is_away(tmp_path):
    closed = closed_port()
    for address in (closed, f"unix:{tmp_path}/no.sock"):
        said = ctl(None, "-s", address, "status", status=2)
        assert address in said and "is roost running?" in said
        ctl(None, "-s", address, "drain", "app", "a", status=2)
        ctl(None, "-s", address, "config", status=2)
        ctl(None, "-s", address, "status", "--watch", status=2)


@pytest.fixture
def stranger():
    """Speaks HTTP, and answers as it is told to."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            status, body = self.server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PUT = answer

        def log_message(self, *unused):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_something_else_that_answers(stranger):
    address = "127.0.0.1:%d" % stranger.server_address[1]
    stranger.answer = 200, b"<html>hello</html>"
    assert "is no admin API" in ctl(None, "-s", address, "status", status=1)
    stranger.answer = 404, b"not here"
    assert "is no admin API" in ctl(None, "-s", address, "drain", "a", "b", status=1)


def test_an_older_daemon(stranger):
    address = "127.0.0.1:%d" % stranger.server_address[1]
    stranger.answer = 404, (b'{"error":"not_found","message":'
                            b'"nothing is here; GET /v1 lists what is"}')
    said = ctl(None, "-s", address, "reload", status=1)
    assert "does not know POST /v1/reload: it is older" in said


def test_names_that_would_drive_a_terminal(stranger):
    address = "127.0.0.1:%d" % stranger.server_address[1]
    stranger.answer = 200, json.dumps({"upstreams": [
        {"name": "a\033[2Jb", "balance": "x\ny"}]}).encode()
    text = ctl(None, "-s", address, "upstreams")
    assert "\033" not in text and "a?[2Jb" in text


def test_an_answer_that_stops(stranger):
    address = "127.0.0.1:%d" % stranger.server_address[1]
    stranger.answer = 200, b""
    ctl(None, "-s", address, "status", status=1)


# --- where


def test_the_address_comes_from_the_configuration(stage, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    sock = f"unix:{tmp_path}/admin.sock"
    config = with_admin(settings(stage.backends("a")), bind=sock, token_file=str(token))
    roost = stage.roost(config)
    assert "ok" in ctl(None, "health", "-c", roost.file)
    assert "2 workers" in ctl(None, "status", "-c", roost.file)
    # mistakes elsewhere do not matter
    roost.write({**config, "colour": "red", "workers": "many"})
    assert "2 workers" in ctl(None, "status", "-c", roost.file)
    # a flag wins over the environment, which wins over the standard file
    assert "2 workers" in ctl(None, "status", "-c", roost.file, ROOST_ADMIN="x:1")
    assert "2 workers" in ctl(None, "status", ROOST_ADMIN=sock,
                              ROOST_TOKEN_FILE=str(token))
    assert "wants a token" in ctl(None, "status", ROOST_ADMIN=sock, status=1)
    wrong = tmp_path / "wrong"
    wrong.write_text("0123456789abcdef-wrong")
    said = ctl(None, "status", "-s", sock, "-t", str(wrong), status=1)
    assert "refuses the token" in said
    assert "wants a token" not in ctl(None, "health", "-s", sock)
    ctl(None, "status", "-s", sock, "-t", str(tmp_path / "none"), status=64)


@pytest.mark.parametrize("text, complaint", [
    ("workers: 2\n", "has no admin.bind"),
    ("a: [\n", "roost.yaml:"),
    ("admin: {bind: nonsense}\n", "is no address"),
    ("admin: yes\n", "has no admin.bind"),
])
def test_configurations_that_do_not_help(tmp_path, text, complaint):
    file = tmp_path / "roost.yaml"
    file.write_text(text)
    assert complaint in ctl(None, "status", "-c", str(file), status=64)
    assert "No such file" in ctl(None, "status", "-c", f"{file}.no", status=64)


def test_output_that_nobody_takes(quiet):
    with open("/dev/full", "w") as full:
        done = subprocess.run([ctl_binary(), "status"], stdout=full, env=environment(quiet),
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "the answer cannot be written (No space left on device)" in done.stderr


# --- completion


def complete(roost, line):
    """What bash offers for the last word of a line."""
    script = os.path.join(os.path.dirname(__file__), "../../contrib/completion/roostctl")
    words = line.split(" ")
    code = (f"source {script}; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
            f"COMP_CWORD={len(words) - 1}; _roostctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    env = environment(roost)
    env["PATH"] = os.path.dirname(ctl_binary()) + ":" + env["PATH"]
    done = subprocess.run(["bash", "--norc", "-c", code], env=env, capture_output=True,
                          text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.quick
def test_bash_completes(quiet):
    assert {"status", "drain", "sessions"} <= set(complete(quiet, "roostctl "))
    assert complete(quiet, "roostctl dr") == ["drain"]
    assert complete(quiet, "roostctl drain ") == ["app"]
    assert complete(quiet, "roostctl drain app ") == ["a", "b"]
    assert complete(quiet, "roostctl drain app a ") == []
    assert complete(quiet, "roostctl drain nope ") == []
    assert complete(quiet, "roostctl drain app a --wa") == ["--wait"]
    assert complete(quiet, "roostctl sessions -u ") == ["app"]
    assert complete(quiet, "roostctl sessions -b ") == ["a", "b"]
    assert complete(quiet, "roostctl sessions -n ") == []
    assert "--wait" not in complete(quiet, "roostctl status --")
    assert complete(quiet, "roostctl log n") == ["notice"]
    assert complete(quiet, "roostctl sessions --sort m") == ["messages", "moves"]
    assert complete(quiet, "roostctl sessions --json --backend ") == ["a", "b"]
    assert complete(quiet, "roostctl sessions --state c") == ["connected", "closing"]
    assert complete(quiet, "roostctl add app x --state d") == ["drain", "down"]
    assert complete(quiet, "roostctl help rel") == ["reload"]


def test_completion_without_a_daemon_is_silent():
    assert complete(None, "roostctl drain ") == []
    assert "drain" in complete(None, "roostctl ")
