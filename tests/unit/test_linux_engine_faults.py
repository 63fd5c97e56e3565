# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that is cut off anywhere leaves to the next, and programs that take no lock."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import engine
from ansible_collections.identity.roster.plugins.module_utils._linux.lock import password_lock

from .linux_hosts import roster
from .linux_trees import LATER, NAMES, WANTED, Hold, Target, hold, target

__all__ = ["hold", "target"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["replaced", "appended", "removed"])
def test_a_program_that_takes_no_lock(target: Target, monkeypatch: pytest.MonkeyPatch, name: str, how: str) -> None:
    """Also a file that this run would not have changed: the plan was made from it."""
    meddled: list[str] = []
    real = os.fsync

    def meddle(descriptor: int) -> None:
        real(descriptor)
        if target.path(f".{name}.identity-roster").exists() and not meddled:
            meddled.append(name)
            path = target.path(name)
            if how == "appended":
                with path.open("a") as file:
                    file.write("# by hand\n")
            elif how == "removed":
                path.unlink()
            else:
                new = path.with_name("new")
                new.write_text(path.read_text().replace("local", "lokal"))
                new.rename(path)

    monkeypatch.setattr(os, "fsync", meddle)
    with pytest.raises(TargetError, match=r"takes no lock|could not be written"):
        target.run(WANTED)
    assert meddled
    assert "anna" not in "".join(target.text(each) for each in NAMES if target.path(each).exists())
    monkeypatch.undo()
    if how != "removed" or name not in ("passwd", "group", "shadow"):
        target.run(WANTED)
        assert target.line("passwd", "anna")


def test_what_changed_before_the_lock_was_ours_is_planned_anew(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """useradd was faster: its account has the uid that the first plan gave away."""
    real = password_lock

    @contextmanager
    def after_useradd(*arguments: Any) -> Iterator[None]:
        with real(*arguments):
            for name, line in (("passwd", "fast:x:5000:5000::/home/fast:/bin/sh"), ("group", "fast:x:5000:")):
                target.path(name).write_text(target.text(name) + line + "\n")
            yield

    monkeypatch.setattr(engine, "password_lock", after_useradd)
    done = target.run(WANTED)
    assert [failure.reason for failure in done.failed] == ["uid 5000 belongs to the account 'fast' of this host"]
    assert done.summary()["created"] == 1 and target.line("passwd", "anna") is None
    assert target.line("passwd", "fast") and target.line("passwd", "bert")


def leftovers(target: Target) -> list[str]:
    return sorted(path.name for path in target.path("").iterdir() if path.name.endswith(".identity-roster"))


def test_leftovers_of_a_killed_run_are_removed(target: Target) -> None:
    target.run(WANTED)
    for name in NAMES:
        target.path(f".{name}.identity-roster").write_text("secret")
        target.path(f".{name}-.identity-roster").write_text("secret")
    target.run(roster(*[replace(person, full_name="New") for person in WANTED.users], groups=WANTED.groups))
    assert leftovers(target) == []


class Killed(BaseException):
    """The process is gone: nothing of its own cleans up."""


def cut_off(monkeypatch: pytest.MonkeyPatch, function: str, after: int, problem: BaseException) -> list[str]:
    """Let the n-th call of an os function fail; counts all."""
    calls: list[str] = []
    real = getattr(os, function)

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(str(arguments[0]))
        if len(calls) > after:
            raise problem
        return real(*arguments, **options)

    monkeypatch.setattr(os, function, counted)
    return calls


def calls_of_a_run(target: Target, monkeypatch: pytest.MonkeyPatch, function: str, wanted: Any) -> int:
    copy = target.root.with_name("counted")
    shutil.copytree(target.root, copy, symlinks=True)
    with monkeypatch.context() as context:
        calls = cut_off(context, function, 10**6, Killed())
        Target(copy, target.options).run(wanted)
    shutil.rmtree(copy)
    return len(calls)


PROBLEMS: dict[str, Callable[[], BaseException]] = {
    "killed": Killed,
    "disk full": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "input/output error": lambda: OSError(errno.EIO, "Input/output error"),
}


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
@pytest.mark.parametrize("function", ["rename", "fsync", "fchown", "unlink"])
def test_cut_off_anywhere_the_next_run_completes(
    target: Target, monkeypatch: pytest.MonkeyPatch, function: str, problem: str
) -> None:
    target.run(WANTED)
    whole = target.root.with_name("whole")
    shutil.copytree(target.root, whole, symlinks=True)
    Target(whole, target.options).run(LATER)
    end = {name: Target(whole).text(name) for name in NAMES}
    start = {name: target.text(name) for name in NAMES}
    count = calls_of_a_run(target, monkeypatch, function, LATER)
    assert count >= (1 if function == "unlink" else 6)
    for after in range(count):
        root = target.root.with_name(f"cut{after}")
        shutil.copytree(target.root, root, symlinks=True)
        cut = Target(root, target.options)
        with monkeypatch.context() as context:
            cut_off(context, function, after, PROBLEMS[problem]())
            try:
                cut.run(LATER)
            except (TargetError, Killed) as stop:
                if problem != "killed":
                    assert isinstance(stop, TargetError) and "Traceback" not in str(stop)
        for name in NAMES:
            assert cut.text(name) in (start[name], end[name]), "a file is half of the one and half of the other"
            mode = cut.path(name).stat().st_mode
            assert mode == target.path(name).stat().st_mode
        for path in cut.path("").iterdir():
            if path.name.endswith(".identity-roster") and "shadow" in path.name:
                assert path.stat().st_mode & 0o007 == 0, "others can read what is left"
        planned = cut.run(LATER, check=True)
        done = cut.run(LATER)
        assert done.plan_digest() == planned.plan_digest() and not done.failed
        # A group that was there before its gshadow line gets that line at the end.
        healed = {name: sorted(cut.text(name).splitlines()) for name in NAMES}
        assert healed == {name: sorted(text.splitlines()) for name, text in end.items()}, f"{function} {after}"
        assert cut.state("ledger.json").read_text() == Target(whole).state("ledger.json").read_text()
        assert not cut.run(LATER).changes and not cut.ask(LATER).changes
        assert leftovers(cut) == [] or not done.changes
        shutil.rmtree(root)


def test_an_exception_gives_the_lock_up(target: Target, hold: Hold) -> None:
    with pytest.MonkeyPatch.context() as context:
        cut_off(context, "rename", 3, Killed())
        with pytest.raises(Killed):
            target.run(WANTED)
    hold(target.path(".pwd.lock"), "posix", 0)
    hold(target.state(), "flock", 0)
