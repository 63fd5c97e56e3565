# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bad record is rejected alone, no record is ever lost, and no secret shows."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse, serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._roster.text import folded, shown
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import (
    USER_FIELDS,
    build,
    build_from_records,
    read_user,
)

from .roster_strategies import CANARY, anything, group_lists, json_values, refusals, sources, user_lists

SHARED = "is shared by 2 records: "
BESIDE = "is shared with a record that can't be used"


def made(*users: Any, groups: Any = (), rejected: Any = ()) -> Roster:
    return build_from_records({}, users, groups, rejected)


def names(roster: Roster) -> list[str]:
    return [user.label for user in roster.users]


def refusals_of(roster: Roster) -> list[tuple[str | None, str, str]]:
    return [(entry.name or entry.id or entry.record, entry.field, entry.reason) for entry in roster.rejected]


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        (None, "record", "is null (leave the key out instead), not a mapping"),
        ("anna", "record", "is a text, not a mapping"),
        ([], "record", "is a list, not a mapping"),
        (True, "record", "is true or false, not a mapping"),
        (object(), "record", "is object, not a mapping"),
        ({}, "id", "is missing, and so are external_id, username and email"),
        ({"username": 7}, "username", "is a number, not a text"),
        ({"username": " x"}, "username", "begins or ends with a space"),
        ({"username": "a:b"}, "username", "contains a colon"),
        ({"username": "a\x00b"}, "username", "contains the control character U+0000"),
        ({"username": "a\u2028b"}, "username", "contains the control character U+2028"),
        ({"username": "\ud800"}, "username", "contains the control character U+D800"),
        ({"username": "x", "email": None}, "email", "is null (leave the key out instead), not a text"),
        ({"username": "x", "uid": "1000"}, "uid", "is a text, not a whole number"),
        ({"username": "x", "uid": True}, "uid", "is true or false, not a whole number"),
        ({"username": "x", "uid": -1}, "uid", "is -1, outside 0 to 4294967294"),
        ({"username": "x", "uid": 2**32 - 1}, "uid", "is 4294967295, outside 0 to 4294967294"),
        ({"username": "x", "uid": 10**5000}, "uid", "is a number of many digits, outside 0 to 4294967294"),
        ({"username": "x", "enabled": "yes"}, "enabled", "is a text, not true or false"),
        ({"username": "x", "enabled": 1}, "enabled", "is a number, not true or false"),
        ({"username": "x", "groups": "a,b"}, "groups", "is a text, not a list of names"),
        ({"username": "x", "groups": [3]}, "groups", "is a number, not a text"),
        ({"username": "x", "full_name": "x" * 1025}, "full_name", "is longer than 1024 characters"),
        ({"username": "x", "home": CANARY}, "home", "looks like a password hash, which belongs in password_hash"),
        ({"username": "x", "password_hash": ""}, "password_hash", "is not a password hash"),
        ({"username": "x", "password_hash": "a:b"}, "password_hash", "is not a password hash"),
        ({"username": "x", "profile": {"a\n": ""}}, "profile", "contains the control character U+000A"),
        ({"username": "x", "profile": {"a": 1}}, "profile", "holds no usable text under 'a'"),
        ({"username": "x", 7: 1}, "a number", None),
        ({"username": "x", "paswd\n": 1}, "paswd\\n", None),
        ({"username": "x", "z": 1, "y": 1, "uid": -1}, "y", None),
        ({"username": "x", "uid": -1, "gid": -1}, "uid", None),
        ({"gid": -1, "uid": -1, "username": "x"}, "uid", None),
    ],
)
def test_why_a_record_is_rejected(record: Any, field: str, reason: str | None) -> None:
    roster = made({"username": "good"}, record)
    assert names(roster) == ["good"]
    assert [entry.field for entry in roster.rejected] == [field]
    if reason is not None:
        assert roster.rejected[0].reason == reason
    assert parse(serialise(roster)) == roster


