# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a target answers: the changes, who was left alone and why, and a diff that a person can read.

Every target's result has the same keys on every path, also on failure. Records that failed are in ``failures``, since
``failed`` is Ansible's own word for the task. No secret is in any of it: a changed password
shows as ``password_hash: [changed]``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ._roster.model import Rejected

#: Stands for a value that must not be shown: one item, where others have two.
CHANGED = ("changed",)
DONE = ("created", "updated", "enabled", "disabled", "removed")
SUMMARY = (*DONE, "unchanged", "rejected", "failed", "pending")
#: How many changes are turned into text at a time.
_PART = 1000
#: A change's action to its place in a summary.
COUNTED_AS = {
    "create": "created",
    "adopt": "updated",
    "update": "updated",
    "rename": "updated",
    "enable": "enabled",
    "disable": "disabled",
    "remove": "removed",
}


@dataclass(frozen=True)
class Change:
    """One object that a run changes. ``fields`` maps a field to (before, after), or to CHANGED for a secret."""

    kind: str
    name: str
    action: str
    fields: Mapping[str, Sequence[Any]]

    def as_dict(self) -> Dict[str, Any]:
        fields = {key: list(self.fields[key]) for key in sorted(self.fields)}
        return {"kind": self.kind, "name": self.name, "action": self.action, "fields": fields}


@dataclass(frozen=True)
class Failure:
    """One object that could not be changed, and why. The others were."""

    kind: str
    name: str
    reason: str

    def as_dict(self) -> Dict[str, str]:
        return {"kind": self.kind, "name": self.name, "reason": self.reason}


@dataclass
class Outcome:
    """What a run did, or in check mode would do.

    ``unshown`` is what else decides what is done and shows in no change, such as where: part of the plan's digest.
    """

    changes: List[Change] = field(default_factory=list)
    rejected: List[Rejected] = field(default_factory=list)
    failed: List[Failure] = field(default_factory=list)
    pending: List[str] = field(default_factory=list)
    unchanged: int = 0
    roster_digest: Optional[str] = None
    warnings: List[str] = field(default_factory=list)
    unshown: Mapping[str, Any] = field(default_factory=dict)

    def summary(self) -> Dict[str, int]:
        """Users by what happens to each (other kinds are in the changes), and records left alone."""
        counts = dict.fromkeys(SUMMARY, 0)
        for change in self.changes:
            if change.kind == "user":
                counts[COUNTED_AS[change.action]] += 1
        counts["unchanged"] = self.unchanged
        counts["rejected"] = len(self.rejected)
        counts["failed"] = len(self.failed)
        counts["pending"] = len(self.pending)
        return counts

    def plan_digest(self) -> str:
        """Identifies exactly these changes, made from exactly this roster and in this way."""
        return self._digest([change.as_dict() for change in self.changes])

    def _digest(self, changes: List[Dict[str, Any]]) -> str:
        """The SHA-256 of ``{"changes":[...],"roster":...,"unshown":{...}}``, made in parts: of 100,000 changes the text
        is 30 MB."""
        found = hashlib.sha256(b'{"changes":[')
        for first in range(0, len(changes), _PART):
            found.update(b"," if first else b"")
            found.update(_canonical(changes[first : first + _PART])[1:-1])
        # A plan without changes is the same however it is made: nothing.
        unshown = dict(self.unshown) if changes else {}
        found.update(b'],"roster":' + _canonical(self.roster_digest) + b',"unshown":' + _canonical(unshown) + b"}")
        return found.hexdigest()

    def as_result(self) -> Dict[str, Any]:
        """The contract's keys."""
        changes = [change.as_dict() for change in self.changes]
        return {
            "changed": bool(self.changes),
            "summary": self.summary(),
            "changes": changes,
            "rejected": [entry.as_dict() for entry in self.rejected],
            "failures": [failure.as_dict() for failure in self.failed],
            "pending": sorted(self.pending),
            "plan_digest": self._digest(changes),
            "roster_digest": self.roster_digest,
            "diff": render_diff(changes),
        }

    def as_refused(self) -> Dict[str, Any]:
        """The contract's keys of a plan that was refused. Nothing of it was done, so what was planned shows under
        ``refused``, and no log takes it for done."""
        result = self.as_result()
        result["refused"] = result["changes"]
        result["changed"] = False
        result["changes"] = []
        result["summary"] = {name: 0 if name in DONE else count for name, count in result["summary"].items()}
        result["diff"] = {"before": "", "after": ""}
        return result

    def failure_message(self, what: str = "applied") -> Optional[str]:
        """What the module says when records could not be ``what``; None when all could."""
        if not self.failed:
            return None
        shown = "; ".join(f"{failure.name}: {failure.reason}" for failure in self.failed[:5])
        more = f"; and {len(self.failed) - 5} more in failures" if len(self.failed) > 5 else ""
        return f"{len(self.failed)} records could not be {what}; the others were. {shown}{more}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "(none)"
    if value is True:
        return "yes"
    if value is False:
        return "no"
    return str(value)


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def render_diff(changes: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """One line a field, before and after, in the order of the plan. ``changes`` as the result has them."""
    before: List[str] = []
    after: List[str] = []
    for change in changes:
        title, action = f"{change['kind']} {change['name']}", change["action"]
        if action in ("create", "remove"):
            (after if action == "create" else before).append(f"{title}: {_described(action, change['fields'])}")
            continue
        if action == "adopt":
            before.append(f"{title}: not ours")
            after.append(f"{title}: adopted")
        for key, value in change["fields"].items():
            if len(value) == 1:
                after.append(f"{title}: {key} changed")
                continue
            if value[0] is not None:
                before.append(f"{title}: {key} {_shown(value[0])}")
            after.append(f"{title}: {key} {'(none)' if value[1] is None else _shown(value[1])}")
    return {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)}


def _described(action: str, fields: Mapping[str, Sequence[Any]]) -> str:
    parts = []
    index = 0 if action == "remove" else 1
    for key, value in fields.items():
        if len(value) == 1:
            parts.append(f"{key} set")
        elif value[index] is not None:
            parts.append(f"{key} {_shown(value[index])}")
    return "; ".join(parts) or action
