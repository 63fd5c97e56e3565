# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP session: bounded in time and size, retried only where that is safe, and nothing secret in an error."""

from __future__ import annotations

import gzip
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.identity.roster.plugins.module_utils._errors import RosterError
from ansible_collections.identity.roster.plugins.module_utils._http import (
    HttpError,
    HttpSession,
    HttpSettings,
    check_url,
    shown_url,
)
from ansible_collections.identity.roster.plugins.module_utils._version import VERSION
from tests.servers.libre_workspace import Portal
from tests.servers.scripted import Script, Scripted, answer, drip
from tests.servers.tls import Pair, issue, make_ca
from tests.tools.checkout import ROOT

KEY = "canary-key-1234"
OK = answer(200, b"[]")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def session(pauses: list[float] | None = None, headers: dict[str, str] | None = None, **settings: Any) -> HttpSession:
    waited = pauses if pauses is not None else []
    return HttpSession(HttpSettings(**{"timeout": 3, **settings}), headers or {"Api-key": KEY}, waited.append)


def failure(url: str, **settings: Any) -> str:
    with session(**settings) as http, pytest.raises(HttpError) as caught:
        http.get(url)
    message = str(caught.value)
    assert KEY not in message
    assert "\n" not in message
    assert isinstance(caught.value, RosterError)
    return message


def test_the_version_is_the_collections() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == VERSION


def test_an_answer_is_complete_and_the_request_says_who_asks() -> None:
    with Scripted(answer(200, b"[1]", Content_Type="Application/JSON; charset=utf-8")) as server, session() as http:
        got = http.get(server.url + "/api/", params={"page": "2"})
        request = server.requests[0].decode()
    assert (got.status, got.content, got.content_type, got.attempts) == (200, b"[1]", "application/json", 1)
    assert request.startswith("GET /api/?page=2 HTTP/1.1\r\n")
    assert f"User-Agent: identity.roster/{VERSION}\r\n" in request
    assert f"Api-key: {KEY}\r\n" in request
    assert "[1]" not in repr(got)


def test_compressed_answers_are_read() -> None:
    body = gzip.compress(b"[]" * 1000)
    with Scripted(answer(200, body, Content_Encoding="gzip")) as server, session() as http:
        assert http.get(server.url).content == b"[]" * 1000


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://portal.example.org/", "clear text"),
        ("http://127.0.0.1.example.org/", "clear text"),
        ("http://10.0.0.1/", "clear text"),
        ("http://[fe80::1]/", "clear text"),
        ("http://①27.0.0.1/", "clear text"),
        ("https://user:geheim@portal.example.org/", "credentials"),
        ("https://geheim@portal.example.org/", "credentials"),
        ("http://127.0.0.1\\@portal.example.org/", "credentials"),
        ("https://portal.example.org\\x/", "backslash"),
        ("https://portal.example.org/a b", "space"),
        ("https://portal.example.org/\x1b[31m", "unprintable"),
        ("portal.example.org", "not complete"),
        ("ftp://portal.example.org/", "not complete"),
        ("https:///api", "not complete"),
        ("", "not complete"),
        ("https://[::1", "can't be read"),
        ("https://portal.example.org:99999/", "can't be read"),
    ],
)
def test_an_unsafe_url_is_refused_before_anything_is_sent(url: str, words: str) -> None:
    with pytest.raises(HttpError, match=words) as caught:
        check_url(url)
    assert "geheim" not in str(caught.value)
    assert str(caught.value).isprintable()
    with session() as http, pytest.raises(HttpError, match=words):
        http.get(url)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000/api/", True),
        ("http://127.8.8.8/", True),
        ("http://[::1]:8000/", True),
        ("http://localhost/", True),
        ("HTTPS://portal.example.org", False),
        ("https://büro.example.org/", False),
    ],
)
def test_a_safe_url(url: str, loopback: bool) -> None:
    assert check_url(url) is loopback


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:geheim@host:8443/path?key=geheim#x", "https://host:8443/path"),
        ("https://[::1]:1/", "https://[::1]:1/"),
        ("https://host/\x1b[31m\nred", "https://host/ [31mred"),
        ("https://host/" + "x" * 500, "https://host/" + "x" * 186 + "…"),
        ("https://[", "(an address that is none)"),
    ],
)
def test_a_url_is_shown_without_what_it_must_not_show(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_get_is_retried(status: int) -> None:
    pauses: list[float] = []
    with Scripted(answer(status), answer(status), OK) as server, session(pauses, retries=2) as http:
        got = http.get(server.url)
    assert (got.status, got.attempts, len(server.requests)) == (200, 3, 3)
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 500, 501])
def test_other_answers_are_not_retried(status: int) -> None:
    with Scripted(answer(status, b"no")) as server, session() as http:
        got = http.get(server.url)
    assert (got.status, got.attempts, len(server.requests)) == (status, 1, 1)


