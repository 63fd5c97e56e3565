# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run on one host: read, plan, refuse or write. The only place where planning meets the disk."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass, replace
from typing import AbstractSet, Dict, FrozenSet, Mapping, Optional, Tuple

from .._errors import TargetError
from .._limits import Found, Limit, check_plan
from .._outcome import Outcome
from .._roster import document
from . import applied as applied_state
from . import ledger as ledger_state
from . import snapshots
from .draft import Options, Plan, Removal
from .files import AccountFiles, Contents
from .follow_up import follow_up, prepare_removals
from .host import RootHost, log_changes, refuse_foreign_layouts, tell_caches
from .ledger import Ledger
from .lock import locks_left_behind, password_lock
from .plan import make_plan
from .settings import Settings, read_settings
from .state import StateDirectory
from .tables import WIDTHS, Accounts, Table, inconsistencies, number

#: useradd gives up after 15 s; we wait longer than it would, and hold the lock for a moment only.
LOCK_WAIT = 30.0


@dataclass(frozen=True)
class Request:
    """What a run is asked. ``roster`` is a roster file's content, or None to find out whether it is needed."""

    root: str
    state_directory: str
    options: Options
    #: SHA-256 of everything that shapes a plan besides the roster and the host
    options_digest: str
    roster_digest: str
    #: SHA-256 of ``roster``, which may be a selection of the whole
    sent_digest: Optional[str]
    roster: Optional[bytes]
    check_mode: bool
    limits: Mapping[str, Limit]
    #: digests of plans that may exceed the limits, or with require_approval of those that may change anything
    approved: FrozenSet[str] = frozenset()
    require_approval: bool = False
    #: what the snapshot of the account files is called, and how many runs' snapshots are kept for how many days
    run_id: str = "run"
    #: the controller's day (days since 1970): a host's clock may be wrong. None: the host's
    today: Optional[int] = None
    snapshot_count: int = 20
    snapshot_days: int = 30


class RosterNeeded(Exception):
    """The digest alone does not do: something changed since the last run, so the roster must be sent."""


def run(request: Request) -> Outcome:
    """Bring one root directory's accounts in line with the roster, or in check mode say what that would change.

    Raises TargetError (nothing was written, or the message says what was) and RosterNeeded.
    """
    foreign = refuse_foreign_layouts(request.root)
    if foreign:
        raise TargetError(foreign)
    state = StateDirectory(os.path.join(request.root, request.state_directory.lstrip("/")))
    files = AccountFiles(request.root)
    # A run is short and makes no cycles to speak of; looking for them took a third of its time at 100,000 users.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _Run(request, state, files).run()
    finally:
        files.close()
        if collecting:
            gc.enable()


