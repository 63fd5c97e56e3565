#!/usr/bin/python
# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module documentation and entry point; the work is in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pleio_users
version_added: 0.1.0
short_description: Make the users of a Pleio subsite agree with a roster
author:
  - identity.roster contributors (@identity-roster)
description:
  - Creates, updates, bans, unbans and deletes users of a subsite by its profile sync API, with name, e-mail address,
    external id, profile fields, groups and avatar. It does what C(pleio-profile-sync-client) does.
  - Lists the site's users once, in pages that overlap, and sends only what differs, several requests at a time. A run
    with nothing to do only reads.
  - Users are found by O(state_path), then by the fields in O(match), without regard to case. A record whose account
    is ambiguous or looks like another person's fails alone.
  - Nobody is banned or deleted who was never in the roster, such as local users and administrators, unless
    O(scope=all).
  - Who was banned by an administrator stays banned, and is not updated either, since every update lifts a ban.
  - Check mode comes from the same plan as a real run, and sends nothing at all.
  - A plan that goes too far is refused as a whole, also in check mode, and says who is concerned; see O(limits). Bans
    count as C(disables), deletions as C(removals).
notes:
  - Run it on the controller, with C(delegate_to=localhost) or C(hosts=localhost).
  - A user without an external id is created with the roster's stable id in its place, since Pleio refuses a second
    user without one.
  - Values that are longer than Pleio takes (name 100, e-mail 255, external id 200 characters) reject their record.
  - Groups are only ever added. A group is sent when it comes to a user's groups, and not again, as that would bring
    back who left it. Pictures are sent when their SHA-256 is another than that of the last one sent.
  - After an answer that leaves it open whether something happened, the site is read again before anything is sent
    twice. A run that was killed is continued by the next one without duplicates.
  - A record that can't be applied does not stop the others. The task fails at its end, and RV(failures) says why.
  - The secret is never shown and never logged.
requirements:
  - requests E(2.28) or later on the controller
extends_documentation_fragment:
  - identity.roster.target
  - identity.roster.service
  - identity.roster.connection
  - identity.roster.attributes
attributes:
  check_mode:
    support: full
    details:
      - The changes listed are those that a run makes. Nothing is sent, no log either, and no file is written.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: posix
