# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of linux_snapshot: tell the host who must not be locked out."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._module.connected import connected_user


class ActionModule(ActionBase):
    """Runs the module with the name of the account that this connection logs in as."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        for name in arguments:
            if name.startswith("_"):
                raise AnsibleActionFail(f"{name} is not an option of linux_snapshot")
        arguments["_controller"] = {"connected_user": connected_user(self._connection, self._play_context)}
        result: Dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
