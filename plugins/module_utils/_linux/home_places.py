# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose home is where: no new home may be another account's, lie in it, or hold it."""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import Dict, Optional, Tuple

from .._roster.posix import home_problem
from .tables import Table, number


class HomePlaces:
    """The homes of a host's people. Whoever calls ``/home``, ``/srv`` or ``/nonexistent`` home has none."""

    def __init__(self, passwd: Table, uid_min: int) -> None:
        self._owners: Dict[str, str] = {}
        self._above: Dict[str, str] = {}
        for row in passwd.rows():
            if (number(row[2]) or 0) >= uid_min and not home_problem(row[5].rstrip("/")):
                self.take(row[5], intern(row[0]))

    def take(self, path: str, username: str) -> None:
        """``path`` is one that ``home_problem`` has nothing against."""
        path = path.rstrip("/")
        if path == "/nonexistent":
            return
        self._owners.setdefault(path, username)
        for folder in _folders_above(path):
            self._above.setdefault(folder, username)

    def rename(self, path: str, old: str, new: str) -> None:
        """The account whose home this is has another name from now on."""
        path = path.rstrip("/")
        for places, folders in ((self._owners, (path,)), (self._above, _folders_above(path))):
            for folder in folders:
                if places.get(folder) == old:
                    places[folder] = new

    def problem(self, path: str, username: str) -> Optional[str]:
        """Why a user can't have this home."""
        path = path.rstrip("/")
        for place in (path, *_folders_above(path)):
            owner = self._owners.get(place, username)
            if owner != username:
                return f"{path} is or lies in the home of {owner!r}"
        holder = self._above.get(path, username)
        if holder != username:
            return f"{path} holds the home of {holder!r}"
        return None


def _folders_above(path: str) -> Tuple[str, ...]:
    return _with_those_above(path.rpartition("/")[0])


@lru_cache(maxsize=1024)
def _with_those_above(folder: str) -> Tuple[str, ...]:
    """A folder and those that it lies in, but for the root. Most homes lie in the same one."""
    return (folder, *_with_those_above(folder.rpartition("/")[0])) if folder else ()
