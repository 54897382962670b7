# SPDX-License-Identifier: MIT
"""WebSocket frames (RFC 6455, 5) to bytes and back, with nothing forbidden: tests also
need frames that break the protocol. Shared by the clients and by the app server.
"""

import base64
import hashlib
import os
from collections import namedtuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Frame = namedtuple("Frame", "fin rsv opcode masked payload")


def mask(payload, key):
    n = len(payload)
    if n == 0:
        return b""
    stream = (key * (n // 4 + 1))[:n]
    both = int.from_bytes(payload, "little") ^ int.from_bytes(stream, "little")
    return both.to_bytes(n, "little")


def encode(opcode, payload=b"", fin=True, rsv=0, masked=False, length_size=None):
    """One frame. length_size 1, 3 or 9 asks for a longer length field than needed."""
    n = len(payload)
    if length_size is None:
        length_size = 1 if n < 126 else 3 if n < 65536 else 9
    length = {
        1: lambda: bytes([n]),
        3: lambda: b"\x7e" + n.to_bytes(2, "big"),
        9: lambda: b"\x7f" + n.to_bytes(8, "big"),
    }[length_size]()
    head = bytes([(0x80 if fin else 0) | (rsv << 4) | opcode])
    if not masked:
        return head + length + payload
    key = os.urandom(4)
    return head + bytes([length[0] | 0x80]) + length[1:] + key + mask(payload, key)


def close_payload(code=None, reason=""):
    return b"" if code is None else code.to_bytes(2, "big") + reason.encode()


def parse_close(payload):
    """(code, reason); code is None where the frame had no payload."""
    if len(payload) < 2:
        return None, ""
    return int.from_bytes(payload[:2], "big"), payload[2:].decode("utf-8", "replace")


class Decoder:
    """Bytes in, frames out."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next whole frame, or None."""
        b = self.buffer
        if len(b) < 2:
            return None
        at, n = 2, b[1] & 0x7F
        if n >= 126:
            size = 2 if n == 126 else 8
            if len(b) < at + size:
                return None
            n = int.from_bytes(b[at : at + size], "big")
            at += size
        masked = bool(b[1] & 0x80)
        key_at, at = at, at + (4 if masked else 0)
        if len(b) < at + n:
            return None
        payload = bytes(b[at : at + n])
        if masked:
            payload = mask(payload, bytes(b[key_at : key_at + 4]))
        frame = Frame(bool(b[0] & 0x80), (b[0] >> 4) & 7, b[0] & 15, masked, payload)
        del b[: at + n]
        return frame


def new_key():
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
