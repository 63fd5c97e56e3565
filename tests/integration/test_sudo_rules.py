# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sudo rules on real hosts, by playbooks: who may do what by real logins, what is refused, what is put back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.sync import give_key
from tests.integration.system import fingerprint
from tests.playbook.run import Run, run_playbook
from tests.tools.checkout import cache

SUDO_RULES = "identity.roster.sudo_rules"
DROP_IN = "etc/sudoers.d/identity-roster"
STUDIO = {
    "name": "studio",
    "groups": ["studio"],
    "run_as": ["root"],
    "nopasswd": True,
    "commands": ["/usr/bin/id -un", '/usr/bin/whoami ""', "/usr/bin/head -c 9 '/root/a b,c:d=e'"],
}
#: How a result of check mode and one of a run may not differ.
SAME = ("changed", "changes", "summary", "rejected", "failures", "plan_digest", "diff", "path")


def play(
    fleet: Fleet, folder: Path, *, check: bool = False, as_root: bool = False, only: Host | None = None, **options: Any
) -> Run:
    """One task with these options; ``as_root`` by a login as root, without sudo; on one host only, or on all."""
    playbook = folder / "sudo.yml"
    task = {SUDO_RULES: dict.fromkeys(options)}
    for name in options:
        task[SUDO_RULES][name] = "{{ options." + name + " }}"
    playbook.write_text(
        json.dumps([{"hosts": "linux_clients", "gather_facts": False, "tasks": [task]}]), encoding="utf-8"
    )
    variables = {"options": options, **({"ansible_user": "root", "ansible_become": False} if as_root else {})}
    limit = ("--limit", only.name) if only else ()
    return run_playbook(playbook, fleet.inventory_path, variables, check=check, options=limit)


def prove(fleet: Fleet, folder: Path, *, whole: bool = False, **options: Any) -> Run:
    """Check, apply, apply: the plan is what was done, and then there is nothing to do.

    With ``whole``, check mode is asked before that second time.
    """
    before = {host.name: fingerprint(host.root) for host in fleet.hosts}
    planned = play(fleet, folder, check=True, **options)
    assert planned.returncode == 0, planned.output
    assert {host.name: fingerprint(host.root) for host in fleet.hosts} == before, "check mode wrote something"
    done = play(fleet, folder, **options)
    assert done.returncode == 0, done.output
    for host in fleet.hosts:
        plan, result = planned.of(SUDO_RULES)[host.name], done.of(SUDO_RULES)[host.name]
        assert {key: plan[key] for key in SAME} == {key: result[key] for key in SAME}
    settled = {host.name: fingerprint(host.root) for host in fleet.hosts}
    for check in (True, False) if whole else (False,):
        again = play(fleet, folder, check=check, **options)
        assert not any(result["changed"] or result["changes"] for result in again.of(SUDO_RULES).values()), again.output
        assert {host.name: fingerprint(host.root) for host in fleet.hosts} == settled
    return done


def refused(fleet: Fleet, folder: Path, words: str, as_root: bool = False, **options: Any) -> Run:
    """Check mode and the run fail with the same words, and not a byte is written."""
    before = {host.name: fingerprint(host.root) for host in fleet.hosts}
    messages = []
    for check in (True, False):
        done = play(fleet, folder, check=check, as_root=as_root, **options)
        results = done.of(SUDO_RULES)
        assert done.returncode != 0 and set(results) == {host.name for host in fleet.hosts}, done.output
        for result in results.values():
            assert words in result["msg"], result["msg"]
            assert set(SAME) - {"diff"} <= set(result) and not result["changed"] and not result["changes"]
            assert result["rejected"] or result["failures"]
        messages.append({name: result["msg"] for name, result in results.items()})
        for host in fleet.hosts:
            assert drop_ins(host) == {name: seen for name, seen in before[host.name].items() if "sudoers" in name}
    assert messages[0] == messages[1]
    return done


