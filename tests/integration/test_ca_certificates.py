# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authorities on real hosts. The judges are the store's own files and handshakes by Python and curl on the host."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.system import Fingerprint, fingerprint
from tests.playbook.run import Run, run_playbook
from tests.servers.authorities import Made, authority, https_server

ACTION = "identity.roster.ca_certificates"
ANCHORS = "usr/local/share/ca-certificates"
OPTIONS = ("certificates", "purge", "min_days", "family", "root", "state_dir")
PYTHON = """
import socket, ssl, sys
context = ssl.create_default_context()
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
    context.wrap_socket(plain, server_hostname="localhost").close()
"""


@dataclass
class Store:
    """One playbook with one task, on two hosts."""

    fleet: Fleet
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, *certificates: dict[str, Any], check: bool = False, **options: Any) -> Run:
        given = {"certificates": list(certificates), **self.options, **options}
        play = {
            "hosts": "linux_clients",
            "gather_facts": False,
            "become": True,
            "tasks": [{ACTION: {name: f"{{{{ {name} }}}}" for name in OPTIONS if name in given}}],
        }
        playbook = self.folder / "play.yml"
        playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
        return run_playbook(playbook, self.fleet.inventory_path, given, check=check)

    def seen(self) -> dict[str, Fingerprint]:
        return {host.name: state(host) for host in self.fleet.hosts}

    def apply(self, *certificates: dict[str, Any], **options: Any) -> Run:
        """One run that goes well, where `prove` has shown elsewhere that it does what it says."""
        done = self.run(*certificates, **options)
        assert done.returncode == 0, done.output
        return done

    def prove(self, *certificates: dict[str, Any], failed: bool = False, whole: bool = False, **options: Any) -> Run:
        """Check, apply, apply: the plan is what was done, and the second time there is nothing to do.

        With ``whole``, check mode is asked before that second time.
        """
        before = self.seen()
        planned = self.run(*certificates, check=True, **options)
        assert bool(planned.returncode) == failed, planned.output
        assert self.seen() == before, "check mode wrote something"
        done = self.run(*certificates, **options)
        assert bool(done.returncode) == failed, done.output
        for host in self.fleet.hosts:
            plan, result = planned.of(ACTION)[host.name], done.of(ACTION)[host.name]
            for key in ("changed", "changes", "summary", "rejected", "failures", "plan_digest", "diff"):
                assert result[key] == plan[key], (host.name, key)
        settled = self.seen()
        for check in (True, False) if whole else (False,):
            again = self.run(*certificates, check=check, **options)
            assert bool(again.returncode) == failed, again.output
            for result in again.of(ACTION).values():
                assert not result["changed"], result
                assert result["changes"] == []
            assert self.seen() == settled, f"a run with nothing to do wrote something (check={check})"
        return done


@pytest.fixture
def store(fleet2: Fleet, tmp_path: Path) -> Store:
    return Store(fleet2, tmp_path)


