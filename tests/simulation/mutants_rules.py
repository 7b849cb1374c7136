"""Bugs to plant in the rules of stock: one for each rule that mends a mistake which people make every day."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from msgspec import UnsetType, structs

from inventory_server.domain import documents, inventory, tick_clock
from inventory_server.domain.documents import Document, DocumentKind, DocumentLine
from inventory_server.domain.inventory import Flags, Level
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger.records import NEVER
from inventory_server.store.query import completeness, stock
from inventory_server.store.write import levels, posting
from inventory_server.store.write.document_book import DocumentBook
from inventory_server.store.write.judged_posting import JudgedPosting
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol import gtin
from pos_client.protocol.units import micros
from tests.simulation.planting import never, replaced
from tests.simulation.world import DAY


def counts_swallow_their_instant() -> AbstractContextManager[Any]:
    """What is of the same instant as a count and was recorded after it is taken for counted."""

    def is_overtaken(level: Level, order: tuple[int, int]) -> bool:
        return level.counted_at is not None and level.counted_at >= order[0]

    return replaced(inventory, "is_overtaken", lambda _: is_overtaken)


def the_future_is_believed() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def effective(occurred_at: int, recorded_at: int, *args: Any, **kwargs: Any) -> Any:
            found = original(occurred_at, recorded_at, *args, **kwargs)
            return found if found.flags & Flags.CLOCK_CORRECTED else structs.replace(found, at=occurred_at)

        return effective

    return replaced(tick_clock, "effective", make)


def expiries_are_not_corrected() -> AbstractContextManager[Any]:
    def expiry(entry: JudgedPosting) -> int:
        return NEVER if isinstance(entry.body.expires_at, UnsetType) else micros(entry.body.expires_at)

    return replaced(posting, "_expiry", lambda _: expiry)


def voids_stand_at_their_own_position() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def apply(batch: Any, entry: JudgedPosting, moved: Any, *args: Any, **kwargs: Any) -> Any:
            if entry.body.type == "void":
                moved = [structs.replace(movement, event_position=entry.position) for movement in moved]
            return original(batch, entry, moved, *args, **kwargs)

        return apply

    return replaced(posting, "apply", make)


def voided_draws_stay_drawn() -> AbstractContextManager[Any]:
    return replaced(DocumentBook, "void", lambda _: lambda *_: [])


def returns_are_counted_one_by_one() -> AbstractContextManager[Any]:
    def returned(book: DocumentBook, sale: bytes) -> dict[str, int]:
        lines = [line for line in book._naming.get(sale, ()) if line.kind is DocumentKind.RETURN and line.stands()]
        return {line.sku: line.quantity for line in lines}

    return replaced(DocumentBook, "returned", lambda _: returned)


def unnamed_receipts_keep_what_they_took() -> AbstractContextManager[Any]:
    return replaced(documents, "_named", lambda _: lambda _lines: {})


def old_surplus_is_settled() -> AbstractContextManager[Any]:
    return replaced(documents, "TRANSFER_WAITS", lambda _: 10_000 * DAY)


def over_received_goes_below_zero() -> AbstractContextManager[Any]:
    def left(document: Document) -> int:
        return 0 if document.is_closed else document.quantity - document.named - document.drawn - document.closed

    return replaced(Document, "left", lambda _: property(left))


def releases_draw_on_later_reservations() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def fits(document: DocumentLine, drawing: DocumentLine) -> bool:
            if document.kind is DocumentKind.RESERVATION:
                return document.group == drawing.group and document.expires_at > drawing.effective_at
            return bool(original(document, drawing))

        return fits

    return replaced(documents, "fits", make)


def barcodes_are_as_they_are_scanned() -> AbstractContextManager[Any]:
    return replaced(gtin, "padded", lambda _: lambda digits: digits)


def recounts_are_not_noticed() -> AbstractContextManager[Any]:
    return replaced(levels, "_RECOUNT", lambda _: -1)


def repeated_documents_are_not_noticed() -> AbstractContextManager[Any]:
    return replaced(posting, "digest_of", lambda _: never)


def closed_tills_are_complete_to_now() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def complete(tills: Any, now: int, *args: Any) -> Any:
            until_now = [till if till.closed_at is None else replace(till, closed_at=now) for till in tills]
            return original(until_now, now, *args)

        return complete

    return replaced(completeness, "completeness", make)


def later_pages_are_of_now() -> AbstractContextManager[Any]:
    return replaced(stock._FirstPage, "as_it_was", lambda _: lambda _first, listed: listed)


def former_places_are_forgotten() -> AbstractContextManager[Any]:
    def may_post_at(_: WorkingSet, location: str, speaker: Speaker) -> bool:
        return speaker.role != "till" or location == speaker.location

    return replaced(WorkingSet, "may_post_at", lambda _: may_post_at)


def adoptions_are_not_told() -> AbstractContextManager[Any]:
    return replaced(
        WorkingSet,
        "rights_of",
        lambda original: lambda batch, terminal: structs.replace(original(batch, terminal), adopted=()),
    )
