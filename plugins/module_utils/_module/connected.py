# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who Ansible is connected as, and all others whom a run must never lock out."""

from __future__ import annotations

import getpass
import os
from typing import Any, Dict, Iterable, Optional


def connected_user(connection: Any, play_context: Any) -> Optional[str]:
    """On the controller: the account that an action plugin's connection logs in as, or None where there is nobody to
    lock out."""
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


def protected_users(names: Iterable[str], connected: Optional[str]) -> Dict[str, str]:
    """On the host: user name to the reason why the account may never change. Also every name by which this run may have
    come here: changing one of them could cut off the next run."""
    protected = dict.fromkeys(names, "is in protected_users")
    for name in (connected, os.environ.get("SUDO_USER"), os.environ.get("DOAS_USER")):
        if name:
            protected[name] = "is the account that Ansible is connected as"
    protected["root"] = "is root"
    return protected
