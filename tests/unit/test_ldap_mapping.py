# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes made fields: rules, templates, values of every kind."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import FieldError
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_ber import Entry
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_directory import attribute_names
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_mapping import UserMapping, to_ascii
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_presets import PRESETS, recognised
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_values import Values, guid_text, sid_text

HASH = "$6$salt$" + "a" * 86
BASE: dict[str, list[str | bytes]] = {"entryUUID": ["id-1"], "uid": ["anna"]}


def values(dn: str = "uid=anna,dc=example", **attributes: Any) -> Values:
    given = {
        name.lower(): [each if isinstance(each, bytes) else each.encode() for each in found]
        for name, found in {**BASE, **attributes}.items()
    }
    return Values(Entry(dn, given), {})


def record(mapping: dict[str, Any], dn: str = "uid=anna,dc=example", **attributes: Any) -> dict[str, Any]:
    rules = {"id": "entryUUID", "username": "uid"}
    return UserMapping(rules, mapping).record(values(dn, **attributes))


#: Name: (rule, attributes, value).
VALUES: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "attribute": ("cn", {"cn": ["Anna"]}, "Anna"),
    "other case": ("CN", {"cn": ["Anna"]}, "Anna"),
    "missing": ("cn", {}, None),
    "blank": ("cn", {"cn": ["  "]}, None),
    "spaces": ("cn", {"cn": [" Anna "]}, "Anna"),
    "unicode": ("cn", {"cn": ["Σοφία"]}, "Σοφία"),
    "first of a list": (["displayName", "cn"], {"cn": ["b"], "displayName": ["a"]}, "a"),
    "second of a list": (["displayName", "cn"], {"cn": ["b"]}, "b"),
    "none of a list": (["displayName", "cn"], {}, None),
    "template": ("{givenName} {sn}", {"givenName": ["Anna"], "sn": ["Weiß"]}, "Anna Weiß"),
    "template with a hole": ("{givenName} {sn}", {"sn": ["Weiß"]}, None),
    "template in a list": (["{givenName} {sn}", "sn"], {"sn": ["Weiß"]}, "Weiß"),
    "transforms": ("{mail|before_at|lower|ascii}", {"mail": ["Jürgen.Weiß@example"]}, "jurgen.weiss"),
    "upper": ("{sn|upper}", {"sn": ["weiß"]}, "WEISS"),
    "nothing before": ("{mail|before_at}", {"mail": ["@example"]}, None),
    "nothing in ascii": ("{sn|ascii}", {"sn": ["李"]}, None),
    "several": ("cn", {"cn": ["b", "a"]}, "a"),
    "several with one in the dn": ("cn", {"cn": ["b", "a"], "dn": "cn=b,dc=x"}, "b"),
    "option": ("cn;lang-de", {"cn;lang-de": ["Anne"], "cn": ["Anna"]}, "Anne"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_field_of_one_value(name: str) -> None:
    rule, attributes, expected = VALUES[name]
    found = record({"full_name": rule}, attributes.pop("dn", "uid=anna,dc=example"), **attributes)
    assert found == {"id": "id-1", "username": "anna", **({} if expected is None else {"full_name": expected})}


def test_lists_numbers_and_profiles() -> None:
    mapping = {"ssh_public_keys": ["sshPublicKey", "other"], "uid": "uidNumber", "profile": {"phone": "tel", "no": "x"}}
    found = record(mapping, sshPublicKey=["b", "a"], uidNumber=["2000"], tel=["1"])
    assert (found["ssh_public_keys"], found["uid"], found["profile"]) == (["b", "a"], 2000, {"phone": "1"})


def test_identifiers_of_active_directory() -> None:
    guid = uuid.UUID("5de3176a-2f4b-4b0f-a3a0-a1a5a0b1c2d3")
    sid = bytes.fromhex("010500000000000515000000") + b"".join(n.to_bytes(4, "little") for n in (1, 2, 3, 500))
    found = record({"id": "objectGUID", "external_id": "objectSid"}, objectGUID=[guid.bytes_le], objectSid=[sid])
    assert (found["id"], found["external_id"]) == (str(guid), "S-1-5-21-1-2-3-500")
    for convert, raw in ((guid_text, b"short"), (sid_text, sid[:-1]), (sid_text, b"")):
        with pytest.raises(ValueError, match="is no"):
            convert(raw)


#: Name: (values of userPassword, hash).
PASSWORDS: dict[str, tuple[list[str | bytes], str | None]] = {
    "crypt": (["{CRYPT}" + HASH], HASH),
    "small": (["{crypt}" + HASH], HASH),
    "ssha": (["{SSHA}c2VjcmV0"], None),
    "clear": (["geheim"], None),
    "bare hash": ([HASH], None),
    "one of several": (["{SSHA}c2VjcmV0", "{CRYPT}" + HASH], HASH),
    "binary": ([b"\xff\xfe"], None),
    "empty": (["{CRYPT}"], None),
}


@pytest.mark.parametrize("name", PASSWORDS)
def test_password_hashes(name: str) -> None:
    stored, expected = PASSWORDS[name]
    assert record({"password_hash": "userPassword"}, userPassword=stored).get("password_hash") == expected
    assert "password_hash" not in record({}, userPassword=stored)


#: Name: (mapping, attributes, field, words).
UNUSABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "binary": ({"full_name": "cn"}, {"cn": [b"\xff\xfe"]}, "full_name", "comes from cn, which is not text"),
    "several names": ({}, {"uid": ["a", "b"]}, "username", "uid, which has 2 values"),
    "several ids": ({}, {"entryUUID": ["a", "b"]}, "id", "2 values"),
    "number": ({"uid": "uidNumber"}, {"uidNumber": ["x1"]}, "uid", "not a decimal number"),
    "guid": ({"id": "objectGUID"}, {"objectGUID": ["short"]}, "id", "no GUID"),
    "profile": ({"profile": {"a": "b"}}, {"b": [b"\xff"]}, "profile", "a: comes from b"),
    "two hashes": (
        {"password_hash": "userPassword"},
        {"userPassword": ["{CRYPT}" + HASH, "{CRYPT}" + HASH[:-1] + "b"]},
        "password_hash",
        "2 values",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_value_that_can_not_be_used(name: str) -> None:
    mapping, attributes, field, words = UNUSABLE[name]
    with pytest.raises(FieldError) as caught:
        record(mapping, **attributes)
    assert (caught.value.field, words in caught.value.reason) == (field, True)
    assert HASH not in caught.value.reason


#: Mapping, words of the error.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"fullname": "cn"}, "mapping has no field fullname"),
    ({"enabled": "x"}, "mapping has no field enabled"),
    ({"username": ""}, "mapping.username is missing"),
    ({"full_name": []}, "not an attribute, a template"),
    ({"full_name": 3}, "not an attribute, a template"),
    ({"full_name": "given name"}, "no attribute's name"),
    ({"home": "/home"}, "no attribute's name"),
    ({"full_name": "{cn|shout}"}, "the transform 'shout'"),
    ({"full_name": "{cn"}, "a brace too many or too few"),
    ({"full_name": "{}"}, "no attribute's name"),
    ({"full_name": "userPassword"}, "would show userPassword"),
    ({"profile": {"pc": "{ms-Mcs-AdmPwd|lower}"}}, "would show ms-Mcs-AdmPwd"),
    ({"profile": {"x": "{unicodePwd}"}}, "would show unicodePwd"),
    ({"password_hash": "{userPassword}"}, "no template"),
    ({"profile": "cn"}, "mapping.profile is not a mapping"),
]


@pytest.mark.parametrize(("mapping", "words"), REFUSED, ids=[words for _mapping, words in REFUSED])
def test_a_mapping_that_can_not_be_meant(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        UserMapping({"id": "entryUUID", "username": "uid"}, mapping)


def test_attributes_that_the_schema_lacks() -> None:
    known = {"entryuuid", "uid", "cn", "mail"}
    mapping = UserMapping(
        {"id": "entryUUID", "username": "uid", "full_name": ["displayName", "cn"], "shell": "loginShell"},
        {"email": "mail"},
    )
    mapping.restrict(lambda name: name.lower() in known)
    assert mapping.attributes() == {"entryUUID", "uid", "cn", "mail"}
    mapping = UserMapping(
        {"id": "entryUUID", "username": "uid"}, {"email": ["mail", "emial"], "full_name": "{cn} {gn}"}
    )
    with pytest.raises(
        SourceError, match=r"no attribute emial \(in mapping.email\), gn \(in mapping.full_name\)|gn .*emial"
    ):
        mapping.restrict(lambda name: name.lower() in known)


def test_other_names_of_an_attribute() -> None:
    aliases = attribute_names([b"( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )", b"( 2.5.4.3 NAME 'cn' )", b"garbage"])
    assert aliases == {"sn": "sn", "surname": "sn", "cn": "cn"}
    entry = Values(Entry("uid=a", {"sn": [b"Wolf"]}), aliases)
    assert (entry.texts("surname"), entry.texts("SN"), entry.texts("cn")) == (["Wolf"], ["Wolf"], [])


def test_to_ascii() -> None:
    assert to_ascii("Łukasz Żółty Ærø Çelik Đặng") == "Lukasz Zolty AEro Celik Dang"


@given(st.dictionaries(st.sampled_from(["cn", "mail", "sn", "uidNumber"]), st.lists(st.binary(max_size=20))), st.text())
def test_garbage_is_a_field_error_or_a_record(attributes: dict[str, list[bytes]], dn: str) -> None:
    rules = {"full_name": ["{cn|ascii} {sn}", "cn"], "email": "{mail|lower}", "uid": "uidNumber"}
    mapping = UserMapping({"id": "entryUUID", "username": "uid"}, rules)
    try:
        found = mapping.record(values(dn, **attributes))
    except FieldError as problem:
        assert problem.field in ("full_name", "email", "uid")
    else:
        assert set(found) <= {"id", "username", "full_name", "email", "uid"}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_rules(name: str) -> None:
    preset = PRESETS[name]
    assert {"id", "username", "email", "uid"} <= set(UserMapping(preset.mapping, {}).rules)
    assert "password_hash" not in preset.mapping


ROOTS: dict[str, tuple[dict[str, list[bytes]], str | None]] = {
    "ad": ({"supportedcapabilities": [b"1.2.840.113556.1.4.800"]}, "active_directory"),
    "389": ({"vendorname": [b"389 Project"]}, "389ds"),
    "ipa": ({"vendorname": [b"389 Project"], "ipatopologyismanaged": [b"on"]}, "freeipa"),
    "openldap": ({"objectclass": [b"top", b"OpenLDAProotDSE"]}, "openldap"),
    "other": ({"vendorname": [b"Somebody"]}, None),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_directory_is_recognised(name: str) -> None:
    attributes, preset = ROOTS[name]
    assert recognised(Entry("", attributes)) == preset
