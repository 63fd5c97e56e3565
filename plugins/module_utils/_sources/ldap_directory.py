# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searches that are complete or fail: pages, ranged attributes, single entries; and what the directory says of itself.

Memory holds one page at a time. No referral is followed.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple
from urllib.parse import unquote, urlsplit

from .._errors import SourceError
from .._roster.text import shown
from .ldap_ber import Done, Entry, Reference, Response
from .ldap_codes import NO_SUCH_OBJECT, REFERRAL, SUCCESS, refusal
from .ldap_connection import LDAP3_IMPORT_ERROR, Connection
from .ldap_names import normalised_dn
from .ldap_presets import recognised

if LDAP3_IMPORT_ERROR is None:
    from ldap3 import BASE, DEREF_NEVER, LEVEL, SUBTREE
    from ldap3.core.exceptions import LDAPExceptionError
    from ldap3.operation.search import search_operation
    from ldap3.protocol.rfc2696 import paged_search_control

WHOLE_TREE = "subtree"
ONE_LEVEL = "onelevel"
_ONE_ENTRY = "base"

_ROOT = (
    *("objectClass", "vendorName", "supportedCapabilities", "subschemaSubentry", "namingContexts"),
    *("configurationNamingContext", "ipaTopologyIsManaged", "ipaTopologyPluginVersion"),
)
#: Requests of single entries that are under way at the same time.
_WINDOW = 100
_NAMES = re.compile(rb"\(\s*[^\s()']+\s+NAME\s+(?:'([^']+)'|\(([^)]*)\))")
_RANGE = re.compile(r"(.+);range=([0-9]+)-([0-9]+|\*)\Z")


