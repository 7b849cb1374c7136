"""The store's one door: `ask` for questions, `submit` for changes. What both sides of it have to agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from inventory_server.domain.requests import REQUESTS, Change, Question, StoreRequest
from pos_client.protocol.errors import TillwireError

Outcome = Any
"""What `REQUESTS` names as the outcome of a request."""


class OutcomeUnknown(TillwireError):
    """The store cannot say whether a change is durable: the session answers nothing and closes the connection.

    The till resends, and the ids of its postings resolve what happened.
    """


OnOutcome = Callable[[Outcome, Exception | None], None]
"""Completion callback: (outcome, None) or (None, error)."""
Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all), time and again, by requests whose cost is `LONG`."""


def no_progress(_done: int, _total: int) -> None:
    """For whoever does not look."""


class Pending(Protocol):
    """A change under way."""

    def wait(self) -> Outcome:
        """Wait for the outcome and return it; raise the error where there is one."""


class Reader(Protocol):
    """A ledger that is open for questions, of many threads at once."""

    def ask(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a question; RequestError or StoreError where there is none."""

    def close(self) -> None:
        """Finish what is held and let go of the database."""


class Store(Reader, Protocol):
    """A ledger that is open for questions and changes, of many threads at once."""

    def submit(self, change: Change, then: OnOutcome | None = None, progress: Progress = no_progress) -> Pending:
        """Have `change` carried out. `then`, where given, is called once, by the thread that committed or refused it;
        without it, the error of a change that is refused at once is raised."""


def perform(store: Store, request: StoreRequest, progress: Progress = no_progress) -> Outcome:
    """Ask `request`, or submit it and wait; return its outcome, raise its error."""
    if REQUESTS[type(request)].writes:
        return store.submit(request, progress=progress).wait()  # type: ignore[arg-type]
    return store.ask(request, progress)  # type: ignore[arg-type]
