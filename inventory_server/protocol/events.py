"""The log of a session: what an operator needs to know of a terminal, at INFO, and every request at DEBUG.

No secret and no posting body is logged; text from a client is escaped.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import count

from inventory_server.config import (
    FENCES_ALARMING,
    FENCES_SECONDS,
    LOGGED_REASON_LENGTH_MAX,
    REFUSALS_LOGGED_PER_MINUTE,
    REFUSED_NAMES_MAX,
)
from inventory_server.domain.roles import Actor, Speaker
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.limits import METHOD_LENGTH_MAX
from pos_client.protocol.messages import HelloParams, PostResult, Request
from pos_client.protocol.printable import printable
from pos_client.protocol.units import SECOND_MICROS

log = logging.getLogger("tillwire.session")

_MINUTE = 60 * SECOND_MICROS


def note_request(request: Request, actor: Actor | None, peer: str, outcome: str) -> None:
    """Log one request and the name of its outcome."""
    if log.isEnabledFor(logging.DEBUG):
        name = actor.name if actor else "-"
        method = printable(request.method, METHOD_LENGTH_MAX)
        log.debug("event=request method=%s actor=%s peer=%s outcome=%s", method, name, peer, outcome)


def note_success(actor: Actor | None, params: object, peer: str) -> None:
    """Log a successful hello."""
    if isinstance(params, HelloParams) and isinstance(actor, Speaker):
        log.info(
            "event=terminal_connected terminal=%s role=%s location=%s peer=%s epoch=%d",
            *(actor.terminal, actor.role, printable(actor.location), peer, actor.epoch),
        )


class RefusalLog:
    """Logs refusals at INFO, each kind up to `REFUSALS_LOGGED_PER_MINUTE`. One for all sessions of a process.

    Refused hellos are logged once a minute for each terminal, with their number since the last line.
    """

    def __init__(self) -> None:
        # Of each event: the beginning of its minute, and a counter, from which any thread takes the next number.
        self._minutes: dict[str, tuple[int, Iterator[int]]] = {}
        # When which connections of a till, known by their epochs, were fenced: of enrolled tills alone, and of each
        # `FENCES_ALARMING` at most. No entry is ever changed, only replaced: of two at once one may not be counted.
        self._fences: dict[str, dict[int, int]] = {}
        # Of each terminal: when a refused hello was logged, and how many were not since then. Each step is atomic.
        self._hellos: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def fences(self, terminal: str, now: int) -> int:
        """How many connections of `terminal` were fenced in the last `FENCES_SECONDS`."""
        return len(self._lately_fenced(terminal, now))

    def _lately_fenced(self, terminal: str, now: int) -> dict[int, int]:
        since = now - FENCES_SECONDS * SECOND_MICROS
        return {epoch: at for epoch, at in self._fences.get(terminal, {}).items() if at > since}

    def _note_fence(self, terminal: str, epoch: int, peer: str, now: int) -> None:
        """Log it, and raise the alarm when so many can only mean that several devices use this name."""
        self._log(now, "terminal_fenced", "terminal=%s peer=%s", terminal, peer)
        fences = self._lately_fenced(terminal, now)
        if epoch in fences:  # the same connection, asking again
            return
        fences = self._fences[terminal] = dict([*fences.items(), (epoch, now)][-FENCES_ALARMING:])
        if len(fences) == FENCES_ALARMING:
            seconds = (now - min(fences.values())) // SECOND_MICROS
            fields = "terminal=%s peer=%s fenced=%d seconds=%d"
            self._log(now, "terminal_name_shared", fields, terminal, peer, len(fences), seconds, level=logging.WARNING)

    def note(self, method: str, actor: Actor | None, params: object, error: RequestError, peer: str, now: int) -> None:
        """Log a hello that was refused, a connection that another one has fenced, a request that the role may not make.

        `now` in microseconds.
        """
        name, reason = actor.name if actor else "-", printable(str(error), LOGGED_REASON_LENGTH_MAX)
        if method == "hello":
            terminal = params.terminal if isinstance(params, HelloParams) else "-"
            if count := self._hellos_to_log(terminal, now):
                fields = "terminal=%s peer=%s count=%d reason=%s"
                self._log(now, "hello_refused", fields, terminal, peer, count, reason)
        elif error.code is ErrorCode.fenced:
            self._note_fence(name, actor.epoch if isinstance(actor, Speaker) else 0, peer, now)
        elif error.code is ErrorCode.forbidden:
            self._log(now, "request_forbidden", "actor=%s peer=%s method=%s reason=%s", name, peer, method, reason)

    def note_postings(self, actor: Actor | None, result: PostResult, peer: str, clock: Callable[[], int]) -> None:
        """Log postings that were rejected or in conflict: a line for each frame, with the first as an example."""
        refused = [each for each in result.results if each.status in ("rejected", "conflict")]
        if refused:
            first = refused[0]
            reason = printable(str(first.reason), LOGGED_REASON_LENGTH_MAX)
            fields = "terminal=%s peer=%s count=%d id=%s status=%s reason=%s"
            values = (actor.name if actor else "-", peer, len(refused), first.id, first.status, reason)
            self._log(clock(), "postings_refused", fields, *values)

    def _hellos_to_log(self, terminal: str, now: int) -> int:
        """How many refused hellos of `terminal` to log now, this one included; 0 where that has to wait."""
        logged_at, more = self._hellos.pop(terminal, (now, -1))
        is_due = more < 0 or not 0 <= now - logged_at < _MINUTE
        self._hellos[terminal] = (now, 0) if is_due else (logged_at, more + 1)
        if len(self._hellos) > REFUSED_NAMES_MAX:
            self._hellos.popitem(last=False)
        return max(more, 0) + 1 if is_due else 0

    def _log(self, now: int, event: str, fields: str, *values: object, level: int = logging.INFO) -> None:
        begin, numbers = self._minutes.setdefault(event, (now, count(1)))
        if not 0 <= now - begin < _MINUTE:
            begin, numbers = self._minutes[event] = now, count(1)
        number = next(numbers)
        if number <= REFUSALS_LOGGED_PER_MINUTE:
            log.log(level, f"event={event} {fields}", *values)
        elif number == REFUSALS_LOGGED_PER_MINUTE + 1:
            log.info("event=refusals_not_logged kind=%s seconds=%d", event, (begin + _MINUTE - now) // SECOND_MICROS)


def note_end(actor: Actor | None, peer: str, reason: str) -> None:
    """Log that the connection of a terminal has ended, and why."""
    if isinstance(actor, Speaker):
        log.info("event=terminal_disconnected terminal=%s peer=%s reason=%s", actor.terminal, peer, reason)
