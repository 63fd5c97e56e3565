# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any names and commands: refused, or read back as what they are by a reader of sudo's grammar, and fine for visudo."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._linux.sudoers import read_rules, render, sections

from .sudoers_cases import entry
from .sudoers_reader import Read, read_file

VISUDO = shutil.which("visudo", path="/usr/sbin:/usr/bin:/sbin:/bin")
#: Mostly what has a meaning somewhere in sudo's grammar.
SPECIAL = "ALLalx/ \\\"'%+#!:,=()<>@~^$*?[]&-_.0äß\u00a0\n\t"
TEXT = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters()), max_size=12)
WORDS = st.lists(TEXT, max_size=4)
PATHS = TEXT.map(lambda text: "/" + text)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    command = st.tuples(PATHS, WORDS).map(lambda pair: shlex.join([pair[0], *pair[1]]))
    return entry(
        name=draw(TEXT),
        users=draw(st.lists(TEXT, min_size=1, max_size=2)),
        groups=draw(st.lists(TEXT, max_size=2)),
        run_as=draw(st.lists(TEXT, min_size=1, max_size=2)),
        run_as_groups=draw(st.lists(TEXT, max_size=2)),
        hosts=draw(st.lists(st.one_of(st.just("ALL"), TEXT), min_size=1, max_size=2)),
        commands=draw(st.lists(st.one_of(st.just("ALL"), TEXT, command), min_size=1, max_size=3)),
        nopasswd=draw(st.booleans()),
        setenv=draw(st.booleans()),
    )


@st.composite
def written(draw: st.DrawFn) -> dict[str, Any]:
    """A rule of which every part that would be refused was left out, so that most are written."""
    drawn = draw(rules())
    kept = {"name": drawn["name"], "nopasswd": drawn["nopasswd"], "setenv": drawn["setenv"]}
    for field in ("users", "groups", "run_as", "run_as_groups", "hosts", "commands"):
        kept[field] = [value for value in drawn[field] if not _refused(field, [value])]
    for field, instead in (("users", ["u"]), ("run_as", ["root"]), ("hosts", ["ALL"]), ("commands", ["/bin/ls"])):
        if not kept[field] or (len(kept[field]) > 1 and "ALL" in kept[field]):
            kept[field] = instead
    if "ALL" in kept["run_as_groups"] or _refused("name", drawn["name"]):
        kept.update(run_as_groups=[], name="r")
    return entry(**kept)


def _refused(field: str, value: Any) -> bool:
    given_rule = entry(**{"users": ["u"], field: value})
    return any(problem.field == field for problem in read_rules([given_rule], [])[1])


@given(rules())
@settings(max_examples=400)
def test_refused_or_literal(rule: dict[str, Any]) -> None:
    made, rejected = read_rules([rule], [])
    if not rejected:
        same(rule, render(made))


@given(written())
@settings(max_examples=600)
def test_literal(rule: dict[str, Any]) -> None:
    made, rejected = read_rules([rule], [])
    assert rejected == []
    text = render(made)
    same(rule, text)
    assert list(sections(text)[1]) == [rule["name"]]


def same(rule: dict[str, Any], text: str) -> None:
    (back,) = read_file(text)
    assert back == Read(
        who=[("group", name) for name in unique(rule["groups"])] + [("user", name) for name in unique(rule["users"])],
        hosts=[host if host == "ALL" else host.lower() for host in unique(rule["hosts"])],
        run_as=unique(rule["run_as"]),
        run_as_groups=unique(rule["run_as_groups"]),
        tags=[tag for tag, wanted in (("NOPASSWD", rule["nopasswd"]), ("SETENV", rule["setenv"])) if wanted],
        commands=unique(meant(command) for command in rule["commands"]),
    )


def meant(command: str) -> tuple[str, str | None]:
    words = shlex.split(command)
    return words[0], " ".join(words[1:]) if len(words) > 1 else None


def unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


@pytest.mark.skipif(VISUDO is None, reason="this machine has no visudo; the fleet's are asked in tests/integration")
@given(written())
@settings(max_examples=200)
def test_visudo_accepts_what_is_written(rule: dict[str, Any]) -> None:
    text = render(read_rules([rule], [])[0])
    done = subprocess.run([str(VISUDO), "-cf", "-"], input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, (text, done.stderr)
