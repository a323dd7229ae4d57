"""A listening socket on loopback whose connections are served in threads of their own: what scripted servers share."""

from __future__ import annotations

import socket
import threading


class Listening:
    """Subclasses have serve(sock), which owns the socket. It listens from listen() to close()."""

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        raise NotImplementedError

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()
