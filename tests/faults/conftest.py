# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A laboratory for each Debian release, started once a test file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.laboratory import Laboratory
from tests.faults.scenario import Scenario
from tests.fleet import machine
from tests.fleet.images import SUITES, Suite


@pytest.fixture(scope="module", params=SUITES, ids=lambda suite: suite.codename)
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """The run that is disturbed, on each Debian release."""
    if os.geteuid() != 0:
        pytest.skip("root directories of hosts need root: mounts, chroot and ptrace")
    machine.require_overlayfs()
    machine.require_commands()
    suite: Suite = request.param
    laboratory = Laboratory(suite, tmp_path_factory.mktemp("laboratory") / suite.codename)
    yield Scenario(laboratory)
    laboratory.close()
