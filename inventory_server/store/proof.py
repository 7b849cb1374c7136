"""The proof: the ledger is whole, every level follows from it, and what left one place arrived at another.

Reads everything once, segment by segment, in one snapshot; memory is bounded by one segment and by the
number of terminals, skus and findings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from inventory_server import inventory
from inventory_server.inventory import Account, Movement
from inventory_server.lineage import FIRST_HEAD, next_head
from inventory_server.store import tables as t
from inventory_server.store.timetravel import NOW, level_at
from pos_client import wire
from pos_client.errors import BodyError
from pos_client.exact import micros
from pos_client.messages import Body, Line

FINDINGS_MAX = 100
"""Findings kept in words; all are counted."""

Progress = Callable[[int, int], None]
"""Called with (positions proven, positions in all)."""


@dataclass
class Proof:
    """What was proven and what was found wrong."""

    position: int = 0
    postings: int = 0
    movements: int = 0
    levels: int = 0
    chains: int = 0
    transfers: int = 0
    mismatches: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True where nothing is wrong."""
        return self.mismatches == 0

    def found(self, what: str) -> None:
        """Count a finding, and keep its words while there are not too many."""
        self.mismatches += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(what)


def prove(connection: Connection, progress: Progress | None = None) -> Proof:
    """Prove postings, chains, movements, levels and transfers; the result says what does not hold."""
    proof = Proof(position=int(connection.execute(select(t.ledger.c.position)).scalar_one()))
    heads: dict[str, bytes] = {}
    last_recorded_at = 0
    for segment in range((proof.position >> t.SEGMENT_POSITIONS_LOG2) + 1):
        postings = _postings(connection, segment)
        movements = _movements(connection, segment)
        for row in postings:
            proof.postings += 1
            if row.position != proof.postings:
                proof.found(f"position {row.position}: expected {proof.postings}, the ledger has a gap")
                proof.postings = row.position
            if row.recorded_at <= last_recorded_at:
                proof.found(f"position {row.position}: recorded before the posting in front of it")
            last_recorded_at = row.recorded_at
            if hashlib.sha256(row.body).digest() != row.digest:
                proof.found(f"position {row.position}: the body does not have its digest")
            heads[row.terminal] = next_head(heads.get(row.terminal, FIRST_HEAD), row.id, row.digest)
            _prove_movements(connection, proof, row, movements.pop(row.position, []))
        for position in movements:
            proof.found(f"position {position}: movements without a posting")
        if progress is not None:
            progress(min((segment + 1) << t.SEGMENT_POSITIONS_LOG2, proof.position), proof.position)
    if proof.postings != proof.position:
        proof.found(f"the ledger says {proof.position} postings, there are {proof.postings}")
    _prove_chains(connection, proof, heads)
    _prove_levels(connection, proof)
    _prove_transfers(connection, proof)
    return proof


def _postings(connection: Connection, segment: int) -> list[Any]:
    p = t.posting.c
    first = segment << t.SEGMENT_POSITIONS_LOG2
    columns = (p.position, p.id, p.terminal, p.type, p.location, p.recorded_at, p.digest, p.body)
    between = p.position.between(first, first + (1 << t.SEGMENT_POSITIONS_LOG2) - 1)
    return list(connection.execute(select(*columns).where(between).order_by(p.position)))


def _movements(connection: Connection, segment: int, position: int | None = None) -> dict[int, list[Movement]]:
    m = t.movement.c
    columns = (m.position, m.location, m.sku, m.account, m.quantity, m.occurred_at, m.reservation)
    statement = select(*columns).where(m.segment == segment).order_by(m.position, m.entry)
    if position is not None:
        statement = statement.where(m.position == position)
    found: dict[int, list[Movement]] = {}
    for at, location, sku, account, *rest in connection.execute(statement):
        found.setdefault(at, []).append(Movement(location, sku, Account(account), *rest))
    return found


def _prove_movements(connection: Connection, proof: Proof, row: Any, stored: list[Movement]) -> None:
    """A posting's movements are its body's; a void's, and those of a posting voided early, cancel others'."""
    proof.movements += len(stored)
    try:
        body = wire.decode_body(row.body)
        quantities = wire.check_body(body, max_lines=1 << 31)
    except BodyError as error:
        proof.found(f"position {row.position}: unreadable body, {error}")
        return
    if isinstance(body.voids, UUID):
        expected = _voided(connection, row, body)
        if stored != expected:
            proof.found(f"position {row.position}: the movements do not cancel those of what it voids")
        return
    assert isinstance(body.lines, list)
    skus = [
        line.sku if isinstance(line.sku, str) else movement_sku for line, movement_sku in _line_skus(body.lines, stored)
    ]
    other = body.other_location if isinstance(body.other_location, str) else None
    reservation = row.id if body.type == "reserve" else getattr(body.reservation, "bytes", None)
    lines = list(zip(skus, quantities, strict=True))
    expected = inventory.movements(body.type, row.location, other, micros(body.occurred_at), lines, reservation)
    early = stored[len(expected) :]
    cancelled = inventory.opposite(expected, early[0].occurred_at) if early else []
    if stored != expected + cancelled:
        proof.found(f"position {row.position}: the movements are not those of the body")


