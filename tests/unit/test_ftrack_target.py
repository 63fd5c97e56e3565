# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ftrack adapter against the double: what reaches ftrack, in which requests, and what is left after a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import LimitError, TargetError
from tests.servers.ftrack.client import people
from tests.servers.ftrack.store import Rules
from tests.servers.ftrack.workspace import Workspace
from tests.unit.ftrack_runs import actions, person, sync

STAFF = [person("anna"), person("berta"), person("carl")]


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as running:
        yield running
    assert running.failures == []


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def active(workspace: Workspace) -> set[str]:
    return {user["username"] for user in workspace.store.all("User") if user["is_active"]} - {workspace.api_user}


def existing(workspace: Workspace, name: str, **values: Any) -> Mapping[str, Any]:
    """Somebody whom the collection did not create."""
    return workspace.store.add(
        "User", **{"username": name, "email": f"{name}@int.de", "first_name": name.title(), "last_name": "Muster",
                   "is_active": True, **values}
    )  # fmt: skip


# The life of a user


def test_create_update_nothing(workspace: Workspace, state: Path) -> None:
    planned = sync(workspace, STAFF, state, check=True)
    assert (workspace.writes, state.exists()) == ([], False)
    done = sync(workspace, STAFF, state)
    assert done.as_result() == planned.as_result()
    assert actions(done) == {"create": ["anna", "berta", "carl"]}
    assert people(workspace)["anna"] == {
        "email": "anna@int.de", "first_name": "Anna", "last_name": "Muster", "is_active": True, "user_type": None,
        "groups": [], "roles": [], "custom": {"ldap_id": ""},
    }  # fmt: skip
    (write,) = workspace.writes
    assert all(operation["entity_data"]["is_active"] is True for operation in write.operations)

    workspace.calls.clear()
    again = sync(workspace, STAFF, state)
    assert (again.changes, again.unchanged, again.warnings) == ([], 3, [])
    assert [call.actions for call in workspace.calls] == [["query", "query"]]

    changed = [person("anna", email="anna@new.de"), person("berta", last_name="Berg", first_name="B."), person("carl")]
    done = sync(workspace, changed, state)
    assert {change.name: change.fields for change in done.changes} == {
        "anna": {"email": ("anna@int.de", "anna@new.de")},
        "berta": {"first_name": ("Berta", "B."), "last_name": ("Muster", "Berg")},
    }
    (write,) = workspace.writes
    assert write.operations[0]["entity_data"] == {"__entity_type__": "User", "email": "anna@new.de"}
    assert workspace.store.user("berta")["last_name"] == "Berg"


def test_disabled_left_and_back(workspace: Workspace, state: Path) -> None:
    existing(workspace, "local")
    sync(workspace, STAFF, state)
    assert actions(sync(workspace, [person("anna", enabled=False), person("berta")], state)) == {
        "disable": ["anna", "carl"]
    }
    assert active(workspace) == {"berta", "local"}
    assert sync(workspace, [person("anna", enabled=False), person("berta")], state).changes == []

    never = sync(workspace, STAFF, state, policy={"enable": "never"})
    assert (never.changes, sorted(entry.name or "" for entry in never.rejected)) == ([], ["anna", "carl"])
    back = sync(workspace, [person("anna", email="a@new.de"), *STAFF[1:]], state)
    assert actions(back) == {"enable": ["anna", "carl"]}
    assert active(workspace) == {"anna", "berta", "carl", "local"}
    assert workspace.store.user("anna")["email"] == "a@new.de"

    # An administrator's own deactivation stays, unless all are asked for.
    workspace.store.change("carl", is_active=False)
    assert sync(workspace, STAFF, state).rejected[0].name == "carl"
    assert "carl" not in active(workspace)
    assert actions(sync(workspace, STAFF, state, policy={"enable": "all"}))["enable"] == ["carl"]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ({}, {"carl"}),
        ({"missing": "ignore"}, {"berta", "carl"}),
        ({"disable": False}, {"anna", "carl"}),
        ({"missing": "ignore", "disable": False}, {"anna", "berta", "carl"}),
    ],
    ids=["default", "missing_ignored", "disabled_ignored", "both_ignored"],
)
def test_policies(workspace: Workspace, state: Path, policy: dict[str, Any], left: set[str]) -> None:
    sync(workspace, STAFF, state)
    sync(workspace, [person("anna", enabled=False), person("carl")], state, policy=policy)
    assert active(workspace) == left


