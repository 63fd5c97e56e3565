# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clock that is wrong: a host without a battery wakes up in 1970, and a mistyped year is in the next century."""

from __future__ import annotations

import pytest

from tests.faults.scenario import LOGINS, OTHERS, Scenario, exposed, tree
from tests.fleet.images import SUITES
from tests.tables import Trials

SECTION = "Faults"
#: One release will do.
pytestmark = pytest.mark.parametrize("scenario", [SUITES[0]], ids=[SUITES[0].codename], indirect=True)
CLOCKS = {
    "1970-01-01": 0,
    "1970-01-02": 86400,
    "before 1970": -86400 * 400,
    "2000": 946_684_800,
    "2038, 31 bits": 2**31,
    "2106, 32 bits": 2**32,
    "9999": 253_370_764_800,
}


def test_wrong_clock(scenario: Scenario, trials: Trials) -> None:
    laboratory = scenario.laboratory
    for when, clock in CLOCKS.items():
        with trials.case(f"clock at {when}"):
            laboratory.lay_out(scenario.start)
            done = laboratory.do(scenario.task(clock=clock))
            assert "refused" not in done and not done["failures"], done
            check_state(scenario)
            again = laboratory.do(scenario.task(clock=clock))
            assert again["changed"] is False, again
            right = laboratory.do(scenario.task())
            assert "refused" not in right and not right["failures"], right
            assert {change["name"] for change in right["changes"]} <= {"otto"}, right
            check_state(scenario)
            settled = laboratory.do(scenario.task())
            assert settled["changed"] is False, settled
    with trials.case("SSH logins after a wrong clock"):
        scenario.check_logins()
    trials.verdict()


def check_state(scenario: Scenario) -> None:
    """As after any run, but for the day on which a password was changed. Nobody is made to change it, or expired."""
    look = scenario.look()
    wrong = {login for login in LOGINS if look.logins[login] != scenario.new.logins[login]}
    assert not wrong, wrong
    assert look.admins == scenario.new.admins
    assert not exposed(tree(scenario.laboratory.changed))
    files = scenario.files()
    old = [line for line in scenario.old_files["shadow"].splitlines() if line.split(b":")[0].decode() in OTHERS]
    assert set(old) <= set(files["shadow"].splitlines())
    people = {line.split(b":")[0] for line in files["passwd"].splitlines()} - {b"otto"}
    assert people == {line.split(b":")[0] for line in scenario.new_files["passwd"].splitlines()}
