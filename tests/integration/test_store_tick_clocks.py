"""Tick clocks in the store: HQ corrects wrong clocks, across restarts, reboots and servers, on either database."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.door import perform
from inventory_server.domain.limits import BOOTS_MAX
from inventory_server.domain.requests import Hello, Item, Ping, Post, Welcome
from inventory_server.domain.roles import Speaker
from inventory_server.store import LedgerStore
from inventory_server.store.admin.terminals import list_terminals
from inventory_server.store.ledger import tables as t
from pos_client.protocol.messages import PostResult
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import instant
from tests.support.ledgers import NOON, Clock, body, history, item, opened, stock
from tests.support.maintenance import administer
from tests.support.sites import on_postgresql

SECOND, HOUR, DAY = 10**6, 3_600 * 10**6, 86_400 * 10**6
BOOTED = NOON - HOUR


def tick(at: int, boot: int = 1) -> Tick:
    """The tick of an instant, of a machine that booted an hour before noon."""
    return Tick(UUID(int=boot), (at - BOOTED) // 1_000)


def says_hello(store: LedgerStore, now: int | None, said: Tick | None, **fields: Any) -> Speaker:
    welcome = perform(store, Hello("T1", None, True, "L1", None, fields.pop("outbox", None), now, "", said, **fields))
    assert isinstance(welcome, Welcome)
    return welcome.speaker


def sale(at: int, made: Tick | None, **fields: Any) -> Item:
    sold = item(body("sale", ("a", 1), at=at, **fields))
    sold.tick = made
    return sold


def flags(store: LedgerStore, speaker: Speaker, sent: Tick | None, *items: Item) -> list[tuple[str, ...]]:
    """The flags about clocks that a frame is answered with."""
    result = perform(store, Post(speaker, list(items), None, sent))
    assert isinstance(result, PostResult)
    return [tuple(flag for flag in each.flags if flag.startswith("clock")) for each in result.results]


def offset(store: LedgerStore) -> int | None:
    """What `terminal list` shows of the till's clock."""
    [row] = administer(store, list_terminals)
    found: int | None = row.clock_offset_ms
    return found


# by how much the till's clock is wrong, and what its sale of a minute ago is flagged with
WRONG = [
    (0, ()),
    (2 * SECOND, ()),
    (-HOUR, ("clock_corrected",)),
    (3 * SECOND, ("clock_corrected",)),
    (-6 * 365 * DAY, ("clock_corrected",)),
    (365 * DAY, ("clock_corrected",)),
]


@pytest.mark.parametrize(("wrong", "expected"), WRONG)
def test_a_wrong_clock_is_corrected_and_shown(
    store: LedgerStore, clock: Clock, wrong: int, expected: tuple[str, ...]
) -> None:
    speaker = says_hello(store, clock.now + wrong, tick(clock.now))
    assert offset(store) == wrong // 1_000
    sold_at = clock.now - 60 * SECOND
    found = flags(store, speaker, tick(clock.now), sale(sold_at + wrong, tick(sold_at)))
    assert found == [expected]


def test_boot_and_tick_are_stored_beside_the_body(store: LedgerStore, clock: Clock) -> None:
    speaker = says_hello(store, clock.now, tick(clock.now))
    flags(store, speaker, tick(clock.now), sale(clock.now, tick(clock.now)), sale(clock.now, None, reference="by hand"))
    query = select(t.posting.c.boot, t.posting.c.tick_ms).order_by(t.posting.c.position)
    rows = administer(store, lambda connection: connection.execute(query).all())
    assert [tuple(row) for row in rows] == [(UUID(int=1).bytes, 90_000_000), (None, None)]


def test_what_hq_knows_of_a_boot_outlives_its_process(ledger: str, clock: Clock) -> None:
    with opened(ledger, clock) as store:
        says_hello(store, clock.now, tick(clock.now))
    clock.now += DAY
    with opened(ledger, clock) as store:
        rebooted = Tick(UUID(int=2), 5_000)
        speaker = says_hello(store, None, rebooted)
        sold_at = NOON + 10 * SECOND
        assert flags(store, speaker, rebooted, sale(sold_at - HOUR, tick(sold_at))) == [("clock_corrected",)]
        assert flags(store, speaker, rebooted, sale(sold_at, tick(sold_at), reference="right")) == [()]


