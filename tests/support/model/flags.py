"""The flags of a posting at the moment it arrives: those the rules demand, and those they leave open."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.model.book import Book
from tests.support.model.documents import RESERVATIONS, TRANSFERS, Replay, returned, transfer_rows
from tests.support.model.postings import HOUR, ON_HAND, Posting
from tests.support.model.stock import on_hand

CLOCK_FLAGS = {"clock_suspect", "clock_corrected"}
FLAGS = {
    *CLOCK_FLAGS,
    *("unlisted_product", "negative_stock", "before_count", "recounted", "orphan", "over_returned", "over_received"),
    *("other_destination", "unknown_location", "nothing_reserved", "repeated_document"),
}
RECOUNT_WITHIN = 12 * HOUR
SOURCE_TYPES = {
    "transfer_in": "transfer_out",
    "transfer_close": "transfer_out",
    "release": "reserve",
    "sale": "reserve",
    "return": "sale",
}
"""What each type may name as its source."""
_DOCUMENTS = {"receipt", "adjustment", "transfer_out", "transfer_in", "transfer_close"}


class Finding(NamedTuple):
    """A flag, and whether the rules demand it; where not, they allow it."""

    flag: str
    certain: bool = True


@dataclass(frozen=True)
class Arrival:
    """A posting that arrived, and the books without it and with it. `listed` is None where no catalogue is given."""

    posting: Posting
    before: Book
    after: Book
    locations: Set[str]
    listed: Set[str] | None

    @property
    def changed(self) -> Posting | None:
        """The posting whose effect comes or goes: a void's target, or the posting itself."""
        return self.after.target(self.posting) if self.posting.type == "void" else self.posting


def findings(arrival: Arrival) -> Iterator[Finding]:
    """All flags but those of the clock."""
    yield from _unlisted(arrival)
    if arrival.posting.voided_on_arrival:
        yield from (Finding(flag, certain=False) for flag in FLAGS - CLOCK_FLAGS)
        return
    for rule in (_negative, _counted, _orphan, _returned, _received, _destination, _places, _released, _repeated):
        yield from rule(arrival)


def _unlisted(arrival: Arrival) -> Iterator[Finding]:
    for sku in arrival.posting.document.quantities:
        if arrival.listed is None:
            yield Finding("unlisted_product", certain=sku.startswith("gtin:"))
        elif sku not in arrival.listed:
            yield Finding("unlisted_product")


def _negative(arrival: Arrival) -> Iterator[Finding]:
    """Lowered a level and left it below zero; whether a merge lowers one is left open."""
    before, after = on_hand(arrival.before), on_hand(arrival.after)
    if any(level < 0 and level < before[key] for key, level in after.items()):
        yield Finding("negative_stock", certain=arrival.posting.type != "merge")


def _counted(arrival: Arrival) -> Iterator[Finding]:
    """`before_count` of what a later count saw, and `recounted`."""
    changed = arrival.changed
    if changed is None:
        return
    names = arrival.after.names()
    for count in arrival.before.standing("count"):
        if changed.type == "merge":
            yield Finding("before_count", certain=False)
        if count.location == changed.location and _is_before(changed, count):
            counted = names.of(count).keys()
            seen = {sku: quantity for sku, quantity in names.of(changed).items() if sku in counted}
            if any(seen.values()) or (seen and changed.type == "count"):
                yield Finding("before_count")
            elif not _skus(changed, arrival).isdisjoint(_skus(count, arrival)):
                yield Finding("before_count", certain=False)
        if arrival.posting.type == "count" and arrival.posting.location == count.location:
            yield from _recounted(arrival, count)


def _is_before(changed: Posting, count: Posting) -> bool:
    return changed.type in {*ON_HAND, "count"} and changed.order < count.order


def _recounted(arrival: Arrival, count: Posting) -> Iterator[Finding]:
    posting, names = arrival.posting, arrival.after.names()
    apart = abs(posting.effective_at - count.effective_at)
    if posting.sender.terminal == count.sender.terminal or apart > RECOUNT_WITHIN:
        return
    if not names.of(posting).keys().isdisjoint(names.of(count)):
        yield Finding("recounted", certain=apart < RECOUNT_WITHIN)
    elif not _skus(posting, arrival).isdisjoint(_skus(count, arrival)):
        yield Finding("recounted", certain=False)


def _skus(posting: Posting, arrival: Arrival) -> set[str]:
    """What a posting's products are called after all merges."""
    names = arrival.after.names()
    return {names.at(sku) for sku in posting.document.quantities}


def _orphan(arrival: Arrival) -> Iterator[Finding]:
    posting = arrival.posting
    if posting.type == "void" and arrival.changed is None:
        yield Finding("orphan")
    if posting.document.source is not None:
        named = arrival.before.find(posting.document.source)
        if named is None or named.type != SOURCE_TYPES[posting.type] or not arrival.before.stands(named):
            yield Finding("orphan")


