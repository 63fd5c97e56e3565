# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys in a block of ~/.ssh/authorized_keys: the user's own lines stay, and no link of the user's leads us anywhere."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._linux import authorized_keys
from ansible_collections.identity.roster.plugins.module_utils._linux.authorized_keys import (
    block_of,
    read_keys,
    with_block,
    write_keys,
)

from .linux_trees import build_tree, needs_root, stamps

UID, GID = (5000, 5001) if os.geteuid() == 0 else (os.getuid(), os.getgid())
BEGIN, END = "# BEGIN identity.roster\n", "# END identity.roster\n"
A, B, C = "ssh-ed25519 AAAAa anna", "ssh-rsa AAAAb", "ssh-ed25519 AAAAc"
BLOCK_A = f"{BEGIN}{A}\n{END}"
OWN = "ssh-rsa AAAAown laptop"

#: content, keys, what it becomes
WRITTEN: dict[str, tuple[str, list[str], str]] = {
    "nothing": ("", [], ""),
    "first keys": ("", [A, B], f"{BEGIN}{A}\n{B}\n{END}"),
    "after the user's": (f"{OWN}\n", [A], f"{OWN}\n{BLOCK_A}"),
    "after a line without an end": (OWN, [A], f"{OWN}\n{BLOCK_A}"),
    "the same": (f"{OWN}\n{BLOCK_A}{OWN}", [A], f"{OWN}\n{BLOCK_A}{OWN}"),
    "in its place": (f"{OWN}\n{BLOCK_A}# mine\n", [B], f"{OWN}\n{BEGIN}{B}\n{END}# mine\n"),
    "taken away": (f"{OWN}\n{BLOCK_A}# mine", [], f"{OWN}\n# mine"),
    "taken away, nothing else": (BLOCK_A, [], ""),
    "no keys, no block": (OWN, [], OWN),
    "the user's CRLF": (f"{OWN}\r\n\r\n", [A], f"{OWN}\r\n\r\n{BLOCK_A}"),
    "a block with CRLF": (BLOCK_A.replace("\n", "\r\n") + f"{OWN}\r\n", [A], f"{BLOCK_A}{OWN}\r\n"),
    "an end without an end": (BLOCK_A.rstrip("\n"), [A], BLOCK_A),
    "spaces around the markers": (f"  {BEGIN.rstrip()} \n{B}\n\t{END}", [A], BLOCK_A),
    "two blocks": (f"{BLOCK_A}{OWN}\n{BEGIN}{B}\n{END}", [A], f"{BLOCK_A}{OWN}\n"),
    "an end alone": (f"{OWN}\n{END}# mine\n", [A], f"{OWN}\n{BLOCK_A}# mine\n"),
    "a begin alone": (f"{OWN}\n{BEGIN}# mine\n", [A], f"{OWN}\n{BLOCK_A}# mine\n"),
    "an end is lost": (f"{BEGIN}{A}\n{B}\n{OWN}\n", [A, B], f"{BEGIN}{A}\n{B}\n{END}{OWN}\n"),
    "an end is lost, a key is new": (f"{BEGIN}{A}\n{OWN}\n", [B], f"{BEGIN}{B}\n{END}{A}\n{OWN}\n"),
    "an end is lost, the key again later": (f"{BEGIN}{A}\n{OWN}\n{A}\n", [A], f"{BLOCK_A}{OWN}\n{A}\n"),
    "an end is lost, then a block": (f"{BEGIN}{A}\n{OWN}\n{BEGIN}{B}\n{END}", [A], f"{BLOCK_A}{OWN}\n"),
    "an end is lost, no keys": (f"{BEGIN}{A}\n{OWN}\n", [], f"{A}\n{OWN}\n"),
    "the user's copy of a key": (f"{A}\n", [A], f"{A}\n{BLOCK_A}"),
    "almost a marker": ("# BEGIN identity.roster x\n", [A], f"# BEGIN identity.roster x\n{BLOCK_A}"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_blocks(name: str) -> None:
    content, keys, expected = WRITTEN[name]
    assert with_block(content.encode(), keys).decode() == expected
    assert block_of(expected.encode()) == (tuple(keys) if keys else None)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ("", None),
        (OWN, None),
        (BEGIN + A, None),
        (END + BEGIN, None),
        (BEGIN + END, ()),
        (BLOCK_A, (A,)),
        (BLOCK_A.replace("\n", "\r\n"), (A,)),
        (BLOCK_A + OWN + "\n" + BLOCK_A, (A, A)),
        (BEGIN + BLOCK_A, (A,)),
        (BEGIN + "\udcff" + A + "\n" + END, ("\\xff" + A,)),
    ],
    ids=str,
)
def test_what_a_block_holds(content: str, keys: tuple[str, ...] | None) -> None:
    """What is not right differs from what is wanted, so that it is written anew."""
    assert block_of(content.encode("utf-8", "surrogateescape")) == keys


