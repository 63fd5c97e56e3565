# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The groups' part of a plan: which groups exist, and who is in them."""

from __future__ import annotations

from typing import Dict, List, Set

from .._outcome import Change
from .._roster.posix import group_problem
from .draft import Draft
from .plan_users import add_group
from .tables import members, number


def plan_groups(draft: Draft) -> None:
    """Make the roster's groups. ``draft.managed`` afterwards maps a group to whether the ledger owns it."""
    private = {entry.username for entry in draft.ledger.users.values() if entry.private_group}
    for group in draft.roster.groups:
        problem = group_problem(group, draft.options.allow_unicode_names)
        if problem is None and group.name == draft.options.admin_group:
            problem = ("name", "is the admin group, whose members are the roster's admins")
        if problem is None and group.name in private:
            problem = ("name", "is the private group of the user of that name")
        row = draft.accounts.group.get(group.name)
        if problem is None and row is not None and _is_private(draft, row):
            problem = ("name", "is the private group of an account of this host")
        if problem is None and row is not None and (number(row[2]) or 0) < draft.settings.gid_min:
            problem = ("name", f"is a system group of this host (gid {row[2]})")
        if problem:
            draft.reject("group", group.name, *problem)
            continue

        owned_gid = draft.ledger.groups.get(group.name)
        failure = None
        if row is not None:
            if group.gid is not None and row[2] != str(group.gid):
                failure = f"has gid {row[2]} on this host and {group.gid} in the roster; groups are never renumbered"
            elif owned_gid is not None and row[2] != str(owned_gid):
                failure = f"has gid {row[2]} on this host, but was made with {owned_gid}: someone replaced it"
        else:
            gid = group.gid if group.gid is not None else owned_gid
            failure = None if gid is None else draft.ids.gid_problem(gid)
            if gid is None:
                gid = draft.ids.new_gid()
            if gid is None:
                failure = f"no gid is free between {draft.settings.gid_min} and {draft.settings.gid_max}"
            if failure is None:
                assert gid is not None
                add_group(draft, group.name, gid)
                draft.ledger.groups[group.name] = gid
                draft.group_changes.append(Change("group", group.name, "create", {"gid": (None, gid)}))
        if failure:
            draft.fail("group", group.name, failure)
        else:
            draft.managed[group.name] = group.name in draft.ledger.groups


def _is_private(draft: Draft, row: List[str]) -> bool:
    """Whether a group is the primary group of the account of the same name."""
    account = draft.accounts.passwd.get(row[0])
    return account is not None and account[3] == row[2]


def _adopt_vanished(draft: Draft) -> None:
    """Groups of ours that the roster no longer has stay, and lose the members that the roster no longer puts there."""
    known = {group.name for group in draft.roster.groups}
    known |= {entry.name for entry in draft.roster.rejected if entry.kind == "group" and entry.name}
    for name, gid in draft.ledger.groups.items():
        row = draft.accounts.group.get(name)
        if name not in known and row is not None and number(row[2]) == gid:
            draft.managed[name] = True


def plan_memberships(draft: Draft) -> None:
    """Put the users into their groups, and out of those that they left."""
    _adopt_vanished(draft)
    before = _memberships(draft)
    wanted: Dict[str, Set[str]] = {name: set() for name in draft.managed}
    silent = set()
    for username, user in draft.active.items():
        if user.groups is None:
            silent.add(username)
        for name in user.groups or ():
            if name in wanted:
                wanted[name].add(username)
    moved: Set[str] = set()
    for name in sorted(draft.managed):
        moved |= _set_members(draft, name, wanted[name], silent)
    _set_admins(draft)

    after = _memberships(draft)
    for username in sorted(moved & set(draft.active)):
        old, new = before.get(username, []), after.get(username, [])
        created = username in draft.plan.created
        old = [name for name in old if name != draft.options.admin_group]
        new = [name for name in new if name != draft.options.admin_group]
        if old != new:
            draft.note(username, "groups", None if created else old, new)


