# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owned accounts whose user left the roster: disabled first, and after a grace period removed if that was asked for."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import List, Optional

from .._roster.posix import home_problem
from .._roster.text import folded
from .draft import Draft
from .ledger import Disabled, Former, OwnedUser
from .plan_access import set_access
from .plan_users import bury
from .tables import members, number

#: No clock that is right says an earlier day (2024-10-04): an account that was disabled then starts its days anew.
_EARLIEST = 20000
_EPOCH = datetime.date(1970, 1, 1)


def plan_missing(draft: Draft) -> None:
    """Owned accounts whose user left the roster, or whose record can't be used."""
    ids, names = draft.present()
    draft.left_alone |= {entry.name for entry in draft.roster.rejected if entry.kind == "user" and entry.name}
    for key, entry in sorted(draft.ledger.users.items(), key=lambda item: item[1].username):
        username = entry.username
        if key not in draft.old_ledger.users or entry.removed is not None:
            continue
        if key in ids:
            if username not in draft.active:
                draft.left_alone.add(username)
                _is_back(draft, key, entry)
            continue
        row = draft.accounts.passwd.get(username)
        if row is None:
            continue
        if username in draft.active:
            # The account has gone over to another id, and the run that did so was cut off; or somebody removed it by
            # hand, and this is another of that name.
            if number(row[2]) != entry.uid:
                bury(draft, key)
            del draft.ledger.users[key]
            continue
        draft.left_alone.add(username)
        if folded(username) in names:
            _is_back(draft, key, entry)
        elif draft.options.missing_users != "ignore":
            _miss(draft, key, entry, row)
    _drop_memberships(draft)


def _miss(draft: Draft, key: str, entry: OwnedUser, row: List[str]) -> None:
    """The source does not know the user: unless something stands against it, the account is disabled or removed."""
    username = entry.username
    unknown = [entry for entry in draft.roster.rejected if entry.kind == "user" and not (entry.id or entry.name)]
    protection = draft.protection(username)
    if unknown:
        draft.warn(
            f"{username} left the roster and stays as it is: {unknown[0].record} of the source has neither id nor "
            "name, so it may be anybody. Mend that record"
        )
    elif protection:
        draft.warn(f"{username} left the roster and stays as it is: {protection}")
    elif key in draft.stuck:
        draft.fail("user", username, draft.stuck[key])
        draft.look_again(draft.today)
    elif number(row[2]) != entry.uid:
        draft.fail("user", username, f"left the roster, but has uid {row[2]} and was made with {entry.uid}")
    else:
        _leave(draft, key, entry, row)


def _leave(draft: Draft, key: str, entry: OwnedUser, row: List[str]) -> None:
    username, options = entry.username, draft.options
    draft.plan.departed.add(username)
    if entry.disabled is None or entry.disabled.reason != "missing":
        draft.plan.leavers.append(username)
    set_access(draft, key, row, enabled=False, password_hash=None, reason="missing")
    disabled = draft.ledger.users[key].disabled
    if disabled is None:
        return
    begun = draft.old_ledger.users[key].removed is not None
    anew = (username in draft.actions and not begun) or not _EARLIEST <= disabled.since <= draft.today
    if anew:
        # The run that disables is not the one that removes, so that two at least have seen that the user is gone.
        # Nor does it count from a day when somebody had enabled the account by hand, or when the clock was wrong.
        disabled = _count_anew(draft, key, disabled)
    if options.missing_users != "remove":
        return
    if anew or draft.today < disabled.since + options.remove_after:
        draft.look_again(disabled.since + options.remove_after)
        return
    problem = _why_not(draft, entry)
    if problem:
        draft.fail("user", username, f"can't be removed yet: {problem}")
        draft.look_again(draft.today)
    else:
        _remove(draft, key, entry, row, disabled)


def _is_back(draft: Draft, key: str, entry: OwnedUser) -> None:
    """The source knows the user again, if only by a record that can't be used: that ends the days of absence."""
    if entry.disabled is not None and entry.disabled.reason == "missing":
        _count_anew(draft, key, entry.disabled)


