# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Artifacts of a run: true to the results, without a secret, and with nothing in them that could be a template."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.filter.artifacts import FilterModule
from ansible_collections.identity.roster.plugins.module_utils._outcome import SUMMARY, Failure, Outcome
from ansible_collections.identity.roster.plugins.module_utils._report.artifacts import (
    TARGETS,
    WIDTH,
    describe,
    harmless,
    run_artifacts,
)
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected

from .report_cases import CENSORED, CREATE, DISABLE, ENTRY, GROUP, JSON, answer

DIGEST = "9f" * 32
BAD = Rejected("user", "username", "is odd", name="{{ lookup('pipe', 'touch x') }}")
NO_USERS = {"created": 0, "updated": 0, "enabled": 0, "disabled": 0, "removed": 0}
NOTHING = {**NO_USERS, "unchanged": 0, "rejected": 0, "failed": 0, "pending": 0}
UNREACHABLE = {"unreachable": True, "changed": False, "msg": "no route"}
#: As a module fails before there is a plan.
BROKEN = {**answer(), "failed": True, "msg": "the lock is held"}
REFUSED = {**Outcome([DISABLE, GROUP]).as_refused(), "failed": True, "msg": "This plan goes too far"}
PARTLY = {**answer(CREATE, failed=[Failure("user", "carl", "is taken")]), "failed": True, "msg": "1 record"}

EMPTY = {
    "summary": NOTHING, "hosts": 1, "plans": {}, "refused": [], "refused_summary": NO_USERS, "without_result": [],
    "rejected": [], "failed": [],
}  # fmt: skip
LOST = {"hosts": 0, "without_result": ["web1"]}


def plan_of(result: dict[str, Any]) -> dict[str, str]:
    return {"web1": result["plan_digest"]}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param(answer(unchanged=4), {}, id="nothing"),
        pytest.param(
            answer(CREATE, DISABLE, GROUP, pending=["anna"]),
            {
                "summary": {**NOTHING, "created": 1, "disabled": 1, "pending": 1},
                "plans": plan_of(answer(CREATE, DISABLE, GROUP)),
            },
            id="changes",
        ),
        pytest.param(answer(GROUP), {"plans": plan_of(answer(GROUP))}, id="only a group"),
        pytest.param(
            REFUSED,
            {
                "plans": plan_of(answer(DISABLE, GROUP)),
                "refused": ["web1"],
                "refused_summary": {**NO_USERS, "disabled": 1},
            },
            id="refused",
        ),
        pytest.param(
            PARTLY,
            {"summary": {**NOTHING, "created": 1, "failed": 1}, "failed": ["carl"], "plans": plan_of(answer(CREATE))},
            id="one record failed",
        ),
        pytest.param(
            answer(rejected=[BAD, Rejected("user", "uid", "is odd", record="line 7")]),
            {"summary": {**NOTHING, "rejected": 2}, "rejected": ["line 7", "{ { lookup('pipe', 'touch x') }}"]},
            id="rejected",
        ),
        pytest.param(BROKEN, LOST, id="failed before there was a plan"),
        pytest.param(UNREACHABLE, LOST, id="unreachable"),
        pytest.param({"failed": True, "msg": "MODULE FAILURE"}, LOST, id="crashed"),
        pytest.param({"skipped": True, "changed": False}, LOST, id="skipped"),
        pytest.param(CENSORED, LOST, id="no_log"),
        pytest.param(None, LOST, id="never ran"),
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_what_one_host_leaves(target: str, result: Any, expected: dict[str, Any]) -> None:
    given = {"web1": result} if result is not None else {}
    made = run_artifacts(target, given, ["web1"], True, DIGEST)
    assert made == {"check_mode": True, "roster_digest": DIGEST, target: {**EMPTY, **expected}}


def test_hosts_are_added_up_and_say_a_name_once() -> None:
    results = {
        "a": answer(CREATE, rejected=[BAD]), "b": answer(CREATE, DISABLE, rejected=[BAD]), "c": REFUSED,
        "d": {**PARTLY, "rejected": [BAD.as_dict()]}, "e": UNREACHABLE, "f": BROKEN, "other": answer(CREATE),
    }  # fmt: skip
    made = run_artifacts("linux_accounts", results, ["a", "b", "c", "d", "e", "f", "g"], False, None)
    assert made == {
        "check_mode": False,
        "roster_digest": None,
        "linux_accounts": {
            "summary": {**NOTHING, "created": 3, "disabled": 1, "rejected": 2, "failed": 1},
            "hosts": 4,
            "plans": {host: results[host]["plan_digest"] for host in "abcd"},
            "refused": ["c"],
            "refused_summary": {**NO_USERS, "disabled": 1},
            "without_result": ["e", "f", "g"],
            "rejected": ["{ { lookup('pipe', 'touch x') }}"],
            "failed": ["carl"],
        },
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna", "anna"),
        ("{{ x }}", "{ { x }}"),
        ("{{{{", "{ { { {"),
        ("{% raw %}{#", "{ % raw %}{ #"),
        ("a\n{\x1b{", "a\\n{\\x1b{"),
        ("{\x00{", "{\\x00{"),
        ("{}", "{}"),
        (None, ""),
        (5, "5"),
    ],
)
def test_no_text_is_a_template(text: Any, expected: str) -> None:
    assert harmless(text) == expected


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


