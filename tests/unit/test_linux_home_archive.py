# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Homes that are archived and put back, removed, moved: against owners who prepared them to do harm."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux import home_archive
from ansible_collections.identity.roster.plugins.module_utils._linux.home_archive import (
    archive_home,
    move_home,
    remove_home,
    restore_home,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.text import shown
from tests.fleet import kernel

from .linux_trees import build_tree, needs_root, stamps

UID, GID = (5000, 5001) if os.geteuid() == 0 else (os.getuid(), os.getgid())
ARCHIVE = "/var/lib/identity-roster/archives/anna-5000-2026-11-22.tar"
TIME = 1_700_000_000


def give(path: Path, uid: int = UID, gid: int = GID) -> None:
    os.chown(path, uid, gid, follow_symlinks=False)


def give_all(top: Path) -> None:
    for path in [top, *top.rglob("*")]:
        give(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    build_tree(root)
    (root / "var/lib/identity-roster").mkdir(mode=0o700)
    home = root / "home/anna"
    (home / "dir/sub").mkdir(parents=True)
    (home / "empty").mkdir(mode=0o750)
    (home / "file").write_text("anna's file\n")
    (home / "file").chmod(0o640)
    (home / "dir/sub/run").write_bytes(bytes(range(256)) * 5)
    (home / "dir/sub/run").chmod(0o4755)
    (home / "nothing").touch()
    os.link(home / "dir/sub/run", home / "second name")
    (home / "link").symlink_to("/etc/shadow")
    (home / "dangling").symlink_to("nowhere")
    (home / "to a directory").symlink_to("dir")
    os.mkfifo(home / "pipe")
    (home / "grün\nzwei").write_text("x")
    Path(os.fsdecode(os.fsencode(home) + b"/\xff\xfe")).write_text("not UTF-8")
    (home / ("n" * 200)).mkdir()
    (home / ("n" * 200) / ("m" * 200)).write_text("a long path")
    give_all(home)
    (home / "dir/sub/run").chmod(0o4755)
    home.chmod(0o711)
    for path in sorted(home.rglob("*"), reverse=True):
        os.utime(path, (TIME, TIME), follow_symlinks=False)
    os.utime(home, (TIME, TIME))
    return root


def contents(top: Path) -> dict[str, tuple[object, ...]]:
    """All of a tree that an archive must keep."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [top, *top.rglob("*")]:
        status = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        owner = (status.st_uid, status.st_gid, status.st_mode, int(status.st_mtime))
        found[str(path.relative_to(top))] = (*owner, status.st_nlink if path.is_file() else 0, what)
    return found


def archive(root: Path) -> Path:
    archive_home(str(root), "/home/anna", UID, ARCHIVE)
    return root / ARCHIVE.lstrip("/")


def names_in(path: Path) -> list[str]:
    done = subprocess.run(["tar", "-tf", path, "--quoting-style=escape"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return sorted(name.rstrip("/") for name in done.stdout.splitlines())


def restore(root: Path, home: str = "/home/back") -> Path:
    restore_home(str(root), ARCHIVE, home, UID, GID)
    return root / home.lstrip("/")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_archive_and_back(root: Path) -> None:
    before, open_before = contents(root / "home/anna"), descriptors()
    path = archive(root)
    assert contents(root / "home/anna") == before
    status = path.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    back = restore(root)
    assert contents(back) == before
    assert (back / "second name").samefile(back / "dir/sub/run")
    assert sorted(entry.name for entry in (root / "home").iterdir()) == ["anna", "back"]
    assert descriptors() == open_before


def test_gnu_tar_reads_it(root: Path, tmp_path: Path) -> None:
    path = archive(root)
    names = names_in(path)
    assert names[0] == "anna" and "anna/grün\\nzwei" in names and "anna/\\377\\376" in names
    assert len(names) == len(list((root / "home/anna").rglob("*"))) + 1
    (tmp_path / "other").mkdir()
    subprocess.run(["tar", "-xpf", path, "--numeric-owner", "-C", tmp_path / "other"], check=True)
    assert contents(tmp_path / "other/anna") == contents(root / "home/anna")


def test_an_archive_is_replaced_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(root)
    (path.parent / f".{path.name}.new").write_text("what a killed run left")
    (root / "home/anna/later").write_text("x")
    give(root / "home/anna/later")
    assert "anna/later" in names_in(archive(root))
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", failing(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        archive(root)
    assert path.read_bytes() == before and [entry.name for entry in path.parent.iterdir()] == [path.name]


def failing(problem: OSError) -> Callable[..., None]:
    def fail(*_arguments: object, **_words: object) -> None:
        raise problem

    return fail


def test_no_archive_fills_the_disk(root: Path) -> None:
    """A sparse file of 8 TiB costs its owner nothing."""
    with (root / "home/anna/huge").open("wb") as file:
        file.truncate(8 << 40)
    with pytest.raises(OSError, match=r"^\[Errno 28\] huge: the archives have no room for its 8796093022208 bytes"):
        archive(root)
    assert list((root / ARCHIVE.lstrip("/")).parent.iterdir()) == []


def test_names_in_messages_are_fit_to_be_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They end in results and logs: no control characters, no bytes that are not text."""
    hostile = Path(os.fsdecode(os.fsencode(root / "home/anna") + b"/\xff\n\x1b[2J"))
    with hostile.open("wb") as file:
        file.truncate(8 << 40)
    messages = []
    for act in ("archive", "remove"):
        if act == "remove":
            monkeypatch.setattr(os, "unlink", failing(OSError(5, "Input/output error")))
        with pytest.raises(OSError) as problem:
            run(root, act)
        messages.append(str(problem.value.strerror))
    assert messages[0].startswith("\\udcff\\n\\x1b[2J: the archives have no room")
    assert all(message.isprintable() for message in messages)


def test_sockets_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "home/anna")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert "anna/socket" not in names_in(archive(root))


@needs_root
def test_devices_are_archived_but_do_not_come_back(root: Path) -> None:
    os.mknod(root / "home/anna/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    path = archive(root)
    with tarfile.open(path) as tar:
        member = tar.getmember("anna/null")
        assert member.ischr() and (member.devmajor, member.devminor) == (1, 3)
    assert not (restore(root) / "null").exists()


@pytest.mark.parametrize("change", ["shrinks", "grows", "vanishes", "becomes a link", "becomes a pipe"])
def test_a_file_that_changes_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    victim, real = root / "home/anna/file", os.open
    if change in ("shrinks", "grows"):
        victim.write_bytes(b"a" * 1000)

    def meddle(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "file" and change not in ("shrinks", "grows"):
            victim.unlink(missing_ok=True)
            if change == "becomes a link":
                victim.symlink_to("/etc/passwd")
            elif change == "becomes a pipe":
                os.mkfifo(victim)
        return real(path, flags, mode, dir_fd=dir_fd)

    def shrink(descriptor: int, size: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(victim):
            os.truncate(victim, 10 if change == "shrinks" else 100_000)
        return real_read(descriptor, size)

    real_read = os.read
    monkeypatch.setattr(os, "open", meddle)
    if change in ("shrinks", "grows"):
        monkeypatch.setattr(os, "read", shrink)
    path = archive(root)
    monkeypatch.undo()
    assert ("anna/file" in names_in(path)) is (change in ("shrinks", "grows"))
    assert "anna/second name" in names_in(path), "what comes after it"
    if change in ("shrinks", "grows"):
        back = (restore(root) / "file").read_bytes()
        assert back == (b"a" * 10 + b"\0" * 990 if change == "shrinks" else b"a" * 1000)


@pytest.mark.parametrize("change", ["removed", "moved away", "replaced by a link", "all above removed"])
def test_a_directory_that_changes_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """While the walk is in dir/sub, somebody takes it away below its feet."""
    home, real = root / "home/anna", os.listdir
    (root / "tmp/precious").write_text("x")

    def meddle(descriptor: int) -> list[str]:
        found = real(descriptor)
        place = os.readlink(f"/proc/self/fd/{descriptor}")
        if place.endswith("/dir/sub"):
            if change == "removed":
                shutil.rmtree(home / "dir/sub")
            elif change == "all above removed":
                shutil.rmtree(home / "dir")
            else:
                (home / "dir/sub").rename(root / "tmp/sub")
            if change == "replaced by a link":
                (home / "dir/sub").symlink_to(root / "tmp")
        return found

    monkeypatch.setattr(os, "listdir", meddle)
    path = archive(root)
    monkeypatch.undo()
    names = names_in(path)
    assert "anna/dir/sub" in names and "anna/second name" in names
    assert not any("precious" in name or name.startswith("anna/tmp") for name in names)


def test_a_home_deeper_than_any_program_can_reach(root: Path) -> None:
    """Deeper than Python's stack and than the limit on open files; its owner needs only mkdir and cd."""
    try:
        nest(root / "home/anna/deep", 3000)
        names = names_in(archive(root))
        assert 1500 < sum(name.startswith("anna/deep") for name in names) < 2100
        remove_home(str(root), "/home/anna", UID)
        assert list((root / "home").iterdir()) == []
    finally:
        # pytest itself can't remove it: it would fail at the end of a later run.
        subprocess.run(["rm", "-rf", root], check=True)


def nest(top: Path, depth: int) -> None:
    top.mkdir()
    give(top)
    descriptor = os.open(top, os.O_RDONLY)
    for _level in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        following = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = following
    os.close(descriptor)


REFUSED = {
    "a link": "not a directory but a file or a symbolic link",
    "a file": "not a directory but a file or a symbolic link",
    "another's": f"belongs to uid 1234, not to uid {UID}",
    "a link above": "Not a directory",
}


def spoil(root: Path, how: str) -> None:
    home = root / "home/anna"
    if how == "another's":
        give(home, 1234)
        return
    if how == "a link above":
        (root / "home").rename(root / "elsewhere")
        (root / "home").symlink_to("elsewhere")
        return
    home.rename(root / "tmp/anna")
    if how == "a link":
        home.symlink_to(root / "tmp/anna")
    elif how == "a file":
        home.touch()


@needs_root
@pytest.mark.parametrize("how", REFUSED)
@pytest.mark.parametrize("act", ["archive", "remove", "move"])
def test_what_is_not_the_users_home(root: Path, how: str, act: str) -> None:
    spoil(root, how)
    before = stamps(root)
    with pytest.raises(OSError, match=REFUSED[how]):
        run(root, act)
    assert stamps(root) == before


def run(root: Path, act: str, home: str = "/home/anna") -> None:
    if act == "archive":
        archive_home(str(root), home, UID, ARCHIVE)
    elif act == "remove":
        remove_home(str(root), home, UID)
    elif act == "move":
        move_home(str(root), home, "/home/berta", UID)
    else:
        archive(root)
        restore_home(str(root), ARCHIVE, home, UID, GID)


@pytest.mark.parametrize("act", ["archive", "remove", "move", "restore"])
@pytest.mark.parametrize("home", ["/", "/home", "/etc", "/usr/share", "/home/../etc", "etc", "/var/lib/anna"])
def test_the_system_is_no_home(root: Path, act: str, home: str) -> None:
    with pytest.raises(OSError, match=r"it is|it contains"):
        run(root, act, home)
    assert (root / "etc/passwd").exists()


def test_no_home(root: Path) -> None:
    for home in ("/home/nobody", "/nowhere/at/all"):
        remove_home(str(root), home, UID)
        for act in ("archive", "move"):
            with pytest.raises(FileNotFoundError):
                run(root, act, home)
    assert not (root / "nowhere").exists()


@pytest.mark.parametrize("how", ["open to others", "a link"])
def test_archives_are_written_where_nobody_else_gets(root: Path, how: str) -> None:
    place = (root / ARCHIVE.lstrip("/")).parent
    if how == "a link":
        place.symlink_to(root / "tmp")
    else:
        place.mkdir()
        place.chmod(0o755)
    with pytest.raises(OSError, match=r"mode 0700|Not a directory"):
        archive(root)
    assert list((root / "tmp").iterdir()) == []


def test_a_home_is_removed(root: Path) -> None:
    before = stamps(root, ["home"])
    (root / "home/anna/out").symlink_to(root / "etc")
    if os.geteuid() == 0:
        (root / "home/anna/empty").chmod(0o000)
    open_before = descriptors()
    remove_home(str(root), "/home/anna", UID)
    kept = {name: stamp for name, stamp in before.items() if not name.startswith("home/anna")}
    assert stamps(root, ["home"]) == kept
    remove_home(str(root), "/home/anna", UID)
    assert descriptors() == open_before


def test_a_removal_that_was_cut_off(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks in between finds no home: neither a new account nor an archive takes a half for a whole."""
    real, calls = os.unlink, []

    def fail(path: str, *, dir_fd: int | None = None) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(OSError, match="Input/output error") as problem:
        remove_home(str(root), "/home/anna", UID)
    assert shown(calls[-1]) in str(problem.value)
    monkeypatch.undo()
    assert [path.name for path in (root / "home").iterdir()] == [".identity-roster-removed-anna"]
    with pytest.raises(FileNotFoundError):
        archive(root)
    (root / "home/anna").mkdir()
    give(root / "home/anna")
    remove_home(str(root), "/home/anna", UID)
    assert list((root / "home").iterdir()) == []


def test_a_removal_while_somebody_moves_directories(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.listdir

    def meddle(descriptor: int) -> list[str]:
        found = real(descriptor)
        place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if place.name == "sub":
            place.rename(root / "tmp/sub")
            place.parent.rename(root / "tmp/dir")
        return found

    (root / "tmp/precious").write_text("x")
    monkeypatch.setattr(os, "listdir", meddle)
    with pytest.raises(OSError, match="a program is still at work in it"):
        remove_home(str(root), "/home/anna", UID)
    monkeypatch.undo()
    assert (root / "tmp/precious").exists()
    remove_home(str(root), "/home/anna", UID)
    assert list((root / "home").iterdir()) == []


@contextmanager
def mounted(root: Path, place: Path, source: Path | None) -> Iterator[None]:
    """A tmpfs, or with a source the same file system a second time."""
    options = ["--bind", str(source)] if source else ["-t", "tmpfs", "tmpfs"]
    if subprocess.run(["mount", *options, str(place)], check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        # Wherever it is by now: what a test that fails leaves mounted, no later run of pytest can clean up.
        kernel.unmount_below(root)


@needs_root
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "bind of a file"])
@pytest.mark.parametrize("name", ["dir/sub", "with space\\ and\ttab"])
def test_what_is_mounted_in_a_home(root: Path, kind: str, name: str) -> None:
    place, source = root / "home/anna" / name, root / "tmp/source"
    if kind == "bind of a file":
        place = place / "file"
        place.parent.mkdir(exist_ok=True)
        place.touch()
        source.write_text("x")
    else:
        place.mkdir(exist_ok=True)
        source.mkdir()
        (source / "precious").write_text("x")
    with mounted(root, place, None if kind == "tmpfs" else source):
        if kind == "tmpfs":
            (place / "precious").write_text("x")
        before = stamps(root)
        with pytest.raises(OSError, match=r"another file system is mounted on .* unmount it first"):
            remove_home(str(root), "/home/anna", UID)
        assert stamps(root) == before
        names = names_in(archive(root))
        assert not any("precious" in name for name in names)
        assert "anna/second name" in names
        assert kind == "bind of a file" or any(found.endswith(name[-3:]) for found in names)
    remove_home(str(root), "/home/anna", UID)
    assert source.exists() and list((root / "home").iterdir()) == []


@needs_root
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_home_that_is_a_file_system(root: Path, kind: str) -> None:
    place, source = root / "home/anna", root / "tmp/source"
    source.mkdir()
    with mounted(root, place, None if kind == "tmpfs" else source):
        (place / "precious").write_text("x")
        give_all(place)
        with pytest.raises(OSError, match="is mounted on"):
            remove_home(str(root), "/home/anna", UID)
        with pytest.raises(OSError, match="file system of its own"):
            move_home(str(root), "/home/anna", "/home/berta", UID)
        assert "anna/precious" in names_in(archive(root)) and (place / "precious").exists()


@needs_root
def test_a_mount_that_comes_between(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the look at the list of mounts."""
    monkeypatch.setattr(home_archive, "mounts_in", lambda directory: [])
    place = root / "home/anna/dir/sub"
    with mounted(root, place, None):
        (place / "precious").write_text("x")
        with pytest.raises(OSError, match="dir/sub: another file system is mounted there"):
            remove_home(str(root), "/home/anna", UID)
        left = root / "home/.identity-roster-removed-anna"
        assert (left / "dir/sub/precious").exists()
        left.rename(root / "home/anna")


def test_a_home_is_moved(root: Path) -> None:
    before, inode = contents(root / "home/anna"), (root / "home/anna").stat().st_ino
    for _time in range(2):
        move_home(str(root), "/home/anna", "/srv/new/berta", UID)
        assert contents(root / "srv/new/berta") == before and (root / "srv/new/berta").stat().st_ino == inode
    assert list((root / "home").iterdir()) == [] and stat.S_IMODE((root / "srv/new").stat().st_mode) == 0o755


@pytest.mark.parametrize("kind", ["directory", "dangling link", "file"])
def test_a_home_is_not_moved_onto_something(root: Path, kind: str) -> None:
    new = root / "home/berta"
    if kind == "directory":
        new.mkdir()
    elif kind == "file":
        new.touch()
    else:
        new.symlink_to("nowhere")
    before = stamps(root)
    with pytest.raises(OSError, match="something is at /home/berta already"):
        move_home(str(root), "/home/anna", "/home/berta", UID)
    assert stamps(root) == before


@needs_root
def test_a_home_that_another_has_already(root: Path) -> None:
    shutil.rmtree(root / "home/anna")
    (root / "home/berta").mkdir()
    with pytest.raises(OSError, match="belongs to uid 0"):
        move_home(str(root), "/home/anna", "/home/berta", UID)


@needs_root
def test_a_home_is_not_moved_to_another_file_system(root: Path) -> None:
    (root / "srv").mkdir()
    with mounted(root, root / "srv", None):
        with pytest.raises(OSError, match="/srv/anna is on another file system: move it by hand"):
            move_home(str(root), "/home/anna", "/srv/anna", UID)
        assert (root / "home/anna/file").exists()


@pytest.mark.parametrize("kind", ["directory", "dangling link"])
def test_nothing_is_restored_onto_something(root: Path, kind: str) -> None:
    archive(root)
    if kind == "directory":
        (root / "home/back").mkdir()
    else:
        (root / "home/back").symlink_to("nowhere")
    before = stamps(root)
    with pytest.raises(OSError, match="something is there already"):
        restore(root)
    assert stamps(root) == before


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", uid: int = UID) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.uid, made.gid, made.mode = kind, target, uid, GID, 0o755
    return made


HOME = member("anna", tarfile.DIRTYPE)
HARMFUL: dict[str, list[tarfile.TarInfo]] = {
    "absolute": [HOME, member("/etc/evil")],
    "dots": [HOME, member("anna/../../etc/evil")],
    "dots at the end": [HOME, member("anna/..", tarfile.DIRTYPE)],
    "another home": [HOME, member("bert/evil")],
    "the home as a link": [member("anna", tarfile.SYMTYPE, "/etc")],
    "no home": [member("anna/evil")],
    "nothing": [],
    "through a link": [HOME, member("anna/way", tarfile.SYMTYPE, "../../etc"), member("anna/way/evil")],
    "over a link": [HOME, member("anna/evil", tarfile.SYMTYPE, "../../etc/evil"), member("anna/evil")],
    "hard link out": [HOME, member("anna/evil", tarfile.LNKTYPE, "../etc/passwd")],
    "hard link by dots": [HOME, member("anna/evil", tarfile.LNKTYPE, "anna/../../etc/passwd")],
    "hard link through a link": [
        HOME,
        member("anna/way", tarfile.SYMTYPE, "../../etc"),
        member("anna/evil", tarfile.LNKTYPE, "anna/way/passwd"),
    ],
    "twice": [HOME, member("anna/file"), member("anna/file")],
    "another user's": [member("anna", tarfile.DIRTYPE, uid=UID + 1)],
}


def write_archive(root: Path, members: list[tarfile.TarInfo]) -> Path:
    path = root / ARCHIVE.lstrip("/")
    path.parent.mkdir(mode=0o700)
    with tarfile.open(path, "w") as tar:
        for entry in members:
            tar.addfile(entry)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", HARMFUL)
def test_an_archive_that_means_harm(root: Path, name: str) -> None:
    write_archive(root, HARMFUL[name])
    before, open_before = stamps(root, ["home"]), descriptors()
    with pytest.raises(OSError):
        restore(root)
    assert stamps(root, ["home"]) == before and descriptors() == open_before


def test_a_link_in_an_archive_is_not_followed(root: Path) -> None:
    """Its owner, mode and times are not those of what it leads to."""
    write_archive(root, [HOME, member("anna/way", tarfile.SYMTYPE, "../../etc/passwd")])
    before = stamps(root / "etc")
    assert os.readlink(restore(root) / "way") == "../../etc/passwd"
    assert stamps(root / "etc") == before


@pytest.mark.parametrize("length", [0, 100, 511, 512, 700, 3000])
def test_a_damaged_archive(root: Path, length: int) -> None:
    path = archive(root)
    if length:
        with path.open("r+b") as file:
            file.seek(length)
            file.write(b"\xff" * 2000)
    else:
        path.write_bytes(path.read_bytes()[:-11000])
    with pytest.raises(OSError, match="archive"):
        restore(root)
    assert [entry.name for entry in (root / "home").iterdir()] == ["anna"]


@needs_root
@pytest.mark.parametrize("how", ["another's", "others can write", "a pipe", "a link"])
def test_an_archive_that_another_can_have_written(root: Path, how: str) -> None:
    path = archive(root)
    if how == "another's":
        os.chown(path, UID, GID)
    elif how == "others can write":
        path.chmod(0o620)
    else:
        path.rename(root / "tmp/it")
        if how == "a pipe":
            os.mkfifo(path)
            path.chmod(0o622)
        else:
            path.symlink_to(root / "tmp/it")
    with pytest.raises(OSError, match=r"only the user this runs as can write|symbolic links"):
        restore(root)
    assert not (root / "home/back").exists()


def test_times_that_no_file_system_holds(root: Path) -> None:
    for number, time in enumerate((-(2**31), -1, 2**33, 2**34)):
        path = root / f"home/anna/t{number}"
        path.touch()
        os.utime(path, (0, time))
    before = {path.name: int(path.stat().st_mtime) for path in (root / "home/anna").glob("t?")}
    archive(root)
    assert {path.name: int(path.stat().st_mtime) for path in restore(root).glob("t?")} == before
