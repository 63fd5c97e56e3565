# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several rosters made one, the first counting most."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse, serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.merge import MATCHES, Part, merge
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build_from_records

from .roster_strategies import CANARY, rosters

Users = list[dict[str, Any]]


def part(name: str, users: Users, groups: Users | None = None, adds_people: bool = True, rejected: Any = ()) -> Part:
    return Part(name, build_from_records({"kind": name}, users, groups or [], rejected), adds_people)


def fields(roster: Roster) -> list[dict[str, Any]]:
    """The users as they stand in a file."""
    users: list[dict[str, Any]] = json.loads(serialise(roster))["users"]
    return users


def test_the_first_that_says_anything_counts() -> None:
    one = {"id": "u1", "username": "anna", "enabled": True, "email": "anna@int.example"}
    two = {"external_id": "e1", "username": "Anna", "enabled": False, "full_name": "Anna"}
    three = {"username": "ANNA", "full_name": "A.", "shell": "/bin/sh", "email": "ANNA@INT.example"}
    merged = merge([part("ldap", [one]), part("hr", [two]), part("old", [three])])
    assert fields(merged.roster) == [
        {"id": "u1", "username": "anna", "enabled": True, "email": "anna@int.example", "external_id": "e1",
         "full_name": "Anna", "shell": "/bin/sh"},
    ]  # fmt: skip
    assert [each.as_dict() for each in merged.conflicts] == [
        {"kind": "user", "name": "anna", "field": "enabled", "kept": "ldap", "ignored": "hr"},
        {"kind": "user", "name": "anna", "field": "full_name", "kept": "hr", "ignored": "old"},
    ]
    assert merged.roster.source == {"kind": "merged", "sources": "ldap, hr, old"}


@pytest.mark.parametrize(
    ("first", "second", "kept", "conflict"),
    [
        ({"groups": []}, {"groups": ["a"]}, {"groups": []}, "groups"),
        ({}, {"groups": ["a"]}, {"groups": ["a"]}, None),
        ({"full_name": ""}, {"full_name": "A"}, {"full_name": ""}, "full_name"),
        ({"uid": 70001}, {"uid": 70002}, {"uid": 70001}, "uid"),
        ({"profile": {"a": "1"}}, {"profile": {"a": "1", "b": "2"}}, {"profile": {"a": "1", "b": "2"}}, None),
        ({"profile": {"a": "1"}}, {"profile": {"a": "2"}}, {"profile": {"a": "1"}}, "profile.a"),
        ({}, {"profile": {"a": "2"}}, {"profile": {"a": "2"}}, None),
        ({"password_hash": CANARY}, {"password_hash": CANARY + "x"}, {"password_hash": CANARY}, "password_hash"),
        ({"ssh_public_keys": ["k"]}, {"ssh_public_keys": ["k", "l"]}, {"ssh_public_keys": ["k"]}, "ssh_public_keys"),
    ],
)  # fmt: skip
def test_fields(first: dict[str, Any], second: dict[str, Any], kept: dict[str, Any], conflict: str | None) -> None:
    merged = merge([part("a", [{"username": "anna", **first}]), part("b", [{"username": "anna", **second}])])
    assert fields(merged.roster) == [{"id": "anna", "username": "anna", **kept}]
    assert [each.field for each in merged.conflicts] == ([conflict] if conflict else [])
    assert "CaNaRy" not in str([each.as_dict() for each in merged.conflicts])


