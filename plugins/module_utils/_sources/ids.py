# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose numbers the users and groups get: the source's, or numbers derived from their stable ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, Sequence, Tuple

from .._errors import SourceError
from .._roster.derive import DEFAULT_GID_RANGE, DEFAULT_UID_RANGE, derive_ids
from .._roster.posix import RESERVED_IDS
from .._roster.text import folded
from .._roster.validation import LARGEST_ID

SOURCE = "source"
DERIVE = "derive"


@dataclass(frozen=True)
class IdSettings:
    """``source`` or ``derive``, for users and for groups; the ranges, first and last id, are for ``derive``."""

    uid_policy: str = SOURCE
    gid_policy: str = SOURCE
    uid_range: Tuple[int, int] = DEFAULT_UID_RANGE
    gid_range: Tuple[int, int] = DEFAULT_GID_RANGE

    def check(self) -> None:
        """Raises SourceError when a range can't be given out, or when the two meet."""
        for option, id_range in (("uid_range", self.uid_range), ("gid_range", self.gid_range)):
            _check_range(option, id_range)
        # A user's private group takes the uid as its gid.
        if self.uid_range[0] <= self.gid_range[1] and self.gid_range[0] <= self.uid_range[1]:
            raise SourceError("uid_range and gid_range overlap: give ranges that share no id")

    def uids(self, keys: Iterable[str]) -> Dict[str, int]:
        """A derived uid for each stable id."""
        return _derived("uid", keys, "uid_range", self.uid_range)

    def gids(self, names: Iterable[str]) -> Dict[str, int]:
        """A derived gid for each name in its folded form."""
        return _derived("gid", {folded(name) for name in names}, "gid_range", self.gid_range)


def _check_range(option: str, id_range: Sequence[int]) -> None:
    if len(id_range) != 2:
        raise SourceError(f"{option} needs two numbers, the first and the last id")
    first, last = id_range
    if first > last:
        raise SourceError(f"{option} begins with {first}, which is greater than its end, {last}")
    if first < 0 or last >= LARGEST_ID:
        raise SourceError(f"{option} {first} to {last} lies outside 0 to {LARGEST_ID - 1}")
    for reserved_first, reserved_last, whose in RESERVED_IDS:
        if first <= reserved_last and reserved_first <= last:
            raise SourceError(f"{option} {first} to {last} includes ids that are reserved for {whose}")


def _derived(kind: str, keys: Iterable[str], option: str, id_range: Tuple[int, int]) -> Dict[str, int]:
    try:
        return derive_ids(kind, keys, id_range)
    except ValueError as problem:
        raise SourceError(f"{option} is too small: {problem}") from None
