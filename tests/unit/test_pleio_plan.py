# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent to a Pleio site for whom: each hazard of its API by name, as data."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._pairing import Account
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Plan, Policy
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Avatar, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio import load_picture, not_taken_over
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_plan import Settings, make_plan
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_values import (
    DELETED_NAME,
    external_id_of,
    group_mapping,
    name_of,
    value_problem,
)
from ansible_collections.identity.roster.plugins.module_utils._targets.service_state import Owned, ServiceState

from .csv_cases import png

STAFF, OPEN = "d8553b05-5582-4f1d-a883-2dd979c52ac0", "9c66551d-7546-431b-bad3-e1cfebe7f8a0"
PROFILE = {"occupation": "Chef", "department": ""}
GUID = "154533df-81d1-4f3f-bbb8-3252c3f55584"


def anna(**fields: Any) -> User:
    given_fields = {"full_name": "Anna", "email": "anna@acme.test", "external_id": "e-1", **fields}
    return User(given_fields.pop("id", "e-1"), **given_fields)


def there(**fields: Any) -> Account:
    record = {"guid": GUID, "name": "Anna", "email": "anna@acme.test", "external_id": "e-1", **fields}
    keys = {key: record[key] for key in ("external_id", "email") if record[key]}
    data = {"name": record["name"], "profile": record.get("profile", PROFILE)}
    return Account(record["guid"], record["email"] or record["guid"], keys, record.get("active", True), data)


def plan(
    users: list[User],
    accounts: list[Account],
    owned: dict[str, Owned] | None = None,
    problem: str | None = None,
    stateful: bool = True,
    groups: dict[str, str] | None = None,
    **policy: Any,
) -> Plan:
    return make_plan(
        Roster({}, tuple(users)),
        accounts,
        ServiceState("x", owned or {}),
        Policy(policy.pop("keys", ("external_id", "email")), banned="banned", **policy),
        Settings(group_mapping(groups or {}), True, stateful),
        lambda avatar: problem,
    )


def sent(made: Plan) -> Any:
    (step,) = made.steps
    return step.payload.body


def identity(**more: Any) -> dict[str, Any]:
    return {"guid": GUID, "name": "Anna", "email": "anna@acme.test", **more}


# No-op updates are never sent: they unban


@pytest.mark.parametrize(
    ("user", "account"),
    [
        pytest.param(anna(), there(), id="equal"),
        pytest.param(anna(email="ANNA@Acme.Test"), there(), id="email-case"),
        pytest.param(anna(external_id="E-1"), there(), id="external-id-case"),
        pytest.param(anna(email=" anna@acme.test "), there(), id="stripped"),
        pytest.param(anna(full_name=None, email=None), there(name="Anything"), id="nothing-said"),
        pytest.param(anna(full_name=" "), there(), id="empty-name"),
        pytest.param(anna(email=""), there(), id="empty-email"),
        pytest.param(anna(external_id=None, id="4f"), there(external_id=""), id="no-external-id-said"),
        pytest.param(anna(profile={"occupation": "Chef", "department": ""}), there(), id="profile"),
        pytest.param(anna(profile={}), there(), id="profile-says-nothing"),
        pytest.param(anna(profile={"nosuch": "x", "Occupation": "y"}), there(), id="unknown-profile-fields"),
        pytest.param(anna(groups=()), there(), id="no-groups"),
        pytest.param(anna(groups=("sales", "cn=x")), there(), id="groups-of-a-directory"),
    ],
)
def test_no_op_is_not_sent(user: User, account: Account) -> None:
    made = plan([user], [account])
    assert (made.steps, made.unchanged, made.rejected, made.failures) == ([], 1, [], [])


def test_a_banned_user_is_not_updated() -> None:
    made = plan([anna(full_name="New", profile={"occupation": "Boss"})], [there(active=False)])
    assert made.steps == []
    assert made.rejected[0].reason == (
        "is banned there, and not by this collection, so by an administrator: left as it is"
    )


def test_unban_is_a_step_of_its_own_and_updates_only_what_differs() -> None:
    owned = {"e-1": Owned(GUID, disabled=True)}
    (step,) = plan([anna()], [there(active=False)], owned).steps
    assert (step.action, step.payload.body) == ("enable", None)
    (step,) = plan([anna(full_name="New")], [there(active=False)], owned).steps
    assert (step.action, step.payload.body) == ("enable", identity(name="New"))


