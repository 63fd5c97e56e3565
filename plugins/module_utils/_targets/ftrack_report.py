# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says of itself, in the words of the log that administrators of ftrack know. Pure."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

_WORDS = {"create": "created", "update": "updated", "enable": "reactivated", "disable": "deactivated"}
#: Keys of the summary, as the log calls them.
_COUNTS = {
    "created": "created",
    "updated": "updated",
    "enabled": "reactivated",
    "disabled": "deactivated",
    "unchanged": "unchanged",
    "rejected": "left alone",
    "failed": "failed",
}


def change_line(action: str, name: str, fields: Mapping[str, Sequence[Any]], would: bool = False) -> str:
    """ "user anna updated: email a@int.de -> b@int.de"."""
    parts = [
        f"{field} {_shown(values[1])}" if values[0] is None else f"{field} {_shown(values[0])} -> {_shown(values[1])}"
        for field, values in sorted(fields.items())
        if field != "enabled"
    ]
    verb = f"would be {_WORDS[action]}" if would else _WORDS[action]
    return f"user {name} {verb}" + (f": {'; '.join(parts)}" if parts else "")


def failure_line(name: str, reason: str) -> str:
    return f"ERROR {name}: {reason}"


def closing_lines(result: Mapping[str, Any], message: Optional[str]) -> List[str]:
    """What is left to say at the end: who was rejected, what failed as a whole, and the counts."""
    lines = [
        f"user {entry.get('name') or entry.get('id') or entry.get('record')} left alone: "
        f"{entry['field']} {entry['reason']}"
        for entry in result["rejected"]
        if entry["kind"] == "user"
    ]
    if message is not None and not result["failures"]:
        lines.append(f"ERROR {message}")
    counts = ", ".join(f"{result['summary'][key]} {word}" for key, word in _COUNTS.items())
    return [*lines, f"summary: {counts}"]


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "(none)"
    return "(none)" if value is None else str(value)
