# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One undo on one host: read, plan, write under the same locks and with the same care as a run."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._errors import TargetError
from .._outcome import Change, Failure, Outcome
from . import ledger as ledgers
from . import snapshots
from .announcements import log_changes, tell_caches
from .belongings import move_belongings
from .distribution import refuse_foreign_layouts
from .engine import LOCK_WAIT, OnHost, write
from .files import AccountFiles, Contents
from .home_archive import move_home, restore_home
from .host import RootHost
from .ledger import Former, Ledger
from .lock import locks_left_behind, password_lock
from .record import Record
from .sessions import processes_of
from .settings import Settings, read_settings
from .state import StateDirectory
from .tables import WIDTHS, Accounts, Table, inconsistencies, number
from .undo import undo_all
from .undo_changes import describe
from .undo_draft import Bounds, Kept, LeftHome, Move, Undone


@dataclass(frozen=True)
class Request:
    """``run_id`` is to be undone, and ``own_run_id`` is what this undo's snapshot is called. ``protected`` maps a user
    name to the reason why its account stays as it is."""

    root: str
    state_directory: str
    run_id: str
    own_run_id: str
    protected: Mapping[str, str]
    check_mode: bool


@dataclass
class Result:
    """``found`` is False when this host has no snapshot of the run."""

    outcome: Outcome = field(default_factory=Outcome)
    found: bool = False
    kept: List[Kept] = field(default_factory=list)
    homes_left: List[LeftHome] = field(default_factory=list)


@dataclass
class _Plan:
    """``new`` are the files that change; ``ledger`` says which homes are to move until they have."""

    undone: Undone
    outcome: Outcome
    ledger: Ledger
    new: Dict[str, bytes]
    moves: List[Move]
    #: (user name, archive, home, uid, gid)
    unpack: List[Tuple[str, str, str, int, int]]


def state_of(root: str, directory: str) -> StateDirectory:
    """The state below a root directory."""
    return StateDirectory(os.path.join(root, directory.lstrip("/")))


def undo_run(request: Request) -> Result:
    """Undo a run, or in check mode say what that would change. Raises TargetError: nothing was written, or the message
    says what was."""
    foreign = refuse_foreign_layouts(request.root)
    if foreign:
        raise TargetError(foreign)
    state = state_of(request.root, request.state_directory)
    records = snapshots.load(state, request.run_id)
    if not records:
        return Result()
    files = AccountFiles(request.root)
    try:
        return _Undoing(request, state, files, records).run()
    finally:
        files.close()


