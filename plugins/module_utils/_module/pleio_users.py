# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pleio_users' options mean."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, Mapping, Optional, Tuple

from ansible.module_utils.basic import env_fallback

from .._errors import TargetError
from .._http import HttpSession
from .._reconcile import Policy
from .._roster.text import folded
from .._targets.pleio import Options, Pleio
from .._targets.pleio_log import RunLog
from .._targets.pleio_plan import Settings
from .._targets.pleio_site import LARGEST_PAGE, SMALLEST_PAGE, PleioSite, api_url
from .._targets.pleio_values import group_mapping
from .._targets.service import Service
from .service import run_service
from .source import HTTP_OPTIONS, http_settings

OPTIONS: Dict[str, Any] = {
    **HTTP_OPTIONS,
    "url": {"type": "str", "required": True},
    "api_secret": {
        "type": "str",
        "no_log": True,
        "fallback": (env_fallback, ["PLEIO_API_SECRET", "API_SECRET"]),
    },
    "missing_users": {"type": "str", "choices": ["ban", "delete", "ignore"], "default": "ban"},
    "disabled_users": {"type": "str", "choices": ["ban", "ignore"], "default": "ban"},
    "unban": {"type": "str", "choices": ["ours", "all", "never"], "default": "ours"},
    "match": {
        "type": "list",
        "elements": "str",
        "choices": ["external_id", "email"],
        "default": ["external_id", "email"],
    },
    "avatars": {"type": "bool", "default": True},
    "group_guids": {"type": "dict", "default": {}},
    "workers": {"type": "int", "default": 4},
    "page_size": {"type": "int", "default": 200},
    "upload_log": {"type": "bool", "default": True},
}
_MISSING = {"ban": "disable", "delete": "remove", "ignore": "ignore"}


def run_module() -> None:
    run_service(OPTIONS, _connect, _details)


def _connect(params: Mapping[str, Any], check_mode: bool) -> Tuple[Service, str]:
    url = api_url(params["url"])
    secret = params["api_secret"] or ""
    if not secret:
        raise TargetError("there is no api_secret: give it as an option or in the environment as PLEIO_API_SECRET")
    if not re.fullmatch(r"[!-~]+", secret):
        raise TargetError("the api_secret holds a space, a line break or a letter outside ASCII: it is copied wrongly")
    for name, lowest, highest in (("workers", 1, 32), ("page_size", SMALLEST_PAGE, LARGEST_PAGE)):
        if not lowest <= params[name] <= highest:
            raise TargetError(f"{name} must be {lowest} to {highest}")
    try:
        groups = group_mapping(params["group_guids"])
    except ValueError as problem:
        raise TargetError(str(problem)) from None
    keys = tuple(dict.fromkeys(params["match"]))
    if not keys:
        raise TargetError("match is empty: name external_id, email or both")
    settings = replace(http_settings(params), read_only=check_mode, connections=params["workers"])
    site = PleioSite(HttpSession(settings, {"Authorization": f"Bearer {secret}"}), url, params["page_size"])
    policy = Policy(
        keys=keys,
        missing=_MISSING[params["missing_users"]],
        everybody=params["scope"] == "all",
        disable=params["disabled_users"] == "ban",
        enable=params["unban"],
        protected=frozenset(folded(name.strip()) for name in params["protected_users"]),
        adopt=frozenset(folded(name.strip()) for name in params["adopt"]),
        banned="banned",
    )
    log = RunLog(site.log if params["upload_log"] and not check_mode else None)
    stateful = params["state_path"] is not None
    return Pleio(site, log, Options(policy, Settings(groups, params["avatars"], stateful))), url


def _details(service: Optional[Service]) -> Dict[str, Any]:
    log = service.run_log if isinstance(service, Pleio) else RunLog(None)
    return {"log": log.lines, "log_uuid": log.uuid}
