# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the cells of a CSV file say of people."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._roster.document import serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Avatar, Group
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_columns import flat
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_file import CsvSettings, fetch
from tests.tools.checkout import ROOT

from .csv_cases import gif, jpeg, one, people, png, reading

HASH = "$y$j9T$PndeLmXAIF6ajTjz2nltU1$gkyv5rCC6IX8nL3CIpR9VjbqWxlorjf8M/Whn65GKi8"
#: As the tests of Pleio's own client have it.
SEED = """external_id,name,email,avatar,groups,profile.occupation
e-001,Alice Jansen,alice@acme.test,,21e44383-a48b-435a-9533-1ee30c4973bf,Chef
e-002,Bob de Vries,bob.devries@acme.test,,"57979220, 57979234,,57979220",Boss
,No External,noext@acme.test,,,
e-011,,noname@acme.test,,,
"""


def cell(header: str, text: str, **options: Any) -> Any:
    """The only user of a file with one more column, or the reason why it is rejected."""
    quoted = '"' + text.replace('"', '""') + '"'
    got = reading(f"name,email,{header}\nA,a@b,{quoted}\n", **options).roster
    return got.users[0] if got.users else (got.rejected[0].field, got.rejected[0].reason)


def test_the_columns_of_the_seed() -> None:
    got = reading(SEED)
    alice, bob, nobody = got.roster.users
    assert (alice.id, alice.external_id, alice.full_name) == ("e-001", "e-001", "Alice Jansen")
    assert (alice.email, alice.profile) == ("alice@acme.test", {"occupation": "Chef"})
    assert alice.groups == ("21e44383-a48b-435a-9533-1ee30c4973bf",)
    assert bob.groups == ("57979220", "57979234")
    assert (nobody.id, nobody.external_id) == ("noext@acme.test", None)
    assert (nobody.groups, nobody.profile, nobody.avatar) == ((), {"occupation": ""}, None)
    assert [entry.as_dict() for entry in got.roster.rejected] == [
        {"kind": "user", "id": "e-011", "field": "full_name", "reason": "line 5, column 2 (name): is empty"}
    ]
    assert (got.records, got.warnings) == (4, ())


def test_every_further_column() -> None:
    header = "username,uid,gid,enabled,admin,first_name,last_name,shell,home,password_hash,ssh_public_keys"
    row = f'anna,70001,70002,Yes,0,Anna,Schmidt,/bin/zsh,/srv/anna,{HASH},"ssh-rsa B\r\n\nssh-rsa A\n"'
    user = one(f"{header}\n{row}\n", required=["username"])
    assert (user.username, user.uid, user.gid, user.enabled, user.admin) == ("anna", 70001, 70002, True, False)
    assert (user.first_name, user.last_name, user.shell, user.home) == ("Anna", "Schmidt", "/bin/zsh", "/srv/anna")
    assert (user.password_hash, user.ssh_public_keys) == (HASH, ("ssh-rsa A", "ssh-rsa B"))
    assert user.full_name is None


@pytest.mark.parametrize(
    ("header", "field", "empty"),
    [
        *((field, field, None) for field in "username uid gid enabled admin first_name last_name shell home".split()),
        *((field, field, None) for field in ("password_hash", "external_id", "avatar")),
        ("groups", "groups", ()),
        ("ssh_public_keys", "ssh_public_keys", ()),
        ("profile.job", "profile", {"job": ""}),
    ],
)
def test_an_empty_cell_says_nothing_or_none(header: str, field: str, empty: Any) -> None:
    assert getattr(cell(header, " "), field) == empty
    assert getattr(one("name,email\nA,a@b\n"), field) is None


@pytest.mark.parametrize("field", ["enabled", "admin"])
@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("TRUE", True), ("1", True), (" No ", False), ("False", False), ("0", False)],
)
def test_flags(field: str, text: str, value: bool) -> None:
    assert getattr(cell(field, text), field) is value


