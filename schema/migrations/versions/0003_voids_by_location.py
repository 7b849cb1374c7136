"""Voids of one posting from several locations wait beside each other; an empty location is any."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "void_by_location",
        sa.Column("voids", sa.LargeBinary(), nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("voids", "location", name="pk_void_by_location"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO void_by_location SELECT voids, coalesce(location, ''), position, occurred_at FROM void")
    op.drop_table("void")
    op.rename_table("void_by_location", "void")
    if op.get_bind().dialect.name == "postgresql":  # as in every ledger that begins with this schema
        op.execute("ALTER INDEX pk_void_by_location RENAME TO pk_void")
