# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of ftrack: proven by ftrack's own client and by what that client was recorded to send and to be told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.servers.ftrack.client import official, people
from tests.servers.ftrack.query import Compare, QueryError, parse
from tests.servers.ftrack.store import Rules
from tests.servers.ftrack.workspace import FIXTURES, Workspace

RECORDS = json.loads((FIXTURES / "recorded_requests.json").read_bytes())["records"]
#: What the recording's stub answered by a script: no server would, or the answer is not of the server's making.
SCRIPTED = {
    *(
        "reset_api_key",
        "delayed_job",
        "datetime_decoding",
        "start",
        "start_strict",
        "err_bad_key",
        "err_bad_key_strict",
    ),
    *(
        f"err_{each}"
        for each in ("200_envelope", "401_envelope", "500_envelope", "422_fastapi", "502_html", "200_html")
    ),
    *("err_429_json", "err_data_without_entity_type", "err_metadata_missing", "metadata_next_empty_obj"),
    *("unknown_type_in_response", "unknown_attr_in_response"),
}


def recorded_workspace(rules: Rules | None = None) -> Workspace:
    """What the recording began with."""
    workspace = Workspace(rules, api_key="k-123")
    store = workspace.store
    for number, (name, first, email) in enumerate(
        [("jane", "Jane", "jane"), ("bob", "Bob", "bob"), ("o'brien", "O'Brien", "ob"), ('zoé "z"', 'Zoé "Z"', "zoe")],
        1,
    ):
        store.add("User", id=f"u-{number}", username=name, first_name=first, last_name="X", is_active=name != "bob",
                  email=f"{email}@example.com", user_type_id="ut-ftrack")  # fmt: skip
    store.add("Group", id="g-1", name="Compositing", local=False)
    store.add("Group", id="g-2", name="Animation", local=False)
    store.add("Membership", id="m-1", user_id="u-1", group_id="g-1")
    store.add("UserSecurityRole", id="ur-1", user_id="u-1", security_role_id="r-2", is_all_projects=True)
    return workspace


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with recorded_workspace() as running:
        yield running
    assert running.failures == []


def call(workspace: Workspace, operations: Any, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"ftrack-user": workspace.api_user, "ftrack-api-key": workspace.api_key, **named}
    return requests.post(f"{workspace.url}/api", json=operations, headers=given, timeout=5, allow_redirects=False)


# As recorded


def test_recorded_exchanges(workspace: Workspace) -> None:
    """All in their order, since each builds on those before."""
    workspace.rules.normalised = False  # the stub told everything whole each time
    seen = set()
    for record in RECORDS:
        if record["label"] in SCRIPTED:
            continue
        headers = {name.replace("-", "_"): value for name, value in record["headers"] if name.startswith("ftrack-")}
        answer = call(workspace, json.loads(record["body"]), **headers)
        expected = json.loads(record["response_body"])
        if record["label"] == "custom_attribute_new_user" and len(expected) == 2:
            expected[1]["data"]["key"] = "ldap_id"  # the stub did not know it
        assert (answer.status_code, answer.json()) == (record["response_status"], expected), record["label"]
        seen.add(record["label"])
    assert len(seen) == 34
    assert seen | SCRIPTED == {record["label"] for record in RECORDS}


@pytest.mark.parametrize("label", ["err_bad_key", "err_bad_key_strict"])
def test_recorded_refusal_of_a_key(workspace: Workspace, label: str) -> None:
    (record,) = [record for record in RECORDS if record["label"] == label]
    strict = dict(record["headers"])["ftrack-strict-api"]
    answer = call(workspace, json.loads(record["body"]), ftrack_api_key="wrong", ftrack_strict_api=strict)
    assert (answer.status_code, answer.json()) == (record["response_status"], json.loads(record["response_body"]))
    workspace.store.change("api.admin", is_active=False)
    assert "exception" in call(workspace, json.loads(record["body"])).json()


@pytest.mark.parametrize("strict", ["false", "true"])
def test_start(workspace: Workspace, strict: str) -> None:
    (first, second) = [record for record in RECORDS if record["label"] == "start"]
    information = call(workspace, json.loads(first["body"]), ftrack_strict_api=strict).json()
    recorded = json.loads(first["response_body"])
    assert {**information[0], "schema_hash": recorded[0]["schema_hash"]} == recorded[0]
    schemas = call(workspace, json.loads(second["body"]), ftrack_strict_api=strict).json()
    assert schemas == [json.loads((FIXTURES / "minimal_schemas.json").read_bytes())]


