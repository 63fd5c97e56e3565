# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target answers: the same keys on every path, a diff that a person can read, and no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._limits import DISABLES, Limit, refusal
from ansible_collections.identity.roster.plugins.module_utils._outcome import (
    CHANGED,
    SUMMARY,
    Change,
    Failure,
    Outcome,
    render_diff,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, User

from .linux_hosts import HASH

KEYS = {"changed", "summary", "changes", "rejected", "failures", "pending", "plan_digest", "roster_digest", "diff"}
CHANGES = [
    Change("user", "anna", "disable", {"enabled": (True, False), "admin": (True, False)}),
    Change("group", "team", "create", {"gid": (None, 6000)}),
    Change("user", "bert", "create", {"uid": (None, 5001), "password_hash": CHANGED, "groups": (None, ["a", "b"])}),
    Change("user", "carl", "update", {"full_name": ("Karl", "Carl"), "password_hash": CHANGED, "groups": (["a"], [])}),
    Change("user", "dora", "adopt", {}),
    Change("user", "emil", "remove", {"uid": (5005, None)}),
    Change("user", "fred", "enable", {"enabled": (False, True)}),
]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(),
        Outcome(changes=CHANGES),
        Outcome(roster_digest="d", pending=["b", "a"], unchanged=3, warnings=["w"]),
        Outcome(rejected=[Rejected("user", "uid", "is bad", id="1")], failed=[Failure("user", "x", "why")]),
    ],
)
def test_the_same_keys_on_every_path(outcome: Outcome) -> None:
    result = outcome.as_result()
    assert set(result) == KEYS and set(result["summary"]) == set(SUMMARY)
    assert result["changed"] == bool(outcome.changes)
    assert json.loads(json.dumps(result)) == result, "not plain JSON"


def test_summary() -> None:
    outcome = Outcome(changes=CHANGES, unchanged=4, pending=["a"], failed=[Failure("user", "x", "why")] * 2)
    assert outcome.summary() == {
        "created": 1,
        "updated": 2,
        "enabled": 1,
        "disabled": 1,
        "removed": 1,
        "unchanged": 4,
        "rejected": 0,
        "failed": 2,
        "pending": 1,
    }


def test_the_diff() -> None:
    assert render_diff(CHANGES) == {
        "before": (
            "user anna: admin yes\n"
            "user anna: enabled yes\n"
            "user carl: full_name Karl\n"
            "user carl: groups a\n"
            "user dora: not ours\n"
            "user emil: uid 5005\n"
            "user fred: enabled no\n"
        ),
        "after": (
            "user anna: admin no\n"
            "user anna: enabled no\n"
            "group team: gid 6000\n"
            "user bert: groups a, b; password_hash set; uid 5001\n"
            "user carl: full_name Carl\n"
            "user carl: groups (none)\n"
            "user carl: password_hash changed\n"
            "user dora: adopted\n"
            "user fred: enabled yes\n"
        ),
    }
    assert render_diff([]) == {"before": "", "after": ""}


@pytest.mark.parametrize("action", ["create", "adopt", "update", "enable", "disable", "remove"])
def test_no_secret_in_any_output(action: str) -> None:
    outcome = Outcome(changes=[Change("user", "anna", action, {"password_hash": CHANGED})])
    result = outcome.as_result()
    assert result["changes"][0]["fields"] == {"password_hash": ["changed"]}
    assert "$" not in repr(result)
    assert HASH not in repr(User(id="1", password_hash=HASH))


@pytest.mark.parametrize(
    "other",
    [
        Outcome(roster_digest="other", changes=CHANGES),
        Outcome(roster_digest="d", changes=CHANGES[:-1]),
        Outcome(
            roster_digest="d", changes=[*CHANGES[:-1], Change("user", "fred", "enable", {"enabled": (False, None)})]
        ),
    ],
)
def test_the_digest_is_of_this_plan_of_this_roster(other: Outcome) -> None:
    plan = Outcome(roster_digest="d", changes=CHANGES)
    assert plan.plan_digest() == Outcome(roster_digest="d", changes=list(CHANGES), unchanged=9).plan_digest()
    assert plan.plan_digest() != other.plan_digest()


@pytest.mark.parametrize("value", ["ä", "\udcfc", "\x1b", 5, None, ["a"], True])
def test_odd_values_have_a_digest_and_a_diff(value: Any) -> None:
    outcome = Outcome(changes=[Change("user", "anna", "update", {"x": (value, "y")})])
    assert len(outcome.as_result()["plan_digest"]) == 64


@pytest.mark.parametrize(
    ("count", "base", "refused"),
    [
        (0, 0, False),
        (3, 3, False),
        (3, 0, False),
        (4, 4, True),
        (4, 79, True),
        (4, 80, False),
        (5, 100, False),
        (6, 119, True),
        (6, 120, False),
    ],
)
def test_limits(count: int, base: int, refused: bool) -> None:
    names = [f"u{number}" for number in range(count)]
    words = refusal("disable", names, base, DISABLES)
    assert (words is not None) == refused
    if words:
        assert all(name in words for name in names) and f"{count} of {base}" in words and "Nothing was written" in words


def test_a_long_list_is_cut() -> None:
    words = refusal("remove", [f"u{number:03d}" for number in range(50)], 50, Limit(1, 0.5)) or ""
    assert "u019 and 30 more" in words and "u020" not in words and "0.5 %" in words
