# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook as a person runs it, with its results as data."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.playbook.prepared import Prepared

CALLBACKS = Path(__file__).parent / "callbacks"
TARGET = "identity.roster.linux_accounts"
SOURCE = "identity.roster.libre_workspace_info"
SETTINGS = {
    "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
    "ANSIBLE_CALLBACKS_ENABLED": "record",
    "ANSIBLE_PIPELINING": "1",
    "ANSIBLE_FORKS": "10",
    "ANSIBLE_DEPRECATION_WARNINGS": "1",
}


@dataclass(frozen=True)
class Event:
    """One task's result on one host."""

    host: str
    action: str
    task: str
    status: str
    check: bool
    seconds: float
    result: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What a playbook printed, and what its tasks returned."""

    returncode: int
    output: str
    events: list[Event] = field(repr=False)

    def of(self, action: str) -> dict[str, dict[str, Any]]:
        """Host to the result of its last task with that action."""
        return {event.host: event.result for event in self.events if event.action == action}

    def changes(self) -> dict[str, list[dict[str, Any]]]:
        """Host to the changes that linux_accounts reported."""
        return {host: result["changes"] for host, result in self.of(TARGET).items()}

    def seconds(self, action: str) -> float:
        """How long the tasks of an action took, on the slowest host, added up."""
        by_task: dict[str, float] = {}
        for event in self.events:
            if event.action == action:
                by_task[event.task] = max(by_task.get(event.task, 0.0), event.seconds)
        return sum(by_task.values())


def run_playbook(
    playbook: str | Path,
    inventory: Path | str,
    variables: Mapping[str, Any],
    *,
    check: bool = False,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
    command: bool = False,
) -> Run:
    """Run a playbook (a path or the name of a collection's) and read what came of it. Never raises for a failed run.

    With ``command``, and wherever Ansible's settings differ, by the command itself; else by a fork that has it loaded.
    """
    with tempfile.TemporaryDirectory(prefix="roster-run-") as folder:
        record = Path(folder, "record.jsonl")
        record.touch()
        given = Path(folder, "variables.json")
        given.touch(mode=0o600)
        given.write_text(json.dumps(dict(variables)), encoding="utf-8")
        arguments = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            str(playbook), "-i", str(inventory), "-e", f"@{given}", "--diff", *(["--check"] if check else []), *options,
        ]  # fmt: skip
        own = {**os.environ, **SETTINGS, "RECORD_FILE": str(record), **(environment or {})}
        if not command and _prepared().fits(own):
            done = _prepared().run(arguments, own, timeout)
        else:
            done = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env=own,
            )
        events = [Event(**json.loads(line)) for line in record.read_text(encoding="utf-8").splitlines()]
    return Run(done.returncode, done.stdout + done.stderr, events)


@cache
def _prepared() -> Prepared:
    process = Prepared({**os.environ, **SETTINGS})
    atexit.register(process.close)
    return process
