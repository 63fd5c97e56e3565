# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random hosts and sequences of random, partly hostile rosters: what must never happen, never happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import DocumentError
from ansible_collections.identity.roster.plugins.module_utils._linux.tables import WIDTHS, Accounts, Table, number
from ansible_collections.identity.roster.plugins.module_utils._roster import document
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Rejected, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import build

from .linux_hosts import HASH, OTHER_HASH, SETTINGS, FakeHost, World

NAMES = ["anna", "bert", "carl", "dora", "local", "team", "crew", "Anna", "jürgen"]
HOSTILE_NAMES = [
    "root",
    "sudo",
    "ansible",
    "nobody",
    "daemon",
    "-rf",
    "a:b",
    "a\nb",
    "",
    "..",
    "0",
    "x" * 40,
    "a,b",
    "+",
    "#x",
]
GROUPS = ["team", "crew", "crew2", "anna", "local", "sudo", "wheel", "docker", "a,b", "jürgen"]
IDS = [
    None,
    0,
    27,
    999,
    1000,
    1001,
    1500,
    5000,
    5001,
    5002,
    20000,
    20100,
    60001,
    64055,
    65534,
    100000,
    165536,
    2**31,
    2**32 - 2,
]
TEXTS = ["", "Anna", "Ä, ö; \"q\" 'z'", "a:b", "x\ny", "\x1b[31m", "$(reboot)", "y" * 300, "\u202e"]
PATHS = [
    "/home/anna",
    "/home/bert",
    "/",
    "/etc",
    "/root/x",
    "relative",
    "/home/../etc",
    "/srv/x y",
    "/a:b",
    "/bin/bash",
    "/bin/zsh",
    "/x\n",
]
HASHES = [None, HASH, OTHER_HASH, "", "!", "*", "plain", "$6$a:b", "!" + HASH]


def sometimes(values: list[Any]) -> st.SearchStrategy[Any]:
    """None half of the time."""
    return st.one_of(st.none(), st.sampled_from(values))


PEOPLE = list(enumerate(["anna", "bert", "carl", "dora", "team", "Anna"]))
GOOD = {
    "enabled": st.sampled_from([None, True, True, False]),
    "admin": st.sampled_from([None, True, False]),
    "password_hash": st.sampled_from([None, HASH, OTHER_HASH]),
    "groups": st.one_of(st.none(), st.lists(st.sampled_from(GROUPS), max_size=3, unique=True).map(tuple)),
}
ODD = {
    "id": st.sampled_from([f"id{number}" for number in range(6)]),
    "username": st.sampled_from([None, *NAMES, *HOSTILE_NAMES]),
    "uid": st.sampled_from(IDS),
    "gid": st.sampled_from(IDS),
    "full_name": st.sampled_from(TEXTS),
    "password_hash": st.sampled_from(HASHES),
    "shell": st.sampled_from(PATHS),
    "home": st.sampled_from(PATHS),
}


@st.composite
def users(draw: st.DrawFn) -> User:
    """A person as a source should name them, and now and then one field that is anything else."""
    number, name = draw(st.sampled_from(PEOPLE))
    fields: dict[str, Any] = {
        "id": f"id{number}",
        "username": name,
        "uid": draw(st.sampled_from([None, 5000 + number])),
    }
    fields.update({key: draw(strategy) for key, strategy in GOOD.items()})
    for key in draw(st.lists(st.sampled_from(sorted(ODD)), max_size=2)):
        fields[key] = draw(ODD[key])
    return User(**fields)


