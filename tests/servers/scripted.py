# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that answers each connection with the bytes it was given, for what no real server would say.

with Scripted(answer(503), answer(200, b"[]")) as server:
    ...  # server.url
    assert len(server.requests) == 2
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable

Script = bytes | Callable[[socket.socket, threading.Event], None]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; header names are given with underscores. A header set to "" is left out."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drip(text: bytes, seconds: float) -> Callable[[socket.socket, threading.Event], None]:
    """A byte at a time, so many seconds apart."""

    def send(connection: socket.socket, stopping: threading.Event) -> None:
        for byte in text:
            connection.sendall(bytes((byte,)))
            if stopping.wait(seconds):
                return

    return send


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


class Scripted:
    """Connections in turn get the answers in turn; the last one is for all that follow."""

    def __init__(self, *answers: Script) -> None:
        self._answers = answers
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Scripted:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            script = self._answers[min(number, len(self._answers) - 1)]
            number += 1
            thread = threading.Thread(target=self._talk, args=(connection, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket, script: Script) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            request = b""
            while not _is_whole(request):
                piece = connection.recv(65536)
                if not piece:
                    break
                request += piece
                if not request[:1].isalpha():  # TLS, for one: answered at once
                    break
            self.requests.append(request)
            if callable(script):
                script(connection, self._stopping)
            else:
                connection.sendall(script)
