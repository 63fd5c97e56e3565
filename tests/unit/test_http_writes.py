# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests that change something: repeated only as far as they allow it, and side by side on pooled connections."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._http import (
    HttpError,
    HttpSession,
    HttpSettings,
    TooSlow,
)
from tests.servers.scripted import Scripted, answer

OK = answer(200, b"{}")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def session(pauses: list[float], **settings: Any) -> HttpSession:
    return HttpSession(HttpSettings(**{"timeout": 3, "read_only": False, **settings}), pause=pauses.append)


@pytest.mark.parametrize(
    ("status", "repeat_on", "asked", "pauses"),
    [
        (429, (429, 503), "7", [7.0]),
        (503, (429, 503), "", [0.5]),
        (502, (429, 503), "7", []),
        (429, (), "7", []),
        (429, None, "7", []),
        (429, (429,), "90", []),
    ],
    ids=["retry-after", "backoff", "not-this-one", "none", "default", "too-long"],
)
def test_a_write_is_repeated_as_far_as_it_allows(
    status: int, repeat_on: tuple[int, ...] | None, asked: str, pauses: list[float]
) -> None:
    waited: list[float] = []
    with Scripted(answer(status, Retry_After=asked), OK) as server, session(waited) as http:
        got = http.request("POST", server.url, repeat_on=repeat_on, json={})
        assert (waited, len(server.requests)) == (pauses, 1 + len(pauses))
        assert (got.status, got.attempts) == ((200, 2) if pauses else (status, 1))


@pytest.mark.parametrize("repeat_lost", [True, False, None])
def test_a_lost_write_is_repeated_only_when_twice_is_once(repeat_lost: bool | None) -> None:
    waited: list[float] = []
    with Scripted(b"", OK) as server, session(waited) as http:
        if repeat_lost:
            assert http.request("POST", server.url, repeat_lost=repeat_lost, json={}).attempts == 2
        else:
            with pytest.raises(HttpError, match="failed: "):
                http.request("POST", server.url, repeat_lost=repeat_lost, json={})
        assert len(server.requests) == 1 + bool(repeat_lost)


def test_reading_can_be_told_not_to_be_repeated() -> None:
    with Scripted(answer(504), OK) as server, session([]) as http:
        assert http.request("GET", server.url, repeat_on=(429,)).status == 504
    with Scripted(b"", OK) as server, session([]) as http, pytest.raises(HttpError):
        http.request("GET", server.url, repeat_lost=False)


@pytest.mark.parametrize(
    ("method", "said"), [("GET", False), ("HEAD", False), ("POST", True), ("DELETE", True), ("PUT", True)]
)
def test_a_redirect_of_a_write_may_have_come_after_its_effect(method: str, said: bool) -> None:
    with Scripted(answer(301, Location="https://other.example/")) as server, session([]) as http:
        with pytest.raises(HttpError, match="redirects are not followed") as caught:
            http.request(method, server.url)
        assert ("may have been done all the same" in str(caught.value)) == said
        assert len(server.requests) == 1


def test_an_answer_that_is_too_slow_is_an_error_of_its_own() -> None:
    def keep_waiting(_connection: socket.socket, stopping: threading.Event) -> None:
        stopping.wait(5)

    with Scripted(keep_waiting) as server, session([], timeout=0.2) as http:
        with pytest.raises(TooSlow):
            http.get(server.url)


def test_several_threads_share_a_session(recwarn: pytest.WarningsRecorder) -> None:
    with Scripted(OK) as server, session([], connections=16) as http, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: http.request("POST", server.url, json={"number": number}), range(64)))
        assert [each.status for each in answers] == [200] * 64
        assert len(server.requests) == 64
    assert not recwarn.list
