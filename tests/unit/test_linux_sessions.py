# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes of made-up users: found, ended, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux import sessions
from ansible_collections.identity.roster.plugins.module_utils._linux.sessions import end_sessions, processes_of

from .linux_trees import needs_root

#: No account has them, and no other test that runs at the same time.
UID, OTHER = 600_000_000 + os.getpid(), 700_000_000 + os.getpid()
#: Imported as long as they can be read: the interpreter may lie in root's home.
IMPORTS = "import ctypes, os, signal, sys, threading, time"
ASLEEP = "print('ready', flush=True); time.sleep(60)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " + ASLEEP
#: Its first thread ends, the second goes on: "Z (zombie)" says /proc.
HEADLESS = """
threading.Thread(target=time.sleep, args=(60,)).start()
print('ready', flush=True)
ctypes.CDLL(None).syscall({'x86_64': 60}.get(os.uname().machine, 93), 0)
"""
#: It is never the same process for long.
FORKING = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.monotonic() + 20
print('ready', flush=True)
while time.monotonic() < end and (os.fork() == 0 or os._exit(0)):
    pass
"""
#: It does not take SIGTERM as long as it is stopped.
STOPPED = "print('ready', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(program: str = ASLEEP, uid: int = UID, change: str = "os.setresuid(U, U, U)") -> subprocess.Popen[str]:
        code = f"{IMPORTS}\nU = {uid}; {change}\n{program}"
        process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def no_logind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sessions, "_LOGIND_USERS", str(tmp_path / "users"))
    monkeypatch.setattr(sessions, "_LINGER", str(tmp_path / "linger"))


def write_status(proc: Path, pid: int, uids: str, state: str = "S (sleeping)", threads: int = 1) -> None:
    (proc / str(pid)).mkdir()
    text = f"Name:\tx\\nUid:\t0\nState:\t{state}\nPPid:\t1\nUid:\t{uids}\nGid:\t5000\nThreads:\t{threads}\n"
    (proc / str(pid) / "status").write_text(text)


def test_processes(tmp_path: Path) -> None:
    write_status(tmp_path, 1, "0\t0\t0\t0")
    write_status(tmp_path, 20, "5000\t5000\t5000\t5000")
    write_status(tmp_path, 3, "5000\t0\t0\t0")
    write_status(tmp_path, 4, "0\t5000\t0\t5000")
    write_status(tmp_path, 5, "0\t0\t5000\t0")
    write_status(tmp_path, 6, "0\t0\t0\t5000")
    write_status(tmp_path, 7, "5001\t5001\t5000\t5001")
    write_status(tmp_path, 8, "5002\t5002\t5002\t5002")
    write_status(tmp_path, 9, "5000\t5000\t5000\t5000", "Z (zombie)")
    write_status(tmp_path, 10, "5000\t5000\t5000\t5000", "Z (zombie)", threads=2)
    (tmp_path / "11").mkdir()
    (tmp_path / "12").mkdir()
    (tmp_path / "12/status").write_bytes(b"\xff\x00")
    (tmp_path / "self").symlink_to("20")
    assert processes_of([5000, 5001, 5003], str(tmp_path)) == {5000: [3, 4, 5, 7, 10, 20], 5001: [7]}
    assert processes_of([], str(tmp_path)) == {}


def test_our_own() -> None:
    assert os.getpid() in processes_of({os.getuid()})[os.getuid()]


@needs_root
@pytest.mark.parametrize(
    "change",
    ["os.setresuid(U, U, U)", "os.setresuid(U, 0, 0)", "os.setresuid(0, U, 0)", "os.setresuid(0, 0, U)"],
    ids=["all", "real", "effective", "saved"],
)
def test_every_uid_counts(start: Start, change: str) -> None:
    process = start(change=change)
    assert processes_of([UID, OTHER]) == {UID: [process.pid]}
    assert end_sessions({"anna": UID}) == {}
    assert process.wait(timeout=5) == -signal.SIGTERM


@needs_root
@pytest.mark.parametrize(
    "program", [STUBBORN, HEADLESS, FORKING, STOPPED], ids=["stubborn", "headless", "forking", "stopped"]
)
def test_who_does_not_end_is_ended(start: Start, program: str) -> None:
    process = start(program)
    deadline = time.monotonic() + 5
    while program == HEADLESS and time.monotonic() < deadline:
        (pid,) = processes_of([UID])[UID]
        if "zombie" in Path(f"/proc/{pid}/status").read_text():
            break
    assert program == FORKING or processes_of([UID]) == {UID: [process.pid]}
    assert end_sessions({"anna": UID}, wait=0.2) == {}
    assert processes_of([UID]) == {}
    # Its last process has closed it; one that is never seen in /proc would hold it for a long time.
    begun = time.monotonic()
    assert process.stdout and process.stdout.read() == ""
    assert time.monotonic() - begun < 5


@needs_root
def test_all_of_several_and_nobody_else(start: Start) -> None:
    theirs = [start(), start(STUBBORN), start(uid=OTHER)]
    spared = start(uid=OTHER + 1)
    begun = time.monotonic()
    assert end_sessions({"anna": UID, "bert": OTHER, "carl": OTHER + 2}, wait=0.3) == {}
    assert time.monotonic() - begun < 3
    assert [process.wait(timeout=5) for process in theirs] == [-15, -9, -15]
    assert spared.poll() is None and processes_of([OTHER + 1]) == {OTHER + 1: [spared.pid]}


@needs_root
def test_they_have_time_to_end(start: Start) -> None:
    process = start("signal.signal(15, lambda *_: (time.sleep(0.3), sys.exit(7)))\n" + ASLEEP)
    begun = time.monotonic()
    assert end_sessions({"anna": UID}, wait=10) == {} and time.monotonic() - begun < 5
    assert process.wait(timeout=5) == 7


@needs_root
@pytest.mark.parametrize("descriptors", [True, False], ids=["by descriptor", "python 3.8"])
def test_a_process_number_that_another_has_now(
    start: Start, monkeypatch: pytest.MonkeyPatch, descriptors: bool
) -> None:
    """Between the look and the signal the process ends, and its number is given to somebody else's."""
    spared, meant = start(uid=OTHER), start()
    if not descriptors:
        monkeypatch.delattr(os, "pidfd_open")
    answers = iter([{UID: [spared.pid, meant.pid]}])
    monkeypatch.setattr(sessions, "processes_of", lambda uids: next(answers, {}))
    assert end_sessions({"anna": UID}) == {}
    assert meant.wait(timeout=5) == -15 and spared.poll() is None


