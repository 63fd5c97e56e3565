# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of all sources: options in, the roster file and the result out.

The only place where a source's module exits, and where check mode is known. The result has the same keys on every path.
"""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._errors import DocumentError, RosterError
from .._http import REQUESTS_IMPORT_ERROR, HttpSettings
from .._roster.difference import Difference, difference
from .._roster.document import digest, parse, serialise
from .._roster.model import Roster
from .._sources.ids import DERIVE, SOURCE, IdSettings
from .._sources.reading import Reading
from .private_file import write_private

#: The options of the doc fragment ``source``.
SOURCE_OPTIONS: Dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "allow_empty": {"type": "bool", "default": False},
}
#: The options of the doc fragment ``connection``.
HTTP_OPTIONS: Dict[str, Any] = {
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 30},
    "retries": {"type": "int", "default": 2},
}
#: The options of the doc fragment ``ids``.
ID_OPTIONS: Dict[str, Any] = {
    "uid_policy": {"type": "str", "choices": [SOURCE, DERIVE], "default": SOURCE},
    "gid_policy": {"type": "str", "choices": [SOURCE, DERIVE], "default": SOURCE},
    "uid_range": {"type": "list", "elements": "int", "default": list(IdSettings.uid_range)},
    "gid_range": {"type": "list", "elements": "int", "default": list(IdSettings.gid_range)},
}


def http_settings(options: Mapping[str, Any]) -> HttpSettings:
    """What the options of the fragment ``connection`` say. Raises RosterError."""
    if options["timeout"] < 1:
        raise RosterError("timeout must be 1 second or more")
    if not 0 <= options["retries"] <= 10:
        raise RosterError("retries must be 0 to 10")
    return HttpSettings(
        validate_certs=options["validate_certs"],
        ca_path=options["ca_path"],
        timeout=options["timeout"],
        retries=options["retries"],
    )


def id_settings(options: Mapping[str, Any]) -> IdSettings:
    """What the options of the fragment ``ids`` say. Raises RosterError."""
    settings = IdSettings(
        uid_policy=options["uid_policy"],
        gid_policy=options["gid_policy"],
        uid_range=tuple(options["uid_range"]),
        gid_range=tuple(options["gid_range"]),
    )
    settings.check()
    return settings


def run_source(
    options: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], Reading],
    details: Mapping[str, Any],
    needs_requests: bool = False,
    imports: Optional[Mapping[str, Optional[str]]] = None,
) -> None:
    """Run a source's module: ``read`` is given the parameters and answers with a Reading or raises RosterError.

    ``options`` is the argument spec of the source's own options; those of the fragment ``source`` are added.
    ``details`` holds the return values that only this source has, as they are when nothing was read.
    ``imports``: libraries that it needs, each with what its import ended with, or None if it is there.
    """
    module = AnsibleModule(argument_spec={**SOURCE_OPTIONS, **options}, supports_check_mode=True)
    result: Dict[str, Any] = {
        "changed": False,
        "dest": module.params["dest"],
        "counts": _counts(None),
        "roster_digest": None,
        "rejected": [],
        "difference": None,
        "fetched_at": None,
        **details,
    }
    for library, problem_of_import in (imports or {}).items():
        if problem_of_import:
            module.fail_json(msg=missing_required_lib(library), exception=problem_of_import, **result)
    if needs_requests and REQUESTS_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR, **result)
    try:
        reading = read(module.params)
        content = serialise(reading.roster)
        result.update(
            counts=_counts(reading),
            roster_digest=digest(content),
            rejected=[entry.as_dict() for entry in reading.roster.rejected],
            difference=_difference(module.params["dest"], content, reading.roster),
            fetched_at=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **reading.details,
        )
        result["changed"] = write_private(module.params["dest"], content, module.check_mode)
    except RosterError as problem:
        module.fail_json(msg=str(problem), **result)
    for warning in reading.warnings:
        module.warn(warning)
    module.exit_json(**result)


def _difference(path: str, content: bytes, roster: Roster) -> Optional[Dict[str, Any]]:
    """What is another than in the roster that is still at ``path``; None when there is none that can be read."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as file:
            before = file.read()
        return (Difference() if before == content else difference(parse(before), roster)).as_dict()
    except (OSError, DocumentError):
        return None


def _counts(reading: Optional[Reading]) -> Dict[str, int]:
    roster = reading.roster if reading else None
    users = roster.users if roster else ()
    return {
        "records": reading.records if reading else 0,
        "users": len(users),
        "groups": len(roster.groups) if roster else 0,
        "rejected": len(roster.rejected) if roster else 0,
        "enabled": sum(user.enabled is True for user in users),
        "disabled": sum(user.enabled is False for user in users),
        "admins": sum(user.admin is True for user in users),
    }
