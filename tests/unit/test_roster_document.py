# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roster as a file: equal rosters are equal bytes, and whatever is not a roster is refused as a whole."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import DocumentError
from ansible_collections.identity.roster.plugins.module_utils._roster.document import (
    FORMAT,
    canonical,
    digest,
    parse,
    serialise,
    to_document,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build_from_records

from .roster_strategies import HASH, group_lists, json_values, rosters, sources, user_lists

EMPTY: dict[str, Any] = {"format": FORMAT, "source": {}, "users": [], "groups": [], "rejected": []}
REFUSAL = {"kind": "user", "id": "7", "name": "root", "field": "username", "reason": "is reserved"}


def encoded(**changes: Any) -> bytes:
    document = {**EMPTY, **changes}
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


WHOLE = encoded(users=[{"username": "anna", "groups": ["x"]}], groups=[{"name": "x"}], rejected=[REFUSAL])

REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \n",
    "HTML": b"<!DOCTYPE html><html></html>",
    "cut off": WHOLE[:-20],
    "something after the end": WHOLE + b"{}",
    "twice": WHOLE + WHOLE,
    "a BOM": b"\xef\xbb\xbf" + WHOLE,
    "UTF-16": WHOLE.decode().encode("utf-16"),
    "Latin-1": WHOLE.replace(b"anna", b"j\xfcrgen"),
    "NUL bytes at the end": WHOLE + b"\0\0",
    "only NUL bytes": b"\0" * 100,
    "a NUL byte in a text": WHOLE.replace(b"anna", b"an\0na"),
    "single quotes": WHOLE.replace(b'"', b"'"),
    "a comma too many": WHOLE.replace(b"]}", b"],}"),
    "a number": b"1",
    "a number of 5,000 digits": WHOLE.replace(b'"anna"', b"9" * 5000),
    "a text": b'"identity.roster/1"',
    "null": b"null",
    "a list": b"[]",
    "an empty mapping": b"{}",
    "10 MB of brackets": b"[" * 10_000_000,
    "10 MB of closed brackets": b"[" * 5_000_000 + b"]" * 5_000_000,
    "deep lists as users": encoded(users="HERE").replace(b'"HERE"', b"[" * 50_000 + b"]" * 50_000),
    "deep mappings as format": encoded(format="HERE").replace(b'"HERE"', b'{"a":' * 900 + b"1" + b"}" * 900),
    "deep lists as format": encoded(format="HERE").replace(b'"HERE"', b"[" * 960 + b"]" * 960),
    "no format": encoded(format=...),
    "another format": encoded(format="identity.roster/2"),
    "a format with a line break": encoded(format=FORMAT + "\n"),
    "format is a number": encoded(format=1),
    "format is a list": encoded(format=[FORMAT]),
    "no source": encoded(source=...),
    "source is a list": encoded(source=[]),
    "source holds a number": encoded(source={"users": 3}),
    "source holds null": encoded(source={"kind": None}),
    "source holds a lone surrogate": encoded(source={"kind": "\ud800"}),
    "source has a key with a line break": encoded(source={"a\nb": "x"}),
    "no users": encoded(users=...),
    "users is null": encoded(users=None),
    "users is a mapping": encoded(users={"anna": {}}),
    "users is a text": encoded(users="anna"),
    "no groups": encoded(groups=...),
    "groups is a number": encoded(groups=0),
    "no rejected": encoded(rejected=...),
    "rejected is null": encoded(rejected=None),
    "rejected is a mapping": encoded(rejected={}),
    "rejected holds a text": encoded(rejected=["root"]),
    "a rejected record without reason": encoded(rejected=[{"kind": "user", "field": "uid"}]),
    "a rejected record with another key": encoded(rejected=[{**REFUSAL, "uid": "7"}]),
    "a rejected record with a number": encoded(rejected=[{**REFUSAL, "id": 7}]),
    "a rejected record with null": encoded(rejected=[{**REFUSAL, "name": None}]),
    "a rejected record of another kind": encoded(rejected=[{**REFUSAL, "kind": "host"}]),
    "a rejected record with a lone surrogate": encoded(rejected=[{**REFUSAL, "reason": "\udcff"}]),
    "a rejected record with a line break": encoded(rejected=[{**REFUSAL, "reason": "a\nb"}]),
    "a key too many": encoded(fetched="2026-01-01T00:00:00Z"),
    "a key that is no text to show": encoded(**{"\ud800\x1b[31m" * 1000: 1}),
    "a key twice at the top": WHOLE.replace(b"{", b'{"users": [], ', 1),
    "a key twice in a record": WHOLE.replace(b'"username"', b'"username": "berta", "username"'),
    "a key twice in a rejected record": WHOLE.replace(b'"kind"', b'"kind": "group", "kind"'),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_roster_is_refused_as_a_whole(content: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(DocumentError) as refusal:
        parse(content)
    message = str(refusal.value)
    assert message.encode("utf-8") and len(message) < 500 and "\x1b" not in message
    assert time.monotonic() - started < 5


def test_a_whole_one_is_read() -> None:
    roster = parse(WHOLE)
    assert [user.username for user in roster.users] == ["anna"]
    assert [entry.as_dict() for entry in roster.rejected] == [REFUSAL]
    assert parse(encoded()) == Roster(source={})


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1.0", b"-1", b"4294967295", b"true"])
def test_a_number_that_is_no_id_spoils_only_its_record(number: bytes) -> None:
    content = encoded(users=[{"username": "anna", "uid": 7.5}, {"username": "berta"}]).replace(b"7.5", number)
    roster = parse(content)
    assert [user.username for user in roster.users] == ["berta"]
    assert [(entry.name, entry.field) for entry in roster.rejected] == [("anna", "uid")]


def test_the_bytes_of_a_roster() -> None:
    """Written down: other bytes for the same roster would make every host of every site work."""
    records = [
        {"username": "jürgen", "id": "2", "groups": ["b", "a", "b"], "enabled": False, "uid": 10002, "full_name": ""},
        {"groups": [], "username": "anna", "id": "1", "password_hash": HASH, "profile": {"z": "1", "a": "2\n3"}},
        {"username": "root", "id": 3},
    ]
    content = serialise(build_from_records({"url": "https://p", "kind": "x"}, records, [{"name": "b", "gid": 2000}]))
    assert content.decode() == (
        '{"format":"identity.roster/1","groups":[{"name":"a"},{"gid":2000,"name":"b"}],'
        '"rejected":[{"field":"id","id":"root","kind":"user","name":"root","reason":"is a number, not a text"}],'
        '"source":{"kind":"x","url":"https://p"},'
        '"users":[{"groups":[],"id":"1","password_hash":"' + HASH + '","profile":{"a":"2\\n3","z":"1"},'
        '"username":"anna"},'
        '{"enabled":false,"full_name":"","groups":["a","b"],"id":"2","uid":10002,"username":"jürgen"}]}\n'
    )
    assert digest(content) == hashlib.sha256(content).hexdigest()


def test_absent_is_not_empty() -> None:
    silent, empty = {"username": "a"}, {"username": "b", "full_name": "", "groups": [], "profile": {}}
    roster = parse(encoded(users=[silent, empty]))
    assert (roster.users[0].full_name, roster.users[0].groups, roster.users[0].profile) == (None, None, None)
    assert (roster.users[1].full_name, roster.users[1].groups, roster.users[1].profile) == ("", (), {})
    assert to_document(roster)["users"] == [{"id": "a", **silent}, {"id": "b", **empty}]


@given(rosters())
def test_a_roster_survives_its_file(roster: Roster) -> None:
    content = serialise(roster)
    again = parse(content)
    assert again == roster
    assert serialise(again) == content
    assert canonical(json.loads(content)) == content
    assert content.endswith(b"}\n") and content.count(b"\n") == 1


def shuffled(value: Any, shuffle: Callable[[list[Any]], None]) -> Any:
    if isinstance(value, dict):
        pairs = [(key, shuffled(item, shuffle)) for key, item in value.items()]
        shuffle(pairs)
        return dict(pairs)
    return [shuffled(item, shuffle) for item in value] if isinstance(value, list) else value


def without_positions(roster: Roster) -> bytes:
    """A record that has no name at all is told by its place, which is another when the order is."""
    rejected = [replace(entry, record=None) for entry in roster.rejected]
    return serialise(replace(roster, rejected=tuple(sorted(rejected, key=repr))))


@given(sources, user_lists, group_lists, st.randoms())
def test_the_order_of_records_and_keys_does_not_matter(
    source: dict[str, str], users: list[Any], groups: list[Any], order: random.Random
) -> None:
    others = [shuffled(record, order.shuffle) for record in users], [shuffled(each, order.shuffle) for each in groups]
    for records in others:
        order.shuffle(records)
    first, second = build_from_records(source, users, groups), build_from_records(source, *others)
    assert without_positions(first) == without_positions(second)
    if not any(entry.record for entry in first.rejected):
        assert first == second and serialise(first) == serialise(second)


def read_or_refuse(content: bytes) -> None:
    with suppress(DocumentError):
        roster = parse(content)
        assert parse(serialise(roster)) == roster


@given(st.binary(max_size=200))
def test_any_bytes_are_a_roster_or_refused(content: bytes) -> None:
    read_or_refuse(content)


@given(st.binary(max_size=4), st.integers(0, len(WHOLE)), st.integers(0, 8))
def test_a_damaged_file_is_a_roster_or_refused(junk: bytes, place: int, length: int) -> None:
    read_or_refuse(WHOLE[:place] + junk + WHOLE[place + length :])


@given(
    json_values
    | st.fixed_dictionaries(
        {"format": st.just(FORMAT)}, optional={key: json_values for key in EMPTY if key != "format"}
    )
    | st.fixed_dictionaries(
        {
            "format": st.just(FORMAT),
            "source": st.just({}) | json_values,
            "users": st.lists(json_values, max_size=3) | user_lists,
            "groups": st.lists(json_values, max_size=3) | group_lists,
            "rejected": st.just([]) | json_values | st.lists(json_values, max_size=2),
        }
    )
)
def test_any_json_is_a_roster_or_refused(value: Any) -> None:
    read_or_refuse(json.dumps(value).encode())


def test_a_large_roster_takes_linear_time() -> None:
    """Two sizes in one run: ten times the users, and far less than a hundred times the time."""
    seconds = []
    for count in (2_000, 20_000):
        records = [{"username": f"u{number}", "uid": 1000 + number, "groups": ["x"]} for number in range(count)]
        records += [{"username": f"u{number}", "shell": 7} for number in range(0, count, 2)]
        started = time.process_time()
        roster = parse(serialise(build_from_records({}, records)))
        seconds.append(time.process_time() - started)
        assert len(roster.users) == count // 2 and len(roster.rejected) == count
    assert seconds[1] < 30 * seconds[0]
