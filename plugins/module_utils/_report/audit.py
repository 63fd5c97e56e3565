# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit log's entries: every change that a target's own state went through, once, and nothing else.

Check mode and refused plans change nothing, so they have none.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

from .records import Record
from .text import done_word, shown

FORMAT = "identity.roster.audit/1"
#: The action of a change of which no_log hides what it was.
HIDDEN = "hidden"


def entries(record: Record, run_id: str, time: str, source: Optional[str]) -> List[Dict[str, Any]]:
    """One entry a change, in the order in which they were made. ``time`` is ISO 8601 in UTC.

    ``run_id`` and ``source`` (the module that made the roster) count where the record does not know better.
    ``fields`` maps a field to [before, after], or to ["changed"] for a secret.
    """
    if record.check:
        return []
    common = {
        "format": FORMAT,
        "run_id": record.run_id or run_id,
        "time": time,
        "source": source,
        "target": record.target,
        "host": record.host,
        "roster_digest": record.roster_digest,
    }
    if record.hidden:
        return [{**common, "object": None, "action": HIDDEN, "fields": {}}] if record.changed else []
    return [
        {
            **common,
            "object": {"kind": change.get("kind"), "name": change.get("name")},
            "action": change.get("action"),
            "fields": change.get("fields"),
        }
        for change in record.changes
    ]


def json_line(entry: Dict[str, Any]) -> str:
    """ASCII, so that no character of a name can end the line."""
    return json.dumps(entry, sort_keys=True, default=str)


def text_line(entry: Dict[str, Any]) -> str:
    """The same for a person to read."""
    what = entry["object"]
    named = "something" if what is None else f"{shown(what['kind'])} {shown(what['name'])}"
    fields = entry["fields"] if isinstance(entry["fields"], dict) else {}
    listed = "; ".join(_field(name, fields[name]) for name in sorted(fields))
    done = "changed, no_log hides what" if entry["action"] == HIDDEN else done_word(entry["action"])
    origin = [f"run {shown(entry['run_id'])}"]
    if entry["source"]:
        origin.append(f"source {entry['source']}")
    if entry["roster_digest"]:
        origin.append(f"roster {shown(entry['roster_digest'])[:12]}")
    start = f"{entry['time']} {shown(entry['host'])} {entry['target']}: {named} {done}"
    return f"{start}{': ' if listed else ''}{listed} ({', '.join(origin)})"


def _field(name: str, values: Any) -> str:
    if isinstance(values, list) and len(values) == 2:
        return f"{shown(name)} {_value(values[0])} -> {_value(values[1])}"
    return f"{shown(name)} changed"


def _value(value: Any) -> str:
    """Texts in quotes, so that none can look like another field."""
    return "(none)" if value is None else shown(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str))
