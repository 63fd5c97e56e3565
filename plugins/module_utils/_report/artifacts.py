# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run leaves to later nodes of a workflow: counts, names and digests. And the words for it, for who approves.

Names come from outside, and a core before 2.19 takes braces in an artifact for a template: none of them is left.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from .._outcome import COUNTED_AS, DONE, SUMMARY
from .records import FAILED, OK, UNREACHABLE, Record, entry_name, read_record
from .text import hosts as hosts_text
from .text import number, shown

#: The targets that have plans, in the order of the playbooks.
TARGETS = ("linux_accounts", "pleio_users", "ftrack_users")
#: Lines stand in a list that Ansible indents and quotes, and AWX shows 80 columns.
WIDTH = 68
_SHOWN_NAMES = 20


def harmless(value: Any) -> str:
    """As text that no template engine sees anything in: "{{ 1 }}" to "{ { 1 }}"."""
    return re.sub(r"\{(?=[{%#])", "{ ", shown(value))


def run_artifacts(
    target: str, results: Mapping[str, Any], hosts: Sequence[str], check_mode: bool, roster_digest: Optional[str]
) -> Dict[str, Any]:
    """The artifact ``identity_roster`` of a run of one target. ``results`` maps hosts to what was registered there.

    Several targets' are merged by their keys. ``plans`` has the hosts whose plan changes something, done or not;
    ``refused_summary`` counts what the refused ones would do.
    """
    summary = dict.fromkeys(SUMMARY, 0)
    refused_summary = dict.fromkeys(DONE, 0)
    plans: Dict[str, str] = {}
    refused: List[str] = []
    without_result: List[str] = []
    rejected: Set[str] = set()
    failed: Set[str] = set()
    for host in hosts:
        record = _record(target, host, check_mode, results.get(host))
        if record is None:
            without_result.append(harmless(host))
            continue
        for name in SUMMARY:
            summary[name] += record.summary.get(name, 0)
        rejected.update(map(entry_name, record.rejected))
        failed.update(map(entry_name, record.failures))
        if record.refused is not None:
            refused.append(harmless(host))
            users = Counter(change.get("action") for change in record.refused if change.get("kind") == "user")
            for action, count in users.items():
                if action in COUNTED_AS:
                    refused_summary[COUNTED_AS[action]] += count
        if record.changes or record.refused:
            plans[harmless(host)] = harmless(record.plan_digest)
    return {
        "check_mode": check_mode,
        "roster_digest": None if roster_digest is None else harmless(roster_digest),
        target: {
            "summary": summary,
            "hosts": len(hosts) - len(without_result),
            "plans": plans,
            "refused": refused,
            "refused_summary": refused_summary,
            "without_result": without_result,
            "rejected": sorted(map(harmless, rejected)),
            "failed": sorted(map(harmless, failed)),
        },
    }


def _record(target: str, host: str, check_mode: bool, result: Any) -> Optional[Record]:
    """None when the target failed before there was a plan, or never ran."""
    if not isinstance(result, dict):
        return None
    status = UNREACHABLE if result.get("unreachable") else FAILED if result.get("failed") else OK
    record = read_record(target, host, check_mode, status, result)
    if record is None or record.hidden or not record.summary:
        return None
    if record.failed_as_a_whole and record.refused is None:
        return None
    return record


def describe(artifact: Any) -> List[str]:
    """The artifact of a dry run as lines for the person who is asked to approve it.

    Raises ValueError with what is wrong when it is none.
    """
    if not isinstance(artifact, dict) or not any(isinstance(artifact.get(target), dict) for target in TARGETS):
        raise ValueError("there is no artifact of a dry run in identity_roster: it did not get as far as a target")
    if artifact.get("check_mode") is not True:
        raise ValueError("identity_roster is not of a dry run, but of a run that made its changes")
    lines = [f"DRY RUN of the roster {shown(artifact.get('roster_digest'))[:12]}: nothing was changed"]
    for target in TARGETS:
        if isinstance(artifact.get(target), dict):
            lines += ["", *_target_lines(target, artifact[target])]
    lines += ["", *_wrapped("Who would be changed, and how, is in the output of the dry run's job.", "")]
    return lines


def _target_lines(target: str, part: Mapping[str, Any]) -> List[str]:
    plans, refused = _names(part.get("plans")), _names(part.get("refused"))
    answered = _number(part.get("hosts"))
    # Of hosts that did not answer nobody knows whether they would change.
    changing = f"{number(len(plans))} would change" if plans else "nothing would change"
    lines = [f"{target}: {f'{hosts_text(answered)} answered, {changing}' if answered else 'no host answered'}"]
    within = set(plans) - set(refused)
    if within:
        lines += _wrapped(f"Changes on {hosts_text(len(within))}, {_users(part.get('summary'))}")
    if refused:
        users = _users(part.get("refused_summary"))
        lines += _wrapped(
            f"REFUSED on {hosts_text(len(refused))}, {users}. These plans go too far or were not approved; "
            f"an approval lets exactly them through: {_first(refused)}"
        )
    for key, words in (
        ("without_result", "NO RESULT, so nothing that could be approved"),
        ("failed", "FAILED records"),
        ("rejected", "Rejected records, left as they are"),
    ):
        names = _names(part.get(key))
        if names:
            lines += _wrapped(f"{words} ({number(len(names))}): {_first(names)}")
    return lines


def _users(counts: Any) -> str:
    counts = counts if isinstance(counts, dict) else {}
    told = [f"{number(_number(counts.get(name)))} {name}" for name in DONE if _number(counts.get(name))]
    return f"users: {', '.join(told)}" if told else "not of users but of groups and the like"


def _wrapped(text: str, indent: str = "  ") -> List[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent * 2)


def _first(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {number(more)} more" if more > 0 else "")


def _names(value: Any) -> List[str]:
    return [harmless(name) for name in value] if isinstance(value, (list, dict)) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
