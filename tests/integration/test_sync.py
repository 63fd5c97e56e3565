# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook for all: from other sources than the portal to accounts on real hosts."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.fleet import Fleet
from tests.integration.sync import FleetSync, clean, news
from tests.integration.system import complaints, expiry_of, getent, groups_of, shadow_of
from tests.playbook.run import TARGET
from tests.servers.directories.people import EXPECTED, FORTY, GROUPS, PASSWORD, PEOPLE, READER
from tests.servers.directories.server import directories, free_address
from tests.servers.tls import issue, make_ca

HASH = "$6$canarysalt$" + "Kanarienvogel" + "x" * 73
#: Names that a spreadsheet, a template or a shell would take for more than names.
CSV = f"""\
Personalnummer;Login;Name;E-Mail;aktiv;Verwalter;Gruppen;Nummer;Hash;Kostenstelle
e1;anna;=cmd|' /C calc'!A0;anna@int.example;yes;no;vertrieb, studio;70001;{HASH};17
e2;berta;"{{{{ 7*7 }}}} ""B"" C";berta@int.example;yes;yes;;70002;;18
e3;carl;$(id) Jürgen;carl@int.example;no;no;vertrieb;70003;{HASH};19
e4;dora;Dora;dora@int.example;vielleicht;no;;70004;;20
"""
MAPPING = {
    "external_id": "Personalnummer", "username": "Login", "full_name": "Name", "email": "E-Mail", "enabled": "aktiv",
    "admin": "Verwalter", "groups": "Gruppen", "uid": "Nummer", "password_hash": "Hash",
}  # fmt: skip


def test_csv_to_linux(fleet2: Fleet, tmp_path: Path) -> None:
    baseline = {host.name: complaints(host) for host in fleet2.hosts}
    path = tmp_path / "users.csv"
    path.write_text(CSV, encoding="cp1252", newline="\r\n")
    csv = {"path": str(path), "encoding": "windows-1252", "required": ["username"]}
    source = {"fetch_source": "csv", "fetch_csv": csv, "fetch_mapping": MAPPING, "fetch_gid_policy": "derive"}
    sync = FleetSync(fleet2, tmp_path, source)
    done = sync.prove()
    clean(fleet2.hosts, baseline)
    assert news(done) == []
    for host in fleet2.hosts:
        assert getent(host, "passwd", "anna") == [
            "anna", "x", "70001", "70001", "=cmd|' /C calc'!A0", "/home/anna", "/bin/bash",
        ]  # fmt: skip
        assert getent(host, "passwd", "berta")[4] == '{{ 7*7 }} "B" C'  # type: ignore[index]
        assert getent(host, "passwd", "carl")[4] == "$(id) Jürgen"  # type: ignore[index]
        assert getent(host, "passwd", "dora") is None
        assert groups_of(host, "anna") == {"anna", "vertrieb", "studio"}
        assert groups_of(host, "berta") == {"berta", "sudo"}
        assert shadow_of(host, "anna")[1] == HASH
        assert (expiry_of(host, "anna"), expiry_of(host, "carl")) == ("never", "Jan 02, 1970")
        (rejected,) = done.of(TARGET)[host.name]["rejected"]
        assert rejected["reason"].startswith("line 5, column 5 (aktiv): is 'vielleicht'")

    # Somebody leaves, somebody joins, somebody changes: said first, in check mode too, then done.
    rows = CSV.splitlines(keepends=True)
    rows[1] = rows[1].replace("vertrieb, studio", "vertrieb")
    rows[2] = "e5;emil;Emil;emil@int.example;yes;no;studio;70005;;21\n"
    path.write_text("".join(rows), encoding="cp1252", newline="\r\n")
    planned = sync.run(check=True)
    assert news(planned) == ["1 joined: emil", "1 left: berta", "1 changed: anna (groups)"]
    done = sync.run()
    assert (planned.returncode, done.returncode) == (0, 0), planned.output + done.output
    assert done.changes() == planned.changes()
    assert news(done) == []
    assert HASH not in planned.output + done.output
    for host in fleet2.hosts:
        assert groups_of(host, "anna") == {"anna", "vertrieb"}
        assert groups_of(host, "berta") == {"berta"}
        assert expiry_of(host, "berta") == "Jan 02, 1970"
        assert getent(host, "passwd", "emil")[2] == "70005"  # type: ignore[index]


def test_ldap_to_linux(fleet2: Fleet, tmp_path: Path) -> None:
    """A configuration of sync_ldap_users, with groups on top."""
    baseline = {host.name: complaints(host) for host in fleet2.hosts}
    address = free_address()
    certificate = issue(make_ca(tmp_path / "ca"), [address])
    config = {
        "ldap": {"server_url": f"ldap://{address}", "bind_dn": READER, "bind_password": PASSWORD, "base_dn": PEOPLE},
        "ftrack": {"server_url": "https://example.ftrackapp.com", "api_key": "your-api-key", "api_user": "admin"},
        "mapping": {"username": "uid", "email": "mail", "full_name": "cn"},
    }
    config["ldap"]["groups"] = {"base_dn": GROUPS}  # type: ignore[assignment]
    # All forty have one primary gid, and the directory has no group of that number.
    config["mapping"]["gid"] = ""
    more = {"roster_source": "ldap", "fetch_ca_path": str(tmp_path / "ca" / "ca.pem"), "fetch_admin_groups": ["chefs"]}
    with directories(["openldap"], {"openldap": certificate}, addresses={"openldap": address}):
        sync = FleetSync(fleet2, tmp_path, {**config, **more, "linux_client_allow_unicode_names": True})
        done = sync.prove()
    clean(fleet2.hosts, baseline)
    assert PASSWORD not in done.output
    for host in fleet2.hosts:
        assert done.of(TARGET)[host.name]["summary"]["created"] == len(FORTY)
        for person in FORTY:
            entry = getent(host, "passwd", person.login)
            assert entry is not None, person
            assert (entry[2], entry[4]) == (str(person.number), person.name)
            assert (expiry_of(host, person.login) == "never") == (not person.disabled)
            groups = {name for name, members in EXPECTED.items() if person.login in members}
            admin = {"sudo"} if person.login in EXPECTED["chefs"] and not person.disabled else set()
            assert groups_of(host, person.login) == {person.login, *groups, *admin}
