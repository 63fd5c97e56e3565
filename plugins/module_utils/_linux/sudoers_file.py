# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One drop-in of sudo on the disk: found, judged, replaced or put back. No other file is written.

Temporaries have a dot in their names, so sudo never reads them. The former file is kept as a second link to its inode
until the new one has proved itself; putting it back restores everything, the time stamps too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Iterator, List, Optional, Set

from .._errors import TargetError
from .._outcome import Change
from .sudo import Sudo, Verdict
from .sudoers import MODE, Found, compare

DIRECTORY = "/etc/sudoers.d"
_MAIN = ("/etc/sudoers", "/usr/etc/sudoers")
_MAIN_NARROW = ("/etc/sudoers-rs", *_MAIN)
_INCLUDE = re.compile(r'(?:[ \t]*@|#)include(dir)?[ \t]+(?:"([^"]+)"|((?:\\[ \t]|\S)+))')
_LARGEST = 1 << 20
_PATIENCE = 10.0


@dataclass(frozen=True)
class Request:
    """What the drop-in ``file`` shall hold; ``text`` None for no such file. ``user`` is who Ansible came as."""

    root: str
    file: str
    text: Optional[str]
    adopt: bool = False
    check_mode: bool = False
    user: Optional[str] = None


@dataclass(frozen=True)
class Result:
    """The changes made, or in check mode to be made, and the drop-in before them."""

    path: str
    found: Optional[Found]
    changes: List[Change]


def bring(request: Request, sudo: Sudo) -> Result:
    """Make the drop-in what it shall be.

    Raises TargetError when that can't be done safely; then the drop-in is what it was, in every respect.
    """
    path = f"{DIRECTORY}/{request.file}"
    try:
        if request.text is not None:
            _require_sudo(sudo)
            _require_include(request.root, sudo)
        with _DropIn(request.root, request.file, request.text is not None) as drop_in:
            if drop_in.missing:
                return Result(path, None, [])
            if request.check_mode:
                return _bring(request, sudo, drop_in, path)
            with drop_in.locked():
                drop_in.heal(sudo)
                return _bring(request, sudo, drop_in, path)
    except OSError as problem:
        hint = "" if os.geteuid() == 0 else " (use become)"
        raise TargetError(f"{problem.filename or path}: {problem.strerror}{hint}. {path} is what it was") from None


def _bring(request: Request, sudo: Sudo, drop_in: _DropIn, path: str) -> Result:
    found = drop_in.read()
    if found is not None and not found.ours and not request.adopt:
        if request.text is None:
            return Result(path, found, [])
        raise TargetError(
            f"{path} exists and was not made by identity.roster; choose another file, or adopt=true to replace it"
        )
    changes = compare(request.file, found, request.text)
    if not changes:
        return Result(path, found, changes)
    content = None if request.text is None else request.text.encode("utf-8")
    # Where sudo is gone, a drop-in that shall go too needs no judge.
    judge = _Judge(request, sudo, path, found) if sudo.installed else None
    if judge is not None:
        judge.foresee(content)
    if not request.check_mode:
        drop_in.replace(content, found, judge)
    return Result(path, found, changes)


def _require_sudo(sudo: Sudo) -> None:
    if not sudo.installed:
        raise TargetError(
            "sudo is not installed on this host (there is no visudo). Install the package sudo first; "
            "the role identity.roster.linux_client does it with linux_client_sudo_install=true"
        )


def _require_include(root: str, sudo: Sudo) -> None:
    """Rules that nobody reads are worse than none: sudo's main file must include the directory."""
    for narrow in sorted({checker.narrow for checker in sudo.checkers}):
        mains = _MAIN_NARROW if narrow else _MAIN
        main = next((path for path in mains if os.path.lexists(os.path.join(root, path.lstrip("/")))), None)
        if main is None:
            raise TargetError(f"this host has no {mains[0]}, so sudo lets nobody in; install or restore it first")
        if DIRECTORY not in _included(root, main, set()):
            raise TargetError(
                f"{main} does not include {DIRECTORY}, so rules there would have no effect. "
                f"Add this line at its end: @includedir {DIRECTORY}"
            )


def _included(root: str, path: str, seen: Set[str]) -> Set[str]:
    """The directories that a sudoers file includes, itself or by other files."""
    seen.add(path)
    try:
        with open(os.path.join(root, path.lstrip("/")), encoding="utf-8", errors="replace") as file:
            text = file.read(_LARGEST).replace("\\\n", " ")
    except (FileNotFoundError, IsADirectoryError):
        return set()
    found = set()
    for line in text.split("\n"):
        match = _INCLUDE.match(line)
        if match is None:
            continue
        named = match.group(2) or re.sub(r"\\([ \t])", r"\1", match.group(3))
        target = os.path.normpath(os.path.join(os.path.dirname(path), named))
        if match.group(1):
            found.add(target)
        elif target not in seen:
            found |= _included(root, target, seen)
    return found


