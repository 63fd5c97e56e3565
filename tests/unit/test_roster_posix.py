# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may stand in a Linux host's account files, whoever asks for it."""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, User
from ansible_collections.identity.roster.plugins.module_utils._roster.posix import (
    CONTAINER_IDS,
    RESERVED_IDS,
    gecos_problem,
    group_problem,
    hash_problem,
    home_problem,
    id_problem,
    name_problem,
    path_problem,
    user_problem,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.reserved import RESERVED_NAMES
from ansible_collections.identity.roster.plugins.module_utils._roster.text import folded
from tests.tools.checkout import ROOT

from .roster_strategies import anything

#: Accepted always.
NAMES = """
anna Anna ANNA anna.schmidt max.muster-mann obrien p.mueller Kapital Administrator nohash2 a a1 4711a 0day x_y anna.
anna- o.b a..b mit066 mitarbeiter projekt.x-2 jenkins rocky1 power lock usb mark lars tim ray kim lee sudoers sshusers
rootuser toor2 notroot backup2 docker-users dockerx systemd systemdx all2 pia python3
""".split()

#: Accepted with allow_unicode_names.
UNICODE_NAMES = """
jürgen Jürgen büro größe Ærø françois łukasz ñandú şükrü \u0131ș\u0131k
ångström юрий αλέξης 田中 田中ひろ 민수 דוד
""".split()

#: Refused always.
HOSTILE_NAMES: dict[str, str] = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "three dots": "...",
    "hidden": ".ssh",
    "option": "-x",
    "long option": "--help",
    "minus": "-",
    "minus one": "-1",
    "field": "a:b",
    "only a colon": ":",
    "path": "a/b",
    "absolute path": "/etc/passwd",
    "parent": "../etc",
    "backslash": "DOM\\anna",
    "list": "a,b",
    "space": "a b",
    "space before": " anna",
    "space after": "anna ",
    "tab": "a\tb",
    "line break": "a\nb",
    "line break at the end": "anna\n",
    "carriage return": "anna\r",
    "NUL": "a\0b",
    "escape": "\x1b[31manna",
    "bell": "\x07",
    "delete": "anna\x7f",
    "C1 control": "anna\x85",
    "line separator": "a\u2028b",
    "no-break space": "a\u00a0b",
    "machine account": "anna$",
    "only a dollar": "$",
    "variable": "$HOME",
    "sudoers group": "%anna",
    "sudoers uid": "#1000",
    "comment": "#anna",
    "NIS": "+anna",
    "NIS minus": "-anna",
    "only a plus": "+",
    "netgroup": "@anna",
    "e-mail": "anna@int.example",
    "not": "!anna",
    "pattern": "ann*",
    "question": "ann?",
    "brackets": "[anna]",
    "braces": "{a,b}",
    "parentheses": "Projekt (2)",
    "tilde": "~anna",
    "quote": "o'brien",
    "double quote": 'a"b',
    "command": "`id`",
    "substitution": "$(id)",
    "pipe": "a|b",
    "background": "a&b",
    "semicolon": "a;b",
    "less": "a<b",
    "equals": "a=b",
    "caret": "^a",
    "all digits": "4711",
    "zero": "0",
    "minus zero": "-0",
    "33 bytes": "x" * 33,
    "33 bytes of umlauts": "ü" * 16 + "x",
    "very long": "x" * 100_000,
    "fullwidth digits": "\uff14\uff17\uff11\uff11",
    "superscript": "x²",
    "Arabic digits": "٤٧١١",
    "fullwidth letters": "\uff41\uff4e\uff4e\uff41",
    "fullwidth root": "\uff52\uff4f\uff4f\uff54",
    "circled": "ⓡoot",
    "mathematical": "\U0001d4fb\U0001d4f8\U0001d4f8\U0001d4fd",
    "ligature": "ﬁona",
    "long s": "\u017fudo",
    "Kelvin sign": "\u212aurt",
    "umlaut in NFD": "ju\u0308rgen",
    "combining": "a\u0301\u0302",
    "right-to-left override": "\u202eanna",
    "right-to-left mark": "anna\u200f",
    "zero width space": "an\u200bna",
    "zero width joiner": "an\u200dna",
    "soft hyphen": "an\u00adna",
    "BOM": "\ufeffanna",
    "variation selector": "anna\ufe0f",
    "tag": "anna\U000e0061",
    "Hangul filler": "anna\u3164",
    "Jamo filler": "\u115f",
    "Cyrillic a in Latin": "\u0430nna",
    "Greek o in Latin": "r\u03bf\u03bft",
    "click": "anna\u01c3",
    "modifier colon": "anna\u02d0",
    "Lisu full stop": "anna\ua4f8",
    "emoji": "😀",
    "emoji in a name": "anna😀",
    "private use": "anna\ue000",
    "unassigned": "anna\U000e0fff",
    "lone surrogate": "\ud800",
    "replacement": "an\ufffdna",
    "root": "root",
    "Root": "Root",
    "ROOT": "ROOT",
    "toor": "toor",
    "sudo": "sudo",
    "wheel": "wheel",
    "admin": "admin",
    "docker": "docker",
    "lxd": "lxd",
    "shadow": "shadow",
    "disk": "disk",
    "nobody": "nobody",
    "games": "games",
    "www-data": "www-data",
    "libvirt-qemu": "libvirt-qemu",
    "_apt": "_apt",
    "underscore": "_",
    "Debian's packages": "_anything",
    "debian-tor": "debian-tor",
    "systemd-x": "systemd-x",
    "Systemd-Network": "Systemd-Network",
    "login without password": "nopasswdlogin",
    "run0": "empower",
    "sudoers of images": "ubuntu",
    "sudoers of Raspberry Pi OS": "pi",
    "sudoers of Google": "google-sudoers",
    "ALL of sudoers": "ALL",
    "nixbld1": "nixbld1",
}


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE_NAMES.values())) == len(HOSTILE_NAMES) > 60


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES.keys())
def test_hostile_names(name: str) -> None:
    for allow in (False, True):
        for problem in (name_problem(name, allow), (group_problem(Group(name), allow) or ("", ""))[1]):
            assert problem
            # Fit for a terminal and a log, whatever the name is.
            assert len(problem) < 200 and problem.isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_names(name: str) -> None:
    assert name_problem(name) is None
    assert name_problem(name, allow_unicode=True) is None


