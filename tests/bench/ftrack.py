# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ftrack_users against ftrack's own client doing the same: 1,000 users into the double, then nothing to do."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._roster.document import serialise
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build_from_records
from tests.playbook.run import run_playbook
from tests.servers.ftrack.client import official
from tests.servers.ftrack.workspace import Workspace

USERS = 1000
MODULE = "identity.roster.ftrack_users"
_FIELDS = ("username", "email", "first_name", "last_name")

Record = dict[str, str]
Sync = Callable[[Workspace, list[Record]], None]


def measure() -> str:
    """Requests and seconds of each, as a table. The module's seconds are those of its task in a playbook."""
    records = [
        {"username": f"user{n:04}", "email": f"user{n:04}@int.de", "first_name": f"First{n}", "last_name": f"Last{n}"}
        for n in range(USERS)
    ]
    peers: dict[str, Sync] = {"client, one query a user": _one_by_one, "client, one listing, one commit": _at_once}
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as name:
        rows = [_row("ftrack_users", lambda workspace: _module(workspace, records, Path(name)))]
    for label, sync in peers.items():
        rows.append(_row(label, partial(_timed, sync, records)))
    lines = [f"{USERS} users into the double of ftrack on loopback; requests and seconds:"]
    lines.append(f"{'':32} {'create':>16} {'nothing to do':>18}")
    return "\n".join([*lines, *rows])


def _row(label: str, sync: Callable[[Workspace], float]) -> str:
    cells = []
    with Workspace() as workspace:
        for _run in ("create", "nothing to do"):
            workspace.calls.clear()
            seconds = sync(workspace)
            cells.append(f"{len(workspace.calls):6} {seconds:7.2f} s")
        if len(workspace.store.all("User")) != USERS + 1 or workspace.writes:
            raise RuntimeError(f"{label} did not do what it should")
    return f"{label:32} {cells[0]:>16} {cells[1]:>18}"


def _module(workspace: Workspace, records: list[Record], folder: Path) -> float:
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"here": here}}}), encoding="utf-8")
    options = {
        "server_url": workspace.url,
        "api_user": workspace.api_user,
        "api_key": workspace.api_key,
        "roster": str(folder / "roster.json"),
        "state_path": str(folder / "state.json"),
    }
    (folder / "roster.json").write_bytes(serialise(build_from_records({"kind": "bench"}, records)))
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "Sync", MODULE: options}]}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    run = run_playbook(folder / "play.yml", folder / "hosts.json", {})
    if run.returncode != 0:
        raise RuntimeError(run.output[-4000:])
    return run.seconds(MODULE)


def _timed(sync: Sync, records: list[Record], workspace: Workspace) -> float:
    began = time.monotonic()
    sync(workspace, records)
    return time.monotonic() - began


def _one_by_one(workspace: Workspace, records: list[Record]) -> None:
    """As scripts do it: look each user up, create or update, commit."""
    with official(workspace) as session:
        for record in records:
            user = session.query(
                f'select {", ".join(_FIELDS)} from User where username is "{record["username"]}"'
            ).first()
            _bring_in_line(session, user, record)
            session.commit()


def _at_once(workspace: Workspace, records: list[Record]) -> None:
    """The best that the client can do."""
    with official(workspace) as session:
        users = {user["username"]: user for user in session.query(f"select {', '.join(_FIELDS)} from User")}
        for record in records:
            _bring_in_line(session, users.get(record["username"]), record)
        session.commit()


def _bring_in_line(session: Any, user: Any, record: Record) -> None:
    if user is None:
        session.create("User", {**record, "is_active": True})
        return
    for field, value in record.items():
        if user[field] != value:
            user[field] = value
