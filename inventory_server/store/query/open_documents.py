"""The lists of what is on the road and of what is reserved: transfers and reservations of which something is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Connection, or_, select

from inventory_server.config import Settings
from inventory_server.domain.documents import Document, DocumentKind
from inventory_server.domain.requests import ListReservations, ListTransfers
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places, visible_places
from inventory_server.store.ledger.documents import DocumentsAt, document_of
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import NEVER
from inventory_server.store.ledger.sql import Lookup, plain_rows
from inventory_server.store.query.later_pages import changed_keys
from inventory_server.store.query.paging import decode_cursor, encode_cursor, page_size
from inventory_server.store.query.scope import Stretch, named_skus, unknown, within
from pos_client.protocol.fields import NonNegative
from pos_client.protocol.lists import ListedReservation, ListedTransfer, ReservationsResult, TransfersResult
from pos_client.protocol.units import instant, unscaled

_d, _p, _a = t.document.c, t.posting.c, t.archived.c
_posted = Lookup(t.posting, [_p.position], _p.position, _p.terminal, _p.reference, prunes=True)
_archived = Lookup(t.archived, [_a.position], _a.position, _a.terminal)
_Instant = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class _Place(NamedTuple):
    """Where a page begins: the position and instant (µs) of the first page, and what the one before ended with."""

    position: NonNegative
    now: _Instant
    effective_at: _Instant
    opened: int
    sku: str

    @property
    def after(self) -> tuple[int, int, str]:
        """The last document of the page before."""
        return self[2:]


class _Page(NamedTuple):
    """The documents of a page, and by position who opened each, under which reference."""

    documents: list[Document]
    openers: dict[int, tuple[str, str | None]]
    position: int
    cursor: str | None


def transfers(connection: Connection, settings: Settings, now: int, question: ListTransfers) -> TransfersResult:
    """A page of the transfers of which something is on the road, the longest on the road first."""
    page = _page(connection, settings, now, question, DocumentKind.TRANSFER)
    told = [_transfer(each, *page.openers[each.line.position]) for each in page.documents]
    named = unknown(connection, question.params)
    return TransfersResult(transfers=told, position=page.position, unknown=named, cursor=page.cursor)


def reservations(
    connection: Connection, settings: Settings, now: int, question: ListReservations
) -> ReservationsResult:
    """A page of the reservations that hold something and have not expired, the oldest first."""
    page = _page(connection, settings, now, question, DocumentKind.RESERVATION)
    told = [_reservation(each, *page.openers[each.line.position]) for each in page.documents]
    named = unknown(connection, question.params)
    return ReservationsResult(reservations=told, position=page.position, unknown=named, cursor=page.cursor)


def _page(
    connection: Connection,
    settings: Settings,
    now: int,
    question: ListTransfers | ListReservations,
    kind: DocumentKind,
) -> _Page:
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    head = head_of(connection).position
    start = decode_cursor(params.cursor, _Place)
    known_at, began = (head, now) if start is None else start[:2]
    stretch, skus = Stretch(connection, question.period), named_skus(params)
    places = visible_places(connection, question.actor, named_places(params))
    found = []
    for each in _open(connection, kind, known_at if known_at < head else None, places, skus):
        line = each.line
        concerns = places is None or line.location in places or (line.source != "" and line.source in places)
        is_named = concerns and (skus is None or line.sku in skus)
        is_held = each.left > 0 and (kind is DocumentKind.TRANSFER or line.expires_at > began)
        if is_named and is_held and stretch.has(line.location, line.effective_at):
            found.append(each)
    found = sorted((each for each in found if start is None or _key(each) > start.after), key=_key)
    shown = found[:limit]
    cursor = None if len(found) <= limit else encode_cursor(known_at, began, *_key(shown[-1]))
    return _Page(shown, _openers(connection, {each.line.position for each in shown}), known_at, cursor)


def _key(document: Document) -> tuple[int, int, str]:
    return document.line.effective_at, document.line.position, document.line.sku


def _open(
    connection: Connection, kind: DocumentKind, known_at: int | None, places: list[str] | None, skus: list[str] | None
) -> Iterable[Document]:
    """The documents of which something may be left, as known at a position (None: now)."""
    statement = select(t.document).where(_d.kind == int(kind), _d.remaining > 0)
    statement = statement.where(*within(connection, _d.sku, skus))
    if places is not None:
        concerns = [*within(connection, _d.location, places), *within(connection, _d.source, places)]
        statement = statement.where(or_(*concerns))
    found = [document_of(row) for row in plain_rows(connection, statement)]
    if known_at is None:
        return found
    changed = changed_keys(connection, known_at)
    kept = {(each.line.document, each.line.sku): each for each in found if _place(each) not in changed}
    then = DocumentsAt(connection, changed, None, known_at).of_kind(kind)
    return (kept | {(each.line.document, each.line.sku): each for each in then}).values()


def _place(document: Document) -> tuple[str, str]:
    return document.line.location, document.line.sku


def _openers(connection: Connection, positions: set[int]) -> dict[int, tuple[str, str | None]]:
    """Who opened documents, and under which reference: of an archived posting, nobody knows it any more."""
    archived = head_of(connection).archived_position
    live = [(position,) for position in positions if position > archived]
    kept = [(position,) for position in positions if position <= archived]
    found: dict[int, tuple[str, str | None]] = {row[0]: (row[1], None) for row in _archived(connection, kept)}
    return found | {row[0]: (row[1], row[2]) for row in _posted(connection, live)}


def _transfer(document: Document, terminal: str, reference: str | None) -> ListedTransfer:
    line = document.line
    assert line.document is not None, "a document has the id of the posting that opens it"
    return ListedTransfer(
        id=UUID(bytes=line.document),
        position=line.position,
        terminal=terminal,
        reference=reference,
        sku=line.sku,
        from_=line.source,
        to=line.location,
        sent_at=instant(line.effective_at),
        sent=unscaled(document.quantity),
        received=unscaled(document.received),
        closed=unscaled(document.quantity - document.received - document.left),
        left=unscaled(document.left),
    )


def _reservation(document: Document, terminal: str, reference: str | None) -> ListedReservation:
    line = document.line
    assert line.document is not None, "a document has the id of the posting that opens it"
    return ListedReservation(
        id=UUID(bytes=line.document),
        position=line.position,
        terminal=terminal,
        reference=reference,
        sku=line.sku,
        location=line.location,
        reserved_at=instant(line.effective_at),
        expires_at=None if line.expires_at == NEVER else instant(line.expires_at),
        reserved=unscaled(document.quantity),
        left=unscaled(document.left),
    )
