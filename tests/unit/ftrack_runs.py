# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the ftrack adapter against the double, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._http import HttpSettings
from ansible_collections.identity.roster.plugins.module_utils._limits import read_limits
from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Policy
from ansible_collections.identity.roster.plugins.module_utils._roster.document import digest, serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build_from_records
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack import Ftrack, Options
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_api import FtrackApi
from ansible_collections.identity.roster.plugins.module_utils._targets.ftrack_plan import Wishes
from ansible_collections.identity.roster.plugins.module_utils._targets.service import Run, run
from ansible_collections.identity.roster.plugins.module_utils._targets.service_state import StateFile
from tests.servers.ftrack.workspace import Workspace

#: Nothing is too much.
GENEROUS = {name: {"count": 10**6} for name in ("disables", "removals", "leavers", "admin_changes", "member_removals")}


def person(name: str, **fields: Any) -> dict[str, Any]:
    """A record of somebody who is enabled."""
    return {"id": f"id-{name}", "username": name, "full_name": f"{name.title()} Muster", "email": f"{name}@int.de",
            "enabled": True, **fields}  # fmt: skip


def roster_of(records: Sequence[Mapping[str, Any]]) -> Roster:
    return build_from_records({"kind": "test"}, records)


def sync(
    workspace: Workspace,
    records: Sequence[Mapping[str, Any]],
    state: Path | None = None,
    *,
    check: bool = False,
    policy: Mapping[str, Any] | None = None,
    wishes: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    timeout: float = 5,
    retries: int = 0,
    **options: Any,
) -> Outcome:
    """``policy``, ``wishes`` and ``options`` are fields of those classes."""
    asked = Wishes(**{"external_ids": "external_id_attribute" in options, **(wishes or {})})
    keys = tuple(name for name in asked.match if name != "external_id" or asked.external_ids)
    api = FtrackApi(
        workspace.url,
        workspace.api_user,
        workspace.api_key,
        HttpSettings(timeout=timeout, retries=retries, read_only=False),
        check,
    )
    service = Ftrack(api, Options(Policy(keys, **(policy or {})), asked, workspace.api_user, **options))
    roster = roster_of(records)
    request = Run(
        roster, digest(serialise(roster)), read_limits(GENEROUS if limits is None else limits), frozenset(), check
    )
    try:
        return run(service, StateFile(str(state) if state else None, workspace.url, writes=not check), request)
    finally:
        api.close()


def actions(outcome: Outcome) -> dict[str, list[str]]:
    """Action to the names, in their order."""
    found: dict[str, list[str]] = {}
    for change in outcome.changes:
        found.setdefault(change.action, []).append(change.name)
    return found