def state(host: Host) -> Fingerprint:
    """Every byte, inode and time below /etc, /var/lib and where authorities are put."""
    seen = fingerprint(host.root)
    for path in sorted((host.root / "usr/local").rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        seen[str(path.relative_to(host.root))] = (status.st_ino, status.st_mtime_ns, status.st_mode, content)
    return seen


def bundle(host: Host) -> set[str]:
    """SHA-256 of each certificate in the bundle, read without any code of ours."""
    text = (host.root / "etc/ssl/certs/ca-certificates.crt").read_text(encoding="ascii")
    blocks = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", text, re.DOTALL)
    return {hashlib.sha256(base64.b64decode(block)).hexdigest() for block in blocks}


def anchors(host: Host) -> set[str]:
    return {path.name for path in (host.root / ANCHORS).iterdir()}


def verifies(host: Host, made: Made) -> bool:
    """Whether OpenSSL finds the authority in the hash directory alone."""
    command = ["openssl", "verify", "-no-CAfile", "-no-CAstore", "-CApath", "/etc/ssl/certs", "/dev/stdin"]
    return host.run(command, input=made.pem).returncode == 0


def dangling(host: Host) -> list[str]:
    return host.run(["find", "/etc/ssl/certs", "-xtype", "l"], check=True).stdout.split()


def handshakes(host: Host, port: int) -> tuple[bool, bool]:
    """(Python's default context, curl), by real connections from the host."""
    python = host.run(["python3", "-c", PYTHON, str(port)])
    curl = host.run(["curl", "-sSf", "--max-time", "20", f"https://localhost:{port}/"])
    if python.returncode:
        assert "CERTIFICATE_VERIFY_FAILED" in python.stderr, python.stderr
    if curl.returncode:
        assert curl.returncode == 60, curl.stderr
    return python.returncode == 0, curl.returncode == 0


def trusted(host: Host, made: Made) -> bool:
    """In the bundle and in the hash directory, or in neither."""
    in_bundle = made.sha256 in bundle(host)
    assert verifies(host, made) == in_bundle, (host.name, made.certificate.subject)
    return in_bundle


def reasons(run: Run, host: Host) -> dict[str, str]:
    result = run.of(ACTION)[host.name]
    assert result["summary"]["rejected"] == len(result["rejected"])
    return {entry["name"]: entry["reason"] for entry in result["rejected"]}


def test_every_source_is_trusted_and_purge_takes_ours_back(store: Store) -> None:
    one, der, first, second, inline, fetched, admins = (authority(f"Test CA {number}") for number in range(7))
    everything = (one, der, first, second, inline, fetched)
    store.folder.joinpath("one.pem").write_text(one.pem)
    store.folder.joinpath("one.der").write_bytes(der.der)
    store.folder.joinpath("two.pem").write_text(f"# the first\r\n{first.pem}\nand the second\n{second.pem}")
    hosts = store.fleet.hosts
    for host in hosts:
        (host.root / ANCHORS / "admin.crt").write_text(admins.pem)
        host.run(["update-ca-certificates"], check=True)
    pristine = {host.name: bundle(host) for host in hosts}
    # The server that hands out the authority's certificate is signed by that very authority.
    with https_server(fetched.leaf(), {"/lan.crt": fetched.pem.encode()}) as port:
        records = (
            {"name": "one", "src": str(store.folder / "one.pem")},
            {"name": "der", "src": "one.der"},
            {"name": "two", "src": "two.pem"},
            {"name": "inline.example.org", "content": inline.pem},
            {"name": "portal", "url": f"https://localhost:{port}/lan.crt", "sha256": fetched.sha256.upper()},
        )
        assert [handshakes(host, port) for host in hosts] == [(False, False)] * 2
        done = store.prove(*records, whole=True)
        for host in hosts:
            result = done.of(ACTION)[host.name]
            assert result["summary"] == {
                "created": 6, "updated": 0, "removed": 0, "unchanged": 0, "rejected": 0, "failed": 0,
            }  # fmt: skip
            assert all(trusted(host, made) for made in (*everything, admins))
            assert handshakes(host, port) == (True, True)
            files = {f"identity-roster-portal-{fetched.sha256[:16]}.crt", "admin.crt"}
            assert files <= anchors(host)
            assert len(anchors(host)) == 7
            modes = {(host.root / ANCHORS / name).stat().st_mode & 0o7777 for name in anchors(host)}
            assert modes == {0o644}
            text = host.run(["ls", "-lan", "/var/lib/identity-roster/"], check=True).stdout
            assert re.search(r"^-rw------- 1 0 0 .* ca_certificates\.json$", text, re.MULTILINE), text
            diff = result["diff"]["after"]
            assert f"fingerprint {fetched.sha256}" in diff
            assert "subject CN=Test CA 5" in diff
            assert "issuer CN=Test CA 5" in diff
            assert f"not_after {fetched.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}" in diff

        kept = store.apply(records[0])
        assert not any(result["changed"] for result in kept.of(ACTION).values()), "without purge nothing goes"
        done = store.prove(records[0], purge=True)
        for host in hosts:
            result = done.of(ACTION)[host.name]
            assert {change["action"] for change in result["changes"]} == {"remove"}
            assert result["summary"]["removed"] == 5
            assert "subject CN=Test CA 5" in result["diff"]["before"]
            assert handshakes(host, port) == (False, False)
            assert trusted(host, one)
            assert trusted(host, admins)
            assert not any(trusted(host, made) for made in everything[1:])
            assert dangling(host) == []
        store.apply(purge=True)
        for host in hosts:
            assert anchors(host) == {"admin.crt"}
            assert bundle(host) == pristine[host.name]
            assert trusted(host, admins)


def test_a_wrong_pin_installs_nothing_and_shows_what_was_found(store: Store) -> None:
    real, other, good = authority("Real"), authority("In the middle"), authority("Good")
    with https_server(other.leaf(), {"/lan.crt": other.pem.encode()}) as port:
        url = f"https://127.0.0.1:{port}/lan.crt"
        done = store.prove(
            {"name": "portal", "url": url, "sha256": real.sha256},
            {"name": "unpinned", "url": url},
            {"name": "gone", "url": f"https://127.0.0.1:{port}/gone.crt", "sha256": real.sha256},
            {"name": "good", "content": good.pem},
            failed=True,
        )
    colons = ":".join(re.findall("..", other.sha256)).upper()
    for host in store.fleet.hosts:
        why = reasons(done, host)
        assert colons in why["portal"]
        assert "CN=In the middle" in why["portal"]
        assert "needs sha256" in why["unpinned"]
        assert "404" in why["gone"]
        assert colons in done.of(ACTION)[host.name]["msg"]
        assert trusted(host, good)
        assert not trusted(host, other)
        assert done.of(ACTION)[host.name]["summary"]["created"] == 1


def test_what_is_no_good_authority_is_refused_with_words(store: Store) -> None:
    good, key_owner = authority("Good"), authority("Key")
    store.folder.joinpath("garbage").write_bytes(b"\x00\xff garbage" * 50)
    store.folder.joinpath("key.pem").write_text(key_owner.pem + key_owner.key_pem)
    store.folder.joinpath("key.der").write_bytes(key_owner.key_der)
    store.folder.joinpath("chain.pem").write_text(good.leaf().pem + good.pem)
    records = {
        "expired": ({"content": authority(last_day=-0.5).pem}, "expired on"),
        "future": ({"content": authority(first_day=2).pem}, "not valid before"),
        "soon": ({"content": authority(last_day=5).pem}, "in less than 7 days"),
        "leaf": ({"content": good.leaf().pem}, "CA:FALSE"),
        "no-constraints": ({"content": authority(ca=None).pem}, "no basicConstraints"),
        "no-signing": ({"content": authority(may_sign=False).pem}, "keyUsage"),
        "garbage": ({"src": "garbage"}, "can be read"),
        "empty": ({"content": "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n"}, "can be read"),
        "cut": ({"content": good.pem[:300]}, "cut off"),
        "key": ({"src": "key.pem"}, "private key"),
        "key-der": ({"src": "key.der"}, "private key"),
        "nowhere": ({"src": "nowhere.pem"}, "is not there"),
        "both": ({"src": "key.pem", "content": good.pem}, "exactly one"),
        "none": ({}, "exactly one"),
        "chain": ({"src": "chain.pem"}, "CA:FALSE"),
    }
    entries = [{"name": name, **entry} for name, (entry, _words) in records.items()]
    done = store.prove(*entries, {"name": "../../evil", "content": good.pem}, min_days=7, failed=True, whole=True)
    secret = key_owner.key_pem.splitlines()[1]
    assert secret not in done.output
    for host in store.fleet.hosts:
        why = reasons(done, host)
        for name, (_entry, words) in records.items():
            assert words in why[name], (name, why[name])
        assert "is not 1 to 64" in why["../../evil"]
        # The good one of the chain is done all the same.
        assert anchors(host) == {f"identity-roster-chain-{good.sha256[:16]}.crt"}
        assert host.run(["grep", "-rlF", secret, "/etc", "/usr/local", "/var", "/home", "/root", "/tmp"]).stdout == ""


def test_a_renewed_authority_takes_the_place_of_the_old_one(store: Store) -> None:
    old = authority("Portal", last_day=10)
    new = authority("Portal", last_day=400, key=old.key)
    store.apply({"name": "portal", "content": old.pem})
    # A record that can't be used leaves what is there, purge or not.
    store.prove({"name": "portal", "content": "no certificate"}, failed=True, purge=True)
    assert all(trusted(host, old) for host in store.fleet.hosts)
    done = store.prove({"name": "portal", "content": new.pem})
    with https_server(new.leaf()) as port:
        for host in store.fleet.hosts:
            (change,) = done.of(ACTION)[host.name]["changes"]
            assert change["action"] == "update"
            assert change["fields"]["fingerprint"] == [old.sha256, new.sha256]
            assert trusted(host, new)
            assert not trusted(host, old) or old.sha256 not in bundle(host)
            assert anchors(host) == {f"identity-roster-portal-{new.sha256[:16]}.crt"}
            assert dangling(host) == []
            assert handshakes(host, port) == (True, True)
    both = store.prove({"name": "portal", "content": old.pem + new.pem})
    for host in store.fleet.hosts:
        assert [change["action"] for change in both.of(ACTION)[host.name]["changes"]] == ["create"]
        assert {old.sha256, new.sha256} <= bundle(host)


#: What others may do to a store, as shell commands on the host; $1 is the file and $2 its name without suffix. What is
#: then to be mended. Those that make the store anew come first, since they would mend the others.
BREAKAGES: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "file-and-store": (
        "rm $1; update-ca-certificates --fresh",
        {"file": ["missing", "present"], "trusted": [False, True]},
    ),
    "content-and-store": (
        "echo nothing > $1; update-ca-certificates --fresh || true",
        {"file": ["other content", "present"], "trusted": [False, True]},
    ),
    "bundle": ('python3 -c "$without" $1', {"trusted": [False, True]}),
    "hash-link": ("find /etc/ssl/certs -lname $2.pem -exec rm {} +", {"trusted": [False, True]}),
    "links": ('find /etc/ssl/certs -lname "*$2*" -exec rm {} +', {"trusted": [False, True]}),
    "file": ("rm $1", {"file": ["missing", "present"], "trusted": [False, True]}),
    "content": ("echo nothing > $1", {"file": ["other content", "present"], "trusted": [False, True]}),
    "mode": ("chmod 0600 $1", {"mode": ["0600", "0644"]}),
    "owner": ("chown 1000 $1", {"owner": ["another user", "the user of this run"]}),
    "link": ("mv $1 /root/$2; ln -s /root/$2 $1", {"file": ["not a regular file", "present"]}),
}
WITHOUT = """
import sys
bundle = "/etc/ssl/certs/ca-certificates.crt"
text = open(bundle).read().replace(open(sys.argv[1]).read(), "")
open(bundle, "w").write(text)
"""


