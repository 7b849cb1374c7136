"""Which tables could be spread over many machines as they are, and what stands in the way of the others.

Citus, YugabyteDB and CockroachDB spread rows by columns of their keys; here that would be the location. PostgreSQL's
own `PARTITION BY HASH` makes the same demand of keys and can be asked here. A new table has to take a stand.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, Index, MetaData, Sequence, Table, Text, UniqueConstraint
from sqlalchemy import create_engine as engine_of
from sqlalchemy.exc import DBAPIError

from inventory_server.store.ledger import tables as t
from tests.support.postgres import Cluster

SPREAD_BY = "location"
GROWING = {"position", "segment", "audit.id"}
"""Columns whose values only grow: where a key begins with one, all inserts meet at its end."""


class Stand(NamedTuple):
    """What becomes of a table, and why; `findings` are the lint's, word for word."""

    kind: str
    why: str
    findings: tuple[str, ...] = ()


COPIED = "copied to every machine"
SPREAD = "spread as it is"
NOT_YET = "not yet"

STANDS = {
    "supplier": Stand(COPIED, "a catalogue, like its products"),
    "product": Stand(COPIED, "a catalogue: read by every commit, changed by administrators"),
    "product_location": Stand(SPREAD, "of one location; its product is copied to every machine"),
    "merge": Stand(
        NOT_YET,
        "of the catalogue, but posted: a copy on every machine would have to be of the same position",
        ("primary key lacks location", "key begins with position, which only grows"),
    ),
    "barcode": Stand(COPIED, "a catalogue, like its products"),
    "pack": Stand(COPIED, "a catalogue, like its barcodes"),
    "level": Stand(SPREAD, "the hottest rows, and each belongs to one location"),
    "count": Stand(SPREAD, "counts are of one location"),
    "document": Stand(
        NOT_YET,
        "found by its id: would be given the location that it is reserved at or sent to",
        ("primary key lacks location",),
    ),
    "document_line": Stand(
        NOT_YET,
        "belongs to the positions, and has to be where its document is, which may be at another location",
        ("primary key lacks location", "key begins with position, which only grows"),
    ),
    "reference": Stand(NOT_YET, "would be given the location of its posting", ("primary key lacks location",)),
    "void": Stand(SPREAD, "of one location; an operator's that names none is kept and looked for under the empty one"),
    "flagged": Stand(SPREAD, "what waits for a person is of one location, like its posting"),
    "settlement": Stand(SPREAD, "goes where the causes go that it settles"),
    "ordered": Stand(SPREAD, "what was ordered for a location"),
    "location": Stand(SPREAD, "its own row"),
    "movement": Stand(
        SPREAD,
        "where rows go by a hash of the location; where they go in key order (CockroachDB), the location would have to "
        "stand before the segment",
        ("key begins with segment, which only grows",),
    ),
    "posting": Stand(
        NOT_YET,
        "positions would be counted by location or by group of locations",
        ("primary key lacks location", "key begins with position, which only grows"),
    ),
    "identity": Stand(
        NOT_YET,
        "an id would be unique within its location, and a till's lineage would have to keep the location that it was "
        "begun at",
        ("primary key lacks location",),
    ),
    "ledger": Stand(
        NOT_YET,
        "the one row that puts all commits of a book in order: as many rows, and as many books, as groups of locations",
        ("primary key lacks location",),
    ),
    "segment": Stand(
        NOT_YET,
        "belongs to the positions, and goes where they go",
        ("primary key lacks location", "key begins with segment, which only grows"),
    ),
    "closing": Stand(
        NOT_YET,
        "belongs to the positions, and goes where they go",
        ("primary key lacks location", "key begins with position, which only grows"),
    ),
    "balance": Stand(SPREAD, "a balance is of one location"),
    "straggler": Stand(SPREAD, "goes where its movement goes"),
    "archive": Stand(
        NOT_YET,
        "belongs to the positions, and goes where they go",
        ("primary key lacks location", "key begins with position, which only grows"),
    ),
    "archived": Stand(
        NOT_YET,
        "goes where the positions go, of which it says what is still known",
        ("primary key lacks location", "key begins with position, which only grows"),
    ),
    "archived_head": Stand(NOT_YET, "goes where its terminal goes", ("primary key lacks location",)),
    "archived_count": Stand(SPREAD, "a count is of one location"),
    "alert": Stand(
        NOT_YET,
        "an alert is of one location, or of a target: would be numbered where its location is",
        ("primary key lacks location",),
    ),
    "delivery": Stand(NOT_YET, "goes where its alert goes", ("primary key lacks location",)),
    "alert_target": Stand(NOT_YET, "each observer would have targets of its own", ("primary key lacks location",)),
    "observer": Stand(NOT_YET, "one row, as many as ledgers in order", ("primary key lacks location",)),
    "audit": Stand(
        NOT_YET,
        "administrators' requests are few and concern all locations: a book of them could have a machine of its own",
        ("primary key lacks location", "key begins with id, which only grows"),
    ),
    "terminal": Stand(
        NOT_YET,
        "a till has one location, which would join its key; operators and readers would become rows that are copied",
        ("primary key lacks location",),
    ),
    "former_location": Stand(NOT_YET, "goes where its terminal goes", ("primary key lacks location",)),
    "adoption": Stand(NOT_YET, "goes where its terminal goes", ("primary key lacks location",)),
    "enrolment": Stand(NOT_YET, "goes where its terminal goes", ("primary key lacks location",)),
    "person": Stand(NOT_YET, "few, and concern all locations: rows that are copied", ("primary key lacks location",)),
    "person_key": Stand(
        NOT_YET, "goes where its person goes", ("primary key lacks location", "foreign key to person lacks location")
    ),
    "boot": Stand(NOT_YET, "goes where its terminal goes", ("primary key lacks location",)),
    "lineage": Stand(NOT_YET, "would be given its terminal's location", ("primary key lacks location",)),
    "rejection": Stand(NOT_YET, "found by id: would be given the sender's location", ("primary key lacks location",)),
    "quarantine": Stand(NOT_YET, "the same", ("primary key lacks location",)),
}