@pytest.mark.parametrize("key", ["", " ", "a\nb", "a\n", "a\rb", BEGIN.strip(), f" {END.strip()}"], ids=repr)
def test_what_is_not_one_line(key: str) -> None:
    with pytest.raises(ValueError, match="not one line"):
        with_block(b"", [A, key])


KEYS = st.lists(st.sampled_from([A, B, C]), unique=True, max_size=3)
LINE = st.sampled_from([BEGIN.strip(), END.strip(), A, B, OWN, "", "  # mine", "\r", "\x00\xff"]) | st.text(
    st.characters(codec="latin-1", exclude_characters="\n"), max_size=5
)
CONTENT = st.tuples(st.lists(LINE, max_size=14), st.sampled_from(["", "\n"])).map(
    lambda pair: ("\n".join(pair[0]) + pair[1]).encode("latin-1")
)
MARKERS = (BEGIN.strip().encode(), END.strip().encode())


@given(CONTENT, KEYS)
def test_any_content_heals(content: bytes, keys: list[str]) -> None:
    new = with_block(content, keys)
    assert block_of(new) == (tuple(keys) or None)
    assert (
        new.count(MARKERS[0])
        == new.count(MARKERS[1])
        == (1 if keys else 0) + sum(line.count(MARKERS[0]) for line in new.split(b"\n") if line.strip() not in MARKERS)
    )
    assert with_block(new, keys) == new


@given(CONTENT, KEYS)
def test_no_line_of_the_user_is_lost(content: bytes, keys: list[str]) -> None:
    """What is outside of whole blocks stays in its order; only keys right behind a lone BEGIN may go."""
    taken = [key.encode() for key in keys]
    kept = [line for line in outside(with_block(content, keys).split(b"\n")) if line]
    expected = [line for line in outside(content.split(b"\n")) if line]
    while kept != expected:
        gone = next(
            (place for place, line in enumerate(expected) if place >= len(kept) or kept[place] != line), len(expected)
        )
        assert gone < len(expected) and expected[gone].strip() in taken
        del expected[gone]


def outside(lines: list[bytes]) -> list[bytes]:
    """Written otherwise than the code: one letter a line, and a pattern of them for a whole block."""
    letters = "".join({MARKERS[0]: "B", MARKERS[1]: "E"}.get(line.strip(), ".") for line in lines)
    blanked = re.sub("B[.]*E", lambda match: "B" * len(match[0]), letters)
    return [line for line, letter in zip(lines, blanked, strict=True) if letter == "."]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    build_tree(root)
    (root / "home/anna").mkdir(mode=0o700)
    os.chown(root / "home/anna", UID, GID)
    return root


def read(root: Path) -> tuple[str, ...] | None:
    return read_keys(str(root), "/home/anna", UID)


def write(root: Path, *keys: str) -> None:
    write_keys(str(root), "/home/anna", UID, GID, keys)


def keys_file(root: Path, text: str | None = OWN) -> Path:
    folder = root / "home/anna/.ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, UID, GID)
    path = folder / "authorized_keys"
    if text is not None:
        path.write_text(text)
        os.chown(path, UID, GID)
        path.chmod(0o600)
    return path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_first_keys(root: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        write(root, A, B)
    finally:
        os.umask(old)
    path = root / "home/anna/.ssh/authorized_keys"
    assert path.read_text() == f"{BEGIN}{A}\n{B}\n{END}" and read(root) == (A, B)
    for made, mode in ((path.parent, 0o700), (path, 0o600)):
        status = made.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (UID, GID, mode)
    assert [entry.name for entry in path.parent.iterdir()] == ["authorized_keys"]


@pytest.mark.parametrize("keys", [(), (A,)], ids=["none", "one"])
def test_nothing_to_do(root: Path, keys: tuple[str, ...]) -> None:
    if keys:
        keys_file(root, f"{OWN}\n{BLOCK_A}")
    before, open_before = stamps(root), len(os.listdir("/proc/self/fd"))
    write(root, *keys)
    assert read(root) == (keys or None)
    assert stamps(root) == before and len(os.listdir("/proc/self/fd")) == open_before


def test_no_keys_make_nothing(root: Path) -> None:
    path = keys_file(root, None)
    before = stamps(root)
    write(root)
    assert stamps(root) == before and not path.exists() and read(root) is None


@needs_root
def test_modes_and_owners_stay(root: Path) -> None:
    path = keys_file(root)
    path.parent.chmod(0o755)
    path.chmod(0o644)
    os.chown(path, 0, 0)
    write(root, A)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, 0o644)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755 and path.read_text() == f"{OWN}\n{BLOCK_A}"
    write(root)
    assert path.read_text() == f"{OWN}\n"


def test_what_a_killed_run_left(root: Path) -> None:
    path = keys_file(root)
    (path.parent / ".authorized_keys.identity-roster").write_text("half")
    write(root, A)
    assert read(root) == (A,) and [entry.name for entry in path.parent.iterdir()] == ["authorized_keys"]


