# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of each family in a made-up root, with tools that note how they were called."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import TargetError
from ansible_collections.identity.roster.plugins.module_utils._linux import ca_store
from ansible_collections.identity.roster.plugins.module_utils._linux.ca_engine import Request, run
from ansible_collections.identity.roster.plugins.module_utils._linux.ca_files import CaFiles
from ansible_collections.identity.roster.plugins.module_utils._linux.ca_store import (
    FAMILIES,
    StoredFile,
    View,
    Wanted,
    certificates_in,
    described,
    family_of,
    file_name,
    fingerprint_of,
    make_plan,
    pem_of,
)
from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome
from tests.servers.authorities import Made, authority

ONE, TWO, THREE = (authority(f"Test CA {number}") for number in (1, 2, 3))
BY_NAME = {family.name: family for family in FAMILIES}
RELEASES = {
    "debian": 'ID=debian\nVERSION_ID="12"\n',
    "redhat": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "suse": 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n',
    "arch": "ID=arch\n",
    "alpine": "ID=alpine\n",
}
#: What runs for a new file, and what runs otherwise: as the tools' own sources have it.
CALLS = {
    "debian": ("update-ca-certificates", "update-ca-certificates --fresh"),
    "redhat": ("update-ca-trust extract", "update-ca-trust extract"),
    "suse": ("update-ca-certificates --fresh", "update-ca-certificates --fresh"),
    "arch": ("update-ca-trust extract", "update-ca-trust extract"),
    "alpine": ("update-ca-certificates", "update-ca-certificates"),
}
CHROOT = """#!/bin/sh
root=$1; shift
echo "$*" >> "$root/calls"
exec "$root/usr/sbin/$@"
"""
#: Makes the bundle from all anchors, and links as openssl rehash does, but for the numbers in their names.
TOOL = """#!/bin/sh -e
root=$(dirname "$0")/../..
cat "$root{anchors}"/*.crt > "$root{bundle}" 2>/dev/null || :
[ -n "{hashes}" ] || exit 0
find "$root{hashes}" -type l -exec rm {{}} +
number=10000000
for file in "$root{anchors}"/*.crt; do
    [ -e "$file" ] || continue
    name=$(basename "$file" .crt)
    ln -s "{anchors}/$name.crt" "$root{hashes}/$name.pem"
    ln -s "$name.pem" "$root{hashes}/$number.0"
    number=$((number + 1))
done
"""


@dataclass
class Image:
    """A made-up root of one family."""

    root: Path
    family: ca_store.Family
    programs: Path

    def run(self, *wanted: tuple[str, Made], check: bool = False, **more: Any) -> Outcome:
        certificates = [Wanted(name, made.der) for name, made in wanted]
        search_path = f"{self.programs}:/usr/bin:/bin"
        return run(Request(str(self.root), "/state", certificates, check_mode=check, search_path=search_path, **more))

    def calls(self) -> list[str]:
        """What ran since the last time, without trailing blanks."""
        path = self.root / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.strip() for line in found]

    def below(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def files(self) -> set[str]:
        return {path.name for path in self.below(self.family.anchors).iterdir()}

    def tool(self, script: str) -> None:
        path = self.root / "usr/sbin" / self.family.tool
        path.write_text(script)
        path.chmod(0o755)

    def seen(self) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
            found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_mode, content)
        return found


def make_image(folder: Path, name: str) -> Image:
    family = BY_NAME[name]
    root, programs = folder / "root", folder / "bin"
    for path in ("etc", "dev", "usr/sbin", os.path.dirname(family.bundle).lstrip("/")):
        (root / path).mkdir(parents=True, exist_ok=True)
    (root / "etc/os-release").write_text(RELEASES[name])
    (root / "dev/null").symlink_to("/dev/null")
    programs.mkdir()
    (programs / "chroot").write_text(CHROOT)
    (programs / "chroot").chmod(0o755)
    image = Image(root, family, programs)
    image.tool(TOOL.format(anchors=family.anchors, bundle=family.bundle, hashes=family.hashes or ""))
    return image


@pytest.fixture(params=sorted(BY_NAME))
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Image:
    return make_image(tmp_path, request.param)


@pytest.fixture
def debian(tmp_path: Path) -> Image:
    return make_image(tmp_path, "debian")


