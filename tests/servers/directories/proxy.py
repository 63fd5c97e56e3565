# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand between a client and a directory: a line that breaks, one that crawls, somebody who removes TLS."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

#: The name of StartTLS, as it stands in a request.
_START_TLS = b"1.3.6.1.4.1.1466.20037"
#: An extended response to message 1: protocolError.
_REFUSED = bytes.fromhex("300c02010178070a010204000400")


@contextlib.contextmanager
def proxy(
    address: str,
    *,
    cut_at: bytes | None = None,
    at_cut: Callable[[], None] | None = None,
    pause: float = 0,
    strip_tls: bool = False,
) -> Iterator[str]:
    """A proxy to the directory at an address; its own ldap:// address.

    It ends the connection where the directory sends certain bytes, waits before each piece of what it sends, or answers
    StartTLS by itself as a directory would that has none. `at_cut` is called before the end.
    """
    stopping = threading.Event()

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection((address, 389), timeout=10) as server:
            threading.Thread(target=upwards, args=(client, server), daemon=True).start()
            before = b""
            while piece := server.recv(1024):
                if stopping.wait(pause):
                    break
                client.sendall(piece)
                if cut_at is not None and cut_at in before + piece:
                    if at_cut:
                        at_cut()
                    break
                before = piece[-100:]
            # Closing alone would wait for the other thread, which reads from it.
            client.shutdown(socket.SHUT_RDWR)

    def upwards(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                if strip_tls and _START_TLS in piece:
                    client.sendall(_REFUSED)
                else:
                    server.sendall(piece)
            server.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _peer = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
