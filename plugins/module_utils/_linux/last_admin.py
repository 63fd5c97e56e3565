# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may become root on a host, and who of them is the last."""

from __future__ import annotations

from typing import Container, Dict, Optional, Sequence

from .._roster.model import Roster
from .ledger import Ledger
from .tables import Accounts, members, number


def admins_of(accounts: Accounts, admin_group: str, today: int) -> Dict[str, int]:
    """Enabled members of the admin group, user name to uid. An account counts as enabled until it is expired: one
    that is only locked still gets in by an SSH key."""
    group = accounts.group.get(admin_group) if admin_group else None
    if group is None:
        return {}
    listed, gid = set(members(group)), number(group[2])
    found: Dict[str, int] = {}
    for row in accounts.passwd.rows():
        if row[0] not in listed and number(row[3]) != gid:
            continue
        uid = number(row[2])
        if not uid:
            continue
        shadow = accounts.shadow.get(row[0])
        expire = number(shadow[7]) if shadow is not None else None
        if expire is None or expire > today:
            found[row[0]] = uid
    return found


def last_admin(
    admins: Dict[str, int], ledgers: Sequence[Ledger], roster: Roster, kept: Container[str]
) -> Optional[str]:
    """The stable id of the one to be kept, of the accounts among ``admins`` that are ours by one of the ledgers (before
    and after the plan, which may take an account over) and not ``kept`` yet: rather somebody whom the roster still has
    and enables, then the first by name."""
    people = {user.id: user for user in roster.users}
    candidates = []
    for key, entry in [pair for ledger in ledgers for pair in ledger.users.items()]:
        if admins.get(entry.username) == entry.uid and key not in kept:
            user = people.get(key)
            standing = 2 if user is None else 1 if user.enabled is False else 0
            candidates.append((standing, entry.username, key))
    return min(candidates)[2] if candidates else None
