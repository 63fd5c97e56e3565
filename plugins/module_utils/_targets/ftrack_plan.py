# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user of ftrack lacks to be what the roster says: names, external id, groups, security roles. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from .._limits import Found
from .._pairing import Account
from .._reconcile import Difference, Plan, Policy, reconcile
from .._roster.model import Roster, User
from .._roster.text import folded
from .ftrack_people import differs, external_id_of, is_blank, values_of
from .service_state import ServiceState

#: In the mapping of security roles: everybody in the roster.
EVERYBODY = "*"
#: Whose grant or removal is a change of admin rights, folded.
_ADMINISTRATORS = ("administrator", "admin")


@dataclass(frozen=True)
class Wishes:
    """What a site asks for. ``groups``: folded names of the roster's groups to names at ftrack, None for "the same
    names"; without ``manage_groups`` they are not looked at. ``roles``: the same to names of security roles;
    ``only_roles`` takes those of the mapping from whom it does not give them. ``erase``: whether blanks may."""

    external_ids: bool = False
    match: Tuple[str, ...] = ("external_id", "username")
    user_type: Optional[str] = None
    manage_groups: bool = False
    groups: Optional[Mapping[str, str]] = None
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    only_roles: bool = False
    erase: bool = False


@dataclass(frozen=True)
class Workspace:
    """What there is at ftrack besides users: names to ids. ``groups`` has those that a roster may fill."""

    groups: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    configuration: Optional[str] = None
    untouchable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """``Account.data``: a user's texts, the type's id, memberships (id of the group to the membership's), role ids."""

    values: Mapping[str, str]
    type_id: Optional[str] = None
    memberships: Mapping[str, str] = field(default_factory=dict)
    roles: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Payload:
    """What a step sends. ``join`` are ids of groups, ``leave`` those of memberships, ``grant`` and ``revoke`` of roles;
    ``joined`` are the names of the groups in ``join``."""

    values: Mapping[str, Any] = field(default_factory=dict)
    external_id: Optional[str] = None
    join: Tuple[str, ...] = ()
    leave: Tuple[str, ...] = ()
    grant: Tuple[str, ...] = ()
    revoke: Tuple[str, ...] = ()
    joined: Tuple[str, ...] = ()


def make_plan(
    roster: Roster,
    accounts: Sequence[Account],
    state: ServiceState,
    policy: Policy,
    wishes: Wishes,
    workspace: Workspace,
) -> Plan:
    comparison = _Comparison(state, wishes, workspace)

    def keys_of(user: User) -> Dict[str, str]:
        found = {"external_id": external_id_of(user), "username": user.username or "", "email": user.email or ""}
        asked = ["username", *wishes.match]
        return {
            name: value.strip()
            for name, value in found.items()
            if name in asked and value.strip() and (name != "external_id" or wishes.external_ids)
        }

    plan = reconcile(roster, accounts, state.accounts(), state.disabled(), policy, keys_of, comparison.compare)
    plan.groups_kept = comparison.groups_kept
    plan.warnings += comparison.warnings()
    _measure(plan, state, workspace)
    return plan


def _measure(plan: Plan, state: ServiceState, workspace: Workspace) -> None:
    """What the limits look at besides what every service has."""
    administrators = {identity for name, identity in workspace.roles.items() if folded(name) in _ADMINISTRATORS}
    changed = [
        step.name
        for step in plan.steps
        if step.action != "create"
        and step.payload is not None
        and administrators.intersection(step.payload.grant + step.payload.revoke)
    ]
    plan.found["admin_changes"] = Found(changed, plan.found["disables"].base)
    removals = [step.name for step in plan.steps if step.payload is not None for unused in step.payload.leave]
    recorded = sum(len(entry.groups or ()) for entry in state.owned.values())
    plan.found["member_removals"] = Found(removals, recorded)


