# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible.errors import AnsibleFilterError

from ..module_utils._errors import RosterError
from ..module_utils._roster.difference import difference
from ..module_utils._sources.roster_files import read_roster


def roster_difference(path: Any, before: Any) -> Dict[str, Any]:
    if not isinstance(path, str) or not isinstance(before, str):
        raise AnsibleFilterError("identity.roster.roster_difference compares two roster files: give their paths")
    try:
        return difference(read_roster(before), read_roster(path)).as_dict()
    except RosterError as problem:
        raise AnsibleFilterError(f"identity.roster.roster_difference: {problem}") from problem


class FilterModule:
    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"roster_difference": roster_difference}
