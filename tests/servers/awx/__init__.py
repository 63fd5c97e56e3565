# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A test double of AWX 24.6.1's API, as far as awx.awx 24.6.1 calls it to configure a site.

What it does is taken from ../shared/facts/awx.md (measured on a real AWX 24.6.1), from what awx.awx's modules send and
expect, and from AWX's own serializers and their tests. It runs no jobs; a project is synced the moment it is made.
"""
