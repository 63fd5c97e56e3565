# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that every target has."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  roster:
    description:
      - Path of a roster file on the controller, as O(identity.roster.libre_workspace_info#module:dest) writes it.
      - Exactly one of O(roster) and O(users) is needed.
    type: path
  users:
    description:
      - The desired users themselves, for small sites without a source.
      - Prefer O(roster) for many users; a list in a task is templated for every host.
      - A key that is left out (or null) means that nothing is said about it, so the target keeps what it has.
    type: list
    elements: dict
    suboptions:
      id:
        description: What never changes while the person stays the same. Defaults to the external id or the user name.
        type: str
      username:
        description: The user name.
        type: str
      uid:
        description: The numeric user id.
        type: int
      gid:
        description: The numeric id of the primary group.
        type: int
      full_name:
        description: The name as people read it.
        type: str
      first_name:
        description: The given name.
        type: str
      last_name:
        description: The family name.
        type: str
      email:
        description: The e-mail address.
        type: str
      enabled:
        description: Whether the user may log in.
        type: bool
      admin:
        description: Whether the user is an administrator.
        type: bool
      password_hash:
        description: The password's hash as crypt(5) has it, never the password.
        type: str
      groups:
        description: Names of the groups that the user is in, besides the primary one.
        type: list
        elements: str
      shell:
        description: The login shell.
        type: str
      home:
        description: The home directory.
        type: str
      ssh_public_keys:
        description: Public keys, one line each.
        type: list
        elements: str
      external_id:
        description: The id of the person in another system.
        type: str
      avatar:
        description: The user's picture, as a mapping of C(path) and C(sha256).
        type: dict
      profile:
        description: Further fields, as a mapping of texts.
        type: dict
  groups:
    description:
      - The desired groups, together with O(users). Groups that only O(users[].groups) names need not be listed.
    type: list
    elements: dict
    suboptions:
      name:
        description: The group's name.
        type: str
        required: true
      gid:
        description: The numeric group id.
        type: int
      description:
        description: What the group is for.
        type: str
  include_groups:
    description:
      - Only users in one of these groups belong on this target. Names are compared without regard to case.
      - A user who no longer belongs here is treated as one who left the roster.
    type: list
    elements: str
    default: []
  exclude_groups:
    description: Users in one of these groups do not belong on this target.
    type: list
    elements: str
    default: []
  exclude_users:
    description: Users (by user name, e-mail address or id) who do not belong on this target.
    type: list
    elements: str
    default: []
  limits:
    description:
      - What a run may change at most. A plan beyond it is refused as a whole, before the first write and in check
        mode too, and names who is concerned.
      - A mapping of a class to C(count) and C(percent); the larger of the two is allowed. What is left out keeps its
        default.
      - C(disables), accounts disabled, of those owned (3, 5 %).
      - C(removals), accounts removed, of those owned (1, 1 %).
      - C(leavers), owned accounts whose user is newly gone from the roster (3, 20 %).
      - C(renames), owned accounts that are renamed (3, 5 %).
      - C(admin_changes), users whose admin rights are given or taken (3, 0 %). Free in the first run.
      - C(member_removals), memberships taken away, of those in groups that the roster decides about (3, 20 %).
      - A count of 0 with a percentage of 0 refuses every change of its class.
    type: dict
    default: {}
  approve:
    description:
      - Digests of plans that may exceed the limits, as RV(plan_digest) of the refused run shows them.
      - Good for exactly that plan. When the source or the target changes meanwhile, the plan is another.
    type: list
    elements: str
    default: []
  require_approval:
    description:
      - Refuse every plan that changes anything, within the limits or beyond them, unless its digest is in O(approve).
      - A plan that changes nothing needs no approval. In check mode a plan is refused as well.
      - A dry run without this option shows the same RV(plan_digest), also of a plan that is refused for its limits.
    type: bool
    default: false
  protected_users:
    description:
      - User names that are never changed, whatever the roster says.
      - On Linux V(root), system accounts and the account that Ansible is connected as are always protected.
    type: list
    elements: str
    default: []
"""
