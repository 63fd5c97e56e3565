# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of the Libre Workspace portal answers as the portal was recorded answering, and fails as asked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any, get_args

import pytest
import requests

from tests.servers.libre_workspace import FIXTURES, Portal, load_captures
from tests.servers.libre_workspace_answers import API_PATH, MODES, Behaviour, Mode, Request

TIMEOUT = 5
CAPTURES = sorted(path.stem for path in FIXTURES.glob("*.json"))
REFUSALS = sorted(path.stem for path in (FIXTURES / "errors").glob("*.http"))

# How each case was asked: method and path, then what differs from a right request; KEY and the like are filled in.
CASES: dict[str, tuple[str, dict[str, str | None]]] = {
    "accept_html": (f"GET {API_PATH}", {"Accept": "text/html"}),
    "bad_host": (f"GET {API_PATH}", {"Host": "evil.example"}),
    "empty_key": (f"GET {API_PATH}", {"Api-key": ""}),
    "expired_key": (f"GET {API_PATH}", {"Api-key": "EXPIRED"}),
    "format_query": (f"GET {API_PATH}?format=xml", {}),
    "key_in_authorization": (f"GET {API_PATH}", {"Api-key": None, "Authorization": "KEY"}),
    "ldap_disabled": (f"GET {API_PATH}", {}),
    "ldap_wrong_bind_password": (f"GET {API_PATH}", {}),
    "no_key": (f"GET {API_PATH}", {"Api-key": None}),
    "no_trailing_slash": (f"GET {API_PATH[:-1]}", {}),
    "nonstaff_key_without_linux_client": (f"GET {API_PATH}", {"Api-key": "UNPRIVILEGED"}),
    "post_method": (f"POST {API_PATH}", {}),
    "samba_down": (f"GET {API_PATH}", {}),
    "wrong_key": (f"GET {API_PATH}", {"Api-key": "wrong"}),
    "wrong_key_lang_en": (f"GET {API_PATH}", {"Api-key": "wrong", "Accept-Language": "en"}),
}
PORTAL_FAULTS: dict[str, Mode] = {
    "ldap_disabled": "empty",
    "ldap_wrong_bind_password": "directory_down",
    "samba_down": "directory_down",
}


@pytest.fixture
def portal() -> Iterator[Portal]:
    with Portal(capture="04") as running:
        yield running
    assert running.failures == []


def get(portal: Portal, path: str = API_PATH, **options: Any) -> requests.Response:
    headers = {"Api-key": portal.api_key} | options.pop("headers", {})
    return requests.get(portal.url + path, headers=headers, timeout=TIMEOUT, allow_redirects=False, **options)


def ask(portal: Portal, line: str, headers: dict[str, str | None]) -> bytes:
    """One request over a bare socket, all that comes back."""
    keys = {"KEY": portal.api_key, "EXPIRED": portal.expired_key, "UNPRIVILEGED": portal.unprivileged_key}
    merged = {"Host": f"127.0.0.1:{portal.port}", "Accept": "*/*", "Api-key": "KEY"} | headers
    lines = [f"{name}: {keys.get(value, value)}" for name, value in merged.items() if value is not None]
    with socket.create_connection(("127.0.0.1", portal.port), TIMEOUT) as connection:
        connection.sendall("\r\n".join([f"{line} HTTP/1.1", *lines, "", ""]).encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def without_date(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Date: ")]


def unchunked(body: bytes) -> bytes:
    data = b""
    while True:
        size, _unused, rest = body.partition(b"\r\n")
        length = int(size, 16)
        data, body = data + rest[:length], rest[length + 2 :]
        if not length:
            assert body == b""
            return data


# As recorded


def test_every_recorded_refusal_is_replayed() -> None:
    assert sorted(CASES) == REFUSALS


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_is_what_was_recorded(portal: Portal, case: str) -> None:
    if case in PORTAL_FAULTS:
        portal.misbehave(PORTAL_FAULTS[case])
    head, _unused, body = ask(portal, *CASES[case]).partition(b"\r\n\r\n")
    recorded_head, _unused, recorded_body = (FIXTURES / "errors" / f"{case}.http").read_bytes().partition(b"\r\n\r\n")
    assert without_date(head) == without_date(recorded_head)
    if b"Transfer-Encoding: chunked" in head:
        body = unchunked(body)
    if b"shortened capture" in recorded_body:  # only the recorded body was shortened, not its Content-Length
        lengths = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
        assert lengths in ([], [len(body)])
        body = body.rstrip(b" ")
    assert body == recorded_body


@pytest.mark.parametrize("capture", CAPTURES)
def test_capture_is_served_byte_for_byte(capture: str) -> None:
    with Portal(capture=capture) as portal:
        answer = get(portal)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.content == (FIXTURES / f"{capture}.json").read_bytes()


def test_unknown_path_and_redirect(portal: Portal) -> None:
    lost = get(portal, "/api/no_such/")
    assert (lost.status_code, lost.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    moved = get(portal, "/api/linux_users?page=2")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/api/linux_users/?page=2")
    followed = requests.get(portal.url + API_PATH[:-1], headers={"Api-key": portal.api_key}, timeout=TIMEOUT)
    assert len(followed.json()) == 16


def test_date_is_now_and_head_has_no_body(portal: Portal) -> None:
    answer = requests.head(portal.url + API_PATH, headers={"Api-key": portal.api_key}, timeout=TIMEOUT)
    assert answer.content == b""
    assert int(answer.headers["Content-Length"]) == len(get(portal).content)
    assert answer.headers["Date"].endswith(" GMT")


# The behaviour by itself, without a socket


def request(method: str = "GET", path: str = API_PATH, client: str = "127.0.0.1", **headers: str) -> Request:
    message = Message()
    for name, value in ({"Host": "127.0.0.1"} | headers).items():
        message[name.replace("_", "-")] = value
    return Request(method, path, message, client)


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour(load_captures(), "04", api_key="secret")


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("", "de"),
        ("fr", "de"),
        ("en", "en"),
        ("en-GB,de;q=0.5", "en"),
        ("de;q=0.9,en;q=0.3", "de"),
        ("en;q=0.3,de;q=0.9", "de"),
        ("en;q=x", "de"),
        ("de;q=0,en", "en"),
    ],
)
def test_language(behaviour: Behaviour, wanted: str, language: str) -> None:
    answer = behaviour.answer(request(Api_key=behaviour.unprivileged_key, Accept_Language=wanted))
    assert answer.header("Content-Language") == language
    assert json.loads(answer.body)["detail"].startswith({"de": "Sie sind nicht", "en": "You do not"}[language])


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("text/html, application/json;q=0.5", 200),
        ("application/*", 200),
        ("*/*;q=0.1", 200),
        ("text/html", 406),
        ("text/*,application/xml", 406),
    ],
)
def test_accept(behaviour: Behaviour, accept: str, status: int) -> None:
    assert behaviour.answer(request(Api_key="secret", Accept=accept)).status == status


