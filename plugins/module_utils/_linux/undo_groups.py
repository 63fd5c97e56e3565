# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The groups' part of an undo: which go, which come back, and who is in the others."""

from __future__ import annotations

from typing import Dict, List, Set

from .tables import WIDTHS, number
from .undo_draft import Draft
from .undo_merge import Members, merge_group, returning

_FILES = ("group", "gshadow")


def plan_groups(draft: Draft) -> None:
    """Decide which groups go and which come back, before any account does."""
    holders: Dict[int, Set[str]] = {}
    for name in draft.now["group"].names():
        row = draft.now["group"].row(name)
        gid = number(row[2]) if row is not None else None
        if gid is not None:
            holders.setdefault(gid, set()).add(name)
    coming: Dict[str, List[str]] = {}
    for name in draft.names("group"):
        before, after, now = draft.rows("group", name)
        if now is not None and after is not None and number(now[2]) != number(after[2]):
            draft.fail("group", name, f"has gid {now[2]} now, and had {after[2]} after the run: someone replaced it")
        elif before is None and after is not None and now is not None:
            _plan_leaving(draft, name, after, now)
        elif before is not None and after is None and (now is None or number(now[2]) != number(before[2])):
            coming[name] = before
    for name, before in coming.items():
        others = sorted(holders.get(number(before[2]) or 0, set()) - draft.leaving_groups)
        if name in draft.now["group"].names():
            draft.fail("group", name, "was removed by the run, and another group has its name now")
        elif others:
            draft.fail("group", name, f"was removed by the run, and its gid {before[2]} belongs to {others[0]!r} now")
        else:
            draft.returning_groups.add(name)


def _plan_leaving(draft: Draft, name: str, after: List[str], now: List[str]) -> None:
    """A group that the run made goes, unless others have come to use it."""
    passwd = draft.now["passwd"]
    added = {member for member in _members(now) if passwd.row(member) is not None and member not in draft.leaving}
    added -= {member for member in _members(after) if not draft.bounds.protected.get(member)}
    rows = (passwd.row(user) for user in passwd.names())
    primary = sorted(row[0] for row in rows if row is not None and number(row[3]) == number(now[2]))
    primary = [user for user in primary if user not in draft.leaving]
    if primary:
        draft.keep("group", name, "group", f"is the primary group of {', '.join(primary[:5])}")
    elif added:
        draft.keep("group", name, "group", f"got other members since: {', '.join(sorted(added)[:5])}")
    else:
        draft.leaving_groups.add(name)


def undo_groups(draft: Draft) -> None:
    """After the users: who is a member must have an account, or have had none before the run either."""
    held: Set[str] = set()

    def is_free(name: str) -> bool:
        if draft.bounds.protected.get(name):
            held.add(name)
            return False
        return True

    def may_return(name: str) -> bool:
        there = draft.now["passwd"].row(name) is not None or draft.before["passwd"].row(name) is None
        return there and is_free(name)

    members = Members(may_leave=is_free, may_return=may_return, leaving=set(draft.leaving))
    for name in draft.names(*_FILES):
        if ("group", name) in draft.failed:
            continue
        for file in _FILES:
            _undo_group(draft, file, name, members)
    for file in _FILES:
        _drop_leaving(draft, file)
    for name in sorted(held):
        draft.keep("user", name, "groups", draft.bounds.protected[name])


def _undo_group(draft: Draft, file: str, name: str, members: Members) -> None:
    if file not in draft.now:
        return
    before, after, now = draft.lines(file, name)
    if name in draft.leaving_groups:
        draft.put(file, name, before)
    elif name in draft.returning_groups:
        draft.put(file, name, returning(file, before, members))
    elif now:
        old, new, current = draft.rows("group", name)
        if old is None and new is not None and current is not None:
            before = _without_members(file, after)
        merged = merge_group(file, name, before, after, now, members)
        for field in merged.kept:
            draft.keep("group", name, field, "was changed since")
        draft.put(file, name, merged.lines)


def _drop_leaving(draft: Draft, file: str) -> None:
    """Memberships that others gave to accounts that go. Those that were there before the run stay."""
    if file not in draft.now or not draft.leaving:
        return
    table = draft.now[file]
    for name in list(table.names()):
        row = table.row(name)
        if row is None or len(table.get(name)) != 1:
            continue
        new = list(row)
        for index in range(2 if file == "gshadow" else 3, WIDTHS[file]):
            former = draft.before[file].row(name) if file in draft.before else None
            stay = set(former[index].split(",")) if former is not None else set()
            listed = row[index].split(",")
            if any(member in draft.leaving and member not in stay for member in listed):
                kept = [member for member in listed if member not in draft.leaving or member in stay]
                new[index] = ",".join(kept)
        if new != row:
            table.put(name, [":".join(new)])


def _members(row: List[str]) -> List[str]:
    return [name for name in row[3].split(",") if name]


def _without_members(file: str, lines: List[str]) -> List[str]:
    """A group that the run made as it would be with nobody in it: when it is kept, those whom the run added go."""
    rows = [line.split(":") for line in lines]
    first = 2 if file == "gshadow" else 3
    return [":".join([*row[:first], *[""] * (len(row) - first)]) for row in rows]
