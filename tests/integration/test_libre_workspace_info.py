# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real module, run by Ansible on this machine against the portal's double."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse
from tests.playbook.run import Run, run_playbook
from tests.servers.libre_workspace import Portal
from tests.servers.libre_workspace_answers import MODES, Mode
from tests.servers.tls import Pair, issue, make_ca

MODULE = "identity.roster.libre_workspace_info"
OPTIONS = """
    url api_key dest allow_empty validate_certs ca_path timeout retries allow_unicode_names admin_groups
    uid_policy gid_policy uid_range gid_range
""".split()
COUNTS = {"records": 16, "users": 11, "groups": 3, "rejected": 9, "enabled": 10, "disabled": 1, "admins": 3}
NOTHING = dict.fromkeys(COUNTS, 0)
KEYS = {"changed", "dest", "counts", "roster_digest", "rejected", "admins_by_name", "fetched_at"}
#: What a person has to read when the portal fails so.
ADVICE: dict[Mode, str] = {
    "empty": "allow_empty=true",
    "html_200": "'Anmelden' instead of JSON: a login page",
    "redirect_301": "points to {url}/login/: redirects are not followed",
    "forbidden": "lacks the permission Linux Client",
    "not_found": "url is not the portal's, or the portal is too old or too new",
    "directory_down": "look whether the domain controller runs",
    "bad_gateway": "look whether it runs",
    "unavailable": "look whether it runs",
    "truncated": "not complete JSON",
    "short_body": "broke off before its end",
    "slow": "raise timeout",
    "hang": "raise timeout",
    "reset": "connection reset by peer",
    "not_a_list": "no list",
    "huge": "more than 256 MiB",
}
RETRIED = {"bad_gateway", "unavailable", "short_body", "reset"}