@on_postgresql
def test_two_servers_share_what_they_know(ledger: str, clock: Clock) -> None:
    with opened(ledger, clock) as one, opened(ledger, clock) as other:
        speaker = says_hello(one, None, tick(clock.now))
        assert flags(other, speaker, None, sale(clock.now - HOUR, tick(clock.now))) == [("clock_corrected",)]


def test_a_boot_that_hq_never_heard_of_has_no_tick(store: LedgerStore, clock: Clock) -> None:
    speaker = says_hello(store, None, tick(clock.now))
    assert flags(store, speaker, None, sale(clock.now - HOUR, tick(clock.now, boot=7))) == [()]


def test_the_last_boots_of_a_terminal_are_kept(store: LedgerStore, clock: Clock) -> None:
    for number in range(BOOTS_MAX + 5):
        clock.now += HOUR
        says_hello(store, None, Tick(UUID(int=number), 1))
    kept = administer(store, lambda connection: connection.execute(t.boot.select()).all())
    assert {row.boot for row in kept} == {UUID(int=number).bytes for number in range(5, BOOTS_MAX + 5)}


def test_a_fenced_connection_tells_nothing_of_the_clock(store: LedgerStore, clock: Clock) -> None:
    fenced = says_hello(store, clock.now, tick(clock.now))
    says_hello(store, clock.now, tick(clock.now))
    perform(store, Ping(fenced, None, clock.now - HOUR, tick(clock.now)))
    assert offset(store) == 0


OLD = NOON - 46 * DAY


def test_old_postings_are_flagged_unless_they_were_announced(store: LedgerStore, clock: Clock) -> None:
    assert flags(store, says_hello(store, None, None), None, sale(OLD, None)) == [("clock_suspect",)]
    replay = says_hello(store, None, None, backdated=True)
    counted = item(body("count", ("a", 1), at=OLD))
    assert flags(store, replay, None, sale(OLD, None, reference="replayed"), counted) == [(), ("clock_suspect",)]


# the till's clock, the oldest pending sale by that clock and by its tick (None: unknown), all relative to now
COMPLETE = [
    (0, -60, None, -60),
    (-3_600, -3_660, None, -3_660),
    (-3_600, -3_660, -60, -60),
    (3_600, 3_540, None, -60),
    (3_600, 3_540, -60, -60),
    (1, -59, None, -59),
]


@pytest.mark.parametrize(("wrong", "occurred", "ticked", "expected"), COMPLETE)
def test_complete_to_minds_the_clock_of_a_till_with_pending_sales(
    store: LedgerStore, clock: Clock, wrong: int, occurred: int, ticked: int | None, expected: int
) -> None:
    oldest_tick = None if ticked is None else tick(clock.now + ticked * SECOND)
    report = OutboxState(1, 0, clock.now + occurred * SECOND, oldest_tick)
    says_hello(store, clock.now + wrong * SECOND, tick(clock.now), outbox=report)
    told = stock(store, locations=["L1"]).completeness["L1"].complete_to
    assert told == instant(clock.now + expected * SECOND - 1)


# what a till whose clock was an hour ahead says next of its sale of a minute ago, made before its machine rebooted:
# its clock, what is pending, the oldest by that clock (s, relative to then); and up to when it is complete
LATER = [
    (3_600, 1, 3_540, -60),
    (0, 1, 3_540, -60),
    (-7_200, 1, 3_540, -60),
    (0, 0, None, None),
]


@pytest.mark.parametrize(("wrong", "pending", "occurred", "expected"), LATER)
def test_what_cannot_be_corrected_holds_complete_to_back_after_the_clock_was_set_right(
    store: LedgerStore, clock: Clock, wrong: int, pending: int, occurred: int | None, expected: int | None
) -> None:
    began, rebooted = clock.now, Tick(UUID(int=2), 5_000)
    report = OutboxState(1, 0, began + 3_540 * SECOND)
    speaker = says_hello(store, began + HOUR, rebooted, outbox=report)
    for minutes in (1, 2):
        clock.now = began + minutes * 60 * SECOND
        oldest = None if occurred is None else began + occurred * SECOND
        sent = Tick(rebooted.boot, rebooted.ms + minutes * 60_000)
        perform(store, Ping(speaker, OutboxState(pending, 0, oldest), clock.now + wrong * SECOND, sent))
    told = stock(store, locations=["L1"]).completeness["L1"].complete_to
    assert told == instant(clock.now if expected is None else began + expected * SECOND - 1)


