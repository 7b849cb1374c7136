"""Verification of what HQ finds postings by: documents by reference, voids by what they void, flagged ones by cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, func, select

from inventory_server.domain.inventory import Account, Movement
from inventory_server.domain.references import digest_of
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import ANYWHERE
from inventory_server.store.ledger.sql import Lookup
from pos_client.protocol.messages import Body

_r, _v, _ranged = t.reference.c, t.void.c, t.product_location.c
_f = t.flagged.c
_flagged = select(_f.flag, _f.position, _f.effective_at)
_references = Lookup(t.reference, [_r.digest, _r.position])
_voids = Lookup(t.void, [_v.voids])


class LookupCheck:
    """Compares, slice by slice, the rows of `reference`, `void` and `flagged` with the postings that they stand for."""

    def __init__(self) -> None:
        self._references: dict[tuple[bytes, int], int | None] = {}
        self._voids: dict[tuple[bytes, int], str] = {}
        self._flags: dict[int, tuple[int, int]] = {}
        self._rows = {t.reference: 0, t.void: 0}

    def note(self, row: Any, body: Body, quantities: list[int], moved: list[Movement]) -> None:
        """Note a posting; only its movements tell which SKU a barcode meant at the time."""
        if row.flags:
            self._flags[row.position] = (row.flags, row.effective_at)
        if isinstance(body.voids, UUID):
            self._voids[body.voids.bytes, row.position] = row.location
        skus = [movement.sku for movement in moved if movement.account is not Account.CARRIED]
        lines = zip(skus, quantities, strict=False)
        digest = digest_of(body, row.location, lines)
        if digest is not None:
            voided = None if row.void_position is None else max(row.void_position, row.position)
            self._references[digest, row.position] = voided

    def wrong(self, connection: Connection, first: int, last: int) -> Iterator[str]:
        """Compare what was noted of the positions from `first` to `last` with what is stored, and begin anew."""
        found = {(row[0], row[1]): row[2] for row in _references(connection, list(self._references))}
        for key, voided in self._references.items():
            if found.get(key, 0) != voided:
                yield f"position {key[1]}: its reference is not known, or not whether it is voided"
        works_at = {(row[0], row[2]): row[1] for row in _voids(connection, [(key[0],) for key in self._voids])}
        for key, location in self._voids.items():
            if works_at.get(key) not in (ANYWHERE, location):
                yield f"position {key[1]}: HQ does not know what it voids"
        for flag, position, effective_at in connection.execute(_flagged.where(_f.position.between(first, last))):
            flags, at = self._flags.get(position, (0, None))
            if not flags >> flag & 1 or effective_at != at:
                yield f"position {position}: a person is to look at a flag that it does not have"
        self._rows[t.reference] += len(self._references)
        self._rows[t.void] += len(self._voids)
        self._references, self._voids, self._flags = {}, {}, {}

    def unexplained(self, connection: Connection, head: Head) -> Iterator[str]:
        """Stored rows that no posting explains, once all have been noted; those of the archive are not looked at."""
        for table, expected in self._rows.items():
            counted = select(func.count()).select_from(table).where(table.c.position > head.archived_position)
            found = connection.execute(counted).scalar_one()
            if found != expected:
                yield f"the ledger needs {expected} rows in {table.name}, there are {found}"


def wrong_ranges(connection: Connection) -> Iterator[str]:
    """Products of which HQ does not know whether the catalogue ranges them, and ranges of unknown products."""
    is_ranged = exists().where(_ranged.sku == t.product.c.sku)
    differs = (t.product.c.is_ranged != 0) != is_ranged
    for (sku,) in connection.execute(select(t.product.c.sku).where(differs)):
        yield f"product {sku!r}: is ranged for a location, or not, stored otherwise"
    unknown = ~exists().where(t.product.c.sku == _ranged.sku)
    for location, sku in connection.execute(select(_ranged.location, _ranged.sku).where(unknown)):
        yield f"product {sku!r}: is ranged for {location!r} and not in the catalogue"
