# SPDX-License-Identifier: MIT
"""Reads the byte files of this folder; README says how they are written."""

import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ESCAPE = re.compile(r"\\(?:([rnt0\\])|x([0-9a-fA-F]{2})|\{(\d+) ([^}]*)\})")
SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
FACT = re.compile(r"# ([a-z-]+): ?(.*)")
ENDS = ("kept", "close", "cut", "waiting")


def unescape(text):
    out, at = b"", 0
    for m in ESCAPE.finditer(text):
        out += text[at : m.start()].encode("latin-1")
        at = m.end()
        if m[1]:
            out += SIMPLE[m[1]]
        elif m[2]:
            out += bytes([int(m[2], 16)])
        else:
            out += int(m[3]) * unescape(m[4])
    rest = text[at:]
    assert "\\" not in rest, f"unknown escape in {rest!r}"
    return out + rest.encode("latin-1")


class Expected:
    """One way it may go: final statuses, then how the connection stands."""

    def __init__(self, text):
        *statuses, self.end = text.split()
        assert self.end in ENDS, text
        self.statuses = [int(s) for s in statuses]

    def __repr__(self):
        return " ".join([*map(str, self.statuses), self.end])


class BackendRequest:
    """What a backend has to see of one request."""

    def __init__(self, text):
        words = text.split()
        self.line = " ".join(words[:2])
        self.how = words[2] if len(words) > 2 else "complete"
        assert self.how in ("complete", "unfinished", "perhaps"), text
        self.body = b""
        self.has, self.lacks, self.trailers = [], [], None


class Case:
    def __init__(self, path):
        self.name = os.path.basename(path).rpartition(".")[0]
        self.facts = {}
        self.requests = []
        with open(path, encoding="latin-1", newline="\n") as f:
            lines = f.read().split("\n")
        while lines and lines[0].startswith("#"):
            if m := FACT.fullmatch(lines.pop(0)):
                self.fact(m[1], m[2])
        self.data = unescape("".join(lines))
        self.expected = [Expected(t) for t in self.facts["expect"].split(" or ")]

    def fact(self, key, value):
        if key == "backend":
            if value != "nothing":
                self.requests.append(BackendRequest(value))
        elif key in ("has", "lacks") and self.requests:
            getattr(self.requests[-1], key).append(value)
        elif key == "backend-body":
            self.requests[-1].body = unescape(value)
        elif key == "backend-trailers":
            self.requests[-1].trailers = value
        else:
            assert key not in self.facts, f"{self.name}: {key} twice"
            self.facts[key] = value

    def get(self, key, default=""):
        return self.facts.get(key, default)


def load(folder, ending):
    """All cases of a folder, by name."""
    where = os.path.join(HERE, folder)
    cases = [Case(os.path.join(where, f)) for f in os.listdir(where)
             if f.endswith(ending)]
    return {c.name: c for c in sorted(cases, key=lambda c: c.name)}
