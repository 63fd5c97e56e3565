# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The adapter to Pleio against the double: every hazard of its API, over a real socket."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.identity.roster.plugins.module_utils._errors import RosterError
from ansible_collections.identity.roster.plugins.module_utils._http import HttpSession, HttpSettings
from ansible_collections.identity.roster.plugins.module_utils._limits import DEFAULTS
from ansible_collections.identity.roster.plugins.module_utils._outcome import Outcome
from ansible_collections.identity.roster.plugins.module_utils._reconcile import Policy
from ansible_collections.identity.roster.plugins.module_utils._roster.model import Avatar, Roster, User
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio import Options, Pleio
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_log import LINES_A_ROW, RunLog
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_plan import Settings
from ansible_collections.identity.roster.plugins.module_utils._targets.pleio_site import PleioSite, api_url
from ansible_collections.identity.roster.plugins.module_utils._targets.service import Run, run
from ansible_collections.identity.roster.plugins.module_utils._targets.service_state import StateFile
from tests.servers.pleio.server import PleioServer

from .csv_cases import png

SECRET = "canary-secret-1"


@pytest.fixture
def server() -> Iterator[PleioServer]:
    with PleioServer() as running:
        running.site.token = SECRET
        yield running
        assert running.failures == []


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Sync:
    """One site and one state file."""

    def __init__(self, server: PleioServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.pauses: list[float] = []
        self.secret = SECRET
        self.url = server.url
        self.log: RunLog = RunLog(None)

    def site(self, check: bool = False, **settings: Any) -> PleioSite:
        page_size = settings.pop("page_size", 100)
        http = HttpSettings(**{"timeout": 5, "read_only": check, "connections": 8, **settings})
        session = HttpSession(http, {"Authorization": f"Bearer {self.secret}"}, self.pauses.append)
        return PleioSite(session, api_url(self.url), page_size)

    def run(
        self,
        users: list[User],
        *,
        check: bool = False,
        workers: int = 4,
        policy: dict[str, Any] | None = None,
        state: bool = True,
        attempts: int = 2,
        **settings: Any,
    ) -> Outcome:
        site = self.site(check, **settings)
        self.log = RunLog(None if check else site.log)
        asked = Policy(("external_id", "email"), banned="banned", **(policy or {}))
        service = Pleio(site, self.log, Options(asked, Settings({}, True, state)))
        path = str(self.folder / "state.json") if state else None
        request = Run(
            roster=Roster({}, tuple(users)), roster_digest="digest", limits=DEFAULTS, approved=frozenset(),
            check_mode=check, workers=workers, attempts=attempts,
        )  # fmt: skip
        return run(service, StateFile(path, "target", not check), request)


@pytest.fixture
def sync(server: PleioServer, tmp_path: Path) -> Sync:
    return Sync(server, tmp_path)


def people(count: int, **fields: Any) -> list[User]:
    return [
        User(f"e-{number}", full_name=f"U{number}", email=f"u{number}@x.test", external_id=f"e-{number}", **fields)
        for number in range(count)
    ]


def actions(outcome: Outcome) -> dict[str, int]:
    counted: dict[str, int] = {}
    for change in outcome.changes:
        counted[change.action] = counted.get(change.action, 0) + 1
    return counted


def fails(sync: Sync, users: list[User] | None = None, **settings: Any) -> str:
    with pytest.raises(RosterError) as caught:
        sync.run(users or [], **settings)
    assert SECRET not in str(caught.value)
    return str(caught.value)


# The whole way


def test_first_run_no_op_change_ban_unban_and_delete(sync: Sync, server: PleioServer) -> None:
    users = people(40)
    carol = server.site.add("Carol", "carol@x.test")
    planned = sync.run(users, check=True)
    assert server.counts() == {"GET users": 1}
    done = sync.run(users)
    assert done.as_result() == planned.as_result()
    assert actions(done) == {"create": 40}
    assert {user.email for user in server.site.users.values()} == {"carol@x.test"} | {user.email for user in users}

    before = dict(server.site.users)
    server.forget()
    assert sync.run(users).changes == []
    assert server.counts() == {"GET users": 1}
    assert server.site.users == before

    server.forget()
    assert actions(sync.run(users[2:])) == {"disable": 2}
    assert server.counts() == {"GET users": 1, "POST ban": 2, "POST logs": 2}
    assert server.site.by_email("u0@x.test").banned and not carol.banned
    assert actions(sync.run(users)) == {"enable": 2}
    assert not server.site.by_email("u0@x.test").banned

    assert actions(sync.run(users[1:], policy={"missing": "remove"})) == {"remove": 1}
    assert [user.email for user in server.site.deleted.values()] == ["u0@x.test"]
    assert actions(sync.run(users)) == {"create": 1}


def test_a_no_op_does_not_move_time_updated_nor_unban(sync: Sync, server: PleioServer) -> None:
    users = people(3)
    sync.run(users)
    server.site.by_email("u1@x.test").banned = True  # by an administrator
    before = {guid: user.updated for guid, user in server.site.users.items()}
    done = sync.run(users)
    assert (done.changes, [entry.name for entry in done.rejected]) == ([], ["u1@x.test"])
    assert {guid: user.updated for guid, user in server.site.users.items()} == before
    assert server.site.by_email("u1@x.test").banned


def test_case_only_differences_converge(sync: Sync, server: PleioServer) -> None:
    server.site.add("U0", "U0@X.TEST", "E-0")
    assert sync.run(people(1)).changes == []
    assert server.counts() == {"GET users": 1}


def test_the_missing_external_id_is_no_400(sync: Sync, server: PleioServer) -> None:
    server.site.add("Admin", "admin@x.test")
    users = [User(f"u{number}@x.test", full_name="U", email=f"u{number}@x.test") for number in range(3)]
    done = sync.run(users)
    assert (actions(done), done.failed) == ({"create": 3}, [])
    assert sync.run(users).changes == []


def test_an_email_of_someone_else_fails_that_record_alone(sync: Sync, server: PleioServer) -> None:
    server.site.add("Other", "new@x.test", "e-9")
    users = people(3)
    sync.run(users)
    moved = [User("e-0", full_name="U0", email="NEW@x.test", external_id="e-0"), *people(3)[1:]]
    done = sync.run(moved)
    assert done.changes == []
    assert "email 'NEW@x.test' is already that of the account new@x.test" in done.failed[0].reason


@pytest.mark.parametrize(
    ("email", "external_id", "words"),
    [
        ("U0@x.test", "s-1", "is that of the account U0@x.test"),
        ("other@x.test", "E-0", "external_id 'e-0' is that of 2 accounts"),
        ("u0@x.test", "e-0", ""),
    ],
    ids=["email-of-a-stranger", "a-second-one", "what-a-killed-run-had-under-way"],
)
def test_who_came_between_listing_and_create_is_looked_at(
    sync: Sync, server: PleioServer, email: str, external_id: str, words: str
) -> None:
    def sneak(number: int) -> None:
        if number == 3:
            server.site.add("U0", email, external_id)
            if "2 accounts" in words:
                server.site.add("U0", "third@x.test", "e-0")

    server.observer = sneak
    done = sync.run(people(2), workers=1)
    assert [each.name for each in done.failed] == (["u0@x.test"] if words else [])
    assert all(words in each.reason for each in done.failed)
    assert actions(done) == {"create": 1 if words else 2}
    server.forget()
    server.observer = lambda number: None
    assert sync.run(people(2)).changes == []


def test_a_create_that_is_refused_for_reasons_of_the_server_is_told_in_its_words(
    sync: Sync, server: PleioServer
) -> None:
    server.site.add("Verwijderde gebruiker", "gone@x.test", "e-0", banned=True)
    server.site._same = lambda key, value: [None] if value == "e-1" else []  # type: ignore[method-assign,list-item]
    done = sync.run(people(3))
    assert [(each.name, each.reason) for each in done.failed] == [
        ("u1@x.test", "Pleio refused it (400): This external_id is already taken by another user.")
    ]
    assert actions(done) == {"create": 2}


def test_two_others_with_the_email_are_noticed_although_the_answer_is_200(sync: Sync, server: PleioServer) -> None:
    sync.run(people(1))

    def sneak(number: int) -> None:
        if server.requests[-1].method == "POST" and len(server.site.users) == 1:
            server.site.add("A", "new@x.test", "s-1")
            server.site.add("B", "NEW@x.test", "s-2")

    server.observer = sneak
    done = sync.run([User("e-0", full_name="New", email="new@x.test", external_id="e-0")])
    assert "the site did not take over email" in done.failed[0].reason
    assert [dict(change.fields) for change in done.changes] == [{"name": ("U0", "New")}]


# Listing


@pytest.mark.parametrize("tied", [2, 5, 9, 10, 11, 25])
@pytest.mark.parametrize("first", [0, 1, 8, 9, 10])
def test_ties_across_a_page_border_are_all_listed(sync: Sync, server: PleioServer, first: int, tied: int) -> None:
    users = [server.site.add(f"U{number}", f"u{number}@x.test") for number in range(40)]
    moment = users[first].created
    for user in users[first : first + tied]:
        user.created = moment
    assert {account.id for account in sync.site(page_size=10).users()} == set(server.site.users)
    naive: set[str] = set()
    cursor = ""
    while True:
        listed = [
            user for user in server.site.listed() if not cursor or user.created > server.site.users[cursor].created
        ]
        if not listed[:10]:
            break
        naive |= {user.guid for user in listed[:10]}
        cursor = listed[:10][-1].guid
    if first < 10 < first + tied:
        assert len(naive) < 40, "this table shows the hazard"


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 37])
def test_every_length_of_a_listing(sync: Sync, server: PleioServer, count: int) -> None:
    for number in range(count):
        server.site.add(f"U{number}", f"u{number}@x.test")
    assert [account.id for account in sync.site(page_size=10).users()] == list(server.site.users)


