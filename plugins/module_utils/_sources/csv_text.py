# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CSV as text: bytes in, rows out, one at a time, each cell with the line and column it stands in.

A fault of the structure (a quote that is never closed, a byte that is no text) makes the whole file unusable: from
there on nobody knows which cell is which. Memory is bounded by the longest row.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import BinaryIO, Iterator, List, Optional, Sequence, Tuple

from .._errors import SourceError
from .._roster.text import shown

#: Option to Python's name of the encoding.
ENCODINGS = {"utf-8": "utf-8", "latin-1": "latin-1", "windows-1252": "cp1252"}
#: In the order in which they are tried.
DELIMITERS = (",", ";", "\t", "|")
#: A row, in bytes, its line breaks included. Longer ones come from a quote that is never closed.
LONGEST_ROW = 1024 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
#: A piece of what Python's csv module says, and what it means. The piece with a comma holds the delimiter.
_FAULTS = (
    ("unexpected end of data", "a quote is opened here and never closed"),
    ("field larger than field limit", "the cell is longer than 131072 characters: is its quote never closed?"),
    ("expected after", 'a quoted cell goes on after its closing quote: write a quote inside of one twice, as ""'),
    ("new-line character seen in unquoted field", "a carriage return stands alone: end lines with LF or CR LF"),
)


@dataclass(frozen=True)
class Row:
    """The cells of one row, and the line of the file, counted from 1, in which the first of them begins."""

    line: int
    cells: Sequence[str]

    def line_of(self, index: int) -> int:
        """The line in which a cell begins: cells before it may hold line breaks."""
        return self.line + sum(cell.count("\n") for cell in self.cells[:index])


class CsvLines:
    """The lines of a file as texts, with their line breaks. ``name`` is what errors call the file."""

    def __init__(self, file: BinaryIO, name: str, encoding: str) -> None:
        self.name = name
        self.number = 0
        self.delimiter = DELIMITERS[0]
        self.header: Sequence[str] = ()
        self._file = file
        self._encoding = encoding
        self._row: List[str] = []
        self._length = 0
        self._next: Optional[str] = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._read() if self._next is None else self._next
        self._next = None
        if not text:
            raise StopIteration
        self.number += 1
        self._row.append(text)
        return text

    def peek(self) -> str:
        """The first line that is not blank, which is read again afterwards; empty at the end of the file."""
        while self._next is None:
            text = self._read()
            if text and not text.strip():
                self.number += 1
            else:
                self._next = text
        return self._next

    def rows(self) -> Iterator[Row]:
        """The rows that hold anything. Raises SourceError where the structure breaks."""
        reader = csv.reader(self, delimiter=self.delimiter, strict=True)
        while True:
            first = self.number + 1
            self._row, self._length = [], 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as problem:
                raise self._fault(first, str(problem)) from None
            if any(cell.strip() for cell in cells):
                yield Row(first, cells)

    def place(self, line: int, index: int) -> str:
        """How a person finds a cell; columns are counted from 1."""
        title = f" ({shown(self.header[index])})" if index < len(self.header) and self.header[index] else ""
        return f"line {line}, column {index + 1}{title}"

    def _read(self) -> str:
        content = self._file.readline(LONGEST_ROW + 1)
        if self.number == 0 and not self._row:
            content = self._without_mark(content)
        self._length += len(content)
        if self._length > LONGEST_ROW:
            raise self._error("", f"the row is longer than {LONGEST_ROW} bytes: is a quote in it never closed?")
        try:
            text = content.decode(self._encoding)
        except UnicodeDecodeError as problem:
            byte = content[problem.start]
            before = content[: problem.start].decode(self._encoding)
            advice = "if the file is not UTF-8, set encoding" if self._encoding == "utf-8" else "set another encoding"
            raise self._error(before, f"the byte 0x{byte:02x} is no text in {self._encoding}: {advice}") from None
        end = text.find("\0")
        if end >= 0:
            raise self._error(text[:end], "a NUL character: the file is damaged, or is no CSV file")
        return text

    def _without_mark(self, content: bytes) -> bytes:
        if content.startswith(_UTF16_MARKS):
            raise SourceError(f"{self.name}, line 1, column 1: the file is UTF-16: save it as CSV in UTF-8")
        if not content.startswith(_UTF8_MARK):
            return content
        if self._encoding != "utf-8":
            raise SourceError(f"{self.name}, line 1, column 1: the file says that it is UTF-8: set encoding=utf-8")
        return content[len(_UTF8_MARK) :]

    def _error(self, before: str, what: str) -> SourceError:
        """An error in the line that is being read, behind the text ``before``."""
        index = _last_cell("".join(self._row) + before, self.delimiter)[1]
        return SourceError(f"{self.name}, {self.place(self.number + 1, index)}: {what}")

    def _fault(self, first: int, message: str) -> SourceError:
        """What Python's reader found in the row that begins in line ``first``, and where."""
        text = "".join(self._row)
        low, high = 0, len(text)
        # The fault shows as soon as its last character is read: the shortest beginning that has it ends there.
        while low < high and "unexpected end" not in message:
            middle = (low + high) // 2
            low, high = (low, middle) if _fault_of(text[:middle], self.delimiter) == message else (middle + 1, high)
        line, index = _last_cell(text[:high], self.delimiter)
        what = next((words for piece, words in _FAULTS if piece in message), message)
        return SourceError(f"{self.name}, {self.place(first + line, index)}: {what}")


def _fault_of(text: str, delimiter: str) -> Optional[str]:
    try:
        list(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True))
    except csv.Error as problem:
        return str(problem)
    return None


def _last_cell(text: str, delimiter: str) -> Tuple[int, int]:
    """(line breaks before it, index) of the last cell of a row that may not be complete."""
    index = lines = cell_line = 0
    quoted, may_open = False, True
    for character in text:
        if character == '"' and (quoted or may_open):
            # Behind a closing quote another one opens it again: that is how a quote stands in a quoted cell.
            quoted, may_open = not quoted, True
            continue
        may_open = character == delimiter and not quoted
        if may_open:
            index += 1
            cell_line = lines
        elif character == "\n":
            lines += 1
    return cell_line, index


def detect_delimiter(header: str, wanted: Sequence[str]) -> str:
    """The delimiter that makes most of the wanted (folded) headers of a header line, then that makes most columns."""

    def worth(delimiter: str) -> Tuple[int, int]:
        try:
            cells = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return len({folded_header(cell) for cell in cells} & set(wanted)), len(cells)

    return max(DELIMITERS, key=worth)


def folded_header(text: str) -> str:
    """The form in which two headers are the same."""
    return text.strip().casefold()
