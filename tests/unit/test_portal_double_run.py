# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of the portal as a process of its own: steered over HTTP, ended in every way it can end, and with TLS."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.servers import libre_workspace
from tests.servers.libre_workspace import CONTROL_PATH, Portal
from tests.servers.libre_workspace_answers import API_PATH, Request
from tests.servers.tls import Pair, issue, make_ca

TIMEOUT = 5
KEY = {"Api-key": "demo"}


def get(url: str, **options: Any) -> requests.Response:
    return requests.get(url + API_PATH, headers=KEY, timeout=TIMEOUT, **options)


def order(url: str, headers: dict[str, str] | None = None, **words: Any) -> requests.Response:
    return requests.post(url + CONTROL_PATH, json=words, headers=KEY if headers is None else headers, timeout=TIMEOUT)


@contextlib.contextmanager
def script(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The double, started as a playbook starts it: from anywhere, with nothing on its path."""
    port_file = folder / "port"
    command = [sys.executable, "-I", libre_workspace.__file__, "--api-key", "demo", "--port-file", str(port_file)]
    with subprocess.Popen([*command, "--lifetime", "60", *arguments], cwd=folder) as process:
        try:
            deadline = time.monotonic() + TIMEOUT
            while not port_file.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process, f"http://127.0.0.1:{int(port_file.read_text())}"
        finally:
            process.kill()


# Steered


@pytest.fixture
def portal() -> Iterator[Portal]:
    with Portal(api_key="demo") as running:
        yield running
    assert running.failures == []


def test_orders_are_obeyed_and_not_counted_as_requests(portal: Portal) -> None:
    assert order(portal.url, do="change", username="chef", fields={"enabled": False}).ok
    assert order(portal.url, do="remove", username="neu").json() == {"records": 15, "requests": 0}
    assert order(portal.url, do="add", record={"username": "x"}).json() == {"records": 16, "requests": 0}
    served = {each["username"]: each for each in get(portal.url).json()}
    assert served["chef"]["enabled"] is False
    assert "x" in served
    assert "neu" not in served
    assert order(portal.url, do="serve", capture="10").json() == {"records": 316, "requests": 1}
    assert order(portal.url, do="serve", records=[]).json()["records"] == 0
    assert order(portal.url, do="misbehave", mode="unavailable", times=1, retry_after=3).ok
    assert get(portal.url).headers["Retry-After"] == "3"
    assert get(portal.url).json() == []
    assert order(portal.url, do="misbehave", mode="bad_gateway").ok
    assert get(portal.url).status_code == 502
    assert order(portal.url, do="behave").ok
    assert get(portal.url).ok
    assert order(portal.url, do="status").json() == {"records": 0, "requests": 5}
    assert order(portal.url, do="shutdown").ok
    assert portal.stop_asked.is_set()


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"do": "dance"},
        {"do": "serve"},
        {"do": "serve", "capture": "99"},
        {"do": "change", "username": "nobody", "fields": {}},
        {"do": "misbehave", "mode": "odd"},
        {"do": "misbehave", "mode": "slow", "speed": 1},
    ],
)
def test_order_that_makes_no_sense(portal: Portal, words: dict[str, Any]) -> None:
    assert order(portal.url, **words).status_code == 400


def test_order_needs_the_key_and_loopback(portal: Portal) -> None:
    assert order(portal.url, {"Api-key": "wrong"}, do="shutdown").status_code == 403
    assert order(portal.url, {}, do="shutdown").status_code == 403
    assert requests.get(portal.url + CONTROL_PATH, headers=KEY, timeout=TIMEOUT).status_code == 405
    order(portal.url, do="status")
    headers = get(portal.url).request.headers
    assert headers["Api-key"] == "demo"
    kept = portal.requests[0]
    status, _unused = portal.control(Request("POST", CONTROL_PATH, kept.headers, "192.0.2.1", b'{"do": "shutdown"}'))
    assert status == 403
    assert not portal.stop_asked.is_set()


# As a process


def test_script_serves_and_ends_by_order(tmp_path: Path) -> None:
    with script(tmp_path, "--capture", "05") as (process, url):
        assert len(get(url).json()) == 16
        assert order(url, do="shutdown").ok
        assert process.wait(TIMEOUT) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["port"]


def test_script_ends_on_sigterm(tmp_path: Path) -> None:
    with script(tmp_path) as (process, _unused):
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0


def test_script_ends_after_its_lifetime(tmp_path: Path) -> None:
    with script(tmp_path, "--lifetime", "0.5") as (process, _unused):
        assert process.wait(TIMEOUT) == 0


def test_script_ends_with_its_parent_even_one_nobody_waits_for(tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent,
        script(tmp_path, "--parent-pid", str(parent.pid)) as (process, url),
    ):
        assert get(url).ok
        parent.kill()
        os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)  # ended, and still there as a zombie
        assert process.wait(TIMEOUT) == 0


# TLS


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_ca(tmp_path_factory.mktemp("ca"))


def fetch(leaf: Pair, trusted: Pair | None, host: str = "127.0.0.1") -> bytes:
    context = ssl.create_default_context(cafile=trusted and str(trusted.certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    with Portal(api_key="demo", tls=leaf) as portal:
        connection = http.client.HTTPSConnection(host, portal.port, timeout=TIMEOUT, context=context)
        with contextlib.closing(connection):
            connection.request("GET", API_PATH, headers=KEY)
            return connection.getresponse().read()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_right_certificate(ca: Pair, host: str) -> None:
    assert fetch(issue(ca), ca, host).startswith(b"[{")
    assert ca.key.stat().st_mode & 0o077 == 0


def test_wrong_name(ca: Pair) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        fetch(issue(ca, ["portal.example"], name="wrong"), ca)


def test_expired(ca: Pair) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        fetch(issue(ca, name="expired", expired=True), ca)


def test_unknown_authority(ca: Pair, tmp_path: Path) -> None:
    leaf = issue(ca, name="unknown")
    for trusted in (None, make_ca(tmp_path, "other")):
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            fetch(leaf, trusted)


@pytest.mark.parametrize("mode", ["reset", "short_body"])
def test_faults_work_over_tls(ca: Pair, mode: Any) -> None:
    with Portal(api_key="demo", tls=issue(ca)) as portal:
        portal.misbehave(mode, times=1)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            get(portal.url, verify=str(ca.certificate))
        assert get(portal.url, verify=str(ca.certificate)).ok
    assert portal.failures == []


def test_plain_client_and_stuck_handshake_hold_up_nobody(ca: Pair) -> None:
    with Portal(api_key="demo", tls=issue(ca)) as portal, socket.create_connection(("127.0.0.1", portal.port)):
        with pytest.raises(requests.ConnectionError):
            get(portal.url.replace("https", "http"))
        assert get(portal.url, verify=str(ca.certificate)).ok
    assert portal.failures == []
