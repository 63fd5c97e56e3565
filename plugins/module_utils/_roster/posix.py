# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Linux account files can hold: names, ids, GECOS, paths, hashes. Each check returns the problem, or None.

The rules are stricter than useradd's, which took ``a/b``, ``1234``, ``..`` and uid 65535 on Debian 12. Sources:
shadow >= 4.13 ``chkname.c``, systemd's "Users, Groups, UIDs and GIDs", crypt(5).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from typing import Optional, Tuple

from .model import Group, User
from .reserved import is_reserved
from .text import folded, text_problem

#: utmp's ut_user and useradd both stop at 32 bytes.
LONGEST_NAME = 32
SMALLEST_ID = 1000
#: (first, last, whose), in ascending order. Inside them an explicit id would be taken for something else.
RESERVED_IDS = (
    (0, SMALLEST_ID - 1, "system accounts"),
    (60001, 60577, "systemd-homed"),
    (60578, 61183, "login screens and packages of Debian"),
    (61184, 65519, "systemd's dynamic users"),
    (65520, 65533, "Debian"),
    (65534, 65534, "nobody"),
    (65535, 65535, "the 16-bit form of -1"),
    (2147352576, 2147418111, "systemd's foreign disk images"),
    (2**31, 2**32 - 1, "ids that many programs read as negative"),
)
_FIRST_RESERVED = [first for first, _last, _whose in RESERVED_IDS]
#: systemd-nspawn's and others' container ids: never given out here, accepted when a source says so.
CONTAINER_IDS = (524288, 1879048191)

_ASCII_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: Kanji and kana stand together in Japanese; any other mixture is made to be mistaken.
_JAPANESE = frozenset(("CJK", "HIRAGANA", "KATAKANA"))

_SALT = r"(?:(?![$:!*\\])[!-~])"
_ROUNDS = r"(?:rounds=[1-9][0-9]{3,8}\$)?"
_HASH = re.compile(
    r"\$g?y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{0,86}\$[./A-Za-z0-9]{43}"
    r"|\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}"
    r"|\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}"
    rf"|\$6\${_ROUNDS}{_SALT}{{0,16}}\$[./A-Za-z0-9]{{86}}"
    rf"|\$5\${_ROUNDS}{_SALT}{{0,16}}\$[./A-Za-z0-9]{{43}}"
    rf"|\$1\${_SALT}{{0,8}}\$[./A-Za-z0-9]{{22}}"
)
#: Rounds of SHA-512 and SHA-256, and of bcrypt as a power of two. Usual are 5,000 to 656,000, and 5 to 14.
_COST = re.compile(r"\$(?:[56]\$rounds=([0-9]+)|2[abxy]\$([0-9]+))\$")
_MOST_ROUNDS, _MOST_DOUBLINGS = 5_000_000, 17


def name_problem(name: str, allow_unicode: bool = False) -> Optional[str]:
    """Why a user or group can't be called so."""
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    if name in ("", ".", ".."):
        return "is not a name"
    if name[0] in "-.":
        return f"begins with {name[0]!r}"
    if name.isdigit():
        return "is all digits, which programs take for an id"
    if not name.isascii() and not allow_unicode:
        return "has letters outside ASCII; allow_unicode_names=true accepts them"
    problem = None if name.isascii() else _letters_problem(name)
    if problem:
        return problem
    if is_reserved(folded(name)):
        return "is a name that the system reserves"
    plain = name if name.isascii() else "".join(character if character.isascii() else "x" for character in name)
    if not _ASCII_NAME.fullmatch(plain):
        wrong = sorted({character for character in name if re.match(r"[^A-Za-z0-9_.-]", character, re.ASCII)})
        return "contains " + ", ".join(repr(character) for character in wrong if character.isascii())
    return None


def _letters_problem(name: str) -> Optional[str]:
    """What else than plain letters of one script stands in a name that is not all ASCII."""
    if unicodedata.normalize("NFKC", name) != name:
        return "is not in Unicode's normal form NFKC"
    scripts = set()
    for character in name:
        if character.isascii() and not character.isalpha():
            continue
        script = unicodedata.name(character, "?").split()[0]
        scripts.add(script)
        if character.isascii():
            continue
        # Only these are letters by themselves; Latin ones without case are clicks that look like | and !, and Hangul
        # has letters that nobody sees.
        kind = unicodedata.category(character)
        if kind not in ("Lu", "Ll", "Lo") or (script, kind) == ("LATIN", "Lo") or folded(character + "x") == "x":
            return f"contains {character!r}"
    if len(scripts) > 1 and not scripts <= _JAPANESE:
        return "mixes letters of several scripts"
    return None


