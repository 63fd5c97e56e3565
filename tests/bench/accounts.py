# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""linux_accounts against a loop of ansible.builtin.user: the same people, the same host, one run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.fleet.fleet import Fleet, fleets_folder
from tests.playbook.run import TARGET, Run, run_playbook
from tests.servers.libre_workspace import Portal

LOOP = """
- name: The same with a loop
  hosts: linux_clients
  gather_facts: false
  become: true
  tasks:
    - name: Groups
      ansible.builtin.group:
        name: "{{ item.name }}"
        gid: "{{ item.gid }}"
      loop: "{{ groups_wanted }}"
      loop_control:
        label: "{{ item.name }}"
    - name: Users
      ansible.builtin.user:
        name: "{{ item.username }}"
        uid: "{{ item.uid }}"
        comment: "{{ item.full_name | default('') }}"
        password: "{{ item.password_hash | default('*') }}"
        groups: "{{ item.groups }}"
        append: true
        shell: /bin/bash
        expires: "{{ -1 if item.enabled else 86400 }}"
        password_lock: "{{ not item.enabled }}"
      loop: "{{ users_wanted }}"
      loop_control:
        label: "{{ item.username }}"
      no_log: true
"""


def measure(count: int) -> str:
    """First run and no-op of both, as a table. The peer starts on a pristine host, as we do."""
    fleet = Fleet(fleets_folder() / "bench").up(1)
    try:
        return _table(fleet, count)
    finally:
        fleet.down()


def _table(fleet: Fleet, count: int) -> str:
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as name, Portal(capture="10") as portal:
        folder = Path(name)
        portal.serve(portal.records[:count])
        ours = [_ours(portal, fleet, folder) for _run in ("first", "no-op")]
        wanted = _wanted(folder / "roster.json")
        fleet.reset()
        playbook = folder / "loop.yml"
        playbook.write_text(LOOP, encoding="utf-8")
        theirs = [_loop(playbook, fleet, wanted) for _run in ("first", "no-op")]
    lines = [f"{len(wanted['users_wanted'])} users on one Debian 12 host over SSH, pipelining on, seconds:"]
    lines.append(f"{'':8} {'linux_accounts':>15} {'loop of user':>13} {'ratio':>7}")
    for label, mine, peer in zip(("first", "no-op"), ours, theirs, strict=True):
        lines.append(f"{label:8} {mine:15.2f} {peer:13.2f} {peer / mine:7.0f}")
    return "\n".join(lines)


def _ours(portal: Portal, fleet: Fleet, folder: Path) -> float:
    run = run_playbook(
        "identity.roster.linux_clients",
        fleet.inventory_path,
        {"fetch_url": portal.url, "fetch_dest": str(folder / "roster.json"), "fetch_allow_unicode_names": True},
        environment={"LIBRE_WORKSPACE_API_KEY": portal.api_key},
    )
    return _succeeded(run).seconds(TARGET)


def _loop(playbook: Path, fleet: Fleet, wanted: dict[str, Any]) -> float:
    run = _succeeded(run_playbook(playbook, fleet.inventory_path, wanted, timeout=3600))
    return run.seconds("ansible.builtin.user") + run.seconds("ansible.builtin.group")


def _succeeded(run: Run) -> Run:
    if run.returncode != 0:
        raise RuntimeError(run.output[-4000:])
    return run


def _wanted(roster: Path) -> dict[str, Any]:
    document = yaml.safe_load(roster.read_text(encoding="utf-8"))
    known = {group["name"] for group in document["groups"]}
    users = [{**user, "groups": [name for name in user["groups"] if name in known]} for user in document["users"]]
    return {"users_wanted": users, "groups_wanted": document["groups"]}
