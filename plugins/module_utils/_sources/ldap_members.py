# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The groups of a directory: searched, their members followed to the end, and made groups of a roster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .._errors import SourceError
from .._roster.model import Group, Rejected
from .._roster.text import folded, shown
from .._roster.validation import FieldError, read_group
from .ldap_ber import Entry
from .ldap_directory import WHOLE_TREE, Directory
from .ldap_groups import Memberships
from .ldap_names import normalised_dn
from .ldap_presets import MEMBER, MEMBER_OF, MEMBER_UID, Preset
from .ldap_values import Values

_MEMBER_ATTRIBUTES = ("member", "uniqueMember")


@dataclass(frozen=True)
class GroupSettings:
    """The option ``groups``; None: what the preset says."""

    base_dn: Optional[str] = None
    filter: Optional[str] = None
    membership: str = MEMBER
    nested: bool = True
    name: Optional[str] = None


@dataclass(frozen=True)
class Holder:
    """Who may be in groups: ``memberships`` are the DNs of its memberOf, ``primary`` is the SID of its first group."""

    key: str
    logins: Tuple[str, ...] = ()
    memberships: Tuple[str, ...] = ()
    primary: Optional[str] = None


@dataclass
class FoundGroups:
    """What was read: the groups' names by key, the records, and who is in what."""

    memberships: Memberships
    names: Dict[str, str] = field(default_factory=dict)
    records: List[Mapping[str, Any]] = field(default_factory=list)
    rejected: List[Rejected] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)

    def names_of(self, key: str) -> List[str]:
        return sorted({self.names[above] for above in self.memberships.above(key) if above in self.names})

    def keys_of(self, wanted: Sequence[str]) -> Dict[str, Set[str]]:
        """The keys of each group that is given by name or DN. Raises SourceError for one that is not there."""
        by_name: Dict[str, Set[str]] = {}
        for key, name in self.names.items():
            by_name.setdefault(folded(name), set()).add(key)
        found = {}
        for text in wanted:
            keys = by_name.get(folded(text), set())
            if not keys and "=" in text:
                try:
                    keys = {normalised_dn(text)} & set(self.names)
                except ValueError:
                    keys = set()
            if not keys:
                raise SourceError(
                    f"admin_groups names {shown(text, 200)!r}, which is none of the {len(self.names)} groups that were "
                    "read: look at its spelling, and at groups.base_dn and groups.filter"
                )
            found[text] = keys
        return found


def holder_attributes(settings: GroupSettings, preset: Preset) -> Set[str]:
    """What has to be read of a person to know the person's groups."""
    if settings.membership == MEMBER_OF:
        names = {"memberOf"}
    else:
        names = {"uid"} if settings.membership == MEMBER_UID else set()
    return names | {"primaryGroupID", "objectSid"} if preset.primary_group else names


def read_holder(key: str, values: Values, settings: GroupSettings, preset: Preset) -> Holder:
    """Raises ValueError when what tells the groups can't be read."""
    primary = None
    if preset.primary_group:
        number, own = values.text("primaryGroupID"), values.text("objectSid")
        if number and own:
            primary = f"{own.rpartition('-')[0]}-{number}"
    return Holder(
        key,
        tuple(values.texts("uid")) if settings.membership == MEMBER_UID else (),
        tuple(values.texts("memberOf")) if settings.membership == MEMBER_OF else (),
        primary,
    )


def read_groups(
    directory: Directory, base_dn: str, settings: GroupSettings, preset: Preset, holders: Iterable[Holder]
) -> FoundGroups:
    """Search the groups and follow their members. Raises SourceError unless all could be read."""
    if settings.membership == MEMBER_OF and not directory.knows("memberOf"):
        raise SourceError("the directory's schema has no attribute memberOf: set groups.membership=member")
    found = FoundGroups(Memberships(settings.nested))
    reader = _Reader(directory, settings, preset, found)
    reader.read(settings.base_dn or base_dn)
    reader.add_holders(list(holders))
    reader.follow()
    return found


