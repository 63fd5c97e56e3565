# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""awx_configure by the real awx.awx against a double of AWX 24.6.1: what it makes, and that it says so before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.playbook.run import Run, run_playbook
from tests.servers.awx.server import AwxServer
from tests.servers.awx.site import PLAYBOOKS, Site
from tests.tools.awx_collection import awx_collection

PLAYBOOK = "identity.roster.awx_configure"
REPOSITORY = "https://git.example.com/roster.git"
VARIABLES: dict[str, Any] = {
    "awx_project_scm_url": REPOSITORY,
    "awx_execution_environment_image": "registry.example.com/roster:1",
    "awx_variables": {"fetch_url": "https://portal.int.de"},
    "awx_state_dir": "/srv/roster",
}
SSH_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nCanary-SSH\n-----END OPENSSH PRIVATE KEY-----\n"
#: (credential, input): its secret.
SECRETS = {
    ("Roster portal", "api_key"): "Canary-Portal",
    ("Roster Pleio", "api_secret"): "Canary-Pleio",
    ("Roster ftrack", "api_key"): "Canary-Ftrack",
    ("Roster Linux hosts", "ssh_key_data"): SSH_KEY,
}
#: All lists, to leave out those that a test is not about: each object is a process.
LISTS = (
    "organizations", "credential_types", "credentials", "execution_environments", "notifications", "projects",
    "inventories", "hosts", "groups", "templates", "workflows", "schedules",
)  # fmt: skip
HOURLY = {
    "name": "Roster Linux clients, hourly",
    "unified_job_template": "Roster Linux clients",
    "rrule": "DTSTART;TZID=Europe/Berlin:20260101T000500 RRULE:FREQ=HOURLY;INTERVAL=2",
}
NIGHTLY = {
    "name": "Roster ftrack users, nightly",
    "unified_job_template": "Roster ftrack users",
    "rrule": "DTSTART:20260101T025500Z RRULE:FREQ=DAILY;INTERVAL=1",
}
WITHOUT_APPROVAL = {
    "organization": "Identity roster",
    "simplified_workflow_nodes": [
        {"identifier": "dry-run", "unified_job_template": "Roster sync", "failure_nodes": ["report"]},
        {"identifier": "report", "unified_job_template": "Roster report"},
    ],
}


@pytest.fixture
def awx() -> Iterator[AwxServer]:
    with AwxServer(Site({REPOSITORY: PLAYBOOKS}, password="Canary-Password")) as server:
        yield server
    assert server.failures == []


@pytest.fixture
def environment(awx: AwxServer, tmp_path: Path, collections_path: Path) -> dict[str, str]:
    key = tmp_path / "id_ed25519"
    key.touch(mode=0o600)
    key.write_text(SSH_KEY)
    return {
        "ANSIBLE_COLLECTIONS_PATH": f"{collections_path}:{awx_collection()}",
        "CONTROLLER_HOST": awx.url,
        "CONTROLLER_OAUTH_TOKEN": awx.site.token(),
        "LIBRE_WORKSPACE_API_KEY": "Canary-Portal",
        "PLEIO_API_SECRET": "Canary-Pleio",
        "FTRACK_SERVER": "https://acme.ftrackapp.com",
        "FTRACK_API_USER": "roster",
        "FTRACK_API_KEY": "Canary-Ftrack",
        "IDENTITY_ROSTER_SSH_KEY_FILE": str(key),
        "AWX_NOTIFICATION_URL": "https://hooks.example.com/services/Canary-Hook",
    }


def only(*lists: str) -> dict[str, Any]:
    return {f"controller_{name}": [] for name in LISTS if name not in lists}


