# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and replacing the account files: all or nothing as far as a file system allows, and healed by the next run.

AnsibleModule.atomic_move works on one file at a time and does not fsync, so it is not for these files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import struct
from contextlib import suppress
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .._errors import TargetError

#: In the order of a commit: what passwd refers to is there before passwd says so.
NAMES = ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")
REQUIRED = ("passwd", "group", "shadow")
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
#: _IOR('f', 1, long) of <linux/fs.h>: the size of a long is in it, and the bits that say "read" differ.
_READ = 2 << (29 if os.uname().machine.startswith(("ppc", "mips", "sparc", "alpha")) else 30)
_FS_IOC_GETFLAGS = _READ | struct.calcsize("l") << 16 | ord("f") << 8 | 1
_LABEL = "security.selinux"
#: Is there when the kernel looks at SELinux labels.
_SELINUX = "/sys/fs/selinux/enforce"
#: How mountinfo writes blanks and backslashes.
_OCTAL = re.compile(r"\\([0-7]{3})")
#: Free space that must remain beyond what is written, in bytes.
_SPARE = 1 << 20

Contents = Dict[str, Optional[bytes]]
_Stamp = Tuple[int, int, int]


class AccountFiles:
    """The account files of one root directory. Everything goes through one directory descriptor of its /etc."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, "etc")
        try:
            if os.path.realpath(self.path) != os.path.join(os.path.realpath(root), "etc"):
                raise TargetError(f"{self.path} is a symbolic link, and what it leads to is not safe to replace")
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as problem:
            raise TargetError(f"{self.path} can't be opened: {problem.strerror}") from None

    def close(self) -> None:
        os.close(self.descriptor)

    def read_optional(self, name: str) -> Optional[bytes]:
        """Another file below /etc (``default/useradd``), or None if there is none."""
        try:
            with open(os.path.join(self.path, name), "rb") as file:
                return file.read()
        except OSError:
            return None

    def host_defaults(self) -> Contents:
        """What shadow's tools take for the content of ``login.defs`` and of ``default/useradd`` ("useradd").

        shadow with libeconf, as SUSE has it, reads /usr/etc/login.defs where /etc has none, and then what is in either
        directory's login.defs.d/, by file name (``econf_readDirs``). Other builds know none of these.
        """
        vendor, login_defs = self.read_optional("../usr/etc/login.defs"), self.read_optional("login.defs")
        parts = [vendor if login_defs is None else login_defs]
        if vendor is not None:
            snippets = {}
            for folder in ("../usr/etc/login.defs.d", "login.defs.d"):
                with suppress(OSError):
                    names = os.listdir(os.path.join(self.path, folder))
                    snippets.update({name: folder for name in names if name.endswith(".defs")})
            parts += [self.read_optional(os.path.join(snippets[name], name)) for name in sorted(snippets)]
        known = [part for part in parts if part is not None]
        useradd = self.read_optional("default/useradd")
        return {
            "login.defs": b"\n".join(known) if known else None,
            "useradd": self.read_optional("../usr/etc/default/useradd") if useradd is None else useradd,
        }

    def _open(self, name: str) -> Optional[int]:
        """A descriptor of a regular file, or None if there is no such name."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                return None
            if problem.errno == errno.ELOOP:
                raise TargetError(
                    f"{self.path}/{name} is a symbolic link. Replacing it would cut the link, and writing through it "
                    "is not safe; make it a regular file, or leave this host out"
                ) from None
            raise TargetError(f"{self.path}/{name} can't be read: {problem.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise TargetError(f"{self.path}/{name} is not a regular file; this host's accounts can't be managed")
        return descriptor

    def read(self) -> Contents:
        """All files as they are at one moment, without the lock: read again while another program replaces one."""
        for _attempt in range(20):
            before = self._stamps()
            contents = self._read_now()
            if before == self._stamps():
                break
        else:
            raise TargetError(f"the account files in {self.path} change faster than they can be read")
        for name in REQUIRED:
            if contents[name] is None:
                hint = " (does it keep passwords elsewhere, as with tcb?)" if name == "shadow" else ""
                raise TargetError(f"{self.path}/{name} does not exist{hint}; this host's accounts can't be managed")
        return contents

    def _stamps(self) -> Dict[str, Optional[_Stamp]]:
        return {name: self._stamp(name) for name in NAMES}

    def _stamp(self, name: str) -> Optional[_Stamp]:
        try:
            status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def preflight(self, new: Mapping[str, bytes]) -> None:
        """Whether every file of ``new`` can be replaced; raises TargetError before anything is written."""
        if not new:
            return
        if _attributes(self.descriptor) & (_IMMUTABLE | _APPEND_ONLY):
            raise TargetError(f"{self.path} is immutable (lsattr -d shows i or a). chattr -ia {self.path} opens it")
        mounts = _mount_points()
        status = os.fstatvfs(self.descriptor)
        if status.f_flag & os.ST_RDONLY or not os.access(self.path, os.W_OK):
            raise TargetError(f"{self.path} can't be written (read-only file system or missing rights)")
        need = 2 * sum(len(content) for content in new.values()) + _SPARE
        if status.f_bfree * status.f_frsize < need:
            raise TargetError(f"{self.path} has no room for {need} bytes; free some space first")
        for name in new:
            self._check_replaceable(name, mounts)
            if not self._is_link(name + "-"):
                self._check_replaceable(name + "-", mounts)

    def _is_link(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            return stat.S_ISLNK(os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode)
        return False

    def _check_replaceable(self, name: str, mounts: Sequence[str]) -> None:
        """A file with further hard links is: like useradd and passwd(1), this leaves the old content to the others,
        which are copies made with ``cp -l`` rather than anything that should follow."""
        path = f"{self.path}/{name}"
        descriptor = self._open(name)
        if descriptor is None:
            return
        try:
            if os.path.realpath(path) in mounts:
                raise TargetError(f"{path} is a mount point and can't be replaced; manage it where it comes from")
            if _attributes(descriptor) & (_IMMUTABLE | _APPEND_ONLY):
                raise TargetError(f"{path} is immutable (lsattr shows i or a). chattr -ia {path} opens it")
        finally:
            os.close(descriptor)

    def commit(self, old: Contents, new: Mapping[str, bytes]) -> None:
        """Replace the files of ``new``. The caller holds the lock and has checked the contents."""
        names = [name for name in NAMES if name in new]
        temporaries: List[str] = []
        try:
            self._remove_leftovers()
            for name in names:
                temporaries.append(self._write_beside(name, name, new[name]))
            for name in names:
                previous = old.get(name)
                if previous is not None:
                    backup = self._write_beside(name, name + "-", previous)
                    temporaries.append(backup)
                    os.rename(backup, name + "-", src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.fsync(self.descriptor)
            if self._read_now() != old:
                raise TargetError(
                    f"a program that takes no lock changed the account files in {self.path} meanwhile; "
                    "nothing was written, run again"
                )
            for name in names:
                os.rename(_temporary(name), name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.fsync(self.descriptor)
        except OSError as problem:
            raise TargetError(
                f"{self.path} could not be written: {problem.strerror}. The next run completes what was begun"
            ) from None
        finally:
            for temporary in temporaries:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=self.descriptor)

    def _remove_leftovers(self) -> None:
        """What a killed run left. Nobody else uses these names, and we hold the lock."""
        for name in NAMES:
            for temporary in (_temporary(name), _temporary(name + "-")):
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=self.descriptor)

    def _read_now(self) -> Contents:
        contents: Contents = {}
        for name in NAMES:
            descriptor = self._open(name)
            contents[name] = None
            if descriptor is not None:
                with os.fdopen(descriptor, "rb") as file:
                    contents[name] = file.read()
        return contents

    def _write_beside(self, like: str, name: str, content: bytes) -> str:
        """Write a temporary with the mode, owner and SELinux label of ``like``, and put it on the disk."""
        temporary = _temporary(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=self.descriptor), "wb") as file:
            try:
                file.write(content)
                file.flush()
                self._copy_attributes(like, file.fileno())
                os.fsync(file.fileno())
            except BaseException:
                os.unlink(temporary, dir_fd=self.descriptor)
                raise
        return temporary

    def _copy_attributes(self, like: str, descriptor: int) -> None:
        source = self._open(like)
        if source is None:
            raise FileNotFoundError(errno.ENOENT, f"{like} is gone")
        try:
            status = os.fstat(source)
            os.fchown(descriptor, status.st_uid, status.st_gid)
            try:
                access_list = os.getxattr(source, "system.posix_acl_access")
            except OSError:
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            else:
                # The mode's group bits are then the list's mask: alone they would give the group other rights.
                os.setxattr(descriptor, "system.posix_acl_access", access_list)
            _copy_label(source, descriptor, f"{self.path}/{like}")
        finally:
            os.close(source)


def _temporary(name: str) -> str:
    return f".{name}.identity-roster"


def _copy_label(source: int, descriptor: int, path: str) -> None:
    """The SELinux label. Raises OSError where the kernel looks at labels and this one can't be given: under a label
    of its own, shadow could be open to services, or closed to login."""
    try:
        label = os.getxattr(source, _LABEL)
    except OSError:
        return
    try:
        if os.getxattr(descriptor, _LABEL) == label:
            return
    except OSError:
        pass
    try:
        os.setxattr(descriptor, _LABEL, label)
    except OSError as problem:
        if os.path.exists(_SELINUX):
            raise OSError(problem.errno, f"{path}'s SELinux label can't be kept ({problem.strerror})") from None


def _attributes(descriptor: int) -> int:
    """The inode's flags (chattr), or 0 where the file system has none. The kernel writes an int, not a long."""
    try:
        answer = fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, struct.pack("l", 0))
    except OSError:
        return 0
    return int(struct.unpack_from("i", answer)[0])


def _mount_points() -> List[str]:
    """Paths that something is mounted on, as this process sees them."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return [_OCTAL.sub(lambda found: chr(int(found.group(1), 8)), line.split(" ")[4]) for line in file]
    except OSError:
        return []
