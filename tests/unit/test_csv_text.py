# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a CSV file: where its structure breaks, and which line and column an error names."""

from __future__ import annotations

import io

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._sources import csv_text
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_text import (
    CsvLines,
    detect_delimiter,
)

from .csv_cases import one, reading

HEADER = b"name,email,profile.x\n"
GOOD = HEADER + b"Anna,anna@int.example,1\n"

#: Content to (place, words).
BROKEN: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "line 1, column 1", "the file is empty"),
    "a mark alone": (b"\xef\xbb\xbf", "line 1, column 1", "the file is empty"),
    "blank lines": (b"\n \r\n\n", "line 1, column 1", "the file is empty"),
    "delimiters": (b",,\n,,\n", "line 1, column 1", "no header"),
    "short": (HEADER + b"Anna,anna@int.example\n", "line 2, column 3 (profile.x)", "2 cells, and the header 3"),
    "short behind others": (GOOD + b"\nBerta\n", "line 4, column 2 (email)", "1 cells, and the header 3"),
    "long": (HEADER + b"a,b,c,d,e\n", "line 2, column 4", "5 cells, and the header 3"),
    "long behind line breaks": (HEADER + b'"a\nb","c\r\nd",e,f\n', "line 4, column 4", "4 cells"),
    "wrong delimiter": (HEADER + b"a;b;c\n", "line 2, column 2 (email)", "1 cells"),
    "nul": (HEADER + b"a,b\0,c\n", "line 2, column 2 (email)", "NUL"),
    "nul in a header": (b"name,em\0ail\n", "line 1, column 2", "NUL"),
    "nul in a later line of a cell": (HEADER + b'a,"b,\n,\0",c\n', "line 3, column 2 (email)", "NUL"),
    "latin-1 in utf-8": (HEADER + b"a,b,c\nJ\xfcrgen,b,c\n", "line 3, column 1 (name)", "0xfc is no text in utf-8"),
    "cut utf-8": (HEADER + b"a,b,\xc3", "line 2, column 3 (profile.x)", "0xc3 is no text"),
    "surrogate": (HEADER + b"a,\xed\xa0\x80,c\n", "line 2, column 2 (email)", "0xed is no text"),
    "bad byte in a header": (b"name,\xff\n", "line 1, column 2", "0xff is no text"),
    "open quote": (GOOD + b'Berta,"b@int.example,2\nCarl,c,3\n', "line 3, column 2 (email)", "never closed"),
    "open quote at the end": (HEADER + b'a,b,"', "line 2, column 3 (profile.x)", "never closed"),
    "text behind a quote": (HEADER + b'a,"b"x,c\n', "line 2, column 2 (email)", "goes on after its closing quote"),
    "text behind a late quote": (
        HEADER + b'"x ""y"" z","a\nb"q,c\n',
        "line 2, column 2 (email)",
        "goes on after its closing quote",
    ),
    "lone carriage return": (HEADER + b"a,b\rc,d\n", "line 2, column 2 (email)", "carriage return stands alone"),
    "old mac": (b"name,email\rA,b\r", "line 1, column 2", "carriage return stands alone"),
    "huge cell": (HEADER + b'a,"' + b"b" * 140000 + b'",c\n', "line 2, column 2 (email)", "longer than 131072"),
    "swallowed lines": (HEADER + b'a,"b\n' + b"c,d,e\n" * 30000, "line 2, column 2 (email)", "longer than 131072"),
    "utf-16 little": ("name,email\n".encode("utf-16"), "line 1, column 1", "UTF-16"),
    "utf-16 big": (b"\xfe\xff" + "name,email\n".encode("utf-16-be"), "line 1, column 1", "UTF-16"),
    "twice": (b"name,email,name\n", "line 1, column 3", "column 1 has the header 'name' too"),
    "twice in another case": (
        b"name,email,E-Mail, EMAIL \n",
        "line 1, column 4",
        "the header 'EMAIL' too",
    ),
    "profile twice": (b"name,email,profile.a,Profile.A\n", "line 1, column 4", "too"),
    "no header over a column": (b"name,,email\n", "line 1, column 2", "the column has no header"),
    "trailing delimiter": (b"name,email,\n", "line 1, column 3", "the column has no header"),
    "email missing": (
        b"name,mail\nA,b\n",
        "line 1, column 3",
        "no column 'email'. The file has 'name', 'mail'",
    ),
    "all missing": (b"a\n", "line 1, column 2", "there is no column 'name', 'email'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_structure_is_an_error_with_line_and_column(case: str) -> None:
    content, place, words = BROKEN[case]
    with pytest.raises(SourceError) as caught:
        reading(content)
    text = str(caught.value)
    assert text.startswith(f"users.csv, {place}: ")
    assert words in text
    assert "\0" not in text


@pytest.mark.parametrize(
    ("encoding", "content", "full_name"),
    [
        ("utf-8", "J\u00fcrgen \u20ac \U0001f600".encode(), "J\u00fcrgen \u20ac \U0001f600"),
        ("latin-1", b"J\xfcrgen \xff", "J\u00fcrgen \u00ff"),
        ("windows-1252", b"J\xfcrgen \x80 O\x92Brien", "J\u00fcrgen \u20ac O\u2019Brien"),
    ],
    ids=["utf-8", "latin-1", "windows-1252"],
)
def test_encodings(encoding: str, content: bytes, full_name: str) -> None:
    assert one(b"name,email\n" + content + b",x@y\n", encoding=encoding).full_name == full_name


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "open"])
def test_marks_and_line_ends_make_no_difference(mark: bytes, end: bytes, last: bool) -> None:
    rows = [b"name,email,profile.note", b'"Schmidt, ""Anna""",a@b,"one', b'two"', b"", b"Berta,b@b,", b",,"]
    content = mark + end.join(rows) + (end if last else b"")
    anna, berta = reading(content).roster.users
    assert (anna.full_name, anna.profile) == ('Schmidt, "Anna"', {"note": "one\ntwo"})
    assert (berta.full_name, berta.profile) == ("Berta", {"note": ""})


