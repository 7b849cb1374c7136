"""The store says what the model of the rules says, whatever is posted in whatever order and by whatever clocks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from sqlalchemy import select

from inventory_server.config import Settings
from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import (
    AdoptTerminal,
    CloseBooks,
    Hello,
    Item,
    MoveTerminal,
    Post,
    RevokeTerminal,
    Welcome,
)
from inventory_server.domain.roles import HEADQUARTERS, Speaker
from inventory_server.store import LedgerStore
from inventory_server.store.admin import catalog
from inventory_server.store.ledger import tables
from inventory_server.store.ledger.documents import know_location
from pos_client.protocol.messages import PostingResult, PostResult, StockItem
from pos_client.protocol.tick import Tick as StoreTick
from pos_client.protocol.units import QUANTITY_MAX, instant, micros, scaled, unscaled
from tests.support import ledgers
from tests.support.ledgers import Clock, enrol, item, opened, uid
from tests.support.maintenance import administer
from tests.support.model import Answer, Model, Sender, Stock, Tick
from tests.support.model.draw import GTIN, SKUS, histories
from tests.support.model.history import (
    ADOPTING_TILL,
    LOCATIONS,
    MOVED_TILL,
    NOON,
    SENDERS,
    UNKNOWN_LOCATION,
    Delivery,
    moments,
)
from tests.support.model.postings import DAY, SECOND
from tests.support.model.stock import Key, last_count
from tests.support.model.story import deliveries, hours
from tests.support.sites import Site, on_postgresql, on_sqlite

LISTED = ("a", "c")
REORDER_POINT = 4
TOGETHER_WITHIN = 10 * SECOND
"""What arrives so shortly one after the other may be of one commit."""
CONTACT_SLACK = 61 * SECOND
"""HQ keeps contacts by the minute, so that an hour of them, and what one tells of a boot, may differ by as much."""
Moment = tuple[int | None, int | None]
"""`as_of` and `known_at`."""
NOTHING = Stock(0, 0, 0, 0)
KEYS = [(location, sku) for location in (*LOCATIONS, UNKNOWN_LOCATION) for sku in SKUS]


class Headquarters:
    """A store and the model of it, given the same postings."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.model = Model(LOCATIONS, LISTED, {GTIN: "c"})
        for sender in SENDERS:
            home = min(sender.earlier) if sender == MOVED_TILL else sender.home
            enrol(store, sender.terminal, "operator" if sender.operator else "till", home)
        enrol(store, "revoked", "till", min(ADOPTING_TILL.earlier))
        for change in (
            MoveTerminal(MOVED_TILL.terminal, MOVED_TILL.home, actor=HEADQUARTERS),
            RevokeTerminal("revoked", actor=HEADQUARTERS),
            AdoptTerminal("revoked", ADOPTING_TILL.terminal, actor=HEADQUARTERS),
        ):
            perform(store, change)
        products = [Product("a", reorder_point=scaled(REORDER_POINT)), Product("c", barcodes=(GTIN,))]
        administer(store, lambda connection: catalog.import_products(connection, products))
        for location in LOCATIONS:
            administer(store, partial(know_location, location=location))
        self._speakers = {sender.terminal: self._speaker(sender) for sender in SENDERS}

    def _speaker(self, sender: Sender) -> Speaker:
        said = Hello(sender.terminal, None, True, None, None, None, None, backdated=sender.backdated)
        welcome = perform(self.store, said)
        assert isinstance(welcome, Welcome)
        return welcome.speaker

    def commit(self, frames: list[list[Delivery]]) -> None:
        """Post frames in one commit, and compare what is said of each posting."""
        self.clock.now = frames[-1][-1].received_at
        outcomes = ledgers.together(self.store, *(self._work(frame) for frame in frames))
        expected = [self._expected(frame) for frame in frames]
        self._compare_instants()
        for answers, outcome in zip(expected, outcomes, strict=True):
            assert isinstance(outcome, PostResult), outcome
            for answer, result in zip(answers, outcome.results, strict=True):
                self._compare_answers(answer, result)

    def _work(self, frame: list[Delivery]) -> Post:
        items = [_item(delivery) for delivery in frame]
        return Post(self._speakers[frame[0].sender.terminal], items, None, _tick(frame[-1].now))

    def _expected(self, frame: list[Delivery]) -> list[Answer]:
        sender, now = frame[-1].sender, frame[-1].now
        if now is not None:
            self.model.clocks.hear(sender.terminal, now, self.clock.now)
        return [self._answer(delivery) for delivery in frame]

    def _answer(self, delivery: Delivery) -> Answer:
        postings = self.model.postings
        recorded_at = max(self.clock.now, postings[-1].recorded_at + 1 if postings else 0)
        return self.model.post(delivery.id, delivery.body, delivery.sender, recorded_at, delivery.tick)

    # ------------------------------------------------------------------------------ comparing

    def _compare_instants(self) -> None:
        """The effective instants are the model's; gives a history up in which HQ knows less of a boot than it."""
        row = tables.posting.c
        query = select(row.effective_at).order_by(row.position)
        stored = administer(self.store, lambda connection: connection.execute(query).scalars().all())
        expected = [posting.effective_at for posting in self.model.postings]
        assert len(stored) == len(expected)
        differences = [abs(one - other) for one, other in zip(stored, expected, strict=True) if one != other]
        assert max(differences, default=0) <= CONTACT_SLACK, [
            (at + 1, one, other) for at, (one, other) in enumerate(zip(stored, expected, strict=True)) if one != other
        ]
        if differences:
            reject()

    def _compare_answers(self, answer: Answer, result: PostingResult) -> None:
        assert result.status == answer.status, (result, answer)
        if answer.position is None:
            return
        assert result.recorded_at is not None
        assert (result.position, micros(result.recorded_at)) == (answer.position, answer.recorded_at)
        demanded, flags = answer.flags, frozenset(result.flags)
        if self.model.postings[answer.position - 1].type == "sale":
            demanded -= {"over_returned"}  # a return that came before its sale
        assert demanded <= flags <= answer.flags | answer.open_flags, (result, answer)

    def expected(self, moment: Moment) -> dict[Key, dict[str, object]]:
        """What the model says of each level."""
        as_of, known_at = moment
        levels = self.model.levels(self.clock.now, as_of, known_at)
        return {key: self._told(key, levels.get(key, NOTHING), moment) for key in KEYS}

    def _told(self, key: Key, figures: Stock, moment: Moment) -> dict[str, object]:
        as_of, known_at = moment
        counted = last_count(self.model.book(known_at), key, as_of)
        return {
            "location": key[0],
            "sku": key[1],
            **{name: unscaled(quantity) for name, quantity in figures._asdict().items()},
            "counted_at": None if counted is None else instant(counted.effective_at),
        }

    def compare_levels(self, moment: Moment = (None, None), **params: Any) -> None:
        """Levels named outright are the model's; a list in pages of two leaves out only what is zero."""
        expected = self.expected(moment)
        named = self.pages(skus=list(SKUS), locations=list(LOCATIONS), **params)
        assert [shown(found) for found in named] == [expected[_key(found)] for found in named]
        here = {key: level for key, level in expected.items() if key[0] in LOCATIONS}
        _only_zeros_left_out(here, named, params)
        listed = self.pages(**params)
        assert [shown(found) for found in listed] == [expected[_key(found)] for found in listed]
        assert [_key(found) for found in listed] == sorted({_key(found) for found in listed})
        _only_zeros_left_out(expected, listed, params)

    def pages(self, **params: Any) -> list[StockItem]:
        """All pages of a list of stock."""
        page = ledgers.stock(self.store, limit=2, **params)
        found = list(page.items)
        while page.cursor is not None:
            page = ledgers.stock(self.store, limit=2, cursor=page.cursor, **params)
            found += page.items
        return found

    def compare_filters(self) -> None:
        """`negative` and `below` leave what the figures say."""
        levels = self.pages()
        assert self.pages(negative=True) == [level for level in levels if level.on_hand < 0]
        names = self.model.book().names()
        unmoved = sorted(sku for sku in {"a", "c"} - {level.sku for level in levels} if names.at(sku) == sku)
        levels = [level for level in levels if names.at(level.sku) == level.sku]  # nobody orders an ended product
        nowhere, below = self._pages_below(3)
        assert (nowhere, below) == (unmoved, [level for level in levels if level.available < 3])
        nowhere, below = self._pages_below("reorder_point")
        assert nowhere == [sku for sku in unmoved if sku == "a"]
        assert below == [level for level in levels if level.sku == "a" and level.available < REORDER_POINT]

    def _pages_below(self, below: Any) -> tuple[list[str], list[StockItem]]:
        """The listed products that no location ever had, and the levels below."""
        pages = self.pages(below=below)
        return [each.sku for each in pages if each.location is None], [each for each in pages if each.location]

    def compare_history(self) -> None:
        """The last movement of a posting leaves the level that the model has as known then."""
        for location, sku in KEYS:
            entries = ledgers.pages_of_history(self.store, sku, limit=3, location=location)
            assert [entry.position for entry in entries] == sorted(entry.position for entry in entries)
            for position, on_hand in {entry.position: entry.on_hand_after for entry in entries}.items():
                figures = self.model.stock(location, sku, self.clock.now, None, position)
                assert on_hand == unscaled(figures.on_hand)