@pytest.mark.parametrize("step", ["fsync", "rename", "fchown"])
def test_a_write_that_fails_leaves_all_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = keys_file(root)

    def fail(*_arguments: object, **_words: object) -> None:
        raise OSError(28, "No space left on device")

    open_before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        write(root, A)
    assert path.read_text() == OWN and [entry.name for entry in path.parent.iterdir()] == ["authorized_keys"]
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_no_home(root: Path) -> None:
    (root / "home/anna").rmdir()
    assert read(root) is None
    with pytest.raises(FileNotFoundError):
        write(root, A)
    (root / "home").rmdir()
    assert read(root) is None


HOSTILE = {
    "home is a link": "not a directory but a file or a symbolic link",
    "home is a file": "not a directory but a file or a symbolic link",
    "home of another": f"it belongs to uid 1234, not to uid {UID}",
    ".ssh to /etc": r"\.ssh is not a directory but a file or a symbolic link",
    ".ssh is a file": r"\.ssh is not a directory but a file or a symbolic link",
    ".ssh is a pipe": r"\.ssh is not a directory but a file or a symbolic link",
    ".ssh of another": r"\.ssh belongs to uid 1234",
    "keys to shadow": r"\.ssh/authorized_keys is a symbolic link",
    "keys to nowhere": r"\.ssh/authorized_keys is a symbolic link",
    "keys are a pipe": r"\.ssh/authorized_keys is not a regular file",
    "keys are a directory": r"\.ssh/authorized_keys is not a regular file",
    "keys are a device": r"\.ssh/authorized_keys is not a regular file",
    "keys of another": r"\.ssh/authorized_keys belongs to uid 1234",
    "keys without end": r"\.ssh/authorized_keys is larger than 1048576 bytes",
}


def spoil(root: Path, how: str) -> None:
    home, path = root / "home/anna", root / "home/anna/.ssh/authorized_keys"
    if how.startswith("keys"):
        keys_file(root, None)
    elif how.startswith("home of") or how == ".ssh of another":
        keys_file(root, None)
        os.chown(home if how.startswith("home") else path.parent, 1234, 1234)
        return
    else:
        path = path.parent
    if how.startswith("home"):
        home.rmdir()
        path = home
    kind = how.split(maxsplit=1)[1]
    makers: dict[str, Callable[[], None]] = {
        "is a link": lambda: path.symlink_to(root / "etc"),
        "to /etc": lambda: path.symlink_to(root / "etc"),
        "to shadow": lambda: path.symlink_to(root / "etc/shadow"),
        "to nowhere": lambda: path.symlink_to("nowhere"),
        "is a pipe": lambda: os.mkfifo(path),
        "are a pipe": lambda: os.mkfifo(path),
        "are a directory": path.mkdir,
        "are a device": lambda: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
    }
    makers.get(kind, path.touch)()
    if kind == "without end":
        os.truncate(path, 8 << 40)
    owner = 1234 if kind == "of another" else UID
    os.chown(path, owner, GID, follow_symlinks=False)


@needs_root
@pytest.mark.parametrize("how", HOSTILE)
def test_what_a_user_may_have_prepared(root: Path, how: str) -> None:
    etc = stamps(root / "etc")
    spoil(root, how)
    open_before = len(os.listdir("/proc/self/fd"))
    for keys in ([A], []):
        with pytest.raises(OSError, match=HOSTILE[how]):
            write(root, *keys)
    with pytest.raises(OSError, match=HOSTILE[how]):
        read(root)
    assert stamps(root / "etc") == etc and len(os.listdir("/proc/self/fd")) == open_before


@needs_root
@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_a_directory_of_roots_is_not_given_away(root: Path, monkeypatch: pytest.MonkeyPatch, filled: bool) -> None:
    """Between our mkdir and our look the user may rename another directory to .ssh: one that root made there."""
    home, real = root / "home/anna", os.mkdir
    (home / "of root").mkdir(mode=0o700)
    if filled:
        (home / "of root/secret").write_text("x")

    def swap(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        (home / ".ssh").rmdir()
        (home / "of root").rename(home / ".ssh")

    monkeypatch.setattr(os, "mkdir", swap)
    write(root, A)
    assert (home / ".ssh").stat().st_uid == (0 if filled else UID)


@needs_root
def test_a_hard_link_to_a_secret_gives_nothing_away(root: Path) -> None:
    """Where fs.protected_hardlinks is off. The secret stays, and its copy is root's as it was."""
    path = keys_file(root, None)
    secret = root / "etc/shadow"
    content = secret.read_bytes()
    os.link(secret, path)
    mode = stat.S_IMODE(secret.stat().st_mode)
    write(root, A)
    assert secret.read_bytes() == content
    assert path.stat().st_uid == 0 and stat.S_IMODE(path.stat().st_mode) == mode


@needs_root
def test_a_temporary_that_the_user_puts_in_the_way(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keys_file(root)
    temporary = path.parent / authorized_keys._TEMPORARY
    temporary.symlink_to(root / "etc/passwd")
    before = stamps(root / "etc")
    write(root, A)
    assert read(root) == (A,)
    temporary.mkdir()
    with pytest.raises(OSError):
        write(root, B)
    assert stamps(root / "etc") == before and read(root) == (A,)
