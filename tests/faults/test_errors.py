# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ENOSPC, EROFS and EIO from each system call of a run that writes, wherever the call can answer so."""

from __future__ import annotations

import pytest

from tests.faults.laboratory import Call
from tests.faults.scenario import Scenario, is_temporary, tree
from tests.fleet.images import SUITES
from tests.tables import Trials

SECTION = "Faults"
#: A file that is open for writing is on no read-only file system, and only what needs room is told that there is none.
CAN_ANSWER = {
    "ENOSPC": {"openat", "mkdir", "mkdirat", "write", "fsync", "renameat", "renameat2", "linkat", "symlinkat"},
    "EROFS": {"openat", "mkdir", "mkdirat", "renameat", "renameat2", "linkat", "symlinkat", "unlinkat", "rmdir",
              "fchown", "fchmod", "fchownat", "fchmodat", "utimensat"},
    "EIO": {"openat", "mkdir", "mkdirat", "write", "fsync", "renameat", "renameat2", "linkat", "symlinkat", "unlinkat",
            "rmdir", "fchown", "fchmod", "fchownat", "fchmodat", "utimensat", "flock", "fcntl"},
}  # fmt: skip


@pytest.mark.parametrize("error", sorted(CAN_ANSWER))
def test_error_anywhere(scenario: Scenario, trials: Trials, error: str) -> None:
    calls = [call for call in scenario.trace() if call.name in CAN_ANSWER[error] and "pipe:" not in call.text]
    assert len(calls) > 60
    # The two releases take turns.
    for call in calls[SUITES.index(scenario.laboratory.suite) :: len(SUITES)]:
        with trials.case(f"{error} from {call.name}", str(call)):
            meet(scenario, call, error)
    with trials.case(f"SSH logins after {error}"):
        scenario.check_logins()
    trials.verdict()


def meet(scenario: Scenario, call: Call, error: str) -> None:
    """The run ends in words: refused, or with what could not be done in its result; or it did all the same."""
    ended = scenario.disturbed(call, f"error={error}")
    assert ended.code == 0 and ended.result is not None, ended
    result = ended.result
    assert "crashed" not in result, result["crashed"]
    assert "Errno" not in result.get("refused", ""), result
    # What a program that lives can still remove it removes, unless that is what failed.
    if call.name not in ("unlinkat", "rmdir"):
        left = [path for path in tree(scenario.laboratory.changed) if is_temporary(path)]
        assert not left, left
    scenario.check()
