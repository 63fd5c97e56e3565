# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls in, answers out, without a socket: what `POST /api` does with a list of operations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .query import QueryError, parse
from .store import Entity, Key, Refused, Rules, Store

VERSION = "4.13.8"


class Malformed(Exception):
    """A body that is no list of operations; FastAPI answers it before ftrack sees it."""


class Calls:
    """One transaction per call, unless the rules say otherwise."""

    def __init__(self, schemas: Sequence[Mapping[str, Any]], rules: Rules) -> None:
        self.rules = rules
        self.store = Store(schemas, rules)
        self.invited: list[str] = []
        self._schemas = list(schemas)

    def answer(self, operations: Any) -> list[Any]:
        """Raises Refused (then nothing of it happened, if the rules have transactions) and Malformed."""
        if not isinstance(operations, list) or not all(
            isinstance(each, dict) and isinstance(each.get("action"), str) for each in operations
        ):
            raise Malformed("field required")
        if self.rules.largest_batch is not None and len(operations) > self.rules.largest_batch:
            raise Refused("ValidationError", f"More than {self.rules.largest_batch} operations.")
        before, invited = self.store.snapshot(), list(self.invited)
        told: set[tuple[str, Key]] = set()
        try:
            return [self._one(operation, told) for operation in operations]
        except (Refused, Malformed):
            if self.rules.transactional:
                self.store.restore(before)
                self.invited = invited
            raise

    def _one(self, operation: Mapping[str, Any], told: set[tuple[str, Key]]) -> Any:
        action = operation["action"]
        match action:
            case "query_server_information":
                return self._information()
            case "query_schemas":
                return self._schemas
            case "query":
                return self._query(str(_needed(operation, "expression")), told)
            case "create" | "update" | "delete":
                return {"action": action, "data": self._write(action, operation)}
            case "add_user_security_role" | "remove_user_security_role":
                change = self.store.add_role if action.startswith("add") else self.store.remove_role
                change(str(_needed(operation, "user_id")), str(_needed(operation, "role_id")))
                return {"action": action, "data": {}}
            case "send_user_invite":
                self.store.find(parse(f'User where id is "{_needed(operation, "user_id")}"'))
                self.invited.append(str(operation["user_id"]))
                return {"sent": True}
        raise Refused("ValidationError", f"Invalid action u'{action}'")

    def _information(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "schema_hash": hashlib.md5(json.dumps(self._schemas, sort_keys=True).encode()).hexdigest(),
            "is_timezone_support_enabled": True,
            "storage_scenario": {"scenario": "ftrack.automatic", "data": {}},
        }

    def _query(self, expression: str, told: set[tuple[str, Key]]) -> dict[str, Any]:
        try:
            query = parse(expression)
        except QueryError as problem:
            raise Refused("ParseError", str(problem)) from None
        page, following = self.store.find(query)
        # An unknown attribute is an error also when nothing is found.
        for path in query.projections:
            self.store.property_of(query.entity_type, path[0])
        data = [self._told(name, entity, query.projections, told) for name, entity in page]
        return {"action": "query", "data": data, "metadata": {"next": {"offset": following}}}

    def _told(
        self, entity_type: str, entity: Entity, paths: Sequence[tuple[str, ...]], told: set[tuple[str, Key]]
    ) -> dict[str, Any]:
        schema = self.store.schema(entity_type)
        identity = (entity_type, self.store.key_of(entity_type, entity))
        answer = {"__entity_type__": entity_type, **{name: entity[name] for name in schema["primary_key"]}}
        if self.rules.normalised and identity in told:
            return answer
        told.add(identity)
        answer.update({name: entity[name] for name in schema.get("system_projections", ())})
        for first in dict.fromkeys(path[0] for path in paths):
            deeper = [path[1:] for path in paths if path[0] == first and len(path) > 1]
            related = self.store.related(entity_type, entity, first)
            if related is None:
                answer[first] = entity[first]
                continue
            several = "items" in self.store.property_of(entity_type, first)
            others = [self._told(name, each, deeper, told) for name, each in related]
            one = others[0] if others else None
            answer[first] = others if several else one
        return answer

    def _write(self, action: str, operation: Mapping[str, Any]) -> Any:
        entity_type = str(_needed(operation, "entity_type"))
        given = _needed(operation, "entity_key")
        # As a list or as a bare string.
        key = tuple(map(str, given)) if isinstance(given, list) else (str(given),)
        if action == "delete":
            return self.store.delete(entity_type, key)
        data = _needed(operation, "entity_data")
        if action == "update":
            return {"__entity_type__": entity_type, **self.store.update(entity_type, key, data)}
        created = self.store.create(entity_type, data)
        return {"__entity_type__": entity_type, **{name: value for name, value in created.items() if value is not None}}


def _needed(operation: Mapping[str, Any], name: str) -> Any:
    if name not in operation:
        raise Malformed("field required")
    return operation[name]