@pytest.mark.parametrize(
    ("header", "text", "reason"),
    [
        ("enabled", "ja", "is 'ja': write yes or no"),
        ("admin", "2", "is '2': write yes or no"),
        ("enabled", HASH, "is 'something like a password hash'"),
        ("uid", "07", "is '07', not a decimal number"),
        ("uid", "-1", "not a decimal number"),
        ("uid", "1e3", "not a decimal number"),
        ("uid", "\u0667", "not a decimal number"),
        ("uid", "4294967295", "outside 0 to 4294967294"),
        ("username", "a:b", "contains a colon"),
        ("username", "a\nb", "contains the control character U+000A"),
        ("username", HASH, "looks like a password hash"),
        ("first_name", "a\x1b[31m", "contains the control character U+001B"),
        ("shell", "x" * 1025, "is longer than 1024 characters"),
        ("password_hash", "geheim", "is not a password hash"),
        ("groups", "a,b\x07", "contains the control character U+0007"),
        ("profile.job", "a\x07", "holds no usable text under 'job'"),
    ],
)
def test_a_bad_cell_rejects_its_record_alone(header: str, text: str, reason: str) -> None:
    field, said = cell(header, text)
    assert field == header.partition(".")[0]
    if field != "profile":
        assert said.startswith(f"line 2, column 3 ({header}): ")
    assert reason in said
    assert "geheim" not in said
    assert "$y$" not in said


def test_a_rejected_record_is_still_known() -> None:
    text = 'name,email,username,uid,profile.x\nA,a@b,anna,x,\n"B",b@b,,"y","1\n2"\nC,,,"z",\n'
    got = reading(text, required=["full_name"]).roster.rejected
    assert [(entry.id, entry.name, entry.record) for entry in got] == [
        (None, None, "line 5"),
        ("b@b", None, None),
        ("anna", "anna", None),
    ]
    assert [entry.reason.split(":")[0] for entry in got] == [
        "line 5, column 4 (uid)",
        "line 3, column 4 (uid)",
        "line 2, column 4 (uid)",
    ]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+49 30", "-2", "@SUM(A1)", "=cmd|' /C calc'!A0", "{{ 7*7 }}", "{% raw %}", "$(id)", "`id`", "${HOME}",
     "%s", '=HYPERLINK("http://x","y")', "!vault |", "\tx", "NULL", "None", "true", "1e5"],
)  # fmt: skip
def test_cells_are_data(text: str) -> None:
    user = cell("profile.note", text)
    assert user.profile == {"note": text.strip()}
    assert cell("last_name", text).last_name == text.strip()


def test_other_headers() -> None:
    text = "Login;Name des Mitarbeiters;Mail;Beruf;email;Profile.Team\nanna;Anna;a@b;Chef;wrong;Red\n"
    mapping = {"username": "LOGIN", "external_id": "login", "full_name": "name des mitarbeiters", "email": "Mail"}
    got = reading(text, mapping={**mapping, "profile.occupation": "Beruf"})
    (user,) = got.roster.users
    assert (user.id, user.username, user.full_name, user.email) == ("anna", "anna", "Anna", "a@b")
    assert user.profile == {"Team": "Red", "occupation": "Chef"}
    assert got.details["unused_columns"] == ["email"]
    assert "columns that nothing reads: email" in got.warnings[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mapping": {"mail": "Mail"}}, "mapping names 'mail', which is no field"),
        ({"mapping": {"profile.": "Mail"}}, "which is no field"),
        ({"mapping": {"id": "Mail"}}, "which is no field"),
        ({"mapping": {"email": " "}}, "mapping gives email no header"),
        ({"mapping": {"email": 3}}, "mapping gives email no header"),
        ({"mapping": {"shell": "Shell"}}, "there is no column 'Shell'"),
        ({"required": ["name"]}, "required names 'name', which is no field"),
        ({"required": ["profile.job"]}, "there is no column 'profile.job'"),
        ({"encoding": "utf-7"}, "encoding is none of"),
        ({"avatar_max_bytes": 0}, "avatar_max_bytes must be 1 or more"),
    ],
)
def test_options_that_can_not_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        reading("name,email\nA,a@b\n", **options)


