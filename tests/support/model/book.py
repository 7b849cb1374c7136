"""What HQ knows at a position: the postings up to it, which of them stand, and what products are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.support.model.postings import Order, Posting


class Names:
    """What a sku is called after merges. No two of them end the same sku, and they never form a circle."""

    def __init__(self, merges: Iterable[Posting]) -> None:
        self._merges = list(merges)

    def at(self, sku: str, order: Order | None = None) -> str:
        """The product that a line at this place in the order of events moves; None: after all merges."""
        for merge in self._merges:
            if merge.document.merge == sku and (order is None or merge.order < order):
                assert merge.document.into is not None
                return self.at(merge.document.into, order)
        return sku

    def of(self, posting: Posting) -> dict[str, int]:
        """A posting's quantities per product, as of its own place."""
        return self.sums(posting.document.quantities, posting.order)

    def sums(self, quantities: dict[str, int], order: Order | None = None) -> dict[str, int]:
        """Quantities per product instead of per sku."""
        sums: dict[str, int] = {}
        for sku, quantity in quantities.items():
            sums[self.at(sku, order)] = sums.get(self.at(sku, order), 0) + quantity
        return sums


class Book:
    """The ledger up to a position. A void acts on everything known with it, from the start."""

    def __init__(self, known: Sequence[Posting]) -> None:
        self.known = known
        self._by_id = {posting.id: posting for posting in known}
        self._voided = {target.id for void in known if (target := self.target(void)) is not None}

    def find(self, id_: str | None) -> Posting | None:
        """The posting under an id, standing or not."""
        return None if id_ is None else self._by_id.get(id_)

    def target(self, void: Posting) -> Posting | None:
        """What a void voids: nothing where its target is unknown, a void, or at a location it has no say in."""
        target = self.find(void.document.voids)
        if target is None or target.type == "void" or not void.sender.may_post_at(target.location):
            return None
        return target

    def stands(self, posting: Posting) -> bool:
        """True where nothing known voids it."""
        return posting.id not in self._voided

    def standing(self, *types: str, as_of: int | None = None) -> list[Posting]:
        """The standing postings of some types (none given: of all) effective by `as_of`, by position."""
        return [
            posting
            for posting in self.known
            if self.stands(posting)
            and (not types or posting.type in types)
            and (as_of is None or posting.effective_at <= as_of)
        ]

    def names(self, as_of: int | None = None) -> Names:
        """What products are called once all merges effective by `as_of` have happened."""
        return Names(self.standing("merge", as_of=as_of))