class _Comparison:
    def __init__(self, state: ServiceState, wishes: Wishes, workspace: Workspace) -> None:
        self.state = state
        self.wishes = wishes
        self.workspace = workspace
        self.groups_kept: Dict[str, Sequence[str]] = {}
        self._group_ids = {folded(name): (name, identity) for name, identity in workspace.groups.items()}
        self._role_ids = {folded(name): (name, identity) for name, identity in workspace.roles.items()}
        self._unknown_groups: Set[str] = set()

    def warnings(self) -> List[str]:
        if not self._unknown_groups:
            return []
        names = sorted(self._unknown_groups)
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        shown_names = ", ".join(names[:10]) + more
        return [f"ftrack has no group, or several, of these names, so nobody is put into them: {shown_names}"]

    def compare(self, user: User, account: Optional[Account]) -> Difference:
        if account is None and is_blank(user.username):
            return Difference(problem=("username", "is missing, and ftrack needs one"))
        person: Person = account.data if account is not None else Person({})
        fields: Dict[str, Sequence[Any]] = {}
        values = self._values(user, person, account is None, fields)
        external_id = None
        if self.wishes.external_ids and external_id_of(user) != person.values.get("external_id", ""):
            external_id = external_id_of(user)
            fields["external_id"] = (person.values.get("external_id") or None, external_id)
        joined, leave = self._groups(user, person, fields)
        grant, revoke = self._roles(user, person, fields)
        join = tuple(self.workspace.groups[name] for name in joined)
        return Difference(fields, Payload(values, external_id, join, leave, grant, revoke, tuple(joined)))

    def _values(self, user: User, person: Person, new: bool, fields: Dict[str, Sequence[Any]]) -> Dict[str, Any]:
        sent: Dict[str, Any] = {}
        for name, value in values_of(user, person.values, self.wishes.erase).items():
            before = person.values.get(name, "")
            if differs(name, before, value):
                fields[name] = (before or None, value or None)
                # An e-mail address that is a blank text would be one that several users share.
                sent[name] = None if name == "email" and not value else value
        if self.wishes.user_type is not None:
            type_id = self.workspace.types[self.wishes.user_type]
            if person.type_id != type_id:
                names = {identity: name for name, identity in self.workspace.types.items()}
                fields["user_type"] = (names.get(person.type_id or ""), self.wishes.user_type)
                sent["user_type_id"] = type_id
        if new:
            sent["is_active"] = True
            fields["enabled"] = (None, True)
        return sent

    def _groups(
        self, user: User, person: Person, fields: Dict[str, Sequence[Any]]
    ) -> Tuple[List[str], Tuple[str, ...]]:
        """(names of groups to join, ids of memberships to end). What others put somebody into stays."""
        if not self.wishes.manage_groups or user.groups is None:
            return [], ()
        wanted = self._wanted_groups(user.groups)
        names = {identity: name for name, identity in self.workspace.groups.items()}
        present = {names[group] for group in person.memberships if group in names}
        entry = self.state.owned.get(user.id)
        ours = set(entry.groups or ()) if entry is not None else set()
        leaving = sorted((present & ours) - wanted)
        joining = sorted(wanted - present)
        if joining or leaving:
            fields["groups"] = (sorted(present), sorted((present - set(leaving)) | wanted))
        # A membership that is about to end is recorded as ours until it is seen to be gone.
        self.groups_kept[user.id] = sorted(ours & present)
        return joining, tuple(person.memberships[self.workspace.groups[name]] for name in leaving)

    def _wanted_groups(self, groups: Sequence[str]) -> Set[str]:
        wanted: Set[str] = set()
        for name in groups:
            target = name if self.wishes.groups is None else self.wishes.groups.get(folded(name))
            if target is None:
                continue
            if folded(target) in self._group_ids:
                wanted.add(self._group_ids[folded(target)][0])
            else:
                self._unknown_groups.add(target)
        return wanted

    def _roles(
        self, user: User, person: Person, fields: Dict[str, Sequence[Any]]
    ) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        """Ids of the roles to grant and to revoke."""
        known = [folded(name) for name in self.wishes.roles]
        if not known or (user.groups is None and known != [EVERYBODY]):
            # The source says nothing about groups: what is for everybody holds, and nothing is taken away.
            member_of, may_revoke = {EVERYBODY}, False
        else:
            member_of, may_revoke = {EVERYBODY, *(folded(name) for name in user.groups or ())}, self.wishes.only_roles
        mapped = {name: self._ids(roles) for name, roles in self.wishes.roles.items()}
        wanted = {identity for name, ids in mapped.items() if folded(name) in member_of for identity in ids}
        grant = wanted - person.roles
        revoke = (
            {identity for ids in mapped.values() for identity in ids} & person.roles - wanted if may_revoke else set()
        )
        if grant or revoke:
            names = {identity: name for name, identity in self.workspace.roles.items()}
            after = (person.roles - revoke) | wanted
            fields["security_roles"] = tuple(
                sorted(names.get(identity, identity) for identity in ids) for ids in (person.roles, after)
            )
        return tuple(sorted(grant)), tuple(sorted(revoke))

    def _ids(self, roles: Sequence[str]) -> Set[str]:
        return {self._role_ids[folded(name)][1] for name in roles}
