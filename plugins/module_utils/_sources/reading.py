# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every source hands over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Tuple

from .._roster.model import Roster


@dataclass(frozen=True)
class Reading:
    """One complete answer of a source. Nothing in it but ``roster`` may hold a secret.

    ``records`` counts the people that the source listed, usable or not; ``warnings`` are sentences for the operator;
    ``details`` are return values that only this kind of source has.
    """

    roster: Roster
    records: int
    warnings: Tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