def id_problem(number: int) -> Optional[str]:
    """Why a uid or gid can't be a person's or a group's of people."""
    position = bisect_right(_FIRST_RESERVED, number) - 1
    if position >= 0 and number <= RESERVED_IDS[position][1]:
        return f"is {number}, reserved for {RESERVED_IDS[position][2]}"
    return None


def gecos_problem(text: str) -> Optional[str]:
    problem = text_problem(text, longest=255)
    if problem is None and ":" in text:
        problem = "contains a colon"
    return problem


#: A path with // or with . or .. as a part has another spelling.
_NOT_CANONICAL = re.compile(r"//|/\.\.?(?:/|$)")


def path_problem(path: str) -> Optional[str]:
    """Why a text can't be a home or a shell in /etc/passwd."""
    problem = text_problem(path, longest=255)
    if problem:
        return problem
    if not path.startswith("/") or path.startswith("//"):
        return "is not an absolute path"
    if ":" in path or not path.isprintable():
        return "contains a colon or an unprintable character"
    if _NOT_CANONICAL.search(path):
        return "contains //, or . or .. as a part"
    return None


#: Trees of the system, and those where anybody may put a home before its owner comes: no home lies in one of them.
_SYSTEM_TREES = tuple(
    "/bin/ /boot/ /dev/ /efi/ /etc/ /lib/ /lib32/ /lib64/ /libx32/ /lost+found/ /nix/ /ostree/ /proc/ /root/ /run/ "
    "/sbin/ /snap/ /sys/ /sysroot/ /tmp/ /usr/ /var/backups/ /var/cache/ /var/db/ /var/lib/ /var/lock/ /var/log/ "
    "/var/mail/ /var/run/ /var/spool/ /var/tmp/".split()
)
#: No home is one of these; one inside them is fine.
_SYSTEM_DIRECTORIES = frozenset("/ /export /home /media /mnt /net /opt /srv /var /var/home /var/www".split())


def home_problem(path: str) -> Optional[str]:
    problem = path_problem(path)
    if problem:
        return problem
    trimmed = path.rstrip("/") or "/"
    if trimmed in _SYSTEM_DIRECTORIES or f"{trimmed}/".startswith(_SYSTEM_TREES):
        return f"is {path}, a directory of the system"
    return None


def hash_problem(password_hash: str) -> Optional[str]:
    """Why a text is not a password hash of crypt(5). Never quotes it."""
    if not _HASH.fullmatch(password_hash):
        return "is not a password hash that Linux knows (yescrypt, scrypt, bcrypt, SHA-512, SHA-256, MD5)"
    cost = _COST.match(password_hash)
    if cost and (int(cost.group(1) or 0) > _MOST_ROUNDS or int(cost.group(2) or 0) > _MOST_DOUBLINGS):
        return "takes so many rounds that each login would keep the host busy for minutes"
    return None


def user_problem(user: User, allow_unicode: bool = False) -> Optional[Tuple[str, str]]:
    """(field, reason) of the first thing that keeps a user from being a Linux account, or None."""
    if user.username is None:
        return "username", "is missing"
    checks = (
        ("username", name_problem(user.username, allow_unicode)),
        ("uid", None if user.uid is None else id_problem(user.uid)),
        ("gid", None if user.gid is None else id_problem(user.gid)),
        ("full_name", None if user.full_name is None else gecos_problem(user.full_name)),
        ("shell", None if user.shell is None else path_problem(user.shell)),
        ("home", None if user.home is None else home_problem(user.home)),
        ("password_hash", None if user.password_hash is None else hash_problem(user.password_hash)),
    )
    for field, problem in checks:
        if problem:
            return field, problem
    return None


def group_problem(group: Group, allow_unicode: bool = False) -> Optional[Tuple[str, str]]:
    """(field, reason) of the first thing that keeps a group from being a Linux group, or None."""
    problem = name_problem(group.name, allow_unicode)
    if problem:
        return "name", problem
    problem = None if group.gid is None else id_problem(group.gid)
    return ("gid", problem) if problem else None
