# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids and primary groups: never shared, never changed, never the way into somebody else's group."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Ledger
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group

from .linux_hosts import (
    NO_SUBIDS,
    SETTINGS,
    World,
    failures,
    rejections,
    roster,
    user,
)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"uid": 20000}, "uid 20000 belongs to the account 'local'"),
        ({"uid": 20100}, "uid 20100 belongs to the account 'short'"),
        ({"uid": 64055}, "reserved"),
        ({"uid": 100000}, "range that /etc/subuid gives to 'ansible'"),
        ({"uid": 365535}, "range that /etc/subuid gives to 'local'"),
        ({"uid": 5000, "gid": 1500}, "group 'crew' of this host, which is not the roster's"),
        ({"uid": 5000, "gid": 20000}, "group 'local' of this host"),
        ({"uid": 5000, "gid": 1000}, "group 'ansible' of this host"),
        ({"uid": 5000, "gid": 100001}, "range that /etc/subgid gives to 'ansible'"),
    ],
)
def test_ids_that_are_taken(record: dict[str, Any], words: str) -> None:
    world = World()
    plan = world.run(roster(user("anna", **record), user("bert", uid=5001)))
    assert words in (failures(plan) | {str(key): value for key, value in rejections(plan).items()})["anna"]
    assert world.line("passwd", "anna") is None and world.line("passwd", "bert") is not None


@pytest.mark.parametrize("identifier", [0, 1, 999, 60001, 61184, 65534, 65535, 2**31, 2**32 - 2])
@pytest.mark.parametrize("key", ["uid", "gid"])
def test_reserved_ids_are_refused(identifier: int, key: str) -> None:
    world = World()
    record = {"uid": 5000, key: identifier}
    plan = world.run(roster(user("anna", **record)))
    assert "reserved" in rejections(plan)["anna"] and world.line("passwd", "anna") is None


@pytest.mark.parametrize(("record", "kind"), [({"uid": 5000}, "uid"), ({"uid": 20000, "gid": 5000}, "gid")])
def test_adopt_never_renumbers(record: dict[str, Any], kind: str) -> None:
    world = World().with_options(adopt=frozenset({"local"}))
    before = dict(world.contents)
    plan = world.run(roster(user("local", **record)))
    assert f"has {kind} 20000 on this host and 5000 in the roster" in failures(plan)["local"]
    assert world.contents == before and world.ledger == Ledger()


def test_ids_that_changed_at_the_source_fail_and_nothing_moves() -> None:
    world = World()
    world.run(roster(user("anna", uid=5000), user("bert", uid=5001)))
    before = dict(world.contents)
    plan = world.run(roster(user("anna", uid=5002, full_name="No"), user("bert", uid=5001, gid=5003, full_name="No")))
    assert "uid 5000 on this host and 5002" in failures(plan)["anna"]
    assert "gid 5001 on this host and 5003" in failures(plan)["bert"]
    assert world.contents == before


def test_swapped_names_and_swapped_ids_fail() -> None:
    world = World()
    world.run(roster(user("anna", id="1", uid=5000), user("bert", id="2", uid=5001)))
    before = dict(world.contents)
    assert set(failures(world.run(roster(user("bert", id="1", uid=5000), user("anna", id="2", uid=5001))))) == {
        "anna",
        "bert",
    }
    assert set(failures(world.run(roster(user("anna", id="1", uid=5001), user("bert", id="2", uid=5000))))) == {
        "anna",
        "bert",
    }
    assert world.contents == before


def test_a_uid_once_used_is_never_given_to_another() -> None:
    world = World()
    world.run(roster(user("anna", uid=5000), user("bert", id="b")))
    world.drop("passwd", "anna")
    plan = world.run(roster(user("clara", uid=5000), user("bert", id="b")))
    assert "was 'anna''s and is never given" in failures(plan)["clara"]


def test_shared_primary_group() -> None:
    world = World(settings=replace(SETTINGS, private_groups=False, primary_gid=100))
    world.run(roster(user("anna", uid=5000), user("crew", uid=5001)))
    assert world.line("passwd", "anna") == "anna:x:5000:100::/home/anna:/bin/bash"
    assert world.line("group", "anna") is None and world.field("passwd", "crew", 3) == "100"


def test_primary_group_of_the_roster() -> None:
    world = World()
    plan = world.run(roster(user("anna", uid=5000, gid=6000, groups=("team",)), groups=[Group("team", gid=6000)]))
    assert not failures(plan) and world.field("passwd", "anna", 3) == "6000"
    assert world.members("team") == [], "a primary group needs no member line"


@pytest.mark.parametrize(
    "group", [Group("bosses", gid=6000), Group("a b", gid=6000), Group("crew", gid=6000), Group("sudo", gid=6000)]
)
def test_a_primary_group_that_can_not_be_used(group: Group) -> None:
    world = World().with_options(admin_group="bosses")
    world.append("group", "bosses:x:6001:")
    world.append("gshadow", "bosses:!::")
    for gid in (6000, 6001):
        plan = world.run(roster(user("anna", uid=5000, gid=gid), groups=[replace(group, gid=gid)]))
        assert "its primary gid" in failures(plan)["anna"], gid
        assert world.line("passwd", "anna") is None and world.line("group", "anna") is None


def test_private_group_clashes() -> None:
    world = World()
    plan = world.run(roster(user("crew", uid=5000), user("team", uid=5001), groups=[Group("team")]))
    assert "a group 'crew' exists" in failures(plan)["crew"] and "a group 'team' exists" in failures(plan)["team"]
    assert world.line("passwd", "crew") is None
    world.run(roster(user("anna", uid=5002)))
    plan = world.run(roster(user("anna", uid=5002, groups=("anna", "local")), user("bert", uid=5003, groups=("anna",))))
    assert "private group of the user" in rejections(plan)["anna"]
    assert "private group of an account" in rejections(plan)["local"]
    assert world.members("anna") == [] and world.members("local") == []


def test_no_free_uid_and_no_free_subids() -> None:
    world = World(settings=replace(SETTINGS, uid_min=1000, uid_max=1001, subuid=replace(NO_SUBIDS, last=1, count=5)))
    plan = world.run(roster(user("anna"), user("bert")))
    assert failures(plan) == {"bert": "no uid is free between 1000 and 1001"}
    assert [warning for warning in plan.outcome.warnings if "/etc/subuid has no free range left for anna" in warning]
    assert world.line("subuid", "anna") is None and world.line("subgid", "anna") is not None


@pytest.mark.parametrize(
    ("settings", "uid"), [(replace(SETTINGS, subuid=NO_SUBIDS, subgid=NO_SUBIDS), 5000), (SETTINGS, 700000)]
)
def test_no_subids(settings: Any, uid: int) -> None:
    world = World(settings=settings)
    world.run(roster(user("anna", uid=uid)))
    assert world.line("subuid", "anna") is None and world.line("subgid", "anna") is None
