# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots: what the account files were before each run, and what the run changed, so that it can be undone.

A run's snapshot is the folder ``snapshots/<run id>``; a second one of the same run id gets ``~2`` behind it. It has the
whole old files, which an administrator can copy back by hand; ``passwd.after`` and so on for those that the run
replaced; ``run.json`` and the ledgers. What changed is worked out from them when it is asked for, not in each run.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Set, Tuple

from .._errors import TargetError
from .._outcome import Change
from . import ledger as ledgers
from . import record as records
from .files import NAMES, Contents
from .ledger import Ledger
from .record import Record, Summary
from .state import StateDirectory

FOLDER = "snapshots"
_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_FOLDER_NAME = re.compile(rf"({_RUN_ID.pattern})(?:~([1-9][0-9]*))?")
_DAY = 86400


@dataclass(frozen=True)
class Run:
    """One run as it is listed. ``time`` (seconds since 1970) is None when a snapshot of it is damaged."""

    run_id: str
    time: Optional[float]
    counts: Mapping[str, int]
    files: Tuple[str, ...]
    folders: Tuple[str, ...]


def run_id_problem(run_id: str) -> Optional[str]:
    """What is wrong with a run id, or None."""
    if _RUN_ID.fullmatch(run_id):
        return None
    return "must be 1 to 64 letters, digits, dots, underscores and dashes, and not begin with a dot"


def keep(
    state: StateDirectory,
    run_id: str,
    before: Contents,
    after: Mapping[str, bytes],
    ledger_before: Optional[bytes],
    ledger_after: bytes,
    changes: List[Change],
    now: float,
) -> None:
    """Keep what a run is about to change. ``after`` has the files that it replaces, ``changes`` what it says
    that it does; ``now`` is in seconds since 1970.

    The caller holds both locks. Raises TargetError; then there is no snapshot, and the run must not write either.
    """
    problem = run_id_problem(run_id)
    if problem:
        raise TargetError(f"the run id {run_id!r} {problem}")
    summary = Summary(now, records.count_changes(changes), records.digests(before), records.digests(after))
    files = {name: content for name, content in before.items() if content is not None}
    files.update((f"{name}.after", content) for name, content in after.items())
    files["run.json"] = records.serialise_summary(summary)
    files["ledger-after.json"] = ledger_after
    if ledger_before is not None:
        files["ledger.json"] = ledger_before
    taken = [part for name, part in _folders(state) if name == run_id]
    part = max(taken, default=0) + 1
    state.write_folder(f"{FOLDER}/{_folder_name(run_id, part)}", files)


def expire(state: StateDirectory, count: int, days: int, now: float) -> Optional[int]:
    """Remove all but the newest ``count`` runs, those older than ``days``, and what killed runs left. Returns the day
    (since 1970) on which the oldest of the others is to go.

    The caller holds the state's lock. What nobody of us made there stays.
    """
    for name in state.names(FOLDER):
        if name.startswith(".") and name.endswith(".new"):
            state.remove(f"{FOLDER}/{name}")
    # A damaged one can't be dated, and holds hashes all the same: it counts as older than all others.
    kept = []
    for position, run in enumerate(list_runs(state)):
        if position >= count or run.time is None or now - run.time > days * _DAY:
            for folder in run.folders:
                state.remove(f"{FOLDER}/{folder}")
        else:
            kept.append(run.time)
    return int((min(kept) + days * _DAY) // _DAY) + 1 if kept else None


def list_runs(state: StateDirectory) -> List[Run]:
    """The runs that can be undone, newest first."""
    found: Dict[str, List[int]] = {}
    for run_id, part in _folders(state):
        found.setdefault(run_id, []).append(part)
    runs = [_run(state, run_id, sorted(parts)) for run_id, parts in found.items()]
    return sorted(runs, key=lambda run: (run.time is not None, run.time or 0.0, run.run_id), reverse=True)


def load(state: StateDirectory, run_id: str) -> List[Record]:
    """What the runs of an id changed, the last first; empty when there was none. Raises TargetError for a damaged one:
    a part of a run is nothing to go back to."""
    parts = sorted((part for name, part in _folders(state) if name == run_id), reverse=True)
    return [_record(state, _folder_name(run_id, part)) for part in parts]


def _folder_name(run_id: str, part: int) -> str:
    return run_id if part == 1 else f"{run_id}~{part}"


def _folders(state: StateDirectory) -> List[Tuple[str, int]]:
    """(run id, part) of each snapshot."""
    found = []
    for name in state.names(FOLDER):
        match = _FOLDER_NAME.fullmatch(name)
        if match and _is_ours(state, name):
            found.append((match.group(1), int(match.group(2) or 1)))
    return found


def _is_ours(state: StateDirectory, name: str) -> bool:
    """A snapshot came there whole, so what has no run.json was put there by somebody else."""
    try:
        return "run.json" in state.names(f"{FOLDER}/{name}")
    except TargetError:
        return False


def _run(state: StateDirectory, run_id: str, parts: List[int]) -> Run:
    folders = tuple(_folder_name(run_id, part) for part in parts)
    counts = dict.fromkeys(records.COUNTS, 0)
    files: Set[str] = set()
    time: Optional[float] = 0.0
    for folder in folders:
        summary = None
        with suppress(TargetError):
            summary = records.parse_summary(state.read(f"{FOLDER}/{folder}/run.json"))
        if summary is None:
            return Run(run_id, None, counts, (), folders)
        time = summary.time
        files.update(summary.after)
        for key, value in summary.counts.items():
            counts[key] += value
    return Run(run_id, time, counts, tuple(sorted(files)), folders)


def _record(state: StateDirectory, folder: str) -> Record:
    path = f"{FOLDER}/{folder}"
    summary = records.parse_summary(state.read(f"{path}/run.json"))
    before: Contents = {name: state.read(f"{path}/{name}") for name in NAMES}
    after = {name: state.read(f"{path}/{name}.after") for name in NAMES}
    # A file that lost lines would look as if the run had made those accounts.
    if summary is None or (records.digests(before), records.digests(after)) != (summary.before, summary.after):
        raise TargetError(
            f"{state.path}/{path} is damaged, so that run can't be undone; nothing was changed. The account files as "
            "they were before it may still be there, to be looked at by hand"
        )
    lines = records.changed_lines(before, {name: content for name, content in after.items() if content is not None})
    old, new = (_ledger(state, f"{path}/{name}") for name in ("ledger.json", "ledger-after.json"))
    return Record(before, lines, summary.after, old, new)


def _ledger(state: StateDirectory, name: str) -> Ledger:
    content = state.read(name)
    return Ledger() if content is None else ledgers.parse(content, f"{state.path}/{name}")
