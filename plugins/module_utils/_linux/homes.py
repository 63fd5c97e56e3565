# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Home directories: made from the skeleton, complete or not at all, without following anybody's links."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import List, Optional, Tuple

from .._roster.posix import home_problem
from .draft import Home

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class _Entry:
    """One thing of the skeleton: a directory, a file (with content) or a symbolic link (with target)."""

    name: str
    mode: int
    times: Tuple[int, int]
    content: Optional[bytes] = None
    target: Optional[str] = None
    children: Tuple[_Entry, ...] = ()


class HomeMaker:
    """Makes homes below one root directory. The skeleton is read once, however many homes there are."""

    def __init__(self, root: str, skel: str, mode: int) -> None:
        self._root = os.path.realpath(root)
        self._skel = os.path.join(self._root, skel.lstrip("/"))
        self._mode = mode
        self._skeleton: Optional[Tuple[_Entry, ...]] = None

    def make(self, home: Home) -> None:
        """Raises OSError. A home that is there already stays as it is."""
        if self._skeleton is None:
            self._skeleton = _read_tree(self._skel)
        parent = self._open_parent(home.path)
        try:
            name = os.path.basename(home.path.rstrip("/"))
            temporary = f".identity-roster-{name}"
            if _is_there(parent, name):
                return
            if _is_there(parent, temporary):
                _remove_tree(parent, temporary)
            os.mkdir(temporary, 0o700, dir_fd=parent)
            try:
                directory = os.open(temporary, _DIRECTORY, dir_fd=parent)
                try:
                    if os.fstat(directory).st_uid != os.geteuid():
                        raise OSError(errno.EPERM, "the owner of the directory above is meddling")
                    for entry in self._skeleton:
                        _copy(entry, directory, home.uid, home.gid)
                    os.fchmod(directory, self._mode)
                    os.fchown(directory, home.uid, home.gid)
                finally:
                    os.close(directory)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError:
                _remove_tree(parent, temporary)
                raise
        finally:
            os.close(parent)

    def _open_parent(self, path: str) -> int:
        """A descriptor of the directory that a home goes into, made (0755) where it is missing.

        A link on the way (``/home -> /srv/home``) is followed below ``/`` only: in another root an absolute link
        would lead out of it.
        """
        parts = [part for part in os.path.dirname(path.rstrip("/")).split("/") if part]
        if self._root == "/":
            resolved = os.path.realpath("/" + "/".join(parts))
            if home_problem(os.path.join(resolved, os.path.basename(path.rstrip("/")))):
                raise OSError(errno.EPERM, f"a link leads it to {resolved}, which is the system's")
            parts = [part for part in resolved.split("/") if part]
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts:
            try:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
                    _set_mode(descriptor, part, 0o755)
                following = os.open(part, _DIRECTORY, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = following
        return descriptor


def _set_mode(directory: int, name: str, mode: int) -> None:
    """The mode of a directory that was just made, whatever the umask is."""
    descriptor = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove_tree(directory: int, name: str) -> None:
    """Remove what an interrupted run left. rmtree by descriptor does not follow links (bpo-4489)."""
    path = f"/proc/self/fd/{directory}/{name}"
    shutil.rmtree(path, ignore_errors=True)


def _read_tree(path: str) -> Tuple[_Entry, ...]:
    entries: List[_Entry] = []
    try:
        listing = sorted(os.scandir(path), key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    for item in listing:
        status = item.stat(follow_symlinks=False)
        mode, times = stat.S_IMODE(status.st_mode), (status.st_atime_ns, status.st_mtime_ns)
        if item.is_symlink():
            entries.append(_Entry(item.name, mode, times, target=os.readlink(item.path)))
        elif item.is_dir(follow_symlinks=False):
            entries.append(_Entry(item.name, mode, times, children=_read_tree(item.path)))
        elif item.is_file(follow_symlinks=False):
            with open(item.path, "rb") as file:
                entries.append(_Entry(item.name, mode, times, content=file.read()))
    return tuple(entries)


def _copy(entry: _Entry, directory: int, uid: int, gid: int) -> None:
    if entry.target is not None:
        os.symlink(entry.target, entry.name, dir_fd=directory)
        os.chown(entry.name, uid, gid, dir_fd=directory, follow_symlinks=False)
        return
    if entry.content is None:
        os.mkdir(entry.name, 0o700, dir_fd=directory)
        descriptor = os.open(entry.name, _DIRECTORY, dir_fd=directory)
    else:
        descriptor = os.open(entry.name, _NEW_FILE, 0o600, dir_fd=directory)
    try:
        for child in entry.children:
            _copy(child, descriptor, uid, gid)
        if entry.content is not None:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(entry.content)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, entry.mode)
        os.utime(descriptor, ns=entry.times)
    finally:
        os.close(descriptor)


def make_mail_spool(root: str, directory: str, username: str, uid: int, mail_gid: int) -> None:
    """An empty mail spool, as useradd makes with CREATE_MAIL_SPOOL; one that is there stays. Raises OSError."""
    top = os.path.realpath(root)
    path = os.path.realpath(os.path.join(top, directory.lstrip("/")))
    if os.path.commonpath((top, path)) != top:
        raise OSError(errno.ELOOP, "a link leads out of the root directory")
    parent = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileExistsError):
            descriptor = os.open(username, _NEW_FILE, 0o600, dir_fd=parent)
            try:
                os.fchown(descriptor, uid, mail_gid)
                os.fchmod(descriptor, 0o660)
            finally:
                os.close(descriptor)
    finally:
        os.close(parent)
