# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory's entries made a roster, without a directory: what real ones can't be made to hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._sources import ldap
from ansible_collections.identity.roster.plugins.module_utils._sources.ids import DERIVE, IdSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_ber import Entry
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_connection import ConnectionSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_members import GroupSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.reading import Reading

BASE = "ou=people,dc=a"
GROUPS = GroupSettings(base_dn="ou=groups,dc=a")


class Tree:
    """Answers as a Directory does, from memory; searches by their base alone."""

    url = "ldap://tree:389"

    def __init__(self, entries: Sequence[Entry], preset: str | None = "openldap", known: bool = True) -> None:
        self.entries = list(entries)
        self.preset = preset
        self.aliases = {"known": "known"} if known else {}
        self.looked_up: list[str] = []

    def knows(self, attribute: str) -> bool:
        return True

    def search(self, what: str, base: str, scope: str, filter_: str, attributes: Sequence[str]) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.dn.endswith(base))

    def look_up(self, dns: Sequence[str], attributes: Sequence[str]) -> Iterator[tuple[str, Entry | None]]:
        for dn in dns:
            self.looked_up.append(dn)
            yield dn, next((entry for entry in self.entries if entry.dn == dn), None)


def entry(dn: str, **attributes: Any) -> Entry:
    listed = {name.lower(): found if isinstance(found, list) else [found] for name, found in attributes.items()}
    return Entry(dn, {name: [_raw(each) for each in found] for name, found in listed.items()})


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def person(name: str, **attributes: Any) -> Entry:
    return entry(f"uid={name},{BASE}", **{"uid": name, "entryUUID": f"id-{name}", **attributes})


def group(name: str, *members: str, **attributes: Any) -> Entry:
    return entry(f"cn={name},ou=groups,dc=a", cn=name, member=list(members), **attributes)


def read(tree: Tree, **options: Any) -> Reading:
    connection = ConnectionSettings(["ldap://tree"])
    settings = ldap.DirectorySettings(connection, BASE, **options)
    return ldap._read(tree, settings)  # type: ignore[arg-type]


def groups_of(reading: Reading) -> dict[str | None, tuple[str, ...] | None]:
    return {user.username: user.groups for user in reading.roster.users}


def test_records_that_can_not_be_used_are_rejected_alone() -> None:
    people = [
        person("anna"),
        person("binary", cn=b"\xff"),
        person("number", uidNumber="many"),
        person("noid", entryUUID=[]),
        entry(f"cn=nobody,{BASE}", cn="nobody"),
        person("twice1", mail="same@a"),
        person("twice2", mail="SAME@a"),
        person("expires", shadowExpire="soon"),
    ]
    reading = read(Tree(people))
    assert [user.username for user in reading.roster.users] == ["anna"]
    found = {(each.name, each.id, each.record, each.field) for each in reading.roster.rejected}
    assert found == {
        ("binary", "id-binary", None, "full_name"),
        ("number", "id-number", None, "uid"),
        ("noid", None, None, "id"),
        (None, None, f"cn=nobody,{BASE}", "id"),
        ("twice1", "id-twice1", None, "email"),
        ("twice2", "id-twice2", None, "email"),
        ("expires", "id-expires", None, "enabled"),
    }
    assert reading.records == 8


def test_derived_ids_do_not_move_when_a_record_becomes_usable() -> None:
    ids = IdSettings(uid_policy=DERIVE, gid_policy=DERIVE)
    people = [person(f"user{number}") for number in range(20)]
    before = {user.id: user.uid for user in read(Tree(people), ids=ids).roster.users}
    broken = [*people[:-1], person("user19", shadowExpire="soon")]
    after = {user.id: user.uid for user in read(Tree(broken), ids=ids).roster.users}
    assert after == {key: uid for key, uid in before.items() if key != "id-user19"}


def test_members_outside_are_followed_to_groups_inside() -> None:
    inner = entry("cn=inner,dc=elsewhere", member=[f"UID=Anna , {BASE}", "cn=machine,dc=elsewhere"])
    machine = entry("cn=machine,dc=elsewhere", cn="machine")
    tree = Tree([person("anna"), group("outer", "cn=inner,dc=elsewhere"), inner, machine])
    assert groups_of(read(tree, groups=GROUPS)) == {"anna": ("outer",)}
    assert tree.looked_up == ["cn=inner,dc=elsewhere", "cn=machine,dc=elsewhere"]


def test_a_member_that_is_not_shown_is_an_error() -> None:
    tree = Tree([person("anna"), group("outer", "cn=gone,dc=a")])
    with pytest.raises(SourceError, match="does not show 'cn=gone,dc=a'"):
        read(tree, groups=GROUPS)
    with pytest.raises(SourceError, match="is no DN"):
        read(Tree([person("anna"), group("outer", "gone")]), groups=GROUPS)


