"""What cannot be answered or done without what is in the archive is said, and nothing is half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, make_url, select

from inventory_server.config import ARCHIVE_SCHEMA
from inventory_server.domain.requests import ListAudit
from inventory_server.store import StoreError, upgrade
from inventory_server.store.growth import archive as archiving
from inventory_server.store.growth import closing, partition
from inventory_server.store.ledger import tables
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import PostingResult
from pos_client.protocol.units import instant
from tests.support.ledgers import (
    HOUR,
    NOON,
    Clock,
    Till,
    body,
    enrol,
    hello,
    history,
    item,
    level,
    opened,
    outcome_of,
    pages_of_history,
    post,
    proof_of,
    stock,
    uid,
)
from tests.support.maintenance import archive, ask, bring_back, close_books, compare, copy, read_ledger
from tests.support.partitions import POSITIONS, partitions_of, small
from tests.support.postgres import binaries
from tests.support.sites import PostgresSite
from tests.support.twins import Sent, Twins, send


@pytest.fixture(autouse=True)
def short_closings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "SEGMENTS_MAX", 1)


@pytest.fixture
def site(postgres_site: PostgresSite) -> PostgresSite:
    return postgres_site


@pytest.fixture
def twins(site: PostgresSite) -> Twins:
    return Twins.of(site, 1)


def refusal(question: Callable[[], Any]) -> str:
    error = outcome_of(question)
    assert isinstance(error, RequestError | StoreError), error
    assert not isinstance(error, RequestError) or error.code is ErrorCode.not_found
    return str(error)


# ---------------------------------------------------------------------------------- what is asked


def test_a_look_back_into_the_archive_is_told_where_that_ends(twins: Twins) -> None:
    before = instant(twins.until - 1)
    views: list[dict[str, Any]] = [{"as_of": before}, {"known_at": twins.position - 1}, {"known_at": before}]
    views += [{"as_of": before, "known_at": 4_000}, {"as_of": instant(twins.until), "known_at": twins.position - 1}]
    with opened(twins.archived, twins.trade.clock) as store:
        for view in views:
            said = refusal(lambda view=view: stock(store, **view))  # type: ignore[misc]
            assert f"up to {instant(twins.until).isoformat()}, position {twins.position}, is in the archive" in said


def test_history_goes_back_to_the_archive(twins: Twins) -> None:
    clock = twins.trade.clock
    with opened(twins.whole, clock) as whole, opened(twins.archived, clock) as archived:
        assert "is in the archive" in refusal(lambda: history(archived, "a"))
        assert "is in the archive" in refusal(lambda: history(archived, "a", from_=instant(twins.until - HOUR)))
        since = {"from_": instant(twins.until + 4 * HOUR)}  # no clock was further ahead
        assert history(archived, "a", **since, limit=50) == history(whole, "a", **since, limit=50)
        page = history(whole, "a", limit=10_000)
        kept = [entry for entry in page.entries if entry.position > twins.position]
        cursor = history(whole, "a", limit=len(page.entries) - len(kept) + 1).cursor
        assert history(archived, "a", cursor=cursor, limit=10_000).entries == kept[1:]
        for store in (whole, archived):
            Till(store, "T9", "L9").posts(body("sale", ("new", 1), at=NOON))
        assert pages_of_history(archived, "new", 10, location="L9") == pages_of_history(whole, "new", 10, location="L9")


# ---------------------------------------------------------------------------------- what is posted


def test_what_would_need_archived_movements_is_rejected_with_what_to_do(twins: Twins) -> None:
    gone = next(each for each in twins.trade.sent if each.terminal == "T1" and b'"sale"' in each.raw)
    with opened(twins.archived, twins.trade.clock) as store:
        till = Till(store)
        counted = till.posts(body("count", ("a", 1), at=twins.until - 1))
        assert (counted.status, counted.code) == ("rejected", "invalid_body")
        assert f"expected {instant(twins.until).isoformat()} or later" in str(counted.reason)
        assert str(counted.reason).endswith("; count again.")
        voided = till.posts(body("void", voids=gone.id, at=twins.trade.clock.now))
        assert (voided.status, voided.code) == ("rejected", "not_voidable")
        assert "is in the archive" in str(voided.reason)
        assert str(voided.reason).endswith("post an adjustment instead.")
        enrol(store, "office", "operator", "L1")
        raw = body("merge", at=twins.until - 1, merge="a", into="b")
        [merged] = post(store, hello(store, "office").speaker, item(raw)).results
        assert (merged.status, merged.code) == ("rejected", "invalid_body")
        assert str(merged.reason).endswith("; merge as of a later instant.")
        sale = Sent("T1", body("sale", ("a", 1), at=NOON - 1_000 * HOUR), uid("from long before"))
        assert [result.status for result in send(store, [sale])] == ["posted"]
    assert proof_of(twins.archived).findings == []


def test_a_void_that_waits_still_voids_what_comes_after_the_archive(site: PostgresSite) -> None:
    ledger, clock = small(site), Clock(NOON)
    with opened(ledger, clock) as store:
        till = Till(store)
        till.posts(body("void", voids=uid("late"), at=NOON))
        till.post(*(body("sale", ("a", 1), at=NOON + each) for each in range(POSITIONS)))
    close_books(ledger, clock)
    [part] = archive(ledger, NOON + HOUR, clock)
    assert part.last == POSITIONS - 1
    with opened(ledger, clock) as store:
        before = level(store).on_hand
        till = Till(store)
        assert till.posts(body("sale", ("a", 5), at=NOON), uid("late")).status == "posted"
        assert level(store).on_hand == before
        again = till.posts(body("void", voids=uid("late"), at=NOON + 1))
        assert (again.status, again.code) == ("rejected", "already_voided")
    assert proof_of(ledger).findings == []


# ---------------------------------------------------------------------------------- what was tampered with

WRONG = {
    "digest": ("UPDATE archived SET digest = x'00' WHERE position = 9", "the kept rows are not those"),
    "flags": ("UPDATE archived SET flags = flags + 64 WHERE position = 9", "the kept rows are not those"),
    "recorded": ("UPDATE archived SET recorded_at = 1 WHERE position = 9", "the kept rows are not those"),
    "gone": ("DELETE FROM archived WHERE position = 9", "archived up to position 1023: 1022 postings are kept"),
    "identity gone": ("DELETE FROM identity WHERE position = 9", "position 9: its id refers to None"),
    "identity of another": ("UPDATE identity SET position = 8 WHERE position = 9", "position 9: its id refers to 8"),
    "identity more": ("INSERT INTO identity VALUES (x'00', 9)", "HQ knows"),
    "head": ("UPDATE archived_head SET head = x'00'", "chains at the end of the archive do not follow"),
    "head gone": ("DELETE FROM archived_head", "chains at the end of the archive do not follow"),
    "count": ("UPDATE archived_count SET moved = moved + 1", "position 2048: 'e' at 'L2' went from"),
    "counts gone": ("DELETE FROM archived_count", "the ledger says"),
    "end": ("UPDATE ledger SET archived_until = archived_until + 1", "the ledger says that it is archived up to"),
    "archive gone": ("DELETE FROM archive", "its archive is empty"),
    "not closed": ("DELETE FROM closing WHERE position < 3000", "where nothing was closed"),
    "balance": ("UPDATE balance SET quantity = quantity + 1 WHERE position < 3000", "went from"),
    "sha256": ("UPDATE archive SET sha256 = x'00'", "the kept rows are not those"),
}


@pytest.mark.long
@pytest.mark.parametrize(("statement", "expected"), WRONG.values(), ids=WRONG)
def test_what_was_changed_in_what_is_kept_is_found(
    site: PostgresSite, twins: Twins, statement: str, expected: str
) -> None:
    site.execute(twins.archived, statement)
    assert expected in "\n".join(proof_of(twins.archived).findings)


# ---------------------------------------------------------------------------------- what breaks off


def test_only_what_is_closed_is_archived(site: PostgresSite) -> None:
    ledger, clock = small(site), Clock(NOON)
    with opened(ledger, clock) as store:
        Till(store).post(*(body("sale", ("a", 1), at=NOON + each) for each in range(POSITIONS + 10)))
    assert archive(ledger, NOON, clock) == []
    with pytest.raises(StoreError, match=r"not closed up to position 1,023, .* first run: .* close"):
        archive(ledger, NOON + HOUR, clock)
    close_books(ledger, clock)
    assert len(archive(ledger, NOON + HOUR, clock)) == 1
    assert archive(ledger, NOON + HOUR, clock) == []
    assert proof_of(ledger).findings == []


@pytest.mark.long
@pytest.mark.parametrize("step", ["_take_out", "_keep_heads", "_keep_counts"])
def test_an_archive_that_broke_off_is_of_no_effect_and_is_finished_by_the_next(
    site: PostgresSite, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    twins = Twins.of(site, 2)
    clock = twins.trade.clock

    def breaks_off(*_: Any) -> None:
        raise StoreError("the operator's terminal was closed")

    with monkeypatch.context() as patch:
        patch.setattr(archiving._Archiving, step, breaks_off)
        with pytest.raises(StoreError, match="terminal was closed"):
            archive(twins.whole, twins.until + 1, clock)
    assert proof_of(twins.whole).findings == []
    assert read_ledger(twins.whole, lambda c: c.execute(select(tables.archive)).all()) == []
    assert len(archive(twins.whole, twins.until + 1, clock)) == 2
    assert proof_of(twins.whole).findings == []
    with opened(twins.whole, clock) as whole, opened(twins.archived, clock) as archived:
        assert stock(whole).items == stock(archived).items


KILLED = """
import os, signal, sys
from inventory_server.store.database import partitions
from inventory_server.store.growth import archive as archiving
from tests.support.maintenance import archive, make_partitions

