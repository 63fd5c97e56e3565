# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback in real runs: its log against the account files, and its table against what happened.

The hosts are throwaway roots on this machine.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.playbook.run import TARGET, Run, run_playbook
from tests.tools.checkout import ROOT

ENABLED = {"ANSIBLE_CALLBACKS_ENABLED": "record,identity.roster.report"}
SALT = "$6$canarysalt$"
HASH = SALT + "Kanarienvogel" + "x" * 73
OTHER_HASH = SALT + "Kanarienvogel" + "y" * 73
HEADER = "external_id,username,name,uid,enabled,groups,password_hash\n"
FIRST = f"""{HEADER}\
e1,anna,Anna Ärger,30001,yes,"sales,studio",{HASH}
e2,bert,Bert,30002,yes,sales,{HASH}
e3,carl,Carl,30003,yes,,
e4,4711,Number,30004,yes,,
"""
#: anna: name, groups and password; bert: disabled; carl: gone; dora: new.
SECOND = f"""{HEADER}\
e1,anna,Anna Ruhig,30001,yes,sales,{OTHER_HASH}
e2,bert,Bert,30002,no,sales,{HASH}
e5,dora,Dora,30005,yes,it,{HASH}
"""
SYNC = """
- hosts: localhost
  gather_facts: false
  tasks:
    - identity.roster.csv_info: {path: "{{ csv }}", dest: "{{ csv }}.json", required: [username]}
      check_mode: false
- hosts: linux_clients
  gather_facts: false
  tasks:
    - identity.roster.linux_accounts:
        roster: "{{ csv }}.json"
        root: "{{ top }}/{{ inventory_hostname }}"
        create_homes: false
"""
MIXED = """
- hosts: linux_clients
  gather_facts: false
  serial: 3
  module_defaults: &defaults
    identity.roster.linux_accounts: {root: "{{ top }}/{{ inventory_hostname }}", create_homes: false}
  tasks:
    - identity.roster.linux_accounts: {users: "{{ people }}"}
      no_log: "{{ inventory_hostname == 'hidden' }}"
      when: inventory_hostname not in ['delegate', 'repeated']
    - when: inventory_hostname == 'refused'
      block:
        - identity.roster.linux_accounts: {users: "{{ people[:1] }}", limits: {disables: {count: 0, percent: 0}}}
      rescue:
        - ansible.builtin.debug: {}
    - identity.roster.linux_accounts: {users: "{{ people + more }}"}
      retries: 1
      delay: 0
      ignore_errors: true
      when: inventory_hostname == 'repeated'
    - identity.roster.linux_accounts: {users: "{{ people + [item] }}", root: "{{ top }}/delegate"}
      loop: [{username: item1}, {username: item2}]
      delegate_to: delegate
      when: inventory_hostname == 'refused'
- hosts: hidden
  gather_facts: false
  tasks:
    - identity.roster.pleio_users: {url: "http://127.0.0.1:1/", api_secret: Kanarienvogel, users: "{{ people }}"}
      async: 60
      poll: 0
      register: job
    - ansible.builtin.async_status: {jid: "{{ job.ansible_job_id }}"}
      register: answer
      until: answer is finished
      retries: 100
      delay: 0.2
      ignore_errors: true
"""


class Site:
    """Roots named as hosts, and what ansible-playbook needs to bring them in line."""

    def __init__(self, folder: Path, hosts: list[str]) -> None:
        self.folder = folder
        self.hosts = hosts
        self.log = folder / "log" / "audit.jsonl"
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory: dict[str, Any] = {host: dict(local) for host in hosts}
        for host in hosts:
            for name in ("home", "var/lib", "bin"):
                (folder / host / name).mkdir(parents=True)
            shutil.copytree(ROOT / "playbooks/files/demo/etc", folder / host / "etc")
            (folder / host / "bin/bash").touch(0o755)
        self.inventory = folder / "hosts.yml"
        groups = {"linux_clients": {"hosts": inventory}, "ungrouped": {"hosts": {"localhost": local}}}
        self.inventory.write_text(yaml.safe_dump(groups), encoding="utf-8")

    def add_unreachable(self, name: str) -> None:
        groups = yaml.safe_load(self.inventory.read_text(encoding="utf-8"))
        groups["linux_clients"]["hosts"][name] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
        self.inventory.write_text(yaml.safe_dump(groups), encoding="utf-8")

    def run(self, playbook: str, *, check: bool = False, environment: dict[str, str] | None = None, **more: Any) -> Run:
        path = self.folder / "playbook.yml"
        path.write_text(playbook, encoding="utf-8")
        variables = {"top": str(self.folder), "identity_roster_report_audit_log": str(self.log), **more}
        return run_playbook(
            path, self.inventory, variables, check=check, environment={**ENABLED, **(environment or {})}
        )

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def accounts(self) -> dict[str, dict[str, Any]]:
        return {host: read_accounts(self.folder / host) for host in self.hosts}


