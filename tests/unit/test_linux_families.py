# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an account on each Linux family, on root directories made up to look like it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import engine, files, lock
from ansible_collections.identity.roster.plugins.module_utils._linux.draft import Home
from ansible_collections.identity.roster.plugins.module_utils._linux.elsewhere import read_elsewhere
from ansible_collections.identity.roster.plugins.module_utils._linux.files import AccountFiles
from ansible_collections.identity.roster.plugins.module_utils._linux.homes import HomeMaker
from ansible_collections.identity.roster.plugins.module_utils._linux.host import RootHost
from ansible_collections.identity.roster.plugins.module_utils._linux.lock import locks_left_behind, password_lock
from ansible_collections.identity.roster.plugins.module_utils._linux.settings import read_settings
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Group, Roster

from . import linux_families
from .linux_families import FAMILIES, LABEL
from .linux_hosts import HASH, OTHER_HASH, roster, user
from .linux_trees import NAMES, WANTED, Target, needs_root, stamps, target

__all__ = ["target"]
pytestmark = needs_root

TEAM = [Group("team", gid=6000)]
#: One account from its making to its end, in steps.
LIFE = {
    "create": roster(
        user("anna", uid=5000, gid=5000, password_hash=HASH, groups=("team",), admin=True, enabled=True),
        user("bert", uid=5001, groups=("crew",)),
        groups=TEAM,
    ),
    "update": roster(
        user("anna", uid=5000, password_hash=OTHER_HASH, groups=(), full_name="Anna", admin=False, enabled=True),
        user("bert", uid=5001, groups=("crew", "team")),
        groups=TEAM,
    ),
    "disable": roster(
        user("anna", uid=5000, password_hash=OTHER_HASH, groups=(), full_name="Anna", admin=False, enabled=False),
        user("bert", uid=5001, groups=("crew", "team")),
        groups=TEAM,
    ),
    "enable": roster(
        user("anna", uid=5000, password_hash=OTHER_HASH, groups=(), full_name="Anna", admin=True, enabled=True),
        user("bert", uid=5001, groups=("crew", "team")),
        groups=TEAM,
    ),
}
REMEMBERED = ("var/lib/identity-roster", "var/lib/identity-roster/applied.json")
OURS = ("anna:", "bert:", "team:", "wheel:", "crew:")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the locks of a made-up host."""
    monkeypatch.setattr(lock, "BUSYBOX_PATIENCE", 0.0)


@pytest.fixture
def family(tmp_path: Path) -> Callable[[str], Target]:
    return lambda name: linux_families.build(tmp_path / "root", name)


def label(path: Path) -> bytes | None:
    try:
        return os.getxattr(path, "security.selinux")
    except OSError:
        return None


def looks(target: Target) -> dict[str, tuple[int, int, int, bytes | None]]:
    """Mode, owner, group and label of the account files that are there."""
    found = {}
    for name in NAMES:
        if target.path(name).exists():
            status = target.path(name).stat()
            found[name] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, label(target.path(name)))
    return found


def lines_of_others(target: Target) -> dict[str, list[str]]:
    return {
        name: [line for line in target.text(name).splitlines() if not line.startswith(OURS)]
        for name in NAMES
        if target.path(name).exists()
    }


def shadow_fields(target: Target, name: str) -> list[str]:
    line = target.line("shadow", name)
    assert line is not None
    return line.split(":")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_life_of_an_account(family: Callable[[str], Target], name: str) -> None:
    target = family(name)
    before, others, listing = looks(target), lines_of_others(target), set(os.listdir(target.path("")))
    assert set(before) == set(FAMILIES[name].modes)
    for step, wanted in LIFE.items():
        untouched = stamps(target.root)
        planned = target.run(wanted, check=True)
        assert stamps(target.root) == untouched, f"{step}: check mode wrote"
        done = target.run(wanted)
        assert done.as_result() == planned.as_result() and done.changes and not done.failed, (step, done.failed)
        assert looks(target) == before and lines_of_others(target) == others, step
        settled = stamps(target.root)
        assert not target.run(wanted).changes and not target.ask(wanted).changes
        target.state("applied.json").unlink()
        assert not target.run(wanted).changes
        expected = {path: stamp for path, stamp in settled.items() if path not in REMEMBERED}
        assert stamps(target.root, REMEMBERED) == expected, f"{step}: a second run wrote"
        fields = shadow_fields(target, "anna")
        assert (fields[1].startswith("!"), fields[7] == "1") == (step == "disable",) * 2
        wheel = (target.line("group", "wheel") or "").split(":")[3].split(",")
        assert ("anna" in wheel) == (step in ("create", "enable")) and "ansible" in wheel
    assert (target.line("passwd", "anna") or "").endswith(f":Anna:/home/anna:{target.options.default_shell}")
    home = (target.root / "home/anna").stat()
    assert (home.st_uid, home.st_gid, stat.S_IMODE(home.st_mode)) == (5000, 5000, 0o700)
    new = set(os.listdir(target.path(""))) - listing
    assert new == {".pwd.lock", *(f"{each}-" for each in before)}, "something was left in /etc"


def test_red_hat(family: Callable[[str], Target]) -> None:
    target = family("red hat")
    assert target.options.admin_group == "wheel" and target.options.default_shell == "/bin/bash"
    configuration = target.text("nsswitch.conf")
    target.run(LIFE["create"])
    spool = (target.root / "var/spool/mail/anna").stat()
    assert (spool.st_uid, spool.st_gid, stat.S_IMODE(spool.st_mode)) == (5000, 12, 0o660)
    assert stat.S_IMODE(target.path("shadow").stat().st_mode) == 0
    assert stat.S_IMODE(target.path("shadow-").stat().st_mode) == 0, "the backup holds hashes too"
    assert target.text("nsswitch.conf") == configuration
    assert target.line("subuid", "anna") == "anna:165536:65536"
    if label(target.path("shadow")) is None:
        pytest.skip("this file system has no SELinux labels")
    assert label(target.path("shadow")) == label(target.path("shadow-")) == LABEL


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_label_that_can_not_be_kept(
    family: Callable[[str], Target], monkeypatch: pytest.MonkeyPatch, looked_at: bool
) -> None:
    target = family("red hat")
    if label(target.path("shadow")) is None:
        pytest.skip("this file system has no SELinux labels")
    monkeypatch.setattr(files, "_SELINUX", "/" if looked_at else "/nowhere")
    before = {name: target.text(name) for name in NAMES}

    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "setxattr", refuse)
    if looked_at:
        with pytest.raises(TargetError, match=r"shadow's SELinux label can't be kept"):
            target.run(LIFE["create"])
        assert {name: target.text(name) for name in NAMES} == before
    else:
        assert target.run(LIFE["create"]).summary()["created"] == 2, "a container whose image has labels"


def test_suse(family: Callable[[str], Target]) -> None:
    target = family("suse")
    assert target.options.admin_group == "wheel"
    target.run(roster(user("bert", uid=5001, groups=("crew",))))
    assert (target.line("passwd", "bert") or "").split(":")[3] == "100", "USERGROUPS_ENAB no and GROUP=users"
    assert target.line("group", "bert") is None
    assert shadow_fields(target, "bert")[3:6] == ["0", "90", "7"], "the drop-ins count, by name"
    home = target.root / "home/bert"
    assert {path.name: path.read_text() for path in home.iterdir()} == {
        ".profile": "# vendor\n",
        ".bashrc": "# local\n",
    }


def test_login_defs_of_etc_replace_the_vendors(family: Callable[[str], Target]) -> None:
    target = family("suse")
    target.path("login.defs").write_text("UID_MIN 2000\n")
    with opened(target) as account_files:
        defaults = account_files.host_defaults()
    settings = read_settings(defaults["login.defs"], defaults["useradd"], {"users": 100}.get)
    assert (settings.uid_min, settings.private_groups, settings.pass_max_days) == (2000, True, "90")
    shutil.rmtree(target.root / "usr/etc")
    with opened(target) as account_files:
        defaults = account_files.host_defaults()
    assert defaults == {"login.defs": b"UID_MIN 2000\n", "useradd": None}, "another build of shadow reads no drop-ins"


def test_skeletons_together(tmp_path: Path) -> None:
    for path, text in {
        "etc/skel/.config/a": "local", "etc/skel/file": "local", "etc/skel/odd/x": "local",
        "vendor/.config/a": "vendor", "vendor/.config/b": "vendor", "vendor/file/x": "vendor", "vendor/odd": "vendor",
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    HomeMaker(str(tmp_path), "/etc/skel", 0o700, "/vendor").make(Home("/home/anna", 5000, 5000, "anna"))
    home = tmp_path / "home/anna"
    assert {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()} == {
        ".config/a": "local",
        ".config/b": "vendor",
        "file": "local",
        "odd/x": "local",
    }


def test_alpine_has_neither_gshadow_nor_bash(family: Callable[[str], Target]) -> None:
    target = family("alpine")
    assert (target.options.admin_group, target.options.default_shell) == ("wheel", "/bin/sh")
    outcome = target.run(LIFE["create"])
    assert not outcome.warnings and not outcome.failed
    assert not target.path("gshadow").exists() and not target.path("subuid").exists()


@contextmanager
def opened(target: Target) -> Iterator[AccountFiles]:
    account_files = AccountFiles(str(target.root))
    try:
        yield account_files
    finally:
        account_files.close()


@contextmanager
def locked(target: Target, wait: float = 5.0) -> Iterator[AccountFiles]:
    with opened(target) as account_files, password_lock(account_files.descriptor, account_files.path, wait):
        yield account_files


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, False),
        ({"etc/os-release": "ID=debian\n", "bin/busybox": ""}, False),
        ({"etc/os-release": "ID=alpine\n"}, True),
        ({"usr/lib/os-release": 'ID=edge\nID_LIKE="alpine other"\n'}, True),
        ({"bin/passwd": "->/bin/busybox"}, True),
        ({"usr/bin/passwd": "->../../bin/busybox.suid"}, True),
        ({"usr/sbin/adduser": "->busybox"}, True),
        ({"bin/sh": "->busybox"}, False),
        ({"lib/ld-musl-aarch64.so.1": ""}, True),
        ({"lib/ld-musl-x86_64.so.1": "", "lib64/ld-linux-x86-64.so.2": ""}, False),
        ({"lib/ld-musl-armhf.so.1": "", "lib/ld-linux-armhf.so.3": ""}, False),
    ],
    ids=[
        "nothing", "debian with busybox", "alpine", "like alpine", "passwd", "passwd of yocto", "adduser", "shell only",
        "musl", "glibc with musl beside", "glibc on arm with musl beside",
    ],
)  # fmt: skip
def test_who_locks_by_name(tmp_path: Path, entries: dict[str, str], expected: bool) -> None:
    root = tmp_path / "a [b]*"
    for path, text in entries.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            (root / path).symlink_to(text[2:])
        else:
            (root / path).write_text(text)
    assert lock.names_lock(str(root)) is expected


BY_NAME = {"passwd+", "group+", "shadow+", "gshadow+", *(f"{name}.lock" for name in NAMES)}


def test_locks_by_name(family: Callable[[str], Target]) -> None:
    target = family("alpine")
    before = set(os.listdir(target.path("")))
    with locked(target) as account_files:
        held = set(os.listdir(target.path(""))) - before - {".pwd.lock"}
        assert held == BY_NAME
        inodes = {target.path(name).stat().st_ino for name in BY_NAME}
        assert len(inodes) == len(BY_NAME), "shadow's tools write into passwd+: it must not be group+ as well"
        for name in BY_NAME:
            # shadow reads a number up to the first NUL (do_lock_file in lib/commonio.c).
            assert target.path(name).read_bytes().split(b"\0")[0] == b"%d" % os.getpid()
            assert stat.S_IMODE(target.path(name).stat().st_mode) == 0o600
        assert account_files.read()["passwd"]
    assert set(os.listdir(target.path(""))) - before == {".pwd.lock"}


def test_glibc_hosts_have_no_locks_by_name(target: Target) -> None:
    before = set(os.listdir(target.path("")))
    with locked(target):
        assert set(os.listdir(target.path(""))) - before == {".pwd.lock"}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_somebody_else_locks_by_name(
    family: Callable[[str], Target], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    target = family("alpine")
    monkeypatch.setattr(engine, "LOCK_WAIT", 0.05)
    target.path(name).write_bytes(b"1" if name.endswith(".lock") else b"root:x:0:0:")
    os.utime(target.path(name), (time.time() - 90, time.time() - 90))
    texts = {each: target.text(each) for each in ("passwd", "group", "shadow")}
    words = "held by process 1" if name.endswith(".lock") else r"in the way and was last written 9\d s ago"
    with pytest.raises(TargetError, match=words):
        target.run(LIFE["create"])
    assert {each: target.text(each) for each in texts} == texts
    assert {each for each in BY_NAME if target.path(each).exists()} == {name}, "its lock stays, ours go"
    assert target.run(LIFE["create"], check=True).changes
    target.path(name).unlink()
    assert target.run(LIFE["create"]).changes


@pytest.mark.parametrize("name", ["shadow+", "passwd.lock"])
def test_a_lock_by_name_that_is_given_up_in_time(family: Callable[[str], Target], name: str) -> None:
    target = family("alpine")
    target.path(name).write_bytes(b"1")
    timer = threading.Timer(0.2, target.path(name).unlink)
    timer.start()
    assert target.run(LIFE["create"]).changes
    timer.join()


def test_a_lock_of_a_process_that_has_ended(family: Callable[[str], Target]) -> None:
    target = family("alpine")
    target.path("group.lock").write_bytes(b"4194305\0")
    assert target.run(LIFE["create"]).changes and not target.path("group.lock").exists()


@pytest.mark.parametrize("wanted", ["create", "update"])
def test_locks_of_a_run_that_was_killed(family: Callable[[str], Target], wanted: str) -> None:
    """Also by a run that has nothing else to do: busybox's tools would fail until then."""
    target = family("alpine")
    target.run(LIFE["create"])
    target.state("applied.json").unlink()
    for name in BY_NAME:
        target.path(name).write_bytes(b"1\0identity-roster\n")
    with opened(target) as account_files:
        assert locks_left_behind(account_files.descriptor)
        target.run(LIFE[wanted], check=True)
        assert locks_left_behind(account_files.descriptor), "check mode removes nothing"
        target.run(LIFE[wanted])
        assert not locks_left_behind(account_files.descriptor)
    assert not [name for name in BY_NAME if target.path(name).exists()]


