"""The pages Order, Counts, Tills, Exceptions and Setup each answer their question first, for whoever may ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import HOUR, new_ledger
from tests.support.shop_ledger import OPENING, SCRIPT
from tests.support.web_pages import ledger_of_shops, pages, pages_application, seen

EVERY = ["/order", "/order?view=all", "/counts", "/tills", "/exceptions"]
EVERY += [f"/setup?tab={tab}" for tab in ("locations", "catalogue", "proof", "feed")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ledger_of_shops(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    with pages(url) as client:
        yield client


@pytest.fixture(scope="module")
def operator(url: str) -> Iterator[TestClient]:
    with pages(url, "operator") as client:
        yield client


def test_the_order_says_how_much_by_when_and_how_sure_that_is(client: TestClient) -> None:
    text = seen(client, "/order")
    assert "6 lines to order today from 3 suppliers, the first by 11:00. 5 are sure; 1 may change," in text
    assert "because Hafenstraße is incomplete." in text
    assert "Molkereigenossenschaft Schwalm-Eder eG 2 lines, 1 may change Order by today 11:00 Arrives tomorrow" in text
    milk = "34 Fresh whole milk 3.8 %, 1 l MILK-1L may change Hafenstraße incomplete since Mon 18:41 ~ −2 0 0.0"
    assert f"{milk} Nothing left. Below its reorder point." in text
    assert "24 reorder point + 2 days × 3.7 a day + 2 available, in whole packs 34" in text
    assert "12 2 × 6 Espresso" in seen(client, "/order?view=all")
    assert seen(client, "/order?view=unsure").count("may change Hafenstraße") == 1


def test_an_order_whose_hour_has_passed_names_the_next_one(url: str) -> None:
    with pages_application(url, "reader", lambda: OPENING + 14 * HOUR) as application, TestClient(application) as late:
        text = seen(late, "/order")
    assert "lines to order from 3 suppliers; today’s hour has passed, the next is tomorrow 11:00." in text
    assert "tomorrow 11:00 the hour has passed" in text


def test_the_order_gives_its_reasons_in_german_too(client: TestClient) -> None:
    german = client.get("/order", headers={"accept-language": "de"}).text
    assert "6 Zeilen heute zu bestellen bei 3 Lieferanten, die erste bis 11:00." in german
    assert "24 Meldebestand + 2 Tage × 3,7 am Tag + 2 verfügbar, in ganzen Packungen 34" in german


def test_counts_tell_real_differences_from_what_may_yet_be_explained(client: TestClient) -> None:
    text = seen(client, "/counts")
    assert "3 differences are real. 1 changed by what was learned late. 1 is too early to judge." in text
    assert "CROISSANT Hauptbahnhof Fri 07:42, bahnhof-1 75 146 −71 146 −71 real" in text
    assert "30 42 −12 38 −8 partly explained 1 posting learned late changed it by +4" in text
    assert "72 75 −3 75 −3 too early to judge Hafenstraße is incomplete" in text
    assert "75 75 0 75 0 agrees" in text
    assert "CROISSANT" not in seen(client, "/counts?view=early")
    assert "CROISSANT" not in seen(client, "/counts?location=uni")


def test_tills_say_who_has_not_told_everything(client: TestClient, operator: TestClient) -> None:
    text = seen(client, "/tills")
    assert "1 of 4 tills has not told everything. It is at Hafenstraße." in text
    assert "hafen-1 Hafenstraße Silent since Mon 18:42 14 0 14 still in the outbox open" in text
    assert "altmarkt-1 Altmarkt Closed Mon 19:42 0 0 none Mon 19:42, totals balanced" in text
    assert "uni-1" not in seen(client, "/tills?view=unsure")
    assert "hafen-1 Hafenstraße Silent" not in seen(client, "/tills?location=uni")
    assert "Clock offset" not in text
    assert "Clock offset" in seen(operator, "/tills")


def test_exceptions_have_one_entry_for_each_cause_with_what_settles_it(client: TestClient) -> None:
    text = seen(client, "/exceptions")
    assert "5 things wait for a person. Start here: Unlisted products. The oldest waits since Mon 10:37." in text
    assert "Unlisted barcode , Hauptbahnhof: −6 1 posting, last Mon 18:42 What settles it: list it" in text
    assert "Fresh whole milk 3.8 %, 1 l , Hafenstraße: −2" in text
    assert "Hafenstraße is incomplete: this figure may change" in text
    assert "Unlisted products 1 Sold" not in seen(client, "/exceptions?group=negative")


def test_setup_shows_each_role_what_it_may_see(client: TestClient, operator: TestClient) -> None:
    assert "5 locations." in seen(client, "/setup")
    assert "8 products are listed. 1 that was sold is not." in seen(client, "/setup?tab=catalogue")
    assert "95 postings are in the ledger." in seen(client, "/setup?tab=proof")
    feed = seen(client, "/setup?tab=feed")
    assert "Sale bahnhof-1 Hauptbahnhof 4 × CROISSANT, 1 × ODD Left stock below zero" in feed
    assert "You may not look at this" in seen(client, "/setup?tab=terminals", status=403)
    assert "You may not look at this" in seen(client, "/setup?tab=audit", status=403)
    assert "5 terminals in use." in seen(operator, "/setup")
    assert "set_location" in seen(operator, "/setup?tab=audit")


@pytest.mark.parametrize("address", EVERY)
def test_every_page_works_on_an_empty_ledger_and_writes_no_markup_of_others(
    address: str, client: TestClient, tmp_path: Path
) -> None:
    assert SCRIPT not in client.get(address).text
    with pages(new_ledger(tmp_path / "hq.db"), "admin") as empty:
        assert empty.get(address).status_code == 200
        wrong = empty.get(address, params={"veiw": "x"})
        assert (wrong.status_code, "expected one of" in wrong.text) == (400, True)
