# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An entry's values as texts, whatever the directory stores. Pure.

Sources: RFC 4517 (generalised time), MS-DTYP 2.3.4 (GUID), 2.4.2 (SID), MS-ADTS 2.2 (times).
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Callable, Dict, List, Mapping, Optional

from .ldap_ber import Entry

#: Values of these are never shown and never anything but a password.
SECRETS = frozenset(
    "userpassword unicodepwd authpassword sambantpassword sambalmpassword ipanthash krbprincipalkey"
    " ntpwdhistory lmpwdhistory pwdhistory sambapasswordhistory passwordhistory krbpwdhistory dbcspwd"
    " supplementalcredentials msds-managedpassword ms-mcs-admpwd mslaps-password mslaps-encryptedpassword".split()
)
_FILETIME_BEGIN = datetime(1601, 1, 1, tzinfo=timezone.utc)
#: MS-ADTS: both mean never.
_NEVER = (0, 2**63 - 1)


def guid_text(raw: bytes) -> str:
    """A GUID as people write it: 5de3176a-2f4b-4b0f-a3a0-a1a5a0b1c2d3. Raises ValueError."""
    if len(raw) != 16:
        raise ValueError("is no GUID of 16 bytes")
    return str(uuid.UUID(bytes_le=raw))


def sid_text(raw: bytes) -> str:
    """A security identifier as people write it: S-1-5-21-.... Raises ValueError."""
    if len(raw) < 8 or len(raw) != 8 + 4 * raw[1]:
        raise ValueError("is no SID")
    parts = [int.from_bytes(raw[at : at + 4], "little") for at in range(8, len(raw), 4)]
    return "-".join(["S", str(raw[0]), str(int.from_bytes(raw[2:8], "big")), *map(str, parts)])


_BINARY: Dict[str, Callable[[bytes], str]] = {
    "objectguid": guid_text,
    "ms-ds-consistencyguid": guid_text,
    "objectsid": sid_text,
    "sidhistory": sid_text,
}


class Values:
    """One entry's values by attribute, under every name that the schema has for it."""

    def __init__(self, entry: Entry, aliases: Mapping[str, str]) -> None:
        self.entry = entry
        self._aliases = aliases

    def raw(self, name: str) -> List[bytes]:
        """Values by any name of the attribute; none when it is missing."""
        attributes = self.entry.attributes
        name = name.lower()
        found = attributes.get(name)
        if found is None and name in self._aliases:
            main = self._aliases[name]
            for other, values in attributes.items():
                if self._aliases.get(other) == main:
                    return values
        return found or []

    def texts(self, name: str) -> List[str]:
        """Values as texts, blank ones left out. Raises ValueError when one is none."""
        raw_values = self.raw(name)
        if not raw_values:
            return []
        convert = _BINARY.get(name.lower())
        texts = []
        for raw in raw_values:
            try:
                text = convert(raw) if convert else raw.decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError(f"comes from {name}, which is not text") from None
            text = text.strip()
            if text:
                texts.append(text)
        return texts

    def text(self, name: str) -> Optional[str]:
        """The only value, or None. Raises ValueError when there are several."""
        texts = self.texts(name)
        if len(texts) > 1:
            raise ValueError(f"comes from {name}, which has {len(texts)} values")
        return texts[0] if texts else None

    def number(self, name: str) -> Optional[int]:
        """The only value as a number, or None. Raises ValueError."""
        text = self.text(name)
        if text is None:
            return None
        digits = text[1:] if text.startswith("-") else text
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise ValueError(f"comes from {name}, which is not a decimal number")
        return int(text)


def filetime(number: int) -> Optional[datetime]:
    """A time that Active Directory counts in 100 ns since 1601; None for never."""
    if number in _NEVER:
        return None
    try:
        return _FILETIME_BEGIN + timedelta(microseconds=number // 10)
    except OverflowError:
        return None


def generalised_time(text: str) -> datetime:
    """20261122011650Z and its shorter and longer forms. Raises ValueError."""
    digits = text.rstrip("Zz").partition(".")[0].partition(",")[0]
    formats = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H"}
    if text[-1:] not in ("Z", "z") or not digits.isdigit() or len(digits) not in formats:
        raise ValueError("is not a time in UTC such as 20261122011650Z")
    return datetime.strptime(digits, formats[len(digits)]).replace(tzinfo=timezone.utc)
