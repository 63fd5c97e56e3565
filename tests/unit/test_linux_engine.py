# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run on a real directory: what it writes, what it leaves, and when it does not even look."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import DocumentError, LimitError, TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux.engine import RosterNeeded
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group

from .linux_hosts import HASH, OTHER_HASH, many, roster, user
from .linux_trees import NAMES, TIDY, Target, build_tree, needs_root, stamps

WANTED = roster(
    user("anna", uid=5000, password_hash=HASH, groups=("team",), admin=True, enabled=True),
    user("bert", uid=5001, groups=("crew",)),
    user("ansible", uid=5002),
    user("carl", uid=20000),
    groups=[Group("team", gid=6000)],
)
LATER = roster(
    user("anna", uid=5000, password_hash=OTHER_HASH, groups=(), admin=False, enabled=False),
    user("bert", uid=5001, groups=("team",), full_name="Bert"),
    groups=[Group("team", gid=6000)],
)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    build_tree(tmp_path / "root")
    return Target(tmp_path / "root")


def test_check_mode_writes_nothing_at_all(target: Target) -> None:
    before = stamps(target.root)
    planned = target.run(WANTED, check=True)
    assert stamps(target.root) == before
    assert not target.path(".pwd.lock").exists() and not target.state().exists()
    done = target.run(WANTED)
    assert done.as_result() == planned.as_result(), "check mode promised something else"
    assert done.plan_digest() == planned.plan_digest() and done.summary()["created"] == 2
    before = stamps(target.root)
    planned = target.run(LATER, check=True)
    assert stamps(target.root) == before
    done = target.run(LATER)
    assert done.as_result() == planned.as_result() and done.summary()["disabled"] == 1


def test_a_second_run_writes_nothing(target: Target) -> None:
    target.run(WANTED)
    before = stamps(target.root)
    for again in (
        target.run(WANTED),
        target.run(WANTED, check=True),
        target.ask(WANTED),
        target.ask(WANTED, check=True),
    ):
        assert not again.changes and again.summary()["unchanged"] == 2
        assert {failure.name for failure in again.failed} == {"carl"}
        assert {entry.name for entry in again.rejected} == {"ansible"} and again.pending == ["bert"]
    assert stamps(target.root) == before


def test_the_whole_way_gives_the_same_answer_as_the_short_one(target: Target) -> None:
    target.run(WANTED)
    short = target.ask(WANTED).as_result()
    target.state("applied.json").unlink()
    assert target.run(WANTED).as_result() == short


def test_lines_of_others_modes_and_owners_stay(target: Target) -> None:
    target.path("shadow").chmod(0)
    old = {name: (target.path(name).stat(), target.text(name) if os.geteuid() == 0 else "") for name in NAMES}
    if os.geteuid() != 0:
        pytest.skip("only root can read a file of mode 0000")
    target.run(WANTED)
    for name, (status, text) in old.items():
        now = target.path(name).stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (status.st_mode, status.st_uid, status.st_gid), name
        backup = target.path(name + "-").stat()
        assert target.text(name + "-") == text and backup.st_mode == status.st_mode and backup.st_gid == status.st_gid
        ours = ("anna:", "bert:", "team:", "sudo:", "crew:")
        kept = [line for line in target.text(name).splitlines() if not line.startswith(ours)]
        assert kept == [line for line in text.splitlines() if not line.startswith(ours)]
    assert sorted(path.name for path in target.path("").iterdir() if path.name.startswith(".")) == [".pwd.lock"]
    assert target.path(".pwd.lock").stat().st_mode & 0o777 == 0o600
    assert target.state().stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in target.state().iterdir()} == {
        "ledger.json": 0o600,
        "applied.json": 0o600,
        "snapshots": 0o700,
    }


def test_no_secret_is_kept_besides_shadow(target: Target) -> None:
    target.run(WANTED)
    target.run(LATER)
    holding = [
        str(path.relative_to(target.root))
        for path in target.root.rglob("*")
        if "snapshots" not in path.parts
        and path.is_file()
        and any(secret.encode() in path.read_bytes() for secret in (HASH, OTHER_HASH))
    ]
    assert sorted(holding) == ["etc/shadow", "etc/shadow-"]


