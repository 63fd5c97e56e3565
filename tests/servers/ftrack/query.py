# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of ftrack's query language that its own client and this collection use: text in, a tree out.

select id, user_type.name from User where is_active is True and not (username like "a%") order by id offset 0 limit 9
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

COMPARISONS = ("is", "is_not", "=", "!=", ">", ">=", "<", "<=", "like", "not_like", "in", "not_in")
NESTED = ("has", "any")

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<sign>>=|<=|!=|[(),=<>])|(?P<word>[^\s(),"'=<>!]+))""",
    re.DOTALL,
)


class QueryError(Exception):
    """An expression that the server would not understand."""


@dataclass(frozen=True)
class Compare:
    """An attribute (through relations) against a value, or a tuple of values for in and not_in."""

    path: tuple[str, ...]
    operator: str
    value: Any


@dataclass(frozen=True)
class Nested:
    """Some related entity for which a condition holds."""

    path: tuple[str, ...]
    condition: Condition


@dataclass(frozen=True)
class Both:
    left: Condition
    right: Condition


@dataclass(frozen=True)
class Either:
    left: Condition
    right: Condition


@dataclass(frozen=True)
class Not:
    condition: Condition


Condition = Compare | Nested | Both | Either | Not


@dataclass(frozen=True)
class Query:
    entity_type: str
    projections: tuple[tuple[str, ...], ...] = ()
    condition: Condition | None = None
    order: tuple[tuple[tuple[str, ...], bool], ...] = field(default=())
    offset: int = 0
    limit: int | None = None


def parse(expression: str) -> Query:
    """Raises QueryError."""
    return _Parser(_tokens(expression)).query()


def _tokens(expression: str) -> list[tuple[str, str]]:
    """(kind, text) of each: text without its quotes and escapes, sign, word."""
    tokens = []
    position = 0
    expression = expression.rstrip()
    while position < len(expression):
        found = _TOKEN.match(expression, position)
        if found is None:
            raise QueryError(f"Unexpected character at position {position}")
        kind = str(found.lastgroup)
        text = found[kind]
        tokens.append((kind, re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if kind == "text" else text))
        position = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0

    def query(self) -> Query:
        projections: list[tuple[str, ...]] = []
        if self._take("select"):
            projections.append(self._path())
            while self._take(","):
                projections.append(self._path())
            self._expect("from")
        entity_type = self._word()
        condition = self._either() if self._take("where") else None
        order: list[tuple[tuple[str, ...], bool]] = []
        if self._take("order"):
            self._expect("by")
            order.append(self._order())
            while self._take(","):
                order.append(self._order())
        numbers: dict[str, int] = {}
        while self._position < len(self._tokens):
            name = self._word()
            if name not in ("offset", "limit") or name in numbers:
                raise QueryError(f"Unexpected {name!r}")
            numbers[name] = self._number()
        return Query(
            entity_type, tuple(projections), condition, tuple(order), numbers.get("offset", 0), numbers.get("limit")
        )

    def _either(self) -> Condition:
        left = self._both()
        while self._take("or"):
            left = Either(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._single()
        while self._take("and"):
            left = Both(left, self._single())
        return left

    def _single(self) -> Condition:
        if self._take("not"):
            return Not(self._single())
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        path = self._path()
        kind, operator = self._next()
        if kind != "text" and operator in NESTED:
            self._expect("(")
            inner = self._either()
            self._expect(")")
            return Nested(path, inner)
        if kind == "text" or operator not in COMPARISONS:
            raise QueryError(f"Unexpected {operator!r}")
        if operator not in ("in", "not_in"):
            return Compare(path, operator, self._value())
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return Compare(path, operator, tuple(values))

    def _value(self) -> Any:
        kind, text = self._next()
        if kind == "sign":
            raise QueryError(f"Unexpected {text!r}")
        if kind == "text":
            return text
        known = {"none": None, "true": True, "false": False}
        return known.get(text.lower(), text)

    def _order(self) -> tuple[tuple[str, ...], bool]:
        """(path, whether descending)."""
        path = self._path()
        for word, descending in (("asc", False), ("ascending", False), ("desc", True), ("descending", True)):
            if self._take(word):
                return path, descending
        return path, False

    def _path(self) -> tuple[str, ...]:
        return tuple(self._word().split("."))

    def _number(self) -> int:
        text = self._word()
        if not text.isdecimal():
            raise QueryError(f"{text!r} is not a number")
        return int(text)

    def _word(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise QueryError(f"Unexpected {text!r}")
        return text

    def _next(self) -> tuple[str, str]:
        if self._position >= len(self._tokens):
            raise QueryError("Unexpected end")
        token = self._tokens[self._position]
        self._position += 1
        return token

    def _take(self, text: str) -> bool:
        if self._position < len(self._tokens):
            kind, found = self._tokens[self._position]
            if kind != "text" and found == text:
                self._position += 1
                return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise QueryError(f"{text!r} expected")
