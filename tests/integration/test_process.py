# SPDX-License-Identifier: MIT
"""What a daemon owes its system: the pid file, the user, limits; and roost -t, which
says beforehand what a start would lack."""

import os
import pathlib
import pwd
import re
import resource
import socket
import subprocess
import tempfile

import pytest
from peers.client import Person
from peers.dns import A, NameServer
from peers.roost import binary, run, settings
from peers.waiting import scaled, wait_until
from peers.yaml_text import to_yaml

NOBODY_THERE = {"name": "gone", "address": "127.0.0.1:1"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


def plain(**more):
    return {**settings([NOBODY_THERE]), **more}


# --- the pid file


def test_pid_file_belongs_to_one(stage, tmp_path):
    path = tmp_path / "roost.pid"
    path.write_text("99999999\n")  # left behind by one that died
    first = stage.roost(plain(), args=["-p", str(path)])
    assert path.read_text() == f"{first.pid}\n"
    file = tmp_path / "second.yaml"
    file.write_text(to_yaml(plain()))
    r = run("-c", file, "-p", path)
    assert r.returncode == 2
    assert f"{path}: roost is running already (process {first.pid})" in r.stderr
    assert path.read_text() == f"{first.pid}\n", "it is the first one's still"
    first.stop()
    assert not path.exists()


def test_running_already_is_said_before_taken_ports(stage, tmp_path):
    path = tmp_path / "roost.pid"
    first = stage.roost(plain(), args=["-p", str(path)])
    file = tmp_path / "second.yaml"
    file.write_text(to_yaml(plain(listeners=[{"bind": first.authority}])))
    r = run("-c", file, "-p", path)
    assert r.returncode == 2
    assert "running already" in r.stderr and "cannot listen" not in r.stderr


def test_what_stops_a_start_is_said_on_the_terminal_too(stage, tmp_path):
    first = stage.roost(plain())
    file, log = tmp_path / "second.yaml", tmp_path / "log"
    file.write_text(to_yaml(plain(listeners=[{"bind": first.authority}],
                                  log={"file": str(log)})))
    r = run("-c", file)
    assert r.returncode == 2
    assert r.stderr == f"roost: cannot listen on {first.authority} " \
                       "(Address already in use)\n"
    assert "cannot listen" in log.read_text()
    assert run("-d", "-c", file).stderr == r.stderr


def test_pid_file_in_no_folder_is_2(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(to_yaml(plain()))
    r = run("-c", file, "-p", "/nonexistent/roost.pid")
    assert r.returncode == 2
    assert "/nonexistent/roost.pid: No such file or directory" in r.stderr


# --- the user


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(re.findall(r"(\w+):\s*(.*)", f.read()))


@pytest.fixture(scope="module")
def open_place():
    """A folder that others may enter. Those of pytest are closed again by the next one
    that starts."""
    with tempfile.TemporaryDirectory(prefix="roost") as place:
        os.chmod(place, 0o755)
        yield place


@pytest.fixture
def as_nobody(stage, open_place, monkeypatch):
    """Starts a roost as root that becomes nobody, or whom else."""
    # the leak detector traces its own process, which a change of the user forbids
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    stage.directory = pathlib.Path(tempfile.mkdtemp(dir=open_place))
    stage.directory.chmod(0o755)

    def start(*args, user="nobody"):
        own = stage.directory / f"roost{len(stage.roosts)}"
        own.mkdir()
        own.chmod(0o777)
        config = plain(access_log={"file": str(own / "access.log")})
        return stage.roost(config, args=["-u", user, *args])

    return start


@as_root
def test_nothing_of_root_is_left(as_nobody, tmp_path):
    path = tmp_path / "roost.pid"
    roost = as_nobody("-p", str(path))
    user = pwd.getpwnam("nobody")
    groups = {str(g) for g in os.getgrouplist("nobody", user.pw_gid)}
    tasks = os.listdir(f"/proc/{roost.pid}/task")
    assert len(tasks) >= 4, "workers, the control thread, that of the access log"
    for status in (status_of(f"{roost.pid}/task/{task}") for task in tasks):
        assert status["Uid"].split() == [str(user.pw_uid)] * 4
        assert status["Gid"].split() == [str(user.pw_gid)] * 4
        assert set(status["Groups"].split()) <= groups
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[caps], 16) == 0, caps
        assert status["NoNewPrivs"] == "1"
    assert Person(roost, "p").request("GET", "/").status in (502, 503)
    # its folder is root's: the file stays, but does not name a process any more
    roost.stop()
    assert not path.exists() or path.read_text() == ""


@as_root
def test_privileged_port_is_bound_before(as_nobody):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
        if int(f.read()) <= 1:
            pytest.skip("every port may be bound by anyone")
    for port in range(600, 1000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                break
            except OSError:
                pass
    roost = as_nobody("-L", f"127.0.0.1:{port}")
    assert roost.address[1] == port


@as_root
def test_group_may_be_another(as_nobody):
    roost = as_nobody(user="nobody:daemon")
    assert status_of(roost.pid)["Gid"].split() == ["1"] * 4


def test_unknown_user_is_2(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(to_yaml(plain()))
    r = run("-c", file, "-u", "no-such-user")
    assert r.returncode == 2
    assert "no such user: no-such-user" in r.stderr


@as_root
def test_core_dumps_on_demand(as_nobody):
    # the owner of its files in /proc is root while it may not be dumped
    assert os.stat(f"/proc/{as_nobody().pid}/stat").st_uid == 0
    roost = as_nobody("--core-dumps")
    assert os.stat(f"/proc/{roost.pid}/stat").st_uid == pwd.getpwnam("nobody").pw_uid
    with open(f"/proc/{roost.pid}/limits") as f:
        soft, hard = re.search(r"Max core file size +(\S+) +(\S+)", f.read()).groups()
    assert soft == hard


# --- limits


def test_few_descriptors_are_told(stage, tmp_path):
    file, ports = tmp_path / "r.yaml", tmp_path / "ports"
    file.write_text(to_yaml(plain()))
    p = subprocess.Popen(
        [binary(), "-c", file, "--ports-file", ports], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 600)))
    try:
        wait_until(lambda: ports.exists() and ports.read_text().endswith("\n"), "ready")
    finally:
        p.terminate()
        said = p.communicate(timeout=scaled(20))[1]
    found = re.search(r"ready \(2 workers, 600 descriptors, which is about (\d+) sessions",
                      said)
    assert 200 < int(found[1]) < 300, said
    assert "warn daemon: few descriptors: " in said


# --- standard streams


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_are_no_sockets(tmp_path, closed):
    """A descriptor with their number would get what is written to them."""
    file, ports, pid = (tmp_path / name for name in ("r.yaml", "ports", "pid"))
    file.write_text(to_yaml(plain(log={"level": "info"})))

    def close():
        for fd in closed:
            os.close(fd)

    p = subprocess.Popen([binary(), "-c", file, "--ports-file", ports, "-p", pid],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, preexec_fn=close)
    try:
        wait_until(lambda: ports.exists() and ports.read_text().endswith("\n"), "ready")
        for fd in range(3):
            assert os.readlink(f"/proc/{p.pid}/fd/{fd}") == "/dev/null"
        assert pid.read_text() == f"{p.pid}\n"
    finally:
        p.terminate()
        p.wait(scaled(20))


# --- roost -t


@pytest.fixture
def check(tmp_path):
    def check(config, *args):
        file = tmp_path / "checked.yaml"
        file.write_text(to_yaml(config))
        return run("-t", "-c", file, *args)

    return check


def test_nothing_is_missing(check, tmp_path):
    log, access = tmp_path / "roost.log", tmp_path / "access.log"
    secret, token = tmp_path / "secret", tmp_path / "token"
    secret.write_text("s" * 16)
    token.write_text("t" * 32)
    secret.chmod(0o600)
    token.chmod(0o600)
    r = check(plain(log={"file": str(log)}, access_log={"file": str(access)},
                    pins={"secret_file": str(secret)},
                    admin={"bind": "127.0.0.1:0", "token_file": str(token)}),
              "-p", tmp_path / "pid")
    assert (r.returncode, r.stderr) == (0, "")
    assert not any(p.exists() for p in (log, access, tmp_path / "pid")), "only looked at"


MISSING = {
    "log": ({"log": {"file": "/nonexistent/log"}}, "log.file: /nonexistent/log"),
    "log is a folder": ({"log": {"file": "/tmp"}}, "log.file: /tmp: Is a directory"),
    "syslog": ({"log": {"file": "syslog", "socket": "/nonexistent/log"}},
               "log.socket: /nonexistent/log"),
    "journal is no socket": (
        {"log": {"file": "journald", "socket": "/etc/passwd"}},
        "log.socket: /etc/passwd: Socket operation on non-socket"),
    "access log": ({"access_log": {"file": "/nonexistent/access"}},
                   "access_log.file: /nonexistent/access"),
    "secret": ({"pins": {"secret_file": "/nonexistent/secret"}},
               "pins.secret_file: /nonexistent/secret"),
    "short secret": ({"pins": {"secret_file": "/dev/null"}}, "at least 16 bytes"),
    "token": ({"admin": {"bind": "127.0.0.1:0", "token_file": "/nonexistent/token"}},
              "admin.token_file: /nonexistent/token"),
    "foreign address": ({"listeners": [{"bind": "192.0.2.1:8080"}]},
                        "listeners[0].bind: 192.0.2.1:8080: Cannot assign requested address"),
    "unix socket in no folder": ({"listeners": [{"bind": "unix:/nonexistent/s"}]},
                                 "bind: unix:/nonexistent/s: No such file"),
    "unix socket at a file": ({"listeners": [{"bind": "unix:/etc/passwd"}]},
                              "there is a file that is no socket"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_a_start_would_lack(check, name):
    keys, said = MISSING[name]
    r = check(plain(**keys))
    assert r.returncode == 1 and r.stdout == ""
    assert said in r.stderr
    assert "warning" not in r.stderr


@pytest.mark.parametrize("args, said", [
    (["-u", "no-such-user"], "no such user"),
    (["-u", "nobody:no-such-group"], "no such group"),
    (["-p", "/nonexistent/pid"], "--pid-file: /nonexistent/pid"),
])
def test_what_flags_would_lack(check, args, said):
    r = check(plain(), *args)
    assert r.returncode == 1
    assert said in r.stderr


def test_everything_at_once(check):
    r = check(plain(log={"file": "/nonexistent/log"},
                    access_log={"file": "/nonexistent/access"},
                    listeners=[{"bind": "192.0.2.1:80"}]), "-u", "no-such-user")
    assert r.returncode == 1
    assert len(r.stderr.splitlines()) == 4


def test_what_is_in_use_is_no_error(check, stage, tmp_path):
    """It is what roost -t finds beside the roost that will be told to reload."""
    path = tmp_path / "roost.pid"
    roost = stage.roost(plain(), args=["-p", str(path)])
    r = check(plain(listeners=[{"bind": roost.authority}]), "-p", path)
    assert r.returncode == 0
    assert f"warning: bind: {roost.authority}: in use now" in r.stderr
    assert "held by a roost that is running" in r.stderr
    assert Person(roost, "p").request("GET", "/").status in (502, 503)


def test_what_is_hardly_meant_is_a_warning(check):
    config = plain()
    config["upstreams"]["spare"] = {"backends": [
        {"name": n, "address": a, "weight": 0}
        for n, a in (("x", "127.0.0.1:1"), ("y", "127.0.0.1:2"), ("z", "127.0.0.1:1"))]}
    config["routes"] = [{"upstream": "app"}]
    r = check(config)
    assert r.returncode == 0
    assert re.search(r':\d+:\d+: warning: upstreams.spare.backends\[2\].address: '
                     r'"127.0.0.1:1" is that of "x", too\n', r.stderr)
    assert re.search(r":\d+:\d+: warning: upstreams.spare: no route leads there\n", r.stderr)
    assert "upstreams.spare: every weight is 0" in r.stderr
    assert "upstreams.app" not in r.stderr


def test_a_secret_that_all_can_read_is_a_warning(check, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789abcdef")
    for mode, warned in ((0o640, False), (0o644, True)):
        secret.chmod(mode)
        r = check(plain(pins={"secret_file": str(secret)}))
        assert r.returncode == 0
        assert (f"warning: pins.secret_file: {secret}: others can" in r.stderr) == warned


def test_names_without_address_are_warnings(check):
    server = NameServer()
    server.records = {"known.example": [(A, "127.0.0.1")]}
    config = plain(resolver={"servers": [server.address]})
    config["upstreams"]["app"]["backends"] = [{"address": "no-such-host.invalid:80"},
                                              {"address": "known.example:80"}]
    r = check(config)
    server.stop()
    assert r.returncode == 0
    assert "warning: name no-such-host.invalid:80 has no address now" in r.stderr
    assert "known.example" not in r.stderr


def test_name_servers_that_do_not_answer_hang_nobody(check):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = plain(resolver={"servers": ["127.0.0.1:%d" % silent.getsockname()[1]]})
        config["upstreams"]["app"]["backends"] = [
            {"address": f"host{i}.example.com:80"} for i in range(40)]
        r = check(config)
    assert r.returncode == 0
    assert len(re.findall("has no address now", r.stderr)) == 40


@as_root
def test_what_the_user_could_not_open_again(check, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    secret = private / "secret"
    secret.write_text("s" * 32)
    r = check(plain(log={"file": str(private / "log")}, pins={"secret_file": str(secret)}),
              "-u", "nobody")
    assert r.returncode == 0
    assert re.search(r"warning: --user: \S+/private/secret: nobody could not open it on "
                     r"an upgrade \(Permission denied\)", r.stderr)
    assert re.search(r"warning: --user: \S+/private/log: nobody could not open it on "
                     r"SIGUSR1 or an upgrade \(Permission denied\)", r.stderr)


def test_a_detached_roost_without_log_is_warned_of(check):
    r = check(plain(log={"file": "stderr"}), "-d")
    assert r.returncode == 0 and "warning: log.file: stderr: " in r.stderr
