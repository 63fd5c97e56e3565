# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own defaults, as shadow reads them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux.settings import (
    Settings,
    SubordinateIds,
    parse_login_defs,
    parse_useradd,
    read_settings,
)

#: What is not a comment in /etc/login.defs of Debian 12.
DEBIAN_12 = b"""\
#
# /etc/login.defs - Configuration control definitions for the login package.
#
MAIL_DIR        /var/mail
#MAIL_FILE      .mail
FAILLOG_ENAB\t\tyes
LOG_UNKFAIL_ENAB\tno
LOG_OK_LOGINS\t\tno
SYSLOG_SU_ENAB\t\tyes
SYSLOG_SG_ENAB\t\tyes
FTMP_FILE\t/var/log/btmp
SU_NAME\t\tsu
HUSHLOGIN_FILE\t.hushlogin
ENV_SUPATH\tPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV_PATH\tPATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games
TTYGROUP\ttty
TTYPERM\t\t0600
ERASECHAR\t0177
KILLCHAR\t025
UMASK\t\t022
# HOME_MODE is used by useradd(8) and newusers(8) to set the mode for new
# home directories.
#HOME_MODE\t0700
PASS_MAX_DAYS\t99999
PASS_MIN_DAYS\t0
PASS_WARN_AGE\t7
UID_MIN\t\t\t 1000
UID_MAX\t\t\t60000
#SYS_UID_MIN\t\t  100
SUB_UID_MIN\t\t   100000
SUB_UID_MAX\t\t600100000
SUB_UID_COUNT\t\t    65536
GID_MIN\t\t\t 1000
GID_MAX\t\t\t60000
SUB_GID_MIN\t\t   100000
SUB_GID_MAX\t\t600100000
SUB_GID_COUNT\t\t    65536
LOGIN_RETRIES\t\t5
LOGIN_TIMEOUT\t\t60
CHFN_RESTRICT\t\trwh
DEFAULT_HOME\tyes
USERGROUPS_ENAB yes
ENCRYPT_METHOD SHA512
"""
#: Debian 13 has HOME_MODE set, and yescrypt.
DEBIAN_13 = DEBIAN_12.replace(b"#HOME_MODE", b"HOME_MODE").replace(b"SHA512", b"YESCRYPT")
#: /etc/default/useradd of Debian: everything but SHELL is a comment.
USERADD_DEBIAN = b"""\
# Default values for useradd(8)
SHELL=/bin/sh
#
# The default group for users
# GROUP=100
# HOME=/home
# INACTIVE=-1
# EXPIRE=
# SKEL=/etc/skel
# CREATE_MAIL_SPOOL=no
"""
USERADD_REDHAT = b"""\
# useradd defaults file
GROUP=100
HOME=/home
INACTIVE=-1
EXPIRE=
SHELL=/bin/bash
SKEL=/etc/skel
CREATE_MAIL_SPOOL=yes
"""
USERADD_SUSE = b"""\
GROUP=users
HOME=/home
INACTIVE=-1
EXPIRE=
SHELL=/bin/bash
SKEL="/etc/skel"
USRSKEL=/usr/etc/skel
CREATE_MAIL_SPOOL=yes
"""
LOGIN_DEFS_SUSE = b"""\
# SUSE: /usr/etc/login.defs
USERGROUPS_ENAB no
UMASK 022
HOME_MODE 0700
UID_MIN                  1000
UID_MAX                 60000
PASS_MAX_DAYS   99999
MAIL_DIR        "/var/spool/mail"
"""


def read(defs: bytes | None = None, useradd: bytes | None = None, **gids: int) -> Settings:
    return read_settings(defs, useradd, gids.get)


