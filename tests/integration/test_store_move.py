"""A ledger is moved between databases without losing or changing anything, and a difference is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from inventory_server.config import Settings
from inventory_server.domain.changes import Enrol, EnrolmentCode
from inventory_server.domain.people import AddUser
from inventory_server.domain.product import Product
from inventory_server.domain.requests import (
    AdoptTerminal,
    ImportProducts,
    ListAudit,
    MarkMoved,
    MergeProducts,
    MoveTerminal,
    ShowOverview,
    UnmarkMoved,
)
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import StoreError, StoreInUse, lasting_url, shown
from inventory_server.store.admin import copy
from inventory_server.store.database.postgresql import Postgresql
from inventory_server.store.ledger import tables
from inventory_server.store.ledger.sql import Insert, run
from pos_client.protocol.errors import RequestError
from tests.support import maintenance
from tests.support.busyday import GTIN, trade
from tests.support.commands import Done, Shell
from tests.support.ledgers import NOON, Till, body, history, level, opened, proof_of, stock, uid
from tests.support.maintenance import read_ledger
from tests.support.sites import PostgresSite, Site, SqliteSite

HANGS_UP = "SELECT pg_terminate_backend(pg_backend_pid())"
WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite"), ("postgresql", "postgresql")]


@pytest.fixture
def sites(sqlite_site: SqliteSite, postgres_site: PostgresSite) -> dict[str, Site]:
    return {"sqlite": sqlite_site, "postgresql": postgres_site}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "COPY_ROWS", 2)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a ledger, read in another way than `move` reads it."""

    def read(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted(map(tuple, connection.execute(select(*_kept(table)))), key=repr)
            for table in tables.metadata.sorted_tables
        }

    found: dict[str, list[tuple[Any, ...]]] = read_ledger(url, read)
    return found


def trade_and_merge(place: Path | str) -> None:
    """A busy day, at the end of which two products are merged, a till moves and adopts another."""
    trade(place)
    with opened(place) as store:
        of_six = Product("b", barcodes=("00000040000015",), packs={"00000040000015": 6})
        for change in (
            ImportProducts([of_six], columns=("sku", "barcode", "barcode_units"), actor=HEADQUARTERS),
            MergeProducts("unlisted", "b", actor=HEADQUARTERS),
            MoveTerminal("T2", "L3", actor=HEADQUARTERS),
            AdoptTerminal("T1", "T2", actor=HEADQUARTERS),
            Enrol("T3", "till", "L3", code=EnrolmentCode(b"salt", b"key", 2**62), actor=HEADQUARTERS),
            AddUser("kim", "admin", b"key", 2**62, actor=HEADQUARTERS),
        ):
            store.submit(change).wait()


def _kept(table: Table) -> list[Any]:
    return [column for column in table.columns if column.name not in ("stamp", "moved_to")]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("source", "target"), WAYS)
def test_a_ledger_of_all_types_is_moved_as_it_is(sites: dict[str, Site], source: str, target: str) -> None:
    one, other = sites[source].filled(trade_and_merge), sites[target].new()
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
    "a row more": ("INSERT INTO location (location) VALUES ('L3')", {"location"}),
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


# ---------------------------------------------------------------------------------- the mark of a move


def moved(shell: Shell, one: str, other: str) -> Done:
    """`db copy --move`, as an operator types it."""
    return shell("inventory-server", "db", "copy", "--from", one, "--to", other, "--move")


