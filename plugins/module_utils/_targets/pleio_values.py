# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Pleio site can hold, and what a user of the roster is there. Pure.

The site itself checks nothing: it takes empty names and any e-mail address, and answers 500 to what is too long.
"""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional, Tuple

from .._roster.model import User
from .._roster.text import folded, shown, text_problem

LONGEST_NAME = 100
LONGEST_EMAIL = 255
LONGEST_EXTERNAL_ID = 200
#: Django refuses a body of more than 2.5 MiB; some room is left for the other fields.
LARGEST_BODY = 2_500_000
#: A banned user with this name counts as deleted at the site: it is not listed any more and can't be let in again.
DELETED_NAME = "Verwijderde gebruiker"
GUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: Groups of sites that were moved from Elgg are still named by numbers in some files.
_GROUP = re.compile(GUID.pattern + "|[0-9]{1,20}")
_EMAIL = re.compile(r"[^@\s,;<>()\"]+@[^@\s,;<>()\"]+")


def name_of(user: User) -> Optional[str]:
    """The name as people read it, or None when the roster says nothing about it."""
    if user.full_name and user.full_name.strip():
        return user.full_name.strip()
    parts = [part.strip() for part in (user.first_name, user.last_name) if part and part.strip()]
    return " ".join(parts) or None


def email_of(user: User) -> Optional[str]:
    """None when the roster says nothing: an empty address would be taken, and only once."""
    return (user.email or "").strip() or None


def external_id_of(user: User) -> Optional[str]:
    """What to match by. The stable id stands in where it is an id of its own, such as a directory's GUID."""
    if user.external_id:
        return user.external_id.strip()
    if user.id in (user.username, user.email):
        return None
    return user.id.strip()


def new_external_id(user: User) -> str:
    """What a new account gets. It must have one: the site refuses a second user without."""
    return (user.external_id or user.id).strip()


def keys_of(user: User) -> Dict[str, str]:
    """The values that no other account may have."""
    pairs = (("external_id", external_id_of(user)), ("email", email_of(user)))
    return {key: value for key, value in pairs if value}


def value_problem(user: User, new: bool) -> Optional[Tuple[str, str]]:
    """(field, reason) when a record can't be used at a site, or None."""
    name, email = name_of(user) or (user.username if new else None), email_of(user)
    if new and name is None:
        return "full_name", "is missing, and so are first_name, last_name and username"
    if new and email is None:
        return "email", "is missing: Pleio knows people by their e-mail address"
    external_id = new_external_id(user) if new else (user.external_id or "").strip()
    for field, value, longest in (
        ("full_name", name, LONGEST_NAME),
        ("email", email, LONGEST_EMAIL),
        ("external_id", external_id, LONGEST_EXTERNAL_ID),
    ):
        if value and len(value) > longest:
            return field, f"has {len(value)} characters, and Pleio takes {longest}"
        if value and text_problem(value):
            return field, str(text_problem(value))
    if name is not None and folded(name) == folded(DELETED_NAME):
        return "full_name", f"is {name!r}, which is how Pleio marks deleted users: once banned, it could not come back"
    if email is not None and not _EMAIL.fullmatch(email):
        return "email", f"is {shown(email)!r}, which is no e-mail address"
    return None


def group_guids(user: User, mapping: Mapping[str, str]) -> Optional[Tuple[str, ...]]:
    """The site's groups that a user is to be in, or None when the roster says nothing about groups.

    ``mapping``: casefolded group name to guid. Other groups count when they are called by a guid of the site.
    """
    if user.groups is None:
        return None
    guids = set()
    for name in user.groups:
        guid = mapping.get(folded(name)) or name.strip().lower()
        if _GROUP.fullmatch(guid):
            guids.add(guid)
    return tuple(sorted(guids))


def group_mapping(given: Mapping[str, object]) -> Dict[str, str]:
    """The option group_guids, by casefolded names. Raises ValueError."""
    mapping = {}
    for name, guid in given.items():
        text = str(guid).strip().lower()
        if not _GROUP.fullmatch(text):
            raise ValueError(
                f"group_guids of {name!r} is not a group's guid, such as 21e44383-a48b-435a-9533-1ee30c4973bf"
            )
        mapping[folded(str(name))] = text
    return mapping
