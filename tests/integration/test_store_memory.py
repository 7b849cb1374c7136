"""A writer remembers what its last commit left, and never more than still holds."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from inventory_server.config import Settings
from inventory_server.domain.door import Outcome
from inventory_server.domain.product import Product
from inventory_server.domain.requests import Hello, Post, TerminalRequest, Welcome
from inventory_server.domain.roles import Speaker
from inventory_server.store import LedgerStore, open_store
from inventory_server.store.admin.catalog import import_products
from inventory_server.store.admin.terminals import revoke_terminal
from inventory_server.store.database.url import database_of
from inventory_server.store.ledger import sql, tables
from inventory_server.store.write import cache
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import PostResult
from tests.support.ledgers import NOON, Clock, Till, body, item, level, opened, proof_of, uid, url_of
from tests.support.maintenance import administer

LINEAGE = uid("lineage")


@pytest.fixture
def engine(ledger: str) -> Iterator[Engine]:
    engine = database_of(ledger).writing_engine()
    yield engine
    engine.dispose()


def writer(engine: Engine) -> Callable[[TerminalRequest], Outcome | RequestError]:
    """A server's write path, as there are several on one database of PostgreSQL."""
    written = CommitJudge(Settings(), Clock())

    def commit(work: TerminalRequest) -> Outcome | RequestError:
        with engine.begin() as connection:
            (outcome,) = written.carry_out(connection, [work])
        return outcome

    return commit


def hello(commit: Callable[[TerminalRequest], Any]) -> Speaker:
    welcome = commit(Hello("T1", None, True, "L1", LINEAGE, None, None))
    assert isinstance(welcome, Welcome)
    return welcome.speaker


def sale(speaker: Speaker, seq: int) -> Post:
    return Post(speaker, [item(body("sale", ("a", 1)), uid(seq), seq)], None)


def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    run = sql.run

    def run_(connection: Connection, text: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        seen.append(" ".join(text.split()))
        return run(connection, text, parameters)

    monkeypatch.setattr(sql, "run", run_)
    return seen


def test_what_the_last_commit_left_is_not_asked_for_again(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(ledger) as store:
        till = Till(store)
        till.posts(body("sale", ("a", 1)))
        seen = statements(monkeypatch)
        till.posts(body("sale", ("a", 1)))
    read = {table.name for table in tables.metadata.sorted_tables for text in seen if f"JOIN {table.name} " in text}
    assert read.isdisjoint({"terminal", "lineage", "level"})
    assert "identity" in read


def test_what_another_writer_has_committed_is_seen(ledger: str, engine: Engine) -> None:
    one, other = writer(engine), writer(engine)
    speaker = hello(one)
    for seq, commit in enumerate((one, other, one, other, other, one), 1):
        assert isinstance(commit(sale(speaker, seq)), PostResult)
    fencing = hello(other)
    fenced = one(sale(speaker, 7))
    assert isinstance(fenced, RequestError)
    assert fenced.code is ErrorCode.fenced
    assert isinstance(one(sale(fencing, 7)), PostResult)
    with engine.connect() as connection:
        assert connection.execute(select(tables.level.c.on_hand)).scalar_one() == -700_000
        assert connection.execute(select(tables.lineage.c.acked_seq)).scalar_one() == 7
    assert proof_of(ledger).findings == []


def test_an_administrators_change_is_seen(ledger: str) -> None:
    with opened(ledger) as store:
        till = Till(store)
        till.posts(body("sale", ("a", 1)))
        administer(store, lambda connection: revoke_terminal(connection, "T1", NOON))
        with pytest.raises(RequestError) as refused:
            till.posts(body("sale", ("a", 1)))
    assert refused.value.code is ErrorCode.forbidden


def test_what_was_rolled_back_is_forgotten(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(ledger) as store:
        till = Till(store)
        till.posts(body("sale", ("a", 1)))
        with monkeypatch.context() as patch:
            patch.setattr(WorkingSet, "flush", _flushes_and_fails)
            with pytest.raises(ZeroDivisionError):
                till.posts(body("sale", ("a", 1)), uid("again"))
        assert till.posts(body("sale", ("a", 1)), uid("again")).status == "posted"
        assert level(store).on_hand == -2
    assert proof_of(ledger).findings == []


_flush = WorkingSet.flush


def _flushes_and_fails(batch: WorkingSet) -> None:
    _flush(batch)
    raise ZeroDivisionError


def test_past_the_limit_it_forgets_and_asks_anew(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "WRITER_CACHE_ROWS_MAX", 2)
    with opened(ledger) as store:
        till = Till(store)
        for sku in "abcabcaab":
            till.posts(body("sale", (sku, 1)))
        assert len(store._writer._judge._cache.levels) <= 3
        assert [level(store, sku).on_hand for sku in "abc"] == [-4, -3, -2]
    assert proof_of(ledger).findings == []


@pytest.fixture
def stocked(tmp_path: Path) -> Path:
    """A ledger with a listed product, one that is not, and what is on hand of both."""
    path = tmp_path / "stocked.db"
    with opened(path) as store:
        administer(store, lambda connection: import_products(connection, [Product("listed")]))
        till = Till(store)
        till.posts(body("receipt", ("listed", 5)))
        till.posts(body("receipt", ("unlisted", 7)))
    return path


@contextmanager
def preloaded(path: Path) -> Iterator[LedgerStore]:
    """As a server opens it."""
    with closing(open_store(url_of(path), Settings(), Clock(), preload=True)) as store:
        yield store


def test_a_server_that_has_read_all_beforehand_decides_as_any_other(
    stocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with preloaded(stocked) as store:
        till = Till(store)
        seen = statements(monkeypatch)
        flags = [till.posts(body("sale", (sku, 6)), uid(sku)).flags for sku in ("listed", "unlisted", "new")]
        read = [text for text in seen if "JOIN level " in text or "JOIN product " in text]
        assert flags == [("negative_stock",), ("unlisted_product",), ("unlisted_product", "negative_stock")]
        assert [level(store, sku).on_hand for sku in ("listed", "unlisted", "new")] == [-1, 1, -6]
    assert len(read) <= 2, read  # of the new product alone
    assert proof_of(url_of(stocked)).findings == []


def test_what_is_listed_later_is_known_although_all_was_read_beforehand(stocked: Path) -> None:
    with preloaded(stocked) as store:
        till = Till(store)
        administer(store, lambda connection: import_products(connection, [Product("unlisted")]))
        assert till.posts(body("sale", ("unlisted", 1))).flags == ()


@pytest.mark.parametrize("most", [0, 1])
def test_more_than_fits_is_read_when_it_is_needed(stocked: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(cache, "PRELOADED_ROWS_MAX", most)
    with preloaded(stocked) as store:
        till = Till(store)
        assert not store._writer._judge._cache.levels
        assert till.posts(body("sale", ("listed", 1))).flags == ()
        assert level(store, "listed").on_hand == 4