class _Reader:
    def __init__(self, directory: Directory, settings: GroupSettings, preset: Preset, found: FoundGroups) -> None:
        self._directory = directory
        self._settings = settings
        self._preset = preset
        self._found = found
        self._spelling: Dict[str, str] = {}
        self._of_login: Dict[str, Set[str]] = {}
        self._of_sid: Dict[str, str] = {}
        self._read: Set[str] = set()
        named = {MEMBER_OF: ["memberOf"], MEMBER_UID: ["memberUid"], MEMBER: list(_MEMBER_ATTRIBUTES)}
        self._links = [name for name in named[settings.membership] if directory.knows(name)]

    def read(self, base: str) -> None:
        settings, preset = self._settings, self._preset
        name = settings.name or preset.group_name
        if not self._directory.knows(name):
            raise SourceError(f"the directory's schema has no attribute {shown(name)}, which groups.name names")
        wanted = [name, *self._links, *(each for each in ("gidNumber", "description") if self._directory.knows(each))]
        if preset.primary_group:
            wanted.append("objectSid")
        filter_ = settings.filter or preset.group_filter_for(settings.membership)
        for entry in self._directory.search("groups", base, WHOLE_TREE, filter_, wanted):
            try:
                self._add_group(entry, name)
            except ValueError as problem:
                raise _unreadable(entry.dn, problem) from None

    def _add_group(self, entry: Entry, name: str) -> None:
        key = _key(entry.dn)
        values = Values(entry, self._directory.aliases)
        self._read.add(key)
        try:
            fields = _group_fields(values, name)
            self._found.names[key] = fields["name"]
            self._found.records.append(fields)
        except FieldError as problem:
            readable = _readable_name(values, name)
            if readable:
                self._found.names[key] = readable
            where = None if readable else entry.dn
            self._found.rejected.append(
                Rejected(kind="group", name=readable, record=where, field=problem.field, reason=problem.reason)
            )
        if self._settings.membership == MEMBER_UID:
            for login in values.texts("memberUid"):
                self._of_login.setdefault(login, set()).add(key)
        else:
            self._add_links(key, values)
        sid = values.text("objectSid") if self._preset.primary_group else None
        if sid:
            self._of_sid[sid] = key

    def _add_links(self, key: str, values: Values) -> None:
        """The group's members, or in the other direction the groups that it is in."""
        for attribute in self._links:
            for text in values.texts(attribute):
                dn = text.partition("#'")[0] if attribute == "uniqueMember" else text
                other = self._known(dn)
                if attribute == "memberOf":
                    self._found.memberships.add(key, other)
                else:
                    self._found.memberships.add(other, key)

    def _known(self, dn: str) -> str:
        key = _key(dn)
        self._spelling.setdefault(key, dn)
        return key

    def add_holders(self, holders: Sequence[Holder]) -> None:
        memberships = self._found.memberships
        used: Set[str] = set()
        for holder in holders:
            self._read.add(holder.key)
            for dn in holder.memberships:
                memberships.add(holder.key, self._known(dn))
            for login in holder.logins:
                used.add(login)
                for key in self._of_login.get(login, ()):
                    memberships.add(holder.key, key)
            if holder.primary in self._of_sid:
                memberships.add(holder.key, self._of_sid[holder.primary or ""])
        strangers = sorted(set(self._of_login) - used)
        if strangers:
            names = ", ".join(shown(name) for name in strangers[:5]) + (", ..." if len(strangers) > 5 else "")
            self._found.warnings.append(
                f"{len(strangers)} names in memberUid are no user's uid below base_dn, such as {names}"
            )

    def follow(self) -> None:
        """Read every entry that is linked to and was in neither search: a group may lead on, and one that can't be
        read may be a person who was kept from us."""
        if self._settings.membership == MEMBER_OF and not self._settings.nested:
            return
        while True:
            unread = sorted(set(self._spelling) - self._read)
            if not unread:
                return
            for dn, entry in self._directory.look_up([self._spelling[key] for key in unread], self._links or ["1.1"]):
                if entry is None:
                    raise SourceError(
                        f"the directory at {self._directory.url} does not show {shown(dn, 200)!r}, "
                        "to which a group's membership leads: remove it there, or let bind_dn read it"
                    )
                key = _key(dn)
                self._read.add(key)
                try:
                    self._add_links(key, Values(entry, self._directory.aliases))
                except ValueError as problem:
                    raise _unreadable(dn, problem) from None


def _key(dn: str) -> str:
    try:
        return normalised_dn(dn)
    except ValueError as problem:
        raise SourceError(f"the directory has a name {shown(dn, 200)!r} that {problem}") from None


def _unreadable(dn: str, problem: ValueError) -> SourceError:
    return SourceError(f"the members of {shown(dn, 200)!r} can't be read: a value {problem}")


def _readable_name(values: Values, name: str) -> Optional[str]:
    try:
        return str(read_group({"name": _name(values, name)}).name)
    except FieldError:
        return None


def _name(values: Values, name: str) -> str:
    try:
        texts = values.texts(name)
    except ValueError as problem:
        raise FieldError("name", str(problem)) from None
    if not texts:
        raise FieldError("name", f"is missing, since {name} is empty or can't be read")
    # The name of the entry itself comes first; else the order is the alphabet's.
    own = values.entry.dn.partition(",")[0].partition("=")[2]
    return own if own in texts else min(texts)


def _group_fields(values: Values, name: str) -> Dict[str, Any]:
    fields: Dict[str, Any] = {"name": _name(values, name)}
    try:
        gid = values.number("gidNumber")
    except ValueError as problem:
        raise FieldError("gid", str(problem)) from None
    if gid is not None:
        fields["gid"] = gid
    try:
        description = " ".join(min(values.texts("description"), default="").split())
    except ValueError as problem:
        raise FieldError("description", str(problem)) from None
    if description:
        fields["description"] = description
    read_group(fields)
    return fields


def groups_of_roster(
    found: FoundGroups, gids: Optional[Callable[[Iterable[str]], Mapping[str, int]]]
) -> Tuple[List[Group], List[Rejected]]:
    """The groups, with the directory's gids or those that ``gids`` derives from their names."""
    records = [dict(record) for record in found.records]
    if gids is not None:
        derived = gids(record["name"] for record in records)
        for record in records:
            record["gid"] = derived[folded(record["name"])]
    return [read_group(record) for record in records], found.rejected


def admins(found: FoundGroups, wanted: Sequence[str]) -> FrozenSet[str]:
    """The keys of the groups whose members are administrators."""
    return frozenset().union(*found.keys_of(wanted).values())
