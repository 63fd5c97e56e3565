# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an account at a Pleio site lacks to be what the roster says. Pure, but for the pictures that the roster names.

Only what differs is ever sent: an update that changes nothing unbans, moves time_updated, and mails nobody knows whom.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._pairing import Account
from .._reconcile import Difference, Plan, Policy, reconcile
from .._roster.model import Avatar, Roster, User
from .._roster.text import folded
from .pleio_values import (
    LARGEST_BODY,
    email_of,
    group_guids,
    keys_of,
    name_of,
    new_external_id,
    value_problem,
)
from .service_state import ServiceState


@dataclass(frozen=True)
class Payload:
    """What a step sends: the body of POST users (None: nothing), the groups in it, the picture after it."""

    body: Optional[Mapping[str, Any]] = None
    groups: Optional[Tuple[str, ...]] = None
    avatar: Optional[Avatar] = None


@dataclass(frozen=True)
class Settings:
    """``groups``: casefolded names to guids. ``stateful``: whether it is known what was sent before."""

    groups: Mapping[str, str]
    avatars: bool
    stateful: bool


def make_plan(
    roster: Roster,
    accounts: Sequence[Account],
    state: ServiceState,
    policy: Policy,
    settings: Settings,
    picture_problem: Callable[[Avatar], Optional[str]],
) -> Plan:
    """``picture_problem`` looks at a picture that would be sent."""
    comparison = _Comparison(accounts, state, settings, picture_problem)
    plan = reconcile(roster, accounts, state.accounts(), state.disabled(), policy, keys_of, comparison.compare)
    plan.groups_kept = comparison.groups_kept
    plan.warnings += comparison.warnings()
    return plan


class _Comparison:
    def __init__(
        self,
        accounts: Sequence[Account],
        state: ServiceState,
        settings: Settings,
        picture_problem: Callable[[Avatar], Optional[str]],
    ) -> None:
        self.state = state
        self.settings = settings
        self.picture_problem = picture_problem
        self.groups_kept: Dict[str, Sequence[str]] = {}
        self.external_ids = {folded(account.keys.get("external_id", "")): account for account in accounts}
        # Every user is listed with every field of the site; without any user nobody knows which there are.
        self.known: Optional[Set[str]] = {key for account in accounts for key in account.data["profile"]}
        if not accounts:
            self.known = None
        self.unknown: Dict[str, int] = {}
        self.pictures: List[str] = []

    def warnings(self) -> List[str]:
        warnings = [
            f"the site has no profile field {key!r} (case counts), so {count} values are not sent"
            for key, count in sorted(self.unknown.items())
        ]
        if self.pictures:
            more = f"; and {len(self.pictures) - 5} more" if len(self.pictures) > 5 else ""
            warnings.append(f"pictures that are not sent: {'; '.join(self.pictures[:5])}{more}")
        return warnings

    def compare(self, user: User, account: Optional[Account]) -> Difference:
        problem = value_problem(user, new=account is None)
        if problem is None and account is None:
            problem = self._id_taken(user)
        if problem:
            return Difference(problem=problem)
        fields: Dict[str, Tuple[Any, Any]] = {}
        body: Dict[str, Any] = {} if account is None else {"guid": account.id}
        self._identity(user, account, fields, body)
        profile = self._profile(user, account, fields)
        if profile:
            body["profile"] = profile
        groups = self._groups(user, account, fields)
        if groups:
            # A comma and nothing else between them: the site does not trim.
            body["groups"] = ",".join(groups)
        sends = bool(fields) or account is None
        if sends and len(json.dumps(body)) > LARGEST_BODY:
            return Difference(problem=("profile", "is larger than Pleio takes in one request (2.5 MB)"))
        avatar = self._avatar(user, account, fields)
        return Difference(fields, Payload(body if sends else None, groups or None, avatar))

    def _id_taken(self, user: User) -> Optional[Tuple[str, str]]:
        holder = self.external_ids.get(folded(new_external_id(user)))
        if holder is None:
            return None
        return "external_id", (
            f"is missing, and {new_external_id(user)!r}, which would stand in for it, is that of the account "
            f"{holder.label} ({holder.id}); give this user one at the source"
        )

    def _identity(
        self, user: User, account: Optional[Account], fields: Dict[str, Tuple[Any, Any]], body: Dict[str, Any]
    ) -> None:
        """Name, e-mail address and external id. The first two are always sent, since the site fails without them."""
        name, email = name_of(user), email_of(user)
        if account is None:
            body.update(name=name or user.username, email=email, external_id=new_external_id(user))
            fields.update((key, (None, body[key])) for key in ("name", "email", "external_id"))
            return
        old_name, old_email = account.data["name"], account.keys.get("email", "")
        external_id, old_id = (user.external_id or "").strip(), account.keys.get("external_id", "")
        body.update(name=old_name if name is None else name, email=old_email)
        if body["name"] != old_name:
            fields["name"] = (old_name, name)
        # Values that differ in case only are answered 200 and not taken over: sending them would never end.
        if email and folded(email) != folded(old_email):
            body["email"] = email
            fields["email"] = (old_email or None, email)
        if external_id and folded(external_id) != folded(old_id):
            body["external_id"] = external_id
            fields["external_id"] = (old_id or None, external_id)

    def _profile(self, user: User, account: Optional[Account], fields: Dict[str, Tuple[Any, Any]]) -> Dict[str, str]:
        profile = {}
        for key, value in sorted((user.profile or {}).items()):
            if self.known is not None and key not in self.known:
                if value:
                    self.unknown[key] = self.unknown.get(key, 0) + 1
                continue
            old = account.data["profile"].get(key, "") if account else ""
            if value != old:
                profile[key] = value
                fields[f"profile.{key}"] = (old or None, value or None)
        return profile

    def _groups(self, user: User, account: Optional[Account], fields: Dict[str, Tuple[Any, Any]]) -> Tuple[str, ...]:
        """Groups to send: those that came to the wanted ones. Sending one again would bring back who left it, with a
        mail; and nothing can take a member out."""
        wanted = group_guids(user, self.settings.groups)
        if wanted is None:
            return ()
        entry = self.state.owned.get(user.id)
        sent = set(entry.groups or ()) if entry and account and entry.account == account.id else set()
        if not sent <= set(wanted):
            self.groups_kept[user.id] = sorted(sent & set(wanted))
        new = tuple(guid for guid in wanted if guid not in sent)
        if not new or (account is not None and not self.settings.stateful):
            return ()
        fields["groups"] = (sorted(sent & set(wanted)), list(wanted))
        return new

    def _avatar(self, user: User, account: Optional[Account], fields: Dict[str, Tuple[Any, Any]]) -> Optional[Avatar]:
        """The picture to send: one that is not what we sent last. The site does not say which one it has."""
        if user.avatar is None or not self.settings.avatars or (account is not None and not self.settings.stateful):
            return None
        entry = self.state.owned.get(user.id)
        sent = entry.avatar if entry and account and entry.account == account.id else None
        if sent == user.avatar.sha256:
            return None
        problem = self.picture_problem(user.avatar)
        if problem:
            # Nobody shall go without an account because of a picture.
            self.pictures.append(f"{user.label} ({user.avatar.path}) {problem}")
            return None
        fields["avatar"] = (sent, user.avatar.sha256)
        return user.avatar
