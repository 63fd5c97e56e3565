# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rosters that would break a host: each is what a broken or hostile source may say of the people of ``PEOPLE``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]

PASSWORD = "Korrekt-Pferd-9"
HASH = "$6$hostile$x4yLqyx6qB5.brvGE9sCeIxvCYP74Az2E310hPSiytiYGUB0DNRh/txgX2URI/HifjccGpacsBqgV4VT1XKT.0"
#: A hash whose password nobody here knows: an account that gets it is lost.
FOREIGN_HASH = "$6$hostile$" + "a" * 86
SECRET = "Hunter2-streng-geheim"

#: Not the roster's: the account that Ansible is connected as is ``ansible``.
LOCAL = """
groupadd --system docker
useradd --system --uid 64055 --shell /usr/sbin/nologin libvirt-qemu
useradd --create-home --uid 20000 --groups docker,users localuser
useradd --create-home --groups sudo localadmin
useradd --create-home --groups sudo,adm rescue
groupadd --gid 30500 crew
usermod --append --groups crew localuser
for name in root localuser localadmin rescue; do usermod --password "$1" $name; done
install -d /srv/homes /srv/own
ln -s /etc /srv/link
ln -s / /srv/own/slash
touch /etc/not-for-the-roster
"""
#: Who must get in and become root after every case.
ADMINS = ("ansible", "localadmin", "rescue")
LOCALS = ("root", "localuser", *ADMINS)

#: The roster's own people before each case. ``wanda`` is in protected_users, as ``rescue`` is.
PEOPLE: dict[str, Record] = {
    "anna": {"uid": 30001, "groups": ["team"], "admin": False, "enabled": True},
    "berta": {"uid": 30002, "admin": True, "enabled": True},
    "carl": {"uid": 30003, "groups": ["team", "crew"], "admin": False, "enabled": True},
    "dora": {"uid": 30004, "groups": ["team"], "admin": False, "enabled": False},
    "wanda": {"uid": 30005, "admin": True, "enabled": True},
    "emil": {"uid": 30006, "enabled": True},
    "frida": {"uid": 30007, "groups": [], "enabled": True},
}
for _name, _record in PEOPLE.items():
    _record.update(id=f"id-{_name}", username=_name, password_hash=HASH)
GROUPS: list[Record] = [{"name": "team", "gid": 31000}]
PROTECTED = ["rescue", "wanda"]

#: Limits have tests of their own: here nothing but the plan itself stands between a roster and the host.
NO_LIMITS = {
    name: {"count": 1_000_000, "percent": 100}
    for name in ("disables", "removals", "leavers", "admin_changes", "member_removals")
}


@dataclass(frozen=True)
class Case:
    """One hostile roster, and what of it may be true afterwards.

    ``users`` and ``groups`` are added to the people, or stand in the place of those with the same id or name;
    ``without`` people left. ``document`` is the whole file instead. ``accounts`` (with homes in ``places``, too) and
    ``made_groups`` may be there afterwards, ``out`` may not get in, ``demoted`` are no admins any more.
    """

    title: str
    users: tuple[Any, ...] = ()
    groups: tuple[Any, ...] = ()
    without: frozenset[str] = frozenset()
    document: bytes | None = None
    accounts: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    made_groups: frozenset[str] = frozenset()
    out: frozenset[str] = frozenset(("dora",))
    demoted: frozenset[str] = frozenset()
    #: how many complaints the result must have at least: as many as there are hostile records unless said otherwise
    complaints: int = -1
    #: the roster must be refused as a whole
    refused: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    prepare: str = ""

    def roster(self) -> bytes:
        if self.document is not None:
            return self.document
        stated = [record.get("id") for record in self.users if isinstance(record, dict)]
        users = [record for name, record in PEOPLE.items() if record["id"] not in stated and name not in self.without]
        named = [record.get("name") for record in self.groups if isinstance(record, dict)]
        groups = [record for record in GROUPS if record["name"] not in named]
        return document([*users, *self.users], [*groups, *self.groups])

    def least_complaints(self) -> int:
        return self.complaints if self.complaints >= 0 else len(self.users) + len(self.groups)

    def secrets(self) -> list[str]:
        """What may be in no result and no file of the ledger's directory."""
        values = (record.get("password_hash") for record in self.users if isinstance(record, dict))
        long = {value for value in values if isinstance(value, str) and len(value) > 12}
        return [HASH, FOREIGN_HASH, SECRET, *sorted(long)]


