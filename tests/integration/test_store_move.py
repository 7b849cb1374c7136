"""A ledger is moved between databases without losing or changing anything, and a difference is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from inventory_server.store import StoreError, StoreInUse
from inventory_server.store.admin import copy
from inventory_server.store.database.postgresql import Postgresql
from inventory_server.store.ledger import tables
from inventory_server.store.ledger.sql import Insert, run
from tests.support import maintenance
from tests.support.busyday import GTIN, trade
from tests.support.ledgers import NOON, Till, body, history, level, opened, proof_of, stock, uid
from tests.support.maintenance import read_ledger
from tests.support.postgres import Cluster
from tests.support.sites import PostgresSite, Site, SqliteSite

HANGS_UP = "SELECT pg_terminate_backend(pg_backend_pid())"
WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite"), ("postgresql", "postgresql")]


@pytest.fixture(scope="module")
def _sites(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Site]:
    return {"sqlite": SqliteSite(tmp_path_factory.mktemp("site")), "postgresql": PostgresSite(postgres)}


@pytest.fixture
def sites(_sites: dict[str, Site]) -> Iterator[dict[str, Site]]:
    yield _sites
    for site in _sites.values():
        site.clear()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "COPY_ROWS", 2)


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a ledger, read in another way than `move` reads it."""

    def read(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted(map(tuple, connection.execute(select(*_kept(table)))), key=repr)
            for table in tables.metadata.sorted_tables
        }

    found: dict[str, list[tuple[Any, ...]]] = read_ledger(url, read)
    return found


def _kept(table: Table) -> list[Any]:
    return [column for column in table.columns if column.name != "stamp"]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("source", "target"), WAYS)
def test_a_ledger_of_all_types_is_moved_as_it_is(sites: dict[str, Site], source: str, target: str) -> None:
    one, other = sites[source].filled(trade), sites[target].new()
    told: list[tuple[int, int]] = []
    comparison = maintenance.copy(one, other, lambda *done: told.append(done))
    assert comparison.is_equal
    before = rows_of(one)
    assert rows_of(other) == before
    of_years = {"segment", "closing", "balance", "straggler"} | {name for name in before if name.startswith("archive")}
    assert all(before[name] for name in set(before) - of_years), "the day is not busy enough"
    assert {pair.table: pair.one.rows for pair in comparison.pairs} == {
        name: len(found) for name, found in before.items()
    }
    assert told[-1] == (2 * sum(map(len, before.values())),) * 2
    assert proof_of(other).findings == []
    assert maintenance.compare(one, other).is_equal


@pytest.mark.parametrize(("source", "target"), WAYS[:2])
def test_tills_go_on_and_nothing_is_doubled(sites: dict[str, Site], source: str, target: str) -> None:
    one, other = sites[source].filled(trade), sites[target].new()
    resent = [
        (body("sale", ("b", 3), at=NOON + 2 * 3_600_000_000), uid("voided")),
        (body("void", voids=uid("void")), uid("refused")),
    ]
    with opened(one) as store:
        before = [Till(store, "T1").posts(raw, id_) for raw, id_ in resent]
        entries = history(store, "a").entries
        items = stock(store).items
    assert [result.status for result in before] == ["duplicate", "rejected"]
    maintenance.copy(one, other)
    with opened(other) as store:
        till = Till(store, "T1")
        assert [till.posts(raw, id_) for raw, id_ in resent] == before
        assert history(store, "a").entries == entries
        assert stock(store).items == items
        assert till.posts(body("sale", (f"gtin:{GTIN}", 1), at=NOON + 8 * 3_600_000_000)).status == "posted"
        assert (
            level(store).on_hand == next(item.on_hand for item in items if (item.sku, item.location) == ("a", "L1")) - 1
        )
    assert proof_of(other).findings == []


