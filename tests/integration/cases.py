# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules of this machine, run by Ansible once for each of many cases, all at the same time."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.playbook.run import Run, run_playbook


def run_cases(module: str, cases: Mapping[str, Mapping[str, Any]], folder: Path, **options: Any) -> Run:
    """Each case is a host of that name, on which the module is run with the case's options."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**here, "asked": dict(case)} for name, case in cases.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    names = sorted({name for case in cases.values() for name in case})
    given = {name: f"{{{{ asked.{name} | default(omit) }}}}" for name in names}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "Run it", module: given}]}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = run_playbook(folder / "play.yml", folder / "hosts.json", {}, **options)
    assert set(done.of(module)) == set(cases), done.output
    return done


def failed(done: Run) -> set[str]:
    return {event.host for event in done.events if event.status == "failed"}


def state(path: Path) -> tuple[int, int, int, bytes]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_mode & 0o7777, path.read_bytes()
