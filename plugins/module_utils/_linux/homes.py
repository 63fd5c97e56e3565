# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Home directories: made from the skeleton, complete or not at all, without following anybody's links."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import List, Optional, Tuple

from .directories import DIRECTORY, NEW_FILE, closing, is_there, open_home_parent, open_system_directory
from .draft import Home
from .trees import remove_tree


@dataclass(frozen=True)
class _Entry:
    """One thing of the skeleton: a directory, a file (with content) or a symbolic link (with target)."""

    name: str
    mode: int
    times: Tuple[int, int]
    content: Optional[bytes] = None
    target: Optional[str] = None
    children: Tuple[_Entry, ...] = ()

    def is_directory(self) -> bool:
        return self.content is None and self.target is None


class HomeMaker:
    """Makes homes below one root directory. The skeleton is read once, however many homes there are.

    Like useradd, it takes from ``vendor_skel`` what ``skel`` does not have (SUSE keeps the skeleton there).
    """

    def __init__(self, root: str, skel: str, mode: int, vendor_skel: Optional[str] = None) -> None:
        self._root = os.path.realpath(root)
        self._skels = [os.path.join(self._root, path.lstrip("/")) for path in (skel, vendor_skel) if path]
        self._mode = mode
        self._skeleton: Optional[Tuple[_Entry, ...]] = None

    def make(self, home: Home) -> None:
        """Raises OSError. A home that is there already stays as it is."""
        if self._skeleton is None:
            self._skeleton = ()
            for skel in self._skels:
                self._skeleton = _together(self._skeleton, _read_tree(skel))
        with closing(open_home_parent(self._root, home.path, make=True)) as parent:
            name = os.path.basename(home.path.rstrip("/"))
            temporary = f".identity-roster-{name}"
            if is_there(parent, name):
                return
            if is_there(parent, temporary):
                remove_tree(parent, temporary)
            os.mkdir(temporary, 0o700, dir_fd=parent)
            try:
                with closing(os.open(temporary, DIRECTORY, dir_fd=parent)) as directory:
                    if os.fstat(directory).st_uid != os.geteuid():
                        raise OSError(errno.EPERM, "the owner of the directory above is meddling")
                    for entry in self._skeleton:
                        _copy(entry, directory, home.uid, home.gid)
                    os.fchmod(directory, self._mode)
                    os.fchown(directory, home.uid, home.gid)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError:
                with suppress(OSError):
                    remove_tree(parent, temporary)
                raise


def _read_tree(path: str) -> Tuple[_Entry, ...]:
    entries: List[_Entry] = []
    try:
        listing = sorted(os.scandir(path), key=lambda item: item.name)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    for item in listing:
        status = item.stat(follow_symlinks=False)
        mode, times = stat.S_IMODE(status.st_mode), (status.st_atime_ns, status.st_mtime_ns)
        if item.is_symlink():
            entries.append(_Entry(item.name, mode, times, target=os.readlink(item.path)))
        elif item.is_dir(follow_symlinks=False):
            entries.append(_Entry(item.name, mode, times, children=_read_tree(item.path)))
        elif item.is_file(follow_symlinks=False):
            with open(item.path, "rb") as file:
                entries.append(_Entry(item.name, mode, times, content=file.read()))
    return tuple(entries)


def _together(first: Tuple[_Entry, ...], second: Tuple[_Entry, ...]) -> Tuple[_Entry, ...]:
    """Two trees as one; where both have a name the first counts."""
    entries = {entry.name: entry for entry in second}
    for entry in first:
        other = entries.get(entry.name)
        if other is not None and entry.is_directory() and other.is_directory():
            entry = replace(entry, children=_together(entry.children, other.children))
        entries[entry.name] = entry
    return tuple(entries[name] for name in sorted(entries))


def _copy(entry: _Entry, directory: int, uid: int, gid: int) -> None:
    if entry.target is not None:
        os.symlink(entry.target, entry.name, dir_fd=directory)
        os.chown(entry.name, uid, gid, dir_fd=directory, follow_symlinks=False)
        return
    if entry.content is None:
        os.mkdir(entry.name, 0o700, dir_fd=directory)
        made = os.open(entry.name, DIRECTORY, dir_fd=directory)
    else:
        made = os.open(entry.name, NEW_FILE, 0o600, dir_fd=directory)
    with closing(made) as descriptor:
        for child in entry.children:
            _copy(child, descriptor, uid, gid)
        if entry.content is not None:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(entry.content)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, entry.mode)
        os.utime(descriptor, ns=entry.times)


def make_mail_spool(root: str, directory: str, username: str, uid: int, mail_gid: int) -> None:
    """An empty mail spool, as useradd makes with CREATE_MAIL_SPOOL; one that is there stays. Raises OSError."""
    with closing(open_system_directory(root, directory)) as parent, suppress(FileExistsError):
        with closing(os.open(username, NEW_FILE, 0o600, dir_fd=parent)) as descriptor:
            os.fchown(descriptor, uid, mail_gid)
            os.fchmod(descriptor, 0o660)