@pytest.mark.parametrize(
    ("record", "identity", "name", "where"),
    [
        ({"id": "7", "username": "x", "uid": -1}, "7", "x", None),
        ({"username": "x", "uid": -1}, "x", "x", None),
        ({"email": "x@y", "uid": -1}, "x@y", None, None),
        ({"external_id": "e", "email": "x@y", "uid": -1}, "e", None, None),
        ({"id": 7, "username": "x"}, "x", "x", None),
        ({"id": "", "name": "x"}, None, "x", None),
        ({"username": "\n", "id": "\ud800"}, None, None, "user 2"),
        ({"uid": -1}, None, None, "user 2"),
        ("anna", None, None, "user 2"),
    ],
)
def test_whom_a_target_leaves_alone(record: Any, identity: str | None, name: str | None, where: str | None) -> None:
    """The id is the one that the good record would have had: with another one the person would look departed."""
    (entry,) = made({"username": "good"}, record).rejected
    assert (entry.id, entry.name, entry.record) == (identity, name, where)


#: Each line is one person in every spelling, as far as a name can say.
SAME = [
    [
        "anna",
        "Anna",
        "ANNA",
        "\uff41\uff4e\uff4e\uff41",
        "an\u200bna",
        "anna\ufeff",
        "\u202aanna\u202c",
        "an\u00adna",
        "ⓐnna",
    ],
    ["straße", "STRASSE", "Straẞe", "strasse", "ﬆrasse"],
    ["σας", "ΣΑΣ", "\u03c3\u03b1\u03c3", "Σας"],
    ["jürgen", "ju\u0308rgen", "JÜRGEN", "JU\u0308RGEN"],
    ["i\u0307nci", "İnci", "I\u0307NCI"],
    ["ﬁona", "fiona", "FIONA"],
    ["\u1e9b\u0323", "\u1e69", "s\u0323\u0307", "S\u0307\u0323"],
    ["\u0390", "\u1fd3", "\u03b9\u0308\u0301"],
    ["\u1f80", "\u1f88", "\u1f00\u03b9", "\u03b1\u0313\u0345", "\u03b1\u0345\u0313"],
    ["①", "1"],
    ["k", "K", "\u212a"],
]
DIFFERENT = ["anna", "hanna", "änna", "ina", "\u0131na", "anna.", "\u0430nna", "strase", "ss", "s"]


@pytest.mark.parametrize("spellings", SAME, ids=ascii)
@pytest.mark.parametrize("field", ["username", "email", "external_id"])
def test_spellings_of_one_name_are_duplicates(spellings: list[str], field: str) -> None:
    assert len(set(map(folded, spellings))) == 1
    for spelling in spellings[1:]:
        roster = made({"id": "1", field: spellings[0]}, {"id": "2", field: spelling}, {"username": "good"})
        assert names(roster) == ["good"]
        assert {entry.field for entry in roster.rejected} == {field}


def test_different_names_stay_apart() -> None:
    assert len(set(map(folded, DIFFERENT))) == len(DIFFERENT)


def test_folding_twice_changes_nothing() -> None:
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            once = folded(chr(code))
            assert folded(once) == once and once, hex(code)


