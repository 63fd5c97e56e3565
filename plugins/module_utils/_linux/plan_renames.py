# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts that follow their user to a new name: same stable id, same uid, same password, same groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Iterator, List, Optional, Set, Tuple

from .._roster.model import User
from .._roster.posix import user_problem
from .draft import Draft
from .ledger import Former, OwnedUser
from .plan_users import other_ids
from .tables import Table, number

#: The files that have one line a user.
_USER_FILES = ("passwd", "shadow", "subuid", "subgid")


def plan_renames(draft: Draft) -> None:
    """Rename what can be renamed; ``draft.refused_names`` says why the others can't."""
    ready: List[Tuple[User, OwnedUser, str]] = []
    refused: List[Tuple[User, str]] = []
    for user in (*draft.roster.users, *_cut_off(draft)):
        entry = draft.ledger.users.get(user.id)
        if entry is None or user.username is None or user.id in draft.stuck:
            continue
        current = _current_name(draft, user, entry)
        if current is None or (current == user.username and entry.username == user.username):
            continue
        obstacle = _obstacle(draft, user, entry, current)
        if obstacle:
            refused.append((user, obstacle))
        else:
            ready.append((user, entry, current))
    # All obstacles were looked at before: a name that becomes free here is given on by a later run. Else a run that is
    # cut off would leave lines of the new holder where the next one looks for those of the former.
    renamed: Dict[str, str] = {}
    for user, entry, current in ready:
        renamed.update(_rename(draft, user, entry, current))
    for user, obstacle in refused:
        draft.refused_names[user.id] = draft.name_problem(user.username or "", user.id) or obstacle
    _rename_members(draft, renamed)


def _cut_off(draft: Draft) -> Iterator[User]:
    """People who left the roster after a run that renamed them was cut off: their accounts must be found again."""
    ids = {user.id for user in draft.roster.users}
    for key, entry in draft.ledger.users.items():
        if entry.former is not None and key not in ids:
            yield User(id=key, username=entry.username)


def _current_name(draft: Draft, user: User, entry: OwnedUser) -> Optional[str]:
    """What an account of ours is called in passwd. A run that was cut off leaves it under its former name."""
    if entry.removed is not None:
        return None
    # Or somebody gave it its new name by hand.
    for name in (entry.username, entry.former.username if entry.former else None, user.username):
        if name and draft.uids.get(name) == entry.uid:
            return name
    return None


def _obstacle(draft: Draft, user: User, entry: OwnedUser, current: str) -> Optional[str]:
    new = user.username or ""
    row = draft.accounts.passwd.row(current)
    problem = user_problem(user, draft.options.allow_unicode_names)
    if problem:
        return f"{problem[0]} {problem[1]}"
    if new == draft.options.admin_group:
        return f"{new!r} is the name of the admin group"
    for name in (current, new):
        protection = draft.protection(name)
        if protection:
            return f"{name!r} {protection}"
    if new != current and (new in draft.accounts.passwd or draft.accounts.passwd.is_malformed(new)):
        return f"this host has an account {new!r}"
    other = draft.user_names.of(new, but=current)
    if other is None and entry.private_group:
        other = draft.group_names.of(new, but=current)
    if other is not None:
        return f"{new!r} differs from {other!r} of this host in letter case only, and sudo takes the two for one"
    former_holder = draft.name_problem(new, user.id)
    if former_holder:
        return former_holder
    if entry.former is not None and entry.former.username not in (current, new):
        return f"what belonged to {entry.former.username!r} has not been moved yet"
    place = draft.home_places.problem(user.home, current) if user.home else None
    return _group_obstacle(draft, entry, current, new) or other_ids(user, entry, row) or place


def _group_obstacle(draft: Draft, entry: OwnedUser, current: str, new: str) -> Optional[str]:
    group = draft.accounts.group
    row = group.get(new)
    in_the_way = row is not None and number(row[2]) != entry.gid
    elsewhere = row is None and new in draft.elsewhere.groups
    if entry.private_group and (in_the_way or elsewhere or group.is_malformed(new)):
        return f"this host has a group {new!r}"
    for name in (current, new):
        protected = draft.protecting_group(name)
        if protected:
            return f"the group {protected!r} is in protected_groups and names it"
    return None


def _rename(draft: Draft, user: User, entry: OwnedUser, current: str) -> Dict[str, str]:
    """Give an account's lines the new name. Returns old names to the new one."""
    new = user.username or ""
    accounts = draft.accounts
    draft.ids.take(entry.uid, new)
    old_names = {current} - {new}
    for name in (entry.username, entry.former.username if entry.former else new):
        # An account of that name is another's by now.
        if name != new and name not in accounts.passwd:
            old_names.add(name)
    for file in _USER_FILES:
        table: Optional[Table] = getattr(accounts, file)
        if table is not None:
            _rename_line(table, old_names, new)
    if entry.private_group:
        for old in old_names:
            row = accounts.group.get(old)
            if row is not None and number(row[2]) == entry.gid and new not in accounts.group:
                accounts.group.rename(old, new)
                draft.ids.take_group(entry.gid, new)
            if accounts.gshadow is not None and old not in accounts.group and old in accounts.gshadow:
                _rename_line(accounts.gshadow, {old}, new)
    draft.given_up.update(dict.fromkeys(old_names, user.id))
    former = Former(current, "") if current != new else entry.former
    if current != new:
        draft.plan.renamed[new] = current
        draft.user_names.add(new)
        draft.group_names.add(new)
        draft.actions[new] = "rename"
        draft.note(new, "username", current, new)
    draft.home_places.rename(accounts.passwd.row(new)[5], current, new)
    draft.ledger.users[user.id] = replace(entry, username=new, former=former)
    return dict.fromkeys(old_names, new)


def _rename_line(table: Table, old_names: Set[str], new: str) -> None:
    """The first of the old names that has a line gives it to the new one; what the new name had before is nobody's."""
    found = sorted(name for name in old_names if name in table)
    if not found:
        return
    if new in table:
        # Left by a run that was cut off: the line was renamed already, or never belonged to an account.
        table.remove(new)
    table.drop_malformed(new)
    table.rename(found[0], new)


def _rename_members(draft: Draft, renamed: Dict[str, str]) -> None:
    """Every group that lists an old name lists the new one, whoever's group it is: else it would name nobody."""
    if not renamed:
        return
    _drop_stale(draft)
    for table in (draft.accounts.group, draft.accounts.gshadow):
        for row in list(table.rows()) if table is not None else ():
            lists = [row[3]] if table is draft.accounts.group else [row[2], row[3]]
            new = [_with_new_names(text, renamed) for text in lists]
            if new != lists and table is not None:
                row[4 - len(new) :] = new
                table.put(row)
    for group, names in draft.ledger.memberships.items():
        if any(name in renamed for name in names):
            draft.ledger.memberships[group] = sorted({renamed.get(name, name) for name in names})


def _drop_stale(draft: Draft) -> None:
    """A new name that a group lists already was somebody else's, whose rights do not go over. A run that was cut off
    has the ledger know the new name already, and put it there."""
    known = {entry.username for entry in draft.old_ledger.users.values() if entry.removed is None}
    for name, groups in draft.forget_member(set(draft.plan.renamed) - known).items():
        listed = ", ".join(sorted(groups))
        draft.warn(f"{name}: a former user of this name was still listed in {listed}, and no longer is")


def _with_new_names(text: str, renamed: Dict[str, str]) -> str:
    names = text.split(",")
    if not any(name in renamed for name in names):
        return text
    return ",".join(dict.fromkeys(renamed.get(name, name) for name in names))
