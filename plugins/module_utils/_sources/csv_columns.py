# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which column of a CSV file is which field, by its header. Pure.

Fields are those of a roster's user; ``profile.KEY`` is one entry of ``profile``. Headers are compared without regard to
case and to blanks around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .._errors import SourceError
from .._roster.text import shown
from .._roster.validation import USER_FIELDS
from .csv_text import Row, folded_header

PROFILE = "profile."
#: What can be in a column. The stable id is external_id, else username, else email.
FIELDS = tuple(field for field in USER_FIELDS if field not in ("id", "profile"))
#: The headers as pleio-profile-sync-client has them, where they are not the field's own name.
_HEADERS = {"full_name": "name"}


@dataclass(frozen=True)
class Columns:
    """Field to the index of its column, and the headers of columns that nothing reads."""

    of: Mapping[str, int]
    unused: Tuple[str, ...]


def flat(mapping: Mapping[str, Any]) -> Dict[str, Any]:
    """The option ``mapping``, whose ``profile`` is a mapping itself, with one entry a field."""
    fields = {field: header for field, header in mapping.items() if field != "profile"}
    profile = mapping.get("profile", {})
    if not isinstance(profile, Mapping):
        raise SourceError("mapping gives profile no mapping of a key to a header")
    fields.update({f"{PROFILE}{key}": header for key, header in profile.items()})
    return fields


def header_of(field: str, mapping: Mapping[str, str]) -> str:
    """The header that a field's column must have."""
    return mapping.get(field, _HEADERS.get(field, field))


def check_fields(mapping: Mapping[str, Any], required: Sequence[str]) -> None:
    """Raises SourceError when an option names no field, or a field's header is not a text."""
    for option, fields in (("mapping", list(mapping)), ("required", required)):
        for field in fields:
            if field not in FIELDS and not (field.startswith(PROFILE) and field != PROFILE):
                known = ", ".join(FIELDS)
                raise SourceError(f"{option} names {shown(field)!r}, which is no field; they are {known}, profile.KEY")
    for field, header in mapping.items():
        if not isinstance(header, str) or not header.strip():
            raise SourceError(f"mapping gives {field} no header")


def find_columns(name: str, row: Row, mapping: Mapping[str, str], required: Sequence[str]) -> Columns:
    """The columns of a file with this header. Raises SourceError, naming line and column."""
    header = row.cells
    places: Dict[str, int] = {}
    for index, title in enumerate(header):
        form = folded_header(title)
        where = f"{name}, line {row.line_of(index)}, column {index + 1}"
        if not form:
            raise SourceError(f"{where}: the column has no header: give it one, or remove it")
        if form in places:
            first = f"column {places[form] + 1} has the header {shown(title.strip())!r} too"
            raise SourceError(f"{where}: {first}: remove one of the two")
        places[form] = index
    fields = {field: header_of(field, mapping) for field in (*FIELDS, *mapping)}
    fields.update({field: header_of(field, mapping) for field in required})
    missing = [field for field in fields if field in mapping or field in required]
    missing = [field for field in missing if folded_header(fields[field]) not in places]
    if missing:
        raise SourceError(_missing(name, row, missing, fields))
    found = {field: places[folded_header(title)] for field, title in fields.items() if folded_header(title) in places}
    read = set(found.values())
    for form, index in places.items():
        if form.startswith(PROFILE) and form != PROFILE and index not in read:
            # The key as it is written: services tell Job from job.
            found[PROFILE + header[index].strip()[len(PROFILE) :].strip()] = index
            read.add(index)
    unused = tuple(shown(title.strip()) for index, title in enumerate(header) if index not in read)
    return Columns(found, unused)


def _missing(name: str, header: Row, missing: List[str], fields: Mapping[str, str]) -> str:
    wanted = ", ".join(repr(shown(fields[field])) for field in missing)
    there = ", ".join(repr(shown(title.strip())) for title in header.cells[:20])
    return (
        f"{name}, line {header.line}, column {len(header.cells) + 1}: there is no column {wanted}. "
        f"The file has {there}. Say in mapping which headers mean what, or in required what has to be there"
    )
