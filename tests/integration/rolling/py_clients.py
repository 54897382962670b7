#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Clients on python3-websockets with permessage-deflate: the same conversation as
load.c's, orders and report alike. Usage: py_clients.py PORT SOCKETS INTERVAL_MS SIZE
"""

import asyncio
import json
import os
import random
import sys
import time

import websockets

FRAGMENTS = 4
FIFTH = 5
COUNTED = ("asked", "answered", "doubled", "reordered", "damaged", "pushes",
           "push_errors", "pings", "pongs")


class Client:
    def __init__(self, crowd, i):
        self.crowd, self.name = crowd, str(i)
        for key in COUNTED:
            setattr(self, key, 0)
        self.expected, self.last, self.backend = 0, 0, ""
        self.when = {}

    async def live(self):
        headers = {"X-Client": f"py-{self.name}"}
        url = f"ws://127.0.0.1:{self.crowd.port}/ws"
        self.ws = await websockets.connect(url, extra_headers=headers,
                                           ping_interval=None)
        if "permessage-deflate" not in self.ws.response_headers.get(
                "Sec-WebSocket-Extensions", ""):
            self.wrong("damaged", "no compression")
        self.crowd.opened()
        asking = asyncio.create_task(self.ask())
        try:
            async for message in self.ws:
                self.take(message)
        except websockets.ConnectionClosed:
            pass
        asking.cancel()
        self.crowd.open -= 1
        self.crowd.closes.append([time.monotonic() * 1000, f"py-{self.name}",
                                  self.ws.close_code])

    def wrong(self, which, text):
        setattr(self, which, getattr(self, which) + 1)
        self.crowd.first_error = self.crowd.first_error or f"{self.name}: {text[:80]}"

    async def ask(self):
        interval = self.crowd.interval
        await asyncio.sleep(interval * random.random())
        while True:
            if not self.crowd.quiet:
                n = self.asked
                self.asked += 1
                text = f"q {self.name} {n} {self.crowd.filler}"
                self.when[n] = time.monotonic()
                await self.ws.send(self.pieces(text) if n % FIFTH == 0 else text)
                if n % FIFTH == 1:
                    self.pings += 1
                    (await self.ws.ping()).add_done_callback(self.on_pong)
            await asyncio.sleep(interval * random.uniform(0.7, 1.3))

    def on_pong(self, future):
        self.pongs += not future.cancelled() and not future.exception()

    @staticmethod
    def pieces(text):
        step = len(text) // FRAGMENTS + 1
        return [text[i : i + step] for i in range(0, len(text), step)]

    def take(self, text):
        kind, *words = text.split(" ")
        if kind == "a" and words[0] == self.name and words[3] == self.crowd.filler:
            self.take_answer(int(words[1]), words[2])
        elif kind == "p":
            self.pushes += 1
            tokens = self.crowd.tokens
            if int(words[1]) != tokens.get(words[0], 0):
                self.wrong("push_errors", text)
            tokens[words[0]] = int(words[1]) + 1
        else:
            self.wrong("damaged", text)

    def take_answer(self, n, backend):
        when = self.when.pop(n, None)
        if when is None:
            self.wrong("doubled", f"answer {n} again")
            return
        if n < self.expected:
            self.wrong("reordered", f"answer {n} at {self.expected}")
        else:
            self.expected = n + 1
        took = (time.monotonic() - when) * 1000
        if self.backend and self.backend != backend:
            self.crowd.pauses.append(max(took, self.last))
        self.backend, self.last = backend, took
        self.answered += 1


class Crowd:
    def __init__(self, port, sockets, interval_ms, size):
        self.port, self.interval = port, interval_ms / 1000
        self.filler = ("lorem-ipsum-dolor-sit-amet-" * (size // 27 + 1))[:size]
        self.clients = [Client(self, i) for i in range(sockets)]
        self.closes, self.pauses, self.tokens = [], [], {}
        self.open, self.quiet, self.first_error = 0, False, ""

    def opened(self):
        self.open += 1
        if self.open == len(self.clients):
            print(json.dumps({"open": self.open}), flush=True)

    async def main(self):
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        tasks = [asyncio.create_task(self.live(c)) for c in self.clients]
        while line := await orders.readline():
            self.quiet = self.quiet or line == b"quiet\n"
            print(json.dumps(self.report()), flush=True)
        os._exit(0 if tasks else 1)

    async def live(self, client):
        try:
            await client.live()
        except Exception as e:  # shown by who reads the report
            client.wrong("damaged", repr(e))

    def report(self):
        told = {k: sum(getattr(c, k) for c in self.clients) for k in COUNTED}
        return {**told, "clients": len(self.clients), "open": self.open,
                "under_way": sum(c.asked - c.expected for c in self.clients),
                "cut_off": 0, "moves": len(self.pauses), "closed": len(self.closes),
                "first_error": self.first_error, "closes": self.closes,
                "lost": [[f"py-{c.name}", n, when, c.asked] for c in self.clients
                         for n, when in c.when.items()], "pauses_ms": self.pauses, "tokens": self.tokens,
                "on": {f"py-{c.name}": c.backend for c in self.clients}}


if __name__ == "__main__":
    asyncio.run(Crowd(*map(int, sys.argv[1:])).main())
