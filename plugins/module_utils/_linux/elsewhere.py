# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts that a host has beside /etc/passwd: of an ostree image, of systemd's userdb, of systemd-homed. Pure."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional, Tuple

from .tables import WIDTHS, Table, number

#: What nss-altfiles reads; an ostree image keeps its system accounts there.
FILES = {"/usr/lib/passwd": "passwd", "/usr/lib/group": "group"}
#: Where systemd looks for records (systemd-userdbd(8)), and where systemd-homed keeps its own.
FOLDERS = ("/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/lib/userdb", "/var/lib/systemd/home")
#: Suffix of a record to the names of its two fields (systemd.io/USER_RECORD, GROUP_RECORD).
RECORDS = {".user": ("userName", "uid"), ".identity": ("userName", "uid"), ".group": ("groupName", "gid")}

_Found = Dict[str, Tuple[Optional[int], str]]


@dataclass(frozen=True)
class Elsewhere:
    """Name to (id, which may not be known, and the file that says so). They are never changed, and no account or group
    may be made over them."""

    users: _Found = field(default_factory=dict)
    groups: _Found = field(default_factory=dict)


def read_elsewhere(contents: Mapping[str, bytes]) -> Elsewhere:
    """From path to content of files in ``FILES`` and records in ``FOLDERS``.

    A directory service is not asked: it may be away, and it may be the roster's own source.
    """
    found = Elsewhere()
    for path in sorted(contents):
        if path in FILES:
            into = found.users if FILES[path] == "passwd" else found.groups
            for row in Table(contents[path], WIDTHS[FILES[path]]).every_row():
                into.setdefault(row[0], (number(row[2]), path))
        else:
            name_field, id_field = RECORDS[os.path.splitext(path)[1]]
            record = _record(contents[path], name_field, id_field)
            if record is not None:
                into = found.users if name_field == "userName" else found.groups
                into.setdefault(record[0], (record[1], path))
    return found


def _record(content: bytes, name_field: str, id_field: str) -> Optional[Tuple[str, Optional[int]]]:
    """(name, id) of a JSON record, or None for what is not one. homed has the id in a part for each machine."""
    try:
        document = json.loads(content.decode("utf-8"))
        parts = [document, *document.get("binding", {}).values()]
        ids = [part[id_field] for part in parts if isinstance(part.get(id_field), int)]
        name = document[name_field]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return (name, ids[0] if ids else None) if isinstance(name, str) else None
