# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of linux_accounts: options in, contract result out."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Callable, Dict, FrozenSet, List, Optional

from ansible.module_utils.basic import AnsibleModule

from .._errors import LimitError, RosterError, TargetError
from .._limits import read_limits
from .._linux.distribution import default_admin_group
from .._linux.draft import Options
from .._linux.engine import Request, RosterNeeded, run, without_collection
from .._linux.snapshots import run_id_problem
from .._outcome import Outcome
from .._roster.posix import path_problem
from .connected import protected_users

#: Counts with everything else that shapes a plan: a host that was brought in line by other rules is looked at anew.
RULES = "0.1.0"
#: Options that do not count. What was approved changes from run to run, and no plan with it.
_NOT_SHAPING = ("roster", "_controller", "run_id", "snapshot_count", "snapshot_days", "approve", "require_approval")
#: The run that disables an account is never the one that removes it, and neither is one right after it.
_LEAST = {"remove_after": 1, "snapshot_count": 0, "snapshot_days": 1}


def run_module(module: AnsibleModule) -> None:
    """Ends the module, always with the contract's keys."""
    with without_collection():
        _run(module, module.params)


def _run(module: AnsibleModule, params: Dict[str, Any]) -> None:
    try:
        request = _request(params, module.check_mode)
        outcome = run(request)
    except RosterNeeded:
        module.exit_json(changed=False, _roster_needed=True)
        return
    except LimitError as error:
        module.fail_json(msg=str(error), **error.outcome.as_refused(), run_id=_run_id(params))
        return
    except RosterError as error:
        outcome = Outcome(roster_digest=_told(params).get("roster_digest"))
        module.fail_json(msg=str(error), **outcome.as_result(), run_id=_run_id(params))
        return
    result = {**outcome.as_result(), "run_id": request.run_id}
    for warning in outcome.warnings:
        module.warn(warning)
    message = outcome.failure_message()
    if message is not None:
        module.fail_json(msg=message, **result)
    module.exit_json(**result)


def _told(params: Dict[str, Any]) -> Dict[str, Any]:
    """What the action plugin says: roster_digest, connected_user, run_id, today, and sent_digest once the roster is
    sent."""
    return params["_controller"] or {}


def _request(params: Dict[str, Any], check_mode: bool) -> Request:
    if params["_controller"] is None:
        raise TargetError("linux_accounts ran without its action plugin, which reads the roster on the controller")
    root = os.path.abspath(params["root"])
    if not os.path.isdir(root):
        raise TargetError(f"root {params['root']} is not a directory")
    for name in ("home_base", "state_dir"):
        problem = path_problem(params[name])
        if problem:
            raise TargetError(f"{name} {problem}")
    content = None
    if params["roster"] is not None:
        content = _take(params["roster"])
    try:
        limits = read_limits(params["limits"])
    except ValueError as problem:
        raise TargetError(f"limits {problem}") from None
    for name, least in _LEAST.items():
        if params[name] < least:
            raise TargetError(f"{name} is {params[name]}, and must be {least} at least")
    run_id = _run_id(params) or ""
    unfit = run_id_problem(run_id)
    if unfit:
        raise TargetError(f"run_id {run_id!r} {unfit}")
    options = _options(params, root)
    shaping = {key: value for key, value in params.items() if key not in _NOT_SHAPING}
    shaping.update(rules=RULES, protected=options.protected, shell=options.default_shell, admins=options.admin_group)
    text = json.dumps(shaping, sort_keys=True, default=str)
    return Request(
        root=root,
        state_directory=params["state_dir"],
        options=options,
        options_digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        roster_digest=_told(params)["roster_digest"],
        sent_digest=_told(params).get("sent_digest"),
        roster=content,
        check_mode=check_mode,
        limits=limits,
        approved=frozenset(params["approve"]),
        require_approval=params["require_approval"],
        run_id=run_id,
        today=_told(params).get("today"),
        snapshot_count=params["snapshot_count"],
        snapshot_days=params["snapshot_days"],
    )


def _run_id(params: Dict[str, Any]) -> Optional[str]:
    given: Optional[str] = params["run_id"] or _told(params).get("run_id")
    return given


def _take(path: str) -> Callable[[], bytes]:
    """Read the roster that was sent, and leave no copy of its hashes behind: the file has no name any more, and goes
    when this process ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        os.unlink(path)
    except OSError as problem:
        raise TargetError(f"the roster that was sent to {path} can't be read: {problem.strerror}") from None

    def read() -> bytes:
        try:
            with open(descriptor, "rb", closefd=False) as file:
                file.seek(0)
                return file.read()
        except OSError as problem:
            raise TargetError(f"the roster that was sent to {path} can't be read: {problem.strerror}") from None

    return read


def _options(params: Dict[str, Any], root: str) -> Options:
    shell = params["default_shell"]
    if shell is None:
        shell = "/bin/bash" if os.path.lexists(os.path.join(root, "bin/bash")) else "/bin/sh"
    elif path_problem(shell):
        raise TargetError(f"default_shell {path_problem(shell)}")
    elif not os.path.lexists(os.path.join(root, shell.lstrip("/"))):
        raise TargetError(f"default_shell {shell} does not exist on this host; new users could not log in")
    admin_group = params["admin_group"]
    if admin_group is None:
        admin_group = default_admin_group(root)
    return Options(
        admin_group=admin_group,
        default_shell=shell,
        home_base=params["home_base"],
        missing_users=params["missing_users"],
        remove_after=params["remove_after"],
        removed_homes=params["removed_homes"],
        archives=params["state_dir"].rstrip("/") + "/archives",
        move_homes=params["move_homes"],
        end_sessions=params["end_sessions"],
        authorized_keys=params["authorized_keys"],
        require_admin=params["require_admin"],
        protected_groups=_protected_groups(params["protected_groups"], admin_group),
        update_password=params["update_password"],
        create_homes=params["create_homes"],
        allow_unicode_names=params["allow_unicode_names"],
        adopt=frozenset(params["adopt"]),
        protected=protected_users(params["protected_users"], _told(params).get("connected_user")),
    )


def _protected_groups(names: List[str], admin_group: str) -> FrozenSet[str]:
    if admin_group in names:
        raise TargetError(
            f"protected_groups names {admin_group!r}, the admin group. An empty admin_group leaves admin rights alone"
        )
    return frozenset(names)
