# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: an overlay on an image, namespaces, and sshd as their first process.

The overlay is mounted in the main mount namespace, below the fleet's folder, so that a test reads a host's /etc/shadow
as a plain path. The other way, /proc/PID/root, leaves nothing to unmount after a crash; but it is a link that
`Path.resolve()` follows to the *machine's* own root, and it changes with every restart. What is mounted can be found
again in mountinfo, so a forgotten mount is the smaller risk.

Inside, pivot_root and not chroot: the host's mount namespace then holds nothing but its own mounts, and a host that is
still running does not keep another one's overlay busy. When its first process dies the kernel ends all others.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleet import kernel
from tests.fleet.images import CONTROL_USER, Suite
from tests.fleet.kernel import Process
from tests.fleet.machine import SYSTEM_PATH, FleetError

# Runs as the first process of the host's namespaces: $1 root, $2 name, $3 address, $4 port.
BOOT = """
set -eu
umask 022
echo "$2" > /proc/sys/kernel/hostname
cd "$1"
mount -t proc -o nosuid,nodev,noexec proc proc
for shared in sys sysrq-trigger; do
    [ -e "proc/$shared" ] || continue
    mount --bind "proc/$shared" "proc/$shared"
    mount -o remount,bind,ro "proc/$shared"
done
mount -t tmpfs -o nosuid,noexec,mode=0755 tmpfs dev
mkdir dev/pts dev/shm dev/machine
mount -t devpts -o nosuid,noexec,newinstance,gid=5,mode=0620,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
mknod -m 0666 dev/null c 1 3
mknod -m 0666 dev/zero c 1 5
mknod -m 0666 dev/full c 1 7
mknod -m 0666 dev/random c 1 8
mknod -m 0666 dev/urandom c 1 9
mknod -m 0666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
pivot_root . dev/machine
umount -l dev/machine
rmdir dev/machine
exec chroot . /usr/sbin/sshd -D -e -o "ListenAddress=$3" -o "Port=$4"
"""

_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc")
_ASKPASS_VARIABLE = "IDENTITY_ROSTER_FLEET_PASSWORD"
_ASKPASS = f"""#!/bin/sh
printf '%s\\n' "${_ASKPASS_VARIABLE}"
"""

NO_KNOWN_HOSTS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


