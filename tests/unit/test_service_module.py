# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runner of services believes of a roster, and what it answers about a plan that was refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._module import service
from ansible_collections.identity.roster.plugins.module_utils._outcome import Change, Failure, Outcome
from ansible_collections.identity.roster.plugins.module_utils._roster.document import serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster, User

ANNA = User("1", username="anna", groups=("staff",))


def options(**given: Any) -> dict[str, Any]:
    lists: dict[str, Any] = {name: [] for name in ("include_groups", "exclude_groups", "exclude_users", "approve")}
    return {**lists, "roster": None, "limits": {}, "allow_empty": False, "require_approval": False, **given}


def test_a_refused_plan_counts_nothing_as_done() -> None:
    outcome = Outcome(
        [Change("user", action, action, {}) for action in ("create", "update", "enable", "disable", "remove")],
        [Rejected("user", "uid", "is odd", id="9")],
        [Failure("user", "bert", "is two")],
        ["cleo"],
        unchanged=4,
    )
    result = outcome.as_refused()
    assert result["summary"] == {
        **dict.fromkeys(("created", "updated", "enabled", "disabled", "removed"), 0),
        "unchanged": 4,
        "rejected": 1,
        "failed": 1,
        "pending": 1,
    }
    assert (len(result["refused"]), result["changes"], result["changed"]) == (5, [], False)
    assert result["plan_digest"] == outcome.plan_digest()


@pytest.mark.parametrize(
    ("rejected", "believed"),
    [
        ((), False),
        ((Rejected("group", "gid", "is odd", name="staff"),), False),
        ((Rejected("user", "uid", "is odd", id="9"),), True),
    ],
    ids=["empty", "group", "user"],
)
def test_a_roster_with_nobody_is_not_believed(tmp_path: Path, rejected: tuple[Rejected, ...], believed: bool) -> None:
    path = tmp_path / "roster.json"
    path.write_bytes(serialise(Roster({"kind": "test"}, (), (), rejected)))
    if believed:
        assert service._roster(options(roster=str(path)))[0].rejected == rejected
    else:
        with pytest.raises(TargetError, match="nobody at all"):
            service._roster(options(roster=str(path)))
    assert service._roster(options(roster=str(path), allow_empty=True))[0].users == ()


@pytest.mark.parametrize(
    "filters",
    [{"include_groups": ["stuff"]}, {"exclude_groups": ["staff"]}, {"exclude_users": ["anna"]}],
    ids=lambda filters: next(iter(filters)),
)
def test_filters_that_leave_nobody_are_not_believed(filters: dict[str, Any]) -> None:
    roster = Roster({}, (ANNA,), (), ())
    with pytest.raises(TargetError, match="leave nobody of the roster's 1 users"):
        service._request(options(**filters), roster, "digest", False)
    assert service._request(options(**filters, allow_empty=True), roster, "digest", False).roster.users == ()
    assert service._request(options(), roster, "digest", False).roster.users == (ANNA,)


def test_a_group_that_is_misspelt_is_named() -> None:
    with pytest.raises(TargetError, match="include_groups names 'stuff', which the roster does not have"):
        service._request(options(include_groups=["stuff"]), Roster({}, (ANNA,), (), ()), "digest", False)
