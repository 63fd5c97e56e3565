# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How to talk to a server."""

    DOCUMENTATION = r"""
options:
  validate_certs:
    description:
      - Whether the server's certificate is checked. Without that, anybody on the way can read and change everything.
    type: bool
    default: true
  ca_path:
    description:
      - The certificates of the authorities to trust, and no others. A PEM file, or a directory that C(openssl rehash)
        has prepared.
      - Without this option E(REQUESTS_CA_BUNDLE), E(CURL_CA_BUNDLE) or the system's authorities count.
    type: path
  timeout:
    description:
      - Seconds that one attempt may take, from looking up the name to the last byte of the answer.
      - An attempt that runs out of time is not repeated.
    type: int
    default: 30
  retries:
    description:
      - How often reading is tried again after a lost connection or an answer of 429, 502, 503 or 504, V(0) to V(10).
      - The pause is what the server asks for, up to a minute, or else doubles from half a second on. Nothing that
        changes anything is tried again.
    type: int
    default: 2
notes:
  - Proxies are taken from the environment (E(HTTPS_PROXY), E(NO_PROXY)), except for loopback addresses. C(.netrc) is
    not used.
"""
