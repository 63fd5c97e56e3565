# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments, one for each requirements file."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import time
from pathlib import Path

from .checkout import ROOT, cache, locked
from .console import Stop, captured, say

REQUIREMENTS = ROOT / "tests/requirements"
UNUSED_AFTER = 24 * 3600


def venv(kind: str) -> Path:
    """The folder of the virtual environment for tests/requirements/KIND.txt, built if need be."""
    folder = cache() / "venvs" / f"{kind}-{_digest(kind)}"
    stamp = folder / ".complete"
    if not stamp.exists():
        with locked(cache() / f"venvs/{kind}.lock"):
            if not stamp.exists():
                _build(kind, folder)
                stamp.touch()
                _remove_unused(kind, folder)
    os.utime(stamp)
    return folder


def _digest(kind: str) -> str:
    """Short: scripts in the environment name it in their first line, which may hold 127 characters."""
    parts = [platform.python_version(), os.path.realpath(sys.executable), _requirements(kind)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def _requirements(kind: str) -> str:
    text = (REQUIREMENTS / f"{kind}.txt").read_text()
    included = [line.split()[1].removesuffix(".txt") for line in text.splitlines() if line.startswith("-r ")]
    return "".join([text, *map(_requirements, included)])


def _build(kind: str, folder: Path) -> None:
    say(f"building the virtual environment '{kind}' in {folder}")
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
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
