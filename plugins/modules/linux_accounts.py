# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module documentation and entry point; the work is in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: linux_accounts
version_added: 0.1.0
short_description: Make the accounts of a Linux host agree with a roster
author:
  - identity.roster contributors (@identity-roster)
description:
  - Creates, updates, enables and disables users and their groups in one pass over the account files, under the lock
    that useradd and passwd use, so that it takes about as long for a thousand users as for one.
  - Changes only accounts and groups that it made itself or that O(adopt) names. What it owns is recorded in the
    ledger in O(state_dir). All other lines of the account files stay as they are, byte for byte.
  - Check mode comes from the same plan as a real run, and writes nothing.
  - When nothing changed since the last run, the host is sent a digest instead of the roster.
  - A user whose name changed at the source is renamed, as long as the stable id is the same. Account, password, uid and
    memberships stay, mail and crontab follow, and the home directory with O(move_homes).
  - A disabled account is locked B(and) expired, since a locked account alone still accepts SSH keys. Admin rights are
    dropped with it. Its password hash is kept and put back when it is enabled again.
  - A plan that goes too far is refused as a whole, also in check mode, and says who is concerned; see O(limits).
  - Before the account files are written, they are kept as a snapshot, see M(identity.roster.linux_snapshot).
  - A uid or private gid that an account of the roster ever had on the host is never given to another one.
notes:
  - Run it with C(become), unless O(root) is a directory of your own.
  - A record that can't be applied does not stop the others. The task fails at its end, and RV(failures) says why.
  - NixOS, Guix System and hosts that keep passwords in C(/etc/tcb) are refused, and so are account files that are
    symbolic links, mount points or immutable.
extends_documentation_fragment:
  - identity.roster.target
  - identity.roster.attributes
