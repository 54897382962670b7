# SPDX-License-Identifier: MIT
"""The programs of ../node: real WebSocket and socket.io peers from npm.

Their packages are found in $ROOST_NODE_MODULES, where contrib/check puts them, or in
node/node_modules after `npm ci` there.
"""

import json
import os
import shutil
import subprocess
import urllib.request

from .waiting import scaled

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../node")
MODULES = os.environ.get("ROOST_NODE_MODULES") or os.path.join(HERE, "node_modules")


def missing():
    """Why the node peers cannot run, or None."""
    if not shutil.which("node"):
        return "node is not installed"
    if not os.path.isdir(os.path.join(MODULES, "ws")):
        return "npm packages are not installed (contrib/check does it)"
    return None


def command(script, *args):
    return ["node", os.path.join(HERE, script), *map(str, args)]


def environment():
    return {**os.environ, "NODE_PATH": MODULES}


class NodeServer:
    """A server that prints its port and lives until its stdin ends."""

    def __init__(self, script, name):
        self.name = name
        self.process = subprocess.Popen(
            command(script, name), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment(),
        )
        self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}") as r:
            return json.load(r)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def run_client(script, *args, seconds=30):
    """Runs a client to its end and returns the JSON it prints."""
    done = subprocess.run(
        command(script, *args), capture_output=True, text=True, env=environment(),
        timeout=scaled(seconds),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
