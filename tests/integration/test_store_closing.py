"""Closing the books changes no answer: a look back starts from the balances and leaves what is before them alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection

from inventory_server.store import StoreError
from inventory_server.store.growth import closing
from inventory_server.store.ledger import tables
from inventory_server.store.ledger.timetravel import Cut, cuts
from pos_client.protocol.messages import StockItem
from pos_client.protocol.units import instant
from tests.support.ledgers import DAY, HOUR, NOON, Clock, Till, body, opened, proof_of, stock
from tests.support.maintenance import close_books, read_ledger
from tests.support.sites import Site, on_postgresql


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments hold four positions each, and what is written goes row by row."""
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
    monkeypatch.setattr(closing, "CLOSING_ROWS", 1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def trade(ledger: str, clock: Clock, hours: int) -> None:
    """Hour by hour a sale, one that was late, one whose clock is ahead, a transfer; now and then a count of `b`."""
    with opened(ledger, clock) as store:
        till = Till(store)
        for _ in range(hours):
            clock.now += HOUR
            till.post(
                body("sale", ("a", 1), ("b", 2), at=clock.now - 1),
                body("sale", ("a", 10), at=clock.now - 5 * HOUR),
                body("sale", ("a", 100), at=clock.now + 2 * HOUR),
                body("transfer_out", ("a", 1), at=clock.now - 1, other_location="L2"),
            )
            if clock.now % (3 * HOUR) == NOON % (3 * HOUR):
                till.posts(body("count", ("b", 1_000), at=clock.now))


class Closed(NamedTuple):
    """What closing came to: the last position, in how many cuts, and how many rows were written."""

    position: int
    cuts: int
    balances: int
    stragglers: int


def close_now(ledger: str) -> Closed | None:
    done = close_books(ledger, lambda: NOON + 9 * DAY)
    sums = (sum(cut.balances for cut in done), sum(cut.stragglers for cut in done))
    return Closed(done[-1].position, len(done), *sums) if done else None


def cuts_of(ledger: str) -> list[Cut]:
    found: list[Cut] = read_ledger(ledger, cuts)
    return found


def views(ledger: str, clock: Clock) -> Iterator[dict[str, Any]]:
    """Moments before, at and between the cuts, alone and together with what was known then."""
    instants = [NOON, *(NOON + hour * HOUR + HOUR // 2 for hour in range(0, 12, 2)), clock.now + 9 * HOUR]
    for at in instants:
        yield {"as_of": instant(at)}
        for position in (3, 9, 22):
            yield {"as_of": instant(at), "known_at": position}
    for position in range(0, 30, 3):
        yield {"known_at": position}


def only(sku: str, seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same views of one sku."""
    return [{**view, "sku": sku} for view in seen]


def answers(ledger: str, clock: Clock, seen: list[dict[str, Any]]) -> list[list[StockItem]]:
    with opened(ledger, clock) as store:
        return [stock(store, **view).items for view in seen]


def test_no_answer_changes_however_often_the_books_are_closed(ledger: str, clock: Clock) -> None:
    for hours in (3, 1, 4):
        trade(ledger, clock, hours)
        seen = list(views(ledger, clock))
        before = answers(ledger, clock, seen)
        assert close_now(ledger) is not None
        assert answers(ledger, clock, seen) == before
        assert proof_of(ledger).findings == []
    assert close_now(ledger) is None
    assert proof_of(ledger).closings == len(cuts_of(ledger)) == 3


def test_a_look_back_after_a_closing_visits_nothing_before_it(site: Site, ledger: str, clock: Clock) -> None:
    """Shown by taking that away: only a look back to before the closing notices."""
    trade(ledger, clock, 6)
    close_now(ledger)
    [cut] = cuts_of(ledger)
    trade(ledger, clock, 2)
    after: list[dict[str, Any]] = [{"as_of": instant(cut.closed_at + hour * HOUR)} for hour in range(5)]
    after += [{"known_at": cut.position + 2}, {"known_at": cut.position, "as_of": instant(cut.closed_at + 3 * HOUR)}]
    after, earlier = only("a", after), only("a", [{"as_of": instant(cut.closed_at - 1)}])
    seen, missed = answers(ledger, clock, after), answers(ledger, clock, earlier)
    site.execute(ledger, f"DELETE FROM movement WHERE segment <= {cut.segment}")
    assert answers(ledger, clock, after) == seen
    assert answers(ledger, clock, earlier) != missed


def test_a_look_back_between_two_closings_visits_what_is_between_them(site: Site, ledger: str, clock: Clock) -> None:
    for hours in (4, 4, 4):
        trade(ledger, clock, hours)
        close_now(ledger)
    first, second, third = cuts_of(ledger)
    instants = (first.closed_at, first.closed_at + HOUR, second.closed_at - 1)
    between = only("a", [{"as_of": instant(at)} for at in instants])
    seen = answers(ledger, clock, between)
    site.execute(ledger, f"DELETE FROM movement WHERE segment <= {first.segment}")
    site.execute(ledger, f"DELETE FROM movement WHERE segment > {second.segment} AND segment <= {third.segment}")
    assert answers(ledger, clock, between) == seen


def test_a_closing_that_broke_off_is_of_no_use_and_is_finished_by_the_next(
    ledger: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(ledger, clock, 4)
    seen = list(views(ledger, clock))
    before = answers(ledger, clock, seen)

    def breaks_off(*_: Any) -> Any:
        raise StoreError("the operator's terminal was closed")

    with monkeypatch.context() as patch:
        patch.setattr(closing, "stragglers", breaks_off)
        with pytest.raises(StoreError, match="terminal was closed"):
            close_now(ledger)
    assert cuts_of(ledger) == []
    assert answers(ledger, clock, seen) == before
    assert proof_of(ledger).findings == []
    trade(ledger, clock, 2)
    closed = close_now(ledger)
    assert closed is not None
    assert (closed.position, closed.cuts) == (cuts_of(ledger)[-1].position, 2)
    assert cuts_of(ledger)[0].position == 15, "that which was begun, though more could be closed"
    assert proof_of(ledger).findings == []


def test_a_ledger_that_was_not_closed_for_years_is_closed_in_parts(
    ledger: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "SEGMENTS_MAX", 2)
    trade(ledger, clock, 6)
    seen = list(views(ledger, clock))
    before = answers(ledger, clock, seen)
    closed = close_now(ledger)
    assert closed is not None
    assert [cut.position for cut in cuts_of(ledger)] == [7, 15, 23]
    assert (closed.position, closed.cuts) == (23, 3)
    assert answers(ledger, clock, seen) == before
    assert proof_of(ledger).findings == []


@on_postgresql  # where several processes write
def test_two_that_close_at_once_close_the_same(ledger: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    trade(ledger, clock, 6)
    others: list[Closed | None] = []

    stragglers = closing.stragglers

    def late_stragglers(connection: Connection, position: int) -> Iterator[Any]:
        yield from stragglers(connection, position)
        if not others:
            others.append(None)
            trade(ledger, clock, 2)
            others[0] = close_now(ledger)

    monkeypatch.setattr(closing, "stragglers", late_stragglers)
    closed = close_now(ledger)
    assert closed is not None
    assert [(each.position, each.cuts) for each in (closed, others[0]) if each] == [(23, 1), (31, 2)]
    assert [cut.position for cut in cuts_of(ledger)] == [23, 31]
    assert proof_of(ledger).findings == []


def test_only_full_segments_are_closed(ledger: str, clock: Clock) -> None:
    assert close_now(ledger) is None
    with opened(ledger, clock) as store:
        till = Till(store)
        till.post(*(body("sale", ("a", number)) for number in range(1, 4)))
    assert close_now(ledger) is None
    with opened(ledger, clock) as store:
        Till(store).posts(body("sale", ("a", 4)))
    assert close_now(ledger) == Closed(3, 1, 1, 0)


WRONG = {
    "balance": ("UPDATE balance SET quantity = quantity + 1 WHERE sku = 'b'", "'b' at 'L1': closed with"),
    "latest": ("UPDATE balance SET latest_at = 1 WHERE sku = 'b'", "'b' at 'L1': closed with"),
    "balance gone": ("DELETE FROM balance WHERE sku = 'b'", "'b' at 'L1': closed with None, the ledger says"),
    "balance more": ("INSERT INTO balance VALUES ('L9', 'a', 7, 1, 1)", "rows in balance, there are"),
    "straggler": ("UPDATE straggler SET quantity = 1", "takes effect before the closing that precedes it"),
    "straggler gone": ("DELETE FROM straggler", "takes effect before the closing that precedes it"),
    "straggler more": ("INSERT INTO straggler VALUES ('L9', 'a', 7, 0, 1, NULL, 1)", "rows in straggler, there are"),
    "instant": ("UPDATE closing SET closed_at = closed_at + 1", "which is not the end of a segment"),
    "cut within": ("UPDATE closing SET position = 14 WHERE position = 19", "which is not the end of a segment"),
    "cut too late": (
        "UPDATE closing SET position = 4095 WHERE position = 19",
        "position 4095, which the ledger does not reach",
    ),
}


def trade_and_close(ledger: str) -> None:
    clock = Clock(NOON)
    for hours in (3, 2):
        trade(ledger, clock, hours)
        close_now(ledger)


@pytest.mark.parametrize(("statement", "expected"), WRONG.values(), ids=WRONG)
def test_what_was_changed_in_the_balances_is_found(site: Site, statement: str, expected: str) -> None:
    closed = site.filled(trade_and_close)
    site.execute(closed, statement)
    assert expected in "\n".join(proof_of(closed).findings)
