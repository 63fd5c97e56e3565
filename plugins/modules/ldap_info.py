#!/usr/bin/python
# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ldap_info
short_description: Read users and groups from an LDAP directory into a roster file
version_added: 0.1.0
author:
  - identity.roster contributors (@identity-roster)
description:
  - Searches an LDAP directory once for its people and, if wanted, its groups, checks every record, and writes a roster
    file that the targets of this collection read, such as M(identity.roster.linux_accounts).
  - Knows Active Directory (also Samba's), OpenLDAP, 389 Directory Server and FreeIPA.
  - A record that can't be used is rejected alone, with the field and the reason. Targets leave such an account alone.
  - An answer that is not complete is an error, and the old O(dest) stays. That is so for a referral, a limit of the
    server's, a lost page, a group whose members can't all be read.
  - Nothing is changed in the directory.
notes:
  - Run it once, on the controller, with C(delegate_to=localhost) and C(run_once=true). The roster file holds what the
    directory says of people; the result holds no password and no hash.
  - Without O(allow_plaintext) nothing is sent before TLS protects it, also to this machine itself.
  - Names are not held against the rules of Linux here, since a roster may be for a service. The Linux targets do that.
  - An attribute with several values gives a field of one value that which the entry's own DN names, else the first by
    the alphabet. For the fields that say which account it is, the record is rejected instead.
requirements:
  - ldap3 E(2.9.1) or later on the controller
extends_documentation_fragment:
  - identity.roster.attributes
  - identity.roster.ids
  - identity.roster.source
attributes:
  check_mode:
    support: full
    details:
      - The directory is asked, O(dest) is not written.
  diff_mode:
    support: none
    details:
      - The targets show what a roster changes.
  idempotent:
    support: full
    details:
      - The same people give the same bytes, and O(dest) is then not touched.
  platform:
    support: full
    platforms: posix
options:
  server_url:
    description:
      - One or several addresses, such as V(ldaps://ldap.example.org). The first one that can be reached is asked.
    type: list
    elements: str
    required: true
  start_tls:
    description:
      - Whether a V(ldap://) connection is protected by StartTLS before anything else is sent. If the directory does not
        offer it, that is an error.
      - By default so unless O(allow_plaintext=true).
    type: bool
  allow_plaintext:
    description:
      - Whether passwords and people may cross the network in clear text.
    type: bool
    default: false
  validate_certs:
    description:
      - Whether the server's certificate is checked. Without that, anybody on the way can read and change everything.
    type: bool
    default: true
  ca_path:
    description:
      - The certificates of the authorities to trust, and no others. A PEM file, or a directory that C(openssl rehash)
        has prepared.
      - Without this option the system's authorities count.
    type: path
  bind_method:
    description:
      - How to log in. By default V(simple) if there is O(bind_dn), and V(external) if there is O(client_cert).
    type: str
    choices:
      simple: With O(bind_dn) and a password.
      external: With the certificate O(client_cert), which the directory knows (SASL EXTERNAL).
      anonymous: Not at all. Many directories then show less than there is.
  bind_dn:
    description:
      - The account to read with. Active Directory takes V(reader@example.org) as well.
    type: str
  bind_password:
    description:
      - The password of O(bind_dn).
      - Without this option and O(bind_password_file) the environment variable E(IDENTITY_ROSTER_BIND_PASSWORD) is used.
    type: str
  bind_password_file:
    description:
      - A file on the controller that holds the password in its first line. Nobody but its owner may read it.
    type: path
  client_cert:
    description:
      - A PEM file with the certificate to log in with, and the key unless O(client_key) is given.
    type: path
  client_key:
    description:
      - A PEM file with the key of O(client_cert), without passphrase.
    type: path
  base_dn:
    description:
      - Where the people are.
    type: str
    required: true
  scope:
    description:
      - How deep below O(base_dn) people are looked for.
    type: str
    choices:
      subtree: Everywhere.
      onelevel: Directly below, and no deeper.
    default: subtree
  filter:
    description:
      - Which entries are people. By default what O(preset) says.
    type: str
  page_size:
    description:
      - How many entries to ask for at a time. Active Directory gives 1000 at most.
    type: int
    default: 1000
  timeout:
    description:
      - Seconds that a connection, a login and each page may take until they are there in full.
    type: int
    default: 30
  preset:
    description:
      - What kind of directory it is, which decides the defaults of O(filter), O(mapping), O(disabled) and O(groups).
      - By default the directory is asked.
    type: str
    choices:
      - active_directory
      - openldap
      - 389ds
      - freeipa
  mapping:
    description:
      - The attribute of each field. What is left out is as O(preset) has it; an empty text takes a field out.
      - An attribute (V(mail)), a template (V("{givenName} {sn}")), or a list of both, of which the first that yields
        something counts. A template with a missing attribute yields nothing.
      - In a template V(|) changes a value, as in V("{mail|before_at|lower}"). There are V(lower), V(upper), V(ascii)
        (no accents) and V(before_at) (what is before the V(@)).
      - The fields are V(id), V(username), V(uid), V(gid), V(full_name), V(first_name), V(last_name), V(email),
        V(shell), V(home), V(external_id), V(ssh_public_keys), V(password_hash), and V(profile), a mapping itself.
      - The field V(id) has to stay the same as long as the person does. By default it is the C(objectGUID),
        C(entryUUID), C(nsUniqueId) or C(ipaUniqueID), never the DN.
      - Password hashes are read only when V(password_hash) is given. The value after C({CRYPT}) is taken; anything else
        is no password.
      - An attribute that the directory's schema does not have is an error that names it.
    type: dict
    default: {}
  groups:
    description:
      - Which groups to read. Without this option none are, and targets leave memberships as they are. V({}) reads the
        groups below O(base_dn) as O(preset) knows them.
      - That there is no group at all is an error, unless O(allow_empty) is set. So is a global catalog (port 3268 or
        3269), which knows the members of universal groups only.
      - A member that was not found as a person or group is read by its name, to follow groups outside. If it can't be
        read, that is an error.
      - The primary group of an Active Directory account counts like the others.
    type: dict
    suboptions:
      base_dn:
        description: Where the groups are. By default O(base_dn).
        type: str
      filter:
        description: Which entries are groups. By default what O(preset) says.
        type: str
      membership:
        description: What says who is in a group.
        type: str
        choices:
          member: The group, by C(member) and C(uniqueMember).
          memberOf: The person, by C(memberOf).
          memberUid: The group, by C(memberUid), which holds values of C(uid).
        default: member
      nested:
        description: Whether who is in a group is also in those that this group is in. Groups may be in a ring.
        type: bool
        default: true
      name:
        description: The attribute with the group's name. By default C(cn), in Active Directory C(sAMAccountName).
        type: str
  admin_groups:
    description:
      - The names or DNs of the groups whose members are administrators. One that is not there is an error.
      - Without this option nothing is said about that. An empty list means that nobody is an administrator.
      - Needs O(groups).
    type: list
    elements: str
  disabled:
    description:
      - What makes a person disabled. One entry that applies is enough. By default what O(preset) says.
      - The name of a mark that is understood, which is one of V(userAccountControl) (bit 2), V(accountExpires),
        V(nsAccountLock), V(pwdAccountLockedTime) (an administrator's lock, not one after wrong passwords),
        V(shadowExpire), V(loginShell) (C(nologin) or C(false)), V(krbPrincipalExpiration).
      - A mapping of C(attribute) and C(values), which applies when the attribute has one of the values, without regard
        to case. Without C(values) it applies when there is any.
      - A mapping of C(filter), which applies to the people it matches.
      - An empty list means that nobody is disabled.
    type: list
    elements: raw
seealso:
  - module: identity.roster.linux_accounts
"""

EXAMPLES = r"""
- name: Read an Active Directory with its groups
  identity.roster.ldap_info:
    server_url:
      - ldaps://dc1.example.org
      - ldaps://dc2.example.org
    ca_path: /etc/ssl/example-ca.pem
    bind_dn: reader@example.org
    bind_password: "{{ vault_reader_password }}"
    base_dn: OU=Staff,DC=example,DC=org
    preset: active_directory
    groups:
      base_dn: OU=Groups,DC=example,DC=org
    admin_groups:
      - linux-admins
    uid_policy: derive
    gid_policy: derive
    dest: /var/lib/awx/rosters/staff.json
  delegate_to: localhost
  run_once: true
  register: roster

- name: Read what a configuration of sync_ldap_users says, protected by StartTLS
  identity.roster.ldap_info:
    server_url: ldap://ldap.example.com
    bind_dn: cn=admin,dc=example,dc=com
    bind_password: "{{ vault_admin_password }}"
    base_dn: ou=users,dc=example,dc=com
    mapping:
      username: uid
      email: mail
      full_name: cn
    dest: /var/lib/awx/rosters/users.json
  delegate_to: localhost
  run_once: true

- name: Read an OpenLDAP with names made of addresses, and people disabled by a mark of the site's own
  identity.roster.ldap_info:
    server_url: ldaps://ldap.example.org
    client_cert: /etc/roster/reader.pem
    client_key: /etc/roster/reader.key
    base_dn: ou=people,dc=example,dc=org
    mapping:
      username: "{mail|before_at|lower|ascii}"
      full_name:
        - displayName
        - "{givenName} {sn}"
      password_hash: userPassword
    disabled:
      - pwdAccountLockedTime
      - attribute: employeeType
        values: [left, suspended]
      - filter: (memberOf=cn=suspended,ou=groups,dc=example,dc=org)
    groups:
      base_dn: ou=groups,dc=example,dc=org
      filter: (objectClass=posixGroup)
      membership: memberUid
    dest: /var/lib/awx/rosters/people.json
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
dest:
  description: The path of the roster file. Ansible adds its C(owner), C(group), C(mode), C(size) and so on.
  returned: always
  type: str
  sample: /var/lib/awx/rosters/staff.json
counts:
  description: How many there are of what. All are V(0) when there was no usable answer.
  returned: always
  type: dict
  contains:
    records:
      description: People that the directory listed.
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
    records: 40
    users: 39
    groups: 10
    rejected: 1
    enabled: 33
    disabled: 6
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
      description: The user's stable id, if it can be read.
      type: str
    name:
      description: The name of the user or group, if it can be read.
      type: str
    record:
      description: The DN, when it has neither.
      type: str
    field:
      description: The field that is wrong.
      type: str
    reason:
      description: What is wrong with it.
      type: str
  sample:
    - kind: user
      id: 5de3176a-2f4b-4b0f-a3a0-a1a5a0b1c2d3
      name: anna
      field: uid
      reason: is not a decimal number
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
server:
  description: The address that answered; null when there was no usable answer.
  returned: always
  type: str
  sample: ldaps://dc1.example.org:636
preset:
  description: The preset that was used, O(preset) or what the directory said; null when there was no usable answer.
  returned: always
  type: str
  sample: active_directory
fetched_at:
  description: When the directory answered, in UTC; null when there was no usable answer.
  returned: always
  type: str
  sample: "2026-11-21T22:18:00Z"
"""

from ansible.module_utils.basic import env_fallback

from ansible_collections.identity.roster.plugins.module_utils._module.ldap_options import read
from ansible_collections.identity.roster.plugins.module_utils._module.source import ID_OPTIONS, run_source
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_connection import LDAP3_IMPORT_ERROR

OPTIONS = {
    "server_url": {"type": "list", "elements": "str", "required": True},
    "start_tls": {"type": "bool"},
    "allow_plaintext": {"type": "bool", "default": False},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "bind_method": {"type": "str", "choices": ["simple", "external", "anonymous"]},
    "bind_dn": {"type": "str"},
    "bind_password": {
        "type": "str",
        "no_log": True,
        "fallback": (env_fallback, ["IDENTITY_ROSTER_BIND_PASSWORD"]),
    },
    "bind_password_file": {"type": "path", "no_log": False},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "base_dn": {"type": "str", "required": True},
    "scope": {"type": "str", "choices": ["subtree", "onelevel"], "default": "subtree"},
    "filter": {"type": "str"},
    "page_size": {"type": "int", "default": 1000},
    "timeout": {"type": "int", "default": 30},
    "preset": {"type": "str", "choices": ["active_directory", "openldap", "389ds", "freeipa"]},
    "mapping": {"type": "dict", "default": {}},
    "groups": {
        "type": "dict",
        "options": {
            "base_dn": {"type": "str"},
            "filter": {"type": "str"},
            "membership": {"type": "str", "choices": ["member", "memberOf", "memberUid"], "default": "member"},
            "nested": {"type": "bool", "default": True},
            "name": {"type": "str"},
        },
    },
    "admin_groups": {"type": "list", "elements": "str"},
    "disabled": {"type": "list", "elements": "raw"},
    **ID_OPTIONS,
}


def main() -> None:
    run_source(OPTIONS, read, details={"server": None, "preset": None}, imports={"ldap3": LDAP3_IMPORT_ERROR})


if __name__ == "__main__":
    main()
