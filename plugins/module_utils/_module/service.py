# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of all services: options in, contract result out. They run on the controller and read the roster here."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._errors import LimitError, RosterError, TargetError
from .._http import REQUESTS_IMPORT_ERROR
from .._limits import read_limits
from .._outcome import Outcome
from .._roster.document import digest, parse, serialise
from .._roster.model import Roster
from .._roster.selection import select
from .._roster.validation import build_from_records
from .._targets.service import Run, Service, run
from .._targets.service_state import StateFile
from .target_options import TARGET_OPTIONS

#: The options of the doc fragment ``service``.
SERVICE_OPTIONS: Dict[str, Any] = {
    "adopt": {"type": "list", "elements": "str", "default": []},
    "scope": {"type": "str", "choices": ["owned", "all"], "default": "owned"},
    "state_path": {"type": "path"},
    "allow_empty": {"type": "bool", "default": False},
}


def run_service(
    options: Mapping[str, Any],
    connect: Callable[[Mapping[str, Any], bool], Tuple[Service, str]],
    details: Callable[[Optional[Service]], Dict[str, Any]],
    told: Optional[Callable[[Mapping[str, Any], Optional[str]], Dict[str, Any]]] = None,
) -> None:
    """Run a service's module. ``options`` is the argument spec of its own options.

    ``connect`` is given the parameters and whether only reading is allowed, and answers with the adapter and the name
    of the target, as its state file has it. ``details`` gives the return values that only this service has. ``told``
    is given the whole result, and the message if that is a failure, and may add to it.
    """
    module = AnsibleModule(
        argument_spec={**TARGET_OPTIONS, **SERVICE_OPTIONS, **options},
        required_one_of=[("roster", "users")],
        mutually_exclusive=[("roster", "users")],
        required_by={"groups": ["users"]},
        supports_check_mode=True,
    )
    params = module.params
    service: Optional[Service] = None
    roster_digest: Optional[str] = None
    if REQUESTS_IMPORT_ERROR:
        module.fail_json(
            msg=missing_required_lib("requests"),
            exception=REQUESTS_IMPORT_ERROR,
            **Outcome().as_result(),
            **details(None),
        )
    try:
        roster, roster_digest = _roster(params)
        service, target = connect(params, module.check_mode)
        outcome = run(
            service,
            StateFile(params["state_path"], target, writes=not module.check_mode),
            _request(params, roster, roster_digest, module.check_mode),
        )
    except LimitError as error:
        message: Optional[str] = str(error)
        result = error.outcome.as_refused()
    except RosterError as error:
        message = str(error)
        result = Outcome(roster_digest=roster_digest).as_result()
    else:
        message = outcome.failure_message()
        result = outcome.as_result()
        for warning in outcome.warnings:
            module.warn(warning)
    result.update(details(service))
    if told is not None:
        result.update(told(result, message))
    if message is not None:
        module.fail_json(msg=message, **result)
    module.exit_json(**result)


def _roster(params: Mapping[str, Any]) -> Tuple[Roster, str]:
    """The roster and its digest. Raises RosterError."""
    if params["roster"] is not None:
        try:
            with open(params["roster"], "rb") as file:
                content = file.read()
        except OSError as problem:
            raise TargetError(f"the roster {params['roster']} can't be read: {problem.strerror}") from None
        roster = parse(content)
    else:
        roster = build_from_records({"kind": "inline"}, _given(params["users"]), _given(params["groups"] or ()))
        content = serialise(roster)
    # A rejected group is nobody.
    somebody = roster.users or any(entry.kind == "user" for entry in roster.rejected)
    if not (somebody or params["allow_empty"]):
        raise TargetError("the roster has nobody at all in it. If that is really so, set allow_empty=true")
    return roster, digest(content)


def _given(records: Sequence[Mapping[str, Any]]) -> Sequence[Dict[str, Any]]:
    """Without the keys that were left out, which Ansible fills in."""
    return [{key: value for key, value in record.items() if value is not None} for record in records]


def _request(params: Mapping[str, Any], roster: Roster, roster_digest: str, check_mode: bool) -> Run:
    selected, warnings = select(
        roster, params["include_groups"], params["exclude_groups"], params["exclude_users"]
    )  # fmt: skip
    if roster.users and not selected.users and not params["allow_empty"]:
        raise TargetError(
            f"include_groups, exclude_groups and exclude_users leave nobody of the roster's {len(roster.users)} users"
            f"{''.join(f'; {warning}' for warning in warnings)}. If that is really so, set allow_empty=true"
        )
    try:
        limits = read_limits(params["limits"])
    except ValueError as problem:
        raise TargetError(f"limits {problem}") from None
    return Run(
        roster=selected,
        roster_digest=roster_digest,
        limits=limits,
        approved=frozenset(params["approve"]),
        require_approval=params["require_approval"],
        check_mode=check_mode,
        workers=params.get("workers", 1),
        attempts=1 + params.get("retries", 0),
        warnings=warnings,
    )
