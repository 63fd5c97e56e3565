# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The locks of the account files, so that nobody else changes them meanwhile.

shadow's tools, passwd(1), PAM and systemd meet at an fcntl write lock on /etc/.pwd.lock. Where the C library is musl
its lckpwdf() does nothing, and busybox has never known that lock: there only names lock, see ``_locked_by_name``.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import time
from contextlib import contextmanager, suppress
from typing import Dict, Iterator, List, Optional

from .._errors import TargetError
from .distribution import os_release

#: shadow also locks each file by a link of this name that holds the owner's process id.
_LINKED = ("passwd.lock", "group.lock", "shadow.lock", "gshadow.lock", "subuid.lock", "subgid.lock")
#: busybox's passwd, adduser, deluser and their like write the new file under this name, which they make with O_EXCL.
_BUSYBOX = ("passwd+", "group+", "shadow+", "gshadow+")
#: busybox tries 30 times, with a tenth of a second between, to make that name. In seconds, with some to spare.
BUSYBOX_PATIENCE = 3.5
_PAUSE = 0.02
_TEMPORARY = ".lock.identity-roster"
#: Ends a lock of ours, behind the process id and the NUL at which shadow stops to read.
_MARK = b"identity-roster\n"


@contextmanager
def password_lock(etc: int, path: str, wait: float) -> Iterator[None]:
    """Hold the lock. ``etc`` is a directory descriptor of ``path``; ``wait`` is in seconds.

    flock() would not interlock, and lckpwdf() by ctypes swaps SIGALRM. Closing any other descriptor of this file in
    this process would drop the lock, so it is opened here only.
    """
    deadline = time.monotonic() + wait
    # A pipe in its place would be waited for without an end.
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
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
        _remove_left_behind(etc)
        while True:
            holder = _link_holder(etc)
            if holder is None:
                break
            if time.monotonic() > deadline:
                raise TargetError(f"{path}/{holder}. Nothing was changed; try again when it has ended")
            time.sleep(_PAUSE)
        if names_lock(os.path.dirname(path)):
            with _locked_by_name(etc, path, deadline):
                yield
        else:
            yield
    finally:
        os.close(descriptor)


def names_lock(root: str) -> bool:
    """Whether this host has tools that know locks by name only: busybox's, or shadow's on musl."""
    release = os_release(root)
    if {"alpine", "postmarketos"} & {release.get("ID", ""), *release.get("ID_LIKE", "").split()}:
        return True
    for folder in ("bin", "sbin", "usr/bin", "usr/sbin"):
        for program in ("passwd", "adduser"):
            with suppress(OSError):
                if os.path.basename(os.readlink(os.path.join(root, folder, program))).startswith("busybox"):
                    return True
    here = glob.escape(root)
    # Debian has a package musl: the C library of such a host is glibc all the same.
    return bool(glob.glob(f"{here}/lib/ld-musl-*")) and not glob.glob(f"{here}/lib*/ld-linux*")


def locks_left_behind(etc: int) -> bool:
    """Whether a run that was killed left locks by name. busybox's tools fail until the next run removes them."""
    return any(_read_lock(etc, name).endswith(_MARK) for name in (*_BUSYBOX, *_LINKED))


def _remove_left_behind(etc: int) -> None:
    """The caller holds .pwd.lock, so no run of ours is alive that these could belong to."""
    for name in (*_BUSYBOX, *_LINKED):
        if _read_lock(etc, name).endswith(_MARK):
            os.unlink(name, dir_fd=etc)


@contextmanager
def _locked_by_name(etc: int, path: str, deadline: float) -> Iterator[None]:
    """Keep busybox's tools out, and shadow's on musl.

    busybox (libbb/update_passwd.c) opens ``passwd``, then makes ``passwd+`` with O_EXCL, waiting up to three seconds
    while there is one, then reads what it had opened, writes ``passwd+`` and renames it. Its fcntl lock on ``passwd``
    only leads to a warning. One that waits for us would so write back the file from before our change. Therefore
    ``passwd+`` is not our temporary, which would be gone with the rename, but stays until everyone has given up who
    may have opened the old file.

    shadow writes to a ``passwd+`` too, whether there is one or not, so each of these is a file of its own, and
    ``passwd.lock`` goes last.
    """
    taken: List[str] = []
    before: Optional[Dict[str, int]] = None
    try:
        for name in (*_LINKED, *_BUSYBOX):
            while not _make_lock(etc, path, name):
                if time.monotonic() > deadline:
                    raise TargetError(_in_the_way(etc, path, name))
                time.sleep(_PAUSE)
            taken.append(name)
        before = _inodes(etc)
        yield
    finally:
        if before is not None and _inodes(etc) != before:
            time.sleep(BUSYBOX_PATIENCE)
        for name in reversed(taken):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=etc)


def _make_lock(etc: int, path: str, name: str) -> bool:
    """Whether the name was free. The file has its content from the moment it is there."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(_TEMPORARY, dir_fd=etc)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(_TEMPORARY, flags, 0o600, dir_fd=etc), "wb") as file:
            file.write(b"%d\0" % os.getpid() + _MARK)
        try:
            os.link(_TEMPORARY, name, src_dir_fd=etc, dst_dir_fd=etc)
        except FileExistsError:
            if name in _LINKED and _link_holder(etc) is None:
                # Its process has ended; shadow's tools take such a lock over in the same way.
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=etc)
            return False
        finally:
            os.unlink(_TEMPORARY, dir_fd=etc)
    except OSError as problem:
        raise TargetError(f"{path}/{name} can't be made: {problem.strerror}. Nothing was changed") from None
    return True


def _in_the_way(etc: int, path: str, name: str) -> str:
    if name in _LINKED:
        return f"{path}/{_link_holder(etc) or name}. Nothing was changed; try again when it has ended"
    try:
        age = max(0, int(time.time() - os.stat(name, dir_fd=etc, follow_symlinks=False).st_mtime))
    except FileNotFoundError:
        age = 0
    return (
        f"{path}/{name} is in the way and was last written {age} s ago. busybox's passwd, adduser and their like make "
        "it while they work, and leave it when they are killed. Nothing was changed; if none of them runs, remove it"
    )


def _inodes(etc: int) -> Dict[str, int]:
    found = {}
    for name in _BUSYBOX:
        with suppress(OSError):
            found[name] = os.stat(name[:-1], dir_fd=etc, follow_symlinks=False).st_ino
    return found


def _read_lock(etc: int, name: str) -> bytes:
    """The beginning of a file, or nothing where there is none to read."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=etc)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(64)
    except OSError:
        return b""


def _link_holder(etc: int) -> Optional[str]:
    """What holds a file by shadow's link, in words, or None. The link of a process that has ended is no lock."""
    for name in _LINKED:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=etc)
            try:
                text = os.read(descriptor, 64)
            finally:
                os.close(descriptor)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                continue
            return f"{name} can't be read ({problem.strerror})"
        if text == b"%d\0" % os.getpid() + _MARK:
            continue
        text = text.strip(b"\0 \n")
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
