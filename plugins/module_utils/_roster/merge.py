# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several rosters made one: the first that says anything about a field of a person decides it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .model import Group, Rejected, Roster, User
from .text import folded
from .validation import build

ID, USERNAME, EMAIL = "id", "username", "email"
MATCHES = (USERNAME, EMAIL, ID)
_USER_FIELDS = tuple(entry.name for entry in fields(User) if entry.name != "id")
_GROUP_FIELDS = ("gid", "description")
#: In these, another case is no other value.
_FOLDED = ("username", "email", "external_id")


@dataclass(frozen=True)
class Part:
    """One of the rosters. With ``adds_people`` false it only adds fields to people whom a part before it lists."""

    name: str
    roster: Roster
    adds_people: bool = True


@dataclass(frozen=True)
class Conflict:
    """Two parts that say different things: the field, who says what counts and who says something else, no values."""

    kind: str
    name: str
    field: str
    kept: str
    ignored: str

    def as_dict(self) -> Dict[str, str]:
        return {
            "kind": self.kind,
            "name": self.name,
            "field": self.field,
            "kept": self.kept,
            "ignored": self.ignored,
        }


@dataclass(frozen=True)
class Merged:
    """The roster, the conflicts in the order of names, and how many people of which part nobody else lists."""

    roster: Roster
    conflicts: Tuple[Conflict, ...]
    not_added: Mapping[str, int]


class _Person:
    """A user as far as the parts up to now tell, and who said each field."""

    def __init__(self, user: User, part: str) -> None:
        self.user = user
        self._said = {field: part for field in _USER_FIELDS if getattr(user, field) is not None}
        self._profile = dict.fromkeys(user.profile or {}, part)

    def add(self, user: User, part: str) -> List[Tuple[str, str]]:
        """Take over what nobody said before. Returns (field, who said otherwise)."""
        taken: Dict[str, Any] = {}
        conflicts: List[Tuple[str, str]] = []
        for field in _USER_FIELDS:
            value = getattr(user, field)
            if value is None:
                continue
            if field == "profile":
                taken[field] = self._with_profile(value, part, conflicts)
            elif field not in self._said:
                taken[field] = value
                self._said[field] = part
            elif not _is_same(field, getattr(self.user, field), value):
                conflicts.append((field, self._said[field]))
        self.user = replace(self.user, **taken)
        return conflicts

    def _with_profile(self, profile: Mapping[str, str], part: str, conflicts: List[Tuple[str, str]]) -> Dict[str, str]:
        """Each entry of a profile counts by itself."""
        merged = dict(self.user.profile or {})
        for key, value in profile.items():
            if key not in merged:
                merged[key] = value
                self._profile[key] = part
            elif merged[key] != value:
                conflicts.append((f"profile.{key}", self._profile[key]))
        return {key: merged[key] for key in sorted(merged)}


def merge(parts: Sequence[Part], match: str = USERNAME) -> Merged:
    """``match`` is the field by which two records are one person: compared casefolded, but for ``id``.

    A person has the id of the first part that lists them. Records without the field stay by themselves; what then
    shares a username, uid, e-mail or external id is rejected as in every roster.
    """
    people: List[_Person] = []
    by_key: Dict[str, _Person] = {}
    conflicts: List[Conflict] = []
    not_added: Dict[str, int] = {}
    for part in parts:
        for user in part.roster.users:
            key = _key(user, match)
            person = by_key.get(key) if key is not None else None
            if person is not None:
                found = person.add(user, part.name)
                conflicts += [Conflict("user", person.user.label, field, kept, part.name) for field, kept in found]
            elif part.adds_people:
                person = _Person(user, part.name)
                people.append(person)
                if key is not None:
                    by_key[key] = person
            else:
                not_added[part.name] = not_added.get(part.name, 0) + 1
    groups, group_conflicts = _groups(parts)
    users = [person.user for person in people]
    source = {"kind": "merged", "sources": ", ".join(part.name for part in parts)}
    roster = build(source, users, groups, _rejected(parts, users))
    ordered = sorted([*conflicts, *group_conflicts], key=lambda each: tuple(each.as_dict().values()))
    return Merged(roster, tuple(ordered), not_added)


def _key(user: User, match: str) -> Optional[str]:
    value = getattr(user, match)
    if match == ID:
        return str(value)
    return folded(value.strip()) if value and value.strip() else None


def _is_same(field: str, one: Any, other: Any) -> bool:
    return bool(folded(one.strip()) == folded(other.strip()) if field in _FOLDED else one == other)


def _groups(parts: Sequence[Part]) -> Tuple[List[Group], List[Conflict]]:
    merged: Dict[str, Group] = {}
    said: Dict[Tuple[str, str], str] = {}
    conflicts: List[Conflict] = []
    for part in parts:
        for group in part.roster.groups:
            form = folded(group.name)
            known = merged.setdefault(form, Group(group.name))
            for field in _GROUP_FIELDS:
                value = getattr(group, field)
                if value is None:
                    continue
                kept = said.setdefault((form, field), part.name)
                if kept == part.name:
                    known = replace(known, **{field: value})
                elif getattr(known, field) != value:
                    conflicts.append(Conflict("group", known.name, field, kept, part.name))
            merged[form] = known
    return list(merged.values()), conflicts


def _rejected(parts: Sequence[Part], users: Sequence[User]) -> List[Rejected]:
    """Whom no part may touch. A part that adds no people does not make anybody present who left the others."""
    ids = {user.id for user in users}
    names = {folded(user.username) for user in users if user.username}
    entries: List[Rejected] = []
    for part in parts:
        for entry in part.roster.rejected:
            known = entry.id in ids or (entry.name is not None and folded(entry.name) in names)
            if part.adds_people or entry.kind == "group" or known:
                where = None if entry.record is None else f"{part.name}: {entry.record}"
                entries.append(replace(entry, record=where, reason=f"in {part.name}: {entry.reason}"))
    return entries
