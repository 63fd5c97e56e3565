# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source, a fleet, and a playbook of ours between them, as the tests of the main jobs run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.system import Fingerprint, complaints, fingerprint
from tests.playbook.run import TARGET, Run, run_playbook
from tests.servers.libre_workspace import Portal

PASSWORD = "Korrekt-Pferd-9"
#: The fetch role's task that shows the difference to the last roster.
NEWS = "Say who joined, left and changed since the last roster"


@dataclass
class FleetSync:
    """One fleet, one roster file. ``variables`` and ``environment`` go to the playbook."""

    fleet: Fleet
    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    playbook: str = "identity.roster.sync"
    #: By the command ansible-playbook itself, as in `run_playbook`.
    command: bool = False

    def source(self) -> dict[str, Any]:
        """Variables that say what to read."""
        return {}

    def run(self, *, check: bool = False, options: tuple[str, ...] = ()) -> Run:
        variables = {"fetch_dest": str(self.folder / "roster.json"), **self.source(), **self.variables}
        return run_playbook(
            self.playbook,
            self.fleet.inventory_path,
            variables,
            check=check,
            options=options,
            environment=self.environment,
            command=self.command,
        )

    def apply(self) -> Run:
        """One run that goes well, where `prove` has shown elsewhere that it does what it says."""
        done = self.run()
        assert done.returncode == 0, done.output
        return done

    def fingerprints(self) -> dict[str, Fingerprint]:
        return {host.name: fingerprint(host.root) for host in self.fleet.hosts}

    def prove(self, *, whole: bool = False) -> Run:
        """Check, apply, apply: the plan is what was done, and the second time there is nothing to do.

        With ``whole``, check mode is asked before that second time.
        """
        before = self.fingerprints()
        planned = self.run(check=True)
        assert planned.returncode == 0, planned.output
        assert self.fingerprints() == before, "check mode wrote something"

        done = self.run()
        assert done.returncode == 0, done.output
        assert done.changes() == planned.changes()
        plans, results = planned.of(TARGET), done.of(TARGET)
        for host in self.fleet.hosts:
            for key in (
                "plan_digest",
                "roster_digest",
                "summary",
                "rejected",
                "failures",
                "pending",
                "diff",
                "changed",
            ):
                assert results[host.name][key] == plans[host.name][key], (host.name, key)

        settled = self.fingerprints()
        for check in (True, False) if whole else (False,):
            again = self.run(check=check)
            assert again.returncode == 0, again.output
            assert not any(result["changed"] or result["changes"] for result in again.of(TARGET).values()), again.output
            assert self.fingerprints() == settled, f"a run with nothing to do wrote something (check={check})"
        return done


class Sync(FleetSync):
    """From a portal, by the playbook identity.roster.linux_clients."""

    def __init__(self, portal: Portal, fleet: Fleet, folder: Path, variables: dict[str, Any] | None = None) -> None:
        environment = {"LIBRE_WORKSPACE_API_KEY": portal.api_key}
        super().__init__(fleet, folder, variables or {}, environment, "identity.roster.linux_clients")
        self.portal = portal

    def source(self) -> dict[str, Any]:
        return {"fetch_url": self.portal.url, "fetch_allow_unicode_names": True}


def news(done: Run) -> list[str]:
    """What was said of the difference to the last roster, if anything, before any target was touched."""
    told = [index for index, event in enumerate(done.events) if event.task.endswith(NEWS)]
    targets = [index for index, event in enumerate(done.events) if event.action == TARGET]
    assert len(told) == 1
    assert told < targets or not targets
    return [result["msg"] for result in done.events[told[0]].result.get("results", [])]


def yescrypt(host: Host, password: str = PASSWORD) -> str:
    """A hash of a known password, made by a host's own libcrypt (Debian 12 has Python's crypt)."""
    script = "import crypt, sys; print(crypt.crypt(sys.stdin.read(), '$y$j9T$fleetfleetfleetfleet./'))"
    return host.run(["python3", "-W", "ignore", "-c", script], input=password, check=True).stdout.strip()


def give_key(host: Host, username: str, public_key: Path) -> None:
    """Put a public key into a user's authorized_keys, as the user would."""
    folder = f"~{username}/.ssh"
    script = f"umask 077; mkdir -p {folder} && cat > {folder}/authorized_keys && chown -R {username}: {folder}"
    host.run(["sh", "-c", script], input=public_key.read_text(encoding="utf-8"), check=True)


def clean(hosts: list[Host], baseline: dict[str, set[str]]) -> None:
    """pwck and grpck have nothing to say that they did not say of the pristine host.

    But that shadow 4.17 (Debian 13) calls names with umlauts bad: allow_unicode_names asked for those.
    """
    for host in hosts:
        new = complaints(host) - baseline[host.name]
        new = {line for line in new if line.isascii() or not line.startswith("invalid ")}
        assert not new, (host.name, sorted(new))
