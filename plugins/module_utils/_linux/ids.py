# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which uids, gids and subordinate ids are free on a host."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain
from typing import Dict, Iterable, List, Optional, Set, Tuple

from .._roster.posix import CONTAINER_IDS, id_problem
from .settings import Settings
from .tables import Accounts, Table, number


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

    def owner(self, identifier: int) -> Optional[str]:
        """Whose range an id lies in: that user could become it in a user namespace."""
        position = bisect_right(self._starts, identifier) - 1
        if position >= 0 and self._reach[position][0] >= identifier:
            return self._reach[position][1]
        return None

    def end(self) -> int:
        return self._reach[-1][0] if self._reach else -1


class Ids:
    """Free ids, given out in a stable order. ``wanted`` are ids that the roster or the ledger names: never given to
    anyone else."""

    def __init__(self, accounts: Accounts, settings: Settings, wanted_uids: Iterable[int], wanted_gids: Iterable[int]):
        self._settings = settings
        self.users_of_uid = {number(row[2]): row[0] for row in accounts.passwd.rows()}
        self.groups_of_gid = {number(row[2]): row[0] for row in accounts.group.rows()}
        self._uids: Set[int] = {uid for uid in self.users_of_uid if uid is not None} | set(wanted_uids)
        self._gids: Set[int] = {gid for gid in self.groups_of_gid if gid is not None} | set(wanted_gids)
        self._gids.update(gid for gid in (number(row[3]) for row in accounts.passwd.rows()) if gid is not None)
        self._subuids = SubordinateRanges(accounts.subuid)
        self._subgids = SubordinateRanges(accounts.subgid)
        self._next_sub = {
            "subuid": max(settings.sub_id_min, self._subuids.end() + 1),
            "subgid": max(settings.sub_id_min, self._subgids.end() + 1),
        }
        self._next: Dict[str, int] = {}
        self._taken: List[int] = sorted(self._uids | self._gids)

    def uid_problem(self, uid: int) -> Optional[str]:
        """Why a new account can't have this uid."""
        holder = self.users_of_uid.get(uid)
        if holder is not None:
            return f"uid {uid} belongs to the account {holder!r} of this host"
        owner = self._subuids.owner(uid)
        if owner is not None:
            return f"uid {uid} lies in a range that /etc/subuid gives to {owner!r}"
        return id_problem(uid) and f"uid {id_problem(uid)}"

    def gid_problem(self, gid: int) -> Optional[str]:
        """Why a new group can't have this gid."""
        holder = self.groups_of_gid.get(gid)
        if holder is not None:
            return f"gid {gid} belongs to the group {holder!r} of this host"
        owner = self._subgids.owner(gid)
        if owner is not None:
            return f"gid {gid} lies in a range that /etc/subgid gives to {owner!r}"
        return id_problem(gid) and f"gid {id_problem(gid)}"

    def new_uid(self) -> Optional[int]:
        """A uid for an account whose source names none; None when UID_MIN to UID_MAX is full."""
        uid = self._free("uid", self._uids, self._settings.uid_min, self._settings.uid_max, self._subuids)
        if uid is not None:
            self._uids.add(uid)
        return uid

    def new_gid(self) -> Optional[int]:
        """A gid that is nobody's uid either, so that it stays free for that user's private group."""
        used = self._gids | self._uids
        gid = self._free("gid", used, self._settings.gid_min, self._settings.gid_max, self._subgids)
        if gid is not None:
            self._gids.add(gid)
        return gid

    def _free(self, kind: str, used: Set[int], first: int, last: int, ranges: SubordinateRanges) -> Optional[int]:
        """The number after the highest one in use, as useradd does; when that is past the end, the lowest free."""
        if kind not in self._next:
            self._next[kind] = max((item for item in used if first <= item <= last), default=first - 1) + 1
        following = self._next[kind]
        for candidate in chain(range(following, last + 1), range(first, following)):
            if (
                candidate not in used
                and id_problem(candidate) is None
                and not CONTAINER_IDS[0] <= candidate <= CONTAINER_IDS[1]
                and ranges.owner(candidate) is None
            ):
                self._next[kind] = candidate + 1
                return candidate
        return None

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
        """The first id of a new range of ``kind`` (subuid or subgid) that holds no account's or group's own id."""
        count = self._settings.sub_id_count
        first = self._next_sub[kind]
        while first + count - 1 <= self._settings.sub_id_max:
            position = bisect_left(self._taken, first)
            if position == len(self._taken) or self._taken[position] >= first + count:
                self._next_sub[kind] = first + count
                return first
            first = self._taken[position] + 1
        return None
