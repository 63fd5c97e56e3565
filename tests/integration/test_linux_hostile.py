# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No roster locks anybody out: a table of hostile ones, run by the module itself on real hosts, judged by the system.

After each of them root, the connected user, a local admin and the rescue account still get in and become root; nobody
else does; and what is not the roster's is byte for byte as it was.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.integration.accounts_on_host import attempts
from tests.integration.hostile_rosters import (
    ADMINS,
    HASH,
    LOCAL,
    LOCALS,
    NO_LIMITS,
    PASSWORD,
    PEOPLE,
    PROTECTED,
    SECTIONS,
    Case,
    cases,
    crowd,
    mallory,
    of,
    other_cases,
    together,
)
from tests.playbook.run import TARGET, run_playbook
from tests.tables import Tally

SECTION = "hostile rosters on Debian 12 and 13"
#: Refused for what is written in them, whatever the host: the two hosts take turns.
BY_CONTENT = ("names", "ids", "fields", "duplicates")
WIDTHS = {"passwd": 7, "shadow": 9, "group": 4, "gshadow": 4, "subuid": 3, "subgid": 3}
#: What those say who let in, and what sudo says to `id -u`.
LET_IN = [0, 0]
ROOT = [0, "0\n"]


def prepared(case: Case) -> dict[str, Any]:
    """The case as the script wants it."""
    options = {"protected_users": PROTECTED, "limits": NO_LIMITS, **case.options}
    return {
        "roster": base64.b64encode(case.roster()).decode(),
        "options": options,
        "told": case.told,
        "prepare": case.prepare,
        "secrets": case.secrets(),
        "listed": sorted({"anna", "emil", *(record["username"] for record in case.users if _is_named(record))}),
    }


def _is_named(record: Any) -> bool:
    """Whether a record has a name, and none of those that may use sudo."""
    name = record.get("username") if isinstance(record, dict) else None
    return isinstance(name, str) and name not in LOCALS and not PEOPLE.get(name, {}).get("admin")


def ask(
    host: Host, chosen: list[Case], *, restore: bool = True, admins: tuple[str, ...] = ADMINS
) -> list[dict[str, Any]]:
    return attempts(
        host,
        [prepared(case) for case in chosen],
        password=PASSWORD,
        logins=[*LOCALS, *PEOPLE],
        admins=list(admins),
        restore=restore,
    )


def begin(host: Host) -> dict[str, Any]:
    """Local accounts, and the roster's people as an orderly source has them."""
    host.run(["sh", "-euc", LOCAL, "sh", HASH], check=True)
    orderly = replace(Case("orderly"), options={"protected_users": []})
    (answer,) = ask(host, [orderly], restore=False)
    assert not answer["done"]["fails"], answer["done"]
    assert answer["done"]["summary"]["created"] == len(PEOPLE)
    return answer


# What the system says.


def rows(text: str) -> list[list[str]]:
    return [line.split(":") for line in text.split("\n") if line]


def losses(case: Case, answer: dict[str, Any], orderly: dict[str, Any]) -> list[str]:
    """What was lost, in words; empty when the host survived."""
    found = [*_files(case, answer), *_ways_in(case, answer), *_rights(case, answer), *_result(case, answer)]
    places = _places(case)
    strange = [path for path in answer["strange"] if not places.intersection((path, *map(str, Path(path).parents)))]
    if strange:
        found.append(f"changed or left behind: {strange[:5]}")
    for program in ("pwck", "grpck"):
        new = set(answer["said"][program][1].splitlines()) - set(orderly["said"][program][1].splitlines())
        # A home that could not be made was reported, and pwck says so too.
        new = {line for line in new if not line.startswith("user 'mallory") or not line.endswith("does not exist")}
        if new:
            found.append(f"{program}: {sorted(new)[:5]}")
    return found


def _places(case: Case) -> set[str]:
    """Where new people's homes and mail may be."""
    return {*case.places, *(f"{folder}/{name}" for folder in ("/home", "/var/mail") for name in case.accounts)}


def _of_locals(case: Case, name: str, text: str) -> list[str]:
    """The lines of what is not the roster's; the roster's people may come and go in crew."""
    people = {*PEOPLE, *case.accounts}
    if name not in ("group", "gshadow"):
        return [line for line in text.split("\n") if line.split(":")[0] not in people]
    lines = []
    for line in text.split("\n"):
        group, _colon, rest = line.partition(":")
        if group == "crew":
            start, _colon, listed = rest.rpartition(":")
            lines.append(f"{start}:{[member for member in listed.split(',') if member and member not in people]}")
        elif group not in {*people, *case.made_groups, "team", "sudo"}:
            lines.append(line)
    return lines


