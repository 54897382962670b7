# SPDX-License-Identifier: MIT
"""The program under test: configuration, start, reload, stop, log and memory."""

import copy
import os
import re
import signal
import subprocess
import time

from .waiting import SANITIZED, scaled, wait_until
from .yaml_text import to_yaml

BINARY = os.environ.get("ROOST", "")

HERE = os.path.dirname(os.path.abspath(__file__))

# what a sanitizer says when it has found something
FINDING = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:"
)


def binary():
    """Path of the built program, or None."""
    path = BINARY or os.path.join(HERE, "../../../roost")
    path = os.path.abspath(path)
    return path if os.access(path, os.X_OK) else None


def settings(backends, **upstream):
    """A configuration with one listener, one route and one upstream "app".

    backends: Backend objects or dicts {name, address, ...}. upstream: keys of the
    upstream; client_key defaults to a header, which the tests find easiest.
    """
    app = {"client_key": ["header:X-Client"]}
    app.update(upstream)
    app["backends"] = [b if isinstance(b, dict) else entry(b) for b in backends]
    return {
        "workers": 2,
        "log": {"level": os.environ.get("ROOST_TEST_LOG", "info")},
        "listeners": [{"bind": "127.0.0.1:0"}],
        "routes": [{"path": "/", "upstream": "app"}],
        "upstreams": {"app": app},
    }


def entry(backend, **keys):
    """One row of a backends list."""
    return {"name": backend.name, "address": backend.address, **keys}


def changed(config, name, **keys):
    """A copy of a configuration with keys of one backend set."""
    config = copy.deepcopy(config)
    for b in config["upstreams"]["app"]["backends"]:
        if b["name"] == name:
            b.update(keys)
    return config


def without(config, name):
    """A copy of a configuration with one backend removed."""
    config = copy.deepcopy(config)
    app = config["upstreams"]["app"]
    app["backends"] = [b for b in app["backends"] if b["name"] != name]
    return config


class Roost:
    """One running roost. Use it through the fixture, which stops and checks it."""

    def __init__(self, directory, config=None, args=None, stdin=None):
        os.makedirs(directory, exist_ok=True)
        self.directory = str(directory)
        self.file = os.path.join(self.directory, "roost.yaml")
        self.log_file = os.path.join(self.directory, "roost.log")
        self.ports_file = os.path.join(self.directory, "ports")
        self.config = config
        self.args = args
        self.process = None
        self.addresses = []
        self.log_mark = 0

    def write(self, config):
        """Replaces the configuration file: a dict, or text as it stands."""
        text = config if isinstance(config, str) else to_yaml(config)
        with open(self.file + ".new", "w") as f:
            f.write(text)
        os.rename(self.file + ".new", self.file)

    def start(self):
        args = [*self.command, "--ports-file", self.ports_file]
        if self.config is not None:
            self.write(self.config)
            args += ["-c", self.file]
        args += self.args or []
        env = dict(os.environ)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        env.setdefault("TSAN_OPTIONS", "halt_on_error=0")
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                cwd=self.directory, **self.popen_settings(),
            )
        n = len(self.config["listeners"]) if isinstance(self.config, dict) else 1
        wait_until(lambda: self.ready(n), "roost is ready")
        return self

    def ready(self, n):
        assert self.process.poll() is None, (
            f"roost ended with {self.process.returncode}:\n{self.log()}"
        )
        try:
            with open(self.ports_file) as f:
                text = f.read()
        except FileNotFoundError:
            return False
        if text.count("\n") < n:
            return False
        self.addresses = [self.split(line) for line in text.splitlines()]
        return True

    @staticmethod
    def split(address):
        """As Python's sockets want it: a pair, or the path of a unix socket."""
        if address.startswith("unix:"):
            return address[len("unix:"):]
        host, _, port = address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def command(self):
        return [binary()]

    def popen_settings(self):
        return {}

    @property
    def address(self):
        return self.addresses[0]

    @property
    def authority(self):
        return "%s:%d" % self.address

    @property
    def pid(self):
        return self.process.pid

    # --- what it says and uses

    def log(self):
        with open(self.log_file, errors="replace") as f:
            return f.read()

    def mark(self):
        """Later waits look only at what is logged from here on."""
        self.log_mark = len(self.log())

    def logged(self, pattern):
        return re.findall(pattern, self.log()[self.log_mark :], re.MULTILINE)

    def all_logged(self, pattern):
        return re.findall(pattern, self.log(), re.MULTILINE)

    def wait_log(self, pattern, seconds=10):
        return wait_until(lambda: self.logged(pattern), f"log line {pattern!r}", seconds)

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # --- signals

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, config, fails=False):
        """Writes the file, sends HUP and waits for what the log says about it."""
        self.config = config
        self.write(config)
        self.mark()
        self.signal(signal.SIGHUP)
        wanted = "reload failed" if fails else "configuration reloaded"
        wait_until(
            lambda: self.logged("reload failed|configuration reloaded"),
            f"log line {wanted!r}",
        )
        assert self.logged(wanted), self.log()[self.log_mark :]

    def wait_exit(self, seconds=10):
        self.process.wait(scaled(seconds))
        return self.process.returncode

    def exits_within(self, seconds):
        end = time.monotonic() + seconds
        while self.running() and time.monotonic() < end:
            time.sleep(0.005)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Ends it for good: TERM, and more of them so that nothing is waited for. Two that
        come at once may count as one."""
        deadline = time.monotonic() + scaled(20)
        while self.running():
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError("roost did not stop after TERM")
            self.signal(signal.SIGTERM)
            self.exits_within(0.2)
        code = self.process.returncode
        assert code == 0, f"roost ended with {code}"
        self.check_findings()

    def check_findings(self):
        found = FINDING.search(self.log())
        assert not found, f"a sanitizer found something: {found.group(0)}"

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()


def run(*args, seconds=10, cwd=None, text=True):
    """Runs roost to its end, for flags that only print or check something."""
    return subprocess.run(
        [binary(), *args], stdin=subprocess.DEVNULL, capture_output=True, text=text,
        timeout=scaled(seconds), cwd=cwd,
    )


__all__ = [
    "Roost", "SANITIZED", "binary", "changed", "entry", "run", "settings", "without",
]
