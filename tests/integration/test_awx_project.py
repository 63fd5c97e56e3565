# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repository as a project of AWX: its update, and its jobs on every ansible-core that we say we work with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fleet.fleet import Fleet
from tests.integration.system import Fingerprint, fingerprint
from tests.playbook.awx import NOWHERE, Job, Project, check_out, clean_environment, run_job, update_project
from tests.playbook.run import SOURCE
from tests.servers.libre_workspace import Portal
from tests.tools.checkout import ROOT
from tests.tools.venvs import REQUIREMENTS, interpreter, venv

CANARY = "$6$canarysalt$" + "Kanarienvogel" + "x" * 73
KEY = "canary-api-key-9c2d"
#: The oldest and newest Python 3 that a controller with this core may have, by Ansible's own table.
PYTHONS = {"2.17": (10, 12), "2.18": (11, 13), "2.19": (11, 13), "2.20": (12, 14), "2.21": (12, 14)}
#: What the execution environment has; it is tried with that one.
IN_THE_ENVIRONMENT = "2.19"
PLAYBOOK = "awx/linux_clients.yml"
#: Capture 04 has twelve people who can be Linux accounts.
CREATED = 12


def environment(core: str) -> Path:
    lowest, highest = PYTHONS[core]
    python = interpreter(lowest, highest)
    if python is None:
        pytest.skip(f"ansible-core {core} needs Python 3.{lowest} to 3.{highest}, which this machine does not have")
    return venv(f"core-{core}", python)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """By AWX's own environment, which with AWX 24.6.1 can't be newer than ansible-core 2.18."""
    return update_project(tmp_path_factory.mktemp("awx"), environment("2.18"))


