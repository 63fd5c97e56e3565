# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that differ in letter case only. sudo compares names without regard to case (tried: 1.9.13 and 1.9.16), so an
account ``ANSIBLE`` has the rights of ``ansible``, and a group ``SuDo`` those of ``sudo``."""

from __future__ import annotations

from typing import Dict, Iterable, Optional, Set

from .._roster.text import folded


class LookAlikes:
    """The names of a host's users, or of its groups."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names
        #: folded form to the first name that has it, and to the others, which are few
        self._first: Optional[Dict[str, str]] = None
        self._others: Dict[str, Set[str]] = {}

    def _forms(self) -> Dict[str, str]:
        # Only a run that makes or renames something needs them.
        if self._first is None:
            self._first = {}
            for name in self._names:
                self._add(self._first, name)
        return self._first

    def _add(self, forms: Dict[str, str], name: str) -> None:
        form = folded(name)
        # Most names are their own form: one text in memory for both.
        if forms.setdefault(name if form == name else form, name) != name:
            self._others.setdefault(form, set()).add(name)

    def add(self, name: str) -> None:
        self._add(self._forms(), name)

    def of(self, name: str, but: Optional[str] = None) -> Optional[str]:
        """A name that differs from this one in letter case only, or None. ``but`` is about to be given up."""
        form = folded(name)
        first = self._forms().get(form)
        if first is None:
            return None
        return min({first, *self._others.get(form, ())} - {name, but}, default=None)
