# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments, one for each requirements file, and the Pythons that they are made with."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from functools import cache as remembered
from pathlib import Path

from .checkout import ROOT, cache, locked
from .console import Stop, captured, say

REQUIREMENTS = ROOT / "tests/requirements"
UNUSED_AFTER = 24 * 3600


def venv(kind: str, python: Path = Path(sys.executable)) -> Path:
    """The folder of the virtual environment for tests/requirements/KIND.txt, built if need be."""
    folder = cache() / "venvs" / f"{kind}-{_digest(kind, python)}"
    stamp = folder / ".complete"
    if not stamp.exists():
        with locked(cache() / f"venvs/{kind}.lock"):
            if not stamp.exists():
                _build(kind, folder, python)
                stamp.touch()
                _remove_unused(kind, folder)
    os.utime(stamp)
    return folder


@remembered
def interpreter(lowest: int, highest: int) -> Path | None:
    """A Python from 3.LOWEST to 3.HIGHEST: our own, one on PATH, or one of pyenv's. None if there is no such."""
    names = [f"python3.{minor}" for minor in range(highest, lowest - 1, -1)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [sys.executable, *filter(None, map(shutil.which, names))]
    found += [str(path) for name in names for path in sorted(pyenv.glob(f"*/bin/{name}"))]
    for program in found:
        base = _base_interpreter(program, lowest, highest)
        if base:
            return base
    return None


def _base_interpreter(program: str, lowest: int, highest: int) -> Path | None:
    """What is behind a shim or an environment's link, if it has the version and can make environments."""
    script = f"""
import ensurepip, sys, venv
print(sys._base_executable)
sys.exit(not (3, {lowest}) <= sys.version_info[:2] <= (3, {highest}))
"""
    asked = subprocess.run([program, "-Ic", script], capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip()) if asked.returncode == 0 else None


@remembered
def _version(python: Path) -> str:
    if python == Path(sys.executable):
        return platform.python_version()
    script = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-Ic", script], capture_output=True, text=True, check=True).stdout.strip()


def _digest(kind: str, python: Path) -> str:
    """Short: scripts in the environment name it in their first line, which may hold 127 characters."""
    parts = [_version(python), os.path.realpath(python), _requirements(kind)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def _requirements(kind: str) -> str:
    text = (REQUIREMENTS / f"{kind}.txt").read_text()
    included = [line.split()[1].removesuffix(".txt") for line in text.splitlines() if line.startswith("-r ")]
    return "".join([text, *map(_requirements, included)])


def _build(kind: str, folder: Path, python: Path) -> None:
    say(f"building the virtual environment '{kind}' in {folder}")
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [str(python), "-m", "venv", str(folder)],
        [*install, "--requirement", str(REQUIREMENTS / f"{kind}.txt")],
    ):
        returncode, output = captured(command)
        if returncode != 0:
            raise Stop(
                f"the packages in tests/requirements/{kind}.txt could not be installed; the reason is above. "
                "They come from PyPI: check the network, or pip's proxy and index settings, and type the same again",
                output,
            )
    say(f"built it in {time.monotonic() - started:.0f} s")


def _remove_unused(kind: str, current: Path) -> None:
    """Old ones go, except those that another checkout used today."""
    for folder in current.parent.glob(f"{kind}-*"):
        stamp = folder / ".complete"
        if folder != current and not (stamp.exists() and time.time() - stamp.stat().st_mtime < UNUSED_AFTER):
            say(f"removing {folder}, which nothing uses any more")
            shutil.rmtree(folder, ignore_errors=True)
