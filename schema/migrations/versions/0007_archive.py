"""What a ledger still knows of postings that are in an archive."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("ledger", sa.Column("archived_position", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("ledger", sa.Column("archived_until", sa.BigInteger(), nullable=False, server_default="0"))
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
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location", "sku", "position", "occurred_at", name=op.f("pk_archived_count")),
        sqlite_with_rowid=False,
    )
