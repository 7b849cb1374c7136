"""The writer's cache: rows that stay in memory between commits."""

from __future__ import annotations

from dataclasses import dataclass, field

from inventory_server.config import WRITER_CACHE_ROWS_MAX
from inventory_server.domain.inventory import Level
from inventory_server.domain.lineage import Lineage
from inventory_server.domain.merge import Merges
from inventory_server.domain.tick_clock import TerminalClock
from inventory_server.store.ledger.records import Key, Rights, Terminal


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

    def begin(self, stamp: int) -> None:
        """Drop everything if the ledger's stamp has changed, and the large tables once they exceed their limit."""
        if stamp != self.stamp:
            self.forget()
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
