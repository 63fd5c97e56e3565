# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is an administrator, as far as the portal's answer can tell.

The portal calls a person ``admin`` who is in any group whose DN contains "Administrators", and lists no built-in
group. So a member of ``CN=Administrators,CN=Builtin,...`` shows no such group, and who shows one such as
``CN=Shop Administrators,...`` may be an administrator by that name only.
"""

from __future__ import annotations

import re
from typing import Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .._errors import SourceError
from .._roster.text import shown

_MARK = "Administrators"
_BUILTIN = "cn=administrators,cn=builtin,"


def normalised_dn(dn: str) -> str:
    """A DN for comparison: casefolded, without spaces around the commas that part it."""
    return re.sub(r"\s*(?<!\\),\s*", ",", dn.strip()).casefold()


def admins_by_name(group_dns: Iterable[str]) -> List[str]:
    """The listed groups that alone may be why the portal calls a person admin."""
    return sorted({dn for dn in group_dns if _MARK in dn})


class Administrators:
    """The rule of the option admin_groups: None leaves it to the portal, an empty list means nobody."""

    def __init__(self, admin_groups: Optional[Sequence[str]]) -> None:
        self._wanted: Optional[Mapping[str, str]] = None
        self._met: Set[str] = set()
        if admin_groups is not None:
            for dn in admin_groups:
                if not re.match(r"\s*[A-Za-z0-9.-]+\s*=\s*[^\s,]", dn):
                    text = shown(dn)
                    raise SourceError(f"admin_groups holds {text!r}, which is no DN: one looks like CN=it,DC=example")
            self._wanted = {normalised_dn(dn): dn for dn in admin_groups}

    @property
    def by_portal(self) -> bool:
        return self._wanted is None

    def is_admin(self, dn: str, portal_says: bool, group_dns: Sequence[str]) -> bool:
        """Whether the person with this DN, this flag and these listed groups is an administrator."""
        if self._wanted is None:
            return portal_says
        memberships = {normalised_dn(group_dn) for group_dn in group_dns}
        if portal_says and not admins_by_name(group_dns):
            # Nothing listed explains the flag: it comes from the built-in group of the person's own domain.
            person = normalised_dn(dn)
            memberships.update(
                wanted
                for wanted in self._wanted
                if wanted.startswith(_BUILTIN) and person.endswith("," + wanted[len(_BUILTIN) :])
            )
        met = memberships & set(self._wanted)
        self._met |= met
        return bool(met)

    def unmet(self) -> Tuple[str, ...]:
        """Named groups that nobody asked about so far is in."""
        return tuple(sorted(dn for key, dn in (self._wanted or {}).items() if key not in self._met))
