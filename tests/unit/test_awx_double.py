# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of AWX refuses what AWX was seen to refuse, and takes the rest; and the playbook's own tables agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.servers.awx import rules
from tests.servers.awx.site import API, PLAYBOOKS, Request, Site
from tests.tools.checkout import ROOT

INPUTS: dict[str, Any] = {"fields": [{"id": "api_key", "label": "Key", "type": "string", "secret": True}]}
BASIC = ("basic", "admin", "secret")


@pytest.mark.parametrize(
    ("inputs", "injectors", "words"),
    [
        (INPUTS, {"env": {"LIBRE_WORKSPACE_API_KEY": "{{ api_key }}"}}, None),
        (INPUTS, {"file": {"template": "{{ api_key }}"}, "env": {"KEY_FILE": "{{ tower.filename }}"}}, None),
        (INPUTS, {"env": {"ANSIBLE_PASSWORD": "{{ api_key }}"}}, "ANSIBLE_PASSWORD may affect"),
        (INPUTS, {"env": {"KEY": "{{ key }}"}}, "undefined field (key)"),
        (INPUTS, {"variables": {}}, "Additional properties"),
        ({"fields": [{"id": "api_key"}]}, {}, "not valid"),
        ({**INPUTS, "required": ["key"]}, {}, "required names a field"),
    ],
    ids=["env", "file", "ansible_variable", "undefined_field", "section", "label", "required"],
)
def test_credential_types(inputs: Any, injectors: Any, words: str | None) -> None:
    assert_says(rules.credential_type(inputs, injectors, "cloud"), words)


def assert_says(problem: rules.Problem, words: str | None) -> None:
    if words is None:
        assert problem is None
    else:
        assert words in json.dumps(problem)


@pytest.mark.parametrize(
    ("rrule", "words"),
    [
        ("DTSTART;TZID=Europe/Berlin:20260101T000500 RRULE:FREQ=HOURLY;INTERVAL=1", None),
        ("DTSTART:20260101T000500Z RRULE:FREQ=DAILY;INTERVAL=1", None),
        ("DTSTART:20260101T000500Z RRULE:FREQ=DAILY", "INTERVAL required"),
        ("DTSTART:20260101T000500 RRULE:FREQ=DAILY;INTERVAL=1", "naive datetime"),
        ("DTSTART;TZID=Berlin:20260101T000500 RRULE:FREQ=DAILY;INTERVAL=1", "valid TZID"),
        ("RRULE:FREQ=DAILY;INTERVAL=1", "Valid DTSTART required"),
        ("DTSTART:20260101T000500Z", "One or more rule required"),
        ("DTSTART:20260101T000500Z RRULE:FREQ=SECONDLY;INTERVAL=1", "SECONDLY"),
        ("DTSTART:20260101T000500Z RRULE:FREQ=OFTEN;INTERVAL=1", "invalid 'FREQ'"),
    ],
    ids=["tzid", "utc", "interval", "naive", "zone", "start", "rule", "seconds", "frequency"],
)
def test_rrules(rrule: str, words: str | None) -> None:
    assert_says(rules.rrule(rrule), words)


SURVEY = {"spec": [{"variable": "run", "required": True, "type": "text", "default": "x", "min": 1, "max": 4}]}
TEMPLATE = {"survey_enabled": True, "job_type": "check", "ask_job_type_on_launch": True, "ask_limit_on_launch": False}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"extra_data": {"run": "abc"}, "job_type": "run"}, None),
        ({"extra_data": {}}, "'run' value missing"),
        ({"extra_data": {"run": ""}}, "too small"),
        ({"extra_data": {"run": "abcde"}}, "too large"),
        ({"extra_data": {"run": "abc", "roster_source": "csv"}}, "Variables roster_source are not allowed"),
        ({"extra_data": {"run": "abc"}, "limit": "pc-17"}, "not configured to prompt"),
    ],
    ids=["answered", "unanswered", "empty", "long", "unasked_variable", "unasked_prompt"],
)
def test_what_a_schedule_says(given: Any, words: str | None) -> None:
    """A required answer must be given, default or not."""
    assert_says(rules.prompts(TEMPLATE, SURVEY, given, answers_needed=True), words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"text": {{ job.name | tojson }}}', None),
        ('{"text": "{{ job.name }}"}', "json dictionary"),
        ('["{{ job.id }}"]', "Found type 'list'"),
        ('{"text": "{{ jobs.id }}"}', "'jobs' is undefined"),
    ],
    ids=["tojson", "quotes_in_a_name", "no_dictionary", "undefined"],
)
def test_bodies_of_webhooks(body: str, words: str | None) -> None:
    configuration = {"url": "https://hooks.example.com", "headers": {}}
    assert_says(rules.notification("webhook", configuration, {"error": {"body": body}}), words)
    assert configuration["http_method"] == "POST"


