# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in on the disk: replaced only when sudo stays sound, and otherwise what it was, inode and times included."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import sudoers_file
from ansible_collections.identity.roster.plugins.module_utils._linux.sudo import Sudo, Verdict, Visudo
from ansible_collections.identity.roster.plugins.module_utils._linux.sudoers import read_rules, render
from ansible_collections.identity.roster.plugins.module_utils._linux.sudoers_file import Request, Result, bring

from .sudoers_cases import entry

TEXT = render(read_rules([entry(users=["anna"])], [])[0])
OTHER = render(read_rules([entry(users=["bert"])], [])[0])
MAIN = "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"


class FakeSudo(Sudo):
    """Takes a file with BROKEN in it for broken, and whoever is named in a file with NOPASSWD for let in."""

    def __init__(self, root: Path, *, narrow: bool = False, rehearses: bool = True, installed: bool = True) -> None:
        self.root = str(root)
        self.folder = root / "etc/sudoers.d"
        self.checkers = [Visudo("/usr/sbin/visudo", narrow)] if installed else []
        self.rehearses = rehearses
        self.asked: list[str] = []
        self.trees: list[str] = []

    def files(self) -> dict[str, str]:
        # As sudo does it: names with a dot are not read.
        return {path.name: path.read_text() for path in sorted(self.folder.iterdir()) if "." not in path.name}

    def words(self, files: dict[str, str]) -> str:
        return next((f"visudo says: {name}:1: syntax error" for name, text in files.items() if "BROKEN" in text), "")

    def check_text(self, content: bytes) -> str:
        self.asked.append("text")
        return self.words({"stdin": content.decode()})

    def check_file(self, path: str) -> str:
        self.asked.append(path)
        return self.words({path: (Path(self.root) / path.lstrip("/")).read_text()})

    def check_tree(self) -> str:
        self.asked.append("tree")
        return self.trees.pop(0) if self.trees else self.words(self.files())

    def lets_in(self, user: str | None) -> bool:
        return self._lets_in(user, self.files())

    def _lets_in(self, user: str | None, files: dict[str, str]) -> bool:
        lines = [line for text in files.values() for line in text.splitlines() if line.startswith(f"{user} ")]
        return bool(lines) and "NOPASSWD" in lines[-1]

    def rehearse(self, directory: str, name: str, content: bytes | None, user: str | None) -> Verdict | None:
        if not self.rehearses:
            return None
        files = {**self.files(), name: (content or b"").decode()}
        return Verdict(self.words(files), self._lets_in(user, dict(sorted(files.items()))))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "etc/sudoers.d"
    folder.mkdir(parents=True, mode=0o750)
    (tmp_path / "etc/sudoers").write_text(MAIN)
    (folder / "README").write_text("# nothing\n")
    return tmp_path


def drop_in(root: Path) -> Path:
    return root / "etc/sudoers.d/identity-roster"


def put(root: Path, text: str, mode: int = 0o440, name: str = "identity-roster") -> Path:
    path = root / "etc/sudoers.d" / name
    path.write_text(text)
    path.chmod(mode)
    return path


def do(root: Path, text: str | None = TEXT, sudo: Sudo | None = None, **options: Any) -> Result:
    return bring(Request(str(root), "identity-roster", text, **options), sudo or FakeSudo(root))


