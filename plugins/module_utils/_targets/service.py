# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run at a service: read, plan, limits, apply, the same for all of them. What differs is an adapter, a Service."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Union

from .._errors import RosterError, TargetError
from .._limits import Limit, check_plan
from .._outcome import Failure, Outcome
from .._pairing import Account
from .._reconcile import Plan, Step
from .._roster.model import Roster
from .service_state import ServiceState, StateFile

#: So many steps failing in a row, with none that succeeds between, are the service's fault: the rest is not tried.
GIVE_UP_AFTER = 20
#: Seconds between two writings of the state while steps are made.
_SAVE_EVERY = 1.0


class Unclear(RosterError):
    """A step that may have been made or not: the service is read again before anything is sent twice."""


class Contested(Unclear):
    """A step that was refused because of something that was not listed, such as what a killed run had under way."""


class StepFailed(RosterError):
    """A step that the service refused."""


@dataclass(frozen=True)
class Done:
    """A step that was made. ``account`` is the id of the account, ``avatar`` and ``groups`` what it was sent.

    ``problem``: what of it was not made, in words, and as the change's fields in ``undone``.
    """

    account: str
    avatar: Optional[str] = None
    groups: Optional[Sequence[str]] = None
    problem: Optional[str] = None
    undone: Sequence[str] = ()


class Service(ABC):
    """An adapter. Its methods raise RosterError; ``make`` is called from several threads at once."""

    #: Limits' classes to words, where "disable" and "remove" are not what people say there.
    words: Mapping[str, str] = {}
    #: What can't be done without a state file.
    stateless = "users who left the roster keep theirs, and pictures and groups are sent to new accounts only"
    #: How many steps ``make_batch`` is given at most.
    batch_size = 1
    #: What else its steps do that shows in no change: part of a plan's digest, as the target is.
    unshown: Mapping[str, Any] = {}

    @abstractmethod
    def read(self) -> List[Account]:
        """Every account that the service has: complete, or an error."""

    @abstractmethod
    def plan(self, roster: Roster, accounts: Sequence[Account], state: ServiceState) -> Plan:
        """Pure, but for files that the roster names."""

    @abstractmethod
    def make(self, step: Step) -> Done:
        """Carry out one step. Raises StepFailed, or Unclear when nobody knows."""

    def make_batch(self, steps: Sequence[Step]) -> List[Union[Done, StepFailed, Unclear]]:
        """Carry out steps of one wave; what came of each, in their order."""
        results: List[Union[Done, StepFailed, Unclear]] = []
        for step in steps:
            try:
                results.append(self.make(step))
            except (StepFailed, Unclear) as problem:
                results.append(problem)
        return results

    def preview(self, plan: Plan, outcome: Outcome) -> None:  # noqa: B027
        """Called instead of all that follows in check mode."""

    def begin(self, plan: Plan, outcome: Outcome) -> None:  # noqa: B027
        """Called before the first step; not in check mode."""

    def report(self, step: Step, problem: Optional[str]) -> None:  # noqa: B027
        """Called after each step, from several threads."""

    def end(self, outcome: Outcome) -> None:  # noqa: B027
        """Called when all was done, also when nothing was to do; not in check mode."""


@dataclass(frozen=True)
class Run:
    """What a run is asked to do."""

    roster: Roster
    roster_digest: str
    limits: Mapping[str, Limit]
    approved: FrozenSet[str]
    check_mode: bool
    require_approval: bool = False
    workers: int = 1
    attempts: int = 2
    warnings: Sequence[str] = ()


def run(service: Service, file: StateFile, request: Run) -> Outcome:
    """Raises RosterError when nothing was done, LimitError with the plan when that goes too far."""
    with file:
        state = file.read()
        accounts = service.read()
        _check_listing(state, accounts, file, request)
        plan = service.plan(request.roster, accounts, state)
        outcome = _outcome(service, plan, request, file)
        check_plan(outcome, plan.found, request.limits, request.approved, request.require_approval, service.words)
        if request.check_mode:
            service.preview(plan, outcome)
        else:
            _Applier(service, file, state, request).apply(plan, accounts, outcome)
    return outcome