@dataclass
class Host:
    """A host of a fleet; `root` is its file system as the machine sees it.

    Absolute symbolic links below `root` lead out of it: read what they point to by `run`.
    """

    name: str
    address: str
    port: int
    suite: Suite
    fleet_folder: Path
    image: Path
    _spawned: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """All that belongs to this host."""
        return self.fleet_folder / "hosts" / self.name

    @property
    def root(self) -> Path:
        """The merged root file system."""
        return self.folder / "root"

    @property
    def log(self) -> Path:
        """What sshd said since the last start."""
        return self.folder / "log"

    @property
    def key(self) -> Path:
        """The fleet's control key: root and the control user are logged in to with it."""
        return self.fleet_folder / "key"

    def init(self) -> Process | None:
        """The host's first process, in the machine's process ids, if the host runs."""
        outer = self._outer()
        return next(iter(outer.children()), None) if outer else None

    def start(self) -> None:
        """Mount a new, empty upper layer and start; returns before logins work (see `wait`)."""
        upper, work = self._layer / "upper", self._layer / "work"
        etc = upper / "etc"
        for folder in (self.root, etc, work):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        upper.chmod(0o755)
        hosts = f"127.0.0.1 localhost\n{self.address} {self.name}\n"
        for path, content in ((etc / "hostname", f"{self.name}\n"), (etc / "hosts", hosts)):
            path.write_text(content)
            path.chmod(0o644)
        kernel.mount_overlay(self.root, [self.fleet_folder / "site", self.image], upper, work)
        command = [*("unshare", *_NAMESPACES, "--propagation", "private", "--fork", "--kill-child", "sh", "-c", BOOT)]
        command += ["boot", str(self.root), self.name, self.address, str(self.port)]
        with self.log.open("wb") as log:
            self._spawned = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), start_new_session=True
            )
        if process := Process.find(self._spawned.pid):
            (self.folder / "process").write_text(json.dumps([process.pid, process.start]))

    def wait(self, patience: float = 20) -> None:
        """Return when sshd answers; a host that dies meanwhile is an error with sshd's last words."""
        deadline = time.monotonic() + patience
        while not self.answers():
            if self._outer() is None or time.monotonic() > deadline:
                said = " / ".join(self.log.read_text(errors="replace").split("\n")[-4:]).strip(" /")
                raise FleetError(f"{self.name} does not start: {said or 'no reason given'}")
            time.sleep(0.005)

    def answers(self) -> bool:
        """Whether sshd greets."""
        try:
            with socket.create_connection((self.address, self.port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def processes(self) -> list[Process]:
        """What to kill so that nothing of the host is left."""
        return [process for process in (self._outer(), self.init()) if process]

    def clear(self) -> None:
        """Unmount a host whose processes have ended, and forget what was changed on it."""
        if self._spawned:
            self._spawned.wait()
            self._spawned = None
        kernel.unmount_below(self.folder)
        if self._layer.exists():
            shutil.rmtree(self._layer)

    def reset(self) -> None:
        """Make the host what it was when the fleet came up: nothing that was changed on it remains."""
        restart([self])

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool = False,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        env: dict[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside the host, without SSH."""
        init = self.init()
        if init is None:
            raise FleetError(f"{self.name} does not run")
        enter = ["nsenter", f"--target={init.pid}", *_NAMESPACES, "--root", "--wd", "--", *command]
        own = {"HOME": "/root", "USER": "root", "LOGNAME": "root", **(env or {})}
        done = _completed(enter, input, _environment(own), timeout)
        if check and done.returncode != 0:
            raise FleetError(f"{self.name}: {' '.join(command)}: return code {done.returncode}: {done.stderr.strip()}")
        return done

    def ssh(
        self,
        user: str = CONTROL_USER,
        *,
        key: Path | None = None,
        password: str | None = None,
        command: str = "true",
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Log in over the network: by password if there is one, else by key (the fleet's own if none is named).

        The return code is the command's, or 255 when the login is refused.
        """
        arguments = ["ssh", "-F", "none", *NO_KNOWN_HOSTS, "-o", "ConnectTimeout=10", "-p", str(self.port)]
        variables: dict[str, str] = {}
        if password is None:
            arguments += ["-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey"]
            arguments += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", str(key or self.key)]
        else:
            arguments += ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password"]
            arguments += ["-o", "NumberOfPasswordPrompts=1"]
            variables = {
                "SSH_ASKPASS": str(self.fleet_folder / "askpass"),
                "SSH_ASKPASS_REQUIRE": "force",
                _ASKPASS_VARIABLE: password,
            }
        arguments += [f"{user}@{self.address}", command]
        return _completed(arguments, input, _environment(variables), timeout)

    @property
    def _layer(self) -> Path:
        return self.folder / "layer"

    def _outer(self) -> Process | None:
        """The process that holds the host's namespaces, from the file: another program may have started it."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid, start = json.loads((self.folder / "process").read_text())
            process = Process(pid, start)
            return process if process.alive() else None
        return None


def restart(hosts: Sequence[Host]) -> None:
    """Bring hosts up in their first state, all at the same time."""
    kernel.end([process for host in hosts for process in host.processes()])
    for host in hosts:
        host.clear()
    for host in hosts:
        host.start()
    for host in hosts:
        host.wait()


def write_askpass(folder: Path) -> None:
    """The program ssh asks for a password: it has none itself, and takes it from its environment."""
    script = folder / "askpass"
    script.write_text(_ASKPASS)
    script.chmod(0o700)


def _environment(variables: dict[str, str] | None = None) -> dict[str, str]:
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", **(variables or {})}


def _completed(
    command: list[str], stdin: str | None, env: dict[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin or "",
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=env,
        timeout=timeout,
    )