def read_accounts(root: Path) -> dict[str, Any]:
    """What the files of a host say, without any code of ours: users by name with their fields, and groups."""
    rows = {
        name: {
            line.split(":")[0]: line.split(":")
            for line in (root / "etc" / name).read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")
        }
        for name in ("passwd", "shadow", "group")
    }
    users: dict[str, dict[str, Any]] = {}
    for name, row in rows["passwd"].items():
        shadow = rows["shadow"].get(name, [name, "*", "", "", "", "", "", "", ""])
        users[name] = {
            "uid": int(row[2]),
            "full_name": row[4] or None,
            "home": row[5],
            "shell": row[6],
            "password_hash": shadow[1].lstrip("!*") or None,
            "enabled": shadow[7] == "",
            "groups": sorted(group for group, fields in rows["group"].items() if name in fields[3].split(",")),
        }
    return {"users": users, "groups": {name: int(row[2]) for name, row in rows["group"].items() if name not in users}}


def changes_between(before: dict[str, Any], after: dict[str, Any]) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """(kind, name) to (action, fields), as the audit log should have them."""
    found: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for name, gid in after["groups"].items():
        if name not in before["groups"]:
            found["group", name] = ("create", {"gid": [None, gid]})
    for name, is_now in after["users"].items():
        was = before["users"].get(name)
        fields: dict[str, list[Any]] = {}
        for key, value in is_now.items():
            old = was[key] if was is not None else None
            if value != old and not (was is None and not value):
                fields[key] = ["changed"] if key == "password_hash" else [old, value]
        if was is None:
            found["user", name] = ("create", fields)
        elif fields:
            found["user", name] = ("disable" if fields.get("enabled") == [True, False] else "update", fields)
    assert before["users"].keys() <= after["users"].keys()
    return found


def logged(entries: list[dict[str, Any]], host: str) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    mine = [entry for entry in entries if entry["host"] == host]
    found = {(entry["object"]["kind"], entry["object"]["name"]): (entry["action"], entry["fields"]) for entry in mine}
    assert len(found) == len(mine), "an object is in the log twice"
    return found


def table_of(run: Run) -> str:
    """What the callback printed, which comes last but for warnings."""
    return "identity.roster run" + run.output.partition("identity.roster run")[2]


def cells(table: str, name: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.strip().startswith(name + " ") and line.count(" -")]
    return line[25:].split()


def test_the_log_is_what_the_account_files_went_through(tmp_path: Path) -> None:
    site = Site(tmp_path, ["alpha"])
    csv = tmp_path / "people.csv"
    csv.write_text(FIRST, encoding="utf-8")
    text = {"IDENTITY_ROSTER_REPORT_TEXT_LOG": str(tmp_path / "log/audit.log")}

    before = site.accounts()
    checked = site.run(SYNC, check=True, csv=str(csv), environment=text)
    assert checked.returncode == 0, checked.output
    assert "CHECK MODE: nothing was changed" in checked.output
    assert cells(table_of(checked), "alpha") == ["3", "-", "-", "-", "-", "1", "-", "1", "-"]
    assert site.accounts() == before
    assert not site.log.parent.exists()

    outputs = [checked.output]
    seen = 0
    for content, row in ((FIRST, "3 - - - - 1 - 1 -"), (SECOND, "1 1 - 2 - - - - -"), (SECOND, None)):
        csv.write_text(content, encoding="utf-8")
        run = site.run(SYNC, csv=str(csv), environment=text)
        assert run.returncode == 0, run.output
        outputs.append(run.output)
        after = site.accounts()
        new = site.entries()[seen:]
        seen += len(new)
        for host in site.hosts:
            expected = changes_between(before[host], after[host])
            assert logged(new, host) == expected
            assert bool(expected) == (row is not None), "the test itself is about changes"
            if row is not None:
                assert cells(table_of(run), host) == row.split()
        before = after
        if row is None:
            assert "1 host unchanged" in run.output
            continue
        assert "CHECK MODE" not in run.output
        assert {entry["source"] for entry in new} == {"csv_info"}
        assert {entry["target"] for entry in new} == {"linux_accounts"}
        assert {entry["roster_digest"] for entry in new} == {run.of(TARGET)["alpha"]["roster_digest"]}
        assert len({entry["run_id"] for entry in new}) == 1
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["time"]) for entry in new)
    assert len({entry["run_id"] for entry in site.entries()}) == 2

    lines = Path(text["IDENTITY_ROSTER_REPORT_TEXT_LOG"]).read_text(encoding="utf-8").splitlines()
    assert len(lines) == seen
    assert all("linux_accounts" in line and "source csv_info" in line for line in lines)
    assert any(' alpha linux_accounts: user anna updated: full_name "Anna Ärger" -> "Anna Ruhig";' in x for x in lines)
    for path in (site.log, Path(text["IDENTITY_ROSTER_REPORT_TEXT_LOG"])):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "Kanarienvogel" not in path.read_text(encoding="utf-8")
    assert not any("Kanarienvogel" in output for output in outputs)