@pytest.mark.parametrize(("source", "target"), WAYS[:2])
def test_a_moved_ledger_is_not_served_and_the_tills_go_on_at_the_copy(
    sites: dict[str, Site], shell: Shell, source: str, target: str
) -> None:
    one, other = sites[source].filled(trade), sites[target].new()
    with opened(one) as store:
        before = Till(store, "T1").welcome
    done = moved(shell, one, other)
    assert done.code == 0
    assert done.out.splitlines()[-1].endswith(f"To undo: inventory-server db unmove --db {shown(one)}")
    for refused in (
        shell("inventory-server", "serve", "--db", one),
        shell("inventory-server", "db", "close", "--db", one),
    ):
        assert refused.code == 2
        assert (
            f"was moved to {lasting_url(other)}; serve that one. To undo the move: inventory-server db unmove"
            in refused.err
        )
    assert "moved to" in shell("inventory-server", "status", "--db", one).out
    assert maintenance.ask(one, ShowOverview()).moved_to == lasting_url(other)
    assert maintenance.ask(other, ShowOverview()).moved_to is None
    assert maintenance.compare(one, other).is_equal
    with opened(other) as store:
        till = Till(store, "T1")
        assert (till.welcome.parent, till.welcome.acked_seq) == (before.parent, before.acked_seq)
        answer = till.post(body("sale", ("a", 1), at=NOON + 9 * 3_600_000_000))
        assert ([result.status for result in answer.results], answer.holes) == (["posted"], [])
    assert proof_of(other).findings == []
    assert [entry.request for entry in maintenance.ask(other, ListAudit())][-1] == "move"


def test_a_ledger_moves_once(sites: dict[str, Site], shell: Shell) -> None:
    site = sites["sqlite"]
    one, other, third = site.filled(trade), site.new(), site.new()
    assert moved(shell, one, other).code == 0
    for mistake in (("--from", one, "--to", third), ("--from", one, "--to", third, "--move")):
        done = shell("inventory-server", "db", "copy", *mistake)
        assert (done.code, f"was moved to {other}; serve that one" in done.err) == (2, True)
    assert maintenance.ask(third, ShowOverview()).position == 0
    again = moved(shell, one, other)  # as after a crash; the copy is in use by now
    assert (again.code, "holds a ledger already" in again.err) == (2, True)
    assert maintenance.ask(one, ShowOverview()).moved_to == lasting_url(other)


def test_a_move_that_fails_leaves_the_ledger_in_service(sites: dict[str, Site], shell: Shell) -> None:
    one, other = sites["sqlite"].filled(trade), sites["sqlite"].new()
    with opened(other) as store:
        Till(store)
    assert "holds a ledger already" in moved(shell, one, other).err
    assert "name another database" in moved(shell, one, one).err
    with opened(one):
        assert "A server runs on this ledger" in moved(shell, one, other).err
    with opened(one) as store:
        assert Till(store, "T1").posts(body("sale", ("a", 1))).status == "posted"
    assert [entry.request for entry in maintenance.ask(one, ListAudit())][-2:] == ["move", "unmove"]


def test_a_move_that_was_interrupted_goes_on(sites: dict[str, Site], shell: Shell) -> None:
    one, other = sites["sqlite"].filled(trade), sites["sqlite"].new()
    maintenance.change(one, MarkMoved(lasting_url(other)))
    assert moved(shell, one, other).code == 0


def test_a_move_is_undone(sites: dict[str, Site], shell: Shell) -> None:
    one, other = sites["sqlite"].filled(trade), sites["sqlite"].new()
    moved(shell, one, other)
    done = shell("inventory-server", "db", "unmove", "--db", one)
    assert (done.code, done.out) == (0, f"{one} may be served again. Never serve {other} as well.\n")
    with opened(one) as store:
        assert Till(store, "T1").posts(body("sale", ("a", 1))).status == "posted"
    assert "was not moved; it may be served" in shell("inventory-server", "db", "unmove", "--db", one).err


def test_a_server_that_still_runs_posts_nothing_more(sites: dict[str, Site]) -> None:
    one, other = sites["postgresql"].filled(trade), sites["postgresql"].new()
    with opened(one, settings=Settings(commit_retry_seconds=0)) as store:
        till = Till(store, "T1")
        maintenance.change(one, MarkMoved(lasting_url(other)))
        with pytest.raises(RequestError, match="nothing was posted"):
            till.posts(body("sale", ("a", 1)), uid("meanwhile"))
        maintenance.change(one, UnmarkMoved())
        assert till.posts(body("sale", ("a", 1)), uid("meanwhile")).status == "posted"


def test_no_password_is_in_the_mark() -> None:
    assert lasting_url("postgresql+psycopg://kim:secret@db/stock") == "postgresql+psycopg://kim:***@db/stock"
