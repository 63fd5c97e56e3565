# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is disabled, and who is in which group."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import FieldError
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_ber import Entry
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_disabled import MARKS, DisabledRule
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_groups import Memberships
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_values import Values, generalised_time

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAY = (NOW - datetime(1970, 1, 1, tzinfo=UTC)).days
#: 100 ns since 1601 at NOW.
TICKS = (DAY + 134774) * 864000000000


def applies(rules: list[Any], **attributes: Any) -> bool:
    given = {name.lower(): [str(value).encode() for value in values] for name, values in attributes.items()}
    return DisabledRule(rules, NOW).applies(Values(Entry("uid=a", given), {}))


#: (rule, value or None, disabled)
CASES: list[tuple[str, Any, bool]] = [
    ("userAccountControl", 512, False),
    ("userAccountControl", 514, True),
    ("userAccountControl", 66050, True),
    ("userAccountControl", 66048, False),
    ("userAccountControl", -2147483646, True),
    ("accountExpires", None, False),
    ("accountExpires", 0, False),
    ("accountExpires", 2**63 - 1, False),
    ("accountExpires", TICKS, True),
    ("accountExpires", TICKS + 10, False),
    ("accountExpires", 2**62, False),
    ("nsAccountLock", None, False),
    ("nsAccountLock", "TRUE", True),
    ("nsAccountLock", "false", False),
    ("pwdAccountLockedTime", None, False),
    ("pwdAccountLockedTime", "000001010000Z", True),
    ("pwdAccountLockedTime", "20261121000000Z", False),
    ("shadowExpire", None, False),
    ("shadowExpire", -1, False),
    ("shadowExpire", 0, True),
    ("shadowExpire", DAY, True),
    ("shadowExpire", DAY + 1, False),
    ("loginShell", None, False),
    ("loginShell", "/bin/bash", False),
    ("loginShell", "/usr/sbin/nologin", True),
    ("loginShell", "/bin/false", True),
    ("krbPrincipalExpiration", None, False),
    ("krbPrincipalExpiration", "20261121235959Z", True),
    ("krbPrincipalExpiration", "20261122000001Z", False),
]


@pytest.mark.parametrize(("mark", "value", "disabled"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_marks(mark: str, value: Any, disabled: bool) -> None:
    assert applies([mark], **({} if value is None else {mark: [value]})) is disabled
    assert applies([mark.upper()], **({} if value is None else {mark: [value]})) is disabled


def test_every_mark_has_cases() -> None:
    assert {case[0] for case in CASES} == set(MARKS)


@pytest.mark.parametrize(
    ("rule", "found", "disabled"),
    [
        ({"attribute": "employeeType", "values": ["Left", "gone"]}, ["LEFT"], True),
        ({"attribute": "employeeType", "values": ["Left"]}, ["staff"], False),
        ({"attribute": "employeeType", "values": "left"}, ["staff", "left"], True),
        ({"attribute": "employeeType", "values": 3}, ["3"], True),
        ({"attribute": "employeeType"}, ["x"], True),
        ({"attribute": "employeeType"}, [], False),
    ],
    ids=["case", "other", "one of two", "number", "present", "absent"],
)
def test_any_attribute(rule: dict[str, Any], found: list[str], disabled: bool) -> None:
    assert applies(["shadowExpire", rule], employeeType=found) is disabled


@pytest.mark.parametrize(
    ("mark", "value"),
    [
        ("userAccountControl", None),
        ("userAccountControl", "x"),
        ("accountExpires", "soon"),
        ("accountExpires", "9" * 30),
        ("shadowExpire", "1.5"),
        ("krbPrincipalExpiration", "tomorrow"),
    ],
)
def test_marks_that_can_not_be_read(mark: str, value: str | None) -> None:
    with pytest.raises(FieldError) as caught:
        applies([mark], **({} if value is None else {mark: [value]}))
    assert caught.value.field == "enabled"


@pytest.mark.parametrize(
    "rule",
    [
        "nsaccountlok",
        3,
        {},
        {"attribut": "x"},
        {"attribute": "x", "filter": "(y=z)"},
        {"filter": ""},
        {"values": ["x"]},
    ],
    ids=repr,
)
def test_rules_that_can_not_be_meant(rule: Any) -> None:
    with pytest.raises(SourceError, match="disabled"):
        DisabledRule([rule], NOW)


def test_rules_and_the_schema() -> None:
    rule = DisabledRule(["nsAccountLock", "loginShell"], NOW)
    rule.restrict(lambda name: name == "loginShell", named=False)
    assert rule.attributes() == {"loginShell"}
    with pytest.raises(SourceError, match="no attribute nsAccountLock"):
        DisabledRule(["nsAccountLock"], NOW).restrict(lambda name: False, named=True)
    assert DisabledRule([{"filter": " (a=b) "}], NOW).filters == ["(a=b)"]


@pytest.mark.parametrize("text", ["20261122011650Z", "202611220116Z", "2026112201Z", "20261122011650.5Z"])
def test_times(text: str) -> None:
    assert generalised_time(text).strftime("%Y%m%d%H") == "2026112201"


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_not(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert generalised_time(text).tzinfo is not None


def test_groups_in_groups() -> None:
    for nested, expected in ((True, {"a", "b", "c", "d"}), (False, {"a"})):
        found = Memberships(nested)
        for member, group in (("me", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("other", "d")):
            found.add(member, group)
        assert found.above("me") == expected
        assert found.above("nobody") == frozenset()


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12))))
def test_any_web_of_groups(links: list[tuple[int, int]]) -> None:
    found = Memberships(nested=True)
    for member, group in links:
        found.add(str(member), str(group))
    reached = {str(group) for member, group in links if member == 0}
    while True:
        more = reached | {str(group) for member, group in links if str(member) in reached}
        if more == reached:
            break
        reached = more
    assert found.above("0") == reached
