# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run at a service: what is made, what is tried again only after another look, and what is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import LimitError, TargetError
from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS, Limit
from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome
from ansible_collections.identity.roster.plugins.module_utils._pairing import Account
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Plan, Policy, Step, reconcile
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._targets.service import (
    GIVE_UP_AFTER,
    Done,
    Run,
    Service,
    StepFailed,
    Unclear,
    run,
)
from ansible_collections.identity.roster.plugins.module_utils._targets.service_state import ServiceState, StateFile

from .test_pairing import KEYS, keys_of, user
from .test_reconcile import compare

TARGET = "https://acme.example/api"


class Fake(Service):
    """A service in memory. ``before`` and ``after`` are called around the effect of each step, and may raise."""

    def __init__(self, accounts: Sequence[Account] = (), **policy: Any) -> None:
        self.accounts = {account.id: account for account in accounts}
        self.policy = Policy(KEYS, **policy)
        self.before: Callable[[Step], None] = lambda step: None
        self.after: Callable[[Step], None] = lambda step: None
        self.reads = 0
        self.made: list[tuple[str, str]] = []
        self.reports: list[tuple[str, str | None]] = []
        self.calls: list[str] = []
        self.guard = threading.Lock()

    def read(self) -> list[Account]:
        self.reads += 1
        return list(self.accounts.values())

    def plan(self, roster: Roster, accounts: Sequence[Account], state: ServiceState) -> Plan:
        return reconcile(roster, accounts, state.accounts(), state.disabled(), self.policy, keys_of, compare)

    def make(self, step: Step) -> Done:
        self.before(step)
        with self.guard:
            self.made.append((step.action, step.name))
            identity = step.account.id if step.account else f"new-{step.name}"
            if step.action == "remove":
                del self.accounts[identity]
            else:
                keys = keys_of(step.user) if step.user else dict(self.accounts[identity].keys)
                name = step.fields.get("name", (None, None))[1] or (step.account.data if step.account else None)
                self.accounts[identity] = Account(identity, step.name, keys, step.action != "disable", name)
        self.after(step)
        return Done(identity)

    def preview(self, plan: Plan, outcome: Outcome) -> None:
        self.calls.append("preview")

    def begin(self, plan: Plan, outcome: Outcome) -> None:
        self.calls.append("begin")

    def report(self, step: Step, problem: str | None) -> None:
        with self.guard:
            self.reports.append((step.name, problem))

    def end(self, outcome: Outcome) -> None:
        self.calls.append("end")


def users(count: int) -> list[User]:
    return [user(str(number), f"u{number}@x", full_name=f"U{number}") for number in range(count)]


def start(service: Fake, folder: Path, people: Sequence[User], **request: Any) -> Outcome:
    given: dict[str, Any] = {"limits": DEFAULTS, "approved": frozenset(), "check_mode": False, **request}
    roster = Roster({}, tuple(people), (), given.pop("rejected", ()))
    path = given.pop("path", str(folder / "state.json"))
    return run(service, StateFile(path, TARGET, not given["check_mode"]), Run(roster, "digest", **given))


def state(folder: Path) -> ServiceState:
    return StateFile(str(folder / "state.json"), TARGET, writes=False).read()


def shown(outcome: Outcome) -> list[tuple[str, str]]:
    return [(change.action, change.name) for change in outcome.changes]


@pytest.mark.parametrize("workers", [1, 4])
def test_check_is_what_a_run_does_and_then_nothing_is_left(tmp_path: Path, workers: int) -> None:
    people = [*users(5), user("off", "off@x", enabled=False)]
    service = Fake([Account("O", "off@x", {"email": "off@x"}), Account("A", "u0@x", {"email": "u0@x"}, data="Old")])
    planned = start(service, tmp_path, people, check_mode=True, workers=workers)
    assert (service.made, service.calls, list(tmp_path.iterdir())) == ([], ["preview"], [])
    done = start(service, tmp_path, people, workers=workers)
    assert done.as_result() == planned.as_result()
    assert service.made[:2] == [("disable", "off@x"), ("update", "u0@x")]
    assert {name for _action, name in service.made[2:]} == {f"u{number}@x" for number in range(1, 5)}
    assert state(tmp_path).disabled() == {"off"}
    assert service.calls == ["preview", "begin", "end"]
    assert start(service, tmp_path, people).changes == []
    assert (len(service.made), service.reads) == (6, 3)


