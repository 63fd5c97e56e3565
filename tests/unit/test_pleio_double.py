# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The double of Pleio against what the real one answered: every recorded case, in order, with no difference."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.servers.pleio.server import PleioServer
from tests.servers.pleio.site import Site, User
from tests.tools.checkout import ROOT

CASES = [
    json.loads(line) for line in (ROOT / "tests/fixtures/pleio/cases.jsonl").read_text("utf-8").split("\n") if line
]
#: The groups that the recorded requests name.
GROUPS = {
    "f153c5e6-ca4b-4c1e-8675-7ccc5185aea9", "5f69a955-3858-4468-8666-fec5ca73de6e",
    "19ec5429-69c2-4d44-995e-a11417bc3488",
}  # fmt: skip
EVERYONE = "645a43fa-5db0-4552-8c37-4f34d58e5eb5"
FILES = {"a.txt": b"text", "fake.jpg": b"text", "empty.jpg": b"", "big.jpg": b"x" * 5_059_978}


def listing(identity: str) -> list[dict[str, Any]]:
    (case,) = [case for case in CASES if case["id"] == identity]
    users: list[dict[str, Any]] = case["json"]["users"]
    return users


def seeded() -> Site:
    """The site as the first listing shows it, but for the one whom an alias made before that."""
    site = Site("acme-token-123")
    site.groups, site.auto_groups = {*GROUPS, EVERYONE}, {EVERYONE}
    for record in listing("023"):
        if record["external_id"] != "alias-1":
            times = [datetime.fromisoformat(record[key]) for key in ("time_created", "time_updated")]
            user = User(record["guid"], record["name"], record["email"], record["external_id"], times[0], times[1])
            user.banned, user.profile = record["is_banned"], dict(record["profile"])
            site.users[user.guid] = user
    return site


