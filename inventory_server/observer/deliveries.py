"""Delivers what waits in the queue of one target: in order, again after a failure, until it is taken or paused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from inventory_server.clock import Clock
from inventory_server.domain.alerts import DueDelivery, next_attempt
from inventory_server.domain.requests import ListDue, RecordDelivery
from inventory_server.observer.events import CloudEvent, event_of
from inventory_server.observer.ledger import LedgerAccess
from inventory_server.observer.sending import DeliveryRefusal

log = logging.getLogger("tillwire.observer")

SendEvent = Callable[[CloudEvent, int], DeliveryRefusal | None]
"""Sends an event at an instant (microseconds); None once it is taken."""


class Deliverer:
    """The deliveries to the target `name`, sent by `send`. `chance` returns a number from 0 to 1.

    A target gets one event at a time, and the next one once it has taken that: one that fails is not flooded, and what
    waits for it is kept. An event whose outcome could not be noted is sent again, under the same id.
    """

    def __init__(
        self,
        ledger: LedgerAccess,
        owner: str,
        name: str,
        send: SendEvent,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self.name = name
        self._ledger = ledger
        self._owner = owner
        self._send = send
        self._clock = clock
        self._chance = chance

    def turn(self) -> bool:
        """Try the next delivery if it is time for it; True if there may be another one at once.

        LedgerAway or ObserverReplaced as they come from the ledger.
        """
        waiting: list[DueDelivery] = self._ledger.ask(ListDue([self.name]))
        for due in waiting:
            event = event_of(due)
            self._note(due, event, self._send(event, self._clock()))
        return bool(waiting)

    def _note(self, due: DueDelivery, event: CloudEvent, refusal: DeliveryRefusal | None) -> None:
        key = (self._owner, due.target, due.queued_at, due.alert.number, due.event)
        if refusal is None:
            self._ledger.change(RecordDelivery(*key))
            log.info("event=alert_delivered target=%s id=%s attempts=%d", due.target, event.id, due.attempts + 1)
            return
        at = None if refusal.is_final else next_attempt(due.failures + 1, self._clock(), self._chance())
        self._ledger.change(RecordDelivery(*key, refusal.error, at))
        state = "paused" if at is None else "failed"
        log.warning("event=delivery_%s target=%s id=%s error=%s", state, due.target, event.id, refusal.error)