def document(users: list[Any], groups: list[Any], **more: Any) -> bytes:
    whole = {"format": "identity.roster/1", "source": {"kind": "hostile"}, "users": users, "groups": groups}
    return json.dumps({**whole, "rejected": [], **more}).encode()


def mallory(title: str, **fields: Any) -> Record:
    """Somebody new, in order but for these fields. ``absent`` fields are left out."""
    record = {"id": f"hostile {title}", "username": "mallory", "uid": 32000, "password_hash": FOREIGN_HASH, **fields}
    return {key: value for key, value in record.items() if value is not ...}


def of(name: str, **fields: Any) -> Record:
    """What the roster now says of one of its people."""
    record = {**PEOPLE[name], **fields}
    return {key: value for key, value in record.items() if value is not ...}


MALLORY = frozenset(("mallory",))
BAD_NAMES: dict[str, str] = {
    "root": "root", "Root": "Root", "ROOT": "ROOT", "toor": "toor", "the connected user": "ansible",
    "a local person": "localuser", "a local admin": "localadmin",
    "the rescue account": "rescue", "daemon": "daemon", "Daemon": "Daemon", "www-data": "www-data",
    "nobody": "nobody", "systemd-network": "systemd-network", "a package's account": "libvirt-qemu",
    "the admin group": "sudo", "wheel": "wheel", "docker": "docker", "shadow": "shadow", "disk": "disk", "adm": "adm",
    "a local group": "crew", "the roster's group": "team", "slash": "a/b", "digits": "1234", "dots": "..",
    "dot": ".", "hidden": ".ssh", "option": "-rf", "plus": "+", "netgroup": "+@netgroup", "minus": "-",
    "a passwd line": "name:x:0:0", "two lines": "mallory\nroot2:x:0:0::/:/bin/sh", "line feed at the end": "mallory\n",
    "line feed at the start": "\nmallory", "carriage return": "mallory\r", "NUL": "root\0x", "tab": "mal\tlory",
    "vertical tab": "mal\vlory", "next line": "mal\u0085lory", "line separator": "mal\u2028lory",
    "escape sequence": "\x1b[2Jmallory", "sudoers group": "%sudo", "sudoers id": "#0", "comment": "#mallory",
    "negation": "!root", "sudoers ALL": "ALL", "comma": "mallory,root", "space": "mal lory", "blank behind": "root ",
    "equals": "a=b", "quote": '"mallory"', "backslash": "mal\\lory", "dollar": "$(reboot)", "backquote": "`id`",
    "samba machine": "mallory$", "at": "mallory@example.org", "glob": "*", "tilde": "~root", "33 bytes": "m" * 33,
    "32 letters of 2 bytes": "ä" * 32, "empty": "", "a combining mark": "ro\u0301ot", "right to left": "\u202etoor",
    "zero width": "root\u200b", "zero width inside": "ro\u200dot", "fullwidth": "\uff52\uff4f\uff4f\uff54",
    "Cyrillic o": "r\u043e\u043et", "long s": "\u017fudo", "soft hyphen": "su\u00addo", "BOM": "\ufeffroot",
    "emoji": "\U0001f600", "lone surrogate": "root\udc80",
}  # fmt: skip


def names() -> Iterator[Case]:
    for title, name in BAD_NAMES.items():
        record = mallory(title, username=name, admin=True, groups=["sudo", "root"])
        # The two groups are complaints of their own.
        yield Case(f"user named {title}", (record,), complaints=2)
    for title, name in (
        ("fullwidth", "\uff52\uff4f\uff4f\uff54"),
        ("zero width", "root\u200b"),
        ("Cyrillic", "r\u043eot"),
    ):
        options = {"allow_unicode_names": True}
        yield Case(f"user named {title}, umlauts allowed", (mallory(title + "!", username=name),), options=options)
    for title, name in BAD_NAMES.items():
        if title not in ("the connected user", "a local group", "the roster's group", "a local person"):
            members = (of("anna", groups=["team", name]), of("carl", groups=["team", "crew", name]))
            yield Case(f"group named {title}", members, ({"name": name, "gid": 33000},), complaints=1)


