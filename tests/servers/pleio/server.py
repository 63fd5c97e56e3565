# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The double over a real socket, and what can go wrong between a client and it.

    with PleioServer() as pleio:
        pleio.site.add("Anna", "anna@acme.test")
        pleio.misbehave("error", times=1, method="POST", after=True)   # the effect happens, the answer is a 500
        ...                                                            # pleio.url, pleio.site.token
        assert pleio.counts() == {"GET users": 1, "POST users": 1}

It also runs by itself, for clients that shall not share a process with it:

    python -m tests.servers.pleio.server --port-file FILE --token TOKEN --users 1000 --latency 0.05
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.servers.listener import Listener

from .site import API, HTML, Answer, Site, page

#: Modes of misbehave(): an answer of ``status`` (error), a page with status 200 (html), 429 or 503 with Retry-After
#: (busy), a redirect, a closed connection (drop), no answer (hang).
MODES = ("error", "html", "busy", "redirect", "drop", "hang")


@dataclass
class Fault:
    """``after``: the request has its effect first. ``where`` is matched against the path below the API."""

    mode: str
    times: int
    method: str
    where: str
    after: bool
    status: int
    retry_after: str


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """Such as "POST users", "POST ban", "DELETE users"."""
        parts = self.path.partition("?")[0].removeprefix(API).strip("/").split("/")
        return f"{self.method} {parts[2] if len(parts) > 2 else parts[0]}"


class PleioServer:
    """Subsites by host name on one port of 127.0.0.1, from ``with`` to its end."""

    def __init__(
        self,
        site: Site | None = None,
        *,
        sites: Mapping[str, Site] | None = None,
        secondary: Mapping[str, Site] | None = None,
        latency: float = 0.0,
        port: int = 0,
    ) -> None:
        self.site = site or Site()
        self.sites = dict(sites or {"127.0.0.1": self.site, "localhost": self.site})
        self.secondary = dict(secondary or {})
        self.latency = latency
        self.requests: list[Request] = []
        self.most_at_once = 0
        #: Called with the number of each request before it is answered, such as to kill a client there.
        self.observer: Callable[[int], None] = lambda number: None
        self.stopping = threading.Event()
        self.failures: list[BaseException] = []
        self._faults: list[Fault] = []
        self._at_once = 0
        self._guard = threading.Lock()
        self._port = port
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{API}/"

    def __enter__(self) -> PleioServer:
        self._server = _Server(self._port, _Handler)
        self._server.pleio = self
        self._server.failures = self.failures
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self.stopping.set()
        self._server.server_close()

    def misbehave(
        self,
        mode: str,
        *,
        times: int = 10**9,
        method: str = "",
        where: str = "",
        after: bool = False,
        status: int = 500,
        retry_after: str = "",
    ) -> None:
        if mode not in MODES:
            raise ValueError(mode)
        self._faults.append(Fault(mode, times, method, where, after, status, retry_after))

    def behave(self) -> None:
        self._faults.clear()

    def counts(self) -> dict[str, int]:
        return dict(Counter(request.kind for request in self.requests))

    def forget(self) -> None:
        self.requests.clear()
        self.most_at_once = 0

    def take(self, request: Request) -> Answer | None:
        """The answer; None when the connection is to be closed without one."""
        with self._guard:
            self.requests.append(request)
            number = len(self.requests)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.observer(number)
            if self.latency:
                time.sleep(self.latency)
            return self._answer(request)
        finally:
            with self._guard:
                self._at_once -= 1

    def _answer(self, request: Request) -> Answer | None:
        host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
        site = self.sites.get(host) or self.secondary.get(host)
        fault = self._fault(request)
        if fault is not None and not fault.after:
            return self._failed(fault)
        if site is None:
            return page(404, "Not found")
        answer = site.answer(request.method, request.path, request.headers, request.body)
        if host in self.secondary:
            # The middleware looks at the answer: all has happened by then.
            return Answer(301, HTML, b"", {"Location": f"https://primary.example{request.path}"})
        return self._failed(fault) if fault is not None else answer

    def _fault(self, request: Request) -> Fault | None:
        path = request.path.partition("?")[0].removeprefix(API)
        with self._guard:
            for fault in self._faults:
                if fault.times and fault.method in ("", request.method) and re.search(fault.where, path):
                    fault.times -= 1
                    return fault
        return None

    def _failed(self, fault: Fault) -> Answer | None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        match fault.mode:
            case "error":
                return Answer(fault.status, HTML, b"<title>Server error</title>", headers)
            case "busy":
                return Answer(fault.status if fault.status in (429, 503) else 503, HTML, b"", headers)
            case "html":
                return page(200, "Welcome")
            case "redirect":
                return Answer(301, HTML, b"", {"Location": "https://primary.example/"})
            case "hang":
                self.stopping.wait()
        return None


class _Server(Listener):
    pleio: PleioServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._do
        raise AttributeError(name)

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.pleio.take(Request(self.command, self.path, body, dict(self.headers)))
        if answer is None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.rfile.close()
            self.connection.close()
            return
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        content = b"" if self.command == "HEAD" else answer.body
        with contextlib.suppress(ConnectionError):
            self.wfile.write("\r\n".join(lines).encode() + content)

    def log_message(self, *args: Any) -> None:
        """Say nothing: what was asked is in `requests`."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A test double of Pleio's profile sync API, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path)
    parser.add_argument("--token", default="secret")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--users", type=int, default=0, help="how many users there are at first")
    parser.add_argument("--lifetime", type=float, default=3600.0, help="seconds, after which it ends by itself")
    options = parser.parse_args(arguments)
    site = Site(options.token)
    for number in range(options.users):
        site.add(f"User {number}", f"u{number}@acme.test", f"e-{number}")
    with PleioServer(site, latency=options.latency, port=options.port) as pleio:
        if options.port_file:
            temporary = options.port_file.with_suffix(".new")
            temporary.write_text(f"{pleio.port}\n", encoding="utf-8")
            temporary.replace(options.port_file)
        pleio.stopping.wait(options.lifetime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
