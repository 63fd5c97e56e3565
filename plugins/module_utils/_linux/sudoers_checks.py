# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may stand in a sudo rule. Each check returns the problem, or None. Pure.

visudo checks syntax only, and reads ``ALL``, ``a,b``, ``!root`` and ``+alice`` as something else than a name without a
word. So everything that sudo would not take literally is refused here, and visudo is the second net.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple, Union

LONGEST_NAME = 256
LONGEST_COMMAND = 1024
#: Words that sudo's grammar takes for something else where a name or a host stands.
KEYWORDS = frozenset(("list", "sha224", "sha256", "sha384", "sha512", "sudoedit"))
#: No account and no Active Directory group has these; in a list, a path or a string they would mean something else.
_NEVER_IN_NAMES = '":;,=<>*?[]|/'
_BEGINNINGS = {
    "#": "sudo reads it as a number",
    "%": "sudo reads it as a group; list groups in groups, without the %",
    "+": "sudo reads it as a netgroup",
    "!": "sudo reads it as 'not'",
    "-": "it looks like an option",
    "~": "it looks like a home directory",
}
_WILDCARDS = re.compile(r"[*?\[\]]")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
#: What sudo-rs reads as a name. It takes the part before any other character for the whole name (see narrow_problem).
_NARROW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Command:
    """One command. ``arguments`` None means any, an empty tuple none at all. ``path`` is a path, ALL or sudoedit."""

    path: str
    arguments: Optional[Tuple[str, ...]] = None


def text_problem(text: str, longest: int) -> Optional[str]:
    if not text:
        return "is empty"
    if len(text) > longest:
        return f"is longer than {longest} characters"
    if not text.isprintable():
        return "contains a character that nobody sees"
    if text != text.strip():
        return "begins or ends with a space"
    return None


def title_problem(title: str) -> Optional[str]:
    """Why a rule can't be called so: its name becomes a comment in the file."""
    return text_problem(title, 100) or ("contains a backslash" if "\\" in title else None)


def name_problem(name: str) -> Optional[str]:
    """Why a text is not the name of a user or a group, for sudo."""
    problem = text_problem(name, LONGEST_NAME)
    if problem:
        return problem
    if name == "ALL":
        return "is sudo's word for everybody, not a name"
    if name[0] in _BEGINNINGS:
        return f"begins with {name[0]}: {_BEGINNINGS[name[0]]}"
    wrong = sorted({character for character in name if character in _NEVER_IN_NAMES})
    if wrong:
        return "contains " + " ".join(wrong) + ", which no account's name has; write one name an entry"
    if name.endswith("\\"):
        return "ends with a backslash"
    return None


def host_problem(host: str) -> Optional[str]:
    """Why a text is neither a host name nor an address. Compared in lower case, as sudo does."""
    if _HOST.fullmatch(host.lower()) and host.lower() not in KEYWORDS and host != "ALL":
        return None
    try:
        ipaddress.ip_interface(host)
    except ValueError:
        return "is neither a host name nor an address"
    return "has a zone" if "%" in host else None


def command_of(text: str, allow_wildcards: bool = False) -> Union[Command, str]:
    """A command as it is typed in a shell, or why it can't be one.

    ``ALL``; or an absolute path with arguments; or ``sudoedit`` and one file. ``""`` as the only argument means
    that none may be given.
    """
    problem = text_problem(text, LONGEST_COMMAND)
    if problem:
        return problem
    try:
        words = shlex.split(text)
    except ValueError as error:
        return f"can't be read: {str(error).lower()}"
    if words == ["ALL"]:
        return Command("ALL")
    problem = _words_problem(words, allow_wildcards)
    if problem:
        return problem
    path, arguments = words[0], words[1:]
    if arguments == [""]:
        return Command(path, ())
    return Command(path, tuple(arguments) if arguments else None)


def _words_problem(words: List[str], allow_wildcards: bool) -> Optional[str]:
    path, arguments = words[0], words[1:]
    if path.startswith("!"):
        return "begins with !: forbidding single commands does not keep anybody from running them; list what is allowed"
    if path == "sudoedit":
        if len(arguments) != 1:
            return "sudoedit needs one file, by its absolute path; write one entry for each file"
        return _path_problem(arguments[0], allow_wildcards, directory=False)
    problem = _path_problem(path, allow_wildcards, directory=not arguments)
    if problem:
        return problem
    if path.rsplit("/", 1)[-1] == "sudoedit":
        return "sudoedit is written without a path"
    if arguments != [""]:
        for argument in arguments:
            problem = _argument_problem(argument, allow_wildcards)
            if problem:
                return problem
    return None