def test_nobody_is_ours_without_a_state(workspace: Workspace) -> None:
    sync(workspace, STAFF)
    left = sync(workspace, STAFF[:2])
    assert left.changes == []
    assert "no state_path" in left.warnings[0]
    assert active(workspace) == {"anna", "berta", "carl"}
    assert actions(sync(workspace, STAFF[:2], policy={"everybody": True})) == {"disable": ["carl"]}


def test_disabled_users_are_not_created(workspace: Workspace, state: Path) -> None:
    assert sync(workspace, [person("anna", enabled=False)], state).changes == []
    assert len(workspace.store.all("User")) == 1


def test_what_the_source_does_not_say_stays(workspace: Workspace, state: Path) -> None:
    existing(workspace, "anna", first_name="Annabell", email="own@int.de")
    assert sync(workspace, [{"username": "anna", "enabled": True}], state).changes == []
    blank = {"username": "anna", "enabled": True, "email": " ", "first_name": "", "full_name": ""}
    assert sync(workspace, [blank], state).changes == []
    done = sync(workspace, [blank], state, wishes={"erase": True})
    assert done.changes[0].fields == {"email": ("own@int.de", None), "first_name": ("Annabell", None)}
    assert workspace.store.user("anna")["email"] is None
    assert sync(workspace, [blank], state, wishes={"erase": True}).changes == []


# Who is whom


def test_rename_by_external_id(workspace: Workspace) -> None:
    options: dict[str, Any] = {"external_id_attribute": "ldap_id"}
    sync(workspace, STAFF, **options)
    assert workspace.store.custom("anna", "ldap_id") == "id-anna"
    identity = workspace.store.user("anna")["id"]
    done = sync(workspace, [person("anna", username="anna.berg", email="x@int.de"), *STAFF[1:]], **options)
    assert done.changes[0].fields == {"username": ("anna", "anna.berg"), "email": ("anna@int.de", "x@int.de")}
    assert workspace.store.user("anna.berg")["id"] == identity
    assert len(workspace.store.all("User")) == 4


def test_rename_by_state(workspace: Workspace, state: Path) -> None:
    sync(workspace, STAFF, state)
    identity = workspace.store.user("anna")["id"]
    sync(workspace, [person("anna", username="anna.berg"), *STAFF[1:]], state)
    assert workspace.store.user("anna.berg")["id"] == identity


def test_found_by_username_then_given_the_external_id(workspace: Workspace, state: Path) -> None:
    existing(workspace, "ANNA", first_name="ANNA")
    done = sync(workspace, [person("anna")], state, external_id_attribute="ldap_id")
    assert [change.fields for change in done.changes] == [
        {"external_id": (None, "id-anna"), "first_name": ("ANNA", "Anna")}
    ]
    assert workspace.store.custom("ANNA", "ldap_id") == "id-anna"


def test_email_only_when_asked_for(workspace: Workspace, state: Path) -> None:
    existing(workspace, "anna.old", email="ANNA@int.de")
    by_name = sync(workspace, [person("anna")], state, check=True)
    assert actions(by_name) == {"create": ["anna"]}
    done = sync(workspace, [person("anna")], state, wishes={"match": ("username", "email")})
    assert done.changes[0].fields["username"] == ("anna.old", "anna")
    assert len(workspace.store.all("User")) == 2


def test_ambiguous_and_contradicting_matches_fail_alone(workspace: Workspace, state: Path) -> None:
    workspace.rules.unique_usernames = False
    existing(workspace, "anna")
    existing(workspace, "Anna")
    other = existing(workspace, "berta")
    configuration = {"configuration_id": "cac-1", "entity_id": other["id"], "key": "ldap_id", "value": "somebody-else"}
    workspace.store.restore(
        {**workspace.store.snapshot(), "UserCustomAttributeValue": {("cac-1", other["id"]): configuration}}
    )
    before = workspace.store.snapshot()["User"]
    done = sync(workspace, STAFF, state, external_id_attribute="ldap_id")
    assert actions(done) == {"create": ["carl"]}
    reasons = {failure.name: failure.reason for failure in done.failed}
    assert "2 accounts" in reasons["anna"]
    assert "somebody-else" in reasons["berta"]
    after = workspace.store.snapshot()["User"]
    assert {key: after[key] for key in before} == before


# Who is never touched