@pytest.mark.parametrize(
    ("user", "body", "fields"),
    [
        pytest.param(anna(full_name="Anna B"), identity(name="Anna B"), {"name": ("Anna", "Anna B")}, id="name"),
        pytest.param(
            anna(email="New@Acme.test"),
            identity(email="New@Acme.test"),
            {"email": ("anna@acme.test", "New@Acme.test")},
            id="email",
        ),
        pytest.param(
            anna(full_name="B", email="ANNA@acme.test"), identity(name="B"), {"name": ("Anna", "B")}, id="case-stays"
        ),
        pytest.param(
            anna(profile={"occupation": "Boss", "department": "", "nosuch": "x"}),
            identity(profile={"occupation": "Boss"}),
            {"profile.occupation": ("Chef", "Boss")},
            id="profile",
        ),
        pytest.param(
            anna(profile={"occupation": ""}),
            identity(profile={"occupation": ""}),
            {"profile.occupation": ("Chef", None)},
            id="profile-cleared",
        ),
        pytest.param(anna(groups=(STAFF,)), identity(groups=STAFF), {"groups": ([], [STAFF])}, id="groups"),
        pytest.param(
            anna(full_name=None, first_name="Anna", last_name="Berg"),
            identity(name="Anna Berg"),
            {"name": ("Anna", "Anna Berg")},
            id="name-of-two-parts",
        ),
    ],
)
def test_an_update_sends_what_differs_and_what_the_site_needs(
    user: User, body: dict[str, Any], fields: dict[str, Any]
) -> None:
    made = plan([user], [there()])
    assert (sent(made), dict(made.steps[0].fields)) == (body, fields)


def test_an_external_id_is_given_to_a_local_user_who_is_matched_by_email() -> None:
    assert sent(plan([anna()], [there(external_id="")])) == identity(external_id="e-1")


def test_a_new_user_has_every_field_once() -> None:
    made = plan([anna(profile={"occupation": "Chef", "department": ""}, groups=(STAFF, OPEN))], [there(
        guid="2c0a82f7-d661-4499-96c4-99b4baa6c8bb", email="x@acme.test", external_id="e-2"
    )])  # fmt: skip
    assert sent(made) == {
        "name": "Anna", "email": "anna@acme.test", "external_id": "e-1", "groups": f"{OPEN},{STAFF}",
        "profile": {"occupation": "Chef"},
    }  # fmt: skip


# The missing external id, which is a 400 for the second user without one


@pytest.mark.parametrize(
    ("user", "expected", "matched_by"),
    [
        (User("4f1c", username="anna", email="a@x"), "4f1c", "4f1c"),
        (User("anna", username="anna", email="a@x"), "anna", None),
        (User("a@x", email="a@x"), "a@x", None),
        (User("4f1c", email="a@x", external_id=" e-9 "), "e-9", "e-9"),
    ],
    ids=["guid", "username", "email", "given"],
)
def test_a_new_user_always_gets_an_external_id(user: User, expected: str, matched_by: str | None) -> None:
    made = plan([User(**{**vars(user), "full_name": "A"})], [])
    assert sent(made)["external_id"] == expected
    assert external_id_of(user) == matched_by


def test_a_stand_in_never_takes_the_account_of_another() -> None:
    other = there(external_id="anna", email="other@acme.test")
    made = plan([User("anna", username="anna", email="anna@acme.test", full_name="A")], [other])
    assert made.steps == []
    assert "is missing, and 'anna', which would stand in for it, is that of the account other@acme.test" in (
        made.rejected[0].reason
    )