point, ledger, until = sys.argv[1:]
def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if point == "split":
    split, left = partitions._split, [2]
    def second(*given):
        left[0] -= 1
        split(*given) if left[0] else killed()
    partitions._split = second
    make_partitions(ledger, 20, 1_024)
elif point == "kept":
    archiving._put_counts = killed
else:
    archiving._say_archived = killed
archive(ledger, int(until) + 1, lambda: 0)
"""


@pytest.mark.long
@pytest.mark.parametrize("point", ["taken out", "split", "kept"])
def test_a_command_that_is_killed_leaves_all_as_it_was(twins: Twins, point: str, root: Path) -> None:
    before = partitions_of(twins.whole)
    command = [sys.executable, "-c", KILLED, point, twins.whole, str(twins.until)]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert ask(twins.whole, ListAudit())[-1].outcome == "not finished"
    assert partitions_of(twins.whole) == before
    assert proof_of(twins.whole).findings == []
    assert len(archive(twins.whole, twins.until + 1, twins.trade.clock)) == 2
    assert proof_of(twins.whole).findings == []


@pytest.mark.long
def test_tills_post_while_a_partition_is_archived(twins: Twins) -> None:
    done, results = threading.Event(), list[PostingResult]()

    def trade() -> None:
        with opened(twins.whole, twins.trade.clock) as store:
            till = Till(store, "T3")
            while not done.is_set():
                at = twins.until - HOUR + len(results)
                kind = "count" if len(results) % 5 == 0 else "sale"
                results.append(till.posts(body(kind, ("a", 1), at=at, reference=str(len(results)))))  # type: ignore[arg-type]

    trading = threading.Thread(target=trade)
    trading.start()
    parts = archive(twins.whole, twins.until + 1, twins.trade.clock)
    done.set()
    trading.join()
    assert len(parts) == 2
    assert {result.status for result in results if result.reason is None} == {"posted"}
    assert {result.reason.endswith("count again.") for result in results if result.reason} <= {True}
    assert proof_of(twins.whole).findings == []
    with opened(twins.whole, twins.trade.clock) as store:
        now = level(store)
        assert level(store, as_of=instant(twins.trade.clock.now + 100 * HOUR)).on_hand == now.on_hand


def test_who_reads_is_let_read_and_sees_all_of_it(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first question, too: a snapshot does not cover which partitions there are."""
    monkeypatch.setattr(partition, "PARTITION_RETRY_SECONDS", 0)

    def reading(connection: Connection) -> int:
        with pytest.raises(StoreError, match="is locked by another program"):
            archive(twins.whole, twins.until + 1, twins.trade.clock)
        return len(connection.execute(select(tables.posting.c.position)).all())

    assert read_ledger(twins.whole, reading) > 4_000


