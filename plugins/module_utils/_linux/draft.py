# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made of, and the draft that its parts fill. Pure: nothing here reads or writes a host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Dict, FrozenSet, Hashable, List, Mapping, Optional, Sequence, Set, Tuple

from .._outcome import CHANGED, Change, Failure, Outcome
from .._roster.model import Rejected, Roster, User
from .._roster.text import folded
from .elsewhere import Elsewhere
from .home_places import HomePlaces
from .ids import Ids
from .ledger import Ledger
from .look_alikes import LookAlikes
from .settings import Settings
from .tables import Accounts, members, number


@dataclass(frozen=True)
class Options:
    """The module's options, checked. ``admin_group`` empty: admin rights are not this collection's business."""

    admin_group: str
    default_shell: str
    home_base: str = "/home"
    missing_users: str = "disable"
    #: days between the disabling and the removal of an account whose user left the roster
    remove_after: int = 30
    #: what becomes of a removed account's home: ``archive``, ``keep`` or ``delete``
    removed_homes: str = "archive"
    #: where archives go, a path below the root
    archives: str = "/var/lib/identity-roster/archives"
    move_homes: bool = False
    end_sessions: bool = False
    authorized_keys: bool = False
    require_admin: bool = True
    update_password: str = "always"
    create_homes: bool = True
    allow_unicode_names: bool = False
    adopt: FrozenSet[str] = frozenset()
    #: user name to the reason why it is protected
    protected: Dict[str, str] = field(default_factory=dict)
    protected_groups: FrozenSet[str] = frozenset()


class Host(ABC):
    """What a plan must know of a host beyond its account files. Tests give their own answers."""

    @abstractmethod
    def home_is_missing(self, path: str) -> bool: ...

    @abstractmethod
    def home_owner(self, path: str) -> Optional[int]:
        """The uid of what is there, or None if nothing is."""

    @abstractmethod
    def move_problem(self, old: str, new: str, uid: int) -> Optional[str]:
        """Why a home can't be moved."""

    @abstractmethod
    def place_problem(self, home: str) -> Optional[str]:
        """Why a new home can't be there: a link on the way leads to a directory of the system."""

    @abstractmethod
    def has_shell(self, path: str) -> bool:
        """Whether it is there and can be executed."""

    def elsewhere(self) -> Elsewhere:
        """Accounts and groups that are not in its account files."""
        return Elsewhere()

    @abstractmethod
    def busy_uids(self, uids: FrozenSet[int]) -> Set[int]:
        """Those of them that have processes. Raises OSError."""

    @abstractmethod
    def authorized_keys(self, home: str, uid: int) -> Tuple[str, ...]:
        """The SSH keys in the managed block. Raises OSError when the file is not one to be written."""


@dataclass(frozen=True)
class Home:
    """A home directory to be made after the account files are written."""

    path: str
    uid: int
    gid: int
    username: str


@dataclass(frozen=True)
class Keys:
    """The SSH keys that a user's managed block shall hold. ``write`` is False when it does already."""

    username: str
    home: str
    uid: int
    gid: int
    keys: Tuple[str, ...]
    write: bool


@dataclass(frozen=True)
class Removal:
    """What is left of an account that the plan removes, or that a former run removed but for this."""

    identity: str
    username: str
    uid: int
    #: "": the home stays
    home: str
    #: where the home is kept as a tar file before anything is written, or None
    archive: Optional[str]


@dataclass(frozen=True)
class Move:
    """What follows an account to its new name, and with ``old_home`` to its new home."""

    identity: str
    username: str
    uid: int
    old_username: str
    old_home: str
    home: str


