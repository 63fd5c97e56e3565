# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users who leave, come back, and are removed; the last admin; keys. World.run proves each plan's second run empty."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import LimitError
from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS, Limit
from ansible_collections.identity.roster.plugins.module_utils._linux import engine, files, follow_up, home_archive
from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Disabled
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected

from .linux_hosts import HASH, TODAY, World, changes, failures, fields, many, roster, user
from .linux_trees import Target, needs_root, target

__all__ = ["target"]

ANNA = user("anna", uid=5000, password_hash=HASH, groups=("crew2",), admin=True, enabled=True)
BERT = user("bert", uid=5001, enabled=True)
BERT_ADMIN = user("bert", uid=5001, password_hash=HASH, admin=True)
CREW = [Group("crew2", gid=6000)]
BOTH = roster(ANNA, BERT, groups=CREW)
WITHOUT_ANNA = roster(BERT, groups=CREW)


def leave(host: World) -> None:
    """Anna's last day but one: the next run removes her account."""
    host.run(WITHOUT_ANNA)
    host.today += 1


def world(**options: Any) -> World:
    made = World().with_options(missing_users="remove", **options)
    made.run(BOTH)
    made.host.owners["/home/anna"] = 5000
    return made


def test_a_leaver_is_disabled_waits_and_is_removed() -> None:
    host = world()
    host.append("group", "staffers:x:7000:local,anna")
    host.append("gshadow", "staffers:!:anna:local,anna")
    plan = host.run(WITHOUT_ANNA)
    assert changes(plan) == {"user anna": "disable"} and plan.due == TODAY + 30
    for day in (1, 29):
        host.today = TODAY + day
        plan = host.run(WITHOUT_ANNA)
        assert plan.outcome.changes == [] and plan.due == TODAY + 30 and not plan.removed
    host.today = TODAY + 30
    plan = host.run(WITHOUT_ANNA)
    assert changes(plan) == {"user anna": "remove"} and plan.removed == ["anna"]
    assert fields(plan, "anna") == {
        "uid": (5000, None),
        "groups": (["crew2", "staffers"], []),
        "home": ("/home/anna", None),
        "home_archive": (None, "/var/lib/identity-roster/archives/anna-5000-2024-10-04.tar"),
    }
    for file in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
        assert host.line(file, "anna") is None, file
    for file in ("group", "gshadow"):
        assert host.line(file, "staffers") == {"group": "staffers:x:7000:local", "gshadow": "staffers:!::local"}[file]
    assert host.members("crew2") == []
    assert host.ledger.users["id-anna"].removed == TODAY + 30


@pytest.mark.parametrize("homes", ["archive", "keep", "delete"])
def test_what_becomes_of_the_home(homes: str) -> None:
    host = world(removed_homes=homes, remove_after=1)
    leave(host)
    plan = host.plan(WITHOUT_ANNA)
    archive = "/var/lib/identity-roster/archives/anna-5000-2024-10-04.tar" if homes == "archive" else None
    assert [(item.home, item.archive) for item in plan.removals] == [("" if homes == "keep" else "/home/anna", archive)]
    expected: dict[str, Any] = {"uid": (5000, None), "groups": (["crew2"], [])}
    if homes != "keep":
        expected["home"] = ("/home/anna", None)
    if archive:
        expected["home_archive"] = (None, archive)
    assert fields(plan, "anna") == expected
    host.run(WITHOUT_ANNA)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda host: host.host.owners.update({"/home/anna": 5009}), "does not belong to it"),
        (lambda host: host.set_field("passwd", "local", 5, "/home/anna/sub"), "holds the home of 'local'"),
        (lambda host: host.set_field("passwd", "local", 5, "/home/anna"), "home of"),
    ],
    ids=["another's", "above another's", "shared"],
)
def test_a_home_that_is_not_only_the_users_own_stays(spoil: Any, words: str) -> None:
    host = world(remove_after=1)
    spoil(host)
    leave(host)
    plan = host.run(WITHOUT_ANNA)
    assert plan.removed == ["anna"] and plan.removals[0].home == ""
    assert [warning for warning in plan.outcome.warnings if words in warning]


