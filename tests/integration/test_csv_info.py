# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real modules csv_info and roster_merge, run by Ansible on this machine."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._roster.document import parse
from tests.integration.cases import failed, run_cases, state
from tests.tools.checkout import ROOT
from tests.unit.csv_cases import png

CSV = "identity.roster.csv_info"
MERGE = "identity.roster.roster_merge"
SEED = (ROOT / "tests/fixtures/pleio/users.csv").read_text(encoding="utf-8")
HASH = "$6$canarysalt$" + "Kanarienvogel" + "x" * 73
COMMON = {"changed", "dest", "counts", "roster_digest", "rejected", "difference", "fetched_at"}
KEYS = COMMON | {"unused_columns", "avatars_left_out"}
COUNTS = {"records": 7, "users": 6, "groups": 1, "rejected": 1, "enabled": 0, "disabled": 0, "admins": 0}
NOTHING = {
    "changed": False, "counts": dict.fromkeys(COUNTS, 0), "roster_digest": None, "rejected": [], "difference": None,
    "fetched_at": None, "unused_columns": [], "avatars_left_out": [],
}  # fmt: skip
BROKEN = {
    "empty": ("", "line 1, column 1: the file is empty"),
    "nobody": ("name,email\n", "set allow_empty=true"),
    "short": (SEED + "e-012,Fay\n", "line 9, column 3 (email): the row has 2 cells, and the header 6"),
    "header": ("name,email,name\n", "line 1, column 3: column 1 has the header 'name' too"),
    "missing": ("name;mail\n", "line 1, column 3: there is no column 'email'"),
    "nul": (SEED + "e-012,F\0y,,,,\n", "line 9, column 2 (name): a NUL"),
    "quote": (SEED + 'e-012,"Fay,fay@acme.test,,,\n', "line 9, column 2 (name): a quote is opened here"),
}


def test_the_seeds_file_becomes_a_roster_once(tmp_path: Path) -> None:
    folder = tmp_path / "hr"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(png())
    source, dest = folder / "users.csv", tmp_path / "new" / "hr.json"
    source.write_text(SEED, encoding="utf-8")
    before = state(source)
    case = {"only": {"path": str(source), "dest": str(dest)}}

    def run(**options: Any) -> dict[str, Any]:
        done = run_cases(CSV, case, tmp_path, **options)
        assert done.returncode == 0, done.output
        return done.of(CSV)["only"]

    checked = run(check=True)
    assert (checked["changed"], checked["counts"], dest.parent.exists()) == (True, COUNTS, False)
    first = run()
    content = dest.read_bytes()
    assert set(first) >= KEYS
    assert (first["changed"], first["counts"], first["difference"]) == (True, COUNTS, None)
    assert first["roster_digest"] == checked["roster_digest"] == hashlib.sha256(content).hexdigest()
    assert [entry["reason"] for entry in first["rejected"]] == ["line 8, column 2 (name): is empty"]
    assert [entry["place"] for entry in first["avatars_left_out"]] == ["line 4, column 4 (avatar)"]
    assert "dave@acme.test (line 4, column 4 (avatar)): missing.jpg can't be read" in first["warnings"][0]
    avatar = parse(content).users[0].avatar
    assert avatar is not None
    assert (avatar.path, avatar.sha256) == (str(folder / "a.jpg"), hashlib.sha256(png()).hexdigest())
    assert state(dest)[2] == 0o600
    left = state(dest)
    again = run()
    assert (again["changed"], again["difference"]["changed"], state(dest)) == (False, [], left)

    source.write_text(SEED.replace("Boss", "Chief").replace("e-005,", "e-006,"), encoding="utf-8")
    expected = {
        "joined": ["erin@acme.test"], "left": ["erin@acme.test"],
        "changed": [{"name": "bob.devries@acme.test", "fields": ["profile"]}], "rejected": [], "accepted": [],
    }  # fmt: skip
    for check in (True, False):
        assert run(check=check)["difference"] == expected
    assert state(dest) != left
    assert before[2:] != state(source)[2:]


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """A case for each broken file, and an old roster where it would be written to."""
    cases: dict[str, dict[str, Any]] = {}
    for name, (text, _words) in BROKEN.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "users.csv").write_text(text, encoding="utf-8")
        (tmp_path / name / "old.json").write_bytes(b"the old roster\n")
        cases[name] = {"path": str(tmp_path / name / "users.csv"), "dest": str(tmp_path / name / "old.json")}
    return cases


