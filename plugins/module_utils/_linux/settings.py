# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own defaults for accounts: /etc/login.defs and /etc/default/useradd, read as shadow reads them."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Callable, Dict, Optional

_INTEGER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)")


@dataclass(frozen=True)
class SubordinateIds:
    """Where new ranges of subordinate ids lie, and how many ids each has (0: users get none)."""

    first: int = 100000
    last: int = 600100000
    count: int = 65536


@dataclass(frozen=True)
class Settings:
    """Ids are inclusive ranges; ages are in days, as text for the shadow file ("" when unset)."""

    uid_min: int = 1000
    uid_max: int = 60000
    gid_min: int = 1000
    gid_max: int = 60000
    subuid: SubordinateIds = SubordinateIds()
    subgid: SubordinateIds = SubordinateIds()
    pass_max_days: str = "99999"
    pass_min_days: str = "0"
    pass_warn_age: str = "7"
    private_groups: bool = True
    primary_gid: int = 100
    home_mode: int = 0o700
    shell: str = ""
    skel: str = "/etc/skel"
    #: The vendor's skeleton, for what is not in ``skel``.
    vendor_skel: str = "/usr/etc/skel"
    inactive: str = ""
    expire: str = ""
    mail_spool: bool = False
    mail_directory: str = "/var/mail"


def parse_login_defs(content: bytes) -> Dict[str, str]:
    """Name and value a line, separated by blanks; ``#`` begins a comment; quotes around the value go (shadow
    ``getdef.c``). The last line of a name counts."""
    values: Dict[str, str] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        parts = line.strip().split(None, 1)
        if len(parts) == 2 and not parts[0].startswith("#"):
            values[parts[0]] = parts[1].split("#", 1)[0].strip().strip('"')
    return values


def parse_useradd(content: bytes) -> Dict[str, str]:
    """``NAME=value`` lines of /etc/default/useradd."""
    values: Dict[str, str] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            values[name.strip()] = value.strip().strip('"')
    return values


def _integer(text: Optional[str]) -> Optional[int]:
    """A number as C's strtol reads it with base 0: 022 is octal, 0x12 hexadecimal."""
    found = _INTEGER.fullmatch(text or "")
    if found is None or len(found.group(2)) > 20:
        return None
    sign, digits = found.groups()
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return -value if sign == "-" else value


def _days(text: Optional[str], default: str) -> str:
    value = _integer(text)
    if value is None:
        return default
    return "" if value < 0 else str(value)


def read_settings(
    login_defs: Optional[bytes], useradd: Optional[bytes], gid_of: Callable[[str], Optional[int]]
) -> Settings:
    """The host's settings. ``gid_of`` resolves GROUP= of /etc/default/useradd, which may be a name."""
    defs = parse_login_defs(login_defs or b"")
    defaults = parse_useradd(useradd or b"")
    fallback = Settings()

    def integer(name: str, default: int) -> int:
        value = _integer(defs.get(name))
        return default if value is None or value < 0 else value

    def subordinate(prefix: str) -> SubordinateIds:
        span = SubordinateIds()
        return SubordinateIds(
            first=integer(prefix + "_MIN", span.first),
            last=integer(prefix + "_MAX", span.last),
            count=integer(prefix + "_COUNT", span.count),
        )

    if "HOME_MODE" in defs:
        home_mode = integer("HOME_MODE", fallback.home_mode)
    elif "UMASK" in defs:
        home_mode = 0o777 & ~integer("UMASK", 0o077)
    else:
        home_mode = fallback.home_mode

    group = defaults.get("GROUP", "")
    primary = gid_of(group) if group else None
    if primary is None:
        primary = _integer(group)
    expire = defaults.get("EXPIRE", "")
    return Settings(
        uid_min=integer("UID_MIN", fallback.uid_min),
        uid_max=integer("UID_MAX", fallback.uid_max),
        gid_min=integer("GID_MIN", fallback.gid_min),
        gid_max=integer("GID_MAX", fallback.gid_max),
        subuid=subordinate("SUB_UID"),
        subgid=subordinate("SUB_GID"),
        pass_max_days=_days(defs.get("PASS_MAX_DAYS"), fallback.pass_max_days),
        pass_min_days=_days(defs.get("PASS_MIN_DAYS"), fallback.pass_min_days),
        pass_warn_age=_days(defs.get("PASS_WARN_AGE"), fallback.pass_warn_age),
        private_groups=defs.get("USERGROUPS_ENAB", "yes").lower() == "yes",
        primary_gid=fallback.primary_gid if primary is None else primary,
        home_mode=home_mode & 0o777,
        shell=defaults.get("SHELL", ""),
        skel=defaults.get("SKEL", "") or fallback.skel,
        vendor_skel=defaults.get("USRSKEL", "") or fallback.vendor_skel,
        inactive=_days(defaults.get("INACTIVE"), ""),
        expire=str(_day(expire)) if _day(expire) is not None else "",
        mail_spool=defaults.get("CREATE_MAIL_SPOOL", "no").lower() == "yes",
        mail_directory=defs.get("MAIL_DIR", fallback.mail_directory),
    )


def _day(text: str) -> Optional[int]:
    """A date YYYY-MM-DD as days since 1970; shadow has no words for earlier ones."""
    try:
        day = (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days
    except ValueError:
        return None
    return day if day >= 0 else None
