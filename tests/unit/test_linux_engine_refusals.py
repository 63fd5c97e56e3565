# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is written, and who holds the lock."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import engine

from .linux_trees import LATER, NAMES, WANTED, Hold, Target, hold, needs_root, stamps, target

__all__ = ["hold", "target"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_WAIT", 0.1)


def refused(target: Target, words: str, check: bool = True) -> None:
    """Refused with these words, and nothing was written, in check mode either."""
    before = stamps(target.root, leave_out=["etc/.pwd.lock", "etc", "var/lib", "var/lib/identity-roster"])
    for mode in (True, False) if check else (False,):
        with pytest.raises(TargetError, match=words):
            target.run(WANTED, check=mode)
    assert stamps(target.root, leave_out=["etc/.pwd.lock", "etc", "var/lib", "var/lib/identity-roster"]) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "dangling link", "directory", "pipe"])
def test_files_that_are_not_files(target: Target, name: str, kind: str) -> None:
    path = target.path(name)
    if kind == "link":
        path.rename(target.root / "elsewhere")
        path.symlink_to("../elsewhere")
    else:
        path.unlink()
        if kind == "dangling link":
            path.symlink_to("nowhere")
        elif kind == "directory":
            path.mkdir()
        else:
            os.mkfifo(path)
    refused(target, f"{name} is " + ("a symbolic link" if "link" in kind else "not a regular file"))


def test_an_etc_that_is_a_link(target: Target) -> None:
    (target.root / "etc").rename(target.root / "real-etc")
    (target.root / "etc").symlink_to("real-etc")
    refused(target, "symbolic link")


def test_a_root_without_etc(target: Target) -> None:
    shutil.rmtree(target.root / "etc")
    with pytest.raises(TargetError, match="can't be opened"):
        target.run(WANTED)


@needs_root
@pytest.mark.parametrize("name", ["passwd", "shadow"])
def test_immutable_files(target: Target, name: str) -> None:
    done = subprocess.run(["chattr", "+i", target.path(name)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this file system has no immutable files")
    try:
        refused(target, "immutable")
    finally:
        subprocess.run(["chattr", "-i", target.path(name)], check=True)


@needs_root
def test_bind_mounted_files(target: Target) -> None:
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "--bind", target.path("passwd"), target.path("passwd")], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting is not permitted here")
    try:
        refused(target, "mount point")
    finally:
        subprocess.run(["umount", target.path("passwd")], check=True)


def test_a_full_disk_is_seen_before_anything_is_written(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstatvfs

    def full(descriptor: int) -> Any:
        answer = real(descriptor)
        return os.statvfs_result((*answer[:3], 3, *answer[4:]))

    monkeypatch.setattr(os, "fstatvfs", full)
    refused(target, "has no room")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b'{"format": "identity.roster.ledger/1"', b"[" * 100000,
        b'{"format": "identity.roster.ledger/2", "users": {}, "groups": {}, "memberships": {}}',
        b'{"format": "identity.roster.ledger/1", "users": {"a": 5}, "groups": {}, "memberships": {}}',
        b'{"format": "identity.roster.ledger/1", "users": {}, "groups": {"a": "5"}, "memberships": {}}',
        b'{"format": "identity.roster.ledger/1", "users": {}, "groups": {"a": true}, "memberships": {}}',
        b'{"format": "identity.roster.ledger/1", "users": {}, "groups": {}, "memberships": {"a": "anna"}}',
    ],
)  # fmt: skip
def test_a_damaged_ledger(target: Target, content: bytes) -> None:
    target.run(WANTED)
    target.state("ledger.json").write_bytes(content)
    refused(target, "damaged")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("uid", "5000"), ("uid", None), ("uid", True), ("username", 5), ("private_group", "yes"), ("more", 1),
        ("disabled", {"reason": "source", "since": 1, "expire": "1:2"}),
        ("disabled", {"reason": "source", "since": 1, "expire": 5}),
        ("disabled", {"reason": "source", "since": "x", "expire": ""}),
    ],
)  # fmt: skip
def test_a_damaged_entry_in_the_ledger(target: Target, key: str, value: Any) -> None:
    target.run(WANTED)
    path = target.state("ledger.json")
    ledger = json.loads(path.read_text())
    ledger["users"]["id-anna"][key] = value
    path.write_text(json.dumps(ledger))
    refused(target, "damaged")


@pytest.mark.parametrize("spoil", ["mode", "link", "file", "owner"])
def test_a_state_directory_that_others_may_write(target: Target, spoil: str) -> None:
    target.run(WANTED)
    state = target.state()
    if spoil == "mode":
        state.chmod(0o770)
    elif spoil == "link":
        state.rename(target.root / "tmp/state")
        state.symlink_to("../../tmp/state")
    elif spoil == "file":
        shutil.rmtree(state)
        state.touch()
    elif os.geteuid() != 0:
        pytest.skip("only root can give files to others")
    else:
        os.chown(state, 1234, 1234)
    refused(target, "must belong to|is not a directory")


@pytest.mark.parametrize("name", ["ledger.json", "applied.json"])
def test_a_state_file_that_is_a_link(target: Target, name: str) -> None:
    target.run(WANTED)
    target.state(name).rename(target.root / "tmp/x")
    target.state(name).symlink_to(target.root / "tmp/x")
    refused(target, "can't be read")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["posix", "ofd"])
def test_a_lock_that_another_program_holds(target: Target, hold: Hold, how: str) -> None:
    hold(target.path(".pwd.lock"), how, 60)
    refused(target, "held by another program for 0.1 s", check=False)
    assert target.run(WANTED, check=True).changes, "looking needs no lock"


def test_a_lock_that_is_given_up_in_time(target: Target, hold: Hold) -> None:
    hold(target.path(".pwd.lock"), "posix", 0.5)
    assert target.run(WANTED).summary()["created"] == 2


@pytest.mark.usefixtures("impatient")
def test_another_run_of_ours(target: Target, hold: Hold) -> None:
    target.run(WANTED)
    descriptor = os.open(target.state(), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = stamps(target.root)
    with pytest.raises(TargetError, match=r"another run of identity\.roster"):
        target.run(LATER)
    assert stamps(target.root) == before
    assert not target.ask(WANTED).changes, "with nothing to do there is nothing to wait for"
    os.close(descriptor)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"%d\0" % os.getpid(), "held by process", id="this process"),
        (b"1", "held by process 1"),
        (b"99999999999999999999", "held by process"),
        (b"", "names no process"),
        (b"vipw", "names no process"),
        (b"\xff", "names no process"),
        (b"4194305", None),
    ],
)
@pytest.mark.parametrize("name", ["passwd.lock", "gshadow.lock"])
def test_locks_by_link(target: Target, name: str, content: bytes, words: str | None) -> None:
    target.path(name).write_bytes(content)
    if words is None:
        assert target.run(WANTED).changes, "its process has ended"
    else:
        refused(target, words, check=False)


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_a_lock_file_that_is_none(target: Target, kind: str) -> None:
    lock = target.path(".pwd.lock")
    lock.symlink_to("../tmp/lock") if kind == "link" else lock.mkdir()
    refused(target, "pwd.lock can't be opened", check=False)
    assert not (target.root / "tmp/lock").exists()
