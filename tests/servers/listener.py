# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The socket of a double: a thread a connection, and what goes wrong in one is not lost."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener(ThreadingHTTPServer):
    """On a port of 127.0.0.1. Errors of handlers go to ``failures``, but those of connections, which clients break.
    ``stopping`` is for handlers that hang."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> None:
        self.failures: list[BaseException] = []
        self.stopping = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        """As HTTPServer does it, without looking up the name of the host."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: the handshake, so that a stuck client holds up no other, then the answer."""
        connection: socket.socket = request
        if self._tls is not None:
            connection.settimeout(self.RequestHandlerClass.timeout)  # type: ignore[attr-defined]
            connection = self._tls.wrap_socket(request, server_side=True)
        self._open.add(connection)
        try:
            super().finish_request(connection, client_address)
        finally:
            if connection is not request:
                self.shutdown_request(connection)
            self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.failures.append(error)

    def stop(self) -> None:
        """Stop listening, end what is hanging, wait for the threads."""
        self.shutdown()
        self.server_close()
        self.stopping.set()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        while self._open and time.monotonic() < deadline:
            time.sleep(0.005)
