# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run that is disturbed, what it starts from, and the judge of what a disturbed one leaves.

What is allowed between a fault and the next run, exactly:

- Each account file is as it was or as the whole run makes it (with or without the one removal, which needs an archive
  first), byte for byte, with its owner and mode; and the new ones come first in the order of the commit.
- Every login (root, the admin, a local user, and everybody of the roster with the old and the new password) is decided
  as before the run or as after it. So whoever the run does not concern notices nothing.
- pwck and grpck say nothing but what they say before or after the run, or of those whom the run changes.
- No file that holds a hash can be read by others, the temporary ones included.

And after the next run everything that was changed on the disk is as if nothing had happened: no file more, none less.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._roster import document
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build
from tests.faults.laboratory import Call, Ended, Laboratory

#: In the order of a commit.
ACCOUNT_FILES = ("group", "gshadow", "subuid", "subgid", "shadow", "passwd")
STATE = "var/lib/identity-roster"

LOCAL, OLD, NEW = "root-secret", "old-secret", "new-secret"
#: A thousand rounds: there are thousands of logins.
HASHES = {
    LOCAL: "$6$rounds=1000$faultroot$"
    "LulILkUUwTIrfkygGoFidgYSI2jNo5IFjBAXm5G02wztYt5TEPcqKZfYgcIP/.I9HqjLhz0q1Bfl6spVxICk3/",
    OLD: "$6$rounds=1000$faultold$"
    "v7meaLxzCxkUm8lWkdr1kJo08ooXMTlr4OlndHpg7d.DE3Z9Yh8w/O2jsfGhdumavku7b0MxR.1O6mnTSSUPo/",
    NEW: "$6$rounds=1000$faultnew$"
    "OElh9s/fyRclEcTLdmzY5oe/CT6YX30K3sXqmBqHnayV/jzWV1PeJ5H7wskyePX/a7fVukp2T85RWrgAno/gj/",
}
#: Who has nothing to do with the roster: root, the admin that Ansible is connected as, and a local user.
OTHERS = ("root", "ansible", "rescue")
OPTIONS: dict[str, Any] = {
    "admin_group": "sudo",
    "default_shell": "/bin/bash",
    "protected": {"root": "is root", "ansible": "is the account that Ansible is connected as"},
    "missing_users": "remove",
    "remove_after": 30,
    "removed_homes": "archive",
    "move_homes": True,
    "authorized_keys": True,
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOyL7QtOjEk+RMGB/iY4jUjoTfrxIjJyPQvywgkzFDbC"
_DAY = 86400
#: A day in 2026: two runs of one comparison must not be on two days.
CLOCK = 1_790_000_000


def person(username: str, uid: int, *groups: str, **fields: Any) -> User:
    fields.setdefault("password_hash", HASHES[OLD])
    fields.setdefault("enabled", True)
    fields.setdefault("id", f"id-{username}")
    return User(username=username, uid=uid, groups=tuple(groups), **fields)


_TEAM, _CREW, _NEW_GROUP = Group("team", gid=6000), Group("crew", gid=6001), Group("fresh", gid=6002)
_STAY = [person(f"stay{number}", 5100 + number, "team", "crew") for number in range(6)]
BEFORE = build(
    {"kind": "test"},
    [
        person("anna", 5000, admin=True),
        person("bert", 5001, "team"),
        person("cora", 5002, "team"),
        person("dave", 5003, "team", admin=True),
        person("eva", 5004, enabled=False),
        person("fred", 5005, "crew", enabled=False),
        person("hans", 5007),
        person("iris", 5008, "team", "crew"),
        person("otto", 5009, "team"),
        *_STAY,
    ],
    [_TEAM, _CREW],
)
#: otto has left, and that is longer ago than an account is kept.
BETWEEN = replace(BEFORE, users=tuple(user for user in BEFORE.users if user.username != "otto"))
#: anna is disabled, hans has left, fred is back, bert has a new password, cora other groups and admin rights, dave a
#: key, iris is called irina, otto goes for good; gina and a group are new. eva stays disabled.
AFTER = build(
    {"kind": "test"},
    [
        person("anna", 5000, admin=True, enabled=False),
        person("bert", 5001, "team", password_hash=HASHES[NEW]),
        person("cora", 5002, "crew", "fresh", admin=True, full_name="Cora"),
        person("dave", 5003, "team", admin=True, ssh_public_keys=(KEY,)),
        person("eva", 5004, enabled=False),
        person("fred", 5005, "crew"),
        person("gina", 5006, "team", "fresh"),
        person("irina", 5008, "team", "crew", id="id-iris"),
        *_STAY,
    ],
    [_TEAM, _CREW, _NEW_GROUP],
)
#: (user, password)
LOGINS = [(name, LOCAL) for name in OTHERS]
LOGINS += [
    (name, OLD)
    for name in ("anna", "bert", "cora", "dave", "eva", "fred", "gina", "hans", "iris", "irina", "otto", "stay0")
]
LOGINS += [("bert", NEW), ("root", OLD)]

Entry = tuple[int, int, int, bytes]


@dataclass(frozen=True)
class Look:
    """What the system says of itself."""

    logins: dict[tuple[str, str], bool]
    complaints: frozenset[str]
    admins: frozenset[str]


def tree(top: Path) -> dict[str, Entry]:
    """Everything below a directory: mode (with the kind), owner, group and content."""
    found: dict[str, Entry] = {}
    for path in _walk(top):
        status = path.lstat()
        content = b""
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.fsencode(os.readlink(path))
        found[str(path.relative_to(top))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def _walk(top: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        yield from (Path(folder, name) for name in (*folders, *files))


class Scenario:
    """A run on a host: as it should go, and as it went after a fault."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self._proven: set[str] = set()
        self._looks: dict[str, Look] = {}
        self.start = self._prepare()
        laboratory.lay_out(self.start)
        self.old_files = self.files()
        self.old = self.look()
        done = laboratory.do(self.task())
        assert done["summary"] == {
            "created": 1, "updated": 4, "enabled": 1, "disabled": 2, "removed": 1,
            "unchanged": 7, "rejected": 0, "failed": 0, "pending": 0,
        }, done  # fmt: skip
        self.concerned = {change["name"] for change in done["changes"]} | {"sudo", "iris"}
        self.new_files = self.files()
        self.new = self.look()
        self.settled = self._comparable(tree(laboratory.changed))
        self.kept_files = self._without_archive()

    def _without_archive(self) -> dict[str, bytes]:
        """The account files of a run that can't archive otto's home, and so does not remove otto yet."""
        self.laboratory.lay_out(self.start)
        self.laboratory.shell(f"rm -rf /run/case/{STATE}/archives; touch /run/case/{STATE}/archives")
        done = self.laboratory.do(self.task())
        assert [failure["name"] for failure in done["failures"]] == ["otto"], done
        return self.files()

    def _prepare(self) -> str:
        """A host with people of its own, that has been synchronised once."""
        laboratory = self.laboratory
        laboratory.lay_out()
        laboratory.execute("useradd", "--create-home", "--shell", "/bin/bash", "rescue")
        laboratory.execute("chpasswd", "-e", text="".join(f"{name}:{HASHES[LOCAL]}\n" for name in OTHERS))
        laboratory.execute("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
        done = laboratory.do(self.task(BEFORE, clock=CLOCK - 100 * _DAY))
        assert done["summary"]["created"] == len(BEFORE.users), done
        for name in ("iris", "otto"):
            laboratory.execute(
                "setpriv", f"--reuid={name}", "--clear-groups", "sh", "-c", f"echo dear > ~{name}/letter"
            )
        done = laboratory.do(self.task(BETWEEN, clock=CLOCK - 60 * _DAY))
        assert done["summary"]["disabled"] == 1, done
        return laboratory.keep()

    def task(
        self, roster: Roster | None = AFTER, check: bool = False, clock: float | None = CLOCK,
        patience: float | None = None, **options: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """A run of the engine; ``patience`` is how long it waits for a lock. Without a roster: by its digest alone."""
        content = document.serialise(AFTER if roster is None else roster)
        return {
            "do": "run",
            "roster": None if roster is None else content.decode(),
            "digest": document.digest(content),
            "options": {**OPTIONS, **options},
            "check": check,
            "clock": clock,
            "patience": patience,
        }

    def files(self) -> dict[str, bytes]:
        return {name: (self.laboratory.root / "etc" / name).read_bytes() for name in ACCOUNT_FILES}

    def look(self) -> Look:
        """Depends on the account files and homes alone, so the same ones are not looked at again."""
        seen = repr((self.files(), sorted((self.laboratory.root / "home").iterdir())))
        if seen not in self._looks:
            self._looks[seen] = self._look()
        return self._looks[seen]

    def _look(self) -> Look:
        said = self.laboratory.do({"do": "look", "logins": LOGINS})
        logins = dict(zip(LOGINS, said["logins"], strict=True))
        return Look(logins, frozenset(said["complaints"]), frozenset(said["admins"]))

    # -- faults

    def trace(self) -> list[Call]:
        """The system calls of an undisturbed run that write something, in order; the last one is its end."""
        self.laboratory.lay_out(self.start)
        ended, calls = self.laboratory.traced(self.task())
        assert ended.code == 0
        return [call for call in calls if _writes(call)]

    def disturbed(self, call: Call, how: str) -> Ended:
        """A run on a new case, with something done to one of its system calls."""
        self.laboratory.lay_out(self.start)
        injection = f"inject={call.name}:{how}:when={call.number}"
        ended, calls = self.laboratory.traced(self.task(), "-e", f"trace={call.name}", "-e", injection)
        same = [other for other in calls if other.number == call.number]
        assert [_plain(other.text) for other in same] == [_plain(call.text)], (
            f"the fault hit another call than was meant: {[str(other) for other in same]}"
        )
        return ended

    # -- the judge

    def check(self, *, whole: bool = False, converges: bool = True) -> None:
        """All that must hold after a fault; with ``whole`` nothing at all may have been written to account files.

        A disk that was found good before is not looked at again.
        """
        before = tree(self.laboratory.changed)
        proof = hashlib.sha256(repr((sorted(before.items()), whole, converges)).encode()).hexdigest()
        if proof not in self._proven:
            self.check_between(whole)
            if converges:
                self.check_next_run()
            self._proven.add(proof)

    def check_logins(self) -> None:
        """root and the admin over SSH, as the last case left them."""
        for name in ("root", "ansible"):
            assert self.laboratory.ssh(name, LOCAL), f"{name} can't log in over SSH"
        assert not self.laboratory.ssh("eva", OLD), "eva is disabled"

    def check_between(self, whole: bool = False) -> None:
        files, old = self.files(), self.old_files
        makes = [
            new
            for new in (self.new_files, self.kept_files)
            if all(files[name] in (old[name], new[name]) for name in ACCOUNT_FILES)
        ]
        assert makes, "account files that are neither old nor new"
        states = [files[name] != old[name] for name in ACCOUNT_FILES if makes[0][name] != old[name]]
        for name in ACCOUNT_FILES:
            allowed = 0o640 if name.endswith("shadow") else 0o644
            status = (self.laboratory.root / "etc" / name).lstat()
            assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == allowed, f"mode of {name}"
            assert (status.st_uid, status.st_gid) == (0, 42 if name.endswith("shadow") else 0), f"owner of {name}"
        assert states == sorted(states, reverse=True), f"not in the order of the commit: {states}"
        assert not (whole and any(states)), "account files were written"
        assert not exposed(tree(self.laboratory.changed))
        self._check_letters()
        self._check_look(self.look())

    def _check_letters(self) -> None:
        """What people had in their homes is there, in a whole copy."""
        root = self.laboratory.root
        assert any((root / "home" / name / "letter").is_file() for name in ("iris", "irina")), "a home is lost"
        archives = list((root / STATE).glob("archives/otto*.tar"))
        for archive in archives:
            with tarfile.open(archive) as tar:
                letter = tar.extractfile("otto/letter")
                assert letter is not None and letter.read() == b"dear\n", "the archive of a home is not whole"
        assert archives or (root / "home/otto/letter").is_file(), "a home is lost"

    def _check_look(self, now: Look) -> None:
        for login, allowed in now.logins.items():
            assert allowed in (self.old.logins[login], self.new.logins[login]), f"login of {login[0]}: {allowed}"
        wrong = {name for name in now.admins if name not in self.old.admins | self.new.admins}
        assert not wrong and now.admins >= self.old.admins & self.new.admins, f"admins: {sorted(now.admins)}"
        for line in now.complaints - self.old.complaints - self.new.complaints:
            named = set(re.findall(r"[\w.-]+", line))
            assert named & self.concerned and not named & set(OTHERS), line

    def check_next_run(self) -> None:
        """The next run completes, the one after that has nothing to do, and all is as if nothing had happened."""
        laboratory = self.laboratory
        planned = laboratory.do(self.task(check=True))
        done = laboratory.do(self.task())
        assert "refused" not in done and not done["failures"], done
        assert done["changes"] == planned["changes"], "check mode said something else"
        found = tree(laboratory.changed)
        now = self._comparable(found)
        assert sorted(now) == sorted(self.settled), sorted(now.keys() ^ self.settled.keys())
        for path, entry in now.items():
            assert entry == self.settled[path], f"{path} is not what an undisturbed run leaves"
        if any(self.new_files[name] != found[f"etc/{name}"][3] for name in ACCOUNT_FILES):
            assert self.look() == self.new, "the same lines in another order mean something else"
        stamps = _stamps(laboratory.changed)
        for again in (self.task(), self.task(roster=None)):
            answer = laboratory.do(again)
            assert answer.get("changed") is False, answer
        assert _stamps(laboratory.changed) == stamps, "a run with nothing to do wrote something"

    def _comparable(self, found: dict[str, Entry]) -> dict[str, Entry]:
        """Without snapshots (each run has its own) and the content of the other copies of earlier states, and with the
        groups' lines sorted: a group that was there before its gshadow line gets that line at the end."""
        result = {}
        for path, (mode, uid, gid, content) in found.items():
            if path in ("etc/group", "etc/gshadow"):
                content = b"".join(sorted(content.splitlines(keepends=True)))
            if path.startswith(f"{STATE}/snapshots/") and not path.split("/")[4].startswith("."):
                continue
            if path.endswith("-"):
                content = b""
            if path == f"{STATE}/applied.json":
                content = re.sub(rb'"(group|gshadow)": "\w+"', b"", content)
            result[path] = (mode, uid, gid, content)
        return result


def exposed(found: dict[str, Entry]) -> list[str]:
    """Files with a hash that others than root, and Debian's group for it, can read."""
    return [
        path
        for path, (mode, _uid, gid, content) in found.items()
        if stat.S_ISREG(mode) and re.search(rb"\$(6|y)\$", content) and (mode & 0o007 or (mode & 0o070 and gid != 42))
    ]


def is_temporary(path: str) -> bool:
    """By its name. A home on its way out is none: it is removed under such a name, and by a later run if it must."""
    name = path.rpartition("/")[2]
    if "identity-roster-removed-" in path:
        return False
    return name.startswith(".") and ("identity-roster" in name or name.endswith(".new"))


def _stamps(top: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path.relative_to(top)): (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in _walk(top)
    }


_ALWAYS = {
    "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link", "linkat", "symlink",
    "symlinkat", "fsync", "fdatasync", "write", "pwrite64", "writev", "ftruncate", "truncate", "fallocate", "chmod",
    "fchmod", "fchmodat", "chown", "lchown", "fchown", "fchownat", "setxattr", "fsetxattr", "lsetxattr", "utimensat",
    "mknod", "mknodat", "copy_file_range", "sendfile", "flock", "exit_group",
}  # fmt: skip


def _writes(call: Call) -> bool:
    """Whether the disk or a lock may differ after this call: between two of these a kill finds the same."""
    if call.name in ("open", "openat"):
        return "O_CREAT" in call.text or "O_TRUNC" in call.text
    return call.name in _ALWAYS or (call.name == "fcntl" and "F_SETLK" in call.text)


def _plain(text: str) -> str:
    """A call without its result, and without what differs from run to run: process ids and file descriptors."""
    text = re.sub(r"\d+<([^>]*)>", r"<\1>", text)
    text = re.sub(r"pipe:\[\d+\]|/proc/\d+", "", text)
    return re.sub(r"\)\s+= .*", "", text)