def other_cases() -> Iterator[Case]:
    """To sudo a name in sudoers means every spelling (case_insensitive_user and case_insensitive_group are defaults):
    a person called Ansible would have the rights of ansible, and so would a group."""
    for name in ("ANSIBLE", "Ansible", "LocalAdmin", "RESCUE", "Localuser"):
        yield Case(f"user named {name}", (mallory(name, username=name),))
        yield Case(f"group named {name}", (of("anna", groups=[name]),), ({"name": name, "gid": 33000},), complaints=1)
    yield Case("group named Crew", (of("anna", groups=["Crew"]),), ({"name": "Crew", "gid": 33000},), complaints=1)
    yield Case("user named Crew", (mallory("Crew", username="Crew"),))


def ids() -> Iterator[Case]:
    bad: dict[str, Any] = {
        "0": 0, "1": 1, "-1": -1, "999": 999, "2^16-1": 65535, "nobody's": 65534, "60001": 60001, "61184": 61184,
        "2^31": 2**31, "2^32": 2**32, "2^32-1": 2**32 - 1, "2^64": 2**64, "10^300": 10**300, "true": True,
        "1000.0": 1000.0, "NaN": float("nan"), "text": "0", "list": [0], "null": None,
    }  # fmt: skip
    for number, (title, value) in enumerate(bad.items()):
        yield Case(f"uid {title}", (mallory(f"uid {title}", uid=value),))
        yield Case(f"gid {title}", (mallory(f"gid {title}", gid=value),))
        yield Case(f"group gid {title}", groups=({"name": f"evil-gid-{number}", "gid": value},))
    for title, uid in (("the connected user's", 1000), ("a local person's", 20000), ("a package's", 64055)):
        yield Case(f"uid {title}", (mallory(f"uid {title}", uid=uid),))
    yield Case("uid in a subordinate range", (mallory("subuid", uid=100000),))
    yield Case("uid at the end of a subordinate range", (mallory("subuid end", uid=165535),))
    yield Case("gid in a subordinate range", (mallory("subgid", gid=100000),))
    yield Case("group gid in a subordinate range", groups=({"name": "evil", "gid": 100001},))
    yield Case("uid of another in the roster", (mallory("twin", uid=30002),), complaints=2)
    for title, gid in (
        ("sudo", 27), ("shadow", 42), ("disk", 6), ("adm", 4), ("a local person", 20000), ("the connected user", 1000),
        ("crew", 30500), ("anna", 30001),
    ):  # fmt: skip
        # The roster has people in crew, so somebody new may begin there.
        allowed: dict[str, Any] = {"accounts": MALLORY, "complaints": 0} if title == "crew" else {}
        yield Case(f"primary gid of {title}", (mallory(f"gid of {title}", gid=gid),), **allowed)
        yield Case(f"group with the gid of {title}", groups=({"name": f"evil-{gid}", "gid": gid},))
    yield Case("an account moved to uid 0", (of("anna", uid=0),))
    yield Case("an account moved to another uid", (of("anna", uid=30077),))
    yield Case("an account moved to gid 0", (of("anna", gid=0),))
    yield Case("an account moved to gid sudo", (of("anna", gid=27),))
    yield Case("crew with another gid", groups=({"name": "crew", "gid": 30501},))
    yield Case("team with another gid", groups=({"name": "team", "gid": 31001},))


