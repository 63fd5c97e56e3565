# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an AWX holds, and its API without a socket: requests in, answers out. Everything in it is open to the tests."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from . import rules
from .kinds import KINDS, UNIFIED, Kind
from .rules import ENCRYPTED

Object = dict[str, Any]
API = "/api/v2"
#: What AWX lists of our repository when it has synced it.
PLAYBOOKS = tuple(f"awx/{name}.yml" for name in ("sync", "linux_clients", "pleio", "ftrack", "rollback", "report"))
_MADE_OTHERWISE = ("project_updates", "workflow_approval_templates")


class Refused(Exception):
    """An answer that is none of success."""

    def __init__(self, status: int, document: Any) -> None:
        super().__init__(str(document))
        self.status = status
        self.document = document


@dataclass(frozen=True)
class Request:
    """``login``: ("basic", name, password), ("bearer", token) or empty."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    login: tuple[str, ...] = ()


class Site:
    """``repositories``: the playbooks of each SCM address; no other can be synced."""

    def __init__(self, repositories: Mapping[str, Iterable[str]], username: str = "admin", password: str = "secret"):
        self.repositories = {url: set(names) for url, names in repositories.items()}
        self.username, self.password = username, password
        self.tables: dict[str, dict[int, Object]] = {kind: {} for kind in KINDS}
        #: (kind, id, sub-endpoint): the ids attached there, in order.
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[int, Object] = {}
        #: (credential, input): the digest of the secret. The secret itself is nowhere.
        self.digests: dict[tuple[str, str], str] = {}
        self.tokens: dict[int, str] = {}
        self._last = 0
        # What a new AWX has.
        machine = self._insert(
            "credential_types", {"name": "Machine", "kind": "ssh", "managed": True, "inputs": MACHINE}
        )
        galaxy = self._insert("credential_types", {"name": "Ansible Galaxy/Automation Hub API Token", "kind": "galaxy"})
        self._insert("credentials", {"name": "Ansible Galaxy", "credential_type": galaxy["id"]})
        self._insert("organizations", {"name": "Default"})
        assert machine["id"] == 1

    # For the tests

    def all(self, kind: str) -> list[Object]:
        return list(self.tables[kind].values())

    def names(self, kind: str) -> list[str]:
        """In the order in which they were made."""
        return [each[KINDS[kind].identity] for each in self.all(kind)]

    def one(self, kind: str, name: str) -> Object:
        (found,) = [each for each in self.all(kind) if each[KINDS[kind].identity] == name]
        return found

    def attached(self, kind: str, name: str, endpoint: str) -> list[str]:
        """The names of what is attached to an object."""
        other = KINDS[kind].associations[endpoint]
        found = self.links.get((kind, self.one(kind, name)["id"], endpoint), [])
        return [self.tables[other][each][KINDS[other].identity] for each in found]

    def create(self, kind: str, fields: Mapping[str, Any]) -> Object:
        """As an administrator does in the UI."""
        return self._write(kind, None, dict(fields))

    def state(self) -> Any:
        """All of it but tokens, to be compared."""
        return copy.deepcopy((self.tables, self.links, self.surveys, self.digests))

    # The API

    def answer(self, request: Request) -> tuple[int, Any]:
        try:
            return self._answer(request)
        except Refused as problem:
            return problem.status, problem.document

    def _answer(self, request: Request) -> tuple[int, Any]:
        parts = request.path.strip("/").split("/")
        if parts == ["api"]:
            return 200, {
                "description": "AWX REST API",
                "current_version": f"{API}/",
                "available_versions": {"v2": f"{API}/"},
            }
        if parts[:2] != ["api", "v2"]:
            raise Refused(404, {"detail": "The requested resource could not be found."})
        if parts[2:] == ["ping"]:
            return 200, {"version": "24.6.1", "active_node": "awx"}
        self._log_in(request.login)
        kind, method = (parts[2:] or [""])[0], request.method
        if kind == "tokens":
            return self._token(method, parts[3:])
        if method == "GET" and len(parts) == 3 and kind in (*KINDS, "unified_job_templates"):
            return 200, self._page(kind, request.query)
        if method == "POST" and len(parts) == 3 and kind in KINDS and kind not in _MADE_OTHERWISE:
            return 201, self._shown(kind, self._write(kind, None, request.body))
        if len(parts) > 3 and kind in KINDS:
            found = self.tables[kind].get(int(parts[3])) if parts[3].isdecimal() else None
            if found is not None:
                return self._one(kind, found, method, parts[4:], request.body)
        raise Refused(404, {"detail": "Not found."})

    def _log_in(self, login: tuple[str, ...]) -> None:
        known = [("basic", self.username, self.password), *(("bearer", token) for token in self.tokens.values())]
        if login not in known:
            raise Refused(
                401, {"detail": "Authentication credentials were not provided. To establish a login session..."}
            )

    def token(self) -> str:
        """A new one, as somebody makes it in the UI."""
        self._last += 1
        self.tokens[self._last] = secrets.token_hex(15)
        return self.tokens[self._last]

    def _token(self, method: str, rest: list[str]) -> tuple[int, Any]:
        match method, rest:
            case "POST", []:
                value = self.token()
                url = f"{API}/tokens/{self._last}/"
                document = {"id": self._last, "type": "o_auth2_access_token", "url": url, "token": value}
                return 201, {**document, "scope": "write", "description": ""}
            case "DELETE", [number] if int(number) in self.tokens:
                del self.tokens[int(number)]
                return 204, None
        raise Refused(404, {"detail": "Not found."})

    def _one(self, kind: str, found: Object, method: str, rest: list[str], body: Any) -> tuple[int, Any]:
        match method, rest:
            case "GET", []:
                return 200, self._shown(kind, found)
            case "PATCH", []:
                return 200, self._shown(kind, self._write(kind, found, body))
            case "DELETE", []:
                self._delete(kind, found["id"])
                return 204, None
            case "GET", ["survey_spec"]:
                return 200, self.surveys.get(found["id"], {})
            case "POST", ["survey_spec"]:
                self._refuse(rules.survey(body))
                self.surveys[found["id"]] = body
                return 200, None
            case "POST", ["create_approval_template"] if kind == "workflow_job_template_nodes":
                made = self._write("workflow_approval_templates", None, body)
                found["unified_job_template"] = made["id"]
                return 201, self._shown("workflow_approval_templates", made)
            case "GET", [endpoint] if endpoint in KINDS[kind].associations:
                other = KINDS[kind].associations[endpoint]
                ids = self.links.get((kind, found["id"], endpoint), [])
                results = [self._shown(other, self.tables[other][each]) for each in ids]
                return 200, {"count": len(results), "next": None, "previous": None, "results": results}
            case "POST", [endpoint] if endpoint in KINDS[kind].associations:
                return self._attach(kind, found, endpoint, body)
        raise Refused(404 if method == "GET" else 405, {"detail": f'Method "{method}" not allowed.'})

    # Lists

    def _page(self, endpoint: str, query: Mapping[str, str]) -> Object:
        kinds = UNIFIED[:-1] if endpoint == "unified_job_templates" else (endpoint,)
        found = [
            (kind, each) for kind in kinds for each in self.tables[kind].values() if self._matches(kind, each, query)
        ]
        size, number = min(int(query.get("page_size", 25)), 200), int(query.get("page", 1))
        following = None
        if number * size < len(found):
            following = f"{API}/{endpoint}/?{urlencode({**query, 'page': number + 1})}"
        page = found[(number - 1) * size : number * size]
        if not page and number > 1:
            raise Refused(404, {"detail": "Invalid page."})
        results = [self._shown(kind, each) for kind, each in page]
        return {"count": len(found), "next": following, "previous": None, "results": results}

    def _matches(self, kind: str, each: Object, query: Mapping[str, str]) -> bool:
        shown = {**each, "type": KINDS[kind].type, "organization": self._organization(kind, each)}
        filters = {name: value for name, value in query.items() if name not in ("page", "page_size", "order_by")}
        alternatives = [name for name in filters if name.startswith("or__")]
        for name in {*filters} - {*alternatives}:
            field, _separator, lookup = name.partition("__")
            if field not in shown or lookup not in ("", "in", "iexact"):
                raise Refused(400, {"detail": f"{KINDS[kind].type} has no field named '{field}'"})
            value, wanted = str(shown[field]), filters[name]
            if lookup == "in" and not wanted:
                raise Refused(400, {"detail": "cannot provide empty value for __in"})
            if lookup == "in":
                holds = value in wanted.split(",")
            else:
                holds = value == wanted if not lookup else value.lower() == wanted.lower()
            if not holds:
                return False
        return not alternatives or any(str(shown[name[4:]]) == filters[name] for name in alternatives)

    def _organization(self, kind: str, each: Object) -> Any:
        """A job template belongs to its project's organization, whatever it was given."""
        if kind == "job_templates" and each["project"] is not None:
            return self.tables["projects"][each["project"]]["organization"]
        return each.get("organization")

    def _shown(self, kind: str, each: Object) -> Object:
        definition = KINDS[kind]
        url = f"{API}/{kind}/{each['id']}/"
        answer: Object = {**copy.deepcopy(each), "type": definition.type, "url": url}
        answer["related"] = {name: f"{url}{name}/" for name in definition.associations}
        answer["summary_fields"] = {}
        if kind == "job_templates":
            answer["organization"] = self._organization(kind, each)
        if kind in ("job_templates", "workflow_job_templates"):
            answer["related"]["survey_spec"] = f"{url}survey_spec/"
        for field, other in definition.references.items():
            identity = answer.get(field)
            if identity is None:
                continue
            holder = next(table for table in self._tables_of(other) if identity in self.tables[table])
            answer["related"][field] = f"{API}/{holder}/{identity}/"
            answer["summary_fields"][field] = {"id": identity, "name": self.tables[holder][identity]["name"]}
        if kind == "projects":
            answer["related"]["update"] = f"{url}update/"
            update = next(
                number
                for number, one in reversed(self.tables["project_updates"].items())
                if one["project"] == each["id"]
            )
            # As if it were still under way: a client waits for it.
            answer["summary_fields"]["current_update"] = {"id": update, "status": "running"}
        return answer

    def _tables_of(self, kind: str) -> tuple[str, ...]:
        return UNIFIED if kind == "unified_job_templates" else (kind,)

    # Writes

    def _refuse(self, problem: rules.Problem) -> None:
        if problem is not None:
            raise Refused(400, problem)

    def _insert(self, kind: str, values: Mapping[str, Any]) -> Object:
        self._last += 1
        made = {"id": self._last, **copy.deepcopy(dict(KINDS[kind].fields)), **values}
        self.tables[kind][self._last] = made
        return made

    def _write(self, kind: str, found: Object | None, body: Any) -> Object:
        definition = KINDS[kind]
        if not isinstance(body, dict):
            raise Refused(400, {"detail": "JSON parse error"})
        # Fields that AWX does not know are ignored.
        given = {name: copy.deepcopy(value) for name, value in body.items() if name in definition.fields}
        if found is not None and kind == "workflow_job_template_nodes":
            given.pop("workflow_job_template", None)
        after: Object = {**copy.deepcopy(dict(definition.fields)), **(found or {}), **given}
        self._check(definition, after, found)
        check: Callable[[Object], None] | None = getattr(self, f"_check_{definition.type}", None)
        if check is not None:
            check(after)
        hidden: dict[str, str] = after.pop("_digests", {})
        if found is None:
            found = self._insert(kind, after)
        else:
            found.update(after)
        self.digests.update({(found["name"], name): digest for name, digest in hidden.items()})
        if kind == "projects":
            self._sync(found)
        return found

    def _delete(self, kind: str, identity: int) -> None:
        """With what cannot be without it."""
        del self.tables[kind][identity]
        self.surveys.pop(identity, None)
        for other, definition in KINDS.items():
            owned = [name for name in definition.references if name in definition.required and name != "organization"]
            for each in self.all(other):
                if any(
                    each[name] == identity for name in owned if kind in self._tables_of(definition.references[name])
                ):
                    self._delete(other, each["id"])
        for key, ids in list(self.links.items()):
            if key[:2] == (kind, identity):
                del self.links[key]
            elif KINDS[key[0]].associations[key[2]] == kind:
                self.links[key] = [each for each in ids if each != identity]

    def _check(self, definition: Kind, after: Object, found: Object | None) -> None:
        for name in definition.required:
            if after[name] in (None, ""):
                raise Refused(400, {name: ["This field is required."]})
        for name, default in definition.fields.items():
            if after[name] is None and default is not None:
                raise Refused(400, {name: ["This field may not be null."]})
        for field, other in definition.references.items():
            identity = after.get(field)
            if identity is not None and not any(identity in self.tables[table] for table in self._tables_of(other)):
                raise Refused(400, {field: [f'Invalid pk "{identity}" - object does not exist.']})
        kind = next(name for name, each in KINDS.items() if each is definition)
        for each in self.all(kind) if definition.unique else ():
            pairs = [(self._field(kind, each, name), self._field(kind, after, name)) for name in definition.unique]
            if each is not found and all(one == other for one, other in pairs):
                words = " and ".join(name.replace("_", " ").capitalize() for name in definition.unique)
                raise Refused(400, {"__all__": [f"{definition.type} with this {words} already exists."]})

    def _field(self, kind: str, each: Object, name: str) -> Any:
        return self._organization(kind, each) if name == "organization" else each[name]

    def _check_credential_type(self, after: Object) -> None:
        self._refuse(rules.credential_type(after["inputs"], after["injectors"], after["kind"]))

    def _check_credential(self, after: Object) -> None:
        inputs = self.tables["credential_types"][after["credential_type"]]["inputs"]
        self._refuse(rules.credential(inputs, after["inputs"], after["organization"]))
        after["_digests"] = {}
        for field in inputs.get("fields", ()):
            value = after["inputs"].get(field["id"])
            if field.get("secret") and value and value != ENCRYPTED:
                after["_digests"][field["id"]] = hashlib.sha256(value.encode()).hexdigest()
                after["inputs"][field["id"]] = ENCRYPTED

    def _check_notification_template(self, after: Object) -> None:
        configuration = after["notification_configuration"]
        self._refuse(rules.notification(after["notification_type"], configuration, after["messages"]))
        if configuration.get("password"):
            configuration["password"] = ENCRYPTED

    def _check_project(self, after: Object) -> None:
        if after["scm_type"] and not after["scm_url"]:
            raise Refused(400, {"scm_url": ["SCM URL is required."]})

    def _check_job_template(self, after: Object) -> None:
        project = self.tables["projects"].get(after["project"] or 0)
        if project is None:
            raise Refused(400, {"project": ["This field is required."]})
        if after["playbook"] not in self.repositories.get(project["scm_url"], ()):
            raise Refused(400, {"playbook": ["Playbook not found for project."]})
        if after["inventory"] is None and not after["ask_inventory_on_launch"]:
            raise Refused(400, {"inventory": ["Job Template must provide 'inventory' or allow prompting for it."]})
        if after["job_type"] not in ("run", "check"):
            raise Refused(400, {"job_type": [f'"{after["job_type"]}" is not a valid choice.']})
        self._check_variables(after["extra_vars"])

    def _check_workflow_job_template(self, after: Object) -> None:
        self._check_variables(after["extra_vars"])

    def _check_variables(self, text: str) -> None:
        if text and not isinstance(json.loads(text), dict):
            raise Refused(400, {"extra_vars": ["Cannot parse as JSON."]})

    def _check_schedule(self, after: Object) -> None:
        self._refuse(rules.rrule(after["rrule"]))
        self._check_prompts(after, answers_needed=True)

    def _check_workflow_job_template_node(self, after: Object) -> None:
        after["identifier"] = after["identifier"] or secrets.token_hex(16)
        self._check_prompts(after, answers_needed=False)

    def _check_prompts(self, after: Object, *, answers_needed: bool) -> None:
        identity = after["unified_job_template"]
        template = next((self.tables[kind][identity] for kind in UNIFIED if identity in self.tables[kind]), None)
        if template is not None:
            spec = self.surveys.get(template["id"], {})
            self._refuse(rules.prompts(template, spec, after, answers_needed=answers_needed))

    def _sync(self, project: Object) -> None:
        known = project["scm_url"] in self.repositories
        status = "successful" if known else "failed"
        values = {"status": status, "finished": "2026-11-22T03:00:00Z", "project": project["id"], "failed": not known}
        self._insert("project_updates", values)
        project["scm_revision"] = hashlib.sha1(project["scm_url"].encode()).hexdigest() if known else ""

    def _attach(self, kind: str, found: Object, endpoint: str, body: Any) -> tuple[int, Any]:
        other = KINDS[kind].associations[endpoint]
        attached = self.links.setdefault((kind, found["id"], endpoint), [])
        identity = body.get("id")
        if identity not in self.tables[other]:
            raise Refused(400, {"id": ["not found"]})
        if body.get("disassociate"):
            attached[:] = [each for each in attached if each != identity]
        elif identity not in attached:
            self._check_attachment(kind, found, endpoint, identity)
            attached.append(identity)
        return 204, None

    def _check_attachment(self, kind: str, found: Object, endpoint: str, identity: int) -> None:
        if kind == "job_templates" and endpoint == "credentials":
            types = {each["id"]: each["credential_type"] for each in self.all("credentials")}
            if types[identity] in [types[each] for each in self.links[(kind, found["id"], endpoint)]]:
                name = self.tables["credential_types"][types[identity]]["name"]
                raise Refused(400, {"error": f"Cannot assign multiple {name} credentials."})
        if kind == "workflow_job_template_nodes" and re.fullmatch(r"(success|failure|always)_nodes", endpoint):
            if self._leads_to(identity, found["id"]):
                raise Refused(400, {"Error": "Cycle detected."})
            for way in {"success_nodes", "failure_nodes", "always_nodes"} - {endpoint}:
                if identity in self.links.get((kind, found["id"], way), ()):
                    raise Refused(400, {"Error": "Relationship not allowed."})

    def _leads_to(self, start: int, end: int) -> bool:
        following = [
            each
            for way in ("success_nodes", "failure_nodes", "always_nodes")
            for each in self.links.get(("workflow_job_template_nodes", start, way), ())
        ]
        return start == end or any(self._leads_to(each, end) for each in following)


#: The inputs of AWX's own type for SSH, as far as a test may fill them in.
MACHINE: Mapping[str, Any] = {
    "fields": [
        {"id": "username", "label": "Username", "type": "string"},
        {"id": "password", "label": "Password", "type": "string", "secret": True},
        {"id": "ssh_key_data", "label": "SSH Private Key", "type": "string", "secret": True, "multiline": True},
        {"id": "ssh_key_unlock", "label": "Private Key Passphrase", "type": "string", "secret": True},
        {"id": "become_method", "label": "Privilege Escalation Method", "type": "string"},
        {"id": "become_username", "label": "Privilege Escalation Username", "type": "string"},
        {"id": "become_password", "label": "Privilege Escalation Password", "type": "string", "secret": True},
    ]
}
