# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says of its own accounts: the judge of every test, whatever our modules returned."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.fleet.host import Host

#: What a sync could touch. The account that Ansible logs in with keeps its temporary files in its home.
WATCHED = ("etc", "home", "root", "var/lib", "var/mail", "var/spool")
UNWATCHED = ("home/ansible", "var/lib/sudo")

Fingerprint = dict[str, tuple[object, ...]]


def fingerprint(root: Path) -> Fingerprint:
    """Every watched file's inode, times, mode, owner and content."""
    seen: Fingerprint = {}
    for path in _walk(root):
        status = path.lstat()
        content = ""
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        seen[str(path.relative_to(root))] = (
            status.st_ino, status.st_mtime_ns, status.st_mode, status.st_uid, status.st_gid, content,
        )  # fmt: skip
    return seen


def _walk(root: Path) -> Iterator[Path]:
    for top in WATCHED:
        if not (root / top).exists():
            continue
        yield root / top
        for folder, folders, files in os.walk(root / top):
            here = Path(folder)
            folders[:] = [name for name in folders if str((here / name).relative_to(root)) not in UNWATCHED]
            yield from (here / name for name in [*folders, *files])


def getent(host: Host, database: str, name: str) -> list[str] | None:
    """One entry as the C library sees it, or None."""
    done = host.run(["getent", database, name])
    return done.stdout.rstrip("\n").split(":") if done.returncode == 0 else None


def groups_of(host: Host, username: str) -> set[str]:
    return set(host.run(["id", "-Gn", username], check=True).stdout.split())


def may_sudo(host: Host, username: str) -> bool:
    """Whether sudo's own listing gives the user anything."""
    return "not allowed" not in host.run(["sudo", "-l", "-U", username], check=True).stdout


def shadow_of(host: Host, username: str) -> list[str]:
    lines = (host.root / "etc/shadow").read_text(encoding="utf-8").splitlines()
    return next(line.split(":") for line in lines if line.startswith(username + ":"))


def expiry_of(host: Host, username: str) -> str:
    """ "Account expires" as chage(1) words it."""
    lines = host.run(["chage", "-l", username], check=True).stdout.splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("Account expires"))


def complaints(host: Host) -> set[str]:
    """What pwck and grpck say; a fresh host's own list is what to compare with."""
    lines: set[str] = set()
    for program in ("pwck", "grpck"):
        done = host.run([program, "-r"])
        lines.update((done.stdout + done.stderr).splitlines())
    return {line for line in lines if not line.endswith("no changes")}
