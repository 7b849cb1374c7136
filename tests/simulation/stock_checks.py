"""What must hold of stock when a run has come to rest: every figure is what the model makes of the ledger."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from inventory_server.domain.inventory import flag_names
from tests.simulation.book import Book, Created, Listed
from tests.simulation.trade import BARCODES, LOCATIONS, SKUS
from tests.simulation.world import Violation
from tests.support.model import Model, Sender, Stock
from tests.support.model.flags import CLOCK_FLAGS
from tests.support.model.postings import ON_HAND, Posting
from tests.support.model.stock import last_count

STOCK, COUNT, CARRIED = 0, 1, 2
TRANSFER, RESERVATION = 0, 1
ALWAYS = -(2**63)
"""Before every instant: nothing has expired then."""
NOTHING = Stock(0, 0, 0, 0)


class Row(NamedTuple):
    """A posting of the ledger."""

    position: int
    id: UUID
    digest: bytes
    terminal: str
    lineage: bytes | None
    seq: int | None
    recorded_at: int
    effective_at: int
    boot: bytes | None
    flags: int


class Movement(NamedTuple):
    """A row of `movement` as it must be."""

    position: int
    location: str
    sku: str
    account: int
    quantity: int
    effective_at: int
    event_position: int


def check_stock(database: sqlite3.Connection, rows: list[Row], book: Book, refused_merges: Mapping[UUID, int]) -> Model:
    """Raise Violation where a figure is wrong; otherwise return what the ledger means."""
    model = _replay(database, rows, book)
    _refused(database, model, book, refused_merges)
    _movements(database, model)
    _levels(database, model)
    _documents(database, model)
    return model


def check_flags(rows: list[Row], model: Model) -> None:
    """Raise Violation where a posting has other flags than the rules give it; those of the clock are not looked at."""
    for row in rows:
        due, flags = model.flags(row.position), frozenset(flag_names(row.flags)) - CLOCK_FLAGS
        certain = due.certain
        if model.postings[row.position - 1].type == "sale":
            certain -= {"over_returned"}  # of a return that came before it
        if not certain <= flags <= due.certain | due.open_flags:
            raise Violation("flags", f"position {row.position} is flagged {sorted(flags)}; the rules say {due}")


def _replay(database: sqlite3.Connection, rows: list[Row], book: Book) -> Model:
    """P3 as of every position that a reader was told about, and the model of the whole ledger."""
    model = Model(LOCATIONS, SKUS, BARCODES)
    listed, rights = book.listed, Rights(database)
    if listed and not database.execute("SELECT 1 FROM barcode WHERE gtin = ?", (listed.gtin,)).fetchone():
        listed = None
    for row in rows:
        if listed and row.position == listed.position + 1:
            model.list_barcode(listed.gtin, listed.sku)
        made = book.find(row.id, row.digest)
        assert made is not None
        body, sender = _said(made, row.terminal, rights.at(row.terminal, row.position))
        if body["type"] == "merge" and (reason := model.refuses(str(made.id), body, sender, row.position - 1)):
            raise Violation("merge", f"position {row.position} is a merge that should be refused: {reason}")
        is_corrected = "clock_corrected" in flag_names(row.flags)
        model.enter(str(made.id), body, sender, row.recorded_at, row.effective_at, corrected=is_corrected)
        _dated(row, model.postings[-1])
    if listed:
        _carried_over(model, listed)
    for told in book.seen:
        figures = model.levels(0, known_at=told.position)
        for key in told.levels.keys() | figures.keys():
            due, level = figures.get(key, NOTHING), told.levels.get(key, (0, 0))
            if level != (due.on_hand, due.in_transit):
                raise Violation("P3", f"{key} was shown as {level} at {told.position}; the ledger says {due}")
    return model


def _carried_over(model: Model, listed: Listed) -> None:
    """What was moved under a barcode before the catalogue listed it was merged into the product that it is."""
    suspense, book = f"gtin:{listed.gtin}", model.book(listed.position)
    moved = any(suspense in each.document.quantities for each in book.known if each.type in {*ON_HAND, "count"})
    if moved and book.names().at(suspense) == suspense:
        raise Violation("merge", f"{suspense} was listed after position {listed.position} and not merged")


class Rights:
    """Where tills could post, as of positions: where they had been, and where those had been that they had adopted."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._was: dict[str, list[tuple[int, str]]] = defaultdict(list)
        query = "SELECT terminal, position, location FROM former_location ORDER BY until_at"
        for terminal, position, location in database.execute(query):
            self._was[terminal].append((position, location))
        self._is = dict(database.execute("SELECT terminal, location FROM terminal").fetchall())
        self._adopted: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for terminal, position, adopted in database.execute("SELECT terminal, position, adopted FROM adoption"):
            self._adopted[terminal].append((position, adopted))

    def at(self, terminal: str, position: int) -> frozenset[str]:
        """Where a terminal could post at a position."""
        adopted = [other for since, other in self._adopted[terminal] if since < position]
        return frozenset().union(*(self._places(each, position) for each in (terminal, *adopted)))

    def _places(self, terminal: str, position: int) -> set[str]:
        """Where a terminal has been before a position: it came to each place when it left the one before."""
        places = [*self._was[terminal], (position, self._is[terminal])]
        came = [-1, *(left for left, _ in places)]
        return {place for since, (_, place) in zip(came, places, strict=False) if since < position}


