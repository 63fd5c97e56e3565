# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ftrack_users' options mean, and what a run tells the console and the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible.module_utils.basic import env_fallback

from .._errors import TargetError
from .._http import check_url, shown_url
from .._reconcile import Policy, Step
from .._roster.text import folded, type_name
from .._targets.ftrack import Ftrack, Options
from .._targets.ftrack_api import FtrackApi
from .._targets.ftrack_plan import Wishes
from .._targets.ftrack_report import change_line, closing_lines, failure_line
from .._targets.service import Service
from .log_file import LogFile
from .service import run_service
from .source import HTTP_OPTIONS, http_settings

OPTIONS: Dict[str, Any] = {
    **HTTP_OPTIONS,
    "server_url": {"type": "str", "required": True, "fallback": (env_fallback, ["FTRACK_SERVER"])},
    "api_user": {"type": "str", "required": True, "fallback": (env_fallback, ["FTRACK_API_USER"])},
    "api_key": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["FTRACK_API_KEY"])},
    "match": {
        "type": "list",
        "elements": "str",
        "choices": ["external_id", "username", "email"],
        "default": ["external_id", "username"],
    },
    "external_id_attribute": {"type": "str"},
    "missing_users": {"type": "str", "choices": ["deactivate", "ignore"], "default": "deactivate"},
    "disabled_users": {"type": "str", "choices": ["deactivate", "ignore"], "default": "deactivate"},
    "reactivate": {"type": "str", "choices": ["ours", "all", "never"], "default": "ours"},
    "manage_groups": {"type": "bool", "default": False},
    "group_mapping": {"type": "dict"},
    "security_roles": {"type": "dict", "default": {}},
    "remove_security_roles": {"type": "bool", "default": False},
    "user_type": {"type": "str"},
    "erase_blank": {"type": "bool", "default": False},
    "send_invites": {"type": "bool", "default": False},
    "batch_size": {"type": "int", "default": 100},
    "log_path": {"type": "path"},
}


class _Telling(Ftrack):
    """Writes each step into the log as it is made, so that a killed run has told what it did."""

    def __init__(self, api: FtrackApi, options: Options, say: Callable[[Sequence[str]], None]) -> None:
        super().__init__(api, options)
        self._say = say

    def report(self, step: Step, problem: Optional[str]) -> None:
        made = change_line(step.action, step.name, step.fields)
        self._say([made if problem is None else failure_line(step.name, problem)])


def run_module() -> None:
    _Run().run()


class _Run:
    def __init__(self) -> None:
        self.log = LogFile(None)
        self.check_mode = False
        self.said: Set[str] = set()
        self.problem: Optional[str] = None

    def run(self) -> None:
        run_service(OPTIONS, self._connect, _details, self._told)

    def _connect(self, params: Mapping[str, Any], check_mode: bool) -> Tuple[Service, str]:
        self.check_mode = check_mode
        self.log = LogFile(params["log_path"], "(check mode)" if check_mode else "")
        options = _options(params)
        check_url(params["server_url"])
        # Queries are POSTs too: which of them are let through in check mode is the API's to say.
        settings = replace(http_settings(params), read_only=False)
        api = FtrackApi(params["server_url"], params["api_user"], params["api_key"], settings, check_mode)
        self._say([f"started: {shown_url(api.url)} as {params['api_user']}"])
        return _Telling(api, options, self._say), shown_url(api.url)

    def _say(self, lines: Sequence[str]) -> None:
        """What the log does not have yet. A disk that is full does not keep anybody's access from being taken away."""
        new = [line for line in lines if line not in self.said]
        self.said.update(new)
        try:
            self.log.write(new)
        except TargetError as problem:
            self.problem = str(problem)

    def _told(self, result: Mapping[str, Any], message: Optional[str]) -> Dict[str, Any]:
        lines = [
            change_line(change["action"], change["name"], change["fields"], self.check_mode)
            for change in result["changes"]
        ]
        lines += [failure_line(failure["name"], failure["reason"]) for failure in result["failures"]]
        lines += closing_lines(result, message)
        self._say(lines)
        return {"report": lines if self.problem is None else [f"ERROR {self.problem}", *lines]}


def _details(service: Optional[Service]) -> Dict[str, Any]:
    return {"requests": service.api.requests if isinstance(service, Ftrack) else 0}


def _options(params: Mapping[str, Any]) -> Options:
    """Raises TargetError."""
    if not 1 <= params["batch_size"] <= 500:
        raise TargetError("batch_size must be 1 to 500")
    match = tuple(dict.fromkeys(params["match"]))
    external_ids = params["external_id_attribute"] is not None
    keys = tuple(name for name in match if name != "external_id" or external_ids)
    if not keys:
        raise TargetError("match leaves nothing to match by: name username or email, or give external_id_attribute")
    policy = Policy(
        keys=keys,
        missing="disable" if params["missing_users"] == "deactivate" else "ignore",
        everybody=params["scope"] == "all",
        disable=params["disabled_users"] == "deactivate",
        enable=params["reactivate"],
        protected=frozenset(folded(name.strip()) for name in params["protected_users"]),
        adopt=frozenset(folded(name.strip()) for name in params["adopt"]),
        banned="deactivated",
    )
    wishes = Wishes(
        external_ids=external_ids,
        match=match,
        user_type=params["user_type"],
        manage_groups=params["manage_groups"],
        groups=_group_mapping(params["group_mapping"]),
        roles=_role_mapping(params["security_roles"]),
        only_roles=params["remove_security_roles"],
        erase=params["erase_blank"],
    )
    return Options(
        policy,
        wishes,
        params["api_user"],
        params["external_id_attribute"],
        params["send_invites"],
        params["batch_size"],
    )


def _group_mapping(given: Optional[Mapping[Any, Any]]) -> Optional[Dict[str, str]]:
    if given is None:
        return None
    for name, target in given.items():
        if not isinstance(target, str) or not target.strip():
            raise TargetError(f"group_mapping of {name!r} is {type_name(target)}, not the name of a group at ftrack")
    return {folded(str(name)): target.strip() for name, target in given.items()}


def _role_mapping(given: Mapping[Any, Any]) -> Dict[str, List[str]]:
    roles = {}
    for name, targets in given.items():
        names = [targets] if isinstance(targets, str) else targets
        if (
            not isinstance(names, list)
            or not names
            or not all(isinstance(each, str) and each.strip() for each in names)
        ):
            raise TargetError(f"security_roles of {name!r} is no list of names of security roles at ftrack")
        roles[str(name)] = [each.strip() for each in names]
    return roles
