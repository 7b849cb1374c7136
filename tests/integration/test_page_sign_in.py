"""People sign in on a page, are sent on to what they asked for, and sign out; without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from inventory_server.domain.roles import User
from inventory_server.web.pages.errors import show_error
from inventory_server.web.pages.routes import page_routes
from tests.support.ledgers import new_ledger
from tests.support.web import ORIGIN, application_of, client_of, written
from tests.support.web_pages import seen

PASSWORD = "a long enough passphrase"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A browser at the pages of a ledger with one user, `pat`, who may read."""
    url = new_ledger(tmp_path_factory.mktemp("pages") / "hq.db")
    with written(url), application_of(url, pages=page_routes(), show_error=show_error) as application:
        accounts = application.state.accounts
        made = accounts.invite("pat", "reader", User("root", "admin", "here"))
        accounts.redeem(made.link, PASSWORD, "here")
        with client_of(application) as client:
            yield client


def sign_in(client: TestClient, password: str = PASSWORD, onward: str = "/stock", **headers: str) -> tuple[int, str]:
    form = {"user": "pat", "password": password, "next": onward}
    answer = client.post("/sign-in", data=form, headers=headers, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", answer.text)


def test_a_stranger_signs_in_and_goes_on_to_the_page_that_was_asked_for(client: TestClient) -> None:
    client.cookies.clear()
    page = client.get("/stock?view=below")
    assert "Sign in" in page.text
    assert 'name="next" value="/stock?view=below"' in page.text
    assert sign_in(client, onward="/stock?view=below") == (303, "/stock?view=below")
    assert "There is no stock yet." in seen(client, "/stock")
    assert "pat Reads only" in seen(client, "/stock")


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org", "/\\example.org", "stock", "", "/sign-in"]
)
def test_nobody_is_sent_to_another_site(client: TestClient, elsewhere: str) -> None:
    assert sign_in(client, onward=elsewhere) == (303, "/stock")


def test_a_wrong_password_is_told_on_the_form_which_keeps_the_name(client: TestClient) -> None:
    client.cookies.clear()
    status, page = sign_in(client, "wrong", onward="/tills")
    assert status == 401
    assert "The name or the password is wrong." in page
    assert 'value="pat"' in page
    assert 'aria-invalid="true" aria-describedby="failed"' in page


def test_another_site_can_sign_nobody_in_or_out(client: TestClient) -> None:
    assert sign_in(client, origin="https://example.org")[0] == 403
    assert sign_in(client, origin=ORIGIN)[0] == 303
    answer = client.post("/sign-out", data={"csrf": "guessed"}, follow_redirects=False)
    assert (answer.status_code, "load the page again" in answer.text) == (403, True)
    assert "pat" in seen(client, "/stock")


def test_who_signs_out_is_out(client: TestClient) -> None:
    sign_in(client)
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/stock").text)
    assert found is not None
    key = client.cookies["tillwire_session"]
    answer = client.post("/sign-out", data={"csrf": found[1]}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    client.cookies.set("tillwire_session", key)
    assert client.get("/stock", follow_redirects=False).status_code == 303  # the session itself has ended
    client.cookies.clear()


def test_what_is_no_form_is_refused(client: TestClient) -> None:
    answer = client.post("/sign-in", content="&".join(f"a{number}=1" for number in range(40)))
    assert (answer.status_code, "Expected a form of at most 32 fields" in answer.text) == (400, True)
    assert client.post("/sign-in", content=b"user=\xff").status_code == 400


def test_a_password_is_set_by_a_link_that_stays_in_the_browser(client: TestClient) -> None:
    assert "Set your password" in client.get("/welcome").text
    assert client.get("/static/welcome.js").status_code == 200