def test_a_store_that_lost_certificates_is_mended(store: Store) -> None:
    all_made = {name: authority(name) for name in (*BREAKAGES, "unharmed")}
    records = [{"name": name, "content": made.pem} for name, made in all_made.items()]
    store.run(*records)
    for host in store.fleet.hosts:
        for name, (script, _fields) in BREAKAGES.items():
            stem = f"identity-roster-{name}-{all_made[name].sha256[:16]}"
            command = ["sh", "-e", "-c", script, "sh", f"/{ANCHORS}/{stem}.crt", stem]
            host.run(command, env={"without": WITHOUT}, check=True)
    done = store.prove(*records)
    for host in store.fleet.hosts:
        result = done.of(ACTION)[host.name]
        assert result["summary"]["unchanged"] == 1
        changes = {change["name"]: change for change in result["changes"]}
        for name, (_script, fields) in BREAKAGES.items():
            shown = dict(changes[name]["fields"])
            assert shown.pop("fingerprint") == [all_made[name].sha256] * 2
            assert (changes[name]["action"], shown) == ("update", fields), name
        assert all(trusted(host, made) for made in all_made.values())
        assert dangling(host) == []
        statuses = [path.lstat() for path in (host.root / ANCHORS).iterdir()]
        assert {(status.st_mode, status.st_uid) for status in statuses} == {(0o100644, 0)}


