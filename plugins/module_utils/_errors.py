# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors that a person is meant to read. Only the runners in ``_module`` turn them into ``fail_json``."""

from __future__ import annotations

from typing import Any


class RosterError(Exception):
    """Base of all: the message says what is wrong, where, and what to do."""


class DocumentError(RosterError):
    """A roster that can't be read as a whole: nothing of it may be used."""


class SourceError(RosterError):
    """A source that gave no complete, believable answer: no roster is written."""


class TargetError(RosterError):
    """A target that can't be changed safely: nothing was written to it."""


class LimitError(TargetError):
    """A plan that would change more than its limits allow: nothing was written. ``outcome`` holds the plan."""

    def __init__(self, message: str, outcome: Any) -> None:
        super().__init__(message)
        self.outcome = outcome
