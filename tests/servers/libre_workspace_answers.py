# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Libre Workspace portal answers: a request in, a response out, no I/O.

Every answer the real portal was recorded giving is taken from its capture. There is no capture of an unknown path,
of the English refusals other than that of a wrong key, nor of what a proxy in front of the portal says.
"""

from __future__ import annotations

import copy
import json
import secrets
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

Record = dict[str, Any]
Delivery = Literal["whole", "short", "slow", "hang", "reset", "endless"]
Mode = Literal[
    "empty",
    "html_200",
    "redirect_301",
    "forbidden",
    "not_found",
    "directory_down",
    "bad_gateway",
    "unavailable",
    "truncated",
    "short_body",
    "slow",
    "hang",
    "reset",
    "not_a_list",
    "huge",
]

MODES: tuple[Mode, ...] = get_args(Mode)
API_PATH = "/api/linux_users/"
LOGIN_PATH = "/login/"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")

# These come from what stands in front of the API and happen to every request. The other modes replace a good answer:
# a request that would be refused anyway still is, and does not use up `times`.
_IN_FRONT: frozenset[Mode] = frozenset(
    ("html_200", "redirect_301", "not_found", "bad_gateway", "unavailable", "hang", "reset")
)
_DELIVERY: dict[Mode, Delivery] = {"short_body": "short", "slow": "slow", "hang": "hang", "reset": "reset"}
_CASES: dict[Mode, str] = {"empty": "ldap_disabled", "forbidden": "wrong_key", "directory_down": "samba_down"}
_ENGLISH = {
    "accept_html": "Could not satisfy the request Accept header.",
    "format_query": "Not found.",
    "nonstaff_key_without_linux_client": "You do not have permission to perform this action.",
    "post_method": 'Method "POST" not allowed.',
}
_PAGE = '<!doctype html>\n<html lang="en"><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n'


@dataclass(frozen=True)
class Request:
    """What a client asked; header names compare without case, `path` is as sent, query included."""

    method: str
    path: str
    headers: Message
    client: str = "127.0.0.1"
    body: bytes = b""

    @property
    def where(self) -> str:
        return self.path.partition("?")[0]

    @property
    def query(self) -> str:
        return self.path.partition("?")[2]


@dataclass(frozen=True)
class Response:
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    delivery: Delivery = "whole"
    seconds: float = 0.0

    @classmethod
    def parse(cls, capture: bytes) -> Response:
        """Read a recorded answer.

        The HTML bodies were shortened when they were recorded, the headers were not: such a body is filled with spaces
        up to its Content-Length, or else no client could read it.
        """
        head, _unused, body = capture.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        _version, status, reason = status_line.split(" ", 2)
        pairs = [line.partition(": ") for line in lines]
        response = cls(int(status), reason, tuple((name, value) for name, _unused, value in pairs), body)
        return replace(response, body=body.ljust(int(response.header("Content-Length") or 0)))

    @property
    def chunked(self) -> bool:
        return self.header("Transfer-Encoding") == "chunked"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def with_header(self, name: str, value: str, instead_of: str = "") -> Response:
        """Set a header where it (or `instead_of`) stands, at the end if it does not."""
        place = instead_of or name
        headers = tuple((name, value) if key == place else (key, old) for key, old in self.headers)
        if self.header(place) is None:
            headers += ((name, value),)
        return replace(self, headers=headers)

    def with_body(self, body: bytes) -> Response:
        response = replace(self, body=body)
        return response if self.chunked else response.with_header("Content-Length", str(len(body)))


@dataclass(frozen=True)
class Captures:
    """What was recorded: lists of people by capture name, and refusals by case name."""

    rosters: Mapping[str, bytes]
    refusals: Mapping[str, Response]

    def records(self, name: str) -> list[Record]:
        """The records of one capture, named in full or by its number."""
        wanted = name.removesuffix(".json")
        found = [key for key in self.rosters if key == wanted or key.startswith(wanted + "_")]
        if len(found) != 1:
            raise KeyError(f"no capture {name!r}, there are: {', '.join(sorted(self.rosters))}")
        records: list[Record] = json.loads(self.rosters[found[0]])
        return records


@dataclass
class Fault:
    mode: Mode
    times: int | None
    seconds: float
    retry_after: str
    location: str


def to_json(records: Sequence[Record]) -> bytes:
    """Records as the portal writes them: for an unchanged capture, the bytes of the capture."""
    return json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode()


class Behaviour:
    """The portal's state and its answers. `requests` is everything that was asked of it, in order."""

    def __init__(
        self,
        captures: Captures,
        capture: str | Sequence[Record] = "04",
        *,
        api_key: str = "",
        hosts: Collection[str] = LOOPBACK_NAMES,
    ) -> None:
        self.api_key = api_key or secrets.token_hex(16)
        self.expired_key = secrets.token_hex(16)  # answered as a wrong key is
        self.unprivileged_key = secrets.token_hex(16)  # a good key without the Linux-client permission
        self.hosts = {host.lower() for host in hosts}
        self.requests: list[Request] = []
        self._captures = captures
        self._records: list[Record] = []
        self._fault: Fault | None = None
        self._lock = threading.RLock()
        self.serve(capture)

    # What is served

    @property
    def records(self) -> list[Record]:
        with self._lock:
            return copy.deepcopy(self._records)

    def serve(self, what: str | Sequence[Record]) -> None:
        """Serve a capture ("04") or any list of records, right or wrong ones."""
        records = self._captures.records(what) if isinstance(what, str) else copy.deepcopy(list(what))
        with self._lock:
            self._records = records

    def record(self, username: str) -> Record:
        """A copy of what is served about one person."""
        with self._lock:
            return copy.deepcopy(self._find(username))

    def change(self, username: str, /, **fields: Any) -> Record:
        """Change fields of one record; a field it does not have is a mistake of the test."""
        with self._lock:
            record = self._find(username)
            if unknown := sorted(fields.keys() - record.keys()):
                raise KeyError(f"a record has no {', '.join(unknown)}, only {', '.join(record)}")
            record.update(copy.deepcopy(fields))
            return copy.deepcopy(record)

    def remove(self, username: str) -> Record:
        with self._lock:
            record = self._find(username)
            self._records.remove(record)
            return record

    def add(self, record: Record) -> None:
        with self._lock:
            self._records.append(copy.deepcopy(record))

    def _find(self, username: str) -> Record:
        for record in self._records:
            if record.get("username") == username:
                return record
        raise KeyError(f"nobody called {username!r} is served")

    # How it fails

    def misbehave(
        self,
        mode: Mode,
        times: int | None = None,
        *,
        seconds: float = 5.0,
        retry_after: int | str = 1,
        location: str = f"{LOGIN_PATH}?next={API_PATH}",
    ) -> None:
        """Fail like this from now on, or `times` times. `seconds` is how long `slow` takes over its body."""
        if mode not in MODES:
            raise ValueError(f"no mode {mode!r}, there are: {', '.join(MODES)}")
        if times is not None and times < 1:
            raise ValueError("times is 1 or more, or None for always")
        with self._lock:
            self._fault = Fault(mode, times, seconds, str(retry_after), location)

    def behave(self) -> None:
        with self._lock:
            self._fault = None

    def _take_fault(self) -> Fault | None:
        """The fault this request meets, counted."""
        fault = self._fault
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self._fault = None
        return fault

    # What it answers

    def answer(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            if request.where == LOGIN_PATH:
                return self._page(200, "OK", "Anmelden", request)
            if self._fault is not None and self._fault.mode in _IN_FRONT:
                return self._failing(self._good(request), request)
            response = self._regular(request)
            return self._failing(response, request) if response.status == 200 else response

    def _regular(self, request: Request) -> Response:
        """The portal's own order: host, path, what can be rendered, key, permission, method."""
        if self._host(request) not in self.hosts:
            return self._recorded("bad_host", request)
        if request.where == API_PATH.rstrip("/"):
            location = f"{API_PATH}?{request.query}" if request.query else API_PATH
            return self._recorded("no_trailing_slash", request).with_header("Location", location)
        if request.where != API_PATH:
            return self._page(404, "Not Found", "Not Found", request)
        if "format" in parse_qs(request.query, keep_blank_values=True):
            return self._recorded("format_query", request)
        if not _accepts_json(request.headers):
            return self._recorded("accept_html", request)
        key = request.headers.get("Api-key", "")
        if key == self.unprivileged_key:
            return self._recorded("nonstaff_key_without_linux_client", request)
        if key != self.api_key:
            return self._recorded("wrong_key", request)
        if request.method not in ("GET", "HEAD"):
            response = self._recorded("post_method", request)
            return response.with_body(response.body.replace(b"POST", request.method.encode()))
        return self._good(request)

    def _failing(self, good: Response, request: Request) -> Response:
        """The good answer, or what the fault of the moment makes of it."""
        fault = self._take_fault()
        if fault is None:
            return good
        match fault.mode:
            case "bad_gateway":
                return _from_proxy(502, "Bad Gateway")
            case "unavailable":
                return _from_proxy(503, "Service Unavailable").with_header("Retry-After", fault.retry_after)
            case "html_200":
                return self._page(200, "OK", "Anmelden", request)
            case "not_found":
                return self._page(404, "Not Found", "Not Found", request)
            case "redirect_301":
                return self._recorded("no_trailing_slash", request).with_header("Location", fault.location)
            case "empty" | "forbidden" | "directory_down":
                return self._recorded(_CASES[fault.mode], request)
            case "truncated" | "not_a_list" | "huge":
                return self._spoilt(fault.mode, good)
            case mode:
                return replace(good, delivery=_DELIVERY[mode], seconds=fault.seconds)

    def _spoilt(self, mode: Mode, good: Response) -> Response:
        if mode == "truncated":
            return good.with_body(good.body[: len(good.body) // 2])
        if mode == "not_a_list":
            return good.with_body(b'{"count":%d,"next":null,"results":%b}' % (len(self._records), good.body))
        endless = good.with_header("Transfer-Encoding", "chunked", instead_of="Content-Length")
        return replace(endless, body=(good.body[1:-1] or b"{}") + b",", delivery="endless")

    def _good(self, request: Request) -> Response:
        """The recorded 200 is that of an empty list; its headers are those of any list."""
        return self._recorded("ldap_disabled", request).with_body(to_json(self._records))

    def _recorded(self, case: str, request: Request) -> Response:
        response = self._captures.refusals[case]
        if _language(request.headers) == "de":
            return response.with_header("Content-Language", "de")
        if case in _ENGLISH:
            response = response.with_body(json.dumps({"detail": _ENGLISH[case]}, separators=(",", ":")).encode())
        return response.with_header("Content-Language", "en")

    def _page(self, status: int, reason: str, title: str, request: Request) -> Response:
        """An HTML page there is no capture of, with the headers of the recorded error page."""
        page = replace(self._recorded("samba_down", request), status=status, reason=reason)
        return page.with_header("Vary", "Accept-Language").with_body(_PAGE.format(title).encode())

    @staticmethod
    def _host(request: Request) -> str:
        try:
            return urlsplit("//" + request.headers.get("Host", "")).hostname or ""
        except ValueError:
            return ""


def _from_proxy(status: int, reason: str) -> Response:
    headers = (("Server", "Caddy"), ("Date", ""), ("Connection", "close"), ("Content-Length", "0"))
    return Response(status, reason, headers)


def _accepts_json(headers: Message) -> bool:
    accept = ",".join(headers.get_all("Accept", [])) or "*/*"
    ranges = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return not ranges.isdisjoint(("application/json", "application/*", "*/*"))


def _language(headers: Message) -> str:
    """German unless English is wanted more; the portal was recorded in no other language."""
    wanted: list[tuple[float, str]] = []
    for part in headers.get("Accept-Language", "").split(","):
        tag, _unused, quality = part.partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    known = [tag for _unused, tag in sorted(wanted, key=lambda pair: pair[0]) if tag in ("de", "en")]
    return known[0] if known else "de"
