# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests run playbooks with: a fork that has loaded Ansible does what the command does."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.playbook.run import Run, run_playbook

DEBUG = "ansible.builtin.debug"
TASKS: list[dict[str, Any]] = [
    {DEBUG: {"msg": "{{ lookup('env', 'SAID') }} {{ ansible_check_mode }} {{ given }}"}},
    {"ansible.builtin.command": "cat", "check_mode": False},
    {"identity.roster.sudo_rules": {"rules": [], "root": "/nowhere"}, "ignore_errors": True},
    {"ansible.builtin.fail": {"msg": "at last"}, "when": "given == 1"},
]


def both(folder: Path, tasks: list[dict[str, Any]] | str, given: int, **options: Any) -> list[Run]:
    """By the fork and by the command."""
    playbook = folder / "play.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(tasks if isinstance(tasks, str) else json.dumps([play]), encoding="utf-8")
    environment = {"SAID": f"word {given}"}
    return [
        run_playbook(
            playbook,
            "localhost,",
            {"given": given, "ansible_python_interpreter": sys.executable},
            environment=environment,
            command=command,
            **options,
        )
        for command in (False, True)
    ]


def comparable(run: Run) -> tuple[Any, ...]:
    times = re.compile(r'"(start|end|delta)": "[^"]*"')
    events = [
        (event.host, event.action, event.status, event.check, times.sub("", json.dumps(event.result, sort_keys=True)))
        for event in run.events
    ]
    return run.returncode, times.sub("", run.output), events


@pytest.mark.parametrize(
    ("tasks", "given", "options", "returncode"),
    [
        (TASKS, 0, {"check": True, "options": ("-v",)}, 0),
        (TASKS, 1, {}, 2),
        ("- hosts: [", 0, {}, 4),
        (TASKS, 0, {"options": ("--nonsense",)}, 2),
    ],
    ids=["goes-well-in-check-mode", "fails", "no-playbook", "no-such-option"],
)
def test_a_fork_does_what_the_command_does(
    tmp_path: Path, tasks: list[dict[str, Any]] | str, given: int, options: dict[str, Any], returncode: int
) -> None:
    fork, command = both(tmp_path, tasks, given, **options)
    assert comparable(fork) == comparable(command)
    assert fork.returncode == returncode
    if fork.events:
        assert fork.events[0].result["msg"] == f"word {given} {bool(options.get('check'))} {given}"


def test_what_lasts_too_long_is_ended(tmp_path: Path) -> None:
    task = {"ansible.builtin.command": "sleep 20"}
    with pytest.raises(TimeoutError):
        both(tmp_path, [task], 0, timeout=2)
    fork, command = both(tmp_path, TASKS[:1], 0)
    assert fork.returncode == command.returncode == 0, "the next one is not disturbed"
