# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots on the disk: whole or absent, root's alone, and gone when they expire."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import ledger as ledgers
from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Ledger, OwnedUser
from ansible_collections.identity.roster.plugins.module_utils._linux.record import count_changes
from ansible_collections.identity.roster.plugins.module_utils._linux.snapshots import (
    expire,
    keep,
    list_runs,
    load,
    run_id_problem,
)
from ansible_collections.identity.roster.plugins.module_utils._linux.state import StateDirectory
from ansible_collections.identity.roster.plugins.module_utils._module.linux_snapshot import own_run_id
from ansible_collections.identity.roster.plugins.module_utils._outcome import Change

BEFORE: dict[str, bytes | None] = {
    "passwd": b"root:x:0:0::/:/bin/sh\n\xff:x:5:5::/:\n",
    "shadow": b"root:$6$secret:1::::::\n",
    "group": b"root:x:0:\n",
    "gshadow": None,
    "subuid": b"",
    "subgid": None,
}
AFTER = {
    "passwd": b"root:x:0:0::/:/bin/sh\nanna:x:5000:5000::/home/anna:/bin/sh\n",
    "shadow": b"root:$6$secret:1::::::\nanna:*:1::::::\n",
}
CHANGES = [Change("user", "anna", "create", {}), Change("user", "\\xff", "remove", {})]
NEW = ledgers.serialise(Ledger({"id": OwnedUser("anna", 5000, 5000)}))
DAY = 86400.0
NOW = 20000 * DAY


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(str(tmp_path / "state"))
    with directory.locked(1):
        pass
    return directory


def snapshot(
    state: StateDirectory, run_id: str = "monday", now: float = NOW, after: Any = None, changes: Any = None
) -> None:
    after, changes = (AFTER if after is None else after), (CHANGES if changes is None else changes)
    keep(state, run_id, BEFORE, after, None, NEW, changes, now)


def folder(state: StateDirectory, name: str = "") -> Path:
    return Path(state.path, "snapshots", name)


def names(state: StateDirectory) -> list[str]:
    return sorted(path.name for path in folder(state).iterdir())


def test_a_snapshot_has_the_whole_old_files_for_its_owner_only(state: StateDirectory) -> None:
    old = os.umask(0)
    try:
        snapshot(state)
    finally:
        os.umask(old)
    kept = {path.name: path.read_bytes() for path in folder(state, "monday").iterdir()}
    assert {name: kept.pop(name) for name in ("passwd", "shadow", "group", "subuid")} == {
        name: data for name, data in BEFORE.items() if data is not None
    }
    assert {name: kept.pop(f"{name}.after") for name in AFTER} == AFTER
    assert set(kept) == {"run.json", "ledger-after.json"}
    for path in (folder(state), folder(state, "monday")):
        assert path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder(state, "monday").iterdir()} == {0o600}

    [record] = load(state, "monday")
    assert record.before == BEFORE
    assert record.lines["shadow"] == {"anna": ([], ["anna:*:1::::::"])}
    assert record.lines["passwd"]["\udcff"] == (["\udcff:x:5:5::/:"], [])
    assert record.ledger_before == Ledger() and "id" in record.ledger_after.users


def test_runs_are_listed_newest_first_and_parts_of_a_run_count_together(state: StateDirectory) -> None:
    snapshot(state, "b", NOW)
    snapshot(state, "a", NOW + 1)
    changes = [Change("group", "team", "create", {"gid": (None, 6000)})]
    snapshot(state, "b", NOW + 2, {"group": b"root:x:0:\nteam:x:6000:\n"}, changes)
    runs = list_runs(state)
    assert [(run.run_id, run.time) for run in runs] == [("b", NOW + 2), ("a", NOW + 1)]
    assert runs[0].files == ("group", "passwd", "shadow")
    assert runs[0].counts == {"created": 1, "updated": 0, "enabled": 0, "disabled": 0, "removed": 1, "groups": 1}
    assert [sorted(record.lines) for record in load(state, "b")] == [["group"], ["passwd", "shadow"]]
    assert load(state, "never") == []


