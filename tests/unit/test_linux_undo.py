# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three-way merge of an undo, in tables: before the run, after it, and what others did since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux import record as records
from ansible_collections.identity.roster.plugins.module_utils._linux.ledger import Disabled, Ledger, OwnedUser
from ansible_collections.identity.roster.plugins.module_utils._linux.record import Record
from ansible_collections.identity.roster.plugins.module_utils._linux.undo import undo
from ansible_collections.identity.roster.plugins.module_utils._linux.undo_changes import describe
from ansible_collections.identity.roster.plugins.module_utils._linux.undo_draft import Bounds, Undone
from ansible_collections.identity.roster.plugins.module_utils._linux.undo_merge import (
    Members,
    merge_group,
    merge_lines,
)

Files = dict[str, str]
PASSWD = "root:x:0:0:root:/root:/bin/bash\nlocal:x:20000:20000::/home/local:/bin/bash\n"
SHADOW = "root:*:1::::::\nlocal:$6$l:1::::::\n"
GROUP = "root:x:0:\nsudo:x:27:local\nlocal:x:20000:\n"
GSHADOW = "root:*::\nsudo:*::local\nlocal:!::\n"
BASE: Files = {"passwd": PASSWD, "shadow": SHADOW, "group": GROUP, "gshadow": GSHADOW, "subuid": "", "subgid": ""}
ANNA: Files = {
    "passwd": "anna:x:5000:5000:Anna:/home/anna:/bin/bash\n",
    "shadow": "anna:$6$old:19000:0:99999:7:::\n",
    "group": "anna:x:5000:\n",
    "gshadow": "anna:!::\n",
    "subuid": "anna:100000:65536\n",
    "subgid": "anna:100000:65536\n",
}
OWNED = Ledger({"id-anna": OwnedUser("anna", 5000, 5000, private_group=True)})
BOUNDS = Bounds({"root": "is root", "ansible": "is the account that Ansible is connected as"})


def files(*parts: Mapping[str, str]) -> Files:
    """The files with more lines in each."""
    return {name: text + "".join(part.get(name, "") for part in parts) for name, text in BASE.items()}


def swap(host: Files, name: str, old: str, new: str) -> Files:
    assert old in host[name]
    return {**host, name: host[name].replace(old, new)}


def data(host: Files) -> dict[str, bytes | None]:
    return {name: text.encode() for name, text in host.items()}


def recorded(
    before: Files, after: Files, ledger_before: Ledger | None = None, ledger_after: Ledger | None = None
) -> Record:
    changed = {name: text.encode() for name, text in after.items() if text != before[name]}
    lines = records.changed_lines(data(before), changed)
    return Record(data(before), lines, records.digests(changed), ledger_before or Ledger(), ledger_after or Ledger())


def undone(record: Record, now: Files, ledger: Ledger | None = None, bounds: Bounds = BOUNDS) -> tuple[Files, Undone]:
    done = undo(data(now), ledger if ledger is not None else record.ledger_after, record, bounds)
    again = undo(done.contents, done.ledger, record, bounds)
    assert again.contents == done.contents and again.ledger == done.ledger, "an undo made again changes something"
    return {name: (text or b"").decode() for name, text in done.contents.items()}, done


def kept(done: Undone) -> set[tuple[str, str]]:
    return {(entry.name, entry.field) for entry in done.kept}


DISABLED = swap(swap(files(ANNA), "shadow", "anna:$6$old:19000:0:99999:7:::", "anna:!$6$old:19000:0:99999:7::1:"),
                "passwd", "Anna:", "Anna Schmidt:")  # fmt: skip
SINCE: dict[str, tuple[str, str, str, str, str, set[tuple[str, str]]]] = {
    # what others did: file, old, new -> file, what is there afterwards, what is reported
    "a shell": ("passwd", "anna:/bin/bash", "anna:/bin/zsh",
                "passwd", "anna:x:5000:5000:Anna:/home/anna:/bin/zsh", set()),
    "the same field": ("passwd", "Anna Schmidt", "A. S.",
                       "passwd", "anna:x:5000:5000:A. S.:/home/anna:/bin/bash", {("anna", "full_name")}),
    "the old value by hand": ("passwd", "Anna Schmidt", "Anna",
                              "passwd", "anna:x:5000:5000:Anna:/home/anna:/bin/bash", set()),
    "a new password": ("shadow", "!$6$old:19000", "!$6$new:20000",
                       "shadow", "anna:$6$new:20000:0:99999:7:::", set()),
    "the lock alone": ("shadow", "anna:!", "anna:",
                       "shadow", "anna:$6$old:19000:0:99999:7::1:", {("anna", "enabled")}),
    "the expiry alone": ("shadow", "7::1:", "7::20500:",
                         "shadow", "anna:!$6$old:19000:0:99999:7::20500:", {("anna", "enabled")}),
    "another age": ("shadow", "99999", "90", "shadow", "anna:$6$old:19000:0:90:7:::", set()),
    "a second line": ("shadow", "anna:!", "anna:x:::::::\nanna:!",
                      "shadow", "anna:x:::::::\nanna:!$6$old:19000:0:99999:7::1:", {("anna", "shadow")}),
    "a comment": ("passwd", "root:x", "# mine\nroot:x", "passwd", "# mine\nroot:x", set()),
}  # fmt: skip


