# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of sudoers, written after sudo 1.9.16's lexer and grammar (toke.l, gram.y) and not after what we write.

It says what sudo would take each thing for. Anything that is more than a plain literal is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD = re.compile(r'(?:[^#>!=:,() \t\r\n\\"]|\\[^\t\n])+')
PATH = re.compile(r"/(?:\\[,:= \t#]|[^,:=\\ \t\r\n#])+")
ALIAS = re.compile(r"[A-Z][A-Z0-9_]*")
ADDRESS = re.compile(r"[0-9a-f.:/]+")
TAG = re.compile(r"(NOPASSWD|NOEXEC|SETENV):[ \t]*")
KEYWORDS = {"sudoedit", "sha224", "sha256", "sha384", "sha512"}


class NotLiteral(Exception):
    """sudo would take it for something else, or not at all."""


@dataclass(frozen=True)
class Read:
    """One rule. Names are (kind, name); a command is (path, the arguments as one text or None)."""

    who: list[tuple[str, str]]
    hosts: list[str]
    run_as: list[str]
    run_as_groups: list[str]
    tags: list[str]
    commands: list[tuple[str, str | None]]


class Reader:
    def __init__(self, line: str) -> None:
        self.line = line
        self.at = 0

    def rest(self) -> str:
        return self.line[self.at :]

    def skip(self) -> None:
        while self.rest()[:1] in (" ", "\t") and self.rest():
            self.at += 1

    def eat(self, text: str) -> bool:
        self.skip()
        if self.rest().startswith(text):
            self.at += len(text)
            return True
        return False

    def take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.line, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def name(self) -> tuple[str, str]:
        self.skip()
        quoted = self.eat('"')
        if quoted:
            end = self.at
            body = ""
            # \" is a quotation mark, any other backslash is itself.
            while end < len(self.line) and self.line[end] != '"':
                step = 2 if self.line[end : end + 2] == '\\"' else 1
                body += self.line[end + step - 1]
                end += step
            if end >= len(self.line):
                raise NotLiteral("a quote without end")
            self.at = end + 1
        else:
            sign = "%" if self.eat("%") else ""
            word = self.take(WORD)
            if word is None or "\\" in word:
                raise NotLiteral(f"no word at {self.rest()!r}")
            if not sign and (word in KEYWORDS or (ALIAS.fullmatch(word) and word != "ALL")):
                raise NotLiteral(f"{word} is an alias or a keyword")
            body = sign + word
            if body == "ALL":
                return "all", "ALL"
        if not body or body[0] in "+#!" or body[:2] in ("%:", "%#") or body == "%":
            raise NotLiteral(f"{body} is not a name")
        return ("group", body[1:]) if body[0] == "%" else ("user", body)

    def names(self) -> list[tuple[str, str]]:
        found = [self.name()]
        while self.eat(","):
            found.append(self.name())
        return found

    def host(self) -> str:
        self.skip()
        word = self.take(ADDRESS) if ":" in self.rest().split("=", 1)[0] else self.take(re.compile(r"[^,= ]+"))
        if not word or word in KEYWORDS or (ALIAS.fullmatch(word) and word != "ALL"):
            raise NotLiteral(f"no host at {self.rest()!r}")
        return word

    def command(self) -> tuple[str, str | None]:
        self.skip()
        if re.match(r"ALL(?=,|$)", self.rest()):
            self.at += 3
            return "ALL", None
        if re.match(r"sudoedit(?= )", self.rest()):
            self.at += len("sudoedit")
            path = "sudoedit"
        else:
            raw = self.take(PATH)
            if raw is None:
                raise NotLiteral(f"no path at {self.rest()!r}")
            path = re.sub(r"\\([,:= \t#])", r"\1", raw)
            if re.search(r"[\\*?\[\]]", path) or path.endswith(("/", "/sudoedit")):
                raise NotLiteral(f"{path} is a pattern, a directory or sudoedit")
        return path, self.arguments()

    def arguments(self) -> str | None:
        pattern: str | None = None
        space = False
        while self.rest():
            here = self.rest()
            if here[0] in " \t":
                space = True
                self.at += 1
                continue
            if re.match(r"\\[*?\[\]!^]", here):
                piece, length = here[:2], 2
            elif re.match(r"\\[:\\,= \t#]", here):
                piece, length = here[1], 2
            elif match := re.match(r"[^#\\:, \t\r\n]+", here):
                piece, length = match[0], match.end()
                if piece == "=":
                    raise NotLiteral("a lone =")
                if pattern is None and piece.startswith("^"):
                    raise NotLiteral("a regular expression")
            elif here[0] == ",":
                break
            else:
                raise NotLiteral(f"arguments end at {here!r}")
            pattern = piece if pattern is None else pattern + (" " if space else "") + piece
            space = False
            self.at += length
        return None if pattern is None else literal(pattern)


def literal(pattern: str) -> str:
    """The one text that fnmatch() takes a pattern for."""
    if pattern == '""':
        return ""
    if re.search(r"(?<!\\)(?:\\\\)*[*?\[]", pattern):
        raise NotLiteral(f"{pattern} is a pattern")
    if re.search(r"(?<!\\)(?:\\\\)*\\$", pattern):
        raise NotLiteral(f"{pattern} ends in an escape")
    return re.sub(r"\\(.)", r"\1", pattern)


def read(line: str) -> Read:
    """One rule of one line."""
    reader = Reader(line)
    who = reader.names()
    hosts = [reader.host()]
    while reader.eat(","):
        hosts.append(reader.host())
    if not reader.eat("=") or not reader.eat("("):
        raise NotLiteral(f"no = and ( at {reader.rest()!r}")
    run_as = [] if reader.rest().startswith(":") else [name for _kind, name in reader.names()]
    run_as_groups = [name for _kind, name in reader.names()] if reader.eat(":") else []
    if not reader.eat(")"):
        raise NotLiteral(f"no ) at {reader.rest()!r}")
    reader.skip()
    tags = []
    while tag := reader.take(TAG):
        tags.append(tag.strip(": "))
    commands = [reader.command()]
    while reader.eat(","):
        commands.append(reader.command())
    if reader.rest():
        raise NotLiteral(f"{reader.rest()!r} is left over")
    return Read(who, hosts, run_as, run_as_groups, tags, commands)


def read_file(text: str) -> list[Read]:
    """All rules of a drop-in; a line that is neither blank, a comment nor Defaults must be one."""
    lines = text.split("\n")
    return [read(line) for line in lines if line.strip() and not line.startswith(("# ", "Defaults:"))]