def _memberships(draft: Draft) -> Dict[str, List[str]]:
    """User name to the sorted names of the groups that list it."""
    found: Dict[str, Set[str]] = {}
    for row in draft.accounts.group.rows():
        for username in members(row):
            found.setdefault(username, set()).add(row[0])
    return {username: sorted(names) for username, names in found.items()}


def _set_members(draft: Draft, name: str, wanted: Set[str], silent: Set[str]) -> Set[str]:
    """Bring one group's members in line. Returns the names that came or went."""
    row = draft.accounts.group.get(name)
    assert row is not None
    owned = draft.managed[name]
    current = list(dict.fromkeys(members(row)))
    ours = set(draft.ledger.memberships.get(name, ()))

    def stays(username: str) -> bool:
        if username in wanted or username in silent or username in draft.left_alone:
            return True
        return draft.protection(username) is not None if owned else username not in ours

    joining = sorted(username for username in wanted.difference(current) if not _is_primary(draft, username, row[2]))
    kept = [username for username in current if stays(username)]
    leaving = set(current) - set(kept)
    final = kept + joining
    if final != members(row):
        row[3] = ",".join(final)
        draft.accounts.group.put(row)
    _mirror(draft, name, final, always=owned, changed=bool(joining or leaving))
    if not owned:
        _remember(draft, name, (ours & set(final)) | set(joining))
    foreign = sorted(leaving - set(draft.active))
    if foreign:
        draft.group_changes.append(Change("group", name, "update", {"members": (foreign, [])}))
    return leaving | set(joining)


def _is_primary(draft: Draft, username: str, gid: str) -> bool:
    row = draft.accounts.passwd.get(username)
    return row is not None and row[3] == gid


def _remember(draft: Draft, group: str, usernames: Set[str]) -> None:
    if usernames:
        draft.ledger.memberships[group] = sorted(usernames)
    else:
        draft.ledger.memberships.pop(group, None)


def _mirror(draft: Draft, name: str, final: List[str], always: bool, changed: bool) -> None:
    """Keep gshadow's members equal to group's: newgrp(1) and gpasswd(1) read the one, the C library the other."""
    table = draft.accounts.gshadow
    if table is None or not (always or changed):
        return
    missing = name not in table
    row = table.get(name) or [name, "!", "", ""]
    old = members(row)
    if old == final and not missing:
        return
    row[3] = ",".join(final)
    table.put(row)
    if not changed and not any(change.name == name and change.action == "create" for change in draft.group_changes):
        draft.group_changes.append(Change("group", name, "update", {"gshadow": ("missing" if missing else old, final)}))


def _set_admins(draft: Draft) -> None:
    """Admin rights are membership in the admin group; other members of that group are not our business."""
    group = draft.options.admin_group
    if not group:
        return
    row = draft.accounts.group.get(group)
    disabled = {entry.username for entry in draft.ledger.users.values() if entry.disabled is not None}
    admins = {name for name, user in draft.active.items() if user.admin and name not in disabled}
    if row is None:
        if admins:
            draft.fail("group", group, f"does not exist, so {', '.join(sorted(admins))} can't be made admins")
        return
    dropped = {name for name, user in draft.active.items() if user.admin is False} | disabled
    dropped -= {name for name in draft.left_alone if name not in draft.plan.departed}
    current = list(dict.fromkeys(members(row)))
    joining = sorted(admins.difference(current))
    leaving = dropped.intersection(current)
    final = [name for name in current if name not in leaving] + joining
    if joining or leaving:
        row[3] = ",".join(final)
        draft.accounts.group.put(row)
        _mirror(draft, group, final, always=False, changed=True)
    _remember(draft, group, (set(draft.ledger.memberships.get(group, ())) & set(final)) | set(joining))
    for username in joining:
        draft.note(username, "admin", None if username in draft.plan.created else False, True)
    for username in sorted(leaving):
        draft.note(username, "admin", True, False)
