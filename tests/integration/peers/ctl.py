# SPDX-License-Identifier: MIT
"""roostctl: run to its end, or on a terminal whose screen can be looked at."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from .roost import FINDING, binary
from .waiting import DEADLINE, scaled


def ctl_binary():
    return os.path.join(os.path.dirname(binary()), "roostctl")


def address_of(roost):
    a = roost.addresses[-1]
    return f"unix:{a}" if isinstance(a, str) else "%s:%d" % a


def environment(roost=None, **more):
    env = {k: v for k, v in os.environ.items()
           if k not in ("NO_COLOR", "ROOST_ADMIN", "ROOST_TOKEN_FILE")}
    env.update({"LC_ALL": "C.UTF-8", "TERM": "xterm", **more})
    if roost is not None:
        env["ROOST_ADMIN"] = address_of(roost)
    return env


def ctl(roost, *args, status=0, seconds=20, **env):
    """Runs it; returns what it printed, or with another status what it complained."""
    done = subprocess.run(
        [ctl_binary(), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=scaled(seconds), env=environment(roost, **env))
    assert not FINDING.search(done.stderr), done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


class Screen:
    """What a terminal would show of the few sequences that roostctl writes."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.raw = ""
        self.pending = ""
        self.alternate = False
        self.cursor_shown = self.wraps = True
        self.main = self.blank()
        self.grid = self.main
        self.row = self.column = 0

    def blank(self):
        return [[" "] * self.columns for _ in range(self.rows)]

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.main = self.grid = self.blank()
        self.row = self.column = 0

    def lines(self):
        return ["".join(row).rstrip() for row in self.grid]

    def text(self):
        return "\n".join(self.lines()).rstrip()

    def feed(self, text):
        self.raw += text
        text = self.pending + text
        self.pending = ""
        while text:
            if text[0] != "\033":
                self.put(text[0])
                text = text[1:]
                continue
            m = re.match(r"\033\[(\??)([0-9;]*)([A-Za-z])", text)
            if not m:
                self.pending = text
                assert len(text) < 16, f"not understood: {text!r}"
                return
            self.control(*m.groups())
            text = text[m.end():]

    def put(self, c):
        if c == "\r":
            self.column = 0
        elif c == "\n":
            self.row += 1
            if self.row == self.rows:
                self.grid.append([" "] * self.columns)
                del self.grid[0]
                self.row -= 1
        else:
            assert c >= " ", f"a control character on the screen: {c!r}"
            if self.column < self.columns:
                self.grid[self.row][self.column] = c
                self.column += 1
            elif not self.wraps:
                self.grid[self.row][-1] = c

    def control(self, private, numbers, letter):
        if private:
            self.mode(numbers, letter == "h")
        elif letter == "H":
            self.row = self.column = 0
        elif letter == "K":
            self.grid[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif letter == "J":
            self.control("", "", "K")
            for row in range(self.row + 1, self.rows):
                self.grid[row] = [" "] * self.columns
        else:
            assert letter == "m", (private, numbers, letter)

    def mode(self, numbers, on):
        if numbers == "1049":
            self.alternate = on
            self.grid = self.blank() if on else self.main
        elif numbers == "25":
            self.cursor_shown = on
        elif numbers == "7":
            self.wraps = on
        else:
            raise AssertionError(f"mode {numbers}")


class Terminal:
    """roostctl on a terminal of its own."""

    def __init__(self, roost, *args, rows=24, columns=100, **env):
        self.screen = Screen(rows, columns)
        self.master, slave = pty.openpty()
        self.slave = slave
        self.size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [ctl_binary(), *args], stdin=slave, stdout=slave, stderr=slave,
            env=environment(roost, **env), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.read(0)
        self.screen.resize(rows, columns)
        self.size(rows, columns)  # the kernel tells who is in front

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            text = os.read(self.master, 65536).decode("utf-8", "replace")
            self.screen.feed(text)
        return bool(ready)

    def wait(self, condition, what, seconds=DEADLINE):
        """Until condition(screen), or a text on it."""
        if isinstance(condition, str):
            text, condition = condition, lambda s: text in s.text()
        deadline = time.monotonic() + scaled(seconds)
        while not condition(self.screen):
            assert time.monotonic() < deadline, (what, self.screen.text())
            self.read(0.05)
        return self.screen

    def type(self, keys):
        os.write(self.master, keys.encode())

    def end(self, seconds=DEADLINE):
        """Waits for its end; returns the exit status."""
        deadline = time.monotonic() + scaled(seconds)
        while self.process.poll() is None:
            assert time.monotonic() < deadline, ("it goes on", self.screen.text())
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.returncode

    def is_restored(self):
        s = self.screen
        return (termios.tcgetattr(self.slave) == self.before and s.cursor_shown
                and s.wraps and not s.alternate)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