class Awx:
    """A site with an organization and a project, and what asks it."""

    def __init__(self) -> None:
        self.site = Site({"https://git.example.com": PLAYBOOKS})
        self.organization = self.post("organizations", name="Roster")
        settings = {"organization": self.organization, "scm_type": "git", "scm_url": "https://git.example.com"}
        self.project = self.post("projects", name="Project", **settings)
        self.inventory = self.post("inventories", name="Inventory", organization=self.organization)

    def ask(self, method: str, path: str, body: Any = None, login: tuple[str, ...] = BASIC, **query: str) -> Any:
        return self.site.answer(Request(method, f"{API}/{path}/", query, body, login))

    def post(self, path: str, **body: Any) -> int:
        status, answer = self.ask("POST", path, body)
        assert status == 201, answer
        return int(answer["id"])

    def template(self, **more: Any) -> tuple[int, Any]:
        body = {"name": "T", "project": self.project, "inventory": self.inventory, "playbook": PLAYBOOKS[0], **more}
        answer: tuple[int, Any] = self.ask("POST", "job_templates", body)
        return answer


def test_logins() -> None:
    awx = Awx()
    assert awx.ask("GET", "ping", login=())[0] == 200
    for login in ((), ("basic", "admin", "wrong"), ("bearer", "wrong")):
        assert awx.ask("GET", "organizations", login=login)[0] == 401
    status, made = awx.ask("POST", "tokens", {})
    assert (status, awx.ask("GET", "organizations", login=("bearer", made["token"]))[0]) == (201, 200)
    assert awx.ask("DELETE", f"tokens/{made['id']}")[0] == 204
    assert awx.ask("GET", "organizations", login=("bearer", made["token"]))[0] == 401


def test_lists_have_pages_and_filters() -> None:
    awx = Awx()
    for number in range(30):
        awx.post("hosts", name=f"pc-{number}", inventory=awx.inventory)
    first = awx.ask("GET", "hosts")[1]
    assert (first["count"], len(first["results"]), first["next"]) == (30, 25, f"{API}/hosts/?page=2")
    assert len(awx.ask("GET", "hosts", page="2")[1]["results"]) == 5
    assert len(awx.ask("GET", "hosts", page_size="200", inventory=str(awx.inventory))[1]["results"]) == 30
    assert [each["name"] for each in awx.ask("GET", "hosts", name__in="pc-3,pc-5,pc-x")[1]["results"]] == [
        "pc-3",
        "pc-5",
    ]
    assert awx.ask("GET", "hosts", name__in="")[0] == 400
    assert awx.ask("GET", "hosts", colour="red")[0] == 400
    assert awx.ask("POST", "hosts", {"name": "pc-1", "inventory": awx.inventory})[0] == 400