def drop_ins(host: Host) -> dict[str, tuple[object, ...]]:
    return {name: seen for name, seen in fingerprint(host.root).items() if "sudoers" in name}


def person(fleet: Fleet, host: Host, username: str, *groups: str) -> None:
    host.run(["useradd", "-m", "-s", "/bin/bash", username], check=True)
    for group in groups:
        # groupadd has its own opinion of names; the files have not.
        lines = (host.root / "etc/group").read_text(encoding="utf-8").splitlines()
        number = 7000 + len(lines)
        with (host.root / "etc/group").open("a", encoding="utf-8") as file:
            file.write(f"{group}:x:{number}:{username}\n")
    give_key(host, username, fleet.key.with_suffix(".pub"))


def may(host: Host, username: str, command: str) -> bool:
    """By a real login and a real sudo."""
    done = host.ssh(username, command=f"sudo -n {command}")
    assert done.returncode != 255, done
    return done.returncode == 0


def sound(host: Host) -> bool:
    return host.run(["visudo", "-c"]).returncode == 0 and may(host, "ansible", "true")


def test_rules_by_real_logins(fleet2: Fleet, tmp_path: Path) -> None:
    fleet = fleet2
    for host in fleet.hosts:
        person(fleet, host, "anna", "studio")
        person(fleet, host, "bert", "büro 2 (neu)")
        (host.root / "root/a b,c:d=e").write_text("content, secret")
    rules = [STUDIO, {"name": "Büro", "groups": ["büro 2 (neu)"], "run_as": ["anna"], "nopasswd": True}]
    settings_ = [{"name": "timestamp_timeout", "value": 3}, {"name": "passprompt", "value": "[sudo] für %p, bitte: "}]
    done = prove(fleet, tmp_path, whole=True, rules=rules, defaults=settings_)
    for host in fleet.hosts:
        result = done.of(SUDO_RULES)[host.name]
        assert result["summary"] == {
            "created": 2, "updated": 0, "removed": 0, "unchanged": 0, "rejected": 0, "failed": 0,
        }  # fmt: skip
        assert result["diff"]["before"] == "" and result["diff"]["after"] == (host.root / DROP_IN).read_text()
        status = (host.root / DROP_IN).stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o440, 0, 0)
        assert sound(host)
        anna = {
            "/usr/bin/id -un": True,
            "/usr/bin/whoami": True,
            "/usr/bin/head -c 9 '/root/a b,c:d=e'": True,
            "/usr/bin/id": False,
            "/usr/bin/id -u": False,
            "/usr/bin/id -un root": False,
            "/usr/bin/whoami --help": False,
            "/usr/bin/head -c 9 /root/.profile": False,
            "/usr/bin/head -c 9 '/root/a b,c:d=e' /etc/shadow": False,
            "-u bert /usr/bin/id -un": False,
            "/bin/sh -c id": False,
        }
        assert {command: may(host, "anna", command) for command in anna} == anna
        bert = {"-u anna /usr/bin/id": True, "/usr/bin/id": False, "-u root /usr/bin/id": False}
        assert {command: may(host, "bert", command) for command in bert} == bert
        listing = host.run(["sudo", "-l", "-U", "anna"], check=True).stdout
        assert "(root) NOPASSWD: /usr/bin/id -un, " in listing and "timestamp_timeout=3" in listing
        assert "timestamp_timeout" not in host.run(["sudo", "-l", "-U", "ansible"], check=True).stdout

    changed = [{**STUDIO, "commands": ["/usr/bin/id"]}]
    done = prove(fleet, tmp_path, rules=changed)
    for host in fleet.hosts:
        actions = [
            (change["kind"], change["name"], change["action"]) for change in done.of(SUDO_RULES)[host.name]["changes"]
        ]
        assert actions == [
            ("sudo_file", "identity-roster", "update"),
            ("sudo_rule", "studio", "update"),
            ("sudo_rule", "Büro", "remove"),
        ]
        assert may(host, "anna", "/usr/bin/id") and not may(host, "anna", "/usr/bin/whoami")
        assert not may(host, "bert", "-u anna /usr/bin/id")
    prove(fleet, tmp_path, whole=True, rules=changed, state="absent")
    for host in fleet.hosts:
        assert not may(host, "anna", "/usr/bin/id") and sound(host)
        assert sorted(path.name for path in (host.root / "etc/sudoers.d").iterdir()) == ["README", "ansible"]


