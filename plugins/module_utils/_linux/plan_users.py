# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users' part of a plan: which account is whose, and what each must become."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

from .._roster.model import User
from .._roster.posix import home_problem, user_problem
from .._roster.validation import folded
from .ledger import Disabled, OwnedUser
from .draft import Draft, Home
from .tables import number

#: Days since 1970 in shadow's expiry field. 1 is long past, and 0 is ambiguous (shadow(5)).
EXPIRED = "1"


def plan_users(draft: Draft) -> None:
    """Decide about each user of the roster, in the order of user names so that new ids are stable."""
    owners = {entry.username: key for key, entry in draft.ledger.users.items()}
    uid_owners = {entry.uid: key for key, entry in draft.ledger.users.items()}
    for user in sorted(draft.roster.users, key=lambda item: item.username or ""):
        problem = user_problem(user, draft.options.allow_unicode_names)
        if problem:
            draft.reject("user", user.username or user.label, *problem, identity=user.id)
            draft.left_alone.add(user.username or "")
            entry = draft.ledger.users.get(user.id)
            if entry:
                draft.left_alone.add(entry.username)
            continue
        username = user.username
        assert username is not None
        protection = draft.protection(username)
        if protection:
            draft.reject("user", username, "username", protection, identity=user.id)
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
            f"{entry.username!r} stays as it is until the source says {entry.username!r} again"
        )
        draft.left_alone.add(entry.username)
    elif row is not None:
        uid = number(row[2])
        if entry is not None and entry.uid != uid:
            failure = f"has uid {row[2]} on this host, but was made with {entry.uid}: someone replaced it"
        elif user.uid is not None and user.uid != uid:
            failure = f"has uid {row[2]} on this host and {user.uid} in the roster; accounts are never renumbered"
            if entry is None and owner is None and username not in draft.options.adopt:
                failure = None  # not ours: reported as such below
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
        return
    draft.active[username] = user
    _bring_in_line(draft, user, username)


def _adopt(draft: Draft, user: User, username: str, row: List[str], owner: Optional[str]) -> None:
    if owner is not None:
        del draft.ledger.users[owner]
    uid = number(row[2])
    assert uid is not None
    private = _has_private_group(draft, username, row[3])
    draft.ledger.users[user.id] = OwnedUser(username, uid, number(row[3]) or 0, private, adopted=True)
    draft.actions[username] = "adopt"
    draft.fields.setdefault(username, {})


def _has_private_group(draft: Draft, username: str, gid: str) -> bool:
    group = draft.accounts.group.get(username)
    return group is not None and group[2] == gid


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
    private = False
    if user.gid is not None and user.gid in ids.groups_of_gid:
        gid: Optional[int] = user.gid
        problem = _primary_group_problem(draft, user.gid)
        if problem:
            return problem
    elif user.gid is None and not settings.private_groups:
        gid = settings.primary_gid
    else:
        row = draft.accounts.group.get(username)
        if row is not None and former is not None and former.private_group and number(row[2]) == former.gid:
            # Left by a run that was cut off between the group file and passwd, or by userdel without its group.
            ids.groups_of_gid.pop(former.gid)
        elif row is not None:
            return f"its private group can't be made: a group {username!r} exists"
        problem = ids.gid_problem(user.gid) if user.gid is not None else None
        if problem:
            return f"its private group can't be made: {problem}"
        if user.gid is not None:
            gid = user.gid
        elif row is not None and former is not None:
            gid = former.gid
        else:
            gid = uid if ids.gid_is_free(uid) else ids.new_gid()
        private = True
    if gid is None:
        return f"no gid is free between {settings.gid_min} and {settings.gid_max}"

    if private:
        add_group(draft, username, gid)
    ids.take(uid, username)
    shell = _shell(draft, user, username) or options.default_shell
    draft.accounts.passwd.put([username, "x", str(uid), str(gid), user.full_name or "", home, shell])
    # A line that an interrupted run or a careless hand left behind holds somebody's hash: it is replaced whole.
    draft.accounts.shadow.put(_shadow_row(draft, username, settings.expire))
    if settings.uid_min <= uid <= settings.uid_max and settings.sub_id_count > 0:
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


def _primary_group_problem(draft: Draft, gid: int) -> Optional[str]:
    name = draft.ids.groups_of_gid[gid]
    if any(group.name == name for group in draft.roster.groups) or name in draft.ledger.groups:
        return None
    return f"its primary gid {gid} is the group {name!r} of this host, which is not in the roster"


def _shadow_row(draft: Draft, username: str, expire: str) -> List[str]:
    settings = draft.settings
    # Day 0 would force a new password at the first login; it only comes from a clock that was never set.
    changed = str(draft.today) if draft.today > 0 else ""
    return [
        username, "*", changed, settings.pass_min_days, settings.pass_max_days, settings.pass_warn_age,
        settings.inactive, expire, "",
    ]  # fmt: skip


