# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout: where it is, which files belong to it, and the collection trees made from it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .console import say

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = Path("ansible_collections/identity/roster")


def cache() -> Path:
    """The folder of everything that is built once and kept."""
    named = os.environ.get("IDENTITY_ROSTER_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "identity-roster"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; say so when another run has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run to finish ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def linked_tree() -> Path:
    """The tree that Ansible, mypy and pytest load the collection from: a link, so that it never goes stale."""
    tree = ROOT / ".dev/tree"
    link = tree / COLLECTION
    link.parent.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(ROOT, link.parent)
    if not link.is_symlink() or os.readlink(link) != target:
        link.unlink(missing_ok=True)
        with suppress(FileExistsError):  # another run was faster
            link.symlink_to(target)
    return tree


def copies() -> Path:
    """Where the real copies of this checkout are; those of checkouts that are gone go too."""
    folder = cache() / "copies" / hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:10]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made-from").write_bytes(os.fsencode(ROOT))
    for origin in folder.parent.glob("*/made-from"):
        if not os.path.exists(origin.read_bytes()):
            shutil.rmtree(origin.parent, ignore_errors=True)
    return folder


def git_environment() -> dict[str, str]:
    """Variables that let git read a checkout which belongs to somebody else."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": str(ROOT)}


def known_files() -> list[str]:
    """What git tracks or would offer to track; without a repository (an unpacked archive), what .gitignore leaves."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["git", "-C", str(ROOT)]
        if not (ROOT / ".git").exists():
            subprocess.run(["git", "init", "--quiet", scratch], check=True)
            command += [f"--git-dir={scratch}/.git", f"--work-tree={ROOT}"]
        command += ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, env={**os.environ, **git_environment()}
        ).stdout
    names = {os.fsdecode(name) for name in listing.split(b"\0") if name}
    return sorted(name for name in names if os.path.lexists(ROOT / name))


def copy_to(tree: Path) -> Path:
    """Bring a real copy up to date and return the collection's folder in it.

    Files keep their times, so that tools which cache by time stay warm. ansible-test's own output stays; whatever else
    git does not know goes.
    """
    folder = tree / COLLECTION
    folder.mkdir(parents=True, exist_ok=True)
    wanted = known_files()
    keep = set(wanted)
    for directory, folders, files in os.walk(folder, topdown=False):
        inside = os.path.relpath(directory, folder)
        if inside.startswith("tests/output"):
            continue
        for name in files + [name for name in folders if os.path.islink(os.path.join(directory, name))]:
            if os.path.normpath(os.path.join(inside, name)) not in keep:
                os.unlink(os.path.join(directory, name))
        if inside != "." and not os.listdir(directory):
            os.rmdir(directory)
    for name in wanted:
        source, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        old, new = copy.lstat() if os.path.lexists(copy) else None, source.lstat()
        if old is None or (old.st_mtime_ns, old.st_size, old.st_mode) != (new.st_mtime_ns, new.st_size, new.st_mode):
            copy.unlink(missing_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return folder
