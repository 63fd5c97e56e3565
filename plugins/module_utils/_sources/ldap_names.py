# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Distinguished names: when two are the same entry's, and what the first part says. Pure (RFC 4512, 4514 and 4518).

A directory writes one name in many ways: other case, spaces, escapes, order of the values of one part.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import List, Tuple

from .._roster.text import folded

#: Attribute type, or its numbers, which may have a prefix that RFC 2253 knew.
_TYPE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|(?:oid\.)?[0-9]+(?:\.[0-9]+)*)\Z", re.IGNORECASE)
#: Without these every comma parts two parts.
_QUOTING = re.compile(r'[\\";]')
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
#: One type, several spellings: RFC 4514 and RFC 4519.
_SAME = {
    "2.5.4.3": "cn", "commonname": "cn",
    "2.5.4.6": "c", "countryname": "c",
    "2.5.4.7": "l", "localityname": "l",
    "2.5.4.8": "st", "stateorprovincename": "st",
    "2.5.4.9": "street", "streetaddress": "street",
    "2.5.4.10": "o", "organizationname": "o",
    "2.5.4.11": "ou", "organizationalunitname": "ou",
    "0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.1": "uid", "userid": "uid",
}  # fmt: skip

Part = Tuple[Tuple[str, str], ...]


def parse_dn(dn: str) -> List[Part]:
    """The parts of a name from the entry up, each a tuple of (type, value). Raises ValueError when it is no DN."""
    if not dn.strip():
        return []
    parts: List[Part] = []
    for part in _split(dn, ",;"):
        pairs = []
        for pair in _split(part, "+"):
            kind, equals, value = pair.partition("=")
            kind = kind.strip()
            if not equals or not _TYPE.match(kind):
                raise ValueError("is no DN: one looks like cn=it,dc=example,dc=org")
            kind = kind.lower()
            kind = kind[4:] if kind.startswith("oid.") else kind
            pairs.append((_SAME.get(kind, kind), _unescaped(value)))
        parts.append(tuple(pairs))
    return parts


def normalised_dn(dn: str) -> str:
    """A text that is equal for equal names, and for nothing else. Raises ValueError when it is no DN."""
    first, comma, above = dn.partition(",")
    if comma and first.strip() and above.strip() and not _QUOTING.search(dn):
        # Thousands of names differ in their first part only.
        return f"{_normalised(first)},{_normalised_above(above)}"
    return _normalised(dn)


def _normalised(dn: str) -> str:
    return ",".join("+".join(sorted(f"{kind}={_prepared(value)}" for kind, value in part)) for part in parse_dn(dn))


_normalised_above = lru_cache(maxsize=1024)(_normalised)


def _prepared(value: str) -> str:
    """A value as caseIgnoreMatch compares it, with the characters escaped that would make two names one."""
    return re.sub(r"[\\,+=]", lambda found: f"\\{ord(found[0]):02x}", folded(" ".join(value.split())))


def _split(text: str, separators: str) -> List[str]:
    """The pieces between separators that are neither escaped nor in quotes (RFC 2253's older form)."""
    if not _QUOTING.search(text):
        return text.split(separators[0])
    pieces, begin, position, quoted = [], 0, 0, False
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in separators:
            pieces.append(text[begin:position])
            begin = position + 1
        position += 1
    if quoted:
        raise ValueError("is no DN: a quotation mark is missing")
    return [*pieces, text[begin:]]


def _unescaped(text: str) -> str:
    text = text.lstrip(" ")
    stripped = text.rstrip(" ")
    # "\ " at the end is a space that counts.
    if len(stripped) < len(text) and _ends_with_backslash(stripped):
        stripped += " "
    text = stripped
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if text.startswith("#"):
        return _from_ber(text)
    if "\\" not in text:
        return text
    raw, position = bytearray(), 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            pair = _HEX_PAIR.match(text, position)
            if pair:
                raw.append(int(pair[0], 16))
                position += 2
                continue
            if position == len(text):
                raise ValueError("is no DN: it ends with a backslash")
            character = text[position]
            position += 1
        raw += character.encode("utf-8", "surrogatepass")
    return raw.decode("utf-8", "replace")


def _ends_with_backslash(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _from_ber(text: str) -> str:
    """A value as #hexadecimal BER: its text when it is a string of less than 128 bytes, else itself."""
    try:
        content = bytes.fromhex(text[1:])
    except ValueError:
        raise ValueError("is no DN: a value begins with # and is not hexadecimal") from None
    if len(content) >= 2 and content[0] in (0x04, 0x0C, 0x13, 0x16) and content[1] == len(content) - 2:
        return content[2:].decode("utf-8", "replace")
    return text.lower()
