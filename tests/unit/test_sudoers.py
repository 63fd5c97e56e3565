# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sudo rules: each name and command is refused or means itself, and changes are told rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._linux import sudoers
from ansible_collections.identity.roster.plugins.module_utils._linux.sudoers import Found, Rules, read_rules, render
from ansible_collections.identity.roster.plugins.module_utils._linux.sudoers_checks import SETTINGS, host_problem
from ansible_collections.identity.roster.plugins.modules import sudo_rules

from .sudoers_cases import COMMANDS, NAMES, entry
from .sudoers_reader import NotLiteral, read, read_file


def good(*entries: dict[str, Any], settings: list[dict[str, Any]] | None = None) -> Rules:
    rules, rejected = read_rules(list(entries), settings or [])
    assert rejected == []
    return rules


def text_of(*entries: dict[str, Any]) -> str:
    return render(good(*entries))


def found(text: str, mode: int = 0o440) -> Found:
    return Found(text.encode(), mode, 0, 0)


def test_what_people_write() -> None:
    rules = good(
        entry(name="admins", groups=["it"], run_as_groups=["ALL"]),
        entry(
            name="Büro 2",
            groups=["büro", "Domain Users"],
            users=["anna"],
            hosts=["PC-1.int.de", "10.1.0.0/16"],
            run_as=["root", "www data"],
            commands=["/usr/bin/systemctl restart cups", '/usr/bin/id ""', "sudoedit /etc/x"],
            nopasswd=True,
            noexec=True,
            setenv=True,
        ),
        settings=[
            {"name": "timestamp_timeout", "value": 5.0},
            {"name": "passprompt", "value": "[sudo] Passwort für %p: "},
            {"name": "pwfeedback", "value": False},
        ],
    )
    assert render(rules) == (
        "# Managed by identity.roster.sudo_rules: what is changed here by hand is undone by the next run.\n"
        "\n"
        'Defaults:%it,"%büro","%Domain Users",anna '
        'passprompt="[sudo] Passwort für %p: ", !pwfeedback, timestamp_timeout=5\n'
        "\n"
        "# Rule: admins\n"
        "%it ALL=(ALL:ALL) ALL\n"
        "\n"
        "# Rule: Büro 2\n"
        '"%büro", "%Domain Users", anna pc-1.int.de, 10.1.0.0/16=(root,"www data") NOPASSWD: NOEXEC: SETENV: '
        '/usr/bin/systemctl restart cups, /usr/bin/id "", sudoedit /etc/x\n'
    )


@pytest.mark.parametrize(("name", "accepted"), NAMES, ids=lambda value: ascii(value)[:40])
@pytest.mark.parametrize("field", ["users", "groups", "run_as", "run_as_groups"])
def test_names(field: str, name: str, accepted: bool) -> None:
    if name == "ALL" and field.startswith("run_as"):
        accepted = True
    given = {"users": ["u"], field: [name]}
    rules, rejected = read_rules([entry(**given)], [])
    if not accepted:
        assert [problem.field for problem in rejected] == [field]
        return
    assert rejected == []
    (rule,) = read_file(render(rules))
    seen = {
        "users": [who for kind, who in rule.who if kind == "user"],
        "groups": [who for kind, who in rule.who if kind == "group"],
        "run_as": rule.run_as,
        "run_as_groups": rule.run_as_groups,
    }
    assert seen[field] == [name]
    assert rule.commands == [("ALL", None)]


@pytest.mark.parametrize(("command", "means"), COMMANDS, ids=lambda value: ascii(value)[:40])
def test_commands(command: str, means: tuple[str, str | None] | None) -> None:
    rules, rejected = read_rules([entry(users=["u"], commands=[command])], [])
    if means is None:
        assert [problem.field for problem in rejected] == ["commands"]
        return
    assert rejected == []
    (rule,) = read_file(render(rules))
    assert rule.commands == [means]
    assert rule.who == [("user", "u")]


@pytest.mark.parametrize(
    "command", ["/bin/*", "/usr/games/", "/bin/ls *", "/bin/cat /var/log/[a-z]?", "sudoedit /etc/cups/*"]
)
def test_wildcards_only_when_asked_for(command: str) -> None:
    assert command in text_of(entry(users=["u"], commands=[command], allow_wildcards=True))


@pytest.mark.parametrize("command", ["/", "/../", "/usr/games/ x", "sudoedit /etc/", "/bin/ls ''  *"])
def test_wildcards_are_not_everything(command: str) -> None:
    assert read_rules([entry(users=["u"], commands=[command], allow_wildcards=True)], [])[1]


@pytest.mark.parametrize("host", ["web1", "WEB1", "web-1.int.de", "10.1.2.3", "10.0.0.0/8", "fe80::1", "2001:db8::/32"])
def test_hosts(host: str) -> None:
    (rule,) = read_file(text_of(entry(users=["u"], hosts=[host])))
    assert rule.hosts == [host.lower()]