@pytest.mark.parametrize(
    ("match", "together"),
    [("username", ["1", "3"]), ("email", ["2", "3"]), ("id", ["3", "4"])],
)
def test_match(match: str, together: list[str]) -> None:
    """Each of the three pairs agrees in one of the fields alone; records without the field stay by themselves."""
    one = [
        {"id": "1", "username": "Anna"},
        {"id": "2", "email": " berta@int.example"},
        {"id": "3", "username": "carl", "email": "carl@int.example"},
        {"id": "4"},
    ]
    two = [
        {"id": "5", "username": "anna", "shell": "/1"},
        {"id": "6", "email": "Berta@int.example", "shell": "/2"},
        {"id": "3", "username": "CARL", "email": "CARL@int.example", "shell": "/3"},
        {"id": "4", "shell": "/4"},
    ]
    merged = merge([part("one", one), part("two", two)], match)
    assert [user.id for user in merged.roster.users if user.shell and user.id < "5"] == together
    assert merged.conflicts == ()


def test_a_source_that_only_knows_more() -> None:
    extra = part(
        "extra",
        [{"username": "anna", "shell": "/bin/zsh"}, {"username": "gone"}],
        rejected=[
            Rejected("user", "uid", "is wrong", name="left"),
            Rejected("user", "uid", "is wrong", name="Berta"),
            Rejected("user", "uid", "is wrong", record="line 9"),
        ],
        adds_people=False,
    )
    merged = merge([part("main", [{"username": "anna"}, {"username": "berta"}]), extra])
    assert fields(merged.roster) == [{"id": "anna", "username": "anna", "shell": "/bin/zsh"}]
    assert merged.not_added == {"extra": 1}
    assert [(entry.name, entry.reason) for entry in merged.roster.rejected] == [
        ("Berta", "in extra: is wrong"),
        ("berta", "is shared with a record that can't be used"),
    ]


def test_rejected_people_stay_present() -> None:
    bad = [
        Rejected("user", "uid", "is wrong", id="u1", name="anna"),
        Rejected("user", "id", "is missing", record="line 3"),
    ]
    merged = merge(
        [part("a", [{"username": "berta"}], rejected=bad), part("b", [{"username": "ANNA"}, {"username": "c"}])]
    )
    assert [user.username for user in merged.roster.users] == ["berta", "c"]
    assert {(entry.name, entry.record, entry.reason) for entry in merged.roster.rejected} == {
        ("anna", None, "in a: is wrong"),
        ("ANNA", None, "is shared with a record that can't be used"),
        (None, "a: line 3", "in a: is missing"),
    }


def test_two_people_who_share_an_id_number() -> None:
    merged = merge([part("a", [{"username": "anna", "uid": 70001}]), part("b", [{"username": "berta", "uid": 70001}])])
    assert merged.roster.users == ()
    assert {(entry.name, entry.field) for entry in merged.roster.rejected} == {("anna", "uid"), ("berta", "uid")}


def test_groups() -> None:
    one = part("one", [{"username": "anna", "groups": ["sales"]}], [{"name": "Sales"}, {"name": "it", "gid": 70001}])
    two = part("two", [], [{"name": "sales", "gid": 70002, "description": "S"}, {"name": "IT", "gid": 70003}])
    merged = merge([one, two])
    assert merged.roster.groups == (Group("Sales", 70002, "S"), Group("it", 70001))
    assert merged.roster.users[0].groups == ("Sales",)
    assert [each.as_dict() for each in merged.conflicts] == [
        {"kind": "group", "name": "it", "field": "gid", "kept": "one", "ignored": "two"}
    ]


@settings(max_examples=30)
@given(st.lists(st.tuples(rosters(), st.booleans()), max_size=3), st.sampled_from(MATCHES))
def test_merging_anything(given_parts: list[tuple[Roster, bool]], match: str) -> None:
    parts = [Part(f"part{index}", roster, adds) for index, (roster, adds) in enumerate(given_parts)]
    merged = merge(parts, match)
    content = serialise(merged.roster)
    assert parse(content) == merged.roster
    assert serialise(merge(parts, match).roster) == content
    ids = {user.id for entry in parts for user in entry.roster.users if entry.adds_people}
    assert {user.id for user in merged.roster.users} <= ids
    if len(parts) == 1 and parts[0].adds_people:
        assert merged.roster.users == parts[0].roster.users
        assert merged.conflicts == ()
