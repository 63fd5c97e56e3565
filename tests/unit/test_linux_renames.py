# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same person under a new name, homes that move, and SSH keys. World.run proves each plan's second run empty."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.elsewhere import Elsewhere
from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Former
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Roster

from .linux_hosts import HASH, OTHER_HASH, World, changes, failures, fields, roster, user

CREW = [Group("crew2", gid=6000)]


def person(username: str, **more: Any) -> Any:
    more = {"id": "1", "uid": 5000, "password_hash": HASH, "groups": ("crew2",), "admin": True, **more}
    return user(username, **more)


def world(**options: Any) -> World:
    host = World().with_options(**options)
    host.run(roster(person("anna"), groups=CREW))
    host.append("group", "staffers:x:7000:local,anna,nobody")
    host.append("gshadow", "staffers:!:anna:local,anna,nobody")
    host.host.owners["/home/anna"] = 5000
    host.host.missing.add("/home/annika")
    return host


def renamed(**more: Any) -> Roster:
    return roster(person("annika", **more), groups=CREW)


def names(content: bytes | None) -> str:
    return (content or b"").decode()


def test_everything_follows_to_the_new_name() -> None:
    host = world()
    before = dict(host.contents)
    plan = host.run(renamed())
    assert changes(plan) == {"user annika": "rename"} and fields(plan, "annika") == {"username": ("anna", "annika")}
    assert plan.outcome.summary()["updated"] == 1 and not plan.created and not plan.homes
    for name, content in before.items():
        assert names(host.contents[name]).replace("annika", "anna").replace("/home/anna:", "/home/anna:") == names(
            content
        )
    assert host.line("passwd", "annika") == "annika:x:5000:5000::/home/anna:/bin/bash", "the home stays"
    assert host.line("gshadow", "staffers") == "staffers:!:annika:local,annika,nobody"
    assert host.ledger.users["1"].username == "annika" and host.ledger.memberships == {"sudo": ["annika"]}


def test_the_home_moves_when_asked() -> None:
    host = world(move_homes=True)
    plan = host.run(renamed())
    assert fields(plan, "annika") == {"username": ("anna", "annika"), "home": ("/home/anna", "/home/annika")}
    assert [(move.old_home, move.home, move.old_username) for move in plan.moves] == [
        ("/home/anna", "/home/annika", "anna")
    ]
    assert not plan.homes, "no empty home beside it"


def test_a_home_that_can_not_move_stays() -> None:
    host = world(move_homes=True)
    host.host.unmovable["/home/anna"] = "they are not on the same file system; move it by hand"
    plan = host.run(renamed())
    assert fields(plan, "annika") == {"username": ("anna", "annika")} and "move it by hand" in plan.outcome.warnings[0]
    assert host.field("passwd", "annika", 5) == "/home/anna"
    host.host.missing.add("/srv/annika")
    plan = host.run(renamed(home="/srv/annika"))
    assert "move it by hand" in failures(plan)["annika"] and plan.due == host.today, "asked for at each run"
    assert host.field("passwd", "annika", 5) == "/home/anna" and host.field("passwd", "annika", 2) == "5000"


def test_the_rosters_home_wins() -> None:
    host = world(move_homes=True)
    host.host.missing.add("/srv/people/annika")
    plan = host.run(renamed(home="/srv/people/annika"))
    assert fields(plan, "annika")["home"] == ("/home/anna", "/srv/people/annika")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("local", "this host has an account 'local'"),
        ("crew", "this host has a group 'crew'"),
        ("short", "is an account|this host has an account 'short'"),
        ("sudo", "system reserves"),
    ],
)
def test_names_that_are_taken(name: str, words: str) -> None:
    host = world()
    before = dict(host.contents)
    plan = host.run(roster(person(name), groups=CREW))
    said = [*failures(plan).values(), *(entry.reason for entry in plan.outcome.rejected)]
    assert any(word in text for text in said for word in words.split("|")), said
    assert host.contents == before, "no change at all, membership and rights included"


@pytest.mark.parametrize("other", [{"uid": 5009}, {"gid": 5009}, {"home": "/home/local"}])
def test_a_record_that_does_not_fit_is_not_renamed_either(other: dict[str, Any]) -> None:
    host = world()
    before = dict(host.contents)
    plan = host.run(renamed(**other))
    assert set(failures(plan)) == {"annika"} and host.contents == before


def test_protected_names_and_groups() -> None:
    for options in (
        {"protected": {"anna": "is in protected_users"}},
        {"protected": {"annika": "is in protected_users"}},
        {"protected_groups": frozenset({"staffers"})},
        {"protected_groups": frozenset({"anna"})},
    ):
        host = world()
        before = dict(host.contents)
        host.with_options(**options).run(renamed())
        assert host.contents == before, options