@pytest.mark.parametrize("since", sorted(SINCE))
def test_what_others_changed_since_stays(since: str) -> None:
    file, old, new, where, expected, report = SINCE[since]
    record = recorded(files(ANNA), DISABLED)
    now, done = undone(record, swap(DISABLED, file, old, new))
    assert f"{expected}" in now[where]
    assert kept(done) == report
    assert done.failed == []
    assert "$6$" not in repr(done.kept)


def test_untouched_the_old_bytes_are_back_in_their_order() -> None:
    after = {**files(), "passwd": "".join(reversed(PASSWD.splitlines(keepends=True)))}
    before = files(ANNA)
    record = recorded(before, after, OWNED)
    now, done = undone(record, after)
    assert now == before
    assert done.ledger == OWNED
    assert done.returning == {"anna"}


def test_an_account_that_the_run_made_goes_with_all_that_is_its_own() -> None:
    """Also memberships that others gave it; the home stays and is named."""
    after = files(ANNA)
    record = recorded(files(), after, Ledger(), OWNED)
    since = swap(
        swap(after, "group", "sudo:x:27:local", "sudo:x:27:local,anna"), "gshadow", "::local", ":anna:local,anna"
    )
    now, done = undone(record, since)
    assert now == files()
    ((key, entry),) = done.ledger.users.items()
    assert entry == replace(OWNED.users[key], removed=0), "its uid stays its own"
    assert [entry.as_dict() for entry in done.homes_left] == [{"name": "anna", "home": "/home/anna"}]
    assert done.leaving == {"anna"}


def test_a_membership_of_its_name_from_before_the_run_stays() -> None:
    before = swap(files(), "group", "sudo:x:27:local", "sudo:x:27:local,anna")
    record = recorded(before, {**before, **{name: before[name] + ANNA[name] for name in ANNA}}, Ledger(), OWNED)
    now, _done = undone(record, {name: before[name] + ANNA[name] for name in ANNA})
    assert now == before


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        (("passwd", "anna:x:5000", "anna:x:5001"), "someone replaced it"),
        (("passwd", "anna:x:5000", "anna:x:oops"), None),
    ],
    ids=["another uid", "no uid"],
)
def test_an_account_that_is_another_now_stays(since: tuple[str, str, str], reason: str | None) -> None:
    after = files(ANNA)
    now, done = undone(recorded(files(), after, Ledger(), OWNED), swap(after, *since))
    assert "anna" in now["passwd"] and "anna:$6$old" in now["shadow"]
    assert done.ledger == OWNED, "what stays is still ours"
    if reason:
        assert [failure.reason for failure in done.failed if reason in failure.reason]
    else:
        assert kept(done) >= {("anna", "account")}


RETURNS: dict[str, tuple[str, str, str]] = {
    # what others did since: file, a line -> words of the failure
    "its uid": ("passwd", "bert:x:5000:5001::/home/bert:/bin/sh\n", "its uid 5000 belongs to 'bert' now"),
    "its uid on a line that is short": ("passwd", "bert:x:5000:5001\n", "its uid 5000 belongs to 'bert' now"),
    "its name": ("passwd", "anna:x:5007:5007::/home/anna:/bin/sh\n", "the name belongs to another account now"),
    "its name on a line that is short": ("passwd", "anna:x\n", "not well-formed"),
    "its group's name": ("group", "anna:x:7000:\n", "another group has its name now"),
    "its group's gid": ("group", "crew:x:5000:\n", "its gid 5000 belongs to 'crew' now"),
}


@pytest.mark.parametrize("taken", sorted(RETURNS))
def test_a_removed_account_whose_place_is_taken_stays_away_and_the_others_go_on(taken: str) -> None:
    file, line, words = RETURNS[taken]
    bert = {name: text.replace("anna", "carl").replace("5000", "5005") for name, text in ANNA.items()}
    record = recorded(files(ANNA, bert), files(), OWNED, Ledger())
    now, done = undone(record, files({file: line}))
    assert words in " ".join(failure.reason for failure in done.failed if failure.name == "anna")
    assert "anna:$6$old" not in now["shadow"]
    assert "carl:$6$old" in now["shadow"] and "carl:x:5005" in now["passwd"]
    assert done.ledger == Ledger()


