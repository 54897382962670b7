#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tour of contrib/demo: tries what roost promises and says what came of it.

Usage: demo-tour.py DIR NAME..., with the files contrib/demo wrote to DIR. Thirty
clients, each with its own cookie and an open socket on which it sends numbers all the
time, live through a drain and the death of a backend. Exit status 0: all promises held.
"""

import asyncio
import http.client
import os
import re
import signal
import sys

import websockets

CLIENTS = 30
PATIENCE = 30  # seconds for anything to come true


class Client:
    """One browser: a cookie, a socket, numbers on their way."""

    def __init__(self, address):
        self.address = address
        self.cookie = ""
        self.backend = ""
        self.sent = self.answered = self.expected = 0
        self.disorder = 0
        self.closed = None

    async def open(self):
        self.ws = await websockets.connect(f"ws://{self.address}/chat", ping_interval=None)
        self.remember(self.ws.response_headers.get_all("Set-Cookie"))
        self.tasks = [asyncio.create_task(self.talk()), asyncio.create_task(self.hear())]

    def remember(self, cookies):
        for cookie in cookies:
            self.cookie = cookie.split(";")[0]

    async def talk(self):
        try:
            while True:
                await self.ws.send(str(self.sent))
                self.sent += 1
                await asyncio.sleep(0.05)
        except websockets.ConnectionClosed:
            pass

    async def hear(self):
        try:
            async for message in self.ws:
                self.backend, number = message.split(" ")
                self.answered += 1
                self.disorder += int(number) < self.expected
                self.expected = int(number) + 1
        except websockets.ConnectionClosed:
            pass
        self.closed = self.ws.close_code

    def ask_http(self):
        """Who answers this client over HTTP?"""
        conn = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        conn.request("GET", "/api", headers={"Cookie": self.cookie})
        text = conn.getresponse().read().decode()
        conn.close()
        return re.match(r"hello from (\w+)", text).group(1)

    async def end(self):
        self.tasks[0].cancel()
        await asyncio.sleep(0.5)
        self.tasks[1].cancel()
        await self.ws.close()


class Tour:
    def __init__(self, directory, names):
        self.directory, self.names = directory, names
        self.rows, self.kept = [], True
        self.address = self.read("ports").split()[0]
        self.clients = [Client(self.address) for _ in range(CLIENTS)]

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    # --- what can be seen

    def on(self, name):
        return sum(c.backend == name for c in self.clients)

    def open(self):
        return sum(c.closed is None for c in self.clients)

    async def agreeing(self):
        """Clients whose HTTP reaches the backend that holds their socket."""
        loop = asyncio.get_running_loop()
        answers = await asyncio.gather(
            *(loop.run_in_executor(None, c.ask_http) for c in self.clients)
        )
        return sum(a == c.backend for a, c in zip(answers, self.clients))

    async def wait(self, condition):
        for _ in range(PATIENCE * 50):
            if condition():
                break
            await asyncio.sleep(0.02)

    async def row(self, what, promise=True):
        agree = await self.agreeing()
        kept = promise and self.open() == agree == CLIENTS
        self.kept = self.kept and kept
        self.rows.append([what, *(str(self.on(n)) for n in self.names), str(self.open()),
                          str(agree), "yes" if kept else "NO"])
        print(f"  {what}: {', '.join(f'{n} {self.on(n)}' for n in self.names)}", flush=True)

    # --- what is done

    def drain(self, name):
        """What an administrator does: edit the file, send HUP."""
        text = self.read("roost.yaml")
        changed = re.sub(rf"(name: {name},.*state: )up", r"\1drain", text)
        assert changed != text
        with open(self.path("roost.yaml"), "w") as f:
            f.write(changed)
        os.kill(int(self.read("roost.pid")), signal.SIGHUP)

    def kill(self, name):
        os.kill(int(self.read(name + ".pid")), signal.SIGKILL)

    async def run(self):
        first, second, third = self.names
        print(f"\n{CLIENTS} clients open a socket each and keep sending numbers ...")
        await asyncio.gather(*(c.open() for c in self.clients))
        await self.wait(lambda: all(c.backend for c in self.clients))
        await self.row("opened", all(self.on(n) for n in self.names))
        self.drain(first)
        await self.wait(lambda: self.on(first) == 0)
        await self.row(f"{first} drained", self.on(first) == 0)
        before = sum(c.sent - c.answered for c in self.clients)
        self.kill(second)
        await self.wait(lambda: self.on(third) == CLIENTS)
        await self.row(f"{second} killed", self.on(third) == CLIENTS)
        for c in self.clients:
            await c.end()
        self.report(before)
        return self.kept

    def report(self, under_way):
        head = ["", *self.names, "still open", "HTTP agrees", "kept"]
        widths = [max(map(len, column)) for column in zip(head, *self.rows)]
        print()
        for r in [head, *self.rows]:
            print("  " + r[0].ljust(widths[0]),
                  *(x.rjust(w) for x, w in zip(r[1:], widths[1:])), sep="   ")
        sent = sum(c.sent for c in self.clients)
        lost = sent - sum(c.answered for c in self.clients)
        disorder = sum(c.disorder for c in self.clients)
        self.kept = self.kept and disorder == 0 and lost <= CLIENTS
        print(f"\n  {sent} messages sent, {lost} unanswered (on their way when "
              f"{self.names[1]} died), {disorder} doubled or out of order")
        print("\n  " + ("Every promise held." if self.kept else "A promise was BROKEN."))


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(Tour(sys.argv[1], sys.argv[2:]).run()) else 1)
