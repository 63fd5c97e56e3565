# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Linux a root directory holds."""

from __future__ import annotations

import os
from typing import Dict, Optional


def os_release(root: str) -> Dict[str, str]:
    """os-release(5) as a mapping; empty where there is none."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
                lines = [line.strip().partition("=") for line in file]
        except OSError:
            continue
        return {key: value.strip("\"'") for key, _separator, value in lines if key}
    return {}


def default_admin_group(root: str) -> str:
    """``sudo`` on Debian and its children, ``wheel`` elsewhere: the group that the family's sudoers names."""
    release = os_release(root)
    families = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return "sudo" if families & {"debian", "ubuntu"} or not release else "wheel"


def refuse_foreign_layouts(root: str) -> Optional[str]:
    """Why this host's accounts live elsewhere than in /etc/passwd, or None."""
    identity = os_release(root).get("ID", "")
    declared = {"nixos": "NixOS", "guix": "Guix System"}.get(identity)
    if os.path.lexists(os.path.join(root, "etc/NIXOS")):
        declared = "NixOS"
    if declared:
        return f"this host is {declared}, which makes its accounts from its configuration: manage users there"
    if os.path.isdir(os.path.join(root, "etc/tcb")):
        return "this host keeps its passwords in /etc/tcb, which is not supported"
    return None
