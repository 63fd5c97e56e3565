# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role schedule on a control node with a real systemd, and on a host that has none.

The node is set up while it is an image, then it boots. Its runs are real: ansible-core from Debian, the portal's
double, and accounts that are made over ssh, all from within the hardened unit.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.control_node import COLLECTIONS, ControlNode, obstacle
from tests.playbook.run import Event, run_playbook
from tests.tools.checkout import COLLECTION

ETC = "etc/identity-roster-schedule"
UNITS = "etc/systemd/system"
COMMAND = "/usr/local/sbin/identity-roster-run"
PORTAL_KEY = "Kanarienvogel-1"
OTHER_KEY = 'Kanarien\'vogel two $HOME \\ "x" $(touch /canary)\n`id`'
#: systemd's own measure, from 0 (safe) to 10; an ordinary service has more than 9.
EXPOSURE = 2.0

LINUX = {
    "name": "linux",
    "playbook": "identity.roster.linux_clients",
    "extra_vars": {"fetch_url": "http://127.0.0.1:8080", "fetch_uid_policy": "derive"},
    "credentials": ["LIBRE_WORKSPACE_API_KEY"],
}
HANG = {"name": "hang", "playbook": "/srv/hang.yml", "on_calendar": "Mon..Fri 02:00", "timeout": 12, "random_delay": 0}
DRY = {"name": "dry", "playbook": "identity.roster.sync", "check": True, "credentials": [], "enabled": False}
SETTINGS = {
    "schedule_credentials": {"LIBRE_WORKSPACE_API_KEY": PORTAL_KEY, "FTRACK_API_KEY": OTHER_KEY},
    "schedule_on_failure": ["told@%n.service"],
    "schedule_lock_wait": 0,
}
SITE = """
- hosts: all
  gather_facts: false
  become: true
  roles: [identity.roster.schedule]
"""
HANGING = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.command: sleep 4711
"""
PORTAL = f"""
[Service]
ExecStart=/usr/bin/python3 {COLLECTIONS}/{COLLECTION}/tests/servers/libre_workspace.py \\
    --port=8080 --port-file=/run/port --api-key={PORTAL_KEY}
"""
TOLD = """
[Service]
Type=oneshot
ExecStart=/usr/bin/touch "/run/told-%i"
"""


@dataclass(frozen=True)
class Applied:
    """What a run of the role returned."""

    returncode: int
    output: str
    events: list[Event]

    def changed(self) -> list[tuple[str, str]]:
        """Task and item of all that changed, without the start of timers, which has no say in check mode."""
        found = []
        for event in self.events:
            for result in event.result.get("results", [event.result]):
                if result.get("changed") and "Start the timers" not in event.task:
                    item = result.get("schedule_file", {}).get("dest") or result.get("item", "")
                    found.append((event.task.rpartition(" : ")[2], str(item)))
        return found


def apply(node: ControlNode, *options: str, **variables: Any) -> Applied:
    """The role on the node, by the node's own Ansible."""
    node.write("root/site.yml", SITE)
    node.write("root/given.json", json.dumps({**SETTINGS, **variables}), 0o600)
    node.write("root/record.jsonl", "")
    command = [
        "ansible-playbook",
        "/root/site.yml",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        "@/root/given.json",
        "--diff",
    ]
    done = node.run(
        *command,
        *options,
        check=False,
        env={
            "ANSIBLE_CALLBACK_PLUGINS": f"{COLLECTIONS}/{COLLECTION}/tests/playbook/callbacks",
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_PIPELINING": "1",
            "RECORD_FILE": "/root/record.jsonl",
        },
    )
    events = [Event(**json.loads(line)) for line in node.read("root/record.jsonl").splitlines()]
    for name in ("site.yml", "given.json", "record.jsonl"):
        (node.root / "root" / name).unlink()
    return Applied(done.returncode, done.stdout + done.stderr, events)