def _said(made: Created, terminal: str, places: frozenset[str]) -> tuple[dict[str, Any], Sender]:
    """A posting's body, and who posted it: a terminal that may post at `places`."""
    sender = Sender(terminal, made.location, made.role == "operator", places)
    return json.loads(made.raw, parse_float=Decimal), sender


def _refused(database: sqlite3.Connection, model: Model, book: Book, refused: Mapping[UUID, int]) -> None:
    """P5: each merge that was refused could not be, as of the position that HQ was at."""
    query = "SELECT id, digest, terminal FROM rejection WHERE code = 'not_mergeable'"
    for raw_id, digest, terminal in database.execute(query):
        made = book.find(UUID(bytes=raw_id), digest)
        assert made is not None
        if not model.refuses(str(made.id), *_said(made, terminal, frozenset()), refused[made.id]):
            raise Violation("P5", f"{made.id} was refused at {refused[made.id]}: {made.raw!r}")


def _dated(row: Row, posting: Posting) -> None:
    """What was made without a tick clock is effective when it says, and nothing later than it was recorded."""
    due = min(posting.document.occurred_at, row.recorded_at)
    if row.effective_at > row.recorded_at or (row.boot is None and row.effective_at != due):
        raise Violation("clock", f"position {row.position} is effective at {row.effective_at}")


def _movements(database: sqlite3.Connection, model: Model) -> None:
    """P2: a posting's movements are its body's, those of a void the opposite of its target's."""
    at = "effective_at, coalesce(event_position, position)"
    columns = f"position, location, sku, account, quantity, {at}"
    stored = Counter(database.execute(f"SELECT {columns} FROM movement WHERE account != {CARRIED}"))
    wanted = Counter(_due(model))
    if stored != wanted:
        raise Violation("P2", f"movements: stored but not due {stored - wanted}, due but not stored {wanted - stored}")


def _due(model: Model) -> Iterator[Movement]:
    voids: dict[str, Posting] = {}
    for void in model.book().standing("void"):
        if (target := model.book().target(void)) is not None:
            voids.setdefault(target.id, void)
    for posting in model.postings:
        for sku, account, quantity in _moves(posting):
            yield Movement(posting.position, posting.location, sku, account, quantity, *posting.order)
            if posting.id in voids:
                known_at, back = max(posting.position, voids[posting.id].position), 0 if account else -quantity
                yield Movement(known_at, posting.location, sku, STOCK, back, *posting.order)


def _moves(posting: Posting) -> Iterator[tuple[str, int, int]]:
    """The (sku, account, quantity) of each line; a count has one of each sku."""
    if posting.type == "count":
        yield from ((sku, COUNT, quantity) for sku, quantity in posting.document.quantities.items())
    elif posting.type in ON_HAND:
        yield from ((line.sku, STOCK, ON_HAND[posting.type] * line.quantity) for line in posting.document.lines)


def _levels(database: sqlite3.Connection, model: Model) -> None:
    """P3: every level is what the rules make of the ledger."""
    query = "SELECT location, sku, on_hand, in_transit, counted_at FROM level"
    stored = {(row[0], row[1]): tuple(row[2:]) for row in database.execute(query)}
    figures, book = model.levels(0), model.book()
    for key in stored.keys() | figures.keys():
        due, count = figures.get(key, NOTHING), last_count(book, key)
        counted_at = None if count is None else count.effective_at
        if stored.get(key, (0, 0, None)) != (due.on_hand, due.in_transit, counted_at):
            raise Violation("P3", f"{key}: the level is {stored.get(key)}, the ledger says {due}, {counted_at}")


def _documents(database: sqlite3.Connection, model: Model) -> None:
    """What is left of every transfer and of every reservation, and until when that holds."""
    query = "SELECT kind, document, sku, remaining, expires_at FROM document WHERE remaining > 0"
    stored = {(row[0], str(UUID(bytes=row[1])), row[2]): tuple(row[3:]) for row in database.execute(query)}
    due = {
        (TRANSFER, row.out.id, row.sku): (row.left, row.out.expires_at) for row in model.transfers() if row.left > 0
    } | {
        (RESERVATION, row.reserve.id, row.sku): (row.left, row.reserve.expires_at) for row in model.reservations(ALWAYS)
    }
    for document in stored.keys() | due.keys():
        left, wanted = stored.get(document), due.get(document)
        if left != wanted:
            raise Violation("documents", f"{document}: {left} is left, the ledger says {wanted}")
