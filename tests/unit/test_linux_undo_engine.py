# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing on real directories: check mode, the next run, an undo that is cut off, homes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import undo_engine
from ansible_collections.identity.roster.plugins.module_utils._linux.lock import password_lock
from ansible_collections.identity.roster.plugins.module_utils._linux.snapshots import list_runs
from ansible_collections.identity.roster.plugins.module_utils._linux.state import StateDirectory
from ansible_collections.identity.roster.plugins.module_utils._linux.undo_engine import Request, Result, undo_run

from .linux_hosts import roster, user
from .linux_trees import LATER, NAMES, STATE, WANTED, Hold, Target, hold, needs_root, stamps, target
from .test_linux_engine_faults import PROBLEMS, Killed, cut_off, leftovers

__all__ = ["hold", "target"]
PROTECTED = {"root": "is root", "ansible": "is the account that Ansible is connected as"}


def undo(where: Target, run_id: str, check: bool = False, **changes: Any) -> Result:
    request = Request(str(where.root), STATE, run_id, f"undo-{run_id}", PROTECTED, check)
    return undo_run(replace(request, **changes))


def contents(where: Target) -> dict[str, bytes]:
    return {name: where.path(name).read_bytes() for name in NAMES}


def ledger(where: Target) -> str:
    return where.state("ledger.json").read_text()


def owners(where: Target) -> dict[str, Any]:
    """The ledger's entries of accounts that are there: of others it only remembers the uid."""
    users = json.loads(ledger(where))["users"]
    return {key: entry for key, entry in users.items() if "removed" not in entry}


@pytest.fixture
def twice(target: Target) -> Target:
    """After two runs, monday and tuesday, between which everything of an account changes."""
    target.run(WANTED, run_id="monday")
    target.run(LATER, run_id="tuesday")
    return target


def test_check_mode_is_what_an_undo_does_and_writes_nothing(twice: Target) -> None:
    before = stamps(twice.root)
    planned = undo(twice, "tuesday", check=True)
    assert stamps(twice.root) == before
    done = undo(twice, "tuesday")
    assert planned.outcome.as_result() == done.outcome.as_result()
    assert (planned.kept, planned.homes_left) == (done.kept, done.homes_left)
    actions = {(change.kind, change.name): change.action for change in done.outcome.changes}
    assert actions == {
        ("user", "anna"): "enable",
        ("user", "bert"): "enable",
        ("user", "dora"): "remove",
        ("group", "second"): "remove",
    }

    settled = stamps(twice.root)
    for check in (True, False):
        again = undo(twice, "tuesday", check=check)
        assert again.found and not again.outcome.changes
        assert stamps(twice.root) == settled


def test_every_byte_comes_back_and_the_next_run_looks_again(target: Target) -> None:
    start = contents(target)
    target.run(WANTED, run_id="monday")
    between, owned = contents(target), owners(target)
    target.run(LATER, run_id="tuesday")
    end = contents(target)
    undo(target, "tuesday")
    assert contents(target) == between and owners(target) == owned
    assert not target.state("applied.json").exists()
    assert not target.run(WANTED).changes, "it is as that roster left it"
    target.run(LATER)
    assert {name: sorted(text.splitlines()) for name, text in contents(target).items()} == {
        name: sorted(text.splitlines()) for name, text in end.items()
    }
    undo(target, "run")
    undo(target, "monday")
    assert contents(target) == start


def test_an_undo_can_be_undone(twice: Target) -> None:
    end, owned = contents(twice), ledger(twice)
    undo(twice, "tuesday")
    undo(twice, "undo-tuesday")
    assert contents(twice) == end and ledger(twice) == owned
    runs = list_runs(StateDirectory(str(twice.state())))
    assert {run.run_id for run in runs} == {"monday", "tuesday", "undo-tuesday", "undo-undo-tuesday"}


def test_a_run_between_others_is_undone_alone(twice: Target) -> None:
    """What tuesday did to the accounts that monday made goes with them; what it made itself stays."""
    done = undo(twice, "monday")
    assert twice.line("passwd", "anna") is None and twice.line("passwd", "bert") is None
    assert twice.line("passwd", "dora") and twice.line("group", "second")
    assert twice.line("group", "team") == "team:x:6000:dora"
    assert [entry.reason for entry in done.kept] == ["got other members since: dora"]
    assert twice.line("passwd", "local") and "ansible" in str(twice.line("group", "sudo"))


def test_two_parts_of_one_run_are_undone_together(target: Target) -> None:
    start = contents(target)
    target.run(WANTED, run_id="same")
    target.run(LATER, run_id="same")
    undo(target, "same")
    assert contents(target) == start


def test_no_such_run(twice: Target) -> None:
    before = stamps(twice.root)
    result = undo(twice, "never")
    assert not result.found and not result.outcome.changes
    assert stamps(twice.root) == before


def test_others_who_work_at_the_same_time(twice: Target, monkeypatch: pytest.MonkeyPatch, hold: Hold) -> None:
    """useradd came between the plan and the lock; then a program that takes no lock; then one that keeps it."""
    line = "fast:x:5500:5500::/home/fast:/bin/sh\n"

    def after_useradd(*arguments: Any) -> Any:
        twice.path("passwd").write_text(twice.text("passwd") + line)
        return password_lock(*arguments)

    with monkeypatch.context() as context:
        context.setattr(undo_engine, "password_lock", after_useradd)
        undo(twice, "tuesday")
    assert line in twice.text("passwd") and twice.line("passwd", "dora") is None

    real_fsync = os.fsync

    def meddle(descriptor: int) -> None:
        real_fsync(descriptor)
        if twice.path(".passwd.identity-roster").exists():
            with twice.path("group").open("a") as file:
                file.write("# by hand\n")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", meddle)
        with pytest.raises(TargetError, match="takes no lock"):
            undo(twice, "undo-tuesday")
    monkeypatch.setattr(undo_engine, "LOCK_WAIT", 0.1)
    hold(twice.path(".pwd.lock"), "posix", 5)
    with pytest.raises(TargetError, match="held by another program"):
        undo(twice, "undo-tuesday")