Runner = Callable[..., Run]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Run the module once for each case, all at the same time; a case is a mapping of the module's options."""
    folder = tmp_path_factory.mktemp("play")

    def run_cases(cases: Mapping[str, Mapping[str, Any]], **options: Any) -> Run:
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {name: {**here, "asked": dict(case)} for name, case in cases.items()}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        given = {name: f"{{{{ asked.{name} | default(omit) }}}}" for name in OPTIONS}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "Read the portal", MODULE: given}]}
        (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
        done = run_playbook(folder / "play.yml", folder / "hosts.json", {}, **options)
        assert set(done.of(MODULE)) == set(cases), done.output
        return done

    return run_cases


@pytest.fixture
def portal() -> Iterator[Portal]:
    with Portal(capture="04") as running:
        yield running
    assert running.failures == []


@pytest.fixture
def options(portal: Portal, tmp_path: Path) -> dict[str, Any]:
    return {"url": portal.url, "api_key": portal.api_key, "dest": str(tmp_path / "portal.json")}


def state(path: Path) -> tuple[int, int, int, bytes]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_mode & 0o7777, path.read_bytes()


def result(done: Run) -> dict[str, Any]:
    """The result of the only case, which went well."""
    assert done.returncode == 0, done.output
    (only,) = done.of(MODULE).values()
    return only


def failed(done: Run) -> set[str]:
    return {event.host for event in done.events if event.status == "failed"}


def test_the_portal_becomes_a_roster_file_once(run: Runner, portal: Portal, tmp_path: Path) -> None:
    dest = tmp_path / "new" / "folder" / "portal.json"
    case = {"only": {"url": portal.url, "api_key": portal.api_key, "dest": str(dest)}}
    before = datetime.now(UTC).replace(microsecond=0)

    checked = result(run(case, check=True))
    assert (checked["changed"], checked["counts"]) == (True, COUNTS)
    assert not dest.parent.parent.exists()

    umask = os.umask(0)
    try:
        done = run(case)
    finally:
        os.umask(umask)
    first, content = result(done), dest.read_bytes()
    assert set(first) >= KEYS
    assert (first["changed"], first["counts"], first["dest"]) == (True, COUNTS, str(dest))
    assert first["roster_digest"] == hashlib.sha256(content).hexdigest() == checked["roster_digest"]
    assert first["admins_by_name"] == ["nohash2"]
    assert any("nohash2 (CN=Shop Administrators,CN=Users,DC=int,DC=de)" in text for text in first["warnings"])
    assert {entry.get("name") for entry in first["rejected"]} >= {"4711", "jürgen", "büro"}
    assert len(parse(content).users) == COUNTS["users"]
    assert before <= datetime.fromisoformat(first["fetched_at"]) <= datetime.now(UTC)
    assert state(dest)[2] == 0o600
    assert [path.stat().st_mode & 0o7777 for path in (dest.parent, dest.parent.parent)] == [0o700, 0o700]

    left = state(dest)
    for check in (False, True):
        assert result(run(case, check=check))["changed"] is False
        assert state(dest) == left

    portal.change("anna.schmidt", display_name="Anna Neu")
    assert result(run(case, check=True))["changed"] is True
    assert state(dest) == left
    assert result(run(case))["changed"] is True
    assert state(dest)[3] != left[3]
    assert os.listdir(dest.parent) == [dest.name]

    dest.chmod(0o644)
    assert result(run(case))["changed"] is True
    assert state(dest)[2] == 0o600


def test_a_portal_that_fails_leaves_the_old_roster(run: Runner, tmp_path: Path) -> None:
    cases: dict[str, dict[str, Any]] = {}
    old, portals = {}, {}
    with ExitStack() as stack:
        for mode in MODES:
            dest = tmp_path / mode / "portal.json"
            dest.parent.mkdir()
            dest.write_bytes(b"the old roster\n")
            old[mode] = state(dest)
            portals[mode] = portal = stack.enter_context(Portal(capture="04"))
            portal.misbehave(mode, retry_after=0)
            cases[mode] = {"url": portal.url, "api_key": portal.api_key, "dest": str(dest), "retries": 1}
            if mode in ("slow", "hang"):
                cases[mode]["timeout"] = 2
        done = run(cases)
        got = done.of(MODULE)
        for mode in MODES:
            assert ADVICE[mode].format(url=portals[mode].url) in got[mode]["msg"]
            assert portals[mode].url in got[mode]["msg"]
    assert failed(done) == set(MODES)
    nothing = {"changed": False, "counts": NOTHING, "roster_digest": None, "rejected": [], "fetched_at": None}
    for mode in MODES:
        assert set(got[mode]) >= KEYS
        assert {key: got[mode][key] for key in nothing} == nothing
        assert state(Path(cases[mode]["dest"])) == old[mode]
        assert os.listdir(tmp_path / mode) == ["portal.json"]
        assert len(portals[mode].requests) == (2 if mode in RETRIED else 1), mode


def test_retries_and_refused_keys(run: Runner, options: dict[str, Any], portal: Portal, tmp_path: Path) -> None:
    with Portal() as flaky, Portal() as failing:
        for each in (flaky, failing):
            each.misbehave("unavailable", times=2, retry_after=0)
        got = run(
            {
                "flaky": {**options, "url": flaky.url, "api_key": flaky.api_key},
                "failing": {**options, "url": failing.url, "api_key": failing.api_key, "retries": 1},
                "expired": {**options, "api_key": portal.expired_key},
                "unprivileged": {**options, "api_key": portal.unprivileged_key},
            }
        ).of(MODULE)
        assert (len(flaky.requests), len(failing.requests), len(portal.requests)) == (3, 2, 2)
    assert got["flaky"]["counts"] == COUNTS
    assert "503 (asked 2 times)" in got["failing"]["msg"]
    for case in ("expired", "unprivileged"):
        assert "it is wrong, has expired, or lacks the permission Linux Client" in got[case]["msg"]


def test_nobody_at_all_when_that_is_believed(run: Runner, options: dict[str, Any], portal: Portal) -> None:
    portal.misbehave("empty")
    assert result(run({"only": {**options, "allow_empty": True}}))["counts"] == NOTHING
    assert parse(Path(options["dest"]).read_bytes()).users == ()


def test_nothing_secret_is_ever_shown(run: Runner, options: dict[str, Any], portal: Portal) -> None:
    hashes = [record["yescrypt_hash"] for record in portal.records if record["yescrypt_hash"]]
    portal.change("neu", display_name=hashes[0])
    portal.change("obrien", username=hashes[0])
    without_key = {name: value for name, value in options.items() if name != "api_key"}
    environment = {"LIBRE_WORKSPACE_API_KEY": portal.api_key}
    runs = [
        run({"only": options}, options=["-vvv"]),
        run({"only": without_key}, options=["-vvv"], environment=environment),
        run({"only": options}, options=["-vvv"], check=True),
    ]
    assert result(runs[0])["counts"]["rejected"] == COUNTS["rejected"] + 2
    for mode in ("truncated", "not_a_list", "short_body"):
        portal.misbehave(mode)
        runs.append(run({"only": {**options, "retries": 0}}, options=["-vvv"]))
    assert [done.returncode for done in runs] == [0, 0, 0, 2, 2, 2]
    assert len(portal.requests) == 6
    for done in runs:
        shown = done.output + json.dumps([event.result for event in done.events])
        assert "invocation" in shown
        assert portal.api_key not in shown
        assert "$y$" not in shown
        assert not any(each.rpartition("$")[2] in shown for each in hashes)


def test_ids_and_administrators_by_option(run: Runner, options: dict[str, Any], portal: Portal, tmp_path: Path) -> None:
    portal.serve("02")
    derive = {"uid_policy": "derive", "gid_policy": "derive"}
    ranges = {"uid_range": [200000, 299999], "gid_range": [300000, 399999]}
    admins = {"allow_unicode_names": True, "admin_groups": ["CN=Administrators,CN=Builtin,DC=int,DC=de"]}
    other = str(tmp_path / "other.json")
    done = run({"source": options, "derive": {**options, **derive, **ranges, **admins, "dest": other}})
    assert done.returncode == 0
    got = done.of(MODULE)
    assert (got["source"]["counts"]["users"], got["source"]["counts"]["records"]) == (0, 17)
    assert "Set uid_policy=derive and gid_policy=derive" in got["source"]["warnings"][0]
    assert got["derive"]["admins_by_name"] == []
    roster = parse(Path(other).read_bytes())
    assert {user.username for user in roster.users if user.admin} == {"Administrator", "chef"}
    assert all(200000 <= (user.uid or 0) <= 299999 for user in roster.users)
    assert all(300000 <= (group.gid or 0) <= 399999 for group in roster.groups)
    assert "jürgen" in {user.username for user in roster.users}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "clear": ({"url": "http://portal.example.org"}, "in clear text"),
    "credentials": ({"url": "https://me:geheim@portal.example.org"}, "credentials"),
    "query": ({"url": "https://portal.example.org?key=geheim"}, "query"),
    "key": ({"api_key": "k\u00e9y-canary"}, "api_key"),
    "timeout": ({"timeout": 0}, "timeout"),
    "retries": ({"retries": -1}, "retries"),
    "reserved": ({"uid_range": [1, 2]}, "system accounts"),
    "length": ({"uid_range": [70000]}, "two numbers"),
    "overlap": ({"uid_range": [70000, 80000], "gid_range": [80000, 90000]}, "overlap"),
    "group": ({"admin_groups": ["it"]}, "is no DN"),
    "authority": ({"ca_path": "/nonexistent"}, "ca_path /nonexistent can't be read"),
}