@pytest.mark.parametrize("name", UNICODE_NAMES)
def test_names_outside_ascii_are_asked_for(name: str) -> None:
    assert name_problem(name) == "has letters outside ASCII; allow_unicode_names=true accepts them"
    assert name_problem(name, allow_unicode=True) is None


@pytest.mark.parametrize(
    ("name", "allow", "reason"),
    [
        ("x" * 32, False, None),
        ("x" * 33, False, "is longer than 32 bytes"),
        ("ü" * 16, True, None),
        ("ü" * 17, True, "is longer than 32 bytes"),
        ("-x", False, "begins with '-'"),
        (".x", False, "begins with '.'"),
        ("4711", False, "is all digits, which programs take for an id"),
        ("a b,c b", False, "contains ' ', ','"),
        ("a\nb", False, r"contains '\n'"),
        ("ü\n", True, r"contains '\n'"),
        ("ü$", True, "contains '$'"),
        ("an\u200bna", True, r"contains '\u200b'"),
        ("ju\u0308rgen", True, "is not in Unicode's normal form NFKC"),
        ("\u0430nna", True, "mixes letters of several scripts"),
        ("Docker", False, "is a name that the system reserves"),
        ("\u0131ncus", True, None),
    ],
)
def test_what_is_said_about_a_name(name: str, allow: bool, reason: str | None) -> None:
    assert name_problem(name, allow) == reason


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_reserved_name_is_refused_in_every_spelling(name: str) -> None:
    assert name == folded(name)
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)
    for spelling in (name, name.upper(), name.capitalize(), wide):
        assert name_problem(spelling, allow_unicode=True)


@pytest.mark.parametrize(
    "capture", sorted(path.name for path in (ROOT / "tests/fixtures/libre-workspace").glob("*.json"))
)
def test_the_portals_names_and_hashes(capture: str) -> None:
    records = json.loads((ROOT / "tests/fixtures/libre-workspace" / capture).read_text(encoding="utf-8"))
    refused = {name for name in (record["username"] for record in records) if name_problem(name, True)}
    assert refused <= {"", "4711"}
    hashes = [record["yescrypt_hash"] for record in records if record["yescrypt_hash"]]
    assert hashes and not any(map(hash_problem, hashes))
    assert not any(gecos_problem(record["display_name"]) for record in records)


@given(anything | st.text("abcüß.-_0", max_size=34), st.booleans())
def test_a_name_that_passes_is_harmless(name: str, allow: bool) -> None:
    if name_problem(name, allow) is None:
        assert re.fullmatch(r"\w[\w.-]*", name) and not name.isdigit()
        assert 0 < len(name.encode()) <= 32
        assert allow or name.isascii()
        assert unicodedata.normalize("NFKC", name) == name
        assert folded(name) not in RESERVED_NAMES
        assert name_problem(name, allow_unicode=True) is None


