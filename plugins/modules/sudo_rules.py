# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module documentation and entry point; the work is in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sudo_rules
version_added: 0.1.0
short_description: Keep the sudo rules of a host in one drop-in
author:
  - identity.roster contributors (@identity-roster)
description:
  - Writes one file in C(/etc/sudoers.d) that holds all O(rules), and removes from it what is no longer among them.
    It never touches another file of sudo.
  - Every name and command means only itself. What sudo would read as something else, such as V(ALL), V(a,b) or
    V(!root) as a name, is refused, since C(visudo) has nothing against it.
  - Before it writes, it tries the new file in its place where nobody else sees it, in a mount namespace of its own.
    C(visudo) must accept all of sudo's files, and the user that Ansible is connected as must still become root.
    Afterwards both are tried again. When that fails, the former file is put back, and the message has C(visudo)'s
    words.
  - Check mode makes the same trials, and writes nothing.
notes:
  - Run it with C(become).
  - With one rule wrong none is written. RV(rejected) names all that are.
  - In sudo the last rule that fits decides, and files are read in the order of their names.
  - On a host that has sudo-rs the file must please it too. It reads names with other characters than letters, digits,
    dots, underscores and dashes as other names, so they are refused there; so are spaces inside a command's words.
extends_documentation_fragment:
  - identity.roster.attributes
attributes:
  check_mode:
    support: full
    details:
      - Where a process may not have a mount namespace (some containers), the new file is only tried by itself.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: linux
options:
  rules:
    description:
      - All rules of the file, in their order. An empty list is the same as O(state=absent).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the rule is called in reports and in the file. Each name may be used once.
        type: str
        required: true
      groups:
        description:
          - Names of the groups whose members may do it, without V(%).
          - One rule for a group, with its members managed elsewhere, is better than a list of users.
        type: list
        elements: str
        default: []
      users:
        description: Names of the users who may do it. Numbers and netgroups are refused.
        type: list
        elements: str
        default: []
      hosts:
        description: The host names or addresses where the rule counts. The file is the host's own, so V(ALL) is right.
        type: list
        elements: str
        default: [ALL]
      run_as:
        description: The users that the commands may be run as, or V(ALL).
        type: list
        elements: str
        default: [ALL]
      run_as_groups:
        description: The groups that the commands may be run as (C(sudo -g)), or V(ALL). None by default.
        type: list
        elements: str
        default: []
      commands:
        description:
          - V(ALL); or absolute paths with arguments, written as in a shell; or C(sudoedit) and one file.
          - Without arguments any are allowed. V(/usr/bin/id "") allows none.
          - sudo joins arguments with spaces before it compares them, so C(a "b c") and C(a b c) are the same to it.
        type: list
        elements: str
        default: [ALL]
      allow_wildcards:
        description:
          - Accept V(*), V(?) and V([]) in this rule's commands, and directories (V(/usr/games/)).
          - Mind that V(*) in arguments also matches spaces and slashes, so that it often allows more than is meant.
        type: bool
        default: false
      nopasswd:
        description: Whether sudo asks for no password.
        type: bool
        default: false
      noexec:
        description: Whether the commands are kept from running others. Older sudo-rs does not know it.
        type: bool
        default: false
      setenv:
        description: Whether variables may be set. sudo always permits it with the command V(ALL).
        type: bool
        default: false
  defaults:
    description:
      - Settings of sudo for the groups and users of the O(rules), and for nobody else.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The setting, as sudoers(5) has it. Only those that neither lock out nor give rights are known.
        type: str
        required: true
        choices:
          - badpass_message
          - lecture
          - passprompt
          - passprompt_override
          - passwd_timeout
          - passwd_tries
          - pwfeedback
          - secure_path
          - timestamp_timeout
          - timestamp_type
          - umask
          - use_pty
      value:
        description: Its value. Put a C(umask) into quotes.
        type: raw
        required: true
  file:
    description: The name of the drop-in in C(/etc/sudoers.d). sudo ignores names with a dot or ending in V(~).
    type: str
    default: identity-roster
  adopt:
    description: Replace a file of that name also if it was not made by this module.
    type: bool
    default: false
  root:
    description:
      - Another root directory, for images. Its own C(visudo) is run by chroot.
      - Only C(visudo) is asked then; nothing is tried in place before it is written.
    type: path
    default: /
  state:
    description: Whether the file is there. One that was not made by this module is left alone, unless O(adopt=true).
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: identity.roster.linux_accounts
"""

EXAMPLES = r"""
- name: Administrators, and what the studio may do
  identity.roster.sudo_rules:
    rules:
      - name: administrators
        groups: [it]
        run_as_groups: [ALL]
      - name: studio
        groups: [studio]
        run_as: [root]
        nopasswd: true
        commands:
          - /usr/bin/systemctl restart cups
          - /usr/sbin/lpadmin -p "Plotter 1" -E
          - sudoedit /etc/cups/cupsd.conf
    defaults:
      - name: timestamp_timeout
        value: 5
  become: true

