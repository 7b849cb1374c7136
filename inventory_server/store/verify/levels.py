"""The proof of single levels, for the background proof: what the ledger says beside what is stored."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select, tuple_

from inventory_server.domain.alerts import ProvenLevels
from inventory_server.domain.requests import ProveLevels
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import DocumentsAt
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.sql import among, plain_rows
from inventory_server.store.ledger.timetravel import NOW, LedgerAt

_level = t.level.c


def prove_levels(connection: Connection, question: ProveLevels) -> ProvenLevels:
    """Compute the next levels from the movements, counts and documents, and compare them with the stored ones."""
    page = select(t.level).order_by(_level.location, _level.sku).limit(question.limit).offset(question.skipped)
    if question.after is not None:
        page = page.where(tuple_(_level.location, _level.sku) > question.after)
    rows = plain_rows(connection, page)
    keys = [(row[0], row[1]) for row in rows]
    places = sorted({location for location, _ in keys})
    known = {row[0] for row in plain_rows(connection, select(_place).where(among(connection, _place, places)))}
    now, documents = LedgerAt(connection, NOW), DocumentsAt(connection, keys, None, None)
    wrong = []
    for (location, sku), (_, _, *found) in zip(keys, rows, strict=True):
        in_transit = documents.in_transit((location, sku)) if location in known else 0
        expected = msgspec.structs.astuple(now.of(location, sku).level(in_transit))
        if tuple(found) != expected:
            wrong.append((location, sku, f"the level is {tuple(found)}, the ledger says {expected}"))
    last = keys[-1] if len(keys) == question.limit else None
    return ProvenLevels(head_of(connection).position, len(keys), wrong, keys[0] if keys else None, last)


_place = t.location.c.location
