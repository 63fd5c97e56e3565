# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One row of a CSV file, one person: what the cells say. Pure, but for the picture that a cell names.

An empty cell says nothing, but in the columns of lists and profiles, where it says: none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from .._roster.model import Avatar, Rejected, User
from .._roster.posix import hash_problem
from .._roster.text import shown
from .._roster.validation import FieldError, read_user, reject
from .csv_columns import PROFILE

_FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class Entry:
    """What one row became: a user, or a rejected record. ``picture`` says why the user's picture was left out."""

    user: Optional[User] = None
    rejected: Optional[Rejected] = None
    picture: Optional[Mapping[str, str]] = None


def read_entry(
    cells: Mapping[str, str],
    line: int,
    required: Sequence[str],
    place: Callable[[str], str],
    avatar: Callable[[str], Avatar],
) -> Entry:
    """A row's cells by field, with blanks around them taken away. ``place`` tells where the cell of a field stands,
    ``avatar`` finds the picture of a name or raises ValueError."""
    picture = None
    try:
        for field in required:
            if not cells[field]:
                raise FieldError(field, "is empty")
        fields = _fields(cells)
        name = fields.pop("avatar", None)
        user = read_user(fields)
    except FieldError as problem:
        return Entry(rejected=_rejected(cells, line, place, problem))
    if name is not None:
        try:
            user = replace(user, avatar=avatar(name))
        except ValueError as problem:
            # A person must not keep an account, or go without one, because of a picture.
            picture = {"name": user.label, "place": place("avatar"), "reason": f"{shown(name, 200)} {problem}"}
    return Entry(user=user, picture=picture)


def _fields(cells: Mapping[str, str]) -> Dict[str, Any]:
    """The fields of a roster record, before they are checked as such. Raises FieldError."""
    fields: Dict[str, Any] = {}
    profile: Dict[str, str] = {}
    for field, text in cells.items():
        if field.startswith(PROFILE):
            profile[field[len(PROFILE) :]] = text.replace("\r\n", "\n")
        elif field == "groups":
            fields[field] = [name.strip() for name in text.split(",") if name.strip()]
        elif field == "ssh_public_keys":
            fields[field] = [key.strip() for key in text.split("\n") if key.strip()]
        elif text:
            fields[field] = _value(field, text)
    if profile:
        fields["profile"] = profile
    return fields


def _value(field: str, text: str) -> Any:
    if field in ("enabled", "admin"):
        if text.casefold() not in _FLAGS:
            raise FieldError(field, f"is {shown(text)!r}: write yes or no, true or false, 1 or 0")
        return _FLAGS[text.casefold()]
    if field in ("uid", "gid"):
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
            raise FieldError(field, f"is {shown(text)!r}, not a decimal number")
        return int(text)
    if field == "password_hash" and hash_problem(text):
        # A column of passwords in clear text, most likely: the reason does not quote it.
        raise FieldError(field, str(hash_problem(text)))
    return text


def _rejected(cells: Mapping[str, str], line: int, place: Callable[[str], str], problem: FieldError) -> Rejected:
    entry = reject("user", cells, line, problem)
    where = place(problem.field) if problem.field in cells else f"line {line}"
    return replace(entry, record=entry.record and f"line {line}", reason=f"{where}: {problem.reason}")
