# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""linux_accounts' engine against systemd-sysusers and cp, on a root directory of its own.

systemd-sysusers is C, locks the account files and replaces each once: as quick as this work gets. With ``--root`` it
asks no name service, which is what costs it most on a running host; making accounts is therefore compared with both.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tools.checkout import linked_tree

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
#: Where one run is over in a moment, the best of several counts: that is the one that was disturbed least.
REPEATS = {1_000: 5, 3_000: 3, 10_000: 3}
HOMES = 1_000
#: Hosts run modules with the distribution's Python, whose build is quicker than one made by hand.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
HASH = "$6$saltsaltsaltsalt$" + "a" * 86
FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "group": "root:x:0:\nsudo:x:27:\n",
    "shadow": "root:*:19000:0:99999:7:::\n",
    "gshadow": "root:*::\nsudo:*::\n",
    "subuid": "",
    "subgid": "",
    # As Debian has it; only the peer without --root reads it.
    "nsswitch.conf": "passwd: files systemd\ngroup: files systemd\nshadow: files systemd\ngshadow: files systemd\n",
    "login.defs": "UID_MIN 1000\nUID_MAX 60000\nHOME_MODE 0700\n",
}
#: Name to size in bytes, as Debian has them.
SKELETON = {".bash_logout": 220, ".bashrc": 3526, ".profile": 807}
MIB = 1 << 20


@dataclass(frozen=True)
class Figure:
    """What one program took for the same work: seconds of the whole process, and bytes resident at most."""

    seconds: float
    peak: int
    #: seconds from reading the roster to the result, without the start of Python; 0 of another program
    inside: float = 0.0


@dataclass(frozen=True)
class Bound:
    """What a figure of ours, or its ratio to the peer's, is to be at most."""

    most: float
    of_ratio: bool = False


def measure() -> str:
    """All figures as a table: ours, the peer's, their ratio, what is demanded, and whether that is met."""
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as name:
        return "\n".join(_lines(Path(name)))


def _lines(folder: Path) -> Iterator[str]:
    Host(folder / "warm-up", 10).create()
    at = {count: _best(folder, count) for count in SIZES}
    ten, most = at[10_000], at[100_000]
    title = f"the engine on a directory of its own, Python {_version()}"
    yield f"{title:60} {'ours':>10} {'peer':>10} {'ratio':>7}  demanded"
    asking = Host(folder / "asking", 10_000).sysusers_asking()
    for peer, label in ((ten["peer new"], "systemd-sysusers --root"), (asking, "the same without --root")):
        title = f"10,000 new accounts, s (peer: {label})"
        yield _line(title, ten["new"].seconds, peer.seconds, Bound(3, of_ratio=True))
    for name, label in (("digest", "the digest alone"), ("full", "the whole roster"), ("check", "check mode")):
        yield _line(
            f"10,000 accounts as they should be, {label}, s", ten[name].inside, ten["peer full"].seconds, Bound(0.5)
        )
    for name, label in (("new", "new accounts"), ("full", "accounts as they should be")):
        ours, theirs = (
            _exponent({count: figures[key] for count, figures in at.items()}) for key in (name, f"peer {name}")
        )
        yield _line(f"{label}, {SIZES[0]:,} to {SIZES[-1]:,}: exponent of growth", ours, theirs, Bound(1.15))
    for name, label in (("new", "new accounts"), ("full", "accounts as they should be")):
        yield _line(f"100,000 {label}, peak MiB", most[name].peak / MIB, most[f"peer {name}"].peak / MIB, Bound(400))
    yield from _homes(folder / "homes")


def _best(folder: Path, count: int) -> dict[str, Figure]:
    runs = [_once(folder, count) for _repeat in range(REPEATS.get(count, 1))]
    return {name: min((run[name] for run in runs), key=lambda figure: figure.seconds) for name in runs[0]}


def _once(folder: Path, count: int) -> dict[str, Figure]:
    host, peer = Host(folder / "ours", count), Host(folder / "peer", count)
    figures = {
        "new": host.create(),
        # Other options than the last run's: the short cut does not hold.
        "full": host.repeat(rules="second"),
        "peer new": peer.sysusers(),
        "peer full": peer.sysusers(),
    }
    if count == 10_000:
        figures["digest"] = host.repeat(rules="second", send=False)
        figures["check"] = host.repeat(rules="third", check=True)
    return figures