USERS = users()
GROUP_RECORDS = st.builds(Group, name=st.sampled_from(GROUPS), gid=sometimes(IDS))
REJECTED = st.builds(
    Rejected,
    kind=st.sampled_from(["user", "group"]),
    field=st.just("uid"),
    reason=st.just("is bad"),
    id=sometimes([f"id{number}" for number in range(6)]),
    name=sometimes(NAMES),
)
ROSTERS = st.builds(
    build,
    st.just({"kind": "fuzz"}),
    st.one_of(st.lists(USERS, max_size=6), st.lists(USERS, max_size=6, unique_by=lambda person: person.id)),
    st.lists(GROUP_RECORDS, max_size=3),
    st.lists(REJECTED, max_size=1),
)
ODD_LINES = [
    "anna",
    "bert:x:5001",
    " carl:x:5002:5002::/:/bin/sh",
    "dora::::::",
    "+anna::::::",
    "#anna:x:0:0:::",
    "\udcff:x",
]
DRIFT = st.tuples(
    st.sampled_from(["passwd", "group", "shadow", "gshadow"]),
    st.sampled_from(["anna", "bert", "carl", "team", "crew2"]),
    st.sampled_from(["drop", "1", "3", "7"]),
    st.sampled_from(["", "!", "*", "1", "x", "anna,local", HASH, "20500"]),
)
OPTION_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "admin_group": st.sampled_from(["sudo", "", "team", "wheel", "anna"]),
        "missing_users": st.sampled_from(["disable", "ignore", "remove", "remove"]),
        "remove_after": st.sampled_from([1, 2]),
        "removed_homes": st.sampled_from(["archive", "keep", "delete"]),
        "move_homes": st.booleans(),
        "require_admin": st.booleans(),
        "protected_groups": st.sampled_from([frozenset(), frozenset({"crew", "team"})]),
        "update_password": st.sampled_from(["always", "on_create"]),
        "create_homes": st.booleans(),
        "allow_unicode_names": st.booleans(),
        "adopt": st.sampled_from([frozenset(), frozenset({"local", "root", "ansible"}), frozenset(NAMES)]),
    },
)
STEPS = st.lists(st.tuples(ROSTERS, OPTION_CHANGES, st.lists(DRIFT, max_size=2)), min_size=1, max_size=4)


def drift(world: World, file: str, name: str, what: str, value: str) -> None:
    """What a careless hand does to a line."""
    if world.line(file, name) is None or (value == HASH and (file, what) not in (("shadow", "1"), ("passwd", "1"))):
        return
    if what == "drop":
        world.drop(file, name)
    elif int(what) < WIDTHS[file] and not (file == "passwd" and what == "3"):
        world.set_field(file, name, int(what), value)


def uids(accounts: Accounts) -> list[int]:
    found = [number(row[2]) for row in accounts.passwd.every_row()]
    return [uid for uid in found if uid is not None]


def uids_by_name(accounts: Accounts) -> dict[str, int | None]:
    return {row[0]: number(row[2]) for row in accounts.passwd.rows()}


def inspect(before: Accounts, after: Accounts, world: Watched, created: set[str]) -> None:
    for name, table in after.tables():
        for row in table.rows():
            assert len(row) == WIDTHS[name]
    for row in after.shadow.rows():
        old = before.shadow.get(row[0])
        assert row[1] or (old is not None and not old[1]), "an empty password"
    assert len(uids(after)) - len(set(uids(after))) == len(uids(before)) - len(set(uids(before))), "a shared uid"
    for name in created:
        uid = number(after.passwd.row(name)[2])
        assert uid is not None and uid >= SETTINGS.uid_min and name not in before.passwd
        assert name not in ("root", "sudo", "ansible", "nobody", "daemon", "local")
    for entry in world.ledger.users.values():
        line = after.shadow.get(entry.username)
        if entry.disabled and line and entry.username in world.last_touched:
            assert line[1].startswith("!") and line[7] == "1"
            assert len(line[1]) > 1
    for file in ("passwd", "shadow"):
        for name in ("root", "daemon", "ansible", "libvirt-qemu", "nobody"):
            assert getattr(before, file).get(name) == getattr(after, file).get(name)
    for group in ("root", "daemon", "audio", "docker", "libvirt", "nogroup"):
        assert before.group.get(group) == after.group.get(group)
    assert {"ansible"} <= set(after.group.row("sudo")[3].split(",")), "the rescue account is no admin any more"


class Watched(World):
    """A world that knows which accounts its last plan was about."""

    last_touched: frozenset[str] = frozenset()


