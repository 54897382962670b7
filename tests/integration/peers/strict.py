# SPDX-License-Identifier: MIT
"""HTTP/1 messages as roost must write them, to either side: read without any leniency.

What a lenient reader would forgive is what smuggling lives on, so everything that is
not exactly the grammar raises Malformed: a bare CR or LF, a control byte, two lengths,
a length beside a coding, a chunk extension, no or two Hosts.
"""

import re

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)")
FIELD = re.compile(
    rb"(" + TOKEN + rb"): ?((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
    rb"[\x21-\x7e\x80-\xff])?)?)"
)
CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
HEAD_END = b"\r\n\r\n"


class Malformed(Exception):
    """Bytes that no strict reader takes."""


class Message:
    def __init__(self, start, headers):
        self.start = start  # groups of the first line
        self.headers = headers
        self.body = b""
        self.trailers = []
        self.complete = False
        self.used = 0  # bytes, of a complete one

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def status(self):
        return int(self.start[0])

    @property
    def line(self):
        """Of a request: method and target."""
        return " ".join(self.start)


def fields_of(lines):
    fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        if not match:
            raise Malformed(f"header line {line!r}")
        fields.append(tuple(g.decode("latin-1") for g in match.groups()))
    return fields


def head_of(data, pattern):
    end = data.find(HEAD_END)
    if end < 0:
        return None, 0
    first, *lines = bytes(data[:end]).split(b"\r\n")
    match = pattern.fullmatch(first)
    if not match:
        raise Malformed(f"first line {first!r}")
    groups = tuple(g.decode("latin-1") for g in match.groups())
    return Message(groups, fields_of(lines)), end + len(HEAD_END)


def read_length(message, data, at, length):
    message.body = bytes(data[at : at + length])
    if len(message.body) == length:
        message.complete, message.used = True, at + length


def line_at(data, at):
    """One line of the chunked coding and where the next begins; None: not here yet."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None, at
    return bytes(data[at:end]), end + 2


def read_trailers(message, data, at):
    lines = []
    while True:
        line, at = line_at(data, at)
        if line is None:
            return
        if not line:
            break
        lines.append(line)
    message.trailers = fields_of(lines)
    message.complete, message.used = True, at


def read_chunks(message, data, at):
    while True:
        line, at = line_at(data, at)
        if line is None:
            return
        if not CHUNK_SIZE.fullmatch(line):
            raise Malformed(f"chunk size {line!r}")
        size = int(line, 16)
        if size == 0:
            return read_trailers(message, data, at)
        message.body += bytes(data[at : at + size])
        at += size
        end = bytes(data[at : at + 2])
        if not b"\r\n".startswith(end):
            raise Malformed(f"chunk ends with {end!r}")
        if len(end) < 2:
            return
        at += 2


def framing_of(message):
    """The length, or None, and whether it is chunked."""
    lengths = message.all("Content-Length")
    codings = message.all("Transfer-Encoding")
    if len(lengths) + len(codings) > 1:
        raise Malformed(f"framed twice: {lengths} {codings}")
    if codings and codings != ["chunked"]:
        raise Malformed(f"coding {codings}")
    if lengths and not re.fullmatch("[0-9]{1,18}", lengths[0]):
        raise Malformed(f"length {lengths}")
    return int(lengths[0]) if lengths else None, bool(codings)


def read_request(data):
    """The request at the beginning of data; None while its head is not complete."""
    message, at = head_of(data, REQUEST_LINE)
    if message is None:
        return None
    if len(message.all("Host")) != 1:
        raise Malformed(f"Host {message.all('Host')}")
    length, chunked = framing_of(message)
    if chunked:
        read_chunks(message, data, at)
    else:
        read_length(message, data, at, length or 0)
    return message


def read_response(data, method="GET"):
    """The response at the beginning of data; None while its head is not complete. One
    that ends with its connection has `used` 0 and is never complete."""
    message, at = head_of(data, STATUS_LINE)
    if message is None:
        return None
    length, chunked = framing_of(message)
    status = message.status
    if status < 200 or status == 204:
        if chunked or length is not None:
            raise Malformed(f"{status} with a body's framing")
        read_length(message, data, at, 0)
    elif status == 304 or method == "HEAD":
        read_length(message, data, at, 0)
    elif chunked:
        read_chunks(message, data, at)
    elif length is not None:
        read_length(message, data, at, length)
    else:
        message.body = bytes(data[at:])
    return message


def is_until_close(message, method="GET"):
    return (not message.complete and method != "HEAD"
            and framing_of(message) == (None, False))
