# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet: hosts, the key they are reached with, and an inventory of them.

All there is to know about a fleet is in its folder and in /proc. `down` works from these alone, so that one program can
end what another one started, or what was left when it was killed: the state file is written before the first host
starts, and what the file misses (a process that outlived its parent, a mount) the kernel still tells.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import images, kernel, machine
from tests.fleet.host import NO_KNOWN_HOSTS, Host, restart, write_askpass
from tests.fleet.images import CONTROL_UID, CONTROL_USER, SUITES
from tests.fleet.kernel import Process
from tests.fleet.machine import FleetError
from tests.tools.checkout import cache, locked
from tests.tools.console import say

FORMAT = "identity.roster.fleet/1"
MOST_HOSTS = 254


def fleets_folder() -> Path:
    """Where fleets are that nobody gave a folder."""
    return cache() / "fleets"


@dataclass(frozen=True)
class State:
    """What the state file says."""

    block: str
    port: int
    owner: Process | None
    hosts: int

    @classmethod
    def read(cls, folder: Path) -> State | None:
        """The state of the fleet in a folder, if there is one."""
        try:
            found = json.loads((folder / "fleet.json").read_text())
        except FileNotFoundError:
            return None
        if found.get("format") != FORMAT:
            raise FleetError(f"{folder / 'fleet.json'} is not a fleet's state; remove {folder} yourself")
        owner = Process(*found["owner"]) if found["owner"] else None
        return cls(found["block"], found["port"], owner, found["hosts"])

    def write(self, folder: Path) -> None:
        """Replace the state file."""
        owner = [self.owner.pid, self.owner.start] if self.owner else None
        content = {"format": FORMAT, "block": self.block, "port": self.port, "owner": owner, "hosts": self.hosts}
        new = folder / "fleet.json.new"
        new.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
        new.replace(folder / "fleet.json")


