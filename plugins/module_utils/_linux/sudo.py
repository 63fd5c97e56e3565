# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sudo of a host: which programs it has, what visudo says, whether somebody gets through, and a rehearsal.

A host may have two, the usual one and sudo-rs. Both read the same files, so both are asked.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence

from .._errors import TargetError

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = ("visudo", "visudo-rs", "visudo.ws")
_TIMEOUT = 60
_CLONE_NEWNS = 0x00020000
_MS_REC_PRIVATE = 0x4000 | 0x40000


@dataclass(frozen=True)
class Visudo:
    """One visudo, by its path inside the root. ``narrow``: it is sudo-rs's."""

    path: str
    narrow: bool


@dataclass(frozen=True)
class Verdict:
    """What a state of sudo's files is worth: visudo's complaints or "", and whether the user still gets through."""

    words: str
    lets_in: bool


class Sudo:
    """The programs of one root directory; in another one than ``/`` they run by chroot, which needs root privileges."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.checkers = self._find()

    @property
    def installed(self) -> bool:
        return bool(self.checkers)

    @property
    def narrow(self) -> bool:
        """Whether sudo-rs reads this host's files."""
        return any(checker.narrow for checker in self.checkers)

    def check_text(self, content: bytes) -> str:
        """What is wrong with a drop-in that is not on the disk, in visudo's words; "" for nothing."""
        # visudo-rs takes a dash for a file's name, the other one may have no /dev in a chroot.
        return self._ask(lambda checker: ["-cf", "/dev/stdin" if checker.narrow else "-"], content)

    def check_file(self, path: str) -> str:
        """The same of a file, by its path inside the root."""
        return self._ask(lambda checker: ["-cf", path])

    def check_tree(self) -> str:
        """The same of everything that sudo reads."""
        return self._ask(lambda checker: ["-c"])

    def lets_in(self, user: Optional[str]) -> bool:
        """Whether that user becomes root now without a password, as Ansible would; remembered passwords don't count."""
        program = shutil.which("sudo", path=_PATH) or shutil.which("sudo-rs", path=_PATH)
        if user is None or program is None or self.root != "/" or os.geteuid() != 0:
            return False
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            return False
        groups = os.getgrouplist(user, entry.pw_gid)

        def become() -> None:
            os.setgroups(groups)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)

        done = _run([program, "-k", "-n", "-u", "root", "/bin/sh", "-c", ":"], None, become)
        return done is not None and done.returncode == 0

    def rehearse(self, directory: str, name: str, content: Optional[bytes], user: Optional[str]) -> Optional[Verdict]:
        """Try a drop-in in its place, in a mount namespace of its own where ``directory`` is a copy in memory.

        Nothing outside that namespace sees it. None where a process may not have one (some containers).
        """
        if self.root != "/" or os.geteuid() != 0:
            return None
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            # Only os._exit leaves this process: Ansible's own exit handlers belong to the parent.
            try:
                os.close(reading)
                with suppress(Exception):
                    _stage(directory, name, content)
                    verdict = json.dumps([self.check_tree(), self.lets_in(user)])
                    os.write(writing, verdict.encode("utf-8")[:60000])
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        with suppress(ValueError):
            words, lets_in = json.loads(answer.decode("utf-8", "replace"))
            return Verdict(words, lets_in)
        return None

    def _find(self) -> List[Visudo]:
        found: Dict[str, str] = {}
        for folder in _PATH.split(":"):
            for program in _PROGRAMS:
                path = os.path.join(self.root, folder.lstrip("/"), program)
                if os.path.lexists(path):
                    # An absolute link in another root leads out of it: there every name counts by itself.
                    key = os.path.realpath(path) if self.root == "/" else path
                    found.setdefault(key, f"{folder}/{program}")
        return [Visudo(path, self._is_narrow(path)) for path in found.values()]

    def _is_narrow(self, path: str) -> bool:
        """sudo's own visudo names its grammar's version; sudo-rs has none."""
        done = _run([path, "-V"], None, self._enter)
        if done is None or done.returncode != 0:
            where = "" if self.root == "/" else f" in {self.root}"
            raise TargetError(f"{path}{where} can't be run ({_words(done)}), so rules can't be checked")
        return b"grammar" not in done.stdout

    def _enter(self) -> None:
        if self.root != "/":
            os.chroot(self.root)
            os.chdir("/")

    def _ask(self, arguments: Callable[[Visudo], Sequence[str]], content: Optional[bytes] = None) -> str:
        for checker in self.checkers:
            done = _run([checker.path, *arguments(checker)], content, self._enter)
            if done is None or done.returncode != 0:
                return f"{os.path.basename(checker.path)} says: {_words(done)}"
        return ""


def _run(
    command: Sequence[str], content: Optional[bytes], prepare: Callable[[], None]
) -> Optional[subprocess.CompletedProcess[bytes]]:
    """None when the program can't be started or does not end."""
    try:
        return subprocess.run(
            command, input=content or b"", capture_output=True, cwd="/", preexec_fn=prepare,
            env={"PATH": _PATH, "LC_ALL": "C.UTF-8"}, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None


def _words(done: Optional[subprocess.CompletedProcess[bytes]]) -> str:
    """What a program complained of, in one line, without the lines that only point at a column."""
    if done is None:
        return "it can't be started or does not end"
    lines = (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace").splitlines()
    kept = [line.strip() for line in lines if line.strip(" ^~\t") and not line.endswith("parsed OK")]
    return " / ".join(kept[:8]) or f"return code {done.returncode}"


def _stage(directory: str, name: str, content: Optional[bytes]) -> None:
    """Leave the host's mount namespace, and put a copy of the directory with the drop-in over it."""
    library = ctypes.CDLL(None, use_errno=True)

    def call(function: str, *arguments: object) -> None:
        if getattr(library, function)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), function)

    call("unshare", _CLONE_NEWNS)
    call("mount", None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None)
    below = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    call("mount", b"tmpfs", directory.encode(), b"tmpfs", ctypes.c_ulong(0), b"mode=0755,size=64m")
    shutil.copytree(f"/proc/self/fd/{below}", directory, symlinks=True, copy_function=_copy, dirs_exist_ok=True)
    path = os.path.join(directory, name)
    with suppress(FileNotFoundError):
        os.unlink(path)
    if content is not None:
        with open(path, "xb") as file:
            file.write(content)
        os.chown(path, 0, 0)
        os.chmod(path, 0o440)


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target)
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, status.st_mode & 0o7777)
