# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Those who must hear of a change: caches in front of the account files, and the host's log."""

from __future__ import annotations

import shutil
import subprocess
import syslog
from contextlib import suppress
from typing import Sequence

from .._outcome import Change

#: Caches in front of the account files, and how each is told to forget.
_CACHES = (("nscd", "-i", "passwd"), ("nscd", "-i", "group"), ("sss_cache", "-U", "-G"))


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
