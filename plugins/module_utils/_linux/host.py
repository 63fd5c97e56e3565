# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host around the account files: its family, shells and homes, and those who must hear of a change."""

from __future__ import annotations

import os
import shutil
import subprocess
import syslog
from contextlib import suppress
from typing import Dict, Optional, Sequence

from .._outcome import Change
from .draft import Host

#: Caches in front of the account files, and how each is told to forget.
_CACHES = (("nscd", "-i", "passwd"), ("nscd", "-i", "group"), ("sss_cache", "-U", "-G"))


class RootHost(Host):
    """One root directory: ``/``, an image, or a throwaway tree."""

    def __init__(self, root: str) -> None:
        self.root = root

    def _path(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def home_is_missing(self, path: str) -> bool:
        return not os.path.lexists(self._path(path))

    def has_shell(self, path: str) -> bool:
        # In another root a link such as /bin -> usr/bin resolves; an absolute one is seen as present.
        return os.path.lexists(self._path(path)) and not os.path.isdir(self._path(path))


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
    if identity == "nixos":
        return "this host is NixOS, which makes its accounts from its configuration: manage users there"
    if os.path.isdir(os.path.join(root, "etc/tcb")):
        return "this host keeps its passwords in /etc/tcb, which is not supported"
    return None


def tell_caches() -> None:
    """Make nscd and sssd forget what they knew. A host without them has nothing to forget."""
    for command in _CACHES:
        program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program:
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    [program, *command[1:]],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    timeout=10, check=False,
                )  # fmt: skip


def log_changes(changes: Sequence[Change]) -> None:
    """One line an account in the host's authentication log. Field names only: values may be personal."""
    syslog.openlog("identity-roster", 0, syslog.LOG_AUTHPRIV)
    for change in changes:
        fields = ", ".join(sorted(change.fields))
        syslog.syslog(
            syslog.LOG_NOTICE, f"{change.action} {change.kind} {change.name}" + (f": {fields}" if fields else "")
        )
    syslog.closelog()
