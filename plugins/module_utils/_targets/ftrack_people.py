# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a roster's user is at ftrack: which fields are sent, and how a full name becomes two. Pure."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Tuple

from .._roster.model import User
from .._roster.text import folded


def split_name(full_name: str) -> Tuple[str, str]:
    """First and last name of "Anna Maria Schmidt" or "Schmidt, Anna Maria"; one word alone is a first name."""
    last, comma, first = (part.strip() for part in full_name.partition(","))
    if comma and last and first:
        return first, last
    words = full_name.replace(",", " ").split()
    return (" ".join(words[:-1]), words[-1]) if len(words) > 1 else (" ".join(words), "")


def names_of(user: User, before: Mapping[str, str]) -> Dict[str, Optional[str]]:
    """first_name and last_name as the roster has them; None where it says nothing. ``before`` is what ftrack has.

    A full name is split only when ftrack's two names together are another one: where people parted it in their own
    way, that stays.
    """
    names = {"first_name": user.first_name, "last_name": user.last_name}
    if is_blank(user.full_name) or (not is_blank(user.first_name) and not is_blank(user.last_name)):
        return names
    full_name = " ".join((user.full_name or "").split())
    together = " ".join(f"{before.get('first_name', '')} {before.get('last_name', '')}".split())
    if is_blank(user.first_name) and is_blank(user.last_name):
        if full_name == together:
            return {"first_name": None, "last_name": None}
        first, last = split_name(full_name)
        return {"first_name": first, "last_name": last or None}
    # One of the two is known: the other is what remains of the full name.
    if is_blank(user.last_name):
        return {**names, "last_name": _rest(full_name, (user.first_name or "").strip(), at_end=False)}
    return {**names, "first_name": _rest(full_name, (user.last_name or "").strip(), at_end=True)}


def _rest(full_name: str, known: str, at_end: bool) -> Optional[str]:
    if at_end and full_name.endswith(f" {known}"):
        return full_name[: -len(known)].strip()
    if not at_end and full_name.startswith(f"{known} "):
        return full_name[len(known) :].strip()
    return None


def is_blank(text: Optional[str]) -> bool:
    return text is None or not text.strip()


def external_id_of(user: User) -> str:
    """What ftrack is told of who somebody is."""
    return (user.external_id or user.id).strip()


def values_of(user: User, before: Mapping[str, str], erase_blank: bool) -> Dict[str, str]:
    """ftrack's fields as the roster wants them. What it says nothing about is left out; what it has as a blank text
    too, unless blanks may erase. The user name is never erased."""
    wanted = {"username": user.username, "email": user.email, **names_of(user, before)}
    values: Dict[str, str] = {}
    for name, value in wanted.items():
        if value is None or (not value.strip() and (name == "username" or not erase_blank)):
            continue
        values[name] = value.strip()
    return values


def differs(name: str, before: str, after: str) -> bool:
    """User names and e-mail addresses that differ in case only are the same."""
    if name in ("username", "email"):
        return folded(before) != folded(after)
    return before != after
