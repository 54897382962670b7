#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An app server on python3-websockets that echoes messages. Prints its port and lives
until its stdin ends, as those of ../node do.
"""

import asyncio
import sys

import websockets


async def echo(ws, path=None):
    try:
        async for message in ws:
            await ws.send(message)
    except websockets.ConnectionClosed:
        pass


async def main():
    server = await websockets.serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=None)
    ended = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.read()


asyncio.run(main())
