# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up hosts and rosters for the tests of the Linux engine, and what must hold after every plan."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.identity.roster.plugins.module_utils._linux import ledger as ledgers
from ansible_collections.identity.roster.plugins.module_utils._linux.draft import Host, Options, Plan
from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Ledger
from ansible_collections.identity.roster.plugins.module_utils._linux.plan import make_plan
from ansible_collections.identity.roster.plugins.module_utils._linux.settings import Settings, SubordinateIds
from ansible_collections.identity.roster.plugins.module_utils._linux.tables import (
    WIDTHS,
    Accounts,
    Table,
    inconsistencies,
    members,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build

TODAY = 20000
HASH = "$6$salt$" + "a" * 86
OTHER_HASH = "$y$j9T$abcdefgh$" + "b" * 43
SETTINGS = Settings(pass_max_days="90", pass_min_days="1", pass_warn_age="14", inactive="30")
OPTIONS = Options(
    admin_group="sudo",
    default_shell="/bin/bash",
    protected={"root": "is root", "ansible": "is the account that Ansible is connected as"},
)

#: A Debian host with a past: comments, NIS lines, malformed lines, local people, ids beyond UID_MAX.
FILES: dict[str, str] = {
    "passwd": """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
# local people below
ansible:x:1000:1000:Ansible,,,:/home/ansible:/bin/bash
local:x:20000:20000:A local one:/home/local:/bin/zsh
short:x:20100:20100
libvirt-qemu:x:64055:108:Libvirt Qemu,,,:/var/lib/libvirt:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
this line is nothing

+@netgroup::::::
""",
    "group": """\
root:x:0:
daemon:x:1:
sudo:x:27:ansible,local
audio:x:29:local
users:x:100:
libvirt:x:108:
docker:x:998:local
ansible:x:1000:
crew:x:1500:local,nobody
local:x:20000:
nogroup:x:65534:
+:::
""",
    "shadow": """\
root:$6$rootroot$x:19000:0:99999:7:::
daemon:*:19000:0:99999:7:::
ansible:$6$ansible$x:19000:0:99999:7:::
local:$6$local$x:19000:0:99999:7::20500:
libvirt-qemu:!:19000::::::
nobody:*:19000:0:99999:7:::
""",
    "gshadow": """\
root:*::
daemon:*::
sudo:*::ansible,local
audio:*::local
users:*::
libvirt:!::
docker:!::local
ansible:!::
crew:!:local:local,nobody
local:!::
nogroup:*::
""",
    "subuid": "ansible:100000:65536\nlocal:300000:65536\n",
    "subgid": "ansible:100000:65536\nlocal:300000:65536\n",
}


class FakeHost(Host):
    """A host whose homes are all there unless named, and which has the usual shells."""

    def __init__(self, missing: Iterable[str] = (), all_missing: bool = False) -> None:
        self.missing = set(missing)
        self.made: set[str] = set()
        self.all_missing = all_missing
        self.owners: dict[str, int] = {}
        self.busy: set[int] = set()
        self.unmovable: dict[str, str] = {}
        self.keys: dict[str, tuple[str, ...]] = {}

    def home_is_missing(self, path: str) -> bool:
        return path not in self.made and (self.all_missing or path in self.missing)

    def home_owner(self, path: str) -> int | None:
        return self.owners.get(path)

    def move_problem(self, old: str, new: str, uid: int) -> str | None:
        return self.unmovable.get(old)

    def busy_uids(self, uids: frozenset[int]) -> set[int]:
        return self.busy & uids

    def authorized_keys(self, home: str, uid: int) -> tuple[str, ...]:
        return self.keys.get(home, ())

    def place_problem(self, home: str) -> str | None:
        return None

    def has_shell(self, path: str) -> bool:
        return path in ("/bin/sh", "/bin/bash", "/bin/zsh")


def user(username: str | None, **fields: Any) -> User:
    fields.setdefault("id", f"id-{username}")
    return User(username=username, **fields)


def roster(*users: User, groups: Iterable[Group] = (), rejected: Iterable[Rejected] = ()) -> Roster:
    return build({"kind": "test"}, users, groups, rejected)


@dataclass
class World:
    """One host from run to run."""

    contents: dict[str, bytes | None] = dataclasses.field(
        default_factory=lambda: {name: text.encode() for name, text in FILES.items()}
    )
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    options: Options = OPTIONS
    settings: Settings = SETTINGS
    host: FakeHost = dataclasses.field(default_factory=FakeHost)
    today: int = TODAY

    def with_options(self, **changes: Any) -> World:
        self.options = replace(self.options, **changes)
        return self

    def plan(self, wanted: Roster) -> Plan:
        host = copy.deepcopy(self.host)
        accounts = Accounts.parse(dict(self.contents))
        return make_plan(accounts, self.ledger.copy(), wanted, self.options, self.settings, host, self.today)

    def run(self, wanted: Roster) -> Plan:
        """Plan, check everything that must hold after any plan, and make the plan true."""
        before = dict(self.contents)
        old_ledger = self.ledger.copy()
        plan = self.plan(wanted)
        assert self.contents == before and self.ledger == old_ledger, "planning changed its input"
        for name, content in plan.accounts.contents().items():
            self.contents[name] = content
        assert ledgers.parse(ledgers.serialise(plan.ledger), "ledger") == plan.ledger
        self.follow_up(plan)
        self.ledger = ledgers.parse(ledgers.serialise(plan.ledger), "ledger")
        check(before, self.contents, old_ledger, plan, self.options)
        again = self.plan(wanted)
        waiting = {failure.name for failure in plan.outcome.failed} & set(plan.removed)
        if waiting or any("it is the next run's" in failure.reason for failure in plan.outcome.failed):
            assert plan.due is not None and plan.due <= self.today
            return plan
        assert again.outcome.changes == [], "a second run would change something"
        assert again.accounts.contents() == plan.accounts.contents()
        assert again.ledger == plan.ledger
        assert not again.homes
        return plan

    def follow_up(self, plan: Plan) -> None:
        """What follow_up.py does to the disk."""
        host = self.host
        for home in plan.homes:
            host.made.add(home.path)
            host.owners[home.path] = home.uid
        for removal in plan.removals:
            host.made.discard(removal.home)
            host.missing.add(removal.home)
            plan.ledger.finish(removal.identity)
        for move in plan.moves:
            if move.old_home:
                host.made.discard(move.old_home)
                host.missing.add(move.old_home)
                host.made.add(move.home)
                host.owners[move.home] = move.uid
            plan.ledger.finish(move.identity)
        for keys in plan.keys:
            host.keys[keys.home] = keys.keys

    def line(self, file: str, name: str) -> str | None:
        content = self.contents[file]
        assert content is not None
        row = Table(content, WIDTHS[file]).get(name)
        return None if row is None else ":".join(row)

    def field(self, file: str, name: str, index: int) -> str:
        line = self.line(file, name)
        assert line is not None, f"{name} has no line in {file}"
        return line.split(":")[index]

    def members(self, group: str) -> list[str]:
        return members(["", "", "", self.field("group", group, 3)])

    def set_field(self, file: str, name: str, index: int, value: str) -> None:
        content = self.contents[file]
        assert content is not None
        table = Table(content, WIDTHS[file])
        row = table.row(name)
        row[index] = value
        table.put(row)
        self.contents[file] = table.content()

    def append(self, file: str, line: str) -> None:
        self.contents[file] = (self.contents[file] or b"") + line.encode() + b"\n"

    def drop(self, file: str, name: str) -> None:
        content = self.contents[file]
        assert content is not None
        table = Table(content, WIDTHS[file])
        table.remove(name)
        self.contents[file] = table.content()


def lines_of_others(content: bytes | None, ours: set[str]) -> list[bytes]:
    """All lines, in their order, that do not begin with one of these names."""
    lines = (content or b"").split(b"\n")
    return [line for line in lines if line and line.strip().split(b":")[0].decode("utf-8", "replace") not in ours]


def check(
    before: Mapping[str, bytes | None],
    after: Mapping[str, bytes | None],
    old_ledger: Ledger,
    plan: Plan,
    options: Options,
) -> None:
    """What must be true of any plan, whatever the roster."""
    old, new = Accounts.parse(dict(before)), Accounts.parse(dict(after))
    assert inconsistencies(old, new, plan.expected_names(set(old.passwd.names())), plan.untouchable) == []

    ledgers_users = (*plan.ledger.users.values(), *old_ledger.users.values())
    users = {entry.username for entry in ledgers_users}
    former = {name for entry in ledgers_users if entry.former for name in (entry.username, entry.former.username)}
    former |= {
        name
        for key, entry in old_ledger.users.items()
        if key in plan.ledger.users and plan.ledger.users[key].username != entry.username
        for name in (entry.username, plan.ledger.users[key].username)
    }
    users |= former
    groups = {*plan.ledger.groups, *plan.ledger.memberships, *old_ledger.memberships, options.admin_group}
    # Whoever's group it is, it must not go on to list a name that is gone.
    gone = {*plan.removed, *former}
    groups |= {row[0] for row in old.group.rows() if gone & set(members(row))}
    private = {entry.username for entry in ledgers_users if entry.private_group} | former
    for name, ours in (
        ("passwd", users),
        ("shadow", users),
        ("subuid", users),
        ("subgid", users),
        ("group", groups | private),
        ("gshadow", groups | private),
    ):
        assert lines_of_others(before[name], ours) == lines_of_others(after[name], ours), f"{name}: lines of others"
        if before[name] is None:
            assert after[name] is None
    for name in ("root", "ansible", "local", "libvirt-qemu", "nobody", "daemon"):
        if name not in users:
            assert old.passwd.get(name) == new.passwd.get(name)
            assert old.shadow.get(name) == new.shadow.get(name)
    if new.gshadow is not None:
        for name in plan.ledger.groups:
            row, shadow_row = new.group.get(name), new.gshadow.get(name)
            if row is not None and row != old.group.get(name):
                assert shadow_row is not None and sorted(members(row)) == sorted(members(shadow_row))
    check_outcome(plan)


def check_outcome(plan: Plan) -> None:
    outcome = plan.outcome
    counts = outcome.summary()
    changed = [change for change in outcome.changes if change.kind == "user"]
    assert len({change.name for change in changed}) == len(changed), "two changes of one user"
    kinds = ("created", "updated", "enabled", "disabled", "removed")
    assert sum(counts[kind] for kind in kinds) == len(changed)
    elsewhere = [change for change in changed if change.name in plan.departed]
    assert counts["unchanged"] + len(changed) - len(elsewhere) == plan.active
    secrets = [HASH, OTHER_HASH, "$6$", "$y$"]
    text = repr(outcome.as_result()) + repr(outcome)
    assert not [secret for secret in secrets if secret in text], "a hash in the result"


def changes(plan: Plan) -> dict[str, str]:
    """``kind name`` to action."""
    return {f"{change.kind} {change.name}": change.action for change in plan.outcome.changes}


def fields(plan: Plan, name: str, kind: str = "user") -> dict[str, Any]:
    found = [change for change in plan.outcome.changes if change.name == name and change.kind == kind]
    return {key: tuple(value) for key, value in found[0].fields.items()} if found else {}


def failures(plan: Plan) -> dict[str, str]:
    return {failure.name: failure.reason for failure in plan.outcome.failed}


def rejections(plan: Plan) -> dict[str | None, str]:
    return {entry.name: entry.reason for entry in plan.outcome.rejected}


def many(count: int, first_uid: int = 30000) -> Iterator[User]:
    for number in range(count):
        yield user(f"u{number:05d}", uid=first_uid + number, password_hash=HASH)


NO_SUBIDS = SubordinateIds(count=0)