def lint(table: Table) -> Iterator[str]:
    """What keeps the rows of `table` from being spread by location."""
    keys = list(table.primary_key.columns)
    if SPREAD_BY not in table.primary_key.columns:
        yield f"primary key lacks {SPREAD_BY}"
    if {keys[0].name, str(keys[0])} & GROWING:
        yield f"key begins with {keys[0].name}, which only grows"
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and SPREAD_BY not in constraint.columns:
            yield f"unique {[column.name for column in constraint.columns]} lacks {SPREAD_BY}"
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.unique and SPREAD_BY not in index.columns:
            yield f"unique index {index.name} lacks {SPREAD_BY}"
    for reference in table.foreign_key_constraints:
        if SPREAD_BY not in reference.columns and not _is_copied(reference.referred_table):
            yield f"foreign key to {reference.referred_table.name} lacks {SPREAD_BY}"
    for column in keys:
        made = column.default is not None and column.default.is_sequence
        if (
            made
            or column.identity is not None
            or column.server_default is not None
            or column is table.autoincrement_column
        ):
            yield f"key {column.name} is made by the database, one after another"


def _is_copied(table: Table) -> bool:
    return table.name in STANDS and STANDS[table.name].kind == COPIED


def test_every_table_takes_a_stand() -> None:
    assert set(STANDS) == set(t.metadata.tables)
    assert [name for name, stand in STANDS.items() if not stand.why] == []


@pytest.mark.parametrize("name", [name for name, stand in STANDS.items() if stand.kind != COPIED])
def test_what_stands_in_the_way_of_a_table_is_what_is_said(name: str) -> None:
    assert tuple(lint(t.metadata.tables[name])) == STANDS[name].findings


def test_no_key_is_made_by_the_database() -> None:
    found = [finding for table in t.metadata.tables.values() for finding in lint(table)]
    assert [finding for finding in found if "made by the database" in finding] == []


def test_the_lint_finds_what_it_is_for() -> None:
    metadata = MetaData()
    shelf = Table("shelf", metadata, Column("shelf", Text, primary_key=True))
    wrong = Table(
        "wrong",
        metadata,
        Column("position", BigInteger, Sequence("wrong_position"), primary_key=True),
        Column("receipt", Text),
        Column("shelf", Text, ForeignKey(shelf.c.shelf)),
        Column("barcode", Text),
        UniqueConstraint("receipt"),
        Index("ux", "barcode", unique=True),
    )
    assert list(lint(wrong)) == [
        "primary key lacks location",
        "key begins with position, which only grows",
        "unique ['receipt'] lacks location",
        "unique index ux lacks location",
        "foreign key to shelf lacks location",
        "key position is made by the database, one after another",
    ]


REFUSED = {"0A000": "a unique key lacks the column", "42703": "there is no such column"}


def test_postgresql_partitions_what_is_said_to_be_spread_and_nothing_else(postgres: Cluster) -> None:
    """Its rule for the unique keys of a table in hash partitions is that of Citus."""
    engine = engine_of(postgres.url(postgres.database()))
    refused = {}
    for name in STANDS:
        table = t.metadata.tables[name].to_metadata(MetaData())
        table.constraints -= table.foreign_key_constraints
        table.dialect_options["postgresql"]["partition_by"] = f"HASH ({SPREAD_BY})"
        try:
            with engine.begin() as connection:
                table.create(connection)
        except DBAPIError as error:
            refused[name] = REFUSED[getattr(error.orig, "sqlstate", "")]
    engine.dispose()
    assert set(t.metadata.tables) - set(refused) == {name for name, stand in STANDS.items() if stand.kind == SPREAD}