def test_refusals_come_in_the_portals_order(behaviour: Behaviour) -> None:
    assert behaviour.answer(request("POST", API_PATH + "?format=x", Api_key="no", Host="[bad")).status == 400
    assert behaviour.answer(request("POST", API_PATH + "?format=x", Api_key="no")).status == 404
    assert behaviour.answer(request("POST", Api_key="no", Accept="text/html")).status == 406
    assert behaviour.answer(request("POST", Api_key="no")).status == 403
    refused = behaviour.answer(request("DELETE", Api_key="secret"))
    assert (refused.status, json.loads(refused.body)) == (405, {"detail": 'Methode "DELETE" nicht erlaubt.'})


def test_hosts_can_be_named() -> None:
    behaviour = Behaviour(load_captures(), api_key="secret", hosts=["Portal.int.de"])
    assert behaviour.answer(request(Api_key="secret", Host="portal.INT.de:443")).status == 200
    assert behaviour.answer(request(Api_key="secret", Host="localhost")).status == 400


# What is served


def test_edits_show_in_the_next_answer(portal: Portal) -> None:
    before = portal.record("mehrfach")
    portal.change("mehrfach", enabled=False, username="neuer.name")
    portal.remove("neu")
    portal.add({"username": "anything goes"})
    served = {each["username"]: each for each in get(portal).json()}
    assert served["neuer.name"] == before | {"enabled": False, "username": "neuer.name"}
    assert "neu" not in served
    assert served["anything goes"] == {"username": "anything goes"}
    portal.serve("05")
    assert get(portal).content == (FIXTURES / "05_mehrfach_disabled_chef_no_admin.json").read_bytes()
    portal.serve([before])
    assert get(portal).json() == [before]


def test_records_handed_out_are_copies(portal: Portal) -> None:
    portal.record("mehrfach")["groups"].clear()
    portal.records.clear()
    assert len(portal.records) == 16
    assert portal.record("mehrfach")["groups"]


def test_mistakes_of_a_test_are_told(portal: Portal) -> None:
    with pytest.raises(KeyError, match="no capture '99'"):
        portal.serve("99")
    with pytest.raises(KeyError, match="nobody called"):
        portal.change("nobody", enabled=False)
    with pytest.raises(KeyError, match="no enable,"):
        portal.change("chef", enable=False)
    with pytest.raises(ValueError, match="no mode"):
        portal.misbehave("odd")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 or more"):
        portal.misbehave("reset", times=0)


def test_requests_are_kept(portal: Portal) -> None:
    get(portal, API_PATH + "?a=b", headers={"X-Trace": "1"})
    requests.get(portal.url + "/elsewhere", timeout=TIMEOUT)
    first, second = portal.requests
    assert (first.method, first.path, first.client) == ("GET", API_PATH + "?a=b", "127.0.0.1")
    assert (first.headers["api-KEY"], first.headers["x-trace"]) == (portal.api_key, "1")
    assert second.headers["Api-key"] is None


