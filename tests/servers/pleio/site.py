# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One subsite and the rules of its API, oddities included. No network: requests in, answers out."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

API = "/profile_sync_api"
HTML = "text/html; charset=utf-8"
DELETED_NAME = "Verwijderde gebruiker"
BODY_LIMIT = 2_621_440
#: What the recorded proxy let through before the view had answered.
SLOWEST_PAGE = 2600
FIELDS = ("occupation", "department", "birthday", "skills", "about")
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ROUTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("users", ("GET", "POST")),
    ("logs", ("POST",)),
    (f"users/({_UUID})", ("DELETE",)),
    (f"users/({_UUID})/(ban|unban|avatar)", ("POST",)),
)


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class User:
    guid: str
    name: str
    email: str
    external_id: str | None
    created: datetime
    updated: datetime
    banned: bool = False
    profile: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    avatars: list[bytes] = field(default_factory=list)
    mails: int = 0
    superadmin: bool = False

    @property
    def listed(self) -> bool:
        return not (self.banned and self.name == DELETED_NAME)


class _ServerError(Exception):
    """What Django answers 500 to."""


def page(status: int, title: str = "", content_type: str = HTML) -> Answer:
    body = f"<!DOCTYPE html><html><head><title>{title}</title></head><body></body></html>" if title else ""
    return Answer(status, content_type, body.encode())


def document(status: int, **content: Any) -> Answer:
    return Answer(status, "application/json", json.dumps({"status": status, **content}).encode())


def error(status: int, name: str, text: str, **more: Any) -> Answer:
    return document(status, error=name, pretty_error=text, **more)


_NOT_FOUND = ("not_found", "Could not find user with this guid.")