def fields() -> Iterator[Case]:
    bad: dict[str, dict[str, Any]] = {
        "full_name": {
            "colon": "Anna:0:0", "line feed": "Anna\nroot2:x:0:0::/:/bin/sh", "carriage return": "Anna\r", "NUL": "A\0",
            "escape": "\x1b]0;x\x07", "line separator": "Anna\u2028x", "10 kB": "A" * 10240, "number": 5, "list": ["A"],
            "lone surrogate": "\udcff",
        },
        "shell": {
            "line feed": "/bin/false\n", "colon": "/bin/sh:x", "relative": "bin/sh", "dots": "/bin/../bin/sh",
            "empty": "", "NUL": "/bin/sh\0", "absent": "/bin/no-such-shell", "a directory": "/etc", "the root": "/",
            "10 kB": "/" + "x" * 10240,
        },
        "home": {
            "the root": "/", "/etc": "/etc", "in /etc": "/etc/x", "/root": "/root", "in /root": "/root/x",
            "/home": "/home", "/home/": "/home/", "a local person's": "/home/localuser",
            "in a local person's": "/home/localuser/x", "the connected user's": "/home/ansible", "anna's": "/home/anna",
            "in anna's": "/home/anna/x", "dots": "/home/../etc", "dots inside": "/home/x/../../root", "relative": "x",
            "two slashes": "//etc", "slashes inside": "/home//x", "dot": "/home/./x", "/proc/self": "/proc/self",
            "/proc/1/root": "/proc/1/root/x", "/dev/shm": "/dev/shm/x", "/tmp": "/tmp/x", "/usr/bin": "/usr/bin/x",
            "/var/lib/identity-roster": "/var/lib/identity-roster/x", "/run": "/run/x", "/boot": "/boot/x",
            "colon": "/home/x:y", "line feed": "/home/x\n", "NUL": "/home/x\0", "empty": "",
            "10 kB": "/home/" + "x" * 10240, "above homes": "/srv", "a list": ["/home/x"],
        },
        "password_hash": {
            "empty": "", "lock alone": "!", "star": "*", "x": "x", "two locks": "!!", "plain": SECRET,
            "DES": "abJnggxhB/yWI", "colon": HASH + ":0:0", "line feed": HASH + "\nroot::1::::::",
            "at the end": HASH + "\n",
            "locked": "!" + HASH, "unknown scheme": "$99$salt$" + "a" * 43, "no salt": "$6$",
            "10 kB": "$6$" + "a" * 10240, "a number": 5, "umlaut": HASH[:-1] + "ä",
        },
        "ssh_public_keys": {"line feed": ["ssh-rsa AAAA\nssh-rsa BBBB"], "a text": "ssh-rsa AAAA", "empty": [""]},
        "groups": {"a text": "sudo", "line feed": ["team\nroot"], "numbers": [0], "null": [None], "empty name": [""]},
        "enabled": {"text": "yes", "number": 1, "null": None},
        "admin": {"text": "true", "number": 1, "null": None},
        "id": {"number": 5, "empty": "", "line feed": "x\n", "list": []},
        "profile": {"a list": [SECRET], "numbers": {"x": 1}, "a hash": {"x": HASH}, "control": {"x": "\0"}},
        "avatar": {"a text": "/etc/shadow", "no digest": {"path": "/etc/shadow"}},
        "email": {"line feed": "x@example.org\nBcc: y", "a hash": HASH},
        "unknown_field": {"any": 1},
    }  # fmt: skip
    #: A shell that this host lacks is no reason to go without the account, and keys are not written to any file.
    made = {("shell", title) for title in ("absent", "a directory", "the root")}
    for name, values in bad.items():
        for title, value in values.items():
            accounts = MALLORY if (name, title) in made else frozenset()
            yield Case(f"{name}: {title}", (mallory(f"{name} {title}", **{name: value}),), accounts=accounts)
    for name, value in (
        ("full_name", "Anna\nroot2:x:0:0::/:/bin/sh"), ("password_hash", "!"), ("password_hash", HASH + "\n"),
        ("home", "/etc"), ("home", "/home/localuser"), ("shell", "/bin/sh\n"), ("shell", "/nowhere"), ("uid", "30001"),
    ):  # fmt: skip
        yield Case(f"{name} of somebody known: {value[:8]!r}", (of("anna", **{name: value}),))