def test_back_within_the_grace_period_all_is_as_it_was() -> None:
    host = world()
    host.set_field("shadow", "anna", 7, "20900")
    before = dict(host.contents)
    host.run(WITHOUT_ANNA)
    assert host.field("shadow", "anna", 1) == "!" + HASH and "anna" not in host.members("sudo")
    host.today += 20
    silent = user("anna", uid=5000)
    plan = host.run(roster(silent, BERT, groups=CREW))
    assert changes(plan) == {"user anna": "enable"} and fields(plan, "anna")["admin"] == (False, True)
    assert host.line("shadow", "anna") == next(
        line for line in (before["shadow"] or b"").decode().split("\n") if line.startswith("anna:")
    )
    assert "anna" in host.members("sudo") and "anna" in host.members("crew2")
    assert host.ledger.users["id-anna"].disabled is None
    host.today += 20
    assert changes(host.run(WITHOUT_ANNA)) == {"user anna": "disable"}, "the days begin anew"


@pytest.mark.parametrize(
    ("password", "expire", "said"),
    [("!" + HASH, "20900", {"expire": ("1", "20900")}), ("!" + HASH, "1", {}), (HASH, "1", {})],
    ids=["locked", "locked and expired", "expired"],
)
def test_a_lock_set_by_hand_outlives_an_absence(password: str, expire: str, said: dict[str, Any]) -> None:
    host = world()
    silent = user("bert", uid=5001, password_hash=HASH)
    host.run(roster(silent, ANNA, groups=CREW))
    host.set_field("shadow", "bert", 1, password)
    host.set_field("shadow", "bert", 7, expire)
    host.run(roster(ANNA, groups=CREW))
    assert (host.field("shadow", "bert", 1), host.field("shadow", "bert", 7)) == ("!" + HASH, "1")
    plan = host.run(roster(silent, ANNA, groups=CREW))
    assert fields(plan, "bert") == said and host.field("shadow", "bert", 1) == "!" + HASH
    assert host.field("shadow", "bert", 7) == expire and host.ledger.users["id-bert"].disabled is None
    plan = host.run(roster(BERT, ANNA, groups=CREW))
    assert changes(plan) == {"user bert": "enable"} and host.field("shadow", "bert", 1) == HASH


@pytest.mark.parametrize("since", [0, 1, TODAY + 400])
def test_days_counted_by_a_wrong_clock_do_not_count(since: int) -> None:
    host = world()
    host.run(WITHOUT_ANNA)
    entry = host.ledger.users["id-anna"]
    assert entry.disabled is not None
    host.ledger.users["id-anna"] = type(entry)(
        **{**vars(entry), "disabled": Disabled("missing", since, entry.disabled.expire)}
    )
    plan = host.run(WITHOUT_ANNA)
    assert plan.outcome.changes == [] and plan.due == TODAY + 30
    host.today += 29
    assert host.run(WITHOUT_ANNA).removed == []


def test_somebody_who_was_enabled_by_hand_waits_anew() -> None:
    host = world()
    host.run(WITHOUT_ANNA)
    host.set_field("shadow", "anna", 1, HASH)
    host.set_field("shadow", "anna", 7, "")
    host.today += 40
    plan = host.run(WITHOUT_ANNA)
    assert changes(plan) == {"user anna": "disable"} and plan.due == TODAY + 70


def test_the_uid_and_gid_are_never_given_to_another() -> None:
    host = world(remove_after=1)
    leave(host)
    host.run(WITHOUT_ANNA)
    gid = host.ledger.users["id-anna"].gid
    plan = host.run(roster(BERT, user("carl", uid=5000), groups=CREW))
    assert "was 'anna''s and is never given to another" in failures(plan)["carl"]
    plan = host.run(roster(BERT, user("carl", uid=5002, gid=gid), groups=[*CREW, Group("late", gid=gid)]))
    assert "own group and is never given to another" in failures(plan)["late"]
    plan = host.run(roster(BERT, user("carl"), user("anna", id="another"), groups=CREW))
    assert not plan.outcome.failed
    assert host.field("passwd", "anna", 2) != "5000", "the same name again is another person"
    plan = host.run(roster(BERT, user("anna2", id="id-anna"), groups=CREW))
    assert host.field("passwd", "anna2", 2) == "5000" and host.field("passwd", "anna2", 3) == str(gid)


