# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks that others hold, in every way that there is, and things that stand where a lock should be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.scenario import ACCOUNT_FILES, LOCAL, NEW, STATE, Scenario
from tests.fleet.images import SUITES
from tests.tables import Trials

SECTION = "Faults"
#: One release will do.
pytestmark = pytest.mark.parametrize("scenario", [SUITES[1]], ids=[SUITES[1].codename], indirect=True)
PATIENCE = 0.1
#: No process has it: beyond the kernel's largest.
NOBODY = 4194305
_EDITOR = "#!/bin/sh\ntouch /dev/editing\nwhile [ ! -e /dev/done ]; do sleep 0.01; done\n"


def refused(scenario: Scenario, words: str) -> None:
    """The run waits, gives up, says why, and has changed nothing."""
    answer = scenario.laboratory.do(scenario.task(patience=PATIENCE))
    assert words in answer.get("refused", ""), answer
    scenario.check_between(whole=True)


def waits(scenario: Scenario, release: int) -> None:
    """A run that is waiting for a lock goes on as soon as it is free."""
    run = scenario.laboratory.start(scenario.task(patience=20))
    time.sleep(0.1)
    scenario.check_between(whole=True)
    scenario.laboratory.let_go(release)
    ended = scenario.laboratory.wait(run)
    assert ended.result is not None and ended.result.get("changed") is True, ended
    scenario.laboratory.wait(release)
    scenario.check()


def test_held(scenario: Scenario, trials: Trials) -> None:
    laboratory = scenario.laboratory
    for how, path in (("POSIX", "/etc/.pwd.lock"), ("OFD", "/etc/.pwd.lock"), ("flock", f"/{STATE}")):
        with trials.case(f"held lock ({how})", path):
            laboratory.lay_out(scenario.start)
            holder = laboratory.start({"do": "hold", "path": path, "how": how}, gate=True)
            refused(scenario, "held" if path.startswith("/etc") else "another run")
            waits(scenario, holder)
    with trials.case("held lock (vipw)"), vipw(scenario):
        refused(scenario, "held")
    with trials.case("after vipw"):
        scenario.check()
    with trials.case("vipw while a run waits"):
        with vipw(scenario):
            run = laboratory.start(scenario.task(patience=20))
            time.sleep(0.1)
            scenario.check_between(whole=True)
        ended = laboratory.wait(run)
        assert ended.result is not None and ended.result.get("changed") is True, ended
        forget_editor(scenario)
        scenario.check()
    with trials.case("passwd at its prompt"):
        beside_passwd(scenario)
    with trials.case("SSH logins after held locks"):
        laboratory.lay_out(scenario.start)
        refused_then_done(scenario)
        scenario.check_logins()
    trials.verdict()


def refused_then_done(scenario: Scenario) -> None:
    holder = scenario.laboratory.start({"do": "hold", "path": "/etc/.pwd.lock", "how": "POSIX"}, gate=True)
    refused(scenario, "held")
    waits(scenario, holder)


@contextmanager
def vipw(scenario: Scenario) -> Iterator[None]:
    """The real vipw, with an editor that changes nothing and stays open."""
    laboratory = scenario.laboratory
    laboratory.lay_out(scenario.start)
    editor = laboratory.root / "dev/editor"
    editor.write_text(_EDITOR)
    editor.chmod(0o700)
    editing = laboratory.start({"do": "execute", "command": ["env", "EDITOR=/dev/editor", "vipw"], "input": ""})
    deadline = time.monotonic() + 20
    while not (laboratory.root / "dev/editing").exists():
        assert time.monotonic() < deadline, "vipw does not start"
        time.sleep(0.01)
    yield
    (laboratory.root / "dev/done").touch()
    ended = laboratory.wait(editing)
    assert ended.result is not None and ended.result["code"] == 0, ended
    forget_editor(scenario)


def forget_editor(scenario: Scenario) -> None:
    """What vipw and its editor left, so that only our own left-overs count."""
    scenario.laboratory.shell("cd /run/case; rm -f dev/editor dev/editing dev/done etc/passwd.edit")


def beside_passwd(scenario: Scenario) -> None:
    """passwd(1) asks while we write: both changes are there in the end."""
    laboratory = scenario.laboratory
    laboratory.lay_out(scenario.start)
    script = f"(sleep 0.3; printf '%s\\n%s\\n' {NEW}-9x {NEW}-9x) | passwd rescue"
    asking = laboratory.start({"do": "execute", "command": ["sh", "-c", script], "input": ""})
    done = laboratory.do(scenario.task(patience=20))
    assert done.get("changed") is True, done
    ended = laboratory.wait(asking)
    assert ended.result is not None and ended.result["code"] == 0, ended
    files = scenario.files()
    shadow = files["shadow"].splitlines()
    assert {line for line in shadow if not line.startswith(b"rescue:")} == {
        line for line in scenario.new_files["shadow"].splitlines() if not line.startswith(b"rescue:")
    }
    assert all(files[name] == scenario.new_files[name] for name in ACCOUNT_FILES if name != "shadow")
    logins = [("rescue", f"{NEW}-9x"), ("rescue", LOCAL), ("root", LOCAL), ("ansible", LOCAL)]
    assert laboratory.do({"do": "look", "logins": logins})["logins"] == [True, False, True, True]


def test_names(scenario: Scenario, trials: Trials) -> None:
    """shadow's lock files: a live process is waited for, a dead one's is none; and what is no lock at all."""
    laboratory = scenario.laboratory
    for name in ACCOUNT_FILES:
        lock = laboratory.root / "etc" / f"{name}.lock"
        with trials.case("live lock file", lock.name):
            laboratory.lay_out(scenario.start)
            holder = laboratory.start({"do": "hold", "path": "/run", "how": "flock"}, gate=True)
            lock.write_text(f"{holder}\0")
            refused(scenario, "is held by process")
            laboratory.let_go(holder)
            laboratory.wait(holder)
            assert laboratory.do(scenario.task(patience=PATIENCE)).get("changed") is True, "a dead process holds it"
            lock.unlink()
            scenario.check()
        with trials.case("stale lock file", lock.name):
            laboratory.lay_out(scenario.start)
            lock.write_text(f"{NOBODY}\0")
            assert laboratory.do(scenario.task(patience=PATIENCE)).get("changed") is True
            lock.unlink(missing_ok=True)
            scenario.check()
    odd = {
        "empty": ": > $1", "with no number": "echo none > $1", "with number 0": "echo 0 > $1",
        "with number -1": "printf -- -1 > $1", "a link": "ln -s shadow $1", "a directory": "mkdir $1",
        "a dangling link": "ln -s nothing $1", "a pipe": "mkfifo $1", "endless": "yes 1 | head -c 100000 > $1",
    }  # fmt: skip
    for name in ("passwd.lock", ".pwd.lock"):
        for what, script in odd.items():
            if name == ".pwd.lock" and not what.startswith("a "):
                continue  # its content means nothing
            with trials.case(f"{name} is {what}"):
                laboratory.lay_out(scenario.start)
                laboratory.shell(f"cd /run/case/etc; rm -f {name}; set -- {name}; {script}")
                refused(scenario, name)
                restore = "install -m 0600 /dev/null .pwd.lock" if name == ".pwd.lock" else "true"
                laboratory.shell(f"cd /run/case/etc; rm -rf {name}; {restore}")
                scenario.check()
    with trials.case("SSH logins after lock files"):
        scenario.check_logins()
    trials.verdict()
