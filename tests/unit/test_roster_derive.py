# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids made from stable ids: distinct, inside their range, and the same wherever and in whatever order they are made."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.derive import (
    DEFAULT_GID_RANGE,
    DEFAULT_UID_RANGE,
    derive_ids,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.posix import (
    CONTAINER_IDS,
    RESERVED_IDS,
    id_problem,
)

from .roster_strategies import anything

keys = st.sets(anything, max_size=30)
ranges = st.tuples(st.integers(0, 2**32), st.integers(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))

#: Never change these. Another number for the same person is another owner of all files on every host.
KNOWN: dict[tuple[str, tuple[int, int]], dict[str, int]] = {
    ("uid", DEFAULT_UID_RANGE): {
        "": 1940385074,
        "6c28fd24c2d4ab41acb8019461791a96": 1990528007,
        "anna": 1953361846,
        "jürgen": 1962057503,
        "\ud800": 1970294193,
    },
    ("gid", DEFAULT_GID_RANGE): {"mitarbeiter": 2052701029, "projekt grösse (2)": 2091008918, "anna": 2101325012},
    ("uid", (20000, 29999)): {"anna": 28710, "berta": 23258, "carl": 23307},
}


@pytest.mark.parametrize(("kind", "id_range"), KNOWN)
def test_the_ids_that_hosts_have_already(kind: str, id_range: tuple[int, int]) -> None:
    expected = KNOWN[kind, id_range]
    assert derive_ids(kind, expected, id_range) == expected
    for key, number in expected.items():
        assert derive_ids(kind, [key], id_range) == {key: number}


def test_the_rule_in_other_words() -> None:
    first, last = DEFAULT_UID_RANGE
    drawn = int(hashlib.sha256(b"uid\x00anna\x000").hexdigest()[:32], 16) % (last - first + 1)
    assert derive_ids("uid", ["anna"], DEFAULT_UID_RANGE) == {"anna": first + drawn}


def test_when_two_keys_meet_the_first_keeps_its_place() -> None:
    alone = {key: derive_ids("uid", [key], (0, 9))[key] for key in "abcdefgh"}
    meeting = next((one, two) for one in alone for two in alone if one < two and alone[one] == alone[two])
    together = derive_ids("uid", meeting, (0, 9))
    assert together[meeting[0]] == alone[meeting[0]]
    assert together[meeting[1]] != alone[meeting[1]]
    assert derive_ids("uid", reversed(meeting), (0, 9)) == together


def test_the_known_collision() -> None:
    """Written down as well: what the second key gets."""
    numbers = derive_ids("uid", "abcdefghij", (1000, 1009))
    assert "".join(str(numbers[key] - 1000) for key in "abcdefghij") == "4723810965"


@given(st.sampled_from(("uid", "gid")), keys, ranges)
def test_distinct_and_inside(kind: str, wanted: set[str], id_range: tuple[int, int]) -> None:
    first, last = id_range
    if len(wanted) > last - first + 1:
        with pytest.raises(ValueError, match=f"{last - first + 1} ids, and {len(wanted)} are needed"):
            derive_ids(kind, wanted, id_range)
        return
    numbers = derive_ids(kind, wanted, id_range)
    assert set(numbers) == wanted
    assert len(set(numbers.values())) == len(wanted)
    assert all(first <= number <= last for number in numbers.values())


@given(st.lists(anything, max_size=20))
def test_the_order_and_repetition_of_keys_do_not_matter(wanted: list[str]) -> None:
    turned = list(reversed(wanted)) + wanted[:3]
    assert derive_ids("uid", turned, (1000, 1030)) == derive_ids("uid", wanted, (1000, 1030))


@given(keys, anything)
def test_a_key_that_sorts_last_moves_nobody(wanted: set[str], newcomer: str) -> None:
    before = {key for key in wanted if key < newcomer}
    old = derive_ids("uid", before, (1000, 1040))
    new = derive_ids("uid", before | {newcomer}, (1000, 1040))
    assert {key: new[key] for key in before} == old


@given(keys)
def test_users_and_groups_draw_apart(wanted: set[str]) -> None:
    uids, gids = derive_ids("uid", wanted, DEFAULT_UID_RANGE), derive_ids("gid", wanted, DEFAULT_GID_RANGE)
    assert not set(uids.values()) & set(gids.values())


def test_the_known_ids_of_a_full_range() -> None:
    """Here many draw again and again, and the last ones walk to the next free place."""
    numbers = derive_ids("uid", map(str, range(5000)), (1000, 5999))
    line = ",".join(str(numbers[str(key)]) for key in range(5000))
    known = "705935d85ccac23d4d1be71e5780184e060d294aea8f21696b68642152ab45f5"
    assert hashlib.sha256(line.encode()).hexdigest() == known


@pytest.mark.parametrize("size", [1, 2, 17, 5000])
def test_a_range_can_be_full(size: int) -> None:
    numbers = derive_ids("uid", map(str, range(size)), (1000, 999 + size))
    assert sorted(numbers.values()) == list(range(1000, 1000 + size))
    with pytest.raises(ValueError, match=f"1000 to {999 + size} holds {size} ids, and {size + 1} are needed"):
        derive_ids("uid", map(str, range(size + 1)), (1000, 999 + size))


def test_a_range_that_ends_before_it_begins_holds_nothing() -> None:
    with pytest.raises(ValueError, match="are needed"):
        derive_ids("uid", ["anna"], (1001, 1000))
    assert derive_ids("uid", [], (1001, 1000)) == {}


@pytest.mark.parametrize("id_range", [DEFAULT_UID_RANGE, DEFAULT_GID_RANGE])
def test_the_default_ranges_belong_to_nobody_else(id_range: tuple[int, int]) -> None:
    first, last = id_range
    for reserved_first, reserved_last in [*((low, high) for low, high, _whose in RESERVED_IDS), CONTAINER_IDS]:
        assert last < reserved_first or reserved_last < first
    assert id_problem(first) is None and id_problem(last) is None
    # Room enough that ten thousand people hardly ever meet: one pair in the whole range is to be expected.
    assert last - first + 1 >= 2**27 - 2**18


def test_the_default_ranges_do_not_meet() -> None:
    assert DEFAULT_UID_RANGE[1] < DEFAULT_GID_RANGE[0]
