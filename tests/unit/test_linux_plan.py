# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which account a record becomes, or why it becomes none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Disabled, Ledger, OwnedUser
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster

from .linux_hosts import (
    HASH,
    OTHER_HASH,
    FakeHost,
    World,
    changes,
    failures,
    fields,
    rejections,
    roster,
    user,
)

CAPTURES = Path(__file__).parents[1] / "fixtures/libre-workspace"


def test_an_empty_roster_on_an_untouched_host() -> None:
    world = World()
    plan = world.run(roster())
    assert plan.outcome.as_result()["summary"] == dict.fromkeys(plan.outcome.summary(), 0)
    assert plan.ledger == Ledger()


def test_a_new_user() -> None:
    world = World(host=FakeHost(all_missing=True))
    plan = world.run(roster(user("anna", uid=20001, full_name="Anna Schmidt", password_hash=HASH, enabled=True)))
    assert world.line("passwd", "anna") == "anna:x:20001:20001:Anna Schmidt:/home/anna:/bin/bash"
    assert world.line("group", "anna") == "anna:x:20001:"
    assert world.line("gshadow", "anna") == "anna:!::"
    assert world.line("shadow", "anna") == f"anna:{HASH}:20000:1:90:14:30::"
    # The first gap of 65,536 ids beside 100000-165535 and 300000-365535.
    assert world.line("subuid", "anna") == "anna:165536:65536"
    assert world.line("subgid", "anna") == "anna:165536:65536"
    assert world.ledger.users == {"id-anna": OwnedUser("anna", 20001, 20001, private_group=True)}
    assert fields(plan, "anna") == {
        "uid": (None, 20001),
        "home": (None, "/home/anna"),
        "shell": (None, "/bin/bash"),
        "full_name": (None, "Anna Schmidt"),
        "enabled": (None, True),
        "password_hash": ("changed",),
    }
    assert [(home.path, home.uid, home.gid, home.username) for home in plan.homes] == [
        ("/home/anna", 20001, 20001, "anna")
    ]
    assert plan.outcome.pending == []
    lines = (world.contents["passwd"] or b"").splitlines()
    assert lines.index(b"anna:x:20001:20001:Anna Schmidt:/home/anna:/bin/bash") == lines.index(b"+@netgroup::::::") - 1


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, "anna:x:20101:20101::/home/anna:/bin/bash"),
        ({"uid": 5000}, "anna:x:5000:5000::/home/anna:/bin/bash"),
        # A gid that a group of this host has is nobody's private one.
        ({"uid": 1500}, "anna:x:1500:20101::/home/anna:/bin/bash"),
        ({"uid": 5000, "gid": 6000}, "anna:x:5000:6000::/home/anna:/bin/bash"),
        ({"uid": 5000, "home": "/srv/h/a"}, "anna:x:5000:5000::/srv/h/a:/bin/bash"),
        ({"uid": 5000, "shell": "/bin/zsh"}, "anna:x:5000:5000::/home/anna:/bin/zsh"),
        ({"uid": 5000, "shell": "/bin/fish"}, "anna:x:5000:5000::/home/anna:/bin/bash"),
        (
            {"uid": 5000, "full_name": 'A "von" B, jun., Ö\'x'},
            'anna:x:5000:5000:A "von" B, jun., Ö\'x:/home/anna:/bin/bash',
        ),
        (
            {"uid": 5000, "full_name": "$(reboot) `id` ; rm"},
            "anna:x:5000:5000:$(reboot) `id` ; rm:/home/anna:/bin/bash",
        ),
        ({"uid": 5000, "full_name": ""}, "anna:x:5000:5000::/home/anna:/bin/bash"),
        ({"uid": 60000}, "anna:x:60000:60000::/home/anna:/bin/bash"),
        ({"uid": 700000}, "anna:x:700000:700000::/home/anna:/bin/bash"),
    ],
)
def test_the_line_of_a_new_user(record: dict[str, Any], expected: str) -> None:
    world = World()
    world.run(roster(user("anna", **record)))
    assert world.line("passwd", "anna") == expected


NO_NAMES = """
    root Root ROOT sudo wheel daemon nobody libvirt-qemu sshd systemd-x -x a/b .. 1000 a$ +anna a\\b a,b jürgen
""".split()


@pytest.mark.parametrize("name", [*NO_NAMES, "a b", "x" * 33])
def test_names_that_are_refused(name: str) -> None:
    world = World()
    before = dict(world.contents)
    plan = world.run(roster(user(name, uid=5000, admin=True, password_hash=HASH), user(None, id="nameless")))
    assert set(rejections(plan)) >= {name}
    assert world.contents == before and not plan.outcome.changes


def test_unicode_names_when_allowed() -> None:
    world = World().with_options(allow_unicode_names=True)
    world.run(roster(user("jürgen", uid=5000, groups=("münchen",)), groups=[Group("münchen", gid=5005)]))
    assert world.line("passwd", "jürgen") == "jürgen:x:5000:5000::/home/jürgen:/bin/bash"
    assert world.members("münchen") == ["jürgen"]
    # Taking the option back rejects the record and leaves the account.
    before = dict(world.contents)
    plan = world.with_options(allow_unicode_names=False).run(roster(user("jürgen", uid=5000, groups=())))
    assert "ASCII" in rejections(plan)["jürgen"] and world.contents == before


