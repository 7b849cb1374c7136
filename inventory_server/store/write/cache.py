"""The writer's cache: rows that stay in memory between commits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from inventory_server.config import PRELOADED_ROWS_MAX, WRITER_CACHE_ROWS_MAX
from inventory_server.domain.inventory import Level
from inventory_server.domain.lineage import Lineage
from inventory_server.domain.merge import Merges
from inventory_server.domain.tick_clock import TerminalClock
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Key, Rights, Terminal
from inventory_server.store.ledger.sql import Statement


@dataclass(frozen=True, slots=True)
class KeepingCaches:
    """An administrator's job that changes nothing of what writers cache."""

    job: Callable[[Connection], Any]

    def __call__(self, connection: Connection) -> Any:
        """Do the job."""
        return self.job(connection)


_stamp = Statement(select(t.ledger.c.stamp))
_products = Statement(select(t.product.c.sku).limit(bindparam("most")))
_levels = Statement(select(t.level).limit(bindparam("most")))


@dataclass(slots=True)
class WriterCache:
    """Rows as of the last commit, valid while the ledger still has the `stamp` of that commit.

    Every commit and every administrator's change, by any server, sets a new random stamp.
    """

    stamp: int | None = None
    terminals: dict[str, Terminal] = field(default_factory=dict)
    rights: dict[str, Rights] = field(default_factory=dict)
    tick_clocks: dict[str, TerminalClock] = field(default_factory=dict)
    lineages: dict[tuple[str, bytes], Lineage] = field(default_factory=dict)
    levels: dict[Key, Level] = field(default_factory=dict)
    listed_skus: set[str] = field(default_factory=set)
    locations: dict[str, bool] = field(default_factory=dict)
    merges: Merges | None = None

    def preload(self, connection: Connection) -> None:
        """Read the catalogue and all levels, or nothing where either is too large."""
        [(stamp,)] = _stamp(connection)
        self.begin(stamp)
        products = _products(connection, most=PRELOADED_ROWS_MAX + 1)
        levels = _levels(connection, most=PRELOADED_ROWS_MAX + 1)
        if max(len(products), len(levels)) > PRELOADED_ROWS_MAX:
            return
        skus = {sku: sku for (sku,) in products}  # one text for all levels of a product
        self.listed_skus.update(skus)
        for location, sku, *figures in levels:
            self.levels[location, skus.setdefault(sku, sku)] = Level(*figures)

    def begin(self, stamp: int) -> None:
        """Drop everything if the ledger's stamp has changed, and the large tables once they exceed their limit."""
        if stamp != self.stamp:
            self.forget()
            self.stamp = stamp
        if max(len(self.levels), len(self.lineages), len(self.tick_clocks)) > WRITER_CACHE_ROWS_MAX:
            self.levels.clear()
            self.lineages.clear()
            self.tick_clocks.clear()

    def forget(self) -> None:
        """Drop everything: another server has committed, or the transaction was rolled back."""
        self.stamp = self.merges = None
        for rows in (
            self.terminals,
            self.rights,
            self.tick_clocks,
            self.lineages,
            self.levels,
            self.listed_skus,
            self.locations,
        ):
            rows.clear()