class _Undoing:
    def __init__(self, request: Request, state: StateDirectory, files: AccountFiles, records: Sequence[Record]) -> None:
        self.request = request
        self.state = state
        self.files = files
        self.records = records
        self.host = RootHost(request.root)
        self.not_unpacked: List[Failure] = []
        self.is_live = os.path.realpath(request.root) == "/"
        defaults = files.host_defaults()
        self.settings: Settings = read_settings(defaults["login.defs"], defaults["useradd"], lambda _group: None)

    def run(self) -> Result:
        contents, ledger_bytes = self.files.read(), self.state.read("ledger.json")
        plan = self._plan(contents, ledger_bytes)
        self.files.preflight(plan.new)
        news = plan.new or self._is_news(plan.ledger, ledger_bytes) or locks_left_behind(self.files.descriptor)
        if news and not self.request.check_mode:
            with self.state.locked(LOCK_WAIT):
                self._unpack(plan)
                with password_lock(self.files.descriptor, self.files.path, LOCK_WAIT):
                    now = self.files.read(), self.state.read("ledger.json")
                    if now != (contents, ledger_bytes):
                        contents, ledger_bytes = now
                        plan = self._plan(contents, ledger_bytes)
                    there = OnHost(contents, ledger_bytes, self._ledger(ledger_bytes))
                    changes, own = plan.outcome.changes, self.request.own_run_id
                    write(self.files, self.state, there, plan.new, plan.ledger, changes, own)
                if self.is_live:
                    tell_caches()
                    log_changes(plan.outcome.changes)
                self._move(plan)
                # What the last run left behind is no longer so: the next one has to look.
                self.state.remove("applied.json")
        plan.outcome.failed += self.not_unpacked
        return Result(plan.outcome, True, plan.undone.kept, plan.undone.homes_left)

    def _is_news(self, ledger: Ledger, ledger_bytes: Optional[bytes]) -> bool:
        return ledger != self._ledger(ledger_bytes)

    def _ledger(self, content: Optional[bytes]) -> Ledger:
        return Ledger() if content is None else ledgers.parse(content, os.path.join(self.state.path, "ledger.json"))

    def _plan(self, contents: Contents, ledger_bytes: Optional[bytes]) -> _Plan:
        ledger = self._ledger(ledger_bytes)
        today = int(time.time() // 86400)
        bounds = Bounds(self.request.protected, self.settings.uid_min, self._busy(contents), today)
        undone = undo_all(contents, ledger, self.records, bounds)
        new = {
            name: content
            for name, content in undone.contents.items()
            if content is not None and content != contents[name]
        }
        self._check(contents, new, undone)
        undone.homes_left = [left for left in undone.homes_left if not self.host.home_is_missing(left.home)]
        outcome = Outcome(
            changes=describe(contents, undone.contents, ledger, undone.ledger), failed=list(undone.failed)
        )
        plan = _Plan(undone, outcome, undone.ledger.copy(), new, [], [])
        self._plan_homes(plan)
        return plan

    def _busy(self, contents: Contents) -> Set[int]:
        """The uids that have processes. Another root has none of its own."""
        if not self.is_live:
            return set()
        rows = Table(contents["passwd"] or b"", WIDTHS["passwd"]).rows()
        uids = {uid for uid in (number(row[2]) for row in rows) if uid is not None and uid >= self.settings.uid_min}
        return set(processes_of(uids))

    def _check(self, contents: Contents, new: Mapping[str, bytes], undone: Undone) -> None:
        """Parse what is about to be written as a stranger would. Raises TargetError."""
        if not new:
            return
        before, after = Accounts.parse(contents), Accounts.parse({**contents, **new})
        expected = (set(before.passwd.names()) - undone.leaving) | undone.returning
        problems = inconsistencies(before, after, expected, tuple(self.request.protected))
        if problems:
            raise TargetError(f"the account files would not be right: {'; '.join(problems)}. Nothing was written")

    def _plan_homes(self, plan: _Plan) -> None:
        """Which homes move back, and which come out of an archive. What is at the former place already stays there."""
        keys = {entry.username: key for key, entry in plan.ledger.users.items()}
        for move in plan.undone.moves:
            home = move.home
            if move.home != move.former and not self.host.home_is_missing(move.home):
                problem = self.host.move_problem(move.home, move.former, move.uid)
                if problem:
                    plan.outcome.failed.append(Failure("user", move.username, f"its home can't move back: {problem}"))
                    home = move.former
            elif move.home != move.former:
                home = move.former
            if home == move.former and move.now == move.username:
                continue
            plan.moves.append(replace(move, home=home))
            key = keys.get(move.username)
            if key is not None:
                former = Former(move.now, "" if home == move.former else home)
                plan.ledger.users[key] = replace(plan.ledger.users[key], former=former)
        passwd = Table(plan.undone.contents["passwd"] or b"", WIDTHS["passwd"])
        for username, archive in sorted(plan.undone.archives.items()):
            row = passwd.get(username)
            uid, gid = (number(row[2]), number(row[3])) if row is not None else (None, None)
            if row is None or uid is None or gid is None or not self.host.home_is_missing(row[5]):
                continue
            plan.unpack.append((username, archive, row[5], uid, gid))
            plan.outcome.changes = _with(plan.outcome.changes, username, "home_directory", ("archived", "present"))

    def _unpack(self, plan: _Plan) -> None:
        """Before the account files: a run that is cut off finds the homes there when it is made again."""
        for username, archive, home, uid, gid in plan.unpack:
            try:
                restore_home(self.request.root, archive, home, uid, gid)
            except OSError as problem:
                reason = f"its home {home} could not be unpacked from {archive}: {problem.strerror}"
                self.not_unpacked.append(Failure("user", username, reason))

    def _move(self, plan: _Plan) -> None:
        """After the account files; what can't be moved now, the next run of linux_accounts tries again."""
        if not plan.moves:
            return
        keys = {entry.username: key for key, entry in plan.ledger.users.items()}
        for move in plan.moves:
            try:
                if move.home != move.former:
                    with suppress(FileNotFoundError):
                        move_home(self.request.root, move.home, move.former, move.uid)
                if move.now != move.username:
                    mail = self.settings.mail_directory
                    move_belongings(self.request.root, mail, move.now, move.username, move.uid)
            except OSError as problem:
                reason = f"not all that was {move.now!r}'s could be moved back: {problem.strerror}"
                plan.outcome.failed.append(Failure("user", move.username, reason))
            else:
                if move.username in keys:
                    plan.ledger.finish(keys[move.username])
        self.state.write("ledger.json", ledgers.serialise(plan.ledger))


def _with(changes: Sequence[Change], username: str, title: str, value: Tuple[str, str]) -> List[Change]:
    """The changes with one more field of a user's."""
    return [
        replace(change, fields={**change.fields, title: value})
        if change.kind == "user" and change.name == username
        else change
        for change in changes
    ]
