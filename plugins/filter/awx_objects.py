# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ansible.errors import AnsibleFilterError

from ..module_utils._awx.objects import awx_objects


def _awx_objects(kinds: Any, lists: Any, there: Any) -> List[Dict[str, Any]]:
    try:
        return awx_objects(kinds, lists, there)
    except ValueError as problem:
        raise AnsibleFilterError(f"identity.roster.awx_objects: {problem}") from problem


class FilterModule:
    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"awx_objects": _awx_objects}
