# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free ids: as useradd gives them, and never one that somebody could become."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._linux.ids import Ids, SubordinateRanges
from ansible_collections.identity.roster.plugins.module_utils._linux.settings import Settings, SubordinateIds
from ansible_collections.identity.roster.plugins.module_utils._linux.tables import Accounts, Table


def accounts(
    uids: dict[str, int | str] | None = None,
    gids: dict[str, int | str] | None = None,
    subuid: str | None = None,
    subgid: str | None = None,
) -> Accounts:
    passwd = "".join(f"{name}:x:{uid}:100::/:/bin/sh\n" for name, uid in (uids or {}).items())
    group = "".join(f"{name}:x:{gid}:\n" for name, gid in (gids or {}).items())
    return Accounts(
        passwd=Table(passwd.encode(), 7),
        group=Table(group.encode(), 4),
        shadow=Table(b"", 9),
        subuid=None if subuid is None else Table(subuid.encode(), 3),
        subgid=None if subgid is None else Table(subgid.encode(), 3),
    )


def ids(held: Accounts, settings: Settings | None = None, uids: Iterable[int] = (), gids: Iterable[int] = ()) -> Ids:
    return Ids(held, settings or Settings(), uids, gids)


@pytest.mark.parametrize("number", [0, 999, 60001, 60577, 61184, 65519, 65534, 65535, 2**31, 2**32 - 1])
def test_reserved_ids(number: int) -> None:
    assert "reserved" in (ids(accounts()).uid_problem(number) or "")
    assert "reserved" in (ids(accounts()).gid_problem(number) or "")


def test_ids_in_use() -> None:
    found = ids(accounts({"anna": 2000, "odd": "+2001"}, {"crew": 3000}))
    assert found.uid_problem(2000) == "uid 2000 belongs to the account 'anna' of this host"
    assert found.uid_problem(2001) == "uid 2001 belongs to the account 'odd' of this host"
    assert found.gid_problem(3000) == "gid 3000 belongs to the group 'crew' of this host"
    assert found.uid_problem(3000) is None and found.gid_problem(2000) is None


def test_ids_of_lines_that_only_the_c_library_reads_are_in_use() -> None:
    held = accounts()
    held.passwd = Table(b"short:x:2000:100\n blank:x:2001:100::/:/bin/sh\nlong:x:2002:100::/:/bin/sh:more\n", 7)
    held.group = Table(b"short:x:3000\n", 4)
    found = ids(held)
    assert [found.uid_problem(uid) is None for uid in (2000, 2001, 2002, 2003)] == [False, False, False, True]
    assert found.gid_problem(3000)


def test_ids_inside_subordinate_ranges() -> None:
    found = ids(accounts(subuid="a:100000:65536\nb:50000:1000000\nc:7:0\nx:y:z\n", subgid="1000:200000:10\n"))
    for uid, owner in ((49999, None), (50000, "b"), (100000, "b"), (165536, "b"), (1049999, "b"), (1050000, None)):
        assert (f"to {owner!r}" in (found.uid_problem(uid) or "")) == (owner is not None), uid
    assert found.gid_problem(200009) and not found.gid_problem(200010) and not found.gid_problem(100000)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12), st.integers(0, 90))
def test_range_search(ranges: list[tuple[int, int]], wanted: int) -> None:
    text = "".join(f"o:{first}:{count}\n" for first, count in ranges)
    holder = SubordinateRanges(Table(text.encode(), 3)).holder(wanted)
    inside = [(first, count) for first, count in ranges if first <= wanted < first + count]
    assert (holder is not None) == bool(inside)
    if holder:
        assert holder[0] == max(first + count - 1 for first, count in inside)


@pytest.mark.parametrize(
    ("uids", "settings", "expected"),
    [
        ({}, Settings(), [1000, 1001]),
        ({"a": 1500, "n": 65534, "s": 3}, Settings(), [1501, 1502]),
        ({"a": 60000}, Settings(), [1000, 1001]),
        ({"a": 60000, "b": 1000}, Settings(), [1001, 1002]),
        ({"a": 1001}, Settings(uid_min=1000, uid_max=1002), [1002, 1000, None, None]),
        ({}, Settings(uid_min=1000, uid_max=1000), [1000, None]),
        ({}, Settings(uid_min=5, uid_max=1001), [1000, 1001, None]),
        ({}, Settings(uid_min=2000, uid_max=1000), [None]),
        ({"a": 60000}, Settings(uid_max=60579), [1000]),
        ({"a": 524287}, Settings(uid_max=4294967295), [1879048192]),
        ({"a": 65519}, Settings(uid_min=60001, uid_max=65535), [None]),
    ],
)
def test_new_uids_as_useradd(uids: dict[str, int | str], settings: Settings, expected: list[int | None]) -> None:
    found = ids(accounts(uids), settings)
    assert [found.new_uid() for _unused in expected] == expected


