# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that only its owner may read, replaced whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile

from .._errors import RosterError


class FileError(RosterError):
    """A file that can't be written where it should be."""


def write_private(path: str, content: bytes, check_mode: bool) -> bool:
    """Make ``path`` hold ``content`` with mode 0600; whether that changes, or in check mode would change, anything.

    A file that is so already is not touched at all. Missing directories are made with mode 0700. Raises FileError,
    also in check mode, when the path is not a regular file's; the old file is then as it was.
    """
    try:
        if _is_so(path, content):
            return False
        directory = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(directory) and not os.access(directory, os.W_OK | os.X_OK):
            raise FileError(f"{directory} can't be written to: choose another dest, or another user to run as")
        if not check_mode:
            make_directories(directory)
            _replace(path, directory, content)
    except OSError as problem:
        raise FileError(f"{problem.filename or path} can't be written: {problem.strerror}") from None
    return True


def _is_so(path: str, content: bytes) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a directory"))
        kind = next((word for is_kind, word in kinds if is_kind(status.st_mode)), "no regular file")
        raise FileError(f"{path} is {kind}: give the path of a file of its own as dest")
    if status.st_mode & 0o177 or status.st_size != len(content):
        return False
    with open(path, "rb") as file:
        return file.read() == content


def make_directories(directory: str) -> None:
    """Make a directory and those above it that are missing, with mode 0700. Raises OSError."""
    if os.path.isdir(directory):
        return
    make_directories(os.path.dirname(directory))
    # os.makedirs would give the ones between a mode that depends on the umask.
    os.mkdir(directory, 0o700)


def _replace(path: str, directory: str, content: bytes) -> None:
    number, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, 0o600)
            file.write(content)
            file.flush()
            os.fsync(number)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