def test_a_file_that_says_it_is_utf_8() -> None:
    with pytest.raises(SourceError, match="line 1, column 1: the file says that it is UTF-8: set encoding=utf-8"):
        reading(b"\xef\xbb\xbfname,email\n", encoding="latin-1")


def test_bytes_that_windows_1252_does_not_have() -> None:
    with pytest.raises(SourceError, match=r"line 2, column 1 \(name\): the byte 0x81 is no text in cp1252"):
        reading(b"name,email\n\x81,b\n", encoding="windows-1252")


@pytest.mark.parametrize(
    ("header", "wanted", "found"),
    [
        ("name,email\n", ["name", "email"], ","),
        ("name;email\n", ["name", "email"], ";"),
        ("name\temail\n", ["name", "email"], "\t"),
        ("name|email\n", ["name", "email"], "|"),
        ('"name;email,x|y";email;name\n', ["name", "email"], ";"),
        ("Name;E,Mail;EMAIL\n", ["name", "email"], ";"),
        ("a;b;c,d\n", ["name", "email"], ";"),
        ("username\n", ["username"], ","),
        ("\n", ["name"], ","),
        ('"', ["name"], ","),
    ],
)
def test_the_header_tells_the_delimiter(header: str, wanted: list[str], found: str) -> None:
    assert detect_delimiter(header, wanted) == found


def test_a_given_delimiter_counts() -> None:
    assert one(b"name~email\nA;,B~x@y\n", delimiter="~").full_name == "A;,B"
    with pytest.raises(SourceError, match="there is no column"):
        reading(b"name;email\nA;x@y\n", delimiter=",")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "\0", " "])
def test_delimiters_that_can_not_be(delimiter: str) -> None:
    with pytest.raises(SourceError, match="delimiter is not one character"):
        reading(GOOD, delimiter=delimiter)


def test_a_row_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file makes the reader hold more than the longest row, however it is made."""
    monkeypatch.setattr(csv_text, "LONGEST_ROW", 1000)
    for content in (b"x" * 1100, b"a,b\n" + b'"c\nd",' * 200, b'"' + b"a\n" * 600):
        with pytest.raises(SourceError, match=r"line \d+, column \d+: the row is longer than 1000 bytes"):
            list(CsvLines(io.BytesIO(content), "f", "utf-8").rows())


def test_rows_come_one_at_a_time() -> None:
    """The second row is handed out before the broken third one is looked at."""
    rows = CsvLines(io.BytesIO(b'a,b\n"c\nd",e\nf,\0\n'), "f", "utf-8").rows()
    assert (next(rows).line, next(rows).line) == (1, 2)
    with pytest.raises(SourceError, match="line 4, column 2"):
        next(rows)
