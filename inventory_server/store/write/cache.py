"""What a writer remembers of the database between commits, so that it need not ask again."""

from __future__ import annotations

from dataclasses import dataclass, field

from inventory_server.config import WRITER_CACHE_ROWS_MAX
from inventory_server.domain.inventory import Level
from inventory_server.domain.lineage import Lineage
from inventory_server.store.ledger.records import Key, Terminal


@dataclass(slots=True)
class WriterCache:
    """Rows as the last commit left them. They hold as long as the ledger bears the `stamp` of that commit.

    Every commit draws a new stamp, and so does every administrator's change, whoever makes them.
    """

    stamp: int | None = None
    terminals: dict[str, Terminal] = field(default_factory=dict)
    lineages: dict[tuple[str, bytes], Lineage] = field(default_factory=dict)
    levels: dict[Key, Level] = field(default_factory=dict)
    listed_skus: set[str] = field(default_factory=set)
    locations: set[str] = field(default_factory=set)

    def begin(self, stamp: int) -> None:
        """Forget what does not hold for a ledger that bears `stamp`, or has become too much."""
        if stamp != self.stamp:
            self.forget()
        if len(self.levels) > WRITER_CACHE_ROWS_MAX or len(self.lineages) > WRITER_CACHE_ROWS_MAX:
            self.levels.clear()
            self.lineages.clear()

    def forget(self) -> None:
        """Forget everything: somebody else has committed, or what was learned has been rolled back."""
        self.stamp = None
        for rows in (self.terminals, self.lineages, self.levels, self.listed_skus, self.locations):
            rows.clear()