def _item(delivery: Delivery) -> Item:
    quantity_max = QUANTITY_MAX if delivery.sender.operator else Settings().till_quantity_max
    made = item(json.dumps(delivery.body).encode(), UUID(delivery.id), quantity_max=quantity_max)
    made.tick = _tick(delivery.tick)
    return made


def _tick(tick: Tick | None) -> StoreTick | None:
    return None if tick is None else StoreTick(uid(tick.boot), tick.milliseconds)


def _key(found: StockItem) -> Key:
    return found.location or "", found.sku


def _only_zeros_left_out(expected: dict[Key, dict[str, object]], found: list[StockItem], asked: object) -> None:
    absent = [expected[key] for key in expected.keys() - {_key(each) for each in found}]
    figures = ("on_hand", "reserved", "in_transit")
    wrong = [level for level in absent if any(level[figure] for figure in figures)]
    assert not wrong, (asked, wrong)


def shown(found: StockItem) -> dict[str, object]:
    names = ("location", "sku", "on_hand", "reserved", "available", "in_transit", "counted_at")
    return {name: getattr(found, name) for name in names}


# ---------------------------------------------------------------------------------- drawing


@st.composite
def commits(draw: st.DrawFn) -> list[list[list[Delivery]]]:
    """A history in commits of frames."""
    history = draw(histories(standstills=False))
    made: list[list[list[Delivery]]] = []
    for posted in history:
        last = made[-1][-1][-1] if made else None
        if last is None or posted.received_at > last.received_at + TOGETHER_WITHIN or draw(st.booleans()):
            made.append([[posted]])
        elif last.sender != posted.sender or draw(st.booleans()):
            made[-1].append([posted])
        else:
            made[-1][-1].append(posted)
    return made


