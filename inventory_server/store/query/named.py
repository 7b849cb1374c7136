"""What a stock question names: SKUs, a barcode, locations, and which of them HQ does not know."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import date

from msgspec import UnsetType, structs
from sqlalchemy import Connection, bindparam, select

from inventory_server.domain.business_day import UTC_NAME, BusinessDays, time_zone
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Lookup, Statement, among, plain_rows
from pos_client.protocol import gtin
from pos_client.protocol.messages import StockItem, StockParams, UnknownItem

_sku_of = Statement(select(t.barcode.c.sku).where(t.barcode.c.gtin == bindparam("gtin")))
known_locations = Lookup(t.location, [t.location.c.location], t.location.c.location)
"""Those of the locations given that HQ knows."""


_names_of = Lookup(t.product, [t.product.c.sku], t.product.c.sku, t.product.c.name, t.product.c.unit)
_days_of = Lookup(t.location, [t.location.c.location])
"""The rows of locations: their time zones, and when their business days end."""


def ends_of_day(connection: Connection, day: date, locations: Iterable[str]) -> dict[str, int]:
    """When the business `day` of each location ends (microseconds); StoreError if this machine lacks a time zone."""
    return {location: days.end(day) for location, days in business_days(connection, locations).items()}


def business_days(connection: Connection, locations: Iterable[str]) -> dict[str, BusinessDays]:
    """The business days of each location; StoreError if this machine lacks a time zone."""
    days = dict.fromkeys(locations, BusinessDays(time_zone(UTC_NAME), 0))
    for location, _, zone, hour in _days_of(connection, [(name,) for name in days]):
        try:
            days[location] = BusinessDays(time_zone(zone or UTC_NAME), hour or 0)
        except LookupError as error:
            raise StoreError(f"Location {location}: {error}") from error
    return days


class Named:
    """The SKUs and locations that a question names, and which of them are unknown to HQ."""

    def __init__(self, connection: Connection, params: StockParams) -> None:
        self.unknown: list[UnknownItem] = []
        self.skus = self._skus(connection, params)
        self.locations = self._locations(connection, params)

    def _skus(self, connection: Connection, params: StockParams) -> list[str] | None:
        wanted, scanned = _listed(params.skus, params.sku), params.gtin
        if wanted is None and isinstance(scanned, UnsetType):
            return None if isinstance(params.search, UnsetType) else self._found(connection, params.search)
        known = known_skus(connection, wanted or [])
        self.unknown += [UnknownItem(sku=sku) for sku in wanted or () if sku not in known]
        if not isinstance(scanned, UnsetType):
            listed = _sku_of(connection, gtin=gtin.padded(scanned))
            found = known_skus(connection, [listed[0][0] if listed else gtin.suspense_sku(scanned)])
            self.unknown += [] if found else [UnknownItem(gtin=scanned)]
            known |= found
        return sorted(known)

    def _found(self, connection: Connection, search: str) -> list[str]:
        """The listed products whose SKU or name has all words of `search`, on every database in the same way."""
        words = search.casefold().split()
        rows = plain_rows(connection, select(t.product.c.sku, t.product.c.name))
        found = [sku for sku, name in rows if all(word in f"{sku} {name or ''}".casefold() for word in words)]
        self.unknown += [] if found else [UnknownItem(search=search)]
        return sorted(found)

    def _locations(self, connection: Connection, params: StockParams) -> list[str] | None:
        wanted = _listed(params.locations, params.location)
        if wanted is None:
            return None
        known = {row[0] for row in known_locations(connection, [(name,) for name in wanted])}
        self.unknown += [UnknownItem(location=name) for name in wanted if name not in known]
        return sorted(known)

    def pairs(self) -> Iterator[Key] | None:
        """Every (location, sku) in key order, if the question names both; else None."""
        return None if self.skus is None or self.locations is None else itertools.product(self.locations, self.skus)


def named_items(connection: Connection, items: list[StockItem]) -> list[StockItem]:
    """The items with the names and units of their products."""
    rows = _names_of(connection, [(sku,) for sku in {item.sku for item in items}])
    names = {sku: (name, unit) for sku, name, unit in rows}
    nameless = (None, None)
    return [
        structs.replace(item, name=name, unit=unit) for item in items for name, unit in [names.get(item.sku, nameless)]
    ]


def _listed(many: list[str] | UnsetType, one: str | UnsetType) -> list[str] | None:
    if isinstance(many, UnsetType) and isinstance(one, UnsetType):
        return None
    named = [] if isinstance(many, UnsetType) else many
    return list(dict.fromkeys(named if isinstance(one, UnsetType) else [*named, one]))


def known_skus(connection: Connection, skus: list[str]) -> set[str]:
    """Those of `skus` that are in the catalogue or have ever had a level."""
    if not skus:
        return set()
    listed = select(t.product.c.sku).where(among(connection, t.product.c.sku, skus))
    moved = select(t.level.c.sku).where(among(connection, t.level.c.sku, skus))
    return {row[0] for row in plain_rows(connection, listed.union(moved))}
