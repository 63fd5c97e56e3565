# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which uids, gids and subordinate ids are free on a host."""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import chain
from sys import intern
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from .._roster.posix import CONTAINER_IDS, RESERVED_IDS, id_problem
from .settings import Settings, SubordinateIds
from .tables import Accounts, Table, number

#: Whoever has the range could become that user or group in a user namespace.
_ELSEWHERE = "move that range, or use ids outside it (a source's uid_policy and gid_policy derive such)"


class SubordinateRanges:
    """The ranges of /etc/subuid or /etc/subgid."""

    def __init__(self, table: Optional[Table]) -> None:
        self._ranges: List[Tuple[int, int, str]] = []
        for row in table.every_row() if table else ():
            first, count = number(row[1]), number(row[2])
            if first is not None and count:
                self._ranges.append((first, first + count - 1, row[0]))
        self._ranges.sort()
        self._starts = [first for first, _last, _owner in self._ranges]
        self._reach: List[Tuple[int, str]] = []
        furthest = (-1, "")
        for _first, last, owner in self._ranges:
            furthest = max(furthest, (last, owner))
            self._reach.append(furthest)

    def holder(self, identifier: int) -> Optional[Tuple[int, str]]:
        """(its last id, whose it is) of a range that an id lies in: that user could become it in a user namespace."""
        position = bisect_right(self._starts, identifier) - 1
        if position >= 0 and self._reach[position][0] >= identifier:
            return self._reach[position]
        return None

    def spans(self) -> Iterator[Tuple[int, int]]:
        return ((first, last) for first, last, _owner in self._ranges)


class _NewRanges:
    """Hands out ranges of subordinate ids as useradd does: the lowest gap that is large enough. Unlike useradd's, a
    range never holds an id that an account or a group has or shall get."""

    def __init__(self, span: SubordinateIds, ranges: SubordinateRanges, taken: Iterable[int]) -> None:
        self._span = span
        self._low = self._given_from = span.first
        inside = ((item, item) for item in taken if span.first <= item <= span.last)
        self._obstacles = sorted(chain(ranges.spans(), inside))
        self._position = 0

    def give(self) -> Optional[int]:
        count, last = self._span.count, self._span.last
        while self._position < len(self._obstacles):
            first, end = self._obstacles[self._position]
            if min(first, last + 1) - self._low >= count:
                break
            self._low = max(self._low, end + 1)
            self._position += 1
        if self._low + count - 1 > last:
            return None
        self._low += count
        return self._low - count

    def end_of_given(self, identifier: int) -> Optional[int]:
        """The last id handed out so far, if ``identifier`` lies before it (gaps between are not told apart)."""
        return self._low - 1 if self._given_from <= identifier < self._low else None

    def avoid(self, identifier: int) -> None:
        """An id that was given to an account meanwhile."""
        if identifier >= self._low:
            insort(self._obstacles, (identifier, identifier), lo=self._position)


