# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of accounts on real hosts, judged by logins: renamed, gone, back, removed; keys and sessions."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.sync import PASSWORD, Sync, clean, give_key
from tests.integration.system import complaints, expiry_of, getent, groups_of, may_sudo, shadow_of
from tests.integration.test_linux_clients import gets_in, known_passwords, user_key
from tests.playbook.run import TARGET, run_playbook
from tests.servers.libre_workspace import Portal

__all__ = ["user_key"]

STATE = "var/lib/identity-roster"


def actions(sync: Sync, *, proven: bool = True) -> dict[str, str]:
    """What the run did, the same on all hosts; not ``proven`` where another test proves the same."""
    done = sync.prove() if proven else sync.apply()
    found = [{change["name"]: change["action"] for change in changes} for changes in done.changes().values()]
    assert all(each == found[0] for each in found)
    return found[0]


def a_month_later(hosts: list[Host]) -> None:
    """The same ledger as if every account had been disabled 31 days earlier."""
    for host in hosts:
        path = host.root / STATE / "ledger.json"
        ledger = json.loads(path.read_text())
        for entry in ledger["users"].values():
            if "disabled" in entry:
                entry["disabled"]["since"] -= 31
        path.write_text(json.dumps(ledger))


def in_place(host: Host, path: str, content: str, owner: str) -> None:
    host.run(["sh", "-c", f"mkdir -p $(dirname {path}); cat > {path}; chown {owner} {path}"], input=content, check=True)


def at_work(host: Host, uid: int) -> None:
    """A process of a user's that goes on."""
    command = [
        "setpriv",
        f"--reuid={uid}",
        f"--regid={uid}",
        "--clear-groups",
        "sh",
        "-c",
        "sleep 600 >/dev/null 2>&1 &",
    ]
    host.run(command, check=True)


def test_renamed_at_the_portal(fleet2: Fleet, tmp_path: Path, user_key: Path) -> None:
    hosts = fleet2.hosts
    baseline = {host.name: complaints(host) for host in hosts}
    with Portal(capture="04") as portal:
        known_passwords(portal, hosts[0])
        sync = Sync(portal, fleet2, tmp_path, {"linux_client_move_homes": True})
        sync.apply()
        for host in hosts:
            give_key(host, "anna.schmidt", user_key.with_suffix(".pub"))
            in_place(host, "/var/spool/cron/crontabs/anna.schmidt", "# her jobs\n", "anna.schmidt:crontab")
            in_place(host, "/home/anna.schmidt/notes", "hers\n", "anna.schmidt:")
        before = {host.name: shadow_of(host, "anna.schmidt")[1:] for host in hosts}
        portal.serve(
            [
                {**each, "username": "anna.weber"} if each["username"] == "anna.schmidt" else each
                for each in portal.records
            ]
        )
        assert actions(sync) == {"anna.weber": "rename"}
        clean(hosts, baseline)
        for host in hosts:
            assert getent(host, "passwd", "anna.schmidt") is None and getent(host, "group", "anna.schmidt") is None
            entry = getent(host, "passwd", "anna.weber")
            assert entry is not None and entry[2:4] == ["10001", "10001"] and entry[5] == "/home/anna.weber"
            assert shadow_of(host, "anna.weber")[1:] == before[host.name]
            assert groups_of(host, "anna.weber") == {"anna.weber", "mitarbeiter", "vertrieb", "projekt.x-2", "büro"}
            assert (host.root / "home/anna.weber/notes").read_text() == "hers\n"
            assert not (host.root / "home/anna.schmidt").exists()
            assert (host.root / "var/spool/cron/crontabs/anna.weber").read_text() == "# her jobs\n"
            assert gets_in(host, "anna.weber", user_key) == (True, True)
            assert host.ssh("anna.schmidt", password=PASSWORD, command="id").returncode == 255