@pytest.mark.parametrize("wrong", [-HOUR, 0, HOUR])
def test_a_hole_is_dated_by_the_tick_clock(store: LedgerStore, clock: Clock, wrong: int) -> None:
    welcome = perform(store, Hello("T1", None, True, "L1", UUID(int=9), None, None, "", tick(clock.now)))
    sold_at = clock.now - 60 * SECOND
    before, after = (
        replace(sale(at + wrong, tick(at), reference=f"{seq}"), seq=seq) for seq, at in ((1, sold_at), (3, clock.now))
    )
    assert isinstance(welcome, Welcome)
    flags(store, welcome.speaker, tick(clock.now), before, after)
    assert stock(store, locations=["L1"]).completeness["L1"].complete_to == instant(sold_at)


def test_without_pending_sales_a_till_with_a_slow_clock_is_complete_up_to_its_last_contact(
    store: LedgerStore, clock: Clock
) -> None:
    speaker = says_hello(store, clock.now - HOUR, tick(clock.now), outbox=OutboxState(0))
    contact = clock.now
    clock.now += 10 * SECOND
    assert stock(store, locations=["L1"]).completeness["L1"].complete_to == instant(contact)
    perform(store, Ping(speaker, OutboxState(0), None, tick(clock.now)))
    assert stock(store, locations=["L1"]).completeness["L1"].complete_to == instant(clock.now)


# what the till says is pending, made at that tick (s, relative to when it was received); and up to when it is complete
WAITED = [
    (None, None, 0),
    (-30, -30, -30),
    (-30, None, -30),
    (-3_630, -30, -30),
]


@pytest.mark.parametrize(("occurred", "made", "expected"), WAITED)
def test_a_message_that_waits_for_its_commit_is_dated_by_its_arrival(
    store: LedgerStore, clock: Clock, occurred: int | None, made: int | None, expected: int
) -> None:
    arrived = clock.now
    at = None if occurred is None else arrived + occurred * SECOND
    oldest = None if made is None else tick(arrived + made * SECOND)
    report = OutboxState(0 if at is None else 1, 0, at, oldest)
    clock.now += 18 * SECOND
    speaker = says_hello(store, None, tick(arrived), outbox=report, received_at=arrived)
    told = stock(store, locations=["L1"]).completeness["L1"].complete_to
    assert told == instant(arrived + expected * SECOND - bool(expected))
    perform(store, Ping(speaker, report, None, tick(arrived), arrived))
    assert stock(store, locations=["L1"]).completeness["L1"].complete_to == told


def test_a_hello_that_is_held_up_does_not_take_back_what_later_ones_told(store: LedgerStore, clock: Clock) -> None:
    sent, sold = tick(clock.now), clock.now + 5 * SECOND
    clock.now += 10 * SECOND
    says_hello(store, None, tick(clock.now), outbox=OutboxState(1, 0, sold, tick(sold)))
    clock.now += 10 * SECOND
    says_hello(store, None, sent, outbox=OutboxState(0))
    found = stock(store, locations=["L1"]).completeness["L1"]
    assert (found.complete_to, found.pending) == (instant(sold - 1), 1)
    says_hello(store, None, tick(clock.now), outbox=OutboxState(0))
    found = stock(store, locations=["L1"]).completeness["L1"]
    assert (found.complete_to, found.pending) == (instant(clock.now), 0)


def test_a_frame_that_waits_for_its_commit_dates_its_sales_by_its_arrival(store: LedgerStore, clock: Clock) -> None:
    arrived = clock.now
    speaker = says_hello(store, None, None)
    clock.now += 18 * SECOND
    sold = sale(arrived - HOUR - SECOND, tick(arrived - SECOND))
    post = Post(speaker, [sold], None, tick(arrived), arrived)
    assert isinstance(perform(store, post), PostResult)
    [entry] = history(store).entries
    assert entry.effective_at == instant(arrived - SECOND)


def test_a_wrong_clock_is_logged_once(store: LedgerStore, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for wrong in (0, 2 * SECOND, HOUR, HOUR + SECOND, 0, -HOUR):
        says_hello(store, clock.now + wrong, tick(clock.now))
    told = [record.getMessage() for record in caplog.records if "till_clock_wrong" in record.getMessage()]
    assert told == [f"event=till_clock_wrong terminal=T1 offset_ms={offset}" for offset in (3_600_000, -3_600_000)]
