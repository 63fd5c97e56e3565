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
from typing import Optional, Tuple

from .model import Group, User
from .validation import folded, text_problem

#: utmp's ut_user and useradd both stop at 32 bytes.
LONGEST_NAME = 32
SMALLEST_ID = 1000
#: (first, last, whose). Inside them an explicit id would be taken for something else.
RESERVED_IDS = (
    (0, SMALLEST_ID - 1, "system accounts"),
    (60001, 60577, "systemd-homed"),
    (61184, 65519, "systemd's dynamic users"),
    (65534, 65534, "nobody"),
    (65535, 65535, "the 16-bit form of -1"),
    (2**31, 2**32 - 1, "ids that many programs read as negative"),
)
#: systemd-nspawn's and others' container ids: never given out here, accepted when a source says so.
CONTAINER_IDS = (524288, 1879048191)

#: Accounts and groups that distributions, sudoers rules and polkit give a meaning. Compared casefolded.
RESERVED_NAMES = frozenset(
    """
    root toor daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup
    adm tty disk kmem dialout fax voice cdrom floppy tape sudo wheel admin audio dip operator src shadow utmp video
    sasl plugdev staff users input sgx kvm render crontab netdev bluetooth lpadmin scanner ssh _ssh ssl-cert docker
    podman lxd lxc incus incus-admin libvirt libvirt-qemu qemu vboxusers wireshark sambashare messagebus dbus polkitd
    polkituser rtkit sshd ntp chrony tss uuidd tcpdump avahi avahi-autoipd colord cups gdm lightdm sddm gnome-initial-setup geoclue saned
    pulse pulse-access statd rpc rpcuser nfsnobody bind named dnsmasq unbound postfix postdrop dovecot exim
    debian-exim mysql postgres redis nginx apache ftp http halt shutdown log lock mem floppy usb optical storage power
    network rfkill uinput sshusers systemd-journal systemd-network systemd-resolve systemd-timesync systemd-coredump
    systemd-oom systemd-bus-proxy _apt landscape pollinate syslog fwupd-refresh usbmux nm-openvpn cockpit-ws
    ftpusers sudoers trusted
    """.split()
)

_ASCII_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_HASH = re.compile(
    r"\$(?:y|gy|7)\$[./A-Za-z0-9]+\$[./A-Za-z0-9]*\$[./A-Za-z0-9]{43}"
    r"|\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{53}"
    r"|\$5\$(?:rounds=[0-9]{1,9}\$)?[^$:!*\\\s]{0,16}\$[./A-Za-z0-9]{43}"
    r"|\$6\$(?:rounds=[0-9]{1,9}\$)?[^$:!*\\\s]{0,16}\$[./A-Za-z0-9]{86}"
    r"|\$1\$[^$:!*\\\s]{0,8}\$[./A-Za-z0-9]{22}"
)


def name_problem(name: str, allow_unicode: bool = False) -> Optional[str]:
    """Why a user or group can't be called so."""
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    if name in ("", ".", ".."):
        return "is not a name"
    if name.startswith("-"):
        return "begins with a hyphen"
    if name.isdigit():
        return "is all digits, which programs take for an id"
    if not name.isascii():
        if not allow_unicode:
            return "has letters outside ASCII; allow_unicode_names=true accepts them"
        if unicodedata.normalize("NFC", name) != name:
            return "is not in Unicode normal form C"
    for character in name:
        if not (character.isascii() or unicodedata.category(character)[0] == "L"):
            return f"contains {character!r}"
    letters = "".join(character if character.isascii() else "x" for character in name)
    if not _ASCII_NAME.fullmatch(letters):
        wrong = sorted({character for character in letters if not re.match(r"[A-Za-z0-9_.-]", character)})
        return "contains " + ", ".join(repr(character) for character in wrong)
    if folded(name) in RESERVED_NAMES or folded(name).startswith("systemd-"):
        return "is a name that the system reserves"
    return None


def id_problem(number: int) -> Optional[str]:
    """Why a uid or gid can't be a person's or a group's of people."""
    for first, last, whose in RESERVED_IDS:
        if first <= number <= last:
            return f"is {number}, reserved for {whose}"
    return None


def gecos_problem(text: str) -> Optional[str]:
    problem = text_problem(text, longest=255)
    if problem is None and ":" in text:
        problem = "contains a colon"
    return problem


def path_problem(path: str) -> Optional[str]:
    """Why a text can't be a home or a shell in /etc/passwd."""
    problem = text_problem(path, longest=255)
    if problem:
        return problem
    if not path.startswith("/") or path.startswith("//"):
        return "is not an absolute path"
    if ":" in path or not path.isprintable():
        return "contains a colon or an unprintable character"
    if any(part in (".", "..") for part in path.split("/")):
        return "contains . or .. as a part"
    return None


#: Directories that hold the system: no home may be one of them, nor lie inside the first group.
_SYSTEM_TREES = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
_SYSTEM_DIRECTORIES = frozenset("/ /home /media /mnt /opt /root /srv /tmp /var /var/tmp /var/lib /var/mail".split())


def home_problem(path: str) -> Optional[str]:
    problem = path_problem(path)
    if problem:
        return problem
    trimmed = path.rstrip("/") or "/"
    if trimmed in _SYSTEM_DIRECTORIES or any(trimmed == tree or trimmed.startswith(tree + "/") for tree in _SYSTEM_TREES):
        return f"is {path}, a directory of the system"
    if trimmed.startswith(("/root/", "/var/lib/identity-roster")):
        return f"is {path}, inside a directory of root's"
    return None


def hash_problem(password_hash: str) -> Optional[str]:
    """Why a text is not a password hash of crypt(5). Never quotes it."""
    if not _HASH.fullmatch(password_hash):
        return "is not a password hash that Linux knows (yescrypt, scrypt, bcrypt, SHA-512, SHA-256, MD5)"
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