def test_secrets_are_never_shown() -> None:
    awx = Awx()
    kind = awx.post("credential_types", name="Portal", inputs=INPUTS, injectors={})
    given = {"name": "P", "credential_type": kind, "organization": awx.organization, "inputs": {"api_key": "Canary"}}
    identity = awx.post("credentials", **given)
    shown = awx.ask("GET", f"credentials/{identity}")[1]
    assert shown["inputs"] == {"api_key": "$encrypted$"}
    digest = awx.site.digests[("P", "api_key")]
    # What is written back as it was shown stays.
    assert awx.ask("PATCH", f"credentials/{identity}", {"inputs": shown["inputs"]})[0] == 200
    assert awx.site.digests[("P", "api_key")] == digest
    assert "Canary" not in repr(awx.site.state())
    # A missing value is taken, an unknown one is not, and nor is one that belongs to nobody.
    assert awx.ask("POST", "credentials", {**given, "name": "Q", "inputs": {}})[0] == 201
    assert awx.ask("POST", "credentials", {**given, "name": "R", "inputs": {"key": "x"}})[0] == 400
    assert awx.ask("POST", "credentials", {**given, "name": "S", "organization": None})[0] == 400


def test_job_templates() -> None:
    awx = Awx()
    assert awx.template(playbook="identity.roster.sync") == (400, {"playbook": ["Playbook not found for project."]})
    assert awx.template(inventory=None)[0] == 400
    status, made = awx.template(organization=999)
    assert (status, made["organization"]) == (201, awx.organization)
    kind = awx.post("credential_types", name="Portal", inputs=INPUTS, injectors={})
    given = {"credential_type": kind, "organization": awx.organization, "inputs": {}}
    one, other = (awx.post("credentials", name=name, **given) for name in ("one", "other"))
    assert awx.ask("POST", f"job_templates/{made['id']}/credentials", {"id": one})[0] == 204
    status, answer = awx.ask("POST", f"job_templates/{made['id']}/credentials", {"id": other})
    assert (status, answer) == (400, {"error": "Cannot assign multiple Portal credentials."})
    # A removed project takes nothing with it that can be without one; a removed template takes its schedules.
    rule = "DTSTART:20260101T000500Z RRULE:FREQ=DAILY;INTERVAL=1"
    awx.post("schedules", name="nightly", rrule=rule, unified_job_template=made["id"])
    assert awx.ask("DELETE", f"job_templates/{made['id']}")[0] == 204
    assert awx.site.names("schedules") == []


def test_workflows_have_no_circles() -> None:
    awx = Awx()
    workflow = awx.post("workflow_job_templates", name="W", organization=awx.organization)
    first, second, third = (
        awx.post("workflow_job_template_nodes", workflow_job_template=workflow, identifier=name) for name in "abc"
    )
    for start, end, status in ((first, second, 204), (second, third, 204), (third, first, 400), (first, first, 400)):
        answer = awx.ask("POST", f"workflow_job_template_nodes/{start}/success_nodes", {"id": end})
        assert answer[0] == status
    assert awx.ask("POST", f"workflow_job_template_nodes/{first}/always_nodes", {"id": second})[0] == 400
    approval = awx.post(f"workflow_job_template_nodes/{third}/create_approval_template", name="Look")
    shown = awx.ask("GET", f"workflow_job_template_nodes/{third}")[1]
    assert shown["related"]["unified_job_template"] == f"{API}/workflow_approval_templates/{approval}/"
    # It has no nodes after it: those are the node's.
    assert awx.ask("GET", f"workflow_approval_templates/{approval}/success_nodes")[0] == 404


def test_the_playbook_passes_on_every_key_that_it_knows() -> None:
    """A key in playbooks/vars/awx_kinds.yml that no task passes on would be taken and forgotten."""
    kinds = yaml.safe_load((ROOT / "playbooks/vars/awx_kinds.yml").read_text("utf-8"))["awx_kinds"]
    tasks = yaml.safe_load((ROOT / "playbooks/tasks/awx/objects.yml").read_text("utf-8"))
    passed: dict[str, set[str]] = {}
    for task in tasks:
        for kind in (each["kind"] for each in kinds):
            if f"'{kind}'" in str(task.get("loop")):
                (module,) = [name for name in task if name.startswith("awx.awx.")]
                passed.setdefault(kind, set()).update(task[module])
    for kind in kinds:
        known = {*kind["settings"], *kind["references"]} - {"simplified_workflow_nodes"}
        assert known <= passed[kind["kind"]], kind["kind"]
