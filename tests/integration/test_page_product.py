"""The page of a product says how much is where, how that came about, and when it became known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.support.shop_ledger import SCRIPT
from tests.support.web_pages import ledger_of_shops, pages, seen


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pages(ledger_of_shops(tmp_path_factory.mktemp("pages"))) as client:
        yield client


ESPRESSO = "/product/ESPRESSO-1KG"


def test_the_answer_says_where_it_is_short_and_what_is_coming(client: TestClient) -> None:
    text = seen(client, ESPRESSO)
    assert "GTIN 04012345000016 Rösterei Alt & Söhne 6 in a pack minimum 12 2 days to deliver" in text
    assert "Below the reorder point at Altmarkt. Hafenstraße may change. 12 on the road." in text
    assert "All locations ~ 291 295 4 12" in text
    assert "Altmarkt closed Mon 19:42 19 1 below 23 4 12 20 2.1 9.0" in text


def test_late_sales_and_counts_are_told_with_when_they_became_known(client: TestClient) -> None:
    text = seen(client, f"{ESPRESSO}?location=altmarkt")
    assert (
        "Fri 13 Mar 07:41 learned Fri 13 Mar 11:42 Count late altmarkt-1 = 30 29 Variance −12 then, −8 now 74" in text
    )
    assert "Sale late R-LATE, altmarkt-1 −4 29 Became known after a later count" in text
    assert "Wed 25 Feb 09:37 to Thu 12 Mar 09:37 known at once 16 sales folded −33 42" in text
    assert "16 sales" not in seen(client, f"{ESPRESSO}?location=altmarkt&sales=each")


def test_the_plot_has_its_figures_in_a_table_as_known_now_and_on_the_day(client: TestClient) -> None:
    text = seen(client, f"{ESPRESSO}?location=altmarkt")
    assert "On hand at Altmarkt, last 30 days" in text
    assert "End of On hand As known on the day 17 Mar 23 23 16 Mar 23 23" in text
    assert "13 Mar 29 29 12 Mar 38 42 11 Mar 45 45" in text
    assert "23 Feb 0 0 22 Feb 0 0" in text
    told = client.get(f"{ESPRESSO}?location=altmarkt").text
    assert "Step plot of on hand at Altmarkt from 16 Feb to 17 Mar. It lay between 0 and 75 and is 23 now." in told


def test_what_is_not_listed_says_what_to_do(client: TestClient) -> None:
    text = seen(client, "/product/gtin%3A00000096385074")
    assert "Unlisted barcode gtin:00000096385074" in text
    assert "Not in the catalogue: give it a name, or map it to a product." in text


def test_a_product_that_nobody_knows_is_not_found_and_a_name_is_no_markup(client: TestClient) -> None:
    assert "No product has the SKU M/ILK" in seen(client, "/product/M/ILK", status=404)
    assert SCRIPT not in client.get("/product/ODD").text
    assert SCRIPT not in client.get(f"/product/{SCRIPT}").text
    assert "sales: expected one of folded, each, got 'some'" in seen(client, f"{ESPRESSO}?sales=some", status=400)
