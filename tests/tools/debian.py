# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that come from Debian packages."""

from __future__ import annotations

import importlib.util
import os
import shutil

from .checkout import cache, locked
from .console import Stop, captured, say

VENV = {"ensurepip": "python3-venv"}
LINT = {**VENV, "git": "git"}
FLEET = {"debootstrap": "debootstrap", "ssh": "openssh-client", "ip": "iproute2"}
TEST = {**LINT, **FLEET, "openssl": "openssl", "strace": "strace", "busybox": "busybox-static"}
BENCH = {**TEST, "systemd-sysusers": "systemd-standalone-sysusers"}


def need(packages: dict[str, str]) -> None:
    """Install the packages whose command is missing."""
    # Commands for root are not on everybody's PATH.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = _missing(packages)
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Stop(f"missing on this machine: {' '.join(missing)}. Type: sudo apt-get install {' '.join(missing)}")
    with locked(cache() / "debian.lock"):
        missing = _missing(packages)
        if not missing:
            return
        say(f"installing Debian packages: {' '.join(missing)}")
        wait = "DPkg::Lock::Timeout=300"
        for command in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "-o", wait, "install", "--yes", "--no-install-recommends", *missing],
        ):
            returncode, output = captured(command, {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
            if returncode != 0:
                advice = f"'{' '.join(command)}' failed; put that right, or type: apt-get install {' '.join(missing)}"
                raise Stop(advice, output)
    importlib.invalidate_caches()


def _missing(packages: dict[str, str]) -> list[str]:
    return [package for command, package in packages.items() if not _present(command)]


def _present(command: str) -> bool:
    if command == "ensurepip":
        return bool(importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"))
    return shutil.which(command) is not None
