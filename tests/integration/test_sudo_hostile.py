# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile and random sudo rules on real hosts: sudo reads what was meant, and nothing makes it unusable."""

from __future__ import annotations

import json
import shlex
from typing import Any

from hypothesis import given, settings

from ansible_collections.identity.roster.plugins.module_utils._linux.sudoers import read_rules, render
from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.sudo_on_host import attempts
from tests.unit.sudoers_cases import COMMANDS, NAMES, entry
from tests.unit.test_sudoers_fuzz import meant, unique, written

LOCK_OUTS: list[dict[str, Any]] = [
    {"groups": ["sudo"]},
    {"groups": ["ansible"]},
    {"users": ["ansible"]},
    {"users": ["ansible"], "run_as": ["root"], "commands": ["/bin/sh -c :"]},
    {"groups": ["sudo"], "users": ["anna"], "run_as_groups": ["ALL"]},
]


def hostile_cases() -> list[dict[str, Any]]:
    base = {"defaults": [], "file": "identity-roster", "adopt": False, "root": "/", "state": "present"}
    rules = [entry(**{field: [name]}) for name, _good in NAMES for field in ("users", "groups")]
    rules += [entry(users=["anna"], commands=[command], nopasswd=True) for command, _means in COMMANDS]
    rules += [entry(**options) for options in LOCK_OUTS]
    rules += [entry(users=["anna"], name=name) for name in ("x\nALL ALL=(ALL) ALL", "x\\", "@include /etc/passwd")]
    cases = [{**base, "rules": [rule]} for rule in rules]
    for name, value in (
        ("passprompt", 'x", !authenticate, y="'), ("badpass_message", "x\\"), ("secure_path", "/nowhere"),
        ("umask", "0777"), ("passwd_tries", 0), ("timestamp_timeout", -1), ("use_pty", True), ("umask", "0077"),
    ):  # fmt: skip
        settings_ = [{"name": name, "value": value}]
        rule = entry(groups=["sudo"], users=["ansible"], nopasswd=True)
        cases.append({**base, "rules": [rule], "defaults": settings_})
    for file in ("README", "ansible", "../sudoers", "a.b", "x~", "", "/etc/passwd"):
        cases.append({**base, "rules": [entry(users=["anna"])], "file": file})
    return [json.loads(json.dumps(case, ensure_ascii=True)) for case in cases]


def test_hostile_rules_never_make_sudo_unusable(fleet2: Fleet) -> None:
    chosen = hostile_cases()
    assert len(chosen) > 40
    print()
    for turn, host in enumerate(fleet2.hosts):
        host.run(["useradd", "anna"], check=True)
        lost = wrote = 0
        # The two releases take turns; what each sudo makes of commands and names is asked below.
        cases = chosen[turn :: len(fleet2.hosts)]
        for case, answer in zip(cases, attempts(host, cases), strict=True):
            assert answer["untouched"], (host.name, case, "check mode wrote something")
            assert answer["left"] in (["README", "ansible"], ["README", "ansible", "identity-roster"]), (
                host.name,
                case,
            )
            for key in ("fails", "changed", "changes", "rejected", "failures", "diff"):
                assert answer["planned"][key] == answer["done"][key], (host.name, case, answer)
            assert answer["again"]["fails"] or not answer["again"]["changed"], (host.name, case)
            wrote += not answer["done"]["fails"]
            lost += answer["tree"] != 0 or answer["sudo"] != 0
            assert answer["tree"] == 0 and answer["sudo"] == 0, (host.name, case, answer)
        counts = f"{len(cases)} tried, {wrote} written, {len(cases) - wrote} refused, {lost} lost"
        print(f"hostile sudo rules on {host.name}: {counts}")


def test_commands_mean_what_they_say(fleet2: Fleet) -> None:
    """sudo itself, asked for every command of the table: it may be run as written, and not with anything else."""
    base = {"defaults": [], "file": "identity-roster", "adopt": False, "root": "/", "state": "present"}
    good = [command for command, means in COMMANDS if means and means[0] not in ("ALL", "sudoedit")]
    for host in fleet2.hosts:
        host.run(["useradd", "anna"], check=True)
        for command in good:
            path, *arguments = shlex.split(command)
            program = host.root / path.lstrip("/")
            if not program.exists():
                program.parent.mkdir(parents=True, exist_ok=True)
                program.write_text("#!/bin/sh\n")
                program.chmod(0o755)
            (answer,) = attempts(host, [{**base, "rules": [entry(users=["anna"], commands=[command])]}])
            assert not answer["done"]["fails"], answer
            given_ = [] if arguments == [""] else arguments

            def allowed(*asked: str, host: Host = host, path: str = path) -> bool:
                return host.run(["sudo", "-l", "-U", "anna", "--", path, *asked]).returncode == 0

            assert allowed(*given_), (host.name, command)
            assert allowed(*given_, "more") == (not arguments), (host.name, command)
            if given_:
                assert not allowed() and not allowed(*given_[:-1], given_[-1] + "x"), (host.name, command)
                assert not allowed(*given_[:-1], given_[-1][:-1]), (host.name, command)
            assert host.run(["sudo", "-l", "-U", "anna", "--", "/usr/bin/true"]).returncode != 0


def test_any_rules_are_read_literally(fleet2: Fleet) -> None:
    """Five hundred random rules, read back by sudo's own parser as JSON."""
    collected: list[dict[str, Any]] = []

    @given(written())
    @settings(max_examples=500, database=None)
    def collect(rule: dict[str, Any]) -> None:
        collected.append({**rule, "name": f"r{len(collected)}"})

    collect()
    made, rejected = read_rules(collected, [])
    assert rejected == []
    for host in fleet2.hosts:
        path = host.root / "root/any"
        path.write_text(render(made), encoding="utf-8")
        done = host.run(["visudo", "-cf", "/root/any"])
        assert done.returncode == 0, done.stderr
        read = json.loads(host.run(["cvtsudoers", "-f", "json", "/root/any"], check=True).stdout)["User_Specs"]
        assert len(read) == len(collected)
        for rule, back in zip(collected, read, strict=True):
            who = [{"usergroup": name} for name in unique(rule["groups"])]
            assert back["User_List"] == who + [{"username": name} for name in unique(rule["users"])], rule
            (spec,) = back["Cmnd_Specs"]
            assert [user["username"] for user in spec.get("runasusers", [])] == unique(rule["run_as"]), rule
            assert [group["usergroup"] for group in spec.get("runasgroups", [])] == unique(rule["run_as_groups"]), rule
            assert [command["command"] for command in spec["Commands"]] == unique(
                as_sudo_reads(command) for command in rule["commands"]
            ), rule
            assert ({"authenticate": False} in spec.get("Options", [])) == rule["nopasswd"]


def as_sudo_reads(command: str) -> str:
    """Path and pattern of the arguments, as cvtsudoers prints them."""
    path, arguments = meant(command)
    if arguments is None:
        return path
    pattern = arguments.replace("\\", "\\\\")
    return f"{path} {chr(92) if pattern.startswith('^') else ''}{pattern}" if pattern else f'{path} ""'
