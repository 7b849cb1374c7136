"""The store's interface: `ask` for queries, `submit` for changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from inventory_server.domain.requests import REQUESTS, Change, Question, StoreRequest
from pos_client.protocol.errors import TillwireError

Outcome = Any
"""The outcome of a request, of the type stated in `REQUESTS`."""


class OutcomeUnknown(TillwireError):
    """It is unknown whether a change is durable: the session closes the connection without an answer.

    The till then resends, and the ids of its postings show what was committed.
    """


OnOutcome = Callable[[Outcome, Exception | None], None]
"""Completion callback: (outcome, None) or (None, error)."""
Progress = Callable[[int, int], None]
"""Called repeatedly with (steps done, total steps) by requests whose cost is `LONG`."""


def no_progress(_done: int, _total: int) -> None:
    """Ignores the progress."""


IsWanted = Callable[[], bool]
"""Whether anybody still waits for an answer; asked often, by the thread that works on it."""


def always() -> bool:
    """Somebody waits as long as it takes."""
    return True


class ProgressCounter:
    """Adds up steps done, and tells `progress` of each addition."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._done = 0
        self._total = total

    def __call__(self, steps: int) -> None:
        """Add `steps`."""
        self._done += steps
        self._progress(self._done, self._total)


class SharedTurn(Protocol):
    """A turn at the interpreter, `with turn:`, which those who hand in changes share with the one that commits them."""

    afterwards: Callable[[], None]
    """What a thread that hands in changes calls whenever its turn has ended."""

    def __enter__(self) -> None:
        """Wait for the turn, but not for long."""

    def __exit__(self, *_: object) -> None:
        """End the turn."""

    def is_callers(self) -> bool:
        """True where it is the turn of the thread that asks."""


class Pending(Protocol):
    """A submitted change."""

    def wait(self) -> Outcome:
        """Wait for the outcome and return it, or raise the error."""


class Reader(Protocol):
    """A ledger open for queries; thread-safe."""

    def ask(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a query; RequestError or StoreError if there is none."""

    def close(self) -> None:
        """Complete what was submitted, then close the database."""


class Store(Reader, Protocol):
    """A ledger open for queries and changes; thread-safe."""

    def ask(self, question: Question, progress: Progress = no_progress, is_wanted: IsWanted = always) -> Outcome:
        """The answer to a query; RequestError if there is none, or a terminal's takes too long or is not wanted."""

    def submit(self, change: Change, then: OnOutcome | None = None, progress: Progress = no_progress) -> Pending:
        """Submit `change`. `then`, if given, is called once, by the thread that committed or refused it; without it,
        an immediate refusal is raised."""


def perform(
    store: Store, request: StoreRequest, progress: Progress = no_progress, is_wanted: IsWanted = always
) -> Outcome:
    """Answer `request`, or submit it and wait; return its outcome or raise its error."""
    if REQUESTS[type(request)].writes:
        return store.submit(request, progress=progress).wait()  # type: ignore[arg-type]
    return store.ask(request, progress, is_wanted)  # type: ignore[arg-type]