# Values over the server's limits


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"full_name": "N" * 101}, ("full_name", "has 101 characters, and Pleio takes 100")),
        ({"full_name": "\U0001f600" * 100}, None),
        ({"email": "m" * 246 + "@acme.test"}, ("email", "has 256 characters, and Pleio takes 255")),
        ({"email": "m" * 245 + "@acme.test"}, None),
        ({"external_id": "x" * 201}, ("external_id", "has 201 characters, and Pleio takes 200")),
        ({"external_id": "x" * 200}, None),
        ({"external_id": None, "id": "x" * 201}, ("external_id", "has 201 characters, and Pleio takes 200")),
        ({"email": "not-an-address"}, ("email", "is 'not-an-address', which is no e-mail address")),
        ({"email": "a@b, c@d"}, ("email", "is 'a@b, c@d', which is no e-mail address")),
        ({"email": None}, ("email", "is missing: Pleio knows people by their e-mail address")),
        ({"full_name": None}, ("full_name", "is missing, and so are first_name, last_name and username")),
        ({"full_name": None, "username": "anna"}, None),
        ({"full_name": "a\0b"}, ("full_name", "contains the control character U+0000")),
        ({"full_name": DELETED_NAME.lower()}, ("full_name", "is 'verwijderde gebruiker', which is how Pleio marks")),
    ],
)
def test_limits_of_the_server(fields: dict[str, Any], words: tuple[str, str] | None) -> None:
    user = anna(**{key: value for key, value in fields.items() if value is not None or key != "external_id"})
    if "external_id" in fields and fields["external_id"] is None:
        user = User(**{**vars(user), "external_id": None})
    problem = value_problem(user, new=True)
    made = plan([user], [])
    if words is None:
        assert problem is None and len(made.steps) == 1
    else:
        assert problem is not None and problem[0] == words[0] and problem[1].startswith(words[1])
        assert (made.steps, made.rejected[0].field) == ([], words[0])


def test_a_body_over_the_servers_limit() -> None:
    made = plan([anna(profile={f"f{number}": "x" * 60000 for number in range(42)})], [])
    assert (made.steps, made.rejected[0].reason) == ([], "is larger than Pleio takes in one request (2.5 MB)")


# Unknown profile fields


def test_profile_fields_that_the_site_does_not_have_are_told_once() -> None:
    berta = anna(id="e-2", external_id="e-2", email="b@x", profile={"nosuch": "y"})
    made = plan([anna(profile={"nosuch": "x"}), berta], [there()])
    assert made.warnings == ["the site has no profile field 'nosuch' (case counts), so 2 values are not sent"]


# Groups are add-only and sent again only when the wanted set grew


@pytest.mark.parametrize(
    ("before", "wanted", "expected", "kept"),
    [
        pytest.param(None, [STAFF], STAFF, None, id="never-sent"),
        pytest.param([], [STAFF], STAFF, None, id="none-sent"),
        pytest.param([STAFF], [STAFF], None, None, id="same"),
        pytest.param([STAFF], [STAFF, OPEN], OPEN, None, id="grew"),
        pytest.param([STAFF, OPEN], [OPEN], None, [OPEN], id="shrank"),
        pytest.param([STAFF], [OPEN], OPEN, [], id="other"),
        pytest.param([STAFF], [], None, [], id="emptied"),
    ],
)
def test_groups_are_sent_when_they_are_new(
    before: list[str] | None, wanted: list[str], expected: str | None, kept: list[str] | None
) -> None:
    made = plan([anna(groups=tuple(wanted))], [there()], {"e-1": Owned(GUID, groups=before)})
    assert [step.payload.body["groups"] for step in made.steps] == ([expected] if expected else [])
    assert made.groups_kept.get("e-1") == kept


def test_groups_by_name_and_by_guid_and_without_a_state() -> None:
    user = anna(groups=("Sales", STAFF.upper(), "57979220", "other"))
    assert sent(plan([user], [there()], groups={"sales": OPEN}))["groups"] == f"57979220,{OPEN},{STAFF}"
    assert plan([user], [there()], stateful=False).steps == []
    assert sent(plan([user], [], stateful=False))["groups"] == f"57979220,{STAFF}"
    with pytest.raises(ValueError, match="group_guids of 'sales' is not a group's guid"):
        group_mapping({"sales": "Sales"})


# Avatars are sent only when their hash changed

PICTURE = Avatar("/a.png", "ab" * 32)


@pytest.mark.parametrize(
    ("sent_before", "account", "stateful", "problem", "expected"),
    [
        pytest.param(None, there(), True, None, PICTURE, id="never-sent"),
        pytest.param("ab" * 32, there(), True, None, None, id="same"),
        pytest.param("cd" * 32, there(), True, None, PICTURE, id="changed"),
        pytest.param(None, None, True, None, PICTURE, id="new-user"),
        pytest.param(None, there(), False, None, None, id="nobody-knows"),
        pytest.param(None, None, False, None, PICTURE, id="nobody-knows-new"),
        pytest.param("cd" * 32, there(), True, "is a text", None, id="no-picture"),
    ],
)
def test_avatars(
    sent_before: str | None, account: Account | None, stateful: bool, problem: str | None, expected: Avatar | None
) -> None:
    owned = {"e-1": Owned(GUID, avatar=sent_before)} if account else {}
    made = plan([anna(avatar=PICTURE)], [account] if account else [], owned, problem, stateful)
    assert [step.payload.avatar for step in made.steps if step.payload.avatar] == ([expected] if expected else [])
    assert bool(made.warnings) == (problem is not None)
    if account is not None and expected is not None:
        assert made.steps[0].payload.body is None, "a picture alone needs no update, which would unban"


