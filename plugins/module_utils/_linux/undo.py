# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undo one run: bring back, line by line, what it changed, and leave what others changed since. Pure.

An account that the run made goes, one that it removed comes back, and a renamed one is both at once. Whether that can
be done is decided for all before anything is touched, so that no account goes whose former self can't come back.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from .._outcome import Failure
from .files import Contents
from .ledger import Ledger
from .lines import same_lines
from .record import Record
from .tables import number
from .undo_draft import Bounds, Draft, LeftHome, Move, Undone
from .undo_groups import plan_groups, undo_groups
from .undo_ledger import undo_ledger
from .undo_merge import merge_lines

_USER_FILES = ("passwd", "shadow", "subuid", "subgid")


def undo(contents: Contents, ledger: Ledger, record: Record, bounds: Bounds) -> Undone:
    """What the account files and the ledger become. ``contents`` are the files as they are now."""
    draft = Draft(contents, record, bounds)
    _plan_renamed_since(draft, ledger)
    _plan_users(draft)
    plan_groups(draft)
    _plan_returns(draft)
    _undo_users(draft)
    undo_groups(draft)
    return Undone(
        contents={name: _content(draft, name, content) for name, content in contents.items()},
        ledger=undo_ledger(draft, ledger),
        failed=[Failure(kind, name, reason) for (kind, name), reason in sorted(draft.failed.items())],
        kept=sorted(draft.kept, key=lambda entry: (entry.kind, entry.name, entry.field)),
        leaving=set(draft.leaving),
        returning=set(draft.returning),
        homes_left=_homes_left(draft),
        archives=_archives(draft, ledger),
        moves=_moves(draft),
    )


def undo_all(contents: Contents, ledger: Ledger, records: Sequence[Record], bounds: Bounds) -> Undone:
    """Several records, the last run first."""
    whole = Undone(dict(contents), ledger)
    for record in records:
        step = undo(whole.contents, whole.ledger, record, bounds)
        whole.contents, whole.ledger = step.contents, step.ledger
        whole.failed += [failure for failure in step.failed if failure not in whole.failed]
        whole.kept += [entry for entry in step.kept if entry not in whole.kept]
        whole.archives.update(step.archives)
        gone = {entry.name: entry for entry in [*whole.homes_left, *step.homes_left]}
        whole.leaving = (whole.leaving | step.leaving) - step.returning
        whole.returning = (whole.returning | step.returning) - step.leaving
        whole.homes_left = [gone[name] for name in sorted(gone) if name in whole.leaving]
        whole.moves = _joined([*whole.moves, *step.moves])
    return whole


def _joined(moves: Sequence[Move]) -> List[Move]:
    """One move for each account: from where its home is to where it was first."""
    found: Dict[int, Move] = {}
    for move in moves:
        first = found.get(move.uid, move)
        found[move.uid] = replace(move, home=first.home, now=first.now)
    return [move for move in found.values() if move.home != move.former or move.now != move.username]


def _plan_renamed_since(draft: Draft, ledger: Ledger) -> None:
    """An account that a later run gave another name: its lines are no longer under the name that this run knew."""
    for key, entry in draft.record.ledger_after.users.items():
        now, old = ledger.users.get(key), draft.record.ledger_before.users.get(key)
        if now is None or now.username in (entry.username, old.username if old is not None else None):
            continue
        if entry != old and draft.rows("passwd", entry.username)[2] is None:
            draft.left_alone.update({entry.username, now.username})
            draft.keep("user", entry.username, "account", f"is called {now.username!r} since; undo that run first")


def _plan_users(draft: Draft) -> None:
    """Who is left alone, and which accounts would go."""
    for name in draft.names(*_USER_FILES):
        if name in draft.left_alone:
            continue
        before, after, now = draft.rows("passwd", name)
        protection = draft.protection(name)
        if protection:
            draft.left_alone.add(name)
            draft.keep("user", name, "account", protection)
        elif now is not None and after is not None and number(now[2]) != number(after[2]):
            draft.fail("user", name, f"has uid {now[2]} now, and had {after[2]} after the run: someone replaced it")
        elif before is None and after is not None and now is not None:
            if number(now[2]) in draft.bounds.busy and not _is_rename(draft, now):
                draft.fail("user", name, "was made by the run, and has running processes: let the user log out")
            else:
                draft.leaving[name] = now[5]


def _is_rename(draft: Draft, row: List[str]) -> bool:
    """Whether the account was there before the run, by another name."""
    before = draft.before["passwd"]
    rows = (before.row(name) for name in draft.names("passwd"))
    return any(other is not None and number(other[2]) == number(row[2]) for other in rows)


def _plan_returns(draft: Draft) -> None:
    """Which accounts come back. One that can't keeps the account that took its uid over, if the run renamed it."""
    for name in draft.names("passwd"):
        before, after, now = draft.rows("passwd", name)
        if name in draft.left_alone or before is None or after is not None:
            continue
        if now is not None and number(now[2]) == number(before[2]):
            if now != before:
                draft.keep("user", name, "account", "exists again, and stays as it is")
            draft.left_alone.add(name)
            continue
        problem = _return_problem(draft, name, before, now)
        if problem is None:
            draft.returning.add(name)
            continue
        draft.fail("user", name, problem)
        draft.returning_groups.discard(name)
        for other in draft.uid_holders.get(number(before[2]) or 0, ()):
            if draft.leaving.pop(other, None) is not None:
                draft.fail("user", other, f"was renamed from {name!r}, and that account can't come back")
                draft.leaving_groups.discard(other)


