# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX refuses: functions of data that return its error document, or None."""

from __future__ import annotations

import json
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .kinds import PROMPTS

Problem = dict[str, Any] | None

ENCRYPTED = "$encrypted$"
_FIELD_KEYS = {
    "id",
    "label",
    "type",
    "secret",
    "help_text",
    "multiline",
    "choices",
    "format",
    "default",
    "ask_at_runtime",
}
#: Values as awkward as those of a site may be: a message with them must still be JSON.
_STUB: Mapping[str, Any] = {
    "job": {"id": 42, "name": 'Linux "clients"\n', "status": "failed", "job_explanation": "C:\\", "launched_by": {}},
    "job_friendly_name": "Job",
    "url": "https://awx.example.com/#/jobs/playbook/42",
    "workflow_url": "https://awx.example.com/#/jobs/workflow/41",
    "job_metadata": "{}",
    "approval_status": "running",
    "approval_node_name": 'Look, then "approve"',
}
_WEBHOOK = {
    "url": None,
    "http_method": "POST",
    "disable_ssl_verification": False,
    "username": "",
    "password": "",
    "headers": None,
}


def credential_type(inputs: Mapping[str, Any], injectors: Mapping[str, Any], kind: str) -> Problem:
    if kind not in ("cloud", "net"):
        return {"kind": [f"Must be 'cloud' or 'net', not {kind}"]}
    fields = inputs.get("fields", [])
    if set(inputs) - {"fields", "required"}:
        return {"inputs": ["Additional properties are not allowed"]}
    for each in fields:
        if not {"id", "label"} <= set(each) or set(each) - _FIELD_KEYS or not re.fullmatch(r"[a-zA-Z_]\w*", each["id"]):
            return {"inputs": [f"{each.get('id')} is not valid under the schema"]}
        if each.get("type", "string") not in ("string", "boolean"):
            return {"inputs": [f"{each['type']} is not one of ['string', 'boolean']"]}
    names = {each["id"] for each in fields}
    if not set(inputs.get("required", ())) <= names:
        return {"inputs": ["required names a field that is not defined"]}
    if set(injectors) - {"env", "file", "extra_vars"}:
        return {"injectors": ["Additional properties are not allowed"]}
    for variable in injectors.get("env", {}):
        if variable.startswith("ANSIBLE_"):
            words = "may affect Ansible configuration so its use is not allowed in credentials."
            return {"injectors": [f"Environment variable {variable} {words}"]}
    return _injected({*names, "tower"}, injectors)


def _injected(names: set[str], injectors: Mapping[str, Any]) -> Problem:
    for section, entries in injectors.items():
        for key, text in entries.items():
            unknown = set(re.findall(r"\{\{\s*(\w+)", text)) - names
            if unknown:
                return {"injectors": [f"{section} {key} uses an undefined field ({', '.join(sorted(unknown))})"]}
    return None


def credential(type_inputs: Mapping[str, Any], inputs: Mapping[str, Any], organization: Any) -> Problem:
    """A missing required input is none: AWX takes it, and the job goes without."""
    if organization is None:
        return {"detail": "Missing 'user', 'team', or 'organization'."}
    fields = {each["id"]: each for each in type_inputs.get("fields", ())}
    for name, value in inputs.items():
        if name not in fields:
            return {"inputs": [f"Additional properties are not allowed ('{name}' was unexpected)"]}
        if not isinstance(value, bool if fields[name].get("type") == "boolean" else str):
            return {"inputs": {name: ["is not of the field's type"]}}
    return None


def notification(kind: str, configuration: dict[str, Any], messages: Any) -> Problem:
    """Fills in the defaults of the configuration. Only webhooks are known here."""
    if kind != "webhook":
        return {"notification_type": [f'"{kind}" is not a valid choice.']}
    for name, default in _WEBHOOK.items():
        if name not in configuration and default is None:
            return {"__all__": [f"Missing required fields for Notification Configuration: ['{name}']."]}
        configuration.setdefault(name, default)
    if configuration["http_method"] not in ("POST", "PUT") or not isinstance(configuration["headers"], dict):
        return {"__all__": ["HTTP method must be either 'POST' or 'PUT', headers an object."]}
    for event, message in _messages(messages):
        if set(message) - {"message", "body"}:
            return {"messages": [f"Message type of '{event}' invalid, must be either 'message' or 'body'"]}
        problem = _body(message.get("body") or "{}")
        if problem:
            return {"messages": [f"Webhook body for '{event}' should be a json dictionary. {problem}"]}
    return None


