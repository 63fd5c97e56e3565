# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records in, users and groups out; a record that can't be used is rejected alone, with the field and the reason.

Used twice: when a source makes a roster, and again when a target reads one, which may have been edited by hand.
"""

from __future__ import annotations

import re
from dataclasses import replace
from sys import intern
from typing import Any, Callable, Dict, Hashable, Iterable, List, Mapping, Optional, Set, Tuple, TypeVar

from .model import Avatar, Group, Rejected, Roster, User
from .text import folded, is_password_hash, text_problem, type_name
from .text import shown as shown_text

LARGEST_ID = 2**32 - 1
#: Of one user: far beyond any person's, and few enough that one record can't use up a host's gids.
MOST_GROUPS = 1000
_LINE_BREAK = re.compile("[\r\n]")


class FieldError(Exception):
    """A field's value that can't be used."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {type_name(value)}, not a text")
    problem = text_problem(value)
    if problem:
        raise ValueError(problem)
    if is_password_hash(value):
        raise ValueError("looks like a password hash, which belongs in password_hash")
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
        raise ValueError(f"is {type_name(value)}, not a whole number")
    if not 0 <= value < LARGEST_ID:
        shown = value if abs(value) < 10**20 else "a number of many digits"
        raise ValueError(f"is {shown}, outside 0 to {LARGEST_ID - 1}")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {type_name(value)}, not true or false")
    return value


def _names(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"is {type_name(value)}, not a list of names")
    if len(value) > MOST_GROUPS:
        raise ValueError(f"names {len(value)} groups; {MOST_GROUPS} are the most that one user can have")
    # Many users name the same groups; each name is kept once.
    return tuple(sorted({intern(str(_identifier(item))) for item in value}))


def _keys(value: Any) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"is {type_name(value)}, not a list of keys")
    keys = []
    for item in value:
        # An RSA key of 16,384 bits takes about 2,800 characters.
        if not isinstance(item, str) or not item.strip() or is_password_hash(item) or text_problem(item, longest=8192):
            raise ValueError("holds an entry that is not one line of text")
        keys.append(item.strip())
    return tuple(sorted(set(keys)))


def _avatar(value: Any) -> Avatar:
    if not isinstance(value, Mapping) or set(value) != {"path", "sha256"}:
        raise ValueError("is not a mapping of path and sha256")
    digest = value["sha256"]
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("holds a sha256 that is not 64 small hexadecimal digits")
    return Avatar(path=_identifier(value["path"]), sha256=digest)


def _profile(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"is {type_name(value)}, not a mapping")
    profile: Dict[str, str] = {}
    for key in sorted(map(_identifier, value)):
        item = value[key]
        if not isinstance(item, str) or is_password_hash(item) or text_problem(_LINE_BREAK.sub(" ", item), 65536):
            raise ValueError(f"holds no usable text under {shown_text(key)!r}")
        profile[key] = item
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


def _read(record: Any, fields: Mapping[str, Callable[[Any], Any]]) -> Dict[str, Any]:
    if not isinstance(record, Mapping):
        raise FieldError("record", f"is {type_name(record)}, not a mapping")
    try:
        return {key: fields[key](value) for key, value in record.items()}
    except (ValueError, KeyError):
        return _read_in_order(record, fields)


def _read_in_order(record: Mapping[Any, Any], fields: Mapping[str, Callable[[Any], Any]]) -> Dict[str, Any]:
    """A record that has something wrong: equal ones are rejected in equal words, whatever the order of their keys."""
    values: Dict[str, Any] = {}
    if not fields.keys() >= record.keys():
        unknown = min(shown_text(key) for key in record if key not in fields)
        raise FieldError(unknown, f"is not a field of a roster record; the fields are {', '.join(fields)}")
    for key, read in fields.items():
        if key in record:
            try:
                values[key] = read(record[key])
            except ValueError as problem:
                raise FieldError(key, str(problem)) from None
    return values


def read_user(record: Any) -> User:
    """A user of one mapping. ``id`` falls back to external_id, username, e-mail. Raises FieldError."""
    values = _read(record, USER_FIELDS)
    if "id" not in values:
        for key in ("external_id", "username", "email"):
            if values.get(key, "").strip():
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
            if isinstance(value, str) and value.strip() and not text_problem(value) and not is_password_hash(value):
                return value
    return None


