# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for one host: its account files, its ledger and the roster in; changed files, changes and refusals out.

Pure: nothing here reads or writes the host. Check mode and a real run both come through ``make_plan``.
"""

from __future__ import annotations

from typing import Mapping, Optional, Set

from .._roster.model import Roster
from . import plan_groups, plan_missing, plan_renames, plan_users
from .draft import Draft, Host, Options, Plan
from .last_admin import admins_of, last_admin
from .ledger import Ledger
from .settings import Settings
from .tables import Accounts


def make_plan(
    accounts: Accounts,
    ledger: Ledger,
    roster: Roster,
    options: Options,
    settings: Settings,
    host: Host,
    today: int,
    stuck: Optional[Mapping[str, str]] = None,
) -> Plan:
    """The changes that take a host to the roster. ``accounts`` is changed in place; ``today`` is days since 1970.

    ``stuck`` maps stable ids to the reason why their accounts must stay as they are.
    """
    stuck = stuck or {}
    admins = admins_of(accounts, options.admin_group, today) if options.require_admin else {}
    plan = _plan(Draft(accounts, ledger, roster, options, settings, host, today, stuck))
    helpless = _without_a_way_in(plan)
    able = {name: uid for name, uid in admins.items() if name not in helpless} or admins
    if not able:
        return plan
    left = set(admins_of(plan.accounts, options.admin_group, today))
    # Nobody takes over from one who can log in without being able to.
    if not (left if able is admins else left - helpless):
        keep = last_admin(able, (ledger, plan.ledger), roster, stuck)
        if keep is not None:
            reason = (
                "is the last enabled admin of this host and stays so; first make somebody else admin, with a password "
                "or a key, or set require_admin to false"
            )
            return make_plan(
                accounts.pristine(), ledger, roster, options, settings, host, today, {**stuck, keep: reason}
            )
    return plan


def _without_a_way_in(plan: Plan) -> Set[str]:
    """Accounts of the roster that have neither a password nor, as far as is known here, an SSH key."""
    return set(plan.outcome.pending) - {keys.username for keys in plan.keys if keys.keys}


def _plan(draft: Draft) -> Plan:
    # Accounts that exist with the uid that the ledger knows.
    owned = sum(1 for entry in draft.ledger.users.values() if draft.uids.get(entry.username) == entry.uid)
    protected = [name for name in draft.uids if draft.protection(name)]
    plan_renames.plan_renames(draft)
    plan_groups.plan_groups(draft)
    plan_users.plan_users(draft)
    plan_missing.plan_missing(draft)
    plan_groups.plan_memberships(draft)
    plan = draft.finish()
    plan.untouchable = tuple(protected)
    plan.owned = owned
    return plan
