# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that decide who belongs on a target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.selection import select
from ansible_collections.identity.roster.plugins.module_utils._roster.text import folded
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build_from_records

from .roster_strategies import names, rosters

ROSTER = build_from_records(
    {"kind": "test"},
    [
        {"id": "1", "username": "anna", "email": "anna@int.example", "groups": ["Büro", "Vertrieb"]},
        {"id": "2", "username": "Berta", "groups": ["Vertrieb"]},
        {"id": "3", "username": "carl", "groups": []},
        {"id": "4", "username": "dora"},
        {"id": "5", "email": "emil@int.example", "groups": ["Projekt Größe (2)"]},
    ],
    [{"name": "Leer"}],
    [
        Rejected(kind="user", id="9", name="root", field="username", reason="is reserved"),
        Rejected(kind="group", name="sudo", field="name", reason="is reserved"),
    ],
)


def ids(roster: Roster) -> str:
    return "".join(user.id for user in roster.users)


@pytest.mark.parametrize(
    ("include_groups", "exclude_groups", "exclude_users", "chosen"),
    [
        ([], [], [], "12345"),
        (["Vertrieb"], [], [], "12"),
        (["vertrieb"], [], [], "12"),
        (["VERTRIEB", "büro"], [], [], "12"),
        (["bu\u0308ro"], [], [], "1"),
        (["projekt grösse (2)"], [], [], "5"),
        (["Leer"], [], [], ""),
        (["nobody is here"], [], [], ""),
        ([], ["Vertrieb"], [], "345"),
        ([], ["BÜRO"], [], "2345"),
        ([], ["Leer"], [], "12345"),
        (["Vertrieb"], ["Büro"], [], "2"),
        (["Vertrieb"], ["vertrieb"], [], ""),
        ([], [], ["berta"], "1345"),
        ([], [], ["ANNA@int.example"], "2345"),
        ([], [], ["3", "dora"], "125"),
        (["Vertrieb"], [], ["anna", "dora"], "2"),
        ([], [], ["root"], "12345"),
    ],
)
def test_filters(include_groups: list[str], exclude_groups: list[str], exclude_users: list[str], chosen: str) -> None:
    selected, _warnings = select(ROSTER, include_groups, exclude_groups, exclude_users)
    assert ids(selected) == chosen
    # A rejected person stays present, and a group whose members are elsewhere does not look removed.
    assert (selected.rejected, selected.groups, selected.source) == (ROSTER.rejected, ROSTER.groups, ROSTER.source)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, []),
        ({"include_groups": ["Vertrieb", "leer"]}, []),
        ({"exclude_groups": ["sudo"]}, []),
        ({"exclude_users": ["anna", "9", "ROOT", "emil@INT.example"]}, []),
        ({"include_groups": ["Größen"]}, ["include_groups names 'Größen', which the roster does not have"]),
        ({"exclude_groups": ["x"]}, ["exclude_groups names 'x', which the roster does not have"]),
        (
            {"exclude_users": ["Nemo", "anna", "Ahab"]},
            [
                "exclude_users names 'Ahab', which the roster does not have",
                "exclude_users names 'Nemo', which the roster does not have",
            ],
        ),
        ({"include_groups": ["anna"]}, ["include_groups names 'anna', which the roster does not have"]),
    ],
)
def test_a_filter_that_matches_nothing_is_told(filters: dict[str, list[str]], expected: list[str]) -> None:
    assert select(ROSTER, **filters)[1] == expected


@given(rosters(), *[st.lists(names, max_size=3)] * 3)
def test_a_selection_is_a_part(roster: Roster, include: list[str], exclude: list[str], users: list[str]) -> None:
    selected, _warnings = select(roster, include, exclude, users)
    assert set(map(id, selected.users)) <= set(map(id, roster.users))
    assert (selected.groups, selected.rejected) == (roster.groups, roster.rejected)
    for user in roster.users:
        groups = {folded(name) for name in user.groups or ()}
        belongs = not include or any(folded(name) in groups for name in include)
        belongs &= not any(folded(name) in groups for name in exclude)
        called = {folded(name) for name in (user.username, user.email, user.id) if name}
        belongs &= not any(folded(name) in called for name in users)
        assert (user in selected.users) is belongs
    assert select(selected, include, exclude, users)[0] == selected
