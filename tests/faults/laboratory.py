# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root directories for one fault each: a Debian image below an upper layer that is thrown away.

All of it is in one mount namespace with one process in it (inside.py), so nothing is left to unmount whatever happens
to the tests. The upper layers are in memory: hundreds of cases, and a run calls fsync two dozen times. What a case
changed is exactly what is in its upper layer.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fleet import images
from tests.fleet.host import NO_KNOWN_HOSTS
from tests.fleet.images import Suite
from tests.fleet.machine import SYSTEM_PATH
from tests.tools.checkout import COLLECTION, ROOT

#: $1 a folder to mount at, $2 the image, $3 the code, $4 the program
_BOOT = """
set -eu
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mkdir -p run/image run/layers run/case run/code
mount --bind "$2" run/image
mount -o remount,bind,ro run/image
mount -t tmpfs -o mode=0755 tmpfs run/layers
cp -r "$3/." run/code/
cp "$4" run/inside.py
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o mode=0755 tmpfs dev
for node in null zero full random urandom tty; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
exec chroot . python3 -X utf8 -u /run/inside.py
"""


@dataclass(frozen=True)
class Call:
    """One system call of a run: the ``number``-th of its name."""

    name: str
    number: int
    #: the line of the trace
    text: str

    def __str__(self) -> str:
        return f"{self.name} {self.number}: {self.text}"


@dataclass(frozen=True)
class Ended:
    """How a child ended: its return code (-9: killed) and what it said, if it came to that."""

    code: int
    result: dict[str, Any] | None


class Laboratory:
    """One image, one case at a time."""

    def __init__(self, suite: Suite, folder: Path) -> None:
        images.ensure()
        self.suite = suite
        folder.mkdir()
        code = folder / "code"
        plugins = ROOT / "plugins/module_utils"
        shutil.copytree(
            plugins, code / COLLECTION / "plugins/module_utils", ignore=shutil.ignore_patterns("__pycache__")
        )
        mounted = folder / "mounted"
        mounted.mkdir()
        boot = [
            "boot",
            str(mounted),
            str(images.image_of(suite)),
            str(code),
            str(Path(__file__).with_name("inside.py")),
        ]
        # Its own process ids, too: a run looks at the processes there are, and must find the same each time.
        alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--propagation", "private", "--fork"]
        self._process = subprocess.Popen(
            [*alone, "--kill-child", "sh", "-c", _BOOT, *boot],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        self._ask("hello")
        self._server = _children(self._process.pid)[0]
        self._folder = folder
        self._cases = 0
        self._kept = {""}
        self.case = ""

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    # -- cases

    def lay_out(self, *layers: str) -> None:
        """Start a case on top of earlier ones that were kept (topmost first); the case before it is thrown away."""
        self._cases += 1
        drop = None if self.case in self._kept else self.case
        self.case = f"case{self._cases}"
        self._ask("lay_out", name=self.case, layers=list(layers), drop=drop)

    def keep(self) -> str:
        """Keep the case at hand for others to stand on; answers with its name."""
        self._kept.add(self.case)
        return self.case

    @property
    def root(self) -> Path:
        """The root directory of the case. Absolute links in it lead out of it."""
        return self._inside / "run/case"

    @property
    def changed(self) -> Path:
        """The upper layer: what the case changed, with nothing else in it."""
        return self._inside / "run/layers" / self.case / "upper"

    def ssh(self, user: str, password: str) -> bool:
        """A real login over SSH, by password, with the case's own sshd at the other end of a pipe."""
        # Not in its process ids: what sshd leaves behind would be among the processes that later runs look at.
        sshd = f"nsenter --target={self._server} --mount --root chroot /run/case /usr/sbin/sshd -i"
        askpass = self._folder / "askpass"
        askpass.write_text("#!/bin/sh\nprintf '%s\\n' \"$FAULTS_PASSWORD\"\n")
        askpass.chmod(0o700)
        done = subprocess.run(
            [
                *("ssh", "-F", "none", *NO_KNOWN_HOSTS, "-o", f"ProxyCommand={sshd} -o PermitRootLogin=yes"),
                *("-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"),
                *(f"{user}@case", "id -un"),
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": SYSTEM_PATH, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force",
                 "FAULTS_PASSWORD": password},
        )  # fmt: skip
        return done.returncode == 0 and done.stdout == f"{user}\n"

    @property
    def _inside(self) -> Path:
        return Path(f"/proc/{self._server}/root")

    def shell(self, script: str) -> str:
        """Run a script in the laboratory, where the case's root directory is /run/case."""
        answer = self._ask("shell", script=script)
        assert answer["code"] == 0, answer["output"]
        return str(answer["output"])

    # -- processes in the case's root directory

    def do(self, task: dict[str, Any]) -> dict[str, Any]:
        """A task's result."""
        ended = self.wait(self.start(task))
        assert ended.result is not None, f"ended with {ended.code} and said nothing"
        assert "crashed" not in ended.result, ended.result["crashed"]
        return ended.result

    def execute(self, *command: str, text: str = "") -> str:
        answer = self.do({"do": "execute", "command": command, "input": text})
        assert answer["code"] == 0, (command, answer["output"])
        return str(answer["output"])

    def start(self, task: dict[str, Any], gate: bool = False) -> int:
        """Start a task; with ``gate`` it waits for ``let_go`` before it begins."""
        return int(self._ask("start", task={**task, "gate": gate}))

    def let_go(self, pid: int) -> None:
        self._ask("let_go", pid=pid)

    def wait(self, pid: int) -> Ended:
        return Ended(**self._ask("wait", pid=pid))

    def traced(self, task: dict[str, Any], *options: str) -> tuple[Ended, list[Call]]:
        """Run a task below strace; answers with how it ended and its system calls until it had its result."""
        log = self._folder / "trace"
        pid = self.start(task, gate=True)
        outer = next(child for child in _children(self._server) if _inner(child) == pid)
        command = ["strace", "-y", "-s", "0", "-e", "signal=none", "-o", str(log), "-p", str(outer), *options]
        with ExitStack() as stack:
            tracer = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            assert tracer.stderr is not None
            stack.callback(tracer.wait)
            said = tracer.stderr.readline()
            assert said.endswith("attached\n"), said
            self.let_go(pid)
            ended = self.wait(pid)
        return ended, _calls(log.read_text(errors="replace").splitlines())

    def _ask(self, do: str, **command: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the laboratory's process has ended"
        return json.loads(line)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _inner(pid: int) -> int:
    """A process's id in the innermost namespace it is in."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith("NSpid:"))


def _calls(lines: Sequence[str]) -> list[Call]:
    calls: list[Call] = []
    counts: dict[str, int] = {}
    for line in lines:
        found = re.match(r"(\w+)\(", line)
        if found:
            counts[found[1]] = counts.get(found[1], 0) + 1
            calls.append(Call(found[1], counts[found[1]], line))
    return calls
