# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run on one store of authorities: look, plan, write, let the family's tool work, look again.

What changed is what the store shows afterwards, never what the tool says: Debian's counts files that nobody trusts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from .._errors import TargetError
from .._outcome import Failure, Outcome
from . import ca_store
from .announcements import log_changes
from .ca_files import SYSTEM_PATH, CaFiles, ToolError
from .ca_store import KIND, Key, Plan, Step, View, Wanted, family_of, file_name, make_plan, pem_of
from .distribution import os_release
from .state import StateDirectory

LEDGER = "ca_certificates.json"
#: Seconds to wait for another run.
LOCK_WAIT = 60.0


@dataclass(frozen=True)
class Request:
    """What the module was asked for. ``incomplete`` are listed names with a certificate that could not be used."""

    root: str
    state_directory: str
    wanted: Sequence[Wanted] = ()
    incomplete: FrozenSet[str] = frozenset()
    purge: bool = False
    family: Optional[str] = None
    check_mode: bool = False
    search_path: str = SYSTEM_PATH


def run(request: Request) -> Outcome:
    """Raises TargetError when nothing was, or could be, written."""
    family = family_of(os_release(request.root), request.family)
    store = CaFiles(request.root, family, request.search_path)
    store.check()
    state = StateDirectory(os.path.join(request.root, request.state_directory.lstrip("/")))
    return _Run(request, store, state).run()


@dataclass
class _Undo:
    """What a step found: contents by file name, None for a file that was not there."""

    before: Dict[str, Optional[bytes]] = field(default_factory=dict)


class _Run:
    def __init__(self, request: Request, store: CaFiles, state: StateDirectory) -> None:
        self.request = request
        self.store = store
        self.state = state

    def run(self) -> Outcome:
        plan, _owned, _view = self._plan()
        if plan.run:
            self.store.check_tool()
        if self.request.check_mode or not plan.steps:
            return _outcome(plan)
        with self.state.locked(LOCK_WAIT):
            self.store.remove_leftovers()
            plan, owned, view = self._plan()
            outcome = self._apply(plan, owned, view)
        if self.request.root == "/":
            log_changes(outcome.changes)
        return outcome

    def _plan(self) -> Tuple[Plan, Set[Key], View]:
        path = os.path.join(self.state.path, LEDGER)
        owned = ca_store.parse(self.state.read(LEDGER), path)
        view = self.store.view()
        wanted = list(dict.fromkeys(self.request.wanted))
        return make_plan(wanted, self.request.incomplete, owned, view, self.request.purge), owned, view

    def _apply(self, plan: Plan, owned: Set[Key], view: View) -> Outcome:
        # First everything that is or is about to be ours: a run that is killed leaves nothing unknown behind.
        announced = owned | plan.owned
        self._record(owned, announced)
        undone: List[Tuple[Step, _Undo]] = []
        try:
            for step in plan.steps:
                undo = _Undo()
                undone.append((step, undo))
                self._do(step, view, undo)
        except OSError as problem:
            for _step, undo in reversed(undone):
                self._take_back(undo)
            self._record(announced, owned)
            raise TargetError(
                f"{self.store.anchors} could not be written: {problem.strerror}. Nothing was changed"
            ) from None
        outcome = _outcome(plan)
        if plan.run:
            failed = self._rebuild(plan, undone)
            for step, reason in failed:
                outcome.changes.remove(step.change)
                outcome.failed.append(Failure(KIND, step.change.name, reason))
                if step.write is not None and step.write.key not in owned:
                    plan.owned.discard(step.write.key)
                if step.remove is not None:
                    plan.owned.add(step.remove)
            self._warn_of_others(plan, outcome)
        self._record(announced, plan.owned)
        return outcome

    def _record(self, before: Set[Key], after: Set[Key]) -> None:
        if before != after or self.state.read(LEDGER) is None:
            self.state.write(LEDGER, ca_store.serialise(after))

    def _do(self, step: Step, view: View, undo: _Undo) -> None:
        """The files of one step. Raises OSError."""
        if step.remove is not None:
            name = file_name(*step.remove)
            undo.before[name] = _content(view, name)
            self.store.remove(name)
        if step.write is not None:
            name = step.write.file
            undo.before[name] = _content(view, name)
            if not _is_right(view, step.write):
                self.store.write(name, pem_of(step.write.der))

    def _take_back(self, undo: _Undo) -> None:
        for name, content in undo.before.items():
            try:
                if content is None:
                    self.store.remove(name)
                else:
                    self.store.write(name, content)
            except OSError as problem:
                raise TargetError(
                    f"{self.store.anchors}/{name} could not be put back as it was: {problem.strerror}. The next run "
                    "mends it"
                ) from None

    def _rebuild(self, plan: Plan, undone: Sequence[Tuple[Step, _Undo]]) -> List[Tuple[Step, str]]:
        """Let the tool work; the steps that came to nothing, and why. Their files are as they were before."""
        try:
            self.store.rebuild(plan.rebuild)
            view = self.store.view()
            if not plan.rebuild and _missing(plan.steps, view):
                self.store.rebuild(True)
                view = self.store.view()
            missing = _missing(plan.steps, view)
            reason = (
                f"{self.store.family.tool} ran, but the certificate is not in the store's {self.store.family.bundle}"
                + (f" and {self.store.family.hashes}" if self.store.family.hashes else "")
            )
        except ToolError as problem:
            missing, reason = list(plan.steps), str(problem)
        if not missing:
            return []
        for step, undo in undone:
            if step in missing:
                self._take_back(undo)
        try:
            self.store.rebuild(True)
            reason += ". It was taken back, the store is as it was"
        except ToolError as problem:
            reason += f". Its file was taken back, but the store could not be made anew: {problem}"
        return [(step, reason) for step in missing]

    def _warn_of_others(self, plan: Plan, outcome: Outcome) -> None:
        """A removed certificate may be in the store by somebody else's file too."""
        done = [step for step in plan.steps if step.change in outcome.changes]
        gone = {step.remove for step in done if step.remove is not None}
        if not gone:
            return
        view = self.store.view()
        kept = {fingerprint for _name, fingerprint in plan.owned}
        for name, fingerprint in sorted(gone):
            if fingerprint in view.bundle and fingerprint not in kept:
                outcome.warnings.append(
                    f"{name} (SHA-256 {fingerprint}) is trusted still: the same certificate is in the store by a file "
                    "that is not ours"
                )


def _content(view: View, name: str) -> Optional[bytes]:
    stored = view.files.get(name)
    return stored.content if stored is not None and stored.regular else None


def _is_right(view: View, wanted: Wanted) -> bool:
    stored = view.files.get(wanted.file)
    right = ca_store.StoredFile(pem_of(wanted.der), ca_store.MODE)
    return stored == right


def _missing(steps: Sequence[Step], view: View) -> List[Step]:
    """Steps whose certificate is not trusted, or whose removed file still has a link."""
    return [
        step
        for step in steps
        if (step.write is not None and not view.trusts(step.write.fingerprint))
        or (step.remove is not None and file_name(*step.remove) in view.linked)
    ]


def _outcome(plan: Plan) -> Outcome:
    return Outcome(changes=[step.change for step in plan.steps], unchanged=plan.unchanged, warnings=list(plan.warnings))
