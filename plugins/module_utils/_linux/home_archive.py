# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Homes of those who left or are called otherwise now: archived, put back, removed, moved.

A home's owner may still have programs at work in it, and may have built it to do harm. So everything in it is reached
by descriptor, no link in it is followed, and no other file system is entered.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from contextlib import suppress
from typing import Dict, List, Tuple

from .._roster.text import shown
from .directories import (
    DIRECTORY,
    NEW_FILE,
    READ_FILE,
    closing,
    is_there,
    open_home,
    open_home_parent,
    open_system_directory,
)
from .home_restore import restore_members
from .trees import Walk, mounts_in, remove_tree

#: No program makes a longer path by accident, and none can open one.
LONGEST_PATH = 4096
#: Free space that an archive leaves to others, in bytes.
SPARE = 64 << 20
#: What a file can turn into while it is looked at: gone, or something else in its place.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)
_CHUNK = 1 << 18


def archive_home(root: str, home: str, uid: int, destination: str) -> None:
    """Write a home as a tar file (0600, numeric owners), whole or not at all; one that is there is replaced.

    Left out: sockets, what vanishes meanwhile, paths longer than any program can open, and what is mounted in the
    home. Raises OSError, FileNotFoundError if there is no home.
    """
    top = os.path.realpath(root)
    name = os.path.basename(home.rstrip("/"))
    with closing(open_home_parent(top, home)) as parent, closing(open_home(parent, name, uid)) as directory:
        with closing(_open_archives(top, os.path.dirname(destination))) as archives:
            _write_archive(archives, os.path.basename(destination), directory, name)


def restore_home(root: str, archive: str, home: str, uid: int, gid: int) -> None:
    """Make a home of an archive, whole or not at all. The home itself becomes the user's; all in it belongs to whom
    it belonged. Devices stay out. Raises OSError, FileExistsError if something is there."""
    top = os.path.realpath(root)
    name = os.path.basename(home.rstrip("/"))
    temporary = f".identity-roster-{name}"
    with closing(_open_archive(top, archive)) as source, closing(open_home_parent(top, home, make=True)) as parent:
        if is_there(parent, name):
            raise OSError(errno.EEXIST, "something is there already")
        if is_there(parent, temporary):
            remove_tree(parent, temporary)
        os.mkdir(temporary, 0o700, dir_fd=parent)
        try:
            with closing(os.open(temporary, DIRECTORY, dir_fd=parent)) as directory:
                if os.fstat(directory).st_uid != os.geteuid():
                    raise OSError(errno.EPERM, "the owner of the directory above is meddling")
                restore_members(source, directory, uid, gid)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(OSError):
                remove_tree(parent, temporary)
            raise


def remove_home(root: str, home: str, uid: int) -> None:
    """Remove a home. None there is fine; one cut off half-way is completed. Raises OSError.

    It is renamed first: whoever looks finds it whole or not at all, and an archive is never made of a half.
    """
    name = os.path.basename(home.rstrip("/"))
    removed = f".identity-roster-removed-{name}"
    try:
        parent = open_home_parent(os.path.realpath(root), home)
    except FileNotFoundError:
        return
    with closing(parent):
        for present in (removed, name):
            try:
                directory = open_home(parent, present, uid)
            except FileNotFoundError:
                continue
            with closing(directory):
                mounts = mounts_in(directory)
            if mounts:
                raise OSError(
                    errno.EBUSY, f"another file system is mounted on {shown(mounts[0], 200)}; unmount it first"
                )
            if present == name:
                try:
                    os.rename(name, removed, src_dir_fd=parent, dst_dir_fd=parent)
                    os.fsync(parent)
                except OSError as problem:
                    # A directory of an overlay's lower layer can be removed and not renamed.
                    if problem.errno != errno.EXDEV:
                        raise
                    remove_tree(parent, name)
                    continue
            remove_tree(parent, removed)


def move_home(root: str, old: str, new: str, uid: int) -> None:
    """Rename a home. One that was moved already is fine. Raises OSError, FileNotFoundError if there is neither."""
    top = os.path.realpath(root)
    name, new_name = (os.path.basename(path.rstrip("/")) for path in (old, new))
    if not _is_home_there(top, old):
        with closing(open_home_parent(top, new)) as target:
            os.close(open_home(target, new_name, uid))
        return
    with closing(open_home_parent(top, old)) as source:
        with closing(open_home(source, name, uid)) as directory:
            if os.readlink(f"/proc/self/fd/{directory}") in mounts_in(directory):
                raise OSError(errno.EBUSY, "it is a file system of its own: mount that on the new place by hand")
        with closing(open_home_parent(top, new, make=True)) as target:
            if is_there(target, new_name):
                raise OSError(errno.EEXIST, f"something is at {new} already")
            try:
                os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
            except OSError as problem:
                if problem.errno != errno.EXDEV:
                    raise
                raise OSError(errno.EXDEV, f"{new} is on another file system: move it by hand") from None
            os.fsync(target)
        os.fsync(source)


def _is_home_there(top: str, home: str) -> bool:
    try:
        with closing(open_home_parent(top, home)) as parent:
            return is_there(parent, os.path.basename(home.rstrip("/")))
    except FileNotFoundError:
        return False


