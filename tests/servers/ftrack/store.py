# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a workspace holds: entities as its schemas describe them, the relations between them, and what it refuses."""

from __future__ import annotations

import fnmatch
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .query import Both, Compare, Condition, Either, Nested, Not, Query

Entity = dict[str, Any]
Key = tuple[str, ...]

#: A query of the first one finds the others.
FAMILIES = {"Resource": ("User", "Collaborator", "Group"), "BaseUser": ("User", "Collaborator")}
#: Relations whose other side has no property that leads back.
_BACKWARDS = {("User", "custom_attributes"): "entity_id"}
_FILLED = {"User": {"is_active": False, "first_name": "", "last_name": ""}}


class Refused(Exception):
    """What the server answers with: its name of the error and its words."""

    def __init__(self, exception: str, content: str) -> None:
        super().__init__(content)
        self.exception = exception
        self.content = content


@dataclass
class Rules:
    """How this server behaves where a real one's behaviour is not known.

    ``seats``: how many users may be active at the same time. ``denied``: (action, entity type) that the API's user may
    not do. ``refuse`` looks at each operation and may have words against it.
    """

    transactional: bool = True
    unique_usernames: bool = True
    seats: int | None = None
    denied: frozenset[tuple[str, str]] = frozenset()
    refuse: Callable[[str, str, Mapping[str, Any]], str | None] | None = None
    largest_page: int = 500
    largest_batch: int | None = None
    #: Whether what one answer has told whole is told by reference from then on.
    normalised: bool = True


