# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs at the same time: two of ours, and one beside the host's own tools."""

from __future__ import annotations

import pytest

from tests.faults.scenario import ACCOUNT_FILES, Scenario
from tests.fleet.images import SUITES
from tests.tables import Trials

SECTION = "Faults"
#: One release will do.
pytestmark = pytest.mark.parametrize("scenario", [SUITES[0]], ids=[SUITES[0].codename], indirect=True)
TIMES = 10


def test_two_runs_at_once(scenario: Scenario, trials: Trials) -> None:
    laboratory = scenario.laboratory
    for number in range(TIMES):
        with trials.case("two runs at once", str(number)):
            laboratory.lay_out(scenario.start)
            runs = [laboratory.start(scenario.task(), gate=True) for _run in range(2)]
            for run in runs:
                laboratory.let_go(run)
            results = [laboratory.wait(run).result for run in runs]
            assert all(result and "refused" not in result and not result["failures"] for result in results), results
            assert scenario.files() == scenario.new_files
            scenario.check()
    with trials.case("SSH logins after two runs"):
        scenario.check_logins()
    trials.verdict()


def test_beside_useradd(scenario: Scenario, trials: Trials) -> None:
    """Neither loses what the other wrote, in whatever order they come."""
    laboratory = scenario.laboratory
    for number in range(TIMES):
        with trials.case("a run beside useradd", str(number)):
            laboratory.lay_out(scenario.start)
            tool = laboratory.start({"do": "execute", "command": ["useradd", "-m", "local"], "input": ""}, gate=True)
            run = laboratory.start(scenario.task(), gate=True)
            for pid in (tool, run) if number % 2 else (run, tool):
                laboratory.let_go(pid)
            made, done = laboratory.wait(tool).result, laboratory.wait(run).result
            assert made == {"code": 0, "output": ""}, made
            assert done is not None and "refused" not in done, done
            for name in ACCOUNT_FILES:
                lines = set((laboratory.root / "etc" / name).read_bytes().splitlines())
                ours = {line for line in lines if not line.startswith(b"local:")}
                assert len(lines) == len(ours) + 1, f"{name}: useradd's line"
                if not name.startswith("sub"):  # who comes first gets the lower range
                    assert ours == set(scenario.new_files[name].splitlines()), f"{name}: ours"
            assert scenario.look().logins == scenario.new.logins
            assert laboratory.do(scenario.task())["changed"] is False
    with trials.case("SSH logins beside useradd"):
        scenario.check_logins()
    trials.verdict()