def files(node: ControlNode) -> dict[str, tuple[object, ...]]:
    """Mode, time and content of every file where the role has to do."""
    found: dict[str, tuple[object, ...]] = {}
    for top in ("etc", "root", "usr/local", "var/lib", "var/log"):
        for folder, folders, names in os.walk(node.root / top):
            for name in folders + names:
                path = Path(folder, name)
                status = path.lstat()
                link = os.readlink(path) if path.is_symlink() else ""
                found[str(path.relative_to(node.root))] = (status.st_mode, status.st_mtime_ns, status.st_size, link)
    return {name: value for name, value in found.items() if not name.startswith(("root/.ansible", "root/.cache"))}


@dataclass(frozen=True)
class Site:
    """A node that was set up as an image and has booted since."""

    node: ControlNode
    planned: Applied
    before: dict[str, tuple[object, ...]]
    after_check: dict[str, tuple[object, ...]]
    done: Applied


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if problem := obstacle():
        pytest.skip(problem)
    with ControlNode(tmp_path_factory.mktemp("control")) as node:
        node.write("etc/ansible/hosts", "[linux_clients]\nself ansible_host=127.0.0.1 ansible_user=root\n")
        node.write("srv/hang.yml", HANGING)
        node.write(f"{UNITS}/told@.service", TOLD)
        # Another one's, whatever it is called.
        node.write(f"{UNITS}/identity-roster-mine.timer", "[Timer]\nOnCalendar=daily\n")
        runs = [LINUX, HANG]
        (node.root / "root/.ansible/tmp").mkdir(parents=True, mode=0o700)
        (node.root / "root/.ansible").chmod(0o700)
        before = files(node)
        planned = apply(node, "--check", schedule_runs=runs)
        after_check = files(node)
        done = apply(node, schedule_runs=runs)
        node.boot()
        yield Site(node, planned, before, after_check, done)


def test_check_mode_is_what_the_run_does(site: Site) -> None:
    assert site.planned.returncode == 0, site.planned.output
    assert site.after_check == site.before, "check mode wrote something"
    assert site.done.returncode == 0, site.done.output
    assert site.done.changed() == site.planned.changed()
    assert len(site.done.changed()) == 18, site.done.changed()
    for applied in (site.planned, site.done):
        assert "Kanarien" not in applied.output
        assert "Kanarien" not in json.dumps([event.result for event in applied.events])


def test_what_an_image_got_runs_when_it_boots(site: Site) -> None:
    node = site.node
    for name, calendar in (("linux", "*-*-* *:05:00"), ("hang", "Mon..Fri *-*-* 02:00:00")):
        timer = f"identity-roster-{name}.timer"
        assert node.property(timer, "ActiveState") == "active"
        assert calendar in node.property(timer, "TimersCalendar")
        assert node.property(timer, "NextElapseUSecRealtime")
        assert node.property(timer, "Persistent") == "yes"
    assert node.property("identity-roster-linux.timer", "RandomizedDelayUSec") == "5min"


def test_the_units_are_sound_and_tight(site: Site) -> None:
    units = [f"identity-roster-{name}.{kind}" for name in ("linux", "hang") for kind in ("service", "timer")]
    verified = site.node.run("systemd-analyze", "verify", *units)
    assert verified.stdout + verified.stderr == ""
    said = site.node.run("systemd-analyze", "security", "--no-pager", "identity-roster-linux.service").stdout
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert exposure and float(exposure[1]) <= EXPOSURE, said