def busybox() -> str | None:
    """A busybox with the applet passwd."""
    program = shutil.which("busybox")
    if not program:
        return None
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=False).stdout.split()
    return program if "passwd" in applets else None


def test_the_real_busybox(family: Callable[[str], Target], monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for our lock, and gives up rather than write the file back that it had opened before."""
    program = busybox()
    if program is None:
        pytest.skip("busybox-static is not installed")
    monkeypatch.undo()
    target = family("alpine")
    shutil.copy(program, target.root / "bin/busybox")
    command = ["chroot", str(target.root), "/bin/passwd"]
    free = subprocess.run([*command, "-l", "ansible"], capture_output=True, text=True, check=False)
    if free.returncode:
        pytest.skip(f"busybox can't run here: {free.stderr}")
    assert shadow_fields(target, "ansible")[1] == "!$6$ansible$x"
    assert target.path("shadow").stat().st_gid == 42
    with locked(target) as account_files:
        waiting = subprocess.Popen(
            [*command, "-u", "ansible"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        time.sleep(0.3)
        assert waiting.poll() is None
        old = account_files.read()
        account_files.commit(old, {"shadow": (old["shadow"] or b"") + b"anna:*:19000::::::\n"})
    output, _nothing = waiting.communicate(timeout=10)
    assert waiting.returncode == 1 and "can't create" in output
    assert target.line("shadow", "anna"), "busybox wrote the old file back"
    subprocess.run([*command, "-u", "ansible"], capture_output=True, check=True)
    assert shadow_fields(target, "ansible")[1] == "$6$ansible$x" and target.line("shadow", "anna")


def refused(target: Target, words: str, wanted: Roster = WANTED) -> None:
    before = stamps(target.root)
    for check in (True, False):
        with pytest.raises(TargetError, match=words):
            target.run(wanted, check=check)
    assert stamps(target.root) == before, "something was written all the same"


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("path", [".", "group", "passwd-"])
def test_immutable_and_append_only(target: Target, path: str, flag: str) -> None:
    place = target.path(path)
    place.touch()
    if subprocess.run(["chattr", f"+{flag}", place], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        refused(target, r"etc/?\S* is immutable")
    finally:
        subprocess.run(["chattr", f"-{flag}", place], check=True)
    assert target.run(WANTED).changes


#: Runs a plan with a new user in a mount namespace of its own, and prints what was refused.
PROGRAM = """
import sys
base = "ansible_collections.identity.roster.plugins.module_utils."
from importlib import import_module as load
validation, document = load(base + "_roster.validation"), load(base + "_roster.document")
engine, draft = load(base + "_linux.engine"), load(base + "_linux.draft")
content = document.serialise(validation.build_from_records({"kind": "t"}, [{"username": "anna", "uid": 5000}]))
read = lambda: content
digest = document.digest(content)
options = draft.Options(admin_group="sudo", default_shell="/bin/sh", create_homes=False)
for check in (True, False):
    try:
        engine.run(engine.Request(sys.argv[1], "/var/lib/state", options, "o", digest, digest, read, check, {}))
        print("not refused")
    except load(base + "_errors").TargetError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("mounting", "words"),
    [
        ("mount --bind etc/shadow etc/shadow", "etc/shadow is a mount point"),
        ("mount --bind etc/passwd- etc/passwd-", "etc/passwd- is a mount point"),
        ("mount --bind etc etc && mount -o remount,bind,ro etc", "etc can't be written (read-only file system"),
        ("mount -t tmpfs -o size=64k none etc && cp -a saved/. etc", "etc has no room for"),
    ],
    ids=["file", "backup", "read-only", "small"],
)
def test_mounts(target: Target, collections_path: Path, mounting: str, words: str) -> None:
    target.root = target.root.rename(target.root.with_name("a root"))
    target.path("passwd-").touch()
    shutil.copytree(target.path(""), target.root / "saved")
    before = stamps(target.root)
    script = f'cd "$1" && {mounting} && shift && exec "$@"'
    command: list[str | Path] = [
        "unshare",
        "-m",
        "sh",
        "-c",
        script,
        "sh",
        target.root,
        sys.executable,
        "-c",
        PROGRAM,
        target.root,
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(collections_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("mounting is not permitted here")
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(words in line for line in lines), done
    assert stamps(target.root) == before


def test_hard_links_keep_what_they_had(target: Target) -> None:
    """Like useradd: the other name is a copy by ``cp -l``, and must not follow."""
    (target.root / "copy").mkdir()
    for name in NAMES:
        os.link(target.path(name), target.root / "copy" / name)
    texts = {name: target.text(name) for name in NAMES}
    target.run(WANTED)
    assert {name: (target.root / "copy" / name).read_text() for name in NAMES} == texts
    assert target.line("passwd", "anna") and target.path("passwd").stat().st_nlink == 1


@pytest.mark.parametrize("kind", ["link", "dangling link", "loop"])
def test_an_etc_that_leads_elsewhere(target: Target, kind: str) -> None:
    etc = target.root / "etc"
    etc.rename(target.root / "real-etc")
    etc.symlink_to({"link": "real-etc", "dangling link": "nowhere", "loop": "etc"}[kind])
    refused(target, r"etc (is a symbolic link|can't be opened)")


def test_a_backup_that_is_a_link_is_replaced(target: Target) -> None:
    (target.root / "tmp/x").write_text("mine\n")
    target.path("passwd-").symlink_to("../tmp/x")
    target.run(WANTED)
    assert (target.root / "tmp/x").read_text() == "mine\n" and not target.path("passwd-").is_symlink()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"os-release": "ID=nixos\n"}, "is NixOS"),
        ({"NIXOS": ""}, "is NixOS"),
        ({"os-release": "ID=guix\n"}, "is Guix System"),
        ({"tcb/root/shadow": ""}, "in /etc/tcb"),
    ],
    ids=["nixos", "nixos marker", "guix", "tcb"],
)
def test_hosts_that_are_not_managed(target: Target, entries: dict[str, str], words: str) -> None:
    for path, text in entries.items():
        target.path(path).parent.mkdir(parents=True, exist_ok=True)
        target.path(path).write_text(text)
    refused(target, words)


