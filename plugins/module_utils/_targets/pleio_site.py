# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The /profile_sync_api/ of a Pleio site: requests and answers, and which answers leave it open what happened."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import urlsplit

from .._errors import TargetError
from .._http import Answer, HttpError, HttpSession, TooSlow, check_url, shown_url
from .._pairing import Account
from .._roster.text import shown
from .pleio_values import GUID
from .service import Contested, StepFailed, Unclear

API = "/profile_sync_api"
#: A request that did not get through. 504 is not among them: a page that takes too long once does so again.
_BUSY = (429, 502, 503)
#: Asked twice, these have the effect of once: updates, bans, unbans, deletions, pictures.
_REPEATABLE = (429, 502, 503, 504)
#: A create may have happened in spite of a 502 or 504, not when it was turned away.
_TURNED_AWAY = (429, 503)
SMALLEST_PAGE = 10
#: Users may be made at the same moment by an import; more of them than this in one page is not believed.
LARGEST_PAGE = 1000
#: How often the listing is begun anew because an account vanished while it was read.
_LISTINGS = 3


class _Vanished(Exception):
    """The user who was the cursor is no longer there."""


def api_url(url: str) -> str:
    """The address without its last slash. Raises HttpError or TargetError for one that can't be the API's."""
    check_url(url)
    bare = url.rstrip("/")
    if urlsplit(url).query or urlsplit(url).fragment or not urlsplit(bare).path.endswith(API):
        raise TargetError(
            f"the url {shown_url(url)} is not that of the API: it looks like https://site.pleio.nl/profile_sync_api/"
        )
    return bare


