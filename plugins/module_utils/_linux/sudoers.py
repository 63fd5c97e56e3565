# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sudo rules as data, as the text of a drop-in, and as the changes from one text to another. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._outcome import Change
from .._roster.model import Rejected
from .._roster.text import shown
from .sudoers_checks import (
    KEYWORDS,
    Command,
    command_of,
    host_problem,
    name_problem,
    narrow_command_problem,
    narrow_name_problem,
    setting_of,
    title_problem,
)

#: The first line of a file that is ours begins so.
OURS = "# Managed by identity.roster.sudo_rules"
HEADER = f"{OURS}: what is changed here by hand is undone by the next run."
_TITLE = "# Rule: "
MODE = 0o440
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
#: Names that need no quotes and that no word of the grammar is like.
_PLAIN = re.compile(r"[a-z][a-z0-9_.-]*")


@dataclass(frozen=True)
class Rule:
    """Who may run what as whom. ``ALL`` stands alone where it stands."""

    name: str
    groups: Tuple[str, ...]
    users: Tuple[str, ...]
    hosts: Tuple[str, ...]
    run_as: Tuple[str, ...]
    run_as_groups: Tuple[str, ...]
    commands: Tuple[Command, ...]
    nopasswd: bool = False
    noexec: bool = False
    setenv: bool = False


@dataclass(frozen=True)
class Rules:
    """Everything in the drop-in. ``settings`` are what follows ``Defaults`` for those named in the rules."""

    rules: Tuple[Rule, ...]
    settings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A drop-in as it is on the host."""

    content: bytes
    mode: int
    uid: int
    gid: int

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def ours(self) -> bool:
        return self.text.startswith(OURS)

    @property
    def right(self) -> bool:
        """Whether sudo accepts its owner and mode."""
        return (self.mode, self.uid, self.gid) == (MODE, 0, 0)


def file_problem(name: str) -> Optional[str]:
    """Why a file of that name is not read by sudo, or is not safe to write."""
    if not _FILE_NAME.fullmatch(name):
        return "is not made of letters, digits, underscores and dashes; sudo ignores names with a dot or a ~"
    return None


def read_rules(
    entries: Sequence[Mapping[str, Any]], settings: Sequence[Mapping[str, Any]]
) -> Tuple[Rules, List[Rejected]]:
    """The rules that the module's options mean, and what is wrong with them: with one problem none may be written."""
    rejected: List[Rejected] = []
    rules = []
    titles: Dict[str, int] = {}
    for number, entry in enumerate(entries, 1):
        reader = _Reader(entry, number)
        rules.append(reader.rule())
        rejected.extend(reader.rejected)
        title = entry["name"]
        if title in titles:
            reason = f"is also the name of rule {titles[title]}"
            rejected.append(Rejected("sudo_rule", "name", reason, name=shown(title), record=f"rule {number}"))
        titles[title] = number
    lines: Dict[str, str] = {}
    for entry in settings:
        line, problem = setting_of(entry["name"], entry["value"])
        if problem is None and entry["name"] in lines:
            problem = "is set twice"
        if problem is None and not entries:
            problem = "has nobody to be bound to, since there are no rules"
        if problem:
            rejected.append(Rejected("sudo_default", "value", problem, name=entry["name"]))
        lines[entry["name"]] = line
    return Rules(tuple(rules), tuple(lines[name] for name in sorted(lines))), rejected


class _Reader:
    """Reads one rule and collects what is wrong with it."""

    def __init__(self, entry: Mapping[str, Any], number: int) -> None:
        self.entry = entry
        self.number = number
        self.rejected: List[Rejected] = []

    def refuse(self, field: str, reason: str) -> None:
        name = shown(self.entry["name"])
        self.rejected.append(Rejected("sudo_rule", field, reason, name=name, record=f"rule {self.number}"))

    def rule(self) -> Rule:
        entry = self.entry
        problem = title_problem(entry["name"])
        if problem:
            self.refuse("name", problem)
        groups, users = self.names("groups"), self.names("users")
        if not entry["groups"] and not entry["users"]:
            self.refuse("groups", "names nobody, and neither does users")
        run_as = self.names("run_as", everyone=True)
        run_as_groups = self.names("run_as_groups", everyone=True)
        if not entry["run_as"] and not entry["run_as_groups"]:
            self.refuse("run_as", "names nobody, and neither does run_as_groups")
        return Rule(
            name=entry["name"],
            groups=groups,
            users=users,
            hosts=tuple(host if host == "ALL" else host.lower() for host in self.listed("hosts", host_problem, True)),
            run_as=run_as,
            run_as_groups=run_as_groups,
            commands=self.commands(),
            nopasswd=entry["nopasswd"],
            noexec=entry["noexec"],
            setenv=entry["setenv"],
        )

    def names(self, field: str, everyone: bool = False) -> Tuple[str, ...]:
        return self.listed(field, name_problem, everyone)

    def listed(self, field: str, check: Callable[[str], Optional[str]], everyone: bool) -> Tuple[str, ...]:
        values = tuple(dict.fromkeys(self.entry[field]))
        if everyone and values == ("ALL",):
            return values
        if not values and field in ("hosts", "commands"):
            self.refuse(field, "is an empty list")
        for value in values:
            problem = "stands beside others; ALL stands alone" if everyone and value == "ALL" else check(value)
            if problem:
                self.refuse(field, f"'{shown(value)}' {problem}")
        return values

    def commands(self) -> Tuple[Command, ...]:
        found: List[Command] = []

        def check(text: str) -> Optional[str]:
            command = command_of(text, self.entry["allow_wildcards"])
            if isinstance(command, str):
                return command
            found.append(command)
            return None

        if self.listed("commands", check, everyone=True) == ("ALL",):
            return (Command("ALL"),)
        return tuple(dict.fromkeys(found))


