"""A till's tick clock: what it stamps carries boot and tick, durably, and only an HQ that reads them is sent any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET, structs

from pos_client import PosClient
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.tick import Tick
from pos_client.till.actions import Connect, SendHello, SendPing
from pos_client.till.clock import machine_tick_clock
from pos_client.till.outbox import Outbox
from tests.support.desk import BOOT, SECOND, Desk
from tests.support.outboxes import posting

LONG_AGO = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
OTHER_BOOT = UUID(int=2)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.outbox.close()


def add(outbox: Outbox, number: int, tick: Tick | None) -> None:
    outbox.add(posting(number)._replace(tick=tick))


# ---------------------------------------------------------------------------------- what is stamped


def sells_a_basket(till: PosClient) -> None:
    """Twice by mistake, later: the first time counts."""
    basket = till.open_basket()
    basket.add("milk")
    basket.sell()
    basket.sell()


STAMPED: list[tuple[Callable[[PosClient], Any], Tick | None]] = [
    (lambda till: till.sell([("milk", 1)]), Tick(BOOT, 1)),
    (lambda till: till.count([("milk", 1)]), Tick(BOOT, 1)),
    (sells_a_basket, Tick(BOOT, 1)),
    (lambda till: till.sell([("milk", 1)], occurred_at=LONG_AGO), None),
    (lambda till: till.post(Body("count", LONG_AGO, [Line(1, sku="milk")])), None),
]
"""What a till program does, and the tick that is stored (None: none)."""


@pytest.mark.parametrize(("does", "tick"), STAMPED)
def test_what_the_client_dates_carries_its_tick_and_what_the_caller_dates_carries_none(
    tmp_path: Path, does: Callable[[PosClient], Any], tick: Tick | None
) -> None:
    ticks = iter(range(1, 100))
    nobody = f"unix:{tmp_path}/nobody.sock"
    stamps = lambda: Tick(BOOT, next(ticks))  # noqa: E731
    with PosClient(nobody, terminal="T1", location="A", outbox=tmp_path / "t.db", tick_clock=stamps) as till:
        does(till)
        assert [entry.tick for entry in till.outbox.next_batch(10, 1 << 20)] == [tick]


def test_the_tick_is_durable_and_the_same_at_every_resend(desk: Desk) -> None:
    add(desk.outbox, 1, Tick(OTHER_BOOT, 5))
    add(desk.outbox, 2, None)
    desk.connect()
    first = desk.post()
    desk.now += 60 * SECOND
    desk.sender.on_lost()
    assert desk.post() == first
    assert [(item.boot, item.tick_ms) for item in first] == [(OTHER_BOOT, 5), (UNSET, UNSET)]
    desk.outbox.new_lineage()
    assert [entry.tick for entry in desk.outbox.next_batch(10, 1 << 20)] == [Tick(OTHER_BOOT, 5), None]


# ticks of what is pending; the oldest one that is reported in BOOT
OLDEST = [
    ([], None),
    ([Tick(BOOT, 8)], 8),
    ([Tick(BOOT, 8), Tick(BOOT, 6), Tick(BOOT, 7)], 6),
    ([Tick(BOOT, 8), None], None),
    ([Tick(BOOT, 8), Tick(OTHER_BOOT, 3)], None),
    ([None], None),
]


@pytest.mark.parametrize(("ticks", "oldest"), OLDEST)
def test_the_oldest_tick_is_reported_where_all_that_is_pending_has_one_of_this_boot(
    desk: Desk, ticks: list[Tick | None], oldest: int | None
) -> None:
    for number, tick in enumerate(ticks, 1):
        add(desk.outbox, number, tick)
    assert desk.outbox.report(BOOT).oldest_tick_ms == oldest
    assert desk.outbox.report().oldest_tick_ms is None


# ---------------------------------------------------------------------------------- what is sent


def next_hello(desk: Desk) -> SendHello:
    assert isinstance(desk.later(), Connect)
    desk.sender.on_connected()
    action = desk.next()
    assert isinstance(action, SendHello)
    return action


def test_hello_ping_and_post_carry_the_tick_of_now(desk: Desk) -> None:
    first = next_hello(desk).params
    assert (first.boot, first.tick_ms) == desk.tick()
    desk.sender.on_hello(desk.hello_result())
    ping = desk.later()
    assert isinstance(ping, SendPing)
    assert (ping.params.boot, ping.params.tick_ms) == desk.tick()
    desk.sender.on_lost()
    add(desk.outbox, 1, desk.tick())
    hello = next_hello(desk).params
    assert (hello.boot, hello.tick_ms) == desk.tick()
    assert hello.outbox is not UNSET
    assert hello.outbox == desk.outbox.report(BOOT)


def test_an_hq_without_the_feature_is_sent_no_tick(desk: Desk) -> None:
    add(desk.outbox, 1, desk.tick())
    next_hello(desk)
    desk.sender.on_hello(structs.replace(desk.hello_result(), features=()))
    [item] = desk.post()
    assert (item.boot, item.tick_ms) == (UNSET, UNSET)


@pytest.mark.parametrize(
    ("code", "again"),
    [(ErrorCode.invalid_params, False), (ErrorCode.unsupported_protocol, False), (ErrorCode.busy, True)],
)
def test_an_older_hq_that_refuses_the_fields_is_greeted_without_a_tick(
    desk: Desk, code: ErrorCode, again: bool
) -> None:
    assert next_hello(desk).params.tick_ms is not UNSET
    desk.sender.on_error(RequestError(code, "refused", path="$.tick_ms"))
    assert (next_hello(desk).params.tick_ms is not UNSET) is again


# ---------------------------------------------------------------------------------- the machine's clock


def test_the_machines_clock_counts_from_its_boot() -> None:
    clock = machine_tick_clock()
    first, second = clock(), clock()
    assert first.boot == second.boot == machine_tick_clock()().boot
    assert 0 <= first.ms <= second.ms


@pytest.mark.parametrize("content", [None, "no uuid"])
def test_without_a_boot_id_the_clock_is_the_processs_own(tmp_path: Path, content: str | None) -> None:
    boot_id = tmp_path / "boot_id"
    if content is not None:
        boot_id.write_text(content)
    clock, other = machine_tick_clock(boot_id), machine_tick_clock(boot_id)
    assert clock().boot == clock().boot != other().boot
    assert clock().ms <= clock().ms