def test_a_removed_account_comes_back_with_everything_but_subordinate_ids_given_to_another() -> None:
    before = swap(files(ANNA), "group", "sudo:x:27:local", "sudo:x:27:anna,local")
    record = recorded(before, files(), OWNED, Ledger({"id-anna": OwnedUser("anna", 5000, 5000, True, removed=20000)}))
    since = files({"subuid": "bert:150000:65536\n", "shadow": "anna:$6$stranger:::::::\n"})
    now, done = undone(record, since)
    assert "anna:$6$old:19000" in now["shadow"] and "stranger" not in now["shadow"]
    assert "sudo:x:27:anna,local" in now["group"]
    assert now["subuid"] == "bert:150000:65536\n" and now["subgid"] == "anna:100000:65536\n"
    assert kept(done) == {("anna", "subuid")}
    assert done.ledger == OWNED


def renamed() -> tuple[Files, Files, Ledger, Ledger]:
    """anna is called berta since the run, and has another home."""
    host = files(ANNA)
    after = {name: text.replace("anna", "berta") for name, text in host.items()}
    former = OwnedUser("berta", 5000, 5000, private_group=True)
    return host, after, OWNED, Ledger({"id-anna": former})


def test_a_renamed_account_gets_its_name_and_its_home_back() -> None:
    before, after, old, new = renamed()
    record = recorded(before, after, old, new)
    now, done = undone(record, swap(after, "passwd", "berta:/bin/bash", "berta:/bin/zsh"))
    assert now["group"] == before["group"] and now["shadow"] == before["shadow"]
    assert done.ledger == old
    assert done.homes_left == []
    assert [(move.now, move.username, move.home, move.former) for move in done.moves] == [
        ("berta", "anna", "/home/berta", "/home/anna")
    ]
    changes = describe(data(after), done.contents, new, done.ledger)
    assert [(change.name, change.action, change.fields["username"]) for change in changes] == [
        ("anna", "rename", ("berta", "anna"))
    ]


@pytest.mark.parametrize("line", ["anna:x:5009:5009::/:/bin/sh\n", "anna\n"], ids=["another anna", "a malformed line"])
def test_a_renamed_account_whose_former_name_is_taken_keeps_the_new_one(line: str) -> None:
    before, after, old, new = renamed()
    now, done = undone(recorded(before, after, old, new), {**after, "passwd": after["passwd"] + line})
    assert "berta:x:5000:5000" in now["passwd"] and "berta:$6$old" in now["shadow"]
    assert {failure.name for failure in done.failed} == {"anna", "berta"}
    assert done.ledger == new and not done.moves


def test_an_account_renamed_by_a_later_run_is_left_to_that_run() -> None:
    _before, after, _old, new = renamed()
    record = recorded(files(), files(ANNA), Ledger(), OWNED)
    now, done = undone(record, after, new)
    assert now["passwd"] == after["passwd"]
    assert done.ledger == new
    assert kept(done) == {("anna", "account")}


PROTECTED = [
    ("by the caller", 5000, Bounds({"anna": "is in protected_users"})),
    ("as a system account", 999, Bounds({}, uid_min=1000)),
]


@pytest.mark.parametrize(("uid", "bounds"), [row[1:] for row in PROTECTED], ids=[row[0] for row in PROTECTED])
def test_protected_accounts_never_change(uid: int, bounds: Bounds) -> None:
    anna = {name: text.replace("5000", str(uid)) for name, text in ANNA.items()}
    disabled = {**files(anna), "shadow": DISABLED["shadow"]}
    for before, after in ((files(), files(anna)), (files(anna), disabled)):
        now, done = undone(recorded(before, after, Ledger(), OWNED), after, OWNED, bounds)
        for name in ("passwd", "shadow"):
            assert now[name] == after[name]
        assert kept(done) >= {("anna", "account")}
        assert done.ledger == OWNED


def test_a_protected_member_stays_in_its_group() -> None:
    before, after = files(), swap(files(), "group", "sudo:x:27:local", "sudo:x:27:local,anna")
    now, done = undone(recorded(before, after), after, bounds=Bounds({"anna": "is in protected_users"}))
    assert now["group"] == after["group"]
    assert kept(done) == {("anna", "groups")}


def test_an_account_with_processes_is_not_removed() -> None:
    after = files(ANNA)
    now, done = undone(recorded(files(), after, Ledger(), OWNED), after, bounds=Bounds({}, busy=frozenset({5000})))
    assert now == after and done.ledger == OWNED
    assert "running processes" in done.failed[0].reason