def test_a_refused_step_stops_no_other(tmp_path: Path) -> None:
    service = Fake()

    def refuse(step: Step) -> None:
        if step.name == "u1@x":
            raise StepFailed("is taken")

    service.before = refuse
    done = start(service, tmp_path, users(3))
    assert shown(done) == [("create", "u0@x"), ("create", "u2@x")]
    assert [(failure.name, failure.reason) for failure in done.failed] == [("u1@x", "is taken")]
    assert set(state(tmp_path).owned) == {"0", "2"}
    assert service.reads == 1


@pytest.mark.parametrize("happened", [True, False])
def test_an_unclear_step_is_looked_at_before_it_is_made_again(tmp_path: Path, happened: bool) -> None:
    service = Fake()
    broken = {"u1@x"}

    def lose(step: Step) -> None:
        if step.name in broken:
            broken.discard(step.name)
            raise Unclear("the connection was lost")

    if happened:
        service.after = lose
    else:
        service.before = lose
    done = start(service, tmp_path, users(3))
    assert sorted(shown(done)) == [("create", f"u{number}@x") for number in range(3)]
    assert done.failed == []
    assert sorted(service.made) == sorted(shown(done))
    assert (service.reads, len(service.accounts)) == (2, 3)
    assert set(state(tmp_path).owned) == {"0", "1", "2"}
    assert sorted(service.reports) == [(f"u{number}@x", None) for number in range(3)]


@pytest.mark.parametrize("required", [False, True], ids=["free", "required"])
@pytest.mark.parametrize("name", [None, "Stranger"], ids=["nobody", "stranger"])
def test_what_is_still_missing_after_an_unclear_step_is_what_was_approved(
    tmp_path: Path, name: str | None, required: bool
) -> None:
    """Somebody else makes an account of that address in between: its change was in no plan that anybody saw."""
    service = Fake()
    people = [user("1", "anna@x", full_name="Anna")]
    approved = frozenset({start(service, tmp_path, people, check_mode=True).plan_digest()})

    def lose(step: Step) -> None:
        service.before = lambda step: None
        if name is not None:
            service.accounts["S"] = Account("S", "anna@x", {"email": "anna@x"}, data=name)
        raise Unclear("lost")

    service.before = lose
    done = start(service, tmp_path, people, approved=approved, require_approval=required)
    if name is not None and required:
        reason = "lost; and then the account was another than the approved plan is for: it was left"
        assert [(failure.name, failure.reason) for failure in done.failed] == [("anna@x", reason)]
        assert (service.made, service.reports, done.changes) == ([], [("anna@x", reason)], [])
        assert service.accounts["S"].data == "Stranger"
    else:
        assert (done.failed, service.reports) == ([], [("anna@x", None)])
        assert [account.data for account in service.accounts.values()] == ["Anna"]


@pytest.mark.parametrize("action", ["remove", "disable"])
def test_an_unclear_leaver(tmp_path: Path, action: str) -> None:
    people = users(40)
    service = Fake(missing=action)
    start(service, tmp_path, people)

    def lose(step: Step) -> None:
        service.after = lambda step: None
        raise Unclear("lost")

    service.after = lose
    done = start(service, tmp_path, people[1:])
    assert (shown(done), done.failed) == ([(action, "u0@x")], [])
    assert ("0" in state(tmp_path).owned) == (action == "disable")


def test_what_stays_unclear_fails(tmp_path: Path) -> None:
    service = Fake()

    def lose(step: Step) -> None:
        if step.name == "u1@x":
            raise Unclear("answers 500")

    service.before = lose
    done = start(service, tmp_path, users(2), attempts=2)
    assert shown(done) == [("create", "u0@x")]
    assert [(failure.name, failure.reason) for failure in done.failed] == [("u1@x", "answers 500")]
    assert service.reads == 3


