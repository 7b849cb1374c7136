"""A PostgreSQL that is lost comes back as of any instant, and the tills bring what it then lacks.

What docs/operator.md tells operators to do is done here: a base backup while tills sell, an archive of the log,
a recovery to an instant in the middle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.store import open_store, upgrade
from inventory_server.store.ledger import tables
from pos_client import PosClient
from pos_client.protocol.address import Address
from tests.support.ledgers import proof_of
from tests.support.maintenance import read_ledger
from tests.support.postgres import Cluster, binaries
from tests.support.tills import FAST
from tests.support.waiting import HANG_SECONDS, wait_until

TILLS = 3
AT_LEAST = 20
"""Postings before the backup, between it and the instant, and after that."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(binaries() is None, reason="no PostgreSQL here; see tests/support/postgres.py"),
]


@pytest.fixture
def lost() -> Iterator[Cluster]:
    """A cluster that keeps an archive of its log beside its data."""
    keep = "test ! -f ../archive/%f && cp %p ../archive/%f"
    cluster = Cluster(durable=True, settings={"archive_mode": "on", "archive_command": keep})
    (cluster.folder / "archive").mkdir()
    (cluster.folder / "archive").chmod(0o777)
    with cluster:
        yield cluster


@contextmanager
def serving(url: str) -> Iterator[str]:
    """Headquarters on the ledger of `url`; its address."""
    store = open_store(url, Settings(), now_microseconds)
    application = Application(Settings(), store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    try:
        yield str(application.addresses[0])
    finally:
        application.stop()


@contextmanager
def selling(address: str, folder: Path) -> Iterator[None]:
    """Tills that sell one thing after another until the block ends, and have delivered it then."""
    over = threading.Event()
    delivered: list[str] = []

    def sell(number: int) -> None:
        with open_till(address, folder, number) as till:
            while not over.is_set():
                last = till.sell([(f"s{number}", 1), ("everybody's", 2)])
                last.wait(HANG_SECONDS)
            delivered.append(last.wait(HANG_SECONDS).status)

    threads = [threading.Thread(target=sell, args=(number,)) for number in range(TILLS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert delivered == ["posted"] * TILLS


def open_till(address: str, folder: Path, number: int) -> PosClient:
    outbox = folder / f"till{number}.db"
    return PosClient(address, terminal=f"T{number}", location=f"L{number % 2}", outbox=outbox, retry_policy=FAST)


def postings_in(url: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = read_ledger(
        url, lambda connection: list(map(tuple, connection.execute(select(tables.posting).order_by("position"))))
    )
    return found


def levels_in(url: str) -> dict[tuple[str, str], int]:
    level = tables.level.c
    rows = read_ledger(
        url, lambda connection: connection.execute(select(level.location, level.sku, level.on_hand)).all()
    )
    return {(row.location, row.sku): row.on_hand for row in rows}


def sell_more(url: str) -> None:
    """Wait until the ledger has grown."""
    enough = len(postings_in(url)) + AT_LEAST
    wait_until(lambda: len(postings_in(url)) >= enough)


def is_archived(cluster: Cluster) -> bool:
    """True once the log is archived up to now: to there the recovery can go."""
    [(name,)] = cluster.execute("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: (cluster.folder / "archive" / name).exists())
    return True


def test_a_recovery_to_an_instant_is_a_whole_ledger_and_tills_bring_the_rest(lost: Cluster, tmp_path: Path) -> None:
    url = lost.url(name := lost.database())
    upgrade(url)
    with serving(url) as address, selling(address, tmp_path):
        sell_more(url)
        backup = lost.back_up()
        sell_more(url)
        [(instant,)] = lost.execute("SELECT clock_timestamp()::text")
        sell_more(url)
    assert is_archived(lost)
    before, levels = postings_in(url), levels_in(url)
    lost.kill()

    recovery = {"restore_command": f"cp {lost.folder}/archive/%f %p", "recovery_target_time": instant}
    found = Cluster(durable=True, backup=backup, settings={**recovery, "recovery_target_action": "promote"})
    (found.data / "recovery.signal").touch()
    with found, ExitStack() as tills:
        url = found.url(name)
        kept = postings_in(url)
        assert 2 * AT_LEAST <= len(kept) <= len(before) - AT_LEAST
        assert kept == before[: len(kept)]
        assert [row[0] for row in kept] == list(range(1, len(kept) + 1))
        assert proof_of(url).findings == []

        with serving(url) as address:
            for number in range(TILLS):
                tills.enter_context(open_till(address, tmp_path, number))
            wait_until(lambda: len(postings_in(url)) == len(before))
        tills.close()
        after = postings_in(url)
        assert {(row[1], row[-1]) for row in after} == {(row[1], row[-1]) for row in before}
        assert levels_in(url) == levels
        assert proof_of(url).findings == []
