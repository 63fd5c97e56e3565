# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ftrack as a service: one complete listing, and the plan's steps as batches of operations.

A batch that is refused is looked up by the ids that we gave, then sent again in halves without what was done, until
the record that spoils it is alone. A batch nobody knows the end of is left to the next listing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

from .._errors import RosterError, TargetError
from .._http import HttpError
from .._outcome import Outcome
from .._pairing import Account
from .._reconcile import Plan, Policy, Step
from .._roster.model import Roster
from .._roster.text import folded, shown
from .ftrack_api import Entity, FtrackApi, Refused
from .ftrack_operations import LOOKED_UP, Sending, sending
from .ftrack_plan import Payload, Person, Wishes, Workspace, make_plan
from .service import GIVE_UP_AFTER, Done, Service, StepFailed, Unclear
from .service_state import ServiceState

#: Names of user types that are no persons', folded. Which there are is not documented: an assumption.
SERVICE_TYPES = ("service", "service user", "service account", "api", "bot", "system")
_TEXTS = ("username", "email", "first_name", "last_name")
_USERS = f"select id, {', '.join(_TEXTS)}, is_active, resource_type, user_type_id from User order by id asc"  # noqa: S608
_TYPES = "select id, name from UserType order by id asc"
_CONFIGURATIONS = "select id, key, entity_type, project_id from CustomAttributeConfiguration order by id asc"
_VALUES = "select configuration_id, entity_id, value from UserCustomAttributeValue"
_GROUPS = "select id, name, local from Group order by id asc"
_MEMBERSHIPS = "select id, user_id, group_id from Membership order by id asc"
_ROLES = "select id, name from SecurityRole order by id asc"
_USER_ROLES = "select id, user_id, security_role_id from UserSecurityRole order by id asc"
Result = Union[Done, StepFailed, Unclear]


@dataclass(frozen=True)
class Options:
    """``external_id_attribute`` is the key of a custom attribute of users."""

    policy: Policy
    wishes: Wishes
    api_user: str
    external_id_attribute: Optional[str] = None
    send_invites: bool = False
    batch_size: int = 100


