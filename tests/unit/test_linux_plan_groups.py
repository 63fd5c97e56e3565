# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups and memberships: ours as the roster says, others' by what we added, and admin rights never by accident."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster

from .linux_hosts import SETTINGS, World, changes, failures, fields, many, rejections, roster, user

TEAM = Group("team", gid=6000)


def anna(*groups: str, extra: tuple[Group, ...] = (TEAM,), **fields: Any) -> Roster:
    return roster(user("anna", uid=5000, groups=groups, **fields), user("bert", uid=5001), groups=extra)


def settled(*groups: str, **fields: Any) -> World:
    world = World()
    world.run(anna(*groups, **fields))
    return world


def test_a_new_group_and_its_members() -> None:
    world = World()
    plan = world.run(anna("team"))
    assert world.line("group", "team") == "team:x:6000:anna" and world.line("gshadow", "team") == "team:!::anna"
    assert changes(plan)["group team"] == "create" and fields(plan, "team", "group") == {"gid": (None, 6000)}
    assert fields(plan, "anna")["groups"] == (None, ["team"])
    assert world.ledger.groups == {"team": 6000}


def test_joining_and_leaving() -> None:
    world = settled("team")
    plan = world.run(anna("crew2", extra=(TEAM, Group("crew2"))))
    assert fields(plan, "anna") == {"groups": (["team"], ["crew2"])}
    assert world.members("team") == [] and world.members("crew2") == ["anna"]


def test_owned_groups_are_authoritative_and_others_additive() -> None:
    world = settled("team", "crew")
    assert world.members("crew") == ["local", "nobody", "anna"] and "crew" not in world.ledger.groups
    world.set_field("group", "team", 3, "anna,local,ansible")
    plan = world.run(anna("team", "crew"))
    # local is a stranger in our group; ansible is protected, whatever it is in.
    assert world.members("team") == ["anna", "ansible"]
    assert fields(plan, "team", "group") == {"members": (["local"], [])}
    world.set_field("group", "crew", 3, "local,nobody,anna,bert")
    plan = world.run(anna("team"))
    assert world.members("crew") == ["local", "nobody", "bert"], "bert was added by somebody else"
    assert world.ledger.memberships == {}


def test_silence_about_groups_keeps_memberships() -> None:
    world = settled("team", "crew")
    world.set_field("group", "team", 3, "anna,bert")
    plan = world.run(roster(user("anna", uid=5000), user("bert", uid=5001), groups=[TEAM, Group("crew")]))
    assert not [change for change in plan.outcome.changes if change.kind == "user"]
    assert world.members("team") == ["anna", "bert"] and "anna" in world.members("crew")


def test_a_group_gone_from_the_roster_loses_its_members_and_stays() -> None:
    world = settled("team", "crew")
    plan = world.run(roster(user("anna", uid=5000, groups=()), user("bert", uid=5001)))
    assert world.line("group", "team") == "team:x:6000:" and world.members("crew") == ["local", "nobody"]
    assert fields(plan, "anna") == {"groups": (["crew", "team"], [])}
    # It comes back with its gid.
    plan = world.run(roster(user("anna", uid=5000, groups=("team",)), user("bert", uid=5001)))
    assert world.line("group", "team") == "team:x:6000:anna"


def test_a_rejected_group_is_left_alone() -> None:
    world = settled("team", "crew")
    before = dict(world.contents)
    gone = [Rejected("group", "gid", "is bad", name="team"), Rejected("group", "gid", "is bad", name="crew")]
    plan = world.run(roster(user("anna", uid=5000, groups=()), user("bert", uid=5001), rejected=gone))
    assert world.contents == before and not plan.outcome.changes


