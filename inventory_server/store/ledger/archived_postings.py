"""Archived postings: the columns that stay in the ledger, their digest, and each terminal's chain through them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from inventory_server.config import ARCHIVE_ROWS
from inventory_server.domain.lineage import FIRST_HEAD, next_head
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import plain_rows

KEPT = tuple(column.name for column in t.archived.columns)
"""The columns of `posting` that `archived` keeps, in its order."""
_POSITION, _ID, _TERMINAL, _DIGEST = (KEPT.index(name) for name in ("position", "id", "terminal", "digest"))
_encode = msgspec.msgpack.Encoder().encode


class ArchivedDigest:
    """Digests the archived rows of one partition and advances `heads`, the terminals' chains."""

    def __init__(self, heads: dict[str, bytes]) -> None:
        self.heads = heads
        self.terminals: set[str] = set()
        self.rows = 0
        self._sha256 = hashlib.sha256()

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        """Add `rows`, which are ordered by position."""
        for row in rows:
            name = row[_TERMINAL]
            self.heads[name] = next_head(self.heads.get(name, FIRST_HEAD), row[_ID], row[_DIGEST])
            self.terminals.add(name)
        self.rows += len(rows)
        self._sha256.update(b"".join(map(_encode, rows)))

    def sha256(self) -> bytes:
        """The SHA-256 of all rows added so far."""
        return self._sha256.digest()


def pages(connection: Connection, table: Any, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
    """The archived columns of `table` from position `first` to `last`, in pages."""
    columns = [table.c[name] for name in KEPT]
    for begin in range(first, last + 1, ARCHIVE_ROWS):
        end = min(begin + ARCHIVE_ROWS - 1, last)
        page = select(*columns).where(table.c.position.between(begin, end)).order_by(table.c.position)
        yield plain_rows(connection, page)


def heads_at(connection: Connection, position: int) -> dict[str, bytes]:
    """The head of each terminal's chain at the end of the partition that ends at `position`."""
    h = t.archived_head.c
    last = select(h.terminal, func.max(h.position).label("position")).where(h.position <= position)
    latest = last.group_by(h.terminal).subquery()
    same = (h.terminal == latest.c.terminal) & (h.position == latest.c.position)
    rows = connection.execute(select(h.terminal, h.head).select_from(t.archived_head.join(latest, same)))
    return {terminal: bytes(head) for terminal, head in rows}