def test_a_user_who_vanishes_while_listed_begins_it_anew(sync: Sync, server: PleioServer) -> None:
    users = [server.site.add(f"U{number}", f"u{number}@x.test") for number in range(25)]

    def vanish(number: int) -> None:
        if number == 2:
            del server.site.users[users[8].guid]
        if number == 3:
            del server.site.users[users[9].guid]

    server.observer = vanish
    assert {account.id for account in sync.site(page_size=10).users()} == set(server.site.users)


def test_a_site_where_everybody_vanishes_is_an_error(sync: Sync, server: PleioServer) -> None:
    for number in range(99):
        server.site.add(f"U{number}", f"u{number}@x.test")

    def vanish(number: int) -> None:
        if number % 2 == 0:
            del server.site.users[server.site.listed()[8].guid]

    server.observer = vanish
    assert "users vanish from" in fails(sync, page_size=10)


def test_a_big_page_that_ends_in_504_is_halved(sync: Sync, server: PleioServer) -> None:
    for number in range(60):
        server.site.add(f"U{number}", f"u{number}@x.test")
    server.misbehave("error", times=2, status=504)
    assert len(sync.site(page_size=100).users()) == 60
    assert [request.path.partition("limit=")[2] for request in server.requests][:3] == ["100", "50", "25"]
    server.behave()
    server.misbehave("error", status=504)
    assert "answers 504: the site takes too long for 10 users in a page" in fails(sync, people(1))