@pytest.mark.parametrize("membership", ["member", "memberUid", "memberOf"])
def test_members_that_are_no_text_are_an_error(membership: str) -> None:
    broken = entry("cn=broken,ou=groups,dc=a", cn="broken", **{membership: b"\xff"})
    settings = GroupSettings(base_dn=GROUPS.base_dn, membership=membership)
    with pytest.raises(SourceError, match=r"the members of 'cn=broken.*is not text"):
        read(Tree([person("anna"), broken]), groups=settings)
    if membership == "member":
        outside = entry("cn=far,dc=elsewhere", member=b"\xff")
        with pytest.raises(SourceError, match=r"the members of 'cn=far.*is not text"):
            read(Tree([person("anna"), group("outer", "cn=far,dc=elsewhere"), outside]), groups=settings)


def test_no_group_at_all_is_an_error() -> None:
    tree = Tree([person("anna")])
    with pytest.raises(SourceError, match="shows no group below 'ou=groups,dc=a'"):
        read(tree, groups=GROUPS)
    assert groups_of(read(tree, groups=GROUPS, allow_empty=True)) == {"anna": ()}
    assert groups_of(read(tree)) == {"anna": None}


def test_a_group_is_not_named_by_its_password() -> None:
    groups = GroupSettings(name="userPassword;binary")
    with pytest.raises(SourceError, match=r"groups\.name would show userPassword"):
        ldap.DirectorySettings(ConnectionSettings(["ldap://tree"]), BASE, groups=groups).check()


@pytest.mark.parametrize("url", ["ldap://tree:3268", "ldaps://tree:3269"])
def test_a_global_catalog_is_not_asked_for_groups(url: str) -> None:
    settings = ldap.DirectorySettings(ConnectionSettings([url]), BASE, groups=GROUPS)
    with pytest.raises(SourceError, match="is a global catalog"):
        settings.check()
    ldap.DirectorySettings(ConnectionSettings([url]), BASE).check()


def test_primary_groups_of_active_directory() -> None:
    def sid(last: int) -> bytes:
        return bytes.fromhex("0102000000000005") + (21).to_bytes(4, "little") + last.to_bytes(4, "little")

    def account(name: str, number: int, primary: str) -> Entry:
        guid = uuid.UUID(int=number).bytes_le
        own = {"objectGUID": guid, "objectSid": sid(number), "primaryGroupID": primary, "userAccountControl": "512"}
        return entry(f"cn={name},{BASE}", sAMAccountName=name, **own)

    first = entry("cn=Users,ou=groups,dc=a", sAMAccountName="Users", objectSid=sid(513), cn="Users")
    above = entry("cn=All,ou=groups,dc=a", sAMAccountName="All", objectSid=sid(9), member=["CN=users,ou=groups,dc=a"])
    tree = Tree([account("anna", 1001, "513"), account("ben", 1002, "514"), first, above], "active_directory")
    assert groups_of(read(tree, groups=GROUPS)) == {"anna": ("All", "Users"), "ben": ()}


def test_administrators_by_name_and_by_dn() -> None:
    tree = Tree([person("anna"), person("ben"), group("IT", f"uid=anna,{BASE}"), group("hr", f"uid=ben,{BASE}")])
    for wanted, expected in ((["it"], {"anna"}), (["CN=Hr, OU=groups,DC=a", "IT"], {"anna", "ben"}), ([], set())):
        reading = read(tree, groups=GROUPS, admin_groups=wanted)
        assert {user.username for user in reading.roster.users if user.admin} == expected
        assert {user.admin for user in reading.roster.users} <= {True, False}
    with pytest.raises(SourceError, match="admin_groups names 'its', which is none of the 2 groups"):
        read(tree, groups=GROUPS, admin_groups=["its"])
    assert {user.admin for user in read(tree, groups=GROUPS).roster.users} == {None}


def test_what_the_order_of_answers_changes() -> None:
    entries = [
        person("anna", cn=["b", "a"]),
        person("ben"),
        group("x", f"uid=anna,{BASE}"),
        group("y", f"uid=ben,{BASE}"),
    ]
    assert read(Tree(entries), groups=GROUPS).roster == read(Tree(entries[::-1]), groups=GROUPS).roster


def test_directories_that_say_little() -> None:
    with pytest.raises(SourceError, match="does not say what it is: set preset"):
        read(Tree([person("anna")], preset=None))
    with pytest.raises(SourceError, match="shows nobody below"):
        read(Tree([]))
    assert read(Tree([]), allow_empty=True).roster.users == ()
    (warning,) = read(Tree([person("anna")], known=False)).warnings
    assert "does not show its schema" in warning
    (warning,) = read(Tree([person("anna", uidNumber="x")])).warnings
    assert "none of the directory's 1 people can be used" in warning
