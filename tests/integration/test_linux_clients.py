# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job on real hosts: from the portal's own answers to people who get in, or do not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.sync import PASSWORD, Sync, clean, give_key, yescrypt
from tests.integration.system import complaints, expiry_of, fingerprint, getent, groups_of, may_sudo, shadow_of
from tests.playbook.run import SOURCE, TARGET
from tests.servers.libre_workspace import Portal

#: Who of capture 04 can be a Linux account: name, uid, display name, groups, admin, enabled.
PEOPLE = {
    "Administrator": (10000, "Administrator", set(), True, True),
    "anna.schmidt": (10001, "Anna Schmidt", {"mitarbeiter", "vertrieb", "projekt.x-2", "büro"}, False, True),
    "chef": (10002, "Carla Chef", {"mitarbeiter"}, True, True),
    "gesperrt": (10003, "Gerd Gesperrt", {"mitarbeiter"}, False, False),
    "neu": (10004, "Nora Neu", set(), False, True),
    "jürgen": (10005, "Jürgen Müßig", {"mitarbeiter", "büro"}, False, True),
    "max.muster-mann": (10006, "Max Muster-Mann", {"mitarbeiter"}, False, True),
    "obrien": (10007, 'Seán O\'Brien, Jr. (Ärzte) "Q"', {"mitarbeiter"}, False, True),
    "ohnename": (10008, "ohnename", {"mitarbeiter"}, False, True),
    "leerzeichen": (10009, "", {"mitarbeiter"}, False, True),
    "mehrfach": (10010, "Mehr Fach", {"mitarbeiter", "vertrieb", "projekt.x-2"}, False, True),
    "nohash2": (10012, "No Hash", {"mitarbeiter"}, True, True),
}
GROUPS = {"mitarbeiter": 1000001, "vertrieb": 1000002, "büro": 1000003, "projekt.x-2": 1000004}
#: Those with a password that the tests know.
WITH_PASSWORD = ("anna.schmidt", "chef", "mehrfach", "gesperrt", "ohnename")


@pytest.fixture(scope="session")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def known_passwords(portal: Portal, host: Host) -> None:
    password_hash = yescrypt(host)
    served = {record["username"] for record in portal.records}
    for username in WITH_PASSWORD:
        if username in served:
            portal.change(username, yescrypt_hash=password_hash)


def gets_in(host: Host, username: str, key: Path) -> tuple[bool, bool]:
    """(by password, by key), by real logins."""
    by_password = host.ssh(username, password=PASSWORD, command="id -un")
    by_key = host.ssh(username, key=key, command="id -un")
    for login in (by_password, by_key):
        assert login.returncode in (0, 255), login
        assert login.returncode == 255 or login.stdout == f"{username}\n"
    return by_password.returncode == 0, by_key.returncode == 0


def assert_people(host: Host) -> None:
    for username, (uid, full_name, groups, admin, enabled) in PEOPLE.items():
        entry = getent(host, "passwd", username)
        assert entry is not None, (host.name, username)
        assert entry == [username, "x", str(uid), str(uid), full_name, f"/home/{username}", "/bin/bash"]
        assert groups_of(host, username) == {username, *groups, *({"sudo"} if admin else ())}
        assert may_sudo(host, username) == admin
        password = shadow_of(host, username)[1]
        assert password.startswith("!") == (not enabled)
        assert (expiry_of(host, username) == "never") == enabled
        home = host.root / "home" / username
        assert (home.stat().st_uid, home.stat().st_gid) == (uid, uid)
        assert {".bash_logout", ".bashrc", ".profile"} <= {path.name for path in home.iterdir()}
    for name, gid in GROUPS.items():
        assert getent(host, "group", name)[2] == str(gid)  # type: ignore[index]


