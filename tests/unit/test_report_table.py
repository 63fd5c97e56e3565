# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary table: whatever the fleet, it fits 80 columns, adds up, and says who failed and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._outcome import Failure
from ansible_collections.identity.roster.plugins.module_utils._report.records import (
    COLUMNS,
    FAILED,
    OK,
    TARGETS,
    UNREACHABLE,
    name_of,
    read_record,
)
from ansible_collections.identity.roster.plugins.module_utils._report.summary import Report
from ansible_collections.identity.roster.plugins.module_utils._report.table import WIDTH, Caps, table
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected

from .report_cases import CENSORED, CREATE, DISABLE, ENTRY, GROUP, JSON, answer


def report_of(*results: tuple[str, str, str, dict[str, Any]], check: bool = False) -> Report:
    """Of results given as target, host, status, result."""
    report = Report("4f2a90c1d3b7")
    for target, host, status, result in results:
        record = read_record(target, host, check, status, result)
        if record is not None:
            report.add(record)
    return report


def rows(text: str) -> dict[str, list[str]]:
    """First words of a line to its nine cells."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(.{25})((?:\s+\S+){9})", line)
        if match:
            found[match[1].strip()] = match[2].split()
    return found


def cells(**counts: int) -> list[str]:
    return [str(counts[name]) if name in counts else "-" for name in COLUMNS]


def test_the_whole_of_a_table() -> None:
    digest = "0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77"
    refusal = (
        "This plan goes too far: it would disable 4 of 5 owned accounts, and the limit disables allows 3 (the larger "
        "of 3 and 5 %): a, b, c, d. Nothing was written. If the source is right, approve=" + digest
    )
    rejected = [Rejected("user", "username", "is all digits, which programs take for an id", name="4711")]
    report = report_of(
        ("linux_accounts", "deb12-1", OK, answer(CREATE, DISABLE, GROUP, rejected=rejected, pending=["anna"])),
        ("linux_accounts", "deb12-2", OK, answer(rejected=rejected)),
        ("linux_accounts", "deb12-3", OK, answer(rejected=rejected)),
        (
            "linux_accounts",
            "deb13-1",
            FAILED,
            answer(CREATE, failed=[Failure("user", "carl", "uid 5 is taken")], msg="1 records could not be applied"),
        ),
        ("linux_accounts", "fileserver-of-the-studio.example.org", UNREACHABLE, {"msg": "no route to host"}),
        (
            "pleio_users",
            "acme",
            FAILED,
            answer(refused=[{}] * 4, summary={"disabled": 4, "rejected": 0}, plan_digest=digest, msg=refusal),
        ),
        ("sudo_rules", "deb12-1", FAILED, {"msg": "visudo is missing"}),
    )
    assert table(report, Caps()) == TABLE


TABLE = """\
identity.roster run 4f2a90c1d3b7

                              updated    disabled    rejected     pending
target                   created    enabled     removed      failed unreachable
linux_accounts
  deb13-1                     1     -     -     -     -     -     1     -     -
  fileserver-..xample.org     -     -     -     -     -     -     -     -     1
  deb12-1                     1     -     -     1     -     1     -     1     -
  2 hosts unchanged           -     -     -     -     -     2     -     -     -
pleio_users
  acme                        -     -     -     -     -     -     1     -     -
sudo_rules
  deb12-1                     -     -     -     -     -     -     1     -     -
total                         2     -     -     1     -     3     3     1     1

Refused plans, of which nothing was done:
  pleio_users on acme: 4 changes: This plan goes too far: it would disable 4 of
    5 owned accounts, and the limit disables allows 3 (the larger of 3 and 5 %):
    a, b, c, d. Nothing was written. If the source is right,
    approve=0f343b0931126a20f133d67c2b018a3b5f2c3d0a9f1d6c9b8b5f5a3a1d1c2e77

Failed:
  linux_accounts on deb13-1: user carl: uid 5 is taken
  sudo_rules on deb12-1: visudo is missing

Unreachable:
  linux_accounts on fileserver-of-the-studio.example.org: no route to host

Rejected and left as they are:
  linux_accounts on deb12-1 and 2 more hosts: user 4711: username is all digits,
    which programs take for an id

Also changed, and not in the columns:
  linux_accounts, group: 1 created
