# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail, crontabs, at jobs and lingering: removed or renamed with their account, and nobody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.belongings import (
    move_belongings,
    remove_belongings,
)

from .linux_trees import build_tree, needs_root, stamps

UID = 5000 if os.geteuid() == 0 else os.getuid()
DEBIAN = ("/var/mail/anna", "/var/spool/cron/crontabs/anna", "/var/lib/systemd/linger/anna")
RED_HAT = ("/var/mail/anna", "/var/spool/cron/anna")
SUSE = ("/var/mail/anna", "/var/spool/cron/tabs/anna")
JOBS = ("/var/spool/cron/atjobs/a00001", "/var/spool/at/a00001", "/var/spool/atjobs/a00001", "/var/spool/atd/a00001")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    build_tree(root)
    return root


def put(root: Path, path: str, uid: int = UID, text: str = "anna's") -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.chown(file, uid, -1)
    return file


def remove(root: Path, username: str = "anna") -> list[str]:
    return remove_belongings(str(root), "/var/mail", username, UID)


def move(root: Path) -> None:
    move_belongings(str(root), "/var/mail/", "anna", "berta", UID)


@pytest.mark.parametrize("paths", [DEBIAN, RED_HAT, SUSE, JOBS], ids=["debian", "redhat", "suse", "at"])
def test_removed(root: Path, paths: tuple[str, ...]) -> None:
    before = stamps(root)
    for path in paths:
        put(root, path)
    folders = {path.rpartition("/")[0] for path in paths}
    others = [put(root, f"{folder}/bert") for folder in folders if "at" not in folder.rpartition("/")[2]]
    assert sorted(remove(root)) == sorted(paths)
    assert all(other.read_text() == "anna's" for other in others)
    assert not any((root / path.lstrip("/")).exists() for path in paths)
    for other in others:
        other.unlink()
    assert remove(root) == [] and set(stamps(root)) >= set(before)


@pytest.mark.parametrize("paths", [DEBIAN, RED_HAT, SUSE], ids=["debian", "redhat", "suse"])
def test_moved(root: Path, paths: tuple[str, ...]) -> None:
    inodes = {path: put(root, path).stat().st_ino for path in paths}
    (job := put(root, JOBS[0])).touch()
    for _time in range(2):
        move(root)
        for path, inode in inodes.items():
            folder = root / path.lstrip("/").rpartition("/")[0]
            assert not (folder / "anna").exists() and (folder / "berta").stat().st_ino == inode
    assert job.exists()


def test_nothing_there(root: Path) -> None:
    (root / "var/mail").rmdir()
    before = stamps(root)
    move(root)
    assert remove(root) == [] and stamps(root) == before


@pytest.mark.parametrize("paths", [DEBIAN, RED_HAT], ids=["debian", "redhat"])
def test_cron_is_told_by_the_directory(root: Path, paths: tuple[str, ...]) -> None:
    folder = put(root, paths[1]).parent
    os.utime(folder, (0, 0))
    move(root)
    assert folder.stat().st_mtime > 0
    os.utime(folder, (0, 0))
    remove(root, "berta")
    assert folder.stat().st_mtime > 0


@pytest.mark.parametrize("path", DEBIAN)
def test_no_name_is_taken_from_another(root: Path, path: str) -> None:
    put(root, path)
    other = put(root, path.replace("anna", "berta"), text="berta's")
    with pytest.raises(OSError, match=r"berta is there already, so .*anna can't be called so"):
        move(root)
    assert other.read_text() == "berta's"


@pytest.mark.parametrize("path", [*DEBIAN, *JOBS])
def test_only_regular_files(root: Path, path: str) -> None:
    """Links and directories of that name stay, and what a link leads to does."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    makers: list[Callable[[], None]] = [
        lambda: file.symlink_to(root / "etc/passwd"),
        file.mkdir,
        lambda: os.mkfifo(file),
    ]
    for make in makers:
        make()
        os.chown(file, UID, -1, follow_symlinks=False)
        before = stamps(root)
        move(root)
        assert remove(root) == [] and stamps(root) == before
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()


@needs_root
@pytest.mark.parametrize(
    ("path", "owner", "ours"),
    [
        ("/var/mail/anna", 1234, False),
        ("/var/mail/anna", 0, False),
        ("/var/spool/cron/crontabs/anna", 1234, False),
        ("/var/spool/cron/crontabs/anna", 0, True),
        ("/var/spool/cron/atjobs/a00001", 0, False),
        ("/var/lib/systemd/linger/anna", 0, True),
        ("/var/lib/systemd/linger/anna", 1234, False),
    ],
)
def test_owners(root: Path, path: str, owner: int, ours: bool) -> None:
    put(root, path, uid=owner)
    assert remove(root) == ([path] if ours else [])


@pytest.mark.parametrize("name", ["", ".", "..", "../etc/passwd", "a/b"])
def test_a_name_that_leads_elsewhere(root: Path, name: str) -> None:
    before = stamps(root)
    for act in (
        lambda: remove(root, name),
        lambda: move_belongings(str(root), "/var/mail", name, "berta", UID),
        lambda: move_belongings(str(root), "/var/mail", "anna", name, UID),
    ):
        with pytest.raises(OSError, match="not the name of a file"):
            act()
    assert stamps(root) == before


def test_a_directory_behind_a_link(root: Path, tmp_path: Path) -> None:
    """/var/mail -> spool/mail is usual; a link out of the root is not followed."""
    (root / "var/mail").rmdir()
    (root / "var/mail").symlink_to("spool/mail")
    put(root, "/var/spool/mail/anna")
    assert remove(root) == ["/var/mail/anna"] and not (root / "var/spool/mail/anna").exists()
    (root / "var/mail").unlink()
    (root / "var/mail").symlink_to(tmp_path)
    (tmp_path / "anna").touch()
    os.chown(tmp_path / "anna", UID, -1)
    for act in (remove, move):
        with pytest.raises(OSError, match="/var/mail: a link leads out of the root directory"):
            act(root)
    assert (tmp_path / "anna").exists()


def test_what_goes_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, JOBS[0])
    put(root, "/var/mail/anna")
    real = os.unlink

    def gone(path: str, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "unlink", gone)
    assert remove(root) == []
