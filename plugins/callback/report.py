# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report
type: notification
short_description: Summary table and audit log of what the targets answered
version_added: 0.1.0
author:
  - identity.roster contributors (@identity-roster)
description:
  - At the end of a run it prints a table of the targets, with what was created, updated, enabled, disabled, removed,
    rejected, failed and pending there, and which hosts were unreachable.
  - It appends every change of a target's own state to an audit log, as JSON Lines, as plain text, or both.
  - It reads the results of this collection's targets and sources, and nothing else. They hold no secrets.
  - Check mode shows in the table, and leaves the logs alone.
  - A log that can't be written is a warning, and never fails a run.
requirements:
  - Enabled by its full name, C(identity.roster.report), in C(callbacks_enabled) of C(ansible.cfg) or in
    C(ANSIBLE_CALLBACKS_ENABLED).
notes:
  - The variables of the options count from the command line (C(-e)), from AWX, and from a play's C(vars), where they
    stay for the plays after it. Those of hosts and groups do not count, since a run has one report.
  - A task with C(no_log) keeps its changes from everybody. The logs then have one entry that something was changed.
options:
  table:
    description: Whether to print the table.
    type: bool
    default: true
    env:
      - name: IDENTITY_ROSTER_REPORT_TABLE
    ini:
      - section: identity_roster_report
        key: table
    vars:
      - name: identity_roster_report_table
  table_hosts:
    description: How many hosts of a target are shown with a line of their own, those with failures first. The others
      are added up.
    type: int
    default: 40
    env:
      - name: IDENTITY_ROSTER_REPORT_TABLE_HOSTS
    ini:
      - section: identity_roster_report
        key: table_hosts
    vars:
      - name: identity_roster_report_table_hosts
  table_entries:
    description: How many entries each list below the table has (failed, rejected, and so on). The others are counted.
    type: int
    default: 20
    env:
      - name: IDENTITY_ROSTER_REPORT_TABLE_ENTRIES
    ini:
      - section: identity_roster_report
        key: table_entries
    vars:
      - name: identity_roster_report_table_entries
  audit_log:
    description:
      - The file to append the audit log to, as JSON Lines. It and missing directories are made for its owner only.
      - Without it there is none.
    type: path
    env:
      - name: IDENTITY_ROSTER_REPORT_AUDIT_LOG
    ini:
      - section: identity_roster_report
        key: audit_log
    vars:
      - name: identity_roster_report_audit_log
  text_log:
    description:
      - The file to append the same entries to as plain text, one line each.
      - Without it there is none.
    type: path
    env:
      - name: IDENTITY_ROSTER_REPORT_TEXT_LOG
    ini:
      - section: identity_roster_report
        key: text_log
    vars:
      - name: identity_roster_report_text_log
seealso:
  - module: identity.roster.linux_accounts
