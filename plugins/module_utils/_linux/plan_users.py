# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users' part of a plan: which account is whose, and what each must become."""

from __future__ import annotations

from typing import List, Optional, Tuple

from .._roster.model import User
from .._roster.posix import home_problem, user_problem
from .._roster.text import folded
from .draft import Draft, Home
from .ledger import OwnedUser
from .plan_access import set_access, shadow_row
from .tables import number


def plan_users(draft: Draft) -> None:
    """Decide about each user of the roster, in the order of user names so that new ids are stable."""
    owners = {entry.username: key for key, entry in draft.ledger.users.items()}
    uid_owners = {entry.uid: key for key, entry in draft.ledger.users.items()}
    for user in sorted(draft.roster.users, key=lambda item: item.username or ""):
        username = user.username or user.label
        problem = user_problem(user, draft.options.allow_unicode_names)
        if problem is None and username == draft.options.admin_group:
            problem = ("username", "is the name of the admin group")
        protection = draft.protection(username)
        if problem is None and protection:
            problem = ("username", protection)
        if problem:
            draft.reject("user", username, *problem, identity=user.id)
            draft.left_alone.add(username)
            continue
        _decide(draft, user, username, owners.get(username), uid_owners)


def _decide(draft: Draft, user: User, username: str, owner: Optional[str], uid_owners: dict[int, str]) -> None:
    """Whether the account is kept, taken over, made, or left alone."""
    entry = draft.ledger.users.get(user.id)
    row = draft.accounts.passwd.get(username)
    failure = None
    if entry is not None and entry.username != username:
        failure = (
            f"was {entry.username!r} and is now {username!r} at the source. Accounts are not renamed: "
            f"{entry.username!r} is only disabled if the source says so, until it says {entry.username!r} again"
        )
    elif row is not None:
        ours = entry is not None or owner is not None or username in draft.options.adopt
        failure = (_other_ids(user, entry, row) or _home_taken(draft, user, username, row)) if ours else None
        if failure is None and entry is None:
            if username in draft.options.adopt:
                _adopt(draft, user, username, row, owner)
            elif owner is not None:
                failure = (
                    "is the account of another person, who had this user name before and whose stable id was "
                    f"{owner!r}. If it is the same person, name the account in adopt"
                )
            else:
                draft.reject(
                    "user", username, "username",
                    "is an account of this host that the roster did not make; adopt takes it over", identity=user.id,
                )  # fmt: skip
                draft.left_alone.add(username)
                return
    elif draft.accounts.passwd.is_malformed(username):
        failure = "has a line in this host's passwd file that is not well-formed; mend or remove it"
    elif user.uid is not None:
        holder = uid_owners.get(user.uid)
        if holder is not None and holder != user.id:
            failure = f"uid {user.uid} was {draft.ledger.users[holder].username!r}'s and is never given to another"
        else:
            failure = draft.ids.uid_problem(user.uid)
    if failure is None and row is None:
        failure = _create(draft, user, username)
    if failure is not None:
        draft.fail("user", username, failure)
        draft.left_alone.add(username)
        if user.enabled is False:
            _disable_anyway(draft, user.id)
        return
    draft.active[username] = user
    _bring_in_line(draft, user, username)


def _disable_anyway(draft: Draft, identity: str) -> None:
    """A record that can't be applied still says that its person may not come in any more."""
    entry = draft.ledger.users.get(identity)
    row = draft.accounts.passwd.get(entry.username) if entry else None
    if entry is None or row is None or number(row[2]) != entry.uid or draft.protection(entry.username):
        return
    draft.plan.departed.add(entry.username)
    set_access(draft, identity, entry.username, enabled=False, password_hash=None)


def _other_ids(user: User, entry: Optional[OwnedUser], row: List[str]) -> Optional[str]:
    """Why an account with these ids is not the one that the roster means."""
    if entry is not None and entry.uid != number(row[2]):
        return f"has uid {row[2]} on this host, but was made with {entry.uid}: someone replaced it"
    for kind, index, wanted in (("uid", 2, user.uid), ("gid", 3, user.gid)):
        if wanted is not None and wanted != number(row[index]):
            return f"has {kind} {row[index]} on this host and {wanted} in the roster; accounts are never renumbered"
    return None


