# SPDX-License-Identifier: MIT
"""Waiting for conditions instead of sleeping.

A test says what must become true and for how long that may take. Sanitizer builds are
slower by a factor, so every deadline goes through scaled().
"""

import os
import time

SANITIZED = os.environ.get("ROOST_SANITIZED", "") not in ("", "0")
DEADLINE = 10.0
POLL = 0.01


def scaled(seconds):
    """That many seconds, or more where a sanitizer slows everything down."""
    return seconds * 4 if SANITIZED else seconds


def wait_until(condition, what, seconds=DEADLINE):
    """Calls condition() until it returns something true, which is returned."""
    deadline = time.monotonic() + scaled(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {scaled(seconds):g} s in vain for: {what}")
        time.sleep(POLL)


def holds_for(condition, what, seconds):
    """The opposite: condition() must stay true all that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"did not stay true for {seconds:g} s: {what}"
        time.sleep(POLL)


def let_pass(seconds):
    """Lets time go by. Only for what nothing but time changes: a lock running out,
    where every look at it by a request would start it anew."""
    time.sleep(seconds)
