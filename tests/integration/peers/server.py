# SPDX-License-Identifier: MIT
"""What accepts connections in a thread and serves each in one of its own."""

import os
import socket
import threading


class Server:
    """path: a unix socket there, else a port. serve(sock) is the subclass's, which calls
    this when it is ready for connections."""

    def __init__(self, path=None):
        self.path = path
        self.accepted = 0
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen(256)
            self.address = f"unix:{path}"
        else:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
            self.port = self.listener.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def stop(self):
        try:
            # a thread that is in accept would keep a closed listener alive
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