@pytest.mark.parametrize(
    ("defs", "useradd", "expected"),
    [
        (None, None, Settings()),
        (b"", b"", Settings()),
        (DEBIAN_12, USERADD_DEBIAN, Settings(home_mode=0o755, shell="/bin/sh")),
        (DEBIAN_13, USERADD_DEBIAN, Settings(home_mode=0o700, shell="/bin/sh")),
        (DEBIAN_12, USERADD_REDHAT, Settings(home_mode=0o755, shell="/bin/bash", mail_spool=True)),
        (
            LOGIN_DEFS_SUSE,
            USERADD_SUSE,
            Settings(
                private_groups=False,
                primary_gid=985,
                shell="/bin/bash",
                mail_spool=True,
                mail_directory="/var/spool/mail",
            ),
        ),
    ],
    ids=["missing", "empty", "debian 12", "debian 13", "red hat", "suse"],
)
def test_real_hosts(defs: bytes | None, useradd: bytes | None, expected: Settings) -> None:
    assert read(defs, useradd, users=985) == expected


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("UMASK 027", "home_mode", 0o750),
        ("UMASK 0x3f", "home_mode", 0o700),
        ("UMASK 63", "home_mode", 0o700),
        ("UMASK nonsense", "home_mode", 0o700),
        ("HOME_MODE 0711", "home_mode", 0o711),
        ("HOME_MODE 07777", "home_mode", 0o777),
        ("HOME_MODE 0888", "home_mode", 0o700),
        ("HOME_MODE", "home_mode", 0o700),
        ("#UID_MIN 5", "uid_min", 1000),
        ("  UID_MIN\t 500  ", "uid_min", 500),
        ('UID_MIN "500"', "uid_min", 500),
        ("UID_MIN 500 # old", "uid_min", 500),
        ("UID_MIN 01750", "uid_min", 1000),
        ("UID_MIN 0x3e8", "uid_min", 1000),
        ("UID_MIN -1", "uid_min", 1000),
        ("UID_MIN 5_0_0", "uid_min", 1000),
        ("UID_MIN 0b1111101000", "uid_min", 1000),
        ("UID_MIN \u0665\u0660\u0660", "uid_min", 1000),
        ("UID_MIN " + "9" * 6000, "uid_min", 1000),
        ("UID_MIN 700\r", "uid_min", 700),
        ("UID_MIN 500\nUID_MIN 600", "uid_min", 600),
        ("# a page break\x0cUID_MIN 5\x0b\u2028UID_MIN 6\x85UID_MIN 7", "uid_min", 1000),
        ("UID_MAX 4294967295", "uid_max", 4294967295),
        ("SUB_UID_COUNT 0", "subuid", SubordinateIds(count=0)),
        ("SUB_GID_COUNT 0", "subgid", SubordinateIds(count=0)),
        ("SUB_GID_MIN 200000", "subgid", SubordinateIds(first=200000)),
        ("SUB_UID_MAX 300000", "subuid", SubordinateIds(last=300000)),
        ("PASS_MAX_DAYS 90", "pass_max_days", "90"),
        ("PASS_MAX_DAYS -1", "pass_max_days", ""),
        ("PASS_MIN_DAYS x:y", "pass_min_days", "0"),
        ("PASS_WARN_AGE 0", "pass_warn_age", "0"),
        ("USERGROUPS_ENAB no", "private_groups", False),
        ("USERGROUPS_ENAB YES", "private_groups", True),
    ],
)
def test_odd_login_defs(line: str, field: str, value: Any) -> None:
    assert getattr(read(line.encode()), field) == value


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("GROUP=users", "primary_gid", 985),
        ("GROUP=1234", "primary_gid", 1234),
        ("GROUP=nobody-knows", "primary_gid", 100),
        ("INACTIVE=30", "inactive", "30"),
        ("INACTIVE=-1", "inactive", ""),
        ("INACTIVE=soon", "inactive", ""),
        ("EXPIRE=2030-01-01", "expire", "21915"),
        ("EXPIRE=1969-12-31", "expire", ""),
        ("EXPIRE=never:ever", "expire", ""),
        ("EXPIRE=", "expire", ""),
        ("SKEL=/usr/share/skel", "skel", "/usr/share/skel"),
        ("SKEL=", "skel", "/etc/skel"),
        ("CREATE_MAIL_SPOOL=Yes", "mail_spool", True),
        (" SHELL = /bin/dash ", "shell", "/bin/dash"),
        ("#SHELL=/bin/dash", "shell", ""),
        ("SHELL", "shell", ""),
    ],
)
def test_odd_useradd_defaults(line: str, field: str, value: Any) -> None:
    assert getattr(read(None, line.encode(), users=985), field) == value


def test_bytes_that_are_no_text() -> None:
    junk = bytes(range(256)) * 3
    assert read(junk, junk) == Settings()
    assert parse_login_defs(b"A \xff\n") == {"A": "\ufffd"}
    assert parse_useradd(b"A=\xff\n") == {"A": "\ufffd"}
