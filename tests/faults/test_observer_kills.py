"""The observer killed -9 twenty times while sales cross reorder points: each alert is opened once and delivered."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from inventory_server.domain.requests import Verify
from inventory_server.domain.roles import HEADQUARTERS
from tests.support.observed import Shop, hook_file, shop_served
from tests.support.processes import argv, environment
from tests.support.receiver import Receiver, receiving
from tests.support.sites import Site
from tests.support.waiting import wait_until

KILLS = 20


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def started(shop: Shop, targets: Path, log: Path) -> subprocess.Popen[bytes]:
    command = argv("inventory-server", "observe", "--db", shop.url, "--targets", targets)
    with log.open("ab") as written:
        return subprocess.Popen(command, env=environment(), stdout=written, stderr=written)


def kill_while_selling(shop: Shop, receiver: Receiver, number: int, skus: list[str]) -> None:
    """Sell, and return at the moment of the kill: an alert opened, an event on the way, or one that was taken."""
    before, rows, taken = len(receiver.received), len(shop.alerts()), _taken(shop)
    if number % 3 == 1:
        receiver.hold.clear()
    for sku in skus:
        shop.sell(sku)
    match number % 3:
        case 0:
            wait_until(lambda: len(shop.alerts()) > rows)
        case 1:
            wait_until(lambda: len(receiver.received) > before)
        case _:
            wait_until(lambda: _taken(shop) > taken)


def _taken(shop: Shop) -> int:
    return sum(each.delivered for each in shop.observer().targets)


@pytest.mark.long
def test_every_alert_is_opened_once_and_delivered_under_one_id(site: Site, tmp_path: Path, receiver: Receiver) -> None:
    log = tmp_path / "observer.log"
    with shop_served(site.new(), products=3 * KILLS) as shop:
        targets = hook_file(tmp_path, receiver.url)
        for number in range(KILLS):
            last = shop.observer().owner
            process = started(shop, targets, log)
            try:
                wait_until(lambda: shop.observer().owner != last)  # noqa: B023 (called before the next round)
                kill_while_selling(shop, receiver, number, shop.skus[3 * number : 3 * number + 3])
            finally:
                process.kill()
                process.wait()
                receiver.hold.set()
        process = started(shop, targets, log)
        try:
            wait_until(lambda: len(shop.alerts()) == len(shop.skus))
            wait_until(lambda: not sum(each.waiting for each in shop.observer().targets))
        finally:
            process.terminate()
            assert process.wait() == 0
        alerts = shop.alerts()
        assert shop.store.ask(Verify(actor=HEADQUARTERS)).holds
    assert sorted(each.subject for each in alerts) == shop.skus
    bodies = defaultdict(set)
    for received in receiver.received:
        bodies[received.id].add(received.body)
    assert set(bodies) == {f"alert-{each.number}-{each.opened_at}-opened" for each in alerts}
    assert all(len(of_id) == 1 for of_id in bodies.values())
    assert len(receiver.received) > len(alerts), "no kill has met an event on its way"