def test_options_that_can_not_be_meant_ask_nobody(run: Runner, options: dict[str, Any], portal: Portal) -> None:
    done = run({name: {**options, **changed} for name, (changed, _words) in REFUSED.items()})
    assert failed(done) == set(REFUSED)
    assert portal.requests == []
    assert not Path(options["dest"]).exists()
    assert "canary" not in done.output
    for name, got in done.of(MODULE).items():
        assert REFUSED[name][1] in got["msg"]
        assert "geheim" not in got["msg"]
        assert set(got) >= KEYS


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_dest_that_is_no_file_of_its_own(run: Runner, options: dict[str, Any], tmp_path: Path, check: bool) -> None:
    (tmp_path / "file").write_bytes(b"a file")
    (tmp_path / "symlink").symlink_to("file")
    (tmp_path / "dangling").symlink_to("missing")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = {path.name: path.lstat().st_ino for path in tmp_path.iterdir()}
    names = ["symlink", "dangling", "directory", "fifo", "file/below"]
    done = run({name: {**options, "dest": str(tmp_path / name)} for name in names}, check=check)
    assert failed(done) == set(names)
    for name, got in done.of(MODULE).items():
        assert str(tmp_path / name) in got["msg"]
        assert (got["changed"], got["counts"]) == (False, COUNTS)
    assert {path.name: path.lstat().st_ino for path in tmp_path.iterdir()} == before
    assert (tmp_path / "file").read_bytes() == b"a file"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_ca(tmp_path_factory.mktemp("ca"))


def test_tls_with_the_right_authority(run: Runner, authority: Pair, tmp_path: Path) -> None:
    with Portal(tls=issue(authority)) as portal:
        options = {"url": portal.url, "api_key": portal.api_key, "dest": str(tmp_path / "portal.json")}
        trusting = {**options, "ca_path": str(authority.certificate)}
        assert run({"file": trusting, "off": {**options, "validate_certs": False}}).returncode == 0
        assert run({"system": options}, environment={"SSL_CERT_FILE": str(authority.certificate)}).returncode == 0
        assert len(portal.requests) == 3


def test_tls_that_proves_nothing(run: Runner, authority: Pair, tmp_path: Path) -> None:
    dest = tmp_path / "portal.json"
    dest.write_bytes(b"the old roster\n")
    right, other = str(authority.certificate), str(make_ca(tmp_path / "ca").certificate)
    leaves = {
        "unknown": (issue(authority), {}, "certificate"),
        "other": (issue(authority), {"ca_path": other}, "certificate"),
        "expired": (issue(authority, name="old", expired=True), {"ca_path": right}, "has expired"),
        "name": (issue(authority, ["portal.example.org"], name="named"), {"ca_path": right}, "127.0.0.1"),
    }
    with ExitStack() as stack:
        portals = {name: stack.enter_context(Portal(tls=leaf)) for name, (leaf, _option, _words) in leaves.items()}
        cases = {
            name: {"url": portal.url, "api_key": portal.api_key, "dest": str(dest), **leaves[name][1]}
            for name, portal in portals.items()
        }
        got = run(cases).of(MODULE)
        assert [portal.requests for portal in portals.values()] == [[]] * 4
    for name, (_leaf, _option, words) in leaves.items():
        assert "is not protected by a certificate to trust" in got[name]["msg"]
        assert words in got[name]["msg"]
        assert "ca_path" in got[name]["msg"]
    assert dest.read_bytes() == b"the old roster\n"


def test_a_controller_without_requests(run: Runner, options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "path" / "requests").mkdir(parents=True)
    (tmp_path / "path" / "requests" / "__init__.py").write_text("raise ImportError('none')\n", encoding="utf-8")
    done = run({"only": options}, environment={"PYTHONPATH": str(tmp_path / "path")})
    got = done.of(MODULE)["only"]
    assert "Failed to import the required Python library (requests)" in got["msg"]
    assert set(got) >= KEYS