def test_a_service_that_is_down_is_left_alone_soon(tmp_path: Path) -> None:
    service = Fake()
    tried: list[str] = []

    def lose(step: Step) -> None:
        tried.append(step.name)
        raise Unclear("answers 503")

    service.before = lose
    done = start(service, tmp_path, users(200), attempts=1)
    assert (done.changes, len(done.failed)) == ([], 200)
    assert len(tried) == 2 * GIVE_UP_AFTER
    assert sum("was not tried" in failure.reason for failure in done.failed) == 200 - GIVE_UP_AFTER


def test_a_service_that_can_not_be_read_again(tmp_path: Path) -> None:
    service = Fake()

    def down() -> list[Account]:
        raise TargetError("is down")

    def lose(step: Step) -> None:
        service.read = down  # type: ignore[method-assign]
        raise Unclear("lost")

    service.after = lose
    done = start(service, tmp_path, users(1))
    assert [failure.reason for failure in done.failed] == ["lost; and then: is down"]


def test_what_was_made_in_part(tmp_path: Path) -> None:
    service = Fake()
    made = service.make
    service.make = lambda step: Done(made(step).account, problem="no picture", undone=("name",))  # type: ignore[method-assign]
    done = start(service, tmp_path, users(1))
    assert [dict(change.fields) for change in done.changes] == [{}]
    assert [failure.reason for failure in done.failed] == ["no picture"]
    assert set(state(tmp_path).owned) == {"0"}


def test_a_run_that_breaks_off_keeps_what_it_knows(tmp_path: Path) -> None:
    service = Fake()

    def stop(step: Step) -> None:
        if step.name == "u2@x":
            raise KeyboardInterrupt

    service.before = stop
    with pytest.raises(KeyboardInterrupt):
        start(service, tmp_path, users(5))
    assert {"0", "1"} <= set(state(tmp_path).owned)


