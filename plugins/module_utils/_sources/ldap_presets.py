# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each kind of directory calls things. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from .ldap_ber import Entry

MEMBER = "member"
MEMBER_OF = "memberOf"
MEMBER_UID = "memberUid"

_POSIX = {
    "username": "uid",
    "email": "mail",
    "full_name": ["displayName", "cn"],
    "first_name": "givenName",
    "last_name": "sn",
    "uid": "uidNumber",
    "gid": "gidNumber",
    "shell": "loginShell",
    "home": "homeDirectory",
}
_PERSON = "(|(objectClass=inetOrgPerson)(objectClass=posixAccount))"
_GROUP = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))"
_POSIX_GROUP = "(objectClass=posixGroup)"


@dataclass(frozen=True)
class Preset:
    """The defaults of a kind of directory; ``mapping`` by field, ``disabled`` as the options have them.

    Keys and passwords are in no default: an empty list of keys would take away those that a site hands out otherwise.
    """

    name: str
    mapping: Mapping[str, Any]
    disabled: Tuple[str, ...]
    filter: str = _PERSON
    group_filter: str = _GROUP
    group_name: str = "cn"
    #: Groups with logins instead of members; None where there are none apart.
    posix_group_filter: Optional[str] = _POSIX_GROUP
    #: A user's primary group is a number on the user, and in no list.
    primary_group: bool = False

    def group_filter_for(self, membership: str) -> str:
        """A group that lists its members in another way would look empty: only those that have this one."""
        return self.posix_group_filter if membership == MEMBER_UID and self.posix_group_filter else self.group_filter


def _posix(**fields: Any) -> Dict[str, Any]:
    return {**_POSIX, **fields}


PRESETS: Dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "active_directory",
            _posix(id="objectGUID", username="sAMAccountName", home="unixHomeDirectory"),
            ("userAccountControl", "accountExpires"),
            filter="(&(objectCategory=person)(objectClass=user))",
            group_filter="(objectCategory=group)",
            group_name="sAMAccountName",
            posix_group_filter=None,
            primary_group=True,
        ),
        Preset(
            "openldap",
            _posix(id="entryUUID"),
            ("pwdAccountLockedTime", "shadowExpire", "loginShell"),
        ),
        Preset(
            "389ds",
            _posix(id="nsUniqueId"),
            ("nsAccountLock", "shadowExpire", "loginShell"),
        ),
        Preset(
            "freeipa",
            _posix(id="ipaUniqueID"),
            ("nsAccountLock", "krbPrincipalExpiration", "loginShell"),
            # The compatibility tree shows everybody a second time, without this class.
            filter="(&(objectClass=posixAccount)(objectClass=ipaObject))",
            group_filter="(&(objectClass=groupOfNames)(objectClass=ipaObject))",
        ),
    )
}

_ACTIVE_DIRECTORY = b"1.2.840.113556.1.4.800"


def recognised(root: Entry) -> Optional[str]:
    """The preset of the directory that has this root DSE, or None."""
    attributes = root.attributes
    if _ACTIVE_DIRECTORY in attributes.get("supportedcapabilities", ()):
        return "active_directory"
    if any(name.startswith("ipatopology") for name in attributes):
        return "freeipa"
    vendor = b" ".join(attributes.get("vendorname", ()))
    if b"389 Project" in vendor or b"Red Hat" in vendor:
        return "389ds"
    classes = {value.lower() for value in attributes.get("objectclass", ())}
    return "openldap" if b"openldaprootdse" in classes else None
