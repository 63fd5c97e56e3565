# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a directory answers, decoded: BER in, entries and results out. Pure (RFC 4511, RFC 2696).

ldap3 turns every value into text by the directory's schema, which takes most of its time and all of it again for
values that nobody asked for. Here names and values stay bytes until a mapping wants them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple, Union

#: A message that claims to be longer is no entry of a directory. In bytes.
LARGEST_MESSAGE = 64 * 1024 * 1024

PAGED_RESULTS = "1.2.840.113556.1.4.319"

_SEQUENCE, _SET, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x31, 0x02, 0x04, 0x0A
_BOUND, _ENTRY, _DONE, _REFERENCE, _EXTENDED, _INTERMEDIATE = 0x61, 0x64, 0x65, 0x73, 0x78, 0x79
_CONTROLS, _REFERRAL = 0xA0, 0xA3


class DecodeError(Exception):
    """Bytes that are no LDAP message."""


@dataclass(frozen=True)
class Entry:
    """One entry. ``attributes``: lower-case name, with its options, to the values in the directory's order."""

    dn: str
    attributes: Dict[str, List[bytes]]


@dataclass(frozen=True)
class Reference:
    """A part of the tree that the server leaves to others: where to ask for it."""

    urls: Tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """The end of a search. ``cookie``: where the next page begins, b"" after the last, None without paging."""

    code: int
    message: str
    referrals: Tuple[str, ...] = ()
    cookie: Optional[bytes] = None


@dataclass(frozen=True)
class Result:
    """The answer to a bind or an extended request."""

    code: int
    message: str


@dataclass(frozen=True)
class Notice:
    """What the server says before it ends the connection."""

    code: int
    message: str


Response = Union[Entry, Reference, Done, Result, Notice]


