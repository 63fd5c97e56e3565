# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A workflow's nodes as real runs: the dry run's artifact, the report on it, and a run that does what was approved.

The artifact goes from run to run as AWX passes it on, as a variable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.integration.sync import FleetSync
from tests.integration.system import expiry_of, fingerprint
from tests.integration.test_report import HASH, Site
from tests.playbook.run import TARGET, Run, run_playbook
from tests.servers.ftrack.client import people
from tests.servers.ftrack.workspace import Workspace
from tests.servers.pleio.server import PleioServer
from tests.servers.pleio.site import Site as PleioSite

STATS = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
SECRET = "canary-secret-1"
HEADER = "external_id,username,name,email,uid,enabled,groups,password_hash\n"
APPROVAL = {"identity_roster_require_approval": True}
REPORT = "identity.roster.awx_report"


def person(number: int, enabled: str = "yes") -> str:
    return f"e{number},user{number},User {number},user{number}@int.example,{41000 + number},{enabled},,{HASH}\n"


def evil(path: Path) -> str:
    """A record that is rejected, with a name that a template engine would run."""
    return f"""x1,"{{{{ lookup('pipe', 'touch {path}') }}}}{{% if %}}",Evil,evil@int.example,49000,yes,,\n"""


def artifact(done: Run) -> dict[str, Any]:
    """What AWX would keep, in the form of a variable."""
    text = done.output.partition("RUN: ")[2]
    kept: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    assert set(kept) == {"identity_roster"}
    assert "Kanarienvogel" not in json.dumps(kept) and SECRET not in json.dumps(kept)
    return kept


def refused(done: Run) -> dict[str, str]:
    """Hosts whose plan was refused, with what was said."""
    return {host: result["msg"] for host, result in done.of(TARGET).items() if "refused" in result}


def test_the_approved_plans_are_let_through_and_no_others(fleet2: Fleet, tmp_path: Path) -> None:
    csv, bait = tmp_path / "people.csv", tmp_path / "bait"
    first, second = fleet2.hosts
    names = {first.name, second.name}
    everybody = HEADER + evil(bait) + "".join(person(number) for number in range(8))
    without_four = HEADER + evil(bait) + "".join(person(number, "yes" if number > 3 else "no") for number in range(8))
    source = {"fetch_source": "csv", "fetch_csv": {"path": str(csv)}}
    sync = FleetSync(fleet2, tmp_path, source, STATS, "identity.roster.linux_clients")
    csv.write_text(everybody, encoding="utf-8")
    sync.apply()

    csv.write_text(without_four, encoding="utf-8")
    planned = sync.run(check=True)
    assert planned.returncode != 0
    assert set(refused(planned)) == names, "four are beyond the limit"
    kept = artifact(planned)
    roster, linux = kept["identity_roster"]["roster_digest"], kept["identity_roster"]["linux_accounts"]
    results = planned.of(TARGET)
    assert kept["identity_roster"]["check_mode"] is True
    assert linux["plans"] == {name: results[name]["plan_digest"] for name in names}
    assert {results[name]["roster_digest"] for name in names} == {roster}
    assert (linux["hosts"], set(linux["refused"]), linux["without_result"]) == (2, names, [])
    assert (linux["summary"]["disabled"], linux["refused_summary"]["disabled"]) == (0, 8)
    assert linux["rejected"] == [f"{{ {{ lookup('pipe', 'touch {bait}') }}}}{{ % if %}}"]

    # Without an artifact nothing is approved.
    before = sync.fingerprints()
    sync.variables = {**source, **APPROVAL}
    done = sync.run()
    assert set(refused(done)) == names
    assert all("was not approved: it would disable 4 users: user0, user1" in words for words in refused(done).values())
    assert sync.fingerprints() == before

    # One host is changed by somebody else between the dry run and the approval.
    second.run(["usermod", "-c", "Somebody", "user7"], check=True)
    before = sync.fingerprints()
    sync.variables = {**source, **APPROVAL, **kept}
    done = sync.run()
    assert set(refused(done)) == {second.name}
    assert "is not the one that was approved: it would disable 4 users, update 1 user" in refused(done)[second.name]
    assert done.of(TARGET)[first.name]["plan_digest"] == linux["plans"][first.name]
    assert [expiry_of(first, f"user{number}") for number in (0, 3, 4)] == ["Jan 02, 1970", "Jan 02, 1970", "never"]
    assert fingerprint(second.root) == before[second.name]
    assert set(artifact(done)["identity_roster"]["linux_accounts"]["plans"]) == names

    # A host with nothing left to do needs no approval, and what was approved the last time costs it no long way.
    before = sync.fingerprints()
    sync.variables = {**source, **APPROVAL}
    done = sync.run()
    assert set(refused(done)) == {second.name}
    assert done.of(TARGET)[first.name]["changes"] == []
    assert sync.fingerprints() == before

    # The source changes: the fetch ends the run before any target.
    csv.write_text(everybody, encoding="utf-8")
    sync.variables = {**source, **APPROVAL, **kept}
    done = sync.run()
    assert done.returncode != 0
    assert "The source says something else than when the plan was approved" in done.output
    assert done.of(TARGET) == {} and "RUN: " not in done.output
    assert sync.fingerprints() == before
    assert not bait.exists()