def harmless() -> Iterator[Case]:
    """What is taken, and must not hurt anybody else."""
    linked: dict[str, Record] = {
        "a home by a link into /etc": {"home": "/srv/link/mallory"},
        "a home by a link to the root": {"home": "/srv/own/slash/etc/mallory"},
    }
    for title, more in linked.items():
        yield Case(title, (mallory(title, **more),), accounts=MALLORY)
    taken: dict[str, Record] = {
        "a shell that is no program": {"shell": "/etc/shadow"},
        "the dearest bcrypt": {"password_hash": "$2b$31$" + "a" * 53},
        "a billion rounds": {"password_hash": "$6$rounds=999999999$salt$" + "a" * 86},
        "right to left in the full name": {"full_name": "\u202eToor \u2066x"},
        "shell text in the full name": {"full_name": "$(reboot) `id` ${IFS} && || ; # % ! & *"},
        "keys with options": {"ssh_public_keys": ['command="/bin/sh",no-pty ssh-ed25519 AAAA x', "@cert-authority *"]},
        "a secret in the profile": {"profile": {"password": SECRET, "note": "two\nlines"}},
        "an avatar elsewhere": {"avatar": {"path": "/etc/shadow", "sha256": "0" * 64}},
    }
    for title, more in taken.items():
        yield Case(title, (mallory(title, **more),), accounts=MALLORY, complaints=0)
    yield Case("a private group by its own gid", (mallory("own", gid=32000),), accounts=MALLORY, complaints=0)


def access() -> Iterator[Case]:
    everybody = tuple(PEOPLE)
    said: dict[str, Record] = {
        "disabled": {"enabled": False},
        "no admin": {"admin": False},
        "with another hash": {"enabled": True},
        "with another home and shell": {"home": "/home/mallory", "shell": "/bin/sh"},
        "in no group": {"groups": []},
        "all at once": {"enabled": False, "admin": False, "groups": []},
    }
    for name in ("root", "ansible", "localadmin", "rescue", "localuser", "daemon"):
        for title, more in said.items():
            record = mallory(f"{name} {title}", username=name, uid=..., **more)
            yield Case(f"{name} {title}", (record,))
        adopted = mallory(f"{name} adopted", username=name, uid=..., enabled=False, admin=False)
        if name in ("root", "ansible", "rescue", "daemon"):
            yield Case(f"{name} taken over and disabled", (adopted,), options={"adopt": [name, "ansible", "root"]})
    protected = {"enabled": False, "admin": False, "groups": [], "password_hash": FOREIGN_HASH, "home": "/home/x"}
    yield Case("a protected user of the roster disabled", (of("wanda", **protected),))
    yield Case("a protected user of the roster gone", without=frozenset(("wanda",)), complaints=1)
    yield Case("a protected user with another uid", (of("wanda", uid=30099),))
    yield Case(
        "the connected user, who is of the roster, disabled", (of("berta", enabled=False, admin=False),),
        told={"connected_user": "berta"},
    )  # fmt: skip
    shut = frozenset(PEOPLE) - {"wanda"}
    yield Case(
        "everybody disabled", tuple(of(name, enabled=False) for name in everybody), out=shut,
        demoted=frozenset(("berta",)), complaints=1,
    )  # fmt: skip
    yield Case(
        "nobody admin", tuple(of(name, admin=False) for name in everybody), demoted=frozenset(("berta",)), complaints=1
    )
    gone = frozenset(everybody)
    yield Case("everybody gone", without=gone, out=shut, demoted=frozenset(("berta",)), complaints=1)
    yield Case("everybody gone, within the limits", without=gone, options={"limits": {}}, refused=True)
    shown = tuple(of(name, enabled=False) for name in everybody)
    yield Case("everybody disabled, within the limits", shown, options={"limits": {}}, refused=True)
    yield Case(
        "nobody but a stranger",
        (mallory("alone"),),
        without=gone,
        accounts=MALLORY,
        out=shut,
        demoted=frozenset(("berta",)),
        complaints=1,
    )
    yield Case("everybody in no group", tuple(of(name, groups=[]) for name in everybody), complaints=1)
    yield Case(
        "everybody admin and in every group",
        tuple(of(name, groups=["root", "adm", "shadow", "docker", "sudo", "team"]) for name in everybody),
        complaints=6,
    )
    for name in ("root", "localadmin", "ansible"):
        yield Case(f"somebody known renamed to {name}", (of("anna", username=name),))
    yield Case("somebody known renamed to another", (of("anna", username="berta"),), complaints=2)
    yield Case("somebody known without a name", (of("anna", username=...),))