class Ids:
    """Free ids, given out in a stable order. ``wanted`` are ids that the roster or the ledger names: never given to
    anyone else."""

    def __init__(self, accounts: Accounts, settings: Settings, wanted_uids: Iterable[int], wanted_gids: Iterable[int]):
        self._settings = settings
        self.users_of_uid = _holders(accounts.passwd)
        self.groups_of_gid = _holders(accounts.group)
        self._uids: Set[int] = {*self.users_of_uid, *wanted_uids}
        self._gids: Set[int] = {*self.groups_of_gid, *wanted_gids}
        self._gids.update(gid for gid in (number(row[3]) for row in accounts.passwd.rows()) if gid is not None)
        self._subuids = SubordinateRanges(accounts.subuid)
        self._subgids = SubordinateRanges(accounts.subgid)
        taken = self._uids | self._gids
        self._new_ranges = {
            "subuid": _NewRanges(settings.subuid, self._subuids, taken),
            "subgid": _NewRanges(settings.subgid, self._subgids, taken),
        }
        #: where the search for the next free uid or gid goes on; None when the range is full
        self._next: Dict[str, Optional[int]] = {}

    def uid_problem(self, uid: int) -> Optional[str]:
        """Why a new account can't have this uid."""
        user = self.users_of_uid.get(uid)
        if user is not None:
            return f"uid {uid} belongs to the account {user!r} of this host"
        holder = self._subuids.holder(uid)
        if holder is not None:
            return f"uid {uid} lies in a range that /etc/subuid gives to {holder[1]!r}; {_ELSEWHERE}"
        return id_problem(uid) and f"uid {id_problem(uid)}"

    def gid_problem(self, gid: int) -> Optional[str]:
        """Why a new group can't have this gid."""
        group = self.groups_of_gid.get(gid)
        if group is not None:
            return f"gid {gid} belongs to the group {group!r} of this host"
        holder = self._subgids.holder(gid)
        if holder is not None:
            return f"gid {gid} lies in a range that /etc/subgid gives to {holder[1]!r}; {_ELSEWHERE}"
        return id_problem(gid) and f"gid {id_problem(gid)}"

    def new_uid(self) -> Optional[int]:
        """A uid for an account whose source names none; None when UID_MIN to UID_MAX is full."""
        span = (self._settings.uid_min, self._settings.uid_max)
        uid = self._free("subuid", span, self._subuids, self._uids)
        if uid is not None:
            self._uids.add(uid)
        return uid

    def new_gid(self) -> Optional[int]:
        """A gid that is nobody's uid either, so that it stays free for that user's private group."""
        span = (self._settings.gid_min, self._settings.gid_max)
        gid = self._free("subgid", span, self._subgids, self._gids, self._uids)
        if gid is not None:
            self._gids.add(gid)
        return gid

    def _free(self, kind: str, span: Tuple[int, int], ranges: SubordinateRanges, *used: Set[int]) -> Optional[int]:
        """The number after the highest one in use, as useradd does; when that is past the end, the lowest free."""
        first, last = span
        if kind not in self._next:
            self._next[kind] = max((item for item in chain(*used) if first <= item <= last), default=first - 1) + 1
        following = self._next[kind]
        if following is None:
            return None
        for candidate, end in ((following, last), (first, min(following - 1, last))):
            while candidate <= end:
                blocked = self._blocked_until(kind, candidate, ranges)
                if blocked is not None:
                    candidate = blocked + 1
                elif any(candidate in ids for ids in used):
                    candidate += 1
                else:
                    self._next[kind] = candidate + 1
                    for new_ranges in self._new_ranges.values():
                        new_ranges.avoid(candidate)
                    return candidate
        self._next[kind] = None
        return None

    def _blocked_until(self, kind: str, candidate: int, ranges: SubordinateRanges) -> Optional[int]:
        """The end of a block of ids that are never given out, if a candidate lies in one."""
        for first, last in (*((first, last) for first, last, _whose in RESERVED_IDS), CONTAINER_IDS):
            if first <= candidate <= last:
                return last
        holder = ranges.holder(candidate)
        return holder[0] if holder is not None else self._new_ranges[kind].end_of_given(candidate)

    def take(self, uid: int, username: str) -> None:
        self.users_of_uid[uid] = username
        self._uids.add(uid)

    def take_group(self, gid: int, name: str) -> None:
        self.groups_of_gid[gid] = name
        self._gids.add(gid)

    def gid_is_free(self, gid: int) -> bool:
        """Whether a private group may take the gid: nobody else has it or asks for it."""
        return gid not in self._gids and self.gid_problem(gid) is None

    def new_sub_range(self, kind: str) -> Optional[int]:
        """The first id of a new range of ``kind`` (subuid or subgid), or None when there is no room."""
        return self._new_ranges[kind].give()


def _holders(table: Table) -> Dict[int, str]:
    """Id to the first name that has it, of all lines that the C library may read."""
    holders: Dict[int, str] = {}
    for row in table.every_row():
        identifier = number(row[2])
        if identifier is not None:
            holders.setdefault(identifier, intern(row[0]))
    return holders
