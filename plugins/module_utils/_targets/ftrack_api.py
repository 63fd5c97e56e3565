# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ftrack's API: lists of operations in one POST, lists of answers in the same order.

An error is one object instead of a list, with any status: the body decides before the status does. One call is
described as a transaction; what is left of a call that failed is looked up all the same, never assumed.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence

from .._errors import TargetError
from .._http import Answer, HttpError, HttpSession, HttpSettings, shown_url
from .._roster.text import shown

#: As many as ftrack's own client asks for at a time.
PAGE = 500
#: After these statuses a query may be asked again; a write only where nothing of it was looked at.
_QUERY_AGAIN = (429, 502, 503, 504)
_WRITE_AGAIN = (429,)

Entity = Mapping[str, Any]
Operation = Dict[str, Any]


class Refused(TargetError):
    """ftrack's own "no". ``exception`` is its name of the error, ``words`` what it says."""

    def __init__(self, exception: str, words: str, message: str) -> None:
        super().__init__(message)
        self.exception = exception
        self.words = words

    @property
    def concerns_everybody(self) -> bool:
        """Whether it is about who asks, not about what is asked for."""
        return self.exception in ("PermissionError", "InvalidCredentialsError")


class FtrackApi:
    """``read_only`` lets nothing but queries through. Methods raise HttpError when nobody knows what was done."""

    def __init__(self, server_url: str, api_user: str, api_key: str, settings: HttpSettings, read_only: bool) -> None:
        for name, value in (("api_user", api_user), ("api_key", api_key)):
            if not value or not value.isascii() or not value.isprintable() or value != value.strip():
                raise TargetError(f"{name} is missing, or holds what no {name} does: printable ASCII characters only")
        self.url = server_url.rstrip("/") + "/api"
        self.requests = 0
        self._api_key = api_key
        self._read_only = read_only
        self._session = HttpSession(
            settings,
            {
                "Accept": "application/json",
                "ftrack-user": api_user,
                "ftrack-api-key": api_key,
                "ftrack-strict-api": "true",
            },
        )

    def close(self) -> None:
        self._session.close()

    def select(self, selections: Mapping[str, str]) -> Dict[str, List[Entity]]:
        """All that several expressions find, each of them complete, page by page together: name to entities.

        An expression ends in its order, and finds no type that another one finds: ftrack describes an entity once in
        an answer and only names it after that.
        """
        found: Dict[str, Dict[str, Entity]] = {name: {} for name in selections}
        offsets = dict.fromkeys(selections, 0)
        while offsets:
            names = list(offsets)
            answers = self.call(
                [
                    {"action": "query", "expression": f"{selections[name]} offset {offsets[name]} limit {PAGE}"}
                    for name in names
                ]
            )
            for name, answer in zip(names, answers):
                data = self._entities(answer)
                for entity in data:
                    # Whoever was created meanwhile moves others to the next page, where they come again.
                    found[name].setdefault(_identity(entity), entity)
                following = _following(answer, offsets[name], len(data))
                if following is None:
                    del offsets[name]
                elif following <= offsets[name]:
                    raise TargetError(
                        f"{shown_url(self.url)} does not come to an end with its {name}: nothing was changed"
                    )
                else:
                    offsets[name] = following
        return {name: list(entities.values()) for name, entities in found.items()}

    def existing(self, entity_type: str, identities: Sequence[str]) -> List[str]:
        """Which of these ids are there. The ids are UUIDs, so nothing in them needs an escape."""
        quoted = ", ".join(f'"{identity}"' for identity in identities)
        selection = f"select id from {entity_type} where id in ({quoted}) order by id asc"  # noqa: S608
        return [str(entity["id"]) for entity in self.select({entity_type: selection})[entity_type]]

    def call(self, operations: Sequence[Operation]) -> List[Any]:
        """Raises Refused when ftrack says no, HttpError when there is no answer that can be understood."""
        reading = all(operation["action"] == "query" for operation in operations)
        if self._read_only and not reading:
            raise HttpError(f"POST {shown_url(self.url)} was not sent: this run only reads")
        self.requests += 1
        answer = self._session.request(
            "POST",
            self.url,
            repeat_on=_QUERY_AGAIN if reading else _WRITE_AGAIN,
            repeat_lost=reading,
            json=list(operations),
        )
        body = self._decoded(answer)
        if isinstance(body, dict):
            self._refuse(answer, body)
        if not isinstance(body, list) or len(body) != len(operations) or answer.status != 200:
            self._misunderstood(answer, "is no list of as many answers as there were operations")
        return body

    def _decoded(self, answer: Answer) -> Any:
        try:
            return json.loads(answer.content.decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError):
            title = answer.html_title
            page = f"is the page {title!r}" if title else "is no JSON"
            self._misunderstood(answer, f"{page}. Is server_url right, and does no proxy stand between?")

    def _misunderstood(self, answer: Answer, what: str) -> NoReturn:
        raise HttpError(f"POST {answer.url} answers with status {answer.status}, and the answer {what}")

    def _refuse(self, answer: Answer, body: Mapping[str, Any]) -> None:
        if "exception" in body:
            exception, words = str(body["exception"]), self._printable(body.get("content"))
        elif "detail" in body and answer.status == 422:
            exception, words = "ValidationError", self._printable(body["detail"])
        else:
            self._misunderstood(answer, f"says {self._printable(body.get('message'))}")
        message = f"ftrack refuses: {words} ({shown(exception)})"
        if body.get("error_code") == "api_credentials_invalid":
            exception = "InvalidCredentialsError"
            message += ". Look at api_user and api_key, and whether that user is active"
        elif exception == "PermissionError":
            message += ". Give the user of the API the permission to manage users"
        raise Refused(exception, words, message)

    def _printable(self, words: Any) -> str:
        """What the server says, fit to be shown: one line, and our key never in it."""
        text = words if isinstance(words, str) else json.dumps(words)
        text = text.replace(self._api_key, "(the API key)")
        return shown(" ".join(text.split()), 300)

    def _entities(self, answer: Any) -> List[Entity]:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(isinstance(entity, dict) for entity in data):
            raise TargetError(
                f"{shown_url(self.url)} answers a query without a list of what it found: nothing was changed"
            )
        return data


def _identity(entity: Entity) -> str:
    keys = [entity[name] for name in ("id", "configuration_id", "entity_id") if name in entity]
    if "__entity_type__" not in entity or not keys or not all(isinstance(key, str) and key for key in keys):
        raise TargetError("ftrack describes something without its type or its id: nothing was changed")
    return "/".join(keys)


def _following(answer: Mapping[str, Any], offset: int, count: int) -> Optional[int]:
    """Where the next page begins, None after the last. An answer that does not say so is asked on until it is empty."""
    if count == 0:
        return None
    metadata = answer.get("metadata")
    following = metadata.get("next") if isinstance(metadata, dict) else None
    if not isinstance(following, dict) or "offset" not in following:
        return offset + count
    value = following["offset"]
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        # Taken for the end, it would cut the listing short.
        raise TargetError("ftrack says in no number where its next page begins: nothing was changed")
    return value
