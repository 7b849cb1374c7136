"""Rows of the store as the write path holds them, and the set-based statements that read and write them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Select, bindparam, func, select, union_all

from inventory_server.lineage import Lineage, Said
from inventory_server.store import tables as t
from inventory_server.store.bulk import Insert, Lookup, Prepared, Rendered
from pos_client.messages import PostingType, Range

NEVER = 2**63 - 1
"""The `expires_at` of a reservation that does not expire."""
UNSEEN = 0
"""The `expires_at` of a reservation that was drawn on before HQ heard of it."""
UNNAMED = b""
"""The reservation that unnamed releases draw on."""

_beyond_decoder = msgspec.json.Decoder(list[Range])


class Posted(msgspec.Struct):
    """A posting that the ledger holds."""

    digest: bytes
    position: int
    recorded_at: int
    flags: int


POSTED = ("digest", "position", "recorded_at", "flags")
"""The columns of `posting` that `Posted` is made of, in its order."""


class Rejected(msgspec.Struct):
    """A recorded refusal; a reopened one may be judged anew under the same id and sequence number."""

    digest: bytes
    code: str
    reason: str
    lineage: bytes | None
    seq: int | None
    reopened: bool


ANYWHERE = ""
"""The location of a void that an operator sent without one."""


class Void(msgspec.Struct):
    """A row of `void`, in the order of its columns."""

    voids: bytes
    location: str
    position: int
    occurred_at: int

    def works_at(self, location: str) -> bool:
        """True where it voids what was posted at `location`."""
        return self.location in (ANYWHERE, location)


class Place(msgspec.Struct):
    """Where a posting is and what it is."""

    position: int
    type: PostingType
    location: str


class Terminal(msgspec.Struct):
    """A row of `terminal`, in the order of its columns."""

    terminal: str
    role: str
    location: str
    token_hash: bytes | None
    enrolled_at: int
    revoked_at: int | None
    epoch: int
    head: bytes
    lineage: bytes | None
    contact_at: int | None
    told_at: int | None
    pending: int
    dead: int
    oldest_pending_at: int | None
    closed_at: int | None


class Statements:
    """The set-based statements of the write path, rendered once and kept."""

    def __init__(self) -> None:
        self.head = Rendered(select(t.ledger).with_for_update())
        self.put_head = Rendered(
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
        self.movements = Rendered(movements)
        figures = ("occurred_at", "position", "quantity", "voided_position")
        self.counts = Lookup(t.count, [t.count.c.location, t.count.c.sku], *(t.count.c[name] for name in figures))
        self.moved_since = Rendered(_moved_since())
        self.moved_after = Prepared(_moved_after())
        self.archived_after = Prepared(_archived_after())
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
    """The first closed segment in which anything moved after an instant."""
    return select(func.min(t.segment.c.segment)).where(t.segment.c.latest_at > bindparam("after"))


def _moved_after() -> Select[Any]:
    """What moved after an instant, from the `first` segment in which anything did to the `open` one."""
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
    """What is archived and moved after an instant that is not: such movements are stragglers."""
    s = t.straggler.c
    of = [s[name] == bindparam(name) for name in ("location", "sku", "account")]
    after = s.occurred_at > bindparam("after")
    return select(func.sum(s.quantity)).where(*of, after, s.position <= bindparam("archived_position"))


def held_lineage(row: Any) -> Lineage:
    """The lineage of a row of `lineage`."""
    _, _, acked_seq, beyond, count, quantity, acked_at, said_at, *said = row
    held = Lineage(acked_seq, _beyond_decoder.decode(beyond), count, quantity, acked_at)
    if said_at is not None:
        held.said = Said(said_at, *said)
    return held
