# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A control node: Debian 13 with its own ansible-core, and a real systemd as the first process once it boots.

The root file system is the fleet's image of Debian 13 and a layer of packages, which is built once and kept. What a
node changes lies in memory that only its own namespaces see, so nothing is left of one that is killed, but an empty
cgroup. It has a network of its own, with nothing but the loopback, and sees this machine's kernel settings read only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.fleet import images, kernel, machine
from tests.fleet.kernel import Process
from tests.fleet.machine import SYSTEM_PATH, FleetError
from tests.tools.checkout import COLLECTION, ROOT, cache, locked
from tests.tools.console import say

COLLECTIONS = "/usr/share/ansible/collections"
PACKAGES = ("systemd", "systemd-sysv", "ansible-core", "python3-requests")
#: What a real machine does when it starts, and what would only take time here.
_MASKED = (
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-fs-fuse-connections.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "ldconfig.service", "systemd-firstboot.service", "systemd-hwdb-update.service"),
    *("systemd-journal-catalog-update.service", "systemd-modules-load.service", "systemd-sysctl.service"),
    *("systemd-networkd.service", "systemd-remount-fs.service", "systemd-sysusers.service", "systemd-udevd.service"),
    *("systemd-network-generator.service", "systemd-networkd.socket", "systemd-update-done.service"),
    *("systemd-networkd-wait-online.service", "systemd-journal-flush.service", "systemd-random-seed.service"),
    *("tmp.mount", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"),
)
_INSTALL = f"""
set -eu
umask 022
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq install --yes --no-install-recommends {" ".join(PACKAGES)}
apt-get -qq clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*
for unit in {" ".join(_MASKED)}; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
ssh-keygen -A
mkdir -m 0700 -p /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
sed 's/^/127.0.0.1 /' /etc/ssh/ssh_host_ed25519_key.pub > /root/.ssh/known_hosts
"""
# $1 a folder to mount on, $2 the layers, $3 the checkout.
_BOOT = f"""
set -eu
umask 022
ip link set lo up
mount -t tmpfs -o mode=0755 tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o "lowerdir=$2,upperdir=upper,workdir=work" overlay root
cd root
echo control > etc/hostname
mkdir -p .{COLLECTIONS}/{COLLECTION}
mount --bind "$3" .{COLLECTIONS}/{COLLECTION}
mount -o remount,bind,ro .{COLLECTIONS}/{COLLECTION}
mount -t proc -o nosuid,nodev,noexec proc proc
for shared in sys sysrq-trigger; do
    [ -e "proc/$shared" ] || continue
    mount --bind "proc/$shared" "proc/$shared"
    mount -o remount,bind,ro "proc/$shared"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs run
mount -t tmpfs -o nosuid,noexec,mode=0755 tmpfs dev
mkdir dev/pts dev/shm dev/machine
mount -t devpts -o nosuid,noexec,newinstance,gid=5,mode=0620,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
for device in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    set -- $device
    mknod -m 0666 "dev/$1" c "$2" "$3"
done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
pivot_root . dev/machine
umount -l dev/machine
rmdir dev/machine
# Or no service would see its credentials, which systemd mounts.
mount --make-rshared .
mkfifo run/boot
exec chroot . sh -c 'read unused < /run/boot; rm /run/boot; exec "$@"' boot \\
    env -i container=roster PATH={SYSTEM_PATH} /usr/lib/systemd/systemd \\
    --unit=basic.target --log-target=console --log-level=notice
"""
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class ControlNode:
    """Use it as a context. Before `boot` it is as an image that is being built: systemd is there and does not run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._cgroup = _cgroups() / f"identity-roster-control-{os.getpid()}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._init: Process | None = None

    def __enter__(self) -> ControlNode:
        layers = _layers()
        _remove_cgroups(dead=True)
        mount = self._folder / "mount"
        mount.mkdir(parents=True)
        self._cgroup.mkdir()
        enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        command = [*_DIES_WITH_US, "sh", "-c", enter, str(self._cgroup), "unshare", *_NAMESPACES]
        command += ["--propagation", "private", "--fork", "--kill-child", "sh", "-c", _BOOT, "boot"]
        command += [str(mount), ":".join(map(str, layers)), str(ROOT)]
        with self._log.open("wb") as log:
            self._outer = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        try:
            self._await("its first process waits", self._entered)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_unused: object) -> None:
        assert self._outer
        outer = Process.find(self._outer.pid)
        kernel.end([process for process in (self._init, outer) if process])
        self._outer.wait()
        _remove_cgroups()

    @property
    def root(self) -> Path:
        """The node's file system. Absolute symbolic links in it lead to this machine's files."""
        assert self._init
        return Path(f"/proc/{self._init.pid}/root")

    def run(
        self, *command: str, check: bool = True, env: dict[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root on the node."""
        done = subprocess.run(
            self._entering(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})},
            timeout=timeout,
        )
        assert not check or done.returncode == 0, (command, done.stdout + done.stderr)
        return done

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        """A file on the node."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        file.chmod(mode)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def _entering(self, command: Sequence[str]) -> list[str]:
        assert self._init
        options = ["--root", "--wd", "--"]
        return ["nsenter", f"--target={self._init.pid}", *_NAMESPACES, *options, *command]

    def boot(self) -> None:
        """Return when systemd has started what it shall."""
        (self.root / "run/boot").write_text("now\n")
        self._await("systemd starts", lambda: self._state() in ("running", "degraded"))

    def _state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _entered(self) -> bool:
        assert self._outer
        outer = Process.find(self._outer.pid)
        self._init = next(iter(outer.children()), None) if outer else None
        return self._init is not None and (self.root / "run/boot").is_fifo()

    def _await(self, what: str, condition: Callable[[], bool], patience: float = 60) -> None:
        assert self._outer
        deadline = time.monotonic() + patience
        while not condition():
            if self._outer.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text(errors="replace").strip()[-500:]
                raise FleetError(f"the control node is not where {what}: {said}")
            time.sleep(0.05)


def obstacle() -> str | None:
    """Why there can be no control node on this machine."""
    if os.geteuid() != 0:
        return "a control node needs root: mounts and namespaces"
    if not os.access(next(_cgroup_mounts(), "/nonexistent"), os.W_OK):
        return "a control node needs a cgroup2 file system that can be written to: systemd makes groups in it"
    return None


def _cgroup_mounts() -> Iterator[str]:
    return (mount.point for mount in kernel.mounts() if mount.kind == "cgroup2")


def _cgroups() -> Path:
    return Path(next(_cgroup_mounts()))


def _remove_cgroups(*, dead: bool = False) -> None:
    """Those of this process, or of processes that are gone."""
    for top in _cgroups().glob("identity-roster-control-*"):
        pid = int(top.name.rpartition("-")[2])
        if pid == os.getpid() or (dead and not Process.find(pid)):
            for folder, _folders, _files in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


def _layers() -> list[Path]:
    """The layers of the root file system, topmost first; built where they are missing."""
    machine.require_root()
    base = images.ensure()["trixie"]
    folder = cache() / "control"
    layer = folder / f"trixie-{hashlib.sha256(repr((base.name, _INSTALL)).encode()).hexdigest()[:12]}"
    with locked(folder / "lock"):
        if not layer.is_dir():
            for leftover in folder.glob(".build-*"):
                kernel.remove_tree(leftover)
            say(f"building a control node's packages: about a minute; log: {folder / 'log'}")
            _build(folder, base, layer)
    return [layer, base]


def _build(folder: Path, base: Path, layer: Path) -> None:
    build = folder / f".build-{os.getpid()}"
    root, upper, work = (build / part for part in ("root", "upper", "work"))
    for part in (root, upper, work):
        part.mkdir(parents=True)
        part.chmod(0o755)
    kernel.mount_overlay(root, [base], upper, work)
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    proxies.update((f"{scheme}_proxy", url) for scheme, url in machine.proxies().items())
    own = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    with (folder / "log").open("w") as output:
        done = subprocess.run(
            [
                *_DIES_WITH_US,
                *"unshare --mount --pid --fork --kill-child".split(),
                f"--root={root}",
                "sh",
                "-c",
                _INSTALL,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            env={**own, **proxies},
        )
    kernel.unmount_below(build)
    if done.returncode != 0:
        raise FleetError(f"building a control node failed (log: {folder / 'log'})")
    os.sync()
    for old in folder.glob("trixie-*"):
        # Another checkout may be at work on it: only what nobody has built again for a week.
        if time.time() - old.stat().st_mtime > 7 * 86400:
            shutil.rmtree(old)
    upper.rename(layer)
    kernel.remove_tree(build)
