# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From CSV files, a directory and the portal to a Pleio site, by Ansible; and the real module, killed at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._roster.document import FORMAT
from tests.playbook.run import Run, run_playbook
from tests.servers.directories.people import EXPECTED, FORTY, GROUPS, PASSWORD, PEOPLE, READER
from tests.servers.directories.server import directories, free_address
from tests.servers.libre_workspace import Portal
from tests.servers.pleio.server import PleioServer, Request
from tests.servers.pleio.site import API, Site
from tests.tools.checkout import ROOT
from tests.unit.csv_cases import png

MODULE = "identity.roster.pleio_users"
PLAYBOOK = "identity.roster.pleio"
SECRET = "canary-secret-1"
SEED = (ROOT / "tests/fixtures/pleio/users.csv").read_text(encoding="utf-8")
GROUP = "21e44383-a48b-435a-9533-1ee30c4973bf"
SAME = ("changed", "summary", "changes", "rejected", "failures", "pending", "plan_digest", "roster_digest", "diff")
KEYS = {*SAME, "log", "log_uuid"}


@pytest.fixture
def pleio() -> Iterator[PleioServer]:
    with PleioServer(Site(SECRET)) as server:
        yield server
        assert server.failures == []


def variables(pleio: PleioServer, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "pleio_hosts": "localhost",
        "pleio_site_url": pleio.url,
        "pleio_site_state_path": str(folder / "state.json"),
        "fetch_dest": str(folder / "roster.json"),
        **more,
    }


def play(given: Mapping[str, Any], *, check: bool = False, playbook: str = PLAYBOOK) -> Run:
    return run_playbook(playbook, "localhost,", given, check=check, environment={"PLEIO_API_SECRET": SECRET})


def result(done: Run) -> dict[str, Any]:
    assert done.returncode == 0, done.output
    assert SECRET not in done.output + json.dumps([event.result for event in done.events])
    (got,) = done.of(MODULE).values()
    assert set(got) >= KEYS
    return got


def same(planned: Mapping[str, Any], done: Mapping[str, Any]) -> None:
    assert {key: done[key] for key in SAME} == {key: planned[key] for key in SAME}


