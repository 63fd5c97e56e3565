# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan may not exceed without being looked at first. Pure: counts in, refusals out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence


@dataclass(frozen=True)
class Limit:
    """At most ``count`` or ``percent`` of the base, whichever allows more."""

    count: int
    percent: float

    def allowed(self, base: int) -> int:
        return max(self.count, int(base * self.percent / 100))


#: Disables per run, of the accounts that the ledger owns.
DISABLES = Limit(count=3, percent=5)


def refusal(what: str, names: Sequence[str], base: int, limit: Limit) -> Optional[str]:
    """Why this many are too many, naming them, or None."""
    allowed = limit.allowed(base)
    if len(names) <= allowed:
        return None
    ordered: List[str] = sorted(names)
    shown = ", ".join(ordered[:20]) + (f" and {len(ordered) - 20} more" if len(ordered) > 20 else "")
    return (
        f"this roster would {what} {len(ordered)} of {base} owned accounts, and at most {allowed} "
        f"(the larger of {limit.count} and {limit.percent:g} %) are allowed in one run: {shown}. "
        f"Nothing was written. If the source is right, do it in steps"
    )
