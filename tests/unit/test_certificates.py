# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates are let through to a host, and what is said of the others."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._certificates import (
    CertificateError,
    Record,
    judge,
    read_pin,
    read_record,
    split,
    written_pin,
)
from ansible_collections.identity.roster.plugins.module_utils._http import HttpError
from ansible_collections.identity.roster.plugins.module_utils._pinned import LARGEST, PinnedSession, _check
from tests.servers.authorities import Made, authority, https_server
from tests.servers.scripted import Script, Scripted, answer, drip

NOW = datetime.now(UTC)
GOOD = authority("Good")
OTHER = authority("Other")
FORMATS = {
    "PKCS#8": serialization.PrivateFormat.PKCS8,
    "traditional": serialization.PrivateFormat.TraditionalOpenSSL,
}


def words(data: bytes | str, source: str = "src", pin: str | None = None, days: int = 0) -> list[str]:
    """Why nothing, or not everything, of it is taken."""
    record = Record("name", source, "value", pin)
    good, bad = judge(record, data.encode() if isinstance(data, str) else data, NOW, days)
    for certificate in good:
        assert certificate.pem.count("BEGIN CERTIFICATE") == 1
    for problem in bad:
        assert str(problem).isprintable()
        assert len(str(problem)) < 1000
    return [str(problem) for problem in bad]


def taken(data: bytes | str, pin: str | None = None) -> list[str]:
    good, bad = judge(Record("name", "src", "value", pin), data.encode() if isinstance(data, str) else data, NOW)
    assert bad == []
    return [certificate.fingerprint for certificate in good]


def test_pem_and_der_and_several_in_one_file() -> None:
    assert taken(GOOD.pem) == taken(GOOD.der) == [GOOD.sha256]
    crlf = f"Bag attributes\r\n friendlyName: x\r\n{GOOD.pem}\n# and\n{OTHER.pem}".replace("\n", "\r\n")
    assert taken(crlf) == [GOOD.sha256, OTHER.sha256]
    assert taken(GOOD.pem * 3) == [GOOD.sha256]
    assert taken(GOOD.pem.rstrip()) == [GOOD.sha256]
    (certificate,), _bad = judge(Record("name", "src", "value"), GOOD.der, NOW)
    assert certificate.pem == GOOD.pem


def test_what_others_do_not_accept_is_said() -> None:
    for made, said in (
        (GOOD, ""),
        (authority(critical=False), "basicConstraints"),
        (authority(identifier=False), "subjectKeyIdentifier"),
    ):
        (certificate,), bad = judge(Record("name", "src", "value"), made.der, NOW)
        assert not bad
        assert bool(certificate.notes) == bool(said)
        assert all(said in note and "Python 3.13" in note for note in certificate.notes)


REFUSED: list[tuple[str, Made, str]] = [
    ("expired", authority(first_day=-9, last_day=-0.01), "expired on"),
    ("not yet valid", authority(first_day=0.5), "not valid before"),
    ("CA:FALSE", authority(ca=False, may_sign=False), "CA:FALSE"),
    ("a server's", GOOD.leaf(), "CA:FALSE"),
    ("without constraints", authority(ca=None), "no basicConstraints"),
    ("may not sign", authority(may_sign=False), "keyUsage"),
]


@pytest.mark.parametrize(("what", "made", "said"), REFUSED, ids=[each[0] for each in REFUSED])
def test_no_authority_or_not_valid(what: str, made: Made, said: str) -> None:
    (reason,) = words(made.pem)
    assert said in reason
    assert written_pin(made.sha256) in reason
    # What is good in the same file is taken.
    good, bad = judge(Record("name", "src", "value"), (made.pem + GOOD.pem).encode(), NOW)
    assert ([each.fingerprint for each in good], len(bad)) == ([GOOD.sha256], 1)


def test_days_of_validity() -> None:
    made = authority(last_day=30)
    assert words(made.pem, days=29) == []
    assert "in less than 31 days" in words(made.pem, days=31)[0]
    later = NOW + timedelta(days=31)
    good, (problem,) = judge(Record("name", "src", "value"), made.der, later)
    assert good == []
    assert "expired" in str(problem)


