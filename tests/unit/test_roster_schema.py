# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON Schema in docs/ and the code say the same, as far as a schema can say it.

It can't say:

- that two records share an id, username, uid, e-mail, external_id, group name or gid (compared in folded form), or that
  a good record stands beside a rejected one of the same name or id: the tests below leave such documents out;
- that a key stands twice in one mapping: a JSON value has no such thing any more;
- that 1.0 is no whole number: JSON Schema says it is one. The documents below hold no such number;
- canonical order and the groups that users name: any order is read, and missing groups are added.

Where the schema refuses a record, the code rejects that record alone; where it refuses the rest, the code refuses all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import DocumentError
from ansible_collections.identity.roster.plugins.module_utils._roster.document import FORMAT, parse, serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import GROUP_FIELDS, USER_FIELDS
from tests.tools.checkout import ROOT

from .roster_strategies import CANARY, HASH, anything, good_groups, good_users, groups, json_values, rosters, users

SCHEMA = json.loads(Path(ROOT, "docs/roster.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def whole(**changes: Any) -> dict[str, Any]:
    return {"format": FORMAT, "source": {}, "users": [], "groups": [], "rejected": [], **changes}


def parse_accepts(document: Any) -> bool:
    """Whether the code takes a document and every record in it."""
    try:
        roster = parse(json.dumps(document).encode())
    except DocumentError:
        return False
    return len(roster.rejected) == len(document["rejected"])


def test_the_schema_is_one_and_explains_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    definitions = SCHEMA["$defs"]
    assert list(definitions["user"]["properties"]) == list(USER_FIELDS)
    assert list(definitions["group"]["properties"]) == list(GROUP_FIELDS)
    objects = [SCHEMA, *(definitions[name] for name in ("user", "group", "rejected"))]
    for described in objects:
        assert described["additionalProperties"] is False
        assert described["description"]
        for name, field in described["properties"].items():
            assert field.get("description"), name


@pytest.mark.parametrize("example", SCHEMA["$defs"]["user"]["examples"])
def test_the_example_is_a_user(example: dict[str, Any]) -> None:
    document = whole(users=[example])
    VALIDATOR.validate(document)
    assert parse_accepts(document)


@pytest.mark.parametrize("name", [*USER_FIELDS, *GROUP_FIELDS])
def test_the_examples_of_fields_are_accepted(name: str) -> None:
    for kind, needed in (("user", {"username": "x"}), ("group", {"name": "x"})):
        for example in SCHEMA["$defs"][kind]["properties"].get(name, {}).get("examples", ()):
            document = whole(**{f"{kind}s": [{**needed, name: example}]})
            assert VALIDATOR.is_valid(document) and parse_accepts(document)


def test_the_handwritten_roster_of_the_guide_is_one() -> None:
    guide = Path(ROOT, "docs/roster.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in guide.split("```json\n")[1:]]
    document = next(json.loads(block) for block in blocks if '"format"' in block)
    VALIDATOR.validate(document)
    assert parse_accepts(document)
    for field in (*USER_FIELDS, *GROUP_FIELDS):
        assert f"`{field}`" in guide


@given(rosters())
def test_every_roster_we_write_is_valid(roster: Roster) -> None:
    VALIDATOR.validate(json.loads(serialise(roster)))


def cases(field: str, accepted: bool, *values: Any) -> list[tuple[str, Any, bool]]:
    return [(field, value, accepted) for value in values]


#: Each value stands once in a user with the username "x".
USER_VALUES: list[tuple[str, Any, bool]] = [
    *[(name, None, False) for name in USER_FIELDS],
    *cases("username", True, "x", "a b", "4711", "root", "jürgen", "\u200b", "x" * 1024, "-x", "$6$x"),
    *cases("username", False, "", " ", "\u3000", " x", "x ", "x\n", "a:b", "a\0b", "\x85", "\u2028"),
    *cases("username", False, "x" * 1025, "\ud800", "a\x7fb", 7, True, ["x"], CANARY, "!" + CANARY),
    *cases("uid", True, 0, 1, 1000, 2**31, 2**32 - 2),
    *cases("uid", False, -1, 2**32 - 1, 2**64, 10**400, 1.5, "1000", True, ""),
    *cases("full_name", True, "", " ", "Ä:ö", "a,b", "\u202e", "x" * 1024),
    *cases("full_name", False, "x" * 1025, "a\tb", "a\nb", "\udfff", HASH, 0),
    *cases("email", True, "", " ", "no address"),
    *cases("enabled", True, True, False),
    *cases("enabled", False, 0, 1, "true", "yes", None),
    *cases("enabled", False, []),
    *cases("password_hash", True, HASH, "!", "x", "hello world", "a" * 1024),
    *cases("password_hash", False, "", "a:b", "ü", "a\n", "a" * 1025, 0, [HASH]),
    *cases("groups", True, ["a"], ["a", "a"], ["b", "a"], ["a:b"], [" a"]),
    *cases("groups", True, []),
    *cases("groups", False, "a", {}, [""], [" "], [1], [None], [["a"]], ["a\n"], [HASH]),
    *cases("ssh_public_keys", True, []),
    *cases("ssh_public_keys", True, ["ssh-ed25519 AAAA x"], ["k"] * 2, ["x" * 8192]),
    *cases("ssh_public_keys", False, "k", [""], ["a\nb"], ["x" * 8193], [1], [HASH]),
    *cases("avatar", True, {"path": "/a", "sha256": "0" * 64}),
    *cases("avatar", False, *({"path": "/a", "sha256": text} for text in ("", "0" * 63, "A" * 64, "0" * 64 + "\n"))),
    *cases("avatar", False, {}, {"path": "/a"}, {"path": "", "sha256": "0" * 64}, "/a"),
    ("avatar", {"path": "/a", "sha256": "0" * 64, "size": 1}, False),
    *cases("profile", True, {}, {"a": ""}, {"a": "1\r\n2"}, {"a": "x" * 65536}),
    *cases("profile", False, [], {"a": 1}, {"a": None}, {"": "x"}, {"a\n": "x"}, {"a": "x" * 65537}),
    *cases("profile", False, {"a": "\t"}, {"a": HASH}, {HASH: "a"}),
    ("user", "x", False),
    ("Uid", 1000, False),
]


@pytest.mark.parametrize(("field", "value", "accepted"), USER_VALUES)
def test_schema_and_code_agree_about_a_users_field(field: str, value: Any, accepted: bool) -> None:
    document = whole(users=[{"username": "x", field: value}])
    assert VALIDATOR.is_valid(document) is accepted
    assert parse_accepts(document) is accepted


@pytest.mark.parametrize(
    ("record", "accepted"),
    [
        ({}, False),
        ({"full_name": "x"}, False),
        ({"email": ""}, False),
        ({"email": " \u3000"}, False),
        ({"email": "x@int.example"}, True),
        ({"external_id": "7"}, True),
        ({"id": "7"}, True),
        ({"id": " "}, False),
        ([], False),
        ("x", False),
        (None, False),
    ],
)
def test_schema_and_code_agree_about_what_a_user_needs(record: Any, accepted: bool) -> None:
    document = whole(users=[record])
    assert VALIDATOR.is_valid(document) is accepted
    assert parse_accepts(document) is accepted


def agree(document: Any) -> None:
    assert parse_accepts(document) is VALIDATOR.is_valid(document)


@given(users | good_users)
def test_schema_and_code_agree_about_any_user(record: Any) -> None:
    agree(whole(users=[record]))


@given(groups | good_groups)
def test_schema_and_code_agree_about_any_group(record: Any) -> None:
    agree(whole(groups=[record]))


@given(
    st.fixed_dictionaries(
        {"kind": st.sampled_from(("user", "group", "host")), "field": anything, "reason": anything},
        optional={"id": anything, "name": anything, "record": anything, "uid": anything},
    )
    | json_values
)
def test_schema_and_code_agree_about_any_rejected_record(record: Any) -> None:
    agree(whole(rejected=[record]))


@given(st.sampled_from(sorted(whole())), json_values, st.booleans())
def test_schema_and_code_agree_about_the_top(key: str, value: Any, dropped: bool) -> None:
    document = whole()
    if dropped:
        del document[key]
    elif key in ("users", "groups", "rejected") and isinstance(value, list) and len(value) > 1:
        document[key] = value[:1]  # two of them may be duplicates
    else:
        document[key] = value
    agree(document)