COUNTS: dict[str, tuple[list[Change], dict[str, int]]] = {
    "users in each way": (
        [
            Change("user", "a", "create", {"groups": (None, ["team"])}),
            Change("user", "b", "rename", {"username": ("c", "b")}),
            Change("user", "d", "adopt", {}),
            Change("user", "e", "disable", {"enabled": (True, False)}),
            Change("user", "f", "enable", {"enabled": (False, True)}),
            Change("user", "g", "remove", {"groups": (["team"], [])}),
        ],
        {"created": 1, "updated": 2, "disabled": 1, "enabled": 1, "removed": 1, "groups": 1},
    ),
    "groups that come, change, and lose or get members": (
        [
            Change("group", "new", "create", {"gid": (None, 6000)}),
            Change("group", "team", "update", {"members": (["x"], [])}),
            Change("user", "a", "update", {"groups": (["stays", "team"], ["stays", "crew", "new"])}),
            Change("user", "b", "update", {"groups": (["crew"], [])}),
        ],
        {"updated": 2, "groups": 3},
    ),
    "the admin group": (
        [Change("user", name, "update", {"admin": (False, True)}) for name in "ab"],
        {"updated": 2, "groups": 1},
    ),
    "nothing": ([], {}),
}


@pytest.mark.parametrize("case", sorted(COUNTS))
def test_what_a_run_is_said_to_have_done(case: str) -> None:
    changes, expected = COUNTS[case]
    assert {key: value for key, value in count_changes(changes).items() if value} == expected


@pytest.mark.parametrize("run_id", ["", ".", "..", ".x", "a/b", "a~2", "x" * 65, "a b", "ä", "a\n"])
def test_run_ids_that_are_none(state: StateDirectory, run_id: str) -> None:
    assert run_id_problem(run_id)
    with pytest.raises(TargetError, match="run id"):
        snapshot(state, run_id)
    assert not folder(state).exists()


@pytest.mark.parametrize("run_id", ["a", "x" * 59, "x" * 60, "x" * 64, "undo-a", "-"])
def test_the_undo_of_a_run_has_an_id_of_its_own(run_id: str) -> None:
    own = own_run_id(run_id)
    assert run_id_problem(own) is None
    assert own.startswith("undo-") and own != run_id
    assert own_run_id(run_id[:-1] + "y") != own


@pytest.mark.parametrize("run_id", ["a", "awx-12", "2026-11-22T10.00", "_", "x" * 64, "-"])
def test_run_ids_that_are_fine(state: StateDirectory, run_id: str) -> None:
    snapshot(state, run_id)
    assert [run.run_id for run in list_runs(state)] == [run_id]


@pytest.mark.parametrize(
    ("count", "days", "left"),
    [(9, 99, ["a", "b", "c", "c~2"]), (2, 99, ["b", "c", "c~2"]), (1, 99, ["c", "c~2"]), (0, 99, []),
     (9, 8, ["c", "c~2"]), (9, 10, ["b", "c", "c~2"])],
)  # fmt: skip
def test_old_snapshots_go(state: StateDirectory, count: int, days: int, left: list[str]) -> None:
    for run_id, age in (("a", 20), ("b", 9), ("c", 8), ("c", 1)):
        snapshot(state, run_id, NOW - age * DAY)
    expire(state, count, days, NOW)
    assert names(state) == left


def test_what_is_not_ours_stays_and_what_is_broken_of_ours_goes(state: StateDirectory, tmp_path: Path) -> None:
    snapshot(state)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "run.json").write_text("{}")
    folder(state, "notes.txt").write_text("mine")
    folder(state, "mine").mkdir(mode=0o700)
    folder(
        state,
        "mine",
    ).joinpath("file").write_text("mine")
    folder(state, "link").symlink_to(precious)
    folder(state, "open").mkdir(mode=0o755)
    folder(state, ".tuesday.new").mkdir(mode=0o700)
    folder(state, ".tuesday.new").joinpath("shadow").write_text("secret")
    snapshot(state, "broken")
    folder(state, "broken").joinpath("run.json").write_text("[]")
    assert [(run.run_id, run.time) for run in list_runs(state)] == [("monday", NOW), ("broken", None)]
    expire(state, 5, 5, NOW)
    assert names(state) == ["link", "mine", "monday", "notes.txt", "open"]
    expire(state, 0, 0, NOW)
    assert names(state) == ["link", "mine", "notes.txt", "open"]
    assert (precious / "run.json").exists()


