# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which account of a service is whose: by our own records, then by an ordered list of keys, compared casefolded. Pure.

A user never gets the account of somebody else: what is ambiguous, or contradicts a stronger key or our records, fails
that one record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from ._outcome import Failure
from ._roster.model import Roster, User
from ._roster.text import folded

Keys = Mapping[str, str]


@dataclass(frozen=True)
class Account:
    """One account as a service lists it. ``keys`` maps a field to its value, without those that are empty.

    ``label`` is what people call it; ``active`` is whether its person may come in; ``data`` is the service's own.
    """

    id: str
    label: str
    keys: Keys
    active: bool = True
    data: Any = None

    def names(self) -> Set[str]:
        """All that a person could call it in a setting, casefolded."""
        return {folded(name) for name in (self.id, *self.keys.values())}


@dataclass
class Pairing:
    """``pairs`` in the roster's order, with None for a user who has no account yet.

    ``present`` are ids of accounts that some record speaks of, ``identities`` the stable ids that the source knows,
    those of rejected records included: none of these left the roster.
    """

    pairs: List[Tuple[User, Optional[Account]]] = field(default_factory=list)
    failures: List[Failure] = field(default_factory=list)
    present: Set[str] = field(default_factory=set)
    identities: Set[str] = field(default_factory=set)


class _Conflict(Exception):
    """Why a user can't have the account that fits."""


class _Finder:
    def __init__(
        self,
        accounts: Sequence[Account],
        keys: Sequence[str],
        keys_of: Callable[[User], Keys],
        owned: Mapping[str, str],
        adopt: FrozenSet[str],
        changing: FrozenSet[str],
    ) -> None:
        self.keys = tuple(keys)
        self.changing = changing
        self.keys_of = keys_of
        self.owned = owned
        self.adopt = adopt
        self.by_id = {account.id: account for account in accounts}
        self.owners = {account: identity for identity, account in sorted(owned.items())}
        self.index: Dict[Tuple[str, str], List[Account]] = {}
        for account in accounts:
            for key, value in account.keys.items():
                self.index.setdefault((key, folded(value)), []).append(account)
        self.fields = {key for key, value in self.index}
        self.claimed: Dict[str, User] = {}

    def holders(self, key: str, value: Optional[str]) -> List[Account]:
        return self.index.get((key, folded(value)), []) if value else []

    def recorded(self, user: User) -> Optional[Account]:
        """The account that our records name."""
        return self.by_id.get(self.owned.get(user.id, ""))

    def by_key(self, user: User, key: str) -> Optional[Account]:
        """The account with the user's value of a key. Raises _Conflict."""
        value = self.keys_of(user).get(key)
        found = self.holders(key, value)
        if len(found) > 1:
            ids = ", ".join(sorted(account.id for account in found))
            raise _Conflict(f"{key} {value!r} is that of {len(found)} accounts ({ids}): remove all but one there")
        if not found or found[0].id in self.claimed:
            return None
        self._check_same(user, key, found[0])
        return found[0]

    def _check_same(self, user: User, key: str, account: Account) -> None:
        """Raises _Conflict when a stronger key or our records say that the account is another person's."""
        if account.names() & self.adopt:
            return
        wanted = self.keys_of(user)
        # A source that gets real ids later had its people under their user name or e-mail address before.
        own = {
            folded(name) for name in (user.id, user.username, user.email, user.external_id, *wanted.values()) if name
        }
        fits = f"{key} {wanted[key]!r} is that of the account {account.label} ({account.id})"
        for stronger in self.keys[: self.keys.index(key)]:
            value = account.keys.get(stronger)
            if value and stronger in wanted and stronger not in self.changing and folded(value) not in own:
                raise _Conflict(
                    f"{fits}, whose {stronger} is {value!r}. If it is the same person, name the account in adopt"
                )
        owner = self.owners.get(account.id)
        if owner is not None and owner != user.id and folded(owner) not in own:
            raise _Conflict(
                f"{fits}, which belonged to another person, with the id {owner!r}. "
                "If it is the same person, name the account in adopt"
            )

    def taken(self, user: User, account: Optional[Account]) -> Optional[str]:
        """Why a value that the user needs for its own can't be given, or None."""
        for key, value in self.keys_of(user).items():
            for holder in self.holders(key, value):
                if account is None or holder.id != account.id:
                    other = self.claimed.get(holder.id)
                    whose = f", which is {other.label}'s" if other is not None and other.label != holder.label else ""
                    return f"{key} {value!r} is already that of the account {holder.label} ({holder.id}){whose}"
        return None


def pair(
    roster: Roster,
    accounts: Sequence[Account],
    keys: Sequence[str],
    keys_of: Callable[[User], Keys],
    owned: Mapping[str, str],
    adopt: FrozenSet[str] = frozenset(),
    changing: FrozenSet[str] = frozenset(),
) -> Pairing:
    """``keys_of`` gives the values that a user's account must have and no other may; ``owned`` maps stable ids to
    account ids. Stronger evidence is followed for everybody before weaker; but for keys that are ``changing`` in a
    person's life, it must not contradict."""
    finder = _Finder(accounts, keys, keys_of, owned, adopt, changing)
    pairing = Pairing()
    chosen: Dict[str, Account] = {}
    failed: Dict[str, str] = {}
    for user in roster.users:
        account = finder.recorded(user)
        if account is not None and account.id not in finder.claimed:
            finder.claimed[account.id] = user
            chosen[user.id] = account
    for key in keys:
        for user in roster.users:
            if user.id in chosen or user.id in failed:
                continue
            try:
                account = finder.by_key(user, key)
            except _Conflict as problem:
                failed[user.id] = str(problem)
                continue
            if account is not None:
                finder.claimed[account.id] = user
                chosen[user.id] = account
    for user in roster.users:
        account = chosen.get(user.id)
        problem_found = failed.get(user.id) or finder.taken(user, account)
        if problem_found:
            pairing.failures.append(Failure("user", user.label, problem_found))
        else:
            pairing.pairs.append((user, account))
    pairing.present = {account.id for account in chosen.values()} | _spoken_of(roster, finder)
    pairing.identities = {user.id for user in roster.users}
    pairing.identities |= {entry.id for entry in roster.rejected if entry.kind == "user" and entry.id}
    return pairing


def _spoken_of(roster: Roster, finder: _Finder) -> Set[str]:
    """Accounts that a rejected record may mean, and those that several accounts share with a user."""
    present: Set[str] = set()
    for user in roster.users:
        for key in finder.keys:
            found = finder.holders(key, finder.keys_of(user).get(key))
            if len(found) > 1:
                present |= {account.id for account in found}
    for entry in roster.rejected:
        if entry.kind == "user":
            for name in (entry.id, entry.name):
                for key in finder.fields if name else ():
                    present |= {account.id for account in finder.holders(key, name)}
    return present
