# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an undo is asked, what it comes to, and the draft that its parts fill. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import AbstractSet, Dict, List, Mapping, Optional, Set, Tuple

from .._outcome import Failure
from .files import Contents
from .ledger import Ledger
from .lines import LineFile, row_of
from .record import Record
from .tables import WIDTHS, Table, number


@dataclass(frozen=True)
class Bounds:
    """What an undo must not touch: accounts below ``uid_min``, and ``protected`` (user name to the reason).

    Accounts with a uid of ``busy`` have processes, and are not removed. ``today`` is in days since 1970.
    """

    protected: Mapping[str, str]
    uid_min: int = 1000
    busy: AbstractSet[int] = frozenset()
    today: int = 0


@dataclass(frozen=True)
class Kept:
    """What an undo left as it is now, and why. Never a value: it may be a secret."""

    kind: str
    name: str
    field: str
    reason: str

    def as_dict(self) -> Dict[str, str]:
        return dict(vars(self))


@dataclass(frozen=True)
class LeftHome:
    """A home whose account is gone."""

    name: str
    home: str

    def as_dict(self) -> Dict[str, str]:
        return dict(vars(self))


@dataclass(frozen=True)
class Move:
    """An account that gets its former name or home back: from ``now`` and ``home`` to ``username`` and ``former``."""

    username: str
    now: str
    uid: int
    home: str
    former: str


@dataclass
class Undone:
    """All that an undo would do. ``contents`` are all account files, also those that stay."""

    contents: Contents
    ledger: Ledger
    failed: List[Failure] = field(default_factory=list)
    kept: List[Kept] = field(default_factory=list)
    #: accounts that go, and accounts that come back; a renamed one is both
    leaving: Set[str] = field(default_factory=set)
    returning: Set[str] = field(default_factory=set)
    homes_left: List[LeftHome] = field(default_factory=list)
    #: user name to the archive of the home
    archives: Dict[str, str] = field(default_factory=dict)
    moves: List[Move] = field(default_factory=list)


class Draft:
    """An undo being made. ``now`` is what the files become, ``then`` what they were when it began."""

    def __init__(self, contents: Contents, record: Record, bounds: Bounds) -> None:
        self.record = record
        self.bounds = bounds
        self.now = {name: LineFile(name, content) for name, content in contents.items() if content is not None}
        self.then = {name: LineFile(name, content) for name, content in contents.items() if content is not None}
        self.before = {name: LineFile(name, content) for name, content in record.before.items() if content is not None}
        #: (kind, name) to why that record is not undone
        self.failed: Dict[Tuple[str, str], str] = {}
        self.kept: List[Kept] = []
        #: accounts that go, with their home, and accounts that come back
        self.leaving: Dict[str, str] = {}
        self.returning: Set[str] = set()
        self.leaving_groups: Set[str] = set()
        self.returning_groups: Set[str] = set()
        #: names whose account stays as it is, and those whose lock and expiry do
        self.left_alone: Set[str] = set()
        self.access_kept: Set[str] = set()
        #: uid to the names of the accounts that have it now, also by lines that are not well-formed
        self.uid_holders: Dict[int, Set[str]] = {}
        for row in Table(contents.get("passwd") or b"", WIDTHS["passwd"]).every_row():
            uid = number(row[2])
            if uid is not None:
                self.uid_holders.setdefault(uid, set()).add(row[0].strip())

    def lines(self, file: str, name: str) -> Tuple[List[str], List[str], List[str]]:
        """(before, after, now) of a name's lines. What the run did not change was the same after it."""
        before = self.before[file].get(name) if file in self.before else []
        pair = self.record.lines.get(file, {}).get(name)
        now = self.then[file].get(name) if file in self.then else []
        return (before, before, now) if pair is None else (pair[0], pair[1], now)

    def rows(self, file: str, name: str) -> Tuple[Optional[List[str]], Optional[List[str]], Optional[List[str]]]:
        """As ``lines``, the line that counts."""
        before, after, now = (row_of(lines, name, WIDTHS[file]) for lines in self.lines(file, name))
        return before, after, now

    def names(self, *files: str) -> List[str]:
        """The names whose lines the run changed in one of the files, sorted."""
        return sorted({name for file in files if file in self.now for name in self.record.lines.get(file, ())})

    def put(self, file: str, name: str, lines: List[str]) -> None:
        if file in self.now:
            self.now[file].put(name, lines)

    def fail(self, kind: str, name: str, reason: str) -> None:
        self.failed[(kind, name)] = reason
        if kind == "user":
            self.left_alone.add(name)

    def keep(self, kind: str, name: str, what: str, reason: str) -> None:
        self.kept.append(Kept(kind, name, what, reason))

    def protection(self, name: str) -> Optional[str]:
        """Why an account may never be changed, or None."""
        reason = self.bounds.protected.get(name)
        if reason:
            return reason
        for row in self.rows("passwd", name):
            if row is not None:
                uid = number(row[2])
                if uid is None or uid < self.bounds.uid_min:
                    return f"is a system account (uid {row[2]})"
        return None