@dataclass
class Plan:
    """All that a run would do."""

    accounts: Accounts
    ledger: Ledger
    outcome: Outcome
    homes: List[Home] = field(default_factory=list)
    #: homes that the ledger's enabled users should have: what a later run looks at before it believes nothing changed
    expected_homes: List[str] = field(default_factory=list)
    #: likewise the SSH keys that are managed
    keys: List[Keys] = field(default_factory=list)
    removals: List[Removal] = field(default_factory=list)
    moves: List[Move] = field(default_factory=list)
    #: disabled accounts of ours, user name to uid: nobody shall be at work as them
    locked_out: Dict[str, int] = field(default_factory=dict)
    #: names of owned accounts that this plan disables, those of them whose user left the roster just now, those that
    #: it removes, and memberships ("user in group") that it takes away: what the limits look at
    disabled: List[str] = field(default_factory=list)
    leavers: List[str] = field(default_factory=list)
    removed: List[str] = field(default_factory=list)
    lost_memberships: List[str] = field(default_factory=list)
    #: how many accounts are owned, and how many memberships the managed groups have, before this plan
    owned: int = 0
    memberships: int = 0
    #: users of the roster that have an account of ours
    active: int = 0
    created: Set[str] = field(default_factory=set)
    #: new name to old name
    renamed: Dict[str, str] = field(default_factory=dict)
    #: the first day on which a later run has something to do although nothing changed
    due: Optional[int] = None
    #: owned accounts that are disabled although no record of the roster is applied to them
    departed: Set[str] = field(default_factory=set)
    #: accounts whose lines must stay as they are
    untouchable: Tuple[str, ...] = ()

    def expected_names(self, before: Set[str]) -> Set[str]:
        """The user names of the new passwd file."""
        return (before - set(self.renamed.values()) - set(self.removed)) | set(self.renamed) | self.created


