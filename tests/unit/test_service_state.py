# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a service target: whole or not at all, private, and held by one run at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._targets.service_state import (
    Owned,
    ServiceState,
    StateFile,
    parse,
    serialise,
)

TARGET = "https://acme.example/api"
STATE = ServiceState(TARGET, {"1": Owned("A", True, "ab", ["g"]), "ü": Owned("B")})


def file(folder: Path, writes: bool = True, target: str = TARGET) -> StateFile:
    return StateFile(str(folder / "new" / "state.json"), target, writes)


def test_what_was_written_is_read_and_nobody_else_may(tmp_path: Path) -> None:
    with file(tmp_path) as state_file:
        assert state_file.read() == ServiceState(TARGET)
        state_file.write(STATE)
    path = tmp_path / "new" / "state.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(os.listdir(path.parent)) == ["state.json", "state.json.lock"]
    with file(tmp_path) as state_file:
        assert state_file.read() == STATE
        inode = path.stat().st_ino
        state_file.write(STATE)
        assert path.stat().st_ino == inode


def test_a_second_run_is_refused_and_check_mode_is_not(tmp_path: Path) -> None:
    with file(tmp_path) as first:
        first.write(STATE)
        with pytest.raises(TargetError, match="another run is using"), file(tmp_path):
            pass
        with file(tmp_path, writes=False) as reading:
            assert reading.read() == STATE
    with file(tmp_path):
        pass


def test_check_mode_and_no_path_write_nothing(tmp_path: Path) -> None:
    with file(tmp_path, writes=False) as state_file:
        state_file.write(STATE)
    with StateFile(None, TARGET, writes=True) as nowhere:
        nowhere.write(STATE)
        assert nowhere.read() == ServiceState(TARGET)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "x"}, "its format is 'x'"),
        ({"target": 5}, "an entry of it is not one"),
        ({"target": "https://other.example/api"}, "belongs to https://other.example/api, not to https://acme"),
        ({"owned": {"1": {"account": 5}}}, "an entry of it is not one"),
        ({"owned": {"1": {"account": "A", "disabled": "no"}}}, "an entry of it is not one"),
        ({"owned": {"1": {"account": "A", "avatar": 5}}}, "an entry of it is not one"),
        ({"owned": {"1": {"account": "A", "groups": [5]}}}, "an entry of it is not one"),
        ({"owned": {"1": {"account": "A", "groups": "g"}}}, "an entry of it is not one"),
        ({"owned": {"1": {}}}, "is damaged"),
        ({"owned": []}, "is damaged"),
    ],
)
def test_a_damaged_state_is_no_empty_one(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    content = json.dumps({**json.loads(serialise(STATE)), **change}).encode()
    with pytest.raises(TargetError, match=words):
        parse(content, "state.json", TARGET)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", serialise(STATE)[:-20]])
def test_half_a_state_is_no_empty_one(content: bytes) -> None:
    with pytest.raises(TargetError, match="is damaged"):
        parse(content, "state.json", TARGET)


@given(st.binary() | st.text().map(str.encode))
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(TargetError):
        parse(content, "state.json", TARGET)


@given(
    st.dictionaries(
        st.text(),
        st.builds(Owned, st.text(), st.booleans(), st.none() | st.text(), st.none() | st.lists(st.text())),
    )
)
def test_round_trip(owned: dict[str, Owned]) -> None:
    state = ServiceState(TARGET, owned)
    assert parse(serialise(state), "state.json", TARGET) == state


def test_another_account_starts_anew() -> None:
    state = ServiceState(TARGET, {"1": Owned("A", True, "ab", ["g"])})
    assert state.own("1", "A").avatar == "ab"
    assert state.own("1", "B") == Owned("B")
    assert state.accounts() == {"1": "B"}


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.json"
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "else")
    with StateFile(str(path), TARGET, writes=True) as state_file, pytest.raises(TargetError, match=r"state\.json"):
        state_file.read()
        state_file.write(STATE)
