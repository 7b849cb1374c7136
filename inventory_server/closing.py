"""Closing the books of a ledger, whether or not servers are running on it: read here, written by its writer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inventory_server.config import Settings
from inventory_server.control import BeginClosing, FinishClosing, WriteClosing, administration
from inventory_server.store import Connection, closing, read_store
from inventory_server.store.ledger import Clock


@dataclass(frozen=True, slots=True)
class Closed:
    """What was closed: up to which position, and what was written for it."""

    position: int
    balances: int
    stragglers: int


def close(url: str, settings: Settings, clock: Clock) -> Closed | None:
    """Close all segments that are full; None where that has been done. StoreError says why it could not be."""
    with administration(url, settings, clock) as carry_out:
        position = carry_out(BeginClosing())
        if position is None:
            return None
        written = [0, 0]

        def write(connection: Connection) -> None:
            for rows in _rows_of(connection, position):
                carry_out(rows)
                written[0] += len(rows.balances)
                written[1] += len(rows.stragglers)

        read_store(url, write)
        carry_out(FinishClosing(position))
        return Closed(position, *written)


def _rows_of(connection: Connection, position: int) -> Iterator[WriteClosing]:
    for balances in closing.balances(connection, position):
        yield WriteClosing(balances, [])
    for stragglers in closing.stragglers(connection, position):
        yield WriteClosing([], stragglers)
