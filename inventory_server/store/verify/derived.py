"""Verification of derived data: levels, counts, reservations and transfers, compared with the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, or_, select, union_all

from inventory_server.domain.answers import Proof
from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import NEVER, Key
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.ledger.timetravel import NOW, LedgerAt, Moment
from inventory_server.store.verify import archive
from inventory_server.store.verify.postings import Moved
from pos_client.protocol.units import micros

_counts = Lookup(t.count, list(t.count.primary_key.columns))
_reservations = Lookup(t.reservation, list(t.reservation.primary_key.columns))


class _Expiry(msgspec.Struct):
    expires_at: datetime | None = None


_expiry_decoder = msgspec.json.Decoder(_Expiry)


class DerivedCheck:
    """Follows `on_hand_after` from movement to movement; the last one of each key must be that of its level."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.on_hand: dict[Key, int] = {}
        self.counts = 0

    def _before(self, connection: Connection, key: Key) -> int:
        """The stock before the next movement of `key`; after an archive, computed from what it keeps."""
        if key not in self.on_hand and self.head.archived_position:
            self.on_hand[key] = _on_hand_at(connection, key, self.head.archived_position)
        return self.on_hand.get(key, 0)

    def wrong_figures(self, connection: Connection, row: Any, moved: list[Moved]) -> Iterator[str]:
        """Check one posting. After a late or voided count, the expected figure is computed by time travel."""
        for movement, _, after in moved:
            key = (movement.location, movement.sku)
            before = self._before(connection, key)
            self.on_hand[key] = after
            follows = after == before
            if movement.account is Account.COUNT:
                follows |= after == movement.quantity or after == _on_hand_at(connection, key, row.position)
            elif movement.account is Account.STOCK:
                follows |= after == before + movement.quantity
                if not follows and row.type == "void" and not movement.quantity:
                    follows = after == _on_hand_at(connection, key, row.position)
            if not follows:
                yield f"{movement.sku!r} at {movement.location!r} went from {before} to {after}"

    def wrong_counts(self, connection: Connection, postings: list[Any], moved: dict[int, list[Moved]]) -> Iterator[str]:
        """Compare the counts of one segment with the rows of `count`."""
        expected: dict[tuple[Any, ...], tuple[int, int | None]] = {}
        for row in postings:
            if row.type == "count":
                voided = None if row.void_position is None else max(row.void_position, row.position)
                for movement, _, _ in moved.get(row.position, ()):
                    if movement.account is Account.COUNT:
                        key = (movement.location, movement.sku, movement.occurred_at, row.position)
                        expected[key] = (movement.quantity, voided)
        self.counts += len(expected)
        found = {row[:4]: row[4:] for row in _counts(connection, list(expected))}
        for key, figure in expected.items():
            if found.get(key) != figure:
                yield f"position {key[3]}: the count of {key[1]!r} is {found.get(key)}, the ledger says {figure}"


def _on_hand_at(connection: Connection, key: Key, position: int) -> int:
    return LedgerAt(connection, Moment(None, position)).of(*key).level().on_hand


def wrong_latest(connection: Connection, segment: int, moved: dict[int, list[Moved]]) -> Iterator[str]:
    """Compare the latest instant in a segment with the stored one, by which time travel skips segments."""
    latest = max((each.movement.occurred_at for group in moved.values() for each in group), default=None)
    head = connection.execute(select(t.ledger)).one()
    if segment == head.position >> t.SEGMENT_POSITIONS_LOG2:
        noted = head.segment_latest_at
    else:
        noted = connection.execute(select(t.segment.c.latest_at).where(t.segment.c.segment == segment)).scalar()
    if noted != latest:
        yield f"segment {segment}: the latest instant in it is {latest}, stored is {noted}"


def wrong_levels(connection: Connection, proof: Proof, check: DerivedCheck) -> Iterator[str]:
    """Compare levels: those without counts with sums in one pass, the others by time travel one by one."""
    moved, now, on_hand = _sums(connection, check.head), LedgerAt(connection, NOW), check.on_hand
    counted = {tuple(row) for row in connection.execute(select(t.count.c.location, t.count.c.sku).distinct())}
    for row in connection.execute(select(t.level).order_by(t.level.c.location, t.level.c.sku)):
        proof.levels += 1
        key = (row.location, row.sku)
        total, latest, in_transit = moved.pop(key, (0, None, 0))
        expected: tuple[Any, ...] = (total, total, in_transit, None, None, latest)
        if key in counted:
            level = now.of(*key).level()
            expected = (level.on_hand, level.moved, level.in_transit)
            expected += (level.counted_at, level.counted_position, level.last_movement_at)
        if tuple(row)[2:] != expected:
            yield f"{row.sku!r} at {row.location!r}: the level is {tuple(row)[2:]}, the ledger says {expected}"
        untouched = row.on_hand if check.head.archived_position else 0
        if on_hand.pop(key, untouched) != row.on_hand:
            yield f"{row.sku!r} at {row.location!r}: the last movement did not leave {row.on_hand}"
    for location, sku in moved.keys() | on_hand.keys():
        yield f"{sku!r} at {location!r}: has movements but no level"


