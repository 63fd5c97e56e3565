# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of real SSH hosts, from the command line: one command up, one down."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fleet import images
from tests.fleet.fleet import Fleet, fleets_folder
from tests.tools.console import Stop, say


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments ask for; answer with the exit code."""
    asked = _parser().parse_args(arguments)
    folder: Path = getattr(asked, "dir", None) or fleets_folder() / "default"
    if asked.command == "up":
        _up(folder, asked.hosts)
    elif asked.command == "down":
        Fleet(folder).down()
        say(f"no fleet in {folder}")
    elif asked.command == "status":
        return _status(folder)
    else:
        for codename, image in images.ensure().items():
            print(f"{codename}: {image}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start hosts, in place of those that run")
    up.add_argument("hosts", type=int, metavar="N", help="how many; Debian 12 and 13 in turn")
    down = commands.add_parser("down", help="end the fleet and remove all it left")
    status = commands.add_parser("status", help="list the hosts and whether they answer")
    for command in (up, down, status):
        command.add_argument("--dir", type=Path, help="the fleet's folder (default: in the cache)")
    commands.add_parser("images", help="only build what hosts start from")
    return parser


def _up(folder: Path, number: int) -> None:
    images.ensure()
    began = time.monotonic()
    fleet = Fleet(folder, keep=True).up(number)
    say(f"{number} hosts started in {time.monotonic() - began:.1f} s")
    first = fleet.hosts[0]
    print(f"inventory: {fleet.inventory_path}")
    print(f"try: ansible -i {fleet.inventory_path} linux_clients -m ansible.builtin.ping")
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    print(f"try: ssh -i {fleet.key} -p {first.port} {options} ansible@{first.address}")


def _status(folder: Path) -> int:
    fleet = Fleet.load(folder)
    if fleet is None:
        say(f"no fleet in {folder}")
        return 1
    answers = [host.answers() for host in fleet.hosts]
    for host, answer in zip(fleet.hosts, answers, strict=True):
        state = "answers" if answer else "DOES NOT ANSWER"
        print(f"{host.name}  {host.address}:{host.port}  Debian {host.suite.release}  {state}  {host.root}")
    return 0 if all(answers) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Stop, OSError) as problem:
        say(str(problem))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