def state(root: Path) -> dict[str, tuple[object, ...]]:
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted((root / "etc").rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        seen[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns, content)
    return seen


def files(root: Path) -> dict[str, tuple[object, ...]]:
    """The same without the directories, whose times a temporary changes."""
    return {name: seen for name, seen in state(root).items() if not Path(name).is_dir()}


def test_made_changed_removed(root: Path) -> None:
    before = state(root)
    for text in (TEXT, OTHER, None):
        planned = do(root, text, check_mode=True)
        assert state(root) == before, "check mode wrote something"
        done = do(root, text)
        assert done.changes == planned.changes and done.changes
        if text is None:
            assert not drop_in(root).exists()
        else:
            assert drop_in(root).read_text() == text
            assert drop_in(root).stat().st_mode & 0o7777 == 0o440
        before = state(root)
        for check_mode in (True, False):
            assert do(root, text, check_mode=check_mode).changes == []
            assert state(root) == before, "a run with nothing to do wrote something"
    assert [path.name for path in (root / "etc/sudoers.d").iterdir()] == ["README"]


def test_asked_before_and_after(root: Path) -> None:
    sudo = FakeSudo(root)
    do(root, TEXT, sudo)
    temporary = "/etc/sudoers.d/.identity-roster.identity-roster"
    assert sudo.asked == ["tree", "text", temporary, "tree"]
    again = FakeSudo(root)
    do(root, TEXT, again)
    assert again.asked == [], "nothing to do, nobody to ask"


@pytest.mark.parametrize("formerly", [None, OTHER])
@pytest.mark.parametrize("rehearses", [True, False])
@pytest.mark.parametrize("check_mode", [True, False])
def test_refused_text(root: Path, formerly: str | None, rehearses: bool, check_mode: bool) -> None:
    if formerly:
        put(root, formerly)
    before = state(root)
    with pytest.raises(TargetError, match=r"not accepted.*/etc/sudoers\.d/identity-roster:1: syntax error"):
        do(root, TEXT + "BROKEN\n", FakeSudo(root, rehearses=rehearses), check_mode=check_mode)
    assert state(root) == before


@pytest.mark.parametrize("formerly", [None, OTHER])
@pytest.mark.parametrize("wanted", [TEXT, None])
def test_rolled_back(root: Path, formerly: str | None, wanted: str | None) -> None:
    if formerly is None and wanted is None:
        return
    if formerly:
        put(root, formerly)
    before = files(root)
    sudo = FakeSudo(root, rehearses=False)
    sudo.trees = ["", "visudo says: elsewhere"]
    with pytest.raises(TargetError, match=r"elsewhere.*former state was put back"):
        do(root, wanted, sudo)
    assert files(root) == before


@pytest.mark.parametrize("rehearses", [True, False])
@pytest.mark.parametrize("check_mode", [True, False])
def test_broken_by_others(root: Path, rehearses: bool, check_mode: bool) -> None:
    put(root, "BROKEN\n", name="mine")
    before = state(root)
    with pytest.raises(TargetError, match=r"were broken before.*mine:1") as caught:
        do(root, TEXT, FakeSudo(root, rehearses=rehearses), check_mode=check_mode)
    assert "identity-roster:" not in str(caught.value)
    assert state(root) == before


@pytest.mark.parametrize("rehearses", [True, False])
def test_our_own_broken_file_is_put_right(root: Path, rehearses: bool) -> None:
    put(root, TEXT + "BROKEN\n")
    assert do(root, TEXT, FakeSudo(root, rehearses=rehearses)).changes
    assert drop_in(root).read_text() == TEXT


@pytest.mark.parametrize("rehearses", [True, False])
def test_the_connected_user_is_not_locked_out(root: Path, rehearses: bool) -> None:
    put(root, "anna ALL=(ALL) NOPASSWD: ALL\n", name="ansible")
    before = files(root)
    with pytest.raises(TargetError, match="no longer let anna"):
        do(root, TEXT, FakeSudo(root, rehearses=rehearses), user="anna")
    assert files(root) == before
    # Nobody who needed a password before loses anything.
    assert do(root, TEXT, FakeSudo(root, rehearses=rehearses), user="bert").changes


def test_edited_by_hand(root: Path) -> None:
    put(root, TEXT + "mallory ALL=(ALL) NOPASSWD: ALL\n", 0o640)
    done = do(root)
    assert done.found is not None and "mallory" in done.found.text
    assert drop_in(root).read_text() == TEXT and drop_in(root).stat().st_mode & 0o777 == 0o440


def test_not_ours(root: Path) -> None:
    put(root, "anna ALL=(ALL) ALL\n")
    before = state(root)
    with pytest.raises(TargetError, match="adopt=true"):
        do(root)
    assert do(root, None).changes == [], "absent means: none of ours"
    assert state(root) == before
    assert [change.action for change in do(root, adopt=True).changes] == ["adopt", "create"]
    assert drop_in(root).read_text() == TEXT


def test_sudo_is_missing(root: Path) -> None:
    sudo = FakeSudo(root, installed=False)
    with pytest.raises(TargetError, match="sudo is not installed"):
        do(root, TEXT, sudo)
    put(root, TEXT)
    assert do(root, None, sudo).changes
    assert not drop_in(root).exists()


@pytest.mark.parametrize(
    "line",
    [
        "@includedir /etc/sudoers.d", "#includedir /etc/sudoers.d", "  @includedir\t/etc/sudoers.d/ ",
        '@includedir "/etc/sudoers.d"', "@includedir sudoers.d", "@includedir \\\n/etc/sudoers.d", "@include other",
        "@include /etc/other",
    ],
)  # fmt: skip
def test_include_is_there(root: Path, line: str) -> None:
    (root / "etc/sudoers").write_text(f"Defaults env_reset\n{line}\n")
    (root / "etc/other").write_text("@include /etc/sudoers\n@includedir /etc/sudoers.d\n")
    assert do(root).changes


@pytest.mark.parametrize(
    "text", ["", "# @includedir /etc/sudoers.d\n", "  #includedir /etc/sudoers.d\n", "@includedir /etc/sudo.d\n",
             "@include /etc/sudoers.d\n", "@include /etc/none\n", "@includedir \\ /etc/sudoers.d\n"],
)  # fmt: skip
def test_include_is_missing(root: Path, text: str) -> None:
    (root / "etc/sudoers").write_text(text)
    with pytest.raises(TargetError, match=r"Add this line at its end: @includedir /etc/sudoers.d"):
        do(root)


def test_main_files(root: Path) -> None:
    (root / "etc/sudoers").unlink()
    with pytest.raises(TargetError, match="no /etc/sudoers"):
        do(root)
    (root / "usr/etc").mkdir(parents=True)
    (root / "usr/etc/sudoers").write_text(MAIN)
    assert do(root, check_mode=True).changes
    (root / "etc/sudoers-rs").write_text("root ALL=(ALL) ALL\n")
    assert do(root, check_mode=True).changes
    with pytest.raises(TargetError, match="/etc/sudoers-rs does not include"):
        do(root, TEXT, FakeSudo(root, narrow=True))


def test_odd_directories_and_files(root: Path) -> None:
    folder = root / "etc/sudoers.d"
    folder.chmod(0o777)
    with pytest.raises(TargetError, match="written by others"):
        do(root)
    folder.chmod(0o750)
    drop_in(root).symlink_to("README")
    with pytest.raises(TargetError, match="symbolic link"):
        do(root)
    drop_in(root).unlink()
    drop_in(root).mkdir()
    with pytest.raises(TargetError, match="not a sudoers file"):
        do(root)
    drop_in(root).rmdir()
    os.mkfifo(drop_in(root))
    with pytest.raises(TargetError, match="not a sudoers file"):
        do(root)
    drop_in(root).unlink()
    (folder / "README").unlink()
    folder.rmdir()
    assert do(root, None).changes == []
    with pytest.raises(TargetError, match="does not exist"):
        do(root)
    (root / "etc/real").mkdir()
    folder.symlink_to("real")
    with pytest.raises(TargetError, match="as a directory"):
        do(root)


@pytest.mark.parametrize("formerly", [None, OTHER])
@pytest.mark.parametrize("call", ["fchmod", "fsync", "rename", "link"])
def test_faults(root: Path, monkeypatch: pytest.MonkeyPatch, formerly: str | None, call: str) -> None:
    """Each call of the commit fails once; what was there before is there again, and the next run succeeds."""
    if formerly:
        put(root, formerly)
    before = files(root)
    really = getattr(os, call)
    for failing in range(4):
        calls = iter(range(100))

        def once(*arguments: Any, calls: Any = calls, failing: int = failing, **options: Any) -> Any:
            if next(calls) == failing:
                raise OSError(errno.EIO, "Input/output error")
            return really(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, once)
            try:
                do(root, TEXT, FakeSudo(root))
            except TargetError as error:
                assert "Input/output error" in str(error)
        if drop_in(root).exists() and drop_in(root).read_text() == TEXT:
            assert call == "fsync" or next(calls) <= failing, "only the last fsync comes after the verdict"
            break
        assert files(root) == before, (call, failing)
    assert do(root).changes or formerly is None or drop_in(root).read_text() == TEXT
    assert drop_in(root).read_text() == TEXT
    assert sorted(path.name for path in drop_in(root).parent.iterdir()) == ["README", "identity-roster"]


@pytest.mark.parametrize("sound", [True, False])
def test_what_a_killed_run_left(root: Path, sound: bool) -> None:
    """Killed after the rename: the new file is proved now, or the former one comes back."""
    folder = root / "etc/sudoers.d"
    (folder / ".identity-roster.identity-roster").write_text("half")
    put(root, OTHER, name=".identity-roster.identity-roster-before")
    put(root, TEXT if sound else TEXT + "BROKEN\n")
    before = state(root)
    do(root, TEXT, check_mode=True)
    assert state(root) == before
    assert bool(do(root, TEXT).changes) == (not sound)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "README": "# nothing\n",
        "identity-roster": TEXT,
    }


def test_two_runs_wait_for_each_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudoers_file, "_PATIENCE", 0.2)
    descriptor = os.open(root / "etc/sudoers.d", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(TargetError, match="another run"):
            do(root)
        assert do(root, check_mode=True).changes, "who only looks needs no lock"
    finally:
        os.close(descriptor)
    assert do(root).changes