def _path_problem(path: str, allow_wildcards: bool, directory: bool) -> Optional[str]:
    if not path.startswith("/") or path.startswith("//"):
        return "is not an absolute path"
    if "\\" in path:
        return "contains a backslash"
    if path == "/" or "//" in path or any(part in (".", "..") for part in path.split("/")):
        return "contains //, or . or .. as a part"
    if _WILDCARDS.search(path) and not allow_wildcards:
        return "contains a wildcard (* ? [ ]); allow_wildcards=true permits it"
    if path.endswith("/") and not (allow_wildcards and directory):
        return "is a directory, which stands for every command in it; allow_wildcards=true permits it"
    return None


def _argument_problem(argument: str, allow_wildcards: bool) -> Optional[str]:
    if argument in ("", '""'):
        return "has an empty argument; sudo knows it only as the one that forbids all arguments"
    if argument != argument.strip():
        return "has an argument that begins or ends with a space"
    if _WILDCARDS.search(argument) and not allow_wildcards:
        return "contains a wildcard (* ? [ ]); allow_wildcards=true permits it, but * also matches spaces and slashes"
    return None


_ALWAYS_IN_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
#: Settings that may be bound to people: what each takes. None can lock out or give rights.
SETTINGS: Dict[str, Any] = {
    "badpass_message": "text",
    "lecture": ("always", "never", "once"),
    "passprompt": "text",
    "passprompt_override": "flag",
    "passwd_timeout": (0, 60),
    "passwd_tries": (1, 10),
    "pwfeedback": "flag",
    "secure_path": "path",
    "timestamp_timeout": (0, 1440),
    "timestamp_type": ("global", "kernel", "ppid", "tty"),
    "umask": "umask",
    "use_pty": ("true",),
}


def setting_of(name: str, value: Any) -> Tuple[str, Optional[str]]:
    """(what follows ``Defaults``, None), or ("", the problem). The value is what YAML made of it."""
    takes = SETTINGS[name]
    if not isinstance(value, (str, int, float)):
        return "", "is neither a text nor a number, true or false"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if takes == "flag" or takes == ("true",):
        return _flag(name, text.lower(), takes)
    if takes == "text":
        problem = text_problem(text.strip(), 200) or text_problem(f"x{text}x", 202)
        if problem is None and ('"' in text or "\\" in text):
            problem = "contains a quotation mark or a backslash"
        return (f'{name}="{text}"', problem) if problem is None else ("", problem)
    if takes == "path":
        return _search_path(name, text)
    if takes == "umask":
        if not re.fullmatch(r"0?0[0-7]{2}", text):
            return "", "is not a umask in octal that leaves the owner all rights, in quotes (such as '0027')"
        return f"{name}={text.zfill(4)}", None
    if isinstance(takes[0], str):
        chosen = "never" if name == "lecture" and text == "false" else text
        if chosen not in takes:
            return "", f"is not one of {', '.join(takes)}"
        return f"{name}={chosen}", None
    return _number(name, text, takes)


def _flag(name: str, text: str, takes: Any) -> Tuple[str, Optional[str]]:
    if text in ("true", "yes", "on", "1"):
        return name, None
    if text in ("false", "no", "off", "0") and takes == "flag":
        return f"!{name}", None
    return "", "is not true" if takes == ("true",) else "is neither true nor false"


def _number(name: str, text: str, takes: Any) -> Tuple[str, Optional[str]]:
    pattern = r"[0-9]{1,4}" if name == "passwd_tries" else r"[0-9]{1,4}(?:\.[0-9]{1,2})?"
    if not re.fullmatch(pattern, text, re.ASCII) or not takes[0] <= float(text) <= takes[1]:
        return "", f"is not a number from {takes[0]} to {takes[1]}"
    return f"{name}={float(text):g}", None


def _search_path(name: str, text: str) -> Tuple[str, Optional[str]]:
    for part in text.split(":"):
        problem = text_problem(part, 255) or _path_problem(part, False, directory=False)
        if problem is None and '"' in part:
            problem = "contains a quotation mark"
        if problem:
            return "", f"has the part '{part}', which {problem}"
    missing = [part for part in _ALWAYS_IN_PATH if part not in text.split(":")]
    if missing:
        return "", f"lacks {' '.join(missing)}, without which hardly a command is found"
    return f'{name}="{text}"', None


def narrow_name_problem(name: str) -> Optional[str]:
    """Why sudo-rs would read another name.

    sudo-rs 0.2.5 stops reading a quoted name at the first character that it does not know, and drops the rest:
    ``"%foo bar"`` is then a rule for the group foo, and visudo-rs has nothing to say.
    """
    if _NARROW_NAME.fullmatch(name):
        return None
    return "is a name that sudo-rs does not read whole (letters a-z, digits, dot, underscore and dash only)"


def narrow_command_problem(command: Command) -> Optional[str]:
    """Why sudo-rs would read another command: it takes an escaped space for the end of a word."""
    words = (command.path, *(command.arguments or ()))
    if any(" " in word for word in words):
        return "has a space inside a word, which sudo-rs reads as two words"
    if any("\\" in word for word in words):
        return "contains a backslash, which sudo-rs reads differently"
    return None