class Site:
    """A subsite. ``token`` None: it has none. Everything that happened is open: users, deleted, logs."""

    def __init__(self, token: str | None = "secret", *, fields: tuple[str, ...] = FIELDS) -> None:
        self.token = token
        self.fields = fields
        self.users: dict[str, User] = {}
        self.deleted: dict[str, User] = {}
        self.logs: list[tuple[str, str]] = []
        self.groups: set[str] = set()
        self.auto_groups: set[str] = set()
        #: Where creates wait for each other between looking for duplicates and writing.
        self.race: threading.Barrier | None = None
        self.new_guid: Callable[[], str] = lambda: str(uuid.uuid4())
        self.guard = threading.RLock()
        self._last = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._last = max(self._last + timedelta(microseconds=1), datetime.now(UTC))
        return self._last

    def add(self, name: str, email: str, external_id: str | None = None, **more: Any) -> User:
        """A user made in another way than by the API."""
        with self.guard:
            now = self.now()
            user = User(self.new_guid(), name, email, external_id, now, now, **more)
            self.users[user.guid] = user
            return user

    def by_email(self, email: str) -> User:
        (found,) = [user for user in self.users.values() if user.email.lower() == email.lower()]
        return found

    def listed(self) -> list[User]:
        return sorted((user for user in self.users.values() if user.listed), key=lambda user: user.created)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        for pattern, methods in _ROUTES:
            found = re.fullmatch(f"{API}/{pattern}", parts.path)
            if found is None:
                continue
            if self.token is None or headers.get("Authorization") != f"Bearer {self.token}":
                return error(403, "invalid_bearer_token", "You did not supply a valid bearer token.")
            if method not in methods:
                return page(405)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            try:
                return self._view(method, pattern, found.groups(), query, headers, body)
            except (_ServerError, KeyError, TypeError, AttributeError, ValueError):
                return Answer(500, HTML, b"Server error")
        if method in ("GET", "HEAD"):
            return page(401, "Closed") if parts.path == API else page(200, "Pleio")
        return page(403, "CSRF", "text/html")

    def _view(
        self,
        method: str,
        pattern: str,
        found: tuple[str, ...],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        if pattern == "logs":
            return self._log(body)
        if pattern == "users":
            return self._list(query) if method == "GET" else self._save(body)
        with self.guard:
            user = self.users.get(found[0])
            if user is None or not user.listed:
                return error(404, *_NOT_FOUND)
            if method == "DELETE":
                self.deleted[user.guid] = self.users.pop(user.guid)
                return document(200)
            if found[1] == "avatar":
                content = uploaded(headers, body)
                if content is None:
                    return error(404, "not_saved", "Could not save avatar for user with this guid.")
                user.avatars.append(content)
            else:
                user.banned = found[1] == "ban"
                user.updated = self.now()
            return document(200, user=self.shown(user))

    def _list(self, query: Mapping[str, str]) -> Answer:
        limit = int(query.get("limit") or 100)
        if not 0 <= limit < 2**63:
            raise _ServerError
        users = self.listed()
        if query.get("cursor"):
            try:
                cursor = self.users[str(uuid.UUID(query["cursor"]))]
            except (KeyError, ValueError):
                return error(404, *_NOT_FOUND)
            users = [user for user in users if user.created > cursor.created]
        if min(limit, len(users)) > SLOWEST_PAGE:
            return page(504, "504 Gateway Time-out", "text/html")
        return Answer(
            200, "application/json", json.dumps({"users": [self.shown(user) for user in users[:limit]]}).encode()
        )

    def shown(self, user: User, name: Any = None) -> dict[str, Any]:
        return {
            "guid": user.guid,
            "external_id": user.external_id,
            "name": user.name if name is None else name,
            "email": user.email,
            "is_member": True,
            "is_banned": user.banned,
            "time_created": user.created.isoformat(),
            "time_updated": user.updated.isoformat(),
            "icontime": None,
            "profile": {key: user.profile.get(key, "") for key in self.fields},
        }

    def _log(self, body: bytes) -> Answer:
        if len(body) > BODY_LIMIT:
            return page(502, "502 Bad Gateway", "text/html")
        data = json.loads(body)
        if "uuid" not in data:
            return error(400, "could_not_create", "Could not create the log entry, uuid is missing.")
        if "content" not in data:
            return error(400, "could_not_create", "Invalid data")
        if len(data["uuid"]) > 36 or data["content"] is None or "\0" in str(data["content"]):
            raise _ServerError
        self.logs.append((data["uuid"], str(data["content"])))
        return document(200, log={"uuid": data["uuid"]})

    def _save(self, body: bytes) -> Answer:
        if len(body) > BODY_LIMIT:
            return page(400, "Bad Request (400)", "text/html")
        data = json.loads(body)
        return self._update(data) if "guid" in data else self._create(data)

    def _same(self, key: str, value: str | None) -> list[User]:
        """What ``iexact`` finds: for None, those that have none."""
        found = []
        for user in self.users.values():
            has = getattr(user, key)
            same = has is None if value is None else has is not None and has.upper() == value.upper()
            if same and user.listed:
                found.append(user)
        return found

    def _create(self, data: Any) -> Answer:
        name, email = data["name"], data["email"].strip()
        external_id = data.get("external_id") or None
        external_id = external_id.strip() if external_id is not None else None
        with self.guard:
            if self._same("email", email):
                return error(400, "could_not_create", "This e-mail is already taken by another user.")
            if self._same("external_id", external_id):
                return error(400, "could_not_create", "This external_id is already taken by another user.")
        if self.race:
            self.race.wait(timeout=30)
        with self.guard:
            _check_columns(name, email, external_id)
            if any(user.email == email for user in self.users.values()):
                raise _ServerError  # the unique index, which sees those who count as deleted too
            now = self.now()
            user = User(self.new_guid(), str(name), email, external_id, now, self.now())
            user.groups |= self.auto_groups
            self.users[user.guid] = user
            self._details(user, data, new=True)
            return document(200, user=self.shown(user, name))

    def _update(self, data: Any) -> Answer:
        with self.guard:
            user = self.users[str(uuid.UUID(data["guid"]))]
            name, email = data["name"], data["email"].strip()
            external_id = (data.get("external_id") or "").strip() or user.external_id
            _check_columns(name, email, external_id)
            changes: dict[str, Any] = {}
            for key, value in (("email", email), ("external_id", external_id)):
                others = self._same(key, value) if value is not None else []
                if not others:
                    changes[key] = value
                elif others != [user] and len(others) == 1:
                    text = f"Could not change the {key} to another {key} as the id is already taken."
                    return error(400, "could_not_update", text, user={})
            user.name, user.banned, user.updated = str(name), False, self.now()
            for key, value in changes.items():
                setattr(user, key, value)
            self._details(user, data, new=False)
            return document(200, user=self.shown(user, name))

    def _details(self, user: User, data: Any, *, new: bool) -> None:
        if data.get("groups"):
            joined = {guid for guid in data["groups"].split(",") if guid in self.groups}
            user.mails += len(joined - user.groups)
            user.groups |= joined
        for key, value in (data.get("profile") or {}).items():
            if key in self.fields and "\0" not in str(value) and (new or value is not None):
                user.profile[key] = "" if value is None else str(value)


def _check_columns(name: Any, email: str, external_id: str | None) -> None:
    if name is None or len(str(name)) > 100 or len(email) > 255 or len(external_id or "") > 200:
        raise _ServerError
    if any("\0" in text for text in (str(name), email, external_id or "")):
        raise _ServerError


def uploaded(headers: Mapping[str, str], body: bytes) -> bytes | None:
    """The file in a multipart form's field ``avatar``."""
    content_type = headers.get("Content-Type", "")
    if "boundary=" not in content_type:
        return None
    form: Message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in form.get_payload() if form.is_multipart() else []:
        assert isinstance(part, Message)
        if part.get_param("name", header="content-disposition") == "avatar" and part.get_filename():
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else None
    return None
