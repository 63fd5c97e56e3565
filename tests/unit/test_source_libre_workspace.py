# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Libre Workspace portal's answers, made rosters: what was recorded of it, and how it is asked."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import RosterError, SourceError
from ansible_collections.identity.roster.plugins.module_utils._http import HttpSettings
from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse, serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.model import User
from ansible_collections.identity.roster.plugins.module_utils._sources.ids import IdSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.libre_workspace import (
    PortalSettings,
    base_url,
    fetch,
    read,
)
from tests.servers.libre_workspace import FIXTURES, Portal
from tests.servers.scripted import Scripted
from tests.unit.libre_workspace import (
    ADMINISTRATORS,
    BASE,
    HASH,
    MITARBEITER,
    PERSON,
    SHOP,
    capture,
    reading,
    rejected,
    settings,
    users,
)

# What was recorded.

LATER = set("leerzeichen ohnename anna.schmidt nohash2 max.muster-mann gesperrt obrien neu chef mehrfach".split())
SHIPPED = LATER | {"Administrator"}
STRANGE_GROUPS = {"Shop Administrators": "name", "Projekt Größe (2)": "name", "Externe Mitarbeiter": "name"}
NO_UID = {"p.mueller": "uid", "k.klein": "uid", "Kapital": "uid"}
CONTACT = "4f11966ddd783d40b349c16d272d912f"
OWN_UID: dict[str, tuple[set[str], dict[str, str]]] = {
    # Accepted and rejected with names of ASCII letters only and the portal's own uids.
    "00": (set(), {"Administrator": "uid"}),
    "01": (set(), {**dict.fromkeys(SHIPPED, "uid"), "4711": "username", "jürgen": "username"}),
    "02": (
        set(),
        {**dict.fromkeys(SHIPPED, "uid"), "4711": "username", "jürgen": "username", CONTACT: "username", **NO_UID},
    ),
    "04": (SHIPPED, {"4711": "username", "jürgen": "username", **NO_UID}),
    "05": (SHIPPED, {"4711": "username", "jürgen": "username", **NO_UID}),
    "06": (SHIPPED - {"ohnename"}, {"4711": "username", "jürgen": "username", **NO_UID}),
    "08": (SHIPPED, {"4711": "username", "jürgen": "username", **NO_UID}),
}
SHARED = ("01", "02")
OWN_GID: dict[str, tuple[set[str], dict[str, str]]] = {
    "00": (set(), {}),
    "01": (set(), {"mitarbeiter": "gid", "vertrieb": "gid", "projekt.x-2": "gid", "büro": "name"}),
    "02": (set(), {"mitarbeiter": "gid", "vertrieb": "gid", "projekt.x-2": "gid", "büro": "name", **STRANGE_GROUPS}),
    "04": ({"mitarbeiter", "vertrieb", "projekt.x-2"}, {"büro": "name", **STRANGE_GROUPS}),
    "05": ({"mitarbeiter", "vertrieb", "projekt.x-2"}, {"büro": "name", **STRANGE_GROUPS}),
    "06": ({"mitarbeiter", "projekt.x-2"}, {"büro": "name", **STRANGE_GROUPS}),
    "08": ({"mitarbeiter", "projekt.x-2"}, {"büro": "name", **STRANGE_GROUPS}),
}


@pytest.mark.parametrize("number", OWN_UID)
@pytest.mark.parametrize("unicode", [False, True], ids=["ascii", "unicode"])
@pytest.mark.parametrize("policy", ["source", "derive"])
def test_who_of_a_capture_is_accepted(number: str, unicode: bool, policy: str) -> None:
    roster = reading(capture(number), policy, allow_unicode_names=unicode).roster
    accepted, refused = (set(OWN_UID[number][0]), dict(OWN_UID[number][1]))
    groups, refused_groups = (set(OWN_GID[number][0]), dict(OWN_GID[number][1]))
    if policy == "derive":
        accepted |= {name for name, field in refused.items() if field == "uid"}
        refused = {name: field for name, field in refused.items() if field != "uid"}
        groups |= {name for name, field in refused_groups.items() if field == "gid"}
        refused_groups = {name: field for name, field in refused_groups.items() if field != "gid"}
    for everyone, bad, name, field in ((accepted, refused, "jürgen", "uid"), (groups, refused_groups, "büro", "gid")):
        if unicode and name in bad:
            del bad[name]
            if policy == "source" and number in SHARED:
                bad[name] = field
            else:
                everyone.add(name)
    assert set(users(roster)) == accepted
    assert rejected(roster) == refused
    assert {group.name for group in roster.groups} == groups
    assert rejected(roster, "group") == refused_groups


def test_every_rejected_user_of_a_capture_can_be_recognised() -> None:
    for number in (*OWN_UID, "10"):
        records = {record["guid"]: record["username"] for record in json.loads(capture(number))}
        roster = reading(capture(number)).roster
        found = {entry.id: entry.name or "" for entry in roster.rejected if entry.kind == "user"}
        found.update({user.id: user.username or "" for user in roster.users})
        assert found == records


