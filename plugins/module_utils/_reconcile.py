# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for one service: a roster, the service's accounts and our own records in; typed steps out. Pure.

Who is whom is decided in _pairing; here, what each account must become. What is particular to a service is given as
a function that compares one user with one account.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from ._limits import Found
from ._outcome import Change, Failure
from ._pairing import Account, Keys, Pairing, pair
from ._roster.model import Rejected, Roster, User
from ._roster.text import folded

#: The order in which steps are made: access is taken away before anything else.
ORDER = ("disable", "remove", "enable", "update", "create")


@dataclass(frozen=True)
class Difference:
    """What an account lacks to be what the roster says. ``fields`` maps a field to (before, after); empty is no-op.

    ``problem`` is (field, reason) when the record can't be used at this service. ``payload`` is the service's own.
    """

    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    payload: Any = None
    problem: Optional[Tuple[str, str]] = None


@dataclass(frozen=True)
class Step:
    """One account's change. ``identity`` is the roster's stable id, None for an account that is not ours.

    ``account`` is None for one to be created, ``user`` for one whose user left the roster.
    """

    action: str
    name: str
    identity: Optional[str]
    account: Optional[Account]
    user: Optional[User]
    fields: Mapping[str, Sequence[Any]]
    payload: Any = None

    def change(self) -> Change:
        return Change("user", self.name, self.action, self.fields)


@dataclass(frozen=True)
class Policy:
    """What a site asks for. ``keys``: the fields to match by, strongest first. ``missing``: ignore, disable or remove.

    ``everybody``: also accounts that are not ours are dealt with when the roster does not know them. ``enable``: which
    disabled accounts may be enabled: ours (disabled by this collection), all or never. Names in ``protected`` and
    ``adopt`` are compared casefolded with an account's id and keys. ``banned`` is the service's word for disabled.
    ``untouchable`` maps ids of accounts that a service never lets a roster change to the reason. ``changing`` are keys
    by which people are found and which change while the person stays the same.
    """

    keys: Tuple[str, ...]
    missing: str = "disable"
    everybody: bool = False
    disable: bool = True
    enable: str = "ours"
    protected: FrozenSet[str] = frozenset()
    adopt: FrozenSet[str] = frozenset()
    banned: str = "disabled"
    untouchable: Mapping[str, str] = field(default_factory=dict)
    changing: FrozenSet[str] = frozenset()


@dataclass
class Plan:
    """``steps`` in the order in which they are made; ``matched`` maps stable ids to the ids of their accounts;
    ``found`` is what the limits look at; ``groups_kept`` are those groups once sent that the roster still has."""

    steps: List[Step] = field(default_factory=list)
    matched: Dict[str, str] = field(default_factory=dict)
    rejected: List[Rejected] = field(default_factory=list)
    failures: List[Failure] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    unchanged: int = 0
    found: Dict[str, Found] = field(default_factory=dict)
    groups_kept: Dict[str, Sequence[str]] = field(default_factory=dict)


def reconcile(
    roster: Roster,
    accounts: Sequence[Account],
    owned: Mapping[str, str],
    disabled: FrozenSet[str],
    policy: Policy,
    keys_of: Callable[[User], Keys],
    compare: Callable[[User, Optional[Account]], Difference],
) -> Plan:
    """``owned`` maps stable ids to account ids, ``disabled`` are the stable ids whose account we disabled ourselves."""
    plan = Plan(rejected=list(roster.rejected))
    pairing = pair(roster, accounts, policy.keys, keys_of, owned, policy.adopt, policy.changing)
    plan.failures += pairing.failures
    for user, account in pairing.pairs:
        names = {folded(name) for name in (user.id, *keys_of(user).values())} | (account.names() if account else set())
        if names & policy.protected:
            _reject(plan, user, "protected_users", "is in protected_users")
            continue
        if account is not None and account.id in policy.untouchable:
            _reject(plan, user, "username", policy.untouchable[account.id])
            continue
        if account is not None:
            plan.matched[user.id] = account.id
        step = _step(plan, user, account, policy, user.id in disabled, compare)
        if step is not None:
            plan.steps.append(step)
    leavers = _leavers(plan, roster, accounts, owned, pairing, policy)
    plan.steps += [step for step in (_missing_step(*leaver, policy) for leaver in leavers) if step is not None]
    plan.steps.sort(key=lambda step: (ORDER.index(step.action), step.name, step.identity or ""))
    _measure(plan, accounts, owned, [name for name, identity, account in _newly(leavers, disabled)], policy)
    plan.rejected.sort(key=lambda entry: (entry.kind, entry.name or "", entry.id or "", entry.record or ""))
    plan.failures.sort(key=lambda failure: (failure.kind, failure.name))
    return plan


