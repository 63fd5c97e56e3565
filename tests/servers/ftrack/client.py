# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ftrack's own client (ftrack-python-api from PyPI), on a workspace of ours."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from .workspace import Workspace


@contextlib.contextmanager
def official(workspace: Workspace, **options: Any) -> Iterator[Any]:
    """A Session; `options` are its own."""
    with warnings.catch_warnings():
        # Its pyparsing imports what Python 3.11 calls old.
        warnings.simplefilter("ignore", DeprecationWarning)
        import ftrack_api  # type: ignore[import-not-found, import-untyped, unused-ignore]
    logging.getLogger("ftrack_api").setLevel(logging.CRITICAL)
    given = {"api_key": workspace.api_key, "api_user": workspace.api_user, **options}
    session = ftrack_api.Session(
        server_url=workspace.url, schema_cache_path=False, plugin_paths=[], auto_connect_event_hub=False, **given
    )
    try:
        yield session
    finally:
        session.close()


def people(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Username to what the official client reads of each user, but the API's own."""
    with official(workspace) as session:
        found = session.query(
            "select username, email, first_name, last_name, is_active, user_type.name, memberships.group.name, "
            "user_security_roles.security_role.name, custom_attributes.key, custom_attributes.value from User"
        )
        return {
            user["username"]: {
                **{name: user[name] for name in ("email", "first_name", "last_name", "is_active")},
                "user_type": user["user_type"] and user["user_type"]["name"],
                "groups": sorted(each["group"]["name"] for each in user["memberships"]),
                "roles": sorted(each["security_role"]["name"] for each in user["user_security_roles"]),
                "custom": {key: user["custom_attributes"][key] for key in user["custom_attributes"]},
            }
            for user in found
            if user["username"] != workspace.api_user
        }