def test_processes_and_protected_groups_hold_an_account() -> None:
    host = world(remove_after=1)
    leave(host)
    host.host.busy.add(5000)
    plan = host.run(WITHOUT_ANNA)
    assert "end_sessions" in failures(plan)["anna"] and plan.due == TODAY + 1 and host.line("passwd", "anna")
    assert host.with_options(end_sessions=True).plan(WITHOUT_ANNA).removed == ["anna"]
    host.with_options(end_sessions=False, protected_groups=frozenset({"crew2"}))
    host.host.busy.clear()
    assert "protected_groups" in failures(host.run(WITHOUT_ANNA))["anna"]
    host.with_options(protected_groups=frozenset())
    assert host.run(WITHOUT_ANNA).removed == ["anna"]


def test_a_private_group_with_others_in_it_stays() -> None:
    host = world(remove_after=1)
    host.set_field("group", "anna", 3, "local")
    leave(host)
    plan = host.run(WITHOUT_ANNA)
    assert plan.removed == ["anna"] and host.members("anna") == ["local"]
    assert [warning for warning in plan.outcome.warnings if "its group stays" in warning]


def test_only_owned_accounts_and_only_when_asked() -> None:
    for choice, removed in (("ignore", []), ("disable", []), ("remove", ["anna"])):
        host = world(remove_after=1)
        leave(host)
        host.with_options(missing_users=choice)
        assert host.run(WITHOUT_ANNA).removed == removed, choice
    assert host.line("passwd", "local"), "nobody's user of ours"


@pytest.mark.parametrize("cut_after", range(1, 7))
def test_a_removal_that_is_cut_off_between_two_files(cut_after: int) -> None:
    """The ledger says removed already, and what passwd still has is removed again."""
    whole, cut = world(remove_after=1), world(remove_after=1)
    for host in (whole, cut):
        leave(host)
    whole.run(WITHOUT_ANNA)
    plan = cut.plan(WITHOUT_ANNA)
    new = plan.accounts.contents()
    for file in ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")[:cut_after]:
        cut.contents[file] = new[file]
    cut.ledger = plan.ledger
    again = cut.run(WITHOUT_ANNA)
    assert cut.contents == whole.contents and cut.ledger == whole.ledger
    assert [removal.home for removal in again.removals] == ["/home/anna"]
    assert changes(again) == {"user anna": "remove"}


@pytest.mark.parametrize("how", ["another uid", "adopted with another uid", "removed by hand, name of another"])
def test_a_uid_stays_a_tombstone_whoever_comes_back(how: str) -> None:
    host = World().with_options(missing_users="remove", remove_after=1)
    host.run(BOTH)
    host.host.owners["/home/anna"] = 5000
    back = user("anna", uid=5009)
    if how.startswith("removed by hand"):
        for file in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
            host.drop(file, "anna")
        back = user("anna", id="another", uid=5009)
    else:
        leave(host)
        host.run(WITHOUT_ANNA)
        if how.startswith("adopted"):
            host.append("passwd", "anna:x:5009:100::/home/anna:/bin/sh")
            host.with_options(adopt=frozenset({"anna"}))
    plan = host.run(roster(BERT, back, groups=CREW))
    assert not plan.outcome.failed and host.field("passwd", "anna", 2) == "5009"
    plan = host.run(roster(BERT, back, user("carl", uid=5000), groups=CREW))
    assert "never given to another" in failures(plan)["carl"]


def test_a_uid_of_an_account_that_went_over_to_another_id() -> None:
    host = World()
    host.run(BOTH)
    plan = host.with_options(adopt=frozenset({"anna"})).run(
        roster(BERT, user("anna", id="new"), user("zed", uid=5000), groups=CREW)
    )
    assert "never given to another" in failures(plan)["zed"] and "new" in host.ledger.users


def test_a_leaver_who_is_adopted_under_another_id_is_as_before() -> None:
    host = world()
    host.set_field("shadow", "anna", 7, "20900")
    host.run(WITHOUT_ANNA)
    host.with_options(adopt=frozenset({"anna"})).run(roster(BERT, user("anna", id="new"), groups=CREW))
    assert (host.field("shadow", "anna", 1), host.field("shadow", "anna", 7)) == (HASH, "20900")
    assert host.ledger.users["new"].disabled is None


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_record_that_can_not_be_used_ends_the_absence(by: str) -> None:
    host = world()
    host.run(WITHOUT_ANNA)
    host.today += 20
    entry = Rejected("user", "uid", "is no number", **{by: "id-anna" if by == "id" else "anna"})
    host.run(roster(BERT, groups=CREW, rejected=[entry]))
    host.today += 11
    assert host.run(WITHOUT_ANNA).removed == []
    host.today += 20
    assert host.run(WITHOUT_ANNA).removed == ["anna"]