MEMBERS = {
    # before, after, now, what comes out
    "untouched": ("a,b", "a,c", "a,c", "a,b"),
    "others joined": ("a,b", "a,c", "a,c,d", "a,d,b"),
    "others left": ("a,b", "a,b,c", "b,c", "b"),
    "who came was put in again": ("a", "a,c", "c,a", "a"),
    "who went came back by hand": ("a,b", "a", "a,b", "a,b"),
    "who went has no account any more": ("a,gone", "a", "a", "a"),
    "protected": ("a", "a,safe", "a,safe", "a,safe"),
    "odd commas": ("a,,b", "a", "a", "a,,b"),
}
RULES = Members(may_leave=lambda name: name != "safe", may_return=lambda name: name != "gone")


@pytest.mark.parametrize("case", sorted(MEMBERS))
def test_members_are_sets(case: str) -> None:
    for file, line in (("group", "team:x:6000:{}"), ("gshadow", "team:!::{}"), ("gshadow", "team:!:{}:")):
        before, after, now, expected = ([line.format(names)] for names in MEMBERS[case])
        assert merge_group(file, "team", before, after, now, RULES).lines == expected


TEAM: Files = {"group": "team:x:6000:anna\n", "gshadow": "team:!::anna\n"}


def test_a_group_that_the_run_made_goes() -> None:
    after = files(ANNA, TEAM)
    new = Ledger(OWNED.users, {"team": 6000})
    now, done = undone(recorded(files(ANNA), after, OWNED, new), after)
    assert now == files(ANNA) and done.ledger == OWNED


@pytest.mark.parametrize(
    ("file", "old", "new", "field"),
    [
        ("group", "6000:anna", "6000:anna,local", "got other members since: local"),
        ("passwd", "local:x:20000:20000", "local:x:20000:6000", "is the primary group of local"),
    ],
    ids=["members", "primary group"],
)
def test_a_group_that_others_use_now_stays_without_the_members_of_the_run(
    file: str, old: str, new: str, field: str
) -> None:
    after = files(ANNA, TEAM)
    ledger = Ledger(OWNED.users, {"team": 6000})
    now, done = undone(recorded(files(ANNA), after, OWNED, ledger), swap(after, file, old, new))
    row = next(line for line in now["group"].splitlines() if line.startswith("team:"))
    assert row in ("team:x:6000:local", "team:x:6000:")
    assert [entry.reason for entry in done.kept] == [field]
    assert done.ledger == ledger, "what stays is still ours"


def test_an_empty_password_never_comes_back() -> None:
    """The run had closed such an account; and one that was removed comes back without a password."""
    empty = {**ANNA, "shadow": "anna::19000:0:99999:7:::\n"}
    closed = {**ANNA, "shadow": "anna:*:19000:0:99999:7:::\n"}
    now, done = undone(recorded(files(empty), files(closed), OWNED, OWNED), files(closed))
    assert now["shadow"] == files(closed)["shadow"] and kept(done) == {("anna", "password_hash")}
    now, done = undone(recorded(files(empty), files(), OWNED, Ledger()), files())
    assert "anna:*:19000" in now["shadow"] and "anna:x:5000" in now["passwd"]


def test_a_later_change_of_the_ledger_stays() -> None:
    """The run disabled; a later one noted another reason."""
    disabled = OwnedUser("anna", 5000, 5000, True, disabled=Disabled("source", 20000, ""))
    later = OwnedUser("anna", 5000, 5000, True, disabled=Disabled("missing", 20001, ""))
    record = recorded(files(ANNA), DISABLED, OWNED, Ledger({"id-anna": disabled}))
    _now, done = undone(record, DISABLED, Ledger({"id-anna": later, "id-bert": OwnedUser("bert", 5001, 5001)}))
    assert done.ledger.users == {"id-anna": later, "id-bert": OwnedUser("bert", 5001, 5001)}


def test_files_that_the_host_no_longer_has_are_left_out() -> None:
    after = files(ANNA)
    record = recorded(files(), after, Ledger(), OWNED)
    now: dict[str, Any] = {**data(after), "gshadow": None, "subuid": None}
    done = undo(now, OWNED, record, BOUNDS)
    assert done.contents["gshadow"] is None and done.contents["subuid"] is None
    assert done.contents["passwd"] == PASSWD.encode()


def test_the_rest_of_a_group_whose_removal_was_cut_off_goes() -> None:
    """Killed after group and before gshadow."""
    after = files(ANNA, TEAM)
    record = recorded(files(ANNA), after, OWNED, Ledger(OWNED.users, {"team": 6000}))
    now, done = undone(record, {**after, "group": files(ANNA)["group"]})
    assert now == files(ANNA) and done.ledger == OWNED


def test_subordinate_ranges_merge_by_line() -> None:
    merged = merge_lines("subuid", "anna", ["anna:1:1"], ["anna:1:1", "anna:5:5"], ["anna:5:5", "anna:9:9"])
    assert merged.lines == ["anna:9:9"]
