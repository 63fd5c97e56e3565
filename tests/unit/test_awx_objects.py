# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What awx_configure decides before it asks AWX for anything, by the kinds that it ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.filter.awx_objects import FilterModule
from ansible_collections.identity.roster.plugins.module_utils._awx.objects import awx_objects

KINDS = yaml.safe_load((Path(__file__).parents[2] / "playbooks/vars/awx_kinds.yml").read_text())["awx_kinds"]
OURS = {"organization": "Ours"}
ABSENT = {"state": "absent"}
NOWHERE = "which is neither in AWX nor among the variables"
#: An organization with one of each that the cases below name.
THERE = {
    "organizations": [["Ours", ""], ["Other", ""]],
    "credential_types": [["Machine", ""]],
    "inventories": [["Hosts", "Ours"]],
    "projects": [["Code", "Ours"]],
    "job_templates": [["Sync", "Ours"]],
    "workflow_job_templates": [["Flow", "Ours"]],
    "workflow_job_template_nodes": [["first", "Flow"], ["last", "Flow"]],
}


def compare(lists: dict[str, Any], there: dict[str, list[list[str]]] | None = None) -> list[dict[str, Any]]:
    """``lists`` and ``there`` without those that are empty."""
    every: dict[str, Any] = {rules["variable"]: [] for rules in KINDS}
    names: dict[str, list[list[str]]] = {rules["kind"]: [] for rules in KINDS}
    objects = awx_objects(KINDS, every | lists, names | (THERE if there is None else there))
    for each in objects:
        verb = "change" if each["action"] == "compare" else each["action"]
        assert each["line"] == f"{verb} {each['kind']}: {each['name']}"
        assert all(line.startswith(f"{each['kind']} {each['name']}: ") for line in each["problems"])
    return objects


def decided(lists: dict[str, Any], there: dict[str, list[list[str]]] | None = None) -> list[tuple[str, str]]:
    """(action, name) of what can be made."""
    objects = compare(lists, there)
    assert [each["problems"] for each in objects if each["problems"]] == []
    return [(each["action"], each["name"]) for each in objects]


def problems(**lists: Any) -> list[str]:
    return [line for each in compare(lists) for line in each["problems"]]


