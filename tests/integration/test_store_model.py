"""The store agrees with the formula of domain.md, whatever is posted in whatever order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from inventory_server.domain.product import Product
from inventory_server.domain.requests import CloseBooks, Post
from inventory_server.domain.roles import HEADQUARTERS, Speaker
from inventory_server.store import LedgerStore
from inventory_server.store.admin import catalog
from inventory_server.store.ledger import tables
from pos_client.protocol.messages import PostingType, PostResult, StockItem
from pos_client.protocol.units import Quantity, instant, scaled, unscaled
from tests.support import ledgers
from tests.support.answermodel import AnswerModel
from tests.support.ledgers import DAY, HOUR, NOON, SECOND, Clock, body, enrol, hello, item, opened, uid
from tests.support.maintenance import administer
from tests.support.sites import Site, on_postgresql, on_sqlite
from tests.support.stockmodel import SIGNED, View

SKUS = ["a", "b"]
GTINS = {"40000001": "a"}
UNLISTED_GTIN = "40000002"
LOCATIONS = ["L1", "L2"]
KINDS: list[PostingType] = [
    *("sale", "return", "receipt", "adjustment", "count", "count", "count"),  # the rule that is easiest to get wrong
    *("transfer_out", "transfer_in", "transfer_close", "reserve", "release", "void", "void"),
]
Key = tuple[str, str]


@dataclass(frozen=True)
class Document:
    """A posting, and who sends it (0 and 1: the tills of L1 and L2, 2: an operator)."""

    sender: int
    raw: bytes

    def __repr__(self) -> str:
        return f"{self.sender}: {self.raw.decode()}"


@dataclass(frozen=True)
class Arrival:
    """A document on its way: with its own content or another, in the frame and the commit of the one before or not."""

    number: int
    altered: bool
    new_frame: bool
    new_commit: bool
    clock_moves: int

    def __repr__(self) -> str:
        start = "commit " if self.new_commit else "frame " if self.new_frame else ""
        return f"{start}{self.number}{' altered' * self.altered}"


quantities = st.one_of(
    st.integers(-3, 9), st.sampled_from([Decimal("0.5"), Decimal("-1.25"), Decimal("0.00001"), Decimal("1e9")])
)
codes = st.sampled_from([*SKUS, *SKUS, *(f"gtin:{gtin}" for gtin in (*GTINS, UNLISTED_GTIN))])
hours = st.integers(-6, 6).map(lambda hour: NOON + hour * HOUR)


@st.composite
def documents(draw: st.DrawFn, number: int, total: int) -> Document:
    kind = draw(st.sampled_from(KINDS))
    sender = draw(st.integers(0, 2))
    fields: dict[str, Any] = {}
    if sender == 2 and draw(st.booleans()):
        fields["location"] = draw(st.sampled_from(LOCATIONS))
    others = st.integers(0, total - 1).map(lambda other: uid(other))
    if kind == "void":
        return Document(sender, body(kind, at=draw(hours), voids=draw(others), **fields))
    if kind in ("transfer_out", "transfer_in"):
        fields["other_location"] = draw(st.sampled_from(LOCATIONS))
    if kind == "transfer_close" or (kind == "transfer_in" and draw(st.booleans())):
        fields["transfer"] = draw(others)
    if kind == "transfer_close":
        fields["reason"] = "lost"
    if kind in ("sale", "release") and draw(st.booleans()):
        fields["reservation"] = draw(others)
    if kind == "reserve" and draw(st.booleans()):
        fields["expires_at"] = instant(draw(hours))
    if kind == "transfer_close" and draw(st.booleans()):
        return Document(sender, body(kind, at=draw(hours), reference=str(number), **fields))
    signed = quantities if kind in SIGNED else quantities.map(abs)
    lines = draw(st.lists(st.tuples(codes, signed), min_size=1, max_size=3))
    return Document(sender, body(kind, *lines, at=draw(hours), reference=str(number), **fields))


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Document], list[Arrival]]:
    """Documents, and how they arrive: out of order, some more than once, a few with another content."""
    total = draw(st.integers(1, 12))
    written = [draw(documents(number, total)) for number in range(total)]
    numbers = draw(st.permutations(range(total)))
    repeated = draw(st.lists(st.integers(0, total - 1), max_size=4))
    arrivals = [
        Arrival(
            number,
            at >= total and draw(st.booleans()),
            draw(st.booleans()),
            draw(st.booleans()),
            draw(st.sampled_from([0, 0, SECOND, -HOUR, HOUR, DAY])),
        )
        for at, number in enumerate([*numbers, *repeated])
    ]
    return written, arrivals


class Headquarters:
    """A store and the model of it, given the same postings."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._answers = AnswerModel(GTINS)
        self.model = self._answers.stock
        enrol(store, "O", "operator", "L1")
        products = [Product("a", reorder_point=scaled(4), barcodes=tuple(GTINS))]
        administer(store, lambda connection: catalog.import_products(connection, products))
        self.speakers = [hello(store, "T1", "L1").speaker, hello(store, "T2", "L2").speaker, hello(store, "O").speaker]

    def receive(self, written: list[Document], arrivals: list[Arrival]) -> Iterator[None]:
        """Post what arrives, commit by commit, and compare what is said of each posting."""
        commit: list[tuple[Speaker, list[tuple[UUID, bytes]]]] = []
        for arrival in arrivals:
            document = written[arrival.number]
            raw = document.raw.replace(b'"reference":"', b'"reference":"altered ') if arrival.altered else document.raw
            speaker = self.speakers[document.sender]
            if commit and arrival.new_commit:
                self._commit(commit)
                yield
                commit = []
                self.clock.now += arrival.clock_moves
            if not commit or arrival.new_frame or commit[-1][0] != speaker:
                commit.append((speaker, []))
            commit[-1][1].append((uid(arrival.number), raw))
        self._commit(commit)
        yield

    def _commit(self, frames: list[tuple[Speaker, list[tuple[UUID, bytes]]]]) -> None:
        works = [Post(speaker, [item(raw, id_) for id_, raw in sent], None) for speaker, sent in frames]
        for (speaker, sent), outcome in zip(frames, ledgers.together(self.store, *works), strict=True):
            assert isinstance(outcome, PostResult), outcome
            expected = [
                self._answers.post(*posting, speaker.location, speaker.role == "till", self.clock.now)
                for posting in sent
            ]
            assert [result.status for result in outcome.results] == expected

    # ------------------------------------------------------------------------------ comparing

    def expected(self, key: Key, view: View) -> dict[str, object]:
        level = self.model.level(key, view)
        on_hand, reserved = unscaled(level.on_hand), unscaled(self.model.reserved(key, self.clock.now, view))
        return {
            "location": key[0],
            "sku": key[1],
            "on_hand": on_hand,
            "reserved": reserved,
            "available": on_hand - reserved,
            "in_transit": unscaled(level.in_transit),
            "counted_at": None if level.counted_at is None else instant(level.counted_at),
        }

    def compare_levels(self, view: View, **params: Any) -> None:
        """All levels, asked for in pages of two, are the model's; so are those named outright."""
        touched = self.model.touched()
        expected = [self.expected(key, view) for key in touched]
        assert [shown(found) for found in self._pages(**params)] == expected
        skus = sorted({sku for _, sku in touched})
        named = self._pages(skus=skus, locations=LOCATIONS, **params) if skus else []
        assert [shown(found) for found in named if (found.location, found.sku) in touched] == expected
        assert all(found.on_hand == 0 for found in named if (found.location, found.sku) not in touched)

    def _pages(self, **params: Any) -> list[StockItem]:
        page = ledgers.stock(self.store, limit=2, **params)
        found = list(page.items)
        while page.cursor is not None:
            page = ledgers.stock(self.store, limit=2, cursor=page.cursor, **params)
            found += page.items
        return found

    def compare_filters(self) -> None:
        """`negative` and `below` leave what the model's figures say."""
        levels = [self.expected(key, View()) for key in self.model.touched()]
        negative = [level for level in levels if cast("Decimal", level["on_hand"]) < 0]
        assert [shown(found) for found in self._pages(negative=True)] == negative
        below = [level for level in levels if cast("Decimal", level["available"]) < 3]
        assert [shown(found) for found in self._pages(below=3)] == below
        reorder = [level for level in levels if level["sku"] == "a" and cast("Decimal", level["available"]) < 4]
        assert [shown(found) for found in self._pages(below="reorder_point")] == reorder

    def compare_history(self) -> None:
        """The last movement of a posting leaves the level that the model has as known then."""
        for location, sku in self.model.touched():
            entries = ledgers.pages_of_history(self.store, sku, limit=3, location=location)
            after = {entry.position: entry.on_hand_after for entry in entries}
            assert [entry.position for entry in entries] == sorted(entry.position for entry in entries)
            for position, on_hand in after.items():
                assert on_hand == unscaled(self.model.level((location, sku), View(None, position)).on_hand)


