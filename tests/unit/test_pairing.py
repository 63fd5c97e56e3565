# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is whom at a service: never somebody else's account, and nobody gone whom some record still speaks of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._pairing import Account, Pairing, pair
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._roster.text import folded

KEYS = ("external_id", "email")


def keys_of(user: User) -> dict[str, str]:
    return {key: value for key, value in (("external_id", user.external_id), ("email", user.email)) if value}


def user(identity: str, email: str | None = None, external_id: str | None = None, **more: Any) -> User:
    return User(identity, email=email, external_id=external_id, **more)


def account(identity: str, email: str = "", external_id: str = "", **more: Any) -> Account:
    keys = {key: value for key, value in (("external_id", external_id), ("email", email)) if value}
    return Account(identity, email or identity, keys, **more)


def paired(
    users: list[User],
    accounts: list[Account],
    owned: dict[str, str] | None = None,
    adopt: frozenset[str] = frozenset(),
    rejected: tuple[Rejected, ...] = (),
) -> Pairing:
    roster = Roster({}, tuple(users), (), rejected)
    return pair(roster, accounts, KEYS, keys_of, owned or {}, adopt)


def who(pairing: Pairing) -> dict[str, str | None]:
    return {each.id: found.id if found else None for each, found in pairing.pairs}


def why(pairing: Pairing) -> str:
    (failure,) = pairing.failures
    return failure.reason


@pytest.mark.parametrize(
    ("users", "accounts", "owned", "expected"),
    [
        pytest.param([user("1", "a@x")], [], {}, {"1": None}, id="nobody-there"),
        pytest.param([user("1", "a@x", "e-1")], [account("A", "a@x"), account("B", "b@x")], {}, {"1": "A"}, id="email"),
        pytest.param([user("1", "new@x", "e-1")], [account("A", "old@x", "e-1")], {}, {"1": "A"}, id="external-id"),
        pytest.param([user("1", "A@X", "E-1")], [account("A", "a@x", "e-1")], {}, {"1": "A"}, id="case"),
        pytest.param([user("1", "\uff41@x")], [account("A", "a@x")], {}, {"1": "A"}, id="wide-letters"),
        pytest.param([user("1", "new@x")], [account("A", "old@x")], {"1": "A"}, {"1": "A"}, id="recorded"),
        pytest.param([user("1", "a@x")], [account("A", "a@x")], {"1": "gone"}, {"1": "A"}, id="recorded-but-gone"),
        pytest.param(
            [user("1", "a@x", "e-1"), user("2", "b@x", "e-2")],
            [account("A", "a@x"), account("B", "b@x", "e-2")],
            {},
            {"1": "A", "2": "B"},
            id="two",
        ),
        # An account of the first days is known by its e-mail address; then the source gets real ids.
        pytest.param(
            [user("e-1", "a@x", "e-1")], [account("A", "a@x", "a@x")], {"a@x": "A"}, {"e-1": "A"}, id="new-ids"
        ),
    ],
)  # fmt: skip
def test_pairs(
    users: list[User], accounts: list[Account], owned: dict[str, str], expected: dict[str, str | None]
) -> None:
    pairing = paired(users, accounts, owned)
    assert (who(pairing), pairing.failures) == (expected, [])
    assert pairing.present == {found for found in expected.values() if found}


@pytest.mark.parametrize(
    ("users", "accounts", "owned", "words", "present"),
    [
        pytest.param(
            [user("1", "a@x")], [account("B", "a@X"), account("A", "A@x")], {},
            "email 'a@x' is that of 2 accounts (A, B): remove all but one there", {"A", "B"}, id="ambiguous",
        ),
        pytest.param(
            [user("2", "a@x", "e-2")], [account("A", "a@x", "e-1")], {},
            "email 'a@x' is that of the account a@x (A), whose external_id is 'e-1'.", set(), id="stronger-key-differs",
        ),
        pytest.param(
            [user("2", "info@x")], [account("A", "info@x")], {"1": "A"},
            "which belonged to another person, with the id '1'", set(), id="address-handed-on",
        ),
        pytest.param(
            [user("1", "b@x", "e-1")], [account("A", "a@x", "e-1"), account("B", "b@x")], {},
            "email 'b@x' is already that of the account b@x (B)", {"A"}, id="email-of-someone-else",
        ),
        pytest.param(
            [user("1", "a@x", "e-2")], [account("A", "a@x", "e-1"), account("B", "b@x", "e-2")], {"1": "A"},
            "external_id 'e-2' is already that of the account b@x (B)", {"A"}, id="external-id-of-someone-else",
        ),
    ],
)  # fmt: skip
def test_what_is_not_sure_fails_that_record(
    users: list[User], accounts: list[Account], owned: dict[str, str], words: str, present: set[str]
) -> None:
    pairing = paired(users, accounts, owned)
    assert words in why(pairing)
    assert pairing.pairs == []
    assert pairing.present == present
    assert pairing.identities == {users[0].id}


def test_the_stronger_claim_comes_first_whatever_the_order() -> None:
    users = [user("0", "a@x"), user("1", "other@x", "e-1")]
    pairing = paired(users, [account("A", "a@x", "e-1")])
    assert who(pairing) == {"1": "A"}
    assert why(pairing) == "email 'a@x' is already that of the account a@x (A), which is other@x's"


@pytest.mark.parametrize("name", ["a", "a@x", "e-1"])
def test_adopt_lets_one_account_go_over(name: str) -> None:
    accounts, owned = [account("A", "a@x", "e-1")], {"1": "A"}
    assert paired([user("2", "a@x", "e-2")], accounts, owned).failures
    assert who(paired([user("2", "a@x", "e-2")], accounts, owned, frozenset({name}))) == {"2": "A"}


@pytest.mark.parametrize(
    ("entry", "present"),
    [
        (Rejected("user", "x", "y", id="E-1"), {"A"}),
        (Rejected("user", "x", "y", name="A@x"), {"A"}),
        (Rejected("group", "x", "y", name="a@x"), set()),
        (Rejected("user", "x", "y", record="line 8"), set()),
    ],
    ids=["id", "name", "group", "nameless"],
)
def test_a_rejected_record_is_present(entry: Rejected, present: set[str]) -> None:
    pairing = paired([], [account("A", "a@x", "e-1"), account("B", "b@x")], rejected=(entry,))
    assert pairing.present == present
    assert pairing.identities == ({entry.id} - {None})


names = st.sampled_from(["a", "A", "b", "c", "ß", "SS", ""])
people = st.lists(st.tuples(names, names), max_size=6)


@given(people, people, st.dictionaries(st.sampled_from("0123"), st.sampled_from("0123")))
def test_no_account_is_given_twice_and_nobody_is_lost(
    wanted: list[tuple[str, str]], there: list[tuple[str, str]], owned: dict[str, str]
) -> None:
    users = [user(str(number), *pair_of) for number, pair_of in enumerate(wanted)]
    accounts = [account(str(number), *pair_of) for number, pair_of in enumerate(there)]
    pairing = paired(users, accounts, owned)
    given_out = [found.id for _user, found in pairing.pairs if found]
    assert len(given_out) == len(set(given_out))
    assert len(pairing.pairs) + len(pairing.failures) == len(users)
    assert set(given_out) <= pairing.present
    for each, found in pairing.pairs:
        for key, value in keys_of(each).items():
            holders = {other.id for other in accounts if folded(other.keys.get(key, "")) == folded(value)}
            assert holders <= ({found.id} if found else set())