def test_a_group_of_ours_that_somebody_removed_or_replaced() -> None:
    world = settled("team")
    for file in ("group", "gshadow"):
        world.drop(file, "team")
    world.run(roster(user("anna", uid=5000, groups=("team",)), user("bert", uid=5001)))
    assert world.line("group", "team") == "team:x:6000:anna"
    world.set_field("group", "team", 2, "6001")
    plan = world.run(roster(user("anna", uid=5000, groups=("team",)), user("bert", uid=5001)))
    assert "was made with 6000" in failures(plan)["team"]
    plan = world.run(anna("team"))
    assert "never renumbered" in failures(plan)["team"] and world.members("team") == ["anna"]


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (Group("sudo"), "reserves"),
        (Group("bosses"), "admin group"),
        (Group("root"), "reserves"),
        (Group("docker"), "reserves"),
        (Group("libvirt"), "reserves"),
        (Group("a b"), "contains"),
        (Group("häuser"), "ASCII"),
        (Group("olds"), "system group"),
        (Group("local"), "private group"),
        (Group("half"), "not well-formed"),
        (Group("new", gid=27), "reserved"),
        (Group("new", gid=1500), "belongs to the group 'crew'"),
        (Group("new", gid=3001), "belongs to the group 'half'"),
        (Group("new", gid=100007), "/etc/subgid"),
        (Group("crew", gid=1501), "never renumbered"),
    ],
)
def test_groups_that_are_refused(group: Group, words: str) -> None:
    world = World().with_options(admin_group="bosses")
    world.append("group", "olds:x:500:")
    world.append("group", "half:x:3001")
    before = (world.contents["group"] or b"").splitlines()
    plan = world.run(roster(user("anna", uid=5000, groups=(group.name,)), groups=[group]))
    reasons: dict[str | None, str] = {**rejections(plan)}
    reasons.update(failures(plan))
    assert words in reasons[group.name]
    assert [line for line in (world.contents["group"] or b"").splitlines() if not line.startswith(b"anna:")] == before


def test_group_only_drift() -> None:
    world = settled("team")
    for spoil, found in (
        (("group", 3, ""), {"user anna": "update"}),
        (("group", 3, "anna,bert"), {"user bert": "update"}),
        (("group", 3, "anna,ghost"), {"group team": "update"}),
        (("gshadow", 3, "anna,local"), {"group team": "update"}),
    ):
        world.set_field(spoil[0], "team", spoil[1], spoil[2])
        silent = roster(user("anna", uid=5000, groups=("team",)), user("bert", uid=5001, groups=()), groups=[TEAM])
        assert changes(world.run(silent)) == found, spoil
        assert world.line("group", "team") == "team:x:6000:anna" and world.line("gshadow", "team") == "team:!::anna"
    world.drop("gshadow", "team")
    plan = world.run(anna("team"))
    assert fields(plan, "team", "group") == {"gshadow": ("missing", ["anna"])}
    world.drop("gshadow", "anna")
    assert fields(world.run(anna("team")), "anna") == {"gshadow": ("missing", "present")}


@pytest.mark.parametrize("group", ["team", "crew"])
def test_doubled_members_and_commas_are_no_reason_to_write(group: str) -> None:
    world = settled("team", "crew")
    for file in ("group", "gshadow"):
        world.set_field(file, group, 3, "local,local,,anna," if group == "crew" else ",anna,")
    before = dict(world.contents)
    assert not world.run(anna("team", "crew")).outcome.changes and world.contents == before


def test_admin_rights() -> None:
    world = settled(admin=True)
    assert world.members("sudo") == ["ansible", "local", "anna"]
    assert world.line("gshadow", "sudo") == "sudo:*::ansible,local,anna"
    plan = world.run(anna(admin=False))
    assert fields(plan, "anna") == {"admin": (True, False)} and world.members("sudo") == ["ansible", "local"]
    # Silence keeps what somebody gave.
    world.set_field("group", "sudo", 3, "ansible,local,bert")
    assert not world.run(anna()).outcome.changes and "bert" in world.members("sudo")


def test_a_run_cut_off_before_gshadow_leaves_no_admin_behind() -> None:
    """newgrp(1) believes gshadow: who is still in it becomes a member without a password."""
    world = settled("crew", admin=True)
    for group in ("sudo", "crew"):
        for file in ("group", "gshadow"):
            old = world.field(file, group, 3)
            world.set_field(file, group, 3, old + ",stranger")
    plan = world.plan(anna(admin=False))
    world.contents["group"] = plan.accounts.contents()["group"]
    plan = world.run(anna(admin=False))
    assert fields(plan, "sudo", "group")["gshadow"][0] == ["ansible", "local", "anna", "stranger"]
    assert world.line("gshadow", "sudo") == "sudo:*::ansible,local,stranger"
    assert world.line("gshadow", "crew") == "crew:!:local:local,nobody,stranger"


def test_a_disabled_admin_is_none() -> None:
    world = settled(admin=True)
    plan = world.run(anna(admin=True, enabled=False))
    assert fields(plan, "anna") == {"admin": (True, False), "enabled": (True, False)}
    # Somebody puts the account back: it goes again.
    world.set_field("group", "sudo", 3, "ansible,local,anna")
    plan = world.run(anna(admin=True, enabled=False))
    assert changes(plan) == {"user anna": "update"} and "anna" not in world.members("sudo")
    world.run(anna(admin=True, enabled=True))
    assert "anna" in world.members("sudo")


