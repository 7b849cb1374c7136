"""The production ledger under observation: who may post, and what crashes it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from inventory_server.config import Settings
from inventory_server.domain.door import Outcome
from inventory_server.domain.requests import Hello, Post, TerminalRequest, Welcome
from inventory_server.store.ledger.head import head_of
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
        self.begin()

    def begin(self) -> None:
        """A new run begins."""
        self._epochs: dict[str, int] = {}
        self._refused: dict[UUID, int] = {}
        self._uncommitted = self._epochs, self._refused

    @property
    def refused_merges(self) -> dict[UUID, int]:
        """The merges that were refused, each with the position that HQ was at."""
        return self._refused

    def go_back(self, epochs: dict[str, int], refused_merges: dict[UUID, int]) -> None:
        """The database was restored: these epochs and refused merges are in it."""
        self._epochs, self._refused = epochs, refused_merges

    def committed(self) -> None:
        """What was carried out last is durable."""
        self._epochs, self._refused = self._uncommitted

    def change(self, connection: Connection, job: Callable[[Connection], Any]) -> Any:
        """Run an operator's job; what was carried out before and rolled back is not committed with it."""
        self._uncommitted = self._epochs, self._refused
        return super().change(connection, job)

    def carry_out(self, connection: Connection, works: list[TerminalRequest]) -> list[Outcome | RequestError]:
        """Carry out `works`; Poisoned where a posting is poisoned, Violation where an old epoch posts."""
        if any(POISON in item.raw for work in works if isinstance(work, Post) for item in work.items):
            raise Poisoned("a poisoned posting")
        merges = any(b'"merge"' in item.raw for work in works if isinstance(work, Post) for item in work.items)
        position = head_of(connection).position if merges else None
        outcomes = super().carry_out(connection, works)
        epochs, refused = self._uncommitted = dict(self._epochs), dict(self._refused)
        for work, outcome in zip(works, outcomes, strict=True):
            self._watch(work, outcome, epochs)
            if position is not None and isinstance(outcome, PostResult):
                position = _note_refused(outcome, position, refused)
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


def _note_refused(outcome: PostResult, position: int, refused: dict[UUID, int]) -> int:
    """Note the merges that a frame was refused when HQ was at a position; return the position after the frame."""
    for result in outcome.results:
        if result.status == "posted" and result.position is not None:
            position = result.position
        elif result.code == "not_mergeable":
            refused.setdefault(result.id, position)
    return position
