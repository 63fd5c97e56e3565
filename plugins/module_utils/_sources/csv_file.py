# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CSV file made a roster. It is read row by row: what is kept is the people, never the text."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO, Dict, Iterator, List, Mapping, Optional, Sequence

from .._errors import SourceError
from .._roster.model import Group, Rejected, User
from .._roster.text import folded
from .._roster.validation import build
from .csv_columns import check_fields, find_columns, header_of
from .csv_people import Entry, read_entry
from .csv_text import ENCODINGS, CsvLines, Row, detect_delimiter, folded_header
from .ids import DERIVE, IdSettings
from .pictures import PictureFolder
from .reading import Reading


@dataclass(frozen=True)
class CsvSettings:
    """What the module's options of the same names say. ``delimiter`` None: the header tells."""

    ids: IdSettings = field(default_factory=IdSettings)
    delimiter: Optional[str] = None
    encoding: str = "utf-8"
    mapping: Mapping[str, str] = field(default_factory=dict)
    required: Sequence[str] = ("full_name", "email")
    avatar_max_bytes: int = 2621440
    allow_empty: bool = False

    def check(self) -> None:
        """Raises SourceError when an option can't be meant so."""
        self.ids.check()
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0 \ufeff'):
            raise SourceError("delimiter is not one character that can stand between cells")
        if self.encoding not in ENCODINGS:
            raise SourceError(f"encoding is none of {', '.join(ENCODINGS)}")
        if self.avatar_max_bytes < 1:
            raise SourceError("avatar_max_bytes must be 1 or more")
        check_fields(self.mapping, self.required)


class CsvPeople:
    """The people of a CSV file, one at a time. The header is read, and has to be right, before the first of them."""

    def __init__(self, file: BinaryIO, name: str, settings: CsvSettings, pictures: PictureFolder) -> None:
        self._settings = settings
        self._pictures = pictures
        self._lines = CsvLines(file, name, ENCODINGS[settings.encoding])
        first = self._lines.peek()
        if not first:
            raise SourceError(f"{name}, line 1, column 1: the file is empty; its first line has to name the columns")
        wanted = [folded_header(header_of(each, settings.mapping)) for each in (*settings.required, *settings.mapping)]
        self._lines.delimiter = settings.delimiter or detect_delimiter(first, wanted)
        self._rows = self._lines.rows()
        header = next(self._rows, None)
        if header is None:
            raise SourceError(f"{name}, line 1, column 1: the file has no header, which names the columns")
        self._lines.header = header.cells
        self.columns = find_columns(name, header, settings.mapping, settings.required)

    def __iter__(self) -> Iterator[Entry]:
        """Raises SourceError where the structure of the file breaks: what was read until then counts for nothing."""
        for row in self._rows:
            self._check_length(row)
            cells = {name: row.cells[index].strip() for name, index in self.columns.of.items()}
            place = partial(self._place_of, row)
            yield read_entry(cells, row.line, self._settings.required, place, self._pictures.avatar)

    def _place_of(self, row: Row, name: str) -> str:
        return self._place(row, self.columns.of[name])

    def _place(self, row: Row, index: int) -> str:
        return self._lines.place(row.line_of(index), index)

    def _check_length(self, row: Row) -> None:
        given, wanted = len(row.cells), len(self._lines.header)
        if given == wanted:
            return
        what = f"the row has {given} cells, and the header {wanted}"
        advice = f"A cell that holds {self._lines.delimiter!r} or a line break has to stand in quotes"
        raise SourceError(f"{self._lines.name}, {self._place(row, min(given, wanted))}: {what}. {advice}")


def fetch(path: str, settings: CsvSettings) -> Reading:
    """Read a file. Raises SourceError, in words that say where it is wrong and what to do."""
    settings.check()
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(number, "rb") as file:
            before = os.fstat(number)
            if not stat.S_ISREG(before.st_mode):
                raise SourceError(f"{path} is no regular file: give the path of a CSV file")
            pictures = PictureFolder(os.path.dirname(os.path.abspath(path)), settings.avatar_max_bytes)
            reading = read(CsvPeople(file, path, settings, pictures), path, settings)
            after = os.fstat(number)
    except OSError as problem:
        raise SourceError(f"{path} can't be read: {problem.strerror}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceError(f"{path} changed while it was read: write it under another name first, and rename it then")
    return reading


def read(people: CsvPeople, path: str, settings: CsvSettings) -> Reading:
    """The people of a file made a roster.

    The reading's details: ``unused_columns``, headers; ``avatars_left_out``, mappings of name, place and reason.
    """
    users: List[User] = []
    rejected: List[Rejected] = []
    left_out: List[Dict[str, str]] = []
    for entry in people:
        if entry.user is not None:
            users.append(entry.user)
        if entry.rejected is not None:
            rejected.append(entry.rejected)
        if entry.picture is not None:
            left_out.append(dict(entry.picture))
    records = len(users) + len(rejected)
    if not records and not settings.allow_empty:
        raise SourceError(f"{path} lists nobody at all: it ends behind its header. If that is so, set allow_empty=true")
    if settings.ids.uid_policy == DERIVE:
        # Over every id, also of records rejected today: that a person becomes usable shifts nobody else's uid.
        uids = settings.ids.uids([*(user.id for user in users), *(entry.id for entry in rejected if entry.id)])
        users = [replace(user, uid=uids[user.id]) for user in users]
    roster = build({"kind": "csv", "path": os.path.abspath(path)}, users, _groups(users, settings.ids), rejected)
    unused = people.columns.unused
    warnings = list(_warnings(path, unused, left_out))
    if records and not roster.users:
        warnings.append(f"none of the {records} records of {path} can be used; rejected says why for each")
    details = {"unused_columns": list(unused), "avatars_left_out": left_out}
    return Reading(roster, records, tuple(warnings), details)


def _groups(users: Sequence[User], ids: IdSettings) -> List[Group]:
    """The groups that are given a gid; the roster adds the others by itself."""
    if ids.gid_policy != DERIVE:
        return []
    spelled: Dict[str, str] = {}
    for name in sorted({name for user in users for name in user.groups or ()}):
        spelled.setdefault(folded(name), name)
    gids = ids.gids(spelled.values())
    return [Group(name, gid=gids[form]) for form, name in spelled.items()]


def _warnings(path: str, unused: Sequence[str], left_out: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if unused:
        yield f"{path} has columns that nothing reads: {_some(unused, ', ')}. mapping gives them a meaning"
    if left_out:
        pictures = [f"{entry['name']} ({entry['place']}): {entry['reason']}" for entry in left_out]
        yield f"pictures that can't be used were left out, their people were not: {_some(pictures, '; ')}"


def _some(texts: Sequence[str], separator: str) -> str:
    return separator.join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
