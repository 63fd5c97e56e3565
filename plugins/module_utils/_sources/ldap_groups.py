# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is in which group, directly and through other groups. Pure: names of entries in, names of entries out."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Set


class Memberships:
    """What is in what. Everything is known by a key, its normalised DN; rings of groups are no trouble."""

    def __init__(self, nested: bool) -> None:
        self._nested = nested
        self._above: Dict[str, Set[str]] = {}
        self._all: Dict[str, FrozenSet[str]] = {}

    def add(self, member: str, group: str) -> None:
        self._above.setdefault(member, set()).add(group)
        self._all.clear()

    def above(self, key: str) -> FrozenSet[str]:
        """The groups that this person is in, through others too when nested."""
        direct = self._above.get(key, set())
        if not self._nested:
            return frozenset(direct)
        return frozenset(direct).union(*(self._reached(group) for group in direct))

    def _reached(self, group: str) -> FrozenSet[str]:
        """All groups above a group, kept: thousands of people are in the same few."""
        found = self._all.get(group)
        if found is None:
            seen: Set[str] = set()
            waiting: List[str] = [group]
            while waiting:
                for above in self._above.get(waiting.pop(), ()):
                    if above not in seen:
                        seen.add(above)
                        waiting.append(above)
            found = self._all[group] = frozenset(seen)
        return found
