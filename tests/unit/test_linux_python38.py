# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts' oldest Python runs what the hosts run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = """
import importlib, pkgutil, sys
base = "ansible_collections.identity.roster.plugins.module_utils"
for name in ("_errors", "_limits", "_outcome", "_roster", "_linux"):
    module = importlib.import_module(base + "." + name)
    for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
        importlib.import_module(base + "." + name + "." + found.name)
foreign = [name for name in sys.modules if name.split(".")[0] in ("ansible", "requests", "ldap3", "yaml")]
assert not foreign, foreign
load = lambda name: importlib.import_module(base + "." + name)
validation, document = load("_roster.validation"), load("_roster.document")
engine, draft = load("_linux.engine"), load("_linux.draft")
roster = validation.build_from_records({"kind": "t"}, [
    {"username": "anna", "uid": 5000, "password_hash": "$6$s$" + "a" * 86, "groups": ["team"], "admin": True},
    {"username": "bert", "enabled": False}, {"username": "root"},
])
content = document.serialise(roster)
read = lambda: content
digest = document.digest(content)
options = draft.Options(admin_group="sudo", default_shell="/bin/sh", create_homes=False)
for check in (True, False, False):
    outcome = engine.run(engine.Request(sys.argv[1], "/state", options, "o", digest, digest, read, check, {}))
    print(outcome.summary()["created"], outcome.summary()["unchanged"], len(outcome.rejected))
"""


def interpreters() -> list[str]:
    found = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    return [str(path) for path in found] + [path for path in [shutil.which("python3.8")] if path]


def test_python_3_8(tmp_path: Path, collections_path: Path) -> None:
    if not interpreters():
        pytest.skip("there is no Python 3.8 here")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name, text in {
        "passwd": "root:x:0:0::/root:/bin/sh\n",
        "shadow": "root:*:1::::::\n",
        "group": "root:x:0:\nsudo:x:27:\n",
        "gshadow": "root:*::\nsudo:*::\n",
    }.items():
        (root / "etc" / name).write_text(text)
    done = subprocess.run(
        [interpreters()[0], "-W", "error", "-B", "-c", PROGRAM, root],
        env={**os.environ, "PYTHONPATH": str(collections_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["2 0 1", "2 0 1", "0 2 1"]
    assert "anna:x:5000:5000::/home/anna:/bin/sh\n" in (root / "etc/passwd").read_text()