class _Run:
    def __init__(self, request: Request, state: StateDirectory, files: AccountFiles) -> None:
        self.request = request
        self.state = state
        self.files = files
        self.host = RootHost(request.root)

    def run(self) -> Outcome:
        contents = self.files.read()
        ledger_bytes = self.state.read("ledger.json")
        host_files = self.files.host_defaults()
        known = self._as_left({**contents, **host_files, "ledger": ledger_bytes})
        if known is not None:
            return known
        if self.request.roster is None:
            raise RosterNeeded
        if document.digest(self.request.roster) != self.request.sent_digest:
            raise TargetError("the roster was damaged on its way to this host; nothing was changed, run again")
        settings = _settings(contents, host_files)
        plan, new = self._plan(contents, ledger_bytes, settings, {})
        self.files.preflight(new)
        if self.request.check_mode:
            return plan.outcome
        with self.state.locked(LOCK_WAIT):
            sessions = self.request.options.end_sessions and os.path.realpath(self.request.root) == "/"
            stuck = prepare_removals(self.request.root, plan, sessions)
            prepared = set(plan.removals)
            if stuck:
                # Less than the plan that was within the limits, or approved.
                plan, new = self._plan(contents, ledger_bytes, settings, stuck, limited=False)
            if new or self._is_news(plan.ledger, ledger_bytes) or locks_left_behind(self.files.descriptor):
                with password_lock(self.files.descriptor, self.files.path, LOCK_WAIT):
                    now = self.files.read(), self.state.read("ledger.json")
                    if now != (contents, ledger_bytes):
                        contents, ledger_bytes = now
                        plan, new = self._plan_again(contents, ledger_bytes, settings, stuck, prepared)
                    run_id = self.request.run_id if self.request.snapshot_count else None
                    write(self.files, self.state, contents, new, ledger_bytes, plan.ledger, run_id)
                self._announce(plan)
            follow_up(self.request.root, plan, settings, sessions)
            if self._is_news(plan.ledger, self.state.read("ledger.json")):
                self.state.write("ledger.json", ledger_state.serialise(plan.ledger))
            expiry = snapshots.expire(self.state, self.request.snapshot_count, self.request.snapshot_days, time.time())
            self._remember({**contents, **host_files, **new}, plan, expiry)
        return plan.outcome

    def _plan_again(
        self,
        contents: Contents,
        ledger_bytes: Optional[bytes],
        settings: Settings,
        stuck: Mapping[str, str],
        prepared: AbstractSet[Removal],
    ) -> Tuple[Plan, Dict[str, bytes]]:
        """The plan from what the files say under the lock. Nobody is removed whose home is not archived by now."""
        plan, new = self._plan(contents, ledger_bytes, settings, stuck)
        late = {removal.identity for removal in plan.removals if removal not in prepared}
        if late:
            reason = "is not removed in this run, since the account files changed meanwhile"
            plan, new = self._plan(contents, ledger_bytes, settings, {**dict.fromkeys(late, reason), **stuck})
        return plan, new

    def _is_news(self, ledger: Ledger, ledger_bytes: Optional[bytes]) -> bool:
        if ledger_bytes is None:
            return ledger != Ledger()
        return ledger_state.serialise(ledger) != ledger_bytes

    def _as_left(self, contents: Contents) -> Optional[Outcome]:
        """The last run's outcome, if a plan made now would be empty again."""
        last = applied_state.parse(self.state.read("applied.json"))
        if (
            last is None
            or last.roster_digest != self.request.roster_digest
            or last.options_digest != self.request.options_digest
            or last.files != applied_state.fingerprints(contents)
            # A warning may be about something that is not in these files, such as a shell that is not installed.
            or last.warnings
            or (last.due is not None and self._today() >= last.due)
            or any(self.host.home_is_missing(home) for home in last.homes)
            or not all(self._keys_are_there(*keys) for keys in last.keys)
        ):
            return None
        return last.outcome()

    def _today(self) -> int:
        return _today() if self.request.today is None else self.request.today

    def _keys_are_there(self, home: str, uid: int, digest: str) -> bool:
        try:
            return applied_state.keys_digest(self.host.authorized_keys(home, uid)) == digest
        except OSError:
            return False

    def _plan(
        self,
        contents: Contents,
        ledger_bytes: Optional[bytes],
        settings: Settings,
        stuck: Mapping[str, str],
        limited: bool = True,
    ) -> Tuple[Plan, Dict[str, bytes]]:
        """The plan, within its limits, and the account files that it changes, looked at once more."""
        ledger = Ledger()
        if ledger_bytes is not None:
            ledger = ledger_state.parse(ledger_bytes, os.path.join(self.state.path, "ledger.json"))
        accounts, options = Accounts.parse(contents), self.request.options
        # Parsed anew for a second plan, which is rare: of 100,000 users it is too much to keep.
        roster = document.parse(self.request.roster or b"")
        plan = make_plan(accounts, ledger, roster, options, settings, self.host, self._today(), stuck)
        del roster
        plan.outcome.roster_digest = self.request.roster_digest
        if limited:
            self._limit(plan, first_run=not ledger.users)
        new = _new_contents(contents, plan)
        if new:
            _check(contents, new, plan)
        return plan, new

    def _limit(self, plan: Plan, first_run: bool) -> None:
        """Refuse a plan that goes too far, unless exactly this plan was approved."""
        changes = plan.outcome.changes
        admins = [change.name for change in changes if change.kind == "user" and "admin" in change.fields]
        check_plan(
            plan.outcome,
            {
                "disables": Found(plan.disabled, plan.owned),
                "removals": Found(plan.removed, plan.owned),
                "leavers": Found(plan.leavers, plan.owned),
                "renames": Found(list(plan.renamed), plan.owned),
                "admin_changes": Found([] if first_run else admins, plan.owned),
                "member_removals": Found(plan.lost_memberships, plan.memberships),
            },
            self.request.limits,
            self.request.approved,
            self.request.require_approval,
        )

    def _announce(self, plan: Plan) -> None:
        if os.path.realpath(self.request.root) == "/":
            tell_caches()
            log_changes(plan.outcome.changes)

    def _remember(self, contents: Contents, plan: Plan, expiry: Optional[int]) -> None:
        outcome = plan.outcome
        record = applied_state.Applied(
            roster_digest=self.request.roster_digest,
            options_digest=self.request.options_digest,
            files=applied_state.fingerprints({**contents, "ledger": self.state.read("ledger.json")}),
            homes=plan.expected_homes,
            keys=[[keys.home, keys.uid, applied_state.keys_digest(keys.keys)] for keys in plan.keys],
            # A snapshot and its hashes go in time, also on a host where nothing changes any more.
            due=min((day for day in (plan.due, expiry) if day is not None), default=None),
            unchanged=plan.active,
            rejected=[entry.as_dict() for entry in outcome.rejected],
            failed=[failure.as_dict() for failure in outcome.failed],
            pending=list(outcome.pending),
            warnings=list(outcome.warnings),
        )
        content = applied_state.serialise(record)
        if content != self.state.read("applied.json"):
            self.state.write("applied.json", content)


