# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same forty people and ten groups, as each kind of directory stores them (LDIF)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["openldap", "389ds", "active_directory"]

KINDS: tuple[Kind, ...] = ("openldap", "389ds", "active_directory")

SUFFIX = "dc=example,dc=test"
PEOPLE = f"ou=staff,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
CROWD = f"ou=crowd,{SUFFIX}"
SPECIAL = f"ou=special,{SUFFIX}"
READER = f"cn=reader,{SUFFIX}"
LIMITED = f"cn=limited,{SUFFIX}"
PASSWORD = "Reader-Canary-1!"
#: Members of one group, most of them outside of what a test reads as people.
CROWD_SIZE = 1597
CRYPT_HASH = "$6$rounds=5000$roster$" + "A" * 86

Attributes = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Person:
    """One of the forty. ``marks``: what disables, or nearly disables, the person in each kind of directory."""

    login: str
    given: str
    surname: str
    number: int
    disabled: bool = False
    marks: Mapping[Kind, Attributes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.given} {self.surname}"


_NAMES = """
    Anna Schmidt|Jürgen Weiß|Zoë Müller|Łukasz Żółty|Émile Çelik|Σοφία Παππά|Иван Петров|李 小龍
    María-José Núñez|Øyvind Ås|Björn Straße|Aoife O'Brien|Nguyễn Ánh|Şule Öztürk|Ólafur Þórsson|Dvořák Antonín
    Mia Becker|Noah Koch|Lea Wolf|Paul Schäfer|Emma Bauer|Ben Richter|Lina Klein|Finn Schröder
    Ida Neumann|Max Schwarz|Ella Braun|Tom Zimmermann|Eva Krüger|Jan Hofmann|Rita Sperrt|Olaf Abgelaufen
    Sven Ohneshell|Pia Kurzgesperrt|Kai Läuftspäter|Ute Niemals|Udo Lang|Gabi Kurz|Rolf Groß|Inge Fein
"""
_PAST, _FUTURE = "133000000000000000", "153000000000000000"
_MARKS: dict[int, tuple[bool, dict[Kind, Attributes]]] = {
    31: (
        True,
        {
            "openldap": {"pwdAccountLockedTime": ["000001010000Z"]},
            "389ds": {"nsAccountLock": ["true"]},
            "active_directory": {"userAccountControl": ["546"]},
        },
    ),
    32: (
        True,
        {
            "openldap": {"shadowExpire": ["1"]},
            "389ds": {"shadowExpire": ["1"]},
            "active_directory": {"accountExpires": [_PAST]},
        },
    ),
    33: (
        True,
        {
            "openldap": {"loginShell": ["/usr/sbin/nologin"]},
            "389ds": {"loginShell": ["/bin/false"]},
            "active_directory": {"userAccountControl": ["66050"]},
        },
    ),
    34: (
        False,
        {
            "openldap": {"pwdAccountLockedTime": ["20260101000000Z"]},
            "389ds": {"nsAccountLock": ["false"]},
            "active_directory": {"lockoutTime": ["0"]},
        },
    ),
    35: (
        False,
        {
            "openldap": {"shadowExpire": ["60000"]},
            "389ds": {"shadowExpire": ["60000"]},
            "active_directory": {"accountExpires": [_FUTURE]},
        },
    ),
    36: (
        False,
        {
            "openldap": {"shadowExpire": ["-1"]},
            "389ds": {"shadowExpire": ["-1"]},
            "active_directory": {"accountExpires": ["0"]},
        },
    ),
}


def _people() -> Iterator[Person]:
    names = [name.strip() for line in _NAMES.strip().splitlines() for name in line.split("|")]
    for number, name in enumerate(names, start=1):
        given, _space, surname = name.partition(" ")
        disabled, marks = _MARKS.get(number, (False, {}))
        yield Person(f"user{number:02}", given, surname, 20000 + number, disabled, marks)