"""

import secrets
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, Set, Tuple

from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from ..module_utils._errors import RosterError
from ..module_utils._report.audit import entries, json_line, text_line
from ..module_utils._report.log import AppendedLog
from ..module_utils._report.records import (
    FAILED,
    HOST_TARGETS,
    OK,
    SOURCES,
    TARGETS,
    UNREACHABLE,
    Record,
    name_of,
    read_record,
)
from ..module_utils._report.summary import Report
from ..module_utils._report.table import Caps, table

_LOGS: Tuple[Tuple[str, Callable[[Dict[str, Any]], str]], ...] = (("audit_log", json_line), ("text_log", text_line))
_OPTION_PREFIX = "identity_roster_report_"


class CallbackModule(CallbackBase):
    """Takes results as they come: what is in the audit log stays there when the run is killed."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "identity.roster.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._report = Report(secrets.token_hex(6))
        #: By path; None when it can't be written.
        self._logs: Dict[str, Optional[AppendedLog]] = {}
        self._lines: Dict[str, int] = {}
        self._unwritten: Dict[str, int] = {}
        #: Loops of which items came by: (host, task).
        self._loops: Set[Tuple[str, str]] = set()
        #: Asynchronous tasks that were started: (host, job) to (target, check mode).
        self._jobs: Dict[Tuple[str, str], Tuple[str, bool]] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        variables = play.get_variable_manager().get_vars(play=play, include_hostvars=False)
        given = {name: value for name, value in variables.items() if name.startswith(_OPTION_PREFIX)}
        if given:
            templar = Templar(loader=play.get_loader(), variables=variables)
            self.set_options(var_options={name: templar.template(value) for name, value in given.items()})
        # As linux_accounts calls its snapshot.
        job = variables.get("awx_job_id") or variables.get("tower_job_id")
        if job:
            self._report.run_id = f"awx-{job}"

    def v2_runner_on_ok(self, result: Any) -> None:
        self._whole(result, OK)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._whole(result, FAILED)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._whole(result, UNREACHABLE)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._item(result, OK)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._item(result, UNREACHABLE if result._result.get("unreachable") else FAILED)

    def v2_runner_retry(self, result: Any) -> None:
        """What an attempt did is done, although only the last one is a result."""
        self._take(result, OK, attempt=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._close_logs()
        if not self.get_option("table"):
            return
        text = table(
            self._report, Caps(max(0, self.get_option("table_hosts")), max(0, self.get_option("table_entries")))
        )
        if text:
            self._display.display("\n" + text + self._told_of_logs())

    def _whole(self, result: Any, status: str) -> None:
        """A task's result; that of a loop only repeats its items."""
        key = (result._host.get_name(), result._task._uuid)
        if key in self._loops:
            self._loops.remove(key)
        else:
            self._take(result, status)

    def _item(self, result: Any, status: str) -> None:
        self._loops.add((result._host.get_name(), result._task._uuid))
        self._take(result, status)

    def _take(self, result: Any, status: str, attempt: bool = False) -> None:
        action = _action(result)
        answer = result._result
        host = result._host.get_name()
        name = name_of(action)
        check = bool(result._task_fields.get("check_mode"))
        if action == "ansible.builtin.async_status":
            name, check = self._jobs.get((host, str(answer.get("ansible_job_id"))), (None, check))
        if name in SOURCES and not attempt:
            digest = answer.get("roster_digest")
            message = str(answer.get("msg") or "")
            self._report.add_source(str(name), status, digest if isinstance(digest, str) else None, message)
        elif name in TARGETS:
            self._take_target(str(name), host, check, status, attempt, result)
        elif status == UNREACHABLE:
            self._report.lose(host, str(answer.get("msg") or ""))

    def _take_target(self, name: str, host: str, check: bool, status: str, attempt: bool, result: Any) -> None:
        answer = result._result
        if answer.get("ansible_job_id") and not answer.get("finished"):
            self._jobs[(host, str(answer["ansible_job_id"]))] = (name, check)
        delegate = result._task_fields.get("delegate_to")
        if name in HOST_TARGETS and isinstance(delegate, str) and delegate:
            host = delegate
        record = read_record(name, host, check, status, answer)
        if record is None:
            return
        if attempt:
            record = record.superseded()
        self._report.add(record)
        self._log(record)

    def _log(self, record: Record) -> None:
        """One entry a change, at once."""
        paths = [(self.get_option(option), line_of) for option, line_of in _LOGS]
        if record.check or not any(path for path, line_of in paths):
            return
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        source = self._report.sources.get(record.roster_digest or "")
        for entry in entries(record, self._report.run_id, now, source):
            for path, line_of in paths:
                if path:
                    self._write(path, line_of(entry))

    def _write(self, path: str, line: str) -> None:
        try:
            if path not in self._logs:
                self._logs[path] = None
                self._logs[path] = AppendedLog(path)
            log = self._logs[path]
            if log is None:
                self._unwritten[path] = self._unwritten.get(path, 0) + 1
                return
            log.write(line)
            self._lines[path] = self._lines.get(path, 0) + 1
        except RosterError as problem:
            self._give_up(path, str(problem))
            self._unwritten[path] = self._unwritten.get(path, 0) + 1

    def _give_up(self, path: str, problem: str) -> None:
        """The rest of the run is not logged there: a log with a gap that shows is better than one with many."""
        self._logs[path] = None
        self._display.warning(f"identity.roster.report: {problem}. The run goes on")

    def _close_logs(self) -> None:
        for path, log in list(self._logs.items()):
            if log is not None:
                try:
                    log.close()
                except RosterError as problem:
                    self._give_up(path, str(problem))
        self._logs.clear()

    def _told_of_logs(self) -> str:
        told = (("Changes logged", self._lines), ("Changes that could NOT be logged", self._unwritten))
        lines = [f"{words}: {count} in {path}\n" for words, counts in told for path, count in sorted(counts.items())]
        return "\n" + "".join(lines) if lines else ""


def _action(result: Any) -> str:
    """The full name of a task's action. From 2.19 on the fields have it, and a task that does not know it warns."""
    fields = result._task_fields
    if "_resolved_action" in fields:
        return str(fields["_resolved_action"] or "")
    return str(result._task.resolved_action or "")
