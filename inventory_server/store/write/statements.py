"""The write path's SQL statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    FromClause,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from inventory_server.config import LOOKED_BACK_MAX
from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import POSTED
from inventory_server.store.ledger.sql import ForEach, Insert, Lookup, Statement
from inventory_server.store.ledger.timetravel import event_position


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
        self.boots = Lookup(t.boot, [t.boot.c.terminal])
        of_boot = (t.boot.c.terminal == bindparam("of_terminal"), t.boot.c.boot == bindparam("boot_id"))
        self.forget_boot = Statement(t.boot.delete().where(*of_boot))
        self.lineages = Lookup(t.lineage, [t.lineage.c.terminal, t.lineage.c.lineage])
        rejected, voided = t.rejection.c.id, t.void.c.voids
        nowhere = null().cast(BigInteger)
        unposted = [Lookup(table, [key], key, nowhere) for table, key in ((t.rejection, rejected), (t.void, voided))]
        self.traces = Lookup(t.identity, [t.identity.c.id], t.identity.c.id, t.identity.c.position, also=unposted)
        """(id, position) of ids that HQ has met; the position is NULL for one that was rejected or that is voided."""
        p, a = t.posting.c, t.archived.c
        self.postings = Lookup(t.posting, [p.position], *(p[name] for name in POSTED), p.effective_at, prunes=True)
        self.archived_postings = Lookup(t.archived, [a.position], *(a[name] for name in POSTED), a.recorded_at)
        self.rejections = Lookup(t.rejection, [t.rejection.c.id])
        self.voids = Lookup(t.void, [t.void.c.voids])
        self.barcodes = Lookup(t.barcode, [t.barcode.c.gtin])
        self.products = Lookup(t.product, [t.product.c.sku], t.product.c.sku)
        self.levels = Lookup(t.level, [t.level.c.location, t.level.c.sku])
        moves = ("position", "entry", "location", "sku", "account", "quantity", "effective_at", "event_position")
        at = [t.movement.c.segment, t.movement.c.position]
        self.movements = Lookup(t.movement, at, *(t.movement.c[name] for name in moves), prunes=True)
        self.counts = Lookup(t.count, [t.count.c.location, t.count.c.sku])
        self.moved_since = Statement(_moved_since())
        self.body_bytes = Lookup(t.posting, [p.position], p.position, func.length(p.body), prunes=True)
        self.looked_back_on = ForEach(_AFTER[:2], _looked_back_on, in_order=True)
        self.moved_after = ForEach(_AFTER, _moved_after, in_order=True)
        line, document = t.document_line.c, t.document.c
        group = [line.location, line.sku, line.kind, line.source]
        self.lines_of_documents = Lookup(t.document_line, [line.document])
        self.lines_at = Lookup(t.document_line, [line.position])
        self.lines_of_keys = Lookup(t.document_line, [line.location, line.sku])
        self.lines_of_groups = Lookup(t.document_line, group)
        self.waiting_lines = Lookup(t.document_line, group, where=line.waiting > literal_column("0"))
        self.documents = Lookup(t.document, [document.document])
        group = [document.location, document.sku, document.kind, document.source]
        self.documents_of_groups = Lookup(t.document, group)
        self.open_documents = Lookup(t.document, group, where=document.remaining > literal_column("0"))
        self.references = Lookup(t.reference, [t.reference.c.digest])
        self.references_at = Lookup(t.reference, [t.reference.c.position])
        self.merges = Statement(select(t.merge).where(t.merge.c.voided_position.is_(None)))
        self.locations_of_skus = Lookup(t.level, [t.level.c.sku], t.level.c.location, t.level.c.sku)
        self.locations = Lookup(t.location, [t.location.c.location], t.location.c.location)
        self.put_identities = Insert(t.identity)
        self.put_postings = Insert(t.posting)
        self.put_movements = Insert(t.movement)
        self.put_segments = Insert(t.segment)
        self.put_levels = Insert(t.level, "replace")
        self.put_terminals = Insert(t.terminal, "replace")
        self.put_boots = Insert(t.boot, "replace")
        self.put_lineages = Insert(t.lineage, "replace")
        self.put_counts = Insert(t.count, "replace")
        self.put_document_lines = Insert(t.document_line, "replace")
        self.put_documents = Insert(t.document, "replace")
        self.put_references = Insert(t.reference, "replace")
        self.put_flagged = Insert(t.flagged)
        self.put_voids = Insert(t.void)
        self.put_merges = Insert(t.merge, "replace")
        self.put_merge_count = Statement(t.ledger.update().values(merges=t.ledger.c.merges + bindparam("more")))
        self.put_rejections = Insert(t.rejection, "replace")
        self.put_quarantine = Insert(t.quarantine, "ignore")


def _moved_since() -> Select[Any]:
    """The first closed segment with a movement at or after an instant."""
    return select(func.min(t.segment.c.segment)).where(t.segment.c.latest_at >= bindparam("after"))


def _looked_back_on(wanted: FromClause) -> Executable:
    """How many movements in the segments from `first` to `open`, and counts, there are of each key, up to a maximum."""
    m, c, w = t.movement.c, t.count.c, wanted.c
    most: ColumnElement[int] = literal_column(str(LOOKED_BACK_MAX))
    none: ColumnElement[int] = literal_column("0")
    closed = select(t.segment.c.segment).where(t.segment.c.segment >= bindparam("first", type_=BigInteger))
    visited = union_all(closed, select(bindparam("open", type_=BigInteger))).cte("visited")
    one: ColumnElement[int] = literal_column("1").label("one")
    of_key = and_(m.segment == visited.c.segment, m.location == w.location, m.sku == w.sku)
    # Repeated for the movements, so that partitions are pruned before the join.
    bounds = m.segment.between(bindparam("first", type_=BigInteger), bindparam("open", type_=BigInteger))
    moved = select(one).select_from(visited.join(t.movement, of_key)).where(bounds)
    counted = select(one).select_from(t.count).where(c.location == w.location, c.sku == w.sku)
    numbers = (
        select(func.count()).select_from(each.correlate(wanted).limit(most).offset(none).subquery()).scalar_subquery()
        for each in (moved, counted)
    )
    return select(w.location, w.sku, *numbers)


_AFTER = [t.movement.c.location, t.movement.c.sku, t.movement.c.effective_at, t.movement.c.event_position]


def _moved_after(wanted: FromClause) -> Executable:
    """Sums of movements after places in the order of events, in the segments from `first` to `open`."""
    m, s, w = t.movement.c, t.segment.c, wanted.c
    closed = select(s.segment, s.latest_at).where(s.segment >= bindparam("first", type_=BigInteger))
    still_open = select(bindparam("open", type_=BigInteger), bindparam("latest_at", type_=BigInteger))
    visited = union_all(closed, still_open).cte("visited")
    is_behind = and_(m.effective_at == w.effective_at, event_position(t.movement) > w.event_position)
    return (
        select(w.location, w.sku, w.effective_at, w.event_position, func.sum(m.quantity))
        .select_from(
            wanted.join(visited, visited.c.latest_at >= w.effective_at).join(
                t.movement, and_(m.segment == visited.c.segment, m.location == w.location, m.sku == w.sku)
            )
        )
        .where(m.account == literal_column(str(int(Account.STOCK))), or_(m.effective_at > w.effective_at, is_behind))
        .where(m.segment.between(bindparam("first", type_=BigInteger), bindparam("open", type_=BigInteger)))
        .group_by(w.location, w.sku, w.effective_at, w.event_position)
    )