FORTY = tuple(_people())
#: Group to the logins and the groups in it. The ring has no end; who is in one of it is in all of it.
MEMBERS: dict[str, tuple[list[str], list[str]]] = {
    "team-a": (["user01", "user02", "user03"], []),
    "team-b": (["user04", "user31"], []),
    "alle": (["user10"], ["team-a", "team-b"]),
    "ring-1": (["user11"], ["ring-2"]),
    "ring-2": (["user12"], ["ring-3"]),
    "ring-3": (["user13"], ["ring-1"]),
    "big": (["user01", "user20", "user40"], []),
    "chefs": (["user05"], ["team-a"]),
    "büro": (["user02", "user08"], []),
    "solo": (["user09"], []),
}
#: What each of the ten groups comes down to.
EXPECTED = {
    "team-a": {"user01", "user02", "user03"},
    "team-b": {"user04", "user31"},
    "alle": {"user10", "user01", "user02", "user03", "user04", "user31"},
    "ring-1": {"user11", "user12", "user13"},
    "ring-2": {"user11", "user12", "user13"},
    "ring-3": {"user11", "user12", "user13"},
    "big": {"user01", "user20", "user40"},
    "chefs": {"user05", "user01", "user02", "user03"},
    "büro": {"user02", "user08"},
    "solo": {"user09"},
}


def ldif(kind: Kind) -> str:
    """The whole directory below the suffix, which exists already everywhere but in OpenLDAP."""
    return "\n".join(_entry(dn, attributes) for dn, attributes in _entries(kind))


def person_dn(kind: Kind, person: Person) -> str:
    if kind == "active_directory":
        # With a comma in it, as wizards write names.
        return f"CN={person.surname}\\, {person.given},{PEOPLE}"
    return f"uid={person.login},{PEOPLE}"


def _entries(kind: Kind) -> Iterator[tuple[str, Attributes]]:
    if kind == "openldap":
        yield SUFFIX, {"objectClass": ["organization", "dcObject"], "o": ["Example"], "dc": ["example"]}
    for base in (PEOPLE, GROUPS, CROWD):
        yield base, {"objectClass": ["organizationalUnit"], "ou": [base.partition(",")[0].partition("=")[2]]}
    yield from _accounts(kind)
    for person in FORTY:
        yield person_dn(kind, person), _person(kind, person)
    for dn in _crowd():
        yield dn, _extra(kind, dn)
    for number, name in enumerate(MEMBERS):
        yield f"cn={name},{GROUPS}", _group(kind, name, 30001 + number)
    if kind == "openldap":
        yield from _special()


def _crowd() -> list[str]:
    return [f"cn=extra{number:04},{CROWD}" for number in range(CROWD_SIZE)]


def _members(kind: Kind, group: str) -> list[str]:
    people, inner = MEMBERS[group]
    by_login = {person.login: person_dn(kind, person) for person in FORTY}
    members = [*(by_login[login] for login in people), *(f"cn={each},{GROUPS}" for each in inner)]
    return members + (_crowd() if group == "big" else [])


def member_ldif() -> str:
    """The memberships of Active Directory, which takes no member that does not exist yet, as changes."""
    changes = []
    for group in MEMBERS:
        lines = [_line("dn", f"cn={group},{GROUPS}"), "changetype: modify", "add: member"]
        lines += [_line("member", dn) for dn in _members("active_directory", group)]
        changes.append("\n".join(lines) + "\n")
    return "\n".join(changes)


def _accounts(kind: Kind) -> Iterator[tuple[str, Attributes]]:
    if kind == "active_directory":
        return
    for dn in (READER, LIMITED):
        cn = dn.partition(",")[0].partition("=")[2]
        classes = ["person"]
        yield dn, {"objectClass": classes, "cn": [cn], "sn": [cn], "userPassword": [PASSWORD]}