def _files(case: Case, answer: dict[str, Any]) -> Iterator[str]:
    before, after = answer["before"], answer["after"]
    for name, width in WIDTHS.items():
        if _of_locals(case, name, before[name]) != _of_locals(case, name, after[name]):
            yield f"{name}: lines of others changed"
        wrong = [row for row in rows(after[name]) if len(row) != width]
        if wrong:
            yield f"{name}: broken lines {wrong[:3]}"
        names = [row[0] for row in rows(after[name])]
        if len(set(names)) != len(names) and not name.startswith("sub"):
            yield f"{name}: a name twice"
        if not after[name].endswith("\n"):
            yield f"{name}: the last line has no end"
    yield from _accounts(answer)


def _accounts(answer: dict[str, Any]) -> Iterator[str]:
    """What no set of account files may hold, whoever is in it."""
    after = answer["after"]
    for name in ("passwd", "group"):
        ids = [row[2] for row in rows(after[name])]
        if len(set(ids)) != len(ids):
            yield f"{name}: an id twice"
        if not all(item.isascii() and item.isdigit() and str(int(item)) == item for item in ids):
            yield f"{name}: an id that is no number"
    if {row[0] for row in rows(after["passwd"])} != {row[0] for row in rows(after["shadow"])}:
        yield "passwd and shadow do not hold the same names"
    missing = {*PEOPLE, *LOCALS} - {row[0] for row in rows(after["passwd"])}
    if missing:
        yield f"accounts are gone: {sorted(missing)}"
    if [row[0] for row in rows(after["shadow"]) if not row[1]] or any(row[1] != "x" for row in rows(after["passwd"])):
        yield "a password is empty or not in shadow"
    if any(uid == "0" for name, _x, uid, *_rest in rows(after["passwd"]) if name != "root"):
        yield "a second uid 0"
    if answer["owners"][0] != answer["owners"][1]:
        yield f"modes or owners of the account files changed: {answer['owners']}"


def _ways_in(case: Case, answer: dict[str, Any]) -> Iterator[str]:
    """PAM as sshd asks it, and sudo."""
    for name, codes in answer["pam"].items():
        if name == "ansible":
            if codes[1] != 0:
                yield f"PAM does not let {name} in, who has a key: {codes}"
        elif name in case.out:
            # With a key only the second question is asked.
            if 0 in codes:
                yield f"PAM lets {name} in, who is disabled: {codes}"
        elif codes != LET_IN:
            yield f"PAM does not let {name} in: {codes}"
    for name in ADMINS:
        if answer["said"][f"sudo {name}"] != ROOT:
            yield f"{name} can't become root: {answer['said'][f'sudo {name}']}"


def _rights(case: Case, answer: dict[str, Any]) -> Iterator[str]:
    """Who belongs to what, as the C library says it."""
    if answer["superusers"] != ["root"]:
        yield f"uid 0: {answer['superusers']}"
    groups = answer["groups"]
    for name in ADMINS:
        if "sudo" not in groups.get(name, ()):
            yield f"{name} is no admin any more"
    admins = {name for name, record in PEOPLE.items() if record.get("admin")} - case.demoted
    for name in {*PEOPLE, *case.accounts} & set(groups):
        wanted = {name, "team", "crew", *case.made_groups}
        if name in admins:
            wanted.add("sudo")
        elif "sudo" in groups[name]:
            yield f"{name} became an admin"
        if set(groups[name]) - wanted:
            yield f"{name} is in {sorted(set(groups[name]) - wanted)}"
    for name in admins:
        if "sudo" not in groups[name]:
            yield f"{name} is no admin any more"
    for title, (_code, text) in answer["said"].items():
        if title.startswith("rights ") and "not allowed to run sudo" not in text:
            yield f"sudo gives {title.removeprefix('rights ')} rights"


def _result(case: Case, answer: dict[str, Any]) -> Iterator[str]:
    planned, done, again = answer["planned"], answer["done"], answer["again"]
    if not answer["untouched"]:
        yield "check mode wrote something"
    for key in ("fails", "changed", "changes", "rejected", "failures", "warnings"):
        if planned.get(key) != done.get(key) and not _late(done, key):
            yield f"check mode said otherwise of {key}"
    if answer["leaks"]:
        yield "a secret is in the result or in the ledger's directory"
    if again.get("changed") and not done["fails"]:
        yield f"a second run would change {again['changes']}"
    if case.refused:
        if not done["fails"] or done["changed"] or answer["before"] != answer["after"]:
            yield f"the roster was not refused as a whole: {done}"
        return
    reported = len(done["rejected"]) + len(done["failures"]) + len(done["warnings"])
    if reported < case.least_complaints():
        yield f"{reported} of {case.least_complaints()} complaints: {done}"


