# SPDX-License-Identifier: MIT
"""One thread of a roost, stopped as a debugger does it, with ptrace(2)."""

import ctypes
import os

import pytest

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def is_worker(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/comm") as f:
        return f.read().strip() == "roost-worker"


def workers(pid):
    threads = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    return [t for t in threads if is_worker(pid, t)]


class Held:
    def __init__(self, thread):
        self.thread = thread

    def call(self, request):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(request, self.thread, None, None):
            pytest.skip("ptrace is not allowed")

    def __enter__(self):
        self.call(SEIZE)
        self.call(INTERRUPT)
        os.waitpid(self.thread, WALL)

    def __exit__(self, *unused):
        self.call(DETACH)
