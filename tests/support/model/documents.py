"""Transfers and reservations: what is left of each document, and what unnamed documents drew, replayed by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.model.book import Book, Names
from tests.support.model.postings import DAY, Posting

SURPLUS_WAITS = DAY
"""How long before a `transfer_out`, in effective time, an unnamed receipt may be that settles it."""


class Draw(NamedTuple):
    """What an unnamed document took of a transfer or a reservation, under the sku that this one calls it."""

    taker: Posting
    source: Posting
    sku: str
    quantity: int


class Surplus(NamedTuple):
    """What an unnamed document found nowhere."""

    taker: Posting
    sku: str
    quantity: int


@dataclass(frozen=True)
class Rules:
    """How one kind of document is drawn on: by which types, named and unnamed, and where unnamed ones may draw."""

    source: str
    taker: str
    named: tuple[str, ...]
    fits: Callable[[Posting, Posting], bool]
    """Whether an unnamed taker may draw on a source."""
    named_come_first: bool
    """Whether a named document displaces what unnamed ones drew before it arrived."""


def _between_the_same_places(source: Posting, taker: Posting) -> bool:
    on_the_way = (source.location, source.document.other_location) == (taker.document.other_location, taker.location)
    return on_the_way and (
        source.position < taker.position or source.effective_at <= taker.effective_at + SURPLUS_WAITS
    )


def _held_at_the_time(source: Posting, taker: Posting) -> bool:
    held = source.order < taker.order and taker.effective_at < source.expires_at
    return source.location == taker.location and held


TRANSFERS = Rules(
    "transfer_out", "transfer_in", ("transfer_in", "transfer_close"), _between_the_same_places, named_come_first=True
)
RESERVATIONS = Rules("reserve", "release", ("release", "sale"), _held_at_the_time, named_come_first=False)


class Replay:
    """What unnamed documents of one kind drew, over the standing postings in order of position."""

    def __init__(self, book: Book, rules: Rules) -> None:
        self.draws: list[Draw] = []
        self.surplus: list[Surplus] = []
        self._rules = rules
        self._standing = book.standing()
        for step, posting in enumerate(self._standing, 1):
            names = Names(each for each in self._standing[:step] if each.type == "merge")
            if posting.type == rules.taker and posting.document.source is None:
                self._draw(posting, self._standing[:step], names)
            if posting.type == rules.source:
                self._settle(posting, names)

    def _draw(self, taker: Posting, so_far: list[Posting], names: Names) -> None:
        """The oldest sources first; what none of them has waits."""
        for sku, wanted in taker.document.quantities.items():
            missing = wanted
            for source in so_far:
                if source.type == self._rules.source and self._rules.fits(source, taker):
                    missing -= self._take(taker, source, sku, missing, names)
            if missing > 0:
                self.surplus.append(Surplus(taker, sku, missing))

    def _settle(self, source: Posting, names: Names) -> None:
        """What waited is taken of a source that arrives later."""
        for index, (taker, sku, missing) in enumerate(self.surplus):
            if self._rules.fits(source, taker):
                self.surplus[index] = Surplus(taker, sku, missing - self._take(taker, source, sku, missing, names))
        self.surplus = [each for each in self.surplus if each.quantity]

    def _take(self, taker: Posting, source: Posting, sku: str, wanted: int, names: Names) -> int:
        product = names.at(sku)
        called = [each for each in source.document.quantities if names.at(each) == product]
        taken = min(wanted, self._left(source, product, taker, names)) if called else 0
        if taken > 0:
            self.draws.append(Draw(taker, source, called[0], taken))
        return max(taken, 0)

    def _left(self, source: Posting, product: str, taker: Posting, names: Names) -> int:
        """What a taker may still draw of a source."""
        now = max(source.position, taker.position)
        left = names.sums(source.document.quantities).get(product, 0)
        left -= sum(draw.quantity for draw in self.draws if draw.source is source and names.at(draw.sku) == product)
        for named in drawing_by_name(self._standing, source, self._rules):
            if named.position > now and not self._rules.named_come_first:
                continue
            if closes_all(named):
                return 0
            left -= taken_by_name(named, names).get(product, 0)
        return left


def drawing_by_name(postings: Iterable[Posting], source: Posting, rules: Rules) -> list[Posting]:
    """The postings that name a transfer or a reservation and may draw on it."""
    return [each for each in postings if each.type in rules.named and each.document.source == source.id]


def closes_all(posting: Posting) -> bool:
    """True for a close without lines: all that is left."""
    return posting.type == "transfer_close" and not posting.document.lines


def taken_by_name(posting: Posting, names: Names) -> dict[str, int]:
    """What a named document takes per product; goods that came back with a sale do not reserve anew."""
    quantities = posting.document.quantities
    return names.sums({sku: max(quantity, 0) for sku, quantity in quantities.items()})


# ------------------------------------------------------------------------------------ rows


@dataclass(frozen=True)
class TransferRow:
    """A product of a transfer: sent = received + closed + left, and what was received `over` it besides."""

    out: Posting
    sku: str
    sent: int
    received: int
    closed: int
    left: int
    over: int


@dataclass(frozen=True)
class ReservationRow:
    """A product of a reservation that holds something."""

    reserve: Posting
    sku: str
    left: int


def transfer_rows(book: Book, as_of: int | None = None) -> list[TransferRow]:
    """Every standing transfer effective by `as_of`, per product."""
    return list(_transfer_rows(book, as_of))


def _transfer_rows(book: Book, as_of: int | None) -> Iterable[TransferRow]:
    names, standing = book.names(as_of), book.standing(as_of=as_of)
    drawn = _drawn(Replay(book, TRANSFERS), names, as_of)
    for out in book.standing("transfer_out", as_of=as_of):
        named = drawing_by_name(standing, out, TRANSFERS)
        shut = any(closes_all(each) for each in named)
        for sku, sent in names.sums(out.document.quantities).items():
            arrived = drawn.get((out.id, sku), 0) + _taken(named, "transfer_in", sku, names)
            received = min(arrived, sent)
            rest = sent - received
            closed = rest if shut else min(_taken(named, "transfer_close", sku, names), rest)
            yield TransferRow(out, sku, sent, received, closed, rest - closed, arrived - received)


def _taken(named: list[Posting], kind: str, sku: str, names: Names) -> int:
    return sum(taken_by_name(each, names).get(sku, 0) for each in named if each.type == kind)


def _drawn(replay: Replay, names: Names, as_of: int | None) -> dict[tuple[str, str], int]:
    """What was drawn by `as_of`, per source and product."""
    sums: dict[tuple[str, str], int] = {}
    for taker, source, sku, quantity in replay.draws:
        if as_of is None or taker.effective_at <= as_of:
            key = source.id, names.at(sku)
            sums[key] = sums.get(key, 0) + quantity
    return sums


def reservation_rows(book: Book, until: int, as_of: int | None = None) -> list[ReservationRow]:
    """What standing reservations effective by `as_of` still hold, of those not expired at `until`."""
    names, standing = book.names(as_of), book.standing(as_of=as_of)
    drawn = _drawn(Replay(book, RESERVATIONS), names, as_of)
    rows = []
    for reserve in book.standing("reserve", as_of=as_of):
        named = drawing_by_name(standing, reserve, RESERVATIONS)
        for sku, quantity in names.sums(reserve.document.quantities).items():
            taken = sum(taken_by_name(each, names).get(sku, 0) for each in named)
            left = quantity - taken - drawn.get((reserve.id, sku), 0)
            if left > 0 and until < reserve.expires_at:
                rows.append(ReservationRow(reserve, sku, left))
    return rows


def returned(book: Book, sale: Posting) -> dict[str, int]:
    """What came back of a sale, per product, by returns that name it."""
    names = book.names()
    sums: dict[str, int] = {}
    for each in book.standing("return"):
        if each.document.returns == sale.id:
            for sku, quantity in names.sums(each.document.quantities).items():
                sums[sku] = sums.get(sku, 0) + quantity
    return sums