def _late(done: dict[str, Any], key: str) -> bool:
    """A home that can't be made is only found when it is made."""
    late = any("home" in failure["reason"] and "could not be made" in failure["reason"] for failure in done["failures"])
    return late and key in ("failures", "fails", "changed", "changes")


def over_ssh(host: Host) -> list[str]:
    """Real logins, each by the way it has, and sudo behind them."""
    become = f"echo {PASSWORD} | sudo -k -S -p '' id -u"
    attempts_ = {
        "root by key": lambda: host.ssh("root", command="id -u"),
        "ansible by key": lambda: host.ssh("ansible", command="sudo -n id -u"),
        "localadmin by password": lambda: host.ssh("localadmin", password=PASSWORD, command=become),
        "rescue by password": lambda: host.ssh("rescue", password=PASSWORD, command=become),
    }
    with ThreadPoolExecutor(len(attempts_)) as pool:
        logins = dict(zip(attempts_, pool.map(lambda login: login(), attempts_.values()), strict=True))
    return [f"{name}: {login}" for name, login in logins.items() if (login.returncode, login.stdout) != (0, "0\n")]


def run_section(host: Host, alone: list[Case], orderly: dict[str, Any], at_last: Case) -> dict[str, list[str]]:
    """Title to losses, on one host: each case alone, and at last one of many together."""
    chosen = [*alone, at_last]
    found = {}
    for case, answer in zip(chosen, ask(host, chosen), strict=True):
        found[case.title] = [f"{host.name}: {loss}" for loss in losses(case, answer, orderly)]
    return found


def test_no_hostile_roster_locks_anybody_out(fleet2: Fleet, tally: Tally) -> None:
    sections = {section: cases(section) for section in SECTIONS}

    def through_all(host: Host) -> dict[str, list[str]]:
        orderly = begin(host)
        found: dict[str, list[str]] = {}
        for section, chosen in sections.items():
            turn = fleet2.hosts.index(host)
            mine = chosen[turn :: len(fleet2.hosts)] if section in BY_CONTENT else chosen
            at_last = together(chosen)
            lost = run_section(host, mine, orderly, at_last)
            found.update({f"{section}: {title}": losses for title, losses in lost.items()})
            if section in ("access", "documents"):
                found[f"{section}: {at_last.title}"] += [f"{host.name}: {login}" for login in over_ssh(host)]
        return found

    with ThreadPoolExecutor(len(fleet2.hosts)) as pool:
        results = list(pool.map(through_all, fleet2.hosts))
    assert len({title for result in results for title in result}) > 400
    for result in results:
        for title, lost in result.items():
            tally(SECTION, title, not lost)
    assert [loss for result in results for lost in result.values() for loss in lost] == []


def test_all_of_them_in_one_playbook(fleet2: Fleet, tmp_path: Path, tally: Tally) -> None:
    everything = together(case for section in SECTIONS for case in cases(section))
    assert len(everything.users) > 150
    assert len(everything.groups) > 60
    orderly = {host.name: begin(host) for host in fleet2.hosts}
    roster = tmp_path / "roster.json"
    roster.write_bytes(everything.roster())
    roster.chmod(0o600)
    playbook = tmp_path / "hostile.yml"
    playbook.write_text(
        "- hosts: linux_clients\n  gather_facts: false\n  tasks:\n    - identity.roster.linux_accounts:\n"
        "        roster: '{{ file }}'\n        protected_users: '{{ people }}'\n        limits: '{{ numbers }}'\n",
        encoding="utf-8",
    )
    variables = {"file": str(roster), "people": PROTECTED, "numbers": NO_LIMITS}
    run = run_playbook(playbook, fleet2.inventory_path, variables)
    assert "Traceback" not in run.output
    assert not [secret for secret in everything.secrets() if secret in run.output]
    for host in fleet2.hosts:
        done = run.of(TARGET)[host.name]
        assert done["changed"], "the records in order are applied"
        (answer,) = ask(host, [everything], restore=False)
        assert not answer["done"]["changed"], "the module on its own sees what the playbook did"
        first = orderly[host.name]
        lost = losses(everything, {**answer, "before": first["after"]}, first) + over_ssh(host)
        tally(SECTION, "playbook: all of them at once", not lost)
        assert lost == [], host.name


