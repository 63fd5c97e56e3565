# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL before and after every system call of a run that writes: from the state's lock to the process's end.

After one call and before the next one that writes the disk is the same, so one kill stands for both; the first stands
before all of them, the last one when all is done.
"""

from __future__ import annotations

from tests.faults.scenario import Scenario
from tests.fleet.images import SUITES
from tests.tables import Trials

SECTION = "Faults"


def test_killed_anywhere(scenario: Scenario, trials: Trials) -> None:
    calls = scenario.trace()
    names = {call.name for call in calls}
    assert {"flock", "fcntl", "mkdir", "openat", "write", "fsync", "fchown", "fchmod", "renameat", "mkdirat"} <= names
    assert sum(call.name == "renameat" for call in calls) >= 10, "the commit alone renames more often"
    assert calls[-1].name == "exit_group"
    # The two releases take turns.
    for number in range(SUITES.index(scenario.laboratory.suite), len(calls), len(SUITES)):
        before, after = calls[number - 1] if number else None, calls[number]
        with trials.case(f"SIGKILL after {before.name}" if before else "SIGKILL at the start", f"before {after}"):
            ended = scenario.disturbed(after, "signal=SIGKILL")
            assert ended.code == -9, ended
            scenario.check()
    with trials.case("SSH logins after SIGKILL"):
        scenario.check_logins()
    trials.verdict()
