# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of linux_snapshot: options in, contract result out."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule

from .._errors import RosterError, TargetError
from .._linux.snapshots import Run, list_runs, run_id_problem
from .._linux.undo_engine import Request, Result, state_of, undo_run
from .._roster.posix import path_problem
from .connected import protected_users


def run_module(module: AnsibleModule) -> None:
    """Ends the module, always with the contract's keys."""
    params = module.params
    runs: List[Run] = []
    result = Result()
    try:
        root = _root(params)
        state = state_of(root, params["state_dir"])
        if params["state"] == "restored":
            result = undo_run(_request(params, root, module.check_mode))
        runs = list_runs(state)
    except RosterError as error:
        module.fail_json(msg=str(error), **_contract(params, Result(), runs))
        return
    for run in runs:
        if run.time is None:
            module.warn(f"the snapshot of the run {run.run_id} is damaged, so it can't be undone")
    contract = _contract(params, result, runs)
    message = result.outcome.failure_message("undone")
    if message is not None:
        module.fail_json(msg=message, **contract)
    module.exit_json(**contract)


def _root(params: Dict[str, Any]) -> str:
    root: str = os.path.abspath(params["root"])
    if not os.path.isdir(root):
        raise TargetError(f"root {params['root']} is not a directory")
    problem = path_problem(params["state_dir"])
    if problem:
        raise TargetError(f"state_dir {problem}")
    return root


def _request(params: Dict[str, Any], root: str, check_mode: bool) -> Request:
    told = params["_controller"]
    if told is None:
        raise TargetError("linux_snapshot ran without its action plugin, which knows who Ansible is connected as")
    problem = run_id_problem(params["run_id"])
    if problem:
        raise TargetError(f"run_id {params['run_id']!r} {problem}")
    protected = protected_users(params["protected_users"], told.get("connected_user"))
    own = own_run_id(params["run_id"])
    return Request(root, params["state_dir"], params["run_id"], own, protected, check_mode)


def own_run_id(run_id: str) -> str:
    """What the undo of a run is called, the same on every host, so that it can be undone everywhere as well."""
    own = f"undo-{run_id}"
    return own if run_id_problem(own) is None else "undo-" + hashlib.sha256(run_id.encode()).hexdigest()[:16]


def _contract(params: Dict[str, Any], result: Result, runs: List[Run]) -> Dict[str, Any]:
    restoring = params["state"] == "restored"
    return {
        **result.outcome.as_result(),
        "found": result.found if restoring else None,
        "run_id": own_run_id(params["run_id"]) if restoring else None,
        "kept": [entry.as_dict() for entry in result.kept],
        "homes_left": [entry.as_dict() for entry in result.homes_left],
        "snapshots": [_shown(run) for run in runs],
    }


def _shown(run: Run) -> Dict[str, Any]:
    return {
        "run_id": run.run_id,
        "time": _iso(run.time),
        "changes": dict(run.counts),
        "files": list(run.files),
        "damaged": run.time is None,
    }


def _iso(time: Optional[float]) -> Optional[str]:
    try:
        return None if time is None else datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
