# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of any origin: which of them a roster can hold, when two count as the same, how one is shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Mapping, Optional, Tuple

#: Longer text is not a name, a path or an address. A bound keeps one record from filling an account file.
LONGEST_TEXT = 1024
#: Characters that nobody sees (Unicode's Default_Ignorable_Code_Point): they make no name another one.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
#: A hash of crypt(5), locked or not. In other fields it stands by mistake (columns that slipped), and would be shown.
_HASH_OF_A_PASSWORD = re.compile(r"\s*[!*]*\$[0-9a-z]{1,8}\$\S{20}")


def folded(text: str) -> str:
    """The form in which two names count as the same person's."""
    if text.isascii():
        return text.lower()
    seen = _INVISIBLE.sub("", text) or text
    # Folding can undo the normal form.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())


def text_problem(text: str, longest: int = LONGEST_TEXT) -> Optional[str]:
    """Why a text can't be kept in a roster, or None: control characters and lone surrogates never can."""
    if len(text) > longest:
        return f"is longer than {longest} characters"
    if text.isprintable():
        return None
    for character in text:
        category = unicodedata.category(character)
        # Line and paragraph separators (Zl, Zp) split lines in some readers; bidirectional controls (in Cf) are
        # legal in names of some scripts, so they stay.
        if category in ("Cc", "Cs", "Zl", "Zp"):
            return f"contains the control character U+{ord(character):04X}"
    return None


def is_password_hash(text: str) -> bool:
    """Whether a text looks like one. Used where none should stand: such a text is never shown."""
    return "$" in text and _HASH_OF_A_PASSWORD.match(text) is not None


def shown(text: Any, longest: int = 64) -> str:
    """A text of any record, fit for a message: short, printable, no password hash."""
    if not isinstance(text, str):
        return type_name(text)
    if is_password_hash(text):
        return "something like a password hash"
    short = text[: longest + 1]
    if text_problem(short):
        short = ascii(short)[1:-1]
    return short if len(short) <= longest else short[: longest - 3] + "..."


def type_name(value: Any) -> str:
    """What a value is, for people who write YAML or JSON."""
    if value is None:
        return "null (leave the key out instead)"
    if isinstance(value, bool):
        return "true or false"
    names: Tuple[Tuple[Any, str], ...] = (
        (str, "a text"),
        ((int, float), "a number"),
        ((list, tuple), "a list"),
        (Mapping, "a mapping"),
    )
    return next((name for types, name in names if isinstance(value, types)), type(value).__name__)
