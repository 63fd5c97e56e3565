# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run on one host: read, plan, refuse or write. The only place where planning meets the disk."""

from __future__ import annotations

import gc
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import (
    AbstractSet,
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from .._errors import TargetError
from .._limits import Found, Limit, check_plan
from .._outcome import Change, Outcome
from .._roster import document
from .._roster.model import Roster
from . import applied as applied_state
from . import ledger as ledger_state
from . import snapshots
from .announcements import log_changes, tell_caches
from .distribution import refuse_foreign_layouts
from .draft import Options, Plan, Removal
from .files import AccountFiles, Contents
from .follow_up import follow_up, prepare_removals
from .host import RootHost
from .ledger import Ledger
from .lock import locks_left_behind, password_lock
from .plan import make_plan
from .settings import Settings, read_settings
from .state import StateDirectory
from .tables import Accounts, inconsistencies, number

#: useradd gives up after 15 s; we wait longer than it would, and hold the lock for a moment only.
LOCK_WAIT = 30.0


@dataclass(frozen=True)
class Request:
    """What a run is asked. ``roster`` reads a roster file's content, as often as it is called: 100,000 users are too
    much to hold for a second plan, which is rare. None is to find out whether it is needed."""

    root: str
    state_directory: str
    options: Options
    #: SHA-256 of everything that shapes a plan besides the roster and the host
    options_digest: str
    roster_digest: str
    #: SHA-256 of what ``roster`` reads, which may be a selection of the whole
    sent_digest: Optional[str]
    roster: Optional[Callable[[], bytes]]
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


class OnHost(NamedTuple):
    """What a host has at one moment. The ledger comes parsed as well."""

    contents: Contents
    ledger_bytes: Optional[bytes]
    ledger: Ledger


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage in cycles: a run is short and makes none to speak of, and looking for them in all that it
    holds took a third of its time at 100,000 users."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def run(request: Request) -> Outcome:
    """Bring one root directory's accounts in line with the roster, or in check mode say what that would change.

    Raises TargetError (nothing was written, or the message says what was) and RosterNeeded.
    """
    foreign = refuse_foreign_layouts(request.root)
    if foreign:
        raise TargetError(foreign)
    state = StateDirectory(os.path.join(request.root, request.state_directory.lstrip("/")))
    files = AccountFiles(request.root)
    try:
        return _Run(request, state, files).run()
    finally:
        files.close()


class _Run:
    def __init__(self, request: Request, state: StateDirectory, files: AccountFiles) -> None:
        self.request = request
        self.state = state
        self.files = files
        self.host = RootHost(request.root)
        self.host_files = files.host_defaults()
        #: as the last plan had them
        self.settings = Settings()

    def run(self) -> Outcome:
        contents = self.files.read()
        ledger_bytes = self.state.read("ledger.json")
        known = self._as_left({**contents, **self.host_files, "ledger": ledger_bytes})
        if known is not None:
            return known
        if self.request.roster is None:
            raise RosterNeeded
        there = OnHost(contents, ledger_bytes, self._ledger(ledger_bytes))
        plan, new = self._plan(there, {})
        self.files.preflight(new)
        if self.request.check_mode:
            return plan.outcome
        with self.state.locked(LOCK_WAIT):
            sessions = self.request.options.end_sessions and os.path.realpath(self.request.root) == "/"
            stuck = prepare_removals(self.request.root, plan, sessions)
            prepared = set(plan.removals)
            if stuck:
                # Less than the plan that was within the limits, or approved.
                plan, new = self._plan(there, stuck, limited=False)
            written = there.ledger
            if new or plan.ledger != there.ledger or locks_left_behind(self.files.descriptor):
                with password_lock(self.files.descriptor, self.files.path, LOCK_WAIT):
                    now = self.files.read(), self.state.read("ledger.json")
                    if now != (there.contents, there.ledger_bytes):
                        there = OnHost(*now, self._ledger(now[1]))
                        plan, new = self._plan_again(there, stuck, prepared)
                    run_id = self.request.run_id if self.request.snapshot_count else None
                    write(self.files, self.state, there, new, plan.ledger, plan.outcome.changes, run_id)
                    written = plan.ledger.copy()
                self._announce(plan)
            follow_up(self.request.root, plan, self.settings, sessions)
            if plan.ledger != written:
                self.state.write("ledger.json", ledger_state.serialise(plan.ledger))
            expiry = snapshots.expire(self.state, self.request.snapshot_count, self.request.snapshot_days, time.time())
            self._remember({**there.contents, **self.host_files, **new}, plan, expiry)
        return plan.outcome

    def _plan_again(
        self, there: OnHost, stuck: Mapping[str, str], prepared: AbstractSet[Removal]
    ) -> Tuple[Plan, Dict[str, bytes]]:
        """The plan from what the files say under the lock. Nobody is removed whose home is not archived by now."""
        plan, new = self._plan(there, stuck)
        late = {removal.identity for removal in plan.removals if removal not in prepared}
        if late:
            reason = "is not removed in this run, since the account files changed meanwhile"
            plan, new = self._plan(there, {**dict.fromkeys(late, reason), **stuck})
        return plan, new

    def _roster(self) -> Roster:
        content = self.request.roster() if self.request.roster is not None else b""
        if document.digest(content) != self.request.sent_digest:
            raise TargetError("the roster was damaged on its way to this host; nothing was changed, run again")
        return document.parse(content)

    def _ledger(self, content: Optional[bytes]) -> Ledger:
        path = os.path.join(self.state.path, "ledger.json")
        return Ledger() if content is None else ledger_state.parse(content, path)

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

    def _plan(self, there: OnHost, stuck: Mapping[str, str], limited: bool = True) -> Tuple[Plan, Dict[str, bytes]]:
        """The plan, within its limits, and the account files that it changes, looked at once more."""
        # Read anew for a second plan, which is rare: of 100,000 users it is too much to keep while the files are made.
        roster = self._roster()
        accounts = Accounts.parse(there.contents)
        self.settings = _settings(accounts, self.host_files)
        plan = make_plan(
            accounts, there.ledger, roster, self.request.options, self.settings, self.host, self._today(), stuck
        )
        del roster
        plan.outcome.roster_digest = self.request.roster_digest
        plan.outcome.unshown = _unshown(self.request.options, plan.outcome.changes)
        if limited:
            self._limit(plan, first_run=not there.ledger.users)
        new = _new_contents(there.contents, plan)
        if new:
            _check(there.contents, new, plan)
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


def _unshown(options: Options, changes: Sequence[Change]) -> Dict[str, Any]:
    """Options that show in no change. The admin group differs between distributions, so it counts only where it is
    used."""
    names = ["create_homes", "end_sessions", "move_homes"]
    if any("admin" in change.fields for change in changes):
        names.append("admin_group")
    return {name: getattr(options, name) for name in names}


def _today() -> int:
    return int(time.time() // 86400)


def _settings(accounts: Accounts, host_files: Contents) -> Settings:
    def gid_of(name: str) -> Optional[int]:
        row = accounts.group.get(name)
        return None if row is None else number(row[2])

    return read_settings(host_files["login.defs"], host_files["useradd"], gid_of)


def _check(contents: Contents, new: Mapping[str, bytes], plan: Plan) -> None:
    """Parse what is about to be written as a stranger would. Raises TargetError."""
    before, after = (
        Accounts.parse({"group": b"", "passwd": each["passwd"], "shadow": each["shadow"]})
        for each in (contents, {**contents, **new})
    )
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
    there: OnHost,
    new: Mapping[str, bytes],
    ledger: Ledger,
    changes: List[Change],
    run_id: Optional[str],
) -> None:
    """Snapshot (called ``run_id``, None: without), ledger, account files, ledger: killed anywhere between, the next run
    knows what is ours. The caller holds both locks."""
    files.preflight(new)
    final = ledger_state.serialise(ledger)
    before_commit = _before_commit(there.ledger, ledger)
    ahead = final if before_commit == ledger else ledger_state.serialise(before_commit)
    if new and run_id is not None:
        snapshots.keep(state, run_id, there.contents, new, there.ledger_bytes, final, changes, time.time())
    if ahead != there.ledger_bytes:
        state.write("ledger.json", ahead)
    if new:
        files.commit(there.contents, new)
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
