# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock at which shadow's tools, passwd(1), PAM and systemd meet: an fcntl write lock on /etc/.pwd.lock."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import Iterator, Optional

from .._errors import TargetError

#: shadow also locks each file by a link of this name that holds the owner's process id.
_LINKED = ("passwd.lock", "group.lock", "shadow.lock", "gshadow.lock", "subuid.lock", "subgid.lock")
_PAUSE = 0.02


@contextmanager
def password_lock(etc: int, path: str, wait: float) -> Iterator[None]:
    """Hold the lock. ``etc`` is a directory descriptor of ``path``; ``wait`` is in seconds.

    flock() would not interlock, and lckpwdf() by ctypes swaps SIGALRM. Closing any other descriptor of this file in
    this process would drop the lock, so it is opened here only.
    """
    deadline = time.monotonic() + wait
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(".pwd.lock", flags, 0o600, dir_fd=etc)
    except OSError as problem:
        raise TargetError(f"{path}/.pwd.lock can't be opened: {problem.strerror}. Nothing was changed") from None
    try:
        while True:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as problem:
                if problem.errno not in (errno.EAGAIN, errno.EACCES):
                    raise TargetError(f"{path}/.pwd.lock can't be locked: {problem.strerror}") from None
            if time.monotonic() > deadline:
                raise TargetError(
                    f"{path}/.pwd.lock has been held by another program for {wait:g} s (useradd, passwd or vipw may be "
                    "running). Nothing was changed; try again when it has ended"
                )
            time.sleep(_PAUSE)
        while True:
            holder = _link_holder(etc)
            if holder is None:
                break
            if time.monotonic() > deadline:
                raise TargetError(f"{path}/{holder}. Nothing was changed; try again when it has ended")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _link_holder(etc: int) -> Optional[str]:
    """What holds a file by shadow's link, in words, or None. The link of a process that has ended is no lock."""
    for name in _LINKED:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=etc)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                continue
            return f"{name} can't be read ({problem.strerror})"
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(64).strip(b"\0 \n")
        if not text.isdigit():
            return f"{name} is there and names no process: remove it if no program is changing accounts"
        try:
            os.kill(int(text), 0)
        except ProcessLookupError:
            continue
        except (PermissionError, OverflowError):
            pass
        return f"{name} is held by process {text.decode()}"
    return None
