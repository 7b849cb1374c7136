"""Work that waits for the writer: weighed in movements, taken in turns by terminal, heavy frames in parts."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection

from inventory_server.domain.door import OnOutcome, OutcomeUnknown
from inventory_server.domain.requests import FigureTooLarge, Item, Post, TerminalRequest, terminal_of
from pos_client.protocol.messages import PostingResult

log = logging.getLogger("tillwire.store")

Job = Callable[[Connection], Any]
"""Work of an administrator: runs in a transaction of its own."""
NUMBER_OF = attrgetter("number")
"""The order of arrival of tickets."""
_READS_BACK = frozenset(("void", "count"))
"""Types of postings that weigh more than their lines tell: only the ledger knows how much."""


def _reads_back(items: list[Item]) -> bool:
    return any(item.body is not None and item.body.type in _READS_BACK for item in items)


class Ticket:
    """A queued piece of work, and later its outcome or error.

    `number` is its place in the order of arrival, `arrived` when that was, by the writer's timer.
    `work` is what the next commit carries out: of a heavy frame a part.
    `weight` is that of all that is left, in movements; each posting weighs one besides those of its lines.
    """

    __slots__ = (
        "_answered",
        "_cuts_singly",
        "_done",
        "_is_weighed",
        "_rest",
        "_then",
        "_weights",
        "arrived",
        "error",
        "number",
        "outcome",
        "settled",
        "weight",
        "work",
    )

    def __init__(self, work: TerminalRequest | Job, then: OnOutcome | None = None) -> None:
        self.work = work
        self.number = 0
        self.arrived = 0
        self._then = then
        self._rest: list[Item] = []
        self._weights: list[int] = []
        self._is_weighed = True
        self._cuts_singly = False
        self._answered: list[PostingResult] = []
        self.weight = 1
        if isinstance(work, Post):
            self.weight = sum([1 + len(item.quantities) for item in work.items])
            self._is_weighed = not _reads_back(work.items)
        self.outcome: Any = None
        self.error: Exception | None = None
        self.settled = False
        self._done = threading.Lock()
        self._done.acquire()

    @property
    def terminal(self) -> str:
        """Whose turn it is; administrators share one."""
        return "" if callable(self.work) else terminal_of(self.work)

    @property
    def postings(self) -> int:
        """The number of postings that are left; other work counts as one."""
        return len(self.work.items) + len(self._rest) if isinstance(self.work, Post) else 1

    @property
    def unweighed(self) -> Post | None:
        """What is left of the frame, if the ledger has yet to tell how heavy it is."""
        if self._is_weighed or not isinstance(self.work, Post):
            return None
        items = self.work.items + self._rest if self._rest else self.work.items
        if not _reads_back(items):
            return None
        return msgspec.structs.replace(self.work, items=items) if self._rest else self.work

    @property
    def is_foreseeable(self) -> bool:
        """True where `weight` tells how long it takes: of no administrator's job, nor of what is yet to be weighed."""
        return not callable(self.work) and self.unweighed is None

    def weigh(self, added: Sequence[int]) -> None:
        """Note by how much each posting that is left is heavier than its lines tell."""
        assert isinstance(self.work, Post)
        items = self.work.items + self._rest
        self._weights = [1 + len(item.quantities) + more for item, more in zip(items, added, strict=True)]
        self._is_weighed = True
        self.weight = sum(self._weights)

    def cut(self, most: int) -> int:
        """Have `work` weigh at most `most`, but be at least one posting; return what it weighs."""
        most = 0 if self._cuts_singly else most
        if not isinstance(self.work, Post) or (self.weight <= most and not self._rest):
            return self.weight
        items = self.work.items + self._rest
        weights = self._weights or [1 + len(item.quantities) for item in items]
        count = max(1, sum(total <= most for total in accumulate(weights)))
        self.work = msgspec.structs.replace(self.work, items=items[:count])
        self._rest, self._weights = items[count:], weights
        return sum(weights[:count])

    def carried_out(self, outcome: Any) -> bool:
        """Note the outcome of `work`, now durable; False if the rest of its frame is the next `work`."""
        if not self._rest and not self._answered:
            self.settle(outcome)
            return True
        assert isinstance(self.work, Post)
        self._answered += outcome.results
        if not self._rest:
            self.settle(msgspec.structs.replace(outcome, results=self._answered))
            return True
        self._weights = self._weights[len(self.work.items) :]
        self.weight = sum(self._weights)
        self.work = msgspec.structs.replace(self.work, items=self._rest, parent=outcome.parent)
        self._rest = []
        return False

    def refuse(self, error: FigureTooLarge) -> None:
        """Have the posting refused that causes `error`: of several it is found by carrying them out one by one."""
        assert isinstance(self.work, Post)
        self._cuts_singly = True
        if len(self.work.items) > 1:
            self.cut(0)
        else:
            [item] = self.work.items
            item.body, item.refused = None, error

    def fail(self, error: Exception) -> None:
        """Deliver an error; none where a part is committed: the client gets no answer, and sends duplicates."""
        if self._answered and not isinstance(error, OutcomeUnknown):
            unanswered = OutcomeUnknown(f"{len(self._answered)} postings of the frame are committed; then: {error}")
            unanswered.__cause__ = error
            error = unanswered
        self.settle(None, error)

    def settle(self, outcome: Any, error: Exception | None = None) -> None:
        """Deliver the outcome or error: call `then`, or wake the waiting thread."""
        self.outcome, self.error, self.settled = outcome, error, True
        if self._then is None:
            self._done.release()
            return
        try:
            self._then(outcome, error)
        except Exception:  # a failed answer is lost, as if its connection had broken; the others go on
            log.exception("event=answer_failed")

    def wait(self) -> Any:
        """Wait for the outcome; raise the error, if any."""
        self._done.acquire()
        if self.error is not None:
            raise self.error
        return self.outcome