def test_users_of_one_moment_without_end_are_an_error(sync: Sync, server: PleioServer) -> None:
    moment = server.site.now() + timedelta(hours=1)
    for number in range(1001):
        server.site.add(f"U{number}", f"u{number}@x.test").created = moment
    assert "1000 users of the site were made at the same moment" in fails(sync)


@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ("html", 200, "answers 200, a page called 'Welcome', instead of JSON: look at the url"),
        ("redirect", 301, "answers 301 and points to https://primary.example/: redirects are not followed"),
        ("error", 500, "answers 500, a page called 'Server error'"),
        ("error", 404, "answers 404"),
    ],
)
def test_an_answer_that_is_no_list_stops_everything(
    sync: Sync, server: PleioServer, mode: str, status: int, words: str
) -> None:
    server.misbehave(mode, status=status)
    assert words in fails(sync, people(3))
    assert set(server.counts()) == {"GET users"}


def test_a_wrong_secret_and_a_wrong_url(sync: Sync, server: PleioServer) -> None:
    sync.secret = "wrong"
    assert "does not accept the api_secret" in fails(sync)
    for url, words in (
        ("https://acme.example/", "is not that of the API"),
        ("https://acme.example/profile_sync_api/users", "is not that of the API"),
        ("https://acme.example/profile_sync_api/?x=1", "is not that of the API"),
        ("http://acme.example/profile_sync_api/", "use https"),
        ("https://me:geheim@acme.example/profile_sync_api/", "holds credentials"),
    ):
        with pytest.raises(RosterError, match=words) as caught:
            api_url(url)
        assert "geheim" not in str(caught.value)
    for good in ("https://acme.example/profile_sync_api", "http://localhost:1/profile_sync_api/"):
        assert api_url(good).endswith("/profile_sync_api")


