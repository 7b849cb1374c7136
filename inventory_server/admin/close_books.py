"""Closing the books of a ledger, whether or not servers are running on it: read here, written by its writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inventory_server.admin.control_socket import BeginClosing, Command, FinishClosing, WriteClosing, administration
from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.store import Connection, read_store
from inventory_server.store.growth import closing


@dataclass(frozen=True, slots=True)
class Closed:
    """What was closed: up to which position, in how many cuts, and what was written for them."""

    position: int
    cuts: int
    balances: int
    stragglers: int


def close(url: str, settings: Settings, clock: Clock) -> Closed | None:
    """Close all segments that are full; None where that has been done. StoreError says why it could not be."""
    closed: Closed | None = None
    with administration(url, settings, clock) as carry_out:
        while (position := carry_out(BeginClosing())) is not None:
            balances, stragglers = _write(url, position, carry_out)
            carry_out(FinishClosing(position))
            before = closed or Closed(0, 0, 0, 0)
            closed = Closed(position, before.cuts + 1, before.balances + balances, before.stragglers + stragglers)
    return closed


def _write(url: str, position: int, carry_out: Callable[[Command], int | None]) -> tuple[int, int]:
    """Write all rows of the cut at `position`; return how many balances and stragglers these are."""

    def write(connection: Connection) -> tuple[int, int]:
        balances = stragglers = 0
        for page in closing.balances(connection, position):
            carry_out(WriteClosing(page, []))
            balances += len(page)
        for late in closing.stragglers(connection, position):
            carry_out(WriteClosing([], late))
            stragglers += len(late)
        return balances, stragglers

    written: tuple[int, int] = read_store(url, write)
    return written
