#!/usr/bin/python
# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: libre_workspace_info
short_description: Read users and groups from a Libre Workspace portal into a roster file
version_added: 0.1.0
author:
  - identity.roster contributors (@identity-roster)
description:
  - Asks the portal of a Libre Workspace once for all its users, checks every record, and writes a roster file that the
    targets of this collection read, such as M(identity.roster.linux_accounts).
  - A record that can't be used is rejected alone, with the field and the reason. Targets leave such an account alone.
  - An answer that is not a complete list of users, of whatever kind, is an error, and the old O(dest) stays.
  - Nothing is changed in the portal.
notes:
  - Run it once, on the controller, with C(delegate_to=localhost) and C(run_once=true). The roster file holds password
    hashes; the result holds none, nor the key.
  - The portal's versions of 2026 give every user the same uid and every group the same gid. Such users and groups are
    rejected, and a warning says so. Use O(uid_policy=derive) and O(gid_policy=derive) then.
  - A user who was deleted and created again under the same name has another GUID, and so is another person.
  - Contacts of the directory have no username and are listed as rejected.
requirements:
  - requests E(2.28) or later on the controller
extends_documentation_fragment:
  - identity.roster.attributes
  - identity.roster.connection
  - identity.roster.ids
  - identity.roster.source
attributes:
  check_mode:
    support: full
    details:
      - The portal is asked, O(dest) is not written.
  diff_mode:
    support: none
    details:
      - The targets show what a roster changes.
  idempotent:
    support: full
    details:
      - The same users give the same bytes, and O(dest) is then not touched.
  platform:
    support: full
    platforms: posix
