# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ./dev runs: each command, with what it needs installed first. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from . import debian, lint
from .checkout import ROOT, cache, linked_tree
from .console import Stop, say
from .venvs import venv


def main(command: str, arguments: Sequence[str]) -> int:
    # The fleet and the tests must look for images and environments where this run does.
    os.environ["IDENTITY_ROSTER_CACHE"] = str(cache())
    if command == "demo":
        demo(arguments)
    if command == "lint":
        return 1 if run_lint() else 0
    if command == "test":
        return test(arguments)
    if command == "bench":
        debian.need(debian.BENCH)
        _become(_environment(), ["python", "-m", "tests.bench", *arguments])
    if command == "fleet":
        debian.need(debian.FLEET)
        os.execv(sys.executable, [sys.executable, "-m", "tests.fleet", *arguments])
    raise Stop(f"no such command: {command}")


def demo(arguments: Sequence[str]) -> NoReturn:
    debian.need(debian.VENV)
    settings = ROOT / ".dev/demo.cfg"
    tree = linked_tree()
    settings.touch()
    folder = venv("run")
    # Nobody's ansible.cfg takes part; paths among the arguments are relative to where the user is.
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(settings),
        "ANSIBLE_COLLECTIONS_PATH": str(tree),
        # The demo makes its own inventory.
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
    }
    os.chdir(os.environ.get("DEV_STARTED_IN", "."))
    _become(environment, ["ansible-playbook", "identity.roster.demo", *arguments], folder)


def run_lint() -> list[str]:
    """The names of the steps that failed."""
    debian.need(debian.LINT)
    return lint.run(venv("dev"))


def test(arguments: Sequence[str]) -> int:
    debian.need(debian.TEST)
    if arguments:
        _become(_environment(), ["python", "-m", "pytest", *arguments])
    images = _start_images()
    failed = run_lint()
    if failed:
        say(f"LINT FAILED: {', '.join(failed)} (see above). The tests run all the same")
    _wait_for(images)
    environment = {**_environment(), "DEV_LINT_FAILED": ", ".join(failed)}
    # One worker more than there are cores: a playbook waits for its hosts, a refused login for PAM. A file stays with
    # one worker, so its fleet is started once; the files come in the order of tests/conftest.py, not of their tests.
    workers = min(4, (os.cpu_count() or 1) + 1)
    options = [f"--numprocesses={workers}", "--dist=loadfile", "--no-loadscope-reorder"]
    command = [_program("python"), "-m", "pytest", *options]
    tested = subprocess.run(command, env=environment, check=False)
    return tested.returncode or (1 if failed else 0)


def _start_images() -> subprocess.Popen[str] | None:
    """Building host images takes minutes the first time, and lint leaves the network alone."""
    if os.geteuid() != 0 or not (ROOT / "tests/fleet/__main__.py").exists():
        return None
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fleet", "images"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _wait_for(images: subprocess.Popen[str] | None) -> None:
    if images is None:
        return
    if images.poll() is None:
        say("waiting for the host images")
    output = images.communicate()[0]
    if images.returncode != 0:
        raise Stop(
            "the host images could not be built; the reason is above. To try again, type: ./dev fleet images", output
        )


def _environment() -> Mapping[str, str]:
    """The dev environment first on PATH, so that a test's ansible-playbook is the one we mean."""
    linked_tree()
    return {**os.environ, "PATH": f"{venv('dev') / 'bin'}:{os.environ['PATH']}", "VIRTUAL_ENV": str(venv("dev"))}


def _program(name: str) -> str:
    return str(venv("dev") / "bin" / name)


def _become(environment: Mapping[str, str], command: Sequence[str], folder: Path | None = None) -> NoReturn:
    program = str((folder or venv("dev")) / "bin" / command[0])
    sys.stdout.flush()
    os.execve(program, [program, *command[1:]], dict(environment))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except Stop as problem:
        if problem.output:
            print(problem.output, file=sys.stderr)
        say(str(problem))
        sys.exit(2)
    except PermissionError as problem:
        say(f"{problem.filename} is not yours to write: type this as the checkout's owner, or in a clone of your own")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
