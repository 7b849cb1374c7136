"""One product takes over another's stock and documents, at every location; a void separates them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import Hello, ImportProducts, ListExceptions, MergeProducts, Post, Welcome
from inventory_server.domain.roles import HEADQUARTERS, Speaker
from inventory_server.store import LedgerStore, StoreError
from pos_client.protocol.errors import RequestError
from pos_client.protocol.lists import ExceptionsParams
from pos_client.protocol.messages import PostingResult
from pos_client.protocol.units import instant
from tests.support.ledgers import DAY, Clock, enrol, find, history, item, opened, post, proof_of, stock, uid
from tests.support.model.history import NOON, OPERATOR, SENDERS, Delivery
from tests.support.model.postings import HOUR
from tests.support.model.story import RECEIVED, deliveries
from tests.support.sites import Site
from tests.support.statements import statements

BARCODE = "04000000000042"
SUSPENSE = f"gtin:{BARCODE}"
MERGE = "merge merge:a into:b"
STATEMENTS_MAX = 100
"""Most statements of an import that merges 500 products at two locations."""


class World:
    """A store with two locations, tills and an operator, to which stories are told."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._speakers: dict[str, Speaker] = {}
        for sender in SENDERS:
            enrol(store, sender.terminal, "operator" if sender.operator else "till", sender.home)
            welcome = perform(store, Hello(sender.terminal, None, True, None, None, None, None, backdated=True))
            assert isinstance(welcome, Welcome)
            self._speakers[sender.terminal] = welcome.speaker
        enrol(store, "W1", "till", "W")

    def tell(self, story: str) -> list[PostingResult]:
        """Post a story, one commit for each of its postings."""
        return [self.post(delivery) for delivery in deliveries(story)]

    def tell_more(self, story: str) -> None:
        """Post another story, under other ids."""
        for delivery in deliveries(story):
            self.post(replace(delivery, id=str(uid((story, delivery.id)))))

    def post(self, delivery: Delivery) -> PostingResult:
        self.clock.now = max(self.clock.now + 1, delivery.received_at)
        made = item(json.dumps(delivery.body).encode(), UUID(delivery.id))
        return post(self.store, self._speakers[delivery.sender.terminal], made).results[0]

    def tell_at_once(self, story: str) -> list[PostingResult]:
        """Post a story of the operator in one frame."""
        self.clock.now = RECEIVED
        items = [item(json.dumps(each.body).encode(), UUID(each.id)) for each in deliveries(story)]
        outcome = perform(self.store, Post(self._speakers[OPERATOR.terminal], items, None))
        return outcome.results  # type: ignore[no-any-return]

    def figures(self, sku: str, location: str = "L1", **params: Any) -> tuple[object, object, object]:
        """What is on hand, reserved and in transit."""
        [found] = stock(self.store, sku=sku, location=location, **params).items
        return found.on_hand, found.reserved, found.in_transit

    def on_hand(self, *skus: str, location: str = "L1", **params: Any) -> tuple[object, ...]:
        found = stock(self.store, skus=list(skus), location=location, **params)
        figures = {each.sku: each.on_hand for each in found.items}
        return tuple(figures.get(sku, 0) for sku in skus)


@pytest.fixture
def world(ledger: str) -> Iterator[World]:
    clock = Clock(NOON - DAY)
    with opened(ledger, clock) as store:
        yield World(store, clock)
        proof = proof_of(ledger)
    assert proof.holds, proof.findings