class Draft:
    """A plan being made: the parts of ``plan_users`` and ``plan_groups`` write into it."""

    def __init__(
        self, accounts: Accounts, ledger: Ledger, roster: Roster, options: Options, settings: Settings, host: Host,
        today: int, stuck: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.accounts = accounts
        self.roster = roster
        self.options = options
        self.settings = settings
        self.host = host
        self.today = today
        #: stable id to the reason why an owned account must stay as it is
        self.stuck = stuck
        self.ledger = _as_on_host(ledger, accounts)
        self.old_ledger = ledger
        self.elsewhere = host.elsewhere()
        #: the uid of each account as the run found it
        self.uids = accounts.passwd.numbers(2)
        self.user_names = LookAlikes([*accounts.passwd.names(), *self.elsewhere.users])
        self.group_names = LookAlikes([*accounts.group.names(), *self.elsewhere.groups])
        self.plan = Plan(accounts, self.ledger, Outcome(rejected=list(roster.rejected)))
        #: users of the roster that this run may change, by user name
        self.active: Dict[str, User] = {}
        #: user names whose accounts and memberships stay as they are, whatever the roster says
        self.left_alone: Set[str] = set()
        #: groups that the roster decides about, and whether the ledger owns them (else members are only added)
        self.managed: Dict[str, bool] = {}
        #: gid to name of the roster's groups that can't be used
        self.refused_gids: Dict[int, str] = {}
        #: user names that can't be given to another yet, to the stable id that had them: what belonged to the name is
        #: still on the disk, or the account has another name from this run on
        self.given_up: Dict[str, str] = {
            entry.username if entry.removed is not None else entry.former.username: key
            for key, entry in self.ledger.users.items()
            if entry.former is not None
        }
        self._new: Dict[Hashable, Tuple[None, Hashable]] = {}
        #: stable id to the reason why the account can't have the name that the roster gives
        self.refused_names: Dict[str, str] = {}
        self.actions: Dict[str, str] = {}
        self.fields: Dict[str, Dict[str, Sequence[Any]]] = {}
        self.group_changes: List[Change] = []

    # Only a run that makes, moves or renames something needs these three, which take 40 MB of 100,000 accounts.

    @cached_property
    def ids(self) -> Ids:
        """Which ids are free."""
        users, entries = self.roster.users, self.old_ledger.users.values()
        ids = Ids(
            self.accounts,
            self.settings,
            wanted_uids={user.uid for user in users if user.uid is not None} | self.old_ledger.uids(),
            wanted_gids={group.gid for group in self.roster.groups if group.gid is not None}
            | {user.gid for user in users if user.gid is not None}
            | {entry.gid for entry in entries if entry.private_group}
            | set(self.old_ledger.groups.values()),
        )
        for name, (uid, _path) in self.elsewhere.users.items():
            if uid is not None:
                ids.take(uid, name)
        for name, (gid, _path) in self.elsewhere.groups.items():
            if gid is not None:
                ids.take_group(gid, name)
        return ids

    @cached_property
    def private_owners(self) -> Dict[int, str]:
        """Gid to the stable id whose own group had it, also when account and group are gone."""
        return {entry.gid: key for key, entry in self.old_ledger.users.items() if entry.private_group}

    @cached_property
    def home_places(self) -> HomePlaces:
        """Whose home is where."""
        return HomePlaces(self.accounts.passwd, self.settings.uid_min)

    @cached_property
    def primary_gids(self) -> Dict[str, Optional[int]]:
        """The gid of each account. To be asked when no more are made."""
        return self.accounts.passwd.numbers(3)

    def reject(self, kind: str, name: str, field_name: str, reason: str, identity: Optional[str] = None) -> None:
        entry = Rejected(kind=kind, id=identity, name=name, field=field_name, reason=reason)
        self.plan.outcome.rejected.append(entry)

    def fail(self, kind: str, name: str, reason: str) -> None:
        self.plan.outcome.failed.append(Failure(kind, name, reason))

    def warn(self, text: str) -> None:
        self.plan.outcome.warnings.append(text)

    def look_again(self, day: int) -> None:
        """From this day on a run must not believe that nothing changed, whatever the files say."""
        self.plan.due = day if self.plan.due is None else min(day, self.plan.due)

    def note(self, username: str, field_name: str, before: Any, after: Any) -> None:
        self.fields.setdefault(username, {})[field_name] = (printable(before), after)

    def new(self, value: Hashable) -> Tuple[None, Hashable]:
        """(None, value) of something that many new accounts have, such as a shell: one pair for all of them."""
        return self._new.setdefault(value, (None, value))

    def note_secret(self, username: str, field_name: str) -> None:
        self.fields.setdefault(username, {})[field_name] = CHANGED

    def protection(self, username: str) -> Optional[str]:
        """Why an account may never be changed, or None."""
        reason = self.options.protected.get(username)
        if reason:
            return reason
        uid = self.uids.get(username)
        if uid is not None and uid >= self.settings.uid_min:
            return None
        row = self.accounts.passwd.get(username)
        if row is not None:
            uid = number(row[2])
            if uid is None or uid < self.settings.uid_min:
                return f"is a system account (uid {row[2]})"
        elif username in self.elsewhere.users:
            return f"is an account of this host in {self.elsewhere.users[username][1]}"
        return None

    def name_problem(self, username: str, identity: str) -> Optional[str]:
        """Why a name that is free can't be given to somebody in this run, or None. The next one looks again."""
        if self.given_up.get(username, identity) == identity:
            return None
        self.look_again(self.today)
        return f"what belonged to the former {username!r} is moved or removed first; it is the next run's"

    def protecting_group(self, username: str) -> Optional[str]:
        """A group of ``protected_groups`` that is called so or lists the user."""
        return self._protected_members.get(username)

    @cached_property
    def _protected_members(self) -> Dict[str, str]:
        found = {name: name for name in self.options.protected_groups}
        for name in self.options.protected_groups:
            for member in members(self.accounts.group.get(name) or ["", "", "", ""]):
                found.setdefault(member, name)
        return found

    @cached_property
    def busy_uids(self) -> Set[int]:
        """Of our accounts those that have processes. Raises OSError."""
        return self.host.busy_uids(frozenset(self.ledger.uids()))

    def users_of_gid(self, gid: int) -> Set[str]:
        """Accounts whose primary group it is. To be asked when no more are made."""
        return self._users_of_gid.get(gid, set())

    @cached_property
    def _users_of_gid(self) -> Dict[int, Set[str]]:
        users: Dict[int, Set[str]] = {}
        for name, gid in self.primary_gids.items():
            if gid is not None:
                users.setdefault(gid, set()).add(name)
        return users

    def sharing_gid(self, gid: int) -> int:
        """How many users of the roster have it as their primary gid."""
        return self._shared_gids.get(gid, 0)

    @cached_property
    def _shared_gids(self) -> Dict[int, int]:
        return Counter(user.gid for user in self.roster.users if user.gid is not None)

    def forget_member(self, usernames: Set[str]) -> Dict[str, Set[str]]:
        """Take names out of all groups. Returns each name that was listed, and where."""
        left: Dict[str, Set[str]] = {}
        for table in (self.accounts.group, self.accounts.gshadow) if usernames else ():
            for row in list(table.rows()) if table is not None else ():
                before = list(row)
                for place in (3,) if table is self.accounts.group else (2, 3):
                    names = row[place].split(",")
                    if not usernames.isdisjoint(names):
                        row[place] = ",".join(name for name in names if name not in usernames)
                        for name in usernames.intersection(names):
                            left.setdefault(name, set()).add(row[0])
                if row != before and table is not None:
                    table.put(row)
        return left

    def present(self) -> Tuple[Set[str], Set[str]]:
        """(ids, folded user names) that the source still knows, records rejected there or here included."""
        rejected = [entry for entry in self.plan.outcome.rejected if entry.kind == "user"]
        ids = {user.id for user in self.roster.users} | {entry.id for entry in rejected if entry.id}
        return ids, {folded(entry.name) for entry in rejected if entry.name}

    def finish(self) -> Plan:
        """Gather what was noted into changes: disables first, then groups, then users by name, then removals."""
        self._follow_up()
        users = []
        for username, fields in self.fields.items():
            users.append(Change("user", username, self.actions.get(username, "update"), fields))
        order = {"disable": 0, "remove": 2}
        users.sort(key=lambda change: (order.get(change.action, 1), change.name))
        first = [change for change in users if change.action == "disable"]
        rest = [change for change in users if change.action != "disable"]
        outcome = self.plan.outcome
        outcome.changes = first + sorted(self.group_changes, key=lambda change: change.name) + rest
        outcome.unchanged = sum(1 for username in self.active if username not in self.fields)
        self.plan.active = len(self.active)
        outcome.pending.sort()
        outcome.rejected.sort(key=lambda entry: (entry.kind, entry.name or "", entry.id or "", entry.record or ""))
        outcome.failed.sort(key=lambda failure: (failure.kind, failure.name))
        return self.plan

    def _follow_up(self) -> None:
        """What the disk is to be told after the account files, also what an earlier run could not."""
        for key, entry in self.ledger.users.items():
            former, old = entry.former, self.old_ledger.users.get(key)
            if former is None:
                continue
            row = self.accounts.passwd.get(entry.username)
            fresh = old is None or old.former != former
            if entry.removed is not None:
                archive = entry.archive if fresh else None
                self.plan.removals.append(Removal(key, entry.username, entry.uid, former.home, archive))
                if not fresh and row is None:
                    self.actions[entry.username] = "remove"
                    self.note(entry.username, "home" if former.home else "mail_and_jobs", former.home or "there", None)
                    self.plan.departed.add(entry.username)
            elif row is not None:
                self.plan.moves.append(Move(key, entry.username, entry.uid, former.username, former.home, row[5]))
                if not fresh and entry.username in self.active:
                    self.note(entry.username, "former_username", former.username, None)


def _as_on_host(ledger: Ledger, accounts: Accounts) -> Ledger:
    """A copy of the ledger in which an account whose removal was cut off before it was in the files is there again."""
    copy = ledger.copy()
    for key, entry in ledger.users.items():
        if entry.removed is not None and entry.former is not None:
            row = accounts.passwd.get(entry.username)
            if row is not None and number(row[2]) == entry.uid:
                copy.users[key] = replace(entry, removed=None, former=None, archive=None)
    return copy


def printable(value: Any) -> Any:
    """A value of the host's files as it can be shown: they may hold bytes that are no text, and terminal controls."""
    if isinstance(value, str) and not value.isprintable():
        return "".join(item if item.isprintable() else ascii(item)[1:-1] for item in value)
    return value
