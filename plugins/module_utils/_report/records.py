# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a target's task answered, read as data: the contract's keys, and nothing else of the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .._outcome import SUMMARY
from .text import shown

COLLECTION = "identity.roster."
#: Targets that live on a host: a delegated task changes the host that it is delegated to.
HOST_TARGETS = frozenset(("linux_accounts", "linux_snapshot", "sudo_rules", "ca_certificates"))
#: Targets that live elsewhere: the host of the inventory stands for the site, wherever the task runs.
SERVICE_TARGETS = frozenset(("pleio_users", "ftrack_users"))
TARGETS = HOST_TARGETS | SERVICE_TARGETS
SOURCES = frozenset(("csv_info", "ldap_info", "libre_workspace_info", "roster_merge"))

#: What a run does, and what it leaves alone. The order is that of the table.
DONE = ("created", "updated", "enabled", "disabled", "removed")
LEFT = ("rejected", "failed", "pending")
COLUMNS = (*DONE, *LEFT, "unreachable")

#: How a task ended.
OK, FAILED, UNREACHABLE = "ok", "failed", "unreachable"


@dataclass(frozen=True)
class Record:
    """One result of one target. ``hidden``: no_log keeps all but ``status`` and ``changed`` from us.

    ``changes``, ``rejected``, ``failures`` and ``refused`` are as in the contract. ``message`` is a failure's.
    """

    target: str
    host: str
    check: bool
    status: str = OK
    hidden: bool = False
    changed: bool = False
    summary: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[Mapping[str, Any]] = ()
    rejected: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[Mapping[str, Any]] = ()
    refused: Optional[Sequence[Mapping[str, Any]]] = None
    plan_digest: Optional[str] = None
    roster_digest: Optional[str] = None
    run_id: Optional[str] = None
    message: str = ""

    def counts(self) -> Dict[str, int]:
        """By COLUMNS. A target that failed as a whole counts as one that failed; a refused plan's summary is a wish."""
        names = LEFT if self.refused is not None else (*DONE, *LEFT)
        counts = {**dict.fromkeys(COLUMNS, 0), **{name: self.summary.get(name, 0) for name in names}}
        counts["unreachable"] = int(self.status == UNREACHABLE)
        if self.failed_as_a_whole:
            counts["failed"] = 1
        return counts

    @property
    def failed_as_a_whole(self) -> bool:
        """Only the message says what went wrong: no record of the target's failed."""
        return self.status == FAILED and not self.failures

    def superseded(self) -> Record:
        """An attempt that is repeated: what it did stays done, what it could not do is for the next one to say."""
        summary = {name: self.summary.get(name, 0) for name in DONE}
        return replace(self, status=OK, summary=summary, rejected=(), failures=(), refused=None, message="")


def name_of(action: str) -> Optional[str]:
    """The short name of a module of this collection, from the resolved name of a task's action."""
    return action[len(COLLECTION) :] if action.startswith(COLLECTION) else None


def read_record(target: str, host: str, check: bool, status: str, result: Mapping[str, Any]) -> Optional[Record]:
    """None when the result is of nothing that was brought in line, such as a listing or an asynchronous task's start.

    Whatever stands in a result, this raises nothing: a report must not break a run.
    """
    record = Record(
        target=target,
        host=host,
        check=check,
        status=status,
        changed=bool(result.get("changed")),
        message=_text(result.get("msg")) or "",
    )
    if status == UNREACHABLE:
        return record
    if "censored" in result:
        return replace(record, hidden=True, message="")
    if not isinstance(result.get("changes"), list) or not isinstance(result.get("summary"), dict):
        return record if status == FAILED else None
    run_id = _text(result.get("run_id"))
    if target == "linux_snapshot" and run_id is None and status != FAILED:
        return None
    return replace(
        record,
        summary={name: _count(result["summary"].get(name)) for name in SUMMARY},
        changes=_mappings(result["changes"]),
        rejected=_mappings(result.get("rejected")),
        failures=_mappings(result.get("failures")),
        refused=_mappings(result["refused"]) if isinstance(result.get("refused"), list) else None,
        plan_digest=_text(result.get("plan_digest")),
        roster_digest=_text(result.get("roster_digest")),
        run_id=run_id,
    )


def entry_name(entry: Mapping[str, Any]) -> str:
    """What an entry of ``rejected`` or ``failures`` is called, or else where it stands in its source."""
    return shown(next((entry[key] for key in ("name", "id", "record") if entry.get(key)), ""))


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int:
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0


def _mappings(value: Any) -> List[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