def add_group(draft: Draft, name: str, gid: int) -> None:
    draft.accounts.group.put([name, "x", str(gid), ""])
    if draft.accounts.gshadow is not None:
        draft.accounts.gshadow.put([name, "!", "", ""])
    draft.ids.take_group(gid, name)


def _add_sub_ids(draft: Draft, username: str) -> None:
    for kind in ("subuid", "subgid"):
        table = getattr(draft.accounts, kind)
        if table is None or username in table:
            continue
        first = draft.ids.new_sub_range(kind)
        if first is None:
            draft.warn(f"/etc/{kind} has no free range left for {username}: its containers will not start")
        else:
            table.put([username, str(first), str(draft.settings.sub_id_count)])


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
    row = passwd.get(username)
    assert row is not None
    if not created:
        shell = _shell(draft, user, username)
        for index, field, wanted in ((4, "full_name", user.full_name), (5, "home", user.home), (6, "shell", shell)):
            if wanted is not None and row[index] != wanted:
                draft.note(username, field, row[index], wanted)
                row[index] = wanted
        row[1] = "x"
        passwd.put(row)
    _set_access(draft, user.id, username, user.enabled, user.password_hash)
    entry = draft.ledger.users[user.id]
    gshadow = draft.accounts.gshadow
    if entry.private_group and gshadow is not None and username not in gshadow:
        gshadow.put([username, "!", "", ""])
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


def _set_access(
    draft: Draft, identity: str, username: str, enabled: Optional[bool], password_hash: Optional[str], reason: str = "source"
) -> None:  # fmt: skip
    """Password, lock and expiry: the two halves of a disabled account are one thing here.

    pam_unix's auth step only sees the lock, sshd with a key only the expiry (facts measured on Debian 12), so a
    disabled account has both.
    """
    created = username in draft.plan.created
    shadow = draft.accounts.shadow
    row = shadow.get(username)
    fresh = row is None
    if row is None:
        row = _shadow_row(draft, username, draft.settings.expire)
    password, expire = row[1], row[7]
    entry = draft.ledger.users[identity]
    is_disabled = password.startswith("!") and expire == EXPIRED
    is_enabled = not password.startswith("!") and expire != EXPIRED
    if enabled is None:
        back = entry.disabled is not None and entry.disabled.reason == "missing"
        enabled = True if created or back else not is_disabled

    bare = password.lstrip("!")
    wanted_hash = password_hash if created or fresh or draft.options.update_password == "always" else None
    new_bare = wanted_hash or bare or "*"
    row[1] = new_bare if enabled else "!" + new_bare
    if enabled:
        if expire == EXPIRED:
            row[7] = entry.disabled.expire if entry.disabled else ""
        if entry.disabled:
            draft.ledger.users[identity] = replace(entry, disabled=None)
    else:
        row[7] = EXPIRED
        if entry.disabled is None or entry.disabled.reason != reason:
            former = entry.disabled.expire if entry.disabled else expire if expire != EXPIRED else ""
            draft.ledger.users[identity] = replace(entry, disabled=Disabled(reason, draft.today, former))
    if new_bare != bare and wanted_hash:
        if not created and draft.today > 0:
            row[2] = str(draft.today)
        draft.note_secret(username, "password_hash")
    if new_bare == "*" and enabled:
        draft.plan.outcome.pending.append(username)

    if created:
        draft.note(username, "enabled", None, enabled)
    elif enabled and not is_enabled:
        draft.note(username, "enabled", False, True)
        draft.actions.setdefault(username, "enable")
    elif not enabled and not is_disabled:
        draft.note(username, "enabled", True, False)
        draft.actions[username] = "disable"
        draft.plan.disabled.append(username)
    elif row != shadow.get(username) and not (new_bare != bare and wanted_hash):
        draft.note(username, "shadow", "incomplete", "complete")
    shadow.put(row)


def plan_missing(draft: Draft) -> None:
    """Owned accounts whose user left the roster."""
    ids, names = draft.present()
    for key, entry in sorted(draft.old_ledger.users.items(), key=lambda item: item[1].username):
        username = entry.username
        if key in ids or key not in draft.ledger.users:
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
        protection = draft.protection(username)
        if protection:
            draft.warn(f"{username} left the roster and stays as it is: {protection}")
            continue
        if number(row[2]) != entry.uid:
            draft.fail("user", username, f"left the roster, but has uid {row[2]} and was made with {entry.uid}")
            continue
        draft.plan.departed.add(username)
        _set_access(draft, key, username, enabled=False, password_hash=None, reason="missing")
