"""The page Stock says what is short and how sure that is, and holds all of its state in its address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import new_ledger
from tests.support.shop_ledger import SCRIPT
from tests.support.web_pages import ledger_of_shops, pages, seen


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ledger_of_shops(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    with pages(url) as client:
        yield client


def skus(client: TestClient, address: str) -> list[str]:
    return re.findall(r'<tr role="row" data-sku="([^"]*)"', client.get(address).text)


def test_the_answer_comes_first_with_how_sure_it_is(client: TestClient) -> None:
    text = seen(client, "/")
    assert "Tuesday 17 March 2026, 07:42 6 lines are below their reorder point. 5 are sure; 1 may change," in text
    assert "because Hafenstraße is incomplete." in text
    assert "Hafenstraße Incomplete since Mon 18:41 hafen-1 silent, 14 postings pending Altmarkt" in text
    assert "Complete to Mon 19:42 its till closed" in text
    assert "Zentrallager No tills Nothing is sold here" in text
    assert "ledger position 95" in text


def test_a_figure_says_what_it_is_and_whether_it_may_change(client: TestClient) -> None:
    text = seen(client, "/stock?location=hafen&q=milk")
    assert "MILK-1L negative Molkereigenossenschaft Schwalm-Eder eG Hafenstraße incomplete since Mon 18:41 ~" in text
    assert "~ −2 26 below −2 0 0 24" in text
    assert "7.300 8.700 below" in seen(client, "/stock?q=bananas&location=uni")
    assert "19 1 below 23 4 12 20" in seen(client, "/stock?q=espresso&location=altmarkt")


def test_filters_search_and_order_are_in_the_address(client: TestClient) -> None:
    assert skus(client, "/stock?view=unlisted") == ["gtin:00000096385074"]
    assert set(skus(client, "/stock?view=below")) == {"CROISSANT", "MILK-1L", "BAN-KG", "EI-10-L", "ESPRESSO-1KG"}
    assert skus(client, "/stock?q=04012345678901&location=uni") == ["MILK-1L"]
    names = skus(client, "/stock?location=uni&sort=product")
    assert names == ["BAN-KG", "CROISSANT", "EI-10-L", "ESPRESSO-1KG", "MILK-1L", "OAT_BARISTA_1000", "APPLES-KG"]
    assert skus(client, "/stock?location=uni&sort=product&direction=descending") == names[::-1]
    page = client.get("/stock?location=uni&sort=product").text
    assert 'aria-sort="ascending"' in page
    assert escape("/stock?location=uni&sort=product&direction=descending") in page


def test_a_name_is_text_and_never_markup(client: TestClient) -> None:
    page = client.get("/stock?q=alert").text
    assert SCRIPT not in page
    assert escape(SCRIPT) in page
    assert SCRIPT not in client.get("/stock", params={"q": SCRIPT}).text


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("/stock?view=belwo", "view: expected one of all, below, negative, unlisted, incomplete, in_transit, got"),
        ("/stock?veiw=below", "the address: expected one of q, view, location, supplier, sort, direction, after"),
        ("/stock?sort=name", "sort: expected one of shortage, product, location"),
        ("/stock?direction=up", "direction: expected one of ascending, descending"),
        ("/stock?view=all&view=below", "view: expected it once, got 'it twice'"),
        (f"/stock?q={'a' * 201}", "q: expected at most 200 characters"),
        ("/stock?after=nonsense", "$.cursor: expected the cursor of the page before, got 'nonsense'"),
    ],
)
def test_a_mistyped_address_says_what_was_expected(client: TestClient, address: str, told: str) -> None:
    text = seen(client, address, status=400)
    assert told in text
    assert "Back to Stock" in text


def test_what_is_not_there_and_who_is_not_signed_in_get_a_page(client: TestClient, url: str) -> None:
    assert "There is nothing here" in seen(client, "/stok", status=404)
    assert "There is nothing here" in seen(client, "/language/xx", status=404)
    with pages(url, None) as stranger:
        sent = stranger.get("/stock?q=a", follow_redirects=False)
        assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Fstock%3Fq%3Da")


def test_an_empty_ledger_says_why_it_is_empty(tmp_path: Path) -> None:
    with pages(new_ledger(tmp_path / "hq.db")) as client:
        text = seen(client, "/stock")
        assert "There is no stock yet." in text
        assert "Import the catalogue with inventory-server catalog import" in text
        assert "Nothing is called" not in text


def test_a_search_without_a_match_offers_a_way_back(client: TestClient) -> None:
    text = seen(client, "/stock?q=espreso")
    assert "Nothing is called “espreso”" in text
    assert "Show all levels" in text


def test_the_page_speaks_the_language_that_was_asked_for_or_chosen(client: TestClient) -> None:
    german = client.get("/stock?q=bananas&location=uni", headers={"accept-language": "fr, de-AT;q=0.8"}).text
    assert '<html lang="de">' in german
    assert "7,300" in german
    chosen = client.get(
        "/language/de", headers={"referer": "http://testserver/stock?view=below"}, follow_redirects=False
    )
    assert chosen.headers["location"] == "/stock?view=below"
    assert "language=de" in chosen.headers["set-cookie"]
    elsewhere = client.get("/language/de", headers={"referer": "https://example.org/"}, follow_redirects=False)
    assert elsewhere.headers["location"] == "/stock"
    client.cookies.clear()


def test_the_pages_keep_a_strict_policy(client: TestClient) -> None:
    answer = client.get("/stock")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]* src=)|\bstyle=|<style|\bon\w+=\"|javascript:|https?://", answer.text)
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert client.get(name).status_code == 200, name
