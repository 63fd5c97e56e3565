# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""passwd, group, shadow, gshadow, subuid and subgid as tables whose untouched lines stay as they are, byte for byte.

Comments, malformed lines, NIS ``+`` and ``-`` lines and the order of lines are kept. Fields are text; bytes that are
not UTF-8 survive by the surrogateescape handler.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from itertools import chain
from sys import intern
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

#: Fields a line, by file name (passwd(5), group(5), shadow(5), gshadow(5), subuid(5)).
WIDTHS = {"passwd": 7, "group": 4, "shadow": 9, "gshadow": 4, "subuid": 3, "subgid": 3}
#: What the C library's strtoul takes for a number, of at most 32 bits, and the end of a line from another system.
_LENIENT_NUMBER = re.compile(r"[ \t\v\f\r]*\+?([0-9]{1,10})\r?")


class Table:
    """One file's lines. A name's first well-formed line is the one that counts, as for getpwnam(3)."""

    def __init__(self, content: bytes, width: int) -> None:
        self.width = width
        self.original = content
        text = content.decode("utf-8", "surrogateescape")
        self._lines: List[Optional[str]] = list(text.split("\n"))
        if self._lines[-1] == "":
            self._lines.pop()
        self._index: Dict[str, int] = {}
        # Lines that are not a name's first well-formed one: further ones, and malformed ones by what looks like a name.
        self._further: Dict[str, List[int]] = {}
        self._malformed: Dict[str, List[int]] = {}
        self._end = len(self._lines)
        self._added: List[str] = []
        self._changed = False
        colons = width - 1
        for number, line in enumerate(self._lines):
            if not line or line[0] in "#+-":
                if line and line[0] in "+-" and self._end == len(self._lines):
                    self._end = number
                continue
            # A name stands in four files and several indexes: kept once, 100,000 of them take 30 MB less.
            name = intern(line.partition(":")[0])
            if line.count(":") != colons or name != name.lstrip():
                self._malformed.setdefault(name.strip(), []).append(number)
            elif self._index.setdefault(name, number) != number:
                self._further.setdefault(name, []).append(number)

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def __len__(self) -> int:
        return len(self._index)

    def names(self) -> Iterator[str]:
        return iter(self._index)

    def get(self, name: str) -> Optional[List[str]]:
        """A copy of the fields of a name's line."""
        number = self._index.get(name)
        if number is None:
            return None
        return self._line(number).split(":")

    def row(self, name: str) -> List[str]:
        """As ``get``, for a name that is there."""
        return self._line(self._index[name]).split(":")

    def rows(self) -> Iterator[List[str]]:
        for number in self._index.values():
            yield self._line(number).split(":")

    def numbers(self, place: int) -> Dict[str, Optional[int]]:
        """Name to the number in one field of its line."""
        return {name: number(self._line(each).split(":", place + 1)[place]) for name, each in self._index.items()}

    def every_row(self) -> Iterator[List[str]]:
        """All lines with at least three fields, also malformed ones and further ones of a name: the C library reads
        ``anna:x:1000:1000`` as an account, and subuid and subgid give each line its own meaning."""
        for line in chain(self._lines, self._added):
            if line and line[0] not in "#+-":
                row = line.lstrip().split(":")
                if len(row) >= 3:
                    yield row

    def is_malformed(self, name: str) -> bool:
        """Whether a line looks like this name's, but is not well-formed; the C library may read it all the same."""
        return name in self._malformed

    def drop_malformed(self, name: str) -> None:
        for number in self._malformed.pop(name, ()):
            self._lines[number] = None
            self._changed = True

    def _line(self, number: int) -> str:
        # The index never points at a line that was removed.
        return (self._lines[number] if number >= 0 else self._added[-number - 1]) or ""

    def put(self, row: Sequence[str]) -> None:
        """Replace a name's line, or add one after all others but before the first NIS line."""
        line, name = ":".join(row), row[0]
        number = self._index.get(name)
        if (
            len(row) != self.width
            or line.count(":") != self.width - 1
            or "\n" in line
            or (number is None and (name != name.strip() or name[:1] in ("", "#", "+", "-")))
        ):
            raise ValueError(f"a row of {self.width} fields can't be made of what was given for {name!r}")
        if number is None:
            self._added.append(line)
            self._index[name] = -len(self._added)
            self._changed = True
        elif line != self._line(number):
            if number >= 0:
                self._lines[number] = line
            else:
                self._added[-number - 1] = line
            self._changed = True

    def remove(self, name: str) -> None:
        """Remove all well-formed lines of a name: a second one would come to life without the first."""
        for number in (self._index.pop(name), *self._further.pop(name, ())):
            if number >= 0:
                self._lines[number] = None
            else:
                self._added[-number - 1] = ""
        self._changed = True

    def rename(self, old: str, new: str) -> None:
        """Give all well-formed lines of a name to another name, each in its place. The new name has none yet."""
        number = self._index.pop(old)
        further = self._further.pop(old, [])
        for each in (number, *further):
            line = new + self._line(each)[len(old) :]
            if each >= 0:
                self._lines[each] = line
            else:
                self._added[-each - 1] = line
        self._index[new] = number
        if further:
            self._further[new] = further
        self._changed = True

    @property
    def changed(self) -> bool:
        return self._changed and self.content() != self.original

    def content(self) -> bytes:
        if not self._changed:
            return self.original
        lines = self._lines[: self._end] + [line for line in self._added if line] + self._lines[self._end :]
        text = "\n".join([*(line for line in lines if line is not None), ""])
        return text.encode("utf-8", "surrogateescape")


