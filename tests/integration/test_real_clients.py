# SPDX-License-Identifier: MIT
"""Clients and servers that people really use: curl, ws of npm, python3-websockets."""

import asyncio
import json
import shutil
import subprocess
import threading

import pytest
from peers import node
from peers.roost import changed, entry, settings
from peers.waiting import scaled

websockets = pytest.importorskip("websockets")
needs_node = pytest.mark.skipif(bool(node.missing()), reason=str(node.missing()))
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def curl(*args):
    done = subprocess.run(["curl", "-sS", "--max-time", str(scaled(20)), *args],
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_curl
def test_curl_with_a_cookie_jar(stage, tmp_path):
    roost, *_ = stage.proxy("a", "b", "c", client_key=["cookie:roost", "address"])
    url = f"http://{roost.authority}/"
    for i in range(6):
        jar = str(tmp_path / f"jar{i}")
        names = {json.loads(curl("-b", jar, "-c", jar, url))["backend"]
                 for _ in range(4)}
        assert len(names) == 1


@needs_curl
def test_curl_uploads_and_downloads(stage, tmp_path):
    roost, _ = stage.proxy("a")
    url = f"http://{roost.authority}"
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 12000)
    told = json.loads(curl("-T", str(big), url + "/put"))
    assert (told["method"], told["body_length"]) == ("PUT", big.stat().st_size)
    told = json.loads(curl("-H", "Transfer-Encoding: chunked", "--data-binary",
                           f"@{big}", url + "/post"))
    assert told["body_length"] == big.stat().st_size
    assert curl("--data-binary", f"@{big}", url + "/echo") == big.read_bytes()
    assert len(curl(url + "/bytes/1000000?chunked")) == 1000000
    assert b"200" in curl("-I", url + "/bytes/10")
    assert json.loads(curl("-X", "PROPFIND", url + "/dav"))["method"] == "PROPFIND"


@needs_curl
def test_curl_over_one_connection(stage):
    roost, _ = stage.proxy("a")
    url = f"http://{roost.authority}/bytes/100"
    out = curl("-w", "%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null",
               "-o", "/dev/null", url, url, url)
    assert out.split() == [b"1", b"0", b"0"]


class PythonServer:
    """An echo server on python3-websockets with compression, in a thread."""

    def __init__(self, name, think=0, news=False):
        self.name = name
        self.think = think  # seconds before each answer
        self.news = news    # says something else before each answer
        self.port = None
        self.seen = []
        started = threading.Event()
        threading.Thread(target=self.run, args=(started,), daemon=True).start()
        assert started.wait(scaled(10))
        self.address = f"127.0.0.1:{self.port}"

    def run(self, started):
        async def handle(ws, path=None):
            self.seen.append((ws.request_headers, ws.response_headers))
            try:
                async for message in ws:
                    if self.news:
                        await ws.send("news")
                    await asyncio.sleep(self.think)
                    await ws.send(self.name if message == "whoami" else message)
            except websockets.ConnectionClosed:
                pass

        async def main():
            server = await websockets.serve(handle, "127.0.0.1", 0, max_size=None)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await asyncio.Future()

        asyncio.run(main())


def talk(roost, messages, **how):
    """Sends each message through python3-websockets and checks its echo."""
    async def main():
        url = f"ws://{roost.authority}/ws"
        async with websockets.connect(url, max_size=None, **how) as ws:
            for m in messages:
                await ws.send(m)
                assert await ws.recv() == m
            await (await ws.ping())
            await ws.send("whoami")
            name = await ws.recv()
            extensions = ws.response_headers.get("Sec-WebSocket-Extensions", "")
        return name, extensions, ws.close_code

    return asyncio.run(main())


MESSAGES = ["hi", "", "same " * 50000, bytes(range(256)) * 4000, b""]


@pytest.mark.parametrize("mode", ["transparent", "reconnect", "off"])
def test_compression_is_agreed_end_to_end(stage, mode):
    server = PythonServer("py")
    roost = stage.roost(settings([entry(server)], rehome={"mode": mode}))
    name, extensions, code = talk(roost, MESSAGES)
    assert (name, code) == ("py", 1000)
    assert "permessage-deflate" in extensions
    (request, response) = server.seen[-1]
    assert response["Sec-WebSocket-Extensions"] == extensions
    if mode == "transparent":
        assert "server_no_context_takeover" in request["Sec-WebSocket-Extensions"]