options:
  url:
    description:
      - The portal's address, such as V(https://portal.example.org), with or without C(/api/linux_users/).
      - V(http://) is accepted for loopback addresses only, since the key and the hashes would travel in clear text.
      - Redirects are not followed.
    type: str
    required: true
  api_key:
    description:
      - A key of the portal with the permission C(Linux Client).
      - Without this option the environment variable E(LIBRE_WORKSPACE_API_KEY) is used.
    type: str
    required: true
  allow_unicode_names:
    description:
      - Whether user and group names may hold letters outside ASCII, such as V(jürgen). Not every program on a Linux
        host copes with them.
    type: bool
    default: false
  admin_groups:
    description:
      - The DNs of the groups whose members are administrators. Compared without regard to case and to spaces around
        commas.
      - Without this option the portal decides. It calls everyone an administrator who is in any group with
        C(Administrators) in its DN, also C(CN=Shop Administrators,...); RV(admins_by_name) lists whom that may concern.
      - Address the built-in group as C(CN=Administrators,CN=Builtin,) followed by the domain. The portal lists no
        built-in group, so a user counts as its member whom the portal calls an administrator and who shows no other
        group with C(Administrators) in its DN. A user who is in both kinds of group is not recognised; name one of
        the user's other groups as well.
      - An empty list means that nobody is an administrator.
    type: list
    elements: str
seealso:
  - module: identity.roster.linux_accounts
"""

EXAMPLES = r"""
- name: Read the portal once for all hosts
  identity.roster.libre_workspace_info:
    url: https://portal.example.org
    api_key: "{{ vault_portal_api_key }}"
    dest: /var/lib/awx/rosters/portal.json
  delegate_to: localhost
  run_once: true
  register: roster

- name: Read a portal that gives everybody the same ids, behind an authority of the site's own
  identity.roster.libre_workspace_info:
    url: https://portal.example.org
    dest: /var/lib/awx/rosters/portal.json
    ca_path: /etc/ssl/example-ca.pem
    uid_policy: derive
    gid_policy: derive
  environment:
    LIBRE_WORKSPACE_API_KEY: "{{ vault_portal_api_key }}"
  delegate_to: localhost
  run_once: true

- name: Say which groups hold administrators
  identity.roster.libre_workspace_info:
    url: https://portal.example.org
    api_key: "{{ vault_portal_api_key }}"
    dest: /var/lib/awx/rosters/portal.json
    admin_groups:
      - CN=Administrators,CN=Builtin,DC=example,DC=org
      - CN=it-support,CN=Users,DC=example,DC=org
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
dest:
  description: The path of the roster file. Ansible adds its C(owner), C(group), C(mode), C(size) and so on.
  returned: always
  type: str
  sample: /var/lib/awx/rosters/portal.json
counts:
  description: How many there are of what. All are V(0) when there was no usable answer.
  returned: always
  type: dict
  contains:
    records:
      description: Records in the portal's answer.
      type: int
    users:
      description: Users in the roster.
      type: int
    groups:
      description: Groups in the roster.
      type: int
    rejected:
      description: Rejected users and groups.
      type: int
    enabled:
      description: Users in the roster who are enabled.
      type: int
    disabled:
      description: Users in the roster who are disabled.
      type: int
    admins:
      description: Users in the roster who are administrators.
      type: int
  sample:
    records: 16
    users: 11
    groups: 3
    rejected: 8
    enabled: 10
    disabled: 1
    admins: 3
roster_digest:
  description: The SHA-256 of the roster file, as hexadecimal digits; null when there was no usable answer.
  returned: always
  type: str
  sample: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
rejected:
  description: The records that can't be used. Targets leave them alone.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: V(user) or V(group).
      type: str
    id:
      description: The user's GUID, if it can be read.
      type: str
    name:
      description: The name of the user or group, if it can be read.
      type: str
    record:
      description: Which record it is, when it has neither.
      type: str
    field:
      description: The field that is wrong.
      type: str
    reason:
      description: What is wrong with it.
      type: str
  sample:
    - kind: user
      id: 5de3176a2f4b4b0fa3a0a1a5a0b1c2d3
      name: "4711"
      field: username
      reason: is all digits, which programs take for an id
difference:
  description: Who is another than in the roster that was at O(dest) before; null when there was none that can be read.
  returned: always
  type: dict
  contains:
    joined:
      description: Users who were not listed before.
      type: list
      elements: str
    left:
      description: Users who are no longer listed.
      type: list
      elements: str
    changed:
      description: Users of whom something changed, each with C(name) and the names of the C(fields), never values.
      type: list
      elements: dict
    rejected:
      description: Users whose record could be used before.
      type: list
      elements: str
    accepted:
      description: Users whose record can be used now, and could not before.
      type: list
      elements: str
  sample:
    joined: [anna]
    left: []
    changed:
      - name: berta
        fields: [email, groups]
    rejected: []
    accepted: []
admins_by_name:
  description:
    - Users whom the portal calls administrators, perhaps only because a group of theirs has C(Administrators) in its
      DN.
    - Empty when O(admin_groups) is given.
  returned: always
  type: list
  elements: str
  sample:
    - nohash2
fetched_at:
  description: When the portal answered, in UTC; null when there was no usable answer.
  returned: always
  type: str
  sample: "2026-11-21T22:18:00Z"
"""

from typing import Any, Mapping

from ansible.module_utils.basic import env_fallback

from ansible_collections.identity.roster.plugins.module_utils._module.source import (
    HTTP_OPTIONS,
    ID_OPTIONS,
    http_settings,
    id_settings,
    run_source,
)
from ansible_collections.identity.roster.plugins.module_utils._sources.libre_workspace import PortalSettings, fetch
from ansible_collections.identity.roster.plugins.module_utils._sources.reading import Reading

OPTIONS = {
    "url": {"type": "str", "required": True},
    "api_key": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["LIBRE_WORKSPACE_API_KEY"]),
    },
    "allow_unicode_names": {"type": "bool", "default": False},
    "admin_groups": {"type": "list", "elements": "str"},
    **HTTP_OPTIONS,
    **ID_OPTIONS,
}


def read(options: Mapping[str, Any]) -> Reading:
    settings = PortalSettings(
        ids=id_settings(options),
        allow_unicode_names=options["allow_unicode_names"],
        admin_groups=options["admin_groups"],
        allow_empty=options["allow_empty"],
    )
    return fetch(options["url"], options["api_key"], http_settings(options), settings)


def main() -> None:
    run_source(OPTIONS, read, details={"admins_by_name": []}, needs_requests=True)


if __name__ == "__main__":
    main()