def configure(environment: dict[str, str], *, check: bool = False, **variables: Any) -> list[str]:
    """What it says that it changed; in check mode without the word "would"."""
    done = run_playbook(PLAYBOOK, "localhost,", {**VARIABLES, **variables}, check=check, environment=environment)
    assert done.returncode == 0, done.output
    assert_no_secret(done)
    (said,) = [event.result for event in done.events if event.task == "Say what was changed"]
    lines = said["msg"]
    if lines == ["Nothing: the site is as the variables say."]:
        lines = []
    assert said["changed"] == bool(lines)
    assert [line.startswith("would ") for line in lines] == [check] * len(lines)
    return [line.removeprefix("would ") for line in lines]


def assert_no_secret(done: Run) -> None:
    shown = done.output + json.dumps([event.result for event in done.events])
    assert "Canary" not in shown


def refused(environment: dict[str, str], **variables: Any) -> str:
    """The words of a run that fails before it writes anything."""
    done = run_playbook(PLAYBOOK, "localhost,", {**VARIABLES, **variables}, environment=environment)
    assert done.returncode != 0
    assert_no_secret(done)
    failed = [event.result for event in done.events if event.status == "failed"]
    return str(failed[-1]["msg"])


def test_a_whole_site(awx: AwxServer, environment: dict[str, str]) -> None:
    site = awx.site
    before = site.state()
    planned = configure(environment, check=True)
    assert (site.state(), awx.writes) == (before, [])
    assert len(planned) == 33

    assert configure(environment) == planned
    check_objects(site)
    check_launches(site)
    check_workflow(site)

    awx.requests.clear()
    before = site.state()
    assert configure(environment) == []
    assert (site.state(), awx.writes) == (before, [])

    # One time is another. A step is not wanted any more, and a target; what leads to them goes with them.
    changed = only() | {
        "awx_targets": ["linux_clients", "pleio"],
        "controller_templates": [{"name": "Roster ftrack users", "organization": "Identity roster", "state": "absent"}],
        "controller_schedules": [HOURLY, NIGHTLY],
        "controller_workflows": [{"name": "Roster sync with approval", **WITHOUT_APPROVAL}],
    }
    awx.requests.clear()
    planned = configure(environment, check=True, **changed)
    assert (site.state(), awx.writes) == (before, [])
    assert configure(environment, **changed) == planned
    assert sorted(planned) == [
        "change schedules: Roster Linux clients, hourly",
        "change workflow_job_template_nodes: dry-run", "change workflow_job_template_nodes: report",
        "remove job_templates: Roster ftrack users",
        "remove workflow_job_template_nodes: apply", "remove workflow_job_template_nodes: approval",
    ]  # fmt: skip
    assert site.names("schedules") == ["Roster Linux clients, hourly", "Roster Pleio users, nightly"]
    assert site.one("schedules", "Roster Linux clients, hourly")["rrule"] == HOURLY["rrule"]
    assert site.attached("workflow_job_template_nodes", "dry-run", "failure_nodes") == ["report"]
    assert site.attached("workflow_job_template_nodes", "dry-run", "always_nodes") == []


def check_objects(site: Site) -> None:
    organization = site.one("organizations", "Identity roster")["id"]
    assert site.attached("organizations", "Identity roster", "galaxy_credentials") == ["Ansible Galaxy"]
    for kind in ("credentials", "projects", "inventories", "notification_templates", "workflow_job_templates"):
        assert {each["organization"] for each in site.all(kind)} - {None} == {organization}, kind

    types = {each["name"]: each for each in site.all("credential_types") if each["injectors"]}
    assert {section for each in types.values() for section in each["injectors"]} == {"env"}
    assert [variable for each in types.values() for variable in each["injectors"]["env"]] == [
        "LIBRE_WORKSPACE_API_KEY", "IDENTITY_ROSTER_BIND_PASSWORD", "PLEIO_API_SECRET",
        "FTRACK_SERVER", "FTRACK_API_USER", "FTRACK_API_KEY",
    ]  # fmt: skip
    assert types["ftrack workspace"]["injectors"]["env"]["FTRACK_API_KEY"] == "{{ api_key }}"

    assert site.digests == {where: hashlib.sha256(secret.encode()).hexdigest() for where, secret in SECRETS.items()}
    assert site.one("credentials", "Roster ftrack")["inputs"] == {
        "server": "https://acme.ftrackapp.com", "api_user": "roster", "api_key": "$encrypted$",
    }  # fmt: skip
    state = json.dumps([list(table.values()) for table in site.tables.values()])
    assert "Canary" not in state.replace("Canary-Hook", "")

    assert json.loads(site.one("inventories", "Roster inventory")["variables"]) == {
        "roster_source": "libre_workspace", "fetch_url": "https://portal.int.de",
        "pleio_site_state_path": "/srv/roster/pleio.json", "ftrack_site_state_path": "/srv/roster/ftrack.json",
    }  # fmt: skip
    assert json.loads(site.one("hosts", "localhost")["variables"]) == {
        "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"
    }  # fmt: skip
    assert site.names("groups") == ["linux_clients", "pleio", "ftrack"]
    assert [site.attached("groups", name, "hosts") for name in site.names("groups")] == [[], *[["localhost"]] * 2]


