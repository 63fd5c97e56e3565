# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of ca_certificates: options in, contract result out."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Set

from ansible.module_utils.basic import AnsibleModule

from .._errors import RosterError, TargetError
from .._linux.ca_engine import Request, run
from .._linux.ca_store import Wanted, certificates_in, name_problem
from .._outcome import Outcome
from .._roster.posix import path_problem

_COUNTED_AS = {"create": "created", "adopt": "updated", "update": "updated", "remove": "removed"}


def run_module(module: AnsibleModule) -> None:
    """Ends the module, always with the same keys."""
    try:
        outcome = run(_request(module.params, module.check_mode))
    except RosterError as error:
        module.fail_json(msg=str(error), **_result(Outcome()))
        return
    for warning in outcome.warnings:
        module.warn(warning)
    if outcome.failed:
        shown = "; ".join(f"{failure.name}: {failure.reason}" for failure in outcome.failed[:3])
        more = f"; and {len(outcome.failed) - 3} more in failures" if len(outcome.failed) > 3 else ""
        module.fail_json(
            msg=f"{len(outcome.failed)} changes could not be made. {shown}{more}",
            **_result(outcome),
        )
    module.exit_json(**_result(outcome))


def _result(outcome: Outcome) -> Dict[str, Any]:
    result = outcome.as_result()
    counts = dict.fromkeys(("created", "updated", "removed"), 0)
    for change in outcome.changes:
        counts[_COUNTED_AS[change.action]] += 1
    counts.update(unchanged=outcome.unchanged, rejected=len(outcome.rejected), failed=len(outcome.failed))
    result["summary"] = counts
    for key in ("pending", "roster_digest"):  # of accounts and rosters only
        del result[key]
    return result


def _request(params: Dict[str, Any], check_mode: bool) -> Request:
    root = os.path.abspath(params["root"])
    if not os.path.isdir(root):
        raise TargetError(f"root {params['root']} is not a directory")
    problem = path_problem(params["state_dir"])
    if problem:
        raise TargetError(f"state_dir {problem}")
    wanted: List[Wanted] = []
    incomplete: Set[str] = set()
    for entry in params["certificates"]:
        problem = name_problem(entry["name"])
        if problem:
            raise TargetError(f"the name {entry['name']!r} {problem}")
        if not entry["content"]:  # the controller could not use it, and says so in rejected
            incomplete.add(entry["name"])
            continue
        found = list(certificates_in(entry["content"].encode("utf-8", "surrogateescape")))
        if len(found) != 1:
            raise TargetError(f"{entry['name']} holds {len(found)} certificates; each has to come alone")
        wanted.append(Wanted(entry["name"], found[0]))
    return Request(
        root=root,
        state_directory=params["state_dir"],
        wanted=wanted,
        incomplete=frozenset(incomplete),
        purge=params["purge"],
        family=params["family"],
        check_mode=check_mode,
    )