def _home_taken(draft: Draft, user: User, username: str, row: List[str]) -> Optional[str]:
    """Why an account can't move to the home that the roster names."""
    if user.home is None or user.home == row[5]:
        return None
    problem = draft.home_places.problem(user.home, username)
    draft.home_places.take(user.home, username)
    return problem


def _adopt(draft: Draft, user: User, username: str, row: List[str], owner: Optional[str]) -> None:
    if owner is not None:
        del draft.ledger.users[owner]
    # An account without numbers would be protected.
    private = _has_private_group(draft, username, row[3])
    entry = OwnedUser(username, number(row[2]) or 0, number(row[3]) or 0, private, adopted=True)
    draft.ledger.users[user.id] = entry
    draft.actions[username] = "adopt"
    draft.fields.setdefault(username, {})


def _has_private_group(draft: Draft, username: str, gid: str) -> bool:
    group = draft.accounts.group.get(username)
    return group is not None and number(group[2]) == number(gid)


def _create(draft: Draft, user: User, username: str) -> Optional[str]:
    """Add the account's lines. Returns why that can't be done."""
    options, settings, ids = draft.options, draft.settings, draft.ids
    former = draft.ledger.users.get(user.id)
    uid = user.uid
    if uid is None:
        uid = former.uid if former is not None and ids.uid_problem(former.uid) is None else ids.new_uid()
    if uid is None:
        return f"no uid is free between {settings.uid_min} and {settings.uid_max}"
    home = user.home or f"{options.home_base.rstrip('/')}/{username}"
    problem = home_problem(home)
    if problem:
        return f"its home {problem}"
    problem = draft.home_places.problem(home, username)
    if problem:
        return f"its home can't be there: {problem}"
    try:
        gid, private = _primary_group(draft, user, username, uid)
    except ValueError as refusal:
        return str(refusal)

    if private and username not in draft.accounts.group:
        add_group(draft, username, gid)
    ids.take(uid, username)
    draft.home_places.take(home, username)
    shell = _shell(draft, user, username) or options.default_shell
    draft.accounts.passwd.put([username, "x", str(uid), str(gid), user.full_name or "", home, shell])
    # A line that an interrupted run or a careless hand left behind holds somebody's hash: it is replaced whole.
    draft.accounts.shadow.drop_malformed(username)
    draft.accounts.shadow.put(shadow_row(draft, username))
    if settings.uid_min <= uid <= settings.uid_max:
        _add_sub_ids(draft, username)
    draft.ledger.users[user.id] = OwnedUser(username, uid, gid, private)
    draft.actions[username] = "create"
    draft.plan.created.add(username)
    draft.note(username, "uid", None, uid)
    draft.note(username, "home", None, home)
    draft.note(username, "shell", None, shell)
    if user.full_name:
        draft.note(username, "full_name", None, user.full_name)
    return None


def _primary_group(draft: Draft, user: User, username: str, uid: int) -> Tuple[int, bool]:
    """(gid, whether it is the user's private group) of a new account. Raises ValueError with the reason against it."""
    settings, ids = draft.settings, draft.ids
    if user.gid is None and not settings.private_groups:
        return settings.primary_gid, False
    row = draft.accounts.group.get(username)
    former = draft.ledger.users.get(user.id)
    left = row is not None and former is not None and former.private_group and number(row[2]) == former.gid
    if left and former is not None and user.gid in (None, former.gid):
        # Left by a run that was cut off between the group file and passwd, or by userdel without its group.
        return former.gid, True
    if user.gid is not None:
        name = ids.groups_of_gid.get(user.gid)
        vanished = name != draft.options.admin_group and draft.ledger.groups.get(name or "") == user.gid
        if name is not None and (name in draft.managed or vanished):
            return user.gid, False
        if name is not None:
            # Primary groups are memberships too, and not of the admin group or of somebody's private group.
            raise ValueError(
                f"its primary gid {user.gid} is the group {name!r} of this host, which is not the roster's"
            )
        name = draft.refused_gids.get(user.gid)
        if name is not None:
            raise ValueError(f"its primary gid {user.gid} is meant for the group {name!r}, which can't be used")
    if row is not None or draft.accounts.group.is_malformed(username):
        raise ValueError(f"its private group can't be made: a group {username!r} exists")
    gid = user.gid
    problem = ids.gid_problem(gid) if gid is not None else None
    if problem:
        raise ValueError(f"its private group can't be made: {problem}")
    if gid is None:
        gid = uid if ids.gid_is_free(uid) else ids.new_gid()
    if gid is None:
        raise ValueError(f"no gid is free between {settings.gid_min} and {settings.gid_max}")
    return gid, True


