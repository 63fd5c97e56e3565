# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a directory, byte by byte: decoded, complete, or an error."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._errors import SourceError
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap import DirectorySettings
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_ber import (
    PAGED_RESULTS,
    DecodeError,
    Decoder,
    Done,
    Entry,
    message_length,
)
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_connection import (
    Address,
    Connection,
    ConnectionSettings,
)
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_directory import Directory


def tlv(tag: int, *contents: bytes | str) -> bytes:
    content = b"".join(each.encode() if isinstance(each, str) else each for each in contents)
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def message(number: int, *parts: bytes) -> bytes:
    return tlv(0x30, tlv(2, bytes([number])), *parts)


def entry(dn: str, **attributes: Sequence[bytes | str]) -> bytes:
    listed = [
        tlv(0x30, tlv(4, name), tlv(0x31, *(tlv(4, each) for each in found))) for name, found in attributes.items()
    ]
    return tlv(0x64, tlv(4, dn), tlv(0x30, *listed))


def done(code: int = 0, text: str = "", cookie: bytes | None = None, referral: str = "") -> list[bytes]:
    parts = [tlv(0x0A, bytes([code])), tlv(4, ""), tlv(4, text)]
    if referral:
        parts.append(tlv(0xA3, tlv(4, referral)))
    result = [tlv(0x65, *parts)]
    if cookie is not None:
        value = tlv(0x30, tlv(2, b"\0"), tlv(4, cookie))
        result.append(tlv(0xA0, tlv(0x30, tlv(4, PAGED_RESULTS), tlv(4, value))))
    return result


def test_an_entry() -> None:
    long = b"x" * 300
    raw = message(7, entry("uid=ä,dc=a", Mail=["a@b", "c@d"], jpegPhoto=[b"\xff\x00", long], empty=[]))
    assert message_length(raw, 0) == len(raw)
    expected = {"mail": [b"a@b", b"c@d"], "jpegphoto": [b"\xff\x00", long], "empty": []}
    assert Decoder().decode(raw) == (7, Entry("uid=ä,dc=a", expected))


def test_the_end_of_a_page() -> None:
    assert Decoder().decode(message(2, *done(cookie=b"next"))) == (2, Done(0, "", (), b"next"))
    assert Decoder().decode(message(2, *done(4, "too many"))) == (2, Done(4, "too many"))
    assert Decoder().decode(message(2, *done(10, referral="ldap://b"))) == (2, Done(10, "", ("ldap://b",)))


