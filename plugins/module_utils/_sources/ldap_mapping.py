# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which attribute becomes which field of a roster's user. Pure.

A rule is an attribute (``mail``), a template (``"{givenName} {sn}"``, ``"{mail|before_at|lower}"``), or a list of
either: the first that yields something counts. A template of which one attribute is missing yields nothing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

from .._errors import SourceError
from .._roster.text import shown
from .._roster.validation import FieldError
from .ldap_names import parse_dn
from .ldap_values import SECRETS, Values

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*(?:;[A-Za-z0-9-]+)*\Z")
_HOLE = re.compile(r"\{([^{}]*)\}")
_NUMBERS = ("uid", "gid")
#: Another value would make it another account, or another password: several are not chosen from.
_IDENTITY = ("id", "username", "uid", "gid", "password_hash", "external_id")
FIELDS = (
    *("id", "username", "uid", "gid", "full_name", "first_name", "last_name", "email", "shell", "home"),
    *("external_id", "ssh_public_keys", "password_hash", "profile"),
)
#: Letters that have no decomposition, as people write them without accents.
_PLAIN = str.maketrans(
    {
        "ß": "ss",
        "ẞ": "SS",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
    }
)


def to_ascii(text: str) -> str:
    """Letters without their accents; what has no ASCII form is left out."""
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(character for character in plain if character.isascii())


TRANSFORMS: Dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "ascii": to_ascii,
    "before_at": lambda text: text.partition("@")[0],
}


class _Hole:
    """The place of one attribute in a template."""

    def __init__(self, field: str, text: str) -> None:
        name, *transforms = (part.strip() for part in text.split("|"))
        self.attribute = _attribute(field, name)
        for each in transforms:
            if each not in TRANSFORMS:
                known = ", ".join(TRANSFORMS)
                raise SourceError(f"mapping.{field} has the transform {shown(each)!r}; there are {known}")
        self.transforms = [TRANSFORMS[each] for each in transforms]


def _attribute(field: str, name: str) -> str:
    if not _ATTRIBUTE.match(name):
        raise SourceError(
            f"mapping.{field} holds {shown(name)!r}, which is no attribute's name. A text around attributes is a "
            'template, such as "{givenName} {sn}"'
        )
    if name.lower().partition(";")[0] in SECRETS and field != "password_hash":
        raise SourceError(f"mapping.{field} would show {name}: only password_hash may be read from it")
    return name


_Piece = Union[str, _Hole]


class _Choice:
    """One attribute or one template."""

    def __init__(self, field: str, text: str) -> None:
        self.field = field
        self.attribute: Optional[str] = None
        self.pieces: Tuple[_Piece, ...] = ()
        if "{" not in text and "}" not in text:
            self.attribute = _attribute(field, text.strip())
            return
        if field == "password_hash":
            raise SourceError("mapping.password_hash is an attribute or a list of them, no template")
        pieces: List[_Piece] = []
        for number, piece in enumerate(_HOLE.split(text)):
            pieces.append(_Hole(field, piece) if number % 2 else piece)
        literal = "".join(piece for piece in pieces if isinstance(piece, str))
        if "{" in literal or "}" in literal:
            raise SourceError(f"mapping.{field} has a brace too many or too few: {shown(text)!r}")
        self.pieces = tuple(pieces)

    def attributes(self) -> Set[str]:
        if self.attribute is not None:
            return {self.attribute}
        return {piece.attribute for piece in self.pieces if isinstance(piece, _Hole)}

    def value(self, values: Values) -> Optional[str]:
        """Raises ValueError."""
        if self.attribute is not None:
            return _single(self.field, self.attribute, values)
        text = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                text += piece
                continue
            part = _single(self.field, piece.attribute, values)
            for transform in piece.transforms:
                part = transform(part) if part else part
            if not part:
                return None
            text += part
        return text.strip() or None


def _single(field: str, attribute: str, values: Values) -> Optional[str]:
    """The value of an attribute that should have one: a directory promises no order among several."""
    texts = values.texts(attribute)
    if len(texts) < 2:
        return texts[0] if texts else None
    named = _in_name(attribute, values)
    if named in texts:
        return named
    if field in _IDENTITY:
        raise ValueError(
            f"comes from {attribute}, which has {len(texts)} values; name another attribute, or remove one"
        )
    return min(texts)


def _in_name(attribute: str, values: Values) -> Optional[str]:
    """The value that the entry's own name gives the attribute."""
    try:
        parts = parse_dn(values.entry.dn)
    except ValueError:
        return None
    wanted = attribute.lower()
    return next((value for kind, value in parts[0] if kind == wanted), None) if parts else None


