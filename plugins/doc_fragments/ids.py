# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Whose numbers users and groups get."""

    DOCUMENTATION = r"""
options:
  uid_policy:
    description:
      - Where uids come from.
    type: str
    choices:
      source: The source's own. A user without one is rejected, and so are all who share one.
      derive:
        Made from the stable id of each user, the same on every host and in every run. The source's are not looked at.
        Two users whose numbers meet are told apart by the order of their ids; in the default range that is unlikely
        below two thousand users.
    default: source
  gid_policy:
    description:
      - Where gids come from.
    type: str
    choices:
      source: The source's own. A group without one is rejected, and so are all that share one.
      derive: Made from the name of each group, the same on every host and in every run. A renamed group is a new one.
    default: source
  uid_range:
    description:
      - The first and the last uid that O(uid_policy=derive) gives. Must not meet O(gid_range), since a user's private
        group takes the uid as its gid.
      - Another range gives everybody another uid.
    type: list
    elements: int
    default: [1879048192, 2013265919]
  gid_range:
    description:
      - The first and the last gid that O(gid_policy=derive) gives.
    type: list
    elements: int
    default: [2013265920, 2147352575]
"""
