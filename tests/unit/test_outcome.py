# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target answers: the same keys on every path, a diff that a person can read, and no secret."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import LimitError
from ansible_collections.identity.roster.plugins.module_utils._limits import (
    DEFAULTS,
    Found,
    Limit,
    check_plan,
    read_limits,
    refusals,
)
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
    assert render_diff([change.as_dict() for change in CHANGES]) == {
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
        Outcome(roster_digest="d", changes=CHANGES, unshown={"target": "https://other.example"}),
    ],
)
def test_the_digest_is_of_this_plan_of_this_roster(other: Outcome) -> None:
    plan = Outcome(roster_digest="d", changes=CHANGES)
    assert plan.plan_digest() == Outcome(roster_digest="d", changes=list(CHANGES), unchanged=9).plan_digest()
    assert plan.plan_digest() != other.plan_digest()


def test_nothing_is_the_same_plan_everywhere() -> None:
    assert Outcome(roster_digest="d").plan_digest() == Outcome(roster_digest="d", unshown={"target": "x"}).plan_digest()


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
    words = refusals({"disables": Found(names, base)}, DEFAULTS)
    assert bool(words) == refused
    if words:
        assert all(name in words[0] for name in names) and f"disable {count} of {base} owned" in words[0]


def test_a_long_list_is_cut() -> None:
    found = Found([f"u{number:03d}" for number in range(50)], 50)
    words = refusals({"removals": found}, {"removals": Limit(1, 0.5)})[0]
    assert "u019 and 30 more" in words and "u020" not in words and "0.5 %" in words


def test_each_class_has_its_own_limit() -> None:
    five = Found(["a", "b", "c", "d", "e"], 25)
    words = refusals(dict.fromkeys(DEFAULTS, five), DEFAULTS)
    assert [sentence.split(",")[0] for sentence in words] == [
        "it would disable 5 of 25 owned accounts",
        "it would remove 5 of 25 owned accounts",
        "it would rename 5 of 25 owned accounts",
        "it would change the admin rights of 5 of 25 accounts",
    ]
    assert refusals({}, DEFAULTS) == []
    assert refusals({"disables": Found(["a"], 1000)}, {"disables": Limit(0, 0)}) != []


TOO_MANY = {"disables": Found(["anna", "bert", "carl", "dora"], 4)}


@pytest.mark.parametrize("changes", [[], CHANGES], ids=["empty", "changes"])
@pytest.mark.parametrize("found", [{}, TOO_MANY], ids=["within", "beyond"])
@pytest.mark.parametrize("required", [False, True], ids=["free", "required"])
@pytest.mark.parametrize("approved", ["none", "this", "another"])
def test_a_plan_needs_approval(changes: list[Change], found: dict[str, Found], required: bool, approved: str) -> None:
    """Refused are plans beyond a limit and, where approval is required, all that change something; but for this one."""
    outcome = Outcome(roster_digest="d", changes=changes)
    digest = outcome.plan_digest()
    let_through = {"none": set(), "this": {digest, "x"}, "another": {"x"}}[approved]
    unapproved = required and bool(changes)
    if approved == "this" or not (found or unapproved):
        check_plan(outcome, found, DEFAULTS, let_through, required)
        return
    with pytest.raises(LimitError) as refused:
        check_plan(outcome, found, DEFAULTS, let_through, required)
    words = str(refused.value)
    assert refused.value.outcome is outcome
    assert ("This plan goes too far: it would disable 4 of 4" in words) == bool(found)
    said = "was not approved" if approved == "none" else "is not the one that was approved"
    counts = "disable 1 user, create 1 group, create 1 user, update 1 user, adopt 1 user, remove 1 user, enable 1 user"
    who = "anna, bert, carl, dora, emil, fred, team"
    assert (f"This plan {said}: it would {counts}: {who}. " in words) == unapproved
    assert ("start it anew" in words) == unapproved
    assert f"Nothing was written. If the source is right, approve={digest} lets exactly this plan through" in words
    assert "canary" not in words


def test_an_approval_that_is_missing_names_twenty() -> None:
    changes = [Change("sudo_rule", f"u{number:03d}", "create", {}) for number in range(50)]
    with pytest.raises(LimitError) as refused:
        check_plan(Outcome(changes=changes), {}, DEFAULTS, frozenset(), require_approval=True)
    words = str(refused.value)
    assert "create 50 sudo rules: u000," in words and "u019 and 30 more." in words and "u020" not in words


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Limit(3, 5)),
        ({"disables": {"count": 10}}, Limit(10, 5)),
        ({"disables": {"percent": 0.5}}, Limit(3, 0.5)),
        ({"disables": {"count": "0", "percent": "0"}}, Limit(0, 0)),
        ({"removals": {"count": 9}}, Limit(3, 5)),
        ({"disable": {"count": 1}}, "has no class 'disable'"),
        ({"disables": 4}, "of disables is not a mapping"),
        ({"disables": {"counts": 4}}, "of disables is not a mapping"),
        ({"disables": {"count": "many"}}, "of disables: count is not a number"),
        ({"disables": {"count": True}}, "of disables: count is True"),
        ({"disables": {"count": -1}}, "of disables: count is -1"),
        ({"disables": {"percent": 101}}, "of disables: percent is 101"),
        ({"disables": {"percent": "nan"}}, "of disables: percent is nan"),
    ],
)
def test_a_sites_own_limits(given: dict[str, Any], expected: Limit | str) -> None:
    if isinstance(expected, Limit):
        assert read_limits(given)["disables"] == expected
        return
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        read_limits(given)


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000])
def test_a_digest_made_in_parts_is_that_of_the_whole_text(count: int) -> None:
    changes = [Change("user", f"ä{number}", "update", {"b": (None, number), "a": CHANGED}) for number in range(count)]
    outcome = Outcome(changes, roster_digest="d", unshown={"target": "x"})
    unshown = {"target": "x"} if count else {}
    plan = {"changes": [change.as_dict() for change in changes], "roster": "d", "unshown": unshown}
    whole = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert outcome.plan_digest() == hashlib.sha256(whole.encode()).hexdigest() == outcome.as_result()["plan_digest"]