def actions(outcome: Outcome) -> list[tuple[str, str]]:
    return [(change.name, change.action) for change in outcome.changes]


def test_each_family_from_the_first_to_the_last(image: Image) -> None:
    add, rebuild = CALLS[image.family.name]
    one, two = file_name("one", ONE.sha256), file_name("two", TWO.sha256)
    before = image.seen()
    planned = image.run(("one", ONE), check=True)
    assert image.seen() == before
    done = image.run(("one", ONE))
    assert planned.as_result() == done.as_result()
    assert actions(done) == [("one", "create")]
    assert image.calls() == [add]
    assert image.files() == {one}
    path = image.below(image.family.anchors) / one
    assert (path.read_text(), path.stat().st_mode & 0o7777) == (ONE.pem, 0o644)
    assert image.below(image.family.anchors).stat().st_mode & 0o7777 == 0o755
    assert (image.below("/state").stat().st_mode & 0o7777) == 0o700
    assert (image.below("/state/ca_certificates.json").stat().st_mode & 0o7777) == 0o600

    settled = image.seen()
    for check in (True, False):
        again = image.run(("one", ONE), check=check)
        assert (again.changes, again.unchanged) == ([], 1)
    assert image.seen() == settled

    (image.below(image.family.anchors) / "admin.crt").write_text(THREE.pem)
    assert actions(image.run(("two", TWO))) == [("two", "create")]
    assert image.calls() == [add]
    assert image.files() == {one, two, "admin.crt"}
    assert actions(image.run(("two", TWO), purge=True)) == [("one", "remove")]
    assert image.calls() == [rebuild]
    assert image.files() == {two, "admin.crt"}
    bundle = image.below(image.family.bundle)
    bundle.write_text(bundle.read_text().replace(TWO.pem, ""))
    assert actions(image.run(("two", TWO))) == [("two", "update")]
    assert image.calls() == [rebuild]
    assert TWO.pem in bundle.read_text()


def test_the_table_is_consistent() -> None:
    assert len(BY_NAME) == len(FAMILIES)
    systems = [system for family in FAMILIES for system in family.systems]
    assert len(systems) == len(set(systems))
    for family in FAMILIES:
        assert family.anchors.startswith("/")
        assert family.bundle.startswith("/")


@pytest.mark.parametrize(
    ("system", "like", "family"),
    [
        ("debian", "", "debian"), ("ubuntu", "debian", "debian"), ("linuxmint", "ubuntu debian", "debian"),
        ("raspbian", "debian", "debian"), ("fedora", "", "redhat"), ("centos", "rhel fedora", "redhat"),
        ("almalinux", "rhel centos fedora", "redhat"), ("nobara", "fedora", "redhat"), ("ol", "fedora", "redhat"),
        ("opensuse-tumbleweed", "opensuse suse", "suse"), ("sles", "suse", "suse"), ("arch", "", "arch"),
        ("manjaro", "arch", "arch"), ("alpine", "", "alpine"), ("postmarketos", "alpine", "alpine"),
    ],
)  # fmt: skip
def test_families_by_os_release(system: str, like: str, family: str) -> None:
    assert family_of({"ID": system, "ID_LIKE": like}).name == family


def test_systems_that_are_not_known_are_refused_with_words(debian: Image) -> None:
    for release, said in (("ID=void\n", "'void'"), ("", "unknown"), ("ID=nixos\n", "security.pki")):
        (debian.root / "etc/os-release").write_text(release)
        with pytest.raises(TargetError, match=said):
            debian.run(("one", ONE))
    assert actions(debian.run(("one", ONE), family="debian")) == [("one", "create")]


def test_a_tool_that_fails_is_taken_back(image: Image) -> None:
    image.run(("one", ONE))
    before = image.files()
    good = (image.root / "usr/sbin" / image.family.tool).read_text()
    for script, said in (("#!/bin/sh\necho no room >&2\nexit 1\n", "no room"), ("#!/bin/sh\n", "is not in the store")):
        image.tool(script)
        outcome = image.run(("one", TWO), ("more", THREE))
        assert outcome.changes == []
        assert [failure.name for failure in outcome.failed] == ["more", "one"]
        assert all(said in failure.reason for failure in outcome.failed)
        assert image.files() == before
        assert b"more" not in image.below("/state/ca_certificates.json").read_bytes()
    image.tool(good)
    assert actions(image.run(("one", TWO), ("more", THREE))) == [("more", "create"), ("one", "update")]


