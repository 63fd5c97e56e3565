# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running programs of users who may no longer be here: found in /proc, asked to end, then ended."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import Collection, Dict, FrozenSet, List, Mapping, Set

from .._roster.posix import id_problem

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
#: What logind keeps of each user who is logged in or lingers (by uid), and of who may linger (by name).
_LOGIND_USERS = "/run/systemd/users"
_LINGER = "/var/lib/systemd/linger"
_LOGINCTL_TIMEOUT = 10
_PAUSE = 0.02


def processes_of(uids: Collection[int], proc: str = "/proc") -> Dict[int, List[int]]:
    """The processes of each uid that has any, by real, effective or saved uid. One that ended and only waits to be
    collected by its parent does not count. Raises OSError."""
    found: Dict[int, List[int]] = {}
    for name in os.listdir(proc):
        if name.isdigit():
            for uid in _uids_of(int(name), proc).intersection(uids):
                found.setdefault(uid, []).append(int(name))
    return {uid: sorted(found[uid]) for uid in sorted(found)}


def end_sessions(users: Mapping[str, int], wait: float = 5.0) -> Dict[str, str]:
    """End all that runs for some users (user name: uid); returns why, for each who has something running still.

    They are asked first (logind, SIGTERM) and have ``wait`` seconds to end, all of them together. A user whom this
    run itself descends from is left alone. Raises ValueError for a uid that is not a person's, before anything else.
    """
    for username, uid in users.items():
        problem = "is negative" if uid < 0 else id_problem(uid)
        if problem:
            raise ValueError(f"{username}: its uid {problem}; the programs of the system are not ended")
    ours = _our_uids(frozenset(users.values()))
    failed = {
        username: "this run was started from one of its sessions" for username, uid in users.items() if uid in ours
    }
    others = {username: uid for username, uid in users.items() if uid not in ours}
    if not others:
        return failed
    _tell_logind(others)
    uids = frozenset(others.values())
    _signal_until_gone(uids, signal.SIGTERM, wait)
    for uid in uids:
        _kill_all(uid)
    left = _signal_until_gone(uids, signal.SIGKILL, max(wait, 1.0))
    for username, uid in others.items():
        if uid in left:
            failed[username] = f"its processes can't be ended: {', '.join(map(str, left[uid][:10]))}"
    return failed


def _signal_until_gone(uids: FrozenSet[int], number: int, wait: float) -> Dict[int, List[int]]:
    """Signal every process of some uids once, also those that start meanwhile; returns what is left."""
    deadline = time.monotonic() + wait
    told: Set[int] = set()
    while True:
        left = processes_of(uids)
        for pids in left.values():
            for pid in pids:
                if pid not in told:
                    _send(pid, uids, number)
                    told.add(pid)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_PAUSE)


def _kill_all(uid: int) -> None:
    """Kill all processes of a uid at one moment.

    One that forks and ends all the time is never in /proc long enough to be found; kill(-1) leaves no time to fork.
    It is called as that user, so it reaches only the user's, by a child, which the user's processes may kill first.
    """
    for _attempt in range(10):
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(uid, uid, uid)
                if os.getresuid() == (uid, uid, uid):
                    os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        if os.WIFEXITED(os.waitpid(child, 0)[1]):
            break


def _send(pid: int, uids: FrozenSet[int], number: int) -> None:
    """Signal a process if it is one of theirs at this moment: its number may have gone to another one.

    Where Python knows process descriptors (3.9), what is checked is what is signalled.
    """
    with suppress(OSError):
        open_process, send = getattr(os, "pidfd_open", None), getattr(signal, "pidfd_send_signal", None)
        if open_process is None or send is None:
            if _uids_of(pid) & uids:
                os.kill(pid, number)
            return
        descriptor = open_process(pid)
        try:
            if _uids_of(pid) & uids:
                send(descriptor, number)
        finally:
            os.close(descriptor)


def _uids_of(pid: int, proc: str = "/proc") -> FrozenSet[int]:
    """Real, effective and saved uid of a running process; none if it has ended."""
    status = _status(f"{proc}/{pid}")
    # The first thread of a process can end before the others: it waits to be collected then, they go on.
    if not status or (status["State"].startswith("Z") and int(status.get("Threads", "1")) < 2):
        return frozenset()
    return frozenset(int(uid) for uid in status["Uid"].split()[:3])


def _status(directory: str) -> Dict[str, str]:
    """A process's status file (proc(5)), empty if there is no such process."""
    try:
        with open(f"{directory}/status", encoding="utf-8", errors="replace", newline="\n") as file:
            pairs = [line.partition(":") for line in file]
    except OSError:
        return {}
    status = {key: value.strip() for key, _colon, value in pairs}
    return status if {"State", "Uid", "PPid"} <= set(status) else {}


def _our_uids(uids: FrozenSet[int]) -> FrozenSet[int]:
    """Which users this process and its ancestors run as, or have a session of logind that they run in."""
    found: Set[int] = set()
    pid = os.getpid()
    while pid > 0:
        status = _status(f"/proc/{pid}")
        found |= _uids_of(pid)
        pid = int(status["PPid"]) if status else 0
    # Ansible's asynchronous tasks have no ancestors left, but end with the session that they began in.
    with suppress(OSError), open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
        found.update(int(uid) for uid in re.findall(r"/user-([0-9]+)\.slice", file.read()))
    return uids & found


def _tell_logind(users: Mapping[str, int]) -> None:
    """Let logind end the sessions that it knows of. What it can't do, signals do."""
    program = shutil.which("loginctl", path=_PATH)
    for username, uid in users.items():
        if program and os.path.lexists(f"{_LINGER}/{username}"):
            _run([program, "disable-linger", username])
        if program and os.path.lexists(f"{_LOGIND_USERS}/{uid}"):
            _run([program, "terminate-user", str(uid)])


def _run(command: List[str]) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=_LOGINCTL_TIMEOUT, check=False, env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