ON_HAND = [
    # (story, on hand at L1 of a, b and c)
    (f"receipt a=5 b=2 @1 | {MERGE} @2", (0, 7, 0)),
    (f"receipt a=5 @1 | {MERGE} @2 | sale a=1 @3", (0, 4, 0)),
    (f"receipt a=5 @1 | {MERGE} @2 | sale a=1 @3 by:t1 | sale b=1 @4 by:t1", (0, 3, 0)),
    (f"receipt a=5 @1 | {MERGE} @2 | sale a=1 b=1 a=1 @3", (0, 2, 0)),
    (f"receipt a=5 @1 | {MERGE} @3 | sale a=1 @2", (0, 4, 0)),  # what it changes is carried over
    (f"receipt a=5 @1 | {MERGE} @2 | void voids:1", (0, 0, 0)),
    (f"receipt b=2 @1 | {MERGE} @2 | sale a=1 @3 | void voids:3", (0, 2, 0)),
    (f"{MERGE} @2 | receipt a=5 @2", (0, 5, 0)),
    (f"sale a=1 @1 | {MERGE} @2", (0, -1, 0)),  # nobody had moved it here
    (f"sale a=1 @1 | {MERGE} @2 | merge merge:b into:c @3", (0, 0, -1)),
    (f"{MERGE} @2 | sale a=1 @3", (0, -1, 0)),
    (f"{MERGE} @2 | sale a=1 @3 | void voids:1", (-1, 0, 0)),
    (f"receipt a=5 @2 | {MERGE} @2", (0, 5, 0)),
    # counts
    (f"receipt a=5 @1 | {MERGE} @4 | count a=3 @3 | sale a=1 @2", (0, 3, 0)),  # against the counts of its own product
    (f"receipt a=5 @1 | {MERGE} @2 | count a=3 @3 | sale b=1 @4", (0, 2, 0)),
    (f"receipt a=5 b=1 @1 | {MERGE} @2 | count a=3 b=4 @3", (0, 7, 0)),
    (f"receipt a=5 b=1 @1 | {MERGE} @2 | count a=3 b=4 @3 | void voids:3", (0, 6, 0)),
    (f"receipt a=5 b=1 @1 | {MERGE} @2 | sale b=1 @4 | count b=4 a=3 @3", (0, 6, 0)),
    (f"receipt a=5 @1 | {MERGE} @3 | count b=3 @4 | sale a=1 @2", (0, 3, 0)),
    (f"receipt a=5 @1 | {MERGE} @3 | count b=3 @2", (0, 8, 0)),
    (f"receipt a=5 b=1 c=2 @1 | {MERGE} @2 | count a=3 c=9 @3 | merge merge:a into:c @4", (0, 3, 9)),  # is rejected
    (f"receipt a=5 @1 | count a=9 @2 | {MERGE} @3 | void voids:2", (0, 5, 0)),
    (f"receipt a=5 @1 | count a=9 @2 | count b=1 @4 | {MERGE} @3", (0, 1, 0)),
    # the void of a merge
    (f"receipt a=5 b=2 @1 | {MERGE} @2 | void voids:2", (5, 2, 0)),
    (f"receipt a=5 b=2 @1 | {MERGE} @2 | sale a=1 @3 | count b=3 @4 | void voids:2", (4, 3, 0)),
    ("void voids:2 | merge merge:a into:b | receipt a=5", (5, 0, 0)),
    (f"receipt a=5 @1 | {MERGE} @2 | void voids:2 | merge merge:b into:a @3", (5, 0, 0)),
    (f"receipt a=5 @1 | {MERGE} @2 | void voids:2 | {MERGE} @3", (0, 5, 0)),
    # chains
    (f"receipt a=5 @1 | {MERGE} @2 | merge merge:b into:c @3", (0, 0, 5)),
    (f"receipt a=5 @1 | merge merge:b into:c @2 | {MERGE} @3", (0, 0, 5)),
    (f"receipt a=5 @1 | merge merge:b into:c @4 | {MERGE} @3 | sale a=1 @2 | sale b=1 @5 | sale a=1 @6", (0, 0, 2)),
    (f"receipt a=5 @1 | merge merge:b into:c @4 | {MERGE} @3 | void voids:2", (0, 5, 0)),
    (f"receipt a=5 b=1 @1 | {MERGE} @2 | merge merge:b into:c @3 | void voids:2", (5, 0, 1)),
    ("receipt a=5 b=1 @1 | merge merge:a into:c @2 | merge merge:b into:c @3 | sale b=2 @4", (0, 0, 4)),
]


@pytest.mark.parametrize(("story", "expected"), ON_HAND)
def test_what_is_on_hand(world: World, story: str, expected: tuple[int, int, int]) -> None:
    world.tell(story)
    assert world.on_hand("a", "b", "c") == expected


@pytest.mark.parametrize(("story", "expected"), ON_HAND)
def test_one_commit_comes_to_the_same(world: World, story: str, expected: tuple[int, int, int]) -> None:
    if "by:" in story:
        pytest.skip("a frame is of one terminal")
    world.tell_at_once(story)
    assert world.on_hand("a", "b", "c") == expected