def test_new_ids_keep_clear_of_what_is_wanted_elsewhere() -> None:
    settings = Settings(uid_min=1000, uid_max=1010, gid_min=1000, gid_max=1010)
    found = ids(accounts({"a": 1000}, {"g": 1002}), settings, {1001, 1005}, {1003})
    gids = [found.new_gid() for _unused in range(8)]
    assert gids == [1006, 1007, 1008, 1009, 1010, 1004, None, None]
    # 100 is everybody's primary group here, and no account's private gid may be taken twice.
    assert not found.gid_is_free(1006) and not found.gid_is_free(1003)


def test_new_uid_never_lies_in_a_subordinate_range() -> None:
    found = ids(accounts({}, subuid="a:1000:5\nb:1004:10\n"))
    assert found.new_uid() == 1014


@pytest.mark.parametrize(
    ("ranges", "taken", "settings", "expected"),
    [
        ("", {}, SubordinateIds(), [100000, 165536]),
        ("a:100000:65536\n", {}, SubordinateIds(), [165536]),
        # The lowest gap that is large enough, as useradd: LXD's range for root must not end the supply.
        ("root:1000000:1000000000\n", {}, SubordinateIds(), [100000, 165536]),
        ("a:165536:65536\n", {}, SubordinateIds(), [100000, 231072]),
        ("a:150000:65536\n", {}, SubordinateIds(), [215536]),
        ("a:90000:20000\n", {}, SubordinateIds(), [110000]),
        ("a:90000:200000\nb:100000:5\n", {}, SubordinateIds(), [290000]),
        # Ids of accounts and groups are never inside a new range.
        ("", {"anna": 120000}, SubordinateIds(), [120001, 185537]),
        ("", {"anna": 165536}, SubordinateIds(), [100000, 165537]),
        ("", {"anna": 99999}, SubordinateIds(), [100000]),
        ("", {}, SubordinateIds(first=100000, last=165535), [100000, None, None]),
        ("", {}, SubordinateIds(first=100000, last=165534), [None]),
        ("", {"anna": 100010}, SubordinateIds(first=100000, last=100020, count=10), [100000, 100011, None]),
        ("", {}, SubordinateIds(first=500, last=400), [None]),
    ],
)
def test_new_subordinate_ranges(
    ranges: str, taken: dict[str, int | str], settings: SubordinateIds, expected: list[int | None]
) -> None:
    found = ids(accounts(taken, subuid=ranges, subgid=ranges), replace(Settings(), subuid=settings, subgid=settings))
    for kind in ("subuid", "subgid"):
        assert [found.new_sub_range(kind) for _unused in expected] == expected


def test_wanted_ids_are_not_in_new_ranges() -> None:
    found = ids(accounts(subuid=""), Settings(), {100000}, {100005})
    assert found.new_sub_range("subuid") == 100006


def test_uids_and_ranges_given_in_one_run_do_not_meet() -> None:
    span = SubordinateIds(first=1000, last=100000, count=50)
    found = ids(accounts(subuid=""), Settings(uid_min=1000, uid_max=100000, subuid=span))
    uids, spans = [], []
    for _unused in range(200):
        uid, first = found.new_uid(), found.new_sub_range("subuid")
        assert uid is not None and first is not None
        uids.append(uid)
        spans.append(first)
    inside = {identifier for first in spans for identifier in range(first, first + 50)}
    assert not inside & set(uids) and len(inside) == 200 * 50 and len(set(uids)) == 200


@pytest.mark.parametrize("exhausted", [False, True])
def test_many_ids_take_linear_time(exhausted: bool) -> None:
    held = accounts({f"u{number}": 1000 + number for number in range(20000)}, {}, subuid="", subgid="")
    settings = Settings(uid_max=21500 if exhausted else 60000, gid_max=21500 if exhausted else 60000)
    started = time.process_time()
    found = ids(held, settings)
    for _unused in range(10000):
        found.new_uid()
        found.new_gid()
        found.new_sub_range("subuid")
        found.new_sub_range("subgid")
    # A union of the two sets for every gid took half a minute, a scan of a full range for every uid several.
    assert time.process_time() - started < 5