def message_length(buffer: bytes, start: int) -> Optional[int]:
    """Bytes of the message at ``start``, header included; None when too few have come to tell. Raises DecodeError."""
    available = len(buffer) - start
    if available < 2:
        return None
    if buffer[start] != _SEQUENCE:
        raise DecodeError("a message does not begin as one")
    first = buffer[start + 1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    if not 1 <= count <= 8:
        raise DecodeError("a message has no definite length")
    if available < 2 + count:
        return None
    length = 2 + count + int.from_bytes(buffer[start + 2 : start + 2 + count], "big")
    if length > LARGEST_MESSAGE:
        raise DecodeError(f"a message is longer than {LARGEST_MESSAGE // (1024 * 1024)} MiB")
    return length


class Decoder:
    """Decodes messages; keeps attribute names, of which there are few, so that each is made once."""

    def __init__(self) -> None:
        self._names: Dict[bytes, str] = {}

    def decode(self, message: bytes) -> Tuple[int, Optional[Response]]:
        """(message id, what it says) of one whole message; None for what a search does not need.

        Raises DecodeError.
        """
        try:
            return self._decode(message)
        except (IndexError, UnicodeDecodeError):
            raise DecodeError("a message is not as long as it says, or not UTF-8") from None

    def _decode(self, message: bytes) -> Tuple[int, Optional[Response]]:
        start, end = _element(message, 0, len(message), _SEQUENCE)
        id_start, id_end = _element(message, start, end, _INTEGER)
        number = int.from_bytes(message[id_start:id_end], "big")
        tag = message[id_end]
        body, body_end = _element(message, id_end, end, tag)
        if tag == _ENTRY:
            return number, self._entry(message, body, body_end)
        if tag == _DONE:
            return number, _done(message, body, body_end, end)
        if tag == _REFERENCE:
            return number, Reference(tuple(_text(each) for _tag, each in _children(message, body, body_end)))
        if tag in (_BOUND, _EXTENDED):
            code, text, _rest = _result(message, body, body_end)
            # Number 0 belongs to no request: only the notice of disconnection is sent so.
            return number, Result(code, text) if number else Notice(code, text)
        if tag == _INTERMEDIATE:
            return number, None
        raise DecodeError(f"a message of the unknown kind 0x{tag:02x}")

    def _entry(self, message: bytes, start: int, end: int) -> Entry:
        # The inner loop of everything: lengths are read in place, since a call for each would double its time.
        value_start, value_end = _element(message, start, end, _OCTETS)
        dn = message[value_start:value_end].decode("utf-8")
        position, list_end = _element(message, value_end, end, _SEQUENCE)
        names = self._names
        attributes: Dict[str, List[bytes]] = {}
        while position < list_end:
            position, attribute_end = _element(message, position, list_end, _SEQUENCE)
            name_start, name_end = _element(message, position, attribute_end, _OCTETS)
            raw = message[name_start:name_end]
            name = names.get(raw)
            if name is None:
                name = names[raw] = raw.decode("ascii").lower()
            position, set_end = _element(message, name_end, attribute_end, _SET)
            values: List[bytes] = []
            while position < set_end:
                length = message[position + 1]
                if message[position] != _OCTETS:
                    raise DecodeError("a value is not one")
                if length < 0x80:
                    value_start = position + 2
                    position = value_start + length
                    if position > set_end:
                        raise DecodeError("a value is longer than its entry")
                else:
                    value_start, position = _element(message, position, set_end, _OCTETS)
                values.append(message[value_start:position])
            if name in attributes:
                values = attributes[name] + values
            attributes[name] = values
            position = attribute_end
        return Entry(dn, attributes)


def _element(buffer: bytes, position: int, limit: int, tag: int) -> Tuple[int, int]:
    """Where the content of the element at ``position`` begins and ends. Raises DecodeError."""
    if position >= limit or buffer[position] != tag:
        raise DecodeError("an element is missing")
    length = buffer[position + 1]
    start = position + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 8:
            raise DecodeError("an element has no definite length")
        start += count
        length = int.from_bytes(buffer[start - count : start], "big")
    end = start + length
    if end > limit:
        raise DecodeError("an element is longer than what holds it")
    return start, end


def _children(buffer: bytes, position: int, limit: int) -> Iterator[Tuple[int, bytes]]:
    """(tag, content) of each element."""
    while position < limit:
        tag = buffer[position]
        start, position = _element(buffer, position, limit, tag)
        yield tag, buffer[start:position]


def _result(buffer: bytes, start: int, end: int) -> Tuple[int, str, int]:
    """(result code, diagnostic message, where the rest begins) of an LDAPResult."""
    code_start, code_end = _element(buffer, start, end, _ENUMERATED)
    if code_start == code_end:
        # It would count as 0, which is success.
        raise DecodeError("a result has no code")
    _dn_start, dn_end = _element(buffer, code_end, end, _OCTETS)
    text_start, text_end = _element(buffer, dn_end, end, _OCTETS)
    text = buffer[text_start:text_end].decode("utf-8", "replace")
    return int.from_bytes(buffer[code_start:code_end], "big"), text, text_end


def _done(message: bytes, start: int, end: int, message_end: int) -> Done:
    code, text, rest = _result(message, start, end)
    referrals: Tuple[str, ...] = ()
    for tag, content in _children(message, rest, end):
        if tag == _REFERRAL:
            referrals = tuple(_text(url) for _tag, url in _children(content, 0, len(content)))
    cookie = None
    for tag, content in _children(message, end, message_end):
        if tag == _CONTROLS:
            cookie = _cookie(content)
    return Done(code, text, referrals, cookie)


def _cookie(controls: bytes) -> Optional[bytes]:
    """The cookie of the paged results control, or None when it is not among the controls."""
    for _tag, control in _children(controls, 0, len(controls)):
        parts = [content for tag, content in _children(control, 0, len(control)) if tag == _OCTETS]
        if len(parts) == 2 and parts[0] == PAGED_RESULTS.encode():
            start, end = _element(parts[1], 0, len(parts[1]), _SEQUENCE)
            values = list(_children(parts[1], start, end))
            if [tag for tag, _content in values] != [_INTEGER, _OCTETS]:
                raise DecodeError("the control of a page is not one")
            return values[1][1]
    return None


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