DOCUMENTS = [
    # (story, sku, location, (on hand, reserved, in transit))
    (f"reserve a=3 @1 | {MERGE} @2", "b", "L1", (0, 3, 0)),
    (f"reserve a=3 @1 | {MERGE} @2", "a", "L1", (0, 0, 0)),
    (f"reserve a=3 @1 | {MERGE} @2 | release b=1 @3", "b", "L1", (0, 2, 0)),
    (f"reserve b=3 @1 | {MERGE} @2 | release a=1 @3", "b", "L1", (0, 2, 0)),
    (f"reserve a=3 @1 | {MERGE} @2 | release b=1 reservation:1 @3", "b", "L1", (0, 2, 0)),
    (f"reserve a=3 @1 | {MERGE} @2 | sale b=1 reservation:1 @3", "b", "L1", (-1, 2, 0)),
    (f"reserve a=3 b=1 @1 | {MERGE} @2 | release b=2 reservation:1 @3 | void voids:2", "b", "L1", (0, 0, 0)),
    (f"reserve a=3 b=1 @1 | {MERGE} @2 | release b=2 reservation:1 @3 | void voids:2", "a", "L1", (0, 3, 0)),
    (f"{MERGE} @1 | reserve a=3 @2 | void voids:2", "b", "L1", (0, 0, 0)),
    (f"transfer_out a=5 other:L2 @1 | {MERGE} @2", "b", "L2", (0, 0, 5)),
    (f"transfer_out a=5 other:L2 @1 | {MERGE} @2", "a", "L2", (0, 0, 0)),
    (f"transfer_out a=5 other:L2 @1 | {MERGE} @2 | void voids:2", "a", "L2", (0, 0, 5)),
    (f"transfer_out a=5 other:L2 @1 | {MERGE} @2 | transfer_in b=4 location:L2 transfer:1 @3", "b", "L2", (4, 0, 1)),
    (f"transfer_out a=5 other:L2 @1 | {MERGE} @2 | transfer_in b=4 location:L2 other:L1 @3", "b", "L2", (4, 0, 1)),
    (f"transfer_out a=5 other:L2 @1 | {MERGE} @2 | transfer_close transfer:1 reason:lost @3", "b", "L2", (0, 0, 0)),
    (f"{MERGE} @1 | transfer_out a=5 other:L2 @2", "b", "L2", (0, 0, 5)),
]


@pytest.mark.parametrize(("story", "sku", "location", "expected"), DOCUMENTS)
def test_what_is_reserved_and_on_the_road(
    world: World, story: str, sku: str, location: str, expected: tuple[int, int, int]
) -> None:
    world.tell(story)
    assert world.figures(sku, location) == expected


@pytest.mark.parametrize(
    ("hour", "known_at", "expected"),
    [
        (1, None, (4, 2)),
        (1.5, None, (4, 2)),
        (2, None, (0, 6)),
        (3, None, (0, 5)),
        (None, 1, (5, 2)),
        (None, 2, (0, 7)),
    ],
)
def test_before_the_merge_it_is_the_old_products(
    world: World, hour: float | None, known_at: int | None, expected: tuple[int, int]
) -> None:
    world.tell(f"receipt a=5 b=2 @1 | {MERGE} @2 | sale a=1 @1 | sale a=1 @3")
    asked: dict[str, Any] = {} if hour is None else {"as_of": instant(NOON + int(hour * HOUR))}
    asked |= {} if known_at is None else {"known_at": known_at}
    assert world.on_hand("a", "b", **asked) == expected


@pytest.mark.parametrize("moment", [{"known_at": 3}, {"known_at": 3, "as_of": instant(NOON + 3 * HOUR)}])
def test_as_known_before_its_void_documents_are_of_the_product_that_took_over(
    world: World, moment: dict[str, Any]
) -> None:
    world.tell(f"reserve a=3 @1 | transfer_out a=5 location:L2 other:L1 @1 | {MERGE} @2")
    merged = [world.figures(sku) for sku in ("a", "b")]
    assert merged == [(0, 0, 0), (0, 3, 5)]
    world.tell_more("void voids:3 @4")
    assert [world.figures(sku) for sku in ("a", "b")] == [(0, 3, 5), (0, 0, 0)]
    assert [world.figures(sku, **moment) for sku in ("a", "b")] == merged


FLAGS = [
    # (story, flags of its last posting)
    (f"receipt a=5 @1 | {MERGE} @2 | sale a=7 @3", ("negative_stock",)),
    (f"receipt a=5 @1 | count b=1 @3 | {MERGE} @2 | sale a=1 @1", ("before_count",)),
    (f"{MERGE} @1 | count b=1 @3 | sale a=1 @2", ("before_count",)),
    (f"{MERGE} @1 | count b=1 @3 | count a=1 @2", ("before_count",)),
    (f"{MERGE} @1 | count b=1 @3 by:t1 | count a=1 @4", ("recounted",)),
    (f"sale a=2 @1 | {MERGE} @2 | return b=2 returns:1 @3", ("negative_stock",)),
    (f"sale a=2 @1 | {MERGE} @2 | return b=3 returns:1 @3", ("over_returned",)),
    (f"receipt a=5 @1 | {MERGE} @2 | sale b=5 @3 | void voids:2", ("negative_stock",)),
    (f"{MERGE} @1 | release a=1 @2", ("nothing_reserved",)),
    (f"reserve b=1 @1 | {MERGE} @2 | release a=1 @3", ()),
]