def _today() -> int:
    return int(time.time() // 86400)


def _settings(contents: Contents, host_files: Contents) -> Settings:
    groups = Table(contents["group"] or b"", WIDTHS["group"])
    gids = {row[0]: number(row[2]) for row in groups.rows()}
    known = {name: gid for name, gid in gids.items() if gid is not None}
    return read_settings(host_files["login.defs"], host_files["useradd"], known)


def _check(contents: Contents, new: Mapping[str, bytes], plan: Plan) -> None:
    """Parse what is about to be written as a stranger would. Raises TargetError."""
    before = Accounts.parse(contents)
    after = Accounts.parse({"group": b"", **{name: {**contents, **new}[name] for name in ("passwd", "shadow")}})
    expected = plan.expected_names(set(before.passwd.names()))
    problems = inconsistencies(before, after, expected, plan.untouchable)
    if problems:
        raise TargetError(f"the new account files would not be right: {'; '.join(problems)}. Nothing was written")


def _new_contents(old: Contents, plan: Plan) -> Dict[str, bytes]:
    """The files that the plan changes."""
    return {name: content for name, content in plan.accounts.contents().items() if content != old[name]}


def write(
    files: AccountFiles,
    state: StateDirectory,
    contents: Contents,
    new: Mapping[str, bytes],
    ledger_bytes: Optional[bytes],
    ledger: Ledger,
    run_id: Optional[str],
) -> None:
    """Snapshot (called ``run_id``, None: without), ledger, account files, ledger: killed anywhere between, the next run
    knows what is ours. The caller holds both locks."""
    files.preflight(new)
    old = ledger_state.parse(ledger_bytes, "ledger.json") if ledger_bytes is not None else Ledger()
    ahead = ledger_state.serialise(_before_commit(old, ledger))
    final = ledger_state.serialise(ledger)
    if new and run_id is not None:
        snapshots.keep(state, run_id, contents, new, ledger_bytes, final, time.time())
    if ahead != ledger_bytes:
        state.write("ledger.json", ahead)
    if new:
        files.commit(contents, new)
    if final != ahead:
        state.write("ledger.json", final)


def _before_commit(old: Ledger, new: Ledger) -> Ledger:
    """The ledger that is true whether the commit happens or not: everything of both, and the expiry to put back of
    accounts about to be enabled."""
    users = {**old.users, **new.users}
    for key, entry in users.items():
        former = old.users.get(key)
        if former is not None and former.disabled is not None and entry.disabled is None:
            users[key] = replace(entry, disabled=former.disabled)
    memberships = {
        name: sorted({*old.memberships.get(name, ()), *new.memberships.get(name, ())})
        for name in {*old.memberships, *new.memberships}
    }
    return Ledger(users, {**old.groups, **new.groups}, memberships)
