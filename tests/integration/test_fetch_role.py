# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role fetch: one source or several, read on the controller whatever hosts a play has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse
from tests.integration.sync import news
from tests.playbook.run import Run, run_playbook
from tests.servers.libre_workspace import Portal

ROLE = "identity.roster.fetch"
MERGE = "identity.roster.roster_merge"
SOURCES = ("identity.roster.libre_workspace_info", "identity.roster.csv_info", "identity.roster.ldap_info")
#: A documentation address: nobody answers there.
FAR = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=1"}
EXTRA = """username,name,email,shell,profile.team
anna.schmidt,Anna S.,a@int.example,/bin/zsh,Red
CHEF,Chef,CHEF@INT.DE,,Blue
nobody.there,Nobody,n@int.example,,
"""


def play(folder: Path, cases: Mapping[str, Mapping[str, Any]], **options: Any) -> Run:
    """A play of its own for each case: its variables, one far host, and the role. No play stops the others."""
    hosts = {"all": {"hosts": dict.fromkeys(cases, FAR)}}
    (folder / "hosts.json").write_text(json.dumps(hosts), encoding="utf-8")
    role = {"name": "Read it", "ansible.builtin.import_role": {"name": ROLE}}
    caught = {"name": "Stop this play only", "ansible.builtin.meta": "end_play"}
    tasks = [{"name": "Try", "block": [role], "rescue": [caught]}]
    plays = [
        {"hosts": name, "gather_facts": False, "become": True, "vars": dict(case), "tasks": tasks}
        for name, case in cases.items()
    ]
    (folder / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
    return run_playbook(folder / "play.yml", folder / "hosts.json", {}, **options)


def test_several_sources_become_one_roster(tmp_path: Path) -> None:
    (tmp_path / "extra.csv").write_text(EXTRA, encoding="utf-8")
    dest = tmp_path / "rosters" / "all.json"
    with Portal(capture="04") as portal:
        case = {
            "fetch_sources": [
                {"name": "portal", "source": "libre_workspace", "url": portal.url, "api_key": portal.api_key},
                {"name": "extra", "source": "csv", "csv": {"path": str(tmp_path / "extra.csv")}, "adds_people": False},
            ],
            "fetch_allow_unicode_names": True,
            "fetch_dest": str(dest),
        }
        done = play(tmp_path, {"only": case})
        assert done.returncode == 0, done.output
        assert news(done) == []
        assert portal.api_key not in done.output + json.dumps([event.result for event in done.events])
        result = done.of(MERGE)["only"]
        users = {user.username: user for user in parse(dest.read_bytes()).users}
        assert (result["dest"], result["counts"]["users"], len(users)) == (str(dest), 12, 12)
        anna, chef = users["anna.schmidt"], users["chef"]
        assert (anna.uid, anna.full_name, anna.shell, anna.profile) == (
            10001,
            "Anna Schmidt",
            "/bin/zsh",
            {"team": "Red"},
        )
        assert (chef.email, chef.profile) == ("chef@int.de", {"team": "Blue"})
        assert {(each["name"], each["field"], each["kept"], each["ignored"]) for each in result["conflicts"]} == {
            ("anna.schmidt", "full_name", "portal", "extra"),
            ("anna.schmidt", "email", "portal", "extra"),
            ("chef", "full_name", "portal", "extra"),
        }
        paths = [dest, *(tmp_path / "rosters" / "all.json.d").iterdir()]
        assert sorted(path.name for path in paths) == ["all.json", "extra.json", "portal.json"]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in paths)

        # The difference is said in check mode too, and nothing but the controller's own files is written.
        portal.remove("chef")
        portal.change("anna.schmidt", enabled=False)
        done = play(tmp_path, {"only": case}, check=True)
        assert done.returncode == 0, done.output
        assert news(done) == ["1 left: chef", "1 changed: anna.schmidt (enabled)"]

        # One source that fails is enough: the merged roster stays as it was.
        before = dest.read_bytes()
        (tmp_path / "extra.csv").write_text(EXTRA + "short\n", encoding="utf-8")
        done = play(tmp_path, {"only": case})
        assert "failed" in {event.status for event in done.events}
        assert "line 5, column 2 (name)" in done.output
        assert dest.read_bytes() == before


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"fetch_source": "nis"}, "The sources are libre_workspace, ldap, csv, and 'nis' is asked for"),
    "no_url": ({}, "these are missing: the address of the portal (fetch_url); a key of the portal"),
    "no_key": ({"fetch_url": "https://portal.example.org"}, "LIBRE_WORKSPACE_API_KEY"),
    "no_path": ({"fetch_source": "csv"}, "the path of the CSV file (fetch_csv.path)"),
    "no_server": (
        {"roster_source": "ldap"},
        "the address of the directory (fetch_ldap.server_url or ldap.server_url); where the people",
    ),
    "typo": ({"fetch_source": "csv", "fetch_csv": {"path": "/x", "delimeter": ";"}}, "delimeter"),
    "ldap_typo": (
        {
            "fetch_source": "ldap",
            "ldap": {
                "server_url": "ldap://a.invalid",
                "base_dn": "o=a",
                "fitler": "(cn=a)",
                "bind_dn": "cn=a",
                "bind_password": "x",
            },
        },
        "fetch_ldap (or ldap) has fitler, which nothing reads",
    ),
    "part_typo": (
        {"fetch_sources": [{"name": "a", "source": "csv", "csv": {"path": "/x", "encodign": "latin-1"}}]},
        "fetch_csv has encodign, which nothing reads",
    ),
    "no_password": (
        {"fetch_source": "ldap", "ldap": {"server_url": "ldap://a.invalid", "base_dn": "o=a", "bind_dn": "cn=a"}},
        "these are missing: its password (environment IDENTITY_ROSTER_BIND_PASSWORD",
    ),
    "parts": (
        {"fetch_sources": [{"name": "hr", "source": "csv"}, {"name": "ad", "source": "ldap"}]},
        "for hr, the path of the CSV file (fetch_csv.path); for ad, the address of the directory",
    ),
    "name": ({"fetch_sources": [{"source": "csv"}]}, "fetch_sources can't be read"),
    "way_out": ({"fetch_sources": [{"name": "../x", "source": "csv"}]}, "fetch_sources can't be read"),
    "same": ({"fetch_sources": [{"name": "a", "source": "csv"}] * 2}, "fetch_sources can't be read"),
    "key": ({"fetch_sources": [{"name": "a", "source": "csv", "fetch_csv": {}}]}, "fetch_sources can't be read"),
    "match": ({"fetch_match": "shoe size"}, "fetch_match"),
}


def test_variables_that_can_not_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIBRE_WORKSPACE_API_KEY", "IDENTITY_ROSTER_BIND_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    dest = {"fetch_dest": str(tmp_path / "roster.json")}
    done = play(tmp_path, {name: {**dest, **case} for name, (case, _words) in REFUSED.items()})
    failures = {event.host: json.dumps(event.result) for event in done.events if event.status == "failed"}
    assert set(failures) == set(REFUSED)
    for name, (_case, words) in REFUSED.items():
        assert words in failures[name], name
    assert not any(event.action in (*SOURCES, MERGE) for event in done.events)
    assert not Path(dest["fetch_dest"]).exists()
