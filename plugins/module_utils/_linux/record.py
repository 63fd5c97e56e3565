# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one run changed in the account files, line by line. Pure; ``snapshots`` keeps the files on the disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Set, Tuple

from .._outcome import DONE, Change, Outcome
from .._version import VERSION
from .files import Contents
from .ledger import Ledger
from .lines import LineFile, row_of
from .tables import WIDTHS, number

FORMAT = "identity.roster.snapshot/1"
COUNTS = (*DONE, "groups")

#: file name to name to (lines before, lines after). Mostly one line or none; subuid may have several of a name.
Lines = Dict[str, Dict[str, Tuple[List[str], List[str]]]]


@dataclass(frozen=True)
class Record:
    """``before`` is all account files as they were, ``after`` the SHA-256 of those that the run replaced."""

    before: Contents
    lines: Lines
    after: Mapping[str, str]
    ledger_before: Ledger
    ledger_after: Ledger


@dataclass(frozen=True)
class Summary:
    """``time`` is in seconds since 1970; ``counts`` says how many users and groups were changed in which way;
    ``before`` and ``after`` are the SHA-256 of all account files before the run, and of those that it replaced."""

    time: float
    counts: Mapping[str, int]
    before: Mapping[str, str]
    after: Mapping[str, str]


def changed_lines(before: Contents, after: Mapping[str, bytes]) -> Lines:
    """The lines of each name that differ."""
    found: Lines = {}
    for name, content in after.items():
        old, new = LineFile(name, before.get(name) or b""), LineFile(name, content)
        keys = dict.fromkeys([*old.names(), *new.names()])
        pairs = ((key, (old.get(key), new.get(key))) for key in keys)
        found[name] = {key: pair for key, pair in pairs if pair[0] != pair[1]}
    return found


def digests(contents: Mapping[str, Optional[bytes]]) -> Dict[str, str]:
    """The SHA-256 of each file that is there."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if content is not None}


def count_changes(changes: List[Change]) -> Dict[str, int]:
    """Users by what happens to each, as in the contract's summary, and how many groups change, members included."""
    groups: Set[str] = set()
    for change in changes:
        if change.kind == "group":
            groups.add(change.name)
        if "groups" in change.fields:
            before, after = change.fields["groups"]
            groups |= set(before or ()) ^ set(after or ())
        if "admin" in change.fields:
            groups.add("the admin group")
    summary = Outcome(changes).summary()
    return {**{name: summary[name] for name in DONE}, "groups": len(groups)}


def _row(file: str, lines: Lines, name: str, index: int) -> Optional[List[str]]:
    pair = lines.get(file, {}).get(name)
    return None if pair is None else row_of(pair[index], name, WIDTHS[file])


def renames(lines: Lines) -> Dict[str, str]:
    """New name to old name of accounts that kept their uid."""
    gone, come = {}, {}
    for name in lines.get("passwd", ()):
        old, new = _row("passwd", lines, name, 0), _row("passwd", lines, name, 1)
        if old is not None and new is None:
            gone[number(old[2])] = name
        elif new is not None and old is None:
            come[name] = number(new[2])
    return {name: gone[uid] for name, uid in come.items() if uid in gone}


def serialise_summary(summary: Summary) -> bytes:
    document = {"format": FORMAT, "version": VERSION, **vars(summary)}
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def parse_summary(content: Optional[bytes]) -> Optional[Summary]:
    """None for anything that is not one."""
    try:
        document = json.loads((content or b"").decode("utf-8"))
        time, counts, before, after = (document[key] for key in ("time", "counts", "before", "after"))
        whole = all(isinstance(counts[name], int) for name in COUNTS)
        known = {*before, *after} <= set(WIDTHS)
        known = known and all(isinstance(digest, str) for digest in (*before.values(), *after.values()))
        if document["format"] != FORMAT or isinstance(time, bool) or not isinstance(time, (int, float)):
            return None
        return Summary(float(time), {name: counts[name] for name in COUNTS}, before, after) if whole and known else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