def test_a_broken_file_leaves_the_old_roster(broken: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    old = {name: state(Path(case["dest"])) for name, case in broken.items()}
    more = {
        "gone": ({**broken["short"], "path": str(tmp_path / "gone.csv")}, "can't be read: No such file"),
        "folder": ({**broken["short"], "path": str(tmp_path)}, "can't be read: Is a directory"),
        "field": ({**broken["short"], "mapping": {"mail": "x"}}, "mapping names 'mail', which is no field"),
        "delimiter": ({**broken["short"], "delimiter": ";;"}, "delimiter is not one character"),
        "ids": ({**broken["short"], "uid_range": [1, 2]}, "system accounts"),
    }
    done = run_cases(CSV, {**broken, **{name: case for name, (case, _words) in more.items()}}, tmp_path)
    assert failed(done) == {*broken, *more}
    for name, got in done.of(CSV).items():
        assert set(got) >= KEYS
        assert {key: got[key] for key in NOTHING} == NOTHING
        assert (BROKEN[name][1] if name in BROKEN else more[name][1]) in got["msg"]
    assert {name: state(Path(case["dest"])) for name, case in broken.items()} == old
    assert all(sorted(os.listdir(tmp_path / name)) == ["old.json", "users.csv"] for name in broken)


def test_nothing_secret_is_shown_and_nothing_is_evaluated(tmp_path: Path) -> None:
    rows = (
        "username,name,email,password_hash,profile.note",
        f"anna,{{{{ 7*7 }}}},anna@int.example,{HASH},=1+1",
        f"berta,{HASH},berta@int.example,,",
        "carl,Carl,carl@int.example,geheim-im-klartext,",
        f"dora,Dora,dora@int.example,{HASH},$(touch /tmp/x)",
    )
    (tmp_path / "users.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    dest = tmp_path / "hr.json"
    case = {"only": {"path": str(tmp_path / "users.csv"), "dest": str(dest)}}
    done = run_cases(CSV, case, tmp_path, options=["-vvv"])
    assert done.returncode == 0, done.output
    anna, dora = parse(dest.read_bytes()).users
    assert (anna.full_name, anna.profile, anna.password_hash) == ("{{ 7*7 }}", {"note": "=1+1"}, HASH)
    assert dora.profile == {"note": "$(touch /tmp/x)"}
    assert len(done.of(CSV)["only"]["rejected"]) == 2
    shown = done.output + json.dumps([event.result for event in done.events])
    assert "invocation" in shown
    assert "Kanarienvogel" not in shown
    assert "geheim" not in shown


def test_merge(tmp_path: Path) -> None:
    def roster(name: str, users: list[dict[str, Any]]) -> str:
        path = tmp_path / f"{name}.json"
        document = {"format": "identity.roster/1", "source": {}, "users": users, "groups": [], "rejected": []}
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    one = roster("one", [{"id": "1", "username": "anna", "password_hash": HASH, "full_name": "Anna"}])
    two = roster("two", [{"username": "ANNA", "full_name": "A", "shell": "/bin/zsh"}, {"username": "berta"}])
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    nobody = roster("nobody", [])
    first, second = {"name": "one", "path": one}, {"name": "two", "path": two}

    def case(*sources: dict[str, Any], dest: str = "") -> dict[str, Any]:
        return {"sources": list(sources), "dest": dest or str(tmp_path / "merged" / f"{len(sources)}.json")}

    refused = {
        "none": (case(), "sources is empty"),
        "names": (case(first, {**second, "name": "one"}), "a name twice"),
        "bad": (case(first, {"name": "bad", "path": str(tmp_path / "bad.json")}), "bad.json: the roster's format"),
        "gone": (case(first, {"name": "gone", "path": str(tmp_path / "gone")}), "gone can't be read: No such file"),
        "itself": (case(first, second, dest=two), "dest is the roster of two"),
        "nobody": (case({"name": "nobody", "path": nobody}), "set allow_empty=true"),
        "first": (case({**first, "adds_people": False}, second), "would leave nobody"),
    }
    good = {
        "both": case(first, second),
        "only": case(first, {**second, "adds_people": False}, dest=str(tmp_path / "o")),
    }
    done = run_cases(MERGE, {**good, **{name: each for name, (each, _words) in refused.items()}}, tmp_path)
    got = done.of(MERGE)
    assert failed(done) == set(refused)
    for name, (each, words) in refused.items():
        assert words in got[name]["msg"]
        assert set(got[name]) >= COMMON | {"conflicts"}
        assert not Path(each["dest"]).exists() or each["dest"] in (two, good["both"]["dest"])
    both, only = parse(Path(good["both"]["dest"]).read_bytes()), parse(Path(good["only"]["dest"]).read_bytes())
    assert state(Path(good["both"]["dest"]))[2] == 0o600
    assert [(user.id, user.shell, user.full_name) for user in both.users] == [
        ("1", "/bin/zsh", "Anna"),
        ("berta", None, None),
    ]
    assert [user.username for user in only.users] == ["anna"]
    assert got["both"]["conflicts"] == [
        {"kind": "user", "name": "anna", "field": "full_name", "kept": "one", "ignored": "two"}
    ]
    assert "anna full_name (one, not two)" in got["both"]["warnings"][0]
    assert "1 people of two are in no source before it" in " ".join(got["only"]["warnings"])
    assert "Kanarienvogel" not in done.output + json.dumps(got)