# How it fails


def refused(status: int, **headers: str) -> Callable[[requests.Response], None]:
    def check(answer: requests.Response) -> None:
        assert answer.status_code == status
        assert headers.items() <= {name.replace("-", "_"): value for name, value in answer.headers.items()}.items()

    return check


def cut_json(answer: requests.Response) -> None:
    assert len(answer.content) == int(answer.headers["Content-Length"])
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def an_object(answer: requests.Response) -> None:
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 16


ANSWERED: dict[Mode, Callable[[requests.Response], None]] = {
    "empty": refused(200, Content_Length="2"),
    "html_200": refused(200, Content_Type="text/html; charset=utf-8"),
    "redirect_301": refused(301, Location="/login/?next=/api/linux_users/"),
    "forbidden": refused(403, Content_Type="application/json"),
    "not_found": refused(404, Content_Type="text/html; charset=utf-8"),
    "directory_down": refused(500, Content_Type="text/html; charset=utf-8"),
    "bad_gateway": refused(502, Content_Length="0"),
    "unavailable": refused(503, Retry_After="1"),
    "truncated": cut_json,
    "not_a_list": an_object,
}
BROKEN: dict[Mode, type[Exception]] = {
    "short_body": requests.exceptions.ChunkedEncodingError,
    "reset": requests.ConnectionError,
    "hang": requests.ReadTimeout,
}


def test_every_mode_is_tested() -> None:
    assert set(ANSWERED) | set(BROKEN) | {"slow", "huge"} == set(MODES) == set(get_args(Mode))


@pytest.mark.parametrize("mode", ANSWERED)
def test_mode_that_answers(portal: Portal, mode: Mode) -> None:
    portal.misbehave(mode, times=2)
    for _unused in range(2):
        ANSWERED[mode](get(portal))
    assert len(get(portal).json()) == 16
    assert len(portal.requests) == 3


@pytest.mark.parametrize("mode", BROKEN)
def test_mode_that_breaks_off(portal: Portal, mode: Mode) -> None:
    portal.misbehave(mode, times=1)
    with pytest.raises(BROKEN[mode]):
        requests.get(portal.url + API_PATH, headers={"Api-key": portal.api_key}, timeout=0.3)
    assert len(get(portal).json()) == 16


def test_reset_is_an_rst(portal: Portal) -> None:
    portal.misbehave("reset")
    with pytest.raises(ConnectionResetError):
        ask(portal, f"GET {API_PATH}", {})


def test_slow_takes_its_time_but_never_pauses(portal: Portal) -> None:
    portal.misbehave("slow", seconds=0.6)
    started = time.monotonic()
    answer = requests.get(portal.url + API_PATH, headers={"Api-key": portal.api_key}, timeout=0.3)
    assert time.monotonic() - started > 0.5
    assert len(answer.json()) == 16


def test_huge_has_no_end(portal: Portal) -> None:
    portal.misbehave("huge")
    with get(portal, stream=True) as answer:
        received = 0
        for piece in answer.iter_content(65536):
            received += len(piece)
            if received > 3_000_000:
                break
    assert "Content-Length" not in answer.headers


def test_options_of_modes(portal: Portal) -> None:
    portal.misbehave("unavailable", retry_after=7)
    assert get(portal).headers["Retry-After"] == "7"
    portal.misbehave("redirect_301", location="https://elsewhere.example/")
    assert get(portal).headers["Location"] == "https://elsewhere.example/"
    portal.misbehave("redirect_301")
    login = requests.get(portal.url + API_PATH, headers={"Api-key": portal.api_key}, timeout=TIMEOUT)
    assert (login.status_code, login.url) == (200, portal.url + "/login/?next=/api/linux_users/")
    assert "<title>Anmelden</title>" in login.text
    portal.behave()
    assert get(portal).status_code == 200


def test_refused_request_does_not_use_up_a_spoilt_answer(portal: Portal) -> None:
    portal.misbehave("empty", times=1)
    assert get(portal, headers={"Api-key": "wrong"}).status_code == 403
    assert get(portal).json() == []
    assert len(get(portal).json()) == 16


@pytest.mark.parametrize("mode", ["hang", "huge", "slow"])
def test_close_ends_what_is_under_way(mode: Mode) -> None:
    portal = Portal().start()
    portal.misbehave(mode, seconds=600)
    with socket.create_connection(("127.0.0.1", portal.port), TIMEOUT) as client:
        client.sendall(f"GET {API_PATH} HTTP/1.1\r\nHost: localhost\r\nApi-key: {portal.api_key}\r\n\r\n".encode())
        deadline = time.monotonic() + TIMEOUT
        while not portal.requests and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
        portal.close()
        assert time.monotonic() - started < 2
    assert portal.failures == []
