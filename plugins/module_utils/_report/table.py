# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary table of a run: text of 80 columns at most, whatever the size of the fleet."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Sequence, Tuple

from .records import COLUMNS
from .summary import Half, Places, Reason, Report, Row
from .text import done_word, hosts, number, shown

WIDTH = 80
_NAME = 25
_CELL = 6
#: A reason of more lines is cut: all of it is in the task's result.
_LINES = 6


@dataclass(frozen=True)
class Caps:
    """How many hosts a target, and how many entries a list, are shown at most. The others are counted."""

    hosts: int = 40
    entries: int = 20


def table(report: Report, caps: Caps) -> str:
    """Ends with a line break; empty when nothing of this collection ran."""
    if report.empty:
        return ""
    lines: List[str] = []
    if not report.halves:
        lines += [*_title(report, False), "no target was reached", ""]
    for check in sorted(report.halves):
        half = report.halves[check]
        lines += [*_title(report, check), "", *_header(), *_body(half, caps), *_lists(half, caps), ""]
    lost = _lost(report)
    lines += [*_list("Unreachable before any target", lost, caps)]
    lines += [*_list("Sources that failed", ((reason, Places("", 1)) for reason in report.failed_sources), caps)]
    return "\n".join(lines).strip("\n") + "\n"


def _title(report: Report, check: bool) -> List[str]:
    lines = [f"identity.roster run {shown(report.run_id)}"]
    undo = [shown(run_id) for run_id in report.run_ids if run_id != report.run_id]
    if check:
        lines.append("CHECK MODE: nothing was changed. A run would do this:")
    elif undo:
        lines.append(f"its snapshots on Linux hosts: {', '.join(undo[:3])}{' ...' if undo[3:] else ''}")
    return [_squeezed(line, WIDTH) for line in lines]


def _header() -> List[str]:
    """The words on two lines by turns: each ends where its column does."""
    upper, lower = " " * _NAME, "target".ljust(_NAME)
    for index, name in enumerate(COLUMNS):
        end = _NAME + _CELL * (index + 1)
        if index % 2:
            upper += name.rjust(end - len(upper))
        else:
            lower += name.rjust(end - len(lower))
    return [upper, lower]


def _line(name: str, counts: Mapping[str, int]) -> str:
    cells = "".join((_short(counts[column]) if counts[column] else "-").rjust(_CELL) for column in COLUMNS)
    return name.ljust(_NAME) + cells


def _short(count: int) -> str:
    """In five characters: what is too long is cut to thousands, millions and so on, not rounded up."""
    if count <= 99_999:
        return str(count)
    for unit in "kMG":
        count //= 1000
        if count <= 9_999:
            return f"{count}{unit}"
    return ">9999"


def _squeezed(name: str, width: int) -> str:
    """A long name without its middle: host names differ at their beginning, domains at their end."""
    if len(name) <= width:
        return name
    end = (width - 2) // 2
    return f"{name[: width - 2 - end]}..{name[-end:]}"


def _body(half: Half, caps: Caps) -> Iterable[str]:
    for target in sorted(half.rows):
        yield target
        rows = sorted(half.rows[target].items(), key=lambda entry: (not entry[1].in_trouble, entry[0]))
        telling = [(host, row) for host, row in rows if row.in_trouble or row.changed]
        quiet = [row for host, row in rows if not (row.in_trouble or row.changed)]
        for host, row in telling[: caps.hosts]:
            yield _line("  " + _squeezed(shown(host), _NAME - 2), row.counts)
        more = [row for host, row in telling[caps.hosts :]]
        if more:
            yield _line(f"  {_more(len(more))}", _sum(more))
        if quiet:
            yield _line(f"  {hosts(len(quiet))} unchanged", _sum(quiet))
    yield _line("total", half.totals())


def _more(count: int) -> str:
    return f"{number(count)} more {'host' if count == 1 else 'hosts'}"


def _sum(rows: Sequence[Row]) -> Dict[str, int]:
    total = Row()
    for row in rows:
        total.add(row.counts, row.changed)
    return total.counts


def _lists(half: Half, caps: Caps) -> Iterable[str]:
    refused = (
        (
            Reason(refusal.target, f"{number(refusal.changes)} changes", _refusal(refusal.words, refusal.digest)),
            refusal.places,
        )
        for refusal in half.refused.values()
    )
    yield from _list("Refused plans, of which nothing was done", refused, caps)
    yield from _list("Failed", half.failed.items(), caps)
    yield from _list("Unreachable", half.unreachable.items(), caps)
    yield from _list("Rejected and left as they are", half.rejected.items(), caps)
    if half.others:
        yield ""
        yield "Also changed, and not in the columns:"
        for (target, kind, action), count in sorted(half.others.items()):
            yield _squeezed(f"  {target}, {shown(kind)}: {number(count)} {done_word(action)}", WIDTH)
    if half.hidden:
        yield ""
        yield "Hidden by no_log, so what they changed is not in the columns:"
        for target, count in sorted(half.hidden.items()):
            yield f"  {target}: {number(count)} {'result' if count == 1 else 'results'}"


def _refusal(words: str, digest: str) -> str:
    """The digest must survive the cut, since a person copies it."""
    hint = f"approve={digest}"
    return words if hint in words[: WIDTH * (_LINES - 2)] else f"{words[: WIDTH * (_LINES - 3)]} ... {hint}"


def _list(title: str, entries: Iterable[Tuple[Reason, Places]], caps: Caps) -> Iterable[str]:
    ordered = sorted(entries, key=lambda entry: (entry[0].target, -entry[1].hosts, entry[0].what, entry[1].first))
    if not ordered:
        return
    yield ""
    yield f"{title}:"
    for reason, places in ordered[: caps.entries]:
        yield from _entry(reason, places)
    if ordered[caps.entries :]:
        yield f"  and {number(len(ordered) - caps.entries)} more, in the tasks' results"


def _entry(reason: Reason, places: Places) -> List[str]:
    where = reason.target
    if places.first:
        also = f" and {_more(places.hosts - 1)}" if places.hosts > 1 else ""
        host = shown(places.first)
        where = f"{where} on {host}{also}" if where else f"{host}{also}"
    parts = [part for part in (where, reason.what, reason.words) if part]
    wrapped = textwrap.wrap(
        ": ".join(parts), WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
    return wrapped if len(wrapped) <= _LINES else [*wrapped[: _LINES - 1], "    ..."]


def _lost(report: Report) -> List[Tuple[Reason, Places]]:
    """Hosts that no target's row has as unreachable, although they were."""
    counted = {
        host
        for half in report.halves.values()
        for rows in half.rows.values()
        for host, row in rows.items()
        if row.counts["unreachable"]
    }
    together: Dict[Reason, Places] = {}
    for host, words in report.lost.items():
        if host not in counted:
            together.setdefault(Reason("", "", words), Places(host)).add(host)
    return list(together.items())
