# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pictures of people: files below one folder, looked at before anybody is sent one."""

from __future__ import annotations

import hashlib
import os
import stat
from functools import lru_cache
from typing import Optional, Tuple

from .._roster.model import Avatar
from .._roster.text import text_problem

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
#: JPEG's start-of-frame markers, which hold height and width; C4, C8 and CC among them mean something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers without a length: restart markers and TEM.
_BARE = frozenset((*range(0xD0, 0xD8), 0x01))


class PictureFolder:
    """The folder that pictures lie in, and the largest size of one in bytes."""

    def __init__(self, folder: str, largest: int) -> None:
        self._folder = os.path.realpath(folder)
        self._largest = largest
        # Exports give everybody without a photo the same picture.
        self._cached = lru_cache(maxsize=1024)(self._read)

    def avatar(self, name: str) -> Avatar:
        """The picture of that name. Raises ValueError with what keeps it from being one."""
        avatar, problem = self._cached(name)
        if avatar is None:
            raise ValueError(problem)
        return avatar

    def _read(self, name: str) -> Tuple[Optional[Avatar], str]:
        if text_problem(name) or os.path.isabs(name):
            return None, "is not a path relative to the CSV file"
        path = os.path.realpath(os.path.join(self._folder, name))
        if os.path.commonpath((self._folder, path)) != self._folder:
            return None, "leads out of the CSV file's folder"
        try:
            content = self._content(path)
        except OSError as problem:
            return None, f"can't be read: {problem.strerror}"
        except ValueError as problem:
            return None, str(problem)
        fault = picture_problem(content)
        if fault is not None or text_problem(path):
            return None, fault or "lies at a path that a roster can't hold"
        return Avatar(path=path, sha256=hashlib.sha256(content).hexdigest()), ""

    def _content(self, path: str) -> bytes:
        # A named pipe would keep us waiting for ever, and a link that came just now is not followed.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(number, "rb") as file:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("is no regular file")
            content = file.read(self._largest + 1)
        if len(content) > self._largest:
            raise ValueError(f"is larger than {self._largest} bytes")
        return content


def picture_problem(content: bytes) -> Optional[str]:
    """Why bytes are no whole JPEG, PNG or GIF. Their structure counts, whatever the file is called."""
    if content.startswith(_PNG):
        size = content[12:16] == b"IHDR" and _both(content[16:20], content[20:24])
        whole = _PNG_END in content
    elif content.startswith((b"GIF87a", b"GIF89a")):
        size = _both(content[6:8], content[8:10])
        whole = content.rstrip(b"\0").endswith(b";")
    elif content.startswith(b"\xff\xd8\xff"):
        frame = _jpeg_frame(content)
        size = _both(content[frame + 5 : frame + 7], content[frame + 3 : frame + 5]) if frame else False
        whole = b"\xff\xd9" in content[frame:]
    else:
        return "is not a JPEG, PNG or GIF picture" if content else "is empty"
    if not size:
        return "is a picture whose width and height can't be read"
    return None if whole else "is a picture that breaks off before its end"


def _both(width: bytes, height: bytes) -> bool:
    """Whether both numbers are there and not 0, in whatever byte order."""
    return any(width) and any(height)


def _jpeg_frame(content: bytes) -> int:
    """Where the segment that holds the dimensions has its length, or 0."""
    position = 2
    while position + 9 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _BARE:
            position += 2
        elif marker in _FRAMES:
            return position + 2
        else:
            length = int.from_bytes(content[position + 2 : position + 4], "big")
            if length < 2 or marker == 0xDA:
                return 0
            position += 2 + length
    return 0
