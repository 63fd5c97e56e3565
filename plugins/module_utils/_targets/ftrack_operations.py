# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan's step as operations of ftrack's API, and what is left of them once some have been carried out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Tuple

from .._reconcile import Step
from .ftrack_plan import Payload

Operation = Dict[str, Any]
#: What is created and deleted has an id of its own, so it can be looked up.
LOOKED_UP = ("User", "Membership")


@dataclass(frozen=True)
class Sending:
    """One step on its way. ``account`` is the user's id, ours to choose for a new one.

    ``begun``: the new user is there, whatever comes of the rest.
    """

    step: Step
    account: str
    operations: Tuple[Operation, ...]
    begun: bool = False

    def looked_up(self, entity_type: str) -> List[str]:
        """Ids of what it creates or deletes of a type."""
        return [
            operation["entity_key"][0]
            for operation in self.operations
            if operation.get("entity_type") == entity_type and operation["action"] in ("create", "delete")
        ]

    def remaining(self, existing: Mapping[str, Collection[str]]) -> Sending:
        """Without what was carried out, as far as the existing ids of each type tell. The rest may be sent twice."""
        left = []
        begun = self.begun or (self.step.action == "create" and self.account in existing.get("User", ()))
        for operation in self.operations:
            there = existing.get(operation.get("entity_type", ""), ())
            if operation["action"] == "create" and operation["entity_key"][0] in there:
                continue
            if operation["action"] == "delete" and operation["entity_key"][0] not in there:
                continue
            left.append(operation)
        return replace(self, operations=tuple(left), begun=begun)


def sending(step: Step, configuration: Optional[str], new_id: Callable[[str], str]) -> Sending:
    """``configuration`` is the custom attribute's id. ``new_id`` gives ids that nobody has, one for the user ("user")
    and one for the membership in each group (by the group's id)."""
    account = step.account.id if step.account is not None else new_id("user")
    if step.action == "disable":
        return Sending(step, account, (_update("User", [account], {"is_active": False}),))
    payload: Payload = step.payload
    values = dict(payload.values)
    operations: List[Operation] = []
    if step.action == "create":
        values.update(id=account, resource_type="user")
        operations.append(_create("User", values))
    else:
        if step.action == "enable":
            values["is_active"] = True
        if values:
            operations.append(_update("User", [account], values))
    if payload.external_id is not None and configuration is not None:
        key = [configuration, account]
        operations.append(_update("UserCustomAttributeValue", key, {"value": payload.external_id}))
    for group in payload.join:
        operations.append(_create("Membership", {"id": new_id(group), "user_id": account, "group_id": group}))
    for membership in payload.leave:
        operations.append({"action": "delete", "entity_type": "Membership", "entity_key": [membership]})
    for action, roles in (("add", payload.grant), ("remove", payload.revoke)):
        for role in roles:
            operations.append({"action": f"{action}_user_security_role", "role_id": role, "user_id": account})
    return Sending(step, account, tuple(operations))


def _create(entity_type: str, values: Mapping[str, Any]) -> Operation:
    return {
        "action": "create",
        "entity_type": entity_type,
        "entity_key": [values["id"]],
        "entity_data": {"__entity_type__": entity_type, **values},
    }


def _update(entity_type: str, key: List[str], values: Mapping[str, Any]) -> Operation:
    return {
        "action": "update",
        "entity_type": entity_type,
        "entity_key": key,
        "entity_data": {"__entity_type__": entity_type, **values},
    }