def test_hand_edits_adoption_and_missing_include(fleet2: Fleet, tmp_path: Path) -> None:
    fleet = fleet2
    assert play(fleet, tmp_path, rules=[STUDIO]).returncode == 0
    for host in fleet.hosts:
        path = host.root / DROP_IN
        path.chmod(0o600)
        path.write_text(path.read_text() + "mallory ALL=(ALL) NOPASSWD: ALL\n")
        path.chmod(0o644)
    done = prove(fleet, tmp_path, rules=[STUDIO])
    for host in fleet.hosts:
        result = done.of(SUDO_RULES)[host.name]
        assert "mallory" in result["diff"]["before"] and "mallory" not in result["diff"]["after"]
        # Edited so that sudo's files are broken: by us alone, so we may put it right.
        (host.root / DROP_IN).write_text((host.root / DROP_IN).read_text() + "not a rule\n")
    assert play(fleet, tmp_path, rules=[STUDIO]).returncode == 0
    for host in fleet.hosts:
        assert "not a rule" not in (host.root / DROP_IN).read_text()
        (host.root / DROP_IN).write_text("anna ALL=(ALL) ALL\n")
    refused(fleet, tmp_path, "was not made by identity.roster", rules=[STUDIO])
    prove(fleet, tmp_path, rules=[STUDIO], adopt=True)
    for host in fleet.hosts:
        main = host.root / "etc/sudoers"
        # Without the directory nobody but root gets in: by root's own login.
        main.write_text(main.read_text().replace("@includedir", "# @includedir"))
    words = "Add this line at its end: @includedir /etc/sudoers.d"
    refused(fleet, tmp_path, words, rules=[STUDIO], as_root=True)


def test_another_file_is_broken(fleet2: Fleet, tmp_path: Path) -> None:
    for host in fleet2.hosts:
        (host.root / "etc/sudoers.d/local").write_text("this is not a rule\n")
    done = refused(fleet2, tmp_path, "were broken before", rules=[STUDIO])
    for host in fleet2.hosts:
        message = done.of(SUDO_RULES)[host.name]["msg"]
        assert "/etc/sudoers.d/local:1" in message and "/etc/sudoers.d/identity-roster" not in message
        assert not (host.root / DROP_IN).exists()


def test_rolled_back_when_the_tree_is_refused_at_last(fleet2: Fleet, tmp_path: Path) -> None:
    """A visudo that changes its mind after the rename: the former file is back, inode and time stamps included."""
    assert play(fleet2, tmp_path, rules=[STUDIO]).returncode == 0
    before = {}
    for host in fleet2.hosts:
        fake = host.root / "usr/local/sbin/visudo"
        # Only in the host's own mount namespace, not in the rehearsal's.
        fake.write_text(
            "#!/bin/sh\n"
            'if [ "$*" = -c ] && grep -q Neue /etc/sudoers.d/identity-roster && '
            '[ "$(readlink /proc/self/ns/mnt)" = "$(readlink /proc/1/ns/mnt)" ]; then\n'
            "    echo '/etc/sudoers.d/identity-roster:5:1: I do not like it' >&2; exit 1\n"
            "fi\n"
            'exec /usr/sbin/visudo "$@"\n'
        )
        fake.chmod(0o755)
        before[host.name] = drop_ins(host)
    done = play(fleet2, tmp_path, rules=[{**STUDIO, "name": "Neue"}])
    for host in fleet2.hosts:
        message = done.of(SUDO_RULES)[host.name]["msg"]
        assert "I do not like it" in message and "former state was put back" in message
        after = drop_ins(host)
        assert {name: seen for name, seen in after.items() if "/sudoers.d/" in name} == {
            name: seen for name, seen in before[host.name].items() if "/sudoers.d/" in name
        }