@pytest.fixture
def pleio() -> Iterator[PleioServer]:
    with PleioServer(PleioSite(SECRET)) as server:
        yield server
        assert server.failures == []


@pytest.fixture
def ftrack() -> Iterator[Workspace]:
    with Workspace(api_key=SECRET) as running:
        yield running
    assert running.failures == []


def test_all_targets_of_one_run(pleio: PleioServer, ftrack: Workspace, tmp_path: Path) -> None:
    """Hosts, a Pleio site and an ftrack workspace: one artifact, and each takes its own part of it."""
    site = Site(tmp_path, ["alpha", "beta"])
    csv, bait = tmp_path / "people.csv", tmp_path / "bait"
    csv.write_text(HEADER + evil(bait) + person(1) + person(2), encoding="utf-8")
    given: dict[str, Any] = {
        "fetch_source": "csv", "fetch_csv": {"path": str(csv)}, "fetch_dest": str(tmp_path / "roster.json"),
        "linux_client_root": "{{ top }}/{{ inventory_hostname }}", "linux_clients_become": False,
        "linux_client_create_homes": False, "pleio_hosts": "localhost", "pleio_site_url": pleio.url,
        "pleio_site_state_path": str(tmp_path / "pleio.json"), "ftrack_hosts": "localhost",
        "ftrack_site_state_path": str(tmp_path / "ftrack.json"),
    }  # fmt: skip
    environment = {
        **STATS, "PLEIO_API_SECRET": SECRET, "FTRACK_SERVER": ftrack.url, "FTRACK_API_USER": ftrack.api_user,
        "FTRACK_API_KEY": SECRET,
    }  # fmt: skip
    thin = "- import_playbook: identity.roster.sync\n"
    modules = {name: f"identity.roster.{name}" for name in ("linux_accounts", "pleio_users", "ftrack_users")}

    planned = site.run(thin, check=True, environment=environment, **given)
    assert planned.returncode == 0, planned.output
    kept = artifact(planned)
    parts = {target: kept["identity_roster"].pop(target) for target in modules}
    assert kept["identity_roster"] == {
        "check_mode": True,
        "roster_digest": planned.of(TARGET)["alpha"]["roster_digest"],
    }
    for target, module in modules.items():
        results = planned.of(module)
        assert parts[target]["plans"] == {host: result["plan_digest"] for host, result in results.items()}
        # A name that no Linux host takes is one that a service takes.
        assert parts[target]["summary"]["created"] == (4 if target == "linux_accounts" else 3)

    # Only the hosts and the site are approved.
    kept["identity_roster"].update({name: parts[name] for name in ("linux_accounts", "pleio_users")})
    done = site.run(thin, environment=environment, **given, **APPROVAL, **kept)
    assert done.returncode != 0
    for target in ("linux_accounts", "pleio_users"):
        plans = {host: result["plan_digest"] for host, result in done.of(modules[target]).items()}
        assert plans == parts[target]["plans"]
    assert "user1" in site.accounts()["beta"]["users"] and len(pleio.site.users) == 3
    assert "was not approved: it would create 3 users" in done.of(modules["ftrack_users"])["localhost"]["msg"]
    assert "user1" not in people(ftrack)
    told = artifact(done)["identity_roster"]
    assert told["check_mode"] is False
    assert (told["ftrack_users"]["refused"], told["pleio_users"]["refused"]) == (["localhost"], [])

    # What a real run leaves was shown to nobody: a second try is not let through by what the first one was refused.
    assert list(told["ftrack_users"]["plans"]) == ["localhost"]
    done = site.run(thin, environment=environment, **given, **APPROVAL, identity_roster=told)
    assert "was not approved: it would create 3 users" in done.of(modules["ftrack_users"])["localhost"]["msg"]
    assert "user1" not in people(ftrack)
    assert not bait.exists()


