# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that looks at the sources without running them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from . import sanity
from .checkout import COLLECTION, ROOT, cache, copies, copy_to, git_environment, known_files, linked_tree, locked

# Lines that tools print whether or not there is anything to say.
CHATTER = ("WARNING: Using locale ", "Running sanity test ", "Success: no issues found", "All checks passed!")


@dataclass(frozen=True)
class Step:
    name: str
    command: Sequence[str]
    folder: Path = ROOT
    tree: Path | None = None


def run(venv: Path) -> list[str]:
    """Run every step; the names of those that failed."""
    with locked(cache() / "lint.lock"):
        steps = _steps(venv)
        environment = _environment(venv)
        failed = []
        started = time.monotonic()
        print(f"lint: {len(steps)} steps", flush=True)
        # Two cores are what there is; the longest step comes first, the others pass it by.
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            for done in as_completed([pool.submit(_run, step, environment) for step in steps]):
                name, passed, report = done.result()
                print(report, flush=True)
                if not passed:
                    failed.append(name)
    print(f"lint: {len(failed) or 'none'} of {len(steps)} failed, {time.monotonic() - started:.0f} s\n", flush=True)
    return failed


def _run(step: Step, environment: dict[str, str]) -> tuple[str, bool, str]:
    started = time.monotonic()
    done = subprocess.run(
        step.command,
        cwd=step.folder,
        env={**environment, **({"ANSIBLE_COLLECTIONS_PATH": str(step.tree)} if step.tree else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    seconds = f"{time.monotonic() - started:6.1f} s"
    if done.returncode == 0:
        return step.name, True, f"  ok     {seconds}  {step.name}"
    lines = done.stdout.replace(f".dev/tree/{COLLECTION}/", "").splitlines()
    output = "\n".join(line for line in lines if not line.startswith(CHATTER)).strip()
    return step.name, False, f"  FAILED {seconds}  {step.name}\n{output}\n  (end of {step.name})"


def _environment(venv: Path) -> dict[str, str]:
    """The developer's own settings of Ansible and git take no part."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "GIT_"))}
    return {
        **mine,
        **git_environment(),
        "HOME": str(sanity.prepared_home(venv)),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": f"{venv / 'bin'}:{mine['PATH']}",
    }


def _steps(venv: Path) -> list[Step]:
    """Longest first."""
    linked_tree()
    files = known_files()
    plugins = [name for name in files if name.startswith("plugins/") and name.endswith(".py")]
    # ansible-test wants a real folder of the right name and writes into it; the others must not see what it writes.
    sanity_tree, lint_tree = copies() / "sanity", copies() / "lint"
    sanity_copy, copy = copy_to(sanity_tree), copy_to(lint_tree)
    tool = str(ROOT / "tests/tools")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    mypy = ["mypy", "--no-error-summary"]
    steps = [
        Step(
            "ansible-test sanity",
            ["ansible-test", "sanity", "--local", "--color", "no", "--python", python],
            sanity_copy,
        ),
        Step(
            "antsibull-docs",
            [
                "antsibull-docs",
                "lint-collection-docs",
                "--plugin-docs",
                "--validate-collection-refs=all",
                "--skip-rstcheck",
                ".",
            ],
            copy,
            lint_tree,
        ),
        Step("ansible-lint", ["ansible-lint", "--offline", "--profile", "production"], copy, lint_tree),
        Step("mypy of tests", [*mypy, "--package", "tests"]),
        Step("ansible-galaxy build", ["python", f"{tool}/package.py"]),
        Step("antsibull-changelog", ["antsibull-changelog", "lint"], copy),
        Step("yamllint", ["yamllint", "--strict", "."], copy),
        Step("shellcheck", ["shellcheck", "dev", *[name for name in files if _is_shell(name)]]),
        Step("ruff check", ["ruff", "check", "--quiet", "--output-format", "concise", "."]),
        Step("ruff format", ["ruff", "format", "--check", "--output-format", "concise", "."]),
    ]
    if plugins:
        package = "ansible_collections.identity.roster.plugins"
        # The oldest Python that mypy knows; vermin sees to the hosts' 3.8.
        steps.insert(3, Step("mypy of plugins", [*mypy, "--python-version", "3.9", "--package", package]))
        hosts = [name for name in plugins if name.startswith(("plugins/module_utils/", "plugins/modules/"))]
        steps.append(Step("vermin", ["vermin", "--quiet", "--no-tips", "--target=3.8-", "--violations", *hosts]))
    return steps


def _is_shell(name: str) -> bool:
    if name == "dev" or not os.path.isfile(ROOT / name):
        return False
    with (ROOT / name).open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.split()[-1].rsplit(b"/", 1)[-1] in (b"sh", b"bash", b"dash")
