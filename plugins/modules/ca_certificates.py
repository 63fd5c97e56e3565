# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module documentation and entry point; the work is in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ca_certificates
version_added: 0.1.0
short_description: Make a Linux host trust certification authorities
author:
  - identity.roster contributors (@identity-roster)
description:
  - Puts the certificates of authorities into the host's store, so that all programs that use it trust them. One task,
    however many there are.
  - A certificate comes from a file on the controller, from the task itself, or from a URL. A URL is fetched by the
    controller and needs the certificate's SHA-256, so that nobody on the way can put another one in its place.
  - What is not an authority's, expired, not yet valid or not a certificate at all is refused. A file that holds a
    private key is refused as a whole. Nothing of either is sent to a host.
  - Whether the host trusts a certificate is read from the store itself, on Debian from the bundle and the hash
    directory. A store that lost one of ours is mended.
  - Removes only what it installed itself. What that is, is recorded in O(state_dir).
  - Check mode comes from the same plan as a real run, and writes nothing. URLs are fetched in check mode too.
notes:
  - Run it with C(become), unless O(root) is a directory of your own.
  - A certificate that can't be used does not stop the others. The task fails at its end, and RV(rejected) says why.
    What the host already trusts under that name stays.
  - When the host's tool fails, the files are put back as they were and the store is made anew.
  - Needs the Python libraries C(cryptography), which ansible-core brings, and for O(certificates[].url) C(requests) on
    the controller. The host needs nothing but its own tool.
  - Tried on real hosts with Debian 12 and 13. Other families are tested with made-up stores and their tools' arguments.
extends_documentation_fragment:
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
  certificates:
    description:
      - The authorities to trust.
      - One of O(certificates[].src), O(certificates[].content) and O(certificates[].url) is needed for each.
      - Where several certificates come in one PEM file, each is installed as a file of its own.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - What the certificate is called here. It becomes part of a file name, so only letters, digits, dot, hyphen
            and underscore are allowed, 64 at most. It must be unique.
          - Another certificate under the same name takes the place of the old one.
        type: str
        required: true
      src:
        description:
          - A file on the controller, PEM or DER. Relative paths are looked for as M(ansible.builtin.copy) does.
        type: str
      content:
        description: The certificate itself, as PEM.
        type: str
      url:
        description:
          - Where the controller fetches the certificate, PEM or DER. Needs O(certificates[].sha256).
          - The server's own certificate is not checked and plain HTTP is allowed, since the fingerprint decides.
            Redirects are not followed.
        type: str
      sha256:
        description:
          - The SHA-256 fingerprint of the certificate (of its DER form), in hexadecimal, with or without colons, as
            C(openssl x509 -noout -fingerprint -sha256) prints it.
          - When it does not agree, the message shows the fingerprint that was found, to compare it by another way.
          - With this option only that certificate is taken, even if more are in the file, since nobody vouches for the
            others.
        type: str
  purge:
    description:
      - Remove the certificates that this module installed and that are no longer listed.
      - Certificates that came in another way stay.
    type: bool
    default: false
  min_days:
    description: Refuse certificates that are valid for less than so many days.
    type: int
    default: 0
  family:
    description:
      - How the host keeps its store. Without this option C(/etc/os-release) tells.
    type: str
    choices:
      debian: Files in C(/usr/local/share/ca-certificates), C(update-ca-certificates).
      redhat: Files in C(/etc/pki/ca-trust/source/anchors), C(update-ca-trust).
      suse: Files in C(/etc/pki/trust/anchors), C(update-ca-certificates).
      arch: Files in C(/etc/ca-certificates/trust-source/anchors), C(update-ca-trust).
      alpine: Files in C(/usr/local/share/ca-certificates), Alpine's own C(update-ca-certificates).
  root:
    description:
      - Another root directory, for images. The tool in it is run by C(chroot), so the image must be one that this host
        can run, and have a C(/dev/null).
    type: path
    default: /
  state_dir:
    description:
      - Where the host keeps the list of what is ours, below O(root). Made with mode 0700 by the first run.
    type: str
    default: /var/lib/identity-roster
