# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Libre Workspace portal: one GET of every account, made a roster.

``read`` is pure: an answer's bytes in, a roster out, the same whatever the order of the records.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Hashable, Iterable, List, Optional, Sequence, Set, Tuple
from urllib.parse import urlsplit, urlunsplit

from .._errors import SourceError
from .._http import Answer, HttpSession, HttpSettings, check_url, shown_url
from .._roster.model import Group, Rejected, User
from .._roster.posix import group_problem, user_problem
from .._roster.text import folded, shown
from .._roster.validation import FieldError, build, reject_group, reject_user, split_duplicates
from .ids import DERIVE, IdSettings
from .libre_workspace_admins import Administrators, admins_by_name
from .libre_workspace_people import (
    ListedGroup,
    Person,
    listed_groups,
    read_listed_group,
    read_person,
    readable,
    reject_record,
)
from .reading import Reading

API_PATH = "/api/linux_users/"
_MISSING_UID = "is missing: open the person's profile in the portal and save it once, or set uid_policy=derive"
_MISSING_GID = "is missing: give the group a gidNumber in the directory, or set gid_policy=derive"
_STATUS = {
    400: "does not know itself by this name: use the host name that the portal is set up for",
    401: "refuses the key: check api_key",
    403: "refuses the key: it is wrong, has expired, or lacks the permission Linux Client. "
    "Make a new one in the portal, with that permission",
    404: "has no such address: url is not the portal's, or the portal is too old or too new for this collection",
    429: "is asked too often: try later",
    500: "can't answer, most often because it does not reach its directory: "
    "look whether the domain controller runs and at the portal's log",
}


@dataclass(frozen=True)
class PortalSettings:
    """What the module's options of the same names say. ``admin_groups`` None: the portal's own flag."""

    ids: IdSettings = field(default_factory=IdSettings)
    allow_unicode_names: bool = False
    admin_groups: Optional[Sequence[str]] = None
    allow_empty: bool = False

    def check(self) -> None:
        """Raises SourceError when an option can't be meant so."""
        self.ids.check()
        Administrators(self.admin_groups)


def base_url(url: str) -> str:
    """The portal's own address, of one with or without the API's path. Raises SourceError or HttpError."""
    check_url(url.strip())
    parts = urlsplit(url.strip())
    if parts.query or parts.fragment:
        raise SourceError(f"the url {shown_url(url)} has a query or a fragment: give the portal's own address")
    path = parts.path.rstrip("/")
    if path.endswith(API_PATH.rstrip("/")):
        path = path[: -len(API_PATH.rstrip("/"))].rstrip("/")
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), path, "", ""))


def fetch(url: str, api_key: str, http: HttpSettings, settings: PortalSettings) -> Reading:
    """Ask the portal once. Raises SourceError or HttpError, in words that say what to do."""
    settings.check()
    base = base_url(url)
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SourceError("api_key is empty or holds a character that no key of the portal has")
    headers = {"Api-key": key, "Accept": "application/json", "Accept-Language": "en"}
    with HttpSession(http, headers) as session:
        answer = session.get(base + API_PATH)
    return read(_body(answer), base, settings)


def _body(answer: Answer) -> bytes:
    """The bytes of an answer that claims to be one."""
    times = f" (asked {answer.attempts} times)" if answer.attempts > 1 else ""
    title = answer.html_title
    page = "an HTML page" + (f" called {title!r}" if title else "")
    if answer.status != 200:
        advice = _STATUS.get(answer.status)
        if advice is None and answer.status >= 500:
            advice = "is not available: look whether it runs and at the proxy in front of it"
        called = f", with {page}" if title else ""
        text = advice or "does not answer as it should: check url"
        raise SourceError(f"the portal at {answer.url} {text}. It answered {answer.status}{called}{times}")
    if answer.content_type != "application/json":
        html = answer.content_type == "text/html"
        what = page if html else repr(answer.content_type[:80] or "no content type")
        raise SourceError(
            f"the portal at {answer.url} answered with {what} instead of JSON: "
            "a login page or a proxy stands in front of it; let this address through to the portal"
        )
    return answer.content