@given(st.text(max_size=8))
def test_folding_a_text_twice_changes_nothing(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
    assert folded(text.casefold()) == once
    assert bool(once) is bool(text)


@pytest.mark.parametrize(
    ("first", "second", "field", "labels"),
    [
        ({"id": "1", "username": "a"}, {"id": "1", "username": "b"}, "id", "a, b"),
        ({"id": "1", "username": "a"}, {"external_id": "1"}, "id", "1, a"),
        ({"username": "a", "uid": 5}, {"username": "b", "uid": 5}, "uid", "a, b"),
        ({"username": "a", "email": "x@y"}, {"username": "b", "email": " X@Y"}, "email", "a, b"),
        ({"username": "a", "external_id": "E"}, {"username": "b", "external_id": "e"}, "external_id", "a, b"),
        ({"id": "1", "username": "A", "uid": 5}, {"id": "2", "username": "a", "uid": 5}, "username", "A, a"),
    ],
)
def test_two_that_share(first: Any, second: Any, field: str, labels: str) -> None:
    roster = made(first, second, {"username": "good"})
    assert names(roster) == ["good"]
    assert {(entry.field, entry.reason) for entry in roster.rejected} == {(field, SHARED + labels)}
    assert len(roster.rejected) == 2


@pytest.mark.parametrize("key", ["email", "full_name", "gid"])
def test_what_may_be_shared(key: str) -> None:
    value: Any = {"email": " ", "full_name": "Anna", "gid": 100}[key]
    assert len(made({"username": "a", key: value}, {"username": "b", key: value}).users) == 2


def test_three_that_share_are_all_rejected() -> None:
    users = [{"username": f"u{number}", "uid": 5} for number in range(3)]
    assert {entry.reason for entry in made(*users).rejected} == {"is shared by 3 records: u0, u1, u2"}
    users = [{"username": f"u{number}", "uid": 5} for number in range(9)]
    assert {entry.reason for entry in made(*users).rejected} == {
        "is shared by 9 records: u0, u1, u2, u3, u4 and 4 more"
    }


def test_a_chain_of_sharing_is_rejected_whole() -> None:
    roster = made(
        {"username": "a", "uid": 5}, {"username": "b", "uid": 5, "email": "x"}, {"username": "c", "email": "X"}
    )
    assert refusals_of(roster) == [
        ("a", "uid", SHARED + "a, b"),
        ("b", "uid", SHARED + "a, b"),
        ("c", "email", SHARED + "b, c"),
    ]


@pytest.mark.parametrize(
    ("bad", "good", "field"),
    [
        ({"username": "Anna", "uid": -1}, {"id": "1", "username": "anna"}, "username"),
        ({"id": "1", "uid": -1}, {"id": "1", "username": "anna"}, "id"),
        ({"email": "x@y", "uid": -1}, {"email": "x@y"}, "id"),
        ({"name": "anna"}, {"id": "1", "username": "anna"}, "username"),
    ],
)
def test_a_good_record_beside_a_rejected_one(bad: Any, good: Any, field: str) -> None:
    roster = made(bad, good)
    assert roster.users == ()
    assert (field, BESIDE) in [(entry.field, entry.reason) for entry in roster.rejected]
    assert parse(serialise(roster)) == roster


def test_a_rejected_record_without_a_name_is_beside_nobody() -> None:
    odd = [Rejected("user", "id", "x", name=""), Rejected("user", "id", "x", name=" "), Rejected("user", "id", "x")]
    assert len(made({"email": "x@y"}, {"username": "a"}, rejected=odd).users) == 2


def test_groups() -> None:
    roster = made(
        {"username": "a", "groups": ["SALES", "sales", "new", "New", "bad", "double"]},
        {"username": "b", "groups": ["New", "Beside"]},
        {"username": "bad", "groups": ["unheard of"], "uid": -1},
        groups=[
            {"name": "Sales", "gid": 2000},
            {"name": "Bad", "gid": -1},
            {"name": "Double"},
            {"name": "double"},
            {"name": "x", "gid": 7},
            {"name": "y", "gid": 7},
            {"name": "beside"},
            {"name": "BESIDE", "gid": "7"},
            {},
        ],
    )
    assert roster.groups == (Group("New"), Group("Sales", gid=2000))
    assert [user.groups for user in roster.users] == [("New", "Sales", "bad", "double"), ("Beside", "New")]
    assert [(entry.name or entry.record, entry.field) for entry in roster.rejected if entry.kind == "group"] == [
        ("group 9", "name"),
        ("BESIDE", "gid"),
        ("Bad", "gid"),
        ("Double", "name"),
        ("beside", "name"),
        ("double", "name"),
        ("x", "gid"),
        ("y", "gid"),
    ]
    assert parse(serialise(roster)) == roster


@given(sources, user_lists, group_lists, st.lists(refusals, max_size=3))
def test_no_record_is_lost(source: Any, users: list[Any], groups: list[Any], rejected: list[Rejected]) -> None:
    roster = build_from_records(source, users, groups, rejected)
    refused = [entry.kind for entry in roster.rejected]
    given_before = [entry.kind for entry in rejected]
    assert len(roster.users) + refused.count("user") == len(users) + given_before.count("user")
    # Groups that only users name come on top.
    named = {folded(name) for user in roster.users for name in user.groups or ()}
    kept = [group for group in roster.groups if group != Group(group.name) or folded(group.name) not in named]
    assert refused.count("group") - given_before.count("group") + len(kept) <= len(groups)
    assert refused.count("group") - given_before.count("group") + len(roster.groups) >= len(groups)
    known = {folded(group.name) for group in roster.groups}
    known |= {folded(entry.name.strip()) for entry in roster.rejected if entry.kind == "group" and entry.name}
    assert named <= known | {folded(name.strip()) for name in named} and len(known) >= len(roster.groups)


@given(sources, user_lists, group_lists)
def test_a_roster_that_is_built_again_is_the_same(source: Any, users: list[Any], groups: list[Any]) -> None:
    roster = build_from_records(source, users, groups)
    assert build(roster.source, roster.users, roster.groups, roster.rejected) == roster


def canary_records() -> list[tuple[str, Any]]:
    good = {"id": "1", "username": "x"}
    fields = [field for field in USER_FIELDS if field != "password_hash"]
    records: list[tuple[str, Any]] = [(field, {**good, field: CANARY}) for field in fields]
    records += [(f"{field} in a list", {**good, field: [CANARY]}) for field in USER_FIELDS]
    records += [(f"{field} in a mapping", {**good, field: {"path": CANARY, "sha256": CANARY}}) for field in USER_FIELDS]
    records += [(f"{field} as a key", {**good, field: {CANARY: CANARY}}) for field in USER_FIELDS]
    records += [(f"{field} after a wrong one", {field: -1, "password_hash": CANARY}) for field in USER_FIELDS]
    records += [("locked", {**good, "shell": "!" + CANARY}), ("with a space", {**good, "home": " " + CANARY})]
    records += [("a key", {**good, CANARY: 1}), ("a name", {"name": CANARY}), ("alone", CANARY), ("listed", [CANARY])]
    records += [("spoilt hash", {**good, "password_hash": CANARY + ":"}), ("two", {**good, "password_hash": [CANARY]})]
    return records


@pytest.mark.parametrize(
    "record", [record for _id, record in canary_records()], ids=[name for name, _unused in canary_records()]
)
def test_a_rejected_record_shows_no_hash(record: Any) -> None:
    roster = made(record)
    assert roster.rejected and not roster.users
    for text in (repr(roster), serialise(roster).decode()):
        assert "CaNaRy" not in text and "canarysalt" not in text


@given(json_values, st.sampled_from(sorted(USER_FIELDS)))
def test_a_password_hash_shows_nowhere(value: Any, field: str) -> None:
    """Also a secret that looks like nothing in particular, as long as it stands in its own field."""
    record = {"username": "x", field: value, "password_hash": "hunter2 CaNaRy"}
    roster = made(record, {**record, "id": "2"}, {**record, "uid": -1})
    assert "CaNaRy" not in repr(roster)
    assert "CaNaRy" not in repr(roster.rejected)
    assert "CaNaRy" not in repr([entry.as_dict() for entry in roster.rejected])


def test_a_user_does_not_show_the_hash() -> None:
    user = read_user({"username": "x", "password_hash": CANARY})
    assert user.password_hash == CANARY
    assert "CaNaRy" not in f"{user} {user!r} {Roster({}, (user,))}"
    assert user.label == "x" and User("7", email=" ").label == "7" and User("7", email="x@y").label == "x@y"


@given(anything | st.text(min_size=60), st.integers(40, 80))
def test_what_is_shown_is_short_and_printable(text: str, longest: int) -> None:
    result = shown(text, longest)
    assert len(result) <= longest and "\n" not in result and result == result.encode().decode()
