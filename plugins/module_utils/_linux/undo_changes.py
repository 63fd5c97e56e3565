# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes between two states of the account files and the ledger, as the contract reports them. Pure.

Every line that differs shows in a change, so that what reports no change has none.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from .._outcome import CHANGED, Change
from .draft import printable
from .files import Contents
from .ledger import Ledger
from .plan_access import EXPIRED
from .record import Lines, changed_lines, renames
from .tables import WIDTHS, Table, number

_PASSWD = {2: "uid", 3: "gid", 4: "full_name", 5: "home", 6: "shell"}
_AGES = {3: "password_min_days", 4: "password_max_days", 5: "password_warn_days", 6: "inactive_days", 8: "flag"}
Fields = Dict[str, Sequence[Any]]


def describe(before: Contents, after: Contents, ledger_before: Ledger, ledger_after: Ledger) -> List[Change]:
    """Accounts that lose access first, then groups, then the other users, removals last."""
    return _Description(before, after).changes(ledger_before, ledger_after)


class _Description:
    def __init__(self, before: Contents, after: Contents) -> None:
        self.old = {name: Table(before.get(name) or b"", width) for name, width in WIDTHS.items()}
        self.new = {name: Table(after.get(name) or b"", width) for name, width in WIDTHS.items()}
        new = {name: content for name, content in after.items() if content is not None}
        self.lines: Lines = changed_lines(before, new)
        self.renamed = renames(self.lines)
        self.users: Dict[str, Fields] = {}
        self.actions: Dict[str, str] = {}
        self.groups: Dict[str, Fields] = {}
        self.group_actions: Dict[str, str] = {}

    def changes(self, ledger_before: Ledger, ledger_after: Ledger) -> List[Change]:
        for name in self._changed("passwd", "shadow", "subuid", "subgid"):
            if name not in self.renamed.values():
                self._user(name, self.renamed.get(name, name))
        self._memberships()
        for name in self._changed("group", "gshadow"):
            self._group(name)
        self._ledgers(ledger_before, ledger_after)
        users = [Change("user", name, self.actions.get(name, "update"), fields) for name, fields in self.users.items()]
        groups = [
            Change("group", name, self.group_actions.get(name, "update"), self.groups[name]) for name in self.groups
        ]
        order = {"disable": 0, "remove": 3}
        every = [*groups, *users]
        every.sort(key=lambda change: (1 if change.kind == "group" else order.get(change.action, 2), change.name))
        return every

    def _changed(self, *files: str) -> List[str]:
        return sorted({name for file in files for name in self.lines.get(file, ())})

    def _user(self, name: str, former: str) -> None:
        """One user, who was called ``former`` before."""
        fields: Fields = {}
        old, new = self.old["passwd"].get(former), self.new["passwd"].get(name)
        for index, title in _PASSWD.items():
            values = (old[index] if old else None, new[index] if new else None)
            if values[0] != values[1] and not (title == "full_name" and not any(values)):
                fields[title] = tuple(_value(index, value) for value in values)
        if old and new and old[1] != new[1]:
            fields["password_in_shadow"] = (old[1] == "x", new[1] == "x")
        if name != former:
            self.actions[name] = "rename"
            fields["username"] = (former, name)
        elif old is None and new is not None:
            self.actions[name] = "create"
        elif new is None and old is not None:
            self.actions[name] = "remove"
            fields.pop("gid", None)
        if self.actions.get(name) != "remove":
            self._shadow(name, former, fields)
        if old is not None and new is not None:
            for file in ("subuid", "subgid"):
                if name in self.lines.get(file, ()) and name == former:
                    fields[file] = tuple(self._ranges(lines) for lines in self.lines[file][name])
        if not fields:
            fields = {file: CHANGED for file in ("passwd", "shadow", "subuid", "subgid") if self._has(file, name)}
        self.users[name] = fields

    def _shadow(self, name: str, former: str, fields: Fields) -> None:
        old, new = self.old["shadow"].get(former), self.new["shadow"].get(name)
        if new is None:
            return
        was, is_now = old is not None and _is_off(old), _is_off(new)
        if was != is_now:
            fields["enabled"] = (None if old is None else not was, not is_now)
            if name not in self.actions:
                self.actions[name] = "disable" if is_now else "enable"
        if old is None or old[1].lstrip("!") != new[1].lstrip("!"):
            fields["password_hash"] = CHANGED
        if old is None:
            return
        if was == is_now and old[1].startswith("!") != new[1].startswith("!"):
            fields["locked"] = (old[1].startswith("!"), new[1].startswith("!"))
        if was == is_now and old[7] != new[7]:
            fields["expire"] = (old[7], new[7])
        for index, title in _AGES.items():
            if old[index] != new[index]:
                fields[title] = (printable(old[index]), printable(new[index]))
        if old[2] != new[2]:
            fields.setdefault("password_changed_on", (old[2], new[2]))

    def _ranges(self, lines: Sequence[str]) -> List[str]:
        return [str(printable(line.partition(":")[2])) for line in lines]

    def _has(self, file: str, name: str) -> bool:
        return name in self.lines.get(file, ())

    def _memberships(self) -> None:
        """The groups of each user who has an account before or after."""
        old, new = _groups_of(self.old["group"]), _groups_of(self.new["group"])
        for name in sorted({*old, *new}):
            if name in self.renamed.values():
                continue
            former = self.renamed.get(name, name)
            there = [table["passwd"].get(each) is not None for table, each in ((self.old, former), (self.new, name))]
            before, after = sorted(old.get(former, ())), sorted(new.get(name, ()))
            if before != after and any(there):
                self.users.setdefault(name, {})
                fields = {**self.users[name], "groups": (before if there[0] else None, after if there[1] else None)}
                self.users[name] = fields

    def _group(self, name: str) -> None:
        fields: Fields = {}
        old, new = self.old["group"].get(name), self.new["group"].get(name)
        if (old is None) != (new is None):
            account = (self.old["passwd"].get(name) is None, self.new["passwd"].get(name) is None)
            if account == (old is None, new is None):
                return  # the user's own group comes and goes with the user
            self.group_actions[name] = "create" if old is None else "remove"
            self.groups[name] = {"gid": tuple(None if row is None else _value(2, row[2]) for row in (old, new))}
            return
        if old is not None and new is not None:
            lists = [set(filter(None, row[3].split(","))) for row in (old, new)]
            told = {user for user in self.users if "groups" in self.users[user]} | {*self.renamed.values()}
            others = [sorted(lists[0] - lists[1] - told), sorted(lists[1] - lists[0] - told)]
            if any(others):
                fields["members"] = (others[0], others[1])
            if old[1] != new[1]:
                fields["password"] = CHANGED
            if not fields and self._has("group", name) and lists[0] == lists[1]:
                fields["group"] = CHANGED
        if self._has("gshadow", name) and not self._has("group", name):
            fields["gshadow"] = CHANGED
        if fields:
            self.groups[name] = fields

    def _ledgers(self, old: Ledger, new: Ledger) -> None:
        """What changed in the ledger alone."""
        for key in sorted({*old.users, *new.users}):
            before, after = old.users.get(key), new.users.get(key)
            entry = after or before
            if entry is None or before == after or entry.username in self.users:
                continue
            if before is None or after is None:
                self.users[entry.username] = {"owned": (before is not None, after is not None)}
            else:
                self.users[entry.username] = {"ledger": CHANGED}
        told: Set[str] = {user for user, fields in self.users.items() if "groups" in fields}
        for name in sorted({*old.groups, *new.groups, *old.memberships, *new.memberships}):
            if name in self.groups:
                continue
            if old.groups.get(name) != new.groups.get(name):
                self.groups[name] = {"owned": (name in old.groups, name in new.groups)}
            elif set(old.memberships.get(name, ())) ^ set(new.memberships.get(name, ())) - told:
                self.groups[name] = {"ledger": CHANGED}


def _groups_of(table: Table) -> Mapping[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    for row in table.rows():
        for name in filter(None, row[3].split(",")):
            found.setdefault(name, set()).add(row[0])
    return found


def _value(index: int, text: Optional[str]) -> Any:
    if text is None or index not in (2, 3):
        return printable(text)
    value = number(text)
    return printable(text) if value is None else value


def _is_off(row: Sequence[str]) -> bool:
    return row[1].startswith("!") and row[7] == EXPIRED
