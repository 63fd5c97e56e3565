# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pleio as a service: the plan's steps as requests, and what was said about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence

from .._outcome import SUMMARY, Outcome
from .._pairing import Account
from .._reconcile import Plan, Policy, Step
from .._roster.model import Avatar, Roster
from .._roster.text import folded
from .._sources.pictures import picture_problem
from .._version import VERSION
from .pleio_log import RunLog
from .pleio_plan import Payload, Settings, make_plan
from .pleio_site import PleioSite
from .service import Done, Service, StepFailed, Unclear
from .service_state import ServiceState

_VERBS = {"disable": "ban", "remove": "delete", "enable": "unban", "update": "update", "create": "create"}


@dataclass(frozen=True)
class Options:
    policy: Policy
    settings: Settings


class Pleio(Service):
    words: Mapping[str, str] = {
        "disables": "ban {found} of {base} users of the site that the roster decides about",
        "removals": "delete {found} of {base} users of the site that the roster decides about",
        "leavers": "find {found} of {base} users of the site gone from the roster",
    }

    def __init__(self, site: PleioSite, log: RunLog, options: Options) -> None:
        self.site = site
        self.run_log = log
        self.options = options

    def read(self) -> List[Account]:
        return self.site.users()

    def plan(self, roster: Roster, accounts: Sequence[Account], state: ServiceState) -> Plan:
        return make_plan(roster, accounts, state, self.options.policy, self.options.settings, _avatar_problem)

    def make(self, step: Step) -> Done:
        account = step.account.id if step.account else ""
        if step.action == "disable":
            self.site.ban(account)
        elif step.action == "remove":
            self.site.delete(account)
        else:
            return self._bring_in_line(step, account)
        return Done(account)

    def _bring_in_line(self, step: Step, account: str) -> Done:
        payload: Payload = step.payload
        if step.action == "enable":
            self.site.unban(account)
        problem, undone = "", []
        if payload.body is not None:
            user = self.site.save(payload.body)
            account = str(user["guid"])
            undone = not_taken_over(payload.body, user)
            if undone:
                problem = f"the site did not take over {', '.join(undone)}: another user may have the same value"
        avatar = None
        if payload.avatar is not None:
            try:
                self.site.send_avatar(account, load_picture(payload.avatar))
                avatar = payload.avatar.sha256
            except (StepFailed, Unclear, ValueError) as error:
                problem = f"{problem}; the picture was not taken: {error}" if problem else f"its picture {error}"
                undone.append("avatar")
        return Done(account, avatar, payload.groups, problem or None, undone)

    def preview(self, plan: Plan, outcome: Outcome) -> None:
        if not (plan.steps or outcome.failed):
            return
        self._header(outcome)
        for step in plan.steps:
            self.run_log.say(f"would {_VERBS[step.action]} {step.name} ({', '.join(sorted(step.fields))})")
        self._footer(outcome)

    def begin(self, plan: Plan, outcome: Outcome) -> None:
        self._header(outcome)
        self.run_log.flush()

    def _header(self, outcome: Outcome) -> None:
        counts = outcome.summary()
        planned = ", ".join(f"{counts[key]} {key}" for key in SUMMARY if counts[key])
        self.run_log.say(
            f"identity.roster {VERSION}: roster {(outcome.roster_digest or '')[:12]}, planned: {planned or 'nothing'}"
        )

    def report(self, step: Step, problem: Optional[str]) -> None:
        fields = ", ".join(sorted(step.fields))
        self.run_log.say(f"{_VERBS[step.action]} {step.name}" + (f": error: {problem}" if problem else f" ({fields})"))

    def end(self, outcome: Outcome) -> None:
        """A run that had nothing to do and no error is not worth a request."""
        if not self.run_log.lines:
            if not outcome.failed:
                return
            self._header(outcome)
        self._footer(outcome)
        self.run_log.flush()
        if self.run_log.problem:
            outcome.warnings.append(f"the site's log is not complete: {self.run_log.problem}")

    def _footer(self, outcome: Outcome) -> None:
        for failure in outcome.failed:
            self.run_log.say(f"error {failure.name}: {failure.reason}")
        for entry in outcome.rejected:
            self.run_log.say(f"rejected {entry.name or entry.id or entry.record}: {entry.field} {entry.reason}")
        counts = outcome.summary()
        self.run_log.say("finished: " + ", ".join(f"{counts[key]} {key}" for key in SUMMARY))


def not_taken_over(body: Mapping[str, Any], user: Mapping[str, Any]) -> List[str]:
    """Fields that a 200 did not bring about: an e-mail address that two others have is not set, and nothing said."""
    kept = [
        key
        for key in ("email", "external_id")
        if body.get(key) and folded(str(user.get(key) or "")) != folded(str(body[key]))
    ]
    profile = user["profile"]
    kept += [f"profile.{key}" for key, value in body.get("profile", {}).items() if profile.get(key, value) != value]
    return kept


def load_picture(avatar: Avatar) -> bytes:
    """The bytes that the roster means. Raises ValueError."""
    try:
        with open(avatar.path, "rb") as file:
            content = file.read()
    except OSError as problem:
        raise ValueError(f"can't be read: {problem.strerror}") from None
    if hashlib.sha256(content).hexdigest() != avatar.sha256:
        raise ValueError("is another than when the roster was made")
    fault = picture_problem(content)
    if fault:
        raise ValueError(fault)
    return content


def _avatar_problem(avatar: Avatar) -> Optional[str]:
    try:
        load_picture(avatar)
    except ValueError as problem:
        return str(problem)
    return None
