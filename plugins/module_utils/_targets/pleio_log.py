# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says of itself, to the operator and in the log that the site's administrators read."""

from __future__ import annotations

import threading
import uuid
from typing import Callable, List, Optional

from .._errors import RosterError

#: Lines of one row of the site's log. Each row is a request; one for each change would double their number.
LINES_A_ROW = 100
#: A row may have 2.5 MB; a line that long is nobody's to read.
LONGEST_LINE = 2000


class RunLog:
    """``send`` is given the run's uuid and a text; None keeps the log here. Its failure is told, and harms nothing."""

    def __init__(self, send: Optional[Callable[[str, str], None]]) -> None:
        self.lines: List[str] = []
        self.uuid: Optional[str] = None
        self.problem: Optional[str] = None
        self._send = send
        self._waiting: List[str] = []
        self._guard = threading.Lock()

    def say(self, line: str) -> None:
        line = "".join(character if character.isprintable() else " " for character in line)[:LONGEST_LINE]
        with self._guard:
            self.lines.append(line)
            self._waiting.append(line)
            full = len(self._waiting) >= LINES_A_ROW
        if full:
            self.flush()

    def flush(self) -> None:
        """Send what was said since the last time."""
        with self._guard:
            rows, self._waiting = self._waiting, []
            if self.uuid is None and self._send is not None:
                self.uuid = str(uuid.uuid4())
        if not rows or self._send is None or self.uuid is None or self.problem:
            return
        try:
            self._send(self.uuid, "\n".join(rows))
        except RosterError as problem:
            self.problem = str(problem)
