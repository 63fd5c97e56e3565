# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is disabled, by the marks that directories have for it. Pure.

Sources: MS-ADTS 2.2.16 (userAccountControl), draft-behera-ldap-password-policy-10 5.3.3 (pwdAccountLockedTime),
shadow(5) and pam_unix (shadowExpire), 389 Directory Server (nsAccountLock), FreeIPA (krbPrincipalExpiration).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, Sequence, Set

from .._errors import SourceError
from .._roster.text import folded, shown
from .._roster.validation import FieldError
from .ldap_values import Values, filetime, generalised_time

_ACCOUNTDISABLE = 0x2
#: The administrator's lock; other times are locks after wrong passwords, which end by themselves and stay written.
_LOCKED_FOR_GOOD = "000001010000Z"
_NO_LOGIN = ("nologin", "false")


def _by_control(values: Values, now: datetime) -> bool:
    number = values.number("userAccountControl")
    if number is None:
        raise ValueError("is not known, since userAccountControl is missing: let bind_dn read it")
    return bool(number & _ACCOUNTDISABLE)


def _by_expiry(values: Values, now: datetime) -> bool:
    number = values.number("accountExpires")
    when = None if number is None else filetime(number)
    return when is not None and when <= now


def _by_lock(values: Values, now: datetime) -> bool:
    return any(folded(text) == "true" for text in values.texts("nsAccountLock"))


def _by_locked_time(values: Values, now: datetime) -> bool:
    return _LOCKED_FOR_GOOD in values.texts("pwdAccountLockedTime")


def _by_shadow(values: Values, now: datetime) -> bool:
    days = values.number("shadowExpire")
    return days is not None and 0 <= days <= (now - datetime(1970, 1, 1, tzinfo=timezone.utc)).days


def _by_shell(values: Values, now: datetime) -> bool:
    return any(shell.rpartition("/")[2] in _NO_LOGIN for shell in values.texts("loginShell"))


def _by_principal(values: Values, now: datetime) -> bool:
    text = values.text("krbPrincipalExpiration")
    return text is not None and generalised_time(text) <= now


#: Attribute to its rule: (an entry's values, the time now) -> disabled. Raises ValueError.
MARKS: Dict[str, Callable[[Values, datetime], bool]] = {
    "userAccountControl": _by_control,
    "accountExpires": _by_expiry,
    "nsAccountLock": _by_lock,
    "pwdAccountLockedTime": _by_locked_time,
    "shadowExpire": _by_shadow,
    "loginShell": _by_shell,
    "krbPrincipalExpiration": _by_principal,
}
_KEYS = {"attribute", "values", "filter"}


class DisabledRule:
    """The option ``disabled``: names of marks, ``{attribute, values}``, ``{filter}``. One that applies is enough."""

    def __init__(self, rules: Sequence[Any], now: datetime) -> None:
        self._now = now
        self.marks: List[str] = []
        self._values: Dict[str, Set[str]] = {}
        self.filters: List[str] = []
        names = {name.lower(): name for name in MARKS}
        for rule in rules:
            if isinstance(rule, str) and rule.lower() in names:
                self.marks.append(names[rule.lower()])
            elif isinstance(rule, Mapping) and rule and set(rule) <= _KEYS:
                self._add(rule)
            else:
                text = shown(rule) if isinstance(rule, str) else "an entry"
                raise SourceError(
                    f"disabled holds {text!r}, which is neither one of {', '.join(MARKS)} "
                    "nor a mapping of attribute and values, or of filter"
                )

    def _add(self, rule: Mapping[str, Any]) -> None:
        attribute, values, condition = (rule.get(key) for key in ("attribute", "values", "filter"))
        if isinstance(condition, str) and condition.strip() and len(rule) == 1:
            self.filters.append(condition.strip())
            return
        values = [values] if isinstance(values, (str, int)) else values or []
        if not isinstance(attribute, str) or condition is not None or not isinstance(values, (list, tuple)):
            raise SourceError("disabled has an entry that is neither attribute with values nor filter alone")
        self._values.setdefault(attribute, set()).update(folded(str(value).strip()) for value in values)

    def attributes(self) -> Set[str]:
        return {*self.marks, *self._values}

    def restrict(self, known: Callable[[str], bool], named: bool) -> None:
        """Hold the rules against the schema: an unknown attribute is an error when the user ``named`` it."""
        unknown = sorted(name for name in self.attributes() if not known(name))
        if unknown and named:
            raise SourceError(f"the directory's schema has no attribute {', '.join(unknown)}, which disabled names")
        self.marks = [name for name in self.marks if name not in unknown]

    def applies(self, values: Values) -> bool:
        """Whether a rule but a filter's says that this person is disabled. Raises FieldError."""
        try:
            # All are asked, so that one that can't be read is told whatever the others say.
            marked = [MARKS[name](values, self._now) for name in self.marks]
            return any(marked) or any(self._matches(values, *pair) for pair in self._values.items())
        except ValueError as problem:
            raise FieldError("enabled", str(problem)) from None

    @staticmethod
    def _matches(values: Values, attribute: str, wanted: Set[str]) -> bool:
        found = values.texts(attribute)
        return any(folded(text) in wanted for text in found) if wanted else bool(found)
