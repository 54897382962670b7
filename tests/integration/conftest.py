# SPDX-License-Identifier: MIT
"""Fixtures: app servers and running roosts, stopped and checked after each test.

The binary is $ROOST (default: ../../roost). When a test fails, the configuration and
the log of every roost it started are part of its report.
"""

import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from peers.backend import Backend, ScriptedBackend  # noqa: E402
from peers.roost import Roost, binary, settings  # noqa: E402
from peers.waiting import SANITIZED, scaled  # noqa: E402

LOG_SHOWN = 12000
TEST_SECONDS = 60  # nothing here takes half of that


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="left out under a sanitizer")
    for item in items:
        if SANITIZED and "slow_under_sanitizers" in item.keywords:
            item.add_marker(skip)


class Stage:
    """What a test (or a module of tests) has started, ended together."""

    def __init__(self, directory, roosts):
        self.directory = directory
        self.roosts = roosts
        self.others = []

    def backends(self, *names):
        started = [Backend(name).start() for name in names]
        self.others += started
        return [b.ready() for b in started]

    def scripted(self, script, name="scripted", path=None):
        b = ScriptedBackend(script, name, path)
        self.others.append(b)
        return b

    def roost(self, config=None, args=None):
        assert binary(), "no roost to test: build it, or name one in $ROOST"
        r = Roost(self.directory / f"roost{len(self.roosts)}", config, args)
        self.roosts.append(r)
        return r.start()

    def proxy(self, *names, **upstream):
        """Backends of these names and a roost in front of them."""
        backends = self.backends(*names)
        return self.roost(settings(backends, **upstream)), *backends

    def end(self):
        wrong = []
        for r in self.roosts:
            try:
                if r.process is not None:
                    r.stop()
            except AssertionError as e:
                wrong.append(str(e))
                r.kill()
        for b in self.others:
            b.stop()
        assert not wrong, wrong


@pytest.fixture
def stage(request, tmp_path):
    request.node.roosts = []
    stage = Stage(tmp_path, request.node.roosts)
    yield stage
    stage.end()


@pytest.fixture(scope="module")
def shared_stage(request, tmp_path_factory):
    """For tables of cases that leave nothing behind: one roost for a whole module."""
    request.node.roosts = []
    stage = Stage(tmp_path_factory.mktemp("shared"), request.node.roosts)
    yield stage
    stage.end()


@pytest.fixture(autouse=True)
def time_limit():
    """A test that hangs fails, with its log, instead of stopping the whole run."""
    def give_up(number, frame):
        raise TimeoutError("the test takes too long")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, scaled(TEST_SECONDS))
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    roosts = getattr(item, "roosts", None)
    if roosts is None:
        roosts = getattr(item.parent, "roosts", [])
    for r in roosts:
        for title, file in (("roost.yaml", r.file), ("roost.log", r.log_file)):
            try:
                with open(file, errors="replace") as f:
                    report.sections.append((f"{title} in {r.directory}",
                                            f.read()[-LOG_SHOWN:]))
            except FileNotFoundError:
                pass
