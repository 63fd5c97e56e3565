# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of a Libre Workspace portal that nobody has seen yet, and the ids that people and groups get."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ansible_collections.identity.roster.plugins.doc_fragments.ids import ModuleDocFragment
from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._sources.ids import IdSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.libre_workspace import (
    PortalSettings,
    read,
)
from tests.unit.libre_workspace import (
    BASE,
    HASH,
    MITARBEITER,
    PERSON,
    capture,
    one,
    reading,
    users,
)

# Records that nobody has seen yet.


@pytest.mark.parametrize("key", PERSON)
def test_a_missing_key_rejects_the_record(key: str) -> None:
    got = reading([{name: value for name, value in PERSON.items() if name != key}]).roster
    assert got.users == ()
    assert got.rejected[0].field == key
    assert "is missing" in got.rejected[0].reason


def test_an_additional_key_is_ignored() -> None:
    assert one(shiny={"new": [1]}).roster == one().roster


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"guid": ""}, "id"),
        ({"guid": None}, "id"),
        ({"guid": 7}, "id"),
        ({"guid": "a\nb"}, "id"),
        ({"username": None}, "username"),
        ({"username": "a:b"}, "username"),
        ({"username": " anna"}, "username"),
        ({"username": "a/b"}, "username"),
        ({"username": "-anna"}, "username"),
        ({"username": "root"}, "username"),
        ({"username": "ROOT"}, "username"),
        ({"username": "games"}, "username"),
        ({"username": "4711"}, "username"),
        ({"username": "jürgen"}, "username"),
        ({"username": "x" * 33}, "username"),
        ({"username": HASH}, "username"),
        ({"dn": None}, "dn"),
        ({"display_name": 5}, "full_name"),
        ({"display_name": "a\nb"}, "full_name"),
        ({"display_name": "a:b"}, "full_name"),
        ({"display_name": HASH}, "full_name"),
        ({"mail": ["a@b"]}, "email"),
        ({"mail": "a\0b"}, "email"),
        ({"enabled": None}, "enabled"),
        ({"enabled": "true"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"admin": None}, "admin"),
        ({"admin": 0}, "admin"),
        ({"uidNumber": 10001}, "uid"),
        ({"uidNumber": None}, "uid"),
        ({"uidNumber": ""}, "uid"),
        ({"uidNumber": "-1"}, "uid"),
        ({"uidNumber": "0x10"}, "uid"),
        ({"uidNumber": " 10001"}, "uid"),
        ({"uidNumber": "010001"}, "uid"),
        ({"uidNumber": "1" * 5000}, "uid"),
        ({"uidNumber": "٣٣٣٣"}, "uid"),
        ({"uidNumber": "0"}, "uid"),
        ({"uidNumber": "999"}, "uid"),
        ({"uidNumber": "65534"}, "uid"),
        ({"uidNumber": "4294967295"}, "uid"),
        ({"yescrypt_hash": ""}, "password_hash"),
        ({"yescrypt_hash": "geheim"}, "password_hash"),
        ({"yescrypt_hash": HASH + ":0"}, "password_hash"),
        ({"yescrypt_hash": "!" + HASH}, "password_hash"),
        ({"yescrypt_hash": [HASH]}, "password_hash"),
        ({"groups": None}, "groups"),
        ({"groups": {}}, "groups"),
        ({"groups": ["it"]}, "groups"),
        ({"groups": [{"cn": "it"}]}, "groups"),
        ({"groups": [{**MITARBEITER, "cn": 5}]}, "groups"),
    ],
)
def test_a_field_that_can_not_be_used_rejects_the_record(fields: dict[str, Any], field: str) -> None:
    good = {**PERSON, "guid": "2", "username": "berta", "uidNumber": "10002", "mail": ""}
    got = reading([{**PERSON, **fields}, good]).roster
    assert [user.username for user in got.users] == ["berta"]
    (entry,) = [entry for entry in got.rejected if entry.kind == "user"]
    assert entry.field == field
    assert HASH not in str(entry)
    assert "geheim" not in entry.reason
    assert entry.id == (PERSON["guid"] if "guid" not in fields else None)


@pytest.mark.parametrize("blank", ["", " ", "\t", None])
def test_blank_is_absent(blank: Any) -> None:
    (user,) = one(mail=blank, display_name=blank, yescrypt_hash=None).roster.users
    assert (user.email, user.full_name, user.password_hash) == (None, None, None)


@pytest.mark.parametrize("record", [None, 5, "anna", [], [PERSON], True])
def test_a_record_that_is_no_mapping_is_rejected(record: Any) -> None:
    got = reading([record, PERSON])
    assert (got.records, len(got.roster.users)) == (2, 1)
    assert got.roster.rejected[0].field == "record"


def test_a_record_without_name_and_guid_is_called_by_its_dn() -> None:
    (entry,) = one(guid=None, username=None).roster.rejected
    assert (entry.id, entry.name, entry.record) == (None, None, PERSON["dn"])


