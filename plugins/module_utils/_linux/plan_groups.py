# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The groups' part of a plan: which groups exist, and who is in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Set, Tuple

from .._outcome import Change
from .._roster.model import Group, User
from .._roster.posix import group_problem
from .draft import Draft
from .plan_users import add_group, former_owner
from .tables import members, number


def plan_groups(draft: Draft) -> None:
    """Make the roster's groups. ``draft.managed`` afterwards maps a group to whether the ledger owns it."""
    private = {entry.username for entry in draft.ledger.users.values() if entry.private_group and entry.removed is None}
    for group in draft.roster.groups:
        row = draft.accounts.group.get(group.name)
        problem = _problem(draft, group, row, private)
        failure = None
        if problem:
            draft.reject("group", group.name, *problem)
        elif row is not None:
            failure = _other_gid(draft, group, row)
        else:
            failure = _create(draft, group)
        if failure:
            draft.fail("group", group.name, failure)
        if not (problem or failure):
            draft.managed[group.name] = group.name in draft.ledger.groups
        elif group.gid is not None:
            draft.refused_gids[group.gid] = group.name


def _problem(draft: Draft, group: Group, row: Optional[List[str]], private: Set[str]) -> Optional[Tuple[str, str]]:
    """(field, reason) why a group of the roster is left alone on this host."""
    problem = group_problem(group, draft.options.allow_unicode_names)
    if problem:
        return problem
    reason = None
    if group.name in draft.options.protected_groups:
        reason = "is in protected_groups"
    elif group.name == draft.options.admin_group:
        reason = "is the admin group, whose members are the roster's admins"
    elif group.name in private:
        reason = "is the private group of the user of that name"
    elif row is None and group.name in draft.elsewhere.groups:
        path = draft.elsewhere.groups[group.name][1]
        reason = f"is a group of this host in {path}; give it a line in /etc/group, with its gid, to put users into it"
    elif row is None and draft.accounts.group.is_malformed(group.name):
        reason = "has a line in this host's group file that is not well-formed"
    elif row is not None and _is_private(draft, row):
        reason = "is the private group of an account of this host"
    elif row is not None and (number(row[2]) or 0) < draft.settings.gid_min:
        reason = f"is a system group of this host (gid {row[2]})"
    return ("name", reason) if reason else None


def _other_gid(draft: Draft, group: Group, row: List[str]) -> Optional[str]:
    """Why an existing group is not the one that the roster means."""
    owned = draft.ledger.groups.get(group.name)
    if group.gid is not None and number(row[2]) != group.gid:
        return f"has gid {row[2]} on this host and {group.gid} in the roster; groups are never renumbered"
    if owned is not None and number(row[2]) != owned:
        return f"has gid {row[2]} on this host, but was made with {owned}: someone replaced it"
    return None


def _create(draft: Draft, group: Group) -> Optional[str]:
    """Add a group. Returns why that can't be done."""
    gid = group.gid if group.gid is not None else draft.ledger.groups.get(group.name)
    if gid is not None:
        problem = draft.ids.gid_problem(gid) or former_owner(draft, gid)
        if problem:
            return problem
    else:
        gid = draft.ids.new_gid()
    other = draft.group_names.of(group.name)
    if other is not None:
        return f"differs from the group {other!r} of this host in letter case only, and sudo takes the two for one"
    if gid is None:
        return f"no gid is free between {draft.settings.gid_min} and {draft.settings.gid_max}"
    add_group(draft, group.name, gid)
    draft.ledger.groups[group.name] = gid
    draft.group_changes.append(Change("group", group.name, "create", {"gid": (None, gid)}))
    return None


def _is_private(draft: Draft, row: List[str]) -> bool:
    """Whether a group is the primary group of the account of the same name."""
    account = draft.accounts.passwd.get(row[0])
    return account is not None and number(account[3]) == number(row[2])


def _adopt_vanished(draft: Draft) -> None:
    """Groups that the roster no longer has stay, and lose the members that the roster no longer puts there: ours all of
    them, others those that were added."""
    known = {group.name for group in draft.roster.groups} | {draft.options.admin_group} | draft.options.protected_groups
    known |= {entry.name for entry in draft.roster.rejected if entry.kind == "group" and entry.name}
    for name, gid in draft.ledger.groups.items():
        row = draft.accounts.group.get(name)
        if name not in known and row is not None and number(row[2]) == gid:
            draft.managed[name] = True
    if draft.options.admin_group in draft.accounts.group:
        # Else one of them may be a former admin_group, and nobody would be left who is admin.
        for name in draft.ledger.memberships:
            if name not in known and name not in draft.managed and name in draft.accounts.group:
                draft.managed[name] = False


def plan_memberships(draft: Draft) -> None:
    """Put the users into their groups, and out of those that they left."""
    _adopt_vanished(draft)
    before = _listed(draft)
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

    moved &= set(draft.active)
    old_groups = _memberships(before, moved | draft.plan.created)
    new_groups = _memberships(_listed(draft), moved)
    for username in sorted(draft.plan.created.intersection(old_groups)):
        stale = [name for name in old_groups[username] if name not in draft.managed]
        if stale:
            draft.warn(f"{username}: the group file already lists a user of this name in {', '.join(stale)}")
    for username in sorted(moved):
        old, new = old_groups.get(username, []), new_groups.get(username, [])
        if old != new:
            draft.note(username, "groups", None if username in draft.plan.created else old, new)


def _listed(draft: Draft) -> Dict[str, str]:
    """Group to the text of its members. Groups without are left out, since most are somebody's own, and so is the admin
    group, which is another field of a user."""
    rows = draft.accounts.group.rows()
    return {row[0]: row[3] for row in rows if row[3] and row[0] != draft.options.admin_group}


