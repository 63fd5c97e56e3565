# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an account has outside its home, in directories of the system: mail, crontab, at jobs, lingering.

Only regular files count; links are left alone.

Every cron notices by itself that a name in its directory came, went or changed, at the latest after a minute: Debian's
and busybox's look at the directory's time, cronie at that and at each file's (``load_database`` in their sources).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Collection, Iterator, List, Tuple

from .directories import closing, is_there, open_system_directory

#: Debian and Alpine; SUSE; Red Hat and Arch.
CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
#: Debian; Red Hat; SUSE; Arch. What lies there is named by a number.
AT_JOBS = ("/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs", "/var/spool/atd")
LINGER = "/var/lib/systemd/linger"


def remove_belongings(root: str, mail_directory: str, username: str, uid: int) -> List[str]:
    """Remove an account's files; returns their paths. Raises OSError."""
    _check(username)
    removed = []
    for path, owners in _places(mail_directory, uid):
        for directory in _opened(root, path):
            with closing(directory):
                if _is_of(directory, username, owners) and _removed(directory, username):
                    removed.append(f"{path}/{username}")
    for path in AT_JOBS:
        for directory in _opened(root, path):
            with closing(directory):
                names = [name for name in sorted(os.listdir(directory)) if _is_of(directory, name, (uid,))]
                removed += [f"{path}/{name}" for name in names if _removed(directory, name)]
    return removed


def move_belongings(root: str, mail_directory: str, old: str, new: str, uid: int) -> None:
    """Give an account's files its new name; those that have it already are fine. Raises OSError.

    At jobs have no name in theirs.
    """
    _check(old)
    _check(new)
    for path, owners in _places(mail_directory, uid):
        for directory in _opened(root, path):
            with closing(directory):
                if not _is_of(directory, old, owners):
                    continue
                if is_there(directory, new):
                    raise OSError(errno.EEXIST, f"{path}/{new} is there already, so {path}/{old} can't be called so")
                os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def _places(mail_directory: str, uid: int) -> Iterator[Tuple[str, Collection[int]]]:
    """Directories in which a file called like the user may be the user's, and who owns it then.

    Mail is taken by the owner alone. cronie runs root's files of any name as that user, and logind's are root's.
    """
    yield mail_directory.rstrip("/"), (uid,)
    for path in (*CRONTABS, LINGER):
        yield path, (uid, 0)


def _check(username: str) -> None:
    if "/" in username or username in ("", ".", ".."):
        raise OSError(errno.EINVAL, f"{username!r} is not the name of a file")


def _opened(root: str, path: str) -> Iterator[int]:
    """The directory's descriptor, or nothing where there is none. Raises OSError."""
    try:
        directory = open_system_directory(root, path)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise OSError(problem.errno, f"{path}: {problem.strerror}") from None
    yield directory


def _is_of(directory: int, name: str, owners: Collection[int]) -> bool:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in owners


def _removed(directory: int, name: str) -> bool:
    """False when somebody else was faster: an at job that ran, mail that was collected."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True
