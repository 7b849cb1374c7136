"""The order list: what to order of the products that the catalogue gives a reorder point, at which location.

The products are read `ORDER_KEYS` at a time, by location and SKU, each time in the same few statements.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, tzinfo
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select, true, tuple_

from inventory_server.config import ORDER_KEYS, Settings
from inventory_server.domain.completeness import is_incomplete
from inventory_server.domain.door import Progress
from inventory_server.domain.limits import ORDER_LINES_MAX
from inventory_server.domain.order_lines import Candidate, OrderLine, OrderList, order_line
from inventory_server.domain.ordering import UNKNOWN_VELOCITY, Supply, Terms, is_needed, order_time
from inventory_server.domain.requests import ListOrder
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import reserved_by_key
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import among, plain_rows
from inventory_server.store.query.assortment import NOWHERE
from inventory_server.store.query.completeness import completeness_of
from inventory_server.store.query.named import business_days
from inventory_server.store.query.ordered import open_marks, ordered_by_key
from inventory_server.store.query.velocity import Velocities
from pos_client.protocol.units import SECOND_MICROS

_level, _product, _ranged, _supplier = t.level.c, t.product.c, t.product_location.c, t.supplier.c
_reserved = reserved_by_key.subquery()
_reorder_point = func.coalesce(_ranged.reorder_point, _product.reorder_point)
_supplier_name = func.coalesce(_ranged.supplier, _product.supplier)
_TERMS: tuple[ColumnElement[Any], ...] = (
    _product.name,
    _product.unit,
    _reorder_point,
    _supplier_name,
    func.coalesce(_ranged.pack_size, _product.pack_size),
    func.coalesce(_ranged.minimum, _product.minimum),
    func.coalesce(_product.lead_time_days, _supplier.lead_time_days),
    func.coalesce(_product.order_cycle_days, _supplier.order_cycle_days),
    func.coalesce(_product.order_by_hour, _supplier.order_by_hour),
)


class _Row(NamedTuple):
    """A product at a location, as the catalogue and its level have it."""

    location: str
    sku: str
    available: int
    in_transit: int
    name: str | None
    unit: str | None
    terms: Terms

    @property
    def key(self) -> Key:
        """Its place in the order of the list that is read."""
        return self.location, self.sku


def order_list(
    connection: Connection, settings: Settings, now: int, question: ListOrder, progress: Progress
) -> OrderList:
    """What to order now, in the order in which suppliers have to be asked."""
    reading = _Reading(connection, settings, now, question)
    kept = heapq.nsmallest(ORDER_LINES_MAX, reading.needed(progress), key=itemgetter(0))
    lines = [order_line(one, now, reading.zone(one.location)) for _, one in kept]
    first: dict[str | None, int] = {}
    for line in lines:
        first[line.supplier] = min(first.get(line.supplier, line.order_by_at), line.order_by_at)
    lines.sort(key=lambda line: (first[line.supplier], line.supplier is None, line.supplier or "", *_urgency(line)))
    return OrderList(head_of(connection).position, now, reading.total, lines, reading.completeness, reading.unknown)


def _urgency(line: OrderLine) -> tuple[Any, ...]:
    return line.order_by_at, line.runs_out is None, line.runs_out, line.sku, line.location or NOWHERE


_Needed = tuple[tuple[int, str, str], Candidate]
"""A product to be ordered, behind by when, its SKU and its location."""


class _Reading:
    """What one order list reads, and what it has found so far."""

    def __init__(self, connection: Connection, settings: Settings, now: int, question: ListOrder) -> None:
        self._connection = connection
        self._now = now
        self._question = question
        known = {row[0] for row in plain_rows(connection, select(t.location.c.location))}
        suppliers = {row[0] for row in plain_rows(connection, select(_supplier.supplier))}
        named = [*(question.locations or ()), *(question.suppliers or ())]
        self.unknown = [name for name in named if name not in known | suppliers]
        self._places = known if question.locations is None else known.intersection(question.locations)
        self.total = 0
        self.completeness = completeness_of(connection, settings, now, self._places)
        late = settings.silent_after_seconds * SECOND_MICROS
        self._unsure = {name for name, told in self.completeness.items() if is_incomplete(told, now, late)}
        self._velocities = Velocities(connection, now)
        self._ordered = ordered_by_key(open_marks(connection, now, self._velocities.merges))
        self._zones = {name: days.zone for name, days in business_days(connection, self._places).items()}

    def zone(self, location: str | None) -> tzinfo:
        """The time zone of a location."""
        return self._zones.get(location or NOWHERE, UTC)

    def needed(self, progress: Progress) -> Iterator[_Needed]:
        """All of which something has to be ordered, by location and SKU; they are counted in `total`.

        Each with its place in the order in which they have to be ordered.
        """
        after: Key | None = None
        done = 0
        while rows := self._page(after):
            after = rows[-1].key
            for one in self._candidates(rows):
                if is_needed(one.supply, one.terms, one.rate):
                    self.total += 1
                    time = order_time(one.supply, one.terms, one.rate, self._now, self.zone(one.location))
                    yield (time.by_at, one.sku, one.location or NOWHERE), one
            done += len(rows)
            progress(done, done + (len(rows) == ORDER_KEYS))

    def _candidates(self, rows: list[_Row]) -> Iterator[Candidate]:
        rows = [row for row in rows if row.sku not in self._velocities.merges.by_ended]
        keys = [row.key for row in rows if row.location != NOWHERE]
        rates = self._velocities.of(keys, is_range=self._question.skus is None) if keys else {}
        for row in rows:
            supply = Supply(row.available, row.in_transit, self._ordered.get(row.key, 0))
            told = (row.name, row.unit, row.terms, supply, rates.get(row.key, UNKNOWN_VELOCITY))
            yield Candidate(row.location or None, row.sku, *told, row.location not in self._unsure)

    def _page(self, after: Key | None) -> list[_Row]:
        """The next products with a reorder point."""
        found = [
            (location, sku, on_hand - int(reserved), in_transit, name, unit, Terms(*terms))
            for statement, place, sku_ in (_with_level(), _without_level(), self._nowhere())
            for location, sku, on_hand, reserved, in_transit, name, unit, *terms in plain_rows(
                self._connection, self._bounded(statement, place, sku_, after), now=self._now
            )
        ]
        return sorted(map(_Row._make, found), key=lambda row: row.key)[:ORDER_KEYS]

    def _bounded(
        self, statement: Select[Any], place: ColumnElement[Any], sku: ColumnElement[Any], after: Key | None
    ) -> Select[Any]:
        question, connection = self._question, self._connection
        if question.locations is not None:
            statement = statement.where(among(connection, place, sorted(self._places)))
        if question.suppliers is not None:
            statement = statement.where(among(connection, _supplier_name, question.suppliers))
        if question.skus is not None:
            statement = statement.where(among(connection, sku, question.skus))
        if after is not None:
            statement = statement.where(tuple_(place, sku) > after)
        return statement.order_by(place, sku).limit(ORDER_KEYS)

    def _nowhere(self) -> tuple[Select[Any], ColumnElement[Any], ColumnElement[Any]]:
        """Products that are ranged for no location and that none ever had: at the locations named, else at none."""
        anywhere = select(_level.sku).where(_level.sku == _product.sku).correlate(t.product).exists()
        is_named = self._question.locations is not None
        place: ColumnElement[Any] = t.location.c.location if is_named else literal(NOWHERE)
        everywhere = t.product.join(t.location, true()) if is_named else t.product
        none_ranged = and_(_ranged.location == place, _ranged.sku == _product.sku)
        joined = everywhere.outerjoin(t.product_location, none_ranged)
        statement = _with_terms(place, _product.sku, joined).where(_product.is_ranged == 0, ~anywhere)
        return statement, place, _product.sku


def _with_level() -> tuple[Select[Any], ColumnElement[Any], ColumnElement[Any]]:
    """Products of which HQ has a level at a location that they are ranged for, or that are ranged for none."""
    here = and_(_ranged.location == _level.location, _ranged.sku == _level.sku)
    by_key = and_(_reserved.c.location == _level.location, _reserved.c.sku == _level.sku)
    statement = (
        select(
            _level.location,
            _level.sku,
            _level.on_hand,
            func.coalesce(_reserved.c.reserved, 0),
            _level.in_transit,
            *_TERMS,
        )
        .select_from(
            t.level.join(t.product, _product.sku == _level.sku)
            .outerjoin(t.product_location, here)
            .outerjoin(t.supplier, _supplier.supplier == _supplier_name)
            .outerjoin(_reserved, by_key)
        )
        .where(_reorder_point.is_not(None), or_(_product.is_ranged == 0, _ranged.sku.is_not(None)))
    )
    return statement, _level.location, _level.sku


def _without_level() -> tuple[Select[Any], ColumnElement[Any], ColumnElement[Any]]:
    """Products that are ranged for a location at which HQ has no level of them."""
    there = select(_level.sku).where(_level.location == _ranged.location, _level.sku == _ranged.sku)
    ranged = t.product_location.join(t.product, _product.sku == _ranged.sku)
    missing = ~there.correlate(t.product_location).exists()
    return _with_terms(_ranged.location, _ranged.sku, ranged).where(missing), _ranged.location, _ranged.sku


def _with_terms(place: ColumnElement[Any], sku: ColumnElement[Any], rows: Any) -> Select[Any]:
    """Products without stock; only a reorder point above 0 has one ordered."""
    nothing = literal(0)
    joined = rows.outerjoin(t.supplier, _supplier.supplier == _supplier_name)
    statement = select(place, sku, nothing, nothing, nothing, *_TERMS).select_from(joined)
    return statement.where(_reorder_point > 0)
