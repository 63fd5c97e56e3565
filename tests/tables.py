# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables at the end of a test run: every case that was tried, how often, and how many of them were lost.

A test that goes through hundreds of cases counts each of them. The counts travel in the tests' reports, so they arrive
from xdist's workers too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

Tally = Callable[[str, str, bool], None]
_PROPERTY = "tally"


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Count one case: the table's title, the row, and whether it was survived."""

    def count(section: str, case: str, survived: bool) -> None:
        request.node.user_properties.append((_PROPERTY, [section, case, survived]))

    return count


class Trials:
    """The cases of one test: all are tried and counted, and then the test fails with those that were lost."""

    def __init__(self, tally: Tally, section: str) -> None:
        self._tally = tally
        self._section = section
        self._losses: list[str] = []
        self._tried = 0

    @contextmanager
    def case(self, name: str, detail: str = "") -> Iterator[None]:
        """Whatever is raised in it is a loss."""
        self._tried += 1
        try:
            yield
        except Exception as problem:
            self._losses.append(f"{name} {detail}\n{type(problem).__name__}: {problem}")
            self._tally(self._section, name, False)
        else:
            self._tally(self._section, name, True)

    def verdict(self) -> None:
        assert self._tried, "no case was tried"
        shown = "\n\n".join(self._losses[:10])
        assert not self._losses, f"{len(self._losses)} of {self._tried} cases lost:\n\n{shown}"


@pytest.fixture
def trials(tally: Tally, request: pytest.FixtureRequest) -> Iterator[Trials]:
    """Trials in the table that the test module names in SECTION; they are judged when the test ends."""
    yield Trials(tally, request.module.SECTION)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sections: dict[str, dict[str, list[int]]] = {}
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    for report in reports:
        if getattr(report, "when", None) != "call":
            continue
        for name, value in report.user_properties:
            if name == _PROPERTY:
                section, case, survived = value
                counts = sections.setdefault(section, {}).setdefault(case, [0, 0])
                counts[0] += 1
                counts[1] += survived
    for section, rows in sorted(sections.items()):
        terminalreporter.section(section)
        for line in _table(rows):
            terminalreporter.write_line(line)


def _table(rows: dict[str, list[int]]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    heading = f"{'':{width}}  tried  survived  lost"
    yield heading
    for case, (tried, survived) in sorted(rows.items()):
        yield f"{case:{width}}  {tried:5}  {survived:8}  {tried - survived:4}"
    tried, survived = (sum(counts[index] for counts in rows.values()) for index in (0, 1))
    yield f"{'all':{width}}  {tried:5}  {survived:8}  {tried - survived:4}"
