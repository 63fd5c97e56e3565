# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the CSV source share: a short way from text to a roster, and small pictures."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._roster.model import User
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_file import CsvPeople, CsvSettings, read
from ansible_collections.identity.roster.plugins.module_utils._sources.ids import IdSettings
from ansible_collections.identity.roster.plugins.module_utils._sources.pictures import PictureFolder
from ansible_collections.identity.roster.plugins.module_utils._sources.reading import Reading

NAME = "users.csv"
NOWHERE = Path("/nonexistent")


def people(content: bytes, settings: CsvSettings | None = None, folder: Path = NOWHERE) -> CsvPeople:
    chosen = settings or CsvSettings()
    return CsvPeople(io.BytesIO(content), NAME, chosen, PictureFolder(str(folder), chosen.avatar_max_bytes))


def reading(
    content: bytes | str, policy: str = "source", folder: Path = Path("/nonexistent"), **options: Any
) -> Reading:
    raw = content.encode() if isinstance(content, str) else content
    settings = CsvSettings(ids=IdSettings(uid_policy=policy, gid_policy=policy), **options)
    settings.check()
    return read(people(raw, settings, folder), NAME, settings)


def one(content: bytes | str, **options: Any) -> User:
    """The only user of a file."""
    (user,) = reading(content, **options).roster.users
    return user


def png(width: int = 2, height: int = 3) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif(width: int = 2, height: int = 3) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


def jpeg(width: int = 2, height: int = 3, before: bytes = b"") -> bytes:
    frame = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00"
    start = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    return start + before + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x12\xff\xd9"
