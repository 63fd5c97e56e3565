# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real directories for the tests of the Linux engine: a made-up host under a temporary folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS
from ansible_collections.identity.roster.plugins.module_utils._linux import engine
from ansible_collections.identity.roster.plugins.module_utils._linux.draft import Options
from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome
from ansible_collections.identity.roster.plugins.module_utils._roster import document
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Roster

from .linux_hosts import FILES, HASH, OPTIONS, OTHER_HASH, roster, user

STATE = "/var/lib/identity-roster"
NAMES = ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")

#: Two rosters, one after the other: between them everything of an account changes.
WANTED = roster(
    user("anna", uid=5000, gid=5000, password_hash=HASH, groups=("team",), admin=True, enabled=True),
    user("bert", groups=("crew",)),
    groups=[Group("team", gid=6000)],
)
LATER = roster(
    user("anna", uid=5000, password_hash=OTHER_HASH, groups=(), admin=False, enabled=False),
    user("dora", uid=5003, full_name="Dora", groups=("team",)),
    groups=[Group("team", gid=6000), Group("second", gid=6001)],
)

#: What pwck and grpck would not accept of the made-up host is left out here.
TIDY = {
    name: "".join(
        line + "\n"
        for line in text.split("\n")
        if line and line[0] not in "+#" and not line.startswith(("short:", "this line"))
    )
    for name, text in FILES.items()
}


def build_tree(root: Path, files: dict[str, str] | None = None) -> None:
    for folder in ("etc/default", "etc/skel", "home", "bin", "var/lib", "var/mail", "tmp"):
        (root / folder).mkdir(parents=True)
    for name, text in (files or FILES).items():
        path = root / "etc" / name
        path.write_text(text)
        path.chmod(0o640 if name.endswith("shadow") else 0o644)
        if os.geteuid() == 0:
            os.chown(path, 0, 42 if name.endswith("shadow") else 0)
    (root / "bin/bash").write_text("#!\n")
    (root / "bin/bash").chmod(0o755)
    (root / "etc/os-release").write_text("ID=debian\n")
    (root / "etc/login.defs").write_text("UID_MIN 1000\nUID_MAX 60000\nHOME_MODE 0700\nPASS_MAX_DAYS 90\n")
    (root / "etc/skel/.profile").write_text("# profile\n")


@dataclass
class Target:
    """One root directory and how it is asked."""

    root: Path
    options: Options = field(default_factory=lambda: replace(OPTIONS, create_homes=False))

    def request(self, wanted: Roster | None, check: bool = False, **changes: Any) -> engine.Request:
        content = None if wanted is None else document.serialise(wanted)
        digest = "none" if content is None else document.digest(content)
        values: dict[str, Any] = {
            "root": str(self.root),
            "state_directory": STATE,
            "options": self.options,
            "options_digest": hashlib.sha256(repr(self.options).encode()).hexdigest(),
            "roster_digest": digest,
            "sent_digest": digest,
            "roster": None if content is None else lambda: content,
            "check_mode": check,
            "limits": DEFAULTS,
        }
        return engine.Request(**{**values, **changes})

    def run(self, wanted: Roster, check: bool = False, **changes: Any) -> Outcome:
        return engine.run(self.request(wanted, check, **changes))

    def ask(self, wanted: Roster, check: bool = False, **changes: Any) -> Outcome:
        """With the digest alone; raises RosterNeeded."""
        return engine.run(replace(self.request(wanted, check, **changes), roster=None, sent_digest=None))

    def text(self, name: str) -> str:
        return (self.root / "etc" / name).read_text()

    def path(self, name: str) -> Path:
        return self.root / "etc" / name

    def state(self, name: str = "") -> Path:
        return self.root / STATE.lstrip("/") / name

    def line(self, file: str, name: str) -> str | None:
        return next((line for line in self.text(file).splitlines() if line.startswith(name + ":")), None)


Stamp = tuple[int, int, int, int, int, int, bytes]


def stamps(root: Path, leave_out: Iterable[str] = ()) -> dict[str, Stamp]:
    """Everything below a directory: inode, times, mode, owner and content."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path.relative_to(root))] = (
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
                status.st_mode,
                status.st_uid,
                status.st_gid,
                content,
            )
    for name in leave_out:
        found.pop(name, None)
    return found


Hold = Callable[[Path, str, float], None]
HOLD = """
import fcntl, os, struct, sys, time
mode = os.O_RDONLY if os.path.isdir(sys.argv[1]) else os.O_RDWR | os.O_CREAT
descriptor = os.open(sys.argv[1], mode, 0o600)
if sys.argv[2] == "ofd":
    fcntl.fcntl(descriptor, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
elif sys.argv[2] == "flock":
    fcntl.flock(descriptor, fcntl.LOCK_EX)
else:
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Let another process hold a lock on a file or a directory, in one of three ways, for some seconds."""
    running = []

    def start(path: Path, how: str, seconds: float) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, how, str(seconds)], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout and process.stdout.readline() == "held\n"

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def target(tmp_path: Path) -> Target:
    build_tree(tmp_path / "root")
    return Target(tmp_path / "root")
