# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this collection keeps on a host: /var/lib/identity-roster, root's alone (0700, files 0600)."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Optional

from .._errors import TargetError


class StateDirectory:
    """Small files, each replaced whole. The directory is made by the first write, never by a read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, name: str) -> Optional[bytes]:
        """A file's content, or None if it is not there yet."""
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise TargetError(f"{self.path} can't be read: {problem.strerror}") from None
        self._check(status)
        try:
            descriptor = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                return None
            raise TargetError(f"{self.path}/{name} can't be read: {problem.strerror}") from None
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        temporary = f".{name}.new"
        try:
            with suppress(FileExistsError):
                os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
                os.mkdir(self.path, 0o700)
            self._check(os.lstat(self.path))
            directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
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

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISDIR(status.st_mode):
            raise TargetError(f"{self.path} is not a directory; it must be one that only root can enter")
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise TargetError(
                f"{self.path} must belong to the user this runs as and have mode 0700: it decides which accounts are "
                "ours, so nobody else may write there"
            )