def _return_problem(draft: Draft, name: str, before: List[str], now: Optional[List[str]]) -> Optional[str]:
    if now is not None:
        return f"was removed by the run, and the name belongs to another account now (uid {now[2]})"
    if draft.lines("passwd", name)[2]:
        return "was removed by the run, and has a line in passwd now that is not well-formed; mend or remove it"
    others = sorted(draft.uid_holders.get(number(before[2]) or 0, set()) - set(draft.leaving))
    if others:
        return f"was removed by the run, and its uid {before[2]} belongs to {others[0]!r} now"
    if ("group", name) in draft.failed:
        return f"was removed by the run, and its own group can't come back: {draft.failed[('group', name)]}"
    return None


def _undo_users(draft: Draft) -> None:
    for name in draft.leaving:
        for file in _USER_FILES:
            draft.put(file, name, draft.lines(file, name)[0])
    for name in draft.names(*_USER_FILES):
        if name in draft.left_alone or name in draft.leaving:
            continue
        if name not in draft.returning and _is_gone(draft, name):
            draft.keep("user", name, "account", "was removed since, and stays so")
            draft.left_alone.add(name)
            continue
        for file in _USER_FILES:
            _undo_lines(draft, file, name)


def _is_gone(draft: Draft, name: str) -> bool:
    """Whether somebody else removed an account that the run changed."""
    before, after, now = draft.rows("passwd", name)
    return before is not None and after is not None and now is None


def _undo_lines(draft: Draft, file: str, name: str) -> None:
    if file not in draft.now or name not in draft.record.lines.get(file, ()):
        return
    before, after, now = draft.lines(file, name)
    # A line that somebody left under the name of an account that comes back may hold another person's hash.
    merged = merge_lines(file, name, before, now if name in draft.returning else after, now)
    lines = merged.lines
    if file in ("subuid", "subgid"):
        lines = [line for line in lines if line in now or _is_free_range(draft, file, name, line)]
        if lines != merged.lines:
            draft.keep("user", name, file, "its range of subordinate ids was given to another since")
    for field in merged.kept:
        empty = field in ("password_hash", "password_in_shadow") and now == after
        draft.keep("user", name, field, "was empty, and does not become so again" if empty else "was changed since")
        if field in ("enabled", "shadow"):
            draft.access_kept.add(name)
    draft.put(file, name, lines)


def _is_free_range(draft: Draft, file: str, name: str, line: str) -> bool:
    """Whether nobody else has any of the ids: who has a range can become each of them in a user namespace."""
    wanted = _range(line)
    if wanted is None:
        return True
    for other in draft.now[file].names():
        for taken in map(_range, draft.now[file].get(other)):
            if other != name and taken is not None and taken[0] < wanted[1] and wanted[0] < taken[1]:
                return False
    return True


def _range(line: str) -> Optional[Tuple[int, int]]:
    parts = line.split(":")
    first, count = (number(parts[1]), number(parts[2])) if len(parts) == 3 else (None, None)
    return None if first is None or count is None else (first, first + count)


def _content(draft: Draft, name: str, content: Optional[bytes]) -> Optional[bytes]:
    """A file's new content: the old bytes themselves where nobody but the run changed the file."""
    if content is None:
        return None
    new, before = draft.now[name].content(), draft.record.before.get(name)
    untouched = draft.record.after.get(name) == hashlib.sha256(content).hexdigest()
    return before if before is not None and untouched and same_lines(new, before) else new


def _moves(draft: Draft) -> List[Move]:
    """Accounts that get their former name or home back, in the order of their names."""
    uids = {_uid(draft, name, "then"): name for name in draft.leaving}
    moves = []
    for name in sorted({*draft.returning, *draft.names("passwd")} - set(draft.leaving) - draft.left_alone):
        uid = _uid(draft, name, "now")
        former = name if name not in draft.returning else uids.get(uid)
        then = draft.then["passwd"].row(former) if former is not None else None
        row = draft.now["passwd"].row(name)
        if uid is not None and former is not None and then is not None and row is not None:
            moves.append(Move(name, former, uid, then[5], row[5]))
    return _joined(moves)


def _uid(draft: Draft, name: str, when: str) -> Optional[int]:
    row = (draft.then if when == "then" else draft.now)["passwd"].row(name)
    return number(row[2]) if row is not None else None


def _homes_left(draft: Draft) -> List[LeftHome]:
    """Homes whose account goes, but not those of accounts that go on under their former name."""
    uids = {_uid(draft, name, "now") for name in draft.returning}
    left = [LeftHome(name, home) for name, home in draft.leaving.items() if _uid(draft, name, "then") not in uids]
    return sorted(left, key=lambda entry: entry.name)


def _archives(draft: Draft, ledger: Ledger) -> Dict[str, str]:
    """Accounts that come back, and where the run that removed them put their homes."""
    return {
        entry.username: entry.archive
        for entry in ledger.users.values()
        if entry.archive and entry.username in draft.returning
    }
