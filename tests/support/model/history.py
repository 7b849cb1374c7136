"""Histories: what reached HQ, in order of arrival and as it is on the wire, to post to the model or to a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.model.clock import Tick
from tests.support.model.hq import Answer, Model
from tests.support.model.postings import DAY, HOUR, Sender

NOON = 1_700_049_600_000_000
"""An instant from which histories count."""
LOCATIONS = ("HQ", "L1", "L2", "W")
UNKNOWN_LOCATION = "X"

TILL = Sender("t1", "L1")
SECOND_TILL = Sender("t2", "L1")
MOVED_TILL = Sender("t3", "L2", earlier=frozenset({"L1"}))
ADOPTING_TILL = Sender("t4", "L1", earlier=frozenset({"L2"}))
OPERATOR = Sender("office", "HQ", operator=True)
IMPORTER = Sender("import", "HQ", operator=True, backdated=True)
SENDERS = (TILL, SECOND_TILL, MOVED_TILL, ADOPTING_TILL, OPERATOR, IMPORTER)


@dataclass(frozen=True)
class Delivery:
    """A posting on the wire. `tick` is of when it was made, `now` of when it was sent; a till tells both or neither."""

    id: str
    body: dict[str, Any]
    sender: Sender
    received_at: int
    tick: Tick | None = None
    now: Tick | None = None


def text(at: int) -> str:
    """An instant as bodies state it."""
    return (datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(microseconds=at)).isoformat()


def posting_id(number: int) -> str:
    """The id of the posting that a test calls by a number."""
    return f"01920000-0000-7000-8000-{number:012d}"


def deliver(model: Model, delivery: Delivery) -> Answer:
    """What HQ does with a delivery: it hears the tick clock first."""
    if delivery.now is not None:
        model.clocks.hear(delivery.sender.terminal, delivery.now, delivery.received_at)
    return model.post(delivery.id, delivery.body, delivery.sender, delivery.received_at, delivery.tick)


def played(history: Iterable[Delivery], **options: Any) -> Model:
    """A model that received a history."""
    model = Model(LOCATIONS, **options)
    for delivery in history:
        deliver(model, delivery)
    return model


def moments(history: Iterable[Delivery], model: Model) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of `as_of` and `known_at` worth asking for: now, and around what the model holds."""
    yield None, None
    for posting in model.postings:
        yield posting.effective_at, None
        yield None, posting.position
        yield posting.effective_at - HOUR, posting.position
    yield max((each.received_at for each in history), default=NOON) - DAY, None
