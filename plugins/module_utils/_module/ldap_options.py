# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ldap_info as the settings of its source."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from .._errors import SourceError
from .._sources.ldap import DirectorySettings, fetch
from .._sources.ldap_connection import EXTERNAL_BIND, SIMPLE_BIND, ConnectionSettings
from .._sources.ldap_members import GroupSettings
from .._sources.reading import Reading
from .source import id_settings

#: No password is longer, in bytes; a file that is, is another one.
_LONGEST_PASSWORD = 4096


def read(options: Mapping[str, Any]) -> Reading:
    """Ask the directory as the options say. Raises RosterError."""
    names = ("server_url", "start_tls", "allow_plaintext", "validate_certs", "ca_path", "client_cert", "client_key")
    bind_method = _bind_method(options)
    settings = DirectorySettings(
        connection=ConnectionSettings(
            **{name: options[name] for name in names},
            timeout=options["timeout"],
            bind_method=bind_method,
            bind_dn=options["bind_dn"],
            bind_password=_password(options) if bind_method == SIMPLE_BIND else None,
        ),
        groups=None if options["groups"] is None else GroupSettings(**options["groups"]),
        ids=id_settings(options),
        **{
            name: options[name]
            for name in (
                *("base_dn", "scope", "filter", "page_size", "preset", "mapping"),
                *("admin_groups", "disabled", "allow_empty"),
            )
        },
    )
    return fetch(settings)


def _bind_method(options: Mapping[str, Any]) -> str:
    if options["bind_method"]:
        return str(options["bind_method"])
    if options["bind_dn"]:
        return SIMPLE_BIND
    if options["client_cert"]:
        return EXTERNAL_BIND
    raise SourceError("bind_dn is missing: name the account to read with, or set bind_method=anonymous")


def _password(options: Mapping[str, Any]) -> Optional[str]:
    path = options["bind_password_file"]
    if path is None:
        return options["bind_password"] or None
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SourceError(f"bind_password_file {path} may be read by others than its owner: chmod 600 {path}")
            line = file.readline(_LONGEST_PASSWORD + 1).rstrip(b"\r\n")
        if not line or len(line) > _LONGEST_PASSWORD:
            raise SourceError(f"bind_password_file {path} holds no password in its first line")
        return line.decode("utf-8")
    except OSError as problem:
        raise SourceError(f"bind_password_file {path} can't be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"bind_password_file {path} holds no text") from None
