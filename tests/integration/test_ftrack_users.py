# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a real slapd to ftrack by the playbook, with the configuration of sync_ldap_users; and the module by itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ldap3
import pytest

from tests.integration.cases import failed, run_cases
from tests.playbook.run import Run, run_playbook
from tests.servers.directories.server import directory, free_address
from tests.servers.ftrack.client import people
from tests.servers.ftrack.workspace import Workspace
from tests.servers.tls import issue, make_ca

MODULE = "identity.roster.ftrack_users"
#: The configuration in the documentation of sync_ldap_users; only the addresses are filled in.
CONFIG: dict[str, dict[str, str]] = {
    "ldap": {
        "server_url": "",
        "bind_dn": "cn=admin,dc=example,dc=com",
        "bind_password": "password",
        "base_dn": "ou=users,dc=example,dc=com",
    },
    "ftrack": {"server_url": "", "api_key": "your-api-key", "api_user": "admin"},
    "mapping": {"username": "uid", "email": "mail", "full_name": "cn"},
}
NAMES = {
    "anna": "Anna Schmidt", "berta": "Berta von Suttner", "carl": "Carl O'Brien", "dora": "Zoë \"Z\" Müller",
    "emil": "李 小龍", "fritz": "Fritz Läuft",
}  # fmt: skip
_SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile /run/slapd/slapd.pid
include /srv/run/tls.conf
database mdb
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw password
directory /var/lib/ldap
overlay ppolicy
"""
#: Before slapd starts: a directory of its own instead of the image's.
_BEFORE = """
cat > /etc/roster/slapd.conf <<'END'
{configuration}
END
cat > /tmp/users.ldif <<'END'
{users}
END
rm -rf /var/lib/ldap/*
slapadd -q -f /etc/roster/slapd.conf -l /tmp/users.ldif
"""


def ldif() -> str:
    entries = ["dn: dc=example,dc=com\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n"]
    for unit in ("users", "former"):
        entries.append(f"dn: ou={unit},dc=example,dc=com\nobjectClass: organizationalUnit\nou: {unit}\n")
    for login, name in NAMES.items():
        entries.append(
            f"dn: {dn(login)}\nobjectClass: inetOrgPerson\nuid: {login}\ncn: {name}\n"
            f"sn: {name.rpartition(' ')[2]}\ngivenName: {name.rpartition(' ')[0]}\nmail: {login}@example.com\n"
        )
    return "\n".join(entries)


def dn(login: str, unit: str = "users") -> str:
    return f"uid={login},ou={unit},dc=example,dc=com"


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    ftrack = CONFIG["ftrack"]
    with Workspace(api_user=ftrack["api_user"], api_key=ftrack["api_key"]) as running:
        yield running
    assert running.failures == []


def active(workspace: Workspace) -> set[str]:
    return {name for name, user in people(workspace).items() if user["is_active"]}


@pytest.mark.skipif(os.geteuid() != 0, reason="a real slapd needs root: mounts and namespaces")
def test_ldap_to_ftrack(workspace: Workspace, tmp_path: Path) -> None:
    address = free_address()
    certificate = issue(make_ca(tmp_path / "ca"), [address])
    log = tmp_path / "logs" / "sync.log"
    variables = {
        **CONFIG,
        "ldap": {**CONFIG["ldap"], "server_url": f"ldap://{address}"},
        "ftrack": {**CONFIG["ftrack"], "server_url": workspace.url},
        "roster_source": "ldap",
        "fetch_ca_path": str(tmp_path / "ca" / "ca.pem"),
        "fetch_dest": str(tmp_path / "roster.json"),
        "ftrack_site_state_path": str(tmp_path / "state.json"),
        "ftrack_site_external_id_attribute": "ldap_id",
        "ftrack_site_log_file": str(log),
    }

    def run(*, check: bool = False) -> tuple[Run, dict[str, Any]]:
        done = run_playbook("identity.roster.ftrack", "localhost,", variables, check=check)
        assert done.returncode == 0, done.output
        for secret in ("your-api-key", "password"):
            assert secret not in json.dumps([event.result for event in done.events]).replace("bind_password", "")
        return done, done.of(MODULE)["localhost"]

    def prove() -> dict[str, Any]:
        """Check and apply: the plan is what was done, and check mode only asks."""
        before, calls = workspace.store.snapshot(), len(workspace.calls)
        planned = run(check=True)[1]
        assert workspace.store.snapshot() == before
        assert {action for call in workspace.calls[calls:] for action in call.actions} == {"query"}
        done, result = run()
        for key in ("changes", "summary", "rejected", "failures", "plan_digest", "roster_digest", "diff", "changed"):
            assert result[key] == planned[key], key
        shown = [event.result["msg"] for event in done.events if event.task.endswith("Say what was done")]
        assert shown == [result["report"]]
        return dict(result)

    workspace.store.add("User", username="local", is_active=True)
    before = _BEFORE.format(configuration=_SLAPD, users=ldif())
    with directory("openldap", certificate, address, before) as server, contextlib.ExitStack() as stack:
        login = (CONFIG["ldap"]["bind_dn"], CONFIG["ldap"]["bind_password"])
        admin: Any = stack.enter_context(ldap3.Connection(ldap3.Server(server.url), *login))

        # Everybody is created.
        assert prove()["summary"]["created"] == 6
        found = people(workspace)
        assert found["dora"] | {"custom": {}} == {
            "email": "dora@example.com", "first_name": 'Zoë "Z"', "last_name": "Müller", "is_active": True,
            "user_type": None, "groups": [], "roles": [], "custom": {},
        }  # fmt: skip
        assert found["emil"]["last_name"] == "小龍"
        uuids = {name: user["custom"]["ldap_id"] for name, user in found.items() if name in NAMES}
        assert all(re.fullmatch("[0-9a-f-]{36}", uuid) for uuid in uuids.values())
        identities = {user["username"]: user["id"] for user in workspace.store.all("User")}

        # Nothing to do: queries only.
        calls = len(workspace.calls)
        assert run()[1]["changes"] == []
        assert {action for call in workspace.calls[calls:] for action in call.actions} == {"query"}
        assert len(workspace.calls) - calls == 2

        # Disabled, left, renamed, changed.
        locked = {"pwdAccountLockedTime": [(ldap3.MODIFY_REPLACE, ["000001010000Z"])]}
        assert admin.modify(dn("anna"), locked), admin.result
        assert admin.modify_dn(dn("berta"), "uid=berta", new_superior="ou=former,dc=example,dc=com"), admin.result
        assert admin.modify_dn(dn("carl"), "uid=carl.berg"), admin.result
        changed = {"mail": [(ldap3.MODIFY_REPLACE, ["dora@int.example"])]}
        assert admin.modify(dn("dora"), changed), admin.result
        result = prove()
        assert {change["name"]: (change["action"], sorted(change["fields"])) for change in result["changes"]} == {
            "anna": ("disable", ["enabled"]), "berta": ("disable", ["enabled"]),
            "carl.berg": ("update", ["username"]), "dora": ("update", ["email"]),
        }  # fmt: skip
        assert active(workspace) == {"carl.berg", "dora", "emil", "fritz", "local"}
        assert workspace.store.user("carl.berg")["id"] == identities["carl"]

        # Back.
        assert admin.modify(dn("anna"), {"pwdAccountLockedTime": [(ldap3.MODIFY_DELETE, [])]}), admin.result
        assert admin.modify_dn(dn("berta", "former"), "uid=berta", new_superior=CONFIG["ldap"]["base_dn"]), admin.result
        assert [change["action"] for change in run()[1]["changes"]] == ["enable", "enable"]
        assert active(workspace) == {"anna", "berta", "carl.berg", "dora", "emil", "fritz", "local"}
    assert {user["username"]: user["id"] for user in workspace.store.all("User")} == {
        **{name: identity for name, identity in identities.items() if name != "carl"}, "carl.berg": identities["carl"],
    }  # fmt: skip
    _check_log(log)


def _check_log(log: Path) -> None:
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    lines = log.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    real = [line.partition(" ")[2] for line in lines if " (check mode) " not in line]
    looked = [line.partition(" (check mode) ")[2] for line in lines if " (check mode) " in line]
    assert "user anna deactivated" in real
    assert "user anna would be deactivated" in looked
    assert not [line for line in looked if re.search(r"user \S+ (created|updated|deactivated|reactivated)", line)]
    assert "user dora updated: email dora@example.com -> dora@int.example" in real
    assert "user carl.berg updated: username carl -> carl.berg" in real
    assert real[-1] == (
        "summary: 0 created, 0 updated, 2 reactivated, 0 deactivated, 4 unchanged, 0 left alone, 0 failed"
    )
    assert not [line for line in lines if "your-api-key" in line or "password" in line]


# The module by itself


def options(workspace: Workspace, folder: Path, **more: Any) -> dict[str, Any]:
    given = {
        "server_url": workspace.url,
        "api_user": workspace.api_user,
        "api_key": workspace.api_key,
        "users": crowd(6),
        "state_path": str(folder / "state.json"),
        "log_path": str(folder / "sync.log"),
        "timeout": 5,
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def crowd(size: int) -> list[dict[str, Any]]:
    return [
        {"id": f"id-{number}", "username": f"user{number}", "email": f"user{number}@int.de"} for number in range(size)
    ]


def kill_all(marker: str) -> None:
    """SIGKILL for every process that has this in its environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "environ").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)


def test_a_killed_run_is_finished_by_the_next(workspace: Workspace, tmp_path: Path) -> None:
    """Killed while ftrack carries out the second batch: it is committed, and nobody is told."""
    workspace.rules.unique_usernames = False
    marker = f"ROSTER_KILL={tmp_path}"
    writes = 0

    def kill(operations: Any) -> None:
        nonlocal writes
        writes += any(operation["action"] == "create" for operation in operations)
        if writes == 2:
            kill_all(marker)

    workspace.on_call = kill
    case = {"only": options(workspace, tmp_path, batch_size=2)}
    environment = dict([marker.split("=", 1)])
    with pytest.raises(AssertionError):
        # There is no result of a killed run.
        run_cases(MODULE, case, tmp_path, environment=environment, command=True)
    workspace.on_call = lambda operations: None
    assert len(workspace.store.all("User")) == 5
    assert "started" in (tmp_path / "sync.log").read_text()

    done = run_cases(MODULE, case, tmp_path).of(MODULE)["only"]
    assert (done["summary"]["created"], done["summary"]["unchanged"]) == (2, 4)
    assert sorted(user["username"] for user in workspace.store.all("User")) == [
        "admin", *(f"user{number}" for number in range(6))
    ]  # fmt: skip
    # All six are ours: they are deactivated when they leave.
    left = {
        "only": options(workspace, tmp_path, users=crowd(1), limits={"disables": {"count": 9}, "leavers": {"count": 9}})
    }
    assert run_cases(MODULE, left, tmp_path).of(MODULE)["only"]["summary"]["disabled"] == 5
    assert active(workspace) == {"user0"}


#: Name: (options that differ, words of the error).
FAULTS: dict[str, tuple[Mapping[str, Any], str]] = {
    "key": ({"api_key": "Wrong-Canary"}, "Look at api_user and api_key"),
    "no_key": ({"api_key": None}, "missing required arguments: api_key"),
    "unlisted": ({"api_user": "nobody"}, "Look at api_user and api_key"),
    "no_server": ({"server_url": "http://127.0.0.1:1"}, "connection refused"),
    "clear_text": ({"server_url": "http://ftrack.example.org"}, "use https"),
    "wrong_path": ({"server_url": "PATH"}, "answers with status 404"),
    "batch": ({"batch_size": 0}, "batch_size must be 1 to 500"),
    "match": ({"match": ["external_id"]}, "match leaves nothing"),
    "attribute": ({"external_id_attribute": "sap"}, "0 custom attributes 'sap'"),
    "role": ({"security_roles": {"*": "Chief"}}, "security_roles names 'Chief'"),
    "role_kind": ({"security_roles": {"*": 4}}, "security_roles of '*' is no list"),
    "group_kind": ({"group_mapping": {"a": []}}, "group_mapping of 'a' is a list"),
    "log": ({"log_path": "/proc/none/sync.log"}, "log_path"),
    "limit": ({"limits": {"disables": {"count": 0, "percent": 0}}, "users": None}, "goes too far"),
    "empty": ({"users": []}, "nobody at all"),
}


def test_faults_change_nothing(workspace: Workspace, tmp_path: Path) -> None:
    cases = {}
    for name, (differing, _words) in FAULTS.items():
        (tmp_path / name).mkdir()
        cases[name] = options(workspace, tmp_path / name, **differing)
    cases["wrong_path"]["server_url"] = f"{workspace.url}/ftrack"
    cases["limit"]["users"] = [{"username": "local", "enabled": False}]
    workspace.store.add("User", username="local", is_active=True)
    before = workspace.store.snapshot()
    done = run_cases(MODULE, cases, tmp_path)
    got = done.of(MODULE)
    assert failed(done) == set(FAULTS)
    for name, (_differing, words) in FAULTS.items():
        assert words in got[name]["msg"], (name, got[name]["msg"])
        if name != "no_key":  # Ansible itself says so
            assert (got[name]["changed"], got[name]["changes"]) == (False, [])
            assert got[name]["report"][-1].startswith("summary: 0 created")
    assert workspace.store.snapshot() == before
    assert workspace.writes == []
    assert "ERROR ftrack refuses" in (tmp_path / "key" / "sync.log").read_text()
    shown = done.output + json.dumps([event.result for event in done.events])
    assert not [text for text in ("Wrong-Canary", "your-api-key") if text in shown]
    assert "Wrong-Canary" not in (tmp_path / "key" / "sync.log").read_text()


def test_one_bad_record_and_the_environment(workspace: Workspace, tmp_path: Path) -> None:
    workspace.rules.refuse = lambda action, kind, data: "Not him" if data.get("username") == "user3" else None
    case = options(workspace, tmp_path, server_url=None, api_user=None, api_key=None, log_path=None)
    environment = {
        "FTRACK_SERVER": workspace.url, "FTRACK_API_USER": workspace.api_user, "FTRACK_API_KEY": workspace.api_key,
    }  # fmt: skip
    done = run_cases(MODULE, {"only": case}, tmp_path, environment=environment)
    got = done.of(MODULE)["only"]
    assert failed(done) == {"only"}
    assert got["msg"].startswith("1 records could not be applied; the others were. user3: ftrack refuses: Not him")
    assert (got["summary"]["created"], got["summary"]["failed"]) == (5, 1)
    assert active(workspace) == {f"user{number}" for number in (0, 1, 2, 4, 5)}
    assert "ERROR user3: ftrack refuses: Not him (ValidationError)" in got["report"]
    assert workspace.api_key not in done.output + json.dumps(got)