class Rule:
    """How one field is read."""

    def __init__(self, field: str, given: Any) -> None:
        texts = given if isinstance(given, (list, tuple)) else [given]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise SourceError(f"mapping.{field} is not an attribute, a template, or a list of them")
        self.field = field
        self.choices = tuple(_Choice(field, text) for text in texts)

    def attributes(self) -> Set[str]:
        return set().union(*(choice.attributes() for choice in self.choices))

    def without(self, unknown: Set[str]) -> Optional[Rule]:
        """The rule with only the choices that need no unknown attribute, or None."""
        kept = tuple(each for each in self.choices if not {name.lower() for name in each.attributes()} & unknown)
        if not kept:
            return None
        rule = Rule.__new__(Rule)
        rule.field, rule.choices = self.field, kept
        return rule

    def value(self, values: Values) -> Optional[str]:
        """Raises ValueError."""
        for choice in self.choices:
            value = choice.value(values)
            if value:
                return value
        return None

    def all_values(self, values: Values) -> List[str]:
        """Every value of the first choice that has any, for a field that is a list. Raises ValueError."""
        for choice in self.choices:
            if choice.attribute is None:
                text = choice.value(values)
                found = [text] if text else []
            else:
                found = values.texts(choice.attribute)
            if found:
                return found
        return []


class UserMapping:
    """All rules. ``given`` overrides ``defaults`` field by field; an empty text takes a field out."""

    def __init__(self, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        unknown = sorted(shown(field) for field in given if field not in FIELDS)
        if unknown:
            raise SourceError(f"mapping has no field {', '.join(unknown)}; the fields are {', '.join(FIELDS)}")
        self.rules: Dict[str, Rule] = {}
        self.profile: Dict[str, Rule] = {}
        #: Fields that the user named: their attributes must exist.
        self._given: Set[str] = set()
        for field in FIELDS:
            rule = given.get(field, defaults.get(field))
            if rule is None or rule == "":
                continue
            if field in given:
                self._given.add(field)
            if field == "profile":
                self._add_profile(rule)
            else:
                self.rules[field] = Rule(field, rule)
        for field in ("id", "username"):
            if field not in self.rules:
                raise SourceError(f"mapping.{field} is missing: nobody could be recognised")

    def _add_profile(self, given: Any) -> None:
        if not isinstance(given, Mapping) or not all(isinstance(key, str) and key.strip() for key in given):
            raise SourceError("mapping.profile is not a mapping of profile fields to attributes or templates")
        self.profile = {key: Rule(f"profile.{key}", rule) for key, rule in given.items()}

    def _all(self) -> List[Rule]:
        return [*self.rules.values(), *self.profile.values()]

    def attributes(self) -> Set[str]:
        return set().union(*(rule.attributes() for rule in self._all()))

    def restrict(self, known: Callable[[str], bool]) -> None:
        """Hold the rules against what the directory's schema knows. Raises SourceError for an attribute that the user
        named; what a preset names is left out instead."""
        missing = []
        for field, rule in [*self.rules.items(), *(("profile", rule) for rule in self.profile.values())]:
            unknown = sorted(name for name in rule.attributes() if not known(name))
            if field in self._given:
                missing += [f"{name} (in mapping.{rule.field})" for name in unknown]
            elif unknown:
                kept = rule.without({name.lower() for name in unknown})
                if kept is None:
                    if field in ("id", "username"):
                        missing += [f"{name} (for {field}, by the preset)" for name in unknown]
                    del self.rules[field]
                else:
                    self.rules[field] = kept
        if missing:
            raise SourceError(f"the directory's schema has no attribute {', '.join(missing)}: look at the spelling")

    def record(self, values: Values) -> Dict[str, Any]:
        """The fields of one user that the entry says something about. Raises FieldError."""
        fields: Dict[str, Any] = {}
        for field, rule in self.rules.items():
            try:
                value = _read(field, rule, values)
            except ValueError as problem:
                raise FieldError(field, str(problem)) from None
            if value is not None:
                fields[field] = value
        profile = {}
        for key, rule in self.profile.items():
            try:
                text = rule.value(values)
            except ValueError as problem:
                raise FieldError("profile", f"{shown(key)}: {problem}") from None
            if text is not None:
                profile[key] = text
        if self.profile:
            fields["profile"] = profile
        return fields


def _read(field: str, rule: Rule, values: Values) -> Any:
    if field == "password_hash":
        return _password_hash(rule, values)
    if field == "ssh_public_keys":
        return rule.all_values(values)
    text = rule.value(values)
    if text is None or field not in _NUMBERS:
        return text
    if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
        raise ValueError("is not a decimal number")
    return int(text)


def _password_hash(rule: Rule, values: Values) -> Optional[str]:
    """What stands after {CRYPT}; any other scheme, and a password in clear text, is no hash that Linux knows."""
    found: Sequence[str] = ()
    for choice in rule.choices:
        raw = values.raw(choice.attribute or "")
        texts = [each[7:].decode("ascii", "replace").strip() for each in raw if each[:7].upper() == b"{CRYPT}"]
        found = sorted({text for text in texts if text})
        if found:
            break
    if len(found) > 1:
        raise ValueError(f"has {len(found)} values with {{CRYPT}}, and which one counts is not known")
    return found[0] if found else None