@pytest.mark.parametrize("spoil", [
    "passwd", "group", "shadow", "gshadow", "subuid", "login.defs", "default/useradd", "ledger", "home", "damaged",
    "types", "empty", "digest", "options", "no gshadow",
])  # fmt: skip
def test_what_makes_the_short_way_too_short(target: Target, spoil: str) -> None:
    with pytest.raises(RosterNeeded):
        target.ask(WANTED)
    if os.geteuid() == 0:
        target.options = replace(target.options, create_homes=True)
    target.run(WANTED)
    target.ask(WANTED)
    asked, wanted = target, WANTED
    applied = target.state("applied.json")
    if spoil == "ledger":
        target.state("ledger.json").write_bytes(target.state("ledger.json").read_bytes() + b"\n")
    elif spoil == "home":
        if os.geteuid() != 0:
            pytest.skip("only root makes homes")
        shutil.rmtree(target.root / "home/anna")
    elif spoil == "damaged":
        applied.write_bytes(applied.read_bytes()[:-20])
    elif spoil == "types":
        applied.write_text(json.dumps({**json.loads(applied.read_text()), "homes": [5]}))
    elif spoil == "empty":
        applied.write_bytes(b"")
    elif spoil == "digest":
        wanted = LATER
    elif spoil == "options":
        asked = Target(target.root, replace(target.options, admin_group="wheel"))
    elif spoil == "no gshadow":
        target.path("gshadow").unlink()
    else:
        path = target.path(spoil)
        path.write_text((path.read_text() if path.exists() else "") + "# touched\n")
    with pytest.raises(RosterNeeded):
        asked.ask(wanted)
    with pytest.raises(RosterNeeded):
        asked.ask(wanted, check=True)


def test_a_warning_keeps_the_short_way_closed(target: Target) -> None:
    wanted = roster(user("anna", uid=5000, shell="/bin/fish"))
    assert target.run(wanted).warnings
    with pytest.raises(RosterNeeded):
        target.ask(wanted)
    before = stamps(target.root)
    assert not target.run(wanted).changes and stamps(target.root) == before
    (target.root / "bin/fish").touch()
    assert not target.run(wanted).changes, "what can't be executed is no shell"
    (target.root / "bin/fish").chmod(0o755)
    assert [change.fields for change in target.run(wanted).changes] == [{"shell": ("/bin/bash", "/bin/fish")}]
    assert not target.ask(wanted).changes


