"""The production ledger under observation: who may post, and what crashes it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from sqlalchemy import Connection

from inventory_server.config import Settings
from inventory_server.domain.door import Outcome
from inventory_server.domain.requests import Hello, Post, TerminalRequest, Welcome
from inventory_server.store.write.judge import CommitJudge
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import PostResult
from tests.simulation.world import Violation

POISON = b'"poison"'
"""A body that holds this crashes whoever handles it."""


class Poisoned(Exception):
    """What handling a poisoned posting ends in."""


class WatchedLedger(CommitJudge):
    """The production ledger, with poison in some postings, and somebody watching that epochs are kept."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        super().__init__(settings, clock, new_stamp=itertools.count(1).__next__)  # never the same twice
        self._epochs: dict[str, int] = {}
        self._uncommitted: dict[str, int] = {}

    def begin(self) -> None:
        """A new run begins."""
        self._epochs, self._uncommitted = {}, {}

    def go_back(self, epochs: dict[str, int]) -> None:
        """The database was restored: these epochs are in it."""
        self._epochs = epochs

    def committed(self) -> None:
        """What was carried out last is durable."""
        self._epochs = self._uncommitted

    def carry_out(self, connection: Connection, works: list[TerminalRequest]) -> list[Outcome | RequestError]:
        """Carry out `works`; Poisoned where a posting is poisoned, Violation where an old epoch posts."""
        if any(POISON in item.raw for work in works if isinstance(work, Post) for item in work.items):
            raise Poisoned("a poisoned posting")
        outcomes = super().carry_out(connection, works)
        self._uncommitted = dict(self._epochs)
        for work, outcome in zip(works, outcomes, strict=True):
            self._watch(work, outcome, self._uncommitted)
        return outcomes

    def _watch(self, work: TerminalRequest, outcome: Outcome | RequestError, epochs: dict[str, int]) -> None:
        if isinstance(work, Hello) and isinstance(outcome, Welcome) and outcome.speaker.role == "till":
            if outcome.speaker.epoch <= epochs.get(work.terminal, 0):
                raise Violation("epoch", f"{work.terminal} was given epoch {outcome.speaker.epoch} again")
            epochs[work.terminal] = outcome.speaker.epoch
        if isinstance(work, Post) and isinstance(outcome, PostResult) and work.actor.role == "till":
            said = work.actor
            if said.epoch != epochs[said.terminal]:
                raise Violation("fencing", f"an older connection of {said.terminal} was allowed to post")
