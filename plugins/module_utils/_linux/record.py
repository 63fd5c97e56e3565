# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one run changed in the account files, line by line. Pure; ``snapshots`` keeps it on the disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._version import VERSION
from .files import Contents
from .ledger import Ledger
from .lines import LineFile, row_of
from .plan_access import EXPIRED
from .tables import WIDTHS, number

FORMAT = "identity.roster.snapshot/1"
COUNTS = ("created", "updated", "enabled", "disabled", "removed", "groups")

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
    """``time`` is in seconds since 1970; ``counts`` says how many users and groups were changed in which way."""

    time: float
    counts: Mapping[str, int]
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


def digests(after: Mapping[str, bytes]) -> Dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in after.items()}


def count_changes(lines: Lines) -> Dict[str, int]:
    """Users by what happened to each, as in the contract's summary, and how many other groups changed."""
    counts = dict.fromkeys(COUNTS, 0)
    users = _fates(lines)
    for fate in users.values():
        counts[fate] += 1
    renamed = renames(lines)
    own = {name for name, fate in users.items() if fate in ("created", "removed")}
    own |= {*renamed, *renamed.values()}
    counts["groups"] = len({*lines.get("group", ()), *lines.get("gshadow", ())} - own)
    return counts


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


def _fates(lines: Lines) -> Dict[str, str]:
    """User name to what happened to the account. A renamed one counts as updated, under its new name."""
    renamed = renames(lines)
    fates: Dict[str, str] = {}
    for name in {*lines.get("passwd", ()), *lines.get("shadow", ())} - set(renamed.values()):
        old, new = _row("passwd", lines, renamed.get(name, name), 0), _row("passwd", lines, name, 1)
        if (old is None) != (new is None):
            fates[name] = "created" if old is None else "removed"
            continue
        was, is_now = (
            _is_off(_row("shadow", lines, renamed.get(name, name), 0)),
            _is_off(_row("shadow", lines, name, 1)),
        )
        fates[name] = "updated" if was == is_now else "disabled" if is_now else "enabled"
    return fates


def _is_off(row: Optional[List[str]]) -> bool:
    return row is not None and row[1].startswith("!") and row[7] == EXPIRED


def serialise_summary(summary: Summary) -> bytes:
    document = {"format": FORMAT, "version": VERSION, **vars(summary)}
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def parse_summary(content: Optional[bytes]) -> Optional[Summary]:
    """None for anything that is not one."""
    try:
        document = json.loads((content or b"").decode("utf-8"))
        time, counts, after = document["time"], document["counts"], document["after"]
        whole = all(isinstance(counts[name], int) for name in COUNTS)
        known = set(after) <= set(WIDTHS) and all(isinstance(digest, str) for digest in after.values())
        if document["format"] != FORMAT or isinstance(time, bool) or not isinstance(time, (int, float)):
            return None
        return Summary(float(time), {name: counts[name] for name in COUNTS}, after) if whole and known else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def serialise_lines(lines: Lines) -> bytes:
    text = json.dumps(lines, sort_keys=True, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape") + b"\n"


def parse_lines(content: Optional[bytes]) -> Optional[Lines]:
    """None for anything that is not one."""
    try:
        document: Dict[str, Any] = json.loads((content or b"").decode("utf-8", "surrogateescape"))
        found: Lines = {}
        for file, names in document.items():
            if file not in WIDTHS:
                return None
            found[file] = {name: _pair(pair) for name, pair in names.items()}
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _pair(pair: Any) -> Tuple[List[str], List[str]]:
    before, after = pair
    for line in [*before, *after]:
        if not isinstance(line, str) or "\n" in line:
            raise ValueError("no line")
    return list(before), list(after)