def test_failures_refusals_and_what_ansible_makes_of_tasks(tmp_path: Path) -> None:
    site = Site(tmp_path, ["delegate", "hidden", "refused", "repeated"])
    site.add_unreachable("a-host-with-a-very-long-name-indeed.example.org")
    before = site.accounts()
    people = [{"username": name, "password_hash": HASH} for name in ("anna", "bert", "carl")]
    more = [{"username": "dora"}, {"username": "emil", "uid": 1000}]
    run = site.run(MIXED, people=people, more=more)
    after = site.accounts()
    table = table_of(run)

    entries = site.entries()
    for host in ("refused", "repeated"):
        assert logged(entries, host) == changes_between(before[host], after[host]) != {}
    assert after["refused"]["users"]["bert"]["enabled"], "the refused plan was not done"
    assert ("user", "dora") in logged(entries, "repeated"), "of the attempt that failed"
    # What item1 of the loop got, item2 took away, on the host that the task was delegated to.
    done = [(entry["object"]["name"], entry["action"]) for entry in entries if entry["host"] == "delegate"]
    assert done == [
        ("anna", "create"), ("bert", "create"), ("carl", "create"), ("item1", "create"), ("item1", "disable"),
        ("item2", "create"),
    ]  # fmt: skip
    hidden = [entry for entry in entries if entry["host"] == "hidden"]
    assert [(entry["object"], entry["action"], entry["fields"]) for entry in hidden] == [(None, "hidden", {})]
    assert after["hidden"] != before["hidden"]

    assert all(len(line) <= 80 for line in table.partition("\nChanges logged: ")[0].splitlines())
    assert cells(table, "a-host-with..xample.org") == ["-"] * 8 + ["1"]
    assert cells(table, "delegate") == ["5", "-", "-", "1", "-", "-", "-", "2", "-"]
    assert cells(table, "refused") == ["3", "-", "-", "-", "-", "-", "1", "-", "-"]
    assert cells(table, "repeated") == ["4", "-", "-", "-", "-", "-", "1", "1", "-"]
    assert "linux_accounts on repeated: user emil: uid 1000" in table
    digest = next(event.result["plan_digest"] for event in run.events if event.result.get("refused"))
    assert table.count(f"approve={digest}") == 1
    assert "linux_accounts: 1 result" in table and "Hidden by no_log" in table
    assert "pleio_users on hidden: the url http://127.0.0.1:1/ is not that of the API" in table
    assert "Kanarienvogel" not in run.output
    assert "Kanarienvogel" not in site.log.read_text(encoding="utf-8")


def test_a_log_that_cannot_be_written_fails_nothing_and_artifacts_are_published(tmp_path: Path) -> None:
    site = Site(tmp_path, ["alpha"])
    csv = tmp_path / "people.csv"
    csv.write_text(FIRST, encoding="utf-8")
    site.log = csv / "audit.jsonl"
    document = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    (publish,) = re.findall(r"```yaml\n(    - name: Publish.*?)```", document, re.DOTALL)
    run = site.run(
        SYNC.replace("required: [username]}", "required: [username]}\n      register: fetch_result")
        + "      register: linux_client_result\n"
        + publish,
        csv=str(csv),
        awx_job_id=17,
        environment={"ANSIBLE_SHOW_CUSTOM_STATS": "1"},
    )
    assert run.returncode == 0, run.output
    result = run.of(TARGET)["alpha"]
    told = after_stats(run)
    assert (told["check_mode"], told["roster_digest"]) == (False, result["roster_digest"])
    assert told["linux_accounts"]["summary"] == result["summary"]
    assert told["linux_accounts"]["plans"] == {"alpha": result["plan_digest"]}
    assert (told["linux_accounts"]["summary"]["created"], told["linux_accounts"]["rejected"]) == (3, ["4711"])
    assert run.output.count("[WARNING]: identity.roster.report: the log") == 1
    assert table_of(run).startswith("identity.roster run awx-17\n")
    assert "Changes that could NOT be logged: 5 in " in table_of(run)


def after_stats(run: Run) -> Any:
    (line,) = [line for line in run.output.splitlines() if line.strip().startswith("RUN: ")]
    return json.loads(line.strip()[5:])["identity_roster"]


def test_runs_without_any_target_show_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, ["alpha"])
    run = site.run("- hosts: alpha\n  gather_facts: false\n  tasks: [ansible.builtin.debug: {msg: changes}]\n")
    assert run.returncode == 0
    assert "identity.roster" not in run.output
    assert not site.log.exists()
