# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real module, run by Ansible on this machine against real directories: slapd, 389 Directory Server, Samba."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster, User
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_connection import (
    ConnectionSettings,
    open_connection,
)
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_directory import Directory
from tests.playbook.run import Run, run_playbook
from tests.servers.directories.people import (
    CRYPT_HASH,
    EXPECTED,
    FORTY,
    GROUPS,
    KINDS,
    LIMITED,
    PASSWORD,
    READER,
    SPECIAL,
    SUFFIX,
    Kind,
)
from tests.servers.directories.proxy import proxy
from tests.servers.directories.server import DirectoryServer, directories, directory, free_address
from tests.servers.tls import Pair, issue, make_ca

MODULE = "identity.roster.ldap_info"
OPTIONS = """
    server_url start_tls allow_plaintext validate_certs ca_path bind_method bind_dn bind_password bind_password_file
    client_cert client_key base_dn scope filter page_size timeout preset mapping groups admin_groups disabled
    dest allow_empty uid_policy gid_policy uid_range gid_range
""".split()
KEYS = {"changed", "dest", "counts", "roster_digest", "rejected", "difference", "server", "preset", "fetched_at"}
NOTHING = dict.fromkeys(("records", "users", "groups", "rejected", "enabled", "disabled", "admins"), 0)

