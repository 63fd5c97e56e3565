# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as a person may see them on a terminal: one line, no control characters."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """As text in which line breaks and whatever else has no glyph are escaped; None is nothing."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def done_word(action: Any) -> str:
    """What was done, of a contract's action: "create" to "created"."""
    word = shown(action)
    return f"{word}d" if word.endswith("e") else f"{word}ed" if word == "adopt" else word


def number(count: int) -> str:
    """With commas between thousands."""
    return f"{count:,}"


def hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{number(count)} hosts"