def test_a_host_that_forgot_what_is_ours_is_told_again(store: Store) -> None:
    made = authority("Portal")
    record = {"name": "portal", "content": made.pem}
    store.run(record)
    for host in store.fleet.hosts:
        host.run(["rm", "/var/lib/identity-roster/ca_certificates.json"], check=True)
    done = store.prove(record)
    for host in store.fleet.hosts:
        assert [change["action"] for change in done.of(ACTION)[host.name]["changes"]] == ["adopt"]
        assert trusted(host, made)
    store.apply(purge=True)
    assert not any(trusted(host, made) for host in store.fleet.hosts)


TOOLS = {
    "fails": ("#!/bin/sh\necho 'the disk is on fire' >&2\nexit 3\n", "the disk is on fire"),
    "does nothing": ("#!/bin/sh\necho '1 added, 0 removed; done.'\n", "is not in the store"),
}


def test_a_tool_that_fails_leaves_the_store_as_it_was(store: Store) -> None:
    old, new, more = authority("Old"), authority("New"), authority("More")
    store.run({"name": "portal", "content": old.pem})
    before = {host.name: (anchors(host), bundle(host)) for host in store.fleet.hosts}
    records = ({"name": "portal", "content": new.pem}, {"name": "more", "content": more.pem})
    for what, (script, words) in TOOLS.items():
        for host in store.fleet.hosts:
            host.run(["mv", "/usr/sbin/update-ca-certificates", "/usr/sbin/real"], check=True)
            path = host.root / "usr/sbin/update-ca-certificates"
            path.write_text(script)
            path.chmod(0o755)
        failed = store.run(*records)
        for host in store.fleet.hosts:
            result = failed.of(ACTION)[host.name]
            assert failed.returncode != 0, what
            assert words in result["msg"], what
            assert result["changes"] == [], what
            assert {failure["name"] for failure in result["failures"]} == {"portal", "more"}, what
            assert (anchors(host), bundle(host)) == before[host.name], what
            host.run(["mv", "/usr/sbin/real", "/usr/sbin/update-ca-certificates"], check=True)
    done = store.apply(*records)
    for host in store.fleet.hosts:
        actions = {change["name"]: change["action"] for change in done.of(ACTION)[host.name]["changes"]}
        assert actions == {"portal": "update", "more": "create"}
        assert trusted(host, new)
        assert not trusted(host, old)


