#!/usr/bin/python
# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: csv_info
short_description: Read users and groups from a CSV file into a roster file
version_added: 0.1.0
author:
  - identity.roster contributors (@identity-roster)
description:
  - Reads a CSV file row by row, checks every record, and writes a roster file that the targets of this collection read.
  - The file of C(pleio-profile-sync-client) is read as it is, with the columns C(external_id), C(name), C(email),
    C(avatar), C(groups) and C(profile.*). Further columns are C(username), C(uid), C(gid), C(enabled), C(admin),
    C(first_name), C(last_name), C(shell), C(home), C(ssh_public_keys) and C(password_hash).
  - A record that can't be used is rejected alone, with the line, the column, the field and the reason. Targets leave
    such an account alone.
  - A file whose structure is broken is an error that names line and column, and the old O(dest) stays. That is a row
    with too few or too many cells, a header that stands twice, a column that is missing, a quote that is never closed,
    a byte that is no text, a NUL, an empty file, and a file that is being written meanwhile.
  - Cells are data. What looks like a formula, a template or a command is kept as it is, and nothing is evaluated.
notes:
  - Run it once, on the host that has the file, usually the controller, with C(delegate_to=localhost) and
    C(run_once=true). The roster file may hold password hashes; the result holds none.
  - Headers are compared without regard to case. Blanks around headers and cells do not count.
  - An empty cell says nothing about the person, so targets keep what they have. In the columns C(groups),
    C(ssh_public_keys) and C(profile.*) it says that there is none.
  - C(groups) holds names with commas between them, C(ssh_public_keys) one key a line. In C(enabled) and C(admin) stand
    V(yes) or V(no), V(true) or V(false), V(1) or V(0).
  - C(avatar) is the path of a JPEG, PNG or GIF picture, relative to the file's folder and inside it. The content
    counts, not the name. A picture that can't be used is left out with a warning, and its person is not.
  - The stable id of a person is the external id, else the username, else the e-mail address.
extends_documentation_fragment:
  - identity.roster.attributes
  - identity.roster.ids
  - identity.roster.source
attributes:
  check_mode:
    support: full
    details:
      - The file is read, O(dest) is not written.
  diff_mode:
    support: none
    details:
      - RV(difference) says who joined, left and changed, and the targets show what a roster changes.
  idempotent:
    support: full
    details:
      - The same users give the same bytes, and O(dest) is then not touched.
  platform:
    support: full
    platforms: posix
options:
  path:
    description:
      - The CSV file. Write it under another name and rename it, so that it is never read while it is half written.
    type: path
    required: true
  delimiter:
    description:
      - The one character between cells.
      - Without this option it is the one of C(,), C(;), tabulator and C(|) that makes sense of the header.
    type: str
  encoding:
    description:
      - How the file's characters are written. UTF-8 may begin with a byte order mark.
      - What Excel calls CSV on Western European systems is V(windows-1252).
    type: str
    choices:
      - utf-8
      - latin-1
      - windows-1252
    default: utf-8
  mapping:
    description:
      - Other headers, as a mapping of the roster's field to the header of its column. The column must be there.
      - The fields are V(username), V(uid), V(gid), V(full_name), V(first_name), V(last_name), V(email), V(enabled),
        V(admin), V(password_hash), V(groups), V(shell), V(home), V(ssh_public_keys), V(external_id), V(avatar), and
        V(profile), a mapping itself. Without a mapping V(full_name) is in the column C(name), each other field in that
        of its name, and C(profile.KEY) is the entry V(KEY) of V(profile).
    type: dict
    default: {}
  required:
    description:
      - Fields whose columns must be there. A record whose cell is empty in one of them is rejected.
      - For Linux accounts, name V(username).
    type: list
    elements: str
    default: [full_name, email]
  avatar_max_bytes:
    description:
      - The largest picture that is taken.
    type: int
    default: 2621440
  uid_policy:
    description:
      - Where uids come from.
    choices:
      source: The column C(uid). A user without one gets the next free uid of each host.
      derive:
        Made from the stable id of each user, the same on every host and in every run. The column is not looked at.
        Two users whose numbers meet are told apart by the order of their ids; in the default range that is unlikely
        below two thousand users.
  gid_policy:
    description:
      - Where gids come from.
    choices:
      source: The file has none, so each host gives a group its next free gid.
      derive: Made from the name of each group, the same on every host and in every run. A renamed group is a new one.
