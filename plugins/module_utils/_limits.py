# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan may not do without being looked at first: counts in, refusals out, the same for every target."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import AbstractSet, Any, Dict, List, Mapping, Optional, Sequence

from ._errors import LimitError
from ._outcome import Outcome


@dataclass(frozen=True)
class Limit:
    """At most ``count``, or ``percent`` of what there is, whichever allows more."""

    count: int
    percent: float

    def allowed(self, base: int) -> int:
        return max(self.count, int(base * self.percent / 100))


@dataclass(frozen=True)
class Found:
    """What a plan does of one class: to whom, and out of how many."""

    names: Sequence[str]
    base: int


#: Class to its limit, as long as the site sets no other.
DEFAULTS: Dict[str, Limit] = {
    "disables": Limit(3, 5),
    "removals": Limit(1, 1),
    "leavers": Limit(3, 20),
    "renames": Limit(3, 5),
    "admin_changes": Limit(3, 0),
    "member_removals": Limit(3, 20),
}
#: Class to what it is called in a refusal: "would ... 5 of 60 ...".
_WORDS: Dict[str, str] = {
    "disables": "disable {found} of {base} owned accounts",
    "removals": "remove {found} of {base} owned accounts",
    "leavers": "find {found} of {base} owned accounts' users gone from the roster",
    "renames": "rename {found} of {base} owned accounts",
    "admin_changes": "change the admin rights of {found} of {base} accounts",
    "member_removals": "take {found} of {base} memberships away",
}


def read_limits(given: Mapping[str, Any]) -> Dict[str, Limit]:
    """The defaults with a site's own numbers in them: class to a mapping of count and percent, either or both.

    Raises ValueError with what is wrong.
    """
    limits = dict(DEFAULTS)
    for name, numbers in given.items():
        if name not in limits:
            raise ValueError(f"has no class {name!r}; the classes are {', '.join(DEFAULTS)}")
        if not isinstance(numbers, Mapping) or not set(numbers) <= {"count", "percent"}:
            raise ValueError(f"of {name} is not a mapping of count and percent")
        values = {"count": limits[name].count, "percent": limits[name].percent}
        for key, number in numbers.items():
            try:
                value = float(number)
            except (TypeError, ValueError):
                raise ValueError(f"of {name}: {key} is not a number") from None
            if isinstance(number, bool) or not 0 <= value <= (100 if key == "percent" else 1e9):
                raise ValueError(f"of {name}: {key} is {number}, which is out of range")
            values[key] = value
        limits[name] = Limit(int(values["count"]), values["percent"])
    return limits


def refusals(
    found: Mapping[str, Found], limits: Mapping[str, Limit], words: Optional[Mapping[str, str]] = None
) -> List[str]:
    """For each class that is over its limit, a sentence that names who; empty when all are within.

    ``words`` holds, for classes that a target has other words for, what stands between "would" and "and the limit".
    """
    called = {**_WORDS, **(words or {})}
    sentences = []
    for name, limit in limits.items():
        of_class = found.get(name)
        if of_class is None or len(of_class.names) <= limit.allowed(of_class.base):
            continue
        ordered = sorted(of_class.names)
        what = called[name].format(found=len(ordered), base=of_class.base)
        sentences.append(
            f"it would {what}, and the limit {name} allows {limit.allowed(of_class.base)} "
            f"(the larger of {limit.count} and {limit.percent:g} %): {_first(ordered)}"
        )
    return sentences


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def check_plan(
    outcome: Outcome,
    found: Mapping[str, Found],
    limits: Mapping[str, Limit],
    approved: AbstractSet[str],
    require_approval: bool = False,
    words: Optional[Mapping[str, str]] = None,
) -> None:
    """Refuse a plan that is over a limit or, with ``require_approval``, changes anything at all, unless exactly this
    plan was approved. ``words`` as for ``refusals``.

    Raises LimitError.
    """
    sentences = refusals(found, limits, words)
    unapproved = require_approval and bool(outcome.changes)
    if not (sentences or unapproved):
        return
    digest = outcome.plan_digest()
    if digest in approved:
        return
    told = []
    if sentences:
        told.append(f"This plan goes too far: {'; '.join(sentences)}.")
    if unapproved:
        which = "is not the one that was approved" if approved else "was not approved"
        told.append(f"This plan {which}: it would {_described(outcome)}.")
    told.append(f"Nothing was written. If the source is right, approve={digest} lets exactly this plan through")
    if unapproved:
        told.append("(in a workflow, start it anew, so that this plan is shown and can be approved)")
    raise LimitError(" ".join(told), outcome)


def _described(outcome: Outcome) -> str:
    """How many of what, and who: "create 2 users, disable 1 user: anna, bert, carl"."""
    kinds = Counter((change.action, change.kind.replace("_", " ")) for change in outcome.changes)
    counts = [f"{action} {count} {kind}{'' if count == 1 else 's'}" for (action, kind), count in kinds.items()]
    names = sorted({change.name for change in outcome.changes})
    return f"{', '.join(counts)}: {_first(names)}"
