# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service can't tell us, kept in a file of ours: which accounts are ours, whom we disabled, what we sent.

JSON, mode 0600, replaced whole. One run at a time holds it: a second one that writes is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from typing import Dict, FrozenSet, List, Optional

from .._errors import TargetError
from .._module.private_file import FileError, make_directories, write_private

FORMAT = "identity.roster.service/1"


@dataclass
class Owned:
    """One account that is ours. ``disabled``: by us, since whom an administrator disabled is not ours to let in.

    ``avatar`` is the SHA-256 of the picture that was sent last, ``groups`` the groups; None when never sent.
    """

    account: str
    disabled: bool = False
    avatar: Optional[str] = None
    groups: Optional[List[str]] = None


@dataclass
class ServiceState:
    """``target`` says which service it is of; ``owned`` is by the roster's stable ids."""

    target: str
    owned: Dict[str, Owned] = field(default_factory=dict)

    def accounts(self) -> Dict[str, str]:
        """Stable id to the account's id at the service."""
        return {identity: entry.account for identity, entry in self.owned.items()}

    def disabled(self) -> FrozenSet[str]:
        return frozenset(identity for identity, entry in self.owned.items() if entry.disabled)

    def own(self, identity: str, account: str) -> Owned:
        """The entry of a user, whose account is this one. What was sent to another account counts no more."""
        entry = self.owned.get(identity)
        if entry is None or entry.account != account:
            entry = self.owned[identity] = Owned(account)
        return entry


def serialise(state: ServiceState) -> bytes:
    document = {"format": FORMAT, **asdict(state)}
    return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass") + b"\n"


def parse(content: bytes, path: str, target: str) -> ServiceState:
    """Raises TargetError for anything but a whole state of this target: a lost one would make everybody a stranger."""
    try:
        document = json.loads(content.decode("utf-8", "surrogatepass"))
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, this version reads {FORMAT!r}")
        owned = {identity: Owned(**entry) for identity, entry in document["owned"].items()}
        if not isinstance(document["target"], str) or not all(map(_is_sound, owned.values())):
            raise ValueError("an entry of it is not one")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise TargetError(
            f"{path} is damaged ({problem}). It records which accounts belong to the roster, so nothing was changed. "
            "Restore it from a backup, or remove it: accounts of the roster's users are found again, those of users "
            "who left meanwhile stay as they are"
        ) from None
    if document["target"] != target:
        raise TargetError(
            f"{path} belongs to {document['target']}, not to {target}: give each service a state_path of its own. If "
            "it is the same service under a new address, change the address in the file"
        )
    return ServiceState(target, owned)


def _is_sound(entry: Owned) -> bool:
    kinds = (
        (entry.account, str),
        (entry.disabled, bool),
        (entry.avatar or "", str),
        (entry.groups if entry.groups is not None else [], list),
    )
    return all(isinstance(value, kind) for value, kind in kinds) and all(
        isinstance(name, str) for name in entry.groups or ()
    )


class StateFile:
    """The state of one target at ``path``; without a path it is empty at the start and lost at the end.

    ``writes`` is False in check mode: then nothing is made or locked.
    """

    def __init__(self, path: Optional[str], target: str, writes: bool) -> None:
        self.path = path
        self.writes = writes and path is not None
        self.target = target
        self._lock: Optional[int] = None

    def __enter__(self) -> StateFile:
        if self.writes and self.path is not None:
            self._take_lock(self.path)
        return self

    def __exit__(self, *unused: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self, path: str) -> None:
        """The lock is a file of its own, as the state is replaced. It ends with the process, however that ends."""
        lock = path + ".lock"
        try:
            make_directories(os.path.dirname(os.path.abspath(path)))
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TargetError(
                f"another run is using {path}: nothing was changed; try again when it has ended"
            ) from None
        except OSError as problem:
            raise TargetError(f"{lock} can't be made: {problem.strerror}") from None

    def read(self) -> ServiceState:
        if self.path is None:
            return ServiceState(self.target)
        try:
            with open(self.path, "rb") as file:
                return parse(file.read(), self.path, self.target)
        except FileNotFoundError:
            return ServiceState(self.target)
        except OSError as problem:
            raise TargetError(f"state_path {self.path} can't be read: {problem.strerror}") from None

    def write(self, state: ServiceState) -> None:
        """A state that is so already is not written again. Raises TargetError."""
        if self.writes and self.path is not None:
            try:
                write_private(self.path, serialise(state), check_mode=False)
            except FileError as problem:
                raise TargetError(f"state_path: {problem}") from None