def test_guix_as_a_package_manager_is_no_reason(target: Target) -> None:
    target.path("guix").mkdir()
    assert target.run(WANTED, check=True).changes


ODD = {
    "no final newline": ("passwd", b"last:x:1999:1999::/home/last:/bin/sh"),
    "dos": ("passwd", b"dos:x:1998:1998::/home/dos:/bin/sh\r\n"),
    "nul": ("passwd", b"nul\0:x:1997:1997::/home/nul:/bin/sh\n"),
    "not utf-8": ("passwd", b"latin:x:1996:1996:J\xfcrgen:/home/latin:/bin/sh\n"),
    "twice": ("passwd", b"twice:x:1995:1995::/a:/bin/sh\ntwice:x:1994:1994::/b:/bin/sh\n"),
    "nis": ("passwd", b"+@people::::::\n-bad::::::\n+::::::\n"),
    "nis group": ("group", b"+:::\n"),
    "comments": ("group", b"# local groups\n\n\n   \n"),
    "short shadow": ("shadow", b"short:*:1\n"),
    "twice in group": ("group", b"double:x:1700:\ndouble:x:1701:local\n"),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_files_stay_verbatim(target: Target, name: str) -> None:
    file, odd = ODD[name]
    path = target.path(file)
    path.write_bytes(path.read_bytes() + odd)
    before = path.read_bytes()
    target.run(WANTED)
    after = path.read_bytes()
    assert after != before and after.endswith(b"\n")
    ours = (b"anna:", b"bert:", b"team:", b"sudo:", b"crew:")
    kept = [line for line in after.split(b"\n") if not line.startswith(ours)]
    assert [line for line in before.split(b"\n") if not line.startswith(ours)] in (kept, kept[:-1])
    assert target.path(file + "-").read_bytes() == before
    assert not target.run(WANTED).changes and path.read_bytes() == after


RECORDS = {
    "/usr/lib/passwd": b"tss:x:59:59::/:/sbin/nologin\n\n+::::::\nshort:x:60\n# x:x:1:1\n",
    "/usr/lib/group": b"tss:x:59:\nodd:x:notanumber:\n",
    "/etc/userdb/vera.user": b'{"userName": "vera", "uid": 4711, "gid": 4712}',
    "/usr/lib/userdb/vera.user": b'{"userName": "vera", "uid": 1}',
    "/run/userdb/club.group": b'{"groupName": "club", "gid": 4713}',
    "/var/lib/systemd/home/homer.identity": b'{"userName": "homer", "binding": {"4e1": {"uid": 60001}}}',
    "/run/host/userdb/nameless.user": b'{"uid": 5}',
    "/etc/userdb/broken.user": b"{",
    "/etc/userdb/list.user": b"[]",
    "/etc/userdb/text.user": b'{"userName": 5, "binding": 7}',
    "/etc/userdb/deep.user": b"[" * 100000,
    "/etc/userdb/latin.user": b"\xff",
    "/etc/userdb/idless.group": b'{"groupName": "idless", "gid": "5"}',
}


def test_accounts_that_are_elsewhere() -> None:
    found = read_elsewhere(RECORDS)
    assert found.users == {
        "tss": (59, "/usr/lib/passwd"),
        "short": (60, "/usr/lib/passwd"),
        "vera": (4711, "/etc/userdb/vera.user"),
        "homer": (60001, "/var/lib/systemd/home/homer.identity"),
    }
    assert found.groups == {
        "tss": (59, "/usr/lib/group"),
        "odd": (None, "/usr/lib/group"),
        "club": (4713, "/run/userdb/club.group"),
        "idless": (None, "/etc/userdb/idless.group"),
    }


def test_what_a_root_has_elsewhere(tmp_path: Path) -> None:
    for path, content in {**RECORDS, "/etc/userdb/vera.user-privileged": b'{"userName": "secret"}'}.items():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (tmp_path / "etc/userdb/4711.user").symlink_to("vera.user")
    (tmp_path / "etc/userdb/dangling.user").symlink_to("nobody.user")
    assert set(RootHost(str(tmp_path)).elsewhere().users) == {"tss", "short", "vera", "homer"}
    assert RootHost(str(tmp_path / "nowhere")).elsewhere().users == {}


def test_ostree_accounts_count_as_taken(family: Callable[[str], Target]) -> None:
    target = family("ostree")
    image = {name: (target.root / "usr/lib" / name).read_bytes() for name in ("passwd", "group")}
    outcome = target.run(
        roster(
            user("kiosk", uid=5020),
            user("bert", uid=5010),
            user("plotters", uid=5021),
            user("carl", uid=5022, gid=5011),
            user("dora", groups=("scanusers",)),
            groups=[Group("scanusers"), Group("other", gid=5011)],
        )
    )
    left = {entry.name: entry.reason for entry in outcome.rejected}
    assert left["kiosk"] == "is an account of this host in /usr/lib/passwd"
    assert "in /usr/lib/group" in left["scanusers"] and "/etc/group" in left["scanusers"]
    reasons = {failure.name: failure.reason for failure in outcome.failed}
    assert reasons["bert"] == "uid 5010 belongs to the account 'kiosk' of this host"
    assert "a group 'plotters' exists" in reasons["plotters"]
    assert "the group 'plotters' of this host" in reasons["carl"]
    assert "gid 5011 belongs to the group 'plotters'" in reasons["other"]
    assert (target.line("passwd", "dora") or "").split(":")[2] == "5023", "not the image's, nor one that is wanted"
    assert [change.name for change in outcome.changes] == ["dora"]
    assert {name: (target.root / "usr/lib" / name).read_bytes() for name in image} == image


def test_an_admin_group_of_the_image(family: Callable[[str], Target]) -> None:
    target = family("ostree")
    target.path("group").write_text(target.text("group").replace("wheel:x:10:ansible\n", ""))
    outcome = target.run(roster(user("anna", uid=5000, admin=True)))
    assert [failure.reason for failure in outcome.failed] == [
        "is in /usr/lib/group only and needs a line in /etc/group, with its gid, so anna can't be made admins"
    ]


def test_homed_and_userdb_accounts_count_as_taken(target: Target) -> None:
    folder = target.root / "var/lib/systemd/home"
    folder.mkdir(parents=True)
    record = {"userName": "anna", "binding": {"4e1": {"uid": 5001, "gid": 5001}}}
    (folder / "anna.identity").write_text(json.dumps(record))
    outcome = target.run(roster(user("anna", uid=5000), user("bert", uid=5001)))
    assert [entry.reason for entry in outcome.rejected] == [
        "is an account of this host in /var/lib/systemd/home/anna.identity"
    ]
    assert [failure.reason for failure in outcome.failed] == ["uid 5001 belongs to the account 'anna' of this host"]
    assert not outcome.changes


def test_an_account_of_the_image_that_was_copied_into_etc_is_an_ordinary_one(family: Callable[[str], Target]) -> None:
    target = family("ostree")
    target.options = replace(target.options, adopt=frozenset({"kiosk"}))
    for name in ("passwd", "group"):
        line = next(line for line in (target.root / "usr/lib" / name).read_text().splitlines() if "kiosk" in line)
        target.path(name).write_text(target.text(name) + line + "\n")
    outcome = target.run(roster(user("kiosk", uid=5010)))
    assert not outcome.failed and not outcome.rejected
    assert [(change.name, change.action) for change in outcome.changes] == [("kiosk", "adopt")]
