# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ftrack's API as it may answer: errors in every shape, pages, pages that never end, and words that hold secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import RosterError, TargetError
from ansible_collections.identity.roster.plugins.module_utils._http import Answer, HttpError, HttpSettings
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Policy
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack import Ftrack, Options
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_api import FtrackApi, Refused
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_plan import Wishes
from tests.servers.ftrack.workspace import Workspace
from tests.servers.scripted import Scripted, answer

KEY = "Key-Canary-7"
CREATE: dict[str, Any] = {
    "action": "create",
    "entity_type": "User",
    "entity_key": ["u-9"],
    "entity_data": {"__entity_type__": "User", "id": "u-9", "username": "anna"},
}
QUERY: dict[str, Any] = {"action": "query", "expression": "select id from User order by id asc"}
REFUSAL = {"exception": "PermissionError", "content": "No permission", "error_code": None}


def api(url: str, **options: Any) -> FtrackApi:
    settings = HttpSettings(read_only=False, timeout=5, retries=options.pop("retries", 0))
    return FtrackApi(url, "api.admin", KEY, settings, options.pop("read_only", False))


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as running:
        yield running
    assert running.failures == []


def test_what_is_sent(workspace: Workspace) -> None:
    connection = api(workspace.url + "/")
    assert connection.select({"people": "select username from User order by id asc"}) == {
        "people": [{"__entity_type__": "User", "id": "u-0", "resource_type": "user", "username": "api.admin"}]
    }
    (call,) = workspace.calls
    assert (call.user, call.strict) == ("api.admin", True)
    assert connection.existing("User", ["u-0", "u-1"]) == ["u-0"]
    assert connection.requests == 2


def test_read_only_sends_no_write(workspace: Workspace) -> None:
    connection = api(workspace.url, read_only=True)
    assert connection.call([QUERY])
    for operations in ([CREATE], [QUERY, CREATE], [{"action": "send_user_invite", "user_id": "u-0"}]):
        with pytest.raises(HttpError, match="only reads"):
            connection.call(operations)
    assert len(workspace.calls) == 1


def test_pages_of_several_queries_go_together(workspace: Workspace) -> None:
    for number in range(1100):
        workspace.store.add("User", username=f"user{number}", is_active=True)
    found = api(workspace.url).select({"users": "select username from User order by id asc",
                                       "types": "select name from UserType order by id asc"})  # fmt: skip
    assert (len(found["users"]), len(found["types"])) == (1101, 3)
    assert [len(call.actions) for call in workspace.calls] == [2, 1, 1]


# Errors


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_an_envelope_is_a_refusal_with_any_status(workspace: Workspace, status: int) -> None:
    workspace.misbehave("raw", status=status, body=json.dumps(REFUSAL).encode())
    with pytest.raises(Refused, match=r"ftrack refuses: No permission \(PermissionError\)\. Give the user") as caught:
        api(workspace.url).call([CREATE])
    assert caught.value.concerns_everybody


def test_wrong_key(workspace: Workspace) -> None:
    workspace.api_key = "another"
    with pytest.raises(Refused, match="Look at api_user and api_key") as caught:
        api(workspace.url).call([QUERY])
    assert caught.value.concerns_everybody


def test_malformed_operation(workspace: Workspace) -> None:
    with pytest.raises(Refused, match="field required") as caught:
        api(workspace.url).call([{"action": "create"}])
    assert not caught.value.concerns_everybody


HTML = (("Content-Type", "text/html"),)


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (502, b"<html><title>Bad gateway</title>", HTML, "status 502, and the answer is the page 'Bad gateway'"),
        (200, b"<html><title>Log in</title>", HTML, "status 200, and the answer is the page 'Log in'"),
        (200, b"", (), "is no JSON"),
        (200, b'[{"action"', (), "is no JSON"),
        (200, b"\xff", (), "is no JSON"),
        (200, b"[" * 100000, (), "is no JSON"),
        (200, b"null", (), "no list of as many answers"),
        (200, b"[]", (), "no list of as many answers"),
        (200, b"[1, 2]", (), "no list of as many answers"),
        (500, b'[{"action": "query", "data": []}]', (), "no list of as many answers"),
        (429, b'{"message": "slow down"}', (), "says slow down"),
        (200, b"{}", (), "says null"),
    ],
)
def test_answers_that_say_nothing(
    workspace: Workspace, status: int, body: bytes, headers: tuple[tuple[str, str], ...], words: str
) -> None:
    """Nobody knows then what was done: never a refusal."""
    workspace.misbehave("raw", status=status, body=body, headers=headers)
    with pytest.raises(HttpError, match=words):
        api(workspace.url).call([CREATE])
    assert len(workspace.calls) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_refused(workspace: Workspace, status: int) -> None:
    with Workspace() as other:
        headers = (("Location", f"{other.url}/api"),)
        workspace.misbehave("raw", status=status, headers=headers)
        with pytest.raises(HttpError, match="redirects are not followed"):
            api(workspace.url).call([QUERY])
        assert other.calls == []


@pytest.mark.parametrize(("operation", "calls"), [(QUERY, 3), (CREATE, 1)], ids=["query", "write"])
@pytest.mark.parametrize("fault", ["reset", "raw"])
def test_only_queries_are_asked_again(workspace: Workspace, operation: Any, calls: int, fault: Any) -> None:
    workspace.misbehave(fault, status=503, body=b"<html>", headers=(("Retry-After", "0"),), times=2)
    connection = api(workspace.url, retries=2)
    connection._session._pause = lambda seconds: None
    if calls == 1:
        with pytest.raises(HttpError):
            connection.call([operation])
    else:
        assert connection.call([operation])
    assert len(workspace.calls) == calls