@pytest.mark.parametrize(("story", "expected"), FLAGS)
def test_flags(world: World, story: str, expected: tuple[str, ...]) -> None:
    flags = set(world.tell(story)[-1].flags) - {"unlisted_product"}
    assert flags == set(expected) - ({"negative_stock"} if "return" in story else set())


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (f"{MERGE} @1 | sale a=1 @2", {"b"}),
        (f"receipt a=5 @1 | {MERGE} @2 | sale b=5 @3 | void voids:2", {"b"}),
        (f"receipt b=5 @1 | sale a=1 @1 | {MERGE} @2", set()),  # what is missing of the one, there is of the other
    ],
)
def test_stock_below_zero_waits_for_a_person_under_the_product_that_has_it(
    world: World, story: str, expected: set[str]
) -> None:
    world.tell(story)
    found = perform(world.store, ListExceptions(ExceptionsParams(flag="negative_stock"), actor=HEADQUARTERS))
    assert {cause.subject for cause in found.causes} == expected


REJECTED = [
    # (story, code and reason of its last posting)
    (f"{MERGE} by:t1", "forbidden_type", "operators only"),
    (f"{MERGE} | merge merge:a into:c", "not_mergeable", "'a' is already merged into 'b'; void that merge first."),
    (f"{MERGE} | merge merge:b into:a", "not_mergeable", "'a' is 'b' itself, by the merges that stand."),
    (f"{MERGE} | merge merge:b into:c | merge merge:c into:a", "not_mergeable", "'a' is 'c' itself"),
    ("merge merge:a into:a", "not_mergeable", "'a' is 'a' itself."),
    ("merge merge:a", "invalid_body", "$.into: expected the sku that takes over, got nothing"),
    ("merge merge:a into:b a=1", "invalid_body", "$.lines: expected no lines on a merge, got 1 lines"),
    ("sale a=1 into:b", "invalid_body", "$.into: expected this field only on a merge, got it on type sale"),
    (f"{MERGE} | void voids:1 | void voids:1", "already_voided", "is already voided"),
]


@pytest.mark.parametrize(("story", "code", "reason"), REJECTED)
def test_what_is_rejected(world: World, story: str, code: str, reason: str) -> None:
    result = world.tell(story)[-1]
    assert (result.status, result.code) == ("rejected", code)
    assert reason in (result.reason or "")


def test_every_location_is_carried_over(world: World) -> None:
    world.tell(f"receipt a=5 @1 location:L2 | receipt b=1 @1 | {MERGE} @2 location:W")
    assert [world.on_hand("a", "b", location=location) for location in ("L1", "L2")] == [(0, 1), (0, 5)]


def test_history_shows_what_was_carried(world: World) -> None:
    world.tell(f"receipt a=5 @1 | {MERGE} @2 | sale a=1 @3 | void voids:2")
    shown = {
        sku: [(each.type, each.quantity, each.on_hand_after) for each in history(world.store, sku).entries]
        for sku in "ab"
    }
    assert shown == {
        "a": [("receipt", 5, 5), ("merge", -5, 0), ("sale", -1, 0), ("void", 4, 4)],
        "b": [("merge", 5, 5), ("sale", -1, 4), ("void", -4, 0)],
    }


@pytest.mark.parametrize("params", [{}, {"below": 100}, {"as_of": instant(RECEIVED + HOUR)}])
def test_a_merge_between_two_pages_is_not_in_the_second(world: World, params: dict[str, Any]) -> None:
    world.tell("receipt a=1 b=2 c=3 @1 | reserve c=1 | transfer_out a=1 other:L2")
    expected = stock(world.store, **params).items
    page = stock(world.store, limit=1, **params)
    found = list(page.items)
    world.tell_more("merge merge:c into:b | merge merge:a into:b")
    while page.cursor is not None:
        page = stock(world.store, limit=1, cursor=page.cursor, **params)
        found += page.items
    assert found == expected


# ---------------------------------------------------------------------------------- HQ itself


def test_hq_merges_as_its_own_terminal(world: World) -> None:
    world.tell("receipt a=5 b=2 @1")
    position = world.store.submit(MergeProducts("a", "b", actor=HEADQUARTERS)).wait()
    assert world.on_hand("a", "b") == (0, 7)
    [entry] = [each for each in history(world.store, "b").entries if each.type == "merge"]
    assert (entry.terminal, entry.position, position) == ("hq", 2, 2)
    assert find(world.store, entry.id).location == ""


@pytest.mark.parametrize(
    ("merge", "into", "reason"),
    [
        ("a", "x", "HQ knows no product 'x': it is not in the catalogue, and nobody ever moved it."),
        ("x", "a", "HQ knows no product 'x'"),
        ("a", "a", "Nothing was merged: 'a' is 'a' itself."),
    ],
)
def test_what_hq_does_not_merge(world: World, merge: str, into: str, reason: str) -> None:
    world.tell("receipt a=5 @1")
    with pytest.raises(StoreError, match=reason):
        world.store.submit(MergeProducts(merge, into, actor=HEADQUARTERS)).wait()
    assert world.on_hand("a") == (5,)


def test_a_barcode_that_is_listed_brings_its_sales_along(world: World) -> None:
    world.tell(f"sale {BARCODE[1:]}=2 @1")
    listed = [Product("late", barcodes=(BARCODE,)), Product("other", barcodes=("00000040170725",))]
    for _ in range(2):  # a catalogue is imported again and again
        world.clock.now += 1
        assert world.store.submit(ImportProducts(listed, actor=HEADQUARTERS)).wait() == 2
    world.tell_more(f"receipt late=10 @0 | sale {BARCODE}=1 @5")
    assert world.on_hand(SUSPENSE, "late") == (0, 7)
    assert stock(world.store, gtin=BARCODE, location="L1").items[0].on_hand == 7


def test_many_merges_take_few_statements(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [f"{number:014d}" for number in range(100_000, 100_500)]
    lines = " ".join(f"{code}=2" for code in codes)
    world.tell(f"sale {lines} @1 | sale {lines} @2 location:L2 | count {lines} @3")
    listed = [Product(f"p{code}", barcodes=(code,)) for code in codes]
    with statements(monkeypatch) as ran:
        world.store.submit(ImportProducts(listed, actor=HEADQUARTERS)).wait()
    assert len(ran) <= STATEMENTS_MAX
    assert world.on_hand(f"p{codes[7]}", location="L2") == (-2,)


def test_nobody_connects_as_hq(world: World) -> None:
    with pytest.raises(StoreError, match="reserved for HQ's own postings"):
        enrol(world.store, "hq", "till", "L1")
    world.store.submit(ImportProducts([Product("a")], actor=HEADQUARTERS)).wait()
    with pytest.raises(RequestError, match="reserved for HQ's own postings"):
        perform(world.store, Hello("hq", None, True, "L1", None, None, None))


# ---------------------------------------------------------------------------------- the proof


WRONG = {
    "merge": ("UPDATE merge SET into_sku = 'c'", "position 3: the merge is Merge(position=3, ended='a', into='c'"),
    "merge gone": ("DELETE FROM merge", "position 3: the merge is None"),
    "merge's instant": ("UPDATE merge SET effective_at = effective_at + 1", "position 3: the merge is"),
    "merge voided": ("UPDATE merge SET voided_position = 4", "position 3: the merge is"),
    "merges forgotten": ("UPDATE ledger SET merges = 0", "HQ knows of 0"),
    "level": ("UPDATE level SET on_hand = on_hand + 1 WHERE sku = 'b'", "'b' at 'L1': the level is"),
    "ended level": ("UPDATE level SET on_hand = on_hand + 1 WHERE sku = 'a'", "'a' at 'L1': the level is"),
    "carried": ("UPDATE movement SET quantity = quantity + 1 WHERE account = 2 AND sku = 'b'", "'b' at 'L1' went from"),
    "carried gone": ("DELETE FROM movement WHERE account = 2 AND sku = 'b'", "'b' at 'L1'"),
    "document": ("UPDATE document SET remaining = 1 WHERE sku = 'b'", "1 is left of 'a', the ledger says 200000"),
    "document of the ended product": ("UPDATE document SET remaining = 1 WHERE sku = 'a'", "is stored for 'a', but no"),
}


def merged(url: str) -> None:
    clock = Clock(NOON - DAY)
    with opened(url, clock) as store:
        World(store, clock).tell(f"receipt a=5 b=2 @1 | reserve a=2 @1 | {MERGE} @2 | sale a=1 @3")


@pytest.mark.parametrize(("statement", "expected"), WRONG.values(), ids=WRONG)
def test_what_was_changed_behind_the_ledger_is_found(site: Site, statement: str, expected: str) -> None:
    whole = site.filled(merged)
    site.execute(whole, statement)
    proof = proof_of(whole)
    assert not proof.holds
    assert expected in "\n".join(proof.findings)
