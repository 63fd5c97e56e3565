# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that should not have been is undone on the fleet: who was locked out gets in again, by real logins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.sync import PASSWORD, Sync, clean, give_key, yescrypt
from tests.integration.system import complaints, expiry_of, fingerprint, getent, groups_of, may_sudo, shadow_of
from tests.integration.test_linux_clients import gets_in, known_passwords, user_key
from tests.playbook.run import TARGET, Run, run_playbook
from tests.servers.libre_workspace import Portal

__all__ = ["user_key"]

ROLLBACK = "identity.roster.rollback"
SNAPSHOT = "identity.roster.linux_snapshot"
NAMES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
DISABLED = ("anna.schmidt", "chef", "mehrfach")


def rollback(fleet: Fleet, check: bool = False, **variables: Any) -> Run:
    return run_playbook(ROLLBACK, fleet.inventory_path, variables, check=check)


def account_files(host: Host) -> dict[str, bytes]:
    return {name: (host.root / "etc" / name).read_bytes() for name in NAMES}


def newcomer(portal: Portal, password_hash: str) -> dict[str, Any]:
    """A record of the portal's, as anna.schmidt's."""
    record = next(record for record in portal.records if record["username"] == "anna.schmidt")
    return {
        **record,
        "dn": "CN=dora.neu,CN=Users,DC=int,DC=de", "cn": "dora.neu", "username": "dora.neu", "mail": "dora.neu@int.de",
        "guid": "0" * 32, "uidNumber": "10050", "yescrypt_hash": password_hash, "enabled": True,
    }  # fmt: skip


def prove_rollback(fleet: Fleet, run_id: str) -> Run:
    """Check, apply, apply: the plan is what is done, and the second time there is nothing to do."""
    before = {host.name: fingerprint(host.root) for host in fleet.hosts}
    planned = rollback(fleet, check=True, rollback_run_id=run_id)
    assert planned.returncode == 0, planned.output
    assert {host.name: fingerprint(host.root) for host in fleet.hosts} == before, "check mode wrote something"
    done = rollback(fleet, rollback_run_id=run_id)
    assert done.returncode == 0, done.output
    for host in fleet.hosts:
        plan, result = planned.of(SNAPSHOT)[host.name], done.of(SNAPSHOT)[host.name]
        assert result["changed"] and result["found"]
        for key in ("changes", "plan_digest", "summary", "diff", "kept", "homes_left", "run_id"):
            assert result[key] == plan[key], (host.name, key)
    settled = {host.name: fingerprint(host.root) for host in fleet.hosts}
    again = rollback(fleet, rollback_run_id=run_id)
    assert again.returncode == 0, again.output
    assert not any(result["changed"] for result in again.of(SNAPSHOT).values()), again.output
    assert {host.name: fingerprint(host.root) for host in fleet.hosts} == settled
    return done


def test_a_wrong_run_is_undone_on_the_fleet(fleet2: Fleet, tmp_path: Path, user_key: Path) -> None:
    """Three people locked out and one made; meanwhile an administrator works on the first host."""
    hosts = fleet2.hosts
    baseline = {host.name: complaints(host) for host in hosts}
    first, second = hosts
    with Portal(capture="04") as portal:
        known_passwords(portal, first)
        sync = Sync(portal, fleet2, tmp_path, {"linux_client_run_id": "monday"})
        assert sync.run().returncode == 0
        for host in hosts:
            for username in DISABLED:
                give_key(host, username, user_key.with_suffix(".pub"))
        before = {host.name: account_files(host) for host in hosts}

        # The mistake at the source: three people disabled, one made.
        for username in DISABLED:
            portal.change(username, enabled=False)
        portal.add(newcomer(portal, yescrypt(first)))
        sync.variables = {"linux_client_run_id": "tuesday", "linux_client_limits": {"admin_changes": {"count": 9}}}
        assert sync.run().returncode == 0
        assert gets_in(first, "chef", user_key) == (False, False)
        for host in hosts:
            assert host.ssh("dora.neu", password=PASSWORD, command="id").returncode == 0
            assert not may_sudo(host, "chef")

        listed = rollback(fleet2)
        assert listed.returncode == 0, listed.output
        shown = listed.output.partition("PLAY RECAP")[0]
        assert max(map(len, shown.splitlines())) <= 80, shown
        for host in hosts:
            result = listed.of(SNAPSHOT)[host.name]
            assert not result["changed"]
            assert [run["run_id"] for run in result["snapshots"]] == ["tuesday", "monday"]
            assert result["snapshots"][0]["changes"]["disabled"] == 3
            assert result["snapshots"][0]["changes"]["created"] == 1
        assert "tuesday" in shown and "1 created, 3 disabled" in shown

        # What others do meanwhile stays.
        first.run(["useradd", "-m", "-u", "20000", "local"], check=True)
        first.run(["usermod", "-s", "/bin/sh", "mehrfach"], check=True)
        first.run(["usermod", "-aG", "audio", "local"], check=True)
        first.run(["usermod", "-aG", "audio", "dora.neu"], check=True)

        done = prove_rollback(fleet2, "tuesday")
        clean(hosts, baseline)
        assert account_files(second) == before[second.name], "byte for byte"
        for host in hosts:
            result = done.of(SNAPSHOT)[host.name]
            assert result["summary"]["enabled"] == 3 and result["summary"]["removed"] == 1
            assert result["homes_left"] == [{"name": "dora.neu", "home": "/home/dora.neu"}]
            assert "$y$" not in repr(result)
            assert {expiry_of(host, username) for username in DISABLED} == {"never"}
            assert gets_in(host, "chef", user_key) == (True, True)
            assert may_sudo(host, "chef")
            assert groups_of(host, "anna.schmidt") >= {"mitarbeiter", "vertrieb"}
            assert getent(host, "passwd", "dora.neu") is None
            assert getent(host, "group", "dora.neu") is None
            assert (host.root / "home/dora.neu").is_dir()
        assert gets_in(first, "anna.schmidt", user_key) == (True, True)
        assert first.ssh("dora.neu", password=PASSWORD, command="id").returncode == 255
        assert first.ssh("gesperrt", password=PASSWORD, command="id").returncode == 255, "was disabled before"
        assert groups_of(first, "local") == {"local", "audio"}
        assert getent(first, "group", "audio")[3] == "local"  # type: ignore[index]
        assert getent(first, "passwd", "mehrfach")[6] == "/bin/sh"  # type: ignore[index]

        for host in hosts:
            snapshots = host.root / "var/lib/identity-roster/snapshots"
            for path in [snapshots, *snapshots.rglob("*")]:
                assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
                assert path.stat().st_uid == 0

        # The source still says so, and the next run looks at all of it again.
        sync.variables["linux_client_run_id"] = "wednesday"
        again = sync.run()
        assert again.returncode == 0, again.output
        for host in hosts:
            assert again.of(TARGET)[host.name]["summary"]["disabled"] == 3
            assert shadow_of(host, "chef")[1].startswith("!")


def test_a_run_that_a_host_never_had_is_no_error(fleet2: Fleet) -> None:
    before = {host.name: fingerprint(host.root) for host in fleet2.hosts}
    done = rollback(fleet2, rollback_run_id="never")
    assert done.returncode == 0, done.output
    for host in fleet2.hosts:
        result = done.of(SNAPSHOT)[host.name]
        assert result["found"] is False and not result["changed"] and result["snapshots"] == []
    assert "no snapshot of that run" in done.output
    assert {host.name: fingerprint(host.root) for host in fleet2.hosts} == before
