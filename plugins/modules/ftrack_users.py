# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module documentation and entry point; the work is in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ftrack_users
version_added: 0.1.0
short_description: Make the users of an ftrack workspace agree with a roster
author:
  - identity.roster contributors (@identity-roster)
description:
  - Creates, updates, deactivates and reactivates users of ftrack by the API that ftrack's own client speaks, in few
    requests. Nothing but real changes is sent.
  - Never deletes a user. Never changes collaborators, service users and O(api_user), whatever the roster says.
  - Users are deactivated before others are reactivated or created, so that seats are free.
  - A record that ftrack refuses is found and reported, and the others go through. After a lost answer ftrack is read
    again, and only what is missing is sent.
  - It runs on the controller, C(hosts) being V(localhost).
requirements:
  - requests
notes:
  - A service user is one whose user type is called service, service user, service account, api, bot or system. Put
    others into O(protected_users).
  - A user who has C(first_name) and C(last_name) in the roster gets these. A C(full_name) alone is split at its last
    space (or its comma), and only if the two names at ftrack together are not that name already.
  - User names and e-mail addresses that differ in case only are the same.
extends_documentation_fragment:
  - identity.roster.target
  - identity.roster.service
  - identity.roster.connection
  - identity.roster.attributes
attributes:
  check_mode:
    support: full
    details:
      - The changes listed are those that a run makes. Only queries are sent. The log is written, with a mark.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  server_url:
    description:
      - Address of the workspace, such as V(https://example.ftrackapp.com).
      - Without this option E(FTRACK_SERVER) is used.
    type: str
    required: true
  api_user:
    description:
      - User name of the user that the API key belongs to. Needs the permission to manage users.
      - Without this option E(FTRACK_API_USER) is used.
    type: str
    required: true
  api_key:
    description:
      - The API key.
      - Without this option E(FTRACK_API_KEY) is used.
    type: str
    required: true
  match:
    description:
      - By what a user of the roster is found at ftrack, the strongest first, compared without regard to case. Users
        that O(state_path) records are found by that before all.
      - More than one match is an error of that record.
      - V(external_id) counts only with O(external_id_attribute).
    type: list
    elements: str
    choices:
      - external_id
      - username
      - email
    default: [external_id, username]
  external_id_attribute:
    description:
      - Key of a custom attribute of users (of type text) that holds the external id of each, or else the stable id. It
        must exist. Users who are found in another way are given it.
      - With it, somebody whose user name changes stays the same user.
    type: str
  missing_users:
    description:
      - What happens to a user whose person left the roster. Whose, O(scope) says.
    type: str
    choices:
      deactivate: The user is deactivated, and nothing else.
      ignore: The user stays as it is.
    default: deactivate
  disabled_users:
    description:
      - What happens to a user who is disabled in the roster. None is created either way.
    type: str
    choices:
      deactivate: The user is deactivated, and nothing else.
      ignore: The user stays as it is.
    default: deactivate
  reactivate:
    description:
      - Which deactivated users are reactivated when the roster has them as enabled. Others are reported and left alone.
    type: str
    choices:
      ours: Those that this collection deactivated, as O(state_path) records.
      all: All of them, also those that an administrator deactivated.
      never: Nobody.
    default: ours
  manage_groups:
    description:
      - Put users into groups of ftrack that they are in in the roster. Only groups that exist and are not a single
        project's are filled.
      - Memberships are taken away only if this module made them, as O(state_path) records.
    type: bool
    default: false
  group_mapping:
    description:
      - Names of the roster's groups to names of groups at ftrack. Groups that are left out are not looked at.
      - Without this option they have the same names.
    type: dict
  security_roles:
    description:
      - Names of the roster's groups to names of security roles (one or a list) that their members are given. V(*)
        stands for everybody in the roster.
    type: dict
    default: {}
  remove_security_roles:
    description:
      - Take roles that O(security_roles) names from users that it does not give them to. Other roles stay.
    type: bool
    default: false
  user_type:
    description:
      - Name of the user type that the roster's users have. Without this option it is left to ftrack.
    type: str
  erase_blank:
    description:
      - Whether an e-mail address or name that is an empty text in the roster erases what ftrack has. What the roster
        does not have at all never does.
    type: bool
    default: false
  send_invites:
    description:
      - Have ftrack send an invitation to each user that was created. One that may have been sent is not sent again.
    type: bool
    default: false
  batch_size:
    description:
      - How many users are written in one request, V(1) to V(500).
    type: int
    default: 100
  log_path:
    description:
      - A file to append to what was done, with the time in UTC. It gets mode V(0600).
      - Lines of check mode are marked as such.
    type: path
seealso:
  - module: identity.roster.ldap_info
"""

EXAMPLES = r"""
- name: Bring the users of ftrack in line with a roster
  identity.roster.ftrack_users:
    server_url: https://example.ftrackapp.com
    api_user: admin
    api_key: "{{ vault_ftrack_key }}"
    roster: /var/lib/awx/rosters/ldap.json
    state_path: /var/lib/awx/rosters/ftrack-state.json
    external_id_attribute: ldap_id
  delegate_to: localhost
  run_once: true

- name: The animators only, with groups and roles
  identity.roster.ftrack_users:
    server_url: https://example.ftrackapp.com
    api_user: admin
    api_key: "{{ vault_ftrack_key }}"
    roster: /var/lib/awx/rosters/ldap.json
    state_path: /var/lib/awx/rosters/ftrack-state.json
    include_groups:
      - animation
      - animation-leads
    manage_groups: true
    group_mapping:
      animation: Animation
      animation-leads: Animation
    security_roles:
      "*": User
      animation-leads: Project manager
    protected_users:
      - render-farm
  delegate_to: localhost
  run_once: true

- name: Two users without any source
  identity.roster.ftrack_users:
    server_url: https://example.ftrackapp.com
    api_user: admin
    api_key: "{{ vault_ftrack_key }}"
    missing_users: ignore
    users:
      - username: anna
        full_name: Anna Schmidt
        email: anna@example.com
      - username: berta
        enabled: false
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
summary:
  description: Users by what happened to each, or in check mode would happen, and records that were left alone.
  returned: always
  type: dict
  contains:
    created: {description: Users created., type: int, returned: always}
    updated: {description: Users changed in another way., type: int, returned: always}
    enabled: {description: Users reactivated., type: int, returned: always}
    disabled: {description: Users deactivated., type: int, returned: always}
    removed: {description: Always V(0)., type: int, returned: always}
    unchanged: {description: Users who were right., type: int, returned: always}
    rejected: {description: Number of entries in RV(rejected)., type: int, returned: always}
    failed: {description: Number of entries in RV(failures)., type: int, returned: always}
    pending: {description: Always V(0)., type: int, returned: always}
  sample:
    {created: 1, updated: 0, enabled: 0, disabled: 1, removed: 0, unchanged: 14, rejected: 2, failed: 0, pending: 0}
changes:
  description: What was changed, or in check mode would be, in the order of the plan.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user)., type: str, returned: always}
    name: {description: The user name., type: str, returned: always}
    action: {description: "One of V(create), V(update), V(enable), V(disable).", type: str, returned: always}
    fields:
      description:
        - For each field the values before and after. The fields are V(username), V(email), V(first_name), V(last_name),
          V(external_id), V(enabled), V(groups), V(security_roles) and V(user_type).
      type: dict
      returned: always
  sample:
    - {kind: user, name: anna, action: update, fields: {email: [a@example.com, anna@example.com]}}