def test_one_that_the_tool_does_not_take_does_not_take_the_others_with_it(debian: Image) -> None:
    tool = (debian.root / "usr/sbin/update-ca-certificates").read_text()
    debian.tool(tool.replace("[ -e", f"[ $(basename $file) = {file_name('two', TWO.sha256)} ] && continue; [ -e"))
    outcome = debian.run(("one", ONE), ("two", TWO))
    assert actions(outcome) == [("one", "create")]
    assert [failure.name for failure in outcome.failed] == ["two"]
    assert debian.files() == {file_name("one", ONE.sha256)}
    assert debian.calls() == ["update-ca-certificates", *["update-ca-certificates --fresh"] * 2]


def test_a_write_that_fails_is_taken_back(debian: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    debian.run(("one", ONE))
    debian.calls()
    before = debian.files()
    real = CaFiles.write

    def write(self: CaFiles, name: str, content: bytes) -> None:
        if "three" in name:
            raise OSError(28, "No space left on device")
        real(self, name, content)

    monkeypatch.setattr(CaFiles, "write", write)
    with pytest.raises(TargetError, match="No space left"):
        debian.run(("one", TWO), ("three", THREE))
    assert debian.files() == before
    assert debian.calls() == []
    monkeypatch.undo()
    assert debian.run(("one", ONE)).changes == []


def test_a_run_that_is_killed_before_the_tool_ran_is_completed_by_the_next(
    debian: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian.run(("one", ONE), ("two", TWO))

    def killed(self: CaFiles, everything: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CaFiles, "rebuild", killed)
    with pytest.raises(KeyboardInterrupt):
        debian.run(("one", THREE), purge=True)
    monkeypatch.undo()
    debian.calls()
    assert actions(debian.run(("one", THREE), purge=True)) == [
        ("one", "remove"), ("one", "update"), ("two", "remove"),
    ]  # fmt: skip
    assert debian.calls() == ["update-ca-certificates --fresh"]
    assert debian.below(debian.family.bundle).read_text() == THREE.pem
    assert debian.run(("one", THREE), purge=True).changes == []


def test_leftovers_of_a_killed_run_are_removed(debian: Image) -> None:
    anchors = debian.below(debian.family.anchors)
    anchors.mkdir(parents=True)
    (anchors / ".identity-roster-one-0.crt.new").write_text("half")
    (anchors / ".other.new").write_text("")
    debian.run(("one", ONE))
    assert debian.files() == {file_name("one", ONE.sha256), ".other.new"}


def test_what_stands_in_the_way_is_refused_before_anything_is_written(debian: Image, tmp_path: Path) -> None:
    anchors = debian.below(debian.family.anchors)
    outside = tmp_path / "outside"
    outside.mkdir()
    anchors.parent.mkdir(parents=True)

    def link() -> None:
        anchors.symlink_to(outside)

    def file() -> None:
        anchors.unlink()
        anchors.write_text("")

    def no_null() -> None:
        anchors.unlink()
        (debian.root / "dev/null").unlink()

    def no_tool() -> None:
        (debian.root / "usr/sbin/update-ca-certificates").unlink()

    def damaged() -> None:
        (debian.root / "state").mkdir(mode=0o700)
        (debian.root / "state/ca_certificates.json").write_text("{}")

    for prepare, said in (
        (link, "leads out of"),
        (file, "is not a directory"),
        (no_null, "/dev/null"),
        (no_tool, "install ca-certificates"),
        (damaged, "is damaged"),
    ):
        prepare()
        before = debian.seen()
        for check in (True, False):
            with pytest.raises(TargetError, match=said):
                debian.run(("one", ONE), check=check)
        assert debian.seen() == before
    assert list(outside.iterdir()) == []


def test_a_certificate_that_others_trust_too_is_said_to_stay(debian: Image) -> None:
    debian.run(("one", ONE))
    (debian.below(debian.family.anchors) / "admin.crt").write_text(ONE.pem)
    outcome = debian.run(purge=True)
    assert actions(outcome) == [("one", "remove")]
    assert "is trusted still" in outcome.warnings[0]


# --- the plan alone


def view_of(*stored: tuple[str, Made], **more: Any) -> View:
    files = {file_name(name, made.sha256): StoredFile(made.pem.encode(), 0o644) for name, made in stored}
    prints = frozenset(made.sha256 for _name, made in stored)
    return replace(View(files, prints, prints, frozenset(files)), **more)


def key(name: str, made: Made) -> tuple[str, str]:
    return name, made.sha256


def test_a_name_keeps_what_it_has_while_its_record_is_refused() -> None:
    owned = {key("one", ONE)}
    for purge in (False, True):
        plan = make_plan([], frozenset({"one"}), owned, view_of(("one", ONE)), purge)
        assert (plan.steps, plan.owned) == ([], owned)
        plan = make_plan([Wanted("one", TWO.der)], frozenset({"one"}), owned, view_of(("one", ONE)), purge)
        assert [step.change.action for step in plan.steps] == ["create"]


def test_a_certificate_under_a_new_name_moves() -> None:
    plan = make_plan([Wanted("new", ONE.der)], frozenset(), {key("old", ONE)}, view_of(("old", ONE)))
    assert [(step.change.name, step.change.action) for step in plan.steps] == [("new", "create"), ("old", "remove")]
    assert plan.owned == {key("new", ONE)}
    assert plan.rebuild


def test_a_file_of_our_name_that_is_not_ours_stays() -> None:
    plan = make_plan([], frozenset(), set(), view_of(("one", ONE)), purge=True)
    assert plan.steps == []
    assert "left alone" in plan.warnings[0]


def test_what_is_there_already_is_adopted_without_any_work() -> None:
    plan = make_plan([Wanted("one", ONE.der)], frozenset(), set(), view_of(("one", ONE)))
    assert [step.change.action for step in plan.steps] == ["adopt"]
    assert not plan.run


def test_links_to_a_file_that_is_gone_are_work_for_the_tool() -> None:
    gone = View(linked=frozenset({file_name("one", ONE.sha256)}))
    plan = make_plan([], frozenset(), {key("one", ONE)}, gone, purge=True)
    assert (plan.run, plan.rebuild) == (True, True)
    plan = make_plan([], frozenset(), {key("one", ONE)}, View(), purge=True)
    assert [step.change.fields for step in plan.steps] == [{"fingerprint": (ONE.sha256, None)}]
    assert not plan.run
    assert make_plan([Wanted("one", ONE.der)], frozenset(), set(), gone).rebuild


def test_what_a_certificate_says_of_itself() -> None:
    facts = described(ONE.der)
    assert facts == {
        "fingerprint": ONE.sha256,
        "issuer": "CN=Test CA 1",
        "subject": "CN=Test CA 1",
        "not_after": f"{ONE.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert described(authority("\u202eMüßig\n, O=x").der)["subject"].isprintable()
    assert described(authority(last_day=365 * 7900).der)["not_after"][:1] == "9"


@given(st.binary(max_size=300))
def test_garbage_is_described_by_its_fingerprint_alone(data: bytes) -> None:
    assert described(data) == {"fingerprint": fingerprint_of(data)}
    list(certificates_in(data))
    list(certificates_in(b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----"))


@given(st.binary(min_size=1, max_size=300))
def test_pem_is_read_as_it_was_written(der: bytes) -> None:
    assert list(certificates_in(b"x\n" + pem_of(der) + pem_of(der))) == [der, der]
    assert pem_of(ONE.der).decode() == ONE.pem


@given(st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just(ca_store.FORMAT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["format", "certificates", "name", "fingerprint"]), inner, max_size=4
    ),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_a_ledger_is_whole_or_refused(content: bytes) -> None:
    try:
        owned = ca_store.parse(content, "/x")
    except TargetError as problem:
        assert "damaged" in str(problem)
    else:
        assert ca_store.parse(ca_store.serialise(owned), "/x") == owned


def test_a_ledger_that_names_a_file_elsewhere_is_refused() -> None:
    good = ca_store.serialise({key("one", ONE)})
    assert ca_store.parse(good, "/x") == {key("one", ONE)}
    for bad in (good.replace(b'"one"', b'"../one"'), good.replace(ONE.sha256.encode(), b"../../etc/passwd")):
        with pytest.raises(TargetError, match="damaged"):
            ca_store.parse(bad, "/x")