attributes:
  check_mode:
    support: full
    details:
      - The changes listed are those that a run makes. Nothing is written, not even a lock file.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  root:
    description:
      - Another root directory, as with C(useradd --root), for images and trials.
      - Caches and logs of the running system are left alone then. Without root privileges, use O(create_homes=false).
    type: path
    default: /
  state_dir:
    description:
      - Where the host keeps its ledger, below O(root). Made with mode 0700 by the first run.
      - It must stay the same from run to run, since it says which accounts are owned.
    type: str
    default: /var/lib/identity-roster
  admin_group:
    description:
      - The group whose members may become root. Users with C(admin) set are put into it, others of the roster are
        taken out; members who are not of the roster stay.
      - The default is V(sudo) on Debian and Ubuntu and V(wheel) elsewhere.
      - An empty text leaves admin rights alone.
    type: str
  require_admin:
    description:
      - Never disable or remove the last enabled member of O(admin_group), and never take the admin rights away from it.
        That record fails then. Accounts of others count as well; root does not.
    type: bool
    default: true
  protected_groups:
    description:
      - Names of groups that are never made, changed or removed. Neither is anybody's membership in them.
    type: list
    elements: str
    default: []
  missing_users:
    description:
      - What happens to an owned account whose user is no longer in the roster.
      - A user whose record was rejected counts as present.
    type: str
    choices:
      disable: The account is disabled. Its home, its password hash and its groups stay.
      ignore: The account stays as it is.
      remove: >-
        The account is disabled, and removed after O(remove_after) days: its lines, its private group, its memberships,
        subordinate ids, crontab, at jobs and mail spool, and the home as O(removed_homes) says. When the user comes
        back before that, everything is as it was.
    default: disable
  remove_after:
    description:
      - Days between the run that disables an account and the run that removes it, with O(missing_users=remove). At
        least V(1), so that two runs have seen that the user is gone.
    type: int
    default: 30
  removed_homes:
    description:
      - What becomes of the home directory of an account that is removed.
      - A home that does not belong to the account, or in which that of another lies, always stays.
    type: str
    choices:
      archive: >-
        It is packed into a tar file in C(archives) below O(state_dir), readable by root only, and then deleted. An
        account whose home can't be archived is not removed.
      keep: It stays where it is.
      delete: It is deleted.
    default: archive
  move_homes:
    description:
      - Move the home directory when the roster names another one, and when a renamed user had the default one.
      - Without it, a renamed user keeps the old home, and a new home that the roster names is made empty.
    type: bool
    default: false
  end_sessions:
    description:
      - End the sessions and processes of disabled users, after the account files are written.
      - Without it, who is logged in stays so until logging out, and an account with running processes is not removed.
    type: bool
    default: false
  authorized_keys:
    description:
      - Write the roster's C(ssh_public_keys) into C(.ssh/authorized_keys) of the user's home, in a block between marks.
        Lines outside it stay.
      - A user for whom the roster says nothing about keys is left alone; an empty list empties the block.
    type: bool
    default: false
  run_id:
    description:
      - What the snapshot of this run is called, for M(identity.roster.linux_snapshot). The same on all hosts of a run.
      - The default is made of AWX's job id, or else of the play, and returned as RV(run_id).
    type: str
  snapshot_count:
    description: How many runs' snapshots a host keeps. With V(0) none is made.
    type: int
    default: 20
  snapshot_days:
    description: After how many days a snapshot is deleted, with the old password hashes in it. At least V(1).
    type: int
    default: 30
  adopt:
    description:
      - User names of existing accounts that the roster may take over, when it has a user of that name and the uid
        agrees. Until then such accounts are reported and left alone.
      - Also needed when a user name went over to another person at the source.
    type: list
    elements: str
    default: []
  update_password:
    description: When the roster's password hash is written.
    type: str
    choices:
      always: Whenever it differs.
      on_create: Only for new accounts.
    default: always
  default_shell:
    description:
      - The shell of new users for whom the roster names none. It must exist on the host.
      - The default is V(/bin/bash) where that exists, else V(/bin/sh).
    type: str
  home_base:
    description: The directory in which new users' homes lie, when the roster names none.
    type: str
    default: /home
  create_homes:
    description:
      - Make the home directory of users where it is missing, from the host's skeleton, with the mode that
        C(/etc/login.defs) asks for (0700 when it asks for none). Existing directories stay as they are.
    type: bool
    default: true
  allow_unicode_names:
    description:
      - Accept user and group names with letters outside ASCII, such as V(jürgen).
      - The system works with them, but C(pwck) of shadow 4.13 and later calls them invalid.
    type: bool
    default: false
  _controller:
    description: What the action plugin tells the module. It is filled in on the controller; a playbook must not set it.
    type: dict
seealso:
  - module: identity.roster.libre_workspace_info
  - module: identity.roster.linux_snapshot
  - module: ansible.builtin.user
"""

EXAMPLES = r"""
- name: Make the host's accounts agree with the roster
  identity.roster.linux_accounts:
    roster: /var/lib/awx/rosters/portal.json
  become: true

- name: Only the studio's people on the studio's machines, and never touch the rescue account
  identity.roster.linux_accounts:
    roster: "{{ fetch_dest }}"
    include_groups:
      - studio
    protected_users:
      - rescue
  become: true

- name: Two users without any source
  identity.roster.linux_accounts:
    users:
      - username: anna
        uid: 10001
        full_name: Anna Schmidt
        groups:
          - sales
      - username: chef
        uid: 10002
        admin: true
        password_hash: "{{ vault_chef_hash }}"
  become: true
  no_log: true
"""

RETURN = r"""
summary:
  description: Users by what happened to each, or in check mode would happen, and records that were left alone.
  returned: always
  type: dict
  contains:
    created: {description: Accounts made., type: int, returned: always}
    updated: {description: Accounts changed in another way., type: int, returned: always}
    enabled: {description: Accounts enabled again., type: int, returned: always}
    disabled: {description: Accounts disabled., type: int, returned: always}
    removed: {description: Accounts removed., type: int, returned: always}
    unchanged: {description: Users whose account was right., type: int, returned: always}
    rejected: {description: Number of entries in RV(rejected)., type: int, returned: always}
    failed: {description: Number of entries in RV(failures)., type: int, returned: always}
    pending: {description: Number of names in RV(pending)., type: int, returned: always}
  sample:
    {created: 1, updated: 0, enabled: 0, disabled: 1, removed: 0, unchanged: 14, rejected: 2, failed: 0, pending: 1}