def test_names_that_differ_by_case_only(fleet2: Fleet, tally: Tally) -> None:
    """Whoever has the name of a local account or group in other letters has, to sudo, its rights."""
    for host in fleet2.hosts:
        # As root may have been given to anybody by name.
        host.run(["sh", "-euc", "echo 'localadmin,%crew ALL=(ALL) ALL' > /etc/sudoers.d/local"], check=True)
        chosen = list(other_cases())
        at_last = together(chosen)
        lost = run_section(host, chosen, begin(host), at_last)
        lost[at_last.title] += over_ssh(host)
        for title, found in lost.items():
            tally(SECTION, f"other case: {title}", not found)
        assert [loss[:500] for found in lost.values() for loss in found] == []


def test_groups_of_one_person_are_bounded(fleet2: Fleet, tally: Tally) -> None:
    """Without a bound one record fills the host's gids, and useradd finds none for anybody."""
    for host in fleet2.hosts:
        orderly = begin(host)
        (answer,) = ask(host, [crowd()])
        lost = losses(crowd(), answer, orderly)
        tally(SECTION, f"sizes: {crowd().title}", not lost)
        assert [loss[:500] for loss in lost] == [], host.name


#: Who of the local admins is one no more, so that berta is the only admin who can get in.
LAST_ADMIN = {
    "no other admins": "for name in ansible localadmin rescue wanda; do gpasswd --delete $name sudo; done",
    "other admins disabled": "for name in ansible rescue wanda; do gpasswd --delete $name sudo; done\n"
    "usermod --lock --expiredate 1 localadmin",
}
AGAINST_THE_LAST = {
    "disabled": Case("disabled", (of("berta", enabled=False),)),
    "no admin": Case("no admin", (of("berta", admin=False),)),
    "disabled and no admin": Case("both", (of("berta", enabled=False, admin=False),)),
    "gone": Case("gone", without=frozenset(("berta",))),
    "everybody gone": Case("all gone", without=frozenset(PEOPLE)),
    "everybody disabled": Case("all disabled", tuple(of(name, enabled=False, admin=False) for name in PEOPLE)),
}


def test_the_last_enabled_admin_stays(fleet2: Fleet, tally: Tally) -> None:
    tried = [
        (f"last admin, {others}: {what}", replace(case, prepare=prepare))
        for others, prepare in LAST_ADMIN.items()
        for what, case in AGAINST_THE_LAST.items()
    ]
    for host in fleet2.hosts:
        begin(host)
        answers = ask(host, [case for _title, case in tried], admins=())
        stays = [
            answer["pam"]["berta"] == LET_IN
            and "sudo" in answer["groups"]["berta"]
            and "is the last enabled admin of this host"
            in str((answer["done"]["failures"], answer["done"]["warnings"]))
            for answer in answers
        ]
        for (title, _case), stayed in zip(tried, stays, strict=True):
            tally(SECTION, title, stayed)
        assert all(stays), [(title, answer["done"]) for (title, _rest), answer in zip(tried, answers, strict=True)]
        # It is an option: without it the roster decides.
        without = [replace(case, options={"require_admin": False}) for _title, case in tried]
        for (title, _case), answer in zip(tried, ask(host, without, admins=()), strict=True):
            assert "sudo" not in answer["groups"]["berta"], title


def test_protected_groups_never_change(fleet2: Fleet, tally: Tally) -> None:
    protected = {"protected_groups": ["team", "crew", "sudo"]}
    mixed = (
        of("anna", groups=[]), of("carl", groups=[], admin=True), of("emil", groups=["team", "crew"], admin=True),
        of("berta", admin=False), mallory("joins", groups=["team", "crew"], admin=True),
    )  # fmt: skip
    tried = [
        Case("members come and go", mixed, options=protected),
        Case("everybody gone", without=frozenset(PEOPLE), options=protected),
        Case("everybody disabled", tuple(of(name, enabled=False) for name in PEOPLE), options=protected),
        Case("another gid", groups=({"name": "team", "gid": 31001}, {"name": "crew", "gid": 30501}), options=protected),
        Case("the groups gone", tuple(of(name, groups=[]) for name in PEOPLE), options=protected),
    ]

    def lines(files: dict[str, str]) -> list[str]:
        names = protected["protected_groups"]
        return [row for name in ("group", "gshadow") for row in files[name].split("\n") if row.split(":")[0] in names]

    for host in fleet2.hosts:
        begin(host)
        answers = ask(host, tried)
        for case, answer in zip(tried, answers, strict=True):
            stayed = lines(answer["before"]) == lines(answer["after"]) and "unknown options" not in str(answer["done"])
            tally(SECTION, f"protected groups: {case.title}", stayed)
            assert stayed, (host.name, case.title, answer["done"], lines(answer["before"]), lines(answer["after"]))
