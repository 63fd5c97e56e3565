# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into an account: what each state of its lines becomes, and that nobody is let in or out by accident."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Disabled
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster

from .linux_hosts import HASH, OTHER_HASH, FakeHost, World, changes, fields, rejections, roster, user


def anna(**fields: Any) -> Roster:
    return roster(user("anna", uid=5000, **fields), user("bert", uid=5001))


def settled(**fields: Any) -> World:
    world = World()
    world.run(anna(**{"password_hash": HASH, "enabled": True, **fields}))
    world.today += 10
    return world


def access(world: World) -> tuple[str, str]:
    return world.field("shadow", "anna", 1), world.field("shadow", "anna", 7)


def set_access(world: World, password: str, expire: str) -> None:
    world.set_field("shadow", "anna", 1, password)
    world.set_field("shadow", "anna", 7, expire)


@pytest.mark.parametrize(
    ("password", "expire", "record", "after", "change"),
    [
        # What the source says, done whole.
        (HASH, "", {"enabled": True, "password_hash": HASH}, (HASH, ""), None),
        (HASH, "", {"enabled": False, "password_hash": HASH}, ("!" + HASH, "1"), "disable"),
        (HASH, "", {"enabled": False, "password_hash": OTHER_HASH}, ("!" + OTHER_HASH, "1"), "disable"),
        (HASH, "", {"enabled": False}, ("!" + HASH, "1"), "disable"),
        ("!" + HASH, "1", {"enabled": False}, ("!" + HASH, "1"), None),
        ("!" + HASH, "1", {"enabled": True}, (HASH, ""), "enable"),
        ("!" + HASH, "1", {"enabled": True, "password_hash": OTHER_HASH}, (OTHER_HASH, ""), "enable"),
        # Half disabled is neither: a key gets in without the expiry, a password without the lock.
        ("!" + HASH, "", {"enabled": False}, ("!" + HASH, "1"), "disable"),
        (HASH, "1", {"enabled": False}, ("!" + HASH, "1"), "disable"),
        ("!" + HASH, "", {"enabled": True}, (HASH, ""), "enable"),
        (HASH, "1", {"enabled": True}, (HASH, ""), "enable"),
        # An expiry of the host's own stays, unless the account is disabled.
        (HASH, "25000", {"enabled": True}, (HASH, "25000"), None),
        ("!" + HASH, "25000", {"enabled": True}, (HASH, "25000"), "enable"),
        (HASH, "25000", {"enabled": False}, ("!" + HASH, "1"), "disable"),
        # No password at all never becomes an empty one.
        ("", "", {"enabled": True}, ("*", ""), "update"),
        ("", "", {"enabled": False}, ("!*", "1"), "disable"),
        ("!", "", {"enabled": True}, ("*", ""), "enable"),
        ("!", "1", {"enabled": True}, ("*", ""), "enable"),
        ("!!", "", {"enabled": True}, ("*", ""), "enable"),
        ("!!", "1", {"enabled": False}, ("!*", "1"), "update"),
        ("*", "", {"enabled": True}, ("*", ""), None),
        ("*", "", {"enabled": False}, ("!*", "1"), "disable"),
        ("!!" + HASH, "1", {"enabled": False}, ("!" + HASH, "1"), "update"),
        ("!!" + HASH, "1", {"enabled": True}, (HASH, ""), "enable"),
        # Silence: what somebody on this host did stays.
        (HASH, "", {}, (HASH, ""), None),
        ("!" + HASH, "", {}, ("!" + HASH, ""), None),
        ("!!" + HASH, "", {}, ("!!" + HASH, ""), None),
        (HASH, "1", {}, (HASH, "1"), None),
        ("!" + HASH, "1", {}, ("!" + HASH, "1"), None),
        ("!", "", {}, ("!", ""), None),
        ("", "", {}, ("*", ""), "update"),
        ("!" + HASH, "", {"password_hash": OTHER_HASH}, ("!" + OTHER_HASH, ""), "update"),
        ("!" + HASH, "1", {"password_hash": OTHER_HASH}, ("!" + OTHER_HASH, "1"), "update"),
        # A hash that the source has, and one that it has not.
        (HASH, "", {"password_hash": OTHER_HASH}, (OTHER_HASH, ""), "update"),
        ("*", "", {"password_hash": OTHER_HASH}, (OTHER_HASH, ""), "update"),
        ("", "", {"enabled": True, "password_hash": OTHER_HASH}, (OTHER_HASH, ""), "update"),
    ],
)
def test_each_state(
    password: str, expire: str, record: dict[str, Any], after: tuple[str, str], change: str | None
) -> None:
    world = settled()
    set_access(world, password, expire)
    plan = world.run(anna(**record))
    assert access(world) == after
    assert changes(plan) == ({} if change is None else {"user anna": change})
    new = record.get("password_hash")
    changed = new is not None and new != password.lstrip("!")
    assert (fields(plan, "anna").get("password_hash") == ("changed",)) == changed
    assert world.field("shadow", "anna", 2) == ("20010" if changed else "20000"), "the day of the last change"
    assert (plan.disabled == ["anna"]) == (change == "disable")