def test_the_large_capture() -> None:
    got = reading(capture("10"))
    assert (got.records, len(got.roster.users), len(got.roster.groups)) == (316, 311, 14)
    assert rejected(got.roster) == {"4711": "username", "jürgen": "username", **NO_UID}
    assert len(reading(capture("10"), "derive").roster.users) == 314
    assert len(reading(capture("10"), "derive", allow_unicode_names=True).roster.users) == 315


def test_a_person_as_the_portal_describes_her() -> None:
    got = reading(capture("04")).roster
    anna = users(got)["anna.schmidt"]
    record = next(each for each in json.loads(capture("04")) if each["username"] == "anna.schmidt")
    assert anna == User(
        id=record["guid"],
        username="anna.schmidt",
        uid=10001,
        full_name="Anna Schmidt",
        email="anna.schmidt@int.de",
        enabled=True,
        admin=False,
        password_hash=record["yescrypt_hash"],
        # büro is rejected as a group: its name stays, so that targets leave the membership alone.
        groups=("büro", "mitarbeiter", "projekt.x-2", "vertrieb"),
    )
    assert users(got)["leerzeichen"].full_name is None
    assert users(got)["leerzeichen"].email is None
    assert users(got)["neu"].password_hash is None
    assert users(got)["obrien"].full_name == 'Seán O\'Brien, Jr. (Ärzte) "Q"'
    assert users(got)["chef"].groups == ("mitarbeiter",)
    vertrieb = next(group for group in got.groups if group.name == "vertrieb")
    assert (vertrieb.gid, vertrieb.description) == (1000002, "Vertrieb & Marketing")
    assert next(group for group in got.groups if group.name == "projekt.x-2").description is None
    assert got.source == {"kind": "libre_workspace", "url": BASE}


def test_a_disabled_person_keeps_the_hash() -> None:
    got = users(reading(capture("05")).roster)["mehrfach"]
    assert got.enabled is False
    assert got.password_hash is not None


def test_a_person_created_again_under_the_same_name_is_another() -> None:
    before, after = (users(reading(capture(number)).roster)["ohnename"] for number in ("05", "08"))
    assert before.password_hash == after.password_hash
    assert before.id != after.id


def test_shell_text_is_data() -> None:
    got = users(reading(capture("08")).roster)["anna.schmidt"]
    assert got.full_name == "Anna'; touch /root/marker_from_display_name; id > /root/marker_from_display_name; echo '"


def test_a_portal_as_shipped_is_told_apart_by_one_warning() -> None:
    shared, none = reading(capture("02")).warnings
    assert "12 of 12 people the same uid 10001 and 5 of 5 groups the same gid 1000001" in shared
    assert "uid_policy=derive and gid_policy=derive" in shared
    assert "none of the portal's 17 records" in none
    mixed = PortalSettings(ids=IdSettings(uid_policy="derive"))
    got = read(capture("02"), BASE, mixed)
    assert len(got.roster.users) == 14
    assert [warning for warning in got.warnings if "uid" in warning] == []
    assert "Set gid_policy=derive:" in got.warnings[0]
    assert not any("same uid" in warning for warning in reading(capture("04")).warnings)
    assert reading(capture("01"), "derive").warnings == ()


def test_all_who_share_a_uid_are_rejected_also_with_one_who_is_rejected_anyway() -> None:
    records = [
        {**PERSON, "guid": str(number), "username": name, "mail": ""} for number, name in enumerate(("anna", "4711"))
    ]
    got = reading(records).roster
    assert rejected(got) == {"anna": "uid", "4711": "username"}
    assert "shared by 2 records: 4711, anna" in {entry.reason[3:] for entry in got.rejected}


# Administrators.


@pytest.mark.parametrize(
    ("number", "admin_groups", "admins", "unmet"),
    [
        ("04", None, {"Administrator", "chef", "nohash2"}, 0),
        ("05", None, {"Administrator", "nohash2"}, 0),
        ("04", [], set(), 0),
        ("04", [ADMINISTRATORS], {"Administrator", "chef"}, 0),
        ("05", [ADMINISTRATORS], {"Administrator"}, 0),
        ("04", ["cn=administrators , cn=BUILTIN,dc=int,  dc=de "], {"Administrator", "chef"}, 0),
        ("04", ["CN=Administrators,CN=Builtin,DC=other,DC=de"], set(), 1),
        ("04", [SHOP], {"nohash2"}, 0),
        ("04", [ADMINISTRATORS, SHOP.upper()], {"Administrator", "chef", "nohash2"}, 0),
        ("04", ["CN=vertrieb,CN=Users,DC=int,DC=de"], {"anna.schmidt", "mehrfach"}, 0),
        ("04", ["CN=büro, CN=Users, DC=int, DC=de"], {"anna.schmidt"}, 0),
        ("04", ["CN=Vertrieb,OU=x,CN=Users,DC=int,DC=de", ADMINISTRATORS], {"Administrator", "chef"}, 1),
    ],
)
def test_administrators(number: str, admin_groups: list[str] | None, admins: set[str], unmet: int) -> None:
    got = reading(capture(number), admin_groups=admin_groups)
    assert {name for name, user in users(got.roster).items() if user.admin} == admins
    assert sum("nobody in the portal's answer is in it" in warning for warning in got.warnings) == unmet
    by_name = ["nohash2"] if admin_groups is None else []
    assert got.details == {"admins_by_name": by_name}
    assert any("Shop Administrators" in warning for warning in got.warnings) is bool(by_name)


