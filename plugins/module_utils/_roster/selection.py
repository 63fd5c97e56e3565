# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who belongs on a target: the include and exclude filters that every target has."""

from __future__ import annotations

from typing import Iterable, List, Tuple

from .model import Roster
from .text import folded


def select(
    roster: Roster,
    include_groups: Iterable[str] = (),
    exclude_groups: Iterable[str] = (),
    exclude_users: Iterable[str] = (),
) -> Tuple[Roster, List[str]]:
    """The part of a roster that a target is given, and warnings about filters that match nothing.

    Names are compared casefolded. Rejected records always stay: they are counted as present. All groups stay too, so
    that a group whose members are elsewhere does not look removed.
    """
    # Folded to as written, for the warnings.
    included = {folded(name): name for name in include_groups}
    excluded = {folded(name): name for name in exclude_groups}
    unwanted = {folded(name): name for name in exclude_users}
    if not (included or excluded or unwanted):
        return roster, []

    chosen = []
    rejected = [entry for entry in roster.rejected if entry.kind == "user"]
    seen_users = {folded(name) for entry in rejected for name in (entry.id, entry.name) if name}
    for user in roster.users:
        groups = {folded(name) for name in user.groups or ()}
        names = {folded(name) for name in (user.username, user.email, user.id) if name}
        seen_users |= names
        if included and groups.isdisjoint(included):
            continue
        if not groups.isdisjoint(excluded) or not names.isdisjoint(unwanted):
            continue
        chosen.append(user)

    seen_groups = {folded(group.name) for group in roster.groups}
    seen_groups |= {folded(entry.name) for entry in roster.rejected if entry.kind == "group" and entry.name}
    warnings = [
        f"{option} names {names[form]!r}, which the roster does not have"
        for option, names, seen in (
            ("include_groups", included, seen_groups),
            ("exclude_groups", excluded, seen_groups),
            ("exclude_users", unwanted, seen_users),
        )
        for form in sorted(set(names) - seen)
    ]
    selected = Roster(source=roster.source, users=tuple(chosen), groups=roster.groups, rejected=roster.rejected)
    return selected, warnings