class PleioSite:
    """``url`` as api_url gives it. Reading raises RosterError; what changes something raises StepFailed or Unclear."""

    def __init__(self, session: HttpSession, url: str, page_size: int) -> None:
        self._session = session
        self._url = url
        self._page_size = page_size

    def users(self) -> List[Account]:
        """Every user of the site."""
        for left in reversed(range(_LISTINGS)):
            try:
                return self._listing()
            except _Vanished:
                if left == 0:
                    break
        raise TargetError(
            f"users vanish from {shown_url(self._url)} while they are listed: is something deleting them? Try again"
        )

    def _listing(self) -> List[Account]:
        """Pages that overlap. The cursor drops everybody made at the same moment as the user whom it names, so it
        names one who was made before the last moment of the page: each border is read twice, and must be the same."""
        found: Dict[str, Dict[str, Any]] = {}
        limit, cursor, expected = self._page_size, "", ""
        while True:
            try:
                page = self._page(limit, cursor)
            except TooSlow:
                if limit <= SMALLEST_PAGE:
                    raise
                # Each user costs the site several queries, and a proxy before it waits for a minute.
                limit = max(SMALLEST_PAGE, limit // 2)
                self._page_size = limit
                continue
            if expected and expected not in {record["guid"] for record in page}:
                raise _Vanished
            found.update((record["guid"], record) for record in page)
            if len(page) < limit:
                return [_account(record) for record in found.values()]
            before = [record["guid"] for record in page if record["time_created"] != page[-1]["time_created"]]
            if before:
                cursor, expected, limit = before[-1], page[-1]["guid"], self._page_size
            elif limit >= LARGEST_PAGE:
                raise TargetError(
                    f"{limit} users of the site were made at the same moment: they can't be listed in full"
                )
            else:
                limit = min(LARGEST_PAGE, 2 * limit)

    def _page(self, limit: int, cursor: str) -> List[Dict[str, Any]]:
        parameters = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        answer = self._session.request("GET", f"{self._url}/users", repeat_on=_BUSY, params=parameters)
        if answer.status == 504:
            raise TooSlow(f"GET {answer.url} answers 504: the site takes too long for {limit} users in a page")
        document = _document(answer)
        if answer.status == 404 and cursor and document is not None:
            raise _Vanished
        if answer.status != 200 or document is None:
            raise TargetError(_no_listing(answer, document))
        users = document.get("users")
        if not isinstance(users, list) or len(users) > limit or not all(map(_is_user, users)):
            raise TargetError(
                f"GET {answer.url} answers with something else than a list of users: is this the right url?"
            )
        return users

    def save(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create a user, or update the one whose guid is in the body; the user as it is then."""
        if "guid" in body:
            answer = self._change("POST", "users", _REPEATABLE, json=body)
        else:
            answer = self._change("POST", "users", _TURNED_AWAY, repeat_lost=False, json=body)
        if answer.status == 400 and "guid" not in body and _document(answer) is not None:
            # Somebody has the address or id who was not listed: perhaps this very user, from a request that got lost.
            raise Contested(_refused(answer))
        document = self._checked(answer)
        user: Any = document.get("user")
        if not _is_user(user) or body.get("guid", user["guid"]) != user["guid"]:
            raise Unclear(f"POST {answer.url} answers 200 without the user")
        return dict(user)

    def ban(self, guid: str) -> None:
        self._checked(self._change("POST", f"users/{guid}/ban", _REPEATABLE))

    def unban(self, guid: str) -> None:
        self._checked(self._change("POST", f"users/{guid}/unban", _REPEATABLE))

    def delete(self, guid: str) -> None:
        """One that is deleted already is as it should be."""
        answer = self._change("DELETE", f"users/{guid}", _REPEATABLE)
        if answer.status != 404 or _document(answer) is None:
            self._checked(answer)

    def send_avatar(self, guid: str, content: bytes) -> None:
        self._checked(self._change("POST", f"users/{guid}/avatar", _REPEATABLE, files={"avatar": ("avatar", content)}))

    def log(self, uuid: str, content: str) -> None:
        self._checked(self._change("POST", "logs", _TURNED_AWAY, json={"uuid": uuid, "content": content}))

    def _change(self, method: str, path: str, repeat_on: Any, repeat_lost: bool = True, **content: Any) -> Answer:
        try:
            return self._session.request(
                method, f"{self._url}/{path}", repeat_on=repeat_on, repeat_lost=repeat_lost, **content
            )
        except HttpError as problem:
            raise Unclear(str(problem)) from None

    def _checked(self, answer: Answer) -> Mapping[str, Any]:
        """The document of an answer that says that all went well."""
        document = _document(answer)
        if answer.status == 200 and document is not None:
            return document
        if document is not None and answer.status in (400, 403, 404):
            raise StepFailed(_refused(answer))
        raise Unclear(_unexpected(answer))


def _document(answer: Answer) -> Optional[Dict[str, Any]]:
    """The JSON mapping of an answer; None for the pages that a Pleio site answers with, 200 among them."""
    if answer.content_type != "application/json":
        return None
    try:
        document = json.loads(answer.content.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _is_user(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    guid, profile = record.get("guid"), record.get("profile")
    return (
        isinstance(guid, str)
        and GUID.fullmatch(guid) is not None
        and isinstance(record.get("is_banned"), bool)
        and isinstance(record.get("time_created"), str)
        and isinstance(profile, dict)
        and all(isinstance(value, str) for value in profile.values())
        and all(isinstance(record.get(key, ""), (str, type(None))) for key in ("external_id", "email"))
    )


def _account(record: Mapping[str, Any]) -> Account:
    keys = {key: record[key] for key in ("external_id", "email") if record.get(key)}
    name = record.get("name")
    return Account(
        id=record["guid"],
        label=keys.get("email") or keys.get("external_id") or record["guid"],
        keys=keys,
        active=not record["is_banned"],
        data={"name": name if isinstance(name, str) else "", "profile": record["profile"]},
    )


def _refused(answer: Answer) -> str:
    document = _document(answer) or {}
    reason = document.get("pretty_error") or document.get("error")
    return f"Pleio refused it ({answer.status}): {shown(reason, 200) if reason else 'it does not say why'}"


def _unexpected(answer: Answer) -> str:
    title = f", a page called {answer.html_title!r}," if answer.html_title else ""
    return f"{answer.url} answers {answer.status}{title} instead of JSON"


def _no_listing(answer: Answer, document: Optional[Mapping[str, Any]]) -> str:
    if answer.status == 403 and document is not None:
        return f"{answer.url} does not accept the api_secret: take the token from the site's settings for profile sync"
    if document is not None:
        return f"{answer.url}: {_refused(answer)}"
    return f"{_unexpected(answer)}: look at the url, which ends in {API}/ and names the site's main domain"
