# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of sudo_rules: options in, contract result out."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from .._errors import RosterError, TargetError
from .._linux.sudo import Sudo
from .._linux.sudoers import Rules, file_problem, narrow_problems, read_rules, render
from .._linux.sudoers_file import DIRECTORY, Request, Result, bring
from .._outcome import Failure, Outcome
from .._roster.model import Rejected

_COUNTED_AS = {"create": "created", "update": "updated", "remove": "removed"}


def run_module(module: AnsibleModule) -> None:
    """Ends the module, always with the contract's keys."""
    params = module.params
    present = params["state"] == "present"
    rules, rejected = read_rules(params["rules"] if present else [], params["defaults"] if present else [])
    path = f"{DIRECTORY}/{params['file']}"
    try:
        problem = file_problem(params["file"])
        if problem:
            raise TargetError(f"file {params['file']!r} {problem}")
        if rejected:
            _refuse(module, path, rejected, "can't be written")
        result = _bring(module, rules)
    except RosterError as error:
        failure = Failure("sudo_file", params["file"], str(error))
        module.fail_json(msg=str(error), **_contract(path, Outcome(failed=[failure]), "", ""))
        return
    before = result.found.text if result.found is not None else ""
    after = before if not result.changes else render(rules) if rules.rules else ""
    module.exit_json(**_contract(path, Outcome(changes=result.changes), before, after, rules))


def _bring(module: AnsibleModule, rules: Rules) -> Result:
    params = module.params
    root = os.path.abspath(params["root"])
    if not os.path.isdir(root):
        raise TargetError(f"root {params['root']} is not a directory")
    if root != "/" and os.geteuid() != 0:
        raise TargetError("another root than / needs root privileges, since its own visudo runs by chroot; use become")
    sudo = Sudo(root)
    if rules.rules and sudo.narrow:
        rejected = narrow_problems(rules)
        if rejected:
            _refuse(module, f"{DIRECTORY}/{params['file']}", rejected, "can't be written for the sudo-rs of this host")
    request = Request(
        root=root,
        file=params["file"],
        text=render(rules) if rules.rules else None,
        adopt=params["adopt"],
        check_mode=module.check_mode,
        user=_connected(),
    )
    return bring(request, sudo)


def _connected() -> Optional[str]:
    """Who came here by sudo: locking that user out of it would cut off the next run."""
    user = os.environ.get("SUDO_USER")
    return user if user and user != "root" else None


def _refuse(module: AnsibleModule, path: str, rejected: Sequence[Rejected], why: str) -> None:
    """With one rule wrong none is written: what is missing could be what keeps somebody out."""
    shown = "; ".join(f"{entry.name}: {entry.field}: {entry.reason}" for entry in rejected[:5])
    more = f"; and {len(rejected) - 5} more in rejected" if len(rejected) > 5 else ""
    module.fail_json(
        msg=f"the rules {why}, and nothing was changed. {shown}{more}",
        **_contract(path, Outcome(rejected=list(rejected)), "", ""),
    )


def _contract(path: str, outcome: Outcome, before: str, after: str, rules: Optional[Rules] = None) -> Dict[str, Any]:
    """The contract's keys, with rules instead of users in the summary, and the drop-in's text as the diff."""
    result = outcome.as_result()
    counts = dict.fromkeys((*_COUNTED_AS.values(), "unchanged"), 0)
    changed = set()
    for change in outcome.changes:
        if change.kind == "sudo_rule":
            counts[_COUNTED_AS[change.action]] += 1
            changed.add(change.name)
    counts["unchanged"] = sum(1 for rule in rules.rules if rule.name not in changed) if rules is not None else 0
    counts["rejected"], counts["failed"] = len(outcome.rejected), len(outcome.failed)
    for key in ("pending", "roster_digest"):
        del result[key]
    headers = {"before_header": path, "after_header": path}
    return {**result, "path": path, "summary": counts, "diff": {**headers, "before": before, "after": after}}
