# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three-way merges for an undo: before the run, after it, and now. What somebody else changed since stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Collection, Dict, List, Sequence, Tuple

from .lines import row_of
from .tables import WIDTHS

#: File to what of a row is one thing: (what it is called in a report, its fields). A shadow row is taken apart first.
_FIELDS: Dict[str, Sequence[Tuple[str, Tuple[int, ...]]]] = {
    "passwd": (
        ("password_in_shadow", (1,)),
        ("uid", (2,)),
        ("gid", (3,)),
        ("full_name", (4,)),
        ("home", (5,)),
        ("shell", (6,)),
    ),
    # The lock with the expiry: the one without the other neither keeps a person out nor lets him in. The hash with the
    # day on which it was set.
    "shadow": (
        ("enabled", (1, 8)),
        ("password_hash", (2, 3)),
        ("password_min_days", (4,)),
        ("password_max_days", (5,)),
        ("password_warn_days", (6,)),
        ("inactive_days", (7,)),
        ("flag", (9,)),
    ),
    "group": (("password", (1,)), ("gid", (2,))),
    "gshadow": (("password", (1,)),),
}
#: Fields that list names.
_NAMES: Dict[str, Sequence[int]] = {"group": (3,), "gshadow": (2, 3)}
Row = List[str]


@dataclass
class Merged:
    """A name's lines as the undo would have them, and what of them stays because somebody changed it since."""

    lines: List[str]
    kept: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Members:
    """Whose memberships an undo may take away and give back."""

    may_leave: Callable[[str], bool]
    may_return: Callable[[str], bool]
    #: accounts that are gone after the undo, whoever made them members
    leaving: Collection[str] = ()


def merge_lines(file: str, name: str, before: List[str], after: List[str], now: List[str]) -> Merged:
    """The lines of one user in passwd, shadow, subuid or subgid."""
    if after == before or now == before:
        return Merged(now)
    if now == after:
        merged = Merged(before)
    elif file in ("subuid", "subgid"):
        merged = Merged(
            [line for line in now if line in before or line not in after]
            + [line for line in before if line not in now and line not in after]
        )
    elif all(_is_one_row(file, name, lines) for lines in (before, after, now)):
        rows = [_apart(file, lines[0].split(":")) for lines in (before, after, now)]
        row, kept = _merge_row(file, *rows)
        merged = Merged([":".join(_together(file, row))], kept)
    else:
        return Merged(now, [file])
    return _with_password(file, name, merged, now) if file in ("passwd", "shadow") else merged


def merge_group(file: str, name: str, before: List[str], after: List[str], now: List[str], members: Members) -> Merged:
    """The lines of one group in group or gshadow."""
    if after == before or now == before:
        return Merged(now)
    if not all(_is_one_row(file, name, lines) for lines in (before, after, now)):
        return Merged(before) if now == after else Merged(now, [file])
    rows = [lines[0].split(":") for lines in (before, after, now)]
    row, kept = _merge_row(file, *rows)
    for index in _NAMES[file]:
        old, new, current = (_names(each[index]) for each in rows)
        if old != new:
            merged = _merge_names(old, new, current, members)
            row[index] = rows[0][index] if merged == old else ",".join(merged)
    return Merged([":".join(row)], kept)


def returning(file: str, lines: List[str], members: Members) -> List[str]:
    """A group's lines that come back whole, without names that may not."""
    found = []
    for line in lines:
        row = line.split(":")
        if len(row) == WIDTHS[file]:
            for index in _NAMES[file]:
                row[index] = ",".join(name for name in _names(row[index]) if members.may_return(name))
        found.append(":".join(row))
    return found


def _merge_names(old: List[str], new: List[str], current: List[str], members: Members) -> List[str]:
    """In the old order if nobody else changed anything, else in the present one."""

    def comes(name: str) -> bool:
        return name in new or members.may_return(name)

    def stays(name: str) -> bool:
        return name in old or ((name not in new or not members.may_leave(name)) and name not in members.leaving)

    if current == new:
        return [name for name in old if comes(name)] + [name for name in new if name not in old and stays(name)]
    kept = [name for name in current if stays(name)]
    return kept + [name for name in old if name not in kept and name not in new and comes(name)]


def _merge_row(file: str, before: Row, after: Row, now: Row) -> Tuple[Row, List[str]]:
    merged, kept = list(now), []
    for title, indexes in _FIELDS[file]:
        old, new, current = ([row[index] for index in indexes] for row in (before, after, now))
        if current in (old, new):
            if current != old:
                for index, value in zip(indexes, old):
                    merged[index] = value
        elif old != new:
            kept.append(title)
    return merged, kept


def _with_password(file: str, name: str, merged: Merged, now: List[str]) -> Merged:
    """An undo never brings an empty password back: anybody could log in with it."""
    row, current = row_of(merged.lines, name, WIDTHS[file]), row_of(now, name, WIDTHS[file])
    if row is None or row[1] != "" or (current is not None and current[1] == ""):
        return merged
    place = merged.lines.index(":".join(row))
    row[1] = current[1] if current is not None else "x" if file == "passwd" else "*"
    lines = [*merged.lines[:place], ":".join(row), *merged.lines[place + 1 :]]
    title = "password_in_shadow" if file == "passwd" else "password_hash"
    return Merged(lines, [*merged.kept, *([] if title in merged.kept else [title])])


def _is_one_row(file: str, name: str, lines: List[str]) -> bool:
    return len(lines) == 1 and row_of(lines, name, WIDTHS[file]) is not None


def _apart(file: str, row: Row) -> Row:
    """A shadow row with its lock as a field of its own, before the hash and after the name."""
    if file != "shadow":
        return row
    bare = row[1].lstrip("!")
    return [row[0], row[1][: len(row[1]) - len(bare)], bare, *row[2:]]


def _together(file: str, row: Row) -> Row:
    return row if file != "shadow" else [row[0], row[1] + row[2], *row[3:]]


def _names(text: str) -> List[str]:
    return [name for name in text.split(",") if name]