BRACES = st.text(alphabet="{%#} a\n\u200b\0") | st.text()
NAMED = st.dictionaries(st.sampled_from(["name", "id", "record", "kind", "action"]), BRACES)
RESULT = JSON | st.fixed_dictionaries(
    {"changes": st.lists(NAMED | JSON, max_size=3), "summary": st.dictionaries(st.sampled_from(SUMMARY), JSON)},
    optional={
        "failed": JSON, "unreachable": JSON, "rejected": st.lists(NAMED | ENTRY, max_size=3) | JSON,
        "failures": st.lists(NAMED, max_size=3), "refused": st.lists(NAMED | JSON, max_size=3) | JSON,
        "plan_digest": BRACES | JSON,
    },
)  # fmt: skip


@given(st.dictionaries(BRACES, RESULT, max_size=4), st.lists(BRACES, max_size=3))
def test_whatever_hosts_answer_it_is_harmless_json_that_can_be_told(results: dict[str, Any], more: list[str]) -> None:
    made = run_artifacts("pleio_users", results, [*results, *more], True, "{{ 1 }}")
    assert json.loads(json.dumps(made)) == made
    assert not [text for text in texts(made) if any(start in text for start in ("{{", "{%", "{#"))]
    assert all(isinstance(count, int) for count in made["pleio_users"]["summary"].values())
    assert all(len(line) <= WIDTH and line.isprintable() for line in describe(made))


def test_the_words_for_who_approves() -> None:
    results = {
        "a": answer(CREATE, rejected=[BAD]), "b": answer(DISABLE), "c": REFUSED, "d": PARTLY, "e": UNREACHABLE,
        "f": answer(GROUP),
    }  # fmt: skip
    artifact = run_artifacts("linux_accounts", results, list("abcdef"), True, DIGEST)
    artifact.update(run_artifacts("ftrack_users", {"studio": answer()}, ["studio"], True, DIGEST))
    assert describe(artifact) == [
        "DRY RUN of the roster 9f9f9f9f9f9f: nothing was changed",
        "",
        "linux_accounts: 5 hosts answered, 5 would change",
        "  Changes on 4 hosts, users: 2 created, 1 disabled",
        "  REFUSED on 1 host, users: 1 disabled. These plans go too far or",
        "    were not approved; an approval lets exactly them through: c",
        "  NO RESULT, so nothing that could be approved (1): e",
        "  FAILED records (1): carl",
        "  Rejected records, left as they are (1): { { lookup('pipe', 'touch",
        "    x') }}",
        "",
        "ftrack_users: 1 host answered, nothing would change",
        "",
        "Who would be changed, and how, is in the output of the dry run's",
        "job.",
    ]
    only_groups = run_artifacts("linux_accounts", {"f": answer(GROUP)}, ["f"], True, DIGEST)
    assert "  Changes on 1 host, not of users but of groups and the like" in describe(only_groups)
    many = run_artifacts("linux_accounts", {}, [f"h{number:04d}" for number in range(2000)], True, None)
    assert "linux_accounts: no host answered" in describe(many)
    assert "h0019 and 1,980" in " ".join(describe(many)) and "h0020" not in " ".join(describe(many))


@pytest.mark.parametrize(
    ("artifact", "words"),
    [
        (None, "there is no artifact of a dry run"),
        ("", "there is no artifact of a dry run"),
        ({}, "there is no artifact of a dry run"),
        ({"check_mode": True, "roster_digest": DIGEST}, "there is no artifact of a dry run"),
        ({"check_mode": True, "linux_accounts": "x"}, "there is no artifact of a dry run"),
        (run_artifacts("linux_accounts", {}, ["a"], False, None), "a run that made its changes"),
        ({"linux_accounts": {}}, "a run that made its changes"),
        ({"check_mode": "True", "linux_accounts": {}}, "a run that made its changes"),
    ],
)
def test_nothing_else_is_told_for_a_dry_run(artifact: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        FilterModule().filters()["describe_artifacts"](artifact)


def test_the_filter_takes_hosts_variables() -> None:
    run = FilterModule().filters()["run_artifacts"]
    variables = {"a": {"result": answer(CREATE)}, "b": {}}
    made = run(variables, "linux_accounts", "result", ["a", "b", "c"], True)
    assert (made["linux_accounts"]["hosts"], made["linux_accounts"]["without_result"]) == (1, ["b", "c"])
    with pytest.raises(AnsibleFilterError, match="the targets are linux_accounts"):
        run(variables, "sudo_rules", "result", ["a"], True)
