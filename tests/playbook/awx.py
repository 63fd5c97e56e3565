# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWX without AWX: a project update, and jobs in the private data directory that AWX makes for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.playbook.run import TARGET
from tests.tools.checkout import ROOT, known_files

#: Nothing listens on the port for discarding what comes.
NOWHERE = "http://127.0.0.1:9/"


@dataclass(frozen=True)
class Project:
    """What a project update leaves: the repository, and what its requirements installed."""

    checkout: Path
    collections: Path


@dataclass(frozen=True)
class Job:
    """What a job left behind. ``output`` is what AWX shows, put together from the events."""

    returncode: int
    output: str
    folder: Path
    events: list[dict[str, Any]] = field(repr=False)

    def results(self, action: str = TARGET) -> dict[str, dict[str, Any]]:
        """Host to the result of its last task with that action."""
        data = [event["event_data"] for event in self.events if event["event"].startswith("runner_on_")]
        return {each["host"]: each["res"] for each in data if each.get("resolved_action") == action and "res" in each}

    def artifacts(self) -> dict[str, Any]:
        """What later nodes of a workflow get."""
        (data,) = [event["event_data"] for event in self.events if event["event"] == "playbook_on_stats"]
        published: dict[str, Any] = data.get("artifact_data", {})
        return published

    def files(self) -> dict[str, bytes]:
        """What was kept of the run, but for `command`: runner writes the whole environment there."""
        kept = [path for path in (self.folder / "artifacts").rglob("*") if path.is_file() and path.name != "command"]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in kept}


def clean_environment(venv: Path, home: Path) -> dict[str, str]:
    """Of this process's environment what a container would have too. ``home`` is made."""
    home.mkdir(parents=True, exist_ok=True)
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "VIRTUAL_ENV"))}
    return {**mine, "HOME": str(home), "PATH": f"{venv / 'bin'}:{mine['PATH']}"}


def check_out(folder: Path) -> Path:
    """The repository as git would hand it out, in a new folder."""
    for name in known_files():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    return folder


def update_project(folder: Path, venv: Path) -> Project:
    """Check out, then call ansible-galaxy as AWX's project_update.yml does, with no Galaxy to be reached."""
    project = Project(check_out(folder / "project"), folder / "requirements_collections")
    subprocess.run(
        [
            str(venv / "bin/ansible-galaxy"), "collection", "install",
            "-r", str(project.checkout / "collections/requirements.yml"),
            "--collections-path", str(project.collections),
        ],
        cwd=project.checkout,
        env={
            **clean_environment(venv, folder / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(project.collections),
            "ANSIBLE_GALAXY_SERVER": NOWHERE,
            "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        },
        check=True,
    )  # fmt: skip
    return project


def run_job(
    folder: Path,
    venv: Path,
    project: Project,
    playbook: str,
    inventory: Path,
    variables: Mapping[str, Any],
    credential: Mapping[str, str],
    *,
    check: bool = False,
) -> Job:
    """One job by the ansible-runner of a virtual environment, which is its execution environment.

    :param folder: Must not be there: the options are kept in it, so the next run in it would be a dry run too.
    :param credential: Environment variables, as the injectors of a credential type set them.
    """
    folder.mkdir(parents=True)
    environment = folder / "env"
    environment.mkdir(mode=0o700)
    settings = {"job_timeout": 0, "suppress_ansible_output": True, "suppress_output_file": True}
    injected = {
        "ANSIBLE_COLLECTIONS_PATH": str(project.collections),
        "ANSIBLE_DEPRECATION_WARNINGS": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        # Short: the path of a socket may hold 108 characters.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{os.environ['ANSIBLE_HOME']}/cp",
        "JOB_ID": "17",
        "MAX_EVENT_RES": "700000",
        **credential,
    }
    meta = {"awx_job_id": 17, "awx_job_template_name": playbook, "awx_job_launch_type": "manual"}
    (environment / "cmdline").write_text(f"-u root {'--check ' if check else ''}--diff", encoding="utf-8")
    (environment / "envvars").write_text(json.dumps(injected), encoding="utf-8")
    (environment / "extravars").write_text(json.dumps({**variables, **meta}), encoding="utf-8")
    (environment / "settings").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "inventory").mkdir()
    shutil.copy(inventory, folder / "inventory")
    (folder / "project").symlink_to(project.checkout)
    done = subprocess.run(
        [str(venv / "bin/ansible-runner"), "run", str(folder), "--playbook", playbook, "--ident", "17"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=clean_environment(venv, folder / "home"),
    )
    events = [json.loads(path.read_bytes()) for path in (folder / "artifacts/17/job_events").glob("*.json")]
    events.sort(key=lambda event: event["counter"])
    shown = [event["stdout"].replace("\r\n", "\n") for event in events if event["stdout"]]
    return Job(done.returncode, "\n".join([*shown, done.stdout + done.stderr]), folder, events)
