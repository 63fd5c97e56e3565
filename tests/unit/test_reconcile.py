# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of each account of a service: the plan of typed steps, and who is never touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS, refusals
from ansible_collections.identity.roster.plugins.module_utils._pairing import Account
from ansible_collections.identity.roster.plugins.module_utils._reconcile import (
    ORDER,
    Difference,
    Plan,
    Policy,
    reconcile,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster, User

from .test_pairing import KEYS, account, keys_of, user


def compare(each: User, found: Account | None) -> Difference:
    if each.full_name == "bad":
        return Difference(problem=("full_name", "is bad"))
    old = found.data if found else None
    return Difference({"name": (old, each.full_name)} if each.full_name not in (None, old) else {})


def plan(
    users: list[User],
    accounts: list[Account],
    owned: dict[str, str] | None = None,
    disabled: frozenset[str] = frozenset(),
    rejected: tuple[Rejected, ...] = (),
    **policy: Any,
) -> Plan:
    roster = Roster({}, tuple(users), (), rejected)
    return reconcile(roster, accounts, owned or {}, disabled, Policy(KEYS, **policy), keys_of, compare)


def steps(made: Plan) -> list[tuple[str, str]]:
    return [(step.action, step.name) for step in made.steps]


ANNA = user("1", "anna@x", full_name="Anna")
ACTIVE, BANNED = account("A", "anna@x", data="Anna"), account("A", "anna@x", data="Anna", active=False)
OLD, OLD_BANNED = account("A", "anna@x", data="Old"), account("A", "anna@x", data="Old", active=False)


@pytest.mark.parametrize(
    ("enabled", "found", "ours", "policy", "expected"),
    [
        pytest.param(None, None, False, {}, "create", id="new"),
        pytest.param(True, ACTIVE, False, {}, "unchanged", id="right"),
        pytest.param(None, OLD, False, {}, "update", id="differs"),
        pytest.param(False, None, False, {}, "unchanged", id="disabled-and-new"),
        pytest.param(False, OLD, False, {}, "disable", id="disabled"),
        pytest.param(False, OLD, False, {"disable": False}, "unchanged", id="disabled-but-ignored"),
        pytest.param(False, OLD_BANNED, False, {}, "unchanged", id="disabled-already"),
        pytest.param(None, OLD_BANNED, True, {}, "enable", id="we-banned"),
        pytest.param(True, BANNED, True, {}, "enable", id="we-banned-and-right"),
        pytest.param(True, OLD_BANNED, False, {}, "rejected", id="an-administrator-banned"),
        pytest.param(True, OLD_BANNED, False, {"enable": "all"}, "enable", id="an-administrator-banned-all"),
        pytest.param(True, OLD_BANNED, True, {"enable": "never"}, "rejected", id="never"),
        pytest.param(None, OLD, False, {"protected": frozenset({"anna@x"})}, "rejected", id="protected"),
        pytest.param(None, None, False, {"protected": frozenset({"1"})}, "rejected", id="protected-and-new"),
        pytest.param(False, OLD, False, {"protected": frozenset({"a"})}, "rejected", id="protected-by-id"),
    ],
)  # fmt: skip
def test_a_user_of_the_roster(
    enabled: bool | None, found: Account | None, ours: bool, policy: dict[str, Any], expected: str
) -> None:
    made = plan(
        [user("1", "anna@x", full_name="Anna", enabled=enabled)],
        [found] if found else [],
        {"1": "A"} if ours else {},
        frozenset({"1"} if ours else ()),
        **policy,
    )
    assert [step.action for step in made.steps] == ([expected] if expected in ORDER else [])
    assert made.unchanged == (expected == "unchanged")
    assert len(made.rejected) == (expected == "rejected")
    if expected == "enable":
        assert made.steps[0].fields["enabled"] == (False, True)


@pytest.mark.parametrize(
    ("found", "policy", "expected"),
    [
        pytest.param(account("A", "gone@x"), {}, [("disable", "gone@x")], id="owned"),
        pytest.param(account("A", "gone@x", active=False), {}, [], id="already"),
        pytest.param(account("A", "gone@x"), {"missing": "ignore"}, [], id="ignored"),
        pytest.param(account("A", "gone@x"), {"missing": "remove"}, [("remove", "gone@x")], id="removed"),
        pytest.param(
            account("A", "gone@x", active=False), {"missing": "remove"}, [("remove", "gone@x")], id="banned-first"
        ),
        pytest.param(account("A", "gone@x"), {"protected": frozenset({"gone@x"})}, [], id="protected"),
        pytest.param(account("L", "local@x"), {}, [], id="stranger"),
        pytest.param(account("L", "local@x"), {"missing": "remove"}, [], id="stranger-not-removed"),
        pytest.param(account("L", "local@x"), {"everybody": True}, [("disable", "local@x")], id="everybody"),
        pytest.param(
            account("L", "local@x"), {"everybody": True, "protected": frozenset({"l"})}, [], id="but-protected"
        ),
    ],
)  # fmt: skip
def test_an_account_that_the_roster_does_not_know(
    found: Account, policy: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    made = plan([ANNA], [account("B", "anna@x", data="Anna"), found], {"9": "A", "1": "B"}, **policy)
    assert steps(made) == expected
    assert made.unchanged == 1


def test_a_rejected_or_failed_record_keeps_its_account() -> None:
    accounts = [account("A", "a@x"), account("B", "b@x"), account("C", "c@x"), account("D", "C@x")]
    owned = {"a": "A", "b": "B", "c": "C"}
    rejected = (Rejected("user", "uid", "is odd", id="a"),)
    made = plan([user("b", "b@x", full_name="bad"), user("c2", "c@x")], accounts, owned, rejected=rejected)
    assert steps(made) == []
    assert {entry.id for entry in made.rejected} == {"a", "b"}
    assert [failure.name for failure in made.failures] == ["c@x"]


@pytest.mark.parametrize(
    ("rejected", "held", "words"),
    [
        (Rejected("user", "x", "y", record="line 8"), {"a@x", "l@x"}, "line 8 of the source has neither id nor name"),
        (
            Rejected("user", "x", "y", name="zz"),
            {"a@x", "l@x"},
            "the record zz of the source has no id, and no account",
        ),
        (Rejected("user", "x", "y", id="zz"), {"l@x"}, "1 accounts that are not ours"),
        (Rejected("group", "x", "y", name="zz"), set(), ""),
    ],
    ids=["nameless", "name_of_no_account", "unknown", "group"],
)
def test_who_may_be_a_rejected_record_is_held_back(rejected: Rejected, held: set[str], words: str) -> None:
    accounts = [account("A", "a@x"), account("L", "l@x")]
    made = plan([], accounts, {"a": "A"}, rejected=(rejected,), everybody=True)
    assert {name for _action, name in steps(made)} == {"a@x", "l@x"} - held
    assert any(words in warning for warning in made.warnings) == bool(held)


def test_order_and_what_the_limits_see() -> None:
    users = [ANNA, user("2", "new@x", full_name="New"), user("3", "off@x", enabled=False)]
    accounts = [OLD, account("C", "off@x"), *(account(f"G{number}", f"gone{number}@x") for number in range(5))]
    owned = {"1": "A", "3": "C", **{f"g{number}": f"G{number}" for number in range(5)}}
    made = plan(users, accounts, owned)
    assert [step.action for step in made.steps] == ["disable"] * 6 + ["update", "create"]
    words = refusals(made.found, DEFAULTS, {"disables": "ban {found} of {base}"})
    assert [sentence.split(",")[0] for sentence in words] == [
        "it would ban 6 of 7",
        "it would find 5 of 7 owned accounts' users gone from the roster",
    ]
    assert refusals(plan(users, accounts, owned, missing="remove").found, DEFAULTS)[0].startswith(
        "it would remove 5 of 7"
    )


def test_who_was_disabled_for_leaving_is_no_new_leaver() -> None:
    gone = account("A", "gone@x", active=False)
    assert list(plan([], [gone], {"9": "A"}).found["leavers"].names) == []
    assert list(plan([], [account("A", "gone@x")], {"9": "A"}).found["leavers"].names) == ["gone@x"]


people = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([None, True, False]))
listed = st.dictionaries(st.sampled_from("abcdef"), st.booleans())


@given(people, listed, st.sets(st.sampled_from("abcdef")), st.sampled_from(["disable", "remove", "ignore"]))
def test_strangers_and_present_users_are_never_taken_away(
    wanted: dict[str, bool | None], there: dict[str, bool], ours: set[str], missing: str
) -> None:
    users = [user(name, f"{name}@x", enabled=enabled, full_name=name) for name, enabled in wanted.items()]
    accounts = [account(name.upper(), f"{name}@x", active=active, data=name) for name, active in there.items()]
    owned = {name: name.upper() for name in ours}
    made = plan(users, accounts, owned, missing=missing)
    enabled_names = {name for name, enabled in wanted.items() if enabled is not False}
    for step in made.steps:
        name = step.name[0]
        if step.action == "remove":
            assert name in ours and name not in wanted
        if step.action == "disable":
            assert name not in enabled_names
            assert name in ours or wanted.get(name) is False
        if step.action == "create":
            assert step.account is None and name not in there
    # A second look at the result of the first finds nothing more to do.
    after = dict(there)
    for step in made.steps:
        match step.action:
            case "remove":
                del after[step.name[0]]
            case action:
                after[step.name[0]] = action != "disable"
    again = plan(
        users,
        [account(name.upper(), f"{name}@x", active=active, data=name) for name, active in after.items()],
        {**owned, **{name: name.upper() for name in wanted if name in after}},
        missing=missing,
    )
    assert steps(again) == []