@pytest.mark.parametrize(
    "host", ["", "a b", "a,b", "!a", "+a", "%a", "a=b", "sha256", "sudoedit", "*", "-a", "fe80::1%eth0"]
)
def test_hosts_that_are_none(host: str) -> None:
    assert host_problem(host)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "groups"),
        ({"users": ["u"], "run_as": []}, "run_as"),
        ({"users": ["u"], "hosts": []}, "hosts"),
        ({"users": ["u"], "commands": []}, "commands"),
        ({"users": ["u"], "hosts": ["ALL", "web1"]}, "hosts"),
        ({"users": ["u"], "run_as": ["ALL", "root"]}, "run_as"),
        ({"users": ["u"], "commands": ["/bin/ls", "ALL"]}, "commands"),
        ({"users": ["u"], "name": ""}, "name"),
        ({"users": ["u"], "name": "a\nALL ALL=(ALL) NOPASSWD: ALL"}, "name"),
        ({"users": ["u"], "name": "goes on \\"}, "name"),
    ],
)
def test_rules_that_make_no_sense(options: dict[str, Any], field: str) -> None:
    _rules, rejected = read_rules([entry(**options)], [])
    assert field in [problem.field for problem in rejected]


def test_a_name_is_used_once_and_every_problem_is_told() -> None:
    _rules, rejected = read_rules([entry(users=["u"]), entry(users=["ALL", "a,b"], commands=["id"])], [])
    assert [(problem.record, problem.field) for problem in rejected] == [
        ("rule 2", "users"), ("rule 2", "users"), ("rule 2", "commands"), ("rule 2", "name"),
    ]  # fmt: skip


SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
GOOD_SETTINGS: list[tuple[str, Any, str]] = [
    ("timestamp_timeout", 5, "timestamp_timeout=5"),
    ("timestamp_timeout", "0.5", "timestamp_timeout=0.5"),
    ("timestamp_timeout", 0, "timestamp_timeout=0"),
    ("passwd_tries", 3, "passwd_tries=3"),
    ("passwd_timeout", "2.50", "passwd_timeout=2.5"),
    ("lecture", "once", "lecture=once"),
    ("lecture", False, "lecture=never"),
    ("timestamp_type", "ppid", "timestamp_type=ppid"),
    ("pwfeedback", "yes", "pwfeedback"),
    ("use_pty", True, "use_pty"),
    ("umask", "0027", "umask=0027"),
    ("umask", "077", "umask=0077"),
    ("secure_path", f"{SYSTEM_PATH}:/opt/x", f'secure_path="{SYSTEM_PATH}:/opt/x"'),
    ("badpass_message", "No, no: a=b #1", 'badpass_message="No, no: a=b #1"'),
    ("passprompt", "%u: ", 'passprompt="%u: "'),
    ("passprompt_override", True, "passprompt_override"),
]
BAD_SETTINGS: list[tuple[str, Any]] = [
    ("timestamp_timeout", -1),
    ("timestamp_timeout", "5, !authenticate"),
    ("timestamp_timeout", True),
    ("timestamp_timeout", "\u0665"),
    ("passwd_tries", 0),
    ("passwd_tries", 1.5),
    ("lecture", "sometimes"),
    ("pwfeedback", "perhaps"),
    ("use_pty", False),
    ("umask", 23),
    ("umask", "0777"),
    ("umask", "0099"),
    ("secure_path", "/usr/local/bin"),
    ("secure_path", f"{SYSTEM_PATH}:bin"),
    ("secure_path", f"{SYSTEM_PATH}:"),
    ("secure_path", f"{SYSTEM_PATH}:."),
    ("secure_path", f'{SYSTEM_PATH}:/x"'),
    ("secure_path", ""),
    ("badpass_message", 'x", !authenticate, passprompt="'),
    ("badpass_message", "x\\"),
    ("badpass_message", "x\ny"),
    ("badpass_message", ""),
    ("passprompt", None),
    ("passprompt", ["a"]),
]


@pytest.mark.parametrize(("name", "value", "text"), GOOD_SETTINGS)
def test_settings(name: str, value: Any, text: str) -> None:
    rules = good(entry(users=["u"]), settings=[{"name": name, "value": value}])
    assert f"\nDefaults:u {text}\n" in render(rules)


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_settings_that_are_refused(name: str, value: Any) -> None:
    _rules, rejected = read_rules([entry(users=["u"])], [{"name": name, "value": value}])
    assert [(problem.kind, problem.name) for problem in rejected] == [("sudo_default", name)]


def test_settings_need_somebody_and_count_once() -> None:
    setting = {"name": "pwfeedback", "value": True}
    assert "nobody" in read_rules([], [setting])[1][0].reason
    assert "twice" in read_rules([entry(users=["u"])], [setting, setting])[1][0].reason
    assert {name for name, _value, _text in GOOD_SETTINGS} == set(SETTINGS), "a setting is not tried"
    assert all(f"          - {name}\n" in sudo_rules.DOCUMENTATION for name in SETTINGS)


