# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Public keys as a line of authorized_keys: ``type base64 [comment]``, nothing before it. Pure.

The types are those of ssh-keygen(1); what a key holds is in RFC 4253 (RSA), RFC 5656 (ECDSA), RFC 8709 (Ed25519) and
OpenSSH's PROTOCOL.u2f (``sk-``).
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import List, Optional

from .text import text_problem

#: Longer than any key with a comment: RSA with 16384 bits has 2,800 characters.
LONGEST_KEY = 8192
SMALLEST_RSA, LARGEST_RSA = 2048, 16384
#: type: the names of its parts, in order; "curve=..." is a text that must stand there.
_TYPES = {
    "ssh-ed25519": ("ed25519",),
    "sk-ssh-ed25519@openssh.com": ("ed25519", "application"),
    "ssh-rsa": ("exponent", "modulus"),
    "ecdsa-sha2-nistp256": ("curve=nistp256", "point=65"),
    "ecdsa-sha2-nistp384": ("curve=nistp384", "point=97"),
    "ecdsa-sha2-nistp521": ("curve=nistp521", "point=133"),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("curve=nistp256", "point=65", "application"),
}
_LINE = re.compile(r"([^ ]+) +([^ ]+)(?: +[^ ].*| *)")


def key_problem(text: str) -> Optional[str]:
    """Why a text is not a public key that may log in, or None. Never quotes it: it may be a private key."""
    problem = text_problem(text, longest=LONGEST_KEY)
    if problem:
        return problem
    match = _LINE.fullmatch(text)
    if not match:
        return "is not of the form 'type base64 comment'"
    kind, encoded = match.groups()
    if kind in ("ssh-dss", "ssh-dsa"):
        return "is a DSA key, which OpenSSH no longer accepts"
    if kind not in _TYPES:
        return f"does not begin with a type of key ({', '.join(_TYPES)}); options are not accepted"
    blob = _decoded(encoded)
    if blob is None:
        return "is not a whole key: its base64 is damaged"
    parts = _parts(blob)
    if parts is None or not parts:
        return "is not a whole key: a part of it is cut off"
    if parts[0] != kind.encode():
        return f"says {kind}, but holds a key of another type"
    if len(parts) != 1 + len(_TYPES[kind]):
        return f"does not have the parts of a key of type {kind}"
    problems = (_part_problem(name, part) for name, part in zip(_TYPES[kind], parts[1:]))
    return next((problem for problem in problems if problem), None)


def fingerprint(text: str) -> str:
    """As ``ssh-keygen -l`` prints it: "SHA256:..."; "no key" for a line, found on a host, that holds none."""
    match = _LINE.fullmatch(text)
    blob = _decoded(match[2]) if match else None
    if not blob:
        return "no key"
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _decoded(encoded: str) -> Optional[bytes]:
    """Base64 that is the one way to write its bytes."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    return blob if base64.b64encode(blob).decode() == encoded else None


def _parts(blob: bytes) -> Optional[List[bytes]]:
    """The strings of a key, each after its length in four bytes; None when they do not fill it."""
    parts = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return None
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return parts


def _part_problem(name: str, part: bytes) -> Optional[str]:
    if name == "modulus":
        return _modulus_problem(part)
    if name == "exponent":
        # 1 signs nothing at all, and an even one has no inverse.
        return None if _is_positive(part) and part[-1] & 1 and part != b"\x01" else "has no usable RSA exponent"
    wanted, _separator, value = name.partition("=")
    if wanted == "curve":
        return None if part == value.encode() else "holds a point of another curve than its type says"
    if wanted == "point":
        return None if len(part) == int(value) and part[:1] == b"\x04" else "holds no point of its curve"
    if wanted == "ed25519":
        return None if len(part) == 32 else "does not hold the 32 bytes of an Ed25519 key"
    return None if part else "names no application"


def _modulus_problem(part: bytes) -> Optional[str]:
    bits = int.from_bytes(part, "big").bit_length()
    if not _is_positive(part) or not part[-1] & 1:
        return "has no usable RSA modulus"
    if bits < SMALLEST_RSA:
        return f"is an RSA key of {bits} bits; at least {SMALLEST_RSA} are needed"
    if bits > LARGEST_RSA:
        return f"is an RSA key of {bits} bits; OpenSSH takes at most {LARGEST_RSA}"
    return None


def _is_positive(number: bytes) -> bool:
    """A whole number above zero, written in the one shortest way (RFC 4251, mpint)."""
    if not number or number[0] & 0x80:
        return False
    return number[0] != 0 or (len(number) > 1 and number[1] & 0x80 != 0)