def reject(kind: str, record: Any, position: int, problem: FieldError) -> Rejected:
    """What is kept of a record that can't be used. ``position`` counts from 1."""
    # The same stable id that read_user would have taken, so that a target knows whom to leave alone.
    identity = _readable(record, "id", "external_id", "username", "email") if kind == "user" else None
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
        values = [key(item) for item in remaining]
        there = [value for value in values if value is not None]
        if len(set(there)) == len(there):
            continue
        sharing: Dict[Hashable, List[int]] = {}
        for index, value in enumerate(values):
            if value is not None:
                sharing.setdefault(value, []).append(index)
        for indexes in sharing.values():
            if len(indexes) < 2:
                continue
            names = sorted(label(remaining[index]) for index in indexes)
            shown = ", ".join(map(shown_text, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            for index in indexes:
                refused.setdefault(index, (remaining[index], field, f"is shared by {len(indexes)} records: {shown}"))
    kept = [item for index, item in enumerate(remaining) if index not in refused]
    return kept, list(refused.values())


def _folded_or_none(text: Optional[str]) -> Optional[str]:
    return folded(text.strip()) if text and text.strip() else None


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
    refused = [_presentable(entry) for entry in rejected]
    # A good record beside a bad one of the same name or id is a duplicate too: which of them is right is not known.
    ids = {entry.id for entry in refused if entry.kind == "user" and entry.id}
    names = _names_of("user", refused)
    group_names = _names_of("group", refused)
    beside = "is shared with a record that can't be used"

    single_users, double_users = split_duplicates(users, USER_KEYS, lambda user: user.label)
    refused += [reject_user(user, field, reason) for user, field, reason in double_users]
    kept_users = []
    for user in single_users:
        if user.id in ids:
            refused.append(reject_user(user, "id", beside))
        elif _folded_or_none(user.username) in names:
            refused.append(reject_user(user, "username", beside))
        else:
            kept_users.append(user)

    single_groups, double_groups = split_duplicates(groups, GROUP_KEYS, lambda group: group.name)
    refused += [reject_group(group, field, reason) for group, field, reason in double_groups]
    kept_groups = [group for group in single_groups if folded(group.name) not in group_names]
    refused += [reject_group(group, "name", beside) for group in single_groups if folded(group.name) in group_names]

    kept_users = _with_one_spelling(kept_users, kept_groups, _names_of("group", refused))
    return Roster(
        source=dict(source),
        users=tuple(sorted(kept_users, key=lambda user: user.id)),
        groups=tuple(sorted(kept_groups, key=lambda group: group.name)),
        rejected=tuple(sorted(refused, key=_rejected_order)),
    )


def _names_of(kind: str, refused: Iterable[Rejected]) -> Set[Optional[str]]:
    return {_folded_or_none(entry.name) for entry in refused if entry.kind == kind} - {None}


def _with_one_spelling(users: List[User], groups: List[Group], unusable: Set[Optional[str]]) -> List[User]:
    """The users, naming each group as ``groups`` spells it. A group that only users name is added to ``groups``, in
    the spelling that sorts first, unless a rejected group has that name."""
    spelling = {folded(group.name): group.name for group in groups}
    named = {name: folded(name) for name in {name for user in users for name in user.groups or ()}}
    for name in sorted(named):
        if named[name] not in spelling and named[name] not in unusable:
            spelling[named[name]] = name
            groups.append(Group(name))
    spelled = {name: spelling.get(form, name) for name, form in named.items()}
    if all(name == spelled[name] for name in spelled):
        return users
    result = []
    for user in users:
        names = None if user.groups is None else tuple(sorted({spelled[name] for name in user.groups}))
        result.append(user if names == user.groups else replace(user, groups=names))
    return result


def _presentable(entry: Rejected) -> Rejected:
    """An entry without text that a roster can't hold, whoever made it."""
    if not any(map(text_problem, entry.as_dict().values())):
        return entry
    return replace(
        entry,
        id=None if entry.id is None or text_problem(entry.id) else entry.id,
        name=None if entry.name is None or text_problem(entry.name) else entry.name,
        record=None if entry.record is None else shown_text(entry.record, 512),
        field=shown_text(entry.field),
        reason=shown_text(entry.reason, 512),
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