class Store:
    def __init__(self, schemas: Sequence[Mapping[str, Any]], rules: Rules) -> None:
        self.schemas = {str(schema["id"]): schema for schema in schemas}
        self.rules = rules
        self._tables: dict[str, dict[Key, Entity]] = {name: {} for name in self.schemas}

    # For the tests

    def add(self, kind: str, /, **values: Any) -> Entity:
        """Put an entity there without asking any rule."""
        values.setdefault("id", str(uuid.uuid4()))
        return self._put(kind, values)

    def all(self, entity_type: str) -> list[Entity]:
        return [dict(entity) for entity in self._tables[entity_type].values()]

    def user(self, username: str) -> Entity:
        """The only user of that name."""
        (found,) = [user for user in self.all("User") if user["username"] == username]
        return found

    def groups_of(self, username: str) -> set[str]:
        names = {group["id"]: group["name"] for group in self.all("Group")}
        identity = self.user(username)["id"]
        return {names[each["group_id"]] for each in self.all("Membership") if each["user_id"] == identity}

    def roles_of(self, username: str) -> set[str]:
        names = {role["id"]: role["name"] for role in self.all("SecurityRole")}
        identity = self.user(username)["id"]
        return {names[each["security_role_id"]] for each in self.all("UserSecurityRole") if each["user_id"] == identity}

    def custom(self, username: str, key: str) -> Any:
        identity = self.user(username)["id"]
        values = self._tables["UserCustomAttributeValue"].values()
        return next((each["value"] for each in values if (each["entity_id"], each["key"]) == (identity, key)), None)

    def change(self, username: str, /, **values: Any) -> None:
        """As somebody does by hand."""
        self._tables["User"][(self.user(username)["id"],)].update(values)

    # Transactions

    def snapshot(self) -> dict[str, dict[Key, Entity]]:
        return {name: {key: dict(entity) for key, entity in table.items()} for name, table in self._tables.items()}

    def restore(self, snapshot: dict[str, dict[Key, Entity]]) -> None:
        self._tables = snapshot

    # Schemas

    def schema(self, entity_type: str) -> Mapping[str, Any]:
        if entity_type not in self.schemas:
            raise Refused("ParseError", f"Entity type '{entity_type}' not found")
        return self.schemas[entity_type]

    def key_of(self, entity_type: str, entity: Mapping[str, Any]) -> Key:
        return tuple(str(entity[name]) for name in self.schema(entity_type)["primary_key"])

    def property_of(self, entity_type: str, name: str) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.schema(entity_type)["properties"]
        if name not in properties:
            raise Refused("ParseError", f"Attribute '{name}' does not exist on '{entity_type}'")
        found: Mapping[str, Any] = properties[name]
        return found

    def related(self, entity_type: str, entity: Entity, name: str) -> list[tuple[str, Entity]] | None:
        """(type, entity) of all that a relation leads to; None for an attribute that is none."""
        definition = self.property_of(entity_type, name)
        if "$ref" in definition:
            other = definition["$ref"]
            found = self._tables[other].get((str(entity.get(f"{name}_id")),))
            return [(other, found)] if found else []
        if "items" not in definition:
            return None
        other = definition["items"]["$ref"]
        back = _BACKWARDS.get((entity_type, name)) or self._leading_back(other, entity_type)
        return [(other, each) for each in self._tables[other].values() if each.get(back) == entity["id"]]

    def _leading_back(self, other: str, entity_type: str) -> str:
        properties = self.schemas[other]["properties"]
        return next(f"{name}_id" for name, each in properties.items() if each.get("$ref") == entity_type)

    # Queries

    def find(self, query: Query) -> tuple[list[tuple[str, Entity]], int | None]:
        """The entities of one page, and the offset of the next page."""
        self.schema(query.entity_type)
        found = [
            (name, entity)
            for name in FAMILIES.get(query.entity_type, (query.entity_type,))
            for entity in self._tables[name].values()
            if query.condition is None or self._holds(query.condition, name, entity)
        ]
        for path, descending in reversed(query.order):
            found = self._sorted(found, path, descending)
        limit = min(self.rules.largest_page, len(found) if query.limit is None else query.limit)
        page = found[query.offset : query.offset + limit]
        following = query.offset + len(page)
        return page, following if page and following < len(found) else None

    def _sorted(
        self, found: list[tuple[str, Entity]], path: tuple[str, ...], descending: bool
    ) -> list[tuple[str, Entity]]:
        return sorted(found, key=lambda each: _sortable(self._values(*each, path)), reverse=descending)

    def _values(self, entity_type: str, entity: Entity, path: Sequence[str]) -> Iterator[Any]:
        related = self.related(entity_type, entity, path[0])
        if related is None:
            yield entity.get(path[0])
        elif len(path) == 1:
            yield from (self.key_of(name, each)[0] for name, each in related)
        else:
            for name, each in related:
                yield from self._values(name, each, path[1:])

    def _holds(self, condition: Condition, entity_type: str, entity: Entity) -> bool:
        match condition:
            case Both():
                return self._holds(condition.left, entity_type, entity) and self._holds(
                    condition.right, entity_type, entity
                )
            case Either():
                return self._holds(condition.left, entity_type, entity) or self._holds(
                    condition.right, entity_type, entity
                )
            case Not():
                return not self._holds(condition.condition, entity_type, entity)
            case Nested():
                related = self.related(entity_type, entity, condition.path[0])
                if related is None or len(condition.path) != 1:
                    raise Refused("ParseError", f"'{'.'.join(condition.path)}' is not a relation of '{entity_type}'")
                return any(self._holds(condition.condition, name, each) for name, each in related)
            case Compare():
                values = list(self._values(entity_type, entity, condition.path)) or [None]
                return any(_compares(value, condition.operator, condition.value) for value in values)

    # Writes

    def create(self, entity_type: str, data: Mapping[str, Any]) -> Entity:
        self._allow("create", entity_type, data)
        values = self._scalars(entity_type, data)
        values.setdefault("id", str(uuid.uuid4()))
        self._check_required(entity_type, values)
        if self.key_of(entity_type, values) in self._tables[entity_type]:
            raise Refused("DuplicateEntryError", f"{entity_type} with this id already exists.")
        if entity_type == "Membership" and any(
            (each["user_id"], each["group_id"]) == (values["user_id"], values["group_id"])
            for each in self._tables["Membership"].values()
        ):
            raise Refused("DuplicateEntryError", "The user is a member of the group already.")
        entity = {**_FILLED.get(entity_type, {}), **values}
        self._check(entity_type, entity, values)
        return dict(self._put(entity_type, entity))

    def update(self, entity_type: str, key: Key, data: Mapping[str, Any]) -> Entity:
        """What the answer shows: the keys, and what was given."""
        self._allow("update", entity_type, data)
        values = self._scalars(entity_type, data)
        entity = self._tables[entity_type].get(key)
        if entity is None:
            raise Refused("ValidationError", f"{entity_type} {', '.join(key)} not found.")
        for name in values:
            if name in self.schemas[entity_type].get("immutable", ()):
                raise Refused("ValidationError", f"{name} can't be changed.")
        self._check(entity_type, {**entity, **values}, values)
        entity.update(values)
        return {**{name: entity[name] for name in self._shown(entity_type)}, **values}

    def delete(self, entity_type: str, key: Key) -> bool:
        self._allow("delete", entity_type, {})
        if self._tables[entity_type].pop(key, None) is None:
            raise Refused("ValidationError", f"{entity_type} {', '.join(key)} not found.")
        return True

    def add_role(self, user_id: str, role_id: str) -> None:
        self._allow("add_user_security_role", "UserSecurityRole", {"user_id": user_id})
        self._exists("User", user_id)
        self._exists("SecurityRole", role_id)
        if not self._roles(user_id, role_id):
            self._put(
                "UserSecurityRole",
                {"id": str(uuid.uuid4()), "user_id": user_id, "security_role_id": role_id, "is_all_projects": False},
            )

    def remove_role(self, user_id: str, role_id: str) -> None:
        self._allow("remove_user_security_role", "UserSecurityRole", {"user_id": user_id})
        for key in self._roles(user_id, role_id):
            del self._tables["UserSecurityRole"][key]

    def _roles(self, user_id: str, role_id: str) -> list[Key]:
        table = self._tables["UserSecurityRole"].items()
        return [key for key, each in table if (each["user_id"], each["security_role_id"]) == (user_id, role_id)]

    def _put(self, entity_type: str, values: Mapping[str, Any]) -> Entity:
        properties = self.schemas[entity_type]["properties"]
        entity: Entity = {
            name: None
            for name, each in properties.items()
            if "$ref" not in each and "items" not in each and each.get("type") != "mapped_array"
        }
        if "resource_type" in properties:
            entity["resource_type"] = properties["resource_type"].get("default")
        entity.update(values)
        self._tables[entity_type][self.key_of(entity_type, entity)] = entity
        if entity_type == "User":
            self._make_values([entity["id"]], self._tables["CustomAttributeConfiguration"].values())
        elif entity_type == "CustomAttributeConfiguration":
            self._make_values([key[0] for key in self._tables["User"]], [entity])
        return entity

    def _scalars(self, entity_type: str, data: Mapping[str, Any]) -> Entity:
        """The given values, with the id of each entity that is given whole."""
        values: Entity = {}
        for name, value in data.items():
            if name == "__entity_type__":
                continue
            definition = self.property_of(entity_type, name)
            if "$ref" in definition:
                values[f"{name}_id"] = None if value is None else value["id"]
            elif "items" in definition:
                raise Refused("ValidationError", f"{name} can't be written.")
            else:
                values[name] = value
        return values

    def _allow(self, action: str, entity_type: str, data: Mapping[str, Any]) -> None:
        self.schema(entity_type)
        if (action, entity_type) in self.rules.denied:
            raise Refused("PermissionError", "No permission")
        words = self.rules.refuse(action, entity_type, data) if self.rules.refuse else None
        if words:
            raise Refused("ValidationError", words)

    def _check_required(self, entity_type: str, values: Entity) -> None:
        filled = {"is_active", "resource_type", "local", "id"}
        for name in self.schemas[entity_type]["required"]:
            if name not in filled and not values.get(name):
                raise Refused("ValidationError", f"{name} is required.")

    def _check(self, entity_type: str, entity: Entity, given: Entity) -> None:
        for name, each in self.schemas[entity_type]["properties"].items():
            if "$ref" in each and given.get(f"{name}_id") is not None:
                self._exists(each["$ref"], given[f"{name}_id"])
        if entity_type != "User":
            return
        others = [each for each in self._tables["User"].values() if each["id"] != entity["id"]]
        if "username" in given:
            if not given["username"]:
                raise Refused("ValidationError", "Username is required.")
            taken = {str(each["username"]).casefold() for each in others}
            if self.rules.unique_usernames and given["username"].casefold() in taken:
                raise Refused("ValidationError", "Username already in use.")
        if self.rules.seats is not None and given.get("is_active"):
            active = sum(bool(each["is_active"]) for each in others)
            if active + 1 > self.rules.seats:
                raise Refused("ValidationError", f"All {self.rules.seats} seats of the licence are in use.")

    def _exists(self, entity_type: str, identity: Any) -> None:
        if (str(identity),) not in self._tables[entity_type]:
            raise Refused("ValidationError", f"{entity_type} {identity} not found.")

    def _make_values(self, users: Iterable[str], configurations: Iterable[Entity]) -> None:
        """Each user has a value of each attribute, which nobody creates."""
        table = self._tables["UserCustomAttributeValue"]
        for configuration in configurations:
            for identity in users if configuration["entity_type"] == "user" else ():
                table[str(configuration["id"]), identity] = {
                    "configuration_id": configuration["id"],
                    "entity_id": identity,
                    "key": configuration["key"],
                    "value": configuration["default"],
                }

    def _shown(self, entity_type: str) -> Iterable[str]:
        schema = self.schemas[entity_type]
        return [*schema["primary_key"], *schema.get("system_projections", ())]


def _sortable(values: Iterator[Any]) -> tuple[bool, str]:
    first = next(values, None)
    return first is not None, str(first)


def _compares(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("not_in", "not_like", "is_not", "!="):
        positive = {"not_in": "in", "not_like": "like", "is_not": "is", "!=": "is"}[operator]
        return not _compares(value, positive, wanted)
    if operator == "in":
        return any(_compares(value, "is", each) for each in wanted)
    if operator in ("is", "="):
        if wanted is None or isinstance(wanted, bool) or value is None:
            return bool(value is wanted)
        return str(value) == str(wanted)
    if value is None or wanted is None:
        return False
    if operator == "like":
        pattern = str(wanted).replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
        return fnmatch.fnmatchcase(str(value).lower(), pattern.replace("%", "*").replace("_", "?").lower())
    left, right = str(value), str(wanted)
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator]
