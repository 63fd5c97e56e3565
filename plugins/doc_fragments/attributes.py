# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every module says of itself."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and say what would change without changing it.
  diff_mode:
    description: Says in detail what changed, or in C(check_mode) would change, when in diff mode.
  idempotent:
    description: Changes nothing when run again with the same options and the same state.
  platform:
    description: The systems that it runs on.
"""
