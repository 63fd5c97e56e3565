# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The members of an archived home, put below one directory and never outside of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from contextlib import suppress
from typing import List, Tuple

from .._roster.text import shown
from .directories import DIRECTORY, NEW_FILE, closing

_Parts = Tuple[str, ...]


def restore_members(archive: int, directory: int, uid: int, gid: int) -> None:
    """Fill an empty directory that nobody else can enter with an archive's members, and give it to its user.

    Raises OSError, also for an archive that is damaged, or of another user's home.
    """
    try:
        with open(archive, "rb", closefd=False) as file, tarfile.open(
            fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as tar:
            top = tar.next()
            if top is None or not top.isdir() or "/" in top.name:
                raise OSError(errno.EINVAL, "the archive does not begin with a home")
            if top.uid != uid:
                raise OSError(errno.EPERM, f"the archive is of a home of uid {top.uid}, not of uid {uid}")
            end = _Restoration(tar, directory, top.name).run(top)
            file.seek(end)
            # tarfile takes a header that it can't read for the end of the archive.
            if file.read(2 * tarfile.BLOCKSIZE) != bytes(2 * tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"it can't be read beyond {end} bytes")
        os.fchown(directory, uid, gid)
        os.fchmod(directory, stat.S_IMODE(top.mode))
        _set_time(directory, top.mtime)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as problem:
        raise OSError(errno.EIO, f"the archive is damaged: {problem}") from None


class _Restoration:
    def __init__(self, tar: tarfile.TarFile, directory: int, name: str) -> None:
        self._tar = tar
        self._directory = directory
        self._name = name
        self._times: List[Tuple[_Parts, float]] = []

    def run(self, top: tarfile.TarInfo) -> int:
        """Restore what comes after the home's own member; returns where the last member ends."""
        last = top
        while True:
            member = self._tar.next()
            if member is None:
                break
            last = member
            try:
                self._restore(member)
            except OSError as problem:
                raise OSError(problem.errno, f"{shown(member.name, 200)}: {problem.strerror}") from None
        # Last of all: what is put into a directory changes its time.
        for parts, time in reversed(self._times):
            with closing(self._open(parts)) as descriptor:
                _set_time(descriptor, time)
        size = last.size if last.isreg() else 0
        return last.offset_data + size + -size % tarfile.BLOCKSIZE

    def _parts(self, name: str) -> _Parts:
        """Where a member goes, below the directory."""
        first, *parts = name.rstrip("/").split("/")
        if first != self._name or not parts or any(part in ("", ".", "..") for part in parts):
            raise OSError(errno.EINVAL, "a name that leads out of the home")
        return tuple(parts)

    def _open(self, parts: _Parts) -> int:
        descriptor = os.dup(self._directory)
        for part in parts:
            with closing(descriptor):
                descriptor = os.open(part, DIRECTORY, dir_fd=descriptor)
        return descriptor

    def _restore(self, member: tarfile.TarInfo) -> None:
        parts = self._parts(member.name)
        name = parts[-1]
        with closing(self._open(parts[:-1])) as parent:
            if member.isdir():
                os.mkdir(name, 0o700, dir_fd=parent)
                with closing(os.open(name, DIRECTORY, dir_fd=parent)) as descriptor:
                    _set_owner(descriptor, member)
                self._times.append((parts, member.mtime))
            elif member.isreg():
                self._restore_file(member, parent, name)
            elif member.islnk():
                target = self._parts(member.linkname)
                with closing(self._open(target[:-1])) as folder:
                    os.link(target[-1], name, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False)
            elif member.issym():
                os.symlink(member.linkname, name, dir_fd=parent)
                _set_beside(parent, name, member)
            elif member.isfifo():
                os.mkfifo(name, 0o600, dir_fd=parent)
                _set_beside(parent, name, member)
                os.chmod(name, stat.S_IMODE(member.mode), dir_fd=parent)

    def _restore_file(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        content = self._tar.extractfile(member)
        if content is None:
            raise OSError(errno.EINVAL, "a file without content")
        with open(os.open(name, NEW_FILE, 0o600, dir_fd=parent), "wb") as file:
            shutil.copyfileobj(content, file, 1 << 18)
            file.flush()
            _set_owner(file.fileno(), member)
            _set_time(file.fileno(), member.mtime)


def _set_owner(descriptor: int, member: tarfile.TarInfo) -> None:
    """The owner first: a change of it takes set-user-ID bits away."""
    os.fchown(descriptor, member.uid, member.gid)
    os.fchmod(descriptor, stat.S_IMODE(member.mode))


def _set_beside(parent: int, name: str, member: tarfile.TarInfo) -> None:
    """The owner and time of what can't be opened."""
    os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
    with suppress(OSError, OverflowError, ValueError):
        os.utime(name, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)


def _set_time(descriptor: int, time: float) -> None:
    """A time that the file system can't hold is not worth a home."""
    with suppress(OSError, OverflowError, ValueError):
        os.utime(descriptor, (time, time))