@settings(max_examples=400)
@given(
    STEPS,
    st.lists(st.sampled_from(ODD_LINES), max_size=3),
    st.sampled_from([(), ("gshadow",), ("subuid", "subgid")]),
    st.booleans(),
)
def test_what_must_never_happen(
    steps: list[tuple[Roster, dict[str, Any], list[tuple[str, str, str, str]]]],
    odd_lines: list[str],
    absent: tuple[str, ...],
    private_groups: bool,
) -> None:
    world = Watched(host=FakeHost(all_missing=True), settings=replace(SETTINGS, private_groups=private_groups))
    for line in odd_lines:
        for file in ("passwd", "shadow", "group"):
            world.contents[file] = (world.contents[file] or b"") + line.encode("utf-8", "surrogateescape") + b"\n"
    for name in absent:
        world.contents[name] = None
    for wanted, options, spoiled in steps:
        for spoil in spoiled:
            if spoil[0] not in absent:
                drift(world, *spoil)
        world.with_options(**options)
        before = Accounts.parse(dict(world.contents))
        plan = world.run(wanted)
        active = {record.username for record in wanted.users if record.enabled is False}
        refused = {failure.name for failure in plan.outcome.failed} | {entry.name for entry in plan.outcome.rejected}
        world.last_touched = frozenset(str(name) for name in active - refused) | plan.departed
        inspect(before, Accounts.parse(dict(world.contents)), world, plan.created)
        owners = {uid: name for name, uid in uids_by_name(Accounts.parse(dict(world.contents))).items()}
        for entry in world.ledger.users.values():
            assert entry.username != "root" and entry.uid >= SETTINGS.uid_min
            if entry.removed is not None and entry.uid in owners:
                assert owners[entry.uid] not in plan.created, "a uid that was somebody else's"
        world.today += 1


RECORDS = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2", "3"]), "username": st.one_of(st.text(max_size=40), st.sampled_from(NAMES))},
    optional={
        "uid": st.integers(-5, 2**33),
        "gid": st.integers(-5, 2**33),
        "full_name": st.text(max_size=60),
        "shell": st.text(max_size=20).map("/".__add__),
        "home": st.text(max_size=30).map("/srv/".__add__),
        "enabled": st.booleans(),
        "admin": st.booleans(),
        "groups": st.lists(st.text(max_size=12), max_size=2),
        "password_hash": st.text(max_size=30),
    },
)


@settings(max_examples=150)
@given(st.lists(RECORDS, max_size=4), st.booleans())
def test_whatever_text_comes_in_the_files_stay_readable(records: list[dict[str, Any]], unicode_names: bool) -> None:
    """From a roster file's bytes to the account files' bytes."""
    if _has_surrogates(records):
        return
    content = document.canonical(
        {"format": document.FORMAT, "source": {}, "users": records, "groups": [], "rejected": []}
    )
    try:
        wanted = document.parse(content)
    except DocumentError:
        return
    world = World().with_options(allow_unicode_names=unicode_names)
    old = {name: len((data or b"").split(b"\n")) for name, data in world.contents.items()}
    plan = world.run(wanted)
    for name in ("passwd", "shadow"):
        data = world.contents[name] or b""
        assert len(data.split(b"\n")) == old[name] + len(plan.created), "a value broke a line"
        assert len(Table(data, WIDTHS[name])) >= len(plan.created)
    assert b"\0" not in (world.contents["passwd"] or b"")


def _has_surrogates(value: Any) -> bool:
    try:
        repr(value).encode()
    except UnicodeEncodeError:
        return True
    return False


#: People and groups as a source with ids of its own has them: names, ids and groups now and then meet each other, and
#: what this host already has.
PLAIN_NAMES = [*"anna bert carl dora emma finn gert hans".split(), "team", "Anna", "local", "a,b", "root", "x" * 33]
FULL_USERS = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2", "3", "4"]), "username": st.sampled_from(PLAIN_NAMES)},
    optional={
        "uid": st.sampled_from([5000, 5001, 5002, 5003, 20000, 0]),
        "gid": st.sampled_from([5000, 5001, 6000, 6001, 1500, 27, 20000]),
        "full_name": st.sampled_from(["", "Anna Ä", "A, B & C", "$(reboot)", "a:b", "x\ny"]),
        "shell": st.sampled_from(["/bin/sh", "/bin/zsh", "/bin/none", "sh"]),
        "home": st.sampled_from(["/home/anna", "/srv/x", "/srv/x/y", "/home/local", "/etc"]),
        "enabled": st.booleans(),
        "admin": st.booleans(),
        "groups": st.lists(st.sampled_from(["team", "crew", "new", "sudo", "a,b"]), max_size=3),
        "password_hash": st.sampled_from([HASH, OTHER_HASH, "!", "plain"]),
    },
)
FULL_GROUPS = st.fixed_dictionaries(
    {"name": st.sampled_from(["team", "crew", "new", "anna", "sudo", "a,b"])},
    optional={"gid": st.sampled_from([6000, 6001, 1500, 5000, 27, 2**31])},
)