class Ftrack(Service):
    def __init__(self, api: FtrackApi, options: Options) -> None:
        self.api = api
        self.options = options
        self.batch_size = options.batch_size
        self.unshown = {"send_invites": options.send_invites}
        self.words = {"disables": "deactivate {found} of {base} owned users"}
        self.stateless = "users who left the roster stay active, and nobody is reactivated or taken out of a group"
        self.workspace = Workspace()
        self._barred: Optional[str] = None
        self._barred_in_a_row = 0
        self._listed: Set[str] = set()
        self._ids: Dict[Tuple[str, str], str] = {}
        self._new: List[str] = []
        self._doubtful: Set[str] = set()
        self._created: Set[str] = set()

    # Reading

    def read(self) -> List[Account]:
        wishes = self.options.wishes
        first = {"users": _USERS, "types": _TYPES}
        if self.options.external_id_attribute is not None:
            first["configurations"] = _CONFIGURATIONS
        if wishes.manage_groups:
            first.update(groups=_GROUPS, memberships=_MEMBERSHIPS)
        if wishes.roles:
            first.update(roles=_ROLES, user_roles=_USER_ROLES)
        found = self.api.select(first)
        types = {str(entity["id"]): str(entity.get("name") or "") for entity in found["types"]}
        users = [entity for entity in found["users"] if entity["__entity_type__"] == "User"]
        if not all("username" in entity and isinstance(entity.get("is_active"), bool) for entity in users):
            raise TargetError("ftrack lists users without their username or is_active. Nothing was changed")
        self._listed = {str(entity["id"]) for entity in users}
        configuration = self._configuration(found.get("configurations", []))
        self.workspace = Workspace(
            groups=_unambiguous(entity for entity in found.get("groups", []) if entity.get("local") is False),
            roles=_unambiguous(found.get("roles", [])),
            types={name: identity for identity, name in types.items()},
            configuration=configuration,
            untouchable=self._untouchable(users, types),
        )
        self._check_names()
        external_ids = self._external_ids(configuration)
        memberships: Dict[str, Dict[str, str]] = {}
        for entity in found.get("memberships", []):
            memberships.setdefault(str(entity.get("user_id")), {})[str(entity.get("group_id"))] = str(entity["id"])
        roles: Dict[str, List[str]] = {}
        for entity in found.get("user_roles", []):
            roles.setdefault(str(entity.get("user_id")), []).append(str(entity.get("security_role_id")))
        return [
            _account(
                entity, external_ids.get(entity["id"]), memberships.get(entity["id"], {}), roles.get(entity["id"], ())
            )
            for entity in users
        ]

    def _untouchable(self, users: Sequence[Entity], types: Mapping[str, str]) -> Dict[str, str]:
        """Ids of users that no roster changes. Raises TargetError when the API's own user is not among the users."""
        own = [entity for entity in users if folded(str(entity["username"])) == folded(self.options.api_user)]
        if not own:
            raise TargetError(
                f"ftrack lists no user {self.options.api_user!r}, so it is not known which one the API uses and nobody "
                "may change. Give its user name as api_user. Nothing was changed"
            )
        untouchable = {}
        for entity in users:
            kind = types.get(str(entity.get("user_type_id")), "")
            if entity.get("resource_type") != "user":
                untouchable[str(entity["id"])] = (
                    f"is no person there ({shown(entity.get('resource_type'))}): never changed"
                )
            elif folded(kind) in SERVICE_TYPES:
                untouchable[str(entity["id"])] = f"is a service user (type {shown(kind)}): never changed"
        untouchable.update((str(entity["id"]), "is the user that the API is used as: never changed") for entity in own)
        return untouchable

    def _configuration(self, configurations: Sequence[Entity]) -> Optional[str]:
        key = self.options.external_id_attribute
        if key is None:
            return None
        found = [
            entity
            for entity in configurations
            if entity.get("key") == key and entity.get("entity_type") == "user" and not entity.get("project_id")
        ]
        if len(found) != 1:
            raise TargetError(
                f"external_id_attribute: ftrack has {len(found)} custom attributes {key!r} for users, and one is "
                "needed. Create it in ftrack's system settings, as a text attribute of users. Nothing was changed"
            )
        return str(found[0]["id"])

    def _external_ids(self, configuration: Optional[str]) -> Dict[str, str]:
        """Users' ids to the values of the custom attribute."""
        if configuration is None:
            return {}
        condition = f'configuration_id is "{_quoted(configuration)}"'
        selection = f"{_VALUES} where {condition} order by entity_id asc"
        values = self.api.select({"external ids": selection})["external ids"]
        return {str(entity.get("entity_id")): str(entity["value"]).strip() for entity in values if entity.get("value")}

    def _check_names(self) -> None:
        """What the options name must be there before anything is changed."""
        wishes = self.options.wishes
        known = {folded(name) for name in self.workspace.roles}
        missing = [
            ("security_roles", name) for names in wishes.roles.values() for name in names if folded(name) not in known
        ]
        if wishes.user_type is not None and wishes.user_type not in self.workspace.types:
            missing.append(("user_type", wishes.user_type))
        if missing:
            option, name = missing[0]
            there = self.workspace.roles if option == "security_roles" else self.workspace.types
            raise TargetError(
                f"{option} names {name!r}, which ftrack does not have exactly once. It has: "
                f"{', '.join(sorted(map(shown, there))) or 'none'}. Nothing was changed"
            )

    # Planning

    def plan(self, roster: Roster, accounts: Sequence[Account], state: ServiceState) -> Plan:
        # Whoever marries gets another user name, and whoever asked for e-mail addresses means that.
        policy = replace(self.options.policy, untouchable=self.workspace.untouchable, changing=frozenset({"username"}))
        return make_plan(roster, accounts, state, policy, self.options.wishes, self.workspace)

    # Writing

    def make(self, step: Step) -> Done:
        (result,) = self.make_batch([step])
        if isinstance(result, Done):
            return result
        raise result

    def make_batch(self, steps: Sequence[Step]) -> List[Result]:
        return self._send([self._sending(step) for step in steps])

    def _sending(self, step: Step) -> Sending:
        """What is created keeps the id that it was given first: what is committed late is not there twice."""

        def new_id(what: str) -> str:
            return self._ids.setdefault((step.identity or step.name, what), str(uuid.uuid4()))

        found = sending(step, self.workspace.configuration, new_id)
        if step.action == "create" and found.account not in self._new:
            self._new.append(found.account)
        return found

    def _send(self, sendings: Sequence[Sending]) -> List[Result]:
        if self._barred_in_a_row >= GIVE_UP_AFTER:
            return [
                StepFailed(f"was not tried, after {GIVE_UP_AFTER} in a row of which {self._barred}")
                for unused in sendings
            ]
        operations = [operation for each in sendings for operation in each.operations]
        try:
            if operations:
                self.api.call(operations)
        except Refused as refusal:
            return self._isolate(sendings, refusal)
        except HttpError as problem:
            return self._unclear(sendings, str(problem))
        self._barred_in_a_row = 0
        return [self._done(each) for each in sendings]

    def _isolate(self, sendings: Sequence[Sending], refusal: Refused) -> List[Result]:
        """Find the record that was meant. ftrack rolls a refused call back, or so it says: it is looked up."""
        first = sendings[0]
        if len(sendings) == 1 and len(first.operations) == 1 and first.account not in self._doubtful:
            return [self._incomplete(first, refusal)]
        try:
            existing = {
                kind: self.api.existing(kind, [identity for each in sendings for identity in each.looked_up(kind)])
                for kind in LOOKED_UP
                if any(each.looked_up(kind) for each in sendings)
            }
        except RosterError as problem:
            return self._unclear(sendings, f"{refusal}; and then: {problem}")
        left = [each.remaining(existing) for each in sendings]
        if len(left) > 1:
            middle = len(left) // 2
            return [*self._send(left[:middle]), *self._send(left[middle:])]
        if len(left[0].operations) < len(first.operations):
            return self._send(left)
        return [self._incomplete(first, refusal)]

    def _unclear(self, sendings: Sequence[Sending], problem: str) -> List[Result]:
        self._doubtful.update(each.account for each in sendings)
        return [Unclear(problem) for unused in sendings]

    def _incomplete(self, each: Sending, refusal: Refused) -> Result:
        """The one that was refused; a new user may be there for all that."""
        failed = self._failed(refusal)
        if not each.begun:
            return failed
        undone = [name for name in each.step.fields if name in ("external_id", "groups", "security_roles")]
        done = self._done(each)
        return Done(done.account, problem=f"was created, but not all of it: {refusal}", undone=undone)

    def _failed(self, refusal: Refused) -> StepFailed:
        self._barred = str(refusal)
        self._barred_in_a_row = self._barred_in_a_row + 1 if refusal.concerns_everybody else 0
        return StepFailed(str(refusal))

    def _done(self, each: Sending) -> Done:
        payload: Optional[Payload] = each.step.payload
        if each.step.action == "create":
            self._created.add(each.account)
        return Done(each.account, groups=payload.joined if payload is not None and payload.joined else None)

    def end(self, outcome: Outcome) -> None:
        """Invitations last, once for each user: one that may have been sent is not sent again."""
        if not self.options.send_invites:
            return
        # Also of those whose creation was in doubt until they were listed.
        invited = [each for each in self._new if each in self._created or each in self._listed]
        for start in range(0, len(invited), self.options.batch_size):
            batch = invited[start : start + self.options.batch_size]
            try:
                self.api.call([{"action": "send_user_invite", "user_id": identity} for identity in batch])
            except (HttpError, Refused) as problem:
                outcome.warnings.append(f"{len(batch)} invitations were not sent, or not all: {problem}")


def _account(
    entity: Entity, external_id: Optional[str], memberships: Mapping[str, str], roles: Sequence[str]
) -> Account:
    values = {name: str(entity[name]).strip() for name in _TEXTS if entity.get(name)}
    if external_id:
        values["external_id"] = external_id
    keys = {name: values[name] for name in ("external_id", "username", "email") if values.get(name)}
    identity = str(entity["id"])
    type_id: Any = entity.get("user_type_id")
    return Account(
        id=identity,
        label=values.get("username") or identity,
        keys=keys,
        active=entity.get("is_active") is True,
        data=Person(values, None if type_id is None else str(type_id), memberships, frozenset(roles)),
    )


def _unambiguous(entities: Any) -> Dict[str, str]:
    """Names to ids, without names that several have."""
    found: Dict[str, List[Entity]] = {}
    for entity in entities:
        found.setdefault(folded(str(entity.get("name") or "")), []).append(entity)
    return {str(same[0]["name"]): str(same[0]["id"]) for name, same in found.items() if name and len(same) == 1}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
