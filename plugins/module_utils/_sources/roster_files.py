# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roster files on this machine, as other sources wrote them, merged into one."""

from __future__ import annotations

import os
from typing import List, Mapping, Sequence

from .._errors import DocumentError, SourceError
from .._roster.document import parse
from .._roster.merge import Conflict, Part, merge
from .._roster.model import Roster
from .reading import Reading


def read_roster(path: str) -> Roster:
    """Raises RosterError, naming the file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as problem:
        raise SourceError(f"the roster {path} can't be read: {problem.strerror}") from None
    try:
        return parse(content)
    except DocumentError as problem:
        raise DocumentError(f"{path}: {problem}") from None


def fetch(sources: Sequence[Mapping[str, object]], match: str, dest: str, allow_empty: bool) -> Reading:
    """Merge files, the first of which counts most. Each source has ``name``, ``path`` and ``adds_people``.

    The reading's details: ``conflicts``, as mappings. Raises RosterError.
    """
    _check(sources, dest)
    parts = [
        Part(str(source["name"]), read_roster(str(source["path"])), bool(source["adds_people"])) for source in sources
    ]
    merged = merge(parts, match)
    if not (merged.roster.users or merged.roster.rejected or allow_empty):
        raise SourceError("the merged roster has nobody at all in it. If that is really so, set allow_empty=true")
    warnings = [
        f"{count} people of {name} are in no source before it, and {name} adds nobody"
        for name, count in sorted(merged.not_added.items())
    ]
    if merged.conflicts:
        warnings.append(_conflict_warning(merged.conflicts))
    records = sum(len(part.roster.users) for part in parts)
    return Reading(
        merged.roster, records, tuple(warnings), {"conflicts": [each.as_dict() for each in merged.conflicts]}
    )


def _check(sources: Sequence[Mapping[str, object]], dest: str) -> None:
    if not sources:
        raise SourceError("sources is empty: name at least one roster")
    names = [str(source["name"]) for source in sources]
    if len(set(names)) != len(names):
        raise SourceError("sources has a name twice: conflicts could not be told apart")
    if not sources[0]["adds_people"]:
        raise SourceError(f"{names[0]} is the first of the sources, and adds_people=false would leave nobody")
    for source in sources:
        if os.path.realpath(str(source["path"])) == os.path.realpath(dest):
            raise SourceError(f"dest is the roster of {source['name']}: give the merged one a path of its own")


def _conflict_warning(conflicts: Sequence[Conflict]) -> str:
    shown: List[str] = [f"{each.name} {each.field} ({each.kept}, not {each.ignored})" for each in conflicts[:5]]
    more = f"; and {len(conflicts) - 5} more in conflicts" if len(conflicts) > 5 else ""
    return f"sources say different things, and the one that comes first counts: {'; '.join(shown)}{more}"
