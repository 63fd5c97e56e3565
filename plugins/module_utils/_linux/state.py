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
from typing import Iterator, Optional

from .._errors import TargetError

_PAUSE = 0.02


class StateDirectory:
    """Small files, each replaced whole. The directory is made by the first write, never by a read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, name: str) -> Optional[bytes]:
        """A file's content, or None if it is not there yet."""
        try:
            directory = self._open()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise TargetError(f"{self.path} can't be read: {problem.strerror}") from None
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            with os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
                return file.read()
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                return None
            raise TargetError(f"{self.path}/{name} can't be read: {problem.strerror}") from None
        finally:
            os.close(directory)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file. The caller holds ``locked()``."""
        temporary = f".{name}.new"
        try:
            directory = self._open()
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as problem:
            raise TargetError(f"{self.path}/{name} could not be written: {problem.strerror}") from None

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

    def _open(self) -> int:
        """A descriptor of the directory, if it is as it must be."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            directory = os.open(self.path, flags)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            raise TargetError(f"{self.path} is not a directory; it must be one that only root can enter") from None
        status = os.fstat(directory)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            os.close(directory)
            raise TargetError(
                f"{self.path} must belong to the user this runs as and have mode 0700: it decides which accounts are "
                "ours, so nobody else may write there"
            )
        return directory