@settings(max_examples=200)
@given(
    st.lists(FULL_USERS, max_size=4, unique_by=lambda record: record["id"]),
    st.lists(FULL_GROUPS, max_size=3, unique_by=lambda record: record["name"]),
)
def test_each_record_is_refused_or_exactly_its_lines_are_in_the_files(
    people: list[dict[str, Any]], teams: list[dict[str, Any]]
) -> None:
    """Roster file to account files and back: what a record says is what the C library reads, or it is reported."""
    content = document.canonical(
        {"format": document.FORMAT, "source": {}, "users": people, "groups": teams, "rejected": []}
    )
    wanted = document.parse(content)
    assert document.parse(document.serialise(wanted)) == wanted
    world = World(host=FakeHost(all_missing=True))
    plan = world.run(wanted)
    files = Accounts.parse(dict(world.contents))
    assert {name: table.content() for name, table in files.tables()} == world.contents
    outcome = plan.outcome
    reported: set[tuple[str, str | None]] = {(entry.kind, entry.name) for entry in outcome.rejected}
    reported.update((failure.kind, failure.name) for failure in outcome.failed)
    unusable = {name for kind, name in reported if kind == "group"}
    for record in people:
        assert ("user", record["username"]) in reported or _is_as_said(record, files, world, unusable), record
    for record in teams:
        row = files.group.get(record["name"])
        said = row is not None and record.get("gid", number(row[2])) == number(row[2])
        assert ("group", record["name"]) in reported or said, record
    # And nothing else came: what a record that is reported brought along would be an account of nobody.
    before = World()
    for file in ("passwd", "group"):
        table = Table(before.contents[file] or b"", WIDTHS[file])
        new = set(getattr(files, file).names()) - set(table.names())
        people_names = {record["username"] for record in people if ("user", record["username"]) not in reported}
        asked = people_names | ({group.name for group in wanted.groups} if file == "group" else set())
        assert new <= asked, (file, new - asked)


def _is_as_said(record: dict[str, Any], files: Accounts, world: World, unusable: set[str | None]) -> bool:
    """Each field of passwd, shadow, group and gshadow as the record says, and as an account must be otherwise."""
    name = record["username"]
    row, shadow = files.passwd.get(name), files.shadow.get(name)
    assert row is not None and shadow is not None
    _name, password, uid, gid, full_name, home, shell = row
    assert password == "x"
    assert number(uid) == record.get("uid", number(uid)) and uid == str(number(uid))
    assert number(gid) == record.get("gid", number(gid)) and gid in {found[2] for found in files.group.rows()}
    assert full_name == record.get("full_name", "")
    assert home == record.get("home", f"/home/{name}")
    assert shell == (record["shell"] if world.host.has_shell(record.get("shell", "")) else "/bin/bash")
    wanted_hash = record.get("password_hash", "*")
    enabled = record.get("enabled", True)
    assert shadow[1] == (wanted_hash if enabled else "!" + wanted_hash)
    assert shadow[7] == ("" if enabled else "1")
    assert shadow[2:7] == [str(world.today), "1", "90", "14", "30"]
    listed = {found[0] for found in files.group.rows() if name in found[3].split(",")}
    primary = next(found[0] for found in files.group.rows() if found[2] == gid)
    asked = set(record.get("groups", ())) - unusable
    assert asked - {primary} <= listed
    assert listed - asked == ({"sudo"} if record.get("admin") and enabled else set())
    assert files.gshadow is not None
    for group in listed:
        assert name in files.gshadow.row(group)[3].split(",")
    return True
