# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way into an account: password, lock and expiry in its shadow line."""

from __future__ import annotations

from dataclasses import replace
from typing import List, NamedTuple, Optional

from .draft import Draft
from .ledger import Disabled

#: Days since 1970 in shadow's expiry field. 1 is long past, and 0 is ambiguous (shadow(5)).
EXPIRED = "1"


def shadow_row(draft: Draft, username: str) -> List[str]:
    """The line of an account that nobody can log in to with a password yet."""
    settings = draft.settings
    # Day 0 would force a new password at the first login; it only comes from a clock that was never set.
    changed = str(draft.today) if draft.today > 0 else ""
    ages = [settings.pass_min_days, settings.pass_max_days, settings.pass_warn_age, settings.inactive]
    return [username, "*", changed, *ages, settings.expire, ""]


class _Found(NamedTuple):
    """A shadow line as it was. ``bare`` is the password without a lock. Half disabled is neither disabled nor
    enabled."""

    password: str
    expire: str
    bare: str

    @property
    def is_disabled(self) -> bool:
        return self.password.startswith("!") and self.expire == EXPIRED

    @property
    def is_enabled(self) -> bool:
        return not self.password.startswith("!") and self.expire != EXPIRED


def set_access(
    draft: Draft,
    identity: str,
    account: List[str],
    enabled: Optional[bool],
    password_hash: Optional[str],
    reason: str = "source",
) -> None:
    """Make an owned account enabled or disabled as a whole, and note what that changes. ``account`` is its line in
    passwd.

    pam_unix's auth step only sees the lock, sshd with a key only the expiry (facts measured on Debian 12), so a
    disabled account has both. ``enabled`` None: the source says nothing, so a lock or an expiry that somebody set on
    this host stays, also when the user leaves the roster and comes back.
    """
    username = account[0]
    _use_shadow(draft, account)
    shadow = draft.accounts.shadow
    created = username in draft.plan.created
    old = shadow.get(username)
    row = shadow_row(draft, username) if old is None else list(old)
    found = _Found(row[1], row[7], row[1].lstrip("!"))
    former = draft.ledger.users[identity].disabled
    back = former if enabled is None and former is not None and former.reason == "missing" else None
    if enabled is None and (created or (back is not None and not back.locked)):
        enabled = True

    may_write = created or old is None or draft.options.update_password == "always"
    bare = (password_hash if may_write else None) or found.bare or "*"
    new_hash = bare != found.bare and bare == password_hash
    if enabled is None:
        lock = found.password[: len(found.password) - len(found.bare)]
        row[1] = lock + bare if new_hash or not found.password else found.password
        row[7] = back.expire if back else found.expire
    else:
        row[1] = bare if enabled else "!" + bare
        row[7] = _expiry(found, former, enabled)
    _record(draft, identity, found, enabled, reason)
    if enabled is False:
        draft.plan.locked_out[username] = draft.ledger.users[identity].uid
    if new_hash:
        if not created and draft.today > 0:
            row[2] = str(draft.today)
        draft.note_secret(username, "password_hash")
    if bare.startswith("*") and not row[1].startswith("!"):
        draft.plan.outcome.pending.append(username)
    if row != old:
        shadow.put(row)
    if created:
        draft.fields[username]["enabled"] = draft.new(enabled)
    elif back is not None and enabled is None:
        if row[7] != found.expire:
            draft.note(username, "expire", found.expire, row[7])
    elif not _note_switch(draft, username, found, enabled) and row != old and not new_hash:
        draft.note(username, "shadow", "incomplete", "complete")


def _expiry(found: _Found, former: Optional[Disabled], enabled: bool) -> str:
    if not enabled:
        return EXPIRED
    if found.expire != EXPIRED:
        return found.expire
    return former.expire if former and former.expire != EXPIRED else ""


def _record(draft: Draft, identity: str, found: _Found, enabled: Optional[bool], reason: str) -> None:
    """Keep the ledger's word on whether, why and since when an account is disabled."""
    entry = draft.ledger.users[identity]
    former = entry.disabled
    if enabled or (enabled is None and (found.is_enabled or (former is not None and former.reason == "missing"))):
        disabled = None
    elif enabled is None or (former is not None and former.reason == reason):
        disabled = former
    else:
        expire, admin, locked = (found.expire, False, not found.is_enabled)
        if former is not None:
            expire, admin, locked = (former.expire, former.admin, former.locked)
        disabled = Disabled(reason, draft.today, expire, admin, locked)
    if disabled != former:
        draft.ledger.users[identity] = replace(entry, disabled=disabled)


def _note_switch(draft: Draft, username: str, found: _Found, enabled: Optional[bool]) -> bool:
    """Note that an account comes to be enabled or disabled; False if it was so before."""
    if enabled is True and not found.is_enabled:
        draft.note(username, "enabled", False, True)
        draft.actions.setdefault(username, "enable")
    elif enabled is False and not found.is_disabled:
        draft.note(username, "enabled", True, False)
        draft.actions[username] = "disable"
        draft.plan.disabled.append(username)
    else:
        return False
    return True


def _use_shadow(draft: Draft, account: List[str]) -> None:
    """Make sure that the account's password is the one in shadow: PAM believes any other in passwd, empty ones too."""
    username = account[0]
    if account[1] != "x":
        account[1] = "x"
        draft.accounts.passwd.put(account)
        draft.note(username, "password_in_shadow", False, True)
    if draft.accounts.shadow.is_malformed(username):
        draft.accounts.shadow.drop_malformed(username)
        draft.note(username, "shadow", "malformed", "complete")
