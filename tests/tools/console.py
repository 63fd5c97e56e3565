# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the pipeline tells its user."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence


class Stop(Exception):
    """The pipeline cannot go on: what to do about it, after what a tool had to say."""

    def __init__(self, advice: str, output: str = "") -> None:
        super().__init__(advice)
        self.output = output.strip()


def say(text: str) -> None:
    """One line of progress, on standard error: standard output belongs to what was asked for."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


def captured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command quietly: its exit status, and what it said in case that is wanted."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout
