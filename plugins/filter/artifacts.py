# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ansible.errors import AnsibleFilterError

from ..module_utils._report.artifacts import TARGETS, describe, run_artifacts


def _run_artifacts(
    variables: Any, target: str, result: str, hosts: List[str], check_mode: bool, roster_digest: Optional[str] = None
) -> Dict[str, Any]:
    if target not in TARGETS:
        raise AnsibleFilterError(f"identity.roster.run_artifacts: the targets are {', '.join(TARGETS)}, not {target!r}")
    results = {host: variables[host].get(result) for host in hosts if host in variables}
    return run_artifacts(target, results, hosts, check_mode, roster_digest)


def _describe_artifacts(artifact: Any) -> List[str]:
    try:
        return describe(artifact)
    except ValueError as problem:
        raise AnsibleFilterError(f"identity.roster.describe_artifacts: {problem}") from problem


class FilterModule:
    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"run_artifacts": _run_artifacts, "describe_artifacts": _describe_artifacts}
