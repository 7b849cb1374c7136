"""A date as `as_of` is the end of each location's own business day, and locations are named and set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.requests import ListAudit, ListLocations, RenameLocation, SetLocation
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore, StoreError
from pos_client.protocol.units import micros
from tests.support.ledgers import Clock, Till, body, level, opened, proof_of, stock
from tests.support.sites import on_both

pytestmark = on_both

DAY = date(2026, 10, 31)
NOW = "2026-12-01T12:00:00+00:00"


def at(text: str) -> int:
    return micros(datetime.fromisoformat(text))


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    with opened(ledger, Clock(at(NOW))) as store:
        yield store
        proof = proof_of(ledger)
    assert proof.holds, proof.findings


def set_location(store: LedgerStore, location: str, **given: Any) -> None:
    perform(store, SetLocation(location, **given, actor=HEADQUARTERS))


SALES = [
    # zone, hour                   a sale at                     counts by the end of 31 October
    (None, None, "2026-10-31T23:59:59.999999+00:00", True),
    (None, None, "2026-11-01T00:00:00+00:00", False),
    ("Europe/Berlin", None, "2026-10-31T23:59:59.999999+01:00", True),
    ("Europe/Berlin", None, "2026-11-01T00:00:00+01:00", False),
    ("America/New_York", 0, "2026-11-01T03:59:59+00:00", True),
    ("America/New_York", 0, "2026-11-01T04:00:00+00:00", False),
    ("Europe/Berlin", 4, "2026-11-01T03:59:59+01:00", True),
    ("Europe/Berlin", 4, "2026-11-01T04:00:00+01:00", False),
    (None, 4, "2026-11-01T03:59:59+00:00", True),
]


@pytest.mark.parametrize(("zone", "hour", "moment", "counts"), SALES)
def test_a_sale_belongs_to_the_business_day_of_its_location(
    store: LedgerStore, zone: str | None, hour: int | None, moment: str, counts: bool
) -> None:
    Till(store).posts(body("sale", ("a", 1), at=at(moment)))
    set_location(store, "L1", time_zone=zone, day_ends_hour=hour)
    assert level(store, as_of=DAY).on_hand == -int(counts)


PLACES = [("auckland", "Pacific/Auckland", 0), ("berlin", "Europe/Berlin", 0), ("honolulu", "Pacific/Honolulu", 4)]


@pytest.fixture
def chain(store: LedgerStore) -> LedgerStore:
    """Three shops round the world that each sell one piece every hour."""
    for place, zone, hour in PLACES:
        till = Till(store, f"till-{place}", place)
        first = at("2026-10-31T00:30:00+00:00")
        till.post(*(body("sale", ("a", 1), ("b", 2), at=first + hour * 3_600_000_000) for hour in range(48)))
        set_location(store, place, time_zone=zone, day_ends_hour=hour)
    return store


# auckland's day ended at 11:00 UTC, berlin's at 23:00, honolulu's at 14:00 of the day after
SOLD = {"auckland": 11, "berlin": 23, "honolulu": 38}


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("named", [{}, {"skus": ["a", "b"], "locations": list(SOLD)}])
def test_one_answer_has_each_locations_own_day_page_by_page_while_tills_sell(
    chain: LedgerStore, named: dict[str, Any], limit: int
) -> None:
    page = stock(chain, as_of=DAY, limit=limit, **named)
    found = {(item.location, item.sku): item.on_hand for item in page.items}
    while page.cursor is not None:
        Till(chain, "till-berlin", "berlin").posts(body("sale", ("a", 5), ("b", 5), at=at("2026-10-31T12:00:00+00:00")))
        page = stock(chain, as_of=DAY, limit=limit, cursor=page.cursor, **named)
        found |= {(item.location, item.sku): item.on_hand for item in page.items}
    assert found == {(place, sku): -sold * each for place, sold in SOLD.items() for sku, each in (("a", 1), ("b", 2))}


def test_a_location_without_movements_has_a_day_too(chain: LedgerStore) -> None:
    set_location(chain, "empty", time_zone="Asia/Tokyo")
    assert level(chain, location="empty", as_of=DAY).on_hand == 0


def test_what_is_not_given_stays_and_setting_makes_a_location_known(store: LedgerStore) -> None:
    set_location(store, "north", name="North Gate", time_zone="Europe/Paris")
    set_location(store, "north", day_ends_hour=4)
    set_location(store, "north", name="North")
    set_location(store, "south")
    rows = perform(store, ListLocations(actor=HEADQUARTERS))
    assert [(row.location, row.name, row.time_zone, row.day_ends_hour) for row in rows] == [
        ("north", "North", "Europe/Paris", 4),
        ("south", None, "UTC", 0),
    ]


def test_a_location_is_renamed_only_if_headquarters_know_it(store: LedgerStore) -> None:
    set_location(store, "north", name="North Gate", time_zone="Europe/Paris")
    perform(store, RenameLocation("north", "N\x1b[31m", actor=HEADQUARTERS))
    with pytest.raises(StoreError, match="does not know location nort; did you mean north"):
        perform(store, RenameLocation("nort", "North", actor=HEADQUARTERS))
    [row] = perform(store, ListLocations(actor=HEADQUARTERS))
    assert (row.location, row.name, row.time_zone) == ("north", "N\x1b[31m", "Europe/Paris")
    entries = perform(store, ListAudit(actor=HEADQUARTERS))
    assert ("rename_location", "done") in [(each.request, each.outcome) for each in entries]


def test_a_zone_that_does_not_exist_is_refused_and_nothing_is_set(store: LedgerStore) -> None:
    with pytest.raises(StoreError, match="There is no time zone 'Europe/Atlantis' on this machine: expected an IANA"):
        set_location(store, "north", name="North", time_zone="Europe/Atlantis")
    assert perform(store, ListLocations(actor=HEADQUARTERS)) == []