@pytest.mark.parametrize("name", ["ansible", "daemon", "local"])
def test_accounts_of_the_host_are_never_changed(name: str) -> None:
    world = World()
    before = dict(world.contents)
    record = {
        "uid": 20000,
        "admin": True,
        "password_hash": HASH,
        "groups": ("crew",),
        "enabled": False,
        "shell": "/bin/sh",
    }
    plan = world.run(roster(user(name, **record)))
    assert name in rejections(plan) and world.contents == before and not plan.outcome.changes
    if name != "local":
        # Not even when the playbook asks for it.
        plan = world.with_options(adopt=frozenset({name})).run(roster(user(name, **record)))
        assert name in rejections(plan) and world.contents == before


def test_a_local_account_of_another_uid_is_reported_as_not_ours() -> None:
    plan = World().run(roster(user("local", uid=5000)))
    assert "did not make; adopt takes it over" in rejections(plan)["local"] and not failures(plan)


def test_adopt() -> None:
    world = World(host=FakeHost(all_missing=True)).with_options(adopt=frozenset({"local"}))
    plan = world.run(
        roster(user("local", uid=20000, full_name="New Name", password_hash=HASH, shell="/bin/sh", groups=()))
    )
    assert changes(plan) == {"user local": "adopt"}
    assert world.line("passwd", "local") == "local:x:20000:20000:New Name:/home/local:/bin/sh"
    assert world.line("shadow", "local") == f"local:{HASH}:20000:0:99999:7::20500:"
    assert world.members("crew") == ["local", "nobody"], "groups that the roster does not have stay"
    assert world.ledger.users["id-local"] == OwnedUser("local", 20000, 20000, True, adopted=True)
    assert plan.outcome.summary()["updated"] == 1 and not plan.disabled


@pytest.mark.parametrize(
    "record",
    [
        {"username": "local", "uid": 5000},
        {"username": "anna", "uid": 5009},
        {"username": "anna", "uid": 5000, "gid": 5009},
    ],
)
def test_a_record_that_fails_still_disables(record: dict[str, Any]) -> None:
    world = World()
    world.run(roster(user("anna", id="1", uid=5000, groups=("crew2",), admin=True, password_hash=HASH)))
    name = record.pop("username")
    plan = world.run(roster(user(name, id="1", enabled=False, admin=True, **record)))
    assert changes(plan) == {"user anna": "disable"} and set(failures(plan)) == {name}
    assert world.field("shadow", "anna", 1) == "!" + HASH and world.field("shadow", "anna", 7) == "1"
    assert "anna" not in world.members("sudo") and world.members("crew2") == ["anna"]
    assert plan.disabled == ["anna"], "counted by the limits"


def test_a_recreated_person_does_not_get_the_account() -> None:
    world = World()
    world.run(roster(user("anna", id="old", uid=5000, password_hash=HASH), user("bert", uid=5001)))
    plan = world.run(roster(user("anna", id="new", uid=5000, password_hash=OTHER_HASH), user("bert", uid=5001)))
    assert "another person" in failures(plan)["anna"]
    assert changes(plan) == {"user anna": "disable"}, "the former person has left"
    assert world.field("shadow", "anna", 1) == "!" + HASH
    plan = world.with_options(adopt=frozenset({"anna"})).run(
        roster(user("anna", id="new", uid=5000, password_hash=OTHER_HASH, enabled=True), user("bert", uid=5001))
    )
    assert changes(plan) == {"user anna": "adopt"} and world.field("shadow", "anna", 1) == OTHER_HASH
    assert set(world.ledger.users) == {"new", "id-bert"}


def portal(capture: str) -> Roster:
    records = json.loads((CAPTURES / f"{capture}.json").read_text())
    return roster(
        *(
            user(
                record["username"],
                id=record["guid"],
                uid=int(record["uidNumber"] or 0) or None,
                full_name=record["display_name"],
                password_hash=record["yescrypt_hash"],
                enabled=record["enabled"],
                admin=record["admin"],
            )
            for record in records
        )
    )


def test_a_portal_that_recreated_a_person_and_names_people_in_shell() -> None:
    world = World()
    world.run(portal("04_distinct_ids_admin_uid"))
    line = world.line("passwd", "ohnename")
    wanted = portal("08_display_name_with_shell_text")
    plan = world.run(wanted)
    assert set(failures(plan)) == {"ohnename"} and changes(plan)["user ohnename"] == "disable"
    assert world.line("passwd", "ohnename") == line, "the new person did not get the account of the former one"
    assert world.field("shadow", "ohnename", 7) == "1"
    names = {record.username: record.full_name for record in wanted.users}
    for name in ("chef", "max.muster-mann", "obrien"):
        assert world.field("passwd", name, 4) == names[name]


