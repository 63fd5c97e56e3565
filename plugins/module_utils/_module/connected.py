# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who Ansible is connected as: the account that a run must never lock out. Used on the controller."""

from __future__ import annotations

import getpass
from typing import Any, Optional


def connected_user(connection: Any, play_context: Any) -> Optional[str]:
    """The account that an action plugin's connection logs in as, or None where there is nobody to lock out."""
    try:
        user = connection.get_option("remote_user")
    except KeyError:
        user = None
    user = user or play_context.remote_user
    if user and connection.transport != "local":
        return str(user)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None  # an id without an account, as in some containers
