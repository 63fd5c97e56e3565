# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the last run left behind, so that a run with nothing to do needs a digest and not the roster."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional

from .._outcome import Failure, Outcome
from .._roster.model import Rejected

FORMAT = "identity.roster.applied/1"


@dataclass
class Applied:
    """``files`` maps an account file, and the ledger, to the SHA-256 of its content (None: not there). When all of
    them and both digests are as they were, a plan would be empty again and say the same about the rest."""

    roster_digest: str
    options_digest: str
    files: Dict[str, Optional[str]]
    homes: List[str] = field(default_factory=list)
    #: home, uid and SHA-256 of the SSH keys in the managed block
    keys: List[List[Any]] = field(default_factory=list)
    #: the first day on which there is something to do all the same
    due: Optional[int] = None
    unchanged: int = 0
    rejected: List[Dict[str, str]] = field(default_factory=list)
    failed: List[Dict[str, str]] = field(default_factory=list)
    pending: List[str] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        return Outcome(
            rejected=[Rejected(**entry) for entry in self.rejected],
            failed=[Failure(**entry) for entry in self.failed],
            pending=list(self.pending),
            unchanged=self.unchanged,
            roster_digest=self.roster_digest,
            warnings=list(self.warnings),
        )


def fingerprints(contents: Mapping[str, Optional[bytes]]) -> Dict[str, Optional[str]]:
    return {
        name: None if content is None else hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }


def keys_digest(keys: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode("utf-8", "surrogateescape")).hexdigest()


def serialise(applied: Applied) -> bytes:
    document: Dict[str, Any] = {"format": FORMAT, **vars(applied)}
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


def parse(content: Optional[bytes]) -> Optional[Applied]:
    """None for anything unknown: this is a short cut, and the long way is always right."""
    try:
        document = json.loads((content or b"").decode("utf-8", "surrogateescape"))
        if document.pop("format") != FORMAT:
            return None
        applied = Applied(**document)
        applied.outcome()
        texts = [*applied.homes, *applied.pending, *applied.warnings]
        sound = all(isinstance(text, str) for text in texts) and isinstance(applied.unchanged, int)
        sound = sound and isinstance(applied.due, (int, type(None)))
        for home, uid, digest in applied.keys:
            sound = sound and isinstance(home, str) and isinstance(uid, int) and isinstance(digest, str)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return applied if sound else None