def test_a_roster_that_was_damaged_on_its_way(target: Target) -> None:
    before = stamps(target.root)
    with pytest.raises(TargetError, match="damaged on its way"):
        target.run(WANTED, sent_digest="0" * 64)
    with pytest.raises(DocumentError):
        target.run(
            WANTED, roster=lambda: b"{}", sent_digest="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        )
    assert stamps(target.root) == before


@pytest.mark.parametrize(
    ("owned", "gone", "refused"), [(10, 3, False), (10, 4, True), (100, 5, False), (100, 6, True), (3, 3, False)]
)
@pytest.mark.parametrize("how", ["missing", "disabled"])
def test_limits(target: Target, owned: int, gone: int, refused: bool, how: str) -> None:
    people = list(many(owned))
    target.run(roster(*people))
    left = [replace(record, enabled=False) for record in people[:gone]] if how == "disabled" else []
    wanted = roster(*left, *people[gone:])
    before = stamps(target.root)
    if not refused:
        assert target.run(wanted).summary()["disabled"] == gone
        return
    for check in (True, False):
        with pytest.raises(LimitError) as caught:
            target.run(wanted, check=check)
        assert all(f"u{number:05d}" in str(caught.value) for number in range(gone))
        assert f"{gone} of {owned}" in str(caught.value) and caught.value.outcome.summary()["disabled"] == gone
    assert stamps(target.root) == before


def test_approval_is_for_one_plan_only(target: Target) -> None:
    target.run(roster(*many(20)))
    with pytest.raises(LimitError) as caught:
        target.run(roster(*list(many(20))[6:]), check=True)
    digest = caught.value.outcome.plan_digest()
    assert f"approve={digest}" in str(caught.value)
    with pytest.raises(LimitError):
        target.run(roster(*list(many(20))[7:]), approved=frozenset({digest}))
    assert target.run(roster(*list(many(20))[6:]), approved=frozenset({digest})).summary()["disabled"] == 6


def test_the_admin_group_counts_where_it_is_used(target: Target) -> None:
    other = replace(target.options, admin_group="wheel")
    target.path("group").write_text(target.text("group") + "wheel:x:990:\n")
    for admin in (False, True):
        wanted = roster(user("anna", uid=5000, admin=admin))
        plans = [target.run(wanted, check=True, options=options) for options in (target.options, other)]
        assert plans[0].changes == plans[1].changes
        assert (plans[0].plan_digest() == plans[1].plan_digest()) is not admin


def test_where_approval_is_required_nothing_else_is_written(target: Target) -> None:
    wanted, before = roster(*many(3)), stamps(target.root)
    planned = target.run(wanted, check=True)
    for check in (True, False):
        with pytest.raises(LimitError, match="was not approved: it would create 3 users: u00000") as caught:
            target.run(wanted, check=check, require_approval=True)
        assert caught.value.outcome.plan_digest() == planned.plan_digest()
    approved = frozenset({planned.plan_digest()})
    with pytest.raises(LimitError, match="is not the one that was approved"):
        target.run(roster(*many(2)), approved=approved, require_approval=True)
    # The changes are the same, and what is done is not.
    for options in (replace(target.options, end_sessions=True), replace(target.options, move_homes=True)):
        with pytest.raises(LimitError, match="is not the one that was approved"):
            target.run(wanted, approved=approved, require_approval=True, options=options)
    assert stamps(target.root) == before
    assert target.run(wanted, approved=approved, require_approval=True).as_result() == planned.as_result()
    # A plan that is empty needs no approval, the long way or the short one.
    assert not target.run(wanted, require_approval=True).changes
    assert not target.ask(wanted, require_approval=True).changes
    # What somebody else changes opens the short way to a plan that does.
    target.path("shadow").write_text(target.text("shadow").replace(HASH, OTHER_HASH))
    with pytest.raises(RosterNeeded):
        target.ask(wanted, require_approval=True)
    with pytest.raises(LimitError, match="it would update 3 users"):
        target.run(wanted, require_approval=True)


def test_too_many_admins_and_members(target: Target) -> None:
    people = [replace(record, groups=("team",)) for record in many(20)]
    target.run(roster(*[replace(record, admin=True) for record in people]))
    with pytest.raises(LimitError, match="admin rights of 20 of 20 accounts"):
        target.run(roster(*[replace(record, admin=False) for record in people]))
    with pytest.raises(LimitError, match="take 20 of 20 memberships away"):
        target.run(roster(*[replace(record, groups=(), admin=True) for record in people]))


def test_an_empty_roster_disables_nobody(target: Target) -> None:
    target.run(roster(*many(20)))
    with pytest.raises(LimitError, match="disable 20 of 20 owned"):
        target.run(roster())


@pytest.mark.parametrize("missing", [("gshadow",), ("subuid", "subgid")])
def test_hosts_without_some_files(target: Target, missing: tuple[str, ...]) -> None:
    for name in missing:
        target.path(name).unlink()
    target.run(WANTED)
    assert not [name for name in missing if target.path(name).exists() or target.path(name + "-").exists()]
    assert not target.ask(WANTED).changes


@pytest.mark.parametrize("name", ["passwd", "group", "shadow"])
def test_hosts_that_are_something_else(target: Target, name: str) -> None:
    target.path(name).unlink()
    with pytest.raises(TargetError, match=f"{name} does not exist"):
        target.run(WANTED)


@pytest.mark.parametrize(("release", "words"), [("ID=nixos\n", "NixOS"), ('ID="nixos"\n', "NixOS")])
def test_foreign_families(target: Target, release: str, words: str) -> None:
    target.path("os-release").write_text(release)
    with pytest.raises(TargetError, match=words):
        target.run(WANTED)


def test_tcb_is_refused(target: Target) -> None:
    target.path("tcb").mkdir()
    with pytest.raises(TargetError, match="tcb"):
        target.run(WANTED)


def test_a_ledger_alone_is_written_without_touching_the_account_files(target: Target) -> None:
    """Adopting an account that is as it should be."""
    target.options = replace(target.options, adopt=frozenset({"local"}))
    before = stamps(target.path(""), leave_out=[".pwd.lock"])
    assert target.run(roster(user("local", uid=20000))).summary()["updated"] == 1
    assert stamps(target.path(""), leave_out=[".pwd.lock"]) == before
    assert '"username": "local"' in target.state("ledger.json").read_text()


@needs_root
@pytest.mark.skipif(not shutil.which("pwck"), reason="pwck (package passwd) is not installed")
def test_pwck_and_grpck_find_nothing_of_ours(tmp_path: Path) -> None:
    build_tree(tmp_path / "root", TIDY)
    target = Target(tmp_path / "root", replace(Target(tmp_path).options, create_homes=True))
    for wanted in (WANTED, LATER, roster(user("bert", uid=5001), groups=[Group("team", gid=6000)])):
        target.run(wanted)
        found = complaints(target)
        assert not [line for line in found if "anna" in line or "bert" in line or "team" in line], found


def complaints(target: Target) -> list[str]:
    lines = []
    for program, first, second in (("pwck", "passwd", "shadow"), ("grpck", "group", "gshadow")):
        done = subprocess.run(
            [program, "-r", "-R", str(target.root)],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        assert done.returncode in (0, 2, 3), (first, second, done)
        lines += (done.stdout + done.stderr).splitlines()
    return lines
