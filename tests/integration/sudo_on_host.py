# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's own code on a host, many attempts in one process: a hundred tasks would take minutes.

``SCRIPT`` reads cases as JSON and prints, for each, what the module returned and what the host says afterwards.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.fleet.host import Host
from tests.tools.checkout import ROOT

SCRIPT = r"""
import json, os, subprocess, sys, types
sys.path.insert(0, sys.argv[1])
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["ansible.module_utils.basic"].AnsibleModule = object
from plugins.module_utils._module.sudo_rules import run_module

os.environ["SUDO_USER"] = "ansible"
PATH = "/etc/sudoers.d/identity-roster"


class Done(Exception):
    pass


class Module:
    def __init__(self, params, check_mode):
        self.params, self.check_mode = params, check_mode

    def exit_json(self, **result):
        raise Done({**result, "fails": False})

    fail_json = lambda self, **result: (_ for _ in ()).throw(Done({**result, "fails": True}))


def once(params, check_mode):
    try:
        run_module(Module(params, check_mode))
    except Done as done:
        return done.args[0]


def content():
    return open(PATH, encoding="utf-8", errors="surrogateescape").read() if os.path.exists(PATH) else None


def text(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


answers = []
for params in json.load(sys.stdin):
    before = content()
    planned = once(params, True)
    untouched = content() == before
    done = once(params, False)
    tree = text(["visudo", "-c"])
    sudo = text(["setpriv", "--reuid=ansible", "--regid=ansible", "--init-groups", "sudo", "-k", "-n", "true"])
    answers.append({
        "planned": planned, "done": done, "untouched": untouched, "again": once(params, True), "content": content(),
        "tree": tree.returncode, "sudo": sudo.returncode, "left": sorted(os.listdir("/etc/sudoers.d")),
    })
json.dump(answers, sys.stdout)
"""


def attempts(host: Host, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What came of each case (the module's parameters), in order, on one host."""
    folder = host.root / "opt/roster-test"
    if not folder.exists():
        shutil.copytree(
            ROOT / "plugins/module_utils", folder / "plugins/module_utils", ignore=shutil.ignore_patterns("__pycache__")
        )
        Path(folder, "script.py").write_text(SCRIPT, encoding="utf-8")
    done = host.run(
        ["python3", "-B", "/opt/roster-test/script.py", "/opt/roster-test"], input=json.dumps(cases), timeout=600
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
