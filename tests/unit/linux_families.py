# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up root directories of the Linux families, as their installers leave /etc."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.identity.roster.plugins.module_utils._linux.distribution import default_admin_group

from .linux_hosts import OPTIONS
from .linux_trees import Target

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:2:2:daemon:/sbin:/sbin/nologin
ansible:x:1000:1000:Ansible,,,:/home/ansible:/bin/sh
nobody:x:65534:65534:nobody:/:/sbin/nologin
"""
GROUP = """\
root:x:0:root
daemon:x:2:
mail:x:12:
wheel:x:10:ansible
users:x:100:
ansible:x:1000:
crew:x:1500:ansible
nogroup:x:65534:
"""
SHADOW = """\
root:!::0:::::
daemon:!::0:::::
ansible:$6$ansible$x:19000:0:99999:7:::
nobody:!::0:::::
"""
GSHADOW = """\
root:::root
daemon:::
mail:::
wheel:::ansible
users:::
ansible:!::
crew:!::ansible
nogroup:::
"""
SUBUID = "ansible:100000:65536\n"


@dataclass(frozen=True)
class Family:
    """``modes`` is name of an account file to (mode, gid); ``files`` and ``links`` are paths below the root."""

    os_release: str
    modes: Mapping[str, tuple[int, int]]
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    more: Callable[[Path], None] = lambda root: None


def _world(*names: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(names, (0o644, 0))


CONTENT = {
    "passwd": PASSWD,
    "group": GROUP,
    "shadow": SHADOW,
    "gshadow": GSHADOW,
    "subuid": SUBUID,
    "subgid": SUBUID,
}
LOGIN_DEFS = "UID_MIN 1000\nUID_MAX 60000\nHOME_MODE 0700\nMAIL_DIR /var/spool/mail\n"
LABEL = b"system_u:object_r:shadow_t:s0\0"


def _label(root: Path) -> None:
    """SELinux labels, where this file system and this process can have them."""
    for name in ("shadow", "gshadow"):
        try:
            os.setxattr(root / "etc" / name, "security.selinux", LABEL)
        except OSError:
            return


FAMILIES = {
    "alpine": Family(
        'ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\n',
        {**_world("passwd", "group"), "shadow": (0o640, 42)},
        {"bin/busybox": "", "lib/ld-musl-x86_64.so.1": "", "etc/skel/.profile": "# alpine\n"},
        {"bin/sh": "/bin/busybox", "bin/ash": "/bin/busybox", "bin/passwd": "/bin/busybox"},
    ),
    "arch": Family(
        "ID=arch\n",
        {
            **_world("passwd", "group", "subuid", "subgid"),
            "shadow": (0o600, 0),
            "gshadow": (0o600, 0),
        },
        {"usr/bin/sh": "", "usr/bin/bash": "", "etc/login.defs": LOGIN_DEFS, "etc/skel/.bashrc": "# arch\n"},
        {"bin": "usr/bin"},
    ),
    "red hat": Family(
        'ID="rhel"\nID_LIKE="fedora"\n',
        {
            **_world("passwd", "group", "subuid", "subgid"),
            "shadow": (0o000, 0),
            "gshadow": (0o000, 0),
        },
        {
            "bin/sh": "",
            "bin/bash": "",
            "etc/login.defs": LOGIN_DEFS,
            "etc/default/useradd": "GROUP=100\nHOME=/home\nSHELL=/bin/bash\nSKEL=/etc/skel\nCREATE_MAIL_SPOOL=yes\n",
            "etc/nsswitch.conf": "passwd: files sss systemd\nshadow: files sss\n",
            "etc/skel/.bashrc": "# red hat\n",
        },
        more=_label,
    ),
    "suse": Family(
        'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n',
        {**_world("passwd", "group", "subuid", "subgid"), "shadow": (0o640, 15)},
        {
            "bin/bash": "",
            "bin/sh": "",
            "usr/etc/login.defs": LOGIN_DEFS + "USERGROUPS_ENAB no\nPASS_MAX_DAYS 99999\n",
            "usr/etc/login.defs.d/50-vendor.defs": "PASS_MAX_DAYS 400\n",
            "usr/etc/login.defs.d/60-hidden.defs": "PASS_WARN_AGE 21\n",
            "etc/login.defs.d/60-hidden.defs": "",
            "etc/login.defs.d/70-yast.defs": "PASS_MAX_DAYS 90",
            "etc/login.defs.d/README": "PASS_MAX_DAYS 1\n",
            "usr/etc/default/useradd": "GROUP=users\nSHELL=/bin/bash\n",
            "usr/etc/skel/.profile": "# vendor\n",
            "usr/etc/skel/.bashrc": "# vendor\n",
            "etc/skel/.bashrc": "# local\n",
        },
    ),
    "ostree": Family(
        "ID=fedora\nVARIANT_ID=silverblue\n",
        {
            **_world("passwd", "group", "subuid", "subgid"),
            "shadow": (0o000, 0),
            "gshadow": (0o000, 0),
        },
        {
            "usr/lib/passwd": "root:x:0:0:root:/root:/bin/bash\nchrony:x:992:990::/var/lib/chrony:/sbin/nologin\n"
            "kiosk:x:5010:5010::/var/lib/kiosk:/sbin/nologin\n",
            "usr/lib/group": "wheel:x:10:\ndialout:x:18:\nkiosk:x:5010:\nplotters:x:5011:\nscanusers:x:5012:\n",
            "etc/login.defs": LOGIN_DEFS,
            "usr/etc/login.defs": LOGIN_DEFS,
            "run/ostree-booted": "",
            "usr/bin/sh": "",
            "usr/bin/bash": "",
        },
        {"bin": "usr/bin"},
        more=_label,
    ),
}


def build(root: Path, family_name: str) -> Target:
    """A host of a family under ``root``."""
    family = FAMILIES[family_name]
    for folder in (
        "etc/skel",
        "home",
        "var/lib",
        "var/spool/mail",
        "tmp",
        "bin" if "bin" not in family.links else "usr",
    ):
        (root / folder).mkdir(parents=True)
    (root / "etc/os-release").write_text(family.os_release)
    for name, text in family.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, link in family.links.items():
        (root / name).symlink_to(link)
    for file, (mode, gid) in family.modes.items():
        path = root / "etc" / file
        path.write_text(CONTENT[file])
        os.chown(path, 0, gid)
        path.chmod(mode)
    family.more(root)
    shell = "/bin/bash" if os.path.lexists(root / "bin/bash") else "/bin/sh"
    return Target(root, replace(OPTIONS, admin_group=default_admin_group(str(root)), default_shell=shell))