@needs_root
def test_who_can_not_be_ended_is_named(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start()
    monkeypatch.setattr(sessions, "_send", lambda *_arguments: None)
    monkeypatch.setattr(sessions, "_kill_all", lambda _uid: None)
    begun = time.monotonic()
    assert end_sessions({"anna": UID, "bert": OTHER}, wait=0.1) == {
        "anna": f"its processes can't be ended: {process.pid}"
    }
    assert time.monotonic() - begun < 5


@needs_root
def test_nothing_is_killed_by_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """kill(-1) as root would end the machine. The child says by its pipe what it would have done."""
    reader, writer = os.pipe()
    monkeypatch.setattr(os, "kill", lambda *_arguments: os.write(writer, b"killed"))
    monkeypatch.setattr(os, "setresuid", lambda *_uids: None)
    sessions._kill_all(UID)

    def refuse(*_uids: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setresuid", refuse)
    sessions._kill_all(UID)
    os.close(writer)
    assert os.read(reader, 10) == b""
    os.close(reader)


@pytest.mark.parametrize("uid", [0, 1, 999, 65534, 65535, 2**32 - 1, -1])
def test_never_the_system(uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_send", lambda *_arguments: pytest.fail("a signal was sent"))
    monkeypatch.setattr(sessions, "_run", lambda _command: pytest.fail("logind was told"))
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("something was started"))
    with pytest.raises(ValueError, match=r"root: its uid is .*programs of the system are not ended"):
        end_sessions({"anna": UID, "root": uid})


@needs_root
@pytest.mark.parametrize("who", ["itself", "its parent"])
def test_never_ourselves(who: str, start: Start, collections_path: Path) -> None:
    """The user whom Ansible connects as is left alone with all of its processes."""
    base = "ansible_collections.identity.roster.plugins.module_utils._linux.sessions"
    act = f"import sys; from {base} import end_sessions; print(end_sessions({{'anna': {UID}}}, 0.1))"
    if who == "itself":
        code = f"import os; os.setresuid({UID}, 0, 0)\n{act}"
    else:
        child = f"import os; os.setresuid(0, 0, 0)\n{act}"
        code = (
            f"import os, subprocess, sys; os.setresuid({UID}, 0, 0)\n"
            f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
        )
    beside = start()
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(collections_path)},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.stdout == "{'anna': 'this run was started from one of its sessions'}\n", done.stderr
    assert beside.poll() is None


def test_a_task_of_a_session_that_has_lost_its_ancestors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text(f"0::/user.slice/user-{UID}.slice/session-5.scope\n")
    real = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *rest, **words: real(tmp_path / "cgroup" if path == "/proc/self/cgroup" else path, *rest, **words),
    )
    assert end_sessions({"anna": UID, "bert": UID * 10 % 2**30 + 10**6}) == {
        "anna": "this run was started from one of its sessions"
    }


def test_logind_is_asked_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For those that it knows, and what it answers or does not answer stops nothing."""
    log, program = tmp_path / "log", tmp_path / "bin/loginctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" = disable-linger ] && exit 1\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setattr(sessions, "_PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(sessions, "_LOGINCTL_TIMEOUT", 0.3)
    for name in ("linger/anna", f"users/{UID}", f"users/{OTHER}"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert end_sessions({"anna": UID, "bert": OTHER, "carl": OTHER + 1}, wait=0.1) == {}
    assert log.read_text().splitlines() == [
        "disable-linger anna",
        f"terminate-user {UID}",
        f"terminate-user {OTHER}",
    ]