# The official client


def test_official_client(workspace: Workspace) -> None:
    store = workspace.store
    with official(workspace) as session:
        anna = session.create("User", {"username": "anna", "email": "anna@int.de", "is_active": True})
        session.commit()
        session.create("Membership", {"user": anna, "group": session.get("Group", "g-1")})
        anna["custom_attributes"]["ldap_id"] = "S-1"
        anna["last_name"] = "Schmidt"
        session.commit()
        session.send_user_invite(anna)
        session.call([{"action": "add_user_security_role", "user_id": anna["id"], "role_id": "r-2"}])
        assert workspace.invited == [anna["id"]]
        found = session.query('User where custom_attributes any (key is "ldap_id" and value is "S-1")').one()
        assert found["username"] == "anna"
        session.delete(session.query('Membership where user.username is "jane"').one())
        session.commit()
    assert store.groups_of("jane") == set()
    assert people(workspace)["anna"] == {
        "email": "anna@int.de", "first_name": "", "last_name": "Schmidt", "is_active": True, "user_type": None,
        "groups": ["Compositing"], "roles": ["User"], "custom": {"ldap_id": "S-1"},
    }  # fmt: skip
    with official(workspace) as session:
        session.call([{"action": "remove_user_security_role", "user_id": anna["id"], "role_id": "r-2"}])
        session.delete(session.get("User", anna["id"]))
        session.commit()
    assert "anna" not in people(workspace)


def test_official_client_reads_many_pages(workspace: Workspace) -> None:
    for number in range(23):
        workspace.store.add("User", username=f"user{number:02}", is_active=True)
    with official(workspace) as session:
        before = len(workspace.calls)
        found = session.query(
            "select username from User where username like 'user%' order by username desc", page_size=7
        )
        assert [user["username"] for user in found] == [f"user{number:02}" for number in range(22, -1, -1)]
        assert len(workspace.calls) - before == 4


@pytest.mark.parametrize("strict", [False, True])
def test_official_client_is_told_of_errors(workspace: Workspace, strict: bool) -> None:
    import ftrack_api.exception  # type: ignore[import-not-found, import-untyped, unused-ignore]

    with official(workspace, strict_api=strict) as session:
        session.create("User", {"username": "JANE"})
        with pytest.raises(ftrack_api.exception.ServerError, match="Username already in use"):
            session.commit()
    with pytest.raises(ftrack_api.exception.ServerError, match="InvalidCredentialsError"):
        with official(workspace, strict_api=strict, api_key="wrong"):
            pass


# Rules


CREATE = {"action": "create", "entity_type": "User"}


def user(name: str, **data: Any) -> dict[str, Any]:
    return {
        **CREATE, "entity_key": [name],
        "entity_data": {"__entity_type__": "User", "id": name, "username": name, **data},
    }  # fmt: skip


@pytest.mark.parametrize("transactional", [True, False])
def test_transactions(transactional: bool) -> None:
    with recorded_workspace(Rules(transactional=transactional)) as workspace:
        answer = call(workspace, [user("new"), user("jane"), user("later")]).json()
        assert answer["exception"] == "ValidationError"
        names = {each["username"] for each in workspace.store.all("User")}
        assert ("new" in names) is not transactional
        assert "later" not in names


def test_switchable_rules(workspace: Workspace) -> None:
    def refusal(*operations: dict[str, Any]) -> str:
        answer = call(workspace, operations).json()
        return str(answer["content"]) if isinstance(answer, dict) else ""

    rules = workspace.rules
    assert "in use" in refusal(user("JANE"))
    rules.unique_usernames = False
    assert refusal(user("JANE")) == ""
    rules.seats = 4
    assert refusal(user("idle", is_active=False)) == ""
    assert "All 4 seats" in refusal(user("busy", is_active=True))
    assert "All 4 seats" in refusal({**user("x", is_active=True), "action": "update", "entity_key": "idle"} | {
        "entity_data": {"__entity_type__": "User", "is_active": True}})  # fmt: skip
    rules.seats = None
    rules.denied = frozenset({("create", "User")})
    assert refusal(user("more")) == "No permission"
    rules.denied = frozenset()
    rules.refuse = lambda action, entity_type, data: "No, not him" if data.get("username") == "him" else None
    assert refusal(user("him")) == "No, not him"
    rules.largest_batch = 1
    assert "More than 1" in refusal(user("p"), user("q"))


