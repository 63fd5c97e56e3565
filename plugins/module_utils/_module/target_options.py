# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument spec that all targets share, on hosts and for services."""

from __future__ import annotations

from typing import Any, Dict

#: The options of the doc fragment ``target``.
TARGET_OPTIONS: Dict[str, Any] = {
    "roster": {"type": "path"},
    "users": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "str"},
            "username": {"type": "str"},
            "uid": {"type": "int"},
            "gid": {"type": "int"},
            "full_name": {"type": "str"},
            "first_name": {"type": "str"},
            "last_name": {"type": "str"},
            "email": {"type": "str"},
            "enabled": {"type": "bool"},
            "admin": {"type": "bool"},
            "password_hash": {"type": "str", "no_log": True},
            "groups": {"type": "list", "elements": "str"},
            "shell": {"type": "str"},
            "home": {"type": "str"},
            "ssh_public_keys": {"type": "list", "elements": "str", "no_log": False},
            "external_id": {"type": "str"},
            "avatar": {"type": "dict"},
            "profile": {"type": "dict"},
        },
    },
    "groups": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "gid": {"type": "int"},
            "description": {"type": "str"},
        },
    },
    "include_groups": {"type": "list", "elements": "str", "default": []},
    "exclude_groups": {"type": "list", "elements": "str", "default": []},
    "exclude_users": {"type": "list", "elements": "str", "default": []},
    "protected_users": {"type": "list", "elements": "str", "default": []},
    "limits": {"type": "dict", "default": {}},
    "approve": {"type": "list", "elements": "str", "default": []},
    "require_approval": {"type": "bool", "default": False},
}