def check_launches(site: Site) -> None:
    """Who starts a job by hand gets a dry run, and nobody can pass variables by the way."""
    templates = {each["name"]: each for each in site.all("job_templates")}
    assert {name: (each["playbook"].removeprefix("awx/"), each["job_type"]) for name, each in templates.items()} == {
        "Roster Linux clients": ("linux_clients.yml", "check"), "Roster Pleio users": ("pleio.yml", "check"),
        "Roster ftrack users": ("ftrack.yml", "check"), "Roster sync": ("sync.yml", "check"),
        "Roster apply": ("sync.yml", "run"), "Roster report": ("report.yml", "run"),
        "Roster runs": ("rollback.yml", "check"), "Roster rollback": ("rollback.yml", "check"),
    }  # fmt: skip
    for name, each in templates.items():
        assert (each["diff_mode"], each["ask_variables_on_launch"], each["job_slice_count"]) == (True, False, 1), name
        assert site.attached("job_templates", name, "notification_templates_error") == ["Roster webhook"]
    assert {name for name, each in templates.items() if each["ask_job_type_on_launch"]} == {
        "Roster Linux clients", "Roster Pleio users", "Roster ftrack users", "Roster sync", "Roster rollback"
    }  # fmt: skip
    assert json.loads(templates["Roster apply"]["extra_vars"]) == {
        "identity_roster_report_audit_log": "/srv/roster/audit.jsonl", "identity_roster_require_approval": True,
    }  # fmt: skip
    credentials = {name: site.attached("job_templates", name, "credentials") for name in templates}
    assert credentials["Roster Pleio users"] == ["Roster portal", "Roster Pleio"]
    assert set(credentials["Roster apply"]) == set(credentials["Roster sync"]) == {each for each, _input in SECRETS}
    assert credentials["Roster report"] == []

    (question,) = site.surveys[templates["Roster rollback"]["id"]]["spec"]
    assert (question["variable"], question["required"], question["min"]) == ("rollback_run_id", True, 1)
    assert {
        each["name"]: (site.tables["job_templates"][each["unified_job_template"]]["name"], each["job_type"])
        for each in site.all("schedules")
    } == {
        "Roster Linux clients, hourly": ("Roster Linux clients", "run"),
        "Roster Pleio users, nightly": ("Roster Pleio users", "run"),
        "Roster ftrack users, nightly": ("Roster ftrack users", "run"),
    }
    assert "DTSTART;TZID=UTC:" in site.one("schedules", "Roster Linux clients, hourly")["rrule"]