@pytest.mark.parametrize("dn", ["", "  ", "it", "CN", "CN=", "=x", "CN= ,DC=x"])
def test_an_admin_group_that_is_no_dn_is_an_error(dn: str) -> None:
    with pytest.raises(SourceError, match="admin_groups"):
        settings(admin_groups=[dn]).check()


def test_an_escaped_comma_parts_nothing() -> None:
    group = {**MITARBEITER, "dn": r"CN=a\,b,DC=int", "cn": "it"}
    record = {**PERSON, "groups": [group]}
    for dn, admin in ((r"cn=A\,b , dc=int", True), (r"CN=a\, b,DC=int", False), ("CN=a,b,DC=int", False)):
        assert reading([record], admin_groups=[dn]).roster.users[0].admin is admin


# Answers as a whole.


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b'[{"a": 1}',
        b"[]]",
        b"null",
        b"{}",
        b'"x"',
        b"7",
        b'{"results": []}',
        b"[NaN]",
        b"[Infinity]",
        b'[{"a": 1, "a": 2}]',
        b"\xff[]",
        b"\xef\xbb\xbf[]",
        b"[" * 100_000,
        b"[" + b"1" * 10_000,
        b"<html>",
        HASH.encode(),
    ],
)
def test_what_is_no_complete_list_is_an_error(content: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        reading(content, allow_empty=True)
    assert HASH not in str(caught.value)


def test_nobody_at_all_is_believed_only_when_asked_for() -> None:
    with pytest.raises(SourceError, match=r"LDAP is switched off in the portal.*allow_empty=true"):
        reading([])
    got = reading([], allow_empty=True)
    assert (got.records, got.roster.users, got.roster.rejected, got.warnings) == (0, (), (), ())


@pytest.mark.parametrize("policy", ["source", "derive"])
@pytest.mark.parametrize("number", ["02", "04", "10"])
def test_the_order_of_the_records_does_not_matter(number: str, policy: str) -> None:
    records = json.loads(capture(number))
    expected = reading(records, policy)
    for seed in range(5):
        random.Random(seed).shuffle(records)
        for record in records:
            random.Random(seed).shuffle(record["groups"])
        got = reading(records, policy)
        assert serialise(got.roster) == serialise(expected.roster)
        assert (got.warnings, got.details) == (expected.warnings, expected.details)


@pytest.mark.parametrize("number", [*OWN_UID, "10"])
@pytest.mark.parametrize("policy", ["source", "derive"])
def test_a_written_roster_reads_back_the_same(number: str, policy: str) -> None:
    roster = reading(capture(number), policy).roster
    assert parse(serialise(roster)) == roster


# The request.


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://portal.example.org", BASE),
        (" HTTPS://Portal.example.org/ ", BASE),
        ("https://portal.example.org/api/linux_users/", BASE),
        ("https://portal.example.org/api/linux_users", BASE),
        ("https://portal.example.org:8443/sub/api/linux_users/", BASE + ":8443/sub"),
        ("https://portal.example.org/sub/", BASE + "/sub"),
    ],
)
def test_the_portals_own_address(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url", ["", "portal", "http://portal.example.org", "https://me:geheim@portal", "https://portal?key=geheim"]
)
def test_an_address_that_is_refused(url: str) -> None:
    with pytest.raises(RosterError) as caught:
        base_url(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "/api/linux_users", "/api/linux_users/"])
def test_one_request_fetches_everything(path: str) -> None:
    with Portal(capture="04") as portal:
        got = fetch(portal.url + path, portal.api_key + "\n", HttpSettings(), settings())
        assert [request.path for request in portal.requests] == ["/api/linux_users/"]
        assert got.roster.source["url"] == portal.url
    assert len(got.roster.users) == 11


@pytest.mark.parametrize("key", ["", " ", "a b", "kéy", "a\nb", "a\x1bb"])
def test_a_key_that_can_be_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SourceError, match="api_key") as caught:
        fetch(BASE, key, HttpSettings(), settings())
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize("case", sorted(path.stem for path in Path(FIXTURES, "errors").glob("*.http")))
def test_every_recorded_refusal_is_an_error(case: str) -> None:
    head, _end, body = Path(FIXTURES, "errors", f"{case}.http").read_bytes().partition(b"\r\n\r\n")
    if b"chunked" in head:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    padded = body.ljust(145) if b"Content-Length: 145" in head else body
    with Scripted(head + b"\r\n\r\n" + padded) as server:
        with pytest.raises(RosterError) as caught:
            fetch(server.url, "key", HttpSettings(retries=0), settings())
        assert server.url in str(caught.value)