def assert_second_day(host: Host, changes: list[dict[str, Any]]) -> None:
    """Capture 05 after 04."""
    by_name = {change["name"]: change for change in changes}
    assert {name: change["action"] for name, change in by_name.items()} == {
        "mehrfach": "disable", "chef": "update", "anna.schmidt": "update",
    }  # fmt: skip
    assert by_name["chef"]["fields"] == {"admin": [True, False]}
    assert "sudo" not in groups_of(host, "chef")
    assert not may_sudo(host, "chef")
    assert groups_of(host, "anna.schmidt") == {"anna.schmidt", "mitarbeiter", "vertrieb", "projekt.x-2"}
    assert expiry_of(host, "mehrfach") == "Jan 02, 1970"


def test_ten_hosts(fleet10: Fleet, tmp_path: Path) -> None:
    """Capture 04: the plan, the run, nothing more to do, on every host; and the next day's run."""
    hosts = fleet10.hosts
    baseline = {host.name: complaints(host) for host in hosts}
    untouched = {host.name: (host.root / "etc/passwd").read_text() for host in hosts}
    with Portal(capture="04") as portal:
        sync = Sync(portal, fleet10, tmp_path)
        done = sync.prove()
        clean(hosts, baseline)
        assert portal.failures == []
        for host in hosts:
            assert_people(host)
            result = done.of(TARGET)[host.name]
            assert result["summary"]["created"] == len(PEOPLE)
            assert sorted(result["pending"]) == ["neu", "nohash2"]
            assert {entry["name"] for entry in result["rejected"]} == {
                "4711", "p.mueller", "k.klein", "Kapital",
                "Shop Administrators", "Projekt Größe (2)", "Externe Mitarbeiter",
            }  # fmt: skip
            assert (host.root / "etc/passwd").read_text().startswith(untouched[host.name])
        portal.serve("05")
        changes = sync.apply().changes()
        clean(hosts, baseline)
        for host in hosts:
            assert_second_day(host, changes[host.name])


def test_three_days_at_the_portal(fleet2: Fleet, tmp_path: Path, user_key: Path) -> None:
    """Captures 04, 05, 06 and 04 again: the plan, the run, nothing more to do; and who gets in afterwards."""
    hosts = fleet2.hosts
    baseline = {host.name: complaints(host) for host in hosts}
    with Portal(capture="04") as portal:
        known_passwords(portal, hosts[0])
        sync = Sync(portal, fleet2, tmp_path)
        sync.apply()
        for host in hosts:
            for username in ("anna.schmidt", "chef", "mehrfach"):
                give_key(host, username, user_key.with_suffix(".pub"))
                assert gets_in(host, username, user_key) == (True, True)
            assert gets_in(host, "gesperrt", user_key) == (False, False)
            refused = host.ssh("chef", key=user_key, command="sudo -n -l").stderr
            assert "password is required" in refused, "chef may use sudo, after giving the password"

        portal.serve("05")
        known_passwords(portal, hosts[0])
        changes = sync.prove().changes()
        clean(hosts, baseline)
        for host in hosts:
            assert_second_day(host, changes[host.name])
            assert gets_in(host, "mehrfach", user_key) == (False, False)
            assert gets_in(host, "chef", user_key) == (True, True)

        portal.serve("06")
        known_passwords(portal, hosts[0])
        changes = sync.prove().changes()
        clean(hosts, baseline)
        for host in hosts:
            actions = {change["name"]: change["action"] for change in changes[host.name]}
            assert actions["ohnename"] == "disable"
            assert getent(host, "passwd", "ohnename") is not None
            assert getent(host, "group", "vertrieb")[3] == ""  # type: ignore[index]
            assert gets_in(host, "ohnename", user_key)[0] is False
            assert gets_in(host, "anna.schmidt", user_key) == (True, True)

        # Enabled again at the source: the same password and key let in as before.
        portal.serve("04")
        known_passwords(portal, hosts[0])
        sync.command = True
        sync.prove(whole=True)
        assert_people(hosts[0])
        assert gets_in(hosts[0], "mehrfach", user_key) == (True, True)