class TerminalTurns:
    """Tickets that wait, taken in turns: one of each terminal, those of one terminal in order.

    `numbers` tell the order of arrival, also between the tickets of several of these.
    """

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._waiting: dict[str, deque[Ticket]] = {}
        self.postings = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def are_light(self, most: int) -> bool:
        """True where something waits, and all of it weighs at most `most` movements, as far as can be foreseen."""
        if not 0 < self.postings <= most:
            return False
        tickets = [ticket for waiting in self._waiting.values() for ticket in waiting]
        return sum([each.weight for each in tickets]) <= most and all(each.is_foreseeable for each in tickets)

    @property
    def next_weight(self) -> int:
        """What is left of the ticket whose turn it is; 0 if none waits."""
        return next((waiting[0].weight for waiting in self._waiting.values()), 0)

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket behind those of its terminal."""
        ticket.number = next(self._numbers)
        self._waiting.setdefault(ticket.terminal, deque()).append(ticket)
        self.postings += ticket.postings

    def put_back(self, ticket: Ticket) -> None:
        """Queue a ticket before those of its terminal, whose turn comes after everybody else's."""
        waiting = self._waiting.pop(ticket.terminal, deque())
        waiting.appendleft(ticket)
        self._waiting[ticket.terminal] = waiting
        self.postings += ticket.postings

    def draw(self, most: int) -> list[Ticket]:
        """Take tickets of together `most` movements, but at least one if there is any: of a heavy frame a part.

        Whose turn it is decides which; they come in the order of arrival.
        """
        drawn: list[Ticket] = []
        weight = 0
        while self._waiting:
            terminal = next(iter(self._waiting))
            waiting = self._waiting[terminal]
            if drawn and weight + waiting[0].weight > most:
                break
            ticket = waiting.popleft()
            self.postings -= ticket.postings
            weight += ticket.cut(most)
            drawn.append(ticket)
            del self._waiting[terminal]
            if waiting:
                self._waiting[terminal] = waiting
        drawn.sort(key=NUMBER_OF)
        return drawn

    def clear(self) -> list[Ticket]:
        """Take all."""
        drawn = [ticket for waiting in self._waiting.values() for ticket in waiting]
        self._waiting.clear()
        self.postings = 0
        return drawn
