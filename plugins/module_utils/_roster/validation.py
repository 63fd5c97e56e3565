# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records in, users and groups out; a record that can't be used is rejected alone, with the field and the reason.

Used twice: when a source makes a roster, and again when a target reads one, which may have been edited by hand.
"""

from __future__ import annotations

import unicodedata
from typing import Any, Callable, Dict, Hashable, Iterable, List, Mapping, Optional, Tuple, TypeVar

from .model import Avatar, Group, Rejected, Roster, User

#: Longer text is not a name, a path or an address. A bound keeps one record from filling an account file.
LONGEST_TEXT = 1024
LARGEST_ID = 2**32 - 1


class FieldError(Exception):
    """A field's value that can't be used."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def folded(text: str) -> str:
    """The form in which two names count as the same person's."""
    return unicodedata.normalize("NFKC", text).casefold()


def text_problem(text: str, longest: int = LONGEST_TEXT) -> Optional[str]:
    """Why a text can't be kept in a roster, or None: control characters and lone surrogates never can."""
    if len(text) > longest:
        return f"is longer than {longest} characters"
    if text.isprintable():
        return None
    for character in text:
        category = unicodedata.category(character)
        # Line and paragraph separators (Zl, Zp) split lines in some readers; bidirectional controls (in Cf) are
        # legal in names of some scripts, so they stay.
        if category in ("Cc", "Cs", "Zl", "Zp"):
            return f"contains the control character U+{ord(character):04X}"
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {_type_name(value)}, not a text")
    problem = text_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def _name(value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise ValueError("is empty")
    if text != text.strip():
        raise ValueError("begins or ends with a space")
    if ":" in text:
        raise ValueError("contains a colon")
    return text


def _identifier(value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise ValueError("is empty")
    return text


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"is {_type_name(value)}, not a whole number")
    if not 0 <= value < LARGEST_ID:
        raise ValueError(f"is {value}, outside 0 to {LARGEST_ID - 1}")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {_type_name(value)}, not true or false")
    return value


def _names(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"is {_type_name(value)}, not a list of names")
    return tuple(sorted({_identifier(item) for item in value}))


def _keys(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"is {_type_name(value)}, not a list of keys")
    keys = []
    for item in value:
        # An RSA key of 16,384 bits takes about 2,800 characters.
        if not isinstance(item, str) or not item.strip() or text_problem(item, longest=8192):
            raise ValueError("holds an entry that is not one line of text")
        keys.append(item.strip())
    return tuple(sorted(set(keys)))


def _avatar(value: Any) -> Avatar:
    if not isinstance(value, Mapping) or set(value) != {"path", "sha256"}:
        raise ValueError("is not a mapping of path and sha256")
    return Avatar(path=_identifier(value["path"]), sha256=_identifier(value["sha256"]))


def _profile(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"is {_type_name(value)}, not a mapping")
    profile: Dict[str, str] = {}
    for key, item in value.items():
        if not isinstance(item, str) or text_problem(item.replace("\n", " ").replace("\r", " "), longest=65536):
            raise ValueError(f"holds no usable text under {key!r}")
        profile[_identifier(key)] = item
    return profile


def _secret(value: Any) -> str:
    # The reason never quotes the value.
    if not isinstance(value, str) or not value or text_problem(value) or ":" in value or not value.isascii():
        raise ValueError("is not a password hash")
    return value


USER_FIELDS: Dict[str, Callable[[Any], Any]] = {
    "id": _identifier,
    "username": _name,
    "uid": _number,
    "gid": _number,
    "full_name": _text,
    "first_name": _text,
    "last_name": _text,
    "email": _text,
    "enabled": _flag,
    "admin": _flag,
    "password_hash": _secret,
    "groups": _names,
    "shell": _text,
    "home": _text,
    "ssh_public_keys": _keys,
    "external_id": _identifier,
    "avatar": _avatar,
    "profile": _profile,
}

GROUP_FIELDS: Dict[str, Callable[[Any], Any]] = {
    "name": _identifier,
    "gid": _number,
    "description": _text,
}


def _type_name(value: Any) -> str:
    if value is None:
        return "null (leave the key out instead)"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)


def _read(record: Any, fields: Mapping[str, Callable[[Any], Any]]) -> Dict[str, Any]:
    if not isinstance(record, Mapping):
        raise FieldError("record", f"is {_type_name(record)}, not a mapping")
    values: Dict[str, Any] = {}
    for key, value in record.items():
        read = fields.get(key)
        if read is None:
            known = ", ".join(fields)
            raise FieldError(str(key)[:64], f"is not a field of a roster record; the fields are {known}")
        try:
            values[key] = read(value)
        except ValueError as problem:
            raise FieldError(key, str(problem)) from None
    return values


def read_user(record: Any) -> User:
    """A user of one mapping. ``id`` falls back to external_id, username, e-mail. Raises FieldError."""
    values = _read(record, USER_FIELDS)
    if "id" not in values:
        for key in ("external_id", "username", "email"):
            if values.get(key):
                values["id"] = values[key]
                break
        else:
            raise FieldError("id", "is missing, and so are external_id, username and email")
    return User(**values)


def read_group(record: Any) -> Group:
    """A group of one mapping. Raises FieldError."""
    values = _read(record, GROUP_FIELDS)
    if "name" not in values:
        raise FieldError("name", "is missing")
    return Group(**values)


