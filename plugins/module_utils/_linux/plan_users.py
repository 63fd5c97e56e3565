# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users' part of a plan: which account is whose, and what each must become."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from .._roster.model import User
from .._roster.posix import home_problem, user_problem
from .._roster.ssh_keys import fingerprint, key_problem
from .draft import Draft, Home, Keys
from .ledger import Former, OwnedUser
from .plan_access import set_access, shadow_row
from .tables import number

#: In place of a failure: the record was rejected, which is said already.
_REJECTED = ""


def plan_users(draft: Draft) -> None:
    """Decide about each user of the roster, in the order of user names so that new ids are stable."""
    owners = {entry.username: key for key, entry in draft.ledger.users.items() if entry.removed is None}
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


def _decide(draft: Draft, user: User, username: str, owner: Optional[str], uid_owners: Dict[int, str]) -> None:
    """Whether the account is kept, taken over, made, or left alone."""
    row = draft.accounts.passwd.get(username)
    failure = draft.stuck.get(user.id)
    if failure is not None:
        draft.look_again(draft.today)
    elif user.id in draft.refused_names:
        former = draft.ledger.users[user.id].username
        failure = f"was {former!r} until now, and can't be renamed: {draft.refused_names[user.id]}"
    elif row is not None:
        failure = _keep(draft, user, username, row, owner)
    else:
        failure = _obstacle(draft, user, username, uid_owners) or _create(draft, user, username)
    if failure is None:
        draft.active[username] = user
        _bring_in_line(draft, user, row or draft.accounts.passwd.row(username))
        return
    draft.left_alone.add(username)
    if failure != _REJECTED:
        draft.fail("user", username, failure)
        if user.enabled is False and user.id not in draft.stuck:
            _disable_anyway(draft, user.id)


def _keep(draft: Draft, user: User, username: str, row: List[str], owner: Optional[str]) -> Optional[str]:
    """Why an account that is there can't be this user's; None if it is, or is taken over."""
    entry = draft.ledger.users.get(user.id)
    if entry is not None and (entry.removed is not None or entry.username != username):
        entry = None
    adopt = username in draft.options.adopt
    if entry is None and owner is None and not adopt:
        draft.reject(
            "user", username, "username",
            "is an account of this host that the roster did not make; adopt takes it over", identity=user.id,
        )  # fmt: skip
        return _REJECTED
    failure = other_ids(user, entry, row) or _home_taken(draft, user, username, row)
    if failure is None and entry is None:
        if not adopt:
            return (
                "is the account of another person, who had this user name before and whose stable id was "
                f"{owner!r}. If it is the same person, name the account in adopt"
            )
        _adopt(draft, user, username, row, owner)
    return failure


def _obstacle(draft: Draft, user: User, username: str, uid_owners: Dict[int, str]) -> Optional[str]:
    """Why an account of this name and uid can't be made."""
    if draft.accounts.passwd.is_malformed(username):
        return "has a line in this host's passwd file that is not well-formed; mend or remove it"
    other = draft.user_names.of(username)
    if other is not None:
        return f"differs from the account {other!r} of this host in letter case only, and sudo takes the two for one"
    if user.uid is None:
        return draft.name_problem(username, user.id)
    holder = uid_owners.get(user.uid)
    if holder is not None and holder != user.id:
        return f"uid {user.uid} was {draft.old_ledger.users[holder].username!r}'s and is never given to another"
    return draft.ids.uid_problem(user.uid) or draft.name_problem(username, user.id)


def _disable_anyway(draft: Draft, identity: str) -> None:
    """A record that can't be applied still says that its person may not come in any more."""
    entry = draft.ledger.users.get(identity)
    row = draft.accounts.passwd.get(entry.username) if entry else None
    if entry is None or row is None or number(row[2]) != entry.uid or draft.protection(entry.username):
        return
    draft.plan.departed.add(entry.username)
    set_access(draft, identity, row, enabled=False, password_hash=None)


