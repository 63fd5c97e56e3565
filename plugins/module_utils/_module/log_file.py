# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log of runs in a file that only its owner may read: lines with the time in UTC are appended, none is changed."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from typing import Optional, Sequence

from .._errors import TargetError


class LogFile:
    """Opened at once, so that a path that can't be written is known before anything is done.

    Without a path nothing is kept. ``mark`` stands in each line of a run that only looks.
    """

    def __init__(self, path: Optional[str], mark: str = "") -> None:
        self._mark = f" {mark}" if mark else ""
        self._file: Optional[int] = None
        if path is None:
            return
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._file = os.open(path, flags, 0o600)
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise TargetError(f"log_path {path} is not a regular file: give the path of a file of its own")
            os.fchmod(self._file, 0o600)
        except OSError as problem:
            raise TargetError(f"log_path {path} can't be written: {problem.strerror}. Nothing was changed") from None

    def write(self, lines: Sequence[str]) -> None:
        """Append lines, in one piece so that those of two runs do not mix. Raises TargetError."""
        if self._file is None or not lines:
            return
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = "".join(f"{now}{self._mark} {_one_line(line)}\n" for line in lines)
        content = text.encode("utf-8", "backslashreplace")
        try:
            while content:
                content = content[os.write(self._file, content) :]
        except OSError as problem:
            raise TargetError(f"the log can't be written: {problem.strerror}") from None


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
