# SPDX-License-Identifier: MIT
"""Python dicts and lists to block-style YAML, one key a line, so that errors have a
line of their own. Every string is quoted: what a test writes is never reinterpreted,
except durations and words, which are written bare as people do.
"""

import re

BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_%-]*\Z")


def scalar(value):
    if value is True:
        return "true"
    if value is False:
        return "off"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if BARE.match(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def lines_of(value, indent):
    pad = " " * indent
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                yield f"{pad}{key}:"
                yield from lines_of(inner, indent + 2)
            else:
                yield f"{pad}{key}: {scalar(inner)}"
    else:
        for inner in value:
            if isinstance(inner, dict):
                first, *rest = lines_of(inner, indent + 2)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {scalar(inner)}"


def to_yaml(value):
    return "\n".join(lines_of(value, 0)) + "\n"