def _sums(connection: Connection, head: Head) -> dict[Key, list[Any]]:
    """Per (location, sku): sum and latest instant of its stock movements, quantity in transit."""
    m = archive.moved(head)
    sums = (
        select(m.location, m.sku, m.account, func.sum(m.quantity), func.max(m.latest_at))
        .where(m.account.in_((int(Account.STOCK), int(Account.IN_TRANSIT))))
        .group_by(m.location, m.sku, m.account)
    )
    moved: dict[Key, list[Any]] = {}
    for location, sku, account, total, latest in connection.execute(sums):
        entry = moved.setdefault((location, sku), [0, None, 0])
        if account == Account.STOCK:
            entry[:2] = total, latest
        else:
            entry[2] = total
    return moved


def wrong_reservations(connection: Connection, head: Head) -> Iterator[str]:
    """Compare each reservation's remainder with what was reserved less what was drawn.

    A reservation that was used up within the archive has no balance there.
    """
    m, r = archive.moved(head), t.reservation.c
    drawn = (
        select(m.reservation, m.location, m.sku, func.sum(m.quantity).label("remaining"))
        .where(m.account == int(Account.RESERVED))
        .group_by(m.reservation, m.location, m.sku)
        .subquery()
    )
    d = drawn.c
    same = and_(r.reservation == d.reservation, r.location == d.location, r.sku == d.sku)
    differs = or_(r.remaining.is_(None), r.remaining != d.remaining)
    lacking = select(d.location, d.sku, r.remaining, d.remaining).select_from(drawn.outerjoin(t.reservation, same))
    for location, sku, found, expected in connection.execute(lacking.where(differs)):
        yield f"{sku!r} at {location!r}: {found} remains of a reservation, the ledger says {expected}"
    surplus = select(r.location, r.sku).select_from(t.reservation.outerjoin(drawn, same)).where(d.sku.is_(None))
    if head.archived_position:
        surplus = surplus.where(r.remaining != 0)
    for location, sku in connection.execute(surplus):
        yield f"{sku!r} at {location!r}: is reserved, but no posting says so"


def wrong_expiries(connection: Connection, postings: list[Any], moved: dict[int, list[Moved]]) -> Iterator[str]:
    """Compare the expiry of the reservations made in a segment with their bodies."""
    expected: dict[tuple[Any, ...], int] = {}
    for row in postings:
        if row.type == "reserve":
            expires_at = _expiry_decoder.decode(row.body).expires_at
            until = NEVER if expires_at is None else micros(expires_at)
            for movement, _, _ in moved.get(row.position, ()):
                if movement.quantity >= 0:
                    expected[row.id, movement.location, movement.sku] = until
    found = {row[:3]: row[4] for row in _reservations(connection, list(expected))}
    for key, until in expected.items():
        if found.get(key) != until:
            yield f"{key[2]!r} at {key[1]!r}: a reservation expires at {found.get(key)}, its posting says {until}"


def wrong_transfers(connection: Connection, proof: Proof, head: Head) -> Iterator[str]:
    """Per SKU: what left by transfer = what arrived by transfer + what is in transit."""
    on_the_way = select(t.level.c.sku, func.sum(t.level.c.in_transit)).group_by(t.level.c.sku)
    in_transit = dict(connection.execute(on_the_way).all())
    moved = _transferred(connection, head)
    for sku in moved.keys() | {sku for sku, quantity in in_transit.items() if quantity}:
        proof.transfers += 1
        if moved.get(sku, 0) != in_transit.get(sku, 0):
            yield f"{sku!r}: {moved.get(sku, 0)} left and did not arrive, {in_transit.get(sku, 0)} is in transit"


def _transferred(connection: Connection, head: Head) -> dict[str, int]:
    """Per SKU: quantity sent by transfers less quantity received, without voided transfers.

    For archived transfers, that is the quantity in transit at the end of the archive.
    """
    m, p = t.movement.c, t.posting.c
    transfers = ("transfer_out", "transfer_in")
    voids = select(t.void.c.position).join(t.identity, t.identity.c.id == t.void.c.voids)
    voided = union_all(
        *(
            voids.join(table, table.c.position == t.identity.c.position).where(table.c.type.in_(transfers))
            for table in (t.posting, t.archived)
        )
    )
    rows = connection.execute(
        select(m.sku, func.sum(-m.quantity))
        .select_from(t.movement.join(t.posting, p.position == m.position))
        .where(m.account == int(Account.STOCK), (p.type.in_(transfers)) | p.position.in_(voided))
        .group_by(m.sku)
    )
    moved = dict(rows.all())
    if head.archived_position:
        a = archive.archived(head)
        before = select(a.sku, func.sum(a.quantity)).where(a.account == int(Account.IN_TRANSIT)).group_by(a.sku)
        for sku, quantity in connection.execute(before):
            moved[sku] = moved.get(sku, 0) + quantity
    return moved