def read(content: bytes, base: str, settings: PortalSettings) -> Reading:
    """An answer's body made a roster. Raises SourceError unless it is a complete list of people.

    The reading's details: ``admins_by_name``, those whom the portal may call admin only for a group's name.
    """
    records = _records(content, base)
    if not records and not settings.allow_empty:
        raise SourceError(
            f"the portal at {base} lists nobody at all: LDAP is switched off in the portal, or its directory is empty. "
            "If that is really so, set allow_empty=true"
        )
    people, rejected = _people(records, settings.ids)
    administrators = Administrators(settings.admin_groups)
    people = [
        replace(
            person,
            user=replace(
                person.user, admin=administrators.is_admin(person.dn, person.user.admin is True, person.group_dns)
            ),
        )
        for person in people
    ]
    users, bad_users = _usable_users(people, settings)
    groups, bad_groups = _usable_groups(records, settings)
    source = {"kind": "libre_workspace", "url": base}
    roster = build(source, users, groups, [*rejected, *bad_users, *bad_groups])

    warnings = _shared_id_warning(records, settings.ids)
    if records and not roster.users:
        warnings.append(f"none of the portal's {len(records)} records can be used; rejected says why for each")
    for dn in administrators.unmet():
        warnings.append(f"admin_groups names {shown(dn, 200)}, and nobody in the portal's answer is in it")
    by_name = _admins_by_name(people, {user.id for user in roster.users}) if administrators.by_portal else {}
    if by_name:
        people_shown = "; ".join(f"{name} ({', '.join(dns)})" for name, dns in sorted(by_name.items()))
        warnings.append(
            "the portal calls these people administrators, perhaps only because a group of theirs has Administrators "
            f"in its name: {people_shown}. Say in admin_groups which groups really hold administrators"
        )
    return Reading(roster, len(records), tuple(warnings), {"admins_by_name": sorted(by_name)})


