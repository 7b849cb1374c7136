"""What the past comes to: which situations came up, stock at an instant as known at a position, what merges carried."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from uuid import UUID

from msgspec import UNSET

from inventory_server.domain.requests import Stock as StockQuestion
from pos_client.protocol.messages import StockParams, StockResult
from pos_client.protocol.units import scaled
from tests.simulation.stock_checks import CARRIED, NOTHING
from tests.simulation.world import Violation
from tests.support.model import Model
from tests.support.model.postings import ON_HAND
from tests.support.model.stock import Key, on_hand

Moment = tuple[int | None, int | None]
"""`as_of`, an instant, and `known_at`, a position; None: now."""
LEVELS_MAX = 1_000
"""More levels than any run has: a list of them is one page."""


def situations_of(model: Model, refused_merges: Collection[UUID]) -> Iterator[str]:
    """What came up in a run, as its ledger tells."""
    book = model.book()
    targets = ((void, book.find(void.document.voids)) for void in book.standing("void"))
    if any(target is None or target.position > void.position for void, target in targets):
        yield "orphan void"
    if refused_merges:
        yield "merge refused"
    merges = book.standing("merge")
    if len(merges) < sum(posting.type == "merge" for posting in model.postings):
        yield "merge voided"
    if any(each.effective_at < model.postings[each.position - 2].recorded_at for each in merges if each.position > 1):
        yield "merge dated back"
    ended = {str(each.document.merge): each for each in merges}
    if merges:
        yield "products merged"
    if any(each.document.into in ended for each in merges):
        yield "chain of merges"
    moved = [(posting, ended[sku]) for posting in book.standing(*ON_HAND) for sku in posting.moves if sku in ended]
    if any(posting.position > merged.position for posting, merged in moved):
        yield "ended product moved later"


def check_past(ask: Callable[[StockQuestion], StockResult], now: int, model: Model, moments: Iterable[Moment]) -> None:
    """P3: what HQ says of a moment is what the rules make of the ledger; `now` is HQ's clock."""
    for as_of, known_at in moments:
        params = StockParams(limit=LEVELS_MAX, known_at=UNSET if known_at is None else known_at)
        told = {
            (item.location, item.sku): (scaled(item.on_hand), scaled(item.reserved), scaled(item.in_transit))
            for item in ask(StockQuestion(params, None, as_of)).items
            if item.location is not None
        }
        figures = model.levels(now, as_of, known_at)
        for key in told.keys() | figures.keys():
            due, level = figures.get(key, NOTHING), told.get(key, (0, 0, 0))
            if level != (due.on_hand, due.reserved, due.in_transit):
                raise Violation("P3", f"{key} as of {as_of}, {known_at} is {level}; the ledger says {due}")


def check_carried(database: sqlite3.Connection, model: Model) -> None:
    """P2: from the first merge on, movements tell of each level that a posting changed, and of what was carried."""
    merges = [posting.position for posting in model.postings if posting.type == "merge"]
    if not merges:
        return
    rows = _rows_from(database, min(merges))
    before = on_hand(model.book(min(merges) - 1))
    for position in range(min(merges), len(model.postings) + 1):
        after = on_hand(model.book(position))
        changes = {key: after.get(key, 0) - before.get(key, 0) for key in before.keys() | after.keys()}
        _told(position, changes, rows[position])
        before = after


def _rows_from(database: sqlite3.Connection, position: int) -> dict[int, dict[Key, dict[int, int]]]:
    """By position and (location, sku), the sum of each account."""
    query = (
        "SELECT position, location, sku, account, sum(quantity) FROM movement WHERE position >= ? GROUP BY 1, 2, 3, 4"
    )
    rows: dict[int, dict[Key, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for at, location, sku, account, quantity in database.execute(query, (position,)):
        rows[at][location, sku][account] = quantity
    return rows


def _told(position: int, changes: dict[Key, int], rows: dict[Key, dict[int, int]]) -> None:
    for key, change in changes.items():
        if change and key not in rows:
            raise Violation("P2", f"position {position} changes {key} by {change}, and no movement tells")
    for key, quantities in rows.items():
        if quantities.keys() == {CARRIED} and quantities[CARRIED] != changes.get(key, 0):
            raise Violation(
                "P2", f"position {position} carries {quantities[CARRIED]} to {key}, not {changes.get(key, 0)}"
            )
