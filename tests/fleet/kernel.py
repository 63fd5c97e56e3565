# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says is mounted and running: the only witness a clean-up can trust after a crash.

A process belongs to a fleet when its root directory is one of that fleet's overlay mounts; neither names nor command
lines are ever compared. A process id from a file is used only together with the start time it had when it was written
down, so an id the kernel has given to someone else since is left alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.machine import FleetError, run


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo."""

    point: str
    kind: str
    options: dict[str, str]


@dataclass(frozen=True)
class Process:
    """A process id that can't be mistaken for a later process of the same id."""

    pid: int
    start: int

    @classmethod
    def find(cls, pid: int) -> Process | None:
        """The process with this id that is alive now; a zombie is not."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Process.find(self.pid) == self

    def children(self) -> list[Process]:
        """Its children, as the kernel lists them."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return [child for child in (Process.find(int(pid)) for pid in listed) if child]
        return []


def mounts(pid: int | str = "self") -> Iterator[Mount]:
    """What is mounted in the mount namespace of a process, in order."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _unused, right = line.partition(" - ")
        kind, _unused, options = right.split(" ", 2)
        pairs = (option.partition("=") for option in _plain(options).split(","))
        yield Mount(_plain(left.split(" ")[4]), kind, {key: value for key, _unused, value in pairs})


def _plain(escaped: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), escaped)


def _is_below(path: str, folder: Path) -> bool:
    return path == str(folder) or path.startswith(f"{folder}/")


def mount_points_below(folder: Path) -> list[str]:
    """Mount points in or at a folder, the ones to unmount first at the front."""
    return [mount.point for mount in mounts() if _is_below(mount.point, folder)][::-1]


def is_lower_layer(folder: Path) -> bool:
    """Whether an overlay that is mounted stands on this folder."""
    return any(str(folder) in mount.options.get("lowerdir", "").split(":") for mount in mounts())


def processes_below(folder: Path) -> list[Process]:
    """Every process whose root is an overlay that keeps its changes below this folder."""
    return [process for process in _processes() if _is_rooted_below(process, folder)]


def _processes() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (process := Process.find(int(entry.name))):
            yield process


def _is_rooted_below(process: Process, folder: Path) -> bool:
    try:
        return any(
            mount.point == "/" and mount.kind == "overlay" and _is_below(mount.options.get("upperdir", ""), folder)
            for mount in mounts(process.pid)
        )
    except OSError:  # it ended meanwhile
        return False


def end(processes: list[Process], patience: float = 10) -> None:
    """Kill processes and wait until none of them is left, children of ours and others' alike."""
    for process in processes:
        if process.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + patience
    for process in processes:
        while process.alive():
            if time.monotonic() > deadline:
                raise FleetError(f"process {process.pid} does not end")
            time.sleep(0.002)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def mount_overlay(point: Path, lower: list[Path], upper: Path, work: Path) -> None:
    """Mount an overlay; the first lower folder is the topmost."""
    layers = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    done = run("mount", "-t", "overlay", "-o", layers, "overlay", str(point))
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise FleetError(f"no overlayfs on the file system of {point.parent}: {reason}; try another --dir")


def unmount_below(folder: Path) -> None:
    """Unmount all there is in a folder; what is busy is detached, so that nothing can be reached through it."""
    for point in mount_points_below(folder):
        if run("umount", point).returncode != 0:
            run("umount", "--lazy", point)
    if left := mount_points_below(folder):
        raise FleetError(f"can't unmount {', '.join(left)}")


def remove_tree(folder: Path) -> None:
    """Remove a folder, never anything that is mounted in it."""
    unmount_below(folder)
    shutil.rmtree(folder)
