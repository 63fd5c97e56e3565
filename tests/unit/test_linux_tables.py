# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables keep every byte of every line that they are not asked to change."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._linux.tables import (
    WIDTHS,
    Accounts,
    Table,
    inconsistencies,
    members,
    number,
)

ODD = (
    b"# comment: with : colons:::: \n"
    b"root:x:0:0:root:/root:/bin/bash\n"
    b"\n"
    b"too:short\n"
    b"long:x:1:1::/:/bin/sh:more\n"
    b" blank:x:5000:5000::/:/bin/sh\n"
    b"latin:x:1001:1001:J\xfcrgen:/home/l:/bin/sh\n"
    b"crlf:x:1002:1002::/home/c:/bin/sh\r\n"
    b"twice:x:1003:1003:first:/:/bin/sh\n"
    b"twice:x:1004:1004:second:/:/bin/sh\n"
    b"-user::::::\n"
    b"+::::::\n"
    b"after:x:1005:1005::/:/bin/sh"
)
NEW = ["new", "x", "9", "9", "", "/", "/bin/sh"]


def lines(content: bytes) -> list[bytes]:
    return content.split(b"\n")


def test_reading_changes_nothing() -> None:
    table = Table(ODD, 7)
    assert table.content() is ODD
    assert not table.changed
    assert list(table.names()) == ["root", "latin", "crlf", "twice", "after"]
    assert table.row("twice")[4] == "first"
    assert table.row("crlf")[6] == "/bin/sh\r"
    assert "blank" not in table and table.is_malformed("blank") and table.is_malformed("long")


def test_putting_back_what_was_there_changes_nothing() -> None:
    table = Table(ODD, 7)
    for name in list(table.names()):
        table.put(table.row(name))
    assert table.content() is ODD


def test_a_new_line_comes_before_the_nis_lines() -> None:
    table = Table(ODD, 7)
    table.put(NEW)
    after = lines(table.content())
    assert after.index(b"new:x:9:9::/:/bin/sh") == after.index(b"-user::::::") - 1
    assert [line for line in after if not line.startswith(b"new:")] == [*lines(ODD), b""]


def test_a_changed_line_stays_in_its_place() -> None:
    table = Table(ODD, 7)
    row = table.row("latin")
    row[6] = "/bin/bash"
    table.put(row)
    assert lines(table.content()) == [
        line.replace(b"/home/l:/bin/sh", b"/home/l:/bin/bash") for line in [*lines(ODD), b""]
    ]
    assert b"J\xfcrgen" in table.content()


def test_a_missing_last_newline_does_not_join_lines() -> None:
    table = Table(b"a:x:1:", 4)
    table.put(["b", "x", "2", ""])
    assert table.content() == b"a:x:1:\nb:x:2:\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n", b"#", b"+", b"\r\n", b":::", b"\xff\xfe", b"\0\n"])
def test_odd_contents(content: bytes) -> None:
    table = Table(content, 4)
    assert table.content() == content
    table.put(["b", "x", "2", ""])
    assert table.row("b") == ["b", "x", "2", ""]
    table.remove("b")
    assert table.content().rstrip(b"\n") == content.rstrip(b"\n")


def test_removing_takes_all_lines_of_a_name() -> None:
    table = Table(ODD, 7)
    table.remove("twice")
    assert b"twice" not in table.content()
    assert Table(table.content(), 7).get("twice") is None, "the second line came to life"
    assert lines(table.content()) == [line for line in [*lines(ODD), b""] if not line.startswith(b"twice")]


def test_removing_what_was_added() -> None:
    table = Table(b"", 3)
    table.put(["a", "1", "2"])
    table.put(["a", "3", "4"])
    assert table.content() == b"a:3:4\n"
    table.remove("a")
    assert table.content() == b"" and "a" not in table and len(table) == 0


def test_dropping_malformed_lines_of_one_name_leaves_the_others() -> None:
    table = Table(b"anna:old\nbert:old\nanna:$6$:1:2:3:4:5:6:7\n", 9)
    table.drop_malformed("anna")
    assert table.content() == b"bert:old\nanna:$6$:1:2:3:4:5:6:7\n"