def _person(kind: Kind, person: Person) -> Attributes:
    common = {
        "cn": [person.name],
        "givenName": [person.given],
        "sn": [person.surname],
        "displayName": [person.name],
        "mail": [f"{person.login}@example.test"],
        "uidNumber": [str(person.number)],
        "gidNumber": ["5000"],
        "loginShell": ["/bin/bash"],
    }
    home = [f"/home/{person.login}"]
    if kind == "active_directory":
        own = {
            "objectClass": ["user"],
            "cn": [f"{person.surname}, {person.given}"],
            "sAMAccountName": [person.login],
            "userAccountControl": ["544"],
            "unixHomeDirectory": home,
        }
    else:
        own = {
            "objectClass": ["inetOrgPerson", "posixAccount", "shadowAccount"],
            "uid": [person.login],
            "homeDirectory": home,
        }
        if person.number == 20001:
            own["userPassword"] = [f"{{CRYPT}}{CRYPT_HASH}"] if kind == "openldap" else []
        if person.number == 20002 and kind == "openldap":
            own["userPassword"] = ["{SSHA}c2VjcmV0LWNhbmFyeQ=="]
    return {**common, **own, **person.marks.get(kind, {})}


def _extra(kind: Kind, dn: str) -> Attributes:
    name = dn.partition(",")[0].partition("=")[2]
    if kind == "active_directory":
        return {"objectClass": ["user"], "cn": [name], "sAMAccountName": [name], "userAccountControl": ["546"]}
    return {"objectClass": ["inetOrgPerson"], "cn": [name], "sn": [name], "uid": [name]}


def _group(kind: Kind, name: str, gid: int) -> Attributes:
    if kind == "active_directory":
        group_type = {"groupType": ["-2147483646"], "sAMAccountName": [name], "gidNumber": [str(gid)]}
        return {"objectClass": ["group"], "cn": [name], **group_type}
    classes = ["groupOfNames", "extensibleObject"]
    return {"objectClass": classes, "cn": [name], "gidNumber": [str(gid)], "member": _members(kind, name)}


def _special() -> Iterator[tuple[str, Attributes]]:
    """What a directory may hold to be found out: only in OpenLDAP."""
    yield SPECIAL, {"objectClass": ["organizationalUnit"], "ou": ["special"]}
    for name in ("referral", "ghost", "empty", "posix", "unique", "hidden"):
        yield f"ou={name},{SPECIAL}", {"objectClass": ["organizationalUnit"], "ou": [name]}
    elsewhere = f"ldap://elsewhere.example.test/ou=more,{SUFFIX}"
    classes = ["referral", "extensibleObject"]
    yield f"ou=more,ou=referral,{SPECIAL}", {"objectClass": classes, "ou": ["more"], "ref": [elsewhere]}
    yield (
        f"cn=kim,ou=hidden,{SPECIAL}",
        {"objectClass": ["inetOrgPerson"], "cn": ["kim"], "sn": ["Kim"], "uid": ["kim"]},
    )
    member = [f"cn=kim,ou=hidden,{SPECIAL}"]
    yield f"cn=haunted,ou=ghost,{SPECIAL}", {"objectClass": ["groupOfNames"], "cn": ["haunted"], "member": member}
    for number, (name, logins) in enumerate({"pm": ["user01", "user02"], "qm": ["user02", "nobody-we-know"]}.items()):
        own = {"cn": [name], "gidNumber": [str(31000 + number)], "memberUid": logins}
        yield f"cn={name},ou=posix,{SPECIAL}", {"objectClass": ["posixGroup"], **own}

    people = [person_dn("openldap", person) for person in FORTY]
    # The older class, whose members may have a number to tell two of one name apart.
    unique = {"objectClass": ["groupOfUniqueNames"], "cn": ["um"], "uniqueMember": [people[0], f"{people[2]}#'0101'B"]}
    yield f"cn=um,ou=unique,{SPECIAL}", unique


def _entry(dn: str, attributes: Attributes) -> str:
    lines = [_line("dn", dn)]
    lines += [_line(name, value) for name, values in attributes.items() for value in values]
    return "\n".join(lines) + "\n"


def _line(name: str, value: str) -> str:
    if value.isascii() and value.isprintable() and not value.startswith((" ", ":", "<")):
        return f"{name}: {value}"
    return f"{name}:: {base64.b64encode(value.encode()).decode()}"
