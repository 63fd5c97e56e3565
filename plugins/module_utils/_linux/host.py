# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host around the account files: its shells and homes, and what runs on it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from .._roster.posix import home_problem
from . import elsewhere
from .authorized_keys import read_keys
from .draft import Host
from .elsewhere import Elsewhere
from .sessions import processes_of


class RootHost(Host):
    """One root directory: ``/``, an image, or a throwaway tree."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._prefix = root.rstrip("/")
        self._is_live = os.path.realpath(root) == "/"
        self._resolved: Dict[str, str] = {}

    def _path(self, path: str) -> str:
        return f"{self._prefix}/{path.lstrip('/')}"

    def elsewhere(self) -> Elsewhere:
        records = {
            f"{folder}/{name}"
            for folder in elsewhere.FOLDERS
            for name in _listing(self._path(folder))
            if os.path.splitext(name)[1] in elsewhere.RECORDS
        }
        contents = {}
        for path in {*elsewhere.FILES, *records}:
            with suppress(OSError), open(self._path(path), "rb") as file:
                contents[path] = file.read()
        return elsewhere.read_elsewhere(contents)

    def home_is_missing(self, path: str) -> bool:
        return not os.path.lexists(self._path(path))

    def home_owner(self, path: str) -> Optional[int]:
        try:
            return os.lstat(self._path(path)).st_uid
        except OSError:
            return None

    def move_problem(self, old: str, new: str, uid: int) -> Optional[str]:
        source, destination = self._path(old), self._path(new)
        try:
            status = os.lstat(source)
            above = os.lstat(os.path.dirname(destination.rstrip("/")))
        except OSError as problem:
            return f"{problem.filename} can't be looked at: {problem.strerror}"
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
            return f"{old} is not a directory of this user"
        if os.path.lexists(destination):
            return f"{new} is there already"
        if status.st_dev != above.st_dev or os.path.ismount(source):
            return f"{old} and {new} are not on the same file system; move it by hand"
        return None

    def busy_uids(self, uids: FrozenSet[int]) -> Set[int]:
        # Another root has no processes of its own.
        return set(processes_of(uids)) if self._is_live else set()

    def authorized_keys(self, home: str, uid: int) -> Tuple[str, ...]:
        return read_keys(self.root, home, uid) or ()

    def place_problem(self, home: str) -> Optional[str]:
        if not self._is_live:
            return None
        parent, name = os.path.split(home.rstrip("/"))
        if parent not in self._resolved:
            self._resolved[parent] = os.path.realpath(parent)
        resolved = os.path.join(self._resolved[parent], name)
        return f"is led to {resolved} by a link, and that is the system's" if home_problem(resolved) else None

    def has_shell(self, path: str) -> bool:
        path = self._path(path)
        try:
            status = os.stat(path)
        except OSError:
            # In another root an absolute link leads nowhere; it is seen as what it should be there.
            return os.path.islink(path)
        return stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)


def _listing(folder: str) -> List[str]:
    """The names in a directory; none where there is none."""
    try:
        return os.listdir(folder)
    except OSError:
        return []