def test_a_hardened_run_makes_accounts_over_ssh(site: Site) -> None:
    node = site.node
    node.run("systemctl", "start", "ssh.service")
    node.write("run/systemd/system/portal.service", PORTAL)
    node.run("systemctl", "start", "portal.service")
    try:
        _until((node.root / "run/port").exists)
        started = node.run("systemctl", "start", "identity-roster-linux.service", check=False)
        said = journal(node, "linux")
        assert started.returncode == 0, said
        assert "anna.schmidt:" in node.read("etc/passwd")
        assert "identity.roster run " in said
        assert "identity-roster-run: linux is done" in said
        log = node.root / "var/log/identity-roster/audit.jsonl"
        assert log.stat().st_mode & 0o777 == 0o600
        assert any(json.loads(line)["object"]["name"] == "anna.schmidt" for line in log.read_text().splitlines())

        # The same by hand, as a dry run: nothing is left to do, and no leftover of the first run is in the way.
        again = node.run(COMMAND, "linux", "--check")
        assert re.search(r"self +: ok=\d+ +changed=0 ", again.stdout), again.stdout
    finally:
        node.run("systemctl", "stop", "portal.service")


def test_one_at_a_time_secrets_to_itself_and_an_end(site: Site) -> None:
    node = site.node
    unit = "identity-roster-hang.service"
    node.run("systemctl", "start", "--no-block", unit)
    _until(lambda: any("ansible-playbook" in line for line, _environment in processes(node, unit)))

    # Beside it nothing starts: not by hand, not by the timer's unit of another run.
    refused = node.run(COMMAND, "linux", check=False)
    assert refused.returncode == 75
    assert "another run is at work: hang, process " in refused.stdout
    assert "nothing was started" in refused.stderr
    assert node.run("systemctl", "start", "identity-roster-linux.service", check=False).returncode != 0
    assert node.property("identity-roster-linux.service", "ExecMainStatus") == "75"
    _until((node.root / "run/told-identity-roster-linux.service").exists)

    # The run has its secrets as they were given, and only by its environment.
    running = processes(node, unit)
    assert running
    assert not any("Kanarien" in line for line, _environment in running)
    given = [environment for line, environment in running if "ansible-playbook" in line]
    assert given
    assert not (node.root / "canary").exists()
    assert all(f"FTRACK_API_KEY={OTHER_KEY}" in environment for environment in given)
    assert "Kanarien" not in node.run("systemctl", "show", "identity-roster-hang", "identity-roster-linux").stdout
    found = node.run(
        "grep", "-rlF", "Kanarien", "/etc", "/usr/local", "/root", "/srv", "/tmp", "/var", check=False
    ).stdout
    assert set(found.split()) == {f"/{ETC}/{name}.credentials" for name in ("linux", "hang")}
    for name in found.split():
        status = (node.root / name.lstrip("/")).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o600, 0)

    # It takes too long, and is ended with all that it started.
    _until(lambda: node.property(unit, "ActiveState") == "failed")
    assert node.property(unit, "ExecMainStatus") == "124"
    assert "hang was ended after 12 s" in journal(node, "hang")
    assert processes(node, unit) == []
    assert "sleep 4711" not in node.run("ps", "-eo", "args").stdout
    _until((node.root / "run/told-identity-roster-hang.service").exists)
    assert "Kanarien" not in node.run("journalctl", "--no-pager").stdout


def test_what_leaves_the_list_goes_and_the_rest_stays(site: Site) -> None:
    node = site.node
    changed = apply(node, schedule_runs=[LINUX, DRY])
    assert changed.returncode == 0, changed.output
    gone = [f"/{ETC}/hang.conf", f"/{ETC}/hang.credentials", f"/{UNITS}/timers.target.wants/identity-roster-hang.timer"]
    gone += [f"/{UNITS}/identity-roster-hang.{kind}" for kind in ("service", "timer")]
    made = [f"/{ETC}/dry.conf", *(f"/{UNITS}/identity-roster-dry.{kind}" for kind in ("service", "timer"))]
    assert sorted(item for _task, item in changed.changed()) == sorted([*gone, *made, "identity-roster-hang.timer"])
    assert not [path for path in gone if path[1:] in files(node)]
    assert "--check" in node.read(f"{ETC}/dry.conf")
    timers = node.run("systemctl", "list-timers", "--no-pager", "--plain", "identity-roster-*").stdout
    assert set(re.findall(r"identity-roster-(\w+)\.timer", timers)) == {"linux"}

    removed = apply(node, schedule_state="absent")
    assert removed.returncode == 0, removed.output
    left = {path for path in files(node) if "identity-roster" in path}
    logs = {path for path in left if path.startswith(("var/log/identity-roster", "var/lib/systemd/timers/"))}
    # The client's own record of its accounts is not the schedule's.
    accounts = {path for path in left if path.split("/")[:3] == ["var", "lib", "identity-roster"]}
    assert left - logs - accounts == {f"{UNITS}/identity-roster-mine.timer", "root/.local/state/identity-roster"}
    assert logs
    assert (
        node.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "identity-roster-*.timer").stdout == ""
    )


