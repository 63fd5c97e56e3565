# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every test stands on: the collection is importable, and nothing of the developer's own Ansible leaks in."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import hypothesis.configuration
import pytest

from tests.tools.checkout import ROOT, linked_tree

pytest_plugins = ["tests.fleet.fixtures", "tests.tables"]

_TREE = linked_tree()
sys.path.insert(0, str(_TREE))

hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".dev/hypothesis")
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci")


#: Roughly, what a test takes that asks for this fixture: hosts, or the root directories of hosts.
_SECONDS = {"fleet10": 40, "fleet2": 10, "scenario": 5}


def pytest_configure(config: pytest.Config) -> None:
    # Short, because ssh's control sockets live in it and a socket's path may hold 108 characters.
    home = tempfile.mkdtemp(prefix="roster-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    settings = Path(home, "ansible.cfg")
    settings.touch()
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        del os.environ[name]
    os.environ.update(
        ANSIBLE_HOME=home,
        ANSIBLE_CONFIG=str(settings),
        ANSIBLE_COLLECTIONS_PATH=str(_TREE),
        ANSIBLE_NOCOLOR="1",
        LC_ALL="C.UTF-8",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first: none of them keeps one worker busy when the others are done."""
    seconds = Counter[Path]()
    for item in items:
        seconds[item.path] += max(_SECONDS.get(name, 0) for name in ("", *getattr(item, "fixturenames", ())))
    items.sort(key=lambda item: -seconds[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    failed = os.environ.get("DEV_LINT_FAILED")
    if failed:
        terminalreporter.write_line(f"LINT FAILED before these tests: {failed}", red=True)


@pytest.fixture(scope="session")
def collections_path() -> Path:
    """The folder to name in ANSIBLE_COLLECTIONS_PATH; already set for this process and its children."""
    return _TREE
