"""Histories in one line, for tables of cases: `receipt a=10 @1 | count a=8 @3 | sale a=1 @2`.

The postings are numbered from 1 in order of arrival. A word is a line (`a=10`), an instant in hours (`@2.5`; unless
said, the number of the posting), a sender (`by:t1`; unless said, an operator at L1), or a field (`voids:1`,
`expires:5` in hours, `location:L2`, `other:L2`). All of it arrives long after it happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tests.support.model.history import LOCATIONS, NOON, OPERATOR, SENDERS, Delivery, deliver, played, posting_id, text
from tests.support.model.hq import Answer, Model, Stock
from tests.support.model.postings import HOUR, SECOND, UNITS

RECEIVED = NOON + 1_000 * HOUR
"""When HQ receives the first posting of a story."""
IDS = ("voids", "transfer", "reservation", "returns")


def hours(number: str | float | None) -> int | None:
    """The instant so many hours after the start of a story."""
    return None if number is None else NOON + int(Fraction(str(number)) * HOUR)


def deliveries(story: str) -> Iterator[Delivery]:
    """A story as it reaches HQ."""
    for number, words in enumerate(story.split("|"), 1):
        yield _delivery(number, words.split())


def _delivery(number: int, words: list[str]) -> Delivery:
    body: dict[str, Any] = {"type": words[0], "occurred_at": text(hours(number) or 0), "location": "L1"}
    sender = OPERATOR
    for word in words[1:]:
        if word.startswith("@"):
            body["occurred_at"] = text(hours(word[1:]) or 0)
        elif "=" in word:
            sku, _, quantity = word.partition("=")
            body.setdefault("lines", []).append({"gtin" if sku.isdecimal() else "sku": sku, "quantity": quantity})
        elif word.startswith("by:"):
            sender = next(each for each in SENDERS if each.terminal == word[3:])
            body["location"] = sender.home
        else:
            body |= dict([_field(*word.split(":"))])
    return Delivery(posting_id(number), body, sender, RECEIVED + number * SECOND)


def _field(name: str, value: str) -> tuple[str, str]:
    if name in IDS:
        return name, posting_id(int(value))
    if name == "expires":
        return "expires_at", text(hours(value) or 0)
    return {"other": "other_location"}.get(name, name), value


def told(story: str, **options: Any) -> Model:
    """The model of HQ after a story."""
    return played(deliveries(story), **options)


def answers(story: str, **options: Any) -> list[Answer]:
    """What HQ answers to each posting of a story."""
    model = Model(LOCATIONS, **options)
    return [deliver(model, each) for each in deliveries(story)]


def figures(
    story: str, location: str = "L1", sku: str = "a", as_of: float | None = None, known_at: int | None = None
) -> Stock:
    """The figures after a story, in whole units; asked `as_of` so many hours, as known at the posting `known_at`."""
    model = told(story)
    now = RECEIVED + HOUR
    return Stock(*(whole(figure) for figure in model.stock(location, sku, now, hours(as_of), known_at)))


def whole(quantity: int) -> int:
    """A quantity in whole units."""
    assert quantity % UNITS == 0
    return quantity // UNITS