def test_a_write_that_comes_too_soon_is_sent_again(workspace: Workspace) -> None:
    workspace.misbehave("raw", status=429, body=b'{"message": "slow down"}', headers=(("Retry-After", "0"),))
    assert api(workspace.url, retries=1).call([CREATE])
    assert workspace.store.user("anna")


def test_the_key_is_never_shown(workspace: Workspace) -> None:
    words = f"The key {KEY} is\nnot\x00 valid"
    workspace.misbehave("raw", body=json.dumps({"exception": "X", "content": words}).encode())
    with pytest.raises(Refused) as caught:
        api(workspace.url).call([QUERY])
    assert KEY not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["", "anna schmidt ", "jürgen", "a\nb"])
def test_credentials_that_no_header_takes(name: str) -> None:
    for user, key in ((name, KEY), ("admin", name)):
        with pytest.raises(TargetError, match="printable ASCII") as caught:
            FtrackApi("https://x", user, key, HttpSettings(), True)
        assert KEY not in str(caught.value)


# Listings


def listing(*entities: Any, **metadata: Any) -> bytes:
    return answer(200, json.dumps([{"action": "query", "data": list(entities), **metadata}]).encode())


USER = {"__entity_type__": "User", "id": "u-1"}
OTHER = {"__entity_type__": "User", "id": "u-2"}


@pytest.mark.parametrize(
    ("answers", "found", "asked"),
    [
        ([listing(USER, metadata={"next": {"offset": None}})], 1, 1),
        ([listing(USER, metadata={"next": {"offset": 1}}), listing(metadata={"next": {"offset": 9}})], 1, 2),
        ([listing(USER), listing(OTHER), listing()], 2, 3),
        ([listing(USER, metadata={}), listing(metadata={})], 1, 2),
        (
            [
                listing(USER, metadata={"next": {"offset": 1}}),
                listing(USER, OTHER, metadata={"next": {"offset": None}}),
            ],
            2,
            2,
        ),
        ([listing()], 0, 1),
    ],
    ids=["last", "empty_page", "no_metadata", "empty_metadata", "moved", "nobody"],
)
def test_where_a_listing_ends(answers: list[bytes], found: int, asked: int) -> None:
    with Scripted(*answers) as server:
        assert len(api(server.url).select({"users": "User"})["users"]) == found
        assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (listing(USER, metadata={"next": {"offset": 0}}), "does not come to an end"),
        (listing(USER, metadata={"next": {"offset": "500"}}), "in no number where its next page begins"),
        (listing(USER, metadata={"next": {"offset": True}}), "in no number where its next page begins"),
        (listing({"id": "u-1"}), "without its type"),
        (listing({"__entity_type__": "User"}), "or its id"),
        (listing({"__entity_type__": "User", "id": 4}), "or its id"),
        (listing("u-1"), "without a list"),
        (answer(200, b'[{"action": "query", "data": null}]'), "without a list"),
        (answer(200, b'["query"]'), "without a list"),
    ],
    ids=["circle", "offset_text", "offset_flag", "no_type", "no_id", "number", "text", "null", "no_mapping"],
)
def test_listings_that_are_none(given: bytes, words: str) -> None:
    with Scripted(given) as server, pytest.raises(RosterError, match=words):
        api(server.url).select({"users": "User"})


# Garbage


class Canned:
    """Stands for the HTTP session; makes the body from the number of operations."""

    def __init__(self) -> None:
        self.status = 200
        self.make: Callable[[int], Any] = lambda count: None

    def request(self, *_args: Any, **options: Any) -> Answer:
        return Answer("https://ftrack", self.status, {}, json.dumps(self.make(len(options["json"]))).encode())


@pytest.fixture(scope="module")
def canned() -> Canned:
    return Canned()


@pytest.fixture(scope="module")
def connection(canned: Canned) -> FtrackApi:
    made = api("https://ftrack")
    made._session = canned  # type: ignore[assignment]
    return made


KEYS = ["exception", "content", "data", "metadata", "next", "offset", "detail", "id", "error_code"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([200, 401, 422, 500]), JSON, st.booleans())
def test_any_json_is_an_answer_or_an_error(
    connection: FtrackApi, canned: Canned, status: int, body: Any, listed: bool
) -> None:
    canned.status = status
    canned.make = lambda count: [body] * count if listed else body
    try:
        assert connection.select({"users": "User"}) == {"users": []}
    except RosterError as problem:
        assert str(problem).isprintable()


NAMES = "username email is_active resource_type user_type_id user_id group_id name local value".split()
ENTITY = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=9).map(
    lambda fields: {"__entity_type__": "User", "id": "u-1", "username": "anna", "is_active": True, **fields}
)


@given(ENTITY)
def test_any_entity_is_read_or_an_error(connection: FtrackApi, canned: Canned, entity: dict[str, Any]) -> None:
    own = {"__entity_type__": "User", "id": "u-0", "username": "api.admin", "is_active": True, "key": "k",
           "entity_type": "user", "name": "User"}  # fmt: skip
    found = {"action": "query", "data": [own, entity], "metadata": {"next": {"offset": None}}}
    canned.status = 200
    canned.make = lambda count: [found] * count
    wishes = Wishes(external_ids=True, manage_groups=True, roles={"*": ["User"]})
    service = Ftrack(connection, Options(Policy(("username",)), wishes, "api.admin", external_id_attribute="k"))
    try:
        accounts = service.read()
    except RosterError as problem:
        # Only what decides who is who, or is asked for by name, is an error.
        assert not isinstance(entity["is_active"], bool) or entity.get("name") is not None
        assert str(problem).isprintable()
    else:
        assert [account.id for account in accounts] == ["u-0", "u-1"]