seealso:
  - module: identity.roster.linux_accounts
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Trust the authority of the Libre Workspace portal
  identity.roster.ca_certificates:
    certificates:
      - name: libre-workspace
        url: https://cert.int.de/lan.crt
        sha256: "5B:0F:3D:7A:1E:95:C4:60:29:8D:B7:11:F2:6C:A3:48:DE:57:80:4B:3F:92:E6:0D:C1:74:2A:B9:68:F5:13:07"
  become: true

- name: Trust what the list says, and nothing that was on it before
  identity.roster.ca_certificates:
    purge: true
    min_days: 14
    certificates:
      - name: company
        src: company-ca.pem
      - name: studio
        content: "{{ studio_ca }}"
  become: true

- name: Remove everything that this module installed
  identity.roster.ca_certificates:
    certificates: []
    purge: true
  become: true
"""

RETURN = r"""
summary:
  description: Certificates by what happened to each, or in check mode would happen.
  returned: always
  type: dict
  contains:
    created: {description: Certificates that are new., type: int, returned: always}
    updated: {description: Certificates that were renewed or mended., type: int, returned: always}
    removed: {description: Certificates that were removed., type: int, returned: always}
    unchanged: {description: Certificates that were right., type: int, returned: always}
    rejected: {description: Number of entries in RV(rejected)., type: int, returned: always}
    failed: {description: Number of entries in RV(failures)., type: int, returned: always}
  sample: {created: 1, updated: 0, removed: 0, unchanged: 2, rejected: 0, failed: 0}
changes:
  description: What was changed, or in check mode would be, in the order of the names.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: Always V(ca_certificate)., type: str, returned: always}
    name: {description: The name it is listed with., type: str, returned: always}
    action: {description: "One of V(create), V(adopt), V(update), V(remove).", type: str, returned: always}
    fields:
      description:
        - For each field the values before and after. New, renewed and removed certificates have V(subject), V(issuer),
          V(not_after) and V(fingerprint).
        - Of one that was mended, V(file), V(mode), V(owner) and V(trusted) say what was wrong.
      type: dict
      returned: always
  sample:
    - kind: ca_certificate
      name: libre-workspace
      action: create
      fields:
        fingerprint: [null, 5b0f3d7a1e95c460298db711f26ca348de57804b3f92e60dc1742ab968f51307]
        issuer: [null, CN=int.de]
        not_after: [null, "2036-01-31T09:30:00Z"]
        subject: [null, CN=int.de]
rejected:
  description: Certificates that can't be used. What the host trusts under the same name stays.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: Always V(ca_certificate)., type: str, returned: always}
    name: {description: The name., type: str, returned: when known}
    record: {description: Where the entry stands in the list., type: str, returned: when it has no name}
    field: {description: The key that is wrong., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample:
    - {kind: ca_certificate, name: old, field: src, reason: "the certificate CN=old (...) expired on 2026-01-31"}
failures:
  description: Certificates that could not be installed or removed. The others were.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: Always V(ca_certificate)., type: str, returned: always}
    name: {description: The name., type: str, returned: always}
    reason: {description: Why., type: str, returned: always}
  sample: []
plan_digest:
  description: SHA-256 of the plan. The same plan has the same digest in check mode, in the run, and on equal hosts.
  returned: always
  type: str
  sample: 0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77
diff:
  description: The changes as text.
  returned: always
  type: dict
  contains:
    before: {description: What was., type: str, returned: always}
    after: {description: What is., type: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.ca_certificates import run_module


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "src": {"type": "str"},
                    "content": {"type": "str"},
                    "url": {"type": "str"},
                    "sha256": {"type": "str"},
                },
                "mutually_exclusive": [["src", "content", "url"]],
            },
            "purge": {"type": "bool", "default": False},
            "min_days": {"type": "int", "default": 0},
            "family": {"type": "str", "choices": ["debian", "redhat", "suse", "arch", "alpine"]},
            "root": {"type": "path", "default": "/"},
            "state_dir": {"type": "str", "default": "/var/lib/identity-roster"},
        },
        supports_check_mode=True,
    )
    run_module(module)


if __name__ == "__main__":
    main()