def _memberships(listed: Dict[str, str], usernames: Set[str]) -> Dict[str, List[str]]:
    """For each of these users that is in any, the sorted names of the groups that list it."""
    found: Dict[str, List[str]] = {}
    for name in sorted(listed) if usernames else ():
        for username in usernames.intersection(listed[name].split(",")):
            found.setdefault(username, []).append(name)
    return found


def _set_members(draft: Draft, name: str, wanted: Set[str], silent: Set[str]) -> Set[str]:
    """Bring one group's members in line. Returns the names that came or went."""
    row = draft.accounts.group.row(name)
    owned = draft.managed[name]
    current = list(dict.fromkeys(members(row)))
    ours = set(draft.ledger.memberships.get(name, ()))

    def stays(username: str) -> bool:
        if username in wanted or username in silent or username in draft.left_alone:
            return True
        return draft.protection(username) is not None if owned else username not in ours

    gid = number(row[2])
    joining = sorted(name for name in wanted.difference(current) if draft.primary_gids.get(name) != gid)
    kept = [username for username in current if stays(username)]
    leaving = set(current) - set(kept)
    draft.plan.memberships += len(current)
    draft.plan.lost_memberships += [f"{username} in {name}" for username in leaving]
    final = kept + joining
    if joining or leaving:
        row[3] = ",".join(final)
        draft.accounts.group.put(row)
    _mirror(draft, name, final, bool(joining or leaving), None if owned else ours | wanted)
    if not owned:
        _remember(draft, name, (ours & set(final)) | set(joining))
    foreign = sorted(username for username in leaving if username not in draft.active)
    if foreign:
        draft.group_changes.append(Change("group", name, "update", {"members": (foreign, [])}))
    return leaving | set(joining)


def _remember(draft: Draft, group: str, usernames: Set[str]) -> None:
    if usernames:
        draft.ledger.memberships[group] = sorted(usernames)
    else:
        draft.ledger.memberships.pop(group, None)


def _mirror(draft: Draft, name: str, final: List[str], changed: bool, decided: Optional[Set[str]] = None) -> None:
    """Keep gshadow's members equal to group's: newgrp(1) and gpasswd(1) read the one, the C library the other.

    In a group that is not ours this goes for the names that were ``decided`` about. They are looked at even when the
    group itself did not change: a run may have been cut off between the two files.
    """
    table = draft.accounts.gshadow
    missing = table is not None and name not in table
    if table is None or (missing and decided is not None and not changed):
        return
    row = table.get(name) or [name, "!", "", ""]
    old = list(dict.fromkeys(members(row)))
    if decided is None or missing:
        new = final
    else:
        new = [item for item in old if item in final or item not in decided]
        new += [item for item in final if item in decided and item not in old]
    if new == old and not missing:
        return
    row[3] = ",".join(new)
    if missing:
        table.drop_malformed(name)
    table.put(row)
    if not changed:
        draft.group_changes.append(Change("group", name, "update", {"gshadow": ("missing" if missing else old, new)}))


def _set_admins(draft: Draft) -> None:
    """Admin rights are membership in the admin group; other members of that group are not our business."""
    group = draft.options.admin_group
    if not group:
        return
    row = draft.accounts.group.get(group)
    disabled = {
        entry.username for entry in draft.ledger.users.values() if entry.disabled is not None and entry.removed is None
    }
    admins = {
        name for name, user in draft.active.items() if name not in disabled and (user.admin or _was_admin(draft, user))
    }
    if row is None:
        if admins:
            problem = "does not exist"
            if group in draft.elsewhere.groups:
                problem = f"is in {draft.elsewhere.groups[group][1]} only and needs a line in /etc/group, with its gid"
            draft.fail("group", group, f"{problem}, so {', '.join(sorted(admins))} can't be made admins")
        return
    dropped = {name for name, user in draft.active.items() if user.admin is False} | disabled
    dropped -= {name for name in draft.left_alone if name not in draft.plan.departed}
    # A new account does not inherit the rights of a former one of its name.
    dropped |= {name for name in draft.plan.created if not draft.active[name].admin}
    gid = number(row[2])
    for username in sorted(name for name in dropped - disabled if draft.primary_gids.get(name) == gid):
        draft.fail("user", username, f"stays an admin: {group} is the primary group of the account")
    current = list(dict.fromkeys(members(row)))
    joining = sorted(admins.difference(current))
    leaving = dropped.intersection(current)
    final = [name for name in current if name not in leaving] + joining
    if joining or leaving:
        row[3] = ",".join(final)
        draft.accounts.group.put(row)
    _mirror(draft, group, final, bool(joining or leaving), admins | dropped)
    _remember(draft, group, (set(draft.ledger.memberships.get(group, ())) & set(final)) | set(joining))
    for username in joining:
        draft.note(username, "admin", None if username in draft.plan.created else False, True)
    for username in sorted(leaving):
        draft.note(username, "admin", True, False)
    _remember_admins(draft, leaving)


def _was_admin(draft: Draft, user: User) -> bool:
    """Whether somebody about whose admin rights the source says nothing lost them only by being disabled."""
    former = draft.old_ledger.users.get(user.id)
    return user.admin is None and former is not None and former.disabled is not None and former.disabled.admin


def _remember_admins(draft: Draft, leaving: Set[str]) -> None:
    for key, entry in draft.ledger.users.items():
        if entry.disabled is not None and entry.username in leaving:
            draft.ledger.users[key] = replace(entry, disabled=replace(entry.disabled, admin=True))