@pytest.mark.parametrize(
    ("function", "problem"),
    [("rename", "killed"), ("rename", "disk full"), ("fsync", "killed"), ("unlink", "input/output error")],
)
def test_cut_off_anywhere_the_next_undo_completes(
    twice: Target, monkeypatch: pytest.MonkeyPatch, function: str, problem: str
) -> None:
    whole = twice.root.with_name("whole")
    shutil.copytree(twice.root, whole, symlinks=True)
    with monkeypatch.context() as context:
        calls = cut_off(context, function, 10**6, Killed())
        undo(Target(whole), "tuesday")
        count = len(calls)
    end, owned = contents(Target(whole)), ledger(Target(whole))
    assert count
    # Most of what is put on the disk is the snapshot, file by file.
    for after in range(0, count, 1 if function == "rename" else 3):
        cut = Target(twice.root.with_name("cut"))
        shutil.copytree(twice.root, cut.root, symlinks=True)
        with monkeypatch.context() as context:
            cut_off(context, function, after, PROBLEMS[problem]())
            try:
                undo(cut, "tuesday")
            except (TargetError, Killed) as stop:
                assert problem == "killed" or isinstance(stop, TargetError)
        done = undo(cut, "tuesday")
        assert not done.outcome.failed
        healed = {name: sorted(content.splitlines()) for name, content in contents(cut).items()}
        assert healed == {name: sorted(content.splitlines()) for name, content in end.items()}, (function, after)
        assert ledger(cut) == owned
        assert not undo(cut, "tuesday").outcome.changes
        assert leftovers(cut) == [] or not done.outcome.changes
        shutil.rmtree(cut.root)


def test_a_host_that_is_not_for_us(twice: Target) -> None:
    (twice.root / "etc/os-release").write_text("ID=nixos\n")
    with pytest.raises(TargetError, match="NixOS"):
        undo(twice, "tuesday")


def test_files_that_would_not_be_right_are_not_written(twice: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stamps(twice.root)
    monkeypatch.setattr(undo_engine, "inconsistencies", lambda *_: ["uid 0 would be shared"])
    with pytest.raises(TargetError, match="uid 0 would be shared"):
        undo(twice, "tuesday")
    assert stamps(twice.root) == before


def with_homes(target: Target, **changes: Any) -> Target:
    return Target(target.root, replace(target.options, create_homes=True, **changes))


@needs_root
def test_a_home_that_the_run_moved_goes_back(target: Target) -> None:
    moving = with_homes(target, move_homes=True)
    moving.run(roster(user("anna", id="1", uid=5000)), run_id="monday")
    before = contents(moving)
    (moving.root / "home/anna/mine").write_text("x")
    moving.run(roster(user("berta", id="1", uid=5000, home="/home/berta")), run_id="tuesday")
    assert (moving.root / "home/berta/mine").exists()
    assert not undo(moving, "tuesday", check=True).outcome.failed
    done = undo(moving, "tuesday")
    assert not done.outcome.failed and done.homes_left == []
    assert [(change.name, change.action) for change in done.outcome.changes] == [("anna", "rename")]
    assert contents(moving) == before
    assert (moving.root / "home/anna/mine").exists() and not (moving.root / "home/berta").exists()
    assert '"former"' not in ledger(moving)


@needs_root
def test_a_home_whose_place_is_taken_stays_and_says_so(target: Target) -> None:
    moving = with_homes(target, move_homes=True)
    moving.run(roster(user("anna", id="1", uid=5000)), run_id="monday")
    moving.run(roster(user("berta", id="1", uid=5000, home="/home/berta")), run_id="tuesday")
    (moving.root / "home/anna").mkdir()
    done = undo(moving, "tuesday")
    assert "/home/anna is there already" in done.outcome.failed[0].reason
    assert str(moving.line("passwd", "anna")).split(":")[5] == "/home/anna"
    assert (moving.root / "home/berta").is_dir()


@needs_root
def test_a_home_that_the_run_archived_is_unpacked(target: Target) -> None:
    removing = with_homes(target, missing_users="remove", remove_after=0)
    removing.run(roster(user("anna", uid=5000), user("bert", uid=5001)), run_id="monday")
    (removing.root / "home/anna/mine").write_text("x")
    removing.run(roster(user("bert", uid=5001)), run_id="tuesday", limits={})
    before, owned = contents(removing), ledger(removing)
    removing.run(roster(user("bert", uid=5001)), run_id="wednesday", limits={})
    if removing.line("passwd", "anna") is not None:
        pytest.fail("the second run was to remove the account")
    assert not (removing.root / "home/anna").exists()
    planned = undo(removing, "wednesday", check=True)
    done = undo(removing, "wednesday")
    assert not done.outcome.failed
    assert planned.outcome.as_result() == done.outcome.as_result()
    assert done.outcome.changes[0].fields["home_directory"] == ("archived", "present")
    home = removing.root / "home/anna"
    assert (home / "mine").read_text() == "x" and home.stat().st_uid == 5000
    assert contents(removing) == before and ledger(removing) == owned


def test_the_snapshot_of_a_host_is_private(twice: Target) -> None:
    undo(twice, "tuesday")
    for folder, _folders, names in os.walk(twice.state("snapshots")):
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert {Path(folder, name).stat().st_mode & 0o777 for name in names} <= {0o600}
