# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the engine in a process of its own, as a module is one on a host. Standard library only.

The argument is a JSON mapping: ``root``, ``roster`` (path), ``digest`` (of the roster), ``rules`` (the options'
digest), ``send`` (the roster, or its digest alone), ``check``, ``homes``. Prints one: ``seconds`` from reading the
roster to the result, ``peak`` (bytes resident) and the result's ``summary``.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS
from ansible_collections.identity.roster.plugins.module_utils._linux.draft import Options
from ansible_collections.identity.roster.plugins.module_utils._linux.engine import Request, run, without_collection
from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome


def main(asked: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    with without_collection():
        summary = _run(asked).as_result()["summary"]
    return {"seconds": time.perf_counter() - began, "peak": _peak(), "summary": summary}


def _run(asked: dict[str, Any]) -> Outcome:
    return run(
        Request(
            root=asked["root"],
            state_directory="/var/lib/identity-roster",
            options=Options(admin_group="sudo", default_shell="/bin/bash", create_homes=asked["homes"]),
            options_digest=asked["rules"],
            roster_digest=asked["digest"],
            sent_digest=asked["digest"] if asked["send"] else None,
            roster=Path(asked["roster"]).read_bytes if asked["send"] else None,
            check_mode=asked["check"],
            limits=DEFAULTS,
        )
    )


def _peak() -> int:
    """Of this program alone: getrusage's figure begins with what the parent had before exec."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