def _check_listing(state: ServiceState, accounts: Sequence[Account], file: StateFile, request: Run) -> None:
    """Accounts that a short listing leaves out would be made again, and not be ours any more."""
    listed = {account.id for account in accounts}
    if state.owned and listed.isdisjoint(state.accounts().values()):
        raise TargetError(
            f"none of the {len(state.owned)} accounts that {file.path} records is listed by the service: is it another "
            "one, or was it set up anew? Then remove the file. Nothing was changed"
        )
    gone = sum(account not in listed for account in state.accounts().values())
    allowed = request.limits["leavers"].allowed(len(state.owned))
    if gone > allowed:
        raise TargetError(
            f"{gone} of the {len(state.owned)} accounts that {file.path} records are not listed by the service, and "
            f"the limit leavers allows {allowed}: is the listing complete? If they were deleted, raise that limit "
            "for one run. Nothing was changed"
        )


def _outcome(service: Service, plan: Plan, request: Run, file: StateFile) -> Outcome:
    warnings = [*request.warnings, *plan.warnings]
    if file.path is None:
        warnings.append(f"there is no state_path, so nobody knows which accounts are ours: {service.stateless}")
    return Outcome(
        changes=[step.change() for step in plan.steps],
        rejected=plan.rejected,
        failed=plan.failures,
        unchanged=plan.unchanged,
        roster_digest=request.roster_digest,
        warnings=warnings,
        unshown={**service.unshown, "target": file.target},
    )


@dataclass
class _Results:
    """What came of steps, by their keys. ``partly`` were made but for something."""

    failed: Dict[str, str] = field(default_factory=dict)
    unclear: Dict[str, str] = field(default_factory=dict)
    partly: Dict[str, Done] = field(default_factory=dict)


def _key(step: Step) -> str:
    """The same for a step and for what is planned in its place after another reading."""
    if step.identity is not None:
        return f"user {step.identity}"
    return f"account {step.account.id if step.account else step.name}"


class _Applier:
    def __init__(self, service: Service, file: StateFile, state: ServiceState, request: Run) -> None:
        self.service = service
        self.file = file
        self.state = state
        self.request = request
        self.results = _Results()
        self.steps: Dict[str, Step] = {}
        self.guard = threading.Lock()
        self.unclear_in_a_row = 0
        self.saved_at = time.monotonic()
        self.save_every = _SAVE_EVERY
        self.unsaved: Optional[str] = None

    def apply(self, plan: Plan, accounts: Sequence[Account], outcome: Outcome) -> None:
        """Make the plan's steps; what could not be made goes from the outcome's changes to its failures."""
        self.steps = {_key(step): step for step in plan.steps}
        remember(self.state, plan, accounts)
        self.file.write(self.state)
        if plan.steps:
            self.service.begin(plan, outcome)
        try:
            self._make_all(plan.steps)
            self._settle()
        finally:
            # A run that is broken off leaves what it knows.
            self._save()
        self._tell(plan, outcome)
        self.service.end(outcome)

    def _tell(self, plan: Plan, outcome: Outcome) -> None:
        outcome.changes = []
        for step in plan.steps:
            key = _key(step)
            problem = self.results.failed.get(key)
            done = self.results.partly.get(key)
            if problem is None:
                undone = done.undone if done else ()
                change = step.change()
                outcome.changes.append(
                    replace(change, fields={name: value for name, value in change.fields.items() if name not in undone})
                )
            if problem is not None or done is not None:
                outcome.failed.append(Failure("user", step.name, problem or (done.problem if done else None) or ""))
        if self.unsaved is not None:
            outcome.failed.append(Failure("state", self.file.path or "", self.unsaved))
        outcome.failed.sort(key=lambda failure: (failure.kind, failure.name))

    def _make_all(self, steps: Sequence[Step]) -> None:
        """One kind after the other, the steps of each at the same time."""
        for actions in (("disable",), ("remove",), ("enable", "update"), ("create",)):
            wave = [step for step in steps if step.action in actions]
            size = self.service.batch_size
            batches = [wave[start : start + size] for start in range(0, len(wave), size)]
            if batches:
                with ThreadPoolExecutor(min(self.request.workers, len(batches))) as pool:
                    list(pool.map(self._make, batches))

    def _make(self, batch: Sequence[Step]) -> None:
        if self.unclear_in_a_row >= GIVE_UP_AFTER:
            problem = StepFailed(f"was not tried: the service failed {GIVE_UP_AFTER} times in a row")
            for step in batch:
                self._take(step, problem)
            return
        results = self.service.make_batch(batch)
        with self.guard:
            if all(isinstance(result, Unclear) for result in results):
                self.unclear_in_a_row += not all(isinstance(result, Contested) for result in results)
            elif any(isinstance(result, Done) for result in results):
                self.unclear_in_a_row = 0
        for step, result in zip(batch, results):
            self._take(step, result)

    def _take(self, step: Step, result: Union[Done, StepFailed, Unclear]) -> None:
        """What came of a step."""
        key = _key(step)
        problem: Optional[str] = None
        with self.guard:
            if isinstance(result, Unclear):
                self.results.unclear[key] = str(result)
                return
            if isinstance(result, StepFailed):
                problem = self.results.failed[key] = str(result)
            else:
                problem = result.problem
                if result.problem:
                    self.results.partly[key] = result
                note(self.state, step, result)
                self._save_sometimes()
        self.service.report(step, problem)

    def _save(self) -> None:
        """Once steps are made, what a full disk keeps from being recorded is told with them, and stops none."""
        self.unsaved = None
        try:
            self.file.write(self.state)
        except TargetError as problem:
            self.unsaved = f"{problem}. What this run sent is not recorded: mend that and run again"

    def _save_sometimes(self) -> None:
        """Often enough that a killed run repeats little, seldom enough that writing takes a twentieth of the time."""
        now = time.monotonic()
        if now - self.saved_at >= self.save_every:
            self._save()
            self.saved_at = time.monotonic()
            self.save_every = max(_SAVE_EVERY, 20 * (self.saved_at - now))

    def _settle(self) -> None:
        """Read the service again for steps that may have been made, and make only what is still missing."""
        for left in reversed(range(self.request.attempts)):
            if not self.results.unclear:
                return
            unclear, self.results.unclear = self.results.unclear, {}
            try:
                accounts = self.service.read()
            except RosterError as error:
                for key, reason in unclear.items():
                    self.results.failed[key] = f"{reason}; and then: {error}"
                    self.service.report(self.steps[key], self.results.failed[key])
                return
            plan = self.service.plan(self.request.roster, accounts, self.state)
            remember(self.state, plan, accounts)
            missing = [step for step in plan.steps if _key(step) in unclear]
            self.unclear_in_a_row = 0
            self._make_all([step for step in missing if self._may_make(step, unclear[_key(step)])])
            for key in unclear.keys() - {_key(step) for step in missing}:
                # It had been made after all, or the plan fails it now in words of its own.
                refusal = _refusal(plan, self.steps[key])
                if refusal is not None:
                    self.results.failed[key] = refusal
                elif self.steps[key].action == "remove":
                    note(self.state, self.steps[key], Done(""))
                self.service.report(self.steps[key], refusal)
            if left == 0:
                self.results.failed.update(self.results.unclear)
                for key, reason in self.results.unclear.items():
                    self.service.report(self.steps[key], reason)

    def _may_make(self, step: Step, reason: str) -> bool:
        """Where approval is required, what is still missing is part of what was approved, or it is failed here."""
        approved = self.steps[_key(step)].fields
        if not self.request.require_approval or all(approved.get(name) == value for name, value in step.fields.items()):
            return True
        problem = f"{reason}; and then the account was another than the approved plan is for: it was left"
        self._take(step, StepFailed(problem))
        return False


