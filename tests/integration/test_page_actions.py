"""Operators change on the pages what waits for them; readers see no form, and nobody else's form counts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from inventory_server.config import Settings
from inventory_server.domain.requests import ListAudit, ListOrdered, ListTerminals, RevokeTerminal
from inventory_server.domain.roles import User
from inventory_server.web.calls import talk_of
from inventory_server.web.pages.actions import ACTIONS, requested
from inventory_server.web.pages.errors import show_error
from inventory_server.web.pages.routes import page_routes
from pos_client.protocol.errors import RequestError
from tests.support.ledgers import NOON
from tests.support.maintenance import ask
from tests.support.web import application_of, client_of, written
from tests.support.web_pages import ledger_of_shops, seen

PASSWORD = "a long enough passphrase"
TALK = talk_of(User("pat", "reader", "here"), Settings(), NOON)
SUSPENSE = "gtin:00000096385074"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ledger_of_shops(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    """A browser at the pages over a ledger that a server writes, whose users are `op`, `root` and `pat`."""
    with written(url), application_of(url, pages=page_routes(), show_error=show_error) as application:
        accounts = application.state.accounts
        for name, role in (("op", "operator"), ("root", "admin"), ("pat", "reader")):
            made = accounts.invite(name, role, User("root", "admin", "here"))
            accounts.redeem(made.link, PASSWORD, "here")
        with client_of(application) as client:
            yield client


def sign_in(client: TestClient, user: str) -> None:
    client.cookies.clear()
    client.post("/sign-in", data={"user": user, "password": PASSWORD})


def form_on(client: TestClient, page: str, action: str, having: str = "") -> dict[str, str]:
    """The fields of the first form with that action on a page whose markup has `having`."""
    forms = re.findall(rf'<form[^>]*action="/do/{action}">(.*?)</form>', client.get(page).text, re.DOTALL)
    [form, *_] = [form for form in forms if having in form]
    return dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))


def send(client: TestClient, action: str, form: dict[str, str]) -> tuple[int, str]:
    answer = client.post(f"/do/{action}", data=form, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", answer.text)


def test_an_unlisted_barcode_is_mapped_to_a_product(client: TestClient) -> None:
    sign_in(client, "op")
    form = form_on(client, "/exceptions?group=unlisted", "merge")
    assert form["merge"] == SUSPENSE
    status, told = send(client, "merge", form | {"into": "NO-SUCH"})
    assert (status, "NO-SUCH" in told) == (400, True)
    assert send(client, "merge", form | {"into": "OAT_BARISTA_1000"}) == (303, "/exceptions")
    assert "Name it, or map it" not in seen(client, "/exceptions")
    assert SUSPENSE not in client.get("/stock?view=unlisted").text


def test_a_cause_is_settled_and_the_trail_says_by_whom(client: TestClient, url: str) -> None:
    sign_in(client, "op")
    form = form_on(client, "/exceptions", "settle", "MILK-1L")
    assert send(client, "settle", form) == (303, "/exceptions")
    assert "Fresh whole milk" not in seen(client, "/exceptions")
    last = ask(url, ListAudit(limit=1))[0]
    assert (last.actor, last.role, last.request, last.source) == ("op", "operator", "settle", "web testclient")


def test_a_line_is_marked_as_ordered_and_leaves_the_list(client: TestClient, url: str) -> None:
    sign_in(client, "op")
    form = form_on(client, "/order?view=all", "mark-ordered", "EI-10-L")
    assert send(client, "mark-ordered", form) == (303, "/order")
    [mark] = ask(url, ListOrdered())
    assert (mark.sku, str(mark.quantity), mark.marked_by) == ("EI-10-L", form["quantity"], "op")
    assert mark.location == form["location"]


def test_an_administrator_revokes_a_till(client: TestClient, url: str) -> None:
    sign_in(client, "root")
    form = form_on(client, "/setup", "revoke", "uni-1")
    assert send(client, "revoke", form) == (303, "/setup?tab=terminals")
    [till] = [each for each in ask(url, ListTerminals()) if each.terminal == "uni-1"]
    assert till.revoked_at is not None
    assert "/do/revoke" in client.get("/setup").text
    sign_in(client, "op")
    assert "/do/revoke" not in client.get("/setup").text  # operators may not


def test_a_reader_sees_no_form_and_may_send_none(client: TestClient) -> None:
    sign_in(client, "op")
    form = form_on(client, "/exceptions", "settle")
    sign_in(client, "pat")
    for page in ("/exceptions", "/order?view=all", "/setup"):
        assert "/do/" not in client.get(page).text
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/stock").text)
    assert found is not None
    assert send(client, "settle", form)[0] == 403  # the token is of another session
    status, told = send(client, "settle", form | {"csrf": found[1]})
    assert (status, "The role reader may not call settle" in told) == (403, True)
    client.cookies.clear()
    assert send(client, "settle", form)[0] == 403


@pytest.mark.parametrize(
    ("action", "form", "told"),
    [
        ("settle", {"flag": "negative_stock"}, "position"),
        ("settle", {"flag": "wrong", "position": "1"}, "flag"),
        ("settle", {"flag": "negative_stock", "position": "-1"}, "position"),
        ("reopen", {"id": "x"}, "id"),
        ("mark-ordered", {"location": "a", "sku": "b", "quantity": "many", "expected": "2026-01-01"}, "quantity"),
        ("mark-ordered", {"location": "a", "sku": "b", "quantity": "1", "expected": "soon"}, "expected"),
    ],
)
def test_a_form_that_is_filled_in_wrong_says_what_is_wrong(action: str, form: dict[str, str], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        requested(ACTIONS[action], form, TALK)


def test_a_form_cannot_say_who_sends_it() -> None:
    made = requested(ACTIONS["revoke"], {"terminal": "T1", "actor": "root", "csrf": "x"}, TALK)
    assert isinstance(made, RevokeTerminal)
    assert (made.terminal, made.actor.name) == ("T1", "pat")


@pytest.mark.parametrize("quantity", ["Infinity", "NaN", "1e99", "0.000001", "0", "-1"])
def test_no_impossible_quantity_is_marked(client: TestClient, quantity: str) -> None:
    sign_in(client, "op")
    form = form_on(client, "/order?view=all", "mark-ordered")
    status, told = send(client, "mark-ordered", form | {"quantity": quantity})
    assert (status, "quantity" in told) == (400, True), told
