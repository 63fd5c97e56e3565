# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the Libre Workspace source share: one good record, captures, and a short way to a roster."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster, User
from ansible_collections.identity.roster.plugins.module_utils._sources.ids import IdSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.libre_workspace import PortalSettings, read
from ansible_collections.identity.roster.plugins.module_utils._sources.reading import Reading
from tests.servers.libre_workspace import FIXTURES

BASE = "https://portal.example.org"
ADMINISTRATORS = "CN=Administrators,CN=Builtin,DC=int,DC=de"
SHOP = "CN=Shop Administrators,CN=Users,DC=int,DC=de"
MITARBEITER = {"dn": "CN=it,CN=Users,DC=int,DC=de", "cn": "it", "description": "", "gidNumber": "1000001"}
HASH = "$y$j9T$7ZVeuZibamMk7gx7j0YBw/$nfTuwQK5Jep7P.e7mWmIJAjEbzj71OUiDir3I0MFgs6"
PERSON: dict[str, Any] = {
    "dn": "CN=anna,CN=Users,DC=int,DC=de",
    "mail": "anna@int.de",
    "cn": "anna",
    "username": "anna",
    "groups": [MITARBEITER],
    "guid": "00000000000000000000000000000001",
    "yescrypt_hash": HASH,
    "uidNumber": "10001",
    "enabled": True,
    "admin": False,
    "display_name": "Anna",
}


def capture(number: str) -> bytes:
    (path,) = FIXTURES.glob(f"{number}_*.json")
    return path.read_bytes()


def settings(policy: str = "source", **options: Any) -> PortalSettings:
    return PortalSettings(ids=IdSettings(uid_policy=policy, gid_policy=policy), **options)


def reading(records: list[Any] | bytes, policy: str = "source", **options: Any) -> Reading:
    content = records if isinstance(records, bytes) else json.dumps(records).encode()
    return read(content, BASE, settings(policy, **options))


def users(roster: Roster) -> dict[str, User]:
    return {user.username or "": user for user in roster.users}


def rejected(roster: Roster, kind: str = "user") -> dict[str, str]:
    return {
        entry.name or entry.id or entry.record or "": entry.field for entry in roster.rejected if entry.kind == kind
    }


def one(**fields: Any) -> Reading:
    return reading([{**PERSON, **fields}])