def _count_anew(draft: Draft, key: str, disabled: Disabled) -> Disabled:
    disabled = replace(disabled, since=draft.today)
    draft.ledger.users[key] = replace(draft.ledger.users[key], disabled=disabled)
    return disabled


def _why_not(draft: Draft, entry: OwnedUser) -> Optional[str]:
    if not draft.options.end_sessions:
        try:
            if entry.uid in draft.busy_uids:
                return "processes of it are running; end_sessions ends them"
        except OSError as problem:
            return f"its processes can't be found: {problem.strerror}"
    protected = draft.protecting_group(entry.username)
    if protected:
        return f"the group {protected!r} is in protected_groups and names it"
    if entry.former is not None:
        return f"what belonged to {entry.former.username!r} has not been moved yet"
    return None


def _remove(draft: Draft, key: str, entry: OwnedUser, row: List[str], since: Disabled) -> None:
    username, accounts = entry.username, draft.accounts
    home, archive = _home_to_remove(draft, entry, row), None
    if home and draft.options.removed_homes == "archive":
        day = _EPOCH + datetime.timedelta(days=since.since)
        archive = f"{draft.options.archives}/{username}-{entry.uid}-{day.isoformat()}.tar"
    for table in (accounts.passwd, accounts.shadow, accounts.subuid, accounts.subgid):
        if table is not None and username in table:
            table.remove(username)
    _remove_private_group(draft, entry)
    draft.plan.removed.append(username)
    draft.actions[username] = "remove"
    draft.fields[username] = {}
    draft.note(username, "uid", entry.uid, None)
    if home:
        draft.note(username, "home", home, None)
    if archive:
        draft.note(username, "home_archive", None, archive)
    if draft.plan.outcome.failed:
        # Somebody may have waited for the name.
        draft.look_again(draft.today)
    # How it was disabled stays in the entry: a run that is cut off before passwd is written takes the removal back.
    draft.ledger.users[key] = replace(
        entry, disabled=since, removed=draft.today, former=Former(username, home), archive=archive
    )


def _home_to_remove(draft: Draft, entry: OwnedUser, row: List[str]) -> str:
    """The home that goes with the account, or "" for one that stays."""
    home = row[5].rstrip("/")
    if draft.options.removed_homes == "keep" or home_problem(home) or draft.host.home_is_missing(home):
        return ""
    problem = draft.home_places.problem(home, entry.username)
    if problem is None and draft.host.home_owner(home) != entry.uid:
        problem = f"{home} does not belong to it"
    if problem:
        draft.warn(f"{entry.username}: its home stays: {problem}")
        return ""
    return home


def _remove_private_group(draft: Draft, entry: OwnedUser) -> None:
    """The user's own group goes along, unless others are in it."""
    accounts, gshadow = draft.accounts, draft.accounts.gshadow
    group = accounts.group.get(entry.username)
    if not entry.private_group:
        return
    if group is None:
        # A run was cut off between the two files.
        if gshadow is not None and entry.username in gshadow:
            gshadow.remove(entry.username)
        return
    if number(group[2]) != entry.gid:
        return
    others = set(members(group)) - {entry.username}
    others |= {name for name in draft.users_of_gid(entry.gid) if name in accounts.passwd}
    if others:
        draft.warn(f"{entry.username}: its group stays, since {', '.join(sorted(others)[:5])} is in it")
        return
    accounts.group.remove(entry.username)
    if gshadow is not None and entry.username in gshadow:
        gshadow.remove(entry.username)


def _drop_memberships(draft: Draft) -> None:
    """No group goes on to list a removed account: the next one of that name would be in it."""
    gone = set(draft.plan.removed)
    if not gone:
        return
    left = draft.forget_member(gone)
    for username, groups in left.items():
        draft.note(username, "groups", sorted(groups), [])
    for group, names in list(draft.ledger.memberships.items()):
        if not gone.isdisjoint(names):
            stay = [name for name in names if name not in gone]
            if stay:
                draft.ledger.memberships[group] = stay
            else:
                del draft.ledger.memberships[group]