def test_never_touched(workspace: Workspace, state: Path) -> None:
    existing(workspace, "render", user_type_id="ut-service")
    existing(workspace, "guest")
    workspace.store.add("Collaborator", email="carl@int.de", first_name="C", last_name="X")
    before = {name: workspace.store.user(name) for name in ("render", "guest", workspace.api_user)}
    collaborators = workspace.store.all("Collaborator")
    records = [
        person("render", email="new@int.de"), person("api.admin", enabled=False),
        person("x", email="admin@example.com"), person("guest", enabled=False), person("carl"),
    ]  # fmt: skip
    done = sync(workspace, records, state, policy={"everybody": True, "protected": frozenset({"guest"})},
                wishes={"match": ("username", "email")})  # fmt: skip
    assert actions(done) == {"create": ["carl"]}
    assert {entry.name: entry.reason for entry in done.rejected} == {
        "render": "is a service user (type service): never changed",
        "api.admin": "is the user that the API is used as: never changed",
        "guest": "is in protected_users",
    }
    assert [failure.name for failure in done.failed] == ["x"]
    by_mail = sync(workspace, [records[2]], state, wishes={"match": ("email",)}, policy={"missing": "ignore"})
    assert by_mail.rejected[0].reason == "is the user that the API is used as: never changed"
    assert {name: workspace.store.user(name) for name in before} == before
    assert workspace.store.all("Collaborator") == collaborators
    assert actions(sync(workspace, [person("carl")], state, policy={"everybody": True}, limits={})) == {
        "disable": ["guest"]
    }


def test_api_user_must_be_known(workspace: Workspace, state: Path) -> None:
    workspace.store.change("api.admin", username="API.Admin")
    with pytest.raises(TargetError, match="refuses"):
        sync(workspace, STAFF, state)
    workspace.api_user = "API.admin"
    workspace.store.add("User", username="API.admin", is_active=True)
    assert actions(sync(workspace, [*STAFF, person("api.ADMIN")], state, check=True)) == {
        "create": ["anna", "berta", "carl"]
    }


def test_limits_hold_before_the_first_write(workspace: Workspace, state: Path) -> None:
    sync(workspace, [person(f"user{number}") for number in range(8)], state)
    workspace.calls.clear()
    with pytest.raises(LimitError, match="deactivate 4 of 8 owned users"):
        sync(workspace, [person(f"user{number}", enabled=number > 3) for number in range(8)], state, limits={})
    assert workspace.writes == []


# Groups and roles


def test_groups_and_roles(workspace: Workspace, state: Path) -> None:
    store = workspace.store
    for name, local in (("Animation", False), ("Paint", False), ("Project X", True)):
        store.add("Group", id=f"g-{name}", name=name, local=local)
    store.add("SecurityRole", id="r-3", name="Lead")
    wishes = {
        "manage_groups": True, "groups": {"anim": "animation", "paint": "Paint", "px": "Project X", "gone": "Gone"},
        "roles": {"*": ["User"], "Leads": ["lead"]},
    }  # fmt: skip
    anna = existing(workspace, "anna")
    store.add("Membership", user_id=anna["id"], group_id="g-Paint")
    records = [
        person("anna", groups=["anim", "other"]), person("berta", groups=["anim", "paint", "leads", "px", "gone"]),
        person("carl"),
    ]  # fmt: skip
    planned = sync(workspace, records, state, wishes=wishes, check=True)
    done = sync(workspace, records, state, wishes=wishes)
    assert done.as_result() == planned.as_result()
    assert done.warnings == [
        "ftrack has no group, or several, of these names, so nobody is put into them: Gone, Project X"
    ]
    assert {name: store.groups_of(name) for name in ("anna", "berta", "carl")} == {
        "anna": {"Animation", "Paint"}, "berta": {"Animation", "Paint"}, "carl": set(),
    }  # fmt: skip
    assert {name: store.roles_of(name) for name in ("anna", "berta", "carl")} == {
        "anna": {"User"}, "berta": {"User", "Lead"}, "carl": {"User"},
    }  # fmt: skip
    assert sync(workspace, records, state, wishes=wishes).changes == []

    # Left groups: what we gave is taken, what others gave stays; roles only if told.
    records = [person("anna", groups=[]), person("berta", groups=["paint"]), person("carl")]
    done = sync(workspace, records, state, wishes=wishes)
    assert {change.name: change.fields["groups"] for change in done.changes} == {
        "anna": (["Animation", "Paint"], ["Paint"]), "berta": (["Animation", "Paint"], ["Paint"]),
    }  # fmt: skip
    assert store.roles_of("berta") == {"User", "Lead"}
    store.add_role(store.user("berta")["id"], "r-1")
    sync(workspace, records, state, wishes={**wishes, "only_roles": True})
    assert store.roles_of("berta") == {"User", "Administrator"}
    assert (store.groups_of("anna"), store.groups_of("berta")) == ({"Paint"}, {"Paint"})
    assert sync(workspace, records, state, wishes={**wishes, "only_roles": True}).changes == []


