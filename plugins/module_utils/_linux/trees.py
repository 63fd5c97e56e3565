# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole trees that somebody hostile made and may still change: walked, removed, and looked at for mounts."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from typing import List, Optional, Tuple

from .._roster.text import shown
from .directories import DIRECTORY, closing

_Identity = Tuple[int, int]


class Walk:
    """A place in a tree: one open directory at a time, whatever the depth.

    The owner may nest directories until neither the stack nor the descriptors suffice, put links in the place of
    directories, and move or remove the directory that is being looked at. No link is followed, no mount is entered.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._mount = _mount_of(top)
        self._above: List[Tuple[str, _Identity]] = []
        self.descriptor = os.dup(top)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def path(self, name: str) -> str:
        """Of an entry of the present directory, relative to the top."""
        return "/".join([*(above for above, _identity in self._above), name])

    def enter(self, name: str) -> bool:
        """Go to a directory below; False when something is mounted on it. Raises OSError."""
        following = os.open(name, DIRECTORY, dir_fd=self.descriptor)
        try:
            if _mount_of(following) != self._mount:
                os.close(following)
                return False
            self._above.append((name, _identity_of(self.descriptor)))
        except BaseException:
            os.close(following)
            raise
        self.close()
        self.descriptor = following
        return True

    def leave(self) -> Optional[str]:
        """Go to the directory above, and return the name of the one that was left.

        None when the directory above was moved or removed: nothing can be done in it then, only leave() again.
        """
        name, identity = self._above.pop()
        above = self._open_above([".."], self.descriptor, identity)
        if above is None:
            above = self._open_above([name for name, _identity in self._above], self._top, identity)
        self.close()
        if above is None:
            return None
        self.descriptor = above
        return name

    def _open_above(self, names: List[str], start: int, identity: _Identity) -> Optional[int]:
        if start < 0:
            return None
        descriptor = os.dup(start)
        try:
            for name in names:
                with closing(descriptor):
                    descriptor = os.open(name, DIRECTORY, dir_fd=descriptor)
        except OSError:
            return None
        if _identity_of(descriptor) == identity:
            return descriptor
        os.close(descriptor)
        return None


def _identity_of(descriptor: int) -> _Identity:
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino)


def _mount_of(descriptor: int) -> bytes:
    """The mount that a descriptor is in: a bind mount has the same device as what is around it."""
    with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
        return next(line for line in file if line.startswith(b"mnt_id:"))


def mounts_in(directory: int) -> List[str]:
    """Paths of what is mounted on a directory or anywhere below it."""
    place = os.fsencode(os.readlink(f"/proc/self/fd/{directory}"))
    with open("/proc/self/mountinfo", "rb") as file:
        points = [_unescaped(line.split(b" ")[4]) for line in file]
    return [os.fsdecode(point) for point in points if point == place or point.startswith(place + b"/")]


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), path)


def remove_tree(parent: int, name: str) -> None:
    """Remove a directory with all that is in it. Raises OSError; the next call goes on where this one stopped."""
    with closing(os.open(name, DIRECTORY, dir_fd=parent)) as top:
        walk = Walk(top)
        try:
            _empty(walk)
        finally:
            walk.close()
    os.rmdir(name, dir_fd=parent)


def _empty(walk: Walk) -> None:
    left = [os.listdir(walk.descriptor)]
    while True:
        if left[-1]:
            name = left[-1].pop()
            try:
                if _remove(walk, name):
                    left.append(os.listdir(walk.descriptor))
            except FileNotFoundError:
                continue
            except OSError as problem:
                raise OSError(problem.errno, f"{shown(walk.path(name), 200)}: {problem.strerror}") from None
            continue
        left.pop()
        if not left:
            return
        below = walk.leave()
        if below is None:
            raise OSError(errno.EBUSY, "a program is still at work in it")
        with suppress(FileNotFoundError):
            os.rmdir(below, dir_fd=walk.descriptor)


def _remove(walk: Walk, name: str) -> bool:
    """Remove one entry; True when it is a directory, entered to be emptied first."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=walk.descriptor, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=walk.descriptor)
        return False
    if not walk.enter(name):
        raise OSError(errno.EBUSY, "another file system is mounted there")
    return True
