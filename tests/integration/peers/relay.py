# SPDX-License-Identifier: MIT
"""Something in front of an app server: Relay accepts on a port or on a unix socket and
passes all bytes on, but for the PROXY header that each connection may have to begin
with, which it keeps for the test to look at.
"""

import ipaddress
import socket
import struct
import threading

from .server import Server

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class BadHeader(Exception):
    pass


class Header:
    """version; source and destination: (ip, port), or None where there is none."""

    def __init__(self, version, source=None, destination=None):
        self.version, self.source, self.destination = version, source, destination

    def __repr__(self):
        return f"v{self.version} {self.source} -> {self.destination}"


def header_v1(source=None, destination=None):
    if source is None:
        return b"PROXY UNKNOWN\r\n"
    family = 6 if ":" in source[0] else 4
    return (f"PROXY TCP{family} {source[0]} {destination[0]} {source[1]} "
            f"{destination[1]}\r\n").encode()


def header_v2(source=None, destination=None, tlvs=b""):
    if source is None:
        return SIGNATURE + b"\x20\0" + struct.pack(">H", len(tlvs)) + tlvs
    ips = [ipaddress.ip_address(end[0]).packed for end in (source, destination)]
    body = b"".join(ips) + struct.pack(">HH", source[1], destination[1]) + tlvs
    family = 0x11 if len(ips[0]) == 4 else 0x21
    return SIGNATURE + bytes([0x21, family]) + struct.pack(">H", len(body)) + body


def take(sock, n):
    data = b""
    while len(data) < n:
        piece = sock.recv(n - len(data))
        if not piece:
            raise BadHeader(f"end after {data!r}")
        data += piece
    return data


def read_v1(sock, line):
    while not line.endswith(b"\r\n"):
        line += take(sock, 1)
    words = line.decode("ascii")[:-2].split(" ")
    if words[1] == "UNKNOWN":
        return Header(1)
    _, family, source, destination, from_port, to_port = words
    version = {"TCP4": 4, "TCP6": 6}[family]
    for ip in (source, destination):
        assert ipaddress.ip_address(ip).version == version, line
    return Header(1, (source, int(from_port)), (destination, int(to_port)))


def read_v2(sock):
    command, family, n = struct.unpack(">BBH", take(sock, 4))
    body = take(sock, n)
    if command == 0x20:
        return Header(2)
    assert command == 0x21 and family in (0x11, 0x21), (command, family)
    size = 4 if family == 0x11 else 16
    assert n == 2 * size + 4, n
    ips = [str(ipaddress.ip_address(body[i * size:][:size])) for i in (0, 1)]
    ports = struct.unpack(">HH", body[2 * size:])
    return Header(2, (ips[0], ports[0]), (ips[1], ports[1]))


def read_header(sock):
    start = take(sock, 12)
    if start == SIGNATURE:
        return read_v2(sock)
    if start.startswith(b"PROXY "):
        return read_v1(sock, start)
    raise BadHeader(f"no header: {start!r}")


def pump(source, sink):
    try:
        while data := source.recv(262144):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Relay(Server):
    """path: listen on a unix socket there. header: connections begin with one."""

    def __init__(self, backend, path=None, header=False):
        self.name = backend.name
        self.target = ("127.0.0.1", backend.port)
        self.header = header
        self.headers = []  # one for each connection
        self.mistakes = []
        super().__init__(path)

    def serve(self, sock):
        try:
            if self.header:
                self.headers.append(read_header(sock))
            app = socket.create_connection(self.target)
        except (AssertionError, BadHeader, LookupError, OSError, ValueError) as e:
            self.mistakes.append(e)
            sock.close()
            return
        back = threading.Thread(target=pump, args=(app, sock), daemon=True)
        back.start()
        pump(sock, app)
        back.join()
        sock.close()
        app.close()