@given(st.binary(max_size=60))
def test_garbage(raw: bytes) -> None:
    whole = message(3, entry("cn=a", cn=["b"]))
    for text in (raw, tlv(0x30, raw), tlv(0x30, tlv(2, b"\1"), tlv(0x64, raw)), whole[: len(whole) // 2] + raw):
        try:
            length = message_length(text, 0)
            if length is not None and length <= len(text):
                Decoder().decode(text[:length])
        except DecodeError:
            pass


@given(st.data())
def test_a_changed_byte(data: st.DataObject) -> None:
    raw = bytearray(message(3, entry("cn=a,dc=b", cn=["b", "c" * 200], sn=["d"])))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        Decoder().decode(bytes(raw))


@pytest.fixture
def ends() -> Iterator[tuple[Directory, socket.socket]]:
    """A directory, and what the server's answers are written into."""
    ours, theirs = socket.socketpair()
    directory = Directory(Connection(ours, Address("ldap.example.org", 389, False), 1), 2, 1)
    with ours, theirs:
        yield directory, theirs


def people(directory: Directory) -> list[str]:
    return [each.dn for each in directory.search("people", "dc=a", "subtree", "(uid=*)", ["uid"])]


def test_pages_are_put_together(ends: tuple[Directory, socket.socket]) -> None:
    directory, server = ends
    server.sendall(message(1, entry("uid=a", uid=["a"])) + message(1, *done(cookie=b"1")))
    server.sendall(message(2, *done(cookie=b"2")))
    server.sendall(message(3, entry("uid=b", uid=["b"])) + message(3, *done(cookie=b"")))
    assert people(directory) == ["uid=a", "uid=b"]
    assert server.recv(65536).count(PAGED_RESULTS.encode()) == 3


def test_ranged_values_are_read_whole(ends: tuple[Directory, socket.socket]) -> None:
    directory, server = ends
    first, second, last = "member;range=0-1", "member;range=2-3", "member;range=4-*"
    server.sendall(message(1, entry("cn=g", **{first: ["a", "b"], "cn": ["g"]})) + message(1, *done(cookie=b"")))
    server.sendall(message(2, entry("cn=g", **{second: ["c", "d"]})) + message(2, *done()))
    server.sendall(message(3, entry("cn=g", **{last: ["e"]})) + message(3, *done()))
    (found,) = directory.search("groups", "dc=a", "subtree", "(cn=*)", ["member"])
    assert found.attributes == {"cn": [b"g"], "member": [b"a", b"b", b"c", b"d", b"e"]}
    asked = server.recv(65536)
    assert b"member;range=2-*" in asked
    assert b"member;range=4-*" in asked


def test_single_entries_are_asked_many_at_a_time(ends: tuple[Directory, socket.socket]) -> None:
    directory, server = ends
    # The answers come in another order than the questions.
    server.sendall(message(3, entry("uid=c")) + message(2, *done(32)) + message(1, entry("uid=a")))
    server.sendall(message(3, *done()) + message(1, *done()))
    found = dict(directory.look_up(["uid=a", "uid=b", "uid=c"], ["1.1"]))
    assert {dn: each is not None for dn, each in found.items()} == {"uid=a": True, "uid=b": False, "uid=c": True}


PART = "member;range=0-1"
#: Name: (the server's bytes, words of the error).
BROKEN: dict[str, tuple[bytes, str]] = {
    "limit": (
        message(1, entry("uid=a")) + message(1, *done(4, "size limit", cookie=b"")),
        "result 4, sizeLimitExceeded",
    ),
    "no cookie": (message(1, entry("uid=a")) + message(1, *done()), "can't be believed to be complete"),
    "same page": (message(1, *done(cookie=b"x")) + message(2, *done(cookie=b"x")), "again and again"),
    "reference": (message(1, tlv(0x73, tlv(4, "ldap://b/dc=b"))), "to another server (ldap://b/dc=b)"),
    "referral": (message(1, *done(10, referral="ldap://b")), "(see ldap://b)"),
    "notice": (message(0, tlv(0x78, tlv(0x0A, b"\x34"), tlv(4, ""), tlv(4, "bye"))), "result 52, unavailable (bye)"),
    "other number": (message(9, entry("uid=a")), "answers what was not asked"),
    "other kind": (message(1, tlv(0x6B, tlv(0x0A, b"\0"))), "what is no LDAP"),
    "no LDAP": (b"HTTP/1.0 400 Bad request\r\n\r\n", "what is no LDAP"),
    "too long": (b"\x30\x84\x7f\xff\xff\xff", "longer than 64 MiB"),
    "half": (message(1, entry("uid=a", uid=["a" * 100]))[:-20], "within 1 seconds"),
    "half a range": (
        message(1, entry("cn=g", **{PART: ["a"]})) + message(1, *done(cookie=b"")) + message(2, *done()),
        "only a part of member",
    ),
    "a later range first": (
        message(1, entry("cn=g", **{"member;range=5-*": ["a"]})) + message(1, *done(cookie=b"")),
        "only a part of member",
    ),
    "fewer than the range": (
        message(1, entry("cn=g", **{PART: ["a"]}))
        + message(1, *done(cookie=b""))
        + message(2, entry("cn=g", **{"member;range=2-*": ["c"]}))
        + message(2, *done()),
        "only a part of member",
    ),
    "no code": (
        message(1, tlv(0x65, tlv(0x0A), tlv(4, ""), tlv(4, "")), done(cookie=b"")[1]),
        "a result has no code",
    ),
    "range again": (
        message(1, entry("cn=g", **{PART: ["a"]}))
        + message(1, *done(cookie=b""))
        + message(2, entry("cn=g", **{PART: ["a"]}))
        + message(2, *done()),
        "only a part of member",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_complete_is_an_error(ends: tuple[Directory, socket.socket], name: str) -> None:
    directory, server = ends
    raw, words = BROKEN[name]
    server.sendall(raw)
    with pytest.raises(SourceError) as caught:
        people(directory)
    assert words in str(caught.value)


REFERENCES: dict[str, tuple[dict[str, Sequence[bytes | str]], str, bool]] = {
    "configuration": ({}, "ldap://a/CN=Configuration,DC=a", True),
    "child": ({}, "ldap://a/DC=child,DC=a", False),
    "no name": ({"configurationNamingContext": [""]}, "ldap://a", False),
    "no DN": ({"configurationNamingContext": ["what"], "namingContexts": ["else"]}, "ldap://a/what", False),
    "another directory": ({"supportedCapabilities": []}, "ldap://a/CN=Configuration,DC=a", False),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_which_parts_may_be_left_out(ends: tuple[Directory, socket.socket], name: str) -> None:
    directory, server = ends
    changes, url, complete = REFERENCES[name]
    root: dict[str, Sequence[bytes | str]] = {
        "supportedCapabilities": ["1.2.840.113556.1.4.800"],
        "namingContexts": ["DC=a"],
        "configurationNamingContext": ["CN=Configuration,DC=a"],
        **changes,
    }
    server.sendall(message(1, entry("", **root)) + message(1, *done()))
    server.sendall(message(2, tlv(0x73, tlv(4, url))) + message(2, *done(cookie=b"")))
    directory.introduce()
    with contextlib.nullcontext() if complete else pytest.raises(SourceError, match="to another server"):
        assert people(directory) == []


def test_a_closed_connection(ends: tuple[Directory, socket.socket]) -> None:
    directory, server = ends
    server.sendall(message(1, entry("uid=a")))
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(SourceError, match="broke off before the end of its answer"):
        people(directory)


def settings(**options: Any) -> ConnectionSettings:
    given = {"bind_method": "simple", "bind_dn": "cn=a", "bind_password": "secret-canary", **options}
    return ConnectionSettings(**{"server_url": ["ldap://a"], **given})


TLS: dict[str, tuple[dict[str, Any], bool]] = {
    "default": ({}, True),
    "allowed": ({"allow_plaintext": True}, False),
    "both": ({"allow_plaintext": True, "start_tls": True}, True),
    "ldaps": ({"server_url": ["ldaps://a"]}, False),
}


@pytest.mark.parametrize("name", TLS)
def test_when_start_tls_is_asked_for(name: str) -> None:
    options, expected = TLS[name]
    chosen = settings(**options)
    assert [chosen.starts_tls(address) for address in chosen.addresses()] == [expected]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "clear": ({"start_tls": False}, "in clear text"),
    "one of two clear": ({"server_url": ["ldaps://a", "ldap://b"], "start_tls": False}, "ldap://b:389"),
    "ldaps and start_tls": ({"server_url": ["ldaps://a"], "start_tls": True}, "protected by itself"),
    "nowhere": ({"server_url": []}, "server_url is empty"),
    "scheme": ({"server_url": ["a.example.org"]}, "one looks like ldaps://"),
    "port": ({"server_url": ["ldap://a:x"]}, "one looks like ldaps://"),
    "path": ({"server_url": ["ldap://a/dc=b"]}, "more than an address"),
    "user": ({"server_url": ["ldap://me:geheim@a"]}, "more than an address"),
    "timeout": ({"timeout": 0}, "timeout must be"),
    "empty password": ({"bind_password": ""}, "bind_password is missing or empty"),
    "anonymous with password": ({"bind_method": "anonymous"}, "not for bind_method=anonymous"),
    "external without": ({"bind_method": "external", "bind_dn": None, "bind_password": None}, "needs client_cert"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_options_that_can_not_be_meant(name: str) -> None:
    options, words = REFUSED[name]
    chosen = settings(**options)
    assert "canary" not in repr(chosen)
    with pytest.raises(SourceError) as caught:
        DirectorySettings(chosen, "dc=a").check()
    assert words in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_addresses() -> None:
    chosen = settings(server_url=["LDAPS://Ldap.Example.org", "ldap://[::1]:1389/"])
    assert [address.url for address in chosen.addresses()] == ["ldaps://ldap.example.org:636", "ldap://[::1]:1389"]
