# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries: password hashes and the API key, looked for wherever they must not be while and after a sync runs."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet
from tests.integration.sync import Sync
from tests.playbook.run import run_playbook
from tests.servers.libre_workspace import Portal

CANARY = "$6$canarysalt$" + "Kanarienvogel" + "x" * 73
KEY = "canary-api-key-4f1e"


class Watch:
    """Looks at process arguments and at files in motion, over and over, while something runs."""

    def __init__(self, folders: list[Path], secrets: list[bytes]) -> None:
        self.folders = folders
        self.secrets = secrets
        self.found: set[str] = set()
        self.rosters_seen = 0
        self.rounds = 0

    def look(self) -> None:
        self.rounds += 1
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                self._scan(Path(entry.path, "cmdline"), "process arguments")
        for folder in self.folders:
            for path in _files(folder):
                try:
                    status = path.stat()
                    if not stat.S_ISREG(status.st_mode) or status.st_size > 50_000_000:
                        continue
                    content = path.read_bytes()
                except OSError:
                    continue
                if any(secret in content for secret in self.secrets):
                    self.rosters_seen += 1
                    if _readable_by_others(path, folder):
                        self.found.add(f"{path} can be read by others")

    def _scan(self, path: Path, what: str) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return
        if any(secret in content for secret in self.secrets):
            self.found.add(f"{what}: {content[:200]!r}")


def _files(folder: Path) -> Iterator[Path]:
    for here, _folders, files in os.walk(folder):
        yield from (Path(here, name) for name in files)


def _readable_by_others(path: Path, top: Path) -> bool:
    """Whether an ordinary user could open the file: its own mode, and the way to it."""
    try:
        if not path.stat().st_mode & 0o004:
            return False
        folder = path.parent
        while folder != top.parent:
            if not folder.stat().st_mode & 0o001:
                return False
            folder = folder.parent
    except OSError:
        return False
    return True


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    stop = threading.Event()

    def loop() -> None:
        # What a run writes stays for longer than that.
        while not stop.wait(0.02):
            watch.look()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_no_secret_leaves_its_place(fleet2: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "ansible.log"
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(log))
    secrets = [CANARY.encode(), KEY.encode(), b"Kanarienvogel"]
    moving = [Path(os.environ["ANSIBLE_HOME"])]
    for host in fleet2.hosts:
        moving += [host.root / "home/ansible", host.root / "tmp", host.root / "var/tmp", host.root / "root"]
    watch = Watch(moving, secrets)
    with Portal(capture="04", api_key=KEY) as portal, watching(watch):
        portal.change("anna.schmidt", yescrypt_hash=CANARY)
        sync = Sync(portal, fleet2, tmp_path, {"fetch_api_key": KEY})
        sync.command = True
        outputs = [sync.run(check=True, options=("-vvvv",)), sync.run(options=("-vvvv",)), sync.run(options=("-vvvv",))]
        # Failures are more talkative.
        portal.change("anna.schmidt", yescrypt_hash="Kanarienvogel: not a hash")
        outputs.append(sync.run(options=("-vvvv",)))
        portal.misbehave("forbidden")
        outputs.append(sync.run(options=("-vvvv",)))
    assert [output.returncode for output in outputs[:4]] == [0, 0, 0, 0], outputs[0].output[-3000:]
    assert outputs[4].returncode != 0
    assert watch.rounds > 20
    assert watch.rosters_seen > 0, "the watch saw the roster on its way, so it would have seen it in the open"
    assert watch.found == set()
    for output in outputs:
        for secret in secrets:
            assert secret.decode() not in output.output
        # The portal's own hashes neither.
        assert re.search(r"\$y\$[./A-Za-z0-9]+\$", output.output) is None
    written = log.read_text(encoding="utf-8")
    assert "TASK" in written
    assert not any(secret.decode() in written for secret in secrets)
    assert stat.S_IMODE((tmp_path / "roster.json").stat().st_mode) == 0o600
    for host in fleet2.hosts:
        assert CANARY in (host.root / "etc/shadow").read_text()
        leaks = host.run(
            ["grep", "-rlF", "--exclude-dir=proc", "--exclude-dir=sys", "--exclude-dir=dev", CANARY, "/"]
        ).stdout.split()
        # What a run undid must be known to put it back: root's own, in a directory of root's own.
        snapshots = {path for path in leaks if path.startswith("/var/lib/identity-roster/snapshots/")}
        assert set(leaks) - snapshots <= {"/etc/shadow", "/etc/shadow-"}
        for path in snapshots:
            assert stat.S_IMODE((host.root / path[1:]).stat().st_mode) == 0o600, path
        assert stat.S_IMODE((host.root / "var/lib/identity-roster").stat().st_mode) == 0o700
        for name in ("shadow", "shadow-"):
            assert not (host.root / "etc" / name).stat().st_mode & 0o007


def test_inline_users_show_no_hash_either(fleet2: Fleet, tmp_path: Path) -> None:
    playbook = tmp_path / "inline.yml"
    playbook.write_text(
        "- hosts: linux_clients\n  gather_facts: false\n  tasks:\n"
        "    - identity.roster.linux_accounts:\n        users: '{{ people }}'\n",
        encoding="utf-8",
    )
    watch = Watch([], [b"Kanarienvogel"])
    people = [{"username": "anna", "uid": 30001, "password_hash": CANARY}]
    worse = [
        {"username": "bert", "password_hash": {"Kanarienvogel": CANARY}},
        {"password_hash": CANARY, CANARY: 1},
        CANARY,
    ]
    with watching(watch):
        outputs = [
            run_playbook(playbook, fleet2.inventory_path, {"people": given}, options=("-vvv",), command=True)
            for given in (people, people, worse)
        ]
    assert outputs[0].returncode == outputs[1].returncode == 0, outputs[0].output
    assert watch.found == set()
    for output in outputs:
        assert "Kanarienvogel" not in output.output
    for host in fleet2.hosts:
        assert CANARY in (host.root / "etc/shadow").read_text()
