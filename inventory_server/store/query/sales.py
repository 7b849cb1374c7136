"""The list of sales: what was sold of each product at each location on each business day, and for how much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_

from inventory_server.config import Settings
from inventory_server.domain.limits import SALES_DAYS_USUAL
from inventory_server.domain.merge import families, standing
from inventory_server.domain.requests import ListSales
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places, visible_places
from inventory_server.store.ledger.head import Head, head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.query.completeness import completeness_of_list
from inventory_server.store.query.intervals import Interval, IntervalReader
from inventory_server.store.query.named import business_days
from inventory_server.store.query.paging import decode_cursor, encode_cursor, page_size
from inventory_server.store.query.scope import Stretch, named_skus, unknown, within
from inventory_server.store.query.sold import Sold, sold
from pos_client.protocol.fields import NonNegative
from pos_client.protocol.lists import ListedSales, SalesResult, SalesValue
from pos_client.protocol.units import QUANTITY_PLACES, SECOND_MICROS, unscaled

_level = t.level.c
_DAY = 86_400 * SECOND_MICROS


class _Place(NamedTuple):
    """Where a page begins: the position of the first page, and the last row of the one before."""

    position: NonNegative
    location: str
    sku: str
    day: date


@dataclass
class _Sum:
    """What was sold of a product on a day, in units of 10⁻⁵; `amounts` in units of 10⁻¹⁰ by currency."""

    sold: int = 0
    returned: int = 0
    unpriced: int = 0
    amounts: dict[str | None, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, line: Sold) -> None:
        """Add a line of a sale or a return."""
        sign = -1 if line.is_return else 1
        if line.is_return:
            self.returned += line.quantity
        else:
            self.sold += line.quantity
        if line.amount is None:
            self.unpriced += sign * line.quantity
        else:
            self.amounts[line.currency] += sign * line.amount


def sales(connection: Connection, settings: Settings, now: int, question: ListSales) -> SalesResult:
    """A page of what was sold, by location, product and business day."""
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    stretch, head = Stretch(connection, question.period), head_of(connection)
    stretch.assert_not_archived(head)
    start = decode_cursor(params.cursor, _Place)
    known_at = head.position if start is None else start.position
    days = (stretch.last - stretch.first) // _DAY + 1
    most = max(1, limit // min(days, SALES_DAYS_USUAL))
    places = visible_places(connection, question.actor, named_places(params))
    keys = _keys(connection, question, places, start, most + 1)
    sums = _sums(connection, head, stretch, keys[:most], known_at)
    rows = sorted(row for row in sums if start is None or row > start[1:])
    is_last = len(rows) <= limit and len(keys) <= most
    if is_last:
        cursor = None
    elif len(rows) > limit:
        cursor = encode_cursor(known_at, *rows[limit - 1][:2], rows[limit - 1][2].isoformat())
    else:
        cursor = encode_cursor(known_at, *keys[most - 1], date.max.isoformat())
    told = [_told(row, sums[row]) for row in rows[:limit]]
    complete = completeness_of_list(connection, settings, now, places) if start is None else {}
    return SalesResult(
        sales=told, position=known_at, unknown=unknown(connection, params), cursor=cursor, completeness=complete
    )


def _keys(
    connection: Connection, question: ListSales, places: list[str] | None, start: _Place | None, most: int
) -> list[Key]:
    """The next (location, sku): from that of the last row on if some of its days may be left, else after it."""
    skus = named_skus(question.params)
    wanted = [*within(connection, _level.location, places), *within(connection, _level.sku, skus)]
    statement = select(_level.location, _level.sku).where(*wanted).order_by(_level.location, _level.sku).limit(most)
    if start is not None:
        key = tuple_(_level.location, _level.sku)
        statement = statement.where(key > start[1:3] if start.day == date.max else key >= start[1:3])
    return [(row[0], row[1]) for row in plain_rows(connection, statement)]


def _sums(
    connection: Connection, head: Head, stretch: Stretch, keys: Iterable[Key], known_at: int
) -> dict[tuple[str, str, date], _Sum]:
    """What was sold of products on business days: each sale is of the product that its SKU meant then."""
    merges = [merge for merge in merges_of(connection, head) if merge.position <= known_at]
    connected, names = families((merge.ended, merge.into) for merge in merges), standing(merges, known_at=known_at)
    wanted = set(keys)
    read = {(location, member) for location, sku in wanted for member in connected.get(sku, (sku,))}
    intervals = [_interval(stretch, location, sku, known_at) for location, sku in sorted(read)]
    calendars = business_days(connection, {location for location, _ in wanted})
    sums: dict[tuple[str, str, date], _Sum] = defaultdict(_Sum)
    for line in sold(connection, IntervalReader(connection, head, known_at), intervals, known_at):
        sku = names.name(line.sku, (line.effective_at, line.position))
        if (line.location, sku) in wanted:
            sums[line.location, sku, calendars[line.location].of(line.effective_at)].add(line)
    return sums


def _interval(stretch: Stretch, location: str, sku: str, known_at: int) -> Interval:
    first, last = stretch.bounds(location)
    return Interval(location, sku, (first, -1), (last, known_at), known_at)


def _told(row: tuple[str, str, date], sums: _Sum) -> ListedSales:
    values = sorted(sums.amounts.items(), key=lambda each: each[0] or "")
    return ListedSales(
        location=row[0],
        sku=row[1],
        day=row[2],
        quantity=unscaled(sums.sold - sums.returned),
        returned=unscaled(sums.returned),
        values=[SalesValue(_money(amount), currency) for currency, amount in values],
        unpriced=unscaled(sums.unpriced),
    )


def _money(amount: int) -> int | Decimal:
    """An amount in units of 10⁻¹⁰: whole where it is, else with at least two decimals."""
    exact = Decimal(amount).scaleb(-2 * QUANTITY_PLACES)
    return int(exact) if exact == exact.to_integral_value() else exact.normalize()