def other_ids(user: User, entry: Optional[OwnedUser], row: List[str]) -> Optional[str]:
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
    # An account without numbers would be protected.
    private = _has_private_group(draft, username, row[3])
    entry = OwnedUser(username, number(row[2]) or 0, number(row[3]) or 0, private, adopted=True)
    former = draft.ledger.users.get(owner) if owner is not None else None
    if owner is not None and former is not None:
        bury(draft, owner, entry.uid)
        del draft.ledger.users[owner]
        if former.uid == entry.uid:
            entry = replace(entry, disabled=former.disabled, former=former.former)
    bury(draft, user.id, entry.uid)
    draft.ledger.users[user.id] = entry
    draft.actions[username] = "adopt"
    draft.fields.setdefault(username, {})


def bury(draft: Draft, identity: str, uid: Optional[int] = None) -> None:
    """An account that somebody removed by hand gives way to one with another uid. Its own is still never reused."""
    entry = draft.ledger.users.get(identity)
    if entry is not None and entry.uid != uid:
        tombstone = replace(entry, disabled=None, removed=entry.removed or draft.today, former=None)
        draft.ledger.users[f"{identity} (uid {entry.uid})"] = tombstone


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
    problem = home_problem(home) or draft.host.place_problem(home)
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
    draft.user_names.add(username)
    draft.home_places.take(home, username)
    shell = _shell(draft, user, username) or options.default_shell
    draft.accounts.passwd.put([username, "x", str(uid), str(gid), user.full_name or "", home, shell])
    # A line that an interrupted run or a careless hand left behind holds somebody's hash: it is replaced whole.
    draft.accounts.shadow.drop_malformed(username)
    if username in draft.accounts.shadow:
        draft.accounts.shadow.put(shadow_row(draft, username))
    if settings.uid_min <= uid <= settings.uid_max:
        _add_sub_ids(draft, username)
    bury(draft, user.id, uid)
    draft.ledger.users[user.id] = OwnedUser(username, uid, gid, private)
    draft.actions[username] = "create"
    draft.plan.created.add(username)
    draft.fields.setdefault(username, {}).update(uid=(None, uid), home=(None, home), shell=draft.new(shell))
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
    return _own_gid(draft, user, username, uid), True


def _own_gid(draft: Draft, user: User, username: str, uid: int) -> int:
    """The gid of a new account's private group. Raises ValueError with the reason against it."""
    ids, former = draft.ids, draft.ledger.users.get(user.id)
    group, other, gid = draft.accounts.group, draft.group_names.of(username), user.gid
    problem: Optional[str] = None
    if username in group or group.is_malformed(username) or username in draft.elsewhere.groups:
        problem = f"a group {username!r} exists"
    elif other is not None:
        problem = f"it differs from the group {other!r} in letter case only, and sudo takes the two for one"
    elif gid is not None and draft.sharing_gid(gid) > 1:
        problem = (
            f"{draft.sharing_gid(gid)} users have the primary gid {gid}, and no group of the roster or this host has it"
        )
    elif gid is not None:
        problem = ids.gid_problem(gid) or former_owner(draft, gid, user.id)
    if problem:
        raise ValueError(f"its private group can't be made: {problem}")
    if gid is None and former is not None and former.private_group and ids.gid_problem(former.gid) is None:
        gid = former.gid
    if gid is None:
        gid = uid if ids.gid_is_free(uid) else ids.new_gid()
    if gid is None:
        raise ValueError(f"no gid is free between {draft.settings.gid_min} and {draft.settings.gid_max}")
    return gid


def former_owner(draft: Draft, gid: int, identity: Optional[str] = None) -> Optional[str]:
    """Why a group can't have a gid that was another user's private group: files of that group may still be there."""
    owner = draft.private_owners.get(gid, identity)
    if owner == identity:
        return None
    return f"gid {gid} was {draft.old_ledger.users[owner or ''].username!r}'s own group and is never given to another"


def add_group(draft: Draft, name: str, gid: int) -> None:
    draft.accounts.group.put([name, "x", str(gid), ""])
    if draft.accounts.gshadow is not None:
        draft.accounts.gshadow.drop_malformed(name)
        draft.accounts.gshadow.put([name, "!", "", ""])
    draft.ids.take_group(gid, name)
    draft.group_names.add(name)


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