class Replay:
    """Sends the recorded requests, and puts the double's guids and times where the recording has its own."""

    def __init__(self, server: PleioServer, acme: Site, blank: Site) -> None:
        self.server, self.acme, self.blank = server, acme, blank
        self.guids: dict[str, str] = {guid: guid for guid in acme.users}
        self.times: dict[str, dict[tuple[str, str], list[str]]] = {"recorded": {}, "ours": {}}

    def send(self, case: dict[str, Any]) -> tuple[int, str, bytes]:
        headers = {"Host": case["host"]}
        for line in case["headers"]:
            name, _colon, value = line.partition(":")
            headers[name] = value.strip()
        body = self.body(case, headers)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        connection.putrequest(case["method"], self.ours(case["path"]), skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = (response.status, response.getheader("Content-Type") or "", response.read())
        connection.close()
        return answer

    def body(self, case: dict[str, Any], headers: dict[str, str]) -> bytes:
        if case["form"]:
            name, _equals, value = case["form"][0].partition("=")
            headers["Content-Type"] = "multipart/form-data; boundary=b"
            head = f'--b\r\nContent-Disposition: form-data; name="{name}"'
            if not value.startswith("@FILE:"):
                return f"{head}\r\n\r\n{value}\r\n--b--\r\n".encode()
            file = value.removeprefix("@FILE:")
            content = FILES.get(file, b"\xff\xd8picture")
            head += f'; filename="{file}"\r\nContent-Type: image/jpeg\r\n\r\n'
            return head.encode() + content + b"\r\n--b--\r\n"
        body = case["body"]
        if body is None:
            return b""
        if isinstance(body, str):
            size = re.fullmatch(r"<(\d+) chars>", body)
            if size:
                return self.large(case, int(size[1]))
            # Bytes that are no UTF-8 are recorded as the characters of those numbers.
            return body.encode("utf-8" if "raw UTF-8" in case["case"] else "latin-1", "replace")
        return json.dumps(self.ours_in(body)).encode()

    def large(self, case: dict[str, Any], size: int) -> bytes:
        document = {"uuid": "d81b2741-490c-41b2-a50f-1d208d7ebc24", "content": "", "name": "", "email": "x@x.nl"}
        rest = size - len(json.dumps(document))
        return json.dumps({**document, "content": "x" * rest}).encode()

    def ours(self, text: str) -> str:
        for recorded, own in self.guids.items():
            text = text.replace(recorded, own).replace(recorded.upper().replace("-", ""), own.upper().replace("-", ""))
            text = text.replace(recorded.upper(), own.upper())
        return text

    def ours_in(self, body: Any) -> Any:
        return json.loads(self.ours(json.dumps(body)))

    def same(self, recorded: Any, own: Any) -> None:
        """Compare, learning which of our guids stands for which recorded one."""
        if isinstance(recorded, dict) and "guid" in recorded:
            assert self.guids.setdefault(recorded["guid"], own["guid"]) == own["guid"]
            recorded, own = self.moved("recorded", recorded), self.moved("ours", own)
            assert {**recorded, "guid": ""} == {**own, "guid": ""}
        elif isinstance(recorded, dict):
            assert set(recorded) == set(own)
            for key, value in recorded.items():
                self.same(value, own[key])
        elif isinstance(recorded, list):
            assert len(recorded) == len(own)
            for pair in zip(recorded, own, strict=True):
                self.same(*pair)
        else:
            assert recorded == own

    def moved(self, whose: str, user: dict[str, Any]) -> dict[str, Any]:
        """Times are other ones: what counts is when they move."""
        shown = dict(user)
        for key in ("time_created", "time_updated"):
            assert datetime.fromisoformat(user[key]).utcoffset() == timedelta(0)
            seen = self.times[whose].setdefault((user["guid"], key), [])
            if user[key] not in seen:
                seen.append(user[key])
            shown[key] = seen.index(user[key])
        return shown


def share_an_email(replay: Replay) -> None:
    """Two users with one address in different case, as parallel creates leave them."""
    replay.acme.add("Frank Two", "FRANK@acme.test", "e-100b")


def unshare(replay: Replay) -> None:
    (guid,) = [user.guid for user in replay.acme.users.values() if user.external_id == "e-100b"]
    del replay.acme.users[guid]


def make_ties(replay: Replay) -> None:
    """Users of one moment, in the order in which the database happened to give them."""
    moment = replay.blank.now() + timedelta(hours=1)
    replay.blank.add("T2", "t2@blank.test", "tie2")
    for name in ("tie2", "tie1"):
        (user,) = [user for user in replay.blank.users.values() if user.external_id == name]
        user.created = moment
        replay.blank.users[user.guid] = replay.blank.users.pop(user.guid)


def many(replay: Replay) -> None:
    for number in range(5006):
        replay.acme.add(f"N{number}", f"n{number}@acme.test", f"n-{number}")


#: What the people who recorded did by hand before a case.
BETWEEN: dict[str, Callable[[Replay], None]] = {
    "133": share_an_email, "134": unshare, "216": make_ties, "296": many,
}  # fmt: skip


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    acme, blank = seeded(), Site("blank-token-456", fields=())
    with PleioServer(
        sites={"127.0.0.1": acme, "localhost": blank},
        secondary={"alias.localhost": acme},
    ) as server:
        yield Replay(server, acme, blank)
        assert server.failures == []


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_recorded_case(replay: Replay, case: dict[str, Any]) -> None:
    if case["id"] in BETWEEN:
        BETWEEN[case["id"]](replay)
    status, content_type, body = replay.send(case)
    assert (status, content_type) == (case["status"], case["content_type"])
    if case["json"] is None:
        return
    assert content_type == "application/json"
    if isinstance(case["json"], str):
        assert len(json.loads(body)["users"]) == 100
        return
    recorded, answered = case["json"], json.loads(body)
    if "…" in recorded:  # only the first users were kept
        assert recorded.pop("…") == f"{len(answered['users'])} users in all"
        answered["users"] = answered["users"][: len(recorded["users"])]
    replay.same(recorded, answered)