def test_nothing_was_ever_kept(state: StateDirectory) -> None:
    expire(state, 5, 5, NOW)
    assert list_runs(state) == [] and not folder(state).exists()


@pytest.mark.parametrize("name", ["run.json", "ledger-after.json", "passwd", "shadow.after", "group.after"])
@pytest.mark.parametrize("content", ["", "[]", "{", '{"passwd": {"a": 1}}', '{"format": "other"}', "null"])
def test_a_damaged_snapshot_is_not_gone_back_to(state: StateDirectory, name: str, content: str) -> None:
    snapshot(state)
    folder(state, "monday").joinpath(name).write_text(content)
    with pytest.raises(TargetError, match="damaged"):
        load(state, "monday")


@pytest.mark.parametrize("name", ["group", "shadow", "passwd.after"])
def test_a_snapshot_that_lost_a_file_is_not_gone_back_to(state: StateDirectory, name: str) -> None:
    snapshot(state)
    folder(state, "monday").joinpath(name).unlink()
    with pytest.raises(TargetError, match="damaged"):
        load(state, "monday")


def test_numbers_that_are_none_are_damage(state: StateDirectory) -> None:
    snapshot(state)
    path = folder(state, "monday") / "run.json"
    document = json.loads(path.read_text())
    wrong: list[tuple[str, Any]] = [("time", True), ("time", "now"), ("counts", {}), ("before", None)]
    wrong += [("after", {"../x": "y"}), ("after", [])]
    for key, value in wrong:
        path.write_text(json.dumps({**document, key: value}))
        assert [run.time for run in list_runs(state)] == [None]


def fail_once(real: Callable[..., Any], calls: list[int], after: int, *arguments: Any, **options: Any) -> Any:
    calls.append(1)
    if len(calls) == after + 1:
        raise OSError(errno.ENOSPC, "No space left on device")
    return real(*arguments, **options)


@pytest.mark.parametrize("function", ["fsync", "rename", "mkdir", "open"])
def test_cut_off_anywhere_a_snapshot_is_whole_or_absent(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    snapshot(state, "first")
    for after in range(30):
        calls: list[int] = []
        with monkeypatch.context() as context:
            context.setattr(os, function, partial(fail_once, getattr(os, function), calls, after))
            try:
                snapshot(state)
            except TargetError as problem:
                assert "No space left" in str(problem)
        present = [run.run_id for run in list_runs(state)]
        if len(calls) <= after:
            assert "monday" in present
            break
        for record in load(state, "monday"):
            assert record.before == BEFORE
        expire(state, 1, 99, NOW + (1 if "monday" in present else 0))
        for run in list_runs(state):
            for name in run.folders:
                state.remove(f"snapshots/{name}")
        assert names(state) == []
    else:
        pytest.fail("it never came to its end")


def test_a_folder_that_others_may_enter_is_refused(state: StateDirectory) -> None:
    snapshot(state)
    folder(state).chmod(0o755)
    for act in (lambda: snapshot(state, "other"), lambda: load(state, "monday"), lambda: expire(state, 1, 1, NOW)):
        with pytest.raises(TargetError, match="mode 0700"):
            act()


def test_links_are_not_followed(state: StateDirectory, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    folder(state).symlink_to(target)
    with pytest.raises(TargetError, match="not a directory"):
        snapshot(state)
    assert list(target.iterdir()) == []
    folder(state).unlink()
    snapshot(state)
    secret = tmp_path / "secret"
    secret.write_text("x")
    folder(state, "monday").joinpath("passwd.after").unlink()
    folder(state, "monday").joinpath("passwd.after").symlink_to(secret)
    with pytest.raises(TargetError, match="can't be read"):
        load(state, "monday")
    expire(state, 0, 0, NOW)
    assert names(state) == [] and secret.exists()
