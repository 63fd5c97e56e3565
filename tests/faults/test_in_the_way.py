# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and file systems that can't be written: the run is refused, the old state stays whole, and later runs complete.

Homes are made after the account files: what can't be made of them is reported, and made by the next run.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.scenario import ACCOUNT_FILES, BEFORE, STATE, Scenario, exposed, tree
from tests.fleet.images import SUITES
from tests.tables import Trials

SECTION = "Faults"
#: One release will do.
pytestmark = pytest.mark.parametrize("scenario", [SUITES[1]], ids=[SUITES[1].codename], indirect=True)
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


@contextmanager
def flagged(path: Path, flag: int) -> Iterator[None]:
    """chattr +i or +a for a while."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        old = fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0))
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", struct.unpack("l", old)[0] | flag))
        yield
        fcntl.ioctl(descriptor, _SET_FLAGS, old)
    finally:
        os.close(descriptor)


def refused(scenario: Scenario) -> None:
    """The run says why it did nothing, and did nothing."""
    answer = scenario.laboratory.do(scenario.task(patience=0.1))
    assert answer.get("refused"), answer
    assert "Errno" not in answer["refused"], answer
    scenario.check_between(whole=True)


def without_homes(scenario: Scenario) -> None:
    """The run names those whose homes could not be made, moved or removed, and did all the rest."""
    answer = scenario.laboratory.do(scenario.task())
    named = {failure["name"] for failure in answer["failures"]}
    assert "gina" in named and named <= {"gina", "irina", "otto", "dave"}, answer
    scenario.check_between()
    assert scenario.files() == scenario.new_files


def filled_home(scenario: Scenario) -> None:
    """The same where each home that goes makes room for another one."""
    laboratory = scenario.laboratory
    answer = laboratory.do(scenario.task())
    assert "refused" not in answer, answer
    scenario.check_between()
    homes = laboratory.root / "home"
    assert not [name for name in os.listdir(homes) if name.startswith(".")]
    laboratory.shell("rm -f /run/case/home/filler*")
    answer = laboratory.do(scenario.task())
    assert "refused" not in answer and not answer["failures"], answer
    people = {user.username for user in BEFORE.users} - {"iris", "otto"}
    assert set(os.listdir(homes)) == people | {"ansible", "rescue", "irina", "gina"}
    assert laboratory.do(scenario.task())["changed"] is False


def test_immutable(scenario: Scenario, trials: Trials) -> None:
    root = scenario.laboratory.root
    for name in (*ACCOUNT_FILES, *(f"{name}-" for name in ACCOUNT_FILES), ".pwd.lock", ""):
        with trials.case("chattr +i" if name else "chattr +i /etc", name):
            scenario.laboratory.lay_out(scenario.start)
            with flagged(root / "etc" / name, _IMMUTABLE):
                refused(scenario)
            scenario.check()
    for name in ("passwd", "shadow"):
        with trials.case("chattr +a", name):
            scenario.laboratory.lay_out(scenario.start)
            with flagged(root / "etc" / name, _APPEND_ONLY):
                refused(scenario)
            scenario.check()
    for name in ("", "ledger.json"):
        with trials.case("chattr +i on the state", name):
            scenario.laboratory.lay_out(scenario.start)
            with flagged(root / STATE / name, _IMMUTABLE):
                refused(scenario)
            scenario.check()
    with trials.case("chattr +i /home"):
        scenario.laboratory.lay_out(scenario.start)
        with flagged(root / "home", _IMMUTABLE):
            without_homes(scenario)
        scenario.check_next_run()
    with trials.case("SSH logins after chattr"):
        scenario.check_logins()
    trials.verdict()


def test_read_only(scenario: Scenario, trials: Trials) -> None:
    laboratory = scenario.laboratory
    for place in ("/etc", "/var/lib", f"/{STATE}", "/etc/shadow"):
        with trials.case("read-only mount", place):
            laboratory.lay_out(scenario.start)
            laboratory.shell(
                f"mount --bind /run/case{place} /run/case{place}; mount -o remount,bind,ro /run/case{place}"
            )
            refused(scenario)
            laboratory.shell(f"umount -l /run/case{place}")
            scenario.check()
    with trials.case("read-only mount", "/"):
        laboratory.lay_out(scenario.start)
        laboratory.shell("mount -o remount,bind,ro /run/case")
        refused(scenario)
        laboratory.shell("mount -o remount,bind,rw /run/case")
        scenario.check()
    with trials.case("read-only mount", "/home"):
        laboratory.lay_out(scenario.start)
        laboratory.shell("mount --bind /run/case/home /run/case/home; mount -o remount,bind,ro /run/case/home")
        without_homes(scenario)
        laboratory.shell("umount -l /run/case/home")
        scenario.check_next_run()
    with trials.case("SSH logins after read-only mounts"):
        scenario.check_logins()
    trials.verdict()


#: A file system of its own for a folder, with what was in it and not a block, or not an inode, more.
_FILL = """
folder=/run/case$1
mkdir -p /run/full; mount -t tmpfs -o mode=0755,size=16m tmpfs /run/full
cp -a "$folder/." /run/full; chmod --reference="$folder" /run/full
if [ "$2" = inodes ]; then
    mount -o remount,nr_inodes=$(($(find /run/full | wc -l) + 1)) /run/full
    for number in 1 2 3 4; do touch "/run/full/filler$number" 2>/dev/null || break; done
else
    dd if=/dev/zero of=/run/full/filler bs=1k 2>/dev/null || true
fi
mount --bind /run/full "$folder"; umount /run/full
"""


def test_full(scenario: Scenario, trials: Trials) -> None:
    laboratory = scenario.laboratory
    for place in ("/etc", f"/{STATE}"):
        for what in ("blocks", "inodes"):
            with trials.case(f"file system without {what}", place):
                laboratory.lay_out(scenario.start)
                laboratory.shell(f"set -- {place} {what}; {_FILL}")
                before = tree(laboratory.root / place[1:])
                refused(scenario)
                after = tree(laboratory.root / place[1:])
                assert not exposed(after)
                new = {path for path, entry in after.items() if before.get(path) != entry}
                assert new <= {".pwd.lock", "archives", "snapshots"}, new
                assert before.keys() - after.keys() == set()
                laboratory.shell(f"umount -l /run/case{place}")
                scenario.check()
    for what in ("blocks", "inodes"):
        with trials.case(f"file system without {what}", "/home"):
            laboratory.lay_out(scenario.start)
            laboratory.shell(f"set -- /home {what}; {_FILL}")
            filled_home(scenario)
    with trials.case("SSH logins after full file systems"):
        scenario.check_logins()
    trials.verdict()