@pytest.fixture(
    autouse=True,
    scope="module",
    params=[1, pytest.param(12, marks=pytest.mark.long)],
    ids=["segments of 2", "segments of 4096"],
)
def short_segments(request: pytest.FixtureRequest) -> Iterator[None]:
    """Segments are made so short that every history crosses some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", request.param)
        yield


@contextmanager
def headquarters(site: Site) -> Iterator[Headquarters]:
    """A ledger of its own for every example, proven in the end."""
    ledger, clock = site.new(), Clock(NOON - DAY)
    try:
        with opened(ledger, clock) as store:
            yield Headquarters(store, clock)
            proof = ledgers.proof_of(ledger)
        assert proof.holds, proof.findings
    finally:
        site.clear()


modest = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain a failure takes minutes here
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
few = settings(modest, max_examples=6)
"""Where each example takes a second."""
many = settings(modest, max_examples=400)


# what drawn histories have found to be wrong
STORIES = [
    "transfer_out a=2 c=2 other:L2 | transfer_in c=8 location:L2 other:L1 | transfer_close c=5 transfer:1 reason:lost",
    "sale a=1 | void voids:1 location:L2",
    "void voids:2 location:L2 | sale a=1",
    "sale a=1 | void voids:1 location:X",
    "transfer_in a=1 other:X",
    "sale a=1 by:t3 location:L1 | void voids:1 by:t3",
    "sale a=1 by:t4 location:L2 | void voids:1 by:t4 | sale a=1 by:t4 location:W",
    "void voids:2 by:t3 | sale a=1 by:t1",
    "void voids:3 by:t1 | void voids:3 by:t3 | sale a=1 by:t4 location:L2",
]


@pytest.mark.parametrize("story", STORIES)
def test_the_store_agrees_with_the_model_of_a_story(site: Site, story: str) -> None:
    with headquarters(site) as hq:
        for delivery in deliveries(story):
            hq.commit([[delivery]])
            hq.compare_levels()


PAST_STORIES = [
    # (story, instants in hours): what is one product's only between two merges, or before what ended it
    (
        "merge merge:a into:b @1 | merge merge:b into:c @2 | transfer_out a=1 other:L2 @1",
        (0.5, 1, 1.5, 2),
    ),
    ("merge merge:a into:b @1 | merge merge:b into:c @3 | count a=4 @2 | count c=2 @4", (1, 2, 3, 4)),
    ("merge merge:a into:b @1 | merge merge:b into:c @3 | count c=2 @4 | count a=4 @2", (1, 2, 3, 4)),
    ("merge merge:b into:c @3 | receipt a=1 @1 | merge merge:a into:b @2", (1, 2, 3)),
    ("receipt a=1 @1 | sale a=1 @3 | merge merge:a into:b @2", (1, 2, 3)),
    ("transfer_out a=1 other:L2 @1 | transfer_close transfer:1 reason:lost @3 | merge merge:a into:b @2", (1, 2, 3)),
    ("reserve a=1 @1 | release a=1 reservation:1 @3 | merge merge:a into:b @2", (1, 2, 3)),
]


@pytest.mark.parametrize(("story", "asked"), PAST_STORIES)
def test_the_store_agrees_with_the_model_of_the_past_of_a_story(
    site: Site, story: str, asked: tuple[float, ...]
) -> None:
    with headquarters(site) as hq:
        for delivery in deliveries(story):
            hq.commit([[delivery]])
        for hour in asked:
            as_of = hours(hour)
            assert as_of is not None
            hq.compare_levels((as_of, None), as_of=instant(as_of))


@on_sqlite
@modest
@given(history=commits(), data=st.data())
def test_the_store_agrees_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agrees_with_the_model(site, history, data)


@pytest.mark.long
@on_postgresql
@few
@given(history=commits(), data=st.data())
def test_postgresql_agrees_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agrees_with_the_model(site, history, data)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@on_sqlite
@many
@given(history=commits(), data=st.data())
def test_the_store_agrees_with_the_model_in_many_histories(site: Site, history: Any, data: st.DataObject) -> None:
    agrees_with_the_model(site, history, data)


def agrees_with_the_model(site: Site, history: list[list[list[Delivery]]], data: st.DataObject) -> None:
    with headquarters(site) as hq:
        for commit in history:
            hq.commit(commit)
            if data.draw(st.booleans(), "close"):
                hq.store.submit(CloseBooks(actor=HEADQUARTERS)).wait()
        compare_moments(hq, [delivery for commit in history for frame in commit for delivery in frame], data)
        hq.compare_filters()
        hq.compare_history()


def compare_moments(hq: Headquarters, history: list[Delivery], data: st.DataObject) -> None:
    hq.compare_levels()
    asked = list(moments(history, hq.model))[1:]
    for as_of, known_at in data.draw(st.lists(st.sampled_from(asked), max_size=4, unique=True), "moments"):
        params: dict[str, Any] = {} if as_of is None else {"as_of": instant(as_of)}
        if known_at is not None:
            params["known_at"] = known_at
            if data.draw(st.booleans(), "by instant"):
                params["known_at"] = instant(hq.model.postings[known_at - 1].recorded_at)
        hq.compare_levels((as_of, known_at), **params)