def test_days_before_somebody_enabled_the_account_by_hand_never_count() -> None:
    host = world().with_options(missing_users="disable")
    host.run(WITHOUT_ANNA)
    host.set_field("shadow", "anna", 1, HASH)
    host.today += 40
    host.run(WITHOUT_ANNA)
    host.today += 1
    assert host.with_options(missing_users="remove").run(WITHOUT_ANNA).removed == []


def test_processes_that_can_not_be_found_hold_an_account() -> None:
    host = world(remove_after=1)
    leave(host)

    def refuse(uids: frozenset[int]) -> set[int]:
        raise OSError(2, "No such file or directory: /proc")

    host.host.busy_uids = refuse  # type: ignore[method-assign]
    assert "can't be found" in failures(host.run(WITHOUT_ANNA))["anna"]


def test_a_removal_makes_the_next_run_look_for_who_waited_for_the_name() -> None:
    host = world(remove_after=1)
    leave(host)
    assert host.run(WITHOUT_ANNA).due is None, "nobody waits"
    host = world(remove_after=1)
    leave(host)
    plan = host.run(roster(BERT, user("anna", id="another"), groups=CREW))
    assert plan.removed == ["anna"] and "another person" in failures(plan)["anna"] and plan.due == host.today
    assert changes(host.run(roster(BERT, user("anna", id="another"), groups=CREW))) == {"user anna": "create"}


@pytest.mark.parametrize("what", ["removals", "renames", "a chain of renames"])
def test_many_at_once_take_no_longer_each(what: str) -> None:
    """A way that grows with the square would take minutes."""
    count = 4000
    host = World().with_options(missing_users="remove", remove_after=1, protected_groups=frozenset({"crew"}))
    listed = ",".join(f"other{number}" for number in range(count))
    host.set_field("group", "crew", 3, listed)
    host.run(roster(*many(count)))
    wanted = roster()
    if what == "removals":
        leave_all = host.plan(wanted)
        host.contents = {**host.contents, **leave_all.accounts.contents()}
        host.ledger = leave_all.ledger
        host.today += 1
    else:
        shift = 1 if what.startswith("a chain") else 10000
        wanted = roster(
            *(user(f"u{number + shift:05d}", id=f"id-u{number:05d}", uid=30000 + number) for number in range(count))
        )
    began = time.process_time()
    plan = host.plan(wanted)
    assert time.process_time() - began < 4
    assert len(plan.removed) + len(plan.renamed) == (1 if what.startswith("a chain") else count)


