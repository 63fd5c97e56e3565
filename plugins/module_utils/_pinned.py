# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetching what is public and whose SHA-256 is known beforehand: then it does not matter who sends it, and how.

So this session, unlike all others, takes any server certificate and plain HTTP. It sends no headers of its own, and
what it returns is worth nothing until its digest was compared.
"""

from __future__ import annotations

from ._http import HttpError, HttpSession, HttpSettings, _backoff, _ConnectionLost, check_url, shown_url

#: Bytes. A file of all authorities that browsers know is a quarter of it.
LARGEST = 1024 * 1024
_ATTEMPTS = 3


class PinnedSession(HttpSession):
    """``timeout`` is in seconds and bounds one attempt."""

    def __init__(self, timeout: float = 30.0) -> None:
        super().__init__(HttpSettings(validate_certs=False, timeout=timeout, retries=0, largest_body=LARGEST))

    def fetch(self, url: str) -> bytes:
        """The body of a 200. Raises HttpError for everything else."""
        _check(url)
        attempt = 1
        while True:
            try:
                answer = self._attempt("GET", url, {}, attempt)
            except _ConnectionLost as problem:
                if attempt == _ATTEMPTS:
                    raise HttpError(f"{problem} ({attempt} attempts)") from None
                self._pause(_backoff(attempt))
                attempt += 1
                continue
            if answer.status != 200:
                raise HttpError(f"GET {shown_url(url)} answers {answer.status}: look at the address")
            return answer.content

    def _is_local(self, url: str) -> bool:
        return _check(url)

    def _too_large(self, method: str, url: str) -> HttpError:
        size = LARGEST // 1024
        return HttpError(f"{method} {shown_url(url)} answers with more than {size} KiB: no certificate does")


def _check(url: str) -> bool:
    """As check_url, but plain HTTP may be asked of everybody."""
    return check_url("https" + url[4:] if url[:5].lower() == "http:" else url)
