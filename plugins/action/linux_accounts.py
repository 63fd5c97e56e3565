# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of linux_accounts: send a digest first, and the roster, as a file, only when it is needed.

facts: a list of 10,000 users templated into a parameter costs seconds of the controller per host, and AnsibleModule
tests every string of its parameters against every secret.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from typing import Any, Dict, List, Optional, Tuple

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils._errors import DocumentError
from ..module_utils._module.connected import connected_user
from ..module_utils._roster import document
from ..module_utils._roster.selection import select
from ..module_utils._roster.validation import build_from_records

_FILTERS = ("include_groups", "exclude_groups", "exclude_users")


class ActionModule(ActionBase):
    """Runs the module once with the digest, and again with the roster if the host asks for it."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        content, warnings = self._roster(arguments)
        told = {
            "roster_digest": document.digest(content),
            "connected_user": connected_user(self._connection, self._play_context),
            "run_id": self._run_id(task_vars or {}),
            "today": int(time.time() // 86400),
        }
        arguments["_controller"] = told
        try:
            result: Dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
            if result.pop("_roster_needed", False):
                content, filter_warnings = self._selected(content, arguments)
                warnings += filter_warnings
                told["sent_digest"] = document.digest(content)
                arguments["roster"] = self._send(content)
                result = self._execute_module(module_args=arguments, task_vars=task_vars)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if warnings:
            result["warnings"] = [*result.get("warnings", []), *warnings]
        # The path on the host is gone by now, and the digests are in the result.
        result.pop("invocation", None)
        return result

    def _roster(self, arguments: Dict[str, Any]) -> Tuple[bytes, List[str]]:
        """The roster's bytes, taken out of the arguments."""
        path = arguments.pop("roster", None)
        users = arguments.pop("users", None)
        groups = arguments.pop("groups", None)
        for name in list(arguments):
            if name.startswith("_"):
                raise AnsibleActionFail(f"{name} is not an option of linux_accounts")
        if (path is None) == (users is None):
            raise AnsibleActionFail("linux_accounts needs either roster (a path on the controller) or users")
        if path is None:
            return self._inline(users, groups), []
        if groups is not None:
            raise AnsibleActionFail("linux_accounts takes groups together with users only; a roster has its own")
        path = os.path.abspath(os.path.expanduser(os.path.expandvars(path)))
        try:
            with open(path, "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read()
        except OSError as problem:
            raise AnsibleActionFail(
                f"The roster {path} can't be read on the controller: {problem.strerror}. "
                "A source module such as libre_workspace_info writes it to its dest"
            ) from problem
        if mode & 0o077:
            return content, [f"{path} holds password hashes and can be read by others (mode {mode:04o}); make it 0600"]
        return content, []

    def _inline(self, users: Any, groups: Any) -> bytes:
        for name, value in (("users", users), ("groups", groups)):
            if value is not None and not isinstance(value, list):
                raise AnsibleActionFail(f"linux_accounts: {name} is not a list")
        roster = build_from_records({"kind": "inline"}, map(_stated, users), map(_stated, groups or []))
        return document.serialise(roster)

    def _selected(self, content: bytes, arguments: Dict[str, Any]) -> Tuple[bytes, List[str]]:
        """What this host is sent: a host never gets the hashes of people who do not belong on it."""
        filters = {name: arguments.get(name) or [] for name in _FILTERS}
        if not any(filters.values()):
            return content, []
        try:
            roster, warnings = select(document.parse(content), **{key: _names(value) for key, value in filters.items()})
        except DocumentError as problem:
            raise AnsibleActionFail(str(problem)) from problem
        return document.serialise(roster), warnings

    def _run_id(self, task_vars: Dict[str, Any]) -> str:
        """The same on all hosts of a run: AWX's job, or else the play, whose id is random."""
        for name in ("awx_job_id", "tower_job_id"):
            if task_vars.get(name):
                return f"awx-{task_vars[name]}"
        parent = self._task
        while not hasattr(parent, "_play"):
            parent = parent._parent
        return hashlib.sha256(str(parent._play._uuid).encode()).hexdigest()[:12]

    def _send(self, content: bytes) -> str:
        """Put the roster into this task's temporary directory on the host, which only its user can enter."""
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        shell = self._connection._shell
        path: str = shell.join_path(shell.tmpdir, "roster.json")
        self._transfer_data(path, content)
        self._fixup_perms2((shell.tmpdir, path), execute=False)
        return path


def _names(value: Any) -> List[str]:
    """A list option as AnsibleModule would read it: a text is split at commas."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    return [str(item) for item in value]


def _stated(record: Any) -> Any:
    """A record without its null keys, which in YAML say nothing, and with what templates turn into text turned back."""
    if not isinstance(record, dict):
        return record
    stated = {str(key): value for key, value in record.items() if value is not None}
    for key in ("uid", "gid"):
        if isinstance(stated.get(key), str) and stated[key].isdecimal():
            stated[key] = int(stated[key])
    for key in ("enabled", "admin"):
        if isinstance(stated.get(key), str):
            stated[key] = boolean(stated[key], strict=False)
    return stated