def shown(found: StockItem) -> dict[str, object]:
    names = ("location", "sku", "on_hand", "reserved", "available", "in_transit", "counted_at")
    return {name: getattr(found, name) for name in names}


@pytest.fixture(
    autouse=True,
    scope="module",
    params=[1, pytest.param(12, marks=pytest.mark.long)],
    ids=["segments of 2", "segments of 4096"],
)
def short_segments(request: pytest.FixtureRequest) -> Iterator[None]:
    """Segments are made so short that every story crosses some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", request.param)
        yield


@contextmanager
def new_ledger(site: Site) -> Iterator[str]:
    """A ledger of its own for every example."""
    yield site.new()
    site.clear()


modest = settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain a failure takes minutes here
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


few = settings(modest, max_examples=6)
"""Where each example takes a second."""


@on_sqlite
@modest
@given(story=stories(), data=st.data())
def test_the_store_agrees_with_the_formula(site: Site, story: Any, data: st.DataObject) -> None:
    agrees_with_the_formula(site, story, data)


@on_postgresql
@few
@given(story=stories(), data=st.data())
def test_postgresql_agrees_with_the_formula(site: Site, story: Any, data: st.DataObject) -> None:
    agrees_with_the_formula(site, story, data)


def agrees_with_the_formula(site: Site, story: Any, data: st.DataObject) -> None:
    clock = Clock(data.draw(st.sampled_from([NOON + DAY, NOON - 2 * HOUR]), "clock"))
    with new_ledger(site) as ledger, opened(ledger, clock) as store:
        hq = Headquarters(store, clock)
        for _ in hq.receive(*story):
            hq.compare_levels(View())
            if data.draw(st.booleans(), "close"):
                close(store)
        compare_looking_back(hq, data)
        hq.compare_filters()
        hq.compare_history()
        proof = ledgers.proof_of(ledger)
    assert proof.holds, proof.findings


def close(store: LedgerStore) -> None:
    """Close the books, as far as they can be."""
    store.submit(CloseBooks(actor=HEADQUARTERS)).wait()


def compare_looking_back(hq: Headquarters, data: st.DataObject) -> None:
    for _ in range(3):
        as_of = data.draw(st.none() | hours, "as_of")
        known_at = data.draw(st.none() | st.integers(0, len(hq.model.known) + 1), "known_at")
        params: dict[str, Any] = {} if as_of is None else {"as_of": instant(as_of)}
        if known_at is not None:
            params["known_at"] = known_at
            if data.draw(st.booleans(), "by instant") and 0 < known_at <= len(hq.model.known):
                params["known_at"] = ledgers.find(hq.store, hq.model.known[known_at - 1].id).recorded_at
        hq.compare_levels(View(as_of, known_at), **params)


@on_sqlite
@modest
@given(story=stories())
def test_the_order_of_arrival_does_not_matter(site: Site, story: Any) -> None:
    any_order_will_do(site, story)


@on_postgresql
@few
@given(story=stories())
def test_the_order_of_arrival_does_not_matter_to_postgresql(site: Site, story: Any) -> None:
    any_order_will_do(site, story)


def any_order_will_do(site: Site, story: Any) -> None:
    """The same postings, none of them at the same instant, leave the same levels in any order."""
    written, arrivals = story
    numbers = once_voided(written)
    raws = [apart(document.raw, number) for number, document in enumerate(written)]
    levels: list[dict[Key, Quantity]] = []
    for order in (range(len(raws)), [arrival.number for arrival in arrivals]):
        with new_ledger(site) as ledger, opened(ledger) as store:
            hq = Headquarters(store, Clock())
            for number in (number for number in order if number in numbers):
                ledgers.post(store, hq.speakers[written[number].sender], item(raws[number], uid(number)))
            levels.append({(found.location, found.sku): found.on_hand for found in ledgers.stock(store).items})
    assert levels[0] == levels[1]


def apart(raw: bytes, number: int) -> bytes:
    """The same document at an instant of its own."""
    return raw.replace(b":20Z", b":%02dZ" % (20 + number), 1)


def once_voided(written: list[Document]) -> set[int]:
    """All documents but further voids of the same: whichever of those arrives first is the one that counts."""
    voided: set[str] = set()
    numbers = set()
    for number, document in enumerate(written):
        voids = json.loads(document.raw).get("voids")
        if voids not in voided:
            numbers.add(number)
            voided |= {voids} - {None}
    return numbers
