# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that has loaded Ansible and forks once for each playbook: a third of a run's time goes into loading.

What runs is ansible-playbook's own main function, in a process of its own, with the arguments, the environment and the
output that the command would have. All runs share the modules that were packed for sending, as the hosts of one run do.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

#: What a playbook over SSH loads at any rate.
MODULES = (
    "ansible.cli.playbook",
    "ansible.executor.module_common",
    "ansible.executor.playbook_executor",
    "ansible.executor.task_executor",
    "ansible.playbook.playbook_include",
    "ansible.playbook.role_include",
    "ansible.plugins.action.normal",
    "ansible.plugins.become.sudo",
    "ansible.plugins.callback.default",
    "ansible.plugins.connection.ssh",
    "ansible.plugins.strategy.linear",
)
#: Variables that are read while loading begin so.
LOADED = ("ANSIBLE_", "LC_", "PYTHON")


class Prepared:
    """Such a process; it ends when this one does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._settings = _settings(environment)
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=dict(environment),
            )

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a run with that environment would have loaded the same."""
        return _settings(environment) == self._settings

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """What subprocess.run does, with output as text and no input. Raises TimeoutError after so many seconds."""
        with contextlib.ExitStack() as stack:
            output, errors = (stack.enter_context(tempfile.TemporaryFile()) for _stream in range(2))
            ours, theirs = socket.socketpair()
            answers = stack.enter_context(ours.makefile("r"))
            stack.enter_context(ours).settimeout(timeout)
            with theirs:
                socket.send_fds(self._socket, [b"!"], [theirs.fileno(), output.fileno(), errors.fileno()])
            asked = {"command": list(command), "environment": dict(environment), "folder": os.getcwd()}
            ours.sendall(json.dumps(asked).encode() + b"\n")
            pid = int(answers.readline())
            try:
                # Killed, it has not answered.
                returncode = int(answers.readline() or -signal.SIGKILL)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                raise
            return subprocess.CompletedProcess(command, returncode, _text(output), _text(errors))

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(LOADED)}


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def main(requests: socket.socket) -> NoReturn:
    """Load, then fork for each request until nobody is left who could ask."""
    for name in MODULES:
        importlib.import_module(name)
    loader: Any = importlib.import_module("ansible.plugins.loader")
    loader.init_plugin_loader()
    importlib.import_module("ansible_collections.ansible.builtin")
    # Each run asks for that again.
    warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
    gc.freeze()
    while True:
        asked, descriptors, _flags, _address = socket.recv_fds(requests, 1, 3)
        _reap()
        if not asked:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            _run(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _run(connection: int, output: int, errors: int) -> NoReturn:
    """In the fork: become the command that the connection asks for, and answer with its return code."""
    os.setpgid(0, 0)
    random.seed()
    for descriptor, number in ((output, 1), (errors, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.set_inheritable(connection, False)
    with socket.socket(fileno=connection) as answers, answers.makefile("r") as requests:
        answers.sendall(f"{os.getpid()}\n".encode())
        asked = json.loads(requests.readline())
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv[:] = asked["command"]
        returncode = 1
        try:
            sys.modules["ansible.cli.playbook"].main()
        except SystemExit as ended:
            returncode = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        answers.sendall(f"{returncode}\n".encode())
    # What is to be done at exit is the parent's.
    os._exit(returncode)


if __name__ == "__main__":
    # The command would have its own folder here.
    sys.path[0] = str(Path(sys.executable).parent)
    main(socket.socket(fileno=int(sys.argv[1])))