def _records(content: bytes, base: str) -> List[Any]:
    def mapping(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a key stands twice in one mapping")
        return values

    def no_number(text: str) -> Any:
        raise ValueError(f"{text} is no JSON")

    try:
        records = json.loads(content.decode("utf-8"), object_pairs_hook=mapping, parse_constant=no_number)
    except (ValueError, RecursionError):
        # Neither the parser's words nor the text: either may hold a hash.
        raise SourceError(
            f"the answer of the portal at {base}, {len(content)} bytes, is not complete JSON: it broke off, or "
            "something between changed it. Try again, and look at the proxy in front of the portal"
        ) from None
    if not isinstance(records, list):
        raise SourceError(
            f"the portal at {base} answered with JSON that is no list: it is too old or too new for this collection"
        )
    return records


def _people(records: Sequence[Any], ids: IdSettings) -> Tuple[List[Person], List[Rejected]]:
    people: List[Person] = []
    rejected: List[Rejected] = []
    for record in records:
        try:
            people.append(read_person(record, with_uid=ids.uid_policy != DERIVE))
        except FieldError as problem:
            rejected.append(reject_record(record, problem))
    if ids.uid_policy == DERIVE:
        # Over every guid, also of records rejected today: that a person becomes usable shifts nobody else's uid.
        uids = ids.uids(guid for guid in (readable(record, "guid") for record in records) if guid)
        people = [replace(person, user=replace(person.user, uid=uids[person.user.id])) for person in people]
    return people, rejected


def _usable_users(people: Iterable[Person], settings: PortalSettings) -> Tuple[List[User], List[Rejected]]:
    users = [person.user for person in people]
    # Among all who are readable: that one of two is rejected for its name does not make the uid the other's own.
    _alone, sharing = split_duplicates(users, {"uid": lambda user: user.uid}, lambda user: user.label)
    shared = {user.uid: reason for user, _field, reason in sharing}
    usable: List[User] = []
    rejected: List[Rejected] = []
    for user in users:
        problem = user_problem(user, settings.allow_unicode_names)
        if problem is None and user.uid is None:
            problem = "uid", _MISSING_UID
        if problem is None and user.uid in shared and settings.ids.uid_policy != DERIVE:
            problem = "uid", shared[user.uid]
        if problem is None:
            usable.append(user)
        else:
            rejected.append(reject_user(user, *problem))
    return usable, rejected


def _usable_groups(records: Iterable[Any], settings: PortalSettings) -> Tuple[List[Group], List[Rejected]]:
    listed = _distinct(group for record in records for group in listed_groups(record))
    gids: Optional[Dict[str, int]] = None
    if settings.ids.gid_policy == DERIVE:
        names = {group.cn for group in listed if not group.problem}
        by_folded_name = settings.ids.gids(names)
        gids = {name: by_folded_name[folded(name)] for name in names}
    groups: List[Group] = []
    rejected: List[Rejected] = []
    for each in listed:
        group = read_listed_group(each, gids)
        if isinstance(group, Group):
            groups.append(group)
        else:
            rejected.append(group)
    _alone, sharing = split_duplicates(groups, {"gid": lambda group: group.gid}, lambda group: group.name)
    shared = {group.gid: reason for group, _field, reason in sharing}
    usable: List[Group] = []
    for group in groups:
        problem = group_problem(group, settings.allow_unicode_names)
        if problem is None and group.gid is None:
            problem = "gid", _MISSING_GID
        if problem is None and group.gid in shared and gids is None:
            problem = "gid", shared[group.gid]
        if problem is None:
            usable.append(group)
        else:
            rejected.append(reject_group(group, *problem))
    return usable, rejected


def _distinct(groups: Iterable[ListedGroup]) -> Iterable[ListedGroup]:
    """Each group once, however many list it; one that two people describe differently stays twice."""
    seen: Dict[Hashable, ListedGroup] = {}
    for group in groups:
        key: Hashable = (group.dn, group.cn, group.description, group.number)
        if not (isinstance(group.description, str) and isinstance(group.number, str)):
            key = json.dumps(key, sort_keys=True)
        seen.setdefault(key, group)
    return seen.values()


def _shared_id_warning(records: Sequence[Any], ids: IdSettings) -> List[str]:
    """One sentence when the portal gives (nearly) everybody the same number, as it does when it is as shipped."""
    found = []
    if ids.uid_policy != DERIVE:
        uids = [readable(record, "uidNumber") or "" for record in records]
        found.append(_common("people", "uid", [uid for uid in uids if _is_digits(uid)]))
    if ids.gid_policy != DERIVE:
        listed = (group for record in records for group in listed_groups(record))
        gids = {(group.dn, group.number) for group in listed if _is_digits(group.number)}
        found.append(_common("groups", "gid", [gid for _dn, gid in gids]))
    common = [each for each in found if each]
    if not common:
        return []
    sentences = " and ".join(sentence for sentence, _option in common)
    options = " and ".join(option for _sentence, option in common)
    warning = (
        f"the portal gives {sentences}, as its faulty versions do, so these can't be used. "
        f"Set {options}: ids are then derived, the same on every host"
    )
    return [warning]


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _common(what: str, kind: str, numbers: Sequence[str]) -> Optional[Tuple[str, str]]:
    """(who shares which number, the option to set) when at least half of two or more do."""
    if not numbers:
        return None
    number, times = min(Counter(numbers).items(), key=lambda item: (-item[1], item[0]))
    if times < 2 or times * 2 < len(numbers):
        return None
    return f"{times} of {len(numbers)} {what} the same {kind} {number[:10]}", f"{kind}_policy=derive"


def _admins_by_name(people: Iterable[Person], usable: Set[str]) -> Dict[str, List[str]]:
    """Username to the groups that may be the only reason."""
    return {
        person.user.label: [shown(dn, 200) for dn in admins_by_name(person.group_dns)]
        for person in people
        if person.user.id in usable and person.user.admin and admins_by_name(person.group_dns)
    }