def flow(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"controller_workflows": [{"name": "Flow", **OURS, "simplified_workflow_nodes": [*nodes], **more}]}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"controller_hosts": None}, [], id="a-list-without-anything"),
        pytest.param({"controller_projects": [{"name": "New", **OURS}]}, [("create", "New")], id="not-there"),
        pytest.param({"controller_projects": [{"name": "Code", **OURS}]}, [("compare", "Code")], id="there"),
        pytest.param({"controller_projects": [{"name": "Code", **OURS, **ABSENT}]}, [("remove", "Code")], id="removed"),
        pytest.param({"controller_projects": [{"name": "Old", **OURS, **ABSENT}]}, [], id="removed-and-not-there"),
        pytest.param(
            {"controller_projects": [{"name": "Code", "organization": "Other"}]},
            [("create", "Code")],
            id="there-in-another-organization",
        ),
        pytest.param(
            {"controller_projects": [{"name": "Code", "organization": "Other", **ABSENT}]},
            [],
            id="removed-there-in-another-organization",
        ),
        pytest.param(
            {
                "controller_organizations": [{"name": "Later"}],
                "controller_inventories": [{"name": "Hosts", "organization": "Later"}],
                "controller_hosts": [{"name": "web1", "inventory": "Hosts"}],
            },
            [("create", "Later"), ("create", "Hosts"), ("create", "web1")],
            id="all-new",
        ),
        pytest.param(
            {
                "controller_execution_environments": [{"name": "Image"}],
                "controller_templates": [{"name": "Sync", **OURS, "execution_environment": "Image"}],
            },
            [("create", "Image"), ("change", "Sync")],
            id="names-something-new",
        ),
        pytest.param(
            {
                "controller_projects": [
                    {"name": "Code", **OURS, **ABSENT},
                    {"name": "Code", "organization": "Other"},
                ],
                "controller_templates": [{"name": "Sync", **OURS, "project": "Code"}],
            },
            [("remove", "Code"), ("create", "Code"), ("change", "Sync")],
            id="names-something-that-moves",
        ),
        pytest.param(
            {"controller_templates": [{"name": "Sync", **OURS, "project": "", "credentials": []}]},
            [("compare", "Sync")],
            id="names-nothing",
        ),
        pytest.param(
            {"controller_templates": [{"name": 7, **OURS}], "controller_projects": [{"name": "Code", **OURS}]},
            [("compare", "Code"), ("create", "7")],
            id="in-the-order-of-kinds-and-a-name-is-text",
        ),
    ],
)
def test_actions(lists: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert decided(lists) == expected


@pytest.mark.parametrize("started", ["Sync", "Flow", "Code"])
def test_a_schedule_names_what_it_starts_without_its_kind(started: str) -> None:
    schedules = {"controller_schedules": [{"name": "Hourly", "unified_job_template": started}]}
    assert decided(schedules) == [("create", "Hourly")]
    assert decided(schedules, THERE | {"schedules": [["Hourly", started]]}) == [("compare", "Hourly")]
    assert decided(schedules, THERE | {"schedules": [["Hourly", "Else"]]}) == [("create", "Hourly")]


def test_what_belongs_to_something_that_is_removed_goes_with_it() -> None:
    there = THERE | {"schedules": [["Hourly", "Sync"], ["Daily", "Flow"]], "hosts": [["web1", "Hosts"]]}
    lists = {
        "controller_inventories": [{"name": "Hosts", **OURS, **ABSENT}],
        "controller_hosts": [{"name": "web1", "inventory": "Hosts"}, {"name": "web2", "inventory": "Hosts", **ABSENT}],
        "controller_templates": [{"name": "Sync", **OURS, **ABSENT}],
        **flow({"identifier": "first", "unified_job_template": "Sync"}, **ABSENT),
        "controller_schedules": [
            {"name": "Hourly", "unified_job_template": "Sync"},
            {"name": "Daily", "unified_job_template": "Flow", **ABSENT},
        ],
    }
    assert decided(lists, there) == [("remove", "Hosts"), ("remove", "Sync"), ("remove", "Flow")]
    # Nor is it made when that is gone.
    gone: dict[str, list[list[str]]] = THERE | {kind: [] for kind in ("inventories", "job_templates")}
    gone |= {"workflow_job_templates": [], "workflow_job_template_nodes": []}
    assert decided(lists, gone) == []


def test_what_goes_takes_along_what_belongs_to_it_in_turn() -> None:
    there = THERE | {"hosts": [["web1", "Hosts"]]}
    lists = {
        "controller_organizations": [{"name": "Ours", **ABSENT}],
        "controller_inventories": [{"name": "Hosts", **OURS}],
        "controller_hosts": [{"name": "web1", "inventory": "Hosts"}],
        **flow({"identifier": "new"}),
    }
    assert decided(lists, there) == [("remove", "Ours")]
    template = {"name": "Sync", "organization": "Other", "inventory": "Hosts"}
    (problem,) = problems(**lists, controller_templates=[template])
    assert problem == f"job_templates Sync: inventory names Hosts, {NOWHERE}"


def test_what_leaves_one_organization_stays_in_another() -> None:
    moved = [
        {"name": "Flow", **OURS, **ABSENT, "simplified_workflow_nodes": [{"identifier": "old"}]},
        {"name": "Flow", "organization": "Other", "simplified_workflow_nodes": [{"identifier": "first"}]},
    ]
    assert decided({"controller_workflows": moved}) == [("remove", "Flow"), ("create", "Flow"), ("create", "first")]


def test_nodes_stand_in_their_workflow() -> None:
    nodes: list[dict[str, Any]] = [
        {"identifier": "first", "unified_job_template": "Sync", "success_nodes": ["middle"]},
        {"identifier": "middle", "approval_node": {"name": "Look"}},
    ]
    objects = compare({"controller_workflows": [{"name": "Before", **OURS}, *flow(*nodes)["controller_workflows"]]})
    assert [(each["action"], each["name"], each["scope"], each["place"]) for each in objects] == [
        ("create", "Before", "Ours", [0]),
        ("compare", "Flow", "Ours", [1]),
        ("change", "first", "Flow", [1, 0]),
        ("create", "middle", "Flow", [1, 1]),
        ("remove", "last", "Flow", []),
    ]
    assert [each["problems"] for each in objects] == [[]] * 5


def test_a_node_waits_for_a_new_one() -> None:
    lists = flow(
        {"identifier": "first", "success_nodes": ["new"]},
        {"identifier": "new", "failure_nodes": ["last"]},
        {"identifier": "last", "always_nodes": ["first"]},
    )
    assert decided(lists) == [("compare", "Flow"), ("change", "first"), ("create", "new"), ("compare", "last")]


@pytest.mark.parametrize(
    ("nodes", "others", "expected"),
    [
        pytest.param([], [], [("remove", "first"), ("remove", "last")], id="unwanted"),
        pytest.param(
            ["first"], ["last"], [("compare", "first"), ("compare", "last")], id="wanted-by-one-of-the-same-name"
        ),
    ],
)
def test_unwanted_nodes(nodes: list[str], others: list[str], expected: list[tuple[str, str]]) -> None:
    both = [
        {"name": "Flow", "organization": name, "simplified_workflow_nodes": [{"identifier": each} for each in wanted]}
        for name, wanted in (("Ours", nodes), ("Other", others))
    ]
    there = THERE | {"workflow_job_templates": [["Flow", "Ours"], ["Flow", "Other"]]}
    assert decided({"controller_workflows": both}, there) == [("compare", "Flow"), ("compare", "Flow"), *expected]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param(
            {"controller_templates": [{"name": "Sync", **OURS, "project": "Code", "credentials": ["Key", "Machine"]}]},
            [f"job_templates Sync: credentials names {name}, {NOWHERE}" for name in ("Key", "Machine")],
            id="names-what-is-nowhere",
        ),
        pytest.param(
            {
                "controller_projects": [{"name": "Code", **OURS, **ABSENT}],
                "controller_templates": [{"name": "Sync", **OURS, "project": "Code"}],
            },
            [f"job_templates Sync: project names Code, {NOWHERE}"],
            id="names-what-leaves",
        ),
        pytest.param(
            flow({"identifier": "first", "success_nodes": ["last"]}),
            [f"workflow_job_template_nodes first: success_nodes names last, {NOWHERE}"],
            id="leads-to-a-node-that-leaves",
        ),
        pytest.param(
            {
                "controller_workflows": [
                    *flow({"identifier": "first", "always_nodes": ["far"]})["controller_workflows"],
                    {"name": "Next", **OURS, "simplified_workflow_nodes": [{"identifier": "far"}]},
                ]
            },
            [f"workflow_job_template_nodes first: always_nodes names far, {NOWHERE}"],
            id="leads-to-a-node-of-another-workflow",
        ),
        pytest.param(
            {"controller_schedules": [{"name": "Hourly", "unified_job_template": "Hosts"}]},
            [f"schedules Hourly: unified_job_template names Hosts, {NOWHERE}"],
            id="starts-what-is-no-job",
        ),
        pytest.param(
            {"controller_hosts": [{"name": "web1", "inventory": "Hosts", "enable": True, "instance": "i-1"}]},
            [f"hosts web1: {key} is no key that is known here" for key in ("enable", "instance")],
            id="unknown-keys",
        ),
        pytest.param(
            {"controller_projects": [{"name": "Code", **OURS, "credential": "Gone", "scm": "git", **ABSENT}]},
            [],
            id="what-is-removed-needs-nothing",
        ),
    ],
)
def test_problems(lists: dict[str, Any], expected: list[str]) -> None:
    assert problems(**lists) == expected


