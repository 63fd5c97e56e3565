# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids made from stable ids: the same on every host, without a register, for sources that have none of their own."""

from __future__ import annotations

import hashlib
from typing import Dict, Iterable, Tuple

#: 1879048192 to 2147352575 belongs to nobody in systemd's list of id ranges: it lies between the ids of containers and
#: those of foreign disk images. The first half is for users (and their private groups, which take the same number), the
#: second for groups, so that the two never meet.
DEFAULT_UID_RANGE = (1879048192, 2013265919)
DEFAULT_GID_RANGE = (2013265920, 2147352575)


def derive_ids(kind: str, keys: Iterable[str], id_range: Tuple[int, int]) -> Dict[str, int]:
    """An id for each key, inside ``id_range`` (first and last, both included).

    A key's id depends on that key alone unless two keys meet; then the key that sorts first keeps the place and the
    other draws again. Raises ValueError when the range holds fewer ids than there are keys.
    """
    first, last = id_range
    size = last - first + 1
    ordered = sorted(set(keys))
    if len(ordered) > size:
        raise ValueError(f"{first} to {last} holds {size} ids, and {len(ordered)} are needed")
    taken: Dict[int, str] = {}
    for key in ordered:
        attempt = 0
        number = _draw(kind, key, attempt, first, size)
        while number in taken:
            attempt += 1
            # Drawing again scatters; past that, a nearly full range is walked so that the search always ends.
            number = _draw(kind, key, attempt, first, size) if attempt < 64 else first + (number - first + 1) % size
        taken[number] = key
    return {key: number for number, key in taken.items()}


def _draw(kind: str, key: str, attempt: int, first: int, size: int) -> int:
    seed = f"{kind}\0{key}\0{attempt}".encode("utf-8", "surrogatepass")
    return first + int.from_bytes(hashlib.sha256(seed).digest()[:16], "big") % size
