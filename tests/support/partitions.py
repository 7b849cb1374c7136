"""Ledgers whose partitions are small enough for a test to fill some of them."""

from __future__ import annotations

from inventory_server.store.database import partitions
from inventory_server.store.database.partitions import Partition
from tests.support.maintenance import make_partitions, read_ledger
from tests.support.sites import Site

POSITIONS = 1_024
"""One segment: the smallest that a ledger can be cut into, which the command would refuse."""


def partitions_of(ledger: str) -> list[Partition]:
    """What a ledger is cut into."""
    found: list[Partition] = read_ledger(ledger, partitions.partitions)
    return found


def small(site: Site, ahead: int = 4) -> str:
    """A new ledger in partitions of `POSITIONS`: first one that is open-ended, and cut as the command would."""
    ledger = site.copy(site.new())
    for part in partitions_of(ledger):
        site.execute(ledger, *(f"DROP TABLE {part.name(table.name)}" for table in partitions.PARTITIONED))
    whole = Partition(0, None)
    for name in (table.name for table in partitions.PARTITIONED):
        bounds = f"FOR VALUES {whole.values(name)}"
        site.execute(ledger, f"CREATE TABLE {whole.name(name)} PARTITION OF {name} {bounds}")
    make_partitions(ledger, ahead, POSITIONS)
    return ledger
