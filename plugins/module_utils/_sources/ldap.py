# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An LDAP directory as a source: one reading of people and groups, complete or an error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._errors import SourceError
from .._roster.model import Group, Rejected, User
from .._roster.text import is_password_hash, shown, text_problem
from .._roster.validation import FieldError, build, read_user
from .ids import DERIVE, IdSettings
from .ldap_ber import Entry
from .ldap_connection import ConnectionSettings, open_connection
from .ldap_directory import WHOLE_TREE, Directory
from .ldap_disabled import DisabledRule
from .ldap_mapping import UserMapping
from .ldap_members import (
    FoundGroups,
    GroupSettings,
    Holder,
    admins,
    groups_of_roster,
    holder_attributes,
    read_groups,
    read_holder,
)
from .ldap_names import normalised_dn
from .ldap_presets import PRESETS, Preset
from .ldap_values import SECRETS, Values
from .reading import Reading

#: The ports of Active Directory's copy of a whole forest, with a part of the attributes.
_GLOBAL_CATALOG = (3268, 3269)


@dataclass(frozen=True)
class DirectorySettings:
    """What the module's options of the same names say. ``groups`` None: none are read, and users say nothing of any."""

    connection: ConnectionSettings
    base_dn: str
    scope: str = WHOLE_TREE
    filter: Optional[str] = None
    page_size: int = 1000
    preset: Optional[str] = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    groups: Optional[GroupSettings] = None
    admin_groups: Optional[Sequence[str]] = None
    disabled: Optional[Sequence[Any]] = None
    ids: IdSettings = field(default_factory=IdSettings)
    allow_empty: bool = False

    def check(self) -> None:
        """Raises SourceError when an option can't be meant so, before anybody is asked."""
        addresses = self.connection.addresses()
        self.ids.check()
        if not 1 <= self.page_size <= 100000:
            raise SourceError("page_size must be 1 to 100000")
        for name, dn in (("base_dn", self.base_dn), ("groups.base_dn", self.groups and self.groups.base_dn)):
            try:
                normalised_dn(dn or "")
            except ValueError as problem:
                raise SourceError(f"{name} {shown(dn, 200)!r} {problem}") from None
        for address in addresses:
            if address.port in _GLOBAL_CATALOG and self.groups is not None:
                raise SourceError(
                    f"{address.url} is a global catalog, which has the members of universal groups only: leave the "
                    "port out of server_url, or leave groups out"
                )
        if self.groups is not None and (self.groups.name or "").strip().lower().partition(";")[0] in SECRETS:
            raise SourceError(f"groups.name would show {shown(self.groups.name)}, which holds passwords")
        if self.admin_groups and self.groups is None:
            raise SourceError("admin_groups needs groups: say where they are, or groups={} for below base_dn")
        # Any preset will do: the option's own mistakes are told before a directory is asked what it is.
        _Readers(self, PRESETS[self.preset or "openldap"])


class _Readers:
    """The rules for one run, made of the options and a preset."""

    def __init__(self, settings: DirectorySettings, preset: Preset) -> None:
        self.preset = preset
        self.mapping = UserMapping(preset.mapping, settings.mapping)
        rules = preset.disabled if settings.disabled is None else settings.disabled
        self.disabled = DisabledRule(rules, datetime.now(timezone.utc))


@dataclass
class _People:
    """What the search for people brought, with the key (normalised DN) of each."""

    records: int = 0
    users: List[Tuple[str, User]] = field(default_factory=list)
    rejected: List[Rejected] = field(default_factory=list)
    holders: List[Holder] = field(default_factory=list)
    ids: Set[str] = field(default_factory=set)


def fetch(settings: DirectorySettings) -> Reading:
    """Ask the directory once. Raises SourceError, in words that say what to do."""
    settings.check()
    connection = open_connection(settings.connection)
    try:
        directory = Directory(connection, settings.page_size, settings.connection.timeout)
        directory.introduce()
        return _read(directory, settings)
    finally:
        connection.close()


def _read(directory: Directory, settings: DirectorySettings) -> Reading:
    name = settings.preset or directory.preset
    if name is None:
        raise SourceError(f"the directory at {directory.url} does not say what it is: set preset")
    readers = _Readers(settings, PRESETS[name])
    readers.mapping.restrict(directory.knows)
    readers.disabled.restrict(directory.knows, settings.disabled is not None)

    people = _read_people(directory, settings, readers)
    if not people.records and not settings.allow_empty:
        raise SourceError(
            f"the directory at {directory.url} shows nobody below {shown(settings.base_dn, 200)!r}: look at base_dn, "
            "scope and filter, and at what bind_dn may read. If nobody is really there, set allow_empty=true"
        )
    found: Optional[FoundGroups] = None
    if settings.groups is not None:
        found = read_groups(directory, settings.base_dn, settings.groups, readers.preset, people.holders)
        if not (found.names or found.rejected or settings.allow_empty):
            # Believed, this would take everybody out of every group.
            below = settings.groups.base_dn or settings.base_dn
            raise SourceError(
                f"the directory at {directory.url} shows no group below {shown(below, 200)!r}: look at groups.base_dn "
                "and groups.filter, and at what bind_dn may read. If there is none, leave groups out, or set "
                "allow_empty=true to take everybody out of all groups"
            )
    return _reading(directory, settings, name, people, found)


