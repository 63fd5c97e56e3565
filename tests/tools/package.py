# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection into a folder that is thrown away, and see that its users get all they need and no junk."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NEEDED = {"CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "meta/runtime.yml", "requirements.txt"}
MADE_BY_THE_BUILD = {"FILES.json", "MANIFEST.json"}


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.tools.checkout import ROOT, known_files

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", folder], cwd=ROOT, check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            packed = {member.name for member in tar.getmembers() if not member.isdir()}
        size = archive.stat().st_size
    problems = [f"junk in the package: {name}" for name in sorted(packed - set(known_files()) - MADE_BY_THE_BUILD)]
    problems += [f"hidden file in the package: {name}" for name in sorted(packed) if name.startswith(".")]
    problems += [f"not in the package: {name}" for name in sorted(NEEDED - packed)]
    print(f"{len(packed)} files, {size} bytes", *problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