def journal(node: ControlNode, name: str) -> str:
    return node.run("journalctl", "--no-pager", "-o", "cat", "-u", f"identity-roster-{name}").stdout


def processes(node: ControlNode, unit: str) -> list[tuple[str, str]]:
    """Command line and environment of all that runs for a unit."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"/{unit}" in (folder / "cgroup").read_text():
                line, environment = ((folder / name).read_bytes().decode() for name in ("cmdline", "environ"))
                found.append((line.replace("\0", " "), environment))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _until(condition: Any, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# A host without systemd, and with a stand-in for ansible-playbook: what cron starts, and as whom.

STAND_IN = """#!/bin/sh
printf '%s\\n' "$(id -un):$(id -Gn)" "$@" "$HOME" "$ANSIBLE_CONFIG" "$FTRACK_API_KEY" > "$HOME/seen"
tr '\\0' ' ' < /proc/$$/cmdline > "$HOME/cmdline"
echo said by the run
[ ! -e "$HOME/hang" ] || exec sleep 4712
[ ! -e "$HOME/fail" ] || exit 4
"""


def test_cron_where_there_is_no_systemd(fleet2: Fleet, tmp_path: Path) -> None:
    host = fleet2.hosts[0]
    home = host.root / "home/ansible"
    stand_in = host.root / "opt/ansible/bin/ansible-playbook"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    run = {
        "name": "pleio",
        "playbook": "identity.roster.pleio",
        "inventory": "/srv/it's here",
        "random_delay": 0,
        "timeout": 4,
    }
    settings = {
        "schedule_runs": [run],
        "schedule_credentials": {"FTRACK_API_KEY": OTHER_KEY},
        "schedule_user": "ansible",
        "schedule_ansible_playbook": "/opt/ansible/bin/ansible-playbook",
        "schedule_mailto": "it@example.org",
        "schedule_lock_wait": 1,
    }
    path = tmp_path / "site.yml"
    path.write_text(SITE)
    done = run_playbook(path, fleet2.inventory_path, settings, options=("--limit", host.name))
    assert done.returncode == 0, done.output
    assert not list((host.root / UNITS).glob("identity-roster*"))

    lines = (host.root / "etc/cron.d/identity-roster").read_text().splitlines()
    assert lines[-2:] == ['MAILTO="it@example.org"', f"30 2 * * * root nice -n 10 {COMMAND} --cron pleio"]
    _cron_takes(host)

    # As cron starts it: quiet when all is well, as the user, with the secret in nothing but the environment.
    quiet = host.run(["sh", "-c", lines[-1].partition(" root ")[2]])
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    seen = (home / "seen").read_text()
    assert seen == "\n".join((
        "ansible:ansible sudo", "identity.roster.pleio", "--inventory=/srv/it's here",
        "/home/ansible", f"/{ETC}/ansible.cfg", OTHER_KEY, "",
    ))  # fmt: skip
    assert "Kanarien" not in (home / "cmdline").read_text()
    log = host.root / "var/log/identity-roster/pleio.log"
    assert (log.stat().st_mode & 0o777, log.stat().st_uid) == (0o600, 1000)
    assert "said by the run" in log.read_text()

    # What cron mails is what a run that failed said.
    (home / "fail").touch()
    failed = host.run([COMMAND, "--cron", "pleio", "--limit=a b"])
    assert failed.returncode == 4
    assert "said by the run" in failed.stdout
    assert "pleio failed with status 4" in failed.stdout
    assert "--limit=a b\n" in (home / "seen").read_text()
    (home / "fail").unlink()

    # One at a time, an end to what hangs, and nobody else may.
    (home / "hang").touch()
    begun = "while flock -n /var/lib/identity-roster-schedule/lock true; do sleep 0.1; done"
    script = (
        f"{COMMAND} --cron pleio & {begun}; {COMMAND} pleio; echo second $?; wait $!; echo first $?; pgrep -x sleep"
    )
    both = host.run(["sh", "-c", script]).stdout
    assert "another run is at work: pleio, process " in both
    assert "second 75\n" in both
    assert "pleio was ended after 4 s" in both
    assert both.endswith("first 124\n"), both
    other = host.run(["setpriv", "--reuid=nobody", "--clear-groups", COMMAND, "pleio"])
    assert (other.returncode, "only root" in other.stderr) == (77, True)


LISTEN = """
import os, socket, subprocess, time
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
log.settimeout(0.5)
cron = subprocess.Popen(["cron", "-f"])
try:
    while True:
        print(log.recv(4096).decode())