def test_memberships_beyond_the_limit_are_kept(workspace: Workspace, state: Path) -> None:
    workspace.store.add("Group", name="Paint", local=False)
    names = [f"user{number}" for number in range(6)]
    sync(workspace, [person(name, groups=["Paint"]) for name in names], state, wishes={"manage_groups": True})
    with pytest.raises(LimitError, match="6 of 6 memberships"):
        sync(workspace, [person(name, groups=[]) for name in names], state, wishes={"manage_groups": True}, limits={})
    assert workspace.store.groups_of("user3") == {"Paint"}


def test_administrators_are_limited(workspace: Workspace, state: Path) -> None:
    records = [person(f"user{number}", groups=["boss"]) for number in range(5)]
    sync(workspace, records, state)
    with pytest.raises(LimitError, match="admin rights of 5"):
        sync(workspace, records, state, wishes={"roles": {"boss": ["Administrator"]}}, limits={})


@pytest.mark.parametrize(
    ("wishes", "options", "words"),
    [
        ({"roles": {"*": ["Chief"]}}, {}, "security_roles names 'Chief'"),
        ({"user_type": "LDAP"}, {}, "user_type names 'LDAP'"),
        ({}, {"external_id_attribute": "sap_id"}, "0 custom attributes 'sap_id'"),
    ],
    ids=["role", "type", "attribute"],
)
def test_names_that_ftrack_does_not_have(
    workspace: Workspace, state: Path, wishes: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(TargetError, match=words):
        sync(workspace, STAFF, state, wishes=wishes, **options)
    assert workspace.writes == []


def test_user_type_and_invitations(workspace: Workspace, state: Path) -> None:
    existing(workspace, "carl")
    done = sync(workspace, STAFF, state, wishes={"user_type": "ldap"}, send_invites=True, batch_size=1)
    assert done.changes[0].fields["user_type"] == (None, "ldap")
    assert {name: user["user_type"] for name, user in people(workspace).items()} == dict.fromkeys(
        active(workspace), "ldap"
    )
    assert sorted(workspace.invited) == sorted(workspace.store.user(name)["id"] for name in ("anna", "berta"))
    workspace.rules.refuse = lambda action, kind, data: None
    sync(workspace, STAFF, state, wishes={"user_type": "ldap"}, send_invites=True)
    assert len(workspace.invited) == 2


# Requests


def test_a_thousand_users(workspace: Workspace, state: Path) -> None:
    crowd = [person(f"user{number:04}") for number in range(1000)]
    sync(workspace, crowd, state, external_id_attribute="ldap_id")
    assert len(workspace.calls) == 12
    workspace.calls.clear()
    assert sync(workspace, crowd, state, external_id_attribute="ldap_id").unchanged == 1000
    pages = 3  # 1,001 users, 500 a page
    assert len(workspace.calls) <= pages + 3
    assert workspace.writes == []


def test_access_is_taken_away_before_seats_are_taken(workspace: Workspace, state: Path) -> None:
    sync(workspace, [person("anna"), person("berta"), person("carl", enabled=True)], state)
    sync(workspace, [person("anna"), person("berta"), person("carl", enabled=False)], state)
    workspace.rules.seats = 3
    done = sync(
        workspace,
        [person("anna", enabled=False), person("berta", enabled=False), person("carl"), person("dora")],
        state,
    )
    assert done.failed == []
    assert actions(done) == {"disable": ["anna", "berta"], "enable": ["carl"], "create": ["dora"]}
    assert active(workspace) == {"carl", "dora"}


# Faults


@pytest.mark.parametrize("transactional", [True, False])
def test_bad_records_are_found_and_the_rest_goes_through(state: Path, transactional: bool) -> None:
    crowd = [person(f"user{number:02}") for number in range(50)]
    bad = {f"user{number:02}" for number in range(1, 50, 2)}
    with Workspace(Rules(transactional=transactional)) as workspace:
        workspace.rules.refuse = lambda action, kind, data: "Not him" if data.get("username") in bad else None
        done = sync(workspace, crowd, state, external_id_attribute="ldap_id")
        assert {failure.name for failure in done.failed} == bad
        assert {failure.reason for failure in done.failed} == {"ftrack refuses: Not him (ValidationError)"}
        # Each is found by halving: not one request for each of all.
        assert len(workspace.writes) <= 2 * len(crowd)
        good = {user["username"] for user in crowd} - bad
        assert active(workspace) == good == set(actions(done)["create"])
        assert {workspace.store.custom(name, "ldap_id") for name in good} == {f"id-{name}" for name in good}
        workspace.rules.refuse = None
        assert set(actions(sync(workspace, crowd, state, external_id_attribute="ldap_id"))["create"]) == bad
        assert len(workspace.store.all("User")) == 51


@pytest.mark.parametrize("transactional", [True, False])
def test_half_a_user(state: Path, transactional: bool) -> None:
    """The user can be created, and the external id can't be written."""
    with Workspace(
        Rules(transactional=transactional, denied=frozenset({("update", "UserCustomAttributeValue")}))
    ) as workspace:
        done = sync(workspace, STAFF, state, external_id_attribute="ldap_id")
        assert [failure.name for failure in done.failed] == ["anna", "berta", "carl"]
        assert active(workspace) == (set() if transactional else {"anna", "berta", "carl"})
        assert [sorted(change.fields) for change in done.changes] == (
            [] if transactional else [["email", "enabled", "first_name", "last_name", "username"]] * 3
        )
        workspace.rules.denied = frozenset()
        assert sync(workspace, STAFF, state, external_id_attribute="ldap_id").failed == []
        assert {workspace.store.custom(name, "ldap_id") for name in ("anna", "carl")} == {"id-anna", "id-carl"}
        assert len(workspace.store.all("User")) == 4


@pytest.mark.parametrize("fault", ["hang_after_commit", "hang_before_commit", "hang", "reset", "reset_after_commit"])
@pytest.mark.parametrize("batch", [2, 100])
def test_lost_answers(workspace: Workspace, state: Path, fault: Any, batch: int) -> None:
    """Read again, and send only what is missing: no duplicate, nobody lost, everybody invited once."""
    workspace.rules.unique_usernames = False
    workspace.misbehave(fault, only_writes=True)
    crowd = [person(f"user{number}") for number in range(7)]
    done = sync(
        workspace, crowd, state, timeout=0.3, batch_size=batch, external_id_attribute="ldap_id", send_invites=True
    )
    assert done.failed == []
    assert len(actions(done)["create"]) == 7
    assert sorted(user["username"] for user in workspace.store.all("User")) == sorted(
        ["api.admin", *(user["username"] for user in crowd)]
    )
    assert len(workspace.invited) == len(set(workspace.invited)) == 7
    sent = [operation["entity_key"][0] for call in workspace.writes for operation in call.operations
            if operation["action"] == "create"]  # fmt: skip
    if fault.endswith("after_commit"):
        assert len(sent) == 7
    assert len(set(sent)) == 7
    assert sync(workspace, crowd, state, external_id_attribute="ldap_id").changes == []


def test_ftrack_that_is_gone_in_the_middle(workspace: Workspace, state: Path) -> None:
    sync(workspace, STAFF[:1], state)
    workspace.misbehave("raw", status=502, body=b"<html><title>Bad</title>", times=10**6, skip=2)
    crowd = [person(f"user{number}") for number in range(5)]
    done = sync(workspace, [*STAFF[:1], *crowd], state, batch_size=2, policy={"missing": "ignore"})
    assert len(done.failed) == 3
    assert len(done.changes) == 2
    workspace.behave()
    assert len(actions(sync(workspace, [*STAFF[:1], *crowd], state))["create"]) == 3


def test_seats_run_out(workspace: Workspace, state: Path) -> None:
    workspace.rules.seats = 8
    crowd = [person(f"user{number:02}") for number in range(20)]
    done = sync(workspace, crowd, state)
    assert len(actions(done)["create"]) == 7
    assert len(done.failed) == 13
    assert "seats" in done.failed[0].reason
    workspace.rules.seats = None
    assert len(actions(sync(workspace, crowd, state))["create"]) == 13
    assert len(active(workspace)) == 20


def test_no_permission_is_not_tried_for_everybody(workspace: Workspace, state: Path) -> None:
    workspace.rules.denied = frozenset({("create", "User")})
    crowd = [person(f"user{number:03}") for number in range(200)]
    done = sync(workspace, crowd, state)
    assert len(done.failed) == 200
    assert "permission to manage users" in done.failed[0].reason
    assert "was not tried" in done.failed[-1].reason
    assert len(workspace.calls) < 80