def check_workflow(site: Site) -> None:
    def node(identifier: str) -> tuple[str, Any, dict[str, list[str]]]:
        found = site.one("workflow_job_template_nodes", identifier)
        starts = {each["id"]: each["name"] for kind in site.tables for each in site.all(kind) if "name" in each}
        links = {
            way: names
            for way in ("success_nodes", "failure_nodes", "always_nodes")
            if (names := site.attached("workflow_job_template_nodes", identifier, way))
        }
        return starts[found["unified_job_template"]], found["job_type"], links

    assert node("dry-run") == ("Roster sync", "check", {"always_nodes": ["report"]})
    assert node("report") == ("Roster report", None, {"success_nodes": ["approval"]})
    assert node("approval") == ("Approve what the dry run shows", None, {"success_nodes": ["apply"]})
    assert node("apply") == ("Roster apply", None, {})
    (workflow,) = site.names("workflow_job_templates")
    # AWX calls the jobs of a sliced template by its name, and looks up what a schedule starts by name only.
    assert workflow not in site.names("job_templates")
    assert not {*site.names("projects")} & {*site.names("job_templates"), workflow}
    for event in ("error", "approvals"):
        attached = site.attached("workflow_job_templates", workflow, f"notification_templates_{event}")
        assert attached == ["Roster webhook"]


def test_a_secret_that_is_there_needs_no_value(awx: AwxServer, environment: dict[str, str]) -> None:
    """And what else is in that credential stays too. By name and password, whose tokens are given back."""
    del environment["CONTROLLER_OAUTH_TOKEN"]
    awx.site.tokens.clear()
    environment |= {"CONTROLLER_USERNAME": "admin", "CONTROLLER_PASSWORD": "Canary-Password", "FTRACK_API_KEY": ""}
    organization = awx.site.create("organizations", {"name": "Identity roster"})["id"]
    fields = [{"id": name, "label": name, "secret": name == "api_key"} for name in ("server", "api_user", "api_key")]
    kind = awx.site.create("credential_types", {"name": "ftrack workspace", "inputs": {"fields": fields}})["id"]
    inputs = {"server": "https://old.ftrackapp.com", "api_user": "old", "api_key": "Canary-Old"}
    given = {"name": "Roster ftrack", "organization": organization, "credential_type": kind, "inputs": inputs}
    awx.site.create("credentials", {**given, "description": "From FTRACK_SERVER, FTRACK_API_USER and FTRACK_API_KEY"})
    before = awx.site.state()
    lists = only("credentials")
    # Those of the other targets are not wanted, and not there.
    assert configure(environment, awx_targets=["ftrack"], awx_source="csv", **lists) == []
    assert (awx.site.state(), awx.writes, awx.site.tokens) == (before, [], {})


def test_it_says_what_is_missing(awx: AwxServer, environment: dict[str, str]) -> None:
    before = awx.site.state()

    def without(*names: str) -> dict[str, str]:
        return {**environment, **dict.fromkeys(names, "")}

    # Everything at once, with the variables of the environment that it is taken from.
    words = refused(without("PLEIO_API_SECRET", "FTRACK_API_KEY"), controller_schedules=[{"name": "x", "rule": "y"}])
    assert "credentials Roster Pleio: no value for api_secret. From PLEIO_API_SECRET" in words
    assert "credentials Roster ftrack: no value for api_key. From FTRACK_SERVER" in words
    assert "schedules x: rule is no key that is known here" in words
    assert "Roster portal" not in words

    assert "Set awx_project_scm_url" in refused(environment, awx_project_scm_url="")
    assert "a list of linux_clients, pleio and ftrack" in refused(environment, awx_targets=["linux"])
    assert "Look at CONTROLLER_OAUTH_TOKEN" in refused({**environment, "CONTROLLER_OAUTH_TOKEN": "Canary-Wrong"})
    assert "Set CONTROLLER_OAUTH_TOKEN, or CONTROLLER_USERNAME" in refused(without("CONTROLLER_OAUTH_TOKEN"))
    assert "AWX does not answer" in refused({**environment, "CONTROLLER_HOST": "http://127.0.0.1:1"})
    ours = environment["ANSIBLE_COLLECTIONS_PATH"].split(":")[0]
    words = refused({**environment, "ANSIBLE_COLLECTIONS_PATH": ours})
    assert "ansible-galaxy collection install awx.awx" in words
    assert (awx.site.state(), awx.writes) == (before, [])