def test_a_mapping_as_people_write_it() -> None:
    assert flat({"email": "Mail", "profile": {"job": "Beruf"}}) == {"email": "Mail", "profile.job": "Beruf"}
    with pytest.raises(SourceError, match="mapping gives profile no mapping"):
        flat({"profile": "Beruf"})


def test_required_profile_and_lists() -> None:
    got = reading("username,groups,profile.job\na,,x\nb,g,\nc,g,x\n", required=["username", "groups", "profile.job"])
    assert [user.username for user in got.roster.users] == ["c"]
    assert [entry.reason for entry in got.roster.rejected] == [
        "line 2, column 2 (groups): is empty",
        "line 3, column 3 (profile.job): is empty",
    ]


def test_duplicates_are_rejected_with_each_other() -> None:
    got = reading("name,email,username\nA,a@b,anna\nB,A@B,berta\nC,c@b,carl\n")
    assert [user.username for user in got.roster.users] == ["carl"]
    assert {entry.field for entry in got.roster.rejected} == {"email"}


def test_a_file_without_anybody() -> None:
    with pytest.raises(SourceError, match="lists nobody at all"):
        reading("name,email\n,\n")
    assert reading("name,email\n", allow_empty=True).roster.users == ()
    assert "none of the 1 records" in reading("name,email\n,a@b\n").warnings[0]


def test_derived_ids_do_not_depend_on_the_file() -> None:
    text = "name,email,username,uid,groups\nA,a@b,anna,5,Sales\nB,b@b,berta,6,SALES\nC,c@b,carl:,7,\n"
    one_way = reading(text, "derive").roster
    rows = text.splitlines(keepends=True)
    other_way = reading("".join([rows[0], *reversed(rows[1:3])]), "derive").roster
    assert {user.id: user.uid for user in one_way.users} == {user.id: user.uid for user in other_way.users}
    assert one_way.groups == other_way.groups
    assert all((user.uid or 0) > 10**9 and user.groups == ("SALES",) for user in one_way.users)
    assert reading(text).roster.groups == (Group("SALES"),)


def test_the_order_of_rows_makes_no_difference() -> None:
    rows = SEED.splitlines(keepends=True)[:-1]
    assert serialise(reading("".join([rows[0], *reversed(rows[1:])])).roster) == serialise(
        reading("".join(rows)).roster
    )


