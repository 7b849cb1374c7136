"""What can never be posted, and what an id that came before is answered. One case per line."""

from dataclasses import replace

import pytest

from tests.support.model.history import IMPORTER, OPERATOR, TILL, Delivery, deliver, played
from tests.support.model.hq import Model
from tests.support.model.story import answers, deliveries

CASES = [
    # (story, the reason for which its last posting is rejected, or None)
    ("sale a=-1", None),
    ("adjustment a=-1", None),
    *((f"{kind} a=-1", "sign") for kind in ("return", "receipt", "count", "reserve", "release")),
    ("transfer_out a=-1 other:L2", "sign"),
    ("transfer_in a=-1 other:L2", "sign"),
    ("transfer_close a=-1 transfer:1 reason:lost", "sign"),
    ("teleport a=1", "type"),
    # lines
    ("sale", "lines"),
    ("void a=1 voids:9", "lines"),
    ("merge a=1 merge:a into:b", "lines"),
    ("transfer_close transfer:9 reason:lost", None),
    ("transfer_close a=1 transfer:9 reason:lost", None),
    ("transfer_close a=1 reason:lost", "transfer"),
    ("transfer_close transfer:9", "reason"),
    ("transfer_close transfer:9 reason:bored", "reason"),
    ("transfer_out a=1", "other_location"),
    ("transfer_in a=1", None),
    ("void", "voids"),
    # quantities
    ("sale a=0.00001", None),
    ("sale a=0.000001", "body"),
    ("sale a=NaN", "body"),
    ("sale a=much", "body"),
    ("sale a=1000000 by:t1", None),
    ("sale a=1000000.00001 by:t1", "quantity"),
    ("sale a=1000000000", None),
    ("sale a=1000000000.00001", "quantity"),
    # places
    ("sale a=1 by:t1 location:L2", "location"),
    ("sale a=1 by:t3 location:L1", None),
    ("sale a=1 location:W", None),
    # voids
    ("sale a=1 | void voids:1 | void voids:1", "voided already"),
    ("sale a=1 | void voids:1 | void voids:2", "void of a void"),
    ("void voids:1", "void of a void"),
    ("sale a=1 by:t1 | void voids:1 by:t2", None),
    ("sale a=1 by:t3 | void voids:1 by:t1", "another location's"),
    ("sale a=1 by:t1 | void voids:1 by:t3", None),
    ("void voids:3 by:t1 | void voids:3 by:t2", "voided already"),
    ("void voids:3 | void voids:3 by:t1", "voided already"),
    ("void voids:3 by:t1 | void voids:3", None),  # the till's may turn out to be of no effect
    ("void voids:2 by:t1 | sale a=1 by:t3 | void voids:2", None),
    ("void voids:2 by:t1 | sale a=1 by:t1 | void voids:2", "voided already"),
    # merges
    ("merge merge:a into:b", None),
    ("merge merge:a into:a", "circle"),
    ("merge merge:a", "into"),
    ("merge merge:a into:b by:t1", "operators only"),
    ("merge merge:a into:b | merge merge:a into:c", "merged already"),
    ("merge merge:a into:b | merge merge:b into:a", "circle"),
    ("merge merge:a into:b | merge merge:b into:c | merge merge:c into:a", "circle"),
    ("merge merge:a into:b | merge merge:c into:a", None),
    ("merge merge:a into:b | void voids:1 | merge merge:b into:a", None),
]


@pytest.mark.parametrize(("story", "reason"), CASES)
def test_rejections(story: str, reason: str | None) -> None:
    answer = answers(story)[-1]
    assert (answer.status, answer.reason) == ("rejected" if reason else "posted", reason)


BODIES = [
    # (what a sale of one a says differently, the reason)
    ({"lines": [{"quantity": 1}]}, "sku or gtin"),
    ({"lines": [{"quantity": 1, "sku": "a", "gtin": "40170725"}]}, "sku or gtin"),
    ({"lines": [{"sku": "a"}]}, "body"),
    ({"occurred_at": "yesterday"}, "body"),
]


def sale(**changed: object) -> Delivery:
    delivery = next(deliveries("sale a=1 by:t1"))
    return replace(delivery, body=delivery.body | changed)


@pytest.mark.parametrize(("changed", "reason"), BODIES)
def test_bodies_that_say_nothing_definite(changed: dict[str, object], reason: str) -> None:
    assert deliver(played([]), sale(**changed)).reason == reason


AGAIN = [
    # (the first delivery, the second of the same id, its status)
    (sale(), sale(), "duplicate"),
    (sale(), replace(sale(), sender=OPERATOR), "duplicate"),  # for the same location
    (sale(), sale(reference="other"), "conflict"),
    (replace(next(deliveries("sale a=1")), sender=OPERATOR), sale(occurred_at="2026-01-01T00:00:00Z"), "conflict"),
    (sale(type="return", lines=[{"sku": "a", "quantity": -1}]), sale(), "conflict"),
]


@pytest.mark.parametrize(("first", "second", "status"), AGAIN)
def test_the_same_id_again(first: Delivery, second: Delivery, status: str) -> None:
    model = played([first])
    assert deliver(model, second).status == status


def test_of_another_terminal_and_place_it_is_a_conflict() -> None:
    body = {key: value for key, value in sale().body.items() if key != "location"}
    model = played([replace(sale(), body=body, sender=TILL)])
    assert deliver(model, replace(sale(), body=body, sender=IMPORTER)).status == "conflict"


def test_a_rejection_and_a_duplicate_are_answered_as_the_first_time() -> None:
    model = Model(["L1"])
    for delivery in deliveries("sale a=1 | return a=-1"):
        first = deliver(model, delivery)
        assert replace(deliver(model, delivery), status=first.status) == first