Runner = Callable[..., Run]
Servers = dict[Kind, DirectoryServer]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="real directories need root: mounts and namespaces")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def servers(authority: Pair) -> Iterator[Servers]:
    addresses: dict[Kind, str] = {kind: free_address() for kind in KINDS}
    certificates = {kind: issue(authority, [addresses[kind]], name=kind) for kind in KINDS}
    with directories(KINDS, certificates, addresses=addresses) as started:
        yield {server.kind: server for server in started}
    for address in addresses.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, 389), timeout=5)


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Run the module once for each case, all at the same time; a case is a mapping of the module's options."""
    folder = tmp_path_factory.mktemp("play")

    def run_cases(cases: Mapping[str, Mapping[str, Any]], **options: Any) -> Run:
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {name: {**here, "asked": dict(case)} for name, case in cases.items()}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        given = {name: f"{{{{ asked.{name} | default(omit) }}}}" for name in OPTIONS}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "Read the directory", MODULE: given}]}
        (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
        done = run_playbook(folder / "play.yml", folder / "hosts.json", {}, **options)
        assert set(done.of(MODULE)) == set(cases), done.output
        return done

    return run_cases


@pytest.fixture
def clear(servers: Servers, tmp_path: Path) -> dict[str, Any]:
    """Options for slapd in clear text, for what has nothing to do with TLS."""
    server = servers["openldap"]
    return {
        **server.options(),
        "server_url": server.url,
        "allow_plaintext": True,
        "dest": str(tmp_path / "roster.json"),
    }


def failed(done: Run) -> set[str]:
    return {event.host for event in done.events if event.status == "failed"}


def state(path: Path) -> tuple[int, int, int, bytes]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_mode & 0o7777, path.read_bytes()


def comparable(roster: Roster) -> dict[str, User]:
    """The users without what a directory has of its own: its ids, and the shell that disables in some."""
    return {
        user.username or "": replace(user, id="", shell="" if user.username == "user33" else user.shell)
        for user in roster.users
    }


def test_three_directories_and_one_roster(run: Runner, servers: Servers, authority: Pair, tmp_path: Path) -> None:
    cases: dict[Kind, dict[str, Any]] = {
        kind: {
            **server.options(),
            "ca_path": str(authority.certificate),
            "admin_groups": ["chefs", f"CN=Solo , {GROUPS.upper()}"],
            "dest": str(tmp_path / "new" / f"{kind}.json"),
            "page_size": 7,
        }
        for kind, server in servers.items()
    }
    checked = run(cases, check=True)
    assert (checked.returncode, (tmp_path / "new").exists()) == (0, False)
    done = run(cases)
    assert done.returncode == 0, done.output
    rosters = {}
    for kind in KINDS:
        got = done.of(MODULE)[kind]
        assert set(got) >= KEYS
        assert (got["changed"], got["preset"], got["server"]) == (True, kind, f"{servers[kind].secure_url}:636")
        assert got["roster_digest"] == checked.of(MODULE)[kind]["roster_digest"]
        expected = {"records": 40, "users": 40, "groups": 10, "rejected": 0, "enabled": 37, "disabled": 3, "admins": 5}
        assert got["counts"] == expected
        assert not got.get("warnings")
        rosters[kind] = parse(Path(got["dest"]).read_bytes())
        assert state(Path(got["dest"]))[2] == 0o600
    first = comparable(rosters["openldap"])
    for roster in rosters.values():
        assert comparable(roster) == first
        assert roster.groups == rosters["openldap"].groups
        members = {name: {user.username for user in roster.users if name in (user.groups or ())} for name in EXPECTED}
        assert members == EXPECTED
        assert len({user.id for user in roster.users}) == 40
    for person in FORTY:
        user = first[person.login]
        names = (user.full_name, user.first_name, user.last_name)
        assert (*names, user.enabled) == (person.name, person.given, person.surname, not person.disabled)
        assert (user.uid, user.gid, user.home) == (person.number, 5000, f"/home/{person.login}")
    left = {kind: state(tmp_path / "new" / f"{kind}.json") for kind in KINDS}
    again = run(cases)
    assert {kind: got["changed"] for kind, got in again.of(MODULE).items()} == dict.fromkeys(KINDS, False)
    assert {kind: state(tmp_path / "new" / f"{kind}.json") for kind in KINDS} == left
    for each in (checked, done, again):
        assert PASSWORD not in each.output + json.dumps([event.result for event in each.events])


def test_ways_to_ask(run: Runner, servers: Servers, authority: Pair, clear: dict[str, Any], tmp_path: Path) -> None:
    """Other options, each against a real directory."""
    active, tree = servers["active_directory"], servers["389ds"]
    trusted = {"ca_path": str(authority.certificate)}
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    client = issue(authority, ["reader"], name="reader")
    without = {name: value for name, value in clear.items() if name not in ("bind_dn", "bind_password")}
    external = {name: value for name, value in without.items() if name != "allow_plaintext"}
    seed = {name: clear[name] for name in ("server_url", "bind_dn", "bind_password", "base_dn")}
    mapping = {"username": "uid", "email": "mail", "full_name": "cn"}
    posix = {"base_dn": f"ou=posix,{SPECIAL}", "membership": "memberUid"}
    cases: dict[str, dict[str, Any]] = {
        "seed": {**seed, **trusted, "mapping": mapping},
        "start_tls_389ds": {**tree.options(), **trusted, "server_url": tree.url},
        "start_tls_samba": {**active.options(), **trusted, "server_url": active.url},
        "unchecked": {**clear, "server_url": servers["openldap"].secure_url, "validate_certs": False},
        "second": {**clear, "server_url": [f"ldap://{free_address()}", clear["server_url"]]},
        "file": {**without, "bind_dn": READER, "bind_password_file": str(secret)},
        "environment": {**without, "bind_dn": READER},
        "external": {
            **external,
            **trusted,
            "server_url": servers["openldap"].secure_url,
            "client_cert": str(client.certificate),
            "client_key": str(client.key),
        },
        "root": {**active.options(), **trusted, "base_dn": SUFFIX, "filter": "(sAMAccountName=user01)"},
        "member_of": {**active.options(), **trusted, "groups": {"base_dn": GROUPS, "membership": "memberOf"}},
        "flat": {**clear, "groups": {"base_dn": GROUPS, "nested": False}},
        "member_uid": {**clear, "groups": posix, "gid_policy": "derive"},
        "unique": {**clear, "groups": {"base_dn": f"ou=unique,{SPECIAL}"}},
        "primary": {**active.options(), **trusted, "groups": {"base_dn": SUFFIX, "filter": "(cn=Domain Users)"}},
        "hash": {**clear, "mapping": {"password_hash": "userPassword"}},
        "rule": {**clear, "disabled": [{"filter": "(uid=user0*)"}, {"attribute": "sn", "values": ["BECKER"]}]},
        "one_level": {**clear, "base_dn": SUFFIX, "scope": "onelevel", "filter": "(objectClass=person)", "groups": None}
        | {"mapping": {"username": "cn"}},
        "empty": {**clear, "base_dn": f"ou=empty,{SPECIAL}", "allow_empty": True, "groups": None},
        "derive": {**clear, "uid_policy": "derive", "gid_policy": "derive"},
        "rejected": {**clear, "mapping": {"uid": "cn"}, "groups": None},
    }
    for name, case in cases.items():
        case["dest"] = str(tmp_path / f"{name}.json")
        if case.get("groups", "") is None:
            del case["groups"]
    done = run(cases, environment={"IDENTITY_ROSTER_BIND_PASSWORD": PASSWORD})
    assert done.returncode == 0, done.output
    got = done.of(MODULE)
    rosters = {name: parse((tmp_path / f"{name}.json").read_bytes()) for name in cases}
    users = {name: {user.username: user for user in roster.users} for name, roster in rosters.items()}

    for name in (
        "start_tls_389ds",
        "start_tls_samba",
        "unchecked",
        "second",
        "file",
        "environment",
        "member_of",
        "hash",
    ):
        assert got[name]["counts"]["users"] == 40, name
    assert got["external"]["counts"]["users"] == 40
    anna = users["seed"]["user01"]
    assert (anna.full_name, anna.email, anna.groups) == ("Anna Schmidt", "user01@example.test", None)
    assert set(users["root"]) == {"user01"}
    samba = {name: user.groups for name, user in users["start_tls_samba"].items()}
    assert {name: user.groups for name, user in users["member_of"].items()} == samba
    assert users["flat"]["user01"].groups == ("big", "team-a")
    assert users["member_uid"]["user02"].groups == ("pm", "qm")
    assert "nobody-we-know" in got["member_uid"]["warnings"][0]
    assert {name for name, user in users["unique"].items() if user.groups} == {"user01", "user03"}
    assert {user.groups for user in users["primary"].values()} == {("Domain Users",)}
    hashes = {name: user.password_hash for name, user in users["hash"].items() if user.password_hash}
    assert hashes == {"user01": CRYPT_HASH}
    off = {name for name, user in users["rule"].items() if not user.enabled}
    assert off == {f"user0{number}" for number in range(1, 10)} | {"user17"}
    assert set(users["one_level"]) == {"reader", "limited"}
    assert got["empty"]["counts"] == NOTHING
    assert all((user.uid or 0) >= 1879048192 and user.gid is None for user in rosters["derive"].users)
    assert (got["rejected"]["counts"]["users"], got["rejected"]["counts"]["rejected"]) == (0, 40)
    shown = done.output + json.dumps([event.result for event in done.events])
    assert not [text for text in (PASSWORD, CRYPT_HASH) if text in shown]


#: Name: (options that differ, words of the error). CLEAR, TLS and PROXIES are filled in by the test.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "cut": ({}, "broke off before the end of its answer"),
    "killed": ({}, "broke off before the end of its answer"),
    "slow": ({"timeout": 2}, "did not answer in full within 2 seconds"),
    "stripped": ({"allow_plaintext": False}, "refuses StartTLS (result 2), so nothing was sent"),
    "size": ({"bind_dn": LIMITED}, "result 4, sizeLimitExceeded"),
    "size_of_groups": (
        {"bind_dn": LIMITED, "filter": "(uid=user01)", "groups": {"base_dn": SUFFIX, "filter": "(cn=*)"}},
        "the search for groups below",
    ),
    "time": ({"base_dn": f"cn=time,ou=codes,{SUFFIX}"}, "result 3, timeLimitExceeded"),
    "administrative": ({"base_dn": f"cn=administrative,ou=codes,{SUFFIX}"}, "result 11, adminLimitExceeded"),
    "groups": ({"groups": {"base_dn": f"cn=time,ou=codes,{SUFFIX}"}}, "the search for groups below"),
    "password": ({"bind_password": "Wrong-Canary"}, "result 49, invalidCredentials"),
    "open_file": ({"bind_password": None}, "may be read by others than its owner"),
    "anonymous": ({"bind_method": "anonymous", "bind_dn": None, "bind_password": None}, "shows nobody below"),
    "base": ({"base_dn": f"ou=nowhere,{SUFFIX}"}, "result 32, noSuchObject"),
    "empty": ({"base_dn": f"ou=empty,{SPECIAL}"}, "shows nobody below"),
    "referral": ({"base_dn": f"ou=referral,{SPECIAL}"}, "leaves a part of the search for people to another server"),
    "elsewhere": ({"base_dn": "dc=other,dc=test"}, "(see ldap://elsewhere.example.test"),
    "ghost": ({"groups": {"base_dn": f"ou=ghost,{SPECIAL}"}}, "does not show 'cn=kim,ou=hidden"),
    "attribute": ({"mapping": {"email": "emial", "full_name": "{cn} {shoesize}"}}, "no attribute"),
    "admin_group": ({"admin_groups": ["cheffes"]}, "admin_groups names 'cheffes'"),
    "filter": ({"filter": "(uid=*"}, "the filter for people is none"),
    "clear": ({"allow_plaintext": False, "start_tls": False}, "would send passwords and people in clear text"),
    "nobody_there": ({"server_url": ["ldap://127.0.0.1:1", "ldap://name.invalid"]}, "Look at server_url"),
    "method": ({"bind_dn": None, "bind_password": None}, "bind_dn is missing"),
    "no_password": ({"bind_password": None}, "bind_password is missing or empty"),
    "url": ({"server_url": "https://portal.example.org"}, "one looks like ldaps://"),
    "page": ({"page_size": 0}, "page_size must be"),
    "dn": ({"base_dn": "example.org"}, "base_dn 'example.org' is no DN"),
    "disabled": ({"disabled": ["nsaccountlok"]}, "disabled holds"),
    "groups_needed": ({"groups": None, "admin_groups": ["chefs"]}, "admin_groups needs groups"),
    "field": ({"mapping": {"fullname": "cn"}}, "mapping has no field fullname"),
    "unknown_ca": ({"allow_plaintext": False}, "is not protected by a certificate to trust"),
    "wrong_name": ({"allow_plaintext": False}, "certificate is not valid for"),
    "expired": ({"allow_plaintext": False}, "certificate has expired"),
}