# Files and pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "pictures").mkdir()
    (tmp_path / "outside.png").write_bytes(png())
    for name, content in {
        "a.png": png(),
        "a.gif": gif(),
        "a.jpg": jpeg(),
        "named.txt": jpeg(before=b"\xff\xff\xe1\x00\x04\xff\xc0"),
        "late.jpg": jpeg() + b"a camera's own data",
        "text.jpg": b"<html>",
        "empty.jpg": b"",
        "flat.png": png(0, 3),
        "flat.gif": gif(2, 0),
        "flat.jpg": jpeg(0, 3),
        "short.png": png()[:-4],
        "short.gif": gif()[:-1],
        "short.jpg": jpeg()[:-2],
        "frameless.jpg": b"\xff\xd8\xff\xda\x00\x08\xff\xd9",
        "head.jpg": b"\xff\xd8\xff",
        "head.png": b"\x89PNG\r\n\x1a\n",
        "large.png": png() + b"\0" * 5000,
        "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }.items():
        (tmp_path / "users" / "pictures" / name).write_bytes(content)
    pictures = tmp_path / "users" / "pictures"
    (pictures / "link.png").symlink_to("a.png")
    (pictures / "escape.png").symlink_to(tmp_path / "outside.png")
    (pictures / "loop.png").symlink_to("loop.png")
    (tmp_path / "users" / "way").symlink_to(tmp_path)
    (tmp_path / "users-too").mkdir()
    (tmp_path / "users-too" / "a.png").write_bytes(png())
    os.mkfifo(pictures / "fifo.png")
    return tmp_path / "users"


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.jpg", "named.txt", "late.jpg", "link.png"])
def test_a_picture_is_hashed(folder: Path, name: str) -> None:
    path = (folder / "pictures" / name).resolve()
    for written in (f"pictures/{name}", f"./pictures/../pictures/{name}"):
        user = cell("avatar", written, folder=folder)
        assert user.avatar == Avatar(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.jpg", "can't be read: No such file"),
        ("pictures", "Is a directory"),
        ("pictures/fifo.png", "is no regular file"),
        ("pictures/loop.png", "can't be read"),
        ("pictures/a.png/x", "can't be read"),
        ("pictures/" + "x" * 300, "can't be read"),
        ("/etc/passwd", "is not a path relative to the CSV file"),
        ("pictures/a\n.png", "is not a path relative to the CSV file"),
        ("../outside.png", "leads out of the CSV file's folder"),
        ("../users-too/a.png", "leads out of the CSV file's folder"),
        ("pictures/escape.png", "leads out of the CSV file's folder"),
        ("way/outside.png", "leads out of the CSV file's folder"),
        ("pictures/text.jpg", "is not a JPEG, PNG or GIF picture"),
        ("pictures/svg.png", "is not a JPEG, PNG or GIF picture"),
        ("pictures/empty.jpg", "is empty"),
        ("pictures/flat.png", "width and height can't be read"),
        ("pictures/flat.gif", "width and height can't be read"),
        ("pictures/flat.jpg", "width and height can't be read"),
        ("pictures/frameless.jpg", "width and height can't be read"),
        ("pictures/head.jpg", "width and height can't be read"),
        ("pictures/head.png", "width and height can't be read"),
        ("pictures/short.png", "breaks off before its end"),
        ("pictures/short.gif", "breaks off before its end"),
        ("pictures/short.jpg", "breaks off before its end"),
        ("pictures/large.png", "is larger than 5000 bytes"),
    ],
)
def test_a_picture_that_can_not_be_used_is_left_out(folder: Path, name: str, reason: str) -> None:
    got = reading(f'name,email,avatar\nA,a@b,"{name}"\n', folder=folder, avatar_max_bytes=5000)
    (user,) = got.roster.users
    assert user.avatar is None
    (left_out,) = got.details["avatars_left_out"]
    assert (left_out["name"], left_out["place"]) == ("a@b", "line 2, column 3 (avatar)")
    assert reason in left_out["reason"]
    assert "a@b (line 2, column 3 (avatar))" in got.warnings[0]


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name, words in {
        "missing": "No such file",
        "folder": "Is a directory",
        "fifo": "is no regular file",
    }.items():
        with pytest.raises(SourceError, match=words) as caught:
            fetch(str(tmp_path / name), CsvSettings())
        assert str(tmp_path / name) in str(caught.value)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.csv"
    path.write_text("name,email\nA,a@b\n", encoding="utf-8")
    module = "ansible_collections.identity.roster.plugins.module_utils._sources.csv_file.read"

    def read_and_write(*arguments: Any) -> Any:
        with path.open("a", encoding="utf-8") as file:
            file.write("B,b@b\n")
        return one

    monkeypatch.setattr(module, read_and_write)
    with pytest.raises(SourceError, match="changed while it was read"):
        fetch(str(path), CsvSettings())


def test_the_seeds_own_file(tmp_path: Path) -> None:
    got = fetch(str(ROOT / "tests/fixtures/pleio/users.csv"), CsvSettings())
    assert (len(got.roster.users), len(got.roster.rejected)) == (6, 1)
    assert [entry["place"] for entry in got.details["avatars_left_out"]] == [
        "line 2, column 4 (avatar)",
        "line 4, column 4 (avatar)",
    ]


def test_memory_does_not_grow_with_the_file() -> None:
    """People are handed out while the file is read: nothing of it is kept."""

    def peak(rows: int) -> int:
        content = b"name,email\n" + b"".join(b"Person %d,person%d@int.example\n" % (n, n) for n in range(rows))
        tracemalloc.start()
        try:
            assert sum(entry.user is not None for entry in people(content)) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(4000) < peak(200) + 20_000