def test_hosts_that_fail_are_in_the_artifact_and_in_the_report(tmp_path: Path) -> None:
    site = Site(tmp_path, ["alpha", "broken"])
    site.add_unreachable("lost")
    csv, bait = tmp_path / "people.csv", tmp_path / "bait"
    csv.write_text(HEADER + evil(bait) + person(1), encoding="utf-8")
    (tmp_path / "broken/etc/passwd").unlink()
    given: dict[str, Any] = {
        "fetch_source": "csv", "fetch_csv": {"path": str(csv)}, "fetch_dest": str(tmp_path / "roster.json"),
        "linux_client_root": "{{ top }}/{{ inventory_hostname }}", "linux_clients_become": False,
        "linux_client_create_homes": False,
    }  # fmt: skip
    thin = "- import_playbook: identity.roster.linux_clients\n"
    done = site.run(thin, check=True, environment=STATS, **given)
    assert done.returncode != 0
    kept = artifact(done)
    linux = kept["identity_roster"]["linux_accounts"]
    assert (linux["hosts"], list(linux["plans"]), linux["without_result"]) == (1, ["alpha"], ["broken", "lost"])
    assert (linux["summary"]["created"], linux["summary"]["rejected"]) == (1, 1)

    done = run_playbook(REPORT, "localhost,", kept)
    assert done.returncode == 0, done.output
    shown = done.of("ansible.builtin.debug")["localhost"]["msg"]
    assert "linux_accounts: 1 host answered, 1 would change" in shown
    assert "  NO RESULT, so nothing that could be approved (2): broken, lost" in shown
    assert all(len(line) <= 80 for line in done.output.splitlines() if "hosts" in line or "NO RESULT" in line)

    # When no host can be reached, nobody is left to say so at the end.
    done = site.run(thin, check=True, environment=STATS, linux_clients_hosts="lost", **given)
    linux = artifact(done)["identity_roster"]["linux_accounts"]
    assert (linux["hosts"], linux["plans"], linux["without_result"]) == (0, {}, ["lost"])
    assert not bait.exists()


