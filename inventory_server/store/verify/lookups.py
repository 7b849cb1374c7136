"""Verification of what HQ finds postings by: documents by reference, voids by what they void, flagged ones by cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, exists, func, select

from inventory_server.domain.inventory import Account, Movement
from inventory_server.domain.references import digest_of
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.verify.voids import VoidCheck
from pos_client.protocol.messages import Body

_r, _ranged = t.reference.c, t.product_location.c
_f = t.flagged.c
_flagged = select(_f.flag, _f.position, _f.effective_at)
_references = Lookup(t.reference, [_r.digest, _r.position])


class LookupCheck:
    """Compares, slice by slice, the rows of `reference`, `void` and `flagged` with the postings that they stand for."""

    def __init__(self, connection: Connection) -> None:
        self._voids = VoidCheck(connection)
        self._references: dict[tuple[bytes, int], int | None] = {}
        self._flags: dict[int, tuple[int, int]] = {}
        self._needed = 0

    def note(self, row: Any, body: Body, quantities: list[int], moved: list[Movement]) -> None:
        """Note a posting; only its movements tell which SKU a barcode meant at the time."""
        if row.flags:
            self._flags[row.position] = (row.flags, row.effective_at)
        self._voids.note(row, body)
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
        yield from self._voids.wrong(connection)
        for flag, position, effective_at in connection.execute(_flagged.where(_f.position.between(first, last))):
            flags, at = self._flags.get(position, (0, None))
            if not flags >> flag & 1 or effective_at != at:
                yield f"position {position}: a person is to look at a flag that it does not have"
        self._needed += len(self._references)
        self._references, self._flags = {}, {}

    def unexplained(self, connection: Connection, head: Head) -> Iterator[str]:
        """Stored rows that no posting explains, once all have been noted; those of the archive are not looked at."""
        for table, expected in ((t.reference, self._needed), (t.void, self._voids.rows)):
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
