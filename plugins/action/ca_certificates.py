# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ca_certificates: reads, fetches, splits and judges, so that a host gets only what is good.

The host gets each certificate alone and as PEM. A name whose certificate can't be used is sent without one: what the
host trusts under that name then stays.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._certificates import (
    CRYPTOGRAPHY_IMPORT_ERROR,
    CertificateError,
    Record,
    judge,
    read_record,
    written_pin,
)
from ..module_utils._http import REQUESTS_IMPORT_ERROR, HttpError
from ..module_utils._linux.ca_store import KIND, name_problem
from ..module_utils._pinned import LARGEST, PinnedSession
from ..module_utils._roster.model import Rejected


class ActionModule(ActionBase):
    """Runs the module once, with the certificates that may be used."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        super().run(tmp, task_vars)
        if CRYPTOGRAPHY_IMPORT_ERROR:
            raise AnsibleActionFail("ca_certificates needs the Python library cryptography on the controller")
        arguments = dict(self._task.args)
        entries = arguments.pop("certificates", None)
        if not isinstance(entries, (list, tuple)):
            raise AnsibleActionFail("ca_certificates needs certificates, a list; an empty one with purge removes ours")
        chosen = _Chosen(_days(arguments.get("min_days")))
        for place, entry in enumerate(entries, 1):
            self._take(chosen, entry, place)
        arguments["certificates"] = chosen.sent
        try:
            result: Dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        result.pop("invocation", None)
        if chosen.warnings:
            result["warnings"] = [*result.get("warnings", []), *chosen.warnings]
        return _with_rejected(result, chosen.rejected)

    def _take(self, chosen: _Chosen, entry: Any, place: int) -> None:
        try:
            record = read_record(entry)
        except CertificateError as problem:
            chosen.refuse(_name_in(entry), place, problem)
            return
        if record.name.lower() in chosen.names:
            chosen.refuse(record.name, place, CertificateError("this name is used twice: give each its own", "name"))
            return
        chosen.names.add(record.name.lower())
        try:
            data = self._read(record)
        except CertificateError as problem:
            chosen.refuse(record.name, place, problem)
            return
        chosen.judge(record, data, place)

    def _read(self, record: Record) -> bytes:
        """The bytes that a record points to. Raises CertificateError."""
        if record.source == "content":
            return record.value.encode("utf-8", "surrogateescape")
        if record.source == "url":
            return _fetched(record.value)
        try:
            path = self._find_needle("files", record.value)
            with open(path, "rb") as file:
                data = file.read(LARGEST + 1)
        except AnsibleError:
            raise CertificateError(
                f"src {record.value} is not there on the controller (relative paths are looked for beside the play and "
                "in files of the role)",
                "src",
            ) from None
        except OSError as problem:
            raise CertificateError(
                f"src {record.value} can't be read on the controller: {problem.strerror}", "src"
            ) from None
        if len(data) > LARGEST:
            raise CertificateError(f"src {record.value} is larger than {LARGEST // 1024} KiB: no certificate is", "src")
        return data


class _Chosen:
    """What is sent to the host, and what is not."""

    def __init__(self, min_days: int) -> None:
        self.min_days = min_days
        self.now = datetime.now(timezone.utc)
        self.names: set[str] = set()
        self.sent: List[Dict[str, str]] = []
        self.rejected: List[Rejected] = []
        self.warnings: List[str] = []
        self._seen: Dict[str, str] = {}

    def judge(self, record: Record, data: bytes, place: int) -> None:
        good, bad = judge(record, data, self.now, self.min_days)
        for problem in bad:
            self.refuse(record.name, place, problem)
        for certificate in good:
            other = self._seen.setdefault(certificate.fingerprint, record.name)
            if other != record.name:
                words = f"is the same certificate as {other} (SHA-256 {written_pin(certificate.fingerprint)})"
                self.refuse(record.name, place, CertificateError(words, record.source))
                continue
            self.sent.append({"name": certificate.name, "content": certificate.pem})
            self.warnings += [f"ca_certificates: {certificate.name}: {note}" for note in certificate.notes]

    def refuse(self, name: Optional[str], place: int, problem: CertificateError) -> None:
        where = None if name else f"certificates[{place - 1}]"
        self.rejected.append(Rejected(KIND, problem.field, str(problem), name=name, record=where))
        if name and not name_problem(name):
            self.sent.append({"name": name})


def _name_in(entry: Any) -> Optional[str]:
    """Whatever name could be read of a record that can't be used."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return str(name)[:64] if isinstance(name, str) and name.isprintable() and name else None


def _days(value: Any) -> int:
    try:
        days = int(value if value is not None else 0)
    except (TypeError, ValueError):
        days = -1
    if not 0 <= days <= 36500:
        raise AnsibleActionFail("ca_certificates: min_days is not a number of days")
    return days


def _fetched(url: str) -> bytes:
    if REQUESTS_IMPORT_ERROR:
        raise CertificateError("url needs the Python library requests on the controller", "url")
    try:
        with closing(PinnedSession()) as session:
            return session.fetch(url)
    except HttpError as problem:
        raise CertificateError(str(problem), "url") from None


def _with_rejected(result: Dict[str, Any], rejected: List[Rejected]) -> Dict[str, Any]:
    """Every entry was written by a person for these hosts: one that can't be used fails the task, at its end."""
    if not rejected or "summary" not in result:
        return result
    result["rejected"] = [entry.as_dict() for entry in rejected]
    result["summary"]["rejected"] = len(rejected)
    shown = "; ".join(f"{entry.name or entry.record}: {entry.reason}" for entry in rejected[:3])
    more = f"; and {len(rejected) - 3} more in rejected" if len(rejected) > 3 else ""
    done = "" if result.get("failed") else "; the others were done"
    words = f"{len(rejected)} certificates can't be used{done}. {shown}{more}"
    result["msg"] = f"{result['msg']}. {words}" if result.get("msg") else words
    result["failed"] = True
    return result
