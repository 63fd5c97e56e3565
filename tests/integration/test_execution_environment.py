# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment: its build, as far as it needs no container engine, and the demo in what comes of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.playbook.awx import NOWHERE, clean_environment
from tests.tools.checkout import ROOT
from tests.tools.venvs import REQUIREMENTS, venv

DEFINITION = "execution-environment.yml"
#: What makes the repository a project of AWX and a checkout of ours, and nothing of the collection's.
ONLY_IN_THE_REPOSITORY = {
    "ansible.cfg",
    "awx",
    "collections",
    "dev",
    "execution-environment",
    "galaxy.yml",
    "pyproject.toml",
}


@dataclass(frozen=True)
class Build:
    """What a build leaves: the folder that goes to the container engine, and what the first stage makes of it."""

    definition: dict[str, Any]
    context: Path
    installed: Path
    python: set[str]
    system: list[str]


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the dev environment, without our settings of Ansible."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**clean_environment(Path(sys.prefix), folder / "home"), "ANSIBLE_GALAXY_SERVER": NOWHERE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def done(*command: str | Path, folder: Path) -> str:
    ended = run(*command, folder=folder)
    assert ended.returncode == 0, ended
    return ended.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The two commands of docs/execution-environment.md, and then by hand what the context's stages do."""
    folder = tmp_path_factory.mktemp("build") / "execution-environment"
    shutil.copytree(ROOT / "execution-environment", folder, ignore=shutil.ignore_patterns("context", "*.tar.gz"))
    done("ansible-galaxy", "collection", "build", str(ROOT), "--force", folder=folder)
    done("ansible-builder", "create", "--output-filename", "Containerfile", folder=folder)
    context, installed = folder / "context", folder / "installed"
    # Its stage "galaxy", in the folder that is /build there.
    install = ("ansible-galaxy", "collection", "install", "-r", "requirements.yml", "--collections-path", installed)
    done(*install, folder=context / "_build")
    # Its stage "builder".
    written = ("--write-pip", folder / "pip", "--write-bindep", folder / "bindep")
    done("ansible-builder", "introspect", installed, *written, folder=folder)
    return Build(
        yaml.safe_load((folder / DEFINITION).read_text(encoding="utf-8")),
        context,
        installed,
        requirements((folder / "pip").read_text(encoding="utf-8").splitlines()),
        (folder / "bindep").read_text(encoding="utf-8").splitlines(),
    )


def requirements(lines: Sequence[str]) -> set[str]:
    """In one spelling, without comments."""
    bare = [re.sub(r"\s*#.*", "", line) for line in lines]
    return {str(Requirement(line)) for line in bare if line and not line.startswith("-r ")}


def test_package_has_what_is_the_collections_and_nothing_of_the_repositorys(build: Build) -> None:
    (archive,) = (build.context / "_build/roster").iterdir()
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
    assert {"meta/execution-environment.yml", "requirements.txt", "bindep.txt", "playbooks/linux_clients.yml"} <= names
    assert not ONLY_IN_THE_REPOSITORY & {name.split("/")[0] for name in names}


def test_introspect_finds_what_the_collection_needs(build: Build) -> None:
    assert build.python == {"requests<3,>=2.28", "ldap3<3,>=2.9.1"}
    assert [line.split("  #")[0] for line in build.system][:2] == [
        "openssh-client [platform:dpkg]", "openssh-clients [platform:rpm]",
    ]  # fmt: skip


def test_bindep_understands_the_list_and_leaves_out_what_only_tests_need(build: Build) -> None:
    listed = run("bindep", "-l", "newline", "-f", build.context.parent / "bindep", folder=build.context.parent).stdout
    assert set(listed.split()) <= {"openssh-client", "openssh-clients"}
    assert listed or not shutil.which("dpkg")


def test_context_is_full(build: Build) -> None:
    text = (build.context / "Containerfile").read_text(encoding="utf-8")
    wanted = build.definition["dependencies"]
    assert f'ARG EE_BASE_IMAGE="{build.definition["images"]["base_image"]["name"]}"' in text
    assert "FROM $EE_BASE_IMAGE AS base" in text, "so --build-arg takes another"
    for part in ("ansible_core", "ansible_runner"):
        assert wanted[part]["package_pip"] in text
    assert wanted["python_interpreter"]["python_path"] in text
    assert yaml.safe_load((build.context / "_build/requirements.yml").read_text(encoding="utf-8")) == wanted["galaxy"]
    assert {"assemble", "check_ansible", "introspect.py"} <= set(os.listdir(build.context / "_build/scripts"))


def test_unknown_keys_are_refused(build: Build, tmp_path: Path) -> None:
    """So what stands in the sample means something to ansible-builder."""
    wrong = {**build.definition, "dependencies": {**build.definition["dependencies"], "pyhton": ["requests"]}}
    (tmp_path / DEFINITION).write_text(yaml.safe_dump(wrong), encoding="utf-8")
    ended = run("ansible-builder", "create", folder=tmp_path)
    assert ended.returncode != 0
    assert "pyhton" in ended.stdout + ended.stderr


def test_smoke_test_in_an_environment_of_just_these_requirements(build: Build, tmp_path: Path) -> None:
    """The demo out of the package: a source, four runs, an account disabled."""
    lines = (REQUIREMENTS / "execution-environment.txt").read_text(encoding="utf-8").splitlines()
    wanted = build.definition["dependencies"]
    first = [wanted[part]["package_pip"] for part in ("ansible_core", "ansible_runner")]
    assert requirements(lines) == requirements(first)
    assert "-r ../../requirements.txt" in lines
    assert requirements((ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()) == build.python

    environment = venv("execution-environment")
    ended = subprocess.run(
        [environment / "bin/ansible-playbook", "identity.roster.demo"],
        cwd=tmp_path,
        env={**clean_environment(environment, tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(build.installed)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"localhost +: ok=\d+ +changed=\d+ +unreachable=0 +failed=0", ended.stdout)
    assert "-user anna.schmidt: enabled yes" in ended.stdout
