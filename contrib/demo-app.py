#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A small app server: HTTP and WebSocket on one port, telling its name.

Usage: demo-app.py NAME PORT-FILE. Listens on a free port and writes it to PORT-FILE.
Answers every GET with a line, and every WebSocket message with its name before it.
"""

import asyncio
import http
import logging
import os
import signal
import sys

import websockets


def answer_http(name):
    """A process_request hook: what is no upgrade is answered as plain HTTP."""
    async def hook(path, headers):
        if headers.get("Upgrade", "").lower() == "websocket":
            return None
        body = f"hello from {name} ({path})\n".encode()
        return http.HTTPStatus.OK, [("Content-Type", "text/plain")], body

    return hook


def answer_messages(name):
    async def handler(ws, path=None):
        try:
            async for message in ws:
                await ws.send(f"{name} {message}")
        except websockets.ConnectionClosed:
            pass

    return handler


async def main(name, port_file):
    stop = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: stop.done() or stop.set_result(None)
        )
    server = await websockets.serve(
        answer_messages(name), "127.0.0.1", 0, process_request=answer_http(name),
        backlog=1024,
    )
    with open(port_file + ".new", "w") as f:
        f.write("%d\n" % server.sockets[0].getsockname()[1])
    os.rename(port_file + ".new", port_file)
    await stop


if __name__ == "__main__":
    logging.disable(logging.ERROR)  # a client that resets is nothing to write about
    asyncio.run(main(*sys.argv[1:3]))
