# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double of the Libre Workspace portal's `GET /api/linux_users/`, over a real socket.

    with Portal(capture="04") as portal:
        ...  # portal.url, portal.api_key
        portal.change("mehrfach", enabled=False)
        portal.misbehave("unavailable", times=2)
        assert len(portal.requests) == 3

It also runs by itself (`--help`) and is then steered by `POST /_double/` with the same Api-key, from loopback only:

    {"do": "serve", "capture": "05"}                                  or "records": [...]
    {"do": "change", "username": "mehrfach", "fields": {"enabled": false}}
    {"do": "remove", "username": "mehrfach"}
    {"do": "add", "record": {...}}
    {"do": "misbehave", "mode": "unavailable", "times": 2}            also seconds, retry_after, location
    {"do": "behave"}, {"do": "status"}, {"do": "shutdown"}

Each is answered with how many records are served and how many requests came, those to /_double/ not counted.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # run as a script: make the relative import work (PEP 366)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    __package__ = "tests.servers"

from .libre_workspace_answers import LOOPBACK_NAMES, Behaviour, Captures, Record, Request, Response
from .listener import Listener

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "libre-workspace"
CONTROL_PATH = "/_double/"
BODY_LIMIT = 16 * 1024 * 1024
IDLE_SECONDS = 30
PIECE = 64 * 1024


def load_captures(folder: Path = FIXTURES) -> Captures:
    return Captures(
        rosters={path.stem: path.read_bytes() for path in folder.glob("*.json")},
        refusals={path.stem: Response.parse(path.read_bytes()) for path in (folder / "errors").glob("*.http")},
    )


class Portal(Behaviour):
    """The portal on a port of 127.0.0.1, from `with` or start() to close()."""

    def __init__(
        self,
        capture: str | Sequence[Record] = "04",
        *,
        api_key: str = "",
        port: int = 0,
        tls: tuple[str | Path, str | Path] | None = None,
        hosts: Collection[str] = LOOPBACK_NAMES,
    ) -> None:
        super().__init__(load_captures(), capture, api_key=api_key, hosts=hosts)
        self.stop_asked = threading.Event()  # set by {"do": "shutdown"}; whoever runs the portal closes it
        self._wanted_port = port
        self._tls = tls
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the portal is not running")
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def failures(self) -> list[BaseException]:
        """Faults of the double itself; a client that went away is none."""
        return self._server.failures if self._server else []

    def start(self) -> Portal:
        context = None
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
        self._server = _Server(self, self._wanted_port, context)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Portal:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def control(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Carry out one order from /_double/: a status and what to say."""
        if not ipaddress.ip_address(request.client).is_loopback or request.headers.get("Api-key") != self.api_key:
            return 403, {"detail": "only from loopback, with the Api-key"}
        if request.method != "POST":
            return 405, {"detail": "POST only"}
        try:
            self._obey(json.loads(request.body))
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"detail": f"{type(error).__name__}: {error}"}
        return 200, {"records": len(self.records), "requests": len(self.requests)}

    def _obey(self, order: dict[str, Any]) -> None:
        given = dict(order)
        match given.pop("do"):
            case "serve":
                self.serve(given["capture"] if "capture" in given else given["records"])
            case "add":
                self.add(given["record"])
            case "change":
                self.change(given["username"], **given["fields"])
            case "remove":
                self.remove(given["username"])
            case "misbehave":
                self.misbehave(given.pop("mode"), **given)
            case "behave":
                self.behave()
            case "status":
                pass
            case "shutdown":
                self.stop_asked.set()
            case other:
                raise ValueError(f"cannot do {other!r}")


class _Server(Listener):
    def __init__(self, portal: Portal, port: int, tls: ssl.SSLContext | None) -> None:
        self.portal = portal
        super().__init__(port, _Handler, tls)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: _Server

    def handle_one_request(self) -> None:
        """One request a connection, any method; as the portal, which always closes."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return
        self.close_connection = True
        length = min(int(self.headers.get("Content-Length") or 0), BODY_LIMIT)
        request = Request(self.command, self.path, self.headers, self.client_address[0], self.rfile.read(length))
        if request.where == CONTROL_PATH:
            status, answer = self.server.portal.control(request)
            body = json.dumps(answer).encode()
            response = Response(status, self.responses[status][0], (("Content-Type", "application/json"),))
            self._deliver(response.with_header("Connection", "close").with_body(body))
        else:
            self._deliver(self.server.portal.answer(request))

    def log_message(self, *args: Any) -> None:
        """Say nothing: what was asked is in `requests`."""

    def _deliver(self, response: Response) -> None:
        match response.delivery:
            case "hang":
                self.server.stopping.wait()
                return
            case "reset":
                self._reset()
                return
        self.wfile.write(self._head(response))
        if self.command != "HEAD":
            for piece in self._pieces(response):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if response.chunked else piece)
            if response.chunked:
                self.wfile.write(b"0\r\n\r\n")

    def _head(self, response: Response) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {response.reason}"]
        for name, value in response.headers:
            lines.append(f"{name}: {formatdate(usegmt=True) if name == 'Date' else value}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _pieces(self, response: Response) -> Iterator[bytes]:
        body = response.body
        match response.delivery:
            case "short":
                yield body[: len(body) // 2]
            case "slow":
                size = max(1, -(-len(body) // 50))
                pieces = [body[start : start + size] for start in range(0, len(body), size)]
                for piece in pieces:
                    if self.server.stopping.wait(response.seconds / len(pieces)):
                        return
                    yield piece
            case "endless":
                yield b"["
                block = body * (PIECE // len(body) + 1)
                while not self.server.stopping.is_set():
                    yield block
            case _:
                if body:
                    yield body

    def _reset(self) -> None:
        """Close so that the client gets an RST. The reader holds the socket open: it goes first."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return True  # no /proc here
    return state not in "ZX"  # ended, only nobody has asked for its exit status yet


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A test double of the Libre Workspace portal, on 127.0.0.1.")
    parser.add_argument("--capture", default="04", help="which capture to serve, by number or name")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--lifetime", type=float, default=3600.0, help="seconds, after which it ends by itself")
    parser.add_argument("--parent-pid", type=int, help="end when this process is gone")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), help="serve HTTPS")
    options = parser.parse_args(arguments)

    portal = Portal(options.capture, api_key=options.api_key, port=options.port, tls=options.tls)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: portal.stop_asked.set())
    with portal:
        if options.port_file:
            _write_atomically(options.port_file, f"{portal.port}\n")
        end = time.monotonic() + options.lifetime
        while not portal.stop_asked.wait(0.1) and time.monotonic() < end:
            if options.parent_pid is not None and not _alive(options.parent_pid):
                break
        time.sleep(0.1)  # let the answer to {"do": "shutdown"} out
    return 0


if __name__ == "__main__":
    sys.exit(main())
