# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever bytes a CSV file holds, it becomes a whole roster or a SourceError that says where it is wrong."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse, serialise
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_text import DELIMITERS
from ansible_collections.identity.roster.plugins.module_utils._sources.pictures import picture_problem

from .csv_cases import gif, jpeg, png, reading

HASH = "$y$j9T$PndeLmXAIF6ajTjz2nltU1$gkyv5rCC6IX8nL3CIpR9VjbqWxlorjf8M/Whn65GKi8"
PLACE = re.compile(r"users\.csv, line [1-9][0-9]*, column [1-9][0-9]*( \([^\n]*\))?: \S")
HEADERS = ("name", "email", "username", "uid", "enabled", "admin", "groups", "avatar", "profile.job", "profile.", "x",
           "Name", "password_hash", "ssh_public_keys", "external_id", "")  # fmt: skip
CELLS = st.sampled_from(
    ("", " ", "anna", "ANNA", "a@b", "yes", "0", "4711", "=1+1", 'a"b', "a\nb", "a\r\nb", "a\rb", "a,b", ";", "\t",
     "\0", "\ufeff", "\u2028", "\x85", "\x1b", "../x", "/etc/passwd", "i\u0307", HASH, "x" * 40)
) | st.text(st.characters(codec="utf-8"), max_size=8)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "policy": st.sampled_from(("source", "derive")),
        "delimiter": st.none() | st.sampled_from(DELIMITERS) | st.sampled_from("~ax"),
        "encoding": st.sampled_from(("utf-8", "latin-1", "windows-1252")),
        "required": st.sampled_from((["full_name", "email"], ["username"], [], ["profile.job"])),
        "mapping": st.sampled_from(({}, {"username": "email"}, {"profile.x": "X"})),
        "allow_empty": st.booleans(),
    },
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Nearly good files, spoilt here and there."""
    width = draw(st.integers(1, 5))
    header = draw(st.lists(st.sampled_from(HEADERS), min_size=width, max_size=width))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=5))
    text = io.StringIO()
    dialect = draw(st.sampled_from((csv.excel, csv.unix_dialect)))
    end = draw(st.sampled_from(("\n", "\r\n", "\r")))
    writer = csv.writer(text, dialect, delimiter=draw(st.sampled_from(DELIMITERS)), lineterminator=end)
    writer.writerows([["name", "email", *header] if draw(st.booleans()) else header, *rows])
    content = bytearray(text.getvalue().encode())
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=2)):
        if place < len(content):
            content[place] = byte
    return bytes(content[: draw(st.none() | st.integers(0, 400))])


def check(content: bytes, options: dict[str, Any]) -> None:
    try:
        got = reading(content, **options)
    except SourceError as problem:
        said = str(problem)
        assert PLACE.match(said) or "allow_empty=true" in said, said
        assert "\0" not in said
        assert HASH not in said
        return
    written = serialise(got.roster)
    again = parse(written)
    assert again == got.roster
    assert serialise(again) == written
    known = len(got.roster.users) + sum(entry.kind == "user" for entry in got.roster.rejected)
    assert known == got.records
    for text in (*got.warnings, *(entry.reason for entry in got.roster.rejected), str(got.details)):
        assert HASH not in text
    for entry in got.roster.rejected:
        assert HASH not in f"{entry.id}{entry.name}{entry.record}{entry.field}"


@given(st.binary(max_size=200), OPTIONS)
@example(b"name,email\n" + b'"\n' * 3, {})
@example(b'"', {})
@example(b"name,email\r\r\n", {})
@example(b'name,email\nx,"y"\r\r\n', {})
def test_any_bytes(content: bytes, options: dict[str, Any]) -> None:
    check(content, options)


@settings(max_examples=100)
@given(tables(), OPTIONS)
def test_spoilt_tables(content: bytes, options: dict[str, Any]) -> None:
    check(content, options)


@given(
    st.sampled_from("=+-@\t|%{$`!&*#") | st.just("{{ "),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20),
)
def test_cells_that_look_like_code_stay_as_they_are(first: str, rest: str) -> None:
    text = first + rest
    quoted = '"' + text.replace('"', '""') + '"'
    (user,) = reading(f"name,email,profile.note\nA,a@b,{quoted}\n").roster.users
    assert user.profile == {"note": text.strip()}


@given(st.binary(max_size=60), st.sampled_from((b"", png()[:20], gif()[:8], jpeg()[:20], b"\xff\xd8\xff\xc0")))
def test_any_bytes_as_a_picture(content: bytes, start: bytes) -> None:
    problem = picture_problem(start + content)
    assert problem is None or problem.startswith("is ")


@given(st.sampled_from((png(), gif(), jpeg())), st.data())
def test_a_picture_cut_anywhere_is_none(content: bytes, data: st.DataObject) -> None:
    assert picture_problem(content) is None
    assert picture_problem(content[: data.draw(st.integers(0, len(content) - 1))]) is not None