class TestLastAdmin:
    """``ansible`` and ``local`` are made no admins of: then only ours are."""

    def host(self, **options: Any) -> World:
        made = World().with_options(**options)
        made.set_field("group", "sudo", 3, "")
        made.set_field("gshadow", "sudo", 3, "")
        made.run(BOTH)
        assert made.members("sudo") == ["anna"]
        return made

    @pytest.mark.parametrize(
        "wanted",
        [
            roster(user("anna", uid=5000, admin=False), BERT, groups=CREW),
            roster(user("anna", uid=5000, enabled=False), BERT, groups=CREW),
            WITHOUT_ANNA,
            roster(groups=CREW),
        ],
        ids=["revoked", "disabled", "left", "all left"],
    )
    def test_the_last_one_stays(self, wanted: Any) -> None:
        host = self.host()
        before = host.line("passwd", "anna"), host.line("shadow", "anna")
        plan = host.run(wanted)
        assert "last enabled admin" in failures(plan)["anna"]
        assert (host.line("passwd", "anna"), host.line("shadow", "anna")) == before
        assert host.members("sudo") == ["anna"]
        without = self.host(require_admin=False)
        without.run(wanted)
        assert without.members("sudo") == []

    def test_not_when_another_takes_over(self) -> None:
        host = self.host()
        plan = host.run(roster(user("anna", uid=5000, admin=False), BERT_ADMIN, groups=CREW))
        assert not plan.outcome.failed and host.members("sudo") == ["bert"]

    def test_not_when_the_one_who_takes_over_can_not(self) -> None:
        host = self.host()
        plan = host.run(roster(user("anna", uid=5000, admin=False), BERT, user("carl", uid=20000, admin=True)))
        assert set(failures(plan)) == {"anna", "carl"} and host.members("sudo") == ["anna"]

    @pytest.mark.parametrize(("expire", "stays"), [("", False), ("99999", False), ("1", True), (str(TODAY), True)])
    def test_admins_of_others_count_while_they_are_enabled(self, expire: str, stays: bool) -> None:
        host = self.host()
        host.set_field("group", "sudo", 3, "local,anna")
        host.set_field("shadow", "local", 7, expire)
        plan = host.run(WITHOUT_ANNA)
        assert ("anna" in failures(plan)) == stays and ("anna" in host.members("sudo")) == stays

    def test_of_two_the_one_whom_the_source_still_knows(self) -> None:
        host = self.host()
        host.run(roster(ANNA, user("bert", uid=5001, admin=True), groups=CREW))
        plan = host.run(roster(user("bert", uid=5001, enabled=False), groups=CREW))
        assert set(failures(plan)) == {"bert"} and host.members("sudo") == ["bert"]

    def test_not_by_taking_the_account_over(self) -> None:
        host = World().with_options(adopt=frozenset({"local"}), protected={})
        host.set_field("group", "sudo", 3, "local")
        host.set_field("gshadow", "sudo", 3, "local")
        host.set_field("shadow", "local", 7, "")
        plan = host.run(roster(user("local", admin=False, enabled=False)))
        assert "last enabled admin" in failures(plan)["local"] and host.members("sudo") == ["local"]

    def test_not_by_giving_the_account_to_another_id(self) -> None:
        host = self.host(adopt=frozenset({"anna"}))
        host.run(roster(user("anna", id="new", uid=5000, admin=False), BERT, groups=CREW))
        assert host.members("sudo") == ["anna"] and host.field("shadow", "anna", 7) == ""

    def test_a_newcomer_without_password_and_key_does_not_take_over(self) -> None:
        host = self.host(authorized_keys=True)
        revoked = user("anna", uid=5000, admin=False)
        plan = host.run(roster(revoked, user("carl", uid=5003, admin=True), groups=CREW))
        assert "last enabled admin" in failures(plan)["anna"] and set(host.members("sudo")) == {"anna", "carl"}
        host = self.host(authorized_keys=True)
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a@b"
        for way in ({"password_hash": HASH}, {"ssh_public_keys": (key,)}):
            host = self.host(authorized_keys=True)
            host.run(roster(revoked, user("carl", uid=5003, admin=True, **way), groups=CREW))
            assert host.members("sudo") == ["carl"]

    def test_where_nobody_has_a_password_here_another_takes_over(self) -> None:
        host = self.host()
        host.set_field("shadow", "anna", 1, "*")
        host.run(roster(user("anna", uid=5000, admin=False), user("carl", uid=5003, admin=True), groups=CREW))
        assert host.members("sudo") == ["carl"]

    def test_a_host_without_admins_is_not_in_the_way(self) -> None:
        host = World()
        host.set_field("group", "sudo", 3, "")
        host.set_field("gshadow", "sudo", 3, "")
        host.run(roster(BERT))
        assert not host.run(roster()).outcome.failed


def test_protected_groups_stay_as_they_are() -> None:
    host = World().with_options(protected_groups=frozenset({"crew", "fresh"}))
    before = host.line("group", "crew"), host.line("gshadow", "crew")
    plan = host.run(roster(user("anna", groups=("crew", "fresh")), groups=[Group("crew"), Group("fresh")]))
    assert {entry.name for entry in plan.outcome.rejected} == {"crew", "fresh"}
    assert (host.line("group", "crew"), host.line("gshadow", "crew")) == before and host.line("group", "fresh") is None


def test_the_members_of_an_owned_group_that_came_to_be_protected_stay() -> None:
    host = World()
    host.run(BOTH)
    host.with_options(protected_groups=frozenset({"crew2"}))
    host.run(roster(user("anna", uid=5000, admin=True), BERT))
    assert host.members("crew2") == ["anna"]


