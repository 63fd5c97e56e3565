# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roster: who should exist, whatever the source. Data only.

An absent key is not an empty value: ``None`` everywhere means that the source says nothing, so that a target keeps
what it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Avatar:
    """A picture on the controller: its path and the SHA-256 (hex) of its content."""

    path: str
    sha256: str


@dataclass(frozen=True)
class User:
    """One person. ``id`` never changes while the person stays the same (GUID, entryUUID, external_id)."""

    id: str
    username: Optional[str] = None
    uid: Optional[int] = None
    gid: Optional[int] = None
    full_name: Optional[str] = None
    first_name: Optional[str] = None
    last_name: Optional[str] = None
    email: Optional[str] = None
    enabled: Optional[bool] = None
    admin: Optional[bool] = None
    password_hash: Optional[str] = field(default=None, repr=False)
    groups: Optional[Tuple[str, ...]] = None
    shell: Optional[str] = None
    home: Optional[str] = None
    ssh_public_keys: Optional[Tuple[str, ...]] = None
    external_id: Optional[str] = None
    avatar: Optional[Avatar] = None
    profile: Optional[Mapping[str, str]] = None

    @property
    def label(self) -> str:
        """What a person would call this record."""
        return self.username or (self.email or "").strip() or self.id


@dataclass(frozen=True)
class Group:
    """One group. Users name it in ``User.groups``."""

    name: str
    gid: Optional[int] = None
    description: Optional[str] = None


@dataclass(frozen=True)
class Rejected:
    """A source record that can't be used: left alone at every target, and counted as present.

    ``id`` and ``name`` are whatever could be read of the record, so that a target recognises what to leave alone;
    ``record`` says where it stands in the source when it has neither.
    """

    kind: str
    field: str
    reason: str
    id: Optional[str] = None
    name: Optional[str] = None
    record: Optional[str] = None

    def as_dict(self) -> Dict[str, Any]:
        """The record as it stands in a roster and in a result: keys that say nothing are left out."""
        pairs = (
            ("kind", self.kind),
            ("id", self.id),
            ("name", self.name),
            ("record", self.record),
            ("field", self.field),
            ("reason", self.reason),
        )
        return {key: value for key, value in pairs if value is not None}


@dataclass(frozen=True)
class Roster:
    """The whole desired state. ``source`` says where it came from (kind, where)."""

    source: Mapping[str, str]
    users: Tuple[User, ...] = ()
    groups: Tuple[Group, ...] = ()
    rejected: Tuple[Rejected, ...] = ()
