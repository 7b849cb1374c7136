"""The first schema: ledger, caches, terminals, catalogue.

Until the first release every change of the tables edits this file. Its text is the fingerprint by which a ledger
that was made by another version of it is recognised.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

PARTITION_POSITIONS = 1 << 24
SEGMENT_POSITIONS_LOG2 = 10
PARTITIONS = 6
"""At first; the last one is open-ended."""


def upgrade() -> None:
    make_postings()
    make_refusals()
    make_caches()
    make_closings()
    make_archive()
    make_terminals()
    make_catalogue()
    make_audit()
    op.execute("INSERT INTO ledger (book, position, recorded_at) VALUES (1, 0, 0)")
    if op.get_bind().dialect.name == "postgresql":
        make_partitions("posting", PARTITION_POSITIONS)
        make_partitions("movement", PARTITION_POSITIONS >> SEGMENT_POSITIONS_LOG2)


def make_partitions(table: str, size: int) -> None:
    """Partitions are named after the first position in them, also those of the movements, which are cut by segment."""
    for number in range(PARTITIONS):
        end = (number + 1) * size if number + 1 < PARTITIONS else "MAXVALUE"
        op.execute(
            f"CREATE TABLE {table}_{number * PARTITION_POSITIONS} PARTITION OF {table}"
            f" FOR VALUES FROM ({number * size}) TO ({end})"
        )


def make_postings() -> None:
    op.create_table(
        "ledger",
        sa.Column("book", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("segment_latest_at", sa.BigInteger(), nullable=True),
        sa.Column("stamp", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("archived_position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("archived_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("book", name=op.f("pk_ledger")),
    )
    op.create_table(
        "posting",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("lineage", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("utc_offset_minutes", sa.SmallInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.SmallInteger(), nullable=False),
        sa.Column("reference", TEXT, nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("boot", sa.LargeBinary(), nullable=True),
        sa.Column("tick_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_posting")),
        postgresql_partition_by="RANGE (position)",
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "movement",
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("account", sa.SmallInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("event_position", sa.BigInteger(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("on_hand_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment", "location", "sku", "position", "entry", name=op.f("pk_movement")),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (segment)",
    )
    op.create_table(
        "segment",
        sa.Column("segment", POSITION, autoincrement=False, nullable=False),
        sa.Column("latest_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment", name=op.f("pk_segment")),
    )


def make_refusals() -> None:
    op.create_table(
        "rejection",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("lineage", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reopened_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejection")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", "digest", name=op.f("pk_quarantine")),
        sqlite_with_rowid=False,
    )


def make_caches() -> None:
    op.create_table(
        "level",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("in_transit", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=True),
        sa.Column("counted_position", sa.BigInteger(), nullable=True),
        sa.Column("last_movement_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("location", "sku", name=op.f("pk_level")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_level_sku"), "level", ["sku"])
    op.create_table(
        "count",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("voided_position", sa.BigInteger(), nullable=True),
        sa.Column("terminal", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("location", "sku", "effective_at", "position", name=op.f("pk_count")),
        sqlite_with_rowid=False,
    )
    make_documents()
    op.create_table(
        "reference",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("voided_position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", "position", name=op.f("pk_reference")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_reference_position"), "reference", ["position"])
    op.create_table(
        "void",
        sa.Column("voids", sa.LargeBinary(), nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("voids", "location", name=op.f("pk_void")),
        sqlite_with_rowid=False,
    )


def make_documents() -> None:
    op.create_table(
        "document_line",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("voided_position", sa.BigInteger(), nullable=True),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", "entry", name=op.f("pk_document_line")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_document_line_document"), "document_line", ["document"])
    op.create_index(op.f("ix_document_line_voided_position"), "document_line", ["voided_position"])
    group = ["location", "sku", "kind", "source"]
    op.create_index(op.f("ix_document_line_location_sku_kind_source"), "document_line", group)
    op.create_table(
        "document",
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("named", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=False),
        sa.Column("is_closed", sa.SmallInteger(), nullable=False),
        sa.Column("drawn", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document", "sku", name=op.f("pk_document")),
        sqlite_with_rowid=False,
    )
    columns = ["location", "sku", "kind", "expires_at"]
    op.create_index(op.f("ix_document_location_sku_kind_expires_at"), "document", columns)


def make_closings() -> None:
    op.create_table(
        "closing",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_closing")),
    )
    op.create_table(
        "balance",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("latest_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location", "sku", "position", name=op.f("pk_balance")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "straggler",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("event_position", sa.BigInteger(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location", "sku", "position", "entry", name=op.f("pk_straggler")),
        sqlite_with_rowid=False,
    )


def make_archive() -> None:
    op.create_table(
        "archive",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_archive")),
    )
    op.create_table(
        "archived",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_archived")),
    )
    op.create_table(
        "archived_head",
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", "position", name=op.f("pk_archived_head")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "archived_count",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("count_position", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location", "sku", "position", "count_position", name=op.f("pk_archived_count")),
        sqlite_with_rowid=False,
    )


def make_terminals() -> None:
    op.create_table(
        "terminal",
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("lineage", sa.LargeBinary(), nullable=True),
        sa.Column("contact_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("dead", sa.BigInteger(), nullable=False),
        sa.Column("oldest_pending_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("clock_offset_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("terminal", name=op.f("pk_terminal")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_terminal_location"), "terminal", ["location"])
    op.create_table(
        "boot",
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("boot", sa.LargeBinary(), nullable=False),
        sa.Column("contacts", TEXT, nullable=False),
        sa.Column("last_minute", sa.BigInteger(), nullable=False),
        sa.Column("tick_ms", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("told_tick_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", "boot", name=op.f("pk_boot")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lineage",
        sa.Column("terminal", TEXT, nullable=False),
        sa.Column("lineage", sa.LargeBinary(), nullable=False),
        sa.Column("acked_seq", sa.BigInteger(), nullable=False),
        sa.Column("beyond", TEXT, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("acked_at", sa.BigInteger(), nullable=True),
        sa.Column("said_at", sa.BigInteger(), nullable=True),
        sa.Column("said_last_seq", sa.BigInteger(), nullable=True),
        sa.Column("said_count", sa.BigInteger(), nullable=True),
        sa.Column("said_quantity", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("terminal", "lineage", name=op.f("pk_lineage")),
        sqlite_with_rowid=False,
    )


def make_catalogue() -> None:
    op.create_table(
        "location",
        sa.Column("location", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("location", name=op.f("pk_location")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "product",
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("unit", TEXT, nullable=True),
        sa.Column("reorder_point", sa.BigInteger(), nullable=True),
        sa.Column("is_ranged", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_product")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "product_location",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("reorder_point", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["sku"], ["product.sku"], name=op.f("fk_product_location_sku")),
        sa.PrimaryKeyConstraint("location", "sku", name=op.f("pk_product_location")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_product_location_sku", "product_location", ["sku"])
    op.create_table(
        "barcode",
        sa.Column("gtin", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["sku"], ["product.sku"], name=op.f("fk_barcode_sku")),
        sa.PrimaryKeyConstraint("gtin", name=op.f("pk_barcode")),
        sqlite_with_rowid=False,
    )


def make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", POSITION, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("arguments", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
