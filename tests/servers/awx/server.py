# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The double over a real socket.

    with AwxServer(Site({"https://git.example.com/roster.git": PLAYBOOKS})) as awx:
        ...                                         # awx.url, awx.site.username, awx.site.password, awx.site.token()
        assert awx.writes == []

It also runs by itself, for people who want to see what a playbook makes:

    python -m tests.servers.awx.server --port-file FILE --scm-url https://git.example.com/roster.git
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.servers.listener import Listener

from .site import PLAYBOOKS, Request, Site


class AwxServer:
    """An AWX on a port of 127.0.0.1, from ``with`` to its end. ``requests``: method and path of each, no bodies."""

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        self.requests: list[tuple[str, str]] = []
        self.failures: list[BaseException] = []
        self.stopping = threading.Event()
        self._guard = threading.Lock()
        self._port = port
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def writes(self) -> list[tuple[str, str]]:
        """What was more than a question, but logins."""
        return [(method, path) for method, path in self.requests if method != "GET" and "/tokens/" not in path]

    def __enter__(self) -> AwxServer:
        self._server = _Server(self._port, _Handler)
        self._server.awx = self
        self._server.failures = self.failures
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self.stopping.set()
        self._server.server_close()

    def take(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        with self._guard:
            self.requests.append((method, parts.path))
            if not parts.path.endswith("/"):
                return 404, {"detail": "Not found."}
            try:
                document = json.loads(body) if body else {}
            except ValueError:
                return 400, {"detail": "JSON parse error"}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            return self.site.answer(Request(method, parts.path, query, document, _login(headers)))


def _login(headers: Mapping[str, str]) -> tuple[str, ...]:
    scheme, _space, value = (headers.get("Authorization") or "").partition(" ")
    if scheme == "Basic":
        name, _colon, password = base64.b64decode(value).decode().partition(":")
        return ("basic", name, password)
    return ("bearer", value) if scheme == "Bearer" else ()


class _Server(Listener):
    awx: AwxServer


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._do
        raise AttributeError(name)

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, document = self.server.awx.take(self.command, self.path, dict(self.headers), body)
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Say nothing: what was asked is in `requests`."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A test double of AWX 24.6.1's API, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path)
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--scm-url", default="https://git.example.com/roster.git", help="where a project finds ours")
    parser.add_argument("--lifetime", type=float, default=3600.0, help="seconds, after which it ends by itself")
    options = parser.parse_args(arguments)
    site = Site({options.scm_url: PLAYBOOKS}, options.username, options.password)
    with AwxServer(site, options.port) as awx:
        if options.port_file:
            temporary = options.port_file.with_suffix(".new")
            temporary.write_text(f"{awx.port}\n", encoding="utf-8")
            temporary.replace(options.port_file)
        awx.stopping.wait(options.lifetime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
