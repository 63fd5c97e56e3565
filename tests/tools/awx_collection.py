# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection awx.awx 24.6.1, for tests. PyPI has it inside the package `ansible`, of which nothing else is kept."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from .checkout import cache, locked
from .console import Stop, captured, say

#: The last series of the package that has awx.awx 24.6.1.
PACKAGE = "ansible==12.3.0"
INSIDE = "ansible_collections/awx/awx/"


def awx_collection() -> Path:
    """The folder to name in ANSIBLE_COLLECTIONS_PATH; fetched once, about 50 MB."""
    tree = cache() / "collections" / PACKAGE.replace("==", "-")
    if not tree.exists():
        with locked(cache() / "collections.lock"):
            if not tree.exists():
                _fetch(tree)
    return tree


def _fetch(tree: Path) -> None:
    say(f"fetching {PACKAGE} from PyPI for the collection awx.awx")
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="awx-", dir=tree.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        returncode, output = captured([*command, "--only-binary=:all:", "--dest", scratch, PACKAGE])
        if returncode != 0:
            raise Stop(f"{PACKAGE} could not be had from PyPI: check the network, then type the same again", output)
        (wheel,) = Path(scratch).glob("*.whl")
        whole = Path(scratch, "tree")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(whole, [name for name in archive.namelist() if name.startswith(INSIDE)])
        shutil.move(whole, tree)