CSV = {"fetch_source": "csv", "fetch_csv": {"path": "/nowhere"}}
TOKEN = "the token of the profile sync (environment PLEIO_API_SECRET, or pleio_site_api_secret)"
#: Playbook, variables, options, and the words of the refusal before anything is read.
STOPPED: dict[str, tuple[str, dict[str, Any], tuple[str, ...], str]] = {
    "missing": (
        "identity.roster.sync",
        {"fetch_sources": [{"name": "hr", "source": "csv"}, {"name": "portal", "source": "libre_workspace"}]},
        (),
        (
            "these are missing: for hr, the path of the CSV file (fetch_csv.path); "
            "for portal, the address of the portal (fetch_url); for portal, a key of the portal with the permission "
            '"Linux Client" (environment LIBRE_WORKSPACE_API_KEY, or fetch_api_key); '
            f"for acme, the address of the API (pleio_site_url); for acme, {TOKEN}; for beta, {TOKEN}"
        ),
    ),
    "limit": ("identity.roster.sync", CSV, ("--limit", "localhost,beta"), f"these are missing: for beta, {TOKEN}"),
    "list": ("identity.roster.pleio", {**CSV, "pleio_hosts": ["beta"]}, (), f"these are missing: for beta, {TOKEN}"),
    "ftrack": (
        "identity.roster.ftrack",
        {**CSV, "ftrack": {"server_url": "https://studio.example"}},
        (),
        (
            "these are missing: for localhost, the user of the API key (environment FTRACK_API_USER, "
            "ftrack_site_api_user or ftrack.api_user); for localhost, the API key (environment FTRACK_API_KEY, "
            "ftrack_site_api_key or ftrack.api_key)"
        ),
    ),
    "slice": (
        "identity.roster.pleio",
        {
            **CSV,
            "pleio_site_api_secret": SECRET,
            "pleio_hosts": "beta",
            "awx_job_template_name": "Nightly",
            "awx_workflow_job_name": "Nightly",
        },
        (),
        "This is a slice of the job template Nightly, and would bring the services beta in line",
    ),
    "localhost": (
        "identity.roster.pleio",
        CSV,
        ("--limit", "beta"),
        "The source was not read, since the limit of this run leaves localhost out",
    ),
    "report": (REPORT, {}, (), "There is no artifact identity_roster of a dry run"),
}


@pytest.mark.parametrize("case", STOPPED)
def test_what_is_missing_is_said_before_anything_is_read(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LIBRE_WORKSPACE_API_KEY", "PLEIO_API_SECRET", "API_SECRET", "FTRACK_API_USER", "FTRACK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    sites: dict[str, Any] = {"acme": {}, "beta": {"pleio_site_url": "https://beta.example/profile_sync_api/"}}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"pleio": {"hosts": sites}}), encoding="utf-8")
    playbook, given, options, words = STOPPED[case]
    done = run_playbook(playbook, inventory, {**given, "fetch_dest": str(tmp_path / "roster.json")}, options=options)
    assert done.returncode != 0
    (event,) = [event for event in done.events if event.status == "failed"]
    assert words in event.result["msg"]
    assert not any(event.action.startswith("identity.roster.") for event in done.events)
    assert SECRET not in done.output + json.dumps([event.result for event in done.events])


def test_what_is_not_missing_stops_no_run(tmp_path: Path) -> None:
    """Settings that only a play knows, or that are made of what only the host or the play knows, and a certificate."""
    inventory, wrapper = tmp_path / "hosts.json", tmp_path / "wrapper.yml"
    sites = {"acme": {"site": "a", "pleio_site_api_secret": ""}, "beta": {"pleio_site_url": "https://{{ domain }}/b"}}
    studio = {"ftrack_site_server_url": "https://{{ domain }}", "ftrack": {"api_user": "{{ domain }}"}, "key": SECRET}
    hosts = {"pleio": {"hosts": sites}, "ftrack": {"hosts": {"studio": studio}}}
    inventory.write_text(json.dumps(hosts), encoding="utf-8")
    given = {
        "domain": "int.example", "pleio_hosts": ["acme", "beta"], "pleio_site_url": "https://int.example/{{ site }}",
        "pleio_site_api_secret": "{{ lookup('ansible.builtin.file', site) }}", "ftrack_site_api_key": "{{ key }}",
    }  # fmt: skip
    wrapper.write_text(json.dumps([{"import_playbook": "identity.roster.sync", "vars": given}]), encoding="utf-8")
    directory = {"server_url": "ldaps://127.0.0.1:1", "base_dn": "dc=int", "bind_dn": "", "client_cert": "/no/cert.pem"}
    sources = {"fetch_source": "ldap", "fetch_ldap": directory, "fetch_dest": str(tmp_path / "roster.json")}
    done = run_playbook(wrapper, inventory, sources)
    (event,) = [event for event in done.events if event.status == "failed"]
    assert (event.action, "these are missing" in done.output) == ("identity.roster.ldap_info", False), event.result