class FabricatedHosts:
    """Throwaway roots on this machine, in the place of hosts."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.roots = {name: folder / name for name in names}
        for root in self.roots.values():
            for name in ("home", "var/lib", "bin"):
                (root / name).mkdir(parents=True)
            shutil.copytree(ROOT / "playbooks/files/demo/etc", root / "etc")
            (root / "bin/bash").touch(0o755)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {
            name: {**local, "linux_client_root": str(root), "linux_client_create_homes": False}
            for name, root in self.roots.items()
        }
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(yaml.safe_dump({"linux_clients": {"hosts": hosts}}), encoding="utf-8")


def fingerprints(roots: dict[str, Path]) -> dict[str, Fingerprint]:
    return {name: fingerprint(root) for name, root in roots.items()}


def dry_run_then_run(folder: Path, venv: Path, project: Project, inventory: Path, roots: dict[str, Path]) -> None:
    """Two jobs of one template, the first with job type check, and all that must be true of them."""
    before = fingerprints(roots)
    with Portal(capture="04", api_key=KEY) as portal:
        portal.change("anna.schmidt", yescrypt_hash=CANARY)
        variables = {"fetch_url": portal.url, "fetch_allow_unicode_names": True}
        credential = {"LIBRE_WORKSPACE_API_KEY": KEY}
        planned = run_job(folder / "1", venv, project, PLAYBOOK, inventory, variables, credential, check=True)
        assert planned.returncode == 0, planned.output
        assert fingerprints(roots) == before, "the dry run wrote something"
        done = run_job(folder / "2", venv, project, PLAYBOOK, inventory, variables, credential)
        assert done.returncode == 0, done.output
        assert portal.failures == []
    assert_same_changes(planned, done, set(roots))
    for job in (planned, done):
        assert_report(job, roots)
        assert_artifact(job)
        assert_quiet(job)
        assert_no_secret(job)
    for name, root in roots.items():
        assert CANARY in (root / "etc/shadow").read_text(encoding="utf-8"), name
    (digest,) = {result["roster_digest"] for job in (planned, done) for result in job.results(SOURCE).values()}
    assert {result["roster_digest"] for result in done.results().values()} == {digest}


def assert_same_changes(planned: Job, done: Job, hosts: set[str]) -> None:
    plans, results = planned.results(), done.results()
    assert set(plans) == set(results) == hosts
    for host in hosts:
        assert results[host]["summary"]["created"] == CREATED
        for key in ("changes", "changed", "diff", "plan_digest", "roster_digest", "summary", "rejected", "pending"):
            assert results[host][key] == plans[host][key], (host, key)


def assert_artifact(job: Job) -> None:
    """What later nodes of a workflow get: of the dry run no other than of the run, and of the types they count on."""
    results = job.results()
    (roster_digest,) = {result["roster_digest"] for result in results.values()}
    published = job.artifacts()["identity_roster"]
    assert (published["check_mode"], published["roster_digest"]) == (is_dry_run(job), roster_digest)
    part = published["linux_accounts"]
    summaries = [result["summary"] for result in results.values()]
    assert part["summary"] == {name: sum(summary[name] for summary in summaries) for name in summaries[0]}
    assert (part["hosts"], part["refused"], part["without_result"]) == (len(results), [], [])
    assert part["plans"] == {host: result["plan_digest"] for host, result in results.items()}
    assert part["failed"] == []
    rejected = {entry["name"] for result in results.values() for entry in result["rejected"]}
    assert part["rejected"] == sorted(rejected) != []


def assert_report(job: Job, hosts: dict[str, Path]) -> None:
    """The callback of our ansible.cfg, in what AWX shows."""
    table = job.output.partition("identity.roster run awx-17\n")[2]
    for host in hosts:
        assert re.search(rf"^  {re.escape(host)} +{CREATED} ", table, re.MULTILINE), job.output
    assert ("CHECK MODE" in table) == is_dry_run(job)


def is_dry_run(job: Job) -> bool:
    return "--check" in (job.folder / "env/cmdline").read_text(encoding="utf-8").split()


def assert_quiet(job: Job) -> None:
    """Ansible itself has nothing to warn of, and nothing that it will not do any more one day."""
    told = re.findall(r"\[(?:DEPRECATION )?WARNING\]:[^\n]*", job.output)
    assert [line for line in told if "the portal calls these people" not in line] == []


def assert_no_secret(job: Job) -> None:
    kept = {**job.files(), "output": job.output.encode()}
    assert len(kept) > 20, "the events are among them"
    for name, content in kept.items():
        for secret in (KEY.encode(), b"Kanarienvogel", b"canarysalt"):
            assert secret not in content, name
        # The portal's own hashes neither.
        assert re.search(rb"\$y\$[./A-Za-z0-9]+\$", content) is None, name


@pytest.mark.parametrize("core", [core for core in PYTHONS if core != IN_THE_ENVIRONMENT])
def test_on_every_ansible_core(core: str, project: Project, tmp_path: Path) -> None:
    hosts = FabricatedHosts(tmp_path / "hosts", ["pc-1"])
    dry_run_then_run(tmp_path, environment(core), project, hosts.inventory, hosts.roots)


def test_in_the_execution_environment(fleet2: Fleet, project: Project, tmp_path: Path) -> None:
    roots = {host.name: host.root for host in fleet2.hosts}
    dry_run_then_run(tmp_path, venv("execution-environment"), project, fleet2.inventory_path, roots)


def test_by_hand(tmp_path: Path) -> None:
    """An empty folder, two commands, no network and no settings but those of the repository."""
    checkout = check_out(tmp_path / "project")
    hosts = FabricatedHosts(tmp_path / "hosts", ["pc-1"])
    own = clean_environment(Path(sys.prefix), tmp_path / "home")
    own.update(LIBRE_WORKSPACE_API_KEY=KEY, ANSIBLE_GALAXY_SERVER=NOWHERE)
    commands: list[list[str]] = [
        ["ansible-galaxy", "collection", "install", "-r", "collections/requirements.yml", "--offline"],
        ["ansible-playbook", PLAYBOOK, "-i", str(hosts.inventory), "--check", "-e", "fetch_allow_unicode_names=true"],
    ]
    with Portal(capture="04", api_key=KEY) as portal:
        commands[1] += ["-e", f"fetch_url={portal.url}"]
        outputs = [subprocess.run(command, cwd=checkout, env=own, capture_output=True, text=True, check=False)
                   for command in commands]  # fmt: skip
    assert [output.returncode for output in outputs] == [0, 0], outputs
    assert "CHECK MODE: nothing was changed" in outputs[1].stdout
    installed = tmp_path / "home/.ansible/collections/ansible_collections/identity/roster"
    assert not {"ansible.cfg", "awx", "collections", "execution-environment"} & set(os.listdir(installed))


def test_what_is_said_of_versions_is_what_is_tried() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"] == f">={next(iter(PYTHONS))}.0"
    document = (ROOT / "docs/execution-environment.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (2\.\d+) \| 3\.(\d+) to 3\.(\d+) \| passes \|$", document, re.MULTILINE)
    assert {core: (int(oldest), int(newest)) for core, oldest, newest in told} == PYTHONS
    assert f"ansible-core>={IN_THE_ENVIRONMENT},<" in (REQUIREMENTS / "execution-environment.txt").read_text("utf-8")


def test_thin_playbooks_import_what_the_collection_has() -> None:
    # What AWX 24.6.1 takes for a playbook, in its awx/main/utils/ansible.py: "ansible.builtin." would hide ours.
    listed = re.compile(r"^\s*?-?\s*?(?:hosts|include|import_playbook):\s*?.*?$", re.MULTILINE)
    paths = list((ROOT / "awx").iterdir())
    assert paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert listed.search(text), path
        (play,) = yaml.safe_load(text)
        name = play["import_playbook"].removeprefix("identity.roster.")
        assert (ROOT / f"playbooks/{name}.yml").is_file(), path
