"""What is in the archive is out of the way and forgotten by nobody: all that can still be answered is as it was."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import structs

from inventory_server.domain.requests import (
    ListChanges,
    ListCounts,
    ListPostings,
    ListReservations,
    ListSales,
    ListTransfers,
)
from inventory_server.store.growth import closing
from pos_client.protocol.errors import RequestError
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, Clock, body, find, opened, proof_of, stock, uid
from tests.support.lists import listed
from tests.support.maintenance import archive, bring_back, close_books
from tests.support.partitions import partitions_of
from tests.support.sites import Site, on_postgresql
from tests.support.twins import LOCATIONS, SKUS, Sent, Twins, send

pytestmark = on_postgresql  # a ledger in a file has no partitions


@pytest.fixture(autouse=True)
def short_closings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closing may end with each segment, as all partitions do."""
    monkeypatch.setattr(closing, "SEGMENTS_MAX", 1)


@pytest.fixture(params=[(1, True), *(pytest.param((seed, False), marks=pytest.mark.long) for seed in (1, 2))], ids=str)
def twins(site: Site, request: pytest.FixtureRequest) -> Twins:
    seed, merges = request.param
    return Twins.of(site, seed, merges)


def looks_back(twins: Twins) -> list[dict[str, Any]]:
    """Moments that need nothing of what is in the archive."""
    rng, until, now = random.Random(7), twins.until, twins.trade.clock.now
    instants = [until, until + 1, now, now + 4 * HOUR, *(rng.randrange(until, now) for _ in range(3))]
    positions = [twins.position, twins.position + 1, *(rng.randrange(twins.position, 4_000) for _ in range(2))]
    views: list[dict[str, Any]] = [{"as_of": instant(at)} for at in instants]
    views += [{"known_at": position} for position in positions]
    views += [{"as_of": instant(at), "known_at": position} for at in instants[:5] for position in positions[:3]]
    return [*views, {"known_at": instant(until)}, {"known_at": instant(until + 5 * HOUR)}]


def answers(ledger: str, clock: Clock, views: list[dict[str, Any]]) -> list[Any]:
    with opened(ledger, clock) as store:
        return [stock(store, **view) for view in views]


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.long)])
def test_all_that_can_be_answered_is_answered_as_before(twins: Twins, every: int) -> None:
    clock = twins.trade.clock
    views = [{}, *looks_back(twins)][::every]
    assert answers(twins.archived, clock, views) == answers(twins.whole, clock, views)
    assert partitions_of(twins.archived) == partitions_of(twins.whole)[2:]
    for ledger, kept in ((twins.whole, 0), (twins.archived, 2_047)):
        proof = proof_of(ledger)
        assert (proof.findings, proof.archived) == ([], kept)


def lists_of(ledger: str, clock: Clock, asked: list[tuple[Any, dict[str, Any]]]) -> list[list[Any]]:
    """Lists, without what only an archived posting tells: the reference of a transfer or a reservation."""
    with opened(ledger, clock) as store:
        found = [(request, listed(store, request, limit=100, **params)) for request, params in asked]
    documents = (ListTransfers, ListReservations)
    return [
        [structs.replace(each, reference=None) for each in items] if request in documents else items
        for request, items in found
    ]


def test_lists_of_what_is_not_archived_are_as_before_and_others_are_refused(twins: Twins) -> None:
    clock, later = twins.trade.clock, {"since": twins.until + 1}
    asked: list[tuple[Any, dict[str, Any]]] = [
        *((request, later) for request in (ListPostings, ListCounts, ListSales)),
        (ListTransfers, {}),
        (ListReservations, {}),
        *((ListChanges, {"from_": position}) for position in (twins.position, twins.position + 500)),
    ]
    found = lists_of(twins.archived, clock, asked)
    assert found == lists_of(twins.whole, clock, asked)
    assert all(found), [len(each) for each in found]
    with opened(twins.archived, clock) as store:
        for request in (ListPostings, ListCounts, ListSales):
            for params in ({}, {"since": twins.until}):
                with pytest.raises(RequestError, match="is in the archive; ask for what took effect later"):
                    listed(store, request, **params)
        with pytest.raises(RequestError, match="is in the archive; ask for that moment or a later one"):
            listed(store, ListChanges, from_=twins.position - 1)