def _readable(record: Any, *keys: str) -> Optional[str]:
    """What a rejected record was called, when that much of it is text."""
    if isinstance(record, Mapping):
        for key in keys:
            value = record.get(key)
            if isinstance(value, str) and value.strip() and not text_problem(value):
                return value
    return None


def reject(kind: str, record: Any, position: int, problem: FieldError) -> Rejected:
    """What is kept of a record that can't be used. ``position`` counts from 1."""
    identity = _readable(record, "id", "external_id") if kind == "user" else None
    name = _readable(record, "username", "name") if kind == "user" else _readable(record, "name")
    where = None if identity or name else f"{kind} {position}"
    return Rejected(kind=kind, id=identity, name=name, record=where, field=problem.field, reason=problem.reason)


def reject_user(user: User, field: str, reason: str) -> Rejected:
    return Rejected(kind="user", id=user.id, name=user.username, field=field, reason=reason)


def reject_group(group: Group, field: str, reason: str) -> Rejected:
    return Rejected(kind="group", name=group.name, field=field, reason=reason)


T = TypeVar("T", User, Group)


def split_duplicates(
    items: Iterable[T], keys: Mapping[str, Callable[[T], Optional[Hashable]]], label: Callable[[T], str]
) -> Tuple[List[T], List[Tuple[T, str, str]]]:
    """Items that share a key with another: all of them, since nobody can tell which one is right.

    Returns (the others, [(item, field, reason)]).
    """
    remaining = list(items)
    refused: Dict[int, Tuple[T, str, str]] = {}
    for field, key in keys.items():
        sharing: Dict[Hashable, List[int]] = {}
        for index, item in enumerate(remaining):
            value = key(item)
            if value is not None:
                sharing.setdefault(value, []).append(index)
        for indexes in sharing.values():
            if len(indexes) < 2:
                continue
            names = sorted(label(remaining[index]) for index in indexes)
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            for index in indexes:
                refused.setdefault(
                    index, (remaining[index], field, f"is shared by {len(indexes)} records: {shown}")
                )
    kept = [item for index, item in enumerate(remaining) if index not in refused]
    return kept, list(refused.values())


def _folded_or_none(text: Optional[str]) -> Optional[str]:
    return folded(text) if text and text.strip() else None


USER_KEYS: Dict[str, Callable[[User], Optional[Hashable]]] = {
    "id": lambda user: user.id,
    "username": lambda user: _folded_or_none(user.username),
    "uid": lambda user: user.uid,
    "email": lambda user: _folded_or_none(user.email),
    "external_id": lambda user: _folded_or_none(user.external_id),
}
GROUP_KEYS: Dict[str, Callable[[Group], Optional[Hashable]]] = {
    "name": lambda group: folded(group.name),
    "gid": lambda group: group.gid,
}


def build(
    source: Mapping[str, str],
    users: Iterable[User],
    groups: Iterable[Group] = (),
    rejected: Iterable[Rejected] = (),
) -> Roster:
    """A roster without duplicates, in its canonical order. Groups that only users name are added."""
    refused = list(rejected)
    unusable = {folded(entry.name) for entry in refused if entry.kind == "user" and entry.name}
    unusable_ids = {entry.id for entry in refused if entry.kind == "user" and entry.id}
    kept_users, double_users = split_duplicates(users, USER_KEYS, lambda user: user.label)
    refused += [reject_user(user, field, reason) for user, field, reason in double_users]
    # A good record beside a bad one of the same name or id is a duplicate too: which of them is right is not known.
    for user in [user for user in kept_users if user.id in unusable_ids or folded(user.username or "") in unusable]:
        kept_users.remove(user)
        field = "id" if user.id in unusable_ids else "username"
        refused.append(reject_user(user, field, "is shared with a record that can't be used"))
    kept_groups, double_groups = split_duplicates(groups, GROUP_KEYS, lambda group: group.name)
    refused += [reject_group(group, field, reason) for group, field, reason in double_groups]

    known = {group.name for group in kept_groups}
    known.update(entry.name for entry in refused if entry.kind == "group" and entry.name)
    named = {name for user in kept_users for name in user.groups or ()}
    kept_groups += [Group(name) for name in named - known]

    return Roster(
        source=dict(source),
        users=tuple(sorted(kept_users, key=lambda user: user.id)),
        groups=tuple(sorted(kept_groups, key=lambda group: group.name)),
        rejected=tuple(sorted(refused, key=_rejected_order)),
    )


def _rejected_order(entry: Rejected) -> Tuple[str, ...]:
    return (entry.kind, entry.name or "", entry.id or "", entry.record or "", entry.field, entry.reason)


def build_from_records(
    source: Mapping[str, str],
    users: Iterable[Any],
    groups: Iterable[Any] = (),
    rejected: Iterable[Rejected] = (),
) -> Roster:
    """A roster of plain mappings, each read on its own: a bad one is rejected, the others stay."""
    refused = list(rejected)
    good_users: List[User] = []
    good_groups: List[Group] = []
    for position, record in enumerate(users, start=1):
        try:
            good_users.append(read_user(record))
        except FieldError as problem:
            refused.append(reject("user", record, position, problem))
    for position, record in enumerate(groups, start=1):
        try:
            good_groups.append(read_group(record))
        except FieldError as problem:
            refused.append(reject("group", record, position, problem))
    return build(source, good_users, good_groups, refused)
