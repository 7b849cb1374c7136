"""Merges: one product ends, another takes over its stock. Pure.

Movements and counts keep the SKU that was posted. Which product a SKU means follows from their place in the order of
events: a merge ends its product there, and what was on hand of it just before becomes the other product's. That is
always derived, so a movement that arrives late changes what its merge carried over.

Quantities are integers of 10⁻⁵, instants integer microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from inventory_server.domain.inventory import Count

Order = tuple[int, int]
"""A place in the order of events: the effective instant, then the position."""
MovedBetween = Callable[[str, Order | None, Order | None], int]
"""The sum of the stock movements posted under a SKU after a place in the order of events and up to another one.

None: from the first on, up to the last."""


class Merge(NamedTuple):
    """From its place in the order of events on, `ended` means the product that `into` means."""

    position: int
    ended: str
    into: str
    effective_at: int
    voided_position: int | None = None

    @property
    def order(self) -> Order:
        """Its place in the order of events."""
        return self.effective_at, self.position

    def stands(self, known_at: int | None = None) -> bool:
        """True if it is known and not voided, as known at a position (None: now)."""
        if known_at is None:
            return self.voided_position is None
        return self.position <= known_at and (self.voided_position is None or self.voided_position > known_at)


class Merges:
    """The merges that stand: no two of them end the same product, and they form no circle."""

    def __init__(self, merges: Iterable[Merge] = ()) -> None:
        self.by_ended: dict[str, Merge] = {merge.ended: merge for merge in merges}
        self.families = families((merge.ended, merge.into) for merge in self.by_ended.values())

    def __iter__(self) -> Iterator[Merge]:
        return iter(self.by_ended.values())

    def __len__(self) -> int:
        return len(self.by_ended)

    def and_also(self, merge: Merge) -> Merges:
        """These and another one."""
        return Merges((*self, merge))

    def without(self, position: int) -> Merges:
        """These without the one at a position."""
        return Merges(merge for merge in self if merge.position != position)

    def name(self, sku: str, order: Order | None = None) -> str:
        """The product that a SKU means just before a place in the order of events; None: after all merges."""
        while (merge := self.by_ended.get(sku)) is not None and (order is None or merge.order < order):
            sku = merge.into
        return sku

    def later_names(self, sku: str) -> Iterator[str]:
        """The products that a SKU comes to mean, one after the other."""
        while (merge := self.by_ended.get(sku)) is not None:
            sku = merge.into
            yield sku

    def family(self, sku: str) -> frozenset[str]:
        """All SKUs that merges connect with one, and itself."""
        return self.families.get(sku) or frozenset((sku,))

    def sums(self, quantities: Mapping[str, int]) -> dict[str, int]:
        """Quantities by product instead of by SKU, after all merges."""
        sums: dict[str, int] = {}
        for sku, quantity in quantities.items():
            sums[self.name(sku)] = sums.get(self.name(sku), 0) + quantity
        return sums

    def into(self, product: str) -> list[Merge]:
        """The merges that carry something to a product."""
        return [merge for merge in self if self.name(merge.into, merge.order) == product]

    def span(self, sku: str, product: str) -> Span | None:
        """When a SKU means a product; None: never."""
        since: Order | None = None
        while True:
            merge = self.by_ended.get(sku)
            until = None if merge is None else merge.order if since is None else max(since, merge.order)
            if sku == product:
                return Span(since, until)
            if merge is None:
                return None
            sku, since = merge.into, until


class Span(NamedTuple):
    """A stretch of the order of events, after `since` and up to `until`; None: no bound."""

    since: Order | None
    until: Order | None

    def within(self, since: Order | None, until: Order | None) -> Span:
        """What both have in common."""
        begins = [each for each in (self.since, since) if each is not None]
        ends = [each for each in (self.until, until) if each is not None]
        return Span(max(begins, default=None), min(ends, default=None))


def standing(merges: Iterable[Merge], as_of: int | None = None, known_at: int | None = None) -> Merges:
    """Those that stand at an instant, as known at a position (None: no bound)."""
    return Merges(
        merge for merge in merges if merge.stands(known_at) and (as_of is None or merge.effective_at <= as_of)
    )


def families(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """By SKU, all that pairs connect with it."""
    found: dict[str, frozenset[str]] = {}
    for pair in pairs:
        joined = frozenset(pair).union(*(found.get(sku, ()) for sku in pair))
        found.update(dict.fromkeys(joined, joined))
    return found


def refusal(merges: Merges, ended: str, into: str) -> str | None:
    """Why a merge cannot be, in words; None if it can."""
    if (merge := merges.by_ended.get(ended)) is not None:
        return f"{ended!r} is already merged into {merge.into!r}; void that merge first."
    if merges.name(into) == ended:
        return f"{into!r} is {ended!r} itself" + (", by the merges that stand." if into != ended else ".")
    return None


def last_count(
    merges: Merges, product: str, counts: Mapping[str, Sequence[Count]], before: Order | None = None
) -> Count | None:
    """The last count of a product, before a place in the order of events.

    `counts` are the standing ones of one location by the SKU counted; lines of one posting that mean the same product
    are added up.
    """
    last: Count | None = None
    quantity = 0
    for sku, counted in counts.items():
        for count in counted:
            order = count.order
            if (before is None or order < before) and merges.name(sku, order) == product:
                if last is None or order > last.order:
                    last, quantity = count, 0
                if order == last.order:
                    quantity += count.quantity
    return None if last is None else last._replace(quantity=quantity)


def on_hand(
    merges: Merges,
    product: str,
    counts: Mapping[str, Sequence[Count]],
    moved: MovedBetween,
    before: Order | None = None,
) -> int:
    """What is on hand of a product at one location, before a place in the order of events (None: after everything).

    `counts` are the standing ones of the location by the SKU counted, of all SKUs of the product's family.
    """
    if before is None and product in merges.by_ended:
        return 0
    base = last_count(merges, product, counts, before)
    since = None if base is None else base.order
    total = 0 if base is None else base.quantity
    for sku in sorted(merges.family(product)):
        span = merges.span(sku, product)
        if span is None:
            continue
        begin, end = span.within(since, before)
        if begin is None or end is None or begin < end:
            total += moved(sku, begin, end)
    for merge in merges.into(product):
        if (since is None or since < merge.order) and (before is None or merge.order < before):
            total += on_hand(merges, merge.ended, counts, moved, merge.order)
    return total