@pytest.mark.parametrize("former", ["", "25000", "20500"])
def test_enabling_again_restores_the_line_exactly(former: str) -> None:
    world = settled()
    world.set_field("shadow", "anna", 7, former)
    before = world.line("shadow", "anna")
    world.run(anna(enabled=False))
    assert access(world) == ("!" + HASH, "1")
    world.run(anna(enabled=False))
    assert world.ledger.users["id-anna"].disabled == Disabled("source", world.today, former)
    plan = world.run(anna(enabled=True, password_hash=HASH))
    assert changes(plan) == {"user anna": "enable"} and world.line("shadow", "anna") == before
    assert world.ledger.users["id-anna"].disabled is None


def test_a_user_who_left_and_returns() -> None:
    world = settled(groups=("team",), admin=True)
    world.set_field("shadow", "anna", 7, "25000")
    before = world.line("shadow", "anna")
    rest = user("bert", uid=5001)
    plan = world.run(roster(rest, groups=[Group("team")]))
    assert changes(plan) == {"user anna": "disable"} and access(world) == ("!" + HASH, "1")
    assert plan.departed == {"anna"} and plan.disabled == ["anna"]
    assert "anna" not in world.members("sudo") and world.members("team") == ["anna"], "groups stay, admin rights do not"
    assert fields(plan, "anna") == {"enabled": (True, False), "admin": (True, False)}
    assert plan.outcome.summary()["unchanged"] == 1
    assert not world.run(roster(rest, groups=[Group("team")])).outcome.changes
    plan = world.run(anna(groups=("team",), admin=True))  # enabled: the source says nothing
    assert changes(plan) == {"user anna": "enable"} and world.line("shadow", "anna") == before
    assert "anna" in world.members("sudo")


def test_disabled_at_the_source_then_gone_then_back_disabled() -> None:
    world = settled()
    world.run(anna(enabled=False))
    world.run(roster(user("bert", uid=5001)))
    disabled = world.ledger.users["id-anna"].disabled
    assert disabled is not None and disabled.reason == "missing"
    plan = world.run(anna(enabled=False))
    assert not plan.outcome.changes and access(world) == ("!" + HASH, "1")


@pytest.mark.parametrize("missing_users", ["disable", "ignore"])
def test_missing_users(missing_users: str) -> None:
    world = settled().with_options(missing_users=missing_users)
    plan = world.run(roster(user("bert", uid=5001)))
    assert bool(plan.outcome.changes) == (missing_users == "disable")


def test_nobody_is_missing_while_a_record_may_be_anybody() -> None:
    """A rejected record counts as present; one without id and name might be the person who seems to be gone."""
    world = settled()
    nameless = Rejected("user", "record", "is a text, not a mapping", record="user 3")
    plan = world.run(roster(rejected=[nameless]))
    assert plan.outcome.changes == []
    assert any("user 3" in warning for warning in plan.outcome.warnings)
    named = Rejected("user", "uid", "is shared", id="somebody else")
    assert changes(world.run(roster(rejected=[named]))) == {"user anna": "disable", "user bert": "disable"}