class _Judge:
    """Whether sudo would be, and then is, sound with the new drop-in."""

    def __init__(self, request: Request, sudo: Sudo, path: str, found: Optional[Found]) -> None:
        self.sudo = sudo
        self.path = path
        self.user = request.user
        self.name = request.file
        self.before = Verdict(sudo.check_tree(), sudo.lets_in(request.user))
        self.found = found

    def foresee(self, content: Optional[bytes]) -> None:
        """Before anything is written: the text by itself, then in its place. Raises TargetError."""
        words = "" if content is None else self.sudo.check_text(content)
        if words:
            words = re.sub(r"(?<![\w/])(?:/dev/)?stdin(?=:)", self.path, words)
            raise TargetError(f"these rules are not accepted, and nothing was written: {words}")
        verdict = self.sudo.rehearse(DIRECTORY, self.name, content, self.user)
        if verdict is None:
            # Without a rehearsal: what was broken stays broken, unless it is our own file that we are about to replace.
            mine = self.found is not None and (not self.found.right or self.sudo.check_text(self.found.content) != "")
            verdict = Verdict("" if mine else self.before.words, self.before.lets_in)
        problem = self._problem(verdict)
        if problem:
            raise TargetError(f"{problem}. Nothing was written")

    def look_at(self, name: str) -> str:
        """What is wrong with a file beside the drop-in."""
        return self.sudo.check_file(f"{DIRECTORY}/{name}")

    def look(self) -> Optional[str]:
        """After the rename: what makes it necessary to go back, or None."""
        return self._problem(Verdict(self.sudo.check_tree(), self.sudo.lets_in(self.user)))

    def _problem(self, verdict: Verdict) -> Optional[str]:
        if verdict.words and self.before.words:
            return f"sudo's files on this host were broken before, put that right first: {verdict.words}"
        if verdict.words:
            return f"with {self.path} sudo's files would not be sound: {verdict.words}"
        if self.before.lets_in and not verdict.lets_in:
            return (
                f"with these rules sudo would no longer let {self.user} become root without a password, and Ansible is "
                f"connected as {self.user}: the last rule that fits decides, also one for a group that {self.user} is "
                "in; set nopasswd in it, or leave that group out"
            )
        return None


class _DropIn:
    """The file in its directory, through one descriptor of that directory."""

    def __init__(self, root: str, file: str, wanted: bool) -> None:
        self.file = file
        self.path = os.path.join(root, DIRECTORY.lstrip("/"))
        self.temporary = f".{file}.identity-roster"
        self.kept = f".{file}.identity-roster-before"
        self.wanted = wanted
        self.missing = False
        self.descriptor = -1

    def __enter__(self) -> _DropIn:
        try:
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                if not self.wanted:
                    self.missing = True
                    return self
                raise TargetError(f"{self.path} does not exist; make it (root, mode 0750) first") from None
            raise TargetError(f"{self.path} can't be opened as a directory: {problem.strerror}") from None
        status = os.fstat(self.descriptor)
        if status.st_mode & 0o022 or (os.geteuid() == 0 and status.st_uid != 0):
            os.close(self.descriptor)
            raise TargetError(f"{self.path} can be written by others than root; put that right first")
        return self

    def __exit__(self, *_exception: object) -> None:
        if not self.missing:
            os.close(self.descriptor)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run on this host waiting. The lock is the directory itself: nothing is made for it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TargetError(f"another run has been working in {self.path} for {_PATIENCE:g} s") from None
                time.sleep(0.05)
        try:
            yield
        finally:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def read(self) -> Optional[Found]:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(self.file, flags, dir_fd=self.descriptor)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                return None
            if problem.errno == errno.ELOOP:
                raise TargetError(f"{self.path}/{self.file} is a symbolic link; remove it first") from None
            raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            os.close(descriptor)
            raise TargetError(f"{self.path}/{self.file} is not a sudoers file; remove it first")
        with os.fdopen(descriptor, "rb") as file:
            # Without root privileges (trials in a directory of one's own) files can only be one's own.
            root = os.geteuid() == 0
            return Found(
                file.read(), stat.S_IMODE(status.st_mode), status.st_uid if root else 0, status.st_gid if root else 0
            )

    def heal(self, sudo: Sudo) -> None:
        """Clear what a killed run left; if it had not yet proved its file, that is done now or undone."""
        if self._exists(self.kept):
            if sudo.installed and sudo.check_tree():
                self._rename(self.kept, self.file)
                os.fsync(self.descriptor)
            self._unlink(self.kept)
        self._unlink(self.temporary)

    def replace(self, content: Optional[bytes], found: Optional[Found], judge: Optional[_Judge]) -> None:
        """Write (or with None remove) the file, have it judged, and go back if that goes badly. Raises TargetError."""
        try:
            if content is not None:
                self._write(content)
                words = judge.look_at(self.temporary) if judge is not None else ""
                if words:
                    raise TargetError(f"these rules are not accepted, and nothing was written: {words}")
            if found is not None:
                os.link(self.file, self.kept, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            try:
                if content is None:
                    os.unlink(self.file, dir_fd=self.descriptor)
                else:
                    self._rename(self.temporary, self.file)
                os.fsync(self.descriptor)
                problem = judge.look() if judge is not None else None
                if problem:
                    raise TargetError(f"{problem}. The former state was put back")
            except BaseException:
                self._put_back(found)
                raise
        finally:
            self._unlink(self.temporary)
            self._unlink(self.kept)
            os.fsync(self.descriptor)

    def _put_back(self, found: Optional[Found]) -> None:
        if found is None:
            self._unlink(self.file)
        else:
            self._rename(self.kept, self.file)
        os.fsync(self.descriptor)

    def _write(self, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.temporary, flags, MODE, dir_fd=self.descriptor), "wb") as file:
            file.write(content)
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), 0, 0)
            os.fchmod(file.fileno(), MODE)
            os.fsync(file.fileno())

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _rename(self, source: str, target: str) -> None:
        os.rename(source, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def _unlink(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)
