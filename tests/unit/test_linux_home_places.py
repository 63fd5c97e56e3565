# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No new home is another account's, lies in it, or holds it."""

from __future__ import annotations

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.home_places import HomePlaces
from ansible_collections.identity.roster.plugins.module_utils._linux.tables import WIDTHS, Table

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
www-data:x:33:33::/var/www:/usr/sbin/nologin
rescue:x:1000:1000::/home/rescue:/bin/bash
deep:x:1001:1001::/home/team/deep:/bin/bash
sloppy:x:1002:1002::/home:/bin/bash
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
"""


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/home/anna", None),
        ("/home/rescue", "is or lies in the home of 'rescue'"),
        ("/home/rescue/", "is or lies in the home of 'rescue'"),
        ("/home/rescue/.ssh", "is or lies in the home of 'rescue'"),
        ("/home/rescue2", None),
        ("/home/team", "holds the home of 'deep'"),
        ("/home/team/anna", None),
        ("/var/www", None),
        ("/srv/anna", None),
    ],
)
def test_who_is_in_the_way(path: str, reason: str | None) -> None:
    problem = HomePlaces(Table(PASSWD, WIDTHS["passwd"]), 1000).problem(path, "anna")
    assert problem == (reason and f"{path.rstrip('/')} {reason}")


def test_ones_own_home_is_never_in_the_way() -> None:
    assert HomePlaces(Table(PASSWD, WIDTHS["passwd"]), 1000).problem("/home/rescue", "rescue") is None


def test_two_of_one_roster_cannot_share() -> None:
    places = HomePlaces(Table(PASSWD, WIDTHS["passwd"]), 1000)
    places.take("/home/anna", "anna")
    assert places.problem("/home/anna", "bert") == "/home/anna is or lies in the home of 'anna'"
