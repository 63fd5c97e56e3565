# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test double of an ftrack workspace's `POST /api`, over a real socket.

    with Workspace() as workspace:
        ...  # workspace.url, workspace.api_user, workspace.api_key
        workspace.rules.seats = 20
        workspace.misbehave("hang_after_commit", skip=2)
        assert workspace.store.user("anna")["is_active"]
        assert len(workspace.calls) == 4

Everybody's key is `api_key`; anybody who is active may use it. Proven by ftrack's own client and by recorded exchanges
(tests/unit/test_ftrack_double.py).
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal

from tests.servers.listener import Listener

from .answers import Calls, Malformed
from .store import Refused, Rules

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "ftrack"
BAD_KEY = (
    "The supplied API key is not valid. API keys are created from Settings under the page API keys. "
    'The api key should be passed in the request header "ftrack-api-key".'
)
#: With strict API only; without it every error comes with status 200.
_STATUS = {"InvalidCredentialsError": 401, "PermissionError": 403, "ParseError": 400}

#: What goes wrong with a call. Those "after_commit" happen when the call was done, all others instead of it; what
#: hangs "before_commit" is done when the next write comes, before that one.
Fault = Literal["hang", "hang_after_commit", "hang_before_commit", "reset", "reset_after_commit", "raw"]


@dataclass(frozen=True)
class Call:
    """One request: its operations and what was answered."""

    operations: Any
    strict: bool
    user: str
    status: int

    @property
    def actions(self) -> list[str]:
        if not isinstance(self.operations, list):
            return []
        return [str(each["action"]) for each in self.operations if isinstance(each, dict) and "action" in each]

    @property
    def writes(self) -> bool:
        return any(not action.startswith("query") for action in self.actions)


@dataclass
class _Trouble:
    fault: Fault
    times: int
    skip: int
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    only_writes: bool


class Workspace(Calls):
    """A workspace on a port of 127.0.0.1 from `with` on, holding what every new one has, and the API's user."""

    def __init__(
        self, rules: Rules | None = None, *, api_user: str = "api.admin", api_key: str = "Key-Canary-7"
    ) -> None:
        super().__init__(json.loads((FIXTURES / "minimal_schemas.json").read_bytes()), rules or Rules())
        self.api_user, self.api_key = api_user, api_key
        self.calls: list[Call] = []
        #: Called with the operations before each call is carried out.
        self.on_call: Callable[[Any], None] = lambda operations: None
        self._trouble: _Trouble | None = None
        self._late: list[tuple[Any, Any, bool]] = []
        self._lock = threading.Lock()
        self._server: _Server | None = None
        for name in ("ftrack", "ldap", "service"):
            self.store.add("UserType", id=f"ut-{name}", name=name)
        for number, name in enumerate(("Administrator", "User"), start=1):
            self.store.add("SecurityRole", id=f"r-{number}", name=name, type="ASSIGNED")
        self.store.add("CustomAttributeConfiguration", id="cac-1", key="ldap_id", entity_type="user", default="",
                       label="LDAP id", is_hierarchical=False, core=False, config="{}")  # fmt: skip
        self.store.add("User", id="u-0", username=api_user, email="admin@example.com", first_name="Api", last_name="X",
                       is_active=True, user_type_id="ut-ftrack")  # fmt: skip

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the workspace is not running")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def failures(self) -> list[BaseException]:
        """Faults of the double itself; a client that went away is none."""
        return self._server.failures if self._server else []

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.writes]

    def __enter__(self) -> Workspace:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop()

    def misbehave(
        self,
        fault: Fault,
        *,
        times: int = 1,
        skip: int = 0,
        status: int = 200,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        only_writes: bool = False,
    ) -> None:
        """So many calls, after the first `skip`, go wrong; of the writing ones, if only those are meant."""
        self._trouble = _Trouble(fault, times, skip, status, body, headers, only_writes)

    def behave(self) -> None:
        self._trouble = None

    def receive(self, headers: Any, body: bytes) -> tuple[Fault | None, int, bytes, tuple[tuple[str, str], ...]]:
        """(how to deliver it, status, body, further headers)."""
        with self._lock:
            try:
                operations = json.loads(body)
            except ValueError:
                operations = None
            strict = headers.get("ftrack-strict-api") == "true"
            call = Call(operations, strict, headers.get("ftrack-user", ""), 0)
            trouble = self._due(call)
            if trouble is not None and not trouble.fault.endswith("_after_commit"):
                self.calls.append(call)
                if trouble.fault == "hang_before_commit":
                    self._late.append((headers, operations, strict))
                return trouble.fault, trouble.status, trouble.body, trouble.headers
            while call.writes and self._late:
                self._carried_out(*self._late.pop(0))
            self.on_call(operations)
            status, answer = self._carried_out(headers, operations, strict)
            self.calls.append(Call(operations, strict, call.user, status))
            return (trouble.fault if trouble else None), status, json.dumps(answer).encode(), ()

    def _due(self, call: Call) -> _Trouble | None:
        trouble = self._trouble
        if trouble is None or trouble.times == 0 or (trouble.only_writes and not call.writes):
            return None
        if trouble.skip:
            trouble.skip -= 1
            return None
        trouble.times -= 1
        return trouble

    def _carried_out(self, headers: Any, operations: Any, strict: bool) -> tuple[int, Any]:
        try:
            self._authenticate(headers)
            return 200, self.answer(operations)
        except Malformed as problem:
            detail = [{"loc": ["body", 0], "msg": str(problem), "type": "value_error.missing"}]
            return 422, {"detail": detail}
        except Refused as problem:
            bad = problem.exception == "InvalidCredentialsError"
            answer = {
                "exception": problem.exception,
                "content": problem.content,
                "error_code": "api_credentials_invalid" if bad else None,
            }
            return (_STATUS.get(problem.exception, 400) if strict else 200), answer

    def _authenticate(self, headers: Any) -> None:
        active = {user["username"] for user in self.store.all("User") if user["is_active"]}
        if headers.get("ftrack-api-key") != self.api_key or headers.get("ftrack-user") not in active:
            raise Refused("InvalidCredentialsError", BAD_KEY)


class _Server(Listener):
    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        super().__init__(0, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/api":
            self._send(404, b'{"detail":"Not Found"}', ())
            return
        fault, status, answer, headers = self.server.workspace.receive(self.headers, body)
        match fault:
            case "hang" | "hang_after_commit" | "hang_before_commit":
                self.server.stopping.wait()
                self.close_connection = True
            case "reset" | "reset_after_commit":
                self._reset()
            case _:
                self._send(status, answer, headers)

    def log_message(self, *args: Any) -> None:
        """Say nothing: what was asked is in `calls`."""

    def _send(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        fields = {"Content-Type": "application/json", **dict(headers), "Content-Length": str(len(body))}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)

    def _reset(self) -> None:
        """Close so that the client gets an RST. The reader holds the socket open: it goes first."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
