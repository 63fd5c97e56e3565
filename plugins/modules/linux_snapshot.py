# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module documentation and entry point; the work is in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: linux_snapshot
version_added: 0.1.0
short_description: List the account snapshots of a Linux host, and undo a run
author:
  - identity.roster contributors (@identity-roster)
description:
  - Before it changes the account files, M(identity.roster.linux_accounts) keeps what they were. This module lists these
    runs, and undoes one.
  - An undo is a three-way merge, line by line and field by field. What the run changed becomes what it was; what
    others changed since stays, and is reported in RV(kept).
  - Accounts that the run made are removed, accounts that it removed come back with their password, ids and groups, and
    accounts that it renamed get their name back. Users that the run disabled may log in again.
  - An undo is a run itself. It keeps a snapshot under its own RV(run_id), so it can be undone.
  - Check mode comes from the same plan as a real undo, and writes nothing.
notes:
  - Run it with C(become), unless O(root) is a directory of your own.
  - Correct the source first. Else the next run of M(identity.roster.linux_accounts) does the same again.
  - Homes are never removed by an undo. One that the run moved is moved back, and one that it archived is unpacked.
  - The limits of M(identity.roster.linux_accounts) do not apply to an undo.
  - A record that can't be undone does not stop the others. The task fails at its end, and RV(failures) says why.
extends_documentation_fragment:
  - identity.roster.attributes
attributes:
  check_mode:
    support: full
    details:
      - The changes listed are those that an undo makes. Nothing is written, not even a lock file.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  state:
    description: What to do.
    type: str
    choices:
      listed: List the runs. Nothing is changed.
      restored: Undo the run O(run_id).
    default: listed
  run_id:
    description:
      - The run to undo, as RV(snapshots) lists it and RV(identity.roster.linux_accounts#module:run_id) returned it.
      - Several runs are undone one after the other, the newest first. One between others can be undone alone.
      - A host where that run changed nothing has no snapshot of it. That is no error, and RV(found) is false.
      - Required with O(state=restored).
    type: str
  protected_users:
    description:
      - Names of accounts that an undo never changes, besides root, system accounts and the account that Ansible is
        connected as.
    type: list
    elements: str
    default: []
  root:
    description: Another root directory, as in M(identity.roster.linux_accounts).
    type: path
    default: /
  state_dir:
    description: Where the host keeps its ledger and its snapshots, as in M(identity.roster.linux_accounts).
    type: str
    default: /var/lib/identity-roster
  _controller:
    description: What the action plugin tells the module. It is filled in on the controller; a playbook must not set it.
    type: dict
seealso:
  - module: identity.roster.linux_accounts
"""

EXAMPLES = r"""
- name: Which runs can be undone
  identity.roster.linux_snapshot:
  become: true
  register: linux_snapshots

- name: Undo one of them
  identity.roster.linux_snapshot:
    state: restored
    run_id: 4f2a90c1d3b7
    protected_users:
      - rescue
  become: true
"""

RETURN = r"""
snapshots:
  description: The runs that can be undone, the newest first.
  returned: always
  type: list
  elements: dict
  contains:
    run_id: {description: The run., type: str, returned: always}
    time: {description: When it was (ISO 8601 in UTC); null when damaged., type: str, returned: always}
    changes:
      description: Users by what the run did to them (V(created), V(updated), V(enabled), V(disabled), V(removed)), and
        V(groups) that it changed.
      type: dict
      returned: always
    files: {description: The account files that it changed., type: list, elements: str, returned: always}
    damaged: {description: Whether the snapshot can't be read., type: bool, returned: always}
  sample:
    - run_id: 4f2a90c1d3b7
      time: "2026-11-20T10:15:00Z"
      changes: {created: 2, updated: 0, enabled: 0, disabled: 1, removed: 0, groups: 1}
      files: [group, gshadow, passwd, shadow]
      damaged: false
found:
  description: Whether this host has a snapshot of O(run_id). Null when listing.
  returned: always
  type: bool
run_id:
  description: The run id of this undo, under which it can be undone. Null when listing.
  returned: always
  type: str
  sample: undo-4f2a90c1d3b7
kept:
  description: What stays as it is now, since others changed it since the run, or since it may not be changed.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user) or V(group)., type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    field: {description: What stays; V(account) or V(group) is all of it., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample: [{kind: user, name: anna, field: shell, reason: was changed since}]
homes_left:
  description: Homes of accounts that the undo removed. They are still there.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: The account., type: str, returned: always}
    home: {description: The directory., type: str, returned: always}
  sample: [{name: dora, home: /home/dora}]
summary:
  description: Users by what happened to each, or in check mode would happen.
  returned: always
  type: dict
  contains:
    created: {description: Accounts that came back., type: int, returned: always}
    updated: {description: Accounts changed in another way., type: int, returned: always}
    enabled: {description: Accounts enabled again., type: int, returned: always}
    disabled: {description: Accounts disabled again., type: int, returned: always}
    removed: {description: Accounts removed., type: int, returned: always}
    unchanged: {description: Always 0., type: int, returned: always}
    rejected: {description: Always 0., type: int, returned: always}
    failed: {description: Number of entries in RV(failures)., type: int, returned: always}
    pending: {description: Always 0., type: int, returned: always}
  sample:
    {created: 0, updated: 1, enabled: 1, disabled: 0, removed: 2, unchanged: 0, rejected: 0, failed: 0, pending: 0}
changes:
  description: What was changed, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user) or V(group)., type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    action:
      description: One of V(create), V(update), V(rename), V(enable), V(disable), V(remove).
      type: str
      returned: always
    fields:
      description: For each field the values before and after. Secrets show as V(changed) only.
      type: dict
      returned: always
  sample: [{kind: user, name: anna, action: enable, fields: {enabled: [false, true]}}]
rejected:
  description: Always empty; it is there since every target returns it.
  returned: always
  type: list
  elements: dict
failures:
  description: Records that could not be undone. The others were.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user) or V(group)., type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample: [{kind: user, name: anna, reason: "was removed by the run, and its uid 5000 belongs to 'bert' now"}]
pending:
  description: Always empty; it is there since every target returns it.
  returned: always
  type: list
  elements: str
plan_digest:
  description: SHA-256 of the changes. The same in check mode, in the undo, and on equal hosts.
  returned: always
  type: str
  sample: 0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77
roster_digest:
  description: Always null; an undo needs no roster.
  returned: always
  type: str
diff:
  description: The changes as text, one line a field.
  returned: always
  type: dict
  contains:
    before: {description: What was., type: str, returned: always}
    after: {description: What is., type: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.linux_snapshot import run_module


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["listed", "restored"], "default": "listed"},
            "run_id": {"type": "str"},
            "protected_users": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "path", "default": "/"},
            "state_dir": {"type": "str", "default": "/var/lib/identity-roster"},
            "_controller": {"type": "dict"},
        },
        required_if=[("state", "restored", ["run_id"])],
        supports_check_mode=True,
    )
    run_module(module)


if __name__ == "__main__":
    main()