def test_names_that_change_hands_do_so_one_run_after_another() -> None:
    host = World()
    host.run(roster(user("anna", id="1", uid=5000), user("bert", id="2", uid=5001), user("carl", id="3", uid=5002)))
    wanted = roster(user("bert", id="1", uid=5000), user("carl", id="2", uid=5001), user("dora", id="3", uid=5002))
    for renamed_then in (["dora"], ["carl"], ["bert"]):
        plan = host.run(wanted)
        assert list(plan.renamed) == renamed_then
        assert (plan.due == host.today) == bool(plan.outcome.failed), "the next run must not believe that all is done"
    assert not plan.outcome.failed
    assert {name: host.field("passwd", name, 2) for name in ("bert", "carl", "dora")} == {
        "bert": "5000", "carl": "5001", "dora": "5002",
    }  # fmt: skip
    swapped = roster(user("carl", id="1", uid=5000), user("bert", id="2", uid=5001), user("dora", id="3", uid=5002))
    before = dict(host.contents)
    plan = host.run(swapped)
    assert set(failures(plan)) == {"bert", "carl"} and host.contents == before, "a swap has no order that works"


@pytest.mark.parametrize("cut_after", range(7))
@pytest.mark.parametrize("newcomer", [False, True], ids=["another rename", "newcomer"])
def test_nobody_gets_the_password_of_the_names_former_holder(cut_after: int, newcomer: bool) -> None:
    host = World()
    anna, bert = user("anna", id="1", uid=5000, password_hash=HASH), user("bert", id="2", uid=5001)
    host.run(roster(anna, bert))
    host.set_field("shadow", "bert", 1, OTHER_HASH)
    taker = user("bert", id="9", uid=5009) if newcomer else user("bert", id="1", uid=5000)
    wanted = roster(user("carl", id="2", uid=5001), taker, *([anna] if newcomer else []))
    plan = host.plan(wanted)
    new = plan.accounts.contents()
    for file in ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")[:cut_after]:
        host.contents[file] = new[file]
    host.ledger = plan.ledger
    for _again in range(3):
        plan = host.run(wanted)
    assert not plan.outcome.failed or newcomer
    assert host.field("shadow", "carl", 1) == OTHER_HASH and host.field("passwd", "carl", 2) == "5001"
    if not newcomer:
        assert host.field("shadow", "bert", 1) == HASH


def test_a_newcomer_gets_the_name_that_became_free_in_the_next_run() -> None:
    host = world()
    wanted = roster(person("annika"), user("anna", id="9", uid=5009, home="/home/anna2"), groups=CREW)
    plan = host.run(wanted)
    assert "it is the next run's" in failures(plan)["anna"] and plan.due == host.today
    host.run(wanted)
    assert host.field("passwd", "anna", 2) == "5009" and "anna" not in host.members("staffers")
    plan = host.run(roster(person("annika"), user("anna", id="9", uid=5009), user("anni", home="/home/anna")))
    assert "home of 'annika'" in failures(plan)["anni"], "her home is still called so"


@pytest.mark.parametrize("gone", [False, True])
def test_a_name_waits_for_what_is_left_of_its_former_holder(gone: bool) -> None:
    host = world()
    entry = host.ledger.users["1"]
    if gone:
        host.ledger.users["1"] = replace(entry, removed=host.today, former=Former("anna", "/home/anna"))
        for file in ("passwd", "shadow", "group", "gshadow"):
            host.drop(file, "anna")
    wanted = roster(user("anna" if gone else "bert", id="9", uid=5009), *([] if gone else [person("annika")]))
    plan = host.run(wanted)
    assert ("anna" in failures(plan)) == gone and ("bert" in plan.created) != gone


def test_the_rights_of_a_former_user_of_the_new_name_do_not_go_over() -> None:
    host = world()
    host.set_field("group", "docker", 3, "local,annika")
    host.set_field("gshadow", "docker", 3, "local,annika")
    host.set_field("group", "sudo", 3, "ansible,annika")
    plan = host.run(renamed(admin=None))
    assert host.members("docker") == ["local"] and host.members("sudo") == ["ansible"]
    assert "docker, sudo" in plan.outcome.warnings[0]


def test_a_group_elsewhere_is_in_the_way() -> None:
    host = world()
    host.host.elsewhere = lambda: Elsewhere(groups={"annika": (900, "/usr/lib/group")})  # type: ignore[method-assign]
    assert "this host has a group 'annika'" in failures(host.run(renamed()))["annika"]


def test_renamed_by_hand_and_the_old_name_given_to_another() -> None:
    host = world()
    for file in ("passwd", "shadow"):
        host.contents[file] = names(host.contents[file]).replace("\nanna:", "\nannika:").encode()
    host.append("passwd", "anna:x:7000:7000::/srv/other:/bin/sh")
    host.append("shadow", "anna:!:1::::::")
    plan = host.run(renamed())
    assert not plan.outcome.failed and host.field("passwd", "anna", 2) == "7000"
    assert host.field("shadow", "anna", 1) == "!" and host.field("shadow", "annika", 1) == HASH
    assert host.ledger.users["1"].username == "annika"