def add_group(draft: Draft, name: str, gid: int) -> None:
    draft.accounts.group.put([name, "x", str(gid), ""])
    if draft.accounts.gshadow is not None:
        draft.accounts.gshadow.drop_malformed(name)
        draft.accounts.gshadow.put([name, "!", "", ""])
    draft.ids.take_group(gid, name)


def _add_sub_ids(draft: Draft, username: str) -> None:
    for kind in ("subuid", "subgid"):
        table, count = getattr(draft.accounts, kind), getattr(draft.settings, kind).count
        if table is None or count == 0 or username in table:
            continue
        first = draft.ids.new_sub_range(kind)
        if first is None:
            draft.warn(f"/etc/{kind} has no free range left for {username}: its containers will not start")
        else:
            table.put([username, str(first), str(count)])


def _shell(draft: Draft, user: User, username: str) -> Optional[str]:
    """The roster's shell, if this host has it: a shell that is not there would keep the user out."""
    if user.shell is None:
        return None
    if draft.host.has_shell(user.shell):
        return user.shell
    draft.warn(f"{username}: this host has no {user.shell}; the shell is left as it is")
    return None


def _bring_in_line(draft: Draft, user: User, username: str) -> None:
    """Make an owned account's lines say what the roster says, and note what differs."""
    created = username in draft.plan.created
    passwd = draft.accounts.passwd
    row = passwd.row(username)
    if not created:
        shell = _shell(draft, user, username)
        for index, field, wanted in ((4, "full_name", user.full_name), (5, "home", user.home), (6, "shell", shell)):
            if wanted is not None and row[index] != wanted:
                draft.note(username, field, row[index], wanted)
                row[index] = wanted
        passwd.put(row)
    set_access(draft, user.id, username, user.enabled, user.password_hash)
    entry = draft.ledger.users[user.id]
    gshadow = draft.accounts.gshadow
    if entry.private_group and gshadow is not None and username not in gshadow:
        gshadow.drop_malformed(username)
        gshadow.put([username, "!", "", ""])
        if not created:
            draft.note(username, "gshadow", "missing", "present")
    if draft.options.create_homes:
        _expect_home(draft, username, row)


def _expect_home(draft: Draft, username: str, row: List[str]) -> None:
    uid, gid, home = number(row[2]), number(row[3]), row[5]
    if uid is None or gid is None or home_problem(home):
        return
    draft.plan.expected_homes.append(home)
    if draft.host.home_is_missing(home):
        draft.plan.homes.append(Home(home, uid, gid, username))
        if username not in draft.plan.created:
            draft.note(username, "home_directory", "missing", "present")


def plan_missing(draft: Draft) -> None:
    """Owned accounts whose user left the roster, or whose record can't be used."""
    ids, names = draft.present()
    unknown = [entry for entry in draft.roster.rejected if entry.kind == "user" and not (entry.id or entry.name)]
    draft.left_alone |= {entry.name for entry in draft.roster.rejected if entry.kind == "user" and entry.name}
    for key, entry in sorted(draft.old_ledger.users.items(), key=lambda item: item[1].username):
        username = entry.username
        if key not in draft.ledger.users:
            continue
        if key in ids:
            if username not in draft.active:
                draft.left_alone.add(username)
            continue
        row = draft.accounts.passwd.get(username)
        if row is None:
            continue
        if username in draft.active:
            # The account has gone over to another id, and the run that did so was cut off.
            del draft.ledger.users[key]
            continue
        draft.left_alone.add(username)
        if folded(username) in names or draft.options.missing_users == "ignore":
            continue
        if unknown:
            draft.warn(
                f"{username} left the roster and stays as it is: {unknown[0].record} of the source has neither id nor "
                "name, so it may be anybody. Mend that record"
            )
            continue
        protection = draft.protection(username)
        if protection:
            draft.warn(f"{username} left the roster and stays as it is: {protection}")
            continue
        if number(row[2]) != entry.uid:
            draft.fail("user", username, f"left the roster, but has uid {row[2]} and was made with {entry.uid}")
            continue
        draft.plan.departed.add(username)
        if entry.disabled is None or entry.disabled.reason != "missing":
            draft.plan.leavers.append(username)
        set_access(draft, key, username, enabled=False, password_hash=None, reason="missing")