rejected:
  description: Records that can't be used, and users that no roster changes. They were left alone.
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
    - {kind: user, id: 5de3176a, name: farm, field: username, reason: "is a service user (type bot): never changed"}
failures:
  description: Records that could not be applied. The others were.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: "V(user), or V(state) when O(state_path) could not be written.", type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample: [{kind: user, name: anna, reason: "ftrack refuses: Username already in use. (ValidationError)"}]
pending:
  description: Always empty, since ftrack takes no passwords.
  returned: always
  type: list
  elements: str
  sample: []
refused:
  description: The changes of a plan that exceeds its O(limits). Nothing of it was done; RV(plan_digest) is its digest.
  returned: when the plan was refused
  type: list
  elements: dict
plan_digest:
  description: SHA-256 of the plan. The same plan has the same digest in check mode and in the run.
  returned: always
  type: str
  sample: 0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77
roster_digest:
  description: SHA-256 of the roster; null when there was none that can be read.
  returned: always
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
report:
  description: The run in lines for people, as they are in O(log_path).
  returned: always
  type: list
  elements: str
  sample:
    - "user anna updated: email a@example.com -> anna@example.com"
    - "summary: 0 created, 1 updated, 0 reactivated, 0 deactivated, 14 unchanged, 0 left alone, 0 failed"
requests:
  description: How many requests were sent, repeated ones counted once.
  returned: always
  type: int
  sample: 2
diff:
  description: The changes as text, one line a field.
  returned: always
  type: dict
  contains:
    before: {description: What was., type: str, returned: always}
    after: {description: What is., type: str, returned: always}
"""

from ansible_collections.identity.roster.plugins.module_utils._module.ftrack_users import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