except TimeoutError:
    cron.kill()
os.unlink("/dev/log")
"""


def _cron_takes(host: Host) -> None:
    """Debian's own cron has nothing against the file, and says so where there is something."""
    table = host.root / "etc/cron.d/identity-roster"
    good = table.read_text()
    assert "ERROR" not in host.run(["python3", "-c", LISTEN], check=True).stdout
    table.write_text(good.replace("30 2 * * *", "30 25 * * *"))
    assert "bad hour" in host.run(["python3", "-c", LISTEN], check=True).stdout
    table.write_text(good)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({}, ["give the runs in schedule_runs"], id="nothing"),
        pytest.param(
            {
                "schedule_runs": [
                    {"name": "Ups.timer", "playbook": "identity.roster.sync"},
                    {"name": "a", "playbook": "sync.yml", "credentials": ["PLEIO_API_SECRET"]},
                    {"name": "a", "playbook": "/srv/a.yml", "timeout": 0},
                    {"name": "b", "playbook": "/srv/b.yml", "cron": "61 * * * *"},
                    {"name": "c", "playbook": "/srv/c.yml", "cron": "5 * * * * root rm\n* * * * *"},
                ],
                "schedule_credentials": {"A B": "Kanarienvogel", "EMPTY": ""},
                "schedule_writable_paths": ["/srv/x\nExecStart=/bin/true"],
                "schedule_on_failure": ["a b"],
            },
            [
                "the name 'Ups.timer' may have",
                "the name 'a' is given twice",
                "a: the playbook 'sync.yml' is no full name",
                "a: its credential PLEIO_API_SECRET is not in schedule_credentials",
                "a: timeout is 1 second or more",
                "b: cron '61 * * * *' is not the five fields",
                "c: cron '5 * * * * root rm",
                "the credential 'A B' is not the name of an environment variable",
                "the credential EMPTY has no value",
                "is no absolute path of letters",
                "'a b' is no name of a unit",
            ],
            id="many",
        ),
    ],
)
def test_settings_that_can_not_be_meant_so(settings: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text(SITE.replace("become: true", "connection: local"))
    done = run_playbook(path, "nowhere,", settings)
    assert done.returncode == 2
    message = next(event.result["msg"] for event in done.events if event.status == "failed")
    assert [word for word in words if word not in message] == [], message
    assert "Kanarien" not in done.output