def test_a_picture_is_looked_at_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    digest = hashlib.sha256(png()).hexdigest()
    assert load_picture(Avatar(str(path), digest)) == png()
    for avatar, words in (
        (Avatar(str(path), "0" * 64), "is another than when the roster was made"),
        (Avatar(str(tmp_path / "gone"), digest), "can't be read: No such file"),
        (Avatar(str(tmp_path), digest), "can't be read: Is a directory"),
    ):
        with pytest.raises(ValueError, match=words):
            load_picture(avatar)
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="is not a JPEG, PNG or GIF picture"):
        load_picture(Avatar(str(path), hashlib.sha256(b"text").hexdigest()))


# Superadmins, local users, matching


@pytest.mark.parametrize("missing", ["disable", "remove"])
def test_superadmins_and_local_users_are_never_banned_by_default(missing: str) -> None:
    local = there(guid="2c0a82f7-d661-4499-96c4-99b4baa6c8bb", email="admin@acme.test", external_id="")
    assert plan([anna()], [there(), local], {"e-1": Owned(GUID)}, missing=missing).steps == []
    everybody = plan([anna()], [there(), local], missing=missing, everybody=True)
    assert [step.name for step in everybody.steps] == ["admin@acme.test"]
    protected = frozenset({"admin@acme.test"})
    assert plan([anna()], [there(), local], missing=missing, everybody=True, protected=protected).steps == []


@pytest.mark.parametrize(
    ("keys", "fails"),
    [(("external_id", "email"), True), (("email",), False)],
    ids=["external-id-first", "email-only"],
)
def test_match(keys: tuple[str, ...], fails: bool) -> None:
    made = plan([anna(id="e-9", external_id="e-9")], [there()], keys=keys)
    assert bool(made.failures) == fails
    if not fails:
        assert sent(made) == identity(external_id="e-9")


@pytest.mark.parametrize(
    ("body", "user", "expected"),
    [
        ({"email": "A@x"}, {"email": "a@x", "profile": {}}, []),
        ({"email": "a@x"}, {"email": "old@x", "profile": {}}, ["email"]),
        ({"external_id": "e"}, {"external_id": None, "profile": {}}, ["external_id"]),
        ({"profile": {"a": "1", "b": "2"}}, {"profile": {"a": "", "c": "3"}}, ["profile.a"]),
        ({"profile": {"a": ""}}, {"profile": {"a": ""}}, []),
    ],
)
def test_a_200_that_did_not_do_it_is_noticed(body: dict[str, Any], user: dict[str, Any], expected: list[str]) -> None:
    assert not_taken_over(body, user) == expected


texts = st.none() | st.text(max_size=4)


users = st.builds(
    User,
    st.text(min_size=1, max_size=3),
    full_name=texts,
    email=texts,
    external_id=texts,
    first_name=texts,
    last_name=texts,
    username=texts,
    profile=st.none() | st.dictionaries(st.sampled_from(["occupation", "x"]), st.text(max_size=3)),
    groups=st.none() | st.tuples(st.text(max_size=3)),
)


@given(users)
def test_whatever_is_created_is_right_afterwards(user: User) -> None:
    made = plan([user], [])
    if made.rejected:
        return
    body = sent(made)
    assert body["name"] and body["email"].strip() == body["email"] and body["external_id"]
    profile = {**PROFILE, "occupation": "", **body.get("profile", {})}
    account = there(name=body["name"], email=body["email"], external_id=body["external_id"], profile=profile)
    entry = Owned(GUID, groups=body["groups"].split(",") if "groups" in body else [])
    again = plan([user], [account], {user.id: entry})
    assert [step.fields for step in again.steps if set(step.fields) != {"name"} or name_of(user)] == []
