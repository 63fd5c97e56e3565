# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random hosts and runs: an undo right after a run brings back every byte, and an undo after anything does no harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._linux import ledger as ledgers
from ansible_collections.identity.roster.plugins.module_utils._linux import record as records
from ansible_collections.identity.roster.plugins.module_utils._linux.record import Record
from ansible_collections.identity.roster.plugins.module_utils._linux.tables import Accounts, Table, inconsistencies
from ansible_collections.identity.roster.plugins.module_utils._linux.undo import undo, undo_all
from ansible_collections.identity.roster.plugins.module_utils._linux.undo_changes import describe
from ansible_collections.identity.roster.plugins.module_utils._linux.undo_draft import Bounds, Undone
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Roster

from .linux_hosts import HASH, OPTIONS, OTHER_HASH, SETTINGS, FakeHost, World
from .test_linux_fuzz import DRIFT, OPTION_CHANGES, ROSTERS, drift

BOUNDS = Bounds(OPTIONS.protected, SETTINGS.uid_min)
STEPS = st.lists(st.tuples(ROSTERS, OPTION_CHANGES), min_size=1, max_size=3)
Steps = list[tuple[Roster, dict[str, Any]]]


def recorded_run(world: World, wanted: Roster) -> Record:
    """Run, and what a snapshot of that run says when it is read again."""
    before, ledger = dict(world.contents), world.ledger.copy()
    world.run(wanted)
    after = {name: data for name, data in world.contents.items() if data is not None and data != before[name]}
    return Record(before, records.changed_lines(before, after), records.digests(after), ledger, world.ledger.copy())


def settle(world: World, done: Undone) -> None:
    """What holds after every undo; make it true."""
    before, after = Accounts.parse(dict(world.contents)), Accounts.parse(dict(done.contents))
    expected = (set(before.passwd.names()) - done.leaving) | done.returning
    assert inconsistencies(before, after, expected, tuple(BOUNDS.protected)) == []
    changes = describe(world.contents, done.contents, world.ledger, done.ledger)
    assert bool(changes) == (done.contents != world.contents or done.ledger != world.ledger)
    assert len({(change.kind, change.name) for change in changes}) == len(changes)
    text = repr(changes) + repr(done.kept) + repr(done.failed)
    assert not [secret for secret in (HASH, OTHER_HASH, "$6$", "$y$") if secret in text]
    world.contents, world.ledger = done.contents, done.ledger
    assert ledgers.parse(ledgers.serialise(done.ledger), "ledger") == done.ledger


def a_world(absent: tuple[str, ...], private_groups: bool) -> World:
    world = World(host=FakeHost(all_missing=True), settings=replace(SETTINGS, private_groups=private_groups))
    for name in absent:
        world.contents[name] = None
    return world


ABSENT = st.sampled_from([(), ("gshadow",), ("subuid", "subgid")])


def has_empty_password(world: World) -> bool:
    tables = (Table(world.contents["passwd"] or b"", 7), Table(world.contents["shadow"] or b"", 9))
    return any(row[1].strip("!") == "" for table in tables for row in table.rows())


@settings(max_examples=100)
@given(STEPS, st.lists(DRIFT, max_size=3), ABSENT, st.booleans())
def test_right_after_a_run_every_byte_comes_back(
    steps: Steps, spoiled: list[tuple[str, str, str, str]], absent: tuple[str, ...], private_groups: bool
) -> None:
    world = a_world(absent, private_groups)
    for wanted, options in steps[:-1]:
        world.with_options(**options).run(wanted)
    for spoil in spoiled:
        if spoil[0] not in absent:
            drift(world, *spoil)
    if has_empty_password(world):
        return  # an undo does not bring one back
    before, ledger = dict(world.contents), world.ledger.copy()
    world.with_options(**steps[-1][1])
    record = recorded_run(world, steps[-1][0])
    done = undo(world.contents, world.ledger, record, BOUNDS)
    assert done.failed == []
    settle(world, done)
    assert world.contents == before
    assert world.ledger == ledger
    again = undo(world.contents, world.ledger, record, BOUNDS)
    assert (again.contents, again.ledger) == (world.contents, world.ledger)


@settings(max_examples=100)
@given(STEPS, ABSENT, st.booleans())
def test_undone_one_by_one_or_all_at_once_it_is_the_same(
    steps: Steps, absent: tuple[str, ...], private_groups: bool
) -> None:
    """Newest first, back to the host as it was before the first run."""
    world = a_world(absent, private_groups)
    start, found = dict(world.contents), []
    for wanted, options in steps:
        found.append(recorded_run(world.with_options(**options), wanted))
    whole = undo_all(world.contents, world.ledger, found[::-1], BOUNDS)
    for record in reversed(found):
        settle(world, undo(world.contents, world.ledger, record, BOUNDS))
    assert world.contents == whole.contents == start
    assert world.ledger == whole.ledger
    assert not (world.ledger.groups or world.ledger.memberships)
    assert all(entry.removed is not None for entry in world.ledger.users.values()), "only uids are remembered"


@settings(max_examples=80)
@given(STEPS, st.integers(0, 2), st.lists(DRIFT, max_size=4), ABSENT, st.booleans())
def test_undoing_any_run_after_whatever_happened_does_no_harm(
    steps: Steps, which: int, spoiled: list[tuple[str, str, str, str]], absent: tuple[str, ...], private_groups: bool
) -> None:
    """Runs and careless hands come after it; a second undo has nothing to do, and the undo can be undone."""
    world = a_world(absent, private_groups)
    found = [recorded_run(world.with_options(**options), wanted) for wanted, options in steps]
    for spoil in spoiled:
        if spoil[0] not in absent:
            drift(world, *spoil)
    record = found[which % len(found)]
    before = Accounts.parse(dict(world.contents))
    settle(world, undo(world.contents, world.ledger, record, BOUNDS))
    after = Accounts.parse(dict(world.contents))
    touched = {name for names in record.lines.values() for name in names}
    for name in before.passwd.names():
        if name not in touched:
            assert before.passwd.get(name) == after.passwd.get(name)
            assert before.shadow.get(name) == after.shadow.get(name)
    again = undo(world.contents, world.ledger, record, BOUNDS)
    assert again.contents == world.contents
    assert again.ledger == world.ledger