@pytest.mark.parametrize("capture", ["01", "02"])
def test_as_the_portal_ships_everyone_shares_one_uid(fleet2: Fleet, tmp_path: Path, capture: str) -> None:
    before = {host.name: fingerprint(host.root) for host in fleet2.hosts}
    with Portal(capture=capture) as portal:
        sync = Sync(portal, fleet2, tmp_path)
        done = sync.run()
        assert done.returncode == 0, done.output
        assert "uid_policy" in done.output, "the message says what to do"
        assert "derive" in done.output
        for host in fleet2.hosts:
            assert done.of(TARGET)[host.name]["changes"] == []
            now = fingerprint(host.root)
            state = {path for path in now if path.startswith("var/lib/identity-roster") or path == "var/lib"}
            assert {path for path in now if now[path] != before[host.name].get(path)} <= state

        sync.variables = {"fetch_uid_policy": "derive", "fetch_gid_policy": "derive"}
        sync.prove(whole=True)
        people = {"Administrator", "anna.schmidt", "chef", "gesperrt", "neu", "jürgen", "max.muster-mann", "obrien"}
        people |= {"ohnename", "leerzeichen", "mehrfach", "nohash2"}
        people |= {"p.mueller", "k.klein", "Kapital"} if capture == "02" else set()
        ids: list[dict[str, str]] = []
        for host in fleet2.hosts:
            found = {name: getent(host, "passwd", name) for name in people}
            assert all(found.values()), [name for name, entry in found.items() if not entry]
            groups = {name: getent(host, "group", name) for name in ("mitarbeiter", "vertrieb", "projekt.x-2", "büro")}
            assert all(groups.values())
            ids.append({name: entry[2] for name, entry in {**found, **groups}.items() if entry})
            uids = [entry[2] for entry in found.values() if entry]
            assert len(set(uids)) == len(people)
        assert ids[0] == ids[1]


def test_a_source_that_fails_changes_nothing_anywhere(fleet2: Fleet, tmp_path: Path) -> None:
    with Portal(capture="04") as portal:
        sync = Sync(portal, fleet2, tmp_path, {"fetch_retries": 0, "fetch_timeout": 3})
        sync.apply()
        before = sync.fingerprints()
        roster = (tmp_path / "roster.json").read_bytes()
        for fault in ("empty", "html_200", "redirect_301", "forbidden", "directory_down", "truncated", "not_a_list"):
            portal.misbehave(fault)
            failed = sync.run()
            portal.behave()
            assert failed.returncode != 0, fault
            assert failed.of(SOURCE)["localhost"]["msg"], fault
            assert TARGET not in {event.action for event in failed.events}, fault
            assert sync.fingerprints() == before, fault
            assert (tmp_path / "roster.json").read_bytes() == roster, fault


def test_a_roster_that_would_disable_too_many_is_refused(fleet2: Fleet, tmp_path: Path) -> None:
    with Portal(capture="04") as portal:
        sync = Sync(portal, fleet2, tmp_path)
        sync.apply()
        before = sync.fingerprints()
        gone = ["anna.schmidt", "chef", "max.muster-mann", "obrien"]
        for username in gone:
            portal.remove(username)
        for check in (True, False):
            refused = sync.run(check=check)
            assert refused.returncode != 0
            for host in fleet2.hosts:
                result = refused.of(TARGET)[host.name]
                assert all(name in result["msg"] for name in gone), result["msg"]
                assert result["changes"] == []
                assert not result["changed"]
                assert {change["name"] for change in result["refused"]} >= set(gone)
            assert sync.fingerprints() == before

        digests = {result["plan_digest"] for result in refused.of(TARGET).values()}
        sync.variables = {"linux_client_approve": sorted(digests)}
        portal.change("neu", enabled=False)
        assert sync.run().returncode != 0, "another plan than the approved one"
        assert sync.fingerprints() == before
        portal.change("neu", enabled=True)
        done = sync.prove()
        for host in fleet2.hosts:
            assert done.of(TARGET)[host.name]["summary"]["disabled"] == len(gone)
            assert all(expiry_of(host, name) == "Jan 02, 1970" for name in gone)
