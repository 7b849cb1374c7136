"""Bugs to plant in merges: in what they carry, when they take effect, and what undoes them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from inventory_server.domain import family_documents, merge
from inventory_server.domain.inventory import Movement
from inventory_server.domain.merge import Merge, Merges, Order
from inventory_server.store.ledger import timetravel
from inventory_server.store.write import merge_book, posting, reading
from inventory_server.store.write.merge_book import MergeBook
from inventory_server.store.write.working_set import WorkingSet
from tests.simulation import incidents
from tests.simulation.planting import never, replaced


def late_movements_are_not_carried() -> AbstractContextManager[Any]:
    """What was sold before a merge and comes after it changes neither product."""

    def make(original: Any) -> Any:
        def move(book: MergeBook, movement: Movement) -> int:
            merged = book.standing.by_ended[movement.sku]
            if movement.order < merged.order:
                book._levels[movement.location, movement.sku].moved += movement.quantity
                return 0
            return int(original(book, movement))

        return move

    return replaced(MergeBook, "move", make)


def ended_products_live_on() -> AbstractContextManager[Any]:
    """What moves after its merge is still the ended product's."""

    def make(_: Any) -> Any:
        def move(book: MergeBook, movement: Movement) -> int:
            level = book._levels[movement.location, movement.sku]
            level.moved += movement.quantity
            level.on_hand += movement.quantity
            return 0

        return move

    return replaced(MergeBook, "move", make)


def voids_of_merges_do_nothing() -> AbstractContextManager[Any]:
    return replaced(posting, "_void_merge", lambda _: lambda *_: {})


def open_documents_stay_with_the_ended_product() -> AbstractContextManager[Any]:
    return replaced(family_documents, "standing", lambda _: lambda *_: Merges())


def chains_are_followed_one_merge_far() -> AbstractContextManager[Any]:
    """What a SKU means after all merges is right: else a merge could lead back, and its chain would have no end."""

    def cut(original: Callable[..., str]) -> Callable[..., str]:
        def name(merges: Merges, sku: str, order: Order | None = None) -> str:
            merged = merges.by_ended.get(sku)
            if order is None or merged is None or merged.order >= order:
                return original(merges, sku, order)
            return merged.into

        return name

    return replaced(Merges, "name", cut)


def merges_take_effect_when_they_arrive() -> AbstractContextManager[Any]:
    """A merge that is dated back carries what moved up to now, over the counts in between."""

    def merged(position: int, ended: str, into: str, _: int, voided_position: int | None) -> Merge:
        return Merge(position, ended, into, 2**62, voided_position)

    return replaced(posting, "Merge", lambda _: merged)


def ended_products_are_merged_again() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def refusal(merges: Merges, ended: str, into: str) -> str | None:
            others = Merges(each for each in merges if each.ended != ended)
            refused: str | None = original(others, ended, into)
            return refused

        return refusal

    return replaced(merge, "refusal", make)


def merges_are_of_one_location() -> AbstractContextManager[Any]:
    def rebase_all(book: MergeBook, sku: str) -> None:
        for location in sorted(book._locations.get(sku, ()))[:1]:
            book._rebase(location, book.family(sku))

    return replaced(MergeBook, "rebase_all", lambda _: rebase_all)


def counts_of_ended_products_count() -> AbstractContextManager[Any]:
    """A count of the ended product from before the merge is taken for one of the product that took over."""

    def make(original: Any) -> Any:
        def on_hand(merges: Merges, product: str, counts: Any, moved: Any, before: Order | None = None) -> int:
            renamed = {sku: each for sku, each in counts.items() if merges.name(sku) != product or sku == product}
            taken = [count for sku, each in counts.items() if sku not in renamed for count in each]
            renamed[product] = sorted([*renamed.get(product, ()), *taken])
            return int(original(merges, product, renamed, moved, before))

        return on_hand

    return replaced(merge_book, "on_hand", make)


def first_sales_of_the_commit_are_not_carried() -> AbstractContextManager[Any]:
    """A merge overlooks a plain sale of its own commit, the first of the product at a location."""
    return replaced(
        reading, "_expect_merges", lambda original: lambda batch, _, others: original(batch, others, others)
    )


def listed_barcodes_are_not_merged() -> AbstractContextManager[Any]:
    return replaced(incidents, "merge_listed", lambda _: never)


def the_past_knows_todays_merges() -> AbstractContextManager[Any]:
    return replaced(
        timetravel, "standing", lambda original: lambda merges, _, known_at: original(merges, None, known_at)
    )


def nobody_is_told_what_was_carried() -> AbstractContextManager[Any]:
    """Later pages of a list are of their first one only where movements tell what changed since."""
    return replaced(WorkingSet, "add_carried", lambda _: never)