@dataclass
class Accounts:
    """The account files of one host. Files that the host does not have are None."""

    passwd: Table
    group: Table
    shadow: Table
    gshadow: Optional[Table] = None
    subuid: Optional[Table] = None
    subgid: Optional[Table] = None

    def tables(self) -> Iterator[Tuple[str, Table]]:
        """(file name, table) in the order of a commit: a crash between two files must heal on the next run, so what
        passwd refers to is there first."""
        for name in ("group", "gshadow", "subuid", "subgid", "shadow", "passwd"):
            table = getattr(self, name)
            if table is not None:
                yield name, table

    @classmethod
    def parse(cls, contents: Dict[str, Optional[bytes]]) -> Accounts:
        tables = {}
        for entry in fields(cls):
            content = contents.get(entry.name)
            if content is not None:
                tables[entry.name] = Table(content, WIDTHS[entry.name])
        return cls(**tables)

    def pristine(self) -> Accounts:
        """The files as they were before any change."""
        return Accounts.parse({name: table.original for name, table in self.tables()})

    def contents(self) -> Dict[str, bytes]:
        return {name: table.content() for name, table in self.tables()}


def members(row: Sequence[str]) -> List[str]:
    """The members in the last field of a group or gshadow line."""
    return [name for name in row[3].split(",") if name]


def number(text: str) -> Optional[int]:
    """A uid or gid as the C library reads it, or None for what is no id."""
    # Nearly every one is plain digits, and this is asked several times an account.
    if len(text) <= 10 and text.isdigit() and text.isascii():
        return int(text)
    found = _LENIENT_NUMBER.fullmatch(text)
    return int(found.group(1)) if found else None


def inconsistencies(before: Accounts, after: Accounts, expected: Set[str], forbidden: Sequence[str]) -> List[str]:
    """What is wrong with account files about to be written; empty when all is well.

    ``expected`` holds the user names that the new passwd must have, ``forbidden`` names whose lines must be as before.
    Both sides are parsed from bytes, so this sees what the C library will see.
    """
    problems = []
    if set(after.passwd.names()) != expected:
        wrong = sorted(set(after.passwd.names()) ^ expected)[:5]
        problems.append(f"passwd does not hold the planned names ({', '.join(wrong)})")
    for name in forbidden:
        for label, old, new in (("passwd", before.passwd, after.passwd), ("shadow", before.shadow, after.shadow)):
            if old.get(name) != new.get(name):
                problems.append(f"{label} would change the protected account {name}")
    old_double = _shared_ids(before.passwd)
    for uid in sorted(_shared_ids(after.passwd) - old_double):
        problems.append(f"uid {uid} would be shared")
    superusers = [row[0] for row in after.passwd.rows() if number(row[2]) == 0]
    if superusers != [row[0] for row in before.passwd.rows() if number(row[2]) == 0]:
        problems.append("the accounts with uid 0 would change")
    for old, new in ((before.passwd, after.passwd), (before.shadow, after.shadow)):
        for row in new.rows():
            if row[1] == "" and (old.get(row[0]) or ["", "new"])[1] != "":
                problems.append(f"{row[0]} would have an empty password")
    return problems


def _shared_ids(table: Table) -> Set[int]:
    seen: Set[int] = set()
    shared: Set[int] = set()
    for row in table.every_row():
        uid = number(row[2])
        if uid is not None:
            (shared if uid in seen else seen).add(uid)
    return shared