def _read_people(directory: Directory, settings: DirectorySettings, readers: _Readers) -> _People:
    base, scope = settings.base_dn, settings.scope
    filter_ = _in_parentheses(settings.filter or readers.preset.filter)
    attributes = readers.mapping.attributes() | readers.disabled.attributes()
    if settings.groups is not None:
        attributes |= holder_attributes(settings.groups, readers.preset)
    locked: Set[str] = set()
    for condition in readers.disabled.filters:
        both = f"(&{filter_}{_in_parentheses(condition)})"
        locked.update(_key(entry) for entry in directory.search("disabled people", base, scope, both, ["1.1"]))

    people = _People()
    for entry in directory.search("people", base, scope, filter_, sorted(attributes)):
        people.records += 1
        values = Values(entry, directory.aliases)
        key = _key(entry)
        fields: Dict[str, Any] = {}
        try:
            fields = readers.mapping.record(values)
            user = _user(fields, key in locked, values, readers.disabled, settings.ids)
            people.users.append((key, user))
            people.ids.add(user.id)
        except FieldError as problem:
            rejected = _rejected(fields, values, readers.mapping, problem)
            people.rejected.append(rejected)
            # Also of records rejected today: that a person becomes usable shifts nobody else's derived uid.
            people.ids.update({rejected.id} if rejected.id else ())
        if settings.groups is not None:
            try:
                people.holders.append(read_holder(key, values, settings.groups, readers.preset))
            except ValueError as problem:
                raise SourceError(f"the groups of {shown(entry.dn, 200)!r} can't be read: it {problem}") from None
    return people


def _user(fields: Dict[str, Any], locked: bool, values: Values, disabled: DisabledRule, ids: IdSettings) -> User:
    for name in ("id", "username"):
        if not fields.get(name):
            raise FieldError(name, "is missing: the entry has no such attribute, or bind_dn may not read it")
    record = {**fields, "enabled": not (disabled.applies(values) or locked)}
    if ids.uid_policy == DERIVE:
        record.pop("uid", None)
    if ids.gid_policy == DERIVE:
        record.pop("gid", None)
    return read_user(record)


def _rejected(fields: Mapping[str, Any], values: Values, mapping: UserMapping, problem: FieldError) -> Rejected:
    """What is kept of a person who can't be used: enough for a target to recognise the person."""
    known: Dict[str, Optional[str]] = {}
    for name in ("id", "username"):
        text = fields.get(name)
        if text is None:
            try:
                text = mapping.rules[name].value(values)
            except ValueError:
                text = None
        known[name] = text if text and not text_problem(text) and not is_password_hash(text) else None
    where = None if known["id"] or known["username"] else values.entry.dn
    return Rejected(
        kind="user",
        id=known["id"],
        name=known["username"],
        record=where,
        field=problem.field,
        reason=problem.reason,
    )


def _reading(
    directory: Directory, settings: DirectorySettings, preset: str, people: _People, found: Optional[FoundGroups]
) -> Reading:
    uids = settings.ids.uids(people.ids) if settings.ids.uid_policy == DERIVE else {}
    admin_keys = None
    if settings.admin_groups is not None:
        admin_keys = admins(found, settings.admin_groups) if found is not None else frozenset()
    users = []
    for key, user in people.users:
        changes: Dict[str, Any] = {"uid": uids[user.id]} if uids else {}
        if found is not None:
            changes["groups"] = tuple(found.names_of(key))
        if admin_keys is not None:
            changes["admin"] = found is not None and bool(found.memberships.above(key) & admin_keys)
        users.append(replace(user, **changes) if changes else user)
    groups: List[Group] = []
    bad_groups: List[Rejected] = []
    warnings = list(found.warnings) if found is not None else []
    if found is not None:
        groups, bad_groups = groups_of_roster(found, settings.ids.gids if settings.ids.gid_policy == DERIVE else None)
    source = {
        "kind": "ldap",
        "url": " ".join(address.url for address in settings.connection.addresses()),
        "base_dn": settings.base_dn,
    }
    roster = build(source, users, groups, [*people.rejected, *bad_groups])
    if people.records and not roster.users:
        warnings.append(f"none of the directory's {people.records} people can be used; rejected says why for each")
    if not directory.aliases:
        warnings.append(
            "the directory does not show its schema: attributes with a wrong name can't be told from empty ones"
        )
    return Reading(roster, people.records, tuple(warnings), {"server": directory.url, "preset": preset})


def _key(entry: Entry) -> str:
    try:
        return normalised_dn(entry.dn)
    except ValueError as problem:
        raise SourceError(f"the directory has an entry {shown(entry.dn, 200)!r} whose name {problem}") from None


def _in_parentheses(filter_: str) -> str:
    filter_ = filter_.strip()
    return filter_ if filter_.startswith("(") else f"({filter_})"
