# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run on one host: read, plan, refuse or write. The only place where planning meets the disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Mapping, Optional, Tuple

from .._errors import LimitError, TargetError
from .._limits import Found, Limit, refusals
from .._outcome import Change, Failure, Outcome
from .._roster import document
from .._roster.model import Roster
from . import applied as applied_state
from . import ledger as ledger_state
from .draft import Options, Plan
from .files import AccountFiles, Contents
from .homes import HomeMaker, make_mail_spool
from .host import RootHost, log_changes, refuse_foreign_layouts, tell_caches
from .ledger import Ledger
from .lock import password_lock
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
    #: digests of plans that may exceed the limits
    approved: FrozenSet[str] = frozenset()


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

    def run(self) -> Outcome:
        contents = self.files.read()
        ledger_bytes = self.state.read("ledger.json")
        host_files = {"login.defs": self._login_defs(), "useradd": self.files.read_optional("default/useradd")}
        known = self._as_left({**contents, **host_files, "ledger": ledger_bytes})
        if known is not None:
            return known
        if self.request.roster is None:
            raise RosterNeeded
        if document.digest(self.request.roster) != self.request.sent_digest:
            raise TargetError("the roster was damaged on its way to this host; nothing was changed, run again")
        roster = document.parse(self.request.roster)

        settings = _settings(contents, host_files)
        plan, new = self._plan(contents, ledger_bytes, roster, settings)
        self.files.preflight(new)
        if self.request.check_mode:
            return plan.outcome
        with self.state.locked(LOCK_WAIT):
            if new or self._is_news(plan.ledger, ledger_bytes):
                with password_lock(self.files.descriptor, self.files.path, LOCK_WAIT):
                    now = self.files.read(), self.state.read("ledger.json")
                    if now != (contents, ledger_bytes):
                        contents, ledger_bytes = now
                        plan, new = self._plan(contents, ledger_bytes, roster, settings)
                    self._write(contents, ledger_bytes, plan, new)
                self._announce(plan)
            self._make_homes(plan, settings)
            self._remember({**contents, **host_files, **new}, plan)
        return plan.outcome

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
            or any(self.host.home_is_missing(home) for home in last.homes)
        ):
            return None
        return last.outcome()

    def _login_defs(self) -> Optional[bytes]:
        content = self.files.read_optional("login.defs")
        return self.files.read_optional("../usr/etc/login.defs") if content is None else content

    def _plan(
        self, contents: Contents, ledger_bytes: Optional[bytes], roster: Roster, settings: Settings
    ) -> Tuple[Plan, Dict[str, bytes]]:
        """The plan, within its limits, and the account files that it changes, looked at once more."""
        ledger = Ledger()
        if ledger_bytes is not None:
            ledger = ledger_state.parse(ledger_bytes, os.path.join(self.state.path, "ledger.json"))
        today = int(time.time() // 86400)
        plan = make_plan(Accounts.parse(contents), ledger, roster, self.request.options, settings, self.host, today)
        plan.outcome.roster_digest = self.request.roster_digest
        self._limit(plan, first_run=not ledger.users)
        new = _new_contents(contents, plan)
        if new:
            _check(contents, new, plan)
        return plan, new

    def _limit(self, plan: Plan, first_run: bool) -> None:
        """Refuse a plan that is over a limit, unless exactly this plan was approved."""
        digest = plan.outcome.plan_digest()
        if digest in self.request.approved:
            return
        changes = plan.outcome.changes
        admins = [change.name for change in changes if change.kind == "user" and "admin" in change.fields]
        sentences = refusals(
            {
                "disables": Found(plan.disabled, plan.owned),
                "leavers": Found(plan.leavers, plan.owned),
                "admin_changes": Found([] if first_run else admins, plan.owned),
                "member_removals": Found(plan.lost_memberships, plan.memberships),
            },
            self.request.limits,
        )
        if sentences:
            raise LimitError(
                f"This plan goes too far: {'; '.join(sentences)}. Nothing was written. If the source is right, "
                f"approve={digest} lets exactly this plan through",
                plan.outcome,
            )

    def _write(self, contents: Contents, ledger_bytes: Optional[bytes], plan: Plan, new: Dict[str, bytes]) -> None:
        """Ledger, account files, ledger: killed anywhere between, the next run knows what is ours."""
        self.files.preflight(new)
        old = ledger_state.parse(ledger_bytes, "ledger.json") if ledger_bytes is not None else Ledger()
        ahead = ledger_state.serialise(_before_commit(old, plan.ledger))
        if ahead != ledger_bytes:
            self.state.write("ledger.json", ahead)
        if new:
            self.files.commit(contents, new)
        final = ledger_state.serialise(plan.ledger)
        if final != ahead:
            self.state.write("ledger.json", final)

    def _announce(self, plan: Plan) -> None:
        if os.path.realpath(self.request.root) == "/":
            tell_caches()
            log_changes(plan.outcome.changes)

    def _make_homes(self, plan: Plan, settings: Settings) -> None:
        """After the account files, since a home can be made again at any run. One failure does not stop the others."""
        maker = HomeMaker(self.request.root, settings.skel, settings.home_mode)
        for home in plan.homes:
            try:
                maker.make(home)
            except OSError as problem:
                reason = f"its home {home.path} could not be made: {problem.strerror}"
                plan.outcome.failed.append(Failure("user", home.username, reason))
                plan.outcome.changes = _without(plan.outcome.changes, home.username, "home_directory")
        mail_gid = self._mail_gid(plan) if settings.mail_spool and plan.created else None
        if mail_gid is not None:
            for username in sorted(plan.created):
                row = plan.accounts.passwd.get(username)
                uid = number(row[2]) if row else None
                if uid is not None:
                    self._make_spool(plan, settings.mail_directory, username, uid, mail_gid)

    def _make_spool(self, plan: Plan, directory: str, username: str, uid: int, gid: int) -> None:
        try:
            make_mail_spool(self.request.root, directory, username, uid, gid)
        except OSError as problem:
            plan.outcome.warnings.append(f"{username}: no mail spool in {directory}: {problem.strerror}")

    def _mail_gid(self, plan: Plan) -> Optional[int]:
        row = plan.accounts.group.get("mail")
        return number(row[2]) if row else None

    def _remember(self, contents: Contents, plan: Plan) -> None:
        outcome = plan.outcome
        record = applied_state.Applied(
            roster_digest=self.request.roster_digest,
            options_digest=self.request.options_digest,
            files=applied_state.fingerprints({**contents, "ledger": self.state.read("ledger.json")}),
            homes=plan.expected_homes,
            unchanged=plan.active,
            rejected=[entry.as_dict() for entry in outcome.rejected],
            failed=[failure.as_dict() for failure in outcome.failed],
            pending=list(outcome.pending),
            warnings=list(outcome.warnings),
        )
        content = applied_state.serialise(record)
        if content != self.state.read("applied.json"):
            self.state.write("applied.json", content)


def _settings(contents: Contents, host_files: Contents) -> Settings:
    groups = Table(contents["group"] or b"", WIDTHS["group"])
    gids = {row[0]: number(row[2]) for row in groups.rows()}
    known = {name: gid for name, gid in gids.items() if gid is not None}
    return read_settings(host_files["login.defs"], host_files["useradd"], known)


def _check(contents: Contents, new: Mapping[str, bytes], plan: Plan) -> None:
    """Parse what is about to be written as a stranger would. Raises TargetError."""
    before = Accounts.parse(contents)
    after = Accounts.parse({**contents, **new})
    expected = set(before.passwd.names()) | plan.created
    problems = inconsistencies(before, after, expected, plan.untouchable)
    if problems:
        raise TargetError(f"the new account files would not be right: {'; '.join(problems)}. Nothing was written")


def _new_contents(old: Contents, plan: Plan) -> Dict[str, bytes]:
    """The files that the plan changes."""
    return {name: content for name, content in plan.accounts.contents().items() if content != old[name]}


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


def _without(changes: List[Change], username: str, field: str) -> List[Change]:
    """The changes without one field that was not done after all; a change that had only that is gone."""
    kept = []
    for change in changes:
        if change.kind == "user" and change.name == username and field in change.fields:
            fields = {key: value for key, value in change.fields.items() if key != field}
            if not fields:
                continue
            change = replace(change, fields=fields)
        kept.append(change)
    return kept
