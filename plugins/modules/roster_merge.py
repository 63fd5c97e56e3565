#!/usr/bin/python
# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: roster_merge
short_description: Merge several roster files into one
version_added: 0.1.0
author:
  - identity.roster contributors (@identity-roster)
description:
  - Makes one roster of several, as M(identity.roster.csv_info), M(identity.roster.ldap_info) and
    M(identity.roster.libre_workspace_info) wrote them.
  - The sources stand in the order of their precedence. For each field of a person the first source counts that says
    anything about it; what is another in a later source is reported in RV(conflicts).
  - When one of the files can't be read as a whole, nothing is written.
notes:
  - Run it on the host that has the files, usually the controller, with C(delegate_to=localhost) and C(run_once=true).
    The files hold password hashes; the result holds no values of any field.
  - A person's stable id is that of the first source that lists them. When that source no longer lists them, the next
    one's counts, and targets take them for somebody else. Use O(sources[].adds_people=false) for a source that only
    knows more about people whom another one decides about.
  - A record that one source rejects is rejected in the merged roster too, when another source has a good one of the
    same id or username, since nobody can tell which one is right.
  - Entries of C(profile) count one by one, all other fields as a whole. Groups are one when their names are, compared
    without regard to case.
extends_documentation_fragment:
  - identity.roster.attributes
  - identity.roster.source
attributes:
  check_mode:
    support: full
    details:
      - The files are read, O(dest) is not written.
  diff_mode:
    support: none
    details:
      - RV(difference) says who joined, left and changed, and the targets show what a roster changes.
  idempotent:
    support: full
    details:
      - The same rosters give the same bytes, and O(dest) is then not touched.
  platform:
    support: full
    platforms: posix
options:
  sources:
    description:
      - The rosters, the one that counts most first.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What messages and conflicts call it.
        type: str
        required: true
      path:
        description: The roster file.
        type: path
        required: true
      adds_people:
        description:
          - Whether people whom no source before it lists are taken from it.
          - With V(false) it only adds fields to people of the sources before it, and who left those has left.
        type: bool
        default: true
  match:
    description:
      - By which field two records are one person. Compared without regard to case, but for V(id).
      - A record without that field is a person of its own.
    type: str
    choices:
      - username
      - email
      - id
    default: username
seealso:
  - module: identity.roster.csv_info
  - module: identity.roster.ldap_info
  - module: identity.roster.libre_workspace_info
  - plugin: identity.roster.roster_difference
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The directory decides who is there, and the file of the personnel office adds pictures and job titles
  identity.roster.roster_merge:
    sources:
      - name: directory
        path: /var/lib/awx/rosters/directory.json
      - name: personnel
        path: /var/lib/awx/rosters/personnel.json
        adds_people: false
    match: email
    dest: /var/lib/awx/rosters/all.json
  delegate_to: localhost
  run_once: true
  register: roster
"""

RETURN = r"""
dest:
  description: The path of the roster file. Ansible adds its C(owner), C(group), C(mode), C(size) and so on.
  returned: always
  type: str
  sample: /var/lib/awx/rosters/all.json
counts:
  description: How many there are of what. All are V(0) when there is no merged roster.
  returned: always
  type: dict
  contains:
    records:
      description: Users in all the sources together.
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
    records: 13
    users: 7
    groups: 1
    rejected: 1
    enabled: 0
    disabled: 0
    admins: 0
roster_digest:
  description: The SHA-256 of the roster file, as hexadecimal digits; null when there is no merged roster.
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
      description: The user's stable id, if it can be read.
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
      description: Which source it is in, and what is wrong with it.
      type: str
  sample:
    - kind: user
      id: e-011
      field: full_name
      reason: "in personnel: line 8, column 2 (name): is empty"
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
conflicts:
  description: What the sources say differently. Without values, which may be secrets.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: V(user) or V(group).
      type: str
    name:
      description: Whom it concerns.
      type: str
    field:
      description: The field, such as V(email) or V(profile.occupation).
      type: str
    kept:
      description: The source that counts.
      type: str
    ignored:
      description: The source that says something else.
      type: str
  sample:
    - kind: user
      name: anna
      field: email
      kept: directory
      ignored: personnel
fetched_at:
  description: When the rosters were merged, in UTC; null when they were not.
  returned: always
  type: str
  sample: "2026-11-21T22:18:00Z"
"""

from typing import Any, Mapping

from ansible_collections.identity.roster.plugins.module_utils._module.source import run_source
from ansible_collections.identity.roster.plugins.module_utils._roster.merge import MATCHES, USERNAME
from ansible_collections.identity.roster.plugins.module_utils._sources.reading import Reading
from ansible_collections.identity.roster.plugins.module_utils._sources.roster_files import fetch

OPTIONS = {
    "sources": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "adds_people": {"type": "bool", "default": True},
        },
    },
    "match": {"type": "str", "choices": list(MATCHES), "default": USERNAME},
}


def read(options: Mapping[str, Any]) -> Reading:
    return fetch(options["sources"], options["match"], options["dest"], options["allow_empty"])


def main() -> None:
    run_source(OPTIONS, read, details={"conflicts": []})


if __name__ == "__main__":
    main()
