# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made of, and the draft that its parts fill. Pure: nothing here reads or writes a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from .._outcome import CHANGED, Change, Failure, Outcome
from .._roster.model import Rejected, Roster, User
from .._roster.text import folded
from .home_places import HomePlaces
from .ids import Ids
from .ledger import Ledger
from .settings import Settings
from .tables import Accounts, number


@dataclass(frozen=True)
class Options:
    """The module's options, checked. ``admin_group`` empty: admin rights are not this collection's business."""

    admin_group: str
    default_shell: str
    home_base: str = "/home"
    missing_users: str = "disable"
    update_password: str = "always"
    create_homes: bool = True
    allow_unicode_names: bool = False
    adopt: FrozenSet[str] = frozenset()
    #: user name to the reason why it is protected
    protected: Dict[str, str] = field(default_factory=dict)


class Host:
    """What a plan must know of a host beyond its account files. Tests give their own answers."""

    def home_is_missing(self, path: str) -> bool:
        raise NotImplementedError

    def has_shell(self, path: str) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class Home:
    """A home directory to be made after the account files are written."""

    path: str
    uid: int
    gid: int
    username: str


@dataclass
class Plan:
    """All that a run would do."""

    accounts: Accounts
    ledger: Ledger
    outcome: Outcome
    homes: List[Home] = field(default_factory=list)
    #: homes that the ledger's enabled users should have: what a later run looks at before it believes nothing changed
    expected_homes: List[str] = field(default_factory=list)
    #: names of owned accounts that this plan disables, those of them whose user left the roster just now, and
    #: memberships ("user in group") that it takes away: what the limits look at
    disabled: List[str] = field(default_factory=list)
    leavers: List[str] = field(default_factory=list)
    lost_memberships: List[str] = field(default_factory=list)
    #: how many accounts are owned, and how many memberships the managed groups have, before this plan
    owned: int = 0
    memberships: int = 0
    #: users of the roster that have an account of ours
    active: int = 0
    created: Set[str] = field(default_factory=set)
    #: owned accounts that are disabled although no record of the roster is applied to them
    departed: Set[str] = field(default_factory=set)
    #: accounts whose lines must stay as they are
    untouchable: Tuple[str, ...] = ()


class Draft:
    """A plan being made: the parts of ``plan_users`` and ``plan_groups`` write into it."""

    def __init__(
        self, accounts: Accounts, ledger: Ledger, roster: Roster, options: Options, settings: Settings, host: Host,
        today: int,
    ) -> None:  # fmt: skip
        self.accounts = accounts
        self.roster = roster
        self.options = options
        self.settings = settings
        self.host = host
        self.today = today
        self.ledger = ledger.copy()
        self.old_ledger = ledger
        self.ids = Ids(
            accounts,
            settings,
            wanted_uids={user.uid for user in roster.users if user.uid is not None} | ledger.uids(),
            wanted_gids={group.gid for group in roster.groups if group.gid is not None}
            | {user.gid for user in roster.users if user.gid is not None}
            | set(ledger.groups.values()),
        )
        self.home_places = HomePlaces(accounts.passwd, settings.uid_min)
        self.plan = Plan(accounts, self.ledger, Outcome(rejected=list(roster.rejected)))
        #: users of the roster that this run may change, by user name
        self.active: Dict[str, User] = {}
        #: user names whose accounts and memberships stay as they are, whatever the roster says
        self.left_alone: Set[str] = set()
        #: groups that the roster decides about, and whether the ledger owns them (else members are only added)
        self.managed: Dict[str, bool] = {}
        #: gid to name of the roster's groups that can't be used
        self.refused_gids: Dict[int, str] = {}
        self.actions: Dict[str, str] = {}
        self.fields: Dict[str, Dict[str, Sequence[Any]]] = {}
        self.group_changes: List[Change] = []

    def reject(self, kind: str, name: str, field_name: str, reason: str, identity: Optional[str] = None) -> None:
        entry = Rejected(kind=kind, id=identity, name=name, field=field_name, reason=reason)
        self.plan.outcome.rejected.append(entry)

    def fail(self, kind: str, name: str, reason: str) -> None:
        self.plan.outcome.failed.append(Failure(kind, name, reason))

    def warn(self, text: str) -> None:
        self.plan.outcome.warnings.append(text)

    def note(self, username: str, field_name: str, before: Any, after: Any) -> None:
        self.fields.setdefault(username, {})[field_name] = (_printable(before), after)

    def note_secret(self, username: str, field_name: str) -> None:
        self.fields.setdefault(username, {})[field_name] = CHANGED

    def protection(self, username: str) -> Optional[str]:
        """Why an account may never be changed, or None."""
        reason = self.options.protected.get(username)
        if reason:
            return reason
        row = self.accounts.passwd.get(username)
        if row is not None:
            uid = number(row[2])
            if uid is None or uid < self.settings.uid_min:
                return f"is a system account (uid {row[2]})"
        return None

    def present(self) -> Tuple[Set[str], Set[str]]:
        """(ids, folded user names) that the source still knows, records rejected there or here included."""
        rejected = [entry for entry in self.plan.outcome.rejected if entry.kind == "user"]
        ids = {user.id for user in self.roster.users} | {entry.id for entry in rejected if entry.id}
        return ids, {folded(entry.name) for entry in rejected if entry.name}

    def finish(self) -> Plan:
        """Gather what was noted into changes: disables first, then groups, then the users by name."""
        users = []
        for username, fields in self.fields.items():
            users.append(Change("user", username, self.actions.get(username, "update"), fields))
        order = {"disable": 0, "update": 2, "enable": 2, "adopt": 2, "create": 2}
        users.sort(key=lambda change: (order[change.action], change.name))
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


def _printable(value: Any) -> Any:
    """A value of the host's files as it can be shown: they may hold bytes that are no text, and terminal controls."""
    if isinstance(value, str) and not value.isprintable():
        return "".join(item if item.isprintable() else ascii(item)[1:-1] for item in value)
    return value