def test_no_admin_group_on_the_host() -> None:
    world = World().with_options(admin_group="wheel")
    plan = world.run(anna(admin=True))
    assert "does not exist, so anna can't be made admins" in failures(plan)["wheel"]
    assert world.line("passwd", "anna") is not None, "the account is made all the same"
    assert not failures(world.run(anna(admin=False)))


def test_admin_rights_that_are_not_our_business() -> None:
    world = settled(admin=True).with_options(admin_group="")
    plan = world.run(anna(admin=False))
    assert not plan.outcome.changes and "anna" in world.members("sudo")
    world.run(roster(user("bert", uid=5001)))
    assert "anna" in world.members("sudo"), "left alone means left alone"


def test_another_admin_group_takes_the_rights_over() -> None:
    world = settled(admin=True)
    world.append("group", "wheel:x:10:root")
    world.append("gshadow", "wheel:*::root")
    world.with_options(admin_group="wheel").run(anna(admin=True))
    assert world.members("wheel") == ["root", "anna"] and world.members("sudo") == ["ansible", "local"]
    # A typing error must not leave nobody as an admin.
    world.with_options(admin_group="wheell").run(anna(admin=True))
    assert "anna" in world.members("wheel")


def test_a_group_of_ours_that_becomes_the_admin_group_keeps_its_strangers() -> None:
    world = settled("team")
    world.set_field("group", "team", 3, "anna,local")
    world.set_field("gshadow", "team", 3, "anna,local")
    world.with_options(admin_group="team").run(roster(user("anna", uid=5000, admin=True), user("bert", uid=5001)))
    assert world.members("team") == ["anna", "local"]


def test_a_new_account_does_not_inherit_the_rights_of_a_former_one() -> None:
    world = World()
    for group in ("sudo", "docker"):
        world.set_field("group", group, 3, "ansible,local,anna")
        world.set_field("gshadow", group, 3, "ansible,local,anna")
    plan = world.plan(anna())
    assert any("already lists a user of this name in docker" in warning for warning in plan.outcome.warnings)
    world.run(anna())
    assert world.members("sudo") == ["ansible", "local"]
    assert "anna" in world.members("docker"), "a group that is not ours stays, and is reported"


def test_an_adopted_account_whose_primary_group_makes_it_admin_is_reported() -> None:
    world = World().with_options(adopt=frozenset({"local"}))
    world.set_field("passwd", "local", 3, "27")
    plan = world.run(roster(user("local", admin=False)))
    assert "stays an admin" in failures(plan)["local"] and world.members("sudo") == ["ansible"]


def test_protected_users_keep_their_groups() -> None:
    world = settled("team", "crew", admin=True)
    world.with_options(protected={**world.options.protected, "anna": "is in protected_users"})
    before = dict(world.contents)
    assert not world.run(anna(admin=False)).outcome.changes
    assert not world.run(roster(user("bert", uid=5001))).outcome.changes
    assert world.contents == before


@pytest.mark.parametrize("count", [1000, 10000])
def test_time_is_linear(count: int) -> None:
    groups = [Group(f"g{number}", gid=50000 + number) for number in range(count // 20)]
    people = [
        replace(record, groups=(groups[index % len(groups)].name,), gid=None)
        for index, record in enumerate(many(count, first_uid=70000))
    ]
    wanted = roster(*people, groups=groups)
    world = World()
    spent = []
    for _run in range(2):
        started = time.process_time()
        plan = world.plan(wanted)
        spent.append(time.process_time() - started)
        world.contents.update(plan.accounts.contents())
        world.ledger = plan.ledger
    assert not plan.outcome.changes and not plan.outcome.failed
    assert max(spent) < count * 0.0005 + 1, f"{count} users took {spent} s"


def test_ids_without_a_source_are_stable_and_quick() -> None:
    people = [user(f"u{number:05d}") for number in range(3000)]
    world = World(settings=replace(SETTINGS, uid_max=40000))
    started = time.process_time()
    plan = world.plan(roster(*people, groups=[Group(f"g{number:05d}") for number in range(1000)]))
    assert time.process_time() - started < 5 and not plan.outcome.failed
    uids = [plan.accounts.passwd.row(record.username or "")[2] for record in people]
    assert uids == sorted(uids) and len(set(uids)) == 3000
