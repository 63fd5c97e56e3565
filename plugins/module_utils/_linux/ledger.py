# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ledger: what this collection owns on a host. Nothing outside it is ever changed, disabled or removed.

Kept as /var/lib/identity-roster/ledger.json; this module only knows its content.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Dict, List, Optional, Set

from .._errors import TargetError

FORMAT = "identity.roster.ledger/1"


@dataclass(frozen=True)
class Disabled:
    """Why an account is disabled: ``source`` (the roster says so) or ``missing`` (the user left the roster).

    ``since`` is a day (days since 1970); ``expire`` is the shadow field as it was before, to be put back; ``admin``
    tells that admin rights were dropped with it; ``locked``, that somebody had locked the account on this host before.
    """

    reason: str
    since: int
    expire: str = ""
    admin: bool = False
    locked: bool = False


@dataclass(frozen=True)
class Former:
    """What of an account is still to be moved (after a rename) or removed: its old name, and its old home ("": that
    stays where it is)."""

    username: str
    home: str


@dataclass(frozen=True)
class OwnedUser:
    """An account that this collection made, or took over when told to.

    One with ``removed`` (a day) is gone; its entry stays, so that its uid is never given to another person, and says
    where the home is archived. ``former`` is there from the moment when the account files say so until the disk does
    too: a run may be cut off between.
    """

    username: str
    uid: int
    gid: int
    private_group: bool = False
    adopted: bool = False
    disabled: Optional[Disabled] = None
    removed: Optional[int] = None
    former: Optional[Former] = None
    archive: Optional[str] = None


#: The names of the fields, and what gets their values. vars() would leave a dictionary in memory for each entry.
_FIELDS = {kind: [each.name for each in fields(kind)] for kind in (Disabled, Former, OwnedUser)}
_VALUES = {kind: attrgetter(*names) for kind, names in _FIELDS.items()}


@dataclass
class Ledger:
    """``users`` by the roster's stable id, ``groups`` name to gid, ``memberships`` group to the user names that were
    added to a group which is not ours."""

    users: Dict[str, OwnedUser] = field(default_factory=dict)
    groups: Dict[str, int] = field(default_factory=dict)
    memberships: Dict[str, List[str]] = field(default_factory=dict)

    def copy(self) -> Ledger:
        return Ledger(
            dict(self.users), dict(self.groups), {key: list(names) for key, names in self.memberships.items()}
        )

    def uids(self) -> Set[int]:
        return {entry.uid for entry in self.users.values()}

    def finish(self, identity: str) -> None:
        """What was left to be moved or removed has been."""
        self.users[identity] = replace(self.users[identity], former=None)


def serialise(ledger: Ledger) -> bytes:
    document: Dict[str, Any] = {"format": FORMAT, **vars(ledger)}
    # Indenting, or copying the entries by asdict, takes ten times as long (10,000 users: 1.6 s against 0.2 s).
    text = json.dumps(document, default=_stated, sort_keys=True, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "surrogateescape")


def _stated(entry: Any) -> Dict[str, Any]:
    """An entry of the ledger, or a part of one, without what is not so: most of an account's fields say nothing."""
    stated = zip(_FIELDS[type(entry)], _VALUES[type(entry)](entry))
    return {name: value for name, value in stated if value is not None and value is not False}


def _is_sound(entry: OwnedUser) -> bool:
    """Whether what was read has the types and, where it goes into a file again, the form that it should have."""
    kinds = [type(value) for value in (entry.username, entry.uid, entry.gid, entry.private_group, entry.adopted)]
    if kinds != [str, int, int, bool, bool]:
        return False
    kinds = [type(value) for value in (entry.removed, entry.archive) if value is not None]
    if kinds != [kind for value, kind in ((entry.removed, int), (entry.archive, str)) if value is not None]:
        return False
    former, disabled = entry.former, entry.disabled
    if former is not None and [type(former.username), type(former.home)] != [str, str]:
        return False
    if disabled is None:
        return True
    kinds = [type(value) for value in (disabled.reason, disabled.since, disabled.expire)]
    kinds += [type(value) for value in (disabled.admin, disabled.locked)]
    return kinds == [str, int, str, bool, bool] and not {":", "\n"} & set(disabled.expire)


def parse(content: bytes, path: str) -> Ledger:
    """Raises TargetError for anything but a whole ledger: taking a broken one for an empty one would orphan every
    account on the host."""
    try:
        document = json.loads(content.decode("utf-8", "surrogateescape"))
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, this version reads {FORMAT!r}")
        users = {}
        for key, entry in document["users"].items():
            disabled, former = entry.pop("disabled", None), entry.pop("former", None)
            users[key] = OwnedUser(
                disabled=Disabled(**disabled) if disabled else None,
                former=Former(**former) if former else None,
                **entry,
            )
            if not _is_sound(users[key]):
                raise ValueError(f"the entry of {key!r} is not one")
        groups, memberships = document["groups"], document["memberships"]
        if any(not isinstance(gid, int) or isinstance(gid, bool) for gid in groups.values()) or not all(
            isinstance(names, list) and all(isinstance(name, str) for name in names) for names in memberships.values()
        ):
            raise ValueError("its groups or memberships are not such")
        return Ledger(users, groups, memberships)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise TargetError(
            f"{path} is damaged ({problem}). It records which accounts belong to the roster, so nothing was changed. "
            "Restore it from a backup, or remove it and name the accounts to take over again in adopt"
        ) from None
