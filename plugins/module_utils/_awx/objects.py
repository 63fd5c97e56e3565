# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done with each object of an AWX site. Pure.

Items hold secrets. An answer has names and descriptions, and no other value of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Set, Tuple

WORKFLOWS = "workflow_job_templates"
NODES = "workflow_job_template_nodes"
CREDENTIALS = "credentials"
#: What a schedule or the node of a workflow can start. It names it without its kind.
UNIFIED = "unified_job_templates"
UNIFIED_KINDS = ("job_templates", WORKFLOWS, "projects", "inventory_sources")

#: (kind, name). The name of a node is (its workflow, its identifier), for it is known only there.
Key = Tuple[str, Any]


@dataclass(frozen=True)
class Item:
    """What the variables say of one object, or that AWX shall have it no longer."""

    rules: Mapping[str, Any]  # of its kind, in awx_kinds
    name: str
    scope: str  # "" where names are unique in all of AWX
    place: Tuple[int, ...]
    absent: bool
    values: Mapping[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        return str(self.rules["kind"])

    def known_by(self) -> Iterator[Key]:
        """By what others name it."""
        return _keys(self.kind, self.name, self.scope)

    def owner(self) -> Set[Key]:
        """What it belongs to, and goes with."""
        if not self.scope:
            return set()
        kind = WORKFLOWS if self.kind == NODES else self.rules["references"][self.rules["scope"]]
        return {(kind, self.scope)}

    def references(self) -> Iterator[Tuple[str, str, Key]]:
        """(key of the item, the name that stands there, what it names)."""
        for key, target in self.rules["references"].items():
            for name in _names(self.values.get(key)):
                yield key, name, (target, (self.scope, name) if target == NODES else name)


def awx_objects(
    kinds: Sequence[Mapping[str, Any]], lists: Mapping[str, Any], there: Mapping[str, Iterable[Sequence[str]]]
) -> List[Dict[str, Any]]:
    """Every object that is wanted, and every one that is there and shall not be.

    kinds   as in playbooks/vars/awx_kinds.yml, in the order in which one needs the other
    lists   variable of a kind: its items
    there   kind: [name, scope] of each object that AWX has

    Each has kind, name, scope, and
      place      where it stands in its list; for a node, where its workflow stands, and where it stands in that. Empty
                 for a node that stands nowhere any more
      action     create (is not there), change (names something that is not there yet), remove, or compare (only its
                 module can tell)
      line       what is said when that was done
      empty      whether it is a credential that has inputs without a value
      problems   why it can't be made, in lines

    Raises ValueError for a list whose items can't be told apart.
    """
    pairs = {kind: {(entry[0], entry[1]) for entry in entries} for kind, entries in there.items()}
    present = {key for kind, entries in pairs.items() for entry in entries for key in _keys(kind, *entry)}
    items, wanted, removed = _without_what_goes(kinds, lists, pairs)
    staying = present - removed
    new: Set[Key] = set()
    objects = []
    for item in items:
        # Of something that is not there, nothing is there: what has these names belongs to another organization.
        found = (item.name, item.scope) in pairs[item.kind] and not item.owner() & new
        if item.absent and not found:
            continue
        if not found:
            new.update(item.known_by())
        objects.append(_compared(item, found, staying, wanted))
    return objects


def _without_what_goes(
    kinds: Sequence[Mapping[str, Any]], lists: Mapping[str, Any], there: Mapping[str, Set[Tuple[str, str]]]
) -> Tuple[List[Item], Set[Key], Set[Key]]:
    """(items, what they want, what is removed). What belongs to something that is removed goes with it: it is no item.

    One name can be in both sets, wanted in one organization and removed from another.
    """
    items: List[Item] = []
    wanted: Set[Key] = set()
    removed: Set[Key] = set()
    for rules in kinds:
        gone = removed - wanted
        for item in _items(rules, lists, there[rules["kind"]]):
            goes = bool(item.owner() & gone)
            (removed if goes or item.absent else wanted).update(item.known_by())
            if not goes:
                items.append(item)
    return items, wanted, removed


def _compared(item: Item, found: bool, staying: Set[Key], wanted: Set[Key]) -> Dict[str, Any]:
    references = [] if item.absent else [each for each in item.references() if each[2] not in staying]
    empty = _inputs_without_value(item)
    reasons = [
        f"{key} names {name}, which is neither in AWX nor among the variables"
        for key, name, target in references
        if target not in wanted
    ]
    if not item.absent:
        known = {*item.rules["settings"], *item.rules["references"]}
        reasons += [f"{key} is no key that is known here" for key in item.values if key not in known]
    if empty and not found:
        reasons.append(f"no value for {', '.join(empty)}. {item.values.get('description') or ''}".rstrip())
    if item.absent:
        action = "remove"
    elif not found:
        action = "create"
    else:
        action = "change" if references else "compare"
    return {
        "kind": item.kind,
        "name": item.name,
        "scope": item.scope,
        "place": list(item.place),
        "action": action,
        "line": f"{'change' if action == 'compare' else action} {item.kind}: {item.name}",
        "empty": bool(empty),
        "problems": [f"{item.kind} {item.name}: {reason}" for reason in reasons],
    }


def _inputs_without_value(item: Item) -> List[str]:
    if item.absent or item.kind != CREDENTIALS:
        return []
    inputs = item.values.get("inputs")
    return [str(key) for key, value in inputs.items() if value in (None, "")] if isinstance(inputs, Mapping) else []


def _items(rules: Mapping[str, Any], lists: Mapping[str, Any], there: Set[Tuple[str, str]]) -> Iterator[Item]:
    entries = _entries(lists[rules["variable"]], rules["variable"], "name")
    if rules["kind"] == NODES:
        yield from _nodes(rules, entries, there)
        return
    for index, name, values in entries:
        scope = str(values.get(rules.get("scope", "")) or "")
        yield Item(rules, name, scope, (index,), values.get("state") == "absent", values)


def _nodes(
    rules: Mapping[str, Any], workflows: Iterable[Tuple[int, str, Mapping[str, Any]]], there: Set[Tuple[str, str]]
) -> Iterator[Item]:
    """Those of the workflows that stay."""
    wanted: Dict[str, Set[str]] = {}
    for index, workflow, values in workflows:
        if values.get("state") == "absent":
            continue
        names = wanted.setdefault(workflow, set())
        where = f"simplified_workflow_nodes of {workflow}"
        for place, name, node in _entries(values.get("simplified_workflow_nodes"), where, "identifier"):
            names.add(name)
            yield Item(rules, name, workflow, (index, place), False, node)
    for name, workflow in sorted(there):
        # A node that nobody wants any more would still run.
        if workflow in wanted and name not in wanted[workflow]:
            yield Item(rules, name, workflow, (), True, {})


def _entries(items: Any, where: str, key: str) -> Iterator[Tuple[int, str, Mapping[str, Any]]]:
    """(index, name, item). The name is what stands at ``key``."""
    if not isinstance(items or [], (list, tuple)):
        raise ValueError(f"{where} is no list")
    for index, item in enumerate(items or []):
        if not isinstance(item, Mapping) or item.get(key) in (None, ""):
            raise ValueError(f"{where}: item {index + 1} has no {key}")
        yield index, str(item[key]), item


def _keys(kind: str, name: str, scope: str) -> Iterator[Key]:
    yield kind, (scope, name) if kind == NODES else name
    if kind in UNIFIED_KINDS:
        yield UNIFIED, name


def _names(value: Any) -> List[str]:
    """A reference is a name or a list of names."""
    if value in (None, ""):
        return []
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]
