# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An account file as lines by name, for undoing: unlike ``tables``, every line of a name counts, also one that is
malformed or there twice, since each shall come back as it was."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional

from .tables import WIDTHS


class LineFile:
    """One file's lines. Comments, NIS lines and empty lines have no name, and stay where they are."""

    def __init__(self, name: str, content: bytes) -> None:
        self.width = WIDTHS[name]
        self._original = content
        text = content.decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        #: the lines at each place of the old file, and those of names that had no place in it
        self._places: List[List[str]] = [[line] for line in lines]
        self._added: Dict[str, List[str]] = {}
        self._index: Dict[str, List[int]] = {}
        self._end = len(lines)
        self._changed = False
        for number, line in enumerate(lines):
            if line[:1] in ("+", "-") and self._end == len(lines):
                self._end = number
            key = "" if line[:1] in ("#", "+", "-") else line.split(":", 1)[0].strip()
            if key:
                self._index.setdefault(key, []).append(number)

    def names(self) -> Iterator[str]:
        """Every name that has a line."""
        for name in [*self._index, *self._added]:
            if self.get(name):
                yield name

    def get(self, name: str) -> List[str]:
        """All lines of a name."""
        places = self._index.get(name)
        if places is None:
            return list(self._added.get(name, ()))
        return [line for place in places for line in self._places[place]]

    def row(self, name: str) -> Optional[List[str]]:
        return row_of(self.get(name), name, self.width)

    def put(self, name: str, lines: List[str]) -> None:
        """Replace a name's lines. Without a place they come after all others, but before the first NIS line."""
        if lines == self.get(name):
            return
        self._changed = True
        places = self._index.get(name)
        if places is None:
            self._added[name] = list(lines)
            return
        for place in places:
            self._places[place] = []
        self._places[places[0]] = list(lines)

    def content(self) -> bytes:
        if not self._changed:
            return self._original
        parts = [*self._places[: self._end], *self._added.values(), *self._places[self._end :]]
        text = "".join(line + "\n" for lines in parts for line in lines)
        return text.encode("utf-8", "surrogateescape")


def row_of(lines: List[str], name: str, width: int) -> Optional[List[str]]:
    """The fields of the line that counts: a name's first well-formed one, as for getpwnam(3)."""
    for line in lines:
        if line.count(":") == width - 1 and line.startswith(name + ":"):
            return line.split(":")
    return None


def same_lines(one: bytes, other: bytes) -> bool:
    """Whether two files have the same lines, in any order."""
    return sorted(_lines(one)) == sorted(_lines(other))


def _lines(content: bytes) -> List[bytes]:
    lines = content.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines
