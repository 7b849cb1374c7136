"""What is on hand: a replay of all events in their order, and the counts with their variance."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from tests.support.model.book import Book
from tests.support.model.postings import ON_HAND, Order, Posting

Key = tuple[str, str]
"""(location, sku)"""


class CountRow(NamedTuple):
    """A counted product: the figure, and counted − book as it was when the count arrived and as it is now."""

    posting: Posting
    sku: str
    counted: int
    variance_then: int
    variance_now: int


def on_hand(book: Book, as_of: int | None = None, before: Order | None = None) -> dict[Key, int]:
    """Stock per key after all events effective by `as_of` and before a place in the order of events."""
    names = book.names()
    stock: dict[Key, int] = defaultdict(int)
    for event in sorted(book.standing(*ON_HAND, "count", "merge", as_of=as_of), key=lambda posting: posting.order):
        if before is not None and event.order >= before:
            break
        if event.type == "merge":
            _carry(stock, event.document.merge, names.at(str(event.document.into), event.order))
        elif event.type == "count":
            stock.update({(event.location, sku): quantity for sku, quantity in names.of(event).items()})
        else:
            for sku, quantity in names.sums(event.moves, event.order).items():
                stock[event.location, sku] += quantity
    return stock


def last_count(book: Book, key: Key, as_of: int | None = None) -> Posting | None:
    """The count that the stock of a key rests on."""
    location, sku = key
    counts = [each for each in book.standing("count", as_of=as_of) if each.location == location]
    mine = [each for each in counts if sku in book.names().of(each)]
    return max(mine, key=lambda count: count.order, default=None)


def _carry(stock: dict[Key, int], ended: str | None, into: str) -> None:
    """At every location, all there is of a product becomes another one's."""
    for location, sku in list(stock):
        if sku == ended:
            stock[location, into] += stock.pop((location, sku))


def count_rows(book: Book) -> list[CountRow]:
    """Every standing count, per product that its lines are now counts of."""
    return [
        CountRow(
            count,
            sku,
            counted,
            counted - _book_before(count, sku, book, then),
            counted - _book_before(count, sku, book, book),
        )
        for count in book.standing("count")
        for then in [Book(book.known[: count.position])]
        for sku, counted in book.names().of(count).items()
    ]


def _book_before(count: Posting, sku: str, now: Book, known: Book) -> int:
    """The stock just before a count of the products that its lines for `sku` meant, as known in `known`."""
    lines = [name for name in count.document.quantities if now.names().at(name, count.order) == sku]
    stock = on_hand(known, before=count.order)
    return sum(stock[count.location, name] for name in {known.names().at(line, count.order) for line in lines})