seealso:
  - module: identity.roster.linux_accounts
  - module: identity.roster.roster_merge
"""

EXAMPLES = r"""
- name: Read a file as pleio-profile-sync-client takes it
  identity.roster.csv_info:
    path: /srv/hr/users.csv
    dest: /var/lib/awx/rosters/hr.json
  delegate_to: localhost
  run_once: true
  register: roster

- name: Read an export with other headers, for Linux accounts
  identity.roster.csv_info:
    path: /srv/hr/export.csv
    dest: /var/lib/awx/rosters/hr.json
    encoding: windows-1252
    delimiter: ";"
    required:
      - username
    mapping:
      username: Login
      full_name: Name des Mitarbeiters
      external_id: Personalnummer
      profile:
        occupation: Beruf
    uid_policy: derive
    gid_policy: derive
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
dest:
  description: The path of the roster file. Ansible adds its C(owner), C(group), C(mode), C(size) and so on.
  returned: always
  type: str
  sample: /var/lib/awx/rosters/hr.json
counts:
  description: How many there are of what. All are V(0) when the file could not be used.
  returned: always
  type: dict
  contains:
    records:
      description: Rows that hold anything, without the header.
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
    records: 7
    users: 6
    groups: 1
    rejected: 1
    enabled: 0
    disabled: 0
    admins: 0
roster_digest:
  description: The SHA-256 of the roster file, as hexadecimal digits; null when the file could not be used.
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
      description: The line that the record begins in, when it has neither.
      type: str
    field:
      description: The field that is wrong.
      type: str
    reason:
      description: Where it stands, and what is wrong with it.
      type: str
  sample:
    - kind: user
      id: e-011
      field: full_name
      reason: "line 8, column 2 (name): is empty"
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
unused_columns:
  description: Headers of columns that nothing was read from.
  returned: always
  type: list
  elements: str
  sample: [Kostenstelle]
avatars_left_out:
  description: The pictures that can't be used. Their people are in the roster, without a picture.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Whose picture it is.
      type: str
    place:
      description: Line and column of the cell.
      type: str
    reason:
      description: The picture's path as the cell has it, and what is wrong with it.
      type: str
  sample:
    - name: dave@acme.test
      place: line 4, column 4 (avatar)
      reason: "missing.jpg can't be read: No such file or directory"
fetched_at:
  description: When the file was read, in UTC; null when it could not be used.
  returned: always
  type: str
  sample: "2026-11-21T22:18:00Z"
"""

from typing import Any, Mapping

from ansible_collections.identity.roster.plugins.module_utils._module.source import (
    ID_OPTIONS,
    id_settings,
    run_source,
)
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_columns import flat
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_file import CsvSettings, fetch
from ansible_collections.identity.roster.plugins.module_utils._sources.csv_text import ENCODINGS
from ansible_collections.identity.roster.plugins.module_utils._sources.reading import Reading

OPTIONS = {
    "path": {"type": "path", "required": True},
    "delimiter": {"type": "str"},
    "encoding": {"type": "str", "choices": list(ENCODINGS), "default": CsvSettings.encoding},
    "mapping": {"type": "dict", "default": {}},
    "required": {"type": "list", "elements": "str", "default": list(CsvSettings.required)},
    "avatar_max_bytes": {"type": "int", "default": CsvSettings.avatar_max_bytes},
    **ID_OPTIONS,
}


def read(options: Mapping[str, Any]) -> Reading:
    settings = CsvSettings(
        ids=id_settings(options),
        delimiter=options["delimiter"],
        encoding=options["encoding"],
        mapping=flat(options["mapping"]),
        required=options["required"],
        avatar_max_bytes=options["avatar_max_bytes"],
        allow_empty=options["allow_empty"],
    )
    return fetch(options["path"], settings)


def main() -> None:
    run_source(OPTIONS, read, details={"unused_columns": [], "avatars_left_out": []})


if __name__ == "__main__":
    main()