FLIPS = {
    "a level": ("UPDATE level SET on_hand = on_hand + 1 WHERE sku = 'a' AND location = 'L1'", {"level"}),
    "a byte": ("UPDATE posting SET digest = x'00' WHERE position = 3", {"posting"}),
    "a text": ("UPDATE product SET name = 'apple' WHERE sku = 'a'", {"product"}),
    "nothing where something was": ("UPDATE product SET unit = NULL WHERE sku = 'a'", {"product"}),
    "a row less": ("DELETE FROM movement WHERE position = 6", {"movement"}),
    "a row more": ("INSERT INTO location VALUES ('L3')", {"location"}),
    "the head": ("UPDATE ledger SET recorded_at = 7", {"ledger"}),
}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
@pytest.mark.parametrize(("statement", "expected"), FLIPS.values(), ids=FLIPS)
def test_a_flipped_value_is_found(sites: dict[str, Site], kind: str, statement: str, expected: set[str]) -> None:
    one = sites["sqlite"].filled(trade)
    other = sites[kind].new()
    maintenance.copy(one, other)
    sites[kind].execute(other, statement)
    comparison = maintenance.compare(one, other)
    assert {pair.table for pair in comparison.pairs if not pair.is_equal} == expected


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_target_in_which_something_happened_is_refused(sites: dict[str, Site], kind: str) -> None:
    one, other = sites["sqlite"].filled(trade), sites[kind].new()
    with opened(other) as store:
        Till(store)
    before = rows_of(other)
    with pytest.raises(StoreError, match=r"holds a ledger already \(there is something in .*\); name an empty one"):
        maintenance.copy(one, other)
    assert rows_of(other) == before
    sites[kind].execute(other, *(f'DELETE FROM "{name}"' for name in before if name != "ledger"))
    sites[kind].execute(other, "UPDATE ledger SET position = 1")
    with pytest.raises(StoreError, match="there is something in ledger"):
        maintenance.copy(one, other)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_breaks_off_leaves_the_target_empty(
    sites: dict[str, Site], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sites["sqlite"].filled(trade), sites[kind].new()
    before, written = rows_of(other), Insert.__call__

    def lossy(self: Insert, connection: Any, rows: Any) -> None:
        most = len(rows) if self._table is tables.product else max(1, len(rows) - 1)  # others refer to products
        written(self, connection, [row for row in rows if row[0] != "unlisted"][:most])

    with monkeypatch.context() as patch:
        patch.setattr(Insert, "__call__", lossy)
        with pytest.raises(StoreError, match=r"does not return what was written to it \(.*posting.*\); the copy"):
            maintenance.copy(one, other)
    assert rows_of(other) == before
    assert maintenance.copy(one, other).is_equal


@pytest.mark.usefixtures("small_pages")
def test_a_complaint_names_the_database_that_it_is_about(sites: dict[str, Site]) -> None:
    one, other = sites["sqlite"].filled(trade), sites["postgresql"].new()
    path = Path(one.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'movement'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : (root - 1) * size + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged") as caught:
        maintenance.copy(one, other)
    assert str(caught.value).startswith(str(path))


def test_what_postgresql_cannot_hold_is_refused(sites: dict[str, Site]) -> None:
    one, other = sites["sqlite"].filled(trade), sites["postgresql"].new()
    sites["sqlite"].execute(one, "UPDATE level SET on_hand = 'many' WHERE sku = 'a'")
    with pytest.raises(
        StoreError, match=r"ledger\d+.db has a value that postgresql.* cannot store \(.*\); find it with: .* verify"
    ):
        maintenance.copy(one, other)


@pytest.mark.long
def test_a_target_that_is_lost_half_way_says_so(sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = sites["sqlite"].filled(trade), sites["postgresql"].new()
    monkeypatch.setattr(Postgresql, "hold", lambda _, connection: run(connection, HANGS_UP, ()))
    with pytest.raises(StoreError, match=r"cannot be opened: (the connection is lost|terminating connection)"):
        maintenance.copy(one, other)
    assert not any(rows_of(other)[name] for name in ("posting", "movement", "level"))


def test_a_ledger_that_is_served_is_not_moved(sites: dict[str, Site]) -> None:
    one, other = sites["sqlite"].filled(trade), sites["sqlite"].new()
    with opened(one), pytest.raises(StoreInUse, match="A server runs on this ledger"):
        maintenance.copy(one, other)
    with opened(other), pytest.raises(StoreInUse, match="A server runs on this ledger"):
        maintenance.copy(one, other)
