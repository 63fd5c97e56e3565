# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ledger's part of an undo: entry by entry what it was before the run, unless that record is not undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional

from .ledger import Ledger, OwnedUser
from .undo_draft import Draft

_USER_FIELDS = tuple(OwnedUser.__dataclass_fields__)


def undo_ledger(draft: Draft, ledger: Ledger) -> Ledger:
    """What the ledger becomes, after ``draft`` has decided about users and groups."""
    new = ledger.copy()
    _undo_users(draft, new)
    _undo_groups(draft, new)
    _undo_memberships(draft, new)
    return new


def _undo_users(draft: Draft, ledger: Ledger) -> None:
    before, after = draft.record.ledger_before.users, draft.record.ledger_after.users
    returning: Dict[str, OwnedUser] = {}
    for key in sorted({*before, *after}):
        old, new, now = before.get(key), after.get(key), ledger.users.get(key)
        names = {entry.username for entry in (old, new) if entry is not None}
        if old == new or names & draft.left_alone:
            continue
        if now is not None and old is None:
            if now.username in draft.leaving and now.removed is None:
                # Its uid is not given to another person either: its home may be left.
                ledger.users[key] = replace(now, disabled=None, removed=draft.bounds.today)
            elif now.removed is None:
                del ledger.users[key]
        elif old is not None and now == new:
            ledger.users.pop(key, None)
            returning[key] = old
        elif old is not None and new is not None and now is not None:
            ledger.users[key] = _merged(old, new, now)
    for key, entry in returning.items():
        if entry.username in draft.access_kept:
            after_entry = after.get(key)
            entry = replace(entry, disabled=after_entry.disabled if after_entry is not None else entry.disabled)
        ledger.users[key] = entry


def _merged(old: OwnedUser, new: OwnedUser, now: OwnedUser) -> OwnedUser:
    """An entry that a later run changed as well."""
    fields: Dict[str, Any] = {}
    for name in _USER_FIELDS:
        value: Optional[Any] = getattr(now, name)
        fields[name] = getattr(old, name) if value == getattr(new, name) else value
    return OwnedUser(**fields)


def _undo_groups(draft: Draft, ledger: Ledger) -> None:
    before, after = draft.record.ledger_before.groups, draft.record.ledger_after.groups
    for name in {*before, *after}:
        old, new, now = before.get(name), after.get(name), ledger.groups.get(name)
        if old == new or now != new or ("group", name) in draft.failed:
            continue
        if old is not None:
            ledger.groups[name] = old
        elif name in draft.leaving_groups or draft.now["group"].row(name) is None or _was_there(draft, name):
            ledger.groups.pop(name, None)


def _was_there(draft: Draft, name: str) -> bool:
    return draft.before["group"].row(name) is not None


def _undo_memberships(draft: Draft, ledger: Ledger) -> None:
    before, after = draft.record.ledger_before.memberships, draft.record.ledger_after.memberships
    for name in {*before, *after}:
        old, new, now = (set(each.get(name, ())) for each in (before, after, ledger.memberships))
        if old == new:
            continue
        row = draft.now["group"].row(name)
        there = set(row[3].split(",")) if row is not None else set()
        members = (now - (new - old)) | ((old - new) & there) | (now & new & there & draft.left_alone)
        if members:
            ledger.memberships[name] = sorted(members)
        else:
            ledger.memberships.pop(name, None)
