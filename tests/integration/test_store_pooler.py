"""Behind PgBouncer in transaction mode, two transactions of one server may meet two different connections.

Whatever a server keeps in a connection (prepared statements, settings, locks) is then somebody else's.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import URL, Engine, create_engine

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.store import open_store, upgrade
from inventory_server.store.database import postgresql
from pos_client import PosClient
from pos_client.protocol.address import Address
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import instant
from pos_client.protocol.wire import encode_body
from tests.faults.harness import checker
from tests.faults.harness.journal import Account
from tests.support.maintenance import verified
from tests.support.pgbouncer import PROGRAM, pooled
from tests.support.postgres import Cluster, binaries
from tests.support.waiting import HANG_SECONDS

pytestmark = [
    pytest.mark.skipif(binaries() is None, reason="no PostgreSQL here"),
    pytest.mark.skipif(PROGRAM is None, reason="no PgBouncer here: install Debian's pgbouncer"),
]

CONNECTIONS = 3
"""Fewer than the servers have, so that each is lent to many."""
SERVERS, TILLS, SALES = 2, 16, 15


@pytest.fixture
def database(postgres: Cluster) -> Iterator[str]:
    """The name of an empty database."""
    name = postgres.database()
    yield name
    postgres.drop(name)


@pytest.mark.long
def test_tills_at_two_servers_are_answered_and_stored_exactly_once(
    postgres: Cluster, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account()
    with pooled(postgres, CONNECTIONS) as port:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/{database}"
        sold = _trade(url, tmp_path, SALES)
        proof = verified(url)
    for body, id_, status in sold:
        account.expect(id_, body)
        account.answers[id_] = status
    query = "SELECT id, body, location, position, recorded_at FROM posting ORDER BY position"
    rows = [(UUID(bytes=row[0]), *row[1:]) for row in postgres.execute(query, database)]
    levels = postgres.execute("SELECT location, sku, on_hand FROM level", database)
    assert len(account.acknowledged) == len(rows) == TILLS * SALES
    assert checker.compare(rows, account, {}).is_clean
    assert not checker.differences({(row[0], row[1]): row[2] for row in levels}, checker.expected_levels(rows))
    assert proof.mismatches == 0
    assert _errors(caplog) == []


@pytest.mark.long
def test_a_server_that_prepared_its_statements_would_be_noticed(
    postgres: Cluster, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: tills send again until they are answered, so only the log tells."""

    def careless(url: URL, connect_args: dict[str, Any], **others: Any) -> Engine:
        return create_engine(url, connect_args=connect_args | {"prepare_threshold": 5}, **others)

    monkeypatch.setattr(postgresql, "create_engine", careless)
    with pooled(postgres, CONNECTIONS) as port:
        _trade(f"postgresql+psycopg://postgres@127.0.0.1:{port}/{database}", tmp_path, SALES)
        assert _errors(caplog)


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def _trade(url: str, folder: Path, sales: int) -> list[tuple[str, UUID, str]]:
    """Have all tills sell at two servers on a new ledger; what came of each sale."""
    upgrade(url)
    with ExitStack() as running:
        addresses = [running.enter_context(_server(url)) for _ in range(SERVERS)]
        with ThreadPoolExecutor(TILLS) as tills:
            sold = tills.map(lambda number: _sell(number, addresses[number % SERVERS], folder, sales), range(TILLS))
            return list(itertools.chain.from_iterable(sold))


@contextmanager
def _server(url: str) -> Iterator[str]:
    """A server on a ledger, in this process; yields its address."""
    settings = Settings(accept_weak_durability=True)
    application = Application(
        settings, open_store(url, settings, now_microseconds), [Address("127.0.0.1", 0)], dev=True
    )
    application.start()
    try:
        yield str(application.addresses[0])
    finally:
        application.stop()


def _sell(number: int, address: str, folder: Path, sales: int) -> list[tuple[str, UUID, str]]:
    """What one till has sold: the bytes, the id and the answer of each sale. It asks for stock in between."""
    sold: list[tuple[str, UUID, str]] = []
    location = f"s{number % 3}"
    with PosClient(address, terminal=f"t{number}", location=location, outbox=folder / f"{number}.db") as till:
        for sale in range(sales):
            lines = [Line(quantity=1, sku="milk"), Line(quantity=2, sku=f"sku-{sale % 4}")]
            at = instant(now_microseconds())
            body = Body("sale", at, lines, location=location, reference=f"{number}-{sale}")
            posting = till.post(body)
            status = posting.wait(timeout=HANG_SECONDS).status
            assert till.stock(["milk"]).items
            sold.append((encode_body(body).decode(), posting.id, status))
    return sold


@pytest.mark.parametrize(("threshold", "works"), [(None, True), (5, False)], ids=["never", "psycopg's default"])
def test_statements_prepared_in_the_server_get_mixed_up(
    threshold: int | None, works: bool, postgres: Cluster, database: str
) -> None:
    """The control: the same pooler and load break a client that prepares statements, and no other."""
    postgres.execute("CREATE TABLE trade (kind text, number int)", database)

    def trade(client: int) -> int:
        kind, failed = ("sale", "purchase")[client % 2], 0
        with psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", dbname=database, prepare_threshold=threshold
        ) as connection:
            for number in range(40):
                try:
                    connection.execute(f"INSERT INTO trade VALUES ('{kind}', %s)".encode(), [1000 * client + number])
                    connection.commit()
                except psycopg.DatabaseError:
                    connection.rollback()
                    failed += 1
        return failed

    with pooled(postgres, CONNECTIONS) as port, ThreadPoolExecutor(12) as clients:
        failed = sum(clients.map(trade, range(12)))
    mixed_up = postgres.execute("SELECT 1 FROM trade WHERE (kind = 'sale') <> (number / 1000 % 2 = 0)", database)
    assert (failed + len(mixed_up) == 0) == works