changes:
  description: What was changed, or in check mode would be, in the order of the plan.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user) or V(group)., type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    action:
      description: One of V(create), V(adopt), V(update), V(rename), V(enable), V(disable), V(remove).
      type: str
      returned: always
    fields:
      description: For each field the values before and after. Secrets show as V(changed) only.
      type: dict
      returned: always
  sample:
    - {kind: user, name: anna, action: update, fields: {groups: [[], [sales]], password_hash: [changed]}}
rejected:
  description: Records that can't be used, and accounts that are not ours. They were left alone.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user) or V(group)., type: str, returned: always}
    id: {description: The stable id., type: str, returned: when known}
    name: {description: The name., type: str, returned: when known}
    record: {description: Where the record stands in the source., type: str, returned: when it has neither id nor name}
    field: {description: The field that is wrong., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample:
    - {kind: user, id: 5de3176a, name: "4711", field: username, reason: "is all digits, which programs take for an id"}
failures:
  description: Records that could not be applied. The others were.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user) or V(group)., type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample: [{kind: user, name: anna, reason: "uid 10001 belongs to the account 'backup' of this host"}]
pending:
  description: Enabled users who have no usable password yet.
  returned: always
  type: list
  elements: str
  sample: [neu]
refused:
  description: The changes of a plan that exceeds its O(limits). Nothing of it was done; RV(plan_digest) is its digest.
  returned: when the plan was refused
  type: list
  elements: dict
plan_digest:
  description: SHA-256 of the plan. The same plan has the same digest in check mode, in the run, and on equal hosts.
  returned: always
  type: str
  sample: 0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77
run_id:
  description: What the snapshot of this run is called, if the run changed account files.
  returned: always
  type: str
  sample: 5f1c0e9a7b2d
roster_digest:
  description: SHA-256 of the roster.
  returned: always
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
diff:
  description: The changes as text, one line a field.
  returned: always
  type: dict
  contains:
    before: {description: What was., type: str, returned: always}
    after: {description: What is., type: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.linux_accounts import run_module
from ..module_utils._module.target_options import TARGET_OPTIONS


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **TARGET_OPTIONS,
            "root": {"type": "path", "default": "/"},
            "state_dir": {"type": "str", "default": "/var/lib/identity-roster"},
            "admin_group": {"type": "str"},
            "require_admin": {"type": "bool", "default": True},
            "protected_groups": {"type": "list", "elements": "str", "default": []},
            "missing_users": {"type": "str", "choices": ["disable", "ignore", "remove"], "default": "disable"},
            "remove_after": {"type": "int", "default": 30},
            "removed_homes": {"type": "str", "choices": ["archive", "keep", "delete"], "default": "archive"},
            "move_homes": {"type": "bool", "default": False},
            "end_sessions": {"type": "bool", "default": False},
            "authorized_keys": {"type": "bool", "default": False, "no_log": False},
            "run_id": {"type": "str"},
            "snapshot_count": {"type": "int", "default": 20},
            "snapshot_days": {"type": "int", "default": 30},
            "adopt": {"type": "list", "elements": "str", "default": []},
            "update_password": {
                "type": "str",
                "choices": ["always", "on_create"],
                "default": "always",
                "no_log": False,
            },
            "default_shell": {"type": "str"},
            "home_base": {"type": "str", "default": "/home"},
            "create_homes": {"type": "bool", "default": True},
            "allow_unicode_names": {"type": "bool", "default": False},
            # The roster comes as a file, and users and groups never as parameters.
            "_controller": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    run_module(module)


if __name__ == "__main__":
    main()