def v1() -> bytes:
    """GOOD without its version and extensions: the signature is wrong then, but nobody looks at a root's."""
    der = GOOD.der

    def body(data: bytes) -> tuple[int, int]:
        """Where the content of the element at 0 begins and ends."""
        if data[1] < 0x80:
            return 2, 2 + data[1]
        count = data[1] & 0x7F
        return 2 + count, 2 + count + int.from_bytes(data[2 : 2 + count], "big")

    def element(tag: int, content: bytes) -> bytes:
        length = len(content)
        size = length.to_bytes((length.bit_length() + 7) // 8, "big")
        return bytes((tag, length) if length < 0x80 else (tag, 0x80 | len(size), *size)) + content

    begin, end = body(der)
    tbs_begin, tbs_end = body(der[begin:end])
    tbs, rest = der[begin + tbs_begin : begin + tbs_end], der[begin + tbs_end : end]
    kept = b""
    while tbs:
        _first, last = body(tbs)
        if tbs[0] not in (0xA0, 0xA3):  # [0] version, [3] extensions
            kept += tbs[:last]
        tbs = tbs[last:]
    return element(0x30, element(0x30, kept) + rest)


def test_version_1_says_of_nothing_that_it_is_an_authority() -> None:
    (reason,) = words(v1())
    assert "version 1" in reason


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_private_key_is_never_taken(form: str, kind: str) -> None:
    key: Any = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        raw = key.private_bytes(encoding, FORMATS[form], serialization.NoEncryption())
        assert "private key" in words(raw)[0]
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"geheim"),
    )
    pem = raw if raw.startswith(b"-") else locked
    for data in (locked, GOOD.pem.encode() + pem, pem + GOOD.pem.encode(), GOOD.pem.encode() + pem[:40]):
        (reason,) = words(data)
        assert "private key" in reason
        assert pem.splitlines()[1].decode() not in reason


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"nonsense", "can be read"),
        (b"<html><title>404</title></html>", "can be read"),
        (GOOD.pem[:200].encode(), "cut off"),
        (GOOD.pem.encode() + b"-----BEGIN CERTIFICATE-----\nAAAA", "cut off"),
        (GOOD.pem.replace("M", "*").encode(), "cut off"),
        (GOOD.der[:-1], "can be read"),
        (GOOD.der + b"\0", "can be read"),
        (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "a PKCS7"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "a CERTIFICATE REQUEST"),
        (b"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n", "a TRUSTED CERTIFICATE"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can be read"),
        (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n", "cut off"),
    ],
)
def test_what_is_no_certificate(data: bytes, said: str) -> None:
    (reason,) = words(data)
    assert said in reason


@given(st.one_of(st.binary(max_size=2000), st.binary(max_size=400).map(lambda data: b"\x30\x82\x01\x90" + data)))
def test_garbage_is_refused_with_words(data: bytes) -> None:
    assert words(data)
    framed = b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n"
    assert words(framed)


