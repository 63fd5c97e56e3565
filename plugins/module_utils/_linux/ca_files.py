# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store of trusted authorities on the disk: looking at it, replacing our files, running the family's tool."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from contextlib import suppress
from typing import Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from .._errors import TargetError
from .ca_store import MODE, PREFIX, Family, StoredFile, View, fingerprints_in

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Seconds. A store of 150 authorities takes about one; hooks such as Java's may take many.
PATIENCE = 300
#: No certificate and no bundle of them is larger.
_LARGEST = 64 * 1024 * 1024
_HASH_LINK = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_TEMPORARY = re.compile(rf"\.{PREFIX}.*\.new")


class ToolError(TargetError):
    """The family's tool did not do its work."""


class CaFiles:
    """One store. ``search_path`` is where programs are looked for."""

    def __init__(self, root: str, family: Family, search_path: str = SYSTEM_PATH) -> None:
        self.root = root
        self.family = family
        self.anchors = self._path(family.anchors)
        self._search_path = search_path

    def _path(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def check(self) -> None:
        """Whether the store can be worked on at all. Raises TargetError before anything is written."""
        here, root = os.path.realpath(self.anchors), os.path.realpath(self.root)
        if root != "/" and not here.startswith(root + "/"):
            raise TargetError(f"{self.anchors} is a symbolic link that leads out of {self.root}")
        if os.path.lexists(self.anchors) and not os.path.isdir(self.anchors):
            raise TargetError(f"{self.anchors} is not a directory; certificates can't be put there")

    def check_tool(self) -> None:
        """Whether the store can be made anew. Raises TargetError before anything is written."""
        self._command(())

    def view(self) -> View:
        """The store as it is now. What can't be read counts as not there, but for our own files."""
        bundle = fingerprints_in(self._read(self._resolved(self.family.bundle)) or b"")
        if self.family.hashes is None:
            return View(self._files(), frozenset(bundle))
        hashed, linked = self._hash_directory(self.family.hashes)
        return View(self._files(), frozenset(bundle), hashed, linked)

    def _files(self) -> Dict[str, StoredFile]:
        """Ours by name."""
        found = {}
        try:
            names = os.listdir(self.anchors)
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise TargetError(f"{self.anchors} can't be read: {problem.strerror}") from None
        for name in names:
            if name.startswith(PREFIX) and name.endswith(".crt"):
                path = os.path.join(self.anchors, name)
                try:
                    status = os.lstat(path)
                except FileNotFoundError:
                    continue
                regular = stat.S_ISREG(status.st_mode)
                content = (self._read(path) or b"") if regular else b""
                ours = status.st_uid == os.geteuid()
                found[name] = StoredFile(content, stat.S_IMODE(status.st_mode), ours, regular)
        return found

    def _hash_directory(self, path: str) -> Tuple[FrozenSet[str], FrozenSet[str]]:
        """What OpenSSL finds there by its links, and which of our files links lead to."""
        directory = self._path(path)
        hashed: Set[str] = set()
        linked: Set[str] = set()
        try:
            names = os.listdir(directory)
        except OSError:
            return frozenset(), frozenset()
        for name in names:
            try:
                target = os.readlink(os.path.join(directory, name))
            except OSError:
                target = ""
            if os.path.dirname(target) == self.family.anchors and os.path.basename(target).startswith(PREFIX):
                linked.add(os.path.basename(target))
            if _HASH_LINK.fullmatch(name):
                hashed |= fingerprints_in(self._read(self._resolved(f"{path}/{name}")) or b"")
        return frozenset(hashed), frozenset(linked)

    def _resolved(self, path: str) -> str:
        """A path behind its links, as they are meant inside the root."""
        for _hop in range(10):
            try:
                target = os.readlink(self._path(path))
            except OSError:
                break
            path = os.path.normpath(os.path.join(os.path.dirname(path), target))
        return self._path(path)

    def _read(self, path: str) -> Optional[bytes]:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags), "rb") as file:
                return file.read(_LARGEST)
        except OSError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace one of our files whole. Raises OSError."""
        self._make(self.anchors)
        path, temporary = os.path.join(self.anchors, name), os.path.join(self.anchors, f".{name}.new")
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), MODE)
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync(self.anchors)

    def remove(self, name: str) -> None:
        """Remove one of our files, if it is there. Raises OSError."""
        try:
            os.unlink(os.path.join(self.anchors, name))
        except FileNotFoundError:
            return
        _sync(self.anchors)

    def remove_leftovers(self) -> None:
        """What a killed run left. Nobody else uses these names, and the caller holds the lock."""
        with suppress(OSError):
            for name in os.listdir(self.anchors):
                if _TEMPORARY.fullmatch(name):
                    os.unlink(os.path.join(self.anchors, name))

    def _make(self, path: str) -> None:
        """A directory and those above it, 0755 whatever the umask."""
        if os.path.isdir(path):
            return
        self._make(os.path.dirname(path))
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # noqa: S103 - everybody has to read what is trusted

    def rebuild(self, everything: bool) -> None:
        """Run the family's tool. Raises ToolError with its words."""
        arguments = self.family.rebuild if everything else self.family.add
        command = self._command(arguments)
        shown = " ".join((self.family.tool, *arguments))
        before = os.umask(0o022)
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": self._search_path, "LC_ALL": "C", "HOME": "/"},
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ToolError(f"{shown} did not end within {PATIENCE} s") from None
        except OSError as problem:
            raise ToolError(f"{shown} could not be started: {problem.strerror}") from None
        finally:
            os.umask(before)
        if done.returncode != 0:
            raise ToolError(f"{shown} failed (return code {done.returncode}): {_words(done.stdout)}")

    def _command(self, arguments: Sequence[str]) -> List[str]:
        if self.root == "/":
            program = shutil.which(self.family.tool, path=self._search_path)
            if program is None:
                raise TargetError(f"{self.family.tool} is not installed on this host: install {self.family.package}")
            return [program, *arguments]
        # Debian 12's tool knows no other root (Debian 13's has --sysroot), nor do most: chroot serves them all.
        if not any(os.path.lexists(self._path(f"{place}/{self.family.tool}")) for place in SYSTEM_PATH.split(":")):
            raise TargetError(
                f"{self.family.tool} is not installed in {self.root}: install {self.family.package} there"
            )
        try:
            has_null = stat.S_ISCHR(os.stat(self._path("/dev/null")).st_mode)
        except OSError:
            has_null = False
        if not has_null:
            raise TargetError(f"{self.root} has no /dev/null, which {self.family.tool} needs: mount a /dev there first")
        chroot = shutil.which("chroot", path=self._search_path)
        if chroot is None:
            raise TargetError(f"chroot is not installed on this host, so {self.root} can't be worked on")
        return [chroot, self.root, self.family.tool, *arguments]


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _words(output: bytes) -> str:
    """The last of what a program said, on one line."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    text = "; ".join(lines[-3:])
    return "".join(character if character.isprintable() else "?" for character in text)[-400:] or "it said nothing"