def test_gone_back_gone_and_removed(fleet2: Fleet, tmp_path: Path, user_key: Path) -> None:
    hosts = fleet2.hosts
    baseline = {host.name: complaints(host) for host in hosts}
    with Portal(capture="04") as portal:
        known_passwords(portal, hosts[0])
        people = list(portal.records)
        variables = {"linux_client_missing_users": "remove", "linux_client_end_sessions": True}
        sync = Sync(portal, fleet2, tmp_path, variables)
        sync.apply()
        for host in hosts:
            give_key(host, "chef", user_key.with_suffix(".pub"))
            in_place(host, "/home/chef/plans", "secret plans\n", "chef:")
            in_place(host, "/var/spool/cron/crontabs/chef", "# jobs\n", "chef:crontab")
            in_place(host, "/var/mail/chef", "mail\n", "chef:mail")
        files = {host.name: (host.root / "etc/shadow").read_text() for host in hosts}

        portal.remove("chef")
        assert actions(sync, proven=False) == {"chef": "disable"}
        for host in hosts:
            assert gets_in(host, "chef", user_key) == (False, False) and not may_sudo(host, "chef")
        portal.serve(people)
        assert actions(sync, proven=False) == {"chef": "enable"}
        for host in hosts:
            assert gets_in(host, "chef", user_key) == (True, True) and may_sudo(host, "chef")
            assert (host.root / "etc/shadow").read_text() == files[host.name], "every hash as it was"

        portal.remove("chef")
        sync.apply()
        a_month_later(hosts)
        for host in hosts:
            # Somebody is still at work as chef, since before the account was disabled.
            at_work(host, 10002)
        assert actions(sync) == {"chef": "remove"}
        clean(hosts, baseline)
        for host in hosts:
            assert host.run(["pgrep", "-u", "10002"]).stdout == "", "no process of chef's is left"
            assert getent(host, "passwd", "chef") is None and getent(host, "group", "chef") is None
            assert not [path for path in ("home/chef", "var/mail/chef", "var/spool/cron/crontabs/chef")
                        if (host.root / path).exists()]  # fmt: skip
            for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
                assert "chef" not in (host.root / "etc" / name).read_text(), name
            assert host.ssh("chef", key=user_key, command="id").returncode == 255
            (archive,) = (host.root / STATE / "archives").iterdir()
            assert archive.stat().st_mode & 0o777 == 0o600 and archive.stat().st_uid == 0
            with tarfile.open(archive) as tar:
                member = tar.getmember("chef/plans")
                assert (member.uid, member.gid) == (10002, 10002)
                assert tar.extractfile(member).read() == b"secret plans\n"  # type: ignore[union-attr]

        portal.change("neu", uidNumber="10002")
        failed = sync.run()
        assert failed.returncode != 0
        for host in hosts:
            (failure,) = failed.of(TARGET)[host.name]["failures"]
            assert failure["name"] == "neu", "her uid is not the one that her account was made with"
        newcomer = {**next(record for record in people if record["username"] == "neu"), "username": "zoe"}
        newcomer |= {"guid": "f" * 32, "mail": "zoe@int.de", "cn": "zoe", "dn": "CN=zoe,CN=Users,DC=int,DC=de"}
        portal.serve(
            [*(record for record in people if record["username"] != "chef"), {**newcomer, "uidNumber": "10002"}]
        )
        failed = sync.run()
        for host in hosts:
            (failure,) = failed.of(TARGET)[host.name]["failures"]
            assert failure["name"] == "zoe" and "never given to another" in failure["reason"]
            assert getent(host, "passwd", "zoe") is None


def test_sessions_of_the_disabled_end_and_the_last_admin_stays(fleet2: Fleet, tmp_path: Path, user_key: Path) -> None:
    hosts = fleet2.hosts
    with Portal(capture="04") as portal:
        known_passwords(portal, hosts[0])
        sync = Sync(portal, fleet2, tmp_path, {"linux_client_end_sessions": True})
        sync.apply()
        for host in hosts:
            at_work(host, 10010)
            at_work(host, 10001)
            # Nobody but the roster's people is admin here.
            host.run(["gpasswd", "-M", "Administrator,chef,nohash2", "sudo"], check=True)
        portal.change("mehrfach", enabled=False)
        assert actions(sync) == {"mehrfach": "disable"}
        for host in hosts:
            assert host.run(["pgrep", "-u", "10010"]).stdout == "" and host.run(["pgrep", "-u", "10001"]).stdout
        for username in ("Administrator", "chef", "nohash2"):
            portal.change(username, admin=False)
        for check in (True, False):
            failed = sync.run(check=check)
            assert failed.returncode != 0
            for host in hosts:
                (failure,) = failed.of(TARGET)[host.name]["failures"]
                assert failure["name"] == "Administrator" and "last enabled admin" in failure["reason"]
        for host in hosts:
            assert may_sudo(host, "Administrator") and not may_sudo(host, "chef")
            assert expiry_of(host, "Administrator") == "never"


def test_keys_of_the_roster_let_in(fleet2: Fleet, tmp_path: Path, user_key: Path) -> None:
    hosts = fleet2.hosts
    key = user_key.with_suffix(".pub").read_text().strip()
    variables = {
        "linux_client_authorized_keys": True,
        "linux_client_users": [
            {"username": "erika", "uid": 10070, "ssh_public_keys": [key]},
            {"username": "otto", "uid": 10071, "ssh_public_keys": [f'command="id" {key}']},
        ],
    }
    playbook = tmp_path / "keys.yml"
    playbook.write_text(
        "- hosts: linux_clients\n  gather_facts: false\n  become: true\n  roles: [identity.roster.linux_client]\n"
    )
    done = run_playbook(playbook, fleet2.inventory_path, variables)
    for host in hosts:
        assert [failure["name"] for failure in done.of(TARGET)[host.name]["failures"]] == ["otto"]
        assert host.ssh("erika", key=user_key, command="id -un").stdout == "erika\n"
        assert host.ssh("otto", key=user_key, command="id -un").returncode == 255
    variables["linux_client_users"] = [{"username": "erika", "uid": 10070, "ssh_public_keys": []}]
    for host in hosts:
        in_place(host, "/home/erika/.ssh/other", "", "erika:")
    run_playbook(playbook, fleet2.inventory_path, variables)
    for host in hosts:
        assert host.ssh("erika", key=user_key, command="id -un").returncode == 255