"""


def test_nothing_of_ours_is_no_table() -> None:
    report = Report("r")
    report.lose("web1", "no route to host")
    assert table(report, Caps()) == ""


def test_a_source_that_failed_is_told_although_no_target_was_reached() -> None:
    report = Report("r")
    report.add_source("csv_info", FAILED, None, "line 8 has no end")
    assert "no target was reached" in table(report, Caps())
    assert "csv_info: line 8 has no end" in table(report, Caps())


def test_what_a_run_is_undone_by_is_told_where_it_is_not_the_runs_own_id() -> None:
    own = report_of(("linux_accounts", "a", OK, answer(CREATE, run_id="4f2a90c1d3b7")))
    assert "snapshots" not in table(own, Caps())
    for run_ids, told in (("ab", "a, b"), ("abcd", "a, b, c ...")):
        report = report_of(*[("linux_accounts", "h", OK, answer(CREATE, run_id=each)) for each in run_ids])
        assert f"its snapshots on Linux hosts: {told}\n" in table(report, Caps())
    idle = report_of(("linux_accounts", "a", OK, answer(run_id="other")))
    assert "snapshots" not in table(idle, Caps()), "a run that changes nothing keeps none"


def test_check_mode_is_marked_and_never_added_to_what_was_done() -> None:
    report = report_of(("linux_accounts", "a", OK, answer(CREATE)), check=True)
    text = table(report, Caps())
    assert "CHECK MODE: nothing was changed" in text
    done = read_record("linux_accounts", "a", False, OK, answer(CREATE, DISABLE))
    assert done is not None
    report.add(done)
    first, second = table(report, Caps()).split("CHECK MODE")
    assert rows(first)["total"] == cells(created=1, disabled=1)
    assert rows(second)["total"] == cells(created=1)


@pytest.mark.parametrize(
    ("fleet", "changed", "failed", "lines"),
    [(10, 0, 0, 0), (2000, 20, 2, 22), (2000, 1500, 500, 40), (41, 41, 0, 40), (1, 1, 0, 1)],
)
def test_hosts_beyond_the_cap_are_summed(fleet: int, changed: int, failed: int, lines: int) -> None:
    results = []
    for index in range(fleet):
        result, status = answer(), OK
        if index < failed:
            result, status = answer(failed=[Failure("user", "x", f"reason {index % 3}")]), FAILED
        elif index < failed + changed:
            result = answer(CREATE)
        results.append(("linux_accounts", f"host{index:04}", status, result))
    text = table(report_of(*results), Caps())
    found = rows(text)
    names = [name for name in found if name.startswith("host")]
    assert len(names) == lines
    assert names == sorted(names), "those that failed come first, and here they have the first names"
    changed = min(changed, fleet - failed)
    assert found["total"] == cells(**{key: n for key, n in (("created", changed), ("failed", failed)) if n})
    for index, column in enumerate(COLUMNS):
        numbers = [int(row[index].replace("-", "0")) for name, row in found.items() if name != "total"]
        assert sum(numbers) == int(found["total"][index].replace("-", "0")), column
    assert len(text.splitlines()) < 80
    quiet = fleet - failed - changed
    assert (f"{quiet:,} hosts unchanged" in text) == (quiet > 1)


def test_numbers_that_are_too_wide_are_cut() -> None:
    summary = {"created": 20_000_000, "updated": 123_456, "enabled": 99_999, "removed": 10**14}
    text = table(report_of(("linux_accounts", "a", OK, answer(summary=summary))), Caps())
    assert rows(text)["total"] == ["20M", "123k", "99999", "-", ">9999", "-", "-", "-", "-"]


def test_long_lists_are_counted() -> None:
    failures = [Failure("user", f"user{index:03}", "why " * 300) for index in range(100)]
    text = table(report_of(("linux_accounts", "a", FAILED, answer(failed=failures))), Caps(entries=5))
    assert text.count("linux_accounts on a: user user") == 5
    assert "and 95 more, in the tasks' results" in text
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("words", ["short.", "it would disable everybody: " + "name, " * 500], ids=["short", "long"])
def test_the_digest_to_approve_is_there_in_one_piece(words: str) -> None:
    digest = "ab" * 32
    message = f"This plan goes too far: {words} If the source is right, approve={digest} lets exactly this plan through"
    result = answer(refused=[{}], plan_digest=digest, msg=message)
    text = table(report_of(*[("linux_accounts", f"host{n}", FAILED, result) for n in range(300)]), Caps())
    assert re.findall(r"approve=[0-9a-f]+", text) == [f"approve={digest}"]
    assert "host0 and 299 more hosts" in text


def test_a_result_under_no_log_counts_and_tells_nothing() -> None:
    text = table(
        report_of(
            ("linux_accounts", "a", OK, CENSORED),
            ("linux_accounts", "b", FAILED, {**CENSORED, "msg": "secret"}),
        ),
        Caps(),
    )
    assert rows(text)["b"] == cells(failed=1)
    assert "a" in rows(text) and "linux_accounts: 2 results" in text and "no_log hides why" in text
    assert "secret" not in text


def test_control_characters_are_escaped() -> None:
    evil = "x\x1b[2J\n\u202etotal   9"
    text = table(
        report_of(
            ("linux_accounts", evil, FAILED, answer(failed=[Failure("user", evil, evil)])),
            ("pleio_users", "a", UNREACHABLE, {"msg": evil}),
        ),
        Caps(),
    )
    assert all(line.isprintable() for line in text.splitlines())
    assert "\\x1b" in text and "\\u202e" in text


def test_hosts_lost_before_a_target_are_told_once() -> None:
    report = report_of(("linux_accounts", "a", UNREACHABLE, {"msg": "gone"}), ("linux_accounts", "b", OK, answer()))
    for host in ("a", "c", "d"):
        report.lose(host, "no route to host")
    text = table(report, Caps())
    assert "Unreachable before any target:\n  c and 1 more host: no route to host" in text


def test_an_attempt_that_is_repeated_leaves_only_what_it_did() -> None:
    report = Report("r")
    failed = [Failure("user", "carl", "later")]
    first = read_record("linux_accounts", "a", False, OK, answer(CREATE, failed=failed))
    last = read_record("linux_accounts", "a", False, OK, answer(DISABLE))
    assert first is not None and last is not None
    report.add(first.superseded())
    report.add(last)
    assert rows(table(report, Caps()))["a"] == cells(created=1, disabled=1)


@pytest.mark.parametrize(
    ("target", "status", "result", "counts"),
    [
        pytest.param("linux_snapshot", OK, answer(run_id=None), False, id="listing snapshots is no change"),
        pytest.param("linux_snapshot", OK, answer(CREATE, run_id="undo-1"), True, id="restoring one is"),
        pytest.param("pleio_users", OK, {"ansible_job_id": "1.2", "started": 1}, False, id="an asynchronous start"),
        pytest.param("pleio_users", FAILED, {"msg": "crash"}, True, id="a module that crashed"),
        pytest.param("pleio_users", OK, {"changes": "x", "summary": []}, False, id="no contract"),
        pytest.param("pleio_users", UNREACHABLE, {}, True, id="an unreachable host"),
    ],
)
def test_what_counts(target: str, status: str, result: dict[str, Any], counts: bool) -> None:
    assert (read_record(target, "a", False, status, result) is not None) == counts


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("identity.roster.linux_accounts", "linux_accounts"),
        ("identity.roster.sub.x", "sub.x"),
        ("ansible.builtin.user", None),
        ("other.roster.linux_accounts", None),
        ("linux_accounts", None),
    ],
)
def test_only_modules_of_this_collection_are_known(action: str, name: str | None) -> None:
    assert name_of(action) == name


KEYS = {
    "changes": st.lists(ENTRY, max_size=3) | JSON,
    "summary": st.dictionaries(st.sampled_from(COLUMNS), st.integers(0, 10**12) | JSON),
    "rejected": st.lists(ENTRY, max_size=3) | JSON,
    "failures": st.lists(ENTRY, max_size=3) | JSON,
    "refused": JSON,
    "plan_digest": JSON,
    "roster_digest": JSON,
    "run_id": JSON,
    "msg": JSON,
    "changed": JSON,
}


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(TARGETS)),
            st.text(),
            st.sampled_from([OK, FAILED, UNREACHABLE]),
            st.fixed_dictionaries({}, optional=KEYS),
        ),
        max_size=4,
    )
)
def test_garbage_breaks_neither_the_run_nor_the_table(results: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    for line in table(report_of(*results), Caps()).splitlines():
        assert len(line) <= WIDTH and line.isprintable(), line