def test_an_account_that_somebody_removed_comes_back_with_its_ids() -> None:
    world = World()
    world.run(roster(user("anna", password_hash=HASH)))
    line = world.line("passwd", "anna")
    for file in ("passwd", "shadow"):
        world.drop(file, "anna")
    plan = world.run(roster(user("anna", password_hash=HASH)))
    assert changes(plan) == {"user anna": "create"} and world.line("passwd", "anna") == line
    # The group that is left must be the one that we made.
    for file in ("passwd", "shadow"):
        world.drop(file, "anna")
    world.set_field("group", "anna", 2, "7777")
    plan = world.run(roster(user("anna", password_hash=HASH)))
    assert "a group 'anna' exists" in failures(plan)["anna"]


@pytest.mark.parametrize("gid", [None, 5000, 6000])
def test_a_run_cut_off_between_group_and_passwd_heals(gid: int | None) -> None:
    wanted = roster(user("anna", uid=5000, gid=gid, password_hash=HASH, groups=("crew2",), admin=True))
    whole, cut = World(), World()
    whole.run(wanted)
    plan = cut.plan(wanted)
    new = plan.accounts.contents()
    for file in ("group", "gshadow", "subuid"):
        cut.contents[file] = new[file]
    cut.ledger = plan.ledger
    again = cut.run(wanted)
    assert not again.outcome.failed and not again.outcome.rejected and not again.outcome.warnings
    assert cut.contents == whole.contents and cut.ledger == whole.ledger


def test_orphan_lines_of_a_name_are_replaced_whole() -> None:
    world = World()
    world.append("shadow", "anna:$6$evil$evil:1:0:99999:7:::")
    world.append("shadow", "bert:")
    world.append("gshadow", "anna::evil:evil")
    world.append("subuid", "anna:700000:65536")
    world.run(roster(user("anna", uid=5000), user("bert", uid=5001)))
    assert world.line("shadow", "anna") == "anna:*:20000:1:90:14:30::"
    assert world.line("gshadow", "anna") == "anna:!::"
    assert b"bert:\n" not in (world.contents["shadow"] or b"")


@pytest.mark.parametrize(
    "line", ["anna:x:1:1", " anna:x:4000:4000::/home/anna:/bin/sh", "anna:x:0:0::/:/bin/sh:x", "anna"]
)
def test_a_line_that_is_not_well_formed_is_in_the_way(line: str) -> None:
    world = World()
    world.append("passwd", line)
    plan = world.run(roster(user("anna", uid=5000)))
    assert "not well-formed" in failures(plan)["anna"] and world.line("passwd", "anna") is None
    assert line.encode() in (world.contents["passwd"] or b"")


def test_the_name_of_the_admin_group_is_no_user_name() -> None:
    world = World().with_options(admin_group="bosses")
    plan = world.run(roster(user("bosses", uid=5000)))
    assert "admin group" in rejections(plan)["bosses"] and world.line("group", "bosses") is None


@pytest.mark.parametrize("missing", [("gshadow",), ("subuid", "subgid"), ("gshadow", "subuid", "subgid")])
def test_files_that_a_host_does_not_have_are_not_made(missing: tuple[str, ...]) -> None:
    world = World()
    for name in missing:
        world.contents[name] = None
    world.run(roster(user("anna", uid=5000, groups=("team",), admin=True)))
    assert [name for name in world.contents if world.contents[name] is None] == list(missing)


@pytest.mark.parametrize("today", [0, -3])
def test_a_clock_that_was_never_set_forces_no_password_change(today: int) -> None:
    world = World(today=today)
    world.run(roster(user("anna", uid=5000, password_hash=HASH)))
    assert world.field("shadow", "anna", 2) == ""


def test_a_rejected_record_leaves_everything_of_its_account_alone() -> None:
    """Memberships and admin rights too, whether the source rejected it or this host does."""
    anna = user("anna", id="1", uid=5000, groups=("team",), admin=True, password_hash=HASH)
    for refused in (
        roster(rejected=[Rejected("user", "shell", "is bad", id="1")], groups=[Group("team")]),
        roster(rejected=[Rejected("user", "shell", "is bad", name="Anna")], groups=[Group("team")]),
        roster(
            user("anna", id="1", uid=5000, groups=(), admin=False, enabled=False, shell="no path"),
            groups=[Group("team")],
        ),
        roster(user("rescue", id="1", uid=5000, groups=(), admin=False), groups=[Group("team")]),
        roster(user("anna", id="other", uid=5000, shell="no path"), groups=[Group("team")]),
    ):
        world = World().with_options(protected={**World().options.protected, "rescue": "is in protected_users"})
        world.run(roster(anna))
        before = dict(world.contents)
        plan = world.run(refused)
        assert world.contents == before and not plan.outcome.changes, refused


def test_ledger_and_host_disagree() -> None:
    """Somebody removed our account and made another of its name."""
    world = World()
    world.ledger = Ledger({"1": OwnedUser("local", 5000, 5000, True, disabled=Disabled("source", 1))})
    before = dict(world.contents)
    for wanted in (roster(), roster(user("local", id="1", enabled=False, admin=False, groups=()))):
        plan = world.run(wanted)
        assert "was made with 5000" in failures(plan)["local"] and world.contents == before