# Writing


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("after", [True, False], ids=["it-happened", "it-did-not"])
@pytest.mark.parametrize(
    ("mode", "status"),
    [("error", 500), ("error", 502), ("error", 504), ("html", 200), ("redirect", 301), ("drop", 0)],
    ids=["500", "502", "504", "html-200", "301-after-effect", "connection-lost"],
)
def test_a_create_that_may_have_happened_is_never_sent_twice_blindly(
    sync: Sync, server: PleioServer, mode: str, status: int, after: bool, workers: int
) -> None:
    server.misbehave(mode, times=2, method="POST", where="^/users$", after=after, status=status)
    users = people(5, groups=("9c66551d-7546-431b-bad3-e1cfebe7f8a0",))
    done = sync.run(users, workers=workers)
    assert (actions(done), done.failed) == ({"create": 5}, [])
    assert sorted(user.email for user in server.site.users.values()) == [user.email for user in users]
    server.forget()
    assert sync.run(users).changes == []
    assert set(server.counts()) == {"GET users"}


def test_a_hanging_create(sync: Sync, server: PleioServer) -> None:
    server.misbehave("hang", times=1, method="POST", where="^/users$", after=True)
    done = sync.run(people(2), timeout=0.3)
    assert (actions(done), done.failed, len(server.site.users)) == ({"create": 2}, [], 2)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", ["2", ""])
def test_429_and_503_are_waited_for(sync: Sync, server: PleioServer, status: int, asked: str) -> None:
    server.misbehave("busy", times=1, method="GET", status=status, retry_after=asked)
    server.misbehave("busy", times=1, method="POST", status=status, retry_after=asked)
    done = sync.run(people(2), workers=1)
    assert (actions(done), done.failed) == ({"create": 2}, [])
    assert sync.pauses == [2.0 if asked else 0.5] * 2


@pytest.mark.parametrize("kind", ["ban", "unban"])
@pytest.mark.parametrize("mode", ["drop", "error"])
def test_bans_are_sent_again_since_twice_is_once(sync: Sync, server: PleioServer, kind: str, mode: str) -> None:
    users = people(40)
    sync.run(users)
    if kind == "unban":
        sync.run(users[1:])
    server.misbehave(mode, times=1, where=f"/{kind}$", after=True, status=502)
    done = sync.run(users if kind == "unban" else users[1:])
    assert (len(done.changes), done.failed) == (1, [])
    assert server.site.by_email("u0@x.test").banned == (kind == "ban")


def test_a_delete_whose_answer_was_lost(sync: Sync, server: PleioServer) -> None:
    users = people(5)
    sync.run(users)
    server.misbehave("drop", times=1, method="DELETE", after=True)
    done = sync.run(users[1:], policy={"missing": "remove"})
    assert (actions(done), done.failed, len(server.site.users)) == ({"remove": 1}, [], 4)


def test_parallel_creates_of_one_email_do_not_come_up(sync: Sync, server: PleioServer) -> None:
    """The server's own check has a gap, in which we never are: a roster has an address once, whatever its case."""
    server.site.race = threading.Barrier(2)

    def create(email: str, external_id: str) -> None:
        sync.site().save({"name": "A", "email": email, "external_id": external_id})

    pairs = (("race@x.test", "r-1"), ("RACE@x.test", "r-2"))
    threads = [threading.Thread(target=create, args=pair_of) for pair_of in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.site.users) == 2, "this is the hazard"
    server.site.users.clear()
    server.site.race = threading.Barrier(4)
    done = sync.run(people(20), workers=8)
    assert (len(done.changes), len(server.site.users), server.most_at_once >= 4) == (20, 20, True)


def test_two_accounts_that_a_race_left_are_an_error_of_that_record(sync: Sync, server: PleioServer) -> None:
    server.site.add("A", "u0@x.test", "s-1")
    server.site.add("B", "U0@x.test", "s-2")
    done = sync.run([User("u0@x.test", full_name="A", email="u0@x.test"), *people(3)[1:]], policy={"everybody": True})
    assert "is that of 2 accounts" in done.failed[0].reason
    assert actions(done) == {"create": 2}