def test_faults_leave_the_old_roster(
    run: Runner, servers: Servers, authority: Pair, clear: dict[str, Any], tmp_path: Path
) -> None:
    right = str(authority.certificate)
    late = free_address()
    wrong = issue(authority, ["ldap.example.org"], name="other")
    old_leaf = issue(authority, [late], name="old", expired=True)
    cases: dict[str, dict[str, Any]] = {}
    for name, (options, _words) in FAULTS.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "roster.json").write_bytes(b"the old roster\n")
        given = {**clear, **options, "dest": str(folder / "roster.json")}
        cases[name] = {option: value for option, value in given.items() if value is not None}
    old = {name: state(tmp_path / name / "roster.json") for name in FAULTS}
    with ExitStack() as stack:
        address = servers["openldap"].address
        victim = stack.enter_context(directory("openldap"))
        mistaken = stack.enter_context(directory("openldap", wrong))
        outdated = stack.enter_context(directory("openldap", old_leaf, late))
        places = {
            "cut": proxy(address, cut_at=b"user20"),
            "killed": proxy(victim.address, cut_at=b"user20", at_cut=victim.stop),
            "slow": proxy(address, pause=0.3),
            "stripped": proxy(address, strip_tls=True),
        }
        for name, place in places.items():
            cases[name]["server_url"] = stack.enter_context(place)
        (tmp_path / "open.txt").write_text(PASSWORD, encoding="utf-8")
        (tmp_path / "open.txt").chmod(0o644)
        cases["open_file"].update(bind_password_file=str(tmp_path / "open.txt"))
        cases["unknown_ca"].update(server_url=servers["openldap"].secure_url)
        cases["wrong_name"].update(server_url=mistaken.secure_url, ca_path=right)
        cases["expired"].update(server_url=outdated.secure_url, ca_path=right)
        done = run(cases)
    got = done.of(MODULE)
    assert failed(done) == set(FAULTS)
    nothing = {"changed": False, "counts": NOTHING, "roster_digest": None, "rejected": [], "fetched_at": None}
    for name, (_options, words) in FAULTS.items():
        assert words in got[name]["msg"], (name, got[name]["msg"])
        assert set(got[name]) >= KEYS
        assert {key: got[name][key] for key in nothing} == nothing
        assert state(tmp_path / name / "roster.json") == old[name]
        assert os.listdir(tmp_path / name) == ["roster.json"]
    assert "emial (in mapping.email)" in got["attribute"]["msg"]
    assert "shoesize (in mapping.full_name)" in got["attribute"]["msg"]
    shown = done.output + json.dumps([event.result for event in done.events])
    assert not [text for text in (PASSWORD, "Wrong-Canary") if text in shown]


def test_a_ranged_attribute_of_samba_is_read_whole(servers: Servers, authority: Pair) -> None:
    options = servers["active_directory"].options()
    connection = open_connection(
        ConnectionSettings(
            [str(options["server_url"])],
            ca_path=str(authority.certificate),
            bind_method="simple",
            bind_dn=str(options["bind_dn"]),
            bind_password=PASSWORD,
        )
    )
    directory = Directory(connection, 1000, 30)
    # Samba sends ranges only when asked for them; Active Directory sends them above 1,500 values by itself.
    (found,) = directory.search("groups", GROUPS, "subtree", "(cn=big)", ["member;range=0-499"])
    connection.close()
    assert len(set(found.attributes["member"])) == len(found.attributes["member"]) == 1600


def test_a_controller_without_ldap3(run: Runner, clear: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "path" / "ldap3").mkdir(parents=True)
    (tmp_path / "path" / "ldap3" / "__init__.py").write_text("raise ImportError('none')\n", encoding="utf-8")
    done = run({"only": clear}, environment={"PYTHONPATH": str(tmp_path / "path")})
    got = done.of(MODULE)["only"]
    assert "Failed to import the required Python library (ldap3)" in got["msg"]
    assert set(got) >= KEYS