def test_the_connected_user_is_not_locked_out(fleet2: Fleet, tmp_path: Path) -> None:
    """In sudo the last rule that fits decides: one for the group sudo would take ansible's NOPASSWD away."""
    refused(fleet2, tmp_path, "no longer let ansible become root", rules=[{"name": "admins", "groups": ["sudo"]}])
    prove(fleet2, tmp_path, rules=[{"name": "admins", "groups": ["sudo"], "nopasswd": True}])


def test_sudo_is_missing(fleet2: Fleet, tmp_path: Path) -> None:
    for host in fleet2.hosts:
        host.run(["dpkg", "--remove", "sudo"], env={"SUDO_FORCE_REMOVE": "yes"}, check=True)
        assert host.run(["sh", "-c", "command -v sudo visudo"]).returncode != 0
    refused(fleet2, tmp_path, "sudo is not installed on this host", as_root=True, rules=[STUDIO])
    for host in fleet2.hosts:
        (host.root / DROP_IN).write_text("# Managed by identity.roster.sudo_rules\n")
    done = play(fleet2, tmp_path, as_root=True, state="absent")
    assert done.returncode == 0 and all(result["changed"] for result in done.of(SUDO_RULES).values())
    assert not any((host.root / DROP_IN).exists() for host in fleet2.hosts)


def test_another_root(fleet2: Fleet, tmp_path: Path) -> None:
    """An image's own visudo judges; the host's own files stay as they are."""
    before = {}
    for host in fleet2.hosts:
        script = "mkdir -p /srv/image && mount --bind / /srv/image && cp -a /etc /var/etc"
        host.run(["sh", "-c", f"{script} && mount --bind /var/etc /srv/image/etc"], check=True)
        before[host.name] = drop_ins(host)
    options: dict[str, Any] = {"rules": [STUDIO], "root": "/srv/image"}
    for check, changed in ((True, True), (False, True), (False, False)):
        done = play(fleet2, tmp_path, check=check, **options)
        assert {result["changed"] for result in done.of(SUDO_RULES).values()} == {changed}, done.output
    for host in fleet2.hosts:
        assert (host.root / "var" / DROP_IN).stat().st_mode & 0o777 == 0o440
        assert drop_ins(host) == before[host.name]
        (host.root / "var/etc/sudoers.d/local").write_text("not a rule\n")
    done = play(fleet2, tmp_path, state="absent", root="/srv/image")
    for result in done.of(SUDO_RULES).values():
        assert "were broken before" in result["msg"] and "/etc/sudoers.d/local:1" in result["msg"]


def test_role(fleet2: Fleet, tmp_path: Path) -> None:
    playbook = tmp_path / "role.yml"
    playbook.write_text(
        "- hosts: linux_clients\n  gather_facts: false\n  roles: [identity.roster.linux_client]\n", encoding="utf-8"
    )
    people = [{"username": "anna", "uid": 5001, "groups": ["studio"]}]
    variables: dict[str, Any] = {"linux_client_users": people, "linux_client_sudo_rules": [STUDIO]}
    for check, changed in ((True, True), (False, True), (False, False)):
        done = run_playbook(playbook, fleet2.inventory_path, variables, check=check, command=True)
        assert done.returncode == 0, done.output
        assert {result["changed"] for result in done.of(SUDO_RULES).values()} == {changed}
    for host in fleet2.hosts:
        give_key(host, "anna", fleet2.key.with_suffix(".pub"))
        assert may(host, "anna", "/usr/bin/id -un") and not may(host, "anna", "/usr/bin/id")
    del variables["linux_client_sudo_rules"]
    done = run_playbook(playbook, fleet2.inventory_path, variables)
    assert done.of(SUDO_RULES) == {} and (fleet2.hosts[0].root / DROP_IN).exists(), "without rules nothing is done"
    done = run_playbook(playbook, fleet2.inventory_path, {**variables, "linux_client_sudo_state": "absent"})
    assert done.returncode == 0 and not any((host.root / DROP_IN).exists() for host in fleet2.hosts)