- name: No rules of ours
  identity.roster.sudo_rules:
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The drop-in.
  returned: always
  type: str
  sample: /etc/sudoers.d/identity-roster
summary:
  description: Rules by what happened to each, or in check mode would happen.
  returned: always
  type: dict
  contains:
    created: {description: Rules that are new., type: int, returned: always}
    updated: {description: Rules that changed., type: int, returned: always}
    removed: {description: Rules that are gone., type: int, returned: always}
    unchanged: {description: Rules that were right., type: int, returned: always}
    rejected: {description: Number of entries in RV(rejected)., type: int, returned: always}
    failed: {description: Number of entries in RV(failures)., type: int, returned: always}
  sample: {created: 1, updated: 0, removed: 0, unchanged: 2, rejected: 0, failed: 0}
changes:
  description: What was changed, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: V(sudo_rule), or V(sudo_file) for the file itself with its rights and its settings.
      type: str
      returned: always
    name: {description: The rule's or the file's name., type: str, returned: always}
    action:
      description: One of V(create), V(update), V(remove); for the file also V(adopt).
      type: str
      returned: always
    fields: {description: For each field the values before and after., type: dict, returned: always}
  sample:
    - {kind: sudo_rule, name: studio, action: create, fields: {rule: [null, "%studio ALL=(root) /usr/bin/id"]}}
rejected:
  description: What is wrong with the rules. None of them was written then.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(sudo_rule) or V(sudo_default)., type: str, returned: always}
    name: {description: The rule's or the setting's name., type: str, returned: always}
    record: {description: Which rule it is., type: str, returned: when known}
    field: {description: The option that is wrong., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample:
    - {kind: sudo_rule, name: studio, record: rule 2, field: commands, reason: "'id' is not an absolute path"}
failures:
  description: Why the file could not be written.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(sudo_file)., type: str, returned: always}
    name: {description: The file's name., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
plan_digest:
  description: SHA-256 of the changes. The same in check mode, in the run, and on equal hosts.
  returned: always
  type: str
  sample: 0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77
diff:
  description: The whole drop-in.
  returned: always
  type: dict
  contains:
    before_header: {description: Its path., type: str, returned: always}
    after_header: {description: Its path., type: str, returned: always}
    before: {description: Its text before., type: str, returned: always}
    after: {description: Its text after., type: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.sudo_rules import run_module


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    everything = {"type": "list", "elements": "str", "default": ["ALL"]}
    flag = {"type": "bool", "default": False}
    module = AnsibleModule(
        argument_spec={
            "rules": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "groups": names,
                    "users": names,
                    "hosts": everything,
                    "run_as": everything,
                    "run_as_groups": names,
                    "commands": everything,
                    "allow_wildcards": flag,
                    "nopasswd": {"type": "bool", "default": False, "no_log": False},
                    "noexec": flag,
                    "setenv": flag,
                },
            },
            "defaults": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {
                        "type": "str",
                        "required": True,
                        "choices": [
                            "badpass_message",
                            "lecture",
                            "passprompt",
                            "passprompt_override",
                            "passwd_timeout",
                            "passwd_tries",
                            "pwfeedback",
                            "secure_path",
                            "timestamp_timeout",
                            "timestamp_type",
                            "umask",
                            "use_pty",
                        ],
                    },
                    "value": {"type": "raw", "required": True},
                },
            },
            "file": {"type": "str", "default": "identity-roster"},
            "adopt": flag,
            "root": {"type": "path", "default": "/"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run_module(module)


if __name__ == "__main__":
    main()