def test_missing_accounts_that_are_protected_stay() -> None:
    world = settled().with_options(protected={"root": "is root", "anna": "is in protected_users"})
    plan = world.run(roster(user("bert", uid=5001)))
    assert not plan.outcome.changes and "anna left the roster and stays as it is: is in" in plan.outcome.warnings[0]


def test_a_user_who_is_no_longer_selected_is_disabled() -> None:
    """include_groups and exclude_users make a smaller roster, and the rejected records stay in it."""
    world = settled()
    plan = world.run(roster(user("bert", uid=5001), rejected=[Rejected("user", "uid", "is bad", id="id-anna")]))
    assert not plan.outcome.changes
    assert changes(world.run(roster(user("bert", uid=5001)))) == {"user anna": "disable"}


def test_update_password_on_create() -> None:
    world = settled().with_options(update_password="on_create")
    assert not world.run(anna(password_hash=OTHER_HASH, enabled=True)).outcome.changes
    plan = world.run(roster(*anna(password_hash=HASH).users, user("carl", uid=5002, password_hash=OTHER_HASH)))
    assert changes(plan) == {"user carl": "create"} and world.field("shadow", "carl", 1) == OTHER_HASH
    # A line that is gone is made anew, with the password that the roster has.
    world.drop("shadow", "anna")
    world.run(roster(*anna(password_hash=OTHER_HASH).users, user("carl", uid=5002)))
    assert access(world)[0] == OTHER_HASH


@pytest.mark.parametrize(
    ("record", "line", "pending"),
    [
        ({}, "*:20000:1:90:14:30::", ["anna"]),
        ({"enabled": True}, "*:20000:1:90:14:30::", ["anna"]),
        ({"enabled": False}, "!*:20000:1:90:14:30:1:", []),
        ({"password_hash": HASH}, HASH + ":20000:1:90:14:30::", []),
        ({"enabled": False, "password_hash": HASH}, "!" + HASH + ":20000:1:90:14:30:1:", []),
    ],
)
def test_new_accounts(record: dict[str, Any], line: str, pending: list[str]) -> None:
    world = World()
    plan = world.run(roster(user("anna", uid=5000, **record)))
    assert world.line("shadow", "anna") == "anna:" + line
    assert plan.outcome.pending == pending and not plan.disabled
    assert fields(plan, "anna")["enabled"] == (None, record.get("enabled", True))


def test_new_accounts_expire_as_the_host_says() -> None:
    world = World()
    world.settings = replace(world.settings, expire="25000")
    world.run(anna(enabled=False))
    assert access(world) == ("!*", "1")
    world.run(anna(enabled=True))
    assert access(world) == ("*", "25000")


@pytest.mark.parametrize("enabled", [True, False, None])
@pytest.mark.parametrize("password", ["", "*", HASH])
def test_a_password_field_in_passwd_is_healed(password: str, enabled: bool | None) -> None:
    """PAM believes it instead of shadow: the account would be open, or not disabled at all."""
    world = settled()
    world.set_field("passwd", "anna", 1, password)
    plan = world.run(anna(enabled=enabled))
    assert world.field("passwd", "anna", 1) == "x"
    assert fields(plan, "anna")["password_in_shadow"] == (False, True)


def test_a_password_field_in_passwd_does_not_keep_a_departed_user_in() -> None:
    world = settled()
    world.set_field("passwd", "anna", 1, "")
    world.run(roster(user("bert", uid=5001)))
    assert world.field("passwd", "anna", 1) == "x" and access(world) == ("!" + HASH, "1")