def kinds(requests: Sequence[Request]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for request in requests:
        counted[request.kind] = counted.get(request.kind, 0) + 1
    return counted


def test_the_seeds_file_to_a_site_by_the_playbook(pleio: PleioServer, tmp_path: Path) -> None:
    site = pleio.site
    site.groups = {GROUP}
    admin = site.add("Site Admin", "admin@acme.test", superadmin=True)
    carol = site.add("Carol Local", "carol@acme.test")
    alice = site.add("Alice", "Alice@Acme.test", "E-001")
    dave = site.add("Dave Banned", "dave@acme.test", "e-004", banned=True)
    (tmp_path / "users.csv").write_text(SEED, encoding="utf-8")
    (tmp_path / "a.jpg").write_bytes(png())
    csv = {"path": str(tmp_path / "users.csv")}
    given = variables(pleio, tmp_path, fetch_source="csv", fetch_csv=csv)

    planned = play(given, check=True)
    assert kinds(pleio.requests) == {"GET users": 1}
    assert site.logs == []
    assert not (tmp_path / "state.json").exists()
    assert "would create bob.devries@acme.test" in planned.output
    ran = play(given, playbook="identity.roster.sync")
    done = result(ran)
    same(result(planned), done)
    assert done["summary"] == {
        "created": 4, "updated": 1, "enabled": 0, "disabled": 0, "removed": 0, "unchanged": 0, "rejected": 2,
        "failed": 0, "pending": 0,
    }  # fmt: skip
    assert {(entry["name"] if "name" in entry else entry["id"]): entry["field"] for entry in done["rejected"]} == {
        "e-011": "full_name", "dave@acme.test": "enabled",
    }  # fmt: skip
    assert (alice.name, alice.email, alice.external_id) == ("Alice Jansen", "Alice@Acme.test", "E-001")
    assert (alice.profile["occupation"], alice.groups, alice.avatars) == ("Chef", {GROUP}, [png()])
    assert site.by_email("noext@acme.test").external_id == "noext@acme.test"
    assert (admin.banned, carol.banned, dave.banned) == (False, False, True)
    assert (admin.updated, dave.updated) == (admin.created, dave.created)
    assert {uuid for uuid, _text in site.logs} == {done["log_uuid"]}
    assert "\n".join(text for _uuid, text in site.logs).split("\n") == done["log"]
    assert "create bob.devries@acme.test (email, external_id, name, profile.occupation)" in ran.output

    pleio.forget()
    again = result(play(given))
    assert (again["changed"], again["changes"], again["log"], again["log_uuid"]) == (False, [], [], None)
    assert kinds(pleio.requests) == {"GET users": 1}


class Stages:
    """Rosters one after the other, each checked and then applied, by one playbook."""

    def __init__(self, pleio: PleioServer, folder: Path) -> None:
        self.pleio, self.folder = pleio, folder
        self.tasks: list[dict[str, Any]] = []

    def add(self, name: str, users: Sequence[Mapping[str, Any]], **options: Any) -> None:
        path = self.folder / f"{name}.json"
        document = {"format": FORMAT, "source": {}, "users": list(users), "groups": [], "rejected": []}
        path.write_text(json.dumps(document), encoding="utf-8")
        arguments = {
            "url": self.pleio.url, "roster": str(path), "state_path": str(self.folder / "state.json"), "workers": 8,
            "page_size": 500, **options,
        }  # fmt: skip
        for check in (True, False):
            title = f"{name} {'check' if check else 'apply'}"
            self.tasks.append({"name": title, MODULE: arguments, "check_mode": check, "ignore_errors": True})

    def run(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, int]]]:
        """Each stage's result, equal to its plan, and its requests by kind."""
        connection = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        plays = [{"hosts": "localhost", "gather_facts": False, "vars": connection, "tasks": self.tasks}]
        (self.folder / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
        done = run_playbook(
            self.folder / "play.yml",
            "localhost,",
            {},
            environment={"PLEIO_API_SECRET": SECRET},
        )
        results = {event.task: event.result for event in done.events if event.action == MODULE}
        assert set(results) == {task["name"] for task in self.tasks}, done.output[-4000:]
        runs: list[list[Request]] = []
        for request in self.pleio.requests:
            if request.kind == "GET users" and "cursor" not in request.path:
                runs.append([])
            runs[-1].append(request)
        by_task = dict(zip([task["name"] for task in self.tasks], map(kinds, runs), strict=True))
        outcome, requests = {}, {}
        for title, got in results.items():
            name, _space, kind = title.partition(" ")
            if kind == "check":
                assert set(by_task[title]) == {"GET users"}
                same(got, results[f"{name} apply"])
            else:
                outcome[name], requests[name] = got, by_task[title]
        return outcome, requests


def test_a_thousand_users(pleio: PleioServer, tmp_path: Path) -> None:
    people: list[dict[str, Any]] = [
        {
            "id": f"e-{number}", "external_id": f"e-{number}", "full_name": f"U {number}",
            "email": f"u{number}@acme.test", "profile": {"occupation": "Chef"},
        }
        for number in range(1000)
    ]  # fmt: skip
    changed = [{**user, "full_name": "New"} if number % 100 == 0 else user for number, user in enumerate(people)]
    local = pleio.site.add("Carol", "carol@acme.test")
    stages = Stages(pleio, tmp_path)
    stages.add("first", people)
    stages.add("noop", people)
    stages.add("changed", changed)
    stages.add("ban", changed[10:])
    stages.add("unban", changed)
    stages.add("delete", changed[5:], missing_users="delete")
    stages.add("toofar", changed[500:], missing_users="delete")
    done, requests = stages.run()

    assert requests["noop"] == {"GET users": 3}
    assert requests["toofar"] == {"GET users": 2}
    writes = {name: {kind: n for kind, n in each.items() if "GET" not in kind} for name, each in requests.items()}
    assert writes["first"] == {"POST users": 1000, "POST logs": 12}
    assert writes["changed"] == {"POST users": 10, "POST logs": 2}
    assert writes["ban"] == {"POST ban": 10, "POST logs": 2}
    assert writes["unban"] == {"POST unban": 10, "POST logs": 2}
    assert writes["delete"] == {"DELETE users": 5, "POST logs": 2}
    summaries = {name: {key: number for key, number in got["summary"].items() if number} for name, got in done.items()}
    assert summaries == {
        "first": {"created": 1000},
        "noop": {"unchanged": 1000},
        "changed": {"updated": 10, "unchanged": 990},
        "ban": {"disabled": 10, "unchanged": 990},
        "unban": {"enabled": 10, "unchanged": 990},
        "delete": {"removed": 5, "unchanged": 995},
        "toofar": {"unchanged": 500},
    }
    assert "it would delete 495 of 995 users" in done["toofar"]["msg"]
    assert (len(done["toofar"]["refused"]), done["toofar"]["changes"]) == (495, [])
    assert len(pleio.site.users) == 996
    assert pleio.most_at_once >= 4
    assert not any(user.banned for user in pleio.site.users.values())
    assert (local.updated, sum(user.name == "New" for user in pleio.site.users.values())) == (local.created, 9)


def test_from_the_portal(pleio: PleioServer, tmp_path: Path) -> None:
    with Portal(capture="04") as portal:
        given = variables(pleio, tmp_path, fetch_url=portal.url, fetch_api_key=portal.api_key)
        given["fetch_allow_unicode_names"] = True
        first = result(play(given))
        pleio.forget()
        again = result(play(given))
    roster = json.loads((tmp_path / "roster.json").read_text(encoding="utf-8"))
    able = {user["email"].lower(): user["id"] for user in roster["users"] if user.get("email") and user["enabled"]}
    made = {user.email.lower(): user.external_id for user in pleio.site.users.values()}
    assert made == able and len(made) > 3
    assert first["summary"]["created"] == len(made)
    assert (again["changes"], kinds(pleio.requests)) == ([], {"GET users": 1})


@pytest.mark.skipif(os.geteuid() != 0, reason="real directories need root: mounts and namespaces")
def test_from_a_directory(pleio: PleioServer, tmp_path: Path) -> None:
    address = free_address()
    config = {
        "roster_source": "ldap",
        "ldap": {
            "server_url": f"ldap://{address}", "bind_dn": READER, "bind_password": PASSWORD, "base_dn": PEOPLE,
            "allow_plaintext": True, "groups": {"base_dn": GROUPS},
        },
        "mapping": {"username": "uid", "email": "mail", "full_name": "cn"},
        "pleio_site_group_guids": {"CHEFS": GROUP},
    }  # fmt: skip
    pleio.site.groups = {GROUP}
    with directories(["openldap"], addresses={"openldap": address}):
        first = result(play(variables(pleio, tmp_path, **config)))
        pleio.forget()
        again = result(play(variables(pleio, tmp_path, **config)))
    able = {person.login for person in FORTY if not person.disabled}
    assert first["summary"]["created"] == len(pleio.site.users) == len(able)
    chefs = {person.name for person in FORTY if person.login in EXPECTED["chefs"] and not person.disabled}
    assert {user.name for user in pleio.site.users.values() if GROUP in user.groups} == chefs
    assert (again["changes"], kinds(pleio.requests)) == ([], {"GET users": 1})


class Client:
    """The real module as a process, without ansible-playbook around it."""

    def __init__(self, pleio: PleioServer, folder: Path) -> None:
        self.pleio, self.folder = pleio, folder
        self.options: dict[str, Any] = {
            "url": pleio.url, "state_path": str(folder / "state.json"), "workers": 4, "api_secret": SECRET,
        }  # fmt: skip

    def start(self, users: Sequence[Mapping[str, Any]]) -> subprocess.Popen[str]:
        arguments = self.folder / "arguments.json"
        given = {"ANSIBLE_MODULE_ARGS": {**self.options, "users": list(users)}}
        arguments.write_text(json.dumps(given), encoding="utf-8")
        name = "ansible_collections.identity.roster.plugins.modules.pleio_users"
        return subprocess.Popen(
            [sys.executable, "-m", name, str(arguments)],
            cwd=ROOT / ".dev/tree", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip

    def run(self, users: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        with self.start(users) as process:
            output = process.communicate(timeout=60)[0]
        answer: dict[str, Any] = json.loads(output)
        assert "failed" not in answer, answer
        return answer


def test_killed_at_twenty_random_moments(
    pleio: PleioServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with capsys.disabled():
        print(f"\nkilled at moments of the seed {seed}")
    chance = random.Random(seed)
    client = Client(pleio, tmp_path)
    client.options["limits"] = {"disables": {"count": 99}}
    site = pleio.site
    site.groups = {GROUP}
    strangers = [site.add("Admin", "admin@acme.test"), site.add("Carol", "carol@acme.test", "c-1")]
    process: list[subprocess.Popen[str]] = []

    def people(generation: int) -> list[dict[str, Any]]:
        """Each generation has some leaving, some coming, some changed."""
        return [
            {
                "id": f"e-{number}", "external_id": f"e-{number}", "full_name": f"U{number} {generation // 3}",
                "email": f"U{number}@Acme.test", "groups": [GROUP] if number % 2 else [],
            }
            for number in range(3 * (generation % 3), 40 + 2 * generation)
        ]  # fmt: skip

    killed = 0
    for generation in range(20):
        users = people(generation)
        moment = chance.randrange(1, 12 + len(users) // 2 if generation in (0, 3, 6, 9) else 12)
        before = len(pleio.requests)

        def kill(number: int, at: int = before + moment, delay: float = chance.random() * 0.01) -> None:
            if number == at:
                threading.Timer(delay, process[0].kill).start()

        pleio.observer = kill
        with client.start(users) as running:
            process[:] = [running]
            running.communicate(timeout=60)
            killed += running.returncode == -9
        pleio.observer = lambda number: None
        if generation % 7 == 6:
            converged(client, users, strangers)
    assert killed >= 8, "most runs were over before they were killed"
    converged(client, people(20), strangers)


def converged(client: Client, users: Sequence[Mapping[str, Any]], strangers: Sequence[Any]) -> None:
    """Run again: everybody is there once, as wished, nobody banned who is wanted, and then there is nothing to do."""
    client.run(users)
    site = client.pleio.site
    wanted = {user["email"].lower(): user for user in users}
    emails = [user.email.lower() for user in site.users.values()]
    assert len(emails) == len(set(emails))
    for user in site.users.values():
        if user in strangers:
            assert (user.banned, user.updated) == (False, user.created)
            continue
        expected = wanted.get(user.email.lower())
        assert user.banned == (expected is None), user
        if expected is not None:
            assert (user.name, user.groups) == (expected["full_name"], set(expected["groups"]))
    assert {email for email in wanted if email not in emails} == set()
    reads = len(client.pleio.requests)
    assert client.run(users)["changes"] == []
    assert {request.method for request in client.pleio.requests[reads:]} == {"GET"}


def test_a_second_run_at_the_same_time_is_refused(pleio: PleioServer, tmp_path: Path) -> None:
    client = Client(pleio, tmp_path)
    pleio.latency = 0.3
    users = [{"email": f"u{number}@acme.test", "full_name": "U"} for number in range(8)]
    with client.start(users) as first:
        deadline = time.monotonic() + 20
        while not pleio.requests and time.monotonic() < deadline:
            time.sleep(0.01)
        with client.start(users) as second:
            refused = json.loads(second.communicate(timeout=60)[0])
        done = json.loads(first.communicate(timeout=60)[0])
    assert "another run is using" in refused["msg"]
    assert set(refused) >= KEYS
    assert (done["summary"]["created"], len(pleio.site.users)) == (8, 8)


def test_options_that_can_not_be_meant_so(pleio: PleioServer, tmp_path: Path) -> None:
    client = Client(pleio, tmp_path)
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "url": ({"url": "https://acme.test/"}, "is not that of the API"),
        "http": ({"url": f"http://acme.test{API}/"}, "use https"),
        "secret": ({"api_secret": "two words"}, "holds a space"),
        "workers": ({"workers": 0}, "workers must be 1 to 32"),
        "page_size": ({"page_size": 5000}, "page_size must be 10 to 1000"),
        "match": ({"match": []}, "match is empty"),
        "groups": ({"group_guids": {"a": "b"}}, "group_guids of 'a' is not a group's guid"),
        "limits": ({"limits": {"bans": {"count": 1}}}, "limits has no class 'bans'"),
        "timeout": ({"timeout": 0}, "timeout must be"),
        "nobody": ({}, "nobody at all in it"),
    }
    with contextlib.ExitStack() as stack:
        started: dict[str, subprocess.Popen[str]] = {}
        for name, (options, _words) in cases.items():
            (tmp_path / name).mkdir()
            case = Client(pleio, tmp_path / name)
            case.options = {**client.options, **options}
            users = [] if name == "nobody" else [{"email": "a@acme.test", "full_name": "A"}]
            started[name] = stack.enter_context(case.start(users))
        answers = {name: json.loads(process.communicate(timeout=60)[0]) for name, process in started.items()}
    for name, (_options, words) in cases.items():
        assert answers[name]["failed"] and words in answers[name]["msg"], name
        assert set(answers[name]) >= KEYS
    assert pleio.requests == []
