# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log that only its owner may read and to which whole lines are appended, also by several runs at once."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import Iterator

from .._errors import RosterError


class AppendedLog:
    """Made with mode 0600, and 0700 its directory. Opened once a run, so logrotate needs no copytruncate."""

    def __init__(self, path: str) -> None:
        """Raises RosterError."""
        self._path = path
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
            # A FIFO at the path would block without O_NONBLOCK.
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._file = os.open(path, flags, 0o600)
        except OSError as problem:
            raise self._error(problem) from None
        try:
            status = os.fstat(self._file)
            if not stat.S_ISREG(status.st_mode):
                raise RosterError(f"{path} is not a regular file: give the log a file of its own")
            if stat.S_IMODE(status.st_mode) != 0o600:
                os.fchmod(self._file, 0o600)
            # Behind a line that was cut off by a full disk, a new one begins. One that another run is writing is not.
            with self._alone():
                size = os.fstat(self._file).st_size
                self._separator = b"\n" if size and os.pread(self._file, 1, size - 1) != b"\n" else b""
        except OSError as problem:
            os.close(self._file)
            raise self._error(problem) from None
        except RosterError:
            os.close(self._file)
            raise

    def write(self, line: str) -> None:
        """One line in one system call, so that those of two runs do not mix. Raises RosterError."""
        content = self._separator + line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            with self._alone():
                written = os.write(self._file, content)
            if written != len(content):
                raise RosterError(f"the log {self._path} can't be written: its disk is full")
        except OSError as problem:
            raise self._error(problem) from None
        self._separator = b""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """With all lines on the disk. Raises RosterError."""
        try:
            os.fsync(self._file)
        except OSError as problem:
            raise self._error(problem) from None
        finally:
            os.close(self._file)

    def _error(self, problem: OSError) -> RosterError:
        return RosterError(f"the log {self._path} can't be written: {problem.strerror}")
