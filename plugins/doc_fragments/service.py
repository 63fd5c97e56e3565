# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of all targets that are services, beside those of C(target)."""

    DOCUMENTATION = r"""
options:
  scope:
    description:
      - Which accounts are dealt with when their user is not in the roster.
    type: str
    choices:
      owned: Those that are ours, which O(state_path) records. They were made by this module, or matched a user.
      all: Every account of the service but those in O(protected_users).
    default: owned
  adopt:
    description:
      - Accounts (by any key, or id) that a user of the roster may take over although they look like another person's,
        because a stronger key differs, or because they belonged to a user with another stable id.
    type: list
    elements: str
    default: []
  state_path:
    description:
      - A file on the controller in which the module records what the service can't tell. That is which accounts are
        ours, whom we disabled, and what was sent. Mode V(0600), replaced as a whole. Each service needs one of its own.
      - Keep it from run to run. When it is lost, accounts of the roster's users are found again. Those of users who
        left meanwhile stay as they are.
      - When more of the accounts in it than the limit C(leavers) allows are not listed by the service, the listing is
        not believed and nothing is done.
      - Without this option nothing is done about users who left the roster, unless O(scope=all).
    type: path
  allow_empty:
    description:
      - Whether a roster that has nobody at all in it is believed, or filters that leave nobody of it. Every owned
        account would count as having left.
    type: bool
    default: false
"""