def _open_archives(top: str, path: str) -> int:
    """The directory of the archives, root's alone, made where it is missing. What is above it is there."""
    folder, name = os.path.split(path.rstrip("/"))
    with closing(open_system_directory(top, folder)) as above:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
            os.fsync(above)
        descriptor = os.open(name, DIRECTORY, dir_fd=above)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(descriptor)
        raise OSError(errno.EPERM, f"{path} must belong to the user this runs as and have mode 0700")
    return descriptor


def _open_archive(top: str, path: str) -> int:
    """An archive that nobody else can have written. Raises OSError."""
    with closing(open_system_directory(top, os.path.dirname(path))) as folder:
        descriptor = os.open(os.path.basename(path), READ_FILE, dir_fd=folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        os.close(descriptor)
        raise OSError(errno.EPERM, f"{path} is not a file that only the user this runs as can write")
    return descriptor


def _write_archive(archives: int, destination: str, home: int, name: str) -> None:
    temporary = f".{destination}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=archives)
    with open(os.open(temporary, NEW_FILE, 0o600, dir_fd=archives), "wb") as file:
        try:
            _Archive(file, name).add_tree(home)
            file.flush()
            os.fsync(file.fileno())
            os.rename(temporary, destination, src_dir_fd=archives, dst_dir_fd=archives)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=archives)
            raise
    os.fsync(archives)


class _Archive:
    """One tar file that is being written. Names in it begin with the home's own.

    In GNU's format, which keeps names as bytes: pax wants UTF-8, and each tar treats other names in its own way.
    """

    def __init__(self, file: io.BufferedWriter, name: str) -> None:
        self._file = file
        self._name = name
        self._linked: Dict[Tuple[int, int], str] = {}

    def add_tree(self, home: int) -> None:
        self._add(self._described("", os.fstat(home)))
        walk = Walk(home)
        try:
            self._add_below(walk)
        finally:
            walk.close()
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _add_below(self, walk: Walk) -> None:
        left = [_names(walk)]
        while left:
            if left[-1]:
                name = left[-1].pop()
                path = walk.path(name)
                try:
                    if len(os.fsencode(path)) < LONGEST_PATH and self._add_entry(walk, name, path):
                        left.append(_names(walk))
                except OSError as problem:
                    raise OSError(problem.errno, f"{shown(path, 200)}: {problem.strerror}") from None
                continue
            left.pop()
            if left and walk.leave() is None:
                left[-1].clear()

    def _add_entry(self, walk: Walk, name: str, path: str) -> bool:
        """True for a directory that was entered, to be gone through."""
        try:
            status = os.stat(name, dir_fd=walk.descriptor, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                entered = walk.enter(name)
                self._add(self._described(path, os.fstat(walk.descriptor) if entered else status))
                return entered
            if stat.S_ISREG(status.st_mode):
                descriptor = os.open(name, READ_FILE, dir_fd=walk.descriptor)
            elif stat.S_ISLNK(status.st_mode):
                member = self._described(path, status)
                member.linkname = os.readlink(name, dir_fd=walk.descriptor)
        except OSError as problem:
            if problem.errno in _GONE:
                return False
            raise
        if stat.S_ISREG(status.st_mode):
            with closing(descriptor):
                self._add_file(descriptor, path)
        elif stat.S_ISLNK(status.st_mode):
            self._add(member)
        elif not stat.S_ISSOCK(status.st_mode):
            self._add(self._described(path, status))
        return False

    def _add_file(self, descriptor: int, path: str) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        member = self._described(path, status)
        identity = (status.st_dev, status.st_ino)
        if identity in self._linked:
            member.type, member.linkname = tarfile.LNKTYPE, self._linked[identity]
            self._add(member)
            return
        member.size = status.st_size
        self._add(member)
        self._copy(descriptor, member.size)
        if status.st_nlink > 1:
            self._linked[identity] = member.name

    def _described(self, path: str, status: os.stat_result) -> tarfile.TarInfo:
        member = tarfile.TarInfo(f"{self._name}/{path}".rstrip("/"))
        member.mode = stat.S_IMODE(status.st_mode)
        member.uid, member.gid = status.st_uid, status.st_gid
        member.mtime = status.st_mtime_ns // 10**9
        member.type = _TYPES[stat.S_IFMT(status.st_mode)]
        if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        return member

    def _add(self, member: tarfile.TarInfo) -> None:
        room = os.fstatvfs(self._file.fileno())
        if room.f_bavail * room.f_frsize < member.size + SPARE:
            raise OSError(errno.ENOSPC, f"the archives have no room for its {member.size} bytes")
        self._file.write(member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))

    def _copy(self, descriptor: int, size: int) -> None:
        """As many bytes as the header says: what grows meanwhile is cut, what shrinks goes on with zeros, as GNU tar
        does it."""
        left = size
        while left:
            found = os.read(descriptor, min(left, _CHUNK)) or bytes(min(left, _CHUNK))
            self._file.write(found)
            left -= len(found)
        self._file.write(bytes(-size % tarfile.BLOCKSIZE))


_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


def _names(walk: Walk) -> List[str]:
    """In an order that does not depend on the file system; the first comes last, to be taken from the end."""
    return sorted(os.listdir(walk.descriptor), reverse=True)