@pytest.mark.parametrize(
    ("number", "accepted"),
    [
        *[(number, True) for number in (1000, 1001, 10000, 20000, 60000, 65536, 100000, 524287, 524288, 1000001)],
        *[(number, True) for number in (1879048191, 1879048192, 2013265920, 2147352575, 2147418112, 2**31 - 1)],
        *[(number, False) for number in (0, 1, 42, 999, 60001, 60513, 60577, 60578, 60705, 61183, 61184, 64055, 65519)],
        *[(number, False) for number in (65520, 65533, 65534, 65535, 2147352576, 2147418111, 2**31, 2**32 - 2)],
    ],
)
def test_ids(number: int, accepted: bool) -> None:
    assert (id_problem(number) is None) is accepted
    assert (user_problem(User("1", "anna", uid=number)) is None) is accepted
    assert (user_problem(User("1", "anna", gid=number)) is None) is accepted
    assert (group_problem(Group("x", gid=number)) is None) is accepted


def test_the_reserved_ranges_are_in_order_and_apart() -> None:
    ranges = [(first, last) for first, last, _whose in RESERVED_IDS]
    assert all(first <= last for first, last in ranges)
    assert all(last < first for (_unused, last), (first, _unused) in pairwise(ranges))
    assert id_problem(64055) == "is 64055, reserved for systemd's dynamic users"
    # A directory that numbers people there exists already; nobody new is put there.
    assert id_problem(CONTAINER_IDS[0]) is None


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        *[(text, True) for text in ("", " ", "Anna Schmidt", "Müller, Jürgen", "O'Brien & Co", "$(id)", "名前", "😀")],
        *[(text, True) for text in ("x" * 255, "a\u200fb", "a=b", "Anna\u00a0Schmidt")],
        *[(text, False) for text in ("a:b", ":", "a\nb", "a\rb", "a\0b", "a\tb", "\x1b[m", "a\x85b", "a\u2028b")],
        *[(text, False) for text in ("\ud800", "\udcff", "x" * 256)],
    ],
)
def test_gecos(text: str, accepted: bool) -> None:
    assert (gecos_problem(text) is None) is accepted
    assert (user_problem(User("1", "anna", full_name=text)) is None) is accepted


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        *[(path, True) for path in ("/bin/bash", "/usr/bin/zsh", "/sbin/nologin", "/opt/a b/sh", "/nix/store/x/fish")],
        *[
            (path, False)
            for path in ("", "bash", "./bash", "~/sh", "/bin/../sh", "/bin/./sh", "/bin/bash\n", "//bin/sh")
        ],
        *[(path, False) for path in ("/bin//sh", "/bin/sh:", "/bin/sh\r", "/bin/\u202esh", "/b\0", "/" + "x" * 255)],
    ],
)
def test_shells(path: str, accepted: bool) -> None:
    assert (path_problem(path) is None) is accepted
    assert (user_problem(User("1", "anna", shell=path)) is None) is accepted


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        *[
            (path, True)
            for path in ("/home/anna", "/home/anna/", "/home/jürgen", "/home/a/b/c", "/srv/anna", "/data/x")
        ],
        *[(path, True) for path in ("/var/home/anna", "/home/a b", "/var/www/anna", "/etcetera/x", "/export/home/x")],
        *[(path, True) for path in ("/home/..x", "/rooted", "/userhome")],
        *[(path, False) for path in ("", "home/anna", "~", "/", "//", "///", "/home", "/home/", "/home//", "//home/x")],
        *[
            (path, False)
            for path in ("/home/..", "/home/../etc", "/home/./x", "/home/x/../../etc", "/home//x", "/var//lib")
        ],
        *[(path, False) for path in ("/etc", "/etc/", "/etc/x", "/root", "/root/x", "/usr/x", "/bin", "/dev/shm/x")],
        *[
            (path, False)
            for path in ("/var", "/var/lib/dpkg", "/var/lib/identity-roster", "/var/spool/cron", "/var/tmp/x")
        ],
        *[(path, False) for path in ("/tmp", "/tmp/x", "/run/user/1000", "/proc/self", "/sys", "/boot/x", "/lib64/x")],
        *[
            (path, False)
            for path in ("/home/a:b", "/home/a\nb", "/home/\u202e", "/home/" + "x" * 250, "/snap/x", "/srv")
        ],
    ],
)
def test_homes(path: str, accepted: bool) -> None:
    assert (home_problem(path) is None) is accepted
    assert (user_problem(User("1", "anna", home=path)) is None) is accepted


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, ("username", "is missing")),
        ({"username": "root", "uid": 0}, ("username", "is a name that the system reserves")),
        ({"username": "anna", "uid": 0, "home": "/"}, ("uid", "is 0, reserved for system accounts")),
        ({"username": "anna", "full_name": "a:b"}, ("full_name", "contains a colon")),
        ({"username": "anna", "home": "/etc"}, ("home", "is /etc, a directory of the system")),
        ({"username": "anna", "full_name": "", "uid": 1000, "gid": 1000, "shell": "/bin/sh", "home": "/home/x"}, None),
    ],
)
def test_the_first_problem_of_a_user(fields: dict[str, Any], problem: tuple[str, str] | None) -> None:
    assert user_problem(User("1", **fields)) == problem
