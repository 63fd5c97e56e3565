# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pleio_users against a client that does one request after the other, at a server that takes 50 ms for each answer."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from tests.tools.checkout import ROOT, linked_tree

sys.path.insert(0, str(linked_tree()))

from ansible_collections.identity.roster.plugins.module_utils._http import HttpSession, HttpSettings
from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Policy
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster, User
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio import Options, Pleio
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_log import RunLog
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_plan import Settings
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_site import (
    PleioSite,
    api_url,
)
from ansible_collections.identity.roster.plugins.module_utils._targets.service import Run, run
from ansible_collections.identity.roster.plugins.module_utils._targets.service_state import StateFile

USERS, WORKERS, LATENCY, PAGE = 1000, 8, 0.05, 500
HEADERS = {"Authorization": "Bearer secret"}


def measure() -> str:
    """1,000 creates and then a no-op, as a table. Both clients start with an empty site of their own."""
    people = [(f"U{number}", f"u{number}@acme.test", f"e-{number}") for number in range(USERS)]
    with _server() as url:
        theirs = [_timed(lambda: _sequential(url, people)) for _run in ("first", "no-op")]
    with _server() as url, tempfile.TemporaryDirectory(prefix="roster-bench-") as folder:
        ours = [_timed(lambda: _ours(url, people, Path(folder))) for _run in ("first", "no-op")]
    # The listing before it, the creates, and 12 rows for the site's log, of which the first and the last wait.
    bound = LATENCY * (1 + USERS / WORKERS + 2)
    lines = [f"{USERS} users of a Pleio site that takes {LATENCY * 1000:.0f} ms for an answer, seconds:"]
    lines.append(f"{'':8} {'pleio_users':>12} {'bound':>7} {'of bound':>9} {'one by one':>11} {'ratio':>6}")
    limits = (bound, LATENCY * (USERS // (PAGE - 1) + 1))
    for label, mine, least, peer in zip(("first", "no-op"), ours, limits, theirs, strict=True):
        lines.append(f"{label:8} {mine:12.2f} {least:7.2f} {mine / least:9.2f} {peer:11.2f} {peer / mine:6.1f}")
    lines.append(f"{WORKERS} workers; one by one: the same requests on one connection, everybody sent in every run")
    return "\n".join(lines)


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """The double in a process of its own, so that the two do not share an interpreter."""
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as folder:
        port = Path(folder, "port")
        command = [
            sys.executable,
            "-m",
            "tests.servers.pleio.server",
            "--port-file",
            str(port),
            "--latency",
            str(LATENCY),
        ]
        with subprocess.Popen([*command, "--lifetime", "900"], cwd=ROOT) as process:
            try:
                while not port.exists():
                    if process.poll() is not None:
                        raise RuntimeError("the double of Pleio does not start")
                    time.sleep(0.02)
                yield f"http://127.0.0.1:{int(port.read_text())}/profile_sync_api/"
            finally:
                process.kill()


def _timed(work: object) -> float:
    begun = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begun


def _ours(url: str, people: Sequence[tuple[str, str, str]], folder: Path) -> None:
    users = tuple(
        User(external_id, full_name=name, email=email, external_id=external_id) for name, email, external_id in people
    )
    settings = HttpSettings(read_only=False, connections=WORKERS)
    site = PleioSite(HttpSession(settings, HEADERS), api_url(url), PAGE)
    policy = Policy(("external_id", "email"))
    service = Pleio(site, RunLog(site.log), Options(policy, Settings({}, True, True)))
    request = Run(Roster({}, users), "digest", DEFAULTS, frozenset(), check_mode=False, workers=WORKERS)
    outcome = run(service, StateFile(str(folder / "state.json"), "bench", writes=True), request)
    if outcome.failed or len(outcome.changes) not in (0, USERS):
        raise RuntimeError(f"{outcome.failed[:3]}")


def _sequential(url: str, people: Sequence[tuple[str, str, str]]) -> None:
    """As pleio-profile-sync-client: read the list, then send every row."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(HEADERS)
        known: dict[str, str] = {}
        cursor = ""
        while True:
            page = session.get(f"{url}users", params={"limit": str(PAGE), "cursor": cursor}, timeout=30).json()["users"]
            known.update((user["external_id"], user["guid"]) for user in page)
            if len(page) < PAGE:
                break
            cursor = page[-1]["guid"]
        for name, email, external_id in people:
            body = {"name": name, "email": email, "external_id": external_id}
            if external_id in known:
                body["guid"] = known[external_id]
            session.post(f"{url}users", json=body, timeout=30).raise_for_status()


if __name__ == "__main__":
    print(measure())
