"""Signing in: links, passwords, sessions and API tokens, and what another site's page cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from inventory_server.domain.people import AddToken, AddUser, ListUsers, RemoveToken, RemoveUser, SetUserRole
from inventory_server.domain.requests import ListAudit
from inventory_server.web.limits import ATTEMPTS_OF_PAIR_MAX, SIGN_IN_BYTES_MAX
from inventory_server.web.people import COOKIE, key_hash
from tests.support.ledgers import new_ledger
from tests.support.maintenance import ask, change
from tests.support.web import application_of, client_of, written

PASSWORD = "correct horse battery"
LATER = 2**62


class Hq(NamedTuple):
    """The application, with the users kim (admin) and lee (reader), who have the same password."""

    url: str
    application: Starlette

    def browser(self, user: str | None = None) -> TestClient:
        """A browser, in which `user` is signed in."""
        client = client_of(self.application)
        if user is not None:
            signed_in = client.post("/api/v1/session", json={"user": user, "password": PASSWORD})
            assert signed_in.status_code == 200, signed_in.text
            client.headers["X-CSRF-Token"] = signed_in.json()["csrf"]
        return client


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[Hq]:
    url = new_ledger(tmp_path / "hq.db")
    with written(url), application_of(url) as application:
        made = Hq(url, application)
        for name, role in (("kim", "admin"), ("lee", "reader")):
            change(url, AddUser(name, role, key_hash(f"link of {name}"), LATER))  # type: ignore[arg-type]
            redeemed = made.browser().post("/api/v1/link", json={"link": f"link of {name}", "password": PASSWORD})
            assert redeemed.json() == {"user": name}
        yield made


def test_a_link_sets_a_password_once(hq: Hq) -> None:
    again = hq.browser().post("/api/v1/link", json={"link": "link of kim", "password": "another password"})
    assert (again.status_code, again.json()["name"]) == (401, "unauthenticated")
    hq.browser("kim")


def test_a_session_asks_and_changes_until_it_is_signed_out(hq: Hq) -> None:
    browser = hq.browser("kim")
    assert browser.get("/api/v1/session").json()["user"] == "kim"
    assert browser.post("/api/v1/set_location", json={"location": "L1"}).status_code == 200
    key = browser.cookies[COOKIE]
    assert browser.delete("/api/v1/session").status_code == 204
    assert COOKIE not in browser.cookies
    browser.cookies.set(COOKIE, key)
    assert browser.get("/api/v1/stock").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(hq: Hq) -> None:
    for scheme, secure in (("http", False), ("https", True)):
        client = TestClient(hq.application, f"{scheme}://testserver")
        cookie = client.post("/api/v1/session", json={"user": "kim", "password": PASSWORD}).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ("Secure" in cookie) is secure


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": "wrong"},
        {"X-CSRF-Token": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_sites_page_changes_nothing_with_a_session(headers: dict[str, str], hq: Hq) -> None:
    browser = hq.browser("kim")
    for answer in (
        browser.post("/api/v1/set_location", json={"location": "L1"}, headers=headers),
        browser.delete("/api/v1/session", headers=headers),
    ):
        assert (answer.status_code, answer.json()["name"]) == (403, "forbidden")
    assert browser.get("/api/v1/locations").json() == []


def test_another_sites_page_signs_nobody_in(hq: Hq) -> None:
    sent = {"user": "kim", "password": PASSWORD}
    assert hq.browser().post("/api/v1/session", json=sent, headers={"Origin": "http://evil"}).status_code == 403


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(hq: Hq) -> None:
    answers = [
        hq.browser().post("/api/v1/session", json={"user": user, "password": "wrong password"}) for user in ("kim", "x")
    ]
    assert [each.status_code for each in answers] == [401, 401]
    assert answers[0].text == answers[1].text


def test_after_some_wrong_passwords_the_right_one_has_to_wait_too(hq: Hq) -> None:
    browser = hq.browser()
    for _ in range(ATTEMPTS_OF_PAIR_MAX):
        assert browser.post("/api/v1/session", json={"user": "kim", "password": "wrong"}).status_code == 401
    refused = browser.post("/api/v1/session", json={"user": "kim", "password": PASSWORD})
    assert (refused.status_code, refused.json()["name"]) == (429, "busy")
    assert 0 < int(refused.headers["retry-after"]) <= 900


def test_a_new_password_ends_all_sessions(hq: Hq) -> None:
    one, other = hq.browser("lee"), hq.browser("lee")
    sent = {"password": PASSWORD, "new_password": "a better password"}
    assert one.post("/api/v1/password", json={**sent, "password": "wrong password"}).status_code == 401
    assert one.post("/api/v1/password", json=sent).status_code == 204
    assert other.get("/api/v1/stock").status_code == 401
    assert hq.browser().post("/api/v1/session", json={"user": "lee", "password": PASSWORD}).status_code == 401


def test_an_admin_invites_others_and_nobody_else_does(hq: Hq) -> None:
    invited = hq.browser("kim").post("/api/v1/invite", json={"user": "sam", "role": "operator"}).json()
    assert invited["path"].startswith("/welcome#")
    link = invited["path"].partition("#")[2]
    assert hq.browser().post("/api/v1/link", json={"link": link, "password": PASSWORD}).json() == {"user": "sam"}
    assert hq.browser("sam").get("/api/v1/session").json()["role"] == "operator"
    refused = hq.browser("lee").post("/api/v1/invite", json={"user": "max", "role": "admin"})
    assert (refused.status_code, refused.json()["name"]) == (403, "forbidden")
    reset = hq.browser("kim").post("/api/v1/invite", json={"user": "sam"}).json()
    assert reset["user"] == "sam"
    assert hq.browser().post("/api/v1/session", json={"user": "sam", "password": PASSWORD}).status_code == 401


def test_a_token_is_worth_what_its_user_may_until_it_is_revoked(hq: Hq) -> None:
    change(hq.url, AddToken("lee", "report", key_hash("the token")))
    client = client_of(hq.application)
    client.headers["Authorization"] = "Bearer the token"
    assert client.get("/api/v1/stock").status_code == 200
    assert client.post("/api/v1/set_location", json={"location": "L1"}).status_code == 403
    change(hq.url, SetUserRole("lee", "operator"))
    assert client.post("/api/v1/set_location", json={"location": "L1"}).status_code == 200, "no CSRF with a token"
    change(hq.url, RemoveToken("lee", "report"))
    assert client.get("/api/v1/stock").json()["name"] == "unauthenticated"


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer nothing", "Bearer " + "x" * 500, "Basic a", "bearer \xff", "", "Bearer link"]
)
def test_a_wrong_token_is_nobodys(authorization: str, hq: Hq) -> None:
    change(hq.url, AddUser("max", "admin", key_hash("link"), LATER))
    browser = hq.browser("kim")
    answer = browser.get("/api/v1/stock", headers={b"Authorization": authorization.encode("latin-1")})
    assert (answer.status_code, answer.json()["name"]) == (401, "unauthenticated")


def test_a_removed_user_is_signed_out(hq: Hq) -> None:
    browser = hq.browser("lee")
    change(hq.url, RemoveUser("lee"))
    assert browser.get("/api/v1/stock").status_code == 401
    assert [row.user for row in ask(hq.url, ListUsers())] == ["kim"]


def test_neither_the_audit_trail_nor_the_ledger_has_what_opens_a_door(hq: Hq) -> None:
    browser = hq.browser("kim")
    key = browser.cookies[COOKIE]
    audited = " ".join(entry.arguments for entry in ask(hq.url, ListAudit()))
    raw = b"".join(
        path.read_bytes() for path in Path(hq.url.removeprefix("sqlite:///")).parent.glob("hq.db*") if path.is_file()
    )
    for secret in (key, PASSWORD, "link of kim"):
        assert secret not in audited
        assert secret.encode() not in raw
    assert "argon2" not in audited
    assert {entry.source for entry in ask(hq.url, ListAudit()) if entry.request == "open_session"} == {"web testclient"}


def test_a_long_body_is_not_read_by_a_sign_in(hq: Hq) -> None:
    answer = hq.browser().post("/api/v1/session", content=b" " * (SIGN_IN_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["name"], answer.json()["limit"]) == (413, "too_large", SIGN_IN_BYTES_MAX)


def test_who_has_no_link_has_no_password_hashed(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hq.application.state.accounts._passwords, "hash", lambda _: 1 // 0)
    for link in ("wrong", hq.browser("kim").cookies[COOKIE]):
        answer = hq.browser().post("/api/v1/link", json={"link": link, "password": PASSWORD})
        assert (answer.status_code, answer.json()["name"]) == (401, "unauthenticated")