def test_retries_end() -> None:
    with Scripted(answer(503)) as server, session(retries=2) as http:
        got = http.get(server.url)
    assert (got.status, got.attempts, len(server.requests)) == (503, 3, 3)


def test_no_retries() -> None:
    with Scripted(answer(503), OK) as server, session(retries=0) as http:
        assert http.get(server.url).status == 503


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [("7", 7.0), (" 0 ", 0.0), ("60", 60.0), ("soon", 0.5), ("-1", 0.5), ("", 0.5), ("Mon, 99 Foo 2026", 0.5)],
)
def test_retry_after(retry_after: str, pause: float) -> None:
    pauses: list[float] = []
    with Scripted(answer(503, Retry_After=retry_after), OK) as server, session(pauses) as http:
        assert http.get(server.url).status == 200
    assert pauses == [pause]


def test_retry_after_as_a_date() -> None:
    pauses: list[float] = []
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    with Scripted(answer(503, Retry_After=then), answer(503, Retry_After=past), OK) as server:
        with session(pauses) as http:
            assert http.get(server.url).status == 200
    assert 15 < pauses[0] <= 20
    assert pauses[1] == 0


def test_who_asks_for_a_long_pause_is_not_asked_again() -> None:
    pauses: list[float] = []
    with Scripted(answer(503, Retry_After="3600"), OK) as server, session(pauses) as http:
        got = http.get(server.url)
    assert (got.status, got.attempts, pauses) == (503, 1, [])


def test_a_lost_connection_is_retried() -> None:
    with Scripted(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]", OK) as server, session() as http:
        got = http.get(server.url)
    assert (got.content, got.attempts) == (b"[]", 3)


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n" + gzip.compress(b"[]", mtime=0),
    ],
)
def test_half_an_answer_is_none(cut: bytes) -> None:
    with Scripted(cut) as server:
        message = failure(server.url, retries=1)
        assert len(server.requests) == 2
    assert message.endswith("(2 attempts)")


@pytest.mark.parametrize("nonsense", [b"\x00\xff\r\n\r\n", b"HTTP/9 foo\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"])
def test_what_is_no_http_is_an_error(nonsense: bytes) -> None:
    with Scripted(nonsense) as server:
        failure(server.url, retries=0)


def test_a_broken_encoding_is_an_error() -> None:
    with Scripted(answer(200, b"not gzip", Content_Encoding="gzip")) as server:
        failure(server.url, retries=0)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x?key={KEY}"
    assert failure(url, retries=1) == f"GET {url.partition('?')[0]} failed: connection refused (2 attempts)"


def test_an_unknown_host() -> None:
    assert "failed: the host name is not known" in failure("https://no-such-host.invalid/", retries=0)


@pytest.mark.parametrize(
    "script",
    [
        drip(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 100, 0.05),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000, 0.05),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000, 0.05),
        lambda connection, stopping: stopping.wait(30),
    ],
    ids=["headers", "body", "chunks", "silence"],
)
def test_a_slow_server_can_not_hold_the_run_and_is_not_asked_again(script: Script) -> None:
    with Scripted(script) as server:
        started = time.monotonic()
        message = failure(server.url, timeout=1, retries=2)
        assert time.monotonic() - started < 2
        assert len(server.requests) == 1
    assert "within 1 seconds" in message
    assert "timeout" in message


def test_an_endless_body_is_cut() -> None:
    with Portal() as portal:
        portal.misbehave("huge")
        message = failure(portal.url + "/api/linux_users/", headers={"Api-key": portal.api_key}, largest_body=2**20)
    assert "more than 1 MiB" in message


def test_a_gzip_bomb_is_cut() -> None:
    body = gzip.compress(b"\0" * 2**24)
    with Scripted(answer(200, body, Content_Encoding="gzip")) as server:
        assert "more than 1 MiB" in failure(server.url, largest_body=2**20)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login/?next=secret", "{url}/login/"),
        ("https://user:geheim@other.example.org/x?key=geheim", "https://other.example.org/x"),
        ("//other.example.org", "https://other.example.org"),
        ("http://[", "an address that is none"),
        ("", "names no place"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_says_where_to(status: int, location: str, shown: str) -> None:
    with Scripted(answer(status, Location=location)) as server:
        message = failure(server.url)
        assert len(server.requests) == 1
        assert f"answers {status}" in message
        assert shown.format(url=server.url).replace("https://other", "://other") in message
    assert "secret" not in message
    assert "geheim" not in message


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "OPTIONS"])
def test_a_read_only_session_writes_nothing(method: str) -> None:
    with Scripted(OK) as server, session() as http:
        with pytest.raises(HttpError, match="was not sent: this run only reads"):
            http.request(method, server.url, json={"a": 1})
        assert http.request("head", server.url).status == 200
        assert len(server.requests) == 1


