# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is another between two rosters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from ansible_collections.identity.roster.plugins.module_utils._roster.difference import Difference, difference
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build_from_records

from .roster_strategies import CANARY, rosters

ANNA = {"id": "1", "username": "anna", "email": "anna@int.example", "groups": ["sales"], "enabled": True}
BERTA = {"id": "2", "username": "berta"}
EMIL = {"id": "emil@int.example", "email": "emil@int.example"}


def roster(*users: dict[str, Any], rejected: tuple[Rejected, ...] = ()) -> Roster:
    return build_from_records({"kind": "test"}, users, [], rejected)


def bad(**fields: str) -> Rejected:
    return Rejected(kind="user", field="uid", reason="is wrong", **fields)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (roster(), roster(), {}),
        (roster(ANNA), roster(ANNA), {}),
        (roster(), roster(BERTA, ANNA), {"joined": ("anna", "berta")}),
        (roster(ANNA, EMIL), roster(), {"left": ("anna", "emil@int.example")}),
        (roster(ANNA), roster({**ANNA, "enabled": False}), {"changed": (("anna", ("enabled",)),)}),
        (roster(ANNA), roster({**ANNA, "groups": []}), {"changed": (("anna", ("groups",)),)}),
        (roster(ANNA), roster({**ANNA, "username": "ann"}), {"changed": (("ann", ("username",)),)}),
        (
            roster({**ANNA, "password_hash": CANARY}),
            roster({**BERTA, "id": "1", "password_hash": CANARY + "x"}),
            {"changed": (("berta", ("username", "email", "enabled", "password_hash", "groups")),)},
        ),
        (roster(ANNA), roster({**ANNA, "id": "9"}), {"joined": ("anna",), "left": ("anna",)}),
        (roster(ANNA), roster(rejected=(bad(id="1"),)), {"rejected": ("anna",)}),
        (roster(ANNA), roster(rejected=(bad(name="ANNA"),)), {"rejected": ("anna",)}),
        (roster(rejected=(bad(name="anna"),)), roster(ANNA), {"accepted": ("anna",)}),
        (roster(rejected=(bad(id="7"),)), roster(ANNA), {"joined": ("anna",)}),
        (roster(rejected=(bad(id="7"),)), roster(), {}),
        (roster(rejected=(Rejected("group", "name", "is bad", name="anna"),)), roster(ANNA), {"joined": ("anna",)}),
    ],
    ids=[
        "nobody", "same", "joined", "left", "disabled", "no groups", "renamed", "hash", "another person",
        "rejected by id", "rejected by name",
        "accepted", "joined beside rejected", "rejected gone", "group of that name",
    ],
)  # fmt: skip
def test_difference(before: Roster, after: Roster, expected: dict[str, Any]) -> None:
    got = difference(before, after)
    assert got == Difference(**expected)
    assert "CaNaRy" not in str(got.as_dict())


@settings(max_examples=30)
@given(rosters(), rosters())
def test_nobody_is_lost(before: Roster, after: Roster) -> None:
    got = difference(before, after)
    kept = {user.id for user in before.users} & {user.id for user in after.users}
    assert len(got.left) + len(got.rejected) == len(before.users) - len(kept)
    assert len(got.joined) + len(got.accepted) == len(after.users) - len(kept)
    assert len(got.changed) <= len(kept)
    assert (got == Difference()) == (before.users == after.users)
    back = difference(*reversed((before, after)))
    assert (len(back.changed), len(back.left) + len(back.rejected)) == (
        len(got.changed),
        len(got.joined) + len(got.accepted),
    )