def _refusal(plan: Plan, step: Step) -> Optional[str]:
    """Why a later plan has no step for somebody for whom an earlier one had; None when nothing is missing."""
    reasons = [failure.reason for failure in plan.failures if failure.name == step.name]
    reasons += [
        f"{entry.field} {entry.reason}"
        for entry in plan.rejected
        if step.identity is not None and entry.id == step.identity
    ]
    return reasons[0] if reasons else None


def remember(state: ServiceState, plan: Plan, accounts: Sequence[Account]) -> None:
    """What is true before the steps and must be known after a kill: who is ours, and whom we are about to disable."""
    listed = {account.id: account for account in accounts}
    ours = {account: identity for identity, account in plan.matched.items()}
    for identity, entry in list(state.owned.items()):
        account = listed.get(entry.account)
        if account is None or ours.get(entry.account, identity) != identity:
            del state.owned[identity]
        elif account.active:
            entry.disabled = False
    for identity, account_id in plan.matched.items():
        entry = state.own(identity, account_id)
        if identity in plan.groups_kept:
            entry.groups = list(plan.groups_kept[identity])
    for step in plan.steps:
        if step.action == "disable" and step.identity in state.owned:
            state.owned[step.identity].disabled = True


def note(state: ServiceState, step: Step, done: Done) -> None:
    """What is true after a step."""
    if step.identity is None:
        return
    if step.action == "remove":
        state.owned.pop(step.identity, None)
        return
    entry = state.own(step.identity, done.account)
    if step.action == "enable":
        entry.disabled = False
    if done.avatar is not None:
        entry.avatar = done.avatar
    if done.groups is not None:
        entry.groups = sorted({*(entry.groups or ()), *done.groups})
