# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that a playbook's targets answered, added up. The table is made of it, and whatever else may tell of a run.

What grows with the fleet is one row a host and target; what many hosts say alike is kept once, with their number.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Tuple

from .records import COLUMNS, FAILED, UNREACHABLE, Record, entry_name
from .text import shown

#: What the contract's summaries count; changes of other kinds are told beside the table.
COUNTED_KINDS = frozenset(("user", "sudo_rule", "ca_certificate"))


@dataclass
class Row:
    """One host of one target. ``counts`` are by COLUMNS."""

    counts: Dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    changed: bool = False

    @property
    def in_trouble(self) -> bool:
        return bool(self.counts["failed"] or self.counts["unreachable"])

    def add(self, counts: Mapping[str, int], changed: bool) -> None:
        for name in COLUMNS:
            self.counts[name] += counts[name]
        self.changed = self.changed or changed


@dataclass(frozen=True)
class Reason:
    """Why something was left alone or failed, in words. ``what`` is the record, such as "user anna", or empty."""

    target: str
    what: str
    words: str


@dataclass
class Places:
    """Where the same was said: one host of them, the first by name, and how many there are."""

    first: str
    hosts: int = 0

    def add(self, host: str) -> None:
        self.first = min(self.first, host)
        self.hosts += 1


@dataclass
class Refusal:
    """A plan that goes too far. Equal hosts have equal plans."""

    target: str
    digest: str
    changes: int
    words: str
    places: Places


@dataclass
class Half:
    """What was done, or what check mode says would be: the two are never added up."""

    rows: Dict[str, Dict[str, Row]] = field(default_factory=dict)
    failed: Dict[Reason, Places] = field(default_factory=dict)
    rejected: Dict[Reason, Places] = field(default_factory=dict)
    unreachable: Dict[Reason, Places] = field(default_factory=dict)
    refused: Dict[Tuple[str, str], Refusal] = field(default_factory=dict)
    #: (target, kind, action) to how many.
    others: Counter[Tuple[str, str, str]] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)

    def totals(self) -> Dict[str, int]:
        total = Row()
        for hosts in self.rows.values():
            for row in hosts.values():
                total.add(row.counts, row.changed)
        return total.counts

    def add(self, record: Record) -> None:
        counts = record.counts()
        if record.hidden:
            self.hidden[record.target] += 1
        hosts = self.rows.setdefault(record.target, {})
        hosts.setdefault(record.host, Row()).add(counts, bool(record.changes) or (record.hidden and record.changed))
        for change in record.changes:
            kind = str(change.get("kind"))
            if kind not in COUNTED_KINDS:
                self.others[(record.target, kind, str(change.get("action")))] += 1
        for entry in record.rejected:
            _note(self.rejected, _rejection(record.target, entry), record.host)
        for entry in record.failures:
            _note(self.failed, Reason(record.target, _what(entry), shown(entry.get("reason"))), record.host)
        if record.status == UNREACHABLE:
            _note(self.unreachable, Reason(record.target, "", shown(record.message)), record.host)
        elif record.refused is not None:
            self._refuse(record)
        elif record.failed_as_a_whole:
            words = "no_log hides why" if record.hidden else shown(record.message) or "without a word"
            _note(self.failed, Reason(record.target, "", words), record.host)

    def _refuse(self, record: Record) -> None:
        key = (record.target, record.plan_digest or "")
        if key not in self.refused:
            words = shown(record.message)
            self.refused[key] = Refusal(*key, len(record.refused or ()), words, Places(record.host))
        self.refused[key].places.add(record.host)


@dataclass
class Report:
    """A playbook's run. ``halves`` is by whether it was check mode."""

    run_id: str
    halves: Dict[bool, Half] = field(default_factory=dict)
    #: A roster's digest to the module that made it.
    sources: Dict[str, str] = field(default_factory=dict)
    failed_sources: List[Reason] = field(default_factory=list)
    #: Hosts that were lost in a task that is not of a target, with the reason.
    lost: Dict[str, str] = field(default_factory=dict)
    #: What targets call the run, for undoing it.
    run_ids: Dict[str, None] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Nothing of this collection ran, so there is nothing to tell."""
        return not (self.halves or self.sources or self.failed_sources)

    def add(self, record: Record) -> None:
        self.halves.setdefault(record.check, Half()).add(record)
        if record.run_id is not None and record.changes and not record.check:
            self.run_ids[record.run_id] = None

    def add_source(self, name: str, status: str, digest: Optional[str], message: str) -> None:
        if digest is not None:
            self.sources[digest] = name
        if status == FAILED:
            self.failed_sources.append(Reason(name, "", shown(message)))

    def lose(self, host: str, message: str) -> None:
        self.lost.setdefault(host, shown(message))


def _note(reasons: Dict[Reason, Places], reason: Reason, host: str) -> None:
    reasons.setdefault(reason, Places(host)).add(host)


def _what(entry: Mapping[str, object]) -> str:
    return f"{shown(entry.get('kind'))} {entry_name(entry)}".strip()


def _rejection(target: str, entry: Mapping[str, object]) -> Reason:
    return Reason(target, _what(entry), f"{shown(entry.get('field'))} {shown(entry.get('reason'))}".strip())
