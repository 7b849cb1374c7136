"""Closing balances: cuts through the ledger from which a look back starts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
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
        sa.Column("account", sa.SmallInteger(), nullable=False),
        sa.Column("reservation", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("latest_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location", "sku", "account", "reservation", "position", name=op.f("pk_balance")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "straggler",
        sa.Column("location", TEXT, nullable=False),
        sa.Column("sku", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.SmallInteger(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("reservation", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("location", "sku", "position", "entry", name=op.f("pk_straggler")),
        sqlite_with_rowid=False,
    )
