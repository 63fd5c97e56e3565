# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet other tests stand on: real logins, pristine hosts, and nothing left on the machine."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fleet import kernel
from tests.fleet.fixtures import FleetFactory
from tests.fleet.fleet import Fleet, fleets_folder
from tests.fleet.host import Host
from tests.fleet.kernel import Process
from tests.tools.checkout import ROOT

PASSWORD = "correct horse battery"
ACCOUNT_FILES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid", "hostname", "hosts")


@pytest.fixture
def folder(fleet_factory: FleetFactory) -> Iterator[Path]:
    """A folder for a fleet of the test's own."""
    path = fleets_folder() / f"test-{os.getpid()}-own"
    yield path
    Fleet(path).down()


def add_user(host: Host, name: str) -> None:
    host.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
    host.run(["chpasswd"], input=f"{name}:{PASSWORD}\n", check=True)
    script = 'install -d -m 0700 -o "$1" -g "$1" "/home/$1/.ssh"; install -m 0600 -o "$1" -g "$1" "$2" "/home/$1/.ssh/"'
    host.run(["sh", "-ec", script, "sh", name, "/root/.ssh/authorized_keys"], check=True)


def machine_digests() -> dict[str, str]:
    paths = [Path("/etc", name) for name in ACCOUNT_FILES]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()}


def names_in(host: Host) -> set[str]:
    return {line.partition(":")[0] for line in (host.root / "etc/shadow").read_text().splitlines()}


def test_hosts_are_one_debian_12_and_one_debian_13(fleet2: Fleet) -> None:
    answers = []
    for host in fleet2.hosts:
        script = '. /etc/os-release; echo "$VERSION_ID"; python3 -V; cat /proc/sys/kernel/hostname; echo $PPID'
        answers.append(host.ssh(command=script).stdout.split())
    releases = [(name, release, python.rpartition(".")[0]) for release, _kernel, python, name, _parent in answers]
    assert releases == [("deb12-1", "12", "3.11"), ("deb13-1", "13", "3.13")]
    assert all(int(parent) < 1000 for *_unused, parent in answers), "a host must have process ids of its own"


def test_control_key_logs_in_and_sudo_asks_nothing(fleet2: Fleet) -> None:
    for host in fleet2.hosts:
        assert host.ssh("ansible", command="sudo -n id -u").stdout == "0\n"
        assert host.ssh("root", command="id -u").stdout == "0\n"
        assert host.ssh("root", password="").returncode == 255


def test_password_login_goes_through_pam_and_a_locked_account_is_refused(fleet2: Fleet) -> None:
    def logins(host: Host) -> list[int]:
        add_user(host, "alice")
        right, by_key = host.ssh("alice", password=PASSWORD), host.ssh("alice")
        wrong = host.ssh("alice", password="wrong")
        host.run(["usermod", "-L", "-e", "1", "alice"], check=True)
        locked, locked_by_key = host.ssh("alice", password=PASSWORD), host.ssh("alice")
        return [done.returncode for done in (right, by_key, wrong, locked, locked_by_key)]

    # PAM takes seconds to refuse a login.
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(logins, fleet2.hosts)) == [[0, 0, 255, 255, 255]] * 2


def test_reset_forgets_all_that_was_changed(fleet2: Fleet) -> None:
    for host in fleet2.hosts:
        add_user(host, "alice")
        assert "alice" in names_in(host)
    untouched, host = fleet2.hosts
    host.reset()
    assert "alice" not in names_in(host)
    assert host.ssh("alice").returncode == 255
    assert not (host.root / "home/alice").exists()
    assert host.ssh().returncode == 0
    assert "alice" in names_in(untouched)


def test_ansible_reaches_every_host_of_the_inventory(fleet10: Fleet) -> None:
    command = [sys.executable, "-m", "ansible", "adhoc", "-i", str(fleet10.inventory_path), "--forks", "10"]
    done = subprocess.run(
        [*command, "linux_clients", "-m", "ansible.builtin.command", "-a", "id -u", "--one-line"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = sorted((line.split()[0], line.split()[-1]) for line in done.stdout.splitlines())
    assert answers == sorted((host.name, "0") for host in fleet10.hosts)


def test_nothing_remains_and_the_machine_is_untouched(folder: Path, tmp_path: Path, fleet2: Fleet) -> None:
    before = machine_digests()
    link = tmp_path / "link"
    link.symlink_to(folder)
    fleet = Fleet(link).up(2)
    assert {host.address for host in fleet.hosts}.isdisjoint(host.address for host in fleet2.hosts)
    for host in fleet.hosts:
        add_user(host, "alice")
        host.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 &"], check=True)
        host.run(["hostname", "changed"], check=True)
        assert host.run(["sysctl", "-w", "vm.swappiness=1"]).returncode != 0, "the kernel's settings are the machine's"
    running = kernel.processes_below(folder)
    assert len(running) >= 4
    assert len(kernel.mount_points_below(folder)) == 2

    fleet.down()

    assert not any(process.alive() for process in running)
    assert not kernel.processes_below(folder)
    assert not kernel.mount_points_below(folder)
    assert not folder.exists()
    assert machine_digests() == before
    assert all(host.ssh().returncode == 0 for host in fleet2.hosts), "the other fleet must not notice"


def test_up_cleans_what_a_killed_owner_left(folder: Path) -> None:
    script = (
        "import sys, time, pathlib; from tests.fleet.fleet import Fleet\n"
        "Fleet(pathlib.Path(sys.argv[1])).up(2); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, cwd=ROOT) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        owner.send_signal(signal.SIGKILL)
    left = kernel.processes_below(folder)
    assert len(left) >= 2, "the hosts outlive a killed owner; if not, this test shows nothing"
    forgotten = Fleet.load(folder)
    assert forgotten is not None
    add_user(forgotten.hosts[0], "alice")

    fleet = Fleet(folder).up(2)

    assert not any(process.alive() for process in left)
    assert "alice" not in names_in(fleet.hosts[0])
    assert all(host.ssh().returncode == 0 for host in fleet.hosts)
    assert len(kernel.mount_points_below(folder)) == 2


def test_a_fleet_in_use_is_not_taken_over(fleet2: Fleet) -> None:
    done = command_line("up", "1", "--dir", str(fleet2.folder))
    assert done.returncode == 2
    # Before it, it may say that it waits for another test's fleet to come up.
    assert done.stderr.endswith(f"dev: process {os.getpid()} is using the fleet in {fleet2.folder}\n")
    assert fleet2.hosts[0].ssh().returncode == 0


def test_one_command_up_and_one_down(folder: Path) -> None:
    up = command_line("up", "1", "--dir", str(folder))
    assert up.returncode == 0, up.stderr
    assert f"inventory: {folder / 'inventory.yml'}\n" in up.stdout
    fleet = Fleet.load(folder)
    assert fleet is not None
    assert fleet.hosts[0].ssh(command="hostname").stdout == "deb12-1\n"
    assert command_line("status", "--dir", str(folder)).returncode == 0
    assert command_line("down", "--dir", str(folder)).returncode == 0
    assert command_line("status", "--dir", str(folder)).returncode == 1
    assert command_line("down", "--dir", str(folder)).returncode == 0


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    done = command_line("up", "1", "--dir", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"dev: {tmp_path} has something else in it")
    assert command_line("down", "--dir", str(tmp_path)).returncode == 0
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_process_id_given_to_another_process_is_not_killed() -> None:
    itself = Process.find(os.getpid())
    assert itself is not None
    earlier = Process(itself.pid, itself.start - 1)
    assert not earlier.alive()
    kernel.end([earlier])


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fleet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
