# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of runs: private, appended to, one line a line, and nothing but a regular file."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._module.log_file import LogFile


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sync.log"
    LogFile(str(path)).write(["first", "two\nlines\x1b[31m \ud800"])
    LogFile(str(path), "(check mode)").write(["looked"])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    assert [line[21:] for line in lines] == ["first", "two lines [31m  ", "(check mode) looked"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_readable_log_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "sync.log"
    path.write_text("old\n", encoding="utf-8")
    path.chmod(0o644)
    LogFile(str(path)).write([])
    assert (path.read_text(encoding="utf-8"), stat.S_IMODE(path.stat().st_mode)) == ("old\n", 0o600)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "device", "below_a_file"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "sync.log"
    other = tmp_path / "other"
    other.write_text("mine", encoding="utf-8")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    else:
        path = other / "sync.log"
    mode = os.lstat("/dev/null").st_mode
    with pytest.raises(TargetError, match="log_path"):
        LogFile(str(path))
    assert other.read_text(encoding="utf-8") == "mine"
    assert os.lstat("/dev/null").st_mode == mode


def test_without_a_path_nothing_is_kept() -> None:
    LogFile(None).write(["x"])


def test_a_full_disk_is_told() -> None:
    log = LogFile(None)
    log._file = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(TargetError, match="No space left"):
            log.write(["x"])
    finally:
        os.close(log._file)