class Directory:
    """Questions to one directory over one connection."""

    def __init__(self, connection: Connection, page_size: int, timeout: int) -> None:
        self._connection = connection
        self._page_size = page_size
        self._timeout = timeout
        #: Parts of the tree that hold no people: a reference to one of them loses nobody.
        self._empty_parts: Set[str] = set()
        #: Lower-case name of an attribute to the first of its names; empty when the schema can't be read.
        self.aliases: Mapping[str, str] = {}
        self.preset: Optional[str] = None

    @property
    def url(self) -> str:
        return self._connection.url

    def introduce(self) -> None:
        """Read what the directory is and which attributes it knows."""
        found = self._single("", _ROOT, "(objectClass=*)")
        root = found if found is not None else Entry("", {})
        self.preset = recognised(root)
        if self.preset == "active_directory":
            self._empty_parts = _parts_without_people(root)
        for raw in root.attributes.get("subschemasubentry", []):
            schema = self._single(raw.decode("utf-8", "replace"), ["attributeTypes"], "(objectClass=*)")
            self.aliases = attribute_names(schema.attributes.get("attributetypes", [])) if schema else {}

    def knows(self, attribute: str) -> bool:
        """Whether the schema has an attribute; yes to all when it can't be read."""
        return not self.aliases or attribute.lower().partition(";")[0] in self.aliases

    def search(self, what: str, base: str, scope: str, filter_: str, attributes: Sequence[str]) -> Iterator[Entry]:
        """All entries, page by page. ``what`` is what errors call them. Raises SourceError unless all came."""
        cookie = b""
        while True:
            controls = [paged_search_control(True, self._page_size, cookie)]
            number = self._ask(what, base, scope, filter_, attributes, controls)
            entries, done = self._page(what, base, number)
            if done.code != SUCCESS:
                raise self._refused(f"the search for {what} below {shown(base, 200)!r} failed", done)
            for entry in entries:
                yield self._whole(entry)
            if done.cookie is None:
                raise SourceError(
                    f"the directory at {self.url} answered the search for {what} without saying whether more follows: "
                    "it can't be believed to be complete"
                )
            if not done.cookie:
                return
            if done.cookie == cookie and not entries:
                raise SourceError(f"the directory at {self.url} sends the same empty page of {what} again and again")
            cookie = done.cookie

    def look_up(self, dns: Sequence[str], attributes: Sequence[str]) -> Iterator[Tuple[str, Optional[Entry]]]:
        """Each entry by its name, None for one that is not there or not to be seen; many at a time."""
        for start in range(0, len(dns), _WINDOW):
            batch = dns[start : start + _WINDOW]
            numbers = {self._ask("a member", dn, _ONE_ENTRY, "(objectClass=*)", attributes): dn for dn in batch}
            found: Dict[str, Optional[Entry]] = dict.fromkeys(batch)
            while numbers:
                number, response = self._receive(numbers)
                dn = numbers[number]
                if isinstance(response, Entry):
                    found[dn] = response
                elif isinstance(response, Done):
                    del numbers[number]
                    self._connection.renew()
                    if response.code not in (SUCCESS, NO_SUCH_OBJECT):
                        raise self._refused(f"the member {shown(dn, 200)!r} can't be read", response)
            for dn, entry in found.items():
                yield dn, None if entry is None else self._whole(entry)

    def _single(self, dn: str, attributes: Sequence[str], filter_: str) -> Optional[Entry]:
        number = self._ask("an entry", dn, _ONE_ENTRY, filter_, attributes)
        entry: Optional[Entry] = None
        while True:
            _number, response = self._receive({number: dn})
            if isinstance(response, Entry):
                entry = response
            elif isinstance(response, Done):
                return entry

    def _page(self, what: str, base: str, number: int) -> Tuple[List[Entry], Done]:
        entries: List[Entry] = []
        expected = {number: base}
        while True:
            _number, response = self._receive(expected)
            if isinstance(response, Entry):
                entries.append(response)
            elif isinstance(response, Reference):
                self._check_reference(what, response.urls)
            elif isinstance(response, Done):
                return entries, response

    def _receive(self, expected: Mapping[int, str]) -> Tuple[int, Response]:
        number, response = self._connection.receive()
        if number not in expected:
            raise SourceError(f"the directory at {self.url} answers what was not asked")
        return number, response

    def _ask(
        self,
        what: str,
        base: str,
        scope: str,
        filter_: str,
        attributes: Sequence[str],
        controls: Optional[Sequence[object]] = None,
    ) -> int:
        scopes = {WHOLE_TREE: SUBTREE, ONE_LEVEL: LEVEL, _ONE_ENTRY: BASE}
        try:
            request = search_operation(
                base, filter_, scopes[scope], DEREF_NEVER, list(attributes), 0, self._timeout, False, True, True
            )
        except LDAPExceptionError:
            raise SourceError(f"the filter for {what} is none: {shown(filter_, 200)}") from None
        return self._connection.send("searchRequest", request, controls)

    def _whole(self, entry: Entry) -> Entry:
        """The entry with all values of attributes of which the server, as Active Directory, sent the first ones."""
        ranged = [name for name in entry.attributes if ";range=" in name]
        for name in ranged:
            attribute, begin, last = _range(name)
            values = entry.attributes.pop(name)
            if begin != "0":
                raise self._only_a_part(attribute, entry)
            while last != "*":
                if len(values) != int(last) + 1:
                    raise self._only_a_part(attribute, entry)
                more = self._single(entry.dn, [f"{attribute};range={int(last) + 1}-*"], "(objectClass=*)")
                name, begin = "", ""
                for name in more.attributes if more else ():
                    if name.startswith(f"{attribute};range="):
                        begin = _range(name)[1]
                        break
                if more is None or begin != str(int(last) + 1):
                    raise self._only_a_part(attribute, entry)
                values += more.attributes[name]
                last = _range(name)[2]
            entry.attributes[attribute] = values
        return entry

    def _only_a_part(self, attribute: str, entry: Entry) -> SourceError:
        return SourceError(f"the directory at {self.url} sent only a part of {attribute} of {shown(entry.dn, 200)}")

    def _check_reference(self, what: str, urls: Sequence[str]) -> None:
        for url in urls:
            try:
                part = normalised_dn(unquote(urlsplit(url).path.lstrip("/")))
            except ValueError:
                part = ""
            if part in self._empty_parts:
                return
        raise SourceError(
            f"the directory at {self.url} leaves a part of the search for {what} to another server "
            f"({', '.join(shown(url, 200) for url in urls)}), and that would be missing: narrow base_dn, "
            "or read that part by a run of its own"
        )

    def _refused(self, what: str, done: Done) -> SourceError:
        elsewhere = f" (see {', '.join(shown(url, 200) for url in done.referrals)})" if done.code == REFERRAL else ""
        return SourceError(refusal(f"at {self.url} {what}", done) + elsewhere)


def _parts_without_people(root: Entry) -> Set[str]:
    """The parts of an Active Directory, as its root names them, that hold its DNS and its configuration."""
    parts = [raw.decode("utf-8", "replace") for raw in root.attributes.get("configurationnamingcontext", [])]
    for raw in root.attributes.get("namingcontexts", []):
        context = raw.decode("utf-8", "replace")
        parts += [f"DC=DomainDnsZones,{context}", f"DC=ForestDnsZones,{context}"]
    names = set()
    for part in parts:
        try:
            names.add(normalised_dn(part))
        except ValueError:
            # What has no name that we know is no part that may be left out.
            continue
    # An empty name is the whole tree's.
    return names - {""}


def attribute_names(definitions: Sequence[bytes]) -> Dict[str, str]:
    """Each lower-case name in definitions of attributes (RFC 4512, 4.1.2) to the first of the same definition."""
    names: Dict[str, str] = {}
    for definition in definitions:
        found = _NAMES.match(definition)
        if not found:
            continue
        listed = [found[1]] if found[1] else re.findall(rb"'([^']+)'", found[2])
        all_names = [name.decode("ascii", "replace").lower() for name in listed]
        for name in all_names:
            names[name] = all_names[0]
    return names


def _range(name: str) -> Tuple[str, str, str]:
    """(attribute, first, last) of member;range=0-1499."""
    found = _RANGE.match(name)
    if not found:
        raise SourceError(f"the directory sent an attribute called {shown(name)!r}")
    return found[1], found[2], found[3]
