# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a directory's result codes mean for the person who runs the module. Pure (RFC 4511, section 4.1.9)."""

from __future__ import annotations

from typing import Union

from .._roster.text import shown
from .ldap_ber import Done, Notice, Result

SUCCESS = 0
NO_SUCH_OBJECT = 32
REFERRAL = 10

_ADVICE = {
    1: ("operationsError", "many directories say so when the login is not enough for this: look at bind_dn"),
    3: ("timeLimitExceeded", "raise the server's time limit for this account, or lower page_size"),
    4: (
        "sizeLimitExceeded",
        "the list would not be complete: raise the server's size limit for this account, or lower page_size",
    ),
    7: ("authMethodNotSupported", "choose another bind_method"),
    8: ("strongerAuthRequired", "use ldaps://, or leave start_tls on"),
    10: ("referral", "another server holds this part: name that one in server_url"),
    11: (
        "adminLimitExceeded",
        "raise the server's limits (look-through, page size) for this account, or narrow filter",
    ),
    12: ("unavailableCriticalExtension", "this server can't answer in pages, or not for this account"),
    13: ("confidentialityRequired", "use ldaps://, or leave start_tls on"),
    18: ("inappropriateMatching", "look at filter"),
    32: ("noSuchObject", "this base does not exist, or bind_dn may not see it"),
    34: ("invalidDNSyntax", "look at bind_dn and base_dn"),
    48: ("inappropriateAuthentication", "this account can't log in so: look at bind_dn and bind_method"),
    49: ("invalidCredentials", "look at bind_dn and bind_password"),
    50: ("insufficientAccessRights", "let bind_dn read this part"),
    51: ("busy", "try later"),
    52: ("unavailable", "look whether the directory is starting or stopping"),
    53: ("unwillingToPerform", "the server's configuration forbids it, or the account is locked"),
}


def refusal(what: str, result: Union[Result, Done, Notice]) -> str:
    """A sentence: what failed, the code with its name, the server's own words, what to do."""
    name, advice = _ADVICE.get(result.code, ("an error", "look at the directory's log"))
    said = " ".join(shown(" ".join(result.message.split()), 200).split())
    return f"{what}: result {result.code}, {name}{f' ({said})' if said else ''}: {advice}"
