# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's version, for the User-Agent; galaxy.yml does not travel with a module. A test holds them equal."""

from __future__ import annotations

VERSION = "0.1.0"
