"""The proof finds whatever is wrong with a ledger, and nothing in one that is right."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from inventory_server.domain.answers import Proof
from inventory_server.domain.limits import FINDINGS_MAX
from inventory_server.store import StoreError
from inventory_server.store.ledger import tables
from inventory_server.store.verify import postings
from tests.support import busyday
from tests.support.ledgers import Till, body, opened, proof_of
from tests.support.maintenance import verified
from tests.support.sites import Site, on_sqlite

FLIPS, MANY_FLIPS = 25, 300


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "ledger.db"
    busyday.trade(path)
    return path


@pytest.fixture
def file(whole_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole_file, tmp_path))


@pytest.fixture
def whole(site: Site) -> str:
    return site.filled(busyday.trade)


def test_a_right_ledger_is_proven(whole: str) -> None:
    assert proof_of(whole) == Proof(position=17, postings=17, movements=18, levels=4, chains=2, transfers=1)


def test_an_empty_ledger_is_proven(ledger: str) -> None:
    assert proof_of(ledger) == Proof()


WRONG = {
    "level": ("UPDATE level SET on_hand = on_hand + 1 WHERE sku = 'b'", "'b' at 'L1': the level is"),
    "counted level": ("UPDATE level SET on_hand = on_hand + 1 WHERE sku = 'a'", "'a' at 'L1': the level is"),
    "level's count": ("UPDATE level SET counted_position = 1 WHERE sku = 'a'", "'a' at 'L1': the level is"),
    "level's latest": ("UPDATE level SET last_movement_at = 0 WHERE sku = 'unlisted'", "the ledger says"),
    "in transit": ("UPDATE level SET in_transit = 0 WHERE location = 'L2'", "'a' at 'L2': the level is"),
    "level gone": ("DELETE FROM level WHERE sku = 'b'", "'b' at 'L1': has movements but no level"),
    "movement": ("UPDATE movement SET quantity = quantity - 1 WHERE position = 2", "position 2: the movements are not"),
    "movement's sku": ("UPDATE movement SET sku = 'c' WHERE position = 2 AND entry = 0", "position 2: the movements"),
    "movement's account": ("UPDATE movement SET account = 1 WHERE position = 4", "position 4: the movements"),
    "no such account": ("UPDATE movement SET account = 9 WHERE position = 4", "a column holds an unexpected value: 9"),
    "movement gone": ("DELETE FROM movement WHERE position = 4", "position 4: the movements are not those of the body"),
    "movement alone": ("UPDATE movement SET position = 18 WHERE position = 4", "position 18: movements without a post"),
    "movement's number": (
        "UPDATE movement SET entry = entry + 32 WHERE position = 4",
        "position 4: its movements are not",
    ),
    "figure left": ("UPDATE movement SET on_hand_after = 7 WHERE position = 4", "position 4: 'a' at 'L1' went from"),
    "figure counted": ("UPDATE movement SET on_hand_after = 7 WHERE position = 3", "position 3: 'a' at 'L1' went from"),
    "figure uncounted": ("UPDATE movement SET on_hand_after = 7 WHERE position = 12", "position 12: 'a' at 'L1' went"),
    "void's movement": ("UPDATE movement SET quantity = 0 WHERE position = 8", "position 8: the movements do not canc"),
    "early void's": ("DELETE FROM movement WHERE position = 10 AND entry = 1", "position 10: the movements are not"),
    "void forgotten": ("DELETE FROM void WHERE position = 9", "position 10: the movements are not those of the body"),
    "count": ("UPDATE count SET quantity = 1 WHERE sku = 'a' AND position = 3", "position 3: the count of 'a' is (1"),
    "count voided": ("UPDATE count SET voided_position = 4 WHERE position = 3", "position 3: the count of"),
    "count not voided": ("UPDATE count SET voided_position = NULL", "position 10: the count of 'b'"),
    "count gone": ("DELETE FROM count WHERE position = 3", "position 3: the count of 'a' is None"),
    "count too many": (
        "INSERT INTO count VALUES ('L1', 'b', 1, 1, 1, NULL, 'T1')",
        "4 figures were counted, HQ goes by 5",
    ),
    "counted figure": ("UPDATE movement SET quantity = 1 WHERE position = 3 AND sku = 'a'", "position 3: the figures"),
    "reservation": ("UPDATE document SET remaining = 1 WHERE kind = 1", "1 is left of 'b', the ledger says 400000"),
    "reservation gone": ("DELETE FROM document WHERE kind = 1", "nothing is left of 'b', the ledger says 400000"),
    "reservation more": (
        f"INSERT INTO document VALUES (x'{7:032x}', 'a', 1, 'L1', '', 1, 1, 1, 1, 0, 0, 0, 0, 1)",
        "is stored for 'a', but no posting opens it",
    ),
    "expiry": ("UPDATE document SET expires_at = 1 WHERE kind = 1", "what is stored of 'b' does not follow from"),
    "transfer": ("UPDATE document SET drawn = 0 WHERE kind = 0", "what is stored of 'a' does not follow from"),
    "document line": (
        "UPDATE document_line SET quantity = 1 WHERE position = 5",
        "position 5: what it does to documents does not follow from its body",
    ),
    "document line gone": ("DELETE FROM document_line WHERE position = 13", "position 13: what it does to documents"),
    "document line alone": (
        "UPDATE document_line SET position = 18 WHERE position = 13",
        "position 18: document lines without a posting",
    ),
    "waiting": ("UPDATE document_line SET waiting = 1 WHERE position = 13", "position 13: is stored as not having"),
    "segment": ("UPDATE ledger SET segment_latest_at = 1", "segment 0: the latest instant in it is"),
    "head back": ("UPDATE ledger SET position = 16", "the ledger ends at position 16, its last posting is 17"),
    "head ahead": ("UPDATE ledger SET position = 1152921504606846976", "its last posting is 17"),
    "posting gone": ("DELETE FROM posting WHERE position = 4", "position 5: expected 4, the ledger has a gap"),
    "recorded": ("UPDATE posting SET recorded_at = 1 WHERE position = 4", "position 4: recorded before the posting"),
    "occurred": ("UPDATE posting SET occurred_at = 1 WHERE position = 4", "position 4: type, location, instant or"),
    "type": ("UPDATE posting SET type = 'return' WHERE position = 4", "position 4: type, location, instant or"),
    "reference": ("UPDATE posting SET reference = 'R2' WHERE position = 2", "position 2: type, location, instant or"),
    "location": ("UPDATE posting SET location = 'L9' WHERE position = 4", "position 4: the movements are not"),
    "body": ("UPDATE posting SET body = x'7b7d' WHERE position = 4", "position 4: the body does not have its digest"),
    "not a body": ("UPDATE posting SET body = x'00' WHERE position = 4", "position 4: unreadable body"),
    "digest": ("UPDATE posting SET digest = x'00' WHERE position = 4", "terminal T1: the chain does not end where"),
    "id": ("UPDATE posting SET id = x'00' WHERE position = 17", "terminal T2: the chain does not end where"),
    "identity gone": ("DELETE FROM identity WHERE position = 4", "position 4: its id refers to None"),
    "identity of another": ("UPDATE identity SET position = 3 WHERE position = 4", "position 4: its id refers to 3"),
    "identity too many": ("INSERT INTO identity VALUES (x'00', 4)", "the ledger has 17 postings, HQ knows 18 ids"),
    "terminal": ("UPDATE posting SET terminal = 'T3' WHERE position = 17", "T3: has postings but is not enrolled"),
    "offset": ("UPDATE posting SET utc_offset_minutes = 60 WHERE position = 4", "position 4: type, location, instant"),
    "effective, no tick": (
        "UPDATE posting SET effective_at = 1 WHERE position = 4",
        "position 4: the effective instant",
    ),
    "corrected, no tick": (
        "UPDATE posting SET flags = flags | 8 WHERE position = 4",
        "position 4: the effective instan",
    ),
    "effective in future": (
        "UPDATE posting SET boot = x'00', tick_ms = 1, effective_at = recorded_at + 1 WHERE position = 4",
        "position 4: the effective instant",
    ),
    "reference gone": ("DELETE FROM reference", "position 1: its reference is not known"),
    "reference's digest": ("UPDATE reference SET digest = x'00'", "position 1: its reference is not known"),
    "reference voided": ("UPDATE reference SET voided_position = 4", "position 1: its reference is not known"),
    "reference too many": ("INSERT INTO reference VALUES (x'00', 4, NULL)", "needs 1 rows in reference, there are 2"),
    "void of another": (
        "UPDATE void SET voids = x'00' WHERE position = 8",
        "position 8: HQ does not know what it voids",
    ),
    "void elsewhere": (
        "UPDATE void SET location = 'L9' WHERE position = 8",
        "position 8: HQ does not know what it voi",
    ),
    "void's location": (
        "UPDATE posting SET location = 'L9' WHERE position = 8",
        "position 8: is not at the location of what it voids",
    ),
    "void too many": ("INSERT INTO void VALUES (x'00', 'L1', 4)", "needs 3 rows in void, there are 4"),
    "flag of another": ("UPDATE flagged SET position = 4", "position 4: a person is to look at a flag that it does no"),
    "another flag": ("UPDATE flagged SET flag = 12", "a person is to look at a flag that it does not have"),
    "flagged when": ("UPDATE flagged SET effective_at = 1", "a person is to look at a flag that it does not have"),
    "range": ("DELETE FROM product_location", "product 'b': is ranged for a location, or not"),
    "no range": ("UPDATE product SET is_ranged = 1 WHERE sku = 'a'", "product 'a': is ranged for a location, or not"),
    "lineage": ("UPDATE posting SET lineage = x'00' WHERE position = 4", "position 4: its lineage is unknown"),
    "seq": ("UPDATE posting SET seq = 99 WHERE position = 4", "position 4: its lineage is unknown"),
    "lineage's holes": ("UPDATE lineage SET beyond = 'x'", "a column holds an unexpected value"),
    "head of chain": ("UPDATE terminal SET head = x'00' WHERE terminal = 'T1'", "terminal T1: the chain does not end"),
    "refused body": ("UPDATE rejection SET body = x'00'", "the body does not have its digest"),
    "quarantined body": ("UPDATE quarantine SET body = x'00'", "the body does not have its digest"),
}


@pytest.mark.parametrize(("statement", "expected"), WRONG.values(), ids=WRONG)
def test_what_was_changed_behind_the_ledger_is_found(site: Site, whole: str, statement: str, expected: str) -> None:
    site.execute(whole, statement)
    proof = proof_of(whole)
    assert not proof.holds
    assert expected in "\n".join(proof.findings)


@on_sqlite  # PostgreSQL takes no text for a number
def test_text_for_a_number_is_found(site: Site, whole: str) -> None:
    site.execute(whole, "UPDATE posting SET recorded_at = 'x' WHERE position = 4")
    assert "a column holds an unexpected value" in "\n".join(proof_of(whole).findings)


def test_an_index_that_lost_an_entry_is_found(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute("UPDATE sqlite_schema SET sql = sql || ' WHERE on_hand < 0' WHERE name = 'ix_level_sku'")
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("REINDEX ix_level_sku")
        connection.execute("PRAGMA writable_schema = 1")
        whole_index = "replace(sql, ' WHERE on_hand < 0', '')"
        connection.execute(f"UPDATE sqlite_schema SET sql = {whole_index} WHERE name = 'ix_level_sku'")
    (first, *_) = proof_of(file).findings
    assert first == "the file is damaged: row 1 missing from index ix_level_sku"


def test_findings_are_all_counted_and_the_first_are_kept_in_words(site: Site, ledger: str) -> None:
    with opened(ledger) as store:
        till = Till(store)
        till.post(*(body("sale", ("a", 1), reference=str(number)) for number in range(FINDINGS_MAX + 50)))
    site.execute(ledger, "UPDATE posting SET reference = 'x'")
    proof = proof_of(ledger)
    assert proof.mismatches == FINDINGS_MAX + 50
    assert len(proof.findings) == FINDINGS_MAX


def test_progress_is_told_of_postings_document_lines_and_levels(whole: str) -> None:
    told: list[tuple[int, int]] = []
    verified(whole, lambda *done: told.append(done))
    assert told == [(17, 25), (21, 25), (25, 25)]


def test_a_segment_of_long_postings_is_proven_slice_by_slice(whole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "PAGE_BYTES_MAX", 400)
    told: list[int] = []
    verified(whole, lambda done, _: told.append(done))
    assert len(told) > 6
    assert proof_of(whole) == Proof(position=17, postings=17, movements=18, levels=4, chains=2, transfers=1)


def test_a_proof_runs_beside_the_server(whole: str) -> None:
    with opened(whole) as store:
        Till(store, "T1").posts(body("sale", ("a", 1)))
        assert proof_of(whole).position == 18


# ---------------------------------------------------------------------------------- flipped bits

UNPROVEN = {
    "ledger": {"stamp", "moved_to"},  # any other stamp makes a writer read again what it remembers
    "barcode": {"gtin", "sku"},
    "location": {"location"},
    "supplier": {column.name for column in tables.supplier.columns},
    "product": {column.name for column in tables.product.columns},
    "product_location": {column.name for column in tables.product_location.columns} - {"sku"},
    "flagged": {"location", "subject", "names"},
    "ordered": {column.name for column in tables.ordered.columns},
    "settlement": {column.name for column in tables.settlement.columns},
    "movement": {"entry"},  # as long as their order is the same
    "posting": {
        "seq",
        "recorded_at",
        "flags",
        "boot",
        "tick_ms",
        "location",
    },  # of an orphan void
    "quarantine": {"id", "terminal", "recorded_at"},
    "rejection": {"id", "terminal", "lineage", "seq", "recorded_at", "code", "reason", "reopened_at"},
    "terminal": {column.name for column in tables.terminal.columns} - {"terminal", "head"},
    "lineage": {column.name for column in tables.lineage.columns},
    "boot": {column.name for column in tables.boot.columns},
    "audit": {column.name for column in tables.audit.columns},
    **{
        table.name: {column.name for column in table.columns}
        for table in (tables.alert, tables.delivery, tables.alert_target, tables.observer)
    },
}
"""What HQ holds only once, so that nothing can contradict it."""


def contents(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return {table.name: connection.execute(_all_of(table)).fetchall() for table in tables.metadata.sorted_tables}


def _all_of(table: Table) -> str:
    return f'SELECT * FROM "{table.name}" ORDER BY {", ".join(table.primary_key.columns.keys())}'


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[tuple[str, str]]:
    """(table, column) of every value that differs."""
    found = set()
    for table in tables.metadata.sorted_tables:
        names = [column.name for column in table.columns]
        for old, new in zip(before[table.name], after[table.name], strict=True):
            found |= {(table.name, name) for name, was, now in zip(names, old, new, strict=True) if was != now}
    return found


@pytest.mark.parametrize("flips", [FLIPS, pytest.param(MANY_FLIPS, marks=pytest.mark.long)])
def test_no_flipped_bit_makes_a_figure_silently_wrong(whole_file: Path, file: Path, flips: int) -> None:
    chance, content, before = random.Random(7), whole_file.read_bytes(), contents(whole_file)
    used = [at for at, byte in enumerate(content) if byte]
    noticed = 0
    for _ in range(flips):
        at, bit = chance.choice(used), chance.randrange(8)
        file.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        try:
            holds = proof_of(file).holds
        except StoreError:
            holds = False
        noticed += not holds
        if holds:
            silent = {pair for pair in changed(before, contents(file)) if pair[1] not in UNPROVEN.get(pair[0], ())}
            assert not silent, f"byte {at}, bit {bit}"
    assert noticed