def test_a_write_is_sent_once() -> None:
    with Scripted(answer(503), OK) as server, session(read_only=False) as http:
        assert http.request("POST", server.url, json={"a": 1}).status == 503
        assert len(server.requests) == 1
    with Scripted(b"", OK) as server, session(read_only=False) as http:
        with pytest.raises(HttpError, match="failed: "):
            http.request("POST", server.url, json={"a": 1})
        assert len(server.requests) == 1


def test_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login me password geheim\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Scripted(OK) as server, session() as http:
        http.get(server.url)
        assert b"Authorization" not in server.requests[0]


def test_loopback_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted(answer(500)) as proxy, Scripted(OK) as server, session() as http:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert http.get(server.url).status == 200
        assert proxy.requests == []


def test_a_proxy_of_the_environment_is_used_and_its_password_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted(answer(407)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//me:geheim@"))
        message = failure("https://portal.example.org/x", retries=0)
        assert proxy.requests[0].startswith(b"CONNECT portal.example.org:443 ")
        assert KEY.encode() not in proxy.requests[0]
    assert "proxy" in message
    assert "geheim" not in message


def test_a_header_that_can_not_be_sent_is_not_shown() -> None:
    message = failure("http://127.0.0.1:9/", headers={"Api-key": f"{KEY}\n"})
    assert "could not be asked" in message


@pytest.mark.parametrize(
    ("page", "title"),
    [
        (b"<html><head><title>Sign\n  in &amp; go</title>", "Sign in & go"),
        (b"<TITLE lang=de>\x1b[31mAnmelden</TITLE>", "[31mAnmelden"),
        (b"<title>" + b"x" * 200 + b"</title>", "x" * 79 + "…"),
        (b"<title></title>", None),
        (b"no title", None),
    ],
)
def test_the_title_of_a_page(page: bytes, title: str | None) -> None:
    with Scripted(answer(200, page, Content_Type="text/html; charset=utf-8")) as server, session() as http:
        assert http.get(server.url).html_title == title
    with Scripted(answer(200, page)) as server, session() as http:
        assert http.get(server.url).html_title is None


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_ca(tmp_path_factory.mktemp("ca"))


def hashed(authority: Pair, folder: Path) -> Path:
    folder.mkdir()
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(authority.certificate)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (folder / f"{name}.0").write_bytes(authority.certificate.read_bytes())
    return folder


def test_tls_with_the_right_authority(authority: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Portal(tls=issue(authority)) as portal:
        headers = {"Api-key": portal.api_key}
        url = portal.url + "/api/linux_users/"
        for ca_path in (authority.certificate, hashed(authority, tmp_path / "hashed")):
            with session(headers=headers, ca_path=str(ca_path)) as http:
                assert http.get(url).status == 200
        with session(headers=headers, validate_certs=False) as http:
            assert http.get(url).status == 200
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
        with session(headers=headers) as http:
            assert http.get(url).status == 200


def test_validate_certs_false_is_not_overruled_by_the_environment(
    authority: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make_ca(tmp_path, "other").certificate))
    with Portal(tls=issue(authority)) as portal, session(validate_certs=False) as http:
        assert http.get(portal.url + "/api/linux_users/").status == 403


@pytest.mark.parametrize(
    ("certificate", "ca", "words"),
    [
        (issue, None, "unable to get local issuer|self-signed|self signed"),
        (issue, "other", "unable to get local issuer|self-signed|self signed"),
        (lambda ca: issue(ca, name="old", expired=True), "right", "certificate has expired"),
        (
            lambda ca: issue(ca, ["portal.example.org"], name="named"),
            "right",
            "not valid for '127.0.0.1'|'127.0.0.1' doesn't match",
        ),
    ],
    ids=["unknown", "another", "expired", "wrong name"],
)
def test_tls_that_proves_nothing(
    authority: Pair, tmp_path: Path, certificate: Callable[[Pair], Pair], ca: str | None, words: str
) -> None:
    choices = {"right": authority, "other": make_ca(tmp_path, "other")}
    with Portal(tls=certificate(authority)) as portal:
        ca_path = str(choices[ca].certificate) if ca else None
        message = failure(portal.url, ca_path=ca_path, retries=2)
        assert portal.requests == []
    assert any(word in message for word in words.split("|")), message
    assert "ca_path" in message


def test_https_where_http_is_spoken() -> None:
    with Scripted(OK) as server:
        assert "certificate to trust" in failure(server.url.replace("http:", "https:"))


def test_a_ca_path_that_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "folder").mkdir()
    for name, words in (("missing", "No such file"), ("empty.pem", "PEM"), ("folder", "openssl rehash")):
        with pytest.raises(HttpError, match=words):
            session(ca_path=str(tmp_path / name))
