"""Tills against the real server: the figures are right, the control totals balance, whatever was cut between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.store import open_store
from pos_client import ConnectionLost, PosClient, request_once
from pos_client.protocol.address import Address
from pos_client.till.clock import wall_clock
from tests.support.tills import FAST
from tests.support.waiting import HANG_SECONDS, wait_until


class Headquarters:
    """A server that can be stopped and started again on the same port and ledger."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._port = 0
        self.start()

    def start(self) -> None:
        settings = Settings(accept_weak_durability=True)
        store = open_store(self._url, settings, now_microseconds)
        self._application = Application(settings, store, [Address("127.0.0.1", self._port)], dev=True)
        self._application.start()
        self._port = self._application.addresses[0].port

    def stop(self) -> None:
        self._application.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"


@pytest.fixture
def headquarters(ledger: str) -> Iterator[Headquarters]:
    started = Headquarters(ledger)
    yield started
    started.stop()


def open_till(headquarters: Headquarters, outbox: Path, terminal: str = "T1") -> PosClient:
    return PosClient(headquarters.address, terminal=terminal, outbox=outbox, location="S1", retry_policy=FAST)


def test_a_till_whose_clock_is_an_hour_slow_sells_after_the_count(headquarters: Headquarters, tmp_path: Path) -> None:
    slow = lambda: wall_clock() - 3_600_000_000  # noqa: E731
    with (
        open_till(headquarters, tmp_path / "till.db") as counting,
        PosClient(headquarters.address, terminal="T2", outbox=tmp_path / "slow.db", location="S1", clock=slow) as till,
    ):
        counting.count([("milk", 50)]).wait(HANG_SECONDS)
        assert "clock_corrected" in till.sell([("milk", 30)]).wait(HANG_SECONDS).flags


def assert_lists(till: PosClient) -> None:
    """What a till is told of the day below by each list."""
    [found] = till.postings(reference="R-1", type="sale").postings
    assert [line.sku for line in found.lines] == ["milk", "ham"]
    page = till.postings(limit=1, since=datetime.now(UTC).date() - timedelta(days=1))
    assert till.postings(limit=1, cursor=page.cursor).postings[0].position == page.postings[0].position - 1
    assert [count.sku for count in till.counts(["ham"], off=True, locations=["S1"]).counts] == ["ham"]
    assert [(each.sku, each.left) for each in till.transfers().transfers] == [("milk", 10)]
    assert till.reservations(["milk"]).reservations == []
    assert {each.sku: each.returned for each in till.sales(until=datetime.now(UTC)).sales} == {"milk": 1, "ham": 0}
    assert {each.sku for each in till.changes(0).changes} == {"milk", "ham"}
    assert till.changes(1, 1, ["milk"], locations=["S1"]).changes == []
    assert {cause.flag for cause in till.exceptions(flag="over_received").causes} == {"over_received"}


def test_a_day_of_every_kind_of_posting_balances_at_the_goodbye(headquarters: Headquarters, tmp_path: Path) -> None:
    with open_till(headquarters, tmp_path / "till.db") as till:
        till.receive([("milk", 100), ("ham", "2.5")])
        sale = till.sell([("milk", 2), ("ham", "0.35")], reference="R-1")
        till.void(till.sell([("milk", 50)]))
        till.return_([("milk", 1)])
        till.adjust([("milk", -3)], reason="broken")
        till.transfer_out([("milk", 10)], to="S2")
        till.transfer_in([("milk", 4)], from_="S2")
        kept = till.reserve([("milk", 6)])
        till.release([("milk", 2)], reservation=kept.id)
        till.sell([("milk", 4)], reservation=kept.id)
        till.count([("ham", 2)])
        last = till.sell([("ham", "0.5")])
        assert last.wait(HANG_SECONDS).status == "posted"
        levels = {item.sku: item for item in till.stock(["milk", "ham"], locations=["S1"]).items}
        assert (levels["milk"].on_hand, levels["milk"].reserved) == (86, 0)
        assert str(levels["ham"].on_hand) == "1.5"
        assert [entry.reference for entry in till.history("ham").entries].count("R-1") == 1
        assert till.posting(sale.id).status == "posted"
        assert_lists(till)
        goodbye = till.bye(timeout=HANG_SECONDS)
        assert (goodbye.status, goodbye.missing) == ("balanced", [])
    asked = request_once(headquarters.address, "stock", {"sku": "milk", "location": "S1"}, terminal="office")
    assert asked["items"][0]["on_hand"] == 86


def test_a_server_that_is_restarted_in_the_middle_of_the_day_misses_nothing(
    headquarters: Headquarters, tmp_path: Path
) -> None:
    with open_till(headquarters, tmp_path / "till.db") as till:
        for part in range(4):
            for _ in range(40):
                till.sell([("milk", 1)])
            if part % 2:
                headquarters.stop()
                headquarters.start()
        assert till.bye(timeout=HANG_SECONDS).status == "balanced"
        assert till.stock(["milk"], locations=["S1"]).items[0].on_hand == -160


def test_one_id_with_two_contents_is_parked_and_reported(headquarters: Headquarters, tmp_path: Path) -> None:
    shared = UUID("01920000-0000-7000-8000-000000000001")
    with (
        open_till(headquarters, tmp_path / "a.db", "A") as first,
        open_till(headquarters, tmp_path / "b.db", "B") as other,
    ):
        assert first.sell([("milk", 1)], id=shared).wait(HANG_SECONDS).status == "posted"
        result = other.sell([("milk", 2)], id=shared).wait(HANG_SECONDS)
        assert result.status == "conflict"
        assert [parked.id for parked in other.outbox.parked()] == [shared]
        assert other.bye(timeout=HANG_SECONDS).status == "balanced"


def test_the_image_of_a_till_restored_on_new_hardware_sends_the_same_ids_in_a_new_lineage(
    headquarters: Headquarters, tmp_path: Path
) -> None:
    image = tmp_path / "image.db"
    with open_till(headquarters, image) as till:
        till.sell([("milk", 1)]).wait(HANG_SECONDS)
    saved = image.read_bytes()
    with open_till(headquarters, image) as till:
        till.sell([("milk", 1)]).wait(HANG_SECONDS)
        lineage = till.outbox.lineage
    for suffix in ("", "-wal", "-shm"):
        image.with_name(image.name + suffix).unlink(missing_ok=True)
    image.write_bytes(saved)
    with open_till(headquarters, image) as till:
        assert till.sell([("milk", 1)]).wait(HANG_SECONDS).status == "posted"
        assert till.outbox.lineage != lineage
        assert till.stock(["milk"], locations=["S1"]).items[0].on_hand == -3
        assert till.bye(timeout=HANG_SECONDS).status == "balanced"


def test_while_the_server_is_stopped_asking_says_so_and_selling_goes_on(
    headquarters: Headquarters, tmp_path: Path
) -> None:
    with open_till(headquarters, tmp_path / "till.db") as till:
        headquarters.stop()
        with pytest.raises(ConnectionLost):
            till.stock(["milk"], timeout=0.3)
        sold = till.sell([("milk", 1)])
        headquarters.start()
        assert sold.wait(HANG_SECONDS).status == "posted"
        wait_until(lambda: till.status().connected)
