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
from .._outcome import DONE, Outcome
from .._roster.document import digest, parse, serialise
from .._roster.model import Roster
from .._roster.selection import select
from .._roster.validation import build_from_records
from .._targets.service import Run, Service, run
from .._targets.service_state import StateFile

#: The options of the doc fragment ``target``.
TARGET_OPTIONS: Dict[str, Any] = {
    "roster": {"type": "path"},
    "users": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "str"},
            "username": {"type": "str"},
            "uid": {"type": "int"},
            "gid": {"type": "int"},
            "full_name": {"type": "str"},
            "first_name": {"type": "str"},
            "last_name": {"type": "str"},
            "email": {"type": "str"},
            "enabled": {"type": "bool"},
            "admin": {"type": "bool"},
            "password_hash": {"type": "str", "no_log": True},
            "groups": {"type": "list", "elements": "str"},
            "shell": {"type": "str"},
            "home": {"type": "str"},
            "ssh_public_keys": {"type": "list", "elements": "str", "no_log": False},
            "external_id": {"type": "str"},
            "avatar": {"type": "dict"},
            "profile": {"type": "dict"},
        },
    },
    "groups": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "gid": {"type": "int"},
            "description": {"type": "str"},
        },
    },
    "include_groups": {"type": "list", "elements": "str", "default": []},
    "exclude_groups": {"type": "list", "elements": "str", "default": []},
    "exclude_users": {"type": "list", "elements": "str", "default": []},
    "protected_users": {"type": "list", "elements": "str", "default": []},
    "limits": {"type": "dict", "default": {}},
    "approve": {"type": "list", "elements": "str", "default": []},
}
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
        result = _refused(error.outcome)
    except RosterError as error:
        message = str(error)
        result = Outcome(roster_digest=roster_digest).as_result()
    else:
        message = _failures(outcome)
        result = outcome.as_result()
        for warning in outcome.warnings:
            module.warn(warning)
    result.update(details(service))
    if told is not None:
        result.update(told(result, message))
    if message is not None:
        module.fail_json(msg=message, **result)
    module.exit_json(**result)


def _failures(outcome: Outcome) -> Optional[str]:
    if not outcome.failed:
        return None
    shown = "; ".join(f"{failure.name}: {failure.reason}" for failure in outcome.failed[:5])
    more = f"; and {len(outcome.failed) - 5} more in failures" if len(outcome.failed) > 5 else ""
    return f"{len(outcome.failed)} records could not be applied; the others were. {shown}{more}"


def _refused(outcome: Outcome) -> Dict[str, Any]:
    """Nothing was written: what was planned shows under refused, so that no log takes it for done."""
    result = outcome.as_result()
    summary = {name: 0 if name in DONE else count for name, count in result["summary"].items()}
    result.update(
        refused=result["changes"], changed=False, changes=[], summary=summary, diff={"before": "", "after": ""}
    )
    return result


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
        check_mode=check_mode,
        workers=params.get("workers", 1),
        attempts=1 + params.get("retries", 0),
        warnings=warnings,
    )
