# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The laboratory's half in the image: runs the engine, PAM and Debian's tools, with the image's own Python.

One process that forks: a run then costs milliseconds, not the start of a Python. It is rooted in a copy of the image;
each child enters the root directory of the case at hand before it does anything. Commands come as JSON, one a line.
Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

CASE = "/run/case"
#: In seconds; what is not done by then never will be.
PATIENCE = 40
MS_BIND, MS_REC, MNT_DETACH = 4096, 16384, 2

# Where the laboratory put a copy of the collection's module_utils.
sys.path.insert(0, "/run/code")

from ansible_collections.identity.roster.plugins.module_utils._errors import RosterError  # noqa: E402
from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS  # noqa: E402
from ansible_collections.identity.roster.plugins.module_utils._linux import engine  # noqa: E402
from ansible_collections.identity.roster.plugins.module_utils._linux.draft import Options  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
pam = ctypes.CDLL("libpam.so.0")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind, data)]
    if libc.mount(texts[0], texts[1], texts[2], flags, texts[3]) != 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem), target)


def lay_out(name: str, layers: list[str], drop: str | None) -> None:
    """Mount a case: the layers and then the image, below an empty upper layer. The case before it goes."""
    libc.umount2(CASE.encode(), MNT_DETACH)
    if drop:
        shutil.rmtree(f"/run/layers/{drop}")
    folder = f"/run/layers/{name}"
    for part in ("", "/upper", "/work"):
        os.mkdir(folder + part, 0o755)
    lower = ":".join([f"/run/layers/{layer}/upper" for layer in layers] + ["/run/image"])
    # A folder of a lower layer can only then be renamed, as on any other file system.
    options = f"redirect_dir=on,lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work"
    mount("overlay", CASE, "overlay", 0, options)
    for path in ("/proc", "/dev"):
        mount(path, CASE + path, None, MS_BIND | MS_REC)


# -- what a child does, in the case's root directory


def run_engine(task: dict[str, Any]) -> dict[str, Any]:
    if task["clock"] is not None:
        time.time = lambda: float(task["clock"])
    if task["patience"] is not None:
        engine.LOCK_WAIT = task["patience"]
    options = dict(task["options"])
    roster = task["roster"]
    request = engine.Request(
        root="/",
        state_directory="/var/lib/identity-roster",
        options=Options(**{**options, "adopt": frozenset(options.get("adopt", ()))}),
        options_digest=json.dumps(options, sort_keys=True),
        roster_digest=task["digest"],
        sent_digest=None if roster is None else task["digest"],
        roster=None if roster is None else roster.encode,
        check_mode=task["check"],
        limits=DEFAULTS,
    )
    try:
        outcome = engine.run(request)
    except RosterError as problem:
        return {"refused": str(problem)}
    except engine.RosterNeeded:
        return {"needed": True}
    return outcome.as_result()


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_CONVERSATION = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(_Message)), ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)  # fmt: skip
_DELAY = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
_PAM_FAIL_DELAY = 10


class _Conversation(ctypes.Structure):
    _fields_ = (("function", _CONVERSATION), ("data", ctypes.c_void_p))


def may_log_in(user: str, password: str, service: str = "sshd") -> bool:
    """Password and account, asked as sshd asks. PAM's delay after a refusal is left out."""
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p

    def answer(count: int, _messages: Any, responses: Any, _data: Any) -> int:
        block = ctypes.cast(libc.calloc(count, ctypes.sizeof(_Response)), ctypes.POINTER(_Response))
        for number in range(count):
            block[number].text = libc.strdup(password.encode())
        responses[0] = block
        return 0

    function, no_delay = _CONVERSATION(answer), _DELAY(lambda *_arguments: None)
    handle = ctypes.c_void_p()
    pam.pam_start(service.encode(), user.encode(), ctypes.byref(_Conversation(function, None)), ctypes.byref(handle))
    pam.pam_set_item(handle, _PAM_FAIL_DELAY, ctypes.cast(no_delay, ctypes.c_void_p))
    code = pam.pam_authenticate(handle, 0) or pam.pam_acct_mgmt(handle, 0)
    pam.pam_end(handle, code)
    return bool(code == 0)


def look(task: dict[str, Any]) -> dict[str, Any]:
    """What the system says of itself: its own checkers, who may log in, and who is in the admin group."""
    lines: list[str] = []
    for program in ("pwck", "grpck"):
        done = subprocess.run([program, "-r"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        for line in done.stdout.splitlines():
            if lines and line.startswith(("delete ", "add ")):  # what it would do about the complaint before
                lines[-1] += "; " + line
            elif not line.endswith("no changes"):
                lines.append(line)
    admins = subprocess.run(["getent", "group", "sudo"], capture_output=True, text=True, check=False).stdout
    return {
        "complaints": lines,
        "logins": [may_log_in(user, password) for user, password in task["logins"]],
        "admins": sorted(name for name in admins.strip().split(":")[-1].split(",") if name),
    }


def execute(task: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(task["command"], input=task["input"], capture_output=True, text=True, check=False)
    return {"code": done.returncode, "output": done.stdout + done.stderr}


def lock(path: str, how: str) -> None:
    """Take a lock that ends with this process."""
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT, 0o600)
    if how == "OFD":
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    elif how == "flock":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    else:
        fcntl.lockf(descriptor, fcntl.LOCK_EX)


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "run": run_engine,
    "look": look,
    "execute": execute,
    "hold": lambda _task: {},
}


def child(task: dict[str, Any], gate: int, result: int) -> None:
    try:
        os.chroot(CASE)
        os.chdir("/")
        if task["do"] == "hold":
            lock(task["path"], task["how"])
        if task["gate"]:
            os.write(result, b"\n")
            os.read(gate, 1)
        answer: dict[str, Any] = TASKS[task["do"]](task)
    except BaseException:  # nothing may return to the loop
        answer = {"crashed": traceback.format_exc()}
    os.write(result, json.dumps(answer).encode())
    os._exit(0)


class Children:
    """Started and not yet waited for: process id to the pipes to its gate and from its result."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[int, int]] = {}

    def start(self, task: dict[str, Any]) -> int:
        gate, open_gate = os.pipe()
        results, result = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            child(task, gate, result)
        os.close(gate)
        os.close(result)
        self.running[pid] = open_gate, results
        if task["gate"]:
            os.read(results, 1)  # it stands at the gate
        return pid

    def let_go(self, pid: int) -> None:
        os.write(self.running[pid][0], b"\n")

    def wait(self, pid: int) -> dict[str, Any]:
        open_gate, results = self.running.pop(pid)
        if not select.select([results], [], [], PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)  # it hangs: nothing here takes as long
        with os.fdopen(results, "rb") as file:
            content = file.read()
        os.close(open_gate)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {"code": code, "result": json.loads(content) if content else None}


def main() -> None:
    children = Children()
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        answer: Any = None
        if do == "lay_out":
            lay_out(**command)
        elif do == "start":
            answer = children.start(command["task"])
        elif do == "let_go":
            children.let_go(command["pid"])
        elif do == "wait":
            answer = children.wait(command["pid"])
        elif do == "shell":
            done = subprocess.run(["sh", "-euc", command["script"]], capture_output=True, text=True, check=False)
            answer = {"code": done.returncode, "output": done.stdout + done.stderr}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