def test_groups_and_pictures(sync: Sync, server: PleioServer, tmp_path: Path) -> None:
    staff = "d8553b05-5582-4f1d-a883-2dd979c52ac0"
    opened = "9c66551d-7546-431b-bad3-e1cfebe7f8a0"
    server.site.groups = {staff, opened}
    picture = tmp_path / "a.png"

    def draw(content: bytes) -> Avatar:
        picture.write_bytes(content)
        return Avatar(str(picture), hashlib.sha256(content).hexdigest())

    def user() -> Any:
        return next(iter(server.site.users.values()))

    first = draw(png())
    sync.run(people(1, groups=(staff,), avatar=first))
    assert (user().groups, user().mails, user().avatars) == ({staff}, 1, [png()])
    user().groups.clear()  # the user leaves the group
    assert sync.run(people(1, groups=(staff,), avatar=first)).changes == []
    updated = user().updated
    second = draw(png() + b"\0")
    assert actions(sync.run(people(1, groups=(staff,), avatar=second))) == {"update": 1}
    assert (len(user().avatars), user().groups, user().updated) == (2, set(), updated)
    sync.run(people(1, groups=(staff, opened), avatar=second))
    assert (user().groups, user().mails) == ({opened}, 2)
    assert sync.run(people(1, groups=(opened,), avatar=second)).changes == []
    sync.run(people(1, groups=(staff, opened), avatar=second))
    assert user().groups == {staff, opened}, "wanted again after it was not"


def test_a_picture_that_fails_leaves_the_rest(sync: Sync, server: PleioServer, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    avatar = Avatar(str(tmp_path / "a.png"), hashlib.sha256(png()).hexdigest())
    server.misbehave("error", where="/avatar$", times=1)
    done = sync.run(people(1, avatar=avatar))
    assert len(server.site.users) == 1
    assert "its picture" in done.failed[0].reason
    assert "avatar" not in done.changes[0].fields
    assert actions(sync.run(people(1, avatar=avatar))) == {"update": 1}


# The log


def test_the_log_has_one_uuid_a_run_and_every_change(sync: Sync, server: PleioServer) -> None:
    done = sync.run(people(150))
    assert done.failed == []
    ((uuid,), text) = {uuid for uuid, _text in server.site.logs}, "\n".join(text for _uuid, text in server.site.logs)
    assert uuid == sync.log.uuid
    lines = text.split("\n")
    assert lines[0] == "identity.roster 0.1.0: roster digest, planned: 150 created"
    assert lines[-1].startswith("finished: 150 created, 0 updated")
    assert sorted(lines[1:-1]) == sorted(f"create u{n}@x.test (email, external_id, name)" for n in range(150))
    assert lines == sync.log.lines
    assert len(server.site.logs) <= 3 + 150 // LINES_A_ROW
    sync.run([*people(150)[:149], User("e-149", full_name="N" * 101, email="x@x.test", external_id="e-149")])
    assert len({uuid for uuid, _text in server.site.logs}) == 1, "nothing changed, so nothing is said"


def test_errors_are_in_the_log_too(sync: Sync, server: PleioServer) -> None:
    server.site.add("A", "u0@x.test", "s-1")
    done = sync.run(people(2))
    assert len(done.failed) == 1
    text = "\n".join(text for _uuid, text in server.site.logs)
    assert "error u0@x.test: email 'u0@x.test' is that of the account" in text
    assert "1 failed" in text.rsplit("\n", maxsplit=1)[-1]


def test_a_log_that_fails_harms_nothing(sync: Sync, server: PleioServer) -> None:
    server.misbehave("error", where="^/logs$")
    done = sync.run(people(3))
    assert (actions(done), done.failed) == ({"create": 3}, [])
    assert "the site's log is not complete" in done.warnings[-1]
    assert server.counts()["POST logs"] == 1


def test_check_mode_can_not_write_even_if_it_tried(sync: Sync, server: PleioServer) -> None:
    site = sync.site(check=True)
    with pytest.raises(RosterError, match="was not sent: this run only reads"):
        site.ban("154533df-81d1-4f3f-bbb8-3252c3f55584")
    assert server.requests == []


def test_the_secret_is_in_nothing_that_is_told(sync: Sync, server: PleioServer) -> None:
    server.misbehave("drop", method="POST", where="^/users$")
    done = sync.run(people(2))
    assert len(done.failed) == 2
    assert SECRET not in repr(done) + "".join(sync.log.lines) + (sync.folder / "state.json").read_text()
    assert all(request.headers["Authorization"] == f"Bearer {SECRET}" for request in server.requests)