@pytest.mark.parametrize("cut_after", range(7))
def test_cut_off_and_then_the_person_left(cut_after: int) -> None:
    host = world()
    plan = host.plan(renamed())
    new = plan.accounts.contents()
    for file in ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")[:cut_after]:
        host.contents[file] = new[file]
    host.ledger = plan.ledger
    host.run(roster(groups=CREW))
    assert host.field("shadow", "annika", 1) == "!" + HASH and host.field("shadow", "annika", 7) == "1"


def test_two_do_not_move_to_one_place() -> None:
    host = world(move_homes=True)
    plan = host.run(roster(person("annika"), user("zoe", home="/home/annika"), groups=CREW))
    assert "home of 'annika'" in failures(plan)["zoe"]


def test_renamed_by_hand_before_the_source_said_so() -> None:
    host = world()
    for file in ("passwd", "shadow", "subuid", "subgid"):
        if host.line(file, "anna"):
            host.contents[file] = names(host.contents[file]).replace("\nanna:", "\nannika:").encode()
    plan = host.run(renamed())
    assert not plan.outcome.failed and not plan.outcome.rejected
    assert host.ledger.users["1"].username == "annika"


def test_renamed_and_disabled_at_once() -> None:
    host = world()
    host.set_field("group", "sudo", 3, "local,anna")
    plan = host.run(renamed(enabled=False))
    assert changes(plan) == {"user annika": "disable"} and fields(plan, "annika")["username"] == ("anna", "annika")
    assert host.field("shadow", "annika", 1) == "!" + HASH and host.members("sudo") == ["local"]


@pytest.mark.parametrize(("cut_after", "move", "back"), list(product(range(7), [False, True], [False, True])))
def test_a_rename_that_is_cut_off_between_two_files(cut_after: int, move: bool, back: bool) -> None:
    """The ledger says the new name already. The next run completes it, or takes it back when the source has."""
    whole, cut = world(move_homes=move), world(move_homes=move)
    wanted = roster(person("anna"), groups=CREW) if back else renamed()
    if not back:
        whole.run(renamed())
    plan = cut.plan(renamed())
    new = plan.accounts.contents()
    for file in ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")[:cut_after]:
        cut.contents[file] = new[file]
    cut.ledger = plan.ledger
    if cut_after == 6 and back:
        # It is all in the files: what is left to do on the disk comes first, and then it is a rename like any other.
        first = cut.run(renamed())
        assert not first.outcome.failed
    done = cut.run(wanted)
    assert not done.outcome.failed
    if not (back and move and cut_after == 6):
        assert cut.contents == whole.contents
    assert cut.ledger.users["1"].username == ("anna" if back else "annika")
    assert cut.ledger.users["1"].former is None


class TestKeys:
    FIRST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl anna@desk"
    SECOND = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS anna@lap"

    def test_they_are_written_when_asked(self) -> None:
        for asked in (False, True):
            host = World().with_options(authorized_keys=asked)
            plan = host.run(roster(user("anna", uid=5000, ssh_public_keys=(self.FIRST,))))
            assert ("ssh_public_keys" in fields(plan, "anna")) == asked
            assert [keys.keys for keys in plan.keys] == ([(self.FIRST,)] if asked else [])
        plan = host.run(roster(user("anna", uid=5000, ssh_public_keys=(self.FIRST, self.SECOND))))
        before, after = fields(plan, "anna")["ssh_public_keys"]
        assert len(before) == 1 and len(after) == 2 and all(text.startswith("SHA256:") for text in after)
        assert not host.run(roster(user("anna", uid=5000))).keys, "nothing said, nothing done"
        assert host.host.keys["/home/anna"] == (self.FIRST, self.SECOND)
        plan = host.run(roster(user("anna", uid=5000, ssh_public_keys=())))
        assert fields(plan, "anna")["ssh_public_keys"][1] == [] and host.host.keys["/home/anna"] == ()

    def test_what_is_no_key_is_left_out_and_reported(self) -> None:
        host = World().with_options(authorized_keys=True)
        wanted = roster(user("anna", uid=5000, ssh_public_keys=('command="id" ' + self.FIRST, self.SECOND)))
        plan = host.run(wanted)
        assert "ssh_public_keys: key 1" in failures(plan)["anna"] and host.host.keys["/home/anna"] == (self.SECOND,)

    def test_a_file_that_is_not_the_users_is_not_written(self) -> None:
        host = World().with_options(authorized_keys=True)
        host.run(roster(user("anna", uid=5000)))

        def refuse(home: str, uid: int) -> tuple[str, ...]:
            raise OSError(40, f"{home}/.ssh is a symbolic link")

        host.host.authorized_keys = refuse  # type: ignore[method-assign]
        plan = host.run(roster(user("anna", uid=5000, full_name="Anna", ssh_public_keys=(self.FIRST,))))
        assert "symbolic link" in failures(plan)["anna"] and plan.due == host.today
        assert fields(plan, "anna") == {"full_name": ("", "Anna")}, "the rest is done"
