"""An operator's client: it posts for any location, merges products, and reads back typed what it posted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from inventory_server.domain.requests import Enrol
from pos_client import Body, Line, PosClient
from tests.support.commands import headquarters
from tests.support.maintenance import change
from tests.support.tills import FAST
from tests.support.waiting import HANG_SECONDS

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[PosClient]:
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        change(url, Enrol("office", "operator", "hq", "secret"))
        with PosClient(
            address, terminal="office", token="secret", location="hq", outbox=tmp_path / "office.db", retry_policy=FAST
        ) as client:
            yield client


def on_hand(client: PosClient, sku: str) -> dict[str | None, object]:
    return {item.location: item.on_hand for item in client.stock([sku]).items}


def test_an_operator_receives_and_corrects_at_any_location(office: PosClient) -> None:
    office.receive([("milk", 10)], location="north", reference="DN-1")
    office.adjust([("milk", -1)], reason="broken", location="north")
    office.count([("milk", 4)], location="south").wait(HANG_SECONDS)
    assert on_hand(office, "milk") == {"north": 9, "south": 4}


def test_an_operator_merges_one_product_into_another(office: PosClient) -> None:
    office.receive([("milk-old", 10)], location="north")
    office.receive([("milk", 1)], location="north")
    merged = office.merge("milk-old", into="milk").wait(HANG_SECONDS)
    assert merged.status == "posted"
    assert on_hand(office, "milk") == {"north": 11}


def test_a_posting_is_read_back_typed_and_byte_for_byte(office: PosClient) -> None:
    posted = office.receive(
        [Line(Decimal("2.50"), sku="ham", unit_price=Decimal("1.20"), currency="EUR")],
        location="north",
        occurred_at=AT,
        ext={"driver": "mira"},
    )
    posted.wait(HANG_SECONDS)
    found = office.posting(posted)
    assert isinstance(found.body, Body)
    assert (found.status, found.location, found.body.type, found.body.occurred_at) == ("posted", "north", "receipt", AT)
    assert found.body.lines == [Line(Decimal("2.50"), sku="ham", unit_price=Decimal("1.20"), currency="EUR")]
    assert msgspec.json.decode(found.raw)["ext"] == {"driver": "mira"}
    assert found.recorded_at.tzinfo is not None
    assert office.posting(posted.id) == found


def test_a_parked_posting_is_read_back_typed(office: PosClient) -> None:
    sale = office.receive([("milk", 1)], occurred_at=AT)
    office.void(sale, occurred_at=AT)
    office.void(sale, occurred_at=AT).wait(HANG_SECONDS)
    [parked] = office.outbox.parked()
    assert parked.body is not None
    assert (parked.body.type, parked.body.voids, parked.occurred_at) == ("void", sale.id, AT)
    assert parked.parked_at.tzinfo is not None
    assert office.posting(parked.id).status == "rejected"
