"""The write path's SQL statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, func, select, union_all

from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import POSTED, Place
from inventory_server.store.ledger.sql import Insert, Lookup, Statement


class Statements:
    """The set-based statements of the write path, each rendered once."""

    def __init__(self) -> None:
        self.head = Statement(select(t.ledger).with_for_update())
        self.put_head = Statement(
            t.ledger.update().values(
                position=bindparam("position"),
                recorded_at=bindparam("recorded_at"),
                segment_latest_at=bindparam("segment_latest_at"),
                stamp=bindparam("stamp"),
            )
        )
        self.terminals = Lookup(t.terminal, [t.terminal.c.terminal])
        self.lineages = Lookup(t.lineage, [t.lineage.c.terminal, t.lineage.c.lineage])
        self.identities = Lookup(t.identity, [t.identity.c.id])
        self.postings = Lookup(t.posting, [t.posting.c.position], *(t.posting.c[name] for name in POSTED), prunes=True)
        self.archived_postings = Lookup(t.archived, [t.archived.c.position], *(t.archived.c[name] for name in POSTED))
        self.rejections = Lookup(t.rejection, [t.rejection.c.id])
        self.voids = Lookup(t.void, [t.void.c.voids])
        self.barcodes = Lookup(t.barcode, [t.barcode.c.gtin])
        self.products = Lookup(t.product, [t.product.c.sku], t.product.c.sku)
        self.levels = Lookup(t.level, [t.level.c.location, t.level.c.sku])
        self.places = Lookup(
            t.posting, [t.posting.c.position], *(t.posting.c[each] for each in Place.__struct_fields__), prunes=True
        )
        archived_places = (t.archived.c[each] for each in Place.__struct_fields__)
        self.archived_places = Lookup(t.archived, [t.archived.c.position], *archived_places)
        moves = ("entry", "location", "sku", "account", "quantity", "occurred_at", "reservation")
        movements = select(*(t.movement.c[name] for name in moves))
        for name in ("segment", "position"):
            movements = movements.where(t.movement.c[name] == bindparam(name))
        self.movements = Statement(movements)
        figures = ("occurred_at", "position", "quantity", "voided_position")
        self.counts = Lookup(t.count, [t.count.c.location, t.count.c.sku], *(t.count.c[name] for name in figures))
        self.moved_since = Statement(_moved_since())
        self.moved_after = Statement(_moved_after())
        self.archived_after = Statement(_archived_after())
        self.reservations = Lookup(t.reservation, list(t.reservation.primary_key.columns))
        self.put_identities = Insert(t.identity)
        self.put_postings = Insert(t.posting)
        self.put_movements = Insert(t.movement)
        self.put_segments = Insert(t.segment)
        self.put_levels = Insert(t.level, "replace")
        self.put_terminals = Insert(t.terminal, "replace")
        self.put_lineages = Insert(t.lineage, "replace")
        self.put_counts = Insert(t.count, "replace")
        self.put_reservations = Insert(t.reservation, "replace")
        self.put_voids = Insert(t.void)
        self.put_locations = Insert(t.location, "ignore")
        self.put_rejections = Insert(t.rejection, "replace")
        self.put_quarantine = Insert(t.quarantine, "ignore")


def _moved_since() -> Select[Any]:
    """The first closed segment with a movement after an instant."""
    return select(func.min(t.segment.c.segment)).where(t.segment.c.latest_at > bindparam("after"))


def _moved_after() -> Select[Any]:
    """The sum of movements after an instant, from the `first` segment with any to the `open` one."""
    m, s = t.movement.c, t.segment.c
    closed = select(s.segment).where(s.segment >= bindparam("first"), s.latest_at > bindparam("after"))
    visited = union_all(closed, select(bindparam("open", type_=BigInteger))).cte("visited")
    return (
        select(func.sum(m.quantity))
        .select_from(visited.join(t.movement, m.segment == visited.c.segment))
        .where(m.location == bindparam("location"), m.sku == bindparam("sku"), m.account == bindparam("account"))
        .where(m.occurred_at > bindparam("after"), m.segment.between(bindparam("first"), bindparam("open")))
    )


def _archived_after() -> Select[Any]:
    """The sum of archived movements after an instant that is not archived: such movements are stragglers."""
    s = t.straggler.c
    of = [s[name] == bindparam(name) for name in ("location", "sku", "account")]
    after = s.occurred_at > bindparam("after")
    return select(func.sum(s.quantity)).where(*of, after, s.position <= bindparam("archived_position"))