def test_what_was_told_whole_is_told_by_reference(workspace: Workspace) -> None:
    queries = [{"action": "query", "expression": "select username from User where id is u-1"}] * 2
    first, second = call(workspace, queries).json()
    assert first["data"] == [{"__entity_type__": "User", "id": "u-1", "resource_type": "user", "username": "jane"}]
    assert second["data"] == [{"__entity_type__": "User", "id": "u-1"}]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("User where username not_like 'api%' and not (is_active is False)", ["jane", "o'brien", 'zoé "z"']),
        ("User where memberships.group.name is 'Compositing'", ["jane"]),
        ("User where memberships has (group has (name is_not none))", ["jane"]),
        ("User where user_type.name != 'ftrack' or id in (u-2, 'u-3')", ["bob", "o'brien"]),
        ("User where id > 'u-1' and id <= 'u-3' order by id desc", ["o'brien", "bob"]),
        ("User where id not_in (u-0, u-1) order by username asc offset 1 limit 1", ["o'brien"]),
        ("User where email is none", []),
        ('User where username is "o\\\'brien"', ["o'brien"]),
    ],
)
def test_query_language(workspace: Workspace, expression: str, names: list[str]) -> None:
    (answer,) = call(workspace, [{"action": "query", "expression": f"select username from {expression}"}]).json()
    assert [each["username"] for each in answer["data"]] == names


@pytest.mark.parametrize(
    "expression",
    ["", "select", "select id User", "User where", "User where id", "User where id is", "User where id near 4",
     "User where (id is 4", "User where id in 4", "User limit x", "User limit 4 limit 5", "User nonsense",
     'User where id is "x', "User where id 'is' 4", "User order id", "User where id is ,"],
)  # fmt: skip
def test_what_is_no_query(workspace: Workspace, expression: str) -> None:
    with pytest.raises(QueryError):
        parse(expression)
    assert call(workspace, [{"action": "query", "expression": expression}]).json()["exception"] == "ParseError"


def test_a_quoted_word_is_a_text() -> None:
    assert parse("User where username is 'none'").condition == Compare(("username",), "is", "none")
    assert parse("User where username is none").condition == Compare(("username",), "is", None)


@pytest.mark.parametrize("body", [{}, "x", [1], [{"entity": "User"}], [{"action": "create"}], [{"action": "query"}]])
def test_malformed_calls(workspace: Workspace, body: Any) -> None:
    answer = call(workspace, body)
    assert (answer.status_code, list(answer.json())) == (422, ["detail"])


# Faults


def test_faults_come_when_they_are_due(workspace: Workspace) -> None:
    query = [{"action": "query", "expression": "User limit 1"}]
    workspace.misbehave("raw", status=502, body=b"<html>", headers=(("Content-Type", "text/html"),), skip=1, times=2)
    assert [call(workspace, query).status_code for _each in range(4)] == [200, 502, 502, 200]
    workspace.misbehave("reset_after_commit", only_writes=True)
    assert call(workspace, query).ok
    with pytest.raises(requests.ConnectionError):
        call(workspace, [user("new")])
    assert workspace.store.user("new")
    workspace.misbehave("reset")
    with pytest.raises(requests.ConnectionError):
        call(workspace, [user("newer")])
    assert "newer" not in {each["username"] for each in workspace.store.all("User")}
    assert call(workspace, query).ok


def test_a_hanging_call_ends_with_the_server() -> None:
    with recorded_workspace() as workspace:
        workspace.misbehave("hang_after_commit")
        caught: list[BaseException] = []

        def ask() -> None:
            try:
                call(workspace, [user("new")])
            except requests.ConnectionError as problem:
                caught.append(problem)

        thread = threading.Thread(target=ask)
        thread.start()
        while not workspace.calls:
            pass
        assert workspace.store.user("new")
    thread.join(5)
    assert caught
