# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Home directories and mail spools: whole or not at all, and never through somebody else's links."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.draft import Home
from ansible_collections.identity.roster.plugins.module_utils._linux.homes import HomeMaker, make_mail_spool

from .linux_hosts import roster, user
from .linux_trees import Target, build_tree, needs_root, stamps

UID, GID = (5000, 5001) if os.geteuid() == 0 else (os.getuid(), os.getgid())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    build_tree(root)
    skel = root / "etc/skel"
    (skel / ".ssh").mkdir(mode=0o700)
    (skel / ".ssh/config").write_text("Host *\n")
    (skel / ".ssh/config").chmod(0o600)
    (skel / "run.sh").write_text("#!/bin/sh\n")
    (skel / "run.sh").chmod(0o755)
    (skel / "link").symlink_to("/etc/shadow")
    (skel / "dangling").symlink_to("nowhere")
    os.mkfifo(skel / "pipe")
    os.utime(skel / "run.sh", ns=(10**18, 10**18))
    return root


def make(root: Path, path: str = "/home/anna", mode: int = 0o700) -> Path:
    HomeMaker(str(root), "/etc/skel", mode).make(Home(path, UID, GID, "anna"))
    return root / path.lstrip("/")


@pytest.mark.parametrize("mode", [0o700, 0o711, 0o755, 0o750])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_home(root: Path, mode: int, umask: int) -> None:
    old = os.umask(umask)
    try:
        home = make(root, mode=mode)
    finally:
        os.umask(old)
    assert stat.S_IMODE(home.stat().st_mode) == mode
    found = {str(path.relative_to(home)): path.lstat() for path in home.rglob("*")}
    assert sorted(found) == [".profile", ".ssh", ".ssh/config", "dangling", "link", "run.sh"]
    assert all((status.st_uid, status.st_gid) == (UID, GID) for status in [*found.values(), home.stat()])
    skel = root / "etc/skel"
    for name, status in found.items():
        assert stat.S_IMODE(status.st_mode) == stat.S_IMODE((skel / name).lstat().st_mode), name
    assert os.readlink(home / "link") == "/etc/shadow" and (home / "run.sh").stat().st_mtime_ns == 10**18
    assert (home / ".ssh/config").read_text() == "Host *\n"
    assert [path.name for path in (root / "home").iterdir()] == ["anna"]


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link"])
def test_what_is_there_stays(root: Path, kind: str) -> None:
    path = root / "home/anna"
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.touch()
    else:
        path.symlink_to("nowhere")
    before = stamps(root)
    make(root)
    assert stamps(root) == before


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_missing_parents_can_be_entered_by_everybody(root: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        make(root, "/srv/homes/x/anna")
    finally:
        os.umask(old)
    for name in ("srv", "srv/homes", "srv/homes/x"):
        status = (root / name).stat()
        assert stat.S_IMODE(status.st_mode) == 0o755 and status.st_uid == os.geteuid()


def test_without_a_skeleton(root: Path) -> None:
    HomeMaker(str(root), "/nowhere", 0o700).make(Home("/home/anna/", UID, GID, "anna"))
    assert list((root / "home/anna").iterdir()) == []


@pytest.mark.parametrize("target", ["/tmp", "../tmp", "nowhere"])
def test_a_link_above_the_home_is_not_followed_out_of_another_root(root: Path, target: str) -> None:
    (root / "home").rmdir()
    (root / "home").symlink_to(target)
    with pytest.raises(OSError):
        make(root, "/home/anna")
    assert not (root / "tmp/anna").exists() and not Path("/tmp/anna").exists()


def test_a_link_above_the_home_must_not_lead_into_the_system(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the running system links are followed (/home -> /srv/home), also those that a user made in a home."""
    maker = HomeMaker(str(root), "/etc/skel", 0o700)
    monkeypatch.setattr(maker, "_root", "/")
    monkeypatch.setattr(os.path, "realpath", lambda path: "/etc/cron.d")
    with pytest.raises(OSError, match="which is the system's"):
        maker.make(Home("/home/bert/link/anna", UID, GID, "anna"))


def test_what_an_interrupted_run_left_is_made_anew(root: Path) -> None:
    half = root / "home/.identity-roster-anna"
    half.mkdir()
    (half / "junk").touch()
    (half / "link").symlink_to(root / "etc")
    home = make(root)
    assert not half.exists() and not (home / "junk").exists() and (root / "etc/passwd").exists()


@pytest.mark.parametrize("after", range(6))
def test_a_home_that_fails_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    calls = []
    real = os.fchown

    def fail(descriptor: int, uid: int, gid: int) -> None:
        calls.append(descriptor)
        if len(calls) > after:
            raise OSError(28, "No space left on device")
        real(descriptor, uid, gid)

    open_before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fchown", fail)
    if after < 5:
        with pytest.raises(OSError, match="No space"):
            make(root)
        assert list((root / "home").iterdir()) == []
        assert len(os.listdir("/proc/self/fd")) == open_before, "a descriptor is left open"
    else:
        make(root)


@needs_root
def test_a_directory_that_a_meddler_put_in_place_is_not_filled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the directory above may rename what is in it, at any time."""
    real = os.mkdir

    def swap(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        if path == ".identity-roster-anna":
            os.chown(path, 1234, 1234, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", swap)
    with pytest.raises(OSError, match="meddling"):
        make(root)


def test_many_homes_read_the_skeleton_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (read.append(str(path)), real(path))[-1])  # type: ignore[func-returns-value]
    maker = HomeMaker(str(root), "/etc/skel", 0o700)
    for number in range(50):
        maker.make(Home(f"/home/u{number}", UID, GID, f"u{number}"))
    assert len(read) == 2 and len(list((root / "home").iterdir())) == 50


def test_a_mail_spool(root: Path) -> None:
    make_mail_spool(str(root), "/var/mail", "anna", UID, GID)
    spool = root / "var/mail/anna"
    assert stat.S_IMODE(spool.stat().st_mode) == 0o660 and spool.stat().st_uid == UID and spool.read_bytes() == b""
    spool.write_text("mail")
    make_mail_spool(str(root), "/var/mail", "anna", UID, GID)
    assert spool.read_text() == "mail"
    (root / "var/mail/bert").symlink_to(root / "etc/bert")
    make_mail_spool(str(root), "/var/mail", "bert", UID, GID)
    assert not (root / "etc/bert").exists()


def test_a_mail_directory_behind_a_link(root: Path, tmp_path: Path) -> None:
    (root / "var/mail").rmdir()
    (root / "var/mail").symlink_to("spool")
    (root / "var/spool").mkdir()
    make_mail_spool(str(root), "/var/mail", "anna", UID, GID)
    assert (root / "var/spool/anna").exists()
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "var/mail").unlink()
    (root / "var/mail").symlink_to(outside)
    with pytest.raises(OSError, match="leads out"):
        make_mail_spool(str(root), "/var/mail", "bert", UID, GID)
    assert list(outside.iterdir()) == []


@needs_root
def test_one_home_that_fails_does_not_stop_the_others(root: Path) -> None:
    target = Target(root, replace(Target(root).options, create_homes=True))
    (root / "srv").write_text("not a directory")
    wanted = roster(user("anna", uid=5000), user("bert", uid=5001, home="/srv/bert"), user("carl", uid=5002))
    done = target.run(wanted)
    assert {failure.name: failure.reason for failure in done.failed} == {
        "bert": "its home /srv/bert could not be made: Not a directory"
    }
    assert (root / "home/anna").is_dir() and (root / "home/carl").is_dir()
    again = target.run(wanted)
    assert [failure.name for failure in again.failed] == ["bert"] and not again.changes
    (root / "srv").unlink()
    assert [change.fields for change in target.run(wanted).changes] == [{"home_directory": ("missing", "present")}]
    assert (root / "srv/bert").stat().st_uid == 5001
    assert not target.ask(wanted).failed


@needs_root
def test_spools_are_made_where_the_host_wants_them(root: Path) -> None:
    (root / "etc/default/useradd").write_text("CREATE_MAIL_SPOOL=yes\n")
    with (root / "etc/group").open("a") as file:
        file.write("mail:x:8:\n")
    target = Target(root)
    target.run(roster(user("anna", uid=5000)))
    status = (root / "var/mail/anna").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (5000, 8, 0o660)
    (root / "var/mail/anna").unlink()
    (root / "var/mail").rmdir()
    done = target.run(roster(user("anna", uid=5000), user("bert", uid=5001)))
    assert done.warnings == ["bert: no mail spool in /var/mail: No such file or directory"] and not done.failed
