"""What is cut into segments reads as if it were not: the borders change no figure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inventory_server.store import LedgerStore
from inventory_server.store.ledger import tables
from pos_client.protocol.units import instant
from tests.support.ledgers import (
    DAY,
    HOUR,
    NOON,
    Clock,
    Till,
    body,
    history,
    level,
    opened,
    pages_of_history,
    proof_of,
)

SEGMENT = 4


@pytest.fixture
def store(ledger: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LedgerStore]:
    """A store whose segments hold four positions each."""
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
    with opened(ledger, Clock(NOON + DAY)) as store:
        yield store
        proof = proof_of(ledger)
    assert proof.holds, proof.findings


@pytest.mark.parametrize("before", range(2 * SEGMENT + 1))
def test_a_late_count_adds_what_moved_since_wherever_the_segments_end(store: LedgerStore, before: int) -> None:
    till = Till(store)
    for _ in range(before):
        till.posts(body("sale", ("a", 1), at=NOON + HOUR))
    till.posts(body("count", ("a", 100)))
    assert level(store).on_hand == 100 - before


@pytest.mark.parametrize("before", range(SEGMENT + 1))
def test_history_and_time_travel_cross_segments(store: LedgerStore, before: int) -> None:
    till = Till(store)
    for _ in range(before):
        till.posts(body("sale", ("b", 1)))
    late_first = [NOON + hour * HOUR for hour in (9, 1, 8, 2, 7, 3, 6, 4, 5)]
    for at in late_first:
        till.posts(body("sale", ("a", 1), at=at))
    assert level(store, as_of=instant(NOON + 4 * HOUR)).on_hand == -4
    assert level(store, as_of=instant(NOON + 4 * HOUR), known_at=before + 4).on_hand == -2
    assert [entry.position for entry in pages_of_history(store, "a", limit=2)] == list(range(before + 1, before + 10))
    found = pages_of_history(store, "a", 2, from_=instant(NOON + 3 * HOUR), to=instant(NOON + 6 * HOUR))
    assert [entry.occurred_at for entry in found] == [instant(NOON + hour * HOUR) for hour in (3, 4, 5)]


def test_a_segment_may_lie_before_1970(store: LedgerStore) -> None:
    """A till whose clock was never set: the latest instant of a segment is 0 or less."""
    till = Till(store)
    for at in (0, -1, -2, -3):
        till.posts(body("sale", ("a", 1), at=at))
    till.posts(body("sale", ("b", 1)))
    till.posts(body("count", ("a", 10), at=-1))
    assert level(store).on_hand == 9
    assert len(history(store, from_=instant(0)).entries) == 1
