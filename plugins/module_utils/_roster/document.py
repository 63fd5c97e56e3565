# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roster as a file: canonical JSON. Equal rosters are equal bytes and have one SHA-256 digest.

The time of the fetch is therefore not in the file: it is in the fetch's result and the file's own time stamp.
The format is described by docs/roster.schema.json.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from .._errors import DocumentError
from .model import Group, Rejected, Roster, User
from .text import text_problem
from .validation import GROUP_FIELDS, USER_FIELDS, build_from_records

FORMAT = "identity.roster/1"
_KEYS = {"format", "source", "users", "groups", "rejected"}
_REJECTED_KEYS = {"kind", "id", "name", "record", "field", "reason"}


def _user_document(user: User) -> Dict[str, Any]:
    document: Dict[str, Any] = {}
    for key in USER_FIELDS:
        value = getattr(user, key)
        if value is None:
            continue
        if key == "avatar":
            value = {"path": value.path, "sha256": value.sha256}
        elif key == "profile":
            value = dict(value)
        elif isinstance(value, tuple):
            value = list(value)
        document[key] = value
    return document


def _group_document(group: Group) -> Dict[str, Any]:
    return {key: getattr(group, key) for key in GROUP_FIELDS if getattr(group, key) is not None}


def to_document(roster: Roster) -> Dict[str, Any]:
    """The roster as plain JSON values."""
    return {
        "format": FORMAT,
        "source": dict(roster.source),
        "users": [_user_document(user) for user in roster.users],
        "groups": [_group_document(group) for group in roster.groups],
        "rejected": [entry.as_dict() for entry in roster.rejected],
    }


def canonical(document: Any) -> bytes:
    """JSON with sorted keys, no needless spaces, UTF-8, one line."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8") + b"\n"


def serialise(roster: Roster) -> bytes:
    return canonical(to_document(roster))


def digest(content: bytes) -> str:
    """The SHA-256 of a roster file, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _unique_keys(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise DocumentError("the roster has a key twice in one mapping")
    return document


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not text_problem(value)


def _read_rejected(entries: Any) -> List[Rejected]:
    if not isinstance(entries, list):
        raise DocumentError("the roster's rejected is not a list")
    refused = []
    for position, entry in enumerate(entries, start=1):
        # Losing one of these would make a rejected person look departed, so nothing is forgiven here.
        if (
            not isinstance(entry, dict)
            or not {"kind", "field", "reason"} <= set(entry) <= _REJECTED_KEYS
            or not all(_is_text(value) for value in entry.values())
            or entry["kind"] not in ("user", "group")
        ):
            raise DocumentError(f"the roster's rejected entry {position} is not one: fetch the roster again")
        refused.append(Rejected(**entry))
    return refused


def parse(content: bytes) -> Roster:
    """A roster file's content, validated anew.

    Raises DocumentError when it is not a complete roster; a bad record alone is rejected.
    """
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise DocumentError(f"the roster is not complete JSON: {problem}") from None
    if not isinstance(document, dict):
        raise DocumentError("the roster is not a JSON mapping")
    if document.get("format") != FORMAT:
        found = document.get("format")
        shown = repr(found[:64]) if isinstance(found, str) else "not a text, or missing"
        raise DocumentError(f"the roster's format is {shown}; this version reads {FORMAT!r}")
    if set(document) != _KEYS:
        wrong = ", ".join(ascii(key[:64]) for key in sorted(set(document) ^ _KEYS)[:5])
        raise DocumentError(f"the roster's keys are not {', '.join(sorted(_KEYS))} (missing or unknown: {wrong})")
    source = document["source"]
    if not isinstance(source, Mapping) or not all(_is_text(text) for pair in source.items() for text in pair):
        raise DocumentError("the roster's source is not a mapping of texts")
    for key in ("users", "groups"):
        if not isinstance(document[key], list):
            raise DocumentError(f"the roster's {key} is not a list")
    rejected = _read_rejected(document["rejected"])
    return build_from_records(source, _let_go(document["users"]), document["groups"], rejected)


def _let_go(records: List[Any]) -> Iterator[Any]:
    """The records in their order. None is kept, so that a large roster is in memory once and not twice."""
    records.reverse()
    while records:
        yield records.pop()