options:
  url:
    description:
      - The address of the API, such as V(https://site.pleio.nl/profile_sync_api/), on the site's main domain. Other
        domains of a site answer with a redirect after they did what was asked, so redirects are errors.
      - V(http://) is accepted for loopback addresses only, since the secret would travel in clear text.
    type: str
    required: true
  api_secret:
    description:
      - The token of the site's profile sync.
      - Without this option the environment variable E(PLEIO_API_SECRET) counts, or E(API_SECRET), which
        C(pleio-profile-sync-client) uses.
    type: str
  missing_users:
    description:
      - What happens to users of the site who are no longer in the roster; see O(scope) for whom that concerns.
      - A user whose record was rejected counts as present.
    type: str
    choices:
      ban: They are banned. They come back with their content when the roster has them again.
      delete: They are deleted. Pleio can't bring them back; O(limits) allows very few of these in one run.
      ignore: They stay as they are.
    default: ban
  disabled_users:
    description: What happens to users whom the roster calls disabled.
    type: str
    choices:
      ban: They are banned. Who has no account yet gets none.
      ignore: They stay as they are.
    default: ban
  unban:
    description:
      - Which banned users are unbanned when the roster has them. Why somebody was banned can't be read from the site.
    type: str
    choices:
      ours: Those whom this module banned, as O(state_path) records.
      all: Everybody, also whom an administrator banned.
      never: Nobody.
    default: ours
  match:
    description:
      - By which fields users of the roster and of the site are the same, strongest first. Case does not count.
      - A login may rewrite a user's e-mail address, so the external id is the better one.
    type: list
    elements: str
    choices:
      - external_id
      - email
    default:
      - external_id
      - email
  avatars:
    description: Whether pictures are sent.
    type: bool
    default: true
  group_guids:
    description:
      - Names of the roster's groups, each with the guid of the site's group that it stands for. Case does not count.
      - Groups that are called by a guid themselves, as in the files of C(pleio-profile-sync-client), need no entry.
        Other groups are nothing to the site.
    type: dict
    default: {}
  workers:
    description: How many requests are under way at the same time, V(1) to V(32).
    type: int
    default: 4
  page_size:
    description:
      - How many users are listed in one request, V(10) to V(1000). Halved by itself where the site takes too long.
    type: int
    default: 200
  upload_log:
    description:
      - Whether changes, errors and a summary are written to the site's own log, for its administrators.
    type: bool
    default: true
  protected_users:
    description:
      - Users of the site who are never changed, whatever the roster says, by e-mail address, external id or guid. Name
        the site's administrators here. Nothing in the API tells them apart.
  retries:
    description:
      - How often reading is tried again after a lost connection or an answer of 429, 502 or 503, V(0) to V(10). What
        changes something is tried again after 429 and 503, and after other passing faults where twice is as good as
        once. New users are looked for first.
      - The pause is what the server asks for, up to a minute, or else doubles from half a second on.
seealso:
  - module: identity.roster.csv_info
  - module: identity.roster.ldap_info
  - module: identity.roster.libre_workspace_info
"""

EXAMPLES = r"""
- name: Make the users of the subsite agree with the roster
  identity.roster.pleio_users:
    url: https://acme.pleio.nl/profile_sync_api/
    roster: /var/lib/awx/rosters/hr.json
    state_path: /var/lib/awx/state/pleio-acme.json
    protected_users:
      - admin@acme.test
  delegate_to: localhost
  run_once: true

- name: As pleio-profile-sync-client does it, with everybody banned who is not in the file
  identity.roster.pleio_users:
    url: https://acme.pleio.nl/profile_sync_api/
    api_secret: "{{ vault_pleio_secret }}"
    roster: /var/lib/awx/rosters/hr.json
    state_path: /var/lib/awx/state/pleio-acme.json
    scope: all
    protected_users:
      - admin@acme.test
  delegate_to: localhost
  run_once: true

- name: A directory's groups as groups of the site
  identity.roster.pleio_users:
    url: https://acme.pleio.nl/profile_sync_api/
    roster: /var/lib/awx/rosters/ldap.json
    state_path: /var/lib/awx/state/pleio-acme.json
    include_groups:
      - studio
    group_guids:
      studio: 21e44383-a48b-435a-9533-1ee30c4973bf
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
summary:
  description: Users by what happened to each, or in check mode would happen, and records that were left alone.
  returned: always
  type: dict
  contains:
    created: {description: Users made., type: int, returned: always}
    updated: {description: Users changed in another way., type: int, returned: always}
    enabled: {description: Users unbanned., type: int, returned: always}
    disabled: {description: Users banned., type: int, returned: always}
    removed: {description: Users deleted., type: int, returned: always}
    unchanged: {description: Users who were right., type: int, returned: always}
    rejected: {description: Number of entries in RV(rejected)., type: int, returned: always}
    failed: {description: Number of entries in RV(failures)., type: int, returned: always}
    pending: {description: Always 0 here., type: int, returned: always}
  sample:
    {created: 1, updated: 0, enabled: 0, disabled: 1, removed: 0, unchanged: 14, rejected: 2, failed: 0, pending: 1}
changes:
  description: What was changed, or in check mode would be, in the order of the plan.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: V(user)., type: str, returned: always}
    name: {description: User name or e-mail address., type: str, returned: always}
    action: {description: "One of V(create), V(update), V(enable), V(disable), V(remove).", type: str, returned: always}
    fields:
      description: For each field the values before and after.
      type: dict
      returned: always
  sample:
    - {kind: user, name: anna@acme.test, action: update, fields: {profile.occupation: [Chef, Boss]}}
rejected:
  description: Records that can't be used, protected users, and those whom an administrator banned. Left alone.
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
    kind: {description: "V(user), or V(state) when O(state_path) could not be written.", type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample: [{kind: user, name: anna, reason: "email 'a@x' is that of 2 accounts (8af4, 154d): remove all but one there"}]
pending:
  description: Always empty here. Pleio has no passwords of its own.
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
  description: SHA-256 of the plan. The same plan has the same digest in check mode, and in the run.
  returned: always
  type: str
  sample: 0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77
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
log:
  description:
    - What the run says of itself, line by line, as it is uploaded to the site. Empty when nothing was to do.
    - In check mode it says what would be done, and nothing is uploaded.
  returned: always
  type: list
  elements: str
  sample:
    - "identity.roster 0.1.0: roster 9f86d081884c, planned: 1 created, 14 unchanged"
    - create anna@acme.test (email, external_id, name)
    - "finished: 1 created, 0 updated, 0 enabled, 0 disabled, 0 removed, 14 unchanged, 0 rejected, 0 failed, 0 pending"
log_uuid:
  description: By which the lines of this run are found in the site's log; null when none were uploaded.
  returned: always
  type: str
  sample: d81b2741-490c-41b2-a50f-1d208d7ebc24
"""

from ..module_utils._module.pleio_users import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