def test_a_state_that_can_not_be_written_any_more_hides_nothing_that_was_done(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    service = Fake()

    def lose(step: Step) -> None:
        if folder.is_dir():
            folder.rename(tmp_path / "away")
            folder.write_text("no directory")

    service.after = lose
    done = start(service, tmp_path, users(3), path=str(folder / "state.json"))
    assert len(service.accounts) == 3
    assert [change.name for change in done.changes] == ["u0@x", "u1@x", "u2@x"]
    (failure,) = done.failed
    assert (failure.kind, failure.name) == ("state", str(folder / "state.json"))
    assert "is not recorded" in failure.reason


def test_a_ban_is_known_before_it_is_sent(tmp_path: Path) -> None:
    people = users(40)
    service = Fake()
    start(service, tmp_path, people)
    seen: list[bool] = []
    service.before = lambda step: seen.append("0" in state(tmp_path).disabled())
    start(service, tmp_path, people[1:])
    assert seen == [True]
    service.before = lambda step: None
    back = start(service, tmp_path, people)
    assert shown(back) == [("enable", "u0@x")]
    assert state(tmp_path).disabled() == frozenset()


def test_an_administrator_who_unbans_has_the_last_word_on_whose_ban_it_is(tmp_path: Path) -> None:
    people = users(40)
    service = Fake()
    start(service, tmp_path, people)
    start(service, tmp_path, people[1:])
    (found,) = [account for account in service.accounts.values() if account.label == "u0@x"]
    service.accounts[found.id] = Account(found.id, found.label, found.keys, True, found.data)
    start(service, tmp_path, people)
    assert state(tmp_path).disabled() == frozenset()


def test_limits_and_approval(tmp_path: Path) -> None:
    people = users(20)
    service = Fake()
    start(service, tmp_path, people)
    before = dict(service.accounts)
    for check in (True, False):
        with pytest.raises(LimitError, match="it would disable 15 of 20 owned accounts") as refused:
            start(service, tmp_path, people[:5], check_mode=check)
        assert service.accounts == before
    digest = refused.value.outcome.plan_digest()
    assert digest in str(refused.value)
    assert len(start(service, tmp_path, people[:5], approved=frozenset({digest})).changes) == 15


def test_where_approval_is_required_nothing_else_is_sent(tmp_path: Path) -> None:
    service = Fake()
    planned = start(service, tmp_path, users(3), check_mode=True)
    for check in (True, False):
        with pytest.raises(LimitError, match="was not approved: it would create 3 users: u0@x, u1@x, u2@x") as refused:
            start(service, tmp_path, users(3), check_mode=check, require_approval=True)
        assert refused.value.outcome.plan_digest() == planned.plan_digest()
    approved = frozenset({planned.plan_digest()})
    with pytest.raises(LimitError, match="is not the one that was approved"):
        start(service, tmp_path, users(2), approved=approved, require_approval=True)
    service.unshown = {"send_invites": True}
    with pytest.raises(LimitError, match="is not the one that was approved"):
        start(service, tmp_path, users(3), approved=approved, require_approval=True)
    service.unshown = {}
    assert (service.made, state(tmp_path).owned) == ([], {})
    done = start(service, tmp_path, users(3), approved=approved, require_approval=True)
    assert done.as_result() == planned.as_result()
    assert start(service, tmp_path, users(3), require_approval=True).changes == []


def test_without_a_state_nothing_is_taken_away_and_that_is_said(tmp_path: Path) -> None:
    service = Fake([Account("A", "a@x", {"email": "a@x"})])
    done = start(service, tmp_path, users(1), path=None)
    assert shown(done) == [("create", "u0@x")]
    assert "there is no state_path" in done.warnings[0]
    assert list(tmp_path.iterdir()) == []


def test_a_listing_without_any_of_ours_is_not_believed(tmp_path: Path) -> None:
    service = Fake()
    start(service, tmp_path, users(3))
    service.accounts = {"L": Account("L", "local@x", {"email": "local@x"})}
    with pytest.raises(TargetError, match=r"none of the 3 accounts that .* records is listed"):
        start(service, tmp_path, users(3))
    assert len(service.accounts) == 1


def test_a_listing_without_many_of_ours_is_not_believed(tmp_path: Path) -> None:
    people = users(20)
    service = Fake()
    start(service, tmp_path, people)
    before, recorded = dict(service.accounts), state(tmp_path)
    service.accounts = dict(list(before.items())[:15])
    for check in (True, False):
        with pytest.raises(TargetError, match=r"5 of the 20 accounts that .* and the limit leavers allows 4"):
            start(service, tmp_path, people, check_mode=check)
    assert (len(service.accounts), state(tmp_path)) == (15, recorded)
    raised = {**DEFAULTS, "leavers": Limit(5, 0)}
    assert len(start(service, tmp_path, people, limits=raised).changes) == 5
    assert service.accounts.keys() == before.keys()


def test_an_account_that_was_deleted_there_is_made_again(tmp_path: Path) -> None:
    service = Fake()
    start(service, tmp_path, users(3))
    del service.accounts["new-u1@x"]
    assert shown(start(service, tmp_path, users(3))) == [("create", "u1@x")]
    del service.accounts["new-u1@x"]
    start(service, tmp_path, [users(3)[0], users(3)[2]])
    assert set(state(tmp_path).owned) == {"0", "2"}


def test_an_id_that_changed_at_the_source_takes_its_account_along(tmp_path: Path) -> None:
    service = Fake()
    start(service, tmp_path, [user("a@x", "a@x", full_name="A"), *users(3)])
    done = start(service, tmp_path, [user("e-1", "a@x", full_name="A"), *users(3)])
    assert done.changes == []
    assert set(state(tmp_path).owned) == {"e-1", "0", "1", "2"}


def test_rejected_records_do_not_fail_a_run(tmp_path: Path) -> None:
    rejected = (Rejected("user", "uid", "is odd", id="9"),)
    done = start(Fake(), tmp_path, users(1), rejected=rejected)
    assert (done.failed, [entry.id for entry in done.rejected]) == ([], ["9"])
