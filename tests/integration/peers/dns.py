# SPDX-License-Identifier: MIT
"""A name server on loopback that answers what a test has written down."""

import socket
import struct
import threading

A, CNAME, AAAA, SRV = 1, 5, 28, 33


def packed(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


class NameServer:
    """records: {name: [(type, value)]}; value: an address, or (priority, weight, port,
    host) of SRV. Change them at any time. A name that is None is not answered at all."""

    def __init__(self, ttl=1):
        self.ttl = ttl
        self.records = {}
        self.questions = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, peer = self.sock.recvfrom(4096)
                answer = self.answer(question)
                if answer:
                    self.sock.sendto(answer, peer)
            except OSError:
                return

    def answer(self, question):
        name, end = self.read_name(question)
        kind = struct.unpack("!H", question[end:end + 2])[0]
        self.questions.append((name, kind))
        if name in self.records and self.records[name] is None:
            return None
        known = self.records.get(name, [])
        found = [self.record(k, v) for k, v in known if k == kind]
        code = 0 if name in self.records else 3
        return (question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(found), 0, 0)
                + question[12:end + 4] + b"".join(found))

    @staticmethod
    def read_name(question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        return ".".join(labels).lower(), at + 1

    def record(self, kind, value):
        if kind == A:
            data = socket.inet_aton(value)
        elif kind == AAAA:
            data = socket.inet_pton(socket.AF_INET6, value)
        else:
            priority, weight, port, host = value
            data = struct.pack("!HHH", priority, weight, port) + packed(host)
        return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(data)) + data

    def stop(self):
        self.sock.close()