@pytest.mark.long
def test_ids_are_known_for_ever(twins: Twins) -> None:
    sent = list(twins.trade.sent)
    with opened(twins.whole, twins.trade.clock) as whole, opened(twins.archived, twins.trade.clock) as archived:
        again = send(archived, sent)
        assert again == send(whole, sent)
        assert {result.status for result in again} == {"duplicate", "rejected"}
        others = [Sent(each.terminal, each.raw + b" ", each.id) for each in sent[::50]]
        conflicts = send(archived, others)
        assert conflicts == send(whole, others)
        assert {result.status for result in conflicts} == {"conflict"}
        gone = next(each for each, result in zip(sent, again, strict=True) if result.position == 100)
        with pytest.raises(RequestError, match="was posted at position 100 and is in the archive"):
            find(archived, gone.id)
        kept = next(result for result in again if result.position == 2_100)
        assert find(archived, kept.id) == find(whole, kept.id)
    assert proof_of(twins.archived).findings == proof_of(twins.whole).findings == []


@pytest.mark.long
def test_what_comes_late_is_posted_as_ever(twins: Twins) -> None:
    """Sales from before the archive's end, counts from after it, voids of what is not in it."""
    trade = twins.trade
    late = [
        Sent("T1", body("sale", (sku, 1), at=NOON + at, reference=f"late {at}"), uid((sku, at)))
        for sku in SKUS
        for at in range(0, 30 * HOUR, HOUR)
    ]
    counts = [
        Sent("T2", body("count", (sku, 50), at=twins.until + at, reference=f"count {at}"), uid(("count", sku, at)))
        for sku in SKUS
        for at in (0, 1, HOUR)
    ]
    with opened(twins.whole, trade.clock) as whole, opened(twins.archived, trade.clock) as archived:
        results = send(archived, late + counts)
        assert results == send(whole, late + counts)
        assert {result.status for result in results} == {"posted"}
        voids = [Sent("T2", body("void", voids=each.id, at=trade.clock.now), uid(("void", each.id))) for each in counts]
        results = send(archived, voids[::-1])
        assert results == send(whole, voids[::-1])
        assert {result.status for result in results} == {"posted"}
    views = [{}, *looks_back(twins)]
    assert answers(twins.archived, trade.clock, views) == answers(twins.whole, trade.clock, views)
    assert proof_of(twins.archived).findings == proof_of(twins.whole).findings == []


@pytest.mark.long
def test_trade_goes_on_and_more_is_archived_and_all_of_it_comes_back(twins: Twins) -> None:
    trade = twins.trade
    with opened(twins.whole, trade.clock) as whole, opened(twins.archived, trade.clock) as archived:
        for _ in range(8):
            frame = trade.frame(trade.rng.choice([*LOCATIONS]))
            results = send(archived, frame)
            refused = {result.id for result in results if "archive" in (result.reason or "")}
            others = send(whole, [each for each in frame if each.id not in refused])
            assert [each for each in results if each.id not in refused] == others
    for ledger in (twins.whole, twins.archived):
        close_books(ledger, trade.clock)
    assert len(archive(twins.archived, trade.clock.now, trade.clock)) == 3
    assert proof_of(twins.archived).findings == []
    before = answers(twins.archived, trade.clock, [{}])
    while bring_back(twins.archived) is not None:
        assert proof_of(twins.archived).findings == []
    assert proof_of(twins.archived).archived == 0
    assert answers(twins.archived, trade.clock, [{}]) == before