def test_websockets_without_compression(stage):
    roost, _ = stage.proxy("a")
    name, extensions, code = talk(roost, MESSAGES, compression=None)
    assert (name, extensions, code) == ("a", "", 1000)


def test_websockets_sends_in_fragments(stage):
    roost, _ = stage.proxy("a")

    async def main():
        async with websockets.connect(f"ws://{roost.authority}/ws") as ws:
            await ws.send(f"part {i} " for i in range(20))
            return await ws.recv()

    assert asyncio.run(main()) == "".join(f"part {i} " for i in range(20))


async def ask(ws, message):
    await ws.send(message)
    return await asyncio.wait_for(ws.recv(), scaled(5))


@pytest.mark.parametrize("think", [0, 0.02, 0.25])
def test_compressed_sockets_are_moved_without_loss(stage, think):
    """This library replies to a Close at once and then drops the answers to what it has
    read before: the cut must wait until it has answered."""
    servers = [PythonServer("py1", think), PythonServer("py2", think)]
    roost = stage.roost(settings([entry(s) for s in servers], rehome={
        "mode": "transparent", "debounce": "50ms"}))

    async def main():
        url = f"ws://{roost.authority}/ws"
        text = "numbers and words, again and again " * 20
        async with websockets.connect(url, extra_headers={"X-Client": "z"}) as ws:
            await ws.send("whoami")
            old = await ws.recv()
            loop = asyncio.get_running_loop()
            drained = changed(roost.config, old, state="drain")
            reload = loop.run_in_executor(None, roost.reload, drained)
            name, i = old, 0
            deadline = loop.time() + scaled(10)
            while name == old and loop.time() < deadline:
                i += 1
                assert await ask(ws, f"{i} {text}") == f"{i} {text}"
                name = await ask(ws, "whoami")
            await reload
            for i in range(4):
                assert await ask(ws, f"{i} {text}") == f"{i} {text}"
            return old, name

    old, name = asyncio.run(main())
    assert {old, name} == {"py1", "py2"}


def test_what_is_said_unasked_is_not_taken_for_an_answer(stage):
    """The news come while the answer is still being thought about; whoever is told to
    close then never gives it."""
    servers = [PythonServer(n, think=0.04, news=True) for n in ("py1", "py2")]
    roost = stage.roost(settings([entry(s) for s in servers], rehome={
        "mode": "transparent", "debounce": "50ms"}))

    async def answer(ws):
        while (message := await asyncio.wait_for(ws.recv(), scaled(5))) == "news":
            pass
        return message

    async def main():
        url = f"ws://{roost.authority}/ws"
        async with websockets.connect(url, extra_headers={"X-Client": "z"}) as ws:
            await ws.send("whoami")
            old = name = await answer(ws)
            drained = changed(roost.config, old, state="drain")
            loop = asyncio.get_running_loop()
            reload = loop.run_in_executor(None, roost.reload, drained)
            deadline = loop.time() + scaled(10)
            while name == old and loop.time() < deadline:
                await ws.send("whoami")
                name = await answer(ws)
            await reload
            return old, name

    old, name = asyncio.run(main())
    assert {old, name} == {"py1", "py2"}


@needs_node
def test_npm_ws_on_both_sides(stage):
    server = node.NodeServer("ws-echo.js", "n1")
    stage.others.append(server)
    roost = stage.roost(settings([entry(server)], rehome={"mode": "transparent"}))
    seen = node.run_client("ws-client.js", f"ws://{roost.authority}/ws")
    assert seen["echoed"] == 3 and seen["backend"] == "n1"
    assert seen["protocol"] == "chat" and "permessage-deflate" in seen["extensions"]
    assert seen["pong"] == "are you there"
    assert (seen["code"], seen["reason"]) == (4001, "as asked")


@needs_node
def test_python_client_and_npm_server(stage):
    server = node.NodeServer("ws-echo.js", "n1")
    stage.others.append(server)
    roost = stage.roost(settings([entry(server)]))
    name, extensions, code = talk(roost, MESSAGES, subprotocols=["chat"])
    assert (name, code) == ("n1", 1000) and "permessage-deflate" in extensions
