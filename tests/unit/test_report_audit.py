# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit log: every change once, nothing else, one line each, in a file for its owner only."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import RosterError
from ansible_collections.identity.roster.plugins.module_utils._outcome import CHANGED, Change, Failure
from ansible_collections.identity.roster.plugins.module_utils._report.audit import entries, json_line, text_line
from ansible_collections.identity.roster.plugins.module_utils._report.log import AppendedLog
from ansible_collections.identity.roster.plugins.module_utils._report.records import FAILED, OK, read_record

from .report_cases import CENSORED, CREATE, DISABLE, ENTRY, GROUP, answer

TIME = "2026-11-22T02:32:42Z"


def entries_of(result: dict[str, Any], *, check: bool = False, status: str = OK) -> list[dict[str, Any]]:
    record = read_record("linux_accounts", "deb12-1", check, status, result)
    assert record is not None
    return entries(record, "own", TIME, "csv_info")


def test_an_entry_says_it_all() -> None:
    change = Change("user", "anna", "update", {"groups": ([], ["sales"]), "password_hash": CHANGED})
    (entry,) = entries_of(answer(change, roster_digest="9f86d081884c7d65", run_id="4f2a90c1d3b7"))
    assert json.loads(json_line(entry)) == {
        "format": "identity.roster.audit/1",
        "run_id": "4f2a90c1d3b7",
        "time": TIME,
        "source": "csv_info",
        "target": "linux_accounts",
        "host": "deb12-1",
        "object": {"kind": "user", "name": "anna"},
        "action": "update",
        "fields": {"groups": [[], ["sales"]], "password_hash": ["changed"]},
        "roster_digest": "9f86d081884c7d65",
    }
    assert text_line(entry) == (
        f'{TIME} deb12-1 linux_accounts: user anna updated: groups [] -> ["sales"]; password_hash changed '
        "(run 4f2a90c1d3b7, source csv_info, roster 9f86d081884c)"
    )


@pytest.mark.parametrize(
    ("result", "check", "status", "names"),
    [
        pytest.param(answer(), False, OK, [], id="nothing to do"),
        pytest.param(answer(CREATE, GROUP, DISABLE), False, OK, ["anna", "sales", "bert"], id="in the plan's order"),
        pytest.param(answer(CREATE), True, OK, [], id="check mode"),
        pytest.param(
            answer(CREATE, failed=[Failure("user", "x", "y")]), False, FAILED, ["anna"], id="what was done by a failure"
        ),
        pytest.param(answer(refused=[CREATE.as_dict()]), False, FAILED, [], id="a refused plan"),
        pytest.param({"msg": "crash", "changed": True}, False, FAILED, [], id="a crash"),
    ],
)
def test_what_is_in_it(result: dict[str, Any], check: bool, status: str, names: list[str]) -> None:
    found = entries_of(result, check=check, status=status)
    assert [entry["object"]["name"] for entry in found] == names


def test_no_log_leaves_one_entry_that_something_changed() -> None:
    (entry,) = entries_of(CENSORED)
    assert (entry["object"], entry["action"], entry["fields"]) == (None, "hidden", {})
    assert "something changed, no_log hides what (run own, source csv_info)" in text_line(entry)
    assert entries_of({**CENSORED, "changed": False}) == []
    assert entries_of(CENSORED, check=True) == []


@given(st.lists(ENTRY, max_size=3), st.text())
def test_one_line_each_whatever_stands_in_it(changes: list[dict[str, Any]], digest: str) -> None:
    found = entries_of({**answer(), "changes": changes, "roster_digest": digest})
    assert len(found) == len(changes)
    for entry in found:
        assert json_line(entry).isascii() and len(json_line(entry).splitlines()) == 1
        assert text_line(entry).isprintable()


def test_the_file_is_its_owners_and_only_grows(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.jsonl"
    for line in ("one", "zwei ä"):
        log = AppendedLog(str(path))
        log.write(line)
        log.close()
    assert path.read_text(encoding="utf-8") == "one\nzwei ä\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text("cut off")
    path.chmod(0o644)
    log = AppendedLog(str(path))
    log.write("whole")
    log.write("next")
    log.close()
    assert path.read_text() == "cut off\nwhole\nnext\n", "a line that a full disk cut off ends where it was cut"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _link(path: Path) -> None:
    (path.parent / "elsewhere").touch()
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(Path.mkdir, "Is a directory", id="directory"),
        pytest.param(_link, "symbolic links", id="symbolic link"),
        pytest.param(os.mkfifo, "not a regular file", id="FIFO"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "audit.jsonl"
    make(path)
    with pytest.raises(RosterError, match=words) as caught:
        AppendedLog(str(path))
    assert str(path) in str(caught.value)
    assert (tmp_path / "elsewhere").exists() == path.is_symlink()


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    log = AppendedLog(str(tmp_path / "audit.jsonl"))
    os.dup2(os.open("/dev/full", os.O_WRONLY), log._file)
    with pytest.raises(RosterError, match="No space left"):
        log.write("x")
    os.close(log._file)


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.identity.roster.plugins.module_utils._report.log import AppendedLog
log = AppendedLog(sys.argv[2])
for number in range(2000):
    log.write(f"{sys.argv[3]} {number} " + sys.argv[3] * 2000)
log.close()
"""


def test_lines_of_parallel_runs_do_not_mix(tmp_path: Path, collections_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(collections_path), str(path), letter]) for letter in "abc"
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    lines = path.read_text().splitlines()
    for letter in "abc":
        own = [line for line in lines if line.startswith(letter)]
        assert own == [f"{letter} {number} " + letter * 2000 for number in range(2000)]
    assert len(lines) == 6000