@given(st.lists(st.tuples(st.integers(0, len(GOOD.der) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_certificate_is_refused_or_still_one(changes: list[tuple[int, int]]) -> None:
    der = bytearray(GOOD.der)
    for place, value in changes:
        der[place] = value
    words(bytes(der))
    assert words(bytes(der), pin=GOOD.sha256) or bytes(der) == GOOD.der, "the pin is of every byte"


def test_of_several_only_the_pinned_one_is_taken() -> None:
    assert taken(GOOD.pem + OTHER.pem, pin=OTHER.sha256) == [OTHER.sha256]
    (reason,) = words(OTHER.pem, pin=GOOD.sha256)
    assert written_pin(GOOD.sha256) in reason
    assert f"{written_pin(OTHER.sha256)} (CN=Other)" in reason
    (reason,) = words(b"<html>", pin=GOOD.sha256)
    assert "not a certificate" in reason
    assert "and 1 more" in words("".join(authority(str(i)).pem for i in range(4)), pin=GOOD.sha256)[0]


def test_pins_as_people_write_them() -> None:
    plain = GOOD.sha256
    colons = written_pin(plain)
    for text in (
        plain,
        plain.upper(),
        colons,
        colons.lower(),
        colons.replace(":", " "),
        f" {plain}\n",
        f"sha256 Fingerprint={colons}",
        f"SHA256 Fingerprint={colons}\n",
        f"sha256:{plain}",
    ):
        assert read_pin(text) == plain, text
    for bad in ("", "ab", plain[:-2], plain + "00", plain[:-1] + "g", 5, None, "sha1 Fingerprint=AA:BB", "x" * 500):
        with pytest.raises(CertificateError, match="64 hexadecimal"):
            read_pin(bad)


@pytest.mark.parametrize(
    ("entry", "field", "said"),
    [
        ("text", "name", "not a mapping"),
        ({"src": "a"}, "name", "name"),
        ({"name": 5, "src": "a"}, "name", "not a text"),
        ({"name": "../x", "src": "a"}, "name", "is not 1 to 64"),
        ({"name": "a b", "src": "a"}, "name", "is not 1 to 64"),
        ({"name": "a" * 65, "src": "a"}, "name", "is not 1 to 64"),
        ({"name": ".a", "src": "a"}, "name", "is not 1 to 64"),
        ({"name": "a", "sorce": "a"}, "sorce", "is not a key"),
        ({"name": "a"}, "src", "exactly one"),
        ({"name": "a", "src": "a", "content": "b"}, "src", "exactly one"),
        ({"name": "a", "src": ""}, "src", "is empty"),
        ({"name": "a", "content": ["a"]}, "content", "not a text"),
        ({"name": "a", "url": "https://x/"}, "sha256", "needs sha256"),
        ({"name": "a", "url": "https://x/", "sha256": "12"}, "sha256", "64 hexadecimal"),
    ],
)
def test_entries_that_are_none(entry: Any, field: str, said: str) -> None:
    with pytest.raises(CertificateError) as caught:
        read_record(entry)
    assert (caught.value.field, said in str(caught.value)) == (field, True), caught.value


def test_null_keys_say_nothing() -> None:
    entry = {"name": "cert.int.de", "src": "a.pem", "content": None, "url": None, "sha256": None}
    assert read_record(entry) == Record("cert.int.de", "src", "a.pem", None)


def test_every_authority_that_browsers_know_is_read() -> None:
    """The system's own bundle: all that is in it is let through, but for what expired or is of version 1."""
    path = "/etc/ssl/certs/ca-certificates.crt"
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        pytest.skip(f"no {path} here")
    good, bad = judge(Record("all", "src", path), data, NOW)
    assert len(good) + len(bad) == len(split(data, "src")) > 50
    assert all(re.search("expired|version 1|basicConstraints|keyUsage|valid before", str(each)) for each in bad)
    assert len(good) > 0.9 * (len(good) + len(bad))


# --- fetching


def fetched(url: str, timeout: float = 3) -> bytes:
    session = PinnedSession(timeout)
    session._pause = lambda seconds: None
    try:
        return session.fetch(url)
    finally:
        session.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_server_that_nobody_vouches_for_is_asked() -> None:
    with https_server(OTHER.leaf("example.org"), {"/lan.crt": GOOD.der}) as port:
        assert fetched(f"https://127.0.0.1:{port}/lan.crt") == GOOD.der
        with pytest.raises(HttpError, match="answers 404"):
            fetched(f"https://127.0.0.1:{port}/other")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (answer(301, Location="https://other.example.org/lan.crt"), r"301 and points to https://other\.example\.org"),
        (answer(500), "answers 500"),
        (answer(200, b"x" * (LARGEST + 1)), "more than 1024 KiB"),
        (answer(200, b"short", Content_Length="9000"), "broke off"),
        (drip(answer(200, b"x" * 100), 0.2), "within 1 seconds"),
        (b"", r"\(3 attempts\)"),
    ],
)
def test_answers_that_are_no_file(script: Script, said: str) -> None:
    with Scripted(script) as server, pytest.raises(HttpError, match=said):
        fetched(server.url + "/lan.crt", timeout=1)


def test_a_lost_connection_is_tried_again() -> None:
    with Scripted(b"", answer(200, GOOD.der)) as server:
        assert fetched(server.url + "/lan.crt") == GOOD.der
        assert len(server.requests) == 2


def test_plain_http_may_be_asked_of_everybody() -> None:
    assert _check("http://cert.int.de/lan.crt") is False
    assert _check("HTTP://cert.int.de/lan.crt") is False
    assert _check("http://127.0.0.1/lan.crt") is True
    for bad in ("ftp://cert.int.de/", "http://user:geheim@cert.int.de/", "cert.int.de", "file:///etc/passwd"):
        with pytest.raises(HttpError):
            _check(bad)
