# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which kinds of objects there are: their fields, what these lead to, and what may be attached to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """``fields``: what can be written, and its default. ``references``: field to the kind whose id it holds."""

    type: str
    fields: Mapping[str, Any]
    required: tuple[str, ...] = ("name",)
    references: Mapping[str, str] = field(default_factory=dict)
    #: Name of the sub-endpoint to the kind that is attached there.
    associations: Mapping[str, str] = field(default_factory=dict)
    #: No two objects have all of these alike.
    unique: tuple[str, ...] = ("name",)
    #: What its answers are called by, where that is no name.
    identity: str = "name"


_NAMED = {"name": "", "description": ""}
_NOTIFIED = {f"notification_templates_{event}": "notification_templates" for event in ("started", "success", "error")}
_APPROVED = {**_NOTIFIED, "notification_templates_approvals": "notification_templates"}

#: Field of a launch to the switch that lets it be given there.
PROMPTS = {
    "job_type": "ask_job_type_on_launch", "limit": "ask_limit_on_launch", "inventory": "ask_inventory_on_launch",
    "scm_branch": "ask_scm_branch_on_launch", "job_tags": "ask_tags_on_launch", "skip_tags": "ask_skip_tags_on_launch",
    "diff_mode": "ask_diff_mode_on_launch", "verbosity": "ask_verbosity_on_launch", "forks": "ask_forks_on_launch",
    "job_slice_count": "ask_job_slice_count_on_launch", "timeout": "ask_timeout_on_launch",
    "execution_environment": "ask_execution_environment_on_launch",
}  # fmt: skip
_LAUNCH: Mapping[str, Any] = {"extra_data": {}, **dict.fromkeys(PROMPTS)}
_ASKS = {**dict.fromkeys(PROMPTS.values(), False), "ask_variables_on_launch": False, "ask_credential_on_launch": False}