@pytest.mark.parametrize(
    ("inputs", "found", "empty", "expected"),
    [
        pytest.param({"user": "root", "key": "Canary"}, False, False, [], id="new"),
        pytest.param({"user": "", "key": "", "port": 0}, False, True, ["user, key"], id="new-without-values"),
        pytest.param({"user": "Canary", "key": None}, False, True, ["key"], id="new-with-one-value"),
        pytest.param({"user": "Canary", "key": ""}, True, True, [], id="there-without-a-value"),
        pytest.param({"user": "Canary"}, True, False, [], id="there"),
        pytest.param(None, False, False, [], id="without-inputs"),
    ],
)
def test_credentials_without_a_value(inputs: Any, found: bool, empty: bool, expected: list[str]) -> None:
    key = {"name": "Key", "description": "From SSH_KEY", **OURS, "credential_type": "Machine", "inputs": inputs}
    there = THERE | ({"credentials": [["Key", "Ours"]]} if found else {})
    (made,) = compare({"controller_credentials": [key]}, there)
    assert (made["action"], made["empty"]) == ("compare" if found else "create", empty)
    assert made["problems"] == [f"credentials Key: no value for {names}. From SSH_KEY" for names in expected]
    assert "Canary" not in json.dumps(made)
    assert [each["empty"] for each in compare({"controller_credentials": [{**key, **ABSENT}]}, there)] == [
        False
    ] * found


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"controller_hosts": {"name": "Canary"}}, "controller_hosts is no list"),
        ({"controller_hosts": "Canary"}, "controller_hosts is no list"),
        ({"controller_hosts": [{"name": "a"}, {"inventory": "Canary"}]}, "controller_hosts: item 2 has no name"),
        ({"controller_hosts": [{"name": ""}]}, "controller_hosts: item 1 has no name"),
        ({"controller_credentials": ["Canary"]}, "controller_credentials: item 1 has no name"),
        (flow({"name": "Canary"}), "simplified_workflow_nodes of Flow: item 1 has no identifier"),
    ],
)
def test_the_filter_fails_for_what_is_no_list_of_objects(lists: dict[str, Any], words: str) -> None:
    every: dict[str, Any] = {rules["variable"]: [] for rules in KINDS}
    with pytest.raises(AnsibleFilterError) as failure:
        FilterModule().filters()["awx_objects"](KINDS, every | lists, {rules["kind"]: [] for rules in KINDS})
    assert str(failure.value) == f"identity.roster.awx_objects: {words}"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = sorted({key for rules in KINDS for key in (*rules["settings"], *rules["references"])})
NAMED = st.fixed_dictionaries({"name": st.sampled_from(["Flow", "Sync"])})
ITEMS = st.tuples(NAMED, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)).map(
    lambda each: {**each[1], **each[0]}
)


@given(st.dictionaries(st.sampled_from(sorted({rules["variable"] for rules in KINDS})), st.lists(ITEMS, max_size=3)))
def test_whatever_the_lists_hold_there_is_an_answer_or_words(lists: dict[str, Any]) -> None:
    try:
        json.dumps(compare(lists))
    except ValueError as problem:
        assert "has no" in str(problem) or "is no list" in str(problem)
