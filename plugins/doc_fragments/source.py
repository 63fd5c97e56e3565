# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What a source does with what it read."""

    DOCUMENTATION = r"""
options:
  dest:
    description:
      - The roster file to write, on the host that the module runs on. It holds password hashes and gets mode V(0600).
      - It is replaced in one step, and only when its content changes. Missing directories are made with mode V(0700).
      - A symbolic link or a directory is refused.
    type: path
    required: true
  allow_empty:
    description:
      - Whether a source that lists nobody at all is believed. Every owned account would count as having left.
    type: bool
    default: false
"""