def _returned(arrival: Arrival) -> Iterator[Finding]:
    """More came back than was sold: shown on the return, on the sale that came after it, or on the sale's void."""
    changed, book = arrival.changed, arrival.after
    if changed is None:
        return
    if changed is not arrival.posting and changed.type == "sale" and returned(book, changed):
        yield Finding("over_returned")
    sale = book.find(changed.document.returns) if changed.type == "return" else changed
    if changed is not arrival.posting or sale is None or sale.type != "sale":
        return
    if not book.stands(sale):
        yield Finding("over_returned")
        return
    names, back = book.names(), returned(book, sale)
    sold = names.sums(_positive_lines(sale))
    for sku in names.sums(changed.document.quantities):
        if back.get(sku, 0) > sold.get(sku, 0):
            yield Finding("over_returned", certain=names.sums(changed.document.quantities)[sku] != 0)
        elif back.get(sku, 0) > names.sums(sale.document.quantities).get(sku, 0):
            yield Finding("over_returned", certain=False)  # of the same basket, goods had come back already


def _positive_lines(sale: Posting) -> dict[str, int]:
    sums: dict[str, int] = {}
    for sku, quantity in sale.document.lines:
        sums[sku] = sums.get(sku, 0) + max(quantity, 0)
    return sums


def _received(arrival: Arrival) -> Iterator[Finding]:
    """More was received than was sent: shown on what makes it so."""
    posting, book = arrival.posting, arrival.after
    if posting.type == "transfer_in" and posting.document.source is None:
        yield from _surplus(arrival)
    elif posting.type in ("transfer_in", "transfer_out"):
        was = {(row.out.id, row.sku): row.over for row in transfer_rows(arrival.before)}
        transfer = posting.document.transfer if posting.type == "transfer_in" else posting.id
        over = [
            row
            for row in transfer_rows(book)
            if row.out.id == transfer and row.over > was.get((row.out.id, row.sku), 0)
        ]
        yield Finding("over_received", certain=bool(over))
    elif posting.type == "transfer_close":
        yield Finding("over_received", certain=False)  # it may leave nothing for an unnamed receipt
    elif arrival.changed is not None and arrival.changed.type in ("transfer_out", "transfer_in", "transfer_close"):
        received = [row for row in transfer_rows(arrival.before) if row.out is arrival.changed and row.received]
        by_name = [each for each in book.standing("transfer_in") if each.document.source == arrival.changed.id]
        yield Finding("over_received", certain=bool(received and by_name))


def _surplus(arrival: Arrival) -> Iterator[Finding]:
    """An unnamed receipt found too little: certain where there are transfers of the product on its way."""
    names, posting = arrival.after.names(), arrival.posting
    products = {
        names.at(sku)
        for out in arrival.before.standing("transfer_out")
        if TRANSFERS.fits(out, posting)
        for sku in out.document.quantities
    }
    for taker, sku, _ in Replay(arrival.after, TRANSFERS).surplus:
        if taker is posting:
            yield Finding("over_received", certain=names.at(sku) in products)
            yield Finding("orphan", certain=False)


def _destination(arrival: Arrival) -> Iterator[Finding]:
    """Received elsewhere than meant: shown on the receipt, or on the transfer that came after it."""
    posting, book = arrival.posting, arrival.after
    if posting.type == "transfer_in":
        pairs = [(book.find(posting.document.source), posting)]
    elif posting.type == "transfer_out":
        pairs = [(posting, each) for each in book.standing("transfer_in") if each.document.source == posting.id]
    else:
        return
    for out, receipt in pairs:
        if out is not None and out.type == "transfer_out" and out.document.other_location != receipt.location:
            yield Finding("other_destination", certain=book.stands(out))


def _places(arrival: Arrival) -> Iterator[Finding]:
    posting = arrival.posting
    if posting.location and posting.location not in arrival.locations:  # what HQ posts itself is of no location
        yield Finding("unknown_location")
    if posting.type == "transfer_out" and posting.document.other_location not in arrival.locations:
        yield Finding("unknown_location")


def _released(arrival: Arrival) -> Iterator[Finding]:
    posting = arrival.posting
    if posting.type != "release":
        return
    if posting.document.source is not None:
        yield Finding("nothing_reserved", certain=False)
        return
    found = any(draw.taker is posting for draw in Replay(arrival.after, RESERVATIONS).draws)
    lines = posting.document.quantities
    if not found:
        yield Finding("nothing_reserved", certain=any(lines.values()))


def _repeated(arrival: Arrival) -> Iterator[Finding]:
    """The same document under another id, which only its reference can tell."""
    posting = arrival.posting
    if posting.type not in _DOCUMENTS or posting.document.reference is None:
        return
    for earlier in arrival.before.standing(posting.type):
        if earlier.location == posting.location and _head(earlier) == _head(posting):
            mine, its = posting.document, earlier.document
            if (mine.lines, mine.details) == (its.lines, its.details):
                yield Finding("repeated_document", certain=posting.type != "transfer_close")
            elif mine.quantities == its.quantities:
                yield Finding("repeated_document", certain=False)


def _head(posting: Posting) -> tuple[str | None, ...]:
    document = posting.document
    return document.reference, document.other_location, document.transfer