def _reject(plan: Plan, user: User, field_name: str, reason: str) -> None:
    plan.rejected.append(Rejected("user", field_name, reason, id=user.id, name=user.label))


def _step(
    plan: Plan,
    user: User,
    account: Optional[Account],
    policy: Policy,
    ours: bool,
    compare: Callable[[User, Optional[Account]], Difference],
) -> Optional[Step]:
    """What happens to one user of the roster; None when nothing does."""
    if user.enabled is False:
        if account is None or not account.active or not policy.disable:
            plan.unchanged += 1
            return None
        return Step("disable", user.label, user.id, account, user, {"enabled": (True, False)})
    back = account is not None and not account.active
    if back and not (policy.enable == "all" or (policy.enable == "ours" and ours)):
        # Not compared either: at some services any update would let the person in again.
        _reject(plan, user, "enabled", _not_enabled(policy, ours))
        return None
    difference = compare(user, account)
    if difference.problem:
        _reject(plan, user, *difference.problem)
        return None
    step = Step("update", user.label, user.id, account, user, difference.fields, difference.payload)
    if account is None:
        return replace(step, action="create")
    if back:
        return replace(step, action="enable", fields={**difference.fields, "enabled": (False, True)})
    if not difference.fields:
        plan.unchanged += 1
        return None
    return step


def _not_enabled(policy: Policy, ours: bool) -> str:
    if ours:
        return f"is {policy.banned} there, and is not to be let in again"
    return f"is {policy.banned} there, and not by this collection, so by an administrator: left as it is"


def _leavers(
    plan: Plan,
    roster: Roster,
    accounts: Sequence[Account],
    owned: Mapping[str, str],
    pairing: Pairing,
    policy: Policy,
) -> List[Tuple[str, Optional[str], Account]]:
    """(name, stable id, account) of accounts that nobody in the roster speaks of, in the order of the listing."""
    if policy.missing == "ignore":
        return []
    owners = {account: identity for identity, account in sorted(owned.items())}
    found: List[Tuple[str, Optional[str], Account]] = []
    strangers_held = 0
    rejected = [entry for entry in roster.rejected if entry.kind == "user"]
    known = {name for account in accounts for name in account.names()}
    # A name that no account has, such as a user name where people are known by e-mail address, recognises nobody.
    nameless = [entry for entry in rejected if not entry.id and folded(entry.name or "") not in known]
    for account in accounts:
        identity = owners.get(account.id)
        if account.id in pairing.present or identity in pairing.identities:
            continue
        if identity is None and not policy.everybody:
            continue
        if account.names() & policy.protected or account.id in policy.untouchable:
            continue
        if nameless and identity is not None:
            plan.warnings.append(
                f"{account.label} left the roster and stays as it is: {_unrecognised(nameless[0])}, so it may be "
                "anybody. Mend that record"
            )
        elif rejected and identity is None:
            strangers_held += 1
        else:
            found.append((account.label, identity, account))
    if strangers_held:
        plan.warnings.append(
            f"{strangers_held} accounts that are not ours and not in the roster stay as they are: the source has "
            f"{len(rejected)} records that can't be used, and these may be their accounts. Mend those records"
        )
    return found


def _unrecognised(entry: Rejected) -> str:
    if entry.name:
        return f"the record {entry.name} of the source has no id, and no account has that name"
    return f"{entry.record} of the source has neither id nor name"


def _missing_step(name: str, identity: Optional[str], account: Account, policy: Policy) -> Optional[Step]:
    if policy.missing == "remove":
        return Step("remove", name, identity, account, None, {"enabled": (account.active, None)})
    if not account.active:
        return None
    return Step("disable", name, identity, account, None, {"enabled": (True, False)})


def _newly(
    leavers: Sequence[Tuple[str, Optional[str], Account]], disabled: FrozenSet[str]
) -> List[Tuple[str, Optional[str], Account]]:
    return [leaver for leaver in leavers if leaver[2].active and leaver[1] not in disabled]


def _measure(
    plan: Plan, accounts: Sequence[Account], owned: Mapping[str, str], leavers: Sequence[str], policy: Policy
) -> None:
    """Of what is ours, as it was before this plan; of all there is where accounts that are not ours are dealt with."""
    listed: Set[str] = {account.id for account in accounts}
    base = len(listed) if policy.everybody else len({*owned.values(), *plan.matched.values()} & listed)
    admins = [step.name for step in plan.steps if "admin" in step.fields and step.action != "create"]
    for name, action in (("disables", "disable"), ("removals", "remove")):
        plan.found[name] = Found([step.name for step in plan.steps if step.action == action], base)
    plan.found["leavers"] = Found(leavers, base)
    plan.found["admin_changes"] = Found(admins, base)