@pytest.mark.long
@pytest.mark.parametrize("name", ["_keep_postings", "_keep_heads"])
def test_another_archive_may_be_quicker(twins: Twins, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    step = getattr(archiving._Archiving, name)

    def after_another(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(archiving._Archiving, name, step)
            archive(twins.whole, twins.until + 1, twins.trade.clock)
        return step(*given)

    monkeypatch.setattr(archiving._Archiving, name, after_another)
    with pytest.raises(StoreError, match="Another command has changed the archive meanwhile"):
        archive(twins.whole, twins.until + 1, twins.trade.clock)
    assert proof_of(twins.whole).findings == []


def test_postings_that_are_not_what_they_were_are_not_archived(site: PostgresSite, twins: Twins) -> None:
    site.execute(twins.whole, "DELETE FROM identity WHERE position = 1030")
    with pytest.raises(
        StoreError, match="copy of postings 1,024 to 2,047 differs from them; run: inventory-server verify"
    ):
        archive(twins.whole, twins.until + 1, twins.trade.clock)


# ---------------------------------------------------------------------------------- what comes back


def test_only_what_was_archived_comes_back(site: PostgresSite, twins: Twins) -> None:
    ledger = twins.archived
    site.execute(ledger, "UPDATE tillwire_archive.posting_1024 SET terminal = 'T9' WHERE position = 1030")
    assert "posting_1024 does not hold what was archived" in refusal(lambda: bring_back(ledger))
    site.execute(ledger, "DROP TABLE tillwire_archive.movement_1024")
    assert "There is no table tillwire_archive.movement_1024; restore it" in refusal(lambda: bring_back(ledger))
    assert proof_of(ledger).findings == []


@pytest.mark.long
def test_what_was_kept_elsewhere_comes_back(site: PostgresSite, twins: Twins, tmp_path: Path) -> None:
    """With PostgreSQL's own tools, as the command says."""
    folder, url, dump = binaries() or Path(), make_url(twins.archived), tmp_path / "archive.dump"
    if not (folder / "pg_dump").exists():
        pytest.skip("no pg_dump here: install Debian's postgresql-15")
    where = ["-h", str(url.query["host"]), "-U", str(url.username), "-d", str(url.database)]
    keep = ["--schema", ARCHIVE_SCHEMA, "--format", "custom", "--file", str(dump)]
    subprocess.run([folder / "pg_dump", *where, *keep], check=True)
    site.execute(twins.archived, f"DROP SCHEMA {ARCHIVE_SCHEMA} CASCADE")
    assert "There is no table tillwire_archive" in refusal(lambda: bring_back(twins.archived))
    subprocess.run([folder / "pg_restore", *where, dump], check=True)
    while bring_back(twins.archived) is not None:
        continue
    assert [pair.table for pair in compare(twins.whole, twins.archived).pairs if not pair.is_equal] == ["audit"]
    assert proof_of(twins.archived).findings == []


@pytest.mark.long
def test_another_may_bring_it_back_first(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = archiving._bind

    def after_another(connection: Connection, part: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(archiving, "_bind", bind)
            bring_back(twins.archived)

    monkeypatch.setattr(archiving, "_bind", after_another)
    assert "Another command has changed the archive meanwhile" in refusal(lambda: bring_back(twins.archived))
    assert proof_of(twins.archived).findings == []


def test_what_came_back_is_what_it_was(twins: Twins) -> None:
    while bring_back(twins.archived) is not None:
        continue
    different = [pair.table for pair in compare(twins.whole, twins.archived).pairs if not pair.is_equal]
    assert different == ["audit"], "which says who archived it and brought it back"
    assert partitions_of(twins.archived) == partitions_of(twins.whole)
    assert bring_back(twins.archived) is None


# ---------------------------------------------------------------------------------- what is copied


@pytest.mark.long
def test_a_copy_of_an_archived_ledger_knows_what_that_knows(site: PostgresSite, twins: Twins, tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(file)
    for target in (file, small(site, 1)):
        assert copy(twins.archived, target).is_equal
        assert proof_of(target).findings == []
        with opened(target, twins.trade.clock) as store, opened(twins.archived, twins.trade.clock) as archived:
            assert send(store, twins.trade.sent[:256]) == send(archived, twins.trade.sent[:256])
            assert "is in the archive" in refusal(lambda store=store: stock(store, known_at=5))  # type: ignore[misc]
            assert stock(store).items == stock(archived).items
        assert proof_of(target).findings == []
    assert "There is no table tillwire_archive" in refusal(lambda: bring_back(target))
    with pytest.raises(StoreError, match="in an SQLite file has no partitions"):
        archive(file, NOON, twins.trade.clock)