def _bring_in_line(draft: Draft, user: User, row: List[str]) -> None:
    """Make an owned account's lines say what the roster says, and note what differs. ``row`` is its line in passwd."""
    username = row[0]
    created = username in draft.plan.created
    if not created:
        shell, home = _shell(draft, user, username), _home(draft, user, username, row)
        old = list(row)
        for index, field, wanted in ((4, "full_name", user.full_name), (5, "home", home), (6, "shell", shell)):
            if wanted is not None and row[index] != wanted:
                draft.note(username, field, row[index], wanted)
                row[index] = wanted
        if row != old:
            draft.accounts.passwd.put(row)
    set_access(draft, user.id, row, user.enabled, user.password_hash)
    entry = draft.ledger.users[user.id]
    gshadow = draft.accounts.gshadow
    if entry.private_group and gshadow is not None and username not in gshadow:
        gshadow.drop_malformed(username)
        gshadow.put([username, "!", "", ""])
        if not created:
            draft.note(username, "gshadow", "missing", "present")
    _expect_home(draft, user, username, row)


def _home(draft: Draft, user: User, username: str, row: List[str]) -> Optional[str]:
    """The home that an account shall have, or None for the one it has. With move_homes the directory goes along, and
    the default home of a former name becomes that of the new one."""
    options, entry = draft.options, draft.ledger.users[user.id]
    home, old = user.home, row[5]
    if not options.move_homes:
        return home
    base = options.home_base.rstrip("/")
    if home is None and entry.former is not None and old == f"{base}/{entry.former.username}":
        home = f"{base}/{username}"
    if home is None or home.rstrip("/") == old.rstrip("/"):
        return home
    if entry.former is not None and entry.former.home:
        return None  # still on its way from the last move
    problem = home_problem(home) or draft.home_places.problem(home, username)
    if problem is None and not draft.host.home_is_missing(old):
        problem = home_problem(old) or draft.host.move_problem(old, home, entry.uid)
        if problem is None:
            name = entry.former.username if entry.former else username
            draft.ledger.users[user.id] = replace(entry, former=Former(name, old))
    if problem is None:
        draft.home_places.take(home, username)
    if problem and user.home is None:
        draft.warn(f"{username}: its home stays {old}: {problem}")
        return None
    if problem:
        draft.fail("user", username, f"its home can't move from {old} to {home}: {problem}")
        draft.look_again(draft.today)
        return None
    return home


def _expect_home(draft: Draft, user: User, username: str, row: List[str]) -> None:
    uid, gid, home = number(row[2]), number(row[3]), row[5]
    # That of a new account was looked at when it was made.
    if uid is None or gid is None or (username not in draft.plan.created and home_problem(home)):
        return
    former = draft.ledger.users[user.id].former
    moving = former is not None and former.home != "" and former.home != home
    missing = not moving and draft.host.home_is_missing(home)
    if draft.options.create_homes:
        draft.plan.expected_homes.append(home)
        if missing:
            draft.plan.homes.append(Home(home, uid, gid, username))
            if username not in draft.plan.created:
                draft.note(username, "home_directory", "missing", "present")
        elif username in draft.plan.created and draft.host.home_owner(home) not in (None, uid):
            draft.warn(f"{username}: its home {home} is there already and belongs to another; it stays as it is")
    if draft.options.authorized_keys and user.ssh_public_keys is not None:
        there = former.home if moving and former is not None else home
        if missing and not draft.options.create_homes:
            draft.fail("user", username, f"has no home {home} to keep its SSH keys in")
        else:
            _expect_keys(
                draft, username, user.ssh_public_keys, None if missing else there, Home(home, uid, gid, username)
            )


def _expect_keys(draft: Draft, username: str, given: Sequence[str], there: Optional[str], home: Home) -> None:
    """``there`` is where the home is at this moment, if it is."""
    keys = []
    for position, key in enumerate(given, start=1):
        problem = key_problem(key)
        if problem:
            draft.fail("user", username, f"ssh_public_keys: key {position} {problem}; it is left out")
        else:
            keys.append(key)
    try:
        current = draft.host.authorized_keys(there, home.uid) if there is not None else ()
    except OSError as refusal:
        draft.fail("user", username, f"its SSH keys can't be managed: {refusal.strerror}")
        draft.look_again(draft.today)
        return
    write = tuple(keys) != current
    draft.plan.keys.append(Keys(username, home.path, home.uid, home.gid, tuple(keys), write))
    if write:
        created = username in draft.plan.created
        draft.note(
            username, "ssh_public_keys", None if created else list(map(fingerprint, current)),
            list(map(fingerprint, keys)),
        )  # fmt: skip