def duplicates() -> Iterator[Case]:
    yield Case("one id twice", (mallory("one"), mallory("one", username="mallory2", uid=32001)))
    yield Case("one name twice", (mallory("a"), mallory("b", uid=32001)))
    yield Case("one name in two cases", (mallory("a"), mallory("b", username="MALLORY", uid=32001)))
    yield Case("one name and an invisible letter", (mallory("a"), mallory("b", username="mal\u200blory", uid=32001)))
    yield Case("one uid twice", (mallory("a"), mallory("b", username="mallory2")))
    yield Case(
        "one e-mail twice", (mallory("a", email="x@y"), mallory("b", username="mallory2", uid=1001, email="X@Y"))
    )
    yield Case(
        "one external id twice", (mallory("a", external_id="x"), mallory("b", username="m2", uid=1001, external_id="X"))
    )
    yield Case("somebody known twice", (of("anna"), of("anna", enabled=False)))
    yield Case("somebody known and a double", (mallory("a", username="Anna"),), complaints=2)
    yield Case("somebody known and a double uid", (mallory("a", uid=30001),), complaints=2)
    yield Case("one group twice", groups=({"name": "evil", "gid": 33000}, {"name": "EVIL", "gid": 33001}))
    yield Case("one gid twice", groups=({"name": "evil", "gid": 33000}, {"name": "evil2", "gid": 33000}))
    yield Case(
        "user and group of one name",
        (mallory("a"),),
        ({"name": "mallory", "gid": 33000},),
        made_groups=MALLORY,
        complaints=1,
    )
    yield Case("a group with a person's name", groups=({"name": "anna", "gid": 33000},))
    yield Case(
        "a person with another's gid",
        (mallory("a", gid=33000),),
        ({"name": "mallory2", "gid": 33000},),
        accounts=MALLORY,
        made_groups=frozenset(("mallory2",)),
        complaints=0,
    )
    one: dict[str, Any] = {"places": frozenset(("/home/one",)), "accounts": MALLORY, "complaints": 1}
    for title, home in (("two people in one home", "/home/one"), ("a home in a home", "/home/one/two")):
        other = mallory("b", username="mallory2", uid=32001, home=home)
        yield Case(title, (mallory("a", home="/home/one"), other), **one)


def crowd() -> Case:
    """Every name in it would become a group of the host, until no gid is left for anybody."""
    return Case(
        "100,000 groups of one person", (mallory("crowd", groups=[f"g{number:05}" for number in range(100_000)]),)
    )


def sizes() -> Iterator[Case]:
    long = tuple(
        mallory(f"long {number}", username=f"m{number}", uid=32000 + number, full_name="x" * 256)
        for number in range(1000)
    )
    yield Case("1,000 bad records", long)
    yield Case("an id of 100 kB", (mallory("x" * 100_000),))
    yield Case("records that are none", (None, 1, "root", [], {}, True, [["root"]]))
    yield Case("groups that are none", groups=(None, 1, "root", [], {}, {"gid": 0}))
    nested: Any = "x"
    for _level in range(200):
        nested = [nested]
    yield Case("a nested field", (mallory("nested", profile=nested),))


