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
        self._by_form: Optional[Dict[str, Set[str]]] = None

    def _forms(self) -> Dict[str, Set[str]]:
        # Only a run that makes or renames something needs them.
        if self._by_form is None:
            self._by_form = {}
            for name in self._names:
                self._by_form.setdefault(folded(name), set()).add(name)
        return self._by_form

    def add(self, name: str) -> None:
        self._forms().setdefault(folded(name), set()).add(name)

    def of(self, name: str, but: Optional[str] = None) -> Optional[str]:
        """A name that differs from this one in letter case only, or None. ``but`` is about to be given up."""
        return min(self._forms().get(folded(name), set()) - {name, but}, default=None)