@pytest.mark.parametrize("line", ["anna:$6$open$open:19000:0:99999", "anna:", " anna:$6$x:1:0:99999:7:::"])
@pytest.mark.parametrize("whole_line_too", [True, False])
def test_a_shadow_line_that_is_not_well_formed_does_not_keep_a_departed_user_in(
    line: str, whole_line_too: bool
) -> None:
    world = settled()
    if not whole_line_too:
        world.drop("shadow", "anna")
    world.contents["shadow"] = line.encode() + b"\n" + (world.contents["shadow"] or b"")
    world.run(roster(user("bert", uid=5001)))
    assert access(world) == ("!" + (HASH if whole_line_too else "*"), "1")
    assert line.encode() + b"\n" not in (world.contents["shadow"] or b"")


def test_a_missing_shadow_line_is_drift() -> None:
    world = settled()
    world.drop("shadow", "anna")
    plan = world.run(anna(enabled=True, password_hash=HASH))
    assert fields(plan, "anna") == {"password_hash": ("changed",)}
    world.drop("shadow", "anna")
    plan = world.run(anna(enabled=True))
    assert fields(plan, "anna") == {"shadow": ("incomplete", "complete")} and access(world) == ("*", "")
    assert "anna" in plan.outcome.pending


def test_drift_of_the_other_fields() -> None:
    world = settled(full_name="Anna", home="/home/anna", shell="/bin/bash")
    for index, value in ((4, "Hacked \x1b[2J"), (5, "/tmp"), (6, "/bin/false")):
        world.set_field("passwd", "anna", index, value)
    wanted = anna(full_name="Anna", home="/home/anna", shell="/bin/bash")
    plan = world.run(wanted)
    assert fields(plan, "anna") == {
        "full_name": ("Hacked \\x1b[2J", "Anna"),
        "home": ("/tmp", "/home/anna"),
        "shell": ("/bin/false", "/bin/bash"),
    }
    assert world.line("passwd", "anna") == "anna:x:5000:5000:Anna:/home/anna:/bin/bash"
    world.set_field("passwd", "anna", 4, "J\udcfcrgen")
    plan = world.run(wanted)
    # No lone surrogate reaches the result.
    assert fields(plan, "anna")["full_name"] == ("J\\udcfcrgen", "Anna")
    assert plan.outcome.plan_digest() and repr(plan.outcome.as_result()).encode()


def test_silence_keeps_the_other_fields() -> None:
    world = settled()
    for index, value in ((4, "Anna,101,,"), (5, "/srv/anna"), (6, "/bin/zsh")):
        world.set_field("passwd", "anna", index, value)
    assert not world.run(anna(enabled=True)).outcome.changes


def test_homes() -> None:
    world = World(host=FakeHost(all_missing=True))
    assert [home.path for home in world.run(anna()).homes] == ["/home/anna", "/home/bert"]
    world.host.made.clear()
    plan = world.run(anna())
    assert fields(plan, "anna") == {"home_directory": ("missing", "present")}
    assert plan.expected_homes == ["/home/anna", "/home/bert"]
    world.host.made.clear()
    plan = world.with_options(create_homes=False).run(anna())
    assert not plan.homes and not plan.expected_homes and not plan.outcome.changes


@pytest.mark.parametrize(
    "home", ["/", "/etc/cron.d", "/root/x", "/home", "/home/../etc", "relative", "/usr/x", "/var/lib/identity-roster/x"]
)
def test_homes_that_are_refused(home: str) -> None:
    world = World(host=FakeHost(all_missing=True))
    plan = world.run(roster(user("anna", uid=5000, home=home)))
    assert "anna" in rejections(plan) and not plan.homes
    plan = world.with_options(home_base="/etc").run(roster(user("bert", uid=5001)))
    assert "a directory of the system" in plan.outcome.failed[0].reason and not plan.homes


def test_a_home_of_the_host_that_is_not_to_be_made() -> None:
    """An adopted account's home may be anything, and is only made where a home may lie."""
    world = World(host=FakeHost(all_missing=True)).with_options(adopt=frozenset({"local"}))
    world.set_field("passwd", "local", 5, "/usr/local/x")
    assert not world.run(roster(user("local"))).homes
