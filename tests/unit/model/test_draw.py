"""Drawn histories reach what they are drawn for."""

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings

from tests.support.model import Model
from tests.support.model.documents import RESERVATIONS, TRANSFERS, Replay, Rules
from tests.support.model.draw import histories
from tests.support.model.flags import FLAGS
from tests.support.model.history import LOCATIONS, Delivery, deliver

SITUATIONS = FLAGS | {
    *("posted", "rejected", "duplicate", "conflict", "voided on arrival", "boot not known"),
    *("chain of merges", "transfer drawn on", "reservation drawn on", "transfer closed", "transfer partly received"),
}


def met(history: list[Delivery]) -> Iterator[str]:
    model = Model(LOCATIONS)
    for delivery in history:
        answer = deliver(model, delivery)
        yield from (answer.status, *answer.flags)
        if delivery.tick and model.clocks.happened(delivery.sender.terminal, delivery.tick) is None:
            yield "boot not known"
    yield from situations(model)


def situations(model: Model) -> Iterator[str]:
    if any(posting.voided_on_arrival for posting in model.postings):
        yield "voided on arrival"
    merges = [posting.document for posting in model.book().standing("merge")]
    if any(one.into == other.merge for one in merges for other in merges):
        yield "chain of merges"
    for name, rules in (("transfer", TRANSFERS), ("reservation", RESERVATIONS)):
        if is_drawn_on(model, rules):
            yield f"{name} drawn on"
    for row in model.transfers():
        if row.closed:
            yield "transfer closed"
        if row.received and row.left:
            yield "transfer partly received"


def is_drawn_on(model: Model, rules: Rules) -> bool:
    return bool(Replay(model.book(), rules).draws)


@pytest.mark.long
def test_every_situation_is_drawn() -> None:
    seen: set[str] = set()

    @settings(max_examples=500, derandomize=True, database=None, phases=[Phase.generate])
    @given(histories())
    def collect(history: list[Delivery]) -> None:
        seen.update(met(history))

    collect()
    assert seen == SITUATIONS