def _messages(messages: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for event, message in (messages or {}).items():
        if event == "workflow_approval":
            yield from ((f"{event} {name}", each) for name, each in (message or {}).items() if each)
        elif message:
            yield event, message


def _body(template: str) -> str | None:
    """What is wrong with the text of a webhook's body."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    try:
        document = json.loads(environment.from_string(template).render(_STUB))
    except (TemplateError, ValueError) as problem:
        return str(problem)
    return None if isinstance(document, dict) else f"Found type '{type(document).__name__}'."


def rrule(text: str) -> Problem:
    found = re.findall(r"DTSTART(?:;TZID=([^:]+))?:(\d{8}T\d{6})(Z?)", text)
    rules = re.findall(r"RULE:(\S*)", text)
    words = None
    if len(found) != 1:
        words = "Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ"
    elif not found[0][0] and not found[0][2]:
        words = "DTSTART cannot be a naive datetime.  Specify ;TZINFO= or YYYYMMDDTHHMMSSZZ."
    elif found[0][0] and found[0][0] not in zoneinfo.available_timezones():
        words = "rrule parsing failed validation: A valid TZID must be provided (e.g., America/New_York)"
    elif not rules:
        words = "One or more rule required in rrule."
    else:
        words = next((problem for problem in map(_rule, rules) if problem), None)
    return {"rrule": [words]} if words else None


def _rule(rule: str) -> str | None:
    if "interval" not in rule.lower():
        return f"INTERVAL required in rrule: {rule}"
    if "secondly" in rule.lower():
        return f"SECONDLY is not supported: {rule}"
    parts = dict(part.split("=", 1) for part in rule.split(";"))
    if parts.get("FREQ") not in ("MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        return "rrule parsing failed validation: invalid 'FREQ'"
    if re.search(r"\d", parts.get("BYDAY", "")):
        return f"BYDAY with numeric prefix not supported: {rule}"
    return None


def survey(spec: Mapping[str, Any]) -> Problem:
    for name in ("name", "description", "spec"):
        if name not in spec:
            return {"error": f"'{name}' missing from survey spec."}
    if not isinstance(spec["spec"], list) or not spec["spec"]:
        return {"error": "'spec' must be a list of items."}
    seen: set[str] = set()
    for number, question in enumerate(spec["spec"]):
        for name in ("type", "question_name", "variable", "required"):
            if name not in question:
                return {"error": f"'{name}' missing from survey question {number}."}
        if question["variable"] in seen:
            return {"error": f"'variable' '{question['variable']}' duplicated in survey question {number}."}
        seen.add(question["variable"])
    return None


def prompts(
    template: Mapping[str, Any], spec: Mapping[str, Any], given: Mapping[str, Any], *, answers_needed: bool
) -> Problem:
    """What a schedule or a node may say about the launch of a template; the template's own value is no prompt."""
    for name, switch in PROMPTS.items():
        value = given.get(name)
        if value not in (None, "") and value != template.get(name) and not template.get(switch):
            return {name: ["Field is not configured to prompt on launch."]}
    questions = spec.get("spec", ()) if template.get("survey_enabled") else ()
    answers = given.get("extra_data") or {}
    unasked = set(answers) - {question["variable"] for question in questions}
    if unasked and not template.get("ask_variables_on_launch"):
        names = ", ".join(sorted(unasked))
        return {"extra_data": [f"Variables {names} are not allowed on launch. Check the Prompt on Launch setting."]}
    problems = [text for question in questions if (text := _answer(question, answers, answers_needed))]
    return {"variables_needed_to_start": problems} if problems else None


def _answer(question: Mapping[str, Any], answers: Mapping[str, Any], needed: bool) -> str | None:
    name = question["variable"]
    if name not in answers:
        # A default does not help: it is what the form shows, no answer.
        return f"'{name}' value missing" if question["required"] and needed else None
    value = answers[name]
    size = len(value) if isinstance(value, str) else value
    if question.get("min") is not None and size < question["min"]:
        return f"'{name}' value {value} is too small (length must be at least {question['min']})."
    if question.get("max") is not None and size > question["max"]:
        return f"'{name}' value {value} is too large (must be no more than {question['max']})."
    if question["type"] == "multiplechoice" and value not in question["choices"]:
        return f"Value {value} for '{name}' expected to be one of {question['choices']}."
    return None
