# SPDX-License-Identifier: MIT
"""Requests all the time, from threads, every one of which must succeed."""

import threading

from .client import RawClient
from .waiting import wait_until


class Load:
    """`fresh` threads open a connection for each request; `kept` ones use theirs until
    an answer says that it is the last one, as clients do that keep connections."""

    def __init__(self, address, fresh=2, kept=2, path="/bytes/2000"):
        self.address, self.path = address, path
        self.stopping = threading.Event()
        self.served, self.reconnects, self.failed = 0, 0, []
        self.threads = [threading.Thread(target=self.run, args=(once,), daemon=True)
                        for once in [True] * fresh + [False] * kept]

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.wait_progress()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        for t in self.threads:
            t.join()

    def wait_progress(self, more=50):
        wanted = self.served + more
        wait_until(lambda: self.failed or self.served >= wanted, "requests are served")

    def check(self):
        assert not self.failed, (len(self.failed), self.failed[:3])

    def run(self, once):
        while not self.stopping.is_set() and len(self.failed) < 10:
            try:
                with RawClient(self.address) as c:
                    self.talk(c, once)
            except Exception as e:
                self.failed.append(repr(e))

    def talk(self, c, once):
        while not self.stopping.is_set():
            r = c.get(self.path)
            assert r.status == 200, r.status
            self.served += 1
            if once:
                return
            if (r.header("Connection") or "").lower() == "close":
                self.reconnects += 1
                return