def documents() -> Iterator[Case]:
    good = Case("").roster()
    parsed = json.loads(good)
    whole = {
        "empty": b"", "a space": b" ", "null": b"null", "a list": b"[]", "a number": b"1", "an empty mapping": b"{}",
        "HTML": b"<!DOCTYPE html><html><body>Please log in</body></html>", "truncated": good[:-200],
        "half": good[: len(good) // 2], "the last brace missing": good.rstrip()[:-1], "more behind": good + b"{}",
        "twice": good + good, "BOM": b"\xef\xbb\xbf" + good, "UTF-16": good.decode().encode("utf-16"),
        "bad UTF-8": good.replace(b"anna", b"ann\xff"), "NUL in front": b"\0" + good, "NULs": b"\0" * 4096,
        "no JSON": good.replace(b'"', b"'"), "a key twice": good.replace(b'"users"', b'"users": [], "users"', 1),
        "a record's key twice": good.replace(b'"uid"', b'"uid": 0, "uid"', 1),
        "a list without an end": b"[" * 200_000, "mappings without an end": b'{"users":' * 200_000,
        "a huge number": good.replace(b"30001", b"9" * 100_000),
    }  # fmt: skip
    changes: dict[str, dict[str, Any]] = {
        "another format": {"format": "identity.roster/2"}, "format 1": {"format": 1}, "no format": {"format": None},
        "users: null": {"users": None}, "users: a mapping": {"users": {"root": {}}}, "users: a text": {"users": "root"},
        "groups: null": {"groups": None}, "rejected: null": {"rejected": None}, "an unknown key": {"more": []},
        "rejected: a name": {"rejected": ["root"]}, "rejected: no reason": {"rejected": [{"kind": "user", "id": "x"}]},
        "source: a list": {"source": ["x"]}, "source: a line feed": {"source": {"kind": "x\ny"}},
    }  # fmt: skip
    for title, change in changes.items():
        whole[title] = json.dumps({**parsed, **change}).encode()
    for key in parsed:
        whole[f"without {key}"] = json.dumps({name: value for name, value in parsed.items() if name != key}).encode()
    for title, content in whole.items():
        yield Case(f"file: {title}", document=content, refused=True)
    yield Case("file: another digest", document=good, told={"sent_digest": "0" * 64}, refused=True)
    bad = [{"kind": "user", "name": name, "field": "uid", "reason": "is bad"} for name in (*PEOPLE, *LOCALS)]
    yield Case("everybody rejected at the source", document=document([], GROUPS, rejected=bad), complaints=len(bad))
    unknown = [{"kind": "user", "record": "user 7", "field": "id", "reason": "is missing"}]
    yield Case("nobody but one who can't be read", document=document([], GROUPS, rejected=unknown), complaints=5)


SECTIONS = {
    "names": names, "ids": ids, "fields": fields, "harmless": harmless, "access": access, "duplicates": duplicates,
    "sizes": sizes, "documents": documents,
}  # fmt: skip


def cases(section: str) -> list[Case]:
    found = list(SECTIONS[section]())
    titles = [case.title for case in found]
    assert len(set(titles)) == len(titles), sorted({title for title in titles if titles.count(title) > 1})
    return found


def together(chosen: Iterable[Case]) -> Case:
    """One roster of all hostile records that can stand in one: each id, name, uid and gid once."""
    users: list[Record] = []
    groups: list[Record] = []
    seen: set[tuple[str, str]] = set()

    def first(record: Record, *keys: str) -> bool:
        found = {(key, str(record[key]).casefold()) for key in keys if key in record}
        new = not found & seen
        seen.update(found if new else ())
        return new

    for case in chosen:
        if case.document is not None or case.told or case.options or len(case.users) > 10:
            continue
        for record in case.users:
            if isinstance(record, dict) and str(record.get("id")).startswith("hostile "):
                number = len(users)
                renamed = {"username": f"mallory{number}"} if record.get("username") == "mallory" else {}
                moved = {"uid": 34000 + number} if record.get("uid") == 32000 else {}
                if first({**record, **renamed, **moved}, "id", "username", "uid"):
                    users.append({**record, **renamed, **moved})
        for group in case.groups:
            if isinstance(group, dict) and isinstance(group.get("name"), str):
                moved = {"gid": 35000 + len(groups)} if group.get("gid") == 33000 else {}
                if first({"group": group["name"], "gid": {**group, **moved}.get("gid")}, "group", "gid"):
                    groups.append({**group, **moved})
    new = {record["username"] for record in users if record["username"].startswith("mallory")}
    accounts = frozenset(name for name in new if name.isascii() and name.isalnum())
    made = frozenset(("evil", "evil2", "mallory", "mallory2"))
    return Case(
        "all of them at once",
        tuple(users),
        tuple(groups),
        accounts=accounts,
        made_groups=made,
        complaints=1,
    )
