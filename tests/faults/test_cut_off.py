# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SSH cut while the module is at work: on real hosts, by ansible-playbook, with the cut where the module waits."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.faults.scenario import ACCOUNT_FILES, HASHES, LOCAL, OLD, exposed, tree
from tests.fleet import kernel
from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.playbook.run import TARGET, Run, run_playbook
from tests.tables import Trials

SECTION = "Faults"
PLAY = """\
- hosts: linux_clients
  gather_facts: false
  tasks:
    - identity.roster.linux_accounts:
        users: "{{ people }}"
"""
PEOPLE: list[dict[str, Any]] = [{"id": "id-anna", "username": "anna", "password_hash": HASHES[OLD], "admin": True}]


def files(host: Host) -> dict[str, bytes]:
    return {name: (host.root / "etc" / name).read_bytes() for name in ACCOUNT_FILES}


def modules(host: Host) -> list[str]:
    """The host's processes that run Ansible's Python."""
    lines = host.run(["ps", "-eo", "args"], check=True).stdout.splitlines()
    return [line for line in lines if "AnsiballZ" in line and "python" in line]


def until(what: str, condition: Any, patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def cut_off(host: Host) -> None:
    """End every connection; sshd itself goes on."""
    init = host.init()
    assert init is not None
    kernel.end([child for child in init.children() if "sshd" in Path(f"/proc/{child.pid}/comm").read_text()])


def test_ssh_is_cut(fleet2: Fleet, trials: Trials, tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(PLAY, encoding="utf-8")
    before = {}
    for host in fleet2.hosts:
        host.run(["chpasswd", "-e"], input=f"ansible:{HASHES[LOCAL]}\nroot:{HASHES[LOCAL]}\n", check=True)
        (host.root / "etc/.pwd.lock").touch(0o600)
        before[host.name] = files(host)
    locks = [(host.root / "etc/.pwd.lock").open("r+b") for host in fleet2.hosts]
    runs: list[Run] = []

    def run() -> None:
        runs.append(run_playbook(play, fleet2.inventory_path, {"people": PEOPLE}))

    thread = threading.Thread(target=run)
    try:
        for lock in locks:
            fcntl.lockf(lock, fcntl.LOCK_EX)
        thread.start()
        for host in fleet2.hosts:
            state = host.root / "var/lib/identity-roster"
            until("the module does not come to its lock", lambda state=state: state.exists() and _is_locked(state))
            cut_off(host)
    finally:
        for lock in locks:
            lock.close()
        if thread.ident is not None:
            thread.join()
    assert runs[0].returncode != 0, runs[0].output
    for host in fleet2.hosts:
        with trials.case("SSH cut mid-task", host.name):
            until("a module goes on for ever", lambda host=host: not modules(host))
            now = files(host)
            if now != before[host.name]:
                assert all(b"anna" in now[name] for name in ACCOUNT_FILES), "neither the old state nor the new one"
            assert not _is_locked(host.root / "var/lib/identity-roster"), "the state's lock is not freed"
            for place in ("etc", "home", "root", "tmp", "var/lib/identity-roster", "var/tmp"):
                assert not exposed(tree(host.root / place)), place
    done = run_playbook(play, fleet2.inventory_path, {"people": PEOPLE})
    again = run_playbook(play, fleet2.inventory_path, {"people": PEOPLE})
    for host in fleet2.hosts:
        with trials.case("the run after SSH was cut", host.name):
            assert done.returncode == 0 and again.returncode == 0, done.output + again.output
            assert again.of(TARGET)[host.name]["changed"] is False
            assert all(b"anna" in content for content in files(host).values())
            assert host.ssh("ansible", password=LOCAL).returncode == 0
            assert host.ssh("anna", password=OLD).returncode == 0
            assert host.ssh("root").returncode == 0
            left = host.run(["find", "/etc", "/home", "/var/lib/identity-roster", "-name", ".*identity-roster*"])
            assert not left.stdout.split(), left.stdout
            rosters = host.run(["find", "/root", "/home", "/tmp", "/var/tmp", "-name", "roster.json"])
            assert not rosters.stdout.split(), "the roster that was sent is still there"
    trials.verdict()


def _is_locked(folder: Path) -> bool:
    """Asked by another process: a lock of this one would be given to it."""
    script = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    done = subprocess.run([sys.executable, "-S", "-c", script, folder], capture_output=True, check=False)
    return done.returncode != 0
