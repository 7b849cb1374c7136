"""Later pages of an answer: all pages are one snapshot, at the position and the instant of the first."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from msgspec import Meta
from sqlalchemy import CompoundSelect, Connection, or_, select, union

from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import plain_rows
from pos_client.protocol.fields import NonNegative, Sku

_Place = Annotated[str, Meta(pattern=r"^[^\x00]*$(?!\n)")]
"""A location, or empty: a product may be of none."""


class PageStart(NamedTuple):
    """Where a page begins: the position and instant (µs) of the first page, and the last key of the one before."""

    position: NonNegative
    now: NonNegative
    location: _Place
    sku: Sku

    @property
    def after(self) -> Key:
        """The last (location, sku) of the page before."""
        return self.location, self.sku


def changed_after(position: int) -> CompoundSelect[Any]:
    """Every (location, sku) of which stock, transfers or reservations have changed after a position."""
    m, line, document = t.movement.c, t.document_line.c, t.document.c
    is_new = or_(line.position > position, line.voided_position > position)
    moved = select(m.location, m.sku).where(m.segment >= position >> t.SEGMENT_POSITIONS_LOG2, m.position > position)
    drawn = select(line.location, line.sku).where(is_new)
    named = select(document.location, document.sku).join(t.document_line, line.document == document.document)
    return union(moved, drawn, named.where(is_new))


def changed_keys(connection: Connection, position: int) -> set[Key]:
    """The keys of `changed_after`."""
    return {(row[0], row[1]) for row in plain_rows(connection, changed_after(position))}
