"""Packs: a barcode that stands for several units of a product moves so many, whatever the posting."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts, ListExceptions, ListSales, ShowProduct
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol import wire
from pos_client.protocol.lists import ExceptionsParams, SalesParams, SalesValue
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import instant
from tests.support.ledgers import NOON, Till, body, level, opened, proof_of, uid, url_of

CASE, ONE = "00000040000008", "00000040000015"


def lists(store: LedgerStore, units: int, says_units: bool = True) -> None:
    """Have the catalogue list product a with two barcodes, of which one is that of a pack of so many units."""
    product = Product("a", barcodes=(ONE, CASE), packs={} if units == 1 else {CASE: units})
    columns = ("sku", "barcode", *(("barcode_units",) if says_units else ()))
    perform(store, ImportProducts([product], columns=columns, actor=HEADQUARTERS))


def test_a_pack_moves_its_units_in_every_posting(ledger: str) -> None:
    with opened(ledger) as store:
        lists(store, 12)
        till = Till(store)
        case = f"gtin:{CASE}"
        till.post(body("receipt", (case, 10)), body("sale", (case, 1), (f"gtin:{ONE}", 2), ("a", 3)))
        assert level(store).on_hand == 120 - 12 - 2 - 3
        till.post(body("return", (case, 1)), body("reserve", (case, 2)))
        assert (level(store).on_hand, level(store).reserved) == (115, 24)
        moved = uid("moved")
        till.posts(body("transfer_out", (case, 3), other_location="L2"), moved)
        assert level(store).on_hand == 79
        Till(store, "T2", "L2").post(body("transfer_in", (case, 2), ("a", 1), transfer=moved))
        there = level(store, location="L2")
        assert (there.on_hand, there.in_transit) == (25, 11)
        till.post(body("count", (case, 5), ("a", 4)))
        assert level(store).on_hand == 64
    assert proof_of(ledger).findings == []


def test_a_pack_that_changes_keeps_what_it_was(ledger: str) -> None:
    with opened(ledger) as store:
        till = Till(store)
        lists(store, 12)
        sold: UUID = uid("sold")
        till.posts(body("sale", (f"gtin:{CASE}", 1)), sold)
        lists(store, 24)
        till.post(body("sale", (f"gtin:{CASE}", 1)))
        assert level(store).on_hand == -36
        lists(store, 1, says_units=False)  # a file without the units of barcodes keeps them
        till.post(body("sale", (f"gtin:{CASE}", 1)))
        assert level(store).on_hand == -60
        lists(store, 1)
        till.post(body("sale", (f"gtin:{CASE}", 1)), body("void", voids=sold))
        assert level(store).on_hand == -49
        card = perform(store, ShowProduct("a", actor=HEADQUARTERS))
        assert (card.barcodes, card.packs) == ([CASE, ONE], {})
    assert proof_of(ledger).findings == []


def test_what_is_paid_for_a_pack_is_the_price_of_the_pack(tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        lists(store, 6)
        lines = [Line(2, gtin=CASE, unit_price=5, currency="EUR"), Line(1, gtin=ONE, unit_price=1, currency="EUR")]
        Till(store).post(wire.encode_body(Body("sale", instant(NOON), lines)))
        [day] = perform(store, ListSales(SalesParams(), actor=HEADQUARTERS)).sales
        assert (day.quantity, day.values, day.unpriced) == (13, [SalesValue(11, "EUR")], 0)


def test_what_was_sold_before_a_pack_was_listed_is_not_merged(tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        till = Till(store)
        till.post(body("sale", (f"gtin:{CASE}", 1), (f"gtin:{ONE}", 1)))
        lists(store, 12)
        assert level(store).on_hand == -1
        assert level(store, sku=f"gtin:{CASE}").on_hand == -1
        waiting = perform(store, ListExceptions(ExceptionsParams(flag="unlisted_product"), actor=HEADQUARTERS)).causes
        assert [cause.subject for cause in waiting] == [f"gtin:{CASE}"]
    assert proof_of(tmp_path / "hq.db").findings == []


def test_more_units_than_a_line_may_have_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        lists(store, 100_000)
        result = Till(store).posts(body("sale", ("a", 1), (f"gtin:{CASE}", 10_001)))
        assert (result.status, result.code) == ("rejected", "invalid_body")
        assert result.reason == (
            "$.lines[1]: expected packs of at most 1,000,000,000 units of 'a' in all, got 1,000,100,000"
        )
        assert Till(store, "T2").posts(body("sale", (f"gtin:{CASE}", 10_000))).status == "posted"


@pytest.mark.parametrize("change", ["quantity = quantity - 100000", "quantity = quantity * 2"])
def test_the_proof_finds_a_pack_that_moved_what_it_never_was(change: str, tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        lists(store, 12)
        Till(store).post(body("sale", (f"gtin:{CASE}", 1)))
    engine = create_engine(url_of(tmp_path / "hq.db"))
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE movement SET {change}"))
    engine.dispose()
    findings = proof_of(tmp_path / "hq.db").findings
    assert any("the movements are not those of the body" in finding for finding in findings)