def narrow_problems(rules: Rules) -> List[Rejected]:
    """What in the rules sudo-rs would silently read as something else."""
    rejected = []
    for rule in rules.rules:
        for field in ("groups", "users", "run_as", "run_as_groups"):
            for name in getattr(rule, field):
                problem = narrow_name_problem(name)
                if problem:
                    rejected.append(Rejected("sudo_rule", field, f"'{name}' {problem}", name=rule.name))
        for command in rule.commands:
            problem = narrow_command_problem(command)
            if problem:
                rejected.append(Rejected("sudo_rule", "commands", f"'{command.path}' {problem}", name=rule.name))
    return rejected


def render(rules: Rules) -> str:
    """The text of the drop-in. Rules keep their order: in sudo the last one that matches counts."""
    lines = [HEADER]
    if rules.settings:
        people = list(dict.fromkeys(who for rule in rules.rules for who in _who(rule)))
        lines += ["", f"Defaults:{','.join(people)} {', '.join(rules.settings)}"]
    for rule in rules.rules:
        lines += ["", _TITLE + rule.name, _line(rule)]
    return "".join(line + "\n" for line in lines)


def _who(rule: Rule) -> List[str]:
    return [_name(group, "%") for group in rule.groups] + [_name(user) for user in rule.users]


def _line(rule: Rule) -> str:
    run_as = ",".join(_all_or_name(name) for name in rule.run_as)
    if rule.run_as_groups:
        run_as += ":" + ",".join(_all_or_name(name) for name in rule.run_as_groups)
    tags = [
        tag
        for tag, wanted in (("NOPASSWD:", rule.nopasswd), ("NOEXEC:", rule.noexec), ("SETENV:", rule.setenv))
        if wanted
    ]
    commands = ", ".join(_command(command) for command in rule.commands)
    tagged = f"{' '.join(tags)} {commands}" if tags else commands
    return f"{', '.join(_who(rule))} {', '.join(rule.hosts)}=({run_as}) {tagged}"


def _all_or_name(name: str) -> str:
    return name if name == "ALL" else _name(name)


def _name(name: str, sign: str = "") -> str:
    """A name that means only itself. In quotes sudo takes a backslash literally, and the % must stand inside them."""
    if _PLAIN.fullmatch(name) and name not in KEYWORDS:
        return sign + name
    return f'"{sign}{name}"'


def _command(command: Command) -> str:
    words = [re.sub(r"[,:=# ]", r"\\\g<0>", command.path)]
    if command.arguments == ():
        words.append('""')
    for number, argument in enumerate(command.arguments or ()):
        # Twice: sudo's reader takes one pair away, fnmatch() the other.
        escaped = re.sub(r"[,:=# ]", r"\\\g<0>", argument.replace("\\", "\\\\\\\\"))
        # Without the backslash the arguments would be a regular expression.
        words.append("\\" + escaped if number == 0 and escaped.startswith("^") else escaped)
    return " ".join(words)


def sections(text: str) -> Tuple[List[str], Dict[str, str]]:
    """(lines before the first rule, the text of each rule by its name), without comments and blank lines."""
    head: List[str] = []
    rules: Dict[str, List[str]] = {}
    into = head
    for line in text.split("\n"):
        if line.startswith(_TITLE):
            into = rules.setdefault(line[len(_TITLE) :], [])
        elif line.strip() and not line.startswith("# "):
            into.append(line)
    return head, {name: "\n".join(lines) for name, lines in rules.items()}


def compare(file: str, found: Optional[Found], text: Optional[str]) -> List[Change]:
    """What changes when the drop-in becomes ``text`` (None: no file). Empty when all is as it should be."""
    before = sections(found.text) if found is not None else ([], {})
    after = sections(text) if text is not None else ([], {})
    changes = _file_changes(file, found, text, before[0], after[0])
    for name in [*before[1], *(name for name in after[1] if name not in before[1])]:
        was, becomes = before[1].get(name), after[1].get(name)
        if was != becomes:
            action = "create" if was is None else "remove" if becomes is None else "update"
            changes.append(Change("sudo_rule", name, action, {"rule": (was, becomes)}))
    if not changes and found is not None and text is not None and found.content != text.encode("utf-8"):
        changes.append(Change("sudo_file", file, "update", {"text": ("changed by hand", "as it should be")}))
    return changes


def _file_changes(
    file: str, found: Optional[Found], text: Optional[str], before: List[str], after: List[str]
) -> List[Change]:
    """Changes of the file itself: that it is there, its rights, and what stands before the first rule."""
    if found is None and text is None:
        return []
    fields: Dict[str, Tuple[Any, Any]] = {}
    rights_before = None if found is None else f"{found.mode:04o} {found.uid}:{found.gid}"
    rights_after = None if text is None else f"{MODE:04o} 0:0"
    if rights_before != rights_after:
        fields["rights"] = (rights_before, rights_after)
    if before != after:
        fields["defaults"] = (before, after)
    if found is None or text is None:
        action = "create" if found is None else "remove"
    else:
        action = "update" if found.ours else "adopt"
    return [Change("sudo_file", file, action, fields)] if fields or action == "adopt" else []