class Host:
    """A root directory with nobody but root, and a roster for it."""

    def __init__(self, root: Path, count: int) -> None:
        shutil.rmtree(root, ignore_errors=True)
        for name in ("etc/skel", "home", "bin", "var/lib"):
            (root / name).mkdir(parents=True)
        (root / "bin/bash").write_text("#!\n", encoding="ascii")
        for name, text in FILES.items():
            (root / "etc" / name).write_text(text, encoding="ascii")
        for name, size in SKELETON.items():
            (root / "etc/skel" / name).write_bytes(b"#" * size)
        self.root, self.count = root, count
        self.roster = root / "roster.json"
        self.config = root / "sysusers.conf"
        _write_roster(self.roster, count)
        _write_config(self.config, count)
        with self.roster.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def create(self) -> Figure:
        return self._run({}, "created")

    def repeat(self, **asked: Any) -> Figure:
        return self._run(asked, "unchanged")

    def make_homes(self) -> Figure:
        """For accounts that are there, so that nothing else is made."""
        return self._run({"rules": "homes", "homes": True}, "updated")

    def sysusers(self) -> Figure:
        return _timed(["systemd-sysusers", f"--root={self.root}", str(self.config)])[0]

    def sysusers_asking(self) -> Figure:
        """As an administrator runs it: every name and id is looked up by the name service. In a mount namespace of its
        own, where our directory is /etc."""
        script = 'mount --bind "$1" /etc; exec systemd-sysusers "$2"'
        return _timed(["unshare", "--mount", "sh", "-euc", script, "sh", str(self.root / "etc"), str(self.config)])[0]

    def _run(self, asked: dict[str, Any], expected: str) -> Figure:
        """``expected``: what the summary must count every account as."""
        request = {
            "root": str(self.root),
            "roster": str(self.roster),
            "digest": self.digest,
            "rules": "first",
            "send": True,
            "check": False,
            "homes": False,
            **asked,
        }
        program = Path(__file__).with_name("engine_run.py")
        figure, output = _timed([PYTHON, str(program), json.dumps(request)])
        answer = json.loads(output)
        if answer["summary"][expected] != self.count:
            raise RuntimeError(f"not every account of {self.count} was {expected}: {answer['summary']}")
        return Figure(figure.seconds, answer["peak"], answer["seconds"])


def _timed(command: Sequence[str]) -> tuple[Figure, bytes]:
    """Run a program to its end; raises RuntimeError with what it said when it fails."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(linked_tree())}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)
        _process, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {errors.read()[-2000:].decode(errors='replace')}")
        output.seek(0)
        return Figure(seconds, usage.ru_maxrss * 1024), output.read()


def _people(count: int) -> Iterator[tuple[str, int, str]]:
    """(user name, uid, group) of each: a hundred in a group. The uids are beyond those that get subordinate ids, which
    the peer would not make."""
    for number in range(count):
        yield f"person{number:06d}", 2_000_000_000 + number, f"team{number // 100:04d}"


def _groups(count: int) -> dict[str, int]:
    return {f"team{number:04d}": 2_100_000_000 + number for number in range(math.ceil(count / 100))}


def _write_roster(path: Path, count: int) -> None:
    """One record after another: what this process holds would count as the peer's memory."""
    groups = [{"gid": gid, "name": name} for name, gid in _groups(count).items()]
    head = {"format": "identity.roster/1", "groups": groups, "rejected": [], "source": {"kind": "bench"}}
    with path.open("w", encoding="ascii") as file:
        file.write(json.dumps(head)[:-1] + ', "users": [')
        for number, (username, uid, group) in enumerate(_people(count)):
            user = {
                "id": hashlib.md5(username.encode()).hexdigest(),
                "username": username,
                "uid": uid,
                "full_name": f"Given Family {number}",
                "email": f"{username}@example.org",
                "enabled": True,
                "admin": False,
                "password_hash": HASH,
                "groups": [group],
            }
            file.write((", " if number else "") + json.dumps(user))
        file.write("]}\n")


def _write_config(path: Path, count: int) -> None:
    """The same people for sysusers.d(5), which gives each a private group too, but no password."""
    with path.open("w", encoding="ascii") as file:
        for name, gid in _groups(count).items():
            file.write(f"g {name} {gid}\n")
        for number, (username, uid, group) in enumerate(_people(count)):
            file.write(f'u {username} {uid} "Given Family {number}" /home/{username} /bin/bash\nm {username} {group}\n')


def _homes(folder: Path) -> Iterator[str]:
    host = Host(folder, HOMES)
    host.create()
    ours = host.make_homes()
    people = [(username, uid) for username, uid, _group in _people(HOMES)]
    for label, copy in (("cp -a and chown -R a home", _copy_each), ("one process, shutil.copytree", _copy_all)):
        target = folder / copy.__name__
        target.mkdir()
        began = time.perf_counter()
        copy(folder / "etc/skel", target, people)
        yield _line(f"{HOMES:,} homes (peer: {label}), s", ours.seconds, time.perf_counter() - began)


def _copy_each(skeleton: Path, target: Path, people: Sequence[tuple[str, int]]) -> None:
    for username, uid in people:
        subprocess.run(["cp", "-a", skeleton, target / username], check=True)
        subprocess.run(["chown", "-R", f"{uid}:{uid}", target / username], check=True)


def _copy_all(skeleton: Path, target: Path, people: Sequence[tuple[str, int]]) -> None:
    for username, uid in people:
        shutil.copytree(skeleton, target / username, symlinks=True)
        for path in (target / username, *(target / username).rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)


def _exponent(figures: Mapping[int, Figure]) -> float:
    """The slope of seconds over accounts, both as logarithms, by least squares: 1 is linear, 2 is quadratic."""
    counts = [math.log(count) for count in figures]
    times = [math.log(figure.inside or figure.seconds) for figure in figures.values()]
    return statistics.linear_regression(counts, times).slope


def _line(label: str, ours: float, peer: float, bound: Bound | None = None) -> str:
    line = f"{label:60} {_shown(ours)} {_shown(peer)} {ours / peer:7.2f}"
    if bound is None:
        return line
    met = (ours / peer if bound.of_ratio else ours) <= bound.most
    return f"{line}  {'ratio ' if bound.of_ratio else ''}at most {bound.most:g}: {'ok' if met else 'over'}"


def _shown(value: float) -> str:
    return f"{value:10.0f}" if value >= 10 else f"{value:10.3f}"


def _version() -> str:
    command = [PYTHON, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
