# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a Libre Workspace portal answers, it becomes a whole roster or a SourceError; and derived ids hold still."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._roster.derive import DEFAULT_UID_RANGE, derive_ids
from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse, serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.posix import group_problem, user_problem
from ansible_collections.identity.roster.plugins.module_utils._sources.libre_workspace import read
from tests.unit.libre_workspace import ADMINISTRATORS, BASE, HASH, PERSON, capture, reading
from tests.unit.libre_workspace import settings as portal_settings

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "root",
        "4711",
        "anna",
        "ANNA",
        "a:b",
        "\ud800",
        "a\nb",
        "10001",
        "1000001",
        HASH,
        ADMINISTRATORS,
        "x" * 40,
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=12
)
GROUPS = st.lists(
    st.fixed_dictionaries({"dn": TEXTS, "cn": TEXTS, "description": TEXTS, "gidNumber": TEXTS}) | JSON, max_size=3
)
OPTIONS = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(["source", "derive"]),
        "allow_unicode_names": st.booleans(),
        "admin_groups": st.none() | st.just([]) | st.just([ADMINISTRATORS]),
        "allow_empty": st.booleans(),
    }
)
RECORDS: list[dict[str, Any]] = json.loads(capture("02"))


@st.composite
def mutated(draw: st.DrawFn) -> list[Any]:
    """Real records, some of their fields lost or replaced, some records twice, some replaced by anything."""
    records: list[Any] = copy.deepcopy(draw(st.lists(st.sampled_from(RECORDS), max_size=6)))
    for index, record in enumerate(records):
        for key in draw(st.lists(st.sampled_from(sorted(PERSON)), max_size=3)):
            if draw(st.booleans()):
                record[key] = draw(GROUPS if key == "groups" else JSON)
            else:
                record.pop(key, None)
        if draw(st.integers(0, 9)) == 0:
            records[index] = draw(JSON)
    return records


def check(content: bytes, options: dict[str, Any]) -> None:
    given_options = dict(options)
    policy = given_options.pop("policy")
    try:
        got = read(content, BASE, portal_settings(policy, **given_options))
    except SourceError as problem:
        assert HASH not in str(problem)
        return
    roster = got.roster
    assert parse(serialise(roster)) == roster
    assert all(user_problem(user, options["allow_unicode_names"]) is None for user in roster.users)
    assert all(user.uid is not None and user.admin is not None for user in roster.users)
    assert len({user.uid for user in roster.users}) == len(roster.users)
    for group in roster.groups:
        assert group_problem(group, options["allow_unicode_names"]) is None
        assert group.gid is not None
    assert len({group.gid for group in roster.groups}) == len(roster.groups)
    # Nobody gets lost.
    people = len(roster.users) + sum(entry.kind == "user" for entry in roster.rejected)
    assert people == got.records == len(json.loads(content))
    shown = json.dumps([[entry.as_dict() for entry in roster.rejected], got.warnings, dict(got.details)])
    assert HASH not in shown


@given(JSON | st.lists(JSON, max_size=4), OPTIONS)
@example(float("inf"), {"policy": "source", "allow_unicode_names": False, "admin_groups": None, "allow_empty": True})
def test_any_json_is_a_roster_or_an_error(value: Any, options: dict[str, Any]) -> None:
    check(json.dumps(value).encode(), options)


@given(st.binary(max_size=60), OPTIONS)
def test_any_bytes_are_a_roster_or_an_error(content: bytes, options: dict[str, Any]) -> None:
    check(content, options)


@settings(max_examples=300)
@given(mutated(), OPTIONS)
def test_mutated_records_are_a_roster_or_an_error(records: list[Any], options: dict[str, Any]) -> None:
    check(json.dumps(records).encode(), options)


@given(mutated(), OPTIONS, st.randoms(use_true_random=False))
def test_the_order_never_matters(records: list[Any], options: dict[str, Any], chance: Any) -> None:
    options = {**options, "allow_empty": True}
    first = reading(records, **options)
    chance.shuffle(records)
    for record in records:
        if isinstance(record, dict) and isinstance(record.get("groups"), list):
            chance.shuffle(record["groups"])
    second = reading(records, **options)
    assert serialise(first.roster) == serialise(second.roster)
    assert (first.warnings, first.details) == (second.warnings, second.details)


@given(st.integers(0, len(RECORDS)).flatmap(lambda size: st.tuples(st.just(size), st.permutations(RECORDS))))
def test_derived_ids_stay_when_others_come_and_go(case: tuple[int, list[dict[str, Any]]]) -> None:
    size, records = case
    everybody = {user.id: user.uid for user in reading(RECORDS, "derive").roster.users}
    some = {user.id: user.uid for user in reading(records[:size], "derive", allow_empty=True).roster.users}
    assert some.items() <= everybody.items()


@given(st.sets(st.text(), max_size=50), st.integers(1, 60))
def test_derived_ids_are_distinct_and_in_their_range(keys: set[str], size: int) -> None:
    first = DEFAULT_UID_RANGE[0]
    if len(keys) > size:
        size = len(keys)
    ids = derive_ids("uid", keys, (first, first + size - 1))
    assert set(ids) == keys
    assert len(set(ids.values())) == len(keys)
    assert all(first <= number < first + size for number in ids.values())
    assert ids == derive_ids("uid", sorted(keys, reverse=True), (first, first + size - 1))