class TestOnDisk:
    """The engine with a removal at hand: what it does when the disk does not do as it is told."""

    UID = 5000

    @pytest.fixture
    def leaving(self, target: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
        target.options = replace(target.options, missing_users="remove", remove_after=1, create_homes=True)
        day = [TODAY]
        monkeypatch.setattr(engine, "_today", lambda: day[0])
        target.run(BOTH)
        (target.root / "home/anna/letter").write_text("dear")
        target.run(WITHOUT_ANNA)
        day[0] += 1
        return target

    @needs_root
    def test_what_could_not_be_removed_is_tried_again(self, leaving: Target, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: Any) -> None:
            raise OSError(16, "another file system is mounted there")

        monkeypatch.setattr(follow_up, "remove_home", refuse)
        done = leaving.run(WITHOUT_ANNA)
        assert [set(change.fields) for change in done.changes] == [{"uid", "groups", "home_archive"}]
        for _again in range(2):
            with pytest.raises(engine.RosterNeeded):
                leaving.ask(WITHOUT_ANNA)
            done = leaving.run(WITHOUT_ANNA)
            assert (
                "mounted" in done.failed[0].reason
                and not done.changes
                and leaving.run(WITHOUT_ANNA, check=True).changes
            )
        monkeypatch.undo()
        assert leaving.run(WITHOUT_ANNA).changes and not (leaving.root / "home/anna").exists()
        assert not leaving.run(WITHOUT_ANNA).changes and not leaving.ask(WITHOUT_ANNA).failed

    @needs_root
    def test_a_home_that_changes_under_our_hands_is_not_removed(
        self, leaving: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = leaving.root / "home/other"
        other.mkdir()
        os.chown(other, self.UID, self.UID)
        prepare = follow_up.prepare_removals

        def meanwhile(*arguments: Any) -> dict[str, str]:
            stuck = prepare(*arguments)
            passwd = leaving.path("passwd")
            passwd.write_text(passwd.read_text().replace("/home/anna:", "/home/other:"))
            return stuck

        monkeypatch.setattr(engine, "prepare_removals", meanwhile)
        done = leaving.run(WITHOUT_ANNA)
        assert "changed meanwhile" in done.failed[0].reason
        assert other.is_dir() and (leaving.root / "home/anna/letter").exists() and leaving.line("passwd", "anna")

    @needs_root
    def test_one_archive_that_fails_does_not_undo_the_approval(
        self, leaving: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        none = {**DEFAULTS, "removals": Limit(0, 0), "leavers": Limit(9, 0), "disables": Limit(9, 0)}
        empty = roster(groups=CREW)
        leaving.options = replace(leaving.options, remove_after=3)
        leaving.run(empty, limits=none)
        later = engine._today() + 3
        monkeypatch.setattr(engine, "_today", lambda: later)
        with pytest.raises(LimitError) as refused:
            leaving.run(empty, limits=none)
        assert refused.value.outcome.summary()["removed"] == 2
        os.chown(leaving.root / "home/anna", self.UID, self.UID)
        archive = home_archive.archive_home

        def full(root: str, home: str, uid: int, destination: str) -> None:
            if home == "/home/anna":
                raise OSError(28, "no room")
            archive(root, home, uid, destination)

        monkeypatch.setattr(follow_up, "archive_home", full)
        done = leaving.run(empty, limits=none, approved=frozenset({refused.value.outcome.plan_digest()}))
        assert done.summary()["removed"] == 1 and "no room" in done.failed[0].reason
        assert leaving.line("passwd", "anna") and not leaving.line("passwd", "bert")

    @pytest.mark.parametrize("uid", [60100, 700])
    def test_sessions_of_an_odd_uid_and_without_proc(self, uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def none(users: dict[str, int]) -> dict[str, str]:
            asked.append(users)
            raise OSError(2, "No such file or directory")

        monkeypatch.setattr(follow_up, "end_sessions", none)
        found = follow_up._end({"anna": uid, "bert": 5001})
        assert asked == [{"bert": 5001}] and "reserved" in found["anna"] and "can't be found" in found["bert"]


@needs_root
def test_a_home_that_vanished_on_its_way_is_made_anew(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.options = replace(target.options, move_homes=True, create_homes=True)
    target.run(roster(user("anna", id="1", uid=5000)))
    commit = files.AccountFiles.commit

    def meanwhile(self: files.AccountFiles, *arguments: Any) -> None:
        commit(self, *arguments)
        shutil.rmtree(target.root / "home/anna")

    monkeypatch.setattr(files.AccountFiles, "commit", meanwhile)
    wanted = roster(user("annika", id="1", uid=5000))
    assert not target.run(wanted).failed
    monkeypatch.undo()
    assert [set(change.fields) for change in target.run(wanted).changes] == [{"home_directory"}]
    assert not target.run(wanted).changes and (target.root / "home/annika/.profile").exists()