def sudo_rs(host: Host) -> None:
    """Debian's own sudo-rs, from the mirror once and then from the cache."""
    folder = cache() / "debs/sudo-rs"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.deb")):
        script = "apt-get -qq update && cd /tmp && apt-get -qq download sudo-rs"
        done = host.run(["sh", "-c", script], timeout=300)
        if done.returncode != 0:
            pytest.skip(f"no mirror to get sudo-rs from: {done.stderr.strip()[-200:]}")
        for package in (host.root / "tmp").glob("sudo-rs_*.deb"):
            (folder / package.name).write_bytes(package.read_bytes())
    package = next(folder.glob("*.deb"))
    (host.root / "tmp/sudo-rs.deb").write_bytes(package.read_bytes())
    host.run(["dpkg", "--install", "/tmp/sudo-rs.deb"], check=True)


def test_sudo_rs(fleet2: Fleet, tmp_path: Path) -> None:
    """Beside sudo and alone: what it would misread is refused, what it does not know is an error in its own words."""
    host = next(host for host in fleet2.hosts if host.suite.release == 13)
    sudo_rs(host)
    person(fleet2, host, "anna", "studio", "foo")
    person(fleet2, host, "bert", "foo bar")
    misread = {**STUDIO, "groups": ["foo bar"], "commands": ["/usr/bin/id"]}

    # The reason for the strictness: a group "foo bar" that sudo-rs takes for "foo", and visudo-rs finds nothing wrong.
    (host.root / "etc/sudoers.d/trial").write_text('"%foo bar" ALL=(ALL) NOPASSWD: /usr/bin/id\n')
    assert host.run(["visudo-rs", "-c"]).returncode == 0
    assert host.ssh("anna", command="sudo-rs -n /usr/bin/id -un").stdout == "root\n", "sudo-rs reads names whole now"
    (host.root / "etc/sudoers.d/trial").unlink()

    for alone in (False, True):
        if alone:
            host.run(["dpkg", "--remove", "sudo"], env={"SUDO_FORCE_REMOVE": "yes"}, check=True)
        for rules, words in (
            ([misread], "'foo bar' is a name that sudo-rs does not read whole"),
            ([{**STUDIO, "noexec": True, "commands": ["/usr/bin/id"]}], "visudo-rs says:"),
            ([STUDIO], "which sudo-rs reads as two words"),
        ):
            result = play(fleet2, tmp_path, as_root=True, only=host, rules=rules).of(SUDO_RULES)[host.name]
            assert words in result["msg"], result
            assert not (host.root / DROP_IN).exists()
        plain = {**STUDIO, "commands": ["/usr/bin/id -un", '/usr/bin/whoami ""']}
        for check, changed in ((True, True), (False, True), (False, False)):
            done = play(fleet2, tmp_path, check=check, as_root=True, only=host, rules=[plain])
            result = done.of(SUDO_RULES)[host.name]
            assert result["changed"] == changed, result
        for program in ["sudo-rs"] if alone else ["sudo", "sudo-rs"]:
            assert host.ssh("anna", command=f"{program} -n /usr/bin/id -un").stdout == "root\n"
            assert host.ssh("anna", command=f"{program} -n /usr/bin/id -u").returncode != 0
            assert host.ssh("anna", command=f"{program} -n /usr/bin/whoami --help").returncode != 0
            assert host.ssh("bert", command=f"{program} -n /usr/bin/id -un").returncode != 0
        assert host.run(["visudo-rs", "-c"]).returncode == 0
        done = play(fleet2, tmp_path, as_root=True, only=host, state="absent")
        assert done.of(SUDO_RULES)[host.name]["changed"]