def test_the_links_are_made_anew_only_when_that_is_needed(store: Store) -> None:
    """--fresh takes all links away for a moment, so that what trusts the hash directory trusts nobody."""
    old, new = authority("Old"), authority("New")
    for host in store.fleet.hosts:
        host.run(["mv", "/usr/sbin/update-ca-certificates", "/usr/sbin/real"], check=True)
        path = host.root / "usr/sbin/update-ca-certificates"
        path.write_text('#!/bin/sh\necho "called $*" >> /root/calls\nexec /usr/sbin/real "$@"\n')
        path.chmod(0o755)
    for records in ([("portal", old)], [("portal", old), ("more", new)], [("portal", new)], [("portal", new)]):
        store.run(*({"name": name, "content": made.pem} for name, made in records), purge=True)
    for host in store.fleet.hosts:
        assert (host.root / "root/calls").read_text() == "called \ncalled \ncalled --fresh\n"
        assert trusted(host, new)


def test_a_host_without_the_tool_is_told_what_to_install(store: Store) -> None:
    for host in store.fleet.hosts:
        (host.root / "usr/sbin/update-ca-certificates").unlink()
    before = store.seen()
    for check in (True, False):
        failed = store.run({"name": "portal", "content": authority().pem}, check=check)
        for result in failed.of(ACTION).values():
            assert "install ca-certificates" in result["msg"]
            assert result["changes"] == []
        assert store.seen() == before


def test_twenty_certificates_are_one_task(store: Store) -> None:
    many = [authority(f"Test CA {number}") for number in range(20)]
    records = [{"name": f"ca-{number:02}", "content": made.pem} for number, made in enumerate(many)]
    done = store.prove(*records)
    for host in store.fleet.hosts:
        assert done.of(ACTION)[host.name]["summary"]["created"] == 20
        assert {made.sha256 for made in many} <= bundle(host)
        assert verifies(host, many[7])
    assert len([event for event in done.events if event.action == ACTION]) == 2
    print(f"20 certificates: {done.seconds(ACTION):.2f} s")


def test_another_root_is_worked_on_by_chroot(store: Store) -> None:
    """The host's own root, mounted once more: what was done below it shows in the host's store."""
    made = authority("Image")
    for host in store.fleet.hosts:
        host.run(["sh", "-c", "mkdir /image && mount --bind / /image && ls -l /image/dev/null"], check=True)
    record = {"name": "image", "content": made.pem}
    store.prove(record, root="/image")
    assert all(trusted(host, made) for host in store.fleet.hosts)
    store.apply(root="/image", purge=True)
    assert not any(trusted(host, made) for host in store.fleet.hosts)


def test_the_role_installs_authorities_after_the_accounts(fleet2: Fleet, tmp_path: Path) -> None:
    made = authority("Role")
    play = {"hosts": "linux_clients", "gather_facts": False, "become": True, "roles": ["identity.roster.linux_client"]}
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    variables = {
        "linux_client_users": [{"username": "anna", "uid": 10001}],
        "linux_client_ca_certificates": [{"name": "role", "content": made.pem}],
    }
    for changed in (True, False):
        done = run_playbook(playbook, fleet2.inventory_path, variables, command=True)
        assert done.returncode == 0, done.output
        assert all(result["changed"] == changed for result in done.of(ACTION).values())
        assert len(done.of(ACTION)) == 2
    assert all(trusted(host, made) for host in fleet2.hosts)