def test_duplicates_are_all_rejected() -> None:
    other = {**PERSON, "guid": "2", "username": "berta", "uidNumber": "10002", "mail": "berta@int.de"}
    for fields in ({"guid": PERSON["guid"]}, {"username": "ANNA"}, {"uidNumber": "10001"}, {"mail": "Anna@int.de "}):
        got = reading([PERSON, {**other, **fields}]).roster
        assert got.users == (), fields
        assert len(got.rejected) == 2


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ({"gidNumber": ""}, "gid"),
        ({"gidNumber": None}, "gid"),
        ({"gidNumber": 5}, "gid"),
        ({"gidNumber": "100"}, "gid"),
        ({"cn": "sudo"}, "name"),
        ({"cn": "audio"}, "name"),
        ({"cn": "4711"}, "name"),
        ({"cn": "a b"}, "name"),
        ({"cn": "büro"}, "name"),
        ({"description": {}}, None),
        ({"description": 7}, "description"),
        ({"description": "a\0b"}, "description"),
        ({"description": "two\nlines"}, None),
    ],
)
def test_a_group_is_rejected_alone_and_stays_named(group: dict[str, Any], field: str | None) -> None:
    got = one(groups=[{**MITARBEITER, **group}]).roster
    name = group.get("cn", "it")
    assert got.users[0].groups == (name,)
    assert [entry.field for entry in got.rejected] == ([field] if field else [])
    assert [each.name for each in got.groups] == ([] if field else [name])


@pytest.mark.parametrize("name", ["it\nCNF:4f11966d", "", " ", HASH, "x" * 2000, "\ud800"])
def test_a_group_that_no_roster_can_name_costs_its_members_nothing(name: str) -> None:
    odd = {**MITARBEITER, "dn": r"CN=it\0ACNF:4f11966d,CN=Users,DC=int,DC=de", "cn": name, "gidNumber": "1000009"}
    got = one(groups=[MITARBEITER, odd]).roster
    assert got.users[0].groups == ("it",)
    (entry,) = got.rejected
    assert (entry.kind, entry.record, entry.field) == ("group", odd["dn"], "name")
    assert HASH not in str(entry)


def test_groups_that_only_rejected_people_name_exist() -> None:
    roster = one(username="root").roster
    assert roster.users == ()
    assert [group.name for group in roster.groups] == ["it"]


def test_two_groups_of_one_name_are_both_rejected() -> None:
    other = {**MITARBEITER, "dn": "CN=it,OU=x,DC=int,DC=de", "gidNumber": "1000002"}
    for twin in (other, {**other, "gidNumber": MITARBEITER["gidNumber"]}, {**other, "cn": "IT"}):
        got = one(groups=[MITARBEITER, twin]).roster
        assert [entry.kind for entry in got.rejected] == ["group", "group"]
        assert got.groups == ()


# Ids.


def test_derived_ids_do_not_look_at_the_portals() -> None:
    shipped = {user.id: user.uid for user in reading(capture("02"), "derive").roster.users}
    mended = {user.id: user.uid for user in reading(capture("04"), "derive").roster.users}
    assert len(set(shipped.values())) == 14
    assert shipped == mended
    nonsense = [{**PERSON, "uidNumber": {"no": "number"}, "groups": [{**MITARBEITER, "gidNumber": -1}]}]
    assert reading(nonsense, "derive").roster.rejected == ()


def test_derived_ids_do_not_depend_on_who_is_rejected() -> None:
    ids = IdSettings("derive", "derive", (20000, 20019), (30000, 30009))
    records = json.loads(capture("02"))
    before = read(json.dumps(records).encode(), BASE, PortalSettings(ids=ids)).roster
    for record in records:
        record["enabled"] = record["enabled"] if record["username"] in ("anna.schmidt", "chef") else None
    after = read(json.dumps(records).encode(), BASE, PortalSettings(ids=ids)).roster
    assert set(users(after)) == {"anna.schmidt", "chef"}
    assert all(users(before)[name] == user for name, user in users(after).items())
    assert before.groups == after.groups


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"uid_range": (20000, 19999)}, "uid_range begins with 20000"),
        ({"gid_range": (2, 1)}, "gid_range begins"),
        ({"uid_range": (20000,)}, "uid_range needs two numbers"),
        ({"gid_range": ()}, "gid_range needs two numbers"),
        ({"uid_range": (0, 5000)}, "system accounts"),
        ({"uid_range": (-5, 5000)}, "outside"),
        ({"uid_range": (60000, 70000)}, "reserved"),
        ({"gid_range": (2147450000, 2**31)}, "negative"),
        ({"gid_range": (2**33, 2**34)}, "outside"),
        ({"uid_range": (20000, 30000), "gid_range": (30000, 40000)}, "overlap"),
        ({"gid_range": (1879048192, 1879048192)}, "overlap"),
    ],
)
def test_a_range_that_can_not_be_given_out_is_an_error(ranges: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        IdSettings(**ranges).check()


def test_ranges() -> None:
    IdSettings().check()
    IdSettings(uid_range=(20000, 20000), gid_range=(20001, 20001)).check()
    small = PortalSettings(ids=IdSettings("derive", "derive", (20000, 20003), (30000, 30009)))
    with pytest.raises(SourceError, match="uid_range is too small: 20000 to 20003 holds 4 ids, and 17 are needed"):
        read(capture("02"), BASE, small)


def test_the_documented_ranges_are_the_defaults() -> None:
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert tuple(options["uid_range"]["default"]) == IdSettings.uid_range
    assert tuple(options["gid_range"]["default"]) == IdSettings.gid_range
