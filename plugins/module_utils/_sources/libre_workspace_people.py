# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The portal's records, each read on its own: what one person and one group say. Pure.

A record has the keys of ``KEYS``; others, of a newer portal, are ignored. Texts may be blank, numbers are digits in a
text and "" when unset. Errors name the roster's field, or the record's key when that is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from .._roster.model import Group, Rejected, User
from .._roster.text import is_password_hash, text_problem
from .._roster.validation import FieldError, read_group, read_user, reject_group

KEYS = (
    "guid",
    "username",
    "dn",
    "cn",
    "display_name",
    "mail",
    "uidNumber",
    "enabled",
    "admin",
    "groups",
    "yescrypt_hash",
)


@dataclass(frozen=True)
class ListedGroup:
    """A group as one person lists it. ``description`` and ``number`` are as the portal wrote them, any JSON value."""

    dn: str
    cn: str
    description: Any
    number: Any

    @property
    def problem(self) -> Optional[str]:
        """Why the name can't stand in a roster, such as the line break in an Active Directory conflict's."""
        if not self.cn.strip():
            return "is empty"
        return "looks like a password hash" if is_password_hash(self.cn) else text_problem(self.cn)


@dataclass(frozen=True)
class Person:
    """A readable record. ``user`` has the portal's own admin flag and, with ``with_uid``, its uid."""

    user: User
    dn: str
    group_dns: Tuple[str, ...]


def readable(record: Any, key: str) -> Optional[str]:
    """A text of a record that can be shown and compared, or None."""
    value = record.get(key) if isinstance(record, dict) else None
    return value if isinstance(value, str) and _is_presentable(value) else None


def _is_presentable(text: str) -> bool:
    return bool(text.strip()) and not text_problem(text) and not is_password_hash(text)


def reject_record(record: Any, problem: FieldError) -> Rejected:
    """What is kept of a record that can't be used: enough for a target to recognise the person."""
    identity, name = readable(record, "guid"), readable(record, "username")
    where = None
    if not (identity or name):
        # Never its position: the portal's order is not sorted.
        where = readable(record, "dn") or "a record without guid, username and dn"
    return Rejected(kind="user", id=identity, name=name, record=where, field=problem.field, reason=problem.reason)


def read_person(record: Any, with_uid: bool) -> Person:
    """One record. Raises FieldError."""
    if not isinstance(record, dict):
        raise FieldError("record", "is not a mapping")
    for key in KEYS:
        if key not in record:
            raise FieldError(key, "is missing in the portal's answer, whose version may be too old or too new")
    if record["username"] == "":
        raise FieldError("username", "is empty, as that of a contact: it is no account")
    if not isinstance(record["dn"], str):
        raise FieldError("dn", "is not a text")
    fields: Dict[str, Any] = {"id": record["guid"]}
    fields.update({key: record[key] for key in ("username", "enabled", "admin")})
    for field, key in (("full_name", "display_name"), ("email", "mail")):
        value = record[key].strip() if isinstance(record[key], str) else record[key]
        if value is not None and value != "":
            fields[field] = value
    if record["yescrypt_hash"] is not None:
        fields["password_hash"] = record["yescrypt_hash"]
    groups = _groups_of_person(record["groups"])
    fields["groups"] = [group.cn for group in groups if not group.problem]
    if with_uid:
        number = _number("uid", record["uidNumber"])
        if number is not None:
            fields["uid"] = number
    return Person(read_user(fields), record["dn"], tuple(group.dn for group in groups))


def _groups_of_person(value: Any) -> List[ListedGroup]:
    if not isinstance(value, list):
        raise FieldError("groups", "is not a list")
    groups = [group for group in map(_listed_group, value) if group]
    if len(groups) != len(value):
        raise FieldError("groups", "holds an entry without dn and cn")
    return groups


def _listed_group(entry: Any) -> Optional[ListedGroup]:
    if not isinstance(entry, dict):
        return None
    dn, cn = entry.get("dn"), entry.get("cn")
    if not isinstance(dn, str) or not isinstance(cn, str):
        return None
    return ListedGroup(dn, cn, entry.get("description"), entry.get("gidNumber"))


def listed_groups(record: Any) -> Iterator[ListedGroup]:
    """The groups that a record names, also one that can't be used: the groups exist all the same."""
    groups = record.get("groups") if isinstance(record, dict) else None
    for entry in groups if isinstance(groups, list) else ():
        group = _listed_group(entry)
        if group:
            yield group


def read_listed_group(listed: ListedGroup, gids: Optional[Mapping[str, int]]) -> Union[Group, Rejected]:
    """A group, with the gid that ``gids`` holds for its name, or without ``gids`` the portal's."""
    if listed.problem:
        where = listed.dn if _is_presentable(listed.dn) else "a group without a readable name"
        return Rejected(kind="group", record=where, field="name", reason=listed.problem)
    fields: Dict[str, Any] = {"name": listed.cn}
    try:
        number = _number("gid", listed.number) if gids is None else gids[listed.cn]
        if number is not None:
            fields["gid"] = number
        description = listed.description
        if isinstance(description, str):
            description = " ".join(description.split())
        if description:
            fields["description"] = description
        return read_group(fields)
    except FieldError as problem:
        return reject_group(Group(listed.cn), problem.field, problem.reason)


def _number(field: str, value: Any) -> Optional[int]:
    if value == "":
        return None
    if not isinstance(value, str) or not re.fullmatch(r"0|[1-9][0-9]{0,9}", value):
        raise FieldError(field, "is not a decimal number in a text")
    return int(value)
