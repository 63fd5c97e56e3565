# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for one host: its account files, its ledger and the roster in; changed files, changes and refusals out.

Pure: nothing here reads or writes the host. Check mode and a real run both come through ``make_plan``.
"""

from __future__ import annotations

from .._roster.model import Roster
from . import plan_groups, plan_users
from .draft import Draft, Host, Options, Plan
from .ledger import Ledger
from .settings import Settings
from .tables import Accounts, number


def make_plan(
    accounts: Accounts, ledger: Ledger, roster: Roster, options: Options, settings: Settings, host: Host, today: int
) -> Plan:
    """The changes that take a host to the roster. ``accounts`` is changed in place; ``today`` is days since 1970."""
    draft = Draft(accounts, ledger, roster, options, settings, host, today)
    owned = _count_owned(accounts, ledger)
    protected = [name for name in accounts.passwd.names() if draft.protection(name)]
    plan_groups.plan_groups(draft)
    plan_users.plan_users(draft)
    plan_users.plan_missing(draft)
    plan_groups.plan_memberships(draft)
    plan = draft.finish()
    plan.untouchable = tuple(protected)
    plan.owned = owned
    return plan


def _count_owned(accounts: Accounts, ledger: Ledger) -> int:
    """Accounts that exist with the uid that the ledger knows."""
    rows = ((accounts.passwd.get(entry.username), entry) for entry in ledger.users.values())
    return sum(1 for row, entry in rows if row is not None and number(row[2]) == entry.uid)
