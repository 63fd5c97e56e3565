# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets for tests: ask for `fleet2` or `fleet10`, get that many pristine hosts.

Hosts start once a session and are thrown back to their first state before each test that asks for them, so a test can
neither see nor break what another one did. Without root there can be no fleet and the test is skipped, saying so; with
root whatever goes wrong is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.fleet import images
from tests.fleet.fleet import Fleet, fleets_folder

FleetFactory = Callable[[int], Fleet]


@pytest.fixture(scope="session")
def fleet_factory(pytestconfig: pytest.Config) -> Iterator[FleetFactory]:
    """Fleets by their number of hosts, as the last test left them; each is started once."""
    if os.geteuid() != 0:
        pytest.skip("a fleet of SSH hosts needs root: mounts and namespaces")
    started: dict[int, Fleet] = {}

    def fleet_of(number: int) -> Fleet:
        if number not in started:
            _show_building(pytestconfig)
            started[number] = Fleet(fleets_folder() / f"test-{os.getpid()}-{number}").up(number)
        return started[number]

    yield fleet_of
    for fleet in started.values():
        fleet.down()


@pytest.fixture
def fleet2(fleet_factory: FleetFactory) -> Fleet:
    """One Debian 12 and one Debian 13, pristine."""
    return _pristine(fleet_factory, 2)


@pytest.fixture
def fleet10(fleet_factory: FleetFactory) -> Fleet:
    """Five Debian 12 and five Debian 13, pristine."""
    return _pristine(fleet_factory, 10)


def _pristine(fleet_factory: FleetFactory, number: int) -> Fleet:
    fleet = fleet_factory(number)
    fleet.reset()
    return fleet


def _show_building(config: pytest.Config) -> None:
    """The first build takes minutes: what it says must not wait for the test's end."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture and not images.cached():
        with capture.global_and_fixture_disabled():
            images.ensure()
