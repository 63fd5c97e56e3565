# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan does beside the account files: homes, mail, SSH keys and sessions.

Before the account files: what is lost with an account is archived. After them: the rest, which any later run can
complete. One record's failure does not stop the others.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Dict, List, Set

from .._outcome import Change, Failure
from .._roster.posix import id_problem
from .authorized_keys import write_keys
from .belongings import move_belongings, remove_belongings
from .draft import Plan
from .home_archive import archive_home, move_home, remove_home
from .homes import HomeMaker, make_mail_spool
from .sessions import end_sessions
from .settings import Settings
from .tables import number

#: User name to the fields of its change that could not be done.
_Undone = Dict[str, Set[str]]


def prepare_removals(root: str, plan: Plan, sessions: bool) -> Dict[str, str]:
    """End the sessions of the accounts to be removed, and archive their homes. Returns stable id to the reason why an
    account must stay."""
    removed = set(plan.removed)
    fresh = [removal for removal in plan.removals if removal.username in removed]
    stuck: Dict[str, str] = {}
    if fresh and sessions:
        open_sessions = _end({removal.username: removal.uid for removal in fresh})
        for removal in fresh:
            if removal.username in open_sessions:
                stuck[removal.identity] = f"can't be removed yet: {open_sessions[removal.username]}"
    for removal in fresh:
        if removal.archive is None or removal.identity in stuck:
            continue
        try:
            archive_home(root, removal.home, removal.uid, removal.archive)
        except OSError as problem:
            stuck[removal.identity] = (
                f"can't be removed yet: its home {removal.home} could not be archived: {problem.strerror}"
            )
    return stuck


def _end(users: Dict[str, int]) -> Dict[str, str]:
    """As ``end_sessions``, without exceptions."""
    failed = {name: f"its uid {id_problem(uid)}" for name, uid in users.items() if id_problem(uid)}
    others = {name: uid for name, uid in users.items() if name not in failed}
    try:
        return {**failed, **end_sessions(others)}
    except OSError as problem:
        return {**failed, **dict.fromkeys(others, f"its processes can't be found: {problem.strerror}")}


def follow_up(root: str, plan: Plan, settings: Settings, sessions: bool) -> None:
    """Bring the disk in line with the account files. What was left to move or remove and has been is finished in the
    plan's ledger; failures and warnings are added to its outcome, and what was not done is taken out of its changes."""
    if sessions and plan.locked_out:
        for username, reason in _end(plan.locked_out).items():
            plan.outcome.warnings.append(f"{username} is disabled, and still at work: {reason}")
    undone: _Undone = {}
    _finish_removals(root, plan, settings, undone)
    _finish_moves(root, plan, settings, undone)
    _make_homes(root, plan, settings, undone)
    for keys in plan.keys:
        if keys.write:
            try:
                write_keys(root, keys.home, keys.uid, keys.gid, keys.keys)
            except OSError as problem:
                reason = f"its SSH keys could not be written: {problem.strerror}"
                _not_done(plan, undone, keys.username, reason, "ssh_public_keys")
    plan.outcome.changes = _without(plan.outcome.changes, undone)


def _finish_removals(root: str, plan: Plan, settings: Settings, undone: _Undone) -> None:
    for removal in plan.removals:
        try:
            if removal.home:
                remove_home(root, removal.home, removal.uid)
            remove_belongings(root, settings.mail_directory, removal.username, removal.uid)
        except OSError as problem:
            reason = f"the account is removed, but not all that was its own: {problem.strerror}"
            _not_done(plan, undone, removal.username, reason, "home", "mail_and_jobs")
        else:
            plan.ledger.finish(removal.identity)


def _finish_moves(root: str, plan: Plan, settings: Settings, undone: _Undone) -> None:
    for move in plan.moves:
        try:
            if move.old_home and move.old_home != move.home:
                # With neither home there, nothing is left to move: the next run makes a new one.
                with suppress(FileNotFoundError):
                    move_home(root, move.old_home, move.home, move.uid)
            if move.old_username != move.username:
                move_belongings(root, settings.mail_directory, move.old_username, move.username, move.uid)
        except OSError as problem:
            reason = f"not all that was {move.old_username!r}'s could be moved: {problem.strerror}"
            _not_done(plan, undone, move.username, reason, "former_username")
        else:
            plan.ledger.finish(move.identity)


def _make_homes(root: str, plan: Plan, settings: Settings, undone: _Undone) -> None:
    """After the account files, since a home can be made again at any run."""
    maker = HomeMaker(root, settings.skel, settings.home_mode, settings.vendor_skel)
    for home in plan.homes:
        try:
            maker.make(home)
        except OSError as problem:
            reason = f"its home {home.path} could not be made: {problem.strerror}"
            _not_done(plan, undone, home.username, reason, "home_directory")
    row = plan.accounts.group.get("mail")
    mail_gid = number(row[2]) if row and settings.mail_spool and plan.created else None
    if mail_gid is None:
        return
    for username in sorted(plan.created):
        passwd = plan.accounts.passwd.get(username)
        uid = number(passwd[2]) if passwd else None
        if uid is None:
            continue
        try:
            make_mail_spool(root, settings.mail_directory, username, uid, mail_gid)
        except OSError as problem:
            plan.outcome.warnings.append(f"{username}: no mail spool in {settings.mail_directory}: {problem.strerror}")


def _not_done(plan: Plan, undone: _Undone, username: str, reason: str, *fields: str) -> None:
    """The run failed in this, and the next one must not believe that all is done."""
    plan.outcome.failed.append(Failure("user", username, reason))
    plan.due = 0
    undone.setdefault(username, set()).update(fields)


def _without(changes: List[Change], undone: _Undone) -> List[Change]:
    """The changes without the fields that were not done after all; a change that had only such is gone."""
    kept = []
    for change in changes:
        names = undone.get(change.name, set()).intersection(change.fields) if change.kind == "user" else None
        if names:
            fields = {key: value for key, value in change.fields.items() if key not in names}
            if not fields:
                continue
            change = replace(change, fields=fields)
        kept.append(change)
    return kept
