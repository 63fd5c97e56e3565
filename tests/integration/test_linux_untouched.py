# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is not ours stays as it is, whatever the roster says; and others may change accounts at the same time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.sync import Sync
from tests.integration.system import getent, groups_of, shadow_of
from tests.playbook.run import TARGET, run_playbook
from tests.servers.libre_workspace import Portal

LOCAL = {
    "anna.schmidt": ["useradd", "-m", "-u", "20000", "-c", "The local Anna", "anna.schmidt"],
    "backupper": ["useradd", "-m", "-u", "10006", "backupper"],
    "libvirt-qemu": ["useradd", "-r", "-u", "64055", "-s", "/usr/sbin/nologin", "libvirt-qemu"],
    "rescue": ["useradd", "-m", "-G", "sudo", "rescue"],
}
EVERYONE = ("root", "ansible", *LOCAL)
DATABASES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")


def lines_of(host: Host, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Each database's lines of these names, and the supplementary groups of each name."""
    found: dict[str, list[str]] = {}
    for database in DATABASES:
        lines = (host.root / "etc" / database).read_text(encoding="utf-8").splitlines()
        found[database] = [line for line in lines if line.split(":", 1)[0] in names]
    for name in names:
        found[f"groups of {name}"] = sorted(groups_of(host, name))
    return found


def add_local_accounts(host: Host) -> None:
    for command in LOCAL.values():
        host.run(command, check=True)
        host.run(["chpasswd"], input=f"{command[-1]}:local-secret\n", check=True)
    passwd = host.root / "etc/passwd"
    text = passwd.read_text(encoding="utf-8")
    passwd.write_text("# kept by hand: do not sort\n" + text + "\n", encoding="utf-8")


def person(username: str, uid: int | None = None, **more: Any) -> dict[str, Any]:
    return {"id": f"id-{username}-{uid}", "username": username, "uid": uid, **more}


HASH = "$6$saltsalt$" + "a" * 86

#: Rosters that want something of accounts that are not theirs.
HOSTILE: dict[str, list[dict[str, Any]]] = {
    "their names, uids, groups, primary gids and homes": [
        *(person(name, password_hash=HASH, admin=True, enabled=False) for name in EVERYONE),
        *(person(f"x{uid}", uid) for uid in (0, 1, 999, 1000, 20000, 64055, 65534, 10006)),
        person("mallory", 30001, groups=["root", "sudo", "shadow", "adm", "docker", "rescue", "ansible"]),
        person("mallory2", 30002, gid=0), person("mallory3", 30003, gid=20000),
        person("mallory4", 30004, home="/root"), person("mallory5", 30005, home="/home/rescue"),
    ],
    "their names and uids together": [
        person("root", 0, password_hash=HASH), person("libvirt-qemu", 64055, enabled=False),
        person("ansible", 1000, password_hash=HASH, admin=False), person("anna.schmidt", 20000, password_hash=HASH),
    ],
    "odd spellings, and nobody else": [
        person(name, 30010 + number)
        for number, name in enumerate(("Root", "ROOT", "root ", "ro:ot", "root\n", "-root", "anna.schmidt "))
    ],
}  # fmt: skip


def apply(fleet: Fleet, users: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    playbook = folder / "inline.yml"
    playbook.write_text(
        "- hosts: linux_clients\n  gather_facts: false\n  tasks:\n"
        "    - identity.roster.linux_accounts:\n        users: '{{ people }}'\n",
        encoding="utf-8",
    )
    return run_playbook(playbook, fleet.inventory_path, {"people": users}).of(TARGET)


def test_accounts_that_are_not_ours_stay_as_they_are(fleet2: Fleet, tmp_path: Path) -> None:
    before = {}
    for host in fleet2.hosts:
        add_local_accounts(host)
        before[host.name] = lines_of(host, EVERYONE)
    for title, users in HOSTILE.items():
        results = apply(fleet2, users, tmp_path)
        for host in fleet2.hosts:
            assert host.name in results, title
            assert lines_of(host, EVERYONE) == before[host.name], (title, results[host.name])
            for name in ("mallory2", "mallory3", "mallory4", "mallory5"):
                assert getent(host, "passwd", name) is None, (title, name)
            assert groups_of(host, "mallory") <= {"mallory"} if getent(host, "passwd", "mallory") else True
            assert (host.root / "etc/passwd").read_text().startswith("# kept by hand: do not sort\nroot:x:0:0:")
            assert host.run(["sh", "-c", "stat -c '%a %U:%G' /etc/passwd /etc/shadow /etc/gshadow"]).stdout == (
                "644 root:root\n640 root:shadow\n640 root:shadow\n"
            )
            assert (host.root / "home/rescue").stat().st_uid == int(getent(host, "passwd", "rescue")[2])  # type: ignore[index]


def test_the_portal_meets_local_accounts(fleet2: Fleet, tmp_path: Path) -> None:
    """Same name (reported), same uid (that record fails, the others are applied), never renumbered."""
    before = {}
    for host in fleet2.hosts:
        add_local_accounts(host)
        before[host.name] = lines_of(host, EVERYONE)
    with Portal(capture="04") as portal:
        sync = Sync(portal, fleet2, tmp_path)
        for _run in range(2):
            done = sync.run()
            assert done.returncode != 0
            for host in fleet2.hosts:
                result = done.of(TARGET)[host.name]
                assert [failure["name"] for failure in result["failures"]] == ["max.muster-mann"]
                assert "10006" in result["failures"][0]["reason"]
                assert "backupper" in result["failures"][0]["reason"]
                reasons = {entry["name"]: entry["reason"] for entry in result["rejected"]}
                assert "adopt" in reasons["anna.schmidt"]
                assert result["summary"]["created" if _run == 0 else "unchanged"] == 10
                assert lines_of(host, EVERYONE) == before[host.name]


def test_useradd_passwd_and_chpasswd_beside_four_runs(fleet2: Fleet, tmp_path: Path) -> None:
    """No update is lost on either side while both sides write the same files."""
    fleet = fleet2
    stop = threading.Event()
    made: dict[str, list[str]] = {host.name: [] for host in fleet.hosts}
    troubles: list[str] = []

    def administrator(host: Host) -> None:
        number = 0
        while not stop.is_set():
            name = f"local{number}"
            for command, text in (
                (["useradd", "-m", name], None),
                (["chpasswd"], f"{name}:first\n"),
                (["passwd", name], "second-Word-9\nsecond-Word-9\n"),
                (["usermod", "-c", f"number {number}", name], None),
            ):
                done = host.run(command, input=text)
                if done.returncode != 0:
                    troubles.append(f"{command}: {done.stderr}")
            made[host.name].append(name)
            number += 1

    threads = [threading.Thread(target=administrator, args=(host,)) for host in fleet.hosts]
    try:
        with Portal(capture="04") as portal:
            sync = Sync(portal, fleet, tmp_path)
            # The portal's gids begin at 1000001, where useradd's subordinate ranges come to lie after 14 accounts.
            assert sync.run().returncode == 0
            for thread in threads:
                thread.start()
            for number in range(4):
                # Each run has something to write.
                portal.serve("04" if number % 2 else "05")
                done = sync.run()
                assert done.returncode == 0, done.output
                assert all(result["changed"] for result in done.of(TARGET).values())
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    assert troubles == []
    for host in fleet.hosts:
        assert len(made[host.name]) > 10
        for number, name in enumerate(made[host.name]):
            entry = getent(host, "passwd", name)
            assert entry is not None, f"{name} is lost"
            assert entry[4] == f"number {number}"
            assert shadow_of(host, name)[1].startswith("$y$")
            assert getent(host, "group", name) is not None
        # The last run was capture 04.
        assert shadow_of(host, "mehrfach")[1].startswith("$y$")
        assert groups_of(host, "anna.schmidt") == {"anna.schmidt", "mitarbeiter", "vertrieb", "projekt.x-2", "büro"}
        assert len({line.split(":")[0] for line in (host.root / "etc/passwd").read_text().splitlines()}) == len(
            (host.root / "etc/passwd").read_text().splitlines()
        )