@pytest.mark.parametrize("file", ["identity-roster", "10_x", "A"])
def test_file_names(file: str) -> None:
    assert sudoers.file_problem(file) is None


@pytest.mark.parametrize("file", ["", "a.b", "a~", "../x", "a/b", "-x", ".x", "x y", "ü", "x" * 65, "x\n"])
def test_file_names_that_sudo_ignores(file: str) -> None:
    assert sudoers.file_problem(file)


A, B = entry(name="a", users=["a"]), entry(name="b", users=["b"])


def told(before: Found | None, after: str | None) -> list[tuple[str, str, str]]:
    return [(change.kind, change.name, change.action) for change in sudoers.compare("f", before, after)]


def test_changes_rule_by_rule() -> None:
    both = text_of(A, B)
    assert told(None, None) == []
    assert told(found(both), both) == []
    assert told(None, both) == [
        ("sudo_file", "f", "create"),
        ("sudo_rule", "a", "create"),
        ("sudo_rule", "b", "create"),
    ]
    assert told(found(both), None) == [
        ("sudo_file", "f", "remove"), ("sudo_rule", "a", "remove"), ("sudo_rule", "b", "remove"),
    ]  # fmt: skip
    assert told(found(both), text_of(A)) == [("sudo_rule", "b", "remove")]
    assert told(found(text_of(B)), both) == [("sudo_rule", "a", "create")]
    (change,) = sudoers.compare("f", found(both), text_of({**A, "nopasswd": True}, B))
    assert change.fields == {"rule": ("a ALL=(ALL) ALL", "a ALL=(ALL) NOPASSWD: ALL")}


def test_changes_of_the_file() -> None:
    both = text_of(A, B)
    (rights,) = sudoers.compare("f", found(both, 0o644), both)
    assert rights.fields == {"rights": ("0644 0:0", "0440 0:0")}
    with_settings = render(good(A, B, settings=[{"name": "pwfeedback", "value": True}]))
    (settings,) = sudoers.compare("f", found(both), with_settings)
    assert settings.fields == {"defaults": ([], ["Defaults:a,b pwfeedback"])}
    assert told(found(text_of(B, A)), both) == [("sudo_file", "f", "update")], "the order of rules counts in sudo"
    assert told(found(both + "# a note\n"), both) == [("sudo_file", "f", "update")]
    assert told(found(both + "mallory ALL=(ALL) NOPASSWD: ALL\n"), both) == [("sudo_rule", "b", "update")]
    assert told(found(both.replace("\n\n", "\n#0 ALL=(ALL) ALL\n", 1)), both) == [("sudo_file", "f", "update")]
    assert told(found("x ALL=(ALL) ALL\n"), both)[0] == ("sudo_file", "f", "adopt")
    assert told(Found(b"\xff\xfe", 0o440, 0, 0), both)[0] == ("sudo_file", "f", "adopt")


@pytest.mark.parametrize(
    ("options", "fine"),
    [
        ({"groups": ["it"], "users": ["Anna.B-c_1"]}, True),
        ({"groups": ["it"], "commands": ["/usr/bin/id -un,x"]}, True),
        ({"groups": ["Domain Admins"]}, False),
        ({"groups": ["büro"]}, False),
        ({"users": ["anna@int.de"]}, False),
        ({"users": ["_apt"]}, False),
        ({"users": ["INT\\anna"]}, False),
        ({"users": ["a"], "run_as": ["b c"]}, False),
        ({"users": ["a"], "run_as_groups": ["b c"]}, False),
        ({"users": ["a"], "commands": ["/usr/bin/id\\ -un"]}, False),
        ({"users": ["a"], "commands": ["/usr/bin/id 'a b'"]}, False),
        ({"users": ["a"], "commands": ["/usr/bin/id 'a\\b'"]}, False),
    ],
)
def test_what_sudo_rs_would_misread(options: dict[str, Any], fine: bool) -> None:
    assert (sudoers.narrow_problems(good(entry(**options))) == []) == fine


@pytest.mark.parametrize(
    "line",
    [
        "ALICE ALL=(ALL) ALL", "#0 ALL=(ALL) ALL", "+x ALL=(ALL) ALL", '"+x" ALL=(ALL) ALL', "!a ALL=(ALL) ALL",
        "a ALL=(ALL) /bin/l*", "a ALL=(ALL) /bin/ls *", "a ALL=(ALL) /bin/ls ^a$", "a ALL=(ALL) /bin/",
        "a ALL=(ALL) id",
        "a ALL=(ALL) /bin/ls \\x", "a ALL=(ALL) /bin/sudoedit x", "a ALL=(ALL) /bin/ls a\\\\", "a FOO=(ALL) ALL",
    ],
)  # fmt: skip
def test_the_reader_is_strict(line: str) -> None:
    with pytest.raises(NotLiteral):
        read(line)