class Fleet:
    """Hosts on loopback addresses, Debian 12 and 13 in turn.

    With `keep` the fleet outlives this program; without, it ends with it, or at the latest when the next fleet that
    is started finds that its owner is gone.
    """

    def __init__(self, folder: Path, *, port: int = 2222, keep: bool = False) -> None:
        self.folder = folder.resolve()  # as mountinfo names it
        self.hosts: list[Host] = []
        self.port = port
        self._keep = keep

    @classmethod
    def load(cls, folder: Path) -> Fleet | None:
        """The fleet another program has started in a folder."""
        fleet = cls(folder)
        state = State.read(fleet.folder)
        if state is None:
            return None
        fleet.port = state.port
        fleet.hosts = list(fleet._named(state))
        return fleet

    @property
    def key(self) -> Path:
        """The private key of the controller."""
        return self.folder / "key"

    @property
    def inventory_path(self) -> Path:
        """The inventory that `up` writes."""
        return self.folder / "inventory.yml"

    def up(self, number: int) -> Fleet:
        """Start this many hosts, in place of whatever was left in the folder."""
        self._check(number)
        images.ensure()
        fleets_folder().mkdir(parents=True, exist_ok=True)
        with locked(fleets_folder() / "lock"):
            state = State.read(self.folder)
            if state and state.owner and state.owner.alive() and state.owner.pid != os.getpid():
                raise FleetError(f"process {state.owner.pid} is using the fleet in {self.folder}")
            self._end()
            sweep()
            with ExitStack() as undo:
                undo.callback(self._end)
                self._start(number)
                undo.pop_all()
        if not self._keep:
            atexit.register(self._end_at_exit, os.getpid())
        return self

    def down(self) -> None:
        """End every process, unmount, remove the folder; a fleet that is not there is fine."""
        fleets_folder().mkdir(parents=True, exist_ok=True)
        with locked(fleets_folder() / "lock"):
            self._end()
        atexit.unregister(self._end_at_exit)

    def reset(self) -> None:
        """Make all hosts pristine, at the same time."""
        restart(self.hosts)

    def inventory(self, path: Path) -> Path:
        """Write an inventory of the fleet for Ansible."""
        path.write_text("\n".join(self._inventory_lines()) + "\n")
        return path

    def _check(self, number: int) -> None:
        if not 1 <= number <= MOST_HOSTS:
            raise FleetError(f"a fleet has 1 to {MOST_HOSTS} hosts, not {number}")
        if set(str(self.folder)) & set(',:\\"'):
            raise FleetError(f"overlayfs can't work in a folder with a comma, colon, quote or backslash: {self.folder}")
        if self.folder.exists() and any(self.folder.iterdir()) and not State.read(self.folder):
            raise FleetError(f"{self.folder} has something else in it; name an empty folder or a new one")
        machine.require_root()
        machine.require_overlayfs()
        machine.require_commands()

    def _start(self, number: int) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        block = _free_block(number, self.port)
        owner = None if self._keep else Process.find(os.getpid())
        state = State(block, self.port, owner, number)
        state.write(self.folder)
        write_askpass(self.folder)
        self._write_site()
        self.hosts = list(self._named(state))
        restart(self.hosts)
        self.inventory(self.inventory_path)

    def _named(self, state: State) -> Iterator[Host]:
        for index in range(state.hosts):
            suite = SUITES[index % len(SUITES)]
            name = f"{suite.prefix}-{index // len(SUITES) + 1}"
            address = f"{state.block}.{index + 1}"
            yield Host(name, address, state.port, suite, self.folder, images.image_of(suite))

    def _write_site(self) -> None:
        """The layer between the image and each host: this fleet's keys."""
        site = self.folder / "site"
        for folder, mode in (("", 0o755), ("etc", 0o755), ("etc/ssh", 0o755), ("home", 0o755)):
            _make_folder(site / folder, mode)
        _generate_key(site / "etc/ssh/ssh_host_ed25519_key", "host")
        _generate_key(self.key, "control")
        for home, uid in (("root", 0), (f"home/{CONTROL_USER}", CONTROL_UID)):
            _make_folder(site / home, 0o700, uid)
            _make_folder(site / home / ".ssh", 0o700, uid)
            authorised = site / home / ".ssh/authorized_keys"
            shutil.copyfile(self.key.with_suffix(".pub"), authorised)
            authorised.chmod(0o600)
            os.chown(authorised, uid, uid)

    def _end(self) -> None:
        if State.read(self.folder) is None:
            return
        recorded = [process for host in (Fleet.load(self.folder) or self).hosts for process in host.processes()]
        kernel.end(recorded)
        kernel.end(kernel.processes_below(self.folder))
        for host in self.hosts:
            host.clear()
        # The state file goes last: an interrupted clean-up can be taken up again.
        for name in ("hosts", "site"):
            if (self.folder / name).exists():
                kernel.remove_tree(self.folder / name)
        kernel.remove_tree(self.folder)
        self.hosts = []

    def _end_at_exit(self, owner: int) -> None:
        # A forked child runs its parent's exit handlers too.
        if os.getpid() == owner:
            self.down()

    def _inventory_lines(self) -> Iterator[str]:
        yield "---"
        yield "linux_clients:"
        yield "  vars:"
        options = " ".join((*NO_KNOWN_HOSTS, "-o ControlMaster=auto", "-o ControlPersist=60s"))
        for name, value in (
            ("ansible_port", str(self.port)),
            ("ansible_user", CONTROL_USER),
            ("ansible_become", "true"),
            ("ansible_python_interpreter", "/usr/bin/python3"),
            ("ansible_ssh_private_key_file", json.dumps(str(self.key))),
            ("ansible_ssh_common_args", json.dumps(options)),
        ):
            yield f"    {name}: {value}"
        yield "  children:"
        for suite in SUITES:
            members = [host for host in self.hosts if host.suite == suite]
            yield f"    {suite.group}:"
            yield f"      hosts:{'' if members else ' {}'}"
            yield from _host_lines(members)


def _host_lines(hosts: Sequence[Host]) -> Iterator[str]:
    for host in hosts:
        yield f"        {host.name}:"
        yield f"          ansible_host: {host.address}"


def sweep() -> None:
    """End fleets whose owner was killed before it could."""
    for folder in sorted(fleets_folder().iterdir()):
        state = State.read(folder) if folder.is_dir() else None
        if state and state.owner and not state.owner.alive():
            say(f"ending a fleet whose owner is gone: {folder}")
            Fleet(folder)._end()


def _free_block(number: int, port: int) -> str:
    """The first 127.x.y in which nothing listens, and which no fleet of this cache has."""
    states = (State.read(folder) for folder in fleets_folder().iterdir() if folder.is_dir())
    taken = {state.block for state in states if state}
    for high in range(1, 255):
        for low in range(255):
            block = f"127.{high}.{low}"
            if block not in taken and all(_is_free(f"{block}.{host}", port) for host in range(1, number + 1)):
                return block
    raise FleetError(f"no free block of {number} loopback addresses at port {port}")


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _make_folder(folder: Path, mode: int, uid: int = 0) -> None:
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, uid, uid)


def _generate_key(path: Path, comment: str) -> None:
    command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"identity.roster fleet {comment}", "-f", str(path))
    done = machine.run(*command)
    if done.returncode != 0:
        raise FleetError(f"ssh-keygen: {' '.join(done.stderr.split())}")
