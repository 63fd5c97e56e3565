# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this collection keeps on a host: /var/lib/identity-roster, root's alone (0700, files 0600)."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import Iterator, List, Mapping, Optional

from .._errors import TargetError

_PAUSE = 0.02
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class StateDirectory:
    """Small files, each replaced whole, and folders of such files (``snapshots/monday``). The directory is made by the
    first write, never by a read. Every folder on the way must be as private as the directory itself."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, name: str) -> Optional[bytes]:
        """A file's content, or None if it is not there yet. ``name`` may lie in folders."""
        *folders, base = name.split("/")
        try:
            directory = self._open(*folders)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise TargetError(f"{self.path} can't be read: {problem.strerror}") from None
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            with os.fdopen(os.open(base, flags, dir_fd=directory), "rb") as file:
                return file.read()
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                return None
            raise TargetError(f"{self.path}/{name} can't be read: {problem.strerror}") from None
        finally:
            os.close(directory)

    def names(self, folder: str) -> List[str]:
        """What is in a folder, sorted; nothing if it is not there yet."""
        try:
            directory = self._open(*folder.split("/"))
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise TargetError(f"{self.path}/{folder} can't be read: {problem.strerror}") from None
        try:
            return sorted(os.listdir(directory))
        finally:
            os.close(directory)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file. The caller holds ``locked()``."""
        temporary = f".{name}.new"
        try:
            directory = self._open()
            try:
                try:
                    _write_file(directory, temporary, content)
                    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                except OSError:
                    with suppress(OSError):
                        os.unlink(temporary, dir_fd=directory)
                    raise
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as problem:
            raise TargetError(f"{self.path}/{name} could not be written: {problem.strerror}") from None

    def write_folder(self, name: str, files: Mapping[str, bytes]) -> None:
        """Make a folder of files, ``above/name``, whole or not at all. The caller holds ``locked()``, and there is none
        of that name yet."""
        above, base = name.split("/")
        temporary = f".{base}.new"
        try:
            self._make_folder(above)
            directory = self._open(above)
            try:
                _remove(directory, temporary)
                os.mkdir(temporary, 0o700, dir_fd=directory)
                try:
                    folder = os.open(temporary, _DIRECTORY, dir_fd=directory)
                    try:
                        for file, content in files.items():
                            _write_file(folder, file, content)
                        os.fsync(folder)
                    finally:
                        os.close(folder)
                    os.rename(temporary, base, src_dir_fd=directory, dst_dir_fd=directory)
                except OSError:
                    with suppress(OSError):
                        _remove(directory, temporary)
                    raise
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as problem:
            raise TargetError(f"{self.path}/{name} could not be written: {problem.strerror}") from None

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with the files in it. What is not there, or is no plain folder, stays so. The
        caller holds ``locked()``."""
        *folders, base = name.split("/")
        try:
            directory = self._open(*folders)
        except FileNotFoundError:
            return
        except OSError as problem:
            raise TargetError(f"{self.path}/{name} can't be removed: {problem.strerror}") from None
        try:
            _remove(directory, base)
            os.fsync(directory)
        except OSError as problem:
            raise TargetError(f"{self.path}/{name} can't be removed: {problem.strerror}") from None
        finally:
            os.close(directory)

    @contextmanager
    def locked(self, wait: float) -> Iterator[None]:
        """One run at a time: two would make the same homes, and take each other's unfinished ones for left-overs."""
        try:
            self._make()
            directory = self._open()
        except OSError as problem:
            raise TargetError(f"{self.path} can't be made: {problem.strerror}") from None
        try:
            deadline = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TargetError(
                            f"another run of identity.roster has been at work on this host for {wait:g} s. Nothing was "
                            "changed; try again when it has ended"
                        ) from None
                except OSError as problem:
                    raise TargetError(f"{self.path} can't be locked: {problem.strerror}") from None
                time.sleep(_PAUSE)
            yield
        finally:
            os.close(directory)

    def _make(self) -> None:
        parent = os.path.dirname(self.path)
        os.makedirs(parent, mode=0o755, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(self.path, 0o700)
            descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _make_folder(self, name: str) -> None:
        directory = self._open()
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=directory)
                os.fsync(directory)
        finally:
            os.close(directory)

    def _open(self, *folders: str) -> int:
        """A descriptor of the directory, or of a folder below it, if all on the way are as they must be."""
        path = self.path
        directory = _open_private(path, None, path)
        for name in folders:
            above, path = directory, f"{path}/{name}"
            try:
                directory = _open_private(name, above, path)
            finally:
                os.close(above)
        return directory


def _open_private(name: str, above: Optional[int], path: str) -> int:
    """A descriptor of a directory below another one. ``path`` is what it is called in messages."""
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=above)
    except OSError as problem:
        if problem.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise TargetError(f"{path} is not a directory; it must be one that only root can enter") from None
    status = os.fstat(directory)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(directory)
        raise TargetError(
            f"{path} must belong to the user this runs as and have mode 0700: it decides which accounts are "
            "ours, so nobody else may write there"
        )
    return directory


def _write_file(directory: int, name: str, content: bytes) -> None:
    """Write a file that only its owner may read, and put it on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(directory: int, name: str) -> None:
    """Remove a file, a link, or a folder of files. A folder that holds further folders loses its files only."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)
            return
        folder = os.open(name, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        return
    try:
        for file in os.listdir(folder):
            if not stat.S_ISDIR(os.stat(file, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(file, dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError as problem:
        if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
