# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories by descriptor: where homes and the system's spools lie, reached without following anybody's links."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import Iterator

from .._roster.posix import home_problem

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Never waits: a pipe that somebody puts in a file's place has no other end.
READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_home_parent(root: str, path: str, make: bool = False) -> int:
    """A descriptor of the directory that a home lies in; with ``make``, made (0755) where it is missing.

    ``root`` is a real path. A link on the way (``/home -> /srv/home``) is followed below ``/`` only: in another root
    an absolute link would lead out of it. Raises OSError.
    """
    problem = home_problem(path)
    if problem:
        raise OSError(errno.EPERM, f"it {problem}")
    folder, name = os.path.split(path.rstrip("/"))
    if root == "/":
        folder = os.path.realpath(folder)
        if home_problem(os.path.join(folder, name)):
            raise OSError(errno.EPERM, f"a link leads it to {folder}, which is the system's")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in [part for part in folder.split("/") if part]:
        with closing(descriptor):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
                    _set_mode(descriptor, part, 0o755)
            descriptor = os.open(part, DIRECTORY, dir_fd=descriptor)
    return descriptor


def _set_mode(directory: int, name: str, mode: int) -> None:
    """The mode of a directory that was just made, whatever the umask is."""
    with closing(os.open(name, DIRECTORY, dir_fd=directory)) as descriptor:
        os.fchmod(descriptor, mode)


def open_home(parent: int, name: str, uid: int) -> int:
    """A descriptor of a home that belongs to its user. Raises OSError, FileNotFoundError if there is none."""
    try:
        descriptor = os.open(name, DIRECTORY, dir_fd=parent)
    except NotADirectoryError:
        raise OSError(errno.ENOTDIR, "it is not a directory but a file or a symbolic link") from None
    owner = os.fstat(descriptor).st_uid
    if owner != uid:
        os.close(descriptor)
        raise OSError(errno.EPERM, f"it belongs to uid {owner}, not to uid {uid}")
    return descriptor


def open_system_directory(root: str, path: str) -> int:
    """A descriptor of a directory that only the system writes to (``/var/mail``): links are followed inside the root.

    Raises OSError, FileNotFoundError if there is none.
    """
    top = os.path.realpath(root)
    real = os.path.realpath(os.path.join(top, path.lstrip("/")))
    if os.path.commonpath((top, real)) != top:
        raise OSError(errno.ELOOP, "a link leads out of the root directory")
    return os.open(real, DIRECTORY)


def is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