KINDS: Mapping[str, Kind] = {
    "organizations": Kind(
        "organization",
        {**_NAMED, "max_hosts": 0, "default_environment": None},
        references={"default_environment": "execution_environments"},
        associations={**_APPROVED, "galaxy_credentials": "credentials"},
    ),
    "credential_types": Kind(
        "credential_type",
        {**_NAMED, "kind": "cloud", "managed": False, "inputs": {}, "injectors": {}},
    ),
    "credentials": Kind(
        "credential",
        {**_NAMED, "organization": None, "credential_type": None, "inputs": {}},
        required=("name", "credential_type"),
        references={"organization": "organizations", "credential_type": "credential_types"},
        unique=("name", "organization", "credential_type"),
    ),
    "execution_environments": Kind(
        "execution_environment",
        {**_NAMED, "organization": None, "image": "", "pull": "", "credential": None},
        required=("name", "image"),
        references={"organization": "organizations", "credential": "credentials"},
    ),
    "notification_templates": Kind(
        "notification_template",
        {
            **_NAMED,
            "organization": None,
            "notification_type": "",
            "notification_configuration": {},
            "messages": {"started": None, "success": None, "error": None, "workflow_approval": None},
        },
        required=("name", "organization", "notification_type"),
        references={"organization": "organizations"},
        unique=("name", "organization"),
    ),
    "projects": Kind(
        "project",
        {
            **_NAMED, "organization": None, "scm_type": "", "scm_url": "", "scm_branch": "", "scm_clean": False,
            "scm_delete_on_update": False, "scm_track_submodules": False, "scm_update_on_launch": False,
            "scm_update_cache_timeout": 0, "allow_override": False, "credential": None, "default_environment": None,
            "timeout": 0,
        },
        references={
            "organization": "organizations", "credential": "credentials",
            "default_environment": "execution_environments",
        },
        associations=_NOTIFIED,
        unique=("name", "organization"),
    ),
    "inventories": Kind(
        "inventory",
        {**_NAMED, "organization": None, "kind": "", "host_filter": None, "variables": ""},
        required=("name", "organization"),
        references={"organization": "organizations"},
        unique=("name", "organization"),
    ),
    "hosts": Kind(
        "host",
        {**_NAMED, "inventory": None, "enabled": True, "variables": ""},
        required=("name", "inventory"),
        references={"inventory": "inventories"},
        unique=("name", "inventory"),
    ),
    "groups": Kind(
        "group",
        {**_NAMED, "inventory": None, "variables": ""},
        required=("name", "inventory"),
        references={"inventory": "inventories"},
        associations={"hosts": "hosts", "children": "groups"},
        unique=("name", "inventory"),
    ),
    "inventory_sources": Kind(
        "inventory_source",
        {
            **_NAMED, "inventory": None, "source": "", "source_path": "", "source_project": None, "credential": None,
            "execution_environment": None, "overwrite": False, "overwrite_vars": False, "update_on_launch": False,
            "update_cache_timeout": 0, "source_vars": "", "timeout": 0, "verbosity": 1,
        },
        required=("name", "inventory", "source"),
        references={
            "inventory": "inventories", "source_project": "projects", "credential": "credentials",
            "execution_environment": "execution_environments",
        },
        associations=_NOTIFIED,
        unique=("name", "inventory"),
    ),
    "job_templates": Kind(
        "job_template",
        {
            **_NAMED, **_ASKS, "job_type": "run", "inventory": None, "project": None, "playbook": "", "scm_branch": "",
            "forks": 0, "limit": "", "verbosity": 0, "extra_vars": "", "job_tags": "", "skip_tags": "", "timeout": 0,
            "execution_environment": None, "survey_enabled": False, "become_enabled": False, "diff_mode": False,
            "allow_simultaneous": False, "job_slice_count": 1, "use_fact_cache": False,
        },
        references={
            "inventory": "inventories", "project": "projects", "execution_environment": "execution_environments",
            "organization": "organizations",
        },
        associations={**_NOTIFIED, "credentials": "credentials"},
        unique=("name", "organization"),
    ),
    "workflow_job_templates": Kind(
        "workflow_job_template",
        {
            **_NAMED, **_ASKS, "organization": None, "extra_vars": "", "survey_enabled": False, "inventory": None,
            "limit": "", "scm_branch": "", "allow_simultaneous": False, "job_tags": "", "skip_tags": "",
        },
        references={"organization": "organizations", "inventory": "inventories"},
        associations=_APPROVED,
        unique=("name", "organization"),
    ),
    "workflow_job_template_nodes": Kind(
        "workflow_job_template_node",
        {
            **_LAUNCH, "identifier": "", "workflow_job_template": None, "unified_job_template": None,
            "all_parents_must_converge": False,
        },
        required=("workflow_job_template",),
        references={
            "workflow_job_template": "workflow_job_templates", "unified_job_template": "unified_job_templates",
            "inventory": "inventories", "execution_environment": "execution_environments",
        },
        associations={
            **dict.fromkeys(("success_nodes", "failure_nodes", "always_nodes"), "workflow_job_template_nodes"),
            "credentials": "credentials",
        },
        unique=("identifier", "workflow_job_template"),
        identity="identifier",
    ),
    "workflow_approval_templates": Kind("workflow_approval_template", {**_NAMED, "timeout": 0}, unique=()),
    "schedules": Kind(
        "schedule",
        {**_NAMED, **_LAUNCH, "rrule": "", "enabled": True, "unified_job_template": None},
        required=("name", "rrule", "unified_job_template"),
        references={
            "unified_job_template": "unified_job_templates", "inventory": "inventories",
            "execution_environment": "execution_environments",
        },
        associations={"credentials": "credentials"},
        unique=("name", "unified_job_template"),
    ),
    "project_updates": Kind("project_update", {"status": "successful", "finished": None}, required=(), unique=()),
}  # fmt: skip

#: What a schedule or a node can start; their ids are of one sequence.
UNIFIED = ("projects", "inventory_sources", "job_templates", "workflow_job_templates", "workflow_approval_templates")