def _voided(connection: Connection, row: Any, body: Body) -> list[Movement]:
    """What a void must move: nothing where it came before what it voids, whose movements then cancel themselves."""
    assert isinstance(body.voids, UUID)
    position = connection.execute(select(t.posting.c.position).where(t.posting.c.id == body.voids.bytes)).scalar()
    if position is None or position > row.position:
        return []
    target = _movements(connection, position >> t.SEGMENT_POSITIONS_LOG2, position)[position]
    return inventory.opposite(target, micros(body.occurred_at))


def _line_skus(lines: list[Line], stored: list[Movement]) -> list[tuple[Line, str]]:
    """Each line with the sku that its first movement names: what a barcode meant is kept by the movement."""
    per_line = max(1, len(stored) // max(1, len(lines)))
    skus = [stored[at * per_line].sku if at * per_line < len(stored) else "" for at in range(len(lines))]
    return list(zip(lines, skus, strict=True))


def _prove_chains(connection: Connection, proof: Proof, heads: dict[str, bytes]) -> None:
    for name, head in connection.execute(select(t.terminal.c.terminal, t.terminal.c.head)):
        proof.chains += 1
        if heads.pop(name, FIRST_HEAD) != head:
            proof.found(f"terminal {name}: the chain does not end where HQ says it does")
    for name in heads:
        proof.found(f"terminal {name}: has postings but is not enrolled")


def _prove_levels(connection: Connection, proof: Proof) -> None:
    """Where nothing was counted the sums are compared in one pass; counted ones follow the rule one by one."""
    m, level = t.movement.c, t.level.c
    sums = (
        select(m.location, m.sku, m.account, func.sum(m.quantity), func.max(m.occurred_at))
        .where(m.account.in_((int(Account.STOCK), int(Account.IN_TRANSIT))))
        .group_by(m.location, m.sku, m.account)
    )
    moved: dict[tuple[str, str], list[Any]] = {}
    for location, sku, account, total, latest in connection.execute(sums):
        entry = moved.setdefault((location, sku), [0, None, 0])
        if account == Account.STOCK:
            entry[:2] = total, latest
        else:
            entry[2] = total
    counted = set(connection.execute(select(t.count.c.location, t.count.c.sku).distinct()).tuples())
    for row in connection.execute(select(t.level).order_by(level.location, level.sku)):
        proof.levels += 1
        key = (row.location, row.sku)
        total, latest, in_transit = moved.pop(key, (0, None, 0))
        expected: tuple[Any, ...] = (total, total, in_transit, None, None, latest)
        if key in counted:
            derived = level_at(connection, *key, NOW)
            expected = (
                derived.on_hand,
                derived.moved,
                derived.in_transit,
                derived.counted_at,
                derived.counted_position,
                derived.last_movement_at,
            )
        if tuple(row)[2:] != expected:
            proof.found(f"{row.sku!r} at {row.location!r}: the level is {tuple(row)[2:]}, the ledger says {expected}")
    for location, sku in moved:
        proof.found(f"{sku!r} at {location!r}: has movements but no level")


def _prove_transfers(connection: Connection, proof: Proof) -> None:
    """Per sku: what left by transfer = what arrived by transfer + what is in transit."""
    on_the_way = select(t.level.c.sku, func.sum(t.level.c.in_transit)).group_by(t.level.c.sku)
    in_transit = dict(connection.execute(on_the_way).tuples().all())
    moved = _transferred(connection)
    for sku in moved.keys() | {sku for sku, quantity in in_transit.items() if quantity}:
        proof.transfers += 1
        if moved.get(sku, 0) != in_transit.get(sku, 0):
            proof.found(f"{sku!r}: {moved.get(sku, 0)} left and did not arrive, {in_transit.get(sku, 0)} is in transit")


def _transferred(connection: Connection) -> dict[str, int]:
    """Per sku, what transfers took off the shelves less what they put on them, voided ones cancelled."""
    m, p = t.movement.c, t.posting.c
    transfers = ("transfer_out", "transfer_in")
    voided = select(t.void.c.position).join(t.posting, p.id == t.void.c.voids).where(p.type.in_(transfers))
    rows = connection.execute(
        select(m.sku, func.sum(-m.quantity))
        .select_from(t.movement.join(t.posting, p.position == m.position))
        .where(m.account == int(Account.STOCK), (p.type.in_(transfers)) | p.position.in_(voided))
        .group_by(m.sku)
    )
    return dict(rows.tuples().all())
