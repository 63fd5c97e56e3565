# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is another in one roster than in the one before it: names of people and of fields, never values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Dict, FrozenSet, List, Tuple

from .model import Roster, User
from .text import folded

_FIELDS = tuple(entry.name for entry in fields(User) if entry.name != "id")


@dataclass(frozen=True)
class Difference:
    """Labels of people, sorted. ``changed`` has (label, names of fields).

    ``rejected`` are people who could be used before and can't now, ``accepted`` the other way round: they neither
    joined nor left.
    """

    joined: Tuple[str, ...] = ()
    left: Tuple[str, ...] = ()
    changed: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()
    rejected: Tuple[str, ...] = ()
    accepted: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, List[Any]]:
        return {
            "joined": list(self.joined),
            "left": list(self.left),
            "changed": [{"name": name, "fields": list(names)} for name, names in self.changed],
            "rejected": list(self.rejected),
            "accepted": list(self.accepted),
        }


def difference(before: Roster, after: Roster) -> Difference:
    """Users are the same person when their stable ids are."""
    old = {user.id: user for user in before.users}
    new = {user.id: user for user in after.users}
    lost = [user for key, user in old.items() if key not in new]
    found = [user for key, user in new.items() if key not in old]
    now_bad, once_bad = _rejected_names(after), _rejected_names(before)
    changed = []
    for key, user in new.items():
        if key in old and user != old[key]:
            names = tuple(name for name in _FIELDS if getattr(user, name) != getattr(old[key], name))
            changed.append((user.label, names))
    return Difference(
        joined=_labels(user for user in found if not _is_among(user, once_bad)),
        left=_labels(user for user in lost if not _is_among(user, now_bad)),
        changed=tuple(sorted(changed)),
        rejected=_labels(user for user in lost if _is_among(user, now_bad)),
        accepted=_labels(user for user in found if _is_among(user, once_bad)),
    )


def _labels(users: Any) -> Tuple[str, ...]:
    return tuple(sorted(user.label for user in users))


def _rejected_names(roster: Roster) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """(ids, folded user names) of the people who can't be used."""
    entries = [entry for entry in roster.rejected if entry.kind == "user"]
    return (
        frozenset(entry.id for entry in entries if entry.id),
        frozenset(folded(entry.name) for entry in entries if entry.name),
    )


def _is_among(user: User, rejected: Tuple[FrozenSet[str], FrozenSet[str]]) -> bool:
    ids, names = rejected
    return user.id in ids or (user.username is not None and folded(user.username) in names)
