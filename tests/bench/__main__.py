# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``./dev bench``: run the measurements and print their tables."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from tests.tools.checkout import linked_tree
from tests.tools.console import Stop

#: Each is a module here with a function ``measure`` that returns a table.
PARTS = ("engine", "accounts", "ldap", "pleio", "ftrack")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure against a peer, in one run.")
    parser.add_argument("part", nargs="?", choices=PARTS, help="measure only this; all by default")
    parser.add_argument("--users", type=int, default=316, help="accounts: the first N records of capture 10")
    options = parser.parse_args()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(linked_tree())
    sys.path.insert(0, str(linked_tree()))
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if os.geteuid() != 0:
        raise Stop("the measurements need root: they give files to others and run on a fleet of SSH hosts")
    for name in PARTS if options.part is None else (options.part,):
        # Only now, since some import the collection.
        module = importlib.import_module(f"tests.bench.{name}")
        print(module.measure(options.users) if name == "accounts" else module.measure(), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stop as problem:
        sys.exit(f"dev: {problem}")
