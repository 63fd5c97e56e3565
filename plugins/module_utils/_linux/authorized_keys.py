# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roster's keys in a user's ~/.ssh/authorized_keys: a block between two markers. All else there is the user's own.

The user may change everything in the home, also while this runs: it is only ever entered by descriptor, and a link in
it is never followed.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import FrozenSet, List, Optional, Sequence, Set, Tuple

from .directories import DIRECTORY, NEW_FILE, READ_FILE, closing, open_home, open_home_parent

BEGIN, END = b"# BEGIN identity.roster", b"# END identity.roster"
#: Nobody has so many keys; a sparse file can claim any size.
LARGEST_FILE = 1 << 20
_TEMPORARY = ".authorized_keys.identity-roster"


def block_of(content: bytes) -> Optional[Tuple[str, ...]]:
    """The lines of the block, or of all blocks if there are more than one; None if there is none."""
    lines = _lines(content)
    blocks = _blocks(lines)
    if not blocks:
        return None
    return tuple(
        line.strip().decode("utf-8", "backslashreplace") for first, last in blocks for line in lines[first + 1 : last]
    )


def with_block(content: bytes, keys: Sequence[str]) -> bytes:
    """The content with exactly one block that holds these keys, where one was or at the end; without keys, with none.

    What stands between a BEGIN and its END is ours. A BEGIN that has lost its END takes with it only the keys behind
    it that are written anew: which of the following lines were ours nobody can tell, so the user keeps them.
    """
    encoded = [key.encode() for key in keys]
    if any(b"\n" in key or b"\r" in key or key.strip() in (b"", BEGIN, END) for key in encoded):
        raise ValueError("a key is not one line")
    lines = _lines(content)
    kept, place = _without_blocks(lines, frozenset(encoded))
    if not encoded:
        return b"".join(kept)
    if place is None:
        place = len(kept)
    if place and not kept[place - 1].endswith(b"\n"):
        kept[place - 1] += b"\n"
    block = [BEGIN, *encoded, END]
    return b"".join([*kept[:place], *(line + b"\n" for line in block), *kept[place:]])


def _lines(content: bytes) -> List[bytes]:
    """With their ends. Only a line feed ends a line, as for sshd."""
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def _blocks(lines: Sequence[bytes]) -> List[Tuple[int, int]]:
    """Where BEGIN and its END stand. A BEGIN before another BEGIN has lost its END."""
    found, begin = [], None
    for number, line in enumerate(lines):
        if line.strip() == BEGIN:
            begin = number
        elif line.strip() == END and begin is not None:
            found.append((begin, number))
            begin = None
    return found


def _without_blocks(lines: Sequence[bytes], keys: FrozenSet[bytes]) -> Tuple[List[bytes], Optional[int]]:
    """The user's own lines, and the place among them where the first block or marker was."""
    ours: Set[int] = set()
    for first, last in _blocks(lines):
        ours.update(range(first, last + 1))
    kept: List[bytes] = []
    place = None
    cut_off = False
    for number, line in enumerate(lines):
        text = line.strip()
        marker = text in (BEGIN, END)
        if marker and place is None:
            place = len(kept)
        if number in ours:
            cut_off = False
        elif marker:
            cut_off = text == BEGIN
        elif not cut_off or text not in keys:
            cut_off = False
            kept.append(line)
    return kept, place


def read_keys(root: str, home: str, uid: int) -> Optional[Tuple[str, ...]]:
    """The keys of the block; None if there is no home, no file or no block. Raises OSError when the way there is not
    the user's own."""
    try:
        with closing(_open_home(root, home, uid)) as directory, closing(_open_ssh(directory, uid)) as ssh:
            found = _read(ssh, uid)
    except FileNotFoundError:
        return None
    return block_of(found[0]) if found else None


def write_keys(root: str, home: str, uid: int, gid: int, keys: Sequence[str]) -> None:
    """Put the keys into the block. What is right already is not written. Raises OSError."""
    with closing(_open_home(root, home, uid)) as directory:
        try:
            ssh = _open_ssh(directory, uid)
        except FileNotFoundError:
            if not keys:
                return
            os.mkdir(".ssh", 0o700, dir_fd=directory)
            ssh = _open_ssh(directory, uid)
        with closing(ssh):
            _hand_over(ssh, uid, gid)
            found = _read(ssh, uid)
            content, status = found if found else (b"", None)
            new = with_block(content, keys)
            if new != content:
                _replace(ssh, new, status, (uid, gid))


def _open_home(root: str, home: str, uid: int) -> int:
    with closing(open_home_parent(os.path.realpath(root), home)) as parent:
        return open_home(parent, os.path.basename(home.rstrip("/")), uid)


def _open_ssh(home: int, uid: int) -> int:
    try:
        descriptor = os.open(".ssh", DIRECTORY, dir_fd=home)
    except NotADirectoryError:
        raise OSError(errno.ENOTDIR, ".ssh is not a directory but a file or a symbolic link") from None
    return _checked(descriptor, ".ssh", uid)


def _hand_over(ssh: int, uid: int, gid: int) -> None:
    """Give an empty directory of ours to the user: one just made, or left by a run that was cut off."""
    if os.fstat(ssh).st_uid == os.geteuid() != uid and not os.listdir(ssh):
        os.fchown(ssh, uid, gid)
        os.fchmod(ssh, 0o700)


def _checked(descriptor: int, name: str, uid: int) -> int:
    owner = os.fstat(descriptor).st_uid
    if owner not in (uid, 0):
        os.close(descriptor)
        raise OSError(errno.EPERM, f"{name} belongs to uid {owner}, not to uid {uid}")
    return descriptor


def _read(ssh: int, uid: int) -> Optional[Tuple[bytes, os.stat_result]]:
    """The file's content and status, or None if there is none."""
    try:
        descriptor = os.open("authorized_keys", READ_FILE, dir_fd=ssh)
    except FileNotFoundError:
        return None
    except OSError as problem:
        words = "is a symbolic link" if problem.errno == errno.ELOOP else f"can't be read: {problem.strerror}"
        raise OSError(problem.errno, f".ssh/authorized_keys {words}") from None
    with closing(_checked(descriptor, ".ssh/authorized_keys", uid)):
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, ".ssh/authorized_keys is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f".ssh/authorized_keys is larger than {LARGEST_FILE} bytes")
    return content, status


def _replace(ssh: int, content: bytes, like: Optional[os.stat_result], owner: Tuple[int, int]) -> None:
    """Write the file whole or not at all, with the owner, mode and SELinux label of the one that was there."""
    with suppress(FileNotFoundError):
        os.unlink(_TEMPORARY, dir_fd=ssh)
    with open(os.open(_TEMPORARY, NEW_FILE, 0o600, dir_fd=ssh), "wb") as file:
        try:
            file.write(content)
            file.flush()
            if like is None:
                os.fchown(file.fileno(), *owner)
                os.fchmod(file.fileno(), 0o600)
            else:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
                _copy_label(ssh, file.fileno())
            os.fsync(file.fileno())
            os.rename(_TEMPORARY, "authorized_keys", src_dir_fd=ssh, dst_dir_fd=ssh)
        except BaseException:
            with suppress(OSError):
                os.unlink(_TEMPORARY, dir_fd=ssh)
            raise
    os.fsync(ssh)


def _copy_label(ssh: int, descriptor: int) -> None:
    with suppress(OSError), closing(os.open("authorized_keys", READ_FILE, dir_fd=ssh)) as old:
        os.setxattr(descriptor, "security.selinux", os.getxattr(old, "security.selinux"))
