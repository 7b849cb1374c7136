"""What sales and returns moved, read for many products at once, with the prices that their lines gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UnsetType
from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    FromClause,
    and_,
    bindparam,
    literal_column,
    select,
    union_all,
)

from inventory_server.config import SOLD_POSTINGS
from inventory_server.domain.inventory import Account, Listed
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Void
from inventory_server.store.ledger.sql import ForEach, Lookup
from inventory_server.store.query.intervals import WANTED, Interval, IntervalReader, is_visited, is_within
from pos_client.protocol import gtin
from pos_client.protocol.lists import ListedLine
from pos_client.protocol.units import scaled

_p = t.posting.c
_IS_SOLD = _p.type.in_([literal_column("'sale'"), literal_column("'return'")])
_postings = Lookup(
    t.posting, [_p.position], _p.position, _p.id, _p.location, _p.type, _p.body, prunes=True, where=_IS_SOLD
)
_voids = Lookup(t.void, [t.void.c.voids])
_barcodes = Lookup(t.barcode, [t.barcode.c.gtin])


class Sold(NamedTuple):
    """One line of a sale or return that stands: `quantity` is negative for what came back with a sale.

    `amount` is quantity × price (of a pack: packs × price) in units of 10⁻¹⁰ of `currency` (None: none was given); None
    without a price.
    """

    location: str
    sku: str
    position: int
    effective_at: int
    is_return: bool
    quantity: int
    amount: int | None = None
    currency: str | None = None


class _Row(NamedTuple):
    """A stock movement of any posting but a void."""

    position: int
    location: str
    sku: str
    entry: int
    quantity: int
    effective_at: int


class _Body(msgspec.Struct):
    """What is read of a body."""

    lines: list[ListedLine] = msgspec.field(default_factory=list)


_bodies = msgspec.json.Decoder(_Body)


def sold(
    connection: Connection, reader: IntervalReader, intervals: Iterable[Interval], known_at: int
) -> Iterator[Sold]:
    """What was sold and came back in `intervals`, as known at a position; what was voided by then is left out."""
    rows = sorted(_Row(*row) for row in reader.rows(intervals, _moved, _strayed))
    by_position: dict[int, list[_Row]] = {}
    for row in rows:
        by_position.setdefault(row.position, []).append(row)
    positions = list(by_position)
    for at in range(0, len(positions), SOLD_POSTINGS):
        wanted = [(position,) for position in positions[at : at + SOLD_POSTINGS]]
        yield from _priced(connection, by_position, _postings(connection, wanted), known_at)


def _priced(
    connection: Connection, by_position: dict[int, list[_Row]], postings: list[Any], known_at: int
) -> Iterator[Sold]:
    voids: dict[bytes, list[Void]] = {}
    for row in _voids(connection, [(id_,) for _, id_, *_ in postings]):
        voids.setdefault(row[0], []).append(Void(*row))
    bodies = {position: _bodies.decode(body).lines for position, *_, body in postings}
    scanned = {gtin.padded(line.gtin) for lines in bodies.values() for line in lines if isinstance(line.gtin, str)}
    skus = {row[0]: (row[1], row[2]) for row in _barcodes(connection, [(digits,) for digits in scanned])}
    for position, id_, location, kind, _ in postings:
        if not any(void.position <= known_at and void.works_at(location) for void in voids.get(id_, ())):
            yield from _lines_of(by_position[position], kind == "return", bodies[position], skus)


def _lines_of(rows: list[_Row], is_return: bool, lines: list[ListedLine], skus: Listed) -> Iterator[Sold]:
    """The lines that moved the product of each of `rows`; without a price where more than one line may be meant.

    A barcode may have been another product's then, or of another number of units: only if the lines that mean a product
    now are those of its movements, one by one, are their prices known.
    """
    for sku in sorted({row.sku for row in rows}):
        moved = [row for row in rows if row.sku == sku]
        meant = [line for line in lines if _may_mean(line, sku, skus)]
        quantities = [row.quantity if is_return else -row.quantity for row in moved]
        is_certain = [scaled(line.quantity) * _units(line, sku, skus) for line in meant] == quantities
        for nth, (row, quantity) in enumerate(zip(moved, quantities, strict=True)):
            at = (row.location, sku, row.position, row.effective_at, is_return, quantity)
            yield Sold(*at, *(_price(meant[nth]) if is_certain else (None, None)))


def _may_mean(line: ListedLine, sku: str, skus: Listed) -> bool:
    if isinstance(line.gtin, UnsetType):
        return line.sku == sku
    return sku in (skus.get(gtin.padded(line.gtin), ("", 1))[0], gtin.suspense_sku(line.gtin))


def _units(line: ListedLine, sku: str, skus: Listed) -> int:
    """How many units of a product one unit of a line is: more than 1 of a pack."""
    if isinstance(line.gtin, UnsetType):
        return 1
    listed, units = skus.get(gtin.padded(line.gtin), ("", 1))
    return units if listed == sku else 1


def _price(line: ListedLine) -> tuple[int | None, str | None]:
    if isinstance(line.unit_price, UnsetType):
        return None, None
    return scaled(line.quantity) * scaled(line.unit_price), line.currency if isinstance(line.currency, str) else None


def _of_segments(wanted: FromClause) -> Executable:
    m, s, w = t.movement.c, t.segment.c, wanted.c
    opened = select(bindparam("open", type_=BigInteger))
    visited = union_all(select(s.segment), opened).cte("visited")
    same = and_(m.segment == visited.c.segment, m.location == w.location, m.sku == w.sku)
    return (
        select(m.position, m.location, m.sku, m.entry, m.quantity, m.effective_at)
        .select_from(wanted.join(visited, is_visited(visited, wanted)).join(t.movement, same))
        .where(m.account == literal_column(str(int(Account.STOCK))), m.event_position.is_(None))
        .where(*is_within(t.movement, wanted))
    )


def _of_stragglers(wanted: FromClause) -> Executable:
    s, w = t.straggler.c, wanted.c
    same = and_(s.location == w.location, s.sku == w.sku, s.position.between(w.first_position, w.last_position))
    return (
        select(s.position, s.location, s.sku, s.entry, s.quantity, s.effective_at)
        .select_from(wanted.join(t.straggler, same))
        .where(s.event_position.is_(None), bindparam("open", type_=BigInteger) >= literal_column("0"))
        .where(*is_within(t.straggler, wanted))
    )


_moved = ForEach(WANTED, _of_segments, in_order=True)
_strayed = ForEach(WANTED, _of_stragglers)
