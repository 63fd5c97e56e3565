# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A home folder for ansible-test, in which it needs nothing but PyPI."""

from __future__ import annotations

import ast
import configparser
import subprocess
from pathlib import Path

from .checkout import cache, locked
from .console import Stop, captured

# The version that ansible-test of ansible-core 2.19 puts into its environments.
PIP = "24.2"

# ansible-test fetches get-pip.py from a server of its own, unless it has one already. This one needs no other server
# than PyPI: it runs the pip that lies in a wheel.
GET_PIP = """\
import runpy, sys
sys.path.insert(0, {wheel!r})
sys.argv[1:] = ["install"] + [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def prepared_home(venv: Path) -> Path:
    """ansible-test keeps environments and downloads below HOME; here they are out of the developer's way."""
    home = cache() / "home"
    with locked(cache() / "home.lock"):
        _carry_over_pip_settings(venv, home / ".config/pip/pip.conf")
        script = home / f".ansible/test/cache/get_pip_{PIP.replace('.', '_')}.py"
        if not script.exists():
            text = GET_PIP.format(wheel=str(_pip_wheel(venv, home / "wheels")))
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(text)
    return home


def _pip_wheel(venv: Path, folder: Path) -> Path:
    command = [str(venv / "bin/pip"), "download", "--quiet", "--no-deps", "--dest", str(folder), f"pip=={PIP}"]
    returncode, output = captured(command)
    if returncode != 0:
        raise Stop(f"pip {PIP} could not be had from PyPI: check the network, then type the same again", output)
    return next(folder.glob(f"pip-{PIP}-*.whl"))


def _carry_over_pip_settings(venv: Path, path: Path) -> None:
    """ansible-test hides PIP_* variables from pip, and HOME hides the developer's pip.conf: write down both."""
    listing = subprocess.run([str(venv / "bin/pip"), "config", "list"], check=True, stdout=subprocess.PIPE, text=True)
    settings = configparser.RawConfigParser()
    settings.read_dict({"global": {"quiet": "2"}})
    for line in listing.stdout.splitlines():
        name, value = line.split("=", 1)
        section, key = name.rsplit(".", 1)
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, key, str(ast.literal_eval(value)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        settings.write(file)