@pytest.mark.parametrize(
    "row",
    [
        ["a", "x", "1"],
        ["a", "x", "1", "2", "3"],
        ["a:b", "x", "1", ""],
        ["a", "x\n", "1", ""],
        ["", "x", "1", ""],
        ["#a", "x", "1", ""],
        ["+a", "x", "1", ""],
        ["-a", "x", "1", ""],
        [" a", "x", "1", ""],
    ],
)
def test_a_line_that_could_be_read_otherwise_is_never_made(row: list[str]) -> None:
    table = Table(b"", 4)
    with pytest.raises(ValueError, match="row of 4 fields"):
        table.put(row)
    assert table.content() == b""


CONTENT = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from([*lines(ODD), b"a:x:1:", b"b:x:2:a,b", b"c:::", b"+", b"#x", b" a:x:1:", b"\xff:::"]),
        max_size=12,
    ).map(b"\n".join),
)
NAME = st.sampled_from(["a", "b", "c", "d", "root", "twice", "jürgen"])


@given(CONTENT, st.sampled_from([3, 4, 7, 9]))
@example(b"a:1:2\n\n", 3)
def test_any_content_survives_reading(content: bytes, width: int) -> None:
    assert Table(content, width).content() == content


@given(CONTENT, st.lists(st.tuples(st.sampled_from(["put", "remove"]), NAME, st.text("xy ,é", max_size=3))))
def test_other_lines_stay_whatever_is_done(content: bytes, steps: list[tuple[str, str, str]]) -> None:
    table = Table(content, 4)
    touched = set()
    for action, name, text in steps:
        touched.add(name)
        if action == "put":
            table.put([name, text, "1", ""])
            assert table.row(name) == [name, text, "1", ""]
        elif name in table:
            table.remove(name)
            assert name not in table

    def others(data: bytes) -> list[bytes]:
        parts = [line for line in lines(data) if line.split(b":")[0].decode("utf-8", "surrogateescape") not in touched]
        while parts and not parts[-1]:
            parts.pop()
        return parts

    assert others(table.content()) == others(content)
    again = Table(table.content(), 4)
    assert {name: again.get(name) for name in again.names()} == {name: table.get(name) for name in table.names()}
    assert Table(again.content(), 4).content() == again.content()


@given(st.binary(max_size=40))
def test_accounts_round_trip(data: bytes) -> None:
    contents: dict[str, bytes | None] = dict.fromkeys(WIDTHS, data)
    assert Accounts.parse(contents).contents() == contents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1000", 1000),
        ("01000", 1000),
        ("+5", 5),
        (" 5", 5),
        ("", None),
        ("-1", None),
        ("5x", None),
        ("0x10", None),
        ("\u0663", None),  # an Arabic digit
        ("9" * 5000, None),
    ],
)
def test_numbers_as_the_c_library_reads_them(text: str, expected: int | None) -> None:
    assert number(text) == expected


def test_members_without_empty_names() -> None:
    assert members(["g", "x", "1", ",a,,b,"]) == ["a", "b"]


PASSWD = b"root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/h:/bin/sh\n"
SHADOW = b"root:h:1::::::\nanna:h:1::::::\n"


@pytest.mark.parametrize(
    ("passwd", "shadow", "words"),
    [
        (PASSWD, SHADOW, None),
        (PASSWD + b"evil:x:2:2::/:/bin/sh\n", SHADOW, "planned names"),
        (b"root:x:0:0::/root:/bin/sh\n", SHADOW, "planned names"),
        (PASSWD.replace(b"/root:/bin/sh", b"/root:/bin/no"), SHADOW, "protected account root"),
        (PASSWD, SHADOW.replace(b"root:h", b"root:!"), "protected account root"),
        (PASSWD.replace(b"1000:1000", b"0:1000"), SHADOW, "uid 0"),
        (PASSWD.replace(b"1000:1000", b"+0:1000"), SHADOW, "uid 0"),
        (PASSWD, SHADOW.replace(b"anna:h", b"anna:"), "empty password"),
        (PASSWD.replace(b"anna:x", b"anna:"), SHADOW, "empty password"),
        (PASSWD, SHADOW + b"new::1::::::\n", "empty password"),
    ],
)
def test_the_last_check_before_a_write(passwd: bytes, shadow: bytes, words: str | None) -> None:
    before = Accounts.parse({"passwd": PASSWD, "group": b"", "shadow": SHADOW})
    after = Accounts.parse({"passwd": passwd, "group": b"", "shadow": shadow})
    problems = inconsistencies(before, after, {"root", "anna"}, ["root"])
    assert (not problems) if words is None else words in "; ".join(problems)
