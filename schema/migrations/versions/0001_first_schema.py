"""The first schema: ledger, caches, terminals, catalogue.

Until the first release every change of the tables edits this file. Its text is the fingerprint by which a ledger
that was made by another version of it is recognised.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BIG, SMALL, BYTES = sa.BigInteger(), sa.SmallInteger(), sa.LargeBinary()

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
    make_marks()
    make_exceptions()
    make_audit()
    make_people()
    make_alerts()
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


def make_keyed_table(name: str, key: list[str], *parts: sa.schema.SchemaItem) -> None:
    """A table whose rows are stored by their key, on SQLite too."""
    op.create_table(name, *parts, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")), sqlite_with_rowid=False)


def columns(kind: sa.types.TypeEngine[Any], *names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    """Columns of one type; none counts by itself, though it may be the first of a key."""
    return [sa.Column(name, kind, autoincrement=False, nullable=nullable) for name in names]


def make_postings() -> None:
    zero: dict[str, Any] = {"server_default": "0", "nullable": False}
    op.create_table(
        "ledger",
        sa.Column("book", sa.Integer(), autoincrement=False, nullable=False),
        *columns(sa.BigInteger(), "position", "recorded_at"),
        sa.Column("segment_latest_at", sa.BigInteger(), nullable=True),
        *[sa.Column(name, sa.BigInteger(), **zero) for name in ("stamp", "archived_position", "archived_until")],
        sa.Column("moved_to", TEXT, nullable=True),
        sa.Column("merges", sa.BigInteger(), **zero),
        sa.PrimaryKeyConstraint("book", name=op.f("pk_ledger")),
    )
    op.create_table(
        "posting",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        *columns(sa.LargeBinary(), "id"),
        sa.Column("terminal", TEXT, nullable=False),
        *columns(sa.LargeBinary(), "lineage", nullable=True),
        *columns(sa.BigInteger(), "seq", nullable=True),
        *columns(TEXT, "type", "location"),
        *columns(sa.BigInteger(), "occurred_at"),
        sa.Column("utc_offset_minutes", sa.SmallInteger(), nullable=False),
        *columns(sa.BigInteger(), "effective_at", "recorded_at"),
        sa.Column("flags", sa.SmallInteger(), nullable=False),
        sa.Column("reference", TEXT, nullable=True),
        *columns(sa.LargeBinary(), "digest", "body"),
        *columns(sa.LargeBinary(), "boot", nullable=True),
        *columns(sa.BigInteger(), "tick_ms", nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_posting")),
        postgresql_partition_by="RANGE (position)",
    )
    where = sa.text("reference IS NOT NULL")
    op.create_index("ix_posting_reference", "posting", ["reference"], sqlite_where=where, postgresql_where=where)
    make_keyed_table("identity", ["id"], *columns(sa.LargeBinary(), "id"), *columns(sa.BigInteger(), "position"))
    op.create_table(
        "movement",
        sa.Column("segment", sa.BigInteger(), nullable=False),
        *columns(TEXT, "location", "sku"),
        *columns(sa.BigInteger(), "position"),
        *columns(sa.Integer(), "entry"),
        *columns(sa.SmallInteger(), "account"),
        *columns(sa.BigInteger(), "effective_at"),
        *columns(sa.BigInteger(), "event_position", nullable=True),
        *columns(sa.BigInteger(), "quantity", "on_hand_after"),
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
    make_keyed_table(
        "rejection",
        ["id"],
        *columns(sa.LargeBinary(), "id"),
        *columns(TEXT, "terminal"),
        *columns(sa.LargeBinary(), "lineage", nullable=True),
        *columns(sa.BigInteger(), "seq", nullable=True),
        *columns(sa.BigInteger(), "recorded_at"),
        *columns(TEXT, "code", "reason"),
        *columns(sa.LargeBinary(), "digest", "body"),
        *columns(sa.BigInteger(), "reopened_at", nullable=True),
    )
    body = [*columns(TEXT, "terminal"), *columns(BIG, "recorded_at"), *columns(BYTES, "body")]
    make_keyed_table("quarantine", ["id", "digest"], *columns(BYTES, "id", "digest"), *body)


def make_caches() -> None:
    key, figures = columns(TEXT, "location", "sku"), columns(BIG, "on_hand", "moved", "in_transit")
    last = columns(BIG, "counted_at", "counted_position", "last_movement_at", nullable=True)
    make_keyed_table("level", ["location", "sku"], *key, *figures, *last)
    op.create_index(op.f("ix_level_sku"), "level", ["sku"])
    make_keyed_table(
        "count",
        ["location", "sku", "effective_at", "position"],
        *columns(TEXT, "location", "sku"),
        *columns(BIG, "effective_at", "position", "quantity"),
        *[*columns(BIG, "voided_position", nullable=True), *columns(TEXT, "terminal")],
    )
    make_documents()
    voided = columns(BIG, "voided_position", nullable=True)
    make_keyed_table("reference", ["digest", "position"], *columns(BYTES, "digest"), *columns(BIG, "position"), *voided)
    op.create_index(op.f("ix_reference_position"), "reference", ["position"])
    key = [*columns(BYTES, "voids"), *columns(TEXT, "location")]
    make_keyed_table("void", ["voids", "location"], *key, *columns(BIG, "position"))
    op.create_table(
        "merge",
        *columns(POSITION, "position"),
        *columns(TEXT, "ended", "into_sku"),
        *columns(sa.BigInteger(), "effective_at"),
        *columns(sa.BigInteger(), "voided_position", nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_merge")),
    )


def make_documents() -> None:
    op.create_table(
        "document_line",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("sku", TEXT, nullable=False),
        *columns(sa.SmallInteger(), "kind", "role"),
        *columns(TEXT, "location", "source"),
        *columns(sa.BigInteger(), "quantity", "effective_at", "expires_at"),
        *columns(sa.BigInteger(), "voided_position", nullable=True),
        *columns(sa.BigInteger(), "waiting"),
        sa.PrimaryKeyConstraint("position", "entry", name=op.f("pk_document_line")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_document_line_document"), "document_line", ["document"])
    op.create_index(op.f("ix_document_line_voided_position"), "document_line", ["voided_position"])
    group = ["location", "sku", "kind", "source"]
    op.create_index(op.f("ix_document_line_location_sku_kind_source"), "document_line", group)
    make_keyed_table(
        "document",
        ["document", "sku"],
        *columns(sa.LargeBinary(), "document"),
        *columns(TEXT, "sku"),
        *columns(sa.SmallInteger(), "kind"),
        *columns(TEXT, "location", "source"),
        *columns(sa.BigInteger(), "position", "effective_at", "expires_at", "quantity", "named", "closed"),
        *columns(sa.SmallInteger(), "is_closed"),
        *columns(sa.BigInteger(), "drawn", "remaining"),
    )
    group = ["location", "sku", "kind", "expires_at"]
    op.create_index(op.f("ix_document_location_sku_kind_expires_at"), "document", group)


def make_closings() -> None:
    op.create_table(
        "closing",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_closing")),
    )
    make_keyed_table(
        "balance",
        ["location", "sku", "position"],
        *columns(TEXT, "location", "sku"),
        *columns(sa.BigInteger(), "position", "quantity", "latest_at"),
    )
    make_keyed_table(
        "straggler",
        ["location", "sku", "position", "entry"],
        *[*columns(TEXT, "location", "sku"), *columns(BIG, "position"), *columns(sa.Integer(), "entry")],
        *[*columns(BIG, "effective_at"), *columns(BIG, "event_position", nullable=True), *columns(BIG, "quantity")],
    )


def make_archive() -> None:
    op.create_table(
        "archive",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        *columns(sa.BigInteger(), "first_position", "closed_at", "archived_at"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_archive")),
    )
    op.create_table(
        "archived",
        sa.Column("position", POSITION, autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        *columns(TEXT, "terminal", "type", "location"),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        *[sa.Column("flags", sa.SmallInteger(), nullable=False), *columns(sa.LargeBinary(), "digest")],
        sa.PrimaryKeyConstraint("position", name=op.f("pk_archived")),
    )
    place = [*columns(TEXT, "terminal"), *columns(sa.BigInteger(), "position")]
    make_keyed_table("archived_head", ["terminal", "position"], *place, *columns(sa.LargeBinary(), "head"))
    make_keyed_table(
        "archived_count",
        ["location", "sku", "position", "count_position"],
        *columns(TEXT, "location", "sku"),
        *columns(sa.BigInteger(), "position", "count_position", "moved"),
    )


def make_terminals() -> None:
    make_keyed_table(
        "terminal",
        ["terminal"],
        *columns(TEXT, "terminal", "role", "location"),
        *columns(sa.LargeBinary(), "token_hash", nullable=True),
        *columns(sa.BigInteger(), "enrolled_at"),
        *columns(sa.BigInteger(), "revoked_at", nullable=True),
        *columns(sa.BigInteger(), "epoch"),
        *columns(sa.LargeBinary(), "head"),
        *columns(sa.LargeBinary(), "lineage", nullable=True),
        *columns(sa.BigInteger(), "contact_at", "told_at", nullable=True),
        *columns(sa.BigInteger(), "pending", "dead"),
        *columns(sa.BigInteger(), "oldest_pending_at", "closed_at", "clock_offset_ms", nullable=True),
    )
    op.create_index(op.f("ix_terminal_location"), "terminal", ["location"])
    key = [*columns(TEXT, "terminal"), *columns(BIG, "until_at")]
    place = [*columns(TEXT, "location"), *columns(BIG, "since_at", "position")]
    make_keyed_table("former_location", ["terminal", "until_at"], *key, *place)
    op.create_index(op.f("ix_former_location_location"), "former_location", ["location"])
    code = [*columns(TEXT, "terminal"), *columns(sa.LargeBinary(), "salt", "code_key")]
    make_keyed_table("enrolment", ["terminal"], *code, *columns(sa.BigInteger(), "expires_at", "wrong_tries"))
    pair = columns(TEXT, "terminal", "adopted")
    make_keyed_table("adoption", ["terminal", "adopted"], *pair, *columns(sa.BigInteger(), "adopted_at", "position"))
    make_keyed_table(
        "boot",
        ["terminal", "boot"],
        *columns(TEXT, "terminal"),
        *columns(sa.LargeBinary(), "boot"),
        *columns(TEXT, "contacts"),
        *columns(sa.BigInteger(), "last_minute", "tick_ms", "effective_at", "told_tick_ms", "told_at"),
    )
    make_keyed_table(
        "lineage",
        ["terminal", "lineage"],
        *columns(TEXT, "terminal"),
        *columns(sa.LargeBinary(), "lineage"),
        *columns(sa.BigInteger(), "acked_seq"),
        *columns(TEXT, "beyond"),
        *columns(sa.BigInteger(), "count", "quantity"),
        *columns(sa.BigInteger(), "acked_at", "said_at", "said_last_seq", "said_count", "said_quantity", nullable=True),
    )


def make_catalogue() -> None:
    said = [*columns(TEXT, "name", "time_zone", nullable=True), *columns(SMALL, "day_ends_hour", nullable=True)]
    make_keyed_table("location", ["location"], *columns(TEXT, "location"), *said)
    make_keyed_table("supplier", ["supplier"], *columns(TEXT, "supplier"), *terms())
    make_keyed_table(
        "product",
        ["sku"],
        *columns(TEXT, "sku"),
        *columns(TEXT, "name", "unit", nullable=True),
        *ordering(),
        *terms(),
        *columns(sa.SmallInteger(), "is_ranged"),
        sa.ForeignKeyConstraint(["supplier"], ["supplier.supplier"], name=op.f("fk_product_supplier")),
    )
    make_keyed_table(
        "product_location",
        ["location", "sku"],
        *columns(TEXT, "location", "sku"),
        *ordering(),
        sa.ForeignKeyConstraint(["supplier"], ["supplier.supplier"], name=op.f("fk_product_location_supplier")),
        sa.ForeignKeyConstraint(["sku"], ["product.sku"], name=op.f("fk_product_location_sku")),
    )
    op.create_index("ix_product_location_sku", "product_location", ["sku"])
    make_keyed_table(
        "barcode",
        ["gtin"],
        *columns(TEXT, "gtin", "sku"),
        *columns(sa.BigInteger(), "units"),
        sa.ForeignKeyConstraint(["sku"], ["product.sku"], name=op.f("fk_barcode_sku")),
    )
    op.create_index("ix_barcode_sku", "barcode", ["sku"])
    make_keyed_table("pack", ["gtin", "units"], *columns(TEXT, "gtin"), *columns(sa.BigInteger(), "units"))


def ordering() -> list[sa.Column[Any]]:
    """What is ordered of a product, in general or for a location."""
    point, *sizes = columns(sa.BigInteger(), "reorder_point", "pack_size", "minimum", nullable=True)
    return [point, *columns(TEXT, "supplier", nullable=True), *sizes]


def terms() -> list[sa.Column[Any]]:
    """When a supplier has to be asked, and when it delivers."""
    return columns(sa.SmallInteger(), "lead_time_days", "order_cycle_days", "order_by_hour", nullable=True)


def make_marks() -> None:
    key = ["location", "sku", "marked_at"]
    figures = columns(sa.BigInteger(), "marked_at", "quantity")
    make_keyed_table("ordered", key, *columns(TEXT, *key[:2]), *figures, *columns(TEXT, "expected", "marked_by"))


def make_exceptions() -> None:
    cause = [*columns(SMALL, "flag"), *columns(TEXT, "location", "subject")]
    posting = [*columns(BIG, "position", "effective_at"), *columns(BYTES, "names", nullable=True)]
    make_keyed_table("flagged", ["flag", "location", "subject", "position"], *cause, *posting)
    op.create_index("ix_flagged_position", "flagged", ["position"])
    cause = [*columns(SMALL, "flag"), *columns(TEXT, "location", "subject")]
    make_keyed_table("settlement", ["flag", "location", "subject"], *cause, *columns(BIG, "position", "settled_at"))


def make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", POSITION, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *columns(TEXT, "actor", "role", "source", "request", "arguments", "outcome"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )


def make_people() -> None:
    person = [*columns(TEXT, "person", "role"), *columns(TEXT, "password", nullable=True)]
    make_keyed_table("person", ["person"], *person, *columns(sa.BigInteger(), "created_at"))
    key = [*columns(sa.LargeBinary(), "key"), *columns(TEXT, "person", "purpose", "label")]
    instants = [*columns(sa.BigInteger(), "created_at"), *columns(sa.BigInteger(), "expires_at", nullable=True)]
    of_whom = sa.ForeignKeyConstraint(["person"], ["person.person"], name=op.f("fk_person_key_person_person"))
    make_keyed_table("person_key", ["key"], *key, *instants, of_whom)
    op.create_index(op.f("ix_person_key_person"), "person_key", ["person"])


def make_alerts() -> None:
    instants = columns(BIG, "position", "since_at", "opened_at")
    parts = [*columns(POSITION, "number"), *columns(TEXT, "kind", "location", "subject", "said"), *instants]
    closed = columns(BIG, "closed_at", nullable=True)
    op.create_table("alert", *parts, *closed, sa.PrimaryKeyConstraint("number", name=op.f("pk_alert")))
    is_open, about = sa.text("closed_at IS NULL"), ["kind", "location", "subject"]
    op.create_index(
        "ix_alert_kind_location_subject", "alert", about, unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_alert_closed_at", "alert", ["closed_at"])
    figures = [*columns(BIG, "queued_at", "alert"), *columns(SMALL, "event"), *columns(sa.Integer(), "attempts")]
    make_keyed_table("delivery", ["target", "queued_at", "alert", "event"], *columns(TEXT, "target"), *figures)
    op.create_index("ix_delivery_alert", "delivery", ["alert"])
    figures = [*columns(BIG, "delivered"), *columns(sa.Integer(), "failures"), *columns(TEXT, "target")]
    failed = columns(BIG, "delivered_at", "failed_at", "next_at", "paused_at", nullable=True)
    make_keyed_table("alert_target", ["target"], *figures, *failed, *columns(TEXT, "last_error", nullable=True))
    read = [*columns(sa.Integer(), "book"), *columns(TEXT, "owner"), *columns(BIG, "position", "proven", "mismatches")]
    key = sa.PrimaryKeyConstraint("book", name=op.f("pk_observer"))
    op.create_table("observer", *read, *columns(BIG, "proven_at", nullable=True), key)
