#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A rolling deploy of three app servers under many busy WebSockets, told as it happens.

Usage: ROOST=./roost transcript.py [--sockets N] [--rate N] [--interval MS] [--lock TIME]

One after the other is drained, waited for until it is empty, ended by SIGTERM and
replaced; then clients are left alone until they are spread evenly again. At the end
come the figures. Exit status 0: nobody was closed and nothing lost, doubled or
reordered. contrib/demo --rolling builds what is needed and runs this.
"""

import argparse
import os
import platform
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from peers.client import RawClient  # noqa: E402
from peers.roost import Roost, binary, changed, entry, run, settings  # noqa: E402
from peers.waiting import wait_until  # noqa: E402
from rolling.scene import App, Crowd  # noqa: E402

REAL = 25       # clients of each of the two libraries among them
FAIR = 1.2      # times the fair share: what the default threshold leaves
EMPTY = 120     # seconds it may take
QUANTILES = (0.5, 0.99, 1.0)


class Deploy:
    def __init__(self, options, directory):
        self.options = options
        self.apps = [App(n).start() for n in ("red", "green", "blue")]
        config = settings(
            [entry(a.ready(), state="up") for a in self.apps],
            pin={"websocket": options.lock},
            rehome={"mode": "transparent", "rate": options.rate})
        config["admin"] = {"bind": "127.0.0.1:0"}
        self.roost = Roost(directory, config).start()
        self.crowd = None
        self.began = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.began:8.2f} s  {text}", flush=True)

    def ask(self, target):
        with RawClient(self.roost.addresses[-1]) as c:
            return c.request("GET", target).json()

    def backends(self):
        (up,) = self.ask("/v1/upstreams")["upstreams"]
        return {b["name"]: b for b in up["backends"]}

    def counters(self):
        return self.ask("/v1/status")["counters"]

    def spread(self):
        return ", ".join(f"{n} {b['sockets']}" for n, b in self.backends().items())

    def open(self):
        n = self.options.sockets
        real = min(REAL, n // 4)
        self.crowd = Crowd(self.roost, n - 2 * real, real, real,
                           self.options.interval)
        self.began = time.monotonic()
        self.crowd.ready()
        self.say(f"{n} sockets are open and talk: {self.spread()}")
        self.crowd.goes_on(10, 120)

    def set(self, app, state):
        self.roost.reload(changed(self.roost.config, app.name, state=state))
        self.say(f"{app.name}: state {state}, SIGHUP")

    def is_empty(self, app):
        b = self.backends()[app.name]
        return b["sockets"] == b["exchanges"] == 0

    def replace(self, app):
        before, began = self.counters()["rehomes_done"], time.monotonic()
        self.set(app, "drain")
        wait_until(lambda: self.is_empty(app), f"{app.name} is empty", EMPTY)
        moved = self.counters()["rehomes_done"] - before
        self.say(f"{app.name} is empty: {moved} sessions moved in "
                 f"{time.monotonic() - began:.1f} s; {self.spread()}")
        told = app.replace()
        self.say(f"{app.name} ended by SIGTERM (it had given {told['asked']} answers); "
                 f"its successor listens")
        self.set(app, "up")

    def even_out(self):
        fair = self.options.sockets / len(self.apps)
        wait_until(lambda: max(b["sockets"] for b in self.backends().values())
                   <= fair * FAIR + 1, "evened out", EMPTY)
        self.say(f"evened out: {self.spread()}")

    def run(self):
        self.open()
        for app in self.apps:
            self.replace(app)
        self.even_out()
        self.crowd.goes_on(10, 120)
        told = self.crowd.finish(self.apps)
        self.say("no more questions; the last answers are in")
        return self.report(told)

    def report(self, told):
        pauses = sorted(float(p) for p in
                        self.roost.all_logged(r"re-homed .* pause ([\d.]+) ms"))
        light = told.reports[0]
        missing = told.pushes_missing(self.apps)

        def at(values):
            last = len(values) - 1
            return " / ".join(f"{values[min(int(len(values) * q), last)]:.1f}"
                              for q in QUANTILES) + " ms" if values else "-"

        rows = [
            ("sockets closed", told.closed),
            ("questions asked", told.asked),
            ("answers lost", told.missing),
            ("answers doubled", told.doubled),
            ("answers out of order", told.reordered),
            ("unasked messages of the backends", told.pushes),
            ("of these lost, doubled or out of order", missing + told.push_errors),
            ("pings without a pong", told.pings - told.pongs),
            ("sessions moved", self.counters()["rehomes_done"]),
            ("pause of a socket, p50 / p99 / max", at(pauses)),
            ("answer around a move, p50 / p99 / max", at(told.pauses_ms)),
            ("any answer, p50 / p99", f"{light['answer_p50_ms']:.1f} / "
                                      f"{light['answer_p99_ms']:.1f} ms"),
        ]
        print()
        for what, value in rows:
            print(f"  {what:42} {value}")
        if told.lost:
            print("  without an answer (client, number):",
                  ", ".join(f"{c} {n}" for c, n, *_ in told.lost[:10]))
        if told.first_error:
            print("  first trouble:", told.first_error)
        return not any((told.closed, told.missing, told.doubled, told.reordered,
                        told.damaged, missing, told.push_errors))

    def stop(self):
        if self.crowd:
            self.crowd.stop()
        for a in self.apps:
            a.stop()
        self.roost.stop()


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--sockets", type=int, default=1000)
    p.add_argument("--rate", type=int, default=100, help="rehome.rate")
    p.add_argument("--interval", type=int, default=200,
                   help="ms between two questions of a client")
    p.add_argument("--lock", default="2s", help="pin.websocket")
    return p.parse_args()


def main():
    options = parse()
    print(f"{run('--version').stdout.strip()}, {os.cpu_count()} cores, Linux "
          f"{platform.release()}; 3 backends, {options.sockets} sockets, a question "
          f"each {options.interval} ms, rate {options.rate}, lock {options.lock}\n")
    with tempfile.TemporaryDirectory(prefix="roost-rolling.") as directory:
        deploy = Deploy(options, directory)
        try:
            good = deploy.run()
        finally:
            deploy.stop()
    print("\n  " + ("Every promise held." if good else "A promise was BROKEN."))
    return 0 if good else 1


if __name__ == "__main__":
    assert binary(), "name the program to run in $ROOST"
    sys.exit(main())
