# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure parts of the ftrack target: names, operations, and the words of the log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome
from ansible_collections.identity.roster.plugins.module_utils._pairing import Account
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Step
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, User
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_operations import sending
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_people import (
    names_of,
    split_name,
    values_of,
)
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_plan import Payload
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_report import change_line, closing_lines


@pytest.mark.parametrize(
    ("full_name", "first", "last"),
    [
        ("Anna Schmidt", "Anna", "Schmidt"),
        ("  Anna  Maria\tSchmidt ", "Anna Maria", "Schmidt"),
        ("Schmidt, Anna Maria", "Anna Maria", "Schmidt"),
        ("Madonna", "Madonna", ""),
        ("李 小龍", "李", "小龍"),
        (", Anna", "Anna", ""),
        ("Schmidt,", "Schmidt", ""),
        ("", "", ""),
    ],
)
def test_split_name(full_name: str, first: str, last: str) -> None:
    assert split_name(full_name) == (first, last)


@pytest.mark.parametrize(
    ("user", "before", "names"),
    [
        ({"first_name": "A", "last_name": "B", "full_name": "C D"}, {}, ("A", "B")),
        ({"full_name": "Anna Maria Schmidt"}, {}, ("Anna Maria", "Schmidt")),
        ({"full_name": "Anna Maria Schmidt"}, {"first_name": "Anna", "last_name": "Maria Schmidt"}, (None, None)),
        ({"full_name": "Anna Berg"}, {"first_name": "Anna", "last_name": "Schmidt"}, ("Anna", "Berg")),
        ({"full_name": "Madonna"}, {}, ("Madonna", None)),
        ({"first_name": "Ana", "full_name": "Ana de Souza"}, {}, ("Ana", "de Souza")),
        ({"last_name": "de Souza", "full_name": "Ana de Souza"}, {}, ("Ana", "de Souza")),
        ({"first_name": "Ana", "full_name": "Something Else"}, {}, ("Ana", None)),
        ({"first_name": "Ana"}, {}, ("Ana", None)),
        ({}, {}, (None, None)),
        ({"full_name": " "}, {}, (None, None)),
    ],
)
def test_names(user: dict[str, Any], before: dict[str, str], names: tuple[str | None, str | None]) -> None:
    found = names_of(User("x", **user), before)
    assert (found["first_name"], found["last_name"]) == names


@given(st.text(max_size=60))
def test_split_name_loses_no_letter(full_name: str) -> None:
    parts = "".join(split_name(full_name)).replace(" ", "")
    assert sorted(parts) == sorted("".join(full_name.replace(",", " ").split())) or "," in full_name


@given(st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and "," not in text))
def test_names_settle(full_name: str) -> None:
    """What was written once is not written again."""
    user = User("x", username="x", full_name=full_name)
    written = values_of(user, {}, erase_blank=False)
    again = values_of(user, {name: value for name, value in written.items() if value}, erase_blank=False)
    assert all(written.get(name, "") == value for name, value in again.items())


def test_operations_of_a_new_user() -> None:
    step = Step("create", "anna", "id-1", None, None, {}, Payload(
        {"username": "anna", "is_active": True}, "id-1", join=("g-1",), leave=("m-1",), grant=("r-1",), revoke=("r-2",)
    ))  # fmt: skip
    ids = {"user": "new-user", "g-1": "new-membership"}
    assert list(sending(step, "cac-1", ids.__getitem__).operations) == [
        {"action": "create", "entity_type": "User", "entity_key": ["new-user"], "entity_data": {
            "__entity_type__": "User", "id": "new-user", "resource_type": "user", "username": "anna",
            "is_active": True}},
        {"action": "update", "entity_type": "UserCustomAttributeValue", "entity_key": ["cac-1", "new-user"],
         "entity_data": {"__entity_type__": "UserCustomAttributeValue", "value": "id-1"}},
        {"action": "create", "entity_type": "Membership", "entity_key": ["new-membership"], "entity_data": {
            "__entity_type__": "Membership", "id": "new-membership", "user_id": "new-user", "group_id": "g-1"}},
        {"action": "delete", "entity_type": "Membership", "entity_key": ["m-1"]},
        {"action": "add_user_security_role", "role_id": "r-1", "user_id": "new-user"},
        {"action": "remove_user_security_role", "role_id": "r-2", "user_id": "new-user"},
    ]  # fmt: skip


def test_operations_that_were_carried_out_are_left_out() -> None:
    account = Account("u-1", "anna", {})
    step = Step(
        "update", "anna", "id-1", account, None, {}, Payload({"email": "x"}, join=("g-1",), leave=("m-1", "m-2"))
    )
    sent = sending(step, None, lambda what: "m-new")
    left = sent.remaining({"Membership": ["m-new", "m-2"]})
    assert [(each["action"], each["entity_key"]) for each in left.operations] == [
        ("update", ["u-1"]),
        ("delete", ["m-2"]),
    ]
    assert not left.begun
    assert sent.looked_up("Membership") == ["m-new", "m-1", "m-2"]
    assert sent.looked_up("User") == []


def test_only_is_active_for_the_disabled() -> None:
    step = Step("disable", "anna", "id-1", Account("u-1", "anna", {}), None, {"enabled": (True, False)})
    (operation,) = sending(step, "cac-1", lambda what: "").operations
    assert operation["entity_data"] == {"__entity_type__": "User", "is_active": False}


@pytest.mark.parametrize(
    ("action", "fields", "line"),
    [
        ("create", {"email": (None, "a@int.de"), "enabled": (None, True)}, "user anna created: email a@int.de"),
        ("update", {"email": ("a@x", None), "groups": ([], ["A", "B"])},
         "user anna updated: email a@x -> (none); groups (none) -> A, B"),
        ("disable", {"enabled": (True, False)}, "user anna deactivated"),
        ("enable", {"enabled": (False, True)}, "user anna reactivated"),
    ],
)  # fmt: skip
def test_lines_of_changes(action: str, fields: dict[str, Any], line: str) -> None:
    assert change_line(action, "anna", fields) == line
    assert change_line(action, "anna", fields, would=True).startswith("user anna would be ")


def test_lines_at_the_end() -> None:
    outcome = Outcome(unchanged=3, rejected=[Rejected("user", "username", "is missing", id="7")])
    summary = "summary: 0 created, 0 updated, 0 reactivated, 0 deactivated, 3 unchanged, 1 left alone, 0 failed"
    assert closing_lines(outcome.as_result(), "ftrack is gone") == [
        "user 7 left alone: username is missing", "ERROR ftrack is gone", summary,
    ]  # fmt: skip
    assert closing_lines(Outcome(unchanged=3).as_result(), None) == [summary.replace("1 left", "0 left")]
